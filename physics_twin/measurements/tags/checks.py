"""What is declared about a sensor, and the checks of its samples against it: range, rate, spike, flat line, gap.

The tests and the flags are those of QARTOD (IOOS, Manual for Real-Time Quality Control of In-situ Temperature and
Salinity Data, version 2.1, 2020: gap test 1, gross range test 4, spike test 6, rate of change test 7, flat line test
8), with two differences. A spike must stand out from both its neighbors: the manual's reference, the mean of the two,
also fires at the foot of a step, and a quench is not a spike. And what a historian has compressed is judged by what
compression leaves of it: a straight line between archived points is interpolation, so it cannot be a flat line, and
neighbors that lie far apart say nothing about a spike.

Everything happens in the unit of the numbers as they were logged, before any correction: a range is what the
converter can show, and a zero that stands for "not measured" is a zero on the display.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ShapeError
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.quality import MomentText, duration_text
from physics_twin.measurements.relations.compression import compression
from physics_twin.measurements.uncertainty import plain
from physics_twin.units import QuantityLike, Unit, format_si, to_si, unit as as_unit

__all__ = ["Checked", "Checks", "Limits", "check_samples"]

# So many samples in a row at an end of the range are a saturated sensor, fewer a value that happens to be there. An
# exception-reporting historian keeps the first and, when it leaves, the last.
_SATURATED, _SATURATED_COMPRESSED = 3, 2
# Decimal numbers come from a printed log: two readings are the same, or lie at an end, within this share of their size.
_SAME = 1e-9
# The neighbors of a spike in compressed data lie within so many of its shortest usual steps.
_NEAR = 3.0


@dataclass(frozen=True)
class Checks:
    """Declared limits of a sensor; what is None is not checked, since a quench is not a spike.

    low, high: what the sensor can show; values outside are bad, and several in a row exactly at an end are saturated
    (censored: the truth lies there or beyond). resolution: of its converter or of the printed digits. deadband: of the
    historian's compression (swinging door, exception). rate: quickest believable change ("5 K/s"). spike: a single
    sample that stands out by more on both sides. flat: longest believable time at one value. gap: longest believable
    time without a sample. zero_is_missing: zero is how this logger writes "not measured".

    Read back, quantities are (number, unit).
    """

    low: QuantityLike | None = None
    high: QuantityLike | None = None
    resolution: QuantityLike | None = None
    deadband: QuantityLike | None = None
    rate: QuantityLike | None = None
    spike: QuantityLike | None = None
    flat: QuantityLike | None = None
    gap: QuantityLike | None = None
    zero_is_missing: bool = False

    def __post_init__(self) -> None:
        """Take numbers and units apart: the same after a file."""
        for one in fields(self):
            given = getattr(self, one.name)
            if one.name != "zero_is_missing" and given is not None:
                object.__setattr__(self, one.name, plain(given))

    @property
    def range_text(self) -> str:
        """The range as declared, "0 to 1200 degC"; "" where there is none."""
        if self.low is None or self.high is None:
            end = _declared_text(self.high if self.low is None else self.low)
            return end and f"{'below' if self.low is None else 'above'} {end}"
        low, high = _declared_text(self.low), _declared_text(self.high)
        unit = plain(self.low)[1]
        return f"{low.removesuffix(f' {unit}') if plain(self.high)[1] == unit else low} to {high}"

    def limits(self, unit: Unit, *, name: str = "the samples") -> "Limits":
        """Return the limits as numbers in `unit` and s; `name` says in an error whose they are.

        Raises UnitError where a unit does not fit, BoundsError for an empty range or a limit that is not above 0.
        """
        second = as_unit("s")

        def end(key: str) -> float | None:
            given = getattr(self, key)
            return None if given is None else float(unit.from_si(to_si(given, unit, name=f"{key} of {name}")))

        def step(key: str) -> float | None:
            given = getattr(self, key)
            if given is None:
                return None
            si = to_si(given, unit, name=f"{key} of {name}", difference=True)
            _above_zero(si, f"{key} of {name} is {format_si(si, unit, difference=True)}")
            return float(unit.from_si(si, difference=True))

        def time(key: str) -> float | None:
            given = getattr(self, key)
            if given is None:
                return None
            si = to_si(given, second, name=f"{key} of {name}")
            _above_zero(si, f"{key} of {name} is {si:g} s")
            return si

        rate = None
        if self.rate is not None:
            per_second = unit.difference() / second
            si = to_si(self.rate, per_second, name=f"rate of {name}", difference=True)
            _above_zero(si, f"rate of {name} is {format_si(si, per_second, difference=True)}")
            rate = float(per_second.from_si(si, difference=True))
        low, high = end("low"), end("high")
        if low is not None and high is not None and not low < high:
            raise BoundsError(f"{name}: the range from {low:g} to {high:g} {unit} holds no value; give low < high")
        return Limits(low, high, step("resolution"), step("deadband"), rate, step("spike"), time("flat"), time("gap"))


def _declared_text(limit: QuantityLike | None) -> str:
    """Return a limit as it was declared: 212 degF is 100 degC, and 32 degF is 5.7e-14 degC."""
    if limit is None:
        return ""
    number, unit = plain(limit)
    return f"{number:g}" if unit == "1" else f"{number:g} {unit}"


def _above_zero(number: float, words: str) -> None:
    if not number > 0.0:
        raise BoundsError(f"{words}; it is above 0, or not declared at all")


@dataclass(frozen=True)
class Limits:
    """Declared limits as numbers: low, high in the unit; resolution, deadband, spike differences; rate per s; s."""

    low: float | None
    high: float | None
    resolution: float | None
    deadband: float | None
    rate: float | None
    spike: float | None
    flat: float | None
    gap: float | None

    @property
    def smallest_step(self) -> float:
        """The smallest change that says anything: the greater of resolution and deadband, 0.0 where none is known."""
        return max(self.resolution or 0.0, self.deadband or 0.0)


@dataclass(frozen=True, eq=False)
class Checked:
    """What checks found.

    flags: (n,) the graver of what was given and what was found. censored: (n,) -1 where the sensor sits at the lower
    end of its range and the truth may lie below, 1 at the upper end, 0 else; None where nothing is censored. notes: in
    words, with counts and the first time.
    """

    flags: FlagArray
    censored: NDArray[np.int8] | None
    notes: tuple[str, ...]


def check_samples(
    times: Array,
    values: Array,
    flags: FlagArray,
    checks: Checks,
    unit: Unit,
    *,
    censored: NDArray[np.int8] | None = None,
    compressed: bool | None = None,
    name: str = "the samples",
    moment: MomentText = duration_text,
) -> Checked:
    """Check the samples of one sensor against what is declared of it; nothing is deleted, no value is changed.

    times: (n,) s, not going back where flags are not bad. values: (n,) in `unit`, as logged. flags: (n,) QARTOD codes
    so far; bad and missing samples are not judged and do not stand between others. censored: (n,) as known from the
    cells ("<0.05"); such samples are judged by the range only. compressed: whether a historian has thinned the samples
    out; without it, as declared by `checks.deadband`, or as it looks. name: whose samples, for errors. moment: how a
    time is said in the notes.

    - zero where it is declared to mean "not measured": missing
    - outside the range: bad. At its very end for three samples in a row (two of compressed ones): censored
    - a change from the sample before quicker than `rate`, after allowance for the resolution: suspect. Where the next
      sample returns to the one before at a believable rate, it is a lone outlier and only that one is marked
    - standing out from both neighbors, on one side, by more than `spike`: suspect
    - one value for longer than `flat`: suspect, not in compressed data
    - a time without samples longer than `gap`: a note

    Raises UnitError, BoundsError for limits that do not fit the unit; ShapeError for arrays of unequal length.
    """
    n = np.size(times)
    if np.shape(values) != (n,) or np.shape(flags) != (n,) or (censored is not None and np.shape(censored) != (n,)):
        raise ShapeError(f"{name}: {n} times, values of shape {np.shape(values)}, flags of shape {np.shape(flags)}")
    limits = checks.limits(unit, name=name)
    if limits.deadband is not None:
        compressed = True
    marks = _Marks(times, np.array(flags, dtype=np.int8), [], moment)

    usable = _usable(times, values, marks.flags)
    if checks.zero_is_missing:
        zero = usable[values[usable] == 0.0]
        marks.put(zero, Flag.MISSING, "zero, declared to mean not measured")
    usable = usable[marks.flags[usable] <= Flag.SUSPECT]
    _range(marks, values, usable, checks, limits, unit)
    usable = usable[marks.flags[usable] <= Flag.SUSPECT]
    exact = usable if censored is None else usable[censored[usable] == 0]
    if compressed is None and (limits.flat is not None or limits.spike is not None):
        compressed = compression(times[exact], values[exact]).compressed
    found = _saturated(marks, values, exact, checks, limits, bool(compressed))
    exact = exact[found[exact] == 0]
    t, v = times[exact], values[exact]
    if limits.rate is not None:
        quick = _quick(t, v, limits.rate, limits.resolution or 0.0)
        marks.put(exact[quick], Flag.SUSPECT, f"change quicker than {limits.rate:g} {unit.difference()} per second")
    if limits.spike is not None:
        spikes = _spikes(t, v, limits.spike, limits.resolution or 0.0, bool(compressed))
        marks.put(exact[spikes], Flag.SUSPECT, f"standing out by more than {limits.spike:g} {unit.difference()}")
    if limits.flat is not None:
        _flat(marks, t, v, exact, limits.flat, unit, bool(compressed))
    if limits.gap is not None:
        _gap(marks, times[usable], limits.gap)
    known = found if censored is None else np.where(censored != 0, censored, found).astype(np.int8)
    return Checked(marks.flags, known if known.any() or censored is not None else None, tuple(marks.notes))


@dataclass(frozen=True, eq=False)
class _Marks:
    """Flags and notes while they grow."""

    times: Array
    flags: FlagArray
    notes: list[str]
    moment: MomentText

    def put(self, where: NDArray[np.intp], flag: Flag, words: str) -> None:
        """Flag the samples `where` (indices) and say so."""
        if where.size:
            self.flags[where] = np.maximum(self.flags[where], np.int8(flag))
            self.notes.append(f"{words}: {self.counted(where.size, self.times[where[0]])}: {flag.words}")

    def counted(self, n: int, first: float) -> str:
        """Say how many, and when the first one was."""
        return f"{n} sample{'s' if n > 1 else ''}, the first at {self.moment(float(first))}"


def _usable(times: Array, values: Array, flags: FlagArray) -> NDArray[np.intp]:
    return np.flatnonzero((flags <= Flag.SUSPECT) & np.isfinite(values) & np.isfinite(times))


def _range(marks: _Marks, values: Array, usable: NDArray[np.intp], checks: Checks, limits: Limits, unit: Unit) -> None:
    if limits.low is None and limits.high is None:
        return
    v = values[usable]
    low = -np.inf if limits.low is None else limits.low
    high = np.inf if limits.high is None else limits.high
    outside = usable[(v < low - _slack(low, limits)) | (v > high + _slack(high, limits))]
    if outside.size:
        worst = values[outside]
        extent = f"{worst.min():g}" if worst.min() == worst.max() else f"{worst.min():g} to {worst.max():g}"
        words = f"outside the range of the sensor, {checks.range_text} ({extent} {unit})"
        marks.put(outside, Flag.BAD, words)


def _slack(end: float, limits: Limits) -> float:
    """How far from a declared end a reading may lie and still be at it: rounding of decimal numbers."""
    other = limits.high if end == limits.low else limits.low
    return _SAME * max(abs(end), abs(other or 0.0)) if np.isfinite(end) else 0.0


def _saturated(
    marks: _Marks, values: Array, usable: NDArray[np.intp], checks: Checks, limits: Limits, compressed: bool
) -> NDArray[np.int8]:
    """Return (n,) -1, 0, 1: where several samples in a row sit at an end of the range."""
    found = np.zeros(values.size, dtype=np.int8)
    least = _SATURATED_COMPRESSED if compressed else _SATURATED
    for end, declared, sign, words in (
        (limits.low, checks.low, -1, "lower"),
        (limits.high, checks.high, 1, "upper"),
    ):
        if end is None:
            continue
        begins, ends = _runs(np.abs(values[usable] - end) <= _slack(end, limits))
        long = ends - begins >= least
        for begin, stop in zip(begins[long].tolist(), ends[long].tolist(), strict=True):
            found[usable[begin:stop]] = sign
        here = np.flatnonzero(found == sign)
        if here.size:
            beyond = "below" if sign < 0 else "above"
            marks.notes.append(
                f"saturated at the {words} end of the range, {_declared_text(declared)}: "
                f"{marks.counted(here.size, marks.times[here[0]])}: the truth may lie {beyond}"
            )
    return found


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where each run of True begins, and the index after its end."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _quick(t: Array, v: Array, rate: float, resolution: float) -> NDArray[np.bool_]:
    """Return which samples came too quickly after the one before; t (n,) s, v (n,)."""
    quick = np.zeros(t.size, dtype=bool)
    if t.size < 2:
        return quick
    # Two rounded readings differ by up to one resolution when the truth has not moved at all.
    allowed = resolution * (1.0 + _SAME)
    dt, dv = np.diff(t), np.abs(np.diff(v))
    quick[1:] = (dt > 0.0) & (dv - allowed > rate * dt * (1.0 + _SAME))
    # The way back from a lone outlier is as quick as the way there, and the sample after it is not to blame.
    back = np.flatnonzero(quick[1:-1] & quick[2:]) + 2
    fine = np.abs(v[back] - v[back - 2]) - allowed <= rate * (t[back] - t[back - 2]) * (1.0 + _SAME)
    lone = np.flatnonzero(fine)
    if lone.size:
        before = -1
        for k in back[lone].tolist():  # of up, down, up, down each outlier excuses one successor
            if k - 1 != before:
                quick[k] = False
                before = k
    return quick


def _spikes(t: Array, v: Array, spike: float, resolution: float, compressed: bool) -> NDArray[np.bool_]:
    """Return which samples stand out from both neighbors on the same side; t (n,) s, v (n,)."""
    found = np.zeros(t.size, dtype=bool)
    if t.size < 3:
        return found
    rise, fall = v[1:-1] - v[:-2], v[1:-1] - v[2:]
    least = np.minimum(np.abs(rise), np.abs(fall))
    found[1:-1] = (rise * fall > 0.0) & (least - resolution > spike * (1.0 + _SAME))
    if compressed:
        # Both points beside a real spike are archived, one scan away; the top of a slow rise and fall has far ones.
        dt = np.diff(t)
        near = _NEAR * float(np.quantile(dt[dt > 0.0], 0.05)) if (dt > 0.0).any() else 0.0
        found[1:-1] &= (dt[:-1] <= near) & (dt[1:] <= near)
    return found


def _flat(
    marks: _Marks, t: Array, v: Array, where: NDArray[np.intp], longest: float, unit: Unit, compressed: bool
) -> None:
    if compressed:
        if (np.diff(v) == 0.0).any():
            marks.notes.append(
                "no verdict on flat lines: the samples are compressed, and between them lies interpolation"
            )
        return
    if v.size < 2:
        return
    same = np.abs(np.diff(v)) <= _SAME * np.abs(v[1:])
    begins, ends = _runs(same)  # step k joins samples k and k + 1
    spans = t[ends] - t[begins]
    long = np.flatnonzero(spans > longest)
    if not long.size:
        return
    for k in long.tolist():
        hit = where[begins[k] : ends[k] + 1]
        marks.flags[hit] = np.maximum(marks.flags[hit], np.int8(Flag.SUSPECT))
    n = int((ends[long] - begins[long] + 1).sum())
    top = long[np.argmax(spans[long])]
    marks.notes.append(
        f"one value for longer than {duration_text(longest)}: {marks.counted(n, t[begins[long[0]]])}; the longest time "
        f"is {duration_text(float(spans[top]))} at {v[begins[top]]:g} {unit} from "
        f"{marks.moment(float(t[begins[top]]))} on: suspect"
    )


def _gap(marks: _Marks, t: Array, longest: float) -> None:
    steps = np.diff(t)
    long = np.flatnonzero(steps > longest * (1.0 + _SAME))
    if long.size:
        top = long[np.argmax(steps[long])]
        marks.notes.append(
            f"{long.size} gap{'s' if long.size > 1 else ''} longer than {duration_text(longest)}, the longest "
            f"{duration_text(float(steps[top]))} from {marks.moment(float(t[top]))} on"
        )
