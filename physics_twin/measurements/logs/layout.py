"""How an export is written: what is declared of it, and what was detected; both are shown and end up in provenance."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from physics_twin.errors import DataError
from physics_twin.measurements.flags import Flag

__all__ = ["Layout", "LongForm", "QualityScheme", "StampsAt", "WideForm"]


class StampsAt(enum.Enum):
    """Where in its period the stamp of an average stands; a reading of one moment is `INSTANT`."""

    INSTANT = "instant"
    START = "start of the period"
    END = "end of the period"


class QualityScheme(enum.Enum):
    """How the cells of quality columns are meant; words ("Good", "Bad") are understood beside any numbers.

    OPC_DA: 192 to 255 good, 64 to 127 uncertain, the rest bad; a high byte is the vendor's (OPC Data Access 3.0, 6.8).
    OPC_HDA: that in the low word, and in the high one where a value comes from: raw (0x40000), interpolated,
    calculated, no data (Historical Data Access 1.20). OPC_UA: status codes of 32 bits, of which the upper two are the
    severity (OPC 10000-4, 7.39). WORDS: no numbers at all.
    """

    OPC_DA = "OPC DA"
    OPC_HDA = "OPC HDA"
    OPC_UA = "OPC UA"
    WORDS = "words"


@dataclass(frozen=True)
class LongForm:
    """One row a sample: columns of tag and value, and of quality, unit where there are."""

    tag: str
    value: str
    quality: str | None = None
    unit: str | None = None


@dataclass(frozen=True)
class WideForm:
    """One column a tag. quality: column of values -> its column of quality codes."""

    quality: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The format of an export. What is None is detected; what is ambiguous has to be said.

    encoding: "utf-8-sig", "cp1252", "utf-16", ... separator: one character. decimal: "." or ",". thousands: "" for
    none, else one character. skiprows: lines of preamble before the header. header: number of header lines: 0, 1, or 2
    with a row of units. column_names: names instead of those of the header. sheet: of a workbook.
    time: the column of stamps, or of date and time of day. stamp_format: "ISO", "excel" (days since 1900), "unix s",
    "unix ms", a unit of time for elapsed time ("s", "min", "h"), or as in `datetime.strptime`.
    zone: IANA name of the clock on the wall, for stamps without an offset. stamps_at, period: for averages over a
    period, whether it is stamped at its start or at its end, and its length ("1 min"); samples are then put in its
    middle. form: `LongForm` or `WideForm`. quality_scheme: what the codes of all quality columns mean; it is told by
    codes that only one scheme has, and has to be said where there are none (nothing but 0: an outage in OPC DA, all
    well in OPC UA). quality_words: text of a quality cell -> what it means, for words of one's own plant or words that
    mean something else there: {"Wartung": Flag.BAD}; case does not matter.
    texts: tags whose cells are texts whatever they look like, as ids of batches are: 00417, 1E5 and 1042A stay so.
    """

    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    skiprows: int | None = None
    header: int | None = None
    column_names: tuple[str, ...] | None = None
    sheet: str | None = None
    time: str | tuple[str, str] | None = None
    stamp_format: str | None = None
    zone: str | None = None
    stamps_at: StampsAt = StampsAt.INSTANT
    period: str | None = None
    form: LongForm | WideForm | None = None
    quality_scheme: QualityScheme | None = None
    quality_words: Mapping[str, Flag] | None = None
    texts: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a file."""
        if self.decimal not in (None, ".", ","):
            raise DataError(f'decimal={self.decimal!r}: the decimal sign is "." or ","')
        if self.header not in (None, 0, 1, 2):
            raise DataError(f"header={self.header!r}: the number of header lines is 0, 1, or 2 with a row of units")
        if (self.stamps_at is not StampsAt.INSTANT) != (self.period is not None):
            raise DataError('stamps_at= and period= belong together: stamps_at=StampsAt.END, period="1 min"')
        if isinstance(self.texts, str):
            raise DataError(f'texts="{self.texts}": it takes names of tags, texts=("{self.texts}",)')
        said: Iterable[tuple[object, object]] = (self.quality_words or {}).items()  # annotations bind nobody
        for word, flag in said:
            if not isinstance(flag, Flag) or not isinstance(word, str) or not word.strip():
                raise DataError(
                    f"quality_words={{{word!r}: {flag!r}}}: it takes texts and flags, "
                    f'as {{"{word}": Flag.BAD}}; flags are {", ".join(one.name for one in Flag)}'
                )

    def over(self, detected: "Layout") -> "Layout":
        """Return the layout with what is None taken from `detected`."""
        known = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        if self.period is None:  # where stamps stand is said together with the period, or not at all
            del known["stamps_at"]
        return replace(detected, **known)
