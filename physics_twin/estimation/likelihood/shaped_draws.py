"""Laplace draws where noise or priors have a shape: psi from its marginal, then the unknowns given psi.

Pairs are drawn and rejected together where bounds cut, so that a linear model with normal noise gives its posterior
exactly, but for the number of psi that are tried (`psi_draws.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation.likelihood.marginal import Marginal
from physics_twin.estimation.likelihood.psi_draws import Pool, pool_of_psi
from physics_twin.estimation.log_density import psi_bounds
from physics_twin.estimation.many_draws import bounce
from physics_twin.estimation.truncated_normal import draw_within

MANY = 40
"""Unknowns beyond which psi are drawn first, and the unknowns in groups of equal psi."""
WORK = 1e8
"""Numbers that go into all Jacobians together: what the psi that are tried may cost."""
MEMORY = 4e7
"""Numbers in all roots that are kept."""
LEAST = 40
REJECTION_ROUNDS = 4


@dataclass(frozen=True)
class Drawn:
    """Draws, and the spread that they come from."""

    psi: Array
    """(n, n_psi)"""
    y: Array
    """(n, d) in the coordinates of the local model"""
    pool: Pool
    covariance: Array
    """(d, d) of y, psi integrated out; bounds and widening left out."""


def draw_shaped(around: Marginal, psi: Array, m_root: Array, n: int, rng: np.random.Generator) -> Drawn:
    """`n` draws. psi (n_psi,): the mode of its marginal. m_root (d, d): what correlated residuals widen roots by."""
    low, high = psi_bounds(around.problem)
    d = around.low.size
    rows = around.local.residual.size
    # Where a mode has to be searched for each psi, half as many: several times the price of a closed form.
    most = n if around.closed_form else n // 2
    tries = int(np.clip(min(WORK / (rows * d), MEMORY / d**2), LEAST, max(most if d <= MANY else n // 5, LEAST)))
    start = around.given(psi).mode
    pool = pool_of_psi(lambda at: around.given(at, start), psi, low, high, tries, rng)
    centers = np.array([g.center for g in pool.given])
    away = centers - pool.weights @ centers
    covariance = (away * pool.weights[:, None]).T @ away
    for weight, g in zip(pool.weights, pool.given, strict=True):
        covariance += weight * (g.root @ g.root.T)
    if d > MANY:
        chosen = rng.choice(len(pool.given), size=n, p=pool.weights)
        y = _in_groups(around, pool, chosen, m_root, rng)
        return Drawn(pool.psi.reshape(len(pool.given), psi.size)[chosen], y, pool, covariance)

    def propose(k: int) -> tuple[Array, Array, Array]:
        chosen = rng.choice(len(pool.given), size=k, p=pool.weights)
        roots = np.array([pool.given[i].root for i in chosen]) @ m_root
        return all_psi[chosen], centers[chosen], roots

    all_psi = pool.psi.reshape(len(pool.given), psi.size)
    drawn_psi, y = draw_within(propose, around.low, around.high, n, rng)
    return Drawn(drawn_psi, y, pool, covariance)


def _in_groups(
    around: Marginal, pool: Pool, chosen: NDArray[np.intp], m_root: Array, rng: np.random.Generator
) -> Array:
    """y (n, d) for the psi that were chosen, (n,) numbers in the pool."""
    y = np.empty((chosen.size, around.low.size))
    for i in np.unique(chosen):
        rows = np.flatnonzero(chosen == i)
        given = pool.given[i]
        root = given.root @ m_root
        for _ in range(REJECTION_ROUNDS):
            trial = given.center + rng.standard_normal((rows.size, root.shape[1])) @ root.T
            inside = ((trial >= around.low) & (trial <= around.high)).all(axis=1)
            y[rows[inside]] = trial[inside]
            rows = rows[~inside]
            if rows.size == 0:
                break
        if rows.size:
            mean = np.broadcast_to(given.center, (rows.size, root.shape[0]))
            y[rows] = bounce(mean, root[None], around.low, around.high, rng)
    return y
