"""A muffle furnace with a load of slabs: driven by its measured gas temperature, its heater power or its controller."""

from physics_twin_models.furnace.model import electric_furnace, furnace, heated_furnace

__all__ = ["electric_furnace", "furnace", "heated_furnace"]
