"""How a stamp is written: patterns for one stamp, and which of them fits a column.

`datetime.strptime` is not used: it takes a minute of a leap second for the next one, knows the month names of one
language, and drops what is finer than a microsecond. A pattern here says where the digits stand, which is also what
lets `logs.stamps` read ten million of them as one matrix of digits.
"""

import datetime as dt
import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from physics_twin.errors import DataError

__all__ = ["Stamp", "StampPattern", "detect_stamp_format", "pattern_of", "read_stamp"]

_BLANK = "[ \\t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]"
_OFFSET = "(?P<z>[Zz]|UTC|GMT|[+\\-\N{MINUS SIGN}][0-9]{2}(?::?[0-9]{2})?)"

# Abbreviations as exports write them: English, German, French, Spanish, Italian; full names begin with them.
_MONTHS = {
    1: "jan january januar jän jänner janv janvier ene enero gen gennaio",
    2: "feb february februar févr fév février fevr fev febrero febbraio",
    3: "mar march mär märz mrz maerz mars marzo",
    4: "apr april avr avril abr abril aprile",
    5: "may mai mayo mag maggio",
    6: "jun june juni juin junio giu giugno",
    7: "jul july juli juil juillet julio lug luglio",
    8: "aug august août aoû aout ago agosto",
    9: "sep sept september septembre septiembre set settembre",
    10: "oct october okt oktober octobre octubre ott ottobre",
    11: "nov november novembre noviembre",
    12: "dec december dez dezember déc décembre dic diciembre dicembre",
}
MONTH_OF = {name: month for month, names in _MONTHS.items() for name in names.split()}

_FIELDS = {
    "Y": r"(?P<Y>[0-9]{4})",
    "y": r"(?P<y>[0-9]{2})",
    "b": r"(?P<b>[^\W\d_]+\.?)",
    "B": r"(?P<b>[^\W\d_]+\.?)",
    "p": rf"(?P<p>[AaPp]\.?{_BLANK}?[Mm]\.?)",
    "z": rf"{_BLANK}*{_OFFSET}",
    "a": r"[^\W\d_]+\.?",
    "A": r"[^\W\d_]+\.?",
    "%": "%",
}
_SHORT = frozenset("mdHIMS")  # one digit or two, as in 7.4.2026 6:00

_DATE = r"(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
_ISO = (
    rf"{_DATE}(?:(?:[Tt]|{_BLANK}+)(?P<H>[0-9]{{2}}):(?P<M>[0-9]{{2}})"
    rf"(?::(?P<S>[0-9]{{2}})(?:[.,](?P<f>[0-9]{{1,9}}))?)?(?:{_BLANK}*{_OFFSET})?)?",
    rf"(?P<Y>[0-9]{{4}})(?P<m>[0-9]{{2}})(?P<d>[0-9]{{2}})[Tt](?P<H>[0-9]{{2}})(?P<M>[0-9]{{2}})"
    rf"(?:(?P<S>[0-9]{{2}})(?:[.,](?P<f>[0-9]{{1,9}}))?)?{_OFFSET}?",
)

_LONGEST = 200  # characters of a stamp; a megabyte of blanks in a cell is none, and would be slow to refuse

DIGITS = ("Y", "y", "m", "d", "H", "I", "M", "S", "f")
US_PER_SECOND = 1_000_000
US_PER_DAY = 86_400 * US_PER_SECOND
_EPOCH = dt.date(1970, 1, 1).toordinal()
# What a datetime can hold: 24:00 on the last day of 9999 is none, nor is the first of year 1 east of Greenwich.
FIRST_US, LAST_US = (1 - _EPOCH) * US_PER_DAY, (dt.date.max.toordinal() + 1 - _EPOCH) * US_PER_DAY - 1


class Stamp(NamedTuple):
    """One stamp. us: since 1970, by the clock on the wall, or UTC where `offset_known`. midnight: written as 24:00."""

    us: int
    offset_known: bool
    midnight: bool


@dataclass(frozen=True)
class StampPattern:
    """A format as regular expressions, tried in turn; the groups carry the letters of `datetime.strptime`."""

    format: str
    expressions: tuple[re.Pattern[str], ...]

    def match(self, text: str) -> re.Match[str] | None:
        """Return the match of a text that is a stamp of this format, blanks around it allowed."""
        if len(text) > _LONGEST:
            return None
        for expression in self.expressions:
            match = expression.fullmatch(text)
            if match is not None:
                return match
        return None


