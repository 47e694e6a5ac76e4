"""A column of stamps as microseconds, millions at a time.

Stamps that are written alike have their digits in the same places. So a column is read by templates: the first stamp is
matched by the pattern of its format, every row with the same bytes between the digits is read with it as one matrix of
digits, and the next template comes from the first row that is left. polars' own parser is as fast for seconds, but four
times slower for fractions, and it is lenient where a wrong time would pass in silence.
"""

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.errors import DataError, PhysicsTwinError
from physics_twin.measurements.logs.cells import read_cells
from physics_twin.measurements.logs.stamp_formats import (
    DIGITS,
    FIRST_US,
    LAST_US,
    US_PER_DAY,
    US_PER_SECOND,
    StampPattern,
    constants,
    detect_stamp_format,
    pattern_of,
    read_stamp,
)
from physics_twin.measurements.logs.zones import NO_TIME, to_utc
from physics_twin.units import unit as as_unit

__all__ = ["NO_TIME", "Stamps64", "detect_stamp_format", "read_stamps", "to_utc"]

type Microseconds = NDArray[np.int64]

_FEW = 48  # rows that are read one by one: the fixed cost of a template is about as much
_MOST_TEMPLATES = 400  # twelve names of months, days and hours of one digit or two, a handful of offsets
_MOST_MISFITS = 50
_ROWS = 1 << 16  # of one matrix of digits: it stays in the cache

_UNIX = {"unix s": 1.0, "unix ms": 1e-3, "unix us": 1e-6, "unix ns": 1e-9}
_UNIX_RANGE = tuple(int(dt.datetime(y, 1, 1, tzinfo=dt.UTC).timestamp()) * US_PER_SECOND for y in (1990, 2100))
# Excel's day 60 is the 29 February 1900 that never was; from day 61 on the days count from 30 December 1899.
_EXCEL_ZERO = (dt.date(1899, 12, 30) - dt.date(1970, 1, 1)).days
_EXCEL_RANGE = (61.0, 2_958_466.0)


@dataclass(frozen=True, eq=False)
class Stamps64:
    """A column of stamps.

    local_us: (n,) microseconds since 1970 by the clock on the wall, or UTC where `offset_known`; for elapsed time since
    its zero; `NO_TIME` where not `ok`. offset_known: (n,) the stamp says where it stands. ok: (n,) it is a stamp.
    midnights: rows written as 24:00, read as 00:00 of the next day.
    """

    local_us: Microseconds
    offset_known: NDArray[np.bool_]
    ok: NDArray[np.bool_]
    midnights: NDArray[np.intp]


def read_stamps(
    column: pl.Series, *, format: str, second: pl.Series | None = None, decimal: str | None = None
) -> Stamps64:
    """Return a column of stamps as microseconds.

    column: (n,) texts, numbers, or dates and datetimes of a frame. format: "ISO", "excel" (days since 1900), "unix s",
    "unix ms", "unix us", "unix ns", a unit of time for elapsed time, or as in `datetime.strptime`; a datetime column
    does not need it. second: (n,) time of day in a column of its own; `format` is then that of both with a blank
    between. decimal: of numbers, "." or ","; either one without it.

    What does not fit the format, a date that does not exist (31 February) and the second of a leap second are not ok;
    nothing is shifted. Fractions are rounded to the microsecond, days since 1900 to the millisecond: their digits carry
    no more. Years of two digits are 1969 to 2068.

    Raises DataError for a format that is none.
    """
    n = len(column)
    if second is not None:
        if len(second) != n:
            raise DataError(f"{n} dates and {len(second)} times of day")
        if column.dtype in (pl.Date, pl.Datetime) and "%" in format:
            format = "ISO"  # a typed date is written as one
        column = _joined(column, second)
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, pl.Datetime):
        return _typed(column, column.dtype)
    scale = _scale(format)
    if scale is not None:
        return _numbers(column, format, scale, decimal)
    pattern = pattern_of(format)
    if column.dtype.is_integer() and format != "ISO":  # 20261120060000 in a frame
        column = column.cast(pl.String)
    if column.dtype.is_float() or column.dtype.is_integer() or column.dtype == pl.Null:
        column = pl.Series(column.name, [None] * n, dtype=pl.String)
    elif column.dtype != pl.String:
        column = pl.Series(column.name, [None if cell is None else str(cell) for cell in column], dtype=pl.String)
    return _Reading(n).read(column, pattern)


