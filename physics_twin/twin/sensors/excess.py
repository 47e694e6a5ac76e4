"""Readings that lie on one side of the model for longer than chance has it: a two-sided cumulative sum.

Page, Continuous inspection schemes, Biometrika 41 (1954). The sum of (residual over its standard deviation, less a
reference of a quarter) starts again at zero whenever it falls below; so the stretch above zero says since when. The
mean number of readings between two false alarms is Siegmund's approximation (Sequential Analysis, 1985, equation 2.57).
"""

import functools
import math

from physics_twin.twin.state import ChannelMonitor, Excess

REFERENCE = 0.25
"""Half of the shift that is found soonest, in standard deviations of a residual."""
LARGEST = 60.0
"""A sum without an end would take a month to come down after a month of bias."""
# The walk is seen at whole readings only, and so overshoots the limit; 0.583 on each side of it.
_OVERSHOOT = 1.166


@functools.lru_cache(maxsize=64)
def limit(every: float) -> float:
    """The height of the sum at which one false alarm is to be expected in `every` readings, of both sides together.

    >>> round(limit(1e6), 1)
    23.7
    """
    low, high = 0.0, LARGEST
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if between_alarms(middle) < every else (low, middle)
    return high


def between_alarms(height: float) -> float:
    """How many readings of a healthy channel lie between two false alarms at a limit, on average."""
    b = 2.0 * REFERENCE * (height + _OVERSHOOT)
    return 0.5 * (math.exp(b) - b - 1.0) / (2.0 * REFERENCE**2)


def summed(monitor: ChannelMonitor, time: int, residual: float, variance: float) -> tuple[Excess, Excess]:
    """Both sums after one more residual that was used; SI."""
    z = residual / math.sqrt(variance)
    return _one(monitor.high, z, time, residual, variance), _one(monitor.low, -z, time, residual, variance)


def _one(before: Excess, z: float, time: int, residual: float, variance: float) -> Excess:
    value = min(before.value + z - REFERENCE, LARGEST)
    if value <= 0.0:
        return _NOTHING
    if before.since is None:
        return Excess(value, time, 1, residual, variance)
    return Excess(value, before.since, before.n + 1, before.total + residual, before.weight + variance)


_NOTHING = Excess()
