"""What is known and unknown of a sensor's error: its noise, its bias, its delay."""

from dataclasses import dataclass

from physics_twin.errors import BoundsError, check_name
from physics_twin.units import QuantityLike, parse, to_si, unit as as_unit

__all__ = ["Estimated", "EstimatedNoise", "Noise", "Uncertainty", "UnknownBias", "UnknownDelay", "plain"]


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
class Estimated:
    """A number about the noise that the calibration estimates, from `start`."""

    start: QuantityLike

    def __post_init__(self) -> None:
        """Take number and unit apart."""
        object.__setattr__(self, "start", plain(self.start))


@dataclass(frozen=True)
class Noise:
    """Noise that is more than independent normal deviations of one size; each number is given, or `Estimated`.

    level: standard deviation of the constant part: a quantity, an `Uncertainty`, `Estimated` or an `EstimatedNoise`.
    proportional: share of the model's value that adds to it: the variance is level^2 + (proportional * value)^2. The
        output needs a unit whose zero is nothing (K, not degC).
    correlation_time: deviations follow an AR(1) process in continuous time: two that are dt apart have the correlation
        exp(-dt / correlation_time).
    degrees_of_freedom: deviations follow Student's t with this many, `level` being its scale: outliers pull less. Not
        together with a correlation time.

    Estimated ones are the parameters `proportional.<output>`, `correlation_time.<output>` and
    `degrees_of_freedom.<output>`, or with the name that the `EstimatedNoise` shares in place of the output.

    >>> Noise("0.1 g/L", proportional="5 %").number("proportional")
    0.05
    """

    level: QuantityLike | Uncertainty | Estimated | EstimatedNoise
    proportional: QuantityLike | Estimated | None = None
    correlation_time: QuantityLike | Estimated | None = None
    degrees_of_freedom: QuantityLike | Estimated | None = None

    def __post_init__(self) -> None:
        """Take numbers and units apart, and check them."""
        if isinstance(self.level, Estimated):
            object.__setattr__(self, "level", EstimatedNoise(self.level.start))
        elif not isinstance(self.level, Uncertainty | EstimatedNoise):
            object.__setattr__(self, "level", plain(self.level))
        for what, si in SHAPES.items():
            given = getattr(self, what)
            if given is None:
                continue
            quantity = plain(given.start if isinstance(given, Estimated) else given)
            number = to_si(quantity, as_unit(si), name=what)
            if not 0.0 < number < float("inf"):
                raise BoundsError(f"Noise: {what} = {quantity[0]:g} {quantity[1]} is not above 0")
            if what == "proportional" and number > LARGEST_SHARE:
                raise BoundsError(
                    f"Noise: proportional = {quantity[0]:g} is {100.0 * number:g} % of the value; write a share, "
                    f'"{quantity[0]:g} %" or {quantity[0] / 100.0:g}'
                )
            if not isinstance(given, Estimated):
                object.__setattr__(self, what, quantity)
        if self.correlation_time is not None and self.degrees_of_freedom is not None:
            raise BoundsError("Noise: a correlation time and degrees of freedom exclude each other; give one of them")

    def number(self, what: str) -> float | None:
        """`proportional`, `correlation_time` (s) or `degrees_of_freedom` in SI, its start where estimated, or None."""
        given = getattr(self, what)
        if given is None:
            return None
        return to_si(given.start if isinstance(given, Estimated) else given, as_unit(SHAPES[what]), name=what)


LARGEST_SHARE = 1.0
"""Of a value: noise that is larger than what it is about is a percentage without its sign."""
SHAPES = {"proportional": "1", "correlation_time": "s", "degrees_of_freedom": "1"}
"""What a `Noise` may have besides its level, and the SI unit of each."""


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
