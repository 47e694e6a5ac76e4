"""The posterior given psi where bounds cut a population: the members integrated out within their bounds.

The local model makes all unknowns normal; given those they share (mean, and what else there is) each member is normal
with mean mu_j and standard deviation sigma_j. Integrated over its bounds it leaves the mass P_j of that normal within
them, and the cut normal of the population brings 1/Z_j (`cut.py`). So the shared unknowns y_s have the density

    N(y_s; c_s, S^-1) prod_j P_j(y_s) / Z_j(y_s),

where P_j = Z_j for a member without data, which then says nothing about its population. Laplace's formula at the mode
of that serves for psi and as a proposal. Draws are exact for a linear model: members are drawn within their bounds one
after another, each given those before, and weighted by the masses on the way (Geweke 1991, Efficient simulation from
the multivariate normal and Student-t distributions subject to linear constraints; Hajivassiliou and McFadden 1998,
Econometrica 66, 863).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation.likelihood.cut import Cut, mass_between
from physics_twin.estimation.likelihood.quadratic import kept_positive
from physics_twin.posterior.drawing.box_minimum import box_minimum
from physics_twin.posterior.drawing.truncated_normal import standard_normal_between

CLOSE = 1e-5
"""Distance, in standard deviations, at which the mode of the shared unknowns is found."""
ITERATIONS = 60
SHORTER = 30
JITTER = 1e-12
"""Share of its variances that keeps the root of a covariance real."""


@dataclass(frozen=True)
class Within:
    """The mode of the shared unknowns, members integrated out within their bounds."""

    center: Array
    """(d_s,)"""
    information: Array
    """(d_s, d_s) at the mode"""
    change: float
    """What -2 log p(psi) changes by."""


@dataclass(frozen=True)
class _Shared:
    """-log density of the shared unknowns at a place, with slope and curvature."""

    value: float
    slope: Array
    curvature: Array


def split(cuts: Sequence[Cut], d: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Columns that are shared, and the members of populations that are cut."""
    members = np.concatenate([c.columns for c in cuts])
    return np.setdiff1d(np.arange(d), members), members


def within(cuts: Sequence[Cut], psi: Array, center: Array, root: Array, low: Array, high: Array) -> Within | None:
    """What the bounds change given psi; None where they are far. center (d,), root (d, d): of the local model."""
    if not any(c.moved(center).acts(psi) for c in cuts):
        return None
    shared, members = split(cuts, center.size)
    covariance = root @ root.T
    s = np.linalg.inv(covariance[np.ix_(shared, shared)])
    follow = covariance[np.ix_(members, shared)] @ s
    own = np.diag(covariance)[members] - np.einsum("ij,ij->i", follow, covariance[np.ix_(members, shared)])
    sigma = np.sqrt(np.maximum(own, JITTER * np.diag(covariance)[members]))

    def at(y: Array) -> _Shared:
        away = y - center[shared]
        mu = center[members] + follow @ away
        p = mass_between((low[members] - mu) / sigma, (high[members] - mu) / sigma)
        slope = s @ away - follow.T @ (p.tilt / sigma)
        curvature = s - follow.T @ ((p.bend / sigma**2)[:, None] * follow)
        value = 0.5 * float(away @ s @ away) - float(p.log.sum())
        full = np.zeros(center.size)
        full[shared] = y
        for cut in cuts:
            z, along = cut.moved(full).mass(psi), cut.mean_slope[shared]
            scale = float(np.exp(psi[cut.spread])) * cut.weights
            value += float(z.log.sum())
            slope = slope + float((z.tilt / scale).sum()) * along
            curvature = curvature + float((z.bend / scale**2).sum()) * np.outer(along, along)
        return _Shared(value, slope, kept_positive(curvature, s))

    y = np.clip(center[shared], low[shared], high[shared])
    y, found = _lowest(at, y, low[shared], high[shared]) if y.size else (y, at(y))
    logs = float(np.linalg.slogdet(found.curvature)[1] - np.linalg.slogdet(s)[1])
    return Within(y, found.curvature, 2.0 * found.value + logs)


