"""Enthalpy per volume as a function of temperature: the integral of density times heat capacity, and latent heat.

Energy is conserved because what is stored is a function of the state; its slope is the heat capacity.
"""

from typing import Any

import numpy as np

from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import ufl
from physics_twin.fem.materials import Solid, Tabulated
from physics_twin.fem.quantities import Scope, resolve
from physics_twin.units import Unit

REFERENCE = 298.15
"""K, where the enthalpy is zero"""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)  # exact for polynomials up to degree 15
_KELVIN, _VOLUMETRIC = Unit("K").dimension, Unit("J/m^3").dimension


def enthalpy(solid: Solid, scope: Scope, what: str) -> Expression:
    """J/m^3 at the temperature scope["T"], zero at 298.15 K."""
    T = scope["T"]
    density = resolve(solid.density, "kg/m^3", scope, f"{what}: density")
    if isinstance(solid.heat_capacity, Tabulated) and not depends_on(density, T):
        magnitude = density.magnitude * _integral_of_table(solid.heat_capacity, T.magnitude)
    else:
        capacity = _volumetric(solid, scope, what)
        if depends_on(capacity, T):
            magnitude = _integral(solid, scope, what)
        else:
            magnitude = capacity.magnitude * (T.magnitude - REFERENCE)
    if solid.latent_heat is not None:
        magnitude = magnitude + _latent(solid, scope, what)
    return Expression(magnitude, _VOLUMETRIC)


def _volumetric(solid: Solid, scope: Scope, what: str) -> Expression:
    density = resolve(solid.density, "kg/m^3", scope, f"{what}: density")
    return density * resolve(solid.heat_capacity, "J/kg/K", scope, f"{what}: heat capacity")


def _integral(solid: Solid, scope: Scope, what: str) -> Any:
    """Gauss and Legendre's rule from the reference to T. A property with kinks belongs in a `Tabulated`."""
    T = scope["T"].magnitude
    half = 0.5 * (T - REFERENCE)
    parts = []
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        at = {**scope, "T": Expression(REFERENCE + half * (1.0 + float(node)), _KELVIN)}
        parts.append(float(weight) * _volumetric(solid, at, what).magnitude)
    return half * sum(parts[1:], parts[0])


def _integral_of_table(table: Tabulated, T: Any) -> Any:
    """Of straight lines that are held outside: y0 (T - T0) + sum of slope changes / 2 times max(T - x, 0)^2."""
    x, y = np.array(table.temperatures), np.array(table.values)
    slopes = np.concatenate([[0.0], np.diff(y) / np.diff(x), [0.0]])
    result = float(y[0]) * (T - REFERENCE)
    for knot, change in zip(x, np.diff(slopes), strict=True):
        if change != 0.0:
            above = ufl.max_value(T - float(knot), 0.0)
            below = max(REFERENCE - float(knot), 0.0)
            result = result + 0.5 * float(change) * (above**2 - below**2)
    return result


def liquid_fraction(solid: Solid, scope: Scope, what: str) -> Expression:
    """0 at the solidus and below, 1 at the liquidus and above, a straight line between."""
    solidus = resolve(solid.solidus, "degC", scope, f"{what}: solidus")
    liquidus = resolve(solid.liquidus, "degC", scope, f"{what}: liquidus")
    share = (scope["T"] - solidus) / (liquidus - solidus)
    return Expression(ufl.max_value(ufl.min_value(share.magnitude, 1.0), 0.0), Unit("1").dimension)


def _latent(solid: Solid, scope: Scope, what: str) -> Any:
    density = resolve(solid.density, "kg/m^3", scope, f"{what}: density")
    latent = resolve(solid.latent_heat, "J/kg", scope, f"{what}: latent heat")
    return (density * latent * liquid_fraction(solid, scope, what)).magnitude


def depends_on(expression: Expression, symbol: Expression) -> bool:
    """Whether a UFL magnitude contains the field of a symbol."""
    magnitude = expression.magnitude
    if isinstance(magnitude, float | int):
        return False
    return symbol.magnitude in ufl.algorithms.extract_coefficients(magnitude)
