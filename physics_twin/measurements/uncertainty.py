"""What is known and unknown of a sensor's error: its noise, its bias, its delay."""

from dataclasses import dataclass

from physics_twin.errors import BoundsError, check_name
from physics_twin.units import QuantityLike, parse, to_si, unit as as_unit

__all__ = ["EstimatedNoise", "Uncertainty", "UnknownBias", "UnknownDelay", "plain"]


def plain(quantity: QuantityLike) -> tuple[float, str]:
    """Return number and unit text: hashable, comparable, and the same after a file."""
    number, its_unit = parse(quantity)
    return float(number), its_unit.text


@dataclass(frozen=True)
class Uncertainty:
    """An expanded uncertainty as a certificate states it; the standard deviation is `value / k`.

    value: a difference ("0.8 K"). k: coverage factor, above 0.
    """

    value: QuantityLike
    k: float = 2.0

    def __post_init__(self) -> None:
        """Take number and unit apart."""
        object.__setattr__(self, "value", plain(self.value))
        object.__setattr__(self, "k", float(self.k))
        if not 0.0 < self.k < float("inf"):
            raise BoundsError(f"coverage factor k = {self.k:g} is not above 0; certificates state 2 most of the time")

    @property
    def standard(self) -> tuple[float, str]:
        """One standard deviation: number and unit."""
        number, text = plain(self.value)
        return number / self.k, text


@dataclass(frozen=True)
class EstimatedNoise:
    """A noise level that the calibration estimates, from `start`; channels with one `shared` name have it in common."""

    start: QuantityLike
    shared: str | None = None

    def __post_init__(self) -> None:
        """Take number and unit apart."""
        object.__setattr__(self, "start", plain(self.start))
        if self.shared is not None:
            check_name("noise", self.shared)


@dataclass(frozen=True)
class UnknownBias:
    """An additive bias that the calibration estimates: measured = true + bias, bias ~ Normal(0, sd)."""

    sd: QuantityLike

    def __post_init__(self) -> None:
        """Take number and unit apart."""
        object.__setattr__(self, "sd", plain(self.sd))


@dataclass(frozen=True)
class UnknownDelay:
    """A pure delay that the calibration estimates: the sample at t shows the output at t - delay."""

    low: QuantityLike
    high: QuantityLike

    def __post_init__(self) -> None:
        """Take numbers and units apart, and check the range."""
        object.__setattr__(self, "low", plain(self.low))
        object.__setattr__(self, "high", plain(self.high))
        low, high = (to_si(x, as_unit("s"), name="delay") for x in (self.low, self.high))
        if not 0.0 <= low < high:
            raise BoundsError(f"a delay between {low:g} s and {high:g} s: give 0 <= low < high")
