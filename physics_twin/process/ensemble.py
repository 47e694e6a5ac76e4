"""Many simulations of one process model at once.

Where every phase ends by the clock and nothing is watched, all members pass the same stretches, whatever their
durations: each stretch is one call of the integrator, mapped over a group of members. Otherwise, and for a group in
which a member fails, members run one by one. Both ways integrate with the same tolerances.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError, SolveError
from physics_twin.model import Failure, n_state
from physics_twin.process.compiled import Point
from physics_twin.process.inputs import PhaseInputs, lines_of
from physics_twin.process.stage import significant
from physics_twin.recipes import Action, BoundPhase, Recipe, Schedule, Steady, length_of

if TYPE_CHECKING:
    from physics_twin.process.process_model import ProcessModel

_GROUP = 64  # members per mapped call: large enough to hide Python, small enough that a failure repeats little


@dataclass
class Members:
    """An ensemble: one value for each name and member."""

    times: Array
    """(n, n_times) s"""
    columns: Mapping[str, Array]
    states: Array | None

    def own(self, k: int) -> dict[str, float]:
        """The values of one member."""
        return {name: float(column[k]) for name, column in self.columns.items()}


def trajectories(
    model: "ProcessModel", times: Array, recipe: Recipe, values: Mapping[str, Array], states: Array | None
) -> tuple[Array, Array, tuple[Failure, ...]]:
    """See `Ensembles.trajectories`."""
    members = _members(times, values, states)
    n, n_times = members.times.shape
    outputs = np.full((n, n_times, len(model.outputs)), np.nan)
    ends = np.full((n, n_state(model)), np.nan)
    failures: list[Failure] = []
    schedule = model._schedule(recipe)
    for first in range(0, n, _GROUP):
        rows = np.arange(first, min(first + _GROUP, n))
        done = None
        if rows.size > 1 and _alike(model, schedule, members):
            with contextlib.suppress(SolveError):  # one by one then, to find out which
                done = _together(model, schedule, members, rows)
        if done is not None:
            outputs[rows], ends[rows] = done
            continue
        for k in rows:
            state = None if members.states is None else members.states[k]
            try:
                outputs[k], ends[k] = model.trajectory(members.times[k], recipe, members.own(k), state)
            except SolveError as error:
                failures.append(Failure(int(k), error.reason, error.time))
    return outputs, ends, tuple(failures)


def _members(times: Array, values: Mapping[str, Array], states: Array | None) -> Members:
    columns = {name: np.atleast_1d(np.asarray(column, dtype=float)) for name, column in values.items()}
    times = np.atleast_2d(np.asarray(times, dtype=float))
    sizes = {column.shape[0] for column in columns.values()} | {times.shape[0]}
    if states is not None:
        sizes.add(len(states))
    sizes -= {1}
    if len(sizes) > 1:
        raise ShapeError(f"the values, times and states of an ensemble must have one length; got {sorted(sizes)}")
    n = sizes.pop() if sizes else 1
    wide = {name: np.broadcast_to(column, n) for name, column in columns.items()}
    return Members(np.broadcast_to(times, (n, times.shape[1])), wide, states)


def _alike(model: "ProcessModel", schedule: Schedule, members: Members) -> bool:
    """Whether all members pass the same stretches in the same order."""
    c = model.compiled
    if c.n_guards or c.n_w or not schedule.timed or members.states is not None or isinstance(schedule.initial, Steady):
        return False
    held = any(pieces.jumps for phase in schedule.phases for pieces in phase.inputs)
    late = any(event.when.setting is not None or event.when.value > 0.0 for p in schedule.phases for event in p.events)
    return not held and not late


def _together(model: "ProcessModel", schedule: Schedule, members: Members, rows: Array) -> tuple[Array, Array] | None:
    """Outputs and end states of a group, or None where they do not share grids; raises SolveError."""
    c, eq = model.compiled, model.equations
    own = [members.own(int(k)) for k in rows]
    times = members.times[rows]
    n = rows.size
    begins = np.cumsum([[0.0] * n, *([length_of(phase, v) for v in own] for phase in schedule.phases)], axis=0)
    at = [model._start(schedule, v, ()) for v in own]
    p = np.stack([march.stage.p for march, _ in at], axis=1)
    x, z = np.stack([a.x for _, a in at], axis=1), np.stack([a.z for _, a in at], axis=1)
    d = np.stack([a.d for _, a in at], axis=1)
    outputs = np.full((n, times.shape[1], c.n_y), np.nan)
    last = len(schedule.phases) - 1
    i = 0
    for number, phase in enumerate(schedule.phases):
        lines = [lines_of(phase, v, ()) for v in own]
        begin, end = begins[number], begins[number + 1]
        inputs = [PhaseInputs(line, b, np.empty(0)) for line, b in zip(lines, begin, strict=True)]
        if number == 0:
            # Samples at the very start are left limits: before the events of the first phase.
            while i < times.shape[1] and (times[:, i] <= begin).all():
                z = _consistent(c, begin, x, z, inputs, p, d)
                outputs[:, i] = _observe(c, begin[:, None], x[:, :, None], z[:, :, None], inputs, p, d)[:, 0]
                i += 1
        x = _events(eq.differential, phase, own, x)
        z = _consistent(c, begin, x, z, inputs, p, d)
        beyond = times > end[:, None] * (1.0 + 1e-12)
        j = int(np.argmax(beyond.any(axis=0))) if beyond.any() else times.shape[1]
        if not beyond[:, j:].all() or (times[:, i:j] <= begin[:, None]).any():
            return None
        done = j >= times.shape[1]
        if not done and number == last:
            return None  # beyond the end: the single run knows what to say
        stop = np.minimum(times[:, -1], end) if done else end
        span = stop - begin
        if (span <= 0.0).any():
            return None
        samples = significant((np.minimum(times[:, i:j], stop[:, None]) - begin[:, None]) / span[:, None])
        ends = zip(inputs, begin, stop, strict=True)
        corners = [significant((np.array(v.corners(b, s)) - b) / (s - b)) for v, b, s in ends]
        if (samples != samples[0]).any() or any(not np.array_equal(k, corners[0]) for k in corners):
            return None
        grid = tuple(sorted({1.0, *samples[0].tolist(), *corners[0].tolist()} - {0.0}))
        xs, zs = _solve(c, grid, begin, span, x, z, inputs, p, d)
        columns = np.searchsorted(np.array(grid), samples[0])
        moments = begin[:, None] + span[:, None] * np.array(grid)[columns]
        outputs[:, i:j] = _observe(c, moments, xs[:, :, columns], zs[:, :, columns], inputs, p, d)
        i = j
        x, z = xs[:, :, -1], zs[:, :, -1]
        if done:
            recipe = np.stack([np.full(n, float(number)), begin, np.zeros(n)])
            return outputs, np.concatenate([x, z, d, recipe]).T
    return None


def _events(names: tuple[str, ...], phase: BoundPhase, own: list[dict[str, float]], x: Array) -> Array:
    """The states after the events at a phase's start."""
    x = x.copy()
    for event in phase.events:
        k = names.index(event.state)
        amount = np.array([event.amount.at(v) for v in own])
        if event.action is Action.SET:
            x[k] = amount
        else:
            x[k] += amount if event.action is Action.ADD else -amount
    return x


