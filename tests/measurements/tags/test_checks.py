"""Checks of samples against what is declared of their sensor: what each must mark, and what it must leave alone."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ShapeError, UnitError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.tags.checks import Checked, Checks, check_samples
from physics_twin.units import unit

DEGC, BARG = unit("degC"), unit("barg")


def check(
    values: list[float] | Array, checks: Checks, *, times: Array | None = None, compressed: bool | None = None
) -> Checked:
    """Samples at 1 s in degC, all good before."""
    v = np.asarray(values, dtype=float)
    t = np.arange(v.size, dtype=float) if times is None else times
    flags = np.where(np.isfinite(v), Flag.GOOD, Flag.MISSING).astype(np.int8)
    return check_samples(t, v, flags, checks, DEGC, compressed=compressed, name="core")


def marked(found: Checked) -> list[int]:
    return np.flatnonzero(found.flags > Flag.NOT_EVALUATED).tolist()


def test_nothing_declared_marks_nothing() -> None:
    """A quench, a spike, a flat line and a gap: without limits nobody can tell them from a process."""
    v = np.concatenate([np.full(50, 900.0), [20.0], np.full(50, 900.0), np.full(50, 30.0)])
    found = check(v, Checks())
    assert (found.flags == Flag.GOOD).all()
    assert found.censored is None
    assert found.notes == ()


def test_values_outside_the_range_are_bad() -> None:
    """The range may be declared in another unit than that of the log."""
    found = check([20.0, -50.0, 1300.0, 100.0], Checks(low="273.15 K", high="1200 degC"))
    assert found.flags.tolist() == [1, 4, 4, 1]
    assert found.notes == (
        "outside the range of the sensor, 273.15 K to 1200 degC (-50 to 1300 degC): 2 samples, the first at 1 s: bad",
    )
    found = check([20.0, 200.0, 0.0, 0.0, 0.0], Checks(low="32 degF", high="212 degF"))
    assert found.notes == (
        "outside the range of the sensor, 32 to 212 degF (200 degC): 1 sample, the first at 1 s: bad",
        "saturated at the lower end of the range, 32 degF: 3 samples, the first at 2 s: the truth may lie below",
    ), "as declared: converted, 32 degF is not quite 0 degC"
    assert "range of the sensor, above 0 degC (-1 degC)" in check([-1.0, 5.0], Checks(low="0 degC")).notes[0]


def test_a_range_is_that_of_the_readings_not_of_si() -> None:
    """A gauge pressure of 0 barg is at the end of 0 to 10 barg, though it is 1.01325 bar."""
    v = np.array([0.0, 5.0, 10.1, -0.1])
    found = check_samples(np.arange(4.0), v, np.ones(4, np.int8), Checks(low="0 barg", high="10 barg"), BARG)
    assert found.flags.tolist() == [1, 1, 4, 4]


def test_several_samples_at_an_end_are_saturated_and_one_is_not() -> None:
    """Censored, not bad: the truth lies at the end or beyond."""
    v = [50.0, 100.0, 50.0, 100.0, 100.0, 100.0, 60.0, 0.0, 0.0, 0.0, 0.0]
    found = check(v, Checks(low="0 degC", high="100 degC"))
    assert found.censored is not None
    assert found.censored.tolist() == [0, 0, 0, 1, 1, 1, 0, -1, -1, -1, -1]
    assert (found.flags == Flag.GOOD).all()
    assert found.notes[1] == (
        "saturated at the upper end of the range, 100 degC: 3 samples, the first at 3 s: the truth may lie above"
    )
    found = check([50.0, 100.0, 100.0, 60.0], Checks(high="100 degC"), compressed=True)
    assert found.censored is not None
    assert found.censored.tolist() == [0, 1, 1, 0]


def test_censored_cells_stay_so_and_are_not_judged_as_values() -> None:
    """ "<5" after 80 is no spike."""
    v = np.array([80.0, 80.0, 5.0, 80.0, 80.0])
    before = np.array([0, 0, -1, 0, 0], np.int8)
    found = check_samples(
        np.arange(5.0), v, np.ones(5, np.int8), Checks(spike="10 K", rate="1 K/s"), DEGC, censored=before
    )
    assert found.flags.tolist() == [1] * 5
    assert found.censored is not None
    assert found.censored.tolist() == before.tolist()


def test_zero_is_missing_only_where_it_is_declared() -> None:
    """Zero on the display, in the unit of the log: 0 degC and not 0 K."""
    v = [20.0, 0.0, 21.0, -0.0]
    assert check(v, Checks(zero_is_missing=True)).flags.tolist() == [1, 9, 1, 9]
    assert check(v, Checks(low="10 degC", zero_is_missing=True)).flags.tolist() == [1, 9, 1, 9]
    assert check(v, Checks(low="10 degC")).flags.tolist() == [1, 4, 1, 4]


def test_a_change_too_quick_is_suspect_in_the_sample_after_it() -> None:
    """Judged per second, whatever the step of the clock."""
    t = np.array([0.0, 1.0, 11.0, 12.0, 13.0])
    v = [20.0, 21.0, 60.0, 90.0, 91.0]
    assert marked(check(v, Checks(rate="5 K/s"), times=t)) == [3]
    assert marked(check(v, Checks(rate="0.5 degC/min"), times=t)) == [1, 2, 3, 4]
    assert check(v, Checks(rate="5 K/s"), times=t).notes == (
        "change quicker than 5 K per second: 1 sample, the first at 12 s: suspect",
    )


def test_the_way_back_from_an_outlier_is_not_held_against_the_next_sample() -> None:
    """One outlier, one mark; a process that stays where it jumped is marked where it jumps, both ways."""
    limit = Checks(rate="1 K/s")
    assert marked(check([20, 20, 50, 20, 20], limit)) == [2]
    assert marked(check([20, 50, 20, 50, 20], limit)) == [1, 3]
    assert marked(check([20, 20, 50, 50, 50, 20, 20], limit)) == [2, 5]


def test_one_step_of_the_converter_is_no_rate() -> None:
    """0.5 K at 10 ms is 50 K/s on paper; with the resolution declared it is rounding."""
    t = 0.01 * np.arange(200)
    v = np.round((20.0 + 0.2 * t) / 0.5) * 0.5
    assert marked(check(v, Checks(rate="1 K/s"), times=t))
    assert not marked(check(v, Checks(rate="1 K/s", resolution="0.5 K"), times=t))


def test_bad_samples_do_not_stand_between_others() -> None:
    """20 -> 9999 -> 20 is no quick change once 9999 is out of range, nor is a text a neighbor."""
    found = check([20.0, 9999.0, 20.0, np.nan, 20.5], Checks(high="1200 degC", rate="1 K/s", spike="5 K"))
    assert found.flags.tolist() == [1, 4, 1, 9, 1]


def test_a_spike_stands_out_on_both_sides_and_a_quench_does_not() -> None:
    """The mean of the neighbors, as QARTOD has it, would mark the foot of every step."""
    limit = Checks(spike="10 K")
    assert marked(check([20, 20, 45, 20, 20], limit)) == [2]
    assert marked(check([20, 20, -45, 21, 20], limit)) == [2]
    assert marked(check([900, 900, 900, 30, 30, 30], limit)) == []
    assert marked(check([20, 20, 29, 20, 20], limit)) == []
    assert marked(check([45, 20, 20, 20, 45], limit)) == []  # the ends have one neighbor
    assert marked(check([20, 40, 60, 80, 60, 40], limit)) == [3]  # a climb stands out on no side, its top does


def test_the_top_of_a_slow_rise_is_no_spike_in_compressed_data() -> None:
    """Swinging door leaves one point at the top of a triangle; the points beside a true spike are one scan away."""
    t = np.array([0.0, 3600.0, 7200.0, 7201.0, 7202.0, 9000.0, 9001.0])
    v = [20.0, 90.0, 20.0, 60.0, 20.0, 21.0, 21.0]
    assert marked(check(v, Checks(spike="10 K"), times=t, compressed=True)) == [3]
    assert marked(check(v, Checks(spike="10 K", deadband="0.5 K"), times=t)) == [3]
    assert marked(check(v, Checks(spike="10 K"), times=t)) == [1, 2, 3]


def test_a_flat_line_counts_from_the_declared_time_on() -> None:
    """All of it is suspect; and none in compressed data, where a line is interpolation."""
    v = np.concatenate([20.0 + np.arange(10.0), np.full(60, 30.0), 31.0 + np.arange(10.0)])
    assert marked(check(v, Checks(flat="58 s"))) == list(range(10, 70))
    assert marked(check(v, Checks(flat="60 s"))) == []
    assert check(v, Checks(flat="30 s")).notes == (
        "one value for longer than 30 s: 60 samples, the first at 10 s; the longest time is 59 s at 30 degC from 10 s "
        "on: suspect",
    )
    compressed = check(v, Checks(flat="30 s", deadband="0.5 K"))
    assert marked(compressed) == []
    assert "compressed" in compressed.notes[0]


def test_compression_that_nobody_declared_is_seen() -> None:
    """A record of exception reporting, repeated every second: its flat lines are the historian's."""
    rng = np.random.default_rng(1)
    truth = 50.0 + np.cumsum(0.05 * rng.standard_normal(4000))
    kept = [0]
    for i in range(1, truth.size):
        if abs(truth[i] - truth[kept[-1]]) > 0.5:
            kept.append(i)
    held = np.repeat(truth[kept], np.diff([*kept, truth.size]))
    assert marked(check(held, Checks(flat="1 min"))) == []
    assert marked(check(held, Checks(flat="1 min"), compressed=False))


