"""Where a fit begins: the declared values, then points spread over what is known before the data."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from physics_twin.arrays import Array
from physics_twin.estimation.search_space import SearchSpace
from physics_twin.estimation.unknowns import Unknown

SPREAD = 2.0
"""Unknowns without prior and bounds start within this many modest changes of their declared value."""


def start_points(
    space: SearchSpace, columns: Sequence[Unknown], n: int, rng: np.random.Generator, coupling: Array | None = None
) -> list[Array]:
    """`n` starts in search coordinates: declared values first, the others a Latin hypercube over priors and bounds.

    coupling: see `Problem.coupling`; unknowns with correlated priors start with values that are correlated.
    """
    d = len(columns)
    first = np.clip(space.z(np.array([c.parameter.value for c in columns])), space.low, space.high)
    if n == 1:
        return [first]
    m = n - 1
    # One point in each of m slices of equal probability, for each unknown in an order of its own.
    slices = np.stack([rng.permutation(m) for _ in range(d)], axis=1)
    u = (slices + rng.random((m, d))) / m
    if coupling is not None:
        u = ndtr(np.linalg.solve(coupling, ndtri(u).T).T)  # rows of the identity leave the others as they are
    z = np.empty((m, d))
    for j, column in enumerate(columns):
        prior = column.parameter.prior
        low, high = space.low[j], space.high[j]
        if prior is not None:
            x = np.clip(np.asarray(prior.quantile(u[:, j])), space.x_low[j], space.x_high[j])
            rows = np.tile(first, (m, 1))
            rows[:, j] = np.where(np.isfinite(x), x, space.origin[j])
            z[:, j] = [space.z(np.where(np.arange(d) == j, row, space.origin))[j] for row in rows]
        elif np.isfinite(low) and np.isfinite(high):
            z[:, j] = low + (high - low) * u[:, j]
        else:
            z[:, j] = first[j] + SPREAD * (2.0 * u[:, j] - 1.0)
    return [first, *np.clip(z, space.low, space.high)]


def nearby(space: SearchSpace, z: Array, distance: float, rng: np.random.Generator) -> Array:
    """A point near z, at most about two modest changes away at distance 1, within the bounds."""
    return np.asarray(np.clip(z + 2.0 * distance * rng.uniform(-1.0, 1.0, z.size), space.low, space.high))
