"""Delimited text as columns of cells, and cells as numbers: never a wrong number, nothing lost in silence.

The csv module of the standard library does the splitting. A data-frame reader would be faster, but it guesses: it turns
a surplus separator into an index, pads short rows and takes "1_000" or "inf" for numbers. Here every cell stays a text
until `numbers` has judged it against one declared decimal sign.
"""

import csv
import hashlib
import io
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.flags import Flag, FlagArray

__all__ = ["MISREAD_FRACTION", "OTHER_DECIMAL", "Cells", "Numbers", "Table", "judge", "numbers", "read_table"]

type Cells = Sequence[object]

_NUMBER = {
    # No two repeats side by side: a cell of a hundred thousand digits and a letter would take a minute to refuse.
    ".": re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    ",": re.compile(r"[+-]?(?:[0-9]+(?:,[0-9]*)?|,[0-9]+)(?:[eE][+-]?[0-9]+)?"),
}
OTHER_DECIMAL = {".": re.compile(r"[+-]?[0-9]+,[0-9]+"), ",": re.compile(r"[+-]?[0-9]+\.[0-9]+")}
_PLAIN = re.compile(r"[0-9eE+\-. \n]*")  # with only these, float() accepts exactly what _NUMBER does
NOTHING = frozenset({"", "-", "--", "nan", "na", "n/a", "#n/a", "null", "none", "nat", "<na>"})
"""Texts, in lower case, that say that there is no value."""

BREAKS_OFF = " (the row breaks off here)"  # is added to a cell that may have lost its end

LIMIT = re.compile(r"(<=|>=|[<>≤≥])\s*(.*)", re.DOTALL)
"""A result beyond what was measured: "<0.05", ">= 100"; which signs mean below:"""
BELOW = frozenset({"<", "<=", "≤"})

# One cell in ten in the other notation is no typing error but the wrong decimal= option.
MISREAD_FRACTION = 0.1


@dataclass(frozen=True)
class Numbers:
    """A column as numbers.

    values: (n,) in the column's unit, NaN where the flag is not good. flags: (n,) good, missing (an empty cell, NaN)
    or bad (text, infinite). texts: the first bad cells, (row, text), rows counted from 0. censored: (n,) -1 for
    "<0.05", 1 for ">100", where the value is that limit, 0 else; None where nothing is censored.
    """

    values: Array
    flags: FlagArray
    texts: tuple[tuple[int, str], ...]
    censored: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class Table:
    """A log as columns of cells, before anything is taken for a number.

    columns: header -> cells (n_rows,). units: header -> text of the row of units, if the file has one. lines: (n_rows,)
    line of the file (or row of the frame) for messages, from 1. source: name for messages. sha256: of the file, or "".
    notes: what was skipped on reading.
    """

    columns: Mapping[str, Cells]
    units: Mapping[str, str]
    lines: Sequence[int]
    source: str
    sha256: str
    notes: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        """How many rows of data."""
        return len(self.lines)

    def __getitem__(self, name: str) -> Cells:
        """Return the cells of a column. Raises UnknownNameError with the nearest header."""
        if name not in self.columns:
            raise unknown_name(f"column of {self.source}", name, self.columns)
        return self.columns[name]

    def where(self, row: int) -> str:
        """Say which row is meant: "row 3 (line 5)"."""
        return f"row {row + 1} (line {self.lines[row]})" if self.sha256 else f"row {row + 1}"


