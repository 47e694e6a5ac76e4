"""How far what is gained at a quantile may be off, because it is read off so many draws and no more.

Both quantiles of a gain come from the same draws, and what they share cancels: the draws are resampled together (Efron,
Annals of Statistics 7 (1979) 1), and the spread of the gain over the resamples is its standard error.
"""

from collections.abc import Callable

import numpy as np

from physics_twin.arrays import Array

N_RESAMPLES = 100
"""They give a standard error to 7 %."""


def gain_errors(
    statistic: Callable[[Array], Array], now: Array, then: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """The gain statistic(then) - statistic(now) and its standard error.

    now, then: (n_places, n_draws, n_limits) margins of the same draws. statistic: such margins -> (n_places, n).
    Returns two arrays (n_places, n); NaN where runs failed too often to have the statistic.
    """
    n = now.shape[1]
    with np.errstate(invalid="ignore"):  # a statistic is -inf where too many runs fail
        gain = statistic(then) - statistic(now)
        resampled = []
        for _ in range(N_RESAMPLES):
            rows = rng.integers(n, size=n)
            resampled.append(statistic(then[:, rows]) - statistic(now[:, rows]))
        error = np.std(resampled, axis=0, ddof=1)
    known = np.isfinite(gain)
    return np.where(known, gain, np.nan), np.where(known, error, np.nan)
