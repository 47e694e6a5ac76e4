"""Draws from a Gaussian that is cut off by bounds.

Rejection from the untruncated Gaussian where it succeeds often enough (independent and exact); otherwise the Gibbs
sampler of Li and Ghosh (2015, Efficient sampling methods for truncated multivariate normal and Student-t
distributions): in whitened coordinates x = mean + root z each z_j is a standard normal on the interval that the bounds
of all x leave it. One chain per draw, so that the draws are independent of one another, and all chains at once.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from physics_twin.arrays import Array
from physics_twin.posterior.drawing.box_minimum import box_minimum

REJECTION_ROUNDS = 60
"""With this many tries per draw rejection serves down to an acceptance of about 8 percent."""
FIRST_LOOK = 3
GIBBS_SWEEPS = 100


def standard_normal_between(low: Array, high: Array, u: Array) -> Array:
    """Quantiles u of the standard normal restricted to [low, high], elementwise, accurate far out in the tails."""
    flip = low > 0.0  # work in the lower tail, where log_ndtr keeps its digits
    a = np.where(flip, -high, low)
    b = np.where(flip, -low, high)
    u = np.where(flip, 1.0 - u, u)
    log_a, log_b = log_ndtr(a), log_ndtr(b)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # log(Phi(a) + u (Phi(b) - Phi(a))) = log_b + log(u + (1 - u) Phi(a)/Phi(b))
        x = ndtri_exp(log_b + np.log(u + (1.0 - u) * np.exp(log_a - log_b)))
    x = np.clip(np.where(np.isfinite(x), x, 0.5 * (np.clip(a, -1e300, 1e300) + np.clip(b, -1e300, 1e300))), a, b)
    return np.asarray(np.where(flip, -x, x))


type Proposal = Callable[[int], tuple[Array, Array, Array]]
"""n -> extra (n, k), mean (n, d), root (n, d, d) of n Gaussians N(mean, root root^T)."""


def draw_within(propose: Proposal, low: Array, high: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """`n` draws (extra, x) of Gaussians whose mean and root are themselves random, given that low <= x <= high.

    Rejection takes extra and x together, so their joint distribution is exact. What rejection leaves over is drawn
    given the extra of the last proposal.
    """
    extra, mean, root = propose(n)
    extra = extra.copy()
    x = np.empty(mean.shape)
    missing = np.arange(n)
    for tries in range(REJECTION_ROUNDS):
        if tries:
            extra[missing], mean, root = propose(missing.size)
        z = rng.standard_normal(mean.shape)
        trial = mean + np.einsum("nij,nj->ni", root, z)
        inside = ((trial >= low) & (trial <= high)).all(axis=1)
        x[missing[inside]] = trial[inside]
        missing, mean, root = missing[~inside], mean[~inside], root[~inside]
        if missing.size == 0:
            return extra, x
        if tries == FIRST_LOOK and missing.size > 0.97 * n:
            break  # hopeless: the mass lies outside the bounds
    x[missing] = gibbs(mean, root, low, high, rng)
    return extra, x


def gibbs(mean: Array, root: Array, low: Array, high: Array, rng: np.random.Generator) -> Array:
    """One draw per row from N(mean, root root^T) within [low, high]; mean (n, d), root (n, d, d), bounds (d,)."""
    n, d = mean.shape
    # Along the principal axes a direction that only bounds limit has a coordinate of its own, and the chain mixes.
    scale = np.sqrt(np.einsum("nij,nij->ni", root, root))
    unit = root / scale[:, :, None]
    values, vectors = np.linalg.eigh(np.einsum("nij,nkj->nik", unit, unit))
    root = scale[:, :, None] * vectors * np.sqrt(np.maximum(values, 1e-300))[:, None, :]
    # Start inside, a little away from the walls, at the densest point of the box: the mean clipped into it may lie
    # hundreds of standard deviations across a narrow ridge, from where walls let no sweep return.
    width = np.where(np.isfinite(high - low), high - low, 1.0)
    inset = np.minimum(1e-3 * width, 1e-3 * scale * np.sqrt(np.maximum(values[:, :1], 0.0)))
    x = np.array([densest(m, r, low + i, high - i) for m, r, i in zip(mean, root, inset, strict=True)])
    z = np.linalg.solve(root, (x - mean)[..., None])[..., 0]
    for _ in range(GIBBS_SWEEPS):
        for j in range(d):
            column = root[:, :, j]
            rest = mean + np.einsum("nij,nj->ni", root, z) - column * z[:, j : j + 1]
            with np.errstate(divide="ignore", invalid="ignore"):
                a, b = (low - rest) / column, (high - rest) / column
            flat = column == 0.0
            lower = np.where(flat, -np.inf, np.minimum(a, b)).max(axis=1)
            upper = np.where(flat, np.inf, np.maximum(a, b)).min(axis=1)
            # Rounding can leave an empty interval for a chain that sits on a wall; it then keeps its place.
            stuck = lower > upper
            u = np.asarray(rng.random(n))
            z[:, j] = np.where(stuck, z[:, j], standard_normal_between(lower, np.where(stuck, lower, upper), u))
    return np.asarray(np.clip(mean + np.einsum("nij,nj->ni", root, z), low, high))


def densest(mean: Array, root: Array, low: Array, high: Array) -> Array:
    """Where N(mean, root root^T) is densest within [low, high]; (d,)."""
    start = np.clip(mean, low, high)
    half = np.linalg.inv(root)
    h = half.T @ half
    return np.asarray(np.clip(start + box_minimum(h, h @ (start - mean), low - start, high - start), low, high))
