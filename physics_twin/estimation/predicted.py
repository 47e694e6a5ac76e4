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
from physics_twin.errors import CalibrationError
from physics_twin.measurements import Channel, Experiment
from physics_twin.measurements.tags.certificates import expired_certificates
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.posterior.node_refinement import looks_refined
from physics_twin.posterior.observation import course_for, in_order, look
from physics_twin.posterior.sensor_noise import SensorNoise
from physics_twin.posterior.uncertain_times import HERMITE
from physics_twin.posterior.window_pieces import ORDER
from physics_twin.units import format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = (0.025, 0.5, 0.975)
MAY_BE_OUTSIDE = 0.05
LEAST_DRAWS = 100
TRIED = 2
"""Draws that say how finely windows are cut."""
MOST_NUMBERS = 10_000_000
"""Draws times samples times outputs that a prediction keeps in memory: 80 MB."""


@dataclass(frozen=True, eq=False)
class PredictedChannel:
    """Samples of one channel beside their prediction; SI, times in s.

    times, observed: (n,). low, middle, high: (n,) quantiles of what the sensor would show. sd: (n,) its standard
    deviation. censored: (n,) -1 where the truth lies below `observed`, 1 above, 0 where it was measured. fitted_times,
    fitted: samples of this channel that the fit has seen, if others were held back. nodes (n_nodes,), band
    (3, n_nodes): low, middle and high over the whole run, for pictures.
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
    censored: NDArray[np.int8]

    @property
    def name(self) -> str:
        """output@experiment."""
        return f"{self.channel.output}@{self.experiment}"

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which samples lie inside the 95 % band, (n,); a limit does where the band reaches the side that it states."""
        too_low, too_high = self.observed < self.low, self.observed > self.high
        return np.asarray(~((too_low & (self.censored <= 0)) | (too_high & (self.censored >= 0))))

    @property
    def strays(self) -> bool:
        """Whether more than one in twenty samples lies outside the 95 % band."""
        return float((~self.inside).mean()) > MAY_BE_OUTSIDE

    @property
    def z(self) -> Array:
        """(n,) measured minus median prediction, in standard deviations of the prediction of a measurement.

        Of a limit the distance by which the median misses it; 0 where the median lies on the side that it states.
        """
        return _one_sided((self.observed - self.middle) / self.sd, self.censored)

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


def _one_sided(z: Array, censored: NDArray[np.int8]) -> Array:
    """Distances z (..., n), those of limits where they contradict only: above zero is no contradiction of "below"."""
    if not censored.any():
        return z
    return np.asarray(np.where(censored < 0, np.minimum(z, 0.0), np.where(censored > 0, np.maximum(z, 0.0), z)))


