"""The unscented filter of K1's reactor (six states, four outputs): one step with its update, one sample a minute.

All take one classical Runge-Kutta step between samples, with the same sigma points (alpha 0.6, beta 2, kappa 0), so
that all hold the same numbers in the end, which is checked. filterpy is not among the packages of this library:
`pip install --target folder --no-deps filterpy`, then run with PYTHONPATH=folder.
"""

from typing import Any

import k1_problem as k1
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Belief, Observation, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.simulation import complete_values

pytestmark = pytest.mark.benchmark(group="unscented filter, K1's reactor, one sample")
N = 50
U = k1.EXPERIMENTS[0]
SD = np.array([0.05, 0.05, 0.05, 0.05, 1.0, 1.0])  # at the start, mol/L and K
WALK = 1e-3 * SD  # in a minute
SEEN = [0, 2, 3, 4]


def _data() -> np.ndarray[Any, Any]:
    return np.asarray(k1.measurements()[0])


def _step(x: Any, dt: float) -> Any:
    """One step of one point in plain Python, in minutes."""

    def f(at: Any) -> Any:
        return np.array(k1.rates(0.0, at, k1.TRUE, U))

    k_1 = f(x)
    k_2 = f(x + 0.5 * dt * k_1)
    k_3 = f(x + 0.5 * dt * k_2)
    k_4 = f(x + dt * k_3)
    return x + dt / 6.0 * (k_1 + 2.0 * (k_2 + k_3) + k_4)


def _ours(steps: pt.RungeKutta | None) -> tuple[pt.UnscentedKalman, Dynamics, Belief, list[tuple[Step, Observation]]]:
    model, recipe = k1.model(), k1.recipe(U)
    values = dict(complete_values(model, recipe, None)) | dict(zip(k1.NAMES, k1.TRUE, strict=True))
    plant = Dynamics(model, recipe, values, Coordinates.of(model, []))
    scale, litre = plant.coordinates.scale, np.array([1e3, 1e3, 1e3, 1e3, 1.0, 1.0])
    state = model.initial_state(0.0, recipe, values)
    state[:6] = np.array(k1.start(U)) * litre
    state[[block.name for block in model.state].index("recipe.phase")] = 0.0
    method = pt.UnscentedKalman(steps=steps)
    belief = method.begin(Start(state[None], np.zeros((1, 0)), (SD * litre / scale) ** 2), plant, Key(0, 0))
    minutes = np.concatenate([[0.0], k1.MINUTES])
    noise = (np.array(k1.NOISE) * litre[SEEN]) ** 2
    rows = []
    for k, values_k in enumerate(_data()):
        t0, t1 = minutes[k] * 60.0, minutes[k + 1] * 60.0
        variance = (WALK * litre / scale) ** 2
        seen = Observation(np.arange(4), values_k * litre[SEEN], noise, k1.OUTPUTS)
        rows.append((Step(float(t0), float(t1), {}, variance, Key(0, k)), seen))
    return method, plant, belief, rows


def _run(method: pt.UnscentedKalman, plant: Dynamics, belief: Belief, rows: list[tuple[Step, Observation]]) -> Belief:
    for step, seen in rows:
        belief = method.update(method.predict(belief, plant, step), plant, step, seen)
    return belief


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "casadi"])
def test_physics_twin_fixed_steps(benchmark: Any, compiled: bool) -> None:
    method, plant, belief, rows = _ours(pt.RungeKutta("2 min", compiled=compiled))
    end = benchmark(_run, method, plant, belief, rows)
    benchmark.extra_info["units_of_work"] = N
    _check(end.states[0, :6] / [1e3, 1e3, 1e3, 1e3, 1.0, 1.0])


def test_own_integrator(benchmark: Any) -> None:
    """physics_twin's default: error-controlled integration, any model."""
    method, plant, belief, rows = _ours(None)
    end = benchmark.pedantic(_run, (method, plant, belief, rows), rounds=3)
    benchmark.extra_info["units_of_work"] = N
    assert np.isfinite(end.states).all()


def _filterpy() -> Any:
    from filterpy.kalman import MerweScaledSigmaPoints, UnscentedKalmanFilter

    points = MerweScaledSigmaPoints(6, alpha=0.6, beta=2.0, kappa=0.0)
    kf = UnscentedKalmanFilter(6, 4, 1.2, hx=lambda x: x[SEEN], fx=_step, points=points)
    kf.x, kf.P = np.array(k1.start(U)), np.diag(SD**2)
    kf.Q, kf.R = np.diag(WALK**2), np.diag(np.square(k1.NOISE))
    for z in _data():
        kf.predict()
        # filterpy measures the points from before the noise of the process; drawn again they are those of the others.
        kf.sigmas_f = points.sigma_points(kf.x, kf.P)
        kf.update(z)
    return kf.x


def test_filterpy(benchmark: Any) -> None:
    pytest.importorskip("filterpy")
    end = benchmark.pedantic(_filterpy, rounds=5)
    benchmark.extra_info["units_of_work"] = N
    _check(end)


def _check(end: Any) -> None:
    """Against the textbook's formulas with covariances, in the same units as the data."""
    n, alpha = 6, 0.6
    spread = alpha**2 * n
    w = np.full(2 * n + 1, 0.5 / spread)
    w[0] = 1.0 - n / spread
    wc = w.copy()
    wc[0] += 1.0 - alpha**2 + 2.0
    x, p = np.array(k1.start(U)), np.diag(SD**2)

    def points() -> Any:
        root = np.sqrt(spread) * np.linalg.cholesky(p).T
        return np.concatenate([x[None], x + root, x - root])

    for z in _data():
        carried = np.array([_step(point, 1.2) for point in points()])
        x = w @ carried
        p = (carried - x).T @ (wc[:, None] * (carried - x)) + np.diag(WALK**2)
        again = points()
        y = again[:, SEEN]
        off = y - w @ y
        s = off.T @ (wc[:, None] * off) + np.diag(np.square(k1.NOISE))
        gain = (again - x).T @ (wc[:, None] * off) @ np.linalg.inv(s)
        x, p = x + gain @ (z - w @ y), p - gain @ s @ gain.T
    np.testing.assert_allclose(end, x, rtol=1e-8)
