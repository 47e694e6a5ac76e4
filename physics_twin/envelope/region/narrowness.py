"""How wide a region is around one of its points, by the model: where it is too narrow for the search to fit a box."""

from collections.abc import Callable, Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Allowed, Group, violations
from physics_twin.envelope.region.surrogate import DesignSpace

STEPS = 2.0 ** np.arange(-12, 0)
"""Distances from the point, relative to the bounds, that are tried along each setting."""
N_DRAWS = 16
"""Draws that must keep the limits there: few know a width well enough to be named."""

Evaluate = Callable[[Array], Array]
"""(n, d) points of the unit cube -> margins (n, n_draws, n_requirements) SI, NaN where a simulation failed."""


def exact_levels(space: DesignSpace, margins: Array, allowed: Allowed) -> Array:
    """Levels (n,), as of `space.level`, of margins (n, n_draws, n_requirements) SI that were simulated."""
    scaled = np.nan_to_num(margins / space.scale, nan=-np.inf)
    found = [np.sort(group.joint(scaled, 2), axis=1)[:, k] for group, k in zip(allowed.groups, allowed.k, strict=True)]
    return np.min(found, axis=0)


def widths_around(evaluate: Evaluate, point: Array, groups: Sequence[Group]) -> Array:
    """(d,) widths of the region through `point` (d,) of the unit cube along each setting, relative to the bounds.

    evaluate: margins of a few draws, all of which must keep the limits. Known to a factor of two on either side, from
    below.
    """
    d, n = point.size, STEPS.size
    directions = np.concatenate([np.eye(d), -np.eye(d)])
    points = np.clip(point + STEPS[:, None] * directions[:, None, :], 0.0, 1.0)  # (2 d, n, d)
    kept = (violations(evaluate(points.reshape(-1, d)), groups) == 0).all(axis=1).reshape(2 * d, n)
    last = np.logical_and.accumulate(kept, axis=1).sum(axis=1)  # steps before the first that breaks a limit
    ends = np.where(last[:, None] > 0, points[np.arange(2 * d), np.maximum(last - 1, 0)], point)
    reach = np.abs(ends - point).max(axis=1)
    return np.asarray(reach[:d] + reach[d:])