def _observe(c: Any, t: Array, x: Array, z: Array, inputs: list[PhaseInputs], p: Array, d: Array) -> Array:
    """Outputs (n, n_times, n_y) of all members at their times (n, n_times); x is (n_x, n, n_times)."""
    n, m = t.shape
    u = np.concatenate([v.along(row)[0] for v, row in zip(inputs, t, strict=True)], axis=1)
    flat = (v.reshape(v.shape[0], n * m) for v in (x, z))
    y = c.output(t.reshape(1, n * m), *flat, u, np.repeat(p, m, axis=1), np.repeat(d, m, axis=1)).full()
    return np.asarray(y.reshape(c.n_y, n, m).transpose(1, 2, 0), dtype=float)


def _consistent(c: Any, t: Array, x: Array, z: Array, inputs: list[PhaseInputs], p: Array, d: Array) -> Array:
    """Algebraic variables of all members at the beginning of a stretch, by Newton's method on each."""
    if not c.n_z:
        return z
    result = z.copy()
    for k, v in enumerate(inputs):
        u, slope = v.at(float(t[k]))
        result[:, k] = c.solve_algebraic(Point(float(t[k]), x[:, k], z[:, k], u, slope, p[:, k], d[:, k]))
    return result


def _solve(
    c: Any,
    grid: tuple[float, ...],
    begin: Array,
    span: Array,
    x: Array,
    z: Array,
    inputs: list[PhaseInputs],
    p: Array,
    d: Array,
) -> tuple[Array, Array]:
    """States of all members on a shared relative grid: (n_x, n, n_grid) and (n_z, n, n_grid)."""
    n, m = span.size, len(grid)
    nodes = begin[:, None] + span[:, None] * np.array(grid)
    u = np.concatenate([v.on_grid(b, row, 0) for v, b, row in zip(inputs, begin, nodes, strict=True)], axis=1)
    head = np.vstack([p, d, begin, span])
    xs, zs = c.integrators.solve(grid, x / c.scale_x[:, None], z / c.scale_z[:, None], head, u, 0, n)
    scaled_x = xs.reshape(c.n_x, n, m) * c.scale_x[:, None, None]
    return scaled_x, zs.reshape(c.n_z, n, m) * c.scale_z[:, None, None]
