"""What every kind of source is turned into: an opened log that hands out its rows a chunk at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Original

__all__ = ["Chunk", "Notes", "Opened"]


@dataclass(frozen=True)
class Chunk:
    """Rows of a log.

    frame: one column a header, of texts, or of types where the source has them. lines: (n,) lines of the file, or rows
    of a frame, from 1. short: rows (from 0) with fewer cells than the header; their last cell says so. open_end: the
    last row ends without an end of line, so its last cell may be cut.
    """

    frame: pl.DataFrame
    lines: Sequence[int] | NDArray[np.int64]
    short: frozenset[int] = frozenset()
    open_end: bool = False


@dataclass
class Notes:
    """What was found on reading, one sentence a kind with its count; grows while a file is read."""

    found: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    def add(self, kind: str, line: int = 0, text: str = "", n: int = 1) -> None:
        """Count `n` more of a kind, a sentence with {n}, {line} and {text}; line and text of the first one stay."""
        count, first, said = self.found.get(kind, (0, line, text))
        self.found[kind] = (count + n, first, said)

    def words(self) -> tuple[str, ...]:
        """Return one sentence a kind."""
        return tuple(kind.format(n=n, line=line, text=text) for kind, (n, line, text) in self.found.items())


@dataclass(frozen=True)
class Opened:
    """A log about to be read.

    name: for messages. layout: complete, but for a decimal sign that no cell has shown yet. names: of the columns.
    units: column -> unit that the export states. header,
    unit_row: the header lines as cells, () where there are none. chunks: the rows.
    sha256: called when all chunks are read; "" where there is no file. notes: what was found, while it is found.
    row: what a row is called in messages, "line" or "row". native: a file of our own, with flags, limits and texts in
    columns. original: what such a file was made of. query: the SQL, of a log that a database holds. layout_now: called
    when all chunks are read, the layout with what only the whole file could tell.
    """

    name: str
    layout: Layout
    names: tuple[str, ...]
    units: Mapping[str, str]
    header: tuple[str, ...]
    unit_row: tuple[str, ...]
    chunks: Iterator[Chunk]
    sha256: Callable[[], str]
    notes: Notes
    row: str = "line"
    native: bool = False
    original: Original | None = None
    query: str = ""
    layout_now: Callable[[Layout], Layout] = lambda layout: layout
