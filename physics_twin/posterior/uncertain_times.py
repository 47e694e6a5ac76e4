"""Nodes for a time that is normally distributed: Gauss rules of the normal, cut where the output may jump.

Nothing smooth runs across a jump of an input, the start of the run or its end, so the normal is cut there, and each
part has the Gauss rule of the normal on that part: with n nodes exact for polynomials up to degree 2n - 1, whatever
they are on the other parts (Golub and Welsch, Math. Comp. 23 (1969) 221, with recurrence coefficients by the
discretized Stieltjes procedure: Gautschi, Orthogonal Polynomials, 2004, section 2.2.3). The chance of each part is that
of the normal, so expected value and variance of a step are exact. Where nothing is near, the rule is Gauss-Hermite.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from physics_twin.arrays import Array
from physics_twin.posterior.window_pieces import within

HERMITE = 5
"""Nodes for an uncertain time, and of each part of it."""
REACH = 6.0
"""Standard deviations within which the normal is cut: 1e-9 of it lies farther out on either side."""
BEHIND = 0.5
"""Standard deviations behind a jump at which it is cut again: what follows a jump at once is fast."""
NARROW = ((1.0 / 4.0, 2), (1.0 / 16.0, 1))
"""A part this wide or narrower, in standard deviations, has so many nodes."""
FAR = REACH + 2.5
"""Where the tail is cut off in the recurrence: 1e-17 lies farther out."""
FINE_POINTS, FINE_WEIGHTS = np.polynomial.legendre.leggauss(64)


@dataclass(frozen=True)
class Shifts:
    """Possible shifts of samples in time, those of a sample together."""

    sample: NDArray[np.intp]
    """(n_shifts,)"""
    shift: Array
    """(n_shifts,) s"""
    chance: Array
    """(n_shifts,) their sum over a sample is one."""


def shifts_of(begins: Array, ends: Array, sd: Array, jumps: Array, end: float) -> Shifts:
    """The shifts of windows or moments begins, ends (n,) s whose times have the standard deviations sd (n,) s.

    jumps: (n_jumps,) s, ascending, the start of the run first. end: s, behind which nothing is known.
    """
    points, mass = np.polynomial.hermite_e.hermegauss(HERMITE)
    mass = mass / np.sqrt(2.0 * np.pi)
    reach = REACH * sd
    near = np.searchsorted(jumps, ends + reach) > np.searchsorted(jumps, begins - reach)
    near = (sd > 0.0) & (near | ((ends <= end) & (ends + reach > end)))
    parts = {i: _edges(begins[i], ends[i], sd[i], jumps, end) for i in np.flatnonzero(near).tolist()}
    cut = {i: edges for i, (edges, _) in parts.items() if edges.size > 2}
    owner = np.repeat(list(cut), [e.size - 1 for e in cut.values()]).astype(np.intp)
    chance, shift, order = np.empty(0), np.empty((0, HERMITE)), np.empty(0, dtype=np.intp)
    if cut:
        low, high = np.concatenate([e[:-1] for e in cut.values()]), np.concatenate([e[1:] for e in cut.values()])
        still = np.concatenate([parts[i][1] for i in cut])
        order = np.where(still, 1, HERMITE)
        for width, fewer in NARROW:
            order = np.where(high - low <= width, np.minimum(order, fewer), order)
        chance, shift, weights = _cut_rules(low, high, order)
        chance = chance[:, None] * weights
    found_shift, found_chance, found_sample = [], [], []
    here = np.arange(HERMITE) < order[:, None]
    plain = np.array([i for i in range(sd.size) if i not in cut], dtype=np.intp)
    n_nodes = np.where(sd[plain] > 0.0, HERMITE, 1)
    sample, k = np.repeat(plain, n_nodes), within(n_nodes)
    many = sd[sample] > 0.0
    found_sample += [sample, np.repeat(owner, order)]
    found_shift += [np.where(many, sd[sample] * points[k], 0.0), (sd[owner][:, None] * shift)[here]]
    found_chance += [np.where(many, mass[k], 1.0), (chance if cut else shift)[here]]
    every = np.concatenate(found_sample)
    at = np.argsort(every, kind="stable")
    return Shifts(every[at], np.concatenate(found_shift)[at], np.concatenate(found_chance)[at])


def _edges(begin: float, end: float, sd: float, jumps: Array, last: float) -> tuple[Array, NDArray[np.bool_]]:
    """Edges (n + 1,) of the parts of the normal, in standard deviations, and (n,) which parts show one value only."""
    sides = (end,) if begin == end else (begin, end)
    near = [jumps[np.searchsorted(jumps, s - REACH * sd) : np.searchsorted(jumps, s + REACH * sd)] for s in sides]
    cuts = np.unique(np.concatenate([(own - s) / sd for own, s in zip(near, sides, strict=True)]))
    behind = cuts + BEHIND
    room = np.append(cuts[1:], np.inf) > behind
    stop = (last - end) / sd
    ends = [stop] if 0.0 <= stop < REACH else []
    edges = np.unique(np.concatenate([[-np.inf], cuts, behind[room & (behind < REACH)], ends, [np.inf]]))
    chance = _chance(edges[:-1], edges[1:])
    if (chance <= 0.0).any():  # two edges that differ by rounding
        edges = np.concatenate([edges[:-1][chance > 0.0], [np.inf]])
    still = edges[1:] <= (0.0 - end) / sd
    if ends and begin == end:
        still |= edges[:-1] >= stop
    return edges, still


def _chance(low: Array, high: Array) -> Array:
    """Probability of the normal between low and high, on the side where no digits are lost."""
    upper = low > 0.0
    return np.asarray(np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low)))


def _cut_rules(low: Array, high: Array, order: NDArray[np.intp]) -> tuple[Array, Array, Array]:
    """Chances (n,) of the parts low to high of the normal; nodes and weights (n, HERMITE) of their Gauss rules.

    order: (n,) nodes of each; the rest of its row is zero.
    """
    left, right = np.maximum(low, -FAR), np.minimum(high, FAR)
    middle, half = 0.5 * (left + right), 0.5 * (right - left)
    at = middle[:, None] + half[:, None] * FINE_POINTS
    nearest = np.clip(0.0, left, right)[:, None]
    mass = FINE_WEIGHTS * np.exp(0.5 * (nearest**2 - at**2))
    mass /= mass.sum(axis=1, keepdims=True)
    diagonal, beside = np.empty((low.size, HERMITE)), np.zeros((low.size, HERMITE))
    before, now = np.zeros_like(mass), np.ones_like(mass)
    for k in range(HERMITE):
        diagonal[:, k] = np.sum(mass * FINE_POINTS * now**2, axis=1)
        following = (FINE_POINTS - diagonal[:, k, None]) * now
        if k:
            following -= beside[:, k - 1, None] * before
        beside[:, k] = np.sqrt(np.sum(mass * following**2, axis=1))
        before, now = now, following / beside[:, k, None]
    nodes, weights = np.zeros_like(diagonal), np.zeros_like(diagonal)
    for n in np.unique(order).tolist():
        own = order == n
        i = np.arange(n)
        matrix = np.zeros((int(own.sum()), n, n))
        matrix[:, i, i] = diagonal[own, :n]
        matrix[:, i[1:], i[:-1]] = beside[own, : n - 1]
        values, vectors = np.linalg.eigh(matrix)
        nodes[own, :n] = middle[own, None] + half[own, None] * values
        weights[own, :n] = vectors[:, 0, :] ** 2
    return _chance(low, high), nodes, weights
