"""The fold: what a twin knows after one more moment of its timeline. A pure function, to the last bit.

Nothing here looks at a clock, at what was asked for in which call, or at earlier random draws. Late samples, restarts
and replays rest on that: each of them is this function over entries in the order of their own times.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Observation, Predicted, Step
from physics_twin.assimilation.keys import Key
from physics_twin.errors import SolveError, UnitError
from physics_twin.measurements.flags import Flag
from physics_twin.twin import live_inputs
from physics_twin.twin.consistency import NONE, remember
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.innovation import MomentRecord, SampleRecord, normalized_innovation_squared
from physics_twin.twin.moments import SECOND, stamp
from physics_twin.twin.operations import NOT_DONE, act
from physics_twin.twin.sensors import Reading, Verdict, judge_moment
from physics_twin.twin.setup import Setup
from physics_twin.twin.state import ChannelMonitor, FilterState, Mode
from physics_twin.twin.timeline import Entry, Operation, Sample

_LARGEST = float(np.sqrt(np.finfo(float).max))


@dataclass(frozen=True)
class Folded:
    """What came of one moment."""

    state: FilterState
    record: MomentRecord
    words: tuple[str, ...] = ()
    """What was not used besides samples of outputs: readings of inputs and operations, and why."""


def begin(setup: Setup) -> FilterState:
    """What is known before the first entry. Its time is the last ns before the start, so that entries may be at it."""
    b = setup.beginning
    dynamics = setup.dynamics(b.batch.recipe)
    belief = setup.method.begin(b.start, dynamics, Key(setup.seed, b.time))
    n = setup.n_shown
    state = FilterState(
        time=b.time - 1,
        belief=belief,
        batch=b.batch,
        settings=dict(b.settings),
        mode=Mode.RUNNING,
        masks=(),
        monitors={},
        consistency=NONE,
        outputs=np.full(n, np.nan),
        covariance=np.full((n, n), np.nan),
        reached=b.time,
        last_update=b.time,
    )
    return _plain(state)


def fold(setup: Setup, state: FilterState, entries: Iterable[Entry]) -> Iterator[Folded]:
    """One `Folded` for each moment of entries, which are in the order of the timeline and later than the state."""
    for time, group in itertools.groupby(entries, key=lambda entry: entry.time):
        found = through(setup, state, time, tuple(group))
        found = replace(found, state=_plain(found.state))
        state = found.state
        yield found


def _plain(state: FilterState) -> FilterState:
    """The state with arrays of its own, row by row in memory: sums over a view round otherwise than over the array
    that a file gives back, and a view keeps alive what it is a part of.
    """
    b = state.belief
    arrays = [b.states, b.parameters, *b.memory.values(), state.outputs, state.covariance]
    if all(_is_own(array) for array in arrays) and (b.root is None or _is_own(b.root)):
        return state
    belief = replace(
        b,
        states=_own(b.states),
        parameters=_own(b.parameters),
        root=None if b.root is None else _own(b.root),
        memory={name: _own(array) for name, array in b.memory.items()},
    )
    return replace(state, belief=belief, outputs=_own(state.outputs), covariance=_own(state.covariance))


def _is_own(array: Array) -> bool:
    return array.flags.c_contiguous and array.base is None


def _own(array: Array) -> Array:
    return array if _is_own(array) else np.array(array, order="C")


def through(setup: Setup, state: FilterState, time: int, entries: Sequence[Entry]) -> Folded:
    """The state after all entries of one moment: operations, then the model, then what the sensors say, then inputs."""
    refused: list[str] = []
    for entry in entries:
        if isinstance(entry, Operation):
            before, state = state, act(setup, state, entry)
            if NOT_DONE in state.trouble and state.trouble != before.trouble:
                refused.append(state.trouble)
    samples = [entry for entry in entries if isinstance(entry, Sample)]
    open_now = state.batch.recipe.settings
    told = [s for s in samples if s.channel in open_now]
    live, left_out = _live(setup, state, told)
    if told:
        state = replace(state, live=live_inputs.remember(state.live, time, {s.channel for s in told}, live))
    words = (*refused, *left_out)
    measured = [s for s in samples if s.channel in setup.facts]
    if state.mode is Mode.OUT_OF_SERVICE:
        record = MomentRecord(time, _unused(setup, measured, "the plant is out of service"))
        return Folded(replace(state, time=time, settings={**state.settings, **live}, trouble=""), record, words)
    missing = [name for name in open_now if name not in state.held]
    if missing and not set(missing) - set(live):
        # The first reading of an input holds from the start on, as it does in a recorded log.
        state = replace(state, settings={**state.settings, **{name: live[name] for name in missing}})
    if not measured and all(state.settings.get(name) == value for name, value in live.items()):
        return Folded(replace(state, time=time), MomentRecord(time, ()), words)
    state, record = _measured(setup, replace(state, time=time), time, measured)
    return Folded(replace(state, settings={**state.settings, **live}) if live else state, record, words)


def _measured(
    setup: Setup, state: FilterState, time: int, samples: Sequence[Sample]
) -> tuple[FilterState, MomentRecord]:
    """The state carried to the moment, and what its samples of outputs change."""
    try:
        predicted, step = carried(setup, state, time)
    except FAILURES as error:
        # The belief stays where it was: the next moment tries again over the longer time, with the variance of it.
        trouble = f"the model could not be carried on from {stamp(state.reached)}: {error}"
        record = MomentRecord(time, _unused(setup, samples, "no prediction"), trouble=trouble)
        return replace(state, trouble=trouble), record
    before = state.outputs
    n_failed = len(predicted.failures)
    state = replace(
        state,
        belief=predicted.belief,
        reached=time,
        outputs=predicted.outputs,
        covariance=predicted.covariance,
        trouble="",
        n_failed_members=state.n_failed_members + n_failed,
    )
    if not samples:
        return state, MomentRecord(time, (), n_failed_members=n_failed)
    if state.mode is not Mode.RUNNING:
        waiting = _unused(setup, samples, f"the plant is in {state.mode.value}", state)
        return state, MomentRecord(time, waiting, n_failed_members=n_failed)
    monitors, records = _judged(setup, state, samples, before)
    state = replace(state, monitors=monitors)
    return _learned(setup, state, predicted, step, records, n_failed)


def carried(setup: Setup, state: FilterState, time: int) -> tuple[Predicted, Step]:
    """The belief carried from where it is to a moment, inputs held; raises SolveError, RecipeError."""
    missing = [name for name in state.batch.recipe.settings if name not in state.held]
    if missing:
        raise SolveError(f'the input "{missing[0]}" has not been read yet', time=state.batch.elapsed(time))
    seconds = (time - state.reached) / SECOND
    step = Step(
        state.batch.elapsed(state.reached),
        state.batch.elapsed(time),
        state.held,
        setup.rates * seconds,
        Key(setup.seed, time),
    )
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found by its not being finite
        predicted = setup.method.predict(state.belief, setup.dynamics(state.batch.recipe), step)
    seen = np.isfinite(predicted.outputs)  # running extremes begin at infinity
    spread = predicted.covariance[np.ix_(seen, seen)]
    # Whoever compares a sample with it forms products of two variances.
    if not (_is_finite(predicted.belief, setup) and (np.abs(spread) < _LARGEST).all()):
        raise SolveError("the prediction or its spread is too large for a number", time=step.t1)
    return predicted, step


def _is_finite(belief: Belief, setup: Setup) -> bool:
    parts = (belief.states[:, setup.coordinates.positions], belief.parameters, belief.root)
    return all(part is None or bool(np.isfinite(part).all()) for part in parts)


def _live(setup: Setup, state: FilterState, samples: Sequence[Sample]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Live inputs read at this moment, SI, and what was left out; a reading that is not good leaves the last one."""
    signals = {signal.name: signal for signal in setup.model.inputs}
    found: dict[str, float] = {}
    words: list[str] = []
    for sample in samples:
        name = sample.channel
        setting = state.batch.recipe.settings[name]
        low, high = signals[name].bounds if name in signals else setting.bounds
        try:
            number = setup.input_si(setting.unit, sample)
        except UnitError as error:
            words.append(f"{name}: {error}")
            continue
        if sample.quality >= Flag.BAD or number != number:
            words.append(f"{name}: the reading is {sample.quality.words}; the last one is held")
        elif not low <= number <= high:
            words.append(f"{name} = {setting.format(number)} is out of its range; the last one is held")
        else:
            found[name] = number
    return found, tuple(words)


