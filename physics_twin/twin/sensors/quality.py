"""What can be said of a reading by itself: its flag, and values that no sensor of its kind can show."""

import math

import numpy as np

from physics_twin.measurements.flags import Flag
from physics_twin.measurements.quality import impossible
from physics_twin.twin.sensors.reading import Reading
from physics_twin.units import format_si

# Squares of residuals stay far from the largest double.
_LARGEST = 1e100


def unreadable(reading: Reading) -> str:
    """Why the reading is no number to be compared with anything; "" where it is one."""
    if not (math.isfinite(reading.value) and abs(reading.value) < _LARGEST):
        return reading.note or "nothing was read"
    if reading.flag >= Flag.BAD:
        return reading.note or f"{reading.flag.words}, as its source says"
    return ""


def out_of_the_question(reading: Reading) -> str:
    """Why no sensor of this kind can show the value; "" where it can. The reading is a number."""
    if reading.value < 0.0 and impossible(np.array([reading.value]), reading.unit)[0]:
        return f"{format_si(reading.value, reading.unit)} is below absolute zero"
    if not reading.lower < reading.value < reading.upper:
        end = reading.lower if reading.value <= reading.lower else reading.upper
        side = "below" if reading.value <= reading.lower else "above"
        return f"{format_si(reading.value, reading.unit)} is at the end of the sensor's range or {side} it " + (
            f"({format_si(end, reading.unit)})"
        )
    return ""


def comparable(reading: Reading) -> bool:
    """Whether the model says what is to be expected, with an uncertainty."""
    expected, variance, noise = reading.predicted, reading.predicted_variance, reading.variance
    return (
        math.isfinite(expected)
        and abs(expected) < _LARGEST
        and 0.0 <= variance < _LARGEST
        and 0.0 <= noise < _LARGEST
        and variance + noise > 0.0
    )
