"""A transmitter that was set to another unit is known by its third reading, and by the first that is right again."""

import numpy as np
import pytest

from physics_twin.measurements.flags import Flag
from physics_twin.twin.setup import Guard
from physics_twin.twin.state import ChannelMonitor
from physics_twin.units import unit
from tests.twin.sensors.streams import healthy, judged, reading

CHANGES = [
    ("degC", lambda x: x + 273.15, "K"),
    ("degC", lambda x: 1.8 * x + 32.0, "degF"),
    ("degC", lambda x: 10.0 * x, "a factor of 10"),
    ("degC", lambda x: 1000.0 * x, "a factor of 1000"),
    ("K", lambda x: x - 273.15, "degC"),
    ("K", lambda x: 1.8 * x - 459.67, "degF"),
    ("degF", lambda x: (x - 32.0) / 1.8, "degC"),
    ("degF", lambda x: x / 100.0, "a factor of 1/100"),
]


def shown(declared: str, change, n: int, begin: int, seed: int = 0) -> list:
    """Readings of 350 K in a changed unit, taken for the declared one."""
    own = unit(declared)
    rng = np.random.default_rng(seed)
    return [
        reading(begin + k, own.to_si(change(own.from_si(350.0 + float(rng.normal(0.0, 0.15))))), unit=own)
        for k in range(n)
    ]


def start(declared: str) -> ChannelMonitor:
    monitor, _ = judged(reading(r.time // 10**9, r.value, unit=unit(declared)) for r in healthy(50, 1))
    return monitor


@pytest.mark.parametrize(("declared", "change", "words"), CHANGES)
def test_another_unit_is_known_by_the_third_reading(declared: str, change, words: str) -> None:
    """Never used, named from the third on, and the gate is not talked into it."""
    monitor, verdicts = judged(shown(declared, change, 50, 50), Guard(), start(declared))
    assert not any(verdict.use for verdict in verdicts)
    assert monitor.unit_jump == words
    assert not any("looks like" in verdict.words for verdict in verdicts[:2])
    assert all(f"looks like {words}" in verdict.words and verdict.flag is Flag.BAD for verdict in verdicts[2:])


@pytest.mark.parametrize(("declared", "change", "words"), CHANGES)
def test_the_first_reading_in_its_own_unit_is_used_again(declared: str, change, words: str) -> None:
    """Back to normal at once."""
    monitor, _ = judged(shown(declared, change, 50, 50), Guard(), start(declared))
    monitor, verdicts = judged([reading(100, 350.1, unit=unit(declared))], Guard(), monitor)
    assert verdicts[0].use and verdicts[0].flag is Flag.GOOD
    assert monitor.unit_jump == ""


def test_readings_in_degf_stay_out_however_little_the_model_knows_by_then() -> None:
    """Hours without the channel: a gate so wide that degF fits in it does not mean that the readings are degC."""
    change = CHANGES[1][1]
    monitor, _ = judged(shown("degC", change, 10, 50), Guard(), start("degC"))
    wide = [
        reading(r.time // 10**9, r.value, predicted_variance=100.0**2) for r in shown("degC", change, 10, 60, seed=1)
    ]
    _, verdicts = judged(wide, Guard(), monitor)
    assert not any(verdict.use for verdict in verdicts)


def test_a_step_that_measures_as_much_as_a_conversion_is_found_out_when_the_plant_moves_on() -> None:
    """76.85 to 170.33 degC is 1.8 x + 32 by chance; 6 K later it is not, and the plant is followed."""
    monitor, _ = judged(shown("degC", CHANGES[1][1], 5, 50), Guard(), start("degC"))
    assert monitor.unit_jump == "degF"
    rng = np.random.default_rng(2)
    moved = [reading(60 + k, 273.15 + 176.3 + float(rng.normal(0.0, 0.2))) for k in range(10)]
    monitor, verdicts = judged(moved, Guard(), monitor)
    assert monitor.unit_jump == ""
    assert any(verdict.reopen for verdict in verdicts)


def test_what_barely_leaves_the_gate_is_no_change_of_unit() -> None:
    """0.5 bar with a spread of 1.2 bar: 5 bar is ten times as much, and as likely a step of the plant."""
    bar = unit("bar")
    readings = [reading(k, 5e5, 0.5e5, unit=bar, variance=1e10, predicted_variance=0.44e10) for k in range(20)]
    monitor, _ = judged(readings)
    assert monitor.unit_jump == ""


@pytest.mark.parametrize("step", [-40.0, -7.0, 3.0, 12.0, 55.0])
def test_ordinary_steps_are_no_change_of_unit(step: float) -> None:
    """Steps that fit no conversion open the gate."""
    rng = np.random.default_rng(3)
    monitor, verdicts = judged(
        [reading(50 + k, 350.0 + step + float(rng.normal(0.0, 0.2))) for k in range(10)], Guard(), start("degC")
    )
    assert monitor.unit_jump == ""
    assert any(verdict.reopen for verdict in verdicts)


@pytest.mark.parametrize("seed", range(5))
def test_a_step_of_a_small_value_is_no_factor_of_ten(seed: int) -> None:
    """0.05 +- 0.01 m to 0.55 m: anything from 0.17 to 0.83 m fits a factor of ten. It scatters as before: a step."""
    metre, rng = unit("m"), np.random.default_rng(seed)
    values = 0.55 + rng.normal(0.0, 0.01, 5)
    stream = [
        reading(k, float(v), 0.05, variance=1e-4, predicted_variance=1e-6, unit=metre) for k, v in enumerate(values)
    ]
    monitor, verdicts = judged(stream)
    assert monitor.unit_jump == ""
    assert [verdict.reopen for verdict in verdicts] == [False] * 4 + [True]


def test_a_factor_of_ten_of_a_small_value_is_known_by_its_scatter() -> None:
    """The same readings of a transmitter that is off by ten scatter by 0.1 m: known by the fifth, in 99 % of 200."""
    metre, rng = unit("m"), np.random.default_rng(4)
    known = 0
    for _ in range(200):
        values = 10.0 * (0.05 + rng.normal(0.0, 0.01, 5))
        stream = [
            reading(k, float(v), 0.05, variance=1e-4, predicted_variance=1e-6, unit=metre) for k, v in enumerate(values)
        ]
        known += judged(stream)[0].unit_jump == "a factor of 10"
    assert known >= 198
