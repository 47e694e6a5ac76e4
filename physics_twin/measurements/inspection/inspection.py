"""The first look at a log: what is in it, what is wrong with it, and a mapping to paste into a script.

Nothing is decided here. What the export does not say (the zone of its clock, a unit) is shown as a guess with its
reason, or asked for; reading takes only what is declared or beyond doubt.
"""

import datetime as dt
import enum
import os
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.inspection.likely_units import LikelyUnit, likely_units
from physics_twin.measurements.logs.frames import Query
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Log, TagSamples
from physics_twin.measurements.logs.reading import Source, read_log
from physics_twin.measurements.relations.compression import Compression, CompressionKind, compression

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["InspectedTag", "Inspection", "Kind", "inspect"]

# A step of five usual ones is a gap.
_GAP = 5.0
_FEW, _OUTSIDE = 50, 0.02
# A flat stretch has twenty samples or more; its odds follow from sixty steps on either side.
_FLAT, _AROUND, _CHANCE = 20, 60, 1e-6
_REGULAR = 0.1
# Which zones a night with a repeated hour may mean: one zone for each rule and hour.
_ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Helsinki",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "Australia/Sydney",
)


class Kind(enum.Enum):
    """What the cells of a tag are."""

    NUMBERS = "numbers"
    TEXTS = "texts"
    NOTHING = "nothing"


@dataclass(frozen=True, eq=False)
class InspectedTag:
    """What was found in one tag.

    kind: numbers, texts or nothing. n: samples. counts: flag -> samples. period: median time between samples in s, NaN
    below two samples. regular: whether nine steps in ten are within a tenth of it. low, high: of the good values, NaN
    without any. resolution: the decimal step in which they are printed. units: what they may be in, the likeliest
    first. compression: whether they are samples, or what a historian left of them. outliers: (time, value) of a few
    that lie far from all others. gaps: (from, to) in s since the log's origin. flats: (from, to, value) of stretches at
    one value of a tag that moves otherwise. notes: from reading.
    """

    tag: str
    kind: Kind
    n: int
    counts: Mapping[Flag, int]
    period: float
    regular: bool
    low: float
    high: float
    resolution: float
    units: tuple[LikelyUnit, ...]
    compression: Compression | None
    outliers: tuple[tuple[float, float], ...]
    gaps: tuple[tuple[float, float], ...]
    flats: tuple[tuple[float, float, float], ...]
    states: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Inspection:
    """What is in a log: print it for a table; `.mapping` reads the log, `.tag_table` is a tag table to edit.

    log: as read. tags: tag -> what was found. opened: Python source of what was inspected, a path in quotes most of the
    time. zone_known: whether the times are moments, because the stamps carry
    offsets, a zone was declared, or the time is elapsed; without it, times are those of the clock on the wall.
    zone_hint: what the stamps say about the zone, in words.
    """

    log: Log
    tags: Mapping[str, InspectedTag]
    opened: str
    zone_known: bool
    zone_hint: str

    def __getitem__(self, tag: str) -> InspectedTag:
        """Return what was found in a tag. Raises UnknownNameError with the nearest one."""
        if tag not in self.tags:
            raise unknown_name(f"tag of {self.log.source}", tag, self.tags)
        return self.tags[tag]

    @property
    def mapping(self) -> str:
        """Python source that reads this log with everything that was detected written down."""
        from physics_twin.measurements.inspection.text import mapping

        return mapping(self)

    @property
    def tag_table(self) -> str:
        """A tag table (TOML) with every tag, its likely unit and its reason as a comment: a text to edit."""
        from physics_twin.measurements.inspection.text import tag_table

        return tag_table(self)

    def __str__(self) -> str:
        """A table of the tags, at most 110 characters wide, and below it what was found."""
        from physics_twin.measurements.inspection.text import describe

        return describe(self)

    def plot(self, tags: Sequence[str] | None = None) -> "Figure":
        """Draw each tag over time, with gaps, flat stretches and bad samples marked.

        tags: which ones; without it the first twelve. Raises UnknownNameError.
        """
        from physics_twin.measurements.inspection.plots import plot_inspection

        return plot_inspection(self, tags)

    def moment(self, seconds: float) -> dt.datetime | None:
        """Return the clock on the wall at a time in s since the log's origin; None for elapsed time."""
        if self.log.origin is None:
            return None
        at = self.log.origin + dt.timedelta(seconds=seconds)
        zone = self.log.layout.zone
        return at.astimezone(zoneinfo.ZoneInfo(zone)) if self.zone_known and zone is not None else at


