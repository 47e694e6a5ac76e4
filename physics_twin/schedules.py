"""A recipe bound to a model: the same phases in SI, inputs and outputs by position, open settings by name."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, unknown_name
from physics_twin.recipes import (
    RAMP,
    Action,
    Direction,
    Input,
    Level,
    Phase,
    Ramp,
    Recipe,
    StateEvent,
    Steady,
    Table,
)
from physics_twin.signals import Setting, Signal
from physics_twin.units import Unit, to_si, to_si_array, unit as as_unit

_SECOND = "s"


@dataclass(frozen=True)
class Amount:
    """A number in SI, or the name of the setting that holds it."""

    value: float
    setting: str | None = None

    def at(self, values: Mapping[str, Any]) -> float:
        """The number, with settings taken from `values`."""
        if self.setting is None:
            return self.value
        try:
            return float(values[self.setting])
        except KeyError:
            raise RecipeError(
                f'the recipe leaves the setting "{self.setting}" open; give it in values, for example '
                f'values={{"{self.setting}": "..."}}'
            ) from None

    def slope(self, wrt: Sequence[str]) -> Array:
        """Derivative with respect to the names in `wrt`: (n_wrt,), ones and zeros."""
        return np.array([1.0 if name == self.setting else 0.0 for name in wrt])


@dataclass(frozen=True, eq=False)
class Pieces:
    """One input over a phase: straight lines between corners, or a ramp whose corners are settings."""

    times: Array
    """(n,) s since the phase began; a piece starts at each of them."""
    starts: Array
    """(n,) value at the piece's beginning, SI."""
    slopes: Array
    """(n,) SI per s."""
    ramp: "tuple[Amount, Amount, Amount] | None"
    """start, end, length of a ramp; then `times` and the rest are empty."""
    level: Amount | None
    """A held value that may be a setting; then the rest is empty."""
    known_until: float = math.inf
    """s since the phase began: the end of a table that is not held."""

    @property
    def jumps(self) -> bool:
        """Whether the value jumps at a corner: a held table of more than one value."""
        return self.times.size > 1 and not self.slopes.any() and bool((np.diff(self.starts) != 0.0).any())

    @property
    def open(self) -> bool:
        """Whether a setting is part of it."""
        amounts = self.ramp if self.ramp is not None else (self.level,)
        return any(amount is not None and amount.setting is not None for amount in amounts)

    def aim(self) -> "Pieces":
        """What the input is held at in later phases that do not name it: a ramp's end, a table's last row."""
        if self.level is not None:
            return self
        last = self.ramp[1] if self.ramp is not None else Amount(float(self.starts[-1]))
        return Pieces(_NONE, _NONE, _NONE, None, last)


@dataclass(frozen=True)
class BoundEvent:
    """An event in SI: state index, what it does, how much, when (s since the phase began)."""

    action: Action
    state: str
    amount: Amount
    when: Amount


@dataclass(frozen=True, eq=False)
class BoundPhase:
    """A phase in SI."""

    name: str
    inputs: tuple[Pieces, ...]
    """One for each model input."""
    duration: Amount | None
    until_output: int
    until_signal: Signal | None
    until_level: Amount | None
    direction: Direction
    at_most: Amount | None
    events: tuple[BoundEvent, ...]

    @functools.cached_property
    def fixed_inputs(self) -> bool:
        """Whether no setting is part of the inputs."""
        return not any(pieces.open for pieces in self.inputs)


def length_of(phase: BoundPhase, values: Mapping[str, Any]) -> float:
    """The longest a phase may take, s: its duration, or its at_most. Raises RecipeError for a negative time."""
    limit = phase.at_most if phase.duration is None else phase.duration
    assert limit is not None
    length = limit.at(values)
    if not length >= 0.0:
        raise RecipeError(f'phase "{phase.name}" takes {length:g} s; a duration is not negative')
    return length


def known_until(phase: BoundPhase, length: float) -> float:
    """How far the inputs of a phase are known, s since it began; inf where they outlast it (to rounding)."""
    end = min((pieces.known_until for pieces in phase.inputs), default=math.inf)
    return math.inf if end >= length * (1.0 - 1e-12) else end


def table_ended(phase: BoundPhase, end: float) -> RecipeError:
    """What to say when a run goes on behind the last row of a table."""
    return RecipeError(
        f'phase "{phase.name}": the table of an input ends after {end:g} s and the phase goes on; make it longer, or '
        f"say hold_after=True"
    )


@dataclass(frozen=True)
class Schedule:
    """A recipe bound to a model: the same phases, in SI, inputs by position."""

    phases: tuple[BoundPhase, ...]
    initial: Mapping[str, Amount] | Steady
    hold_end: bool
    settings: tuple[str, ...]
    sizes: Mapping[str, float]
    """Setting -> width of its bounds, SI."""

    @property
    def timed(self) -> bool:
        """Whether every phase ends by the clock."""
        return all(phase.duration is not None for phase in self.phases)


def held_end(schedule: Schedule) -> BoundPhase:
    """One more phase, without end, that holds the last inputs."""
    held = tuple(piece.aim() for piece in schedule.phases[-1].inputs)
    return BoundPhase("held", held, Amount(math.inf), -1, None, None, Direction.EITHER, None, ())


