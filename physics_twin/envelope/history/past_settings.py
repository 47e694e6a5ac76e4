"""At which settings a past batch ran.

A setting of an envelope stands in its recipe: as the duration of a phase, the level of an input, an initial charge.
A past batch may say the same number in many ways. They are asked in this order, and the answer keeps which one it was:
what the caller gives, what the fit held or found for this batch (`name@experiment`), the setting of that name in the
batch's own recipe, its context (the batch list), the same place of its recipe, the window of the phase, and what was
recorded of the input, averaged over the phase.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.errors import PhysicsTwinError
from physics_twin.measurements import Experiment
from physics_twin.posterior import Posterior
from physics_twin.recipes import HOLD, Phase, Ramp, Recipe, Steady, Table
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, in_unit, to_si


@dataclass(frozen=True)
class PastSetting:
    """A setting of a past batch, SI, and where it was found; NaN with the reason where it was not."""

    value: float
    source: str

    @property
    def found(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)


def past_setting(
    setting: Setting,
    recipe: Recipe,
    run: Experiment,
    given: Mapping[str, QuantityLike],
    posterior: Posterior | None,
) -> PastSetting:
    """The value of `setting` in `run`; recipe: that of the envelope. A value in a wrong unit is not found."""
    finders: tuple[Callable[[], PastSetting | None], ...] = (
        lambda: _of_caller(setting, given),
        lambda: _of_fit(setting, run, posterior),
        lambda: _of_own_setting(setting, run),
        lambda: _of_context(setting, run),
        lambda: _of_place(setting, recipe, run),
    )
    for find in finders:
        try:
            found = find()
        except PhysicsTwinError as error:
            return PastSetting(math.nan, str(error))
        if found is not None and found.found:
            return found
    if setting.name in run.recipe.settings:
        why = "its recipe leaves it open; give posterior= of a fit that holds this run, or settings="
    else:
        why = f'neither its recipe nor its context says so; give settings={{"{run.name}": {{"{setting.name}": ...}}}}'
    return PastSetting(math.nan, f"{setting.name} not found: {why}")


def _of_caller(setting: Setting, given: Mapping[str, QuantityLike]) -> PastSetting | None:
    if setting.name not in given:
        return None
    return PastSetting(to_si(given[setting.name], setting.unit, name=setting.name), "given")


def _of_fit(setting: Setting, run: Experiment, posterior: Posterior | None) -> PastSetting | None:
    key = f"{setting.name}@{run.name}"
    if posterior is None:
        return None
    if key in posterior.fixed:
        return PastSetting(posterior.fixed.scalar(key), "held in the fit")
    return PastSetting(posterior.mode.scalar(key), "estimated in the fit") if key in posterior.names else None


def _of_own_setting(setting: Setting, run: Experiment) -> PastSetting | None:
    own = run.recipe.settings.get(setting.name)
    return None if own is None or own.value is None else PastSetting(own.value, "setting of its recipe")


def _of_context(setting: Setting, run: Experiment) -> PastSetting | None:
    said = run.context.get(setting.name)
    if said is None:
        return None
    value = in_unit(said, setting.unit, name=f'context "{setting.name}"')
    bare = isinstance(said, int | float)
    return PastSetting(value, f"context, a bare number taken in {setting.unit.text}" if bare else "context")


def _of_place(setting: Setting, recipe: Recipe, run: Experiment) -> PastSetting | None:
    for found in _places(setting, recipe, run):
        if found is not None and found.found:
            return found
    return None


def _places(setting: Setting, recipe: Recipe, run: Experiment) -> Iterator[PastSetting | None]:
    """What the run says wherever the envelope's recipe mentions the setting."""
    alone = len(recipe.phases) == 1
    if not isinstance(recipe.initial, Steady) and not isinstance(run.recipe.initial, Steady):
        for state, level in recipe.initial.items():
            if level == setting:
                yield _number(setting, run.recipe.initial.get(state), "initial value of its recipe")
    for phase in recipe.phases:
        own = _own_phase(phase, run.recipe, alone)
        if phase.duration == setting:
            yield _duration(setting, phase, own, run)
        for name, course in phase.inputs.items():
            theirs = None if own is None else own.inputs.get(name)
            if course == setting:
                yield _input(setting, phase, theirs, run, alone)
            elif isinstance(course, Ramp) and isinstance(theirs, Ramp):
                for end in ("start", "end", "over"):
                    if getattr(course, end) == setting:
                        yield _number(setting, getattr(theirs, end), "ramp of its recipe")
        if own is not None:
            yield from _events(setting, phase, own)


