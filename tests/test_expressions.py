"""Equations that know their units: what may be combined, what raises, and that nothing strips a unit in silence."""

import math

import casadi as ca
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.expressions import Condition, Expression, constant
from physics_twin.units import Unit

# One function for the three kinds of magnitude: a float, and a symbol that is evaluated afterwards.
X = ca.SX.sym("x")


def symbol(unit: str) -> Expression:
    """A CasADi symbol with a unit, as a builder makes it."""
    return Expression(X, Unit(unit).dimension)


def value(expression: Expression, x: float) -> float:
    """The magnitude of an expression in X, evaluated."""
    return float(ca.Function("f", [X], [expression.magnitude])(x))


def test_adding_kelvin_to_a_concentration_names_both_units():
    """A sum of different dimensions raises UnitError with both units in it."""
    with pytest.raises(pt.UnitError, match=r"K.*mol|mol.*K"):
        symbol("K") + symbol("mol/m^3")


@pytest.mark.parametrize("function", [pt.exp, pt.log, pt.log10, pt.tanh, pt.sin, pt.cos, pt.tan])
def test_functions_of_a_kelvin_raise(function):
    """Transcendental functions take pure numbers only."""
    with pytest.raises(pt.UnitError, match="K"):
        function(symbol("K"))


@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (pt.exp, math.exp),
        (pt.log, math.log),
        (pt.log10, math.log10),
        (pt.tanh, math.tanh),
        (pt.sin, math.sin),
        (pt.cos, math.cos),
        (pt.tan, math.tan),
        (pt.sqrt, math.sqrt),
    ],
)
def test_functions_agree_with_math_on_symbols_and_numbers(function, reference):
    """The same value for a CasADi magnitude and for a float."""
    assert value(function(symbol("1")), 0.7) == pytest.approx(reference(0.7), rel=1e-15)
    assert function(constant(0.7)).magnitude == pytest.approx(reference(0.7), rel=1e-15)


def test_angles_are_arguments_of_sine_and_not_of_exp():
    """sin takes degrees and radians, exp takes neither."""
    assert pt.sin(constant("90 deg")).magnitude == pytest.approx(1.0)
    with pytest.raises(pt.UnitError):
        pt.exp(constant("1 rad"))


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "tanh", "absolute", "negative"])
def test_numpy_functions_keep_units_or_raise(name):
    """np.exp and the like go through the unit check; np.sqrt halves the unit."""
    function = getattr(np, name)
    assert isinstance(function(symbol("1")), Expression)
    if name in ("sqrt", "absolute", "negative"):
        assert isinstance(function(symbol("K")), Expression)
    else:
        with pytest.raises(pt.UnitError):
            function(symbol("K"))


@pytest.mark.parametrize("name", ["floor", "arctan", "cbrt", "sign", "isfinite"])
def test_numpy_functions_that_do_not_know_units_raise(name):
    """What is not translated raises instead of returning a bare magnitude."""
    with pytest.raises(TypeError):
        getattr(np, name)(symbol("1"))


def test_numpy_cannot_make_an_array_of_numbers_from_it():
    """No __array__, no __float__: np.asarray gives an object, float() raises."""
    assert np.asarray(symbol("K")).dtype == object
    with pytest.raises(TypeError):
        float(symbol("K"))
    with pytest.raises(TypeError):
        float(constant("3 K"))


@pytest.mark.parametrize("operate", [lambda x: np.ones(3) * x, lambda x: x + np.ones(3), lambda x: np.ones(2) - x])
def test_arrays_beside_an_expression_raise(operate):
    """An expression is a scalar; an array does not turn it into an array of objects."""
    with pytest.raises(TypeError):
        operate(symbol("1"))


@pytest.mark.parametrize(
    "strip",
    [ca.exp, ca.log, ca.sin, ca.sqrt, lambda x: ca.if_else(x, 1, 0), lambda x: ca.vertcat(x, x), lambda x: ca.SX(x)],
)
def test_casadi_functions_refuse_an_expression(strip):
    """casadi.exp(T) would drop the unit; it must not accept an Expression at all."""
    with pytest.raises((NotImplementedError, TypeError, pt.UnitError)):
        strip(symbol("K"))


def test_casadi_symbol_beside_an_expression_raises():
    """A bare CasADi symbol has no unit, so it is no operand, on either side."""
    for operate in (lambda: symbol("K") + X, lambda: X + symbol("K"), lambda: X * symbol("K"), lambda: symbol("K") * X):
        with pytest.raises((TypeError, NotImplementedError, pt.UnitError)):
            operate()


def test_arithmetic_carries_units():
    """Products add exponents, quotients subtract them, powers multiply them."""
    force = symbol("kg") * constant("9.81 m/s^2")
    assert force.dimension == Unit("N").dimension
    assert (force / constant("2 m^2")).dimension == Unit("Pa").dimension
    assert (constant("3 m") ** 2).dimension == Unit("m^2").dimension
    assert (constant("9 m^2") ** 0.5).magnitude == pytest.approx(3.0)
    assert pt.sqrt(constant("9 m^2")).dimension == Unit("m").dimension


def test_quantities_in_strings_become_si():
    """ "2 h" beside seconds is 7200 s, on either side."""
    assert (symbol("s") + "2 h").dimension == Unit("s").dimension
    assert value(symbol("s") + "2 h", 1.0) == 7201.0
    assert value("2 h" - symbol("s"), 1.0) == 7199.0
    assert value("2 h" / symbol("s"), 2.0) == 3600.0