def read_table(
    path: str | os.PathLike[str],
    *,
    separator: str = ",",
    decimal: str = ".",
    skiprows: int = 0,
    header: int = 1,
    column_names: Sequence[str] | None = None,
    encoding: str = "utf-8-sig",
) -> Table:
    """Read delimited text.

    skiprows: lines of preamble before the header. header: number of header lines: 1, 2 when the second one holds the
    units, 0 when there is none. column_names: names instead of those of the header; needed when there is none.
    Blank lines are skipped and counted.

    Raises DataError, naming the line, for a file without rows, a row longer than the header, a quoted cell that runs
    over several lines, a header of nothing but numbers, or bytes that are not in `encoding`.
    """
    _check_options(separator, decimal, skiprows, header)
    path = Path(path)
    content = path.read_bytes()
    text = _decode(content, encoding, path.name)
    rows, lines, notes = _split(text, separator, skiprows, path.name)
    if len(rows) < header:
        raise DataError(f"{path.name}: the file is empty" if not rows else f"{path.name}: the file has no header")
    names = [cell.strip() for cell in rows[0]] if header else []
    if header and names and all(_NUMBER[decimal].fullmatch(name) for name in names):
        raise DataError(
            f"{path.name}: the header (line {lines[0]}) holds only numbers, so it is a row of data; "
            "say header=0 and give column_names="
        )
    texts = [cell.strip() for cell in rows[1]] if header == 2 else []
    if column_names is not None:
        if header and len(column_names) != len(names):
            raise DataError(f"{path.name}: {len(column_names)} column_names for {len(names)} columns {names}")
        names = [str(name) for name in column_names]
    elif not header:
        raise DataError(f"{path.name}: a file without header needs column_names=")
    while names and names[-1] == "":  # a separator at the end of the header line
        names.pop()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f'{path.name}: two columns are called "{twice[0]}"; tell them apart with column_names=')
    rows, lines = rows[header:], lines[header:]
    if not rows:
        raise DataError(f"{path.name}: the file has a header and no rows of data")
    columns: dict[str, list[str]] = {name: [] for name in names}
    short: list[int] = []
    for row, line in zip(rows, lines, strict=True):
        if len(row) > len(names):
            surplus = [cell for cell in row[len(names) :] if cell.strip()]
            if surplus:
                hint = '; if the decimal sign is a comma, say separator=";" or export with another separator'
                raise DataError(
                    f"{path.name}, line {line}: {len(row)} cells for {len(names)} columns, the first surplus one is "
                    f'"{surplus[0]}"' + (hint if separator == "," else "")
                )
        elif len(row) < len(names):
            short.append(line)
        # A row that breaks off may break off inside a number: its last cell is not to be believed either.
        cells = row if len(row) >= len(names) else [*row[:-1], cut_off(row[-1])]
        for position, name in enumerate(names):
            columns[name].append(cells[position] if position < len(cells) else "")
    if short:
        notes.append(f"{len(short)} rows are too short, the first in line {short[0]}: their missing cells are empty")
    units = {name: text for name, text in zip(names, texts, strict=False) if text}
    return Table(columns, units, lines, path.name, hashlib.sha256(content).hexdigest(), tuple(notes))


def cut_off(cell: str) -> str:
    return cell + BREAKS_OFF if cell.strip() else cell


def _check_options(separator: str, decimal: str, skiprows: int, header: int) -> None:
    if decimal not in _NUMBER:
        raise DataError(f'decimal={decimal!r}: the decimal sign is "." or ","')
    if len(separator) != 1 or separator == decimal:
        raise DataError(f"separator={separator!r} with decimal={decimal!r}: give one character, not the decimal sign")
    if header not in (0, 1, 2):
        raise DataError(f"header={header!r}: the number of header lines is 0, 1, or 2 with a row of units")
    if skiprows < 0:
        raise DataError(f"skiprows={skiprows}: the number of lines before the header is not negative")


def _decode(content: bytes, encoding: str, source: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) and not encoding.lower().startswith("utf-16"):
        raise DataError(f'{source} is UTF-16; say encoding="utf-16"')
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(
            f'{source}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}; try encoding="cp1252"'
        ) from None
    except LookupError:
        raise DataError(f'encoding="{encoding}" is not known to Python; try "utf-8-sig" or "cp1252"') from None


def _split(text: str, separator: str, skiprows: int, source: str) -> tuple[list[list[str]], list[int], list[str]]:
    """Return the rows that hold anything, their line numbers (from 1) and notes."""
    body = list(io.StringIO(text, newline=""))  # not splitlines(): that also breaks at form feeds and U+0085
    rows: list[list[str]] = []
    lines: list[int] = []
    blank: list[int] = []
    reader = csv.reader(body[skiprows:], delimiter=separator, strict=True)
    before = 0
    try:
        for row in reader:
            line, before = skiprows + before + 1, reader.line_num
            if reader.line_num > line - skiprows and len(rows) > 0:
                raise DataError(f"{source}, line {line}: a quoted cell runs over several lines; is a quote unbalanced?")
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(line)
            else:
                blank.append(line)
    except csv.Error as error:
        raise DataError(f"{source}, line {skiprows + reader.line_num}: {error}") from None
    inside = [line for line in blank if lines and line < lines[-1]]
    return rows, lines, [f"{len(inside)} blank lines skipped, the first is line {inside[0]}"] if inside else []


