"""Recipes: the inputs of a run over time, as a list of named phases.

A recipe says what the plant is told: inputs held or ramped, doses and discharges, and when each phase ends. It is
immutable and knows no model; `Recipe.bind` checks it against a model's inputs, outputs and states and turns every
quantity into SI. A value that stays open is a `Setting`; it is looked up in the `values` of each run.

Sides: a phase owns its start and not its end, t_start <= t < t_end; events at a phase's start act before its inputs.
"""

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, unknown_name
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, Unit, seconds, to_si, unit as as_unit


class Rule(enum.Enum):
    """How a table is read between its rows."""

    HOLD = "hold"
    """A row's value holds until the next row (a set point, a valve position)."""
    RAMP = "ramp"
    """Straight lines between rows (a measured temperature)."""


HOLD, RAMP = Rule.HOLD, Rule.RAMP


class Steady(enum.Enum):
    """Marks an initial state that is the steady state for the inputs at the start."""

    STEADY = "steady"


STEADY = Steady.STEADY

Level = QuantityLike | Setting
"""A quantity with its unit, or a setting that a run fills in."""


@dataclass(frozen=True)
class Ramp:
    """A straight line from `start` to `end` over the phase, or over `over` and held from there on."""

    start: Level
    end: Level
    over: Level | None = None


def ramp(start: Level, end: Level, over: Level | None = None) -> Ramp:
    """Input that runs in a straight line from `start` to `end`.

    over: how long the ramp takes; without it, the whole duration of the phase. A phase that ends on a level has no
    known duration, so its ramps must say `over`.
    """
    return Ramp(start, end, over)


@dataclass(frozen=True)
class Table:
    """Rows of an input over the time since its phase began; build it with `table`."""

    times: tuple[float, ...]
    values: tuple[float, ...]
    unit: Unit
    rule: Rule
    hold_after: bool = False

    def __repr__(self) -> str:
        return f"<table of {len(self.times)} rows, {self.unit}, {self.rule.value}>"


def table(times: Any, values: Any, unit: "str | Unit", rule: Rule = RAMP, *, hold_after: bool = False) -> Table:
    """Input given by rows.

    times: (n,) seconds since the phase began, or (array, unit); strictly increasing, the first at 0.
    hold_after: keep the last row until the phase ends; without it, a phase that outlasts its table raises.
    values: (n,) in `unit`. Rows that lie on a straight line within the resolution of the values are merged.

    Raises RecipeError when lengths differ, times do not increase, or a value is not finite.
    """
    t = seconds(times)
    u = as_unit(unit)
    v = np.asarray(u.to_si(np.asarray(values, dtype=float)), dtype=float)
    if t.shape != v.shape or t.ndim != 1 or t.size == 0:
        raise RecipeError(f"table: times {t.shape} and values {v.shape} must be two columns of the same length")
    if not (np.isfinite(t).all() and np.isfinite(v).all()):
        bad = int(np.flatnonzero(~(np.isfinite(t) & np.isfinite(v)))[0])
        raise RecipeError(f"table: row {bad} is not a finite number; drop it or fill it before it becomes an input")
    if t[0] != 0.0:
        raise RecipeError(f"table: the first row is at {t[0]:g} s; an input must be given from the start (0 s) on")
    if (np.diff(t) <= 0.0).any():
        bad = int(np.flatnonzero(np.diff(t) <= 0.0)[0]) + 1
        raise RecipeError(f"table: time does not increase at row {bad} ({t[bad - 1]:g} s, then {t[bad]:g} s)")
    keep = _held_rows(v) if rule is HOLD else _ramp_rows(t, v)
    keep[-1] = True  # the end of the table is the end of what is known
    return Table(tuple(t[keep].tolist()), tuple(v[keep].tolist()), u, rule, hold_after)


