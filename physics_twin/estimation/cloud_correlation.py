"""Correlated residuals over a plane or a body: the counterpart of correlation.py for clouds of points.

Same covariance, C = white * I + slow * exp(-distance / memory), same test against white residuals before the fit and
same expectations under it, r = (I - U U^T) e; pairs of points in bins of distance take the place of lags. With B_b the
matrix that is one where two points are at a distance of bin b apart, everything is made of B_b [U, r], which one pass
over the pairs gives: O(n^2) once, whatever memories are tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.spatial import cKDTree
from scipy.special import ndtr

from physics_twin.arrays import Array
from physics_twin.estimation.correlation import (
    LEVEL,
    LONGEST,
    N_MEMORIES,
    N_SIMULATED,
    RANDOM_SEED,
    Correlation,
)

REACHES = (1.6, 4.0, 12.0)
"""Distances over which a test adds up, in spacings: neighbors, and a slow misfit under noise. 1.6 takes in the
diagonal neighbors of a square grid."""
LARGE = 1000
"""Points beyond which the normal approximation is used, of reaches that leave BLOCKS of the cloud side by side: with
fewer the statistic is skew, and white residuals are called correlated twice as often as they should be."""
BLOCKS = 12
N_BINS = 48
CHUNK = 4_000_000
"""Pairs in memory at once."""


@dataclass(frozen=True)
class Cloud:
    """Whitened residuals of one array at one moment."""

    points: Array
    """(n, k) m"""
    r: Array
    """(n,) whitened"""
    u: Array
    """(n, d) rows of J A^{-1/2}"""


@dataclass(frozen=True)
class _Pairs:
    """Sums over pairs by bins of distance, all clouds one after another."""

    distance: Array
    """(n_bins,) mean"""
    count: Array
    """(n_bins,) each pair counted both ways"""
    r: Array
    """(n,)"""
    u: Array
    """(n, d)"""
    br: Array
    """(n_bins, n) B_b r"""
    bu: Array
    """(n_bins, n, d) B_b U"""


def examine_cloud(clouds: Sequence[Cloud]) -> Correlation:
    """Test one array's residuals for positive correlation between neighbors and estimate their covariance.

    Correlation only ever widens: where it would narrow, the classical covariance stays.
    """
    spacing = float(np.median(np.concatenate([_nearest(c.points) for c in clouds])))
    span = max(float(np.ptp(c.points, axis=0).max()) for c in clouds)
    pairs = _pairs(clouds, spacing, span)
    r, u = pairs.r, pairs.u
    n, d = u.shape
    gram, total = u.T @ u, float(r @ r)
    near = pairs.distance < REACHES[0] * spacing
    n_near = float(pairs.count[near].sum())
    neighbors = float((pairs.br[near] @ r).sum() / n_near * n / total) if total > 0 and n_near else 0.0
    usable = n >= 4 and n - float(np.trace(gram)) >= 2.0 and total > 0
    p = _p_value(clouds, pairs, spacing) if usable else 1.0
    white = Correlation(n, float(n), neighbors, p, 0.0, np.zeros((d, d)), float(n), "m")
    if p > LEVEL:
        return white
    found = _components(pairs, spacing, span)
    if found is None:
        return white
    noise, slow, memory = found
    excess = (noise - 1.0) * gram + slow * (u.T @ _apply(pairs, memory, u))
    values, vectors = np.linalg.eigh(0.5 * (excess + excess.T))
    excess = (vectors * np.maximum(values, 0.0)) @ vectors.T
    share = slow / (noise + slow)
    run, run_square = (1.0 + float(pairs.count @ np.exp(-pairs.distance / m)) / n for m in (memory, 0.5 * memory))
    return Correlation(
        n_samples=n,
        effective_samples=n / max(1.0 + share * (run - 1.0), 1.0),
        lag_one=neighbors,
        p_value=p,
        memory=memory,
        excess=excess,
        variance_samples=n / max(1.0 + share**2 * (run_square - 1.0), 1.0),
        along="m",
    )


def _nearest(points: Array) -> Array:
    """(n,) distance of each point to its nearest neighbor that is not at the same place."""
    distinct = np.unique(points, axis=0)
    if len(distinct) < 2:
        return np.ones(1)
    return np.asarray(cKDTree(distinct).query(distinct, k=2)[0][:, 1])


def _edges(spacing: float, span: float) -> Array:
    return np.concatenate([[-1.0], np.geomspace(0.5 * spacing, max(4.0 * span, 2.0 * spacing), N_BINS)])


def _pairs(clouds: Sequence[Cloud], spacing: float, span: float) -> _Pairs:
    edges = _edges(spacing, span)
    n_bins, d = edges.size - 1, clouds[0].u.shape[1]
    count, distance = np.zeros(n_bins), np.zeros(n_bins)
    brs, bus = [], []
    for cloud in clouds:
        n = len(cloud.points)
        columns = np.column_stack([cloud.r, cloud.u])
        sums = np.zeros((n_bins, n, d + 1))
        step = max(CHUNK // n, 1)
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            m = rows.stop - rows.start
            apart = _distances(cloud.points[rows], cloud.points)
            bins = np.searchsorted(edges, apart.ravel(), side="left") - 1
            bins[np.arange(m) * n + np.arange(start, start + m)] = n_bins  # a point is no pair with itself
            count += np.bincount(bins, minlength=n_bins + 1)[:n_bins]
            distance += np.bincount(bins, apart.ravel(), minlength=n_bins + 1)[:n_bins]
            key = np.repeat(np.arange(m), n) * (n_bins + 1) + bins
            for k in range(d + 1):
                table = np.bincount(key, np.tile(columns[:, k], m), minlength=m * (n_bins + 1))
                sums[:, rows, k] = table.reshape(m, n_bins + 1)[:, :n_bins].T
        brs.append(sums[:, :, 0])
        bus.append(sums[:, :, 1:])
    r, br, bu = np.concatenate([c.r for c in clouds]), np.concatenate(brs, axis=1), np.concatenate(bus, axis=1)
    starts = _merged(count, r.size)
    count = np.add.reduceat(count, starts)
    return _Pairs(
        distance=np.add.reduceat(distance, starts) / count,
        count=count,
        r=r,
        u=np.concatenate([c.u for c in clouds]),
        br=np.add.reduceat(br, starts, axis=0),
        bu=np.add.reduceat(bu, starts, axis=0),
    )


def _merged(count: Array, n: int) -> NDArray[np.intp]:
    """Where bins begin when neighbors are put together until each holds as many pairs as points.

    A bin of a few pairs is negative by chance, and where products turn negative the correlation is taken to end.
    """
    starts, filled = [0], 0.0
    for k, c in enumerate(count):
        if filled >= n and count[k:].sum() >= n:
            starts.append(k)
            filled = 0.0
        filled += c
    return np.array(starts)


def _distances(a: Array, b: Array) -> Array:
    square = np.zeros((len(a), len(b)))
    for k in range(a.shape[1]):
        square += (a[:, k, None] - b[None, :, k]) ** 2
    return np.sqrt(square)


def _apply(pairs: _Pairs, memory: float, x: Array) -> Array:
    """exp(-distance / memory) @ U (n, d); x is U, for the diagonal."""
    return x + np.tensordot(np.exp(-pairs.distance / memory), pairs.bu, axes=1)


# -- is there any -----------------------------------------------------------------------------------------------------


def _p_value(clouds: Sequence[Cloud], pairs: _Pairs, spacing: float) -> float:
    """One-sided p of the largest weighted sum of correlations over the reaches, against white noise before the fit."""
    r, u, n = pairs.r, pairs.u, pairs.r.size
    reaches = [reach for reach in REACHES if _usable(pairs, reach * spacing)]
    if not reaches:
        return 1.0
    weights = [_weights(pairs.distance, reach * spacing) for reach in reaches]
    total = float(r @ r)
    moments = [_moments(pairs, w) for w in weights]
    z = max((float(w @ (pairs.br @ r)) / total - mean) / sd for w, (mean, sd) in zip(weights, moments, strict=True))
    rough = float(ndtr(-z))
    if rough * len(weights) < 1e-4 or rough > 0.3 or n > LARGE:
        return min(rough * len(weights), 1.0)
    rng = np.random.default_rng(RANDOM_SEED)
    values, vectors = np.linalg.eigh(np.eye(u.shape[1]) - u.T @ u)
    rest = u @ (vectors * np.sqrt(np.maximum(values, 0.0)))  # through the fit from other channels and the priors
    e = rng.standard_normal((N_SIMULATED, n))
    simulated = e - (e @ u) @ u.T + rng.standard_normal((N_SIMULATED, u.shape[1])) @ rest.T
    squares = (simulated**2).sum(axis=1)
    largest = np.full(N_SIMULATED, -np.inf)
    for reach, (mean, sd) in zip(reaches, moments, strict=True):
        matrix = _weight_matrix(clouds, pairs, reach * spacing)
        q = ((simulated @ matrix) * simulated).sum(axis=1) / squares
        largest = np.maximum(largest, (q - mean) / sd)
    return float((1 + (largest >= z).sum()) / (1 + N_SIMULATED))


def _usable(pairs: _Pairs, reach: float) -> bool:
    n, within = pairs.r.size, float(pairs.count[pairs.distance < reach].sum())
    return within > 0.0 and (n <= LARGE or BLOCKS * within <= n**2)


def _weights(distance: Array, reach: float) -> Array:
    return np.maximum(1.0 - distance / (1.25 * reach), 0.0) * (distance < reach)


def _weight_matrix(clouds: Sequence[Cloud], pairs: _Pairs, reach: float) -> Array:
    """The matrix of the quadratic form, dense: for few points. Distances as they are; bins hold their means."""
    n, start = pairs.r.size, 0
    matrix = np.zeros((n, n))
    for cloud in clouds:
        own = slice(start, start + len(cloud.points))
        matrix[own, own] = _weights(_distances(cloud.points, cloud.points), reach)
        start = own.stop
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _moments(pairs: _Pairs, weights: Array) -> tuple[float, float]:
    """Mean and standard deviation of r.L r / r.r for white noise (Durbin and Watson 1951; as in correlation.py)."""
    u, n = pairs.u, pairs.r.size
    lu = np.tensordot(weights, pairs.bu, axes=1)
    ulu = u.T @ lu
    nu = n - float((u * u).sum())
    first = -float(np.trace(ulu))
    second = float(weights**2 @ pairs.count) - 2.0 * float((lu * lu).sum()) + float((ulu * ulu.T).sum())
    variance = 2.0 * (nu * second - first**2) / (nu**2 * (nu + 2.0))
    return first / nu, float(np.sqrt(max(variance, 1e-300)))


# -- how much and how far ---------------------------------------------------------------------------------------------


def _components(pairs: _Pairs, spacing: float, span: float) -> tuple[float, float, float] | None:
    """Variances (white, slow) and memory (m) that explain the products of pairs best; None when no slow part does."""
    r, u, n = pairs.r, pairs.u, pairs.r.size
    near = pairs.distance < max(span / 3.0, 2.0 * spacing)
    products = pairs.br[near] @ r
    # Up to the first distance without correlation: what follows is noise, or the swing that the fit itself causes.
    stop = max(next((i for i, a in enumerate(products) if a <= 0.0), products.size), 2)
    use = np.flatnonzero(near)[:stop]
    observed = np.concatenate([[float(r @ r)], products[:stop]])
    weight = 1.0 / np.sqrt(np.concatenate([[n], pairs.count[use]]))
    gram = u.T @ u
    rest = np.eye(u.shape[1]) - gram

    def summed(right: Array) -> Array:
        """Sums over the diagonal and the pairs of each bin of (U right^T)_ij; right (n, d)."""
        off = np.einsum("bnd,nd->b", pairs.bu[use], right)
        return np.concatenate([[float((u * right).sum())], off])

    constant = summed(u @ rest)
    white = -2.0 * summed(u) + summed(u @ gram)
    white[0] += n
    best: tuple[float, float, float, float] | None = None
    for memory in np.geomspace(0.4 * spacing, max(span / LONGEST, spacing), N_MEMORIES):
        decay = np.exp(-pairs.distance / memory)
        w = _apply(pairs, memory, u)
        own = np.concatenate([[float(n)], pairs.count[use] * decay[use]])
        slow = own - 2.0 * summed(w) + summed(u @ (u.T @ w))
        solution, misfit = nnls(np.stack([white, slow], axis=1) * weight[:, None], (observed - constant) * weight)
        if solution[1] > 0.0 and (best is None or misfit < best[0]):
            best = (float(misfit), float(solution[0]), float(solution[1]), float(memory))
    return None if best is None else best[1:]
