"""The time column of a log: seconds, a column with a unit, or stamps in a zone.

A clock on a wall is not a time: 02:30 happens twice in an autumn night and not at all in a spring one. So stamps
always carry an offset or are given a zone, and inside everything is seconds since one moment in UTC.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import DataError, UnitError
from physics_twin.measurements.channels import Column
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.logs.stamp_formats import pattern_of, read_stamp
from physics_twin.measurements.logs.zones import NO_TIME, time_zone, to_utc
from physics_twin.measurements.tables import Cells, Numbers, Table, numbers
from physics_twin.units import QuantityLike, Unit, parse, to_si, unit as as_unit

__all__ = ["Axis", "Stamps", "parse_stamp", "read_axis", "start_on"]

_MICROSECOND = dt.timedelta(microseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Stamps:
    """A column of stamps.

    column: its header. zone: an IANA name ("Europe/Berlin", "UTC") for stamps that carry no offset of their own.
    format: as in `datetime.strptime` ("%d.%m.%Y %H:%M:%S", with %Y or %y, %m or %b, %d, %H or %I and %p, %M, %S, %f
    and %z); without it, ISO 8601.

    The two passes through the hour that is repeated when summer time ends are told apart by the order of the rows.
    """

    column: str
    zone: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        """Check that the zone exists and that the format is one."""
        if self.zone is not None:
            time_zone(self.zone)
        if self.format is not None:
            pattern_of(self.format)


@dataclass(frozen=True)
class Axis:
    """Times as the log has them.

    seconds: (n,) s since `origin`, or since the zero of the column; NaN where a cell is no time. flags: (n,) bad where
    it is NaN, suspect where the hour is ambiguous. origin: UTC, or None for a column of elapsed time. notes: in words.
    """

    seconds: Array
    flags: FlagArray
    origin: dt.datetime | None
    notes: tuple[str, ...]


def read_axis(table: Table, time: str | Column | Stamps, *, decimal: str = ".") -> Axis:
    """Return the times of a log.

    time: header of a column of seconds or of ISO stamps with offset; `Column` for elapsed time in a unit; `Stamps`.

    Raises DataError, naming the row, for a stamp without zone or a column in which no cell is a time; UnknownNameError
    for a header that is not there; UnitError for a unit that is none of time.
    """
    if isinstance(time, Stamps):
        return _stamp_axis(table[time.column], table, time)
    if isinstance(time, Column):
        return _number_axis(table, time.name, as_unit(time.unit), decimal)
    cells = table[time]
    first = next((cell for cell in cells if str(cell).strip()), "")
    if isinstance(first, dt.datetime | np.datetime64) or (isinstance(first, str) and _is_iso(first)):
        return _stamp_axis(cells, table, Stamps(time))
    return _number_axis(table, time, as_unit("s"), decimal)


def _number_axis(table: Table, column: str, unit: Unit, decimal: str) -> Axis:
    if unit.dimension != as_unit("s").dimension:
        raise UnitError(f'time column "{column}" is declared in {unit}; a time has a unit like s, min, h')
    read: Numbers = numbers(table[column], table, column, decimal=decimal)
    seconds = np.asarray(unit.to_si(read.values), dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(seconds))
    flags = np.where(np.isfinite(seconds), Flag.GOOD, Flag.BAD).astype(np.int8)
    if bad.size == seconds.size:
        raise DataError(f'{table.source}, column "{column}": no row has a time')
    return Axis(seconds, flags, None, _unreadable(bad, table, column))


def _unreadable(bad: np.ndarray[tuple[int], np.dtype[np.intp]], table: Table, column: str) -> tuple[str, ...]:
    if not bad.size:
        return ()
    return (
        f'{bad.size} rows have no readable time in "{column}", the first is {table.where(int(bad[0]))}: they are bad',
    )


def parse_stamp(text: str, *, zone: str | None = None, format: str | None = None) -> dt.datetime:
    """Return one stamp in UTC. Raises DataError when it is none, or has neither offset nor `zone`.

    >>> parse_stamp("2026-11-20 07:00", zone="Europe/Berlin").isoformat()
    '2026-11-20T06:00:00+00:00'
    """
    stamp = _naive_or_aware(text, format)
    if stamp is None:
        raise DataError(f'"{text}" is no {"ISO stamp" if format is None else f"stamp like {format}"}')
    if stamp.tzinfo is None:
        if zone is None:
            raise DataError(f'the stamp "{text}" has no zone; say which, for example zone="Europe/Berlin" or "UTC"')
        stamp = stamp.replace(tzinfo=time_zone(zone))
    return stamp.astimezone(dt.UTC)


def _is_iso(text: str) -> bool:
    # A bare number like "20260417" or "2026" would pass as a date; only what has a dash or a colon is a stamp.
    return any(sign in text[1:] for sign in "-:") and _naive_or_aware(text, None) is not None


def _naive_or_aware(cell: object, format: str | None) -> dt.datetime | None:
    if cell is None or cell != cell:  # None, NaN, NaT
        return None
    if isinstance(cell, np.datetime64):
        cell = cell.astype("datetime64[us]").item()
    if isinstance(cell, dt.datetime):  # a pandas Timestamp is one as well
        return dt.datetime.combine(cell.date(), cell.timetz())
    stamp = read_stamp(str(cell), pattern_of(format or "ISO"))
    if stamp is None:
        return None
    return (_EPOCH if stamp.offset_known else _EPOCH.replace(tzinfo=None)) + stamp.us * _MICROSECOND


def _stamp_axis(cells: Cells, table: Table, stamps: Stamps) -> Axis:
    read = [_naive_or_aware(cell, stamps.format) for cell in cells]
    known = [(row, stamp) for row, stamp in enumerate(read) if stamp is not None]
    flags = np.array([Flag.BAD if stamp is None else Flag.GOOD for stamp in read], dtype=np.int8)
    if not known:
        like = "an ISO stamp" if stamps.format is None else f"a stamp like {stamps.format}"
        raise DataError(
            f'{table.source}, {table.where(0)}, column "{stamps.column}": "{str(cells[0]).strip()}" is not {like}, and '
            "neither is any other cell of the column"
        )
    notes = _unreadable(np.flatnonzero(flags == Flag.BAD), table, stamps.column)
    us = np.full(len(cells), NO_TIME, dtype=np.int64)
    aware = np.zeros(len(cells), dtype=np.bool_)
    for row, stamp in known:
        if stamp.tzinfo is None and stamps.zone is None:
            raise DataError(
                f'{table.source}, {table.where(row)}, column "{stamps.column}": the stamp "{str(cells[row]).strip()}" '
                f'has no zone; say Stamps("{stamps.column}", zone="Europe/Berlin"), or whichever zone the clock was in'
            )
        aware[row] = stamp.tzinfo is not None
        us[row] = (stamp - (_EPOCH if aware[row] else _EPOCH.replace(tzinfo=None))) // _MICROSECOND
    if stamps.zone is not None:
        us, flags, found = to_utc(us, stamps.zone, offset_known=aware, where=table.where)
        notes += found
    timed = us != NO_TIME
    if not timed.any():
        raise DataError(f'{table.source}, column "{stamps.column}": none of the stamps exists in {stamps.zone}')
    first = int(us[timed].min())
    seconds = np.where(timed, (us - first) / 1e6, np.nan)
    return Axis(seconds, flags, _EPOCH + first * _MICROSECOND, notes)


def start_on(axis: Axis, start: QuantityLike | dt.datetime) -> float:
    """Return `start` in seconds on `axis`: a time for elapsed columns, a stamp with zone for stamps.

    Raises DataError when the kind does not fit, UnitError for a quantity that is no time.
    """
    if axis.origin is None:
        if isinstance(start, dt.datetime):
            raise DataError('start= is a stamp, and the time column holds elapsed time; say start="30 min" or the like')
        if isinstance(start, int | float):  # bare seconds, as everywhere for times
            return float(start)
        if isinstance(start, str) and _is_iso(start):
            raise DataError(f'start="{start}" is a stamp, and the time column holds elapsed time; say start="30 min"')
        return to_si(start, as_unit("s"), name="start")
    if isinstance(start, dt.datetime):
        if start.tzinfo is None:
            raise DataError(f"start={start} has no zone; give it a tzinfo")
        moment = start.astimezone(dt.UTC)
    elif isinstance(start, str) and _is_iso(start):
        moment = parse_stamp(start)
    else:
        number, text = parse(start)
        raise DataError(
            f'start={number:g} {text}: the time column holds stamps; say start="2026-11-20T06:00+01:00" or the like'
        )
    return ((moment - axis.origin) // _MICROSECOND) / 1e6
