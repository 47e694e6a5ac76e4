"""Chunks of rows gathered into the samples of each tag: the one way that every kind of source takes.

What a sample needs is kept (8 bytes of time, 8 of value, 1 of flag) and the chunk is let go, so memory is that of the
result. Local times stay local until the end: the hour that is repeated in autumn can only be told apart from the rows
of one tag in their order, and a file may be sorted by tag or by time.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.flags import Flag, FlagArray, worst
from physics_twin.measurements.logs.cells import Cells, misread_decimal, read_cells, read_states, text_notes
from physics_twin.measurements.logs.chunks import Chunk, Opened
from physics_twin.measurements.logs.columns import in_utc
from physics_twin.measurements.logs.headers import bracketed_unit
from physics_twin.measurements.logs.layout import Layout, LongForm, StampsAt
from physics_twin.measurements.logs.log import TagSamples
from physics_twin.measurements.logs.order import oldest_first
from physics_twin.measurements.logs.quality_codes import Kinds, QualityColumns
from physics_twin.measurements.logs.signs import detect_numbers
from physics_twin.measurements.logs.stamp_formats import FIRST_US, LAST_US
from physics_twin.measurements.logs.stamps import NO_TIME, read_stamps
from physics_twin.measurements.logs.zones import to_utc
from physics_twin.measurements.tables import BREAKS_OFF
from physics_twin.measurements.tags import Tag, TagTable
from physics_twin.units import to_si, unit as as_unit

__all__ = ["KIND", "Gathered", "Gathering", "Rows", "Window", "data_rows", "elapsed_unit", "gather", "times_of"]

type Times = NDArray[np.int64] | Array  # us, or s of elapsed time

_DAY = 86_400_000_000  # us
_TAIL, _HOURS = 20_000, 4 * 3_600_000_000  # local times that are remembered of each tag: rows, and us
_MOST_TAGS = 200_000  # more distinct names than any plant has: the wrong column was taken for the tag
KIND = "kind of quality"
_FEW = 256  # below it a loop in Python is the quicker way: an expression of polars costs as much as some 100 cells
_NUMERIC = re.compile(r"[-+]?[\d.,]*\d[\d.,]*")
_SHOWS_SIGN = r"[.,'’\u00a0\u202f ]"
# All texts of a tag are numbers with a unit: an export that needs another setting, not a tag of states.
_NUMBER_WITH_UNIT = re.compile(
    r"[+-]?\d+(?:[.,]\d+)?(?:\s+[^\d\s]\S{0,11}|\s*%|\s*°\S*)|[+-]?\d+[.,]\d+\s*[^\d\s]\S{0,11}"
)


@dataclass(frozen=True)
class Window:
    """Which rows are kept. low, high: UTC in us, or s for elapsed time; None is open."""

    low: float | None = None
    high: float | None = None

    @property
    def all(self) -> bool:
        """Whether everything is kept."""
        return self.low is None and self.high is None

    def keep(self, times: Times, margin: float = 0.0) -> NDArray[np.bool_]:
        """Return which times lie within, (n,)."""
        inside = np.ones(times.size, dtype=bool)
        if self.low is not None:
            inside &= times >= self.low - margin
        if self.high is not None:
            inside &= times <= self.high + margin
        return inside


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


@dataclass
class _Pieces:
    """The samples of one tag so far."""

    times: list[Times] = field(default_factory=list)
    known: list[bool | NDArray[np.bool_]] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    flags: list[FlagArray] = field(default_factory=list)
    censored: list[tuple[NDArray[np.intp], NDArray[np.int8]]] = field(default_factory=list)
    # Cells that are text: where, which text, and what the quality column says of them.
    texts: list[tuple[NDArray[np.intp], NDArray[np.int32], FlagArray]] = field(default_factory=list)
    said: dict[str, tuple[int, int]] = field(default_factory=dict)  # text -> count, first line
    # Cells of the quality column by their kind, with how many they are; of most chunks all are of one kind.
    quality: list[tuple[int, int | Kinds]] = field(default_factory=list)
    n: int = 0
    n_numbers: int = 0
    unit: str = ""
    other_unit: tuple[int, str, int] | None = None  # count, unit, first line
    no_time: tuple[int, int, str] | None = None  # count, first line, its cell


@dataclass(frozen=True)
class Gathered:
    """What `gather` returns; see `Log`. verdicts: flag of each kind of quality that was drained, (n_kinds,)."""

    samples: dict[str, TagSamples]
    origin: dt.datetime | None
    n_rows: int
    layout: Layout
    notes: tuple[str, ...]
    verdicts: FlagArray


def elapsed_unit(stamp_format: str | None) -> float | None:
    """Return the seconds of one unit of a column of elapsed time, None for stamps."""
    if (
        stamp_format is None
        or "%" in stamp_format
        or stamp_format in ("ISO", "excel")
        or stamp_format.startswith("unix")
    ):
        return None
    return to_si((1.0, stamp_format), as_unit("s"), name="stamp_format")


def gather(opened: Opened, wanted: TagTable | Sequence[str] | None, window: Window) -> Gathered:
    """Read all chunks and return the samples of each tag.

    Raises DataError naming the line for what cannot be read as declared, UnknownNameError for a wanted tag that the log
    does not have.
    """
    state = Gathering(opened, wanted, window)
    for rows in data_rows(opened, window, state.count, state.see):
        state.take(rows)
    return state.finish()


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
    shift = _shift(layout)
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
                count.first = (int(chunk.lines[first[0]]), _time_cell(chunk.frame, layout, int(first[0])))
        count.rows += chunk.frame.height if keep is None else int(keep.sum())
        count.readable += int(ok.sum())
        if seconds is None and known is not True and layout.zone is None:
            naive = np.flatnonzero(ok & ~known) if isinstance(known, np.ndarray) else np.flatnonzero(ok)
            if naive.size:
                row = int(naive[0])
                raise DataError(
                    f"{opened.name}, {opened.row} {chunk.lines[row]}, column {_time_name(layout)}: the stamp "
                    f'"{_time_cell(chunk.frame, layout, row)}" has no zone; say layout=Layout(zone="Europe/Berlin"), '
                    "or whichever zone the clock was in"
                )
        if shift:
            times = _moved(times, shift, ok)
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


def times_of(
    frame: pl.DataFrame, layout: Layout, seconds: float | None
) -> tuple[Times, bool | NDArray[np.bool_], NDArray[np.bool_]]:
    """Return times, which of them are UTC already, and which are readable."""
    date, clock = (layout.time, None) if isinstance(layout.time, str) else layout.time or ("", None)
    column = frame[date]
    if seconds is not None:
        cells = read_cells(column, decimal=layout.decimal or ".", thousands=layout.thousands or "")
        elapsed = cells.values if seconds == 1.0 else cells.values * seconds
        if cells.censored is not None:
            elapsed = np.where(cells.censored != 0, np.nan, elapsed)
        return elapsed, True, np.isfinite(elapsed)
    read = read_stamps(
        column,
        format=layout.stamp_format or "ISO",
        second=None if clock is None else frame[clock],
        decimal=layout.decimal,
    )
    times, ok = read.local_us, read.ok
    if clock is None and not ok.all() and column.dtype == pl.String:
        times, ok = _with_bare_dates(column, times, ok, layout.stamp_format or "ISO")
    known = read.offset_known
    if known.all():
        return times, True, ok
    return times, False if not known.any() else known, ok


def _with_bare_dates(
    column: pl.Series, times: NDArray[np.int64], ok: NDArray[np.bool_], format: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times with a bare date among stamps read as its midnight: spreadsheets leave 00:00 away."""
    date = re.split(" (?=%[HI])", format, maxsplit=1)[0]  # "%d %b %Y" of "%d %b %Y %H:%M"
    if date == format or "%p" in date:
        return times, ok
    left = np.flatnonzero(~ok)
    read = read_stamps(column.gather(left), format=date)
    if not read.ok.any():
        return times, ok
    times, ok = times.copy(), ok.copy()
    times[left[read.ok]] = read.local_us[read.ok]
    ok[left[read.ok]] = True
    return times, ok


