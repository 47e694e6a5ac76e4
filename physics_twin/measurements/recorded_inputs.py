"""Inputs that were logged beside the outputs, and the recipe that follows them.

A sensor at an input: its readings are corrected as its certificate says. What the certificate leaves uncertain has no
place in a fit yet, since a recipe is taken as it stands; the record says so instead of looking more certain than it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.measurements import quality
from physics_twin.measurements.channels import Column
from physics_twin.measurements.flags import Flag, FlagArray, worst
from physics_twin.measurements.quality import MomentText, duration_text
from physics_twin.measurements.series import count_flags
from physics_twin.measurements.tags.checks import check_samples
from physics_twin.measurements.tags.sensors import Sensor, corrected
from physics_twin.measurements.uncertainty import plain
from physics_twin.recipes import Level, Phase, Recipe, Rule, table as input_table
from physics_twin.signals import Setting
from physics_twin.units import Unit, parse, unit as as_unit

__all__ = ["InputSamples", "InputSensor", "RecordedInput", "recorded_inputs"]


@dataclass(frozen=True)
class InputSensor:
    """A sensor behind a recorded input; first, last: times of its readings that the input rests on, s since zero."""

    sensor: Sensor
    first: float
    last: float


@dataclass(frozen=True)
class RecordedInput:
    """An input that was logged beside the outputs: its column, its samples by flag, and what was bridged in it.

    sensors: those that are known to have measured it, one after the other; the recipe holds the corrected readings.
    n_used: how many samples the recipe rests on, suspect ones and those that were not evaluated among them; None for
    all that are not bad or missing.
    """

    name: str
    column: str
    unit: Unit
    rule: Rule
    counts: Mapping[Flag, int]
    notes: tuple[str, ...]
    sensors: tuple[InputSensor, ...] = ()
    n_used: int | None = None

    @property
    def used(self) -> int:
        """How many samples the recipe rests on."""
        if self.n_used is not None:
            return self.n_used
        return sum(n for flag, n in self.counts.items() if flag <= Flag.SUSPECT)


@dataclass(frozen=True, eq=False)
class InputSamples:
    """The samples of an input, as read.

    column: what they are, in which unit, and how the input runs between them. times: (n,) s since time zero; rows
    before it say what holds at it. values: (n,) in the column's unit. flags: (n,) QARTOD codes of the cells. order:
    (n,) flags of the rows, without which the times are judged here. notes: what reading found, in words. sensors:
    (since, sensor) in order of time, s since time zero, where the column has had several; None for an unknown one.
    """

    column: Column
    times: Array
    values: Array
    flags: FlagArray
    order: FlagArray | None = None
    notes: tuple[str, ...] = ()
    sensors: tuple[tuple[float, Sensor | None], ...] = ()


def recorded_inputs(
    inputs: Mapping[str, InputSamples | Level],
    *,
    source: str,
    end: float | None = None,
    hold_after: bool = False,
    moment: MomentText = duration_text,
) -> tuple[Recipe, list[RecordedInput]]:
    """Turn recorded inputs into a recipe of one phase.

    inputs: model input -> its samples, or a quantity or setting that holds throughout. source: name for messages. end:
    of the phase, s since time zero; without it, the last reading of any input. hold_after: keep the last inputs after
    the end instead of raising. moment: how a time is said in the notes.

    Raises DataError for an input without any reading, one whose unit changes, or an end before time zero.
    """
    ordered: dict[str, tuple[InputSamples, FlagArray]] = {}
    levels: dict[str, Any] = {}
    for name, one in inputs.items():
        if isinstance(one, InputSamples):
            ordered[name] = (one, quality.in_order(one.times)[0] if one.order is None else one.order)
        else:
            if not isinstance(one, Setting):
                parse(one)  # a bare number or a misspelt unit is found here, not in the first simulation
            levels[name] = one
    if not ordered:
        return Recipe.constant(**levels), []
    if end is None:
        last = [one.times[order == Flag.GOOD] for one, order in ordered.values()]
        end = max((float(t.max()) for t in last if t.size), default=-1.0)
    if end < 0.0:
        raise DataError(f"{source}: time zero lies after the last reading of the inputs")
    found: list[RecordedInput] = []
    for name, (one, order) in ordered.items():
        levels[name], record = _recorded(name, one, order, source, end, moment)
        found.append(record)
    in_given_order = {name: levels[name] for name in inputs}
    return Recipe([Phase("recorded", duration=(end, "s"), **in_given_order)], hold_end=hold_after), found


def _recorded(
    name: str, one: InputSamples, order: FlagArray, source: str, end: float, moment: MomentText
) -> tuple[Any, RecordedInput]:
    column, times, values = one.column, one.times, one.values
    unit, notes = as_unit(column.unit), list(one.notes)
    kept = np.flatnonzero(order == Flag.GOOD)  # not the suspect rows: they repeat a time
    kept = kept[np.diff(times[kept], prepend=-np.inf) > 0.0]
    flags = worst(one.flags, np.where(order == Flag.SUSPECT, np.int8(Flag.GOOD), order))
    cold = quality.impossible(np.asarray(unit.to_si(values)), unit)
    flags = np.where(cold & (flags <= Flag.SUSPECT), np.int8(Flag.BAD), flags)
    if cold.any():
        notes.append(f"{int(cold.sum())} values lie below absolute zero: bad")
    if column.checks is not None:
        checked = check_samples(times, values, flags, column.checks, unit, name=name)
        flags = checked.flags
        notes += checked.notes
    good = kept[(flags[kept] <= Flag.SUSPECT) & np.isfinite(values[kept])]
    if not good.size:
        raise DataError(f'{source}: the input "{name}" (column "{column.name}") has no reading at all')
    jumps, jump_notes = quality.unit_jumps(values[good], unit)
    if (jumps == Flag.BAD).any():
        raise DataError(
            f'{source}: the input "{name}" (column "{column.name}"): {jump_notes[0].removesuffix(": bad")}; '
            "an input cannot be left out from there on, so correct the log or cut it before"
        )
    after = kept[times[kept] >= 0.0]
    n_bridged = int((flags[after] > Flag.SUSPECT).sum())
    if n_bridged:
        how = "straight lines between" if column.rule is Rule.RAMP else "holding"
        notes.append(f"{n_bridged} of {after.size} rows have no reading: bridged by {how} the others")
    used = good[_needed(times[good])]
    doubtful = used[flags[used] == Flag.SUSPECT]
    if doubtful.size:
        # A recipe has no gaps: leaving them out would put straight lines or old readings in their place.
        samples = "1 suspect sample is" if doubtful.size == 1 else f"{doubtful.size} suspect samples are"
        notes.append(f"{samples} in use, the first at {moment(float(times[doubtful[0]]))}")
    readings, sensors, sensor_notes = _corrected(name, one, times[good], values[good], unit, moment)
    notes += sensor_notes
    t, v = _from_start(times[good], readings, column.rule)
    if t[0] > 0.0:
        notes.append(f"no reading before {moment(float(t[0]))}: the first one is taken from the start on")
        t, v = np.concatenate([[0.0], t]), np.concatenate([[v[0]], v])
    if t[-1] < end:
        notes.append(f"no reading after {moment(float(t[-1]))}: the last one is held")
        t, v = np.concatenate([t, [end]]), np.concatenate([v, [v[-1]]])
    level = input_table(t, v, unit, column.rule)
    notes += jump_notes
    counts = count_flags(flags)
    return level, RecordedInput(name, column.name, unit, column.rule, counts, tuple(notes), sensors, int(used.size))


def _needed(times: Array) -> NDArray[np.bool_]:
    """Return which readings an input rests on, (n,): the last one up to time zero and those after it."""
    return np.asarray(times >= max((float(t) for t in times[times <= 0.0]), default=-np.inf))


def _corrected(
    name: str, one: InputSamples, times: Array, values: Array, unit: Unit, moment: MomentText
) -> tuple[Array, tuple[InputSensor, ...], list[str]]:
    """Return readings (n,) in the unit, each corrected by the certificate of its own sensor; the sensors; notes."""
    begun = one.sensors or ((-np.inf, one.column.sensor),)
    found: list[InputSensor] = []
    notes: list[str] = []
    readings = np.array(values, dtype=np.float64)
    needed = _needed(times)
    for k, (since, sensor) in enumerate(begun):
        until = begun[k + 1][0] if k + 1 < len(begun) else np.inf
        hit = (times >= since) & (times < until)
        if sensor is None or not hit.any():
            continue
        if sensor.correction:
            si = np.asarray(unit.to_si(values[hit]), dtype=np.float64)
            notes += sensor.beyond(si, unit)
            si, words = corrected(si, sensor, unit)
            readings[hit] = unit.from_si(si)
            notes.append(words)
        if not (hit & needed).any():
            continue
        if found:
            before = found[-1].sensor.serial
            when = moment(since)
            notes.append(
                f"the sensor was replaced at {when}, {before} by {sensor.serial}: each has its own certificate"
            )
        if sensor.uncertainty is not None:
            number, text = plain(sensor.uncertainty.value)
            stated = f"{number:g} {text}, k = {sensor.uncertainty.k:.4g}"
            notes.append(f"the uncertainty of {sensor.serial} ({stated}) at the input {name} is not part of the fit")
        own = times[hit & needed]
        found.append(InputSensor(sensor, float(own.min()), float(own.max())))
    return readings, tuple(found), notes


def _from_start(times: Array, values: Array, rule: Rule) -> tuple[Array, Array]:
    """Return the rows from time zero on, with the value at time zero put in if rows lie before it."""
    later = times >= 0.0
    if later.all():
        return times, values
    t, v = times[later], values[later]
    if t.size and t[0] == 0.0:
        return t, v
    begin = float(np.interp(0.0, times, values)) if rule is Rule.RAMP else float(values[~later][-1])
    return np.concatenate([[0.0], t]), np.concatenate([[begin], v])
