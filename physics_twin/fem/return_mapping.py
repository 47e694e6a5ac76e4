"""The local law of J2 plasticity: implicit Euler at every quadrature point, as one residual over CasADi.

Letters (Simo and Hughes, Computational Inelasticity, 1998, chapter 3): eps_p plastic strain, p equivalent plastic
strain, b back stresses, q von Mises stress of xi = sigma - sum b, n = dq/d sigma. With the state at the step's start
(0) and the strain at its end,

    elastic:  z = z0;
    plastic:  eps_p - eps_p0 = dp n(xi),   q(xi) = flow stress(p),   b - b0 = C D (eps_p - eps_p0) - recovery b dp.

Which of them holds is decided by the trial state, sigma for eps_p0: it depends on what is given only, so that the
branch does not change while the equations of a point are solved, and the implicit function theorem holds on each side.
Where the trial state lies on the yield surface exactly, and the step turns from elastic to plastic there, the solution
has a slope on either side but no derivative.

Where a stress is zero by the kinematics (plane stress, a bar) back stresses are written with the same component zero:
only their deviator counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca

from physics_twin.fem.local_law import LocalState
from physics_twin.fem.strain import Kinematics, Matrix, product, von_mises_squared
from physics_twin.units import Unit

_ONE, _MEGAPASCAL = Unit("1"), Unit("MPa")
_STRAIN = 1e-3
"""A typical plastic strain: the scale of the unknowns"""
_SMALLEST_SQUARE = 1e-6
"""Pa^2 beside q^2, so that q has a derivative where there is no stress; far below the rounding of a yield stress"""
_ON_THE_SURFACE = 1e-11
"""of the flow stress: a trial state this little outside is elastic, so that a load that is held stays elastic"""


@dataclass(frozen=True)
class PlasticPoint:
    """What a material is at one point, magnitudes in SI over CasADi."""

    hooke: Matrix
    free_strain: Sequence[Any]
    flow_stress: Any
    """p -> Pa"""
    back: Sequence[tuple[Any, Any]]
    """(modulus, recovery) of each back stress"""


def states_of(kinematics: Kinematics, n_back: int) -> list[LocalState]:
    """The local states: components of the plastic strain, the equivalent plastic strain, back stresses."""
    found = [LocalState(f"plastic_strain_{c}", _ONE, _STRAIN) for c in kinematics.components]
    found.append(LocalState("equivalent_plastic_strain", _ONE, _STRAIN))
    for k in range(n_back):
        found += [LocalState(f"back_stress_{k + 1}_{c}", _MEGAPASCAL, 1e8) for c in kinematics.components]
    return found


def residual(kinematics: Kinematics, point: PlasticPoint, strain: Any, z: ca.SX, z0: ca.SX) -> ca.SX:
    """L(z) of a point, rows in the units of their states; strain: the total strain's components."""
    n = kinematics.n
    n_back = (z.numel() - n - 1) // n
    new, old = z[:n], z0[:n]
    p, p0 = z[n], z0[n]
    b = [z[n + 1 + k * n : n + 1 + (k + 1) * n] for k in range(n_back)]
    b0 = [z0[n + 1 + k * n : n + 1 + (k + 1) * n] for k in range(n_back)]
    xi_trial = _shifted(point, strain, old, b0, n)
    flow_before = point.flow_stress(p0)
    yields = von_mises(kinematics, xi_trial) - flow_before > _ON_THE_SURFACE * flow_before

    xi = _shifted(point, strain, new, b, n)
    q = von_mises(kinematics, xi)
    direction = normal(kinematics, xi, q)
    dp = p - p0
    rows = [new[i] - old[i] - dp * direction[i] for i in range(n)]
    rows.append((q - point.flow_stress(p)) / _twice_shear(kinematics, point.hooke))
    gained = _work_conjugate(kinematics, [new[i] - old[i] for i in range(n)])
    for k in range(n_back):
        if k < len(point.back):
            modulus, recovery = point.back[k]
            rows += [b[k][i] - b0[k][i] - modulus * gained[i] + recovery * dp * b[k][i] for i in range(n)]
        else:
            rows += [b[k][i] - b0[k][i] for i in range(n)]
    return ca.if_else(yields, ca.vertcat(*rows), z - z0)


def _twice_shear(kinematics: Kinematics, hooke: Matrix) -> Any:
    """What turns a deviatoric stress into a strain; the bulk modulus would hide it where a body hardly compresses."""
    return hooke[0][0] - hooke[0][1] if kinematics.n_normal > 1 else hooke[0][0]


def von_mises(kinematics: Kinematics, stress: Any) -> Any:
    """The von Mises stress over CasADi."""
    return ca.sqrt(von_mises_squared(kinematics, stress) + _SMALLEST_SQUARE)


def normal(kinematics: Kinematics, stress: Any, q: Any) -> list[Any]:
    """dq/d sigma, conjugate to strains with engineering shears."""
    k = kinematics.n_normal
    a = (*[stress[i] for i in range(k)], 0.0, 0.0)[:3]
    total = a[0] + a[1] + a[2]
    found = [(3.0 * a[i] - total) / (2.0 * q) for i in range(k)]
    return found + [3.0 * stress[i] / q for i in range(k, kinematics.n)]


def _shifted(point: PlasticPoint, strain: Any, plastic: Any, back: Sequence[Any], n: int) -> list[Any]:
    """Stress minus back stresses."""
    sigma = product(point.hooke, [strain[i] - point.free_strain[i] - plastic[i] for i in range(n)])
    return [sigma[i] - sum(b[i] for b in back) for i in range(n)]


def _work_conjugate(kinematics: Kinematics, strain: Sequence[Any]) -> list[Any]:
    """D eps: 2/3 of a plastic strain as a stress, shifted along the hydrostatic axis where a normal stress is zero."""
    k = kinematics.n_normal
    if k == 1:
        return [strain[0]]
    shears = [strain[i] / 3.0 for i in range(k, kinematics.n)]
    if k == 2:
        return [(4.0 * strain[0] + 2.0 * strain[1]) / 3.0, (2.0 * strain[0] + 4.0 * strain[1]) / 3.0, *shears]
    return [2.0 / 3.0 * strain[i] for i in range(3)] + shears
