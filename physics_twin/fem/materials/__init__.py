"""Materials: what regions are made of, tables and formulas over temperature, a library with sources.

Film coefficients are in `physics_twin.fem.materials.film`.
"""

from physics_twin.fem.materials import film as film
from physics_twin.fem.materials.contact import ContactLayer as ContactLayer
from physics_twin.fem.materials.fluids import Fluid as Fluid, FluidState as FluidState, air as air, water as water
from physics_twin.fem.materials.formula import Formula as Formula, celsius as celsius
from physics_twin.fem.materials.metals import (
    aluminum_6061 as aluminum_6061,
    copper as copper,
    titanium_6al4v as titanium_6al4v,
)
from physics_twin.fem.materials.polymers import epoxy as epoxy, pmma as pmma
from physics_twin.fem.materials.solid import PROPERTIES as PROPERTIES, Solid as Solid, components as components
from physics_twin.fem.materials.steels import (
    steel_304 as steel_304,
    steel_4140 as steel_4140,
    steel_s235 as steel_s235,
)
from physics_twin.fem.materials.tabulated import Tabulated as Tabulated
from physics_twin.fem.materials.temperature_law import Outside as Outside, TemperatureLaw as TemperatureLaw
