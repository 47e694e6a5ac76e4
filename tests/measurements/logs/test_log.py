"""A log in words."""

import datetime as dt

import numpy as np

from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Log, TagSamples


def test_a_log_prints_its_tags_with_their_samples_by_flag() -> None:
    """Source, span in UTC, a row a tag, only the columns in which anybody has anything to say, all notes."""
    flags = np.array([Flag.GOOD, Flag.BAD, Flag.GOOD], dtype=np.int8)
    one = TagSamples(
        "TI1", np.array([0.0, 60.0, 120.0]), np.array([1.0, np.nan, 3.0]), flags, unit="°C", notes=("odd",)
    )
    two = TagSamples("STATE", np.array([30.0]), np.array([0.0]), np.array([Flag.GOOD], dtype=np.int8), states=("on",))
    log = Log(
        {"TI1": one, "STATE": two}, Layout(), dt.datetime(2026, 3, 1, 6, tzinfo=dt.UTC), "x.csv", "", 4, ("a header",)
    )
    assert str(log).splitlines() == [
        "log of x.csv: 4 rows, 2 tags, 2 min from 2026-03-01 06:00:00 UTC",
        "  tag    unit    samples  good  bad",
        "  TI1    °C      3        2     1",
        "  STATE  1 text  1        1     0",
        "  note: a header",
        "  note: TI1: odd",
    ]


def test_a_log_of_elapsed_time_prints_seconds() -> None:
    """No origin, no stamps; a log without samples prints too."""
    times, flags = np.array([5.0, 7.0]), np.array([1, 1], dtype=np.int8)
    log = Log({"T": TagSamples("T", times, times, flags)}, Layout(), None, "x.csv", "", 2)
    assert str(log).splitlines()[0] == "log of x.csv: 2 rows, 1 tag, 2 s from 5 s"
    assert str(Log({}, Layout(), None, "x.csv", "", 0)).startswith("log of x.csv: 0 rows, 0 tags")
