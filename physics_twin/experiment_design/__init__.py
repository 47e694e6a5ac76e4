"""Which experiment to do next: the one that reduces the uncertainty of what is wanted most."""

from physics_twin.experiment_design.confirmation import Confirmation
from physics_twin.experiment_design.criteria import AOptimal, DOptimal, PredictionVariance
from physics_twin.experiment_design.design import design_experiment
from physics_twin.experiment_design.planned import Planned
from physics_twin.experiment_design.result import Candidate, Choice, ExperimentDesign, Quantity

__all__ = [
    "AOptimal",
    "Candidate",
    "Choice",
    "Confirmation",
    "DOptimal",
    "ExperimentDesign",
    "Planned",
    "PredictionVariance",
    "Quantity",
    "design_experiment",
]
