"""Round trips of anything through every format that is written: what comes back is equal, to the last bit.

Experiments as NetCDF, alone and in a folder; tag tables as TOML and CSV; logs as Parquet. Drawn at random, with all
that each can hold.
"""

import datetime as dt
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st

from physics_twin.measurements import (
    Channel,
    EstimatedNoise,
    Exclusion,
    Experiment,
    Flag,
    Place,
    Provenance,
    RecordedInput,
    Series,
    Uncertainty,
    UnknownBias,
    UnknownDelay,
)
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.batches.collection import Experiments
from physics_twin.measurements.logs.conversion import convert_log
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.reading import read_log
from physics_twin.measurements.recorded_inputs import InputSensor
from physics_twin.measurements.relations.cross_checks import Pair
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.recipes import HOLD, RAMP, Recipe
from physics_twin.units import unit

# A file of NetCDF takes a third of a second to write and read; the numbers within one are many.
PROFILE = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CORPUS = Path(__file__).parent / "corpus"

any_number = st.floats(width=64)
finite = st.floats(-1e6, 1e6, allow_subnormal=False)
positive = st.floats(1e-3, 1e6)
reading = st.floats(-250.0, 1e6, allow_subnormal=False)  # of any unit, degC included
# What people write into remarks, and what files dislike: quotes, separators, line ends, other scripts, blanks.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs", "Cc"]), max_size=12)
remark = st.one_of(words, st.sampled_from(['said "go"; then, left', "zweite\nZeile", "=1+1", "  ", "'", "µ°²", "#"]))
one_line = remark.map(lambda text: " ".join(text.split()))
moment = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2060, 1, 1), timezones=st.just(dt.UTC))
serial = st.from_regex(r"[A-Z]{2}-[0-9]{3}", fullmatch=True)
type Noise = tuple[float, str] | Uncertainty | EstimatedNoise
DIFFERENCES = {"degC": "K", "bar": "bar", "W/(m2 K)": "W/(m2 K)", "1": "1", "percent": "percent"}


@st.composite
def sensors(draw: st.DrawFn, its_unit: str, its_serial: str) -> Sensor:
    """A sensor that fits a unit."""
    difference = DIFFERENCES[its_unit]
    readings = sorted(draw(st.lists(reading, max_size=3, unique_by=lambda x: round(x, 1))))
    correction = tuple(((one, its_unit), (draw(finite), difference)) for one in readings)
    uncertainty = draw(st.none() | st.builds(lambda a, k: Uncertainty((a, difference), k), positive, st.floats(1, 3)))
    return Sensor(its_serial, correction, uncertainty, draw(st.none() | st.dates()), draw(one_line))


@st.composite
def checks(draw: st.DrawFn, its_unit: str) -> Checks:
    """Declared limits."""
    difference = DIFFERENCES[its_unit]
    low, high = sorted(draw(st.tuples(reading, reading)))
    limits = {"low": (low, its_unit), "high": (high + 1.0, its_unit)}
    sizes = {key: (draw(positive), difference) for key in ("resolution", "deadband", "spike")}
    others = {
        "rate": (draw(positive), f"({difference})/s"),
        "flat": (draw(positive), "min"),
        "gap": (draw(positive), "h"),
    }
    kept = {key: value for key, value in {**limits, **sizes, **others}.items() if draw(st.booleans())}
    return Checks(**kept, zero_is_missing=draw(st.booleans()))


def noises(size: tuple[float, str], shared: str) -> list[Noise]:
    """The ways to state a noise."""
    return [size, Uncertainty(size, 3.0), EstimatedNoise(size), EstimatedNoise(size, shared)]


@st.composite
def channels(draw: st.DrawFn, output: str, its_serial: str) -> Channel:
    """A channel with all that can be known or unknown of it."""
    its_unit = draw(st.sampled_from(list(DIFFERENCES)))
    difference = DIFFERENCES[its_unit]
    size = (draw(positive), difference)
    noise: Noise = draw(st.sampled_from(noises(size, output + "s")))
    return Channel(
        output,
        column=draw(st.sampled_from(["T1", "31TI004.PV", "Wärmestrom [W]"])),
        unit=its_unit,
        noise=noise,
        bias=draw(st.sampled_from([None, (0.5, difference), UnknownBias(size)])),
        delay=draw(st.sampled_from([None, "20 s", UnknownDelay("0 s", "1 min")])),
        place=draw(st.sampled_from([None, Place("rod_" + output, "10 cm"), Place("map_" + output, "1 mm", "2 mm")])),
        sensor=draw(st.none() | sensors(its_unit, its_serial)),
        checks=draw(st.none() | checks(its_unit)),
    )


