"""Methanol to hydrocarbons: lumped kinetics with a quasi-steady surface species."""

from physics_twin_models.methanol.model import experiment, methanol

__all__ = ["experiment", "methanol"]
