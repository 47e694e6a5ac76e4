"""Production batches: what is known of each, where it begins and ends in a log, its phases, its laboratory values."""

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from physics_twin.errors import DataError
from physics_twin.measurements.uncertainty import Uncertainty
from physics_twin.units import QuantityLike, to_si, unit as as_unit

__all__ = ["Batch", "FromContext", "LaboratoryValue", "Moment", "PhaseWindow", "batch_name", "moment_text"]

_NAME = re.compile(r"[\w.\-]+")  # as after the @ of ambient_temperature@charge_0417

type Moment = dt.datetime | float
"""A stamp with zone, or s on the clock of a log of elapsed time."""


@dataclass(frozen=True)
class PhaseWindow:
    """When a phase of a batch ran, start and end in s since time zero of its experiment."""

    name: str
    start: float
    end: float

    def __post_init__(self) -> None:
        """Check the order, and take whole numbers as the same times."""
        object.__setattr__(self, "start", float(self.start))
        object.__setattr__(self, "end", float(self.end))
        if not self.start <= self.end:
            raise DataError(f'phase "{self.name}" ends at {self.end:g} s, before it begins at {self.start:g} s')


@dataclass(frozen=True)
class Batch:
    """A batch of the plant, or any window of time.

    name: of the experiment. start, end: UTC (with zone), or s for logs of elapsed time; an end of None is the end of
    the log, for a batch that still runs. context: lot, equipment, campaign, shift, remarks of the operator. phases:
    (name, start, end) likewise. source: the row of the table or the tag that says so, for messages. notes: what was
    found on reading it, in words; they go into the experiment.

    Raises DataError for a name that no experiment can have, a batch that ends before it begins, or a stamp without
    zone.
    """

    name: str
    start: Moment
    end: Moment | None
    context: Mapping[str, str | int | float] = field(default_factory=dict)
    phases: tuple[tuple[str, Moment, Moment | None], ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check kinds and order of the ends."""
        what = f'batch "{self.name}"' + (f" ({self.source})" if self.source else "")
        if not _NAME.fullmatch(self.name):
            raise DataError(f'{what}: a name has letters, digits, "_", "-" and "."; try "{batch_name(self.name)}"')
        _check_window(what, self.start, self.end)
        for name, start, end in self.phases:
            _check_window(f'{what}, phase "{name}"', start, end)
            if isinstance(start, dt.datetime) != isinstance(self.start, dt.datetime):
                raise DataError(f'{what}, phase "{name}": give stamps for batch and phases, or s for both')


def _check_window(what: str, start: Moment, end: Moment | None) -> None:
    ends: tuple[tuple[str, object], ...] = (("start", start), ("end", end))  # objects: annotations bind nobody
    for key, moment in ends:
        if moment is None and key == "end":
            continue
        if isinstance(moment, dt.datetime):
            if moment.tzinfo is None:
                raise DataError(f"{what}: the {key} {moment} has no zone; give it a tzinfo")
        elif isinstance(moment, bool) or not isinstance(moment, int | float) or not math.isfinite(moment):
            raise DataError(f"{what}: the {key} {moment!r} is neither a stamp nor a finite number of seconds")
    if end is None:
        return
    if isinstance(start, dt.datetime) != isinstance(end, dt.datetime):
        raise DataError(f"{what}: start and end are a stamp and a number; give two of a kind")
    if start > end:  # type: ignore[operator]  # two of a kind, see above
        raise DataError(f"{what} ends at {moment_text(end)}, before it begins at {moment_text(start)}")


def moment_text(moment: Moment) -> str:
    """Return a moment as it is printed: a stamp in UTC, or seconds."""
    if isinstance(moment, dt.datetime):
        return moment.astimezone(dt.UTC).isoformat(sep=" ").replace("+00:00", " UTC")
    return f"{moment:g} s"


@dataclass(frozen=True)
class FromContext:
    """A quantity that stands in the batch list: its column, and the unit of its numbers."""

    column: str
    unit: str

    def of(self, batch: Batch) -> tuple[float, str]:
        """Return the quantity of a batch. Raises DataError where the cell is empty or no number."""
        found = batch.context.get(self.column)
        if isinstance(found, bool) or not isinstance(found, int | float):
            shown = "is empty or not there" if found is None else f'is "{found}", which is no number'
            raise DataError(f'"{self.column}" of the batch list {shown}')
        return float(found), self.unit


@dataclass(frozen=True)
class LaboratoryValue:
    """One result of the laboratory, or one value at the end of a batch.

    output: of the model. value: number in `unit`; NaN for a result that is no number, with its `text`. uncertainty: one
    standard deviation or `Uncertainty`. sampled_at: when the sample was drawn; None for the end of the batch.
    reported_at: when the result was known. censored: -1 for "<0.05", 1 for ">100". batch: its name, needed where
    sampled_at is None. source: the row of the table, for messages. notes: what was found on reading it, in words.
    time_uncertainty: one standard deviation of the time at which the sample was drawn ("2 min"); None for none.

    Raises DataError for a value that is no number and has no text, a stamp without zone, a value with neither batch nor
    time, or a negative time_uncertainty; UnitError for one that is no time.
    """

    output: str
    value: float
    unit: str
    uncertainty: QuantityLike | Uncertainty
    sampled_at: Moment | None = None
    reported_at: Moment | None = None
    censored: int = 0
    batch: str = ""
    source: str = ""
    text: str = ""
    notes: tuple[str, ...] = ()
    time_uncertainty: QuantityLike | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a log."""
        what = f"laboratory value of {self.output}" + (f" ({self.source})" if self.source else "")
        if not math.isfinite(self.value) and not (math.isnan(self.value) and self.text):
            raise DataError(f"{what}: {self.value!r} is no finite number")
        if self.censored not in (-1, 0, 1):
            raise DataError(f'{what}: censored={self.censored!r}; it is -1 for "<0.05", 1 for ">100", else 0')
        if self.sampled_at is None and not self.batch:
            raise DataError(f"{what} has neither a batch nor the time of its sample; give one of them")
        late = 0.0 if self.time_uncertainty is None else to_si(self.time_uncertainty, as_unit("s"), name=what)
        if not 0.0 <= late < float("inf"):
            raise DataError(
                f"{what}: the time of its sample is uncertain by {late:g} s; a standard deviation is above 0"
            )
        for moment in (self.sampled_at, self.reported_at):
            if isinstance(moment, dt.datetime) and moment.tzinfo is None:
                raise DataError(f"{what}: the stamp {moment} has no zone; give it a tzinfo")


def batch_name(text: str) -> str:
    """Return what a batch is called in its plant as an experiment can be called.

    >>> batch_name("B 2026/0417"), batch_name("B101")
    ('B_2026_0417', 'B101')
    """
    cleaned = "".join(sign if sign.isalnum() or sign in "_.-" else "_" for sign in text)
    return "_".join(part for part in cleaned.split("_") if part) or "batch"
