"""Many simulations of one process model at once.

Where every phase ends by the clock and nothing is watched, all members pass the same stretches, whatever their
durations: each stretch is one call of the integrator, mapped over a group of members. Members that go on from states
of their own go together where nothing but time passes (`onward`). Otherwise, and for a group in which a member fails,
members run one by one. All ways integrate with the same tolerances.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError, SolveError
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.model import Failure, n_state
from physics_twin.process import onward
from physics_twin.process.compiled import Compiled, Point
from physics_twin.process.stage import significant
from physics_twin.recipes import Action, Recipe, Steady
from physics_twin.schedules import Amount, BoundPhase, Schedule, known_until, length_of

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

    def rows(self, rows: Array) -> "Members":
        """Some of the members, in their order."""
        if rows.size == self.times.shape[0]:
            return self
        states = None if self.states is None else self.states[rows]
        return Members(self.times[rows], {name: column[rows] for name, column in self.columns.items()}, states)

    def amounts(self, amount: Amount) -> Array:
        """(n,) an amount of the recipe for each member."""
        if amount.setting is not None and amount.setting in self.columns:
            return np.array(self.columns[amount.setting], dtype=float)
        return np.full(self.times.shape[0], amount.at(self.columns))

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
        if members.states is not None:
            some = slice(first, first + rows.size)
            outputs[some], ends[some], there = onward.go_on(model, schedule, members.rows(rows))
            if there.all():
                continue
            rows = rows[~there]
        elif rows.size > 1 and _alike(model, schedule, members):
            with contextlib.suppress(SolveError):  # one by one then, to find out which
                done = _together(model, schedule, members, rows)
        if done is not None:
            outputs[rows], ends[rows] = done
            continue
        outputs[rows], ends[rows] = np.nan, np.nan
        for k in rows:
            state = None if members.states is None else members.states[k]
            try:
                outputs[k], ends[k] = model.trajectory(members.times[k], recipe, members.own(k), state)
            except SolveError as error:
                failures.append(Failure(int(k), error.reason, error.time))
    return outputs, ends, tuple(failures)


def _members(times: Array, values: Mapping[str, Array], states: Array | None) -> Members:
    given = {name: np.asarray(column, dtype=float) for name, column in values.items()}
    columns = {name: column if column.ndim else column[None] for name, column in given.items()}
    times = np.atleast_2d(np.asarray(times, dtype=float))
    sizes = {column.shape[0] for column in columns.values()} | {times.shape[0]}
    if states is not None:
        sizes.add(len(states))
    sizes -= {1}
    if len(sizes) > 1:
        raise ShapeError(f"the values, times and states of an ensemble must have one length; got {sorted(sizes)}")
    n = sizes.pop() if sizes else 1
    wide = {name: c if c.shape == (n,) else np.broadcast_to(c, n) for name, c in columns.items()}
    return Members(times if len(times) == n else times.repeat(n, axis=0), wide, states)


def _alike(model: "ProcessModel", schedule: Schedule, members: Members) -> bool:
    """Whether all members pass the same stretches in the same order."""
    c = model.compiled
    if c.n_guards or c.n_w or not schedule.timed or isinstance(schedule.initial, Steady):
        return False
    held = any(pieces.jumps for phase in schedule.phases for pieces in phase.inputs)
    late = any(event.when.setting is not None or event.when.value > 0.0 for p in schedule.phases for event in p.events)
    return not held and not late


def _together(model: "ProcessModel", schedule: Schedule, members: Members, rows: Array) -> tuple[Array, Array] | None:
    """Outputs and end states of a group, or None where they do not share grids; raises SolveError."""
    c, eq = model.compiled, model.equations
    group = members.rows(rows)
    times, n, n_times = group.times, rows.size, group.times.shape[1]
    p = _parameters(model, schedule, group)
    if not np.isfinite(p).all():
        return None
    x, z, d = c.initial.along(n, p)
    lengths = [_lengths(phase, group) for phase in schedule.phases]
    if any(np.isfinite(known_until(p, float(row.max()))) for p, row in zip(schedule.phases, lengths, strict=True)):
        return None  # a table ends too early: the single run says when
    begins = np.cumsum([np.zeros(n), *lengths], axis=0)
    outputs = np.full((n, n_times, c.n_y), np.nan)
    i = 0
    for number, phase in enumerate(schedule.phases):
        begin, end = begins[number], begins[number + 1]
        flow = _Flow(c, phase, group, begin, p, d)
        if number == 0:
            # Samples at the very start are left limits: before the events of the first phase.
            z = flow.consistent(begin, x, z)
            while i < n_times and (times[:, i] <= begin).all():
                outputs[:, i] = flow.observe(begin[:, None], x[:, :, None], z[:, :, None])[:, 0]
                i += 1
        x = _events(eq.differential, phase, group, x)
        z = flow.consistent(begin, x, z)
        beyond = times > end[:, None] * (1.0 + 1e-12)
        j = int(np.argmax(beyond.any(axis=0))) if beyond.any() else n_times
        done = j >= n_times
        # Members pass the same samples in each phase, or they run one by one; so does what lies beyond the end.
        if not beyond[:, j:].all() or (times[:, i:j] <= begin[:, None]).any():
            return None
        if not done and number == len(schedule.phases) - 1:
            return None
        stop = np.minimum(times[:, -1], end) if done else end
        found = flow.carry(begin, stop, np.minimum(times[:, i:j], stop[:, None]), x, z)
        if found is None:
            return None
        outputs[:, i:j], x, z = found
        i = j
        if done:
            recipe = np.stack([np.full(n, float(number)), begin, np.zeros(n)])
            return (outputs, np.concatenate([x, z, d, recipe]).T) if np.isfinite(outputs).all() else None
    return None


def _parameters(model: "ProcessModel", schedule: Schedule, group: Members) -> Array:
    """p of all members (n_p, n), initial values bound by the recipe included."""
    eq = model.equations
    model.compiled.values_vector(group.own(0))  # says which name is missing
    p = np.array([group.columns[name] for name in eq.parameters])
    assert not isinstance(schedule.initial, Steady)
    for name, amount in schedule.initial.items():
        p[eq.parameters.index(f"initial.{name}")] = group.amounts(amount)
    return p


def _lengths(phase: BoundPhase, group: Members) -> Array:
    """Durations of a phase (n,); raises RecipeError for a negative one."""
    assert phase.duration is not None
    lengths = group.amounts(phase.duration)
    length_of(phase, group.own(int(np.argmin(lengths))))
    return lengths


def _events(names: tuple[str, ...], phase: BoundPhase, group: Members, x: Array) -> Array:
    """The states after the events at a phase's start."""
    x = x.copy()
    for event in phase.events:
        k, amount = names.index(event.state), group.amounts(event.amount)
        x[k] = amount if event.action is Action.SET else x[k] + (amount if event.action is Action.ADD else -amount)
    return x


