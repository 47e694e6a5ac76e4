"""`ContactLayer`: the resistance of a joint as the material of a thin layer of cells."""

import inspect
from typing import Any

from physics_twin.errors import BoundsError, ModelError, check_name
from physics_twin.expressions import Expression, constant
from physics_twin.fem.materials.solid import Solid
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import QuantityLike, Unit, format_si, parse, to_si, wrong_dimension

_CONDUCTANCE = Unit("W/m^2/K")
_LENGTH = Unit("m")


class Product:
    """A function that returns the product of two quantities, and brings the Parameters and Signals it names along.

    Its signature names them, as a function that a person writes does; `declared` holds the objects, so that a model
    knows their units and values without being told again.
    """

    def __init__(self, *factors: QuantityLike | Parameter | Signal) -> None:
        self.factors = factors
        self.declared = tuple(f for f in factors if isinstance(f, Parameter | Signal))
        for quantity in self.declared:
            check_name("quantity of a function", quantity.name)
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(q.name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for q in self.declared]
        )

    def __call__(self, *values: Expression, **named: Expression) -> Expression:
        """Return the product; one value per name of the signature."""
        bound = self.__signature__.bind(*values, **named).arguments
        result: Expression = constant(1.0)
        for factor in self.factors:
            result = result * (bound[factor.name] if isinstance(factor, Parameter | Signal) else constant(factor))
        return result

    def __repr__(self) -> str:
        return " * ".join(f.name if isinstance(f, Parameter | Signal) else _text(f) for f in self.factors)


def ContactLayer(
    conductance: QuantityLike | Parameter | Signal, thickness: QuantityLike | Parameter, *, name: str = "contact_layer"
) -> Solid:
    """Return the material of a meshed layer that stands for a joint: conductivity = conductance times thickness.

    `thickness` is that of the layer in the mesh, `conductance` (W/m^2/K) what the joint has per area; each a quantity
    or a Parameter (the conductance also a Signal). The layer stores next to nothing, 1 J/m^3/K against some 1e6 of a
    solid, which keeps every cell's equation well posed. Raises `UnitError`, `BoundsError`.

    >>> ContactLayer("5 kW/m^2/K", "0.1 mm").at("conductivity", "20 degC")
    0.5
    """
    _check("conductance", conductance, _CONDUCTANCE)
    _check("thickness", thickness, _LENGTH)
    product = Product(conductance, thickness)
    conductivity: Any = product
    if not product.declared:
        conductivity = (float(product().magnitude), "W/m/K")
    return Solid(
        name=name,
        conductivity=conductivity,
        density="1 kg/m^3",
        heat_capacity="1 J/kg/K",
        source="conductance times thickness of the meshed layer; storage negligible by choice",
    )


def _check(name: str, quantity: Any, unit: Unit) -> None:
    if isinstance(quantity, Parameter | Signal):
        if quantity.unit.dimension != unit.dimension:
            raise wrong_dimension(
                f'{name} (the {type(quantity).__name__} "{quantity.name}")', None, quantity.unit, unit
            )
        if isinstance(quantity, Signal):
            return
        number, shown = quantity.value, quantity.unit
    elif callable(quantity):
        raise ModelError(f"{name}: a quantity or a Parameter is expected, not a function; give a Solid a function")
    else:
        number, shown = to_si(quantity, unit, name=name), parse(quantity)[1]
    if not number > 0.0:
        raise BoundsError(f"{name} = {format_si(number, shown)} must be above zero; check its sign")


def _text(quantity: Any) -> str:
    return quantity if isinstance(quantity, str) else " ".join(str(part) for part in quantity)
