"""Recorded sensors that were well: no verdict. The same with a fault put in: the right one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from physics_twin import datasets
from physics_twin.measurements.flags import Flag
from physics_twin.twin.moments import SECOND
from physics_twin.twin.sensors import Reading
from physics_twin.units import unit
from tests.data_marks import needs_data
from tests.twin.sensors.streams import judged

pytestmark = needs_data("tclab")
# File, rows of header, column of the time and of the temperature, step of the converter (K).
RECORDS = [
    ("mimo_1s_600.csv", 1, 0, 3, 0.03),
    ("mimo_1s_600.csv", 1, 0, 4, 0.03),
    ("siso_1s_601.csv", 1, 0, 2, 0.33),
    ("mhe_3s_200.csv", 0, 0, 3, 0.49),
    ("mhe_3s_200.csv", 0, 0, 4, 0.49),
]


def recorded(file: str, header: int, time: int, column: int, step: float, *, stated: bool) -> list[Reading]:
    """A recorded channel; the model expects what is left of it after smoothing over ten seconds."""
    table = np.genfromtxt(datasets.load("tclab").path(file), delimiter=",", skip_header=header)
    t, values = table[:, time], table[:, column] + 273.15
    usual = float(np.median(np.diff(t)))
    smooth = gaussian_filter1d(values, 10.0 / usual, mode="nearest")
    noise = float(np.var(values - smooth)) + step**2 / 12.0
    moved = np.diff(smooth, prepend=smooth[0])
    return [
        Reading(
            round(at * SECOND),
            value,
            noise,
            Flag.GOOD,
            expected,
            0.1 * noise,
            unit("degC"),
            resolution=step if stated else 0.0,
            moved=own,
        )
        for at, value, expected, own in zip(t.tolist(), values.tolist(), smooth.tolist(), moved.tolist(), strict=True)
    ]


@pytest.mark.parametrize("stated", [True, False], ids=["resolution stated", "resolution unknown"])
@pytest.mark.parametrize(("file", "header", "time", "column", "step"), RECORDS)
def test_recorded_sensors_are_neither_stuck_nor_in_another_unit(
    file: str, header: int, time: int, column: int, step: float, stated: bool
) -> None:
    """Fine and coarse converters, heating, cooling, at rest; 98 % of the readings are used, and no gate is reopened.

    98 % and not 99.9 %: recorded noise has heavier tails than a normal variable (8 of 599 of the first channel).
    """
    monitor, verdicts = judged(recorded(file, header, time, column, step, stated=stated))
    words = " ".join(verdict.words for verdict in verdicts)
    assert "stuck" not in words and "looks like" not in words and "same number" not in words
    assert not any(verdict.reopen for verdict in verdicts)
    assert sum(verdict.use for verdict in verdicts) >= 0.98 * len(verdicts)
    assert not monitor.stuck and not monitor.unit_jump


@pytest.mark.parametrize(("file", "header", "time", "column", "step"), RECORDS)
def test_faults_put_into_a_record_are_flagged_within_five_readings(
    file: str, header: int, time: int, column: int, step: float
) -> None:
    """A spike at once, another unit by the third reading, a frozen sensor once the plant has left it behind."""
    readings = recorded(file, header, time, column, step, stated=True)
    n = len(readings)
    spiked = [*readings]
    spiked[n // 2] = replace(spiked[n // 2], value=spiked[n // 2].value + 25.0)
    _, verdicts = judged(spiked)
    assert not verdicts[n // 2].use and verdicts[n // 2 + 1].use

    shown = [
        r if k < n // 2 else replace(r, value=(r.value - 273.15) * 1.8 + 32.0 + 273.15) for k, r in enumerate(readings)
    ]
    _, verdicts = judged(shown)
    assert not any(verdict.use for verdict in verdicts[n // 2 :])
    assert "looks like degF" in verdicts[n // 2 + 2].words

    # Frozen where the plant goes farthest from; flagged within five readings of the model's being five deviations away.
    expected = np.array([r.predicted for r in readings])
    ahead = n // 4
    at = 20 + int(np.argmax(np.abs(expected[20 + ahead :] - expected[20:-ahead])))
    frozen = [r if k < at else replace(r, value=readings[at].value) for k, r in enumerate(readings)]
    away = next(
        k
        for k in range(at, n)
        if abs(readings[k].predicted - readings[at].value) > 5.0 * np.sqrt(1.1 * readings[k].variance)
    )
    _, verdicts = judged(frozen)
    assert any(verdict.flag >= Flag.SUSPECT for verdict in verdicts[at : away + 5])
