"""Cells of an export as numbers or states, millions at a time, judged as `measurements.tables` judges one.

polars casts a text to a float as fast as memory is read, and to the last bit as Python does. Of what it accepts beyond
a number, only the words for infinity and NaN are not caught by asking for a finite result, so: a finite cast is the
number, and everything else is judged again, in Python, once for each distinct text.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.tables import BELOW, BREAKS_OFF, LIMIT, MISREAD_FRACTION, OTHER_DECIMAL, judge

__all__ = [
    "EXACT",
    "Cells",
    "States",
    "distinct_texts",
    "first_rows",
    "misread_decimal",
    "read_cells",
    "read_states",
    "text_cells",
    "text_notes",
    "texts_of",
]

_MINUS = "\N{MINUS SIGN}"
_BLANKS = " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}"
_APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"

# Below this many cells a column is judged cell by cell: the fixed cost of an expression is about 30 cells.
_FEW = 48
# When distinct texts are told apart: runs if there are fewer than this share of the rows; else this many texts one by
# one, each of at least this share of the rows that are left.
_MOST_RUNS, _MOST_COMPARED, _LEAST_SHARE = 0.2, 5, 0.1
_LONGEST_TEXT = 120
EXACT = 2.0**53  # from here on a float stands for more than one whole number

# What historians and workbooks write in place of a value, whatever the tag. "Shutdown" or "Off" may be states of a
# plant and are not here; among numbers they are bad like any other text.
_NO_VALUE = frozenset(
    {
        "bad", "bad input", "bad quality", "i/o timeout", "io timeout", "no data", "calc failed", "calc off",
        "pt created", "pt_created", "scan off", "scan timeout", "configure", "tag not found", "comm fail", "no result",
        "no value", "no sample", "no alarm data", "not connected", "intf shut", "under range", "over range",
        "arc offline", "arc off-line", "invalid data", "invalid float", "equip fail", "doc not found", "access denied",
        "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "#wert!", "#bezug!", "#zahl!", "#nv", "#valeur!",
        "[-11059] no good data for calculation",
    }
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cells:
    """A column as numbers.

    values: (n,) in the unit of the export, NaN where the flag is not good. flags: (n,) good, missing (nothing written)
    or bad (text). censored: (n,) -1 for "<0.05", 1 for ">100", where the value is that limit, 0 else; None where
    nothing is censored. texts: bad text -> (how often, first row counted from 0).
    """

    values: Array
    flags: FlagArray
    censored: NDArray[np.int8] | None
    texts: dict[str, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class States:
    """A column of texts as states.

    codes: (n,) the number of the text in `states`, NaN where there is none. states: texts in order of appearance.
    flags: (n,) good, missing, or bad where the historian wrote an error in place of a state. texts: those errors ->
    (how often, first row).
    """

    codes: Array
    states: tuple[str, ...]
    flags: FlagArray
    texts: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class _Verdict:
    """What one text means: a value with the side on which it is censored, or a flag."""

    value: float
    flag: Flag
    censored: int = 0


_NOTHING = _Verdict(np.nan, Flag.MISSING)
_NO_NUMBER = _Verdict(np.nan, Flag.BAD)


class _Judge:
    """The judgement of single cells for one way of writing numbers."""

    def __init__(self, decimal: str, thousands: str, states: Mapping[str, float]) -> None:
        if decimal not in (".", ","):
            raise DataError(f'decimal={decimal!r}: the decimal sign is "." or ","')
        self.decimal = decimal
        self.thousands = _same_sign(thousands)
        if thousands and (not self.thousands or decimal in self.thousands):
            raise DataError(
                f"thousands={thousands!r} with decimal={decimal!r}: the separator of thousands is a blank, an "
                "apostrophe, a point or a comma, and not the decimal sign"
            )
        sign = f"[{re.escape(self.thousands)}]"
        # A group of thousands never begins with 0: "0,125" is a fraction in another notation.
        self.grouped = rf"^[+-]?[1-9][0-9]{{0,2}}(?:{sign}[0-9]{{3}})+(?:{re.escape(decimal)}[0-9]*)?$"
        self.grouped_python = re.compile(self.grouped[:-1] + r"\Z") if self.thousands else None
        self.states = {text.strip(): float(value) for text, value in states.items()}
        folded: dict[str, set[float]] = {}
        for text, value in self.states.items():
            number, _ = judge(text, decimal)
            if number is not None and number != value:
                raise DataError(f'the state "{text}" is declared as {value:g}, and the text itself is a number')
            folded.setdefault(text.casefold(), set()).add(value)
        self.folded = {text: next(iter(values)) for text, values in folded.items() if len(values) == 1}

    def number(self, text: str) -> float | None:
        """Return the number, or None; `text` without blanks around it."""
        plain = text.replace(_MINUS, "-")
        if self.grouped_python is not None and self.grouped_python.match(plain):
            for sign in self.thousands:
                plain = plain.replace(sign, "")
        return judge(plain, self.decimal)[0]

    def __call__(self, cell: str) -> _Verdict:
        """Return what a cell means."""
        text = cell.strip()
        if self.states:
            value = self.states.get(text, self.folded.get(text.casefold()))
            if value is not None:
                return _Verdict(value, Flag.GOOD)
        number, left = judge(text.replace(_MINUS, "-"), self.decimal)
        if number is None and not left:
            return _NOTHING
        number = self.number(text)
        if number is not None:
            return _Verdict(number, Flag.GOOD)
        limit = LIMIT.fullmatch(text)
        if limit:
            number = self.number(limit[2].strip())
            if number is not None:
                return _Verdict(number, Flag.GOOD, -1 if limit[1] in BELOW else 1)
        return _NO_NUMBER

    def cast(self, texts: pl.Series) -> Array:
        """Return the texts that are plain numbers, NaN or infinite elsewhere."""
        if self.decimal == ".":
            return texts.cast(pl.Float64, strict=False).to_numpy()
        point = texts.str.contains(".", literal=True).to_numpy()
        numbers = texts.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False).to_numpy()
        return np.where(point, np.nan, numbers) if point.any() else numbers

    def cast_dressed(self, texts: pl.Series) -> Array:
        """Return, of texts that are no plain numbers, those that are with blanks, thousands or another minus."""
        texts = texts.str.strip_chars()
        if texts.str.contains(_MINUS, literal=True).any():
            texts = texts.str.replace_all(_MINUS, "-", literal=True)
        if self.thousands:
            grouped = texts.str.contains(self.grouped)
            if grouped.any():
                bare = texts.str.replace_all(f"[{re.escape(self.thousands)}]", "")
                texts = bare.zip_with(grouped, texts)
        return self.cast(texts)


def _same_sign(thousands: str) -> str:
    for kind in (_BLANKS, _APOSTROPHES, ".", ","):
        if len(thousands) == 1 and thousands in kind:
            return kind
    return ""


def read_cells(
    column: pl.Series, *, decimal: str = ".", thousands: str = "", states: Mapping[str, float] | None = None
) -> Cells:
    """Return a column as numbers.

    column: (n,) of texts, or of a type that is a number already. decimal: "." or ",". thousands: "" for none, else a
    blank, an apostrophe, a point or a comma, which then stands between strict groups of three. states: text -> number
    of a digital tag, upper and lower case alike.

    Blanks around a number (no-break ones too) and a Unicode minus are understood, "<0.05" and ">= 100" are censored.
    A word for nothing ("", NaN, NULL, "n/a", "-") is missing. Every other text is bad, a number with a unit or a
    percent sign included: nobody has said how they relate to the unit of the column.

    Raises DataError for signs that contradict each other, and for a state that is a number with another value.
    """
    rules = _Judge(decimal, thousands, states or {})
    if column.dtype != pl.String:
        numeric = _typed(column)
        if numeric is not None:
            finite = np.isfinite(numeric)
            flags = np.where(finite, Flag.GOOD, np.where(np.isnan(numeric), Flag.MISSING, Flag.BAD)).astype(np.int8)
            infinite = np.flatnonzero(flags == Flag.BAD)
            where = {sign: infinite[numeric[infinite] == float(sign)] for sign in ("inf", "-inf")}
            counted = {sign: (int(rows.size), int(rows[0])) for sign, rows in where.items() if rows.size}
            return Cells(np.where(finite, numeric, np.nan), flags, None, counted)
        column = _as_text(column)
    n = len(column)
    if n <= _FEW and decimal == ",":
        values, left = np.full(n, np.nan), np.arange(n)
    else:
        values = rules.cast(column)
        finite = np.isfinite(values)
        if finite.all():
            return Cells(values, np.full(n, Flag.GOOD, dtype=np.int8), None, {})
        left = np.flatnonzero(~finite)
    if not values.flags.writeable:
        values = values.copy()
    flags = np.full(n, Flag.GOOD, dtype=np.int8)
    if left.size > _FEW:
        texts = column if left.size == n else column.gather(left)
        dressed = rules.cast_dressed(texts)
        finite = np.isfinite(dressed)
        if finite.any():
            values[left[finite]] = dressed[finite]
            left, texts = left[~finite], texts.filter(pl.Series(~finite))
        distinct, codes = distinct_texts(texts)
    else:
        distinct, codes = distinct_texts([column[int(row)] for row in left])
    verdicts = [rules(text) for text in distinct]
    values[left] = np.array([verdict.value for verdict in verdicts])[codes] if distinct else np.nan
    flags[left] = np.array([verdict.flag for verdict in verdicts], dtype=np.int8)[codes] if distinct else Flag.GOOD
    censored = None
    if any(verdict.censored for verdict in verdicts):
        censored = np.zeros(n, dtype=np.int8)
        censored[left] = np.array([verdict.censored for verdict in verdicts], dtype=np.int8)[codes]
    bad = [k for k, verdict in enumerate(verdicts) if verdict.flag == Flag.BAD]
    return Cells(values, flags, censored, _counted(distinct, codes, left, bad))


def read_states(column: pl.Series, *, known: tuple[str, ...] = ()) -> States:
    """Return a column of texts as states, numbered in order of appearance after those that are `known` already.

    column: (n,) of texts. A word for nothing is missing, an error of a historian or a workbook ("I/O Timeout",
    "#REF!") is bad, as is a text whose end is lost, every other text is a state, without the blanks around it.
    """
    texts = column if column.dtype == pl.String else _as_text(column)
    distinct, codes = distinct_texts(texts)
    rows = np.arange(len(texts))
    first = first_rows(codes, rows, len(distinct))
    numbers = {text: k for k, text in enumerate(known)}
    code, flag = np.full(len(distinct), np.nan), np.full(len(distinct), Flag.GOOD, dtype=np.int8)
    for k in np.argsort(first, kind="stable"):
        text = distinct[k].strip()
        if judge(text, ".") == (None, ""):
            flag[k] = Flag.MISSING
        elif text not in numbers and (text.casefold() in _NO_VALUE or text.endswith(BREAKS_OFF.strip())):
            flag[k] = Flag.BAD
        else:
            code[k] = numbers.setdefault(text, len(numbers))
    bad = [int(k) for k in np.flatnonzero(flag == Flag.BAD)]
    return States(code[codes], tuple(numbers), flag[codes], _counted(distinct, codes, rows, bad))


def text_cells(column: pl.Series) -> Cells:
    """Return a column that holds no numbers, whatever its cells look like: each is missing or, as a number, bad.

    column: (n,) of texts. The texts are not counted.
    """
    distinct, codes = distinct_texts(column)
    flags = [Flag.MISSING if judge(text, ".") == (None, "") else Flag.BAD for text in distinct]
    return Cells(np.full(len(column), np.nan), np.array(flags, dtype=np.int8)[codes], None, {})


def texts_of(column: pl.Series) -> pl.Series:
    """Return a column as the texts that its cells stand for; a whole number of any type is 1041, and not 1041.0.

    Raises DataError for floating-point numbers too large to be exact: which id was meant is lost.
    """
    if column.dtype == pl.String:
        return column
    if not column.dtype.is_float():
        return _as_text(column)
    numbers = column.cast(pl.Float64)
    finite = numbers.is_finite().fill_null(False)
    lost = numbers.filter(finite & (numbers.abs() >= EXACT))
    if len(lost):
        raise DataError(
            f'column "{column.name}": {lost[0]:.0f} is a floating-point number, and those are not exact beyond 2**53; '
            "export ids as texts"
        )
    whole = finite & (numbers == numbers.floor())
    said = numbers.set(~finite, None).cast(pl.String)
    return numbers.set(~whole, None).cast(pl.Int64).cast(pl.String).zip_with(whole, said)


def _typed(column: pl.Series) -> Array | None:
    """Return a numeric column as floats with NaN for null, else None."""
    if not column.dtype.is_numeric() and column.dtype != pl.Null:
        return None
    return np.array(column.cast(pl.Float64).to_numpy(), dtype=np.float64)


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Boolean:  # as Python writes them, and as one does not take them for 1 and 0
        return pl.Series(column.name, [None if cell is None else str(cell) for cell in column], dtype=pl.String)
    if column.dtype == pl.Object or column.dtype.is_nested():
        raise DataError(f'column "{column.name}" is of the type {column.dtype}, and not of texts or numbers')
    return column.cast(pl.String)


def distinct_texts(texts: pl.Series | list[str | None]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts, null as "", and which one each row holds, (n,)."""
    if isinstance(texts, list) or len(texts) <= _FEW:
        numbers: dict[str, int] = {}
        codes = [numbers.setdefault(text or "", len(numbers)) for text in texts]
        return list(numbers), np.array(codes, dtype=np.int64)
    if texts.null_count():
        texts = texts.fill_null("")
    # A state or a batch stays for many rows, and quality for most of them: runs, or a handful of texts, are ten times
    # cheaper to tell apart than by looking up every row.
    new = (texts != texts.shift(1)).fill_null(True)
    if new.sum() < _MOST_RUNS * len(texts):
        heads = np.flatnonzero(new.to_numpy())
        found, of_heads = distinct_texts(texts.filter(new))
        return found, np.repeat(of_heads, np.diff(heads, append=len(texts)))
    found = []
    codes_of = np.empty(len(texts), dtype=np.int64)
    rows: NDArray[np.intp] | None = None
    while len(texts) > _FEW and len(found) < _MOST_COMPARED:
        same = (texts == texts[0]).to_numpy()
        if same.mean() < _LEAST_SHARE:
            break
        codes_of[same if rows is None else rows[same]] = len(found)
        found.append(texts[0])
        rows = np.flatnonzero(~same) if rows is None else rows[~same]
        texts = texts.filter(pl.Series(~same))
    unique = texts.unique()
    order = pl.Series(np.arange(len(found), len(found) + len(unique), dtype=np.int64))
    codes_of[slice(None) if rows is None else rows] = texts.replace_strict(
        unique, order, return_dtype=pl.Int64
    ).to_numpy()
    return found + unique.to_list(), codes_of


