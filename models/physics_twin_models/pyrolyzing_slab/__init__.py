"""Gasification of a PMMA slab under radiant heating."""

from physics_twin_models.pyrolyzing_slab.model import kinetics_from, pyrolyzing_slab
from physics_twin_models.pyrolyzing_slab.records import gasification

__all__ = ["gasification", "kinetics_from", "pyrolyzing_slab"]
