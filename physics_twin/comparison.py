"""`compare`: the uncalibrated model over the data, with the band of what its priors allow. What people do first.

If the data lie outside the band, no fit within the priors will meet them: units, signs, initial values and recipes are
checked before an hour goes into a calibration. Parameters with a prior are drawn from it; those with two finite
bounds and no prior are drawn evenly between the bounds (evenly in their logarithm where that is searched); everything
else, initial values without a prior included, stays at its value. The result says which.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from physics_twin import plot_arrays, plot_style
from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError, DataError, SolveError, UnitError, unknown_name
from physics_twin.measurements import Channel, Experiment
from physics_twin.measurements.tags.certificates import expired_certificates
from physics_twin.model import Model
from physics_twin.parameters import Parameter, ParameterSet, Values
from physics_twin.posterior import FailedSimulation
from physics_twin.posterior.members import from_prior, generator
from physics_twin.posterior.node_refinement import looks_refined
from physics_twin.posterior.observation import course_for, in_order, look
from physics_twin.posterior.prediction import simulate_members, simulate_outputs
from physics_twin.posterior.sensor_noise import SensorNoise
from physics_twin.recipes import Recipe, Steady
from physics_twin.simulation import complete_values
from physics_twin.units import QuantityLike, Unit, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_NODES, MOST_NODES = 121, 600
"""Times at which curves and bands are drawn: for a few samples, and for a long log."""
LEVELS = (0.025, 0.5, 0.975)
BAND_POINTS = 4000


@dataclass(frozen=True, eq=False)
class ComparedChannel:
    """One channel of one experiment beside what the model says before any fit; SI, times in s.

    times, observed: (n,) samples in use. censored: (n,) -1 where the truth lies below one, 1 above, 0 where it was
    measured. nominal: (n,) the model with the declared values; NaN where that run failed. low, high: (n,) the 95 % band
    of a measurement, sensor noise included. nodes: (n_nodes,) times of the curve and the band for pictures; curve
    (n_nodes,) nominal; band (2, n_nodes).
    """

    experiment: str
    channel: Channel
    times: Array
    observed: Array
    nominal: Array
    low: Array
    high: Array
    nodes: Array
    curve: Array
    band: Array
    censored: NDArray[np.int8]

    @property
    def name(self) -> str:
        """output@experiment."""
        return f"{self.channel.output}@{self.experiment}"

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Which samples lie outside the band, (n,); a limit does where the band does not reach the side it states."""
        too_low, too_high = self.observed < self.low, self.observed > self.high
        return np.asarray((too_low & (self.censored <= 0)) | (too_high & (self.censored >= 0)))

    @property
    def n_inside(self) -> int:
        """Samples inside the band."""
        return int((~self.outside).sum())

    @property
    def rms(self) -> float:
        """Root mean square of measured minus nominal, SI difference."""
        return float(np.sqrt(np.mean(self._off**2)))

    @property
    def bias(self) -> float:
        """Mean of measured minus nominal, SI difference."""
        return float(np.mean(self._off))

    @property
    def _off(self) -> Array:
        """Measured minus nominal, without limits that the nominal run obeys."""
        off = self.observed - self.nominal
        obeyed = ((self.censored < 0) & (off >= 0.0)) | ((self.censored > 0) & (off <= 0.0))
        return off[~obeyed] if not obeyed.all() else np.zeros(1)

    def __str__(self) -> str:
        unit = self.channel.unit
        text = (
            f"{self.n_inside} of {self.times.size} samples inside the 95 % band; measured minus model at the declared "
            f"values: rms {_difference(self.rms, unit)}, mean {_difference(self.bias, unit)}"
        )
        if self.outside.mean() > 0.5:
            text += "; most lie outside: check units, signs, initial values and recipe before a fit"
        return text


