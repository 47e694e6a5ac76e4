"""Lists that people keep beside a log: batches, phases, laboratory results; text files, workbooks and data frames.

They have tens to thousands of rows, so every cell is looked at one by one, and an error names its row and column.
"""

import csv
import datetime as dt
import hashlib
import io
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from physics_twin.errors import DataError, FileFormatError, UnitError, unknown_name
from physics_twin.measurements.clocks import Stamps
from physics_twin.measurements.logs.frames import Query, fetched_frame
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.stamps import detect_stamp_format, read_stamps
from physics_twin.measurements.logs.workbooks import DAMAGE
from physics_twin.measurements.table_experiments import table_of
from physics_twin.measurements.tables import NOTHING, Table, read_table
from physics_twin.units import unit as as_unit

__all__ = [
    "KeptList",
    "ZonelessError",
    "candidates",
    "column_for",
    "is_blank",
    "moments",
    "needed",
    "read_list",
    "text_of",
]

type Reading = dt.datetime | float | None
"""Of a cell: a stamp (with zone, or without and then local), s of elapsed time, or nothing."""

_SEPARATORS = (";", "\t", ",", "|")
_COMMA, _POINT = re.compile(r"[<>≤≥]?\s*[+-]?\d+,\d+"), re.compile(r"[<>≤≥]?\s*[+-]?\d+\.\d+")
# 1,234 may be one thousand and more, and so may 1.234: decimal signs and groups of thousands look alike.
_GROUPS = {sign: re.compile(rf"[<>≤≥]?\s*[+-]?[1-9]\d{{0,2}}(\{sign}\d{{3}})+") for sign in ",."}
# The zone in the header of a column: "Start UTC", "EndTimeUTC", "Start (UTC+01:00)".
_ZONED = re.compile(r"(?i)(?:utc|gmt)(?![a-z])(?:\s*([+\-−])\s*(\d{1,2})(?::?(\d\d))?)?")
_FIRST, _LAST = 1970, 2199  # 1899-12-30 and 9999-12-31 are how programs write "no date"
_EXCEL_ZERO = dt.datetime(1899, 12, 30)
_WORKBOOKS = (".xlsx", ".xlsm")


class ZonelessError(DataError):
    """A stamp of a list without a zone: `args[0]` says which; who called for the list may know where to say a zone."""

    def __str__(self) -> str:
        """Say what is missing and where to say it."""
        return f'{self.args[0]}; say zone="Europe/Berlin", or whichever the clock was in'


@dataclass(frozen=True)
class KeptList:
    """A list as read: its table, the decimal sign of its texts, and what stands between thousands ("" for nothing)."""

    table: Table
    decimal: str
    thousands: str = ""

    def number(self, cell: object) -> float | None:
        """Return a cell as a number, or None where it is none; "0042" is the name of something."""
        if self.thousands and isinstance(cell, str):
            grouped = rf"\s*[+-]?[1-9]\d{{0,2}}({re.escape(self.thousands)}\d{{3}})+(?!\d).*"
            if re.fullmatch(grouped, cell):
                cell = cell.replace(self.thousands, "")
        return _as_number(cell, self.decimal)

    def error(self, row: int, column: str, words: str) -> DataError:
        """Return the error for a cell: table, row and column, then the words."""
        return DataError(f'{self.table.source}, {self.table.where(row)}, column "{column}": {words}')

    def row(self, row: int) -> str:
        """Name a row with its table, for what comes out of it: "batches.xlsx, row 3 (line 4)"."""
        return f"{self.table.source}, {self.table.where(row)}"


