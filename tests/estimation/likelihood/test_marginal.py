"""The marginal of psi, on plain problems: there its answers are known in closed form."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

import physics_twin as pt
from physics_twin.estimation import GaussNewton
from physics_twin.estimation.likelihood.marginal import marginal, update
from physics_twin.estimation.likelihood.psi_draws import pool_of_psi
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.noise import Levels
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.estimation.work import Work
from physics_twin.measurements import Channel, Experiment
from physics_twin.parameters import Parameter
from physics_twin.priors import Normal

TIMES = np.linspace(0.0, 10.0, 12)


def fitted(line: Any, **changes: Any) -> tuple[Problem, Estimate]:
    """A line with one estimated noise level, fitted as a plain problem."""
    y = 2.0 + 0.5 * TIMES + 0.3 * np.random.default_rng(3).standard_normal(TIMES.size)
    channel = Channel("y", unit="K", noise=pt.EstimatedNoise("1 K"))
    run = Experiment.from_arrays("run", TIMES, {"y": y}, channels=[channel])
    problem = set_up(line(**changes), (run,), ["a", "b"])
    assert problem.plain
    return problem, GaussNewton(tolerance=1e-8).estimate(problem, np.random.default_rng(0), Work())


def test_the_mode_of_one_level_is_the_plain_one(line: Any) -> None:
    """SSE/(n - p) with flat priors, and MacKay's count of what the data determine with others."""
    parameters = [
        Parameter("a", "1 K", prior=Normal("2.5 K", "0.1 K")),
        Parameter("b", "0.1 K/s", prior=Normal("0.4 K/s", "0.02 K/s")),
    ]
    free = np.array([True, True])
    for changes in ({}, {"parameters": parameters}):
        problem, estimate = fitted(line, **changes)
        start = Levels(np.array([2.0]), np.empty(0))
        found, _ = update(problem, estimate.point, start, np.empty(0), free, look=True)
        # Differences of step h = 1e-3 shift the mode by h^2/3; the plain fixed point is the mode of its local model.
        assert found.sd[0] == pytest.approx(estimate.levels.sd[0], rel=1e-6)


def test_the_marginal_of_one_level_is_the_scaled_inverse_chi_square(line: Any) -> None:
    """-2 log p(ln sigma) = SSE/sigma^2 + 2 (n - p) ln sigma, and draws that follow it, the line the multivariate t."""
    problem, estimate = fitted(line)
    around, nu = marginal(problem, estimate.point), TIMES.size - 2
    squares = nu * float(estimate.levels.sd[0]) ** 2
    at = np.log(np.geomspace(0.1, 1.0, 7))
    found = np.array([around.given(np.array([psi])).objective for psi in at])
    exact = squares * np.exp(-2.0 * at) + 2.0 * nu * at
    np.testing.assert_allclose(found - found[0], exact - exact[0], rtol=1e-9, atol=1e-7)
    mode, low, high = np.log(estimate.levels.sd), np.log([1e-3]), np.log([1e3])
    pool = pool_of_psi(around.given, mode, low, high, 2000, np.random.default_rng(1))
    assert pool.effective > 1500.0
    order = np.argsort(pool.psi[:, 0])
    below = np.cumsum(pool.weights[order])
    expected = stats.chi2(nu).sf(squares * np.exp(-2.0 * pool.psi[order, 0]))
    assert np.abs(below - expected).max() < 2.0 / np.sqrt(pool.effective)  # Kolmogorov: p = 7e-4
