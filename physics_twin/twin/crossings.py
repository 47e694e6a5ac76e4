"""When members first cross a level: found on a grid, refined by the model itself, or by the law of a random walk.

Where an output meets its level between two nodes the model is run again over the interval, closer and closer, so that
the moment is as accurate as the solver. An output that random walks push directly is no smooth curve: where its
increment over a step is larger than its departure from a straight line, the step is a Brownian bridge between its ends.
It has crossed with probability exp(-2 d0 d1 / v), d0 and d1 the distances to the level and v the variance of the
increment (Karatzas and Shreve, Brownian Motion and Stochastic Calculus, 1991, section 4.3.C), and its moment is drawn
from the inverse Gaussian law that the bridge has in the time s = t h / (h - t). So a Wiener process with drift has no
bias from the grid; looked at in its nodes alone it would seem to cross 0.58 sqrt(v) too late, counted in the level
(Broadie, Glasserman and Kou, Mathematical Finance 7 (1997) 325).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.recipes import Direction
from physics_twin.twin.courses import Present, Step, column_of, courses

PARTS = 16
"""An interval that brackets a crossing is looked at in so many parts,"""
PASSES = 4
"""so often: 16^4 times closer than the grid, and a straight line in what is left."""
TOUCH = 1e-9
"""Share of a level's size that counts as nothing: a phase that ends on a level stops within rounding of it."""
PHASE_START = "recipe.phase_start"


@dataclass(frozen=True)
class Level:
    """A level of one output in SI, and from which side it is met."""

    name: str
    column: int
    level: float
    direction: Direction


