"""What the columns of an export are: time and how its stamps are written, tags, values, quality.

A wrong order of day and month moves a batch by half a year, so each step takes only what a single reading of the cells
allows.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import polars as pl

from physics_twin.errors import DataError, unknown_name
from physics_twin.measurements.logs.headers import (
    LONGEST_NAME,
    NUMBER,
    QUALITY_NAME,
    STAMP_LIKE,
    TIME_NAME,
    bracketed_unit,
    is_unit,
)
from physics_twin.measurements.logs.layout import Layout, LongForm, WideForm
from physics_twin.measurements.logs.signs import detect_numbers
from physics_twin.measurements.logs.stamps import detect_stamp_format, read_stamps
from physics_twin.measurements.tags.export_units import read_unit
from physics_twin.units import unit as as_unit

__all__ = ["Sample", "declared_columns", "detect_columns", "in_utc"]

_MOST = 0.8  # a column is of stamps if so many of its cells are: logs have dirt
_ASKED = 200  # stamps that are looked at one by one where they do not all have one format
_UTC = re.compile(r"(?i)(?:^|[\W_])(?:utc|gmt|zulu)(?![\w]|\s{0,2}[-+±]\s{0,2}\d)")
_TAG = re.compile(
    r"(?i)^(?:tag|tags|tag ?_?names?|name|point|point ?_?(?:id|name)|variable|signal|sensor|channel|item|item ?id|"
    r"parameter|messstelle|messstellenname|kanal|attribute)$"
)
_VALUE = re.compile(r"(?i)^(?:value|values|val|wert|werte|messwert|reading|result|valeur|valor|process ?value|pv)$")
_UNIT = re.compile(r"(?i)^(?:units?|uom|einheit|eu|eng(?:ineering)? ?_?units?|unité|unidad)$")
_PAIRED = re.compile(r"(?i)^(.*?)[ ._/:-]*(?:quality|qual|opc ?quality|quality ?code|status ?code)$")
_DATE = re.compile(r"\d{1,4}[-./](?:\d{1,2}|[A-Za-z]{3})[-./]\d{1,4}")
_CLOCK = re.compile(r"(?i)\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s{0,2}[ap]m)?")
_DIGITS = re.compile(r"\d{10,13}(?:\.\d+)?")
_ELAPSED_UNITS = ("us", "ms", "s", "min", "h", "d")
_ELAPSED = re.compile(r"^(.+?)(?:\s*/\s*|_)(us|ms|s|sec|min|h|hr|d)$")


@dataclass(frozen=True)
class Sample:
    """Rows from the beginning of an export and from places further on, to tell its format from.

    names: headers. units: header -> text of the row of units. columns: header -> cells as texts. separator: of a text
    file, "" for workbooks and frames. typed: columns that are numbers by their type.
    """

    names: tuple[str, ...]
    units: Mapping[str, str]
    columns: Mapping[str, Sequence[str]]
    source: str
    separator: str = ""
    typed: frozenset[str] = frozenset()


def detect_columns(sample: Sample, known: Layout) -> Layout:
    """Return `known` with time, stamp format, form, decimal and thousands sign filled in from the columns.

    Raises DataError that says what to declare, UnknownNameError for a declared column that is not there.
    """
    for name in declared_columns(known):
        if name not in sample.names:
            raise unknown_name(f"column of {sample.source}", name, sample.names)
    time, stamp_format = _time(sample, known)
    zone = known.zone
    if zone is None and stamp_format not in _ELAPSED_UNITS and not stamp_format.startswith("unix") and in_utc(time):
        zone = "UTC"
    form = known.form or _form(sample, time)
    values = _value_columns(sample, time, form)
    if stamp_format in _ELAPSED_UNITS and isinstance(time, str):
        values.append(time)  # 0,5 s shows the decimal sign as well as a value does
    shown = {name: _numeric_cells(sample, name, form, known.texts or ()) for name in values if name not in sample.typed}
    decimal, thousands = detect_numbers(shown, known.decimal, known.thousands, sample.separator, sample.source)
    return replace(
        known, time=time, stamp_format=stamp_format, zone=zone, form=form, decimal=decimal, thousands=thousands
    )


def in_utc(time: str | tuple[str, str]) -> bool:
    """Whether the header of the time says that the clock is in UTC: "Time (UTC)", and not "UTC+1"."""
    names = (time,) if isinstance(time, str) else time
    return any(_UTC.search(name[:LONGEST_NAME]) for name in names)


def declared_columns(known: Layout) -> list[str]:
    """Return the columns that a layout names."""
    names: list[str] = []
    if known.time is not None:
        names += [known.time] if isinstance(known.time, str) else list(known.time)
    if isinstance(known.form, LongForm):
        names += [n for n in (known.form.tag, known.form.value, known.form.quality, known.form.unit) if n]
    elif isinstance(known.form, WideForm):
        names += [*known.form.quality.keys(), *known.form.quality.values()]
    return names


def _numeric_cells(sample: Sample, name: str, form: LongForm | WideForm, texts: tuple[str, ...]) -> Sequence[str]:
    """Return the cells of a column that may be numbers: those of tags that are declared as texts are not."""
    if isinstance(form, LongForm) and texts and name == form.value:
        return [
            cell for tag, cell in zip(sample.columns[form.tag], sample.columns[name], strict=True) if tag not in texts
        ]
    return () if name in texts else sample.columns[name]


def _value_columns(sample: Sample, time: str | tuple[str, str], form: LongForm | WideForm) -> list[str]:
    if isinstance(form, LongForm):
        return [form.value]
    others = {time} if isinstance(time, str) else set(time)
    others |= set(form.quality.values())
    return [name for name in sample.names if name not in others]


def _share(cells: Iterable[str], pattern: re.Pattern[str]) -> float:
    filled = [cell for cell in cells if cell]
    return sum(bool(pattern.fullmatch(cell)) for cell in filled) / len(filled) if filled else 0.0


def _time(sample: Sample, known: Layout) -> tuple[str | tuple[str, str], str]:
    names = [name for name in sample.names if name in sample.columns and name not in (known.texts or ())]
    if isinstance(known.time, tuple):
        date, clock = known.time
        return known.time, known.stamp_format or _pair_format(sample, date, clock)
    if known.time is not None:
        return known.time, known.stamp_format or _format_of(sample, known.time)
    if isinstance(known.form, LongForm):
        taken = {known.form.tag, known.form.value, known.form.quality, known.form.unit}
        names = [name for name in names if name not in taken]
    dates = [name for name in names if _share(sample.columns[name], _DATE) >= _MOST]
    clocks = [name for name in names if _share(sample.columns[name], _CLOCK) >= _MOST]
    full = [
        name
        for name in names
        if name not in dates and name not in clocks and _share(sample.columns[name], STAMP_LIKE) >= _MOST
    ]
    if known.stamp_format is not None and not full + dates:
        full = [name for name in names if TIME_NAME.search(name)][:1] or names[:1]
        return full[0], known.stamp_format
    if len(full) > 1:
        raise DataError(
            f'{sample.source}: the columns "{full[0]}" and "{full[1]}" both hold stamps; say which is the time of the '
            f'value, layout=Layout(time="{full[0]}")'
        )
    if full:
        return full[0], known.stamp_format or _format_of(sample, full[0])
    if len(dates) == 1 and len(clocks) == 1:
        pair = (dates[0], clocks[0])
        return pair, known.stamp_format or _pair_format(sample, *pair)
    if len(dates) == 1 and not clocks:
        return dates[0], known.stamp_format or _format_of(sample, dates[0])
    if dates or clocks:
        raise DataError(
            f"{sample.source}: dates in {dates}, times of day in {clocks}; say which belong together, "
            'layout=Layout(time=("Date", "Time"))'
        )
    numeric = [name for name in names if _share(sample.columns[name], NUMBER) >= _MOST]
    timely = [name for name in numeric if TIME_NAME.search(name)]
    epochs = [name for name in timely or numeric if _share(sample.columns[name], _DIGITS) >= _MOST]
    if len(epochs) == 1:
        return epochs[0], known.stamp_format or _format_of(sample, epochs[0])
    if len(timely) > 1 and len([name for name in timely if _unit_of_time(sample, name)]) == 1:
        timely = [name for name in timely if _unit_of_time(sample, name)]
    if len(timely) > 1 and timely[0] == names[0]:
        timely = timely[:1]
    if len(timely) == 1:
        return timely[0], known.stamp_format or _format_of(sample, timely[0])
    raise DataError(
        f"{sample.source}: no column of {list(sample.names)} is clearly the time; say which, "
        'layout=Layout(time="Time", stamp_format="%d.%m.%Y %H:%M:%S"), or stamp_format="s" for elapsed seconds'
    )


def _format_of(sample: Sample, name: str) -> str:
    """Return the stamp format of a column. Raises DataError that says what to declare."""
    cells = [cell for cell in sample.columns.get(name, ()) if cell]
    if not cells:
        raise DataError(f'{sample.source}, column "{name}": no cell holds a time')
    numeric = _share(cells, NUMBER) >= _MOST and _share(cells, STAMP_LIKE) < _MOST
    if numeric:
        unit = _unit_of_time(sample, name)
        if unit:
            return unit
        if _share(cells, _DIGITS) < _MOST:
            raise DataError(
                f'{sample.source}, column "{name}": "{cells[0]}" has no unit; say stamp_format="s" (or "min", "h") for '
                'elapsed time, "excel" for days since 1900: layout=Layout(stamp_format="s")'
            )
        cells = [cell for cell in cells if _DIGITS.fullmatch(cell)]
    else:
        like = [cell for cell in cells if STAMP_LIKE.fullmatch(cell)]
        # Spreadsheets write midnight as a bare date; the other cells show the whole format.
        cells = [cell for cell in like if not _DATE.fullmatch(cell)] or like or cells
    return _stamps(cells, sample.source, name)


def _pair_format(sample: Sample, date: str, clock: str) -> str:
    pairs = zip(sample.columns.get(date, ()), sample.columns.get(clock, ()), strict=True)
    cells = [f"{d} {t}" for d, t in pairs if _DATE.fullmatch(d) and _CLOCK.fullmatch(t)]
    if not cells:
        raise DataError(
            f'{sample.source}: no row has a date in "{date}" and a time of day in "{clock}"; say '
            'layout=Layout(time=("Date", "Time"))'
        )
    return _stamps(cells, sample.source, f"{date} {clock}")


def _stamps(cells: list[str], source: str, column: str) -> str:
    try:
        return detect_stamp_format(cells)
    except DataError as error:
        # One broken stamp among many is no other format: the format of most of those that are clear, if it is the only
        # one for all that it fits.
        formats: Counter[str] = Counter()
        for cell in list(dict.fromkeys(cells))[:_ASKED]:
            with suppress(DataError):
                formats[detect_stamp_format([cell])] += 1
        for format, _ in formats.most_common(2):
            ok = read_stamps(pl.Series(cells, dtype=pl.String), format=format).ok
            fitting = [cell for cell, fits in zip(cells, ok, strict=True) if fits]
            if 2 * len(fitting) > len(cells):
                with suppress(DataError):
                    return detect_stamp_format(fitting)
        raise DataError(f'{source}, column "{column}": {error}') from None


def _unit_of_time(sample: Sample, name: str) -> str:
    """Return the unit of a column of elapsed time, from the row of units or from its name; "" if none is stated."""
    found = _ELAPSED.match(name)
    for text in (sample.units.get(name, ""), bracketed_unit(name), found[2] if found else ""):
        text = {"sec": "s", "hr": "h", "hours": "h", "minutes": "min", "seconds": "s"}.get(text.lower(), text)
        own = read_unit(text).unit if text and is_unit(text) else None
        if own is not None and own.dimension == as_unit("s").dimension:
            return own.text
    return ""


def _form(sample: Sample, time: str | tuple[str, str]) -> LongForm | WideForm:
    stamps = [time] if isinstance(time, str) else list(time)
    names = [name for name in sample.names if name not in stamps and name in sample.columns]
    tags = [name for name in names if _TAG.match(name)]
    values = [name for name in names if _VALUE.match(name)]
    qualities = [name for name in names if QUALITY_NAME.match(name)]
    units = [name for name in names if _UNIT.match(name)]
    quality = qualities[0] if len(qualities) == 1 else None
    unit = units[0] if len(units) == 1 else None
    if len(tags) == 1 and len(values) == 1:
        return LongForm(tags[0], values[0], quality, unit)
    pairs = _quality_pairs(names)
    rest = [name for name in names if name not in (quality, unit)]
    texts = [name for name in rest if _share(sample.columns[name], NUMBER) < 0.5 and any(sample.columns[name])]
    numeric = [name for name in rest if _share(sample.columns[name], NUMBER) >= 0.5]
    if len(names) <= 4 and len(texts) == 1 and len(numeric) == 1:
        when = list(zip(*(sample.columns[name] for name in stamps), strict=True))
        again = _one_row_a_tag(when, sample.columns[texts[0]])
        if tags == texts or values == numeric or (again and not pairs):
            return LongForm(texts[0], numeric[0], quality, unit)
    if len(rest) == 2 and len(values) == 1 and len(texts) == 2:  # a log of nothing but states
        return LongForm(next(name for name in rest if name != values[0]), values[0], quality, unit)
    return WideForm(pairs)


def _one_row_a_tag(stamps: Sequence[tuple[str, ...]], texts: Sequence[str]) -> bool:
    """Whether stamps come once for each text: side by side, or text after text from the beginning.

    The hour that is repeated in autumn lets stamps come twice in wide form, too, but neither way.
    """
    n = len(stamps)
    side_by_side = sum(a == b for a, b in itertools.pairwise(stamps))
    changes = sum(a != b for a, b in itertools.pairwise(texts))
    one_by_one = changes == len(set(texts)) - 1 and len(set(stamps)) <= 0.6 * n
    return side_by_side >= 0.3 * n or one_by_one


def _quality_pairs(names: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for before, name in itertools.pairwise(names):
        found = _PAIRED.match(name) if len(name) <= LONGEST_NAME else None
        if found and found[1].strip() and before not in pairs.values():
            owner = next((other for other in names if other == found[1].strip()), None)
            if owner is None and before.startswith(found[1].strip()):
                owner = before
            if owner is not None:
                pairs[owner] = name
    return pairs
