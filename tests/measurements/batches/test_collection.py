"""Experiments as a sequence: named, summed up, split by lots, drawn, saved and loaded."""

import datetime as dt
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.errors import DataError, FileFormatError, UnknownNameError
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.batches.collection import Experiments
from physics_twin.measurements.batches.cutting_report import (
    CuttingReport,
    LaboratoryOrphan,
    MissingTag,
    NotBuilt,
    Orphans,
    Overlap,
    Replacement,
)
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.experiment import Experiment

matplotlib.use("Agg")

CORE = Channel("core", unit="degC", noise="1 K")
SKIN = Channel("skin", unit="degC", noise="1 K")
REPORT = CuttingReport(
    n_batches=11,
    overlaps=(Overlap("B0", "B1", 60.0),),
    orphans=(Orphans("TI1", 5, 1, 100),),
    not_built=(NotBuilt("B10", "no sample at all in its time"),),
    missing=(MissingTag("B3", "TI2"),),
    laboratory=(LaboratoryOrphan("c", "0.7 mol/L", "it is no number", "lab.csv, row 2"),),
    replaced=(Replacement("B4", "TI1", 600.0, "TC-1", "TC-2"),),
    disordered={"TI1": 2},
    tags={"TI1": ("2 samples stand out of order: bad",)},
    notes=("a note",),
)


def run(name: str, lot: str = "L1", n: int = 30, skin: bool = True) -> Experiment:
    """A batch of a lot; the values tell its name."""
    t = np.linspace(0.0, 1000.0, n)
    values = 100.0 + len(name) + np.sin(t / 100.0)
    values[2] = np.nan
    channels = [CORE, SKIN] if skin else [CORE]
    return Experiment.from_arrays(
        name,
        t,
        {channel.output: values for channel in channels},
        channels=channels,
        context={"lot": lot},
        t0_utc=dt.datetime(2026, 3, 1, tzinfo=dt.UTC),
    )


def ten() -> Experiments:
    """Ten batches of four lots."""
    return Experiments(tuple(run(f"B{k}", f"L{k // 3}") for k in range(10)), REPORT)


# A sequence ----------------------------------------------------------------------------------------------------------


def test_experiments_are_found_by_number_name_and_slice() -> None:
    """A slice keeps the report; a misspelt name gets the nearest one."""
    found = ten()
    assert (len(found), found[0].name, found[-1].name, found["B4"].name) == (10, "B0", "B9", "B4")
    assert found[2:4].names == ("B2", "B3")
    assert found[2:4].report is REPORT
    assert "B4" in found
    assert found[3] in found
    assert "B44" not in found
    with pytest.raises(UnknownNameError, match='no experiment "B44"'):
        found["B44"]
    nobody = found[4:4]
    assert (len(nobody), repr(nobody)) == (0, "<Experiments: 0: >")
    assert len(nobody.summary) == 0
    with pytest.raises(DataError, match="no experiment to draw"):
        nobody.plot()
    with pytest.raises(DataError, match='two experiments are called "B1"'):
        Experiments((run("B1"), run("B1")))


def test_the_summary_has_a_row_an_experiment() -> None:
    """Start, duration, samples by flag and context."""
    table = ten().summary
    assert list(table.index) == [f"B{k}" for k in range(10)]
    row = table.loc["B4"]
    assert (row["duration"], row["channels"], row["used"], row["missing"], row["lot"]) == (1000.0, 2, 58, 2, "L1")
    assert table["good"].sum() == 580


def test_the_printed_table_is_short_and_names_what_is_not_in_it() -> None:
    """Hundreds of batches fit on a screen, with the report below."""
    many = Experiments(tuple(run(f"B{k}", n=5) for k in range(40)), REPORT)
    text = str(many)
    assert len(text.splitlines()) < 45
    assert "... 29 more" in text
    for words in ("B39", "10 of 11 batches are experiments", "B10: no sample at all", "B0 and B1 for 60 s"):
        assert words in text
    for words in ("TI1: 5 of 100 samples, 1 without a readable time", "c = 0.7 mol/L: it is no number", "TC-1 to TC-2"):
        assert words in text
    assert repr(ten()) == "<Experiments: 10: B0, ..., B9>"


