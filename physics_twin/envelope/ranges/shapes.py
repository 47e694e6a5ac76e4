"""Shapes of an operating range: what kind of set is looked for inside the region, and which one is best."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.errors import EnvelopeError
from physics_twin.units import QuantityLike


@dataclass(frozen=True)
class LargestBox:
    """A box: each setting has a range of its own, whatever the others are.

    weights: setting -> how much its width counts; 1 for those left out. Equal weights give the largest volume (widths
    relative to the bounds); otherwise the product of widths to the power of their weights is the largest.
    around: setting -> a value that the box must hold, in any unit of the setting; a box grows to all sides of it.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    around: Mapping[str, QuantityLike] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse weights that mean nothing."""
        for name, weight in self.weights.items():
            if not (math.isfinite(weight) and weight > 0.0):
                raise EnvelopeError(f'weights: "{name}" has {weight:g}; a weight is a finite number above zero')


@dataclass(frozen=True)
class Polytope:
    """A convex range with slanted sides: where what one setting may do depends on the others.

    It holds more of a region than a box where limits trade settings against one another; the ranges are no longer
    independent. n_sides: most slanted sides, beside the bounds of the settings. At most 5 settings.
    """

    n_sides: int = 8

    def __post_init__(self) -> None:
        """Refuse a polytope without sides."""
        n: Any = self.n_sides  # "8" comes too
        if not isinstance(n, int | np.integer) or n < 1:
            raise EnvelopeError(
                f"n_sides = {self.n_sides!r}: a whole number is needed, at least one slanted side; a range without "
                "any is pt.LargestBox()"
            )


type Shape = LargestBox | Polytope