def read_list(source: Any, layout: Layout | None = None) -> KeptList:
    """Read a list: the path of a text file or workbook, a pandas or polars data frame, or a query.

    layout: what is declared of encoding, separator, decimal, skiprows, header, column_names and sheet; the rest is
    detected. Raises DataError where that is ambiguous, FileFormatError for a workbook that cannot be opened.
    """
    layout = Layout() if layout is None else layout
    separator = ""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if not path.exists():
            raise FileNotFoundError(f"there is no file {path}")
        if path.suffix.lower() in _WORKBOOKS:
            table = _workbook(path, layout)
        else:
            table, separator = _text(path, layout)
    elif isinstance(source, pl.DataFrame):
        if not source.height:
            raise DataError("the frame has no rows")
        table = Table(source.to_dict(as_series=False), {}, range(1, source.height + 1), "frame", "", ())
    elif hasattr(source, "iloc"):
        table = table_of(source)
    elif isinstance(source, Query):
        frame, digest = fetched_frame(source)
        table = Table(frame.to_dict(as_series=False), {}, range(1, frame.height + 1), "the query", digest, ())
    else:
        raise DataError(f"a list is a path, a data frame or a Query, not {type(source).__name__}")
    return KeptList(table, layout.decimal or _decimal(table, separator, layout.thousands), layout.thousands or "")


def _text(path: Path, layout: Layout) -> tuple[Table, str]:
    """Return the table and its separator."""
    content = path.read_bytes()
    encoding = layout.encoding or _encoding(content)
    skiprows = layout.skiprows or 0
    separator = layout.separator or ""
    told = re.match(r'sep=([^"])\r?\n', content[:32].decode(encoding, errors="replace").lstrip("\ufeff"))
    if told is not None and layout.skiprows is None:  # how Excel is told the separator
        skiprows, separator = 1, separator or told.group(1)
    separator = separator or _separator(content, encoding, skiprows)
    table = read_table(
        path,
        separator=separator,
        decimal="." if separator == "," else layout.decimal or ".",
        skiprows=skiprows,
        header=1 if layout.header is None else layout.header,
        column_names=layout.column_names,
        encoding=encoding,
    )
    return table, separator


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _separator(content: bytes, encoding: str, skiprows: int) -> str:
    """Return the separator that cuts the header into most columns; remarks in the rows may hold all of them."""
    text = content.decode(encoding, errors="replace")
    lines = [line for line in io.StringIO(text).read().splitlines()[skiprows:] if line.strip()]
    if not lines:
        return ","
    counts = {one: len(next(csv.reader([lines[0]], delimiter=one))) for one in _SEPARATORS}
    return max(counts, key=lambda one: counts[one])


def _workbook(path: Path, layout: Layout) -> Table:
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    content = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of drop-down lists and styles that openpyxl does not keep
            book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
            written = openpyxl.load_workbook(io.BytesIO(content))
    except (InvalidFileException, *DAMAGE) as error:
        raise FileFormatError(f"{path.name} is no workbook that can be read, or is damaged: {error}") from error
    filled = {sheet.title: sheet for sheet in book.worksheets if sheet.max_row > 1}
    if layout.sheet is not None:
        if layout.sheet not in book.sheetnames:
            raise unknown_name(f"sheet of {path.name}", layout.sheet, book.sheetnames)
        sheet = book[layout.sheet]
    elif len(filled) == 1:
        sheet = next(iter(filled.values()))
    elif not filled:
        raise DataError(f"{path.name}: no sheet has rows of data")
    else:
        raise DataError(
            f"{path.name} has the sheets {', '.join(filled)}; say which: layout=Layout(sheet={next(iter(filled))!r})"
        )
    rows = [(k, list(row)) for k, row in enumerate(sheet.iter_rows(values_only=True), start=1)]
    for (k, row), formulas in zip(rows, written[sheet.title].iter_rows(values_only=True), strict=False):
        for cell, formula in zip(row, formulas, strict=False):
            if cell is None and isinstance(formula, str) and formula.startswith("="):
                raise DataError(
                    f"{path.name}[{sheet.title}], line {k}: no program has calculated the formula {formula}; open the "
                    "workbook and save it again"
                )
    return _sheet_table(path, sheet.title, rows[layout.skiprows or 0 :], layout, hashlib.sha256(content).hexdigest())


