"""What a twin is told at its start and keeps: model, sensors, how fast things wander, how far sensors are trusted."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Start
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.method import Method
from physics_twin.assimilation.random_walk import RandomWalk
from physics_twin.measurements import Channel
from physics_twin.model import Model
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.recipes import Recipe
from physics_twin.twin.channel_facts import ChannelFacts, facts_of, unknown_bias
from physics_twin.twin.state import Batch
from physics_twin.twin.timeline import Sample
from physics_twin.units import Unit, to_si

if TYPE_CHECKING:
    from physics_twin.twin.window import Layout

_RECIPES = 16
"""Recipes whose dynamics are kept: of the batch, of the one before, and of forecasts."""


@dataclass(frozen=True)
class Guard:
    """How far readings are trusted.

    probability: a reading is turned away when one as far off has less than 1 - probability. reset_after: so many in a
    row that agree with each other open the gate again: it is the plant that has changed. stuck_after: s in which a
    reading has not moved although the model says that it should have. gap: s without readings of a channel after which
    the spread has grown by the random walks alone and its first reading updates no parameter; at least three times the
    usual interval of the channel, so that one which is read every hour has no gap every hour.
    """

    probability: float = 0.999
    reset_after: int = 5
    stuck_after: float = 120.0
    gap: float = 600.0
    suspect_factor: float = 4.0
    """By which the variance of a suspect reading is multiplied."""


@dataclass(frozen=True)
class Window:
    """How far back late samples are taken in: snapshots of the last `seconds` (at most `n` moments), and one every
    `every` seconds for `n_sparse` times, for laboratory results.
    """

    seconds: float = 120.0
    n: int = 64
    every: float = 3600.0
    n_sparse: int = 72
    megabytes: float = 256.0
    """What all snapshots together may take; large states are kept at fewer moments."""


@dataclass(frozen=True, eq=False)
class Beginning:
    """Where the timeline begins: what a replay starts from.

    time: ns UTC. settings: live inputs as far as they were known then, SI. start: draws of states and parameters.
    """

    time: int
    batch: Batch
    settings: Mapping[str, float]
    start: Start


@dataclass(frozen=True, eq=False)
class Setup:
    """parameters: the uncertain ones, whether they are updated (adaptive) or held (frozen): those of the model, then
    the unknown biases of sensors (`bias.<output>`). fixed: all others of the model, SI.
    channels: output -> its channel. walks: state or parameter -> how it wanders. method: the filter.
    """

    model: Model
    posterior: Posterior
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, float]
    channels: Mapping[str, Channel]
    walks: Mapping[str, RandomWalk]
    seed: int
    adaptive: bool
    method: Method
    beginning: Beginning
    earliest: int
    """ns UTC: what lies before it is never filtered again, since another method was in force then."""
    guard: Guard = field(default_factory=Guard)
    window: Window = field(default_factory=Window)
    noise: Mapping[str, float] = field(default_factory=dict)
    """Channel -> factor on the standard deviation of its noise, where samples have shown another than was declared."""

    @functools.cached_property
    def coordinates(self) -> Coordinates:
        """What the filters update."""
        return Coordinates.of(self.model, self.parameters, frozen=not self.adaptive, biased=self._biased)

    @functools.cached_property
    def held(self) -> Coordinates:
        """The same with every parameter held: for the first samples after a gap."""
        return Coordinates.of(self.model, self.parameters, frozen=True, biased=self._biased)

    @functools.cached_property
    def _biased(self) -> tuple[tuple[int, int], ...]:
        """For each channel with an unknown bias the row of its output, and where the bias is among the parameters."""
        names = [p.name for p in self.parameters]
        outputs = [signal.name for signal in self.model.outputs]
        biases = {name: unknown_bias(channel, self.posterior) for name, channel in self.channels.items()}
        return tuple((outputs.index(name), names.index(b.name)) for name, b in biases.items() if b is not None)

    @property
    def n_shown(self) -> int:
        """Outputs of the model, and readings of them that an unknown bias is part of."""
        return len(self.model.outputs) + len(self._biased)

    @functools.cached_property
    def rates(self) -> Array:
        """(n_coordinates,) per second: variance that the random walks add."""
        return self.coordinates.variance_rates(self.model, self.walks)

    @functools.cached_property
    def layout(self) -> "Layout":
        """Which states are kept to go back to."""
        from physics_twin.assimilation.ensemble_kalman import EnsembleKalman
        from physics_twin.twin.window import layout_of

        start = self.beginning.start
        n_rows = self.method.n_members if isinstance(self.method, EnsembleKalman) else len(start.states)
        return layout_of(self.window, n_rows * (start.states.shape[1] + start.parameters.shape[1]))

    @functools.cached_property
    def facts(self) -> Mapping[str, ChannelFacts]:
        """Channel -> what its samples need on their way to the filter."""
        outputs = [signal.name for signal in self.model.outputs]
        rows = {name: row for row, name in enumerate(outputs)}
        rows |= {outputs[row]: len(outputs) + k for k, (row, _) in enumerate(self._biased)}
        found = {name: facts_of(c, rows[name], self.posterior) for name, c in self.channels.items()}
        return {name: facts.noisier(self.noise.get(name, 1.0)) for name, facts in found.items()}

    @functools.cached_property
    def input_names(self) -> frozenset[str]:
        """Inputs of the model."""
        return frozenset(signal.name for signal in self.model.inputs)

    def input_si(self, unit: Unit, sample: Sample) -> float:
        """The number of a sample of a live input, in its own unit or else in that of the input; raises UnitError."""
        if not sample.unit or sample.unit == unit.text:
            return float(unit.to_si(sample.value))
        return to_si((sample.value, sample.unit), unit, name=sample.channel)

    def dynamics(self, recipe: Recipe, *, held: bool = False) -> Dynamics:
        """The model under a recipe, as filters see it; held: with no parameter updated."""
        kept = self._dynamics.get((id(recipe), held))
        if kept is None or kept.recipe is not recipe:
            if len(self._dynamics) > _RECIPES:
                self._dynamics.clear()
            coordinates = self.held if held else self.coordinates
            places = {name: channel.place for name, channel in self.channels.items() if channel.place is not None}
            kept = self._dynamics[id(recipe), held] = Dynamics(self.model, recipe, self.fixed, coordinates, places)
        return kept

    @functools.cached_property
    def _dynamics(self) -> dict[tuple[int, bool], Dynamics]:
        return {}
