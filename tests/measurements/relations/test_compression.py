"""Compression: what a simulated historian has done is recognized, and what is raw is left alone."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from physics_twin import datasets
from physics_twin.arrays import Array
from physics_twin.errors import ShapeError
from physics_twin.measurements import read_table
from physics_twin.measurements.relations.compression import CompressionKind, compression
from physics_twin.measurements.tables import numbers
from tests.data_marks import needs_data

NONE, EXCEPTION, DOOR, INTERPOLATED = CompressionKind
N = 6000


# A historian ---------------------------------------------------------------------------------------------------------


def swinging_door(t: Array, v: Array, deviation: float, longest: float = np.inf) -> NDArray[np.intp]:
    """Return the rows that are archived: the last one from which a line still passes all since the one before."""
    kept, last = [0], 0
    steepest, flattest = np.inf, -np.inf
    for i in range(1, t.size):
        slope = (v[i] - v[last]) / (t[i] - t[last])
        if not flattest <= slope <= steepest or t[i] - t[last] > longest:
            last = max(i - 1, last + 1)
            kept.append(last)
            steepest, flattest = np.inf, -np.inf
        if i > last:
            steepest = min(steepest, (v[i] + deviation - v[last]) / (t[i] - t[last]))
            flattest = max(flattest, (v[i] - deviation - v[last]) / (t[i] - t[last]))
    return np.array(kept)


def exception(v: Array, deadband: float, longest: int = 10**9, previous: bool = False) -> NDArray[np.intp]:
    """Return the rows whose value has left the band around the last one kept; previous: with the row before each."""
    kept = [0]
    for i in range(1, v.size):
        if abs(v[i] - v[kept[-1]]) > deadband or i - kept[-1] >= longest:
            if previous and kept[-1] < i - 1:
                kept.append(i - 1)
            kept.append(i)
    return np.array(kept)


def signals(rng: np.random.Generator) -> dict[str, Array]:
    """A drift, an oscillation, steps through a lag, and ramps; each moves by some 20 in 6000 s."""
    t = np.arange(N, dtype=float)
    steps = np.repeat(15.0 * rng.standard_normal(4), N // 4)
    return {
        "drift": np.asarray(lfilter([0.3], [1.0, -0.999], rng.standard_normal(N))),
        "sine": 20.0 * np.sin(2.0 * np.pi * t / 3000.0),
        "steps": np.asarray(lfilter([0.005], [1.0, -0.995], steps)),
        "ramps": np.interp(t, np.linspace(0.0, N, 5), 20.0 * rng.standard_normal(5)),
    }


CASES = [
    (name, noise, deviation, seed)
    for name in ("drift", "sine", "steps", "ramps")
    for noise in (0.1, 0.5)
    for deviation in (0.5, 1.0, 2.0)
    for seed in (1, 2)
]


class Simulated(NamedTuple):
    """A record of N seconds, a deviation for the historian, and the rows that swinging door keeps."""

    t: Array
    v: Array
    deviation: float
    kept: NDArray[np.intp]


@functools.cache
def records() -> list[Simulated]:
    made = {seed: signals(np.random.default_rng(seed)) for seed in (1, 2)}
    t = np.arange(N, dtype=float)
    found = []
    for name, noise, deviation, seed in CASES:
        rng = np.random.default_rng(100 + seed)
        v = np.round(made[seed][name] + noise * rng.standard_normal(N), 3)
        found.append(Simulated(t, v, deviation, swinging_door(t, v, deviation)))
    return found


def record(name: str, noise: float, deviation: float, seed: int) -> Simulated:
    return records()[CASES.index((name, noise, deviation, seed))]


def recognized(
    make: Callable[[Simulated], tuple[Array, Array]], kind: CompressionKind, least: int = 100
) -> tuple[float, Array]:
    """Return the share of records of which `make` is recognized as `kind`, and the deadbands over the true ones.

    Records of which more than a 2.5th part or fewer than `least` samples are archived say too little to count.
    """
    found, ratios = [], []
    for one in records():
        if not least <= one.kept.size < N / 2.5:
            continue
        result = compression(*make(one))
        found.append(result.kind is kind)
        if result.kind is kind and result.deadband is not None:
            ratios.append(result.deadband / one.deviation)
    assert len(found) >= 10
    return float(np.mean(found)), np.array(ratios)


def test_swinging_door_is_recognized() -> None:
    """In nine records of ten, and its deviation within a factor of four."""
    for longest in (np.inf, 600.0):

        def make(one: Simulated, longest: float = longest) -> tuple[Array, Array]:
            kept = one.kept if np.isinf(longest) else swinging_door(one.t, one.v, one.deviation, longest)
            return one.t[kept], one.v[kept]

        rate, ratios = recognized(make, DOOR)
        assert rate >= 0.9
        assert ((ratios > 0.25) & (ratios < 4.0)).all()


def test_exception_reporting_is_recognized_with_its_deadband() -> None:
    """In all records, with and without a longest time; the deadband within a quarter."""
    for longest in (10**9, 300):

        def make(one: Simulated, longest: int = longest) -> tuple[Array, Array]:
            kept = exception(one.v, one.deviation, longest)
            return one.t[kept], one.v[kept]

        rate, ratios = recognized(make, EXCEPTION)
        assert rate == 1.0
        assert ((ratios > 0.99) & (ratios < 1.25)).all()


def test_exception_reporting_that_repeats_is_recognized() -> None:
    """Written every second with the last value: the true samples are counted."""

    def make(one: Simulated) -> tuple[Array, Array]:
        kept = exception(one.v, one.deviation)
        return one.t, np.repeat(one.v[kept], np.diff(np.append(kept, N)))

    rate, ratios = recognized(make, EXCEPTION, least=200)
    assert rate >= 0.75  # where more than a third of the rows are exceptions it is told from noise no more
    assert ((ratios > 0.99) & (ratios < 1.25)).all()
    one = record("drift", 0.1, 1.0, 1)
    assert compression(*make(one)).n_samples == pytest.approx(exception(one.v, 1.0).size, rel=0.01)


def test_the_value_before_a_change_does_not_hide_the_deadband() -> None:
    """Some historians archive it, too; without it the changes have their edge again."""
    t, v, _, _ = record("drift", 0.1, 1.0, 1)
    kept = exception(v, 1.0, previous=True)
    result = compression(t[kept], v[kept])
    assert result.kind is EXCEPTION
    assert "before the change" in result.words
    assert result.deadband == pytest.approx(1.0, rel=0.25)


@pytest.mark.parametrize("digits", [2, 3, 15])
def test_interpolation_onto_regular_times_is_recognized(digits: int) -> None:
    """In nine records of ten; as many true samples as were archived, within a factor of three."""
    counts = []

    def make(one: Simulated) -> tuple[Array, Array]:
        interpolated = np.round(np.interp(one.t, one.t[one.kept], one.v[one.kept]), digits)
        result = compression(one.t, interpolated)
        if result.kind is INTERPOLATED:
            counts.append(result.n_samples / one.kept.size)
        return one.t, interpolated

    rate, ratios = recognized(make, INTERPOLATED)
    assert rate >= 0.9
    assert ((ratios > 0.25) & (ratios < 4.0)).all()
    assert 1.0 / 3.0 < min(counts) < max(counts) < 3.0
    assert 0.6 < float(np.median(counts)) < 1.4  # the pieces that rounding hides are missing


def test_single_precision_does_not_hide_interpolation() -> None:
    """Historians keep it, and exports print all its digits: 20.530000686645508."""
    t, v, _, kept = record("drift", 0.1, 1.0, 1)
    single = np.interp(t, t[kept], v[kept]).astype(np.float32).astype(np.float64)
    assert compression(t, single).kind is INTERPOLATED


# What is raw ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("digits", [1, 3, 15])
def test_raw_samples_are_left_alone(noise: float, digits: int) -> None:
    """Read on a clock, with jitter, with rows missing, by a coarse converter, or once in a hundred rows."""
    for seed in range(2):
        rng = np.random.default_rng(seed)
        for name, signal in signals(rng).items():
            if name == "ramps" and noise == 0.0:
                continue  # a program of ramps is straight by right
            t = np.arange(N, dtype=float)
            v = np.round(signal + noise * rng.standard_normal(N), digits)
            some = rng.random(N) < 0.8
            raw = {
                "clock": (t, v),
                "jitter": (t + 0.9 * rng.random(N), v),
                "missing": (t[some], v[some]),
                "coarse": (t, np.round(v / 0.32) * 0.32),
                "held": (t, np.repeat(v[::100], 100)),
                "thinned": (t[::60], v[::60]),
            }
            for way, (times, values) in raw.items():
                result = compression(times, values)
                assert not result.compressed, (name, way, result.words)
                assert result.deadband is None


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_ramps_read_by_a_converter_are_left_alone(noise: float) -> None:
    """A jacket heated at 0.7 K/min, with noise below the last digit or above, read each minute or at odd times."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = [0.0], [60.0]
        while x[-1] < 2800.0:
            goal = float(rng.choice([60.0, 80.0, 95.0, 110.0]))
            x.append(x[-1] + max(1.0, abs(goal - y[-1]) / float(rng.choice([0.1, 0.35, 0.7, 1.3]))))
            x.append(x[-1] + float(rng.integers(20, 200)))
            y += [goal, goal]
        minutes = np.arange(2800.0)
        v = np.round(np.interp(minutes, x, y) + noise * rng.standard_normal(2800), 1)
        assert not compression(60.0 * minutes, v).compressed
        odd = minutes + 0.4 * rng.random(2800)
        assert not compression(60.0 * odd, np.round(20.0 + 0.7 * odd, 1)).compressed