def test_a_fit_takes_them_as_they_are() -> None:
    """A calibration over a sequence of experiments finds what they have in common."""
    model = pt.FunctionModel(
        "decay",
        version="1",
        rate=lambda t, state, inputs, values: {"x": -values["speed"] * state["x"]},
        states={"x": ("1", 1.0)},
        parameters=[pt.Parameter("speed", "0.5 1/s", bounds=("0.01 1/s", "5 1/s"))],
        outputs={"x": "1"},
    )
    t = np.linspace(0.0, 5.0, 20)
    rng = np.random.default_rng(3)
    runs = [
        Experiment.from_arrays(
            f"B{k}",
            t,
            {"x": np.exp(-0.8 * t) + rng.normal(0.0, 0.01, t.size)},
            channels=[Channel("x", unit="1", noise=0.01)],
        )
        for k in range(3)
    ]
    posterior = pt.calibrate(model, Experiments(tuple(runs)), unknown=["speed"], rng=7)
    # Three runs of twenty samples with a noise of 1 % know the rate to better than half a percent.
    assert posterior.mode["speed"] == pytest.approx(0.8, abs=0.015)


# Split ---------------------------------------------------------------------------------------------------------------


def test_a_split_keeps_lots_together_and_comes_closest_to_the_share() -> None:
    """Batches of one lot share what nobody measured, so that a lot on both sides would flatter the fit."""
    for seed in (None, 1, 2, 3):
        rng = None if seed is None else np.random.default_rng(seed)
        train, test = ten().split(train=0.7, by="lot", rng=rng)
        lots = [{one.context["lot"] for one in part} for part in (train, test)]
        assert not lots[0] & lots[1]
        assert len(train) + len(test) == 10
        assert len(train) in (6, 7)


def test_without_a_generator_the_first_are_for_training() -> None:
    """A forecast is checked on what came later."""
    train, test = ten().split(train=0.7)
    assert train.names == tuple(f"B{k}" for k in range(7))
    assert test.names == ("B7", "B8", "B9")
    assert train.report is REPORT


