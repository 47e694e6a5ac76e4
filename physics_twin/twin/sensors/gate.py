"""The gate: readings too far from what the model expects are turned away, until they insist.

A reading is turned away when the square of its residual over the predicted variance exceeds the chi-square quantile of
one degree of freedom (Bar-Shalom, Li and Kirubarajan, Estimation with Applications to Tracking and Navigation, 2001,
section 5.4). A filter with a gate alone is locked out by the first real step of its plant: everything that comes after
lies outside. So the residuals that were turned away are kept, and once as many in a row as the guard says agree with
each other, it is the plant that has changed. The gate is symmetric, so that the one healthy reading in a thousand that
it turns away moves the mean by nothing; it takes 1.2 % off the variance of those that pass.
"""

import functools
import math
from dataclasses import replace

from scipy.special import chdtri

from physics_twin.twin.sensors.reading import Reading
from physics_twin.twin.state import ChannelMonitor

LONE = 3
"""So many times as long must one channel insist when at least two others of the same moment agree with the model."""
# Residuals agree when they scatter as their noise does (at this probability), or by less than a share of their mean:
# a plant that has just been hit moves on, and its path is no straight line.
_AGREEING = 0.999
_SHARE = 0.2
# A prediction that has no spread left cannot be widened to any size without losing all digits.
_WIDEST = 1e8


@functools.lru_cache(maxsize=64)
def quantile(degrees: int, probability: float) -> float:
    """The chi-square quantile; infinite at the probability 1."""
    return float(chdtri(degrees, 1.0 - probability)) if probability < 1.0 else math.inf


def outside(residual: float, variance: float, probability: float) -> bool:
    """Whether a residual is farther off than chance has it; variance: of the residual, all in SI."""
    return residual * residual > quantile(1, probability) * variance


def remember(monitor: ChannelMonitor, reading: Reading, reset_after: int) -> ChannelMonitor:
    """The monitor with one more reading turned away."""
    residual = reading.value - reading.predicted
    kept = (*monitor.rejected, (reading.time, residual))[-LONE * max(reset_after, 1) :]
    return replace(monitor, rejected=kept)


def insist(monitor: ChannelMonitor, reading: Reading, run: int, reset_after: int, stuck_after: float) -> bool:
    """Whether the readings turned away, this one included, are `run` in a row that agree with each other.

    The same number again and again, finer than its noise, is no insisting: that is a broken sensor at an end of its
    range until it has lasted for stuck_after (s), when it can be told from a plant that stands still.
    """
    kept = monitor.rejected
    if len(kept) < max(run, 1):
        return False
    if monitor.n_same >= max(reset_after, 2) and reading.resolution <= math.sqrt(reading.variance):
        since = reading.time if monitor.held_since is None else monitor.held_since
        if (reading.time - since) * 1e-9 < stuck_after:
            return False
    return agree(kept[-max(min(run, reset_after), 1) :], reading.variance)


def agree(rejected: tuple[tuple[int, float], ...], variance: float) -> bool:
    """Whether residuals (time ns, SI) lie on one side and together, as those of a plant that has changed.

    About their mean, from four on about a straight line. variance: of the sensor's noise, SI squared.
    """
    residuals = [residual for _, residual in rejected]
    if min(residuals) <= 0.0 <= max(residuals):
        return False
    n = len(residuals)
    if n == 1:
        return True
    # Scaled: squares of large residuals overflow.
    size = max(abs(residual) for residual in residuals)
    r = [residual / size for residual in residuals]
    mean = sum(r) / n
    square, degrees = sum((one - mean) ** 2 for one in r), n - 1
    begin = rejected[0][0]
    t = [(time - begin) * 1e-9 for time, _ in rejected]
    middle = sum(t) / n
    spread = sum((one - middle) ** 2 for one in t)
    if n >= 4 and spread > 0.0:
        together = sum((a - middle) * (b - mean) for a, b in zip(t, r, strict=True))
        square, degrees = max(square - together * together / spread, 0.0), n - 2
    if square <= quantile(degrees, _AGREEING) * (variance / size) / size:
        return True
    return math.sqrt(square / degrees) <= _SHARE * abs(mean)


def widening(residual: float, reading: Reading) -> float:
    """By which factor the predicted variance must grow for the residual to be one standard deviation."""
    if reading.predicted_variance <= 0.0:
        return _WIDEST
    missing = (residual * residual - reading.variance) / reading.predicted_variance
    return min(max(missing, 1.0), _WIDEST)
