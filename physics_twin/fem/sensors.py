"""Sensors: what a model reports of its field."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, unknown_name
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import MPI, dolfinx, ufl
from physics_twin.fem.compilation import compile_form
from physics_twin.fem.domain import Domain
from physics_twin.fem.local_law import LocalLaw
from physics_twin.fem.observers import ExtremeObserver, FunctionalObserver, LinearObserver, Observer
from physics_twin.fem.operators import Operators
from physics_twin.fem.quantities import resolve
from physics_twin.units import Unit, to_si, to_si_array


@dataclass(frozen=True, init=False)
class Point:
    """The field, or with `of` a local state, at a point given by its coordinates."""

    coordinates: tuple[Any, ...]
    of: str | None

    def __init__(self, *coordinates: Any, of: str | None = None) -> None:
        object.__setattr__(self, "coordinates", coordinates)
        object.__setattr__(self, "of", of)


@dataclass(frozen=True)
class Average:
    """The mean over a region or boundary of the field, or of a quantity `of` (a function) in `unit`."""

    part: str
    of: Any = None
    unit: str = "1"


@dataclass(frozen=True)
class Integral:
    """The integral over a region or boundary of a quantity `of` (a function) in `unit`; the result's unit follows.

    In 1-D it is per area, in 2-D per length; for an axisymmetric body it is that of the whole body of revolution.
    """

    part: str
    of: Any
    unit: str


@dataclass(frozen=True)
class Maximum:
    """The largest nodal value of the field over a region or boundary."""

    part: str


@dataclass(frozen=True)
class Minimum:
    """The smallest nodal value of the field over a region or boundary."""

    part: str


@dataclass(frozen=True)
class HeatFlow:
    """Heat that flows into the body through a boundary, W (W/m^2 in 1-D, W/m in 2-D)."""

    boundary: str


class LocalPointObserver:
    """A local state at a point: a plane fitted to the quadrature points of its cell."""

    extreme = 0

    def __init__(self, entry: int, points: Any, weights: Array) -> None:
        self.entry, self.points, self.weights = entry, np.asarray(points, dtype=int), weights

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """On the rank that holds the cell."""
        assert ops.law is not None
        return float(self.weights @ ops.law.read()[self.points, self.entry]) if self.points.size else 0.0

    def tangent(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> float:
        """On the rank that holds the cell."""
        return float(self.weights @ dz[self.points, self.entry]) if dz is not None and self.points.size else 0.0

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """The weights."""
        assert ops.law is not None
        dz = np.zeros((ops.law.n_points, ops.law.n_z))
        if self.points.size:
            np.add.at(dz[:, self.entry], self.points, self.weights)
        return np.zeros(ops.n), dz, np.zeros(theta.size)


class Placed:
    """Places sensors on one domain and one scalar field (or one component of a vector field)."""

    def __init__(
        self, domain: Domain, space: Any, field: Expression, unit: Unit, scope_of: Any, law: "LocalLaw | None" = None
    ) -> None:
        self.domain, self.space, self.field, self.unit, self.law = domain, space, field, unit, law
        self._scope_of = scope_of
        """region or boundary name -> Scope"""

    def place(self, name: str, sensor: Any) -> tuple[Unit, Observer]:
        """The output of a sensor and its unit."""
        what = f'sensor "{name}"'
        if isinstance(sensor, Point):
            return self._point(what, sensor)
        if isinstance(sensor, Average):
            if sensor.of is None:
                return self.unit, self._mean(what, sensor.part)
            scope = self._scope_of(sensor.part)
            e = resolve(sensor.of, sensor.unit, scope, what)
            size = self._total(sensor.part, 1.0)
            return Unit(sensor.unit), FunctionalObserver(self._integral(sensor.part, e.magnitude / size, e))
        if isinstance(sensor, Integral):
            e = resolve(sensor.of, sensor.unit, self._scope_of(sensor.part), what)
            return self._integrated_unit(sensor), FunctionalObserver(self._integral(sensor.part, e.magnitude, e))
        if isinstance(sensor, Maximum | Minimum):
            entries = self.entries_of(sensor.part, what)
            return self.unit, ExtremeObserver(entries, 1 if isinstance(sensor, Maximum) else -1)
        raise ModelError(f"{what}: {sensor!r} is no sensor of this model")

    def _integrated_unit(self, sensor: Integral) -> Unit:
        power = self.domain.dimension - (sensor.part not in self.domain.region_ids)
        if self.domain.description.axisymmetric:
            power += 1
        return Unit(sensor.unit) * Unit("m") ** power if power else Unit(sensor.unit)

    # -- measures ---------------------------------------------------------------------------------------------------
    def measure(self, part: str, degree: int | None = None) -> Any:
        """Volume or surface measure of a part by name."""
        if part in self.domain.region_ids:
            return self.domain.dx(part, degree)
        if part in self.domain.boundary_ids:
            return self.domain.ds(part, degree)
        raise unknown_name("region or boundary", part, [*self.domain.region_ids, *self.domain.boundary_ids])

    def _integral(self, part: str, magnitude: Any, e: Expression) -> Any:
        local = self.law is not None and self.law.z in ufl.algorithms.extract_coefficients(ufl.as_ufl(magnitude))
        degree = self.law.degree if local and self.law is not None else None
        return ufl.as_ufl(magnitude) * self.domain.weight * self.measure(part, degree)

    def _total(self, part: str, magnitude: Any) -> float:
        one = dolfinx.fem.Constant(self.domain.mesh, float(magnitude))
        mine = dolfinx.fem.assemble_scalar(compile_form(one * self.domain.weight * self.measure(part)))
        size = float(self.domain.comm.allreduce(mine, op=MPI.SUM))
        if size == 0.0:
            raise ModelError(f'"{part}" has no extent')
        return size

    def _mean(self, what: str, part: str) -> Observer:
        test = ufl.TestFunction(self.space)
        size = self._total(part, 1.0)
        row = dolfinx.fem.assemble_vector(compile_form(test / size * self.domain.weight * self.measure(part)))
        row.scatter_reverse(dolfinx.la.InsertMode.add)
        n = self.space.dofmap.index_map.size_local
        weights = row.array[:n]
        entries = np.flatnonzero(weights)
        return LinearObserver(entries, weights[entries].copy())

    # -- points -----------------------------------------------------------------------------------------------------
    def _point(self, what: str, sensor: Point) -> tuple[Unit, Observer]:
        x = coordinates_of(self.domain, sensor.coordinates, what)
        cell, reference = self.domain.locate(x, what)
        if sensor.of is None:
            return self.unit, point_row(self.domain, self.space, cell, reference)
        if self.law is None:
            raise ModelError(f"{what}: this model has no local states")
        names = [s.name for s in self.law.states]
        if sensor.of not in names:
            raise unknown_name("local state", sensor.of, names)
        k = names.index(sensor.of)
        unit = self.law.states[k].unit
        place = np.searchsorted(self.law.cells, cell) if cell >= 0 else 0
        inside = cell >= 0 and place < self.law.cells.size and self.law.cells[place] == cell
        if not self.domain.comm.allreduce(int(inside)):
            raise ModelError(f"{what}: there is no {sensor.of} at this point; nothing reacts there")
        if not inside:
            return unit, LocalPointObserver(k, np.empty(0, dtype=int), np.empty(0))
        q = np.asarray(self.law.reference_points)
        design = np.column_stack([np.ones(len(q)), q]) if len(q) > q.shape[1] else np.ones((len(q), 1))
        target = np.concatenate([[1.0], reference])[: design.shape[1]]
        weights = target @ np.linalg.pinv(design)
        return unit, LocalPointObserver(k, place * self.law.n_q + np.arange(self.law.n_q), weights)

    def entries_of(self, part: str, what: str) -> Array:
        """Owned entries of the field on a region or boundary."""
        tdim = self.domain.mesh.topology.dim
        if part in self.domain.region_ids:
            # An entry of this rank may have its cell of the region on another one.
            mark = dolfinx.fem.create_vector(self.space)
            mark.array[:] = 0.0
            mark.array[np.unique(self.space.dofmap.list[self.domain.cells_of(part)])] = 1.0
            mark.scatter_reverse(dolfinx.la.InsertMode.add)
            dofs = np.flatnonzero(mark.array)
        elif part in self.domain.boundary_ids:
            dofs = dolfinx.fem.locate_dofs_topological(self.space, tdim - 1, self.domain.facets_of(part))
        else:
            raise unknown_name("region or boundary", part, [*self.domain.region_ids, *self.domain.boundary_ids])
        return np.asarray(dofs[dofs < self.space.dofmap.index_map.size_local])


def coordinates_of(domain: Domain, given: Sequence[Any], what: str) -> Array:
    """Coordinates of a point in m, (dimension,)."""
    if len(given) != domain.dimension:
        raise ModelError(f"{what}: {len(given)} coordinates are given; this body has {', '.join(domain.axes)}")
    meter = Unit("m")
    return np.array([to_si(c, meter, name=f"{what}: {axis}") for axis, c in zip(domain.axes, given, strict=True)])


def mark_of(domain: Domain, name: str, sensor: Any) -> "Array | str":
    """Where a sensor is, for pictures: its points (n, dimension) m, or the name of its region or boundary."""
    what = f'sensor "{name}"'
    if hasattr(sensor, "coordinates"):
        return coordinates_of(domain, sensor.coordinates, what).reshape(1, -1)
    if hasattr(sensor, "first") and hasattr(sensor, "second"):
        return np.array([coordinates_of(domain, point, what) for point in (sensor.first, sensor.second)])
    if hasattr(sensor, "points"):
        return np.atleast_2d(to_si_array(sensor.points, Unit("m"), name=what))
    return str(getattr(sensor, "part", None) or getattr(sensor, "boundary", "body"))


def point_row(domain: Domain, space: Any, cell: int, reference: Array) -> LinearObserver:
    """The weights of a scalar field's entries for its value at a point of a cell.

    On several ranks an entry of the cell may belong to another rank; each rank gets the weights of its own entries.
    """
    row = dolfinx.fem.create_vector(space)
    row.array[:] = 0.0
    if cell >= 0:
        row.array[space.dofmap.list[cell]] = basis_at(space, reference)
    row.scatter_reverse(dolfinx.la.InsertMode.add)
    weights = row.array[: space.dofmap.index_map.size_local]
    entries = np.flatnonzero(weights)
    return LinearObserver(entries, weights[entries].copy())


def basis_at(space: Any, reference: Array) -> Array:
    """Values of a scalar Lagrange space's basis at a reference point, (n_cell_dofs,)."""
    table = space.element.basix_element.tabulate(0, np.atleast_2d(reference))
    return np.asarray(table[0, 0, :, 0], dtype=float)
