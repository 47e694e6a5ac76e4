"""Signals and settings: the named inputs and outputs of a model, and what a recipe leaves open."""

import math
from dataclasses import dataclass, field
from typing import Any

from physics_twin.errors import check_name, unknown_name
from physics_twin.parameters import Bounds, bounds_in_si, check_bounds, interval_text
from physics_twin.units import QuantityLike, Unit, format_si, in_unit, unit as as_unit


@dataclass(frozen=True, init=False)
class Signal:
    """A named input or output of a model, and the range outside which it makes no sense.

    `lower` and `upper` are quantities or bare numbers in `unit`; afterwards floats in SI, infinite where open.
    Raises `UnitError`, `BoundsError`, `ModelError` (the name).

    >>> Signal("gas_temperature", "degC", lower=-20).lower
    253.14999999999998
    """

    # init=False: see Parameter
    name: str = field(init=False)
    unit: Unit = field(init=False)
    description: str = field(init=False)
    lower: float = field(init=False)
    upper: float = field(init=False)

    def __init__(
        self,
        name: str,
        unit: str | Unit,
        *,
        description: str = "",
        lower: QuantityLike | None = None,
        upper: QuantityLike | None = None,
    ) -> None:
        check_name("signal", name, library_forms=True)
        declared = _unit_of(name, unit)
        low, high = bounds_in_si((lower, upper), declared, name)
        for key, item in (
            ("name", name),
            ("unit", declared),
            ("description", description),
            ("lower", low),
            ("upper", high),
        ):
            object.__setattr__(self, key, item)

    @property
    def bounds(self) -> tuple[float, float]:
        """(lower, upper) in SI."""
        return self.lower, self.upper

    def to_si(self, quantity: QuantityLike) -> float:
        """Return a quantity, or a bare number in the declared unit, in SI; raises if it is outside the range."""
        number = in_unit(quantity, self.unit, name=self.name)
        self.check(number)
        return number

    def check(self, number: float) -> None:
        """Raise `BoundsError` if a number in SI is outside the range."""
        check_bounds(self.name, number, self.bounds, self.unit)

    def format(self, number: float, digits: int = 4) -> str:
        """Return a number in SI as text in the declared unit."""
        return format_si(number, self.unit, digits)

    def __repr__(self) -> str:
        bounded = f", {interval_text(self.bounds, self.unit)}" if any(map(math.isfinite, self.bounds)) else ""
        return f"Signal({self.name!r}, {self.unit.text!r}{bounded})"


@dataclass(frozen=True, init=False)
class Setting:
    """A value that a recipe leaves open: a level, a duration, an initial charge; calibration and envelopes vary it.

    `bounds` and `value` are quantities or bare numbers in `unit`; afterwards floats in SI (`value` may stay None).
    Raises `UnitError`, `BoundsError`, `ModelError` (the name).

    >>> soak = Setting("soak_temperature", "degC", bounds=(880, "1233.15 K"))
    >>> soak
    Setting('soak_temperature', 'degC', bounds=[880, 960] degC)
    """

    # init=False: see Parameter
    name: str = field(init=False)
    unit: Unit = field(init=False)
    bounds: tuple[float, float] = field(init=False)
    value: float | None = field(init=False)
    description: str = field(init=False)

    def __init__(
        self,
        name: str,
        unit: str | Unit,
        *,
        bounds: Bounds = None,
        value: QuantityLike | None = None,
        description: str = "",
    ) -> None:
        check_name("setting", name)
        declared = _unit_of(name, unit)
        pair = bounds_in_si(bounds, declared, name)
        number = None if value is None else in_unit(value, declared, name=name)
        for key, item in (
            ("name", name),
            ("unit", declared),
            ("bounds", pair),
            ("value", number),
            ("description", description),
        ):
            object.__setattr__(self, key, item)
        if number is not None:
            self.check(number)

    def to_si(self, quantity: QuantityLike) -> float:
        """Return a quantity, or a bare number in the declared unit, in SI; raises if it is outside the bounds."""
        number = in_unit(quantity, self.unit, name=self.name)
        self.check(number)
        return number

    def check(self, number: float) -> None:
        """Raise `BoundsError` if a number in SI is outside the bounds."""
        check_bounds(self.name, number, self.bounds, self.unit)

    def format(self, number: float, digits: int = 4) -> str:
        """Return a number in SI as text in the declared unit."""
        return format_si(number, self.unit, digits)

    def replace(self, **changes: Any) -> "Setting":
        """Return a copy with other `bounds`, `value`, `unit` or `description`, given as to the constructor."""
        si = Unit(self.unit.si_text)
        kept: dict[str, Any] = {
            "name": self.name,
            "unit": self.unit,
            "bounds": tuple((b, si) if math.isfinite(b) else None for b in self.bounds),
            "value": None if self.value is None else (self.value, si),
            "description": self.description,
        }
        for key in changes:
            if key not in kept:
                raise unknown_name("field of a Setting", key, kept)
        return Setting(**{**kept, **changes})

    def __repr__(self) -> str:
        parts = [repr(self.name), repr(self.unit.text)]
        if any(map(math.isfinite, self.bounds)):
            parts.append(f"bounds={interval_text(self.bounds, self.unit)}")
        if self.value is not None:
            parts.append(f"value={self.format(self.value)!r}")
        return f"Setting({', '.join(parts)})"


def _unit_of(name: str, unit: str | Unit) -> Unit:
    try:
        return as_unit(unit)
    except ValueError as error:
        raise type(error)(f"{name}: {error}") from None
