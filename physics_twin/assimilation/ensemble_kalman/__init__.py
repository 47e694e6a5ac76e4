"""The ensemble Kalman filter.

`transform` is the analysis on arrays; `localization` makes it one of near sensors; `inflation` estimates how much the
spread is too small; `draws` makes random numbers that disturb no mean; `members` keeps members whole; `method` is the
filter.
"""

from physics_twin.assimilation.ensemble_kalman.inflation import AdaptiveInflation
from physics_twin.assimilation.ensemble_kalman.localization import Localized
from physics_twin.assimilation.ensemble_kalman.method import EnsembleKalman

__all__ = ["AdaptiveInflation", "EnsembleKalman", "Localized"]
