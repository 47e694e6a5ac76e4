"""The Model protocol and its optional capabilities.

Everything above this file (calibration, envelopes, twins, reports) works on any object that satisfies `Model`, be it
an ODE, a DAE, a finite-element field or a plain Python function. What a model can do beyond the basic three methods
is a Protocol of its own, asked for with `isinstance`.

Conventions: float64 in SI; time in seconds from the start of the recipe; a state, and `observe` at t, are left limits;
`advance(t0, t1)` applies events and input jumps with t0 <= t < t1. `values` holds every model parameter and every open
setting of the recipe.
"""

import enum
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from physics_twin.arrays import Array
from physics_twin.parameters import ParameterSet
from physics_twin.recipes import Recipe
from physics_twin.signals import Signal
from physics_twin.units import Unit

SIValues = Mapping[str, Any]
"""Names to SI numbers (float, or (n,) for a vector): model parameters and open settings."""


class StateKind(enum.Enum):
    """What a block of the state is, and so what a filter may do with it."""

    DIFFERENTIAL = "differential"
    ALGEBRAIC = "algebraic"
    """A guess, solved again before it is used."""
    INTERNAL = "internal"
    """History at a point or a mode (plastic strain, conversion, on/off)."""
    ACCUMULATOR = "accumulator"
    """An integral or a running extreme; filters never update it."""
    RECIPE = "recipe"
    """Which phase is active, since when, and from which side its level is approached."""
    SOLVER = "solver"
    """What the solver goes on with (its next step): results depend on it within tolerance only."""


@dataclass(frozen=True)
class StateBlock:
    """A named part of the state vector."""

    name: str
    unit: Unit
    size: int = 1
    scale: float = 1.0
    """Typical magnitude, SI; solvers work with x/scale."""
    lower: float = -np.inf
    upper: float = np.inf
    kind: StateKind = StateKind.DIFFERENTIAL
    coordinates: Array | None = None
    """(size, dimension) m, for fields."""


@dataclass(frozen=True)
class Failure:
    """One simulation of an ensemble that did not finish."""

    member: int
    reason: str
    time: float
    """s"""


@runtime_checkable
class Model(Protocol):
    """What every model offers."""

    @property
    def name(self) -> str:
        """An identifier."""
        ...

    @property
    def version(self) -> str:
        """The version of the model's card."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of equations, constants and mesh; stable under reordering and comments."""
        ...

    @property
    def parameters(self) -> ParameterSet:
        """Parameters and initial values, with their defaults."""
        ...

    @property
    def inputs(self) -> tuple[Signal, ...]:
        """What a recipe gives over time."""
        ...

    @property
    def outputs(self) -> tuple[Signal, ...]:
        """What can be measured or limited."""
        ...

    @property
    def state(self) -> tuple[StateBlock, ...]:
        """The blocks of the state vector, in order."""
        ...

    @property
    def validity(self) -> Mapping[str, tuple[float, float]]:
        """Ranges of parameters, inputs and outputs in which the model may be trusted, SI."""
        ...

    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """State at t0 (n_state,), before any event."""
        ...

    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """State at t1 (n_state,) from the state at t0; raises SolveError."""
        ...

    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """Outputs at t, (n_outputs,) SI, left limits."""
        ...


@runtime_checkable
class Trajectories(Protocol):
    """One integrator run instead of a restart per sample."""

    def trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, state: Array | None = None
    ) -> tuple[Array, Array]:
        """Outputs (n_times, n_outputs) and the state at the last time (n_state,).

        times: (n_times,) s, ascending. Without `state` the run starts at 0 s; with it, `state` is the one at times[0].
        """
        ...


