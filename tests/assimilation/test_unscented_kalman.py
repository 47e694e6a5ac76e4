"""What is the unscented filter's own: moments of quadratics, a nonlinear case on a grid, points that fail."""

import numpy as np
import pytest
from scipy.stats import norm

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.keys import Key
from physics_twin.errors import SolveError
from tests.assimilation import plain_models


def predicted_outputs(method, output, mean, covariance):
    """Mean and covariance of output(x) for x Gaussian, as the method sees it."""
    n = len(mean)
    model = plain_models.Plain(
        n_x=n, n_y=output(np.zeros((1, n))).shape[1], flow=None, output=lambda x, _v, _t: output(x)
    )
    plant = plain_models.dynamics_of(model)
    belief = method.begin(Start(mean[None], np.zeros((1, 0)), np.ones(n)), plant, Key(0, 0))
    belief = type(belief)(belief.method, belief.states, belief.parameters, np.linalg.cholesky(covariance))
    found = method.predict(belief, plant, Step(0.0, 0.0, {}, np.zeros(n), Key(0, 0)))
    return found.outputs, found.covariance


@pytest.mark.parametrize("method", [pt.UnscentedKalman(), pt.UnscentedKalman(alpha=1.0, kappa=1.0)], ids=repr)
def test_the_mean_of_a_quadratic_is_exact_in_any_dimension(method):
    """E[x^T A x + b^T x] = tr(A P) + m^T A m + b^T m, for five correlated directions."""
    rng = np.random.default_rng(3)
    a, b, m = rng.normal(size=(5, 5)), rng.normal(size=5), rng.normal(size=5)
    factors = rng.normal(size=(5, 5))
    p = factors @ factors.T
    mean, _ = predicted_outputs(method, lambda x: (np.einsum("ki,ij,kj->k", x, a, x) + x @ b)[:, None], m, p)
    assert mean[0] == pytest.approx(np.trace(a @ p) + m @ a @ m + b @ m, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.3, 0.6, 1.0])
def test_the_variance_of_a_quadratic_is_exact_in_one_dimension(alpha):
    """var(x^2) = 2 s^4 + 4 m^2 s^2 with beta = 2, whatever alpha."""
    m, s = 0.7, 1.3
    _, covariance = predicted_outputs(
        pt.UnscentedKalman(alpha=alpha), lambda x: x**2, np.array([m]), np.array([[s * s]])
    )
    assert covariance[0, 0] == pytest.approx(2.0 * s**4 + 4.0 * m * m * s * s, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.3, 0.6])
def test_a_step_carries_the_variance_of_a_quadratic(alpha):
    """x <- x^2: the root of the covariance is exact too, with a weight of the center below zero (0.3) or above."""
    m, s = 0.7, 1.3
    model = plain_models.Plain(n_x=1, n_y=1, flow=lambda x, _v, _t0, _t1: x**2, output=lambda x, _v, _t: x)
    plant, method = plain_models.dynamics_of(model), pt.UnscentedKalman(alpha=alpha)
    belief = method.begin(Start(np.array([[m]]), np.zeros((1, 0)), np.array([s * s])), plant, Key(0, 0))
    after = method.predict(belief, plant, Step(0.0, 1.0, {}, np.zeros(1), Key(0, 0))).belief
    assert (method.weights(1).covariance_center < 0.0) == (alpha < 0.5)
    assert after.states[0, 0] == pytest.approx(m * m + s * s, rel=1e-12)
    assert after.root[0, 0] ** 2 == pytest.approx(2.0 * s**4 + 4.0 * m * m * s * s, rel=1e-12)


def grid_filter(grid, move, output, q, r, first, values):
    """Means and standard deviations of Bayes' rule on a dense grid; the noise comes after the move."""
    density = norm.pdf(grid, *first)
    kernel = norm.pdf(grid[:, None], move(grid)[None], np.sqrt(q))
    found = []
    for value in values:
        density = kernel @ density
        density *= norm.pdf(value, output(grid), np.sqrt(r))
        density /= density.sum()
        mean = density @ grid
        found.append((mean, np.sqrt(density @ (grid - mean) ** 2)))
    return np.array(found).T


