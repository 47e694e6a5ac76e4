"""Whatever a plant sends, a verdict comes out, and no number that is none."""

import math
from dataclasses import fields

import numpy as np
from hypothesis import given, settings, strategies as st

from physics_twin.measurements.flags import Flag
from physics_twin.twin.sensors import Reading, Verdict, judge, judge_moment
from physics_twin.twin.setup import Guard
from physics_twin.twin.state import ChannelMonitor, Excess
from physics_twin.units import unit

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=64),
    st.floats(-1e3, 1e3),
    st.sampled_from([0.0, -0.0, 300.0, 1e-308, 1e308, -273.15, 5e-324]),
)
READINGS = st.builds(
    Reading,
    time=st.integers(0, 10**19),
    value=NUMBERS,
    variance=NUMBERS,
    flag=st.sampled_from(list(Flag)),
    predicted=NUMBERS,
    predicted_variance=NUMBERS,
    unit=st.sampled_from([unit("degC"), unit("K"), unit("degF"), unit("bar"), unit("1"), unit("barg")]),
    resolution=st.sampled_from([0.0, 0.32, 1e-300]),
    lower=st.sampled_from([-math.inf, 0.0, 250.0]),
    upper=st.sampled_from([math.inf, 400.0]),
    moved=NUMBERS,
)
GUARDS = st.builds(
    Guard,
    probability=st.sampled_from([0.0, 0.5, 0.999, 1.0]),
    reset_after=st.integers(0, 6),
    stuck_after=st.sampled_from([0.0, 1.0, 120.0]),
    suspect_factor=st.sampled_from([0.0, 1.0, 4.0]),
)
NEVER_SET = {"last_value", "held_value", "held_low", "held_high", "innovation", "innovation_before"}


def check(verdict: Verdict) -> None:
    assert math.isfinite(verdict.variance_factor) and verdict.variance_factor >= 1.0
    assert math.isfinite(verdict.widen) and verdict.widen >= 1.0
    assert not verdict.use or math.isfinite(verdict.surprise)
    assert not math.isinf(verdict.surprise)
    assert verdict.use == (verdict.flag <= Flag.SUSPECT) or verdict.flag is Flag.NOT_EVALUATED
    assert verdict.use or verdict.words


def numbers(item: object) -> list[tuple[str, float]]:
    found = []
    for one in fields(item):  # type: ignore[arg-type]
        value = getattr(item, one.name)
        if isinstance(value, Excess):
            found += numbers(value)
        elif isinstance(value, float):
            found.append((one.name, value))
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(READINGS, max_size=8), GUARDS)
def test_a_verdict_comes_out_of_any_numbers(readings: list[Reading], guard: Guard) -> None:
    """No error, no NaN in a verdict or a memory that was set, no bad reading used; the same again gives the same."""
    monitor = ChannelMonitor()
    with np.errstate(all="raise"):
        for reading in readings:
            before = monitor
            monitor, verdict = judge(before, guard, reading)
            check(verdict)
            assert (monitor, verdict) == judge(before, guard, reading) or verdict.surprise != verdict.surprise
            if verdict.use:
                assert math.isfinite(reading.value) and reading.flag < Flag.BAD
            for name, value in numbers(monitor):
                assert math.isfinite(value) or (name in NEVER_SET and math.isnan(value))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(READINGS, max_size=3), max_size=6), GUARDS)
def test_a_moment_of_any_readings_has_a_verdict_on_each(moments: list[list[Reading]], guard: Guard) -> None:
    """As many verdicts as readings, several of one channel among them."""
    monitors: dict[str, ChannelMonitor] = {}
    for readings in moments:
        monitors, verdicts = judge_moment(
            monitors, guard, [("a" if k < 2 else "b", reading) for k, reading in enumerate(readings)]
        )
        assert len(verdicts) == len(readings)
        for verdict in verdicts:
            check(verdict)
