"""Delimited text as chunks of cells: split at line ends, decoded, and each row either whole or named.

Two ways lead to the cells of a chunk. The exact one splits with the csv module, line by line, under the rules of
`read_table`. The fast one leaves the splitting to polars, and is taken only where it provably comes to the same: every
line of the chunk has as many separators as the header, and no cell is quoted (or every quoted cell is quoted as a whole
and holds no separator, so that the quotes can be dropped). A reader that repairs rows in silence is of no use here.
"""

import codecs
import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from physics_twin.errors import DataError
from physics_twin.measurements.logs.chunks import Chunk, Notes
from physics_twin.measurements.tables import BREAKS_OFF, cut_off

__all__ = ["BLOCK", "HashedFile", "Head", "Lines", "chunks", "exact_rows", "plain", "read_head"]

BLOCK = 1 << 24  # bytes read at a time: large enough to amortize polars' threads, small beside the samples kept
_SMALL = 1 << 16  # below it the csv module is the quicker of the two ways
_LONGEST = 1 << 24  # bytes of one line; what is longer is no log
_BLANK = "{n} blank lines skipped, the first is line {line}"
_UTF8 = frozenset({"utf-8", "utf-8-sig", "utf8", "ascii", "us-ascii"})


class HashedFile(io.RawIOBase):
    """A file whose bytes are hashed as they pass, in a thread beside: hashing lets go of the interpreter."""

    def __init__(self, path: Path, told: Callable[[int], None] | None = None) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with this object
        self._hash = hashlib.sha256()
        self._told = told
        self._beside: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes and have them hashed."""
        data = self._file.read(size) or b""
        if len(data) < BLOCK:
            self._wait()
            self._hash.update(data)
        else:
            self._wait()  # one block at a time: they come in order, and no more than two are held
            if self._beside is None:
                self._beside = ThreadPoolExecutor(1)
            self._last = self._beside.submit(self._hash.update, data)
        if self._told is not None:
            self._told(len(data))
        return data

    def readinto(self, buffer: object, /) -> int:
        """Read into a buffer, as gzip does, and hash what came."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
            self._last = None

    def close(self) -> None:
        """Close the file."""
        if self._beside is not None:
            self._beside.shutdown()
            self._beside = None
        self._file.close()
        super().close()

    def digest(self) -> str:
        """Read what is left and return the SHA-256 of the whole file."""
        while self.read(1 << 20):
            pass
        self._wait()
        return self._hash.hexdigest()


