"""Means over windows, with the noise that a mean really has.

A year at 1 Hz is 31 million samples and 500,000 means over a minute; what must survive is how much is known. Three
things keep a mean of n samples from having 1/sqrt(n) of their noise: noise that remembers (the samples repeat one
another), a converter whose steps are larger than the noise (all samples are rounded the same way), and a historian
that stores a line within a deadband instead of samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, DataError
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag, FlagArray
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.relations.compression import CompressionKind, compression
from physics_twin.measurements.series import Series
from physics_twin.measurements.windows.averaged_inputs import averaged_recipe
from physics_twin.measurements.windows.local_noise import LocalNoise, converter_step, noise_of, running_sum
from physics_twin.measurements.windows.windows import (
    ON_EDGE,
    chosen_outputs,
    declared,
    positive_seconds,
    with_selection,
)
from physics_twin.units import QuantityLike, format_si

__all__ = ["average"]

JUDGED = 50_000
"""Samples from which compression is judged: the first so many say what the rest is."""
FAR = 3.0
"""Periods between neighboring means up to which the bend of a curve is judged from them."""


def average(
    experiment: Experiment,
    period: QuantityLike,
    *,
    outputs: str | Sequence[str] | None = None,
    least: int = 1,
    inputs: bool = False,
    compressed: bool | None = None,
) -> Experiment:
    """Return means over windows of `period` that begin at time zero, with the noise that a mean has.

    Windows are cut where a phase of the batch begins or ends: a mean is of one phase.

    outputs: channels to average; the others stay as they are. least: samples in use that a mean needs; a window with
    fewer has no mean (missing), nor has one with a censored sample. inputs: average recorded inputs too; they stay as
    they are without it, since a model integrates them. compressed: whether a historian has thinned the samples out;
    without it, as the channel's checks declare (deadband), else as it looks (`compression`), which cannot tell raw
    samples at random times from swinging door: say compressed=False for those.

    **Value and time.** Weighted by 1/noise^2 where samples have noise of their own: the means are the best there are,
    and the plain mean where they have not. The time of a mean is the mean time of its samples with the same weights.
    Read as the value at that time, a mean is exact for a straight line within the window; a curve y'' apart from it
    shifts the mean by y'' var(t) / 2, and a note says where that exceeds the noise of the mean. A fit does not read it
    so: `begins` and `ends` say over which window it compares the mean of the model, the one whose times have the same
    mean and variance as those of the samples (shorter where it would leave the phase or the record).

    **Noise.** `noise_scale` of a mean is 1/sqrt(n) for white noise. Where the noise about local curves remembers
    (`local_noise`, modeled as AR(1)), fewer samples count, and the note says how many. It does not fall below
    resolution/sqrt(12) while the noise of a sample is smaller than the resolution (declared in the channel's checks,
    or seen in the values), and not below deadband/sqrt(3) for compressed data. Such data are averaged over time along
    the stored line (values of exception reporting hold until the next), since a historian stores few points where
    little happens. Noise that remembers longer than a window leaves neighboring means correlated; a calibration finds
    that in its residuals and widens for it. Average once and from the samples: a mean no longer shows the steps of the
    converter behind it.

    Samples left out of the misfit form means of their own, which are left out for the same reason. A mean with a
    suspect sample is suspect. `reported` of a mean is that of its last result.

    Raises BoundsError for a period or `least` that is not above 0, UnknownNameError for an output that is not there,
    DataError when no mean is left.
    """
    p = positive_seconds(period, "period")
    if least < 1:
        raise BoundsError(f"least = {least}: a mean needs at least 1 sample")
    chosen = chosen_outputs(experiment, outputs)
    cuts = np.unique([end for phase in experiment.phases for end in (phase.start, phase.end)])
    grid = _Grid(p, cuts, np.unique([0.0, experiment.duration, *cuts]))
    series = {
        name: _averaged(one, grid, least, compressed) if name in chosen else one
        for name, one in experiment.series.items()
    }
    if not any(one.used.any() for one in series.values()):
        raise DataError(
            f'experiment "{experiment.name}": no window of {duration_text(p)} holds {least} samples in use; take a '
            "longer period or fewer samples (least=)"
        )
    words = f"means over {duration_text(p)}" + (f" of {', '.join(chosen)}" if outputs is not None else "")
    recipe = experiment.recipe
    if inputs:
        recipe = averaged_recipe(recipe, p)
        words += ", recorded inputs too"
    return replace(with_selection(experiment, series, words), recipe=recipe)


# Means ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
    """Windows of `period` s from time zero on, cut where a phase begins or ends; numbered in the order of time."""

    period: float
    cuts: Array
    """(n_cuts,) s, ascending; none where the experiment has no phases"""
    walls: Array
    """(n_walls,) s, ascending: the cuts, time zero and the end of the record, beyond which the model may differ"""

    def number(self, times: Array, on_edge: float = 0.0) -> NDArray[np.int64]:
        """Window of each time, (n,); a time on an edge is in the window that begins there."""
        whole = np.floor(times / self.period + on_edge).astype(np.int64)
        return np.asarray(whole * (self.cuts.size + 1) + np.searchsorted(self.cuts, times, side="right"))

    def middle(self, windows: NDArray[np.int64]) -> Array:
        """Time in the middle of windows, (n,) s."""
        whole, part = np.divmod(windows, self.cuts.size + 1)
        bounds = np.concatenate([[-np.inf], self.cuts, [np.inf]])
        begin = np.maximum(whole * self.period, bounds[part])
        return np.asarray(0.5 * (begin + np.minimum((whole + 1) * self.period, bounds[part + 1])))

    def half_width(self, times: Array, variance: Array) -> Array:
        """Half of the window (n,) s about each time whose times have this variance, s^2, and that has no wall in it."""
        bounds = np.concatenate([[-np.inf], self.walls, [np.inf]])
        # A mean of one sample on a wall has no width, so the side does not matter.
        part = np.searchsorted(self.walls, times, side="right")
        room = np.minimum(times - bounds[part], bounds[part + 1] - times)
        return np.asarray(np.minimum(np.sqrt(3.0 * np.maximum(variance, 0.0)), np.maximum(room, 0.0)))

    def edges(self, low: float, high: float) -> Array:
        """All edges between two times, s, ascending."""
        whole = np.arange(np.floor(low / self.period), np.floor(high / self.period) + 2.0) * self.period
        every = np.unique(np.concatenate([whole, self.cuts]))
        return every[(every > low) & (every < high)]


@dataclass(frozen=True)
class _Means:
    """Means in any order, (n_means,) each."""

    window: NDArray[np.int64]
    left_out: NDArray[np.int8]
    times: Array
    values: Array
    scale: Array
    flags: FlagArray
    reported: Array
    n_samples: NDArray[np.int64]
    variance_of_time: Array
    """s^2, of the times within the window, with the weights of the mean"""


def _averaged(series: Series, grid: _Grid, least: int, compressed: bool | None) -> Series:
    timed = np.isfinite(series.times)
    window = np.zeros(series.times.size, dtype=np.int64)
    window[timed] = grid.number(series.times[timed], ON_EDGE)
    trusted = timed & np.isfinite(series.values) & (series.flags <= Flag.SUSPECT)
    limits = timed & (series.censored != 0) if series.censored is not None else np.zeros(timed.size, dtype=bool)
    with_limit = np.unique(window[limits])
    trusted &= ~limits
    averageable = trusted & ~np.isin(window, with_limit)
    line = _line(series, compressed)
    notes = list(series.notes)
    if line is not None:
        means = _along_the_line(series, window, averageable, timed, grid, line)
        noise: LocalNoise | None = None
    else:
        n_usual = int(np.median(np.unique(window[averageable], return_counts=True)[1])) if averageable.any() else 1
        noise = noise_of(series, n_usual)
        means = _over_samples(series, window, averageable, noise.memory)
    enough = means.n_samples >= least
    floor, floor_words = _floor(series, noise, line)
    scale = np.maximum(means.scale, floor)

    n_few = int((~enough).sum())
    found = _keep(replace(means, scale=scale), enough)
    # Windows that hold rows but no mean of any kind stay visible as missing.
    empty = np.setdiff1d(np.unique(window[timed]), found.window)
    times = np.concatenate([found.times, grid.middle(empty)])
    later, own_variance = _own_windows(series)
    middle = times + later
    half = grid.half_width(found.times + later, found.variance_of_time + own_variance)
    half = np.concatenate([half, np.zeros(empty.size)])
    order = np.argsort(times, kind="stable")
    nan = np.full(empty.size, np.nan)

    taken: dict[str, Any] = (
        {"begins": (middle - half)[order], "ends": (middle + half)[order]} if half.any() or later else {}
    )
    if series.time_sd is not None:
        # What one clock is off, all samples of a window are off alike.
        taken["time_sd"] = np.full(times.size, float(np.sqrt(np.mean(series.time_sd**2))))

    notes += _words(found, grid.period, noise, floor, floor_words, line)
    if with_limit.size:
        notes.append(f"{_windows(with_limit.size)} a censored sample (below or above a limit): no mean")
    if n_few:
        notes.append(f"{_windows(n_few)} fewer than {least} samples: no mean")
    silent = empty.size - np.isin(empty, with_limit).sum() - np.isin(empty, means.window).sum()
    if silent:
        notes.append(f"{_windows(int(silent))} no sample in use: no mean")
    bent = _bend(found, series, grid.period)
    if bent:
        notes.append(bent)
    return Series(
        channel=series.channel,
        times=times[order],
        values=np.concatenate([found.values, nan])[order],
        flags=np.concatenate([found.flags, np.full(empty.size, Flag.MISSING, dtype=np.int8)])[order],
        left_out=np.concatenate([found.left_out, np.zeros(empty.size, dtype=np.int8)])[order],
        reasons=series.reasons,
        notes=tuple(notes),
        noise_scale=np.concatenate([found.scale, np.ones(empty.size)])[order],
        reported=None if series.reported is None else np.concatenate([found.reported, nan])[order],
        **taken,
    )


def _own_windows(series: Series) -> tuple[float, float]:
    """By how much the windows of samples that are means lie after their times, s, and the variance in them, s^2."""
    used = series.informative
    if series.begins is None or series.ends is None or not used.any():
        return 0.0, 0.0
    begins, ends = series.begins[used], series.ends[used]
    return float(np.mean(0.5 * (begins + ends) - series.times[used])), float(np.mean((ends - begins) ** 2)) / 12.0


def _windows(n: int) -> str:
    return "1 window holds" if n == 1 else f"{n} windows hold"


def _keep(means: _Means, mask: NDArray[np.bool_]) -> _Means:
    return _Means(
        means.window[mask],
        means.left_out[mask],
        means.times[mask],
        means.values[mask],
        means.scale[mask],
        means.flags[mask],
        means.reported[mask],
        means.n_samples[mask],
        means.variance_of_time[mask],
    )


@dataclass(frozen=True)
class _Line:
    """What a historian has stored instead of samples."""

    deadband: float
    """SI"""
    held: bool
    """Whether values hold until the next, instead of straight lines."""
    rows_per_sample: float
    words: str


def _line(series: Series, compressed: bool | None) -> _Line | None:
    """The line that was stored, as declared or as it looks; None for samples."""
    band = declared(series, "deadband")
    if compressed is False or (compressed is None and not band and series.noise_scale is not None):
        return None  # what has noise of its own was made of samples already
    used = np.flatnonzero(series.used)
    used = used[np.argsort(series.times[used], kind="stable")][:JUDGED]
    found = compression(series.times[used], series.values[used], declared(series, "resolution"))
    held = found.kind is CompressionKind.EXCEPTION
    rows = used.size / max(found.n_samples, 1)
    if band:
        return _Line(band, held, rows, f"declared deadband of {_shown(band, series)}")
    if found.compressed:
        band = found.deadband or 0.0
        return _Line(band, held, rows, f"deadband of about {_shown(band, series, 2)} ({found.kind.value}, as it looks)")
    return _Line(0.0, False, 1.0, "") if compressed else None


def _shown(difference: float, series: Series, digits: int = 4) -> str:
    return format_si(difference, series.channel.unit, digits, difference=True)


def _over_samples(series: Series, window: NDArray[np.int64], mask: NDArray[np.bool_], memory: float) -> _Means:
    """Weighted means over the samples of `mask` in each window; variances for noise that remembers `memory` s."""
    where = np.flatnonzero(mask)
    where = where[np.lexsort((series.times[where], series.left_out[where], window[where]))]
    t, v, k = series.times[where], series.values[where], window[where]
    left_out = series.left_out[where]
    new = np.concatenate([[True], (np.diff(k) != 0) | (np.diff(left_out) != 0)]) if where.size else mask[:0]
    starts = np.flatnonzero(new)
    if not starts.size:
        return _no_means()
    s = np.ones(where.size) if series.noise_scale is None else series.noise_scale[where]
    w = 1.0 / s**2
    total = np.add.reduceat(w, starts)
    group = np.cumsum(new) - 1
    # About the first sample of each window: a year in seconds squared would cost half of the digits.
    t0, v0 = t[starts], v[starts]
    late, above = t - t0[group], v - v0[group]
    mean_late = np.add.reduceat(w * late, starts) / total
    u = w * s
    variance = np.add.reduceat(u * u, starts)
    if memory > 0.0:
        decay = np.concatenate([[0.0], np.exp(-np.diff(t) / memory)])
        decay[starts] = 0.0
        variance = variance + 2.0 * np.add.reduceat(u * running_sum(decay, u), starts)
    reported = np.full(where.size, np.nan) if series.reported is None else series.reported[where]
    return _Means(
        window=k[starts],
        left_out=left_out[starts],
        times=t0 + mean_late,
        values=v0 + np.add.reduceat(w * above, starts) / total,
        scale=np.sqrt(variance) / total,
        flags=np.maximum.reduceat(series.flags[where], starts),
        reported=np.fmax.reduceat(reported, starts),
        n_samples=np.diff(np.append(starts, where.size)),
        variance_of_time=np.add.reduceat(w * (late - mean_late[group]) ** 2, starts) / total,
    )


def _no_means() -> _Means:
    none, codes = np.empty(0), np.empty(0, dtype=np.int8)
    return _Means(np.empty(0, np.int64), codes, none, none, none, codes, none, np.empty(0, np.int64), none)


def _along_the_line(
    series: Series,
    window: NDArray[np.int64],
    mask: NDArray[np.bool_],
    timed: NDArray[np.bool_],
    grid: _Grid,
    line: _Line,
) -> _Means:
    """Means over time along the line between stored points, in the windows that hold a point.

    A line is not drawn across a point that cannot be used. A window between two points would repeat what its neighbors
    say and gets no mean. mask: (n,) points that can be used; timed: (n,) all that have a time.
    """
    found: list[_Means] = []
    order = np.flatnonzero(timed)
    order = order[np.argsort(series.times[order], kind="stable")]
    for code in np.unique(series.left_out[mask]):
        mine = mask & (series.left_out == code)
        rank = np.flatnonzero(mine[order])  # among all points in the order of time
        where = order[rank]
        t, v = series.times[where], series.values[where]
        s = np.ones(where.size) if series.noise_scale is None else series.noise_scale[where]
        whole = np.diff(rank) == 1  # no other point lies between
        samples = _over_samples(series, window, mine, 0.0)
        knots = np.unique(np.concatenate([t, grid.edges(t[0], t[-1])]))
        if knots.size < 2:
            found.append(samples)
            continue
        begin, end = knots[:-1], knots[1:]
        middle = 0.5 * (begin + end)
        piece = np.clip(np.searchsorted(t, middle, side="right") - 1, 0, t.size - 2)
        length = np.where(whole[piece], end - begin, 0.0)
        own = grid.number(middle)
        slot = np.searchsorted(samples.window, own)
        slot_ok = (slot < samples.window.size) & (samples.window[np.minimum(slot, samples.window.size - 1)] == own)
        slot, length, begin, end, middle, piece = (x[slot_ok] for x in (slot, length, begin, end, middle, piece))
        n = samples.window.size
        covered = np.bincount(slot, length, n)
        at = v[piece] if line.held else np.interp(middle, t, v)  # a line's mean over a piece is that in its middle
        safe = np.where(covered > 0.0, covered, 1.0)
        t_mean = np.bincount(slot, length * middle, n) / safe
        spread = np.bincount(slot, length * ((middle - t_mean[slot]) ** 2 + (end - begin) ** 2 / 12.0), n) / safe
        base = samples.values[slot]
        mean = samples.values + np.bincount(slot, length * (at - base), n) / safe
        # Each point weighs as its line does: half of the pieces on both sides, by how near their middles are.
        share = (middle - t[piece]) / np.maximum(t[piece + 1] - t[piece], 1e-300) * (not line.held)
        point = np.concatenate([piece, piece + 1])
        weight = np.concatenate([length * (1.0 - share), length * share]) * s[point]
        keys = np.concatenate([slot, slot]) * np.int64(t.size) + point
        unique, inverse = np.unique(keys, return_inverse=True)
        per_point = np.bincount(inverse, weight)
        variance = np.bincount((unique // t.size).astype(np.intp), per_point**2, n)
        lines = covered > 0.0
        found.append(
            replace(
                samples,
                times=np.where(lines, t_mean, samples.times),
                values=np.where(lines, mean, samples.values),
                scale=np.where(lines, np.sqrt(variance * line.rows_per_sample) / safe, samples.scale),
                variance_of_time=np.where(lines, spread, samples.variance_of_time),
            )
        )
    if not found:
        return _no_means()
    fields = {key: np.concatenate([getattr(one, key) for one in found]) for key in _Means.__dataclass_fields__}
    return _Means(**fields)


# Floors and words ----------------------------------------------------------------------------------------------------


def _floor(series: Series, noise: LocalNoise | None, line: _Line | None) -> tuple[float, str]:
    """The least noise of a mean as a multiple of the channel's, and where it comes from."""
    level, unit = series.channel.noise, series.channel.unit
    if line is not None and line.deadband > 0.0:
        return line.deadband / np.sqrt(3.0) / level, line.words
    used = series.used
    if not used.any():
        return 0.0, ""
    step = converter_step(series.values[used], declared(series, "resolution"))
    # The scatter tells what dithers the converter; a declared noise often stands for more than that. White noise of
    # half a step would already average the rounding out; noise that remembers would not, so a whole step is asked for.
    smallest = float(series.noise[used].min())
    if noise is not None and used.sum() >= 12:
        smallest = min(smallest, noise.sd * float(smallest / level))
    if not step > 0.0 or smallest >= step:
        return 0.0, ""
    return step / np.sqrt(12.0) / level, f"steps of {format_si(step, unit, difference=True)} in the values"


