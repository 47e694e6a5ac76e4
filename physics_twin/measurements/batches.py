"""Production batches: what is known of each, where it begins and ends in a log, its phases, its laboratory values."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from physics_twin.errors import DataError
from physics_twin.measurements.channels import Uncertainty
from physics_twin.units import QuantityLike

__all__ = ["Batch", "LaboratoryValue", "PhaseWindow"]


@dataclass(frozen=True)
class PhaseWindow:
    """When a phase of a batch ran, start and end in s since time zero of its experiment."""

    name: str
    start: float
    end: float

    def __post_init__(self) -> None:
        """Check the order."""
        if not self.start <= self.end:
            raise DataError(f'phase "{self.name}" ends at {self.end:g} s, before it begins at {self.start:g} s')


@dataclass(frozen=True)
class Batch:
    """A batch of the plant, or any window of time.

    name: of the experiment. start, end: UTC (with zone), or s for logs of elapsed time. context: lot, equipment,
    campaign, shift, remarks of the operator. phases: (name, start, end) likewise.
    """

    name: str
    start: dt.datetime | float
    end: dt.datetime | float
    context: Mapping[str, str | int | float] = field(default_factory=dict)
    phases: tuple[tuple[str, dt.datetime | float, dt.datetime | float], ...] = ()


@dataclass(frozen=True)
class LaboratoryValue:
    """One result of the laboratory, or one value at the end of a batch.

    output: of the model. value: number in `unit`. uncertainty: one standard deviation or `Uncertainty`. sampled_at:
    when the sample was drawn; None for the end of the batch. reported_at: when the result was known. censored: -1 for
    "<0.05", 1 for ">100". batch: its name, needed where sampled_at is None.
    """

    output: str
    value: float
    unit: str
    uncertainty: QuantityLike | Uncertainty
    sampled_at: dt.datetime | float | None = None
    reported_at: dt.datetime | float | None = None
    censored: int = 0
    batch: str = ""
