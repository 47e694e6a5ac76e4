"""The material library against publications other than those its tables come from."""

import math
import pickle
from collections.abc import Callable

import pytest

from physics_twin.errors import BoundsError
from physics_twin.fem import materials
from physics_twin.fem.materials import Fluid, Solid
from physics_twin.fem.materials.temperature_law import TemperatureLaw

ALL: list[Callable[[], Solid]] = [
    materials.steel_304,
    materials.steel_4140,
    materials.steel_s235,
    materials.aluminum_6061,
    materials.copper,
    materials.titanium_6al4v,
    materials.pmma,
    materials.epoxy,
]


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_every_material_is_complete_and_says_where_from(make: Callable[[], Solid]) -> None:
    """Enough for heat, elasticity and thermal strain; a source for the whole and for every table."""
    solid = make()
    solid.requires("conductivity", "density", "heat_capacity", "youngs_modulus", "poissons_ratio", "thermal_expansion")
    assert solid.name == make.__name__
    assert solid.source
    low, high = solid.range_of()
    assert 0.0 < low < 300.0 < high  # around room temperature all is known
    laws = [written for written in solid.given.values() if isinstance(written, TemperatureLaw)]
    assert all(law.source for law in laws)
    for law in laws:
        with pytest.raises(BoundsError):
            law.at((law.range[1] + 1.0, "K"))


@pytest.mark.parametrize("make", [*ALL, materials.air, materials.water], ids=lambda make: make.__name__)
def test_materials_go_to_worker_processes(make: Callable[[], Solid | Fluid]) -> None:
    """A model with a library material is pickled by parallel calibration; the copy has the same numbers."""
    there = pickle.loads(pickle.dumps(make()))  # noqa: S301 -- our own object
    assert there.conductivity == make().conductivity
    assert repr(there) == repr(make())


# (material, property, temperature, published value, tolerance, publication). The tolerance is what publications of the
# same material differ by: 5 % for conductivities, less for the rest.
REFERENCES = [
    ("steel_304", "conductivity", "100 degC", 16.2, 0.02, "ASM Handbook vol. 1, 304"),
    ("steel_304", "conductivity", "500 degC", 21.5, 0.05, "ASM Handbook vol. 1, 304"),
    ("steel_304", "conductivity", "20 degC", 15.0, 0.03, "EN 10088-1, 1.4301"),
    ("steel_304", "heat_capacity", "20 degC", 500.0, 0.06, "EN 10088-1, 1.4301"),
    ("steel_304", "thermal_expansion", "100 degC", 17.2e-6, 0.08, "ASM Handbook vol. 1, 304"),
    ("steel_304", "youngs_modulus", "25 degC", 195e9, 0.03, "ASME II-D table TM-1, group G"),
    ("steel_304", "youngs_modulus", "400 degC", 169e9, 0.03, "ASME II-D table TM-1, group G"),
    ("steel_4140", "heat_capacity", "20 degC", 0.114 * 4186.8, 0.02, "Double Eagle Alloys data sheet, 0.114 Btu/lb/F"),
    ("steel_4140", "thermal_expansion", "100 degC", 6.83e-6 * 1.8, 0.01, "Double Eagle Alloys data sheet, 6.83e-6/F"),
    ("steel_4140", "youngs_modulus", "20 degC", 29e6 * 6894.757, 0.03, "Double Eagle Alloys data sheet, 29e6 psi"),
    ("steel_s235", "heat_capacity", "400 K", 487.0, 0.03, "Incropera table A.1, AISI 1010"),
    ("steel_s235", "heat_capacity", "600 K", 559.0, 0.03, "Incropera table A.1, AISI 1010"),
    ("steel_s235", "heat_capacity", "800 K", 685.0, 0.01, "Incropera table A.1, AISI 1010"),
    ("steel_s235", "conductivity", "600 K", 48.8, 0.12, "Incropera table A.1, AISI 1010"),
    ("steel_s235", "conductivity", "800 K", 39.2, 0.08, "Incropera table A.1, AISI 1010"),
    ("steel_s235", "thermal_expansion", "100 degC", 12e-6, 0.05, "EN 1993-1-1, 3.2.6"),
    ("aluminum_6061", "heat_capacity", "20 degC", 896.0, 0.02, "ASM Handbook vol. 2, 6061"),
    ("aluminum_6061", "thermal_expansion", "300 degC", 25.7e-6, 0.02, "EN 1999-1-2, 3.3.1.1"),
    ("aluminum_6061", "youngs_modulus", "24 degC", 68.9e9, 0.02, "Aluminum Association, 6061-T6"),
    ("aluminum_6061", "yield_stress", "100 degC", 262e6, 0.01, "ASM Handbook vol. 2, 6061-T6 at temperature"),
    ("copper", "conductivity", "20 degC", 386.0, 0.05, "Holman, Heat Transfer, table A.2"),
    ("copper", "conductivity", "100 degC", 379.0, 0.05, "Holman, Heat Transfer, table A.2"),
    ("copper", "conductivity", "400 degC", 363.0, 0.05, "Holman, Heat Transfer, table A.2"),
    ("copper", "heat_capacity", "20 degC", 383.1, 0.01, "Holman, Heat Transfer, table A.2"),
    ("copper", "thermal_expansion", "100 degC", 16.5e-6, 0.05, "CRC Handbook, copper at 25 degC"),
    ("titanium_6al4v", "conductivity", "25 degC", 6.7, 0.05, "MatWeb, Ti-6Al-4V annealed"),
    ("titanium_6al4v", "heat_capacity", "25 degC", 526.3, 0.04, "MatWeb, Ti-6Al-4V annealed"),
    ("titanium_6al4v", "density", "25 degC", 4430.0, 0.003, "MatWeb, Ti-6Al-4V annealed"),
    ("pmma", "heat_capacity", "25 degC", 1460.0, 0.01, "Callister, table B.8"),
    ("pmma", "density", "25 degC", 1172.0, 0.02, "Plexiglas RV825, PMC7388655 table 1"),
    ("epoxy", "youngs_modulus", "25 degC", 3.4e9, 0.02, "Kaw, table 3.2"),
    ("epoxy", "thermal_expansion", "25 degC", 63e-6, 0.09, "Kaw, table 3.2"),
]