@st.composite
def experiments(draw: st.DrawFn, name: str = "run") -> Experiment:
    """An experiment with any numbers at any times."""
    series: dict[str, Series] = {}
    shared = draw(st.lists(any_number, max_size=6))
    for k in range(draw(st.integers(1, 3))):
        channel = draw(channels(f"y{k}", f"TC-00{k}"))
        times = shared if draw(st.booleans()) else draw(st.lists(any_number, max_size=6))
        n = len(times)
        reasons = tuple(draw(st.lists(remark, max_size=2)))

        def array(one: st.SearchStrategy[object], n: int = n) -> np.ndarray:
            return np.array(draw(st.lists(one, min_size=n, max_size=n)))

        def perhaps(one: st.SearchStrategy[object], n: int = n) -> np.ndarray | None:
            return array(one, n) if draw(st.booleans()) else None

        series[channel.output] = Series(
            channel,
            np.array(times),
            array(any_number),
            array(st.sampled_from([int(flag) for flag in Flag])),
            array(st.integers(0, len(reasons))),
            reasons,
            tuple(draw(st.lists(remark, max_size=2))),
            perhaps(st.sampled_from([-1, 0, 1])),
            perhaps(positive),
            perhaps(any_number),
        )
    counts = {flag: draw(st.integers(0, 9)) for flag in Flag}
    rule = draw(st.sampled_from([RAMP, HOLD]))
    behind = st.builds(InputSensor, sensors("degC", "TC-009"), finite, finite)
    recorded = RecordedInput(
        "gas", "31TI009", unit("degC"), rule, counts, ("bridged",), tuple(draw(st.lists(behind, max_size=2)))
    )
    low, high = sorted(draw(st.tuples(finite, finite)))
    exclusion = Exclusion(low, high, "door opened", by="J. Doe", channels=("y0",))
    key = st.from_regex(r"[a-z]{1,5}", fullmatch=True)
    return Experiment(
        name=name,
        series=series,
        recipe=Recipe.constant(gas="900 degC", wind=(draw(finite), "m/s")),
        provenance=Provenance(draw(one_line), "ab" * 32, {"sep": ";"}, (exclusion,), ("the first 3",)),
        context=draw(st.dictionaries(key, st.one_of(remark, finite, st.integers(-9, 9)), max_size=3)),
        inputs=(recorded,),
        notes=tuple(draw(st.lists(remark, max_size=2))),
        t0_utc=draw(st.none() | moment),
        phases=tuple(PhaseWindow(one, low, high) for one in draw(st.lists(one_line, max_size=2))),
    )


def assert_equal(again: Experiment, run: Experiment) -> None:
    """Compare all that an experiment holds, arrays bit for bit."""
    assert again == run
    assert again.sha256 == run.sha256
    assert again.phases == run.phases
    assert again.t0_utc == run.t0_utc
    assert (again.context, again.notes, again.inputs) == (run.context, run.notes, run.inputs)
    assert again.provenance == run.provenance
    for output, series in run.series.items():
        assert again[output] == series
        for key in ("times", "values", "noise_scale", "reported", "flags", "censored", "left_out"):
            mine, theirs = getattr(again[output], key), getattr(series, key)
            assert (mine is None) == (theirs is None)
            if mine is not None:
                assert mine.tobytes() == theirs.tobytes()
        assert again[output].channel == series.channel


@PROFILE
@given(run=experiments())
def test_any_experiment_comes_back_from_netcdf(tmp_path: Path, run: Experiment) -> None:
    """Samples, flags, limits of detection, noise by sample, sensors, checks, phases, remarks."""
    run.save(tmp_path / "run.nc")
    assert_equal(Experiment.load(tmp_path / "run.nc"), run)


@settings(PROFILE, max_examples=3)
@given(data=st.data())
def test_any_collection_comes_back_from_its_folder(tmp_path_factory: object, data: st.DataObject) -> None:
    """Every experiment, in its order, by its name."""
    folder = tmp_path_factory.mktemp("charges")  # type: ignore[attr-defined]
    runs = [data.draw(experiments(name)) for name in data.draw(st.permutations(["B-101", "B_102", "1.3"]))]
    Experiments(tuple(runs)).save(folder / "all")
    again = Experiments.load(folder / "all")
    assert [one.name for one in again] == [one.name for one in runs]
    for one, run in zip(again, runs, strict=True):
        assert_equal(one, run)


