"""`check_model`: does a model keep the contract that everything above it relies on?

Ten clauses, each a function below that raises ModelError with the clause's name when it is broken:
    declarations    names, units, bounds, scales and sizes make sense, and the fingerprint stays the same
    same bits       results depend on the arguments only: A, B, A gives the same bits
    halves          advance(t0, t2) agrees with advance(t0, t1), advance(t1, t2), also split exactly where a phase ends
    trajectory      one run agrees with steps and observations, and goes on from any of its states
    derivatives     declared sensitivities pass Taylor tests of order 2, for parameters, settings and time
    linearised      the derivatives of a step are those of its differences, and of `sensitivity`
    ensemble        the members of an ensemble are single runs, also those that go on from states
    after failure   a run that failed leaves no trace
    failure         absurd values raise SolveError with reason, time and values; nothing that is not finite is returned
    travel          the model gives the same bits in a spawned process
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pickle import PicklingError

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ModelError, RecipeError, SolveError, check_name
from physics_twin.model import (
    Ensembles,
    Linearised,
    Model,
    Sensitivities,
    SIValues,
    StateBlock,
    StateKind,
    Trajectories,
    n_state,
)
from physics_twin.recipes import Recipe
from physics_twin.simulation import complete_values, phase_times, trajectory
from physics_twin.units import QuantityLike
from physics_twin.verification.derivatives import output_sizes, taylor_test
from physics_twin.verification.step_derivatives import wrong_step_derivatives

# Sample times as fractions of the run, at no ratio at which a recipe's corners are likely to lie.
_FRACTIONS = np.array([0.0, 0.0371, 0.1234, 0.2917, 0.4553, 0.6181, 0.8347, 0.9813])
_PROVOKED = 8  # parameters that are made absurd; each costs a run that may use all of the integrator's steps
_ABSURD = (-1e3, 1e9)


@dataclass(frozen=True)
class Clause:
    """One clause that holds: its name, what was compared, seconds it took."""

    name: str
    found: str
    seconds: float


@dataclass(frozen=True)
class ContractReport:
    """A model that keeps the contract; `check_model` raises for one that does not."""

    model: str
    fingerprint: str
    clauses: tuple[Clause, ...]

    @property
    def passed(self) -> bool:
        """True: a report exists only for a model that passed."""
        return True

    def __str__(self) -> str:
        width = max(len(clause.name) for clause in self.clauses)
        lines = [f"{self.model} ({self.fingerprint}) keeps the contract of a model"]
        lines += [f"  {clause.name:{width}}  {clause.found} ({clause.seconds:.2f} s)" for clause in self.clauses]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Trial:
    """What every clause works on."""

    model: Model
    recipe: Recipe
    values: SIValues
    times: Array
    """(n_times,) s, from 0, none of them an end of a phase."""
    ends: Array
    """Ends of phases inside the times, s."""
    wrt: tuple[str, ...]
    accuracy: float
    executor: Executor | None
    output_scale: Array = field(default_factory=lambda: np.ones(0))
    """(n_outputs,) largest magnitude over the run."""


def check_model(
    model: Model,
    *,
    recipe: Recipe | None = None,
    times: Array | None = None,
    values: "Mapping[str, QuantityLike] | None" = None,
    wrt: Sequence[str] | None = None,
    accuracy: float = 1e-6,
    executor: Executor | None = None,
) -> ContractReport:
    """Hold a model to the contract of the library; raise ModelError that names the clause which is broken.

    recipe: a run that uses what the model can do (inputs that jump, doses); may be left out for a model without
    inputs. times: (n_times,) s, ascending from 0; by default eight times over the recipe's duration. No end of a phase
    may be among them. values: as in `simulate`. wrt: names to differentiate by; by default all that the model declares
    differentiable, the settings and "time". accuracy: relative agreement that the model's tolerances promise, of its
    outputs and derivatives. executor: where the copy is sent; by default a spawned process, which imports the main
    module again: a script needs its `if __name__ == "__main__":`.

    Raises RecipeError when no times can be derived, and what a run of the model at these values itself raises.
    """
    trial = _prepared(model, recipe, times, values, wrt, accuracy, executor)
    clauses = []
    for name, clause in _CLAUSES.items():
        begin = time.perf_counter()
        found = clause(trial)
        clauses.append(Clause(name, found, time.perf_counter() - begin))
    return ContractReport(model.name, model.fingerprint, tuple(clauses))


def _prepared(
    model: Model,
    recipe: Recipe | None,
    times: Array | None,
    values: "Mapping[str, QuantityLike] | None",
    wrt: Sequence[str] | None,
    accuracy: float,
    executor: Executor | None,
) -> _Trial:
    if recipe is None:
        if model.inputs:
            raise RecipeError(f"{model.name} has inputs: check_model needs a recipe= that gives them")
        recipe = Recipe.constant()
    full = dict(complete_values(model, recipe, values))
    ends = phase_times(model, recipe, full)
    if times is None:
        if not math.isfinite(ends[-1]):
            raise RecipeError("this recipe never ends: give check_model times= in s, or a recipe with a duration")
        times = _FRACTIONS * float(ends[-1])
    times = np.asarray(times, dtype=float)
    inner = ends[(ends > 0.0) & (ends < times[-1])]
    if wrt is None:
        known = sorted(model.differentiable) if isinstance(model, Sensitivities) else []
        wrt = [*known, *recipe.settings, "time"] if isinstance(model, Sensitivities) else []
    outputs, _ = trajectory(model, times, recipe, full)
    scale = output_sizes(model, outputs)
    return _Trial(model, recipe, full, times, inner, tuple(wrt), accuracy, executor, np.where(scale > 0.0, scale, 1.0))


def _broken(clause: str, trial: _Trial, text: str) -> ModelError:
    return ModelError(f'{trial.model.name} breaks the clause "{clause}" of the contract: {text}')


# -- clauses ----------------------------------------------------------------------------------------------------------


def _declarations(trial: _Trial) -> str:
    model, where = trial.model, "declarations"

    def demand(holds: bool, text: str) -> None:
        if not holds:
            raise _broken(where, trial, text)

    for what in ("name", "version", "fingerprint"):
        demand(isinstance(getattr(model, what), str) and getattr(model, what) != "", f"its {what} is empty")
    demand(model.fingerprint == model.fingerprint, "its fingerprint changes from one reading to the next")
    demand(len(model.outputs) > 0, "it has no output")
    for what, signals in (("input", model.inputs), ("output", model.outputs)):
        names = [signal.name for signal in signals]
        demand(len(set(names)) == len(names), f"two {what}s have one name: {', '.join(names)}")
        for name in names:
            check_name(what, name, library_forms=True)
    shared = sorted({signal.name for signal in model.inputs} & set(model.parameters.names))
    demand(not shared, f'"{"".join(shared[:1])}" is a parameter and an input')
    for name, parameter in model.parameters.items():
        low, high = parameter.bounds
        demand(name == parameter.name, f'the parameter "{parameter.name}" is filed under "{name}"')
        demand(math.isfinite(parameter.value), f'the parameter "{name}" is not a finite number')
        demand(low <= parameter.value <= high, f'the parameter "{name}" lies outside its bounds')
    _check_blocks(model.state, demand)
    state = model.initial_state(0.0, trial.recipe, trial.values)
    demand(
        state.shape == (n_state(model),),
        f"the sizes of its state blocks add up to {n_state(model)}, its initial state has shape {state.shape}",
    )
    demand(bool(np.isfinite(state).all()), "its initial state has an entry that is not finite")
    observed = model.observe(state, 0.0, trial.recipe, trial.values)
    demand(
        observed.shape == (len(model.outputs),), f"observe gives shape {observed.shape}, {len(model.outputs)} outputs"
    )
    known = {*model.parameters.names, *(s.name for s in model.inputs), *(s.name for s in model.outputs)}
    for name, (low, high) in model.validity.items():
        demand(name in known, f'validity names "{name}", which is no parameter, input or output')
        demand(low < high, f'the range of validity of "{name}" is empty: {low:g} to {high:g}')
    counts = f"{len(model.parameters)} parameters, {len(model.inputs)} inputs, {len(model.outputs)} outputs"
    return f"{counts}, a state of {n_state(model)}"


def _check_blocks(blocks: Sequence[StateBlock], demand: Callable[[bool, str], None]) -> None:
    names = [block.name for block in blocks]
    demand(len(set(names)) == len(names), f"two state blocks have one name: {', '.join(names)}")
    for block in blocks:
        what = f'the state block "{block.name}"'
        demand(block.size >= 1, f"{what} has size {block.size}")
        demand(0.0 < block.scale < math.inf, f"{what} has the scale {block.scale:g}")
        demand(block.lower < block.upper, f"{what} has no room between its bounds")
        demand(isinstance(block.kind, StateKind), f"{what} has no kind")
        rows = None if block.coordinates is None else len(block.coordinates)
        demand(rows in (None, block.size), f"{what} has {block.size} entries and coordinates for {rows}")


def _same_bits(trial: _Trial) -> str:
    before = _everything(trial, trial.values)
    _everything(trial, _other(trial))
    _compare_bits(trial, "same bits", before, _everything(trial, trial.values), "after a run with other values")
    return f"{', '.join(before)}: identical after a run with other values"


def _halves(trial: _Trial) -> str:
    model, recipe, values = trial.model, trial.recipe, trial.values
    start = model.initial_state(0.0, recipe, values)
    final = float(trial.times[-1])
    whole = model.advance(start, 0.0, final, recipe, values)
    inner = trial.times[(trial.times > 0.0) & (trial.times < final)]
    splits = np.unique(np.concatenate([inner, trial.ends]))
    for split in splits.tolist():
        middle = model.advance(start, 0.0, split, recipe, values)
        end = model.advance(middle, split, final, recipe, values)
        _agree_states(trial, "halves", whole, end, f"advanced at once to {final:g} s and split at {split:g} s")
    return f"{splits.size} splits, {trial.ends.size} of them where a phase ends"


def _trajectory(trial: _Trial) -> str:
    model, recipe, values, times = trial.model, trial.recipe, trial.values, trial.times
    outputs, end = trajectory(model, times, recipe, values)
    state, at = model.initial_state(0.0, recipe, values), 0.0
    n_joined = 0
    # Where a phase ends is a time like others for a step; left limits make the two ways comparable there as well.
    steps = np.unique(np.concatenate([times, trial.ends]))
    all_outputs, _ = trajectory(model, steps, recipe, values)
    for t, expected in zip(steps.tolist(), all_outputs, strict=True):
        state = model.advance(state, at, t, recipe, values) if t > at else state
        at = t
        seen = model.observe(state, t, recipe, values)
        _agree_outputs(trial, "trajectory", expected, seen, f"one run and a chain of steps at {t:g} s")
        if isinstance(model, Trajectories) and 0.0 < t < times[-1]:
            later = times[times > t]
            rest, last = model.trajectory(np.concatenate([[t], later]), recipe, values, state)
            _agree_outputs(
                trial, "trajectory", outputs[times > t], rest[1:], f"a run and its continuation from {t:g} s"
            )
            _agree_states(trial, "trajectory", end, last, f"a run and its continuation from {t:g} s")
            n_joined += 1
    return f"{steps.size} steps and observations, {n_joined} continuations"


def _derivatives(trial: _Trial) -> str:
    model = trial.model
    if not isinstance(model, Sensitivities):
        return "none declared"
    unknown = sorted(model.differentiable - set(model.parameters.names))
    if unknown:
        raise _broken("derivatives", trial, f'it declares "{unknown[0]}" differentiable, which is no parameter')
    _, jacobian, _ = model.sensitivity(trial.times, trial.recipe, trial.values, trial.wrt)
    if jacobian.shape != (trial.times.size, len(model.outputs), len(trial.wrt)):
        raise _broken("derivatives", trial, f"the jacobian has shape {jacobian.shape}")
    alone, _ = trajectory(model, trial.times, trial.recipe, trial.values)
    together, _, _ = model.sensitivity(trial.times, trial.recipe, trial.values, trial.wrt)
    _agree_outputs(trial, "derivatives", alone, together, "outputs with and without sensitivities")
    refused = "no_such_name"
    try:
        model.sensitivity(trial.times, trial.recipe, trial.values, [refused])
    except (KeyError, ValueError):
        pass
    else:
        raise _broken("derivatives", trial, f'asking for the unknown name "{refused}" does not raise')
    # The first sample is where the run begins; there is nothing before it to take a difference with.
    inside = trial.times[trial.times > 0.0]
    # Runs side by side differ by less than a run and a chain of restarts, and a wrong column of 1e-4 is to be seen.
    tested = taylor_test(model, inside, trial.recipe, trial.values, trial.wrt, accuracy=0.1 * trial.accuracy)
    if not tested.passed:
        listed = "; ".join(str(row) for row in tested.failures[:6])
        raise _broken("derivatives", trial, f"{len(tested.failures)} of {len(tested.rows)} Taylor tests fail: {listed}")
    shown = "all below noise" if math.isinf(tested.order) else f"lowest order {tested.order:.2f}"
    return f"{len(tested.rows)} Taylor tests, {shown}"


def _linearised(trial: _Trial) -> str:
    model, recipe, values, times = trial.model, trial.recipe, trial.values, trial.times
    if not isinstance(model, Linearised):
        return "none declared"
    wrt = [name for name in trial.wrt if name != "time"]
    state, at, n_steps = model.initial_state(0.0, recipe, values), 0.0, 0
    for t in times[times > 0.0].tolist():
        wrong = wrong_step_derivatives(model, state, at, t, recipe, values, wrt, trial.accuracy)
        if wrong:
            raise _broken("linearised", trial, f"the step from {at:g} s to {t:g} s: {wrong}")
        state, at, n_steps = model.advance(state, at, t, recipe, values), t, n_steps + 1
    return f"{n_steps} steps"


def _ensemble(trial: _Trial) -> str:
    model = trial.model
    if not isinstance(model, Ensembles):
        return "none declared"
    members = [dict(trial.values), dict(_other(trial)), dict(trial.values)]
    columns = {name: np.array([member[name] for member in members], dtype=float) for name in trial.values}
    outputs, ends, failures = model.trajectories(trial.times, trial.recipe, columns)
    if failures:
        raise _broken("ensemble", trial, f"member {failures[0].member} fails alone does not: {failures[0].reason}")
    for k, member in enumerate(members):
        alone, end = trajectory(model, trial.times, trial.recipe, member)
        _agree_outputs(trial, "ensemble", alone, outputs[k], f"member {k} alone and among {len(members)}")
        _agree_states(trial, "ensemble", end, ends[k], f"member {k} alone and among {len(members)}")
    _going_on(trial, members, columns)
    return f"{len(members)} members"


def _going_on(trial: _Trial, members: Sequence[Mapping[str, float]], columns: Mapping[str, Array]) -> None:
    """Members that go on from states, step by step: each from another's, so that no other way leads there."""
    model, recipe = trial.model, trial.recipe
    assert isinstance(model, Ensembles)
    own = [model.initial_state(0.0, recipe, member) for member in members]
    at = 0.0
    for t in trial.times[trial.times > 0.0].tolist():
        states = np.roll(np.array(own), 1, axis=0)
        outputs, ends, failures = model.trajectories(np.array([at, t]), recipe, columns, states)
        if failures:
            raise _broken("ensemble", trial, f"a member that goes on from its state fails: {failures[0].reason}")
        own = [model.advance(state, at, t, recipe, member) for state, member in zip(states, members, strict=True)]
        for k, (end, member) in enumerate(zip(own, members, strict=True)):
            what = f"member {k} from {at:g} s to {t:g} s alone and among {len(members)}"
            _agree_outputs(trial, "ensemble", model.observe(end, t, recipe, member), outputs[k, -1], what)
            _agree_states(trial, "ensemble", end, ends[k], what)
        at = t


