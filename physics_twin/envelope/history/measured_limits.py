"""Limits judged from what was measured in a run.

The reduction of the limit is taken over the samples in use, on straight lines between them (see `measured_courses`).
What was measured is not what was true: the noise of the reduced value is stated (from draws of the samples' noise and
of an unknown bias, and what lies between the samples), and a highest sample lies above the highest true value by a part
of it. What the samples cannot show is not judged: an output without a channel, a final value without a sample at the
end, a course with large gaps, a value whose limit lies between the bounds of what the samples leave open. It never
counts as met.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.history.measured_courses import GROWING, SUMS, left_open, measured
from physics_twin.envelope.limits.limits import Limit, Requirement, bind_limits
from physics_twin.envelope.limits.rates import Rate
from physics_twin.envelope.limits.reductions import At, Extreme, Final
from physics_twin.measurements import Experiment, Series
from physics_twin.signals import Signal
from physics_twin.units import format_si, to_si, unit as as_unit

N_NOISE, SEED = 200, 0
"""Draws of the noise behind a stated standard deviation (known to 5 % then), and their seed: the same each time."""
GAP = 0.25
"""Longest time without a sample, as a share of the run, that a limit on the whole course may have."""
AT_END = 0.02
"""Share of the run by which the last sample may lie before its end; or one interval between samples, if longer."""
UNDER_A_FAULT = "it is about runs with a fault, which did not happen to past batches"


@dataclass(frozen=True)
class Judgment:
    """One limit in one run."""

    limit: str
    value: float
    """The reduced measured value, SI; NaN where there is none."""
    margin: float
    """SI; negative: broken."""
    noise: float
    """One standard deviation of `value`, SI: of the samples' noise, and of what they leave open between them."""
    met: bool | None
    """None: not judged, see `reason`."""
    n_samples: int
    """Samples in use."""
    reason: str
    """Why it was not judged, or what weakens the judgment; often empty."""
    counts: bool = True
    """Whether the batch is judged by it: not where no run can show it, as under a fault that happened to none."""

    @property
    def clear(self) -> bool:
        """Whether the margin is more than two standard deviations of the noise from zero."""
        return self.met is not None and abs(self.margin) > 2.0 * self.noise


@dataclass(frozen=True)
class Rule:
    """One side of a limit, as far as it is known without a model."""

    name: str
    output: str
    requirement: Requirement | None
    """None where no run has measured the output, or a run cannot show it."""
    why: str = ""
    counts: bool = True
    """Whether a run could show it at all, if it were measured."""


def rules_of(limits: Sequence[Limit], names: Sequence[str], runs: Sequence[Experiment]) -> tuple[Rule, ...]:
    """The sides of `limits` in the order of an envelope's, called by its `names`; units are those of the channels.

    Raises UnitError where a channel is not in the dimension of its limit.
    """
    units = {s.channel.output: s.channel.unit for run in reversed(runs) for s in run.series.values()}
    found: list[Rule] = []
    for limit in limits:
        n = (limit.lower is not None) + (limit.upper is not None)
        own = names[len(found) : len(found) + n]
        if limit.under is not None:
            found += [Rule(name, limit.output, None, UNDER_A_FAULT, counts=False) for name in own]
        elif limit.output not in units:
            found += [Rule(name, limit.output, None, f"{limit.output} was not measured") for name in own]
        else:
            # A reported value is what was measured; its noise is in the samples.
            bound = bind_limits([replace(limit, reported=None)], [Signal(limit.output, units[limit.output])])
            found += [Rule(name, limit.output, r) for name, r in zip(own, bound, strict=True)]
    return tuple(found)


def judged(rule: Rule, run: Experiment) -> Judgment:
    """Whether `run` kept to the limit, by its samples."""
    requirement = rule.requirement
    if requirement is None:
        return _unjudged(rule, 0, rule.why)
    series = run.series.get(rule.output)
    if series is None:
        return _unjudged(rule, 0, f"{rule.output} was not measured")
    use = series.informative
    n = int(use.sum())
    if n == 0:
        return _unjudged(rule, 0, f"no sample of {rule.output} is in use")
    order = np.argsort(series.times[use], kind="stable")
    times = series.times[use][order] - series.channel.delay
    values = series.values[use][order] - series.channel.bias
    end = end_of(run)
    missing = _missing(requirement, times, end)
    shown = times, values
    times, values, noise = _with_moments(requirement, times, values, series.noise[use][order])
    value = float(measured(requirement, times, values[None], end)[0])
    if missing and not (isinstance(requirement.reduction, Extreme) and requirement.side * value > _top(requirement)):
        return _unjudged(rule, n, missing)
    if not math.isfinite(value):
        return _unjudged(rule, n, "the samples do not determine it")
    margin = float(requirement.side * (requirement.level - value))
    low, high = left_open(requirement, *shown, end, value)
    beyond, coarse = _censored(requirement, series, margin), _too_coarse(requirement, shown[0], value, low, high)
    met = None if beyond or coarse else margin >= 0.0
    left = int(series.values.size - n)
    remarks = [beyond, coarse, missing, f"{left} samples bad or left out" if left else ""]
    # Whatever lies between the bounds is as likely as anything else there: (high - low) / sqrt(12).
    sd = math.hypot(_noise_of(requirement, series, times, values, noise, end), (high - low) / math.sqrt(12.0))
    return Judgment(rule.name, value, margin, sd, met, n, "; ".join(r for r in remarks if r))


