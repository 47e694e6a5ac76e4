"""Two sensors of one quantity: a drift is found in time, chance is not called one."""

import numpy as np
import pytest

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, UnitError
from physics_twin.measurements import Channel, Flag, Series
from physics_twin.measurements.relations.cross_checks import Pair, cross_check

N = 3000
T = 10.0 * np.arange(N)
TRUTH = 300.0 + 200.0 * np.sin(T / 5000.0)


def series(output: str, values: Array, times: Array = T, *, unit: str = "degC", noise: str = "0.5 K") -> Series:
    n = times.size
    channel = Channel(output, unit=unit, noise=noise)
    return Series(channel, times, values + 273.15, np.ones(n, np.int8), np.zeros(n, np.int8))


def noisy(seed: int, times: Array = T, sd: float = 0.5) -> Array:
    truth = 300.0 + 200.0 * np.sin(times / 5000.0)
    return truth + sd * np.random.default_rng(seed).standard_normal(times.size)


def test_sensors_that_agree_are_left_alone() -> None:
    """Fifty records, each at the edge of the tolerance: no alarm, as one in a thousand records would have."""
    for seed in range(50):
        found = cross_check(series("a", noisy(seed) + 3.0), series("b", noisy(1000 + seed)), "3 K")
        assert found.ranges == ()
        assert found.notes == ()
        assert (found.first.flags == Flag.GOOD).all()


def test_a_drift_makes_both_suspect_from_where_it_leaves_the_tolerance() -> None:
    """Neither is called the wrong one; the range begins and ends where the difference passes the tolerance."""
    drift = np.clip((T - 10000.0) / 1000.0, 0.0, 8.0)  # 3 K at 13000 s
    drift[T > 24000.0] = 0.0
    for sign in (1.0, -1.0):
        found = cross_check(series("a", noisy(1) + sign * drift), series("b", noisy(2)), "3 K")
        ((begin, end),) = found.ranges
        assert begin == pytest.approx(13000.0, abs=500.0)
        assert end == pytest.approx(24000.0, abs=100.0)
        inside = (begin <= T) & (end >= T)
        for one in (found.first, found.second):
            assert (one.flags[inside] == Flag.SUSPECT).all()
            assert (one.flags[~inside] == Flag.GOOD).all()
            assert one.used.all()
            assert one.notes == found.notes
        (note,) = found.notes
        assert "a shows" in note
        assert ("more than b" if sign > 0 else "less than b") in note
        assert "nobody can tell which" in note


def test_lone_outliers_are_no_disagreement() -> None:
    """However large: one sample of one sensor is a matter of its own checks."""
    values = noisy(3)
    values[[100, 900, 2000]] += 500.0
    assert cross_check(series("a", values), series("b", noisy(4)), "3 K").ranges == ()


def test_each_disagreement_has_its_range() -> None:
    """Two of them, of either sign."""
    values = noisy(5)
    values[500:700] += 10.0
    values[1500:1800] -= 10.0
    ranges = cross_check(series("a", values), series("b", noisy(6)), "3 K").ranges
    assert np.array(ranges) == pytest.approx(np.array([[5000.0, 6990.0], [15000.0, 17990.0]]), abs=60.0)


def test_sensors_read_at_different_times_are_compared_by_interpolation() -> None:
    """And not across a gap of the second."""
    times = np.sort(np.random.default_rng(7).uniform(0.0, T[-1], 2000))
    times = times[(times < 10000.0) | (times > 15000.0)]
    other = series("b", noisy(8, times), times)
    assert cross_check(series("a", noisy(9)), other, "3 K").ranges == ()
    wrong = noisy(9)
    wrong[(T > 10100.0) & (T < 14900.0)] += 50.0
    assert cross_check(series("a", wrong), other, "3 K").ranges == ()


def test_samples_that_are_not_trusted_take_no_part() -> None:
    """Bad, missing or censored."""
    values = noisy(10)
    values[500:700] += 50.0
    plain = series("a", values)
    flags = plain.flags.copy()
    flags[500:700] = Flag.BAD
    censored = np.zeros(N, np.int8)
    censored[500:700] = 1
    for marked in (
        Series(plain.channel, T, plain.values, flags, plain.left_out),
        Series(plain.channel, T, plain.values, plain.flags, plain.left_out, censored=censored),
    ):
        found = cross_check(marked, series("b", noisy(11)), "3 K")
        assert found.ranges == ()
        np.testing.assert_array_equal(found.first.flags, marked.flags)


def test_noise_that_is_larger_than_declared_is_seen() -> None:
    """A noise declared ten times too small is no reason to cry wolf."""
    for seed in range(10):
        first = series("a", noisy(seed, sd=2.0), noise="0.2 K")
        assert cross_check(first, series("b", noisy(99 + seed, sd=2.0), noise="0.2 K"), "1 K").ranges == ()


def test_too_little_to_compare_is_said() -> None:
    """Without a verdict."""
    few = T[:5]
    found = cross_check(series("a", noisy(1, few), few), series("b", noisy(2, few), few), "3 K")
    assert found.notes == ("a and b have 5 samples to compare: no verdict",)
    nothing = series("a", np.full(5, np.nan), few)
    assert "0 samples" in cross_check(nothing, series("b", noisy(2, few), few), "3 K").notes[0]


def test_what_cannot_be_compared_is_refused() -> None:
    """By the names of the outputs."""
    hot = series("a", noisy(1))
    with pytest.raises(UnitError, match="a is in degC and p in bar"):
        cross_check(hot, series("p", noisy(2), unit="bar", noise="1 bar"), "3 K")
    with pytest.raises(UnitError, match="tolerance of a and b"):
        cross_check(hot, series("b", noisy(2)), "3 bar")
    with pytest.raises(BoundsError, match="below 0"):
        cross_check(hot, series("b", noisy(2)), "-3 K")


def test_a_tolerance_in_degc_is_a_difference() -> None:
    """3 degC are 3 K, not 276."""
    values = noisy(5) + 10.0
    assert cross_check(series("a", values), series("b", noisy(6)), "3 degC").ranges
    assert Pair("x", "y", "3 degC").tolerance == (3.0, "degC")
