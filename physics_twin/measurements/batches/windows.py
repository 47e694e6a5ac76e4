"""Batches on the clock of a log: where their samples begin and end, what lies outside, which of them overlap."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.batches.batch import Batch, Moment, moment_text
from physics_twin.measurements.batches.cutting_report import NotBuilt, Orphans, Overlap
from physics_twin.measurements.batches.judging import JudgedTag
from physics_twin.measurements.logs.log import Log
from physics_twin.units import to_si, unit as as_unit

__all__ = ["Window", "half_period", "last_time", "orphans_of", "overlaps", "rows_in", "seconds_on", "windows_of"]

_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Window:
    """A batch on the clock of the log: s since its origin; closed: whether a sample at the end belongs to it."""

    batch: Batch
    start: float
    end: float
    zero: float
    closed: bool


def windows_of(log: Log, batches: Sequence[Batch], time_zero: str) -> tuple[list[Window], list[NotBuilt]]:
    """Return the batches on the clock of the log, in order of time, and those that have no time zero."""
    seen: set[str] = set()
    for batch in batches:
        if batch.name in seen:
            raise DataError(f'two batches are called "{batch.name}"' + (f" ({batch.source})" if batch.source else ""))
        seen.add(batch.name)
    if time_zero != "start" and not any(name == time_zero for batch in batches for name, *_ in batch.phases):
        raise unknown_name("phase of the batches (time_zero=)", time_zero, {p for b in batches for p, *_ in b.phases})
    last = last_time(log)
    ends = [(seconds_on(log, b, b.start), last if b.end is None else seconds_on(log, b, b.end)) for b in batches]
    starts = {start for start, _ in ends}
    found: list[Window] = []
    without: list[NotBuilt] = []
    for batch, (start, end) in zip(batches, ends, strict=True):
        zero = start
        if time_zero != "start":
            own = [at for phase, at, _ in batch.phases if phase == time_zero]
            if not own:
                without.append(NotBuilt(batch.name, f'it has no phase "{time_zero}" for time zero'))
                continue
            zero = seconds_on(log, batch, own[0])
        if end <= start:
            reason = "it has no duration" if batch.end is not None else "it begins after the end of the log"
            without.append(NotBuilt(batch.name, reason))
            continue
        found.append(Window(batch, start, end, zero, end not in starts))
    return sorted(found, key=lambda window: (window.start, window.end)), without


def last_time(log: Log) -> float:
    """Return the time of the last sample of any tag, s since the origin."""
    return max((float(np.nanmax(one.times)) for one in log if np.isfinite(one.times).any()), default=0.0)


def seconds_on(log: Log, batch: Batch | None, moment: Moment) -> float:
    """Return a moment in s since the origin of the log; batch: whose it is, for messages.

    Raises DataError for a stamp where the log has elapsed time, and the other way round.
    """
    whose = "" if batch is None else f'batch "{batch.name}": '
    if isinstance(moment, dt.datetime):
        if log.origin is None:
            raise DataError(f"{whose}{moment_text(moment)} is a stamp, and {log.source} has elapsed time; give s")
        return ((moment - log.origin) // _MICROSECOND) / 1e6
    if log.origin is not None:
        raise DataError(f"{whose}{moment:g} s is elapsed time, and {log.source} has stamps; give stamps with a zone")
    return float(moment)


def half_period(log: Log) -> float:
    """Return by how much samples of a log of averages stand after the beginning of their period, s; else 0.0.

    They stand in the middle, which is right for what is measured. What holds, a set point, the name of a batch, does so
    from the beginning of its period: half a period later it would carry the same amount into the next one.
    """
    period = log.export_layout.period
    return 0.0 if period is None else to_si(period, as_unit("s"), name="period") / 2.0


def rows_in(times: Array, windows: Sequence[Window]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return first row and row after the last one of each window, (n_windows,), of a tag whose times ascend."""
    starts = np.array([min(window.start, window.zero) for window in windows])
    ends = np.array([window.end for window in windows])
    closed = np.array([window.closed for window in windows], dtype=bool)
    low = np.searchsorted(times, starts, "left")
    high = np.where(closed, np.searchsorted(times, ends, "right"), np.searchsorted(times, ends, "left"))
    return low, np.maximum(high, low)


def orphans_of(judged: JudgedTag, low: NDArray[np.intp], high: NDArray[np.intp]) -> Orphans:
    """Return how many samples of a tag lie outside of all windows; low, high: (n_windows,) of `rows_in`."""
    depth = np.zeros(judged.times.size + 1, dtype=np.int32)
    np.add.at(depth, low, 1)
    np.add.at(depth, high, -1)
    n_outside = int((np.cumsum(depth[:-1]) == 0).sum())
    return Orphans(judged.tag, n_outside, judged.n_timeless, judged.times.size + judged.n_timeless)


def overlaps(windows: Sequence[Window]) -> tuple[Overlap, ...]:
    """Return which of the windows, in order of their starts, overlap."""
    found: list[Overlap] = []
    running: list[Window] = []
    for window in windows:
        running = [one for one in running if one.end > window.start]
        found += [
            Overlap(one.batch.name, window.batch.name, min(one.end, window.end) - window.start) for one in running
        ]
        running.append(window)
    return tuple(found)
