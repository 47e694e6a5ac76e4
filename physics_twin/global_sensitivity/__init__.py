"""Which parameters, inputs, settings and initial values an output or a margin depends on, and how much."""

from physics_twin.global_sensitivity.analysis import rank_influences
from physics_twin.global_sensitivity.methods import Morris, Sobol
from physics_twin.global_sensitivity.quantities import Of
from physics_twin.global_sensitivity.result import Influences

__all__ = ["Influences", "Morris", "Of", "Sobol", "rank_influences"]