def _sheet_table(path: Path, sheet: str, rows: list[tuple[int, list[object]]], layout: Layout, sha256: str) -> Table:
    rows = [(line, row) for line, row in rows if any(not is_blank(cell) for cell in row)]
    source = f"{path.name}[{sheet}]"
    # A title above the table stands alone in its row.
    while rows and layout.skiprows is None and sum(not is_blank(cell) for cell in rows[0][1]) < 2 < len(rows[0][1]):
        rows = rows[1:]
    if len(rows) < 2:
        raise DataError(f"{source}: the sheet has a header and no rows of data")
    names = ["" if is_blank(cell) else " ".join(str(cell).split()) for cell in rows[0][1]]
    if layout.column_names is not None:
        if len(layout.column_names) != len(names):
            raise DataError(f"{source}: {len(layout.column_names)} column_names for {len(names)} columns {names}")
        names = list(layout.column_names)
    header = 1 if layout.header is None else layout.header
    if header == 0:
        if layout.column_names is None:
            raise DataError(f"{source}: a sheet without header needs column_names=")
        header = 0
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f'{source}: two columns are called "{twice[0]}"; tell them apart with column_names=')
    body = rows[header:]
    columns: dict[str, list[object]] = {}
    notes = []
    for position, name in enumerate(names):
        cells = [row[position] for _, row in body]
        if name:
            columns[name] = cells
        elif any(not is_blank(cell) for cell in cells):
            notes.append(f"column {position + 1} of {source} has no header and is not read")
    return Table(columns, {}, [line for line, _ in body], source, sha256, tuple(notes))


def is_blank(cell: object) -> bool:
    """Whether a cell says nothing: empty, a dash, NaN, NaT."""
    if cell is None or cell != cell:  # NaN, NaT
        return True
    return isinstance(cell, str) and cell.strip().lower() in NOTHING


def text_of(cell: object) -> str:
    """Return a cell as text; a whole number stays whole, as workbooks and frames turn 417 into 417.0."""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()


def _decimal(table: Table, separator: str, thousands: str | None) -> str:
    """Return the decimal sign that the texts of a list show. Raises DataError where they show both, or neither.

    separator: of a text; whoever separates by commas does not write decimals with them. thousands: declared, or None.
    """
    if thousands in (".", ","):
        return "," if thousands == "." else "."
    comma = point = either = None
    for name, cells in table.columns.items():
        for row, cell in enumerate(cells):
            if not isinstance(cell, str):
                continue
            text = cell.strip()
            if any(groups.fullmatch(text) for groups in _GROUPS.values()):
                either = either or (row, name, text)
            elif _POINT.fullmatch(text):
                point = point or (row, name, text)
            elif _COMMA.fullmatch(text):
                comma = comma or (row, name, text)
    if comma and point:
        raise DataError(
            f'{table.source}: "{comma[2]}" ({table.where(comma[0])}, column "{comma[1]}") and "{point[2]}" '
            f'({table.where(point[0])}, column "{point[1]}") are both decimal signs; say layout=Layout(decimal=",")'
        )
    if either:
        where = f'{table.source}, {table.where(either[0])}, column "{either[1]}": "{either[2]}"'
        sign = "," if "," in either[2] else "."
        other = "." if sign == "," else ","
        if not comma and not point and (separator != "," or sign == ","):
            raise DataError(
                f"{where} may be thousands or a decimal {'comma' if sign == ',' else 'point'}; say "
                f'layout=Layout(decimal="{sign}"), or layout=Layout(decimal="{other}", thousands="{sign}")'
            )
        if comma and sign == "." and thousands is None:
            raise DataError(
                f'{where} stands in a list with decimal commas ("{comma[2]}" in {table.where(comma[0])}); if the point '
                'stands between thousands, say layout=Layout(thousands="."); if such cells are no numbers, thousands=""'
            )
    return "," if comma else "."


_NUMBER = {
    ".": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?(\d+,?\d*|,\d+)([eE][+-]?\d+)?"),
}


def _as_number(cell: object, decimal: str) -> float | None:
    if isinstance(cell, bool | np.bool_):
        return None
    if isinstance(cell, int | float | np.integer | np.floating):
        return float(cell) if np.isfinite(cell) else None
    text = str(cell).strip()
    if not _NUMBER[decimal].fullmatch(text) or re.match(r"[+-]?0\d", text):
        return None
    number = float(text.replace(",", "."))
    return number if np.isfinite(number) else None


