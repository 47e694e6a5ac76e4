"""Everything that changes when a twin moves on: small frozen values, so that a snapshot is a reference."""

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief
from physics_twin.recipes import Recipe
from physics_twin.twin.moments import SECOND

GAPS = 3
"""Times the usual interval of a channel that are a gap."""


class Mode(enum.Enum):
    """What the plant is doing, as far as the twin has to know."""

    RUNNING = "running"
    IDLE = "idle"
    MAINTENANCE = "maintenance"
    OUT_OF_SERVICE = "out of service"


@dataclass(frozen=True)
class Batch:
    """The run of the plant in which the twin stands. origin: ns UTC of the recipe's 0 s."""

    name: str
    origin: int
    recipe: Recipe
    context: Mapping[str, str | float] = field(default_factory=dict)

    def elapsed(self, time: int) -> float:
        """s on the recipe's clock."""
        return (time - self.origin) / 1_000_000_000  # rounded once: the end of a phase is met exactly

    @functools.cached_property
    def declared(self) -> Mapping[str, float]:
        """Open settings with the value that the recipe says for as long as none is read, SI."""
        return {name: s.value for name, s in self.recipe.settings.items() if s.value is not None}


@dataclass(frozen=True)
class Mask:
    """A channel that nobody is to believe for a while; until in ns UTC, None until it is lifted."""

    channel: str
    begin: int
    until: int | None
    reason: str
    who: str

    def covers(self, channel: str, time: int) -> bool:
        """Whether it holds for a sample."""
        return self.channel == channel and self.begin <= time and (self.until is None or time < self.until)


@dataclass(frozen=True)
class Excess:
    """A one-sided cumulative sum of standardized residuals, and the stretch it has been above zero (Page 1954)."""

    value: float = 0.0
    since: int | None = None
    """ns UTC of the first reading of that stretch."""
    n: int = 0
    total: float = 0.0
    """Readings of that stretch and the sum of their residuals, SI."""
    weight: float = 0.0
    """Sum of the variances of these residuals, SI squared."""


@dataclass(frozen=True)
class ChannelMonitor:
    """What the checks of one channel remember. Numbers are SI; times ns UTC, None for never."""

    last_time: int | None = None
    last_value: float = float("nan")
    last_good: int | None = None
    intervals: tuple[int, ...] = ()
    """ns between the last readings that were used, the latest last."""
    held_since: int | None = None
    """Since when the reading has been the same number, within the resolution of its converter."""
    held_value: float = float("nan")
    """That number."""
    held_low: float = float("nan")
    held_high: float = float("nan")
    """Lowest and highest of what the model has expected since then."""
    held_moved: float = 0.0
    """How far the model would have moved since then by itself, older movements forgotten."""
    n_held: int = 0
    n_same: int = 0
    """How many readings in a row have been that number within the converter's resolution, and to the last bit."""
    n_readings: int = 0
    n_repeated: int = 0
    n_continued: int = 0
    """Readings so far, how many times one was repeated, once or more, and by how many more than once in all; halved
    from time to time.
    """
    rejected: tuple[tuple[int, float], ...] = ()
    """(time, residual) of the samples in a row that the gate has turned away."""
    unit_candidate: str = ""
    n_candidate: int = 0
    """Which conversion the last rejected readings fit, and how many in a row."""
    unit_jump: str = ""
    """Which conversion the readings look like; "" where they are in their own unit."""
    stuck: bool = False
    replaced: int | None = None
    """When the sensor was last replaced."""
    n_good: int = 0
    """Readings used."""
    n_judged: int = 0
    share_used: float = 0.0
    """Readings so far, at most a thousand, and the share of them that were used; older ones are forgotten."""
    innovation: float = float("nan")
    innovation_before: float = float("nan")
    """Residual over its predicted standard deviation, of the last two readings that were used."""
    power: float = 1.0
    """Mean square of these, older ones forgotten; 1 is expected."""
    high: Excess = Excess()
    low: Excess = Excess()
    """Whether readings lie above, and below, what the model expects, for longer than chance has it."""


@dataclass(frozen=True)
class InputMonitor:
    """What is remembered of the readings of one live input."""

    last_good: int | None = None
    """ns UTC of the last reading that was taken, None for never."""
    longest: int = 0
    """ns: the longest time between two of them."""
    n_good: int = 0
    n_left_out: int = 0
    """Readings that were taken, and readings since the last of them that were not."""


@dataclass(frozen=True, eq=False)
class Consistency:
    """The last innovations, for the question whether the filter's own uncertainty is right.

    Sums over blocks of moments, oldest first, so that the memory is bounded. times: (n_blocks,) ns of the last moment
    of a block. sums: (n_blocks, n_sums); `physics_twin.twin.consistency` says which.
    """

    times: NDArray[np.int64]
    sums: Array


@dataclass(frozen=True, eq=False)
class FilterState:
    """All that a twin knows after the entries up to `time` (inclusive).

    settings: live inputs as last read, SI, and none that is only declared. monitors: channel -> what its checks
    remember. outputs, covariance: the model's outputs at `time` after its samples were used, (n_outputs,) SI and
    (n_outputs, n_outputs), without sensor noise; behind them readings with their unknown bias (`Dynamics.advance`).
    trouble: why the last step was a prediction only, "" where it was not. n_updates: moments with an update so far.
    reached: ns that the belief is of; before `time` where the model could not be carried on, or the plant is out of
    service. last_update: ns of the last moment from which something was learned.
    """

    time: int
    belief: Belief
    batch: Batch
    settings: Mapping[str, float]
    mode: Mode
    masks: tuple[Mask, ...]
    monitors: Mapping[str, ChannelMonitor]
    consistency: Consistency
    outputs: Array
    covariance: Array
    trouble: str = ""
    n_updates: int = 0
    n_failed_members: int = 0
    reached: int = 0
    last_update: int = 0
    n_held: int = 0
    """Updates in a row that came after a gap of a channel and moved no parameter."""
    live: Mapping[str, InputMonitor] = field(default_factory=dict)
    """Live input -> what is remembered of its readings."""

    def after_gap(self, channel: str, gap: float) -> bool:
        """Whether the reading of a channel that was just used came after a gap, which is at least `gap` s long.

        A channel that is read every hour has no gap every hour: three times what was usual for it is one.
        """
        monitor = self.monitors[channel]
        begun = self.batch.origin if monitor.replaced is None else max(self.batch.origin, monitor.replaced)
        before = sorted(monitor.intervals[:-1])
        usual = before[len(before) // 2] if before else 0
        since = min(monitor.intervals[-1:], default=self.time - begun)
        return min(since, self.time - begun) > max(gap * SECOND, GAPS * usual)

    @functools.cached_property
    def held(self) -> Mapping[str, float]:
        """Live inputs as the model has them, SI: as last read, as the running recipe declares them before that."""
        return {**self.batch.declared, **self.settings}
