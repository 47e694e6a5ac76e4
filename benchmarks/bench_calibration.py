"""Calibration of K1 (1600 residuals, a prior, six parameters): the maximum of the posterior."""

from typing import Any

import k1_problem as k1
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import physics_twin as pt

pytestmark = pytest.mark.benchmark(group="maximum of the posterior of K1")


@pytest.fixture(scope="module")
def tables() -> list[np.ndarray[Any, Any]]:
    return k1.measurements()


@pytest.fixture(scope="module")
def reference(tables: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The maximum found by SciPy at tight tolerances from the truth."""
    return _scipy_fit(tables, k1.TRUE, rtol=1e-10, diff_step=1e-6)


def _scipy_fit(tables: list[np.ndarray[Any, Any]], start: Any, rtol: float, diff_step: float) -> np.ndarray[Any, Any]:
    def residuals(th: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        parts = [(th - k1.PRIOR_MEAN) / k1.PRIOR_SD]
        for u, table in zip(k1.EXPERIMENTS, tables, strict=True):
            run = solve_ivp(
                k1.rates, (0, 60), k1.start(u), "LSODA", k1.MINUTES, args=(th, u), rtol=rtol, atol=rtol * 1e-2
            )
            parts.append(((table - run.y[[0, 2, 3, 4]].T) / k1.NOISE).ravel())
        return np.concatenate(parts)

    return least_squares(residuals, np.array(start), diff_step=diff_step).x


def test_physics_twin_gauss_newton(benchmark: Any, tables: Any, reference: Any) -> None:
    model = k1.model()
    channels = [pt.Channel(o, unit="K" if o == "T" else "mol/L", noise=(s, "K" if o == "T" else "mol/L"))
                for o, s in zip(k1.OUTPUTS, k1.NOISE, strict=True)]  # fmt: skip
    experiments = [
        pt.Experiment.from_arrays(
            f"run_{i}",
            k1.MINUTES * 60.0,
            {o: table[:, j] for j, o in enumerate(k1.OUTPUTS)},
            channels=channels,
            recipe=k1.recipe(u),
        )
        for i, (u, table) in enumerate(zip(k1.EXPERIMENTS, tables, strict=True))
    ]
    posterior = benchmark(
        lambda: pt.calibrate(model, experiments, unknown=list(k1.NAMES), method=pt.GaussNewton(), rng=0)
    )
    found = np.array([posterior.mode[name] for name in k1.NAMES])
    error = np.sqrt(np.diag(np.asarray(posterior.covariance)))
    assert (np.abs(found - reference) < 0.02 * error).all()


def test_scipy_solve_ivp_least_squares(benchmark: Any, tables: Any, reference: Any) -> None:
    found = benchmark.pedantic(lambda: _scipy_fit(tables, k1.PRIOR_MEAN, 1e-6, 1e-3), rounds=3, warmup_rounds=0)
    assert np.allclose(found, reference, rtol=0.02)
