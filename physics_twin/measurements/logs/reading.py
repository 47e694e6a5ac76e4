"""Exports of historians and loggers as samples of tags: one call for text, workbooks, Parquet, frames and databases."""

import datetime as dt
import gzip
import io
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from physics_twin.errors import DataError
from physics_twin.measurements.clocks import parse_stamp
from physics_twin.measurements.logs import frames
from physics_twin.measurements.logs.chunks import Notes, Opened
from physics_twin.measurements.logs.columns import declared_columns
from physics_twin.measurements.logs.detection import detect_text, look
from physics_twin.measurements.logs.frames import Query
from physics_twin.measurements.logs.gathering import gather
from physics_twin.measurements.logs.headers import bare_unit, column_names
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Log
from physics_twin.measurements.logs.moments import Window, elapsed_unit
from physics_twin.measurements.logs.text import HashedFile, Lines, chunks, read_head
from physics_twin.measurements.tags.tag_table import TagTable
from physics_twin.units import to_si, unit as as_unit

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["Query", "Source", "names_of", "opened", "read_log", "show_bar", "tag_table", "window"]

type Source = "str | os.PathLike[str] | pd.DataFrame | pl.DataFrame | Query"
type Moment = str | dt.datetime | float | None

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def read_log(
    source: Source,
    *,
    layout: Layout | None = None,
    tags: TagTable | str | os.PathLike[str] | Sequence[str] | None = None,
    between: tuple[Moment, Moment] | None = None,
    progress: bool = False,
) -> Log:
    """Read an export into the samples of its tags, each with a flag; nothing is deleted, sorted or interpolated.

    source: a file (.csv, .txt, .tsv, .dat and the like, also .gz; .xlsx; .parquet), a data frame of pandas or polars,
    or a `Query`. layout: what is known of its format; the rest is detected, and `log.layout` says all of it. tags: only
    these are kept: a tag table (or its file), which also gives states of digital tags and zeros that stand for nothing
    measured, or names. between: first and last moment that are kept, each a stamp, a datetime with zone, seconds of an
    elapsed time, or None for open. progress: show a bar.

    The file is read in chunks: memory holds what is kept, 17 bytes a sample (18 where its quality code changes), and
    one chunk.

    Raises DataError, naming file, line and column, for what cannot be read or can be read in two ways (the message says
    what to declare); UnknownNameError for a tag or a column that is not there; FileNotFoundError.
    """
    table = tag_table(tags)
    wanted = table if table is not None else names_of(tags)
    with ExitStack() as stack:
        told = stack.enter_context(show_bar(source, shown=progress))
        log = stack.enter_context(opened(source, layout or Layout(), told=told, between=between))
        found = gather(log, wanted, window(between, log.layout))
        digest = log.sha256()
    source_name = log.name if log.original is None else f"{log.name} (from {log.original.source})"
    return Log(
        found.samples,
        found.layout,
        found.origin,
        source_name,
        digest,
        found.n_rows,
        found.notes,
        table,
        log.original,
        log.query,
    )


def tag_table(tags: object) -> TagTable | None:
    """Return the tag table that `tags` is, or that its file holds; None for names."""
    if isinstance(tags, TagTable):
        return tags
    if isinstance(tags, str | os.PathLike):
        return TagTable.load(tags)
    return None


def names_of(tags: object) -> tuple[str, ...] | None:
    """Return the names that `tags` are, None for all."""
    if tags is None or not isinstance(tags, Sequence):
        return None
    return tuple(str(tag) for tag in tags)


def window(between: tuple[Moment, Moment] | None, layout: Layout) -> Window:
    """Return the limits of `between` as numbers. Raises DataError for a stamp without zone, or low above high."""
    if between is None:
        return Window()
    if len(between) != 2:
        raise DataError(f"between={between!r}: give the first and the last moment")
    low, high = (_limit(moment, layout) for moment in between)
    if low is not None and high is not None and low > high:
        raise DataError(f"between={between!r}: the first moment is after the last one")
    return Window(low, high)


