"""An export cut into experiments: one for each batch, with its phases, its laboratory values and its context."""

import datetime as dt
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, RecipeError, unknown_name
from physics_twin.measurements.batch_tables import BatchList, batch_list
from physics_twin.measurements.batch_tags import ByTag, batches_by_tag
from physics_twin.measurements.batches import Batch, LaboratoryValue, Moment, PhaseWindow, moment_text
from physics_twin.measurements.building import assemble, corrected, distinct
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.checks import Checks
from physics_twin.measurements.collection import Experiments
from physics_twin.measurements.cross_checks import Pair, cross_check
from physics_twin.measurements.cutting_report import (
    CuttingReport,
    LaboratoryOrphan,
    MissingTag,
    NotBuilt,
    Orphans,
    Overlap,
    Replacement,
)
from physics_twin.measurements.experiment import Experiment, Initial
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.judging import JudgedTag, judge
from physics_twin.measurements.laboratory_series import Drawn, LaboratoryChannels
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.provenance import Exclusion, Provenance
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.recorded_inputs import InputSamples, RecordedInput, recorded_inputs
from physics_twin.measurements.sensors import Installation
from physics_twin.measurements.series import Series
from physics_twin.measurements.tags import Tag, TagTable
from physics_twin.recipes import Level, Recipe, Rule
from physics_twin.units import QuantityLike, Unit, unit as as_unit

__all__ = ["FromContext", "experiments_from"]

_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class FromContext:
    """A quantity that stands in the batch list: its column, and the unit of its numbers."""

    column: str
    unit: str

    def of(self, batch: Batch) -> tuple[float, str]:
        """Return the quantity of a batch. Raises DataError where the cell is empty or no number."""
        found = batch.context.get(self.column)
        if isinstance(found, bool) or not isinstance(found, int | float):
            shown = "is empty or not there" if found is None else f'is "{found}", which is no number'
            raise DataError(f'"{self.column}" of the batch list {shown}')
        return float(found), self.unit


type InitialOf = Mapping[str, Level | FromContext] | Literal["steady"] | Callable[[Batch], Initial]
type InputOf = Column | Level | FromContext


