"""What the residuals show: misfit by channel, runs, trends against time, inputs, predicted value and context.

Tests are few and each counts all outputs (Bonferroni): a warning that comes up in every fit is not read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr, stdtr

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.estimation import noise
from physics_twin.estimation.correlation import Correlation
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.problem import ChannelData, Problem, Task
from physics_twin.posterior import ChannelEvidence
from physics_twin.posterior.inputs import input_values
from physics_twin.posterior.prediction import simulate_outputs
from physics_twin.units import format_number

LEVEL = 0.01
"""Chance that a fit with nothing wrong shows one finding of a kind."""
LEAST = 6
"""Samples below which a trend is not looked for."""
OTHER_UNIT = 100.0
"""Misfit, in the declared noise, from which a unit that was mistaken is as likely as a wrong model."""
NOT_WIDER = (
    "but the draws are as narrow as if they were independent: declare the noise of the channel with "
    "pt.Noise(..., correlation_time=pt.Estimated(...))"
)
"""Said where a method samples the likelihood as it was declared."""


def channel_table(
    problem: Problem,
    point: Point,
    levels: noise.Levels,
    correlations: Mapping[str, Correlation],
    white: Array,
    sd: Array,
) -> tuple[ChannelEvidence, ...]:
    """Misfit and findings by channel, in declared units; of the samples that are not censored.

    white (n_data,): whitened residuals, innovations where noise remembers. sd (n_data,): SI, of each sample.
    """
    found = []
    all_measured = problem.sample_noise.measured
    n_tests = len(problem.channels)
    for task in problem.tasks:
        values = task_values(problem, task, point.x)
        times = np.unique(np.concatenate([c.times for c in task.channels]))
        courses = _courses(problem, task, values, times)
        for c in task.channels:
            measured = all_measured[c.rows]
            moments = c.times[measured]
            seen = {name: course[np.searchsorted(times, moments)] for name, course in courses.items()}
            r = point.residual[c.rows][measured]
            own = c.unit.difference()
            size = float(levels.sd[c.group]) * c.noise_scale if c.group >= 0 else c.noise
            if r.size and not problem.plain:
                size = float(np.sqrt(np.mean(sd[c.rows][measured] ** 2)))
            correlation = correlations[c.series]
            declared = np.asarray(own.from_si(r, difference=True))
            mine = white[c.rows][measured]
            found.append(
                ChannelEvidence(
                    experiment=c.experiment,
                    output=c.output,
                    unit=c.unit.text,
                    n_samples=int(r.size),
                    n_excluded=c.n_excluded,
                    sum_of_squares=float(declared @ declared),
                    rms=float(np.sqrt(declared @ declared / r.size)) if r.size else 0.0,
                    bias=float(declared.mean()) if r.size else 0.0,
                    noise=float(own.from_si(size, difference=True)),
                    noise_name=problem.noise_groups[c.group].parameter.name if c.group >= 0 else "",
                    whitened=float(mine @ mine),
                    lag_one=correlation.lag_one if c.array else _lag_one(mine),
                    effective_samples=r.size * correlation.effective_samples / max(correlation.n_samples, 1),
                    findings=_findings(c, mine, moments, c.observed[measured] - r, seen, correlation, n_tests)
                    if r.size
                    else (),
                    array=c.array,
                    noise_scale=c.noise_scale,
                    n_censored=int((~measured).sum()),
                    noise_shape=_shape(c),
                )
            )
    return tuple(found)


def _shape(c: ChannelData) -> tuple[float, ...]:
    if c.shape.plain:
        return ()
    tails = c.shape.degrees_of_freedom.given
    return c.noise, c.shape.proportional.given, c.shape.correlation_time.given, tails if np.isfinite(tails) else 0.0


def _lag_one(white: Array) -> float:
    return float(white[1:] @ white[:-1] / (white @ white)) if white.size > 2 and white.any() else 0.0


def task_values(problem: Problem, task: Task, x: Array) -> dict[str, float]:
    """Values of one experiment at the mode."""
    values = dict(task.fixed)
    values.update({name: float(x[j]) for j, name in (*task.exact, *task.differenced) if name in values})
    return values


def _courses(problem: Problem, task: Task, values: Mapping[str, float], times: Array) -> dict[str, Array]:
    """Inputs that change over the experiment, at `times`."""
    inputs = input_values(problem.model, task.recipe, values, times)
    named = {s.name: inputs[:, k] for k, s in enumerate(problem.model.inputs)}
    return {name: course for name, course in named.items() if not (course == course[0]).all()}


def _findings(
    c: ChannelData,
    white: Array,
    times: Array,
    predicted: Array,
    inputs: Mapping[str, Array],
    correlation: Correlation,
    n_tests: int,
) -> tuple[str, ...]:
    n = white.size
    found: list[str] = []
    if c.group < 0:
        excess = float(chdtrc(n, white @ white))
        if excess < LEVEL / n_tests:
            rms = float(np.sqrt(white @ white / n))
            unit = f", or the numbers are not in {c.unit}" if rms > OTHER_UNIT else ""
            found.append(
                f"misses the data by {rms:.1f} times the declared noise: the noise is larger than declared, or the "
                f"model is wrong{unit}"
            )
        elif n >= LEAST and 1.0 - excess < LEVEL / n_tests / 10.0:
            found.append(
                f"fits to {np.sqrt(white @ white / n):.2f} of the declared noise: the noise is smaller than declared"
            )
    runs, expected, p_runs = _runs(white)
    share = correlation.effective_samples / correlation.n_samples
    if p_runs < LEVEL / n_tests:
        found.append(
            f"residuals keep their sign ({runs} runs, {expected:.0f} expected): something slow is missing in the model"
        )
    if n < LEAST:
        return tuple(found)
    looked_at = {"time": times, "the predicted value": predicted, **inputs}
    for name, course in looked_at.items():
        r, p = _trend(white, course, max(share * n, 3.0))
        if p < LEVEL / (n_tests * len(looked_at)):
            found.append(f"residuals {'rise' if r > 0 else 'fall'} with {name} (r = {r:.2f})")
    return tuple(found)


def _runs(white: Array) -> tuple[int, float, float]:
    """Number of runs of one sign, the expected one, and the p of as few (Wald and Wolfowitz, normal)."""
    sign = white > 0.0
    n_up, n_down = int(sign.sum()), int((~sign).sum())
    n = n_up + n_down
    if min(n_up, n_down) < 4:
        return 0, 0.0, 1.0
    runs = 1 + int((sign[1:] != sign[:-1]).sum())
    expected = 2.0 * n_up * n_down / n + 1.0
    variance = (expected - 1.0) * (expected - 2.0) / (n - 1.0)
    return runs, expected, float(ndtr((runs + 0.5 - expected) / np.sqrt(variance)))


def _trend(white: Array, course: Array, n_effective: float) -> tuple[float, float]:
    """Correlation and its p, with the samples that are independent."""
    finite = np.isfinite(course)
    if finite.sum() < LEAST:
        return 0.0, 1.0
    a, b = white[finite] - white[finite].mean(), course[finite] - course[finite].mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    if norm <= 1e-12 * float(np.abs(course[finite]).max() * np.abs(white).max()) * finite.sum():
        return 0.0, 1.0
    r = float(np.clip(a @ b / norm, -1.0, 1.0))
    degrees = n_effective - 2.0
    if degrees < 1.0 or abs(r) >= 1.0:
        return r, 1.0
    t = abs(r) * np.sqrt(degrees / (1.0 - r * r))
    return r, float(2.0 * stdtr(degrees, -t))


def between_experiments(problem: Problem, white: Array) -> list[str]:
    """Outputs whose mean residual differs between experiments or goes with their context; white (n_data,) whitened."""
    measured = problem.sample_noise.measured
    found: list[str] = []
    if len(problem.tasks) < 2:
        return found
    by_output: dict[str, list[tuple[str, Array]]] = {}
    for c in problem.channels:
        if measured[c.rows].any():
            by_output.setdefault(c.output, []).append((c.experiment, white[c.rows][measured[c.rows]]))
    contexts = {e.name: e.context for e in problem.experiments}
    for output, runs in by_output.items():
        if len(runs) < 2:
            continue
        z = np.array([r.mean() * np.sqrt(r.size) for _, r in runs])
        p = float(chdtrc(len(runs), z @ z))
        if p < LEVEL / len(by_output):
            worst = runs[int(np.argmax(np.abs(z)))][0]
            found.append(
                f"{output}: experiments differ by more than noise, most of all {worst} "
                f"(mean residual {z[np.argmax(np.abs(z))]:.1f} standard errors from zero)"
            )
        means = np.array([r.mean() for _, r in runs])
        keys = [k for k in contexts[runs[0][0]] if all(k in contexts[name] for name, _ in runs)]
        for key in keys:
            given = [contexts[name][key] for name, _ in runs]
            if len(runs) >= 5 and all(isinstance(v, int | float) for v in given):
                r, p = _trend(means, np.array(given, dtype=float), float(len(runs)))
                if p < LEVEL / len(keys):
                    found.append(f"{output}: the mean residual goes with {key} of the experiments (r = {r:.2f})")
    return found


def residual_dataset(problem: Problem, point: Point, white_of_all: Array) -> xr.Dataset:
    """All samples of all channels with the prediction at the mode where they are used.

    white_of_all (n_data,): whitened residuals. A censored sample has a prediction, its limit as what was observed, and
    no residual; `side`, there where any is censored, says where the truth lies: -1 below, 1 above.
    """
    measured = problem.sample_noise.measured
    rows: dict[str, list[Array]] = {k: [] for k in ("time", "observed", "predicted", "residual", "whitened")}
    text: dict[str, list[str]] = {k: [] for k in ("experiment", "output", "units")}
    used: list[NDArray[np.bool_]] = []
    flags: list[NDArray[np.int8]] = []
    sides: list[NDArray[np.int8]] = []
    arrays: list[str] = []
    places: list[tuple[float, ...]] = []
    data = {(c.experiment, c.output): c for c in problem.channels}
    for experiment in problem.experiments:
        for channel in experiment.channels:
            series = experiment[channel.output]
            order = np.argsort(series.times, kind="stable")
            n = order.size
            mask = series.informative[order]
            predicted, residual, white = (np.full(n, np.nan) for _ in range(3))
            c = data.get((experiment.name, channel.output))
            if c is not None:
                residual[mask] = np.where(measured[c.rows], point.residual[c.rows], np.nan)
                white[mask] = np.where(measured[c.rows], white_of_all[c.rows], np.nan)
                predicted[mask] = series.values[order][mask] - point.residual[c.rows]
            for key, values in zip(
                rows, (series.times[order], series.values[order], predicted, residual, white), strict=True
            ):
                rows[key].append(values)
            text["experiment"] += [experiment.name] * n
            text["output"] += [channel.output] * n
            text["units"] += [channel.unit.si_text] * n
            arrays += ["" if c is None else c.array] * n
            places += [() if c is None or not c.array else c.place] * n
            used.append(mask)
            flags.append(series.flags[order])
            sides.append(np.zeros(n, np.int8) if series.censored is None else series.censored[order])
    limits = {} if measured.all() else {"side": ("sample", np.concatenate(sides))}
    return xr.Dataset(
        {
            **{k: ("sample", np.array(v)) for k, v in text.items()},
            **{k: ("sample", np.concatenate(v)) for k, v in rows.items()},
            "used": ("sample", np.concatenate(used)),
            "flag": ("sample", np.concatenate(flags).astype(np.int8)),
            **limits,
            **_place_variables(arrays, places),
        },
        attrs={"description": "observed, predicted (bias included) and residual in SI, see units; time in s"},
    )


def _place_variables(arrays: Sequence[str], places: Sequence[tuple[float, ...]]) -> dict[str, tuple[str, NDArray[Any]]]:
    """The array of each sample and its place in m, NaN where there is none; nothing where no sensor has an array."""
    if not any(arrays):
        return {}
    table = np.full((len(places), max(map(len, places))), np.nan)
    for i, place in enumerate(places):
        table[i, : len(place)] = place
    found: dict[str, tuple[str, NDArray[Any]]] = {"array": ("sample", np.array(arrays))}
    return found | {f"place_{axis}": ("sample", table[:, k]) for k, axis in enumerate("xyz"[: table.shape[1]])}


def coverage(problem: Problem, point: Point) -> dict[str, tuple[float, float]]:
    """Ranges that the samples in use covered: time, inputs, settings, outputs; SI."""
    found: dict[str, tuple[float, float]] = {}

    def widen(name: str, values: Array) -> None:
        values = values[np.isfinite(values)]
        if values.size:
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = (min(low, float(values.min())), max(high, float(values.max())))

    for task in problem.tasks:
        values = task_values(problem, task, point.x)
        times = np.unique(np.concatenate([c.times for c in task.channels]))
        if times[-1] > 0.0:  # a steady state, read once, has no duration that a run could exceed
            widen("time", np.append(times, 0.0))
        course = np.union1d(times, np.linspace(0.0, times[-1], 257))
        inputs = input_values(problem.model, task.recipe, values, course)
        for j, signal in enumerate(problem.model.inputs):
            widen(signal.name, inputs[:, j])
        for name in task.recipe.settings:
            widen(name, np.array([values[name]]))
        for c in task.channels:
            widen(c.output, c.observed)
        # A known beginning is covered too: a batch starts at 100 percent, also where its first sample shows 88.
        try:
            begin = simulate_outputs(problem.model, task.recipe, np.zeros(1), values)[0]
        except SolveError:
            continue
        for c in task.channels:
            widen(c.output, begin[[c.output_index]])
    return found | _over_arrays(problem.channels, found)


def _over_arrays(
    channels: Sequence[ChannelData], found: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """What an array of sensors covered holds for each of them: they are alike, and the model between them is one."""
    ranges: dict[str, tuple[float, float]] = {}
    for c in channels:
        if c.array:
            low, high = ranges.get(c.array, (np.inf, -np.inf))
            ranges[c.array] = (min(low, found[c.output][0]), max(high, found[c.output][1]))
    return {c.output: ranges[c.array] for c in channels if c.array}


def summary(
    channels: Sequence[ChannelEvidence], correlations: Mapping[str, Correlation], widens: bool = True
) -> list[str]:
    """The findings as warnings, outputs with one finding in common said once.

    widens: whether the draws are wider where residuals are correlated.
    """
    found: list[str] = []
    for series, correlation in correlations.items():
        if correlation.significant:
            c = correlation
            first = "lag one" if c.along == "s" else "neighbors"
            found.append(
                f"{series}: residuals are correlated ({first} {c.lag_one:.2f}, p = {c.p_value:.1g}, memory "
                f"{format_number(c.memory, 2)} {c.along}): {c.n_samples} samples count as {c.effective_samples:.0f}, "
                + ("and the draws are wider for it" if widens else NOT_WIDER)
            )
    seen: dict[tuple[str, str], list[str]] = {}
    for channel in channels:
        for text in channel.findings:
            seen.setdefault((channel.output, text), []).append(channel.experiment)
    for (output, text), names in seen.items():
        found.append(f"{output} ({', '.join(names[:3])}{' ...' if len(names) > 3 else ''}): {text}")
    return found
