"""A run of a field model through a recipe: phases, breakpoints, steps, samples. What was accepted is kept as a tape.

Breakpoints are the corners of the inputs, the beginnings and ends of phases; a stretch lies between two of them and its
inputs are straight lines in time. Steps never go over a breakpoint; samples inside a step are interpolated.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, SolveError
from physics_twin.fem.following import Followed, Link
from physics_twin.fem.newton import Stage, StageSolver, jacobian_at
from physics_twin.fem.observers import Observers
from physics_twin.fem.operators import Operators
from physics_twin.fem.stepping import (
    IMPLICIT_EULER,
    TR_BDF2,
    Adaptive,
    ErrorNorm,
    FixedSteps,
    GivenSteps,
    Scheme,
    Stepping,
    interpolation,
    next_step,
)
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.schedules import BoundPhase, Schedule, known_until, length_of, table_ended

_SMALLEST = 1e-12  # of a stretch: a step below it is given up
_SMALLEST_LOAD = 1e-2  # of a load step: where load steps of a law without time are given up
_CUT = 0.25  # of a step that failed
_FIRST = 1e-3  # of a stretch, for a first step that nobody gave
_TINY, _MOST_TINY = 1e-7, 200  # of a stretch, and in a row: what is followed in such steps grows without bound
_MOST_STEPS = 50_000  # between two breakpoints
_MEMORY = 4e9  # bytes of kept states beyond which a sensitivity is refused


@dataclass
class Stand:
    """Where a run stands."""

    t: float
    u: Array
    z: Array
    reference: float
    """Stored energy at the start of the run"""
    supplied: float
    step: float
    """The step that the controller would take next; 0 before the first"""
    phase: int
    phase_start: float
    side: float

    def copy(self) -> "Stand":
        """A copy that a step may change; arrays are replaced, never written to."""
        return Stand(**self.__dict__)


@dataclass(frozen=True)
class Step:
    """An accepted step."""

    t: float
    h: float
    u: Array
    """At its start, prescribed values of the new stretch imposed."""
    z: Array
    stages: tuple[Stage, ...]
    """One for each stage of the scheme (the explicit one as well)."""
    followed: "Followed | None" = None
    """The step of a mechanical model that follows."""


@dataclass
class Stretch:
    """The steps between two breakpoints of a phase, and the samples that they hold."""

    phase: int
    phase_start: float
    t0: float
    t1: float
    ends_phase: bool = False
    on_level: bool = False
    entered: "Followed | None" = None
    """How a model that follows took up what jumped at the beginning."""
    steps: list[Step] = field(default_factory=list)
    samples: list[tuple[int, int, float]] = field(default_factory=list)
    """(number of the sample, number of the step, place in the step in [0, 1])"""


@dataclass
class Tape:
    """Everything that was accepted, in order; what tangents and adjoints replay."""

    start: Stand
    stretches: list[Stretch] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    """Samples at the start itself."""


@dataclass
class Counts:
    """What a run cost."""

    steps: int = 0
    rejected: int = 0
    failed: int = 0


Theta = Callable[[float], Array]


class March:
    """One run; used once."""

    def __init__(
        self,
        operators: Operators,
        stages: StageSolver,
        observers: Observers,
        stepping: Stepping,
        norm: ErrorNorm | None,
        schedule: Schedule,
        parameters: Array,
        values: Mapping[str, Any],
    ) -> None:
        self.ops, self.stages, self.observers = operators, stages, observers
        self.stepping, self.norm = stepping, norm
        self.schedule, self.p, self.values_ = schedule, parameters, values
        self.transient = operators.f.storage is not None
        self.stepped = self.transient or operators.law is not None
        self.scheme: Scheme = (
            stepping.scheme
            if isinstance(stepping, FixedSteps | GivenSteps) and self.transient
            else TR_BDF2
            if self.transient
            else IMPLICIT_EULER
        )
        self.counts = Counts()
        self.record: Callable[[int, Array, Array, Array], None] | None = None
        """Told of every sample: its number, the field, the local states and theta there."""
        self._last_storage: tuple[Array, Array] | None = None
        self._number = 0  # of the stretch
        self._held: BoundPhase | None = None
        self.link: Link | None = None
        """A mechanical model that follows, with where it stands."""
        self.followed: tuple[Array, Array] = (np.empty(0), np.empty((0, 0)))
        self.began: Followed | None = None
        """How a model that follows with a memory took up its first loads."""
        self._inputs_before = np.empty(0)

    # -- through the recipe -----------------------------------------------------------------------------------------
    def run(self, at: Stand, times: Array, tape: Tape | None = None) -> tuple[Array, Stand]:
        """Outputs (n_times, n_outputs) at ascending times >= at.t, and where the run then stands."""
        n_followed = 0 if self.link is None else len(self.link.mechanical.observers)
        outputs = np.full((times.size, len(self.observers) + 3 * self.transient + n_followed), np.nan)
        self.stages.begin()
        self.ops.begin(self.theta(at, at.t, left=True))
        self._guard(at.u, self.theta(at, at.t, left=True))
        self._inputs_before = self.theta(at, at.t, left=True)[self.p.size : -1]
        i = 0
        while i < times.size and times[i] <= at.t:
            outputs[i] = self.observe(at)
            if self.record is not None:
                self.record(i, at.u, at.z, self.theta(at, at.t, left=True))
            if tape is not None:
                tape.before.append(i)
            i += 1
        while i < times.size:
            at, i = self._stretch(at, times, i, outputs, tape)
        return outputs, at

    def enter(self, at: Stand) -> None:
        """Begin the first phase, or the one after a phase that has ended."""
        at.phase, at.phase_start = at.phase + 1, at.t
        at.side = 0.0

    def phase(self, at: "Stand | Stretch") -> BoundPhase:
        """The active phase; after the last one its inputs are held at what they came to."""
        if at.phase < len(self.schedule.phases):
            return self.schedule.phases[max(at.phase, 0)]
        if self._held is None:
            last = self.schedule.phases[-1]
            self._held = replace(last, inputs=tuple(piece.aim() for piece in last.inputs))
        return self._held

    def inputs(self, at: Stand) -> PhaseInputs:
        """The inputs of the active phase."""
        return PhaseInputs(lines_of(self.phase(at), self.values_, ()), at.phase_start, np.empty(0))

    def theta(self, at: Stand, t: float, *, left: bool) -> Array:
        """The symbols at a moment."""
        u = self.inputs(at).at(t, left=left)[0] if self.ops.symbols.n_s else np.empty(0)
        return np.concatenate([self.p, u, [t]])

    def _stretch(self, at: Stand, times: Array, i: int, outputs: Array, tape: Tape | None) -> tuple[Stand, int]:
        """One stretch, or what is asked of it."""
        at = at.copy()
        if at.phase < 0:
            self.enter(at)
        phases = self.schedule.phases
        last_phase = at.phase >= len(phases) - 1
        held = at.phase >= len(phases)
        phase = self.phase(at)
        length = math.inf if held else length_of(phase, self.values_)
        if held and not self.schedule.hold_end:
            raise RecipeError(f"the recipe ends at {at.t:g} s and was asked for later times")
        end = at.phase_start + length
        last = float(times[-1])
        rounding = 1e-9 * max(abs(end), 1e-3) if math.isfinite(end) else 0.0
        if last_phase and not held and last - end <= rounding:
            end = max(end, last)
        if end <= at.t:
            if phase.duration is None and not held:
                raise self._no_level(phase, at)
            self.enter(at)
            return at, i
        inputs = self.inputs(at)
        known = known_until(phase, math.inf if math.isinf(end) else end - at.phase_start)
        if at.t - at.phase_start >= known:
            raise table_ended(phase, known)
        corners = inputs.corners(at.t, min(end, last + 1.0) if math.isinf(end) else end)
        stop = min([end, at.phase_start + known, *corners])
        # The stretch goes to its breakpoint; the run stops at the last time that was asked for.
        goal = min(stop, last)
        if not self.stepped:
            goal = min(goal, float(times[i]))
        stretch = Stretch(at.phase, at.phase_start, at.t, goal)
        on_level = self._steps(at, goal, inputs, times, i, outputs, stretch, phase if not held else None, tape)
        stretch.t1 = at.t
        stretch.on_level = on_level
        stretch.ends_phase = on_level or at.t >= end
        if stretch.ends_phase and not on_level and not held and phase.duration is None:
            raise self._no_level(phase, at)
        if tape is not None:
            tape.stretches.append(stretch)
        i += len(stretch.samples)
        if on_level:
            self.enter(at)
        return at, i

    def _no_level(self, phase: BoundPhase, at: Stand) -> SolveError:
        return SolveError(
            f'phase "{phase.name}" did not reach its level within at_most', time=at.t, values=self._named_values()
        )

    def _named_values(self) -> dict[str, float]:
        return {p.name: float(v) for p, v in zip(self.ops.symbols.parameters, self.p, strict=True)}

    # -- steps ------------------------------------------------------------------------------------------------------
    def _steps(
        self,
        at: Stand,
        goal: float,
        inputs: PhaseInputs,
        times: Array,
        i: int,
        outputs: Array,
        stretch: Stretch,
        phase: BoundPhase | None,
        tape: Tape | None,
    ) -> bool:
        """Steps from at.t to goal; returns whether the phase ended on its level."""
        theta = self._lines(inputs, at.t, goal)
        imposed = self._impose(at, theta)
        stretch.entered = self._jumped(at, theta(at.t), imposed)
        q = self._storage(at, theta)
        watch = phase if phase is not None and phase.until_level is not None else None
        margin = self._margin(at.u, at.z, theta(at.t), watch) if watch is not None else 0.0
        if watch is not None and at.side == 0.0:
            at.side = -1.0 if margin < 0.0 else 1.0
        span = goal - at.t
        h = self._first(at, span)
        previous: Step | None = None
        attempts, tiny, rejected, crossed = 0, 0, False, False
        given = list(self.stepping.steps(self._number, span)) if isinstance(self.stepping, GivenSteps) else []
        self._number += 1
        while at.t < goal:
            left = goal - at.t
            if isinstance(self.stepping, GivenSteps):
                h = given.pop(0) if given else left
            cut = h >= left * (1.0 - 1e-9)
            # Two equal steps rather than a long and a tiny one.
            take = left if cut else (0.5 * left if h > 0.55 * left and not self._fixed() else h)
            if self._fixed() and abs(take - h) <= 1e-9 * h:
                take = h  # a table's rows are not equidistant to the last bit; the matrix of the step is kept
            try:
                step, new_q, error = self._step(at, take, theta, q, previous)
                if error <= 1.0:
                    step = self._with_follower(step, theta)
            except SolveError as failure:
                self.counts.failed += 1
                self.stages.begin()
                h = _CUT * take
                smallest = _SMALLEST * max(span, 1e-300)
                if self._by_load:
                    smallest = max(smallest, _SMALLEST_LOAD * self._first(at, span))
                if h < smallest or at.t + h <= at.t:
                    reason = failure.reason + self.ops.f.advice
                    raise SolveError(reason, time=at.t + take, values=self._named_values()) from failure
                previous = None
                if isinstance(self.stepping, GivenSteps):
                    given[:0] = [h, take - h]  # a given step that fails is two
                continue
            attempts += 1
            if attempts > _MOST_STEPS:
                raise SolveError(
                    f"{_MOST_STEPS} steps between two breakpoints were not enough for the tolerance",
                    time=at.t,
                    values=self._named_values(),
                )
            tiny = tiny + 1 if take < _TINY * span and not cut else 0
            if tiny > _MOST_TINY:
                raise SolveError(
                    f"the solution changes within {take:.1e} s again and again: it grows without bound, or a rate is "
                    "absurd",
                    time=at.t,
                    values=self._named_values(),
                )
            if error > 1.0:
                self.counts.rejected += 1
                rejected = True
                h = next_step(take, error, self.scheme.order)
                if h < _SMALLEST * span:
                    raise SolveError(
                        "the steps become too small for their tolerance", time=at.t, values=self._named_values()
                    )
                continue
            if watch is not None:
                step, new_q, crossed = self._to_level(at, step, new_q, theta, q, watch, margin)
                if crossed:
                    step = self._with_follower(step, theta)
                end = step.stages[-1]
                margin = self._margin(end.u, end.z, theta(at.t + step.h), watch)
            self._accept(at, step, q, new_q, theta, times, i, outputs, stretch, goal, tape)
            q, previous = new_q, step
            if isinstance(self.stepping, Adaptive) and self.transient:
                proposed = min(next_step(step.h, error, self.scheme.order), self.stepping.largest)
                if rejected:
                    proposed = min(proposed, step.h)  # what was refused is not tried again at once
                h = max(h, proposed) if cut else proposed
                at.step, rejected = h, False
            elif self.counts.failed:
                h = min(2.0 * step.h, self._first(at, span))
            if crossed:
                break
        self._inputs_before = theta(at.t)[self.p.size : -1]
        return crossed

    @property
    def _by_load(self) -> bool:
        """Whether time only orders the loads (plasticity)."""
        return self.stepped and not self.transient

    def _guard(self, u: Array, theta: Array) -> None:
        for guard in self.ops.f.guards:
            reason = guard.broken(self.ops.comm, u, theta)
            if reason:
                raise SolveError(reason, time=float(theta[-1]), values=self._named_values())

    def _fixed(self) -> bool:
        return isinstance(self.stepping, FixedSteps | GivenSteps)

    def _first(self, at: Stand, span: float) -> float:
        if isinstance(self.stepping, FixedSteps):
            return self.stepping.step
        if not self.transient or isinstance(self.stepping, GivenSteps):
            return span
        if at.step > 0.0:
            return min(at.step, self.stepping.largest)
        return min(_FIRST * span if self.stepping.first is None else self.stepping.first, self.stepping.largest)

    def _lines(self, inputs: PhaseInputs, t0: float, t1: float) -> Theta:
        """theta as a function of time within a stretch: inputs are looked up in its middle."""
        middle = 0.5 * (t0 + t1)
        if not self.ops.symbols.n_s:
            return lambda t: np.append(self.p, t)
        value, slope = inputs.at(middle)
        return lambda t: np.concatenate([self.p, value + slope * (t - middle), [t]])

    def _impose(self, at: Stand, theta: Theta) -> bool:
        """Prescribed values of the new stretch, and whether they jump; the energy of a jump is supplied energy."""
        if not self.transient or (not self.ops.held.size and not self.ops.any_held):
            return False  # without storage the first stage takes the new values
        new = self.ops.essential_values(theta(at.t))
        change = float(np.abs(new - at.u[self.ops.held]).max(initial=0.0))
        if self.ops.comm.size > 1:
            change = self.ops.comm.allreduce(change)
        if change == 0.0:
            return False
        at.u = at.u.copy()  # it may belong to a step that was kept
        before = self._stored(at.u, at.z, theta(at.t))
        at.u[self.ops.held] = new
        at.supplied += self._stored(at.u, at.z, theta(at.t)) - before
        return True

    def _storage(self, at: Stand, theta: Theta) -> Array:
        if not self.transient:
            return np.zeros(self.ops.n)
        if self._last_storage is not None and self._last_storage[0] is at.u and self.ops.linear:
            return self._last_storage[1]  # the stretch before ended here
        self._write_local(at.z)
        return self.ops.value(1.0, 0.0, at.u, theta(at.t))

    def _stored(self, u: Array, z: Array, theta: Array) -> float:
        self._write_local(z)
        return self.ops.sum(self.ops.value(1.0, 0.0, u, theta))

    def _write_local(self, z: Array) -> None:
        if self.ops.law is not None:
            self.ops.law.write(z)

    def _step(self, at: Stand, h: float, theta: Theta, q0: Array, previous: Step | None) -> tuple[Step, Array, float]:
        """One step: its stages, Q at its end, and its error in units of the tolerance (0 where none is estimated)."""
        scheme, ops = self.scheme, self.ops
        stages: list[Stage] = []
        flows: list[Array] = []
        rates: list[Array] = []
        timed = ops.law is not None and ops.law.timed
        weight_q = 1.0 if self.transient else 0.0
        new_q = q0
        for i, row in enumerate(scheme.a):
            t = at.t + scheme.c[i] * h
            th = theta(t)
            base = at.z
            if timed and rates:
                base = at.z + h * sum(a * r for a, r in zip(row[: len(rates)], rates, strict=True) if a != 0.0)
            if row[i] == 0.0:
                stage = Stage(at.u, at.z, self._given(at.u, th))
            else:
                known = -q0 if self.transient else np.zeros(ops.n)
                if flows:
                    known = known + h * sum(a * r for a, r in zip(row[: len(flows)], flows, strict=True) if a != 0.0)
                weight = h * row[i] if self.transient else 1.0
                guess, z_guess = self._guess(at, previous, h, scheme.c[i], stages)
                stage = self.stages.solve(weight_q, weight, known, base, th, guess, z_guess)
            stages.append(stage)
            last = i + 1 == len(scheme.a)
            if last and self.transient:
                self._write_local(stage.z)
                new_q = ops.value(1.0, 0.0, stage.u, th)
            if last and self.transient and stage.image is not None:
                flows.append((stage.image - new_q) / (h * row[i]) + ops.load(th))
            elif not last or self.transient:
                self._write_local(stage.z)
                flows.append(ops.value(0.0, 1.0, stage.u, th))
                if timed:
                    assert ops.law is not None
                    rates.append(ops.law.rate(stage.z, stage.e, th))
        self._flows = flows
        error = self._error(h, flows, rates, stages, theta(at.t + h))
        return Step(at.t, h, at.u, at.z, tuple(stages)), new_q, error

    def first_step(self, start: Stand) -> tuple[Step, Array]:
        """How the start of a law without time came about: its loads, put on in one step; and theta there."""
        law = self.ops.law
        assert law is not None
        theta = self.theta(start, start.t, left=True)
        stage = Stage(start.u, start.z, self._given(start.u, theta))
        return Step(start.t, 0.0, np.zeros_like(start.u), law.initial(theta), (stage,)), theta

    def _given(self, u: Array, theta: Array) -> Array:
        if self.ops.law is None:
            return np.empty((0, 0))
        self.ops.symbols.set(theta)
        self.ops.write(u)
        return self.ops.given()

    def _guess(self, at: Stand, previous: Step | None, h: float, c: float, stages: list[Stage]) -> tuple[Array, Array]:
        """The interpolant of the step before, drawn out to this stage; the latest state where there is none."""
        z = stages[-1].z if stages else at.z
        if previous is None or not self.transient or self.scheme.order < 2:
            return (stages[-1].u if stages else at.u), z
        x = 1.0 + c * h / previous.h
        if x > 3.0:
            return (stages[-1].u if stages else at.u), z
        weights, _ = interpolation(self.scheme, x)
        states = [previous.u, *(s.u for s, k in zip(previous.stages, self.scheme.c, strict=True) if k > 0.0)]
        return np.asarray(sum(w * u for w, u in zip(weights, states, strict=True))), z

    def _error(self, h: float, flows: list[Array], rates: list[Array], stages: list[Stage], theta: Array) -> float:
        """Hosea and Shampine's estimate, filtered by the matrix of the last stage."""
        weights = self.scheme.error
        if weights is None or not isinstance(self.stepping, Adaptive) or self.norm is None:
            return 0.0
        defect = h * sum(w * r for w, r in zip(weights, flows, strict=True))
        defect = np.asarray(defect)
        defect[self.ops.held] = 0.0
        if self.stages._weights is None:
            # Newton's method dropped its factors in the last stage.
            g = h * self.scheme.diagonal
            matrix = jacobian_at(self.ops, 1.0, g, stages[-1], stages[-1].z, theta, self.stages._matrix)
            self.stages._matrix = matrix
            self.stages.solver.set_operator(matrix)
            self.stages._weights = (1.0, g)
        du = self.stages.solver.solve(defect, rtol=1e-3)
        dz = None
        if rates:
            dz = h * sum(w * r for w, r in zip(weights, rates, strict=True))
        return self.norm(du, None if dz is None else np.asarray(dz))

    # -- levels -----------------------------------------------------------------------------------------------------
    def _margin(self, u: Array, z: Array, theta: Array, phase: BoundPhase) -> float:
        assert phase.until_level is not None
        return float(self.observers.values(u, z, theta)[phase.until_output]) - phase.until_level.at(self.values_)

    def _to_level(
        self, at: Stand, step: Step, q1: Array, theta: Theta, q0: Array, phase: BoundPhase, before: float
    ) -> tuple[Step, Array, bool]:
        """The step, shortened to end on the level of the phase where it crosses that."""
        sign = float(phase.direction.value) or -at.side

        def over(s: Step) -> float:
            end = s.stages[-1]
            return sign * self._margin(end.u, end.z, theta(at.t + s.h), phase)

        low, high = 0.0, step.h
        f_low, f_high = sign * before, over(step)
        if f_low >= 0.0 or f_high < 0.0:
            return step, q1, False
        best, best_q = step, q1
        scale = abs(f_high - f_low)
        for _ in range(40):
            if abs(f_high) <= 1e-10 * scale or high - low <= 1e-13 * high:
                break
            # Regula falsi in the Illinois form; each trial is a whole step, so that the end is a state of the scheme.
            h = high - f_high * (high - low) / (f_high - f_low)
            trial, trial_q, _ = self._step(at, h, theta, q0, None)
            f = over(trial)
            if f >= 0.0:
                high, f_high, best, best_q = h, f, trial, trial_q
                f_low *= 0.5
            else:
                low, f_low = h, f
                f_high *= 0.5
                if abs(f) <= 1e-10 * scale:
                    best, best_q = trial, trial_q
                    break
        # The flows of the accepted step are those of the energy balance.
        best, best_q, _ = self._step(at, best.h, theta, q0, None)
        return best, best_q, True

    # -- what a step leaves -----------------------------------------------------------------------------------------
    def _accept(
        self,
        at: Stand,
        step: Step,
        q0: Array,
        q1: Array,
        theta: Theta,
        times: Array,
        i: int,
        outputs: Array,
        stretch: Stretch,
        goal: float,
        tape: Tape | None,
    ) -> None:
        self.counts.steps += 1
        start_t, supplied = at.t, at.supplied
        end = step.stages[-1]
        reached = (
            goal
            if at.t + step.h >= goal * (1.0 - 1e-15) and abs(at.t + step.h - goal) <= 1e-12 * max(abs(goal), step.h)
            else at.t + step.h
        )
        self._guard(end.u, theta(reached))
        gain = 0.0
        if self.transient:
            flow = step.h * sum(b * r for b, r in zip(self.scheme.a[-1], self._flows, strict=True))
            gain = -self.ops.sum(np.asarray(flow))
            if self.ops.any_held:
                gain += self.ops.sum((q1 - q0 + flow)[self.ops.held])
        i = i + len(stretch.samples)
        before = after = 0.0
        if self.transient:
            before, after = (self.ops.sum(q) - at.reference - s for q, s in ((q0, supplied), (q1, supplied + gain)))
        while i < times.size and times[i] <= reached:
            x = 1.0 if reached == times[i] else min((float(times[i]) - start_t) / step.h, 1.0)
            u, z = self.between(step, x)
            # The balance is closed by steps; within a step it is interpolated.
            imbalance = (1.0 - x) * before + x * after
            outputs[i] = self._observed(u, z, theta(float(times[i])), at.reference, imbalance, (step, x))
            if self.record is not None:
                self.record(i, u, z, theta(float(times[i])))
            stretch.samples.append((i, len(stretch.steps), x))
            i += 1
        if tape is not None:
            stretch.steps.append(step)
            self._check_memory(tape, stretch)
        else:
            stretch.steps = [step] if not stretch.steps else stretch.steps
        self._last_storage = (end.u, q1)
        if step.followed is not None:
            self.followed = (step.followed.end.u, step.followed.end.z)
        at.t, at.u, at.z, at.supplied = reached, end.u, end.z, supplied + gain

    # -- a model that follows ---------------------------------------------------------------------------------------
    def _with_follower(self, step: Step, theta: Theta) -> Step:
        """The step with that of a mechanical model of its own memory."""
        if self.link is None or not self.link.stepped:
            return step
        u, z = self.followed
        end = self.link.solve(step.stages[-1].u, u, z, theta(step.t + step.h))
        return replace(step, followed=Followed(u, z, end))

    def _jumped(self, at: Stand, theta: Array, imposed: bool) -> "Followed | None":
        """A mechanical model of its own memory takes up loads that jump at once, not over the next thermal step."""
        if self.link is None or not self.link.stepped:
            return None
        if not imposed and np.allclose(theta[self.p.size : -1], self._inputs_before, rtol=1e-9, atol=0.0):
            return None
        u, z = self.followed
        try:
            entered = Followed(u, z, self.link.solve(at.u, u, z, theta))
        except SolveError as failure:
            raise SolveError(failure.reason, time=at.t, values=self._named_values()) from failure
        self.followed = entered.end.u, entered.end.z
        return entered

    def followed_at(
        self, temperature: Array, theta: Array, within: "tuple[Step, float] | None"
    ) -> tuple[Array, Array, Array]:
        """Temperature, displacement and local states of the model that follows, in a step or where the run stands.

        With a memory all three are straight lines between the ends of a step: a temperature that is curved beside a
        plastic strain that is not would be a stress that nothing causes.
        """
        assert self.link is not None
        u, z = self.followed
        if not self.link.stepped:
            end = self.link.solve(temperature, u, z, theta)
            self.followed = (end.u, z)
            return temperature, end.u, z
        if within is None or within[0].followed is None:
            return temperature, u, z
        (step, x), f = within, within[0].followed
        straight = (1.0 - x) * step.u + x * step.stages[-1].u
        return straight, (1.0 - x) * f.u + x * f.end.u, (1.0 - x) * f.z + x * f.end.z

    def _check_memory(self, tape: Tape, stretch: Stretch) -> None:
        n_steps = sum(len(s.steps) for s in tape.stretches) + len(stretch.steps)
        step = stretch.steps[-1]
        size = sum(s.u.nbytes + s.z.nbytes + s.e.nbytes for s in step.stages)
        if n_steps * size > _MEMORY:
            raise SolveError(
                f"derivatives of this run need all its states, more than {_MEMORY / 1e9:.0f} GB after {n_steps} steps; "
                "take larger steps, a coarser mesh, or a shorter run",
                time=step.t,
            )

    def between(self, step: Step, x: float) -> tuple[Array, Array]:
        """Field and local states at the place x of a step."""
        if x == 1.0:
            return step.stages[-1].u, step.stages[-1].z
        weights, _ = interpolation(self.scheme, x)
        states = [(step.u, step.z)]
        states += [(s.u, s.z) for s, c in zip(step.stages, self.scheme.c, strict=True) if c > 0.0]
        u = sum(w * s[0] for w, s in zip(weights, states, strict=True))
        z = sum(w * s[1] for w, s in zip(weights, states, strict=True))
        return np.asarray(u), np.asarray(z)

    def observe(self, at: Stand) -> Array:
        """Outputs where the run stands, left limits."""
        theta = self.theta(at, at.t, left=True)
        imbalance = self._stored(at.u, at.z, theta) - at.reference - at.supplied if self.transient else 0.0
        return self._observed(at.u, at.z, theta, at.reference, imbalance)

    def _observed(
        self,
        u: Array,
        z: Array,
        theta: Array,
        reference: float,
        imbalance: float,
        within: "tuple[Step, float] | None" = None,
    ) -> Array:
        values = self.observers.values(u, z, theta)
        if self.transient:
            stored = self._stored(u, z, theta) - reference
            values = np.concatenate([values, [stored, stored - imbalance, imbalance]])
        if self.link is not None:
            given, displacement, local = self.followed_at(u, theta, within)
            values = np.concatenate([values, self.link.outputs(given, displacement, local, theta)])
        if not np.isfinite(values).all():
            raise SolveError("an output is not a finite number", time=float(theta[-1]), values=self._named_values())
        return values
