"""What the quality column of a historian says about a sample: a code of OPC DA, HDA or UA, or a word.

The OPC standards disagree about codes that matter: 0 is bad in DA and good in UA, and 262144, the raw value of an HDA
server whose quality is bad, looks like a good code of UA. So the scheme is told by the codes that only one of them has,
of all rows of a log together: what a row means must not depend on how far one has read. Until then rows keep the kind
of their code.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.logs.cells import distinct_texts, first_rows
from physics_twin.measurements.logs.layout import QualityScheme

__all__ = ["Quality", "QualityColumns", "QualityScheme", "Settled", "read_quality"]

type Kinds = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Quality:
    """A column of quality. flags: (n,). scheme: declared or told by the codes, None without either. notes: in words."""

    flags: FlagArray
    scheme: QualityScheme | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Settled:
    """What the quality columns of a log mean. verdicts: flag of each kind of cell, (n_kinds,). scheme, notes: as of
    `Quality`.
    """

    verdicts: FlagArray
    scheme: QualityScheme | None
    notes: tuple[str, ...]


# An annotation says nothing against a value; a substituted or interpolated value was not measured then and there.
_WORDS = {
    Flag.GOOD: "good g ok gut i.o. io normal raw valid gültig annotated a",
    Flag.SUSPECT: "uncertain u unsicher questionable q suspect substituted s doubtful estimated interpolated",
    Flag.BAD: "bad b schlecht n.i.o. nio nok invalid failed faulty ungültig ungueltig gestört gestoert",
    Flag.MISSING: "missing nodata",
}
_FLAG_OF = {word: flag for flag, words in _WORDS.items() for word in words.split()}
# The substatus of OPC DA (Data Access 3.0, 6.8) without the word for its quality, in letters alone. Historians shorten
# "communication failure" and "engineering units exceeded" in many ways. The last known value is bad there, the last
# usable one uncertain, and a value that an operator has put in is good: the standard says so, and a layout may differ.
_SUBSTATUS = {
    Flag.GOOD: "localoverride",
    Flag.SUSPECT: "lastusable(value)?|sensornot(accurate|calibrated)|(eu|eng|engineering)(units?)?exceeded|subnormal",
    Flag.BAD: "config(uration)?(error|failure)|notconnected|disconnected|device(failure|fail|failed|error)"
    "|sensor(failure|fail|failed|error)|lastknown(value)?|no(comm|comms|communication)"
    "|(comm|comms|communication)(failure|fail|failed|error|lost|loss)|outofservice|waitingforinitialdata",
}
_SUBSTATUS_OF = {flag: re.compile(names) for flag, names in _SUBSTATUS.items()}
# "Good, annotated", "Bad - sensor failure", "UncertainLastUsableValue": the first word, in OPC UA the first syllable.
_BEGINNING = re.compile(r"(good|uncertain|questionable|substituted|bad)(?![a-z])", re.IGNORECASE)
_OPC_UA_NAME = re.compile(r"(Good|Uncertain|Bad)[A-Z]")
_INTEGER = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_HEXADECIMAL = re.compile(r"0[xX]([0-9a-fA-F]{1,8})")

_EMPTY = frozenset({"", "nan", "null", "none", "<na>"})
# A code of OPC UA that is good has at most the first byte of its subcodes; 80350000 is rather 0x80350000 without "0x".
_HIGHEST_GOOD = 1 << 24
_NAMED = 5  # words that a note names, the first ones
_PERCENT = 100  # "100 % good" of some historians, and hardly ever a code of OPC DA

# The high word of OPC HDA (Historical Data Access 1.20, OPCHDA_QUALITY). Extra data at the same moment and partial
# intervals go along with one of the kinds in between: interpolated, raw, calculated and the four that are errors.
_HDA_KINDS = 0x00FE0000
_HDA_ALL = 0x01FF0000
_HDA_NOTHING = 0x00300000  # no bound, no data
_HDA_ERRORS = 0x00C00000  # data lost, conversion
_DA_LIMIT = 1 << 16
_NUMBERED = (QualityScheme.OPC_DA, QualityScheme.OPC_HDA, QualityScheme.OPC_UA)


@dataclass(frozen=True)
class _Kind:
    """Cells that mean the same in every scheme. flags: in the order of `_NUMBERED`, None where the scheme has no such
    code. number: whether it is a code. empty: whether nothing is written. low: whether it is no more than a hundred.
    shows: the scheme that alone has this code.
    """

    flags: tuple[Flag | None, Flag | None, Flag | None]
    number: bool = False
    empty: bool = False
    low: bool = False
    shows: QualityScheme | None = None

    def flag(self, scheme: QualityScheme | None) -> Flag | None:
        if not self.number:
            return self.flags[0]
        return self.flags[_NUMBERED.index(scheme)] if scheme in _NUMBERED else None


class QualityColumns:
    """The quality columns of one log while it is read: cells by their kind, and at the end what the kinds mean.

    declared: what numbers mean, None to tell it from the codes. row: what a row is called in notes. words: what cells
    of this very text mean, whatever they mean elsewhere, as `Layout.quality_words`.
    """

    def __init__(
        self,
        declared: QualityScheme | None = None,
        *,
        row: str = "row",
        words: Mapping[str, Flag] | None = None,
    ) -> None:
        self._declared = declared
        self._row = row
        self._words = {_as_compared(word): flag for word, flag in (words or {}).items()}
        self._unknown: dict[str, dict[str, str]] = {}  # of each column: the first words that nobody knows
        self._kinds: dict[_Kind, int] = {}
        self._seen: Counter[_Kind] = Counter()  # rows, of which the codes tell the scheme
        # Of each column: kind -> rows that were read, line and text of the first.
        self._said: dict[str, dict[_Kind, tuple[int, int, str]]] = {}

    def see(self, column: pl.Series) -> None:
        """Count what the codes of a column tell of the scheme, of rows that are not read as well."""
        texts, codes = _distinct(column)
        counts = np.bincount(codes, minlength=len(texts))
        for text, n in zip(texts, counts, strict=True):
            self._seen[self._kind(text)] += int(n)

    def read(self, column: pl.Series, lines: Sequence[int] | NDArray[np.int64]) -> Kinds:
        """Return the number of the kind of each cell, (n,).

        column: (n,) of texts or whole numbers; codes are decimal or hexadecimal (0x80350000). lines: (n,) for notes.
        Raises DataError for a column that holds neither texts nor numbers.
        """
        texts, codes = _distinct(column)
        kinds = [self._kind(text) for text in texts]
        said = self._said.setdefault(column.name, {})
        counts = np.bincount(codes, minlength=len(texts))
        if any(kind not in said for kind in kinds):
            first = first_rows(codes, np.arange(codes.size), len(texts))
            order: Sequence[int] = np.argsort(first, kind="stable").tolist()
        else:
            first, order = np.zeros(len(texts), dtype=np.intp), range(len(texts))
        for k in order:
            if not counts[k]:
                continue
            before, line, text = said.get(kinds[k]) or (0, int(lines[int(first[k])]), texts[k].strip()[:40])
            said[kinds[k]] = (before + int(counts[k]), line, text)
            if kinds[k] == _UNKNOWN_WORD and len(unknown := self._unknown.setdefault(column.name, {})) <= _NAMED:
                unknown.setdefault(_as_compared(texts[k]), texts[k].strip()[:40])
        numbers = [self._kinds.setdefault(kind, len(self._kinds)) for kind in kinds]
        return np.asarray(np.array(numbers, dtype=np.int8)[codes], dtype=np.int8)

    def settle(self) -> Settled:
        """Return what the kinds of all cells mean that were read.

        Good is good, uncertain, questionable and substituted are suspect, bad is bad. An empty cell, a code that the
        scheme does not have, and numbers that may be either scheme's are not evaluated, which leaves their samples in
        use; a note names the first, and the words that are to be declared.
        """
        scheme = self._scheme()
        flags = [kind.flag(scheme) or Flag.NOT_EVALUATED for kind in self._kinds]
        notes: list[str] = []
        for name, said in self._said.items():
            unknown = [kind for kind in said if kind.flag(scheme) is None and not kind.empty]
            if unknown:
                n = sum(said[kind][0] for kind in unknown)
                _, line, text = min((said[kind] for kind in unknown), key=lambda found: found[1])
                notes.append(
                    f'quality column "{name}": {n} cells like "{text}", first in {self._row} {line}, are not '
                    f"evaluated, so their samples are in use: {self._why(name, unknown, scheme)}"
                )
        return Settled(np.array(flags, dtype=np.int8), scheme, tuple(notes))

    def _kind(self, text: str) -> _Kind:
        flag = self._words.get(_as_compared(text)) if self._words else None
        return _kind(text) if flag is None else _Kind((flag, flag, flag))

    def _why(self, name: str, unknown: list[_Kind], scheme: QualityScheme | None) -> str:
        if _UNKNOWN_WORD in unknown:
            words = list(self._unknown[name].values())
            named = ", ".join(f'"{word}"' for word in words[:_NAMED]) + (" and others" if len(words) > _NAMED else "")
            verb = "is" if len(words) == 1 else "are"
            return (
                f'{named} {verb} not known; say what is meant: layout=Layout(quality_words={{"{words[0]}": Flag.BAD}})'
            )
        if scheme is None and all(kind.low for kind in unknown):
            return (
                "0 is bad in OPC DA and good in OPC UA, and no other code tells which it is; say "
                "layout=Layout(quality_scheme=QualityScheme.OPC_DA) or OPC_UA"
            )
        if scheme is None and any(kind.shows for kind in unknown):
            return (
                "there are as many codes of OPC DA as of OPC UA; say "
                "layout=Layout(quality_scheme=QualityScheme.OPC_DA) or OPC_UA"
            )
        return "the code is not known" + (f" in {scheme.value}" if scheme in _NUMBERED else "")

    def _scheme(self) -> QualityScheme | None:
        """Return the scheme of most rows that show one.

        A code of HDA with an empty high word is one of DA, so a single row that shows HDA makes all of them HDA: those
        of DA mean the same in it.
        """
        if self._declared is not None:
            return self._declared
        seen = self._seen.copy()
        for said in () if self._seen else self._said.values():
            for kind, (n, _, _) in said.items():
                seen[kind] += n
        votes: Counter[QualityScheme | None] = Counter()
        for kind, n in seen.items():
            votes[kind.shows] += n
        ua = votes[QualityScheme.OPC_UA]
        da = votes[QualityScheme.OPC_DA] + votes[QualityScheme.OPC_HDA]
        if ua != da:
            if ua > da:
                return QualityScheme.OPC_UA
            return QualityScheme.OPC_HDA if votes[QualityScheme.OPC_HDA] else QualityScheme.OPC_DA
        words = any(not kind.number and kind.flags[0] is not None for kind in seen)
        return QualityScheme.WORDS if words and not any(kind.number for kind in seen) else None


def read_quality(column: pl.Series, *, scheme: QualityScheme | None = None) -> Quality:
    """Return the flags that a column of quality stands for, as `QualityColumns` does for a log in chunks.

    column: (n,) of texts or whole numbers. scheme: what numbers mean, None to tell it from the codes.

    Raises DataError for a column that holds neither texts nor numbers.
    """
    columns = QualityColumns(scheme)
    kinds = columns.read(column, range(1, len(column) + 1))
    settled = columns.settle()
    return Quality(np.asarray(settled.verdicts[kinds], dtype=np.int8), settled.scheme, settled.notes)


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


def _as_compared(text: str) -> str:
    return " ".join(text.split()).casefold()


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


def _kind(text: str) -> _Kind:
    if _empty(text):
        return _Kind((None, None, None), empty=True)
    number = _number(text)
    if number is None:
        word = _of_word(text)
        return _Kind((word, word, word))
    flags = (_of_da(number), _of_hda(number), _of_ua(number))
    return _Kind(flags, number=True, low=0 <= number <= _PERCENT, shows=_shown_by(number))


_UNKNOWN_WORD = _Kind((None, None, None))


def _shown_by(number: int) -> QualityScheme | None:
    """Return the scheme that alone has a code, None if several have it or none has."""
    if 0 <= number < _DA_LIMIT:
        # In UA, the low word is 0, or says with 0x400 that it holds bits about the value; 0x40 is in none of them.
        da = number != _PERCENT and (number & 0xFF) >= 0x40 and (bool(number & 0x40) or not number & 0x400)
        return QualityScheme.OPC_DA if da else None
    if number < 0 or number >= 1 << 32:
        return None
    if number >= 1 << 30:
        return None if number & 0x30000000 else QualityScheme.OPC_UA  # reserved bits: rather seconds since 1970
    if number & ~(_HDA_ALL | 0xFFFF):
        return None
    return QualityScheme.OPC_HDA if number & 0x40 or (number & _HDA_KINDS).bit_count() == 1 else None


def _of_da(number: int) -> Flag | None:
    if not 0 <= number < _DA_LIMIT:
        return None
    quality = number & 0xC0
    return Flag.GOOD if quality == 0xC0 else Flag.SUSPECT if quality == 0x40 else Flag.BAD


def _of_hda(number: int) -> Flag | None:
    if number < 0 or number & ~(_HDA_ALL | 0xFFFF):
        return None
    if number & _HDA_NOTHING:
        return Flag.MISSING
    return Flag.BAD if number & _HDA_ERRORS else _of_da(number & 0xFFFF)


def _of_ua(number: int) -> Flag | None:
    if not 0 <= number < 1 << 32:
        return None
    if number >= 1 << 30:
        return Flag.SUSPECT if number < 1 << 31 else Flag.BAD  # clients have to take the reserved severity for bad
    low, high = number & 0xFFFF, number & ~0xFFFF
    if high >= _HIGHEST_GOOD or (high and (high & _HDA_KINDS).bit_count() < 2):
        return None  # OPC UA has not defined a good code that one bit of OPC HDA would make
    return Flag.GOOD if low == 0 or low & 0x0C60 == 0x0400 else None


def _of_word(text: str) -> Flag | None:
    text = text.strip()
    flag = _FLAG_OF.get(text.casefold())
    if flag is not None:
        return flag
    beginning = _BEGINNING.match(text) or _OPC_UA_NAME.match(text)
    if beginning:
        return _FLAG_OF[beginning[1].casefold()]
    letters = "".join(sign for sign in text.casefold() if sign.isalnum())
    return next((flag for flag, names in _SUBSTATUS_OF.items() if names.fullmatch(letters)), None)
