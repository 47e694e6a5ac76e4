"""Laplace draws of many unknowns: what `truncated_normal` does, at a price that a hundred unknowns and more can pay.

Where noise is estimated each draw has a covariance of its own, C(rho) C(rho)^T with rho = sigma_hat^2 / sigma^2. Here
C(rho) = C K(rho), K K^T = (C^T A(rho) C)^{-1} by Cholesky: near the identity, so well conditioned, and smooth in rho
as the correction for correlated residuals wants it. What rejection leaves over bounces between the bounds: exact
Hamiltonian Monte Carlo (Pakman and Paninski 2014, Exact Hamiltonian Monte Carlo for truncated multivariate Gaussians,
J. Comput. Graph. Stat. 23), whose cost per bounce is one row of the covariance. One chain per draw, so that draws are
independent.

Letters: A, C, M as in laplace.py; x(t) = mean + (x - mean) cos t + u sin t is the path, u its velocity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array

REJECTION_ROUNDS = 4
"""With many unknowns either no bound matters, or nearly every try falls beyond one."""
MEMORY = 4e6
"""Numbers in the covariances of draws that are worked on together."""
TRANSITIONS = 10
"""Quarter periods: each forgets the last but for its bounces."""
MOST_BOUNCES = 5000
"""In one quarter period; a chain that has more ends it where it is."""


@dataclass(frozen=True)
class Shared:
    """A Gaussian log density with noise groups: half slopes and informations add up, those of a group times rho."""

    fixed_information: Array
    """(d, d)"""
    fixed_slope: Array
    """(d,)"""
    by_group: Sequence[Array]
    slope_by_group: Sequence[Array]
    sd: Array
    """(n_groups,) at the mode"""
    degrees: Array
    """(n_groups,)"""


def draw_many(
    shared: Shared, root: Array, m_root: Array, low: Array, high: Array, n: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """`n` draws (noise levels (n, n_groups), y (n, d)) within the bounds.

    root: C (d, d) at the mode; m_root: root of M (d, d).
    """
    d, k = root.shape[0], shared.sd.size
    sd, y = np.empty((n, k)), np.empty((n, d))
    inner = [root.T @ a @ root for a in shared.by_group]
    fixed = np.eye(d) - sum(inner, np.zeros((d, d)))  # of A and of what keeps unseen directions finite
    slopes = np.array([root.T @ s for s in shared.slope_by_group]).reshape(k, d)
    fixed_slope = root.T @ shared.fixed_slope
    size = n if k == 0 else max(int(MEMORY // d**2), 1)

    def propose(m: int) -> tuple[Array, Array, Array]:
        """Levels (m, k), centers (m, d), and K^{-1} for each draw (m, d, d), or the one of all (1, d, d)."""
        ratio = rng.chisquare(shared.degrees, size=(m, k)) / shared.degrees if k else np.empty((m, 0))
        half = fixed_slope + ratio @ slopes
        if k == 0:
            return np.empty((m, 0)), np.broadcast_to(-half @ root.T, (m, d)), np.eye(d)[None]
        b = np.broadcast_to(fixed, (m, d, d)).copy()
        for g in range(k):
            b += ratio[:, g, None, None] * inner[g]
        factor = np.linalg.cholesky(b)
        transposed = factor.transpose(0, 2, 1)
        center = -np.linalg.solve(transposed, np.linalg.solve(factor, half[..., None]))[..., 0]
        return shared.sd / np.sqrt(ratio), center @ root.T, transposed

    for begin in range(0, n, size):
        rows = np.arange(begin, min(begin + size, n))
        for _ in range(REJECTION_ROUNDS):
            levels, mean, factors = propose(rows.size)
            z = rng.standard_normal((rows.size, d)) @ m_root.T
            if k:
                z = np.linalg.solve(factors, z[..., None])[..., 0]
            trial = mean + z @ root.T
            inside = ((trial >= low) & (trial <= high)).all(axis=1)
            y[rows[inside]], sd[rows[inside]] = trial[inside], levels[inside]
            rows, levels, mean = rows[~inside], levels[~inside], mean[~inside]
            factors = factors if k == 0 else factors[~inside]
            if rows.size == 0:
                break
        if rows.size:
            sd[rows] = levels
            wide = np.linalg.solve(factors, np.broadcast_to(m_root, (factors.shape[0], d, d)))
            roots = np.asarray(root @ wide)
            y[rows] = bounce(mean, roots, low, high, rng)
    return sd, y


def bounce(mean: Array, roots: Array, low: Array, high: Array, rng: np.random.Generator) -> Array:
    """One draw per row of N(mean, root root^T) within [low, high].

    mean (n, d), roots (n, d, d) or (1, d, d) shared by all, bounds (d,).
    """
    n, d = mean.shape
    covariance = roots @ roots.transpose(0, 2, 1)
    own = np.arange(n) if roots.shape[0] == n else np.zeros(n, dtype=np.intp)
    sd = np.sqrt(np.einsum("nii->ni", covariance))[own]
    width = np.where(np.isfinite(high - low), high - low, 1.0)
    inset = np.minimum(1e-3 * width, 1e-3 * sd)
    x = np.clip(mean, low + inset, high - inset)
    walls = np.flatnonzero(np.isfinite(low) | np.isfinite(high))
    for _ in range(TRANSITIONS):
        z = rng.standard_normal((n, d))
        u = z @ roots[0].T if roots.shape[0] == 1 else np.einsum("nij,nj->ni", roots, z)
        left = np.full(n, 0.5 * np.pi)
        going = np.arange(n)
        for _ in range(MOST_BOUNCES):
            time, wall, upper = _next_wall(x[going], u[going], mean[going], low, high, walls)
            ends = time >= left[going]
            t = np.where(ends, left[going], time)[:, None]
            a, v = x[going] - mean[going], u[going]
            x[going] = mean[going] + a * np.cos(t) + v * np.sin(t)
            u[going] = v * np.cos(t) - a * np.sin(t)
            left[going] -= t[:, 0]
            going, wall, upper = going[~ends], wall[~ends], upper[~ends]
            if going.size == 0:
                break
            x[going, wall] = np.where(upper, high[wall], low[wall])
            row = covariance[own[going], wall]
            u[going] -= (2.0 * u[going, wall] / row[np.arange(going.size), wall])[:, None] * row
        x = np.clip(x, low, high)
    return np.asarray(x)


def _next_wall(
    x: Array, u: Array, mean: Array, low: Array, high: Array, walls: NDArray[np.intp]
) -> tuple[Array, NDArray[np.intp], NDArray[np.bool_]]:
    """When each path next leaves the box, through which coordinate, and whether at its upper end.

    A coordinate is mean + r cos(t - phase); it goes out through `high` where the cosine rises, through `low` where it
    falls, so that a path that has just come off a wall does not meet it at once.
    """
    a, v, middle = x[:, walls] - mean[:, walls], u[:, walls], mean[:, walls]
    up = _crossing(a, v, high[walls] - middle)
    down = _crossing(-a, -v, middle - low[walls])
    both = np.minimum(up, down)
    first = np.argmin(both, axis=1)
    at = np.arange(x.shape[0])
    return both[at, first], walls[first], up[at, first] <= down[at, first]


def _crossing(a: Array, v: Array, distance: Array) -> Array:
    """The first t > 0 at which a cos t + v sin t rises through `distance`; infinite where it never does."""
    square = a * a + v * v
    reached = square > distance * distance  # most coordinates turn before their bound: no trigonometry for them
    t = np.full(a.shape, np.inf)
    share = distance[reached] / np.sqrt(square[reached])
    t[reached] = np.mod(np.arctan2(v[reached], a[reached]) - np.arccos(share), 2.0 * np.pi)
    return t