def _limit(moment: Moment, layout: Layout) -> float | None:
    if moment is None:
        return None
    if elapsed_unit(layout.stamp_format) is not None:
        if isinstance(moment, dt.datetime):
            raise DataError(
                f"between: {moment} is a stamp, and the log has elapsed time; give seconds or a text with unit"
            )
        return to_si(moment, as_unit("s"), name="between") if isinstance(moment, str) else float(moment)
    if isinstance(moment, str):
        moment = parse_stamp(moment, zone=layout.zone)
    if not isinstance(moment, dt.datetime):
        raise DataError(f'between: {moment!r} is no stamp; say "2026-11-20T06:00+01:00" or the like')
    if moment.tzinfo is None:
        moment = parse_stamp(moment.isoformat(), zone=layout.zone)
    return float((moment - _EPOCH) // dt.timedelta(microseconds=1))


@contextmanager
def show_bar(source: object, *, shown: bool) -> Iterator[Callable[[int], None] | None]:
    """Show a bar of the bytes read of a file."""
    if not shown or not isinstance(source, str | os.PathLike) or not Path(source).is_file():
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(f"reading {Path(source).name}", total=Path(source).stat().st_size)
        yield lambda n: progress.advance(task, n)


@contextmanager
def opened(
    source: Source,
    layout: Layout,
    *,
    told: Callable[[int], None] | None = None,
    between: tuple[Moment, Moment] | None = None,
) -> Iterator[Opened]:
    """Open a source of any kind. Raises DataError for a kind that is not read."""
    if not isinstance(source, str | os.PathLike):
        yield frames.open_frame(source, layout)
        return
    path = Path(source)
    if path.is_dir():
        raise DataError(f"{path.name} is a folder; give one file of it")
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        yield frames.open_parquet(path, layout, lambda known: window(between, known))
        return
    if suffix in (".xlsx", ".xlsm"):
        from physics_twin.measurements.logs import workbooks

        with workbooks.open_workbook(path, layout) as log:
            yield log
        return
    if suffix in (".xls", ".ods", ".pdf", ".zip", ".h5", ".nc"):
        raise DataError(f"{path.name}: {suffix} files are not read; export the log as .csv, .xlsx or .parquet")
    with _text(path, layout, told) as log:
        yield log


@contextmanager
def _text(path: Path, declared: Layout, told: Callable[[int], None] | None) -> Iterator[Opened]:
    """Open delimited text, compressed or not."""
    zipped = path.suffix.lower() == ".gz"
    with _raw(path, zipped=zipped) as probe:
        head, further = (_gzip_head(probe, path.name), ()) if zipped else look(probe, path.stat().st_size)
    if not head:
        raise DataError(f"{path.name}: the file is empty")
    if not head.strip(b"\0"):
        raise DataError(f"{path.name}: the file holds nothing but NUL bytes (a loss of power while it was written?)")
    layout = detect_text(head, further, declared, path.name)
    encoding, separator = layout.encoding or "utf-8-sig", layout.separator or ","
    notes = Notes()
    with HashedFile(path, told) as file:
        stream: IO[bytes] = gzip.GzipFile(fileobj=file) if zipped else file  # type: ignore[assignment]
        lines = Lines(path, stream, encoding, certain=declared.encoding is not None)
        blocks = lines.blocks()
        first = next(blocks, b"")
        header_rows = read_head(first, separator, layout.skiprows or 0, layout.header or 0, path.name)
        header = header_rows.rows[0] if header_rows.rows else ()
        names = layout.column_names or column_names(header, path.name, header_rows.next_line - 1)
        lost = [name for name in declared_columns(layout) if name not in names]
        if lost:  # detection reads a header with more forbearance
            raise DataError(
                f'{path.name}, line {header_rows.next_line - 1}: the header has no column "{lost[0]}"; is a quote '
                "unbalanced in it?"
            )
        unit_row = header_rows.rows[1] if len(header_rows.rows) > 1 else ()
        units = {name: bare_unit(cell) for name, cell in zip(names, unit_row, strict=False) if cell}
        rest = itertools.chain([first[header_rows.length :]], blocks)

        def now(known: Layout) -> Layout:
            if lines.padding:
                notes.add("the file ends in {n} NUL bytes (a loss of power?): skipped", n=lines.padding)
            return replace(known, encoding=lines.encoding)

        data = chunks(lines, rest, names, separator, header_rows.next_line, path.name, notes)
        above = (_fitted(header, names), _fitted(unit_row, names))
        yield Opened(path.name, layout, names, units, *above, data, file.digest, notes, layout_now=now)


def _fitted(cells: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return header cells as wide as the table."""
    if not cells:
        return ()
    plain = [" ".join(cell.split()) for cell in cells[: len(names)]]
    return (*plain, *[""] * (len(names) - len(plain)))


@contextmanager
def _raw(path: Path, *, zipped: bool) -> Iterator[IO[bytes]]:
    if zipped:
        with gzip.open(path, "rb") as file:
            yield io.BufferedReader(file)
    else:
        with path.open("rb") as file:
            yield file


def _gzip_head(file: IO[bytes], source: str) -> bytes:
    import zlib

    pieces: list[bytes] = []
    try:
        while sum(map(len, pieces)) < 1 << 18:
            piece = file.read(1 << 16)
            if not piece:
                break
            pieces.append(piece)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{source}: this is no intact gzip file ({error}); copy it again from where it was made"
        ) from None
    return b"".join(pieces)