@runtime_checkable
class Sensitivities(Protocol):
    """Exact derivatives of the outputs."""

    @property
    def differentiable(self) -> frozenset[str]:
        """Names of parameters for which `sensitivity` is exact; settings of a recipe and "time" always are."""
        ...

    def sensitivity(
        self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Outputs (n_times, n_outputs), jacobian (n_times, n_outputs, n_wrt), end state.

        wrt: parameters, open settings of the recipe, and "time" for dy/dt.
        """
        ...


type Pull = Callable[[Array], Array]
"""weights (n_times, n_outputs) -> gradient (n_wrt,)."""


@runtime_checkable
class Adjoints(Protocol):
    """Exact gradients of sums over the outputs, at a price that does not grow with the number of parameters."""

    def pullback(self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str]) -> tuple[Array, Pull]:
        """Outputs (n_times, n_outputs) of one forward run, and a function that runs backward.

        The function takes weights (n_times, n_outputs), in 1/SI of the outputs, and returns the gradient (n_wrt,) of
        sum(weights * outputs) with respect to `wrt`: parameters and open settings of the recipe. It may be called many
        times; each call is a backward run. Raises ModelError for a name that has no derivative, SolveError where the
        forward or the backward run fails.
        """
        ...


@runtime_checkable
class Replays(Protocol):
    """Chooses its time steps by an error estimate, and can be held to those of one run."""

    def replaying(self, times: Array, recipe: Recipe, values: SIValues) -> Model:
        """The same model with the steps of this run: a smooth function of the values, as derivatives need it."""
        ...


class FieldSeries(Protocol):
    """Fields at the times of a run."""

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that were asked for."""
        ...

    def field(self, name: str, time: Any = None) -> Any:
        """A field at one of the times (bare seconds, "10 min"); the last one without."""
        ...

    def save(self, path: "str | os.PathLike[str]", names: Sequence[str] | None = None) -> None:
        """Write a file of fields: whole, or not at all."""
        ...


@runtime_checkable
class Fields(Protocol):
    """Has fields over a body and keeps them at the times of a run when asked."""

    @property
    def field_names(self) -> tuple[str, ...]:
        """The fields that can be asked for."""
        ...

    def field_trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, names: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Mapping[str, int], FieldSeries]:
        """Outputs (n_times, n_outputs), end state, counts and the fields; `times` and `state` as in `trajectory`."""
        ...


@runtime_checkable
class Ensembles(Protocol):
    """Many simulations at once."""

    def trajectories(
        self,
        times: Array,
        recipe: Recipe,
        values: Mapping[str, Array],
        states: Array | None = None,
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        """Outputs (n_members, n_times, n_outputs), end states (n_members, n_state), failures.

        times: (n_times,) or (n_members, n_times) s. values: name -> (n_members,). A member that fails is NaN and is
        listed in the failures.
        """
        ...


@runtime_checkable
class Located(Protocol):
    """Knows where in its body some of its outputs are measured."""

    @property
    def output_places(self) -> Mapping[str, Array]:
        """Output -> (dimension,) m, in the frame of its mesh; without those that are of no single point."""
        ...


@runtime_checkable
class Linearised(Protocol):
    """The step from one moment to the next with its exact derivatives, as extended Kalman filters need it."""

    def advance_linearised(
        self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues, wrt: Sequence[str]
    ) -> "Linearisation":
        """The state at t1 >= t0, the outputs there, and derivatives of both; wrt: parameters and open settings.

        Raises SolveError. Below a few hundred states.
        """
        ...


@dataclass(frozen=True, eq=False)
class Linearisation:
    """What `advance_linearised` returns; SI.

    state: (n_state,). outputs: (n_outputs,). state_by_state: (n_state, n_state), state_by_values: (n_state, n_wrt),
    outputs_by_state: (n_outputs, n_state), outputs_by_values: (n_outputs, n_wrt): all of the end with respect to the
    state at t0. Rows and columns of entries that are no differential state or accumulator are zero.
    """

    state: Array
    outputs: Array
    state_by_state: Array
    state_by_values: Array
    outputs_by_state: Array
    outputs_by_values: Array


@runtime_checkable
class HasEquations(Protocol):
    """Shows its equations as CasADi functions of (t, x, z, u, p, q) in SI, for methods that write them out in time."""

    @property
    def equations(self) -> Any:
        """A record as `physics_twin.process.equations.Equations`."""
        ...


@runtime_checkable
class Phased(Protocol):
    """Knows when the phases of a recipe begin and end, also where they end on a level."""

    def phase_times(self, recipe: Recipe, values: SIValues) -> Array:
        """(n_phases + 1,) s: the beginning of each phase and the end of the last."""
        ...


@runtime_checkable
class Counted(Protocol):
    """Tells what a run cost."""

    def counted_trajectory(
        self, times: Array, recipe: Recipe, values: SIValues
    ) -> tuple[Array, Array, Mapping[str, int]]:
        """Outputs, end state and counts by name (stretches, restarts, events, integrations)."""
        ...


def n_state(model: Model) -> int:
    """Length of the model's state vector."""
    return sum(block.size for block in model.state)
