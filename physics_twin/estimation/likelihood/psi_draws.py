"""Draws of psi from its marginal posterior: importance sampling from Student's t about the mode, adapted twice.

The weights of each round tell where the next one looks (Oh and Berger 1992), so that a marginal that is flat up to a
bound, as that of the spread of a few groups, is covered as well as one that is nearly normal.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from physics_twin.arrays import Array
from physics_twin.estimation.likelihood.marginal import Given, curvature_of

TAILS = 5.0
"""Degrees of freedom of the proposals: heavier tails than any marginal that data have shaped."""
WIDER = 1.2
"""Standard deviations of a proposal over those found."""
FIRST = 100
"""Trials of each round that adapts."""
ROUNDS = 2
WIDEST = 0.3
"""Standard deviation of the first proposal in shares of the bounds' distance, at most."""
UNBOUNDED = 10.0
"""That distance where a bound is missing."""
TRIES = 200


@dataclass(frozen=True)
class Pool:
    """Weighted draws of psi, each with the posterior of the unknowns given it."""

    given: tuple[Given, ...]
    weights: Array
    """(n,) sum one"""

    @property
    def psi(self) -> Array:
        """(n, n_psi)"""
        return np.array([g.psi for g in self.given])

    @property
    def effective(self) -> float:
        """Draws of equal weight that tell as much."""
        return float(1.0 / (self.weights**2).sum())

    @property
    def covariance(self) -> Array:
        """(n_psi, n_psi)"""
        away = self.psi - self.weights @ self.psi
        return np.asarray((away * self.weights[:, None]).T @ away)


def pool_of_psi(
    given: Callable[[Array], Given], mode: Array, low: Array, high: Array, n: int, rng: np.random.Generator
) -> Pool:
    """`n` weighted draws within the bounds; where psi has no entries, the one Given that there is."""
    if mode.size == 0:
        return Pool((given(mode),), np.ones(1))
    reach = np.where(np.isfinite(high - low), high - low, UNBOUNDED)
    mean, root = mode, _first_root(curvature_of(lambda psi: given(psi).objective, mode), reach)
    for _ in range(ROUNDS):
        trial = _round(given, mean, root, low, high, FIRST, rng)
        mean = trial.weights @ trial.psi
        # A covariance of few effective draws is poor: its diagonal serves then.
        covariance = trial.covariance if trial.effective > 10.0 * mode.size else np.diag(np.diag(trial.covariance))
        if trial.effective > 2.0 * mode.size:
            values, vectors = np.linalg.eigh(covariance)
            root = vectors * np.sqrt(np.maximum(values, 1e-12))
    return _round(given, mean, root, low, high, n, rng)


def _first_root(curvature: Array, reach: Array) -> Array:
    """Root (k, k) of the covariance at the mode, where the objective is curved upward; a share of the bounds else."""
    scale = WIDEST * reach
    values, vectors = np.linalg.eigh(0.5 * curvature * np.outer(scale, scale))
    return np.asarray(scale[:, None] * vectors / np.sqrt(np.maximum(values, 1.0)))


def _round(
    given: Callable[[Array], Given], mean: Array, root: Array, low: Array, high: Array, n: int, rng: np.random.Generator
) -> Pool:
    k = mean.size
    root = WIDER * root
    psi = np.empty((n, k))
    missing = np.arange(n)
    for _ in range(TRIES):
        t = rng.standard_normal((missing.size, k)) / np.sqrt(rng.chisquare(TAILS, missing.size) / TAILS)[:, None]
        trial = mean + t @ root.T
        inside = ((trial >= low) & (trial <= high)).all(axis=1)
        psi[missing[inside]] = trial[inside]
        missing = missing[~inside]
        if missing.size == 0:
            break
    if missing.size:  # a mean in a corner of many bounds: on the bounds, with the density that they have there
        psi[missing] = np.clip(mean + rng.standard_normal((missing.size, k)) @ root.T, low, high)
    away = np.linalg.solve(root, (psi - mean).T)
    log_q = -0.5 * (TAILS + k) * np.log1p((away**2).sum(axis=0) / TAILS)
    found = tuple(given(row) for row in psi)
    log_w = -0.5 * np.array([g.objective for g in found]) - log_q
    return Pool(found, np.exp(log_w - logsumexp(log_w)))