def inspect(source: Source, *, layout: Layout | None = None, progress: bool = False) -> Inspection:
    """Look at a log for the first time.

    source: what `read_log` takes. layout: what is known of the format; the rest is detected. progress: show a bar.
    Streams; what is kept is 17 bytes a sample.

    Stamps without offset and zone do not stop it: they are shown as they stand, and the mapping asks for the zone.

    Raises DataError for what is ambiguous (a day that may be a month, a decimal sign), naming what to declare.
    """
    declared = Layout() if layout is None else layout
    zone_known = True
    try:
        log = read_log(source, layout=declared, progress=progress)
    except DataError as error:
        if declared.zone is not None or "zone" not in str(error):
            raise
        log = read_log(source, layout=replace(declared, zone="UTC"), progress=progress)
        log = replace(log, layout=replace(log.layout, zone=None))
        zone_known = False
    found = {samples.tag: _inspected(samples) for samples in log}
    return Inspection(log, found, _opened(source), zone_known, "" if zone_known else _zone_hint(log))


def _opened(source: Source) -> str:
    if isinstance(source, str | os.PathLike):
        return f'"{Path(source).as_posix()}"'
    return f'pt.Query(connection, """{source.sql}""")' if isinstance(source, Query) else "frame"


def _inspected(samples: TagSamples) -> InspectedTag:
    times, values = samples.times, samples.values
    finite = np.isfinite(times)
    order = np.flatnonzero(finite)
    notes = list(samples.notes)
    steps = np.diff(times[order])
    back = np.flatnonzero(steps < 0.0)
    if back.size:
        notes.append(
            f"time goes back {back.size} time{'s' if back.size > 1 else ''}, first at its sample {back[0] + 2}"
        )
        order = order[np.argsort(times[order], kind="stable")]
    again = int((np.diff(times[order]) == 0.0).sum())
    if again:
        notes.append(f"{again} sample{'s' if again > 1 else ''} at the time of another one")
    t, v = times[order], values[order]
    measured = np.isfinite(v) & (samples.flags[order] < Flag.BAD)
    good = v[measured]
    kind = Kind.TEXTS if samples.states else Kind.NUMBERS if good.size else Kind.NOTHING
    steps = np.diff(t)
    steps = steps[steps > 0.0]
    period = float(np.median(steps)) if steps.size else float("nan")
    regular = bool(steps.size and (np.abs(steps - period) <= _REGULAR * period).mean() >= 0.9)
    numeric = kind is Kind.NUMBERS
    resolution = _resolution(good) if numeric else float("nan")
    found = compression(t[measured], good) if numeric and good.size > 2 else None
    thinned = found is not None and found.kind in (CompressionKind.EXCEPTION, CompressionKind.SWINGING_DOOR)
    return InspectedTag(
        tag=samples.tag,
        kind=kind,
        n=samples.n,
        counts=samples.counts,
        period=period,
        regular=regular,
        low=float(good.min()) if numeric else float("nan"),
        high=float(good.max()) if numeric else float("nan"),
        resolution=resolution,
        units=likely_units(samples.tag, samples.unit, good) if numeric else (),
        compression=found,
        outliers=_outliers(t[measured], good) if numeric else (),
        gaps=_gaps(t, period) if regular and not thinned else (),  # what keeps only changes has no gaps
        flats=_flats(t[measured], good) if numeric else (),
        states=samples.states,
        notes=tuple(notes),
    )


