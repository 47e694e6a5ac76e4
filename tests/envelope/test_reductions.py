"""Reductions: exact where the interpolant is exact, converging elsewhere, blind across jumps."""

import numpy as np
import pytest

from physics_twin.envelope import at, final, integral, mean, path, peak, time_above
from physics_twin.envelope.limits.reductions import LOWER, UPPER, Custom
from physics_twin.units import unit

ONE, DEGC = unit("1"), unit("degC")


def course(function, n=33, end=1.0, grading=1.5):
    t = end * (np.arange(n) / (n - 1)) ** grading
    return t[None], function(t)[None]


def test_final_and_at_take_the_sample_that_stands_there():
    t, y = course(lambda t: t**2)
    assert final(t, y, UPPER, ONE)[0] == y[0, -1]
    moment = at((t[0, 7], "s"))
    assert moment.moments == (t[0, 7],)
    assert moment(t, y, UPPER, ONE)[0] == y[0, 7]


def test_a_moment_after_the_end_has_no_value():
    t, y = course(lambda t: t)
    assert np.isnan(at("2 s")(t, y, UPPER, ONE)[0])


@pytest.mark.parametrize("top", [0.31, 0.5, 0.987])
def test_the_peak_of_a_parabola_between_samples_is_exact(top):
    """Three-point slopes are exact for parabolas on any grid, and so is the cubic between them."""
    t, y = course(lambda t: 3.0 - 7.0 * (t - top) ** 2)
    assert peak(t, y, UPPER, ONE)[0] == pytest.approx(3.0, abs=1e-12)
    assert y.max() < 3.0 - 1e-6  # the samples alone do not have it


def test_the_peak_of_a_smooth_course_converges_with_third_order_or_better():
    errors = []
    for n in (17, 33, 65, 129):
        worst = 0.0
        for shift in np.linspace(0.0, 0.05, 11):  # the peak anywhere between nodes
            t, y = course(lambda t, s=shift: np.sin(5.0 * (t + s)), n, grading=1.0)
            worst = max(worst, abs(peak(t, y, UPPER, ONE)[0] - 1.0))
        errors.append(worst)
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders.min() > 2.7


def test_a_lower_limit_looks_at_the_trough():
    t, y = course(lambda t: (t - 0.4) ** 2 - 1.0)
    assert peak(t, y, LOWER, ONE)[0] == pytest.approx(-1.0, abs=1e-12)
    assert path(t, y, LOWER, ONE)[0] == pytest.approx(-1.0, abs=1e-12)


def test_a_clipped_signal_has_no_peak_above_its_clip():
    """A cubic through the corner of a saturated signal would overshoot and invent a violation."""
    t, y = course(lambda t: np.minimum(3.0 * t, 1.0), n=20, grading=1.0)
    assert peak(t, y, UPPER, ONE)[0] == 1.0


def test_slopes_never_reach_across_a_double_node():
    """Two phases with a jump: the peak of each parabola is found, and nothing is invented at the jump."""
    left, right = np.linspace(0.0, 1.0, 9), np.linspace(1.0, 2.0, 9)
    t = np.concatenate([left, right])[None]
    y = np.concatenate([1.0 - (left - 0.55) ** 2, 5.0 - (right - 1.55) ** 2])[None]
    assert peak(t, y, UPPER, ONE)[0] == pytest.approx(5.0, abs=1e-12)
    assert peak(t, y, LOWER, ONE)[0] == pytest.approx(1.0 - 0.55**2, abs=1e-12)
    exact = 1.0 - (0.55**3 + 0.45**3) / 3.0 + 5.0 - (0.55**3 + 0.45**3) / 3.0
    assert integral(t, y, UPPER, ONE)[0] == pytest.approx(exact, rel=1e-12)


def test_integral_and_mean_are_exact_for_parabolas():
    t, y = course(lambda t: 1.0 + 2.0 * t + 3.0 * t**2, end=2.0)
    assert integral(t, y, UPPER, ONE)[0] == pytest.approx(2.0 + 4.0 + 8.0, rel=1e-12)
    assert mean(t, y, UPPER, ONE)[0] == pytest.approx(7.0, rel=1e-12)


def test_the_integral_of_a_temperature_is_in_kelvin_seconds():
    assert integral.unit(DEGC).dimension == unit("K*s").dimension
    assert integral.unit(DEGC).offset == 0.0


def test_time_above_counts_every_piece():
    """sin(2 pi t) over three periods is above 0.5 for a third of the time."""
    t, y = course(lambda t: np.sin(2.0 * np.pi * t), n=301, end=3.0, grading=1.0)
    assert time_above(0.5)(t, y, UPPER, ONE)[0] == pytest.approx(1.0, abs=2e-4)
    assert time_above(2.0)(t, y, UPPER, ONE)[0] == 0.0
    assert time_above(-2.0)(t, y, UPPER, ONE)[0] == pytest.approx(3.0)


def test_time_above_takes_its_level_with_a_unit():
    t, y = course(lambda t: 273.15 + 100.0 * t, end=1.0, grading=1.0)
    assert time_above("75 degC")(t, y, UPPER, DEGC)[0] == pytest.approx(0.25, rel=1e-9)


def test_reductions_are_continuous_where_the_highest_sample_changes():
    """A maximum over samples alone has a corner there; the search interpolates over settings and needs none."""
    values = []
    for shift in np.linspace(0.0, 0.1, 201):
        t, y = course(lambda t, s=shift: -((t - 0.5 - s) ** 2), n=21, grading=1.0)
        values.append(peak(t, y, UPPER, ONE)[0])
    assert np.abs(values).max() < 1e-12


def test_a_function_of_the_course_is_called_with_si_and_never_with_a_failed_one():
    seen = []

    def rise(times, values):
        seen.append(np.isfinite(values).all())
        return values[-1] - values[0]

    t, y = course(lambda t: 5.0 * t)
    both = np.concatenate([y, np.full_like(y, np.nan)])
    out = Custom(rise, unit("K"))(np.concatenate([t, t]), both, UPPER, ONE)
    assert out[0] == pytest.approx(5.0)
    assert np.isnan(out[1])
    assert seen == [True]