def numbers(cells: Cells, table: Table, column: str, *, decimal: str = ".") -> Numbers:
    """Return a column as numbers, in its own unit.

    An empty cell, NaN, "NA", "null" and the like are missing; "<0.05" is censored, a good value with the side on which
    the true one lies; any other text, and a number too large for a float, is bad. Numeric arrays (of a data frame)
    pass as they are.

    Raises DataError, naming row and column, when no cell at all is a number, or when at least one cell in ten uses the
    other decimal sign.
    """
    fast = _fast(cells) if decimal == "." else None
    if fast is not None:
        finite = np.isfinite(fast)
        flags = np.where(finite, Flag.GOOD, np.where(np.isnan(fast), Flag.MISSING, Flag.BAD)).astype(np.int8)
        texts = tuple((int(i), str(fast[i])) for i in np.flatnonzero(flags == Flag.BAD)[:3])
        return Numbers(np.where(finite, fast, np.nan), flags, texts)
    values = np.full(len(cells), np.nan)
    flags = np.full(len(cells), Flag.MISSING, dtype=np.int8)
    bad: list[tuple[int, str]] = []
    foreign: list[int] = []
    censored: dict[int, int] = {}
    n_good = 0
    for row, cell in enumerate(cells):
        number, text = judge(cell, decimal)
        beyond = LIMIT.fullmatch(text)
        if number is None and beyond is not None:
            number, _ = judge(beyond[2], decimal)
            if number is not None:
                censored[row] = -1 if beyond[1] in BELOW else 1
        if number is not None:
            values[row] = number
            flags[row] = Flag.GOOD
            n_good += 1
        elif text:
            flags[row] = Flag.BAD
            bad.append((row, text))
            if OTHER_DECIMAL[decimal].fullmatch(text):
                foreign.append(row)
    if len(foreign) > MISREAD_FRACTION * (n_good + len(bad)):
        other = "," if decimal == "." else "."
        raise DataError(
            f'{table.source}, {table.where(foreign[0])}, column "{column}": "{str(cells[foreign[0]]).strip()}" is no '
            f'number with the decimal sign "{decimal}"; is it decimal="{other}"?'
        )
    if bad and not n_good:
        raise DataError(
            f'{table.source}, {table.where(bad[0][0])}, column "{column}": "{bad[0][1]}" is no number, and neither is '
            f"any other cell of the column" + ("; if it is a row of units, say header=2" if bad[0][0] == 0 else "")
        )
    sides: NDArray[np.int8] | None = None
    if censored:
        sides = np.zeros(len(cells), dtype=np.int8)
        sides[list(censored)] = list(censored.values())
    return Numbers(values, flags, tuple(bad[:3]), sides)


def _fast(cells: Cells) -> Array | None:
    """Return the cells as floats if that takes no judgement, else None."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "fiu":
        return cells.astype(np.float64)
    if not all(type(cell) is str for cell in cells):
        return None
    if not _PLAIN.fullmatch("\n".join(cells)):  # type: ignore[arg-type]
        return None
    try:
        return np.array([float(cell) for cell in cells])  # type: ignore[arg-type]
    except ValueError:  # an empty cell, "1 2", "1e"
        return None


def judge(cell: object, decimal: str) -> tuple[float | None, str]:
    """Judge one cell: (number, "") or (None, text); an empty text means that nothing was measured."""
    if cell is None:
        return None, ""
    if isinstance(cell, bool | np.bool_):
        return None, str(cell)
    if isinstance(cell, int | float | np.integer | np.floating):
        number = float(cell)
        if math.isnan(number):
            return None, ""
        return (number, "") if math.isfinite(number) else (None, str(cell))
    text = str(cell).strip()
    if text.lower() in NOTHING:
        return None, ""
    if not _NUMBER[decimal].fullmatch(text):
        return None, text
    number = float(text.replace(",", "."))
    return (number, "") if math.isfinite(number) else (None, text)