def _resolution(values: Array) -> float:
    """Return the decimal step of which nineteen in twenty values are multiples; 0 where they have all their digits."""
    sample = values if values.size <= 10_000 else values[:: values.size // 10_000]
    sample = np.abs(sample[sample != 0.0])
    for decimals in range(-3, 10):
        scaled = sample * 10.0**decimals
        multiple = np.round(scaled)
        if sample.size and ((np.abs(scaled - multiple) <= 1e-9 * scaled) & (multiple > 0.0)).mean() >= 0.95:
            return float(10.0**-decimals)
    return 0.0


def _outliers(times: Array, values: Array) -> tuple[tuple[float, float], ...]:
    """Return up to two in a hundred values at each end that lie more than twice the range of the others off."""
    if values.size < _FEW:
        return ()
    low, high = (float(x) for x in np.quantile(values, [_OUTSIDE, 1.0 - _OUTSIDE]))
    room = 2.0 * (high - low)
    far = np.flatnonzero((values > high + room) | (values < low - room)) if room > 0.0 else np.empty(0, dtype=np.intp)
    return tuple((float(times[k]), float(values[k])) for k in far)


def _gaps(times: Array, period: float) -> tuple[tuple[float, float], ...]:
    steps = np.diff(times)
    long = np.flatnonzero(steps > _GAP * period)
    if steps.size < 10:
        return ()
    return tuple((float(times[k]), float(times[k + 1])) for k in long)


def _flats(times: Array, values: Array) -> tuple[tuple[float, float, float], ...]:
    """Return stretches at one value that chance does not explain, from how often the neighboring samples stand still.

    The check of experiments is stricter (`quality.stuck`), since it marks samples; here a person looks.
    """
    n = values.size
    if n < 2 * _FLAT:
        return ()
    still = np.concatenate([[0], np.cumsum(np.diff(values) == 0.0)])  # standing steps before each sample
    edges = np.flatnonzero(np.concatenate([[True], np.diff(values) != 0.0, [True]]))
    long = np.diff(edges) >= _FLAT
    first, last = edges[:-1][long], edges[1:][long] - 1
    begin, end = np.maximum(first - _AROUND, 0), np.minimum(last + _AROUND, n - 1)
    n_around = (first - begin) + (end - last)
    n_still = still[first] - still[begin] + still[end] - still[last]
    share = (n_still + 1.0) / (n_around + 2.0)
    odd = (n_around >= _FLAT) & (n * share ** (last - first) < _CHANCE)
    return tuple(
        (float(times[a]), float(times[b]), float(values[a])) for a, b in zip(first[odd], last[odd], strict=True)
    )


def _zone_hint(log: Log) -> str:
    """Return what the jumps of the clock say about its zone; the log was read as if it ran on UTC."""
    assert log.origin is not None
    for samples in log:
        t = samples.times[np.isfinite(samples.times)]
        back = np.flatnonzero((np.diff(t) < -1800.0) & (np.diff(t) > -7200.0))
        for row in back.tolist():
            before, after = (
                (log.origin + dt.timedelta(seconds=float(x))).replace(tzinfo=None) for x in (t[row], t[row + 1])
            )
            zones = [zone for zone in _ZONES if _repeated(before, zone) and _repeated(after, zone)]
            if zones:
                jump = f"the clock goes back from {before:%Y-%m-%d %H:%M} to {after:%H:%M}"
                return f"{jump}, as clocks do in {' or '.join(zones[:3])}"
    return ""


def _repeated(local: dt.datetime, zone: str) -> bool:
    first = local.replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return first.utcoffset() != first.replace(fold=1).utcoffset() and first.dst() != dt.timedelta(0)