@dataclass(frozen=True, eq=False)
class Comparison:
    """The uncalibrated model over the data; print it for a line a channel, `.plot()` for the pictures.

    channels: what was compared. drawn: name -> from what it was drawn, in words. held: name -> value, in words.
    n_draws: simulations of the band. failures: those that failed; they are not part of the band. notes: what else a
    reader must know.
    """

    model: str
    channels: tuple[ComparedChannel, ...]
    drawn: Mapping[str, str]
    held: Mapping[str, str]
    n_draws: int
    failures: tuple[FailedSimulation, ...]
    notes: tuple[str, ...] = field(default=())

    def __getitem__(self, name: str) -> ComparedChannel:
        """The channel called `output` (if one experiment has it) or `output@experiment`."""
        found = [c for c in self.channels if name in (c.name, c.channel.output)]
        if len(found) != 1:
            raise unknown_name("channel", name, [c.name for c in self.channels])
        return found[0]

    @property
    def n_samples(self) -> int:
        """Samples over all channels."""
        return sum(c.times.size for c in self.channels)

    @property
    def n_inside(self) -> int:
        """Samples inside the band, over all channels."""
        return sum(c.n_inside for c in self.channels)

    def __str__(self) -> str:
        n_good = self.n_draws - len(self.failures)
        lines = [
            f"{self.model} before any fit: {self.n_inside} of {self.n_samples} samples inside the 95 % band "
            f"of {n_good} simulations"
        ]
        width = max(len(c.name) for c in self.channels)
        for own in by_array(self.channels):
            if len(own) > 1:
                lines.append(f"  {array_of(own[0].channel)}@{own[0].experiment} ({len(own)} places)  {_in_words(own)}")
            else:
                lines += [f"  {c.name.ljust(width)}  {c}" for c in own]
        alike: dict[str, list[str]] = {}
        for name, how in self.drawn.items():
            alike.setdefault(how, []).append(name)
        lines += [f"  drawn: {', '.join(names)} from {how}" for how, names in alike.items()]
        if self.held:
            lines.append("  held: " + ", ".join(f"{name} = {value}" for name, value in self.held.items()))
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def plot(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """Draw the band, the nominal run and the samples, one panel for each channel or array; returns the figure.

        ax: one Axes for each panel; without it, a new figure.
        """
        scale = plot_style.time_scale(max(float(c.nodes[-1]) for c in self.channels))
        several = len({c.experiment for c in self.channels}) > 1
        groups = by_array(self.channels)
        shown = [own[0].channel.output for own in groups]
        across = len(set(shown))  # a row an experiment and a column a channel, where that fits
        grid = several and 1 < across <= 3 and shown == shown[:across] * (len(shown) // across)
        alone = all(len(own) == 1 for own in groups)
        with plot_style.style():
            axes = plot_style.panels(len(groups), ax, shared=alone, columns=across if grid and alone else None)
            for one, own in zip(axes, groups, strict=True):
                if len(own) > 1:
                    _draw_array(one, own)
                else:
                    _draw(one, own[0], scale)
                if several:
                    one.set_title(own[0].experiment)
            plot_style.label_times([a for a, own in zip(axes, groups, strict=True) if len(own) == 1], scale)
            figure = plot_style.figure_of(axes)
            if ax is None:
                figure.suptitle(
                    f"{self.model.replace('_', ' ')}: before any fit", x=0.01, ha="left", weight="bold", size=10
                )
                plot_style.one_legend(figure, axes)
        return figure


def compare(
    model: Model,
    experiments: Experiment | Sequence[Experiment],
    recipe: Recipe | None = None,
    values: "Mapping[str, QuantityLike] | Values | None" = None,
    *,
    n_draws: int = 200,
    rng: int | np.random.Generator = 0,
) -> Comparison:
    """Simulate the model as declared over measured data, with the band of what its priors allow.

    recipe: instead of the experiments' own. values: parameters and settings that are known, with units; they are held.
    n_draws: simulations of the band. rng: seed or generator (copied).

    Raises UnknownNameError for a channel whose output the model does not have, UnitError for another dimension,
    DataError without samples, CalibrationError when every simulation failed.
    """
    runs = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    if not runs:
        raise DataError("compare needs at least one experiment")
    if n_draws < 1:
        raise CalibrationError(f"n_draws = {n_draws}: a band needs at least one simulation, and 100 to be any good")
    own = generator(rng)
    fixed = set(values or {})
    drawn: dict[str, str] = {}
    held: dict[str, str] = {}
    channels: list[ComparedChannel] = []
    failures: list[FailedSimulation] = []
    notes: list[str] = []
    for run in runs:
        used = run.recipe if recipe is None else recipe
        full = complete_values(model, used, values)
        unknown = ParameterSet([p for p in model.parameters.parameters if p.name not in fixed and _open(p, used)])
        for name, parameter in unknown.items():
            drawn[name] = _source(parameter)
        drawn |= {p.name: _source(p) for p in run.parameters.values() if p.name.startswith("bias.")}
        bound = () if isinstance(used.initial, Steady) else tuple(f"initial.{name}" for name in used.initial)
        for name in model.parameters:
            if name not in unknown and name not in bound and not isinstance(used.initial, Steady):
                held[name] = model.parameters[name].format(float(full[name]))
        found, failed, said = _compared(model, run, used, full, unknown, n_draws, own)
        channels += found
        failures += failed
        notes += said
    notes += expired_certificates(runs)
    if not drawn:
        notes.append("no parameter has a prior or two bounds: the band shows sensor noise only")
    return Comparison(
        f"{model.name} {model.version}",
        tuple(channels),
        drawn,
        {k: v for k, v in held.items() if k not in drawn},
        n_draws * len(runs),
        tuple(failures),
        tuple(dict.fromkeys(notes)),
    )


def _open(parameter: Parameter, recipe: Recipe) -> bool:
    """Whether a parameter is drawn: from its prior, or between its bounds if it is no initial value."""
    if parameter.name.startswith("initial."):
        if isinstance(recipe.initial, Steady) or parameter.name.removeprefix("initial.") in recipe.initial:
            return False
        return parameter.prior is not None
    return parameter.prior is not None or bool(np.isfinite(parameter.bounds).all())


def _source(parameter: Parameter) -> str:
    if parameter.prior is not None:
        return f"the prior {parameter.prior.describe(parameter.unit, parameter.difference)}"
    low, high = (parameter.format(b) for b in parameter.bounds)
    how = "evenly in its logarithm" if parameter.log_scale else "evenly"
    return f"the bounds {low} to {high}, {how} (no prior is declared)"


def _compared(
    model: Model,
    run: Experiment,
    recipe: Recipe,
    full: Values,
    unknown: ParameterSet,
    n_draws: int,
    rng: np.random.Generator,
) -> tuple[list[ComparedChannel], list[FailedSimulation], list[str]]:
    """The channels of one experiment, the simulations that failed, and notes."""
    positions = {signal.name: k for k, signal in enumerate(model.outputs)}
    for channel in run.channels:
        if channel.output not in positions:
            raise unknown_name(f'output for a channel of experiment "{run.name}"', channel.output, positions)
        signal = model.outputs[positions[channel.output]]
        if signal.unit.dimension != channel.unit.dimension:
            raise UnitError(
                f'experiment "{run.name}": {channel.output} is in {channel.unit}, the model gives {signal.unit}'
            )
    if run.n_used == 0:
        raise DataError(f'experiment "{run.name}" has no sample in use; print it to see why')
    measured = [c for c in run.channels if run[c.output].informative.any()]
    picked = {c.output: in_order(run[c.output]) for c in measured}
    course = course_for(model, recipe, {name: float(x) for name, x in full.items() if np.ndim(x) == 0})
    looks = {c.output: look(run[c.output], picked[c.output], positions, run.name, c.delay, course) for c in measured}
    declared = {name: full.scalar(name) for name in full}
    looks = looks_refined(
        looks,
        {c.output: c.delay for c in measured},
        {c.output: np.full(picked[c.output].size, c.noise) for c in measured},
        course,
        lambda moments: simulate_outputs(model, recipe, moments, declared),
    )
    asked = [np.maximum(run[c.output].times[picked[c.output]] - c.delay, 0.0) for c in measured]
    nodes = plot_times(np.concatenate(asked), run.duration)
    times = np.unique(np.concatenate([nodes, *(one.times for one in looks.values())]))
    table = from_prior(unknown, n_draws, rng) if len(unknown) else np.empty((n_draws, 0))
    members = {name: np.full(n_draws, float(x)) for name, x in full.items() if np.ndim(x) == 0}
    members |= {name: table[:, j] for j, name in enumerate(unknown)}
    outputs, failed = simulate_members(model, recipe, times, members)
    failures = [
        FailedSimulation(dict(zip(unknown, table[i].tolist(), strict=True)), reason, time, run.name)
        for i, reason, time in failed
    ]
    if len(failed) == n_draws:
        raise CalibrationError(f'all {n_draws} simulations of "{run.name}" failed; the first: {failed[0][1]}')
    notes = []
    if failed:
        notes.append(f"{len(failed)} of {n_draws} simulations of {run.name} failed; the first: {failed[0][1]}")
    try:
        nominal = simulate_outputs(model, recipe, times, declared)
    except SolveError as error:
        nominal = np.full((times.size, len(model.outputs)), np.nan)
        notes.append(f"{run.name}: the model at its declared values failed: {error.reason}")
    kept = np.isfinite(outputs).all(axis=(1, 2))
    good = outputs[kept]
    found = []
    for channel in measured:
        series = run[channel.output]
        column = positions[channel.output]
        own, line = picked[channel.output], np.searchsorted(times, nodes)
        bias, noise = prior_bias(channel, n_draws)[kept, None], declared_noise(channel, len(good))
        value, extra = looks[channel.output].shown(times, good)
        scale = np.ones(own.size) if series.noise_scale is None else series.noise_scale[own]
        sd = noise.sd(value, scale, extra)
        if looks[channel.output].nodes is None:
            u = rng.standard_normal(good.shape[:2])[:, np.searchsorted(times, looks[channel.output].moments)]
        else:
            u = rng.standard_normal(value.shape)
        low, _, high = np.quantile(value + bias + noise.draw(series.times[own], sd, u, rng), LEVELS, axis=0)
        curve = good[:, line, column]
        found.append(
            ComparedChannel(
                experiment=run.name,
                channel=channel,
                times=series.times[own],
                observed=series.values[own],
                nominal=looks[channel.output].shown(times, nominal[None])[0][0] + channel.bias,
                low=low,
                high=high,
                nodes=nodes + channel.delay,
                curve=nominal[line, column] + channel.bias,
                band=measurement_band(curve + bias, noise.sd(curve, float(np.median(scale))), noise.tails)[[0, 2]],
                censored=np.zeros(own.size, np.int8) if series.censored is None else series.censored[own],
            )
        )
    return found, failures, notes


def declared_noise(channel: Channel, n: int) -> SensorNoise:
    """The noise of a channel as declared, the same for n draws; numbers to be estimated are where they start."""

    def number(what: str, none: float) -> Array:
        given = None if channel.noise_shape is None else channel.noise_shape.number(what)
        return np.full(n, none if given is None else given)

    shape = (number("proportional", 0.0), number("correlation_time", 0.0), number("degrees_of_freedom", np.inf))
    return SensorNoise(np.full(n, channel.noise), *shape)


def prior_bias(channel: Channel, n: int) -> Array:
    """Biases (n,) SI of a channel before any fit: the known one, or draws from the prior of an unknown one.

    The seed is the name of the bias, so that it is one bias in all channels and experiments that share it.
    """
    unknown = channel.parameters.get("bias")
    if unknown is None or unknown.prior is None:
        return np.full(n, channel.bias)
    return unknown.prior.sd * np.random.default_rng(zlib.crc32(unknown.name.encode())).standard_normal(n)


def plot_times(samples: Array, duration: float) -> Array:
    """Times in s at which a curve over `duration` is drawn: even ones for a few samples, else some of the samples'.

    A log that is sampled often resolves its own dynamics; even times between few samples show the model's curve.
    """
    known = np.unique(samples)
    if known.size <= N_NODES:
        return np.linspace(0.0, duration, N_NODES)
    every = -(-known.size // MOST_NODES)
    return np.unique(np.concatenate([[0.0], known[::every], [duration]]))


def measurement_band(values: Array, noise: float | Array, tails: Array | None = None) -> Array:
    """Low, middle and high (3, n_times) of what a sensor shows: 95 % band of values plus noise, for pictures.

    values: (n_draws, n_times). noise: one standard deviation, one for each draw (n_draws,), or (n_draws, n_times).
    tails: (n_draws,) degrees of freedom of Student's t, infinite for normal noise. Noise drawn at random
    would make the band ragged; here each draw carries a few evenly likely points of the normal distribution, shifted
    from draw to draw (a golden-ratio lattice), so the edges are smooth and the same every time.
    """
    n = len(values)
    m = max(1, BAND_POINTS // n)
    shift = np.mod(0.5 + np.arange(n) * 0.6180339887498949, 1.0)
    chances = (np.arange(m) + shift[:, None]) / m
    points = ndtri(chances)
    if tails is not None and (heavy := np.isfinite(tails)).any():
        points[heavy] = stdtrit(tails[heavy, None], chances[heavy])
    sd = np.asarray(noise, dtype=float)
    if sd.ndim < 2:
        sd = np.broadcast_to(sd, (n,))[:, None]
    spread = (values[:, None, :] + sd[:, None, :] * points[:, :, None]).reshape(n * m, -1)
    return np.asarray(np.quantile(spread, LEVELS, axis=0))


def _in_words(own: Sequence[ComparedChannel]) -> str:
    unit, n = own[0].channel.unit, sum(c.times.size for c in own)
    off = np.concatenate([c.observed - c.nominal for c in own])
    return (
        f"{sum(c.n_inside for c in own)} of {n} samples inside the 95 % band; measured minus model at the declared "
        f"values: rms {_difference(float(np.sqrt(np.mean(off**2))), unit)}, mean {_difference(float(off.mean()), unit)}"
    )


class OfChannel(Protocol):
    """Samples of one channel of one experiment."""

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        ...

    @property
    def channel(self) -> Channel:
        """What was measured."""
        ...

    @property
    def times(self) -> Array:
        """(n,) s"""
        ...


def array_of(channel: Channel) -> str:
    """The array of a channel's sensor, "" where it stands alone."""
    return "" if channel.place is None else channel.place.array


def by_array[T: OfChannel](channels: Sequence[T]) -> list[list[T]]:
    """Channels by panel: alone, or with their array where that has more places than moments."""
    groups: dict[tuple[str, str], list[T]] = {}
    for c in channels:
        array = array_of(c.channel)
        groups.setdefault((c.experiment, f"array {array}" if array else c.channel.output), []).append(c)
    found: list[list[T]] = []
    for own in groups.values():
        together = len(own) > max(c.times.size for c in own)
        found += [own] if together else [[c] for c in own]
    return found


def _draw_array(one: "Axes", own: Sequence[ComparedChannel]) -> None:
    unit, layout = own[0].channel.unit, layout_of(own)
    observed, nominal, low, high = (
        np.asarray(unit.from_si(np.array([getattr(c, key)[-1] for c in own])))
        for key in ("observed", "nominal", "low", "high")
    )
    if not layout.profile:
        plot_arrays.draw_map(
            one,
            layout,
            observed - nominal,
            "measured minus model at the declared values",
            str(unit.difference()),
            symmetric=True,
        )
        return
    outside = np.array([bool(c.outside[-1]) for c in own])
    words = "95 % of what the priors allow"
    plot_arrays.draw_profile(one, layout, observed, nominal, (low, high), outside, band_name=words)
    one.set_ylabel(plot_style.label(array_of(own[0].channel), unit))


def layout_of(own: Sequence[OfChannel]) -> plot_arrays.Layout:
    """Where the sensors of an array sit."""
    return plot_arrays.Layout.of(np.array([c.channel.place.coordinates for c in own if c.channel.place is not None]))


def _draw(one: "Axes", c: ComparedChannel, scale: plot_style.TimeScale) -> None:
    unit = c.channel.unit
    low, high = (np.asarray(unit.from_si(edge)) for edge in c.band)
    curve = np.asarray(unit.from_si(c.curve))
    plot_style.draw_band(one, scale(c.nodes), low, curve, high, name="95 % of what the priors allow")
    observed = np.asarray(unit.from_si(c.observed))
    plot_style.draw_samples(one, scale(c.times), observed, outside=c.outside, sides=c.censored)
    one.set_ylabel(plot_style.label(c.channel.output, unit))
    one.margins(x=0.02)


def _difference(x: float, unit: Unit) -> str:
    return format_si(x, unit, 3, difference=True)


__all__ = ["ComparedChannel", "Comparison", "compare", "measurement_band", "plot_times", "prior_bias"]
