"""Rows of data told from what else stands in an export: headers that come again, footers, lines of a report."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.errors import DataError
from physics_twin.measurements.logs.chunks import Chunk, Opened
from physics_twin.measurements.logs.columns import in_utc
from physics_twin.measurements.logs.moments import (
    Times,
    Window,
    elapsed_unit,
    moved,
    shift_of,
    time_cell,
    time_name,
    times_of,
)
from physics_twin.measurements.logs.stamp_formats import FIRST_US, LAST_US
from physics_twin.measurements.logs.stamps import NO_TIME
from physics_twin.measurements.tables import BREAKS_OFF

__all__ = ["Counter", "Rows", "data_rows", "plain"]

_DAY = 86_400_000_000  # us
_UTC = (None, "UTC", "Etc/UTC", "Etc/GMT", "GMT", "Zulu", "Etc/Zulu")  # zones that a header which says UTC agrees with
_NUMERIC = re.compile(r"[-+]?[\d.,]*\d[\d.,]*")


@dataclass(frozen=True)
class Rows:
    """Rows of a chunk that are data, with their times.

    times: (n,) us since 1970, in UTC where `known` and on the clock of the zone elsewhere, or s of elapsed time.
    known: whether all are UTC (or elapsed), or (n,). ok: (n,) or None for all. last: the chunk's last row is here and
    may be cut.
    """

    frame: pl.DataFrame
    times: Times
    known: bool | NDArray[np.bool_]
    ok: NDArray[np.bool_] | None
    lines: Sequence[int] | NDArray[np.int64]
    last: bool


class Counter:
    """Rows of data seen, how many had a readable time, and the first one that had not.

    header: a row after data that looks like another header, until what follows it is known.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.readable = 0
        self.first: tuple[int, str] | None = None
        self.header: tuple[int, str] | None = None


def data_rows(opened: Opened, window: Window, count: Counter, see: Callable[[pl.DataFrame], None]) -> Iterator[Rows]:
    """Yield the rows that are data and lie in the window; headers that come again, footers and the like are noted.

    see: told of all rows, also those outside of the window.
    """
    layout = opened.layout
    seconds = elapsed_unit(layout.stamp_format)
    shift = shift_of(layout)
    contradicted = layout.zone not in _UTC and layout.time is not None and in_utc(layout.time)
    for chunk in opened.chunks:
        times, known, ok = times_of(chunk.frame, layout, seconds)
        see(chunk.frame)
        keep: NDArray[np.bool_] | None = None
        if count.header is not None and ok.any():
            _check_header(chunk, ok, -1, opened, count)
        if not ok.all():
            keep = _without_other_rows(chunk, ok, opened, count)
            first = np.flatnonzero(keep & ~ok)
            if first.size and count.first is None:
                count.first = (int(chunk.lines[first[0]]), time_cell(chunk.frame, layout, int(first[0])))
        count.rows += chunk.frame.height if keep is None else int(keep.sum())
        count.readable += int(ok.sum())
        if seconds is None and known is not True and (layout.zone is None or contradicted):
            naive = np.flatnonzero(ok & ~known) if isinstance(known, np.ndarray) else np.flatnonzero(ok)
            if naive.size:
                row = int(naive[0])
                stamp = f'the stamp "{time_cell(chunk.frame, layout, row)}" has no zone'
                where = f"{opened.name}, {opened.row} {chunk.lines[row]}, column {time_name(layout)}: {stamp}"
                if contradicted:
                    raise DataError(
                        f'{where}; the header says UTC, and zone="{layout.zone}" is declared: leave zone= out, or say '
                        'layout=Layout(zone="UTC"); if the header is wrong, give the columns other names, '
                        "layout=Layout(column_names=...)"
                    )
                raise DataError(f'{where}; say layout=Layout(zone="Europe/Berlin"), or whichever zone the clock was in')
        if shift:
            times = moved(times, shift, ok)
            if seconds is None:  # the middle of a period that begins with the year 1 is no date
                beyond = ok & ((times < FIRST_US) | (times > LAST_US))
                times[beyond], ok = NO_TIME, ok & ~beyond
        if not window.all:
            # Two days cover any zone, and leave the rows from which the repeated hour is told apart.
            inside = window.keep(times, 0.0 if known is True else 2.0 * _DAY) & ok
            keep = inside if keep is None else keep & inside
        frame, lines, last = chunk.frame, chunk.lines, chunk.open_end
        every_ok = bool(ok.all())
        if keep is not None and not keep.all():
            rows = np.flatnonzero(keep)
            last = last and bool(keep[-1])
            frame = frame[rows]
            times, ok = times[rows], ok[rows]
            known = known if isinstance(known, bool) else known[rows]
            lines = np.asarray(lines, dtype=np.int64)[rows]
            every_ok = bool(ok.all())
        if frame.height:
            yield Rows(frame, times, known, None if every_ok else ok, lines, last)


