"""Populations whose members have bounds: the normal is cut there, and has the density of what is left."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

import physics_twin as pt
from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.estimation.likelihood.cut import mass_between
from physics_twin.estimation.likelihood.local_model import local_model, search_model
from physics_twin.estimation.likelihood.terms import misfit
from physics_twin.estimation.log_density import log_density, start_psi
from physics_twin.measurements import Channel, Experiment
from physics_twin.parameters import Parameter
from physics_twin.priors import Normal
from tests.estimation.likelihood.shapes import NOISES, decaying, point_at
from tests.estimation.likelihood.test_log_density import central

MIDDLE, BEFORE, SCALE = 0.95, 0.03, 0.1
"""Mean and standard deviation of the prior of the mean, scale of that of the spread; bounds are 0 and 1."""


def test_mass_of_an_interval_and_its_derivatives() -> None:
    """Against scipy where that has digits, and by differences; far out against the tail's leading terms."""
    a = np.array([-np.inf, -3.0, -0.5, 1.0, 6.0, -1.0, -7.0])
    b = np.array([0.3, -1.0, 0.5, 1.5, 7.0, np.inf, -6.0])
    found = mass_between(a, b)
    expected = np.where(a > 0.0, stats.norm.sf(a) - stats.norm.sf(b), stats.norm.cdf(b) - stats.norm.cdf(a))
    np.testing.assert_allclose(found.log, np.log(expected), rtol=1e-12)
    h = 1e-5
    moved = (mass_between(a - h, b - h).log - mass_between(a + h, b + h).log) / (2.0 * h)
    wider = (mass_between(a / (1.0 + h), b / (1.0 + h)).log - mass_between(a / (1.0 - h), b / (1.0 - h)).log) / (
        2.0 * h
    )
    bent = (mass_between(a - h, b - h).tilt - mass_between(a + h, b + h).tilt) / (2.0 * h)
    np.testing.assert_allclose(found.tilt, moved, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.stretch, wider, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.bend, bent, rtol=1e-6, atol=1e-8)
    beyond = mass_between(np.array([40.0]), np.array([np.inf]))
    assert beyond.log[0] == pytest.approx(-800.0 - np.log(40.0) - 0.5 * np.log(2.0 * np.pi), abs=1e-3)
    assert beyond.tilt[0] == pytest.approx(40.0, rel=1e-3)


@pytest.mark.parametrize("extra", [0.0, 0.05])
def test_slopes_of_a_cut_population_are_those_of_the_value(extra: float, closed_form: Any) -> None:
    """By z and by psi, with a spread that brings both bounds near; weights differ among the members."""
    problem = decaying(NOISES["proportional"], closed_form, groups=True)
    rng = np.random.default_rng(3)
    z, psi = 0.2 * rng.standard_normal(len(problem.columns)), start_psi(problem)
    psi[-1] = np.log(5.0)
    point = point_at(problem, z, extra)
    assert any(cut.acts(psi) for cut in local_model(problem, point).cuts)
    found = log_density(problem, point, psi)
    of_z = central(lambda at: log_density(problem, point_at(problem, at, extra), psi).value, z)
    of_psi = central(lambda at: log_density(problem, point, at).value, psi)
    np.testing.assert_allclose(found.slope, of_z, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.slope_psi, of_psi, rtol=1e-6, atol=1e-6)
    # the terms themselves: -sum log Z of two members of ln rate in [1e-4, 10], weights 1 and 1/2
    without = misfit(problem.sample_noise, psi, replace(local_model(problem, point), cuts=())).value
    mean = np.log(point.x[problem.names.index("middle")])
    z_of = [np.diff(stats.norm.cdf((np.log([1e-4, 10.0]) - mean) / (5.0 * w)))[0] for w in (1.0, 0.5)]
    cut = misfit(problem.sample_noise, psi, local_model(problem, point)).value
    assert cut - without == pytest.approx(2.0 * np.log(z_of).sum(), rel=1e-9)


def test_bounds_that_are_far_change_nothing(closed_form: Any) -> None:
    """More than eight spreads away: the same bits as without them."""
    problem = decaying(NOISES["plain"], closed_form, groups=True)
    psi = start_psi(problem)
    psi[-1] = np.log(0.1)
    local = local_model(problem, point_at(problem, np.zeros(len(problem.columns))))
    assert local.cuts
    assert (
        misfit(problem.sample_noise, psi, local).value
        == misfit(problem.sample_noise, psi, replace(local, cuts=())).value
    )
    assert search_model(problem, point_at(problem, np.zeros(len(problem.columns)))).cuts == ()


