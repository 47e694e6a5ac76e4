"""A property from a published formula over temperature."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.errors import BoundsError, UnitError
from physics_twin.expressions import Expression, constant
from physics_twin.fem.materials.temperature_law import Outside, TemperatureLaw, checked_range
from physics_twin.units import QuantityLike, Unit, dimension_text, parse, to_si, unit as as_unit

_KELVIN = Unit("K")
_N_SAMPLES = 60  # of the range, where a wrong sign is looked for


@dataclass(frozen=True, init=False, repr=False)
class Formula(TemperatureLaw):
    """A property over temperature: a function of an expression `T`, and the range that its source states.

    `function` gets `T` as an `Expression` in K and returns one of the dimension of `unit`. `range` is a pair of
    temperatures with unit; equations evaluate it up to 1 K beyond. A function without a range needs no Formula: models
    take it as it is.

    >>> k = Formula(lambda T: (54 - 3.33e-2 * celsius(T)) * "1 W/m/K", "W/m/K", ("20 degC", "800 degC"))
    >>> k.at("100 degC"), k
    (50.67, Formula(W/m/K over 20 degC to 800 degC))
    """

    function: Callable[[Expression], Any] = field(init=False)
    unit: Unit = field(init=False)
    range: tuple[float, float] = field(init=False)
    temperature_unit: Unit = field(init=False)
    outside: Outside = field(init=False)
    source: str = field(init=False)

    def __init__(
        self,
        function: Callable[[Expression], Any],
        unit: str | Unit,
        range: tuple[QuantityLike, QuantityLike],
        *,
        outside: Outside = Outside.ERROR,
        source: str = "",
    ) -> None:
        low, high = (to_si(end, _KELVIN, name="range of a formula") for end in range)
        checked_range(low, high)
        if not isinstance(outside, Outside):
            raise BoundsError(f"outside is Outside.HOLD or Outside.ERROR, not {outside!r}")
        for key, item in {
            "function": function,
            "unit": as_unit(unit),
            "range": (low, high),
            "temperature_unit": parse(range[0])[1],
            "outside": outside,
            "source": source,
        }.items():
            object.__setattr__(self, key, item)
        self._inside(Expression(low, _KELVIN.dimension))

    def _inside(self, temperature: Expression) -> Expression:
        result = self.function(temperature)
        dimension = result.dimension if isinstance(result, Expression) else Unit("1").dimension
        if dimension != self.unit.dimension:
            raise UnitError(
                f"the formula returns {dimension_text(dimension)}, but {self.unit} "
                f"({dimension_text(self.unit.dimension)}) is declared"
            )
        return result if isinstance(result, Expression) else Expression(float(result), dimension)

    def with_outside(self, outside: Outside) -> "Formula":
        """Return a copy that holds its end values outside the range, or does not."""
        ends = tuple((self.temperature_unit.from_si(end), self.temperature_unit.text) for end in self.range)
        return Formula(self.function, self.unit, (ends[0], ends[1]), outside=outside, source=self.source)

    def extremes(self) -> tuple[float, float]:
        """Return the least and the greatest value in SI, of samples of the range."""
        samples = [
            float(self._inside(Expression(float(x), _KELVIN.dimension)).magnitude)
            for x in np.linspace(*self.range, _N_SAMPLES)
        ]
        return min(samples), max(samples)

    def __repr__(self) -> str:
        return f"Formula({self.unit} over {self._range_shown()})"


def celsius(T: Expression | QuantityLike) -> Expression:
    """Return a temperature as the pure number of degrees Celsius that standards write their formulas in.

    >>> celsius("300 K").magnitude
    26.850000000000023
    """
    return (constant(T) - "273.15 K") / "1 K"
