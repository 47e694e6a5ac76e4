"""By how much one channel follows another, or a recorded input, with an interval.

The output is modeled as y(t) = a + b x(t - d) + e(t), with a first-order lag of x if asked for, and the delay d has the
likelihood that is left when all else is fitted (profile likelihood; Seber and Wild, Nonlinear Regression, 1989, section
5.9): a and b by generalized least squares, the lag and the memory of the noise on grids that narrow. e is AR(1) in
continuous time, correlated as exp(-|t - t'| / memory), so irregular samples need no filling and noise that remembers
widens the interval as it must. The interval holds the delays whose likelihood passes the F test of one parameter.

x between its samples: a recorded input is read as its table says. A channel is noisy, and a straight line between two
noisy samples has less noise in the middle than at the ends, so delays that fall between samples would win; a local line
under a Gaussian weight of one step (root mean square) has the same noise everywhere (to 1e-4), and shifts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, DataError, unknown_name
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.windows.local_noise import local_noise, running_sum
from physics_twin.measurements.windows.windows import positive_seconds
from physics_twin.recipes import Rule, Table
from physics_twin.units import QuantityLike, Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Delay", "find_delay"]

LEAST = 20
"""Samples of the output."""
AFTER = 5
"""Samples of the output that come after a move of the source, or nothing of it can have arrived."""
MOST = 20000
"""Samples beyond which the grids take minutes; averages say as much."""
N_DELAYS, N_LAGS = 61, 21
"""Grid of each round; rounds narrow around what is likely."""
N_ROUNDS = 6
CORRELATIONS = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 0.97, 0.985, 0.995, 0.999])
"""Of neighboring samples of the noise, tried with a parabola between them."""
FINE = 8
"""Points of the source between two samples of the output."""
SURE = 0.001
"""Chance that an output that does not follow at all passes for one that does."""
HAC = 1.5
"""Neighbors over which scores are added up, times the cube root of the number of samples."""
BRIDGE = 10.0
"""Usual steps of a source channel over which a gap is bridged by a straight line."""
SPAN = 4.0
"""Noise levels over which a source at rest wanders."""
REACH = 4.0
"""Standard deviations over which a sample of a source channel is felt."""


@dataclass(frozen=True)
class Delay:
    """A delay in s and what is known of it.

    value: the most likely delay. low, high: interval that holds the true one with `probability`. correlation: of the
    output with the delayed source, -1 to 1. lag: time constant of the first-order lag, s, 0.0 without one. gain: b, SI
    of the output per SI of the source. memory: of the noise, s. n_samples: of the output that were used. notes: what
    limits the answer.

    For pictures: times, observed, fitted (n,) s and SI; delays, relative (n_delays,) s and likelihood over its largest
    value.
    """

    value: float
    low: float
    high: float
    probability: float
    correlation: float
    lag: float
    gain: float
    memory: float
    n_samples: int
    source: str
    output: str
    experiment: str
    unit: Unit
    notes: tuple[str, ...]
    times: Array
    observed: Array
    fitted: Array
    delays: Array
    relative: Array

    def __str__(self) -> str:
        """Return the delay with its interval in a unit that fits, and what limits it."""
        interval = f"{duration_text(self.low)} to {duration_text(self.high)}"
        text = (
            f"{self.output} follows {self.source} after {duration_text(self.value)} ({100 * self.probability:g} % "
            f"interval {interval}), correlation {self.correlation:.3f}"
        )
        if self.lag > 0.0:
            text += f", with a first-order lag of {duration_text(self.lag)}"
        return "\n".join([text, *(f"  note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        """Return one line."""
        interval = f"[{self.low:.4g}, {self.high:.4g}]"
        return f"<Delay of {self.output!r} behind {self.source!r}: {self.value:.4g} s in {interval}>"

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Draw the output beside the delayed source, and the likelihood over the delay; ax: two Axes."""
        from physics_twin.measurements.windows.plots import plot_delay

        return plot_delay(self, ax)


