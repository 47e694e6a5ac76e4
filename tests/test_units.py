"""Units: conversion is exact, differences have no offset, and every known trap is refused or defined."""
# ruff: noqa: S301 -- our own objects, pickled as they are between worker processes

import copy
import datetime
import math
import pickle
import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pint
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st

from physics_twin.errors import ShapeError, UnitError
from physics_twin.units import (
    BASES,
    Unit,
    dimension_text,
    format_number,
    format_si,
    in_unit,
    normal_flow,
    parse,
    seconds,
    to_si,
    to_si_array,
    unit,
)

ORDINARY = [
    "m", "mm", "km", "inch", "ft", "kg", "g", "mg", "t", "lb", "s", "ms", "min", "h", "day", "K", "mol", "kmol", "A",
    "V", "kV", "ohm", "J", "kJ", "kWh", "cal", "kcal", "BTU", "eV", "W", "MW", "hp", "Pa", "hPa", "kPa", "MPa", "bar",
    "mbar", "atm", "psi", "torr", "mmHg", "N", "kN", "kgf", "lbf", "L", "mL", "gallon", "poise", "cP", "degR",
    "W/m**2/K", "W/m/K", "kJ/kg/K", "J/mol/K", "kg/m**3", "g/cm**3", "mol/L", "mol/L/min", "m**3/h", "L/min", "1/min",
    "kg/h", "Pa*s", "m**2/s", "W/m**2/K**4", "BTU/h/ft**2", "mm/min", "kN/m**2", "percent", "ppm", "Hz", "kHz", "rad",
    "deg", "turn", "rad/s", "deg/min", "lm", "kat", "T", "C", "F", "S/m", "N*m", "mm**2", "kg*m/s**2", "cm**-1",
]  # fmt: skip
AFFINE = ["degC", "degF", "barg", "psig", "kPag", "mbarg"]
finite = st.floats(-1e12, 1e12, allow_nan=False)


@pytest.fixture(scope="module")
def registry() -> Any:
    """A registry of the user's own."""
    return pint.UnitRegistry()


def si(quantity: Any, text: str, **options: Any) -> float:
    return to_si(quantity, Unit(text), name="x", **options)


# Conversion ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ORDINARY)
def test_factors_agree_with_pint(text: str, registry: Any) -> None:
    """The factor to SI is that of pint for units without an offset."""
    # the registry's base units are SI already, radian included
    expected = registry.Quantity(1.0, text).to_base_units().magnitude
    assert Unit(text).factor == pytest.approx(expected, rel=1e-14)


@settings(deadline=None)  # the first example loads pint
@given(text=st.sampled_from([*ORDINARY, *AFFINE]), x=finite)
def test_to_si_and_back_is_the_identity(text: str, x: float) -> None:
    """Round trip within rounding: an offset costs its own last digit."""
    u = Unit(text)
    # two roundings of half a last digit each, one more with an offset; the floor is where subnormal numbers begin
    eps = float(np.finfo(float).eps)
    assert abs(u.from_si(u.to_si(x)) - x) <= 2.0 * eps * (abs(x) + abs(u.offset / u.factor)) + 1e-290
    assert abs(u.from_si(u.to_si(x, True), True) - x) <= eps * abs(x) + 1e-290


@settings(deadline=None)  # the first example loads pint
@given(text=st.sampled_from(AFFINE), x=st.floats(0, 1e4), y=st.floats(0, 1e4))
def test_the_difference_of_two_absolutes_is_the_difference(text: str, x: float, y: float) -> None:
    """to_si(x) - to_si(y) = to_si(x - y, difference), the law that mixing up offsets breaks."""
    u = Unit(text)
    assert u.to_si(x) - u.to_si(y) == pytest.approx(u.to_si(x - y, True), abs=1e-9 * u.factor * 1e3)
    assert u.difference().offset == 0.0 and u.difference().factor == u.factor


