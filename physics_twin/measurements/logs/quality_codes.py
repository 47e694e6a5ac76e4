"""What the quality column of a historian says about a sample: a code of OPC DA or OPC UA, or a word.

The two OPC standards disagree about one code that matters: 0 is bad in DA and good in UA. So the scheme is told by the
codes that only one of them has, and as long as there are none, nothing is concluded from a small number.
"""

import enum
import re
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.logs.cells import distinct_texts, first_rows

__all__ = ["Quality", "QualityScheme", "read_quality"]


class QualityScheme(enum.Enum):
    """How the numbers of a quality column are meant.

    OPC_DA: 192 to 255 good, 64 to 127 uncertain, the rest bad; a high byte is the vendor's (OPC Data Access 3.0, 6.8).
    OPC_UA: status codes of 32 bits, of which the upper two are the severity (OPC 10000-4, 7.39).
    """

    OPC_DA = "OPC DA"
    OPC_UA = "OPC UA"


@dataclass(frozen=True, eq=False)
class Quality:
    """A column of quality. flags: (n,). scheme: declared or told by the codes, None without either. notes: in words."""

    flags: FlagArray
    scheme: QualityScheme | None
    notes: tuple[str, ...]


# An annotation says nothing against a value; a substituted or interpolated value was not measured then and there.
_WORDS = {
    Flag.GOOD: "good g ok gut i.o. io normal raw valid annotated a",
    Flag.SUSPECT: "uncertain u unsicher questionable q suspect substituted s doubtful estimated interpolated",
    Flag.BAD: "bad b schlecht n.i.o. nio nok invalid failed faulty",
    Flag.MISSING: "missing nodata",
}
_FLAG_OF = {word: flag for flag, words in _WORDS.items() for word in words.split()}
# "Good, annotated", "Bad - sensor failure", "UncertainLastUsableValue": the first word, in OPC UA the first syllable.
_BEGINNING = re.compile(r"(good|uncertain|questionable|substituted|bad)(?![a-z])", re.IGNORECASE)
_OPC_UA_NAME = re.compile(r"(Good|Uncertain|Bad)[A-Z]")
_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_HEXADECIMAL = re.compile(r"0[xX]([0-9a-fA-F]{1,8})")

_EMPTY = frozenset({"", "nan", "null", "none", "<na>"})
# A code of OPC UA that is good has at most the first byte of its subcodes; 80350000 is rather 0x80350000 without "0x".
_HIGHEST_GOOD = 1 << 24
_PERCENT = 100  # "100 % good" of some historians, and hardly ever a code of OPC DA


def read_quality(column: pl.Series, *, scheme: QualityScheme | None = None) -> Quality:
    """Return the flags that a column of quality stands for.

    column: (n,) of texts or whole numbers; codes are decimal or hexadecimal (0x80350000). scheme: what numbers mean; of
    a log in chunks, pass on what the chunk before has told. Good is good, uncertain, questionable and substituted are
    suspect, bad is bad. An empty cell, a code that is not known, and numbers that may be either scheme's are not
    evaluated; a note names the first.

    Raises DataError for a column that holds neither texts nor numbers.
    """
    texts, codes = _distinct(column)
    numbers = [_number(text) for text in texts]
    if scheme is None:
        scheme = _told_by([number for number in numbers if number is not None])
    verdicts = [
        _of_word(text) if number is None else _of_number(number, scheme)
        for text, number in zip(texts, numbers, strict=True)
    ]
    flags = np.array([flag or Flag.NOT_EVALUATED for flag in verdicts], dtype=np.int8)[codes]
    unknown = [
        k for k, (text, flag) in enumerate(zip(texts, verdicts, strict=True)) if flag is None and not _empty(text)
    ]
    if not unknown:
        return Quality(flags, scheme, ())
    first = first_rows(codes, np.arange(codes.size), len(texts))
    counts = np.bincount(codes, minlength=len(texts))
    k = min(unknown, key=lambda k: int(first[k]))
    either = all((number := numbers[k]) is not None and 0 <= number <= _PERCENT for k in unknown)
    why = (
        "0 is bad in OPC DA and good in OPC UA, and no other code tells which it is"
        if either and scheme is None
        else "the code is not known"
    )
    note = (
        f'{int(counts[unknown].sum())} cells like "{texts[k].strip()[:40]}", first in row {int(first[k]) + 1}, are not '
        f"evaluated: {why}"
    )
    return Quality(flags, scheme, (note,))


def _distinct(column: pl.Series) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct cells as texts, and which one each row holds, (n,)."""
    if column.dtype == pl.String:
        return distinct_texts(column)
    if column.dtype == pl.Object or column.dtype.is_nested():
        raise DataError(f'quality column "{column.name}" is of the type {column.dtype}, and not of texts or numbers')
    if column.dtype.is_integer() and len(column) and not column.null_count():
        numbers = column.to_numpy()
        if int(numbers.min()) >= 0 and int(numbers.max()) < 1 << 16:
            there = np.flatnonzero(np.bincount(numbers.astype(np.int64)))
            rank = np.zeros(int(there[-1]) + 1, dtype=np.int64)
            rank[there] = np.arange(there.size)
            return [str(number) for number in there], rank[numbers]
    return distinct_texts(column.cast(pl.String))


def _empty(text: str) -> bool:
    return text.strip().casefold() in _EMPTY


def _number(text: str) -> int | None:
    text = text.strip()
    hexadecimal = _HEXADECIMAL.fullmatch(text)
    if hexadecimal:
        return int(hexadecimal[1], 16)
    decimal = _INTEGER.fullmatch(text) if len(text) <= 20 else None
    if decimal is None:
        return None
    number = int(decimal[1])
    return number + (1 << 32) if -(1 << 31) <= number < -(1 << 16) else number  # a status code as a signed integer


def _told_by(numbers: list[int]) -> QualityScheme | None:
    """Return the scheme that has these codes, None if both have or neither has."""
    da = any((number & 0xFF) >= 64 and 0 <= number < 1 << 16 and number != _PERCENT for number in numbers)
    ua = any(_severity(number) is not None for number in numbers if number >= 1 << 16)
    if da == ua:
        return None
    return QualityScheme.OPC_DA if da else QualityScheme.OPC_UA


def _severity(number: int) -> Flag | None:
    if not 0 <= number < 1 << 32:
        return None
    if number < 1 << 30:
        return Flag.GOOD if number < _HIGHEST_GOOD else None
    return Flag.SUSPECT if number < 1 << 31 else Flag.BAD  # clients have to take the reserved severity for bad


def _of_number(number: int, scheme: QualityScheme | None) -> Flag | None:
    if scheme is QualityScheme.OPC_UA:
        return _severity(number)
    if scheme is QualityScheme.OPC_DA and 0 <= number < 1 << 16:
        quality = number & 0xC0
        return Flag.GOOD if quality == 0xC0 else Flag.SUSPECT if quality == 0x40 else Flag.BAD
    return None


def _of_word(text: str) -> Flag | None:
    text = text.strip()
    flag = _FLAG_OF.get(text.casefold())
    if flag is not None:
        return flag
    beginning = _BEGINNING.match(text) or _OPC_UA_NAME.match(text)
    return _FLAG_OF[beginning[1].casefold()] if beginning else None
