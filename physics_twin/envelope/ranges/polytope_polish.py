"""The polish of a convex set: the largest volume near a start that keeps to the region.

The volume is maximized such that the level at the vertices, at positions on the sides, and at the infeasible points met
inside stays at or above zero; which sides meet in a vertex is fixed during one polish and looked up anew for the next.
A slanted side is {u: y . (u - c) <= 1} about an inner point c: d unknowns and no scale left over. The volume's slope is
the area of a side times the way of its centroid.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope.ranges.box import ROUNDING, Level
from physics_twin.envelope.ranges.convex_set import ConvexSet

N_ROUNDS = 10
"""Polishes of one start, each with the vertices and the infeasible points that the one before left."""
REACH, TURN = 0.15, 0.5
"""Farthest that a range end moves in one polish, and farthest that a slanted side does relative to its size."""
CUT = 0.02
"""Depth of a first cut at a vertex, relative to the set: enough for the new vertices to be apart."""
FLAT = 0.05
"""Depth of an infeasible point below the nearest side, relative to CUT, from which on it counts as inside."""
N_OBSTACLES = 12
"""Infeasible points met inside that one polish keeps out, the worst first."""
N_EDGE, N_FINE = 8, 128
"""Pieces of each edge of a polygon between positions: those that one polish keeps, and those that are looked at."""
LOG2_INSIDE, LOG2_ON_SIDE, MANY = 10, 6, 24
"""Points inside a set and on each of its sides (to the power of two), and vertices of a side that span them."""
SHARP = 2.0
"""Weights of vertices are drawn to this power of exponential ones: above one, so that corners get their share."""
GAINED = 1e-4
"""Gain of log volume in one polish below which the polish ends."""
N_STEPS = (40, 20)
"""Steps of the optimizer in one polish, for up to three settings and for more."""


def slopes(level: Level, points: Array) -> Array:
    """Differences (n, d) of the level, all in one call."""
    n, d = points.shape
    step = 1e-6
    moved = np.concatenate([points[None], points[None] + step * np.eye(d)[:, None]])
    values = level(moved.reshape(-1, d)).reshape(d + 1, n)
    found: Array = (values[1:] - values[0]).T / step
    return found


def polished(level: Level, cloud: Array, levels: Array, start: ConvexSet) -> ConvexSet | None:
    """The start, which need not be feasible, moved to the largest volume near it that is; None where none is."""
    body, best = start, pulled_in(level, cloud, levels, start)
    reach = 1.0
    for _ in range(N_ROUNDS):
        if body.center is None:
            break
        moved = _maximized(level, body, _obstacles(level, cloud, levels, body), reach).trimmed()
        found = pulled_in(level, cloud, levels, moved)
        volume = -np.inf if best is None or best.volume == 0.0 else math.log(best.volume)
        if found is None or found.volume <= 0.0 or math.log(found.volume) < volume + GAINED:
            if reach < 0.5:
                break
            # Too far for what was checked: from the best one again, in a smaller step.
            reach, body = 0.3 * reach, body if best is None else best
            continue
        body, best = moved if moved.center is not None else found, found
    return None if best is None else best.trimmed()


def _obstacles(level: Level, cloud: Array, levels: Array, body: ConvexSet) -> Array:
    """The worst infeasible points inside, apart from one another."""
    inside = body.contains(cloud) & (levels < 0.0)
    own = inner_points(body)
    own = own[body.room(own) > CUT * FLAT] if len(own) else own  # what lies on a side is the polish's own business
    points, found = np.concatenate([cloud[inside], own]), np.concatenate([levels[inside], level(own)])
    points = points[found < 0.0][np.argsort(found[found < 0.0], kind="stable")]
    kept: list[Array] = []
    for point in points:
        if all(np.abs(point - other).max() > CUT for other in kept):
            kept.append(point)
        if len(kept) == N_OBSTACLES:
            break
    return np.array(kept).reshape(-1, body.d)


def positions(body: ConvexSet) -> Array:
    """Weights (n, n_vertices) of the points that a polish keeps inside: vertices, then a few on each side."""
    n = len(body.vertices)
    rows = [np.eye(n)]
    for side in body.meeting.T:
        on = np.flatnonzero(side)
        if len(on) < body.d:
            continue
        if body.d == 2:
            rows.append(_between(body, on, N_EDGE))
        else:
            rows.append(side[None] / len(on))
        if body.d == 3:
            rows.append(0.5 * (np.eye(n)[on] + side / len(on)))
    return np.concatenate(rows)


def fine_positions(body: ConvexSet) -> list[Array]:
    """Weights (n, n_vertices) of many points on each side."""
    n = len(body.vertices)
    sides = [np.flatnonzero(side) for side in body.meeting.T if side.sum() >= body.d]
    return [_between(body, on, N_FINE) if body.d == 2 else _spread(on, n) for on in sides]


def _between(body: ConvexSet, on: NDArray[np.intp], pieces: int) -> Array:
    """Weights of points between the outermost of the vertices `on`; a third one lies between where two sides agree."""
    t = np.arange(1, pieces) / pieces
    weights = np.zeros((pieces - 1, len(body.vertices)))
    along = body.vertices[on] - body.vertices[on[0]]
    far = along[int(np.argmax((along**2).sum(axis=1)))]
    order = np.argsort(along @ far, kind="stable")
    ends = on[order[[0, -1]]]
    weights[:, ends[0]], weights[:, ends[1]] = 1.0 - t, t
    return weights


def _spread(on: NDArray[np.intp], n: int) -> Array:
    """Weights of points spread over the hull of the vertices `on`: over all there are, and near their corners."""
    if len(on) > MANY:  # of so many the mean is all that one would see
        on = on[np.linspace(0, len(on) - 1, MANY).astype(int)]
    uniform = qmc.Sobol(len(on), scramble=False).random_base2(LOG2_ON_SIDE)[1:]
    drawn = (-np.log(np.clip(uniform, 1e-9, 1.0 - 1e-9))) ** SHARP
    weights = np.zeros((len(drawn), n))
    weights[:, on] = drawn / drawn.sum(axis=1, keepdims=True)
    return weights


@dataclass(frozen=True, eq=False)
class _Sides:
    """A convex set as unknowns of the polish: highs, lows, and one vector for each slanted side."""

    center: Array
    d: int

    def unknowns(self, body: ConvexSet) -> Array:
        about = body.offsets - body.normals @ self.center
        return np.concatenate([body.high, body.low, (body.normals / about[:, None]).ravel()])

    def rows(self, x: Array) -> tuple[Array, Array]:
        """Sides as matrix @ (u - center) <= ends, slanted ones with an end of one."""
        d, one = self.d, np.eye(self.d)
        y = x[2 * d :].reshape(-1, d)
        ends = np.concatenate([x[:d] - self.center, self.center - x[d : 2 * d], np.ones(len(y))])
        return np.concatenate([one, -one, y]), ends

    def body(self, x: Array) -> ConvexSet:
        d = self.d
        y = x[2 * d :].reshape(-1, d)
        length = np.maximum(np.linalg.norm(y, axis=1), 1e-12)
        normals = y / length[:, None]
        return ConvexSet(x[d : 2 * d], x[:d], normals, 1.0 / length + normals @ self.center, self.center)

    def vertices(self, x: Array, corner: NDArray[np.int64]) -> Array:
        """Where the sides `corner` (n_vertices, d) meet, (n_vertices, d)."""
        matrix, ends = self.rows(x)
        try:
            found: Array = self.center + np.linalg.solve(matrix[corner], ends[corner][:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:  # two sides have become parallel
            return np.tile(self.center, (len(corner), 1))
        return np.clip(found, -1.0, 2.0)

    def moves(self, x: Array, corner: NDArray[np.int64]) -> Array:
        """How the vertices move with the unknowns (n_vertices, d, n_unknowns)."""
        at = self.vertices(x, corner)
        matrix, _ = self.rows(x)
        found = np.zeros((len(corner), self.d, len(x)))
        for v, which in enumerate(corner):
            right = np.zeros((self.d, len(x)))
            for row, side in enumerate(which):
                where, change = self.slope(int(side), at[v])
                right[row, where] = change
            found[v] = np.linalg.lstsq(matrix[which], right, rcond=None)[0]
        return found

    def slope(self, side: int, at: Array) -> tuple[slice, Array]:
        """Which unknowns move a side, and how its end minus matrix @ (at - center) changes with them."""
        d = self.d
        if side < d:
            return slice(side, side + 1), np.ones(1)
        if side < 2 * d:
            return slice(side, side + 1), -np.ones(1)
        start = 2 * d + (side - 2 * d) * d
        return slice(start, start + d), self.center - at


def _maximized(level: Level, start: ConvexSet, obstacles: Array, reach: float) -> ConvexSet:
    """The largest set near `start` whose vertices and side points keep the level, without the obstacles."""
    assert start.center is not None
    center: Array = start.center
    sides, d = _Sides(center, start.d), start.d
    corner = start.corner_sides
    worst = [side[[int(np.argmin(level(side @ start.vertices)))]] for side in fine_positions(start)]
    weights = np.concatenate([positions(start), *worst])
    whole = corner[:, 0] >= 0
    weights, corner = weights[:, whole][np.abs(weights[:, ~whole]).sum(axis=1) == 0.0], corner[whole]
    x0 = sides.unknowns(start)
    matrix, ends = sides.rows(x0)
    # An obstacle is kept out by the side that is nearest as a share of its way to the middle.
    keeper = ((ends - (obstacles - center) @ matrix.T) / np.maximum(ends, 1e-12)).argmin(axis=1)
    scale = max(1e-12, float(np.abs(level(start.vertices)).max()), float(np.abs(level(center[None]))[0]))

    def kept(x: Array) -> Array:
        matrix, ends = sides.rows(x)
        out = (matrix[keeper] * (obstacles - center)).sum(axis=1) - ends[keeper]
        return np.concatenate([level(weights @ sides.vertices(x, corner)) / scale, out])

    def kept_slope(x: Array) -> Array:
        downhill = slopes(level, weights @ sides.vertices(x, corner)) / scale
        inner = np.einsum("cd,cv,vdx->cx", downhill, weights, sides.moves(x, corner), optimize=True)
        out = np.zeros((len(obstacles), len(x)))
        for row, (point, side) in enumerate(zip(obstacles, keeper, strict=True)):
            where, change = sides.slope(int(side), point)
            out[row, where] = -change
        return np.concatenate([inner, out])

    constraint: Any = {"type": "ineq", "fun": kept, "jac": kept_slope}  # the stubs know no dicts with slopes
    result = minimize(
        _volume_cost(sides),
        x0,
        jac=True,
        method="SLSQP",
        bounds=_bounds(x0, d, reach),
        constraints=constraint,
        options={"maxiter": N_STEPS[0] if d <= 3 else N_STEPS[1], "ftol": 1e-7},
    )
    return sides.body(result.x) if np.isfinite(result.x).all() else start


def _volume_cost(sides: _Sides) -> Any:
    def cost(x: Array) -> tuple[float, Array]:
        body, gradient = sides.body(x), np.zeros(len(x))
        volume = body.volume
        if volume < 1e-12:
            return 30.0, gradient
        areas, centroids = body.areas
        matrix, _ = sides.rows(x)
        length = np.linalg.norm(matrix, axis=1)
        for side in np.flatnonzero(areas):
            where, change = sides.slope(int(side), centroids[side])
            gradient[where] -= areas[side] / (volume * length[side]) * change
        return -math.log(volume), gradient

    return cost


def _bounds(x0: Array, d: int, reach: float) -> list[tuple[float, float]]:
    ends = [(max(0.0, x - reach * REACH), min(1.0, x + reach * REACH)) for x in x0[: 2 * d]]
    y = x0[2 * d :].reshape(-1, d)
    turn = np.repeat(reach * TURN * np.linalg.norm(y, axis=1), d)
    return ends + [(float(x - t), float(x + t)) for x, t in zip(y.ravel(), turn, strict=True)]


def inner_points(body: ConvexSet) -> Array:
    """Points (n, d) that cover a set whatever its size: vertices, side points, and Sobol points inside."""
    if len(body.vertices) == 0:
        return np.zeros((0, body.d))
    low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
    sobol = low + qmc.Sobol(body.d, scramble=False).random_base2(LOG2_INSIDE) * (high - low)
    on_sides = np.concatenate([positions(body), *fine_positions(body)]) @ body.vertices
    return np.concatenate([on_sides, sobol[body.contains(sobol)]])


def pulled_in(level: Level, cloud: Array, levels: Array, body: ConvexSet) -> ConvexSet | None:
    """The set shrunk about its deepest point until all that is checked on and in it is feasible; None without room."""
    points = inner_points(body)
    if len(points) == 0:
        return None
    held = body.contains(cloud)
    everything = np.concatenate([points, cloud[held]])
    found = np.concatenate([level(points), levels[held]])
    least = -ROUNDING * float(np.abs(found).max())
    if found.min() >= least:
        return body
    if found.max() <= 0.0:
        return None
    anchor = everything[int(np.argmax(found))]
    bad = everything[found < least]
    relative = points - anchor  # the checked points shrink with the set

    def met(share: float) -> bool:
        smaller = body.toward(anchor, share)
        return not smaller.contains(bad).any() and bool((level(anchor + share * relative) >= least).all())

    good, too_large = 0.0, 1.0
    for _ in range(25):
        middle = 0.5 * (good + too_large)
        good, too_large = (middle, too_large) if met(middle) else (good, middle)
    shrunk = body.toward(anchor, good)
    return shrunk if shrunk.center is not None else None