def yields(values: np.ndarray, noise: str, closed_form: Any) -> tuple[Any, list[Experiment]]:
    """A share between 0 and 1 that each lot has for itself, shown twice."""
    declared = Parameter("level", "0.95", prior=Normal("0.95", "0.03"), bounds=("0", "1"))
    model = closed_form(
        lambda t, v: (v["level"] + 0.0 * t)[:, None], pt.ParameterSet([declared]), (pt.Signal("y", "1"),)
    )
    runs = [
        Experiment.from_arrays(f"lot{i}", [0.0, 1.0], {"y": [v, v]}, channels=[Channel("y", unit="1", noise=noise)])
        for i, v in enumerate(values)
    ]
    return model, runs


def on_a_grid(values: np.ndarray, error: float, bounds: tuple[float, float]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of mean, spread and first lot: members integrated over [0, 1], the rest on a grid.

    error: standard deviation of what a lot shows.
    """
    m = ((np.arange(800) + 0.5) / 800.0)[:, None]
    s = np.geomspace(*bounds, 400)[None, :]
    log_p = stats.norm.logpdf(m, MIDDLE, BEFORE) + stats.halfnorm.logpdf(s, scale=SCALE) + np.log(s)
    within = np.log(stats.norm.cdf((1.0 - m) / s) - stats.norm.cdf(-m / s))
    variance = 1.0 / (1.0 / s**2 + 1.0 / error**2)
    sd = np.sqrt(variance)
    first = None
    for v in values:
        center = variance * (m / s**2 + v / error**2)
        a, b = -center / sd, (1.0 - center) / sd
        mass = np.maximum(stats.norm.cdf(b) - stats.norm.cdf(a), 1e-300)
        log_p = log_p + stats.norm.logpdf(v, m, np.hypot(s, error)) + np.log(mass) - within
        if first is None:
            tilt = (stats.norm.pdf(a) - stats.norm.pdf(b)) / mass
            stretch = (a * stats.norm.pdf(a) - b * stats.norm.pdf(b)) / mass
            first = center + sd * tilt, variance * (1.0 + stretch - tilt**2)
    assert first is not None
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    found = {}
    for name, mean, own in (("mean.level", m, 0.0), ("spread.level", s, 0.0), ("level@lot0", *first)):
        middle = float((p * mean).sum())
        found[name] = (middle, float(np.sqrt((p * ((mean - middle) ** 2 + own)).sum())))
    return found


@pytest.mark.parametrize("n_lots", [2, 12, 30])
def test_lots_without_information_leave_the_prior(n_lots: int, closed_form: Any) -> None:
    """However many they are: mean and spread as before the data, a lot as one that nobody has seen.

    Tolerances are five standard errors of the effective draws.
    """
    model, runs = yields(np.full(n_lots, 0.9), "100", closed_form)
    population = pt.Population("level", spread="0.1")
    posterior = calibrate(model, runs, unknown=[population], method=GaussNewton(n_draws=1000), rng=1)
    exact = on_a_grid(np.full(n_lots, 0.9), 100.0, posterior.parameters["spread.level"].bounds)
    cut = stats.truncnorm((0.0 - MIDDLE) / BEFORE, (1.0 - MIDDLE) / BEFORE, MIDDLE, BEFORE)
    assert exact["mean.level"][0] == pytest.approx(cut.mean(), rel=1e-4)
    assert exact["spread.level"][0] == pytest.approx(stats.halfnorm(scale=SCALE).mean(), rel=1e-2)
    compare(posterior, exact)
    assert posterior.effective_draws > 300.0


@pytest.mark.parametrize(
    ("noise", "values"),
    [
        ("0.01", [0.99, 0.97, 0.93, 0.985, 0.9, 0.96, 0.995, 0.88, 0.975, 0.95, 0.99, 0.94]),
        ("0.05", [1.02, 0.97, 0.93, 1.05, 0.8, 0.96]),
    ],
)
def test_lots_near_a_bound_have_their_exact_posterior(noise: str, values: list[float], closed_form: Any) -> None:
    """Measured well, and so badly that some lots seem to lie beyond the bound."""
    model, runs = yields(np.array(values), noise, closed_form)
    population = pt.Population("level", spread="0.1")
    posterior = calibrate(model, runs, unknown=[population], method=GaussNewton(n_draws=2000), rng=2)
    bounds = posterior.parameters["spread.level"].bounds
    compare(posterior, on_a_grid(np.array(values), float(noise) / np.sqrt(2.0), bounds))
    assert posterior.effective_draws > 300.0


def compare(posterior: Any, exact: dict[str, tuple[float, float]]) -> None:
    """Means within five standard errors, standard deviations within 15 %: five of theirs at 600 effective draws."""
    for name, (mean, sd) in exact.items():
        error = sd / np.sqrt(posterior.effective_draws)
        assert abs(posterior[name].mean() - mean) < 5.0 * error, (name, posterior[name].mean(), mean, sd)
        assert posterior[name].std() == pytest.approx(sd, rel=0.15), name
