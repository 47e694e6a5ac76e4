"""What is wrong with a record: clocks that go back, unit jumps, stuck sensors, gaps.

Every check marks samples and says so in words; none deletes or repairs. The thresholds are meant to miss rather than
to cry wolf: a sample wrongly marked bad is lost to the fit, and nobody looks twice.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.units import Unit, unit as as_unit

__all__ = [
    "GAP",
    "Conversion",
    "MomentText",
    "conversions",
    "duration_text",
    "gaps",
    "impossible",
    "in_order",
    "stuck",
    "unit_jumps",
]

# A jump counts as abrupt against the largest of this many steps before it, and as lasting after as many samples.
_WINDOW = 20
_LASTING = 5
# How many usual steps a jump must measure. Then a chance match of one conversion has odds of about 2 * 2 / this.
_SURE, _MAYBE = 40.0, 15.0
# A sensor is stuck when it stays flat for this long right after this many lively steps.
_FLAT = 20
_BEFORE = 10
GAP = 5.0

type MomentText = Callable[[float], str]
"""Says a time in s: as a duration, or by the clock of the plant."""


def duration_text(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration_text(45.0), duration_text(599.0), duration_text(2.5 * 3600)
    ('45 s', '9.98 min', '2.5 h')
    """
    size = abs(seconds)
    if size < 120.0:
        return f"{seconds:.4g} s"
    if size < 7200.0:
        return f"{seconds / 60.0:.3g} min"
    return f"{seconds / 3600.0:.4g} h" if size < 172800.0 else f"{seconds / 86400.0:.4g} d"


def row_text(row: int) -> str:
    """Return how a row (from 0) is said: "row 1"."""
    return f"row {row + 1}"


def in_order(times: Array) -> tuple[FlagArray, tuple[str, ...]]:
    """Mark rows whose time goes back (bad) or repeats an earlier one (suspect, the first stays good).

    times: (n,) s; NaN is bad. The rows kept are the longest series that does not go back, and of equally long ones the
    one that keeps the earlier rows: one clock glitch into the future costs one row and not the rest of the log.
    """
    flags = np.full(times.size, Flag.GOOD, dtype=np.int8)
    finite = np.flatnonzero(np.isfinite(times))
    flags[~np.isfinite(times)] = Flag.BAD
    t = times[finite]
    notes = []
    keep = np.ones(t.size, dtype=bool)
    if (t[1:] < t[:-1]).any():  # not by differences, which overflow for absurd clocks
        keep = _longest_series(t)
        flags[finite[~keep]] = Flag.BAD
        first = int(finite[~keep][0])
        notes.append(f"time goes back or ahead in {int((~keep).sum())} rows, the first is row {first + 1}: bad")
    kept = finite[keep]
    again = kept[1:][times[kept[1:]] == times[kept[:-1]]]
    if again.size:
        flags[again] = Flag.SUSPECT
        notes.append(f"{again.size} rows repeat the time of the row before, the first is row {again[0] + 1}: suspect")
    return flags, tuple(notes)


def _longest_series(t: Array) -> NDArray[np.bool_]:
    """Return which entries form the longest non-decreasing series.

    Where everything before lies below everything after, the series of both sides follow one another: only the stretches
    between such places, which are out of order, are searched.
    """
    below = np.maximum.accumulate(t)[:-1] <= np.minimum.accumulate(t[::-1])[::-1][1:]
    ends = np.concatenate([[0], np.flatnonzero(below) + 1, [t.size]])
    keep = np.ones(t.size, dtype=bool)
    for k in np.flatnonzero(np.diff(ends) > 1):
        part = slice(int(ends[k]), int(ends[k + 1]))
        keep[part] = _longest_of(t[part])
    return keep


def _longest_of(t: Array) -> NDArray[np.bool_]:
    """Return which entries form the longest non-decreasing series (patience sorting, run backwards)."""
    tails: list[float] = []  # smallest possible last value of a series of each length, of the negated reversed times
    ends: list[int] = []
    before = np.full(t.size, -1)
    for i in range(t.size - 1, -1, -1):
        value = -float(t[i])
        length = bisect_right(tails, value)
        before[i] = ends[length - 1] if length else -1
        if length == len(tails):
            tails.append(value)
            ends.append(i)
        else:
            tails[length] = value
            ends[length] = i
    keep = np.zeros(t.size, dtype=bool)
    i = ends[-1]
    while i >= 0:
        keep[i] = True
        i = int(before[i])
    return keep


