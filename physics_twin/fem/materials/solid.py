"""`Solid`: what a region of a part is made of."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from physics_twin.errors import BoundsError, ModelError, ShapeError, unknown_name
from physics_twin.expressions import Expression
from physics_twin.fem.distribution import Distribution
from physics_twin.fem.materials.temperature_law import Outside, TemperatureLaw, require_unit
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import QuantityLike, Unit, format_si, parse, to_si, wrong_dimension

type Property = QuantityLike | Parameter | Signal | Distribution | TemperatureLaw | Callable[..., Any]
"""One property as a person writes it; a function names what it depends on by its arguments."""

type Directional = Property | tuple[Property, ...]
"""A property that may have a value per direction."""

PROPERTIES: Mapping[str, Unit] = MappingProxyType(
    {
        "conductivity": Unit("W/m/K"),
        "density": Unit("kg/m^3"),
        "heat_capacity": Unit("J/kg/K"),
        "latent_heat": Unit("J/kg"),
        "solidus": Unit("degC"),
        "liquidus": Unit("degC"),
        "emissivity": Unit("1"),
        "youngs_modulus": Unit("GPa"),
        "poissons_ratio": Unit("1"),
        "shear_modulus": Unit("GPa"),
        "thermal_expansion": Unit("1/K"),
        "expansion_reference": Unit("degC"),
        "yield_stress": Unit("MPa"),
    }
)
"""The properties that are quantities, with a unit of their dimension."""

_EXAMPLES = {
    "conductivity": "42 W/m/K",
    "density": "7850 kg/m^3",
    "heat_capacity": "470 J/kg/K",
    "latent_heat": "334 kJ/kg",
    "solidus": "1420 degC",
    "liquidus": "1460 degC",
    "emissivity": "0.8",
    "youngs_modulus": "210 GPa",
    "poissons_ratio": "0.3",
    "shear_modulus": "80 GPa",
    "thermal_expansion": "12e-6 1/K",
    "expansion_reference": "20 degC",
    "yield_stress": "235 MPa",
}
_DIRECTIONAL = ("conductivity", "youngs_modulus", "poissons_ratio", "shear_modulus", "thermal_expansion")
_ABOVE_ZERO = (
    "conductivity", "density", "heat_capacity", "latent_heat", "youngs_modulus", "shear_modulus", "yield_stress",
)  # fmt: skip
_TEMPERATURES = ("solidus", "liquidus", "expansion_reference")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Solid:
    """The properties of a solid; each is None where it is not known, and models ask for what they need (`requires`).

    A property is a quantity ("42 W/m/K"), a `Parameter`, a `Signal`, a `Tabulated` or `Formula` over temperature, or a
    function whose argument names say what it depends on. It is kept as it was written; texts, units and signs are
    checked here.

    - conductivity (W/m/K), density (kg/m^3), heat_capacity (J/kg/K at constant pressure); emissivity in [0, 1].
    - latent_heat (J/kg), set free between solidus and liquidus (absolute temperatures).
    - reactions: local states and their rates, see `physics_twin.fem`.
    - youngs_modulus, shear_modulus (Pa), poissons_ratio in (-1, 0.5), yield_stress (Pa), hardening.
    - thermal_expansion (1/K): the mean (secant) coefficient, as tables give it. From `expansion_reference` T_r, the
      free strain between T_0 and T is a(T) (T - T_r) - a(T_0) (T_0 - T_r). None: the coefficient is meant from the
      model's own stress-free temperature, and the strain is a(T) (T - T_0).
    - source, and validity (lowest, highest temperature) of what has no range of its own.

    A tuple of 2 or 3 makes conductivity, youngs_modulus, thermal_expansion orthotropic along x, y(, z), and
    poissons_ratio, shear_modulus in the order xy, yz, xz; nu_xy is the contraction along y under a stress along x.

    Raises `UnitError`, `BoundsError`, `ShapeError`; messages begin with the name of the property.

    >>> Solid(name="brick", conductivity="0.72 W/m/K", density="1920 kg/m^3")
    Solid('brick', conductivity=0.72 W/m/K, density=1920 kg/m^3)
    """

    name: str = ""
    conductivity: Directional | None = None
    density: Property | None = None
    heat_capacity: Property | None = None
    latent_heat: Property | None = None
    solidus: Property | None = None
    liquidus: Property | None = None
    reactions: Any = None
    emissivity: Property | None = None
    youngs_modulus: Directional | None = None
    poissons_ratio: Directional | None = None
    shear_modulus: Directional | None = None
    thermal_expansion: Directional | None = None
    expansion_reference: Property | None = None
    yield_stress: Property | None = None
    hardening: Any = None
    source: str = ""
    validity: tuple[QuantityLike, QuantityLike] | None = None

    def __post_init__(self) -> None:
        """Check units, signs and the order of temperatures."""
        for name, unit in PROPERTIES.items():
            written = getattr(self, name)
            if written is None:
                continue
            parts = components(written)
            if len(parts) > 1 and name not in _DIRECTIONAL:
                raise ShapeError(f"{name}: one value is expected; only {', '.join(_DIRECTIONAL)} have directions")
            if len(parts) > 3:
                raise ShapeError(f"{name}: {len(parts)} directions are given; 2 or 3 are possible")
            for i, part in enumerate(parts):
                _check(name if len(parts) == 1 else f"{name}[{i}]", name, part, unit)
        self._check_phase_change()
        _ = self.range_of()

    def _check_phase_change(self) -> None:
        if self.latent_heat is not None:
            self.requires("solidus", "liquidus", purpose="latent heat is set free between two temperatures")
        ends = [_number(getattr(self, name)) for name in ("solidus", "liquidus")]
        if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
            unit = PROPERTIES["solidus"]
            raise BoundsError(
                f"solidus = {format_si(ends[0], unit)} is above liquidus = {format_si(ends[1], unit)}; swap them"
            )

    def replace(self, **changes: Any) -> "Solid":
        """Return a copy with other properties, given as to the constructor."""
        names = [f.name for f in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                raise unknown_name("property of a Solid", name, names)
        return dataclasses.replace(self, **changes)

    def with_outside(self, outside: Outside) -> "Solid":
        """Return a copy whose tables and formulas hold their end values outside their ranges, or do not.

        With `Outside.HOLD` the copy has no `validity` either: it is declared that what is known is used everywhere.
        """
        changes: dict[str, Any] = {"validity": None} if outside is Outside.HOLD else {}
        for name, written in self.given.items():
            parts = tuple(
                part.with_outside(outside) if isinstance(part, TemperatureLaw) else part for part in components(written)
            )
            if any(isinstance(part, TemperatureLaw) for part in parts):
                changes[name] = parts if isinstance(written, tuple) else parts[0]
        return self.replace(**changes)

    @property
    def given(self) -> dict[str, Any]:
        """The properties with a unit that are given, by name, as they were written."""
        return {name: getattr(self, name) for name in PROPERTIES if getattr(self, name) is not None}

    def requires(self, *names: str, purpose: str = "") -> None:
        """Raise `ModelError`, saying which and how to give them, if one of these properties is not given."""
        known = [f.name for f in dataclasses.fields(self)]
        for name in names:
            if name not in known:
                raise unknown_name("property of a Solid", name, known)
        missing = [name for name in names if getattr(self, name) is None]
        if not missing:
            return
        who = f'the material "{self.name}"' if self.name else "the material"
        examples = ", ".join(f'{name}="{_EXAMPLES[name]}"' if name in _EXAMPLES else f"{name}=..." for name in missing)
        because = f" ({purpose})" if purpose else ""
        verb = "replace" if self.name else "Solid"
        raise ModelError(f"{who} has no {' and no '.join(missing)}{because}; give it with {verb}({examples})")

    def at(self, name: str, temperature: QuantityLike) -> float:
        """Return a property in SI at a temperature; a Parameter counts with its declared value.

        Raises `ModelError` for what is not given, has directions, or depends on more than temperature, and
        `BoundsError` outside of the range of a table or formula.
        """
        if name not in PROPERTIES:
            raise unknown_name("property with a unit", name, PROPERTIES)
        self.requires(name)
        written = getattr(self, name)
        number = None if isinstance(written, tuple) and not _is_pair(written) else _number(written)
        if number is not None:
            return number
        if isinstance(written, TemperatureLaw):
            return written.at(temperature)
        raise ModelError(f"{name} = {_shown(written)} is no function of temperature alone; evaluate it in a model")

    def range_of(self, *names: str) -> tuple[float, float]:
        """Return lowest and highest temperature in K that these properties (default: all that are given) allow.

        The common part of `validity` and the ranges of tables and formulas, except those that hold their end values;
        (0, inf) where nothing limits it. Raises `BoundsError` if they have nothing in common.
        """
        low, high = 0.0, math.inf
        if self.validity is not None:
            if len(self.validity) != 2:
                raise ShapeError('validity: a pair of temperatures is expected, such as ("20 degC", "600 degC")')
            low, high = (to_si(end, Unit("K"), name="validity") for end in self.validity)
        for name in names or tuple(self.given):
            for part in components(getattr(self, name)):
                if isinstance(part, TemperatureLaw) and part.outside is Outside.ERROR:
                    low, high = max(low, part.range[0]), min(high, part.range[1])
        if not low < high:
            raise BoundsError(
                f"validity: {', '.join(names) or 'the properties'} have no temperature in common in which all are known"
            )
        return low, high

    def __repr__(self) -> str:
        parts = [repr(self.name)] if self.name else []
        parts += [f"{name}={_shown(written)}" for name, written in self.given.items()]
        parts += [
            f"{name}={value!r}" for name in ("reactions", "hardening") if (value := getattr(self, name)) is not None
        ]
        if self.validity is not None:
            parts.append(f"validity={self.validity[0]} to {self.validity[1]}")
        line = f"Solid({', '.join(parts)})"
        return line if len(line) <= 110 else "Solid(\n    " + ",\n    ".join(parts) + ",\n)"


def components(written: Any) -> tuple[Any, ...]:
    """Return the values of a property per direction: a tuple of one unless it is orthotropic.

    >>> components((42.0, "W/m/K")), components(("42 W/m/K", "5 W/m/K"))
    (((42.0, 'W/m/K'),), ('42 W/m/K', '5 W/m/K'))
    """
    if isinstance(written, tuple) and not _is_pair(written):
        if not written:
            raise ShapeError("an empty tuple is no property")
        return written
    return (written,)


def _is_pair(written: tuple[Any, ...]) -> bool:
    """Whether a tuple is one quantity (number, "unit")."""
    if len(written) != 2 or not isinstance(written[1], str | Unit):
        return False
    return not (isinstance(written[0], str | Parameter | Signal | Distribution) or callable(written[0]))


def _number(written: Any) -> float | None:
    """Return a constant in SI (a Parameter's declared value), None for what varies or is not given."""
    if isinstance(written, Parameter):
        return written.value
    if written is None or isinstance(written, Signal | Distribution) or callable(written):
        return None
    number, given = parse(written)
    return float(given.to_si(number))


def _check(label: str, name: str, part: Any, unit: Unit) -> None:
    if isinstance(part, TemperatureLaw):
        require_unit(label, part, unit)
        _check_sign(label, name, part.extremes(), part.unit)
    elif isinstance(part, Parameter | Signal):
        if part.unit.dimension != unit.dimension:
            raise wrong_dimension(f'{label} (the {type(part).__name__} "{part.name}")', None, part.unit, unit)
        if isinstance(part, Parameter):
            _check_sign(f'{label} (the Parameter "{part.name}")', name, (part.value, part.value), part.unit)
    elif isinstance(part, Distribution):
        for parameter in part.parameters:
            _check(label, name, parameter, unit)
    elif isinstance(part, Expression):
        raise ModelError(f"{label}: an expression belongs to one model; give a function that returns it")
    elif callable(part):
        return  # its unit is known when a model calls it, which checks it then
    else:
        number = to_si(part, unit, name=label)
        _check_sign(label, name, (number, number), parse(part)[1])


def _check_sign(label: str, name: str, extremes: tuple[float, float], unit: Unit) -> None:
    low, high = extremes
    if name in _ABOVE_ZERO and not low > 0.0:
        raise BoundsError(f"{label} = {format_si(low, unit)} must be above zero; check its sign")
    if name in _TEMPERATURES and not low > 0.0:
        raise BoundsError(f"{label} = {format_si(low, unit)} must be above absolute zero")
    if name == "emissivity" and not 0.0 <= low <= high <= 1.0:
        raise BoundsError(
            f"{label} = {low if low < 0 else high:.6g} is outside [0, 1], a share of black-body radiation"
        )
    if name == "poissons_ratio" and label == name and not -1.0 < low <= high < 0.5:
        wrong = low if low <= -1.0 else high
        raise BoundsError(
            f"{label} = {wrong:.6g} is outside (-1, 0.5); at 0.5 a body is incompressible, which displacements alone "
            "cannot describe: write 0.499"
        )


def _shown(written: Any) -> str:
    if isinstance(written, str):
        return written
    if isinstance(written, tuple):
        if _is_pair(written):
            return f"{written[0]} {written[1]}"
        return "(" + ", ".join(_shown(part) for part in written) + ")"
    if not inspect.isfunction(written):
        return repr(written)
    arguments = ", ".join(inspect.signature(written).parameters)
    return f"{'function' if written.__name__ == '<lambda>' else written.__name__}({arguments})"