@functools.lru_cache(maxsize=4096)
def pattern_of(format: str) -> StampPattern:
    """Return the pattern of "ISO" or of a format like "%d.%m.%Y %H:%M:%S".

    Directives: %Y %y %m %d %b %B %H %I %p %M %S %f %z %a %A %%. A fraction after a point or a comma may be missing or
    have up to nine digits. A blank stands for one blank or more.

    Raises DataError for a directive that is none of these, one that comes twice, or a format without a full date.
    """
    if format == "ISO":
        return StampPattern(format, tuple(re.compile(_around(body)) for body in _ISO))
    tokens = re.findall(r"%.|\s+|[^%\s]|%", format.strip())
    parts: list[str] = []
    for k, token in enumerate(tokens):
        if token[0] != "%":
            fraction = token in ".," and tokens[k + 1 : k + 2] == ["%f"]
            parts.append("" if fraction else f"{_BLANK}+" if token.isspace() else re.escape(token))
            continue
        letter = token[1:]
        if letter in _SHORT:
            beside = [tokens[j][1:] for j in (k - 1, k + 1) if 0 <= j < len(tokens) and tokens[j][0] == "%"]
            glued = any(other in DIGITS for other in beside)
            parts.append(rf"(?P<{letter}>[0-9]{{{'2' if glued else '1,2'}}})")
        elif letter == "f":
            # After a colon "5" may be 5 ms or 0.5 s: only full milli- or microseconds are believed.
            after = tokens[k - 1] if k else ""
            body = r"(?P<f>[0-9]{1,9})"
            parts.append(rf"(?:[.,]{body})?" if after in (".", ",") else r"(?P<f>[0-9]{6}|[0-9]{3})")
        elif letter in _FIELDS:
            parts.append(_FIELDS[letter])
        else:
            raise DataError(
                f'stamp_format="{format}": "{token}" is not known; use %Y %y %m %d %b %H %I %p %M %S %f %z, or "ISO"'
            )
    try:
        expression = re.compile(_around("".join(parts)))
    except re.error:
        raise DataError(f'stamp_format="{format}": a directive comes twice') from None
    have = expression.groupindex.keys()
    if not ({"Y", "y"} & have and {"m", "b"} & have and "d" in have) or {"Y", "y"} <= have or {"H", "I"} <= have:
        raise DataError(
            f'stamp_format="{format}": a stamp needs a year, a month and a day, each once; a time of day in a column '
            'of its own goes beside it: time=("Date", "Time")'
        )
    if "I" in have and "p" not in have:
        raise DataError(f'stamp_format="{format}": hours to twelve (%I) need %p; hours to 24 are %H')
    return StampPattern(format, (expression,))


def _around(body: str) -> str:
    return rf"\s*{body}\s*"


def constants(groups: Mapping[str, str | None]) -> tuple[int | None, bool | None, int | None] | None:
    """Return what words among the groups say: (month by its name, afternoon, offset in us), None if one says nothing.

    Each of the three is None where the stamp does not state it.
    """
    month = afternoon = offset = None
    name = groups.get("b")
    if name is not None:
        month = MONTH_OF.get(name.rstrip(".").casefold())
        if month is None:
            return None
    half = groups.get("p")
    if half is not None:
        afternoon = half[0] in "Pp"
    text = groups.get("z")
    if text is not None:
        offset = 0
        if text[0] not in "ZzUG":
            digits = text[1:].replace(":", "")
            hours, minutes = int(digits[:2]), int(digits[2:] or "0")
            if hours > 15 or minutes > 59:
                return None
            offset = (hours * 60 + minutes) * 60 * US_PER_SECOND * (1 if text[0] == "+" else -1)
    return month, afternoon, offset


