"""`Elasticity`: small displacements of an elastic body, with thermal strain, as a steady field model.

Virtual work: the integral of stress . strain(v) is that of body forces and tractions times v. The stress is
C (strain - thermal strain). `ElasticBody` holds what every mechanical model needs of a description; plasticity adds a
local law to it, natural frequencies a mass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import dolfinx, ufl
from physics_twin.fem.domain import Domain, Entities
from physics_twin.fem.field_model import Discretized, FieldModel
from physics_twin.fem.fields import Derived, in_words
from physics_twin.fem.linear_solver import Direct, Iterative
from physics_twin.fem.materials import Solid
from physics_twin.fem.mechanical_sensors import MechanicalPlaced
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.operators import Driver, Essential, Formulation
from physics_twin.fem.portable import Portable
from physics_twin.fem.quantities import Declarations, as_list, named_parts, resolve
from physics_twin.fem.reached import check_reached
from physics_twin.fem.rigid_body import gathered, n_free, near_nullspace, require_held, rigid_motions
from physics_twin.fem.sensors import mark_of
from physics_twin.fem.size import check_size
from physics_twin.fem.stepping import IMPLICIT_EULER, FixedSteps
from physics_twin.fem.strain import (
    AXISYMMETRIC,
    PLANE_STRAIN,
    PLANE_STRESS,
    SOLID,
    UNIAXIAL,
    Kinematics,
    Matrix,
    product,
    stiffness,
    strain,
    thermal_strain,
    von_mises_squared,
)
from physics_twin.fem.supports import LOADS, SUPPORTS, Clamped, Displacement, Foundation, Symmetry, by_axis
from physics_twin.fem.symbols import NodalValue, Symbols
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit

_METER, _KELVIN = Unit("m"), Unit("K")
# Unknowns of a solid up to which factors are taken: as quick as multigrid on even cells of degree 2, and five times as
# quick on cells that are much longer than wide; beyond it memory decides.
_DIRECT_SOLID = 40_000


@dataclass(frozen=True)
class Driven:
    """A temperature that another model gives; `degree` of its elements. Until it does, the reference temperature."""

    degree: int = 1


@dataclass(frozen=True)
class ElasticDescription:
    """What a person said; see `Elasticity`."""

    mesh: Mesh
    materials: Mapping[str, Any]
    boundaries: Mapping[str, Any]
    sensors: Mapping[str, Any]
    kind: Kinematics | None
    temperature: Any
    reference_temperature: Any
    body_force: Any
    parameters: Sequence[Parameter]
    inputs: Sequence[Signal]
    degree: int
    solver: "Direct | Iterative | None"


def Elasticity(
    *,
    mesh: Mesh,
    materials: Mapping[str, Any],
    boundaries: Mapping[str, Any],
    sensors: Mapping[str, Any],
    kind: Kinematics | None = None,
    temperature: Any = None,
    reference_temperature: Any = "20 degC",
    body_force: Any = None,
    degree: int = 2,
    solver: "Direct | Iterative | None" = None,
    parameters: Sequence[Parameter] = (),
    inputs: Sequence[Signal] = (),
    validity: Mapping[str, tuple[float, float]] | None = None,
    name: str = "elasticity",
    version: str = "1.0",
    description: str = "",
) -> FieldModel:
    """An elastic body as a steady model: its state is the displacement for the inputs at each time.

    mesh: with named regions and boundaries. materials: region -> `Solid` with youngs_modulus and poissons_ratio
    (orthotropic: tuples, and shear_modulus). boundaries: name -> `Clamped`, `Symmetry`, `Displacement`, `Pressure`,
    `Traction`, `Foundation`, or a list of them; where two boundaries hold the same point it has to be at the same
    place. kind: `PLANE_STRESS` or `PLANE_STRAIN` for a plane mesh; the others say it themselves. temperature: a
    quantity, a function of coordinates, t, parameters and inputs, or `Driven()`; the body is free of stress at
    reference_temperature. Properties may be functions of T. body_force: N/m^3, a component per axis. sensors: output
    name -> `PointDisplacement`, `RelativeDisplacement`, `Stress`, `Strain`, `VonMises`, `Reaction`,
    `DisplacementField`, and `Average` and `Integral` of u_x ..., strain_xx ..., stress_xx ..., von_mises. degree: of
    the elements, 1 or 2. In the axis of an axisymmetric mesh the radial displacement is zero.

    Raises ModelError, UnitError, UnknownNameError; a body that can still move as a whole is refused, and how it can
    move is said.
    """
    if not sensors:
        raise ModelError(f'model "{name}" has no sensor; add sensors={{"tip": fem.PointDisplacement(...)}}')
    said = ElasticDescription(
        mesh=mesh,
        materials=named_parts("materials", materials),
        boundaries=named_parts("boundaries", boundaries),
        sensors=named_parts("sensors", sensors),
        kind=kind,
        temperature=temperature,
        reference_temperature=reference_temperature,
        body_force=body_force,
        parameters=tuple(parameters),
        inputs=tuple(inputs),
        degree=degree,
        solver=solver,
    )
    build = Portable(discretize_elasticity, said)
    model = FieldModel(name, version, build, FixedSteps("1 s", IMPLICIT_EULER), dict(validity or {}), description)
    _ = model.operators  # a wrong description fails here, at the line of the mistake
    _ = model.observers
    check_reached(model)
    return model


def discretize_elasticity(d: ElasticDescription) -> Discretized:
    """The forms of a description."""
    body = ElasticBody(d)
    body.require_held()
    stress = {region: body.stress(region) for region in d.materials}
    residual = body.internal_work(stress) + body.external_work()
    formulation = Formulation(
        symbols=body.symbols,
        field=body.u,
        storage=None,
        residual=residual,
        essential=body.essential,
        drivers=body.drivers,
    )
    return Discretized(
        formulation=formulation,
        field_name="displacement",
        field_unit=_METER,
        initial=None,
        sensors=body.placed(stress).place_all(d.sensors, body.held, body.foundations, body.supported),
        solver=body.solver(),
        near_nullspace=body.near_nullspace(),
        derived=stress_fields(body.kinematics, stress),
        marks={name: mark_of(body.domain, name, sensor) for name, sensor in d.sensors.items()},
        conditions={b: in_words(d.boundaries.get(b), "free") for b in d.mesh.boundaries},
    )


def stress_fields(kinematics: Kinematics, stress: Mapping[str, Any]) -> dict[str, Derived]:
    """Von Mises' stress and every component as fields; stress: region -> UFL vector."""
    unit = Unit("MPa")
    equivalent = {region: ufl.sqrt(von_mises_squared(kinematics, s)) for region, s in stress.items()}
    found = {"von_mises_stress": Derived(unit, equivalent)}
    for k, component in enumerate(kinematics.components):
        found[f"stress_{component}"] = Derived(unit, {region: s[k] for region, s in stress.items()})
    return found


