"""What happens between two moments of a recipe, cut into smooth stretches: held inputs, corners, phases and doses."""

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.errors import ModelError, SolveError
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.model import Model, StateKind
from physics_twin.recipes import Action, Recipe
from physics_twin.schedules import BoundEvent, BoundPhase, Schedule, bind

_KEPT = 64
_BLOCKS = ("recipe.phase", "recipe.phase_start")


@dataclass(frozen=True, eq=False)
class Stretch:
    """A smooth piece of time, begin < end in s. At its beginning the state jumps to gain * x + dose, in coordinates."""

    begin: float
    end: float
    inputs: PhaseInputs
    gain: Array
    dose: Array


class Clock:
    """Which phase of the recipe holds when, told by the recipe's part of the states before and after a step."""

    def __init__(self, dynamics: Dynamics, settings: Mapping[str, float]) -> None:
        model = dynamics.model
        self.schedule = _schedule(model, dynamics.recipe)
        self.values = {**dynamics.fixed, **settings}
        c = dynamics.coordinates
        self.names, self.scale = c.names[: c.n_states], c.scale[: c.n_states]
        self.positions = _recipe_positions(dynamics)

    def phase(self, state: Array) -> tuple[int, float]:
        """Number and beginning (s) of the phase that a state is in; -1 before the first event of a run."""
        number, start = (float(state[k]) for k in self.positions)
        return round(number), start

    def inputs(self, state: Array) -> PhaseInputs:
        """The inputs of the phase that a state is in."""
        number, start = self.phase(state)
        return self._inputs(max(number, 0), start)

    def _inputs(self, number: int, start: float) -> PhaseInputs:
        phases = self.schedule.phases
        if number < len(phases):
            lines = lines_of(phases[number], self.values, ())
        else:  # behind the last phase its inputs are held
            lines = lines_of(_held(phases[-1]), self.values, ())
        return PhaseInputs(lines, start, np.zeros(0))

    def stretches(self, before: Array, after: Array, t0: float, t1: float) -> list[Stretch]:
        """The smooth pieces of [t0, t1] for a step from the state `before` to the state `after`; both complete.

        Raises SolveError where two phases that end on a level follow each other within the step.
        """
        number, start = self.phase(before)
        last, last_start = self.phase(after)
        found: list[Stretch] = []
        pending: list[BoundEvent] = []
        at, entered = t0, False
        while True:
            end = t1 if number >= last else self._end_of(number, start, last, last_start)
            if number >= 0:
                inputs = self._inputs(number, start)
                events = self._events(number)
                due = [(start + e.when.at(self.values), e) for e in events if e.when.at(self.values) > 0.0]
                marks = {when for when, _ in due if at <= when < end}
                marks |= {corner for corner in inputs.corners(at, end) if at < corner < end} | {at}
                cuts = [*sorted(marks), end]
                if entered:
                    pending += [e for e in events if e.when.at(self.values) == 0.0]
                for begin, stop in itertools.pairwise(cuts):
                    if stop > begin:
                        pending += [e for when, e in due if when == begin]
                        found.append(Stretch(begin, stop, inputs, *self._jump(pending)))
                        pending = []
                if number < last:  # at its end events act before the next phase; at the end of the step they wait
                    pending += [e for when, e in due if when == end]
            if number >= last:
                return found
            number, start, at, entered = number + 1, end, end, True

    def _end_of(self, number: int, start: float, last: int, last_start: float) -> float:
        if number + 1 == last:
            return last_start
        if number < 0:
            return start
        duration = self.schedule.phases[number].duration
        if duration is None:
            raise SolveError(
                "several phases end within one step and one of them ends on a level: moving horizon estimation cannot "
                "tell when; give samples more often there, or use EnsembleKalman",
                time=start,
            )
        return start + duration.at(self.values)

    def _events(self, number: int) -> tuple[BoundEvent, ...]:
        return self.schedule.phases[number].events if number < len(self.schedule.phases) else ()

    def _jump(self, events: list[BoundEvent]) -> tuple[Array, Array]:
        gain, dose = np.ones(len(self.names)), np.zeros(len(self.names))
        for event in events:
            if event.state not in self.names:
                continue  # an accumulator: the model carries it
            k = self.names.index(event.state)
            amount = event.amount.at(self.values) / self.scale[k]
            if event.action is Action.SET:
                gain[k], dose[k] = 0.0, amount
            else:
                dose[k] += amount if event.action is Action.ADD else -amount
        return gain, dose


_SCHEDULES: OrderedDict[tuple[int, str], tuple[Recipe, Schedule]] = OrderedDict()
_BINDING = threading.Lock()


def _schedule(model: Model, recipe: Recipe) -> Schedule:
    """The recipe bound to the model, kept while the same recipe comes again."""
    key = (id(recipe), model.fingerprint)
    with _BINDING:
        found = _SCHEDULES.get(key)
        if found is None or found[0] is not recipe:
            kinds = (StateKind.DIFFERENTIAL, StateKind.ACCUMULATOR)
            states = {b.name: (b.unit, b.lower, b.upper) for b in model.state if b.kind in kinds}
            found = _SCHEDULES[key] = (recipe, bind(recipe, model.inputs, model.outputs, states))
            if len(_SCHEDULES) > _KEPT:
                _SCHEDULES.popitem(last=False)
        return found[1]


def _held(phase: BoundPhase) -> BoundPhase:
    aims = tuple(pieces.aim() for pieces in phase.inputs)
    return BoundPhase("held", aims, None, -1, None, None, phase.direction, None, ())


def _recipe_positions(dynamics: Dynamics) -> tuple[int, int]:
    first = 0
    found: dict[str, int] = {}
    for block in dynamics.model.state:
        found[block.name] = first
        first += block.size
    if any(name not in found for name in _BLOCKS):
        raise ModelError(
            f"{dynamics.model.name}: its state does not say which phase of the recipe is active "
            f"({', '.join(_BLOCKS)}); moving horizon estimation needs to know, EnsembleKalman does not"
        )
    return found[_BLOCKS[0]], found[_BLOCKS[1]]


def n_elements(length: float, longest: float) -> int:
    """How many equal elements of at most `longest` s make up `length` s."""
    return max(1, math.ceil(length / longest * (1.0 - 1e-9))) if math.isfinite(longest) else 1
