"""`HeatAndLight`: heat conduction in a body that lets radiation in: absorbed in depth, over whatever is left above.

The Beer-Lambert law asks for the optical depth between the surface and a point. Where the body loses mass that depth
changes, and it is not local. It becomes local as a second field, the flux G of the radiation (W/m^2), which obeys

    tau kappa dG/dt = div(1/kappa grad G) - kappa G        1/kappa dG/dn = q on the surface that it enters through

with the absorption kappa (1/m) per length of the mesh; kappa G heats the body. Without scattering, in one dimension and
with a body behind that absorbs what comes, G = q exp(-integral of kappa) exactly, for any kappa(x): flux and G are then
one, and d(flux)/dx = -kappa flux. In two and three dimensions light that enters through a plane surface behaves alike.
A face at which nothing is said reflects. tau is a delay far below every other time of the body; with it the
equations are parabolic, light needs no consistent start and may be switched. Light under way counts as stored energy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import dolfinx, ufl
from physics_twin.fem.boundaries import Temperature
from physics_twin.fem.compilation import compile_form
from physics_twin.fem.enthalpy import enthalpy
from physics_twin.fem.field_model import Discretized, FieldModel
from physics_twin.fem.heat import HeatDescription, _Heat, _slope_by, _sum
from physics_twin.fem.linear_solver import Direct, Iterative
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.observers import ExtremeObserver, LinearObserver, Observer
from physics_twin.fem.operators import Essential, Formulation
from physics_twin.fem.portable import Portable
from physics_twin.fem.quantities import as_list, resolve
from physics_twin.fem.reached import check_reached
from physics_twin.fem.stepping import Adaptive, Stepping
from physics_twin.fem.symbols import NodalValue
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit

_DELAY = 0.1
"""s; tau. Conduction over a tenth of a millimeter of a polymer takes as long."""

_SCALE = 1e3
"""W/m^2 in one unit of the second unknown, so that both are numbers of hundreds."""


@dataclass(frozen=True)
class LightDescription(HeatDescription):
    """What a person said; see `HeatAndLight`."""

    absorption: Mapping[str, Any] = None  # type: ignore[assignment]
    light: Mapping[str, Any] = None  # type: ignore[assignment]


def HeatAndLight(
    *,
    mesh: Mesh,
    materials: Mapping[str, Any],
    absorption: Mapping[str, Any],
    light: Mapping[str, Any],
    sensors: Mapping[str, Any],
    boundaries: Mapping[str, Any] | None = None,
    sources: Mapping[str, Any] | None = None,
    initial: Any = "20 degC",
    stepping: Stepping | None = None,
    degree: int = 1,
    solver: "Direct | Iterative | None" = None,
    parameters: Sequence[Parameter] = (),
    inputs: Sequence[Signal] = (),
    validity: Mapping[str, tuple[float, float]] | None = None,
    name: str = "heat_and_light",
    version: str = "1.0",
    description: str = "",
) -> FieldModel:
    """Heat conduction in a body that absorbs radiation in depth, as a model.

    absorption: region -> 1/m, for every region; it may depend on T, local states and coordinates. light: boundary ->
    the radiation that enters there, W/m^2, what is reflected already taken off. An opaque backing is a region with an
    absorption that leaves nothing over: 1.445 per cell takes up exactly what arrives (the discrete impedance is one).
    The rest is as in `HeatConduction`.
    """
    if not sensors:
        raise ModelError(f'model "{name}" has no sensor; add sensors={{"back": fem.Point(...)}}')
    if not isinstance(initial, Parameter) and not callable(initial):
        initial = Parameter("initial.temperature", initial, description="temperature at the start")
    said = LightDescription(
        mesh=mesh,
        materials=dict(materials),
        boundaries=dict(boundaries or {}),
        sources=dict(sources or {}),
        initial=initial,
        sensors=dict(sensors),
        velocity={},
        # What absorption and light declare is found where the declarations of functions are.
        parameters=(*parameters, dict(absorption), dict(light)),  # type: ignore[arg-type]
        inputs=tuple(inputs),
        degree=degree,
        steady=False,
        lumped=False,
        solver=solver,
        absorption=dict(absorption),
        light=dict(light),
    )
    build = Portable(discretize_heat_and_light, said)
    model = FieldModel(name, version, build, stepping or Adaptive("0.05 K"), dict(validity or {}), description)
    _ = model.operators  # a wrong description fails here, at the line of the mistake
    _ = model.observers
    check_reached(model)
    return model


def discretize_heat_and_light(d: LightDescription) -> Discretized:
    """The forms of a description."""
    return _HeatAndLight(d).discretized()


class _Paired:
    """Nodal temperatures beside light that is zero: [T0, 0, T1, 0, ...]."""

    def __init__(self, temperature: NodalValue) -> None:
        self.temperature = temperature
        self.n = 2 * temperature.n
        self.uniform = False
        self.depends = temperature.depends
        self.signature = f"beside light: {temperature.signature}"

    def at(self, theta: Array) -> Array:
        """(n,) values."""
        return _interleaved(self.temperature.at(theta))

    def tangent(self, theta: Array, direction: Array) -> Array:
        """(n,) derivative along a direction of theta."""
        return _interleaved(self.temperature.tangent(theta, direction))

    def jacobian(self, theta: Array) -> Array:
        """(n, n_theta)."""
        found = np.zeros((self.n, theta.size))
        found[::2] = self.temperature.jacobian(theta)
        return found


def _interleaved(temperature: Array) -> Array:
    found = np.zeros(2 * temperature.size)
    found[::2] = temperature
    return found


class _HeatAndLight(_Heat):
    """One description on its way to forms; the unknown is the pair (T, G / _SCALE) at each node."""

    d: LightDescription

    def __init__(self, d: LightDescription) -> None:
        super().__init__(d)
        for region in d.mesh.regions:
            if region in d.materials and region not in d.absorption:
                raise ModelError(f'"{region}" has no absorption; give it one, 1/m, however large')
        for region in d.absorption:
            self.domain.check_region(region)
        for boundary in d.light:
            self.domain.check_boundary(boundary)
        self.plain = self.T
        space = dolfinx.fem.functionspace(self.domain.mesh, ("Lagrange", d.degree, (2,)))
        assert np.array_equal(space.dofmap.list, self.space.dofmap.list)  # node k holds entries 2k and 2k + 1
        self.pair = dolfinx.fem.Function(space, name="temperature_and_light")
        tests = ufl.TestFunction(space)
        self.T, self.G = self.pair[0], _SCALE * self.pair[1]
        self.test, self.light_test = tests[0], tests[1]
        self.forms = {**self.forms, "T": Expression(self.T, Unit("K").dimension)}
        self.reacting_scope = self._scope_of_reaction()

    def discretized(self) -> Discretized:
        """Forms, operators and outputs."""
        d, w = self.d, self.domain.weight
        storage, residual = [], []
        for region, solid in d.materials.items():
            scope, what = self.scope_of(region), f'material of "{region}"'
            local = region in self.reacting and self.law is not None
            dx = self.domain.dx(region, self.law.degree if local and self.law is not None else None)
            kappa = resolve(d.absorption[region], "1/m", scope, f'absorption of "{region}"').magnitude
            heat = kappa * self.G
            source = self._source(region, scope, what)
            gained = heat if source is None else heat + source
            h = self._enthalpy(solid, scope, what)
            if local and self.reactions is not None and self.law is not None:
                for k, name in enumerate(self.reactions.states):
                    slope = _slope_by(h, self.law.z, k)
                    if slope is not None:
                        gained = gained + slope * scope[f"{name}_rate"].magnitude
            flux = self._conductivity(solid, scope, what)
            residual.append((ufl.inner(flux, ufl.grad(self.test)) - gained * self.test) * w * dx)
            spread = ufl.inner(ufl.grad(self.G), ufl.grad(self.light_test)) / kappa
            residual.append((spread + heat * self.light_test) * w * dx)
            storage.append((h * self.test + _DELAY * heat * self.light_test) * w * dx)
        for boundary, given in d.boundaries.items():
            for condition in as_list(given):
                if not isinstance(condition, Temperature):
                    inward = condition.inward(self.forms, f'boundary "{boundary}"').magnitude
                    residual.append(-inward * self.test * w * self.domain.ds(boundary))
        for boundary, given in d.light.items():
            entering = resolve(given, "W/m^2", self.forms, f'light through "{boundary}"').magnitude
            residual.append(-entering * self.light_test * w * self.domain.ds(boundary))
        formulation = Formulation(
            symbols=self.symbols,
            field=self.pair,
            storage=_sum(storage),
            residual=_sum(residual),
            essential=[Essential((2 * e.dofs).astype(np.int32), e.value, e.name) for e in self._essential()],
            local=self.law,
            given=None if self.law is None else ufl.as_vector([self.T]),
            symmetric=False,
        )
        return Discretized(
            formulation=formulation,
            field_name="temperature",
            field_unit=Unit("degC"),
            initial=_Paired(self._initial()),  # type: ignore[arg-type]
            sensors={name: (unit, _on_pairs(o)) for name, (unit, o) in self._sensors(residual).items()},
            lumped=_interleaved(self._weights()),
            solver=d.solver,
            energy_unit=self._energy_unit(),
        )

    def _enthalpy(self, solid: Any, scope: Mapping[str, Expression], what: str) -> Any:
        """Written over a temperature that is a function of its own, as `enthalpy` expects."""
        plain = {**scope, "T": Expression(self.plain, Unit("K").dimension)}
        return ufl.replace(enthalpy(solid, plain, what).magnitude, {self.plain: self.T})

    def _weights(self) -> Array:
        one = ufl.TestFunction(self.space) * self.domain.weight * ufl.Measure("dx", domain=self.domain.mesh)
        row = dolfinx.fem.assemble_vector(compile_form(one))
        row.scatter_reverse(dolfinx.la.InsertMode.add)
        mine = np.abs(row.array[: self.space.dofmap.index_map.size_local])
        return np.asarray(mine / self.domain.comm.allreduce(float(mine.sum())))


def _on_pairs(observer: Observer) -> Observer:
    """An observer of temperatures by their entries, on the pairs."""
    if isinstance(observer, LinearObserver):
        return LinearObserver(2 * observer.entries, observer.weights, observer.constant)
    if isinstance(observer, ExtremeObserver):
        return ExtremeObserver(2 * observer.entries, observer.extreme)
    return observer
