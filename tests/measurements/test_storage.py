"""Round trips: an experiment comes back from its file equal, to the bit, or not at all."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, example, given, settings, strategies as st

from physics_twin.errors import FileFormatError
from physics_twin.measurements import (
    Channel,
    Column,
    Estimated,
    EstimatedNoise,
    Exclusion,
    Experiment,
    Flag,
    Noise,
    Place,
    Provenance,
    Series,
    Uncertainty,
    UnknownBias,
    UnknownDelay,
)
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.records import channel_from_record, channel_record
from physics_twin.measurements.storage import from_dataset
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Sensor
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


@example(samples=[(0.0, 1.7976931348623157e308), (0.0, -9.9792015476736e291)], other=False)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        assert stored["core_flag"].attrs["flag_meanings"] == "good not_evaluated suspect bad missing"
        assert stored["time"].attrs["units"] == "seconds since 2026-04-17T06:00:00Z"
        assert stored["recipe_table_0"].attrs["rule"] == "hold"
        assert stored.attrs["Conventions"] == "CF-1.11"
    assert run.dataset["core"].sel(time=60.0).item() == pytest.approx(294.25)


# Whatever an experiment holds ----------------------------------------------------------------------------------------

_ANY = st.floats(width=64)
_TEXT = st.text(max_size=9)
_IDENTIFIERS = st.sampled_from(
    ["a", "b_flag", "jacket.area", "Länge", "time", "row", "record", "recipe_time_0", "phase"]
)
_CONTEXT = st.dictionaries(
    st.text(max_size=8), st.text(max_size=12) | st.integers() | st.floats(allow_nan=False), max_size=4
)
_SENSOR = st.builds(
    Sensor,
    st.sampled_from(["TC-0417/2", "9 µ", "B7"]),
    correction=st.sampled_from([(), (("0 degC", "0.5 K"), ("1000 degC", "-1.5 K"))]),
    uncertainty=st.none() | st.builds(Uncertainty, st.just("0.8 K"), st.floats(1.0, 3.0)),
    valid_until=st.none() | st.dates(),
    description=st.text(max_size=8),
)
_CHECKS = st.builds(
    Checks,
    low=st.none() | st.just("-50 degC"),
    high=st.none() | st.just((1200.0, "degC")),
    rate=st.none() | st.just("5 K/s"),
    gap=st.none() | st.just("1 h"),
    zero_is_missing=st.booleans(),
)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """Experiments as no reader would make them: every field at random."""

    def column(n: int, kind: st.SearchStrategy[float]) -> np.ndarray:
        return np.array(draw(st.lists(kind, min_size=n, max_size=n)), dtype=np.float64)

    def codes(n: int, among: list[int]) -> np.ndarray:
        return np.array(draw(st.lists(st.sampled_from(among), min_size=n, max_size=n)), dtype=np.int8)

    series = {}
    shared = column(3, st.floats(allow_nan=True))
    place = draw(st.booleans())
    names = draw(st.lists(_IDENTIFIERS, min_size=1, max_size=4, unique=True))
    names += [f"p{k}" for k in range(5)] if place else []
    rare = {key: draw(st.booleans()) for key in ("censored", "noise_scale", "reported")}
    for name in names:
        array = place and name.startswith("p") and name != "phase"
        times = shared if array or draw(st.booleans()) else column(draw(st.integers(0, 5)), _ANY)
        if draw(st.booleans()) and not array:
            times = np.sort(np.where(np.isfinite(times), times, 0.0))
        n = times.size
        reasons = tuple(draw(st.lists(st.text(min_size=1, max_size=9), max_size=3)))
        given = {
            "censored": codes(n, [-1, 0, 1]),
            "noise_scale": column(n, st.floats(0.01, 10.0)),
            "reported": column(n, _ANY),
        }
        has = rare if array else {key: draw(st.booleans()) for key in rare}
        channel = Channel(
            name,
            column=draw(st.text(max_size=5)),
            unit="degC",
            noise="1 K",
            place=Place("rod", (float(int(name[1:])), "cm")) if array else None,
            sensor=draw(st.none() | _SENSOR),
            checks=draw(st.none() | _CHECKS),
        )
        series[name] = Series(
            channel,
            times,
            column(n, _ANY),
            codes(n, [int(flag) for flag in Flag]),
            codes(n, list(range(len(reasons) + 1))),
            reasons,
            tuple(draw(st.lists(st.text(max_size=9), max_size=2))),
            **{key: given[key] if has[key] else None for key in given},
        )
    zone = dt.timezone(dt.timedelta(hours=2))
    ends = st.floats(-1e9, 1e9)
    spans = draw(st.lists(st.tuples(st.text(max_size=6), ends, ends), max_size=3))
    return Experiment(
        "charge_1",
        series,
        Recipe.constant(),
        Provenance(
            "log é.csv", options={"time": "t"}, selections=tuple(draw(st.lists(st.text(max_size=6), max_size=2)))
        ),
        context=draw(_CONTEXT),
        notes=tuple(draw(st.lists(st.text(max_size=9), max_size=2))),
        t0_utc=draw(st.none() | st.datetimes(dt.datetime(1900, 1, 1), timezones=st.sampled_from([dt.UTC, zone]))),
        phases=tuple(PhaseWindow(name, min(a, b), max(a, b)) for name, a, b in spans),
    )


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(run=experiments())
def test_any_experiment_is_a_dataset_that_keeps_the_conventions(run: Experiment) -> None:
    """NaN, signed zeros, flags, limits, noise by sample, phases, texts of any script: equal, to the bit, and CF."""
    dataset = run.dataset
    check_conventions(dataset)
    came_back(run, from_dataset(dataset, "any"))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(run=experiments())
def test_any_experiment_comes_back_from_its_file(tmp_path: Path, run: Experiment) -> None:
    """The same through NetCDF, whose texts and fill values have rules of their own."""
    run.save(tmp_path / "any.nc")
    check_file(tmp_path / "any.nc")
    came_back(run, Experiment.load(tmp_path / "any.nc"))


def came_back(run: Experiment, again: Experiment) -> None:
    """Equal, and the samples to the bit."""
    assert again == run
    for mine, theirs in zip(run, again, strict=True):
        assert mine.values.tobytes() == theirs.values.tobytes()
        assert mine.times.tobytes() == theirs.times.tobytes()
        assert mine.channel == theirs.channel
    assert (again.phases, again.t0_utc, dict(again.context)) == (run.phases, run.t0_utc, dict(run.context))


def test_a_file_of_the_first_format_is_read() -> None:
    """Written before there were limits of detection, phases and sensors; its content has the hash that it had."""
    run = Experiment.load(Path(__file__).with_name("experiment_format_1.nc"))
    assert run.sha256 == "cd711a836f2fa48c0dc450cba0e919463df45e383a9d7848194992a1a5872326"
    assert [c.output for c in run.channels] == ["core", "p"]
    assert run["core"].reasons == ("settling until 2 min", "excluded: door opened (J. Doe)")
    assert run["p"].counts[Flag.MISSING] == 1
    assert (run.phases, run["core"].censored) == ((), None)


# CF ------------------------------------------------------------------------------------------------------------------

_UNIT = r"(1|[A-Za-z]+(\^?-?\d+)?)([*/ .][A-Za-z]+(\^?-?\d+)?)*"
_SINCE = r"seconds since \d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z"
_STANDARD_NAMES = {"time": "since", "quality_flag": "1"}


def check_file(path: Path) -> None:
    """The rules of CF 1.11 for a file."""
    with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as stored:
        check_conventions(stored)


def check_conventions(stored: xr.Dataset) -> None:
    """The rules of CF 1.11 that concern such files, by section of the conventions."""
    assert stored.attrs["Conventions"] == "CF-1.11"  # 2.6.1
    for key in ("title", "source", "history"):  # 2.6.2
        assert isinstance(stored.attrs[key], str) and stored.attrs[key]
    assert "featureType" not in stored.attrs, "9: it would ask for latitude and longitude"
    for name in [*stored.variables, *stored.dims]:  # 2.3
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(name)), name
    lower = [str(name).lower() for name in stored.variables]
    assert len(set(lower)) == len(lower), "2.3: names are not told apart by case"
    for name, variable in stored.variables.items():
        _check_variable(stored, str(name), variable)


def _check_variable(stored: xr.Dataset, name: str, variable: xr.Variable) -> None:
    attrs = variable.attrs
    numeric = variable.dtype.kind in "fi"
    if variable.dims == (name,):  # 5: a coordinate variable is numeric, in order and complete
        assert numeric and not {"_FillValue", "missing_value"} & set(attrs), name
        assert np.isfinite(variable.values).all() and (variable.values[1:] > variable.values[:-1]).all(), name
    if numeric:  # 3.1
        assert re.fullmatch(f"{_UNIT}|{_SINCE}", attrs["units"]), attrs["units"]
    assert "long_name" in attrs or "standard_name" in attrs, name  # 3.2
    if "standard_name" in attrs:  # 3.3
        assert _STANDARD_NAMES[attrs["standard_name"]] in attrs["units"], name
    if "since" in attrs.get("units", ""):  # 4.4
        assert attrs["calendar"] == "standard" and attrs["standard_name"] == "time", name
        assert attrs["units_metadata"] == "leap_seconds: none", name
    if attrs.get("units") == "K":  # 3.1.2
        assert attrs["units_metadata"] == "temperature: on_scale", name
    if attrs.get("axis") == "T":
        assert variable.dims == (name,)
    for key in ("ancillary_variables", "coordinates"):  # 3.4 and 5
        for other in attrs.get(key, "").split():
            assert set(stored[other].dims) <= set(variable.dims), (name, other)
    if "flag_values" in attrs:  # 3.5
        values, meanings = np.atleast_1d(attrs["flag_values"]), attrs["flag_meanings"].split()
        assert values.dtype == variable.dtype and len(set(values.tolist())) == values.size == len(meanings), name
        assert all(re.fullmatch(r"[A-Za-z0-9_\-.+@]+", word) for word in meanings), meanings
        assert set(np.unique(variable.values)) <= set(values.tolist()), name
    elif variable.dtype.kind == "i":
        raise AssertionError(f"{name} has codes and no flag_values")


def test_the_conventions_hold_for_logs_and_arrays(tmp_path: Path) -> None:
    """Clean and dirty clocks, with and without a date, arrays of sensors, phases."""
    run = full(tmp_path)
    dirty = Experiment.from_arrays(
        "dirty",
        [0.0, 1.0, 1.0, np.nan, 0.5],
        {"core": [20.0, np.nan, 21.0, 22.0, 23.0]},
        channels=[Channel("core", unit="degC", noise="1 K")],
    )
    rod = Experiment.from_arrays(
        "rod",
        [60.0],
        {f"tc{k}": [20.0 + k] for k in range(4)},
        channels=[Channel(f"tc{k}", unit="degC", noise="1 K", place=Place("rod", (k, "cm"))) for k in range(4)],
    )
    for one in (run, dirty, rod):
        one.save(tmp_path / "one.nc")
        check_file(tmp_path / "one.nc")
        assert Experiment.load(tmp_path / "one.nc") == one
    assert dirty.dataset["core"].dims == ("row",)
    assert dirty.dataset["core"].attrs["coordinates"] == "time"
    assert rod.dataset["rod"].dims == ("place_rod", "time")
    assert rod.dataset["rod_flag"].attrs["flag_meanings"] == "good not_evaluated suspect bad missing"


def test_another_reader_sees_dates(tmp_path: Path) -> None:
    """What decodes CF reads UTC: the file's clock is the log's, summer time taken off."""
    run = full(tmp_path)
    run.save(tmp_path / "charge.nc")
    with xr.open_dataset(tmp_path / "charge.nc", engine="h5netcdf") as decoded:
        assert decoded["time"].values[3] == np.datetime64("2026-04-17T06:03:00")
        assert "lot: L7" in decoded.attrs["comment"]


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
    refused(good.drop_vars("core_flag"), "damaged or was written by hand")
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


def test_a_coverage_factor_may_be_an_integer_and_context_keeps_its_order(tmp_path: Path) -> None:
    """k=2 is what certificates print; it is hashed and read back as the same number, and the print is the same."""
    sensor = Sensor("B", uncertainty=Uncertainty("1 K", k=2))
    run = Experiment.from_arrays(
        "run",
        [0.0, 1.0],
        {"core": [20.0, 21.0]},
        channels=[Channel("core", unit="degC", noise="1 K", sensor=sensor)],
        context={"shift": "B", "lot": "7"},
    )
    run.save(tmp_path / "run.nc")
    again = Experiment.load(tmp_path / "run.nc")
    assert again == run
    assert str(again) == str(run)


@pytest.mark.parametrize(
    "level",
    ["0.1 g/L", Uncertainty("0.4 g/L", k=3), EstimatedNoise("0.1 g/L", shared="lab")],
    ids=["sd", "k", "unknown"],
)
@pytest.mark.parametrize("shape", [{"proportional": "5 %"}, {"correlation_time": Estimated("10 min")}], ids=str)
def test_a_shaped_noise_comes_back_as_it_was_declared(tmp_path: Path, level: Any, shape: dict[str, Any]) -> None:
    """A level that is not in SI, or an expanded uncertainty: equal, of the same hash, and after a second trip too."""
    channel = Channel("c", unit="g/L", noise=Noise(level, **shape))
    run = Experiment.from_arrays("run", [0.0, 1.0], {"c": [1.0, 2.0]}, channels=[channel])
    run.save(tmp_path / "run.nc")
    back = Experiment.load(tmp_path / "run.nc")
    assert back["c"].channel == channel
    assert back == run and back.sha256 == run.sha256


def test_a_shaped_noise_of_a_record_without_its_level_is_read_in_si() -> None:
    """Records that have only what is beyond the level have that level in SI."""
    record = channel_record(Channel("c", unit="g/L", noise=Noise("0.1 g/L", proportional="5 %")))
    del record["noise_shape"]["level"]
    assert channel_from_record(record).noise == pytest.approx(0.1)