def test_gaps_are_counted_against_the_declared_time() -> None:
    """A note and no flag: what is not there cannot be marked."""
    t = np.array([0.0, 10.0, 100.0, 110.0, 400.0])
    found = check(np.full(5, 20.0), Checks(gap="1 min"), times=t)
    assert found.notes == ("2 gaps longer than 60 s, the longest 4.83 min from 110 s on",)
    assert (found.flags == Flag.GOOD).all()


@pytest.mark.parametrize(
    ("checks", "error", "words"),
    [
        (Checks(low="1 bar"), UnitError, "low of core"),
        (Checks(rate="5 K"), UnitError, "rate of core"),
        (Checks(flat="5 K"), UnitError, "flat of core"),
        (Checks(low="10 degC", high="0 degC"), BoundsError, "core: the range from 10 to 0 degC"),
        (Checks(resolution="0 K"), BoundsError, "resolution of core is 0 K"),
        (Checks(gap="-5 s"), BoundsError, "gap of core"),
    ],
)
def test_limits_that_do_not_fit_are_refused_by_name(checks: Checks, error: type[Exception], words: str) -> None:
    """The sensor and the limit are named."""
    with pytest.raises(error, match=words):
        check([20.0], checks)


def test_arrays_of_unequal_length_are_refused() -> None:
    """Before anything is compared."""
    with pytest.raises(ShapeError, match="3 times"):
        check_samples(np.zeros(3), np.zeros(2), np.ones(3, np.int8), Checks(), DEGC)


