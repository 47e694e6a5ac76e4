"""Reductions: what turns the course of an output into the one number that a limit acts on.

Samples stand at nodes that are dense and graded (see `evaluation`), but a peak falls between nodes: there the course is
a cubic (see `hermite`). Rates are in `rates`, lethality and the like in `thermal_integrals`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.hermite import highest, integrals, refined
from physics_twin.errors import UnitError
from physics_twin.units import QuantityLike, Unit, format_si, to_si, unit as as_unit

UPPER, LOWER = 1, -1
"""Sides of a limit: an upper limit looks at the highest value, a lower limit at the lowest."""


@runtime_checkable
class Reduction(Protocol):
    """Turns courses into numbers: `final`, `path`, `peak`, `mean`, `integral`, `at`, `time_above`."""

    @property
    def moments(self) -> tuple[float, ...]:
        """Times in s at which a sample must stand."""
        ...

    @property
    def dense(self) -> bool:
        """Whether it looks at the whole course, and not only at the end and at `moments`."""
        ...

    def label(self, output: str, unit: Unit) -> str:
        """What is limited, in words, for example "final dipentene"."""
        ...

    def unit(self, output: Unit) -> Unit:
        """Unit of the number, given the output's unit."""
        ...

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Numbers (n,) in SI from times (n, n_times) in s and values (n, n_times) in SI; `unit` is the output's."""
        ...


@dataclass(frozen=True)
class Final:
    """The value at the end of the run."""

    moments: tuple[float, ...] = ()
    dense: bool = False

    def label(self, output: str, unit: Unit) -> str:
        """In words."""
        return f"final {output}"

    def unit(self, output: Unit) -> Unit:
        """The output's own unit."""
        return output

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Last value of each course."""
        return values[:, -1]


@dataclass(frozen=True)
class Extreme:
    """The highest value for an upper limit, the lowest for a lower one: the limit then holds at every moment."""

    name: str
    moments: tuple[float, ...] = ()
    dense: bool = True

    def label(self, output: str, unit: Unit) -> str:
        """In words."""
        return f"{self.name} {output}" if self.name else output

    def unit(self, output: Unit) -> Unit:
        """The output's own unit."""
        return output

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Peaks (upper side) or troughs (lower side), refined between samples."""
        return side * highest(times, side * values)


@dataclass(frozen=True)
class At:
    """The value at one moment since the start of the run."""

    time: float
    dense: bool = False

    @property
    def moments(self) -> tuple[float, ...]:
        """The moment itself, so that a sample stands there."""
        return (self.time,)

    def label(self, output: str, unit: Unit) -> str:
        """In words."""
        return f"{output} at {duration_text(self.time)}"

    def unit(self, output: Unit) -> Unit:
        """The output's own unit."""
        return output

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Value at the moment; NaN (a failure) where the run is over before it."""
        nearest = np.abs(times - self.time).argmin(axis=1)
        rows = np.arange(len(times))
        hit = np.abs(times[rows, nearest] - self.time) <= 1e-9 * max(1.0, abs(self.time))
        return np.where(hit, values[rows, nearest], math.nan)


@dataclass(frozen=True)
class Mean:
    """The average over the run."""

    moments: tuple[float, ...] = ()
    dense: bool = True

    def label(self, output: str, unit: Unit) -> str:
        """In words."""
        return f"mean {output}"

    def unit(self, output: Unit) -> Unit:
        """The output's own unit."""
        return output

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Integral over duration; the first value where a run has no duration."""
        length = times[:, -1] - times[:, 0]
        safe = np.where(length > 0.0, length, 1.0)
        return np.where(length > 0.0, integrals(times, values) / safe, values[:, 0])


@dataclass(frozen=True)
class Integral:
    """The integral over the run, in the output's unit times seconds (of a temperature: K s of the absolute one)."""

    moments: tuple[float, ...] = ()
    dense: bool = True

    def label(self, output: str, unit: Unit) -> str:
        """In words."""
        return f"integral of {output}"

    def unit(self, output: Unit) -> Unit:
        """The output's unit (of a temperature: kelvin, never degC) times s; raises UnitError for a gauge pressure."""
        if output.offset != 0.0 and output.dimension != as_unit("K").dimension:
            raise UnitError(
                f"pt.integral: the output is in {output}, above the pressure of the air, which cannot be added up over "
                f"a time: give the model an output in {output.difference()}, of the absolute pressure or of the excess"
            )
        return output * as_unit("s")

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Integrals of the Hermite interpolant."""
        return integrals(times, values)


@dataclass(frozen=True)
class TimeAbove:
    """How long the output is above a level."""

    level: QuantityLike
    moments: tuple[float, ...] = ()
    dense: bool = True

    def label(self, output: str, unit: Unit) -> str:
        """In words, with the level in the output's unit."""
        return f"time of {output} above {format_si(self._level(unit), unit)}"

    def unit(self, output: Unit) -> Unit:
        """Seconds, shown in minutes."""
        return as_unit("min")

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Seconds above the level, crossings found between samples."""
        t, above = refined(times, values - self._level(unit))
        left, right, h = above[:, :-1], above[:, 1:], np.diff(t, axis=1)
        span = np.abs(left) + np.abs(right)
        crossing = np.sign(left) * np.sign(right) < 0.0
        whole = np.where((left > 0.0) | (right > 0.0), 1.0, 0.0)
        share = np.where(crossing, np.maximum(left, right) / np.where(span > 0.0, span, 1.0), whole)
        total: Array = (share * h).sum(axis=1)
        return total

    def _level(self, unit: Unit) -> float:
        return to_si(self.level, unit, name="time_above: level")


@dataclass(frozen=True)
class Custom:
    """Any function of one course: (times (n_times,) s, values (n_times,) SI) -> number in SI of the declared unit."""

    function: Callable[[Array, Array], float]
    declared: Unit
    moments: tuple[float, ...] = ()
    dense: bool = True

    def label(self, output: str, unit: Unit) -> str:
        """The function's name and the output."""
        return f"{getattr(self.function, '__name__', 'function')} of {output}"

    def unit(self, output: Unit) -> Unit:
        """The declared unit."""
        return self.declared

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """One call for each course; a course that failed stays NaN and is not shown to the function."""
        out = np.full(len(times), math.nan)
        for i, (t, y) in enumerate(zip(times, values, strict=True)):
            if np.isfinite(y).all():
                out[i] = float(self.function(t, y))
        return out


final = Final()
"""The value at the end of the run."""
path = Extreme("")
"""Every moment of the run (the default)."""
peak = Extreme("peak")
"""The highest value; with a lower limit, the lowest."""
mean = Mean()
"""The average over the run."""
integral = Integral()
"""The integral over the run, in SI unit times s; of a temperature, of the absolute one."""


def at(time: QuantityLike) -> At:
    """The value at `time` since the start, for example `pt.at("20 min")`; a run that ends before it has failed."""
    return At(to_si(time, as_unit("s"), name="at: time"))


def time_above(level: QuantityLike) -> TimeAbove:
    """How long the output is above `level`: `Limit("core", lower="30 min", over=pt.time_above("860 degC"))`."""
    return TimeAbove(level)


def duration_text(time: float) -> str:
    """A duration for people: in h, min or s."""
    for text, size in (("h", 3600.0), ("min", 60.0)):
        if time >= size:
            return f"{time / size:.4g} {text}"
    return f"{time:.4g} s"
