"""Materials: what regions are made of, tables and formulas over temperature, film coefficients."""

from physics_twin.fem.materials.contact import ContactLayer as ContactLayer
from physics_twin.fem.materials.formula import Formula as Formula
from physics_twin.fem.materials.solid import PROPERTIES as PROPERTIES, Solid as Solid, components as components
from physics_twin.fem.materials.tabulated import Tabulated as Tabulated
from physics_twin.fem.materials.temperature_law import Outside as Outside, TemperatureLaw as TemperatureLaw
