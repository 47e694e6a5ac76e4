"""Everything that changes when a twin moves on: small frozen values, so that a snapshot is a reference."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief
from physics_twin.recipes import Recipe


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
        return (time - self.origin) * 1e-9


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
class ChannelMonitor:
    """What the checks of one channel remember. Numbers are SI; times ns UTC, None for never."""

    last_time: int | None = None
    last_value: float = float("nan")
    last_good: int | None = None
    held_since: int | None = None
    """Since when the reading has been the same number."""
    held_from: float = float("nan")
    """What the model expected when the reading stopped moving."""
    rejected: tuple[tuple[int, float], ...] = ()
    """(time, residual) of the samples in a row that the gate has turned away."""
    unit_jump: str = ""
    """Which conversion the readings look like; "" where they are in their own unit."""
    stuck: bool = False
    replaced: int | None = None
    """When the sensor was last replaced."""


@dataclass(frozen=True, eq=False)
class Consistency:
    """The last innovations, for the question whether the filter's own uncertainty is right.

    times: (n,) ns. nis: (n,) normalized innovations squared. dof: (n,) samples in each.
    """

    times: Array
    nis: Array
    dof: Array


@dataclass(frozen=True, eq=False)
class FilterState:
    """All that a twin knows after the entries up to `time` (inclusive).

    settings: live inputs as last read, SI. monitors: channel -> what its checks remember. outputs, covariance: the
    model's outputs at `time` after the update, (n_outputs,) SI and (n_outputs, n_outputs), without sensor noise.
    trouble: why the last step was a prediction only, "" where it was not. n_updates: moments with an update so far.
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
