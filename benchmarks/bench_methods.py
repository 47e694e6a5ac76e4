"""K1 (1600 residuals, a prior, six parameters): what an estimate with its uncertainty costs by each method and peers.

Methods give different things: GaussNewton and SciPy a maximum with a covariance, ProfileLikelihood intervals,
MarkovChain draws (here sixty steps of two chains, to say what a step costs). pyPESTO has no simulator of its own, and
AMICI, with which it is mostly used, compiles each model in C++. Here it works on the same SciPy simulation as the SciPy
fit, one start of its loop around the same least squares with forward differences: that is the route without a compiled
model, and says nothing of pyPESTO with AMICI.
"""

from collections.abc import Callable
from typing import Any

import k1_problem as k1
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import physics_twin as pt

pytestmark = pytest.mark.benchmark(group="K1 by each method")

Array = np.ndarray[Any, Any]
RTOL, STEP = 1e-6, 1e-3
"""Of SciPy: the step of its differences lies above the noise of its integrator."""


@pytest.fixture(scope="module")
def tables() -> list[Array]:
    return k1.measurements()


@pytest.fixture(scope="module")
def reference(tables: list[Array]) -> tuple[Array, Array]:
    """The maximum of the posterior and its standard errors, by SciPy at tight tolerances from the truth."""
    fit = least_squares(_residuals(tables, 1e-10), np.array(k1.TRUE), diff_step=1e-6)
    return fit.x, np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))


def _residuals(tables: list[Array], rtol: float) -> Callable[[Array], Array]:
    """Whitened residuals of data and prior, as most people would write them."""

    def of(th: Array) -> Array:
        parts = [(th - k1.PRIOR_MEAN) / k1.PRIOR_SD]
        for u, table in zip(k1.EXPERIMENTS, tables, strict=True):
            run = solve_ivp(
                k1.rates, (0, 60), k1.start(u), "LSODA", k1.MINUTES, args=(th, u), rtol=rtol, atol=rtol * 1e-2
            )
            parts.append(((table - run.y[[0, 2, 3, 4]].T) / k1.NOISE).ravel())
        return np.concatenate(parts)

    return of


def _experiments(tables: list[Array]) -> list[pt.Experiment]:
    units = ["K" if o == "T" else "mol/L" for o in k1.OUTPUTS]
    channels = [pt.Channel(o, unit=u, noise=(s, u)) for o, u, s in zip(k1.OUTPUTS, units, k1.NOISE, strict=True)]
    return [
        pt.Experiment.from_arrays(
            f"run_{i}",
            k1.MINUTES * 60.0,
            {o: table[:, j] for j, o in enumerate(k1.OUTPUTS)},
            channels=channels,
            recipe=k1.recipe(u),
        )
        for i, (u, table) in enumerate(zip(k1.EXPERIMENTS, tables, strict=True))
    ]


METHODS = {
    "gauss_newton": pt.GaussNewton(),
    "profile_likelihood": pt.ProfileLikelihood(),
    "markov_chain": pt.MarkovChain(n_draws=80, n_chains=2, steps=40, warm_up=20),
}


@pytest.mark.parametrize("method", METHODS)
def test_physics_twin(benchmark: Any, tables: list[Array], reference: tuple[Array, Array], method: str) -> None:
    if method == "markov_chain":
        pytest.importorskip("nutpie", reason="the extra bayes is not installed")
    model, runs = k1.model(), _experiments(tables)

    def fit() -> pt.Posterior:
        return pt.calibrate(model, runs, unknown=list(k1.NAMES), method=METHODS[method], rng=0)

    posterior = benchmark.pedantic(fit, rounds=1, warmup_rounds=0)
    mode, error = reference
    found = np.array([posterior.mode[name] for name in k1.NAMES])
    assert (np.abs(found - mode) < 0.02 * error).all()
    spread = np.array([posterior[name].std() for name in k1.NAMES])
    # The posterior is nearly normal; six errors of a standard deviation from so many draws, and 5 % for its shape.
    assert (np.abs(spread / error - 1.0) < 0.05 + 6.0 / np.sqrt(2.0 * posterior.effective_draws)).all()
    benchmark.extra_info["effective_draws"] = posterior.effective_draws


def test_scipy_solve_ivp_least_squares(benchmark: Any, tables: list[Array], reference: tuple[Array, Array]) -> None:
    residuals = _residuals(tables, RTOL)

    def fit() -> Any:
        return least_squares(residuals, np.array(k1.PRIOR_MEAN), diff_step=STEP)

    found = benchmark.pedantic(fit, rounds=1, warmup_rounds=0)
    assert np.allclose(found.x, reference[0], rtol=0.02)


def test_pypesto_with_scipy_simulation(benchmark: Any, tables: list[Array], reference: tuple[Array, Array]) -> None:
    pytest.importorskip("pypesto", reason="pyPESTO is not installed")
    import pypesto
    import pypesto.optimize

    residuals = _residuals(tables, RTOL)

    def jacobian(th: Array) -> Array:
        base = residuals(th)
        steps = STEP * np.abs(th)
        return np.stack([(residuals(th + h * e) - base) / h for h, e in zip(steps, np.eye(th.size), strict=True)], 1)

    objective = pypesto.Objective(
        fun=lambda th: 0.5 * float(np.sum(residuals(th) ** 2)), res=residuals, sres=jacobian, x_names=list(k1.NAMES)
    )
    width = 4.0 * np.array(k1.PRIOR_SD)
    center = np.array(k1.PRIOR_MEAN)
    problem = pypesto.Problem(objective, lb=center - width, ub=center + width, x_guesses=center[None])

    def fit() -> Any:
        return pypesto.optimize.minimize(
            problem, pypesto.optimize.ScipyOptimizer("ls_trf"), n_starts=1, progress_bar=False
        )

    found = benchmark.pedantic(fit, rounds=1, warmup_rounds=0)
    assert np.allclose(found.optimize_result.x[0], reference[0], rtol=0.02)
