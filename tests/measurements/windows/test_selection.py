"""Phases of a run, and a part to fit with a part to test."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from physics_twin.errors import BoundsError, DataError, UnknownNameError
from physics_twin.measurements import Channel, Experiment, Flag
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.windows.selection import select, split
from tests.data_marks import needs_data
from tests.measurements.noises import record, remembering
from tests.measurements.test_real_records import tclab

PHASES = (
    PhaseWindow("heat", 0.0, 100.0),
    PhaseWindow("soak", 100.0, 200.0),
    PhaseWindow("heat", 200.0, 250.0),
    PhaseWindow("cool", 250.0, 300.0),
)


def phased() -> Experiment:
    """A sample a second for five minutes, with phases, context and time zero."""
    t = np.arange(301.0)
    run = Experiment.from_arrays(
        "run",
        t,
        {"T": 300.0 + t},
        channels=[Channel("T", unit="K", noise="1 K")],
        context={"lot": 7},
        t0_utc=dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
    )
    return replace(run, phases=PHASES)


def test_a_phase_owns_its_start_and_the_last_one_its_end() -> None:
    """No sample belongs to two phases, and together they have all."""
    run = phased()
    parts = {name: select(run, name)["T"].times for name in ("heat", "soak", "cool")}
    assert parts["soak"].tolist() == np.arange(100.0, 200.0).tolist()
    assert parts["heat"].tolist() == [*np.arange(100.0), *np.arange(200.0, 250.0)]
    assert parts["cool"][-1] == 300.0
    assert sorted(np.concatenate(list(parts.values())).tolist()) == run["T"].times.tolist()


def test_all_but_the_samples_stays() -> None:
    """Time zero, recipe, context and phases; the provenance says what was selected."""
    run = phased()
    part = select(run, ["soak", "cool"], start="2 min", end=280.0)
    assert (part.t0_utc, part.recipe, part.context, part.phases) == (run.t0_utc, run.recipe, run.context, run.phases)
    assert part["T"].times.tolist() == [*np.arange(120.0, 200.0), *np.arange(250.0, 281.0)]
    assert part.provenance.selections == ('phase "soak" and phase "cool", from 2 min to 4.67 min',)


def test_what_was_selected_averaged_and_resampled_survives_its_file(tmp_path: Path) -> None:
    """Phases in whole seconds, noise by sample, missing means and selections: loaded, all is equal."""
    run = replace(phased(), phases=(PhaseWindow("heat", 0, 100), PhaseWindow("soak", 100, 300)))
    for k, one in enumerate((select(run, "soak"), run.average("1 min", least=2), run.resample("7 s"), *run.split())):
        path = tmp_path / f"{k}.nc"
        one.save(path)
        assert Experiment.load(path) == one


def test_what_cannot_be_selected_says_so() -> None:
    """An unknown phase with the nearest name, phases where none are known, nothing asked for, nothing left."""
    run = phased()
    with pytest.raises(UnknownNameError, match='"soak"'):
        select(run, "soaks")
    with pytest.raises(UnknownNameError, match="phase"):
        select(record(np.arange(3.0), np.full(3, 300.0)), "soak")
    with pytest.raises(DataError, match="name a phase"):
        select(run)
    with pytest.raises(DataError, match="no sample in use"):
        select(run, "soak", start="250 s")
    with pytest.raises(DataError, match="after end"):
        select(run, start="20 s", end="10 s")
    bad = replace(run, series={"T": replace(run["T"], flags=np.full(301, Flag.BAD))})
    with pytest.raises(DataError, match="no sample in use"):
        select(bad, "soak")


def test_white_noise_needs_no_gap() -> None:
    """70 % and 30 % of the samples, none left out, and both parts say why."""
    rng = np.random.default_rng(1)
    t = np.arange(1000.0)
    train, test = split(record(t, 300.0 + rng.standard_normal(1000)))
    assert (train.n_used, test.n_used) == (700, 300)
    assert "no gap" in train.provenance.selections[0]
    assert "to test" in test.provenance.selections[0]


def test_the_gap_is_three_memories_of_the_noise() -> None:
    """Noise that remembers 5 s: about 15 s are left out, so that e^-3 of the correlation is left across it."""
    rng = np.random.default_rng(2)
    t = np.arange(4000.0)
    train, test = split(record(t, 300.0 + remembering(t, 5.0, rng)))
    gap = test["T"].times[0] - train["T"].times[-1]
    assert gap == pytest.approx(15.0, rel=0.25)
    assert "the noise of T remembers" in test.provenance.selections[0]


def test_a_gap_can_be_given() -> None:
    """An hour, or none."""
    rng = np.random.default_rng(3)
    t = np.arange(1000.0)
    run = record(t, 300.0 + remembering(t, 5.0, rng))
    assert split(run, 0.5, gap="1 min")[1]["T"].times[0] == 559.0
    train, test = split(run, 0.5, gap="0 s")
    assert train.n_used + test.n_used == 1000


def test_channels_of_different_rates_are_cut_at_one_time() -> None:
    """No sample of either channel lies on the wrong side."""
    t = np.arange(1000.0)
    run = Experiment.from_arrays(
        "run",
        {"T": t, "lab": t[::90] + 0.5},
        {"T": np.full(1000, 300.0), "lab": np.full(12, 1.0)},
        channels=[Channel("T", unit="K", noise="1 K"), Channel("lab", unit="1", noise="0.1")],
    )
    train, test = split(run, 0.6)
    assert max(s.times.max() for s in train) < min(s.times.min() for s in test)


def test_what_cannot_be_split_says_so() -> None:
    """Shares out of range, too few samples, and a gap that leaves nothing to test."""
    run = record(np.arange(10.0), np.full(10, 300.0))
    for share in (0.0, 1.0, -0.2):
        with pytest.raises(BoundsError, match="between 0 and 1"):
            split(run, share)
    with pytest.raises(BoundsError, match="gap"):
        split(run, gap="-1 s")
    with pytest.raises(DataError, match="nothing is left to test"):
        split(run, gap="1 h")
    with pytest.raises(DataError, match="leaves one part empty"):
        split(record(np.array([0.0]), np.array([300.0])))


@needs_data("tclab")
def test_the_control_lab_in_two_parts() -> None:
    """Seven minutes to fit, and the rest after a few seconds in which its noise forgets."""
    run = tclab("mimo_1s_600.csv")
    train, test = split(run)
    assert train.n_used == 2 * 419
    assert 0.0 < test["T1"].times[0] - train["T1"].times[-1] < 10.0
    assert test.recipe == run.recipe