def _judged(
    setup: Setup, state: FilterState, samples: Sequence[Sample], before: Array
) -> tuple[Mapping[str, ChannelMonitor], list[SampleRecord]]:
    """What the checks say of each sample: the channels' monitors, and a record for each sample in their order."""
    readings: list[tuple[str, Reading]] = []
    own: dict[int, SampleRecord] = {}
    for k, sample in enumerate(samples):
        facts, name = setup.facts[sample.channel], sample.channel
        row = facts.row
        expected, spread = float(state.outputs[row]), float(state.covariance[row, row])
        mask = next((m for m in state.masks if m.covers(name, sample.time)), None)
        monitor = state.monitors.get(name)
        try:
            reading = facts.reading(
                sample,
                expected,
                spread,
                moved=expected - float(before[row]),
                replaced=monitor is not None and monitor.replaced is not None,
            )
        except UnitError as error:
            own[k] = _record(sample, expected, spread, str(error))
            continue
        if mask is not None:
            until = "it is lifted" if mask.until is None else stamp(mask.until)
            words = f"masked by {mask.who} until {until}: {mask.reason}"
            own[k] = _record(sample, expected, spread, words, reading.value)
            continue
        readings.append((name, reading))
    monitors, verdicts = judge_moment(state.monitors, setup.guard, readings)
    judged = iter(zip(readings, verdicts, strict=True))
    records: list[SampleRecord] = []
    for k, sample in enumerate(samples):
        if k in own:
            records.append(own[k])
            continue
        (name, r), verdict = next(judged)
        records.append(
            SampleRecord(
                name,
                r.value,
                r.variance * verdict.variance_factor,
                r.predicted,
                r.predicted_variance,
                verdict,
                sample.source,
            )
        )
    return monitors, records


