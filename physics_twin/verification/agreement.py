"""How far two sets of numbers are apart: the measures that a case may be judged by."""

import math
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array


@dataclass(frozen=True)
class Measure:
    """The largest of |measured - expected| / (absolute + relative |expected|) over all components.

    text: how a table names it. side: 0 counts deviations either way; 1 only what lies above the expected value, which
    is then an upper limit; -1 only what lies below. Travels to worker processes.
    """

    text: str
    absolute: float
    relative: float
    side: int = 0

    def __call__(self, measured: Array, expected: Array) -> float:
        """One number from two arrays of the same shape; infinite where they cannot be compared."""
        if measured.shape != expected.shape or not np.isfinite(measured).all():
            return math.inf
        size = self.absolute + self.relative * np.abs(expected)
        apart = measured - expected
        difference = np.abs(apart) if self.side == 0 else np.maximum(self.side * apart, 0.0)
        # 0 measured where 0 is expected agrees under any measure; anything else beside an exact 0 does not.
        ratio = np.divide(difference, size, out=np.where(difference > 0.0, np.inf, 0.0), where=size > 0.0)
        return float(np.max(ratio, initial=0.0))


ABSOLUTE = Measure("absolute", 1.0, 0.0)
"""Largest difference, in the unit of the quantity."""
RELATIVE = Measure("relative", 0.0, 1.0)
"""Largest difference relative to the expected value, component by component."""

AT_MOST = Measure("excess over an upper limit", 1.0, 0.0, side=1)
"""Zero for what lies at or below the expected value."""
AT_LEAST = Measure("shortfall below a lower limit", 1.0, 0.0, side=-1)
"""Zero for what lies at or above the expected value."""


def mixed(absolute: float) -> Measure:
    """|measured - expected| / (absolute + |expected|): relative for what is large beside `absolute`, for numbers such
    as the components of a solution of which some are zero (MESCD of the Test Set for IVP Solvers)."""
    return Measure(f"mixed, absolute part {absolute:g}", absolute, 1.0)


def digits(error: float) -> float:
    """Correct digits, -log10 of an error; 16 at most, which is all that a double holds.

    >>> digits(1e-7)
    7.0
    """
    return 16.0 if error <= 1e-16 else -math.log10(error)