def _failure(trial: _Trial) -> str:
    n_raised, n_finite = 0, 0
    for name in _provoked(trial):
        for value in (math.nan, *(factor * (float(trial.values[name]) or 1.0) for factor in _ABSURD)):
            absurd = {**trial.values, name: value}
            try:
                outputs, end = trajectory(trial.model, trial.times, trial.recipe, absurd)
            except SolveError as error:
                n_raised += 1
                _check_error(trial, error, f"{name} = {value:g}")
                continue
            except (RecipeError, BoundsError):  # refused before it was tried
                n_raised += 1
                continue
            if not (np.isfinite(outputs).all() and np.isfinite(end).all()):
                raise _broken("failure", trial, f"with {name} = {value:g} it returns numbers that are not finite")
            if math.isnan(value) and not _reaches_nothing(trial, outputs, end):
                raise _broken("failure", trial, f"with {name} = nan it returns other numbers, and does not raise")
            n_finite += 1
    return f"{n_raised} absurd runs raise, {n_finite} are finite"


def _after_failure(trial: _Trial) -> str:
    before = _everything(trial, trial.values)
    for name in _provoked(trial):
        for value in (math.nan, _ABSURD[0] * (float(trial.values[name]) or 1.0)):
            if _fails(trial, {**trial.values, name: value}):
                after = _everything(trial, trial.values)
                _compare_bits(trial, "after failure", before, after, f"after the failure with {name} = {value:g}")
                return f"identical after the failure with {name} = {value:g}"
    return "no run could be made to fail"


