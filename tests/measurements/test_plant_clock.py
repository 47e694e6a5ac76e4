"""Moments by the clock of the plant."""

import datetime as dt
import math

from physics_twin.measurements.plant_clock import PlantClock


def test_the_two_passes_of_a_repeated_hour_are_told_apart() -> None:
    """By the short name of the zone; seconds are said where there are any."""
    clock = PlantClock(dt.datetime(2026, 10, 25, tzinfo=dt.UTC), "Europe/Berlin")
    assert clock.text(0.0) == "2026-10-25 02:00 CEST"
    assert clock.text(3600.0) == "2026-10-25 02:00 CET"
    assert clock.text(3661.4) == "2026-10-25 02:01:01 CET"
    assert clock.since(3600.0)(1800.0) == "30 min (2026-10-25 02:30 CET)"


def test_without_a_zone_it_is_utc_and_without_an_origin_a_duration() -> None:
    """An elapsed time has no clock; nor has a time that is not known."""
    assert PlantClock(dt.datetime(2026, 10, 25, tzinfo=dt.UTC)).text(60.0) == "2026-10-25 00:01 UTC"
    assert PlantClock(None, "Europe/Berlin").text(60.0) == "60 s"
    assert PlantClock(None).since(10.0)(7200.0) == "2 h"
    assert PlantClock(dt.datetime(2026, 10, 25, tzinfo=dt.UTC)).text(math.inf) == "inf d"
