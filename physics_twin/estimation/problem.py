"""A calibration problem as arrays: which samples, at which times, against which outputs, for which unknowns.

Set up once and immutable; it travels to worker processes with its model and experiments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.estimation.held import Held, hold
from physics_twin.estimation.hypers import PLAIN, ColumnGroup, Hyper, NoiseShape
from physics_twin.estimation.likelihood.sample_noise import SampleNoise, sample_noise
from physics_twin.estimation.search_space import SearchSpace, search_space
from physics_twin.estimation.smooth_prior import UnknownItem, coupling_of, spread_out
from physics_twin.estimation.unknowns import (
    Kind,
    NoiseGroup,
    Unknown,
    Unknowns,
    check_channel,
    resolve,
)
from physics_twin.measurements import Channel, Experiment, Series
from physics_twin.model import Model, Sensitivities
from physics_twin.parameters import ParameterSet, Values
from physics_twin.posterior.node_refinement import Asked, refined
from physics_twin.posterior.observation import Course, Nodes, Windows, course_of, lay_out, windows_of
from physics_twin.posterior.prediction import simulate_outputs
from physics_twin.recipes import Recipe
from physics_twin.schedules import Schedule, bind
from physics_twin.units import QuantityLike, Unit


@dataclass(frozen=True)
class ChannelData:
    """The samples that a fit learns from of one channel, in the order of time; limits are among them."""

    experiment: str
    output: str
    output_index: int
    unit: Unit
    times: Array
    """(n,) s"""
    observed: Array
    """(n,) SI"""
    rows: slice
    """In the residual vector."""
    noise: float
    """One standard deviation, SI, root mean square over its samples; from the starting value where it is estimated."""
    group: int
    """Number of the noise group, -1 where the noise is given."""
    bias: float
    bias_column: int
    """-1 where the bias is given."""
    delay: float
    delay_column: int
    n_excluded: int
    noise_scale: float = 1.0
    """Noise of its samples as a multiple of the channel's, root mean square: 0.5 for averages of four."""
    array: str = ""
    """The array along which its residuals are looked at, "" where that is time."""
    place: tuple[float, ...] = ()
    """m, in its array."""
    shape: NoiseShape = PLAIN
    """What its noise is beyond a level."""
    windows: Windows | None = None
    """Over which times its samples look; None where each shows the output at its time."""

    @property
    def series(self) -> str:
        """What its residuals form a series with: the array, or the output over time."""
        return self.array or self.output


@dataclass(frozen=True)
class TimeGrid:
    """Moments at which the outputs of an experiment are wanted."""

    times: Array
    """(n_times,) s, ascending, each once."""
    rows: "tuple[NDArray[np.intp] | Nodes, ...]"
    """For each channel the rows of its samples, or the nodes of their windows."""


def time_grid(channels: Sequence[ChannelData], delays: Sequence[float], course: Course) -> TimeGrid:
    """Union of sample times minus delays (s). Before its first signal arrives a sensor shows the initial state."""
    nodes = [
        None if c.windows is None else lay_out(c.windows, c.output_index, delay, course)
        for c, delay in zip(channels, delays, strict=True)
    ]
    shown = [
        np.maximum(c.times - delay, 0.0) if own is None else own.times
        for c, delay, own in zip(channels, delays, nodes, strict=True)
    ]
    union, inverse = np.unique(np.concatenate(shown), return_inverse=True)
    rows = np.split(inverse, np.cumsum([s.size for s in shown])[:-1])
    return TimeGrid(
        union, tuple(r if own is None else replace(own, rows=r) for own, r in zip(nodes, rows, strict=True))
    )


