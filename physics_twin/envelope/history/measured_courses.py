"""What the samples of a recorder say of a reduction: its value, and what they leave open.

Samples say where a course was, and nothing of what it did between them. So the value is that of straight lines between
neighbors: the smooth curve that is laid through the dense nodes of a simulation swings around every kink (a valve that
opens between two samples) and shows peaks that never were. A peak is the highest sample; a higher one between two
samples cannot be seen.

What the samples leave open, by reduction:

- Mean, integral, time above a level, lethality, equivalent time grow with the values. If the course stays between each
  sample and the next, they lie between their values on two staircases, of the smaller and of the larger of both
  neighbors. For an integral these are sum |y_(i+1) - y_i| h_i apart: first order in the interval between samples, wide
  for a course that moves in it, and right for whatever the course did there. Noise cannot be told from movement:
  samples that only scatter, with standard deviation s, leave a mean open by 2 s / sqrt(pi), however close they are.
  Beside the first and the last sample, where the run goes on to its end, the value is held, give or take its change in
  the interval beside.
- A value at a moment lies between those of its neighbors.
- A rate between two samples is the mean of the rates between them, so the true extreme lies beyond the steepest of
  these means. It is taken to lie no further than the mean changes from there to the next interval, the smaller change
  of both sides: on a ramp that begins or ends with a kink that is none, and at the start of an exponential approach it
  is enough for intervals up to 1.1 time constants. Means over a window, wider than the intervals, are compared with
  those of the smooth curve.
- A function of the caller's is given the samples; what lies between them is its own affair.
"""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.rates import Rate
from physics_twin.envelope.limits.reductions import LOWER, UPPER, At, Extreme, Final, Integral, Mean, TimeAbove
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.envelope.limits.thermal_integrals import EquivalentTime, Lethality

SUMS = (Mean, Integral, TimeAbove, Lethality, EquivalentTime)
"""Reductions to which every part of the run adds."""
GROWING = (At, Extreme, Final, *SUMS)
"""Reductions that grow with the values that they reduce."""


def measured(requirement: Requirement, times: Array, values: Array, end: float) -> Array:
    """Reduced values (n,) SI of courses (n, n_times) through samples at times (n_times,) s; `end` of the run in s."""
    reduction = requirement.reduction
    if isinstance(reduction, SUMS):
        times, values = _whole(times, values, end, values[:, 0], values[:, -1])
    if isinstance(reduction, (*GROWING, Rate)) and times.size > 1:
        # With double nodes the curve of the reductions is a straight line from each sample to the next.
        times, values = np.repeat(times, 2)[1:-1], np.repeat(values, 2, axis=1)[:, 1:-1]
    return _reduced(requirement, times, values)


def left_open(requirement: Requirement, times: Array, values: Array, end: float, value: float) -> tuple[float, float]:
    """Lowest and highest reduced value, SI, that samples (n_times,) allow; `value` twice where they leave nothing open.

    value: the measured one. NaN where the reduction has no value.
    """
    reduction = requirement.reduction
    if isinstance(reduction, Rate):
        return _rates(requirement, times, values, value)
    if isinstance(reduction, At):
        before = int(np.searchsorted(times, reduction.time, side="right")) - 1
        after = int(np.searchsorted(times, reduction.time, side="left"))
        low, high = sorted((float(values[before]), float(values[after])))
        return low, high
    if isinstance(reduction, Final) and times[-1] < end and times.size > 1:
        change = abs(float(values[-1] - values[-2]))
        return value - change, value + change
    if isinstance(reduction, SUMS) and times.size > 1:
        return _on_steps(requirement, times, values, end, LOWER), _on_steps(requirement, times, values, end, UPPER)
    return value, value


def _reduced(requirement: Requirement, times: Array, values: Array) -> Array:
    shared = np.broadcast_to(times, values.shape)
    return requirement.reduction(shared, values, requirement.side, requirement.output_unit)


def _whole(times: Array, values: Array, end: float, first: Array, last: Array) -> tuple[Array, Array]:
    """The samples, with `first` (n,) at the start and `last` at the end of the run where these have no sample."""
    if times[0] > 0.0:
        times, values = np.concatenate([[0.0], times]), np.concatenate([first[:, None], values], axis=1)
    if times[-1] < end:
        times, values = np.concatenate([times, [end]]), np.concatenate([values, last[:, None]], axis=1)
    return times, values


def _on_steps(requirement: Requirement, times: Array, values: Array, end: float, side: int) -> float:
    """The reduction on the staircase of the larger (UPPER) or the smaller of neighboring samples."""
    first, last = values[:1] + side * abs(values[1] - values[0]), values[-1:] + side * abs(values[-1] - values[-2])
    times, course = _whole(times, values[None], end, first, last)
    steps = side * np.maximum(side * course[:, :-1], side * course[:, 1:])
    return float(_reduced(requirement, np.repeat(times, 2)[1:-1], np.repeat(steps, 2, axis=1))[0])


def _rates(requirement: Requirement, times: Array, values: Array, value: float) -> tuple[float, float]:
    """From the steepest mean between samples to the steepest rate that they allow."""
    side, reduction, h = requirement.side, requirement.reduction, np.diff(times)
    beyond = value
    if isinstance(reduction, Rate) and reduction.window is not None:
        beyond = float(_reduced(requirement, times, values[None])[0])
    elif (h > 0.0).sum() > 1:
        mean = side * np.diff(values)[h > 0.0] / h[h > 0.0]
        change = np.abs(np.diff(mean))
        less = np.minimum(np.concatenate([change[:1], change]), np.concatenate([change, change[-1:]]))
        beyond = side * float((mean + less).max())
    beyond = side * max(side * beyond, side * value)
    return min(value, beyond), max(value, beyond)
