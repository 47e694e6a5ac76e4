"""Stuck sensors: readings that stand still while the plant, as far as the model knows it, does not.

A reading that stands still is no fault by itself: so does a plant at rest behind a coarse converter. It is one when the
model says that it should have moved, clearly more than the converter and the noise hide. A filter follows a stuck
sensor: its expectation is pulled back by every reading. What counts is therefore also how far the model would have
moved by itself between the updates; older movements are forgotten (over `stuck_after`), or the smallest error of the
model would add up to a verdict in a night.

Two things are faster. A sensor that has hardly ever shown the same number twice and now shows it five times in a row is
at least suspect. And one that stands still for longer than it has a habit to, while the model clearly moves, is stuck
without waiting for `stuck_after`: by then a filter with fast random walks would have followed it.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from physics_twin.twin.sensors.reading import Reading
from physics_twin.twin.state import ChannelMonitor

if TYPE_CHECKING:
    from physics_twin.twin.setup import Guard

# What the model must have moved by: so many standard deviations of noise and prediction, beside two steps of the
# converter. Five: a check that is made every second must not be wrong once in a year.
_CLEARLY = 5.0
_STEPS = 2.0
# Fewer equal readings show nothing: a laboratory reports two days alike.
_AT_LEAST = 3
FLAT = 5
"""So many equal numbers in a row are suspect of a sensor that hardly ever repeats one."""
_KNOWN = 50
_HARDLY_EVER = 0.02
# A run of equal numbers that is so rare is found every few hours; not one beside which the model has moved by three
# standard deviations as well.
_RARE = 1e-4
_SOON = 3.0
_MEMORY = 1000
# Two numbers of one converter are equal up to the rounding of their change of unit.
_SAME = 1e-6


def follow(monitor: ChannelMonitor, guard: "Guard", reading: Reading) -> ChannelMonitor:
    """The monitor after one more number that can be compared: how long the reading has stood still, whether stuck."""
    before = reading.time if monitor.last_time is None else monitor.last_time
    same = reading.value == monitor.last_value
    n, repeated, continued = _habits(monitor, same)
    n_same = monitor.n_same + 1 if same else 1
    step = reading.resolution * (1.0 + _SAME)
    if monitor.held_since is None or not abs(reading.value - monitor.held_value) <= step:
        return replace(
            monitor,
            n_same=n_same,
            last_time=reading.time,
            last_value=reading.value,
            n_readings=n,
            n_repeated=repeated,
            n_continued=continued,
            held_since=reading.time,
            held_value=reading.value,
            held_low=reading.predicted,
            held_high=reading.predicted,
            held_moved=0.0,
            n_held=1,
            stuck=False,
        )
    held = (reading.time - monitor.held_since) * 1e-9
    passed = max((reading.time - before) * 1e-9, 0.0)
    moved = monitor.held_moved * (math.exp(-passed / guard.stuck_after) if guard.stuck_after > 0.0 else 0.0)
    if math.isfinite(reading.moved):
        moved += reading.moved
    low, high = min(monitor.held_low, reading.predicted), max(monitor.held_high, reading.predicted)
    spread = math.sqrt(reading.variance + reading.predicted_variance)
    by = max(high - low, abs(moved)) - _STEPS * reading.resolution
    long = held >= guard.stuck_after and monitor.n_held + 1 >= _AT_LEAST
    stuck = monitor.stuck or (long and by > _CLEARLY * spread) or (_unusual(monitor, n_same) and by > _SOON * spread)
    return replace(
        monitor,
        n_same=n_same,
        last_time=reading.time,
        last_value=reading.value,
        n_readings=n,
        n_repeated=repeated,
        n_continued=continued,
        held_low=low,
        held_high=high,
        held_moved=moved,
        n_held=monitor.n_held + 1,
        stuck=stuck,
    )


def _unusual(monitor: ChannelMonitor, n_same: int) -> bool:
    """Whether so many equal numbers in a row are no habit of this sensor: one behind a coarse converter has it."""
    if monitor.n_readings < _KNOWN or n_same < FLAT:
        return False
    begins = max(monitor.n_repeated, 1) / monitor.n_readings
    goes_on = (monitor.n_continued + 0.5) / (monitor.n_continued + monitor.n_repeated + 1.0)
    return begins * goes_on ** (n_same - 2) < _RARE


def flat(monitor: ChannelMonitor, reading: Reading) -> bool:
    """Whether a lively sensor shows one number, and the model does not stand still with it."""
    lively = monitor.n_readings >= _KNOWN and monitor.n_repeated <= _HARDLY_EVER * monitor.n_readings
    moved = monitor.held_high - monitor.held_low
    return monitor.n_same >= FLAT and lively and moved > reading.resolution + 0.1 * math.sqrt(reading.variance)


def _habits(monitor: ChannelMonitor, same: bool) -> tuple[int, int, int]:
    """How many readings there were, how often one was repeated (each run once, so that none vouches for itself), and
    how often a run went on, counted at its end.
    """
    n, repeated, continued = monitor.n_readings, monitor.n_repeated, monitor.n_continued
    if not same and not monitor.stuck:
        continued += max(monitor.n_same - 2, 0)
    if monitor.n_same >= FLAT and same:
        return n, repeated, continued
    same = same and monitor.n_same == 1
    if n < _MEMORY:
        return n + 1, repeated + same, continued
    return n // 2 + 1, repeated // 2 + same, continued // 2
