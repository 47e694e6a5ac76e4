"""Sums that find readings on one side of the model: how often they are wrong, how soon they are right."""

from dataclasses import replace

import numpy as np
import pytest

from physics_twin.twin.sensors.excess import between_alarms, limit, summed
from physics_twin.twin.state import ChannelMonitor
from tests.twin.sensors.streams import healthy, judged


def run_length(height: float, rng: np.random.Generator, shift: float = 0.0) -> int:
    """Readings until one of the two sums passes the limit."""
    monitor = ChannelMonitor()
    k = 0
    while True:
        k += 1
        high, low = summed(monitor, k, float(rng.normal(shift, 1.0)), 1.0)
        if max(high.value, low.value) > height:
            return k
        monitor = ChannelMonitor(high=high, low=low)


@pytest.mark.parametrize("every", [100.0, 400.0])
def test_false_alarms_are_as_rare_as_stated(every: float) -> None:
    """Mean time between alarms of 400 healthy runs: within 5 standard errors (of an exponential) and 5 % of theory."""
    rng = np.random.default_rng(1)
    lengths = [run_length(limit(every), rng) for _ in range(400)]
    assert abs(np.mean(lengths) - every) < (5.0 / np.sqrt(400) + 0.05) * every


def test_the_limit_and_the_time_between_alarms_are_inverses() -> None:
    """To the last digits, from ten readings to a million million."""
    for every in (10.0, 1e3, 1e6, 1e12):
        assert between_alarms(limit(every)) == pytest.approx(every, rel=1e-9)


@pytest.mark.parametrize("shift", [0.5, 1.0, -1.0])
def test_a_bias_is_found_after_the_limit_over_what_it_exceeds(shift: float) -> None:
    """Mean delay is limit / (shift - 1/4) readings, to the overshoot of one reading and five standard errors."""
    rng = np.random.default_rng(2)
    height = limit(1e6)
    delays = [run_length(height, rng, shift) for _ in range(100)]
    expected = height / (abs(shift) - 0.25)
    error = np.sqrt(height / (abs(shift) - 0.25) ** 3 / 100)
    assert abs(np.mean(delays) - expected) < 5.0 * error + 2.0 / (abs(shift) - 0.25)


def test_the_stretch_says_since_when_and_how_much() -> None:
    """A bias of 0.3 K from the 500th reading on: begun within 60 readings of it, its size within four deviations."""
    readings = healthy(800, 3)
    biased = [r if k < 500 else replace(r, value=r.value + 0.3) for k, r in enumerate(readings)]
    monitor, _ = judged(biased)
    assert monitor.high.value > limit(1e6)
    assert monitor.low.value < limit(1e6)
    assert abs((monitor.high.since or 0) / 1e9 - 500) < 60
    size, sd = monitor.high.total / monitor.high.n, np.sqrt(monitor.high.weight) / monitor.high.n
    assert abs(size - 0.3) < 4.0 * sd
