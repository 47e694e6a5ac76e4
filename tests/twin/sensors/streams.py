"""Streams of readings for the checks of sensors: what a model expects, and what a sensor shows of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from physics_twin.measurements.flags import Flag
from physics_twin.twin.moments import SECOND
from physics_twin.twin.sensors import Reading, Verdict, judge
from physics_twin.twin.setup import Guard
from physics_twin.twin.state import ChannelMonitor
from physics_twin.units import unit

DEGC = unit("degC")
NORMAL = Reading(0, 350.0, 0.04, Flag.GOOD, 350.0, 0.01, DEGC)
"""A reading of 350 K with noise 0.2 K where 350 K +- 0.1 K is expected."""


def reading(k: int, value: float, predicted: float = 350.0, **changed: object) -> Reading:
    """The k-th reading, one a second, K."""
    return replace(NORMAL, time=k * SECOND, value=value, predicted=predicted, **changed)  # type: ignore[arg-type]


def judged(
    readings: Iterable[Reading], guard: Guard | None = None, monitor: ChannelMonitor | None = None
) -> tuple[ChannelMonitor, list[Verdict]]:
    """All readings of a stream in their order."""
    after = ChannelMonitor() if monitor is None else monitor
    verdicts = []
    for one in readings:
        after, verdict = judge(after, Guard() if guard is None else guard, one)
        verdicts.append(verdict)
    return after, verdicts


def healthy(n: int, seed: int, *, begin: int = 0, predicted: Sequence[float] | None = None) -> list[Reading]:
    """Readings whose residuals are as large as the model and the noise say."""
    rng = np.random.default_rng(seed)
    residuals = rng.normal(0.0, np.sqrt(NORMAL.variance + NORMAL.predicted_variance), n)
    expected = np.full(n, 350.0) if predicted is None else np.asarray(predicted)
    return [
        reading(begin + k, float(e + r), float(e)) for k, (e, r) in enumerate(zip(expected, residuals, strict=True))
    ]


@dataclass
class Follower:
    """A Kalman filter of one temperature that wanders, with judge before its update: the smallest twin there is."""

    rate: float = 0.0004
    mean: float = 350.0
    variance: float = 0.01
    noise: float = 0.04
    guard: Guard | None = None
    resolution: float = 0.0
    monitor: ChannelMonitor = field(default_factory=ChannelMonitor)
    time: int = 0

    def take(self, value: float, *, drift: float = 0.0, seconds: float = 1.0) -> Verdict:
        """Predict over some seconds, with what the model says it moves by, then update."""
        self.time += round(seconds * SECOND)
        self.mean += drift
        self.variance += self.rate * seconds
        one = Reading(
            self.time,
            value,
            self.noise,
            Flag.GOOD,
            self.mean,
            self.variance,
            DEGC,
            resolution=self.resolution,
            moved=drift,
        )
        self.monitor, verdict = judge(self.monitor, self.guard or Guard(), one)
        if verdict.use:
            spread = self.variance * (verdict.widen if verdict.reopen else 1.0)
            gain = spread / (spread + self.noise * verdict.variance_factor)
            self.mean += gain * (value - self.mean)
            self.variance = (1.0 - gain) * spread
        return verdict
