"""`ProcessModel`: an ODE or DAE with its names, units and compiled equations; satisfies the Model protocol."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, RecipeError, ShapeError, SolveError, unknown_name
from physics_twin.model import Failure, Linearisation, SIValues, StateBlock, StateKind
from physics_twin.parameters import ParameterSet
from physics_twin.process import ensemble, extremes, linearised, steady
from physics_twin.process.compiled import Compiled, Counters
from physics_twin.process.equations import Equations
from physics_twin.process.hybrid import March
from physics_twin.process.stage import Situation, Stage
from physics_twin.process.sundials import Sundials
from physics_twin.recipes import Recipe, Steady
from physics_twin.schedules import Schedule, bind, length_of
from physics_twin.signals import Signal
from physics_twin.units import Unit


@dataclass(frozen=True)
class ProcessModel:
    """An immutable process model; build it with `ProcessBuilder`.

    Offers trajectories, exact sensitivities, ensembles and its equations. `integrator` sets the tolerances;
    `model.with_integrator(Sundials(rtol=1e-10))` returns a copy with others.
    """

    name: str
    version: str
    fingerprint: str
    parameters: ParameterSet
    inputs: tuple[Signal, ...]
    outputs: tuple[Signal, ...]
    state: tuple[StateBlock, ...]
    validity: Mapping[str, tuple[float, float]]
    equations: Equations
    integrator: Sundials = field(default_factory=Sundials)
    description: str = ""

    def with_integrator(self, integrator: Sundials) -> "ProcessModel":
        """A copy that integrates with other tolerances."""
        return replace(self, integrator=integrator)

    def __repr__(self) -> str:
        eq = self.equations
        n = len(eq.differential)
        parts = [f"{n} state{'s' if n != 1 else ''}"]
        if eq.algebraic:
            parts.append(f"{len(eq.algebraic)} algebraic")
        parts += [f"{len(self.parameters)} parameters", f"{len(self.inputs)} inputs", f"{len(self.outputs)} outputs"]
        return f"ProcessModel({self.name} {self.version}: {', '.join(parts)}; {self.fingerprint})"

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("compiled", "_schedules")}

    # -- the Model protocol -----------------------------------------------------------------------------------------
    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """State at t0 (n_state,), before any event; raises SolveError when no consistent start exists."""
        if t0 != 0.0:
            raise RecipeError(f"a run starts where its recipe starts, at 0 s, not at {t0:g} s; advance from there")
        schedule = self._schedule(recipe)
        march, at = self._start(schedule, values, ())
        march.stage.settle(at)
        return self._pack(at)

    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """State at t1 (n_state,) from the state at t0; raises SolveError."""
        if t1 < t0:
            raise RecipeError(f"advance goes forward in time: t0 = {t0:g} s, t1 = {t1:g} s")
        _, at, _ = self._march(np.array([t0, t1]), recipe, values, (), state, observing=False)
        return self._pack(at)

    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """Outputs (n_outputs,) at t, left limits."""
        record, _, _ = self._march(np.array([t]), recipe, values, (), state)
        return np.asarray(record.outputs[0], dtype=float)

    # -- capabilities -----------------------------------------------------------------------------------------------
    def trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, state: Array | None = None
    ) -> tuple[Array, Array]:
        """Outputs (n_times, n_outputs) and end state (n_state,)."""
        record, at, _ = self._march(times, recipe, values, (), state)
        return record.outputs, self._pack(at)

    @property
    def differentiable(self) -> frozenset[str]:
        """Every parameter and initial value."""
        return frozenset(self.parameters.names)

    def sensitivity(
        self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Outputs, exact jacobian (n_times, n_outputs, n_wrt) and end state; `state`, if given, is held fixed."""
        known = [*self.parameters.names, *recipe.settings, "time"]
        for name in wrt:
            if name not in known:
                raise unknown_name("parameter or setting", name, known)
        record, at, _ = self._march(times, recipe, values, tuple(wrt), state)
        return record.outputs, record.jacobian, self._pack(at)

    def trajectories(
        self, times: Array, recipe: Recipe, values: Mapping[str, Array], states: Array | None = None
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        """Outputs (n_members, n_times, n_outputs), end states (n_members, n_state), failures."""
        return ensemble.trajectories(self, times, recipe, values, states)

    def advance_linearised(
        self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues, wrt: Sequence[str]
    ) -> Linearisation:
        """The state at t1 and the outputs there, with their exact derivatives by the state at t0 and by `wrt`."""
        return linearised.advance_linearised(self, state, t0, t1, recipe, values, wrt)

    def phase_times(self, recipe: Recipe, values: SIValues) -> Array:
        """(n_phases + 1,) s: the beginning of each phase and the end of the last; raises SolveError.

        Phases that end by the clock cost nothing; those that end on a level are simulated.
        """
        schedule = self._schedule(recipe)
        if schedule.timed:
            lengths = [length_of(phase, values) for phase in schedule.phases]
            return np.concatenate([[0.0], np.cumsum(lengths)])
        held = self._schedule(recipe.replace(hold_end=True))
        bound = sum(length_of(phase, values) for phase in held.phases)
        run, at = self._start(held, values, ())
        record = run.outline(at, bound * (1.0 + 1e-6) + 1e-6)
        return np.array(record)

    def counted_trajectory(
        self, times: Array, recipe: Recipe, values: SIValues
    ) -> tuple[Array, Array, Mapping[str, int]]:
        """A trajectory with the counts of its integrator."""
        record, at, counters = self._march(times, recipe, values, (), None)
        counts = {name: value for name, value in vars(counters).items() if isinstance(value, int)}
        return record.outputs, self._pack(at), counts

    # -- inside -----------------------------------------------------------------------------------------------------
    @functools.cached_property
    def compiled(self) -> Compiled:
        """Integrators and Jacobians; built on first use in each process."""
        eq = self.equations
        blocks = {block.name: block for block in self.state}
        scale_x = np.array([blocks[name].scale for name in eq.differential])
        scale_z = np.array([blocks[name].scale for name in eq.algebraic])
        return Compiled(eq, self.integrator, scale_x, scale_z)

    @functools.cached_property
    def _sizes(self) -> dict[str, float]:
        """Typical changes, SI, of what its own value does not tell: initial values and points on a scale."""
        sizes = {f"initial.{block.name}": block.scale for block in self.state}
        offset = {name: 10.0 * p.unit.factor for name, p in self.parameters.items() if p.unit.offset != 0.0}
        return offset | {name: size for name, size in sizes.items() if name in self.parameters}

    @functools.cached_property
    def _schedules(self) -> dict[int, tuple[Recipe, Schedule]]:
        return {}

    def _schedule(self, recipe: Recipe) -> Schedule:
        """The recipe bound to this model, kept while the same recipe comes again."""
        found = self._schedules.get(id(recipe))
        if found is not None and found[0] is recipe:
            return found[1]
        eq = self.equations
        states: dict[str, tuple[Unit, float, float]] = {
            b.name: (b.unit, b.lower, b.upper) for b in self.state if b.name in eq.differential
        }
        schedule = bind(recipe, self.inputs, self.outputs, states)
        clash = set(schedule.settings) & set(self.parameters.names)
        if clash:
            raise ModelError(
                f'"{sorted(clash)[0]}" is a parameter of the model and a setting of the recipe; rename one'
            )
        if len(self._schedules) > 64:
            self._schedules.clear()
        self._schedules[id(recipe)] = (recipe, schedule)
        return schedule

    def _march(
        self,
        times: Array,
        recipe: Recipe,
        values: SIValues,
        wrt: tuple[str, ...],
        state: Array | None,
        *,
        observing: bool = True,
    ) -> tuple[Any, Situation, Counters]:
        times = np.asarray(times, dtype=float)
        if times.ndim != 1 or times.size == 0:
            raise ShapeError(f"times must be a list of seconds, (n_times,) with n_times >= 1; got shape {times.shape}")
        if not np.isfinite(times).all() or (np.diff(times) < 0.0).any():
            raise ShapeError("times must be finite and ascend")
        schedule = self._schedule(recipe)
        with self.compiled.lock:
            if state is None:
                if times[0] < 0.0:
                    raise ShapeError(f"the run starts at 0 s; {times[0]:g} s lies before it")
                run, at = self._start(schedule, values, wrt)
            else:
                run, at = self._resume(schedule, values, wrt, state, float(times[0]))
            run.observing = observing
            record, at = run.march(at, times)
        return record, at, run.stage.counters

    def _start(self, schedule: Schedule, values: SIValues, wrt: tuple[str, ...]) -> tuple[March, Situation]:
        eq, c = self.equations, self.compiled
        p = c.values_vector(values)
        s_p = c.chosen(wrt)
        if not isinstance(schedule.initial, Steady):
            for name, amount in schedule.initial.items():
                key = f"initial.{name}"
                if key not in eq.parameters:
                    raise RecipeError(f'the initial value of "{name}" follows from an equation of the model')
                k = eq.parameters.index(key)
                p[k], s_p[k] = amount.at(values), amount.slope([w if w != "time" else "" for w in wrt])
        x0, z0, d0 = (m[:, 0] for m in c.initial.at(p))
        s_start = np.zeros((c.n_x + c.n_d, len(wrt)))
        if wrt:
            s_start = c.initial_tangent.at(p)[0] @ s_p
        at = Situation(
            t=0.0,
            x=x0,
            z=z0,
            d=d0,
            w=np.zeros(c.n_w),
            armed=np.zeros(len(eq.events)),
            phase=-1,
            phase_start=0.0,
            side=0.0,
            s_x=s_start[: c.n_x],
            s_d=s_start[c.n_x :],
            s_w=np.zeros((c.n_w, len(wrt))),
            d_start=np.zeros(len(wrt)),
        )
        march = March(Stage(c, values, p, s_p, wrt, {**self._sizes, **schedule.sizes}), schedule)
        march.stage.enter(schedule.phases[0], 0.0, at.d_start)
        if not np.isfinite(x0).all():
            bad = eq.differential[int(np.flatnonzero(~np.isfinite(x0))[0])]
            raise SolveError(f'the initial value of "{bad}" is not a finite number', time=0.0)
        if isinstance(schedule.initial, Steady):
            steady.settle(self, march.stage, at)
        extremes.begin(march.stage, at)
        if eq.events:
            # An event whose condition holds from the start waits until it has been false.
            march.stage.settle(at)
            at.armed[march.stage.conditions(at)[1]] = 1.0
        return march, at

    def _resume(
        self,
        schedule: Schedule,
        values: SIValues,
        wrt: tuple[str, ...],
        state: Array,
        t: float,
        sizes_of: Mapping[str, float] | None = None,
    ) -> tuple[March, Situation]:
        """A run that goes on from a state; sizes_of: typical changes of directions that are no parameter, SI."""
        c = self.compiled
        state = np.asarray(state, dtype=float)
        sizes = [c.n_x, c.n_z, c.n_d, c.n_w, len(self.equations.events), 3]
        if state.shape != (sum(sizes),):
            raise ShapeError(f"a state of {self.name} has shape ({sum(sizes)},), got {state.shape}")
        x, z, d, w, armed, r = np.split(state.copy(), np.cumsum(sizes)[:-1])
        p = c.values_vector(values)
        s_p = c.chosen(wrt)
        m = len(wrt)
        at = Situation(
            t=t,
            x=x,
            z=z,
            d=d,
            w=w,
            armed=armed,
            phase=round(r[0]),
            phase_start=float(r[1]),
            side=float(r[2]),
            s_x=np.zeros((c.n_x, m)),
            s_d=np.zeros((c.n_d, m)),
            s_w=np.zeros((c.n_w, m)),
            d_start=np.zeros(m),
        )
        if t < at.phase_start - 1e-9 * max(abs(at.phase_start), 1e-3):
            raise ShapeError(
                f"the state is of {at.phase_start:g} s or later (its phase began then); times begin at {t:g} s"
            )
        if at.phase >= len(schedule.phases) and not schedule.hold_end:
            raise RecipeError(f"the state is in phase {at.phase + 1} of a recipe that has {len(schedule.phases)}")
        return March(Stage(c, values, p, s_p, wrt, {**self._sizes, **schedule.sizes, **(sizes_of or {})}), schedule), at

    def _pack(self, at: Situation) -> Array:
        return np.concatenate([at.x, at.z, at.d, at.w, at.armed, [float(at.phase), at.phase_start, at.side]])


def state_blocks(
    differential: Sequence[StateBlock],
    algebraic: Sequence[StateBlock],
    discrete: Sequence[StateBlock],
    extremes: Sequence[StateBlock],
    events: Sequence[str],
) -> tuple[StateBlock, ...]:
    """All blocks in the order of the state vector, with the recipe's at the end."""
    one, second = Unit("1"), Unit("s")
    recipe = (
        StateBlock("recipe.phase", one, kind=StateKind.RECIPE),
        StateBlock("recipe.phase_start", second, kind=StateKind.RECIPE),
        StateBlock("recipe.side", one, kind=StateKind.RECIPE),
    )
    armed = [StateBlock(f"event.{name}", one, kind=StateKind.RECIPE) for name in events]
    return (*differential, *algebraic, *discrete, *extremes, *armed, *recipe)
