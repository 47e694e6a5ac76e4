"""The ensemble smoother with multiple data assimilation: many unknowns, no derivatives.

`es_mda` is the algorithm on arrays; `localization` says which data may move which parameter; `prior_map` has the
coordinates of the members; `forecast` simulates them; `whitening` and `noise_levels` know the noise; `diagnostics`
judges the ensemble; `posterior_of_members` makes an estimate of it.
"""

from physics_twin.estimation.ensemble_smoother.localization import (
    CorrelationLocalization,
    DistanceLocalization,
    TimeLocalization,
)
from physics_twin.estimation.ensemble_smoother.method import EnsembleSmoother

__all__ = ["CorrelationLocalization", "DistanceLocalization", "EnsembleSmoother", "TimeLocalization"]
