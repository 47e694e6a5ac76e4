"""Scouts: a few draws simulated at many settings, to find what a surrogate of few settings cannot know.

A narrow ridge between design points is smooth to the interpolation and invisible to its error estimate. But it is
there for every draw, so four draws at some hundred settings see it at the price of a few design points. Where a scout
contradicts the surrogate, the settings are simulated with all draws. They are sent over the whole range at first and,
before any held-out draw is spent on it, once more into the range that is to be certified: what is narrower than one of
some hundred parts of that range is still not seen.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope.region.surrogate import DesignSpace

N_DRAWS = 4
LOG2_POINTS = (6, 8, 9)
"""Sobol points are 2 to this power, for 1, 2 and more settings."""

Evaluate = Callable[[Array], Array]
"""(n, d) points of the unit cube -> margins (n, N_DRAWS, n_requirements) SI, NaN where a simulation failed."""


@dataclass(frozen=True, eq=False)
class Scouts:
    """Margins of the first N_DRAWS search draws at many settings."""

    points: Array
    """(n_points, d) of the unit cube."""
    margins: Array
    """(n_points, N_DRAWS, n_requirements) SI, NaN where a simulation failed."""

    def surprises(self, space: DesignSpace) -> NDArray[np.bool_]:
        """Points (n_points,) where a limit is broken for a draw that the surrogate believes to keep it."""
        believed = space.predicted(self.points)[:, :, : self.margins.shape[1]].min(axis=1) >= 0.0
        kept = (self.margins >= 0.0).all(axis=2)  # NaN, a failed run, keeps nothing
        found: NDArray[np.bool_] = (believed & ~kept).any(axis=1)
        return found

    def joined(self, others: "Scouts") -> "Scouts":
        """These and the others, of the same draws."""
        both = np.concatenate([self.margins, others.margins])
        return Scouts(np.concatenate([self.points, others.points]), both)


def send_into(
    low: Array, high: Array, inside: Callable[[Array], NDArray[np.bool_]], evaluate: Evaluate, rng: np.random.Generator
) -> Scouts:
    """Scouts at those points between `low` and `high` (d,) that lie `inside`; `evaluate` as for `send_scouts`."""
    d = low.size
    points = low + qmc.Sobol(d, rng=rng).random_base2(LOG2_POINTS[min(d, 3) - 1]) * (high - low)
    kept = points[inside(points)]
    return Scouts(kept, evaluate(kept))


def send_scouts(evaluate: Evaluate, d: int, rng: np.random.Generator) -> Scouts:
    """Simulate the scouts; `evaluate` gives their margins at points of the unit cube."""
    points = qmc.Sobol(d, rng=rng).random_base2(LOG2_POINTS[min(d, 3) - 1])
    return Scouts(points, evaluate(points))