def test_quantities_compare_however_they_were_written() -> None:
    """So a table equals itself after a file; a resolution in degC is a difference."""
    assert Checks(low="0 degC", resolution=(0.5, "degC")) == Checks(low=(0, "degC"), resolution="0.5 degC")
    assert Checks(resolution="0.5 degC").limits(DEGC).resolution == 0.5
    assert Checks(resolution="0.9 degF").limits(DEGC).resolution == pytest.approx(0.5)


SAMPLES = arrays(
    float, st.integers(0, 40), elements=st.sampled_from([0.0, 20.0, 20.5, 21.0, 60.0, 100.0, np.nan, 200.0])
)


@settings(deadline=None, max_examples=200)
@given(SAMPLES, st.booleans())
def test_flags_only_get_graver_and_order_is_kept(values: Array, compressed: bool) -> None:
    """Whatever comes in: nothing is deleted, values stay, no flag is improved, and what is bad stays bad."""
    flags = np.array([[1, 2, 3, 4, 9][k % 5] for k in range(values.size)], dtype=np.int8)
    kept, kept_flags = values.copy(), flags.copy()
    checks = Checks(
        low="0 degC", high="100 degC", rate="3 K/s", spike="10 K", flat="5 s", gap="3 s", zero_is_missing=True
    )
    t = np.arange(values.size, dtype=float)
    found = check_samples(t, values, flags, checks, DEGC, compressed=compressed)
    np.testing.assert_array_equal(values, kept)
    np.testing.assert_array_equal(flags, kept_flags)
    assert (found.flags >= flags).all()
    again = check_samples(t, values, found.flags, checks, DEGC, compressed=compressed, censored=found.censored)
    np.testing.assert_array_equal(again.flags[found.flags >= Flag.BAD], found.flags[found.flags >= Flag.BAD])
