"""The largest axis-aligned box inside a region, in the unit cube of the settings.

Volume is the product of widths relative to the bounds, so no unit of a setting weighs more than another, unless weights
are given. The region is where a `level` function is not negative. From the starts of `box_starts` a continuous polish
follows: maximize the weighted sum of log widths such that the level at check positions (corners, faces, the worst
points met) stays at or above zero, and the box holds the point that it must hold.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from physics_twin.arrays import Array
from physics_twin.envelope.ranges.aim import Aim
from physics_twin.envelope.ranges.box_starts import Ends, best_rectangle, feasible_seeds, grown_boxes, longest_run
from physics_twin.envelope.region.probing import compass, relative_cloud

Level = Callable[[Array], Array]
"""(n, d) points of the unit cube -> (n,) signed levels, >= 0 inside the region."""

N_LINE, N_GRID = 1001, 101
"""Grid nodes for one setting and for each of two; the polish takes care of what lies between them."""
MIN_WIDTH = 1e-6
"""Relative width below which a box is a point."""
THIN = 0.035
START_WIDTH = 0.02
"""Least width from which the polish starts: a box of one grid node has no volume to improve on."""
SLSQP_TOLERANCE = 1e-8
N_ROUNDS = (4, 6)
"""Polishes, each with the points that broke the one before, for up to two settings and for more."""
N_CUTS, GAP = 8, 1e-3
N_LOWEST, TOLERATED = 2, 1e-4
"""Starts of the directed search for the lowest level in a box, and how far below zero, relative to the largest, counts:
the edge itself is touched at many points."""
PUSH, N_SIDE = 0.011, 101
"""Farthest that a side is pushed out (the grid rectangle stops less than a cell before the edge), and points on it."""
ROUNDING = 1e-9
"""Levels this far below zero, relative to the largest, are the optimizer's rounding; the model has the last word."""


@dataclass(frozen=True)
class Box:
    """An axis-aligned box in the unit cube."""

    low: Array
    high: Array

    @property
    def widths(self) -> Array:
        """(d,)"""
        return self.high - self.low

    @property
    def log_volume(self) -> float:
        """Sum of log widths; -inf for a box without volume."""
        with np.errstate(divide="ignore"):
            return float(np.log(np.maximum(self.widths, 0.0)).sum())

    def at(self, positions: Array) -> Array:
        """Points (n, d) of the cube from relative positions (n, d) in the box."""
        return self.low + positions * self.widths

    def position(self, points: Array) -> Array:
        """Relative positions of points; 0.5 along an axis without width."""
        widths = self.widths
        safe = np.where(widths > 0.0, widths, 1.0)
        return np.where(widths > 0.0, (points - self.low) / safe, 0.5)

    def contains(self, points: Array, slack: float = 0.0) -> NDArray[np.bool_]:
        """(n,) which points lie inside."""
        inside: NDArray[np.bool_] = ((points >= self.low - slack) & (points <= self.high + slack)).all(axis=1)
        return inside

    def toward(self, point: Array, share: float) -> "Box":
        """The box shrunk about `point` to `share` of its widths."""
        return Box(point + share * (self.low - point), point + share * (self.high - point))


def corners(d: int) -> Array:
    """(2**d, d) relative positions of the corners."""
    return np.array(list(itertools.product((0.0, 1.0), repeat=d)))


def check_positions(d: int) -> Array:
    """Relative positions (n, d) at which a box is checked first: corners, then edges and inside."""
    if d <= 2:
        line = np.linspace(0.0, 1.0, 5)
        grid = np.array(list(itertools.product(line, repeat=d)))
    elif d == 3:
        grid = np.array(list(itertools.product((0.0, 0.5, 1.0), repeat=d)))
    else:
        faces = np.array([np.where(np.arange(d) == i, side, 0.5) for i in range(d) for side in (0.0, 1.0)])
        grid = np.concatenate([corners(d), faces, np.full((1, d), 0.5)])
    is_corner = np.isin(grid, (0.0, 1.0)).all(axis=1)
    return np.concatenate([grid[is_corner], grid[~is_corner]])


