"""From the clock on a wall to UTC: the hour that is skipped, and which pass of the repeated hour a row belongs to.

A log keeps the order in which its rows were written, and that order decides. When clocks are put back, the wall shows
the hour twice; somewhere between two neighboring rows the first pass ends and the second begins. Where that is shows by
one of three things: the clock jumps back there; or, at a steady sampling period, putting the change there is what keeps
the period; or there is a single gap into which the lost time goes. What none of them decides is suspect.
"""

import datetime as dt
import functools
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.flags import Flag, FlagArray

__all__ = ["NO_TIME", "Transition", "time_zone", "to_utc", "transitions"]

NO_TIME = int(np.iinfo(np.int64).min)  # also numpy's NaT

_US = 1_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_YEAR, _LAST_YEAR = 1900, 2100  # what zones did before is local history, what they will do is unknown
_FIRST_US, _LAST_US = (
    int(dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp()) * _US for year in (_FIRST_YEAR, _LAST_YEAR)
)
_NEIGHBORS = 500  # rows on either side of a repeated hour that tell the sampling period
# A log has a period to keep if more than this share of the steps nearby are this close to it.
_STEADY_SHARE, _STEADY = 0.6, 0.1
_GAP = 1.5  # a step longer than this many periods is a gap
_MOST_REVERSALS = 0.05  # of the rows nearby; above it their order tells nothing

type _Integers = NDArray[np.int64]


def time_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return a zone by its IANA name. Raises UnknownNameError with the nearest one, DataError if there are none."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        if not known:
            raise DataError("this computer has no time zones; install the package tzdata") from None
        raise unknown_name("time zone", name, known) from None


def _offset(moment: dt.datetime, zone: zoneinfo.ZoneInfo) -> int:
    return (moment.astimezone(zone).utcoffset() or dt.timedelta(0)) // dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Transition:
    """A change of a zone's offset. at: UTC, us since 1970. before, after: offset from UTC in us."""

    at: int
    before: int
    after: int


@functools.lru_cache(maxsize=4096)
def transitions(zone: str, year: int) -> tuple[Transition, ...]:
    """Return the changes of offset within a year of UTC, to the second."""
    local = time_zone(zone)

    def offset(second: int) -> int:
        return _offset(_EPOCH + dt.timedelta(seconds=second), local)

    begin, end = (int(dt.datetime(y, 1, 1, tzinfo=dt.UTC).timestamp()) for y in (year, year + 1))
    found = []
    before = offset(begin)
    # No zone has changed twice within two days, so a look every day misses none.
    for day in range(begin, end, 86_400):
        after = offset(min(day + 86_400, end))
        if after != before:
            low, high = day, min(day + 86_400, end)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            found.append(Transition(high * _US, before, after))
            before = after
    return tuple(found)


@functools.lru_cache(maxsize=256)
def _changes(zone: str, first_year: int, last_year: int) -> tuple[int, tuple[Transition, ...]]:
    """Return the offset at the beginning of the first year, and the changes up to the end of the last one."""
    found = tuple(change for year in range(first_year, last_year + 1) for change in transitions(zone, year))
    return _offset(dt.datetime(first_year, 1, 1, tzinfo=dt.UTC), time_zone(zone)), found


