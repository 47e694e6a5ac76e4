"""One run of a process model through a recipe, with exact sensitivities.

A run is a chain of smooth stretches. A stretch ends where a phase ends (by the clock or on a level), an event acts, a
switch of the equations changes, or the last sample lies. Inside a stretch the integrator carries the states and, for
each name in `wrt`, their derivative S = dx/dw at fixed time. At its end the derivative jumps: with f- and f+ the rates
before and after, J the derivative of the event's new state, and t' = dt*/dw the movement of the moment itself,

    S+ = J (S- + f- t') + dnew/dw - f+ t',      t' = -(g_x S- + g_w) / (dg/dt)    for a crossing of g

(Hiskens and Pai, IEEE Trans. Circuits Syst. I 47, 204, 2000, eqs. 19-23, with the event's parameters added).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, SolveError
from physics_twin.process.compiled import Compiled, Counters, Point, arguments_of
from physics_twin.process.inputs import PhaseInputs, lines_of
from physics_twin.recipes import Action, Amount, BoundEvent, BoundPhase, Direction, Schedule

_NODES = 64  # nodes of a watched stretch; between them the shape is a cubic, so two crossings in one interval are seen
_FEW_JUMPS = 16  # up to here a stretch for each held value is as quick as a chain
_CHATTER = 1000  # crossings without an advance of the clock's last digits
_GRID_DIGITS = 13  # equal relative grids share an integrator; 1e-13 of a stretch is far below any tolerance


@dataclass
class Situation:
    """Where a run stands: everything that a state vector holds, and its derivatives."""

    t: float
    x: Array
    z: Array
    d: Array
    w: Array
    phase: int
    """-1 before the first phase has begun."""
    phase_start: float
    side: float
    """Sign of output - level when a phase that ends on a level began."""
    s_x: Array
    """(n_x, n_wrt)"""
    s_w: Array
    """(n_w, n_wrt)"""
    d_start: Array
    """(n_wrt,) how the beginning of the phase moves"""


@dataclass
class Samples:
    """What a run records."""

    outputs: Array
    jacobian: Array
    phase_times: list[float] = field(default_factory=list)


class March:
    """The march of one simulation; used once."""

    def __init__(
        self,
        compiled: Compiled,
        schedule: Schedule,
        values: Mapping[str, Any],
        p: Array,
        s_p: Array,
        wrt: Sequence[str],
    ) -> None:
        self.c = compiled
        self.schedule = schedule
        self.values = values
        self.p = p
        self.s_p = s_p
        """(n_p, n_wrt)"""
        self.wrt = tuple(name if name != "time" else "" for name in wrt)
        self.n_wrt = len(wrt)
        self.time_column = list(wrt).index("time") if "time" in wrt else -1
        self.counters = Counters()
        self.modes = np.zeros(compiled.equations.n_switches)
        self.inputs: PhaseInputs | None = None
        self.pending: list[tuple[float, BoundEvent]] = []
        self.stalled = 0

    # -- the march --------------------------------------------------------------------------------------------------
    def march(self, at: Situation, times: Array) -> tuple[Samples, Situation]:
        """Record outputs at `times` (ascending, the first not before `at.t`); returns the situation at the last."""
        c = self.c
        record = Samples(np.full((times.size, c.n_y), np.nan), np.zeros((times.size, c.n_y, self.n_wrt)))
        self._enter_inputs(at)
        self._settle(at)
        times = self._within(times)
        i = self._record(record, at, times, 0)
        try:
            if i < times.size:
                if at.phase < 0:
                    self._begin(at, 0, record)
                else:
                    self._await_events(at)
                self._settle(at)
            while i < times.size:
                i = self._stretch(record, at, times, i)
        except SolveError as error:
            raise self._told(error, at) from None
        return record, at

    def outline(self, at: Situation, limit: float) -> list[float]:
        """Begin of each phase and end of the last, by running through the recipe; `limit` bounds the time, s."""
        record = Samples(np.empty((1, self.c.n_y)), np.empty((1, self.c.n_y, 0)))
        n = len(self.schedule.phases)
        self._enter_inputs(at)
        self._settle(at)
        try:
            self._begin(at, 0, record)
            while len(record.phase_times) <= n:
                self._stretch(record, at, np.array([limit]), 0)
        except SolveError as error:
            raise self._told(error, at) from None
        return record.phase_times[: n + 1]

    def open_extremes(self, at: Situation) -> None:
        """Running extremes begin with the value at the start."""
        if not self.c.n_w:
            return
        self._enter_inputs(at)
        self._settle(at)
        here = self._point(at)
        at.w = self.c.equations.extreme(*arguments_of(here)).full()[:, 0]
        if self.n_wrt:
            at.s_w = self._derivatives(at, here, self.c.extreme_jacobian)[0]

    def _within(self, times: Array) -> Array:
        """Samples that lie beyond the recipe's end by no more than rounding are moved onto it."""
        if self.schedule.hold_end or not self.schedule.timed:
            return times
        end = sum(phase.duration.at(self.values) for phase in self.schedule.phases if phase.duration is not None)
        slack = 1e-9 * max(abs(end), 1e-3) if math.isfinite(end) else 0.0
        return np.where((times > end) & (times <= end + slack), end, times)

    def _stretch(self, record: Samples, at: Situation, times: Array, i: int) -> int:
        """One smooth stretch and what happens at its end."""
        phase = self.schedule.phases[at.phase]
        end, what = self._planned_end(at, phase)
        if end <= at.t:
            self._stop(record, at, what, self._clock_movement(at, phase, what))
            return i
        reach = min(end, float(times[-1]))
        guarded = phase.until_level is not None or self.c.n_guards > 0
        crossing = self._first_crossing(at, phase, reach) if guarded else None
        stop = reach if crossing is None else crossing[0]
        if crossing is not None and crossing[0] <= at.t:
            self._stall(at)
        i = self._integrate(record, at, stop, times, i)
        if i >= times.size:
            return i
        if crossing is not None:
            self._stop(record, at, crossing[1], self._movement(at, phase, crossing[1]))
        elif stop >= end:
            self._stop(record, at, what, self._clock_movement(at, phase, what))
        return i

    def _watching(self, phase: BoundPhase) -> bool:
        return phase.until_level is not None or self.c.n_guards > 0 or self.c.n_w > 0

    def _stall(self, at: Situation) -> None:
        self.stalled += 1
        if self.stalled > _CHATTER:
            raise SolveError("a switch flips without end (chattering); give it a hysteresis or a smooth law", time=at.t)

    # -- ends of stretches ------------------------------------------------------------------------------------------
    def _planned_end(self, at: Situation, phase: BoundPhase) -> tuple[float, Any]:
        """The next moment known in advance: ("phase", None), ("event", ...), ("corner", ...)."""
        assert self.inputs is not None
        ends: list[tuple[float, Any]] = []
        if phase.duration is not None:
            ends.append((at.phase_start + phase.duration.at(self.values), "phase"))
        else:
            assert phase.at_most is not None
            ends.append((at.phase_start + phase.at_most.at(self.values), "overdue"))
        ends += [(at.phase_start + when, "event") for when, _ in self.pending[:1]]
        later = self.inputs.jump_corners(at.t, ends[0][0])
        # A jump of a held table restarts the integrator. Where there are many, the integrators are chained in one call,
        # unless something is watched or the jumps move with the beginning of their phase.
        if later and (len(later) <= _FEW_JUMPS or at.d_start.any() or self._watching(phase)):
            ends.append((later[0], "corner"))
        order = {"event": 0, "corner": 1, "phase": 2, "overdue": 2}
        when, what = min(ends, key=lambda pair: (pair[0], order[pair[1]]))
        # A moment reached up to rounding has been reached.
        reached = math.isfinite(when) and when - at.t <= 1e-13 * max(abs(when), 1e-3)
        return (at.t if reached else when), what

    def _clock_movement(self, at: Situation, phase: BoundPhase, what: Any) -> Array:
        moves = at.d_start.copy()
        if what == "phase":
            assert phase.duration is not None
            moves += phase.duration.slope(self.wrt)
        elif what == "event":
            moves += self.pending[0][1].when.slope(self.wrt)
        return moves

    def _stop(self, record: Samples, at: Situation, what: Any, moves: Array) -> None:
        """Act at the end of a stretch: `what` is a planned kind, "until" or the index of a guard."""
        if what == "overdue":
            name = self.schedule.phases[at.phase].name
            raise SolveError(f'phase "{name}" did not reach its level within its at_most time', time=at.t)
        before = self._point(at, left=True)
        moving = at.s_x + np.outer(self._rate(before), moves) if moves.any() else at.s_x
        self._extreme_now(at, moves, left=True)
        if what in ("phase", "until"):
            if at.phase + 1 >= len(self.schedule.phases):
                self._finish(record, at)
                return
            self._begin(at, at.phase + 1, record, moves, moving)
            return
        flipped = -1
        if what == "event":
            moving = self._apply_due(at, moving)
        elif what != "corner" and what < self.c.equations.n_switches:
            self.modes[what] = 1.0 - self.modes[what]
            self.counters.n_events += 1
            flipped = what
        elif what != "corner":
            moving = self._model_event(at, before, what - self.c.equations.n_switches, moving, moves)
        self._settle(at, flipped)
        self._restart(at, moving, moves)

    def _finish(self, record: Samples, at: Situation) -> None:
        """The last phase has ended: hold its inputs, or say that the recipe is over."""
        if not self.schedule.hold_end:
            raise RecipeError(
                f"the recipe ends at {at.t:g} s and was asked for later times; make it longer or say hold_end=True"
            )
        assert self.inputs is not None
        last = self.schedule.phases[-1]
        held = tuple(piece.aim() for piece in last.inputs)
        endless = BoundPhase("held", held, Amount(math.inf), -1, None, Direction.EITHER, None, ())
        self.schedule = Schedule((*self.schedule.phases, endless), self.schedule.initial, True, self.schedule.settings)
        self._begin(at, at.phase + 1, record)

    def _begin(
        self, at: Situation, number: int, record: Samples, moves: Array | None = None, moving: Array | None = None
    ) -> None:
        """Enter a phase: its events act, its inputs hold."""
        moves = np.zeros(self.n_wrt) if moves is None else moves
        moving = at.s_x.copy() if moving is None else moving
        at.phase, at.phase_start, at.d_start = number, at.t, moves
        record.phase_times.append(at.t)
        self._enter_inputs(at)
        self.pending = [(0.0, e) for e in self.schedule.phases[number].events if e.when.at(self.values) <= 0.0]
        moving = self._apply_due(at, moving)
        self._await_events(at, after_start=True)
        self._settle(at)
        phase = self.schedule.phases[number]
        if phase.until_level is not None:
            at.side = float(np.sign(self._margin(at, phase)))
        self._restart(at, moving, moves)

    def _enter_inputs(self, at: Situation) -> None:
        number = min(max(at.phase, 0), len(self.schedule.phases) - 1)
        lines = lines_of(self.schedule.phases[number], self.values, self.wrt)
        self.inputs = PhaseInputs(lines, at.phase_start, at.d_start)

    def _await_events(self, at: Situation, after_start: bool = False) -> None:
        """The timed events of the phase that have not acted yet."""
        r = at.t - at.phase_start
        due = [(e.when.at(self.values), e) for e in self.schedule.phases[at.phase].events]
        slack = 1e-13 * max(abs(at.t), 1e-3)
        self.pending = sorted(
            (pair for pair in due if pair[0] > 0.0 and (after_start or pair[0] >= r - slack)), key=lambda pair: pair[0]
        )

    def _apply_due(self, at: Situation, moving: Array) -> Array:
        """All events of the next moment act; returns the derivative of the new state along the moving moment."""
        if not self.pending:
            return moving
        when = self.pending[0][0]
        moving = moving.copy()
        while self.pending and self.pending[0][0] <= when:
            event = self.pending.pop(0)[1]
            k = self.c.equations.differential.index(event.state)
            amount, slope = event.amount.at(self.values), event.amount.slope(self.wrt)
            if event.action is Action.SET:
                at.x[k], moving[k] = amount, slope
            else:
                sign = 1.0 if event.action is Action.ADD else -1.0
                at.x[k] += sign * amount
                moving[k] += sign * slope
            self.counters.n_events += 1
        return moving

    def _model_event(self, at: Situation, before: Point, k: int, moving: Array, moves: Array) -> Array:
        """An event of the equations sets states and discrete values."""
        new = self.c.jump(*arguments_of(before)).full()[:, k]
        if self.n_wrt:
            _, by_x, by_z, by_u, by_p, by_t, _ = (m.full() for m in self.c.jump_jacobians[k](*arguments_of(before)))
            n = self.c.n_x
            s_u = self._inputs_tangent(at.t, left=True)
            s_z = self.c.algebraic_tangent(before, at.s_x, s_u, self.s_p)
            # Everything along the moving moment: x by `moving`, z and u by their flow times the movement as well.
            _, z_rate = self.c.flow(before)
            moving = (
                by_x[:n] @ moving
                + by_z[:n] @ (s_z + np.outer(z_rate, moves))
                + by_u[:n] @ (s_u + np.outer(before.slope, moves))
                + by_p[:n] @ self.s_p
                + by_t[:n] @ moves[None, :]
            )
        at.x, at.d = new[: self.c.n_x].copy(), new[self.c.n_x :].copy()
        self.counters.n_events += 1
        name = self.c.equations.events[k]
        self.counters.names[name] = self.counters.names.get(name, 0) + 1
        return moving

    def _restart(self, at: Situation, moving: Array, moves: Array) -> None:
        """S+ at fixed time from the derivative along the moving moment."""
        if self.n_wrt:
            at.s_x = moving - np.outer(self._rate(self._point(at)), moves) if moves.any() else moving
        self._extreme_now(at, moves, left=False)

    # -- crossings --------------------------------------------------------------------------------------------------
    def _margin(self, at: Situation, phase: BoundPhase) -> float:
        assert phase.until_level is not None
        y = self.c.output(*arguments_of(self._point(at))).full()[phase.until_output, 0]
        return float(y) - phase.until_level.at(self.values)

    def _inputs_on(self, nodes: Array) -> tuple[Array, Array]:
        """Inputs and their slopes at nodes, (n_u, n) each, left limits."""
        assert self.inputs is not None
        return self.inputs.along(nodes)

    def _wide(self, at: Situation, n: int, w: Array | None = None) -> tuple[Array, Array]:
        """p and q repeated for n nodes; `w` (n_w, n) where the running extremes differ."""
        q = np.repeat(np.concatenate([at.d, self.modes, at.w])[:, None], n, axis=1)
        if w is not None:
            q[q.shape[0] - self.c.n_w :] = w
        return np.repeat(self.p[:, None], n, axis=1), q

    def _watched(
        self, at: Situation, t: Array, x: Array, z: Array, u: Array, slope: Array, phase: BoundPhase
    ) -> tuple[Array, Array]:
        """Guards and, last, output - level at nodes, with their rates: (n_watched, n)."""
        value, rate = (m.full() for m in self.c.watched(t[None, :], x, z, u, *self._wide(at, t.size), slope))
        rows = list(range(self.c.n_guards))
        if phase.until_level is not None:
            row = self.c.n_guards + self.c.n_w + phase.until_output
            value[row] -= phase.until_level.at(self.values)
            rows.append(row)
        return value[rows], rate[rows]

    def _wanted(self, at: Situation, phase: BoundPhase) -> list[tuple[Any, float]]:
        """For each watched row: what it means, and the sign towards which a crossing counts."""
        n = self.c.equations.n_switches
        rows: list[tuple[Any, float]] = [(k, -1.0 if self.modes[k] else 1.0) for k in range(n)]
        rows += [(n + k, 1.0) for k in range(self.c.n_guards - n)]
        if phase.until_level is not None:
            sign = float(phase.direction.value) or -at.side
            rows.append(("until", sign))
        return rows

    def _first_crossing(self, at: Situation, phase: BoundPhase, reach: float) -> tuple[float, Any] | None:
        """The earliest crossing up to `reach`: (time, guard), or None."""
        assert self.inputs is not None
        wanted = self._wanted(at, phase)
        if math.isinf(reach):
            raise RecipeError("a run that waits for a crossing needs an end: give times or a duration")
        here = self._point(at)
        x0, z0, u0, slope0 = (v[:, None] for v in (here.x, here.z, here.u, here.slope))
        value, rate = self._watched(at, np.array([at.t]), x0, z0, u0, slope0, phase)
        for row, (what, sign) in enumerate(wanted):
            met = sign * value[row, 0]
            if what == "until" and (met >= 0.0 or sign == 0.0):
                return at.t, what
        nodes, x, z = self._nodes(at, reach)
        values, rates = self._watched(at, nodes, x, z, *self._inputs_on(nodes), phase)
        t = np.concatenate([[at.t], nodes])
        values, rates = np.hstack([value, values]), np.hstack([rate, rates])
        best: tuple[float, Any, int] | None = None
        for row, (what, sign) in enumerate(wanted):
            k = _first_change(t, sign * values[row], sign * rates[row])
            if k is not None and (best is None or t[k[0]] + k[1] < best[0]):
                best = (t[k[0]] + k[1], what, row)
        if best is None:
            return None
        return self._located(at, phase, best, wanted[best[2]][1])

    def _nodes(self, at: Situation, stop: float) -> tuple[Array, Array, Array]:
        """States on a dense grid up to `stop`: times (n,), x (n_x, n), z (n_z, n)."""
        assert self.inputs is not None
        span = stop - at.t
        fractions = set(np.round(np.linspace(0.0, 1.0, _NODES + 1)[1:], _GRID_DIGITS).tolist())
        # The first interval is refined: what is fast is fast at the start.
        fractions |= {round(2.0**-k / _NODES, _GRID_DIGITS) for k in range(1, 11)}
        fractions |= {round((corner - at.t) / span, _GRID_DIGITS) for corner in self.inputs.corners(at.t, stop)}
        grid = tuple(sorted(f for f in fractions if f > 0.0))
        x, z, _, _ = self._solve(at, span, grid, sensitive=False)
        return at.t + span * np.array(grid), x, z

    def _located(
        self, at: Situation, phase: BoundPhase, guess: tuple[float, Any, int], sign: float
    ) -> tuple[float, Any]:
        """Newton's method on the time of a crossing, each step a run from the stretch's beginning."""
        assert self.inputs is not None
        moment, what, row = guess
        low, high = at.t, math.inf
        moment = max(moment, at.t + 4e-16 * max(abs(at.t), 1.0))
        for _ in range(40):
            span = moment - at.t
            x, z, _, _ = self._solve(at, span, (1.0,), sensitive=False)
            u, slope = self.inputs.at(moment, left=True)
            value, rate = self._watched(at, np.array([moment]), x[:, -1:], z[:, -1:], u[:, None], slope[:, None], phase)
            g = sign * float(value[row, 0])
            low, high = (moment, high) if g < 0.0 else (low, moment)
            flow = sign * float(rate[row, 0])
            step = -g / flow if flow > 0.0 else math.nan
            new = moment + step
            if not (low <= new <= high) or math.isnan(new):
                new = 0.5 * (low + high) if math.isfinite(high) else moment + max(span, 1e-12) * 0.5
            if abs(new - moment) <= 1e-13 * max(abs(moment), span) or high - low <= 4e-16 * max(abs(high), 1e-300):
                return new, what
            moment = new
        return moment, what

    def _movement(self, at: Situation, phase: BoundPhase, what: Any) -> Array:
        """dt*/dw of a crossing, (n_wrt,)."""
        if not self.n_wrt:
            return np.zeros(0)
        if what == "until" and at.t == at.phase_start:
            return at.d_start.copy()  # met as the phase began: it ends when it begins
        here = self._point(at, left=True)
        if what == "until":
            assert phase.until_level is not None
            row, function = phase.until_output, self.c.output_jacobian
            level = phase.until_level.slope(self.wrt)
        else:
            row, function, level = int(what), self.c.guard_jacobian, np.zeros(self.n_wrt)
        tangent, rate = self._derivatives(at, here, function)
        flow = float(rate[row])
        if flow == 0.0:
            raise SolveError("a crossing is tangential: it has no derivative", time=at.t)
        return np.asarray(-(tangent[row] - level) / flow, dtype=float)

    # -- evaluation -------------------------------------------------------------------------------------------------
    def _point(self, at: Situation, *, left: bool = False) -> Point:
        assert self.inputs is not None
        u, slope = self.inputs.at(at.t, left=left)
        q = np.concatenate([at.d, self.modes, at.w])
        return Point(at.t, at.x, at.z, u, slope, self.p, q)

    def _inputs_tangent(self, t: float, *, left: bool) -> Array:
        assert self.inputs is not None
        return self.inputs.tangent(t, left=left)

    def _rate(self, here: Point) -> Array:
        return np.asarray(self.c.rate(*arguments_of(here)).full()[:, 0], dtype=float)

    def _settle(self, at: Situation, flipped: int = -1) -> None:
        """Modes from the signs of their guards and consistent algebraic values; they may depend on each other."""
        n = self.c.equations.n_switches
        turned = np.zeros(n, dtype=bool)
        for _ in range(2 * n + 2):
            here = self._point(at)
            at.z = self.c.solve_algebraic(here)
            if not n:
                return
            here = self._point(at)
            guards = self.c.guard_jacobian(*arguments_of(here))
            value, by_x = guards[0].full()[:n, 0], guards[1].full()[:n]
            size = np.abs(by_x) @ self.c.scale_x + np.abs(value)
            touching = np.abs(value) <= 1e-9 * size
            new = np.where(value >= 0.0, 1.0, 0.0)
            if touching.any():
                rate = self._guard_rate(here)[:n]
                new = np.where(touching & (rate != 0.0), np.where(rate > 0.0, 1.0, 0.0), new)
            # On its level a mode turns once at most: where both sides push towards it, either will do, and the march
            # finds out whether it moves on.
            new = np.where(touching & turned, self.modes, new)
            if flipped >= 0:
                new[flipped] = self.modes[flipped]
            if (new == self.modes).all():
                return
            turned |= touching & (new != self.modes)
            self.modes = new
        raise SolveError("the switches of the model contradict each other", time=at.t)

    def _guard_rate(self, here: Point) -> Array:
        rate, z_rate = self.c.flow(here)
        _, by_x, by_z, by_u, _, by_t, _ = (m.full() for m in self.c.guard_jacobian(*arguments_of(here)))
        return np.asarray(by_x @ rate + by_z @ z_rate + by_u @ here.slope + by_t[:, 0], dtype=float)

    def _derivatives(self, at: Situation, here: Point, function: Any) -> tuple[Array, Array]:
        """d/dw at fixed time (n, n_wrt) and d/dt along the flow (n,) of a function of the equations."""
        _, by_x, by_z, by_u, by_p, by_t, by_w = (m.full() for m in function(*arguments_of(here)))
        s_u = self._inputs_tangent(here.t, left=True)
        s_z = self.c.algebraic_tangent(here, at.s_x, s_u, self.s_p)
        rate, z_rate = self.c.flow(here)
        tangent = by_x @ at.s_x + by_z @ s_z + by_u @ s_u + by_p @ self.s_p + by_w @ at.s_w
        return tangent, by_x @ rate + by_z @ z_rate + by_u @ here.slope + by_t[:, 0]

    def _record(self, record: Samples, at: Situation, times: Array, i: int) -> int:
        """Samples at the present moment, as left limits."""
        while i < times.size and times[i] <= at.t:
            here = self._point(at, left=True)
            record.outputs[i] = self.c.output(*arguments_of(here)).full()[:, 0]
            if self.n_wrt:
                tangent, rate = self._derivatives(at, here, self.c.output_jacobian)
                if self.time_column >= 0:
                    tangent[:, self.time_column] = rate
                record.jacobian[i] += tangent
            i += 1
        return i

    # -- integration ------------------------------------------------------------------------------------------------
    def _solve(
        self, at: Situation, span: float, grid: tuple[float, ...], *, sensitive: bool, chained: bool = False
    ) -> tuple[Array, Array, Array, Array]:
        """x (n_x, n), z (n_z, n), and their derivatives (n_x, n, n_wrt), (n_z, n, n_wrt) on a relative grid."""
        assert self.inputs is not None
        c, m = self.c, self.n_wrt if sensitive else 0
        nodes = at.t + span * np.array(grid)
        u = self.inputs.on_grid(at.t, nodes, m, chained=chained)
        q = np.concatenate([at.d, self.modes, at.w])
        head = np.concatenate([self.p, q, [at.t, span]])
        if m:
            x0 = np.hstack([at.x[:, None], at.s_x]) / c.scale_x[:, None]
            z0 = np.hstack([at.z[:, None], np.zeros((c.n_z, m))]) / c.scale_z[:, None]
            p = np.zeros((head.size, 1 + m))
            p[:, 0] = head
            p[: self.p.size, 1:] = self.s_p
        else:
            x0, z0, p = at.x / c.scale_x, at.z / c.scale_z, head
        try:
            if chained:
                x, z = c.integrators.solve_chained(at.t, nodes, x0, z0, p, u, m)
            else:
                x, z = c.integrators.solve(grid, x0, z0, p, u, m)
        except SolveError as error:
            raise SolveError(error.reason, time=at.t + span * min(max(error.time, 0.0), 1.0)) from None
        self.counters.n_integrations += 1
        x = x.reshape(c.n_x, len(grid), 1 + m) * c.scale_x[:, None, None]
        z = z.reshape(c.n_z, len(grid), 1 + m) * c.scale_z[:, None, None]
        return x[:, :, 0], z[:, :, 0], x[:, :, 1:], z[:, :, 1:]

    def _carry(
        self, at: Situation, span: float, grid: tuple[float, ...], corners: list[float]
    ) -> tuple[Array, Array, Array, Array]:
        """One integrator over a stretch; restarted at every node where inputs jump or it stumbles over a corner."""
        assert self.inputs is not None
        if not self.inputs.jump_corners(at.t, at.t + span):
            try:
                result = self._solve(at, span, grid, sensitive=True)
                self.counters.n_restarts += 1
                return result
            except SolveError:
                if not corners:
                    raise
        self.counters.n_restarts += len(grid)
        return self._solve(at, span, grid, sensitive=True, chained=True)

    def _integrate(self, record: Samples, at: Situation, stop: float, times: Array, i: int) -> int:
        """Carry the situation to `stop`, recording the samples up to and including it."""
        assert self.inputs is not None
        c, span = self.c, stop - at.t
        if span <= 0.0:
            return i
        last = int(np.searchsorted(times, stop, side="right"))
        wanted = times[i:last]
        relative = np.round((wanted - at.t) / span, _GRID_DIGITS)
        corners = self.inputs.corners(at.t, stop)
        marks = {1.0, *relative.tolist(), *(round((corner - at.t) / span, _GRID_DIGITS) for corner in corners)}
        grid = tuple(sorted(mark for mark in marks if mark > 0.0))
        if c.n_w:
            grid = tuple(sorted({*grid, *self._extreme_marks(at, stop)}))
        x, z, s_x, s_z = self._carry(at, span, grid, corners)
        self.counters.n_stretches += 1
        nodes = at.t + span * np.array(grid)
        w = np.zeros((0, nodes.size))
        s_w = np.zeros((0, nodes.size, self.n_wrt))
        if c.n_w:
            w, s_w = self._extremes(at, nodes, x, z, s_x, s_z)
        if wanted.size:
            columns = np.searchsorted(np.array(grid), relative)
            columns = np.minimum(columns, len(grid) - 1)
            here = [m[:, columns] for m in (x, z, w, s_x, s_z, s_w)]
            self._sample(record, i, wanted, at, *here)
        if c.n_w:
            at.w, at.s_w = w[:, -1].copy(), s_w[:, -1].copy()
        at.t, at.x, at.z = stop, x[:, -1].copy(), z[:, -1].copy()
        if self.n_wrt:
            at.s_x = s_x[:, -1, :].copy()
        self.stalled = 0 if span > 1e-12 * max(abs(stop), 1e-3) else self.stalled + 1
        return last

    def _sample(
        self,
        record: Samples,
        i: int,
        t: Array,
        at: Situation,
        x: Array,
        z: Array,
        w: Array,
        s_x: Array,
        s_z: Array,
        s_w: Array,
    ) -> None:
        """Outputs and their derivatives at the samples of a stretch, all at once."""
        n, (u, slope) = t.size, self._inputs_on(t)
        p, q = self._wide(at, n, w)
        rows = slice(i, i + n)
        if not self.n_wrt:
            record.outputs[rows] = self.c.output(t[None, :], x, z, u, p, q).full().T
            return
        value, tangent = self._tangents(self.c.output_jacobian, t, (x, z, u, p, q), s_x, s_z, s_w)
        record.outputs[rows] = value.T
        if self.time_column >= 0:
            rate = np.empty((self.c.n_y, n))
            for k in range(n):
                here = Point(float(t[k]), x[:, k], z[:, k], u[:, k], slope[:, k], self.p, q[:, k])
                dx, dz = self.c.flow(here)
                _, by_x, by_z, by_u, _, by_t, _ = (m.full() for m in self.c.output_jacobian(*arguments_of(here)))
                rate[:, k] = by_x @ dx + by_z @ dz + by_u @ slope[:, k] + by_t[:, 0]
            tangent[:, :, self.time_column] = rate
        record.jacobian[rows] = tangent.transpose(1, 0, 2)

    def _tangents(
        self, function: Any, t: Array, at: tuple[Array, ...], s_x: Array, s_z: Array, s_w: Array
    ) -> tuple[Array, Array]:
        """A function of the equations at nodes (n_f, n) and its derivative (n_f, n, n_wrt)."""
        assert self.inputs is not None
        value, by_x, by_z, by_u, by_p, _, by_w = (m.full() for m in function(t[None, :], *at))
        n_f, n = value.shape
        s_u = self.inputs.tangents(t)
        tangent = by_p.reshape(n_f, n, -1) @ self.s_p
        for by, s in ((by_x, s_x), (by_z, s_z), (by_u, s_u), (by_w, s_w)):
            if s.shape[0]:
                tangent += np.einsum("fni,inw->fnw", by.reshape(n_f, n, -1), s)
        return value, tangent

    # -- running extremes -------------------------------------------------------------------------------------------
    def _extreme_marks(self, at: Situation, stop: float) -> set[float]:
        """Relative times at which a running extreme may change: a dense grid and the peaks between its nodes."""
        span = stop - at.t
        nodes, x, z = self._nodes(at, stop)
        _, rate = (m.full() for m in self.c.watched(nodes[None, :], x, z, *self._split_inputs(at, nodes)))
        rows = slice(self.c.n_guards, self.c.n_guards + self.c.n_w)
        signs = np.array(self.c.equations.extreme_signs)[:, None]
        slope = signs * rate[rows]
        marks = set(np.round((nodes - at.t) / span, _GRID_DIGITS).tolist())
        for row in slope:
            for k in np.flatnonzero((row[:-1] > 0.0) & (row[1:] <= 0.0)):
                # The slope falls through zero between two nodes; an error of the moment is of second order in the peak.
                part = row[k] / (row[k] - row[k + 1])
                marks.add(round(float(nodes[k] + part * (nodes[k + 1] - nodes[k]) - at.t) / span, _GRID_DIGITS))
        return marks - {0.0}

    def _extreme_now(self, at: Situation, moves: Array, *, left: bool) -> None:
        """A running extreme that is reached at the very moment of a jump moves with that moment."""
        if not self.c.n_w:
            return
        here = self._point(at, left=left)
        value = self.c.equations.extreme(*arguments_of(here)).full()[:, 0]
        ahead = np.array(self.c.equations.extreme_signs) * (value - at.w)
        # Before the jump the stretch has already counted its last node: equal means reached there.
        reached = ahead >= 0.0 if left else ahead > 0.0
        if self.n_wrt and reached.any() and (moves.any() or not left):
            tangent, rate = self._derivatives(at, here, self.c.extreme_jacobian)
            at.s_w[reached] = (tangent + np.outer(rate, moves))[reached]
        at.w = np.where(reached, value, at.w)

    def _split_inputs(self, at: Situation, nodes: Array) -> tuple[Array, ...]:
        u, slope = self._inputs_on(nodes)
        return u, *self._wide(at, nodes.size), slope

    def _extremes(self, at: Situation, nodes: Array, x: Array, z: Array, s_x: Array, s_z: Array) -> tuple[Array, Array]:
        """Running extremes at nodes (n_w, n) and their derivatives (n_w, n, n_wrt).

        The derivative of a peak is that of the quantity at the peak's moment; the moment's own movement adds nothing.
        """
        c, n = self.c, nodes.size
        u, _ = self._inputs_on(nodes)
        begin = self._point(at)
        t = np.concatenate([[at.t], nodes])
        x, z, u = (np.column_stack(pair) for pair in ((begin.x, x), (begin.z, z), (begin.u, u)))
        p, q = self._wide(at, n + 1)
        if self.n_wrt:
            s_z0 = c.algebraic_tangent(begin, at.s_x, self._inputs_tangent(at.t, left=False), self.s_p)
            s_x = np.concatenate([at.s_x[:, None], s_x], axis=1)
            s_z = np.concatenate([s_z0[:, None], s_z], axis=1)
            nothing = np.zeros((c.n_w, n + 1, self.n_wrt))
            value, tangent = self._tangents(c.extreme_jacobian, t, (x, z, u, p, q), s_x, s_z, nothing)
        else:
            value = c.equations.extreme(t[None, :], x, z, u, p, q).full()
            tangent = np.zeros((c.n_w, n + 1, 0))
        value = np.column_stack([at.w, value])
        tangent = np.concatenate([at.s_w[:, None], tangent], axis=1)
        signed = np.array(c.equations.extreme_signs)[:, None] * value
        best = np.maximum.accumulate(signed, axis=1)
        # Where each running extreme was reached: the last column at which it grew.
        grew = np.concatenate([np.ones((c.n_w, 1), dtype=bool), best[:, 1:] > best[:, :-1]], axis=1)
        reached = np.maximum.accumulate(np.where(grew, np.arange(n + 2), 0), axis=1)
        rows = np.arange(c.n_w)[:, None]
        return value[rows, reached][:, 2:], tangent[rows, reached][:, 2:]

    def _told(self, error: SolveError, at: Situation) -> SolveError:
        """The error with the state where the run stood."""
        state = dict(zip(self.c.equations.differential, at.x.tolist(), strict=True))
        known = {name: float(v) for name, v in zip(self.c.equations.parameters, self.p, strict=True)}
        return SolveError(error.reason, time=error.time, values=known, state=state)


