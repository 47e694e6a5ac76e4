"""Where the table of an export begins: its preamble, header and row of units, and what headers say of columns."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from physics_twin.errors import DataError
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.tags.export_units import read_unit
from physics_twin.units import unit as as_unit

__all__ = [
    "LONGEST_NAME",
    "NUMBER",
    "QUALITY_NAME",
    "STAMP_LIKE",
    "TIME_NAME",
    "Shape",
    "bare_unit",
    "bracketed_unit",
    "column_names",
    "is_data_row",
    "is_unit",
    "shape_of",
]

LONGEST_NAME, _LONGEST_UNIT = 300, 20  # characters
TIME_NAME = re.compile(
    r"(?i)(?:^|[\W_])(?:time|times|timestamp|date|datetime|datum|zeit|uhrzeit|zeitstempel|stamp|ts|t|utc|fecha|hora|"
    r"heure|temps|horodate|elapsed)(?:$|[\W_])|time|zeit"
)
QUALITY_NAME = re.compile(
    r"(?i)^(?:quality|qual|q|status|opc ?_?quality|quality ?_?code|statuscode|status ?code|confidence|"
    r"qualität|qualitaet|güte|good)$"
)
# Two numbers with a sign of dates or times between them: worth asking what kind of stamp it is.
# Blanks are bounded: a cell of a million of them must not take the square of its length.
STAMP_LIKE = re.compile(
    r"(?i)\d{1,4}\s{0,2}[-./:\s]\s{0,2}(?:\d{1,2}|[a-zäéû]{3,9}\.?)\s{0,2}[-./:\sT]\s{0,2}\d.{0,60}|"
    r"(?:19|20)\d{10}(?:\d\d)?"
)
NUMBER = re.compile(r"[-+−]?\d[\d.,'’\u00a0\u202f ]*(?:[eE][+-]?\d+)?|[-+−]?[.,]\d+(?:[eE][+-]?\d+)?")
_NO_UNIT = ("-", "--", "1")
_LIKE_TAG = re.compile(r"[A-Z]{1,5}[-_]?\d+[A-Z]?")
_BRACKETS = re.compile(r"^(.*\S)\s*[\[(]\s*([^\[\]()]*(?:\([^()]*\))?)\s*[\])]$")


@dataclass(frozen=True)
class Shape:
    """Where a table begins. skiprows: lines before the header. first_data: index among the rows that hold anything."""

    names: tuple[str, ...]
    units: Mapping[str, str]
    skiprows: int
    header: int
    first_data: int


def shape_of(
    rows: Sequence[Sequence[str]], at: Sequence[int], body: Sequence[Sequence[str]], declared: Layout, source: str
) -> Shape:
    """Tell preamble, header, row of units and data apart."""
    skip, header = declared.skiprows, declared.header
    if skip is not None and header is not None:
        return _make(rows, skip, header, 0, declared, at, source)
    first = _first_data(rows, at, body, source)
    if header == 0 or (header is None and first == 0 and declared.column_names is not None):
        return _make(rows, (at[first] - 1) if skip is None else skip, 0, first, declared, at, source)
    if skip is not None:  # the first row that is left is the header
        n = header or (2 if first >= 2 and _is_units(rows[1], rows[0]) else 1)
        return _make(rows, skip, n, 0, declared, at, source)
    if first == 0:
        raise DataError(
            f"{source}: the first row (line {at[0]}) is data, so there is no header; name the columns, "
            'layout=Layout(header=0, column_names=("time", "TI-101"))'
        )
    width = len(_bare(rows[first]))
    candidates = [k for k in range(first) if len(_bare(rows[k])) >= min(2, width) and all(_bare(rows[k])[1:])]
    widest = max((len(_bare(rows[k])) for k in candidates), default=0)
    candidates = [k for k in candidates if len(_bare(rows[k])) in (width, widest)]
    named = [k for k in candidates if not any(_is_number(cell) for cell in rows[k])]
    candidates = named or candidates
    if header == 2:
        candidates = [k for k in candidates if k < first - 1] or candidates
    names = [k for k in candidates if not (k > 0 and _is_units(rows[k], rows[k - 1]))]
    if len(names) > 1:  # preamble, names, descriptions: which is which?
        timely = [k for k in names if any(TIME_NAME.search(cell) for cell in rows[k])]
        exact = [k for k in timely if len(_bare(rows[k])) == width]
        names = exact if len(exact) == 1 else timely if len(timely) == 1 else names
    if not names and first == 1:
        names = [0]
    if len(names) != 1:
        where = " and ".join(str(at[k]) for k in names[:3]) or f"1 to {at[first] - 1}"
        raise DataError(
            f"{source}: lines {where} may hold the header; say which, layout=Layout(skiprows={at[first] - 2}, header=1)"
        )
    k = names[0]
    column = next((i for i, cell in enumerate(rows[first]) if STAMP_LIKE.fullmatch(cell)), None)
    above = [j for j in range(k) if column is not None and STAMP_LIKE.fullmatch("".join(rows[j][column : column + 1]))]
    if len(above) > 1:  # a preamble may hold a stamp; several rows of them are data
        raise DataError(
            f"{source}, line {at[k]}: a header begins here, and from line {at[above[0]]} on rows of data stand above "
            f"it; split the file there, or say layout=Layout(skiprows={at[k] - 1}) if they are a preamble"
        )
    n = header or (2 if k + 1 < first and _is_units(rows[k + 1], rows[k]) else 1)
    start = at[k - 1] if k else (at[0] - 1 if not any("\n" in cell for cell in rows[0]) else 0)
    return _make(rows, start, n, k, declared, at, source)


def _make(
    rows: Sequence[Sequence[str]],
    skiprows: int,
    header: int,
    k: int,
    declared: Layout,
    at: Sequence[int],
    source: str,
) -> Shape:
    if len(rows) < k + header:
        raise DataError(f"{source}: the file has no header of {header} lines")
    if header == 0:
        if declared.column_names is None:
            raise DataError(f"{source}: a file without header needs layout=Layout(column_names=...)")
        return Shape(declared.column_names, {}, skiprows, 0, k)
    if declared.column_names is None:
        names = column_names(rows[k], source, at[k])
    else:
        names = declared.column_names
        if len(names) != len(_bare(rows[k])):
            raise DataError(f"{source}: {len(names)} column_names for {len(_bare(rows[k]))} columns {_bare(rows[k])}")
    units: dict[str, str] = {}
    if header == 2:
        units = {name: bare_unit(text) for name, text in zip(names, rows[k + 1], strict=False) if text.strip()}
    return Shape(names, units, skiprows, header, k + header)


def column_names(cells: Sequence[str], source: str, line: int) -> tuple[str, ...]:
    """Return the headers: blanks and line ends within them are one blank, surplus separators at the end are dropped.

    A column of quality codes that is called just so belongs to the column before it. Raises DataError for two columns
    of one name.
    """
    names = [" ".join(cell.replace("\ufeff", "").split()) for cell in cells]
    while names and not names[-1]:
        names.pop()
    counts = Counter(names)
    for k, name in enumerate(names):
        if not name:
            names[k] = f"column {k + 1}"
        elif counts[name] > 1 and k and QUALITY_NAME.match(name):
            names[k] = f"{names[k - 1]} {name}"
    twice = sorted(name for name, n in Counter(names).items() if n > 1)
    if twice:
        raise DataError(
            f'{source}, line {line}: two columns are called "{twice[0]}"; tell them apart with '
            "layout=Layout(column_names=...)"
        )
    return tuple(names)


def _bare(row: Sequence[str]) -> list[str]:
    cells = list(row)
    while cells and not cells[-1]:
        cells.pop()
    return cells


def is_data_row(row: Sequence[str]) -> bool:
    """Whether a row holds a stamp, or numbers and nothing that looks like a word in front."""
    if any(STAMP_LIKE.fullmatch(cell) for cell in row):
        return len(row) > 1
    filled = [cell for cell in row if cell]
    n = sum(map(_is_number, filled))
    return n > 1 or (n == 1 and len(row) > 1 and _is_number(filled[0]) and len(filled) < 3)


def _first_data(rows: Sequence[Sequence[str]], at: Sequence[int], body: Sequence[Sequence[str]], source: str) -> int:
    """Return the first row of data: from it on rows are as wide as most of the file, and hold stamps or numbers."""
    tail = [row for row in [*rows[len(rows) // 2 :], *body] if is_data_row(row)]
    if not tail:
        tail = [row for row in rows if is_data_row(row)]
    if not tail:
        raise DataError(
            f"{source}: there are no rows of data (a stamp or a time, then values) in lines 1 to {at[-1]}; if there "
            "are, say layout=Layout(skiprows=0, header=1, time=..., stamp_format=...)"
        )
    width = Counter(len(row) for row in tail).most_common(1)[0][0]
    where = Counter(k for row in tail for k, cell in enumerate(row) if STAMP_LIKE.fullmatch(cell))
    column = where.most_common(1)[0] if where else (0, 0)
    stamped = column[1] > len(tail) / 2
    bare = Counter(len(_bare(row)) for row in tail).most_common(1)[0][0]

    def is_data(row: Sequence[str]) -> bool:
        if not is_data_row(row):
            return False
        return not stamped or (len(row) > column[0] and bool(STAMP_LIKE.fullmatch(row[column[0]])))

    for k, row in enumerate(rows):
        # A preamble line such as "20.11.2026 07:00;printed by" stands alone: data go on, or the header comes again.
        if (
            len(row) in (width, bare)
            and is_data(row)
            and (k + 1 == len(rows) or is_data(rows[k + 1]) or rows[k + 1] in rows[:k])
        ):
            return k
    return next(
        (k for k, row in enumerate(rows) if is_data(row)), next(k for k, row in enumerate(rows) if is_data_row(row))
    )


def _is_units(row: Sequence[str], above: Sequence[str]) -> bool:
    """Whether a row holds units for the names above it.

    "1" is a unit, and a reading as well: a row with nothing else has to have a unit of time, too. With an empty or an
    unreadable stamp it is data, which is kept and flagged; a row of units taken for data loses nothing.
    """
    filled = [cell for cell in row[1:] if cell]
    if not filled or len(_bare(row)) > len(_bare(above)) or _names_time(row[0]):
        return False
    if any(STAMP_LIKE.fullmatch(cell) for cell in row) or any(_is_number(cell) and cell != "1" for cell in row):
        return False
    if "1" in filled and all(cell in _NO_UNIT for cell in filled):
        return _is_unit_of_time(bare_unit(row[0]))
    good = sum(is_unit(bare_unit(cell)) for cell in filled)
    return good * 2 > len(filled)


def _is_unit_of_time(text: str) -> bool:
    own = read_unit(text).unit if text != "1" and is_unit(text) else None
    return own is not None and own.dimension == as_unit("s").dimension


def _names_time(cell: str) -> bool:
    return bool(TIME_NAME.fullmatch(cell)) and bare_unit(cell) == cell and cell.upper() not in ("UTC", "GMT")


def bare_unit(text: str) -> str:
    """Return a unit without the brackets around it."""
    text = text.strip()
    if len(text) > 1 and text[0] + text[-1] in ("[]", "()"):
        return text[1:-1].strip()
    return text


def is_unit(text: str) -> bool:
    """Whether a text is a unit, or a sign for none."""
    if text in _NO_UNIT:
        return True
    if len(text) > _LONGEST_UNIT or _LIKE_TAG.fullmatch(text):  # T1 is no tesla
        return False
    if not text:
        return False
    read = read_unit(text)
    return read.unit is not None or read.likely is not None


def bracketed_unit(name: str) -> str:
    """Return the unit in a header: "T1 [°C]" -> "°C"; "" if there is none."""
    found = _BRACKETS.match(name) if len(name) <= LONGEST_NAME else None
    if not found:
        return ""
    text = found[2].strip()
    return text if is_unit(text) else ""


def _is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell))