def _shift(layout: Layout) -> float:
    """Return what the middle of the period is away from its stamp: us, or s for elapsed time."""
    if layout.stamps_at is StampsAt.INSTANT or layout.period is None:
        return 0
    half = to_si(layout.period, as_unit("s"), name="period") / 2.0
    half = half if layout.stamps_at is StampsAt.START else -half
    return half if elapsed_unit(layout.stamp_format) is not None else round(half * 1e6)


def _moved(times: Times, shift: float, ok: NDArray[np.bool_]) -> Times:
    moved = times.copy()
    moved[ok] += moved.dtype.type(shift)
    return moved


def _time_name(layout: Layout) -> str:
    return f'"{layout.time}"' if isinstance(layout.time, str) else " and ".join(f'"{n}"' for n in layout.time or ())


def _time_cell(frame: pl.DataFrame, layout: Layout, row: int) -> str:
    names = [layout.time] if isinstance(layout.time, str) else list(layout.time or ())
    return " ".join("" if frame[name][row] is None else str(frame[name][row]).strip() for name in names)


def _plain(cell: object) -> str:
    return "" if cell is None else " ".join(str(cell).replace("\ufeff", "").split())


def _check_header(chunk: Chunk, ok: NDArray[np.bool_], row: int, opened: Opened, count: Counter) -> None:
    """Raise DataError if the next row with a time comes before the header does; `row` is that of the doubtful one."""
    following = np.flatnonzero(ok[row + 1 :])
    end = row + 1 + int(following[0]) if following.size else ok.size
    for other in range(row + 1, end):
        if tuple(_plain(cell) for cell in chunk.frame.row(other)) in (opened.names, opened.header):
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
        cells = tuple(_plain(cell) for cell in chunk.frame.row(row))
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
        elif row in chunk.short or not any(c.isdigit() for name in stamps for c in _plain(chunk.frame[name][row])):
            said = next((cell for cell in cells if cell), "").removesuffix(BREAKS_OFF)
            seen = count.readable > 0 or bool(ok[:row].any())
            if seen and _looks_like_header(cells, [_plain(chunk.frame[name][row]) for name in stamps]):
                count.header = (line, ", ".join(cell for cell in cells if cell).removesuffix(BREAKS_OFF)[:80])
                _check_header(chunk, ok, row, opened, count)
            if not any(_plain(chunk.frame[name][row]) for name in stamps) and row not in chunk.short:
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