@pytest.mark.parametrize(
    ("quantity", "target", "expected"),
    [
        ("20 degC", "K", 293.15),
        ("20 °C", "K", 293.15),
        ("20 ℃", "K", 293.15),
        ("20°C", "K", 293.15),
        ("-40 degF", "degC", 233.15),
        ("491.67 degR", "K", 273.15),
        ("0 barg", "Pa", 101325.0),
        ("1 bar(g)", "bar", 201325.0),
        ("1 bara", "bar", 1e5),
        ("0 psig", "psi", 101325.0),
        ("100 kPag", "Pa", 201325.0),
        ("1.1 mm", "m", 0.0011),  # correctly rounded, not 0.0011000000000000001
        ("1 L", "m^3", 0.001),
        ("50 %", "1", 0.5),
        ("50 percent", "1", 0.5),
        ("3 ppm", "1", 3e-6),
        ("3 ppb", "1", 3e-9),
        ("1e3 1/min", "1/s", 1000.0 / 60.0),
        ("1/min", "1/s", 1.0 / 60.0),
        ("2 /min", "1/s", 2.0 / 60.0),
        ("60 rpm", "Hz", 1.0),
        ("1 turn", "rad", 2.0 * math.pi),
        ("-3.5e-2 W/m^2/K", "W/m^2/K", -0.035),
        ("−5 W/(m² K)", "W/m^2/K", -5.0),
        ("2 degC/min", "K/s", 2.0 / 60.0),
        ("5 W/m^2/degC", "W/m^2/K", 5.0),
        ("5 W/(m2 °C)", "W/m^2/K", 5.0),
        ("9 W/m^2/degF", "W/m^2/K", 16.2),
        ("2 1/degC", "1/K", 2.0),
        ("5 delta_degC", "K", 5.0),
        ("9 delta_degF", "K", 5.0),
        ("7 µm", "m", 7e-6),  # the micro sign
        ("7 μm", "m", 7e-6),  # the Greek letter
        ("3 N·m", "J", 3.0),
        ("3 Nm", "J", 3.0),
        ("3 Pa.s", "Pa*s", 3.0),
        ("3 kg m s⁻²", "N", 3.0),
        ("3 kg per m3", "kg/m^3", 3.0),
        (".5 kg/m3", "kg/m^3", 0.5),
        ("5. kg", "kg", 5.0),
        ("+5 kg", "kg", 5.0),
        ("0.8", "1", 0.8),
        ("0.8 -", "percent", 0.8),
        ("4 m^(1/2)", "m^0.5", 4.0),
        ((850, "kg"), "kg", 850.0),
        ((np.float32(0.5), "t"), "kg", 500.0),
        ((np.array(2.0), "kg"), "kg", 2.0),
        (0.5, "1", 0.5),
        (np.int64(3), "1", 3.0),
        (np.array(3.0), "1", 3.0),
        (Fraction(1, 4), "1", 0.25),
    ],
)
def test_quantities_in_every_spelling(quantity: Any, target: str, expected: float) -> None:
    """Number and unit are read apart, and the number in SI is right to the last digits."""
    assert si(quantity, target) == pytest.approx(expected, rel=5e-16, abs=0)


def test_pint_quantities_are_read_from_any_registry_offset_included() -> None:
    """A degC of the user's registry becomes K once, and its difference stays a difference."""
    registry: Any = pint.UnitRegistry()
    assert si(registry.Quantity(20.0, "degC"), "K") == 293.15
    assert si(registry.Quantity(20.0, "delta_degC"), "K") == 20.0
    assert si(registry.Quantity(5.0, "W/m**2/delta_degC"), "W/m^2/K") == 5.0
    assert si(registry.Quantity(0.5), "1") == 0.5
    assert unit(registry.Unit("kJ/kg/K")) == Unit("kJ/kg/K")
    np.testing.assert_array_equal(to_si_array(registry.Quantity([1.0, 2.0], "bar"), Unit("Pa"), name="p"), [1e5, 2e5])
    registry.formatter.default_format = "~P"  # what the user prefers to print is no part of the meaning
    assert si(registry.Quantity(5.0, "W/m**2/K"), "W/m^2/K") == 5.0


def test_a_difference_never_gets_an_offset() -> None:
    """Noise in degC or barg is a span of K or Pa; delta_degC as the declared unit implies it."""
    assert si("2 degC", "K", difference=True) == 2.0
    assert si("9 degF", "degC", difference=True) == pytest.approx(5.0)
    assert si("0.1 barg", "bar", difference=True) == pytest.approx(1e4)
    assert si("2 degC", "delta_degC") == 2.0


def test_a_difference_where_an_absolute_is_expected_is_refused() -> None:
    """delta_degC is no temperature."""
    with pytest.raises(UnitError, match="is a difference, but an absolute value"):
        si("5 delta_degC", "degC")
    with pytest.raises(UnitError, match="are differences"):
        to_si_array(([5.0], "delta_degC"), Unit("degC"), name="x")