def _learned(
    setup: Setup,
    state: FilterState,
    predicted: Predicted,
    step: Step,
    records: list[SampleRecord],
    n_failed: int,
) -> tuple[FilterState, MomentRecord]:
    """The update with the samples that are to be used."""
    held = any(r.verdict.use and state.after_gap(r.channel, setup.guard.gap) for r in records)
    dynamics = setup.dynamics(state.batch.recipe, held=held)
    reopened = [r.verdict.widen for r in records if r.verdict.reopen]
    if reopened:
        try:
            predicted = setup.method.widen(predicted, dynamics, max(reopened))
        except FAILURES as error:
            trouble = f"no update: {getattr(error, 'reason', error)}"
            unused = tuple(replace(r, verdict=replace(r.verdict, use=False, words=trouble)) for r in records)
            record = MomentRecord(state.time, unused, trouble=trouble, n_failed_members=n_failed)
            return replace(state, trouble=trouble), record
        spread = np.diag(predicted.covariance)
        records = [replace(r, predicted_variance=float(spread[setup.facts[r.channel].row])) for r in records]
    used = [r for r in records if r.verdict.use]
    if not used:
        why = "; ".join(dict.fromkeys(f"{r.channel}: {r.verdict.words or r.verdict.flag.words}" for r in records))
        record = MomentRecord(state.time, tuple(records), trouble=why, n_failed_members=n_failed)
        # What is turned away is evidence about the filter too.
        consistency, monitors = remember(state.consistency, state.monitors, record, np.empty((0, 0)))
        state = replace(state, consistency=consistency, monitors=monitors)
        return replace(state, trouble=f"no reading could be used: {why}"), record
    rows = np.array([setup.facts[r.channel].row for r in used], dtype=np.int64)
    noise = np.array([r.variance for r in used])
    observation = Observation(rows, np.array([r.observed for r in used]), noise, tuple(r.channel for r in used))
    residuals = observation.values - predicted.outputs[rows]
    innovation = predicted.covariance[np.ix_(rows, rows)] + np.diag(noise)
    nis = normalized_innovation_squared(residuals, innovation)
    record = MomentRecord(state.time, tuple(records), nis, len(used), "", n_failed)
    consistency, monitors = remember(state.consistency, state.monitors, record, innovation)
    state = replace(state, consistency=consistency, monitors=monitors)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            belief: Belief = setup.method.update(predicted, dynamics, step, observation)
        if not _is_finite(belief, setup):
            raise SolveError("what the samples lead to is too large for a number", time=step.t1)
    except FAILURES as error:
        trouble = f"no update: {getattr(error, 'reason', error)}"
        return replace(state, belief=predicted.belief, trouble=trouble), replace(record, trouble=trouble)
    if dynamics.coordinates.updated.all():
        outputs, covariance = _outputs_after(predicted, rows, residuals, innovation)
    else:
        outputs, covariance = _outputs_of(setup, state, belief, step)
    state = replace(
        state,
        belief=belief,
        outputs=outputs,
        covariance=covariance,
        n_updates=state.n_updates + 1,
        last_update=state.time,
        n_held=state.n_held + 1 if held else 0,
    )
    return state, record


def _outputs_of(setup: Setup, state: FilterState, belief: Belief, step: Step) -> tuple[Array, Array]:
    """Outputs and their covariance as the model shows them: what held coordinates share with a sample they keep, so
    that the outputs move by less than their own covariance with it says.
    """
    still = replace(step, t0=step.t1, variance=np.zeros_like(step.variance))
    try:
        found = setup.method.predict(belief, setup.dynamics(state.batch.recipe), still)
    except FAILURES:
        return state.outputs, state.covariance
    return found.outputs, found.covariance


def _outputs_after(
    predicted: Predicted, rows: NDArray[np.int64], residuals: Array, innovation: Array
) -> tuple[Array, Array]:
    """Outputs and their covariance after the update, to first order: no second run of the model."""
    cross = predicted.covariance[:, rows]
    try:
        gain = np.linalg.solve(innovation, cross.T).T
    except np.linalg.LinAlgError:
        return predicted.outputs, predicted.covariance
    covariance = predicted.covariance - gain @ cross.T
    return predicted.outputs + gain @ residuals, 0.5 * (covariance + covariance.T)


def _unused(
    setup: Setup, samples: Sequence[Sample], words: str, state: FilterState | None = None
) -> tuple[SampleRecord, ...]:
    found = []
    for sample in samples:
        row = setup.facts[sample.channel].row
        expected = float("nan") if state is None else float(state.outputs[row])
        spread = float("nan") if state is None else float(state.covariance[row, row])
        try:
            number = setup.facts[sample.channel].si(sample)
        except UnitError:
            number = float("nan")
        found.append(_record(sample, expected, spread, words, number))
    return tuple(found)


def _record(sample: Sample, expected: float, spread: float, words: str, number: float = float("nan")) -> SampleRecord:
    verdict = Verdict(sample.quality, use=False, words=words)
    return SampleRecord(sample.channel, number, float("nan"), expected, spread, verdict, sample.source)