def end_of(run: Experiment) -> float:
    """When the run ended, s: by its phases, its recipe, or its last sample."""
    if run.phases:
        return max(window.end for window in run.phases)
    duration = run.recipe.duration
    if duration is not None and math.isfinite(duration):
        return float(duration)
    return max((float(np.nanmax(s.times)) for s in run.series.values() if np.isfinite(s.times).any()), default=0.0)


def _unjudged(rule: Rule, n: int, reason: str) -> Judgment:
    return Judgment(rule.name, math.nan, math.nan, math.nan, None, n, reason, rule.counts)


def _top(requirement: Requirement) -> float:
    return requirement.side * requirement.level


def _missing(requirement: Requirement, times: Array, end: float) -> str:
    """What the samples do not show of what the limit is about; empty where they show it."""
    reduction, minute = requirement.reduction, as_unit("min")
    for moment in reduction.moments:
        if not times[0] <= moment <= times[-1]:
            return f"there is no sample around {format_si(moment, minute)}"
    if reduction.dense:
        gap = float(np.diff(np.concatenate([[min(0.0, times[0])], times, [max(end, times[-1])]])).max())
        if end > 0.0 and gap > GAP * end:
            return f"{format_si(gap, minute)} of the run are without a sample"
        window = reduction.window if isinstance(reduction, Rate) else None
        if window is not None and times.size > 1 and np.diff(times).max() > min(window, end):
            return f"samples are up to {format_si(np.diff(times).max(), minute)} apart, more than the window"
    if isinstance(reduction, (Final, *SUMS)):
        usual = float(np.median(np.diff(times))) if times.size > 2 else 0.0
        longest = max(AT_END * end, 1.001 * usual)
        if times[-1] < end - longest:
            return f"the last sample is at {format_si(times[-1], minute)}, the run ended at {format_si(end, minute)}"
        if isinstance(reduction, SUMS) and times[0] > longest:
            return f"the first sample is at {format_si(times[0], minute)}"
    return ""


def _with_moments(requirement: Requirement, times: Array, values: Array, noise: Array) -> tuple[Array, Array, Array]:
    """The samples with one more, on the straight line between its neighbors, at each moment the limit is about."""
    for moment in requirement.reduction.moments:
        if times[0] <= moment <= times[-1] and moment not in times:
            i = int(np.searchsorted(times, moment))
            values = np.insert(values, i, np.interp(moment, times, values))
            noise = np.insert(noise, i, np.interp(moment, times, noise))
            times = np.insert(times, i, moment)
    return times, values, noise


def _too_coarse(requirement: Requirement, times: Array, value: float, low: float, high: float) -> str:
    """Why what lies between samples leaves it open; empty where the limit is met, or broken, at both bounds.

    Bounds come closer with the interval between samples. It is a fair guess how close they must be to decide a value
    like this one; the true value may lie closer to the limit.
    """
    level, side = requirement.level, requirement.side
    if (side * (level - low) >= 0.0) == (side * (level - high) >= 0.0):
        return ""
    spelled = (format_si(x, requirement.unit) for x in (low, high))
    text = "too coarsely recorded to say: what was measured allows {} to {}".format(*spelled)
    if isinstance(requirement.reduction, At | Final):
        return f"{text}; it takes a sample at that moment"
    usual, reach = float(np.median(np.diff(times))), high - value if value < level else value - low
    needed = usual * abs(level - value) / reach
    closer = f"samples every {_span(needed)} or closer" if 0.0 < needed < 0.95 * usual else "closer samples"
    return f"{text}; it takes {closer} (here every {_span(usual)})"


def _span(time: float) -> str:
    """A time between samples, with two digits."""
    return format_si(time, as_unit("s" if time < 120.0 else "min" if time < 7200.0 else "h"), digits=2)


def _noise_of(requirement: Requirement, series: Series, times: Array, values: Array, noise: Array, end: float) -> float:
    rng = np.random.default_rng(SEED)
    unknown = series.channel.unknown_bias
    bias = 0.0 if unknown is None else to_si(unknown.sd, series.channel.unit, name="bias", difference=True)
    drawn = values + noise * rng.standard_normal((N_NOISE, times.size)) + bias * rng.standard_normal((N_NOISE, 1))
    return float(np.std(measured(requirement, times, drawn, end), ddof=1))


def _censored(requirement: Requirement, series: Series, margin: float) -> str:
    """Why samples that say only "below" or "above" leave it open; empty where they do not.

    Most reductions grow with the values that they reduce. So with all such samples on one side, the margin taken at
    their ends is a bound of the true one.
    """
    if series.censored is None:
        return ""
    signs = set(series.censored[series.informative].tolist()) - {0}
    if not signs:
        return ""
    only = f"{series.n_censored} samples say only that the value is beyond an end of the sensor's range"
    if len(signs) > 1 or not isinstance(requirement.reduction, GROWING):
        return only
    larger = next(iter(signs)) == -requirement.side  # the true margin is at least this one
    return "" if (margin >= 0.0) == larger else only
