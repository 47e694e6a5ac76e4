"""Logs that are tables already: data frames, Parquet and results of a database query, with the types they have.

A stamp with a zone is UTC at once, a number is that number; texts go the way of the cells of a text file.
"""

import datetime as dt
import decimal as decimals
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from physics_twin.errors import DataError
from physics_twin.measurements.logs.chunks import Chunk, Notes, Opened
from physics_twin.measurements.logs.columns import Sample, detect_columns
from physics_twin.measurements.logs.layout import Layout, LongForm
from physics_twin.measurements.logs.layout_records import layout_from_text
from physics_twin.measurements.logs.log import Original

if TYPE_CHECKING:
    from physics_twin.measurements.logs.moments import Window

__all__ = [
    "NATIVE",
    "ORIGINAL",
    "Connection",
    "Query",
    "fetched_frame",
    "file_digest",
    "open_frame",
    "open_parquet",
    "plain_cell",
]

NATIVE = "physics_twin log"  # key in the metadata of Parquet files that `convert_log` writes
ORIGINAL = "source", "source_sha256", "source_layout"  # and those of the export that it was made of
_ROWS = 500_000  # of a chunk
_FETCHED = 50_000  # rows taken from a database at a time
_LOOKED_AT = 2_000  # rows
# What polars raises on damaged bytes; a panic is no Exception of Python's.
_DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


class Cursor(Protocol):
    """What is used of a DB-API cursor."""

    @property
    def description(self) -> Any:
        """The columns of the result."""

    def execute(self, operation: str, parameters: Any = ..., /) -> Any:
        """Run a query."""

    def fetchmany(self, size: int = ..., /) -> Sequence[Any]:
        """Return the next rows."""

    def close(self) -> Any:
        """Let go of the result."""


class Connection(Protocol):
    """What is used of a DB-API connection: sqlite3, psycopg, pyodbc, oracledb and so on."""

    def cursor(self) -> Any:
        """Return a cursor."""


@dataclass(frozen=True)
class Query:
    """Rows of a database, streamed.

    connection: any DB-API connection. sql: the query, with an ORDER BY time where the order matters (the hour repeated
    when summer time ends is told apart by it). parameters: for its placeholders. Batch lists and laboratory lists
    are read from queries too. Provenance holds the SQL, and a hash of SQL, parameters and rows.
    """

    connection: Connection
    sql: str
    parameters: tuple[object, ...] = ()


def open_frame(source: object, layout: Layout) -> Opened:
    """Return a data frame or a query as an opened log. Raises DataError for anything else."""
    notes = Notes()
    if isinstance(source, Query):
        digest = hashlib.sha256(repr((source.sql, source.parameters)).encode())
        names, rows = _fetched(source, digest.update)
        opened = _open_chunks("the query", layout, names, rows, notes)
        parameters = f"; parameters {source.parameters!r}" if source.parameters else ""
        return replace(opened, sha256=digest.hexdigest, query=f"{' '.join(source.sql.split())}{parameters}")
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        frame = source
    elif type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "reset_index"):
        frame = _from_pandas(source)
    else:
        raise DataError(f"a log is a file, a data frame or Query(connection, sql), not a {type(source).__name__}")
    return _open_chunks("the frame", layout, tuple(frame.columns), _slices(frame), notes)


def open_parquet(path: Path, layout: Layout, limits: "Callable[[Layout], Window]") -> Opened:
    """Return a Parquet file as an opened log; rows outside the limits are not even read where they have a zone.

    Raises DataError where it is no intact Parquet file, FileNotFoundError.
    """
    digest = file_digest(path)
    try:
        lazy = pl.scan_parquet(path)
        names = tuple(lazy.collect_schema().names())
        said = pl.read_parquet_metadata(path)
        native = NATIVE in said
        look = lazy.head(_LOOKED_AT).collect()
    except _DAMAGE as error:
        raise DataError(f"{path.name}: this is no intact Parquet file ({error})") from None
    original = None
    if native:
        original = _original(path.name, said)
        form = LongForm("tag", "value", "flag", "unit" if "unit" in names else None)
        # Its stamps are UTC; the zone of the export's clock is that of stamps which people write elsewhere.
        zone = layout.zone or original.layout.zone
        known = Layout(time="time", stamp_format="ISO", form=form, decimal=".", thousands="", zone=zone)
        known = replace(known, texts=_both(original.layout.texts, layout.texts))
        if look.schema["time"] == pl.Float64:
            known = replace(known, stamp_format="s")
    else:
        known = _detected(path.name, layout, look)
    chosen = limits(known)
    if isinstance(known.time, str) and known.period is None:
        column, kind = pl.col(known.time), look.schema[known.time]
        if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
            if chosen.low is not None:
                lazy = lazy.filter(column >= pl.lit(int(chosen.low)).cast(pl.Datetime("us", "UTC")))
            if chosen.high is not None:
                lazy = lazy.filter(column <= pl.lit(int(chosen.high)).cast(pl.Datetime("us", "UTC")))
    notes = Notes()
    if original is not None:
        notes.add("converted from {text}", 0, f"{original.source} (SHA-256 {original.sha256})")
    chunks = _numbered(_batches(lazy, path.name))
    return _opened(path.name, known, names, chunks, notes, lambda: digest, original)