def test_below_absolute_zero_or_vacuum_is_refused() -> None:
    """Mostly a difference that was not declared as one."""
    with pytest.raises(UnitError, match="below absolute zero; if it is a difference, write it in K"):
        si("-300 degC", "K")
    with pytest.raises(UnitError, match="below vacuum"):
        si("-2 barg", "Pa")
    with pytest.raises(UnitError, match="below absolute zero"):
        to_si_array(([20.0, -300.0], "degC"), Unit("K"), name="x")
    assert si("-273.15 degC", "K") == 0.0
    assert si("-459.67 degF", "K") == pytest.approx(0.0, abs=1e-9)


# Refusals ------------------------------------------------------------------------------------------------------------


def test_a_bare_number_for_a_dimensional_quantity_says_what_to_write() -> None:
    """The text of the specification."""
    with pytest.raises(UnitError) as caught:
        to_si(500, Unit("W/m^2/K"), name="film_coefficient")
    assert str(caught.value) == (
        'film_coefficient: 500 has no unit; give it one of the dimension of W/m^2/K, for example "500 W/m^2/K"'
    )


@pytest.mark.parametrize("bare", [5, 5.0, "5", np.float64(5.0), np.array(5.0)])
@pytest.mark.parametrize("target", ["K", "percent", "rad", "ppm"])
def test_bare_numbers_pass_only_where_the_unit_is_one(bare: Any, target: str) -> None:
    """Percent and rad are units too: is 5 five percent, or 500?"""
    assert si(bare, "1") == 5.0
    with pytest.raises(UnitError, match="has no unit"):
        si(bare, target)


def test_a_wrong_dimension_names_both_units() -> None:
    """What was given, with its dimension, and what is expected, with its own."""
    with pytest.raises(UnitError) as caught:
        to_si("500 W/m^2", Unit("W/m^2/K"), name="film_coefficient")
    assert str(caught.value) == (
        'film_coefficient: "500 W/m^2" is in W/m^2 (mass/time^3), but a unit like W/m^2/K '
        "(mass/time^3/temperature) is expected"
    )


@pytest.mark.parametrize(("given_", "verb"), [("60 rpm", "multiply"), ("1 Hz", "multiply"), ("5 1/s", "multiply")])
def test_a_frequency_is_never_silently_an_angular_velocity(given_: str, verb: str) -> None:
    """The factor 2 pi is written by a person, in both directions."""
    with pytest.raises(UnitError, match=r"multiply by 2\*pi rad explicitly"):
        si(given_, "rad/s")
    with pytest.raises(UnitError, match=r"divide by 2\*pi rad explicitly"):
        si("5 rad/s", "Hz")


def test_an_angle_is_no_plain_number() -> None:
    """rad, deg and turn carry a dimension."""
    with pytest.raises(UnitError, match="divide by 1 rad explicitly"):
        si("5 rad", "1")
    assert Unit("deg").dimension == Unit("turn").dimension == (*(0,) * 7, 1)
    assert Unit("rpm").dimension == Unit("Hz").dimension == Unit("1/s").dimension


