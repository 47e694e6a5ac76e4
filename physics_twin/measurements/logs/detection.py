"""What an export's first rows say about its format; what they leave open is asked for, never guessed.

A wrong decimal sign makes 12.345 out of 12345, a wrong order of day and month moves a batch by half a year, and neither
raises an alarm later. So each step takes only what a single reading of the cells allows.
"""

import codecs
import csv
import io
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from physics_twin.errors import DataError, PhysicsTwinError, unknown_name
from physics_twin.measurements.logs.layout import Layout, LongForm, WideForm
from physics_twin.measurements.logs.stamps import detect_stamp_format, read_stamps
from physics_twin.units import unit as as_unit

__all__ = [
    "Sample",
    "bare_unit",
    "bracketed_unit",
    "column_names",
    "declared_columns",
    "detect",
    "detect_columns",
    "detect_numbers",
    "detect_text",
    "in_utc",
    "look",
    "shape_of",
]

_HEAD = 1 << 18  # bytes that are looked at first
_PLACES = 3  # further places in the file that are looked at ...
_PLACE = 1 << 14  # ... and their bytes
_MOST = 0.8  # a column is of stamps if so many of its cells are: logs have dirt
_LONGEST_NAME, _LONGEST_UNIT = 300, 20  # characters
_MOST_ROWS = 3000  # of the first ones; more of them tell nothing new
_BROKEN = 8  # lines that a header may be broken over
_MISREAD = 0.1  # one number in ten that looks grouped is no slip
_ASKED = 200  # stamps that are looked at one by one where they do not all have one format
_SEPARATORS = ("\t", ";", "|", ",")  # in this order: a comma may also be a decimal sign
_THOUSANDS = " '’\u00a0\u202f"

_TIME = re.compile(
    r"(?i)(?:^|[\W_])(?:time|times|timestamp|date|datetime|datum|zeit|uhrzeit|zeitstempel|stamp|ts|t|utc|fecha|hora|"
    r"heure|temps|horodate|elapsed)(?:$|[\W_])|time|zeit"
)
_UTC = re.compile(r"(?i)(?:^|[\W_])(?:utc|gmt|zulu)(?![\w]|\s{0,2}[-+±]\s{0,2}\d)")
_TAG = re.compile(
    r"(?i)^(?:tag|tags|tag ?_?names?|name|point|point ?_?(?:id|name)|variable|signal|sensor|channel|item|item ?id|"
    r"parameter|messstelle|messstellenname|kanal|attribute)$"
)
_VALUE = re.compile(r"(?i)^(?:value|values|val|wert|werte|messwert|reading|result|valeur|valor|process ?value|pv)$")
_QUALITY = re.compile(
    r"(?i)^(?:quality|qual|q|status|opc ?_?quality|quality ?_?code|statuscode|status ?code|confidence|"
    r"qualität|qualitaet|güte|good)$"
)
_UNIT = re.compile(r"(?i)^(?:units?|uom|einheit|eu|eng(?:ineering)? ?_?units?|unité|unidad)$")
_PAIRED = re.compile(r"(?i)^(.*?)[ ._/:-]*(?:quality|qual|opc ?quality|quality ?code|status ?code)$")
# Two numbers with a sign of dates or times between them: worth asking what kind of stamp it is.
# Blanks are bounded: a cell of a million of them must not take the square of its length.
_STAMP_LIKE = re.compile(
    r"(?i)\d{1,4}\s{0,2}[-./:\s]\s{0,2}(?:\d{1,2}|[a-zäéû]{3,9}\.?)\s{0,2}[-./:\sT]\s{0,2}\d.{0,60}|"
    r"(?:19|20)\d{10}(?:\d\d)?"
)
_DATE = re.compile(r"\d{1,4}[-./](?:\d{1,2}|[A-Za-z]{3})[-./]\d{1,4}")
_CLOCK = re.compile(r"(?i)\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s{0,2}[ap]m)?")
_DIGITS = re.compile(r"\d{10,13}(?:\.\d+)?")
_NUMBER = re.compile(r"[-+−]?\d[\d.,'’\u00a0\u202f ]*(?:[eE][+-]?\d+)?|[-+−]?[.,]\d+(?:[eE][+-]?\d+)?")
_ELAPSED_UNITS = ("us", "ms", "s", "min", "h", "d")
_LIKE_TAG = re.compile(r"[A-Z]{1,5}[-_]?\d+[A-Z]?")
_BRACKETS = re.compile(r"^(.*\S)\s*[\[(]\s*([^\[\]()]*(?:\([^()]*\))?)\s*[\])]$")
_ELAPSED = re.compile(r"^(.+?)(?:\s*/\s*|_)(us|ms|s|sec|min|h|hr|d)$")


