"""Draws that know the limits of censored samples: importance sampling on the local model, no simulation.

A limit bends the misfit to one side only, so a Gaussian about the mode does not know it: where the mode is far inside,
there is no curvature at all. Candidates are drawn from what measured samples and priors say, or, where the limits
leave little of that, from a wide Gaussian about the mode; each counts with the density of the local model over that of
its proposal, and draws are taken in these shares (Rubin 1988, sampling importance resampling).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from physics_twin.arrays import Array
from physics_twin.estimation.likelihood.marginal import Given, Marginal
from physics_twin.estimation.likelihood.psi_draws import Pool
from physics_twin.estimation.likelihood.quadratic import observed_information
from physics_twin.estimation.likelihood.terms import Terms, misfit, misfit_of, terms
from physics_twin.estimation.log_density import psi_prior
from physics_twin.posterior.drawing.inverse_root import inverse_root, symmetric_root
from physics_twin.posterior.drawing.truncated_normal import draw_within

CANDIDATES = 2
"""For each draw."""
WORK = 4e8
"""Numbers that all candidates together go through: what the weights may cost."""
LEAST = 200
ENOUGH = 0.25
"""Share of the draws that candidates have to count as, or those about the mode are tried too."""
SHARE = 0.25
"""Of the curvature of limits, in candidates about the mode: away from its limit a sample has less of it."""


@dataclass(frozen=True)
class Limited:
    """Draws with the limits."""

    psi: Array
    """(n, n_psi)"""
    y: Array
    """(n, d)"""
    effective: float
    """Draws of equal weight that tell as much, at most n."""


@dataclass(frozen=True)
class _Proposal:
    """Gaussians of y, one for each psi of a pool."""

    centers: Array
    """(k, d)"""
    roots: Array
    """(k, d, d)"""
    widened: Array
    """(k, d, d) the same, wider where residuals are correlated: what candidates come from"""


def draw_limited(around: Marginal, pool: Pool, m_root: Array, n: int, rng: np.random.Generator) -> Limited:
    """`n` draws. m_root (d, d): what correlated residuals widen the roots of the pool by."""
    found = _draw(around, pool, _proposal(around, pool.given, m_root, 0.0), n, rng)
    if found.effective >= ENOUGH * n:
        return found
    other = _draw(around, pool, _proposal(around, pool.given, m_root, SHARE), n, rng)
    return other if other.effective > found.effective else found


def _proposal(around: Marginal, given: Sequence[Given], m_root: Array, share: float) -> _Proposal:
    """For each psi what measured samples and priors say, or with a share of the limits' curvature about the mode."""
    noise = around.problem.sample_noise
    excess = m_root @ m_root - np.eye(len(m_root))
    centers, roots, widened = [], [], []
    for g in given:
        local = around.local.moved(g.mode)
        found = terms(noise, g.psi, local)
        part = _with_share(found, np.where(noise.measured, 1.0, share))
        root = inverse_root(observed_information(noise, g.psi, local, part)[None], around.widest)[0]
        slope = misfit_of(noise, g.psi, local, found if share else part).slope
        across = np.linalg.solve(root, g.root)
        centers.append(g.mode - root @ (root.T @ slope))
        roots.append(root)
        widened.append(root @ symmetric_root(np.eye(len(root)) + across @ excess @ across.T))
    return _Proposal(np.array(centers), np.array(roots), np.array(widened))


def _with_share(found: Terms, share: Array) -> Terms:
    """Terms with a share (n_data,) of their slopes and curvatures."""
    return replace(
        found,
        of_e=share * found.of_e,
        of_log_v=share * found.of_log_v,
        observed=share * found.observed,
        expected=share * found.expected,
        stepping=share * found.stepping,
    )


def _draw(around: Marginal, pool: Pool, proposal: _Proposal, n: int, rng: np.random.Generator) -> Limited:
    rows, d = around.local.residual.size, around.low.size
    k = int(np.clip(WORK / (rows * d), LEAST, CANDIDATES * n))

    def propose(size: int) -> tuple[Array, Array, Array]:
        chosen = rng.choice(len(pool.given), size=size, p=pool.weights)
        return chosen[:, None].astype(float), proposal.centers[chosen], proposal.widened[chosen]

    numbers, y = draw_within(propose, around.low, around.high, k, rng)
    chosen = numbers[:, 0].astype(np.intp)
    log_w = _log_weights(around, pool, proposal, chosen, y)
    w = np.exp(log_w - logsumexp(log_w))
    # Systematic resampling: a candidate of weight w comes n w times, rounded up or down.
    at = np.minimum(np.searchsorted(np.cumsum(w), (np.arange(n) + rng.random()) / n), k - 1)
    taken = rng.permutation(at)
    psi = np.array([g.psi for g in pool.given]).reshape(len(pool.given), -1)
    return Limited(psi[chosen[taken]], y[taken], min(float(1.0 / (w**2).sum()), float(n)))


def _log_weights(around: Marginal, pool: Pool, proposal: _Proposal, chosen: NDArray[np.intp], y: Array) -> Array:
    """Log density of the local model over that of the proposal, up to a constant; chosen (k,), y (k, d).

    Widening is left out on both sides, so that it stays in the draws.
    """
    noise, d = around.problem.sample_noise, around.low.size
    no_slopes = np.empty((0, d))
    priors = np.array([psi_prior(around.problem, g.psi)[0] for g in pool.given])
    # Of the psi of a pool, whose weights stand for exp(-objective/2).
    of_psi = np.array([0.5 * g.objective for g in pool.given]) + priors
    of_root = np.linalg.slogdet(proposal.roots)[1]
    found = np.empty(chosen.size)
    for i, (c, at) in enumerate(zip(chosen, y, strict=True)):
        local = replace(around.local.moved(at), jacobian=no_slopes)
        away = np.linalg.solve(proposal.roots[c], at - proposal.centers[c])
        value = misfit(noise, pool.given[c].psi, local).value
        found[i] = of_psi[c] + of_root[c] + 0.5 * float(away @ away) - 0.5 * value
    return found
