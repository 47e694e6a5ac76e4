"""What a posterior predicts for the samples of an experiment: the band of a measurement, and where the samples lie.

Used on samples that were fitted (does the band of the fit hold them?) and on samples held back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.comparison import measurement_band, plot_times, prior_bias
from physics_twin.measurements import Channel, Experiment
from physics_twin.measurements.tags.certificates import expired_certificates
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.units import format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = (0.025, 0.5, 0.975)
MAY_BE_OUTSIDE = 0.05
LEAST_DRAWS = 100
MOST_NUMBERS = 10_000_000
"""Draws times samples times outputs that a prediction keeps in memory: 80 MB."""


@dataclass(frozen=True, eq=False)
class PredictedChannel:
    """Samples of one channel beside their prediction; SI, times in s.

    times, observed: (n,). low, middle, high: (n,) quantiles of what the sensor would show. sd: (n,) its standard
    deviation. fitted_times, fitted: samples of this channel that the fit has seen, if others were held back. nodes
    (n_nodes,), band (3, n_nodes): low, middle and high over the whole run, for pictures.
    """

    experiment: str
    channel: Channel
    times: Array
    observed: Array
    low: Array
    middle: Array
    high: Array
    sd: Array
    fitted_times: Array
    fitted: Array
    nodes: Array
    band: Array

    @property
    def name(self) -> str:
        """output@experiment."""
        return f"{self.channel.output}@{self.experiment}"

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which samples lie inside the 95 % band, (n,)."""
        return np.asarray((self.observed >= self.low) & (self.observed <= self.high))

    @property
    def strays(self) -> bool:
        """Whether more than one in twenty samples lies outside the 95 % band."""
        return float((~self.inside).mean()) > MAY_BE_OUTSIDE

    @property
    def z(self) -> Array:
        """(n,) measured minus median prediction, in standard deviations of the prediction of a measurement."""
        return (self.observed - self.middle) / self.sd

    def __str__(self) -> str:
        unit = self.channel.unit
        words = f"{int(self.inside.sum())} of {self.times.size} inside"
        if self.inside.all():
            return words
        worst = int(np.argmax(np.abs(self.z)))
        side = "above" if self.z[worst] > 0 else "below"
        scale = plot_style.time_scale(float(self.times[-1]))
        return (
            f"{words}; farthest out at {scale(self.times)[worst]:.4g} {scale.unit}: measured "
            f"{format_si(float(self.observed[worst]), unit)}, predicted {format_si(float(self.low[worst]), unit, 3)} "
            f"to {format_si(float(self.high[worst]), unit, 3)}, {abs(self.z[worst]):.1f} standard deviations {side}"
        )


@dataclass(frozen=True, eq=False)
class Sampled:
    """What the draws say at the samples of one channel, SI; draws whose simulation failed are left out."""

    true: Array
    """(n_draws, n) without noise."""
    noisy: Array
    """(n_draws, n) as the sensor would show it."""
    sd: Array
    """(n_draws, n) of its noise."""
    observed: Array
    """(n,)"""

    @property
    def rank(self) -> Array:
        """(n,) share of the predicted measurements below the one that was measured, ties counted half."""
        below, same = self.noisy < self.observed, self.noisy == self.observed
        return np.asarray(below.mean(axis=0) + 0.5 * same.mean(axis=0))

    @property
    def log_likelihood(self) -> Array:
        """(n_draws,) log density of all samples given the draw, in 1/SI."""
        z = (self.observed - self.true) / self.sd
        return np.asarray(-0.5 * np.sum(z**2, axis=1) - np.sum(np.log(np.sqrt(2.0 * np.pi) * self.sd), axis=1))


@dataclass(frozen=True, eq=False)
class Predicted:
    """One experiment beside its prediction."""

    channels: tuple[PredictedChannel, ...]
    samples: tuple[Sampled, ...]
    """One for each channel."""
    distance: Array
    """(n_draws,) sum of squared z of each predictive draw, NaN where its simulation failed."""
    notes: tuple[str, ...]


def predict_channels(
    model: Model,
    posterior: Posterior,
    run: Experiment,
    *,
    rng: np.random.Generator,
    n_draws: int = 1000,
    fitted: Experiment | None = None,
    duration: float | None = None,
) -> tuple[list[PredictedChannel], Array, tuple[str, ...]]:
    """The channels of one experiment; the sum of squared z of each predictive draw (n_draws,); notes."""
    found = predict_samples(model, posterior, run, rng=rng, n_draws=n_draws, fitted=fitted, duration=duration)
    return list(found.channels), found.distance, found.notes


