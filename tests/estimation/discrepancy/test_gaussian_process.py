"""A linear model with a discrepancy is Gaussian process regression: mean, band, far from data, and what it predicts."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation.discrepancy import WithDiscrepancy, with_discrepancy
from physics_twin.process import ProcessModel

TIMES = np.linspace(2.0, 98.0, 25)
SD, LENGTH, NOISE = 2.0, 20.0, 0.3


def straight() -> ProcessModel:
    """y = level + drift t."""
    m = pt.ProcessBuilder("straight", version="1")
    level = m.parameter("level", "0 W", bounds=("-100 W", "100 W"), prior=pt.Normal("0 W", "3 W"))
    x = m.state("x", "W", initial="0 W")
    m.rate(x, 0.0 * level / m.constant("1 s"))
    m.output("y", level + x)
    return m.build()


def wrapped(kernel: str = "matern") -> WithDiscrepancy:
    given = pt.Discrepancy(f"{SD} W", f"{LENGTH} s", "time", between=("0 s", "100 s"), kernel=kernel)
    return with_discrepancy(straight(), {"y": given})


def measured() -> pt.Experiment:
    values = 1.0 + 2.0 * np.sin(TIMES / 15.0) + NOISE * np.random.default_rng(1).standard_normal(TIMES.size)
    channel = pt.Channel("y", unit="W", noise=f"{NOISE} W")
    return pt.Experiment.from_arrays("run", TIMES, {"y": values}, channels=[channel])


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    d = np.sqrt(3.0) * np.abs(a[:, None] - b[None, :]) / LENGTH
    return np.asarray((1.0 + d) * np.exp(-d))


def test_the_posterior_is_that_of_gaussian_process_regression() -> None:
    """Mean and standard deviation of level + delta between the data, against the closed form of the exact kernel."""
    model, run = wrapped(), measured()
    posterior = pt.calibrate(model, run, unknown=["level", *model.discrepancy_unknowns()], rng=1)
    at = np.linspace(0.0, 100.0, 41)
    prior = 3.0**2
    k = SD**2 * correlation(TIMES, TIMES) + prior + NOISE**2 * np.eye(TIMES.size)
    cross = SD**2 * correlation(at, TIMES) + prior
    mean = cross @ np.linalg.solve(k, run["y"].values)
    variance = SD**2 + prior - np.einsum("ij,ji->i", cross, np.linalg.solve(k, cross.T))
    names = list(posterior.names)
    basis = model.term("y").basis
    rows = np.column_stack([np.ones(at.size), basis.functions(at)])
    assert names == ["level", *model.term("y").names]
    found = rows @ np.array([posterior.mode.scalar(n) for n in names])
    sd = np.sqrt(np.einsum("ij,jk,ik->i", rows, posterior.covariance.values, rows))
    # The covariance of the basis is off by up to `error` of the variance, and so is what is interpolated.
    assert np.abs(found - mean).max() < 5.0 * basis.error * SD
    assert np.abs(sd - np.sqrt(variance)).max() < 5.0 * basis.error * SD


def test_the_posterior_of_the_finite_sum_is_exact() -> None:
    """Against linear regression with the priors of the coefficients: to rounding."""
    model, run = wrapped("squared exponential"), measured()
    posterior = pt.calibrate(model, run, unknown=["level", *model.discrepancy_unknowns()], rng=1)
    basis = model.term("y").basis
    rows = np.column_stack([np.ones(TIMES.size), basis.functions(TIMES)])
    precision = np.diag(np.concatenate([[1.0 / 3.0**2], 1.0 / (SD * basis.weights) ** 2]))
    covariance = np.linalg.inv(rows.T @ rows / NOISE**2 + precision)
    mean = covariance @ rows.T @ run["y"].values / NOISE**2
    sd = np.sqrt(np.diag(covariance))
    mode = np.array([posterior.mode.scalar(n) for n in posterior.names])
    assert np.abs((mode - mean) / sd).max() < 1e-6
    assert posterior.covariance.values == pytest.approx(covariance, rel=1e-6, abs=1e-9)


def test_far_from_data_the_band_returns_to_the_prior() -> None:
    """Fitted on the first half: narrow there, sd of the prior three lengths later, also beyond the declared range."""
    model, run = wrapped(), measured().between(0.0, 30.0)
    unknown = [pt.Parameter("level", "1 W", prior=pt.Normal("1 W", "0.001 W")), *model.discrepancy_unknowns()]
    posterior = pt.calibrate(model, run, unknown=unknown, rng=1, method=pt.GaussNewton(n_draws=2000))
    assert [n for n in posterior.names if n != "level"] == model.discrepancy_unknowns()
    recipe = pt.Recipe.constant(duration="300 s")
    draws = posterior.predict(model, recipe, [15.0, 95.0, 250.0], n_draws=2000).draws.sel(output="y").values
    sd = draws.std(axis=0)
    assert sd[0] < 0.35
    # Of 2000 draws a standard deviation is known to 1.6 %; the data still say 1 % of it there.
    assert sd[1:] == pytest.approx(SD, rel=0.07)
    assert np.abs(draws.mean(axis=0)[1:] - 1.0).max() < 0.3


def test_one_function_in_common_or_one_for_each_experiment() -> None:
    """Two runs whose errors differ: the common function meets neither, own functions meet both."""
    first, second = measured(), measured()
    values = -second["y"].values
    channel = pt.Channel("y", unit="W", noise=f"{NOISE} W")
    other = pt.Experiment.from_arrays("other", TIMES, {"y": values}, channels=[channel])
    model = wrapped()
    common = pt.calibrate(model, [first, other], unknown=model.discrepancy_unknowns(), rng=1)
    own = pt.calibrate(model, [first, other], unknown=model.discrepancy_unknowns(per_experiment=True), rng=1)
    assert f"{model.term('y').names[0]}@other" in own.names
    assert common.misfit > 20.0 * own.misfit
