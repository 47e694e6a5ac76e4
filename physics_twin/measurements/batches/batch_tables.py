"""Batch lists: one row a batch, or one row a phase, with stamps of the clock on the wall."""

import datetime as dt
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from physics_twin.errors import DataError
from physics_twin.measurements.batches.batch import Batch, Moment, batch_name, moment_text
from physics_twin.measurements.batches.lists import (
    KeptList,
    Reading,
    candidates,
    column_for,
    is_blank,
    moments,
    needed,
    read_list,
    text_of,
)
from physics_twin.measurements.batches.printed_lists import Batches
from physics_twin.measurements.logs.layout import Layout

__all__ = ["BatchList", "batch_list", "read_batches"]

type StampColumn = str | tuple[str, str]
type PhaseColumn = str | tuple[str, str]


def _headers(words: str) -> frozenset[str]:
    """Return headers as they are compared: in lower case, without blanks and signs."""
    return frozenset(words.split())


_IDS = _headers(
    "batch batchid batchno batchnr batchnumber batchname charge chargenr chargennr chargennummer id lotid name order "
    "orderno run runid heat heatno auftrag"
)
_STARTS = _headers(
    "start started starttime startstamp starttimestamp startutc starttimeutc startdate startdatetime startedat "
    "batchstart begin begintime from beginn anfang von"
)
_ENDS = _headers(
    "end ended endtime endstamp endtimestamp endutc endtimeutc enddate enddatetime endedat batchend stop stoptime to "
    "until finish finished finishtime ende bis"
)


@dataclass(frozen=True)
class BatchList:
    """Batches with where they come from: name of the table, its hash ("" for none), and notes about it as a whole."""

    batches: tuple[Batch, ...]
    source: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()


def read_batches(
    source: str | os.PathLike[str] | Any,
    *,
    id: str | None = None,
    start: StampColumn | None = None,
    end: StampColumn | None = None,
    zone: str | None = None,
    format: str | None = None,
    phase: str | None = None,
    phases: Mapping[str, PhaseColumn] | None = None,
    context: Sequence[str] | None = None,
    open_end: Literal["next"] | None = None,
    layout: Layout | None = None,
) -> tuple[Batch, ...]:
    """Read a batch list.

    source: path of a text file or workbook, a pandas or polars frame, or a `Query`. id, start, end: its columns;
        without them, headers like "Batch", "Start" and "End" are taken if there is one of each. A start or end in two
        columns is ("Date", "Begin"); an end on the same date column that lies before the start is on the next day.
    zone: IANA name of the clock, for stamps without an offset; columns whose header says UTC ("Start UTC") are in UTC.
    format: as in `datetime.strptime`, "s", "min" or "h" for elapsed time, "excel", "unix s"; detected for stamps, if
        they are not ambiguous.
    phase: the column of the phase, where a batch has one row for each. phases: instead, phase -> its columns of start
        and end, or only of its start: then it ends where the next one begins, the last one with the batch.
    context: columns that go into the context of the experiment; all others by default, without empty cells.
    open_end: "next" takes the start of the next batch for an end that is missing, and the end of the log for the last
        one; without it, a missing end is an error.
    layout: encoding, separator, decimal, skiprows, header, sheet, where detection does not get them right.

    The tuple prints as a table. Names are made fit for experiments ("B 1/7" becomes "B_1_7", and the context keeps what
    was written). Stamps in the hour that the end of summer time repeats are taken so that the batch ends after it
    begins, else as the first pass, with a note; those in the hour that is skipped do not exist.

    Raises DataError, naming table, row and column, for a cell that is no stamp or lies in the skipped hour, a missing
    name, start or end, a batch that ends before it begins, or two rows with one name; and, naming the columns and the
    keyword, where it is not clear which columns are meant.
    """
    listed = batch_list(
        source,
        id=id,
        start=start,
        end=end,
        zone=zone,
        format=format,
        phase=phase,
        phases=phases,
        context=context,
        open_end=open_end,
        layout=layout,
    )
    return Batches(listed.batches)