def predict_samples(
    model: Model,
    posterior: Posterior,
    run: Experiment,
    *,
    rng: np.random.Generator,
    n_draws: int = 1000,
    fitted: Experiment | None = None,
    duration: float | None = None,
) -> Predicted:
    """What the posterior predicts for the samples of one experiment.

    fitted: the part of the same run that the fit has seen, if `run` is the other one. duration: of the whole run, in s.
    n_draws: see `affordable`. rng: for the noise of the sensors.
    """
    sensors = _sensors(posterior, [c for c in run.channels if run[c.output].used.any()], run.name)
    shown = {o: np.maximum(run[o].times[run[o].used] - s.delay, 0.0) for o, s in sensors.items()}
    seen = np.empty(0) if fitted is None else fitted.times
    nodes = plot_times(np.concatenate([seen, *shown.values()]), run.duration if duration is None else duration)
    times = np.unique(np.concatenate([nodes, *shown.values()]))
    # One seed for all experiments, so that row i is the same draw of the parameters in each of them.
    prediction = posterior.predict(model, run.recipe, times, rng=0, n_draws=n_draws, experiment=run)
    rows = np.asarray(prediction.draws.coords["draw"].values)
    drawn = prediction.draws.transpose("output", "draw", "time").values
    position = {str(output): k for k, output in enumerate(prediction.draws.coords["output"].values)}
    kept = np.isfinite(prediction.draws.values).all(axis=(1, 2))
    distance = np.zeros(kept.size)
    found: list[PredictedChannel] = []
    samples: list[Sampled] = []
    for output, sensor in sensors.items():
        series, sd = run[output], sensor.noise[rows]
        true = drawn[position[output]] + sensor.bias[rows, None]
        at, line = np.searchsorted(times, shown[output]), np.searchsorted(times, nodes)
        scale = np.ones(at.size) if series.noise_scale is None else series.noise_scale[series.used]
        noisy = true[:, at] + sd[:, None] * scale * rng.standard_normal((rows.size, at.size))
        low, middle, high = np.quantile(noisy[kept], LEVELS, axis=0)
        spread = noisy[kept].std(axis=0, ddof=1)
        own = np.broadcast_to(sd[kept, None] * scale, (int(kept.sum()), at.size))
        samples.append(Sampled(true[kept][:, at], noisy[kept], own, series.values[series.used]))
        distance += np.sum(((noisy - middle) / spread) ** 2, axis=1)
        before = None if fitted is None or output not in fitted.series else fitted[output]
        found.append(
            PredictedChannel(
                experiment=run.name,
                channel=series.channel,
                times=series.times[series.used],
                observed=series.values[series.used],
                low=low,
                middle=middle,
                high=high,
                sd=spread,
                fitted_times=np.empty(0) if before is None else before.times[before.used],
                fitted=np.empty(0) if before is None else before.values[before.used],
                nodes=nodes + sensor.delay,
                # At a single moment there is no curve to draw, and an array of sensors has thousands of such channels.
                band=np.array([low, middle, high])
                if line.size == 1
                else measurement_band(true[kept][:, line], sd[kept] * float(np.median(scale))),
            )
        )
    return Predicted(tuple(found), tuple(samples), distance, (*prediction.notes, *expired_certificates([run])))


def affordable(model: Model, runs: Sequence[Experiment], n_draws: int) -> int:
    """How many draws can predict all samples of these experiments in memory: `n_draws`, or fewer for a long log."""
    longest = max(run.times.size for run in runs)
    return min(n_draws, max(LEAST_DRAWS, MOST_NUMBERS // (longest * len(model.outputs))))


@dataclass(frozen=True)
class _Sensor:
    noise: Array
    """(n_draws,) SI, one standard deviation"""
    bias: Array
    """(n_draws,) SI"""
    delay: float
    """s; at the mode where it was estimated"""


def _sensors(posterior: Posterior, channels: Sequence[Channel], experiment: str) -> dict[str, _Sensor]:
    """Noise, bias and delay of channels' sensors: as estimated for this experiment, else for all, else as given.

    An unknown bias that was not estimated, as of a sensor that was replaced after the fit, is drawn from its prior.
    """
    names, n = set(posterior.names), posterior.n_draws
    draws: dict[str, Array] = {}  # a noise may be shared by thousands

    def estimated(name: str) -> str | None:
        return next((k for k in (f"{name}@{experiment}", name) if k in names), None)

    def level(name: str, given: float) -> Array:
        key = estimated(name)
        if key is None:
            return np.full(n, given)
        if key not in draws:
            draws[key] = posterior[key]
        return draws[key]

    def bias(c: Channel) -> Array:
        if c.unknown_bias is not None and estimated(c.bias_name) is None:
            return prior_bias(c, n)
        # A sensor's bias that was estimated elsewhere does not replace the one that is stated here.
        return np.full(n, c.bias) if c.unknown_bias is None and c.sensor is not None else level(c.bias_name, c.bias)

    def delay(name: str, given: float) -> float:
        key = estimated(name)
        return given if key is None else posterior.mode.scalar(key)

    return {
        c.output: _Sensor(level(c.noise_name, c.noise), bias(c), delay(f"delay.{c.output}", c.delay)) for c in channels
    }


def draw_channel(one: "Axes", c: PredictedChannel, scale: plot_style.TimeScale, *, name: str = "measured") -> None:
    """Draw band and samples of a channel in its unit; `name` is what the legend calls the samples."""
    unit = c.channel.unit
    low, middle, high = (np.asarray(unit.from_si(row)) for row in c.band)
    plot_style.draw_band(one, scale(c.nodes), low, middle, high, name="95 % band of a measurement")
    if c.fitted.size:
        style = {
            "marker": ".",
            "ls": "",
            "color": plot_style.MUTED,
            "ms": 2.5 if c.fitted.size > plot_style.DENSE else 7,
        }
        one.plot(scale(c.fitted_times), unit.from_si(c.fitted), label="fitted", **style)  # type: ignore[arg-type]
        one.axvline(float(scale(0.5 * (c.fitted_times[-1:] + c.times[:1]))[0]), color=plot_style.MUTED, lw=0.8, ls="--")
    observed = np.asarray(unit.from_si(c.observed))
    plot_style.draw_samples(one, scale(c.times), observed, name=name, outside=~c.inside)
    one.set_ylabel(plot_style.label(c.channel.output, unit))
    one.margins(x=0.02)


__all__ = [
    "Predicted",
    "PredictedChannel",
    "Sampled",
    "affordable",
    "draw_channel",
    "predict_channels",
    "predict_samples",
]
