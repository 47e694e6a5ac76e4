"""A plant that is known in closed form: x' = rate + inflow - decay x, for many members at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.model import Failure, SIValues, StateBlock, StateKind
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.recipes import Recipe
from physics_twin.schedules import bind
from physics_twin.signals import Signal
from physics_twin.units import Unit

ONE = Unit("1")


@dataclass(frozen=True)
class LinearPlant:
    """Outputs: x and its integral since the start. A member whose x exceeds `breaks_at` fails."""

    name: str = "linear_plant"
    version: str = "1.0"
    fingerprint: str = "linear"
    breaks_at: float = np.inf
    parameters: ParameterSet = field(
        default_factory=lambda: ParameterSet(
            [
                Parameter("rate", 0.0, unit="m/s", bounds=("-10 m/s", "10 m/s")),
                Parameter("decay", 0.0, unit="1/s", bounds=("0 1/s", "10 1/s")),
                Parameter("initial.x", 0.0, unit="m"),
            ]
        )
    )
    inputs: tuple[Signal, ...] = (Signal("inflow", "m/s"),)
    outputs: tuple[Signal, ...] = (Signal("x", "m"), Signal("passed", "m*s"))
    state: tuple[StateBlock, ...] = (
        StateBlock("x", Unit("m")),
        StateBlock("passed", Unit("m*s"), kind=StateKind.ACCUMULATOR),
        StateBlock("recipe.phase", ONE, kind=StateKind.RECIPE),
        StateBlock("recipe.phase_start", Unit("s"), kind=StateKind.RECIPE),
    )
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """At the beginning of a recipe."""
        initial = bind(recipe, self.inputs, self.outputs, {"x": (Unit("m"), -np.inf, np.inf)}).initial
        assert isinstance(initial, Mapping)
        x = initial["x"].at(values) if "x" in initial else float(values["initial.x"])
        return np.array([x, 0.0, -1.0, 0.0])

    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """One member."""
        columns = {name: np.array([float(v)]) for name, v in values.items()}
        _, ends, failures = self.trajectories(np.array([t0, t1]), recipe, columns, state[None])
        if failures:
            raise SolveError(failures[0].reason, time=failures[0].time)
        return np.asarray(ends[0])

    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """x and its integral."""
        return np.array(state[:2])

    def trajectories(
        self, times: Array, recipe: Recipe, values: Mapping[str, Array], states: Array | None = None
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        """Closed form; recipes are one phase of constant inflow."""
        assert states is not None
        (level,) = bind(recipe, self.inputs, self.outputs, {"x": (Unit("m"), -np.inf, np.inf)}).phases[0].inputs
        assert level.level is not None
        own = {name: float(np.ravel(column)[0]) for name, column in values.items()}
        inflow = values["inflow"] if "inflow" in values else np.array(level.level.at(own))
        t = np.broadcast_to(times, (len(states), times.shape[-1]))
        h = t - t[:, :1]
        k = np.broadcast_to(values["decay"], len(states))[:, None]
        v = np.broadcast_to(values["rate"] + inflow, len(states))[:, None]
        x0, e0 = states[:, :1], states[:, 1:2]
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = np.where(k > 0.0, -np.expm1(-k * h) / k, h)
            second = np.where(k > 0.0, (h - kept) / k, 0.5 * h * h)
        x = x0 * np.exp(-k * h) + v * kept
        passed = e0 + x0 * kept + v * second
        outputs = np.stack([x, passed], axis=2)
        ends = states.copy()
        ends[:, 0], ends[:, 1], ends[:, 2] = x[:, -1], passed[:, -1], 0.0
        failures = []
        for row in np.flatnonzero((x > self.breaks_at).any(axis=1)):
            outputs[row], ends[row] = np.nan, np.nan
            failures.append(Failure(int(row), "it broke", float(t[row, int((x[row] > self.breaks_at).argmax())])))
        return outputs, ends, tuple(failures)