def largest_box(level: Level, cloud: Array, levels: Array, extra: Array, aim: Aim | None = None) -> Box | None:
    """The best box found, or None when no point of the cloud (or grid) is feasible, or not what the box must hold.

    level: the region. cloud: (n, d) points of the unit cube and levels: (n,) the level at them (a full grid in
    `grid_points` order for d <= 2). extra: (m, d) points of the cube that are checked as well when they fall inside.
    aim: which box is the best one; that of the largest volume when left out.
    """
    d = cloud.shape[1]
    aim = Aim.volume(d) if aim is None else aim
    held, held_levels = cloud, levels
    if aim.held.any():
        held = aim.around[None] if aim.held.all() else aim.moved(cloud)
        held_levels = level(held)
    feasible = levels >= 0.0
    if held_levels.max() < 0.0 or not (feasible.any() or aim.held.any()):
        return None
    deepest = held[int(np.argmax(held_levels))]
    found: list[Ends | None]
    if d == 1:
        found = [longest_run(cloud[:, 0], feasible, aim)]
    elif d == 2:
        found = [best_rectangle(cloud, feasible, aim)]
        if (
            found[0] is None or (found[0][1] - found[0][0]).min() < THIN
        ):  # as thin as the grid: the deepest point as well
            found.append((deepest, deepest))
    else:
        found = [*grown_boxes(cloud, levels, feasible_seeds(held, held_levels), aim)]
    starts = [Box(*ends) for ends in found if ends is not None] or [Box(deepest, deepest)]
    known = (np.concatenate([cloud, extra]), np.concatenate([levels, level(extra) if len(extra) else np.zeros(0)]))
    best: Box | None = None
    for start in starts:
        box = _polished(level, start, *known, aim)
        if box is not None and (best is None or aim.worth(box.widths) > aim.worth(best.widths)):
            best = box
    return best


def grid_points(d: int) -> Array:
    """The grid (n, d) on which one or two settings are searched."""
    if d == 1:
        return np.linspace(0.0, 1.0, N_LINE)[:, None]
    line = np.linspace(0.0, 1.0, N_GRID)
    return np.stack([a.ravel() for a in np.meshgrid(line, line, indexing="ij")], axis=1)


def _polished(level: Level, start: Box, points: Array, levels: Array, aim: Aim) -> Box | None:
    """The start box, pushed out (or in) until its check positions touch the region's edge.

    points: (n, d) with known levels (n,), which the box must not hold where they are negative.
    """
    d = start.low.size
    positions = check_positions(d)
    box = start
    for _ in range(N_ROUNDS[int(d > 2)]):
        box = _maximized(level, box, positions, aim)
        inside = box.contains(points)
        broken = points[inside][np.argsort(levels[inside], kind="stable")[:3]]
        bad = np.clip(box.position(broken), 0.0, 1.0) if inside.any() and levels[inside].min() < 0.0 else broken[:0]
        if d > 2:  # a cloud of some thousand points sees little of a box in more settings
            bad = np.concatenate([bad, _lowest(level, box)])
        if len(bad) == 0:
            break
        positions = np.concatenate([positions, bad])
    # The polish may have stopped short of feasible (an island that its check positions do not see); the start then
    # stands, pushed out to the edge side by side. Its own corners may lie where the points do not show the region.
    polished = _freed(level, _pulled_in(level, box, positions, points, levels, aim), aim)
    plain = _freed(level, _pulled_in(level, start, positions, points, levels, aim), aim)
    if plain is not None and (polished is None or aim.worth(polished.widths) < aim.worth(plain.widths) + ROUNDING):
        plain = _pushed_out(level, plain, points[levels < 0.0])
    return max((b for b in (polished, plain) if b is not None), key=lambda b: aim.worth(b.widths), default=None)


def _freed(level: Level, box: Box | None, aim: Aim) -> Box | None:
    """The box cut back until a directed search finds nothing infeasible in it; for more than two settings."""
    for _ in range(N_CUTS):
        if box is None or box.low.size <= 2:
            return box
        lowest = box.at(_lowest(level, box))
        if len(lowest) == 0:
            return box
        points = box.at(relative_cloud(box.low.size))
        bad = np.concatenate([points[level(points) < 0.0], lowest])
        seeds = aim.moved(points)
        depths = level(seeds)
        if depths.max() < 0.0:
            return None
        box = _cut(box, seeds[int(np.argmax(depths))], bad, aim)
    return None


def _cut(box: Box, seed: Array, bad: Array, aim: Aim) -> Box:
    """The box about `seed` (d,) with one axis cut back so that all of the points `bad` (n, d) lie outside: a wall."""
    below = np.where(bad < seed, bad + GAP, box.low).max(axis=0)
    above = np.where(bad > seed, bad - GAP, box.high).min(axis=0)
    low, high = np.minimum(np.maximum(below, box.low), seed), np.maximum(np.minimum(above, box.high), seed)
    kept = (high - low) / np.maximum(box.widths, MIN_WIDTH)
    axis = np.arange(seed.size) == int(np.argmax(kept**aim.weights))
    return Box(np.where(axis, low, box.low), np.where(axis, high, box.high))


def _lowest(level: Level, box: Box) -> Array:
    """Relative positions (n, d) inside the box where the level is below zero: the lowest found by a directed search."""
    cloud = relative_cloud(box.low.size)
    levels = level(box.at(cloud))
    lowest = cloud[np.argsort(levels, kind="stable")[:N_LOWEST]]
    found = np.array([compass(lambda t: -level(box.at(t)), start, step=0.1, smallest=0.01) for start in lowest])
    depth = level(box.at(found))
    return found[depth < -TOLERATED * float(np.abs(levels).max())]


