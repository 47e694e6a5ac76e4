"""Chunks of rows gathered into the samples of each tag: the one way that every kind of source takes.

What a sample needs is kept (8 bytes of time, 8 of value, 1 of flag) and the chunk is let go, so memory is that of the
result.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.flags import Flag, FlagArray, worst
from physics_twin.measurements.logs.cells import Cells, misread_decimal, read_cells, text_cells, texts_of
from physics_twin.measurements.logs.chunks import Opened
from physics_twin.measurements.logs.headers import bracketed_unit
from physics_twin.measurements.logs.layout import Layout, LongForm
from physics_twin.measurements.logs.log import TagSamples
from physics_twin.measurements.logs.moments import (
    Placed,
    Window,
    elapsed_unit,
    moment,
    origin_of,
    placed_times,
    time_name,
)
from physics_twin.measurements.logs.order import oldest_first
from physics_twin.measurements.logs.pieces import (
    Pieces,
    add,
    count_lost,
    distinct_codes,
    no_time_note,
    one_unit,
    utc_times,
)
from physics_twin.measurements.logs.quality_codes import Kinds, QualityColumns
from physics_twin.measurements.logs.rows import Counter, Rows, data_rows, plain
from physics_twin.measurements.logs.samples import tag_samples
from physics_twin.measurements.logs.signs import detect_numbers
from physics_twin.measurements.tables import BREAKS_OFF
from physics_twin.measurements.tags.tag_table import Tag, TagTable

__all__ = ["Gathered", "Gathering", "gather"]

_MOST_TAGS = 200_000  # more distinct names than any plant has: the wrong column was taken for the tag
_SHOWS_SIGN = r"[.,'’\u00a0\u202f ]"


@dataclass(frozen=True)
class Gathered:
    """What `gather` returns; see `Log`. verdicts: flag of each kind of quality that was drained, (n_kinds,)."""

    samples: dict[str, TagSamples]
    origin: dt.datetime | None
    n_rows: int
    layout: Layout
    notes: tuple[str, ...]
    verdicts: FlagArray


def gather(opened: Opened, wanted: TagTable | Sequence[str] | None, window: Window) -> Gathered:
    """Read all chunks and return the samples of each tag.

    Raises DataError naming the line for what cannot be read as declared, UnknownNameError for a wanted tag that the log
    does not have.
    """
    state = Gathering(opened, wanted, window)
    for rows in data_rows(opened, window, state.count, state.see):
        state.take(rows)
    return state.finish()


class Gathering:
    """The tags of a log while it is read."""

    def __init__(self, opened: Opened, wanted: TagTable | Sequence[str] | None, window: Window) -> None:
        self.opened = opened
        self.layout = opened.layout
        self.table = wanted if isinstance(wanted, TagTable) else None
        self.wanted = None if wanted is None else {_name(tag) for tag in wanted}
        self.window = window
        self.as_texts = frozenset(self.layout.texts or ())
        self.count = Counter()
        self.seconds = elapsed_unit(self.layout.stamp_format)
        self.tags: dict[str, Pieces] = {}
        self.seen: set[str] = set()
        self.texts: dict[str, int] = {}  # text of a cell that is no number -> its place in text_list
        self.text_list: list[str] = []
        self.shared: Pieces | None = None  # the times of a log in wide form
        self.codes = QualityColumns(self.layout.quality_scheme, row=opened.row, words=self.layout.quality_words)
        form = self.layout.form
        self.long = form if isinstance(form, LongForm) else None
        if self.long is None:
            stamps = {self.layout.time} if isinstance(self.layout.time, str) else set(self.layout.time or ())
            quality: Mapping[str, str] = form.quality if form is not None and not isinstance(form, LongForm) else {}
            self.quality = quality
            columns = [n for n in opened.names if n not in stamps and n not in set(quality.values())]
            self.seen.update(columns)
            self.columns = [n for n in columns if self.wanted is None or n in self.wanted]
            self.shared = Pieces()
            for name in self.columns:
                self.tags[name] = Pieces(unit=opened.units.get(name, "") or bracketed_unit(name))
                self.tags[name].texts_only = name in self.as_texts

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
        frame = rows.frame
        if self.long is None:
            names = [name for name in self.columns if name not in self.as_texts]
        else:
            names = [self.long.value]
            if self.as_texts:
                tags = frame[self.long.tag].cast(pl.String).str.strip_chars()
                frame = frame.filter(~tags.is_in(list(self.as_texts)).fill_null(value=False))
        shown: dict[str, list[str]] = {}
        for name in names:
            column = frame[name]
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
        texts = column if column.dtype == pl.String else pl.Series([plain(cell) for cell in column], dtype=pl.String)
        distinct, codes = distinct_codes(texts.gather(rows))
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
            if name in self.as_texts:
                column = texts_of(column)
                cells = text_cells(column)
            else:
                cells = self._cells(column)
            quality = self.quality.get(name)
            kinds = None if quality is None else self.codes.read(rows.frame[quality], rows.lines)
            flags: FlagArray | None = None
            if rows.last and (every or last_column in (name, quality)):
                flags = self._cut(flags, rows.frame.height)
            bad = np.flatnonzero(cells.flags == Flag.BAD)
            codes = self._text_codes(column, bad) if bad.size else None
            add(self.tags[name], cells, flags, base, kinds, bad, codes, rows.lines, self.text_list)

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
    def _no_time(pieces: Pieces, rows: Rows, layout: Layout) -> None:
        if rows.ok is not None:
            lost = np.flatnonzero(~rows.ok)
            count_lost(pieces, rows, lost, layout)

    def _take_long(self, rows: Rows, form: LongForm) -> None:
        names, codes = distinct_codes(rows.frame[form.tag])
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
        cells = self._cells(rows.frame[form.value])
        flags: FlagArray | None = None
        kinds: Kinds | None = None
        if self.opened.native:
            cells, flags = _native_cells(cells, rows.frame)
        elif form.quality is not None:
            kinds = self.codes.read(rows.frame[form.quality], rows.lines)
        column, cells = self._as_texts(names, codes, rows.frame, form, cells)
        if rows.last:
            flags = self._cut(flags, rows.frame.height)
        base = self._time_flags(rows)
        if base is not None:
            flags = base if flags is None else worst(flags, base)
        bad = np.flatnonzero(cells.flags == Flag.BAD)
        text_codes = self._text_codes(column, bad) if bad.size else None
        self._split(rows, form, names, codes, cells, flags, kinds, bad, text_codes)

    def _as_texts(
        self, names: Sequence[str], codes: NDArray[np.int32], frame: pl.DataFrame, form: LongForm, cells: Cells
    ) -> tuple[pl.Series, Cells]:
        """Return the texts of cells, and the cells, with those of tags that are texts being no numbers."""
        native = self.opened.native
        column, values = frame["text" if native else form.value], frame[form.value]
        which = [k for k, name in enumerate(names) if name in self.as_texts]
        at = np.flatnonzero(np.isin(codes, which)) if which else np.empty(0, dtype=np.intp)
        if not at.size:
            return column, cells
        own = texts_of(values.gather(at))
        if native:
            for k in which:
                self._check_native(names[k], frame.filter(pl.Series(codes == k)))
            own = column.gather(at).zip_with(column.gather(at).is_not_null(), own)
        found = text_cells(own)
        texts = column.clone() if column.dtype == pl.String else column.cast(pl.String)
        numbers, flags = cells.values.copy(), cells.flags.copy()
        numbers[at], flags[at] = found.values, found.flags
        censored = None if cells.censored is None else cells.censored.copy()
        if censored is not None:
            censored[at] = 0
        return texts.scatter(at, own), Cells(numbers, flags, censored, cells.texts)

    def _check_native(self, tag: str, rows: pl.DataFrame) -> None:
        """Raise DataError where ids in a file of our own were read as numbers when it was made, and some are lost."""
        lost = (pl.col("text").is_null() & ~pl.col("value").is_finite() & (pl.col("flag") == Flag.BAD)).any()
        limits = (pl.col("censored") != 0).any()
        numbers = pl.col("value").is_finite().any()
        if rows.select(numbers & (lost | limits)).item():
            raise DataError(
                f'{self.opened.name}: the tag "{tag}" is there as numbers, and of some cells the text is lost; convert '
                f'the export again with layout=pt.Layout(texts=("{tag}",))'
            )

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
            pieces = self.tags.setdefault(names[k], Pieces(texts_only=names[k] in self.as_texts))
            own = Cells(values[part].copy(), cell_flags[part].copy(), None if censored is None else censored[part], {})
            own_flags = None if flags is None else flags[part]
            own_kinds = None if kinds is None else kinds[part]
            at = np.arange(part.start, part.stop) if order is None else order[part]
            if lost is not None and lost[part].any():
                count_lost(pieces, rows, at[np.flatnonzero(lost[part])], self.layout)
            if units is not None:
                own_flags = one_unit(pieces, units, at, own_flags, rows.lines)
            pieces.times.append(times[part].copy())
            pieces.known.append(known if isinstance(known, bool) else known[part].copy())
            mine = np.empty(0, dtype=np.intp) if which is None else np.flatnonzero(which[part] >= 0)
            own_texts = None if which is None else which[part][mine]
            add(pieces, own, own_flags, None, own_kinds, mine, own_texts, rows.lines, said, at)

    def _units(self, rows: Rows, form: LongForm) -> tuple[list[str], NDArray[np.int32]] | None:
        return None if form.unit is None else distinct_codes(rows.frame[form.unit])

    def _check_decimal(self, tag: str, pieces: Pieces) -> None:
        if pieces.texts_only:
            return
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
                f'{opened.name}, {opened.row} {line}, column {time_name(self.layout)}: "{cell}" is no time, and '
                f"neither is any other cell of the column; expected are {like}"
            )
        self._check_wanted()
        strange = sorted(self.as_texts - self.seen) if self.window.all and not opened.native else []
        if strange:  # a file of our own may have been made without some of the tags that its layout names
            raise unknown_name(f"tag of {opened.name}", strange[0], sorted(self.seen))
        layout = self.layout if self.layout.decimal is not None else Layout(decimal=".", thousands="").over(self.layout)
        settled = self.codes.settle()
        layout = replace(opened.layout_now(layout), quality_scheme=settled.scheme)
        shared = utc_times(self.shared, self.layout, self.seconds) if self.shared is not None else None
        timed = {tag: shared or utc_times(pieces, self.layout, self.seconds) for tag, pieces in self.tags.items()}
        origin = origin_of(timed.values(), self.window) if self.seconds is None else None
        common: Placed | None = None
        samples: dict[str, TagSamples] = {}
        for tag in list(self.tags):
            pieces = self.tags.pop(tag)
            times = timed.pop(tag)
            if shared is None:
                placed = placed_times(times, origin, self.window)
            else:
                placed = common = common or placed_times(times, origin, self.window)
                pieces.no_time = None
            self._check_decimal(tag, pieces)
            declared = self.table[tag] if self.table is not None and tag in self.table else None
            found = () if shared else times.notes
            texts = self.text_list
            samples[tag] = tag_samples(tag, pieces, placed, settled.verdicts, texts, declared, opened.row, found)
        samples, turned = oldest_first(samples)
        notes = [*opened.notes.words(), *turned, *settled.notes]
        if shared is not None:
            notes += shared.notes
            if self.shared is not None and self.shared.no_time is not None:
                notes.append(no_time_note(self.shared.no_time, opened.row))
        return Gathered(samples, moment(origin), count.rows, layout, tuple(notes), settled.verdicts)

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


def _name(tag: Tag | str) -> str:
    return tag.name if isinstance(tag, Tag) else str(tag).strip()


def _native_cells(cells: Cells, frame: pl.DataFrame) -> tuple[Cells, FlagArray]:
    """Return cells and quality as a Parquet file of our own holds them."""
    quality = np.array(frame["flag"].to_numpy(), dtype=np.int8)
    flags = np.where(np.isfinite(cells.values), cells.flags, quality).astype(np.int8)
    flags[frame["text"].is_not_null().to_numpy()] = Flag.BAD
    side = frame["censored"].to_numpy()
    return Cells(cells.values, flags, np.array(side, dtype=np.int8) if side.any() else None, {}), quality


def _flags_of(ok: NDArray[np.bool_]) -> FlagArray:
    flags = np.full(ok.size, Flag.GOOD, dtype=np.int8)
    flags[~ok] = Flag.BAD
    return flags