class Lines:
    """Blocks of a text file in UTF-8 with "\\n" line ends, each cut at the end of a line.

    encoding: of the file. certain: whether it was declared; if not, a file that was plain ASCII so far may turn out to
    be cp1252.
    """

    def __init__(self, path: Path, stream: IO[bytes], encoding: str, *, certain: bool) -> None:
        self._source = path.name
        self._stream = stream
        self.encoding = encoding
        self._certain = certain
        self._decoder = None if encoding.lower() in _UTF8 else codecs.getincrementaldecoder(encoding)()
        self._ascii = True  # so far
        self.n_lines = 0  # handed out
        self.padding = 0  # NUL bytes at the end
        self.broken = False  # whether the file ends within a character
        self._pending = b""  # of a character that is not complete yet

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """Yield the blocks; only the last may end without an end of line. Raises DataError naming the line."""
        rest = b""
        first = True
        ended = False
        while not ended:
            raw = self._read(size)
            ended = not raw
            new = self._utf8(raw, ended, rest)
            if first and new:
                new = new.removeprefix(codecs.BOM_UTF8)
                first = False
            data = rest + new if rest else new
            if ended:
                bare = data.rstrip(b"\0")
                self.padding = len(data) - len(bare)
                data = bare
                if self.padding and data and not data.endswith((b"\n", b"\r")) and not self.broken:
                    data += BREAKS_OFF.encode()  # power failed within this cell
            held = b"\r" if data.endswith(b"\r") and not ended else b""
            if held:
                data = data[:-1]
            if b"\r" in data:
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            if ended:
                rest = b""
                block = data
            else:
                end = data.rfind(b"\n") + 1
                block, rest = data[:end], data[end:] + held
                if len(rest) > _LONGEST and rest.strip(b"\0"):
                    raise DataError(
                        f"{self._source}, line {self.n_lines + block.count(b'\n') + 1}: more than {_LONGEST >> 20} MB "
                        "without an end of line; is this a text file?"
                    )
            if block:
                yield block
                self.n_lines += int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == 10))

    def _read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        missing = size
        try:
            while missing > 0:
                piece = self._stream.read(missing)
                if not piece:
                    break
                pieces.append(piece)
                missing -= len(piece)
        except EOFError:
            raise DataError(
                f"{self._source}: the compressed file breaks off; copy it again from where it was made"
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{self._source}: this is no intact gzip file ({error})") from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _utf8(self, raw: bytes, ended: bool, rest: bytes) -> bytes:
        """Return the bytes as UTF-8, but for a character that the next block completes."""
        if self._decoder is None:
            if not self._pending and raw.isascii():
                return raw
            data = self._pending + raw
            try:
                used = codecs.utf_8_decode(data, "strict", ended)[1]
            except UnicodeDecodeError as error:
                if not ended and not self._certain and self._ascii and data[: error.start].isascii():
                    self.encoding = "cp1252"  # what came before was ASCII, which is the same in both
                    self._decoder = codecs.getincrementaldecoder("cp1252")()
                    return self._utf8(data, ended, rest)
                if not ended:
                    line = self._line(rest, data, error.start)
                    raise DataError(
                        f"{self._source}, line {line}: byte 0x{data[error.start]:02x} is not {self.encoding}; "
                        'say layout=Layout(encoding="cp1252") or whichever encoding the export has'
                    ) from None
                self.broken = True  # the file ends within a character
                used = error.start
            self._ascii = self._ascii and data[:used].isascii()
            self._pending = b"" if ended else data[used:]
            return data[:used] + self._lost(rest + data[:used])
        try:
            return self._decoder.decode(raw, ended).encode()
        except UnicodeError as error:
            if ended:
                self.broken = True
                return self._lost(rest)
            start = error.start if isinstance(error, UnicodeDecodeError) else 0
            raise DataError(
                f"{self._source}, line {self._line(rest, raw, start)} or near it: the bytes are not {self.encoding}; "
                'say layout=Layout(encoding="cp1252") or whichever encoding the export has'
            ) from None

    def _lost(self, before: bytes) -> bytes:
        """Return what marks the last cell of a file that ends within a character: that cell surely is cut."""
        return BREAKS_OFF.encode() if self.broken and before and not before.endswith((b"\n", b"\r")) else b""

    def _line(self, rest: bytes, data: bytes, position: int) -> int:
        before = rest + data[:position]
        return self.n_lines + max(before.count(b"\n"), before.count(b"\r")) + 1


@dataclass(frozen=True)
class Head:
    """The header of a text file.

    rows: the header lines as cells, stripped. next_line: number of the first line after it. length: bytes of the first
    block that the preamble and the header take.
    """

    rows: tuple[tuple[str, ...], ...]
    next_line: int
    length: int


def read_head(block: bytes, separator: str, skiprows: int, header: int, source: str) -> Head:
    """Return the header rows that follow `skiprows` lines; blank lines among them are skipped.

    A cell of the header may run over several lines (spreadsheets break long names so). Raises DataError when the file
    ends before the header does.
    """
    position = line = 0
    for _ in range(skiprows):
        end = block.find(b"\n", position)
        line += 1
        position = end + 1 if end >= 0 else len(block)
    used: list[bytes] = []

    def lines() -> Iterator[str]:
        nonlocal position
        while position < len(block):
            end = block.find(b"\n", position) + 1 or len(block)
            raw = block[position:end]
            position = end
            used.append(raw)
            yield raw.decode("utf-8", "replace")

    rows: list[tuple[str, ...]] = []
    reader = csv.reader(lines(), delimiter=separator, strict=True)
    while len(rows) < header:
        try:
            row = next(reader)
        except StopIteration:
            raise DataError(
                f"{source}: the file ends before its header; {header} header lines are expected after {skiprows} others"
            ) from None
        except csv.Error as error:
            raise DataError(f"{source}, line {line + len(used)}: {error}, in the header") from None
        if any(cell.strip() for cell in row):
            rows.append(tuple(cell.replace("\ufeff", "").strip() for cell in row))
    return Head(tuple(rows), line + len(used) + 1, position)


def exact_rows(
    text: str, separator: str, first_line: int, source: str, *, ended: bool
) -> tuple[list[list[str]], list[int]]:
    """Return the rows of `text` that hold anything and the line of each, by the csv module.

    ended: whether the file ends here; only then may the last line be cut inside a quoted cell. Raises DataError, naming
    the line, for a quoted cell over several lines or one that goes on after its closing quote.
    """
    physical = text.split("\n")
    if physical and not physical[-1]:
        physical.pop()
    open_end = ended and bool(text) and not text.endswith("\n")
    rows: list[list[str]] = []
    lines: list[int] = []
    line = first_line
    # One line each: a quote that is never closed must not swallow the file up to the next one.
    reader = csv.reader(iter(physical), delimiter=separator, strict=True)
    try:
        for row in reader:
            last = first_line + reader.line_num - 1
            if last > line:
                raise DataError(f"{source}, line {line}: a quoted cell runs over several lines; is a quote unbalanced?")
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(line)
            line = last + 1
    except csv.Error as error:
        last = first_line + reader.line_num - 1
        if open_end and last == line == first_line + len(physical) - 1 and "unexpected end" in str(error):
            # The file was cut inside a quoted cell; with the quote closed, what is there can be told.
            row = next(csv.reader([physical[-1] + '"'], delimiter=separator))
            rows.append([*row[:-1], cut_off(row[-1])])
            lines.append(line)
        elif last > line or "unexpected end" in str(error):
            raise DataError(
                f"{source}, line {line}: a quoted cell runs over several lines; is a quote unbalanced?"
            ) from None
        else:
            raise DataError(f"{source}, line {last}: {error}") from None
    return rows, lines


def plain(block: bytes, separator: bytes, n_columns: int) -> bytes | None:
    """Return the block without its quotes if splitting at separators and line ends is all there is to it, else None.

    That is so when every line has exactly `n_columns - 1` separators, and every quote opens a cell or closes it, with
    neither a separator nor a line end nor another quote between the two.
    """
    if n_columns < 2 or not block or b"\0" in block:
        return None
    raw = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(raw == 10)
    if not block.endswith(b"\n"):
        ends = np.append(ends, raw.size)
    at = np.flatnonzero(raw == separator[0])
    if at.size != ends.size * (n_columns - 1):
        return None
    grid = at.reshape(ends.size, n_columns - 1)
    if (grid[:, -1] > ends).any() or (grid[1:, 0] < ends[:-1]).any():
        return None
    if b'"' not in block:
        return block
    quotes = np.flatnonzero(raw == 34)
    if quotes.size % 2:
        return None
    opening, closing = quotes[0::2], quotes[1::2]
    before = raw[np.maximum(opening - 1, 0)]
    after = raw[np.minimum(closing + 1, raw.size - 1)]
    opens = (opening == 0) | (before == separator[0]) | (before == 10)
    closes = (closing == raw.size - 1) | (after == separator[0]) | (after == 10)
    if not (opens.all() and closes.all()):
        return None
    within = np.searchsorted(at, opening) == np.searchsorted(at, closing)
    within &= np.searchsorted(ends, opening) == np.searchsorted(ends, closing)
    return block.replace(b'"', b"") if within.all() else None


def _fast(block: bytes, separator: str, names: Sequence[str]) -> pl.DataFrame | None:
    """Return the cells of a block that is provably plain, else None."""
    mark = separator.encode()
    if len(block) < _SMALL or len(mark) != 1 or len(names) < 2 or b"\0" in block:
        return None
    raw = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(raw == 10)
    n_lines = ends.size + (not block.endswith(b"\n"))
    surplus, odd = divmod(int(np.count_nonzero(raw == mark[0])), n_lines)
    width = surplus + 1
    if odd or width < len(names):
        return None
    quoted = b'"' in block
    if quoted:
        without = plain(block, mark, width)
        if without is None:
            return None
        block = without
    # Columns beyond the header have to be empty: many exports end each line with a separator.
    columns = [*names, *(f"\0{k}" for k in range(len(names), width))]
    frame = _polars(block, separator, columns)
    if frame is None or frame.height != n_lines:
        return None
    # The counts agree, so if one line is short another is long. polars refuses long lines and leaves the last cell of a
    # short one null; either would do, and neither is taken for granted.
    if not quoted and frame.to_series(width - 1).null_count() and plain(block, mark, width) is None:
        return None
    for k in range(len(names), width):
        if frame.to_series(k).null_count() < n_lines:
            return None
    # A row of empty cells is a blank line. Hardly any line begins with what a blank one would begin with.
    starts = raw[np.append(0, ends[:-1] + 1 if block.endswith(b"\n") else ends + 1)]
    if ((starts <= 32) | (starts >= 127) | (starts == mark[0]) | (starts == 34)).any():
        if ((raw >= 28) & (raw <= 31)).any():  # blanks for Python, and not for polars
            return None
        empty = pl.all_horizontal(pl.col(name).fill_null("").str.strip_chars() == "" for name in names)
        if frame.select(empty.any()).item():
            return None
    return frame.select(names) if width > len(names) else frame


def _polars(block: bytes, separator: str, names: Sequence[str]) -> pl.DataFrame | None:
    try:
        return pl.read_csv(
            block,
            has_header=False,
            separator=separator,
            quote_char=None,
            schema=dict.fromkeys(names, pl.String),
            truncate_ragged_lines=False,
            raise_if_empty=False,
        )
    except pl.exceptions.PolarsError:  # the exact way says what is wrong, and where
        return None


def chunks(
    lines: Lines,
    blocks: Iterator[bytes],
    names: Sequence[str],
    separator: str,
    first_line: int,
    source: str,
    notes: Notes,
    *,
    exact: bool = False,
) -> Iterator[Chunk]:
    """Yield the rows of data, a chunk at a time.

    blocks: as `Lines.blocks` yields them, the first one without preamble and header. exact: never take the fast way.
    Raises DataError, naming the line, for a row longer than the header and for quotes that do not balance.
    """
    line = first_line
    n_blank = 0  # blank lines since the last row: at the end of the file they are nothing to speak of
    following = next(blocks, None)
    while following is not None:
        block, following = following, next(blocks, None)
        ended = following is None
        open_end = ended and not block.endswith((b"\n", b'"'))
        frame = None if exact else _fast(block, separator, names)
        if frame is not None:
            if n_blank:
                notes.add(_BLANK, line - n_blank, n=n_blank)
                n_blank = 0
            yield Chunk(frame, range(line, line + frame.height), frozenset(), open_end)
            line += frame.height
            continue
        rows, at = exact_rows(block.decode("utf-8", "replace"), separator, line, source, ended=ended)
        n_lines = block.count(b"\n") + (not block.endswith(b"\n"))
        if not rows:
            n_blank += n_lines
        else:
            first = next((k for k, j in enumerate(at, line) if k != j), line) if not n_blank else line - n_blank
            n_blank += at[-1] - line + 1 - len(rows)
            if n_blank:
                notes.add(_BLANK, first, n=n_blank)
            n_blank = line + n_lines - 1 - at[-1]
        line += n_lines
        if b"\0" in block:
            rows, at = _without_nul(rows, at, notes)
        if rows:
            yield _chunk(rows, at, names, separator, source, open_end=open_end)


def _without_nul(rows: list[list[str]], lines: list[int], notes: Notes) -> tuple[list[list[str]], list[int]]:
    kept: list[list[str]] = []
    at: list[int] = []
    for row, line in zip(rows, lines, strict=True):
        if any("\0" in cell for cell in row):
            notes.add("{n} rows hold NUL bytes (a loss of power?), the first in line {line}: skipped", line)
        else:
            kept.append(row)
            at.append(line)
    return kept, at


def _chunk(
    rows: list[list[str]],
    lines: list[int],
    names: Sequence[str],
    separator: str,
    source: str,
    *,
    open_end: bool,
) -> Chunk:
    n = len(names)
    short: set[int] = set()
    for i, row in enumerate(rows):
        if len(row) == n:
            continue
        if len(row) > n:
            surplus = [cell for cell in row[n:] if cell.strip()]
            if surplus:
                hint = '; if the decimal sign is a comma, say separator=";" or export with another separator'
                raise DataError(
                    f"{source}, line {lines[i]}: {len(row)} cells for {n} columns, the first surplus one is "
                    f'"{surplus[0]}"' + (hint if separator == "," else "")
                )
            rows[i] = row[:n]
        else:
            # A row that breaks off may break off inside a number: its last cell is not to be believed either.
            rows[i] = [*row[:-1], cut_off(row[-1]), *[""] * (n - len(row))]
            short.add(i)
    columns = zip(*rows, strict=True)
    frame = pl.DataFrame([pl.Series(name, cells, dtype=pl.String) for name, cells in zip(names, columns, strict=True)])
    return Chunk(frame, lines, frozenset(short), open_end and len(rows) - 1 not in short)