def batch_list(
    source: Any,
    *,
    id: str | None = None,
    start: StampColumn | None = None,
    end: StampColumn | None = None,
    zone: str | None = None,
    format: str | None = None,
    phase: str | None = None,
    phases: Mapping[str, PhaseColumn] | None = None,
    context: Sequence[str] | None = None,
    open_end: Literal["next"] | None = None,
    layout: Layout | None = None,
) -> BatchList:
    """Read a batch list with its source and hash; the arguments are those of `read_batches`."""
    if phase is not None and phases is not None:
        raise DataError("give phase= (one row a phase) or phases= (columns of one row), and not both")
    kept = read_list(source, layout)
    table = kept.table
    ids = needed(table, column_for(table, id, "the name of the batch", "id", _IDS), "the name of the batch", "id")
    starts = _stamp_column(kept, start, "the start", "start", _STARTS)
    ends = _stamp_column(kept, end, "the end", "end", _ENDS)
    read = _Stamps(kept, zone, format)
    shown = f'"{Path(source).as_posix()}"' if isinstance(source, str | os.PathLike) else "frame"
    said = [] if zone is None else [f'zone="{zone}"']
    if any(one is not None for one in (id, start, end, format, phase, phases, context, layout)):
        said.append("...")
    again = f"pt.read_batches({', '.join([shown, *said, 'open_end="next"'])})"
    rows = _rows(kept, ids, read, starts, ends, open_end, again)
    taken = {ids, *_columns(starts), *_columns(ends), *([] if phase is None else [phase])}
    for spec in (phases or {}).values():
        taken |= set(_columns(spec))
    others = [name for name in table.columns if name not in taken] if context is None else list(context)
    keys = {name: _context_cells(kept, name) for name in others}
    if phase is not None:
        batches = tuple(_of_phase_rows(kept, rows, phase, keys))
    else:
        _check_repeated(kept, rows)
        windows = _phase_windows(read, rows, phases or {})
        batches = tuple(
            Batch(
                batch_name(row.id),
                row.start,
                row.end,
                _own_name(ids, row.id) | {key: cells[row.row] for key, cells in keys.items() if row.row in cells},
                windows[row.row],
                kept.row(row.row),
                row.notes,
            )
            for row in rows
        )
    _check_names(batches)
    return BatchList(batches, table.source, table.sha256, table.notes)


def _columns(spec: StampColumn) -> tuple[str, ...]:
    return (spec,) if isinstance(spec, str) else tuple(spec)


def _stamp_column(
    kept: KeptList, given: StampColumn | None, what: str, keyword: str, known: Iterable[str]
) -> StampColumn:
    if given is not None and not isinstance(given, str):
        for name in given:
            _ = kept.table[name]
        return given
    return needed(kept.table, column_for(kept.table, given, what, keyword, known), what, keyword)


def _own_name(column: str, written: str) -> dict[str, str | int | float]:
    return {} if batch_name(written) == written else {column: written}


def _context_cells(kept: KeptList, column: str) -> dict[int, str | int | float]:
    """Return the cells of a column by row: numbers where all of them are, else texts; empty ones are left out."""
    cells = {row: cell for row, cell in enumerate(kept.table[column]) if not is_blank(cell)}
    numbers = {row: kept.number(cell) for row, cell in cells.items()}
    found: dict[int, str | int | float] = {}
    for row, cell in cells.items():
        number = numbers[row]
        if number is None or None in numbers.values():
            found[row] = text_of(cell)
        else:
            found[row] = int(number) if number.is_integer() and abs(number) < 2**53 else number
    return found


