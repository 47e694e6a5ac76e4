"""What tables and formulas over temperature have in common: a range, and what holds outside of it."""

import enum
import math
from abc import ABC, abstractmethod

from physics_twin.errors import BoundsError, UnitError
from physics_twin.expressions import Expression, constant, maximum, minimum
from physics_twin.units import QuantityLike, Unit, format_si, to_si, wrong_dimension

_KELVIN = Unit("K")
# A temperature computed as 20 degC is 293.15 K up to rounding; it is still in a range that begins there.
_ROUNDING = 1e-9
# In equations a law that is not held goes on for 1 K beyond its range before it stays constant: a part that starts at
# the very end of the range would otherwise sit on a kink, where the derivative that Newton and sensitivities take is 0.
MARGIN = 1.0


class Outside(enum.Enum):
    """What a property does outside its range of temperature: keep its end value (declared), or be an error."""

    HOLD = "hold"
    ERROR = "error"


class TemperatureLaw(ABC):
    """A property as a function of temperature within a range; `Tabulated` and `Formula` are the two kinds.

    Instances are functions of `T` as models take them. In equations a law is constant outside its range in either case
    (with `Outside.ERROR` from 1 K beyond it on), so that a Newton iterate out there does no harm; what `Outside.ERROR`
    adds is that a number outside the range raises `BoundsError`, and that a solver checks its solution against `range`.
    """

    source: str
    outside: Outside
    unit: Unit
    temperature_unit: Unit
    range: tuple[float, float]
    """Lowest and highest temperature in K."""

    @abstractmethod
    def _inside(self, temperature: Expression) -> Expression:
        """Return the property at a temperature within `_reach`."""

    @abstractmethod
    def with_outside(self, outside: Outside) -> "TemperatureLaw":
        """Return a copy that holds its end values outside the range, or does not."""

    @abstractmethod
    def extremes(self) -> tuple[float, float]:
        """Return the least and the greatest value in SI, for checks of sign."""

    def at(self, temperature: QuantityLike) -> float:
        """Return the property in SI at a temperature with its unit; raises `BoundsError` outside the range.

        With `Outside.HOLD` the end value comes back instead.
        """
        kelvin = to_si(temperature, self.temperature_unit, name="temperature")
        return float(self.expression(Expression(kelvin, _KELVIN.dimension)).magnitude)

    def expression(self, T: Expression) -> Expression:
        """Return the property at the temperature `T`, an expression of any kind; see `at` for numbers."""
        T = constant(T)
        if T.dimension != _KELVIN.dimension:
            raise UnitError(f"{self!r}: its argument is a temperature, not {T!r}")
        if isinstance(T.magnitude, float | int) and self.outside is Outside.ERROR:
            self.check(float(T.magnitude))
        low, high = (Expression(end, _KELVIN.dimension) for end in self._reach)
        return self._inside(minimum(maximum(T, low), high))

    @property
    def _reach(self) -> tuple[float, float]:
        """From where to where in K the law is not constant in equations."""
        low, high = self.range
        return (low, high) if self.outside is Outside.HOLD else (max(low - MARGIN, 0.5 * low), high + MARGIN)

    def __call__(self, T: Expression) -> Expression:
        """Return `expression(T)`: a law can stand wherever a function of `T` can."""
        return self.expression(T)

    def check(self, kelvin: float) -> None:
        """Raise `BoundsError` if a temperature in K is outside the range (or NaN), whatever `outside` says."""
        low, high = self.range
        slack = _ROUNDING * high
        if not low - slack <= kelvin <= high + slack:
            raise BoundsError(
                f"temperature = {format_si(kelvin, self.temperature_unit)} is outside {self.range_text()}, the range "
                f"of {self._described()}; declare outside=Outside.HOLD if its end values hold, or give data that reach "
                "further"
            )

    def range_text(self) -> str:
        """Return the range as people write it: "20 degC to 1200 degC"."""
        low, high = (format_si(end, self.temperature_unit) for end in self.range)
        return f"{low} to {high}"

    def _described(self) -> str:
        return f"a property in {self.unit}" + (f" ({self.source})" if self.source else "")

    def _range_shown(self) -> str:
        return self.range_text() + (", held outside" if self.outside is Outside.HOLD else "")


def checked_range(low: float, high: float) -> tuple[float, float]:
    """Return (low, high) in K; raises `BoundsError` unless they ascend."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise BoundsError(f"the range of temperature {low:g} K to {high:g} K does not ascend")
    return low, high


def require_unit(name: str, law: TemperatureLaw, expected: Unit) -> None:
    """Raise `UnitError`, beginning with `name`, if a law is in another dimension than `expected`."""
    if law.unit.dimension != expected.dimension:
        raise wrong_dimension(name, None, law.unit, expected)