def read_stamp(text: str, pattern: StampPattern) -> Stamp | None:
    """Return one stamp, or None if it is none of this format or a date or time that does not exist."""
    match = pattern.match(text)
    if match is None:
        return None
    groups = match.groupdict()
    words = constants(groups)
    if words is None:
        return None
    month, afternoon, offset = words
    get = groups.get
    whole = get("Y")
    if whole is None:
        year = int(groups["y"])
        year += 2000 if year < 69 else 1900
    else:
        year = int(whole)
    twelve = get("I")
    if twelve is not None:
        hour = int(twelve)
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if afternoon else 0)
    else:
        hour = int(get("H") or 0)
        if afternoon is not None and afternoon != (hour >= 12):  # "08:00 PM" by a clock that goes to 24
            return None
    minute, second = int(get("M") or 0), int(get("S") or 0)
    digits = get("f")
    nanoseconds = int(digits.ljust(9, "0")) if digits else 0
    midnight = hour == 24 and minute == second == nanoseconds == 0
    if (hour > 23 and not midnight) or minute > 59 or second > 59:
        return None
    try:
        day = dt.date(year, month or int(groups["m"]), int(groups["d"])).toordinal() - _EPOCH
    except ValueError:
        return None
    us = day * US_PER_DAY + ((hour * 60 + minute) * 60 + second) * US_PER_SECOND + (nanoseconds + 500) // 1000
    us -= offset or 0
    return Stamp(us, offset is not None, midnight) if FIRST_US <= us <= LAST_US else None


_TIMES = [
    "%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H:%M:%S:%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M:%S.%f %p", "%I:%M:%S%p",
    "%I:%M%p", "%H.%M.%S", "%H.%M", "%H%M%S",
]  # fmt: skip
_JOINTS = [" ", ", ", "T", "-", "_", ":"]
# Families of dates that look alike. Within one, what fits is told apart by a field above 12 or not at all; German
# points mean day before month unless that is impossible.
_FAMILIES = [
    [["%d.%m.%Y"], ["%m.%d.%Y"]],
    [["%d.%m.%y", "%y.%m.%d"], ["%m.%d.%y"]],
    [["%d/%m/%Y", "%m/%d/%Y"]],
    [["%d/%m/%y", "%m/%d/%y", "%y/%m/%d"]],
    [["%d-%m-%Y", "%m-%d-%Y"]],
    [["%d-%m-%y", "%m-%d-%y", "%y-%m-%d"]],
    [["%Y/%m/%d"]],
    [["%Y.%m.%d"]],
    [["%Y-%m-%d"]],
    [["%d-%b-%y"]],
    [["%d-%b-%Y"]],
    [["%d %b %Y"], ["%d %b %y"]],
    [["%d. %b %Y"]],
    [["%d/%b/%Y"], ["%d/%b/%y"]],
    [["%d.%b.%Y"], ["%d.%b.%y"]],
    [["%b %d, %Y"], ["%b %d %Y"]],
    [["%b-%d-%Y"]],
    [["%Y-%b-%d"]],
    [["%a %d %b %Y"], ["%a, %d %b %Y"], ["%a %d-%b-%Y"], ["%a %d.%m.%Y"], ["%a %b %d %Y"]],
]  # fmt: skip
_COMPACT = ["%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d%H%M%S.%f"]
_UNIX = {10: ("unix s", 1), 13: ("unix ms", 10**3), 16: ("unix us", 10**6), 19: ("unix ns", 10**9)}
_NUMBER = re.compile(r"([+-]?)([0-9]+)(?:[.,]([0-9]*))?(?:[eE][+-]?[0-9]+)?")
_YEARS = (2000, 2050)


def detect_stamp_format(samples: Sequence[str], *, header: str = "") -> str:
    """Return the format of a column of stamps, as `Layout.stamp_format` has it.

    samples: cells from everywhere in the column; blank ones do not count. header: of the column; of plain numbers it
    tells the unit: "t [min]", "time_s". A format is taken only if it fits every sample and is the only one that does:
    whether the day or the month stands first has to be proven by a number above 12.

    Raises DataError, naming the candidates and what to declare, when several formats fit or none does.
    """
    texts = list(dict.fromkeys(text.strip()[: _LONGEST + 1] for text in samples if text.strip()))
    if not texts:
        raise DataError("the column of stamps is empty; say time= the header of the column that holds them")
    if all(_NUMBER.fullmatch(text) for text in texts) and not _date_with_points(texts):
        return _numeric_format(texts, header)
    iso = pattern_of("ISO")
    if all(read_stamp(text, iso) for text in texts):
        return "ISO"
    for family in _FAMILIES:
        for rank in family:
            fitting = [(date, format) for date in rank for format in _timed(date, texts)]
            dates = list(dict.fromkeys(date for date, _ in fitting))
            if len(dates) > 1:
                declared = " or ".join(f'stamp_format="{next(f for d, f in fitting if d == date)}"' for date in dates)
                raise DataError(
                    f'"{texts[0]}" can be read in {len(dates)} ways, and none of the {len(texts)} stamps that were '
                    f"looked at has a number above 12 that decides; say {declared}"
                )
            if fitting:
                return fitting[0][1]
    first, odd = _nearest(texts)
    if first:
        raise DataError(f'"{odd}" is no stamp like "{texts[0]}" ({first}); say stamp_format="{first}" to have it bad')
    raise DataError(
        f'"{texts[0]}" is no stamp that is known; say stamp_format="%d.%m.%Y %H:%M:%S" or the like '
        "(%b is the name of a month, %p is AM or PM)"
    )


