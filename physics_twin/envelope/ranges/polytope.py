"""The largest convex polytope inside a region of two to five settings, in the unit cube.

Starts come from two sides: convex sets inflated between infeasible points of a cloud, and the largest box whose binding
corners are cut off one after the other, which leaves room for its sides to move out. All of them are polished.
"""

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.ranges.box import Box, Level
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.ranges.inflation import inflated
from physics_twin.envelope.ranges.polytope_polish import CUT, GAINED, polished, pulled_in, slopes

N_SEEDS = (6, 4, 3, 2)
"""Inflated starts for 2, 3, 4, 5 settings; the polish of a start grows with the cube of its sides."""
N_POLISHED = (3, 2, 2, 2)
"""Of those, the largest that are polished."""
BINDING = 0.02
"""Level at a vertex, relative to the one in the middle, below which the region's edge is met there."""
NEGLIGIBLE = 1e-5
"""Share of the volume that a side must be worth."""


def largest_polytope(level: Level, cloud: Array, levels: Array, box: Box, n_sides: int) -> ConvexSet | None:
    """The largest convex set found in the region, or None where there is none with room.

    level: the region, >= 0 inside. cloud: (n, d) points of the unit cube with their levels (n,). box: the largest box
    in the region, which the set is never smaller than. n_sides: most slanted sides, beside the ranges of the settings.
    """
    d = cloud.shape[1]
    best = grown_from_box(level, cloud, levels, box, n_sides)
    for start in _starts(cloud, levels, n_sides):
        found = polished(level, cloud, levels, start)
        if found is not None and (best is None or found.volume > best.volume):
            spare = n_sides - len(found.normals)
            best = _with_cuts(level, cloud, levels, found, spare) if spare > 0 and d <= 3 else found
    return None if best is None else _plain(level, cloud, levels, best)


def _plain(level: Level, cloud: Array, levels: Array, body: ConvexSet) -> ConvexSet:
    """The set without slanted sides that it can do without: each one costs vertices, and those cost confidence."""
    side = 0
    while side < len(body.normals):
        keep = np.arange(len(body.normals)) != side
        without = ConvexSet(body.low, body.high, body.normals[keep], body.offsets[keep])
        # Where the range ends held the set before, they may have to be found anew.
        found = pulled_in(level, cloud, levels, without)
        if found is not None and found.volume >= body.volume * (1.0 - NEGLIGIBLE):
            body = found.trimmed()
        else:
            side += 1
    return body


def grown_from_box(level: Level, cloud: Array, levels: Array, box: Box, n_sides: int) -> ConvexSet | None:
    """The box with its binding corners cut and its sides moved out, as long as slanted sides are left."""
    start = pulled_in(level, cloud, levels, ConvexSet.of_box(box))
    return None if start is None else _with_cuts(level, cloud, levels, start, n_sides)


def _with_cuts(level: Level, cloud: Array, levels: Array, body: ConvexSet, spare: int) -> ConvexSet:
    while spare > 0:
        cut = _cut(level, cloud[levels >= 0.0], body, spare)
        if cut is None:
            break
        found = polished(level, cloud, levels, cut)
        if found is None or found.volume <= body.volume * (1.0 + GAINED):
            break
        spare -= max(1, len(found.normals) - len(body.normals))
        body = found
    return body


def _starts(cloud: Array, levels: Array, n_sides: int) -> list[ConvexSet]:
    """The largest of the sets inflated around deep feasible points that are apart from one another."""
    d = cloud.shape[1]
    feasible, obstacles = cloud[levels >= 0.0], cloud[levels < 0.0]
    if len(feasible) == 0:
        return []
    depth = levels[levels >= 0.0].copy()
    n_seeds, n_polished = N_SEEDS[d - 2], N_POLISHED[d - 2]
    found: list[ConvexSet] = []
    for _ in range(n_seeds):
        seed = feasible[int(np.argmax(depth))]
        body = inflated(seed, obstacles, n_sides)
        if body is not None:
            found.append(body)
        # The next seed is deep and outside of what was found, so that each lobe of a region has its chance.
        near = np.abs(feasible - seed).max(axis=1) < 0.1 if body is None else body.contains(feasible)
        depth[near] = -np.inf
        if not np.isfinite(depth).any():
            break
    return sorted(found, key=lambda body: -body.volume)[:n_polished]


def _cut(level: Level, feasible: Array, body: ConvexSet, spare: int) -> ConvexSet | None:
    """The set with new sides at binding vertices, those first beyond which most of the region is left out."""
    vertices = body.vertices
    if len(vertices) == 0:
        return None
    inside = np.isin(body.corner_sides, np.flatnonzero(_at_bound(body))).all(axis=1)
    found = level(vertices)
    scale = max(float(np.abs(level(body.center[None]))[0]) if body.center is not None else 0.0, 1e-300)
    candidates = np.flatnonzero((found < BINDING * scale) & ~inside & (body.corner_sides[:, 0] >= 0))
    if len(candidates) == 0:
        return None
    outside = feasible[~body.contains(feasible)]
    nearest = np.abs(outside[:, None] - vertices[None, candidates]).max(axis=2).argmin(axis=1)
    left_out = np.bincount(nearest, minlength=len(candidates))
    ranked = candidates[np.argsort(-left_out, kind="stable")]
    chosen = np.array(_apart(body, ranked)[:spare])
    found_slopes = slopes(level, vertices[chosen])
    normals, offsets = [body.normals], [body.offsets]
    for vertex, sides, slope in zip(vertices[chosen], body.corner_sides[chosen], found_slopes, strict=True):
        matrix = body.matrix[sides]
        normal = matrix.mean(axis=0)
        weights = np.linalg.solve(matrix.T, -slope)
        if weights.min() > 0.1 * weights.max() > 0.0:  # the limit's own slope, where it leaves all sides some room
            normal = -slope
        normal = normal / np.linalg.norm(normal)
        normals.append(normal[None])
        offsets.append(np.array([normal @ vertex - CUT * float(np.ptp(vertices, axis=0).min())]))
    return ConvexSet(body.low, body.high, np.concatenate(normals), np.concatenate(offsets))


def _apart(body: ConvexSet, ranked: NDArray[np.int64]) -> list[int]:
    """The vertices in this order, but first those that share no edge with one before: neighbors gain from one cut."""
    first: list[int] = []
    later: list[int] = []
    for vertex in ranked:
        shared = [int((body.meeting[vertex] & body.meeting[other]).sum()) for other in first]
        (later if max(shared, default=0) >= body.d - 1 else first).append(int(vertex))
    return first + later


def _at_bound(body: ConvexSet) -> NDArray[np.bool_]:
    """(n_sides,) which sides are bounds of the cube."""
    return np.concatenate([body.high >= 1.0 - 1e-9, body.low <= 1e-9, np.zeros(len(body.normals), dtype=bool)])
