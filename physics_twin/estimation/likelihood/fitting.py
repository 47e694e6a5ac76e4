"""What a search does with noise: least squares for given noise, and noise for given residuals, whatever its shape."""

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation import noise
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.likelihood.local_model import local_model, search_model
from physics_twin.estimation.likelihood.marginal import marginal, update
from physics_twin.estimation.likelihood.quadratic import data_rows, quadratic
from physics_twin.estimation.likelihood.terms import terms
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.trust_region import Linearization


def start_hypers(problem: Problem) -> Array:
    """Starting values (n_hypers,) SI."""
    return np.array([h.parameter.value for h in problem.hypers], dtype=float)


def least_squares(problem: Problem, point: Point, sd: Array, hypers: Array) -> Linearization:
    """Whitened residuals and priors with their Jacobian, for given noise levels and hypers; SI."""
    if problem.plain:
        return noise.whiten(point, noise.weights(problem, sd))
    psi = np.log(np.concatenate([sd, hypers]))
    return quadratic(problem.sample_noise, psi, search_model(problem, point), point.z)


def whitened(problem: Problem, point: Point, sd: Array, hypers: Array) -> tuple[Array, Array]:
    """Residuals (n_data,) that are independent with variance one where all is right, and the noise of each, SI.

    Innovations where noise remembers; where it has outliers scores, of which none is large. A censored sample has no
    residual: what stands there says how hard its limit pulls.
    """
    if problem.plain:
        w = noise.weights(problem, sd)
        return point.residual * w, 1.0 / w
    psi = np.log(np.concatenate([sd, hypers]))
    local = local_model(problem, point)
    found = terms(problem.sample_noise, psi, local)
    return data_rows(problem.sample_noise, found, local)[0], found.s


def estimate_noise(
    problem: Problem, point: Point, sd: Array, hypers: Array, free: NDArray[np.bool_], *, look: bool
) -> tuple[noise.Levels, Array]:
    """Noise levels and hypers from the residuals at `point`, given those it was fitted with.

    free (d,): unknowns that no bound holds. look: farther afield for shapes and spreads first.
    """
    if problem.plain:
        return noise.update(problem, point, sd, free), hypers
    return update(problem, point, noise.Levels(sd, np.empty(0)), hypers, free, look=look)


def objective(problem: Problem, point: Point, sd: Array, hypers: Array, misfit: float) -> float:
    """-2 log posterior up to a constant, to compare starts by; misfit: of `least_squares` at the point."""
    if problem.plain:
        logs = float(np.log(np.append(sd, 1.0))[problem.groups].sum()) if sd.size else 0.0
        return misfit + 2.0 * logs
    return marginal(problem, point).given(np.log(np.concatenate([sd, hypers]))).objective
