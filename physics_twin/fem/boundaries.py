"""Thermal boundary conditions. What is not named is insulated; a list of conditions is their sum."""

import math
from dataclasses import dataclass
from typing import Any

from physics_twin.errors import BoundsError, ModelError, UnitError
from physics_twin.expressions import Expression
from physics_twin.fem.quantities import Scope, resolve
from physics_twin.units import Unit, format_si, to_si

STEFAN_BOLTZMANN = 5.670374419e-8
"""W/(m^2 K^4), exact in the SI of 2019"""

_RADIATION = Unit("W/m^2/K^4").dimension


def _check_range(name: str, quantity: Any, unit: Unit, high: float = math.inf) -> None:
    """Raise BoundsError for a constant outside [0, high]; a wrong unit is told later, with its boundary."""
    if not isinstance(quantity, str | int | float):
        return
    try:
        number = to_si(quantity, unit, name=name)
    except UnitError:
        return
    if not 0.0 <= number <= high:
        allowed = "zero or more; check its sign" if high == math.inf else f"between 0 and {high:g}"
        raise BoundsError(f"{name} = {format_si(number, unit)} must be {allowed}")


@dataclass(frozen=True)
class Temperature:
    """A prescribed temperature; it may depend on coordinates, inputs, parameters and t, not on T."""

    value: Any


@dataclass(frozen=True)
class Flux:
    """A heat flux into the body, W/m^2."""

    value: Any

    def inward(self, scope: Scope, where: str) -> Expression:
        """The heat flux into the body."""
        return resolve(self.value, "W/m^2", scope, f"{where}: flux")


@dataclass(frozen=True)
class Convection:
    """Newton's law: film_coefficient (W/m^2/K) times (ambient - T)."""

    film_coefficient: Any
    ambient: Any

    def __post_init__(self) -> None:
        """Check the sign."""
        _check_range("film_coefficient", self.film_coefficient, Unit("W/m^2/K"))

    def inward(self, scope: Scope, where: str) -> Expression:
        """The heat flux into the body."""
        film = resolve(self.film_coefficient, "W/m^2/K", scope, f"{where}: film coefficient")
        return film * (resolve(self.ambient, "degC", scope, f"{where}: ambient") - scope["T"])


@dataclass(frozen=True)
class Radiation:
    """A grey body in large surroundings: emissivity times sigma times (surroundings^4 - T^4), absolute temperatures."""

    emissivity: Any
    surroundings: Any

    def __post_init__(self) -> None:
        """Check the range."""
        _check_range("emissivity", self.emissivity, Unit("1"), 1.0)

    def inward(self, scope: Scope, where: str) -> Expression:
        """The heat flux into the body."""
        emissivity = resolve(self.emissivity, "1", scope, f"{where}: emissivity")
        surroundings = resolve(self.surroundings, "degC", scope, f"{where}: surroundings")
        sigma = Expression(STEFAN_BOLTZMANN, _RADIATION)
        return emissivity * sigma * (surroundings**4 - scope["T"] ** 4)


@dataclass(frozen=True)
class GaussianSpot:
    """A beam on a surface: power absorbed over a circle, q = 2 P / (pi w^2) exp(-2 d^2 / w^2), 1/e^2 radius w.

    x, y, z: where the centre is (those that are given count for the distance d); each may move, as a Signal or a
    function of t.
    """

    power: Any
    radius: Any
    x: Any = None
    y: Any = None
    z: Any = None

    def inward(self, scope: Scope, where: str) -> Expression:
        """The heat flux into the body."""
        from physics_twin.expressions import exp

        power = resolve(self.power, "W", scope, f"{where}: power")
        radius = resolve(self.radius, "m", scope, f"{where}: radius")
        square: Any = 0
        centres = {axis: getattr(self, axis) for axis in ("x", "y", "z")}
        if all(centre is None for centre in centres.values()):
            raise ModelError(f'{where}: where is the spot? Give its centre, GaussianSpot(..., x="10 mm", y="5 mm")')
        for axis, centre in centres.items():
            if centre is not None:
                if axis not in scope:
                    raise ModelError(f"{where}: the spot has a centre along {axis}, the body has no {axis}")
                square = square + (scope[axis] - resolve(centre, "m", scope, f"{where}: {axis}")) ** 2
        return 2.0 * power / (3.141592653589793 * radius**2) * exp(-2.0 * square / radius**2)


ThermalBoundary = Temperature | Flux | Convection | Radiation | GaussianSpot
