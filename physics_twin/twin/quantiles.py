"""Quantiles of members, and of what a sensor would show of them."""

import numpy as np
from scipy.special import ndtr

from physics_twin.arrays import Array

_HALVINGS = 60
"""Of the bracket that holds a quantile: to the last bits of a float."""


def quantiles(values: Array, levels: Array) -> Array:
    """(n_levels, n_times) of members (n_members, n_times), those that have failed left out; NaN where none is left."""
    found = np.full((levels.size, values.shape[1]), np.nan)
    some = np.isfinite(values).any(axis=0)
    if some.any():
        found[:, some] = np.nanquantile(values[:, some], levels, axis=0)
    return found


def noisy_quantiles(values: Array, level: float, share: float, levels: Array) -> Array:
    """Quantiles (n_levels, n_times) of members (n_members, n_times) plus normal noise of sd^2 = level^2 + (share y)^2.

    Solved for in the mixture of the members' normal laws, so that no draw of the noise adds an error of its own.
    """
    found = quantiles(values, levels)
    if level == 0.0 and share == 0.0:
        return found
    for j in np.flatnonzero(np.isfinite(values).any(axis=0)):
        y = values[np.isfinite(values[:, j]), j]
        sd = np.sqrt(level**2 + (share * y) ** 2)
        wide = np.maximum(sd, 1e-300)
        low = np.full(levels.size, float(np.min(y - 10.0 * sd)))
        high = np.full(levels.size, float(np.max(y + 10.0 * sd)))
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            below = ndtr((middle[:, None] - y) / wide).mean(axis=1) < levels
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        found[:, j] = 0.5 * (low + high)
    return found


def binomial_interval(n_hits: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """95 % interval of a probability of which n_hits in n were seen (Wilson, JASA 22 (1927) 209).

    >>> low, high = binomial_interval(0, 100)
    >>> round(low, 4), round(high, 4)
    (0.0, 0.037)
    """
    if n == 0:
        return 0.0, 1.0
    p = n_hits / n
    middle = (p + z * z / (2 * n)) / (1.0 + z * z / n)
    half = z / (1.0 + z * z / n) * float(np.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n)))
    return max(0.0, middle - half), min(1.0, middle + half)


__all__ = ["binomial_interval", "noisy_quantiles", "quantiles"]