def experiments_from(
    log: Any,
    *,
    batches: Any,
    tags: TagTable | str | os.PathLike[str] | None = None,
    channels: Sequence[Channel] | None = None,
    inputs: Mapping[str, InputOf] | None = None,
    laboratory: Sequence[LaboratoryValue] = (),
    initial: InitialOf | None = None,
    recipe: Recipe | Callable[[Batch], Recipe] | None = None,
    settle: QuantityLike | None = None,
    exclude: Sequence[Exclusion] | Mapping[str, Sequence[Exclusion]] = (),
    time_zero: str = "start",
    name: Callable[[Batch], str] | None = None,
    strict: bool = False,
    progress: bool = False,
) -> Experiments:
    """Cut an export into experiments, one for each batch.

    log: a `Log`, or what `read_log` takes. batches: batches (`read_batches`), the path or frame of a batch list whose
        headers say what they are, or `ByTag("BATCH_ID", phase="PHASE")`. Stamps of a list that is given by its path
        are in the zone of the log where they have no offset.
    tags: the tag table, or its file; without it, that of the log. channels: instead of it, with tags as columns.
    inputs: model input -> `Column` (its tag), a quantity or setting that holds throughout, or `FromContext`; they are
        added to those of the tag table. recipe: the inputs instead, or what makes one from a batch.
    laboratory: of `read_laboratory`; a value belongs to the batch that it names, else to the one that its time lies in.
    initial: state -> quantity or `FromContext`, "steady", or what makes it from a batch.
    settle, exclude: as in `Experiment.from_csv`, in each batch; or batch -> its exclusions.
    time_zero: "start" of the batch, or the name of the phase whose beginning is time zero; samples before it are kept
        and left out of the misfit.
    name: what makes the name of the experiment from a batch. strict: raise for the first batch that cannot be built.
    progress: show a bar while the log is read.

    A batch holds the samples from its start to its end, both included; a sample at the moment where the next batch
    begins belongs to that one. Inputs at time zero follow from the sample before it too. All checks judge whole tags
    before they are cut (see `judging`). Whatever did not go into an experiment is counted in `report`: samples outside
    of batches, overlaps, batches and tags without samples, laboratory values without batch, samples after the
    replacement of a sensor.

    Raises UnknownNameError for tags, channels and phases that are not there, UnitError for units that do not fit,
    DataError where nothing can be built, or for a batch that cannot be built if `strict`.
    """
    if recipe is not None and inputs is not None:
        raise DataError("give inputs= (recorded) or recipe=, and not both")
    table = None if channels is not None else _tag_table(tags)
    if channels is not None and tags is not None:
        raise DataError("give tags= or channels=, and not both")
    log = _read(log, batches, table, channels, inputs, progress)
    if table is None and channels is None:
        table = log.tags
    listed = _listed(batches, log)
    windows, outside = _windows(log, listed.batches, time_zero)
    plan = _Plan.of(log, table, channels, {} if recipe is not None else inputs or {}, recipe is not None)
    lab = LaboratoryChannels.of(laboratory, {one.output for one in plan.outputs})
    joined, orphans = _joined(laboratory, windows, log)
    cutter = _Cutter(log, listed, plan, lab, initial, recipe, settle, exclude, name)
    cutter.check_exclusions([window.batch for window in windows] + [one.batch for one in outside])
    built: list[Experiment] = []
    not_built: list[NotBuilt] = list(outside)
    missing: list[MissingTag] = []
    replaced: list[Replacement] = []
    rows = {tag: _rows(judged.times, windows) for tag, judged in plan.judged.items()}
    for k, window in enumerate(windows):
        slices = {tag: slice(int(low[k]), int(high[k])) for tag, (low, high) in rows.items()}
        try:
            experiment, absent, changes = cutter.build(window, slices, joined.get(k, []))
        except (DataError, RecipeError) as error:
            if strict:
                raise type(error)(f'batch "{window.batch.name}": {error}') from error
            not_built.append(NotBuilt(window.batch.name, str(error)))
            orphans += [_orphan(one.value, "its batch could not be built") for one in joined.get(k, [])]
            continue
        built.append(experiment)
        missing += absent
        replaced += changes
    if not built and windows:
        reasons = "; ".join(f"{one.batch}: {one.reason}" for one in not_built[:3])
        raise DataError(f"{log.source}: none of {len(listed.batches)} batches could be built ({reasons})")
    if not built:
        raise DataError(f"{log.source}: there is no batch" + "".join(f"; {one.batch}: {one.reason}" for one in outside))
    _check_names(built)
    report = CuttingReport(
        n_batches=len(listed.batches),
        overlaps=_overlaps(windows),
        orphans=tuple(
            one
            for tag, judged in plan.judged.items()
            if (one := _outside(judged, *rows[tag])).n_outside + one.n_timeless
        ),
        not_built=tuple(not_built),
        missing=tuple(missing),
        laboratory=tuple(orphans),
        replaced=tuple(replaced),
        disordered={tag: one.n_disordered for tag, one in plan.judged.items() if one.n_disordered},
        tags={tag: one.notes for tag, one in plan.judged.items() if one.notes},
        notes=(*log.notes, *listed.notes, *plan.notes),
    )
    return Experiments(tuple(built), report)


# What is read --------------------------------------------------------------------------------------------------------


def _tag_table(tags: TagTable | str | os.PathLike[str] | None) -> TagTable | None:
    return TagTable.load(tags) if isinstance(tags, str | os.PathLike) else tags


def _read(
    log: Any,
    batches: Any,
    table: TagTable | None,
    channels: Sequence[Channel] | None,
    inputs: Mapping[str, InputOf] | None,
    progress: bool,
) -> Log:
    if isinstance(log, Log):
        return log
    from physics_twin.measurements.logs.reading import read_log

    by = batches.tags if isinstance(batches, ByTag) else ()
    columns = [one.name for one in (inputs or {}).values() if isinstance(one, Column)]
    if table is not None:
        more = [tag for tag in dict.fromkeys([*by, *columns]) if tag not in table]
        return read_log(log, tags=replace(table, tags=(*table.tags, *map(Tag, more))), progress=progress)
    if channels is None:
        raise DataError("declare what the tags show: tags= (a tag table) or channels=")
    names = dict.fromkeys([*(channel.column for channel in channels), *columns, *by])
    return read_log(log, tags=list(names), progress=progress)


