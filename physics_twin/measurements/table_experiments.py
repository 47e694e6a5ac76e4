"""Experiments from tables, one row a time: text files and data frames, as `Experiment.from_csv` takes them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.measurements import quality
from physics_twin.measurements.building import Samples, assemble, distinct, series_from
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.clocks import Axis, Stamps, read_axis, start_on
from physics_twin.measurements.experiment import Context, Experiment, Initial, InputColumn
from physics_twin.measurements.flags import Flag, FlagArray, worst
from physics_twin.measurements.provenance import Exclusion, Provenance
from physics_twin.measurements.recorded_inputs import InputSamples, RecordedInput, recorded_inputs
from physics_twin.measurements.tables import Numbers, Table, numbers
from physics_twin.measurements.tags.export_units import compared_unit
from physics_twin.recipes import Level, Recipe
from physics_twin.units import QuantityLike, unit as as_unit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_table", "table_of"]


def table_of(frame: "pd.DataFrame") -> Table:
    """Return a data frame as a table, its index among the columns if it has a name.

    Raises DataError for two columns of one name, or a frame without rows.
    """
    columns: dict[str, Any] = {}
    if frame.index.name is not None and frame.index.name not in frame.columns:
        columns[str(frame.index.name)] = _cells(frame.index)
    for label in frame.columns:
        if str(label) in columns or not isinstance(frame[label], type(frame.iloc[:, 0])):
            raise DataError(f'two columns of the frame are called "{label}"')
        columns[str(label)] = _cells(frame[label])
    if not len(frame):
        raise DataError("the frame has no rows")
    return Table(columns, {}, range(1, len(frame) + 1), "frame", "", ())


def _cells(column: Any) -> Any:
    """Return the cells of a pandas column: an array of numbers if they are numbers, else a list of objects."""
    if getattr(column.dtype, "kind", "") in "fiu" and isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    return column.tolist()


def from_table(
    table: Table,
    *,
    options: Mapping[str, str],
    name: str,
    time: str | Column | Stamps,
    channels: Sequence[Channel],
    inputs: Mapping[str, InputColumn] | None,
    recipe: Recipe | None,
    initial: Initial | None,
    start: QuantityLike | dt.datetime | None,
    settle: QuantityLike | None,
    context: Context | None,
    exclude: Sequence[Exclusion],
    hold_after: bool,
    decimal: str,
) -> Experiment:
    """Return the experiment in a table; options: how it was read, for its provenance; the rest as in `from_csv`."""
    if inputs is not None and recipe is not None:
        raise DataError("give inputs= (recorded) or recipe=, and not both")
    unit_notes = _check_declared_units(table, time, channels, inputs or {})
    axis = read_axis(table, time, decimal=decimal)
    order, order_notes = quality.in_order(axis.seconds)
    order = worst(order, axis.flags)
    notes = [*table.notes, *unit_notes, *axis.notes, *order_notes]
    recorded = {key: column for key, column in (inputs or {}).items() if isinstance(column, Column)}
    t, zero = _from_zero(axis, order, start, bool(recorded), table, time)
    if start is None and axis.origin is None and zero != 0.0:
        notes.append(f"time zero is the first row, {zero:g} s on the column's own clock")
    notes += quality.gaps(t[order <= Flag.SUSPECT])
    series = {}
    for channel in distinct(channels):
        read = numbers(table[channel.column], table, channel.column, decimal=decimal)
        begins, ends = _windows(channel, table, time, decimal, axis, zero)
        samples = Samples(
            t, read.values, read.flags, read.censored, notes=_text_notes(read, table), begins=begins, ends=ends
        )
        series[channel.output] = series_from(channel, samples, order)
    found: list[RecordedInput] = []
    if recipe is None and inputs:
        columns: dict[str, InputSamples | Level] = {}
        for key, column in inputs.items():
            if isinstance(column, Column):
                read = numbers(table[column.name], table, column.name, decimal=decimal)
                flags, said = read.flags, _text_notes(read, table)
                if read.censored is not None:  # an input is a number, and not a bound of one
                    flags = np.where(read.censored != 0, np.int8(Flag.BAD), flags)
                    said = (*said, f"{int((read.censored != 0).sum())} cells are limits and no numbers: bad")
                columns[key] = InputSamples(column, t, read.values, flags, order, said)
            else:
                columns[key] = column
        last = t[(order == Flag.GOOD) & (t >= 0.0)]
        if not last.size:
            raise DataError(f"{table.source}: start= lies after the last row")
        recipe, found = recorded_inputs(columns, source=table.source, end=float(last.max()), hold_after=hold_after)
    options = {**options, "time": _time_text(time), **({} if start is None else {"start": str(start)})}
    return assemble(
        name,
        series,
        recipe=recipe,
        initial=initial,
        settle=settle,
        provenance=Provenance(table.source, table.sha256, options, tuple(exclude)),
        context=context,
        inputs=found,
        notes=notes,
        t0_utc=None if axis.origin is None else axis.origin + dt.timedelta(seconds=zero),
    )


def _windows(
    channel: Channel, table: Table, time: str | Column | Stamps, decimal: str, axis: Axis, zero: float
) -> tuple[Array, Array] | tuple[None, None]:
    """Return when the windows of a channel begin and end, s since time zero, if columns of the table say so."""
    averaged = channel.averaged
    if averaged is None or averaged.begin is None or averaged.end is None:
        return None, None
    found = []
    for column in (averaged.begin, averaged.end):
        like: str | Column | Stamps = column
        if isinstance(time, Column):
            like = replace(time, name=column)
        elif isinstance(time, Stamps):
            like = replace(time, column=column)
        own = read_axis(table, like, decimal=decimal)
        if (own.origin is None) != (axis.origin is None):
            raise DataError(f'{table.source}: "{column}" and "{_time_text(time)}" are a stamp and an elapsed time')
        since = 0.0 if own.origin is None or axis.origin is None else (own.origin - axis.origin).total_seconds()
        found.append(own.seconds + since - zero)
    return found[0], found[1]


def _time_text(time: str | Column | Stamps) -> str:
    if isinstance(time, Column):
        return f"{time.name} ({time.unit})"
    return f"{time.column} ({time.zone or 'own offset'})" if isinstance(time, Stamps) else time


def _check_declared_units(
    table: Table, time: str | Column | Stamps, channels: Sequence[Channel], inputs: Mapping[str, InputColumn]
) -> list[str]:
    """Compare the units that the file states in a second header line with those declared; return notes of doubt."""
    declared = [(channel.column, channel.unit) for channel in channels]
    declared += [(column.name, as_unit(column.unit)) for column in inputs.values() if isinstance(column, Column)]
    if not isinstance(time, Stamps):
        declared.append((time.name, as_unit(time.unit)) if isinstance(time, Column) else (time, as_unit("s")))
    remedy = "if the file is wrong, read it with pandas and pass the frame to Experiment.from_frame"
    notes = []
    for column, unit in declared:
        where = f'{table.source}, column "{column}"'
        note = compared_unit(table.units.get(column, ""), unit, where, remedy=remedy)
        if note:
            notes.append(f'column "{column}": {note}')
    return notes


def _from_zero(
    axis: Axis,
    order: FlagArray,
    start: QuantityLike | dt.datetime | None,
    recorded: bool,
    table: Table,
    time: str | Column | Stamps,
) -> tuple[Array, float]:
    """Return the times since time zero, and time zero on the axis of the log."""
    if start is not None:
        zero = start_on(axis, start)
    else:
        first = int(np.flatnonzero(order <= Flag.SUSPECT)[0])
        zero = float(axis.seconds[first])
        if axis.origin is None and zero != 0.0 and not recorded:
            raise DataError(
                f"{table.source}, {table.where(first)}: the time {_time_text(time)} begins at {zero:g} s and not at 0, "
                f'and no inputs are recorded beside it; say where the run began: start="0 s" or start="{zero:g} s"'
            )
    return axis.seconds - zero, zero


def _text_notes(read: Numbers, table: Table) -> tuple[str, ...]:
    if not read.texts:
        return ()
    row, text = read.texts[0]
    n = int((read.flags == Flag.BAD).sum())
    return (f'{n} cell{"s are" if n > 1 else " is"} no number ("{text}" in {table.where(row)}): bad',)