@dataclass(frozen=True)
class Sample:
    """Rows from the beginning of an export and from places further on, to tell its format from.

    names: headers. units: header -> text of the row of units. columns: header -> cells as texts. separator: of a text
    file, "" for workbooks and frames. typed: columns that are numbers by their type.
    """

    names: tuple[str, ...]
    units: Mapping[str, str]
    columns: Mapping[str, Sequence[str]]
    source: str
    separator: str = ""
    typed: frozenset[str] = frozenset()


def detect(source: str | os.PathLike[str] | bytes, declared: Layout | None = None) -> Layout:
    """Return the layout of delimited text with what is not declared filled in from its content.

    Raises DataError that says what to declare where the content allows two readings.
    """
    if isinstance(source, bytes):
        return detect_text(source, (), declared or Layout(), "the text")
    path = Path(source)
    with path.open("rb") as file:
        head, further = look(file, path.stat().st_size)
    return detect_text(head, further, declared or Layout(), path.name)


def look(file: object, size: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the first bytes of a file that can seek, and pieces from further on."""
    read, seek = file.read, file.seek  # type: ignore[attr-defined]
    head: bytes = read(_HEAD)
    further: list[bytes] = []
    for k in range(1, _PLACES + 1):
        at = size * k // _PLACES if k < _PLACES else max(size - _PLACE, len(head))
        if len(head) <= at < size:
            seek(at - at % 4)
            further.append(read(_PLACE))
    return head, tuple(further)


def detect_text(head: bytes, further: Sequence[bytes], declared: Layout, source: str) -> Layout:
    """Return the layout of a text from its first bytes and, of a large one, from pieces further on.

    Raises DataError.
    """
    _not_text(head, source)
    encoding = declared.encoding or _encoding(head, further)
    text = _decoded(head, encoding, source)
    inside = encoding.replace("-sig", "")
    if inside.lower().replace("_", "-") == "utf-16":  # a piece from the middle has no byte order mark
        inside = "utf-16-be" if head.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    pieces = [_decoded(piece, inside, source) for piece in further]
    whole = not further
    lines = text.split("\n")
    if not whole and len(lines) > 1:
        lines.pop()  # it may go on
    del lines[_MOST_ROWS + (declared.skiprows or 0) :]
    announced = re.fullmatch(r"(?i)sep=(.)", lines[0].strip(" \r")) if lines else None
    if declared.separator is not None:
        separator = declared.separator
    elif announced:
        separator = announced[1]
    else:
        separator = _separator(lines[declared.skiprows or 0 :], declared, source)
    # The decimal sign may separate as well: "21,5" in quotes. Without quotes the rows are longer than the header.
    if len(separator) != 1 or separator in '"\r\n':
        raise DataError(f"separator={separator!r}: one character, no quote and no end of line")
    rows, at = _grid(lines, separator)
    if announced and rows and declared.skiprows is None:
        rows, at = rows[1:], at[1:]
    if declared.skiprows is not None:
        keep = [k for k, line in enumerate(at) if line > declared.skiprows]
        rows, at = [rows[k] for k in keep], [at[k] for k in keep]
    if not rows:
        raise DataError(f"{source}: the file is empty" if not text.strip("\0\r\n \ufeff") else f"{source}: no rows")
    body = [row for piece in pieces for row in _grid(piece.split("\n")[1:-1], separator)[0]]
    shape = shape_of(rows, at, body, declared, source)
    data = [*rows[shape.first_data :], *body]
    data = [row for row in data if _is_data(row)] or data  # headers that come again and footers show nothing
    stamped = [row for row in data if any(_STAMP_LIKE.fullmatch(cell) for cell in row)]
    data = stamped if 2 * len(stamped) > len(data) else data  # and neither do rows of means and sums
    names = declared.column_names or shape.names
    columns = {name: [row[k].strip() if k < len(row) else "" for row in data] for k, name in enumerate(names) if name}
    sample = Sample(tuple(names), shape.units, columns, source, separator)
    found = Layout(encoding=encoding, separator=separator, skiprows=shape.skiprows, header=shape.header)
    return detect_columns(sample, declared.over(found))


def _not_text(head: bytes, source: str) -> None:
    for magic, what in (
        (b"PK\x03\x04", "a zip archive or a workbook; give it its suffix .xlsx, or unpack it"),
        (b"\x89PNG", "a picture"),
        (b"\xff\xd8\xff", "a picture"),
        (b"%PDF", "a PDF"),
        (b"PAR1", "Parquet; give it its suffix .parquet"),
        (b"\x1f\x8b", "compressed; give it its suffix .gz"),
        (b"\xd0\xcf\x11\xe0", "an old workbook (.xls); save it as .xlsx or .csv"),
    ):
        if head.startswith(magic):
            raise DataError(f"{source} is no delimited text: it is {what}")
    start = head[:1024].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<table")):
        raise DataError(f"{source} is a web page or XML, no delimited text; export it again as CSV")
    if start.startswith((b"{", b"[{")):
        raise DataError(f"{source} is JSON, no delimited text; export it again as CSV")


def _encoding(head: bytes, further: Sequence[bytes]) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    sample = head[:4096].rstrip(b"\0")
    if len(sample) > 3 and b"\0" in sample:
        # ASCII in UTF-16 is every other byte a NUL.
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        half = len(sample) // 2
        if odd > 0.8 * half and even < 0.1 * half:
            return "utf-16-le"
        if even > 0.8 * half and odd < 0.1 * half:
            return "utf-16-be"
    for piece in (head, *further):
        try:
            # A piece from the middle may begin within a character.
            codecs.utf_8_decode(piece if piece is head else piece.lstrip(bytes(range(0x80, 0xC0))), "strict", False)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _decoded(content: bytes, encoding: str, source: str) -> str:
    try:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(content)
    except LookupError:
        raise DataError(f'encoding="{encoding}" is not known to Python; try "utf-8-sig" or "cp1252"') from None
    except UnicodeError as error:  # UTF-16 without a byte order mark
        raise DataError(
            f'{source}: the bytes are not {encoding} ({error}); say encoding="utf-16-le" or "utf-8-sig"'
        ) from None
    return text.removeprefix("\ufeff").rstrip("\0").replace("\r\n", "\n").replace("\r", "\n")


def _grid(lines: Sequence[str], separator: str) -> tuple[list[list[str]], list[int]]:
    """Return rows that hold anything and the line each ends in, forgiving: errors are the reader's to raise."""
    rows: list[list[str]] = []
    at: list[int] = []
    k = 0
    while k < len(lines):
        line, last = lines[k], k
        if '"' not in line:
            k += 1
            cells = line.replace("\ufeff", "").split(separator)
            if any(not cell.isspace() for cell in cells if cell):
                rows.append([cell.strip() for cell in cells])
                at.append(k)
            continue
        # A header may be broken within a cell. A quote that nothing closes must not swallow the rows after it.
        while line.count('"') % 2 and last + 1 < min(len(lines), k + _BROKEN):
            last += 1
            line += "\n" + lines[last]
        if line.count('"') % 2:
            line, last = lines[k].replace('"', ""), k
        k = last + 1
        try:
            row = next(csv.reader(io.StringIO(line, newline=""), delimiter=separator), [])
        except csv.Error:
            continue
        if any(cell.strip() for cell in row):
            rows.append([cell.replace("\ufeff", "").strip() for cell in row])
            at.append(k)
    return rows, at


def _separator(lines: Sequence[str], declared: Layout, source: str) -> str:
    """Return the separator that all rows of data have equally often."""
    sample = [line for line in lines if line.strip()][:2000]
    if len(sample) > 50:  # the preamble is short, so the second half is data
        sample = sample[len(sample) // 2 :]
    best: list[tuple[float, str]] = []
    for separator in _SEPARATORS:
        if separator == declared.decimal:
            continue
        rows, _ = _grid(sample, separator)
        widths = Counter(len(row) for row in rows)
        if not rows:
            continue
        width, n = max(widths.items(), key=lambda item: (item[0] > 1, item[1], item[0]))
        if width > 1:
            best.append((n / len(rows), separator))
    good = [separator for share, separator in best if share >= 0.5]
    if good:
        return good[0]
    if best:
        return max(best)[1]
    if not sample:
        raise DataError(f"{source}: the file is empty")
    raise DataError(
        f'{source}: no separator found ("{sample[-1][:60]}"); say layout=Layout(separator=";") or whichever it is'
    )


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
        timely = [k for k in names if any(_TIME.search(cell) for cell in rows[k])]
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
    column = next((i for i, cell in enumerate(rows[first]) if _STAMP_LIKE.fullmatch(cell)), None)
    above = [j for j in range(k) if column is not None and _STAMP_LIKE.fullmatch("".join(rows[j][column : column + 1]))]
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
        elif counts[name] > 1 and k and _QUALITY.match(name):
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


def _is_data(row: Sequence[str]) -> bool:
    """Whether a row holds a stamp, or numbers and nothing that looks like a word in front."""
    if any(_STAMP_LIKE.fullmatch(cell) for cell in row):
        return len(row) > 1
    filled = [cell for cell in row if cell]
    n = sum(map(_is_number, filled))
    return n > 1 or (n == 1 and len(row) > 1 and _is_number(filled[0]) and len(filled) < 3)


def _first_data(rows: Sequence[Sequence[str]], at: Sequence[int], body: Sequence[Sequence[str]], source: str) -> int:
    """Return the first row of data: from it on rows are as wide as most of the file, and hold stamps or numbers."""
    tail = [row for row in [*rows[len(rows) // 2 :], *body] if _is_data(row)]
    if not tail:
        tail = [row for row in rows if _is_data(row)]
    if not tail:
        raise DataError(
            f"{source}: there are no rows of data (a stamp or a time, then values) in lines 1 to {at[-1]}; if there "
            "are, say layout=Layout(skiprows=0, header=1, time=..., stamp_format=...)"
        )
    width = Counter(len(row) for row in tail).most_common(1)[0][0]
    where = Counter(k for row in tail for k, cell in enumerate(row) if _STAMP_LIKE.fullmatch(cell))
    column = where.most_common(1)[0] if where else (0, 0)
    stamped = column[1] > len(tail) / 2
    bare = Counter(len(_bare(row)) for row in tail).most_common(1)[0][0]

    def is_data(row: Sequence[str]) -> bool:
        if not _is_data(row):
            return False
        return not stamped or (len(row) > column[0] and bool(_STAMP_LIKE.fullmatch(row[column[0]])))

    for k, row in enumerate(rows):
        # A preamble line such as "20.11.2026 07:00;printed by" stands alone: data go on, or the header comes again.
        if (
            len(row) in (width, bare)
            and is_data(row)
            and (k + 1 == len(rows) or is_data(rows[k + 1]) or rows[k + 1] in rows[:k])
        ):
            return k
    return next(
        (k for k, row in enumerate(rows) if is_data(row)), next(k for k, row in enumerate(rows) if _is_data(row))
    )


def _is_units(row: Sequence[str], above: Sequence[str]) -> bool:
    """Whether a row holds units for the names above it."""
    filled = [cell for cell in row[1:] if cell]
    if not filled or len(_bare(row)) > len(_bare(above)) or _names_time(row[0]):
        return False
    good = sum(_is_unit(bare_unit(cell)) for cell in filled)
    return good * 2 > len(filled) and not any(_is_number(cell) and cell != "1" for cell in filled)


def _names_time(cell: str) -> bool:
    return bool(_TIME.fullmatch(cell)) and bare_unit(cell) == cell and cell.upper() not in ("UTC", "GMT")


def bare_unit(text: str) -> str:
    """Return a unit without the brackets around it."""
    text = text.strip()
    if len(text) > 1 and text[0] + text[-1] in ("[]", "()"):
        return text[1:-1].strip()
    return text


def _is_unit(text: str) -> bool:
    if text in ("-", "--", "1"):
        return True
    if len(text) > _LONGEST_UNIT or _LIKE_TAG.fullmatch(text):  # T1 is no tesla
        return False
    try:
        as_unit(text)
    except PhysicsTwinError:
        return False
    return bool(text)


def bracketed_unit(name: str) -> str:
    """Return the unit in a header: "T1 [°C]" -> "°C"; "" if there is none."""
    found = _BRACKETS.match(name) if len(name) <= _LONGEST_NAME else None
    if not found:
        return ""
    text = found[2].strip()
    return text if _is_unit(text) else ""


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell))


def detect_columns(sample: Sample, known: Layout) -> Layout:
    """Return `known` with time, stamp format, form, decimal and thousands sign filled in from the columns.

    Raises DataError that says what to declare, UnknownNameError for a declared column that is not there.
    """
    for name in declared_columns(known):
        if name not in sample.names:
            raise unknown_name(f"column of {sample.source}", name, sample.names)
    time, stamp_format = _time(sample, known)
    zone = known.zone
    if zone is None and stamp_format not in _ELAPSED_UNITS and not stamp_format.startswith("unix") and in_utc(time):
        zone = "UTC"
    form = known.form or _form(sample, time)
    values = _value_columns(sample, time, form)
    if stamp_format in _ELAPSED_UNITS and isinstance(time, str):
        values.append(time)  # 0,5 s shows the decimal sign as well as a value does
    texts = {name: sample.columns[name] for name in values if name not in sample.typed}
    decimal, thousands = detect_numbers(texts, known.decimal, known.thousands, sample.separator, sample.source)
    return replace(
        known, time=time, stamp_format=stamp_format, zone=zone, form=form, decimal=decimal, thousands=thousands
    )


def in_utc(time: str | tuple[str, str]) -> bool:
    """Whether the header of the time says that the clock is in UTC: "Time (UTC)", and not "UTC+1"."""
    names = (time,) if isinstance(time, str) else time
    return any(_UTC.search(name[:_LONGEST_NAME]) for name in names)


def declared_columns(known: Layout) -> list[str]:
    """Return the columns that a layout names."""
    names: list[str] = []
    if known.time is not None:
        names += [known.time] if isinstance(known.time, str) else list(known.time)
    if isinstance(known.form, LongForm):
        names += [n for n in (known.form.tag, known.form.value, known.form.quality, known.form.unit) if n]
    elif isinstance(known.form, WideForm):
        names += [*known.form.quality.keys(), *known.form.quality.values()]
    return names


def _value_columns(sample: Sample, time: str | tuple[str, str], form: LongForm | WideForm) -> list[str]:
    if isinstance(form, LongForm):
        return [form.value]
    others = {time} if isinstance(time, str) else set(time)
    others |= set(form.quality.values())
    return [name for name in sample.names if name not in others]


def _share(cells: Iterable[str], pattern: re.Pattern[str]) -> float:
    filled = [cell for cell in cells if cell]
    return sum(bool(pattern.fullmatch(cell)) for cell in filled) / len(filled) if filled else 0.0


def _time(sample: Sample, known: Layout) -> tuple[str | tuple[str, str], str]:
    names = [name for name in sample.names if name in sample.columns]
    if isinstance(known.time, tuple):
        date, clock = known.time
        return known.time, known.stamp_format or _pair_format(sample, date, clock)
    if known.time is not None:
        return known.time, known.stamp_format or _format_of(sample, known.time)
    if isinstance(known.form, LongForm):
        taken = {known.form.tag, known.form.value, known.form.quality, known.form.unit}
        names = [name for name in names if name not in taken]
    dates = [name for name in names if _share(sample.columns[name], _DATE) >= _MOST]
    clocks = [name for name in names if _share(sample.columns[name], _CLOCK) >= _MOST]
    full = [
        name
        for name in names
        if name not in dates and name not in clocks and _share(sample.columns[name], _STAMP_LIKE) >= _MOST
    ]
    if known.stamp_format is not None and not full + dates:
        full = [name for name in names if _TIME.search(name)][:1] or names[:1]
        return full[0], known.stamp_format
    if len(full) > 1:
        raise DataError(
            f'{sample.source}: the columns "{full[0]}" and "{full[1]}" both hold stamps; say which is the time of the '
            f'value, layout=Layout(time="{full[0]}")'
        )
    if full:
        return full[0], known.stamp_format or _format_of(sample, full[0])
    if len(dates) == 1 and len(clocks) == 1:
        pair = (dates[0], clocks[0])
        return pair, known.stamp_format or _pair_format(sample, *pair)
    if len(dates) == 1 and not clocks:
        return dates[0], known.stamp_format or _format_of(sample, dates[0])
    if dates or clocks:
        raise DataError(
            f"{sample.source}: dates in {dates}, times of day in {clocks}; say which belong together, "
            'layout=Layout(time=("Date", "Time"))'
        )
    numeric = [name for name in names if _share(sample.columns[name], _NUMBER) >= _MOST]
    timely = [name for name in numeric if _TIME.search(name)]
    epochs = [name for name in timely or numeric if _share(sample.columns[name], _DIGITS) >= _MOST]
    if len(epochs) == 1:
        return epochs[0], known.stamp_format or _format_of(sample, epochs[0])
    if len(timely) > 1 and len([name for name in timely if _unit_of_time(sample, name)]) == 1:
        timely = [name for name in timely if _unit_of_time(sample, name)]
    if len(timely) > 1 and timely[0] == names[0]:
        timely = timely[:1]
    if len(timely) == 1:
        return timely[0], known.stamp_format or _format_of(sample, timely[0])
    raise DataError(
        f"{sample.source}: no column of {list(sample.names)} is clearly the time; say which, "
        'layout=Layout(time="Time", stamp_format="%d.%m.%Y %H:%M:%S"), or stamp_format="s" for elapsed seconds'
    )


def _format_of(sample: Sample, name: str) -> str:
    """Return the stamp format of a column. Raises DataError that says what to declare."""
    cells = [cell for cell in sample.columns.get(name, ()) if cell]
    if not cells:
        raise DataError(f'{sample.source}, column "{name}": no cell holds a time')
    numeric = _share(cells, _NUMBER) >= _MOST and _share(cells, _STAMP_LIKE) < _MOST
    if numeric:
        unit = _unit_of_time(sample, name)
        if unit:
            return unit
        if _share(cells, _DIGITS) < _MOST:
            raise DataError(
                f'{sample.source}, column "{name}": "{cells[0]}" has no unit; say stamp_format="s" (or "min", "h") for '
                'elapsed time, "excel" for days since 1900: layout=Layout(stamp_format="s")'
            )
        cells = [cell for cell in cells if _DIGITS.fullmatch(cell)]
    else:
        like = [cell for cell in cells if _STAMP_LIKE.fullmatch(cell)]
        # Spreadsheets write midnight as a bare date; the other cells show the whole format.
        cells = [cell for cell in like if not _DATE.fullmatch(cell)] or like or cells
    return _stamps(cells, sample.source, name)


def _pair_format(sample: Sample, date: str, clock: str) -> str:
    pairs = zip(sample.columns.get(date, ()), sample.columns.get(clock, ()), strict=True)
    cells = [f"{d} {t}" for d, t in pairs if _DATE.fullmatch(d) and _CLOCK.fullmatch(t)]
    if not cells:
        raise DataError(
            f'{sample.source}: no row has a date in "{date}" and a time of day in "{clock}"; say '
            'layout=Layout(time=("Date", "Time"))'
        )
    return _stamps(cells, sample.source, f"{date} {clock}")


def _stamps(cells: list[str], source: str, column: str) -> str:
    try:
        return detect_stamp_format(cells)
    except DataError as error:
        # One broken stamp among many is no other format: the format of most of those that are clear, if it is the only
        # one for all that it fits.
        formats: Counter[str] = Counter()
        for cell in list(dict.fromkeys(cells))[:_ASKED]:
            with suppress(DataError):
                formats[detect_stamp_format([cell])] += 1
        for format, _ in formats.most_common(2):
            ok = read_stamps(pl.Series(cells, dtype=pl.String), format=format).ok
            fitting = [cell for cell, fits in zip(cells, ok, strict=True) if fits]
            if 2 * len(fitting) > len(cells):
                with suppress(DataError):
                    return detect_stamp_format(fitting)
        raise DataError(f'{source}, column "{column}": {error}') from None


def _unit_of_time(sample: Sample, name: str) -> str:
    """Return the unit of a column of elapsed time, from the row of units or from its name; "" if none is stated."""
    found = _ELAPSED.match(name)
    for text in (sample.units.get(name, ""), bracketed_unit(name), found[2] if found else ""):
        text = {"sec": "s", "hr": "h", "hours": "h", "minutes": "min", "seconds": "s"}.get(text.lower(), text)
        if text and _is_unit(text) and as_unit(text).dimension == as_unit("s").dimension:
            return text
    return ""


def _form(sample: Sample, time: str | tuple[str, str]) -> LongForm | WideForm:
    stamps = [time] if isinstance(time, str) else list(time)
    names = [name for name in sample.names if name not in stamps and name in sample.columns]
    tags = [name for name in names if _TAG.match(name)]
    values = [name for name in names if _VALUE.match(name)]
    qualities = [name for name in names if _QUALITY.match(name)]
    units = [name for name in names if _UNIT.match(name)]
    quality = qualities[0] if len(qualities) == 1 else None
    unit = units[0] if len(units) == 1 else None
    if len(tags) == 1 and len(values) == 1:
        return LongForm(tags[0], values[0], quality, unit)
    pairs = _quality_pairs(names)
    rest = [name for name in names if name not in (quality, unit)]
    texts = [name for name in rest if _share(sample.columns[name], _NUMBER) < 0.5 and any(sample.columns[name])]
    numeric = [name for name in rest if _share(sample.columns[name], _NUMBER) >= 0.5]
    if len(names) <= 4 and len(texts) == 1 and len(numeric) == 1:
        when = list(zip(*(sample.columns[name] for name in stamps), strict=True))
        again = _one_row_a_tag(when, sample.columns[texts[0]])
        if tags == texts or values == numeric or (again and not pairs):
            return LongForm(texts[0], numeric[0], quality, unit)
    if len(rest) == 2 and len(values) == 1 and len(texts) == 2:  # a log of nothing but states
        return LongForm(next(name for name in rest if name != values[0]), values[0], quality, unit)
    return WideForm(pairs)


def _one_row_a_tag(stamps: Sequence[tuple[str, ...]], texts: Sequence[str]) -> bool:
    """Whether stamps come once for each text: side by side, or text after text from the beginning.

    The hour that is repeated in autumn lets stamps come twice in wide form, too, but neither way.
    """
    n = len(stamps)
    side_by_side = sum(a == b for a, b in itertools.pairwise(stamps))
    changes = sum(a != b for a, b in itertools.pairwise(texts))
    one_by_one = changes == len(set(texts)) - 1 and len(set(stamps)) <= 0.6 * n
    return side_by_side >= 0.3 * n or one_by_one


def _quality_pairs(names: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for before, name in itertools.pairwise(names):
        found = _PAIRED.match(name) if len(name) <= _LONGEST_NAME else None
        if found and found[1].strip() and before not in pairs.values():
            owner = next((other for other in names if other == found[1].strip()), None)
            if owner is None and before.startswith(found[1].strip()):
                owner = before
            if owner is not None:
                pairs[owner] = name
    return pairs


# A point or comma once, with exactly three digits after it and one to three before: 1,234 or 12.345 read both ways.
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_FRACTION = {
    ".": re.compile(r"[+-]?\d*\.\d*(?:[eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?\d*,\d*(?:[eE][+-]?\d+)?"),
}
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([.,'’\u00a0\u202f ])\d{3})(?:\1\d{3})*(?:([.,])\d*)?")


def detect_numbers(
    columns: Mapping[str, Iterable[str]], decimal: str | None, thousands: str | None, separator: str, source: str
) -> tuple[str | None, str | None]:
    """Return the decimal and the thousands sign that the cells show; decimal None where none of them decides.

    columns: header -> cells. Where most cells show one decimal sign and some the other one, it is that of most; what is
    then no number is the reader's to judge, and nothing is taken for thousands.

    Raises DataError where every cell that could tell reads both ways (12.345, 1,234).
    """
    certain: Counter[str] = Counter()  # decimal sign -> cells that show it
    groups: dict[str, str] = {}  # thousands sign -> a cell that shows it
    either: dict[str, str] = {}  # sign -> a cell that reads both ways, with its column
    n_either: Counter[str] = Counter()
    for name, cells in columns.items():
        for cell, n in Counter(cells).items():
            text = cell.strip().replace("−", "-").lstrip("<>≤≥= ")
            if not any(sign in text for sign in ".,'’ \u00a0\u202f"):
                continue
            if _EITHER.fullmatch(text):
                sign = "." if "." in text else ","
                either.setdefault(sign, f'column "{name}": "{cell}"')
                n_either[sign] += n
                continue
            for sign, pattern in _FRACTION.items():
                if pattern.fullmatch(text) and any(c.isdigit() for c in text):
                    certain[sign] += n
            found = _GROUPED.fullmatch(text)
            if not found or found[2] == found[1]:
                continue
            if found[2] is not None or text.count(found[1]) > 1 or found[1] in _THOUSANDS:
                groups.setdefault(found[1], f'column "{name}": "{cell}"')
                if found[2] is not None:
                    certain[found[2]] += n
                elif found[1] in ".,":
                    certain["," if found[1] == "." else "."] += n
    if len(certain) == 2:
        usual, _ = certain.most_common(1)[0]
        return decimal or usual, thousands or ""
    if decimal is None:
        if certain:
            decimal = next(iter(certain))
        elif either and separator == "," and "," not in either:
            decimal = "."  # whoever separates by commas does not write decimals with them
        elif either:
            sign, cell = next(iter(either.items()))
            raise DataError(
                f'{source}, {cell} may have "{sign}" as its decimal sign or between thousands, and no other number '
                f'tells; say layout=Layout(decimal="{sign}") or layout=Layout(decimal="{"," if sign == "." else "."}", '
                f'thousands="{sign}")'
            )
        elif separator == ",":
            decimal = "."
    if thousands is None and decimal is not None:
        other = "," if decimal == "." else "."
        marks = [sign for sign in groups if sign != decimal]
        if len(marks) > 1:
            raise DataError(
                f"{source}, {groups[marks[0]]} and {groups[marks[1]]} have different signs between thousands; say "
                'layout=Layout(thousands=" ") or whichever it is'
            )
        if not marks and n_either[other] > _MISREAD * (sum(certain.values()) + sum(n_either.values())):
            raise DataError(
                f'{source}, {either[other]}: if "{other}" stands between thousands, say '
                f'layout=Layout(thousands="{other}"); if such cells are no numbers, say thousands=""'
            )
        thousands = marks[0] if marks else ""  # a single 1,500 among numbers like 1.25 may be a slip of the pen
    return decimal, thousands
