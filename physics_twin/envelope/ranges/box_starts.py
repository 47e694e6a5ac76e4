"""Boxes from which the search for the largest one starts, as (low, high) in the unit cube.

With one or two settings the best interval or rectangle of feasible grid nodes is found exactly; with more, boxes grow
from feasible seeds between infeasible points of a cloud.
"""

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.ranges.aim import Aim

N_SEEDS = 48
NO_WIDTH = 1e-3
"""Width, in grid steps, at which a row of single nodes is counted: it has no area and still beats nothing."""

Ends = tuple[Array, Array]
"""Low and high corner, (d,) each."""


def longest_run(x: Array, feasible: NDArray[np.bool_], aim: Aim) -> Ends | None:
    """The longest interval of feasible nodes; with a value to hold, the one about it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], feasible, [False]]).astype(int)))
    starts, stops = edges[::2], edges[1::2] - 1
    if aim.held.any():
        holds = (x[starts] <= aim.around[0]) & (aim.around[0] <= x[stops])
        starts, stops = starts[holds], stops[holds]
    if len(starts) == 0:
        return None
    longest = int(np.argmax(x[stops] - x[starts]))
    return x[starts[longest]][None], x[stops[longest]][None]


def best_rectangle(grid: Array, feasible: NDArray[np.bool_], aim: Aim) -> Ends | None:
    """The best rectangle of feasible nodes: for each first row, the columns feasible down to each last row."""
    n = round(len(grid) ** 0.5)
    open_ = feasible.reshape(n, n)
    # Rows and columns that the rectangle must hold: nodes on both sides of a value; none where there is no value.
    must = [(n, -1) if np.isnan(a) else (int(np.floor(a * (n - 1))), int(np.ceil(a * (n - 1)))) for a in aim.around]
    (row_before, row_after), (column_before, column_after) = must
    best, where = -np.inf, (0, 0, 0, 0)
    for first in range(min(row_before, n - 1) + 1):
        columns = np.logical_and.accumulate(open_[first:], axis=0)
        if column_before < n:
            starts, lengths = _runs_about(columns, column_before, column_after)
        else:
            starts, lengths = _longest_runs(columns)
        lengths[: max(0, row_after - first)] = 0
        rows = np.arange(len(lengths))
        worth = aim.weights[0] * np.log(rows + NO_WIDTH) + aim.weights[1] * np.log(
            np.maximum(lengths - 1, 0) + NO_WIDTH
        )
        worth[lengths == 0] = -np.inf
        last = int(np.argmax(worth))
        if worth[last] > best:
            best = float(worth[last])
            where = (first, first + last, int(starts[last]), int(starts[last] + lengths[last]) - 1)
    if best == -np.inf:
        return None
    line = grid[:n, 1]
    return np.array([line[where[0]], line[where[2]]]), np.array([line[where[1]], line[where[3]]])


def _longest_runs(columns: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First column and length of the longest run in each row; length 0 where there is none."""
    count = np.cumsum(columns, axis=1)
    run = count - np.maximum.accumulate(np.where(columns, 0, count), axis=1)  # that ends at each column
    longest = run.max(axis=1)
    return run.argmax(axis=1) - longest + 1, longest


def _runs_about(columns: NDArray[np.bool_], before: int, after: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First column and length of the run that holds the columns `before` to `after`, in each row."""
    up = np.logical_and.accumulate(columns[:, before:], axis=1).sum(axis=1)
    down = np.logical_and.accumulate(columns[:, before::-1], axis=1).sum(axis=1)
    lengths = np.where(up > after - before, up + down - 1, 0)
    return before - down + 1, lengths


def grown_boxes(cloud: Array, levels: Array, seeds: Array, aim: Aim) -> list[Ends]:
    """A few large boxes without infeasible cloud points, each around one of the `seeds` (n, d).

    Infeasible points are met in order of their distance from the seed; each one still inside is cut off on the side
    that costs least.
    """
    bad = cloud[levels < 0.0]
    boxes = [_grown(seed, bad, aim.weights) for seed in seeds]
    boxes.sort(key=lambda ends: -aim.worth(ends[1] - ends[0]))
    kept: list[Ends] = []
    for low, high in boxes:  # the best few that differ
        if all(np.abs(low - a).max() + np.abs(high - b).max() > 0.1 for a, b in kept):
            kept.append((low, high))
        if len(kept) == 3:
            break
    return kept


def feasible_seeds(cloud: Array, levels: Array) -> Array:
    """The deepest points of the cloud, and every k-th of the rest, so that each lobe of a region has a chance."""
    feasible = np.flatnonzero(levels >= 0.0)
    ranked = feasible[np.argsort(-levels[feasible], kind="stable")]
    spread = ranked[:: max(1, len(ranked) // (N_SEEDS - N_SEEDS // 4))]
    return cloud[list(dict.fromkeys([*ranked[: N_SEEDS // 4].tolist(), *spread.tolist()]))[:N_SEEDS]]


def _grown(seed: Array, bad: Array, weights: Array) -> Ends:
    low, high = np.zeros(seed.size), np.ones(seed.size)
    rest = bad[np.argsort(np.abs(bad - seed).max(axis=1), kind="stable")]
    while len(rest):
        point = rest[0]
        gap = 1e-9
        above = point > seed
        # share of the worth that stays when this axis is cut at the point
        kept = np.where(above, point - low, high - point) / np.maximum(high - low, 1e-300)
        kept = np.where(np.abs(point - seed) > gap, np.maximum(kept, 0.0) ** weights, -1.0)
        axis = int(np.argmax(kept))
        if kept[axis] < 0.0:
            break  # the seed itself
        if above[axis]:
            high[axis] = max(seed[axis], point[axis] - gap)
        else:
            low[axis] = min(seed[axis], point[axis] + gap)
        rest = rest[((rest >= low) & (rest <= high)).all(axis=1)]
    return low, high
