"""Windows of a record in which nothing moves.

The test is the ratio of variances of Cao and Rhinehart (An efficient method for on-line identification of steady
state, J. Process Control 5, 363, 1995) over a window instead of their exponential filters: the variance about the mean
over the variance from successive differences, which a drift leaves alone. Over a window it is von Neumann's ratio
(Ann. Math. Statist. 12, 367, 1941), and its distribution without any movement is known, so a stated share of quiet
windows is called moving and no more. With x the samples of a window and delta their successive differences,

    r = 1 - sum delta^2 / (2 sum (x - mean)^2)

is the ratio as a correlation: symmetric about 0 for white noise, within cos(pi/n), with variance (n - 2)/(n^2 - 1).
That is a scaled beta distribution to the third decimal of any probability. A movement makes r large.

Cao and Rhinehart ask for samples so far apart that the noise has forgotten. Here each window is cut into a few parts of
equally many samples, whose means are tested: that forgets what is shorter than a part, and a drift, which the means
keep while the noise averages out, is found sooner. What the noise still
remembers from part to part enters the critical value, by simulation with a fixed seed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, overload

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, DataError
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.series import Series
from physics_twin.measurements.windows.local_noise import LocalNoise, converter_step, noise_of, running_sum
from physics_twin.measurements.windows.windows import ON_EDGE, chosen_outputs, declared, positive_seconds
from physics_twin.units import QuantityLike, Unit, to_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SteadyWindow", "SteadyWindows", "steady_windows"]

N_PARTS = 10
"""Parts of a window: fewer find a straight drift sooner, more a wave; ten do both."""
N_SIMULATED = 20000
RANDOM_SEED = 1995
ALIKE = 0.01
"""Correlation of neighboring parts from which the critical value is simulated."""


@dataclass(frozen=True)
class SteadyWindow:
    """One window that was tested.

    start, end: s since time zero. steady: whether nothing moves in any of the channels. means, standard_errors: output
    -> SI, of the samples in use in it; correlation of the noise and resolution are in the standard error. p_values:
    output -> chance that a channel at rest looks as unsteady. n_samples: output -> samples in use.
    """

    start: float
    end: float
    steady: bool
    means: Mapping[str, float]
    standard_errors: Mapping[str, float]
    p_values: Mapping[str, float]
    n_samples: Mapping[str, int]


@dataclass(frozen=True)
class SteadyWindows(Sequence[SteadyWindow]):
    """The steady windows of an experiment, in the order of time.

    tested: all windows that had samples enough, steady or not. false_alarm: share of windows at rest that are called
    unsteady, over all channels together. untested: how many windows had too few samples. notes: what limits the test.
    """

    experiment: Experiment
    tested: tuple[SteadyWindow, ...]
    outputs: tuple[str, ...]
    window: float
    false_alarm: float
    untested: int
    notes: tuple[str, ...]

    @property
    def steady(self) -> tuple[SteadyWindow, ...]:
        """The windows in which nothing moves."""
        return tuple(one for one in self.tested if one.steady)

    def __len__(self) -> int:
        """How many windows are steady."""
        return len(self.steady)

    @overload
    def __getitem__(self, index: int) -> SteadyWindow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[SteadyWindow, ...]: ...
    def __getitem__(self, index: int | slice) -> SteadyWindow | tuple[SteadyWindow, ...]:
        """Return a steady window by its position."""
        return self.steady[index]

    def __iter__(self) -> Iterator[SteadyWindow]:
        """Run through the steady windows."""
        return iter(self.steady)

    def __str__(self) -> str:
        """Return a table: a row a steady window, the means with their standard errors."""
        lines = [
            f'experiment "{self.experiment.name}": {len(self)} of {len(self.tested)} windows of '
            f"{duration_text(self.window)} are steady"
        ]
        for one in self:
            cells = [
                f"{name} {_with_error(one.means[name], one.standard_errors[name], self.experiment[name].channel.unit)}"
                for name in self.outputs
            ]
            lines.append(f"  {duration_text(one.start)} to {duration_text(one.end)}: {', '.join(cells)}")
        lines.append(
            f"  test: ratio of variances over {N_PARTS} parts (Cao and Rhinehart 1995, von Neumann 1941); of windows "
            f"at rest {self.false_alarm:.2g} are called unsteady"
        )
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return one line."""
        return f"<SteadyWindows of {self.experiment.name!r}: {len(self)} of {len(self.tested)} windows are steady>"

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Draw each channel with its steady windows shaded and their means; ax: one Axes for each channel."""
        from physics_twin.measurements.windows.plots import plot_steady

        return plot_steady(self, ax)


def _with_error(mean: float, error: float, unit: Unit) -> str:
    shown, own = float(unit.from_si(mean)), float(unit.from_si(error, True))
    digits = max(0, 1 - int(np.floor(np.log10(own)))) if own > 0.0 else 3
    return f"{shown:.{digits}f} ± {own:.{digits}f} {unit}"


def steady_windows(
    experiment: Experiment,
    outputs: str | Sequence[str] | None = None,
    *,
    window: QuantityLike,
    step: QuantityLike | None = None,
    false_alarm: float = 0.05,
    tolerance: Mapping[str, QuantityLike] | None = None,
) -> SteadyWindows:
    """Return the windows in which none of the channels moves, with their means.

    outputs: channels that must be at rest; without it, all. window: its length, long enough for 20 samples of each.
    step: from the start of one window to the next; without it they adjoin, from time zero on. false_alarm: share of
    windows at rest that are called unsteady, over all channels together (each is tested at its share of it).
    tolerance: output -> difference ("0.5 K") within which the parts of a window may lie and still be at rest; without
    one, the resolution of the channel, declared or seen in the values: a converter that toggles is no drift.

    Of windows of 60 samples of white noise in which the signal drifts by three times the noise of a sample, 0.99 are
    found unsteady, by twice 0.84, and by once 0.3 (false_alarm 0.05; measured by the tests). So what passes is a window
    in which nothing is seen to move; a longer window sees more. Waves shorter than half a window average out.

    Raises UnknownNameError for an output that is not there, BoundsError for numbers out of range, DataError when no
    window has 20 samples in use of every channel.
    """
    names = chosen_outputs(experiment, outputs)
    length = positive_seconds(window, "window")
    every = length if step is None else positive_seconds(step, "step")
    if not 0.0 < false_alarm < 1.0:
        raise BoundsError(f"false_alarm = {false_alarm:g} is not between 0 and 1; 0.05 is usual")
    allowed = {name: _tolerance(experiment[name], (tolerance or {}).get(name)) for name in names}
    for name in tolerance or {}:
        experiment[name]
    level = 1.0 - (1.0 - false_alarm) ** (1.0 / len(names))
    least = 2 * N_PARTS
    records = {name: _Record.of(experiment[name], length) for name in names}

    begin = min((float(r.t[0]) for r in records.values() if r.t.size), default=0.0)
    end = max((float(r.t[-1]) for r in records.values() if r.t.size), default=0.0)
    tested: list[SteadyWindow] = []
    untested = 0
    notes = dict.fromkeys(note for r in records.values() for note in r.notes)
    first = max(0, int(np.floor(begin / every + ON_EDGE)))
    for k in range(first, int(np.floor((end - length) / every + 1e-6)) + 2):
        low = k * every
        # A last sample at the very end of a window closes it: 600 s at 1 Hz are ten windows of 60 s.
        if low + length > end + 2.0 * max(r.noise.spacing for r in records.values()):
            break
        parts = {name: r.between(low, low + length) for name, r in records.items()}
        if min(rows.stop - rows.start for rows in parts.values()) < least:
            untested += 1
            continue
        p, mean, error = {}, {}, {}
        for name, rows in parts.items():
            p[name], mean[name], error[name] = records[name].examine(rows, allowed[name])
        tested.append(
            SteadyWindow(
                low,
                low + length,
                min(p.values()) > level,
                mean,
                error,
                p,
                {name: rows.stop - rows.start for name, rows in parts.items()},
            )
        )
    if not tested:
        raise DataError(
            f'experiment "{experiment.name}": no window of {duration_text(length)} holds {least} samples in use of '
            f"{', '.join(names)}; take a longer window, or fewer channels (outputs=)"
        )
    for name, r in records.items():
        if r.noise.memory * N_PARTS > length:
            notes[
                f"{name}: the noise remembers {duration_text(r.noise.memory)}, longer than a part of a window; slow "
                "noise and a slow drift look alike"
            ] = None
    return SteadyWindows(experiment, tuple(tested), names, length, false_alarm, untested, tuple(notes))


def _tolerance(series: Series, given: QuantityLike | None) -> float:
    channel = series.channel
    if given is None:
        return converter_step(series.values[series.used], declared(series, "resolution"))
    found = to_si(given, channel.unit, name=f"tolerance of {channel.output}", difference=True)
    if not 0.0 <= found < float("inf"):
        raise BoundsError(f"tolerance of {channel.output} = {found:g}: a difference of 0 or more")
    return found


@dataclass(frozen=True)
class _Record:
    """Samples in use of one channel, in the order of time."""

    t: Array
    v: Array
    s: Array
    """Noise of each in multiples of the channel's."""
    level: float
    noise: LocalNoise
    floor: float
    notes: tuple[str, ...]

    @classmethod
    def of(cls, series: Series, window: float) -> "_Record":
        used = np.flatnonzero(series.used)
        used = used[np.argsort(series.times[used], kind="stable")]
        scale = np.ones(used.size) if series.noise_scale is None else series.noise_scale[used]
        # Lines through half a window: longer ones bend with the process, shorter ones follow slow noise.
        spacing = noise_of(series).spacing
        noise = noise_of(series, int(0.5 * window / spacing) if spacing > 0.0 else 0, degree=1)
        step = converter_step(series.values[used], declared(series, "resolution"))
        floor = step / np.sqrt(12.0) if noise.sd < step else 0.0
        floor = max(floor, (declared(series, "deadband") or 0.0) / np.sqrt(3.0))
        notes: tuple[str, ...] = ()
        if declared(series, "deadband"):
            notes = (
                f"{series.channel.output} is compressed: lines that a historian drew look steadier than the plant was",
            )
        return cls(series.times[used], series.values[used], scale, series.channel.noise, noise, floor, notes)

    def between(self, low: float, high: float) -> slice:
        """Samples of a window, its start included and its end not."""
        edge = ON_EDGE * (high - low)
        return slice(*(int(np.searchsorted(self.t, x - edge)) for x in (low, high)))

    def examine(self, rows: slice, tolerance: float) -> tuple[float, float, float]:
        """Return p-value, mean and standard error (SI) of the samples `rows`."""
        t, v, s = self.t[rows], self.v[rows], self.s[rows]
        n = v.size
        effective = self._effective(t)
        mean = float(v.mean())
        square = float(((v - mean) ** 2).mean())
        # E of the square about the mean is sigma^2 (1 - 1/n_eff), and the variance of the mean sigma^2 / n_eff.
        error = np.sqrt(square / max(effective - 1.0, 0.5))
        if square == 0.0 and self.floor == 0.0:
            error = (
                self.level * float(np.sqrt((s**2).sum())) / n
            )  # nothing is seen of the noise; it is what is declared
        parts = _part_means(v)
        if float(np.ptp(parts)) <= tolerance:
            return 1.0, mean, max(float(error), self.floor)
        d = np.diff(parts)
        r = 1.0 - float((d * d).sum()) / (2.0 * float(((parts - parts.mean()) ** 2).sum()))
        return chance(r, self.noise.lag_one, n // N_PARTS), mean, max(float(error), self.floor)

    def _effective(self, t: Array) -> float:
        """Independent samples with the same knowledge of the mean."""
        if self.noise.memory == 0.0:
            return float(t.size)
        one = np.ones(t.size)
        decay = np.concatenate([[0.0], np.exp(-np.diff(t) / self.noise.memory)])
        return t.size / (1.0 + 2.0 * float(running_sum(decay, one).sum()) / t.size)


def _part_means(v: Array) -> Array:
    """Means of N_PARTS parts of equally many samples; the few that are too many are left out at the start."""
    size = v.size // N_PARTS
    return np.asarray(v[v.size - size * N_PARTS :].reshape(N_PARTS, size).mean(axis=1))


def chance(r: float, lag_one: float, size: int) -> float:
    """Return how probable an r as large is when nothing moves.

    lag_one: autocorrelation of neighboring samples, AR(1). size: samples in a part.
    """
    from scipy.special import betainc

    covariance = _part_covariance(lag_one, size)
    if covariance[1] < ALIKE * covariance[0]:
        reach = float(np.cos(np.pi / N_PARTS))
        shape = 0.5 * (reach**2 * (N_PARTS**2 - 1.0) / (N_PARTS - 2.0) - 1.0)
        return float(betainc(shape, shape, 0.5 * (1.0 - min(r / reach, 1.0))))
    null = _simulated(round(lag_one, 4), size)
    return float(1 + null.size - np.searchsorted(null, r)) / (1 + null.size)


def _part_covariance(lag_one: float, size: int) -> Array:
    """Covariance (N_PARTS,) of the mean of a part with that of the k-th part after it, for AR(1) samples."""
    k = np.arange(1, size)
    own = (size + 2.0 * float(((size - k) * lag_one**k).sum())) / size**2
    if lag_one == 0.0:
        return np.append(own, np.zeros(N_PARTS - 1))
    run = float((lag_one ** np.arange(size)).sum()) / size
    later = np.arange(N_PARTS - 1) * size + 1
    return np.append(own, run**2 * lag_one**later)


@lru_cache(maxsize=256)
def _simulated(lag_one: float, size: int) -> Array:
    """Ascending r of N_SIMULATED windows in which nothing moves but AR(1) noise."""
    covariance = _part_covariance(lag_one, size)
    apart = np.abs(np.arange(N_PARTS)[:, None] - np.arange(N_PARTS))
    root = np.linalg.cholesky(covariance[apart] / covariance[0] + 1e-12 * np.eye(N_PARTS))
    x = np.random.default_rng(RANDOM_SEED).standard_normal((N_SIMULATED, N_PARTS)) @ root.T
    d = np.diff(x, axis=1)
    about = x - x.mean(axis=1, keepdims=True)
    return np.sort(1.0 - (d * d).sum(axis=1) / (2.0 * (about * about).sum(axis=1)))