@dataclass(frozen=True)
class Task:
    """One experiment: a simulation per evaluation."""

    name: str
    recipe: Recipe
    fixed: Mapping[str, float]
    """Model parameters and settings of its own recipe, SI; unknowns hold their declared value."""
    channels: tuple[ChannelData, ...]
    exact: tuple[tuple[int, str], ...]
    """(column, name) with derivatives from the model."""
    differenced: tuple[tuple[int, str], ...]
    """(column, name) by finite differences."""
    grid: "TimeGrid | None"
    """When to ask the model, where no delay is unknown."""
    course: Course
    """What its recipe does to windows."""

    @property
    def rows(self) -> slice:
        """Its part of the residual vector."""
        return slice(self.channels[0].rows.start, self.channels[-1].rows.stop)


@dataclass(frozen=True)
class Problem:
    """Everything a method needs."""

    model: Model
    experiments: tuple[Experiment, ...]
    unknowns: Unknowns
    space: SearchSpace
    tasks: tuple[Task, ...]
    n_data: int
    groups: NDArray[np.intp]
    """(n_data,) number of the noise group of each row, -1 where the noise is given."""
    noise: Array
    """(n_data,) SI: given, or the starting value."""
    noise_scale: Array
    """(n_data,) noise of each sample as a multiple of its channel's: an estimated level is that of scale one."""
    held: Held
    exact_time: bool
    """Whether the model gives dy/dt."""
    coupling: Array | None = None
    """(d, d) that makes standardized residuals of correlated priors independent; None where all are."""
    column_groups: tuple[ColumnGroup, ...] = ()
    """Columns whose prior has a spread that is estimated."""
    censored: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    """(n_data,): -1 where the truth lies below the observed value, 1 above, 0 where it was measured; () for none."""

    @cached_property
    def sample_noise(self) -> SampleNoise:
        """The noise of each sample."""
        return sample_noise(
            self.channels, self.groups, self.noise, self.noise_scale, self.censored, len(self.noise_groups)
        )

    @property
    def hypers(self) -> tuple[Hyper, ...]:
        """Shapes of noise and spreads of populations to be estimated."""
        return self.unknowns.hypers

    @cached_property
    def plain(self) -> bool:
        """Whether the likelihood is that of independent normal noise, and all priors are given."""
        shaped = bool(self.hypers or self.column_groups) or not all(c.shape.plain for c in self.channels)
        return not (shaped or self.censored.any() or self.uncertain_times)

    @property
    def columns(self) -> tuple[Unknown, ...]:
        """The unknowns of the search, noise levels not among them."""
        return self.unknowns.columns

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(c.name for c in self.columns)

    @cached_property
    def uncertain_times(self) -> bool:
        """Whether the time of any sample is uncertain, so that points have `extra`."""
        return any(c.windows is not None and c.windows.time_sd is not None for c in self.channels)

    @property
    def noise_groups(self) -> tuple[NoiseGroup, ...]:
        """Noise levels to be estimated."""
        return self.unknowns.noise

    @property
    def parameters(self) -> ParameterSet:
        """All unknowns as declared: columns of the search, noise levels, hypers."""
        shaping = [*(g.parameter for g in self.noise_groups), *(h.parameter for h in self.hypers)]
        return ParameterSet([*(c.parameter for c in self.columns), *shaping])

    @cached_property
    def channels(self) -> tuple[ChannelData, ...]:
        """All channels, in the order of the residual vector."""
        return tuple(c for task in self.tasks for c in task.channels)

    @property
    def differenced(self) -> tuple[str, ...]:
        """Names whose derivatives are finite differences."""
        used = {j for task in self.tasks for j, _ in task.differenced}
        return tuple(c.name for j, c in enumerate(self.columns) if j in used)


