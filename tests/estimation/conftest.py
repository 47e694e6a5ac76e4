"""Models in closed form, so that every answer of a calibration is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from physics_twin.errors import SolveError
from physics_twin.measurements import Channel, Experiment
from physics_twin.model import StateBlock
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.signals import Signal

Array = Any


@dataclass
class ClosedForm:
    """A model whose outputs are a formula: outputs (n_times, n_outputs) of times and values.

    Derivatives by complex steps, which are exact to rounding for analytic formulas.
    """

    formula: Callable[[Array, Mapping[str, Any]], Array]
    parameters: ParameterSet
    outputs: tuple[Signal, ...]
    inputs: tuple[Signal, ...] = ()
    name: str = "closed_form"
    version: str = "1"
    fingerprint: str = "0123456789abcdef"
    forbidden: Callable[[Mapping[str, Any]], bool] = field(default=lambda values: False)
    exact: frozenset[str] | None = None
    calls: list[str] = field(default_factory=list)

    @property
    def state(self) -> tuple[StateBlock, ...]:
        return tuple(StateBlock(s.name, s.unit) for s in self.outputs)

    @property
    def validity(self) -> Mapping[str, tuple[float, float]]:
        return {}

    @property
    def differentiable(self) -> frozenset[str]:
        return frozenset(self.parameters) if self.exact is None else self.exact

    def initial_state(self, t0: float, recipe: Any, values: Mapping[str, float]) -> Array:
        return np.array([t0])

    def advance(self, state: Array, t0: float, t1: float, recipe: Any, values: Mapping[str, float]) -> Array:
        self._check(values)
        return np.array([t1])

    def observe(self, state: Array, t: float, recipe: Any, values: Mapping[str, float]) -> Array:
        return self.formula(np.array([t]), values)[0]

    def trajectory(self, times: Array, recipe: Any, values: Mapping[str, float], state: Any = None) -> Any:
        self.calls.append("trajectory")
        self._check(values)
        return np.asarray(self.formula(times, values), dtype=float), times[-1:]

    def sensitivity(
        self, times: Array, recipe: Any, values: Mapping[str, float], wrt: Sequence[str], state: Any = None
    ) -> Any:
        self.calls.append("sensitivity")
        outputs, end = self.trajectory(times, recipe, values)
        columns = []
        for name in wrt:
            assert name not in self.parameters or name in self.differentiable, (
                f"asked for {name}, which is not differentiable"
            )
            h = 1e-25j
            if name == "time":
                moved = self.formula(times + h, values)
            else:
                moved = self.formula(times, {**values, name: values[name] + h})
            columns.append(np.broadcast_to(np.imag(moved) / 1e-25, outputs.shape))
        return outputs, np.stack(columns, axis=-1), end

    def _check(self, values: Mapping[str, float]) -> None:
        if self.forbidden(values):
            raise SolveError("the pump cavitates", time=1.0, values=dict(values))


class WithoutSensitivities:
    """The same model, of which only the three basic methods are known."""

    def __init__(self, inner: ClosedForm) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name in ("trajectory", "sensitivity", "differentiable", "_inner"):
            raise AttributeError(name)
        return getattr(self._inner, name)


@pytest.fixture
def closed_form() -> type[ClosedForm]:
    return ClosedForm


@pytest.fixture
def without_sensitivities() -> type[WithoutSensitivities]:
    return WithoutSensitivities


def _line(**changes: Any) -> ClosedForm:
    parameters = changes.pop("parameters", [Parameter("a", "1 K"), Parameter("b", "0.1 K/s")])
    return ClosedForm(
        lambda t, v: (v["a"] + v["b"] * t)[:, None],
        ParameterSet(parameters),
        (Signal("y", "K"),),
        name="line",
        **changes,
    )


@pytest.fixture
def line() -> Callable[..., ClosedForm]:
    """y = a + b t"""
    return _line


def _decay(**changes: Any) -> ClosedForm:
    parameters = changes.pop(
        "parameters",
        [
            Parameter("start", "10 mol/m^3", bounds=("0.1 mol/m^3", "100 mol/m^3")),
            Parameter("rate", "0.2 1/s", bounds=("1e-4 1/s", "10 1/s")),
        ],
    )
    return ClosedForm(
        lambda t, v: (v["start"] * np.exp(-v["rate"] * t))[:, None],
        ParameterSet(parameters),
        (Signal("c", "mol/m^3"),),
        name="decay",
        **changes,
    )


@pytest.fixture
def decay() -> Callable[..., ClosedForm]:
    """c = start exp(-rate t)"""
    return _decay


def _experiment(name: str, times: Array, y: Array, *, output: str = "y", unit: str = "K", **channel: Any) -> Experiment:
    return Experiment.from_arrays(name, times, {output: y}, channels=[Channel(output, unit=unit, **channel)])


@pytest.fixture
def experiment() -> Callable[..., Experiment]:
    """One channel of one experiment."""
    return _experiment
