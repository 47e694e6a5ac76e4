"""How many readings of a channel are used, of late."""

from dataclasses import replace

import pytest

from physics_twin.measurements.flags import Flag
from physics_twin.twin.sensors import Reading, judge
from physics_twin.twin.setup import Guard
from physics_twin.twin.state import ChannelMonitor
from physics_twin.units import Unit


def test_the_share_of_readings_that_are_used():
    """Exact over the first thousand; after that the last ones count, however long all was well before."""
    good = Reading(0, 300.0, 0.01, Flag.GOOD, 300.0, 0.01, Unit("K"))
    monitor = ChannelMonitor()
    for k in range(10):
        bad = k in (2, 5, 6)
        monitor, _ = judge(monitor, Guard(), replace(good, time=k, flag=Flag.BAD if bad else Flag.GOOD))
    assert monitor.share_used == pytest.approx(0.7, rel=1e-12)
    for k in range(3000):
        monitor, _ = judge(monitor, Guard(), replace(good, time=k))
    for k in range(700):
        monitor, _ = judge(monitor, Guard(), replace(good, time=k, flag=Flag.BAD))
    assert monitor.share_used == pytest.approx(0.999**700, rel=0.05)
