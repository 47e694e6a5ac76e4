"""Where an experiment comes from, and what a person took out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from physics_twin.errors import DataError
from physics_twin.units import QuantityLike, to_si, unit as as_unit

__all__ = ["Exclusion", "Provenance"]


@dataclass(frozen=True)
class Exclusion:
    """A range of time that a person takes out of the misfit; the samples stay in the record.

    low, high: times since time zero, both inclusive. reason: why. by: who. channels: outputs; empty means all.
    """

    low: QuantityLike
    high: QuantityLike
    reason: str
    by: str
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take the times in seconds and check them."""
        for key in ("low", "high"):
            given = getattr(self, key)
            bare = isinstance(given, int | float) and not isinstance(given, bool)
            object.__setattr__(
                self, key, (float(given) if bare else to_si(given, as_unit("s"), name=f"exclusion {key}"))
            )
        object.__setattr__(self, "channels", tuple(self.channels))
        if self.span[0] > self.span[1]:
            raise DataError(f"exclusion from {self.span[0]:g} s to {self.span[1]:g} s ends before it begins")
        if not self.reason.strip():
            raise DataError("an exclusion needs a reason: it is read by those who trust the fit")
        if not self.by.strip():
            raise DataError(f'the exclusion "{self.reason}" needs by=: who took the samples out')

    @property
    def span(self) -> tuple[float, float]:
        """Both ends in s."""
        return cast(float, self.low), cast(float, self.high)


@dataclass(frozen=True)
class Provenance:
    """Where an experiment comes from.

    source: name of the file, or "arrays", "frame". sha256: of the file as it was read, "" if there was none. options:
    how it was read. exclusions: what was taken out by hand. selections: what was cut from the record afterwards.
    """

    source: str
    sha256: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()
    selections: tuple[str, ...] = ()
