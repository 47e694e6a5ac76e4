"""Filters: how new samples change what is known of a running process.

A method (`ExtendedKalman`, `UnscentedKalman`, `EnsembleKalman`, `MovingHorizon`) is a small object with three
functions on values: `begin`, `predict`, `update`. It knows neither clocks nor files nor bad sensors; those are the
twin's (`physics_twin.twin`).
"""

from physics_twin.assimilation.ensemble_kalman import AdaptiveInflation, EnsembleKalman, Localized
from physics_twin.assimilation.extended_kalman import ExtendedKalman
from physics_twin.assimilation.moving_horizon import Converged, MovingHorizon, RealTimeIteration
from physics_twin.assimilation.random_walk import RandomWalk
from physics_twin.assimilation.runge_kutta import RungeKutta
from physics_twin.assimilation.unscented_kalman import UnscentedKalman

__all__ = [
    "AdaptiveInflation",
    "Converged",
    "EnsembleKalman",
    "ExtendedKalman",
    "Localized",
    "MovingHorizon",
    "RandomWalk",
    "RealTimeIteration",
    "RungeKutta",
    "UnscentedKalman",
]