class Gathering:
    """The tags of a log while it is read."""

    def __init__(self, opened: Opened, wanted: TagTable | Sequence[str] | None, window: Window) -> None:
        self.opened = opened
        self.layout = opened.layout
        self.table = wanted if isinstance(wanted, TagTable) else None
        self.wanted = None if wanted is None else {_name(tag) for tag in wanted}
        self.window = window
        self.count = Counter()
        self.seconds = elapsed_unit(self.layout.stamp_format)
        self.tags: dict[str, _Pieces] = {}
        self.seen: set[str] = set()
        self.texts: dict[str, int] = {}  # text of a cell that is no number -> its place in text_list
        self.text_list: list[str] = []
        self.shared: _Pieces | None = None  # the times of a log in wide form
        self.before: dict[str, Times] = {}  # of a log that is drained: latest local times of each tag
        self.codes = QualityColumns(self.layout.quality_scheme, row=opened.row)
        form = self.layout.form
        self.long = form if isinstance(form, LongForm) else None
        if self.long is None:
            stamps = {self.layout.time} if isinstance(self.layout.time, str) else set(self.layout.time or ())
            quality: Mapping[str, str] = form.quality if form is not None and not isinstance(form, LongForm) else {}
            self.quality = quality
            columns = [n for n in opened.names if n not in stamps and n not in set(quality.values())]
            self.seen.update(columns)
            self.columns = [n for n in columns if self.wanted is None or n in self.wanted]
            self.shared = _Pieces()
            for name in self.columns:
                self.tags[name] = _Pieces(unit=opened.units.get(name, "") or bracketed_unit(name))

    def see(self, frame: pl.DataFrame) -> None:
        """Let the quality of rows and tags that are not kept tell the scheme, too: it is that of the whole log."""
        if self.wanted is None and self.window.all:
            return
        form = self.long
        columns = set(self.quality.values()) if form is None else {form.quality} - {None}
        for name in () if self.opened.native else columns:
            if name is not None:
                self.codes.see(frame[name])

    def take(self, rows: Rows) -> None:
        """Add rows to their tags."""
        if self.layout.decimal is None:
            self._settle_decimal(rows)
        if self.long is not None:
            self._take_long(rows, self.long)
        else:
            self._take_wide(rows)

    def _settle_decimal(self, rows: Rows) -> None:
        """Look for the decimal sign in the first cells that show one: so far all were whole numbers."""
        names = [self.long.value] if self.long is not None else self.columns
        shown: dict[str, list[str]] = {}
        for name in names:
            column = rows.frame[name]
            if column.dtype == pl.String:
                cells = column.filter(column.str.contains(_SHOWS_SIGN)).to_list()
                if cells:
                    shown[name] = cells
        if shown:
            decimal, thousands = detect_numbers(shown, None, self.layout.thousands or None, "", self.opened.name)
            if decimal is not None:
                self.layout = Layout(decimal=decimal, thousands=thousands).over(self.layout)

    def _cells(self, column: pl.Series) -> Cells:
        return read_cells(column, decimal=self.layout.decimal or ".", thousands=self.layout.thousands or "")

    def _text_codes(self, column: pl.Series, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """Return the number of the text in each of `rows`."""
        texts = column if column.dtype == pl.String else pl.Series([_plain(cell) for cell in column], dtype=pl.String)
        distinct, codes = _codes(texts.gather(rows))
        for text in distinct:
            if text not in self.texts:
                self.texts[text] = len(self.text_list)
                self.text_list.append(text)
        numbers = np.array([self.texts[text] for text in distinct], dtype=np.int32)
        return np.asarray(numbers[codes], dtype=np.int32)

    def _take_wide(self, rows: Rows) -> None:
        shared = self.shared
        if shared is None:
            raise TypeError
        base = self._time_flags(rows)
        shared.times.append(rows.times)
        shared.known.append(rows.known)
        self._no_time(shared, rows, self.layout)
        last_column = self.opened.names[-1]
        every = last_column not in self.columns and last_column not in self.quality.values()
        for name in self.columns:
            column = rows.frame[name]
            cells = self._cells(column)
            quality = self.quality.get(name)
            kinds = None if quality is None else self.codes.read(rows.frame[quality], rows.lines)
            flags: FlagArray | None = None
            if rows.last and (every or last_column in (name, quality)):
                flags = self._cut(flags, rows.frame.height)
            bad = np.flatnonzero(cells.flags == Flag.BAD)
            codes = self._text_codes(column, bad) if bad.size else None
            _add(self.tags[name], cells, flags, base, kinds, bad, codes, rows.lines, self.text_list)

    def _cut(self, flags: FlagArray | None, n: int) -> FlagArray:
        """Mark the last sample: its line has no end, so its last cell may have lost digits."""
        flags = np.full(n, Flag.GOOD, dtype=np.int8) if flags is None else flags.copy()
        flags[-1] = max(int(flags[-1]), int(Flag.SUSPECT))
        self.opened.notes.add("the file does not end with an end of line, so its last value may be cut: it is suspect")
        return flags

    @staticmethod
    def _time_flags(rows: Rows) -> FlagArray | None:
        if rows.ok is None:
            return None
        return _flags_of(rows.ok)

    @staticmethod
    def _no_time(pieces: _Pieces, rows: Rows, layout: Layout) -> None:
        if rows.ok is not None:
            lost = np.flatnonzero(~rows.ok)
            _count_lost(pieces, rows, lost, layout)

    def _take_long(self, rows: Rows, form: LongForm) -> None:
        names, codes = _codes(rows.frame[form.tag])
        self.seen.update(names)
        if len(self.seen) > _MOST_TAGS:
            raise DataError(
                f'{self.opened.name}: the column "{form.tag}" holds more than {_MOST_TAGS} names, so it does not name '
                'tags; say layout=Layout(form=LongForm(tag="...", value="...")) or WideForm()'
            )
        use = np.array([self._uses(name, rows) for name in names], dtype=bool)
        if not use.all():
            kept = np.flatnonzero(use[codes])
            lost = rows.frame.height - kept.size
            nameless = [k for k, name in enumerate(names) if not name or name.endswith(BREAKS_OFF.strip())]
            if nameless:
                at = np.flatnonzero(np.isin(codes, nameless))
                self.opened.notes.add(
                    "{n} rows name no tag, the first is line {line}: skipped", int(rows.lines[at[0]]), n=int(at.size)
                )
            if not kept.size:
                return
            if lost:
                rows = Rows(
                    rows.frame[kept],
                    rows.times[kept],
                    rows.known if isinstance(rows.known, bool) else rows.known[kept],
                    None if rows.ok is None or rows.ok[kept].all() else rows.ok[kept],
                    np.asarray(rows.lines, dtype=np.int64)[kept],
                    rows.last and bool(kept[-1] == rows.frame.height - 1),
                )
                codes = codes[kept]
        column = rows.frame[form.value]
        cells = self._cells(column)
        flags: FlagArray | None = None
        kinds: Kinds | None = None
        if self.opened.native:
            column = rows.frame["text"]
            cells, flags = _native_cells(cells, rows.frame)
        elif form.quality is not None:
            kinds = self.codes.read(rows.frame[form.quality], rows.lines)
        if rows.last:
            flags = self._cut(flags, rows.frame.height)
        base = self._time_flags(rows)
        if base is not None:
            flags = base if flags is None else worst(flags, base)
        bad = np.flatnonzero(cells.flags == Flag.BAD)
        text_codes = self._text_codes(column, bad) if bad.size else None
        self._split(rows, form, names, codes, cells, flags, kinds, bad, text_codes)

    def _uses(self, name: str, rows: Rows) -> bool:
        del rows
        return bool(name) and not name.endswith(BREAKS_OFF.strip()) and (self.wanted is None or name in self.wanted)

    def _split(
        self,
        rows: Rows,
        form: LongForm,
        names: Sequence[str],
        codes: NDArray[np.int32],
        cells: Cells,
        flags: FlagArray | None,
        kinds: Kinds | None,
        bad: NDArray[np.intp],
        text_codes: NDArray[np.int32] | None,
    ) -> None:
        """Give each tag its rows."""
        n = codes.size
        counts = np.bincount(codes, minlength=len(names))
        single = int(counts.argmax()) if counts.max() == n else None
        small = codes.astype(np.int16) if len(names) < 1 << 15 else codes  # numpy sorts 16 bits by radix
        order = None if single is not None else np.argsort(small, kind="stable")
        ends = np.cumsum(counts)
        values, cell_flags = cells.values, cells.flags
        times, known = rows.times, rows.known
        if order is not None:
            values, cell_flags, times = values[order], cell_flags[order], times[order]
            flags = None if flags is None else flags[order]
            kinds = None if kinds is None else kinds[order]
            known = known if isinstance(known, bool) else known[order]
        censored = cells.censored if cells.censored is None or order is None else cells.censored[order]
        which = None
        if text_codes is not None:
            which = np.full(n, -1, dtype=np.int32)
            which[bad] = text_codes
            which = which if order is None else which[order]
        units = self._units(rows, form)
        said = self.text_list
        lost = None if rows.ok is None else (~rows.ok if order is None else ~rows.ok[order])
        for k in np.flatnonzero(counts).tolist():
            part = slice(int(ends[k] - counts[k]), int(ends[k]))
            pieces = self.tags.setdefault(names[k], _Pieces())
            own = Cells(values[part].copy(), cell_flags[part].copy(), None if censored is None else censored[part], {})
            own_flags = None if flags is None else flags[part]
            own_kinds = None if kinds is None else kinds[part]
            at = np.arange(part.start, part.stop) if order is None else order[part]
            if lost is not None and lost[part].any():
                _count_lost(pieces, rows, at[np.flatnonzero(lost[part])], self.layout)
            if units is not None:
                own_flags = _one_unit(pieces, units, at, own_flags, rows.lines)
            pieces.times.append(times[part].copy())
            pieces.known.append(known if isinstance(known, bool) else known[part].copy())
            mine = np.empty(0, dtype=np.intp) if which is None else np.flatnonzero(which[part] >= 0)
            own_texts = None if which is None else which[part][mine]
            _add(pieces, own, own_flags, None, own_kinds, mine, own_texts, rows.lines, said, at)

    def _units(self, rows: Rows, form: LongForm) -> tuple[list[str], NDArray[np.int32]] | None:
        return None if form.unit is None else _codes(rows.frame[form.unit])

    def drain(self) -> pl.DataFrame | None:
        """Return what was taken so far as rows of a log in long form, and let go of it.

        Column `KIND`: of the quality cell, -1 where there is none; what it means is known at the end.
        """
        frames: list[pl.DataFrame] = []
        shared = self._drained_times("", self.shared) if self.shared is not None else None
        for tag, pieces in self.tags.items():
            if not pieces.values:
                continue
            times = shared or self._drained_times(tag, pieces)
            values, flags = _joined(pieces.values, np.float64), _joined(pieces.flags, np.int8)
            censored = np.zeros(values.size, dtype=np.int8)
            for at, side in pieces.censored:
                censored[at] = side
            said = np.full(values.size, -1, dtype=np.int64)
            for at, codes, quality in pieces.texts:
                said[at] = codes
                flags[at] = quality
            if times.flags is not None:
                flags = worst(flags, times.flags)
            kinds = np.full(values.size, -1, dtype=np.int8)
            for rows, kind in _slices(pieces.quality):
                kinds[rows] = kind
            texts = pl.Series([None], dtype=pl.String).new_from_index(0, values.size)
            if pieces.texts:
                which = pl.Series(said).set(pl.Series(said < 0), None)
                texts = pl.Series(self.text_list, dtype=pl.String).gather(which)
            if self.seconds is None:
                micro = pl.Series(times.times).set(pl.Series(times.times == NO_TIME), None)
                column = micro.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
            else:
                column = pl.Series(times.times)
            pieces.censored, pieces.texts, pieces.quality, pieces.n = [], [], [], 0
            columns = {"time": column, "value": values, "flag": flags, "censored": censored, "text": texts}
            frame = pl.DataFrame({**columns, KIND: kinds})
            frames.append(frame.select(pl.lit(tag).alias("tag"), pl.all(), pl.lit(pieces.unit).alias("unit")))
        return pl.concat(frames) if frames else None

    def _drained_times(self, tag: str, pieces: _Pieces) -> "_Times":
        before = self.before
        local: Times = _one(pieces.times) if pieces.times else np.empty(0, dtype=np.int64)
        known = all(k is True for k in pieces.known)
        if self.seconds is not None or known or self.layout.zone is None:
            pieces.known = []
            return self._times(pieces)
        earlier = before.get(tag)
        n_before = 0
        if earlier is not None and all(k is False for k in pieces.known):
            pieces.times.insert(0, earlier)
            pieces.known.insert(0, False)
            n_before = earlier.size
        elif earlier is not None:  # some stamps with an offset, some without
            del before[tag]
        times = self._times(pieces)
        pieces.known = []
        tail = local[-_TAIL:]
        recent = np.flatnonzero(np.abs(tail - tail[-1]) <= _HOURS) if tail.size else np.empty(0, dtype=np.intp)
        before[tag] = tail[recent]
        return _Times(times.times[n_before:], None if times.flags is None else times.flags[n_before:], times.notes)

    def check_decimals(self) -> None:
        """Raise DataError where a tag was read with the wrong decimal sign."""
        for tag, pieces in self.tags.items():
            self._check_decimal(tag, pieces)

    def _check_decimal(self, tag: str, pieces: _Pieces) -> None:
        decimal = self.layout.decimal or "."
        misread = misread_decimal(pieces.said, pieces.n_numbers, decimal=decimal) if pieces.said else None
        if misread is not None:
            text, line = misread
            other = "," if decimal == "." else "."
            where = f'column "{self.long.value}", tag "{tag}"' if self.long else f'column "{tag}"'
            raise DataError(
                f'{self.opened.name}, {self.opened.row} {line}, {where}: "{text}" is no number with the decimal sign '
                f'"{decimal}"; is it layout=Layout(decimal="{other}")?'
            )

    def finish(self) -> Gathered:
        """Return the samples of each tag, and let go of the pieces."""
        opened, count = self.opened, self.count
        if not count.rows and self.window.all:
            raise DataError(f"{opened.name}: the file has a header and no rows of data")
        if count.rows and not count.readable:
            line, cell = count.first or (0, "")
            like = f"stamps like {self.layout.stamp_format}" if self.seconds is None else "numbers"
            raise DataError(
                f'{opened.name}, {opened.row} {line}, column {_time_name(self.layout)}: "{cell}" is no time, and '
                f"neither is any other cell of the column; expected are {like}"
            )
        self._check_wanted()
        layout = self.layout if self.layout.decimal is not None else Layout(decimal=".", thousands="").over(self.layout)
        settled = self.codes.settle()
        layout = replace(opened.layout_now(layout), quality_scheme=settled.scheme)
        shared = self._times(self.shared) if self.shared is not None else None
        timed = {tag: shared or self._times(pieces) for tag, pieces in self.tags.items()}
        origin = self._origin(list(timed.values()))
        common: tuple[Array, FlagArray | None, NDArray[np.bool_] | None] | None = None
        samples: dict[str, TagSamples] = {}
        for tag in list(self.tags):
            pieces = self.tags.pop(tag)
            times = timed.pop(tag)
            if shared is None:
                placed = self._placed(times, origin)
            else:
                placed = common = common or self._placed(times, origin)
                pieces.no_time = None
            samples[tag] = self._samples(tag, pieces, placed, settled.verdicts, () if shared else times.notes)
        samples, turned = oldest_first(samples)
        zone = layout.zone
        if zone not in (None, "UTC", "Etc/UTC", "GMT") and layout.time is not None and in_utc(layout.time):
            text = f"the header {_time_name(layout)} says UTC, and the zone is declared as {zone}: read as {zone}"
            opened.notes.add("{text}", text=text)
        notes = [*opened.notes.words(), *turned, *settled.notes]
        if shared is not None:
            notes += shared.notes
            if self.shared is not None and self.shared.no_time is not None:
                notes.append(_no_time_note(self.shared.no_time, opened.row))
        return Gathered(samples, _moment(origin), count.rows, layout, tuple(notes), settled.verdicts)

    def _check_wanted(self) -> None:
        if self.wanted is None:
            return
        missing = sorted(self.wanted - self.seen)
        if not missing:
            return
        if self.table is None or len(missing) == len(self.wanted):
            raise unknown_name(f"tag of {self.opened.name}", missing[0], sorted(self.seen))
        listed = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        self.opened.notes.add("{n} tags of the table are not in this log: {text}", 0, listed, n=len(missing))

    def _times(self, pieces: _Pieces) -> "_Times":
        """Return the times of a tag in UTC, and forget the pieces they came in."""
        if not pieces.times:
            nothing: Times = np.empty(0, dtype=np.int64)
            return _Times(nothing if self.seconds is None else nothing.astype(np.float64), None, ())
        times = _one(pieces.times)
        known = pieces.known
        sizes = [piece.size for piece in pieces.times]
        pieces.times = []
        if self.seconds is not None or all(k is True for k in known) or self.layout.zone is None:
            return _Times(times, None, ())
        mask = np.concatenate([np.full(n, k) if isinstance(k, bool) else k for k, n in zip(known, sizes, strict=True)])
        utc, flags, notes = to_utc(
            times.astype(np.int64, copy=False),
            self.layout.zone,
            offset_known=mask if mask.any() else None,
            where=lambda row: f"sample {row + 1}",
        )
        return _Times(utc, flags, notes)

    def _origin(self, all_times: "Sequence[_Times]") -> int | None:
        if self.seconds is not None:
            return None
        earliest: int | None = None
        for times in {id(t): t for t in all_times}.values():
            utc = times.times[times.times != NO_TIME] if (times.times == NO_TIME).any() else times.times
            if not self.window.all:
                utc = utc[self.window.keep(utc)]
            if utc.size:
                first = int(utc.min())
                earliest = first if earliest is None else min(earliest, first)
        if earliest is None:
            return 0 if self.window.low is None else int(self.window.low)
        return earliest

    def _placed(self, times: "_Times", origin: int | None) -> tuple[Array, FlagArray | None, NDArray[np.bool_] | None]:
        """Return seconds since the origin, flags of the times, and which samples lie in the window."""
        if origin is None:
            return np.asarray(times.times, dtype=np.float64), times.flags, None
        utc = times.times
        keep: NDArray[np.bool_] | None = None
        flags = times.flags
        if not self.window.all:
            keep = self.window.keep(utc)
            keep = None if keep.all() else keep
            if keep is not None:
                utc = utc[keep]
                flags = None if flags is None else flags[keep]
        seconds = (utc - origin).astype(np.float64)
        seconds /= 1e6
        lost = utc == NO_TIME
        if lost.any():
            seconds[lost] = np.nan
        return seconds, flags, keep

    def _samples(
        self,
        tag: str,
        pieces: _Pieces,
        placed: tuple[Array, FlagArray | None, NDArray[np.bool_] | None],
        verdicts: FlagArray,
        notes: tuple[str, ...],
    ) -> TagSamples:
        seconds, time_flags, keep = placed
        values = _joined(pieces.values, np.float64)
        flags = _joined(pieces.flags, np.int8)
        row = self.opened.row
        declared = self.table[tag] if self.table is not None and tag in self.table else None
        found = list(notes)
        if pieces.no_time is not None:
            found.append(_no_time_note(pieces.no_time, row))
        if pieces.other_unit is not None:
            n, unit, line = pieces.other_unit
            found.append(
                f'{n} values are in "{unit}" and not in "{pieces.unit}", the first in {row} {line}: they are bad'
            )
        states, words = self._texts(tag, pieces, declared, values, flags, self.text_list)
        found += words
        for rows, kinds in _slices(pieces.quality):
            flags[rows] = worst(flags[rows], verdicts[kinds])
        if declared is not None and declared.checks.zero_is_missing:
            zero = values == 0.0
            if zero.any():
                values[zero] = np.nan
                flags[zero] = np.maximum(flags[zero], np.int8(Flag.MISSING))
                found.append(f"{int(zero.sum())} zeros, which stand for nothing measured: they are missing")
        censored: NDArray[np.int8] | None = None
        if pieces.censored:
            censored = np.zeros(values.size, dtype=np.int8)
            for at, side in pieces.censored:
                censored[at] = side
            found.append(f"{int((censored != 0).sum())} values are limits (< or >): the truth lies beyond them")
        if keep is not None:
            values, flags = values[keep], flags[keep]
            censored = None if censored is None or not censored[keep].any() else censored[keep]
        if time_flags is not None:
            flags = worst(flags, time_flags)
        return TagSamples(tag, seconds, values, flags, censored, states, pieces.unit, tuple(found))

    def _texts(
        self,
        tag: str,
        pieces: _Pieces,
        declared: Tag | None,
        values: Array,
        flags: FlagArray,
        texts: Sequence[str],
    ) -> tuple[tuple[str, ...], list[str]]:
        """Give the texts of a tag their meaning: declared states, states of a text tag, or errors; in place.

        Returns the states and notes.
        """
        if not pieces.texts:
            return (), []
        row = self.opened.row
        self._check_decimal(tag, pieces)
        at = np.concatenate([piece[0] for piece in pieces.texts])
        codes = np.concatenate([piece[1] for piece in pieces.texts])
        quality = np.concatenate([piece[2] for piece in pieces.texts])
        pieces.texts = []
        meaning: dict[str, float] = {}
        states: tuple[str, ...] = ()
        if declared is not None and declared.states:
            folded = {text.strip().casefold(): value for text, value in declared.states.items()}
            meaning = {t: folded[t.casefold()] for t in pieces.said if t.casefold() in folded}
        elif not pieces.n_numbers and not all(_NUMBER_WITH_UNIT.fullmatch(text) for text in pieces.said):
            read = read_states(pl.Series(list(pieces.said), dtype=pl.String))
            states = read.states
            meaning = {
                text: float(code)
                for text, code, flag in zip(pieces.said, read.codes, read.flags, strict=True)
                if flag == Flag.GOOD
            }
        if meaning:
            table = np.full(len(texts), np.nan)
            for code, text in enumerate(texts):
                table[code] = meaning.get(text, np.nan)
            read_as = table[codes]
            good = np.isfinite(read_as)
            values[at[good]] = read_as[good]
            flags[at[good]] = quality[good]
        left = {text: said for text, said in pieces.said.items() if text not in meaning}
        return states, list(text_notes(left, lambda line: f"{row} {line}")) if left else []


@dataclass(frozen=True)
class _Times:
    """Times of a tag. times: (n,) us UTC, or s elapsed. flags: (n,) of daylight saving, or None."""

    times: Times
    flags: FlagArray | None
    notes: tuple[str, ...]


def _name(tag: Tag | str) -> str:
    return tag.name if isinstance(tag, Tag) else str(tag).strip()


def _moment(origin: int | None) -> dt.datetime | None:
    if origin is None:
        return None
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=origin)


