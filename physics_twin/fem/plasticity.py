"""`Plasticity`: small strains of an elastic-plastic body under a history of loads, as a field model.

The stress is C (strain - thermal strain - plastic strain); plastic strains are local states of the quadrature points
(`physics_twin.fem.return_mapping`), and the consistent tangent follows from their law by the implicit function theorem.
The law knows no time: a recipe's time only says in what order the loads come, and each load step is implicit Euler.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.errors import ModelError
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import dolfinx, ufl
from physics_twin.fem.elasticity import Driven, ElasticBody, ElasticDescription, stress_fields
from physics_twin.fem.field_model import Discretized, FieldModel
from physics_twin.fem.fields import in_words
from physics_twin.fem.hardening import Hardening, back_stresses_of, first_yield, isotropic_of
from physics_twin.fem.linear_solver import Direct, Iterative
from physics_twin.fem.local_law import LocalLaw
from physics_twin.fem.materials import Solid
from physics_twin.fem.mechanical_sensors import MechanicalPlaced
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.mesh.cells import Cell
from physics_twin.fem.operators import Formulation
from physics_twin.fem.portable import Portable
from physics_twin.fem.quantities import resolve
from physics_twin.fem.reached import check_reached
from physics_twin.fem.return_mapping import PlasticPoint, residual, states_of
from physics_twin.fem.sensors import mark_of
from physics_twin.fem.stepping import IMPLICIT_EULER, FixedSteps
from physics_twin.fem.strain import Kinematics, stiffness, thermal_strain
from physics_twin.fem.symbols import settled
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit

_METER, _KELVIN = Unit("m"), Unit("K")
_TYPICAL_STRAIN = 1e-2  # of a plastic body
_COLLAPSE = (
    "; the load may be more than the plastic body can carry (collapse). What came before this moment is carried; "
    "beyond it, prescribe displacements instead of forces. Where the body can carry the load, take shorter load steps"
)


@dataclass(frozen=True)
class PlasticDescription:
    """What a person said; see `Plasticity`."""

    elastic: ElasticDescription
    quadrature_degree: int | None


def Plasticity(
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
    quadrature_degree: int | None = None,
    stepping: FixedSteps | None = None,
    solver: "Direct | Iterative | None" = None,
    parameters: Sequence[Parameter] = (),
    inputs: Sequence[Signal] = (),
    validity: Mapping[str, tuple[float, float]] | None = None,
    name: str = "plasticity",
    version: str = "1.0",
    description: str = "",
) -> FieldModel:
    """An elastic-plastic body (von Mises, associated flow) as a model whose loads come in the order of the recipe.

    The description is that of `Elasticity`. Regions whose `Solid` has a `yield_stress` (or a `FlowCurve`) are plastic,
    the others stay elastic. hardening: None (perfectly plastic), `Linear`, `Voce`, `FlowCurve`, or `Chaboche`.
    yield_stress and hardening may be Parameters and functions of T. stepping: load steps, FixedSteps("1 s") by default:
    write recipes so that a load comes on in tens of steps. The error is of first order in the step where the stress
    turns or back stresses recover; a step that does not converge is taken in parts; between ends of steps outputs are
    straight lines, and a run that is split within a step takes another step there. At 0 s the loads of that moment
    are put on in one step.

    Plastic flow keeps the volume, which elements of degree 1 hardly can: they lock, and carry too much. Recommended are
    triangles and tetrahedra of degree 2 (meshes with triangles=True, tetrahedra=True, simplices=True), for which a
    quadrature of degree 2 is chosen by itself: in Hill's tube with 20 cells through the wall the hoop stress at the
    bore is right to 2e-3, with 40 to 5e-4, and a sector of 6 by 6 cells collapses at 240.2 MPa instead of 240.11.
    Quadrilaterals and hexahedra of degree 2 get degree 4: displacements below collapse are right (2e-3 in that sector),
    but the pressure oscillates within a cell and they carry more than the collapse load (more than 245 MPa there).
    Fewer points than that are refused: cells would have motions without strain.

    Sensors may also ask for local states: `Point(..., of="equivalent_plastic_strain")`, and plastic_strain_xx ... in
    `Average` and `Integral`. Stresses at points are extrapolated from the quadrature points of their cell.

    Derivatives are exact while no point changes between elastic and plastic: at a value where one just does so, the
    outputs have a slope on either side and no derivative, as at the kinks of a `FlowCurve`.

    Raises ModelError, UnitError, BoundsError, UnknownNameError; a load beyond collapse is a SolveError in the run.
    """
    if not sensors:
        raise ModelError(f'model "{name}" has no sensor; add sensors={{"tip": fem.PointDisplacement(...)}}')
    stepping = FixedSteps("1 s", IMPLICIT_EULER) if stepping is None else stepping
    if not isinstance(stepping, FixedSteps):
        raise ModelError(f'plasticity takes load steps: stepping=fem.FixedSteps("1 s"), not {stepping!r}')
    said = ElasticDescription(
        mesh=mesh,
        materials=dict(materials),
        boundaries=dict(boundaries),
        sensors=dict(sensors),
        kind=kind,
        temperature=temperature,
        reference_temperature=reference_temperature,
        body_force=body_force,
        parameters=tuple(parameters),
        inputs=tuple(inputs),
        degree=degree,
        solver=solver,
    )
    build = Portable(discretize_plasticity, PlasticDescription(said, quadrature_degree))
    model = FieldModel(name, version, build, stepping, dict(validity or {}), description)
    _ = model.operators  # a wrong description fails here, at the line of the mistake
    _ = model.observers
    check_reached(model)
    return model


def discretize_plasticity(d: PlasticDescription) -> Discretized:
    """The forms of a description."""
    body = ElasticBody(d.elastic)
    body.require_held()
    plastic = [region for region, solid in d.elastic.materials.items() if _is_plastic(solid, region)]
    if not plastic:
        raise ModelError(
            'no material has a yield_stress: give one, such as yield_stress="235 MPa", or use fem.Elasticity'
        )
    law, given = _law(body, plastic, d.quadrature_degree)
    n = body.kinematics.n
    inelastic = ufl.as_vector([law.z[i] for i in range(n)])
    stress = {r: body.stress(r, inelastic if r in plastic else None) for r in d.elastic.materials}
    work = body.internal_work({r: stress[r] for r in plastic}, law.degree)
    elastic = {r: s for r, s in stress.items() if r not in plastic}
    if elastic:
        work = work + body.internal_work(elastic)
    recovers = any(b.recovery != 0.0 for r in plastic for b in back_stresses_of(d.elastic.materials[r].hardening))
    formulation = Formulation(
        symbols=body.symbols,
        field=body.u,
        storage=None,
        residual=work + body.external_work(),
        essential=body.essential,
        local=law,
        given=given,
        drivers=body.drivers,
        symmetric=not recovers,
        advice=_COLLAPSE,
        typical=_TYPICAL_STRAIN * float(np.ptp(d.elastic.mesh.points, axis=0).max()),
    )
    placed = MechanicalPlaced(body.domain, body.kinematics, body.u, body.strain, stress, body.scope, law)
    return Discretized(
        formulation=formulation,
        field_name="displacement",
        field_unit=_METER,
        initial=None,
        sensors=placed.place_all(d.elastic.sensors, body.held, body.foundations, body.supported),
        solver=body.solver(),
        near_nullspace=body.near_nullspace(),
        derived=stress_fields(body.kinematics, stress),
        marks={name: mark_of(body.domain, name, sensor) for name, sensor in d.elastic.sensors.items()},
        conditions={b: in_words(d.elastic.boundaries.get(b), "free") for b in d.elastic.mesh.boundaries},
    )


def _is_plastic(solid: Solid, region: str) -> bool:
    hardening = solid.hardening
    if hardening is not None and not isinstance(hardening, Hardening):
        raise ModelError(
            f'material of "{region}": hardening is fem.Linear, fem.Voce, fem.FlowCurve or fem.Chaboche, '
            f"not {hardening!r}"
        )
    if solid.yield_stress is not None:
        return True
    if hardening is None:
        return False
    if not hasattr(isotropic_of(hardening), "stresses"):
        raise ModelError(f'material of "{region}": hardening begins at a yield_stress; give one, such as "235 MPa"')
    return True


def _quadrature_degree(cell: Cell, degree: int, asked: int | None) -> int:
    simplex = cell in (Cell.INTERVAL, Cell.TRIANGLE, Cell.TETRAHEDRON)
    least = max(2 * (degree - 1), 1) if simplex else 2 * degree
    if asked is not None and not least <= asked <= 10:
        raise ModelError(
            f"quadrature_degree = {asked}: {least} to 10 is offered for {cell.value}s of degree {degree}; with less "
            "a cell has motions without strain"
        )
    return least if asked is None else asked


def _law(body: ElasticBody, plastic: Sequence[str], asked: int | None) -> tuple[LocalLaw, Any]:
    """The local law of all plastic regions, and what it is given as a UFL vector."""
    d, kinematics, symbols = body.d, body.kinematics, body.symbols
    n = kinematics.n
    n_back = max(len(back_stresses_of(d.materials[r].hardening)) for r in plastic)
    states = states_of(kinematics, n_back)
    driven = isinstance(d.temperature, Driven)
    several = len(plastic) > 1
    n_e = n + driven + several
    z, e, z0 = ca.SX.sym("z", len(states)), ca.SX.sym("e", n_e), ca.SX.sym("z0", len(states))
    g, x, theta = ca.SX.sym("g"), symbols.place, symbols.theta
    scope = _scope(body, e[n] if driven else None)
    value: ca.SX | None = None
    for number, region in enumerate(plastic):
        rows = residual(kinematics, _point(body, region, scope), [e[i] for i in range(n)], z, z0)
        value = rows if value is None else ca.if_else(e[n_e - 1] > number - 0.5, rows, value)
    assert value is not None
    law = LocalLaw(
        symbols,
        states,
        residual=ca.Function("residual", [z, e, z0, g, x, theta], [value]),
        rate=None,
        initial=ca.Function("initial", [x, theta], [ca.DM.zeros(len(states))]),
        n_e=n_e,
        degree=_quadrature_degree(d.mesh.cell, d.degree, asked),
        cells=np.concatenate([body.domain.cells_of(region) for region in plastic]),
    )
    given = [body.strain[i] for i in range(n)]
    if driven:
        given.append(body.scope["T"].magnitude)
    if several:
        which = dolfinx.fem.Function(dolfinx.fem.functionspace(body.domain.mesh, ("DG", 0)), name="material")
        for number, region in enumerate(plastic):
            which.x.array[body.domain.cells_of(region)] = float(number)
        which.x.scatter_forward()
        given.append(which)
    return law, ufl.as_vector(given)


def _scope(body: ElasticBody, temperature: Any) -> dict[str, Expression]:
    """What properties may ask for at a point; T is given (driven), a function of place and time, or the reference."""
    d, points = body.d, body.symbols.points
    reference = resolve(d.reference_temperature, "degC", points, "reference temperature")
    if temperature is not None:
        return {**points, "T": Expression(temperature, _KELVIN.dimension)}
    hot = reference if d.temperature is None else resolve(d.temperature, "degC", points, "temperature")
    return {**points, "T": Expression(settled(hot), _KELVIN.dimension)}


def _point(body: ElasticBody, region: str, scope: Mapping[str, Expression]) -> PlasticPoint:
    solid, what = body.d.materials[region], f'material of "{region}"'
    free: Sequence[Any] = (0.0,) * body.kinematics.n
    if body.d.temperature is not None:
        written = body.d.reference_temperature
        reference = resolve(written, "degC", body.symbols.points, "reference temperature")
        free = thermal_strain(solid, body.kinematics, scope, reference, what)
    first = first_yield(solid, scope, what)
    curve = isotropic_of(solid.hardening)

    def flow_stress(p: Any) -> Any:
        return first if curve is None else curve.flow_stress(p, first, scope, what)

    hooke = stiffness(solid, body.kinematics, scope, what)
    return PlasticPoint(hooke, free, flow_stress, [b.resolved(scope, what) for b in back_stresses_of(solid.hardening)])
