"""The recommended set point, and what ends each side of a box.

The set point is the point of the box with the most joint margin: it maximizes the margin that all but the allowed
share of the draws keep, the limits compared in units of their own spread. It keeps its distance from the sides of the
box, since an operator needs room on both of them: a fifth of the width, and two standard deviations of the tolerance
with which the plant hits its settings, as far as the box has the room.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Allowed, share_of
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.envelope.ranges.box import Box
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.region.probing import compass, relative_cloud
from physics_twin.envelope.region.surrogate import DesignSpace, shares
from physics_twin.envelope.set_point.missed import limit_missed
from physics_twin.units import Unit

N_SD, ROOM = 2.0, 0.2
"""Standard deviations of a setting's tolerance, and share of the box's width, kept between set point and side."""
SETTING_BOUND = "setting bound"
CONFIDENCE = "room for confidence in "
"""Before the name of a limit that would end a side only further out: the certificate needed the room."""
AT_BOUND = 1e-6
"""Distance to a setting's bound, relative to its range, within which the bound ends the side."""
OUTWARD = 0.01
"""Step beyond a side, relative to the setting's range, at which the limit that ends it is looked for."""


@dataclass(frozen=True)
class Margin:
    """How far one limit is from being broken at one point."""

    limit: str
    output: str
    unit: Unit
    """Margins are differences: show them with `unit.from_si(margin, difference=True)`."""
    level: float
    """The limit itself, SI."""
    expected: float
    """Median margin over the draws, SI."""
    assured: float
    """Margin kept with the required probability, SI; negative: what the limit is short by."""
    probability: float
    """Share of the draws that keep this limit; a failed simulation keeps none."""
    required: float
    """With which it must be kept: its own probability, or that of all limits jointly."""


def best_point(
    space: DesignSpace, box: Box, allowed: Allowed, tolerance: Array | float = 0.0, room: float = ROOM
) -> Array:
    """The set point (d,) in the unit cube; tolerance: (d,) standard deviations relative to the bounds."""
    inner = inner_box(box, tolerance, room)
    cloud = relative_cloud(box.low.size)
    levels = space.level(inner.at(cloud), allowed)
    start = cloud[int(np.argmax(levels))]
    best: Array = inner.at(compass(lambda t: space.level(inner.at(t), allowed), start)[None])[0]
    return best


def inner_box(box: Box, tolerance: Array | float = 0.0, room: float = ROOM) -> Box:
    """The part of a box that a set point may take: away from its sides by `room` of the widths and by the tolerance."""
    inset = np.minimum(np.maximum(N_SD * tolerance, room * box.widths), 0.5 * box.widths)
    # Errors at a side that the setting's bound ends count like any other: the plant would run beyond its bound.
    return Box(box.low + inset, box.high - inset)


def inner_set(body: ConvexSet, tolerance: Array | float = 0.0, room: float = ROOM) -> ConvexSet:
    """As `inner_box`, of a convex set: shrunk about its middle, then every side moved in by the tolerance across it."""
    if body.center is None:
        return body
    shrunk = body.toward(body.center, 1.0 - 2.0 * room)
    spread = np.broadcast_to(tolerance, body.center.shape)
    moved = ConvexSet(
        np.maximum(shrunk.low, body.low + N_SD * spread),
        np.minimum(shrunk.high, body.high - N_SD * spread),
        body.normals,
        np.minimum(shrunk.offsets, body.offsets - N_SD * np.linalg.norm(body.normals * spread, axis=1)),
    )
    return moved if moved.center is not None else shrunk


def margins_at(margins: Array, requirements: Sequence[Requirement], probability: float) -> tuple[Margin, ...]:
    """Margins of each requirement from simulated ones, (n_draws, n_requirements) SI with NaN for failures.

    probability: of the limits that have none of their own.
    """
    met = shares(margins[None])[0, 1:]
    found = []
    for j, requirement in enumerate(requirements):
        # A failed run has no margin; it is ranked below all others so that it uses up the allowed share first.
        ranked = np.sort(np.where(np.isfinite(margins[:, j]), margins[:, j], -np.inf))
        finite = ranked[np.isfinite(ranked)]
        required = probability if requirement.probability is None else requirement.probability
        allowed = share_of(len(ranked), required)
        assured = float(ranked[allowed]) if len(finite) else -np.inf
        found.append(
            Margin(
                requirement.name,
                requirement.output,
                requirement.unit,
                requirement.level,
                float(np.median(finite)) if len(finite) else -np.inf,
                assured,
                float(met[j]),
                required,
            )
        )
    return tuple(found)


def limit_of(end: str) -> str:
    """The limit by which a side is ended, be it for the confidence in it."""
    return end.removeprefix(CONFIDENCE)


def binding_sides(
    space: DesignSpace, box: Box, requirements: Sequence[Requirement], allowed: Allowed, *, pulled_in: bool = False
) -> tuple[tuple[str, str], ...]:
    """For each setting, what ends the low and the high side: the name of a limit, or "setting bound".

    pulled_in: the box is smaller than what the search draws allow, because a larger one was not certified; a side
    beyond which they break no limit more often than allowed is then ended by the room for confidence in a limit.
    """
    found = []
    for i in range(box.low.size):
        names = []
        for side, edge in ((0, box.low[i]), (1, box.high[i])):
            if (side == 0 and edge <= AT_BOUND) or (side == 1 and edge >= 1.0 - AT_BOUND):
                names.append(SETTING_BOUND)
                continue
            points, kept = _beyond(box, i, side, OUTWARD), pulled_in
            if pulled_in:
                kept = float(space.group_levels(points, allowed).min()) >= 0.0
                points = _first_missed(space, box, i, side, allowed) if kept else points
            names.append((CONFIDENCE if kept else "") + limit_missed(space, points, requirements, allowed))
        found.append((names[0], names[1]))
    return tuple(found)


def _beyond(box: Box, i: int, side: int, step: float) -> Array:
    """Points (n, d) a step beyond the low (0) or high (1) side of a box along axis i, within the unit cube."""
    face = relative_cloud(box.low.size)
    face[:, i] = side
    points: Array = box.at(face)
    points[:, i] = np.clip(points[:, i] + (step if side else -step), 0.0, 1.0)
    return points


def _first_missed(space: DesignSpace, box: Box, i: int, side: int, allowed: Allowed) -> Array:
    """The points beyond a side where, going outward, a limit is first broken too often; else those at the bound."""
    points = _beyond(box, i, side, 1.0)
    for step in OUTWARD * 2.0 ** np.arange(1, 7):
        near = _beyond(box, i, side, float(step))
        if float(space.group_levels(near, allowed).min()) < 0.0:
            return near
    return points
