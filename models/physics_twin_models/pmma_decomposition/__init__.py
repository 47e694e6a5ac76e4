"""Thermal decomposition of PMMA in nitrogen: thermogravimetry and calorimetry."""

from physics_twin_models.pmma_decomposition.model import KINETICS, pmma_calorimetry, pmma_decomposition
from physics_twin_models.pmma_decomposition.records import calorimetry, laboratories, populations, thermogravimetry

__all__ = [
    "KINETICS",
    "calorimetry",
    "laboratories",
    "pmma_calorimetry",
    "pmma_decomposition",
    "populations",
    "thermogravimetry",
]
