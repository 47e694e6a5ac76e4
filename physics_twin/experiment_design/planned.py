"""An experiment that may be done: recipe, sensors and sampling times, before there is any sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, DataError, RecipeError, unknown_name
from physics_twin.measurements import Channel, Experiment
from physics_twin.model import Model
from physics_twin.posterior.prediction import simulate_outputs
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, seconds


@dataclass(frozen=True)
class Planned:
    """An experiment that may be done.

    channels: what would be measured, as in a log: noise, bias and delay belong to the sensors. A noise to be estimated
        counts with the level that the posterior has for it, else with its starting value.
    times: (n,) when samples would be taken: bare seconds or (array, unit); output -> times for channels sampled at
        different times. A sequence may hold a `Setting` in s for a moment that is to be chosen.
    recipe: what the plant would do; without it there are no inputs. A setting without a value is chosen within its
        bounds. values: settings and parameters that this experiment is done with, with units.

    Raises DataError without a channel or a time.
    """

    channels: Sequence[Channel]
    times: Any
    recipe: Recipe = field(default_factory=Recipe.constant)
    values: Mapping[str, QuantityLike] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what can be checked without a model."""
        object.__setattr__(self, "channels", tuple(self.channels))
        if not self.channels:
            raise DataError("a planned experiment needs a channel: what would be measured?")
        for output in self.times if isinstance(self.times, Mapping) else ():
            if output not in {c.output for c in self.channels}:
                raise unknown_name("channel", output, [c.output for c in self.channels])
        for channel in self.channels:
            missing = isinstance(self.times, Mapping) and channel.output not in self.times
            if missing or len(self._given(channel.output)) == 0:
                raise DataError(f'"{channel.output}" would be sampled at no time; give times')

    def open_settings(self, known: Sequence[str] = ()) -> tuple[Setting, ...]:
        """What is to be chosen: settings of the recipe without a value, and moments of sampling.

        known: names that the posterior has a value for. Raises BoundsError for one without two bounds.
        """
        found = {
            name: s
            for name, s in self.recipe.settings.items()
            if s.value is None and name not in self.values and name not in known
        }
        for channel in self.channels:
            for t in self._given(channel.output):
                if isinstance(t, Setting):
                    found.setdefault(t.name, t)
        for name, setting in found.items():
            if not np.isfinite(setting.bounds).all():
                raise BoundsError(f'"{name}" is to be chosen and has no two bounds; give it bounds=, or a value')
        return tuple(found.values())

    def at(self, chosen: Mapping[str, float]) -> "Planned":
        """The same experiment with settings and moments chosen; SI."""
        own = {n: (x, self.recipe.settings[n].unit.si_text) for n, x in chosen.items() if n in self.recipe.settings}
        times = {c.output: self._seconds(self._given(c.output), chosen) for c in self.channels}
        return Planned(self.channels, times, self.recipe, {**self.values, **own})

    def sampled(self, channel: Channel) -> Array:
        """(n,) s, ascending, when a channel would be sampled. Raises DataError for a moment that is not chosen."""
        return self._seconds(self._given(channel.output), {})

    def _given(self, output: str) -> Any:
        times = self.times[output] if isinstance(self.times, Mapping) else self.times
        return np.atleast_1d(times) if isinstance(times, int | float) else times

    def _seconds(self, times: Any, chosen: Mapping[str, float]) -> Array:
        if any(isinstance(t, Setting) for t in times):
            still = [t.name for t in times if isinstance(t, Setting) and t.name not in chosen]
            if still:
                raise DataError(f'the moment "{still[0]}" is still to be chosen')
            times = [chosen[t.name] if isinstance(t, Setting) else float(seconds([t])[0]) for t in times]
        found = np.sort(np.atleast_1d(seconds(times)))
        if found[0] < 0.0:
            raise DataError(f"a sample at {found[0]:g} s would be taken before the experiment begins, at 0 s")
        return found


def simulated(name: str, planned: Planned, model: Model, values: Mapping[str, float]) -> Experiment:
    """The experiment with the samples that noiseless sensors would show. Raises SolveError.

    values: name -> SI, every parameter and setting. Each series is made as one that was measured, so that windows of
    averages, the range of a sensor and its checks count.
    """
    grid = np.unique(np.concatenate([planned.sampled(c) for c in planned.channels]))
    duration = planned.recipe.duration
    if duration is not None and grid[-1] > duration and not planned.recipe.hold_end:
        raise RecipeError(
            f'"{name}" would be sampled at {grid[-1]:g} s, and its recipe ends at {duration:g} s; sample earlier, or '
            "let the recipe go on (hold_end=True)"
        )
    outputs = simulate_outputs(model, planned.recipe, grid, values)
    return with_samples(name, planned, {c.output: _shown(c, planned, model, grid, outputs) for c in planned.channels})


def with_samples(name: str, planned: Planned, samples: Mapping[str, Array]) -> Experiment:
    """The experiment with samples: output -> (n,) SI."""
    return Experiment.from_arrays(
        name,
        {c.output: planned.sampled(c) for c in planned.channels},
        {c.output: np.asarray(c.unit.from_si(samples[c.output])) for c in planned.channels},
        channels=planned.channels,
        recipe=planned.recipe,
    )


def _shown(channel: Channel, planned: Planned, model: Model, grid: Array, outputs: Array) -> Array:
    names = [signal.name for signal in model.outputs]
    if channel.output not in names:
        raise unknown_name("output", channel.output, names)
    return np.asarray(outputs[np.searchsorted(grid, planned.sampled(channel)), names.index(channel.output)])