def _date_with_points(texts: Sequence[str]) -> bool:
    return any(text.count(".") + text.count(",") > 1 for text in texts)


def _timed(date: str, texts: Sequence[str]) -> Iterable[str]:
    """Return the formats with this date, and a time of day or none, that fit all texts."""
    first = texts[0]
    if not pattern_of(date).expressions[0].match(first):
        return
    formats = itertools.chain((date + joint + time for time in _TIMES for joint in _JOINTS), (date,))
    for plain in formats:
        for format in (plain, plain + "%z") if plain != date else (plain,):
            pattern = pattern_of(format)
            if read_stamp(first, pattern) and all(read_stamp(text, pattern) for text in texts):
                yield format


def _nearest(texts: Sequence[str]) -> tuple[str, str]:
    """Return the format of the first text, if only one fits it, and the first text that it does not fit."""
    try:
        format = detect_stamp_format(texts[:1]) if len(texts) > 1 else ""
    except DataError:
        return "", ""
    if not format or ("%" not in format and format != "ISO"):
        return "", ""
    pattern = pattern_of(format)
    return format, next((text for text in texts if not read_stamp(text, pattern)), "")


def _numeric_format(texts: Sequence[str], header: str) -> str:
    whole = {len(text.replace(",", ".").split(".")[0]) for text in texts}
    exponents = any("e" in text.lower() for text in texts)
    if len(whole) == 1 and not exponents:
        for compact in _COMPACT:
            pattern = pattern_of(compact)
            stamps = [read_stamp(text, pattern) for text in texts]
            if all(stamp is not None and _plausible(stamp.us / US_PER_SECOND) for stamp in stamps):
                return compact
        n_digits = whole.pop()
        if n_digits in _UNIX:
            format, scale = _UNIX[n_digits]
            if all(_plausible(float(text.replace(",", ".")) / scale) for text in texts):
                return format
    unit = _unit_of(header)
    if unit:
        return unit
    values = [float(text.replace(",", ".")) for text in texts]
    # 36526 is the year 2000 and 55153 the end of 2050. Five decimals are a second of a day and no way to write one.
    serial = all(36_526 <= value < 55_153 for value in values)
    if serial and any(len((text.replace(",", ".") + ".").split(".")[1]) >= 5 for text in texts):
        return "excel"
    what = "days since 1900 or elapsed time" if serial else "elapsed time in no stated unit"
    excel = 'stamp_format="excel", ' if serial else ""
    raise DataError(
        f'the column of stamps{f" {chr(34)}{header}{chr(34)}" if header else ""} holds numbers like "{texts[0]}", '
        f'{what}; say {excel}stamp_format="s", "min" or "h", or "unix s" or "unix ms"'
    )


def _plausible(seconds: float) -> bool:
    low, high = (dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp() for year in _YEARS)
    return low <= seconds < high


_UNIT_WORDS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "sek": "s", "sekunden": "s", "ms": "ms",
    "min": "min", "mins": "min", "minute": "min", "minutes": "min", "minuten": "min", "h": "h", "hr": "h", "hrs": "h",
    "hour": "h", "hours": "h", "std": "h", "stunden": "h",
}  # fmt: skip


def _unit_of(header: str) -> str:
    """Return the unit that a header ends in: "t [min]", "Time (s)", "time_h", "Elapsed seconds", "t/s"."""
    words = re.findall(r"[^\W\d_]+", header)
    return _UNIT_WORDS.get(words[-1].casefold() if words[-1].upper() != "S" else "s", "") if words else ""