def _original(source: str, said: Mapping[str, str]) -> Original:
    """Return what a file of our own was made of."""
    name, sha256, layout = (said.get(key, "") for key in ORIGINAL)
    return Original(name, sha256, layout_from_text(layout, source) if layout else Layout())


def _both(first: tuple[str, ...] | None, second: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys([*(first or ()), *(second or ())])) or None


def _batches(lazy: pl.LazyFrame, source: str) -> Iterator[pl.DataFrame]:
    try:
        yield from lazy.collect_batches(chunk_size=_ROWS, maintain_order=True)
    except _DAMAGE as error:
        raise DataError(f"{source}: this is no intact Parquet file ({error})") from None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for start in range(0, frame.height, _ROWS):
        yield frame.slice(start, _ROWS)


def _numbered(frames: Iterator[pl.DataFrame]) -> Iterator[Chunk]:
    row = 1
    for frame in frames:
        if frame.height:
            yield Chunk(_readable(frame), range(row, row + frame.height))
            row += frame.height


def _readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame without types that only polars knows."""
    odd = [
        name
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Categorical | pl.Enum | pl.Decimal) or kind in (pl.Boolean, pl.Object)
    ]
    if not odd:
        return frame
    changed: list[pl.Series] = []
    for name in odd:
        column, kind = frame[name], frame.schema[name]
        if isinstance(kind, pl.Decimal):
            changed.append(column.cast(pl.Float64))
        elif kind in (pl.Boolean, pl.Object):
            changed.append(pl.Series(name, [plain_cell(cell) for cell in column], dtype=pl.String))
        else:
            changed.append(column.cast(pl.String))
    return frame.with_columns(changed)


def _open_chunks(
    source: str, layout: Layout, names: tuple[str, ...], frames: Iterator[pl.DataFrame], notes: Notes
) -> Opened:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f'{source}: two columns are called "{twice[0]}"; give each a name of its own')
    first = next(frames, None)
    if first is None or not first.height:
        raise DataError(f"{source} has no rows")
    known = _detected(source, layout, first)
    return _opened(source, known, names, _numbered(itertools.chain([first], frames)), notes, lambda: "")


def _opened(
    source: str,
    known: Layout,
    names: tuple[str, ...],
    chunks: Iterator[Chunk],
    notes: Notes,
    sha256: Callable[[], str],
    original: Original | None = None,
) -> Opened:
    native = original is not None
    return Opened(source, known, names, {}, (), (), chunks, sha256, notes, row="row", native=native, original=original)


def _detected(source: str, declared: Layout, frame: pl.DataFrame) -> Layout:
    """Return the layout of typed columns: a column of stamps by its type, the rest from texts."""
    head = _readable(frame.head(_LOOKED_AT))
    stamps = [name for name, kind in head.schema.items() if isinstance(kind, pl.Datetime | pl.Date)]
    known = declared
    if declared.time is None and stamps:
        if len(stamps) > 1:
            raise DataError(
                f'{source}: the columns "{stamps[0]}" and "{stamps[1]}" both hold stamps; say which is the time of the '
                f'value, layout=Layout(time="{stamps[0]}")'
            )
        known = replace(known, time=stamps[0])
    if isinstance(known.time, str) and known.time in stamps and known.stamp_format is None:
        known = replace(known, stamp_format="ISO")
    columns = {name: _texts(head[name], source) for name in head.columns}
    typed = frozenset(name for name, kind in head.schema.items() if kind.is_numeric())
    return detect_columns(Sample(tuple(head.columns), {}, columns, source, typed=typed), known)


def _texts(column: pl.Series, source: str) -> list[str]:
    try:
        return [plain_cell(cell) for cell in column]
    except OverflowError:  # of Python's dates; a file can hold any year
        raise DataError(
            f'{source}, column "{column.name}": a date beyond the year 9999; the file is damaged, or its stamps are in '
            "another unit of time than it says"
        ) from None


def plain_cell(cell: object) -> str:
    """Return a cell of a frame, a database or a workbook as the text that stands for it: numbers in full."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, bool | np.bool_):
        return str(bool(cell))
    if isinstance(cell, float | np.floating):
        return repr(float(cell))
    if isinstance(cell, dt.datetime | dt.date | dt.time):
        return cell.isoformat()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return str(cell)