def _pushed_out(level: Level, box: Box, bad: Array) -> Box:
    """The box with each side moved out in turn, by at most PUSH, as far as the side itself stays feasible."""
    d = box.low.size
    line = np.linspace(0.0, 1.0, N_SIDE) if d <= 2 else np.array([0.0, 0.5, 1.0])
    across = np.array(list(itertools.product(line, repeat=d - 1))).reshape(line.size ** (d - 1), d - 1)
    for axis, up in itertools.product(range(d), (False, True)):
        side = np.insert(across, axis, float(up), axis=1)
        good, too_far = 0.0, 2.0 * PUSH
        for _ in range(20):
            middle = 0.5 * (good + too_far)
            larger = _side_moved(box, axis, up, middle)
            met = bool((level(larger.at(side)) >= 0.0).all()) and not larger.contains(bad).any()
            good, too_far = (middle, too_far) if met else (good, middle)
        box = _side_moved(box, axis, up, good)
    return box


def _side_moved(box: Box, axis: int, up: bool, by: float) -> Box:
    step = by * (np.arange(box.low.size) == axis)
    return Box(box.low, np.minimum(box.high + step, 1.0)) if up else Box(np.maximum(box.low - step, 0.0), box.high)


def _maximized(level: Level, start: Box, positions: Array, aim: Aim) -> Box:
    """Best box that is feasible at relative `positions`, from `start`, which need not be feasible.

    Variables are the middle and the log widths: the objective is then linear and thin boxes are as well scaled as
    wide ones.
    """
    d = start.low.size
    half = positions - 0.5
    widths = np.clip(start.widths, START_WIDTH, 1.0)
    middle = np.clip(0.5 * (start.low + start.high), 0.5 * widths, 1.0 - 0.5 * widths)
    x0 = np.concatenate([middle, np.log(widths)])
    scale = max(1e-12, float(np.abs(level(middle + half * widths)).max()))

    def points(x: Array) -> Array:
        found: Array = x[..., None, :d] + half * np.exp(x[..., None, d:])
        return found

    def kept(x: Array) -> Array:
        return level(points(x)) / scale

    def kept_slope(x: Array) -> Array:
        # All differences in one call: the surrogate is cheapest in large pieces.
        step = 1e-6
        moved = np.concatenate([x[None], x + step * np.eye(2 * d)])
        values = level(points(moved).reshape(-1, d)).reshape(2 * d + 1, -1)
        jacobian: Array = (values[1:] - values[0]).T / (step * scale)
        return jacobian

    held = aim.held

    def room(x: Array) -> Array:
        w = 0.5 * np.exp(x[d:])
        over = (x[:d] - aim.around)[held]
        return np.concatenate([x[:d] - w, 1.0 - x[:d] - w, w[held] - over, w[held] + over])

    def room_slope(x: Array) -> Array:
        w, one = np.diag(0.5 * np.exp(x[d:])), np.eye(d)
        return np.block([[one, -w], [-one, -w], [-one[held], w[held]], [one[held], w[held]]])

    constraints: Any = [  # the stubs know neither dicts of functions on arrays nor their slopes
        {"type": "ineq", "fun": kept, "jac": kept_slope},
        {"type": "ineq", "fun": room, "jac": room_slope},
    ]
    gradient = np.concatenate([np.zeros(d), -aim.weights])
    objective: Any = lambda x: (float(gradient @ x), gradient)  # noqa: E731  # the same goes for value and slope
    result = minimize(
        objective,
        x0,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * d + [(np.log(MIN_WIDTH), 0.0)] * d,
        constraints=constraints,
        options={"maxiter": 40, "ftol": SLSQP_TOLERANCE},
    )
    if not np.isfinite(result.x).all():
        return start
    w = 0.5 * np.exp(result.x[d:])
    low, high = np.fmin(result.x[:d] - w, aim.around), np.fmax(result.x[:d] + w, aim.around)
    return Box(np.where(low < ROUNDING, 0.0, low), np.where(high > 1.0 - ROUNDING, 1.0, high))


def _pulled_in(level: Level, box: Box, positions: Array, points: Array, levels: Array, aim: Aim) -> Box | None:
    """The box shrunk about its deepest point until it is feasible at `positions` and at the points that it holds."""
    held = box.contains(points)
    checked, found = box.at(positions), level(box.at(positions))
    everything, all_levels = np.concatenate([checked, points[held]]), np.concatenate([found, levels[held]])
    least = -ROUNDING * float(np.abs(all_levels).max())
    if all_levels.min() >= least:
        return box
    anchors, depths = everything, all_levels
    if aim.held.any():
        anchors = aim.moved(everything)
        depths = level(anchors)
    if depths.max() < 0.0:
        return None
    anchor = anchors[int(np.argmax(depths))]
    bad = everything[all_levels < least]

    def met(share: float) -> bool:
        smaller = box.toward(anchor, share)
        return not smaller.contains(bad).any() and bool((level(smaller.at(positions)) >= least).all())

    good, too_large = 0.0, 1.0
    for _ in range(30):
        middle = 0.5 * (good + too_large)
        good, too_large = (middle, too_large) if met(middle) else (good, middle)
    return box.toward(anchor, good)
