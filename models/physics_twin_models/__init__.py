"""The catalogue of models: one folder a model, with its equations, its card and its tests.

`CATALOGUE` lists the factories; each returns a model with its defaults. `read_card("furnace")` is the card of a model:
intended use, assumptions, domain of validity, sources, limits and what it was checked against.
"""

from collections.abc import Callable

from physics_twin import Model
from physics_twin_models.alpha_pinene import alpha_pinene
from physics_twin_models.cards import Card, Check, read_card
from physics_twin_models.furnace import electric_furnace, furnace, heated_furnace
from physics_twin_models.gas_oil import gas_oil
from physics_twin_models.heated_block import heated_block
from physics_twin_models.heated_rod import heated_rod, heated_rod_3d
from physics_twin_models.jacketed_reactor import jacketed_reactor
from physics_twin_models.methanol import methanol
from physics_twin_models.plate_with_hole import plate_with_hole
from physics_twin_models.pmma_decomposition import pmma_calorimetry, pmma_decomposition
from physics_twin_models.pyrolyzing_slab import pyrolyzing_slab
from physics_twin_models.tank_cascade import tank_cascade

CATALOGUE: tuple[Callable[[], Model], ...] = (
    alpha_pinene,
    electric_furnace,
    furnace,
    gas_oil,
    heated_block,
    heated_furnace,
    heated_rod,
    heated_rod_3d,
    jacketed_reactor,
    methanol,
    plate_with_hole,
    pmma_calorimetry,
    pmma_decomposition,
    pyrolyzing_slab,
    tank_cascade,
)

__all__ = ["CATALOGUE", "Card", "Check", "read_card"]
