"""Scouts: a few draws simulated at many settings, to find what a surrogate of few settings cannot know.

A narrow ridge between design points is smooth to the interpolation and invisible to its error estimate. But it is
there for every draw, so four draws at some hundred settings see it at the price of a few design points. Where a scout
contradicts the surrogate, the settings are simulated with all draws. They are sent over the whole range at first and,
before any held-out draw is spent on it, once more into the range that is to be certified: what is narrower than one of
some hundred parts of that range is still not seen. Who asks for fewer of them, since a simulation takes seconds, sees
less, and the envelope says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope.region.surrogate import DesignSpace, by_dimension

N_DRAWS = 4
N_POINTS = (64, 256, 512)
"""Settings that scouts look at, for 1, 2 and more of them, where the caller does not say."""

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
    low: Array,
    high: Array,
    inside: Callable[[Array], NDArray[np.bool_]],
    evaluate: Evaluate,
    rng: np.random.Generator,
    asked: int | None = None,
) -> Scouts:
    """Scouts at those points between `low` and `high` (d,) that lie `inside`; the rest as for `send_scouts`."""
    points = low + _sobol(low.size, asked, rng) * (high - low)
    kept = points[inside(points)]
    return Scouts(kept, evaluate(kept))


def send_scouts(evaluate: Evaluate, d: int, rng: np.random.Generator, asked: int | None = None) -> Scouts:
    """Simulate the scouts; `evaluate` gives their margins at points of the unit cube. asked: so many points."""
    points = _sobol(d, asked, rng)
    return Scouts(points, evaluate(points))


def _sobol(d: int, asked: int | None, rng: np.random.Generator) -> Array:
    return qmc.Sobol(d, rng=rng).random_base2(n_scouts(d, asked).bit_length() - 1)


def n_scouts(d: int, asked: int | None) -> int:
    """Settings that scouts look at; rounded up to a power of two, or Sobol points lose their balance."""
    return by_dimension(d, N_POINTS) if asked is None else 1 << (asked - 1).bit_length()


def few_scouts(d: int, asked: int | None) -> list[str]:
    """A warning where fewer scouts were asked for than are usual."""
    n, usual = n_scouts(d, asked), n_scouts(d, None)
    if n >= usual:
        return []
    return [
        f"scouts looked at {n} settings instead of {usual}: where limits are broken only in a part narrower than "
        f"{n ** (-1.0 / d):.2g} of the range of each setting, they may have missed it; "
        f"budget=pt.Budget(n_scouts={usual}) looks closer"
    ]