def set_up(
    model: Model,
    runs: tuple[Experiment, ...],
    unknown: Sequence[UnknownItem],
    values: Mapping[str, QuantityLike] | Values | None = None,
) -> Problem:
    """Check everything that can be checked without a simulation, and lay the problem out.

    Where samples are means over windows, simulations at the declared values say how finely these are cut.

    Raises DataError for experiments without a usable sample, UnknownNameError, UnitError, CalibrationError.
    """
    _check_names(runs)
    outputs = {signal.name: (k, signal) for k, signal in enumerate(model.outputs)}
    positions = {(e.name, c.output): check_channel(c, outputs, e.name) for e in runs for c in e.channels}
    flat, priors, smooth = spread_out(unknown)
    unknowns = resolve(model, runs, flat, priors)
    schedules = [_scheduled(model, experiment) for experiment in runs]
    held = hold(model, runs, unknowns, values)
    known = _Known(
        unknowns,
        {member: g for g, group in enumerate(unknowns.noise) for member in group.members},
        {name: k for name, (k, _) in outputs.items()},
        _spatial(runs),
    )
    tasks: list[Task] = []
    samples: list[_Samples] = []
    start = 0
    for experiment, schedule in zip(runs, schedules, strict=True):
        channels = []
        first = len(samples)
        for channel in experiment.channels:
            used = _in_use(experiment[channel.output])
            if used.size:
                position = positions[experiment.name, channel.output]
                data, own_samples = _laid_out(known, experiment, channel, used, position, start)
                channels.append(data)
                samples.append(own_samples)
                start += used.size
        own = held.of[experiment.name]
        course = course_of(schedule, own)
        cut = _cut(model, experiment, own, channels, np.concatenate([s.noise for s in samples[first:]]), course)
        tasks.append(_task(model, experiment, unknowns, own, cut, course))
    return Problem(
        model=model,
        experiments=runs,
        unknowns=unknowns,
        space=search_space(unknowns.columns),
        tasks=tuple(tasks),
        n_data=start,
        groups=np.concatenate([s.group for s in samples]),
        noise=np.concatenate([s.noise for s in samples]),
        noise_scale=np.concatenate([s.scale for s in samples]),
        held=held,
        exact_time=isinstance(model, Sensitivities),
        coupling=coupling_of(smooth, unknowns.columns),
        column_groups=unknowns.groups,
        censored=np.concatenate([s.censored for s in samples]),
    )


@dataclass(frozen=True)
class _Known:
    """What is the same for all channels, of which there may be thousands."""

    unknowns: Unknowns
    group_of: Mapping[tuple[str, str], int]
    """(experiment, output) -> noise group"""
    places: Mapping[str, int]
    """Output -> its position"""
    arrays: set[str]
    """Arrays whose residuals are looked at in space."""


@dataclass(frozen=True)
class _Samples:
    """What the likelihood knows of the samples of a channel, (n,) each; see `Problem`."""

    group: NDArray[np.intp]
    noise: Array
    scale: Array
    censored: NDArray[np.int8]


def _check_names(runs: Sequence[Experiment]) -> None:
    if not runs:
        raise DataError("there is no experiment to calibrate against")
    names = [e.name for e in runs]
    twice = [n for n in dict.fromkeys(names) if names.count(n) > 1]
    if twice:
        raise DataError(f'two experiments are called "{twice[0]}"; give them different names')


def _scheduled(model: Model, experiment: Experiment) -> Schedule:
    """The recipe bound to the model, and that there is a sample to compare with."""
    states = {block.name: (block.unit, block.lower, block.upper) for block in model.state}
    try:
        schedule = bind(experiment.recipe, model.inputs, model.outputs, states)
    except (KeyError, ValueError) as error:
        raise type(error)(f'experiment "{experiment.name}": {error}') from None
    if experiment.n_used == 0:
        raise DataError(
            f'experiment "{experiment.name}" has no usable sample: every one is missing, bad or left out; '
            "print it to see why, or leave it out"
        )
    return schedule


def _in_use(series: Series) -> NDArray[np.intp]:
    """Numbers of the samples that say something, in the order of time."""
    used = np.flatnonzero(series.informative)
    return used[np.argsort(series.times[used], kind="stable")]


