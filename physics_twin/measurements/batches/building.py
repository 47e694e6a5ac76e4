"""The experiment of one batch: its slice of each judged tag, its recipe, its laboratory values, its context."""

import datetime as dt
import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Literal

import numpy as np

from physics_twin.errors import DataError, UnitError, unknown_name
from physics_twin.measurements.batches.batch import Batch, FromContext, PhaseWindow
from physics_twin.measurements.batches.batch_tables import BatchList
from physics_twin.measurements.batches.cutting_report import MissingTag, Replacement
from physics_twin.measurements.batches.judging import JudgedTag
from physics_twin.measurements.batches.laboratory_series import Drawn, LaboratoryChannels
from physics_twin.measurements.batches.plan import CutPlan, OutputTag
from physics_twin.measurements.batches.windows import Window, half_period, last_time, seconds_on
from physics_twin.measurements.building import Samples, assemble, taken
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.experiment import Experiment, Initial
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.plant_clock import PlantClock
from physics_twin.measurements.provenance import Exclusion, Provenance
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.recorded_inputs import InputSamples, RecordedInput, recorded_inputs
from physics_twin.measurements.relations.cross_checks import Pair, cross_check
from physics_twin.measurements.series import Series
from physics_twin.measurements.tags.sensors import Sensor, corrected
from physics_twin.recipes import Level, Recipe, Rule, Steady
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, parse

__all__ = ["BatchBuilder", "InitialOf", "check_initial"]

type InitialOf = Mapping[str, Level | FromContext] | Literal["steady"] | Callable[[Batch], Initial]


