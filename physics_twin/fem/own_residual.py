"""A field model from a residual of your own, for those who write UFL.

dQ/dt + R = 0 with the storage Q and the residual R given as UFL forms. Everything else is the library's: time stepping,
Newton's method, tangents, adjoints, sensors, files. Units of a raw form cannot be checked; those of parameters, inputs,
prescribed and initial values are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.errors import ModelError, unknown_name
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import MPI, dolfinx, ufl
from physics_twin.fem.compilation import compile_form
from physics_twin.fem.domain import Domain
from physics_twin.fem.field_model import Discretized, FieldModel
from physics_twin.fem.linear_solver import Direct, Iterative
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.operators import Essential, Formulation
from physics_twin.fem.portable import Portable
from physics_twin.fem.quantities import Declarations, resolve
from physics_twin.fem.reached import check_reached
from physics_twin.fem.sensors import Placed
from physics_twin.fem.stepping import Adaptive, Stepping
from physics_twin.fem.symbols import NodalValue, Symbols
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit


class Workspace:
    """What a residual is written with: the unknown `u`, the test function `v`, names, coordinates and measures."""

    def __init__(self, domain: Domain, u: Any, v: Any, symbols: Symbols) -> None:
        self.domain, self.u, self.v, self._forms = domain, u, v, symbols.forms

    def __getitem__(self, name: str) -> Any:
        """A parameter, an input, a distribution, a coordinate or "t", in SI, as UFL."""
        if name not in self._forms:
            raise unknown_name("quantity", name, self._forms)
        return self._forms[name].magnitude

    @property
    def x(self) -> Any:
        """The coordinate vector."""
        return self.domain.coordinate

    @property
    def n(self) -> Any:
        """The outward normal."""
        return self.domain.facet_normal

    def dx(self, region: str, degree: int | None = None) -> Any:
        """Volume measure of a region (2 pi r is part of it in an axisymmetric mesh: multiply by `weight`)."""
        return self.domain.dx(region, degree)

    def ds(self, boundary: str, degree: int | None = None) -> Any:
        """Surface measure of a boundary."""
        return self.domain.ds(boundary, degree)

    @property
    def weight(self) -> Any:
        """2 pi r for an axisymmetric mesh, else 1."""
        return self.domain.weight


Writer = Callable[[Workspace], Any]


@dataclass(frozen=True)
class ResidualDescription:
    """What a person said; see `from_residual`."""

    mesh: Mesh
    residual: Writer
    storage: Writer | None
    field: str
    unit: str
    degree: int
    prescribed: Mapping[str, Any]
    initial: Any
    sensors: Mapping[str, Any]
    parameters: Sequence[Any]
    inputs: Sequence[Signal]
    symmetric: bool
    solver: "Direct | Iterative | None"


def from_residual(
    *,
    mesh: Mesh,
    residual: Writer,
    storage: Writer | None = None,
    field: str,
    unit: str,
    sensors: Mapping[str, Any],
    prescribed: Mapping[str, Any] | None = None,
    initial: Any = None,
    parameters: Sequence[Any] = (),
    inputs: Sequence[Signal] = (),
    degree: int = 1,
    symmetric: bool = False,
    stepping: Stepping | None = None,
    solver: "Direct | Iterative | None" = None,
    validity: Mapping[str, tuple[float, float]] | None = None,
    name: str = "field_model",
    version: str = "1.0",
) -> FieldModel:
    """A scalar field model from its weak form: dQ/dt + R = 0.

    residual and storage: functions of a `Workspace` w that return UFL forms linear in w.v, in SI: w.u, w.v, w["name"],
    w.x, w.n, w.dx(region), w.ds(boundary), w.weight. Without storage the model is steady. field and unit: the unknown.
    prescribed: boundary -> quantity. initial: a quantity (the parameter `initial.<field>`), Parameter or function of
    the coordinates. parameters: those that the forms name (`Parameter`, `Distribution`); inputs likewise. symmetric:
    whether the Jacobian is, so that conjugate gradients may be used. stepping: `Adaptive("... of the field")`.

    >>> from physics_twin import fem
    >>> import ufl  # doctest: +SKIP
    >>> fem.FieldModel.from_residual(  # doctest: +SKIP
    ...     mesh=fem.mesh.bar("1 m", 10),
    ...     field="concentration",
    ...     unit="mol/m^3",
    ...     initial="0 mol/m^3",
    ...     residual=lambda w: w["D"] * ufl.inner(ufl.grad(w.u), ufl.grad(w.v)) * w.dx("bar"),
    ...     storage=lambda w: w.u * w.v * w.dx("bar"),
    ...     parameters=[pt.Parameter("D", "1e-9 m^2/s")],
    ...     prescribed={"left": "1 mol/m^3"},
    ...     sensors={"middle": fem.Point("0.5 m")},
    ... )
    """
    if not sensors:
        raise ModelError(f'model "{name}" has no sensor; add sensors={{"middle": fem.Point(...)}}')
    if storage is not None:
        if initial is None:
            raise ModelError(f'model "{name}" has a storage and needs initial=, the {field} at the start')
        if not isinstance(initial, Parameter) and not callable(initial):
            initial = Parameter(f"initial.{field}", initial, description=f"{field} at the start")
        if stepping is None:
            raise ModelError(f'model "{name}": say how accurate steps are, stepping=fem.Adaptive("... {unit}")')
    description = ResidualDescription(
        mesh=mesh,
        residual=residual,
        storage=storage,
        field=field,
        unit=unit,
        degree=degree,
        prescribed=dict(prescribed or {}),
        initial=initial,
        sensors=dict(sensors),
        parameters=tuple(parameters),
        inputs=tuple(inputs),
        symmetric=symmetric,
        solver=solver,
    )
    build = Portable(discretize_residual, description)
    model = FieldModel(name, version, build, stepping or Adaptive(f"1 {unit}"), dict(validity or {}))
    _ = model.operators  # a wrong description fails here, at the line of the mistake
    _ = model.observers
    check_reached(model)
    return model


def discretize_residual(d: ResidualDescription) -> Discretized:
    """The forms of a description."""
    domain, unit = Domain(d.mesh), Unit(d.unit)
    declarations = Declarations()
    for part in (d.initial, d.prescribed, d.sensors, d.parameters, d.inputs):
        declarations.find(part)
    symbols = Symbols.of(domain, declarations)
    space = dolfinx.fem.functionspace(domain.mesh, ("Lagrange", d.degree))
    u, v = dolfinx.fem.Function(space, name=d.field), ufl.TestFunction(space)
    work = Workspace(domain, u, v, symbols)
    residual, storage = d.residual(work), None if d.storage is None else d.storage(work)
    for what, form in (("residual", residual), ("storage", storage)):
        if form is not None and (not isinstance(form, ufl.Form) or len(form.arguments()) != 1):
            # UFL prints itself at a length that hides the message.
            got = f"a form with {len(form.arguments())} of w.v" if isinstance(form, ufl.Form) else type(form).__name__
            raise ModelError(
                f"the {what} is a UFL form that is linear in w.v, not {got}; multiply by w.v and by w.dx(region)"
            )
    forms = {**symbols.forms, d.field: Expression(u, unit.dimension)}
    placed = Placed(domain, space, forms[d.field], unit, lambda _: forms)
    n, x = space.dofmap.index_map.size_local, space.tabulate_dof_coordinates()
    essential, taken = [], np.zeros(n, dtype=bool)
    for boundary, quantity in d.prescribed.items():
        domain.check_boundary(boundary)
        entries = placed.entries_of(boundary, f'boundary "{boundary}"')
        entries = entries[~taken[entries]]
        taken[entries] = True
        value = resolve(quantity, d.unit, symbols.points, f'{d.field} on boundary "{boundary}"')
        essential.append(Essential(entries.astype(np.int32), NodalValue(symbols, value, x[entries]), boundary))
    initial = None
    if storage is not None:
        start = resolve(d.initial, d.unit, symbols.points, f"initial {d.field}")
        initial = NodalValue(symbols, start, x[:n])
    row = dolfinx.fem.assemble_vector(compile_form(v * domain.weight * ufl.Measure("dx", domain=domain.mesh)))
    row.scatter_reverse(dolfinx.la.InsertMode.add)
    mine = np.abs(row.array[:n])
    total = float(domain.comm.allreduce(float(mine.sum()), op=MPI.SUM))
    return Discretized(
        formulation=Formulation(
            symbols=symbols,
            field=u,
            storage=storage,
            residual=residual,
            essential=essential,
            symmetric=d.symmetric,
        ),
        field_name=d.field,
        field_unit=unit,
        initial=initial,
        sensors={name: placed.place(name, sensor) for name, sensor in d.sensors.items()},
        lumped=mine / total,
        solver=d.solver,
        energy_unit=_amount(unit, domain),
        balance="amount",
    )


def _amount(unit: Unit, domain: Domain) -> Unit:
    """The unit of the integral of the field."""
    dimension = domain.dimension + domain.description.axisymmetric
    return Unit(Unit.from_dimension(unit.dimension).text) * Unit("m") ** dimension