def _first_change(t: Array, value: Array, rate: Array) -> tuple[int, float] | None:
    """First interval k and offset from t[k] at which `value` rises through zero; None where it never does.

    Between nodes the value is the cubic through both values and rates, so a crossing back and forth is seen. A value
    that begins at or above zero counts only after it has been below.
    """
    for k in range(t.size - 1):
        a, b = value[k], value[k + 1]
        h = t[k + 1] - t[k]
        if a >= 0.0:
            continue
        if b >= 0.0:
            return k, float(_cubic_root(a, b, rate[k] * h, rate[k + 1] * h) * h)
        if rate[k] > 0.0 > rate[k + 1]:
            inside = np.linspace(0.0, 1.0, 33)
            over = np.flatnonzero(_cubic(a, b, rate[k] * h, rate[k + 1] * h, inside) >= 0.0)
            if over.size:
                return k, float(inside[max(int(over[0]), 1)] * h)
    return None


def _cubic(a: float, b: float, da: float, db: float, s: Any) -> Any:
    """Cubic Hermite on [0, 1] with end values a, b and end slopes da, db."""
    return (1 + 2 * s) * (1 - s) ** 2 * a + s * (1 - s) ** 2 * da + s**2 * (3 - 2 * s) * b + s**2 * (s - 1) * db


def _cubic_root(a: float, b: float, da: float, db: float) -> float:
    s = np.linspace(0.0, 1.0, 65)
    shape = _cubic(a, b, da, db, s)
    k = int(np.flatnonzero(shape >= 0.0)[0]) if (shape >= 0.0).any() else s.size - 1
    if k == 0:
        return 0.0
    low, high = shape[k - 1], shape[k]
    return float(s[k - 1] + (s[k] - s[k - 1]) * (-low / (high - low)))
