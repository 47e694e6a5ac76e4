"""Objectives: names and units, measures over draws against their definitions, standard errors."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

import physics_twin as pt
from physics_twin.envelope.set_point.objectives import bind_objectives, measured, standard_error, valued
from physics_twin.signals import Setting, Signal

OUTPUTS = (Signal("yield_", "percent"), Signal("oil", "degC"))
KNOBS = (Setting("hold_time", "min", bounds=(10, 60)),)


def bound(*objectives):
    return bind_objectives(objectives, OUTPUTS, KNOBS)


# Binding ----------------------------------------------------------------------------------------------------------


def test_an_unknown_output_names_the_nearest():
    with pytest.raises(pt.UnknownNameError, match='did you mean "yield_"'):
        bound(pt.Maximize("yeld_"))


def test_a_setting_may_be_the_objective_and_has_one_value():
    (target,) = bound(pt.Minimize("hold_time"))
    assert (target.of_setting, target.sign, target.unit.text) == (True, -1, "min")
    with pytest.raises(pt.EnvelopeError, match="leave over= out"):
        bound(pt.Minimize("hold_time", over=pt.peak))


def test_the_number_has_the_unit_of_its_reduction():
    """The integral of a temperature is in K s, whatever the offset of its unit."""
    (target,) = bound(pt.Minimize("oil", over=pt.integral))
    assert target.unit == pt.Unit("K s")
    assert target.name == "integral of oil"


def test_over_every_moment_the_worst_counts():
    """The lowest value is what a maximum over every moment is about, the highest for a minimum; a peak is a peak."""
    from physics_twin.envelope.limits.reductions import path

    assert [bound(f("oil", over=path))[0].side for f in (pt.Maximize, pt.Minimize)] == [-1, 1]
    assert [bound(f("oil", over=pt.peak))[0].side for f in (pt.Maximize, pt.Minimize)] == [1, 1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pt.Maximize("oil", over=lambda t, y: 1.0), "give unit="),
        (lambda: pt.Maximize("oil", over=3), "no reduction"),
        (lambda: pt.Maximize("oil", unit="K"), "belongs to a function"),
        (lambda: pt.Maximize("oil", measure="worst"), "use pt.Expectation"),
        (lambda: pt.CVaR(0.0), "share"),
        (lambda: bound(pt.Maximize("oil"), pt.Minimize("oil")), "two objectives"),
    ],
)
def test_what_is_no_objective_is_named(make, words):
    with pytest.raises(pt.EnvelopeError, match=words):
        make()


# Measures ---------------------------------------------------------------------------------------------------------


def test_expectation_and_worst_case():
    x = np.array([3.0, 1.0, 2.0])
    assert measured(x, 1, pt.Expectation()) == 2.0
    assert (measured(x, 1, pt.WorstCase()), measured(x, -1, pt.WorstCase())) == (1.0, 3.0)


def test_cvar_of_a_finite_sample_counts_the_draw_at_the_edge_in_part():
    """A quarter of ten draws: the worst two, and half of the third."""
    x = np.arange(1.0, 11.0)
    assert measured(x, 1, pt.CVaR(0.25)) == pytest.approx((1.0 + 2.0 + 0.5 * 3.0) / 2.5, rel=1e-14)
    assert measured(x, -1, pt.CVaR(0.25)) == pytest.approx((10.0 + 9.0 + 0.5 * 8.0) / 2.5, rel=1e-14)


@pytest.mark.parametrize("share", [0.03, 0.1, 0.37, 1.0])
def test_cvar_solves_the_problem_of_rockafellar_and_uryasev(share):
    """It is the maximum over c of c - E[(c - x)+] / share (their definition), found here without sorting."""
    x = np.random.default_rng(0).standard_normal(101)
    best = max(c - np.maximum(c - x, 0.0).mean() / share for c in x)  # piecewise linear: a vertex is at a draw
    assert measured(x, 1, pt.CVaR(share)) == pytest.approx(best, rel=1e-12)
    inner = minimize_scalar(lambda c: np.maximum(c - x, 0.0).mean() / share - c, bounds=(-9, 9), method="bounded")
    assert -inner.fun <= best + 1e-12


def test_cvar_lies_between_worst_case_and_expectation():
    x = np.random.default_rng(1).standard_normal((5, 40))
    assert measured(x, 1, pt.CVaR(1.0)) == pytest.approx(x.mean(axis=1), rel=1e-13)
    assert measured(x, 1, pt.CVaR(1.0 / 40.0)) == pytest.approx(x.min(axis=1), rel=1e-13)


def test_failed_draws_are_left_out_and_counted():
    x = np.array([3.0, np.nan, 1.0, 2.0])
    assert measured(x, 1, pt.Expectation()) == 2.0
    assert measured(x, -1, pt.WorstCase()) == 3.0
    assert np.isnan(measured(np.array([np.nan]), 1, pt.CVaR(0.5)))
    (target,) = bound(pt.Maximize("oil"))
    found = valued(target, x)
    assert (found.n_draws, found.n_failed) == (4, 1)
    assert "1 of 4 draws failed" in str(found)


@pytest.mark.parametrize("measure", [pt.Expectation(), pt.CVaR(0.1)])
def test_standard_errors_are_the_scatter_of_repeated_samples(measure):
    """400 samples of 500 normal draws: their scatter is known to 1 / sqrt(800) = 3.5 %; three times that is accepted.
    The number itself is that of the normal distribution, to three of its own standard errors."""
    x = np.random.default_rng(2).standard_normal((400, 500))
    numbers = measured(x, 1, measure)
    told = np.mean([standard_error(row, 1, measure) for row in x])
    assert told == pytest.approx(numbers.std(), rel=0.11)
    truth = 0.0 if isinstance(measure, pt.Expectation) else -norm.pdf(norm.ppf(0.1)) / 0.1
    # A CVaR of a finite sample is biased inward by less than one standard error at n = 500.
    assert abs(numbers.mean() - truth) < 3.0 * told / np.sqrt(400) + (
        0.0 if measure == pt.Expectation() else 0.1 * told
    )


def test_correlated_draws_have_a_larger_standard_error():
    x = np.random.default_rng(3).standard_normal(100)
    alone = standard_error(x, 1, pt.Expectation())
    assert standard_error(x, 1, pt.Expectation(), independence=0.25) == pytest.approx(2.0 * alone, rel=1e-14)
    assert np.isnan(standard_error(x, 1, pt.WorstCase()))


def test_a_spread_in_degrees_is_a_difference():
    (target,) = bound(pt.Minimize("oil"))
    text = str(valued(target, np.array([300.0, 302.0]) + 273.15))
    assert "301 degC" in text
    assert "sd over batches 1 K" in text
