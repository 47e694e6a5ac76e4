"""Drift alarms: parameters that have left what was known of them, channels that lie on one side of the model.

A parameter's estimate is compared with the posterior in force, or with the twin's own estimate of an earlier moment.
Both carry an uncertainty, and both count. The sum of the two variances is the variance of the difference where the
filter has forgotten what it began with; where it has not, later estimates share the error of the first and the
difference varies less (by their difference in an optimal filter without forgetting). So a false alarm is at most as
likely as stated, at any one look.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, stdtrit

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, DataError
from physics_twin.twin.moments import stamp
from physics_twin.twin.sensors.excess import LARGEST, between_alarms, limit
from physics_twin.twin.state import Excess, FilterState
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from physics_twin.parameters import Parameter
    from physics_twin.twin.setup import Setup

# Beyond so many degrees of freedom Student's t is the normal distribution.
_MANY = 1e5


@dataclass(frozen=True)
class DriftAlarm:
    """Something that has moved. name: a parameter or a channel. since: ns UTC. size, sd: the movement and its standard
    deviation, SI differences; of a channel the mean residual since then, a stretch that may begin with a few readings
    from before the drift. unit: of the parameter or channel. false_alarms: how likely it is without any drift, in
    words. words: for a person.
    """

    name: str
    channel: bool
    since: int
    size: float
    sd: float
    unit: Unit
    false_alarms: str
    words: str

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, eq=False)
class Estimate:
    """Parameters as known at one moment, in the coordinates of the filter.

    mean: (n_parameters,). variance: (n_parameters,). degrees: of freedom behind the variances; infinite where they are
    no estimates.
    """

    mean: Array
    variance: Array
    degrees: float


def alarms(
    setup: "Setup",
    states: Sequence[FilterState],
    *,
    against: int | None = None,
    probability: float = 0.999,
    every: float = 1e6,
) -> tuple[DriftAlarm, ...]:
    """Alarms on parameters and channels, as of the last of `states` (ascending).

    against: ns UTC; parameters are compared with the twin's own estimate of the last state until then; with the
    posterior in force by default. probability: of no alarm on any parameter at one look without drift. every: readings
    of a healthy channel between two false alarms, on average. Raises DataError where no state so old is kept,
    BoundsError for a probability outside (0, 1) or a number of readings beyond what the sums can tell.
    """
    if not 0.0 < probability < 1.0:
        raise BoundsError(f"probability = {probability:g} is not between 0 and 1")
    if not 1.0 < every < between_alarms(LARGEST):
        raise BoundsError(f"every = {every:g} readings is not between 1 and {between_alarms(LARGEST):.2g}")
    return (
        *parameter_alarms(setup, states, against=against, probability=probability),
        *channel_alarms(setup, states[-1], every=every),
    )


def parameter_alarms(
    setup: "Setup", states: Sequence[FilterState], *, against: int | None = None, probability: float = 0.999
) -> tuple[DriftAlarm, ...]:
    """Alarms on the uncertain parameters; a parameter that is held never drifts."""
    coordinates = setup.coordinates
    n = len(coordinates.parameters)
    if not n:
        return ()
    if against is None:
        reference, words = _of_posterior(setup), "the posterior in force"
        later = list(states)
    else:
        old = [state for state in states if state.time <= against]
        if not old:
            kept = stamp(states[0].time)
            raise DataError(f"no state of {stamp(against)} is kept to compare with; the oldest is of {kept}")
        reference, words = estimate(setup, old[-1]), f"the estimate of {stamp(old[-1].time)}"
        later = [state for state in states if state.time > against] or [states[-1]]
    excess = [_excess(reference, estimate(setup, state), (1.0 - probability) / n) for state in later]
    now = estimate(setup, later[-1])
    found = []
    for k, name in enumerate(coordinates.parameters):
        if excess[-1][k] == 0.0:
            continue
        first = len(later) - 1
        while first and excess[first - 1][k] == excess[-1][k]:
            first -= 1
        sd = math.sqrt(float(now.variance[k] + reference.variance[k]))
        parameter = coordinates.declared[name]
        scale = float(coordinates.scale[coordinates.n_states + k])
        logarithmic = bool(coordinates.logarithmic[k])
        moved = (float(reference.mean[k]), float(now.mean[k]))
        found.append(_alarm(parameter, moved, sd, scale, logarithmic, later[first].time, words, probability))
    return tuple(found)


def _alarm(
    parameter: "Parameter",
    moved: tuple[float, float],
    sd: float,
    scale: float,
    logarithmic: bool,
    since: int,
    reference: str,
    probability: float,
) -> DriftAlarm:
    """An alarm in SI and in words; moved: from, to, in coordinates, as is sd."""
    before, after = (math.exp(z) if logarithmic else z * scale for z in moved)
    spread = sd * (after if logarithmic else scale)
    unit, difference = parameter.unit, parameter.difference
    size = format_si(after - before, unit, 3, difference=True)
    words = (
        f"{parameter.name} has drifted by {'+' if after > before else ''}{size} "
        f"(standard deviation {format_si(spread, unit, 3, difference=True)}) since {stamp(since)} or before: "
        f"{format_si(after, unit, difference=difference)} where {reference} says "
        f"{format_si(before, unit, difference=difference)}"
    )
    rate = f"at most {1.0 - probability:.2g} at one look, all parameters together"
    return DriftAlarm(parameter.name, False, since, after - before, spread, unit, rate, words)


def estimate(setup: "Setup", state: FilterState) -> Estimate:
    """The parameters of a state, in coordinates."""
    coordinates, belief = setup.coordinates, state.belief
    first = coordinates.n_states
    z = coordinates.of_members(belief.states, belief.parameters)[:, first:]
    if belief.root is not None:
        return Estimate(z.mean(axis=0), np.sum(belief.root[first:] ** 2, axis=1), math.inf)
    if len(z) < 2:
        return Estimate(z.mean(axis=0), np.full(z.shape[1], np.inf), math.inf)
    return Estimate(z.mean(axis=0), z.var(axis=0, ddof=1), len(z) - 1.0)


def _of_posterior(setup: "Setup") -> Estimate:
    """The posterior in force, in coordinates."""
    coordinates = setup.coordinates
    first = coordinates.n_states
    mean, variance = np.zeros(len(coordinates.parameters)), np.zeros(len(coordinates.parameters))
    draws = setup.posterior.draws
    columns = [str(name) for name in draws["parameter"].values]
    for k, name in enumerate(coordinates.parameters):
        # A posterior that says nothing of it: nothing to have drifted from; a sensor may be another one by now.
        if name not in columns or name in coordinates.of_sensors:
            variance[k] = np.inf
            continue
        column = np.asarray(draws.values[:, columns.index(name)], dtype=float)
        z = np.log(column) if coordinates.logarithmic[k] else column / coordinates.scale[first + k]
        mean[k], variance[k] = z.mean(), z.var(ddof=1) if z.size > 1 else np.inf
    return Estimate(mean, variance, max(float(setup.posterior.effective_draws) - 1.0, 1.0))


def _excess(reference: Estimate, now: Estimate, chance: float) -> Array:
    """-1, 0, 1 of each parameter: whether it lies below or above the reference by more than chance has it.

    Two-sided; degrees of freedom of the sum of two variances after Welch (Biometrika 34, 1947).
    """
    variance = reference.variance + now.variance
    found = np.zeros(variance.size)
    for k, one in enumerate(variance.tolist()):
        moved = float(now.mean[k] - reference.mean[k])
        if not (math.isfinite(one) and one > 0.0 and math.isfinite(moved)):
            continue
        behind = sum(float(e.variance[k]) ** 2 / e.degrees for e in (reference, now))
        degrees = one * one / behind if behind > 0.0 else math.inf
        quantile = -float(ndtri(chance / 2.0) if degrees > _MANY else stdtrit(degrees, chance / 2.0))
        if abs(moved) > quantile * math.sqrt(one):
            found[k] = math.copysign(1.0, moved)
    return found


def channel_alarms(setup: "Setup", state: FilterState, *, every: float = 1e6) -> tuple[DriftAlarm, ...]:
    """Alarms on channels whose used readings lie on one side of the model for longer than chance has it."""
    highest = limit(every)
    found = []
    for name, monitor in state.monitors.items():
        for sum_, side in ((monitor.high, "above"), (monitor.low, "below")):
            if sum_.value > highest and name in setup.channels:
                found.append(_of_channel(name, setup.channels[name].unit, sum_, side, every))
    return tuple(found)


def _of_channel(name: str, unit: Unit, excess: Excess, side: str, every: float) -> DriftAlarm:
    size, sd = excess.total / excess.n, math.sqrt(excess.weight) / excess.n
    since = excess.since or 0
    words = (
        f"{name} lies {format_si(abs(size), unit, 3, difference=True)} {side} what the model expects (standard "
        f"deviation {format_si(sd, unit, 3, difference=True)}, {excess.n} readings) since {stamp(since)}: its sensor "
        "drifts, or the model does not follow the plant"
    )
    return DriftAlarm(name, True, since, size, sd, unit, f"one in {every:.2g} readings of a healthy channel", words)
