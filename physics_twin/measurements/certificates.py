"""Calibration certificates that had ended when samples were taken: said wherever those samples lead to a number."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from physics_twin.measurements.experiment import Experiment
    from physics_twin.measurements.sensors import Sensor
    from physics_twin.measurements.series import Series

__all__ = ["expired_certificates", "out_of_date"]

SHOWN = 3
"""Experiments and outputs that are named; a sensor that served a hundred batches needs no list."""


def out_of_date(series: "Series", t0_utc: dt.datetime | None) -> NDArray[np.bool_]:
    """Return which samples lie after the last day of the sensor's certificate (UTC), (n,).

    t0_utc: time zero; without it the samples have no date, and none is known to be late.
    """
    sensor = series.channel.sensor
    if sensor is None or sensor.valid_until is None or t0_utc is None:
        return np.zeros(series.times.size, dtype=bool)
    if sensor.valid_until == dt.date.max:
        return np.zeros(series.times.size, dtype=bool)
    end = dt.datetime.combine(sensor.valid_until + dt.timedelta(days=1), dt.time(), dt.UTC)
    return np.asarray(series.times >= (end - t0_utc).total_seconds())


def expired_certificates(experiments: "Sequence[Experiment]") -> tuple[str, ...]:
    """Return a sentence for each sensor whose certificate had ended while samples in use were taken."""
    late: dict[Sensor, dict[str, int]] = {}
    for run in experiments:
        for series in run:
            sensor = series.channel.sensor
            n = int((out_of_date(series, run.t0_utc) & series.used).sum())
            if sensor is not None and n:
                late.setdefault(sensor, {})[f"{series.channel.output}@{run.name}"] = n
    found = []
    for sensor, where in late.items():
        n, more = sum(where.values()), f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
        found.append(
            f"the certificate of sensor {sensor.serial} ended on {sensor.valid_until}: {n} later "
            f"sample{'s are' if n > 1 else ' is'} in use ({', '.join(list(where)[:SHOWN])}{more})"
        )
    return tuple(found)