def plain(cell: object) -> str:
    """Return a cell as a text with single blanks."""
    return "" if cell is None else " ".join(str(cell).replace("\ufeff", "").split())


def _check_header(chunk: Chunk, ok: NDArray[np.bool_], row: int, opened: Opened, count: Counter) -> None:
    """Raise DataError if the next row with a time comes before the header does; `row` is that of the doubtful one."""
    following = np.flatnonzero(ok[row + 1 :])
    end = row + 1 + int(following[0]) if following.size else ok.size
    for other in range(row + 1, end):
        if tuple(plain(cell) for cell in chunk.frame.row(other)) in (opened.names, opened.header):
            count.header = None
            return
    if following.size and count.header is not None:
        line, text = count.header
        raise DataError(
            f'{opened.name}, line {line}: "{text}" looks like another header, and rows of data follow it; split the '
            "file there and read its parts one by one"
        )


def _looks_like_header(cells: Sequence[str], stamps: Sequence[str]) -> bool:
    """Whether a row is words only: at least two, and none of them a number."""
    filled = [cell.removesuffix(BREAKS_OFF) for cell in cells if cell]
    wordy = all(not _NUMERIC.fullmatch(cell) for cell in filled)
    return len(filled) > 1 and wordy and all(stamps) and not any(c.isdigit() for text in stamps for c in text)


def _without_other_rows(chunk: Chunk, ok: NDArray[np.bool_], opened: Opened, count: Counter) -> NDArray[np.bool_]:
    """Return which rows are data: not a header that comes again, its units, a footer, a line of a report.

    Only rows without a readable time are asked. A later header with other columns would put values to wrong tags: it
    raises DataError.
    """
    keep = np.ones(chunk.frame.height, dtype=bool)
    names = tuple(opened.names)
    layout = opened.layout
    stamps = [layout.time] if isinstance(layout.time, str) else list(layout.time or ())
    for i in np.flatnonzero(~ok):
        row = int(i)
        cells = tuple(plain(cell) for cell in chunk.frame.row(row))
        line = int(chunk.lines[row])
        known = sum(cell in names for cell in cells if cell)
        filled = sum(bool(cell) for cell in cells)
        if cells == names or (cells == opened.header and cells):
            count.header = None
            opened.notes.add("the header comes again in line {line} ({n} in all): skipped", line)
        elif opened.unit_row and cells == opened.unit_row:
            opened.notes.add("the row of units comes again in line {line} ({n} in all): skipped", line)
        elif known >= 2 and 2 * known > filled and any(name in cells for name in stamps):
            raise DataError(
                f"{opened.name}, line {line}: another header begins here, and its columns are not those of the first; "
                "split the file there and read its parts one by one"
            )
        elif row in chunk.short or not any(c.isdigit() for name in stamps for c in plain(chunk.frame[name][row])):
            said = next((cell for cell in cells if cell), "").removesuffix(BREAKS_OFF)
            seen = count.readable > 0 or bool(ok[:row].any())
            if seen and _looks_like_header(cells, [plain(chunk.frame[name][row]) for name in stamps]):
                count.header = (line, ", ".join(cell for cell in cells if cell).removesuffix(BREAKS_OFF)[:80])
                _check_header(chunk, ok, row, opened, count)
            if not any(plain(chunk.frame[name][row]) for name in stamps) and row not in chunk.short:
                continue  # values without a time: they are kept, and bad
            opened.notes.add(
                "{n} rows are no rows of data (a footer, a page break, a row cut in its time), the first is {text}: "
                "skipped",
                line,
                f'"{said[:60]}" in line {line}',
            )
        else:
            continue
        keep[row] = False
    return keep
