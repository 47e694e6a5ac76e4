"""Unit jumps: someone has set the transmitter to degF, or the historian's scaling has lost a factor of ten.

Readings that are turned away and fit once a usual conversion is undone are not used and not converted: what has changed
one thing may have changed two. A step of the plant that happens to measure as much as a conversion is told apart by
its scatter (a factor of ten makes the noise ten times as large) where a good part of all steps would fit, and by what
follows: it fits the conversion no longer as soon as the plant moves on.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from physics_twin.measurements.quality import Conversion, conversions
from physics_twin.twin.sensors.gate import outside, quantile
from physics_twin.twin.sensors.reading import Reading
from physics_twin.twin.state import ChannelMonitor

if TYPE_CHECKING:
    from physics_twin.twin.setup import Guard

DECIDED = 3
"""So many readings in a row that fit the same conversion are a unit jump."""
# A jump counts when it towers over what noise and prediction leave open, else any reading fits some conversion.
_TOWERS = 8.0


# What fits by chance: readings within so much of their distance to the model, about the conversion, are a sharp match.
_SHARP = 0.25
_SCATTERED = 0.999


def consider(monitor: ChannelMonitor, guard: "Guard", reading: Reading, variance: float) -> ChannelMonitor:
    """The monitor after a reading that was turned away: what it looks like, and whether that is decided.

    variance: of the residual, SI squared.
    """
    found = _candidate(guard, reading, variance)
    if found is None:
        return replace(monitor, unit_candidate="", n_candidate=0)
    n = monitor.n_candidate + 1 if found.after == monitor.unit_candidate else 1
    if n >= DECIDED:
        reach = found.factor * math.sqrt(quantile(1, guard.probability) * variance)
        sharp = reach <= _SHARP * abs(reading.value - reading.predicted)
        if sharp or _scattered(monitor.rejected[-n:], reading.variance):
            return replace(monitor, unit_jump=found.after, unit_candidate="", n_candidate=0, rejected=())
    return replace(monitor, unit_candidate=found.after, n_candidate=n)


def undecided(monitor: ChannelMonitor) -> bool:
    """Whether the next readings are to be waited for before the gate is opened to a plant that has changed."""
    return 0 < monitor.n_candidate < DECIDED


def _candidate(guard: "Guard", reading: Reading, variance: float) -> Conversion | None:
    """The conversion that, undone, brings the reading back within the gate; the best one."""
    if abs(reading.value - reading.predicted) < _TOWERS * math.sqrt(variance):
        return None
    best = min(conversions(reading.unit), key=lambda one: abs(_residual(one, reading)))
    return None if outside(_residual(best, reading), variance, guard.probability) else best


def _scattered(rejected: tuple[tuple[int, float], ...], variance: float) -> bool:
    """Whether residuals (time ns, SI) scatter by more than the noise of their sensor."""
    residuals = [residual for _, residual in rejected]
    if len(residuals) < DECIDED:
        return False
    mean = sum(residuals) / len(residuals)
    square = sum((one - mean) ** 2 for one in residuals)
    return square > quantile(len(residuals) - 1, _SCATTERED) * variance


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
