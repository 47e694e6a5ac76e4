"""Hardening: how the yield stress and the place of the yield surface follow the plastic strain.

Isotropic hardening gives the flow stress as a function of the equivalent plastic strain p; the material's own
`yield_stress` is where it begins, so that a yield stress that depends on temperature carries the whole curve with it.
Kinematic hardening moves the yield surface: `Chaboche`, a sum of Armstrong and Frederick's back stresses.

Every amount is a quantity as elsewhere: a text with its unit, a `Parameter`, or a function (of T, of parameters).
Frederick and Armstrong, A mathematical representation of the multiaxial Bauschinger effect, Materials at High
Temperatures 24, 2007 (report of 1966); Chaboche, On some modifications of kinematic hardening to improve the
description of ratchetting effects, International Journal of Plasticity 7, 1991.
"""

from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.errors import BoundsError, ModelError, ShapeError
from physics_twin.expressions import Expression
from physics_twin.fem.quantities import Scope, resolve
from physics_twin.fem.symbols import settled
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit, format_si, parse, to_si, to_si_array, wrong_dimension

_PASCAL, _ONE = Unit("MPa"), Unit("1")
_AGREE = 1e-6  # relative: a flow curve and a yield stress that are written in different units are the same


@dataclass(frozen=True)
class Linear:
    """Flow stress = yield stress + modulus * p. modulus: the slope over plastic strain, Pa, zero or more.

    From a tensile test with the tangent modulus E_t it is E E_t / (E - E_t).
    """

    modulus: Any

    def __post_init__(self) -> None:
        """Check unit and sign."""
        _checked("hardening: modulus", self.modulus, _PASCAL, least=0.0)

    def flow_stress(self, p: Any, first: Any, scope: Scope, what: str) -> Any:
        """The flow stress in Pa over CasADi at the equivalent plastic strain p; first: the yield stress in Pa."""
        return first + _resolved(self.modulus, "Pa", scope, f"{what}: hardening modulus") * p


@dataclass(frozen=True)
class Voce:
    """Flow stress = yield stress + saturation (1 - exp(-rate p)) + modulus * p.

    saturation: Pa, what the yield stress gains in the end (below zero: cyclic softening). rate: pure number above 0.
    modulus: Pa, a linear part.
    """

    saturation: Any
    rate: Any
    modulus: Any = "0 MPa"

    def __post_init__(self) -> None:
        """Check units and signs."""
        _checked("hardening: saturation", self.saturation, _PASCAL)
        _checked("hardening: rate", self.rate, _ONE, above=0.0)
        _checked("hardening: modulus", self.modulus, _PASCAL, least=0.0)

    def flow_stress(self, p: Any, first: Any, scope: Scope, what: str) -> Any:
        """The flow stress in Pa over CasADi at the equivalent plastic strain p; first: the yield stress in Pa."""
        gain = _resolved(self.saturation, "Pa", scope, f"{what}: saturation of hardening")
        rate = _resolved(self.rate, "1", scope, f"{what}: rate of hardening")
        slope = _resolved(self.modulus, "Pa", scope, f"{what}: hardening modulus")
        return first + gain * (1.0 - ca.exp(-rate * p)) + slope * p


@dataclass(frozen=True, init=False)
class FlowCurve:
    """A measured flow curve: straight lines between rows of equivalent plastic strain and (true) stress.

    strains: (numbers, "unit") or plain numbers that ascend from 0. stresses: (numbers, "unit"), above zero and not
    falling; beyond the last row the stress stays. Where the material has a `yield_stress` the curve is scaled to begin
    there (a yield stress that depends on temperature); without one the curve's first stress is the yield stress. The
    stress has kinks at the rows, where its derivatives are those of the line that begins there.
    """

    strains: tuple[float, ...]
    stresses: tuple[float, ...]

    def __init__(self, strains: Any, stresses: Any) -> None:
        columns = strains if isinstance(strains, tuple) and len(strains) == 2 and _is_unit(strains[1]) else (strains, 1)
        p = to_si_array((columns[0], _ONE if columns[1] == 1 else columns[1]), _ONE, name="strains of a flow curve")
        s = to_si_array(stresses, _PASCAL, name="stresses of a flow curve")
        if p.ndim != 1 or p.shape != s.shape or len(p) < 2:
            raise ShapeError(
                f"a flow curve has two columns of the same length, 2 or more; here their shapes are {p.shape} and "
                f"{s.shape}"
            )
        if p[0] != 0.0 or (np.diff(p) <= 0.0).any():
            raise BoundsError(f"strains of a flow curve are plastic strains that ascend from 0; they begin {p[:3]}")
        if not s[0] > 0.0 or (np.diff(s) < 0.0).any():
            raise BoundsError(
                "stresses of a flow curve are above zero and do not fall: softening has no mesh-free answer"
            )
        object.__setattr__(self, "strains", tuple(p.tolist()))
        object.__setattr__(self, "stresses", tuple(s.tolist()))

    def flow_stress(self, p: Any, first: Any, scope: Scope, what: str) -> Any:
        """The flow stress in Pa over CasADi at the equivalent plastic strain p; first: the yield stress in Pa."""
        slopes = np.append(np.diff(self.stresses) / np.diff(self.strains), 0.0)
        shape = self.stresses[0] + slopes[0] * p
        for at, change in zip(self.strains[1:], np.diff(slopes), strict=True):
            shape = shape + float(change) * ca.fmax(p - at, 0.0)
        return first / self.stresses[0] * shape


