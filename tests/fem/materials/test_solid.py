"""`Solid`: keeps what a person wrote, and checks units, signs and ranges where it is written."""

import inspect
from typing import Any

import pytest

import physics_twin as pt
from physics_twin.errors import BoundsError, ModelError, ShapeError, UnitError, UnknownNameError
from physics_twin.expressions import constant
from physics_twin.fem.materials import ContactLayer, Outside, Solid, Tabulated, components

STEEL = Solid(name="steel", conductivity="42 W/m/K", density=(7.85, "g/cm^3"), heat_capacity="470 J/kg/K")
FALLING = Tabulated(([20, 400], "degC"), ([42.0, 38.0], "W/m/K"))


def test_properties_are_kept_as_written_and_read_in_si() -> None:
    """The model converts; `at` shows a number."""
    assert STEEL.conductivity == "42 W/m/K"
    assert STEEL.at("density", "20 degC") == pytest.approx(7850.0)
    assert STEEL.replace(conductivity=FALLING).at("conductivity", "210 degC") == pytest.approx(40.0)
    parameter = pt.Parameter("k", "0.05 kW/m/K", bounds=("1 W/m/K", "100 W/m/K"))
    assert STEEL.replace(conductivity=parameter).at("conductivity", "20 degC") == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("conductivity", "42 W/K"),
        ("density", "7850 kg"),
        ("heat_capacity", Tabulated(([0, 1], "degC"), ([1, 2], "W/m/K"))),
        ("youngs_modulus", pt.Parameter("E", "210 GJ")),
        ("conductivity", pt.Signal("k", "W")),
        ("thermal_expansion", 12e-6),
        ("conductivity", "fourty two"),
        ("conductivity", True),
    ],
)
def test_wrong_units_name_the_property(name: str, written: Any) -> None:
    """A UnitError begins with the property, whatever it was written as."""
    with pytest.raises(UnitError, match=f"^{name}"):
        Solid(**{name: written})


@pytest.mark.parametrize(
    ("name", "written", "words"),
    [
        ("conductivity", "-42 W/m/K", r"^conductivity = -42 W/m/K must be above zero"),
        ("density", "0 kg/m^3", "density = 0 kg/m"),
        ("heat_capacity", pt.Parameter("c", "-1 J/kg/K"), 'Parameter "c"'),
        ("conductivity", Tabulated(([0, 1], "degC"), ([1, -2], "W/m/K")), "conductivity = -2 W/m/K"),
        ("conductivity", ("1 W/m/K", "-2 W/m/K"), r"^conductivity\[1\] = -2 W/m/K"),
        ("poissons_ratio", 0.5, "incompressible"),
        ("poissons_ratio", -1.0, r"outside \(-1, 0.5\)"),
        ("emissivity", 1.2, r"emissivity = 1.2 is outside \[0, 1\]"),
        ("yield_stress", "-235 MPa", "yield_stress = -235 MPa"),
    ],
)
def test_impossible_values_are_refused(name: str, written: Any, words: str) -> None:
    """Bad input is found at construction, with the number as it was written."""
    with pytest.raises(BoundsError, match=words):
        Solid(**{name: written})


def test_directions() -> None:
    """A tuple is per direction where that makes sense; a pair of number and unit is one quantity."""
    assert components(("42 W/m/K", "5 W/m/K")) == ("42 W/m/K", "5 W/m/K")
    assert components((42.0, "W/m/K")) == ((42.0, "W/m/K"),)
    assert Solid(conductivity=(42.0, "W/m/K")).at("conductivity", "0 degC") == 42.0
    with pytest.raises(ModelError, match="no function of temperature alone"):
        Solid(conductivity=("42 W/m/K", "5 W/m/K")).at("conductivity", "0 degC")
    with pytest.raises(ShapeError, match="only conductivity"):
        Solid(density=("1 kg/m^3", "2 kg/m^3"))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="4 directions"):
        Solid(conductivity=("1 W/m/K",) * 4)
    orthotropic = Solid(poissons_ratio=(0.3, 0.6, 0.3))  # beyond 0.5 is possible where stiffness has directions
    assert orthotropic.poissons_ratio == (0.3, 0.6, 0.3)


def test_what_is_missing_is_named_with_an_example() -> None:
    """A model asks; the message says which property, of which material, and how to give it."""
    STEEL.requires("conductivity", "density")
    with pytest.raises(ModelError, match=r'"steel" has no youngs_modulus and no poissons_ratio.*"210 GPa"'):
        STEEL.requires("youngs_modulus", "poissons_ratio", "density")
    with pytest.raises(UnknownNameError, match="conductivity"):
        STEEL.requires("conductivty")


