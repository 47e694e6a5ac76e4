"""`MomentaryModel`: outputs that are a function of parameters and inputs at each moment, without a memory.

Natural frequencies and harmonic response are such models. A recipe gives the inputs over time as for every model; what
a moment's outputs are does not depend on what was before.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, ShapeError, SolveError, unknown_name
from physics_twin.fem.symbols import Symbols
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.model import SIValues, StateBlock, StateKind
from physics_twin.parameters import ParameterSet
from physics_twin.recipes import Recipe
from physics_twin.schedules import BoundPhase, Schedule, bind, known_until, length_of, table_ended
from physics_twin.signals import Signal
from physics_twin.units import Unit


class Momentary(Protocol):
    """What a description becomes in one process. theta: parameters, inputs, time, in the order of the symbols."""

    @property
    def symbols(self) -> Symbols:
        """Parameters, inputs and time."""
        ...

    @property
    def outputs(self) -> Sequence[Signal]:
        """What is computed."""
        ...

    @property
    def signature(self) -> str:
        """Of the forms and the mesh, for the fingerprint."""
        ...

    def values(self, theta: Array) -> Array:
        """(n_outputs,); raises SolveError."""
        ...


class Differentiable(Momentary, Protocol):
    """One that knows its derivatives."""

    def slopes(self, theta: Array, directions: Array) -> Array:
        """(n_outputs, m) derivatives along directions (n_theta, m)."""
        ...


@dataclass(frozen=True, eq=False)
class MomentaryModel:
    """A model without a memory. It travels to other processes as its description."""

    name: str
    version: str
    build: Callable[[], Any]
    """Makes a `Momentary`; picklable."""
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @functools.cached_property
    def momentary(self) -> Any:
        """What computes the outputs in this process."""
        return self.build()

    @functools.cached_property
    def parameters(self) -> ParameterSet:
        """Parameters with their defaults."""
        return ParameterSet(self.momentary.symbols.parameters)

    @functools.cached_property
    def inputs(self) -> tuple[Signal, ...]:
        """What a recipe gives over time."""
        return tuple(self.momentary.symbols.inputs)

    @functools.cached_property
    def outputs(self) -> tuple[Signal, ...]:
        """What is computed."""
        return tuple(self.momentary.outputs)

    @property
    def state(self) -> tuple[StateBlock, ...]:
        """The recipe's place only."""
        return (
            StateBlock("recipe.phase", Unit("1"), kind=StateKind.RECIPE),
            StateBlock("recipe.phase_start", Unit("s"), kind=StateKind.RECIPE),
        )

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of forms, constants, mesh and outputs."""
        parts = [self.name, self.momentary.signature, *self.momentary.symbols.names, *(s.name for s in self.outputs)]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name} {self.version}: {len(self.parameters)} parameters, "
            f"{len(self.inputs)} inputs, {len(self.outputs)} outputs; {self.fingerprint})"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {key: self.__dict__[key] for key in ("name", "version", "build", "validity")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # -- the Model protocol -----------------------------------------------------------------------------------------
    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """State at the start of the recipe."""
        if t0 != 0.0:
            raise RecipeError(f"a run starts where its recipe starts, at 0 s, not at {t0:g} s; advance from there")
        self._schedule(recipe)
        return np.array([-1.0, 0.0])

    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """State at t1; what the model cannot compute there is an error there, as for every other model."""
        if t1 < t0:
            raise RecipeError(f"advance goes forward in time: t0 = {t0:g} s, t1 = {t1:g} s")
        return self._run(np.array([t1]), recipe, values, ())[2] if t1 > t0 else np.array(self._checked(state))

    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """Outputs (n_outputs,) at t, left limits."""
        self._checked(state)
        return np.asarray(self._run(np.array([t]), recipe, values, ())[0][0])

    def trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, state: Array | None = None
    ) -> tuple[Array, Array]:
        """Outputs (n_times, n_outputs) and end state."""
        if state is not None:
            self._checked(state)
        outputs, _, at = self._run(times, recipe, values, ())
        return outputs, at

    # -- inside -----------------------------------------------------------------------------------------------------
    def _checked(self, state: Array) -> Array:
        state = np.asarray(state, dtype=float)
        if state.shape != (2,):
            raise ShapeError(f"a state of {self.name} has shape (2,), got {state.shape}")
        return state

    def _schedule(self, recipe: Recipe) -> Schedule:
        schedule = bind(recipe, self.inputs, self.outputs, {})
        if not schedule.timed:
            raise RecipeError(f"the phases of a recipe of {self.name} end by the clock: it has no memory")
        return schedule

    def _run(self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str]) -> tuple[Array, Array, Array]:
        times = np.asarray(times, dtype=float)
        if times.ndim != 1 or times.size == 0 or not np.isfinite(times).all() or (np.diff(times) < 0.0).any():
            raise ShapeError("times must be a list of finite seconds that ascend")
        if times[0] < 0.0:
            raise ShapeError(f"the run starts at 0 s; {times[0]:g} s lies before it")
        schedule, symbols = self._schedule(recipe), self.momentary.symbols
        p = np.array([self._number(q.name, values) for q in symbols.parameters])
        named = {q.name: float(v) for q, v in zip(symbols.parameters, p, strict=True)}
        d_p = np.array([[float(name == q.name) for name in wrt] for q in symbols.parameters]).reshape(p.size, len(wrt))
        outputs = np.empty((times.size, len(self.outputs)))
        jacobian = np.zeros((times.size, len(self.outputs), len(wrt)))
        at = np.array([-1.0, 0.0])
        for i, t in enumerate(times.tolist()):
            number, phase, start, d_start = self._phase(schedule, t, values, wrt)
            at = np.array([float(number), start]) if t > 0.0 else at
            inputs = PhaseInputs(lines_of(phase, values, wrt), start, d_start)
            u, rate = inputs.at(t, left=True) if symbols.n_s else (np.empty(0), np.empty(0))
            theta = np.concatenate([p, u, [t]])
            try:
                if not np.isfinite(theta).all():
                    raise SolveError("a parameter or an input is not a finite number", time=t)
                outputs[i] = self.momentary.values(theta)
                if wrt:
                    d_u = inputs.tangent(t, left=True) if symbols.n_s else np.empty((0, len(wrt)))
                    directions = np.vstack([d_p, d_u, np.zeros((1, len(wrt)))])
                    if "time" in wrt:
                        directions[:, list(wrt).index("time")] = np.concatenate([np.zeros(p.size), rate, [1.0]])
                    jacobian[i] = self.momentary.slopes(theta, directions)
            except SolveError as failure:
                raise SolveError(failure.reason, time=t, values=named) from failure
        if not (np.isfinite(outputs).all() and np.isfinite(jacobian).all()):
            raise SolveError("an output is not a finite number", time=float(times[-1]), values=named)
        return outputs, jacobian, at

    def _number(self, name: str, values: SIValues) -> float:
        try:
            return float(values[name])
        except KeyError:
            raise unknown_name("value", name, values) from None

    def _phase(
        self, schedule: Schedule, t: float, values: SIValues, wrt: Sequence[str]
    ) -> tuple[int, BoundPhase, float, Array]:
        """The phase that holds t (the earlier one at its end): its number, itself, when it began and how that moves."""
        start, d_start = 0.0, np.zeros(len(wrt))
        last = len(schedule.phases) - 1
        for number, phase in enumerate(schedule.phases):
            length = length_of(phase, values)
            rounding = 1e-9 * max(abs(start + length), 1e-3) if number == last else 0.0
            if t <= start + length + rounding:
                if t - start > (known := known_until(phase, length)):
                    raise table_ended(phase, known)
                return number, phase, start, d_start
            if number < last:
                assert phase.duration is not None
                start, d_start = start + length, d_start + phase.duration.slope(wrt)
        if not schedule.hold_end:
            raise RecipeError(f"the recipe ends before {t:g} s and was asked for later times")
        return last + 1, schedule.phases[last], start, d_start


class DifferentiableModel(MomentaryModel):
    """A model without a memory that knows its derivatives."""

    @property
    def differentiable(self) -> frozenset[str]:
        """Every parameter."""
        return frozenset(self.parameters.names)

    def sensitivity(
        self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Outputs, exact jacobian (n_times, n_outputs, n_wrt) and end state."""
        known = [*self.parameters.names, *recipe.settings, "time"]
        for name in wrt:
            if name not in known:
                raise unknown_name("parameter or setting", name, known)
        return self._run(times, recipe, values, tuple(wrt))