def to_utc(
    local_us: _Integers,
    zone: str,
    *,
    offset_known: NDArray[np.bool_] | None = None,
    where: Callable[[int], str] | None = None,
) -> tuple[_Integers, FlagArray, tuple[str, ...]]:
    """Return the times of one series in UTC.

    local_us: (n,) us since 1970 by the clock of `zone`, in the order of the rows of one series (forward or backward);
    `NO_TIME` where a row has none. offset_known: (n,) rows that are UTC already. where: row -> its name in notes.

    Returns (n,) us in UTC, `NO_TIME` where bad; (n,) flags: bad without a time, in the hour that the zone skips and
    outside 1900 to 2100; suspect in the repeated hour where the rows do not show which pass it is; and notes in words.

    Raises UnknownNameError for a zone that does not exist.
    """
    time_zone(zone)
    name = where or (lambda row: f"row {row + 1}")
    local = np.asarray(local_us, dtype=np.int64)
    flags = np.full(local.size, Flag.GOOD, dtype=np.int8)
    notes: list[str] = []
    readable = local != NO_TIME
    outside = readable & ((local < _FIRST_US) | (local >= _LAST_US))
    if outside.any():
        readable &= ~outside
        notes.append(
            f"{int(outside.sum())} stamps lie outside the years {_FIRST_YEAR} to {_LAST_YEAR}, the first is "
            f"{name(int(np.flatnonzero(outside)[0]))}: they are bad"
        )
    walls = readable if offset_known is None else readable & ~offset_known
    utc = np.where(readable, local, NO_TIME)
    flags[~readable] = Flag.BAD
    all_walls = bool(walls.all())
    of = local if all_walls else local[walls]
    if not of.size:
        return utc, flags, tuple(notes)
    first, last = int(of.min()), int(of.max())
    offset, changes = _changes(zone, _year(first - 2 * 86_400 * _US), _year(last + 2 * 86_400 * _US))
    edges = np.array([edge for c in changes for edge in sorted((c.at + c.before, c.at + c.after))], dtype=np.int64)
    offsets = np.array([offset, *(c.after for c in changes)], dtype=np.int64)
    low, high = (int(np.searchsorted(edges, moment, side="right")) for moment in (first, last))
    if low == high and low % 2 == 0:  # one offset for all
        utc[walls] = of - offsets[low // 2]
        return utc, flags, tuple(notes)
    place = np.searchsorted(edges, of, side="right")
    utc[walls] = of - offsets[place // 2]
    inside = np.flatnonzero(place % 2)
    if inside.size:
        rows = inside if all_walls else np.flatnonzero(walls)[inside]
        change = place[inside] // 2
        back = np.array([c.after < c.before for c in changes])[change]
        skipped = rows[~back]
        if skipped.size:
            utc[skipped] = NO_TIME
            flags[skipped] = Flag.BAD
            notes.append(_skipped_note(skipped, zone, changes[int(change[~back][0])], name))
        if back.any():
            shown = local
            if not all_walls:  # rows that came in UTC, as the clock on the wall would have shown them
                others = readable & ~walls
                moments = np.array([c.at for c in changes], dtype=np.int64)
                shown = local.copy()
                shown[others] += offsets[np.searchsorted(moments, local[others], side="right")]
            night = _Nights(shown, utc, rows[back], change[back], changes)
            unresolved, seamless = night.resolve()
            flags[unresolved] = Flag.SUSPECT
            if unresolved.size:
                why = (
                    "; the log runs through that hour once and without a break, so the clock may not follow summer "
                    f"time{_fixed(changes[int(change[back][0])].after)}"
                    if seamless
                    else ""
                )
                notes.append(
                    f"{unresolved.size} stamps lie in the hour that {zone} repeats, and the rows do not show which "
                    f"pass it is; from {name(int(unresolved[0]))} on they are taken as they fit best and are "
                    f"suspect{why}"
                )
    return utc, flags, tuple(notes)


def _year(us: int) -> int:
    return (_EPOCH + dt.timedelta(microseconds=us)).year


def _fixed(offset: int) -> str:
    """Return what to declare for a clock that stays at an offset; the sign in these names is the other way round."""
    hours = -offset / (3600 * _US)
    return f': then say zone="Etc/GMT{hours:+.0f}"' if hours == round(hours) and hours else ""


def _skipped_note(rows: NDArray[np.intp], zone: str, change: Transition, name: Callable[[int], str]) -> str:
    return (
        f"{rows.size} stamps do not exist in {zone} (the hour that summer time skips), the first is "
        f"{name(int(rows[0]))}: they are bad; the clock may not follow summer time{_fixed(change.before)}"
    )


class _Nights:
    """The rows of one series in repeated hours, while they are told apart; `utc` is written."""

    def __init__(
        self,
        local: _Integers,
        utc: _Integers,
        rows: NDArray[np.intp],
        change: NDArray[np.intp],
        changes: tuple[Transition, ...],
    ) -> None:
        # From here on only rows that have a time, in the order of time: many historians export the newest row first.
        self.utc = utc
        self.timed = np.flatnonzero(utc != NO_TIME)
        steps = np.diff(local[self.timed])
        if (steps < 0).sum() > (steps > 0).sum():
            self.timed = self.timed[::-1]
        self.local = local[self.timed]
        of = np.full(utc.size, -1, dtype=np.int64)
        of[rows] = change
        self.change = of[self.timed]  # which transition repeats the hour of this row, -1 for none
        self.changes = changes
        self.seamless = False

    def resolve(self) -> tuple[NDArray[np.intp], bool]:
        """Put the rows into their pass; return those that stay suspect, ascending, and whether a visit had no seam."""
        inside = np.flatnonzero(self.change >= 0)
        new = np.flatnonzero((np.diff(inside) > 1) | (np.diff(self.change[inside]) != 0)) + 1
        unresolved: list[NDArray[np.intp]] = []
        for visit in np.split(inside, new):
            begin, end = int(visit[0]), int(visit[-1]) + 1
            change = self.changes[int(self.change[begin])]
            low, high, split = self._seam(begin, end, change)
            late = self.timed[begin + split : end]
            self.utc[late] += change.before - change.after
            unresolved.append(self.timed[begin + low : begin + high])
        return np.sort(np.concatenate(unresolved)), self.seamless

    def _seam(self, begin: int, end: int, change: Transition) -> tuple[int, int, int]:
        """Return which rows of a visit stay suspect (first, last + 1) and the first row of the second pass.

        steps[s] is the time from row s - 1 of the visit to row s if the change of pass is not between them, with the
        row before the visit as -1 and the one after it as k.
        """
        shift = change.before - change.after
        k = end - begin
        steps = np.empty(k + 1, dtype=np.float64)
        steps[1:k] = np.diff(self.local[begin:end])
        early_first = int(self.local[begin]) - change.before
        late_last = int(self.local[end - 1]) - change.after
        steps[0] = early_first - self.utc[self.timed[begin - 1]] if begin else np.nan
        steps[k] = self.utc[self.timed[end]] - late_last if end < self.timed.size else np.nan

        around = slice(max(0, begin - _NEIGHBORS), end + _NEIGHBORS)
        # A row without a time in between has taken its period as well.
        rows_apart = np.abs(np.diff(self.timed[around]))
        forward = np.diff(self.local[around]) / rows_apart
        forward = np.sort(forward[forward > 0])
        usual = float(forward[(forward.size - 1) // 2]) if forward.size else 0.0
        period = np.full(k + 1, usual)  # over each step
        inside = rows_apart[max(begin - 1 - around.start, 0) : end - around.start]
        period[0 if begin else 1 : k + 1 if end < self.timed.size else k] *= inside
        outside = [self.timed[s][self.change[s] < 0] for s in (slice(around.start, begin), slice(end, around.stop))]
        outer = np.concatenate([np.diff(self.utc[rows]) for rows in outside])
        n_reversals = int((outer < 0).sum())
        steady = forward.size > 0 and np.mean(np.abs(forward - usual) <= _STEADY * usual) > _STEADY_SHARE
        # Where the change of pass breaks the period least; every row of the visit is then suspect.
        cost = np.nan_to_num(np.abs(steps + shift - period) - np.abs(steps - period))
        undecided = (0, k, int(cost.argmin()) if cost.min() < cost.max() else k)
        if n_reversals > _MOST_REVERSALS * outer.size:
            return undecided
        # A log that steps back elsewhere has to step back further here.
        seam = steps < min(usual - shift / 2, 0.0, 2.0 * outer.min(initial=0))
        if steady:
            seam |= (steps >= 0.0) & (np.abs(steps + shift - period) <= min(usual, shift) / 4)
        seams = np.flatnonzero(seam)
        backward = np.flatnonzero(steps < 0.0)
        if not seams.size and not n_reversals:
            seams = backward  # a small step back: the second pass after a gap
        if seams.size == 1:
            return 0, 0, int(seams[0])
        if seams.size or backward.size or not steady:
            return undecided
        gaps = np.flatnonzero(np.isnan(steps) | (steps > _GAP * period))
        if not gaps.size:
            self.seamless = True
            return 0, k, k
        # Rows that run on from before the hour are in the first pass, those that run on to after it in the second.
        return int(gaps[0]), int(gaps[-1]), int(gaps[-1])