def bind(
    recipe: Recipe,
    inputs: Sequence[Signal],
    outputs: Sequence[Signal],
    states: Mapping[str, tuple[Unit, float, float]],
) -> Schedule:
    """The recipe in SI for a model with these inputs, outputs and states (name -> unit, lower, upper).

    Raises UnknownNameError for a name the model does not have, UnitError for a unit that does not fit, and
    RecipeError for an input that the first phase does not give.
    """
    input_names = [s.name for s in inputs]
    output_names = [s.name for s in outputs]
    second = as_unit(_SECOND)
    phases: list[BoundPhase] = []
    aims: list[Pieces | None] = [None] * len(inputs)
    for number, phase in enumerate(recipe.phases):
        where = f'phase "{phase.name}"'
        for name in phase.inputs:
            if name not in input_names:
                raise unknown_name("input", name, input_names)
        if number == 0:
            missing = [name for name in input_names if name not in phase.inputs]
            if missing:
                raise RecipeError(f'{where} is the first and must give every input; "{missing[0]}" is missing')

        bound: list[Pieces] = []
        for i, signal in enumerate(inputs):
            given = phase.inputs.get(signal.name)
            pieces = aims[i] if given is None else _pieces(given, signal, phase, f"{where}: {signal.name}")
            assert pieces is not None  # the first phase gives every input
            bound.append(pieces)
            aims[i] = pieces.aim()
        until_output, until_level, until_signal = -1, None, None
        if phase.until is not None:
            if phase.until.output not in output_names:
                raise unknown_name("output", phase.until.output, output_names)
            until_output = output_names.index(phase.until.output)
            until_signal = outputs[until_output]
            until_level = _amount(phase.until.level, until_signal.unit, f"{where}: until")
        phases.append(
            BoundPhase(
                name=phase.name,
                inputs=tuple(bound),
                duration=None
                if phase.duration is None
                else _amount(phase.duration, second, f"{where}: duration", True),
                until_output=until_output,
                until_signal=until_signal,
                until_level=until_level,
                direction=Direction.EITHER if phase.until is None else phase.until.direction,
                at_most=None if phase.at_most is None else _amount(phase.at_most, second, f"{where}: at_most"),
                events=tuple(_events(phase, states)),
            )
        )
    return Schedule(tuple(phases), _initial(recipe, states), recipe.hold_end, tuple(recipe.settings), _widths(recipe))


States = Mapping[str, tuple[Unit, float, float]]


def _events(phase: Phase, states: States) -> Iterator[BoundEvent]:
    """The events of a phase, those of its start at 0 s."""
    rows: list[tuple[Level, tuple[StateEvent, ...]]] = [((0.0, "s"), phase.start), *phase.at]
    for when, group in rows:
        for event in group:
            if event.state not in states:
                raise unknown_name("state", event.state, list(states))
            unit = states[event.state][0]
            unit = unit if event.action is Action.SET else unit.difference()
            what = f'phase "{phase.name}": {event.action.value} {event.state}'
            amount, moment = _amount(event.amount, unit, what), _amount(when, as_unit(_SECOND), what)
            yield BoundEvent(event.action, event.state, amount, moment)


def _initial(recipe: Recipe, states: States) -> Mapping[str, Amount] | Steady:
    """What the recipe binds of the initial state."""
    if isinstance(recipe.initial, Steady):
        return recipe.initial
    for name in recipe.initial:
        if name not in states:
            raise unknown_name("state", name, list(states))
    return {name: _amount(x, states[name][0], f"initial.{name}") for name, x in recipe.initial.items()}


def _amount(level: Level, unit: Unit, what: str, infinite: bool = False) -> Amount:
    """A quantity in SI, or the name of its setting once its unit is seen to fit."""
    if isinstance(level, Setting):
        if level.unit.dimension != unit.dimension:
            to_si((1.0, level.unit.text), unit, name=f'setting "{level.name}" as {what}')
        return Amount(math.nan, level.name)
    return Amount(to_si(level, unit, name=what, allow_infinite=infinite))


def _widths(recipe: Recipe) -> dict[str, float]:
    widths = {name: setting.bounds[1] - setting.bounds[0] for name, setting in recipe.settings.items()}
    return {name: width for name, width in widths.items() if 0.0 < width < math.inf}


_NONE = np.empty(0)


def _pieces(given: Input, signal: Signal, phase: Phase, what: str) -> Pieces:
    if isinstance(given, Table):
        if given.unit.dimension != signal.unit.dimension:
            to_si_array(([1.0], given.unit.text), signal.unit, name=what)
        t, v = np.array(given.times), np.array(given.values)
        slopes = np.zeros(t.size)
        if given.rule is RAMP and t.size > 1:
            slopes[:-1] = np.diff(v) / np.diff(t)
        return Pieces(t, v, slopes, None, None, math.inf if given.hold_after else float(t[-1]))
    if isinstance(given, Ramp):
        over = given.over
        if over is None:
            if phase.duration is None:
                raise RecipeError(
                    f"{what}: this phase ends on a level, so its ramp must say how long: ramp(a, b, over=)"
                )
            over = phase.duration
        corners = (
            _amount(given.start, signal.unit, what),
            _amount(given.end, signal.unit, what),
            _amount(over, as_unit(_SECOND), f"{what}: over"),
        )
        return Pieces(_NONE, _NONE, _NONE, corners, None)
    return Pieces(_NONE, _NONE, _NONE, None, _amount(given, signal.unit, what))
