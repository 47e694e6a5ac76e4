"""Round trips: an experiment comes back from its file equal, to the bit, or not at all."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings, strategies as st

from physics_twin.errors import FileFormatError
from physics_twin.measurements import (
    Channel,
    Column,
    EstimatedNoise,
    Exclusion,
    Experiment,
    Uncertainty,
    UnknownBias,
    UnknownDelay,
)
from physics_twin.recipes import HOLD, Phase, Recipe, discharge, dose, falls_to, ramp, set_state, table
from physics_twin.signals import Setting


def full(folder: Path) -> Experiment:
    """An experiment that has everything."""
    path = folder / "charge.csv"
    rows = "".join(f"2026-04-17T08:{i:02d}:00+02:00,{20.1 + i},{'' if i == 3 else 30 - i},{i % 7}\n" for i in range(30))
    path.write_text("when,a,b,u\n" + rows)
    return Experiment.from_csv(
        path,
        time="when",
        channels=[
            Channel(
                "core",
                column="a",
                unit="degC",
                noise=EstimatedNoise("2 degC", shared="tc"),
                bias=UnknownBias("1 K"),
                delay=UnknownDelay("0 s", "1 min"),
            ),
            Channel("p", column="b", unit="barg", noise=Uncertainty("0.3 bar", k=3), bias="0.1 bar", delay="3 s"),
        ],
        inputs={"u": Column("u", "percent", HOLD), "room": "21 degC", "power": Setting("power", "kW", bounds=(0, 5))},
        initial={"core": "20.1 degC"},
        settle="2 min",
        exclude=[Exclusion("5 min", "6 min", "door opened", by="J. Doe", channels=("core",))],
        context={"lot": "L7", "scrap": 0.25, "shift": 2},
    )


def test_everything_comes_back(tmp_path: Path) -> None:
    """Samples, flags, reasons, channels, recipe, context, provenance, notes, time zero."""
    run = full(tmp_path)
    run.save(tmp_path / "charge.nc")
    again = Experiment.load(tmp_path / "charge.nc")
    assert again == run
    assert again.sha256 == run.sha256
    assert again["core"] == run["core"]
    assert again["p"].channel == run["p"].channel
    assert again.channels[0].unit.text == "degC"
    assert again.provenance == run.provenance
    assert again.inputs == run.inputs
    assert again.t0_utc == dt.datetime(2026, 4, 17, 6, tzinfo=dt.UTC)
    assert again.recipe.settings["power"] == run.recipe.settings["power"]
    assert [file.name for file in tmp_path.glob(".*")] == []


def test_a_recipe_of_every_kind_of_phase_comes_back(tmp_path: Path) -> None:
    """Ramps, tables, settings, levels, events at the start and later, phases that end on a crossing."""
    soak, hold = Setting("soak", "degC", bounds=(880, None), value=900), Setting("hold", "min", bounds=(20, 120))
    recipe = Recipe(
        [
            Phase("heat", gas=ramp("20 degC", soak, over="80 min"), stirrer=2.5, duration="90 min"),
            Phase("soak", gas=soak, until=falls_to("rate", "1 K/min"), at_most="4 h", start=[dose("salt", (2, "kg"))]),
            Phase(
                "hold",
                gas=table([0, 60, 90], [900, 905, 903], "degC"),
                duration=hold,
                at={"10 min": [discharge("salt", "1 kg"), set_state("level", "0 m")]},
            ),
        ],
        initial={"core": soak},
        hold_end=True,
    )
    channels = [Channel("core", unit="degC", noise="1 K")]
    run = Experiment.from_arrays("run", [0.0, 1.0], {"core": [1, 2]}, channels=channels, recipe=recipe)
    run.save(tmp_path / "run.nc")
    again = Experiment.load(tmp_path / "run.nc")
    assert again == run
    assert [p.name for p in again.recipe.phases] == ["heat", "soak", "hold"]
    assert again.recipe.phases[2].inputs["gas"] == recipe.phases[2].inputs["gas"]
    assert again.recipe.phases[1] == recipe.phases[1]
    assert again.recipe.settings == recipe.settings
    assert (again.recipe.initial, again.recipe.hold_end) == ({"core": soak}, True)
    steady = Experiment.from_arrays("run", [0.0], {"core": [1]}, channels=channels, initial="steady")
    steady.save(tmp_path / "steady.nc")
    assert Experiment.load(tmp_path / "steady.nc") == steady


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    samples=st.lists(st.tuples(st.floats(allow_nan=False, width=64), st.floats(width=64)), min_size=1, max_size=12),
    other=st.booleans(),
)
def test_any_numbers_come_back_bit_for_bit(tmp_path: Path, samples: list[tuple[float, float]], other: bool) -> None:
    """Also infinities, NaN, subnormal numbers, times out of order, and channels on clocks of their own."""
    t, y = (np.array(column) for column in zip(*samples, strict=True))
    channels = [Channel("a", unit="J", noise="1 J"), Channel("b", unit="J", noise="1 J")]
    run = Experiment.from_arrays(
        "run", {"a": t, "b": t[:1] + 1.0 if other else t}, {"a": y, "b": y[:1] if other else y}, channels=channels
    )
    run.save(tmp_path / "run.nc")
    again = Experiment.load(tmp_path / "run.nc")
    assert again == run
    assert again["a"].values.tobytes() == run["a"].values.tobytes()


def test_the_dataset_says_what_it_holds(tmp_path: Path) -> None:
    """Units on every variable, flags as CF has them, readable without this library."""
    run = full(tmp_path)
    run.save(tmp_path / "charge.nc")
    with xr.open_dataset(tmp_path / "charge.nc", engine="h5netcdf", decode_cf=False) as stored:
        assert all("units" in variable.attrs for variable in stored.variables.values())
        assert (stored["core"].attrs["units"], stored["core"].attrs["declared_units"]) == ("K", "degC")
        assert stored["p"].attrs["units"] == "Pa"
        assert stored["core.flag"].attrs["flag_meanings"] == "good not_evaluated suspect bad missing"
        assert stored["time"].attrs["time_zero"] == "2026-04-17T06:00:00+00:00"
        assert stored["recipe_table_0"].attrs["rule"] == "hold"
        assert stored.attrs["Conventions"] == "CF-1.11"
    assert run.dataset["core"].sel(time=60.0).item() == pytest.approx(294.25)


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    """One sample, one noise, one missing variable, another format, no NetCDF at all."""
    run = full(tmp_path)
    good = run.dataset

    def refused(dataset: xr.Dataset, match: str) -> None:
        dataset.to_netcdf(tmp_path / "bad.nc", engine="h5netcdf")
        with pytest.raises(FileFormatError, match=match):
            Experiment.load(tmp_path / "bad.nc")

    changed = good.copy(deep=True)
    changed["core"][4] += 1e-12
    changed["core"][5] += 1e-9
    refused(changed, "was changed after it was saved")
    record = str(good["record"].item())
    refused(
        good.assign(record=((), record.replace('"noise": 2.0', '"noise": 3.0').replace("[2.0,", "[3.0,"))), "changed"
    )
    refused(good.drop_vars("core.flag"), "damaged or was written by hand")
    refused(good.assign(record=((), "{")), "damaged or was written by hand")
    refused(good.assign_attrs(format="something else"), "is no saved experiment")
    (tmp_path / "bad.nc").write_text("time,core\n0,20\n")
    with pytest.raises(FileFormatError, match="not a NetCDF-4 file"):
        Experiment.load(tmp_path / "bad.nc")
    run.save(tmp_path / "cut.nc")
    whole = (tmp_path / "cut.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError):
        Experiment.load(tmp_path / "cut.nc")
    with pytest.raises(FileNotFoundError):
        Experiment.load(tmp_path / "none.nc")


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is killed while it writes."""
    run = full(tmp_path)
    path = tmp_path / "charge.nc"
    run.save(path)
    before = path.read_bytes()

    def dies(self: xr.Dataset, target: Path, **options: object) -> None:
        Path(target).write_bytes(b"ha")
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.Dataset, "to_netcdf", dies)
    with pytest.raises(KeyboardInterrupt):
        run.first(2).save(path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
