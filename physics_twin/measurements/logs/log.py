"""What an export holds, tag by tag, before it is cut into experiments."""

import datetime as dt
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, ShapeError, unknown_name
from physics_twin.measurements.clocks import parse_stamp
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.tags.tag_table import TagTable

__all__ = ["Log", "Original", "TagSamples"]


@dataclass(frozen=True, eq=False)
class TagSamples:
    """The samples of one tag, in the order of the export; of one that runs from new to old, turned round.

    times: (n,) s since the log's origin, NaN where unreadable. values: (n,) in `unit`, NaN where nothing was measured;
    of a text tag the number of the text in `states`. flags: (n,) QARTOD codes of cell, time and quality column.
    censored: (n,) -1 where the true value is below `values`, 1 above, 0 else; None where nothing is censored.
    states: texts of a text tag (batch, phase, position of a switch); () for numbers. unit: as the export states it, ""
    if it does not. notes: what was found on reading, in words, with the first row. All arrays are read-only.
    """

    tag: str
    times: Array
    values: Array
    flags: FlagArray
    censored: NDArray[np.int8] | None = None
    states: tuple[str, ...] = ()
    unit: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the shapes and make the arrays read-only."""
        n = np.size(self.times)
        for key in ("times", "values", "flags", "censored"):
            array = getattr(self, key)
            if array is None:
                continue
            if np.shape(array) != (n,):
                raise ShapeError(f"{self.tag}: {key} has the shape {np.shape(array)}, and there are {n} times")
            array = array.view()  # no copy: a log may hold tens of millions
            array.setflags(write=False)
            object.__setattr__(self, key, array)

    @property
    def n(self) -> int:
        """How many samples."""
        return int(self.times.size)

    @property
    def counts(self) -> Mapping[Flag, int]:
        """How many samples carry each flag."""
        return {flag: int((self.flags == flag).sum()) for flag in Flag}

    def between(self, low: float, high: float) -> "TagSamples":
        """Return the samples from `low` to `high` (s since the origin, both inclusive)."""
        t = self.times
        ascending = t.size < 2 or bool((np.diff(t) >= 0.0).all())
        rows: slice | NDArray[np.bool_]
        if ascending:
            rows = slice(int(np.searchsorted(t, low, "left")), int(np.searchsorted(t, high, "right")))
        else:
            rows = (t >= low) & (t <= high)
        censored = None if self.censored is None else self.censored[rows]
        return replace(self, times=t[rows], values=self.values[rows], flags=self.flags[rows], censored=censored)


@dataclass(frozen=True)
class Original:
    """The export that a converted file was made of: its name, its hash, and its layout as declared and detected."""

    source: str
    sha256: str
    layout: Layout


@dataclass(frozen=True, eq=False)
class Log:
    """An export as read. Make one with `read_log`; `log["31TI004.PV"]` are the samples of one tag.

    samples: tag -> samples. layout: the format, as declared and detected. origin: UTC of time zero, None for elapsed
    time. source, sha256: of the file. n_rows: rows of data. notes: what was found on reading. tags: the tag table, if
    one was given. original: of a file that `convert_log` or `save` wrote, the export that it was made of; source names
    both. query: the SQL of a log that a database holds; then sha256 is that of the SQL and the rows.
    """

    samples: Mapping[str, TagSamples]
    layout: Layout
    origin: dt.datetime | None
    source: str
    sha256: str
    n_rows: int
    notes: tuple[str, ...] = ()
    tags: TagTable | None = None
    original: Original | None = None
    query: str = ""

    @property
    def export_layout(self) -> Layout:
        """How the export was written that the numbers come from: the layout of the original, if there is one."""
        return self.layout if self.original is None else self.original.layout

    def __getitem__(self, tag: str) -> TagSamples:
        """Return the samples of a tag. Raises UnknownNameError with the nearest one."""
        if tag not in self.samples:
            raise unknown_name(f"tag of {self.source}", tag, self.samples)
        return self.samples[tag]

    def __iter__(self) -> Iterator[TagSamples]:
        """Run through the tags."""
        return iter(self.samples.values())

    def between(self, low: str | dt.datetime | float | None, high: str | dt.datetime | float | None) -> "Log":
        """Return the samples from `low` to `high`, both inclusive: stamps, or s since the origin; None is open.

        The origin stays. Raises DataError for a stamp without zone where the layout has none, or for elapsed time.
        """
        first, last = (self._second(moment) for moment in (low, high))
        first, last = -math.inf if first is None else first, math.inf if last is None else last
        return replace(self, samples={tag: samples.between(first, last) for tag, samples in self.samples.items()})

    def _second(self, moment: str | dt.datetime | float | None) -> float | None:
        if moment is None or isinstance(moment, int | float):
            return moment
        if self.origin is None:
            raise DataError(f"the log of {self.source} has elapsed time; say between(60.0, 120.0), in s")
        stamp = parse_stamp(str(moment), zone=self.layout.zone)
        return (stamp - self.origin) / dt.timedelta(seconds=1)

    def save(self, out: str | os.PathLike[str]) -> None:
        """Save to Parquet in long form, which `read_log` reads back; of texts among numbers only the flags are kept.

        Raises DataError for a name that does not end in .parquet.
        """
        from physics_twin.measurements.logs.conversion import save_log

        save_log(self, out)

    def __str__(self) -> str:
        """Source, rows and span, a row for each tag with its samples by flag, the scheme of quality codes, notes."""
        n = len(self.samples)
        ends = [(float(np.nanmin(s.times)), float(np.nanmax(s.times))) for s in self if np.isfinite(s.times).any()]
        lines = [f"log of {self.source}: {self.n_rows} rows, {n} tag{'' if n == 1 else 's'}"]
        if ends:
            low, high = min(first for first, _ in ends), max(last for _, last in ends)
            began = (
                f"{low:g} s"
                if self.origin is None
                else (self.origin + dt.timedelta(seconds=low)).isoformat(" ", "seconds")
            )
            lines[0] += f", {duration_text(high - low)} from {began.replace('+00:00', ' UTC')}"
        head = ["tag", "unit", "samples", *(flag.words for flag in Flag), "censored"]
        rows = [head]
        for one in self:
            censored = 0 if one.censored is None else int(np.count_nonzero(one.censored))
            unit = f"{len(one.states)} text{'s' if len(one.states) > 1 else ''}" if one.states else one.unit
            rows.append([one.tag, unit, str(one.n), *(str(one.counts[flag]) for flag in Flag), str(censored)])
        always = ("tag", "unit", "samples", "good")
        kept = [k for k, title in enumerate(head) if title in always or any(row[k] != "0" for row in rows[1:])]
        widths = {k: max(len(row[k]) for row in rows) for k in kept}
        lines += ["  " + "  ".join(row[k].ljust(widths[k]) for k in kept).rstrip() for row in rows]
        if self.layout.quality_scheme is not None:
            lines.append(f"  quality codes: {self.layout.quality_scheme.value}")
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  note: {one.tag}: {note}" for one in self for note in one.notes]
        return "\n".join(lines)