def gaps(times: Array, *, moment: MomentText = duration_text) -> tuple[str, ...]:
    """Report gaps: steps longer than five times the usual one; times (n,) s, of rows that are in order.

    moment: how a time is said.
    """
    steps = np.diff(times)
    steps_forward = steps[steps > 0.0]
    if steps_forward.size < 10:
        return ()
    usual = float(np.median(steps_forward))
    long = np.flatnonzero(steps > GAP * usual)
    # Samples that thin out towards the end of a run are a plan, not gaps.
    if not long.size or long.size > 0.1 * steps_forward.size:
        return ()
    longest = long[np.argmax(steps[long])]
    return (
        f"{long.size} gap{'s' if long.size > 1 else ''} (the usual step is {duration_text(usual)}), the longest is "
        f"{duration_text(float(steps[longest]))} from {moment(float(times[longest]))} on",
    )


@dataclass(frozen=True)
class Conversion:
    """A change of unit as a logger or a person makes it: after = factor * before + offset."""

    words: str
    factor: float
    offset: float
    half: bool = False
    """Whether a part was forgotten: rare, and hot water is 1.8 times as warm in degF as cold, so it must be sure."""

    @property
    def after(self) -> str:
        """What the numbers look like after it: "degF", "a factor of 10"."""
        return self.words.rpartition(" to ")[2]

    def undo(self, value: float) -> float:
        """The number before, of one after."""
        return (value - self.offset) / self.factor


_TEMPERATURES = [
    Conversion("degC to K", 1.0, 273.15),
    Conversion("K to degC", 1.0, -273.15),
    Conversion("degC to degF", 1.8, 32.0),
    Conversion("degF to degC", 1.0 / 1.8, -32.0 / 1.8),
    Conversion("K to degF", 1.8, -459.67),
    Conversion("degF to K", 1.0 / 1.8, 459.67 / 1.8),
    Conversion("an offset of 32", 1.0, 32.0, half=True),
    Conversion("an offset of -32", 1.0, -32.0, half=True),
    Conversion("a factor of 1.8", 1.8, 0.0, half=True),
    Conversion("a factor of 1/1.8", 1.0 / 1.8, 0.0, half=True),
]
_FACTORS = [
    Conversion(f"a factor of {words}", factor, 0.0)
    for words, factor in [
        ("1000", 1000.0),
        ("1/1000", 1e-3),
        ("100", 100.0),
        ("1/100", 0.01),
        ("10", 10.0),
        ("1/10", 0.1),
    ]
]


def conversions(unit: Unit) -> tuple[Conversion, ...]:
    """The usual changes of unit that numbers declared in `unit` may suffer; none of which a part was forgotten.

    >>> [one.after for one in conversions(as_unit("degC"))][:2]
    ['K', 'degF']
    """
    own = [one for one in _TEMPERATURES if not one.half and as_unit(one.words.partition(" to ")[0]) == unit]
    return (*own, *_FACTORS)


@np.errstate(over="ignore", invalid="ignore")  # between the largest doubles a step is infinite, and a step like any
def unit_jumps(
    values: Array, unit: Unit, *, resolution: float = 0.0, place: Callable[[int], str] = row_text
) -> tuple[FlagArray, tuple[str, ...]]:
    """Mark the samples after a jump that looks like a change of unit, until it jumps back.

    values: (n,) in the declared `unit`, NaN where there is none. A jump counts when it is far larger than the steps
    before and after it, lasts, and what comes after it continues what came before once a usual conversion (degC to K,
    degC to degF, a factor of 1.8, 10 or 1000, ...) is undone, and the steps have grown by its factor as well,
    as those of a valve that was opened tenfold have not. Bad where the jump measures 40 usual steps, suspect from 15;
    a bare factor of 1.8 or offset of 32 counts from 40 only.
    resolution: of the converter, or the deadband of the historian, in `unit`; no usual step counts for less. place: how
    a sample (from 0) is said.
    """
    flags = np.full(values.size, Flag.GOOD, dtype=np.int8)
    where = np.flatnonzero(np.isfinite(values))
    v = values[where]
    steps = np.abs(np.diff(v))
    notes: list[str] = []
    if v.size < 2 * _LASTING:
        return flags, ()
    conversions = (_TEMPERATURES if unit.dimension == as_unit("K").dimension else []) + _FACTORS
    # Candidates tower over the few steps before them; the exact tests are made only there.
    padded = np.concatenate([np.full(_LASTING, np.inf), steps])
    just_before = np.max([padded[k : k + steps.size] for k in range(_LASTING)], axis=0)
    candidates = np.flatnonzero((steps > _MAYBE * just_before) & (steps > 1e-12 * float(np.abs(v).max())))
    current: Conversion | None = None
    begin, flag = 0, Flag.GOOD
    for i in candidates:
        before, after = steps[max(0, i - _WINDOW) : i], steps[i + 1 : i + 1 + _WINDOW]
        if before.size < _LASTING or after.size < _LASTING - 1:
            continue
        for conversion in [_back(current)] if current is not None else conversions:
            strength = _matches(conversion, float(v[i]), float(v[i + 1]), before, after, resolution)
            if strength < (_SURE if conversion.half else _MAYBE):
                continue
            if current is None:
                current, begin = conversion, int(i) + 1
                flag = Flag.BAD if strength >= _SURE else Flag.SUSPECT
                notes.append(
                    f"the unit seems to change at {place(int(where[begin]))}: from {v[i]:g} to {v[i + 1]:g} {unit}, "
                    f"like {conversion.words}: {flag.words} from there on"
                )
            else:
                flags[where[begin : i + 1]] = flag
                notes.append(f"the unit changes back at {place(int(where[i + 1]))}")
                current = None
            break
    if current is not None:
        flags[where[begin:]] = flag
    return flags, tuple(notes)