def _count_lost(pieces: _Pieces, rows: Rows, lost: NDArray[np.intp], layout: Layout) -> None:
    """Take note of rows without a readable time."""
    row = int(lost[0])
    n, line, cell = pieces.no_time or (0, int(rows.lines[row]), _time_cell(rows.frame, layout, row))
    pieces.no_time = (n + int(lost.size), line, cell)


def _no_time_note(found: tuple[int, int, str], row: str) -> str:
    n, line, cell = found
    return f'{n} rows have no readable time, the first is {row} {line} ("{cell}"): they are bad'


def _native_cells(cells: Cells, frame: pl.DataFrame) -> tuple[Cells, FlagArray]:
    """Return cells and quality as a Parquet file of our own holds them."""
    quality = np.array(frame["flag"].to_numpy(), dtype=np.int8)
    flags = np.where(np.isfinite(cells.values), cells.flags, quality).astype(np.int8)
    flags[frame["text"].is_not_null().to_numpy()] = Flag.BAD
    side = frame["censored"].to_numpy()
    return Cells(cells.values, flags, np.array(side, dtype=np.int8) if side.any() else None, {}), quality


def _one(pieces: list[Times]) -> Times:
    if len(pieces) == 1:
        return pieces[0]
    return cast("Times", np.concatenate(pieces))


