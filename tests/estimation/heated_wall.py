"""A wall heated at one face, with adjoints written by hand: linear in the flux, nonlinear in conductivity and loss.

Finite volumes in space, implicit Euler in time; the flux is constant in each of n intervals, `flux_1` ... `flux_n`.
c dT_j/dt = k (T_{j-1} - 2 T_j + T_{j+1}) / dx with T the rise above an ambient of 300 K; the far face loses h T.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from physics_twin.errors import SolveError
from physics_twin.measurements import Channel, Experiment
from physics_twin.model import StateBlock
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.signals import Signal

Array = Any
CELLS, DX, CAPACITY = 12, 0.005, 2.0e4
"""m and J/m^2/K a cell."""
AMBIENT = 300.0
DURATION = 600.0
SENSORS = {"near": 2, "far": 9}


@dataclass
class HeatedWall:
    """Offers trajectories and adjoints."""

    parameters: ParameterSet
    n_flux: int
    n_steps: int = 200
    name: str = "heated_wall"
    version: str = "1"
    fingerprint: str = "0123456789abcdef"
    inputs: tuple[Signal, ...] = ()
    outputs: tuple[Signal, ...] = tuple(Signal(name, "K") for name in SENSORS)
    forbidden: Callable[[Mapping[str, Any]], bool] = field(default=lambda values: False)
    jitter: float = 0.0
    wrong: float = 1.0
    """Factor of the gradient: 1 is right."""
    calls: list[str] = field(default_factory=list)

    @property
    def state(self) -> tuple[StateBlock, ...]:
        return (StateBlock("T", self.outputs[0].unit, CELLS),)

    @property
    def validity(self) -> Mapping[str, tuple[float, float]]:
        return {}

    def initial_state(self, t0: float, recipe: Any, values: Mapping[str, float]) -> Array:
        return np.zeros(CELLS)

    def advance(self, state: Array, t0: float, t1: float, recipe: Any, values: Mapping[str, float]) -> Array:
        raise NotImplementedError("trajectories only")

    def observe(self, state: Array, t: float, recipe: Any, values: Mapping[str, float]) -> Array:
        return AMBIENT + state[list(SENSORS.values())]

    def trajectory(self, times: Array, recipe: Any, values: Mapping[str, float], state: Any = None) -> Any:
        self.calls.append("forward")
        steps = self._march(values)
        rise = self._read(times) @ steps[:, list(SENSORS.values())]
        return AMBIENT + rise * self._noise(values), steps[-1]

    def pullback(self, times: Array, recipe: Any, values: Mapping[str, float], wrt: Sequence[str]) -> Any:
        outputs, _ = self.trajectory(times, recipe, values)
        steps = self._march(values)
        read = self._read(times)
        inverse, dt = np.linalg.inv(self._matrix(values)), DURATION / self.n_steps

        def gradient(weights: Array) -> Array:
            self.calls.append("backward")
            source = np.zeros(steps.shape)
            source[:, list(SENSORS.values())] = read.T @ weights
            found = dict.fromkeys(self.parameters, 0.0)
            adjoint = np.zeros(CELLS)
            for i in range(self.n_steps, 0, -1):
                adjoint = inverse.T @ (adjoint + source[i])
                found[f"flux_{1 + (i - 1) * self.n_flux // self.n_steps}"] += dt / CAPACITY * adjoint[0]
                found["conductivity"] -= dt / CAPACITY * adjoint @ (LAPLACE @ steps[i])
                found["loss"] -= dt / CAPACITY * adjoint[-1] * steps[i][-1]
            return self.wrong * np.array([found[name] for name in wrt])

        return outputs, gradient

    def _matrix(self, values: Mapping[str, float]) -> Array:
        edge = np.zeros((CELLS, CELLS))
        edge[-1, -1] = values["loss"]
        dt = DURATION / self.n_steps
        return np.eye(CELLS) + dt / CAPACITY * (values["conductivity"] * LAPLACE + edge)

    def _march(self, values: Mapping[str, float]) -> Array:
        """(n_steps + 1, CELLS)"""
        if self.forbidden(values):
            raise SolveError("the wall melts", time=1.0, values=dict(values))
        inverse, dt = np.linalg.inv(self._matrix(values)), DURATION / self.n_steps
        steps = np.zeros((self.n_steps + 1, CELLS))
        for i in range(self.n_steps):
            right = steps[i].copy()
            right[0] += dt / CAPACITY * values[f"flux_{1 + i * self.n_flux // self.n_steps}"]
            steps[i + 1] = inverse @ right
        return steps

    def _read(self, times: Array) -> Array:
        """(n_times, n_steps + 1): outputs between steps lie on a cubic spline, so delays have derivatives."""
        knots = np.arange(self.n_steps + 1.0)
        return CubicSpline(knots, np.eye(knots.size))(np.clip(times / DURATION * self.n_steps, 0.0, self.n_steps))

    def _noise(self, values: Mapping[str, float]) -> float:
        """What an integrator with adaptive steps does: a relative error that depends on the values without reason."""
        return 1.0 + self.jitter * np.sin(1e9 * sum(values.values()))


class WithSensitivities(HeatedWall):
    """The same with forward sensitivities as well."""

    @property
    def differentiable(self) -> frozenset[str]:
        return frozenset(self.parameters)

    def sensitivity(
        self, times: Array, recipe: Any, values: Mapping[str, float], wrt: Sequence[str], state: Any = None
    ) -> Any:
        outputs, pull = self.pullback(times, recipe, values, [name for name in wrt if name != "time"])
        jacobian = np.zeros((*outputs.shape, len(wrt)))
        for index in np.ndindex(*outputs.shape):
            unit = np.zeros(outputs.shape)
            unit[index] = 1.0
            jacobian[(*index, slice(0, len(wrt) - ("time" in wrt)))] = pull(unit)
        if "time" in wrt:
            h = 1e-3
            later = self._read(times + h) - self._read(times - h)
            jacobian[..., -1] = later @ self._march(values)[:, list(SENSORS.values())] / (2.0 * h)
        self.calls.append("sensitivity")
        return outputs, jacobian, np.zeros(CELLS)


LAPLACE = np.zeros((CELLS, CELLS))
for _j in range(CELLS - 1):
    LAPLACE[_j : _j + 2, _j : _j + 2] += np.array([[1.0, -1.0], [-1.0, 1.0]]) / DX


def wall(n_flux: int = 100, *, kind: type[HeatedWall] = HeatedWall, prior: Any = None, **changes: Any) -> HeatedWall:
    """A wall whose flux has the given prior and bounds."""
    bounds = changes.pop("bounds", None)
    flux = [Parameter(f"flux_{i}", "1 kW/m^2", prior=prior, bounds=bounds) for i in range(1, n_flux + 1)]
    others = [
        Parameter("conductivity", "1.5 W/m/K", bounds=("0.1 W/m/K", "50 W/m/K")),
        Parameter("loss", "20 W/m^2/K", bounds=("1 W/m^2/K", "500 W/m^2/K")),
    ]
    return kind(ParameterSet([*flux, *others]), n_flux, **changes)


def course(n_flux: int = 100) -> Array:
    """A flux in W/m^2 that rises, holds and falls."""
    s = (np.arange(n_flux) + 0.5) / n_flux
    return 8000.0 * np.exp(-(((s - 0.45) / 0.2) ** 4))


def truth(n_flux: int = 100) -> dict[str, float]:
    """Values that made the data."""
    return {**{f"flux_{i + 1}": float(q) for i, q in enumerate(course(n_flux))}, "conductivity": 1.5, "loss": 20.0}


def measured(
    model: HeatedWall,
    times: Array,
    *,
    seed: int = 3,
    sd: float = 0.2,
    late: float = 0.0,
    name: str = "run",
    **channel: Any,
) -> Experiment:
    """Both sensors at `times`, with noise, showing what was `late` s ago."""
    rng = np.random.default_rng(seed)
    clean = (
        AMBIENT
        + model._read(np.maximum(times - late, 0.0)) @ model._march(truth(model.n_flux))[:, list(SENSORS.values())]
    )
    y = clean + sd * rng.standard_normal(clean.shape)
    channel = {"noise": f"{sd} K", **channel}
    channels = [Channel(output, unit="K", **channel) for output in SENSORS]
    data = {output: y[:, k] for k, output in enumerate(SENSORS)}
    return Experiment.from_arrays(name, times, data, channels=channels)


def design(model: HeatedWall, times: Array) -> Array:
    """(n_data, n_flux): rises are exactly linear in the flux; rows as in a calibration, sensor after sensor."""
    _, pull = model.pullback(times, None, truth(model.n_flux), [f"flux_{i + 1}" for i in range(model.n_flux)])
    rows = []
    for k in range(len(SENSORS)):
        for i in range(times.size):
            unit = np.zeros((times.size, len(SENSORS)))
            unit[i, k] = 1.0
            rows.append(pull(unit))
    return np.array(rows)