def kinematics_of(mesh: Mesh, kind: Kinematics | None) -> Kinematics:
    """What a mesh says, or a person has to."""
    known = {1: UNIAXIAL, 3: SOLID}
    if mesh.axisymmetric or mesh.dimension in known:
        says = AXISYMMETRIC if mesh.axisymmetric else known[mesh.dimension]
        if kind not in (None, says):
            assert kind is not None
            raise ModelError(f"kind = {kind.name}: this mesh is {says.name}; leave kind out")
        return says
    if kind not in (PLANE_STRESS, PLANE_STRAIN):
        raise ModelError(
            "a plane body needs its kind: kind=fem.PLANE_STRESS for a thin plate, kind=fem.PLANE_STRAIN for a long body"
        )
    return kind


class ElasticBody:
    """One description on its way to forms; used once."""

    def __init__(self, d: ElasticDescription) -> None:
        if d.degree not in (1, 2):
            raise ModelError(f"degree = {d.degree}: elements of degree 1 or 2 are offered")
        self.d = d
        self.kinematics = kinematics_of(d.mesh, d.kind)
        check_size(d.mesh, d.degree, components=d.mesh.dimension, solver=d.solver, steady=True)
        self.domain = Domain(d.mesh)
        self._check_names()
        declarations = Declarations()
        for part in (
            d.materials, d.boundaries, d.temperature, d.reference_temperature, d.body_force, d.sensors, d.parameters,
            d.inputs,
        ):  # fmt: skip
            declarations.find(part)
        self.symbols = Symbols.of(self.domain, declarations)
        self.space = dolfinx.fem.functionspace(self.domain.mesh, ("Lagrange", d.degree, (self.domain.dimension,)))
        self.u = dolfinx.fem.Function(self.space, name="displacement")
        self.test = ufl.TestFunction(self.space)
        self.drivers: list[Driver] = []
        self.scope = self._scope()
        self.strain = strain(self.kinematics, self.u, self.domain.coordinate)
        self.virtual_strain = strain(self.kinematics, self.test, self.domain.coordinate)
        self._held_by = np.full((self.space.dofmap.index_map.size_local, self.domain.dimension), -1)
        self.foundations: dict[str, Any] = {}
        self.essential = self._essential()

    # -- names ------------------------------------------------------------------------------------------------------
    def _check_names(self) -> None:
        d = self.d
        for region in d.materials:
            self.domain.check_region(region)
        for boundary in d.boundaries:
            self.domain.check_boundary(boundary)
            for condition in as_list(d.boundaries[boundary]):
                if not isinstance(condition, SUPPORTS + LOADS):
                    kinds = ", ".join(kind.__name__ for kind in SUPPORTS + LOADS)
                    raise ModelError(f'boundary "{boundary}": {condition!r} is none of {kinds}')
        for region, solid in d.materials.items():
            if not isinstance(solid, Solid):
                raise ModelError(f'material of "{region}" is a fem.Solid, not {solid!r}')
        covered = np.zeros(d.mesh.n_cells, dtype=int)
        for region in d.materials:
            covered[np.asarray(d.mesh.regions[region])] += 1
        if (covered != 1).any():
            bare = [region for region in d.mesh.regions if region not in d.materials]
            raise ModelError(
                f"{int((covered == 0).sum())} cells have no material and {int((covered > 1).sum())} have several; "
                f"give materials for {', '.join(bare) or 'parts that do not overlap'}"
            )

    # -- temperature ------------------------------------------------------------------------------------------------
    def _scope(self) -> dict[str, Expression]:
        """Names that quantities may ask for; T is the reference temperature where no other is given."""
        d, forms = self.d, self.symbols.forms
        self.reference = resolve(d.reference_temperature, "degC", forms, "reference temperature")
        if isinstance(d.temperature, Driven):
            space = dolfinx.fem.functionspace(self.domain.mesh, ("Lagrange", d.temperature.degree))
            field = dolfinx.fem.Function(space, name="temperature")
            start = d.reference_temperature
            value = start.value if isinstance(start, Parameter) else self.reference.magnitude
            field.x.array[:] = value if isinstance(value, float | int) else 293.15
            self.drivers.append(Driver(field, dolfinx.fem.Function(space)))
            temperature = Expression(field, _KELVIN.dimension)
        elif d.temperature is None:
            temperature = self.reference
        else:
            temperature = resolve(d.temperature, "degC", forms, "temperature")
        return {**forms, "T": temperature}

    # -- forms ------------------------------------------------------------------------------------------------------
    def hooke(self, region: str) -> Matrix:
        """Hooke's matrix of a region's material."""
        return stiffness(self.d.materials[region], self.kinematics, self.scope, f'material of "{region}"')

    def free_strain(self, region: str) -> tuple[Any, ...]:
        """The thermal strain of a region, zeros where no temperature is given."""
        if self.d.temperature is None:
            return (0.0,) * self.kinematics.n
        what = f'material of "{region}"'
        return thermal_strain(self.d.materials[region], self.kinematics, self.scope, self.reference, what)

    def stress(self, region: str, inelastic: Any = None) -> Any:
        """The stress (n,) of a region as a UFL vector; inelastic: strains (n,) besides the thermal ones."""
        elastic = self.strain - ufl.as_vector([ufl.as_ufl(e) for e in self.free_strain(region)])
        if inelastic is not None:
            elastic = elastic - inelastic
        return ufl.as_vector([ufl.as_ufl(s) for s in product(self.hooke(region), elastic)])

    def internal_work(self, stress: Mapping[str, Any], degree: int | None = None) -> Any:
        """The virtual work of stresses by region; degree: of the quadrature, where a local law has its points."""
        w = self.domain.weight
        return _sum([ufl.inner(s, self.virtual_strain) * w * self.domain.dx(r, degree) for r, s in stress.items()])

    def external_work(self, kinds: tuple[type, ...] = LOADS) -> Any:
        """Minus the virtual work of body forces and of loads of these kinds; 0 where there is none."""
        d, w, axes = self.d, self.domain.weight, self.domain.axes
        found = []
        if d.body_force is not None:
            if not isinstance(d.body_force, tuple | list) or len(d.body_force) != len(axes):
                raise ModelError(f"body_force has a component per axis ({', '.join(axes)}), not {d.body_force!r}")
            parts = [resolve(b, "N/m^3", self.scope, "body force").magnitude for b in d.body_force]
            force = ufl.as_vector([ufl.as_ufl(b) for b in parts])
            found += [-ufl.inner(force, self.test) * w * self.domain.dx(region) for region in d.materials]
        for boundary, given in d.boundaries.items():
            for load in as_list(given):
                if isinstance(load, kinds):
                    force = self._traction(boundary, load)
                    found.append(-ufl.inner(force, self.test) * w * self.domain.ds(boundary))
                    if isinstance(load, Foundation):
                        self.foundations[boundary] = self.foundations.get(boundary, 0.0 * force) + force
        return _sum(found) if found else 0

    def _traction(self, boundary: str, load: Any) -> Any:
        where = f'boundary "{boundary}"'
        return load.traction(self.scope, self.domain.axes, self.domain.facet_normal, self.u, where)

    # -- supports ---------------------------------------------------------------------------------------------------
    @property
    def held(self) -> Array:
        """Owned entries of the field with a prescribed value."""
        return np.concatenate([e.dofs for e in self.essential]) if self.essential else np.empty(0, dtype=np.int32)

    @property
    def supported(self) -> frozenset[str]:
        """Boundaries with a support of their own."""
        return frozenset(
            b for b, given in self.d.boundaries.items() if any(isinstance(c, SUPPORTS) for c in as_list(given))
        )

    def _nodes(self, boundary: str) -> Array:
        return self._nodes_of(self.domain.facets_of(boundary))

    def _nodes_of(self, facets: Entities) -> Array:
        """Owned nodes of facets, ascending."""
        nodes = dolfinx.fem.locate_dofs_topological(self.space, self.domain.mesh.topology.dim - 1, facets)
        return np.sort(nodes[nodes < self.space.dofmap.index_map.size_local])

    def _essential(self) -> list[Essential]:
        found: list[Essential] = []
        axes, zero = self.domain.axes, Expression(0.0, _METER.dimension)
        for boundary, given in self.d.boundaries.items():
            what = f'boundary "{boundary}"'
            for condition in as_list(given):
                if isinstance(condition, Clamped):
                    for k in range(len(axes)):
                        self._hold(found, self._nodes(boundary), k, zero, boundary)
                elif isinstance(condition, Symmetry):
                    for k, plane in self._planes(boundary).items():
                        self._hold(found, plane, k, zero, boundary)
                elif isinstance(condition, Displacement):
                    nodes = self._chosen(self._nodes(boundary), condition, what)
                    for axis, value in by_axis(condition, axes, what).items():
                        e = resolve(value, "m", self.symbols.points, f"{what}: displacement {axis}")
                        self._hold(found, nodes, axes.index(axis), e, boundary)
        if self.kinematics == AXISYMMETRIC:
            n = self._held_by.shape[0]
            radius = self.space.tabulate_dof_coordinates()[:n, 0]
            size = float(np.ptp(self.d.mesh.points, axis=0).max())
            on_axis = np.flatnonzero(radius < 1e-9 * size)
            on_axis = on_axis[self._held_by[on_axis, 0] < 0]
            if self.domain.comm.allreduce(int(on_axis.size)):
                self._hold(found, on_axis, 0, zero, "axis of revolution")
        return found

    def _hold(self, found: list[Essential], nodes: Array, k: int, value: Expression, name: str) -> None:
        """Prescribe a component at nodes; where it is held already, the two have to agree."""
        earlier = self._held_by[nodes, k]
        node = NodalValue(self.symbols, value, self.space.tabulate_dof_coordinates()[nodes])
        self._check_agreement(found, nodes, earlier, node, k, name)
        free = nodes[earlier < 0]
        self._held_by[free, k] = len(found)
        x = self.space.tabulate_dof_coordinates()[free]
        entries = (free * self.domain.dimension + k).astype(np.int32)
        found.append(Essential(entries, NodalValue(self.symbols, value, x), name))

    def _check_agreement(
        self, found: Sequence[Essential], nodes: Array, earlier: Array, node: NodalValue, k: int, name: str
    ) -> None:
        # Two different functions agree at a point by accident only: inputs and time get values that mean nothing.
        theta = np.array([*(p.value for p in self.symbols.parameters), *[0.7071] * (self.symbols.n_s + 1)])
        mine = node.at(theta)
        for other in range(len(found)):
            both = earlier == other
            differ = 0.0
            if both.any():
                there = np.searchsorted(found[other].dofs, nodes[both] * self.domain.dimension + k)
                differ = float(np.abs(found[other].value.at(theta)[there] - mine[both]).max())
            if self.domain.comm.allreduce(int(differ > 1e-9 * float(np.abs(mine).max(initial=0.0)))):
                axis = self.domain.axes[k]
                raise ModelError(
                    f'the body is held in two ways: "{found[other].name}" and "{name}" share points, and prescribe '
                    f"different displacements {axis} there; leave the points out of one of them with where="
                )

    def _chosen(self, nodes: Array, condition: Displacement, what: str) -> Array:
        if condition.where is None:
            return nodes
        x = self.space.tabulate_dof_coordinates()[nodes, : self.domain.dimension]
        answer = np.asarray(condition.where(*x.T))
        if answer.dtype != np.bool_ or answer.shape not in ((), (len(nodes),)):
            raise ModelError(f"{what}: `where` returns a truth value per point; combine conditions with & and |")
        chosen = np.asarray(nodes[np.broadcast_to(answer, (len(nodes),))])
        if not self.domain.comm.allreduce(int(chosen.size)):
            raise ModelError(f"{what}: `where` is true for no node of the boundary")
        return chosen

    def _planes(self, boundary: str) -> dict[int, Array]:
        """Nodes of a boundary by the axis that its facets are normal to; raises ModelError for other facets."""
        mesh, axes = self.d.mesh, self.domain.axes
        x = mesh.points[mesh.facet_nodes(mesh.boundaries[boundary])]
        size = float(np.ptp(mesh.points, axis=0).max())
        flat = np.ptp(x, axis=1) <= 1e-9 * size
        if mesh.axisymmetric and flat[:, 0].any() and (x[flat[:, 0]][:, :, 0] > 1e-9 * size).any():
            raise ModelError(f'boundary "{boundary}": a cylinder r = const is no plane of symmetry; hold z, or r')
        if not flat.any(axis=1).all():
            raise ModelError(
                f'boundary "{boundary}": fem.Symmetry() needs planes normal to {" or ".join(axes)}; '
                f"{int((~flat.any(axis=1)).sum())} of its {len(flat)} facets are oblique or curved. Turn the mesh, or "
                "hold components with fem.Displacement(...)"
            )
        found = {}
        facets, mine = self.domain.facets_of(boundary), self._flat(boundary, size)
        for k in np.unique(np.argmax(flat, axis=1)).tolist():
            found[int(k)] = self._nodes_of(facets[mine == k])
        return found

    def _flat(self, boundary: str, size: float) -> Any:
        """The axis that each facet of this rank is normal to."""
        facets, mesh, d = self.domain.facets_of(boundary), self.domain.mesh, self.domain.dimension
        if not facets.size:
            return np.empty(0)
        nodes = dolfinx.mesh.entities_to_geometry(mesh, mesh.topology.dim - 1, facets)
        return np.argmax(np.ptp(mesh.geometry.x[nodes][:, :, :d], axis=1) <= 1e-9 * size, axis=1)

    # -- rigid-body motion ------------------------------------------------------------------------------------------
    def require_held(self) -> None:
        """Raise ModelError, naming the motions, where the body can move as a whole."""
        require_held(self._constraints(), self.domain.axes, self.d.mesh.boundaries)

    def n_free_motions(self) -> int:
        """How many rigid-body motions the supports leave free."""
        return n_free(self._constraints())

    def _constraints(self) -> Array:
        """Rows (n_rows, n_motions): what the supports see of each rigid-body motion; a mesh is one piece."""
        mesh, axes, domain = self.d.mesh, self.domain.axes, self.domain
        x = self.space.tabulate_dof_coordinates()[: self._held_by.shape[0], : domain.dimension]
        center, size = mesh.points.mean(axis=0), float(np.ptp(mesh.points, axis=0).max())
        held = rigid_motions(x, axes, center, size)[self._held_by >= 0]
        return np.concatenate([gathered(domain.comm, held), self._bedded(center, size)])

    def _bedded(self, center: Array, size: float) -> Array:
        """Rows of foundations: the motion of the corners of facets along their normals, or along all axes."""
        mesh, axes = self.d.mesh, self.domain.axes
        found = [np.empty((0, rigid_motions(center[None, :], axes, center, size).shape[2]))]
        for boundary, given in self.d.boundaries.items():
            for bed in (c for c in as_list(given) if isinstance(c, Foundation)):
                corners = mesh.points[mesh.boundaries[boundary]]
                motions = rigid_motions(corners.reshape(-1, mesh.dimension), axes, center, size)
                motions = motions.reshape(*corners.shape[:2], mesh.dimension, -1)
                # The normal is the direction in which the corners of a facet do not spread.
                normals = np.linalg.svd(corners - corners.mean(axis=1, keepdims=True))[2][:, -1]
                through = np.einsum("fd,fcdm->fcm", normals, motions)
                found.append((motions if bed.tangential is not None else through).reshape(-1, motions.shape[-1]))
        return np.concatenate(found)

    # -- for solvers and sensors ------------------------------------------------------------------------------------
    def solver(self) -> "Direct | Iterative | None":
        """What was asked for, factors for a solid that is not large, else the library's choice."""
        if self.d.solver is None and self.domain.dimension == 3 and self._n_unknowns <= _DIRECT_SOLID:
            return Direct()
        return self.d.solver

    def near_nullspace(self) -> Any:
        """Rigid-body modes where multigrid may be used, else None."""
        small = self.domain.dimension < 3 and self.d.solver is None and self._n_unknowns <= _DIRECT_SOLID
        return None if small or isinstance(self.solver(), Direct) else near_nullspace(self.space, self.domain.axes)

    @property
    def _n_unknowns(self) -> int:
        return int(self.space.dofmap.index_map.size_global * self.space.dofmap.index_map_bs)

    def placed(self, stress: Mapping[str, Any]) -> MechanicalPlaced:
        """What places the sensors."""
        return MechanicalPlaced(self.domain, self.kinematics, self.u, self.strain, stress, self.scope)


def _sum(forms: Sequence[Any]) -> Any:
    return sum(forms[1:], forms[0])
