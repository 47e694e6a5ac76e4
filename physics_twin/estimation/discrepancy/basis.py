"""A Gaussian process over an interval as a sum of sines with independent normal coefficients.

Eigenfunctions of the Laplacian on [-L, L], weighted with the spectral density of the kernel (Solin and Särkkä,
Statistics and Computing 30 (2020) 419):

    delta(s) = sum_j a_j sin(pi j (s + L) / (2 L)),     a_j ~ Normal(0, sd sqrt(S(pi j / (2 L)) / L))

L and the number of functions start at the rules of Riutort-Mayol, Bürkner, Andersen, Solin and Vehtari, Statistics
and Computing 33 (2023) 17, and grow until the covariance of the sum is that of the
kernel to `TOLERANCE` times the variance everywhere on the interval. The error that remains is computed, not estimated.
"""

import enum
import functools
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError

TOLERANCE = 0.02
"""Largest error of a covariance, in units of the variance."""
MOST_FUNCTIONS = 200
"""Each is an unknown of the fit."""
BEYOND = 2.0
"""Lengths by which the interval reaches beyond the range at each end: there the function has forgotten the data (a
correlation of 0.14, and 0.99 of the standard deviation), and further out it is held."""
CHECKED = 161
"""Places of an interval at which the covariance is compared."""


class Kernel(enum.Enum):
    """How smooth a discrepancy is."""

    MATERN = "matern"
    """Matérn with nu = 3/2: once differentiable, so that far from data it is not surer than the data allow (Stein,
    Interpolation of Spatial Data, 1999)."""
    SQUARED_EXPONENTIAL = "squared exponential"
    """Infinitely differentiable; fewer functions, and bold between samples."""

    def correlation(self, distance: Array) -> Array:
        """Correlation at a distance in lengths."""
        if self is Kernel.MATERN:
            a = np.sqrt(3.0) * np.abs(distance)
            return np.asarray((1.0 + a) * np.exp(-a))
        return np.asarray(np.exp(-0.5 * distance**2))

    def spectral_density(self, frequency: Array) -> Array:
        """Of variance 1, in lengths; frequency in radians per length."""
        if self is Kernel.MATERN:
            return np.asarray(12.0 * np.sqrt(3.0) / (3.0 + frequency**2) ** 2)
        return np.asarray(np.sqrt(2.0 * np.pi) * np.exp(-0.5 * frequency**2))

    @property
    def rule(self) -> tuple[float, float, float]:
        """Least L/S, L/S per length/S, functions per (L/S) / (length/S), for an interval of half width S."""
        return (1.2, 4.5, 3.42) if self is Kernel.MATERN else (1.2, 3.2, 1.75)


@dataclass(frozen=True)
class Basis:
    """The sines of one argument; everything in SI of the argument."""

    center: float
    reach: float
    """Half width S of the interval on which the sum is the process; beyond, the argument is held at its ends."""
    half_width: float
    """L, where the sines vanish."""
    length: float
    n: int
    kernel: Kernel

    @functools.cached_property
    def _frequencies(self) -> Array:
        return np.arange(1, self.n + 1, dtype=np.float64) * (np.pi / (2.0 * self.half_width))

    @functools.cached_property
    def weights(self) -> Array:
        """Prior standard deviations (n,) of the coefficients of a process of standard deviation 1."""
        density = self.kernel.spectral_density(self._frequencies * self.length) * self.length
        return np.asarray(np.sqrt(density / self.half_width))

    def functions(self, s: Array) -> Array:
        """The sines (..., n) at s (...)."""
        return np.asarray(np.sin((self._held(s)[..., None] + self.half_width) * self._frequencies))

    def slopes(self, s: Array) -> Array:
        """Their derivatives (..., n) with respect to s; zero where the argument is held."""
        inside = np.abs(s - self.center) < self.reach
        moved = np.cos((self._held(s)[..., None] + self.half_width) * self._frequencies) * self._frequencies
        return np.asarray(moved * inside[..., None])

    def _held(self, s: Array) -> Array:
        return np.asarray(np.clip(s - self.center, -self.reach, self.reach))

    @functools.cached_property
    def error(self) -> float:
        """Largest error of a covariance on the interval, in units of the variance."""
        s = np.linspace(-self.reach, self.reach, CHECKED)
        weighted = self.functions(s + self.center) * self.weights
        exact = self.kernel.correlation((s[:, None] - s[None, :]) / self.length)
        return float(np.max(np.abs(weighted @ weighted.T - exact)))


def choose_basis(low: float, high: float, length: float, kernel: Kernel, what: str) -> Basis:
    """The smallest basis of the rules that keeps `TOLERANCE` for arguments from low to high.

    what: names it in the message. Raises BoundsError where that takes more than `MOST_FUNCTIONS`.
    """
    reach = 0.5 * (high - low) + BEYOND * length
    least, per_length, per_ratio = kernel.rule
    ratio = max(least, per_length * length / reach)
    while True:
        n = int(np.ceil(per_ratio * ratio * reach / length))
        if n > MOST_FUNCTIONS:
            longest = (high - low) / (MOST_FUNCTIONS / (per_ratio * least) - BEYOND) / 2.0
            raise BoundsError(
                f"{what}: a length of 1/{(high - low) / length:.0f} of its range takes {n} functions, and each is an "
                f"unknown; at most {MOST_FUNCTIONS} are allowed: give a length above 1/{(high - low) / longest:.0f} of "
                "the range, or a shorter range (between=)"
            )
        basis = Basis(0.5 * (low + high), reach, ratio * reach, length, n, kernel)
        if basis.error <= TOLERANCE:
            return basis
        ratio, per_ratio = 1.05 * ratio, 1.05 * per_ratio
