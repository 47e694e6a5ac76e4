"""`HarmonicResponse`: amplitude and phase of a body under a load that oscillates, by its modes.

With modal masses of 1, the displacement seen by c under the load f exp(i w t) is

    sum over modes of (c . phi)(phi . f) / (w_k^2 - w^2 + 2 i zeta_k w_k w)

(Craig and Kurdila, Fundamentals of Structural Dynamics, 2nd ed., 2006, chapter 11). What the modes that are left out
carry statically is added, c . K^-1 f minus the modes' part of it (the mode-acceleration method, ibid.); so the response
at low frequencies is exact whatever the number of modes. A body that is not held has its rigid-body modes instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ModelError, SolveError
from physics_twin.fem._dolfinx import MPI, slepc
from physics_twin.fem.compilation import compile_form
from physics_twin.fem.elasticity import ElasticDescription
from physics_twin.fem.linear_solver import Direct, LinearSolver
from physics_twin.fem.mechanical_sensors import MechanicalPlaced, PointDisplacement, RelativeDisplacement
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.modes import VibratingBody
from physics_twin.fem.momentary import MomentaryModel
from physics_twin.fem.observers import BlockRow
from physics_twin.fem.portable import Portable
from physics_twin.fem.quantities import as_list, resolve
from physics_twin.fem.strain import Kinematics
from physics_twin.fem.supports import Pressure, Traction
from physics_twin.fem.symbols import settled
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit

_HERTZ, _METER, _RADIAN = Unit("Hz"), Unit("m"), Unit("rad")


@dataclass(frozen=True, init=False)
class PointForce:
    """The amplitude of a force at a point: PointForce("0.4 m", "0 m", component="y", force="1 N"), N/m in 2-D.

    On a fine mesh the displacement of the point itself grows without a limit, as it does under any true point force.
    """

    coordinates: tuple[Any, ...]
    component: str
    force: Any

    def __init__(self, *coordinates: Any, component: str, force: Any) -> None:
        object.__setattr__(self, "coordinates", coordinates)
        object.__setattr__(self, "component", component)
        object.__setattr__(self, "force", force)


@dataclass(frozen=True)
class HarmonicDescription:
    """What a person said; see `HarmonicResponse`."""

    body: ElasticDescription
    n_modes: int
    damping: Any
    forces: Sequence[PointForce]


def HarmonicResponse(
    *,
    mesh: Mesh,
    materials: Mapping[str, Any],
    sensors: Mapping[str, Any],
    damping: Any,
    boundaries: Mapping[str, Any] | None = None,
    forces: "PointForce | Sequence[PointForce]" = (),
    n_modes: int = 6,
    kind: Kinematics | None = None,
    temperature: Any = None,
    reference_temperature: Any = "20 degC",
    degree: int = 2,
    parameters: Sequence[Parameter] = (),
    inputs: Sequence[Signal] = (),
    validity: Mapping[str, tuple[float, float]] | None = None,
    name: str = "harmonic_response",
    version: str = "1.0",
) -> MomentaryModel:
    """Amplitude and phase of an elastic body under oscillating loads, by superposition of its modes.

    The input `frequency` (Hz) is that of the loads, which are the `Pressure` and `Traction` of boundaries and the
    `forces` at points, all in phase. damping: the ratio to the critical damping, one for all modes or a tuple of
    n_modes, numbers or Parameters. sensors: name -> `PointDisplacement` or `RelativeDisplacement`; outputs are
    <name>_amplitude (m) and <name>_phase (rad, behind the load where it is negative). The rest is as for `Modes`.
    Take enough modes to go well beyond the highest frequency of the load. The model has no derivatives of its own.

    Raises ModelError, UnitError, UnknownNameError; MissingDependencyError where SLEPc is missing.
    """
    slepc()
    if n_modes < 1:
        raise ModelError(f"n_modes = {n_modes}: at least one mode")
    if not sensors:
        raise ModelError(f'model "{name}" has no sensor; add sensors={{"tip": fem.PointDisplacement(...)}}')
    body = ElasticDescription(
        mesh=mesh,
        materials=dict(materials),
        boundaries=dict(boundaries or {}),
        sensors=dict(sensors),
        kind=kind,
        temperature=temperature,
        reference_temperature=reference_temperature,
        body_force=None,
        parameters=(*parameters, *_parameters_in(damping), *_parameters_in([f.force for f in as_list(forces)])),
        inputs=(Signal("frequency", "Hz", description="of the loads"), *inputs),
        degree=degree,
        solver=None,
    )
    said = HarmonicDescription(body, n_modes, damping, tuple(as_list(forces)))
    model = MomentaryModel(name, version, Portable(shaken_body, said), dict(validity or {}))
    _ = model.momentary  # a wrong description fails here, at the line of the mistake
    return model


def shaken_body(d: HarmonicDescription) -> "ShakenBody":
    """The forms of a description."""
    return ShakenBody(d)


@dataclass(frozen=True)
class _Modal:
    """What does not depend on the frequency: eigenvalues (n,), participation (n_sensors, n), rest (n_sensors,)."""

    eigenvalues: Array
    participation: Array
    rigid: Array
    """(n_sensors,) of the rigid-body modes together, times -1/w^2"""
    rest: Array
    """(n_sensors,) static, of the modes that are left out"""


class ShakenBody:
    """A body with its modes, loads and sensors."""

    def __init__(self, d: HarmonicDescription) -> None:
        self.d = d
        self.vibrating = VibratingBody(d.body, d.n_modes)
        self.symbols = self.vibrating.symbols
        body, ops = self.vibrating.body, self.vibrating.ops
        self._frequency = self.symbols.n_p + [s.name for s in self.symbols.inputs].index("frequency")
        self._damping = self._damping_ratios()
        load = body.external_work((Pressure, Traction))
        self._load = None if load == 0 else compile_form(load)
        if load == 0 and not d.forces:
            raise ModelError("nothing shakes the body: give forces=fem.PointForce(...), or a Traction or Pressure")
        placed = MechanicalPlaced(body.domain, body.kinematics, body.u, body.strain, {}, body.scope)
        self._sensors = self._placed(placed, d.body.sensors)
        self._forces = [
            (
                self._placed(placed, {f"force {k + 1}": PointDisplacement(*f.coordinates, component=f.component)})[0],
                value,
            )
            for k, (f, value) in enumerate(zip(d.forces, self._amplitudes(), strict=True))
        ]
        self._solver: LinearSolver | None = None
        self._factored: bytes | None = None
        self._kept: tuple[bytes, _Modal] | None = None
        self._ops = ops

    # -- what is said -----------------------------------------------------------------------------------------------
    def _placed(self, placed: MechanicalPlaced, sensors: Mapping[str, Any]) -> list[BlockRow]:
        for name, sensor in sensors.items():
            if not isinstance(sensor, PointDisplacement | RelativeDisplacement):
                raise ModelError(
                    f'sensor "{name}": harmonic response is seen by PointDisplacement and RelativeDisplacement'
                )
        rows = placed.displacements(sensors)
        return list(rows.values())

    def _function(self, quantity: Any, unit: str, what: str) -> ca.Function:
        expression = resolve(quantity, unit, self.symbols.points, what)
        magnitude = settled(expression)
        if ca.depends_on(magnitude, self.symbols.place):
            raise ModelError(f"{what} is one number, it does not depend on the place")
        return ca.Function("value", [self.symbols.theta], [magnitude])

    def _damping_ratios(self) -> list[ca.Function]:
        given = self.d.damping if isinstance(self.d.damping, tuple | list) else (self.d.damping,) * self.d.n_modes
        if len(given) != self.d.n_modes:
            raise ModelError(
                f"damping: {len(given)} ratios for {self.d.n_modes} modes; give one for all or one for each"
            )
        for ratio in given:
            number = ratio.value if isinstance(ratio, Parameter) else ratio
            if isinstance(number, int | float) and not 0.0 <= number < 1.0:
                raise BoundsError(f"damping = {number:g} is outside [0, 1), a share of critical damping (2 % is 0.02)")
        return [self._function(ratio, "1", f"damping of mode {k + 1}") for k, ratio in enumerate(given)]

    def _amplitudes(self) -> list[ca.Function]:
        unit = self._force_unit()
        return [self._function(f.force, unit, f"force {k + 1}") for k, f in enumerate(self.d.forces)]

    def _force_unit(self) -> str:
        domain = self.vibrating.body.domain
        return {1: "N/m^2", 2: "N/m", 3: "N"}[domain.dimension + domain.description.axisymmetric]

    # -- a Momentary ------------------------------------------------------------------------------------------------
    @property
    def outputs(self) -> Sequence[Signal]:
        """Amplitude and phase of every sensor."""
        found = []
        for name in self.d.body.sensors:
            found += [Signal(f"{name}_amplitude", _METER), Signal(f"{name}_phase", _RADIAN)]
        return found

    @property
    def signature(self) -> str:
        """Of forms, mesh, sensors and numbers."""
        rows = [repr(row.weights.tolist()) for row in self._sensors]
        numbers = [str(f(self.symbols.theta)) for f in (*self._damping, *(value for _, value in self._forces))]
        return "\x1f".join([self.vibrating.signature, *rows, *numbers])

    def values(self, theta: Array) -> Array:
        """(n_outputs,) amplitudes and phases."""
        modal = self._modal(theta)
        w = 2.0 * np.pi * float(theta[self._frequency])
        n = self.d.n_modes
        zeta = np.array([float(f(theta)) for f in self._damping])
        natural = np.sqrt(modal.eigenvalues[:n])
        gain = 1.0 / (modal.eigenvalues[:n] - w**2 + 2j * zeta * natural * w)
        response = modal.participation @ gain + modal.rest
        if modal.rigid.any():
            if w == 0.0:
                raise SolveError(
                    "a body that is not held has no response to a load at rest (frequency = 0 Hz)", time=0.0
                )
            response = response - modal.rigid / w**2
        return np.column_stack([np.abs(response), np.angle(response)]).reshape(-1)

    # -- inside -----------------------------------------------------------------------------------------------------
    def _modal(self, theta: Array) -> _Modal:
        still = theta.copy()
        still[self._frequency] = 0.0
        key = still.tobytes()
        if self._kept is None or self._kept[0] != key:
            self._kept = key, self._superposed(still)
        return self._kept[1]

    def _superposed(self, theta: Array) -> _Modal:
        n = self.d.n_modes
        pairs = self.vibrating.pairs(theta)
        force = self._force(theta)
        by_mode = self._summed(np.array([v @ force for v in pairs.vectors[:n]]))
        seen = self._seen(pairs.vectors[:n], theta)
        participation = seen * by_mode
        rigid = np.zeros(len(self._sensors))
        rest = np.zeros(len(self._sensors))
        if len(pairs.rigid):
            rigid = self._seen(pairs.rigid, theta) @ self._summed(np.array([v @ force for v in pairs.rigid]))
        else:
            static = self._static(force, theta)
            rest = self._seen(static[None, :], theta)[:, 0] - participation @ (1.0 / pairs.eigenvalues[:n])
        return _Modal(pairs.eigenvalues, participation, rigid, rest)

    def _force(self, theta: Array) -> Array:
        """(n,) owned entries of the load."""
        ops = self._ops
        ops.symbols.set(theta)
        total = np.zeros(ops.n)
        if self._load is not None:
            total -= ops._assemble(self._load)
        for row, value in self._forces:
            total += float(value(theta)) * row.gradient(ops, np.zeros(ops.n), theta)[0]
        total[ops.held] = 0.0
        return total

    def _seen(self, vectors: Array, theta: Array) -> Array:
        """(n_sensors, n_vectors) what the sensors see of displacements (n_vectors, n)."""
        ops = self._ops
        found = np.empty((len(self._sensors), len(vectors)))
        for k, v in enumerate(vectors):
            ops.write(v)
            found[:, k] = [row.value(ops, v, theta) for row in self._sensors]
        return self._summed(found)

    def _static(self, force: Array, theta: Array) -> Array:
        ops = self._ops
        key = theta[ops._matrix_needs].tobytes()
        if self._solver is None or key != self._factored:
            self._solver = LinearSolver(
                ops.comm, ops.n_global, self.symbols.domain.dimension, symmetric=True, choice=Direct(), steady=True
            )
            self._solver.set_operator(ops.jacobian(0.0, 1.0, theta))
            self._factored = key
        return self._solver.solve(force)

    def _summed(self, mine: Array) -> Array:
        comm = self._ops.comm
        return mine if comm.size == 1 else np.asarray(comm.allreduce(mine, op=MPI.SUM))


def _parameters_in(given: Any) -> list[Parameter]:
    return [p for p in as_list(given) if isinstance(p, Parameter)]
