"""Workbooks as logs: stamps as spreadsheets hold them, numbers in full, texts judged like those of a text file.

A spreadsheet knows dates only as numbers of days with a format. Where the format is there, openpyxl gives the stamp;
where it is not (an export that wrote the bare number), the days count from 1900 or, in old files of the Mac, from 1904.
"""

import datetime as dt
import itertools
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import polars as pl

from physics_twin.errors import DataError
from physics_twin.measurements.logs.chunks import Chunk, Notes, Opened
from physics_twin.measurements.logs.columns import Sample, detect_columns
from physics_twin.measurements.logs.frames import file_digest, plain_cell
from physics_twin.measurements.logs.headers import shape_of
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.signs import detect_numbers

__all__ = ["DAMAGE", "open_workbook"]

_ROWS = 20_000  # of a chunk
_LOOKED_AT = 2_000  # rows
_1904 = 1462.0  # days from the beginning of 1900, as spreadsheets count, to that of 1904
# What openpyxl and the libraries below it raise on bytes that are no workbook, or one of which bytes are lost.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ParseError,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,  # encrypted
)
_FORMULA = (
    "{n} or more cells hold a formula without a saved result, the first is {text} in row {line}: they are missing; "
    "open the workbook in its program and save it"
)


@contextmanager
def open_workbook(path: Path, declared: Layout) -> Iterator[Opened]:
    """Open a sheet of a workbook.

    Raises DataError where it is no intact workbook, or where several sheets hold data and none is declared.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    if not path.exists():
        raise FileNotFoundError(path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, *DAMAGE) as error:
        raise _damaged(path.name, error) from None
    try:
        sheet = _sheet(book, declared.sheet, path.name)
        days = _1904 if book.epoch.year == 1904 else 0.0
        yield _opened(path, sheet, declared, days)
    finally:
        book.close()


def _damaged(source: str, error: Exception) -> DataError:
    return DataError(f"{source}: this is no intact workbook ({error}); save it again as .xlsx")


def _rows(sheet: Any, source: str) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a sheet. Raises DataError for what only a damaged file makes its reader raise."""
    try:
        yield from sheet.iter_rows(values_only=True)
    except DAMAGE as error:
        raise _damaged(source, error) from None


def _sheet(book: Any, name: str | None, source: str) -> Any:
    if name is not None:
        if name not in book.sheetnames:
            raise DataError(f'{source}: there is no sheet "{name}"; sheets: {", ".join(book.sheetnames)}')
        return book[name]
    filled = [sheet for sheet in book.worksheets if _has_data(sheet, source)]
    if not filled:
        raise DataError(f"{source}: no sheet holds a table")
    if len(filled) > 1:
        names = [sheet.title for sheet in filled]
        raise DataError(
            f'{source}: the sheets {", ".join(names)} hold data; say which, layout=Layout(sheet="{names[0]}")'
        )
    return filled[0]


def _has_data(sheet: Any, source: str) -> bool:
    """Whether a sheet holds a table: two rows of two cells among its first ones, one with a number or a stamp."""
    if not hasattr(sheet, "iter_rows"):  # a sheet that is a chart
        return False
    sheet.reset_dimensions()  # programs write wrong ones
    rows = [
        [cell for cell in row if cell is not None and str(cell).strip()]
        for row in itertools.islice(_rows(sheet, source), 200)
    ]
    wide = [row for row in rows if len(row) > 1]
    return len(wide) > 1 and any(isinstance(cell, int | float | dt.datetime | dt.time) for row in wide for cell in row)


def _texts(row: Sequence[object]) -> list[str]:
    return [plain_cell(cell).strip() for cell in row]


def _opened(path: Path, sheet: Any, declared: Layout, days: float) -> Opened:
    source = f"{path.name}, sheet {sheet.title}"
    head: list[tuple[int, tuple[object, ...]]] = []
    rows = enumerate(_rows(sheet, source), 1)
    for number, row in rows:
        if any(cell is not None and str(cell).strip() for cell in row):
            head.append((number, tuple(row)))
        if len(head) >= _LOOKED_AT:
            break
    if declared.skiprows is not None:
        head = [(number, row) for number, row in head if number > declared.skiprows]
    if not head:
        raise DataError(f"{source} is empty")
    grid = [_texts(row) for _, row in head]
    at = [number for number, _ in head]
    shape = shape_of(grid, at, (), declared, source)
    names = declared.column_names or shape.names
    data = head[shape.first_data :]
    dates = _dates(data, names)
    columns: dict[str, list[str]] = {}
    numeric: set[str] = set()
    for k, name in enumerate(names):
        cells = [row[k] if k < len(row) else None for _, row in data]
        # Numbers are what they are; only texts can tell the decimal sign in which texts are written.
        columns[name] = [plain_cell(_date(cell) if name in dates else cell).strip() for cell in cells]
        if not any(isinstance(cell, str) and cell.strip() for cell in cells):
            numeric.add(name)
    known = declared.over(Layout(skiprows=shape.skiprows, header=shape.header, sheet=sheet.title))
    texts = {
        name: [plain_cell(row[k]) if k < len(row) and isinstance(row[k], str) else "" for _, row in data]
        for k, name in enumerate(names)
    }
    known = _with_signs(Sample(names, shape.units, columns, source, typed=frozenset(numeric)), texts, known)
    notes = Notes()
    _uncalculated(path, sheet.title, head, notes)
    header = grid[shape.first_data - shape.header] if shape.header else []
    unit_row = grid[shape.first_data - 1] if shape.header == 2 else []
    chunks = _chunks(itertools.chain(data, rows), names, known, days, dates, source)
    return Opened(
        source,
        known,
        names,
        shape.units,
        _fitted(header, names),
        _fitted(unit_row, names),
        chunks,
        lambda: file_digest(path),
        notes,
        row="row",
    )