def column_for(table: Table, given: str | None, what: str, keyword: str, known: Iterable[str]) -> str | None:
    """Return the column that holds `what`: the one given, else the one whose header is among `known`, else None.

    Raises UnknownNameError for one that is not there, DataError, naming them, where two headers fit.
    """
    if given is not None:
        _ = table[given]
        return given
    names = frozenset(known)
    found = [name for name in table.columns if re.sub(r"[\W_]+", "", name.lower()) in names]
    if len(found) > 1:
        both = " and ".join(f'"{name}"' for name in found)
        raise DataError(
            f"{table.source}: the columns {both} may both hold {what}; say which in read_batches(..., {keyword}=)"
        )
    return found[0] if found else None


def needed(table: Table, column: str | None, what: str, keyword: str) -> str:
    """Return the column. Raises DataError, naming all columns and the keyword, where none was found."""
    if column is None:
        names = ", ".join(f'"{name}"' for name in table.columns)
        raise DataError(
            f"{table.source}: which column holds {what}? There are {names}; say it in read_batches(..., {keyword}=)"
        )
    return column


# Stamps --------------------------------------------------------------------------------------------------------------


def moments(
    kept: KeptList, column: str | tuple[str, str], *, zone: str | None, format: str | None
) -> list[dt.datetime | float | None]:
    """Return the cells of a column of stamps: with zone, or without one and then in `zone`; s; None for empty cells.

    column: one, or those of date and time of day; a header that says UTC ("Start UTC", "End (UTC+01:00)") knows its
    zone better than `zone`, which is that of the list. format: as `Layout.stamp_format`; without it, it is detected.

    Raises DataError, naming row and column, for a cell that is no stamp, a number of unknown kind, or a local stamp
    where `zone` is not given.
    """
    if zone is not None:
        Stamps("", zone)  # raises for a zone that does not exist
    name = column if isinstance(column, str) else " + ".join(column)
    own = _zone_of_header(name)
    cells = _joined(kept, column)
    texts = [(row, cell) for row, cell in enumerate(cells) if isinstance(cell, str)]
    found: list[dt.datetime | float | None] = [
        None if is_blank(cell) or isinstance(cell, str) else _from_object(kept, row, name, cell, format)
        for row, cell in enumerate(cells)
    ]
    for (row, text), stamp in zip(texts, _from_texts(kept, name, texts, format), strict=True):
        if stamp is None and not is_blank(text):
            like = "a stamp" if format is None else f"a stamp like {format}"
            raise kept.error(row, name, f'"{text}" is not {like}')
        found[row] = stamp
    for row, stamp in enumerate(found):
        if isinstance(stamp, dt.datetime) and not _FIRST <= stamp.year <= _LAST:
            raise kept.error(
                row, name, f"the year {stamp.year} is none of a plant's; leave the cell empty where nothing is known"
            )
        if isinstance(stamp, dt.datetime) and stamp.tzinfo is None and zone is None and own is None:
            raise ZonelessError(f'{kept.row(row)}, column "{name}": the stamp "{stamp}" has no zone')
        if isinstance(stamp, dt.datetime) and stamp.tzinfo is None and own is not None:
            found[row] = stamp.replace(tzinfo=own).astimezone(dt.UTC)
    return found


def _zone_of_header(name: str) -> dt.timezone | None:
    """Return the zone that the header of a column states: "Start UTC", "Start (UTC+01:00)"; None for none."""
    told = _ZONED.search(name)
    if told is None:
        return None
    if told[1] is None:
        return dt.UTC
    offset = dt.timedelta(hours=int(told[2]), minutes=int(told[3] or 0))
    return None if offset >= dt.timedelta(hours=24) else dt.timezone(offset if told[1] == "+" else -offset)


def _joined(kept: KeptList, column: str | tuple[str, str]) -> list[object]:
    if isinstance(column, str):
        return list(kept.table[column])
    both = zip(kept.table[column[0]], kept.table[column[1]], strict=True)
    return [None if is_blank(date) else f"{_date_text(date)} {_time_text(time)}".strip() for date, time in both]


