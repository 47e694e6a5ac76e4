"""One run of a process model through a recipe, with exact sensitivities.

A run is a chain of smooth stretches. A stretch ends where a phase ends (by the clock or on a level), an event acts, a
switch of the equations changes, or the last sample lies. Inside a stretch the integrator carries the states and, for
each name in `wrt`, their derivative S = dx/dw at fixed time. At its end the derivative jumps: with f- and f+ the rates
before and after, J the derivative of the event's new state, and t' = dt*/dw the movement of the moment itself,

    S+ = J (S- + f- t') + dnew/dw - f+ t',      t' = -(g_x S- + g_w) / (dg/dt)    for a crossing of g

(Hiskens and Pai, IEEE Trans. Circuits Syst. I 47, 204, 2000, eqs. 19-23, with the event's parameters added).
"""

import math
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, SolveError
from physics_twin.process import crossings, extremes
from physics_twin.process.compiled import Point, arguments_of
from physics_twin.process.inputs import PhaseInputs, lines_of
from physics_twin.process.stage import GRID_DIGITS, Samples, Situation, Stage
from physics_twin.recipes import Action, Amount, BoundEvent, BoundPhase, Direction, Schedule

_FEW_JUMPS = 16  # up to here a stretch for each held value is as quick as a chain
_CHATTER = 1000  # crossings without an advance of the clock's last digits


