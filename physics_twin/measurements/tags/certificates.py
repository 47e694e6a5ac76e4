"""Calibration certificates that had ended when samples were taken: said wherever those samples lead to a number."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.recipes import Table

if TYPE_CHECKING:
    from physics_twin.measurements.experiment import Experiment
    from physics_twin.measurements.recorded_inputs import RecordedInput
    from physics_twin.measurements.series import Series
    from physics_twin.measurements.tags.sensors import Sensor

__all__ = ["certificate_end", "expired_certificates", "expired_sensors", "out_of_date"]

SHOWN = 3
"""Experiments and outputs that are named; a sensor that served a hundred batches needs no list."""


def out_of_date(series: "Series", t0_utc: dt.datetime | None) -> NDArray[np.bool_]:
    """Return which samples lie after the last day of the sensor's certificate (UTC), (n,).

    t0_utc: time zero; without it the samples have no date, and none is known to be late.
    """
    sensor = series.channel.sensor
    if sensor is None:
        return np.zeros(series.times.size, dtype=bool)
    return np.asarray(series.times >= certificate_end(sensor, t0_utc))


def certificate_end(sensor: "Sensor", t0_utc: dt.datetime | None) -> float:
    """Return when the last day of a certificate is over (UTC), s since time zero; infinite where that is not known."""
    if sensor.valid_until is None or t0_utc is None or sensor.valid_until == dt.date.max:
        return np.inf
    end = dt.datetime.combine(sensor.valid_until + dt.timedelta(days=1), dt.time(), dt.UTC)
    return (end - t0_utc).total_seconds()


def _late_rows(one: "RecordedInput", run: "Experiment") -> "dict[Sensor, int]":
    """Return how many rows of a recorded input rest on readings after the certificate, up to the last sample in use."""
    recorded = run.recipe.phases[0].inputs.get(one.name) if run.recipe.phases else None
    found: dict[Sensor, int] = {}
    for own in one.sensors:
        end = certificate_end(own.sensor, run.t0_utc)
        if own.last < end or not isinstance(recorded, Table):
            continue
        t, times = np.array(recorded.times), run.times
        last = min(own.last, float(times[-1])) if times.size else -np.inf
        n = int(((t >= max(own.first, end)) & (t <= last)).sum())
        if n:
            found[own.sensor] = n
    return found


def expired_certificates(experiments: "Sequence[Experiment]") -> tuple[str, ...]:
    """Return a sentence for each sensor whose certificate had ended while samples in use were taken."""
    found = []
    for sensor, where in _late(experiments).items():
        n, more = sum(where.values()), f" and {len(where) - SHOWN} more" if len(where) > SHOWN else ""
        found.append(
            f"the certificate of sensor {sensor.serial} ended on {sensor.valid_until}: {n} later "
            f"sample{'s are' if n > 1 else ' is'} in use ({', '.join(list(where)[:SHOWN])}{more})"
        )
    return tuple(found)


def expired_sensors(run: "Experiment") -> tuple[str, ...]:
    """Return the serials of the sensors whose certificate had ended while samples in use were taken."""
    return tuple(sensor.serial for sensor in _late([run]))


def _late(experiments: "Sequence[Experiment]") -> "dict[Sensor, dict[str, int]]":
    """Return sensor -> where it was read after the end of its certificate -> how many of those samples are in use."""
    late: dict[Sensor, dict[str, int]] = {}
    for run in experiments:
        for series in run:
            sensor = series.channel.sensor
            n = int((out_of_date(series, run.t0_utc) & series.used).sum())
            if sensor is not None and n:
                late.setdefault(sensor, {})[f"{series.channel.output}@{run.name}"] = n
        for one in run.inputs:
            for sensor, n in _late_rows(one, run).items():
                late.setdefault(sensor, {})[f"input {one.name}@{run.name}"] = n
    return late
