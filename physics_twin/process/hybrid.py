"""One run of a process model through a recipe, with exact sensitivities.

A run is a chain of smooth stretches. A stretch ends where a phase ends (by the clock or on a level), an event acts, a
switch of the equations changes, or the last sample lies. Inside a stretch the integrator carries the states and, for
each name in `wrt`, their derivative S = dx/dw at fixed time. At its end the derivative jumps: with f- and f+ the rates
before and after, J the derivative of the event's new state, and t' = dt*/dw the movement of the moment itself,

    S+ = J (S- + f- t') + dnew/dw - f+ t',      t' = -(g_x S- + g_w) / (dg/dt)    for a crossing of g

(Hiskens and Pai, IEEE Trans. Circuits Syst. I 47, 204, 2000, eqs. 19-23, with the event's parameters added).
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, SolveError
from physics_twin.process import crossings, extremes
from physics_twin.process.crossings import UNTIL
from physics_twin.process.stage import Samples, Situation, Stage, significant
from physics_twin.recipes import Action
from physics_twin.schedules import BoundEvent, BoundPhase, Schedule, held_end, known_until, length_of, table_ended

_FEW_JUMPS = 16  # up to here a stretch for each held value is as quick as a chain
_ACCUMULATED, _SHORTER = 1e-6, 10  # of the first gap between crossings, after so many that grew ever shorter
_CHATTER = 50  # crossings at one moment after which the run is given up


class March:
    """The march of one simulation; used once."""

    def __init__(self, stage: Stage, schedule: Schedule) -> None:
        self.stage = stage
        self.schedule = schedule
        self.observing = True
        """Whether the outputs matter; otherwise one that is not finite is no failure."""
        self.pending: list[tuple[float, BoundEvent]] = []
        self.stalled = 0
        self.gaps = (math.inf, math.inf, 0)
        """First and last of a run of ever shorter times between crossings, s, and how many."""
        self.last = math.inf
        """The last sample, s."""
        self.moment: tuple[float, Array] | None = None
        """The last moment at which something jumped, and how it moves."""

    # -- the march --------------------------------------------------------------------------------------------------
    def march(self, at: Situation, times: Array) -> tuple[Samples, Situation]:
        """Record outputs at `times` (ascending, the first not before `at.t`); returns the situation at the last."""
        c, n_wrt = self.stage.c, self.stage.n_wrt
        record = Samples(np.full((times.size, c.n_y), np.nan), np.zeros((times.size, c.n_y, n_wrt)))
        try:
            self._resume(at)
            self.stage.settle(at, left=True)
            times = self._within(times)
            self.last = float(times[-1])
            i = int(np.searchsorted(times, at.t, side="right"))
            self._record(record, at, slice(0, i))
            if i < times.size:
                self._depart(at, record)
            while i < times.size:
                i = self._stretch(record, at, times, i)
            if self.observing:
                self._check(record, times)
        except SolveError as error:
            raise self._told(error, at) from None
        return record, at

    def outline(self, at: Situation, limit: float) -> list[float]:
        """Begin of each phase and end of the last, by running through the recipe; `limit` bounds the time, s."""
        record = Samples(np.empty((1, self.stage.c.n_y)), np.empty((1, self.stage.c.n_y, 0)))
        n = len(self.schedule.phases)
        try:
            self._resume(at)
            self._depart(at, record)
            while len(record.phase_times) <= n:
                self._stretch(record, at, np.array([limit]), 0)
        except SolveError as error:
            raise self._told(error, at) from None
        return record.phase_times[: n + 1]

    def _resume(self, at: Situation) -> None:
        """Take up the inputs of the phase in which the run stands."""
        while at.phase >= len(self.schedule.phases):
            self._lengthen()
        self.stage.enter(self.schedule.phases[max(at.phase, 0)], at.phase_start, at.d_start)

    def _depart(self, at: Situation, record: Samples) -> None:
        """What happens at the present moment before time moves on."""
        none = np.zeros(self.stage.n_wrt)
        if at.phase < 0:
            self._jump(at, none, lambda moving: self._begin(at, 0, record, none, moving))
            return
        self._await_events(at)
        self.stage.settle(at)

    def _within(self, times: Array) -> Array:
        """Samples that lie beyond the recipe's end by no more than rounding are moved onto it."""
        if self.schedule.hold_end or not self.schedule.timed:
            return times
        end = sum(length_of(phase, self.stage.values) for phase in self.schedule.phases)
        slack = 1e-9 * max(abs(end), 1e-3) if math.isfinite(end) else 0.0
        return np.where((times > end) & (times <= end + slack), end, times)

    def _stretch(self, record: Samples, at: Situation, times: Array, i: int) -> int:
        """One smooth stretch and what happens at its end."""
        phase = self.schedule.phases[at.phase]
        end, what = self._planned_end(at, phase)
        if end <= at.t:
            self._planned(record, at, phase, what)
            return i
        reach = min(end, float(times[-1]))
        guarded = phase.until_level is not None or self.stage.c.n_guards > 0
        crossing = crossings.first_crossing(self.stage, at, phase, reach) if guarded else None
        stop = reach if crossing is None else crossing[0]
        start = at.t
        i = self._integrate(record, at, stop, times, i)
        if i >= times.size:
            return i
        if crossing is not None:
            self._stall(at, start)
            self._crossed(record, at, phase, crossing[1])
        elif stop >= end:
            self._planned(record, at, phase, what)
        return i

    def _stall(self, at: Situation, start: float) -> None:
        gap = at.t - start
        self.stalled = self.stalled + 1 if gap <= 1e-12 * max(abs(at.t), 1e-3) else 0
        if self.stalled > _CHATTER:
            raise SolveError("a switch flips without end (chattering); give it a hysteresis or a smooth law", time=at.t)
        if self.stalled:
            return
        # Crossings that follow one another ever faster, as the bounces of a ball, add up to a moment they never pass.
        first, last, count = self.gaps
        self.gaps = (first, gap, count + 1) if gap < last < math.inf else (gap, gap, 1)
        if gap < _ACCUMULATED * self.gaps[0] and count >= _SHORTER:
            raise SolveError("events follow one another ever faster and come to no end; give them a rest", time=at.t)

    # -- ends of stretches ------------------------------------------------------------------------------------------
    def _planned_end(self, at: Situation, phase: BoundPhase) -> tuple[float, str]:
        """The next moment known in advance, and its kind: phase, overdue, event or corner."""
        kind = "overdue" if phase.duration is None else "phase"
        length = length_of(phase, self.stage.values)
        ends = [(at.phase_start + length, kind), (at.phase_start + known_until(phase, length), "unknown")]
        ends += [(at.phase_start + when, "event") for when, _ in self.pending[:1]]
        inputs = self.stage.inputs
        # Where a corner moves, the derivative of the input jumps, although a ramp itself does not.
        moving = self.stage.n_wrt > 0 and (bool(at.d_start.any()) or inputs.moving)
        later = (inputs.corners if moving else inputs.jump_corners)(at.t, ends[0][0])
        watching = phase.until_level is not None or self.stage.c.n_guards > 0 or self.stage.c.n_w > 0
        # A jump of a held table restarts the integrator. Where there are many, the integrators are chained in one call,
        # unless something is watched or the jumps move with the beginning of their phase.
        if later and (len(later) <= _FEW_JUMPS or moving or watching):
            ends.append((later[0], "corner"))
        order = {"event": 0, "corner": 1, "phase": 2, "overdue": 2, "unknown": 3}
        when, what = min(ends, key=lambda pair: (pair[0], order[pair[1]]))
        # A moment reached up to rounding has been reached.
        if math.isfinite(when) and when - at.t <= 1e-13 * max(abs(when), 1e-3):
            at.t = max(at.t, when)
        return when, what

    def _planned(self, record: Samples, at: Situation, phase: BoundPhase, what: str) -> None:
        """Act at a moment known in advance."""
        moves = at.d_start.copy()
        if what == "unknown":
            raise table_ended(phase, at.t - at.phase_start)
        if what == "overdue":
            raise SolveError(self._overdue(at, phase), time=at.t)
        if what == "phase":
            assert phase.duration is not None
            moves += phase.duration.slope(self.stage.wrt)
            self._next_phase(record, at, moves)
        elif what == "event":
            moves += self.pending[0][1].when.slope(self.stage.wrt)
            self._jump(at, moves, lambda moving: self._apply_due(at, moving))
        else:
            self._jump(at, moves, lambda moving: moving)

    def _overdue(self, at: Situation, phase: BoundPhase) -> str:
        assert phase.until_signal is not None and phase.until_level is not None
        signal, level = phase.until_signal, phase.until_level.at(self.stage.values)
        reached = crossings.margin(self.stage, at, phase) + level
        waited = at.t - at.phase_start
        return (
            f'phase "{phase.name}" was given up after {waited:g} s (at_most): {signal.name} is '
            f"{signal.format(reached)} and has not reached {signal.format(level)}"
        )

    def _crossed(self, record: Samples, at: Situation, phase: BoundPhase, what: int) -> None:
        """Act at a crossing: of the level on which the phase ends, of a switch, or of an event's condition."""
        if what == UNTIL and self.moment is not None and self.moment[0] == at.t:
            moves = self.moment[1]  # a jump has brought the output beyond its level: it moves with that jump
        else:
            moves = crossings.movement(self.stage, at, phase, what)
        n = self.stage.c.equations.n_switches
        if what == UNTIL:
            self._next_phase(record, at, moves)
        elif what < n:
            self.stage.modes[what] = 1.0 - self.stage.modes[what]
            self.stage.counters.n_events += 1
            self._jump(at, moves, lambda moving: moving, flipped=what, before=1.0 - self.stage.modes[what])
        else:
            _, touching, rate = self.stage.guards(at, left=True)
            rising = touching & (rate > 0.0)
            together = [k for k in range(at.armed.size) if k == what - n or (at.armed[k] and rising[n + k])]
            self._jump(at, moves, lambda moving: self._act(at, together, moving, moves))

    def _jump(self, at: Situation, moves: Array, act: Any, *, flipped: int = -1, before: float = 0.0) -> None:
        """Whatever happens at one moment: `act` changes the situation and carries dx/dw along the moving moment."""
        stage = self.stage
        if flipped >= 0:
            after, stage.modes[flipped] = stage.modes[flipped], before
        rate = stage.rate(stage.point(at, left=True)) if moves.any() else np.zeros(stage.c.n_x)
        extremes.at_jump(stage, at, moves, left=True)
        if flipped >= 0:
            stage.modes[flipped] = after
        moving = act(at.s_x + np.outer(rate, moves))
        stage.settle(at, flipped=flipped)
        moving = self._triggered(at, moving, moves)
        if stage.n_wrt:
            at.s_x = moving - np.outer(stage.rate(stage.point(at)), moves) if moves.any() else moving
        extremes.at_jump(stage, at, moves, left=False)
        self.moment = (at.t, moves)

    def _triggered(self, at: Situation, moving: Array, moves: Array) -> Array:
        """Events whose condition a jump has made true act at once; those whose condition is false are armed again."""
        if not at.armed.size:
            return moving
        for _ in range(_CHATTER):
            holds, fails, leaves = self.stage.conditions(at)
            at.armed[fails] = 1.0
            due = np.flatnonzero((at.armed > 0.0) & holds)
            if not due.size:
                at.armed[leaves] = 1.0  # a ball that bounces: true at the moment, false from now on
                return moving
            moving = self._act(at, due.tolist(), moving, moves)
            self.stage.settle(at)
        raise SolveError("events set each other off without end", time=at.t)

    # -- phases -----------------------------------------------------------------------------------------------------
    def _next_phase(self, record: Samples, at: Situation, moves: Array) -> None:
        if at.phase + 1 >= len(self.schedule.phases):
            # The end of a phase that ends on a level is known to rounding: a sample asked for there is at the end.
            at_end = self.last - at.t <= 1e-9 * max(abs(at.t), 1e-3)
            if not self.schedule.hold_end and not at_end:
                raise RecipeError(
                    f"the recipe ends at {at.t:g} s and was asked for later times; make it longer or say hold_end=True"
                )
            self._lengthen()
        self._jump(at, moves, lambda moving: self._begin(at, at.phase + 1, record, moves, moving))

    def _lengthen(self) -> None:
        """One more phase, without end, that holds the last inputs."""
        endless = held_end(self.schedule)
        self.schedule = replace(self.schedule, phases=(*self.schedule.phases, endless), hold_end=True)

    def _begin(self, at: Situation, number: int, record: Samples, moves: Array, moving: Array) -> Array:
        """Enter a phase: its inputs hold, its first events act."""
        phase = self.schedule.phases[number]
        at.phase, at.phase_start, at.d_start = number, at.t, moves
        record.phase_times.append(at.t)
        self.stage.enter(phase, at.t, moves)
        length = length_of(phase, self.stage.values)
        for event in phase.events:
            when = event.when.at(self.stage.values)
            if when < 0.0 or (phase.duration is not None and when > length):
                raise RecipeError(
                    f'phase "{phase.name}": the {event.action.value} of {event.state} at {when:g} s lies outside the '
                    f"phase, which takes {length:g} s"
                )
        self.pending = [(0.0, e) for e in phase.events if e.when.at(self.stage.values) == 0.0]
        moving = self._apply_due(at, moving)
        self._await_events(at, after_start=True)
        if phase.until_level is not None:
            self.stage.settle(at)
            at.side = float(np.sign(crossings.margin(self.stage, at, phase)))
        return moving

    def _await_events(self, at: Situation, after_start: bool = False) -> None:
        """The timed events of the phase that have not acted yet."""
        due = [(e.when.at(self.stage.values), e) for e in self.schedule.phases[at.phase].events]
        # The same sum as the moment at which the march stops: an event acts once, however a run is split.
        later = (pair for pair in due if pair[0] > 0.0 and (after_start or at.phase_start + pair[0] >= at.t))
        self.pending = sorted(later, key=lambda pair: pair[0])

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

    # -- events of the equations ------------------------------------------------------------------------------------
    def _act(self, at: Situation, events: list[int], moving: Array, moves: Array) -> Array:
        """Events of the equations act one after the other; each is disarmed until its condition has been false."""
        for order, k in enumerate(events):
            if order:
                self.stage.settle(at)
            moving = self._act_one(at, k, moving, moves)
            at.armed[k] = 0.0
        return moving

    def _act_one(self, at: Situation, k: int, moving: Array, moves: Array) -> Array:
        stage, c = self.stage, self.stage.c
        here = stage.point(at, left=True)
        d = c.jump_jacobians[k].at(here)
        if stage.n_wrt:
            # Everything along the moving moment: x by `moving`; z and u move with the moment as well.
            s_u = stage.inputs.tangent(at.t, left=True) + np.outer(here.slope, moves)
            s_z = self._moving_algebraic(here, moving, s_u, at.s_d, moves)
            carried = d.x @ moving + d.z @ s_z + d.u @ s_u + d.p @ stage.s_p + d.d @ at.s_d + np.outer(d.t, moves)
            moving, at.s_d = carried[: c.n_x], carried[c.n_x :]
        at.x, at.d = d.value[: c.n_x].copy(), d.value[c.n_x :].copy()
        stage.counters.n_events += 1
        name = c.equations.events[k]
        stage.counters.names[name] = stage.counters.names.get(name, 0) + 1
        return moving

    def _moving_algebraic(self, here: Any, s_x: Array, s_u: Array, s_d: Array, moves: Array) -> Array:
        """dz/dw along the moving moment, by the implicit function theorem with time moving too."""
        c = self.stage.c
        if not c.n_z:
            return np.empty((0, self.stage.n_wrt))
        d, rows = c.flow_jacobian.at(here), slice(c.n_x, None)
        forcing = d.x[rows] @ s_x + d.u[rows] @ s_u + d.p[rows] @ self.stage.s_p + d.d[rows] @ s_d
        return -np.linalg.solve(d.z[rows], forcing + np.outer(d.t[rows], moves))

    # -- integration ------------------------------------------------------------------------------------------------
    def _integrate(self, record: Samples, at: Situation, stop: float, times: Array, i: int) -> int:
        """Carry the situation to `stop`, recording the samples up to and including it."""
        stage, c, span = self.stage, self.stage.c, stop - at.t
        if span <= 0.0:
            return i
        last = int(np.searchsorted(times, stop, side="right"))
        relative = significant((times[i:last] - at.t) / span)
        corners = stage.inputs.corners(at.t, stop)
        marks = {1.0, *relative.tolist(), *significant((np.array(corners) - at.t) / span).tolist()}
        if c.n_w:
            marks |= extremes.marks(stage, at, stop, self.schedule.phases[at.phase])
        grid = tuple(sorted(marks - {0.0}))
        x, z, s_x, s_z = self._carry(at, span, grid, corners)
        stage.counters.n_stretches += 1
        nodes = at.t + span * np.array(grid)
        w, s_w = np.zeros((0, nodes.size)), np.zeros((0, nodes.size, stage.n_wrt))
        if c.n_w:
            w, s_w = extremes.follow(stage, at, nodes, x, z, s_x, s_z)
        if last > i:
            columns = np.minimum(np.searchsorted(np.array(grid), relative), len(grid) - 1)
            here = [m[:, columns] for m in (x, z, w, s_x, s_z, s_w)]
            record.outputs[i:last], record.jacobian[i:last] = stage.sample(at, times[i:last], *here)
        at.t, at.x, at.z = stop, x[:, -1].copy(), z[:, -1].copy()
        at.w, at.s_w, at.s_x = w[:, -1].copy(), s_w[:, -1].copy(), s_x[:, -1].copy()
        if at.armed.size:
            at.armed[stage.conditions(at, left=True)[1]] = 1.0
        return last

    def _carry(
        self, at: Situation, span: float, grid: tuple[float, ...], corners: list[float]
    ) -> tuple[Array, Array, Array, Array]:
        """One integrator over a stretch; restarted at every node where inputs jump or it stumbles over a corner."""
        stage = self.stage
        if not stage.inputs.jump_corners(at.t, at.t + span):
            try:
                result = stage.solve(at, span, grid, sensitive=True)
                stage.counters.n_restarts += 1
                return result
            except SolveError:
                if not corners:
                    raise
        stage.counters.n_restarts += len(grid)
        return stage.solve(at, span, grid, sensitive=True, chained=True)

    def _record(self, record: Samples, at: Situation, rows: slice) -> None:
        """Samples at the present moment, as left limits."""
        n = len(range(*rows.indices(record.outputs.shape[0])))
        if not n:
            return
        stage = self.stage
        s_z = np.zeros((stage.c.n_z, stage.n_wrt))
        if stage.n_wrt and stage.c.n_z:
            s_u = stage.inputs.tangent(at.t, left=True)
            s_z = stage.c.algebraic_tangent(stage.point(at, left=True), at.s_x, s_u, stage.s_p, at.s_d)
        here = [m[:, None] for m in (at.x, at.z, at.w, at.s_x, s_z, at.s_w)]
        outputs, jacobian = stage.sample(at, np.array([at.t]), *here)
        record.outputs[rows], record.jacobian[rows] = outputs, jacobian

    # -- what is wrong ----------------------------------------------------------------------------------------------
    def _check(self, record: Samples, times: Array) -> None:
        """Outputs and derivatives are finite numbers, or the run has failed."""
        for what, table in (("output", record.outputs), ("derivative of output", record.jacobian)):
            if not np.isfinite(table).all():
                k, j = np.argwhere(~np.isfinite(table))[0][:2]
                name = self.stage.c.equations.outputs[j]
                raise SolveError(f'the {what} "{name}" is not a finite number', time=float(times[k]))

    def _told(self, error: SolveError, at: Situation) -> SolveError:
        """The error with the state where the run stood."""
        state = dict(zip(self.stage.c.equations.differential, at.x.tolist(), strict=True))
        known = {name: float(v) for name, v in zip(self.stage.c.equations.parameters, self.stage.p, strict=True)}
        return SolveError(error.reason, time=error.time, values=known, state=state)
