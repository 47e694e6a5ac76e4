"""Two sensors of one quantity: where they disagree longer than chance, both are suspect.

The test is a cumulative sum (Page, "Continuous inspection schemes", Biometrika 41 (1954) 100), one for each sign. With
d the difference of both sensors in units of its noise, beyond the tolerance, S_i = max(0, S_(i-1) + d_i - k) and k =
1/2; it alarms at S > h. The mean time to a false alarm of independent samples whose true difference lies at the very
edge of the tolerance is (exp(b) - 1 - b)/(2 k^2), b = 2 k (h + 1.166) (Siegmund, "Sequential Analysis", 1985, chapter
II), so h grows with the length of the record and the chance of any false alarm does not.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, UnitError
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.quality import MomentText, duration_text
from physics_twin.measurements.series import Series
from physics_twin.measurements.uncertainty import plain
from physics_twin.units import QuantityLike, format_si, to_si

__all__ = ["CrossChecked", "Pair", "cross_check"]

_K = 0.5
_FALSE_ALARM = 1e-3  # chance of one in a record of independent samples at the edge of the tolerance
# No sample counts for more, so that a lone outlier is no disagreement: the alarm takes four samples or more.
_MOST = 3.0
# Between samples of the second sensor further apart than so many usual steps nothing is compared.
_GAP = 5.0
_FEWEST = 10


@dataclass(frozen=True)
class Pair:
    """Two tags that show one quantity, and by how much they may differ for good reasons (place, class): "3 K".

    Read back, the tolerance is (number, unit).
    """

    first: str
    second: str
    tolerance: QuantityLike

    def __post_init__(self) -> None:
        """Take number and unit apart."""
        object.__setattr__(self, "tolerance", plain(self.tolerance))


@dataclass(frozen=True, eq=False)
class CrossChecked:
    """What a cross check found.

    first, second: the series, with the samples in disagreement suspect and a note. ranges: (from, to) of each
    disagreement, s since time zero. notes: in words.
    """

    first: Series
    second: Series
    ranges: tuple[tuple[float, float], ...]
    notes: tuple[str, ...]


def cross_check(
    first: Series, second: Series, tolerance: QuantityLike, *, moment: MomentText = duration_text
) -> CrossChecked:
    """Mark where two sensors of one quantity differ by more than `tolerance` for longer than chance lets them.

    Both are suspect there: from two sensors nobody can tell which one is right. The second is interpolated to the
    times of the first, not across its gaps. The noise of the difference is the greater of what the channels declare
    and what its steps show. Samples that are bad, missing or censored take no part. Sensors with different delays
    disagree in every transient: let the tolerance cover it. Noise that is correlated from sample to sample alarms
    sooner than independent noise does. moment: how a time is said in the notes.

    Raises UnitError where the tolerance does not fit both, BoundsError where it is negative.
    """
    names = (first.channel.output, second.channel.output)
    if first.channel.unit.dimension != second.channel.unit.dimension:
        raise UnitError(
            f"{names[0]} is in {first.channel.unit} and {names[1]} in {second.channel.unit}: not comparable"
        )
    unit = first.channel.unit
    allowed = to_si(tolerance, unit, name=f"tolerance of {names[0]} and {names[1]}", difference=True)
    if allowed < 0.0:
        raise BoundsError(f"tolerance of {names[0]} and {names[1]} is {allowed:g}, below 0")
    t, difference = _differences(first, second)
    if t.size < _FEWEST:
        words = f"{names[0]} and {names[1]} have {t.size} samples to compare: no verdict"
        return _result(first, second, (), (words,))
    steps = np.abs(np.diff(difference))
    # Median of the steps of white noise: 0.6745 sqrt(2) sigma.
    shown = float(np.median(steps)) / (0.6745 * math.sqrt(2.0))
    sigma = max(math.hypot(first.channel.noise, second.channel.noise), shown)
    threshold = math.log(0.5 * t.size / _FALSE_ALARM) / (2.0 * _K) - 1.166
    ranges: list[tuple[int, int]] = []
    for sign in (1.0, -1.0):
        ranges += _excursions((sign * difference - allowed) / sigma - _K, threshold)
    ranges.sort()
    notes = []
    for begin, end in ranges:
        mean = float(np.mean(difference[begin : end + 1]))
        notes.append(
            f"{names[0]} shows {format_si(abs(mean), unit, difference=True)} {'more' if mean > 0.0 else 'less'} than "
            f"{names[1]} from {moment(float(t[begin]))} to {moment(float(t[end]))}, where "
            f"{format_si(allowed, unit, difference=True)} is allowed: both suspect, for nobody can tell which is right"
        )
    return _result(first, second, tuple((float(t[a]), float(t[b])) for a, b in ranges), tuple(notes))


def _differences(first: Series, second: Series) -> tuple[Array, Array]:
    """Return times (n,) s and first - second (n,) SI where both were measured."""
    (t, a), (u, b) = _measured(first), _measured(second)
    if t.size == 0 or u.size < 2:
        return np.zeros(0), np.zeros(0)
    after = np.clip(np.searchsorted(u, t, side="left"), 1, u.size - 1)
    wide = u[after] - u[after - 1]
    compressed = second.channel.checks is not None and second.channel.checks.deadband is not None
    longest = math.inf if compressed else _GAP * float(np.median(np.diff(u)))
    inside = (t >= u[0]) & (t <= u[-1]) & ((wide <= longest) | (t == u[after]) | (t == u[after - 1]))
    return t[inside], a[inside] - np.interp(t[inside], u, b)


def _measured(series: Series) -> tuple[Array, Array]:
    trusted = (series.flags <= Flag.SUSPECT) & np.isfinite(series.values) & np.isfinite(series.times)
    if series.censored is not None:
        trusted &= series.censored == 0
    t, v = series.times[trusted], series.values[trusted]
    later = np.concatenate([[True], np.diff(t) > 0.0]) if t.size else np.zeros(0, dtype=bool)
    return t[later], v[later]  # of samples at one time the first


def _excursions(gains: Array, threshold: float) -> list[tuple[int, int]]:
    """Return first and last index of each stretch in which the cumulative sum of `gains` passed the threshold."""
    found: list[tuple[int, int]] = []
    total, start, last, alarmed = 0.0, 0, 0, False
    for i, gain in enumerate(np.minimum(gains, _MOST).tolist()):
        if total == 0.0:
            start = i
        total += gain
        if total >= threshold:
            # Held at the threshold, so that the end of a long disagreement is seen as soon as its begin was.
            total, last, alarmed = threshold, i, True
        elif total <= 0.0:
            if alarmed:
                found.append((start, last))
            total, alarmed = 0.0, False
    if alarmed:
        found.append((start, last))
    return found


def _result(
    first: Series, second: Series, ranges: tuple[tuple[float, float], ...], notes: tuple[str, ...]
) -> CrossChecked:
    return CrossChecked(_marked(first, ranges, notes), _marked(second, ranges, notes), ranges, notes)


def _marked(series: Series, ranges: tuple[tuple[float, float], ...], notes: tuple[str, ...]) -> Series:
    flags: FlagArray = series.flags.copy()
    for low, high in ranges:
        hit = (series.times >= low) & (series.times <= high) & (flags < Flag.SUSPECT)
        flags[hit] = Flag.SUSPECT
    return replace(series, flags=flags, notes=(*series.notes, *notes))
