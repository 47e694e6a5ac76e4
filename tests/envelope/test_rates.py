"""Rates of change: exact for parabolas, converging elsewhere, honest at jumps and about windows."""

import numpy as np
import pytest

from physics_twin.envelope import rate
from physics_twin.envelope.limits.reductions import LOWER, UPPER
from physics_twin.errors import EnvelopeError, UnitError
from physics_twin.units import unit

ONE, DEGC = unit("1"), unit("degC")


def course(function, n=33, end=1.0, grading=1.5):
    t = end * (np.arange(n) / (n - 1)) ** grading
    return t[None], function(t)[None]


def test_a_rate_is_a_difference_per_minute():
    assert rate.unit(DEGC) == unit("K/min")
    assert rate.label("core", DEGC) == "rate of core"
    assert rate(over="5 min").label("core", DEGC) == "rate of core over 5 min"


def test_the_steepest_rise_and_fall_of_a_parabola_are_exact_at_the_ends_of_the_run():
    t, y = course(lambda t: 3.0 * t - 4.0 * t**2)
    assert rate(t, y, UPPER, ONE)[0] == pytest.approx(3.0, rel=1e-10)
    assert rate(t, y, LOWER, ONE)[0] == pytest.approx(-5.0, rel=1e-10)


def test_the_steepest_moment_of_a_smooth_course_converges_with_fourth_order_on_even_grids():
    """sin 5t is steepest where no sample need stand; the rate there is 5. Means of intervals alone have order two."""
    errors = []
    for n in (17, 33, 65, 129):
        worst = 0.0
        for shift in np.linspace(0.3, 0.35, 11):
            t, y = course(lambda t, s=shift: np.sin(5.0 * (t - s)), n, grading=1.0)
            worst = max(worst, abs(rate(t, y, UPPER, ONE)[0] - 5.0))
        errors.append(worst)
    assert np.log2(np.array(errors[:-1]) / errors[1:]).min() > 3.5


def test_the_rate_of_a_clipped_ramp_is_that_of_the_ramp():
    """A cubic through the corner would be steeper than anything that happened: 12 % here, of which 3 % are left."""
    t, y = course(lambda t: np.minimum(3.0 * t, 1.0), n=20, grading=1.0)
    assert rate(t, y, UPPER, ONE)[0] == pytest.approx(3.0, rel=0.03)
    assert rate(t, y, LOWER, ONE)[0] == pytest.approx(0.0, abs=0.1)


def two_phases(jump, drift=0.0):
    left, right = np.linspace(0.0, 1.0, 9), np.linspace(1.0, 2.0, 9)
    t = np.concatenate([left, right])[None]
    return t, np.concatenate([2.0 * left, 2.0 + jump + drift - 3.0 * (right - 1.0)])[None]


def test_a_kink_between_phases_has_the_rates_of_its_sides():
    """The second value of a double node differs from the first by the integrator's rounding: that is no rate."""
    for drift in (0.0, 1e-7, -1e-7):
        t, y = two_phases(0.0, drift)
        assert rate(t, y, UPPER, ONE)[0] == pytest.approx(2.0, rel=1e-6)
        assert rate(t, y, LOWER, ONE)[0] == pytest.approx(-3.0, rel=1e-6)


def test_a_course_that_falls_all_the_time_has_a_negative_highest_rate():
    """Also with a double node: nothing rises there."""
    t = np.array([[0.0, 0.5, 1.0, 1.0, 1.5, 2.0]])
    assert rate(t, -2.0 * t, UPPER, ONE)[0] == pytest.approx(-2.0)


def test_a_jump_counts_as_a_rise_within_the_interval_beside_it():
    t, y = two_phases(0.5)
    assert rate(t, y, UPPER, ONE)[0] == pytest.approx(0.5 / 0.125 + 2.0)
    assert rate(t, two_phases(-0.5)[1], LOWER, ONE)[0] == pytest.approx(-0.5 / 0.125 - 3.0)
    assert rate(t, two_phases(-0.5)[1], UPPER, ONE)[0] == pytest.approx(2.0)


def test_samples_that_nearly_coincide_tell_no_rate():
    """A moment asked for stands a hair beside a node, where the values differ by rounding alone."""
    t = np.array([[0.0, 0.25, 0.5, 0.5 + 1e-9, 0.75, 1.0]])
    y = 2.0 * t + np.array([[0.0, 0.0, 0.0, 1e-7, 0.0, 0.0]])  # 100 per s from one sample to the next
    assert rate(t, y, UPPER, ONE)[0] == pytest.approx(2.0, rel=1e-5)


def test_the_mean_over_a_window_is_exact_for_a_line_and_for_the_best_window_of_a_parabola():
    t, y = course(lambda t: 3.0 * t - 4.0 * t**2)
    window = rate(over="0.25 s")
    assert window(t, y, UPPER, ONE)[0] == pytest.approx(3.0 - 4.0 * 0.25, rel=1e-9)
    assert window(t, y, LOWER, ONE)[0] == pytest.approx(3.0 - 8.0 + 4.0 * 0.25, rel=1e-9)


def test_a_window_smooths_a_short_rise_and_finds_it_wherever_it_is():
    """A rise of 1 within 0.1 is 10 per s at its steepest and 2 per s over half a second; the cubic overshoots the
    corners by less than a tenth of what is risen in an interval of 1/400, 0.0025."""
    for start in np.linspace(0.2, 0.7, 7):
        t, y = course(lambda t, s=start: np.clip((t - s) / 0.1, 0.0, 1.0), n=401, grading=1.0)
        assert rate(over="0.5 s")(t, y, UPPER, ONE)[0] == pytest.approx(2.0, rel=2.5e-3)


def test_a_jump_counts_with_its_height_in_a_window():
    t, y = two_phases(0.5)
    assert rate(over="0.5 s")(t, y, UPPER, ONE)[0] == pytest.approx((0.5 * 2.0 + 0.5) / 0.5, rel=1e-9)


def test_a_run_shorter_than_the_window_counts_with_its_own_length():
    t, y = course(lambda t: 2.0 * t)
    assert rate(over="1 h")(t, y, UPPER, ONE)[0] == pytest.approx(2.0)


def test_a_failed_course_has_no_rate():
    t, y = course(lambda t: 2.0 * t)
    both = np.concatenate([y, np.full_like(y, np.nan)])
    for reduction in (rate, rate(over="0.1 s")):
        found = reduction(np.concatenate([t, t]), both, UPPER, ONE)
        assert found[0] == pytest.approx(2.0)
        assert np.isnan(found[1])


def test_a_window_is_a_time_above_zero():
    with pytest.raises(UnitError, match="rate: over"):
        rate(over="5 K")
    with pytest.raises(EnvelopeError, match="window"):
        rate(over="0 min")