def test_the_same_generator_gives_the_same_split_and_another_one_another() -> None:
    """Randomness is an argument."""
    splits = [ten().split(0.5, rng=np.random.default_rng(seed))[0].names for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


def test_no_part_is_empty_and_what_cannot_be_split_says_why() -> None:
    """Shares at the ends, one lot, a context that is missing, names that divide a lot."""
    found = ten()
    assert [len(part) for part in found.split(0.01, by="lot")] == [3, 7]
    assert [len(part) for part in found.split(0.99, by="lot")] == [9, 1]
    assert found.split(["B0", "B1", "B2"], by="lot")[0].names == ("B0", "B1", "B2")
    with pytest.raises(DataError, match='"B0" and "B1" share the lot "L0"'):
        found.split(["B0"], by="lot")
    with pytest.raises(DataError, match='experiment "B0" has no "campaign" in its context; it has lot'):
        found.split(by="campaign")
    with pytest.raises(DataError, match='one value of "lot" only'):
        found[:3].split(by="lot")
    with pytest.raises(DataError, match="above 0 and below 1"):
        found.split(train=1.0)
    with pytest.raises(DataError, match="nothing is left"):
        found.split(train=list(found.names))
    with pytest.raises(UnknownNameError, match='"B99"'):
        found.split(train=["B99"])


# Pictures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 5, 60])
def test_each_channel_has_a_panel_with_all_experiments(n: int) -> None:
    """Few experiments are told apart by name, many are one cloud with median and band."""
    from matplotlib import pyplot as plt

    found = Experiments(tuple(run(f"B{k}", n=900 if k % 2 else 30, skin=k != 0 or n == 1) for k in range(n)))
    axes = found.plot().axes
    assert [ax.get_ylabel() for ax in axes] == ["core / °C", "skin / °C"]
    labels = set(axes[0].get_legend_handles_labels()[1])
    if n <= 7:
        assert labels == set(found.names)
    else:
        assert labels == {"one experiment", "middle 90 %", "median"}
        low, high = axes[0].get_ylim()
        assert 99.0 < low < 101.5
        assert 103.0 < high < 105.0
    plt.close("all")


def test_a_spike_is_not_thinned_out_of_the_picture() -> None:
    """Of ten thousand samples a few hundred are drawn, and the highest is among them."""
    from matplotlib import pyplot as plt

    t = np.arange(10000.0)
    values = np.full(10000, 20.0) + 0.1 * np.sin(t)
    values[7777] = 90.0
    one = Experiment.from_arrays("spike", t, {"core": values}, channels=[CORE])
    (ax,) = Experiments((one,)).plot().axes
    line = ax.get_lines()[0]
    y = np.asarray(line.get_ydata(), dtype=float)
    assert y.size <= 400
    assert y.max() == pytest.approx(90.0)
    plt.close("all")


# Files ---------------------------------------------------------------------------------------------------------------


def test_a_folder_gives_back_the_same_experiments_and_report(tmp_path: Path) -> None:
    """Nothing is lost between save and load."""
    found = ten()
    found.save(tmp_path / "campaign")
    assert Experiments.load(tmp_path / "campaign") == found


def test_names_that_differ_in_case_only_or_that_no_disk_likes_get_files_of_their_own(tmp_path: Path) -> None:
    """b1 and B1 are one file on some systems, and CON is a device."""
    found = Experiments(tuple(run(name) for name in ("B1", "b1", "CON", "..", "ä" * 80)))
    found.save(tmp_path)
    files = [file.name for file in tmp_path.glob("*.nc")]
    assert len({file.lower() for file in files}) == 5
    assert all(file.isascii() and len(file) < 90 for file in files)
    assert [file.split("_")[0] for file in sorted(files)] == ["0001", "0002", "0003", "0004", "0005"]
    assert Experiments.load(tmp_path) == found


def test_saving_again_replaces_the_old_files_and_touches_no_others(tmp_path: Path) -> None:
    """What an older index named goes; what somebody else put into the folder stays."""
    ten().save(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "0001_other.nc").write_text("mine")
    again = ten()[:2]
    again.save(tmp_path)
    assert len(list(tmp_path.glob("*.nc"))) == 3
    assert Experiments.load(tmp_path) == again
    assert (tmp_path / "notes.txt").exists()


def test_an_interrupted_save_leaves_the_older_set_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is replaced last, and new contents have new names."""
    old = ten()
    old.save(tmp_path)
    changed = Experiments(tuple(run(f"B{k}", lot="X", n=40) for k in range(10)))
    saved: list[Path] = []
    original = Experiment.save

    def failing(self: Experiment, path: Path) -> None:
        if len(saved) == 5:
            raise OSError("no space left on device")
        saved.append(path)
        original(self, path)

    monkeypatch.setattr(Experiment, "save", failing)
    with pytest.raises(OSError, match="no space"):
        changed.save(tmp_path)
    monkeypatch.undo()
    assert Experiments.load(tmp_path) == old


def test_phases_make_another_file(tmp_path: Path) -> None:
    """Two sets that differ in phases or notes only do not share a file."""
    from dataclasses import replace

    one = run("B1")
    other = replace(one, phases=(PhaseWindow("heat", 0.0, 10.0),))
    Experiments((one,)).save(tmp_path)
    first = {file.name for file in tmp_path.glob("*.nc")}
    Experiments((other,)).save(tmp_path)
    assert {file.name for file in tmp_path.glob("*.nc")} != first
    assert Experiments.load(tmp_path)[0].phases == other.phases


def test_folders_that_were_changed_are_refused(tmp_path: Path) -> None:
    """A file of another run, a damaged index, a path that leaves the folder, or no folder of ours at all."""
    with pytest.raises(FileNotFoundError, match=r"index\.json"):
        Experiments.load(tmp_path)
    ten().save(tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    first, second = (tmp_path / index["experiments"][k]["file"] for k in (0, 1))
    whole = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(FileFormatError, match="was changed after it was saved"):
        Experiments.load(tmp_path)
    first.write_bytes(whole)
    index["experiments"][0]["name"] = "B7x"
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(FileFormatError, match='holds "B0", and the index says "B7x"'):
        Experiments.load(tmp_path)
    index["experiments"][0]["file"] = "../escape.nc"
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(FileFormatError, match="no file of this folder"):
        Experiments.load(tmp_path)
    del index["experiments"][0]["sha256"]
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(FileFormatError, match="damaged or was written by hand"):
        Experiments.load(tmp_path)
    (tmp_path / "index.json").write_text("[")
    with pytest.raises(FileFormatError, match="damaged or no index"):
        Experiments.load(tmp_path)