class BatchBuilder:
    """Builds the experiment of one batch after the other; what they share is prepared once."""

    def __init__(
        self,
        log: Log,
        listed: BatchList,
        plan: CutPlan,
        lab: LaboratoryChannels,
        initial: InitialOf | None,
        recipe: Recipe | Callable[[Batch], Recipe] | None,
        settle: QuantityLike | None,
        exclude: Sequence[Exclusion] | Mapping[str, Sequence[Exclusion]],
        name: Callable[[Batch], str] | None,
    ) -> None:
        self.log, self.plan, self.lab = log, plan, lab
        self.initial, self.recipe, self.settle, self.exclude, self.name = initial, recipe, settle, exclude, name
        self.options = _layout_options(log.export_layout)
        if log.original is not None:
            self.options |= {"original": log.original.source, "original sha256": log.original.sha256}
        if log.query:
            self.options["query"] = log.query
        if listed.source:
            self.options["batches"] = listed.source
        if listed.sha256:
            self.options["batches sha256"] = listed.sha256
        self.last = last_time(log)
        self.clock = PlantClock(log.origin, log.layout.zone)
        self.channels: dict[tuple[str, str], Channel] = {}
        # Which samples of an input can be bridged from: numbers that are not bad.
        self.usable = {
            one.name: plan.judged[one.name].usable for one in plan.inputs.values() if isinstance(one, Column)
        }

    def check_exclusions(self, names: Sequence[str | Batch]) -> None:
        """Raise UnknownNameError for an exclusion of a batch or a channel that is not there."""
        known = [one.name if isinstance(one, Batch) else one for one in names]
        if isinstance(self.exclude, Mapping):
            for name in self.exclude:
                if name not in known:
                    raise unknown_name("batch (exclude=)", name, known)
        given = self.exclude.values() if isinstance(self.exclude, Mapping) else [self.exclude]
        outputs = [*(one.output for one in self.plan.outputs), *self.lab.outputs]
        for exclusion in [one for many in given for one in many]:
            for output in exclusion.channels:
                if output not in outputs:
                    raise unknown_name("channel (exclude=)", output, outputs)

    def build(
        self, window: Window, slices: Mapping[str, slice], values: Sequence[Drawn]
    ) -> tuple[Experiment, list[MissingTag], list[Replacement]]:
        """Return the experiment of a window. Raises DataError, RecipeError where it cannot be built."""
        batch = window.batch
        series: dict[str, Series] = {}
        tag_of: dict[str, str] = {}
        absent: list[MissingTag] = []
        changes: list[Replacement] = []
        for one in self.plan.outputs:
            rows = slices[one.tag]
            if rows.start == rows.stop:
                absent.append(MissingTag(batch.name, one.tag))
                continue
            channel = self._channel(one, window)
            series[one.output] = _series(self.plan.judged[one.tag], channel, rows, window.zero, self.clock)
            tag_of[one.output] = one.tag
            changes += self._replacements(one.tag, channel, window)
        for pair in self.plan.pairs:
            self._cross_check(pair, series, slices, window)
        series |= self.lab.series(values, window.zero, window.end)
        _check_usable(series, absent, window, self.last)
        end = max([window.end, *(one.at for one in values)]) - window.zero
        recipe, found = self._inputs(window, slices, end)
        notes = list(batch.notes)
        if window.end > self.last:
            notes.append(f"the log ends {duration_text(window.end - self.last)} before the batch does")
        if absent:
            notes.append("no sample of " + ", ".join(one.tag for one in absent))
        if batch.source and self.options.get("batches") != batch.source:
            options = {**self.options, "batch": batch.source}
        else:
            options = dict(self.options)
        experiment = assemble(
            batch.name if self.name is None else self.name(batch),
            series,
            recipe=recipe,
            initial=self._initial(batch),
            settle=self.settle,
            provenance=Provenance(self.log.source, self.log.sha256, options, self._exclusions(batch, series)),
            context=batch.context,
            inputs=found,
            notes=notes,
            t0_utc=None if self.log.origin is None else self.log.origin + dt.timedelta(seconds=window.zero),
            phases=self._phases(window),
        )
        return _without_replaced(experiment, changes, tag_of), absent, changes

    def _channel(self, one: OutputTag, window: Window) -> Channel:
        """Return the channel of a tag with the sensor that it had at time zero."""
        table = self.plan.table
        if table is None or not self.plan.installed.get(one.tag):
            return one.plain
        at = None if self.log.origin is None else self.log.origin + dt.timedelta(seconds=window.zero)
        sensor = table.sensor(one.tag, at)
        key = (one.tag, "" if sensor is None else sensor.serial)
        if key not in self.channels:
            self.channels[key] = table[one.tag].channel(sensor)
        return self.channels[key]

    def _replacements(self, tag: str, channel: Channel, window: Window) -> list[Replacement]:
        before = "an unknown sensor" if channel.sensor is None else channel.sensor.serial
        for one in self.plan.installed.get(tag, ()):
            if one.since is None or self.log.origin is None:
                continue
            at = seconds_on(self.log, window.batch, one.since)
            if window.zero < at <= window.end:
                return [Replacement(window.batch.name, tag, at - window.zero, before, one.serial, self.clock.text(at))]
        return []

    def _cross_check(self, pair: Pair, series: dict[str, Series], slices: Mapping[str, slice], window: Window) -> None:
        """Compare two tags in place; one that shows no output only bears witness."""
        known = {one.tag: one.output for one in self.plan.outputs if one.output in series}
        names = (pair.first, pair.second)
        lead = next((series[known[name]].channel for name in names if name in known), None)
        if lead is None or any(slices[name].start == slices[name].stop for name in names):
            return
        both = []
        for name in names:
            if name in known:
                both.append(series[known[name]])
                continue
            judged = self.plan.judged[name]
            witness = Channel(
                _identifier(name), column=name, unit=judged.unit, noise=(lead.noise, lead.unit.difference().si_text)
            )
            both.append(_series(judged, witness, slices[name], window.zero, self.clock))
        checked = cross_check(both[0], both[1], pair.tolerance, moment=self.clock.since(window.zero))
        for name, one in zip(names, (checked.first, checked.second), strict=True):
            if name in known:
                series[known[name]] = one

    def _inputs(self, window: Window, slices: Mapping[str, slice], end: float) -> tuple[Recipe, list[RecordedInput]]:
        if self.recipe is not None:
            return (self.recipe if isinstance(self.recipe, Recipe) else self.recipe(window.batch)), []
        levels: dict[str, InputSamples | Level] = {}
        for name, one in self.plan.inputs.items():
            if isinstance(one, FromContext):
                levels[name] = _of_context(f'the input "{name}"', one, window.batch)
            elif isinstance(one, Column):
                levels[name] = self._samples(name, one, slices[one.name], window, end)
            else:
                levels[name] = one
        moment = self.clock.since(window.zero)
        return recorded_inputs(levels, source=self.log.source, end=end, moment=moment)

    def _samples(self, name: str, column: Column, rows: slice, window: Window, end: float) -> InputSamples:
        """Return the samples of an input from the one before time zero to the one after the end."""
        judged, usable = self.plan.judged[column.name], self.usable[column.name]
        held = half_period(self.log) if column.rule is Rule.HOLD else 0.0
        times = np.round(judged.times - held, 6) if held else judged.times
        zero, stop = int(np.searchsorted(times, window.zero)), int(np.searchsorted(times, window.zero + end, "right"))
        before, after = int(np.searchsorted(usable, zero)) - 1, int(np.searchsorted(usable, stop))
        first = min(int(usable[before]), zero) if before >= 0 else zero
        last = max(int(usable[after]) + 1, stop) if after < usable.size and column.rule is Rule.RAMP else stop
        if before < 0 and (after == before + 1):
            raise DataError(f'the input "{name}" (tag "{column.name}") has no reading before the end of the batch')
        if judged.changes_unit(slice(zero, stop)):
            raise DataError(
                f'the input "{name}" (tag "{column.name}") seems to change its unit, and an input cannot be left out'
            )
        notes = [judged.unit_note] if judged.unit_note else []
        inside = slice(zero, stop)
        if judged.limits is not None and judged.limits[inside].any():
            n = int(judged.limits[inside].sum())
            notes.append(f"{n} reading{'s are limits' if n > 1 else ' is a limit'} and no number: bad")
        if judged.censored is not None:
            sides = (
                judged.censored[inside] if judged.limits is None else judged.censored[inside] * ~judged.limits[inside]
            )
            ends = ((int((sides < 0).sum()), "lower", "below"), (int((sides > 0).sum()), "upper", "above"))
            notes += [
                f"{n} at the {end} end of the range, taken as they are: the truth may lie {beyond}"
                for n, end, beyond in ends
                if n
            ]
        if held:
            notes.append(f"averages over {duration_text(2.0 * held)}: each holds from the beginning of its period")
        exact = usable.size > before + 1 and usable[before + 1] == zero and times[zero] == window.zero
        if before >= 0 and not exact:
            gap = duration_text(window.zero - float(times[first]))
            how = "held from" if column.rule is Rule.HOLD else "on a straight line from"
            notes.append(f"at time zero {how} the sample {gap} before")
        # What lies between the last good sample before time zero and time zero is of no use.
        kept = np.r_[first : first + 1 if first < zero else first, zero:stop]
        if last > stop:
            kept = np.append(kept, last - 1)
        bare = replace(column, checks=None)  # they have been made
        moments, order = times[kept] - window.zero, judged.order(kept)
        sensors = self._input_sensors(column, window)
        flags = judged.flags[kept]
        if judged.limits is not None:  # an input is a number, and not a bound of one
            flags = np.where(judged.limits[kept], np.maximum(flags, np.int8(Flag.BAD)), flags)
        return InputSamples(bare, moments, judged.values[kept], flags, order, tuple(notes), sensors)

    def _input_sensors(self, column: Column, window: Window) -> tuple[tuple[float, Sensor | None], ...]:
        """Return which sensor measured an input since when, s since time zero; () where the column says it."""
        installed = self.plan.installed.get(column.name, ())
        if self.plan.table is None or not installed:
            return ()
        if self.log.origin is None:
            return ((-np.inf, self.plan.table.sensor(column.name)),)
        known = {sensor.serial: sensor for sensor in self.plan.table.sensors}
        return tuple(
            (
                -np.inf if one.since is None else seconds_on(self.log, window.batch, one.since) - window.zero,
                known[one.serial],
            )
            for one in installed
        )

    def _initial(self, batch: Batch) -> Initial | None:
        given = self.initial
        if given is None or isinstance(given, str):
            return given
        if not isinstance(given, Mapping):
            made = given(batch)
            check_initial(made, f'batch "{batch.name}": initial=')
            return made
        return {
            state: _of_context(f'the initial value of "{state}"', one, batch) if isinstance(one, FromContext) else one
            for state, one in given.items()
        }

    def _exclusions(self, batch: Batch, series: Mapping[str, Series]) -> tuple[Exclusion, ...]:
        given = self.exclude.get(batch.name, ()) if isinstance(self.exclude, Mapping) else self.exclude
        # A channel without samples in this batch has nothing to exclude.
        kept = []
        for one in given:
            here = tuple(output for output in one.channels if output in series)
            if here or not one.channels:
                kept.append(replace(one, channels=here))
        return tuple(kept)

    def _phases(self, window: Window) -> list[PhaseWindow]:
        found = []
        for phase, start, end in window.batch.phases:
            begin = seconds_on(self.log, window.batch, start) - window.zero
            stop = window.end if end is None else seconds_on(self.log, window.batch, end)
            found.append(PhaseWindow(phase, begin, stop - window.zero))
        return found


