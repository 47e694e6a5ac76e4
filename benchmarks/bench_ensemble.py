"""K1 for many parameter draws, 50 outputs each, on one core."""

from typing import Any

import k1_problem as k1
import numpy as np
import pytest
from scipy.integrate import solve_ivp

pytestmark = pytest.mark.benchmark(group="one simulation of K1 in an ensemble")
N = 1000


def _draws() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    return np.array(k1.TRUE) * (1.0 + 0.02 * rng.normal(size=(N, 6)))


@pytest.mark.parametrize("stiffness", [1.0, 1000.0])
def test_physics_twin_trajectories(benchmark: Any, stiffness: float) -> None:
    model, recipe, draws = k1.model(stiffness), k1.recipe(k1.EXPERIMENTS[0]), _draws()
    columns = {name: np.full(N, value) for name, value in model.parameters.values().items()}
    columns |= {name: draws[:, j] for j, name in enumerate(k1.NAMES)}
    outputs, _, failures = benchmark(lambda: model.trajectories(k1.MINUTES * 60.0, recipe, columns))
    benchmark.extra_info["units_of_work"] = N
    assert not failures and np.isfinite(outputs).all()
    u = k1.EXPERIMENTS[0]
    exact = solve_ivp(
        k1.rates, (0, 60), k1.start(u), "LSODA", k1.MINUTES, args=(draws[7], u, stiffness), rtol=1e-10, atol=1e-12
    )
    assert np.abs(outputs[7, :, 3] - exact.y[4]).max() < 0.02


def test_scipy_solve_ivp(benchmark: Any) -> None:
    draws, u = _draws()[:100], k1.EXPERIMENTS[0]

    def run() -> float:
        total = 0.0
        for th in draws:
            y = solve_ivp(k1.rates, (0, 60), k1.start(u), "LSODA", k1.MINUTES, args=(th, u), rtol=1e-6, atol=1e-8).y
            total += float(y[4, -1])
        return total

    assert np.isfinite(benchmark.pedantic(run, rounds=3))
    benchmark.extra_info["units_of_work"] = len(draws)


def test_casadi_map(benchmark: Any) -> None:
    """What an expert writes by hand: CasADi's cvodes mapped over the draws."""
    import casadi as ca

    x, th, u = ca.SX.sym("x", 6), ca.SX.sym("th", 6), k1.EXPERIMENTS[0]
    a = 100 * (1 / x[4] - 1 / 350) / 8.314e-3
    r1, r2 = ca.exp(th[0] - th[1] * a) * x[0] * x[1], ca.exp(th[2] - th[3] * a) * x[2] * x[1]
    q, cA, cB, T_in, Tj_in, _ = u
    ode = ca.vertcat(
        q * (cA - x[0]) - r1,
        q * (cB - x[1]) - r1 - r2,
        -q * x[2] + r1 - r2,
        -q * x[3] + r2,
        q * (T_in - x[4]) + 100 * (th[5] * r1 + 0.35 * r2) - th[4] * (x[4] - x[5]),
        0.5 * (Tj_in - x[5]) + 4 * th[4] * (x[4] - x[5]),
    )
    one = ca.integrator(
        "k1", "cvodes", {"x": x, "p": th, "ode": ode}, 0.0, k1.MINUTES, {"reltol": k1.RTOL, "abstol": k1.ATOL}
    )
    many, draws = one.map(N), _draws().T
    x0 = np.repeat(np.array(k1.start(u))[:, None], N, axis=1)
    result = benchmark(lambda: many(x0=x0, p=draws)["xf"].full())
    benchmark.extra_info["units_of_work"] = N
    assert np.isfinite(result).all()