@pytest.mark.parametrize("method", [pt.UnscentedKalman(), pt.ExtendedKalman()], ids=repr)
def test_a_nonlinear_problem_agrees_with_bayes_rule_on_a_grid(method):
    """A curved move and a curved sensor: the mean within 0.1 standard deviations, the spread within 8 %.

    Over the first standard deviation (0.5) the sensor's slope changes by 0.2 x 0.5 / 1.2 = 8 %; later (0.1) by 1 to
    2 %: what a Gaussian leaves out is of that size.
    """
    q, r, n = 0.02, 0.05, 60
    rng = np.random.default_rng(5)

    def move(x):
        return x + 0.3 * np.sin(x) + 0.05

    def output(x):
        return x + 0.1 * x**2

    x, values = 1.0, []
    for _ in range(n):
        x = move(x) + np.sqrt(q) * rng.normal()
        values.append(output(x) + np.sqrt(r) * rng.normal())
    mean, sd = grid_filter(np.linspace(-3.0, 7.0, 1501), move, output, q, r, (1.0, 0.5), values)
    model = plain_models.PlainLinearised(
        n_x=1,
        n_y=1,
        flow=lambda x, _v, _t0, _t1: move(x),
        output=lambda x, _v, _t: output(x),
        tangent=lambda x, _t0, _t1: (move(x), np.array([1.0 + 0.3 * np.cos(x)])),
        slope=lambda x, _t: np.array([1.0 + 0.2 * x]),
    )
    plant = plain_models.dynamics_of(model)
    belief = method.begin(Start(np.ones((1, 1)), np.zeros((1, 0)), np.array([0.25])), plant, Key(0, 0))
    found = []
    for k, value in enumerate(values):
        step = Step(float(k), k + 1.0, {}, np.array([q]), Key(0, k))
        seen = Observation(np.array([0]), np.array([value]), np.array([r]), ("y0",))
        belief = method.update(method.predict(belief, plant, step), plant, step, seen)
        found.append((belief.states[0, 0], belief.root[0, 0]))
    means, spreads = np.array(found).T
    assert np.abs((means - mean) / sd).max() < 0.1
    assert np.abs(spreads / sd - 1.0).max() < 0.08
    assert np.abs(spreads[5:] / sd[5:] - 1.0).max() < 0.02


def doubling(fails):
    return plain_models.Plain(
        n_x=2, n_y=1, flow=lambda x, _v, _t0, _t1: 2.0 * x, output=lambda x, _v, _t: x[:, :1], fails=fails
    )


def test_a_point_that_fails_is_mirrored_and_reported():
    """Of a linear model the mirrored point is the right one: nothing is lost but the report."""
    method, start = pt.UnscentedKalman(), Start(np.zeros((1, 2)), np.zeros((1, 0)), np.ones(2))
    step = Step(0.0, 1.0, {}, np.zeros(2), Key(0, 0))
    results = []
    for fails in (plain_models.never, lambda x: x[:, 0] > 0.1):
        plant = plain_models.dynamics_of(doubling(fails))
        results.append(method.predict(method.begin(start, plant, Key(0, 0)), plant, step))
    whole, hurt = results
    assert not whole.failures
    assert [failure.member for failure in hurt.failures] == [1]
    np.testing.assert_allclose(hurt.belief.root, whole.belief.root, rtol=1e-14)
    np.testing.assert_allclose(hurt.outputs, whole.outputs, atol=1e-14)


def test_pairs_and_centers_that_fail_are_replaced_and_only_all_of_them_end_the_step():
    """A pair keeps its distance from the center; a center is the middle of the pairs; nothing left raises."""
    method, start = pt.UnscentedKalman(), Start(np.ones((1, 2)), np.zeros((1, 0)), np.ones(2))
    step = Step(0.0, 1.0, {}, np.zeros(2), Key(0, 0))

    def predict(fails):
        plant = plain_models.dynamics_of(doubling(fails))
        return method.predict(method.begin(start, plant, Key(0, 0)), plant, step)

    pair = predict(lambda x: np.abs(x[:, 0] - 1.0) > 0.1)
    np.testing.assert_allclose(pair.belief.states, [[2.0, 2.0]])
    np.testing.assert_allclose(pair.belief.root @ pair.belief.root.T, np.diag([1.0, 4.0]), atol=1e-13)
    center = predict(lambda x: (x == 1.0).all(axis=1))
    np.testing.assert_allclose(center.belief.states, [[2.0, 2.0]])
    np.testing.assert_allclose(center.belief.root @ center.belief.root.T, np.diag([4.0, 4.0]), atol=1e-13)
    with pytest.raises(SolveError, match="every sigma point failed"):
        predict(lambda x: np.ones(len(x), dtype=bool))


def test_points_run_within_the_bounds():
    """Spread across a bound: no member of the model ever sees the far side."""
    seen = []

    def flow(x, _values, _t0, _t1):
        seen.append(x.copy())
        return x

    model = plain_models.Plain(n_x=1, n_y=1, flow=flow, output=lambda x, _v, _t: x, lower=0.0)
    plant, method = plain_models.dynamics_of(model), pt.UnscentedKalman()
    belief = method.begin(Start(np.full((1, 1), 0.1), np.zeros((1, 0)), np.ones(1)), plant, Key(0, 0))
    after = method.predict(belief, plant, Step(0.0, 1.0, {}, np.zeros(1), Key(0, 0))).belief
    assert min(x.min() for x in seen) == 0.0
    np.testing.assert_allclose(after.root, belief.root)