def _flags_of(ok: NDArray[np.bool_]) -> FlagArray:
    flags = np.full(ok.size, Flag.GOOD, dtype=np.int8)
    flags[~ok] = Flag.BAD
    return flags


def _slices(quality: list[tuple[int, int | Kinds]]) -> Iterator[tuple[slice, int | Kinds]]:
    start = 0
    for n, kinds in quality:
        yield slice(start, start + n), kinds
        start += n


def _joined[T: np.generic](pieces: list[NDArray[T]], dtype: type[T]) -> NDArray[T]:
    if not pieces:
        return np.empty(0, dtype=dtype)
    whole = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
    pieces.clear()
    return whole if whole.flags.writeable else whole.copy()


def _codes(column: pl.Series) -> tuple[list[str], NDArray[np.int32]]:
    """Return the distinct texts of a column, stripped, and which one each row holds."""
    texts = column if column.dtype == pl.String else column.cast(pl.String)
    if len(texts) < _FEW:
        found: dict[str, int] = {}
        few = [found.setdefault(_plain(text), len(found)) for text in texts.to_list()]
        return list(found), np.array(few, dtype=np.int32)
    if texts.null_count():
        texts = texts.fill_null("")
    distinct = texts.unique(maintain_order=True)
    if len(distinct) == 1:
        raw = np.zeros(len(texts), dtype=np.int32)
    else:
        raw = texts.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int32)
    numbers: dict[str, int] = {}
    table = [numbers.setdefault(_plain(text), len(numbers)) for text in distinct]
    if len(numbers) < len(table):
        raw = np.array(table, dtype=np.int32)[raw]
    return list(numbers), raw