def _uncalculated(path: Path, title: str, head: Sequence[tuple[int, tuple[object, ...]]], notes: Notes) -> None:
    """Take note of formulas that no program has calculated: their cells read as empty."""
    import openpyxl

    if all(cell is not None for _, row in head for cell in row):
        return
    values = dict(head)
    book = openpyxl.load_workbook(path, read_only=True, data_only=False)
    try:
        for number, row in enumerate(_rows(book[title], path.name), 1):
            if number > head[-1][0]:
                break
            known = values.get(number, ())
            for k, cell in enumerate(row):
                if isinstance(cell, str) and cell.startswith("=") and (k >= len(known) or known[k] is None):
                    notes.add(_FORMULA, number, cell)
    finally:
        book.close()


def _with_signs(sample: Sample, texts: dict[str, list[str]], known: Layout) -> Layout:
    """Detect by all cells, but the decimal sign by those that are texts."""
    complete = detect_columns(sample, known if known.decimal else replace(known, decimal=".", thousands=""))
    stamps = {complete.time} if isinstance(complete.time, str) else set(complete.time or ())
    said = {name: [cell for cell in column if cell] for name, column in texts.items() if name not in stamps}
    decimal, thousands = detect_numbers(said, known.decimal, known.thousands, "", sample.source)
    return replace(complete, decimal=decimal or ".", thousands=thousands or "")


def _fitted(cells: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    if not cells:
        return ()
    plain = [" ".join(cell.split()) for cell in cells[: len(names)]]
    return (*plain, *[""] * (len(names) - len(plain)))


def _chunks(
    rows: Iterator[tuple[int, tuple[object, ...]]],
    names: Sequence[str],
    layout: Layout,
    days: float,
    dates: frozenset[str],
    source: str,
) -> Iterator[Chunk]:
    decimal = layout.decimal or "."
    stamps = {layout.time} if isinstance(layout.time, str) else set(layout.time or ())
    excel = layout.stamp_format == "excel"
    n = len(names)
    while batch := list(itertools.islice(rows, _ROWS)):
        kept: list[list[str]] = []
        lines: list[int] = []
        for number, row in batch:
            if not any(cell is not None and str(cell).strip() for cell in row):
                continue
            surplus = [cell for cell in row[n:] if cell is not None and str(cell).strip()]
            if surplus:
                raise DataError(
                    f'{source}, row {number}: "{plain_cell(surplus[0])}" stands to the right of the {n} columns'
                )
            cells: list[str] = []
            for name, cell in zip(names, (*row[:n], *[None] * (n - len(row))), strict=True):
                if isinstance(cell, int | float) and not isinstance(cell, bool):
                    number_text = plain_cell(cell + days if excel and name in stamps else cell)
                    cells.append(number_text if name in stamps else number_text.replace(".", decimal))
                elif isinstance(cell, dt.datetime | dt.date) and excel and name in stamps:
                    cells.append(plain_cell(_serial(cell)))
                else:
                    cells.append(plain_cell(_date(cell) if name in dates else cell))
            kept.append(cells)
            lines.append(number)
        if kept:
            columns = zip(*kept, strict=True)
            yield Chunk(
                pl.DataFrame([pl.Series(m, c, dtype=pl.String) for m, c in zip(names, columns, strict=True)]), lines
            )


def _dates(rows: Sequence[tuple[int, tuple[object, ...]]], names: Sequence[str]) -> frozenset[str]:
    """Return the columns that hold dates, where another one holds times of day: a cell knows a date as a midnight."""
    kinds: dict[str, set[bool | None]] = {}  # whether a date or a time of day, None for anything else
    for k, name in enumerate(names):
        cells = [row[k] for _, row in rows if k < len(row) and row[k] is not None]
        kinds[name] = {
            False if isinstance(cell, dt.time) else True if isinstance(_date(cell), dt.date) else None for cell in cells
        }
    if not any(kind == {False} for kind in kinds.values()):
        return frozenset()
    return frozenset(name for name, kind in kinds.items() if kind == {True})


def _date(cell: object) -> object:
    """Return a midnight as its date, anything else as it is."""
    if isinstance(cell, dt.datetime):
        return cell.date() if cell.time() == dt.time() else str(cell)
    return cell


def _serial(cell: dt.datetime | dt.date) -> float:
    """Return the days since 1900, as spreadsheets count them, of a stamp among bare numbers."""
    moment = cell if isinstance(cell, dt.datetime) else dt.datetime(cell.year, cell.month, cell.day)
    return (moment - dt.datetime(1899, 12, 30)) / dt.timedelta(days=1)
