"""Data with a known truth: what sensors as declared might show of a world in which the unknowns have given values."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.estimation.evaluation import residuals
from physics_twin.estimation.likelihood.fitting import start_hypers
from physics_twin.estimation.problem import ChannelData, Problem, set_up
from physics_twin.estimation.smooth_prior import UnknownItem
from physics_twin.measurements import Experiment
from physics_twin.measurements.sampling import at_the_ends, range_of
from physics_twin.measurements.series import Series
from physics_twin.model import Model
from physics_twin.posterior.sensor_noise import SensorNoise


def made_up(
    model: Model, templates: Sequence[Experiment], unknown: Sequence[UnknownItem], x: Array, rng: np.random.Generator
) -> tuple[Experiment, ...]:
    """The experiments that might have been measured where the unknowns are x (d,) SI.

    templates: their recipes, sample times, channels and noise are used, their values are not. Noise has its shape, with
    starting values for what is estimated; readings beyond the range of a sensor are limits; where sampling times are
    uncertain, the true ones lie elsewhere. Raises SolveError where x cannot be simulated, CalibrationError for a
    template with samples that are limits already: which reading would have been one is not known.
    """
    for template in templates:
        if any(s.n_censored for s in template):
            raise CalibrationError(
                f'experiment "{template.name}" has samples that are limits; a template needs numbers there (the range '
                "of a sensor, sensor_range=, is applied to what is made up)"
            )
    actual = [_at_true_times(template, rng) for template in templates]
    problem = set_up(model, tuple(actual), list(unknown))
    hypers = start_hypers(problem)
    found = []
    for task, run, template in zip(problem.tasks, actual, templates, strict=True):
        shown = np.concatenate([c.observed for c in task.channels]) - residuals(problem, task, x)
        series = dict(template.series)
        for c in task.channels:
            own = slice(c.rows.start - task.rows.start, c.rows.stop - task.rows.start)
            series[c.output] = _read(template[c.output], run[c.output], _noisy(problem, c, shown[own], x, hypers, rng))
        found.append(replace(template, series=series))
    return tuple(found)


def _at_true_times(template: Experiment, rng: np.random.Generator) -> Experiment:
    series = {}
    for output, own in template.series.items():
        if own.time_sd is not None:
            times = np.maximum(own.times + own.time_sd * rng.standard_normal(own.times.size), 0.0)
            own = replace(own, times=times, time_sd=None)
        series[output] = own
    return replace(template, series=series)


def _noisy(problem: Problem, c: ChannelData, shown: Array, x: Array, hypers: Array, rng: np.random.Generator) -> Array:
    """Readings (n,) of a channel that should show `shown` (n,), SI, in the order of its rows."""
    numbers = (c.shape.proportional, c.shape.correlation_time, c.shape.degrees_of_freedom)
    noise = SensorNoise(np.ones(1), *(np.array([number.at(hypers)]) for number in numbers))
    bias = c.bias if c.bias_column < 0 else float(x[c.bias_column])
    sd = noise.sd(shown[None] - bias, problem.noise[c.rows])
    return np.asarray(shown + noise.draw(c.times, sd, rng.standard_normal((1, shown.size)), rng)[0])


def _read(template: Series, actual: Series, noisy: Array) -> Series:
    """The series with these readings, at its nominal times. noisy: in the order of the true times."""
    used = np.flatnonzero(actual.informative)
    values = np.array(template.values)
    values[used[np.argsort(actual.times[used], kind="stable")]] = noisy
    channel = template.channel
    if channel.sensor_range is None:
        return replace(template, values=values)
    ends = range_of(channel.sensor_range, channel.unit, channel.output)
    low, high = (float(channel.unit.to_si(end)) for end in ends)
    values, censored = at_the_ends(values, template.flags, None, (low, high))
    return replace(template, values=values, censored=censored)
