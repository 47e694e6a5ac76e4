"""Models for heat treatment shops."""

from physics_twin_models.furnace import electric_furnace, furnace, heated_furnace

__all__ = ["electric_furnace", "furnace", "heated_furnace"]
