"""Region and box of K1 over jacket inlet temperature and feed concentration, 1000 draws, beside brute-force grids.

A grid of 21 x 21 points and 1000 draws is 441,000 simulations. The peers run a part of it, which is scaled up: their
time is proportional to the number of simulations. The envelope's own time holds everything: the search on 1000 draws,
the certificate on 1500 others and the set point.
"""

from typing import Any

import k1_problem as k1
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import physics_twin as pt
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.margins.evaluation import Problem, evaluate
from physics_twin.envelope.next_batch.draws import split_draws
from physics_twin.envelope.region.surrogate import shares

pytestmark = pytest.mark.benchmark(group="region of K1 over two settings, 1000 draws")
N_LINE, N_DRAWS, N_NODES = 21, 1000, 16
GRID = N_LINE**2 * N_DRAWS
JACKET = pt.Setting("jacket_inlet", "K", bounds=(310, 345))
FEED = pt.Setting("feed", "mol/L", bounds=(0.8, 2.4))
RECIPE = pt.Recipe.constant(
    duration="60 min", q="0.05 1/min", cA_in=FEED, cB_in="2.5 mol/L", T_in="330 K", Tj_in=JACKET
)
LIMITS = (
    pt.Limit("T", upper="362 K"),
    pt.Limit("cC", lower="0.45 mol/L", over=pt.final),
    pt.Limit("cD", upper="0.4 mol/L", over=pt.final),
)
MIDDLE = (0.05, 1.6, 2.5, 330.0, 327.5, 330.0)
N_CHECKED = 12


def _draws(n: int) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(1)
    return np.array(k1.TRUE) * (1.0 + 0.03 * rng.normal(size=(n, 6)))


def test_physics_twin_find_envelope(benchmark: Any) -> None:
    model = k1.model()
    posterior = pt.Posterior.from_draws([model.parameters[name] for name in k1.NAMES], _draws(2500))
    envelope = benchmark.pedantic(
        lambda: pt.find_envelope(
            model,
            posterior,
            recipe=RECIPE,
            settings=[JACKET, FEED],
            limits=LIMITS,
            rng=1,
            budget=pt.Budget(n_search=N_DRAWS, n_nodes=N_NODES),
        ),
        rounds=1,
    )
    assert not envelope.empty
    benchmark.extra_info["simulations"] = envelope.certificate.n_simulations
    benchmark.extra_info["fewer_than_the_grid"] = GRID / envelope.certificate.n_simulations
    assert envelope.certificate.n_simulations < GRID / 5
    # The region agrees with brute force on the same draws, where it is hardest: at grid points on its edge.
    bound = bind_limits(LIMITS, model.outputs, model.inputs)
    problem = Problem(model, RECIPE, (JACKET, FEED), bound, N_NODES)
    draws = split_draws(problem, posterior, envelope.question, np.random.default_rng(1))
    line = np.linspace(0.0, 1.0, N_LINE)
    grid = np.stack([a.ravel() for a in np.meshgrid(line, line, indexing="ij")], axis=1)
    predicted = envelope.space.probability(grid)
    hardest = np.argsort(np.abs(predicted[:, 0] - 0.5), kind="stable")[:N_CHECKED]
    brute = shares(evaluate(problem, draws.search, problem.si(grid[hardest])).margins)
    error = np.abs(brute[:, 0] - predicted[hardest, 0]).max()
    benchmark.extra_info["largest_error_of_P"] = float(error)
    assert error <= 0.02


def test_scipy_solve_ivp_grid(benchmark: Any) -> None:
    draws, times = _draws(100), np.linspace(0.0, 60.0, N_NODES + 1)

    def run() -> float:
        total = 0.0
        for th in draws:
            y = solve_ivp(
                k1.rates, (0, 60), k1.start(MIDDLE), "LSODA", times, args=(th, MIDDLE), rtol=1e-6, atol=1e-8
            ).y
            total += float(y[4].max())
        return total

    assert np.isfinite(benchmark.pedantic(run, rounds=3))
    benchmark.extra_info["units_of_work"] = len(draws) / GRID


def test_casadi_map_grid(benchmark: Any) -> None:
    """What an expert writes by hand: CasADi's cvodes mapped over the draws, one point of the grid after the other."""
    import casadi as ca

    x, th = ca.SX.sym("x", 6), ca.SX.sym("th", 6)
    ode = ca.vertcat(*_rates(ca, x, th))
    times = np.linspace(0.0, 60.0, N_NODES + 1)[1:]
    one = ca.integrator(
        "k1", "cvodes", {"x": x, "p": th, "ode": ode}, 0.0, times, {"reltol": k1.RTOL, "abstol": k1.ATOL}
    )
    many, draws = one.map(N_DRAWS), _draws(N_DRAWS).T
    x0 = np.repeat(np.array(k1.start(MIDDLE))[:, None], N_DRAWS, axis=1)
    result = benchmark.pedantic(lambda: many(x0=x0, p=draws)["xf"].full(), rounds=3)
    benchmark.extra_info["units_of_work"] = N_DRAWS / GRID
    assert np.isfinite(result).all()


def _rates(ca: Any, x: Any, th: Any) -> list[Any]:
    a = 100 * (1 / x[4] - 1 / 350) / 8.314e-3
    r1, r2 = ca.exp(th[0] - th[1] * a) * x[0] * x[1], ca.exp(th[2] - th[3] * a) * x[2] * x[1]
    q, cA, cB, T_in, Tj_in, _ = MIDDLE
    return [
        q * (cA - x[0]) - r1,
        q * (cB - x[1]) - r1 - r2,
        -q * x[2] + r1 - r2,
        -q * x[3] + r2,
        q * (T_in - x[4]) + 100 * (th[5] * r1 + 0.35 * r2) - th[4] * (x[4] - x[5]),
        0.5 * (Tj_in - x[5]) + 4 * th[4] * (x[4] - x[5]),
    ]
