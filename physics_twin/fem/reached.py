"""Whether every parameter and input of a description reaches the model: one that does not is a mistake."""

from typing import Any

import numpy as np

from physics_twin.errors import ModelError
from physics_twin.fem._dolfinx import ufl
from physics_twin.fem.operators import Operators, constants_in
from physics_twin.fem.quantities import Declarations
from physics_twin.fem.symbols import Symbols


def check_reached(model: Any) -> None:
    """Raise ModelError for a name that is in no form, prescribed or initial value, rate or sensor.

    What a material declares may go unused: one `Solid` serves heat, elasticity and plasticity, and each of them asks
    for some of its properties.
    """
    discretized, ops = model.discretized, model.operators
    symbols: Symbols = ops.symbols
    reached = ops.used.copy()
    for e in ops.f.essential:
        reached |= e.value.depends
    if discretized.initial is not None:
        reached |= discretized.initial.depends
    if ops.law is not None:
        reached |= ops.law.depends
    for _, observer in discretized.sensors.values():
        reached |= _of_observer(observer, ops)
    description = getattr(model.build, "description", None)
    properties = Declarations()
    properties.find(getattr(getattr(description, "elastic", description), "materials", None))
    excused = {*properties.parameters, *properties.inputs}
    for k, name in enumerate(symbols.names[:-1]):
        if not reached[k] and name not in excused:
            what = "parameter" if k < symbols.n_p else "input"
            raise ModelError(
                f'the {what} "{name}" appears in no property, source, condition, rate, start or sensor of '
                f'"{model.name}"; leave it out, or use it'
            )


def _of_observer(observer: Any, ops: Operators) -> Any:
    """Which entries of theta the UFL objects of an observer (and of the block that it is a row of) contain."""
    found = np.zeros(ops.symbols.n_theta, dtype=bool)
    objects = [observer, getattr(observer, "block", None)]
    for value in [v for o in objects if o is not None for v in vars(o).values()]:
        if isinstance(value, ufl.Form | ufl.core.expr.Expr):
            used = constants_in(value)
            found |= np.array([c in used for c in ops.symbols.constants])
            fields = ufl.algorithms.extract_coefficients(value)
            for d in ops.symbols.distributions:
                found[d.entries] |= d.field in fields
    return found