@dataclass(frozen=True)
class _Stamps:
    """Columns of stamps of one list, read in one way."""

    kept: KeptList
    zone: str | None
    format: str | None

    def cells(self, column: StampColumn) -> list[Reading]:
        return moments(self.kept, column, zone=self.zone, format=self.format)

    def meanings(self, row: int, column: StampColumn, reading: dt.datetime | float) -> tuple[Moment, ...]:
        """Return what a cell may mean. Raises DataError where it means nothing."""
        if not isinstance(reading, dt.datetime):
            return (reading,)
        found = candidates(reading, self.zone)
        if not found:
            raise self.kept.error(
                row,
                " + ".join(_columns(column)),
                f"{reading:%Y-%m-%d %H:%M:%S} does not exist in {self.zone}: summer time skips that hour",
            )
        return found


@dataclass(frozen=True)
class _Row:
    """One row: where it stands, the name as written, its window."""

    row: int
    id: str
    start: Moment
    end: Moment | None
    notes: tuple[str, ...] = ()


def _rows(
    kept: KeptList,
    ids: str,
    read: _Stamps,
    starts: StampColumn,
    ends: StampColumn,
    open_end: str | None,
    again: str,
) -> list[_Row]:
    begin, stop = read.cells(starts), read.cells(ends)
    one_date = not isinstance(starts, str) and not isinstance(ends, str) and starts[0] == ends[0]
    rows: list[_Row] = []
    for row, cell in enumerate(kept.table[ids]):
        first, last = begin[row], stop[row]
        if is_blank(cell):
            raise kept.error(row, ids, "the batch has no name")
        name = text_of(cell)
        if first is None:
            raise kept.error(row, " + ".join(_columns(starts)), f'batch "{name}" has no start')
        notes: list[str] = []
        if one_date and isinstance(first, dt.datetime) and isinstance(last, dt.datetime) and last < first:
            last += dt.timedelta(days=1)
            notes.append("it ends on the day after its date")
        opening = read.meanings(row, starts, first)
        if last is None:
            if open_end is None:
                raise kept.error(
                    row,
                    " + ".join(_columns(ends)),
                    f'batch "{name}" has no end; fill it in, or take the start of the next batch for it: {again}',
                )
            rows.append(_Row(row, name, opening[0], None, (*notes, *_twofold(opening, "start", first, read.zone))))
            continue
        closing = read.meanings(row, ends, last)
        pairs = [(a, b) for a in opening for b in closing if _before(a, b)]
        if not pairs:
            raise kept.error(
                row,
                " + ".join(_columns(ends)),
                f'batch "{name}" ends at {moment_text(closing[-1])}, before it begins at {moment_text(opening[0])}',
            )
        if len(pairs) > 1:
            notes += _twofold(opening, "start", first, read.zone)
            notes += _twofold(closing, "end", last, read.zone)
        rows.append(_Row(row, name, *pairs[0], tuple(notes)))
    return _closed(kept, rows) if open_end == "next" else rows


def _before(first: Moment, second: Moment) -> bool:
    if isinstance(first, dt.datetime) and isinstance(second, dt.datetime):
        return first <= second
    if isinstance(first, dt.datetime) or isinstance(second, dt.datetime):
        return True  # one is a stamp, the other a number: Batch says so
    return first <= second


def _twofold(meanings: Sequence[Moment], key: str, reading: object, zone: str | None) -> list[str]:
    if len(meanings) < 2:
        return []
    return [f"the {key} {reading} lies in the hour that {zone} repeats; taken as its first pass (summer time)"]


def _order(moment: Moment) -> float:
    return moment.timestamp() if isinstance(moment, dt.datetime) else moment


def _closed(kept: KeptList, rows: Sequence[_Row]) -> list[_Row]:
    """Return the rows with missing ends taken from the next start."""
    starts = sorted((row.start for row in rows), key=_order)
    found = []
    for row in rows:
        if row.end is not None:
            found.append(row)
            continue
        after = next((start for start in starts if _order(start) > _order(row.start)), None)
        words = "the end of the log" if after is None else "the start of the next batch"
        note = f"the list has no end ({kept.table.where(row.row)}): taken as {words}"
        found.append(_Row(row.row, row.id, row.start, after, (*row.notes, note)))
    return found