def _layout_options(layout: Layout) -> dict[str, str]:
    """Return how the log was read, in words."""
    found = {one.name: getattr(layout, one.name) for one in fields(layout)}
    # The form is shown with all of its columns: which one was the tag, the value, the quality, the unit.
    return {key: str(_plain(value)) for key, value in found.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(one)}" for key, one in value.items())
    return value.words if isinstance(value, Flag) else value.value if isinstance(value, enum.Enum) else value


def check_initial(given: object, where: str = "initial=") -> None:
    """Raise DataError for initial values that no model can take; where: for the message.

    given: "steady", a mapping of state -> quantity, `FromContext` or setting, or nothing. Units are compared with
    those of the model where it is known.
    """
    if given is None or isinstance(given, Steady):
        return
    if isinstance(given, str):
        if given != "steady":
            raise DataError(f'{where}"{given}": give "steady" or a mapping of state -> quantity')
        return
    if not isinstance(given, Mapping):
        raise DataError(f'{where}{given!r}: give "steady" or a mapping of state -> quantity')
    for state, value in given.items():
        if not isinstance(state, str) or not state.strip() or state.startswith("initial."):
            name = f'"{state.removeprefix("initial.")}"' if isinstance(state, str) and state.strip() else '"level"'
            raise DataError(f"{where}{{{state!r}: ...}}: a state is named as in the model, without more: {name}")
        if isinstance(value, Setting):
            continue
        try:
            number, _ = parse((1.0, value.unit) if isinstance(value, FromContext) else value)
            words = "" if math.isfinite(number) else "it is not finite"
        except (UnitError, TypeError) as error:
            words = str(error)
        if words:
            shown = f'"{value}"' if isinstance(value, str) else repr(value)
            raise DataError(
                f'{where}{{"{state}": {shown}}}: {words}; a quantity reads "20 degC", a column of the batch list '
                f'pt.FromContext("Charge degC", "degC"); what is not known is estimated, '
                f'unknown=[pt.PerExperiment("initial.{state}")] in pt.calibrate, and not said here'
            )