REFUSED = [
    ("7 pH", "logarithm"),
    ("3 dB", "logarithmic"),
    ("3 dBm", "logarithmic"),
    ("3 Np", "logarithmic"),
    *((f"5 {u}", "normal_flow") for u in (
        "Nm3/h", "Nm^3/h", "Nm³/h", "Nm**3/h", "Sm3/h", "kg/Nm3", "scfm", "SCFM", "slpm", "sccm", "NL/min", "Nl/min",
        "scf/h", "MMSCFD",
    )),
    ("5 R", "degR"),
    ("5 k", '"K"'),
    ("5 c", "physical constant"),
    ("5 ton", "long_ton"),
    ("5 mdegC", "prefix"),
    ("5 bit", "physical quantity"),
    ("5 wt%", "percent"),
    ("5 barg/min", 'write "bar/min"'),
    ("5 1/barg", "gauge pressure"),
    ("5 barg^2", "gauge pressure"),
    ("5 Kelvin", '"kelvin"'),
    ("5 U/min", "rpm"),
    ("5 U/h", "rpm"),
    ("5 bbl", "oil_bbl"),
    ("5 bbl/d", "oil_bbl"),
    ("5 DEGC", '"degC"'),
    ("5 KG", '"kg"'),
    ("5 Watt", '"watt"'),
    ("5 kelvn", '"kelvin"'),
    ("5 degc", '"degC"'),
    ("5 W/m2K", "m2 K"),
    ("5 W/m2 K", "read in two ways"),
    ("5 J/mol·K", "read in two ways"),
    ("5 J/mol*K", "read in two ways"),
    ("5 Nm^2", "newton meter"),
    ("5 kg-m", "hyphen"),
    ("5 m//s", "two operators"),
    ("5 m/", "something is missing"),
    ("5 *m", "nothing stands before"),
    ("5 ^2", "nothing stands before"),
    ("5 (m", r'"\)" is missing'),
    ("5 m)", "not part of a unit"),
    ("5 kg/100kg", "holds no number"),
    ("5 m & s", "not part of a unit"),
    ("1,5 kg", "comma"),
    ("1,000 kg", "comma"),
    ("1 000 kg", "digits after the number"),
    ("1_000 kg", "digits after the number"),
    ("5x10^3 kg", "5e3"),
    ("5 × 10³ kg", "5e3"),
    ("10-20 kg", "unit"),
    ("1.5.2 kg", "unit"),
    ("kg", "does not begin with a number"),
    ("", "does not begin with a number"),
    ("about 5 kg", "does not begin with a number"),
    ("5 __import__('os')", "unit"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_cannot_be_converted_is_refused_with_the_reason(text: str, reason: str) -> None:
    """The error begins with the name of the quantity and says what to try."""
    with pytest.raises(UnitError, match=reason) as caught:
        to_si(text, Unit("kg"), name="load_mass")
    assert str(caught.value).startswith("load_mass: ")


def test_coulomb_and_farad_for_a_temperature_come_with_the_hint() -> None:
    """20 C is a charge; also inside a compound."""
    with pytest.raises(UnitError, match='degrees Celsius are "degC"'):
        si("20 C", "K")
    with pytest.raises(UnitError, match='degrees Celsius are "degC"'):
        si("5 W/m^2/C", "W/m^2/K")
    with pytest.raises(UnitError, match='degrees Fahrenheit are "degF"'):
        si("70 F", "degC")
    assert si("20 C", "A*s") == 20.0


@pytest.mark.parametrize("text", ["deg C", "Deg C", "DEG C", "degree C", "degrees C", "Celsius", "° C"])
def test_a_degree_before_a_letter_is_a_temperature(text: str) -> None:
    """And no degree times coulomb; so it is in a compound and as a difference."""
    assert Unit(text) == Unit("degC")
    assert Unit(f"W/m^2/{text}") == Unit("W/m^2/K")
    assert si(f"2 {text}", "K", difference=True) == 2.0


def test_other_degrees_with_a_blank() -> None:
    """Fahrenheit, Rankine, kelvin, and a difference; a written product stays one."""
    assert Unit("deg F") == Unit("degF") and Unit("DEG R") == Unit("degR") and Unit("deg K") == Unit("K")
    assert Unit("delta deg C") == Unit("delta_degC")
    assert Unit("deg*C").dimension != Unit("K").dimension


@pytest.mark.parametrize(
    ("text", "si_value"),
    [
        ("1 gpm", 3.785411784e-3 / 60.0),
        ("1 GPM", 3.785411784e-3 / 60.0),
        ("1 gph", 3.785411784e-3 / 3600.0),
        ("1 gpd", 3.785411784e-3 / 86400.0),
        ("1 cfm", 0.3048**3 / 60.0),
        ("1 CFH", 0.3048**3 / 3600.0),
        ("1 lpm", 1e-3 / 60.0),
        ("1 bpd", 42.0 * 3.785411784e-3 / 86400.0),
    ],
)
def test_flows_by_their_initials(text: str, si_value: float) -> None:
    """Gallons of the US, barrels of oil; cfm is no hundredth of a femtometer."""
    assert si(text, "m^3/s") == pytest.approx(si_value, rel=1e-14)


def test_a_gauge_pressure_may_have_a_blank_before_its_letter() -> None:
    """No pressure times gram; absolute likewise."""
    assert Unit("psi g") == Unit("psi(g)") == Unit("psig") != Unit("psi")
    assert Unit("bar a") == Unit("bar")


def test_a_mole_for_a_mass_and_an_inverse_come_with_a_hint() -> None:
    """Two common slips."""
    with pytest.raises(UnitError, match="molar mass"):
        si("5 mol/s", "kg/s")
    with pytest.raises(UnitError, match="upside down"):
        si("5 K/W", "W/K")


@pytest.mark.parametrize("bad", [True, np.True_, None, 1j, object(), {"value": 5}, [5, 6], ("5 kg", "kg")])
def test_what_is_no_quantity_is_refused(bad: Any) -> None:
    """Truth values, None, complex numbers and containers."""
    with pytest.raises((UnitError, ShapeError), match=r"^x: "):
        si(bad, "kg")


def test_an_array_where_a_scalar_is_expected_is_a_shape_error() -> None:
    """Not a conversion of its first element."""
    registry: Any = pint.UnitRegistry()
    for bad in (np.array([1.0, 2.0]), (np.array([1.0, 2.0]), "kg"), registry.Quantity([1.0], "kg")):
        with pytest.raises(ShapeError, match=r"x: one quantity is expected, not an array of shape"):
            si(bad, "kg")


@pytest.mark.parametrize("bad", ["nan kg", "inf kg", "-inf kg", "1e999 kg", (math.nan, "kg"), (math.inf, "kg")])
def test_numbers_that_are_not_finite_are_refused(bad: Any) -> None:
    """NaN always; infinity unless it is asked for."""
    with pytest.raises(UnitError, match="not a finite number"):
        si(bad, "kg")


def test_infinity_is_allowed_for_bounds_only_on_request() -> None:
    """And NaN not even then."""
    assert si("inf kg", "kg", allow_infinite=True) == math.inf
    assert si("-∞ kg", "kg", allow_infinite=True) == -math.inf
    with pytest.raises(UnitError):
        si("nan kg", "kg", allow_infinite=True)


# The Unit itself -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*ORDINARY, *AFFINE])
def test_units_are_immutable_cached_hashable_and_pickle(text: str) -> None:
    """A unit is a value."""
    u = Unit(text)
    assert Unit(text) is u and copy.deepcopy(u) is u and pickle.loads(pickle.dumps(u)) is u
    assert hash(u) == hash(Unit(text)) and str(u) == text and u.text == text
    with pytest.raises(AttributeError):
        u.factor = 2.0


def test_equal_units_are_equal_in_every_spelling() -> None:
    """Factors are exact fractions, so equality does not depend on the way there."""
    assert Unit("W/m^2/K") == Unit("W/(m2 K)") == Unit("W·m⁻²·K⁻¹") == Unit("kg/s^3/K") == Unit("W/m^2/degC")
    assert Unit("kWh/h") == Unit("kW") == Unit("J/s") * Unit("kJ/J")
    assert len({Unit("L"), Unit("dm^3"), Unit("mL") * Unit("kg/g")}) == 1
    assert Unit("degC") != Unit("K") and Unit("K") != "K"


@pytest.mark.parametrize("text", ["", "1", "-", "dimensionless", "fraction", "  "])
def test_every_spelling_of_dimensionless_is_one(text: str) -> None:
    """Its text is "1" and it prints as a dash."""
    u = Unit(text)
    assert (u.text, str(u), u.factor, u.is_dimensionless, u.is_one, u.si_text) == ("1", "-", 1.0, True, True, "1")


def test_percent_is_dimensionless_with_a_factor() -> None:
    """0.01, not 1."""
    u = Unit("percent")
    assert u.is_dimensionless and not u.is_one and u.factor == 0.01 and u.si_text == "1" and Unit("%") == u


SOME = st.sampled_from(
    ["m", "kg", "min", "degC", "W/m^2/K", "bar", "barg", "rpm", "percent", "mol/L", "deg", "1", "kJ"]
)


@settings(deadline=None)  # the first example loads pint
@given(a=SOME, b=SOME, n=st.integers(-3, 3))
def test_products_quotients_and_powers_multiply_factors_and_add_exponents(a: str, b: str, n: int) -> None:
    """The algebra that symbolic equations stand on; offsets are dropped; the text reads back as the same unit."""
    u, v = Unit(a), Unit(b)
    for got, factor, exponents in (
        (u * v, u.factor * v.factor, [x + y for x, y in zip(u.dimension, v.dimension, strict=True)]),
        (u / v, u.factor / v.factor, [x - y for x, y in zip(u.dimension, v.dimension, strict=True)]),
        (u**n, u.factor**n, [x * n for x in u.dimension]),
    ):
        assert got.factor == pytest.approx(factor, rel=1e-13) and got.offset == 0.0
        assert got.dimension == tuple(exponents) and all(type(x) is Fraction for x in got.dimension)
        assert Unit(got.text) == got


def test_derived_texts_are_readable() -> None:
    """Powers are gathered, cancelled and written with one slash a factor."""
    assert (Unit("W") / Unit("m") ** 2 / Unit("K")).text == "W/m^2/K"
    assert (Unit("m") * Unit("m")).text == "m^2" and (Unit("m") / Unit("m")).text == "1"
    assert (1 / Unit("min")).text == "1/min"
    assert (Unit("m2") ** 0.25).text == "m^(1/2)"
    assert (Unit("W") / Unit("degC")).text == "W/K"
    with pytest.raises(UnitError, match="simple fraction"):
        Unit("m") ** math.pi


exponents = st.tuples(*[st.integers(-4, 4).map(Fraction) | st.fractions(-2, 2, max_denominator=4)] * len(BASES))


@settings(deadline=None)  # the first example loads pint
@given(dimension=exponents)
def test_every_dimension_has_an_si_unit_that_reads_back(dimension: tuple[Fraction, ...]) -> None:
    """from_dimension inverts .dimension with factor 1, whatever the exponents."""
    u = Unit.from_dimension(dimension)
    assert u.dimension == dimension and u.factor == 1.0 and u.offset == 0.0
    assert Unit(u.text) == u and Unit(u.si_text) == u


@pytest.mark.parametrize(
    ("text", "si_text"),
    [
        ("bar", "Pa"), ("kJ/h", "W"), ("degC", "K"), ("delta_degF", "K"), ("barg", "Pa"), ("W/(m2 °C)", "W/m^2/K"),
        ("mol/L", "mol/m^3"), ("g/L", "kg/m^3"), ("rpm", "1/s"), ("Hz", "Hz"), ("N*m", "N*m"), ("deg/s", "rad/s"),
        ("kJ/kg/K", "J/kg/K"), ("cP", "Pa*s"), ("L/min", "m^3/s"), ("degC/min", "K/s"), ("kg/cm2/s2", "Pa/m"),
        ("mm*kg", "kg*m"), ("percent/min", "1/s"),
    ],
)  # fmt: skip
def test_si_texts_are_the_usual_names(text: str, si_text: str) -> None:
    """What is printed beside an SI number."""
    assert Unit(text).si_text == si_text and Unit(si_text).factor == 1.0


def test_dimensions_in_words() -> None:
    """For error texts."""
    assert dimension_text(Unit("1").dimension) == "dimensionless"
    assert dimension_text(Unit("1/s").dimension) == "1/time"
    assert dimension_text(Unit("V").dimension) == "mass*length^2/time^3/current"
    with pytest.raises(UnitError, match="8 exponents"):
        Unit.from_dimension((1, 2))


def test_the_difference_units_read_well() -> None:
    """K for degC, the rest keep their scale."""
    assert [Unit(t).difference().text for t in ("degC", "degF", "barg", "psig", "K", "W/m^2")] == [
        "K", "delta_degF", "bar", "psi", "K", "W/m^2",
    ]  # fmt: skip


# Arrays, declared units, times ---------------------------------------------------------------------------------------


def test_arrays_of_quantities() -> None:
    """Lists of texts, pairs and arrays with one unit become one new float64 array in SI."""
    kelvin = Unit("degC")
    for values in (
        ["20 degC", "30 °C"],
        ("20 degC", "303.15 K"),
        [(20, "degC"), (30, "degC")],
        ([20, 30], "degC"),
        (np.array([20, 30]), Unit("degC")),
        xr.DataArray([20.0, 30.0], attrs={"units": "degC"}),
    ):
        got = to_si_array(values, kelvin, name="x")
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, [293.15, 303.15])
    np.testing.assert_array_equal(to_si_array(([20, 30], "degC"), kelvin, name="x", difference=True), [20.0, 30.0])
    np.testing.assert_array_equal(to_si_array("20 degC", kelvin, name="x"), [293.15])
    np.testing.assert_array_equal(to_si_array((20, "degC"), kelvin, name="x"), [293.15])
    np.testing.assert_array_equal(to_si_array([0.1, 0.2], Unit("1"), name="x"), [0.1, 0.2])


def test_an_array_is_copied() -> None:
    """What is given is not changed later through what is held."""
    given_ = np.array([1.0, 2.0])
    got = to_si_array((given_, "K"), Unit("K"), name="x")
    got[0] = 5.0
    assert given_[0] == 1.0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, 2.0], "has no unit"),
        (np.arange(3), "has no unit"),
        ((np.arange(3), "m"), "is in m"),
        (["1 K", "2 m"], r'x\[1\]: "2 m" is in m'),
        (["1 K", 2.0], r"x\[1\]: 2 has no unit"),
        (([1.0, math.nan], "K"), "nan is not a finite number at index 1"),
        (([1.0, math.inf], "K"), "inf is not a finite number at index 1"),
        (([True, False], "K"), "truth values"),
        (([[1.0], [1.0, 2.0]], "K"), "not an array"),
        ((["a", "b"], "K"), "not an array of numbers"),
        (([1.0, None], "K"), "not a finite"),
    ],
)
def test_wrong_arrays_are_refused(values: Any, reason: str) -> None:
    """With the name, and the index where there is one."""
    with pytest.raises((UnitError, ShapeError), match=reason) as caught:
        to_si_array(values, Unit("K"), name="x")
    assert str(caught.value).startswith("x")


