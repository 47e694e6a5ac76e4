"""The transform between unknowns and the coordinates of the search.

The search coordinate z of an unknown x is (x - origin)/scale, or ln(x/origin)/scale where the parameter is searched
in its logarithm; scale makes one unit of z a modest change. The transform serves the search only: densities stay
those of the declared units.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError
from physics_twin.estimation.unknowns import Unknown
from physics_twin.parameters import Parameter
from physics_twin.priors import LogNormal, Truncated


@dataclass(frozen=True)
class SearchSpace:
    """The transform between unknowns x (SI) and search coordinates z, elementwise over d columns."""

    log: NDArray[np.bool_]
    origin: Array
    scale: Array
    """dz = 1 is a modest change: of x, or of ln x."""
    low: Array
    """Bounds and supports of the priors, in z."""
    high: Array
    x_low: Array
    x_high: Array
    log_normal: NDArray[np.bool_]
    """Where the prior is log-normal: these are drawn in their logarithm."""
    reference: Array
    """Standard deviation in z before the data: of the prior, or of an even spread over the bounds."""

    def x(self, z: Array) -> Array:
        """Unknowns in SI, exactly on a bound where z is."""
        with np.errstate(over="ignore"):
            linear = self.origin + self.scale * z
            x = np.where(self.log, np.abs(self.origin) * np.exp(np.where(self.log, self.scale * z, 0.0)), linear)
        x = np.where(z <= self.low, self.x_low, np.where(z >= self.high, self.x_high, x))
        return np.asarray(np.clip(x, self.x_low, self.x_high))

    def slope(self, x: Array) -> Array:
        """dx/dz."""
        return np.where(self.log, x * self.scale, self.scale)

    def z(self, x: Array) -> Array:
        """Search coordinates of x."""
        ratio = np.where(self.log, x / np.where(self.log, self.origin, 1.0), 1.0)
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(self.log, np.log(ratio), x - self.origin) / self.scale)


def search_space(columns: Sequence[Unknown]) -> SearchSpace:
    """The transform for these unknowns, with the origin at their declared values."""
    rows = [_coordinate(unknown.parameter, unknown.log_normal) for unknown in columns]
    log, origin, scale, x_low, x_high, log_normal, sd = (np.array(column) for column in zip(*rows, strict=True))
    space = SearchSpace(log, origin, scale, -np.inf * scale, np.inf * scale, x_low, x_high, log_normal, scale)
    low, high = space.z(x_low), space.z(x_high)
    with np.errstate(invalid="ignore"):
        even = (high - low) / np.sqrt(12.0)
    unbounded = np.where(np.isfinite(even), even, 10.0)
    reference = np.where(np.isnan(sd), unbounded, sd / scale)
    return SearchSpace(log, origin, scale, low, high, x_low, x_high, log_normal, reference)


def _coordinate(p: Parameter, log_normal: bool) -> tuple[bool, float, float, float, float, bool, float]:
    low, high = p.bounds
    base = p.prior.prior if isinstance(p.prior, Truncated) else p.prior
    log_normal = log_normal or isinstance(base, LogNormal)
    if p.prior is not None:
        low, high = max(low, p.prior.support[0]), min(high, p.prior.support[1])
    value = min(max(p.value, low), high)
    log = p.log_scale or (log_normal and value > 0.0)
    sd = np.nan
    if isinstance(base, LogNormal):
        sd = base.sigma
    elif p.prior is not None and np.isfinite(p.prior.sd):
        sd = p.prior.sd / (value if log else 1.0)
    if log:
        if not value > 0.0:
            raise BoundsError(f"{p.name}: the search runs in its logarithm, so its value must be above zero")
        return True, value, float(np.fmin(sd, 1.0)), low, high, log_normal, sd
    width = high - low
    candidates = [s for s in (sd, 0.25 * width, abs(value)) if np.isfinite(s) and s > 0.0]
    return False, value, min(candidates, default=1.0), low, high, log_normal, sd
