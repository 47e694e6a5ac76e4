"""A box of the surrogate's is put before the model, on the search draws, before any held-out draw is spent on it."""

from collections.abc import Callable
from functools import partial

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Allowed, violations
from physics_twin.envelope.ranges.aim import Aim
from physics_twin.envelope.ranges.box import Box, corners, largest_box
from physics_twin.envelope.region.design_space import worst_points
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.envelope.set_point.set_point import AT_BOUND, best_point

PULLS = (1.0 - 1e-7, 1.0 - 1e-5, 1.0 - 1e-4, 1.0 - 1e-3, 0.99, 0.97, 0.93, 0.85, 0.7, 0.5)
"""Shares of a box that are tried until the model itself confirms it on the search draws. The first only makes up for
rounding: a corner that stands exactly on the edge has as good a chance to lie outside."""
N_WORST = (2, 4, 8)
"""Points of the directed search that are certified beside the corners, for 1, 2 and more settings."""
N_SOUGHT_AGAIN = 5
"""Refusals after which the box is sought anew with what the model said; later ones only pull it in."""
FIRST = (4, 8)
"""The most doubtful points are simulated first: at least so many, or the points divided by so much. Where they refuse
the box, the others (264 with eight settings) need not be simulated."""


def confirmed(
    evaluate: Callable[[Array], Array], space: DesignSpace, box: Box, cloud: Array, allowed: Allowed, aim: Aim
) -> tuple[DesignSpace, Box | None, Array]:
    """The box, sought again or pulled in until the model confirms its corners and worst points; and those points.

    evaluate: margins of the search draws at points of the unit cube. The design that is returned has learned from every
    refusal.
    """
    d = box.low.size
    n_worst = N_WORST[min(d, 3) - 1]
    nothing_learned = False
    for number, share in enumerate(PULLS):
        tried = _pulled(box, aim.moved(best_point(space, box, allowed, room=0.0)), share)
        if d == 1 and nothing_learned:
            tried = _simulated(space, tried, box, allowed)
        points = np.concatenate([tried.at(corners(d)), worst_points(space, tried, cloud, allowed, n_worst)])
        met, learned = _tested(evaluate, space, points, allowed)
        if met:
            return space, tried, points
        nothing_learned = len(learned.points) == len(space.points)
        sought = number < N_SOUGHT_AGAIN and not nothing_learned
        space = learned
        if sought:
            region = partial(space.level, allowed=allowed)
            again = largest_box(region, cloud, region(cloud), space.points, aim)
            box = box if again is None else again
    return space, None, points


def _pulled(box: Box, anchor: Array, share: float) -> Box:
    tried = box.toward(anchor, share)
    if share <= 0.9:
        return tried
    # A side that a setting's bound ends stays there unless nothing else helps.
    return Box(np.where(box.low <= AT_BOUND, 0.0, tried.low), np.where(box.high >= 1.0 - AT_BOUND, 1.0, tried.high))


def _simulated(space: DesignSpace, tried: Box, box: Box, allowed: Allowed) -> Box:
    """The interval between the outermost points of `box` that were simulated and keep the limits; else `tried`.

    Where a margin jumps, the edge that is sought anew creeps toward the jump from the wrong side, and the next share
    would cost a hundredth of the width.
    """
    inside = box.contains(space.points)
    if not inside.any() or not allowed.kept(violations(space.margins[inside], allowed.groups)):
        return tried
    known = space.points[inside]
    return Box(known.min(axis=0), known.max(axis=0))


def _tested(
    evaluate: Callable[[Array], Array], space: DesignSpace, points: Array, allowed: Allowed
) -> tuple[bool, DesignSpace]:
    """Whether the model keeps the limits at all points; and the design with what it said where it does not."""
    doubtful = np.argsort(space.level(points, allowed), kind="stable")
    n_first = max(FIRST[0], len(points) // FIRST[1])
    for rows in (doubtful[:n_first], doubtful[n_first:]):
        if len(rows) == 0:
            continue
        margins = evaluate(points[rows])
        if allowed.kept(violations(margins, allowed.groups)):
            continue
        new = space.unseen(points[rows])
        kept = [int(np.abs(points[rows] - p).max(axis=1).argmin()) for p in new]
        return False, space.with_(new, margins[kept]) if kept else space
    return True, space