@st.composite
def tag_tables(draw: st.DrawFn) -> TagTable:
    """A table of tags, sensors, installations and pairs."""
    names = draw(
        st.lists(
            st.one_of(one_line.filter(bool), st.sampled_from(["31TI004.PV", "a,b", "t;u", '"q"'])),
            min_size=2,
            max_size=4,
            unique=True,
        )
    )
    its_unit = draw(st.sampled_from(list(DIFFERENCES)))
    difference = DIFFERENCES[its_unit]
    tags = []
    for k, name in enumerate(names):
        size = (draw(positive), difference)
        role = draw(st.sampled_from(["output", "input", "none"]))
        tags.append(
            Tag(
                name,
                output=f"y{k}" if role == "output" else None,
                input=f"u{k}" if role == "input" else None,
                unit=its_unit,
                noise=draw(st.sampled_from(noises(size, "shared"))) if role == "output" else None,
                bias=draw(st.sampled_from([None, (0.5, difference), UnknownBias(size)])) if role == "output" else None,
                delay=draw(st.sampled_from([None, "20 s", UnknownDelay("0 s", "1 min")])) if role == "output" else None,
                place=draw(st.sampled_from([None, Place("rod", "10 cm")])) if role == "output" else None,
                rule=draw(st.sampled_from([RAMP, HOLD])) if role == "input" else RAMP,
                checks=draw(checks(its_unit)),
                states=draw(st.dictionaries(one_line.filter(bool), finite, max_size=2)),
                description=draw(one_line),
            )
        )
    serials = draw(st.lists(serial, min_size=1, max_size=3, unique=True))
    installations: dict[tuple[str, dt.datetime | None], Installation] = {}
    for its_serial in serials:
        since = draw(st.none() | moment)
        name = draw(st.sampled_from(names))
        installations.setdefault((name, since), Installation(name, its_serial, since))
    pairs = (Pair(names[0], names[1], (draw(positive), difference)),) if draw(st.booleans()) else ()
    every = tuple(draw(sensors(its_unit, its_serial)) for its_serial in serials)
    return TagTable(tuple(tags), every, tuple(installations.values()), pairs)


@settings(PROFILE, max_examples=100)
@given(table=tag_tables(), suffix=st.sampled_from([".toml", ".csv"]))
def test_any_tag_table_comes_back(tmp_path: Path, table: TagTable, suffix: str) -> None:
    """From TOML and from CSV: tags, checks, states, sensors, when they were installed, pairs."""
    path = tmp_path / f"tags{suffix}"
    table.save(path)
    assert TagTable.load(path) == table


def test_every_log_of_the_corpus_comes_back_from_parquet(tmp_path: Path) -> None:
    """What convert_log writes holds the same samples, flags, limits of detection and moments as the text."""
    n = 0
    for name, layout in [
        ("censored.csv", Layout()),
        ("bad_input.csv", Layout()),
        ("opc_da.csv", Layout()),
        ("long_text_tag.csv", Layout()),
        ("text_column.csv", Layout()),
        ("autumn_long.csv", Layout(zone="Europe/Berlin")),
        ("spring.csv", Layout(zone="Europe/Berlin")),
        ("unit_row.csv", Layout()),
        ("short_rows.csv", Layout()),
    ]:
        out = tmp_path / f"{name}.parquet"
        convert_log(CORPUS / name, out, layout=layout)
        text, parquet = read_log(CORPUS / name, layout=layout), read_log(out)
        assert set(parquet.samples) == set(text.samples)
        for one in text:
            again = parquet[one.tag]
            assert again.flags.tolist() == one.flags.tolist(), name
            if one.states:
                known = np.isfinite(one.values)
                assert [again.states[int(v)] for v in again.values[known]] == [
                    one.states[int(v)] for v in one.values[known]
                ]
            else:
                np.testing.assert_array_equal(again.values, one.values)
            assert again.unit == one.unit
            mine, theirs = ([0] * x.n if x.censored is None else x.censored.tolist() for x in (again, one))
            assert mine == theirs
            assert parquet.origin is not None
            assert text.origin is not None
            offset = (parquet.origin - text.origin).total_seconds()
            np.testing.assert_allclose(again.times + offset, one.times, rtol=0.0, atol=1e-6)
            n += one.n
    assert n > 30
