"""What an export's first rows say about its format; what they leave open is asked for, never guessed.

Here: encoding, separator and rows of delimited text. Where its table begins, what its columns are and how its numbers
are written is told in `headers`, `columns` and `signs`, which workbooks and frames use as well.
"""

import codecs
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from physics_twin.errors import DataError
from physics_twin.measurements.logs.columns import Sample, detect_columns
from physics_twin.measurements.logs.headers import STAMP_LIKE, is_data_row, shape_of
from physics_twin.measurements.logs.layout import Layout

__all__ = ["detect", "detect_text", "look"]

_HEAD = 1 << 18  # bytes that are looked at first
_PLACES = 3  # further places in the file that are looked at ...
_PLACE = 1 << 14  # ... and their bytes
_MOST_ROWS = 3000  # of the first ones; more of them tell nothing new
_BROKEN = 8  # lines that a header may be broken over
_SEPARATORS = ("\t", ";", "|", ",")  # in this order: a comma may also be a decimal sign


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
    announced = re.fullmatch(r'(?i)sep=([^"])', lines[0].strip(" \r")) if lines else None
    if declared.separator is not None:
        separator = declared.separator
    elif announced:
        separator = announced[1]
    else:
        separator = _separator(lines[declared.skiprows or 0 :], declared, source)
    # The decimal sign may separate as well: "21,5" in quotes. Without quotes the rows are longer than the header.
    if len(separator) != 1 or separator in '"\r\n':
        raise DataError(f"{source}: separator={separator!r}: one character, no quote and no end of line")
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
    data = [row for row in data if is_data_row(row)] or data  # headers that come again and footers show nothing
    stamped = [row for row in data if any(STAMP_LIKE.fullmatch(cell) for cell in row)]
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
