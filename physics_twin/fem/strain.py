"""Kinematics and Hooke's law: strains and stresses as vectors of components in a fixed order.

Shear strains are engineering strains (gamma = 2 eps), so that stress times strain is work without a factor. The same
functions serve UFL (forms), CasADi (what is solved point by point) and plain numbers: they only add and multiply.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.errors import BoundsError, ModelError
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import ufl
from physics_twin.fem.materials import Solid, components
from physics_twin.fem.quantities import resolve
from physics_twin.fem.symbols import settled

Matrix = tuple[tuple[Any, ...], ...]
"""Rows of magnitudes in SI; what is zero is the float 0.0."""


@dataclass(frozen=True)
class Kinematics:
    """What a displacement does to a body: which components of strain and stress there are, normal ones first."""

    name: str
    components: tuple[str, ...]
    n_normal: int
    dimension: int

    @property
    def n(self) -> int:
        """Number of components."""
        return len(self.components)


UNIAXIAL = Kinematics("uniaxial stress", ("xx",), 1, 1)
"""A bar: no stress across it."""
PLANE_STRESS = Kinematics("plane stress", ("xx", "yy", "xy"), 2, 2)
"""A thin plate: no stress through its thickness."""
PLANE_STRAIN = Kinematics("plane strain", ("xx", "yy", "zz", "xy"), 3, 2)
"""A long body that cannot become longer."""
AXISYMMETRIC = Kinematics("axisymmetric", ("rr", "zz", "tt", "rz"), 3, 2)
"""A body of revolution under loads of revolution; t is the hoop direction. Properties per direction: r, z, t."""
SOLID = Kinematics("solid", ("xx", "yy", "zz", "xy", "yz", "xz"), 3, 3)

_SHEARS = {"xy": 0, "rz": 0, "yz": 1, "xz": 2}
"""Place of a shear in a Solid's order xy, yz, xz."""


def strain(kinematics: Kinematics, displacement: Any, coordinate: Any) -> Any:
    """The strain of a displacement as a UFL vector (n,) in the order of the kinematics' components."""
    g = ufl.grad(displacement)
    if kinematics == SOLID:
        parts = [g[0, 0], g[1, 1], g[2, 2], g[0, 1] + g[1, 0], g[1, 2] + g[2, 1], g[0, 2] + g[2, 0]]
    elif kinematics == AXISYMMETRIC:
        parts = [g[0, 0], g[1, 1], displacement[0] / coordinate[0], g[0, 1] + g[1, 0]]
    elif kinematics == PLANE_STRAIN:
        parts = [g[0, 0], g[1, 1], ufl.as_ufl(0.0), g[0, 1] + g[1, 0]]
    elif kinematics == PLANE_STRESS:
        parts = [g[0, 0], g[1, 1], g[0, 1] + g[1, 0]]
    else:
        parts = [g[0, 0]]
    return ufl.as_vector(parts)


def stiffness(solid: Solid, kinematics: Kinematics, scope: Mapping[str, Expression], what: str) -> Matrix:
    """Hooke's matrix C (n, n), Pa: stress = C (strain - thermal strain - plastic strain).

    In plane stress and uniaxial stress it is the inverse of the part of the compliance that has stresses. A solid with
    a shear modulus, or with several moduli or Poisson's ratios, is orthotropic (Jones, Mechanics of Composite
    Materials, 2nd ed., 1999, eq. 2.24). Raises ModelError for missing and BoundsError for impossible constants.
    """
    n, k = kinematics.n, kinematics.n_normal
    solid.requires("youngs_modulus", purpose=what)
    if k > 1:
        solid.requires("poissons_ratio", purpose=what)
    moduli = _resolved(solid, "youngs_modulus", "Pa", scope, what)
    ratios = _resolved(solid, "poissons_ratio", "1", scope, what) if k > 1 else []
    shears = _resolved(solid, "shear_modulus", "Pa", scope, what) if solid.shear_modulus is not None else []
    c: list[list[Any]] = [[0.0] * n for _ in range(n)]
    if len(moduli) == 1 and len(ratios) < 2 and not shears:
        normal, shear = _isotropic(moduli[0], ratios[0] if ratios else 0.0, k)
        shear_of = [shear] * (n - k)
    else:
        normal = inverse(_compliance(_spread(moduli, k, "youngs_modulus", what), _pairs(ratios, k, what), what))
        if not shears and n > k:
            raise ModelError(f'{what}: an orthotropic material needs shear_modulus, such as "5 GPa"')
        shear_of = [_shear(shears, _SHEARS[name], what) for name in kinematics.components[k:]]
    for i in range(k):
        for j in range(k):
            c[i][j] = normal[i][j]
    for i, g in enumerate(shear_of):
        c[k + i][k + i] = g
    return tuple(tuple(row) for row in c)