def _scale(format: str) -> float | None:
    """Return seconds per unit of a column of numbers, None for a pattern."""
    if format == "ISO" or "%" in format:
        return None
    if format == "excel":
        return 86_400.0
    if format in _UNIX:
        return _UNIX[format]
    try:
        unit = as_unit(format)
    except PhysicsTwinError:
        unit = None
    if unit is None or unit.dimension != as_unit("s").dimension:
        raise DataError(
            f'stamp_format="{format}": say "ISO", "%d.%m.%Y %H:%M:%S" or the like, "excel", "unix s", "unix ms", or a '
            'unit of time for elapsed time ("s", "min", "h")'
        )
    return float(unit.to_si(1.0))


def _typed(column: pl.Series, kind: pl.Datetime) -> Stamps64:
    ticks = column.to_physical()
    ok = ticks.is_not_null().to_numpy()
    whole = np.array(ticks.fill_null(0).to_numpy(), dtype=np.int64)
    us = whole * 1000 if kind.time_unit == "ms" else (whole + 500) // 1000 if kind.time_unit == "ns" else whole
    us[~ok] = NO_TIME
    return Stamps64(us, np.full(us.size, kind.time_zone is not None), ok, np.empty(0, dtype=np.intp))


def _numbers(column: pl.Series, format: str, scale: float, decimal: str | None) -> Stamps64:
    """Read days since 1900, seconds since 1970 or elapsed time."""
    n = len(column)
    whole: NDArray[np.int64] | None = None
    if column.dtype == pl.String:
        if decimal is None:
            decimal = "," if column.str.contains(",", literal=True).any() else "."
        cells = read_cells(column, decimal=decimal)
        values, censored = cells.values, cells.censored
        if censored is not None:
            values = np.where(censored != 0, np.nan, values)
        if scale < 1e-3:
            whole = column.str.strip_chars().cast(pl.Int64, strict=False).fill_null(NO_TIME).to_numpy()
    else:
        values = read_cells(column).values
        if scale < 1e-3 and column.dtype.is_integer():
            whole = column.cast(pl.Int64, strict=False).fill_null(NO_TIME).to_numpy()
    if format == "excel":
        inside = (values >= _EXCEL_RANGE[0]) & (values < _EXCEL_RANGE[1])
        ms = np.rint(np.where(inside, values, 0.0) * 86_400_000.0).astype(np.int64)
        us = ms * 1000 + _EXCEL_ZERO * US_PER_DAY
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            exact = values * (scale * 1e6) if scale >= 1e-6 else values / round(1e-6 / scale)
        inside = np.abs(exact) < 2.0**62
        us = np.rint(np.where(inside, exact, 0.0)).astype(np.int64)
        if whole is not None and format in _UNIX:  # a float has no room for the nanoseconds since 1970
            per = round(1e-6 / scale)
            us = np.where(whole != NO_TIME, (whole + per // 2) // per, us)
        if format in _UNIX:
            inside &= (us >= _UNIX_RANGE[0]) & (us < _UNIX_RANGE[1])
    us[~inside] = NO_TIME
    return Stamps64(us, np.full(n, format != "excel"), inside, np.empty(0, dtype=np.intp))


def _joined(dates: pl.Series, clocks: pl.Series) -> pl.Series:
    """Return date and time of day as one column of texts, null where either is."""
    if dates.dtype in (pl.Date, pl.Datetime):
        dates = dates.cast(pl.Date).dt.strftime("%Y-%m-%d")
    elif dates.dtype != pl.String:
        dates = dates.cast(pl.String)
    if clocks.dtype == pl.Datetime:  # a workbook gives a time of day as one of a day in 1900
        clocks = clocks.dt.time()
    if clocks.dtype == pl.Time:
        clocks = clocks.dt.strftime("%H:%M:%S%.6f")
    elif clocks.dtype != pl.String:
        clocks = clocks.cast(pl.String)
    return pl.select((pl.lit(dates) + " " + pl.lit(clocks)).alias(dates.name)).to_series()


@dataclass(frozen=True)
class _Template:
    """Where the digits of a stamp stand.

    n_bytes: of the text. fields: letter -> first and last byte + 1. fixed: places and bytes of everything else. month,
    afternoon, offset: what its words say, as of `stamp_formats.constants`.
    """

    n_bytes: int
    fields: dict[str, tuple[int, int]]
    places: NDArray[np.intp]
    fixed: NDArray[np.uint8]
    digits: NDArray[np.intp]
    month: int | None
    afternoon: bool | None
    offset: int | None


def _template(match: re.Match[str]) -> _Template | None:
    words = constants(match.groupdict())
    if words is None:
        return None
    text = match.string
    fields: dict[str, tuple[int, int]] = {}
    for letter in DIGITS:
        if letter in match.re.groupindex and match[letter] is not None:
            begin, end = (len(text[:k].encode()) for k in match.span(letter))
            fields[letter] = (begin, end)
    content = np.frombuffer(text.encode(), dtype=np.uint8)
    is_digit = np.zeros(content.size, dtype=np.bool_)
    for begin, end in fields.values():
        is_digit[begin:end] = True
    places = np.flatnonzero(~is_digit)
    return _Template(content.size, fields, places, content[places], np.flatnonzero(is_digit), *words)


# Days since 1970 of the first of each month, and the length of the month, by 12 * year + month - 1.
_MONTH_STARTS = np.arange(-1970 * 12, (10_000 - 1970) * 12 + 1).astype("datetime64[M]").astype("datetime64[D]")
_FIRST_DAY = _MONTH_STARTS.astype(np.int64).astype(np.int32)
_MONTH_DAYS = np.diff(_FIRST_DAY).astype(np.uint8)


def _parse(digits: NDArray[np.uint8], t: _Template) -> tuple[Microseconds, NDArray[np.bool_], NDArray[np.bool_]]:
    """Read the stamps of a matrix (n_bytes, n) of bytes: microseconds, whether they exist, whether at 24:00."""

    def number(letter: str) -> NDArray[np.int32]:
        begin, end = t.fields[letter]
        value: NDArray[np.int32] = digits[begin].astype(np.int32)
        for place in range(begin + 1, end):
            value *= 10
            value += digits[place]
        return value

    def small(letter: str) -> NDArray[np.uint8]:
        begin, end = t.fields[letter]
        value: NDArray[np.uint8] = digits[begin]
        return value if end - begin == 1 else value * np.uint8(10) + digits[begin + 1]

    n = digits.shape[1]
    if "Y" in t.fields:
        year = number("Y")
    else:
        year = number("y")
        year += np.where(year < 69, 2000, 1900)
    day = small("d")
    ok = day >= 1
    if t.month is None:
        month = small("m")
        ok &= (month >= 1) & (month <= 12)
        index = year * 12 + np.minimum(np.maximum(month, 1), 12) - 1
    else:
        index = year * 12 + (t.month - 1)
    ok &= (day <= _MONTH_DAYS[index]) & (year >= 1)
    days = _FIRST_DAY[index].astype(np.int64)
    days += day
    days -= 1
    seconds = np.zeros(n, dtype=np.int32)
    midnight = np.zeros(n, dtype=np.bool_)
    rest = np.zeros(n, dtype=np.bool_)
    for letter, factor in (("M", 60), ("S", 1)):
        if letter in t.fields:
            value = small(letter)
            ok &= value <= 59
            rest |= value != 0
            seconds += value.astype(np.int32) * factor if factor > 1 else value
    fraction: NDArray[np.int32] | None = None
    if "f" in t.fields:
        begin, end = t.fields["f"]
        fraction = number("f")  # nine digits are below 2**31
        rest |= fraction != 0
        if end - begin <= 6:
            fraction *= 10 ** (6 - (end - begin))
        else:
            scale = 10 ** (end - begin - 6)
            fraction = (fraction + scale // 2) // scale
    if "H" in t.fields:
        hour = small("H")
        late = hour >= 24
        if late.any():
            midnight = (hour == 24) & ~rest
            ok &= ~late | midnight
        if t.afternoon is not None:
            ok &= (hour >= 12) == t.afternoon
        seconds += hour.astype(np.int32) * 3600
    elif "I" in t.fields:
        hour = small("I")
        ok &= (hour >= 1) & (hour <= 12)
        seconds += (hour % 12).astype(np.int32) * 3600
        if t.afternoon:
            seconds += 43_200
    days *= 86_400
    days += seconds
    days *= US_PER_SECOND
    if fraction is not None:
        days += fraction
    if t.offset:
        days -= t.offset
    ok &= (days >= FIRST_US) & (days <= LAST_US)
    return days, ok, midnight & ok


class _Reading:
    """The stamps of a column while it is being read."""

    def __init__(self, n: int) -> None:
        self.us = np.full(n, NO_TIME, dtype=np.int64)
        self.known = np.zeros(n, dtype=np.bool_)
        self.ok = np.zeros(n, dtype=np.bool_)
        self.midnights: list[NDArray[np.intp]] = []

    def read(self, column: pl.Series, pattern: StampPattern) -> Stamps64:
        """Read template by template, and one by one what no template is worth while for."""
        if column.null_count():
            column = column.fill_null("")
        left: NDArray[np.intp] | None = None  # None are all rows
        n_left = len(column)
        lengths: NDArray[np.uint32] | None = None
        misfits = 0
        for _ in range(_MOST_TEMPLATES):
            if n_left <= _FEW or misfits > _MOST_MISFITS:
                break
            match = pattern.match(column[0 if left is None else int(left[0])])
            template = None if match is None else _template(match)
            if lengths is None:
                lengths = column.str.len_bytes().to_numpy()
            if template is None:
                misfits += 1
                left = np.arange(1, n_left) if left is None else left[1:]
            else:
                candidates = np.flatnonzero((lengths if left is None else lengths[left]) == template.n_bytes)
                everything = candidates.size == n_left
                rows = candidates if left is None else left[candidates]
                fits = self._by(column, rows, template)
                if everything:
                    left = rows[~fits]
                else:
                    stay = np.ones(n_left, dtype=np.bool_)
                    stay[candidates[fits]] = False
                    left = np.flatnonzero(stay) if left is None else left[stay]
            n_left = left.size
        self._one_by_one(column, np.arange(len(column)) if left is None else left, pattern)
        midnights = np.sort(np.concatenate(self.midnights)) if self.midnights else np.empty(0, dtype=np.intp)
        return Stamps64(self.us, self.known, self.ok, midnights)

    def _by(self, column: pl.Series, rows: NDArray[np.intp], t: _Template) -> NDArray[np.bool_]:
        """Read the rows that look like the template; return which of them do, (n_rows,)."""
        fits = np.empty(rows.size, dtype=np.bool_)
        whole = rows.size == len(column)
        for begin in range(0, rows.size, _ROWS):
            of = rows[begin : begin + _ROWS]
            part = column.slice(begin, of.size) if whole else column.gather(of)
            content = np.frombuffer(part.str.join("")[0].encode(), dtype=np.uint8)
            turned = content.reshape(of.size, t.n_bytes).T.copy()  # of one row, the transpose alone would be read-only
            here = np.ones(of.size, dtype=np.bool_)
            for place, byte in zip(t.places, t.fixed, strict=True):
                here &= turned[place] == byte
            turned -= np.uint8(48)
            for place in t.digits:
                here &= turned[place] <= 9
            fits[begin : begin + of.size] = here
            if not here.all():
                turned, of = turned[:, here], of[here]
            us, ok, midnight = _parse(turned, t)
            if not ok.all():
                us[~ok] = NO_TIME
            to: slice | NDArray[np.intp] = slice(begin, begin + of.size) if whole and here.all() else of
            self.us[to] = us
            self.ok[to] = ok
            if t.offset is not None:
                self.known[to] = ok
            if midnight.any():
                self.midnights.append(of[midnight])
        return fits

    def _one_by_one(self, column: pl.Series, rows: NDArray[np.intp], pattern: StampPattern) -> None:
        """Read the rows that are left, each distinct text once."""
        if not rows.size:
            return
        texts = column.to_list() if rows.size == len(column) else column.gather(rows).to_list()
        seen = {text: read_stamp(text, pattern) for text in dict.fromkeys(texts)}
        late = []
        for row, text in zip(rows.tolist(), texts, strict=True):
            stamp = seen[text]
            if stamp is not None:
                self.us[row], self.known[row], self.ok[row] = stamp.us, stamp.offset_known, True
                if stamp.midnight:
                    late.append(row)
        if late:
            self.midnights.append(np.array(late, dtype=np.intp))