def find_delay(
    experiment: Experiment,
    source: str,
    output: str,
    *,
    longest: QuantityLike = "10 min",
    lag: bool = False,
    at_rest: bool = False,
    probability: float = 0.95,
) -> Delay:
    """Return by how much `output` follows `source`, with an interval.

    source: a channel or an input that the recipe gives by rows. output: a channel. longest: the longest delay that is
    looked for; delays run from 0 s to it. lag: the output follows with a first-order lag too (a heater and the
    temperature it heats); without it, a slow response counts as delay. at_rest: the source held its first value before
    the record began, so that the first samples of the output count; without it, they are used from `longest` after the
    source's first sample on, since what the source did before is unknown. probability: of the interval.

    Raises UnknownNameError for names that are not there, BoundsError for numbers out of range, and DataError where no
    delay can be told: the source does not move, the output does not follow it (beyond one chance in a thousand), or
    fewer than 20 samples are left.
    """
    limit = positive_seconds(longest, "longest")
    if not 0.0 < probability < 1.0:
        raise BoundsError(f"probability = {probability:g} is not between 0 and 1")
    series = experiment[output]
    if source == output:
        raise DataError(f"find_delay: {source} is named as source and as output")
    used = np.flatnonzero(series.used)
    used = used[np.argsort(series.times[used], kind="stable")]
    used = used[np.concatenate([[True], np.diff(series.times[used]) > 0.0])] if used.size else used
    t, y = series.times[used], series.values[used]
    if t.size < LEAST:
        raise DataError(f"{output} has {t.size} samples in use; a delay takes {LEAST} at least")
    usual = float(np.median(np.diff(t)))
    grid_step = min(usual / FINE, limit / (4.0 * N_DELAYS))
    path = _path(experiment, source, t[-1], grid_step)
    kept = _usable(t, path, limit, at_rest)
    if kept.sum() < LEAST:
        raise DataError(
            f"{int(kept.sum())} samples of {output} lie within a time in which {source} is known for "
            f"{duration_text(limit)} before them; give a shorter longest=, or at_rest=True if it held its first value "
            "before the record began"
        )
    if kept.sum() > MOST:
        raise DataError(
            f"{output} has {int(kept.sum())} samples; select the stretch in which {source} moves, or average first "
            f"(at most {MOST})"
        )
    t, y = t[kept], y[kept]
    s = series.noise[used][kept]
    felt = path.values[(path.times >= t[0] - limit) & (path.times <= t[-AFTER - 1])]
    if felt.size == 0 or float(np.ptp(felt)) <= max(path.noise, 1e-9 * float(np.abs(felt).max())):
        raise DataError(
            f"{source} does not move while {output} is measured, so nothing can be told about a delay; take a stretch "
            "in which it does"
        )
    return _estimate(experiment, source, output, t, y, s / s.mean(), path, limit, lag, at_rest, probability)


# The source ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Path:
    """A source on a fine regular grid, (n,) each; NaN where it is not known."""

    times: Array
    values: Array
    noise: float
    """By how much it moves by noise alone, SI, from the lowest to the highest."""
    first: float
    """s, from when it is known"""
    held: tuple[Array, Array] | None = None
    """Rows (n_rows,) s and SI of an input that holds between them"""


