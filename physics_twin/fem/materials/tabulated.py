"""A property from a table over temperature."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.errors import BoundsError, ShapeError, UnitError
from physics_twin.expressions import Expression, interpolate
from physics_twin.fem.materials.temperature_law import Outside, TemperatureLaw
from physics_twin.units import Unit, format_si, to_si_array, unit as as_unit, wrong_dimension

_KELVIN = Unit("K")


@dataclass(frozen=True, init=False, repr=False)
class Tabulated(TemperatureLaw):
    """A property over temperature: straight lines between the rows of a table.

    `temperatures` and `values` are columns (numbers, "unit") of the same length >= 2; temperatures ascend. Afterwards
    they are tuples of floats in K and in SI. `outside` says what holds outside the table: an error (the default), or
    the end values. Raises `UnitError`, `ShapeError`, `BoundsError` (temperatures that do not ascend).

    >>> k = Tabulated(([20, 400], "degC"), ([42.0, 38.0], "W/m/K"))
    >>> k.at("210 degC")
    40.0
    >>> k
    Tabulated(38 to 42 W/m/K over 20 degC to 400 degC, 2 rows)
    """

    temperatures: tuple[float, ...] = field(init=False)
    values: tuple[float, ...] = field(init=False)
    temperature_unit: Unit = field(init=False)
    unit: Unit = field(init=False)
    outside: Outside = field(init=False)
    source: str = field(init=False)

    def __init__(self, temperatures: Any, values: Any, *, outside: Outside = Outside.ERROR, source: str = "") -> None:
        temperature_unit, kelvin = _column("temperatures of a table", temperatures)
        unit, numbers = _column("values of a table", values)
        if temperature_unit.dimension != _KELVIN.dimension:
            raise wrong_dimension("temperatures of a table", None, temperature_unit, Unit("degC"))
        if len(kelvin) != len(numbers) or len(kelvin) < 2:
            raise ShapeError(
                f"a table has two columns of the same length, 2 or more; here {len(kelvin)} temperatures and "
                f"{len(numbers)} values are given"
            )
        for i in range(1, len(kelvin)):
            if not kelvin[i] > kelvin[i - 1]:
                shown = ", ".join(f"{temperature_unit.from_si(x):.6g}" for x in kelvin[i - 1 : i + 1])
                raise BoundsError(f"temperatures of a table must ascend; rows {i} and {i + 1} are {shown}")
        if not isinstance(outside, Outside):
            raise BoundsError(f"outside is Outside.HOLD or Outside.ERROR, not {outside!r}")
        for key, item in {
            "temperatures": kelvin,
            "values": numbers,
            "temperature_unit": temperature_unit,
            "unit": unit,
            "outside": outside,
            "source": source,
        }.items():
            object.__setattr__(self, key, item)

    @property
    def range(self) -> tuple[float, float]:  # type: ignore[override]  # read-only, as all of a frozen class
        """Lowest and highest temperature in K."""
        return self.temperatures[0], self.temperatures[-1]

    def _inside(self, temperature: Expression) -> Expression:
        points, values = np.array(self.temperatures), np.array(self.values)
        if self.outside is Outside.ERROR:
            slopes = np.diff(values) / np.diff(points)
            ends = np.array(self._reach)
            before, after = values[[0, -1]] + slopes[[0, -1]] * (ends - points[[0, -1]])
            points, values = np.array([ends[0], *points, ends[1]]), np.array([before, *values, after])
        return interpolate(temperature, (points, "K"), (values, Unit(self.unit.si_text)))

    def with_outside(self, outside: Outside) -> "Tabulated":
        """Return a copy that holds its end values outside the range, or does not."""
        return self._copy(self.values, outside)

    def scaled(self, factor: float) -> "Tabulated":
        """Return a copy with all values times a pure number."""
        return self._copy(tuple(factor * x for x in self.values), self.outside)

    def _copy(self, values: tuple[float, ...], outside: Outside) -> "Tabulated":
        # Through the declared units, so that messages and the repr stay in what the person wrote.
        return Tabulated(
            (self.temperature_unit.from_si(np.array(self.temperatures)), self.temperature_unit),
            (self.unit.from_si(np.array(values)), self.unit),
            outside=outside,
            source=self.source,
        )

    def extremes(self) -> tuple[float, float]:
        """Return the least and the greatest value in SI."""
        return min(self.values), max(self.values)

    def __repr__(self) -> str:
        low, high = (format_si(x, self.unit) for x in self.extremes())
        number = low.split(" ")[0]
        return f"Tabulated({number} to {high} over {self._range_shown()}, {len(self.values)} rows)"


def _column(name: str, given: Any) -> tuple[Unit, tuple[float, ...]]:
    """Return unit and numbers in SI of a column (numbers, unit)."""
    if not (isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[1], str | Unit)):
        raise UnitError(f'{name}: a column is written (numbers, unit), such as ([20, 400], "degC"), not {given!r}')
    unit = as_unit(given[1])
    numbers = to_si_array((given[0], unit), unit, name=name)
    if numbers.ndim != 1:
        raise ShapeError(f"{name}: one row of numbers is expected, not an array of shape {numbers.shape}")
    return unit, tuple(float(x) for x in numbers)