def _series(name: str, cells: Sequence[object]) -> pl.Series:
    """Return cells of Python as a column of numbers, of stamps, or of texts where they are mixed."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds and all(issubclass(kind, int | float | decimals.Decimal) and kind is not bool for kind in kinds):
        if kinds == {int} and all(isinstance(cell, int) and abs(cell) < 1 << 63 for cell in cells if cell is not None):
            return pl.Series(name, cells, dtype=pl.Int64)  # ids of 17 digits are no floats
        numbers = [None if cell is None else float(cell) for cell in cells]  # type: ignore[arg-type]
        return pl.Series(name, numbers, dtype=pl.Float64)
    if kinds == {dt.datetime}:
        zoned = {cell.tzinfo is not None for cell in cells if isinstance(cell, dt.datetime)}
        if zoned == {True}:
            utc = [cell.astimezone(dt.UTC) if isinstance(cell, dt.datetime) else None for cell in cells]
            return pl.Series(name, utc, dtype=pl.Datetime("us", "UTC"))
        if zoned == {False}:
            return pl.Series(name, cells, dtype=pl.Datetime("us"))
    return pl.Series(name, [plain_cell(cell) for cell in cells], dtype=pl.String)


def _from_pandas(source: Any) -> pl.DataFrame:
    """Return a pandas frame; an index of stamps, or one that has a name, is a column."""
    index = source.index
    named = any(name is not None for name in getattr(index, "names", [None]))
    if named or getattr(getattr(index, "dtype", None), "kind", "") == "M":
        source = source.reset_index() if named else source.rename_axis("time").reset_index()
    names = [str(name) for name in source.columns]
    columns: list[pl.Series] = []
    for k, name in enumerate(names):
        column = source.iloc[:, k]
        kind = column.dtype
        if getattr(kind, "tz", None) is not None:
            naive = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]")
            columns.append(pl.Series(name, naive).dt.replace_time_zone("UTC"))
        elif isinstance(kind, np.dtype) and kind.kind == "M":
            columns.append(pl.Series(name, column.to_numpy().astype("datetime64[us]")))
        elif isinstance(kind, np.dtype) and kind.kind in "iuf":
            columns.append(pl.Series(name, column.to_numpy()))
        elif isinstance(kind, np.dtype) and kind.kind == "m":
            seconds = column.to_numpy().astype("timedelta64[us]").astype(np.int64) / 1e6
            columns.append(pl.Series(name, np.where(column.isna().to_numpy(), np.nan, seconds)))
        else:
            cells = [None if cell is None or cell is not cell or _is_na(cell) else cell for cell in column]
            columns.append(_series(name, cells))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f'the frame: two columns are called "{twice[0]}"; give each a name of its own')
    return pl.DataFrame(columns)


def _is_na(cell: object) -> bool:
    return type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell)


def fetched_frame(query: Query) -> tuple[pl.DataFrame, str]:
    """Return all rows of a query, for short lists, and their hash. Raises DataError where there is none."""
    digest = hashlib.sha256(repr((query.sql, query.parameters)).encode())
    names, rows = _fetched(query, digest.update)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f'the query: two columns are called "{twice[0]}"; give each a name of its own')
    frames = list(rows)
    if not frames:
        raise DataError("the query has no rows")
    return pl.concat(frames, how="vertical_relaxed"), digest.hexdigest()


def _fetched(
    query: Query, told: Callable[[bytes], None] = lambda content: None
) -> tuple[tuple[str, ...], Iterator[pl.DataFrame]]:
    """Run a query and return the names of its columns and its rows, a chunk at a time.

    told: called with the rows as bytes, for a hash that does not depend on how they are cut into chunks.
    """
    cursor = query.connection.cursor()
    if query.parameters:
        cursor.execute(query.sql, query.parameters)
    else:
        cursor.execute(query.sql)
    if cursor.description is None:
        raise DataError("the query returns no rows; give a SELECT")
    names = tuple(str(column[0]) for column in cursor.description)

    def frames() -> Iterator[pl.DataFrame]:
        kinds: dict[str, pl.DataType] = {}
        try:
            while rows := cursor.fetchmany(_FETCHED):
                told("".join(map(repr, map(tuple, rows))).encode(errors="surrogatepass"))
                columns = [_series(name, cells) for name, cells in zip(names, zip(*rows, strict=True), strict=True)]
                for column in columns:
                    kinds.setdefault(column.name, column.dtype)
                yield pl.DataFrame(columns)
        finally:
            cursor.close()

    return names, frames()