def _path(experiment: Experiment, source: str, end: float, step: float) -> _Path:
    if source in experiment.series:
        return _channel_path(experiment, source, end, step)
    tables = [(phase, phase.inputs.get(source)) for phase in experiment.recipe.phases]
    rows = [(phase, item) for phase, item in tables if isinstance(item, Table)]
    if not rows:
        known = [*experiment.series, *(one.name for one in experiment.inputs)]
        if any(item is not None for _, item in tables):
            raise DataError(
                f"the input {source} is not given by rows in the recipe, and a delay is read off a recorded input"
            )
        raise unknown_name(f'channel or recorded input of experiment "{experiment.name}"', source, known)
    if len(experiment.recipe.phases) > 1:
        raise DataError(
            f"the input {source} is given in {len(experiment.recipe.phases)} phases; a delay is read off a recipe of "
            "one phase, as it is recorded"
        )
    table = rows[0][1]
    t, v = np.array(table.times), np.array(table.values)
    grid = np.arange(0.0, end + step, step)
    if table.rule is Rule.HOLD:
        return _Path(grid, _held(t, v, grid), 0.0, 0.0, (t, v))
    return _Path(grid, np.interp(grid, t, v), 0.0, 0.0)


def _held(t: Array, v: Array, at: Array) -> Array:
    """What rows hold at the times `at`, of any shape; before the first, the first."""
    return np.asarray(v[np.clip(np.searchsorted(t, at, side="right") - 1, 0, t.size - 1)])