def test_copies() -> None:
    """A copy has other properties, is checked again, and the original stays."""
    other = STEEL.replace(conductivity="30 W/m/K")
    assert (other.conductivity, STEEL.conductivity) == ("30 W/m/K", "42 W/m/K")
    with pytest.raises(UnknownNameError, match='did you mean "conductivity"'):
        STEEL.replace(conductivities="30 W/m/K")
    with pytest.raises(BoundsError):
        STEEL.replace(conductivity="-30 W/m/K")


def test_latent_heat_needs_its_temperatures_in_order() -> None:
    """Phase change is between two temperatures, the lower one first."""
    with pytest.raises(ModelError, match="no solidus and no liquidus"):
        Solid(latent_heat="334 kJ/kg")
    with pytest.raises(BoundsError, match="solidus = 1460 degC is above liquidus = 1420 degC"):
        Solid(latent_heat="270 kJ/kg", solidus="1460 degC", liquidus="1420 degC")
    assert Solid(latent_heat="334 kJ/kg", solidus="-1 degC", liquidus="0 degC").at("solidus", "0 degC") == 272.15


def test_range_is_what_all_have_in_common() -> None:
    """Tables, formulas and `validity` limit it; a declared hold does not."""
    solid = Solid(conductivity=FALLING, density="7850 kg/m^3", validity=("100 degC", "1000 degC"))
    assert solid.range_of() == pytest.approx((373.15, 673.15))
    assert solid.range_of("density") == pytest.approx((373.15, 1273.15))
    assert solid.with_outside(Outside.HOLD).range_of() == (0.0, float("inf"))
    assert solid.with_outside(Outside.HOLD).at("conductivity", "900 degC") == pytest.approx(38.0)
    with pytest.raises(BoundsError, match="no temperature in common"):
        Solid(conductivity=FALLING, validity=("500 degC", "600 degC"))


def test_functions_are_left_to_the_model() -> None:
    """A function names what it depends on; its arguments show."""
    solid = Solid(conductivity=lambda T, cure: T)
    assert "conductivity=function(T, cure)" in repr(solid)
    with pytest.raises(ModelError, match="no function of temperature alone"):
        solid.at("conductivity", "20 degC")


def test_repr_is_what_was_written() -> None:
    """A person sees the material, not memory addresses."""
    assert repr(STEEL) == "Solid('steel', conductivity=42 W/m/K, density=7.85 g/cm^3, heat_capacity=470 J/kg/K)"


def test_contact_layer_conducts_as_the_joint() -> None:
    """Conductance times thickness; the storage is a millionth of a solid's."""
    layer = ContactLayer("2 kW/m^2/K", "50 um")
    assert layer.at("conductivity", "20 degC") == pytest.approx(0.1)
    storage = layer.at("density", "20 degC") * layer.at("heat_capacity", "20 degC")
    assert storage < 1e-6 * STEEL.at("density", "20 degC") * STEEL.at("heat_capacity", "20 degC")


def test_contact_layer_with_parameters_names_and_brings_them() -> None:
    """Its conductivity is a function of the named quantities, and holds their declarations."""
    joint = pt.Parameter("joint", "2 kW/m^2/K", bounds=("10 W/m^2/K", "1 MW/m^2/K"))
    gap = pt.Parameter("gap", "50 um")
    product: Any = ContactLayer(joint, "50 um").conductivity
    assert list(inspect.signature(product).parameters) == ["joint"]
    assert product.declared == (joint,)
    assert product(constant("4 kW/m^2/K")).magnitude == pytest.approx(0.2)
    both: Any = ContactLayer(joint, gap).conductivity
    assert both(gap=constant("1 mm"), joint=constant("1 W/m^2/K")).magnitude == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("conductance", "thickness", "error", "words"),
    [
        ("-2 W/m^2/K", "1 mm", BoundsError, "conductance = -2"),
        ("2 W/m^2/K", "0 mm", BoundsError, "thickness = 0 mm"),
        ("2 W/m/K", "1 mm", UnitError, "^conductance"),
        (pt.Parameter("joint", "2 W"), "1 mm", UnitError, 'conductance .the Parameter "joint"'),
        (lambda T: T, "1 mm", ModelError, "not a function"),
    ],
)
def test_contact_layer_bad_input(conductance: Any, thickness: Any, error: type[Exception], words: str) -> None:
    """Units and signs are checked under the names that the person used."""
    with pytest.raises(error, match=words):
        ContactLayer(conductance, thickness)
