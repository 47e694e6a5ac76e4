"""Steels, each number with its publication.

Densities are those at room temperature throughout: a field model's mesh does not grow with the part, and the mass in
a cell stays what it was.
"""

from physics_twin.expressions import Expression, maximum, minimum, where
from physics_twin.fem.materials.expansion import mean_from_20_degC
from physics_twin.fem.materials.formula import Formula, celsius
from physics_twin.fem.materials.solid import Solid
from physics_twin.fem.materials.tabulated import Tabulated

_INCROPERA = "Incropera et al., Fundamentals of Heat and Mass Transfer, table A.1"
_EN_10088 = "EN 10088-1:2005, annex E, steel 1.4301"
_EN_FIRE = "EN 1993-1-2:2005"
_ASM = "ASM Handbook vol. 1, physical properties of carbon and low-alloy steels, 4140 hardened and tempered"


def steel_304() -> Solid:
    """Return austenitic stainless steel AISI 304 (1.4301), annealed; no yield stress and no emissivity.

    Thermal 100 K to 1500 K, elastic 20 degC to 500 degC. Yield depends on cold work, emissivity on the surface: give
    yours with `replace`.
    """
    kelvin = ([100, 200, 300, 400, 600, 800, 1000, 1200, 1500], "K")
    return Solid(
        name="steel_304",
        conductivity=Tabulated(
            kelvin, ([9.2, 12.6, 14.9, 16.6, 19.8, 22.6, 25.4, 28.0, 31.7], "W/m/K"), source=_INCROPERA
        ),
        heat_capacity=Tabulated(kelvin, ([272, 402, 477, 515, 557, 582, 611, 640, 682], "J/kg/K"), source=_INCROPERA),
        density="7900 kg/m^3",
        youngs_modulus=Tabulated(
            ([20, 100, 200, 300, 400, 500], "degC"), ([200, 194, 186, 179, 172, 165], "GPa"), source=_EN_10088
        ),
        poissons_ratio="0.3",
        thermal_expansion=mean_from_20_degC([100, 200, 300, 400, 500], [16.0, 16.5, 17.0, 17.5, 18.0], _EN_10088),
        expansion_reference="20 degC",
        source=f"thermal: {_INCROPERA}; elastic: {_EN_10088}; Poisson's ratio: EN 1993-1-4:2006, 2.1.3",
    )


def steel_4140() -> Solid:
    """Return low-alloy steel AISI 4140 (42CrMo4, 1.7225), quenched and tempered; no yield stress and no emissivity.

    20 degC to 575 degC, below the transformation: a quench from the austenite range needs data of its own. The heat
    capacity is published as means over 150 to 200, 350 to 400 and 550 to 600 degC, put at the middle of each, and the
    first is held down to 20 degC. The yield stress is what the tempering made it: give yours with `replace`.
    """
    return Solid(
        name="steel_4140",
        conductivity=Tabulated(
            ([20, 100, 200, 400, 600], "degC"),
            ([42.6, 42.7, 42.3, 37.7, 33.1], "W/m/K"),
            source=f"{_ASM}; at 20 degC: Meusburger data sheet 1.7225",
        ),
        heat_capacity=Tabulated(
            ([20, 175, 375, 575], "degC"), ([473, 473, 519, 561], "J/kg/K"), source=f"{_ASM}; held below 175 degC"
        ),
        density="7850 kg/m^3",
        youngs_modulus="205 GPa",
        poissons_ratio="0.29",
        thermal_expansion=mean_from_20_degC([100, 200, 400, 600], [12.3, 12.7, 13.7, 14.5], _ASM),
        expansion_reference="20 degC",
        source=f"{_ASM}; modulus, Poisson's ratio, density at room temperature: MatWeb, AISI 4140",
    )


def steel_s235() -> Solid:
    """Return structural steel S235 by the European standard for fire design, 20 degC to 1200 degC (elastic to 1100).

    Conductivity, heat capacity (with the peak of 5000 J/kg/K at 735 degC, where ferrite turns into austenite) and
    expansion are the standard's formulas for all carbon steels; modulus and yield stress are 210 GPa and 235 MPa times
    the factors of its table 3.1. The yield stress is the effective one, reached at 2 % strain. The conductivity is on
    the safe side for fire; measured ones of mild steel are up to a fifth higher.
    """
    factors = [20, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100]
    modulus = [1.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.31, 0.13, 0.09, 0.0675, 0.045, 0.0225]
    strength = [1.0, 1.0, 1.0, 1.0, 1.0, 0.78, 0.47, 0.23, 0.11, 0.06, 0.04, 0.02]
    table = f"{_EN_FIRE}, table 3.1"
    limits = ("20 degC", "1200 degC")
    return Solid(
        name="steel_s235",
        conductivity=Formula(_carbon_conductivity, "W/m/K", limits, source=f"{_EN_FIRE}, 3.4.1.3"),
        heat_capacity=Formula(_carbon_heat_capacity, "J/kg/K", limits, source=f"{_EN_FIRE}, 3.4.1.2"),
        density="7850 kg/m^3",
        emissivity="0.7",
        youngs_modulus=Tabulated((factors, "degC"), ([210 * k for k in modulus], "GPa"), source=table),
        poissons_ratio="0.3",
        thermal_expansion=Formula(_carbon_expansion, "1/K", limits, source=f"{_EN_FIRE}, 3.4.1.1"),
        expansion_reference="20 degC",
        yield_stress=Tabulated((factors, "degC"), ([235 * k for k in strength], "MPa"), source=table),
        source=f"{_EN_FIRE}, 2.2, 3.2, 3.4; 210 GPa, 0.3: EN 1993-1-1:2005, 3.2.6; 235 MPa: its table 3.1, up to 40 mm",
    )


def _carbon_conductivity(T: Expression) -> Expression:
    # 54 - 3.33e-2 theta up to 800 degC; 27.3 above. The standard's two lines miss each other by 0.06 at 800 degC;
    # the larger of both is continuous and differs from the standard by less than that.
    return maximum(54.0 - 3.33e-2 * celsius(T), 27.3) * "1 W/m/K"


def _carbon_heat_capacity(T: Expression) -> Expression:
    theta = celsius(T)
    low = 425.0 + theta * (7.73e-1 + theta * (-1.69e-3 + theta * 2.22e-6))
    # Each branch gets a theta that keeps away from its pole: both sides of a `where` may be evaluated.
    rising = 666.0 + 13002.0 / (738.0 - minimum(theta, 735.0))
    falling = 545.0 + 17820.0 / (maximum(theta, 735.0) - 731.0)
    above = where(theta >= 900.0, 650.0, where(theta >= 735.0, falling, rising))
    return where(theta >= 600.0, above, low) * "1 J/kg/K"


def _carbon_expansion(T: Expression) -> Expression:
    # Elongation over (theta - 20). Up to 750 degC, 1.2e-5 theta + 0.4e-8 theta^2 - 2.416e-4 has the factor theta - 20.
    theta = celsius(T)
    away = maximum(theta, 750.0) - 20.0
    first = 1.208e-5 + 0.4e-8 * theta
    plateau = 1.1e-2 / away
    last = (2.0e-5 * theta - 6.2e-3) / away
    return where(theta >= 860.0, last, where(theta >= 750.0, plateau, first)) * "1 1/K"
