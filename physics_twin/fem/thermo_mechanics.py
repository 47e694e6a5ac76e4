"""`ThermoMechanics`: a thermal model that drives a mechanical one; the pair is one Model.

The coupling goes one way: temperature strains the body, deformation does not heat it. The mechanical model is built
with `temperature=fem.Driven()`, on the same mesh or another one within the thermal body.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, RecipeError, ShapeError, SolveError, unknown_name
from physics_twin.fem.alone import alone
from physics_twin.fem.field_model import FieldModel
from physics_twin.fem.fields import FieldSeries
from physics_twin.fem.following import Followed, Link
from physics_twin.fem.march import March, Stand, Tape
from physics_twin.fem.plasticity import PlasticDescription
from physics_twin.fem.portable import Portable
from physics_twin.fem.tangents import Tangents
from physics_twin.model import SIValues, StateBlock
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.recipes import Recipe
from physics_twin.schedules import Schedule, bind
from physics_twin.signals import Signal


@dataclass(frozen=True, eq=False)
class ThermoMechanics:
    """A thermal and a mechanical field model as one; make it from the two.

    Parameters and inputs are those of both (one name is one quantity), outputs those of the thermal model followed by
    those of the mechanical one. Levels on which a phase ends are those of thermal outputs. An elastic body is solved at
    the samples, an elastic-plastic one at every accepted step of the thermal run.

    Raises ModelError where names clash, or the mechanical model is not driven.
    """

    thermal: FieldModel
    mechanical: FieldModel
    name: str = "thermo_mechanics"
    version: str = "1.0"
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.thermal.transient:
            raise ModelError(f'the thermal model "{self.thermal.name}" is steady; a run needs one with a memory')
        shared = {s.name for s in self.thermal.outputs} & {s.name for s in self.mechanical.outputs}
        if shared:
            raise ModelError(f'both models have an output "{sorted(shared)[0]}"; rename one')
        thermal, mechanical = _with_both(self.thermal, self.mechanical)
        object.__setattr__(self, "thermal", thermal)
        object.__setattr__(self, "mechanical", mechanical)
        _ = self._link

    @functools.cached_property
    def _link(self) -> Link:
        return Link(self.thermal, self.mechanical)

    def __getstate__(self) -> dict[str, Any]:
        return {key: self.__dict__[key] for key in ("thermal", "mechanical", "name", "version", "validity")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # -- what the model is ------------------------------------------------------------------------------------------
    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of both models."""
        parts = f"{self.name}\x1f{self.thermal.fingerprint}\x1f{self.mechanical.fingerprint}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    @property
    def parameters(self) -> ParameterSet:
        """Parameters of both and initial values."""
        return self.thermal.parameters

    @property
    def inputs(self) -> tuple[Signal, ...]:
        """What a recipe gives over time."""
        return self.thermal.inputs

    @functools.cached_property
    def outputs(self) -> tuple[Signal, ...]:
        """Thermal outputs, then mechanical ones."""
        return (*self.thermal.outputs, *self.mechanical.outputs)

    @functools.cached_property
    def state(self) -> tuple[StateBlock, ...]:
        """The thermal state, and where there is plasticity the mechanical one."""
        if not self._link.stepped:
            return self.thermal.state
        own = [b for b in self.mechanical.state if not b.name.startswith("recipe.")]
        names = {b.name for b in self.thermal.state}
        return (*self.thermal.state, *(replace(b, name=f"mechanical.{b.name}") if b.name in names else b for b in own))

    @property
    def differentiable(self) -> frozenset[str]:
        """Every parameter and initial value."""
        return frozenset(self.parameters.names)

    def __repr__(self) -> str:
        return f"ThermoMechanics({self.name} {self.version}: {self.thermal!r} drives {self.mechanical!r})"

    # -- the Model protocol -----------------------------------------------------------------------------------------
    @alone
    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """State at the start of the recipe (n_state,)."""
        if t0 != 0.0:
            raise RecipeError(f"a run starts where its recipe starts, at 0 s, not at {t0:g} s; advance from there")
        march, at = self._started(recipe, values, None, 0.0)
        return self._pack(march, at)

    @alone
    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """State at t1 (n_state,) from the state at t0; raises SolveError."""
        if t1 < t0:
            raise RecipeError(f"advance goes forward in time: t0 = {t0:g} s, t1 = {t1:g} s")
        march, at = self._started(recipe, values, state, t0)
        return self._pack(march, march.run(at, np.array([t0, t1]))[1])

    @alone
    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """Outputs (n_outputs,) at t, left limits."""
        march, at = self._started(recipe, values, state, t)
        return np.asarray(march.run(at, np.array([t]))[0][0])

    @alone
    def trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, state: Array | None = None
    ) -> tuple[Array, Array]:
        """Outputs (n_times, n_outputs) and end state (n_state,)."""
        march, outputs, at = self._run(times, recipe, values, state, None)
        return outputs, self._pack(march, at)

    @functools.cached_property
    def _mechanical_fields(self) -> dict[str, str]:
        """Name of a field -> its name in the mechanical model."""
        taken = self.thermal.field_names
        return {f"mechanical.{name}" if name in taken else name: name for name in self.mechanical.field_names}

    @property
    def field_names(self) -> tuple[str, ...]:
        """Fields of the thermal model, then those of the mechanical one."""
        return (*self.thermal.field_names, *self._mechanical_fields)

    @alone
    def field_trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, names: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Mapping[str, int], FieldSeries]:
        """Outputs, end state, counts of the thermal steps, and fields of both models."""
        times = self.thermal._checked(times)
        mine, link = self._mechanical_fields, self._link
        thermal = self.thermal._atlas.recorder([name for name in names if name not in mine], times.size)
        mechanical = self.mechanical._atlas.recorder([mine[name] for name in names if name in mine], times.size)

        def record(i: int, u: Array, z: Array, theta: Array) -> None:
            thermal(i, u, z, theta)
            mechanical(i, *link.observed, theta[link.order])

        march, outputs, at = self._run(times, recipe, values, state, None, record)
        found = dict(thermal.series(times, "").histories)
        shown = mechanical.series(times, "").histories
        found |= {name: replace(shown[mine[name]], name=name) for name in names if name in mine}
        series = FieldSeries(times, found, f"{self.name} {self.version} ({self.fingerprint})")
        counts = {"steps": march.counts.steps, "rejected_steps": march.counts.rejected}
        return outputs, self._pack(march, at), counts, series

    @alone
    def sensitivity(
        self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Outputs, exact jacobian (n_times, n_outputs, n_wrt) and end state; `state`, if given, is held fixed."""
        known = [*self.parameters.names, *recipe.settings, "time"]
        for name in wrt:
            if name not in known:
                raise unknown_name("parameter or setting", name, known)
        times = self.thermal._checked(times)
        tape = Tape(self.thermal._blank())
        march, outputs, at = self._run(times, recipe, values, state, tape)
        end = self._pack(march, at)
        schedule = self._schedule(recipe)
        again, _ = self._started(recipe, values, state, float(times[0]))
        slopes = self.thermal._parameter_slopes(schedule, wrt)
        tangents = Tangents(self, again, wrt, slopes)
        return outputs, tangents.replay(tape, times, state is not None), end

    @alone
    def phase_times(self, recipe: Recipe, values: SIValues) -> Array:
        """(n_phases + 1,) s: the beginning of each phase and the end of the last."""
        return self.thermal.phase_times(recipe, values)

    @alone
    def replaying(self, times: Array, recipe: Recipe, values: SIValues) -> "ThermoMechanics":
        """A copy that takes the thermal steps of this run."""
        return replace(self, thermal=self.thermal.replaying(times, recipe, values))

    def compile_all(self) -> None:
        """Compile everything both models need."""
        self.thermal.compile_all()
        self.mechanical.compile_all()

    # -- inside -----------------------------------------------------------------------------------------------------
    @property
    def discretized(self) -> Any:
        """Of the thermal model."""
        return self.thermal.discretized

    def _schedule(self, recipe: Recipe) -> Schedule:
        schedule = bind(recipe, self.inputs, self.outputs, self.thermal._initial_names)
        for phase in schedule.phases:
            if phase.until_level is not None and phase.until_output >= len(self.thermal.outputs):
                raise RecipeError(f'phase "{phase.name}" ends on a mechanical output; a thermal one is needed')
        return self.thermal._schedule(recipe)

    def _run(
        self,
        times: Array,
        recipe: Recipe,
        values: SIValues,
        state: Array | None,
        tape: Tape | None,
        record: Callable[[int, Array, Array, Array], None] | None = None,
    ) -> tuple[March, Array, Stand]:
        times = self.thermal._checked(times)
        if state is None and times[0] < 0.0:
            raise ShapeError(f"the run starts at 0 s; {times[0]:g} s lies before it")
        march, at = self._started(recipe, values, state, float(times[0]))
        march.record = record
        if tape is not None:
            tape.start = at.copy()
        outputs, at = march.run(at, times, tape)
        return march, outputs, at

    def _started(self, recipe: Recipe, values: SIValues, state: Array | None, t: float) -> tuple[March, Stand]:
        march = self.thermal._march(self._schedule(recipe), values)
        link = self._link
        link.begin()
        n = sum(b.size for b in self.thermal.state)
        if state is None:
            at = self.thermal._start(march, recipe)
            march.followed = link.initial(march.theta(at, 0.0, left=True))
            if link.stepped:
                march.began = self._loaded(march, at)
                march.followed = march.began.end.u, march.began.end.z
        else:
            state = np.asarray(state, dtype=float)
            expected = sum(b.size for b in self.state)
            if state.shape != (expected,):
                raise ShapeError(f"a state of {self.name} has shape ({expected},), got {state.shape}")
            at = self.thermal._resumed(state[:n], t)
            u, z = link.initial(march.theta(at, t, left=True))
            if link.stepped:
                rest = state[n:]
                u, z = rest[: u.size].copy(), np.ascontiguousarray(rest[u.size :].reshape(z.shape[1], z.shape[0]).T)
            march.followed = u, z
        march.link = link
        return march, at

    def _loaded(self, march: March, at: Stand) -> Followed:
        """The start of a body with a memory: initial temperature and loads come on in one step."""
        u, z = march.followed
        try:
            return Followed(u, z, self._link.solve(at.u, u, z, march.theta(at, 0.0, left=True)))
        except SolveError as failure:
            raise SolveError(failure.reason, time=0.0, values=march._named_values()) from failure

    def _pack(self, march: March, at: Stand) -> Array:
        packed = self.thermal._pack(at)
        if not self._link.stepped:
            return packed
        u, z = march.followed
        return np.concatenate([packed, u, z.T.reshape(-1)])


def _with_both(thermal: FieldModel, mechanical: FieldModel) -> tuple[FieldModel, FieldModel]:
    """The two models, each declaring the parameters and inputs of both."""
    mine: dict[str, Parameter] = dict(thermal.parameters.items())
    for _, p in mechanical.parameters.items():
        known = mine.setdefault(p.name, p)
        if known is not p and repr(known) != repr(p):
            raise ModelError(f'"{p.name}" is declared twice and differently: {known!r} and {p!r}')
    signals: dict[str, Signal] = {s.name: s for s in thermal.inputs}
    for s in mechanical.inputs:
        signals.setdefault(s.name, s)
    return _declaring(thermal, mine, signals), _declaring(mechanical, mine, signals)


def _declaring(model: FieldModel, parameters: Mapping[str, Parameter], inputs: Mapping[str, Signal]) -> FieldModel:
    missing = set(parameters) - set(model.parameters.names) or set(inputs) - {s.name for s in model.inputs}
    if not missing:
        return model
    if not isinstance(model.build, Portable):
        raise ModelError(f'the model "{model.name}" cannot take the parameters of the other one; declare them in both')
    more: dict[str, Any] = {"parameters": tuple(parameters.values()), "inputs": tuple(inputs.values())}
    description = model.build.description
    if isinstance(description, PlasticDescription):
        description = replace(description, elastic=replace(description.elastic, **more))
    else:
        description = replace(description, **more)
    build = Portable(model.build.function, description)
    return FieldModel(model.name, model.version, build, model.stepping, model.validity, model.description)
