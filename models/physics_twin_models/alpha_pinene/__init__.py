"""Thermal isomerization of alpha-pinene: five first-order reactions between five species."""

from physics_twin_models.alpha_pinene.model import alpha_pinene, experiment

__all__ = ["alpha_pinene", "experiment"]