def test_nan_means_not_measured_where_it_is_allowed() -> None:
    """Infinity stays an error."""
    got = to_si_array(([1.0, math.nan, None], "degC"), Unit("K"), name="x", allow_nan=True)
    np.testing.assert_array_equal(got, [274.15, math.nan, math.nan])
    with pytest.raises(UnitError):
        to_si_array(([math.inf], "K"), Unit("K"), name="x", allow_nan=True)


def test_numbers_beside_their_declared_unit_are_in_it() -> None:
    """Bounds of a setting: bare numbers in degC, quantities converted."""
    declared = Unit("degC")
    assert in_unit(880, declared, name="x") == in_unit("880", declared, name="x") == 1153.15
    assert in_unit("1153.15 K", declared, name="x") == in_unit((880, "degC"), declared, name="x") == 1153.15
    assert in_unit(20, declared, name="x", difference=True) == 20.0
    assert in_unit(math.inf, declared, name="x", allow_infinite=True) == math.inf
    np.testing.assert_array_equal(in_unit([0, "10 degC", 20], declared, name="x"), [273.15, 283.15, 293.15])
    np.testing.assert_array_equal(in_unit(np.array([0.0]), declared, name="x"), [273.15])
    for bad in (math.nan, "5 m", True):
        with pytest.raises(UnitError):
            in_unit(bad, declared, name="x")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 10.5], [0.0, 10.5]),
        (np.array([0, 10]), [0.0, 10.0]),
        (60, [60.0]),
        ("2 min", [120.0]),
        ([0, "1 min", (2, "h")], [0.0, 60.0, 7200.0]),
        ((np.array([1.0, 2.0]), "min"), [60.0, 120.0]),
        (np.array([1500, 2000], dtype="timedelta64[ms]"), [1.5, 2.0]),
        (datetime.timedelta(minutes=1), [60.0]),
        ([datetime.timedelta(0), datetime.timedelta(hours=1)], [0.0, 3600.0]),
        (range(3), [0.0, 1.0, 2.0]),
    ],
)
def test_times_are_seconds_unless_they_say_otherwise(times: Any, expected: list[float]) -> None:
    """The one place where bare numbers are welcome."""
    np.testing.assert_array_equal(seconds(times), expected)


