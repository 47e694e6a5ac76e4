"""Least squares that stand for the misfit: slope and curvature, against the misfit itself."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from physics_twin.estimation import noise
from physics_twin.estimation.likelihood.local_model import local_model, search_model
from physics_twin.estimation.likelihood.quadratic import data_rows, exact_information, observed_information, quadratic
from physics_twin.estimation.likelihood.terms import misfit, terms
from physics_twin.estimation.log_density import start_psi
from tests.estimation.likelihood.shapes import NOISES, decaying, point_at


@pytest.mark.parametrize("extra", [0.0, 0.05])
@pytest.mark.parametrize("shape", NOISES)
def test_the_rows_have_the_slope_of_the_misfit_and_never_a_negative_curvature(
    shape: str, extra: float, closed_form: Any
) -> None:
    """J^T r is half the slope, the value is the misfit, and the clipped curvature is positive definite."""
    problem = decaying(NOISES[shape], closed_form, groups=True, censored=True)
    z = 0.2 * np.random.default_rng(1).standard_normal(len(problem.columns))
    psi, local = start_psi(problem), search_model(problem, point_at(problem, z, extra))
    found, exact = quadratic(problem.sample_noise, psi, local, z), misfit(problem.sample_noise, psi, local)
    np.testing.assert_allclose(found.jacobian.T @ found.r, exact.slope, rtol=1e-9, atol=1e-9)
    assert found.misfit == exact.value
    h = observed_information(problem.sample_noise, psi, local)
    assert np.linalg.eigvalsh(h)[0] > 0.0


@pytest.mark.parametrize("extra", [0.0, 0.05])
@pytest.mark.parametrize("shape", NOISES)
def test_the_exact_curvature_is_that_of_the_local_model(shape: str, extra: float, closed_form: Any) -> None:
    """Against central differences of the exact slope along the local model."""
    problem = decaying(NOISES[shape], closed_form, groups=True, censored=True)
    z = 0.2 * np.random.default_rng(1).standard_normal(len(problem.columns))
    psi, local = start_psi(problem), local_model(problem, point_at(problem, z, extra))
    h, step = exact_information(problem.sample_noise, psi, local, terms(problem.sample_noise, psi, local)), 1e-5
    rows = []
    for e in np.eye(z.size) * step:
        up, down = (misfit(problem.sample_noise, psi, local.moved(sign * e)).slope for sign in (1.0, -1.0))
        rows.append((up - down) / (2.0 * step))
    np.testing.assert_allclose(h, np.array(rows), rtol=1e-5, atol=1e-5 * np.abs(h).max())


def test_plain_noise_gives_the_whitened_residuals(closed_form: Any) -> None:
    """The general rows of independent normal noise are those of the plain fit."""
    problem = decaying(NOISES["plain"], closed_form)
    point = point_at(problem, np.array([0.1, -0.2, 0.3]))
    plain = noise.whiten(point, noise.weights(problem, np.array([0.7])))
    general = quadratic(problem.sample_noise, np.log([0.7]), local_model(problem, point), point.z)
    np.testing.assert_allclose(general.r, plain.r, rtol=1e-12)
    np.testing.assert_allclose(general.jacobian, plain.jacobian, rtol=1e-12)


def test_an_outlier_has_no_large_row(closed_form: Any) -> None:
    """With Student's t the row of a wild sample is bounded, however wild it is."""
    problem = decaying(NOISES["outliers"], closed_form)
    point = point_at(problem, np.zeros(3))
    for size in (1e2, 1e6):
        wild = point.residual.copy()
        wild[4] = size
        local = local_model(problem, replace(point, residual=wild))
        found = terms(problem.sample_noise, start_psi(problem), local)
        assert abs(data_rows(problem.sample_noise, found, local)[0][4]) < 0.1
        assert abs(quadratic(problem.sample_noise, start_psi(problem), local, point.z).r[4]) <= 2.0  # sqrt(nu + 1)
