"""Which sign separates decimals and which one thousands, told from cells as they are written.

A wrong decimal sign makes 12.345 out of 12345, and no alarm is raised later: what reads both ways is asked for.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from physics_twin.errors import DataError

__all__ = ["detect_numbers"]

_MISREAD = 0.1  # one number in ten that looks grouped is no slip
_THOUSANDS = " '’\u00a0\u202f"
# A point or comma once, with exactly three digits after it and one to three before: 1,234 or 12.345 read both ways.
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_FRACTION = {
    ".": re.compile(r"[+-]?\d*\.\d*(?:[eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?\d*,\d*(?:[eE][+-]?\d+)?"),
}
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([.,'’\u00a0\u202f ])\d{3})(?:\1\d{3})*(?:([.,])\d*)?")


def detect_numbers(
    columns: Mapping[str, Iterable[str]], decimal: str | None, thousands: str | None, separator: str, source: str
) -> tuple[str | None, str | None]:
    """Return the decimal and the thousands sign that the cells show; decimal None where none of them decides.

    columns: header -> cells. Where most cells show one decimal sign and some the other one, it is that of most; what is
    then no number is the reader's to judge, and nothing is taken for thousands.

    Raises DataError where every cell that could tell reads both ways (12.345, 1,234).
    """
    certain: Counter[str] = Counter()  # decimal sign -> cells that show it
    groups: dict[str, str] = {}  # thousands sign -> a cell that shows it
    either: dict[str, str] = {}  # sign -> a cell that reads both ways, with its column
    n_either: Counter[str] = Counter()
    for name, cells in columns.items():
        for cell, n in Counter(cells).items():
            text = cell.strip().replace("−", "-").lstrip("<>≤≥= ")
            if not any(sign in text for sign in ".,'’ \u00a0\u202f"):
                continue
            if _EITHER.fullmatch(text):
                sign = "." if "." in text else ","
                either.setdefault(sign, f'column "{name}": "{cell}"')
                n_either[sign] += n
                continue
            for sign, pattern in _FRACTION.items():
                if pattern.fullmatch(text) and any(c.isdigit() for c in text):
                    certain[sign] += n
            found = _GROUPED.fullmatch(text)
            if not found or found[2] == found[1]:
                continue
            if found[2] is not None or text.count(found[1]) > 1 or found[1] in _THOUSANDS:
                groups.setdefault(found[1], f'column "{name}": "{cell}"')
                if found[2] is not None:
                    certain[found[2]] += n
                elif found[1] in ".,":
                    certain["," if found[1] == "." else "."] += n
    if len(certain) == 2:
        usual, _ = certain.most_common(1)[0]
        return decimal or usual, thousands or ""
    if decimal is None:
        if certain:
            decimal = next(iter(certain))
        elif either and separator == "," and "," not in either:
            decimal = "."  # whoever separates by commas does not write decimals with them
        elif either:
            sign, cell = next(iter(either.items()))
            raise DataError(
                f'{source}, {cell} may have "{sign}" as its decimal sign or between thousands, and no other number '
                f'tells; say layout=Layout(decimal="{sign}") or layout=Layout(decimal="{"," if sign == "." else "."}", '
                f'thousands="{sign}")'
            )
        elif separator == ",":
            decimal = "."
    if thousands is None and decimal is not None:
        other = "," if decimal == "." else "."
        marks = [sign for sign in groups if sign != decimal]
        if len(marks) > 1:
            raise DataError(
                f"{source}, {groups[marks[0]]} and {groups[marks[1]]} have different signs between thousands; say "
                'layout=Layout(thousands=" ") or whichever it is'
            )
        if not marks and n_either[other] > _MISREAD * (sum(certain.values()) + sum(n_either.values())):
            raise DataError(
                f'{source}, {either[other]}: if "{other}" stands between thousands, say '
                f'layout=Layout(thousands="{other}"); if such cells are no numbers, say thousands=""'
            )
        thousands = marks[0] if marks else ""  # a single 1,500 among numbers like 1.25 may be a slip of the pen
    return decimal, thousands