@pytest.mark.parametrize(
    ("material", "name", "temperature", "published", "tolerance", "source"),
    REFERENCES,
    ids=[f"{r[0]}-{r[1]}-{r[2]}" for r in REFERENCES],
)
def test_agrees_with_another_publication(
    material: str, name: str, temperature: str, published: float, tolerance: float, source: str
) -> None:
    """A digit typed wrongly in a table shows against somebody else's number."""
    solid: Solid = getattr(materials, material)()
    assert solid.at(name, temperature) == pytest.approx(published, rel=tolerance), source


def test_aluminum_against_the_cryogenic_fits_of_nist() -> None:
    """6061-T6 at 295 K: conductivity, modulus and expansion as NIST's fits of 4 K to 300 K end."""
    aluminum = materials.aluminum_6061()
    logarithm = math.log10(295.0)
    fit = [0.07918, 1.0957, -0.07277, 0.08084, 0.02803, -0.09464, 0.04179, -0.00571]
    conductivity = 10.0 ** sum(c * logarithm**i for i, c in enumerate(fit))
    assert aluminum.at("conductivity", "295 K") == pytest.approx(conductivity, rel=0.10)
    modulus = sum(c * 295.0**i for i, c in enumerate([77.71221, 1.030646e-2, -2.9241e-4, 8.9936e-7, -1.0709e-9]))
    assert aluminum.at("youngs_modulus", "295 K") == pytest.approx(1e9 * modulus, rel=0.01)
    slope = 1e-5 * (-0.30389 + 2 * 8.7696e-3 * 295.0 - 3 * 9.9821e-6 * 295.0**2)
    assert aluminum.at("thermal_expansion", "295 K") == pytest.approx(slope, rel=0.05)


# Worked values of EN 1993-1-2, 3.4.1: heat capacity at the ends of its four formulas, and elongations of 3.4.1.1.
@pytest.mark.parametrize(
    ("degrees", "heat_capacity"),
    [(20.0, 439.8), (599.99, 759.9), (600.0, 760.2), (735.0, 5000.0), (900.0, 650.4), (1200.0, 650.0)],
)
def test_structural_steel_heat_capacity(degrees: float, heat_capacity: float) -> None:
    """The standard's formulas meet within 0.5 J/kg/K, with the peak at 735 degC."""
    assert materials.steel_s235().at("heat_capacity", (degrees, "degC")) == pytest.approx(heat_capacity, abs=0.5)


@pytest.mark.parametrize(
    ("degrees", "elongation"), [(100.0, 9.984e-4), (600.0, 8.3984e-3), (800.0, 1.1e-2), (1000.0, 1.38e-2)]
)
def test_structural_steel_elongation(degrees: float, elongation: float) -> None:
    """Mean coefficient times (T - 20 degC) is the standard's elongation."""
    mean = materials.steel_s235().at("thermal_expansion", (degrees, "degC"))
    assert mean * (degrees - 20.0) == pytest.approx(elongation, rel=1e-9)