def _date_text(cell: object) -> str:
    return cell.strftime("%Y-%m-%d") if isinstance(cell, dt.date) else str(cell).strip()


def _time_text(cell: object) -> str:
    if is_blank(cell):
        return ""
    return cell.strftime("%H:%M:%S") if isinstance(cell, dt.datetime | dt.time) else str(cell).strip()


def _from_object(kept: KeptList, row: int, name: str, cell: object, format: str | None) -> dt.datetime | float:
    if isinstance(cell, np.datetime64):
        cell = cell.astype("datetime64[us]").item()
    if isinstance(cell, dt.datetime):  # a pandas Timestamp is one as well
        return dt.datetime.combine(cell.date(), cell.timetz())
    if isinstance(cell, dt.date):
        return dt.datetime.combine(cell, dt.time())
    number = kept.number(cell)
    if number is None:
        raise kept.error(row, name, f"{cell!r} is no stamp")
    return _from_number(kept, row, name, number, format)


def _from_number(kept: KeptList, row: int, name: str, number: float, format: str | None) -> dt.datetime | float:
    try:
        if format == "excel":
            return _EXCEL_ZERO + dt.timedelta(milliseconds=round(number * 86_400_000.0))
        if format in ("unix s", "unix ms"):
            return dt.datetime.fromtimestamp(number / (1e3 if format == "unix ms" else 1.0), dt.UTC)
    except (OverflowError, OSError, ValueError):
        raise kept.error(row, name, f"{number:g} is no stamp in {format}") from None
    if format is not None:
        try:
            unit = as_unit(format)
        except UnitError:
            unit = as_unit("1")
        if unit.dimension == as_unit("s").dimension:
            return float(unit.to_si(number))
    raise kept.error(
        row, name, f'{number:g} is a number; say format="s" (or "min", "h") for elapsed time, "excel" or "unix s"'
    )


def _from_texts(
    kept: KeptList, name: str, texts: Sequence[tuple[int, str]], format: str | None
) -> list[dt.datetime | float | None]:
    shown = [(row, text.strip()) for row, text in texts if not is_blank(text)]
    if not shown:
        return [None] * len(texts)
    numbers = [kept.number(text) for _, text in shown]
    digits = format is None and all(text.isdigit() and len(text) >= 12 for _, text in shown)  # 20261120070000
    if all(number is not None for number in numbers) and not digits and (format is None or "%" not in format):
        parsed = {
            row: _from_number(kept, row, name, cast(float, number), format)
            for (row, _), number in zip(shown, numbers, strict=True)
        }
        return [parsed.get(row) for row, _ in texts]
    if format is None:
        try:
            format = detect_stamp_format([text for _, text in shown], header=name)
        except DataError as error:
            raise DataError(
                f'{kept.table.source}, {kept.table.where(shown[0][0])}, column "{name}": {error}; '
                'here it is format="%d.%m.%Y %H:%M" or the like'
            ) from None
    read = read_stamps(pl.Series(name, [text for _, text in shown], dtype=pl.String), format=format)
    stamps: dict[int, dt.datetime] = {}
    for k, (row, _) in enumerate(shown):
        if read.ok[k]:
            stamp = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=int(read.local_us[k]))
            stamps[row] = stamp.replace(tzinfo=dt.UTC) if read.offset_known[k] else stamp
    return [stamps.get(row) for row, _ in texts]


def candidates(stamp: dt.datetime, zone: str | None) -> tuple[dt.datetime, ...]:
    """Return what a stamp may mean in UTC: none in the hour that is skipped, two in the one that is repeated."""
    if stamp.tzinfo is not None:
        return (stamp.astimezone(dt.UTC),)
    import zoneinfo

    local = zoneinfo.ZoneInfo(str(zone))
    early, late = (stamp.replace(tzinfo=local, fold=fold).astimezone(dt.UTC) for fold in (0, 1))
    if early > late:  # PEP 495: in a gap the offset of fold 0 is the one before, so its moment is the later one
        return ()
    return (early,) if early == late else (early, late)
