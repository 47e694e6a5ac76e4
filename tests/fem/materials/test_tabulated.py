"""Tables and formulas over temperature: exact at rows, straight between, an error or a declared hold outside."""

import pickle
from typing import Any

import casadi
import numpy as np
import pytest

from physics_twin.errors import BoundsError, ShapeError, UnitError
from physics_twin.expressions import Expression
from physics_twin.fem.materials import Formula, Outside, Tabulated, celsius
from physics_twin.units import Unit

KELVIN = Unit("K").dimension


def table(outside: Outside = Outside.ERROR) -> Tabulated:
    return Tabulated(([0, 100, 300], "degC"), ([40.0, 50.0, 30.0], "W/m/K"), outside=outside, source="made up")


def test_rows_and_the_lines_between_them() -> None:
    """A value at a row is the row's, halfway it is the mean, whatever unit the temperature is in."""
    assert [table().at(x) for x in ("0 degC", "100 degC", "300 degC")] == pytest.approx([40.0, 50.0, 30.0], rel=1e-14)
    assert table().at("323.15 K") == pytest.approx(45.0, rel=1e-14)
    assert table().at("392 degF") == pytest.approx(40.0, rel=1e-12)  # 200 degC


def test_columns_are_converted_once() -> None:
    """Whatever units a table is written in, it is held in K and SI."""
    given = Tabulated(([32, 212], "degF"), ([0.1, 0.2], "kW/m/K"))
    assert given.temperatures == pytest.approx((273.15, 373.15), rel=1e-14)
    assert given.values == (100.0, 200.0)
    assert given.range == given.temperatures


@pytest.mark.parametrize("temperature", ["-1 degC", "301 degC"])
def test_outside_is_an_error_that_names_the_range(temperature: str) -> None:
    """The default: no extrapolation, no silent end value."""
    with pytest.raises(BoundsError, match=r"0 degC to 300 degC.*made up.*Outside\.HOLD"):
        table().at(temperature)


def test_the_end_of_the_range_is_inside_up_to_rounding() -> None:
    """A temperature that was computed to be the end of the range is no error."""
    assert table().at((573.15 * (1 + 1e-12), "K")) == pytest.approx(30.0)


def test_a_declared_hold_keeps_the_end_values() -> None:
    """HOLD is said by a person, and a copy can say otherwise."""
    held = table(Outside.HOLD)
    assert held.at("-200 degC") == pytest.approx(40.0)
    assert held.at("900 degC") == pytest.approx(30.0)
    with pytest.raises(BoundsError):
        held.with_outside(Outside.ERROR).at("900 degC")
    assert table().with_outside(Outside.HOLD) == held


def curves(law: Tabulated | Formula) -> tuple[casadi.Function, casadi.Function]:
    T = casadi.SX.sym("T")
    value = law.expression(Expression(T, KELVIN)).magnitude
    return casadi.Function("value", [T], [value]), casadi.Function("slope", [T], [casadi.gradient(value, T)])


def test_an_equation_gets_what_a_number_gets() -> None:
    """A symbolic magnitude gives the same curve, and bounded values for any iterate of a solver."""
    value, _ = curves(table())
    kelvin = np.linspace(273.15, 573.15, 31)
    expected = [table().at((float(x), "K")) for x in kelvin]
    assert np.asarray(value(kelvin)).ravel() == pytest.approx(expected, rel=1e-13)
    assert float(value(2000.0)) == float(value(574.15)) == pytest.approx(29.9)
    assert float(curves(table(Outside.HOLD))[0](2000.0)) == pytest.approx(30.0)


def test_the_ends_of_the_range_are_no_kinks() -> None:
    """A part that starts at the end of a table gets the table's slope there, not the zero of a held value."""
    _, along_table = curves(table())
    assert [float(along_table(x)) for x in (273.15, 573.15)] == pytest.approx([0.1, -0.1])
    _, along_formula = curves(slope())
    assert [float(along_formula(x)) for x in (273.15, 373.15)] == pytest.approx([1.0, 1.0])


def test_a_table_is_a_function_of_temperature() -> None:
    """It carries its unit, stands where a function of T can, and refuses anything but a temperature."""
    value = table()(Expression(373.15, KELVIN))
    assert value.dimension == Unit("W/m/K").dimension
    with pytest.raises(UnitError, match="temperature"):
        table()(Expression(373.15, Unit("m").dimension))


@pytest.mark.parametrize(
    ("temperatures", "values", "error", "words"),
    [
        (([0, 1], "degC"), ([1, 2, 3], "W/m/K"), ShapeError, "2 temperatures and 3 values"),
        (([0], "degC"), ([1], "W/m/K"), ShapeError, "2 or more"),
        (([0, 5, 5], "degC"), ([1, 2, 3], "W/m/K"), BoundsError, "rows 2 and 3 are 5, 5"),
        (([0, 1], "m"), ([1, 2], "W/m/K"), UnitError, "temperatures of a table"),
        ([0, 1], ([1, 2], "W/m/K"), UnitError, "a column is written"),
        (([0, 1], "degC"), ([1, float("nan")], "W/m/K"), UnitError, "not a finite number"),
        (([-300, 1], "degC"), ([1, 2], "W/m/K"), UnitError, "absolute zero"),
    ],
)
def test_bad_tables(temperatures: Any, values: Any, error: type[Exception], words: str) -> None:
    """What is wrong with a table is said where it is written."""
    with pytest.raises(error, match=words):
        Tabulated(temperatures, values)


def test_tables_are_values() -> None:
    """Equal when equal, and the same after a trip to a worker process."""
    assert table() == table() != table(Outside.HOLD)
    assert pickle.loads(pickle.dumps(table())) == table()  # noqa: S301 -- our own object
    assert table().scaled(2.0).at("0 degC") == pytest.approx(80.0)


def slope(outside: Outside = Outside.ERROR) -> Formula:
    return Formula(lambda T: (10.0 + celsius(T)) * "1 W/m/K", "W/m/K", ("0 degC", "100 degC"), outside=outside)


def test_a_formula_holds_in_its_range() -> None:
    """The function inside, an error or the end value outside."""
    assert slope().at("50 degC") == pytest.approx(60.0)
    with pytest.raises(BoundsError, match="0 degC to 100 degC"):
        slope().at("101 degC")
    assert slope(Outside.HOLD).at("400 degC") == pytest.approx(110.0)
    assert slope().with_outside(Outside.HOLD).at("400 degC") == pytest.approx(110.0)


def test_a_formula_of_another_unit_is_refused_where_it_is_written() -> None:
    """The declared unit is checked against what the function returns."""
    with pytest.raises(UnitError, match="W/m/K"):
        Formula(lambda T: celsius(T), "W/m/K", ("0 degC", "100 degC"))
    with pytest.raises(BoundsError, match="does not ascend"):
        Formula(lambda T: T, "K", ("100 degC", "0 degC"))