def _lowest(at: Callable[[Array], _Shared], y: Array, low: Array, high: Array) -> tuple[Array, _Shared]:
    """By Newton steps in the box: no simulation."""
    found = at(y)
    for _ in range(ITERATIONS):
        p = box_minimum(found.curvature, found.slope, low - y, high - y)
        decrement = -float(2.0 * found.slope @ p + p @ found.curvature @ p)
        if decrement <= CLOSE**2:
            break
        for share in 0.5 ** np.arange(SHORTER):
            trial = np.clip(y + share * p, low, high)
            new = at(trial)
            if new.value < found.value:
                break
        else:
            break  # as close as rounding allows
        y, found = trial, new
    return y, found


@dataclass(frozen=True)
class Source:
    """Where draws given one psi come from, shared unknowns first, members after them."""

    center: Array
    """(d,) of the local model"""
    root: Array
    """(d, d) lower triangular, of the local model"""
    proposed: Array
    """(d_s,) center of the proposal"""
    proposed_root: Array
    """(d_s, d_s) lower triangular"""
    offset: float
    """Of the log weights."""


def source(center: Array, root: Array, found: Within | None, shared: NDArray[np.intp], order: Array) -> Source:
    """From the local model's center and root, perhaps widened, and what the bounds change; order: shared, members."""
    covariance = (root @ root.T)[np.ix_(order, order)]
    covariance[np.diag_indices_from(covariance)] *= 1.0 + JITTER
    n = shared.size
    whole = np.linalg.cholesky(covariance)
    if found is None:
        return Source(center[order], whole, center[shared], whole[:n, :n], 0.0)
    s = np.linalg.inv(covariance[:n, :n])
    plain = np.linalg.inv((root @ root.T)[np.ix_(shared, shared)])
    h = kept_positive(found.information - plain + s, s)
    return Source(center[order], whole, found.center, np.linalg.cholesky(np.linalg.inv(h)), 0.5 * found.change)


def draw_members(
    sources: Sequence[Source],
    chosen: NDArray[np.intp],
    shared: Array,
    low: Array,
    high: Array,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Members (n, k) within low and high (k,), and log weights (n,) but for the populations' own 1/Z.

    chosen (n,): the source of each draw. shared (n, d_s): drawn from its proposal.
    """
    n, d_s = shared.shape
    center = np.array([f.center for f in sources])[chosen]
    roots = np.array([f.root for f in sources])
    inverse = np.array([np.linalg.inv(f.root[:d_s, :d_s]) for f in sources])
    tried = np.array([np.linalg.inv(f.proposed_root) for f in sources])
    u = np.einsum("nij,nj->ni", inverse[chosen], shared - center[:, :d_s])
    v = np.einsum("nij,nj->ni", tried[chosen], shared - np.array([f.proposed for f in sources])[chosen])
    volumes = np.linalg.slogdet(inverse)[1] - np.linalg.slogdet(tried)[1]
    weight = np.array([f.offset for f in sources])[chosen] + volumes[chosen]
    weight += 0.5 * (v * v).sum(axis=1) - 0.5 * (u * u).sum(axis=1)
    drawn = np.empty((n, low.size))
    xi = np.concatenate([u, np.empty(drawn.shape)], axis=1)
    for j in range(low.size):
        row = roots[:, d_s + j, :][chosen]
        mean = center[:, d_s + j] + np.einsum("ni,ni->n", row[:, : d_s + j], xi[:, : d_s + j])
        sd = row[:, d_s + j]
        a, b = (low[j] - mean) / sd, (high[j] - mean) / sd
        weight += mass_between(a, b).log
        xi[:, d_s + j] = standard_normal_between(a, b, np.asarray(rng.random(n)))
        drawn[:, j] = np.clip(mean + sd * xi[:, d_s + j], low[j], high[j])
    return drawn, weight


def log_masses(cuts: Sequence[Cut], psi: Array, y: Array) -> Array:
    """Sum of the logarithms of Z (n,) at psi (n, n_psi) and y (n, d)."""
    total = np.zeros(len(y))
    for cut in cuts:
        spread = np.exp(psi[:, cut.spread])[:, None]
        shift = (y @ cut.mean_slope)[:, None] / cut.weights
        total += mass_between((cut.low - shift) / spread, (cut.high - shift) / spread).log.sum(axis=1)
    return total