@dataclass(frozen=True)
class BackStress:
    """One back stress of Armstrong and Frederick: d(alpha) = 2/3 modulus d(eps_p) - recovery alpha dp.

    modulus: Pa, above 0. recovery: pure number, 0 or more. In uniaxial tension it grows to modulus / recovery; without
    recovery it is Prager's linear kinematic hardening. Moduli that depend on temperature are those of the step's end.
    """

    modulus: Any
    recovery: Any = 0.0

    def __post_init__(self) -> None:
        """Check units and signs."""
        _checked("back stress: modulus", self.modulus, _PASCAL, above=0.0)
        _checked("back stress: recovery", self.recovery, _ONE, least=0.0)

    def resolved(self, scope: Scope, what: str) -> tuple[Any, Any]:
        """Modulus in Pa and recovery over CasADi."""
        modulus = _resolved(self.modulus, "Pa", scope, f"{what}: modulus of a back stress")
        return modulus, _resolved(self.recovery, "1", scope, f"{what}: recovery of a back stress")


@dataclass(frozen=True)
class Chaboche:
    """Kinematic hardening, the sum of back stresses, with isotropic hardening beside it (none: a yield stress).

    >>> Chaboche([BackStress("40 GPa", 400), BackStress("3 GPa")], isotropic=Voce("50 MPa", 8))
    ... # doctest: +ELLIPSIS
    Chaboche(back_stresses=(BackStress(...
    """

    back_stresses: Any
    isotropic: Any = None

    def __post_init__(self) -> None:
        """Check the parts."""
        given = self.back_stresses
        parts = (given,) if isinstance(given, BackStress) else tuple(given)
        if not parts or not all(isinstance(b, BackStress) for b in parts):
            raise ModelError('Chaboche: back_stresses is a list of fem.BackStress("40 GPa", 400)')
        if self.isotropic is not None and not isinstance(self.isotropic, Linear | Voce | FlowCurve):
            raise ModelError(f"Chaboche: isotropic is Linear, Voce or FlowCurve, not {self.isotropic!r}")
        object.__setattr__(self, "back_stresses", parts)


Hardening = Linear | Voce | FlowCurve | Chaboche


def isotropic_of(hardening: Hardening | None) -> "Linear | Voce | FlowCurve | None":
    """The part that makes the yield surface larger; None for none."""
    part = hardening.isotropic if isinstance(hardening, Chaboche) else hardening
    return part if isinstance(part, Linear | Voce | FlowCurve) else None


def back_stresses_of(hardening: Hardening | None) -> tuple[BackStress, ...]:
    """The part that moves it."""
    return tuple(hardening.back_stresses) if isinstance(hardening, Chaboche) else ()


def first_yield(solid: Any, scope: Scope, what: str) -> Any:
    """The yield stress at p = 0 over CasADi, Pa."""
    curve = isotropic_of(solid.hardening)
    written = solid.yield_stress
    if isinstance(curve, FlowCurve):
        if written is None:
            return curve.stresses[0]
        if isinstance(written, str) or (isinstance(written, tuple) and not callable(written)):
            number = to_si(written, _PASCAL, name=f"{what}: yield_stress")
            if abs(number - curve.stresses[0]) > _AGREE * number:
                raise ModelError(
                    f"{what}: yield_stress = {format_si(number, _PASCAL)} and the flow curve begins at "
                    f"{format_si(curve.stresses[0], _PASCAL)}; leave yield_stress out, or make them agree"
                )
    return _resolved(written, "Pa", scope, f"{what}: yield stress")


def _resolved(quantity: Any, unit: str, scope: Scope, what: str) -> Any:
    return settled(resolve(quantity, unit, scope, what))


def _is_unit(x: Any) -> bool:
    return isinstance(x, str | Unit)


def _checked(label: str, given: Any, unit: Unit, *, least: float | None = None, above: float | None = None) -> None:
    """Raise UnitError for another dimension and BoundsError for a number out of range."""
    if isinstance(given, Parameter | Signal):
        if given.unit.dimension != unit.dimension:
            raise wrong_dimension(f'{label} (the {type(given).__name__} "{given.name}")', None, given.unit, unit)
        if isinstance(given, Signal):
            return
        number = float(given.value)
        label = f'{label} (the Parameter "{given.name}")'
        shown = format_si(number, given.unit)
    elif isinstance(given, Expression):
        raise ModelError(f"{label}: an expression belongs to one model; give a function that returns it")
    elif callable(given):
        return  # its unit is known when a model calls it, which checks it then
    elif unit.is_dimensionless and isinstance(given, int | float | np.number) and not isinstance(given, bool):
        number = float(given)
        shown = f"{number:g}"
    else:
        number = to_si(given, unit, name=label)
        shown = format_si(number, parse(given)[1])
    if above is not None and not number > above:
        raise BoundsError(f"{label} = {shown} must be above zero; check its sign")
    if least is not None and not number >= least:
        raise BoundsError(f"{label} = {shown} must not be below zero: softening has no answer that a mesh can find")