def test_degree_celsius_is_a_point_beside_a_temperature():
    """T - "25 degC" is a difference in K; T >= "400 degC" compares with 673.15 K."""
    difference = symbol("K") - "25 degC"
    assert value(difference, 300.15) == pytest.approx(2.0)
    guard = Expression((symbol("K") >= "400 degC").guard, ())
    assert value(guard, 673.15) == 0.0


@pytest.mark.parametrize("operate", [lambda t: t + "25 degC", lambda t: t * "25 degC", lambda t: "25 degC" * t])
def test_degree_celsius_is_not_added_or_scaled(operate):
    """Adding a point on a scale to a temperature, or scaling by one, has no meaning."""
    with pytest.raises(pt.UnitError, match="offset"):
        operate(symbol("K"))


def test_bare_numbers_beside_a_dimension_raise_and_say_so():
    """T + 5 raises; 2 * T, and 0 + T as `sum` forms it, are fine."""
    with pytest.raises(pt.UnitError, match="no unit"):
        symbol("K") + 5
    with pytest.raises(pt.UnitError, match="no unit"):
        5.0 - symbol("K")
    assert value(sum([symbol("K"), symbol("K")]), 3.0) == 6.0
    assert value(2 * symbol("K"), 3.0) == 6.0
    assert value(np.float64(2) * symbol("K"), 3.0) == 6.0


def test_symbolic_exponents_need_pure_numbers():
    """x ** n with symbolic n is dimensionless only: the unit of the result would depend on n."""
    n = symbol("1")
    assert value(constant(2.0) ** n, 3.0) == pytest.approx(8.0)
    assert value(2.0**n, 3.0) == pytest.approx(8.0)
    with pytest.raises(pt.UnitError):
        constant("2 m") ** n
    with pytest.raises(pt.UnitError):
        constant(2.0) ** symbol("m")


def test_comparison_needs_one_dimension_and_has_no_truth():
    """T >= p raises; `if T >= "400 K"` raises instead of being true."""
    with pytest.raises(pt.UnitError, match="compare"):
        _ = symbol("K") >= symbol("Pa")
    condition = symbol("K") >= "400 K"
    assert isinstance(condition, Condition)
    with pytest.raises(TypeError, match="where"):
        bool(condition)
    with pytest.raises(TypeError):
        bool(symbol("K"))
    with pytest.raises(TypeError):
        _ = symbol("K") == symbol("K")
    with pytest.raises(TypeError):
        _ = constant("300 K") < symbol("K") < constant("400 K")


@pytest.mark.parametrize(("sign", "at"), [("ge", 401.0), ("gt", 401.0), ("le", 399.0), ("lt", 399.0)])
def test_a_condition_holds_where_its_guard_is_positive(sign, at):
    """Each of the four comparisons has a guard that is positive on its own side and negative on the other."""
    condition = getattr(symbol("K"), f"__{sign}__")("400 K")
    guard = Expression(condition.guard, ())
    assert value(guard, at) > 0.0
    assert value(guard, 800.0 - at) < 0.0


def test_where_needs_a_condition_and_branches_of_one_dimension():
    """Both branches have the same unit, and the condition is a comparison."""
    condition = symbol("K") >= "400 K"
    with pytest.raises(pt.UnitError):
        pt.where(condition, constant("1 m"), constant("1 s"))
    with pytest.raises(TypeError):
        pt.where(True, constant("1 m"), constant("2 m"))
    assert pt.where(constant("500 K") >= "400 K", "1 m", constant("200 cm")).magnitude == 1.0


def test_minimum_and_maximum_check_units():
    """minimum(T, "25 degC") is in K; minimum of different dimensions raises."""
    assert value(pt.minimum(symbol("K"), "25 degC"), 400.0) == pytest.approx(298.15)
    assert value(pt.maximum("25 degC", symbol("K")), 400.0) == pytest.approx(400.0)
    assert value(np.maximum(symbol("1"), 0.5), 0.2) == 0.5
    with pytest.raises(pt.UnitError):
        pt.maximum(symbol("K"), symbol("s"))
    with pytest.raises(pt.UnitError):
        pt.minimum(symbol("K"), 3.0)


@pytest.mark.parametrize("x", [-5.0, 0.0, 3.0, 10.0, 14.0, 20.0, 99.0])
def test_interpolate_is_numpys_interp(x):
    """Straight lines between rows, end values outside."""
    table = pt.interpolate(symbol("s"), ([0.0, 10.0, 20.0], "s"), ([1.0, 5.0, 2.0], "m"))
    assert table.dimension == Unit("m").dimension
    assert value(table, x) == pytest.approx(np.interp(x, [0, 10, 20], [1, 5, 2]), abs=1e-12)


def test_interpolate_in_degree_celsius():
    """Points in degC are points: 0 degC is 273.15 K."""
    table = pt.interpolate(symbol("K"), ([0.0, 100.0], "degC"), ["1 W/m/K", "3 W/m/K"])
    assert value(table, 323.15) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("points", "values"),
    [
        (([0.0, 1.0], "K"), ([0.0, 1.0], "m")),
        (([0.0, 0.0], "s"), ([0.0, 1.0], "m")),
        (([1.0, 0.0], "s"), ([0.0, 1.0], "m")),
        (([0.0], "s"), ([0.0], "m")),
        (([0.0, 1.0, 2.0], "s"), ([0.0, 1.0], "m")),
        (["0 s", "1 m"], ([0.0, 1.0], "m")),
        (([0.0, math.nan], "s"), ([0.0, 1.0], "m")),
        (([0.0, 1.0], "s"), ([0.0, math.nan], "m")),
    ],
)
def test_interpolate_refuses_a_bad_table(points, values):
    """Wrong unit, repeated or falling points, one row, unequal columns, mixed units, NaN."""
    with pytest.raises(pt.UnitError):
        pt.interpolate(symbol("s"), points, values)