def _back(conversion: Conversion) -> Conversion:
    return Conversion("back", 1.0 / conversion.factor, -conversion.offset / conversion.factor)


def _matches(
    conversion: Conversion, last: float, first: float, before: Array, after: Array, resolution: float
) -> float:
    """Return by how many usual steps the jump stands out if it fits the conversion, else 0.0."""
    usual = max(float(before.max()), float(after.max()) / conversion.factor)
    if usual <= 0.0:
        return 0.0  # two flat lines: a set point, as likely as a unit
    usual = max(usual, resolution)
    jump = abs(first - last)
    # Both in the unit of before: the jump must tower over the steps, and vanish when the conversion is undone.
    if abs(conversion.undo(first) - last) > 2.0 * usual:
        return 0.0
    grown = float(np.mean(after)) / max(float(np.mean(before)), 1e-300)
    if not 1.0 / 3.0 < grown / conversion.factor < 3.0:
        return 0.0  # after a flat stretch, or into one: another story
    if not 1.0 / 3.0 < conversion.factor < 3.0 and 1.0 / 3.0 < grown < 3.0:
        return 0.0  # the steps stayed as they were, and a factor would have scaled them
    return jump / (usual * max(1.0, conversion.factor))


@np.errstate(over="ignore", invalid="ignore")  # between the largest doubles a step is infinite, and a step like any
def stuck(
    values: Array,
    times: Array,
    where: NDArray[np.intp],
    *,
    resolution: float = 0.0,
    moment: MomentText = duration_text,
) -> tuple[FlagArray, tuple[str, ...]]:
    """Mark stretches in which a lively sensor shows one and the same value: suspect.

    values, times: (n,). where: indices of the samples to judge (in order, not bad). resolution: of the converter, in
    the unit of the values. moment: how a time is said. A stretch counts from 20 equal samples on, if the sensor was
    lively right before. A coarse converter near a steady state is flat by right, and so is a fast process that has
    arrived; what a historian has compressed is not judged at all, since between archived points lies its interpolation
    or its last value.
    """
    flags = np.full(values.size, Flag.GOOD, dtype=np.int8)
    v = values[where]
    if v.size < _FLAT + _BEFORE:
        return flags, ()
    steps = np.abs(np.diff(v))
    edges = np.flatnonzero(np.concatenate([[True], steps > 0.0, [True]]))  # where a run of equal values begins
    notes = []
    long = np.flatnonzero(np.diff(edges) >= _FLAT)
    for begin, end in zip(edges[long].tolist(), edges[long + 1].tolist(), strict=True):
        if begin > _BEFORE and _lively(steps[begin - _BEFORE - 1 : begin - 1], resolution):
            flags[where[begin:end]] = Flag.SUSPECT
            span = float(times[where[end - 1]] - times[where[begin]])
            notes.append(
                f"stuck for {end - begin} samples ({duration_text(span)}) from "
                f"{moment(float(times[where[begin]]))} on: suspect"
            )
    if notes and _compressed(times[where], v):
        return np.full(values.size, Flag.GOOD, dtype=np.int8), (
            f"no verdict on {len(notes)} flat stretch{'es' if len(notes) > 1 else ''}: the samples look compressed",
        )
    return flags, tuple(notes)


def _compressed(times: Array, values: Array) -> bool:
    from physics_twin.measurements.relations.compression import (
        compression,  # it says times as people do, with `duration_text`
    )

    return compression(times, values).compressed


def _lively(steps: Array, resolution: float) -> bool:
    """Whether steps show more than a converter's resolution, and do not die away; (n,), absolute."""
    if np.count_nonzero(steps) < 0.7 * steps.size or np.median(steps) < 2.0 * resolution:
        return False
    # A coarse converter makes steps of one or two sizes, up to the last digit that is printed.
    n_sizes = np.unique(np.round(steps / (0.05 * steps.max()))).size
    return bool(n_sizes >= 4 and np.median(steps[-3:]) > 0.3 * np.median(steps))


def impossible(si_values: Array, unit: Unit) -> NDArray[np.bool_]:
    """Return which values cannot be, whatever the plant: temperatures below absolute zero; (n,), SI."""
    if unit.dimension != as_unit("K").dimension:
        return np.zeros(si_values.size, dtype=bool)
    return np.asarray(si_values < 0.0)
