"""Catalytic cracking of gas oil: a lumped kinetic model with three rate constants."""

from physics_twin_models.gas_oil.model import experiment, gas_oil

__all__ = ["experiment", "gas_oil"]