class March:
    """The march of one simulation; used once."""

    def __init__(self, stage: Stage, schedule: Schedule) -> None:
        self.stage = stage
        self.schedule = schedule
        self.pending: list[tuple[float, BoundEvent]] = []
        self.stalled = 0

    def march(self, at: Situation, times: Array) -> tuple[Samples, Situation]:
        """Record outputs at `times` (ascending, the first not before `at.t`); returns the situation at the last."""
        c = self.stage.c
        record = Samples(np.full((times.size, c.n_y), np.nan), np.zeros((times.size, c.n_y, self.stage.n_wrt)))
        self._enter_inputs(at)
        self.stage.settle(at)
        times = self._within(times)
        i = self._record(record, at, times, 0)
        try:
            if i < times.size:
                if at.phase < 0:
                    self._begin(at, 0, record)
                else:
                    self._await_events(at)
                self.stage.settle(at)
            while i < times.size:
                i = self._stretch(record, at, times, i)
        except SolveError as error:
            raise self._told(error, at) from None
        return record, at

    def outline(self, at: Situation, limit: float) -> list[float]:
        """Begin of each phase and end of the last, by running through the recipe; `limit` bounds the time, s."""
        record = Samples(np.empty((1, self.stage.c.n_y)), np.empty((1, self.stage.c.n_y, 0)))
        n = len(self.schedule.phases)
        self._enter_inputs(at)
        self.stage.settle(at)
        try:
            self._begin(at, 0, record)
            while len(record.phase_times) <= n:
                self._stretch(record, at, np.array([limit]), 0)
        except SolveError as error:
            raise self._told(error, at) from None
        return record.phase_times[: n + 1]

    def _within(self, times: Array) -> Array:
        """Samples that lie beyond the recipe's end by no more than rounding are moved onto it."""
        if self.schedule.hold_end or not self.schedule.timed:
            return times
        end = sum(phase.duration.at(self.stage.values) for phase in self.schedule.phases if phase.duration is not None)
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
        guarded = phase.until_level is not None or self.stage.c.n_guards > 0
        crossing = crossings.first_crossing(self.stage, at, phase, reach) if guarded else None
        stop = reach if crossing is None else crossing[0]
        if crossing is not None and crossing[0] <= at.t:
            self._stall(at)
        i = self._integrate(record, at, stop, times, i)
        if i >= times.size:
            return i
        if crossing is not None:
            self._stop(record, at, crossing[1], crossings.movement(self.stage, at, phase, crossing[1]))
        elif stop >= end:
            self._stop(record, at, what, self._clock_movement(at, phase, what))
        return i

    def _watching(self, phase: BoundPhase) -> bool:
        return phase.until_level is not None or self.stage.c.n_guards > 0 or self.stage.c.n_w > 0

    def _stall(self, at: Situation) -> None:
        self.stalled += 1
        if self.stalled > _CHATTER:
            raise SolveError("a switch flips without end (chattering); give it a hysteresis or a smooth law", time=at.t)

    def _planned_end(self, at: Situation, phase: BoundPhase) -> tuple[float, Any]:
        """The next moment known in advance: ("phase", None), ("event", ...), ("corner", ...)."""
        ends: list[tuple[float, Any]] = []
        if phase.duration is not None:
            ends.append((at.phase_start + phase.duration.at(self.stage.values), "phase"))
        else:
            assert phase.at_most is not None
            ends.append((at.phase_start + phase.at_most.at(self.stage.values), "overdue"))
        ends += [(at.phase_start + when, "event") for when, _ in self.pending[:1]]
        later = self.stage.inputs.jump_corners(at.t, ends[0][0])
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
            moves += phase.duration.slope(self.stage.wrt)
        elif what == "event":
            moves += self.pending[0][1].when.slope(self.stage.wrt)
        return moves

    def _stop(self, record: Samples, at: Situation, what: Any, moves: Array) -> None:
        """Act at the end of a stretch: `what` is a planned kind, "until" or the index of a guard."""
        if what == "overdue":
            name = self.schedule.phases[at.phase].name
            raise SolveError(f'phase "{name}" did not reach its level within its at_most time', time=at.t)
        before = self.stage.point(at, left=True)
        moving = at.s_x + np.outer(self.stage.rate(before), moves) if moves.any() else at.s_x
        extremes.at_jump(self.stage, at, moves, left=True)
        if what in ("phase", "until"):
            if at.phase + 1 >= len(self.schedule.phases):
                self._finish(record, at)
                return
            self._begin(at, at.phase + 1, record, moves, moving)
            return
        flipped = -1
        if what == "event":
            moving = self._apply_due(at, moving)
        elif what != "corner" and what < self.stage.c.equations.n_switches:
            self.stage.modes[what] = 1.0 - self.stage.modes[what]
            self.stage.counters.n_events += 1
            flipped = what
        elif what != "corner":
            moving = self._model_event(at, before, what - self.stage.c.equations.n_switches, moving, moves)
        self.stage.settle(at, flipped)
        self._restart(at, moving, moves)

    def _finish(self, record: Samples, at: Situation) -> None:
        """The last phase has ended: hold its inputs, or say that the recipe is over."""
        if not self.schedule.hold_end:
            raise RecipeError(
                f"the recipe ends at {at.t:g} s and was asked for later times; make it longer or say hold_end=True"
            )
        last = self.schedule.phases[-1]
        held = tuple(piece.aim() for piece in last.inputs)
        endless = BoundPhase("held", held, Amount(math.inf), -1, None, Direction.EITHER, None, ())
        self.schedule = Schedule((*self.schedule.phases, endless), self.schedule.initial, True, self.schedule.settings)
        self._begin(at, at.phase + 1, record)

    def _begin(
        self, at: Situation, number: int, record: Samples, moves: Array | None = None, moving: Array | None = None
    ) -> None:
        """Enter a phase: its events act, its inputs hold."""
        moves = np.zeros(self.stage.n_wrt) if moves is None else moves
        moving = at.s_x.copy() if moving is None else moving
        at.phase, at.phase_start, at.d_start = number, at.t, moves
        record.phase_times.append(at.t)
        self._enter_inputs(at)
        self.pending = [(0.0, e) for e in self.schedule.phases[number].events if e.when.at(self.stage.values) <= 0.0]
        moving = self._apply_due(at, moving)
        self._await_events(at, after_start=True)
        self.stage.settle(at)
        phase = self.schedule.phases[number]
        if phase.until_level is not None:
            at.side = float(np.sign(crossings.margin(self.stage, at, phase)))
        self._restart(at, moving, moves)

    def _enter_inputs(self, at: Situation) -> None:
        number = min(max(at.phase, 0), len(self.schedule.phases) - 1)
        lines = lines_of(self.schedule.phases[number], self.stage.values, self.stage.wrt)
        self.stage.inputs = PhaseInputs(lines, at.phase_start, at.d_start)

    def _await_events(self, at: Situation, after_start: bool = False) -> None:
        """The timed events of the phase that have not acted yet."""
        r = at.t - at.phase_start
        due = [(e.when.at(self.stage.values), e) for e in self.schedule.phases[at.phase].events]
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
            k = self.stage.c.equations.differential.index(event.state)
            amount, slope = event.amount.at(self.stage.values), event.amount.slope(self.stage.wrt)
            if event.action is Action.SET:
                at.x[k], moving[k] = amount, slope
            else:
                sign = 1.0 if event.action is Action.ADD else -1.0
                at.x[k] += sign * amount
                moving[k] += sign * slope
            self.stage.counters.n_events += 1
        return moving

    def _model_event(self, at: Situation, before: Point, k: int, moving: Array, moves: Array) -> Array:
        """An event of the equations sets states and discrete values."""
        new = self.stage.c.jump(*arguments_of(before)).full()[:, k]
        if self.stage.n_wrt:
            d = self.stage.c.jump_jacobians[k].at(before)
            n = self.stage.c.n_x
            s_u = self.stage.inputs_tangent(at.t, left=True)
            s_z = self.stage.c.algebraic_tangent(before, at.s_x, s_u, self.stage.s_p)
            # Everything along the moving moment: x by `moving`, z and u by their flow times the movement as well.
            _, z_rate = self.stage.c.flow(before)
            moving = (
                d.x[:n] @ moving
                + d.z[:n] @ (s_z + np.outer(z_rate, moves))
                + d.u[:n] @ (s_u + np.outer(before.slope, moves))
                + d.p[:n] @ self.stage.s_p
                + np.outer(d.t[:n], moves)
            )
        at.x, at.d = new[: self.stage.c.n_x].copy(), new[self.stage.c.n_x :].copy()
        self.stage.counters.n_events += 1
        name = self.stage.c.equations.events[k]
        self.stage.counters.names[name] = self.stage.counters.names.get(name, 0) + 1
        return moving

    def _restart(self, at: Situation, moving: Array, moves: Array) -> None:
        """S+ at fixed time from the derivative along the moving moment."""
        if self.stage.n_wrt:
            at.s_x = moving - np.outer(self.stage.rate(self.stage.point(at)), moves) if moves.any() else moving
        extremes.at_jump(self.stage, at, moves, left=False)

    def _record(self, record: Samples, at: Situation, times: Array, i: int) -> int:
        """Samples at the present moment, as left limits."""
        while i < times.size and times[i] <= at.t:
            here = self.stage.point(at, left=True)
            record.outputs[i] = self.stage.c.output(*arguments_of(here)).full()[:, 0]
            if self.stage.n_wrt:
                tangent, rate = self.stage.derivatives(at, here, self.stage.c.output_jacobian)
                if self.stage.time_column >= 0:
                    tangent[:, self.stage.time_column] = rate
                record.jacobian[i] += tangent
            i += 1
        return i

    def _carry(
        self, at: Situation, span: float, grid: tuple[float, ...], corners: list[float]
    ) -> tuple[Array, Array, Array, Array]:
        """One integrator over a stretch; restarted at every node where inputs jump or it stumbles over a corner."""
        if not self.stage.inputs.jump_corners(at.t, at.t + span):
            try:
                result = self.stage.solve(at, span, grid, sensitive=True)
                self.stage.counters.n_restarts += 1
                return result
            except SolveError:
                if not corners:
                    raise
        self.stage.counters.n_restarts += len(grid)
        return self.stage.solve(at, span, grid, sensitive=True, chained=True)

    def _integrate(self, record: Samples, at: Situation, stop: float, times: Array, i: int) -> int:
        """Carry the situation to `stop`, recording the samples up to and including it."""
        c, span = self.stage.c, stop - at.t
        if span <= 0.0:
            return i
        last = int(np.searchsorted(times, stop, side="right"))
        wanted = times[i:last]
        relative = np.round((wanted - at.t) / span, GRID_DIGITS)
        corners = self.stage.inputs.corners(at.t, stop)
        marks = {1.0, *relative.tolist(), *(round((corner - at.t) / span, GRID_DIGITS) for corner in corners)}
        grid = tuple(sorted(mark for mark in marks if mark > 0.0))
        if c.n_w:
            grid = tuple(sorted({*grid, *extremes.marks(self.stage, at, stop)}))
        x, z, s_x, s_z = self._carry(at, span, grid, corners)
        self.stage.counters.n_stretches += 1
        nodes = at.t + span * np.array(grid)
        w = np.zeros((0, nodes.size))
        s_w = np.zeros((0, nodes.size, self.stage.n_wrt))
        if c.n_w:
            w, s_w = extremes.follow(self.stage, at, nodes, x, z, s_x, s_z)
        if wanted.size:
            columns = np.searchsorted(np.array(grid), relative)
            columns = np.minimum(columns, len(grid) - 1)
            here = [m[:, columns] for m in (x, z, w, s_x, s_z, s_w)]
            self.stage.sample(record, i, wanted, at, *here)
        if c.n_w:
            at.w, at.s_w = w[:, -1].copy(), s_w[:, -1].copy()
        at.t, at.x, at.z = stop, x[:, -1].copy(), z[:, -1].copy()
        if self.stage.n_wrt:
            at.s_x = s_x[:, -1, :].copy()
        self.stalled = 0 if span > 1e-12 * max(abs(stop), 1e-3) else self.stalled + 1
        return last

    def _told(self, error: SolveError, at: Situation) -> SolveError:
        """The error with the state where the run stood."""
        state = dict(zip(self.stage.c.equations.differential, at.x.tolist(), strict=True))
        known = {name: float(v) for name, v in zip(self.stage.c.equations.parameters, self.stage.p, strict=True)}
        return SolveError(error.reason, time=error.time, values=known, state=state)
