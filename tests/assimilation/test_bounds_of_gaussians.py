"""Bounds after an update: the nearest point in the metric of the covariance."""

import numpy as np
import pytest
from scipy.optimize import minimize

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.gaussian import within_bounds
from physics_twin.assimilation.keys import Key
from tests.assimilation import plain_models

BOX = plain_models.Plain(n_x=3, n_y=1, flow=None, output=None, lower=0.0, upper=1.0)


def covariance_root(seed):
    factors = np.random.default_rng(seed).normal(size=(3, 3))
    return np.linalg.cholesky(factors @ factors.T + 0.1 * np.eye(3))


@pytest.mark.parametrize("seed", range(5))
def test_the_projection_minimizes_the_distance_in_the_metric_of_the_covariance(seed):
    """Against a general constrained minimizer, with one to three violated bounds."""
    root = covariance_root(seed)
    z = np.random.default_rng(100 + seed).uniform(-1.0, 2.0, size=3)
    z[0] = -0.5
    found = within_bounds(z, root, Coordinates.of(BOX, []), 0.0)
    precision = np.linalg.inv(root @ root.T)
    exact = minimize(
        lambda x: (x - z) @ precision @ (x - z),
        np.full(3, 0.5),
        jac=lambda x: 2.0 * precision @ (x - z),
        bounds=[(0.0, 1.0)] * 3,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(found, exact.x, atol=2e-5)


def test_a_single_bound_has_a_closed_form():
    """Like an exact observation of the bound: z - P[:, 0] / P[0, 0] (z[0] - bound); clipping moves one entry only."""
    root = covariance_root(1)
    p = root @ root.T
    z = np.array([-0.1, 0.5, 0.5])
    found = within_bounds(z, root, Coordinates.of(BOX, []), 0.0)
    np.testing.assert_allclose(found, z + p[:, 0] / p[0, 0] * 0.1, atol=1e-9)
    assert abs(found[1] - z[1]) > 1e-3


def test_what_is_within_its_bounds_is_left_alone():
    """The very same array comes back."""
    z = np.array([0.0, 1.0, 0.5])
    assert within_bounds(z, covariance_root(0), Coordinates.of(BOX, []), 0.0) is z


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_updates_stay_within_bounds_and_keep_the_covariance(method):
    """A sample far below zero leaves the state on its bound, with the covariance of the unbounded update."""
    eye = np.eye(2)
    free = plain_models.linear(eye, np.array([[1.0, 0.0]]))
    bound = type(free)(**{**free.__dict__, "lower": 0.0})
    start = Start(np.full((1, 2), 0.5), np.zeros((1, 0)), np.array([1.0, 2.0]))
    step = Step(0.0, 1.0, {}, np.zeros(2), Key(0, 0))
    seen = Observation(np.array([0]), np.array([-5.0]), np.array([0.1]), ("y0",))
    ends = []
    for model in (free, bound):
        plant = plain_models.dynamics_of(model)
        belief = method.begin(start, plant, Key(0, 0))
        ends.append(method.update(method.predict(belief, plant, step), plant, step, seen))
    assert ends[0].states[0, 0] < -1.0
    assert ends[1].states[0, 0] == 0.0
    if isinstance(method, pt.ExtendedKalman):
        np.testing.assert_array_equal(ends[0].root, ends[1].root)


def test_a_parameter_at_its_bound_neither_moves_nor_loses_spread_by_waiting():
    """Sigma points clipped at the bound run there; a thousand predictions later everything is as it was."""
    rate = pt.Parameter("rate", 0.0, unit="1", bounds=(0.0, 1.0))
    model = plain_models.Plain(n_x=1, n_y=1, flow=lambda x, v, t0, t1: x, output=lambda x, v, t: x * v["rate"])
    plant = plain_models.dynamics_of(model, [rate])
    method = pt.UnscentedKalman()
    belief = first = method.begin(Start(np.ones((1, 1)), np.zeros((1, 1)), np.array([0.1, 0.1])), plant, Key(0, 0))
    for k in range(1000):
        belief = method.predict(belief, plant, Step(float(k), k + 1.0, {}, np.zeros(2), Key(0, k))).belief
    assert belief.parameters.tobytes() == first.parameters.tobytes()
    np.testing.assert_allclose(belief.root, first.root, atol=1e-12)