def _laid_out(
    known: _Known, experiment: Experiment, channel: Channel, used: NDArray[np.intp], position: int, start: int
) -> tuple[ChannelData, _Samples]:
    """A channel with its samples in use. position: of its output. start: its first row."""
    series, member = experiment[channel.output], (experiment.name, channel.output)
    unknowns, group = known.unknowns, known.group_of.get(member, -1)
    scale = np.ones(used.size) if series.noise_scale is None else series.noise_scale[used]
    typical = float(np.sqrt(np.mean(scale**2)))
    data = ChannelData(
        experiment=experiment.name,
        output=channel.output,
        output_index=position,
        unit=channel.unit,
        times=series.times[used],
        observed=series.values[used],
        rows=slice(start, start + used.size),
        noise=channel.noise * typical,
        group=group,
        bias=channel.bias,
        bias_column=_column(unknowns, Kind.BIAS, channel, experiment.name),
        delay=channel.delay,
        delay_column=_column(unknowns, Kind.DELAY, channel, experiment.name),
        n_excluded=int(series.times.size - used.size),
        noise_scale=typical,
        array="" if channel.place is None or channel.place.array not in known.arrays else channel.place.array,
        place=() if channel.place is None else channel.place.coordinates,
        shape=unknowns.shapes.get(member, PLAIN),
        windows=windows_of(series, used, known.places, experiment.name),
    )
    censored = np.zeros(used.size, np.int8) if series.censored is None else series.censored[used]
    return data, _Samples(np.full(used.size, group, dtype=np.intp), channel.noise * scale, scale, censored)


def _spatial(runs: Sequence[Experiment]) -> set[str]:
    """Arrays that have more places than moments in every experiment: their residuals are series along the place."""
    known: set[str] = set()
    over_time: set[str] = set()
    for run in runs:
        mine = {channel.place.array for channel in run.channels if channel.place is not None}
        known |= mine
        over_time |= mine - set(run.arrays)
    return known - over_time


def _column(unknowns: Unknowns, kind: Kind, channel: Channel, experiment: str) -> int:
    """The column of a channel's bias or delay; one column may serve many channels. -1 where it is not unknown."""
    declared = channel.parameters.get(kind.value)
    if declared is None:
        return -1
    for j, c in enumerate(unknowns.columns):
        if c.kind is kind and f"{kind.value}.{c.target}" == declared.name and c.acts_on(experiment):
            return j
    return -1


def _cut(
    model: Model,
    experiment: Experiment,
    own: Mapping[str, float],
    channels: Sequence[ChannelData],
    noise: Array,
    course: Course,
) -> tuple[ChannelData, ...]:
    """The channels with windows cut as finely as outputs at the values `own` ask for; noise (n,) of their samples."""
    start = channels[0].rows.start
    asked = {
        i: Asked(c.windows, c.output_index, c.delay, noise[c.rows.start - start : c.rows.stop - start])
        for i, c in enumerate(channels)
        if c.windows is not None
    }
    found = refined(list(asked.values()), course, lambda times: simulate_outputs(model, experiment.recipe, times, own))
    windows = dict(zip(asked, found, strict=True))
    return tuple(replace(c, windows=windows.get(i)) for i, c in enumerate(channels))


def _task(
    model: Model,
    experiment: Experiment,
    unknowns: Unknowns,
    own: Mapping[str, float],
    channels: tuple[ChannelData, ...],
    course: Course,
) -> Task:
    settings = experiment.recipe.settings
    exact: list[tuple[int, str]] = []
    differenced: list[tuple[int, str]] = []
    outputs = {c.output for c in channels}
    for j, column in enumerate(unknowns.columns):
        if not column.acts_on(experiment.name):
            continue
        if column.kind is Kind.MODEL:
            if column.target not in own:
                continue
            known = isinstance(model, Sensitivities) and (
                column.target in settings or column.target in model.differentiable
            )
            (exact if known else differenced).append((j, column.target))
        elif column.kind is Kind.DELAY and column.target in outputs and not isinstance(model, Sensitivities):
            differenced.append((j, column.target))
    fixed_grid = all(c.delay_column < 0 for c in channels)
    grid = time_grid(channels, [c.delay for c in channels], course) if fixed_grid else None
    return Task(experiment.name, experiment.recipe, own, channels, tuple(exact), tuple(differenced), grid, course)
