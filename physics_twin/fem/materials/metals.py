"""Aluminum, copper and titanium, each number with its publication; densities at room temperature, see `steels`."""

from physics_twin.expressions import Expression
from physics_twin.fem.materials.expansion import mean_from_20_degC
from physics_twin.fem.materials.formula import Formula, celsius
from physics_twin.fem.materials.solid import Solid
from physics_twin.fem.materials.tabulated import Tabulated

_ASM_2 = "ASM Handbook vol. 2"
_INCROPERA = "Incropera et al., Fundamentals of Heat and Mass Transfer, table A.1"
_MILLS = "Mills, Recommended Values of Thermophysical Properties for Selected Commercial Alloys, 2002, Ti-6Al-4V"
_MILLS_HELD = f"{_MILLS}; held below 25 degC"
_EN_1999 = "EN 1999-1-2:2007"


def aluminum_6061() -> Solid:
    """Return aluminum 6061-T6; heat capacity 20 degC to 500 degC, elastic to 400 degC, yield to 350 degC.

    The conductivity is the one of 25 degC at all temperatures. The yield stress over temperature is that of the fire
    standard, for exposures of two hours at most; longer ones cost the temper.
    """
    return Solid(
        name="aluminum_6061",
        conductivity="167 W/m/K",
        heat_capacity=Formula(
            _aluminum_heat_capacity, "J/kg/K", ("20 degC", "500 degC"), source=f"{_EN_1999}, 3.3.1.2"
        ),
        density="2700 kg/m^3",
        youngs_modulus=Tabulated(
            ([20, 50, 100, 150, 200, 250, 300, 350, 400], "degC"),
            ([70.0, 69.3, 67.9, 65.1, 60.2, 54.6, 47.6, 37.8, 28.0], "GPa"),
            source=f"{_EN_1999}, table 2",
        ),
        poissons_ratio="0.33",
        thermal_expansion=mean_from_20_degC([100, 200, 300], [23.6, 24.3, 25.4], f"{_ASM_2}, 6061"),
        expansion_reference="20 degC",
        yield_stress=Tabulated(
            ([20, 100, 150, 200, 250, 300, 350], "degC"),
            ([276 * k for k in (1.0, 0.95, 0.91, 0.79, 0.55, 0.31, 0.10)], "MPa"),
            source=f"276 MPa: Aluminum Association, typical of 6061-T6; factors: {_EN_1999}, table 1a",
        ),
        source="conductivity, density, Poisson's ratio, yield at 20 degC: Aluminum Association, typical of 6061-T6; "
        f"heat capacity, modulus, yield over temperature: {_EN_1999}; expansion: {_ASM_2}",
    )


def copper() -> Solid:
    """Return pure copper; thermal 100 K to 1200 K, elastic at room temperature; no yield stress, no emissivity.

    Yield is a matter of cold work (33 MPa annealed, 365 MPa hard): give yours with `replace`.
    """
    kelvin = ([100, 200, 300, 400, 600, 800, 1000, 1200], "K")
    return Solid(
        name="copper",
        conductivity=Tabulated(kelvin, ([482, 413, 401, 393, 379, 366, 352, 339], "W/m/K"), source=_INCROPERA),
        heat_capacity=Tabulated(kelvin, ([252, 356, 385, 397, 417, 433, 451, 480], "J/kg/K"), source=_INCROPERA),
        density="8933 kg/m^3",
        youngs_modulus="129.8 GPa",
        poissons_ratio="0.343",
        thermal_expansion=mean_from_20_degC([100, 200, 300], [17.0, 17.3, 17.7], f"{_ASM_2}, C11000"),
        expansion_reference="20 degC",
        source=f"thermal: {_INCROPERA}; elastic: Kaye and Laby, Tables of Physical and Chemical Constants, 2.2.2; "
        f"expansion: {_ASM_2}, C11000",
    )


def titanium_6al4v() -> Solid:
    """Return titanium Ti-6Al-4V, annealed; thermal 20 degC to 700 degC, expansion to 650 degC; no yield stress.

    The modulus is the one of room temperature at all temperatures.
    """
    degrees = ([20, 25, 100, 200, 300, 400, 500, 600, 700], "degC")
    return Solid(
        name="titanium_6al4v",
        conductivity=Tabulated(
            degrees, ([7.0, 7.0, 7.45, 8.75, 10.15, 11.35, 12.6, 14.2, 15.5], "W/m/K"), source=_MILLS_HELD
        ),
        heat_capacity=Tabulated(degrees, ([546, 546, 562, 584, 606, 629, 651, 673, 694], "J/kg/K"), source=_MILLS_HELD),
        density="4420 kg/m^3",
        youngs_modulus="113.8 GPa",
        poissons_ratio="0.342",
        thermal_expansion=mean_from_20_degC([100, 315, 650], [8.6, 9.2, 9.7], f"{_ASM_2}, Ti-6Al-4V"),
        expansion_reference="20 degC",
        source=f"thermal: {_MILLS}; elastic: MatWeb, Ti-6Al-4V annealed; expansion: {_ASM_2}",
    )


def _aluminum_heat_capacity(T: Expression) -> Expression:
    return (0.41 * celsius(T) + 903.0) * "1 J/kg/K"