def _listed(batches: Any, log: Log) -> BatchList:
    if isinstance(batches, ByTag):
        return BatchList(batches_by_tag(log, batches), f'{log.source}, tag "{batches.tag}"')
    if isinstance(batches, Batch):
        return BatchList((batches,))
    if isinstance(batches, Sequence) and not isinstance(batches, str):
        strange = next((one for one in batches if not isinstance(one, Batch)), None)
        if strange is not None:
            raise DataError(f"batches= holds {strange!r}, which is no Batch")
        return BatchList(tuple(batches))
    return batch_list(batches, zone=log.layout.zone)


@dataclass(frozen=True)
class _Window:
    """A batch on the clock of the log: s since its origin; closed: whether a sample at the end belongs to it."""

    batch: Batch
    start: float
    end: float
    zero: float
    closed: bool


def _windows(log: Log, batches: Sequence[Batch], time_zero: str) -> tuple[list[_Window], list[NotBuilt]]:
    """Return the batches on the clock of the log, in order of time, and those that have no time zero."""
    seen: dict[str, Batch] = {}
    for batch in batches:
        if seen.setdefault(batch.name, batch) is not batch:
            raise DataError(f'two batches are called "{batch.name}"' + (f" ({batch.source})" if batch.source else ""))
    if time_zero != "start" and not any(name == time_zero for batch in batches for name, *_ in batch.phases):
        raise unknown_name("phase of the batches (time_zero=)", time_zero, {p for b in batches for p, *_ in b.phases})
    last = _last_time(log)
    ends = [(_seconds(log, b, b.start), last if b.end is None else _seconds(log, b, b.end)) for b in batches]
    starts = {start for start, _ in ends}
    found: list[_Window] = []
    without: list[NotBuilt] = []
    for batch, (start, end) in zip(batches, ends, strict=True):
        zero = start
        if time_zero != "start":
            own = [at for phase, at, _ in batch.phases if phase == time_zero]
            if not own:
                without.append(NotBuilt(batch.name, f'it has no phase "{time_zero}" for time zero'))
                continue
            zero = _seconds(log, batch, own[0])
        if end <= start:
            reason = "it has no duration" if batch.end is not None else "it begins after the end of the log"
            without.append(NotBuilt(batch.name, reason))
            continue
        found.append(_Window(batch, start, end, zero, end not in starts))
    return sorted(found, key=lambda window: (window.start, window.end)), without


def _last_time(log: Log) -> float:
    return max((float(np.nanmax(one.times)) for one in log if np.isfinite(one.times).any()), default=0.0)