def _check_repeated(kept: KeptList, rows: Sequence[_Row]) -> None:
    seen: dict[str, _Row] = {}
    for row in rows:
        known = seen.setdefault(row.id, row)
        if known is not row:
            raise DataError(
                f'{kept.table.source}: batch "{row.id}" stands in {kept.table.where(known.row)} and in '
                f"{kept.table.where(row.row)}; if its rows are phases, say phase= with their column, else give each "
                "batch a name of its own"
            )


def _check_names(batches: Sequence[Batch]) -> None:
    seen: dict[str, Batch] = {}
    for batch in batches:
        known = seen.setdefault(batch.name, batch)
        if known is not batch:
            raise DataError(
                f'two batches would be called "{batch.name}": {known.source or "one"} and {batch.source or "another"}'
            )


def _phase_windows(
    read: _Stamps, rows: Sequence[_Row], phases: Mapping[str, PhaseColumn]
) -> dict[int, tuple[tuple[str, Moment, Moment | None], ...]]:
    """Return the phases of each row, from their columns."""
    cells = {column: read.cells(column) for spec in phases.values() for column in _columns(spec)}
    found: dict[int, tuple[tuple[str, Moment, Moment | None], ...]] = {}
    for row in rows:
        begun: list[tuple[str, Moment, Moment | None]] = []
        previous = row.start
        for name, spec in phases.items():
            opening, *closing = _columns(spec)
            first = _following(read, row, opening, cells[opening][row.row], previous)
            if first is None:
                continue  # the batch did not have this phase
            last = _following(read, row, closing[0], cells[closing[0]][row.row], first) if closing else None
            begun.append((name, first, last))
            previous = first if last is None else last
        ends = [*(first for _, first, _ in begun[1:]), row.end]
        found[row.row] = tuple(
            (name, first, end if last is None else last) for (name, first, last), end in zip(begun, ends, strict=False)
        )
    return found


def _following(read: _Stamps, row: _Row, column: str, reading: Reading, previous: Moment) -> Moment | None:
    """Return a moment of a batch that is not before `previous`."""
    if reading is None:
        return None
    meanings = read.meanings(row.row, column, reading)
    later = [one for one in meanings if _before(previous, one)]
    if not later:
        raise read.kept.error(
            row.row, column, f"{moment_text(meanings[-1])} is before what comes earlier in the batch, "
            f"{moment_text(previous)}"
        )  # fmt: skip
    return later[0]


def _of_phase_rows(
    kept: KeptList, rows: Sequence[_Row], phase: str, keys: Mapping[str, Mapping[int, str | int | float]]
) -> Iterator[Batch]:
    """Yield the batches of a list with one row a phase; context is what all rows of a batch agree in."""
    names = kept.table[phase]
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        if is_blank(names[row.row]):
            raise kept.error(row.row, phase, f'a row of batch "{row.id}" has no phase')
        groups.setdefault(row.id, []).append(row)
    for name, own in groups.items():
        own.sort(key=lambda row: _order(row.start))
        ends = [row.end for row in own]
        known = [end for end in ends if end is not None]
        context: dict[str, str | int | float] = {} if batch_name(name) == name else {"batch": name}
        for key, cells in keys.items():
            values = {cells[row.row] for row in own if row.row in cells}
            if len(values) == 1:
                context[key] = values.pop()
        notes = list(itertools.chain.from_iterable(row.notes for row in own))
        notes += [
            f'between the phases "{text_of(names[a.row])}" and "{text_of(names[b.row])}" there is time in no phase'
            for a, b in itertools.pairwise(own)
            if a.end is not None and _order(a.end) < _order(b.start)
        ]
        yield Batch(
            batch_name(name),
            own[0].start,
            None if None in ends else max(known, key=_order),
            context,
            tuple((text_of(names[row.row]), row.start, row.end) for row in own),
            kept.row(own[0].row),
            tuple(notes),
        )