@dataclass(frozen=True, eq=False)
class Sampled:
    """What the draws say at the measured samples of one channel, SI; draws whose simulation failed are left out."""

    true: Array
    """(n_draws, n) without noise."""
    noisy: Array
    """(n_draws, n) as the sensor would show it."""
    sd: Array
    """(n_draws, n) of its noise."""
    observed: Array
    """(n,)"""
    times: Array
    """(n,) s, ascending"""
    noise: SensorNoise
    """Of the draws."""
    log_limits: Array
    """(n_draws,) log probability of all samples that are limits (which are not in the arrays above)."""

    @property
    def rank(self) -> Array:
        """(n,) share of the predicted measurements below the one that was measured, ties counted half."""
        below, same = self.noisy < self.observed, self.noisy == self.observed
        return np.asarray(below.mean(axis=0) + 0.5 * same.mean(axis=0))

    @property
    def log_likelihood(self) -> Array:
        """(n_draws,) log density of all samples given the draw, in 1/SI, times the probability of limits."""
        return self.noise.log_density(self.observed - self.true, self.times, self.sd) + self.log_limits


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
    sensors = _sensors(posterior, [c for c in run.channels if run[c.output].informative.any()], run.name)
    position = {signal.name: k for k, signal in enumerate(model.outputs)}
    picked = {output: in_order(run[output]) for output in sensors}
    course = course_for(model, run.recipe, {k: float(x) for k, x in posterior.fixed.items() if np.ndim(x) == 0})
    looks = {o: look(run[o], picked[o], position, run.name, s.delay, course) for o, s in sensors.items()}
    looks = looks_refined(
        looks,
        {output: s.delay for output, s in sensors.items()},
        {output: np.full(picked[output].size, float(np.median(s.noise.level))) for output, s in sensors.items()},
        course,
        lambda moments: (
            posterior.predict(model, run.recipe, moments, rng=0, n_draws=TRIED, experiment=run).draws.values
        ),
    )
    seen = np.empty(0) if fitted is None else fitted.times
    asked = [np.maximum(run[o].times[picked[o]] - s.delay, 0.0) for o, s in sensors.items()]
    nodes = plot_times(np.concatenate([seen, *asked]), run.duration if duration is None else duration)
    times = np.unique(np.concatenate([nodes, *(one.times for one in looks.values())]))
    # One seed for all experiments, so that row i is the same draw of the parameters in each of them.
    prediction = posterior.predict(model, run.recipe, times, rng=0, n_draws=n_draws, experiment=run)
    rows = np.asarray(prediction.draws.coords["draw"].values)
    drawn, line = prediction.draws.values, np.searchsorted(times, nodes)
    shown = {output: one.shown(times, drawn) for output, one in looks.items()}
    kept = np.isfinite(drawn).all(axis=(1, 2))
    for output, (value, _) in shown.items():
        kept &= np.isfinite(value).all(axis=1)
        if not kept.any():
            raise CalibrationError(
                f"{output}@{run.name}: no draw has a mean for every sample; does the flow that weighs them stand still?"
            )
    distance = np.zeros(kept.size)
    found: list[PredictedChannel] = []
    samples: list[Sampled] = []
    for output, sensor in sensors.items():
        series, noise, own = run[output], sensor.noise.of(rows), picked[output]
        bias, moments, observed = sensor.bias[rows, None], series.times[own], series.values[own]
        value, extra = shown[output]
        scale = np.ones(own.size) if series.noise_scale is None else series.noise_scale[own]
        sides = np.zeros(own.size, np.int8) if series.censored is None else series.censored[own]
        sd = noise.sd(value, scale, extra)
        true = value + bias
        noisy = true + noise.draw(moments, sd, rng.standard_normal(value.shape), rng)
        low, middle, high = np.quantile(noisy[kept], LEVELS, axis=0)
        spread = noisy[kept].std(axis=0, ddof=1)
        samples.append(_sampled(true[kept], noisy[kept], sd[kept], observed, moments, noise.of(kept), sides))
        distance += np.sum(_one_sided((noisy - middle) / spread, sides) ** 2, axis=1)
        before = None if fitted is None or output not in fitted.series else fitted[output]
        found.append(
            PredictedChannel(
                experiment=run.name,
                channel=series.channel,
                times=moments,
                observed=observed,
                low=low,
                middle=middle,
                high=high,
                sd=spread,
                fitted_times=np.empty(0) if before is None else before.times[before.informative],
                fitted=np.empty(0) if before is None else before.values[before.informative],
                nodes=nodes + sensor.delay,
                # At a single moment there is no curve to draw, and an array of sensors has thousands of such channels.
                band=np.array([low, middle, high])
                if nodes.size == 1
                else _band(drawn[:, line, position[output]][kept], bias[kept], noise.of(kept), scale),
                censored=sides,
            )
        )
    return Predicted(tuple(found), tuple(samples), distance, (*prediction.notes, *expired_certificates([run])))


def _band(value: Array, bias: Array, noise: SensorNoise, scale: Array) -> Array:
    """The band (3, n_nodes) of a momentary measurement with the usual noise; value (n_draws, n_nodes)."""
    sd = noise.sd(value, float(np.median(scale)))
    return measurement_band(value + bias, sd, noise.tails)


def _sampled(
    true: Array, noisy: Array, sd: Array, observed: Array, times: Array, noise: SensorNoise, sides: NDArray[np.int8]
) -> Sampled:
    limits, m = sides != 0, sides == 0
    log_limits = np.zeros(len(true))
    if limits.any():
        log_limits = noise.log_limits(observed[limits] - true[:, limits], sides[limits], sd[:, limits])
    return Sampled(true[:, m], noisy[:, m], sd[:, m], observed[m], times[m], noise, log_limits)


def affordable(model: Model, runs: Sequence[Experiment], n_draws: int) -> int:
    """How many draws can predict all samples of these experiments in memory: `n_draws`, or fewer for a long log."""
    longest = max(_n_looks(run) for run in runs)
    return min(n_draws, max(LEAST_DRAWS, MOST_NUMBERS // (longest * len(model.outputs))))


def _n_looks(run: Experiment) -> int:
    """At how many times the model is asked, about: several for a window or an uncertain time."""
    several = 1
    for series in run:
        nodes = (1 if series.begins is None else ORDER) * (1 if series.time_sd is None else HERMITE)
        several = max(several, nodes)
    return several * run.times.size


@dataclass(frozen=True)
class _Sensor:
    noise: SensorNoise
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

    def noise(c: Channel) -> SensorNoise:
        whose = c.noise_name.removeprefix("noise.")

        def number(what: str, none: float) -> Array:
            given = None if c.noise_shape is None else c.noise_shape.number(what)
            return np.full(n, none) if given is None else level(f"{what}.{whose}", given)

        shape = (number("proportional", 0.0), number("correlation_time", 0.0), number("degrees_of_freedom", np.inf))
        return SensorNoise(level(c.noise_name, c.noise), *shape)

    return {c.output: _Sensor(noise(c), bias(c), delay(f"delay.{c.output}", c.delay)) for c in channels}


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
    plot_style.draw_samples(one, scale(c.times), observed, name=name, outside=~c.inside, sides=c.censored)
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
