"""The largest axis-aligned box inside a region, in the unit cube of the settings.

Volume is the product of widths relative to the bounds, so no unit of a setting weighs more than another. The region
is where a `level` function is not negative. With one or two settings the largest rectangle of feasible grid nodes is
found exactly; with more, boxes grow from feasible seeds between infeasible points of a cloud. A continuous polish
follows: maximize the sum of log widths such that the level at check positions (corners, faces, the worst points met)
stays at or above zero.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from physics_twin.arrays import Array

Level = Callable[[Array], Array]
"""(n, d) points of the unit cube -> (n,) signed levels, >= 0 inside the region."""

N_LINE, N_GRID = 1001, 101
"""Grid nodes for one setting and for each of two; the polish takes care of what lies between them."""
N_SEEDS = 48
MIN_WIDTH = 1e-6
"""Relative width below which a box is a point."""
THIN = 0.035
START_WIDTH = 0.02
"""Least width from which the polish starts: a box of one grid node has no volume to improve on."""
SLSQP_TOLERANCE = 1e-8
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


def largest_box(level: Level, cloud: Array, levels: Array, extra: Array) -> Box | None:
    """The largest box found, or None when no point of the cloud (or grid) is feasible.

    level: the region. cloud: (n, d) points of the unit cube and levels: (n,) the level at them (a full grid in
    `grid_points` order for d <= 2). extra: (m, d) points of the cube that are checked as well when they fall inside.
    """
    d = cloud.shape[1]
    feasible = levels >= 0.0
    if not feasible.any():
        return None
    if d == 1:
        starts = [_longest_run(cloud[:, 0], feasible)]
    elif d == 2:
        starts = [_largest_rectangle(cloud, feasible)]
        if starts[0].widths.min() < THIN:  # a region as thin as the grid: try its deepest point as well
            deepest = cloud[int(np.argmax(levels))]
            starts.append(Box(deepest, deepest))
    else:
        starts = _grown_boxes(cloud, levels)
    known = (np.concatenate([cloud, extra]), np.concatenate([levels, level(extra) if len(extra) else np.zeros(0)]))
    best: Box | None = None
    for start in starts:
        box = _polished(level, start, *known)
        if box is not None and (best is None or box.log_volume > best.log_volume):
            best = box
    return best


def grid_points(d: int) -> Array:
    """The grid (n, d) on which one or two settings are searched."""
    if d == 1:
        return np.linspace(0.0, 1.0, N_LINE)[:, None]
    line = np.linspace(0.0, 1.0, N_GRID)
    return np.stack([a.ravel() for a in np.meshgrid(line, line, indexing="ij")], axis=1)


def _longest_run(x: Array, feasible: NDArray[np.bool_]) -> Box:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], feasible, [False]]).astype(int)))
    starts, stops = edges[::2], edges[1::2] - 1
    longest = int(np.argmax(x[stops] - x[starts]))
    return Box(x[starts[longest]][None], x[stops[longest]][None])


def _largest_rectangle(grid: Array, feasible: NDArray[np.bool_]) -> Box:
    """Largest rectangle of feasible nodes: for each first row, the columns feasible down to each last row."""
    n = round(len(grid) ** 0.5)
    open_ = feasible.reshape(n, n)
    best, where = -1.0, (0, 0, 0, 0)
    for first in range(n):
        columns = np.logical_and.accumulate(open_[first:], axis=0)
        # run[i, j]: number of feasible columns in a row that end at j
        count = np.cumsum(columns, axis=1)
        reset = np.maximum.accumulate(np.where(columns, 0, count), axis=1)
        run = count - reset
        longest = run.max(axis=1)
        # A rectangle one node wide has no area; it still beats nothing.
        area = (np.arange(len(longest)) + 1e-3) * np.maximum(longest - 1 + 1e-3, 0.0)
        area[longest == 0] = -1.0
        last = int(np.argmax(area))
        if area[last] > best:
            end = int(np.argmax(run[last]))
            best, where = float(area[last]), (first, first + last, end - int(longest[last]) + 1, end)
    line = grid[:n, 1]
    return Box(np.array([line[where[0]], line[where[2]]]), np.array([line[where[1]], line[where[3]]]))


def _grown_boxes(cloud: Array, levels: Array) -> list[Box]:
    """A few large boxes without infeasible cloud points, each around a feasible seed.

    Infeasible points are met in order of their distance from the seed; each one still inside is cut off on the side
    that costs the least volume.
    """
    feasible = np.flatnonzero(levels >= 0.0)
    bad = cloud[levels < 0.0]
    # Seeds: the deepest points, and every k-th of the rest, so that each lobe of a region has a chance.
    ranked = feasible[np.argsort(-levels[feasible], kind="stable")]
    spread = ranked[:: max(1, len(ranked) // (N_SEEDS - N_SEEDS // 4))]
    seeds = list(dict.fromkeys([*ranked[: N_SEEDS // 4].tolist(), *spread.tolist()]))[:N_SEEDS]
    boxes = [_grown(cloud[seed], bad) for seed in seeds]
    boxes.sort(key=lambda box: -box.log_volume)
    kept: list[Box] = []
    for box in boxes:  # the best few that differ
        if all(np.abs(box.low - k.low).max() + np.abs(box.high - k.high).max() > 0.1 for k in kept):
            kept.append(box)
        if len(kept) == 3:
            break
    return kept


def _grown(seed: Array, bad: Array) -> Box:
    low, high = np.zeros(seed.size), np.ones(seed.size)
    rest = bad[np.argsort(np.abs(bad - seed).max(axis=1), kind="stable")]
    while len(rest):
        point = rest[0]
        gap = 1e-9
        above = point > seed
        # share of the width that stays when this axis is cut at the point
        kept = np.where(above, point - low, high - point) / np.maximum(high - low, 1e-300)
        kept = np.where(np.abs(point - seed) > gap, kept, -1.0)
        axis = int(np.argmax(kept))
        if kept[axis] < 0.0:
            break  # the seed itself
        if above[axis]:
            high[axis] = max(seed[axis], point[axis] - gap)
        else:
            low[axis] = min(seed[axis], point[axis] + gap)
        rest = rest[((rest >= low) & (rest <= high)).all(axis=1)]
    return Box(low, high)


def _polished(level: Level, start: Box, points: Array, levels: Array) -> Box | None:
    """The start box, pushed out (or in) until its check positions touch the region's edge.

    points: (n, d) with known levels (n,), which the box must not hold where they are negative.
    """
    positions = check_positions(start.low.size)
    box = start
    for _ in range(4):
        box = _maximized(level, box, positions)
        inside = box.contains(points)
        if not inside.any() or levels[inside].min() >= 0.0:
            break
        worst = points[inside][np.argsort(levels[inside], kind="stable")[:3]]
        positions = np.concatenate([positions, np.clip(box.position(worst), 0.0, 1.0)])
    # The polish may have stopped short of feasible (an island that its check positions do not see); the start then
    # stands, pushed out to the edge side by side. Its own corners may lie where the points do not show the region.
    polished = _pulled_in(level, box, positions, points, levels)
    plain = _pulled_in(level, start, positions, points, levels)
    if plain is not None and (polished is None or polished.log_volume < plain.log_volume + ROUNDING):
        plain = _pushed_out(level, plain, points[levels < 0.0])
    return max((b for b in (polished, plain) if b is not None), key=lambda b: b.log_volume, default=None)


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


def _maximized(level: Level, start: Box, positions: Array) -> Box:
    """Largest box that is feasible at relative `positions`, from `start`, which need not be feasible.

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

    def room(x: Array) -> Array:
        w = 0.5 * np.exp(x[d:])
        return np.concatenate([x[:d] - w, 1.0 - x[:d] - w])

    def room_slope(x: Array) -> Array:
        w, one = np.diag(0.5 * np.exp(x[d:])), np.eye(d)
        return np.block([[one, -w], [-one, -w]])

    constraints: Any = [  # the stubs know neither dicts of functions on arrays nor their slopes
        {"type": "ineq", "fun": kept, "jac": kept_slope},
        {"type": "ineq", "fun": room, "jac": room_slope},
    ]
    gradient = np.concatenate([np.zeros(d), -np.ones(d)])
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
    low, high = result.x[:d] - w, result.x[:d] + w
    return Box(np.where(low < ROUNDING, 0.0, low), np.where(high > 1.0 - ROUNDING, 1.0, high))


def _pulled_in(level: Level, box: Box, positions: Array, points: Array, levels: Array) -> Box | None:
    """The box shrunk about its deepest point until it is feasible at `positions` and at the points that it holds."""
    held = box.contains(points)
    checked, found = box.at(positions), level(box.at(positions))
    everything, all_levels = np.concatenate([checked, points[held]]), np.concatenate([found, levels[held]])
    least = -ROUNDING * float(np.abs(all_levels).max())
    if all_levels.min() >= least:
        return box
    if all_levels.max() < 0.0:
        return None
    anchor = everything[int(np.argmax(all_levels))]
    bad = everything[all_levels < least]

    def met(share: float) -> bool:
        smaller = box.toward(anchor, share)
        return not smaller.contains(bad).any() and bool((level(smaller.at(positions)) >= least).all())

    good, too_large = 0.0, 1.0
    for _ in range(30):
        middle = 0.5 * (good + too_large)
        good, too_large = (middle, too_large) if met(middle) else (good, middle)
    return box.toward(anchor, good)