@pytest.mark.parametrize("times", ["5 m", [math.nan], [[1.0, 2.0]], np.array(["NaT"], dtype="timedelta64[s]"), None])
def test_wrong_times_are_refused(times: Any) -> None:
    """A metre is no minute; NaN, NaT and tables are no times."""
    with pytest.raises((UnitError, ShapeError), match="times"):
        seconds(times)


# Texts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["K", "degC", "degF", "barg", "W/m^2/K", "1/min", "percent", "rpm", "µm", "1", "m^(1/2)"]
)
@settings(deadline=None)  # the first example loads pint
@given(x=st.floats(1e-3, 1e6))
def test_what_is_printed_reads_back(text: str, x: float) -> None:
    """format_si at full precision, then parse: the same number in SI, difference or not."""
    u = Unit(text)
    absolute = u.to_si(x)
    assert si(format_si(absolute, u, digits=17), text) == pytest.approx(absolute, rel=1e-12)
    assert si(format_si(x, u, digits=17, difference=True), text, difference=True) == pytest.approx(x, rel=1e-12)
    assert parse(f"{x!r} {text}") == (x, u)


def test_numbers_for_people() -> None:
    """Whole numbers are not cut, small ones go to powers of ten, zeros are trimmed."""
    shown = [format_number(x) for x in (0.0, -0.0, 1148.15, 875.0, 123456.7, 1e6, 5.93e-5, 0.05, 0.123456, -2.5)]
    assert shown == ["0", "0", "1148", "875", "123457", "1e+06", "5.93e-05", "0.05", "0.1235", "-2.5"]
    assert format_si(0.8, Unit("1")) == "0.8" and format_si(math.inf, Unit("degC")) == "inf degC"


