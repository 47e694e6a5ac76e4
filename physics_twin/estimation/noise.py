"""Noise levels that are estimated together with the parameters.

Convention: the variance of a group is its sum of squares (each residual over the scale of its sample, which is below
one for an average) over n_g - p_g, with n_g its samples and p_g what they determine: the trace of the hat matrix over
their rows (MacKay 1992, Bayesian interpolation, Neural Computation 4, section 4: gamma). A flat prior costs one degree
of freedom per parameter, divided among the groups as these determine it; a parameter that its prior or a bound decides
costs none. Where neither levels nor unknowns move any more this is the mode of the restricted likelihood (Patterson and
Thompson 1971). With flat priors and one group it is SSE/(n - p), and the draws of a linear model are exactly the
multivariate t.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.trust_region import Linearization

SMALLEST = 1e-9
"""Noise never falls below this share of the largest observation: data that a model meets exactly have no noise."""
LEAST_LEFT = 0.5
"""Degrees of freedom that a level rests on at least."""
LEAST_STEP = 0.01
"""The same on the way, where a level may still be far too low."""
RISING = 1.001
"""Factor by which a level on too few degrees of freedom has to be rising yet."""


@dataclass(frozen=True)
class Levels:
    """Standard deviations of the noise groups, SI."""

    sd: Array
    """(n_groups,)"""
    degrees: Array
    """(n_groups,) degrees of freedom they rest on."""


def start_levels(problem: Problem) -> Array:
    """Starting values (n_groups,) SI."""
    return np.array([g.parameter.value for g in problem.noise_groups])


def weights(problem: Problem, sd: Array) -> Array:
    """1/noise of each residual, (n_data,); an estimated level is that of a sample of scale one."""
    if sd.size == 0:
        return np.asarray(1.0 / problem.noise)
    level = np.append(sd, 0.0)[problem.groups] * problem.noise_scale
    return np.asarray(1.0 / np.where(problem.groups >= 0, level, problem.noise))


def whiten(point: Point, w: Array) -> Linearization:
    """Whitened residuals and priors with their Jacobian."""
    r = np.concatenate([point.residual * w, point.prior_residual])
    if point.jacobian.shape[0] == 0:
        return Linearization(point.z, r, np.zeros((0, point.z.size)))
    return Linearization(point.z, r, np.concatenate([point.jacobian * w[:, None], point.prior_jacobian]))


def determined(point: Point, w: Array, free: NDArray[np.bool_], groups: Sequence[NDArray[np.bool_]]) -> Array:
    """How many of the free unknowns each group determines, (n_groups,): trace of the hat matrix over its rows.

    groups: rows (n_data,) of each.
    """
    if not free.any():
        return np.zeros(len(groups))
    jacobian = (point.jacobian * w[:, None])[:, free]
    data = jacobian.T @ jacobian
    rows = point.prior_jacobian[:, free]
    total = data + rows.T @ rows
    scale = np.sqrt(np.diag(total))
    scale = np.where(scale > 0.0, scale, 1.0)
    total = total / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(total)
    seen = values > 1e-12 * values[-1]
    basis = vectors[:, seen] / np.sqrt(values[seen])
    found = np.empty(len(groups))
    for g, mine in enumerate(groups):
        own = data if mine.all() else jacobian[mine].T @ jacobian[mine]
        found[g] = float(np.trace(basis.T @ (own / np.outer(scale, scale)) @ basis))
    return found


def check_left(problem: Problem, group: int, p: float, *, rising: bool) -> None:
    """Raises CalibrationError for a level that rests on nothing. p: what the samples of the group determine."""
    mine = problem.groups == group
    n = int(mine.sum())
    if n - p >= LEAST_LEFT or rising:
        return
    name = "the noise" if mine.all() else problem.noise_groups[group].parameter.name
    raise CalibrationError(
        f"{name} cannot be estimated: {n} samples for {p:.0f} unknowns leave nothing over; give the noise of "
        "the channels, or priors"
    )


def update(problem: Problem, point: Point, sd: Array, free: NDArray[np.bool_]) -> Levels:
    """Noise levels from the residuals at `point`, given those it was fitted with."""
    if sd.size == 0:
        return Levels(sd, np.empty(0))
    groups = [problem.groups == g for g in range(sd.size)]
    p = determined(point, weights(problem, sd), free, groups)
    found, degrees = np.empty(sd.size), np.empty(sd.size)
    observed = np.concatenate([c.observed for c in problem.channels])
    for g, mine in enumerate(groups):
        degrees[g] = max(float(mine.sum()) - p[g], LEAST_STEP)
        squares = float(((point.residual[mine] / problem.noise_scale[mine]) ** 2).sum())
        found[g] = max(np.sqrt(squares / degrees[g]), SMALLEST * float(np.abs(observed[mine]).max()), 1e-300)
        check_left(problem, g, float(p[g]), rising=bool(found[g] > RISING * sd[g]))
    return Levels(found, degrees)