def _channel_path(experiment: Experiment, source: str, end: float, step: float) -> _Path:
    """A channel under a local straight line with a Gaussian weight of one step, root mean square."""
    series = experiment[source]
    used = np.flatnonzero(series.used)
    used = used[np.argsort(series.times[used], kind="stable")]
    t, x = series.times[used], series.values[used]
    if t.size < LEAST:
        raise DataError(f"{source} has {t.size} samples in use; a delay takes {LEAST} at least")
    apart = np.diff(t)[np.diff(t) > 0.0]
    # The usual step, and more of it where steps differ: between two far samples a line is a guess.
    width = float(np.sqrt((apart[apart <= BRIDGE * np.median(apart)] ** 2).mean()))
    grid = np.arange(t[0], min(end, t[-1]) + step, step)
    sums = np.zeros((5, grid.size))
    center = float(x.mean())
    # Each sample is felt on a few grid points: by offset from its own, one pass each.
    nearest = np.round((t - grid[0]) / step).astype(np.int64)
    reach = int(np.ceil(REACH * width / step))
    for offset in range(-reach, reach + 1):
        at = nearest + offset
        inside = (at >= 0) & (at < grid.size)
        late = t[inside] - grid[at[inside]]
        w = np.exp(-0.5 * (late / width) ** 2)
        for row, term in enumerate(
            (w, w * late, w * late**2, w * (x[inside] - center), w * late * (x[inside] - center))
        ):
            sums[row] += np.bincount(at[inside], term, grid.size)
    s0, s1, s2, m0, m1 = sums
    determinant = s0 * s2 - s1 * s1
    # Samples on one side only, as across a gap, give no line.
    known = (s0 > 0.1) & (determinant > 1e-3 * (s0 * width) ** 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(known, center + (s2 * m0 - s1 * m1) / determinant, np.nan)
    values = _bridged(grid, values, BRIDGE * width)
    # A few hundred normal numbers span six standard deviations, and the weight takes half of the noise out.
    local = local_noise(t, x).sd
    noise = min(series.channel.noise, local) if local > 0.0 else series.channel.noise
    return _Path(grid, values, SPAN * noise, float(t[0]))


def _bridged(grid: Array, values: Array, longest: float) -> Array:
    """Straight lines across stretches of NaN of up to `longest` s."""
    known = np.isfinite(values)
    if known.all() or not known.any():
        return values
    rank = np.maximum.accumulate(np.where(known, np.arange(grid.size), -1))
    after = np.minimum.accumulate(np.where(known, np.arange(grid.size), grid.size)[::-1])[::-1]
    inside = ~known & (rank >= 0) & (after < grid.size)
    apart = grid[np.minimum(after, grid.size - 1)] - grid[np.maximum(rank, 0)]
    return np.where(inside & (apart <= longest), np.interp(grid, grid[known], values[known]), values)


def _usable(t: Array, path: _Path, limit: float, at_rest: bool) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Samples of the output for which the source is known over all delays that are tried, (n,)."""
    step = float(path.times[1] - path.times[0]) if path.times.size > 1 else 1.0
    unknown = np.concatenate([[0], np.cumsum(~np.isfinite(path.values))])
    low = np.clip(np.floor((t - limit - path.times[0]) / step).astype(np.int64), 0, path.times.size)
    high = np.clip(np.ceil((t - path.times[0]) / step).astype(np.int64) + 1, 0, path.times.size)
    gapless = unknown[high] == unknown[low]
    begins = path.first if at_rest else path.first + limit * (1.0 - 1e-9)
    return np.asarray(gapless & (t >= begins) & (t <= path.times[-1] + step))


# The likelihood ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fit:
    """Output and source, and what the likelihood needs again and again."""

    t: Array
    y: Array
    s: Array
    """Noise of the samples over its mean, (n,)."""
    path: _Path
    at_rest: bool
    usual: float

    def filtered(self, lag: float) -> Array:
        """The source behind a first-order lag, on the grid; exact for straight lines between its points."""
        x = self.path.values
        good = np.isfinite(x)
        x = np.interp(self.path.times, self.path.times[good], x[good]) if not good.all() else x
        if lag <= 0.0:
            return x
        step = float(self.path.times[1] - self.path.times[0])
        ratio = step / lag
        decay = float(np.exp(-ratio))
        if self.path.held is not None:
            # The mean over a cell keeps the moment of a step inside it.
            mean = np.diff(_held_integral(*self.path.held, self.path.times)) / step
            return _recursion(decay, np.concatenate([x[:1], (1.0 - decay) * mean]))
        now = 1.0 + np.expm1(-ratio) / ratio  # weight of the new point; the rest of 1 - decay is the old one's
        old = 1.0 - decay - now
        return _recursion(decay, np.concatenate([x[:1], now * x[1:] + old * x[:-1]]))

    def columns(self, lag: float, delays: Array) -> Array:
        """The delayed source at the samples, (n_delays, n)."""
        at = self.t[None, :] - delays[:, None]
        if self.path.held is not None and lag <= 0.0:
            return _held(*self.path.held, at)
        return np.interp(at, self.path.times, self.filtered(lag))

    def likelihood(self, x: Array, lag: float, tried: Array = CORRELATIONS) -> tuple[Array, Array, Array]:
        """Log-likelihood (n_delays,), correlation of neighbors, and gain, all for each row of x (n_delays, n).

        tried: correlations of neighbors, three at least.
        """
        n = self.t.size
        gaps = np.diff(self.t) / self.usual
        found = np.empty((tried.size, x.shape[0]))
        gains = np.empty_like(found)
        for k, correlation in enumerate(tried):
            decay = correlation**gaps if correlation > 0.0 else np.zeros(n - 1)
            width = np.sqrt(-np.expm1(2.0 * np.log(np.maximum(decay, 1e-300))))
            logs = float(np.log(width).sum())
            fixed = [self._white(np.ones(n), decay, width)]
            if lag > 0.0 and not self.at_rest:  # how the lag began is unknown and dies away
                fixed.append(self._white(np.exp(-(self.t - self.t[0]) / lag), decay, width))
            q, _ = np.linalg.qr(np.stack(fixed, axis=1))
            v = self._white(self.y, decay, width)
            v = v - q @ (q.T @ v)
            u = self._white(x, decay, width)
            u = u - (u @ q) @ q.T
            uu, uv = (u * u).sum(axis=1), u @ v
            gains[k] = uv / np.maximum(uu, 1e-300)
            left = np.maximum(float(v @ v) - uv * gains[k], 1e-12 * float(v @ v) + 1e-300)
            found[k] = -0.5 * n * np.log(left) - logs
        best = np.clip(np.argmax(found, axis=0), 1, tried.size - 2)
        rows = np.arange(x.shape[0])
        top = _parabola_top(tried, found, best)
        at = np.argmax(found, axis=0)
        return np.maximum(top, found[at, rows]), tried[at], gains[at, rows]

    def misjudged(self, lag: float, delay: float, correlation: float) -> float:
        """How many times more a score of the delay varies than the likelihood believes; 1.0 or more.

        The ratio of the sandwich's two inner terms (Huber 1967), with the products of neighboring scores under
        Bartlett's weights (Newey and West, Econometrica 55, 703, 1987): where the source is known less well the faster
        it moves, or the noise is not quite AR(1), residuals are larger just where they matter.
        """
        n = self.t.size
        nudge = 0.25 * self.usual
        x = self.columns(lag, np.array([max(delay - nudge, 0.0), delay, delay + nudge]))
        gaps = np.diff(self.t) / self.usual
        decay = correlation**gaps if correlation > 0.0 else np.zeros(n - 1)
        width = np.sqrt(-np.expm1(2.0 * np.log(np.maximum(decay, 1e-300))))
        others = [np.ones(n), x[1]]
        if lag > 0.0:
            others.append(self.columns(lag * 1.02, np.array([delay]))[0] - x[1])
            if not self.at_rest:
                others.append(np.exp(-(self.t - self.t[0]) / lag))
        q, _ = np.linalg.qr(np.stack([self._white(one, decay, width) for one in others], axis=1))
        r, g = (self._white(one, decay, width) for one in (self.y, x[2] - x[0]))
        r, g = r - q @ (q.T @ r), g - q @ (q.T @ g)
        score = r * g
        believed = float(r @ r) / (n - q.shape[1] - 1) * float(g @ g)
        n_lags = int(np.ceil(HAC * n ** (1.0 / 3.0)))
        seen = float(score @ score)
        for k in range(1, n_lags + 1):
            seen += 2.0 * (1.0 - k / (n_lags + 1.0)) * float(score[k:] @ score[:-k])
        return float(max(1.0, seen / max(believed, 1e-300)))

    def _white(self, x: Array, decay: Array, width: Array) -> Array:
        scaled = x / self.s
        return np.concatenate([scaled[..., :1], (scaled[..., 1:] - decay * scaled[..., :-1]) / width], axis=-1)


def _recursion(decay: float, u: Array) -> Array:
    """z_i = decay z_i-1 + u_i, (n,)."""
    return u + running_sum(np.full(u.size, decay), u)


def _held_integral(t: Array, v: Array, at: Array) -> Array:
    """Integral of what rows hold, up to the times `at` (n,)."""
    whole = np.concatenate([[0.0], np.cumsum(np.diff(t) * v[:-1])])
    row = np.clip(np.searchsorted(t, at, side="right") - 1, 0, t.size - 1)
    return np.asarray(whole[row] + (at - t[row]) * v[row])


def _parabola_top(at: Array, values: Array, middle: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Array:
    """Highest value of the parabolas through three neighbors of each column of values (n_at, n)."""
    rows = np.arange(values.shape[1])
    a, b, c = (at[middle + k] for k in (-1, 0, 1))
    fa, fb, fc = (values[middle + k, rows] for k in (-1, 0, 1))
    left, right = (fb - fa) / (b - a), (fc - fb) / (c - b)
    bend = (right - left) / (c - a)
    slope = left + bend * (b - a)  # in b
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(bend < 0.0, -slope / (2.0 * bend), 0.0)
    shift = np.clip(shift, a - b, c - b)
    return np.asarray(fb + slope * shift + bend * shift**2)


def _estimate(
    experiment: Experiment,
    source: str,
    output: str,
    t: Array,
    y: Array,
    s: Array,
    path: _Path,
    limit: float,
    lag: bool,
    at_rest: bool,
    probability: float,
) -> Delay:
    from scipy.special import chdtri, stdtrit

    usual = float(np.median(np.diff(t)))
    fit = _Fit(t, y - y.mean(), s, path, at_rest, usual)
    n = t.size
    spent = 5 if lag else 4
    # F test of one parameter: n log(1 + t^2 / nu) is what 2 log L may fall short of its largest value.
    quantile = float(stdtrit(n - spent, 0.5 + 0.5 * probability))
    drop = 0.5 * n * float(np.log1p(quantile**2 / (n - spent)))

    stepped = path.held is not None and not lag
    duration = float(t[-1] - t[0])
    lags = np.geomspace(0.5 * usual, max(duration, 4.0 * usual), N_LAGS) if lag else np.zeros(1)
    grid = _Grid.over(fit, np.linspace(0.0, limit, N_DELAYS), lags)
    wide = grid
    for round_ in range(N_ROUNDS):
        grid = grid.narrowed(fit, drop, limit)
        if round_ >= 2 and grid.share(drop) >= 1.0 / 3.0:
            break

    delays, profile, top = grid.delays, grid.profile, float(grid.profile.max())
    peak = int(np.argmax(profile))
    # Steps between samples are as likely at one time as at another; then the middle is the answer.
    level_top = np.flatnonzero(profile >= top - 1e-9 * n)
    value = float(0.5 * (delays[level_top[0]] + delays[level_top[-1]])) if stepped else float(delays[peak])
    constant = float(grid.lags[int(np.argmax(grid.table[:, peak]))])
    column = fit.columns(constant, np.array([value]))
    best, alike, gain = fit.likelihood(column, constant)
    nothing, _, _ = fit.likelihood(np.zeros((1, n)), 0.0)
    # As many delays were tried as the source has times to differ: a follower by chance must be that much less likely.
    tries = min(N_DELAYS, n) * (3 if lag else 1)
    if 2.0 * float(best[0] - nothing[0]) < float(chdtri(2 if lag else 1, SURE / tries)):
        raise DataError(
            f"{output} does not follow {source} within {duration_text(limit)} beyond chance, so nothing can be told "
            "about a delay; take a stretch in which the source moves more, or look for a longer one (longest=)"
            + ("" if lag else ", or for a slow response (lag=True)")
        )
    # Chandler and Bate (Biometrika 94, 167, 2007): the likelihood is flattened by what it misjudges.
    flattened = 1.0 if stepped else fit.misjudged(constant, value, float(alike[0]))
    if flattened > 1.0:
        drop *= flattened
        grid = grid.narrowed(fit, drop, limit)
    edges = _crossings(grid.delays, grid.profile, float(grid.profile.max()) - drop, stepped)
    notes = []
    if edges[0] <= 0.0:
        notes.append("the interval begins at 0 s: no delay is as likely")
    if edges[1] >= limit:
        notes.append(f"the interval ends where the search ends ({duration_text(limit)}): give a longer longest=")
    if at_rest:
        notes.append(f"{source} is taken to have held its first value before the record began")
    if alike[0] >= 0.97:
        notes.append(
            "what is not explained changes slowly (neighbors correlate by 0.97 or more): the output does more than "
            "follow, and the interval rests on its quick changes" + ("" if lag else "; try lag=True")
        )
    fitted = float(gain[0]) * column[0]
    fitted = fitted + float((y - fitted).mean())
    shown, height = _joined(wide, grid)
    return Delay(
        value=value,
        low=edges[0],
        high=edges[1],
        probability=probability,
        correlation=float(np.corrcoef(fitted, y)[0, 1] * np.sign(gain[0])) if np.ptp(fitted) > 0.0 else 0.0,
        lag=constant,
        gain=float(gain[0]),
        memory=float(-usual / np.log(alike[0])) if alike[0] > 0.0 else 0.0,
        n_samples=n,
        source=source,
        output=output,
        experiment=experiment.name,
        unit=experiment[output].channel.unit,
        notes=tuple(notes),
        times=t,
        observed=y,
        fitted=fitted,
        delays=shown,
        relative=np.exp((height - height.max()) / flattened),
    )


@dataclass(frozen=True)
class _Grid:
    """Log-likelihood over delays and lags."""

    delays: Array
    """(n_delays,) s"""
    lags: Array
    """(n_lags,) s"""
    table: Array
    """(n_lags, n_delays)"""
    alike: Array
    """(n_lags, n_delays) likely correlation of neighboring noise"""

    @classmethod
    def over(cls, fit: _Fit, delays: Array, lags: Array, tried: Array = CORRELATIONS) -> "_Grid":
        rows = [fit.likelihood(fit.columns(float(lag), delays), float(lag), tried) for lag in lags]
        return cls(delays, lags, np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))

    @property
    def profile(self) -> Array:
        """Largest likelihood over the lags for each delay, (n_delays,)."""
        if self.lags.size == 1:
            return np.asarray(self.table[0])
        best = np.clip(np.argmax(self.table, axis=0), 1, self.lags.size - 2)
        return np.maximum(_parabola_top(np.log(self.lags), self.table, best), self.table.max(axis=0))

    def _inside(self, drop: float) -> tuple[int, int]:
        likely = np.flatnonzero(self.profile >= self.profile.max() - drop)
        return int(likely[0]), int(likely[-1])

    def share(self, drop: float) -> float:
        """How much of the grid lies in the interval."""
        first, last = self._inside(drop)
        return float((last - first) / (self.delays.size - 1))

    def narrowed(self, fit: _Fit, drop: float, limit: float) -> "_Grid":
        """The grid of the next round: all that is likely, and half of it on both sides, within 0 and the limit."""
        first, last = self._inside(drop)
        step = float(self.delays[1] - self.delays[0])
        margin = max(1.5 * step, 0.5 * float(self.delays[last] - self.delays[first]))
        low = max(0.0, float(self.delays[first]) - margin)
        high = min(limit, float(self.delays[last]) + margin)
        lags = self.lags
        if lags.size > 1:
            likely = np.flatnonzero((self.table >= self.table.max() - 2.0 * drop).any(axis=1))
            ends = max(int(likely[0]) - 1, 0), min(int(likely[-1]) + 1, lags.size - 1)
            lags = np.geomspace(float(lags[ends[0]]), float(lags[ends[1]]), lags.size)
        # Of the noise, what is likely wherever the delay is, and two more on both sides.
        near = self.alike[self.table >= self.table.max() - 2.0 * drop]
        begin, end = (int(np.searchsorted(CORRELATIONS, x)) for x in (near.min(), near.max()))
        tried = CORRELATIONS[max(0, min(begin - 2, CORRELATIONS.size - 5)) : max(end + 3, 5)]
        return _Grid.over(fit, np.linspace(low, high, self.delays.size), lags, tried)


def _joined(wide: _Grid, narrow: _Grid) -> tuple[Array, Array]:
    """The profile over all delays with its peak on the finer grid."""
    outside = (wide.delays < narrow.delays[0]) | (wide.delays > narrow.delays[-1])
    delays: Array = np.concatenate([wide.delays[outside], narrow.delays])
    profile: Array = np.concatenate([wide.profile[outside], narrow.profile])
    order = np.argsort(delays)
    return delays[order], profile[order]


def _crossings(delays: Array, profile: Array, level: float, stepped: bool) -> tuple[float, float]:
    """First and last delay at which the profile stands above the level.

    Straight lines between the grid points; a profile in steps may fall anywhere between them, so there the interval
    reaches to the next point.
    """
    inside = np.flatnonzero(profile >= level)
    ends = []
    for k, toward in ((int(inside[0]), -1), (int(inside[-1]), 1)):
        j = k + toward
        if not 0 <= j < delays.size:
            ends.append(float(delays[k]))
            continue
        share = 1.0 if stepped else (profile[k] - level) / max(profile[k] - profile[j], 1e-300)
        ends.append(float(delays[k] + share * (delays[j] - delays[k])))
    return ends[0], ends[1]
