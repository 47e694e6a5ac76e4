"""Moving horizon estimation: the last samples fitted again at every moment, with bounds on states and parameters.

One file per idea: `flow` (the equations in coordinates), `layout` (a stretch of a recipe as finite elements),
`transcription` (Radau collocation, linearized), `window` (what is kept between calls), `condensing` (the window as
bounded least squares), `bounded` (their solution), `arrival` (what the samples before the window said), `solvers`
(converged, or one iteration per sample) and `method`.
"""

from physics_twin.assimilation.moving_horizon.method import MovingHorizon
from physics_twin.assimilation.moving_horizon.solvers import Converged, RealTimeIteration

__all__ = ["Converged", "MovingHorizon", "RealTimeIteration"]