class _Flow:
    """The equations of all members in one phase."""

    def __init__(self, c: Compiled, phase: BoundPhase, group: Members, begin: Array, p: Array, d: Array) -> None:
        self.c, self.p, self.d = c, p, d
        n = begin.size
        none = np.empty(0)
        self.inputs: list[tuple[slice, PhaseInputs]]
        if any(pieces.open for pieces in phase.inputs):
            own = (PhaseInputs(lines_of(phase, group.own(k), ()), begin[k : k + 1, None], none) for k in range(n))
            self.inputs = [(slice(k, k + 1), inputs) for k, inputs in enumerate(own)]
        else:
            self.inputs = [(slice(0, n), PhaseInputs(lines_of(phase, {}, ()), begin[:, None], none))]

    def observe(self, t: Array, x: Array, z: Array) -> Array:
        """Outputs (n, n_times, n_y) at times (n, n_times); x is (n_x, n, n_times)."""
        n, m = t.shape
        if not m:  # a phase without samples
            return np.empty((n, 0, self.c.n_y))
        u = np.concatenate([inputs.along(t[k])[0] for k, inputs in self.inputs], axis=1).reshape(self.c.n_u, n * m)
        flat = (v.reshape(v.shape[0], n * m) for v in (x, z))
        p, d = np.repeat(self.p, m, axis=1), np.repeat(self.d, m, axis=1)
        (y,) = self.c.output.along(n * m, t.reshape(1, n * m), *flat, u, p, d)
        return np.asarray(y.reshape(self.c.n_y, n, m).transpose(1, 2, 0), dtype=float)

    def consistent(self, t: Array, x: Array, z: Array) -> Array:
        """Algebraic variables of all members at the beginning of a stretch, by Newton's method on each."""
        if not self.c.n_z:
            return z
        result = z.copy()
        courses = [inputs.along(t[k, None], left=False) for k, inputs in self.inputs]
        u, slope = (np.concatenate([course[i] for course in courses], axis=1)[:, :, 0] for i in (0, 1))
        for k in range(t.size):
            at = Point(float(t[k]), x[:, k], z[:, k], u[:, k], slope[:, k], self.p[:, k], self.d[:, k])
            result[:, k] = self.c.solve_algebraic(at)
        return result

    def carry(self, begin: Array, stop: Array, times: Array, x: Array, z: Array) -> tuple[Array, Array, Array] | None:
        """Outputs at the samples and the states at the end of a stretch; None where relative times differ."""
        c, span = self.c, stop - begin
        if (span <= 0.0).any():
            return None
        samples = significant((times - begin[:, None]) / span[:, None])
        # Relative times of members that begin at other times differ by the rounding of the times themselves.
        blur = 4.0 * np.finfo(float).eps * float((np.abs(stop) / span).max())
        corners: list[float] = []
        for k, inputs in self.inputs:
            marks = [
                significant((line.r[1:] - (begin[k, None] - inputs.start)) / span[k, None]) for line in inputs.lines
            ]
            inside = [m[(m > 0.0) & (m < 1.0)] for row in marks for m in row]
            found = sorted({float(v) for m in inside for v in m})
            if k.start and not _same(np.array(found), np.array(corners), blur):
                return None
            if not all(_same(m, m[0], blur) for m in marks):
                return None
            corners = found if k.start == 0 else corners
        if not _same(samples, samples[:1], blur):
            return None
        grid = tuple(sorted({1.0, *samples[0].tolist(), *corners} - {0.0}))
        n, m = span.size, len(grid)
        nodes = begin[:, None] + span[:, None] * np.array(grid)
        u = np.concatenate([inputs.on_grid(begin[k, None], nodes[k], 0) for k, inputs in self.inputs], axis=1)
        if not corners:
            u = u.reshape(-1, n, m)[:, :, 0]
        head = np.vstack([self.p, self.d, begin, span])
        xs, zs = c.integrators.solve(grid, x / c.scale_x[:, None], z / c.scale_z[:, None], head, u, 0, n)
        xs = xs.reshape(c.n_x, n, m) * c.scale_x[:, None, None]
        zs = zs.reshape(c.n_z, n, m) * c.scale_z[:, None, None]
        columns = np.searchsorted(np.array(grid), samples[0])
        outputs = self.observe(nodes[:, columns], xs[:, :, columns], zs[:, :, columns])
        return outputs, xs[:, :, -1], zs[:, :, -1]


def _same(a: Array, b: Array, blur: float) -> bool:
    """Whether relative times agree up to rounding; what neither reaches (inf) agrees as well."""
    if a.shape[-1:] != b.shape[-1:]:
        return False
    return bool(((a == b) | (np.abs(a - b) <= blur)).all())