def test_structural_steel_conductivity_and_strength() -> None:
    """54 - 0.0333 theta up to 800 degC and 27.3 above; factors of table 3.1 between their rows."""
    steel = materials.steel_s235()
    assert steel.at("conductivity", "20 degC") == pytest.approx(53.334)
    assert steel.at("conductivity", "1000 degC") == pytest.approx(27.3)
    assert steel.at("yield_stress", "550 degC") == pytest.approx(235e6 * 0.625)
    assert steel.at("youngs_modulus", "550 degC") == pytest.approx(210e9 * 0.455)


@pytest.mark.parametrize(("kelvin", "viscosity", "conductivity"), [(300.0, 18.5230e-6, 26.3529e-3)])
def test_air_against_lemmon_and_jacobsen(kelvin: float, viscosity: float, conductivity: float) -> None:
    """Their table of check values of the dilute gas (Int. J. Thermophys. 25 (2004) 21, table V)."""
    state = materials.air().at((kelvin, "K"))
    assert state.viscosity == pytest.approx(viscosity, rel=0.005)
    assert state.conductivity == pytest.approx(conductivity, rel=0.005)


@pytest.mark.parametrize("kelvin", range(200, 1201, 50))
def test_air_against_sutherland(kelvin: int) -> None:
    """Sutherland's law (White, Viscous Fluid Flow, table 1-2): a wrong digit in a row stands out of its 3 %."""
    state = materials.air().at((kelvin, "K"))
    sutherland = 1.716e-5 * (kelvin / 273.0) ** 1.5 * (273.0 + 111.0) / (kelvin + 111.0)
    assert state.viscosity == pytest.approx(sutherland, rel=0.03)
    assert 0.68 < state.prandtl < 0.74


def test_air_density_and_expansion_are_those_of_an_ideal_gas() -> None:
    """1.2041 kg/m^3 at 20 degC (ISO 2533 by the gas law), proportional to the pressure; expansion 1/T."""
    assert materials.air().at("20 degC").density == pytest.approx(1.2041, rel=1e-4)
    assert materials.air("202650 Pa").at("20 degC").density == pytest.approx(2.4082, rel=1e-4)
    assert materials.air().at("400 K").expansion == pytest.approx(1 / 400)
    with pytest.raises(BoundsError, match="absolute"):
        materials.air("20 bar")


# The textbook's table is of an older formulation: viscosity and conductivity differ by up to 2 %, at the cold end.
@pytest.mark.parametrize(
    ("kelvin", "density", "heat_capacity", "viscosity", "conductivity"),
    [
        (280.0, 1000.0, 4198.0, 1422e-6, 0.582),
        (300.0, 1 / 1.003e-3, 4179.0, 855e-6, 0.613),
        (320.0, 1 / 1.011e-3, 4180.0, 577e-6, 0.640),
        (340.0, 1 / 1.021e-3, 4188.0, 420e-6, 0.660),
        (360.0, 1 / 1.034e-3, 4203.0, 324e-6, 0.674),
    ],
)
def test_water_against_incropera(
    kelvin: float, density: float, heat_capacity: float, viscosity: float, conductivity: float
) -> None:
    """The table of IAPWS values against Incropera, table A.6."""
    state = materials.water().at((kelvin, "K"))
    assert state.density == pytest.approx(density, rel=0.001)
    assert state.heat_capacity == pytest.approx(heat_capacity, rel=0.002)
    assert state.viscosity == pytest.approx(viscosity, rel=0.025)
    assert state.conductivity == pytest.approx(conductivity, rel=0.025)


@pytest.mark.parametrize(("kelvin", "expansion"), [(300.0, 276.1e-6), (320.0, 436.7e-6), (340.0, 566.0e-6)])
def test_water_expansion_against_incropera(kelvin: float, expansion: float) -> None:
    """Table A.6, away from 4 degC, where the coefficient passes through zero."""
    assert materials.water().at((kelvin, "K")).expansion == pytest.approx(expansion, rel=0.01)


def test_water_expansion_is_the_slope_of_its_density() -> None:
    """Two columns of one table: -(d rho/dT)/rho by differences over 10 K."""
    water = materials.water()
    for degrees in range(10, 91, 5):
        below, above = (water.at((degrees + d, "degC")).density for d in (-5.0, 5.0))
        slope = (below - above) / 10.0 / water.at((degrees, "degC")).density
        assert water.at((degrees, "degC")).expansion == pytest.approx(slope, rel=0.02)