# Gas at a reference state --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "plain"),
    [
        ("5 Nm3/h", "5 m3/h"), ("5 Nm^3/h", "5 m3/h"), ("5 Nm³/h", "5 m3/h"), ("5 Sm3/h", "5 m3/h"),
        ("5 slpm", "5 L/min"), ("5 sccm", "5 cm3/min"), ("5 scfm", "5 ft^3/min"), ("5 NL/min", "5 L/min"),
        ("5 SCFH", "5 ft^3/h"), ("5 m3/h", "5 m3/h"), ((5, "Nm3/h"), "5 m3/h"), ("5 NmL/min", "5 mL/min"),
    ],
)  # fmt: skip
def test_a_normal_flow_with_its_reference_state_is_a_molar_flow(flow: Any, plain: str) -> None:
    """n = pV/(RT); the result is a quantity that any molar flow accepts."""
    got = normal_flow(flow, temperature="15 degC", pressure="1 atm")
    assert si(got, "kmol/h") == pytest.approx(101325.0 * si(plain, "m^3/s") / (8.31446261815324 * 288.15), rel=1e-14)


def test_a_cubic_meter_at_normal_state_is_44_6_moles() -> None:
    """The molar volume of an ideal gas at 0 degC and 1 atm is 22.41396954 L (CODATA)."""
    value, text = normal_flow("1 Nm3/s", temperature="0 degC", pressure="1 atm")
    assert text == "mol/s" and value == pytest.approx(1.0 / 22.41396954e-3, rel=1e-9)


