"""How far two sets of numbers are apart: the measures that a case may be judged by."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array


@dataclass(frozen=True)
class Measure:
    """The largest of |measured - expected| / (absolute + relative |expected|) over all components.

    text: how a table names it. Travels to worker processes.
    """

    text: str
    absolute: float
    relative: float

    def __call__(self, measured: Array, expected: Array) -> float:
        """One number from two arrays of the same shape; infinite where they cannot be compared."""
        if measured.shape != expected.shape or not np.isfinite(measured).all():
            return math.inf
        size = self.absolute + self.relative * np.abs(expected)
        difference = np.abs(measured - expected)
        # 0 measured where 0 is expected agrees under any measure; anything else beside an exact 0 does not.
        ratio = np.divide(difference, size, out=np.where(difference > 0.0, np.inf, 0.0), where=size > 0.0)
        return float(np.max(ratio, initial=0.0))


ABSOLUTE = Measure("absolute", 1.0, 0.0)
"""Largest difference, in the unit of the quantity."""
RELATIVE = Measure("relative", 0.0, 1.0)
"""Largest difference relative to the expected value, component by component."""


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


ErrorOf = Callable[[Array, Array], float]