def _words(
    means: _Means, period: float, noise: LocalNoise | None, floor: float, floor_words: str, line: _Line | None
) -> list[str]:
    if not means.times.size:
        return []
    n = means.n_samples
    counts = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
    what = "points of a compressed record, taken over time" if line is not None else "samples"
    words = f"means over {duration_text(period)} of {counts} {what}"
    if noise is not None and noise.memory > 0.0 and n.max() > 1:
        n_usual = int(np.median(n))
        decay = np.exp(-noise.spacing / noise.memory)
        k = np.arange(1, n_usual)
        counted = n_usual / (1.0 + 2.0 * float(((1.0 - k / n_usual) * decay**k).sum()))
        words += (
            f"; their noise remembers {duration_text(noise.memory)} (neighbors correlate by {noise.lag_one:.2f}), so "
            f"that {n_usual} samples count as {counted:.1f}"
        )
    n_held = int((means.scale <= floor * (1.0 + 1e-12)).sum()) if floor > 0.0 else 0
    if n_held:
        words += f"; for the {floor_words}, the noise of {n_held} of {n.size} means falls no further"
    return [words]


def _bend(means: _Means, series: Series, period: float) -> str:
    """Say where the curve bends within windows by more than the means' noise."""
    order = np.argsort(means.times, kind="stable")
    order = order[means.left_out[order] == 0]
    t, y = means.times[order], means.values[order]
    if t.size < 3:
        return ""
    before, after = np.diff(t)[:-1], np.diff(t)[1:]
    near = (before < FAR * period) & (after < FAR * period) & (before > 0.0) & (after > 0.0)
    steps = np.diff(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        second = 2.0 * (steps[1:] / after - steps[:-1] / before) / (before + after)
    shift = 0.5 * np.abs(np.where(near, second, 0.0)) * means.variance_of_time[order][1:-1]
    noise = series.channel.noise * means.scale[order][1:-1]
    too_much = shift > noise
    if not too_much.any():
        return ""
    worst = int(np.argmax(np.where(too_much, shift, 0.0)))
    size = format_si(float(shift[worst]), series.channel.unit, 2, difference=True)
    return (
        f"in {int(too_much.sum())} of {too_much.size} windows the curve bends so much that the mean is off the value "
        f"at its time by more than its noise (about {size} at {duration_text(float(t[worst + 1]))}); a fit takes it as "
        "the mean that it is"
    )