@pytest.mark.parametrize(
    ("flow", "temperature", "pressure"),
    [("5 kg/h", "0 degC", "1 bar"), ("5 Nm3/h", "0 K", "1 bar"), ("5 Nm3/h", "0 degC", "0 bar"), ("Nm3/h", "0 degC",
     "1 bar"), ("5 Nm3/h", 0, "1 bar"), ("5 Nm3/h", "0 degC", 1), ("5 Nm3", "0 degC", "1 bar")],
)  # fmt: skip
def test_a_normal_flow_without_its_meaning_is_refused(flow: str, temperature: Any, pressure: Any) -> None:
    """Another dimension, an impossible state, or a state without units."""
    with pytest.raises(UnitError, match="normal_flow"):
        normal_flow(flow, temperature=temperature, pressure=pressure)


# Cost ----------------------------------------------------------------------------------------------------------------


def test_reading_units_loads_pint_only_when_the_first_unit_is_read() -> None:
    """`import physics_twin` must stay fast."""
    code = (
        "import sys, physics_twin.units as u, physics_twin.parameters; assert 'pint' not in sys.modules;"
        "u.Unit('K'); assert 'pint' in sys.modules; assert not {'scipy.special', 'scipy.stats'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "text", ["ms715951548", "m 1e999999999", "m" + "9" * 5000, "((m9)9)9", "m^(1/0)", "Ym60", "ym^-60", "m^-61"]
)
def test_a_tag_with_its_number_is_no_power_of_a_unit(text: str) -> None:
    """Its factor would take days to compute, or be no number; the header of a log may hold anything."""
    with pytest.raises(UnitError, match=r"power|exponent|beyond|holds no number"):
        unit(text)
