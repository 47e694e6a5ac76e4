"""Draws of parameters with the evidence they rest on, and what they predict."""

from physics_twin.posterior.evidence import ChannelEvidence, FailedSimulation, Identification, Verdict
from physics_twin.posterior.prediction import Prediction
from physics_twin.posterior.result import Posterior

__all__ = ["ChannelEvidence", "FailedSimulation", "Identification", "Posterior", "Prediction", "Verdict"]