def _fails(trial: _Trial, values: SIValues) -> bool:
    """Whether a run with these values fails; each way of asking is tried."""
    model, times, recipe = trial.model, trial.times, trial.recipe
    ways: list[Callable[[], object]] = [lambda: trajectory(model, times, recipe, values)]
    if isinstance(model, Sensitivities):
        ways.append(lambda: model.sensitivity(times, recipe, values, trial.wrt))
    if isinstance(model, Ensembles):
        columns = {name: np.array([float(value)] * 2) for name, value in values.items()}
        ways.append(lambda: model.trajectories(times, recipe, columns))
    failed = False
    for way in ways:
        try:
            way()
        except (SolveError, RecipeError, BoundsError):
            failed = True
    return failed


def _travel(trial: _Trial) -> str:
    here = _everything(trial, trial.values)
    given = (trial.model, trial.recipe, dict(trial.values), trial.times, trial.wrt)
    try:
        if trial.executor is None:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                fingerprint, there = pool.submit(_worker, *given).result()
        else:
            fingerprint, there = trial.executor.submit(_worker, *given).result()
    except (PicklingError, TypeError, AttributeError, NotImplementedError, BrokenProcessPool) as error:
        raise _broken("travel", trial, f"it does not reach a spawned process: {error}") from error
    if fingerprint != trial.model.fingerprint:
        raise _broken("travel", trial, f"its fingerprint there is {fingerprint}, here {trial.model.fingerprint}")
    _compare_bits(trial, "travel", here, there, "in another process")
    return "identical in a spawned process" if trial.executor is None else "identical in a worker of the executor"


