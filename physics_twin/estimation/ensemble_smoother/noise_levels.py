"""Noise levels that are estimated along with the members.

Before each assimilation the level is that of the residuals which the rest of the assimilations is expected to leave, in
the linear theory of the ensemble: with S the singular values of the whitened anomalies of the predicted data, b the
share of the information that is still to come, and r the whitened residual of their mean,

    r_end = r - V b S^2 / (1 + b S^2) V^T r,    p_g = sum over the rows i of the group of (V S^2 / (1 + b S^2) V^T)_ii,

and the level of a group with n_g samples is its sum of squares of r_end over n_g - p_g, the convention of
`estimation.noise`. S, r and p depend on the level, so this is solved by iteration. At the last forecast b is zero.

A level that changes between assimilations would make the information add up to something else than the data have. So
what counts is kept by group: an assimilation brings the part of 1/level^2 - (what was brought before) that its alpha
stands for among those still to come.
"""

from collections.abc import Callable

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation.ensemble_smoother.es_mda import Subspace
from physics_twin.estimation.ensemble_smoother.whitening import Whitening
from physics_twin.estimation.noise import LEAST_STEP, RISING, SMALLEST, Levels, check_left
from physics_twin.estimation.problem import Problem

ROUNDS = 50
CLOSE = 1e-3
"""Relative change of a level that ends the iteration: far below what any number of samples tells of it."""


def share_of_levels(levels: Array, brought: Array, alphas: Array) -> tuple[Array, Array]:
    """Levels (n_groups,) that make an assimilation bring its part, and the information brought (n_groups,) after it.

    levels: as estimated now. brought: 1/SI^2, before. alphas: of this assimilation and those after it. Infinite where
    earlier assimilations, at levels that were too low, have brought more than the data have.
    """
    part = (1.0 / alphas[0]) / float(np.sum(1.0 / alphas))
    information = np.maximum(1.0 / levels**2 - brought, 0.0) * part
    with np.errstate(divide="ignore"):
        return np.sqrt(1.0 / (alphas[0] * information)), brought + information


def residual_at_end(residual: Array, white: Array, left: float) -> Array:
    """The mean residual (n_data,) that the rest of the assimilations is expected to leave, in the linear theory.

    residual (N, n_data): in any unit. white (N, n_data): whitened. left: share of the information still to come.
    """
    subspace, mean = Subspace.of(white), residual.mean(axis=0)
    s = subspace.s
    step = subspace.u @ ((subspace.vt @ white.mean(axis=0)) * left * s / (1.0 + left * s**2))
    return np.asarray(mean - step @ (residual - mean) / np.sqrt(len(white) - 1.0))


def estimate_levels(
    problem: Problem,
    residual: Array,
    levels: Array,
    left: float,
    whiten: Callable[[Array], Whitening],
) -> Levels:
    """Noise levels from residuals (N, n_data) of the active members, SI, beginning at `levels` (n_groups,).

    left: share of the information that is still to come, 0 to 1. whiten: the whitening at levels (n_groups,).

    Raises CalibrationError where the data leave nothing over for the noise.
    """
    sd = levels.copy()
    degrees = np.empty(sd.size)
    largest = np.concatenate([np.abs(c.observed) for c in problem.channels])
    for _ in range(ROUNDS):
        white = whiten(sd)(residual)
        end = residual_at_end(white, white, left)
        by_sample = Subspace.of(white).determined_by(left)
        new = np.empty(sd.size)
        for g in range(sd.size):
            mine = problem.groups == g
            p = float(by_sample[mine].sum())
            degrees[g] = max(float(mine.sum()) - p, LEAST_STEP)
            factor = np.sqrt(float(end[mine] @ end[mine]) / degrees[g])
            new[g] = max(sd[g] * factor, SMALLEST * float(largest[mine].max()), 1e-300)
            check_left(problem, g, p, rising=bool(new[g] > RISING * sd[g]))
        done = bool((np.abs(np.log(new / sd)) < CLOSE).all())
        sd = new
        if done:
            break
    return Levels(sd, degrees)
