"""Moments of a twin: whole nanoseconds since 1970 in UTC: equal times are equal, and nothing is rounded twice."""

import datetime as dt
from typing import Any

import numpy as np

from physics_twin.errors import DataError

SECOND = 1_000_000_000
"""ns"""
LATEST = 9_200_000_000_000_000_000
"""ns: what 64 bits hold, less some months, by which clocks and delays may move a moment; earliest without its sign."""
_YEARS = (1679, 2261)


def moment(when: Any) -> int:
    """ns since 1970, UTC, of a text ("2026-11-20T06:00Z"), an aware datetime, a numpy.datetime64 (UTC) or ns.

    Raises DataError for a time without a zone, for what is no time, and for one outside the years 1679 to 2261: servers
    send 9999-12-31 for never.

    >>> moment("1970-01-01T01:00:00.5+01:00")
    500000000
    """
    if isinstance(when, int | np.integer) and not isinstance(when, bool):
        return _within(int(when), when)
    if isinstance(when, np.datetime64):
        if np.isnat(when):
            raise DataError("NaT is no moment")
        if not _YEARS[0] <= when.astype("datetime64[Y]").astype(np.int64) + 1970 <= _YEARS[1]:
            raise _outside(when)  # numpy would wrap it around
        return int(when.astype("datetime64[ns]").astype(np.int64))
    stamp = when
    if isinstance(when, str):
        try:
            stamp = dt.datetime.fromisoformat(when)
        except ValueError:
            raise DataError(f'"{when}" is no moment; write it as 2026-11-20T06:00:00Z') from None
    if not isinstance(stamp, dt.datetime):
        raise DataError(f"{when!r} is no moment; give a text as 2026-11-20T06:00:00Z or an aware datetime")
    if stamp.tzinfo is None:
        raise DataError(f"{when} has no zone; a twin's clock is UTC: write {stamp.isoformat()}Z, or its offset")
    since = stamp - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return _within(((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000, when)


def _within(ns: int, when: Any) -> int:
    if not -LATEST <= ns <= LATEST:
        raise _outside(when)
    return ns


def _outside(when: Any) -> DataError:
    return DataError(f"{when} is no moment of a plant: a twin's clock goes from {_YEARS[0]} to {_YEARS[1]}")


def stamp(ns: int) -> str:
    """A moment as text, UTC, without trailing zeros.

    >>> stamp(1_500_000_000)
    '1970-01-01T00:00:01.5Z'
    """
    whole, part = divmod(int(ns), SECOND)
    text = (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{part:09d}".rstrip("0") + "Z" if part else f"{text}Z"


def utc(ns: int) -> dt.datetime:
    """A moment as an aware datetime, to the microsecond."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=ns // 1000)
