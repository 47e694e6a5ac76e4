"""Populations whose members have bounds: their normal is cut there, so its density is over what is left within them.

t_j ~ Normal(m, s w_j) cut to [low_j, high_j] has the density of the normal over Z_j = Phi(b_j) - Phi(a_j), a and b the
bounds' distances from m in s w_j. Without Z_j many members near a bound would shrink the spread and push the mean away,
whatever the data say.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from physics_twin.arrays import Array

FAR = 8.0
"""Spreads beyond which a bound cuts nothing: 1e-15 of the normal."""


@dataclass(frozen=True)
class Mass:
    """Log of the normal's mass between a and b, (n,), and what its derivatives are made of."""

    log: Array
    tilt: Array
    """(phi(a) - phi(b))/Z: derivative with respect to the mean, in standard deviations."""
    stretch: Array
    """(a phi(a) - b phi(b))/Z: derivative with respect to the logarithm of the standard deviation."""

    @property
    def bend(self) -> Array:
        """Second derivative with respect to the mean: variance of the cut normal less one, never above zero."""
        return np.asarray(self.stretch - self.tilt**2)


def mass_between(a: Array, b: Array) -> Mass:
    """Of the standard normal between a and b (n,), a < b, accurate far out in the tails."""
    flip = a > 0.0  # work in the lower tail, where log_ndtr keeps its digits
    low, high = np.where(flip, -b, a), np.where(flip, -a, b)
    log_high = log_ndtr(high)
    gap = np.minimum(log_ndtr(low) - log_high, -1e-300)
    log = log_high + np.log(-np.expm1(gap))
    at_a, at_b = (np.exp(-0.5 * end**2 - 0.5 * np.log(2.0 * np.pi) - log) for end in (a, b))
    first, second = (np.where(np.isfinite(end), end, 0.0) for end in (a, b))
    return Mass(log, np.asarray(at_a - at_b), np.asarray(first * at_a - second * at_b))


@dataclass(frozen=True)
class Cut:
    """Bounds of the members of a population, as distances from its mean over the weights of the members."""

    columns: NDArray[np.intp]
    """(k,)"""
    low: Array
    """(k,)"""
    high: Array
    """(k,)"""
    weights: Array
    """(k,)"""
    mean_slope: Array
    """(d,) of the mean with respect to y."""
    spread: int
    """Number in psi."""

    def moved(self, y: Array) -> "Cut":
        """The same at y (d,) from here."""
        shift = float(self.mean_slope @ y) / self.weights
        return replace(self, low=self.low - shift, high=self.high - shift)

    def acts(self, psi: Array) -> bool:
        """Whether any bound is within `FAR` spreads of the mean."""
        near = FAR * float(np.exp(psi[self.spread]))
        return bool((self.low > -near).any() or (self.high < near).any())

    def mass(self, psi: Array) -> Mass:
        """Z of each member."""
        spread = float(np.exp(psi[self.spread]))
        return mass_between(self.low / spread, self.high / spread)

    def only(self, free: NDArray[np.bool_]) -> "Cut":
        """The same with y reduced to the free ones (d,), all members among them."""
        number = np.cumsum(free) - 1
        return replace(self, columns=number[self.columns], mean_slope=self.mean_slope[free])
