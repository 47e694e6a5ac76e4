"""Mechanical boundary conditions. What is not named is free; a list of conditions is their sum."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from physics_twin.errors import ModelError
from physics_twin.fem._dolfinx import ufl
from physics_twin.fem.quantities import Scope, resolve


@dataclass(frozen=True)
class Clamped:
    """No displacement at all."""


@dataclass(frozen=True)
class Symmetry:
    """A plane of symmetry, normal to an axis: no displacement through it, no shear on it."""


@dataclass(frozen=True)
class Displacement:
    """Prescribed components of the displacement; those that are not given are free.

    Each is a quantity such as "0 mm", a Parameter, a Signal or a function of coordinates, inputs and t. where: a
    function of the coordinates (arrays, m) that returns truth values chooses nodes of the boundary, for a support
    along a line or at a point: `where=lambda x, y: x < 1e-9`.
    """

    x: Any = None
    y: Any = None
    z: Any = None
    r: Any = None
    where: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Pressure:
    """A pressure on the body, against its outward normal, Pa."""

    value: Any

    def traction(self, scope: Scope, axes: Sequence[str], normal: Any, displacement: Any, where: str) -> Any:
        """The force per area on the body as a UFL vector."""
        return -ufl.as_ufl(resolve(self.value, "Pa", scope, f"{where}: pressure").magnitude) * normal


@dataclass(frozen=True)
class Traction:
    """A force per area on the body by its components, Pa; those that are not given are zero."""

    x: Any = None
    y: Any = None
    z: Any = None
    r: Any = None

    def traction(self, scope: Scope, axes: Sequence[str], normal: Any, displacement: Any, where: str) -> Any:
        """The force per area on the body as a UFL vector."""
        given = by_axis(self, axes, where)
        parts = [
            ufl.as_ufl(resolve(given[axis], "Pa", scope, f"{where}: traction {axis}").magnitude)
            if axis in given
            else ufl.as_ufl(0.0)
            for axis in axes
        ]
        return ufl.as_vector(parts)


@dataclass(frozen=True)
class Foundation:
    """An elastic bed, N/m^3: a force per area against the displacement along the normal, and along the surface."""

    normal: Any
    tangential: Any = None

    def traction(self, scope: Scope, axes: Sequence[str], normal: Any, displacement: Any, where: str) -> Any:
        """The force per area on the body as a UFL vector."""
        through = ufl.inner(displacement, normal) * normal
        stiffness = resolve(self.normal, "N/m^3", scope, f"{where}: foundation, normal").magnitude
        force = -stiffness * through
        if self.tangential is not None:
            along = resolve(self.tangential, "N/m^3", scope, f"{where}: foundation, tangential").magnitude
            force = force - along * (displacement - through)
        return force


MechanicalBoundary = Clamped | Symmetry | Displacement | Pressure | Traction | Foundation
LOADS = (Pressure, Traction, Foundation)
SUPPORTS = (Clamped, Symmetry, Displacement)


def by_axis(condition: "Displacement | Traction", axes: Sequence[str], where: str) -> dict[str, Any]:
    """The given components by axis; raises ModelError for a component that the body does not have."""
    given = {axis: value for axis in "xyzr" if (value := getattr(condition, axis)) is not None}
    for axis in given:
        if axis not in axes:
            raise ModelError(f"{where}: there is no {axis}; this body has {', '.join(axes)}")
    if not given:
        kind = type(condition).__name__
        raise ModelError(f'{where}: {kind}() says nothing; give a component, such as {kind}({axes[0]}="...")')
    return given
