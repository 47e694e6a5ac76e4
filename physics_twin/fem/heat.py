"""`HeatConduction`: conduction, phase change and reaction in a solid as a field model.

Per volume: dH/dt + c v . grad T = div(k grad T) + sources + heat of reaction, with the enthalpy H of
`physics_twin.fem.enthalpy` and local states z with rates dz/dt = r(T, z) at every quadrature point. Where properties
depend on the local states the heat of reaction is that released at the temperature of the reaction: what H changes by
because of dz is added back as a source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import casadi as ca
import numpy as np

from physics_twin.errors import ModelError, unknown_name
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import dolfinx, ufl
from physics_twin.fem.boundaries import Temperature, ThermalBoundary
from physics_twin.fem.compilation import compile_form
from physics_twin.fem.domain import Domain
from physics_twin.fem.enthalpy import enthalpy
from physics_twin.fem.field_model import Discretized, FieldModel
from physics_twin.fem.fields import Derived, in_words
from physics_twin.fem.guards import Guard, material_guards
from physics_twin.fem.linear_solver import Direct, Iterative
from physics_twin.fem.local_law import LocalLaw, LocalState
from physics_twin.fem.materials import Solid
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.observers import FunctionalObserver, Observer, RowObserver
from physics_twin.fem.operators import Essential, Formulation, constants_in
from physics_twin.fem.portable import Portable
from physics_twin.fem.quantities import Declarations, as_list, named_parts, resolve
from physics_twin.fem.reached import check_reached
from physics_twin.fem.reactions import Reactions
from physics_twin.fem.sensors import HeatFlow, Placed, mark_of
from physics_twin.fem.size import check_size
from physics_twin.fem.sources import Source
from physics_twin.fem.stepping import Adaptive, Stepping
from physics_twin.fem.symbols import NodalValue, Symbols, settled
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit

_TEMPERATURE = Unit("degC")
_BALANCE = ("stored_energy", "supplied_energy", "energy_imbalance")


@dataclass(frozen=True)
class HeatDescription:
    """What a person said; see `HeatConduction`."""

    mesh: Mesh
    materials: Mapping[str, Any]
    boundaries: Mapping[str, Any]
    sources: Mapping[str, Any]
    initial: Any
    sensors: Mapping[str, Any]
    velocity: Mapping[str, Any]
    parameters: Sequence[Parameter]
    inputs: Sequence[Signal]
    degree: int
    steady: bool
    lumped: bool
    solver: "Direct | Iterative | None"
    more: Mapping[str, Any] = field(default_factory=dict)


def HeatConduction(
    *,
    mesh: Mesh,
    materials: Mapping[str, Any],
    sensors: Mapping[str, Any],
    boundaries: Mapping[str, Any] | None = None,
    sources: Mapping[str, Any] | None = None,
    initial: Any = "20 degC",
    velocity: Mapping[str, Any] | None = None,
    stepping: Stepping | None = None,
    steady: bool = False,
    degree: int = 1,
    lumped: bool | None = None,
    solver: "Direct | Iterative | None" = None,
    parameters: Sequence[Parameter] = (),
    inputs: Sequence[Signal] = (),
    validity: Mapping[str, tuple[float, float]] | None = None,
    name: str = "heat_conduction",
    version: str = "1.0",
    description: str = "",
) -> FieldModel:
    """Heat conduction in a body as a model.

    mesh: with named regions and boundaries. materials: region -> `Solid`, for every region that holds cells.
    boundaries: name -> `Temperature`, `Flux`, `Convection`, `Radiation`, `GaussianSpot`, or a list of them (a sum);
    what is not named is insulated. sources: region -> `HeatSource`, `Absorbed`, `Goldak`, or a list. initial: a
    quantity, Parameter or function of the coordinates; a quantity becomes the parameter `initial.temperature`.
    velocity: region -> components (m/s) of a moving strip or stream, stabilized by streamline upwinding. sensors:
    output name -> `Point`, `Average`, `Maximum`, `Minimum`, `Integral`, `HeatFlow`. stepping: `Adaptive` or
    `FixedSteps`. steady: the state is the solution for the inputs at each time, and initial is where the search for
    it begins. degree: of the elements, 1 or 2. lumped: the storage at the nodes, without over- and undershoot; by
    default only where there is latent heat. solver: `Direct()` or `Iterative()` instead of the library's choice.
    parameters and inputs: those that only functions name.

    A quantity is a text with unit, a Parameter, a Signal, a table, or a function whose argument names say what it
    depends on: T, t, x, y, z (r, z), a local state, a parameter, an input. Units are checked when the model is built.

    Outputs are the sensors and, unless steady, stored_energy, supplied_energy and energy_imbalance: J, per m^2 of the
    cross-section in 1-D, per m of depth in 2-D, of the whole body of revolution for an axisymmetric mesh.

    Raises ModelError, UnitError, UnknownNameError.
    """
    if degree not in (1, 2):
        raise ModelError(f"degree = {degree}: elements of degree 1 or 2 are offered")
    if not sensors:
        raise ModelError(f'model "{name}" has no sensor; add sensors={{"core": fem.Point(...)}}')
    if not steady and not isinstance(initial, Parameter) and not callable(initial):
        initial = Parameter("initial.temperature", initial, description="temperature at the start")
    if stepping is not None and not isinstance(stepping, Stepping):
        raise ModelError(f'stepping is fem.Adaptive("0.05 K") or fem.FixedSteps("1 s"), not {stepping!r}')
    latent = any(
        isinstance(m, Solid) and m.latent_heat is not None for m in named_parts("materials", materials).values()
    )
    if lumped is None:
        lumped = latent and degree == 1 and not any(getattr(m, "reactions", None) for m in materials.values())
    said = HeatDescription(
        mesh=mesh,
        materials=named_parts("materials", materials),
        boundaries=named_parts("boundaries", boundaries),
        sources=named_parts("sources", sources),
        initial=initial,
        sensors=named_parts("sensors", sensors),
        velocity=dict(velocity or {}),
        parameters=tuple(parameters),
        inputs=tuple(inputs),
        degree=degree,
        steady=steady,
        lumped=lumped,
        solver=solver,
    )
    build = Portable(discretize_heat, said)
    model = FieldModel(name, version, build, stepping or Adaptive("0.05 K"), dict(validity or {}), description)
    _ = model.operators  # a wrong description fails here, at the line of the mistake
    _ = model.observers
    check_reached(model)
    return model


def discretize_heat(d: HeatDescription) -> Discretized:
    """The forms of a description."""
    return _Heat(d).discretized()


class _Heat:
    """One description on its way to forms; used once."""

    def __init__(self, d: HeatDescription) -> None:
        self.d = d
        sets = [getattr(m, "reactions", None) for m in d.materials.values()]
        n_local = max((len(r.states) for r in sets if isinstance(r, Reactions)), default=0)
        check_size(d.mesh, d.degree, local_states=n_local, solver=d.solver, steady=d.steady)
        self.domain = Domain(d.mesh)
        self._check_names()
        self.reactions, self.reacting = self._reactions()
        declarations = Declarations()
        declarations.find(d.initial)
        for part in (d.materials, d.boundaries, d.sources, d.velocity, d.sensors, d.parameters, d.inputs):
            declarations.find(part)
        self.local_initial = self._local_initials(declarations)
        self.symbols = Symbols.of(self.domain, declarations)
        self.space = dolfinx.fem.functionspace(self.domain.mesh, ("Lagrange", d.degree))
        self.T = dolfinx.fem.Function(self.space, name="temperature")
        self.test = ufl.TestFunction(self.space)
        self.forms = {**self.symbols.forms, "T": Expression(self.T, Unit("K").dimension)}
        self.law = self._local_law()
        self.reacting_scope = self._scope_of_reaction()

    # -- names ------------------------------------------------------------------------------------------------------
    def _check_names(self) -> None:
        d = self.d
        for region in [*d.materials, *d.sources, *d.velocity]:
            self.domain.check_region(region)
        for boundary, given in d.boundaries.items():
            self.domain.check_boundary(boundary)
            conditions = as_list(given)
            for condition in conditions:
                if not isinstance(condition, ThermalBoundary):
                    kinds = ", ".join(kind.__name__ for kind in get_args(ThermalBoundary))
                    raise ModelError(f'boundary "{boundary}": {condition!r} is none of {kinds}')
            if len(conditions) > 1 and any(isinstance(c, Temperature) for c in conditions):
                raise ModelError(f'boundary "{boundary}": where the temperature is prescribed nothing else can act')
        for region, given in d.sources.items():
            for source in as_list(given):
                if not isinstance(source, Source):
                    kinds = ", ".join(kind.__name__ for kind in get_args(Source))
                    raise ModelError(f'source of "{region}": {source!r} is none of {kinds}')
        for region, solid in d.materials.items():
            if not hasattr(solid, "requires"):
                raise ModelError(f'material of "{region}" is a fem.Solid, not {solid!r}')
            needed = ("conductivity",) if d.steady else ("conductivity", "density", "heat_capacity")
            solid.requires(*needed, purpose=f'heat conduction in "{region}"')
        covered = np.zeros(d.mesh.cells.shape[0], dtype=int)
        for region in d.materials:
            covered[np.asarray(d.mesh.regions[region])] += 1
        if (covered == 0).any():
            bare = [r for r in d.mesh.regions if r not in d.materials]
            raise ModelError(
                f"{int((covered == 0).sum())} cells have no material; give materials for "
                + (", ".join(bare) if bare else "the whole mesh")
            )
        if (covered > 1).any():
            raise ModelError(f"{int((covered > 1).sum())} cells have two materials; regions with materials overlap")

    def _reactions(self) -> tuple[Reactions | None, list[str]]:
        found = {r: s.reactions for r, s in self.d.materials.items() if getattr(s, "reactions", None) is not None}
        if not found:
            return None, []
        distinct = list({id(v): v for v in found.values()}.values())
        if len(distinct) > 1:
            raise ModelError(
                "two sets of reactions in one model; give one set, with rates that are zero where nothing reacts"
            )
        if not isinstance(distinct[0], Reactions):
            raise ModelError(f"reactions of a Solid are fem.Reactions(...), not {distinct[0]!r}")
        if self.d.steady:
            raise ModelError("a steady model has no reactions: local states change in time")
        return distinct[0], list(found)

    def _local_initials(self, declarations: Declarations) -> dict[str, Any]:
        if self.reactions is None:
            return {}
        found = {}
        for name, local in self.reactions.states.items():
            start = local.initial
            if not isinstance(start, Parameter) and not callable(start):
                quantity = (start, local.unit) if isinstance(start, int | float) else start
                start = Parameter(f"initial.{name}", quantity, description=f"{name} at the start")
            declarations.find(start)
            found[name] = start
        return found

    # -- local states -----------------------------------------------------------------------------------------------
    def _local_law(self) -> LocalLaw | None:
        if self.reactions is None:
            return None
        names = list(self.reactions.states)
        clash = set(names) & {*self.symbols.names, *self.forms}
        if clash:
            raise ModelError(f'the local state "{sorted(clash)[0]}" has the name of something else; rename it')
        nz, nx, nt = len(names), self.domain.dimension, self.symbols.n_theta
        z, e, z0 = ca.SX.sym("z", nz), ca.SX.sym("e", 1), ca.SX.sym("z0", nz)
        g, x, theta = ca.SX.sym("g"), self.symbols.place, self.symbols.theta
        units = [Unit(local.unit) for local in self.reactions.states.values()]
        scope = dict(self.symbols.points)
        scope["T"] = Expression(e[0], Unit("K").dimension)
        scope |= {name: Expression(z[k], units[k].dimension) for k, name in enumerate(names)}
        rates, starts = [], []
        for name, local in self.reactions.states.items():
            rate = resolve(local.rate, f"({local.unit})/s" if local.unit != "1" else "1/s", scope, f"rate of {name}")
            rates.append(settled(rate))
            start = resolve(self.local_initial[name], local.unit, self.symbols.points, f"initial {name}")
            starts.append(settled(start))
        r = ca.vertcat(*rates)
        cells = np.unique(np.concatenate([self.domain.cells_of(region) for region in self.reacting]))
        assert nx == x.numel() and nt == theta.numel()
        return LocalLaw(
            self.symbols,
            [
                LocalState(name, unit, local.scale * unit.factor)
                for (name, local), unit in zip(self.reactions.states.items(), units, strict=True)
            ],
            residual=ca.Function("residual", [z, e, z0, g, x, theta], [z - z0 - g * r]),
            rate=ca.Function("rate", [z, e, x, theta], [r]),
            initial=ca.Function("initial", [x, theta], [ca.densify(ca.vertcat(*starts))]),
            n_e=1,
            degree=2 * self.d.degree,
            cells=cells,
        )

    def _scope_of_reaction(self) -> dict[str, Expression]:
        """Names that quantities of a reacting region may ask for: local states and their rates as well."""
        if self.reactions is None or self.law is None:
            return dict(self.forms)
        scope = dict(self.forms)
        names = list(self.reactions.states)
        for k, (name, local) in enumerate(self.reactions.states.items()):
            scope[name] = Expression(self.law.z[k], Unit(local.unit).dimension)
        for name in names:
            local = self.reactions.states[name]
            unit = f"({local.unit})/s" if local.unit != "1" else "1/s"
            scope[f"{name}_rate"] = resolve(local.rate, unit, {k: scope[k] for k in scope}, f"rate of {name}")
        return scope

    def scope_of(self, part: str) -> dict[str, Expression]:
        """What a quantity of a region or boundary may depend on."""
        return self.reacting_scope if self.law is not None and part in self.reacting else self.forms

    # -- forms ------------------------------------------------------------------------------------------------------
    def discretized(self) -> Discretized:
        """Forms, operators and outputs."""
        d, w = self.d, self.domain.weight
        storage, residual = [], []
        fluxes: dict[str, Any] = {}
        symmetric = not d.velocity
        for region, solid in d.materials.items():
            scope, what = self.scope_of(region), f'material of "{region}"'
            local = region in self.reacting and self.law is not None
            degree = self.law.degree if local and self.law is not None else None
            dx = self.domain.dx(region, degree)
            test = self.test
            if region in d.velocity:
                test = test + self._upwinding(region, solid, scope, what)
            flux = self._conductivity(solid, scope, what)
            fluxes[region] = -flux
            residual.append(ufl.inner(flux, ufl.grad(self.test)) * w * dx)
            source = self._source(region, scope, what)
            if source is not None:
                residual.append(-source * test * w * dx)
            if region in d.velocity:
                residual.append(self._advection(region, solid, scope, what) * test * w * dx)
            if not d.steady:
                h = enthalpy(solid, scope, what).magnitude
                if local and self.reactions is not None and self.law is not None:
                    # Heat is counted at the temperature of the reaction: see the docstring of the module.
                    for k, name in enumerate(self.reactions.states):
                        slope = _slope_by(h, self.law.z, k)
                        if slope is not None:
                            rate = scope[f"{name}_rate"].magnitude
                            residual.append(-slope * rate * test * w * dx)
                storage.append(h * test * w * (self._nodal_dx(region) if d.lumped else dx))
        for boundary, given in d.boundaries.items():
            for condition in as_list(given):
                if isinstance(condition, Temperature):
                    continue
                inward = condition.inward(self.forms, f'boundary "{boundary}"').magnitude
                residual.append(-inward * self.test * w * self.domain.ds(boundary))
        form = _sum(residual)
        total_storage = None if d.steady else _sum(storage)
        self._check_storage(total_storage)
        jacobian = ufl.algorithms.expand_derivatives(ufl.derivative(form, self.T))
        symmetric = symmetric and self.law is None and self.T not in jacobian.coefficients()
        formulation = Formulation(
            symbols=self.symbols,
            field=self.T,
            storage=total_storage,
            residual=form,
            essential=self._essential(),
            local=self.law,
            given=None if self.law is None else ufl.as_vector([self.T]),
            symmetric=symmetric,
            guards=self._guards(),
        )
        return Discretized(
            formulation=formulation,
            field_name="temperature",
            field_unit=_TEMPERATURE,
            initial=self._initial(),
            sensors=self._sensors(residual),
            lumped=self._weights(),
            solver=d.solver,
            energy_unit=self._energy_unit(),
            derived={"heat_flux": Derived(Unit("W/m^2"), fluxes)},
            marks={name: mark_of(self.domain, name, sensor) for name, sensor in d.sensors.items()},
            conditions={b: in_words(d.boundaries.get(b), "insulated") for b in d.mesh.boundaries},
        )

    def _check_storage(self, storage: Any) -> None:
        """ModelError where the enthalpy depends on time or inputs: a body whose capacity is turned up would cool."""
        if storage is None:
            return
        used, n_p = constants_in(storage), self.symbols.n_p
        moving = [name for k, name in enumerate(self.symbols.names[n_p:], n_p) if self.symbols.constants[k] in used]
        if moving:
            raise ModelError(
                f'density, heat capacity and latent heat may not depend on "{moving[0]}": stored energy is a function '
                "of temperature and local states; use a parameter, a function of T, or a local state"
            )

    def _guards(self) -> "list[Guard]":
        d, placed = self.d, self._placed()
        names = ("conductivity",) if d.steady and not d.velocity else ("conductivity", "density", "heat_capacity")
        place = self.space.tabulate_dof_coordinates()[:, : self.domain.dimension]
        return material_guards(
            self.symbols, d.materials, names, lambda region: placed.entries_of(region, f'material of "{region}"'), place
        )

    def _conductivity(self, solid: Solid, scope: Mapping[str, Expression], what: str) -> Any:
        gradient = ufl.grad(self.T)
        given = solid.conductivity
        # A tuple of quantities is orthotropic; (42.0, "W/m/K") is one quantity.
        if isinstance(given, tuple) and not (len(given) == 2 and isinstance(given[1], str) and _is_number(given[0])):
            if len(given) != self.domain.dimension:
                raise ModelError(f"{what}: {len(given)} conductivities in {self.domain.dimension} dimensions")
            parts = [resolve(k, "W/m/K", scope, f"{what}: conductivity").magnitude for k in given]
            return ufl.as_vector([k * gradient[i] for i, k in enumerate(parts)])
        return resolve(given, "W/m/K", scope, f"{what}: conductivity").magnitude * gradient

    def _source(self, region: str, scope: Mapping[str, Expression], what: str) -> Any:
        parts = [s.density(scope, self.d.mesh, what).magnitude for s in as_list(self.d.sources.get(region))]
        if region in self.reacting and self.reactions is not None and self.reactions.heat is not None:
            parts.append(self._heat_of_reaction(region, scope, what).magnitude)
        return None if not parts else sum(parts[1:], parts[0])

    def _heat_of_reaction(self, region: str, scope: Mapping[str, Expression], what: str) -> Expression:
        """W/m^3: a function's value, or density times the heat of each state times its rate."""
        assert self.reactions is not None
        given = self.reactions.heat
        if not isinstance(given, Mapping):
            return resolve(given, "W/m^3", scope, f"{what}: heat of reaction")
        density = resolve(self.d.materials[region].density, "kg/m^3", scope, f"{what}: density")
        total: Any = 0
        for name, heat in given.items():
            if name not in self.reactions.states:
                raise unknown_name("local state", name, self.reactions.states)
            unit = f"J/kg/({self.reactions.states[name].unit})" if self.reactions.states[name].unit != "1" else "J/kg"
            per_state = resolve(heat, unit, scope, f"{what}: heat of {name}")
            total = total + density * per_state * scope[f"{name}_rate"]
        return total if isinstance(total, Expression) else Expression(0.0, Unit("W/m^3").dimension)

    def _velocity(self, region: str, scope: Mapping[str, Expression], what: str) -> Any:
        given = self.d.velocity[region]
        parts = given if isinstance(given, tuple) and not isinstance(given[-1], float) else (given,)
        if len(parts) == 2 and _is_number(parts[0]):
            parts = (given,)
        if len(parts) != self.domain.dimension:
            raise ModelError(f"{what}: velocity has {len(parts)} components in {self.domain.dimension} dimensions")
        return ufl.as_vector([ufl.as_ufl(resolve(v, "m/s", scope, f"{what}: velocity").magnitude) for v in parts])

    def _capacity(self, solid: Solid, scope: Mapping[str, Expression], what: str) -> Any:
        solid.requires("density", "heat_capacity", purpose="a moving body carries heat")
        density = resolve(solid.density, "kg/m^3", scope, f"{what}: density")
        return (density * resolve(solid.heat_capacity, "J/kg/K", scope, f"{what}: heat capacity")).magnitude

    def _advection(self, region: str, solid: Solid, scope: Mapping[str, Expression], what: str) -> Any:
        v = self._velocity(region, scope, what)
        return self._capacity(solid, scope, what) * ufl.dot(v, ufl.grad(self.T))

    def _upwinding(self, region: str, solid: Solid, scope: Mapping[str, Expression], what: str) -> Any:
        """tau v . grad w, exact at the nodes in 1-D.

        Brooks and Hughes, Streamline upwind/Petrov-Galerkin formulations, CMAME 32, 1982, eq. 3.3.2.
        """
        v = self._velocity(region, scope, what)
        k = resolve(solid.conductivity, "W/m/K", scope, f"{what}: conductivity").magnitude
        speed = ufl.sqrt(ufl.dot(v, v) + 1e-30)
        h = ufl.CellVolume(self.domain.mesh) ** (1.0 / self.domain.dimension) / self.d.degree
        peclet = self._capacity(solid, scope, what) * speed * h / (2.0 * k)
        # coth(Pe) - 1/Pe, by its series where the difference cancels.
        limited = ufl.max_value(peclet, 1e-3)
        excess = ufl.conditional(ufl.gt(peclet, 1e-3), 1.0 / ufl.tanh(limited) - 1.0 / limited, peclet / 3.0)
        return h / (2.0 * speed) * excess * ufl.dot(v, ufl.grad(self.test))

    def _nodal_dx(self, region: str) -> Any:
        return self.domain._dx(
            self.domain.region_ids[region], metadata={"quadrature_rule": "vertex", "quadrature_degree": 1}
        )

    def _essential(self) -> list[Essential]:
        found = []
        taken = np.zeros(self.space.dofmap.index_map.size_local, dtype=bool)
        placed = self._placed()
        x = self.space.tabulate_dof_coordinates()
        for boundary, given in self.d.boundaries.items():
            for condition in as_list(given):
                if isinstance(condition, Temperature):
                    entries = placed.entries_of(boundary, f'boundary "{boundary}"')
                    entries = entries[~taken[entries]]
                    taken[entries] = True
                    points = {k: v for k, v in self.symbols.points.items() if k != "T"}
                    value = resolve(condition.value, "degC", points, f'temperature of boundary "{boundary}"')
                    node = NodalValue(self.symbols, value, x[entries])
                    found.append(Essential(entries.astype(np.int32), node, boundary))
        return found

    def _initial(self) -> NodalValue:
        value = resolve(self.d.initial, "degC", self.symbols.points, "initial temperature")
        n = self.space.dofmap.index_map.size_local
        return NodalValue(self.symbols, value, self.space.tabulate_dof_coordinates()[:n])

    def _weights(self) -> Any:
        row = dolfinx.fem.assemble_vector(
            compile_form(self.test * self.domain.weight * ufl.Measure("dx", domain=self.domain.mesh))
        )
        row.scatter_reverse(dolfinx.la.InsertMode.add)
        mine = np.abs(row.array[: self.space.dofmap.index_map.size_local])
        total = self.domain.comm.allreduce(float(mine.sum()))
        return mine / total

    def _energy_unit(self) -> Unit:
        dimension = self.domain.dimension + self.d.mesh.axisymmetric
        return {1: Unit("J/m^2"), 2: Unit("J/m"), 3: Unit("J")}[dimension]

    # -- outputs ----------------------------------------------------------------------------------------------------
    def _placed(self) -> Placed:
        return Placed(self.domain, self.space, self.forms["T"], _TEMPERATURE, self.scope_of, self.law)

    def _sensors(self, residual: Sequence[Any]) -> dict[str, tuple[Unit, Observer]]:
        placed = self._placed()
        found = {}
        for name, sensor in self.d.sensors.items():
            if not name.isidentifier():
                raise ModelError(f'a sensor\'s name is an identifier such as "core", not {name!r}')
            if not self.d.steady and name in _BALANCE:
                raise ModelError(f'the sensor "{name}" has the name of an output of every heat model; rename it')
            if name in self.symbols.names:
                raise ModelError(f'"{name}" is a sensor and a parameter or input; rename one')
            if isinstance(sensor, HeatFlow):
                found[name] = (self._power_unit(), self._heat_flow(name, sensor))
            else:
                found[name] = placed.place(name, sensor)
        return found

    def _power_unit(self) -> Unit:
        dimension = self.domain.dimension + self.d.mesh.axisymmetric
        return {1: Unit("W/m^2"), 2: Unit("W/m"), 3: Unit("W")}[dimension]

    def _heat_flow(self, name: str, sensor: HeatFlow) -> Observer:
        self.domain.check_boundary(sensor.boundary)
        given = as_list(self.d.boundaries.get(sensor.boundary))
        held = any(isinstance(c, Temperature) for c in given)
        if held and self.d.steady:
            # The reaction at held nodes is the exact flow of the discrete solution.
            weights = np.zeros(self.space.dofmap.index_map.size_local)
            weights[self._placed().entries_of(sensor.boundary, f'sensor "{name}"')] = 1.0
            return RowObserver(weights)
        ds, w = self.domain.ds(sensor.boundary), self.domain.weight
        if held:
            normal = self.domain.facet_normal
            form = None
            for region, solid in self.d.materials.items():
                if len(self.d.materials) > 1:
                    raise ModelError(
                        f'sensor "{name}": the flow through a prescribed temperature needs one material; {region} is '
                        "one of several"
                    )
                form = ufl.inner(self._conductivity(solid, self.scope_of(region), name), normal) * w * ds
            return FunctionalObserver(form)
        parts = [c.inward(self.forms, f'boundary "{sensor.boundary}"').magnitude for c in given]
        if not parts:
            raise ModelError(f'sensor "{name}": the boundary "{sensor.boundary}" is insulated; nothing flows there')
        return FunctionalObserver(ufl.as_ufl(sum(parts[1:], parts[0])) * w * ds)


def _slope_by(expression: Any, z: Any, k: int) -> Any:
    """d expression / d z[k], or None where it is zero."""
    if z not in ufl.algorithms.extract_coefficients(ufl.as_ufl(expression)):
        return None
    unit = ufl.as_vector([1.0 if i == k else 0.0 for i in range(z.ufl_shape[0])])
    return ufl.algorithms.expand_derivatives(ufl.derivative(expression, z, unit))


def _sum(forms: Sequence[Any]) -> Any:
    return sum(forms[1:], forms[0])


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float | np.number) and not isinstance(x, bool)
