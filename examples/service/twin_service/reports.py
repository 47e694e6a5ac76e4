"""What workers tell the main process: plain values that cross a pipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from physics_twin.twin.journal import PackedTwin
from twin_service.logs import Event


@dataclass(frozen=True)
class Said:
    """A record for the log."""

    event: Event
    message: str
    asset: str
    twin_time: int | None = None


@dataclass(frozen=True)
class ToSave:
    """A state to be kept, which has taken in appends up to `reached`."""

    asset: str
    reached: int
    twin: PackedTwin


@dataclass(frozen=True)
class Point:
    """One sample beside what the twin expected, in the channel's unit; time in ns UTC. why: not "" where unused."""

    channel: str
    time: int
    observed: float
    predicted: float
    sd: float
    used: bool
    why: str


@dataclass(frozen=True)
class Update:
    """What one look at a twin shows.

    time: ns UTC, its present. values: name -> (mean, standard deviation, unit) of outputs; parameters: likewise.
    points: since the last one. seconds: wall clock of each call of assimilate since then. health: as JSON, "" where it
    was not asked for anew. nis: of the last call with an update. courses: parameter -> (time, mean, standard deviation)
    since the last one. envelope: setting -> (low, high, present, unit).
    """

    asset: str
    time: int
    reached: int
    status: str
    reason: str
    values: Mapping[str, tuple[float, float, str]]
    parameters: Mapping[str, tuple[float, float, str]]
    points: tuple[Point, ...]
    seconds: tuple[float, ...]
    health: str
    nis: float
    lag: float
    pending: int
    counts: Mapping[str, int]
    courses: Mapping[str, tuple[tuple[int, float, float], ...]]
    envelope: Mapping[str, tuple[float, float, float, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """A worker has taken up all its assets."""


@dataclass(frozen=True)
class Stopped:
    """A worker has saved everything and ends."""
