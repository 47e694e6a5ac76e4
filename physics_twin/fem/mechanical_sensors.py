"""Sensors of mechanical models: displacements, strains and stresses at points, reactions, clouds of displacements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, ShapeError, unknown_name
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import MPI, dolfinx, ufl
from physics_twin.fem.domain import Domain, Entities
from physics_twin.fem.local_law import LocalLaw
from physics_twin.fem.mesh.cells import reference
from physics_twin.fem.observers import BlockRow, FunctionalObserver, Observer, RowObserver
from physics_twin.fem.point_outputs import (
    LargestObserver,
    MatrixBlock,
    Place,
    PointBlock,
    evaluation_matrix,
    shared_points,
)
from physics_twin.fem.quantities import resolve
from physics_twin.fem.rigid_body import rigid_motions
from physics_twin.fem.sensors import Average, Integral, Placed, Point, coordinates_of
from physics_twin.fem.strain import AXISYMMETRIC, Kinematics, von_mises_squared
from physics_twin.units import Unit, to_si_array

_METER, _PASCAL, _ONE = Unit("m"), Unit("Pa"), Unit("1")
# Of the way from a point on the axis to the middle of its cell; FFCx rounds what is within 1e-6 of 0, 1 and -1.
_INWARDS = 1e-4
_SMALLEST_SQUARE = 1e-8  # Pa^2: where there is no stress at all the von Mises stress still has a derivative, zero


@dataclass(frozen=True, init=False)
class PointDisplacement:
    """A component of the displacement at a point: PointDisplacement("1 m", "0 m", component="y")."""

    coordinates: tuple[Any, ...]
    component: str

    def __init__(self, *coordinates: Any, component: str) -> None:
        object.__setattr__(self, "coordinates", coordinates)
        object.__setattr__(self, "component", component)


@dataclass(frozen=True)
class RelativeDisplacement:
    """How much farther apart two points are, along the line between them, or along an axis (second minus first)."""

    first: tuple[Any, ...]
    second: tuple[Any, ...]
    component: str | None = None


@dataclass(frozen=True, init=False)
class Stress:
    """A component of the stress at a point: Stress("2 m", "0 m", component="yy").

    The stress of elements jumps from cell to cell; at a point between cells it is that of one of them.
    """

    coordinates: tuple[Any, ...]
    component: str

    def __init__(self, *coordinates: Any, component: str) -> None:
        object.__setattr__(self, "coordinates", coordinates)
        object.__setattr__(self, "component", component)


@dataclass(frozen=True, init=False)
class Strain:
    """A component of the total strain at a point; shears are engineering strains (a change of angle)."""

    coordinates: tuple[Any, ...]
    component: str

    def __init__(self, *coordinates: Any, component: str) -> None:
        object.__setattr__(self, "coordinates", coordinates)
        object.__setattr__(self, "component", component)


@dataclass(frozen=True, init=False)
class VonMises:
    """The von Mises stress at a point. Where the body has no stress at all its derivatives are zero."""

    coordinates: tuple[Any, ...]

    def __init__(self, *coordinates: Any) -> None:
        object.__setattr__(self, "coordinates", coordinates)


@dataclass(frozen=True)
class LargestVonMises:
    """The largest von Mises stress of a region, at the corners of its cells (quadrature points where it is plastic).

    At a re-entrant corner or at the end of a clamped edge it grows with every refinement of the mesh: there the stress
    of elasticity has no limit. Its derivative is that of the place which has it.
    """

    region: str


@dataclass(frozen=True)
class Reaction:
    """The force that the support of a boundary exerts on the body, by component: N, per m of depth in 2-D.

    For an axisymmetric body it is that of the whole body of revolution.
    """

    boundary: str
    component: str


@dataclass(frozen=True)
class DisplacementField:
    """Displacements of a cloud of points, as digital image correlation gives them.

    points: (n, dimension) with its unit, such as (array, "mm"). components: those that are measured, all if None.
    rigid_motion: False takes the rigid-body motion of the cloud away, the part that a camera which moves adds to what
    it measures: the translations and small rotations (as far as the measured components show them) that fit best.
    The outputs are <sensor>_<component>_<point number>, m, point by point.
    """

    points: Any
    components: Sequence[str] | None = None
    rigid_motion: bool = True


class MechanicalPlaced:
    """Places the sensors of one mechanical model.

    stress_of: region -> UFL vector of the stress, in the order of the kinematics' components. law: where a local law
    gives part of the stress, points are extrapolated from its quadrature points, where alone it is known.
    """

    def __init__(
        self,
        domain: Domain,
        kinematics: Kinematics,
        displacement: Any,
        strain: Any,
        stress_of: Mapping[str, Any],
        scope: Mapping[str, Expression],
        law: LocalLaw | None = None,
    ) -> None:
        self.domain, self.kinematics, self.scope, self.law = domain, kinematics, scope, law
        self.displacement, self.strain, self.stress_of = displacement, strain, stress_of
        self.space = displacement.function_space

    def place_all(
        self, sensors: Mapping[str, Any], held: Array, foundations: Mapping[str, Any], supported: frozenset[str]
    ) -> dict[str, tuple[Unit, Observer]]:
        """The outputs, in the order of the sensors.

        held: owned entries with a prescribed value. foundations: boundary -> UFL vector of the force per area on the
        body. supported: boundaries with a support of their own.
        """
        at_points = self._points({n: s for n, s in sensors.items() if isinstance(s, Stress | Strain | VonMises)})
        found: dict[str, tuple[Unit, Observer]] = {}
        for name, sensor in sensors.items():
            if not name.isidentifier():
                raise ModelError(f'a sensor\'s name is an identifier such as "tip", not {name!r}')
            what = f'sensor "{name}"'
            if name in at_points:
                found[name] = at_points[name]
            elif isinstance(sensor, PointDisplacement):
                found[name] = _METER, self._displacement(sensor, what)
            elif isinstance(sensor, RelativeDisplacement):
                found[name] = _METER, self._relative(sensor, what)
            elif isinstance(sensor, Reaction):
                found[name] = self._force_unit(), self._reaction(sensor, held, foundations, supported, what)
            elif isinstance(sensor, DisplacementField):
                cloud = self._cloud(name, sensor, what)
                clash = set(cloud) & {*found, *sensors}
                if clash:
                    raise ModelError(f'{what}: its output "{min(clash)}" has the name of another one; rename one')
                found.update(cloud)
            elif isinstance(sensor, LargestVonMises):
                found[name] = _PASCAL, self._largest(sensor, what)
            elif isinstance(sensor, Average | Integral):
                found[name] = self._functional(sensor, what)
            elif isinstance(sensor, Point) and sensor.of is not None:
                nothing = Expression(0.0, _METER.dimension)
                local = Placed(self.domain, self.space, nothing, _METER, self._scope_of, self.law)
                found[name] = local.place(name, sensor)
            else:
                raise ModelError(f"{what}: {sensor!r} is no sensor of a mechanical model")
        return found

    # -- displacements ----------------------------------------------------------------------------------------------
    def displacements(self, sensors: "Mapping[str, PointDisplacement | RelativeDisplacement]") -> dict[str, BlockRow]:
        """The rows of sensors that see a displacement."""
        return {
            name: self._displacement(s, f'sensor "{name}"')
            if isinstance(s, PointDisplacement)
            else self._relative(s, f'sensor "{name}"')
            for name, s in sensors.items()
        }

    def _axis(self, component: str, what: str) -> int:
        axes = self.domain.axes
        if component not in axes:
            raise ModelError(f'{what}: there is no component "{component}"; a displacement has {", ".join(axes)}')
        return axes.index(component)

    def _matrix(self, points: Array, components: Sequence[int], name: Any) -> scipy.sparse.csr_array:
        cells, place = self.domain.locate_all(points, name)
        return evaluation_matrix(self.space, cells, place, components)

    def _displacement(self, sensor: PointDisplacement, what: str) -> BlockRow:
        k = self._axis(sensor.component, what)
        x = coordinates_of(self.domain, sensor.coordinates, what)
        return MatrixBlock(self._matrix(x[None, :], [k], lambda _: what)).row(0)

    def _relative(self, sensor: RelativeDisplacement, what: str) -> BlockRow:
        x = np.array([coordinates_of(self.domain, p, what) for p in (sensor.first, sensor.second)])
        d = self.domain.dimension
        if sensor.component is not None:
            along = np.eye(d)[self._axis(sensor.component, what)]
        else:
            distance = float(np.linalg.norm(x[1] - x[0]))
            if distance == 0.0:
                raise ModelError(f"{what}: the two points are the same")
            along = (x[1] - x[0]) / distance
        both = self._matrix(x, range(d), lambda _: what)
        return MatrixBlock(scipy.sparse.csr_array(np.concatenate([-along, along])[None, :]) @ both).row(0)

    def _cloud(self, name: str, sensor: DisplacementField, what: str) -> dict[str, tuple[Unit, Observer]]:
        axes = self.domain.axes
        x = to_si_array(sensor.points, _METER, name=f"{what}: points")
        if x.ndim != 2 or x.shape[1] != len(axes) or not len(x):
            raise ShapeError(f"{what}: points have the shape (n, {len(axes)}), not {x.shape}")
        names = tuple(axes if sensor.components is None else sensor.components)
        chosen = [self._axis(component, what) for component in names]
        matrix = self._matrix(x, chosen, lambda k: f"{what}: point {k}")
        basis = None
        if not sensor.rigid_motion:
            center, size = x.mean(axis=0), max(float(np.ptp(x, axis=0).max(initial=0.0)), 1e-300)
            motions = rigid_motions(x, axes, center, size)[:, chosen, :].reshape(len(x) * len(chosen), -1)
            vectors, s, _ = np.linalg.svd(motions, full_matrices=False)
            basis = np.ascontiguousarray(vectors[:, s > 1e-10 * s[0]])
        block = MatrixBlock(matrix, basis)
        return {
            f"{name}_{component}_{k}": (_METER, block.row(k * len(names) + j))
            for k in range(len(x))
            for j, component in enumerate(names)
        }

    # -- strains and stresses ---------------------------------------------------------------------------------------
    def _points(self, sensors: Mapping[str, Any]) -> dict[str, tuple[Unit, Observer]]:
        """All stresses and strains at points: one compiled expression per material."""
        if not sensors:
            return {}
        names = list(sensors)
        x = np.array([coordinates_of(self.domain, s.coordinates, f'sensor "{n}"') for n, s in sensors.items()])
        cells, place = self.domain.locate_all(x, lambda k: f'sensor "{names[k]}"')
        if self.kinematics == AXISYMMETRIC:
            size = float(np.ptp(self.domain.description.points, axis=0).max())
            place = np.where(x[:, :1] < 1e-9 * size, self._inwards(place), place)
        regions = self._regions(cells)
        found: dict[str, tuple[Unit, Observer]] = {}
        for number, region in enumerate(self.stress_of):
            chosen = np.flatnonzero(regions == number)
            if not chosen.size:
                continue
            points, which = self._reference_points(cells[chosen], place[chosen])
            places, units = [], []
            for k, weights in zip(chosen, which, strict=True):
                unit, component = self._component(sensors[names[k]], f'sensor "{names[k]}"')
                places.append(Place(int(cells[k]), weights, component))
                units.append(unit)
            stress = self.stress_of[region]
            n = self.kinematics.n
            everything = [stress[i] for i in range(n)] + [self.strain[i] for i in range(n)]
            everything.append(ufl.sqrt(von_mises_squared(self.kinematics, stress) + _SMALLEST_SQUARE))
            block = PointBlock(ufl.as_vector(everything), points, places)
            for row, k in enumerate(chosen):
                found[names[k]] = units[row], block.row(row, x[k])
        return found

    def _largest(self, sensor: LargestVonMises, what: str) -> Observer:
        self.domain.check_region(sensor.region)
        if sensor.region not in self.stress_of:
            raise unknown_name("region with a material", sensor.region, self.stress_of)
        square = von_mises_squared(self.kinematics, self.stress_of[sensor.region])
        points = (
            reference(self.domain.description.cell, 1).nodes
            if self.law is None
            else np.asarray(self.law.reference_points)
        )
        cells = self.domain.cells_of(sensor.region)
        if self.kinematics == AXISYMMETRIC and self.law is None:
            points = self._inwards(points)
        return LargestObserver(ufl.sqrt(square + _SMALLEST_SQUARE), points, cells)

    def _inwards(self, points: Array) -> Array:
        """Points of the reference cell a little off its sides: on the axis of revolution u_r/r is 0/0."""
        return points + _INWARDS * (reference(self.domain.description.cell, 1).nodes.mean(axis=0) - points)

    def _regions(self, cells: Entities) -> Any:
        """The number of the material of each point, the same on every rank."""
        mine = np.full(len(cells), -1)
        for number, region in enumerate(self.stress_of):
            mine[np.isin(cells, self.domain.cells_of(region)) & (cells >= 0)] = number
        everywhere = np.empty_like(mine)
        self.domain.comm.Allreduce(mine, everywhere, op=MPI.MAX)
        return everywhere

    def _reference_points(self, cells: Entities, place: Array) -> tuple[Array, Array]:
        """Points (m, d) of the reference cell and the weights (n_sensors, m) of each sensor."""
        if self.law is None:
            points, which = shared_points(self.domain, cells, place)
            return points, np.eye(len(points))[which]
        # A plane through the values at the quadrature points, as for local states.
        q = np.asarray(self.law.reference_points)
        design = np.column_stack([np.ones(len(q)), q]) if len(q) > q.shape[1] else np.ones((len(q), 1))
        target = np.column_stack([np.ones(len(place)), place])[:, : design.shape[1]]
        return q, target @ np.linalg.pinv(design)

    def _component(self, sensor: Any, what: str) -> tuple[Unit, int]:
        n, names = self.kinematics.n, self.kinematics.components
        if isinstance(sensor, VonMises):
            return _PASCAL, 2 * n
        if sensor.component not in names:
            raise unknown_name(f"component ({self.kinematics.name})", sensor.component, names)
        k = names.index(sensor.component)
        return (_PASCAL, k) if isinstance(sensor, Stress) else (_ONE, n + k)

    # -- forces -----------------------------------------------------------------------------------------------------
    def _force_unit(self) -> Unit:
        dimension = self.domain.dimension + self.domain.description.axisymmetric
        return {1: Unit("N/m^2"), 2: Unit("N/m"), 3: Unit("N")}[dimension]

    def _reaction(
        self,
        sensor: Reaction,
        held: Array,
        foundations: Mapping[str, Any],
        supported: frozenset[str],
        what: str,
    ) -> Observer:
        k = self._axis(sensor.component, what)
        name = sensor.boundary
        self.domain.check_boundary(name)
        if name in foundations:
            if name in supported:
                raise ModelError(f'{what}: "{name}" is held and stands on a foundation; the sum of both is not offered')
            return FunctionalObserver(foundations[name][k] * self.domain.weight * self.domain.ds(name))
        tdim, bs = self.domain.mesh.topology.dim, self.space.dofmap.bs
        nodes = dolfinx.fem.locate_dofs_topological(self.space, tdim - 1, self.domain.facets_of(name))
        index_map = self.space.dofmap.index_map
        entries = np.asarray(nodes[nodes < index_map.size_local]) * bs + k
        entries = entries[np.isin(entries, held)]
        if not self.domain.comm.allreduce(int(entries.size)):
            raise ModelError(f'{what}: nothing holds "{name}" along {sensor.component}')
        weights = np.zeros(index_map.size_local * bs)
        weights[entries] = 1.0
        return RowObserver(weights)

    # -- means and integrals ----------------------------------------------------------------------------------------
    def _functional(self, sensor: "Average | Integral", what: str) -> tuple[Unit, Observer]:
        if sensor.of is None:
            raise ModelError(
                f'{what}: say of what, such as of=lambda u_{self.domain.axes[0]}: u_{self.domain.axes[0]}, unit="m"'
            )
        e = resolve(sensor.of, sensor.unit, self._scope_of(sensor.part), what)
        part, d = sensor.part, self.domain
        density = ufl.as_ufl(e.magnitude) * d.weight
        # Local states are known at the quadrature points of their law only.
        local = self.law is not None and self.law.z in ufl.algorithms.extract_coefficients(density)
        degree = self.law.degree if self.law is not None and local else None
        measure = d.dx(part, degree) if part in d.region_ids else d.ds(part)
        if isinstance(sensor, Average):
            return Unit(sensor.unit), FunctionalObserver(density / self._extent(part) * measure)
        power = d.dimension - (part not in d.region_ids) + d.description.axisymmetric
        return Unit(sensor.unit) * _METER**power if power else Unit(sensor.unit), FunctionalObserver(density * measure)

    def _extent(self, part: str) -> float:
        """Of a region or boundary, as its description's own curved geometry has it."""
        mesh = self.domain.description
        return mesh.volume(part) if part in self.domain.region_ids else mesh.area(part)

    def _scope_of(self, part: str) -> dict[str, Expression]:
        """The symbols, displacements u_x ..., strains strain_xx ... and, in a region, stresses and von_mises."""
        scope = dict(self.scope)
        for k, axis in enumerate(self.domain.axes):
            scope[f"u_{axis}"] = Expression(self.displacement[k], _METER.dimension)
        for k, name in enumerate(self.kinematics.components):
            scope[f"strain_{name}"] = Expression(self.strain[k], _ONE.dimension)
        if part in self.domain.region_ids:
            if part in self.stress_of:
                stress = self.stress_of[part]
                for k, name in enumerate(self.kinematics.components):
                    scope[f"stress_{name}"] = Expression(stress[k], _PASCAL.dimension)
                square = von_mises_squared(self.kinematics, stress) + _SMALLEST_SQUARE
                scope["von_mises"] = Expression(ufl.sqrt(square), _PASCAL.dimension)
            if self.law is not None:
                for k, local in enumerate(self.law.states):
                    scope[local.name] = Expression(self.law.z[k], local.unit.dimension)
        elif part not in self.domain.boundary_ids:
            raise unknown_name("region or boundary", part, [*self.domain.region_ids, *self.domain.boundary_ids])
        return scope