def first_rows(codes: NDArray[np.int64], rows: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Return the first of `rows`, (n_rows,) ascending, with each of the `n` codes, (n,); 0 for a code without a row."""
    first = np.zeros(n, dtype=np.intp)
    first[codes[::-1]] = rows[::-1]  # the last one written is the first row
    return first


def _counted(
    distinct: list[str], codes: NDArray[np.int64], rows: NDArray[np.intp], bad: list[int]
) -> dict[str, tuple[int, int]]:
    """Return bad text -> (how often, first row), in order of the first row."""
    if not bad:
        return {}
    first, counts = first_rows(codes, rows, len(distinct)), np.bincount(codes, minlength=len(distinct))
    counted: dict[str, tuple[int, int]] = {}
    for k in sorted(bad, key=lambda k: int(first[k])):
        text = distinct[k].strip()
        if len(text) > _LONGEST_TEXT:  # a broken export may hold a megabyte in one cell
            text = text[: _LONGEST_TEXT - 3] + "..."
        before, row = counted.get(text, (0, int(first[k])))
        counted[text] = (before + int(counts[k]), row)
    return counted


_WITH_UNIT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?\s*(%|‰|[^\W\d_]|°)[^0-9]{0,15}[0-9]?")


def misread_decimal(texts: Mapping[str, tuple[int, int]], n_good: int, *, decimal: str) -> tuple[str, int] | None:
    """Return the first text, and its row, of a column that was read with the wrong decimal sign, else None.

    texts: as of `Cells`, over the whole column. n_good: how many of its cells are numbers. The sign is wrong when more
    than one cell in ten is a number with the other one.
    """
    foreign = [(text, *found) for text, found in texts.items() if OTHER_DECIMAL[decimal].fullmatch(text)]
    n_bad = sum(count for count, _ in texts.values())
    if sum(count for _, count, _ in foreign) <= MISREAD_FRACTION * (n_good + n_bad):
        return None
    text, _, row = min(foreign, key=lambda found: found[2])
    return text, row


def text_notes(texts: Mapping[str, tuple[int, int]], where: Callable[[int], str] | None = None) -> tuple[str, ...]:
    """Say in words which texts are bad: the most frequent ones, and apart from them numbers that carry a unit.

    texts: as of `Cells`. where: row -> its name in messages, "row 4" without it.
    """
    name = where or (lambda row: f"row {row + 1}")
    with_unit = {text: found for text, found in texts.items() if _WITH_UNIT.fullmatch(text)}
    other = {text: found for text, found in texts.items() if text not in with_unit}
    notes = []
    if other:
        first = min(row for _, row in other.values())
        often = sorted(other.items(), key=lambda item: (-item[1][0], item[1][1]))
        listed = ", ".join(f'"{text}" ({count})' for text, (count, _) in often[:3])
        more = f" and {len(often) - 3} other texts" if len(often) > 3 else ""
        n = sum(count for count, _ in other.values())
        notes.append(
            f"{n} cells hold text in place of a number, {listed}{more}, the first is {name(first)}: they are bad"
        )
    if with_unit:
        first = min(row for _, row in with_unit.values())
        text = min(with_unit, key=lambda text: with_unit[text][1])
        n = sum(count for count, _ in with_unit.values())
        notes.append(
            f'{n} cells hold a number with a unit, the first is "{text}" in {name(first)}: they are bad; '
            "export plain numbers and declare the unit of the column"
        )
    return tuple(notes)
