"""Polytopes proposed by the search draws: refined where their vertices are, confirmed by the model.

The same order as for boxes: the surrogate proposes, the model confirms on the search draws, the held-out draws decide.
A polytope starts from a surrogate that knows the largest box; what it needs beyond that is simulated at its vertices.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Allowed, violations
from physics_twin.envelope.ranges.box import N_GRID, Box, Level
from physics_twin.envelope.ranges.convex_set import ConvexSet, box_inside
from physics_twin.envelope.ranges.polytope import largest_polytope
from physics_twin.envelope.ranges.polytope_polish import inner_points, polished
from physics_twin.envelope.region.design_space import Evaluate
from physics_twin.envelope.region.probing import compass
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.envelope.set_point.set_point import AT_BOUND, best_point

N_NEW = 8
"""Vertices simulated in each round, those first where the two kernels of the surrogate differ most."""
SETTLED = 2e-3
"""Change of log volume at which the search for a polytope ends."""
N_AGAIN = 3
"""Failed confirmations after which the polytope is no longer moved but only pulled in."""
EDGE, N_EDGE_POINTS, SPARE = 0.2, 300, 10
"""Share of the cloud that counts as near the edge, points of it that are looked at, and draws kept beyond twice those
that may violate a limit."""
APART = 0.1
"""Least distance between points of the directed search, relative to the extent of the set."""


@dataclass(frozen=True, eq=False)
class Grown:
    """Outcome of the search for a polytope."""

    space: DesignSpace
    body: ConvexSet | None
    settled: bool
    """Whether it stopped growing within the budget of points."""


def points_certified(d: int, n_sides: int, n_worst: int) -> int:
    """Points at which a polytope is certified, at most for two and three settings (Euler), about for more."""
    if d == 2:
        return 4 + n_sides + n_worst
    if d == 3:
        return 2 * (6 + n_sides) - 4 + n_worst
    return int(2**d) + n_sides * d * (d - 1) // 2 + n_worst


def explore_polytope(
    evaluate: Evaluate,
    space: DesignSpace,
    box: Box,
    cloud: Array,
    allowed: Allowed,
    n_points: int,
    n_sides: int,
    points_in_doubt: Callable[[DesignSpace], Array],
    report: Callable[[str], None] = lambda text: None,
) -> Grown:
    """Refine `space` until the largest polytope found in its region no longer grows or shrinks.

    box: the largest box in the region. n_points: budget of design points in all. points_in_doubt: points (n, d) at
    which the surrogate is known to be wrong.
    """
    body: ConvexSet | None = None
    volume = 0.0
    while True:
        levels = space.level(cloud, allowed)
        region = partial(_telling(space, cloud, levels, allowed).level, allowed=allowed)
        found = None if body is None else polished(region, cloud, levels, body)
        if found is None or found.volume < np.exp(box.log_volume):
            found = _largest(region, cloud, levels, box, n_sides)
        if found is None:
            return Grown(space, None, True)
        body = found
        wrong = space.unseen(points_in_doubt(space))
        wrong = wrong[body.contains(wrong)]
        moved = abs(np.log(body.volume / volume)) if volume > 0.0 else np.inf
        volume = body.volume
        report(f"{len(space.points)} points, polytope of volume {volume:.3g} with {len(body.vertices)} vertices")
        if moved <= SETTLED and len(wrong) == 0:
            return Grown(space, body, True)
        vertices = body.vertices
        doubt = np.abs(space.level(vertices, allowed) - space.rival.level(vertices, allowed))
        wanted = [wrong[:N_NEW], vertices[np.argsort(-doubt, kind="stable")[:N_NEW]]]
        new = space.unseen(np.concatenate([*wanted, worst_inside(region, cloud, body, 2)]))
        new = new[: max(0, n_points - len(space.points))]
        if len(new) == 0:
            return Grown(space, body, moved <= SETTLED)
        space = space.with_(new, evaluate(new))


def _telling(space: DesignSpace, cloud: Array, levels: Array, allowed: Allowed) -> DesignSpace:
    """The design with those draws only that decide where the edge is: the ones that lie lowest near it.

    Without the others the level is the same there and costs a fraction; the model confirms with all of them.
    """
    near = np.flatnonzero(np.abs(levels) <= np.quantile(np.abs(levels), EDGE))
    near = near[:: max(1, len(near) // N_EDGE_POINTS)]
    predicted = space.predicted(cloud[near])
    kept = np.zeros(space.n_draws, dtype=bool)
    for group, k in zip(allowed.groups, allowed.k, strict=True):
        n_lowest = min(2 * (k + 1) + SPARE, space.n_draws)
        kept[np.argsort(group.joint(predicted, 1), axis=1)[:, :n_lowest]] = True
    return DesignSpace(space.points, space.margins[:, kept], space.kernel)


def _largest(level: Level, cloud: Array, levels: Array, box: Box, n_sides: int) -> ConvexSet | None:
    """The largest polytope; over two settings found on a map of the region, which costs nothing, and then polished."""
    if cloud.shape[1] > 2:
        return largest_polytope(level, cloud, levels, box, n_sides)
    line = np.linspace(0.0, 1.0, N_GRID)
    grid = levels.reshape(N_GRID, N_GRID)
    on_map = RegularGridInterpolator((line, line), grid, bounds_error=False, fill_value=None)
    rough = largest_polytope(on_map, cloud, levels, box, n_sides)
    return None if rough is None else polished(level, cloud, levels, rough)


def worst_inside(level: Level, cloud: Array, body: ConvexSet, n: int) -> Array:
    """Up to `n` points (n, d) of a set where the level is least, away from its vertices and one another."""
    inside = np.concatenate([cloud[body.contains(cloud)], inner_points(body)])
    extent = np.maximum(np.ptp(body.vertices, axis=0), 1e-12)
    taken, kept = body.vertices, []

    def downhill(u: Array) -> Array:
        return np.where(body.contains(u), -level(u), -np.inf)

    for i in np.argsort(level(inside), kind="stable"):
        if (np.abs(taken - inside[i]) / extent).max(axis=1).min() > APART:
            point = compass(downhill, inside[i]) if body.contains(inside[[i]])[0] else inside[i]
            kept.append(point)
            taken = np.concatenate([taken, inside[[i]], point[None]])
        if len(kept) == n:
            break
    return np.array(kept).reshape(-1, body.d)


def confirmed_polytope(
    evaluate: Evaluate,
    space: DesignSpace,
    body: ConvexSet,
    cloud: Array,
    allowed: Allowed,
    pulls: Iterable[float],
    n_worst: int,
) -> tuple[DesignSpace, ConvexSet | None, Array]:
    """The polytope, pulled in until the model itself confirms vertices and worst points on the search draws.

    pulls: shares of it that are tried in turn. Where the first ones fail the polytope is moved as well, since the
    surrogate has learned from the failure. Returns the points (n, d) at which it was confirmed, vertices first.
    """
    for number, share in enumerate(pulls):
        box = box_inside(body)
        if box is None:
            break
        region = partial(space.level, allowed=allowed)
        tried = body.toward(best_point(space, box, allowed, room=0.0), share)
        if share > 0.9:  # a side that a setting's bound ends stays there unless nothing else helps
            low = np.where(body.low <= AT_BOUND, 0.0, tried.low)
            high = np.where(body.high >= 1.0 - AT_BOUND, 1.0, tried.high)
            tried = ConvexSet(low, high, tried.normals, tried.offsets)
        if len(tried.vertices) == 0:
            break
        points = np.clip(np.concatenate([tried.vertices, worst_inside(region, cloud, tried, n_worst)]), 0.0, 1.0)
        margins = evaluate(points)
        if allowed.kept(violations(margins, allowed.groups)):
            return space, tried, points
        new = space.unseen(points)
        keep = [int(np.abs(points - p).max(axis=1).argmin()) for p in new]
        if keep:
            space = space.with_(new, margins[keep])
        if number < N_AGAIN:
            region = partial(space.level, allowed=allowed)
            body = polished(region, cloud, region(cloud), body) or body
    return space, None, np.zeros((0, body.d))
