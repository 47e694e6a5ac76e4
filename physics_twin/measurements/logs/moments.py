"""Times of rows: read as stamps or as elapsed time, put in the middle of their period, in UTC since an origin.

Local times stay local until all rows of a tag are there: the hour that is repeated in autumn can only be told apart
from the rows of one tag in their order, and a file may be sorted by tag or by time.
"""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.measurements.flags import FlagArray
from physics_twin.measurements.logs.cells import read_cells
from physics_twin.measurements.logs.layout import Layout, StampsAt
from physics_twin.measurements.logs.stamps import NO_TIME, read_stamps
from physics_twin.units import to_si, unit as as_unit

__all__ = [
    "Placed",
    "TagTimes",
    "Times",
    "Window",
    "elapsed_unit",
    "moment",
    "moved",
    "origin_of",
    "placed_times",
    "shift_of",
    "time_cell",
    "time_name",
    "times_of",
]

type Times = NDArray[np.int64] | Array  # us, or s of elapsed time
# Seconds since the origin, flags of the times, and which samples lie in the window (None for all).
type Placed = tuple[Array, FlagArray | None, NDArray[np.bool_] | None]


@dataclass(frozen=True)
class Window:
    """Which rows are kept. low, high: UTC in us, or s for elapsed time; None is open."""

    low: float | None = None
    high: float | None = None

    @property
    def all(self) -> bool:
        """Whether everything is kept."""
        return self.low is None and self.high is None

    def keep(self, times: Times, margin: float = 0.0) -> NDArray[np.bool_]:
        """Return which times lie within, (n,)."""
        inside = np.ones(times.size, dtype=bool)
        if self.low is not None:
            inside &= times >= self.low - margin
        if self.high is not None:
            inside &= times <= self.high + margin
        return inside


@dataclass(frozen=True)
class TagTimes:
    """Times of a tag. times: (n,) us UTC, or s elapsed. flags: (n,) of daylight saving, or None."""

    times: Times
    flags: FlagArray | None
    notes: tuple[str, ...]


def elapsed_unit(stamp_format: str | None) -> float | None:
    """Return the seconds of one unit of a column of elapsed time, None for stamps."""
    if (
        stamp_format is None
        or "%" in stamp_format
        or stamp_format in ("ISO", "excel")
        or stamp_format.startswith("unix")
    ):
        return None
    return to_si((1.0, stamp_format), as_unit("s"), name="stamp_format")


def times_of(
    frame: pl.DataFrame, layout: Layout, seconds: float | None
) -> tuple[Times, bool | NDArray[np.bool_], NDArray[np.bool_]]:
    """Return times, which of them are UTC already, and which are readable."""
    date, clock = (layout.time, None) if isinstance(layout.time, str) else layout.time or ("", None)
    column = frame[date]
    if seconds is not None:
        cells = read_cells(column, decimal=layout.decimal or ".", thousands=layout.thousands or "")
        elapsed = cells.values if seconds == 1.0 else cells.values * seconds
        if cells.censored is not None:
            elapsed = np.where(cells.censored != 0, np.nan, elapsed)
        return elapsed, True, np.isfinite(elapsed)
    read = read_stamps(
        column,
        format=layout.stamp_format or "ISO",
        second=None if clock is None else frame[clock],
        decimal=layout.decimal,
    )
    times, ok = read.local_us, read.ok
    if clock is None and not ok.all() and column.dtype == pl.String:
        times, ok = _with_bare_dates(column, times, ok, layout.stamp_format or "ISO")
    known = read.offset_known
    if known.all():
        return times, True, ok
    return times, False if not known.any() else known, ok


def _with_bare_dates(
    column: pl.Series, times: NDArray[np.int64], ok: NDArray[np.bool_], format: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return times with a bare date among stamps read as its midnight: spreadsheets leave 00:00 away."""
    date = re.split(" (?=%[HI])", format, maxsplit=1)[0]  # "%d %b %Y" of "%d %b %Y %H:%M"
    if date == format or "%p" in date:
        return times, ok
    left = np.flatnonzero(~ok)
    read = read_stamps(column.gather(left), format=date)
    if not read.ok.any():
        return times, ok
    times, ok = times.copy(), ok.copy()
    times[left[read.ok]] = read.local_us[read.ok]
    ok[left[read.ok]] = True
    return times, ok


def moved(times: Times, shift: float, ok: NDArray[np.bool_]) -> Times:
    """Return times moved by `shift` where they are readable, (n,)."""
    moved = times.copy()
    moved[ok] += moved.dtype.type(shift)
    return moved


def shift_of(layout: Layout) -> float:
    """Return what the middle of the period is away from its stamp: us, or s for elapsed time."""
    if layout.stamps_at is StampsAt.INSTANT or layout.period is None:
        return 0
    half = to_si(layout.period, as_unit("s"), name="period") / 2.0
    half = half if layout.stamps_at is StampsAt.START else -half
    return half if elapsed_unit(layout.stamp_format) is not None else round(half * 1e6)


def time_name(layout: Layout) -> str:
    """Return the column of the time, or both, for messages."""
    return f'"{layout.time}"' if isinstance(layout.time, str) else " and ".join(f'"{n}"' for n in layout.time or ())


def time_cell(frame: pl.DataFrame, layout: Layout, row: int) -> str:
    """Return the cell of the time in a row, or both, for messages."""
    names = [layout.time] if isinstance(layout.time, str) else list(layout.time or ())
    return " ".join("" if frame[name][row] is None else str(frame[name][row]).strip() for name in names)


def origin_of(all_times: Iterable[TagTimes], window: Window) -> int:
    """Return the first moment of a log in its window, us since 1970; where there is none, that of the window."""
    earliest: int | None = None
    for times in {id(t): t for t in all_times}.values():
        utc = times.times[times.times != NO_TIME] if (times.times == NO_TIME).any() else times.times
        if not window.all:
            utc = utc[window.keep(utc)]
        if utc.size:
            first = int(utc.min())
            earliest = first if earliest is None else min(earliest, first)
    if earliest is None:
        return 0 if window.low is None else int(window.low)
    return earliest


def placed_times(times: TagTimes, origin: int | None, window: Window) -> Placed:
    """Return seconds since the origin, flags of the times, and which samples lie in the window."""
    if origin is None:
        return np.asarray(times.times, dtype=np.float64), times.flags, None
    utc = times.times
    keep: NDArray[np.bool_] | None = None
    flags = times.flags
    if not window.all:
        keep = window.keep(utc)
        keep = None if keep.all() else keep
        if keep is not None:
            utc = utc[keep]
            flags = None if flags is None else flags[keep]
    seconds = (utc - origin).astype(np.float64)
    seconds /= 1e6
    lost = utc == NO_TIME
    if lost.any():
        seconds[lost] = np.nan
    return seconds, flags, keep


def moment(origin: int | None) -> dt.datetime | None:
    """Return the time of microseconds since 1970."""
    if origin is None:
        return None
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=origin)
