"""Adaptive inflation: by how much the spread of an ensemble is too small, estimated from the innovations."""

from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError


@dataclass(frozen=True)
class AdaptiveInflation:
    """One factor on the prior variance, followed over time; Miyoshi (2011, Monthly Weather Review 139).

    initial: the factor at the start. sd: how far it may wander from one update to the next; larger follows faster and
    is noisier: with 0.1, eight samples an update and a spread as large as the noise, after about 100 updates.
    lower, upper: the range it is kept in; below 1 an ensemble would be made narrower than it is.

    Raises BoundsError.
    """

    initial: float = 1.0
    sd: float = 0.1
    lower: float = 1.0
    upper: float = 10.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0.0 < self.lower <= self.initial <= self.upper < np.inf:
            raise BoundsError(
                f"adaptive inflation: initial = {self.initial} is not within lower = {self.lower} and "
                f"upper = {self.upper}, which are above zero"
            )
        if not 0.0 < self.sd < np.inf:
            raise BoundsError(f"adaptive inflation: sd = {self.sd} is not above zero")

    def updated(self, factor: float, s: Array, d: Array) -> float:
        """The factor after an innovation: S (N, p) of members that `factor` has been applied to, d (p,)."""
        return float(np.clip(estimate(factor, s, d, self.sd), self.lower, self.upper))


def estimate(factor: float, s: Array, d: Array, sd: float) -> float:
    """Miyoshi (2011, eqs 8 to 12): the factor that explains d, weighed against the one in force.

    s: (N, p) anomalies of the predicted observations over noise and sqrt(N - 1). d: (p,) innovation over noise. The
    expectation of d^T d is p plus the factor times the trace of the prior's share; its variance that of a chi-square.
    """
    p = d.size
    share = float(np.sum(s * s)) / factor
    if share <= 0.0:
        return factor
    observed = (float(d @ d) - p) / share
    variance = 2.0 / p * ((factor * share + p) / share) ** 2
    return (factor * variance + observed * sd**2) / (variance + sd**2)
