"""Heat sources in a region, W/m^3. A list of sources is their sum."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, unknown_name
from physics_twin.expressions import Expression, exp, where
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.quantities import Scope, resolve
from physics_twin.parameters import Parameter
from physics_twin.units import Unit, to_si

_COARSEST = 2.5  # times 1/absorption: cells of 2 lose less than 0.3 % of the heat


@dataclass(frozen=True)
class HeatSource:
    """Heat per volume and time; it may depend on T, local states, coordinates, inputs, parameters and t."""

    power_density: Any

    def density(self, scope: Scope, mesh: Mesh, what: str) -> Expression:
        """W/m^3."""
        return resolve(self.power_density, "W/m^3", scope, f"{what}: heat source")


@dataclass(frozen=True)
class Absorbed:
    """Radiation absorbed in depth (Beer and Lambert): flux times absorption times exp(-absorption depth).

    flux: what enters through the plane boundary `through`, reflection already taken off, W/m^2. absorption: 1/m; a
    cell at that boundary may be 2.5/absorption thick (at a Parameter's own value): in thicker ones heat would be lost
    between the quadrature points. `HeatAndLight` has no such limit.
    """

    flux: Any
    absorption: Any
    through: str

    def density(self, scope: Scope, mesh: Mesh, what: str) -> Expression:
        """W/m^3."""
        flux = resolve(self.flux, "W/m^2", scope, f"{what}: absorbed flux")
        absorption = resolve(self.absorption, "1/m", scope, f"{what}: absorption")
        self._check_cells(mesh, scope, what)
        return flux * absorption * exp(-absorption * depth_below(mesh, self.through, scope))

    def _check_cells(self, mesh: Mesh, scope: Scope, what: str) -> None:
        """Raise ModelError where a cell in the lit layer is thicker than the layer."""
        if isinstance(self.absorption, Parameter):
            absorption = self.absorption.value
        elif isinstance(self.absorption, str | tuple):
            absorption = to_si(self.absorption, Unit("1/m"), name=f"{what}: absorption")
        else:
            return  # a function: its value is known to the run only
        if not absorption > 0.0:
            return
        centre, normal = _plane(mesh, self.through)
        depths = ((mesh.points - centre) @ normal)[np.asarray(mesh.cells)]
        lit = depths.min(axis=1) < 1.0 / absorption
        thickest = float(np.ptp(depths[lit], axis=1).max(initial=0.0))
        if thickest * absorption > _COARSEST:
            raise ModelError(
                f"{what}: radiation is absorbed within {1.0 / absorption:.3g} m, and cells there are {thickest:.3g} m "
                "thick: heat would be lost between their quadrature points. Make them thinner (grading=), take "
                "fem.Flux at the surface, or fem.HeatAndLight"
            )


@dataclass(frozen=True)
class Goldak:
    """The double ellipsoid of a welding arc, moving along x (Goldak, Chakravarti, Bibby, A new finite element model for
    welding heat sources, Metallurgical Transactions B 15, 1984, eq. 12 to 14).

    power: W, efficiency included. width, depth: semi-axes b (along y) and c (along z). front, rear: semi-axes along x
    before and behind the centre. x, y, z: the centre. share: of the front, f_f in (0, 2).
    """

    power: Any
    width: Any
    depth: Any
    front: Any
    rear: Any
    x: Any
    y: Any = "0 m"
    z: Any = "0 m"
    share: float = 0.6

    def density(self, scope: Scope, mesh: Mesh, what: str) -> Expression:
        """W/m^3."""
        if mesh.dimension != 3:
            raise ModelError(f"{what}: Goldak's source is for bodies in 3-D")
        power = resolve(self.power, "W", scope, f"{what}: power")
        b, c, front, rear, x, y, z = (
            resolve(getattr(self, name), "m", scope, f"{what}: {name}")
            for name in ("width", "depth", "front", "rear", "x", "y", "z")
        )
        dx, dy, dz = scope["x"] - x, scope["y"] - y, scope["z"] - z

        def half(a: Expression, share: float) -> Expression:
            peak = 6.0 * math.sqrt(3.0) * share * power / (a * b * c * math.pi * math.sqrt(math.pi))
            return peak * exp(-3.0 * dx**2 / a**2 - 3.0 * dy**2 / b**2 - 3.0 * dz**2 / c**2)

        return where(dx >= "0 m", half(front, self.share), half(rear, 2.0 - self.share))


Source = HeatSource | Absorbed | Goldak


def depth_below(mesh: Mesh, boundary: str, scope: Scope) -> Expression:
    """Distance from a plane boundary into the body; ModelError for one that is not plane or not in the mesh."""
    centre, normal = _plane(mesh, boundary)
    axes = ("r", "z") if mesh.axisymmetric else ("x", "y", "z")[: mesh.dimension]
    magnitude: Any = -float(centre @ normal)
    for k, axis in enumerate(axes):
        if normal[k] != 0.0:
            magnitude = magnitude + float(normal[k]) * scope[axis].magnitude
    return Expression(magnitude, Unit("m").dimension)


def _plane(mesh: Mesh, boundary: str) -> tuple[Array, Array]:
    """A point of a plane boundary and its normal into the body, (dimension,) each."""
    if boundary not in mesh.boundaries:
        raise unknown_name("boundary of the mesh", boundary, mesh.boundaries)
    points = mesh.points[np.unique(np.asarray(mesh.boundaries[boundary]))]
    centre = points.mean(axis=0)
    away = mesh.points.mean(axis=0) - centre
    if mesh.dimension == 1:
        return centre, np.sign(away)
    normal = np.linalg.svd(points - centre)[2][-1]
    normal = normal * np.sign(normal @ away)
    if mesh.axisymmetric and abs(normal[0]) > 1e-9:
        raise ModelError(
            f'the boundary "{boundary}" of a body of revolution is curved: light through it converges on the axis; '
            "give the source as a function of the coordinates"
        )
    if np.abs((points - centre) @ normal).max() > 1e-6 * np.ptp(mesh.points, axis=0).max():
        raise ModelError(f'the boundary "{boundary}" is not plane: give the source as a function of the coordinates')
    return centre, normal
