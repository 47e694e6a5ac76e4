"""Unit jumps: someone has set the transmitter to degF, or the historian's scaling has lost a factor of ten.

Readings that are turned away and fit once a usual conversion is undone are not used and not converted: what has changed
one thing may have changed two. A step of the plant that happens to measure as much as a conversion is told apart by
what follows: it fits the conversion no longer as soon as the plant moves on.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from physics_twin.measurements.quality import Conversion, conversions
from physics_twin.twin.sensors.gate import outside
from physics_twin.twin.sensors.reading import Reading
from physics_twin.twin.state import ChannelMonitor

if TYPE_CHECKING:
    from physics_twin.twin.setup import Guard

DECIDED = 3
"""So many readings in a row that fit the same conversion are a unit jump."""
# A jump counts when it towers over what noise and prediction leave open, else any reading fits some conversion.
_TOWERS = 8.0


def candidate(guard: "Guard", reading: Reading, variance: float) -> str:
    """What a reading that was turned away looks like ("degF", "a factor of 10"); "" for nothing of the kind.

    variance: of the residual, SI squared.
    """
    if abs(reading.value - reading.predicted) < _TOWERS * math.sqrt(variance):
        return ""
    fits = [(abs(_residual(one, reading)), one.after) for one in conversions(reading.unit)]
    best, after = min(fits)
    return "" if outside(best, variance, guard.probability) else after


def noted(monitor: ChannelMonitor, after: str) -> ChannelMonitor:
    """The monitor after a reading that was turned away and looks like `after`; decides for a unit jump."""
    if not after:
        return replace(monitor, unit_candidate="", n_candidate=0)
    n = monitor.n_candidate + 1 if after == monitor.unit_candidate else 1
    if n >= DECIDED:
        return replace(monitor, unit_jump=after, unit_candidate="", n_candidate=0, rejected=())
    return replace(monitor, unit_candidate=after, n_candidate=n)


def watch(monitor: ChannelMonitor, guard: "Guard", reading: Reading, variance: float) -> ChannelMonitor:
    """The monitor of a channel in a unit jump after one more reading: goes on, is back, or was none.

    Back where the reading fits better as it is than converted: by then the model may know so little that both fit. None
    where `reset_after` readings in a row fit neither way.
    """
    own = reading.value - reading.predicted
    found = [one for one in conversions(reading.unit) if one.after == monitor.unit_jump]
    converted = _residual(found[0], reading) if found else math.inf
    if abs(own) <= abs(converted) and not outside(own, variance, guard.probability):
        return replace(monitor, unit_jump="", n_candidate=0)
    if found and not outside(converted, variance, guard.probability):
        return replace(monitor, n_candidate=0)
    n = monitor.n_candidate + 1
    if n >= max(guard.reset_after, 1):
        return replace(monitor, unit_jump="", n_candidate=0)
    return replace(monitor, n_candidate=n)


def _residual(conversion: Conversion, reading: Reading) -> float:
    """What is left when the conversion is undone, SI."""
    declared = reading.unit.from_si(reading.value)
    return reading.unit.to_si(conversion.undo(declared)) - reading.predicted