class FirstCrossings:
    """Collects the first crossing of each member, step by step.

    times: (n_members,) s since now; infinite while there is none. which: (n_members,) number of the level that was met
    first, -1 for none.
    """

    def __init__(self, present: Present, levels: Sequence[Level]) -> None:
        self.present = present
        self.levels = tuple(levels)
        self.times = np.full(present.n_members, np.inf)
        self.which = np.full(present.n_members, -1)
        self._signs: list[Array] = []
        self._pending: Step | None = None

    def take(self, step: Step) -> None:
        """Look at the next step: what happened in the last one is known when its increment is."""
        first = step.outputs[:, 0]
        if step.number == 0:
            self._signs = [_signs(first[:, level.column], level) for level in self.levels]
            for k in range(len(self.levels)):
                self._keep(k, np.where(self._distance(k, first) <= 0.0, 0.0, np.inf))
        if self._pending is not None:
            self._settle(self._pending, first)
        self._pending = step

    def finish(self) -> None:
        """Look at the last step, in which every member failed: nothing comes after it."""
        if self._pending is not None:
            self._settle(self._pending, np.full_like(self._pending.outputs[:, 0], np.nan))
            self._pending = None

    def _keep(self, k: int, found: Array) -> None:
        sooner = found < self.times
        self.times[sooner], self.which[sooner] = found[sooner], k

    def _distance(self, k: int, outputs: Array) -> Array:
        """How far the level is still away: (n, ...) of outputs (n, ..., n_outputs); at or beyond it where <= 0."""
        level = self.levels[k]
        y = outputs[..., level.column]
        signs = self._signs[k].reshape(-1, *(1,) * (y.ndim - 1))
        return np.asarray(signs * (level.level - y) - TOUCH * abs(level.level))

    def _settle(self, step: Step, after: Array) -> None:
        open_ = ~np.isfinite(self.times)
        for k in range(len(self.levels)):
            d = self._distance(k, step.outputs)
            end = self._distance(k, after)
            with np.errstate(invalid="ignore"):
                variance = _mean_square((end - d[:, -1])[np.isfinite(end)])
                bend = np.abs(d[:, d.shape[1] // 2] - 0.5 * (d[:, 0] + d[:, -1]))
                walks = open_ & (variance > 0.0) & (bend <= np.sqrt(variance))
                smooth = open_ & ~walks & np.isfinite(d[:, 0])
                found = np.where(smooth & (end <= 0.0), step.times[-1], np.inf)
            if walks.any():
                found[walks] = self._bridge(k, step, d[walks, 0], end[walks], variance, walks)
            if smooth.any():
                found = np.minimum(found, self._refined(k, step, d, np.flatnonzero(smooth)))
            self._keep(k, found)

    def _bridge(self, k: int, step: Step, d0: Array, d1: Array, variance: float, rows: NDArray[np.bool_]) -> Array:
        """Times (n,) at which bridges from d0 > 0 to d1 over a step meet zero, infinite where they do not."""
        rng = self.present.key.rng("forecast", "bridge", self.levels[k].name, str(step.number))
        n = self.present.n_members
        u, normal, v = rng.random(n)[rows], rng.standard_normal(n)[rows], rng.random(n)[rows]
        with np.errstate(over="ignore"):
            crosses = (d1 <= 0.0) | (u < np.exp(-2.0 * d0 * np.maximum(d1, 0.0) / variance))
        begin, length = float(step.times[0]), float(step.times[-1] - step.times[0])
        # Of a bridge that crosses: s = t h / (h - t) is the first passage over d0 of a walk with the drift |d1| / h.
        s = _inverse_gaussian(d0, np.abs(d1) / length, variance / length, normal, v)
        return np.where(crosses, begin + length * s / (length + s), np.inf)

    def _refined(self, k: int, step: Step, d: Array, rows: NDArray[np.intp]) -> Array:
        """Times (n_members,) at which smooth courses meet the level inside the step, infinite where they do not."""
        found = np.full(self.present.n_members, np.inf)
        times = np.broadcast_to(step.times, d[rows].shape)
        times, near = self._with_ends_of_phases(k, step, times, d[rows], rows)
        low, high, some = _brackets(times, near)
        rows, low, high = rows[some], low[some], high[some]
        for _ in range(PASSES):
            if not rows.size:
                return found
            parts = np.linspace(low, high, PARTS + 1, axis=1)
            values = self._at(k, step, parts, rows)
            low, high, some = _brackets(parts, values)
            rows, low, high = rows[some], low[some], high[some]
        if rows.size:
            ends = self._at(k, step, np.stack([low, high], axis=1), rows)
            fall = ends[:, 0] - ends[:, 1]
            share = np.where(fall > 0.0, np.clip(ends[:, 0] / np.where(fall > 0.0, fall, 1.0), 0.0, 1.0), 1.0)
            found[rows] = low + share * (high - low)
        return found

    def _at(self, k: int, step: Step, times: Array, rows: NDArray[np.intp]) -> Array:
        """Distances (n, n_times) of some members at times (n, n_times) s inside the step, each member's own."""
        begin = np.full((rows.size, 1), step.times[0])
        clock = self.present.start + np.concatenate([begin, times], axis=1)
        outputs, _, _ = courses(self.present, step.begin[rows], step.parameters[rows], clock)
        level = self.levels[k]
        y = outputs[:, 1:, level.column]
        return np.asarray(self._signs[k][rows, None] * (level.level - y) - TOUCH * abs(level.level))

    def _with_ends_of_phases(
        self, k: int, step: Step, times: Array, d: Array, rows: NDArray[np.intp]
    ) -> tuple[Array, Array]:
        """Nodes with one more where a phase has ended inside the step: courses have corners there."""
        column = column_of(self.present.model, PHASE_START)
        if column is None:
            return times, d
        begun = step.end[rows, column] - self.present.start
        changed = np.flatnonzero((begun > step.times[0]) & (begun < step.times[-1]))
        if not changed.size:
            return times, d
        corner = np.repeat(times[:, -1:], 1, axis=1).copy()
        value = d[:, -1:].copy()
        corner[changed, 0] = begun[changed]
        value[changed] = self._at(k, step, begun[changed, None], rows[changed])
        t, y = np.concatenate([times, corner], axis=1), np.concatenate([d, value], axis=1)
        order = np.argsort(t, axis=1, kind="stable")
        return np.take_along_axis(t, order, axis=1), np.take_along_axis(y, order, axis=1)


def _signs(y: Array, level: Level) -> Array:
    """(n,) 1 where the level is met from below, -1 from above."""
    if level.direction is Direction.EITHER:
        return np.where(y <= level.level, 1.0, -1.0)
    return np.full(y.shape, float(level.direction.value))


def _brackets(times: Array, d: Array) -> tuple[Array, Array, NDArray[np.intp]]:
    """Intervals (n,) that hold the first node at or beyond the level, or may hold a touch between nodes; and whose."""
    n, m = d.shape
    with np.errstate(invalid="ignore"):
        beyond = d <= 0.0
        hit = np.where(beyond.any(axis=1), beyond.argmax(axis=1), m)
    touch = np.full(n, m)
    if m > 2:
        left, middle, right = d[:, :-2], d[:, 1:-1], d[:, 2:]
        bend = left - 2.0 * middle + right
        with np.errstate(invalid="ignore", divide="ignore"):
            depth = np.where(bend > 0.0, (right - left) ** 2 / (8.0 * bend), 0.0)
            # The parabola through three nodes, and as much again for what is no parabola.
            near = (middle <= left) & (middle <= right) & (middle > 0.0) & (middle - 2.0 * depth <= 0.0)
        touch = np.where(near.any(axis=1), near.argmax(axis=1) + 1, m)
    first = np.minimum(hit, touch)
    some = np.flatnonzero(first < m)
    rows = np.arange(n)
    low = times[rows, np.clip(first - 1, 0, m - 1)]
    high = times[rows, np.clip(np.where(touch < hit, first + 1, first), 0, m - 1)]
    return low, high, some


def _mean_square(jumps: Array) -> float:
    return float(np.mean(jumps**2)) if jumps.size else 0.0


def _inverse_gaussian(distance: Array, drift: Array, variance: float, normal: Array, uniform: Array) -> Array:
    """First passages (n,) of walks with a drift >= 0 and a variance per s, from a standard normal and a uniform.

    The transformation with multiple roots of Michael, Schucany and Haas (The American Statistician 30 (1976) 88), in
    the form that stays finite as the drift goes to zero (then it is Levy's law).
    """
    shape = distance**2 / variance
    chi = normal**2
    rate = drift / distance  # one over the mean
    # Roots of the quadratic: x = mean + ... written with 1/mean, so that no mean is infinite.
    x = 2.0 * shape / (2.0 * shape * rate + chi + np.sqrt(chi * (chi + 4.0 * shape * rate)))
    other = np.where(rate > 0.0, 1.0 / np.maximum(rate**2 * x, 1e-300), np.inf)
    return np.where(uniform * (1.0 + x * rate) <= 1.0, x, other)


__all__ = ["FirstCrossings", "Level"]
