"""A linear change of coordinates in which the Laplace approximation is a unit ball.

Chains then need to learn little during their warm-up, and weakly known combinations of parameters cost no more steps
than well known ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation.markov_chain.coordinates import Coordinates, RejectedPoint

FAR = 5.0
"""Robust standard deviations beyond which a draw is pulled in: near a bound coordinates have long tails."""
PRIOR_FAR = 3.0
"""The same for deviations from the mean of a population, whose own standard deviation is one."""
OVERDISPERSED = 1.5
"""Spread of the starts over that of the approximation: chains that begin apart and end alike have met."""
CLOSER = 0.85
"""Each further try of a start lies nearer to the center."""
TRIES = 60


@dataclass(frozen=True)
class Whitening:
    """a = center + root u."""

    center: Array
    """(n,)"""
    root: Array
    """(n, n) lower triangular"""
    draws: Array
    """(n_draws, n) of the approximation, as u."""

    def a(self, u: Array) -> Array:
        """Coordinates (n,) of u (n,)."""
        return np.asarray(self.center + self.root @ u)


def whitening(coordinates: Coordinates, draws: Array) -> Whitening:
    """From draws (n_draws, n) SI of the approximation."""
    space, d = coordinates.problem.space, len(coordinates.problem.columns)
    low, high = coordinates.bounds
    with np.errstate(divide="ignore"):
        psi = np.clip(np.log(draws[:, d:]), low[d:], high[d:])
    table = np.array([coordinates.of(space.z(x), p) for x, p in zip(draws[:, :d], psi, strict=True)])
    center = np.median(table, axis=0)
    # The median absolute deviation of a Gaussian is 0.6745 standard deviations.
    sd = np.median(np.abs(table - center), axis=0) / 0.6745
    sd = np.where(sd > 0.0, sd, np.maximum(table.std(axis=0), 1e-12))
    reach = FAR * sd
    for group in coordinates.problem.column_groups:
        center[group.columns] = np.clip(center[group.columns], -PRIOR_FAR, PRIOR_FAR)
        reach[group.columns] = np.minimum(reach[group.columns], PRIOR_FAR)
    table = np.clip(table, center - reach, center + reach)
    center = table.mean(axis=0)
    covariance = np.atleast_2d(np.cov(table, rowvar=False))
    variances = np.maximum(np.diag(covariance), 1e-24)
    # Correlations from finitely many draws, shrunk a little, so that the root exists.
    share = table.shape[1] / (table.shape[1] + table.shape[0])
    covariance = (1.0 - share) * covariance + np.diag(variances - (1.0 - share) * np.diag(covariance))
    root = np.linalg.cholesky(covariance)
    return Whitening(center, root, np.linalg.solve(root, (table - center).T).T)


def start(whitened: Whitening, density: Callable[[Array], object], rng: np.random.Generator) -> Array | None:
    """A start u (n,) where the density is known, drawn wider than the approximation; None where none is found.

    density: raises RejectedPoint where it is not known.
    """
    for attempt in range(TRIES):
        u = whitened.draws[int(rng.integers(len(whitened.draws)))] * (OVERDISPERSED * CLOSER**attempt)
        try:
            density(u)
        except RejectedPoint:
            continue
        return np.asarray(u)
    return None