def test_counters_set_points_and_switches_are_left_alone() -> None:
    """Steps of one size, few steps, two levels."""
    rng = np.random.default_rng(3)
    t = np.arange(2000.0)
    for v in (
        np.cumsum(rng.random(2000) < 0.3).astype(float),
        np.repeat([20.0, 80.0, 40.0, 95.0], 500),
        (rng.random(2000) < 0.5).astype(float),
        np.full(2000, 20.0),
        np.zeros(2000),
    ):
        assert not compression(t, v).compressed


def test_too_few_samples_are_no_ground_for_a_verdict() -> None:
    """Nor are none."""
    for n in (0, 1, 39):
        result = compression(np.arange(float(n)), np.arange(float(n)))
        assert result.kind is NONE
        assert "too few" in result.words
    with pytest.raises(ShapeError, match="times have the shape"):
        compression(np.zeros(3), np.zeros(2))


def test_what_is_not_there_takes_no_part() -> None:
    """NaN, and rows whose time goes back."""
    t, v, _, _ = record("drift", 0.1, 1.0, 1)
    kept = exception(v, 1.0)
    times, values = t[kept].copy(), v[kept].copy()
    times, values = np.insert(times, 7, [np.nan, 0.0, 1e9 * 0.0]), np.insert(values, 7, [3.0, 4.0, np.nan])
    assert compression(times, values).kind is EXCEPTION


