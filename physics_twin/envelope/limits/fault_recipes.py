"""Recipes with a fault written into them.

The phase in which the input fails is cut in two, the phase in which it recovers likewise; in between the input is held
at the fault's value. Ramps, tables and events of a phase that is cut go on where they were. Times that differ between
members are settings of the new recipe, so that one recipe serves many members.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.limits.faults import BoundFault
from physics_twin.model import Model
from physics_twin.recipes import HOLD, Input, Level, Phase, Ramp, Recipe, StateEvent, Table
from physics_twin.signals import Setting
from physics_twin.units import Unit, to_si, unit as as_unit

Rows = NDArray[np.intp]
"""Numbers of members."""
SECOND = as_unit("s")
PREFIX = "fault_"
"""Of the settings that hold times and levels of members."""


@dataclass(frozen=True)
class Cut:
    """Where an input fails and recovers: phases by number, and times since their beginning."""

    phase: int
    after: Array
    """(n,) s"""
    back: int | None = None
    """The phase in which it recovers; None: never in this run."""
    back_after: Array | None = None
    """(n,) s"""

    def of(self, rows: Rows) -> "Cut":
        """Of some of the members."""
        return Cut(self.phase, self.after[rows], self.back, None if self.back_after is None else self.back_after[rows])


@dataclass(frozen=True)
class Interrupted:
    """A recipe with a fault."""

    recipe: Recipe
    values: Mapping[str, Array]
    """Of the members, with those of the new settings: name -> (n,) SI."""
    owner: tuple[int, ...]
    """Phase of the original recipe that each phase is a part of."""


def same_recipe(recipe: Recipe, cut: Cut, values: Mapping[str, Array]) -> list[Rows]:
    """Members (rows) that one recipe can serve: tables are cut in the same place, events lie on the same side of it."""
    marks: list[Array] = []
    for number, after in _places(cut):
        phase = recipe.phases[number]
        if any(isinstance(given, Table) for given in phase.inputs.values()):
            marks.append(after)
        marks += [np.sign(amounts(when, SECOND, values, after.size) - after) for when, _ in phase.at]
    n = cut.after.size
    if not marks:
        return [np.arange(n)]
    _, which = np.unique(np.stack(marks), axis=1, return_inverse=True)
    which = which.reshape(-1)
    return [np.flatnonzero(which == k) for k in range(which.max() + 1)]


def interrupted(
    model: Model,
    recipe: Recipe,
    values: Mapping[str, Array],
    fault: BoundFault,
    cut: Cut,
    lengths: Array | None = None,
) -> Interrupted:
    """The recipe with the fault, for members of `same_recipe`.

    values: name -> (n,) SI. lengths: (n, n_kept) s, how long the first phases last, the run ending with them; without
    it phases end as the recipe says (by the clock, or on their level).
    """
    writer = _Writer(model, recipe, dict(values), fault)
    kept = len(recipe.phases) if lengths is None else lengths.shape[1]
    for number in range(kept):
        writer.add(number, cut, None if lengths is None else lengths[:, number])
    written = Recipe(writer.phases, initial=recipe.initial, hold_end=recipe.hold_end)
    return Interrupted(written, writer.values, tuple(writer.owner))


def amounts(level: Level, unit: Unit, values: Mapping[str, Array], n: int) -> Array:
    """A quantity or a setting for each of n members, SI."""
    if isinstance(level, Setting):
        return np.asarray(values[level.name], dtype=float)
    return np.full(n, to_si(level, unit, name="an amount of the recipe", allow_infinite=True))


class _Writer:
    """Writes the phases one after the other."""

    def __init__(self, model: Model, recipe: Recipe, values: dict[str, Array], fault: BoundFault) -> None:
        self.recipe, self.values, self.fault = recipe, values, fault
        self.units = {signal.name: signal.unit for signal in model.inputs}
        self.n = len(next(iter(values.values())))
        self.phases: list[Phase] = []
        self.owner: list[int] = []

    def add(self, number: int, cut: Cut, length: Array | None) -> None:
        """One phase of the recipe, in as many pieces as the fault makes of it."""
        zero = np.zeros(self.n)
        first = number > cut.phase or (number == cut.phase and not cut.after.any())
        recovered = cut.back is not None and number >= cut.back
        inside = number == cut.back and cut.back_after is not None and bool(cut.back_after.any())
        recovered = recovered and not inside
        edges: list[tuple[Array, bool]] = [(zero, first and not recovered)]
        if number == cut.phase and cut.after.any():
            edges.append((cut.after, True))
        if inside and cut.back_after is not None:
            edges.append((cut.back_after, False))
        for k, (begin, failed) in enumerate(edges):
            end = edges[k + 1][0] if k + 1 < len(edges) else None
            self._piece(number, k, begin, end, failed, recovered or k > 0, length)

    def _piece(
        self, number: int, k: int, begin: Array, end: Array | None, failed: bool, named: bool, length: Array | None
    ) -> None:
        phase = self.recipe.phases[number]
        place = f"{number}_{k}"
        inputs = {n: self._course(number, n, begin, end, place) for n in phase.inputs}
        if failed:
            inputs[self.fault.input] = (self.fault.value, self.fault.unit.si_text)
        elif named and self.fault.input not in inputs:
            inputs[self.fault.input] = self._course(number, self.fault.input, begin, end, place)
        words = phase.name if k == 0 else f"{phase.name}, {'fault' if failed else 'after the fault'}"
        ends: dict[str, object] = {}
        if end is not None:
            ends["duration"] = self._setting(f"length_{place}", SECOND, end - begin)
        elif length is not None:
            ends["duration"] = self._setting(f"length_{place}", SECOND, length - begin)
        elif phase.until is None:
            assert phase.duration is not None
            ends["duration"] = self._later(phase.duration, begin, f"length_{place}")
        else:
            assert phase.at_most is not None
            ends |= {"until": phase.until, "at_most": self._later(phase.at_most, begin, f"length_{place}")}
        start = phase.start if k == 0 else ()
        at = self._events(phase, begin, end, place)
        self.phases.append(Phase(words, start=start, at=at, **ends, **inputs))  # type: ignore[arg-type]
        self.owner.append(number)

    def _setting(self, name: str, unit: Unit, numbers: Array) -> Setting:
        """A setting that holds a number for each member."""
        full = f"{PREFIX}{name}".replace(".", "_")
        self.values[full] = numbers
        return Setting(full, unit.si_text)

    def _later(self, level: Level, begin: Array, name: str) -> Level:
        """A time of a phase, counted from where a piece of it begins."""
        if not begin.any():
            return level
        return self._setting(name, SECOND, amounts(level, SECOND, self.values, self.n) - begin)

    def _events(
        self, phase: Phase, begin: Array, end: Array | None, place: str
    ) -> list[tuple[Level, tuple[StateEvent, ...]]]:
        """Events within a piece; one that falls on a cut comes after it."""
        found: list[tuple[Level, tuple[StateEvent, ...]]] = []
        for k, (when, events) in enumerate(phase.at):
            moments = amounts(when, SECOND, self.values, self.n)
            if bool((moments >= begin).all()) and (end is None or bool((moments < end).all())):
                found.append((self._later(when, begin, f"event_{place}_{k}"), events))
        return found

    def _course(self, number: int, name: str, begin: Array, end: Array | None, place: str) -> Input:
        """An input in a piece of a phase."""
        given = _given(self.recipe, number, name)
        if isinstance(given, Ramp):
            return self._ramp(given, number, name, begin, end, place)
        if isinstance(given, Table):
            return _table_from(given, float(begin[0]))
        return given

    def _ramp(self, ramp: Ramp, number: int, name: str, begin: Array, end: Array | None, place: str) -> Ramp:
        unit, place = self.units[name], f"{place}_{name}"
        over = ramp.over if ramp.over is not None else self.recipe.phases[number].duration
        assert over is not None  # a recipe whose phase ends on a level says how long its ramps take
        length = amounts(over, SECOND, self.values, self.n)
        low, high = (amounts(x, unit, self.values, self.n) for x in (ramp.start, ramp.end))

        def level(when: Array) -> Array:
            share = np.where(length > when, when / np.where(length > 0.0, length, 1.0), 1.0)
            return np.asarray(low + share * (high - low))

        first = self._setting(f"from_{place}", unit, level(begin)) if begin.any() else ramp.start
        if end is not None and bool((length >= end).all()):
            # A ramp that goes on behind the cut ends with the piece: members then share their corners.
            last = self._setting(f"to_{place}", unit, level(end))
            return Ramp(first, last, self._setting(f"ramp_{place}", SECOND, end - begin))
        if not begin.any():
            return Ramp(first, ramp.end, over)
        # A ramp that is over stays at its end; how long it then takes to get there does not matter.
        left = self._setting(f"ramp_{place}", SECOND, np.where(length > begin, length - begin, 1.0))
        return Ramp(first, ramp.end, left)


def _given(recipe: Recipe, number: int, name: str) -> Input:
    """What an input does in a phase: as the phase says, or held where an earlier one was heading."""
    phase = recipe.phases[number]
    if name in phase.inputs:
        return phase.inputs[name]
    for earlier in reversed(recipe.phases[:number]):
        given = earlier.inputs.get(name)
        if isinstance(given, Ramp):
            return given.end
        if isinstance(given, Table):
            return (given.values[-1], given.unit.si_text)
        if given is not None:
            return given
    raise AssertionError(name)  # the model refuses a recipe whose first phase does not give every input


def _table_from(rows: Table, begin: float) -> Table:
    """The rows of a table from a moment on."""
    if begin <= 0.0:
        return rows
    t, v = np.array(rows.times), np.array(rows.values)
    if rows.rule is HOLD:
        now = v[max(int(np.searchsorted(t, begin, side="right")) - 1, 0)]
    else:
        now = np.interp(begin, t, v)
    later = t > begin
    times, numbers = np.concatenate([[0.0], t[later] - begin]), np.concatenate([[now], v[later]])
    return Table(tuple(times.tolist()), tuple(numbers.tolist()), rows.unit, rows.rule, rows.hold_after)


def _places(cut: Cut) -> Sequence[tuple[int, Array]]:
    """Phases that are cut, and where."""
    places = [(cut.phase, cut.after)]
    if cut.back is not None and cut.back_after is not None:
        places.append((cut.back, cut.back_after))
    return places


def recovery(begins: Array, moment: float) -> tuple[int, float] | None:
    """Phase and time in it of a moment; begins: (n_phases + 1,) s. None at or behind the end."""
    end = float(begins[-1])
    if not math.isfinite(moment) or moment >= end - 1e-9 * max(1.0, end):
        return None
    phase = int(np.searchsorted(begins, moment, side="right")) - 1
    # A recovery as a phase begins is one of that phase, up to rounding.
    if begins[phase + 1] - moment <= 1e-9 * max(1.0, end):
        phase += 1
    return phase, max(moment - float(begins[phase]), 0.0)