def thermal_strain(
    solid: Solid, kinematics: Kinematics, scope: Mapping[str, Expression], reference: Expression, what: str
) -> tuple[Any, ...]:
    """The free strain (n,) between the reference temperature and scope["T"]; see `Solid` for mean coefficients."""
    solid.requires("thermal_expansion", purpose=f'{what} has a temperature; write "0 1/K" for none')
    given = components(solid.thermal_expansion)
    k = kinematics.n_normal
    if len(given) not in (1, k):
        raise ModelError(f"{what}: {len(given)} coefficients of thermal expansion; {kinematics.name} has {k}")
    temperature = scope["T"]
    at_reference = {**scope, "T": reference}
    found = []
    for part in given:
        label = f"{what}: thermal expansion"
        hot = resolve(part, "1/K", scope, label)
        if solid.expansion_reference is None:
            found.append(_magnitude(hot * (temperature - reference)))
            continue
        origin = resolve(solid.expansion_reference, "degC", scope, f"{what}: expansion_reference")
        cold = resolve(part, "1/K", at_reference, label)
        found.append(_magnitude(hot * (temperature - origin) - cold * (reference - origin)))
    normal = found * k if len(found) == 1 else found
    return (*normal, *[0.0] * (kinematics.n - k))


def product(matrix: Matrix, vector: Any) -> list[Any]:
    """Components of a matrix times a vector, terms that are the float 0.0 left out."""
    found = []
    for row in matrix:
        terms = [c * vector[j] for j, c in enumerate(row) if not _is_zero(c)]
        found.append(sum(terms[1:], terms[0]) if terms else 0.0)
    return found


def von_mises_squared(kinematics: Kinematics, stress: Any) -> Any:
    """The square of the von Mises stress, from its components in the order of the kinematics."""
    k = kinematics.n_normal
    a, b, c = (*[stress[i] for i in range(k)], 0.0, 0.0)[:3]
    q = 0.5 * ((a - b) ** 2 + (b - c) ** 2 + (c - a) ** 2)
    for i in range(k, kinematics.n):
        q = q + 3.0 * stress[i] ** 2
    return q


def inverse(m: Matrix) -> Matrix:
    """The inverse of a matrix (1, 1) to (3, 3) by cofactors, for magnitudes of any kind."""
    n = len(m)
    if n == 1:
        return ((1.0 / m[0][0],),)
    if n == 2:
        (a, b), (c, d) = m
        det = a * d - b * c
        return ((d / det, -b / det), (-c / det, a / det))

    def cofactor(i: int, j: int) -> Any:
        i1, i2, j1, j2 = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
        return m[i1][j1] * m[i2][j2] - m[i1][j2] * m[i2][j1]

    det = sum(m[0][j] * cofactor(0, j) for j in range(3))
    return tuple(tuple(cofactor(j, i) / det for j in range(3)) for i in range(3))


def _isotropic(e: Any, nu: Any, k: int) -> tuple[Matrix, Any]:
    if k == 1:
        return ((e,),), 0.0
    shear = e / (2.0 * (1.0 + nu))
    if k == 2:
        diagonal = e / (1.0 - nu * nu)
        return ((diagonal, nu * diagonal), (nu * diagonal, diagonal)), shear
    off = e * nu / ((1.0 + nu) * (1.0 - 2.0 * nu))
    diagonal = off + 2.0 * shear
    return tuple(tuple(diagonal if i == j else off for j in range(3)) for i in range(3)), shear


def _compliance(e: Sequence[Any], nu: Mapping[tuple[int, int], Any], what: str) -> Matrix:
    k = len(e)
    rows = tuple(
        tuple(1.0 / e[i] if i == j else -nu[min(i, j), max(i, j)] / e[min(i, j)] for j in range(k)) for i in range(k)
    )
    if all(isinstance(x, float | int) for row in rows for x in row):
        least = float(np.linalg.eigvalsh(np.array(rows, dtype=float)).min())
        if least <= 0.0:
            raise BoundsError(
                f"{what}: with these Poisson's ratios a stress would set work free; check nu_xy and E_x/E_y"
            )
    return rows


def _pairs(ratios: Sequence[Any], k: int, what: str) -> dict[tuple[int, int], Any]:
    """Poisson's ratios by pair of directions, from the order xy, yz, xz."""
    if k == 1:
        return {}
    if len(ratios) == 1:
        return dict.fromkeys([(0, 1), (1, 2), (0, 2)], ratios[0])
    if len(ratios) < (3 if k == 3 else 1):
        raise ModelError(f"{what}: {len(ratios)} Poisson's ratios; three are needed, in the order xy, yz, xz")
    return dict(zip([(0, 1), (1, 2), (0, 2)], ratios, strict=False))


def _spread(values: Sequence[Any], k: int, name: str, what: str) -> list[Any]:
    if len(values) == 1:
        return [values[0]] * k
    if len(values) < k:
        raise ModelError(f"{what}: {name} has {len(values)} directions; {k} are needed")
    return list(values[:k])


def _shear(shears: Sequence[Any], place: int, what: str) -> Any:
    if len(shears) == 1:
        return shears[0]
    if place >= len(shears):
        raise ModelError(f"{what}: {len(shears)} shear moduli; three are needed, in the order xy, yz, xz")
    return shears[place]


def _resolved(solid: Solid, name: str, unit: str, scope: Mapping[str, Expression], what: str) -> list[Any]:
    label = f"{what}: {name.replace('_', ' ')}"
    return [_magnitude(resolve(part, unit, scope, label)) for part in components(getattr(solid, name))]


def _magnitude(e: Expression) -> Any:
    # Over CasADi a `where` is decided at the point where it is evaluated.
    return settled(e) if e.switches else e.magnitude


def _is_zero(x: Any) -> bool:
    return isinstance(x, float) and x == 0.0