def _held_rows(v: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    keep = np.ones(v.size, dtype=bool)
    keep[1:] = v[1:] != v[:-1]
    return keep


_LEVELS = 50  # a column that steps through fewer values does not tell its resolution


def _resolution(v: Array) -> float:
    """The step in which a recorder rounded its values; 0 where the values do not tell."""
    levels = np.unique(v)
    steps = np.diff(levels)
    steps = steps[steps > 1e-9 * float(np.ptp(v))] if levels.size > 1 else steps
    if levels.size < _LEVELS or not steps.size:
        return 0.0
    step = float(steps.min())
    multiples = steps / step
    rounded = bool((np.abs(multiples - np.round(multiples)) < 1e-3).all())
    return step if rounded and step <= float(np.ptp(v)) / _LEVELS else 0.0


def _ramp_rows(t: Array, v: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Rows to keep so that every row lies within one resolution of the line through the kept ones.

    The swinging-door rule of process historians; a corner is always a recorded row, so nothing is invented.
    """
    keep = np.zeros(v.size, dtype=bool)
    keep[0] = True
    tolerance = 0.95 * _resolution(v)  # a corner that stands out by one whole step stays
    # Plain floats: a log has hundreds of batches with thousands of rows each, and numpy's scalars are ten times slower.
    times, values = t.tolist(), v.tolist()
    t_anchor, v_anchor, low, high = times[0], values[0], -math.inf, math.inf
    for i in range(1, v.size):
        dt = times[i] - t_anchor
        slope = (values[i] - v_anchor) / dt
        if not low <= slope <= high:
            keep[i - 1] = True
            t_anchor, v_anchor = times[i - 1], values[i - 1]
            dt = times[i] - t_anchor
            slope = (values[i] - v_anchor) / dt
            low, high = -math.inf, math.inf
        slack = tolerance / dt
        if slope - slack > low:
            low = slope - slack
        if slope + slack < high:
            high = slope + slack
    keep[-1] = True
    return keep


Input = Level | Ramp | Table


class Direction(enum.Enum):
    """Which way an output has to cross a level."""

    RISING = 1
    FALLING = -1
    EITHER = 0


@dataclass(frozen=True)
class Crossing:
    """The moment at which an output crosses a level; build it with `reaches`, `rises_to` or `falls_to`."""

    output: str
    level: Level
    direction: Direction


def reaches(output: str, level: Level) -> Crossing:
    """Ends a phase when `output` meets `level`, from whichever side it starts."""
    return Crossing(output, level, Direction.EITHER)


def rises_to(output: str, level: Level) -> Crossing:
    """Ends a phase as soon as `output` is at or above `level`."""
    return Crossing(output, level, Direction.RISING)


def falls_to(output: str, level: Level) -> Crossing:
    """Ends a phase as soon as `output` is at or below `level`."""
    return Crossing(output, level, Direction.FALLING)


class Action(enum.Enum):
    """What an event does to its state."""

    ADD = "dose"
    REMOVE = "discharge"
    SET = "set"


@dataclass(frozen=True)
class StateEvent:
    """A sudden change of one state; build it with `dose`, `discharge` or `set_state`."""

    action: Action
    state: str
    amount: Level


def dose(state: str, amount: Level) -> StateEvent:
    """Adds `amount` to a state at once."""
    return StateEvent(Action.ADD, state, amount)


def discharge(state: str, amount: Level) -> StateEvent:
    """Takes `amount` from a state at once."""
    return StateEvent(Action.REMOVE, state, amount)


def set_state(state: str, value: Level) -> StateEvent:
    """Sets a state to `value` at once."""
    return StateEvent(Action.SET, state, value)


@dataclass(frozen=True, init=False)
class Phase:
    """One named step of a recipe.

    `Phase("soak", gas_temperature=soak, until=pt.reaches("core_temperature", "875 degC"), at_most="4 h")`

    duration: a time or a setting; or `until` a crossing, at latest after `at_most` (then the run fails with a
        SolveError that says so: a soak that never reaches its temperature is not a soak).
    start: events at the beginning of the phase. at: events at times since the beginning, {"10 min": [pt.dose(...)]}.
    inputs: name -> quantity, setting, `ramp` or `table`; an input that is not named stays where its last phase was
        heading: the level held, the ramp's end, the table's last row.
    """

    name: str
    inputs: Mapping[str, Input]
    duration: Level | None
    until: Crossing | None
    at_most: Level | None
    start: tuple[StateEvent, ...]
    at: tuple[tuple[Level, tuple[StateEvent, ...]], ...]

    def __init__(
        self,
        name: str,
        *,
        duration: Level | None = None,
        until: Crossing | None = None,
        at_most: Level | None = None,
        start: Iterable[StateEvent] = (),
        at: Mapping[Any, Sequence[StateEvent]] | Sequence[tuple[Level, Sequence[StateEvent]]] = (),
        **inputs: Any,
    ) -> None:
        if (duration is None) == (until is None):
            raise RecipeError(f'phase "{name}": give either duration= or until=, and not both')
        if until is not None and at_most is None:
            raise RecipeError(
                f'phase "{name}" ends on a level: say at_most=, the time after which the wait is given up'
            )
        if until is None and at_most is not None:
            raise RecipeError(f'phase "{name}": at_most= belongs to until=; its duration is given')
        rows = at.items() if isinstance(at, Mapping) else at
        events = tuple((when, tuple(what)) for when, what in rows)
        for event in [*start, *(e for _, what in events for e in what)]:
            if not isinstance(event, StateEvent):
                raise RecipeError(f'phase "{name}": {event!r} is no event; use pt.dose, pt.discharge or pt.set_state')
        for key, value in dict(
            name=name,
            inputs=dict(inputs),
            duration=duration,
            until=until,
            at_most=at_most,
            start=tuple(start),
            at=events,
        ).items():
            object.__setattr__(self, key, value)

    def levels(self) -> list[Level]:
        """Every quantity or setting that the phase mentions."""
        found: list[Level] = [x for x in (self.duration, self.at_most) if x is not None]
        for item in self.inputs.values():
            if isinstance(item, Ramp):
                found += [x for x in (item.start, item.end, item.over) if x is not None]
            elif not isinstance(item, Table):
                found.append(item)
        if self.until is not None:
            found.append(self.until.level)
        found += [e.amount for e in self.start]
        for when, events in self.at:
            found += [when, *(e.amount for e in events)]
        return found


@dataclass(frozen=True, init=False)
class Recipe:
    """The inputs of a run over time.

    phases: in their order. initial: state -> quantity or setting, binds `initial.<state>`; or `STEADY`, the steady
    state for the inputs at the start. hold_end: keep the last inputs after the last phase instead of raising.

    Raises RecipeError for a recipe without phases or two phases of one name.
    """

    phases: tuple[Phase, ...]
    initial: Mapping[str, Level] | Steady
    hold_end: bool
    settings: Mapping[str, Setting] = field(compare=False)

    def __init__(
        self,
        phases: Iterable[Phase],
        *,
        initial: Mapping[str, Level] | Steady | None = None,
        hold_end: bool = False,
    ) -> None:
        steps = tuple(phases)
        if not steps:
            raise RecipeError("a recipe needs at least one phase")
        names = [phase.name for phase in steps]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            raise RecipeError(f"two phases are called {sorted(twice)[0]!r}; phases need different names")
        begin = initial if isinstance(initial, Steady) else dict(initial or {})
        open_levels = [x for phase in steps for x in phase.levels()]
        if not isinstance(begin, Steady):
            open_levels += list(begin.values())
        settings: dict[str, Setting] = {}
        for level in open_levels:
            if isinstance(level, Setting) and settings.setdefault(level.name, level) != level:
                raise RecipeError(f'two different settings are called "{level.name}"')
        for key, value in dict(phases=steps, initial=begin, hold_end=hold_end, settings=settings).items():
            object.__setattr__(self, key, value)

    @classmethod
    def constant(cls, *, duration: Level | None = None, **inputs: Level) -> "Recipe":
        """All inputs held, for `duration` or for ever."""
        held: dict[str, Any] = dict(inputs)
        return cls([Phase("run", duration="inf s" if duration is None else duration, **held)])

    @classmethod
    def from_table(
        cls,
        time: Any,
        columns: Mapping[str, "tuple[Any, str | Unit, Rule] | tuple[Any, str | Unit]"],
        *,
        initial: Mapping[str, Level] | Steady | None = None,
        hold_after: bool = False,
    ) -> "Recipe":
        """Recorded inputs.

        time: (n,) s, or (array, unit), from 0. columns: input -> (values (n,), unit, HOLD or RAMP; default RAMP).
        hold_after: keep the last row after the table's end; without it, running past the end raises.
        """
        t = seconds(time)
        inputs: dict[str, Any] = {}
        for name, column in columns.items():
            rule = column[2] if len(column) > 2 else RAMP
            if not isinstance(rule, Rule):
                raise RecipeError(f'input "{name}": the third entry is pt.HOLD or pt.RAMP, not {rule!r}')
            try:
                inputs[name] = table(t, column[0], column[1], rule)
            except RecipeError as error:
                raise RecipeError(f'input "{name}": {error}') from None
        return cls([Phase("recorded", duration=(float(t[-1]), "s"), **inputs)], initial=initial, hold_end=hold_after)

    @classmethod
    def from_csv(
        cls,
        path: Any,
        *,
        time: "str | tuple[str, str]",
        inputs: Mapping[str, "tuple[str, str] | tuple[str, str, Rule]"],
        hold_after: bool = False,
        separator: str = ",",
        decimal: str = ".",
    ) -> "Recipe":
        """Recorded inputs from a CSV file with a header.

        time: name of the column in s, or (column, unit). inputs: input -> (column, unit, HOLD or RAMP).
        """
        import pandas as pd

        frame = pd.read_csv(path, sep=separator, decimal=decimal)
        frame.columns = frame.columns.str.strip()
        wanted = [time if isinstance(time, str) else time[0], *(c[0] for c in inputs.values())]
        for column in wanted:
            if column not in frame.columns:
                raise unknown_name("column", column, list(frame.columns))
        t = frame[wanted[0]].to_numpy(dtype=float)
        t = seconds(t if isinstance(time, str) else (t, time[1]))
        columns = {name: (frame[c[0]].to_numpy(dtype=float), *c[1:]) for name, c in inputs.items()}
        return cls.from_table(t - t[0], columns, hold_after=hold_after)

    def replace(self, *, initial: Mapping[str, Level] | Steady | None = None, hold_end: bool | None = None) -> "Recipe":
        """A copy with other initial values, or that holds its end."""
        return Recipe(
            self.phases,
            initial=self.initial if initial is None else initial,
            hold_end=self.hold_end if hold_end is None else hold_end,
        )

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; inf for a constant recipe; None while it depends on settings or levels."""
        total = 0.0
        for phase in self.phases:
            if phase.duration is None or isinstance(phase.duration, Setting):
                return None
            total += _time(phase.duration, phase.name)
        return total

    def __str__(self) -> str:
        lines = [f"recipe of {len(self.phases)} phase{'s' if len(self.phases) > 1 else ''}"]
        for phase in self.phases:
            ends = f"for {_text(phase.duration)}" if phase.until is None else _until_text(phase)
            ends = "without end" if ends == "for inf s" else ends
            lines.append(f"  {phase.name}: {ends}")
            lines += [f"      {name} = {_text(value)}" for name, value in phase.inputs.items()]
            lines += [f"      at the start: {e.action.value} {e.state} {_text(e.amount)}" for e in phase.start]
            for when, events in phase.at:
                lines += [f"      at {_text(when)}: {e.action.value} {e.state} {_text(e.amount)}" for e in events]
        if isinstance(self.initial, Steady):
            lines.append("  starts from the steady state")
        elif self.initial:
            lines.append("  starts from " + ", ".join(f"{k} = {_text(v)}" for k, v in self.initial.items()))
        return "\n".join(lines)


def _text(level: Any) -> str:
    if isinstance(level, Setting):
        return f"<{level.name}>"
    if isinstance(level, Ramp):
        over = "" if level.over is None else f" over {_text(level.over)}"
        return f"ramp {_text(level.start)} -> {_text(level.end)}{over}"
    if isinstance(level, tuple):
        return f"{level[0]:g} {level[1]}"
    return str(level)


def _until_text(phase: Phase) -> str:
    assert phase.until is not None
    verb = {Direction.EITHER: "reaches", Direction.RISING: "rises to", Direction.FALLING: "falls to"}
    return (
        f"until {phase.until.output} {verb[phase.until.direction]} {_text(phase.until.level)}, "
        f"at most {_text(phase.at_most)}"
    )


_SECOND = "s"


def _time(level: QuantityLike, where: str) -> float:
    return to_si(level, as_unit(_SECOND), name=f'phase "{where}": a time', allow_infinite=True)


__all__ = [
    "HOLD",
    "RAMP",
    "STEADY",
    "Crossing",
    "Direction",
    "Phase",
    "Ramp",
    "Recipe",
    "Rule",
    "StateEvent",
    "Table",
    "discharge",
    "dose",
    "falls_to",
    "ramp",
    "reaches",
    "rises_to",
    "set_state",
    "table",
]
