"""Tanks in series that drain by gravity, with tracer and heat."""

from physics_twin_models.tank_cascade.model import tank_cascade

__all__ = ["tank_cascade"]