def _own_phase(phase: Phase, recipe: Recipe, alone: bool) -> Phase | None:
    """The run's phase of the same name; of one phase each they are the same phase whatever they are called."""
    same = next((p for p in recipe.phases if p.name == phase.name), None)
    return recipe.phases[0] if same is None and alone and len(recipe.phases) == 1 else same


def _number(setting: Setting, level: Any, source: str) -> PastSetting | None:
    if isinstance(level, Setting):
        return None if level.value is None else PastSetting(level.value, source)
    if level is None or isinstance(level, Ramp | Table):
        return None
    return PastSetting(to_si(level, setting.unit, name=setting.name, allow_infinite=True), source)


def _duration(setting: Setting, phase: Phase, own: Phase | None, run: Experiment) -> PastSetting | None:
    for window in run.phases:
        if window.name == phase.name:
            return PastSetting(window.end - window.start, f'window of the phase "{phase.name}"')
    if own is None:
        return None
    recorded = any(isinstance(x, Table) for x in own.inputs.values()) and bool(run.inputs)
    return _number(setting, own.duration, "length of the record" if recorded else "duration in its recipe")


def _input(setting: Setting, phase: Phase, theirs: Any, run: Experiment, alone: bool) -> PastSetting | None:
    if theirs is not None and not isinstance(theirs, Table):
        return _number(setting, theirs, "level in its recipe")
    name = next(key for key, level in phase.inputs.items() if level == setting)
    table = theirs if theirs is not None else run.recipe.phases[0].inputs.get(name)
    if not isinstance(table, Table):
        return _number(setting, table, "level in its recipe") if len(run.recipe.phases) == 1 else None
    window = next(((w.start, w.end) for w in run.phases if w.name == phase.name), None)
    if window is None:
        if not alone and theirs is None:
            return None
        window = (table.times[0], table.times[-1])
    level, low, high = _averaged(table, *window)
    to_si((level, setting.unit.si_text), table.unit, name=setting.name)
    swing = f", which ran from {setting.format(low)} to {setting.format(high)}" if high > low else ""
    return PastSetting(level, f"mean of the recorded {name}{swing}")


def _averaged(table: Table, start: float, end: float) -> tuple[float, float, float]:
    """Mean over a window, lowest and highest value in it; SI."""
    times, values = np.array(table.times), np.array(table.values)
    inside = (times > start) & (times < end)
    if table.rule is HOLD:
        first = max(0, int(np.searchsorted(times, start, side="right")) - 1)
        nodes, levels = (
            np.concatenate([[start], times[inside], [end]]),
            np.concatenate([[values[first]], values[inside]]),
        )
        total = float((np.diff(nodes) * levels).sum())
    else:
        nodes = np.concatenate([[start], times[inside], [end]])
        levels = np.interp(nodes, times, values)
        total = float(np.trapezoid(levels, nodes))
    mean = total / (end - start) if end > start else float(levels[0])
    return mean, float(levels.min()), float(levels.max())


def _events(setting: Setting, phase: Phase, own: Phase) -> Iterator[PastSetting | None]:
    for mine, theirs in zip(phase.start, own.start, strict=False):
        if mine.amount == setting and (mine.action, mine.state) == (theirs.action, theirs.state):
            yield _number(setting, theirs.amount, f"{mine.action.value} of its recipe")
    for (when, events), (then, others) in zip(phase.at, own.at, strict=False):
        if when == setting:
            yield _number(setting, then, "time of an event of its recipe")
        for mine, theirs in zip(events, others, strict=False):
            if mine.amount == setting and (mine.action, mine.state) == (theirs.action, theirs.state):
                yield _number(setting, theirs.amount, f"{mine.action.value} of its recipe")
    if phase.until is not None and own.until is not None and phase.until.level == setting:
        yield _number(setting, own.until.level, "level at which its phase ends")
