"""Laplace draws where noise or priors have a shape: psi from its marginal, then the unknowns given psi.

Pairs are drawn and rejected together where bounds cut, so that a linear model with normal noise gives its posterior
exactly, but for the number of psi that are tried (`psi_draws.py`). Limits of censored samples: `limited_draws.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from physics_twin.arrays import Array
from physics_twin.estimation.likelihood.limited_draws import draw_limited
from physics_twin.estimation.likelihood.marginal import Marginal
from physics_twin.estimation.likelihood.members_within import draw_members, log_masses, source, split
from physics_twin.estimation.likelihood.psi_draws import Pool, pool_of_psi
from physics_twin.estimation.log_density import psi_bounds
from physics_twin.posterior.drawing.many_draws import bounce
from physics_twin.posterior.drawing.truncated_normal import draw_within

MANY = 40
"""Unknowns beyond which psi are drawn first, and the unknowns in groups of equal psi."""
WORK = 1e8
"""Numbers that go into all Jacobians together: what the psi that are tried may cost."""
MEMORY = 4e7
"""Numbers in all roots that are kept."""
LEAST = 40
REJECTION_ROUNDS = 4
PROBES = 400
HOPELESS = 0.02
"""Share of proposals within the bounds below which psi and unknowns are no longer drawn and rejected together."""
NEGLIGIBLE = 1e-4
"""Share of the psi that are tried, by weight, for which bounds may cut populations and still be left out."""
OVERSAMPLED = 4
"""Weighted draws for each that is taken, where bounds cut populations."""


@dataclass(frozen=True)
class Drawn:
    """Draws, and the spread that they come from."""

    psi: Array
    """(n, n_psi)"""
    y: Array
    """(n, d) in the coordinates of the local model"""
    pool: Pool
    covariance: Array
    """(d, d) of y, psi integrated out; bounds and widening left out, but for those that cut populations."""
    effective: float
    """Draws of equal weight that tell as much."""
    limited: bool = False
    """Whether limits of censored samples weighed them."""


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
    if pool.weights[[g.within is not None for g in pool.given]].sum() > NEGLIGIBLE:
        return _draw_cut(around, pool, m_root, n, rng)
    centers = np.array([g.center for g in pool.given])
    away = centers - pool.weights @ centers
    covariance = (away * pool.weights[:, None]).T @ away
    for weight, g in zip(pool.weights, pool.given, strict=True):
        covariance += weight * (g.root @ g.root.T)
    if d > MANY:
        chosen = rng.choice(len(pool.given), size=n, p=pool.weights)
        y = _in_groups(around, pool, chosen, m_root, rng)
        return Drawn(pool.psi.reshape(len(pool.given), psi.size)[chosen], y, pool, covariance, pool.effective)

    if around.problem.censored.any():
        found = draw_limited(around, pool, m_root, n, rng)
        effective = min(found.effective, pool.effective) if psi.size else found.effective
        return Drawn(found.psi, found.y, pool, covariance, effective, limited=True)

    def propose(k: int) -> tuple[Array, Array, Array]:
        chosen = rng.choice(len(pool.given), size=k, p=pool.weights)
        roots = np.array([pool.given[i].root for i in chosen]) @ m_root
        return all_psi[chosen], centers[chosen], roots

    all_psi = pool.psi.reshape(len(pool.given), psi.size)
    drawn_psi, y = draw_within(propose, around.low, around.high, n, rng)
    return Drawn(drawn_psi, y, pool, covariance, pool.effective)


def _draw_cut(around: Marginal, pool: Pool, m_root: Array, n: int, rng: np.random.Generator) -> Drawn:
    """The same where bounds cut populations: weighted draws, of which n are taken."""
    d = around.low.size
    shared, members = split(around.cuts, d)
    order = np.concatenate([shared, members])
    sources = [source(g.center, g.root @ m_root, g.within, shared, order) for g in pool.given]
    centers, roots = np.array([s.proposed for s in sources]), np.array([s.proposed_root for s in sources])

    def propose(k: int) -> tuple[Array, Array, Array]:
        chosen = rng.choice(len(sources), size=k, p=pool.weights)
        return chosen[:, None].astype(float), centers[chosen], roots[chosen]

    trials = OVERSAMPLED * n
    extra, drawn = draw_within(propose, around.low[shared], around.high[shared], trials, rng)
    chosen = extra[:, 0].astype(np.intp)
    y = np.empty((trials, d))
    y[:, shared] = drawn
    y[:, members], log_weight = draw_members(sources, chosen, drawn, around.low[members], around.high[members], rng)
    psi = pool.psi[chosen]
    log_weight -= log_masses(around.cuts, psi, y)
    weight = np.exp(log_weight - logsumexp(log_weight))
    ends = np.cumsum(weight)
    taken = np.searchsorted(ends / ends[-1], (np.arange(n) + rng.random()) / n)
    taken = rng.permutation(np.minimum(taken, trials - 1))
    away = y - weight @ y
    effective = min(pool.effective, float(1.0 / (weight**2).sum()))
    return Drawn(psi[taken], y[taken], pool, (away * weight[:, None]).T @ away, effective)


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
