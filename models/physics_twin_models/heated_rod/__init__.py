"""A square rod heated at one end in still air, with fifteen thermocouples; aluminum and copper."""

from physics_twin_models.heated_rod.fin import Fin, FinFit, fit_fin
from physics_twin_models.heated_rod.model import ALUMINUM, COPPER, Metal, experiment, heated_rod, heated_rod_3d

__all__ = ["ALUMINUM", "COPPER", "Fin", "FinFit", "Metal", "experiment", "fit_fin", "heated_rod", "heated_rod_3d"]
