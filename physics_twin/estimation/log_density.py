"""The posterior density and its slopes at a point whose simulations are done: what samplers and profiles ask for.

psi (n_psi,): natural logarithms of noise levels, then of hypers; see hypers.py. What the likelihood is where noise is
more than independent normal numbers of one size: likelihood/terms.py.
"""

from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation import noise
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.likelihood.local_model import LocalModel, local_model, search_model
from physics_twin.estimation.likelihood.terms import misfit
from physics_twin.estimation.problem import Problem


@dataclass(frozen=True)
class Density:
    """A log density up to a constant, and its slopes."""

    value: float
    """Log likelihood plus log prior: of the unknowns in declared units (no Jacobian of the search), of psi itself."""
    slope: Array
    """(d,) with respect to z; empty where the point has no Jacobian."""
    slope_psi: Array
    """(n_psi,)"""


def n_psi(problem: Problem) -> int:
    """How many noise levels and hypers."""
    return len(problem.noise_groups) + len(problem.hypers)


def start_psi(problem: Problem) -> Array:
    """psi (n_psi,) at the declared values."""
    declared = [*(g.parameter for g in problem.noise_groups), *(h.parameter for h in problem.hypers)]
    return np.log(np.array([p.value for p in declared], dtype=float))


def psi_bounds(problem: Problem) -> tuple[Array, Array]:
    """Bounds (n_psi,) of psi."""
    declared = [*(g.parameter for g in problem.noise_groups), *(h.parameter for h in problem.hypers)]
    low = np.log([max(p.bounds[0], 1e-300) for p in declared])
    return np.asarray(low, dtype=float), np.log(np.array([p.bounds[1] for p in declared], dtype=float))


def log_density(problem: Problem, point: Point, psi: Array) -> Density:
    """The posterior density at a point, given psi (n_psi,)."""
    if not problem.plain:
        return _shaped(problem, psi, local_model(problem, point))
    w = noise.weights(problem, np.exp(psi))
    white = point.residual * w
    own = point.prior_residual
    value = -0.5 * float(white @ white + own @ own)
    slope_psi = np.zeros(psi.size)
    for g in range(psi.size):
        mine = problem.groups == g
        value -= float(mine.sum()) * float(psi[g])
        slope_psi[g] = float(white[mine] @ white[mine]) - float(mine.sum())
    slope = np.empty(0)
    if point.jacobian.shape[0]:
        slope = -(point.jacobian.T @ (white * w) + point.prior_jacobian.T @ own)
    return Density(value, slope, slope_psi)


def mode_density(problem: Problem, point: Point, psi: Array) -> Density:
    """The same, but of ln x for members of a population in ln x: what a mode maximizes, and a profile is one of."""
    if problem.plain:
        return log_density(problem, point, psi)
    return _shaped(problem, psi, search_model(problem, point))


def _shaped(problem: Problem, psi: Array, local: LocalModel) -> Density:
    found = misfit(problem.sample_noise, psi, local)
    prior, prior_slope = psi_prior(problem, psi)
    return Density(prior - 0.5 * found.value, -found.slope, prior_slope - found.slope_psi)


def psi_prior(problem: Problem, psi: Array) -> tuple[float, Array]:
    """Log prior density of psi up to a constant, and its slope (n_psi,); flat where a hyper declares none."""
    value, slope = 0.0, np.zeros(psi.size)
    for k, hyper in enumerate(problem.hypers, start=len(problem.noise_groups)):
        prior = hyper.parameter.prior
        if prior is not None:
            x = float(np.exp(psi[k]))
            r = prior.residual(x)
            value += float(psi[k]) - 0.5 * r * r
            slope[k] = 1.0 - r * prior.residual_slope(x) * x
    return value, slope
