"""What a person writes for a quantity, as an Expression over UFL or CasADi.

A quantity is a text with its unit, a `Parameter`, a `Signal`, a table over temperature, a `Spline`, or a function
whose argument names say what it depends on: T, t, x, y, z, r, a local state, a parameter, a signal. One description is
read twice: over UFL for the forms, over CasADi for what is evaluated at points (local states, prescribed and initial
values).
"""

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from physics_twin.errors import ModelError, UnitError, check_name, unknown_name
from physics_twin.expressions import Expression
from physics_twin.fem.distribution import Distribution
from physics_twin.parameters import Parameter
from physics_twin.signals import Setting, Signal
from physics_twin.units import Unit, to_si

Scope = Mapping[str, Expression]
"""Names that a function may ask for."""


class Declarations:
    """The parameters and input signals of a description, by name, in the order in which they were found."""

    def __init__(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.inputs: dict[str, Signal] = {}
        self.distributions: dict[str, Distribution] = {}

    def find(self, description: Any) -> None:
        """Collect every Parameter and Signal in a nest of dataclasses, mappings and sequences."""
        if isinstance(description, Parameter):
            self._add(self.parameters, description, self.inputs)
        elif isinstance(description, Signal):
            self._add(self.inputs, description, self.parameters)
        elif isinstance(description, Distribution):
            known = self.distributions.setdefault(description.name, description)
            if known is not description and known != description:
                raise ModelError(f'the distribution "{description.name}" is declared twice and differently')
            self.find(description.parameters)
        elif dataclasses.is_dataclass(description) and not isinstance(description, type):
            for field in dataclasses.fields(description):
                self.find(getattr(description, field.name))
        elif isinstance(description, Mapping):
            for value in description.values():
                self.find(value)
        elif isinstance(description, list | tuple):
            for value in description:
                self.find(value)
        else:
            # A function made from parameters (a contact layer's conductivity) tells what it was made of.
            for value in getattr(description, "declared", ()):
                self.find(value)

    def _add(self, known: dict[str, Any], found: "Parameter | Signal", others: Mapping[str, Any]) -> None:
        check_name("parameter or input", found.name, library_forms=isinstance(found, Parameter))
        if found.name in others:
            raise ModelError(f'"{found.name}" is declared as a parameter and as an input; rename one')
        earlier = known.setdefault(found.name, found)
        if earlier is not found and repr(earlier) != repr(found):
            raise ModelError(f'"{found.name}" is declared twice and differently: {earlier!r} and {found!r}')


def resolve(quantity: Any, unit: str, scope: Scope, what: str) -> Expression:
    """A quantity as an Expression of the dimension of `unit`; `what` names it in errors.

    Raises UnitError for another dimension, UnknownNameError for a function that asks for a name nobody declared.
    """
    target = Unit(unit)
    if isinstance(quantity, Parameter | Signal | Distribution):
        found = _known(quantity.name, scope, what)
    elif isinstance(quantity, Expression):
        found = quantity
    elif isinstance(quantity, Setting):
        raise ModelError(
            f'{what}: the setting "{quantity.name}" belongs to a recipe; a model takes a Parameter, or a Signal that '
            "the recipe sets"
        )
    elif hasattr(quantity, "expression"):
        found = quantity.expression(_known("T", scope, what))
    elif callable(quantity):
        found = call(quantity, scope, what)
        if not isinstance(found, Expression):
            return resolve(found, unit, scope, what)
    elif isinstance(quantity, int | float | np.number) and not isinstance(quantity, bool):
        if quantity != 0 and not target.is_dimensionless:
            raise UnitError(f'{what}: {quantity!r} has no unit; write "{quantity} {unit}"')
        found = Expression(float(quantity), target.dimension)
    else:
        found = Expression(to_si(quantity, target, name=what), target.dimension)
    if found.dimension != target.dimension:
        given = Unit.from_dimension(found.dimension)
        shown = "a pure number" if given.is_one else f"in {given}"
        raise UnitError(f"{what} is {shown}; expected {'a pure number' if target.is_one else unit}")
    return found


def call(function: Any, scope: Scope, what: str) -> Any:
    """A function called with the expressions that its argument names ask for."""
    try:
        names = [p.name for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):
        raise ModelError(f"{what}: {function!r} has no readable arguments; write a def or a lambda") from None
    arguments = {name: _known(name, scope, what) for name in names}
    try:
        return function(**arguments)
    except UnitError as error:
        raise UnitError(f"{what}: {error}") from None
    except TypeError as error:  # math.exp(T), or two texts multiplied
        raise ModelError(
            f"{what}: its function cannot be evaluated ({error}); use pt.exp, pt.sqrt and their like, and begin "
            "a product with a named quantity (Python cannot multiply two texts)"
        ) from error


def named_parts(name: str, given: Any) -> dict[str, Any]:
    """A mapping of names as a dictionary; ModelError for anything else."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ModelError(f"{name} is a mapping from names, {name}={{...}}, not a {type(given).__name__}")
    return dict(given)


def _known(name: str, scope: Scope, what: str) -> Expression:
    try:
        return scope[name]
    except KeyError:
        error = unknown_name("quantity", name, scope)
        raise type(error)(f"{what}: {error}") from None


def as_list(given: Any) -> list[Any]:
    """One thing or several as a list; None is none."""
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


def total(expressions: Iterable[Any], zero: Any) -> Any:
    """The sum of magnitudes, or `zero` where there is none."""
    result = None
    for expression in expressions:
        result = expression if result is None else result + expression
    return zero if result is None else result
