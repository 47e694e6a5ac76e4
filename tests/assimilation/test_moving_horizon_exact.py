"""Where the answer is known: linear plants with Gaussian noise, and bounded least squares by another route."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import lsq_linear

from physics_twin.assimilation import Converged, MovingHorizon, RealTimeIteration
from physics_twin.assimilation.belief import Start
from tests.assimilation.two_tanks import (
    OUTPUTS,
    RATES,
    SCALE,
    dynamics,
    kalman,
    moments,
    run,
    schedule,
    start,
)

SOLVERS = [Converged(), RealTimeIteration()]
FINE = {"accuracy": 1e-8, "longest_element": "1 s"}
TOLERANCE = 1e-8
"""Relative to the standard deviations: elements of 1 s at rates of 0.05 1/s and order 5 err by 1e-12."""


def assert_same(means, covariances, exact_means, exact_covariances):
    sd = np.sqrt(np.einsum("kii->ki", exact_covariances))
    assert np.abs((means - exact_means) / sd).max() < TOLERANCE
    assert np.abs((covariances - exact_covariances) / (sd[:, :, None] * sd[:, None, :])).max() < TOLERANCE


@pytest.mark.parametrize("solver", SOLVERS, ids=["converged", "real-time"])
@pytest.mark.parametrize("horizon", [1, 2, 5, 40])
def test_equals_the_kalman_filter_on_a_linear_plant_for_any_horizon(solver, horizon):
    """Irregular steps, moments without samples, two samples of one output, a live input, parameters that drift."""
    begin, rows = start(), schedule(25)
    found = run(MovingHorizon(horizon, solver, **FINE), dynamics(), begin, rows)
    assert_same(*found[:2], *kalman(begin, rows))


def test_equalities_without_process_noise_hold():
    """Nothing wanders: every step is an equality, the filter that of a noise-free plant."""
    begin, rows = start(), schedule(15, rate=(0.0, 0.0, 0.0, 0.0))
    found = run(MovingHorizon(4, **FINE), dynamics(), begin, rows)
    assert_same(*found[:2], *kalman(begin, rows))


def test_frozen_parameters_are_considered_as_schmidt_does():
    """With one step of memory the frozen twin is the Schmidt-Kalman filter; its parameters never move a bit."""
    begin, rows = start(), schedule(20)
    plant = dynamics(frozen=True)
    means, _, beliefs = run(MovingHorizon(1, **FINE), plant, begin, rows[:1])
    exact_means, _ = kalman(begin, rows[:1], n_updated=2)
    assert np.abs((means - exact_means) / SCALE).max() < TOLERANCE
    _, covariances, beliefs = run(MovingHorizon(6, **FINE), plant, begin, rows)
    first = beliefs[0].parameters
    assert all(np.array_equal(belief.parameters, first) for belief in beliefs)
    prior = moments(begin)[1][2:, 2:]
    drift = sum(step.variance[2:] for step, _ in rows) * SCALE[2:] ** 2
    np.testing.assert_allclose(covariances[-1][2:, 2:], prior + np.diag(drift), rtol=1e-9)


def batch(begin, rows):
    """The whole record as one least squares: rows A (n, n_xi), b of whitened noises, and z at the end of each step.

    xi: 4 whitened initial coordinates and 4 for each step; z = base + slopes xi, SI.
    """
    mean, covariance = moments(begin)
    n = 4 + 4 * len(rows)
    slopes, base = np.zeros((4, n)), mean.copy()
    slopes[:, :4] = np.linalg.cholesky(covariance)
    a, b, states = [np.eye(n)], [np.zeros(n)], [(base, slopes)]
    for k, (step, seen) in enumerate(rows):
        rates = RATES.copy()
        rates[0, 4] = step.settings["feed_now"]
        flow = expm(rates * (step.t1 - step.t0))
        base, slopes = (flow @ np.append(base, 1.0))[:4], flow[:4, :4] @ slopes
        slopes[:, 4 + 4 * k : 8 + 4 * k] = np.diag(np.sqrt(step.variance) * SCALE)
        states.append((base, slopes))
        h, sd = OUTPUTS[seen.rows], np.sqrt(seen.variance)
        a.append(h @ slopes / sd[:, None])
        b.append((seen.values - h @ base) / sd)
    return np.vstack(a), np.concatenate(b), states


def test_a_window_over_all_samples_is_the_batch_least_squares():
    """The whole trajectory, not only its end: the window holds the smoothed states of a full-information estimate."""
    begin, rows = start(), schedule(12)
    a, b, states = batch(begin, rows)
    xi = np.linalg.lstsq(a, b, rcond=None)[0]
    beliefs = run(MovingHorizon(12, **FINE), dynamics(), begin, rows)[2]
    points = beliefs[-1].memory["points"] * SCALE
    smoothed = np.array([base + slopes @ xi for base, slopes in states])
    assert np.abs((points - smoothed) / SCALE).max() < 1e-9


def bounded_start():
    """A prior that puts the source outside what the samples say, near its upper bound of 0.5 kg/s."""
    begin = start()
    parameters = begin.parameters.copy()
    parameters[:, 0] += 0.4
    return Start(begin.states, parameters, begin.variance)


@pytest.mark.parametrize("solver", SOLVERS, ids=["converged", "real-time"])
def test_active_bounds_agree_with_an_independent_bounded_least_squares(solver):
    """The source is pushed to its bound and held there by the smoother; scipy's solver gives the same trajectory.

    In scipy's problem the unknowns are the coordinates themselves, so that its bounds are simple ones.
    """
    begin, rows = bounded_start(), schedule(8, rate=(1e-4, 2e-4, 1e-5, 1e-7))
    rows = [(step, shifted(seen, 6.0)) for step, seen in rows]
    a, b, states = batch(begin, rows)
    whole = np.vstack([slopes for _, slopes in states])
    base = np.concatenate([base for base, _ in states])
    back = np.linalg.inv(whole)
    lower = np.tile([-np.inf, -np.inf, -0.5, -5.0], len(states))
    result = lsq_linear(
        a @ back, b + a @ back @ base, bounds=(lower, np.where(np.isinf(lower), np.inf, -lower)), tol=1e-14
    )
    exact = result.x.reshape(-1, 4)
    beliefs = run(MovingHorizon(8, solver, **FINE), dynamics(), begin, rows)[2]
    points = beliefs[-1].memory["points"] * SCALE
    assert (result.active_mask != 0).sum() >= 2
    assert np.abs((points - exact) / SCALE).max() < 1e-6
    for belief in beliefs:
        assert (np.abs(belief.parameters[0]) <= [0.5, 5.0]).all()
    assert any(belief.parameters[0, 0] == 0.5 for belief in beliefs)


def shifted(seen, by):
    return replace(seen, values=seen.values + by)