def _seconds(log: Log, batch: Batch | None, moment: Moment) -> float:
    whose = "" if batch is None else f'batch "{batch.name}": '
    if isinstance(moment, dt.datetime):
        if log.origin is None:
            raise DataError(f"{whose}{moment_text(moment)} is a stamp, and {log.source} has elapsed time; give s")
        return ((moment - log.origin) // _MICROSECOND) / 1e6
    if log.origin is not None:
        raise DataError(f"{whose}{moment:g} s is elapsed time, and {log.source} has stamps; give stamps with a zone")
    return float(moment)


def _rows(times: Array, windows: Sequence[_Window]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return first row and row after the last one of each window, (n_windows,), of a tag whose times ascend."""
    starts = np.array([min(window.start, window.zero) for window in windows])
    ends = np.array([window.end for window in windows])
    closed = np.array([window.closed for window in windows], dtype=bool)
    low = np.searchsorted(times, starts, "left")
    high = np.where(closed, np.searchsorted(times, ends, "right"), np.searchsorted(times, ends, "left"))
    return low, np.maximum(high, low)


def _outside(judged: JudgedTag, low: NDArray[np.intp], high: NDArray[np.intp]) -> Orphans:
    depth = np.zeros(judged.times.size + 1, dtype=np.int32)
    np.add.at(depth, low, 1)
    np.add.at(depth, high, -1)
    n_outside = int((np.cumsum(depth[:-1]) == 0).sum())
    return Orphans(judged.tag, n_outside, judged.n_timeless, judged.times.size + judged.n_timeless)


def _overlaps(windows: Sequence[_Window]) -> tuple[Overlap, ...]:
    """Return which of the windows, in order of their starts, overlap."""
    found: list[Overlap] = []
    running: list[_Window] = []
    for window in windows:
        running = [one for one in running if one.end > window.start]
        found += [
            Overlap(one.batch.name, window.batch.name, min(one.end, window.end) - window.start) for one in running
        ]
        running.append(window)
    return tuple(found)


def _check_names(built: Sequence[Experiment]) -> None:
    seen: set[str] = set()
    for experiment in built:
        if experiment.name in seen:
            raise DataError(f'name= makes "{experiment.name}" of two batches')
        seen.add(experiment.name)


# Laboratory ----------------------------------------------------------------------------------------------------------


def _orphan(value: LaboratoryValue, reason: str) -> LaboratoryOrphan:
    sign = {-1: "<", 0: "", 1: ">"}[value.censored]
    shown = value.text or f"{sign}{value.value:g} {value.unit}"
    return LaboratoryOrphan(value.output, shown, reason, value.source)


def _joined(
    laboratory: Sequence[LaboratoryValue], windows: Sequence[_Window], log: Log
) -> tuple[dict[int, list[Drawn]], list[LaboratoryOrphan]]:
    """Return the values of each window (by position), and those of none."""
    by_name = {window.batch.name: k for k, window in enumerate(windows)}
    found: dict[int, list[Drawn]] = {}
    orphans: list[LaboratoryOrphan] = []
    for value in laboratory:
        at = None if value.sampled_at is None else _seconds(log, None, value.sampled_at)
        k, reason = _batch_of(value, at, windows, by_name)
        if k is None:
            orphans.append(_orphan(value, reason))
        else:
            reported = np.nan if value.reported_at is None else _seconds(log, None, value.reported_at)
            found.setdefault(k, []).append(Drawn(value, windows[k].end if at is None else at, reported))
    return found, orphans


def _batch_of(
    value: LaboratoryValue, at: float | None, windows: Sequence[_Window], by_name: Mapping[str, int]
) -> tuple[int | None, str]:
    """Return the position of the window that a value belongs to, or None and why."""
    if value.text:
        return None, "it is no number"
    if value.batch:
        k = by_name.get(value.batch)
        if k is None:
            return None, f'there is no batch "{value.batch}"'
        window = windows[k]
        if at is None:
            return k, ""
        # Samples are drawn a little before the start or after the end; a day off is a slip of the pen.
        beyond = max(window.start - at, at - window.end)
        if beyond > window.end - window.start:
            when = "before the start" if at < window.start else "after the end"
            return None, f'it was sampled {duration_text(beyond)} {when} of its batch "{value.batch}"'
        return k, ""
    assert at is not None
    hits = [k for k, one in enumerate(windows) if one.start <= at and (at < one.end or (one.closed and at == one.end))]
    if len(hits) == 1:
        return hits[0], ""
    if not hits:
        return None, "its time lies outside every batch"
    names = " and ".join(f'"{windows[k].batch.name}"' for k in hits[:3])
    return None, f"its time lies in {len(hits)} batches ({names}), and it names none"


# What is cut ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Output:
    """A tag that shows an output."""

    tag: str
    output: str
    plain: Channel


@dataclass(frozen=True)
class _Plan:
    """Which tags become what, and their judged samples (tag -> samples)."""

    outputs: tuple[_Output, ...]
    inputs: Mapping[str, InputOf]
    table: TagTable | None
    judged: Mapping[str, JudgedTag]
    installed: Mapping[str, tuple[Installation, ...]]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        log: Log,
        table: TagTable | None,
        channels: Sequence[Channel] | None,
        inputs: Mapping[str, InputOf],
        has_recipe: bool,
    ) -> "_Plan":
        notes: list[str] = []
        columns: dict[str, InputOf] = {}
        kinds: dict[str, tuple[Unit, Checks, Mapping[str, float]]] = {}
        outputs: list[_Output] = []
        installed: dict[str, tuple[Installation, ...]] = {}
        pairs: list[Pair] = []
        if channels is not None:
            for channel in distinct(channels):
                _ = log[channel.column]
                outputs.append(_Output(channel.column, channel.output, channel))
                kinds[channel.column] = (channel.unit, channel.checks or Checks(), {})
        elif table is not None:
            for tag in table:
                if tag.output is None and tag.input is None:
                    continue
                if tag.name not in log.samples:
                    notes.append(f'the tag "{tag.name}" of the tag table is not in {log.source}')
                    continue
                kinds[tag.name] = (as_unit(tag.unit), tag.checks, tag.states)
                if tag.output is not None:
                    outputs.append(_Output(tag.name, tag.output, tag.channel()))
                    installed[tag.name] = table.installed(tag.name)
                elif tag.input is not None and not has_recipe:
                    columns[tag.input] = tag.column()
            pairs = [pair for pair in table.pairs if pair.first in log.samples and pair.second in log.samples]
            for pair in pairs:
                for name in (pair.first, pair.second):
                    kinds.setdefault(name, (as_unit(table[name].unit), table[name].checks, table[name].states))
        else:
            raise DataError(f"{log.source}: declare what the tags show: tags= (a tag table) or channels=")
        if not outputs:
            raise DataError(f"{log.source}: none of the tags in the table that show an output is in the log")
        columns |= inputs
        for one in columns.values():
            if isinstance(one, Column):
                _ = log[one.name]
                states = table[one.name].states if table is not None and one.name in table else {}
                kinds.setdefault(one.name, (as_unit(one.unit), one.checks or Checks(), states))
        judged = {name: judge(log[name], *kind) for name, kind in kinds.items()}
        return cls(tuple(outputs), columns, table, judged, installed, tuple(pairs), tuple(notes))


class _Cutter:
    """Builds the experiment of one batch after the other; what they share is prepared once."""

    def __init__(
        self,
        log: Log,
        listed: BatchList,
        plan: _Plan,
        lab: LaboratoryChannels,
        initial: InitialOf | None,
        recipe: Recipe | Callable[[Batch], Recipe] | None,
        settle: QuantityLike | None,
        exclude: Sequence[Exclusion] | Mapping[str, Sequence[Exclusion]],
        name: Callable[[Batch], str] | None,
    ) -> None:
        self.log, self.plan, self.lab = log, plan, lab
        self.initial, self.recipe, self.settle, self.exclude, self.name = initial, recipe, settle, exclude, name
        self.options = _layout_options(log.layout)
        if listed.source:
            self.options["batches"] = listed.source
        if listed.sha256:
            self.options["batches sha256"] = listed.sha256
        self.last = _last_time(log)
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
        self, window: _Window, slices: Mapping[str, slice], values: Sequence[Drawn]
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
            series[one.output] = _series(self.plan.judged[one.tag], channel, rows, window.zero)
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

    def _channel(self, one: _Output, window: _Window) -> Channel:
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

    def _replacements(self, tag: str, channel: Channel, window: _Window) -> list[Replacement]:
        before = "an unknown sensor" if channel.sensor is None else channel.sensor.serial
        for one in self.plan.installed.get(tag, ()):
            if one.since is None or self.log.origin is None:
                continue
            at = _seconds(self.log, window.batch, one.since)
            if window.zero < at <= window.end:
                return [Replacement(window.batch.name, tag, at - window.zero, before, one.serial)]
        return []

    def _cross_check(self, pair: Pair, series: dict[str, Series], slices: Mapping[str, slice], window: _Window) -> None:
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
            both.append(_series(judged, witness, slices[name], window.zero))
        checked = cross_check(both[0], both[1], pair.tolerance)
        for name, one in zip(names, (checked.first, checked.second), strict=True):
            if name in known:
                series[known[name]] = one

    def _inputs(self, window: _Window, slices: Mapping[str, slice], end: float) -> tuple[Recipe, list[RecordedInput]]:
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
        return recorded_inputs(levels, source=self.log.source, end=end)

    def _samples(self, name: str, column: Column, rows: slice, window: _Window, end: float) -> InputSamples:
        """Return the samples of an input from the one before time zero to the one after the end."""
        judged, usable = self.plan.judged[column.name], self.usable[column.name]
        times = judged.times
        zero, stop = int(np.searchsorted(times, window.zero)), int(np.searchsorted(times, window.zero + end, "right"))
        before, after = int(np.searchsorted(usable, zero)) - 1, int(np.searchsorted(usable, stop))
        first = min(int(usable[before]), zero) if before >= 0 else zero
        last = max(int(usable[after]) + 1, stop) if after < usable.size and column.rule is Rule.RAMP else stop
        if judged.changes_unit(slice(zero, stop)):
            raise DataError(
                f'the input "{name}" (tag "{column.name}") seems to change its unit, and an input cannot be left out'
            )
        notes = []
        exact = (
            zero < times.size and times[zero] == window.zero and bool((usable[before + 1 : before + 2] == zero).all())
        )
        if before >= 0 and not exact:
            gap = duration_text(window.zero - float(times[first]))
            how = "held from" if column.rule is Rule.HOLD else "on a straight line from"
            notes.append(f"at time zero {how} the sample {gap} before")
        # What lies between the last good sample before time zero and time zero is of no use.
        kept = np.r_[first : first + 1 if first < zero else first, zero:stop]
        if last > stop:
            kept = np.append(kept, last - 1)
        bare = Column(column.name, column.unit, column.rule)  # the checks have been made
        moments = times[kept] - window.zero
        return InputSamples(bare, moments, judged.values[kept], judged.flags[kept], judged.order(kept), tuple(notes))

    def _initial(self, batch: Batch) -> Initial | None:
        given = self.initial
        if given is None or isinstance(given, str):
            return given
        if not isinstance(given, Mapping):
            return given(batch)
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

    def _phases(self, window: _Window) -> list[PhaseWindow]:
        found = []
        for phase, start, end in window.batch.phases:
            begin = _seconds(self.log, window.batch, start) - window.zero
            stop = window.end if end is None else _seconds(self.log, window.batch, end)
            found.append(PhaseWindow(phase, begin, stop - window.zero))
        return found


def _layout_options(layout: Layout) -> dict[str, str]:
    """Return how the log was read, in words."""
    found = {one.name: getattr(layout, one.name) for one in fields(layout)}
    return {
        key: value if isinstance(value, str) else getattr(value, "value", None) or str(value)
        for key, value in found.items()
        if value is not None
    }


def _of_context(what: str, given: FromContext, batch: Batch) -> tuple[float, str]:
    try:
        return given.of(batch)
    except DataError as error:
        raise DataError(f"{what}: {error}") from None


def _identifier(tag: str) -> str:
    cleaned = "".join(sign if sign.isalnum() else "_" for sign in tag)
    return cleaned if cleaned.isidentifier() else f"tag_{cleaned}"


def _series(judged: JudgedTag, channel: Channel, rows: slice, zero: float) -> Series:
    values = np.asarray(judged.unit.to_si(judged.values[rows]), dtype=np.float64)
    notes = judged.notes_of(rows, zero)
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
    )


def _check_usable(series: Mapping[str, Series], absent: Sequence[MissingTag], window: _Window, last: float) -> None:
    """Raise DataError, saying why, where no channel has a sample to use."""
    if any(one.used.any() for one in series.values()):
        return
    if window.start > last:
        raise DataError("no sample at all: the log ends before it begins")
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
        hit = (one.times >= change.at) & (one.left_out == 0)
        if hit.any():
            left_out = np.where(hit, np.int8(len(one.reasons) + 1), one.left_out)
            reason = f"the sensor was replaced: {change.before} by {change.after}"
            series[output] = replace(one, left_out=left_out, reasons=(*one.reasons, reason))
    return replace(experiment, series=series)