_CLAUSES: dict[str, Callable[[_Trial], str]] = {
    "declarations": _declarations,
    "same bits": _same_bits,
    "halves": _halves,
    "trajectory": _trajectory,
    "derivatives": _derivatives,
    "linearised": _linearised,
    "ensemble": _ensemble,
    "after failure": _after_failure,
    "failure": _failure,
    "travel": _travel,
}


# -- what the clauses share -------------------------------------------------------------------------------------------


def _worker(
    model: Model, recipe: Recipe, values: SIValues, times: Array, wrt: Sequence[str]
) -> tuple[str, dict[str, bytes]]:
    return model.fingerprint, _results(model, recipe, values, times, wrt)


def _everything(trial: _Trial, values: SIValues) -> dict[str, bytes]:
    return _results(trial.model, trial.recipe, values, trial.times, trial.wrt)


def _results(model: Model, recipe: Recipe, values: SIValues, times: Array, wrt: Sequence[str]) -> dict[str, bytes]:
    """The bits of everything that a model can be asked."""
    start = model.initial_state(0.0, recipe, values)
    middle, final = float(times[times.size // 2]), float(times[-1])
    state = model.advance(start, 0.0, middle, recipe, values)
    found = {
        "initial_state": [start],
        "advance": [state, model.advance(state, middle, final, recipe, values)],
        "observe": [model.observe(state, middle, recipe, values)],
    }
    if isinstance(model, Trajectories):
        found["trajectory"] = list(model.trajectory(times, recipe, values))
    if isinstance(model, Sensitivities):
        found["sensitivity"] = list(model.sensitivity(times, recipe, values, wrt))
    if isinstance(model, Ensembles):
        columns = {name: np.array([float(value)] * 2) for name, value in values.items()}
        found["ensemble"] = list(model.trajectories(times, recipe, columns)[:2])
        states = np.array([state] * 2)
        found["ensemble with states"] = list(model.trajectories(times[times >= middle], recipe, columns, states)[:2])
    if isinstance(model, Linearised):
        step = model.advance_linearised(state, middle, final, recipe, values, [w for w in wrt if w != "time"])
        found["advance_linearised"] = [step.state, step.state_by_state, step.outputs_by_state, step.outputs_by_values]
    return {name: b"".join(np.ascontiguousarray(a).tobytes() for a in arrays) for name, arrays in found.items()}


def _compare_bits(
    trial: _Trial, clause: str, before: Mapping[str, bytes], after: Mapping[str, bytes], when: str
) -> None:
    for name, bits in before.items():
        if after[name] != bits:
            a, b = np.frombuffer(bits), np.frombuffer(after[name])
            apart = float(np.max(np.abs(a - b))) if a.size == b.size else math.inf
            raise _broken(clause, trial, f"{name} gives other numbers {when} (largest difference {apart:.3g})")


def _other(trial: _Trial) -> dict[str, float]:
    """Values near by: every parameter moved by 1 % of itself, towards the inside of its bounds; settings likewise."""
    moved = {}
    for name, value in trial.values.items():
        parameter = trial.model.parameters.get(name)
        low, high = trial.recipe.settings[name].bounds if parameter is None else parameter.bounds
        factor = 1.01 if low <= 1.01 * value <= high else 0.99
        moved[name] = float(value) * factor if low <= factor * value <= high else float(value)
    return moved


def _provoked(trial: _Trial) -> list[str]:
    names = list(trial.values)
    step = max(1, len(names) // _PROVOKED)
    return names[::step][:_PROVOKED]


def _reaches_nothing(trial: _Trial, outputs: Array, end: Array) -> bool:
    """Whether a value that is not a number changed nothing: a recipe may bind it, or a phase not be reached."""
    expected, expected_end = trajectory(trial.model, trial.times, trial.recipe, trial.values)
    return bool(np.array_equal(outputs, expected) and np.array_equal(end, expected_end))


def _check_error(trial: _Trial, error: SolveError, what: str) -> None:
    if not error.reason.strip():
        raise _broken("failure", trial, f"with {what} it raises a SolveError without a reason")
    if not (math.isfinite(error.time) and -1e-9 <= error.time <= float(trial.times[-1]) * (1.0 + 1e-9)):
        raise _broken("failure", trial, f"with {what} it raises a SolveError at the time {error.time:g} s")
    if trial.values and not error.values:
        raise _broken("failure", trial, f"with {what} it raises a SolveError that does not tell the values")


def _agree_outputs(trial: _Trial, clause: str, a: Array, b: Array, what: str) -> None:
    apart = np.abs(a - b) / trial.output_scale
    if not (apart <= trial.accuracy).all():
        k = int(np.argmax(np.max(np.atleast_2d(apart), axis=0)))
        name = trial.model.outputs[k].name
        raise _broken(clause, trial, f"{what}: {name} differs by {_amount(trial, float(np.max(apart)))}")


def _amount(trial: _Trial, apart: float) -> str:
    text = f"{apart:.3g} of its size"
    if apart < 1e-2:  # that much an adaptive step may be allowed
        text += f", more than accuracy={trial.accuracy:g}; give the accuracy that the model's tolerances promise"
    return text


def _agree_states(trial: _Trial, clause: str, a: Array, b: Array, what: str) -> None:
    first = 0
    for block in trial.model.state:
        own = slice(first, first + block.size)
        first += block.size
        if block.kind is StateKind.SOLVER:
            continue
        if block.kind is StateKind.RECIPE:
            # Phase numbers and sides agree exactly; the start of a phase is a time.
            size = max(float(trial.times[-1]), 1e-300) if block.unit.dimension != _one(block) else 1.0
        else:
            size = max(block.scale, float(np.max(np.abs(a[own]))))
        apart = float(np.max(np.abs(a[own] - b[own]))) / size
        if not apart <= trial.accuracy:
            raise _broken(clause, trial, f"{what}: the state {block.name} differs by {_amount(trial, apart)}")


def _one(block: StateBlock) -> object:
    return (block.unit / block.unit).dimension
