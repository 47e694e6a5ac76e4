"""`FieldModel`: a discretized field with its names and units; satisfies the Model protocol."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, RecipeError, ShapeError, SolveError, unknown_name
from physics_twin.fem.alone import alone
from physics_twin.fem.domain import Domain
from physics_twin.fem.fields import Atlas, Derived, FieldSeries, Mark, Recorder
from physics_twin.fem.form_hash import form_hash
from physics_twin.fem.linear_solver import Direct, Iterative, LinearSolver
from physics_twin.fem.march import Counts, March, Stand, Tape
from physics_twin.fem.newton import StageSolver
from physics_twin.fem.observers import Observer, Observers
from physics_twin.fem.operators import Formulation, Operators
from physics_twin.fem.stepping import Adaptive, ErrorNorm, GivenSteps, Stepping
from physics_twin.fem.symbols import NodalValue
from physics_twin.model import SIValues, StateBlock, StateKind
from physics_twin.parameters import ParameterSet
from physics_twin.recipes import Recipe, Steady
from physics_twin.schedules import Schedule, bind, length_of
from physics_twin.signals import Signal
from physics_twin.units import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ONE, _SECOND, _JOULE = Unit("1"), Unit("s"), Unit("J")


@dataclass(frozen=True)
class Discretized:
    """What a description becomes in one process: forms, operators, outputs. It holds native objects, it stays there."""

    formulation: Formulation
    field_name: str
    field_unit: Unit
    initial: NodalValue | None
    """Of the field at the start; None where it is solved for (no storage)."""
    sensors: Mapping[str, tuple[Unit, Observer]]
    lumped: Array | None = None
    """(n,) weights of the error norm"""
    solver: "Direct | Iterative | None" = None
    near_nullspace: Any = None
    energy_unit: Unit = _JOULE
    balance: str = "energy"
    """What is stored: names the outputs of the balance"""
    derived: Mapping[str, Derived] = field(default_factory=dict)
    """Fields that follow from the solution"""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Where the sensors are, for pictures"""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Boundary -> what acts there, in words"""


@dataclass(frozen=True, eq=False)
class FieldModel:
    """A field model. Made by `HeatConduction`, `Elasticity` and their like, or from a residual of your own.

    It travels to other processes as its description and is discretized anew there.
    """

    name: str
    version: str
    build: Callable[[], Discretized]
    """Makes the discretization; picklable."""
    stepping: Stepping
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    description: str = ""

    @staticmethod
    def from_residual(**description: Any) -> "FieldModel":
        """A model from a weak form of your own; see `physics_twin.fem.own_residual.from_residual`."""
        from physics_twin.fem.own_residual import from_residual

        return from_residual(**description)

    # -- what the model is ------------------------------------------------------------------------------------------
    @functools.cached_property
    def discretized(self) -> Discretized:
        """Forms, operators and outputs of this process."""
        return self.build()

    @functools.cached_property
    def operators(self) -> Operators:
        """The discrete equations."""
        return Operators(self.discretized.formulation)

    @functools.cached_property
    def _stages(self) -> StageSolver:
        ops, d = self.operators, self.discretized
        solver = LinearSolver(
            ops.comm,
            ops.n_global,
            ops.symbols.domain.dimension,
            symmetric=d.formulation.symmetric,
            choice=d.solver,
            near_nullspace=d.near_nullspace,
            steady=d.formulation.storage is None,
            mesh=ops.symbols.domain.mesh,
        )
        return StageSolver(ops, solver)

    @functools.cached_property
    def observers(self) -> Observers:
        """The outputs of the sensors."""
        return Observers(self.operators, [o for _, o in self.discretized.sensors.values()])

    @property
    def transient(self) -> bool:
        """Whether the field has a memory (a storage term)."""
        return self.discretized.formulation.storage is not None

    @functools.cached_property
    def parameters(self) -> ParameterSet:
        """Parameters and initial values."""
        return ParameterSet(self.discretized.formulation.symbols.parameters)

    @functools.cached_property
    def inputs(self) -> tuple[Signal, ...]:
        """What a recipe gives over time."""
        return tuple(self.discretized.formulation.symbols.inputs)

    @functools.cached_property
    def outputs(self) -> tuple[Signal, ...]:
        """The sensors, and for transient models the energy balance."""
        d = self.discretized
        found = [Signal(name, unit) for name, (unit, _) in d.sensors.items()]
        if self.transient:
            for name, text in (
                (f"stored_{d.balance}", "gained since the start"),
                (f"supplied_{d.balance}", "supplied since the start, by sources and through the boundary"),
                (f"{d.balance}_imbalance", "stored minus supplied: zero to solver tolerance"),
            ):
                found.append(Signal(name, d.energy_unit, description=text))
        return tuple(found)

    @functools.cached_property
    def output_places(self) -> Mapping[str, Array]:
        """Where point sensors are, output -> (dimension,) m."""
        names, marks = {signal.name for signal in self.outputs}, self.discretized.marks
        return {k: p[0] for k, p in marks.items() if isinstance(p, np.ndarray) and len(p) == 1 and k in names}

    @functools.cached_property
    def state(self) -> tuple[StateBlock, ...]:
        """The field, local states, energies, the controller's step and the recipe's place."""
        d, ops = self.discretized, self.operators
        scale = float(d.field_unit.factor)
        blocks = [StateBlock(d.field_name, d.field_unit, ops.n, scale, coordinates=self._coordinates())]
        if ops.law is not None:
            for local in ops.law.states:
                blocks.append(
                    StateBlock(
                        local.name,
                        local.unit,
                        ops.law.n_points,
                        local.scale,
                        kind=StateKind.INTERNAL,
                        coordinates=ops.law.coordinates,
                    )
                )
        if self.transient:
            blocks += [
                StateBlock(f"{d.balance}.reference", d.energy_unit, kind=StateKind.ACCUMULATOR),
                StateBlock(f"{d.balance}.supplied", d.energy_unit, kind=StateKind.ACCUMULATOR),
                StateBlock("stepping.step", _SECOND, kind=StateKind.SOLVER),
            ]
        blocks += [
            StateBlock("recipe.phase", _ONE, kind=StateKind.RECIPE),
            StateBlock("recipe.phase_start", _SECOND, kind=StateKind.RECIPE),
            StateBlock("recipe.side", _ONE, kind=StateKind.RECIPE),
        ]
        return tuple(blocks)

    def _coordinates(self) -> Array:
        space = self.operators.space
        x = space.tabulate_dof_coordinates()[: self.operators.n // space.dofmap.index_map_bs]
        dimension = self.operators.symbols.domain.dimension
        return np.repeat(np.asarray(x[:, :dimension], dtype=float), space.dofmap.index_map_bs, axis=0)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of forms, constants, mesh and sensors."""
        d = self.discretized
        f = d.formulation
        parts = [self.name, f.symbols.domain.fingerprint, repr(self.stepping), *f.symbols.names]
        names = self._names_of_symbols
        parts += [form_hash(form, names) for form in (f.storage, f.residual) if form is not None]
        if f.local is not None:
            parts += [s.name for s in f.local.states] + [f.local.signature]
        for held in f.essential:
            bs = self.operators.space.dofmap.index_map_bs
            parts += [held.name, held.value.signature, _where(held.value.coordinates, held.dofs % bs, f.symbols.domain)]
        if d.initial is not None:
            parts.append(d.initial.signature)
        description = getattr(self.build, "description", None)
        said = dict(getattr(getattr(description, "elastic", description), "sensors", {}))
        for name, (unit, observer) in d.sensors.items():
            parts += [
                name,
                unit.text,
                type(observer).__name__,
                form_hash(observer.form, names) if hasattr(observer, "form") else "",
            ]
            parts.append(_said(said.get(name)))
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]

    @property
    def _names_of_symbols(self) -> dict[Any, str]:
        """What the forms' constants and coefficients are called."""
        f = self.discretized.formulation
        found: dict[Any, str] = dict(zip(f.symbols.constants, f.symbols.names, strict=True))
        found[f.field] = "the field"
        if f.local is not None:
            found[f.local.z] = "local states"
        found |= {driver.field: f"driver {k}" for k, driver in enumerate(f.drivers)}
        for d in f.symbols.distributions:
            found[d.field] = "distribution of " + " ".join(f.symbols.names[k] for k in d.entries)
        return found

    def __repr__(self) -> str:
        ops = self.operators
        what = f"{ops.n_global} unknowns"
        if ops.law is not None:
            what += f", {len(ops.law.states)} local states"
        return (
            f"FieldModel({self.name} {self.version}: {what}, {len(self.parameters)} parameters, {len(self.inputs)} "
            f"inputs, {len(self.outputs)} outputs; {self.fingerprint})"
        )

    def __getstate__(self) -> dict[str, Any]:
        kept = ("name", "version", "build", "stepping", "validity", "description")
        return {key: self.__dict__[key] for key in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def with_stepping(self, stepping: Stepping) -> "FieldModel":
        """A copy with other time steps."""
        model = FieldModel(self.name, self.version, self.build, stepping, self.validity, self.description)
        for kept in ("discretized", "operators", "observers", "_stages", "_pullback"):
            if kept in self.__dict__:
                model.__dict__[kept] = self.__dict__[kept]  # they do not know of time steps
        return model

    @alone
    def replaying(self, times: Array, recipe: Recipe, values: SIValues) -> "FieldModel":
        """A copy that takes the steps of this run, as parts of the stretches between breakpoints."""
        tape = Tape(self._blank())
        self._run(times, recipe, values, None, tape)
        stretches, on_level = [], []
        for s in tape.stretches:
            span = 1.0 if s.on_level else s.t1 - s.t0
            stretches.append(tuple(step.h / span for step in s.steps))
            on_level.append(s.on_level)
        scheme = self._march(self._schedule(recipe), values).scheme
        return self.with_stepping(GivenSteps(tuple(stretches), tuple(on_level), scheme))

    # -- the Model protocol -----------------------------------------------------------------------------------------
    @alone
    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """State at the start of the recipe (n_state,)."""
        if t0 != 0.0:
            raise RecipeError(f"a run starts where its recipe starts, at 0 s, not at {t0:g} s; advance from there")
        march = self._march(self._schedule(recipe), values)
        return self._pack(self._start(march, recipe))

    @alone
    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """State at t1 (n_state,) from the state at t0; raises SolveError."""
        if t1 < t0:
            raise RecipeError(f"advance goes forward in time: t0 = {t0:g} s, t1 = {t1:g} s")
        march = self._march(self._schedule(recipe), values)
        return self._pack(march.run(self._resumed(state, t0), np.array([t0, t1]))[1])

    @alone
    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """Outputs (n_outputs,) at t, left limits."""
        march = self._march(self._schedule(recipe), values)
        return np.asarray(march.run(self._resumed(state, t), np.array([t]))[0][0])

    @alone
    def trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, state: Array | None = None
    ) -> tuple[Array, Array]:
        """Outputs (n_times, n_outputs) and end state (n_state,)."""
        outputs, at, _ = self._run(times, recipe, values, state, None)
        return outputs, self._pack(at)

    @alone
    def counted_trajectory(
        self, times: Array, recipe: Recipe, values: SIValues
    ) -> tuple[Array, Array, Mapping[str, int]]:
        """A trajectory with the counts of steps, Newton iterations and linear solves."""
        outputs, at, found = self._counted(times, recipe, values, None, None)
        return outputs, self._pack(at), found

    @functools.cached_property
    def _atlas(self) -> Atlas:
        d = self.discretized
        return Atlas(self.operators, d.field_name, d.field_unit, d.derived)

    @property
    def field_names(self) -> tuple[str, ...]:
        """The solution, local states, and what is derived from them."""
        return self._atlas.names

    @alone
    def field_trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, names: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Mapping[str, int], FieldSeries]:
        """A counted trajectory that keeps fields at all of its times; ModelError where they would not fit."""
        times = self._checked(times)
        recorder = self._atlas.recorder(names, times.size)
        outputs, at, found = self._counted(times, recipe, values, state, recorder)
        label = f"{self.name} {self.version} ({self.fingerprint})"
        return outputs, self._pack(at), found, recorder.series(times, label)

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the mesh with its regions, boundaries (and what acts there) and sensors."""
        from physics_twin.fem.fields.mesh_plot import plot_mesh

        d = self.discretized
        mesh = d.formulation.symbols.domain.description
        return plot_mesh(mesh, ax, conditions=d.conditions, marks=d.marks, title=f"{self.name} {self.version}")

    def _counted(
        self, times: Array, recipe: Recipe, values: SIValues, state: Array | None, recorder: Recorder | None
    ) -> tuple[Array, Stand, Mapping[str, int]]:
        solver, stages = self._stages.solver, self._stages
        before = solver.n_iterations, solver.n_factors, stages.n_newton
        outputs, at, counts = self._run(times, recipe, values, state, None, recorder)
        found = {"steps": counts.steps, "rejected_steps": counts.rejected, "failed_steps": counts.failed}
        found["linear_iterations"] = solver.n_iterations - before[0]
        found["factorizations"] = solver.n_factors - before[1]
        found["newton_iterations"] = stages.n_newton - before[2]
        return outputs, at, found

    @property
    def differentiable(self) -> frozenset[str]:
        """Every parameter and initial value."""
        return frozenset(self.parameters.names)

    @alone
    def sensitivity(
        self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Outputs, exact jacobian (n_times, n_outputs, n_wrt) and end state; `state`, if given, is held fixed.

        All states of the run are kept; SolveError beyond a bound on their memory.
        """
        from physics_twin.fem.tangents import Tangents

        known = [*self.parameters.names, *recipe.settings, "time"]
        for name in wrt:
            if name not in known:
                raise unknown_name("parameter or setting", name, known)
        tape = Tape(self._blank())
        times = self._checked(times)
        outputs, at, _ = self._run(times, recipe, values, state, tape)
        schedule = self._schedule(recipe)
        march = self._march(schedule, values)
        tangents = Tangents(self, march, wrt, self._parameter_slopes(schedule, wrt))
        return outputs, tangents.replay(tape, times, state is not None), self._pack(at)

    @alone
    def pullback(
        self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str]
    ) -> tuple[Array, Callable[[Array], Array]]:
        """Outputs (n_times, n_outputs) and a function: weights (n_times, n_outputs) -> gradient (n_wrt,).

        The cost of a gradient does not depend on how many names there are. Settings that move the end of a phase have
        no adjoint (ModelError); `sensitivity` has them.
        """
        from physics_twin.fem.adjoint import Adjoint

        known = [*self.parameters.names, *recipe.settings]
        for name in wrt:
            if name not in known:
                raise unknown_name("parameter or setting", name, known)
        tape = Tape(self._blank())
        times = self._checked(times)
        outputs, _, _ = self._run(times, recipe, values, None, tape)
        schedule = self._schedule(recipe)
        march = self._march(schedule, values)
        slopes = self._parameter_slopes(schedule, wrt)
        return outputs, Adjoint(self, march, self._pullback, wrt, slopes, tape, times).gradient

    @functools.cached_property
    def _pullback(self) -> Any:
        from physics_twin.fem.pullback import Pullback

        return Pullback(self.operators)

    def _parameter_slopes(self, schedule: Schedule, wrt: Sequence[str]) -> Array:
        """(n_p, n_wrt) of the parameters: a column of the identity, or what the recipe binds an initial value to."""
        names = [p.name for p in self.operators.symbols.parameters]
        slopes = np.array([[1.0 if name == w else 0.0 for w in wrt] for name in names]).reshape(len(names), len(wrt))
        assert not isinstance(schedule.initial, Steady)
        for name, amount in schedule.initial.items():
            slopes[names.index(f"initial.{name}")] = amount.slope(wrt)
        return slopes

    @alone
    def phase_times(self, recipe: Recipe, values: SIValues) -> Array:
        """(n_phases + 1,) s: the beginning of each phase and the end of the last."""
        schedule = self._schedule(recipe)
        if schedule.timed:
            return np.concatenate([[0.0], np.cumsum([length_of(phase, values) for phase in schedule.phases])])
        longest = sum(length_of(phase, values) for phase in schedule.phases)
        tape = Tape(self._blank())
        held = self._schedule(recipe.replace(hold_end=True))
        march = self._march(held, values)
        march.run(self._start(march, recipe), np.array([longest]), tape)
        ends = {s.phase: s.t1 for s in tape.stretches if s.phase < len(schedule.phases)}
        found = [0.0]
        for k in range(len(schedule.phases)):
            found.append(ends.get(k, found[-1]))  # a phase of no length leaves nothing on the tape
        return np.array(found)

    @alone
    def compile_all(self) -> None:
        """Compile everything a run, its tangents and its adjoint need; what is compiled already costs nothing."""
        d, ops, observers = self.discretized, self.operators, self.observers
        symbols = d.formulation.symbols
        theta = np.concatenate([[p.value for p in symbols.parameters], np.zeros(symbols.n_s), [0.0]])
        u = np.zeros(ops.n) if d.initial is None else d.initial.at(theta)
        z = None if ops.law is None else ops.law.initial(theta)
        ops.begin(theta)
        observers.write(u, z, theta)
        direction = ops.direction(1.0, 1.0, u, theta, u, z, np.ones_like(theta))
        if ops.law is not None:
            ops.write(u)
            ops.given_direction(direction)
        observers.write(u, z, theta)
        observers.tangents(u, z, theta, np.ones(ops.n), z, np.ones_like(theta))
        observers.pulled(u, z, theta, np.ones(len(observers)))
        self._pullback.write_weight(np.ones(ops.n))
        self._pullback.by_theta(1.0, 1.0, np.ones(theta.size, dtype=bool), u, theta)

    # -- inside -----------------------------------------------------------------------------------------------------
    def _run(
        self,
        times: Array,
        recipe: Recipe,
        values: SIValues,
        state: Array | None,
        tape: Tape | None,
        recorder: Recorder | None = None,
    ) -> tuple[Array, Stand, Counts]:
        times = self._checked(times)
        march = self._march(self._schedule(recipe), values)
        march.record = recorder
        if state is None:
            if times[0] < 0.0:
                raise ShapeError(f"the run starts at 0 s; {times[0]:g} s lies before it")
            at = self._start(march, recipe)
        else:
            at = self._resumed(state, float(times[0]))
        if tape is not None:
            tape.start = at.copy()
        outputs, at = march.run(at, times, tape)
        return outputs, at, march.counts

    def _checked(self, times: Array) -> Array:
        times = np.asarray(times, dtype=float)
        if times.ndim != 1 or times.size == 0:
            raise ShapeError(f"times must be a list of seconds, (n_times,) with n_times >= 1; got shape {times.shape}")
        if not np.isfinite(times).all() or (np.diff(times) < 0.0).any():
            raise ShapeError("times must be finite and ascend")
        return times

    def _schedule(self, recipe: Recipe) -> Schedule:
        schedule = bind(recipe, self.inputs, self.outputs, self._initial_names)
        clash = set(schedule.settings) & set(self.parameters.names)
        if clash:
            raise ModelError(
                f'"{sorted(clash)[0]}" is a parameter of the model and a setting of the recipe; rename one'
            )
        if isinstance(schedule.initial, Steady):
            raise RecipeError("a field model has no steady start yet; give initial values")
        for phase in schedule.phases:
            if phase.events:
                raise RecipeError(f'phase "{phase.name}": a field model has no doses or set states')
        return schedule

    @functools.cached_property
    def _initial_names(self) -> dict[str, tuple[Unit, float, float]]:
        found = {}
        for name, parameter in self.parameters.items():
            if name.startswith("initial."):
                found[name.removeprefix("initial.")] = (parameter.unit, *parameter.bounds)
        return found

    def parameter_vector(self, schedule: Schedule, values: SIValues) -> Array:
        """Parameters in the order of the symbols; initial values that the recipe binds are the recipe's."""
        names = [p.name for p in self.operators.symbols.parameters]
        initial = schedule.initial
        assert not isinstance(initial, Steady)
        p = np.array([self._number(name, values) for name in names])
        for name, amount in initial.items():
            p[names.index(f"initial.{name}")] = amount.at(values)
        if not np.isfinite(p).all():
            bad = names[int(np.flatnonzero(~np.isfinite(p))[0])]
            known = {k: float(v) for k, v in values.items() if np.ndim(v) == 0}
            raise SolveError(f'the parameter "{bad}" is not a finite number', time=0.0, values=known)
        return p

    def _number(self, name: str, values: SIValues) -> float:
        try:
            return float(values[name])
        except KeyError:
            raise unknown_name("value", name, values) from None

    def _march(self, schedule: Schedule, values: SIValues) -> March:
        return March(
            self.operators,
            self._stages,
            self.observers,
            self.stepping,
            self._norm,
            schedule,
            self.parameter_vector(schedule, values),
            values,
        )

    @functools.cached_property
    def _norm(self) -> ErrorNorm | None:
        d = self.discretized
        if not isinstance(self.stepping, Adaptive) or not self.transient or d.lumped is None:
            return None
        law = self.operators.law
        scale = np.empty(0) if law is None else np.array([s.scale for s in law.states]) * self.stepping.local
        return ErrorNorm(d.lumped, self.stepping.absolute(d.field_unit), scale, self.operators.comm)

    def _blank(self) -> Stand:
        ops = self.operators
        shape = (0, 0) if ops.law is None else (ops.law.n_points, ops.law.n_z)
        return Stand(0.0, np.zeros(ops.n), np.zeros(shape), 0.0, 0.0, 0.0, -1, 0.0, 0.0)

    def _start(self, march: March, recipe: Recipe) -> Stand:
        at, ops, d = self._blank(), self.operators, self.discretized
        theta = march.theta(at, 0.0, left=False)
        ops.begin(theta)
        if d.initial is not None:
            at.u = d.initial.at(theta)
        if ops.law is not None:
            at.z = ops.law.initial(theta)
            ops.law.write(at.z)
        if not (np.isfinite(at.u).all() and np.isfinite(at.z).all()):
            raise SolveError("an initial value is not a finite number", time=0.0, values=march._named_values())
        if self.transient:
            at.reference = ops.sum(ops.value(1.0, 0.0, at.u, theta))
        else:
            self._stages.begin()
            inputs = march.inputs(at)
            theta = np.concatenate([march.p, inputs.at(0.0)[0], [0.0]])
            try:
                first = self._stages.solve(0.0, 1.0, np.zeros(ops.n), at.z, theta, at.u, at.z)
            except SolveError as failure:
                raise SolveError(failure.reason, time=0.0, values=march._named_values()) from failure
            at.u = first.u
            if ops.law is not None:
                at.z = first.z  # the loads of that moment come on in one step
        return at

    def _pack(self, at: Stand) -> Array:
        middle = [at.reference, at.supplied, at.step] if self.transient else []
        return np.concatenate([at.u, at.z.T.reshape(-1), middle, [float(at.phase), at.phase_start, at.side]])

    def _resumed(self, state: Array, t: float) -> Stand:
        ops = self.operators
        state = np.asarray(state, dtype=float)
        shape = (0, 0) if ops.law is None else (ops.law.n_points, ops.law.n_z)
        n_middle = 3 if self.transient else 0
        expected = ops.n + shape[0] * shape[1] + n_middle + 3
        if state.shape != (expected,):
            raise ShapeError(f"a state of {self.name} has shape ({expected},), got {state.shape}")
        u, z, middle, r = np.split(state.copy(), np.cumsum([ops.n, shape[0] * shape[1], n_middle]))
        if t < r[1] - 1e-9 * max(abs(r[1]), 1e-3):
            raise ShapeError(f"the state is of {r[1]:g} s or later (its phase began then); times begin at {t:g} s")
        local = np.ascontiguousarray(z.reshape(shape[1], shape[0]).T) if z.size else np.zeros(shape)
        reference, supplied, step = middle if self.transient else (0.0, 0.0, 0.0)
        return Stand(t, u, local, reference, supplied, step, round(r[0]), float(r[1]), float(r[2]))


def _where(coordinates: Array, components: Any, domain: Domain) -> str:
    """Of held places, the same for any number of ranks: their coordinates to nine digits, in one order."""
    size = float(np.ptp(domain.description.points, axis=0).max())
    rows = np.column_stack([np.round(np.asarray(coordinates) / size, 9) + 0.0, components])
    if domain.comm.size > 1:
        rows = np.concatenate(domain.comm.allgather(rows))
    ordered = rows[np.lexsort(rows.T)]
    return hashlib.sha256(np.ascontiguousarray(ordered).tobytes()).hexdigest()


def _said(sensor: Any) -> str:
    """What a person wrote of a sensor; a function is known by the form that it became."""
    if not dataclasses.is_dataclass(sensor):
        return ""
    values = {f.name: getattr(sensor, f.name) for f in dataclasses.fields(sensor)}
    return repr({name: "function" if callable(v) else repr(v) for name, v in values.items()})