def _of_context(what: str, given: FromContext, batch: Batch) -> tuple[float, str]:
    try:
        return given.of(batch)
    except DataError as error:
        raise DataError(f"{what}: {error}") from None


def _identifier(tag: str) -> str:
    cleaned = "".join(sign if sign.isalnum() else "_" for sign in tag)
    return cleaned if cleaned.isidentifier() else f"tag_{cleaned}"


def _series(judged: JudgedTag, channel: Channel, rows: slice, zero: float, clock: PlantClock) -> Series:
    values = np.asarray(judged.unit.to_si(judged.values[rows]), dtype=np.float64)
    notes = judged.notes_of(rows, zero, clock.since(zero))
    if channel.sensor is not None and channel.sensor.correction:
        notes += channel.sensor.beyond(values[judged.flags[rows] <= Flag.SUSPECT], channel.unit)
        values, words = corrected(values, channel.sensor, channel.unit)
        notes = (*notes, words)
    censored = None if judged.censored is None else judged.censored[rows]
    return Series(
        channel,
        judged.times[rows] - zero,
        values,
        judged.flags[rows],
        np.zeros(values.size, np.int8),
        (),
        notes,
        censored=censored if censored is not None and censored.any() else None,
        **taken(channel, Samples(judged.times[rows] - zero, values)),
    )


def _check_usable(series: Mapping[str, Series], absent: Sequence[MissingTag], window: Window, last: float) -> None:
    """Raise DataError, saying why, where no channel has a sample to use."""
    if window.start > last:  # then nothing is known of its inputs either, whatever the laboratory says
        raise DataError("no sample at all: the log ends before it begins")
    if any(one.informative.any() for one in series.values()):
        return
    if not series:
        raise DataError("no sample at all in its time")
    tags = ", ".join(one.tag for one in absent)
    missing = f"; no sample at all of {tags}" if tags else ""
    shown = "; ".join(f"{output}: {', '.join(one.notes) or 'none'}" for output, one in series.items())
    raise DataError(f"no sample can be used ({shown}){missing}")


def _without_replaced(experiment: Experiment, changes: Sequence[Replacement], tag_of: Mapping[str, str]) -> Experiment:
    """Leave out the samples after the replacement of their sensor: they have another bias."""
    if not changes:
        return experiment
    at = {one.tag: one for one in changes}
    series = dict(experiment.series)
    for output, tag in tag_of.items():
        if tag not in at:
            continue
        one, change = series[output], at[tag]
        reason = f"the sensor was replaced: {change.before} by {change.after}"
        series[output] = one.leave_out(one.times >= change.at, reason)
    return replace(experiment, series=series)