def _one_unit(
    pieces: _Pieces,
    units: tuple[list[str], NDArray[np.int32]],
    at: NDArray[np.intp],
    flags: FlagArray | None,
    lines: Sequence[int] | NDArray[np.int64],
) -> FlagArray | None:
    """Return the flags with values in another unit than the tag's first one marked as bad."""
    names, codes = units
    mine = codes[at]
    for code in np.unique(mine):
        name = names[code]
        if not name:
            continue
        pieces.unit = (
            pieces.unit or names[mine[np.flatnonzero(np.isin(mine, [k for k, t in enumerate(names) if t]))[0]]]
        )
        if name != pieces.unit:
            rows = np.flatnonzero(mine == code)
            flags = np.full(at.size, Flag.GOOD, dtype=np.int8) if flags is None else flags.copy()
            flags[rows] = np.maximum(flags[rows], np.int8(Flag.BAD))
            n, unit, line = pieces.other_unit or (0, name, int(lines[at[rows[0]]]))
            pieces.other_unit = (n + int(rows.size), unit, line)
    return flags


def _add(
    pieces: _Pieces,
    cells: Cells,
    flags: FlagArray | None,
    base: FlagArray | None,
    kinds: Kinds | None,
    bad: NDArray[np.intp],
    codes: NDArray[np.int32] | None,
    lines: Sequence[int] | NDArray[np.int64],
    texts: Sequence[str],
    at: NDArray[np.intp] | None = None,
) -> None:
    """Append one chunk of samples to a tag; at: their rows in the chunk, None for all in order."""
    row_flags = flags if base is None else base if flags is None else worst(flags, base)
    if kinds is not None and kinds.size:
        kind = int(kinds[0])
        pieces.quality.append((kinds.size, kind if (kinds == kind).all() else kinds.copy()))
    pieces.n_numbers += int((cells.flags == Flag.GOOD).sum())
    pieces.values.append(cells.values)
    pieces.flags.append(cells.flags if row_flags is None else worst(cells.flags, row_flags))
    if cells.censored is not None:
        hit = np.flatnonzero(cells.censored)
        if hit.size:
            pieces.censored.append((hit + pieces.n, cells.censored[hit]))
    if bad.size and codes is not None:
        quality = np.full(bad.size, Flag.GOOD, dtype=np.int8) if row_flags is None else row_flags[bad]
        pieces.texts.append((bad + pieces.n, codes, quality))
        distinct, first, counts = np.unique(codes, return_index=True, return_counts=True)
        for k in np.argsort(first, kind="stable"):
            text = texts[distinct[k]]
            row = int(bad[first[k]])
            count, line = pieces.said.get(text, (0, int(lines[row if at is None else at[row]])))
            pieces.said[text] = (count + int(counts[k]), line)
    pieces.n += cells.values.size