def test_a_long_record_is_judged_by_its_middle() -> None:
    """In the same words and for the whole of it."""
    t, v, _, kept = record("drift", 0.1, 1.0, 1)
    short = np.interp(t, t[kept], v[kept]).round(3)
    n = 20
    result = compression(np.arange(float(n * N)), np.tile(short, n))
    assert result.kind is INTERPOLATED
    assert result.n_samples == pytest.approx(n * compression(t, short).n_samples, rel=0.05)
    assert "rows in the middle" in result.words


RECORDS = [
    ("tclab", "mimo_1s_600.csv"),
    ("tclab", "siso_1s_601.csv"),
    ("macfp_pmma_capa", None),
    ("literature_kinetics", None),
]


@needs_data("tclab")
@needs_data("macfp_pmma_capa")
@needs_data("literature_kinetics")
@pytest.mark.parametrize(("name", "file"), RECORDS)
def test_measured_records_are_left_alone(name: str, file: str | None) -> None:
    """Every column of numbers against the first."""
    data = datasets.load(name)
    for one in [file] if file else [each for each in data.files if each.endswith(".csv")]:
        assert one is not None
        table = read_table(data.path(one))
        columns = [numbers(table[column], table, column).values for column in table.columns]
        for values in columns[1:]:
            assert not compression(columns[0], values).compressed, one
