"""What a twin is told at its start and keeps: model, sensors, how fast things wander, how far sensors are trusted."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.random_walk import RandomWalk
from physics_twin.measurements import Channel
from physics_twin.model import Model
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.recipes import Recipe


@dataclass(frozen=True)
class Guard:
    """How far readings are trusted.

    probability: a reading is turned away when one as far off has less than 1 - probability. reset_after: so many in a
    row that agree with each other open the gate again: it is the plant that has changed. stuck_after: s in which a
    reading has not moved although the model says that it should have. gap: s without samples after which the spread
    has grown by the random walks alone and no parameter is updated by the first sample.
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


@dataclass(frozen=True, eq=False)
class Setup:
    """parameters: the uncertain ones, whether they are updated (adaptive) or held (frozen). fixed: all others, SI.
    channels: output -> its channel. walks: state or parameter -> how it wanders.
    """

    model: Model
    posterior: Posterior
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, float]
    channels: Mapping[str, Channel]
    walks: Mapping[str, RandomWalk]
    seed: int
    adaptive: bool
    guard: Guard = field(default_factory=Guard)
    window: Window = field(default_factory=Window)

    @functools.cached_property
    def coordinates(self) -> Coordinates:
        """What the filters update."""
        return Coordinates.of(self.model, self.parameters, frozen=not self.adaptive)

    def dynamics(self, recipe: Recipe) -> Dynamics:
        """The model under a recipe, as filters see it."""
        kept = self._dynamics.get(id(recipe))
        if kept is None or kept.recipe is not recipe:
            self._dynamics.clear()
            kept = self._dynamics[id(recipe)] = Dynamics(self.model, recipe, self.fixed, self.coordinates)
        return kept

    @functools.cached_property
    def _dynamics(self) -> dict[int, Dynamics]:
        return {}
