"""Stuck sensors are left out, plants at rest and coarse converters are not."""

import numpy as np
import pytest

from physics_twin.measurements.flags import Flag
from physics_twin.twin.setup import Guard
from tests.twin.sensors.streams import Follower, healthy, judged, reading

GUARD = Guard(probability=1.0, stuck_after=60.0)
"""Without a gate, which would turn a stuck sensor away before it is known for one."""


def ramp(k: int, rate: float = 0.1) -> float:
    return 350.0 + rate * k


def test_a_sensor_that_stands_still_while_the_model_moves_is_stuck() -> None:
    """From stuck_after on, and not before; left out until it moves again."""
    readings = [reading(k, 350.01, ramp(k)) for k in range(100)]
    _, verdicts = judged(readings, GUARD)
    assert next(k for k, verdict in enumerate(verdicts) if verdict.flag is Flag.BAD) == 60
    assert not any(verdict.use for verdict in verdicts[60:])
    assert verdicts[-1].words.startswith("stuck at 76.86 degC for 99 s although the model has moved by 9.9 K")
    _, again = judged([*readings, reading(100, ramp(100), ramp(100))], GUARD)
    assert again[-1].use


def test_the_gate_does_not_open_for_a_stuck_sensor() -> None:
    """Its residuals lie on a perfect line: the model's own. With the usual gate it is turned away, then stuck."""
    monitor, _ = judged(healthy(200, 1, predicted=[350.0] * 200))
    _, verdicts = judged((reading(200 + k, 350.07, ramp(k)) for k in range(300)), Guard(), monitor)
    assert not any(verdict.reopen for verdict in verdicts)
    assert verdicts[-1].words.startswith("stuck")
    # Flagged as soon as the model has moved by more than chance has it: 0.1 K/s, 3.3 standard deviations of 0.22 K.
    flagged = next(k for k, verdict in enumerate(verdicts) if verdict.flag >= Flag.SUSPECT)
    assert flagged <= 8


def test_a_lively_sensor_that_freezes_is_suspect_with_the_fifth_equal_number() -> None:
    """It never repeated itself before: five equal numbers in a row are flagged while the model moves at all."""
    monitor, before = judged(healthy(100, 2, predicted=[ramp(k) for k in range(100)]))
    assert not any("same number" in verdict.words for verdict in before)
    frozen = ramp(99)
    _, verdicts = judged((reading(100 + k, frozen, ramp(100 + k)) for k in range(5)), Guard(), monitor)
    assert [verdict.flag for verdict in verdicts] == [Flag.GOOD] * 4 + [Flag.SUSPECT]
    assert verdicts[-1].variance_factor == Guard().suspect_factor


@pytest.mark.parametrize("habit", [0.0, 0.1, 0.2])
def test_a_sensor_that_freezes_is_stuck_as_soon_as_its_habits_and_the_model_rule_chance_out(habit: float) -> None:
    """The run of equal numbers is rarer than 1e-4 by the sensor's own habit, the model has moved by 3 deviations."""
    rng = np.random.default_rng(4)
    values = [350.0]
    for k in range(1, 400):
        values.append(values[-1] if rng.random() < habit else ramp(k, 0.0) + rng.normal(0.0, 0.2))
    monitor, _ = judged((reading(k, v, 350.0) for k, v in enumerate(values)), GUARD)
    runs = monitor.n_repeated + 1  # with the one that begins now
    begins = runs / (monitor.n_readings + 5)
    goes_on = (monitor.n_continued + 0.5) / (monitor.n_continued + runs + 1.0)
    rare = max(5, 2 + int(np.ceil(np.log(1e-4 / begins) / np.log(goes_on))))
    assert goes_on == pytest.approx(habit, abs=0.1) or runs == 1
    assert rare <= 12
    frozen = values[-1] + 0.01
    # 0.25 K a reading, 3 standard deviations of hypot(0.2, 0.1) K: the model has moved by them with the fourth reading.
    _, verdicts = judged((reading(400 + k, frozen, 350.0 + 0.25 * k) for k in range(40)), GUARD, monitor)
    assert next(k for k, verdict in enumerate(verdicts) if verdict.words.startswith("stuck")) == rare - 1


def test_a_sensor_that_often_repeats_itself_is_not_stuck_before_its_time() -> None:
    """Nine readings out of ten are the last one again: thirty equal ones are nothing to it, whatever the model does."""
    values = [350.0 + 0.3 * ((k // 10) % 2) for k in range(1000)]
    monitor, _ = judged((reading(k, v, 350.15) for k, v in enumerate(values)), GUARD)
    _, verdicts = judged((reading(1000 + k, 350.6, 350.0 + 0.25 * k) for k in range(30)), GUARD, monitor)
    assert all(verdict.use for verdict in verdicts)


def test_a_constant_plant_is_not_stuck() -> None:
    """The same number for a day where the model expects no other."""
    _, verdicts = judged((reading(60 * k, 350.0, 350.02) for k in range(1440)), GUARD)
    assert all(verdict.flag is Flag.GOOD for verdict in verdicts)


@pytest.mark.parametrize("resolution", [0.32, 0.488])
@pytest.mark.parametrize("rate", [0.0005, 0.005, 0.05])
def test_a_coarse_converter_is_not_stuck(resolution: float, rate: float) -> None:
    """Slow ramps through a converter of 0.32 K and 0.49 K with little noise: flat for minutes, and never a verdict."""
    rng = np.random.default_rng(3)
    truth = [ramp(k, rate) for k in range(6000)]
    values = [resolution * round((v + rng.normal(0.0, 0.05)) / resolution) for v in truth]
    readings = [
        reading(k, value, v, resolution=resolution, variance=0.05**2 + resolution**2 / 12.0)
        for k, (value, v) in enumerate(zip(values, truth, strict=True))
    ]
    _, verdicts = judged(readings, Guard())
    assert not any("stuck" in verdict.words or "same number" in verdict.words for verdict in verdicts)


@pytest.mark.parametrize("period", [600.0, 7200.0])
def test_slow_healthy_signals_are_not_stuck(period: float) -> None:
    """A swing of 5 K with noise, resolution unknown: 10 000 readings without a word of it."""
    t = np.arange(10_000.0)
    _, verdicts = judged(healthy(10_000, 4, predicted=(350.0 + 5.0 * np.sin(2.0 * np.pi * t / period)).tolist()))
    assert not any("stuck" in verdict.words or "same number" in verdict.words for verdict in verdicts)


def test_a_filter_that_is_pulled_along_still_sees_that_its_sensor_is_stuck() -> None:
    """The heater drives 0.05 K/s and the only reading stands still: what the model wanted adds up."""
    follower = Follower(guard=GUARD, rate=0.01)
    verdicts = [follower.take(350.0, drift=0.05) for _ in range(120)]
    assert abs(follower.mean - 350.0) < 6.0
    assert verdicts[-1].words.startswith("stuck")


def test_a_small_error_of_the_model_never_adds_up_to_a_stuck_sensor() -> None:
    """A plant at rest behind a converter, and a model that drifts by 0.002 K/s: a day without a verdict."""
    follower = Follower(guard=Guard(), resolution=0.3)
    verdicts = [follower.take(350.1, drift=0.02, seconds=10.0) for _ in range(8640)]
    assert all(verdict.use for verdict in verdicts)


def test_two_equal_reports_of_a_laboratory_are_not_stuck() -> None:
    """A value a day, twice the same, while the model moved: two readings show nothing."""
    day = 86400
    _, verdicts = judged([reading(0, 350.0, 350.0), reading(day, 350.0, 352.0)], GUARD)
    assert all(verdict.use for verdict in verdicts)
