"""The samples of one tag while a log is read, in pieces: what each chunk brought, until all of it is there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.measurements.flags import Flag, FlagArray, worst
from physics_twin.measurements.logs.cells import Cells
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.moments import TagTimes, Times, time_cell
from physics_twin.measurements.logs.quality_codes import Kinds
from physics_twin.measurements.logs.rows import Rows, plain
from physics_twin.measurements.logs.zones import to_utc
from physics_twin.measurements.tags.export_units import mean_the_same

__all__ = [
    "Pieces",
    "add",
    "count_lost",
    "distinct_codes",
    "joined",
    "kind_slices",
    "no_time_note",
    "one_array",
    "one_unit",
    "utc_times",
]

_FEW = 256  # below it a loop in Python is the quicker way: an expression of polars costs as much as some 100 cells


@dataclass
class Pieces:
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
    texts_only: bool = False  # declared so: no cell is a number
    n: int = 0
    n_numbers: int = 0
    unit: str = ""
    other_unit: tuple[int, str, int] | None = None  # count, unit, first line
    no_time: tuple[int, int, str] | None = None  # count, first line, its cell


def add(
    pieces: Pieces,
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


def one_unit(
    pieces: Pieces,
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
        if name != pieces.unit and not mean_the_same(name, pieces.unit):
            rows = np.flatnonzero(mine == code)
            flags = np.full(at.size, Flag.GOOD, dtype=np.int8) if flags is None else flags.copy()
            flags[rows] = np.maximum(flags[rows], np.int8(Flag.BAD))
            n, unit, line = pieces.other_unit or (0, name, int(lines[at[rows[0]]]))
            pieces.other_unit = (n + int(rows.size), unit, line)
    return flags


def utc_times(pieces: Pieces, layout: Layout, seconds: float | None) -> TagTimes:
    """Return the times of a tag in UTC, and forget the pieces they came in."""
    if not pieces.times:
        nothing: Times = np.empty(0, dtype=np.int64)
        return TagTimes(nothing if seconds is None else nothing.astype(np.float64), None, ())
    times = one_array(pieces.times)
    known = pieces.known
    sizes = [piece.size for piece in pieces.times]
    pieces.times = []
    if seconds is not None or all(k is True for k in known) or layout.zone is None:
        return TagTimes(times, None, ())
    mask = np.concatenate([np.full(n, k) if isinstance(k, bool) else k for k, n in zip(known, sizes, strict=True)])
    utc, flags, notes = to_utc(
        times.astype(np.int64, copy=False),
        layout.zone,
        offset_known=mask if mask.any() else None,
        where=lambda row: f"sample {row + 1}",
    )
    return TagTimes(utc, flags, notes)


def count_lost(pieces: Pieces, rows: Rows, lost: NDArray[np.intp], layout: Layout) -> None:
    """Take note of rows without a readable time."""
    row = int(lost[0])
    n, line, cell = pieces.no_time or (0, int(rows.lines[row]), time_cell(rows.frame, layout, row))
    pieces.no_time = (n + int(lost.size), line, cell)


def no_time_note(found: tuple[int, int, str], row: str) -> str:
    """Say how many rows have no readable time: count, first line, its cell."""
    n, line, cell = found
    return f'{n} rows have no readable time, the first is {row} {line} ("{cell}"): they are bad'


def one_array(pieces: list[Times]) -> Times:
    """Return pieces as one array."""
    if len(pieces) == 1:
        return pieces[0]
    return cast("Times", np.concatenate(pieces))


def joined[T: np.generic](pieces: list[NDArray[T]], dtype: type[T]) -> NDArray[T]:
    """Return pieces as one array that may be written to, and let go of them."""
    if not pieces:
        return np.empty(0, dtype=dtype)
    whole = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
    pieces.clear()
    return whole if whole.flags.writeable else whole.copy()


def kind_slices(quality: list[tuple[int, int | Kinds]]) -> Iterator[tuple[slice, int | Kinds]]:
    """Yield the rows of each piece of a quality column with their kinds."""
    start = 0
    for n, kinds in quality:
        yield slice(start, start + n), kinds
        start += n


def distinct_codes(column: pl.Series) -> tuple[list[str], NDArray[np.int32]]:
    """Return the distinct texts of a column, stripped, and which one each row holds."""
    texts = column if column.dtype == pl.String else column.cast(pl.String)
    if len(texts) < _FEW:
        found: dict[str, int] = {}
        few = [found.setdefault(plain(text), len(found)) for text in texts.to_list()]
        return list(found), np.array(few, dtype=np.int32)
    if texts.null_count():
        texts = texts.fill_null("")
    distinct = texts.unique(maintain_order=True)
    if len(distinct) == 1:
        raw = np.zeros(len(texts), dtype=np.int32)
    else:
        raw = texts.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int32)
    numbers: dict[str, int] = {}
    table = [numbers.setdefault(plain(text), len(numbers)) for text in distinct]
    if len(numbers) < len(table):
        raw = np.array(table, dtype=np.int32)[raw]
    return list(numbers), raw
