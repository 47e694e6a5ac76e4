"""Chains give the posterior itself, to the Monte Carlo error that their effective draws promise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from physics_twin.estimation import GaussNewton, MarkovChain, calibrate
from physics_twin.measurements import EstimatedNoise
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Posterior
from physics_twin.priors import LogNormal
from physics_twin.signals import Signal

SHORT = MarkovChain(n_draws=1200, steps=300, warm_up=150)
OF_ENSEMBLES = MarkovChain(n_draws=1200, steps=300, warm_up=80)
LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
FAR = 4.5
"""Standard errors; with some thirty comparisons here, chance exceeds it once in five thousand runs."""

Array = Any


def effective(posterior: Posterior, name: str) -> float:
    """Effective draws, no more than were kept."""
    found = posterior.diagnostics.sel(parameter=name)
    return float(min(found["ess_bulk"], found["ess_tail"], posterior.n_draws))


def check_quantiles(posterior: Posterior, name: str, exact: Array) -> None:
    """The share of draws below the exact quantiles (5,) is LEVELS within binomial error of the effective draws."""
    below = (posterior[name][:, None] <= exact).mean(axis=0)
    error = np.sqrt(LEVELS * (1.0 - LEVELS) / effective(posterior, name))
    assert (np.abs(below - LEVELS) < FAR * error).all(), (below, error)


@pytest.fixture(params=["NUTS", "ensembles"])
def sampled(request: pytest.FixtureRequest, without_sensitivities: Any) -> Callable[[Any], tuple[Any, MarkovChain]]:
    """A model with or without sensitivities, and a method of fitting length."""

    def of(model: Any) -> tuple[Any, MarkovChain]:
        return (model, SHORT) if request.param == "NUTS" else (without_sensitivities(model), OF_ENSEMBLES)

    return of


def test_linear_gaussian(line: Any, experiment: Any, sampled: Any) -> None:
    """A line with given noise has the normal posterior of linear regression."""
    t = np.linspace(0.0, 10.0, 12)
    y = 1.0 + 0.3 * t + 0.5 * np.random.default_rng(1).standard_normal(t.size)
    model, method = sampled(line())
    posterior = calibrate(model, experiment("run", t, y, noise="0.5 K"), unknown=["a", "b"], method=method, rng=3)
    X = np.stack([np.ones_like(t), t], axis=1)
    covariance = 0.25 * np.linalg.inv(X.T @ X)
    mean = covariance @ X.T @ y / 0.25
    assert posterior.converged, posterior.message
    for j, name in enumerate(("a", "b")):
        sd = np.sqrt(covariance[j, j])
        check_quantiles(posterior, name, stats.norm.ppf(LEVELS, mean[j], sd))
        n = effective(posterior, name)
        assert abs(posterior[name].mean() - mean[j]) < FAR * sd / np.sqrt(n)
        assert abs(posterior[name].std() / sd - 1.0) < FAR / np.sqrt(2.0 * n)
        assert posterior.standard_errors[name] == pytest.approx(sd, rel=0.15)
    assert posterior.mode["a"] == pytest.approx(mean[0], rel=1e-6)


def test_estimated_noise_gives_students_t(line: Any, experiment: Any) -> None:
    """With an unknown noise level a coefficient is Student's t, and the level scaled inverse chi-square."""
    t = np.linspace(0.0, 10.0, 8)
    y = 1.0 + 0.3 * t + 0.5 * np.random.default_rng(1).standard_normal(t.size)
    run = experiment("run", t, y, noise=EstimatedNoise("1 K"))
    posterior = calibrate(line(), run, unknown=["a", "b"], method=SHORT, rng=4)
    X = np.stack([np.ones_like(t), t], axis=1)
    inverse = np.linalg.inv(X.T @ X)
    mean = inverse @ X.T @ y
    degrees = t.size - 2
    s2 = float(((y - X @ mean) ** 2).sum()) / degrees
    for j, name in enumerate(("a", "b")):
        check_quantiles(posterior, name, mean[j] + np.sqrt(s2 * inverse[j, j]) * stats.t.ppf(LEVELS, degrees))
    check_quantiles(posterior, "noise.y", np.sqrt(degrees * s2 / stats.chi2.ppf(1.0 - LEVELS, degrees)))


def test_curved_posterior_where_laplace_is_off(decay: Any, experiment: Any) -> None:
    """Few data on a decay: chains agree with integration on a grid, Laplace draws do not."""
    t = np.array([1.0, 3.0, 6.0])
    y = np.array([6.5, 4.6, 0.6])
    run = experiment("run", t, y, output="c", unit="mol/m^3", noise="1.5 mol/m^3")
    posterior = calibrate(decay(), run, unknown=["start", "rate"], method=SHORT, rng=5)
    start, rate = np.linspace(0.1, 60.0, 1200), np.linspace(1e-4, 4.0, 1600)
    model = start[:, None, None] * np.exp(-rate[None, :, None] * t)
    density = np.exp(-0.5 * (((y - model) / 1.5) ** 2).sum(axis=-1))
    laplace = calibrate(decay(), run, unknown=["start", "rate"], method=GaussNewton(n_draws=4000), rng=5)
    worst = 0.0
    for name, grid, axis in (("start", start, 1), ("rate", rate, 0)):
        cumulative = np.cumsum(density.sum(axis=axis))
        exact = np.interp(LEVELS, cumulative / cumulative[-1], grid)
        check_quantiles(posterior, name, exact)
        worst = max(worst, float(np.abs((laplace[name][:, None] <= exact).mean(axis=0) - LEVELS).max()))
    assert worst > 0.08  # the sixfold of what the chains may be off


def test_parameter_piling_up_at_a_bound(line: Any, experiment: Any, sampled: Any) -> None:
    """Where the data pull beyond a bound the posterior is the tail of a normal distribution, densest at the bound."""
    t = np.arange(4.0)
    model, method = sampled(line(parameters=[Parameter("a", "12 K", bounds=("10 K", "20 K")), Parameter("b", "0 K/s")]))
    run = experiment("run", t, np.full(4, 9.5), noise="1 K")
    posterior = calibrate(model, run, unknown=["a"], method=method, rng=6)
    sd = 0.5
    exact = stats.truncnorm(0.5 / sd, 10.5 / sd, loc=9.5, scale=sd).ppf(LEVELS)
    check_quantiles(posterior, "a", exact)
    assert posterior["a"].min() >= 10.0


def test_parameter_that_the_data_do_not_see_keeps_its_prior(closed_form: Any, experiment: Any) -> None:
    """Log-normal and unbounded below: all volumes of the transforms cancel."""
    model = closed_form(
        lambda t, v: (v["a"] + 0.0 * v["k"] * t)[:, None],
        ParameterSet(
            [Parameter("a", "1 K", bounds=(None, "8 K")), Parameter("k", "2 K/s", prior=LogNormal("2 K/s", 0.7))]
        ),
        (Signal("y", "K"),),
    )
    run = experiment("run", np.arange(5.0), np.full(5, 3.0), noise="1 K")
    posterior = calibrate(model, run, unknown=["a", "k"], method=SHORT, rng=7)
    check_quantiles(posterior, "k", 2.0 * np.exp(0.7 * stats.norm.ppf(LEVELS)))
    sd = 1.0 / np.sqrt(5.0)
    check_quantiles(posterior, "a", stats.truncnorm(-np.inf, 5.0 / sd, loc=3.0, scale=sd).ppf(LEVELS))
