"""`FunctionModel`: a plain Python right-hand side as a Model, SciPy underneath."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, RecipeError, ShapeError, SolveError, UnknownNameError, unknown_name
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.model import SIValues, StateBlock, StateKind
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.process.fingerprint import model_hash
from physics_twin.recipes import Action, Recipe, Steady
from physics_twin.schedules import Schedule, bind, held_end, known_until, table_ended
from physics_twin.signals import Signal
from physics_twin.units import QuantityLike, Unit, to_si

_NONE = np.empty(0)


_MOST_CALLS = 100_000  # of the rate function between two restarts

Rate = Callable[[float, Mapping[str, float], Mapping[str, float], SIValues], Mapping[str, float]]
Observer = Callable[[float, Mapping[str, float], Mapping[str, float], SIValues], float]


def _blocks(states: Mapping[str, tuple[str, QuantityLike]]) -> tuple[StateBlock, ...]:
    blocks = []
    for name, (text, start) in states.items():
        unit = Unit(text)
        typical = abs(to_si(start, unit, name=f"initial.{name}")) or unit.factor
        blocks.append(StateBlock(name, unit, 1, typical))
    recipe = StateBlock("recipe.phase", Unit("1"), kind=StateKind.RECIPE)
    return (*blocks, recipe, StateBlock("recipe.phase_start", Unit("s"), kind=StateKind.RECIPE))


@dataclass(frozen=True, init=False)
class FunctionModel:
    """A model from Python functions of SI numbers.

    rate(t, state, inputs, values) -> dict of rates: t in s; `state`, `inputs` and `values` are dicts of SI floats; the
        result names every state, in its SI unit per second. Functions must depend on their arguments only.
    states: name -> (unit, initial quantity). parameters: a list of `Parameter`. inputs: name -> unit.
    outputs: name -> (unit, function(t, state, inputs, values) -> SI float), or name -> unit for a state of that name.
    version, and `fingerprint`: Python code is not hashed; give another version when the equations change.

    Units are not checked inside the functions: `ProcessBuilder` does that, and is faster. Phases must end by the clock.
    calibrate() takes differences for such a model and says so. Solved by SciPy's LSODA; rtol, atol in units of the
    state's scale.
    """

    name: str
    version: str
    rate: Rate
    validity: Mapping[str, tuple[float, float]]
    rtol: float
    atol: float
    parameters: ParameterSet
    """The parameters and the initial values."""
    inputs: tuple[Signal, ...]
    outputs: tuple[Signal, ...]
    state: tuple[StateBlock, ...]
    observers: tuple[Observer | str, ...]
    """For each output its function, or the name of its state."""

    def __init__(
        self,
        name: str,
        *,
        version: str,
        rate: Rate,
        states: Mapping[str, tuple[str, QuantityLike]],
        outputs: Mapping[str, "str | tuple[str, Observer]"],
        parameters: Sequence[Parameter] = (),
        inputs: Mapping[str, str] | None = None,
        validity: Mapping[str, tuple[float, float]] | None = None,
        rtol: float = 1e-8,
        atol: float = 1e-10,
    ) -> None:
        for word in (name, *states, *(inputs or {}), *outputs):
            if not word.isidentifier():
                raise ModelError(f'a name is an identifier such as "film_coefficient", not {word!r}')
        for word, given in outputs.items():
            if not isinstance(given, tuple) and word not in states:
                raise ModelError(f'output "{word}" is no state; give (unit, function)')
        for word, given in outputs.items():
            if not isinstance(given, tuple):
                to_si((1.0, given), Unit(states[word][0]).difference(), name=f'output "{word}"')
        names = [*states, *(inputs or {}), *(parameter.name for parameter in parameters)]
        twice = {word for word in names if names.count(word) > 1}
        if twice:
            raise ModelError(f'"{sorted(twice)[0]}" is declared twice')
        initial = [Parameter(f"initial.{word}", start, unit=unit) for word, (unit, start) in states.items()]
        shown = {word: given[0] if isinstance(given, tuple) else given for word, given in outputs.items()}
        for key, value in dict(
            name=name,
            version=version,
            rate=rate,
            validity=dict(validity or {}),
            rtol=rtol,
            atol=atol,
            parameters=ParameterSet([*parameters, *initial]),
            inputs=tuple(Signal(word, unit) for word, unit in (inputs or {}).items()),
            outputs=tuple(Signal(word, unit) for word, unit in shown.items()),
            state=_blocks(states),
            observers=tuple(given[1] if isinstance(given, tuple) else word for word, given in outputs.items()),
        ).items():
            object.__setattr__(self, key, value)

    # -- the Model protocol -----------------------------------------------------------------------------------------
    @property
    def fingerprint(self) -> str:
        """Of names, units and version; the code itself is not seen."""
        parts = {f"state:{s.name}": s.unit.text for s in self.state}
        parts |= {f"signal:{s.name}": s.unit.text for s in (*self.inputs, *self.outputs)}
        return model_hash({"name": self.name, "version": self.version, **parts})

    @property
    def _states(self) -> tuple[StateBlock, ...]:
        return self.state[:-2]

    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """State at the start of the recipe."""
        if t0 != 0.0:
            raise RecipeError(f"a run starts where its recipe starts, at 0 s, not at {t0:g} s; advance from there")
        schedule = self._schedule(recipe)
        if isinstance(schedule.initial, Steady):
            raise RecipeError("a FunctionModel has no steady start; give initial values")
        bound = schedule.initial
        names = [block.name for block in self._states]
        x = [bound[name].at(values) if name in bound else float(values[f"initial.{name}"]) for name in names]
        return np.array([*x, -1.0, 0.0])

    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """State at t1; raises SolveError."""
        return self._march(np.array([t0, t1]), recipe, values, state)[1]

    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """Outputs (n_outputs,) at t, left limits."""
        return np.asarray(self._march(np.array([t]), recipe, values, state)[0][0], dtype=float)

    def trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, state: Array | None = None
    ) -> tuple[Array, Array]:
        """Outputs (n_times, n_outputs) and end state."""
        return self._march(times, recipe, values, state)

    # -- inside -----------------------------------------------------------------------------------------------------
    def _schedule(self, recipe: Recipe) -> Schedule:
        units = {block.name: (block.unit, block.lower, block.upper) for block in self._states}
        schedule = bind(recipe, self.inputs, self.outputs, units)
        if not schedule.timed:
            raise RecipeError("the phases of a FunctionModel's recipe end by the clock; use ProcessBuilder for levels")
        return schedule

    def _march(self, times: Array, recipe: Recipe, values: SIValues, state: Array | None) -> tuple[Array, Array]:
        times = np.asarray(times, dtype=float)
        if times.ndim != 1 or times.size == 0 or not np.isfinite(times).all() or (np.diff(times) < 0.0).any():
            raise ShapeError("times must be a list of finite seconds that ascend")
        schedule = self._schedule(recipe)
        for name in self.parameters:
            if not np.isfinite(values[name]):
                known = {k: float(v) for k, v in values.items() if np.ndim(v) == 0}
                raise SolveError(f'the parameter "{name}" is not a finite number', time=float(times[0]), values=known)
        run = _Run(self, schedule, values)
        if state is None:
            if times[0] < 0.0:
                raise ShapeError(f"the run starts at 0 s; {times[0]:g} s lies before it")
            state = self.initial_state(0.0, recipe, values)
            start = 0.0
        else:
            start = float(times[0])
        return run.march(np.asarray(state, dtype=float), start, times)


class _Run:
    """One simulation; used once."""

    def __init__(self, model: FunctionModel, schedule: Schedule, values: SIValues) -> None:
        self.model, self.schedule, self.values = model, schedule, values
        self.names = [block.name for block in model._states]
        self.input_names = [signal.name for signal in model.inputs]
        self.scale = np.array([block.scale for block in model._states])
        self.rows: list[Array] = []

    def march(self, state: Array, t: float, times: Array) -> tuple[Array, Array]:
        x, number, begin = state[:-2].copy(), round(state[-2]), float(state[-1])
        self._held_up_to(number, t)
        i = 0
        while i < times.size and times[i] <= t:
            self._record(t, x, self._inputs(max(number, 0), begin))
            i += 1
        done = t  # events before this moment have acted
        while i < times.size:
            if number < 0:
                number, begin, done = 0, t, -np.inf
            self._held_up_to(number, t)
            duration = self.schedule.phases[number].duration
            assert duration is not None
            end = begin + duration.at(self.values)
            if times[-1] - end <= 1e-9 * max(abs(end), 1e-3) and number == len(self.schedule.phases) - 1:
                end = max(end, float(times[-1]))
            inputs = self._inputs(number, begin)
            phase = self.schedule.phases[number]
            if t - begin >= (known := known_until(phase, end - begin)):
                raise table_ended(phase, known)
            moments = [begin + e.when.at(self.values) for e in phase.events]
            if end <= t:
                number, begin, done = number + 1, t, -np.inf
                continue
            for event, moment in zip(phase.events, moments, strict=True):
                if moment == t and done != t:
                    k = self.names.index(event.state)
                    amount = event.amount.at(self.values)
                    x[k] = {Action.SET: amount, Action.ADD: x[k] + amount, Action.REMOVE: x[k] - amount}[event.action]
            done = t
            stop = min(
                [
                    end,
                    begin + known,
                    float(times[-1]),
                    *(m for m in moments if m > t),
                    *inputs.corners(t, float(times[-1])),
                ]
            )
            last = int(np.searchsorted(times, stop, side="right"))
            x = self._integrate(x, t, stop, times[i:last], inputs)
            t, i = stop, last
        return np.array(self.rows), np.array([*x, float(number), begin])

    def _held_up_to(self, number: int, t: float) -> None:
        """After the last phase its inputs are held at what they came to."""
        while number >= len(self.schedule.phases):
            if not self.schedule.hold_end:
                raise RecipeError(f"the recipe ends at {t:g} s and was asked for later times")
            phases = (*self.schedule.phases, held_end(self.schedule))
            self.schedule = replace(self.schedule, phases=phases)

    def _inputs(self, number: int, begin: float) -> PhaseInputs:
        phase = self.schedule.phases[number]
        return PhaseInputs(lines_of(phase, self.values, ()), begin, _NONE)

    def _named(self, t: float, x: Array, inputs: PhaseInputs, left: bool) -> tuple[Any, ...]:
        u = inputs.at(t, left=left)[0]
        state = dict(zip(self.names, x.tolist(), strict=True))
        return t, state, dict(zip(self.input_names, u.tolist(), strict=True)), self.values

    def _record(self, t: float, x: Array, inputs: PhaseInputs) -> None:
        arguments = self._named(t, x, inputs, True)
        row = []
        for observer in self.model.observers:
            row.append(arguments[1][observer] if isinstance(observer, str) else float(observer(*arguments)))
        if not np.isfinite(row).all():
            raise SolveError("an output is not a finite number", time=t, values=self._scalars(), state=arguments[1])
        self.rows.append(np.array(row))

    def _scalars(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.values.items() if np.ndim(value) == 0}

    def _integrate(self, x: Array, t: float, stop: float, samples: Array, inputs: PhaseInputs) -> Array:
        from scipy.integrate import solve_ivp

        # Inputs are looked up within the stretch, so that the right-hand side is smooth up to its ends.
        middle = 0.5 * (t + stop)
        value, slope = inputs.at(middle)

        calls = 0

        def rate(s: float, scaled: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > _MOST_CALLS or not np.isfinite(scaled).all():
                reason = "the solution grows without bound, or is too fast for its tolerance"
                raise SolveError(reason, time=s, values=self._scalars())
            state = dict(zip(self.names, (scaled * self.scale).tolist(), strict=True))
            u = value + slope * (s - middle)
            got = self.model.rate(s, state, dict(zip(self.input_names, u.tolist(), strict=True)), self.values)
            try:
                rates = np.array([got[name] for name in self.names], dtype=float) / self.scale
            except KeyError as error:
                raise self._missing(error.args[0], got) from None
            if not np.isfinite(rates).all():  # LSODA would go on for ever
                raise SolveError("a rate is not a finite number", time=s, values=self._scalars(), state=state)
            return rates

        failed = None
        try:
            result = solve_ivp(
                rate,
                (t, stop),
                x / self.scale,
                method="LSODA",
                t_eval=np.unique(np.append(samples, stop)),
                rtol=self.model.rtol,
                atol=self.model.atol,
            )
        except (ArithmeticError, ValueError) as error:
            failed = SolveError(f"the rate function failed: {error}", time=t, values=self._scalars())
        if failed is not None:
            raise failed
        # LSODA reports success with numbers that are not finite.
        if not result.success or not np.isfinite(result.y).all():
            reached = float(result.t[-1]) if result.t.size else t
            raise SolveError(
                "the integrator gave up (LSODA): " + str(result.message), time=reached, values=self._scalars()
            )
        for sample in samples:
            column = int(np.searchsorted(result.t, sample))
            self._record(float(sample), result.y[:, column] * self.scale, inputs)
        return np.asarray(result.y[:, -1] * self.scale, dtype=float)

    def _missing(self, name: str, got: Mapping[str, float]) -> UnknownNameError:
        return unknown_name("rate of state", name, list(got))
