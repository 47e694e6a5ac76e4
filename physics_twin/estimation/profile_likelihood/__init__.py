"""Profiles of the posterior: how much it costs to hold a parameter at another value."""

from physics_twin.estimation.profile_likelihood.method import ProfileLikelihood

__all__ = ["ProfileLikelihood"]
