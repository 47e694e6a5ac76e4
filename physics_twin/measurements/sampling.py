"""How a sample was taken: over which time, and what a sensor shows at the ends of its range."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, DataError, check_name
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.uncertainty import plain
from physics_twin.units import QuantityLike, Unit, format_si, to_si, unit as as_unit

__all__ = ["Averaged", "SensorRange", "at_the_ends", "limit_notes", "range_of"]

type SensorRange = tuple[QuantityLike | None, QuantityLike | None]
"""Lowest and highest value that a sensor shows; None where it has no such end."""

_SAME = 1e-9
"""Share of the range's size within which a printed reading stands at its end: units are converted on the way."""
_BEFORE = {"start": 0.0, "middle": 0.5, "end": 1.0}


@dataclass(frozen=True)
class Averaged:
    """Each sample is the mean of the output over a window of time: a one-minute mean, a fraction that was collected.

    over: length of the windows ("60 s"). stamp: where in its window the time of a sample lies: "start", "middle" or
    "end"; historians stamp both start and end, so there is no default. weight: output of the model by which the mean is
    weighted: the flow, for a fraction that was collected in a vessel. begin, end: instead of `over` and `stamp`, the
    columns of a table in which each window begins and ends, in the unit (or as stamps) of its time column.

    Raises DataError for a declaration that says neither or both, BoundsError for a window that is not above 0.

    >>> Averaged("1 min", stamp="end").seconds
    60.0
    """

    over: QuantityLike | None = None
    stamp: Literal["start", "middle", "end"] | None = None
    weight: str | None = None
    begin: str | None = None
    end: str | None = None

    def __post_init__(self) -> None:
        """Check the declaration, and take number and unit apart."""
        if (self.begin is None) != (self.end is None) or (self.over is None) == (self.begin is None):
            raise DataError(
                'Averaged: give a length and its stamp ("60 s", stamp="end"), or the columns begin= and end='
            )
        if self.weight is not None:
            check_name("output", self.weight, library_forms=True)
        if self.over is None:
            if self.stamp is not None:
                raise DataError("Averaged: stamp= belongs to a length; begin= and end= say where windows lie")
            return
        object.__setattr__(self, "over", plain(self.over))
        if self.stamp not in _BEFORE:
            raise DataError(f'Averaged: stamp={self.stamp!r}; say whether a time is the "start", "middle" or "end"')
        if not 0.0 < self.seconds < float("inf"):
            raise BoundsError(f"Averaged: a window of {self.seconds:g} s; it is longer than 0 s")

    @property
    def seconds(self) -> float:
        """Length of the windows in s; NaN where columns say when they begin and end."""
        return float("nan") if self.over is None else to_si(self.over, as_unit("s"), name="window")

    def windows(self, times: Array) -> tuple[Array, Array]:
        """When the windows of samples at `times` (n,) s begin and end, (n,) s each; NaN where columns say so."""
        before = _BEFORE.get(self.stamp or "", float("nan")) * self.seconds
        return times - before, times + (self.seconds - before)


def range_of(given: SensorRange, unit: Unit, name: str) -> tuple[float, float]:
    """The ends of a sensor's range in `unit`, infinite where there is none; name: of the channel, for errors.

    Raises UnitError where a unit does not fit, BoundsError for a range without an end or without a value in it.
    """
    try:
        low, high = given
    except (TypeError, ValueError):
        raise BoundsError(f'sensor_range of {name} is {given!r}; give two ends, ("0 degC", "400 degC")') from None
    if low is None and high is None:
        raise BoundsError(f"sensor_range of {name} has no end; give one, or leave it out")
    ends = [
        end if given is None else float(unit.from_si(to_si(given, unit, name=f"sensor_range of {name}")))
        for given, end in ((low, -np.inf), (high, np.inf))
    ]
    if not ends[0] < ends[1]:
        shown = " to ".join(format_si(float(unit.to_si(end)), unit) for end in ends)
        raise BoundsError(f"sensor_range of {name} from {shown} holds no value; give low < high")
    return ends[0], ends[1]


def at_the_ends(
    values: Array, flags: FlagArray, censored: NDArray[np.int8] | None, ends: tuple[float, float]
) -> tuple[Array, NDArray[np.int8] | None]:
    """Values and sides of samples, (n,) each, of a sensor that shows nothing beyond the ends of its range.

    values: in the unit of `ends`. flags: what is bad or missing is not judged, nor is what is a limit already. A sample
    at an end or beyond says that the truth lies there or farther: its value is that end, its side -1 or 1.
    """
    sides = np.zeros(values.size, np.int8) if censored is None else censored
    judged = (flags <= Flag.SUSPECT) & np.isfinite(values) & (sides == 0)
    room = _SAME * max((abs(end) for end in ends if np.isfinite(end)), default=0.0)
    low, high = judged & (values <= ends[0] + room), judged & (values >= ends[1] - room)
    if not (low.any() or high.any()):
        return values, censored
    sides = np.where(low, np.int8(-1), np.where(high, np.int8(1), sides)).astype(np.int8)
    return np.where(low, ends[0], np.where(high, ends[1], values)), sides


def limit_notes(sides: NDArray[np.int8] | None) -> tuple[str, ...]:
    """What is said of samples that are limits and no numbers; sides: (n,) -1 below, 1 above, 0 else, or None."""
    if sides is None:
        return ()
    counts = ((int((sides < 0).sum()), "below detection"), (int((sides > 0).sum()), "above the range"))
    return tuple(f"{n} {words}: used as limits" for n, words in counts if n)
