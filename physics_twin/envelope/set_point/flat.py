"""Where an objective is flat: of the points that are equally good, the one with the most joint margin.

An objective that is itself a setting leaves the others free, and so does an output that a setting does not move. What
an optimizer returns there is the luck of its last digits; an operator wants the point farthest from all limits.
"""

import itertools
from collections.abc import Callable

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.ranges.convex_set import ConvexSet

FLAT = 1e-7
"""Share of the objective's range over the set that counts as no difference."""
STEP = 1e-4
"""Difference of slopes, relative to the searched range: an interpolation is flat to its rounding only."""
SIZES = 2.0 ** -np.arange(18)
"""Steps that are tried at once, in widths of the set: the largest ones find the hill, the smallest ones its top."""
INSIDE = 1e-12

Worth = Callable[[Array], Array]
"""(n, d) points of the unit cube -> (n,) the more the better."""


def most_margin(point: Array, worth: Worth, scale: float, level: Worth, inside: ConvexSet) -> Array:
    """The point (d,) of a convex set with the most `level` that is as good as `point`; `point` itself without one.

    scale: range of `worth` over the set. A pattern search along the axes, their sums and differences, and all of these
    without their part along the slope of `worth`: the same inputs give the same point.
    """
    least = float(worth(point[None])[0]) - FLAT * scale
    moves = _directions(point, worth, inside)
    steps = (SIZES[:, None, None] * np.concatenate([moves, -moves])).reshape(-1, point.size)
    best, value = point, float(level(point[None])[0])
    while True:
        tried = np.clip(best + steps, inside.low, inside.high)
        tried = tried[inside.contains(tried, INSIDE)]
        tried = tried[worth(tried) >= least] if len(tried) else tried
        if len(tried) == 0:
            return best
        levels = level(tried)
        i = int(np.argmax(levels))
        if levels[i] <= value:
            return best
        best, value = tried[i], float(levels[i])


def _directions(point: Array, worth: Worth, inside: ConvexSet) -> Array:
    """(n, d) ways to go, of the length of the set's width along their largest component."""
    d = point.size
    widths = inside.high - inside.low
    axes = np.eye(d)
    pairs = [a + sign * b for a, b in itertools.combinations(axes, 2) for sign in (1.0, -1.0)]
    moves = np.array([*axes, *pairs])
    near = worth(point + STEP * np.concatenate([axes * widths, -axes * widths]))
    slope = near[:d] - near[d:]
    length = float(slope @ slope)
    if length > 0.0:
        across = moves - np.outer(moves @ slope / length, slope)
        sizes = np.abs(across).max(axis=1)
        moves = np.concatenate([moves, across[sizes > 1e-6] / sizes[sizes > 1e-6, None]])
    return moves * widths
