"""Parameters: declared once, checked there, converted in one place."""
# ruff: noqa: S301 -- our own objects, pickled as they are between worker processes

import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from physics_twin.errors import BoundsError, ModelError, PhysicsTwinError, ShapeError, UnitError, UnknownNameError
from physics_twin.parameters import Parameter, ParameterSet, PerExperiment, Values
from physics_twin.priors import HalfNormal, LogNormal, Normal, Truncated, Uniform
from physics_twin.units import Unit

FILM = Parameter("film_coefficient", "500 W/m^2/K", bounds=("5 W/m^2/K", "5 kW/m^2/K"), description="quench oil")
AMBIENT = Parameter("ambient_temperature", "20 degC", prior=Normal("20 degC", "5 degC"), source="plant, 2026")
RATE = Parameter("k1", "6e-5 1/min", bounds=(1e-7, 1e-2), prior=LogNormal("6e-5 1/min", 0.5))
EMISSIVITY = Parameter("emissivity", 0.8, bounds=(0, 1), prior=Uniform(0.5, 1.0))
SET = ParameterSet([FILM, AMBIENT, RATE, EMISSIVITY])


def test_a_parameter_holds_si_and_remembers_its_unit() -> None:
    """Bounds may come in another unit, or bare in the declared one."""
    assert (FILM.value, FILM.bounds, FILM.unit) == (500.0, (5.0, 5000.0), Unit("W/m^2/K"))
    assert AMBIENT.value == 293.15 and AMBIENT.bounds == (-math.inf, math.inf)
    assert isinstance(AMBIENT.prior, Normal) and (AMBIENT.prior.mean, AMBIENT.prior.sd) == (293.15, 5.0)
    assert RATE.value == pytest.approx(1e-6) and RATE.bounds == pytest.approx((1e-7 / 60, 1e-2 / 60))
    assert EMISSIVITY.unit.text == "1" and EMISSIVITY.value == 0.8
    assert Parameter("x", 5, unit="mm").value == 0.005
    assert Parameter("x", "5 mm", unit="m").unit == Unit("m")
    assert FILM.in_declared(750.0) == 750.0 and AMBIENT.format(300.0) == "26.85 degC"


def test_a_difference_has_no_offset_anywhere() -> None:
    """Value, bounds, prior and print of a bias in degC; delta_degC says so by itself."""
    bias = Parameter("b", "2 degC", bounds=("-5 degC", 5), prior=Normal(0, "2 K"), difference=True)
    assert (bias.value, bias.bounds) == (2.0, (-5.0, 5.0)) and isinstance(bias.prior, Normal) and bias.prior.mean == 0.0
    assert bias.format(2.0) == "2 K"
    assert Parameter("b", "2 delta_degC").difference
    assert ParameterSet([bias]).values({"b": "-1 degC"})["b"] == -1.0
    assert ParameterSet([bias]).values({"b": "-1 degC"}).in_units(ParameterSet([bias]))["b"] == (-1.0, "K")


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (FILM, True),
        (AMBIENT, False),
        (RATE, True),
        (EMISSIVITY, False),
        (Parameter("x", "5 kg", bounds=("1 kg", "99 kg")), False),
        (Parameter("x", "5 kg", bounds=("1 kg", "100 kg")), True),
        (Parameter("x", "5 kg", bounds=("1 kg", "10 kg"), prior=LogNormal("5 kg", 0.1)), True),
        (Parameter("x", "5 kg", bounds=("1 kg", "10 kg"), prior=Truncated(LogNormal("5 kg", 0.1), low="2 kg")), True),
        (Parameter("x", "5 kg", bounds=(None, "100 kg"), prior=LogNormal("5 kg", 0.1)), False),
        (Parameter("x", "5 kg", bounds=("0 kg", "100 kg")), False),
    ],
)
def test_the_search_runs_over_the_logarithm_only_above_zero(parameter: Parameter, expected: bool) -> None:
    """Lower bound above zero, and two decades of bounds or a log-normal prior."""
    assert parameter.log_scale is expected


def test_a_value_outside_its_bounds_is_an_error_for_the_person_at_the_furnace() -> None:
    """What, with its unit, the bounds, what to try."""
    with pytest.raises(BoundsError) as caught:
        Parameter("film_coefficient", "-3 W/(m2 K)", bounds=("5 W/(m2 K)", "500 W/(m2 K)"))
    assert str(caught.value) == ("film_coefficient = -3 W/(m2 K) is outside [5, 500] W/(m2 K); check its sign")
    with pytest.raises(BoundsError, match=r"T = 20 degC is outside \[880, 960\] degC; check its unit"):
        Parameter("T", "20 degC", bounds=(880, 960))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Parameter("lambda", 1), "keyword"),
        (lambda: Parameter("x y", 1), "letters"),
        (lambda: Parameter("x", "5 kgg"), "x: unknown unit"),
        (lambda: Parameter("x", "5 kg", unit="m"), "x: .*is in kg"),
        (lambda: Parameter("x", True), "truth value"),
        (lambda: Parameter("x", math.nan), "finite"),
        (lambda: Parameter("x", np.array([1.0, 2.0])), "one quantity"),  # type: ignore[arg-type]
        (lambda: Parameter("x", 5, bounds=(6, 4)), "lower bound 6 is not below"),
        (lambda: Parameter("x", 5, bounds=(5, 5)), "not below"),
        (lambda: Parameter("x", 5, bounds=(5,)), "pair"),  # type: ignore[arg-type]
        (lambda: Parameter("x", "5 kg", bounds=(5, "kg")), "one quantity"),
        (lambda: Parameter("x", "5 kg", bounds=("1 m", None)), "x: lower bound: "),
        (lambda: Parameter("x", "5 kg", bounds=(math.nan, None)), "finite"),
        (lambda: Parameter("x", "5 kg", prior=Normal("5 m", "1 m")), "x: mean of the prior"),
        (lambda: Parameter("x", 5, bounds=(4, 6), prior=Uniform(7, 8)), "no probability within the bounds"),
        (lambda: Parameter("x", 5, bounds=(4, 6), prior=Normal(7, 1)), "the mean of the prior Normal"),
        (lambda: Parameter("x", 5, prior=3.0), "is not a prior"),  # type: ignore[arg-type]
        (lambda: Parameter("x", "5 degC", prior=HalfNormal("2 degC")), "where zero is"),
        (lambda: ParameterSet([FILM, FILM]), "two parameters"),
        (lambda: ParameterSet(["x"]), "holds parameters"),  # type: ignore[list-item]
        (lambda: PerExperiment("x y"), "letters"),
        (lambda: PerExperiment("x@run"), "the name alone"),
    ],
)
def test_a_contradiction_is_an_error_where_it_is_written(make: Any, reason: str) -> None:
    """Names, units, bounds and priors."""
    with pytest.raises(PhysicsTwinError, match=reason):
        make()


def test_a_parameter_is_immutable_and_copied_by_change() -> None:
    """`replace` keeps what it is not told, in SI; dataclasses.replace, which would convert twice, fails."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        FILM.value = 3.0  # type: ignore[misc]
    for p in SET.parameters:
        assert p.replace() == p and pickle.loads(pickle.dumps(p)) == p and hash(p) == hash(p.replace())
    moved = AMBIENT.replace(value="25 degC", description="hall")
    assert (moved.value, moved.description, moved.prior) == (298.15, "hall", AMBIENT.prior)
    with pytest.raises(UnknownNameError, match='did you mean "bounds"'):
        FILM.replace(bound=(1, 2))
    with pytest.raises(BoundsError):
        FILM.replace(value="1 W/m^2/K")
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(AMBIENT, description="x")


def test_a_set_is_an_ordered_immutable_mapping() -> None:
    """Order, membership, selection, replacement."""
    assert SET.names == tuple(SET) == ("film_coefficient", "ambient_temperature", "k1", "emissivity")
    assert SET["k1"] is RATE and "k1" in SET and "k9" not in SET and SET.get("k9") is None and len(SET) == 4
    assert dict(SET)["k1"] is RATE and dict(SET.items())["k1"] is RATE and SET.parameters[2] is RATE
    assert SET.select(["k1", "film_coefficient"]).names == ("k1", "film_coefficient")
    assert SET.select("k1").names == ("k1",)
    other = RATE.replace(value="1e-4 1/min")
    wider = SET.with_([other, Parameter("new", 1)])
    assert wider.names == (*SET.names, "new") and wider["k1"] is other and SET["k1"] is RATE
    assert pickle.loads(pickle.dumps(SET)) == SET and hash(SET) == hash(ParameterSet(SET)) and wider != SET
    with pytest.raises(AttributeError):
        SET.x = 1  # type: ignore[attr-defined]
    for ask in (lambda: SET["emisivity"], lambda: SET.select(["emisivity"]), lambda: SET.values({"emisivity": 0.5})):
        with pytest.raises(UnknownNameError, match='did you mean "emissivity"'):
            ask()


def test_values_are_defaults_and_what_is_given_checked() -> None:
    """Unit and bounds of a person's numbers; the numbers of a Values are SI already."""
    values = SET.values({"ambient_temperature": "30 degC", "emissivity": 0.6})
    assert values == {"film_coefficient": 500.0, "ambient_temperature": 303.15, "k1": RATE.value, "emissivity": 0.6}
    assert SET.values(values) == values and SET.values() == SET.values({}) == SET.values(Values())
    with pytest.raises(UnitError, match="ambient_temperature: 30 has no unit"):
        SET.values({"ambient_temperature": 30})
    with pytest.raises(BoundsError, match=r"emissivity = 1.5 is outside \[0, 1\]"):
        SET.values({"emissivity": 1.5})
    with pytest.raises(BoundsError, match="film_coefficient = 1 W/m"):
        SET.values(Values({"film_coefficient": 1.0}))
    with pytest.raises(ShapeError):
        SET.values({"emissivity": np.array([0.5, 0.6])})  # type: ignore[dict-item]


def test_a_value_on_its_bound_may_be_off_by_rounding() -> None:
    """960 degC written in K, a draw that an optimizer left on the bound."""
    high = FILM.bounds[1]
    SET.values(Values({"film_coefficient": high * (1 + 1e-12)}))
    with pytest.raises(BoundsError):
        SET.values(Values({"film_coefficient": high * (1 + 1e-6)}))


def test_values_are_immutable_and_travel() -> None:
    """Mapping, pickling, read-only arrays, copies by change."""
    given_ = np.array([1.0, 2.0])
    values = Values({"k1": 1e-6, "profile": given_})
    given_[0] = 9.0
    row = values["profile"]
    assert isinstance(row, np.ndarray) and row[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        row[0] = 5.0
    with pytest.raises(AttributeError):
        values.x = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        values["k1"] = 2.0  # type: ignore[index]
    back = pickle.loads(pickle.dumps(values))
    assert back == values and back != values.replace(k1=2e-6) and values.replace(k1=2e-6)["k1"] == 2e-6
    assert values.merge({"k2": 1})["k2"] == 1.0 and list(values.select(["profile"])) == ["profile"]
    assert values.scalar("k1") == 1e-6 and repr(values) == "Values(k1=1e-06, profile=<array of 2>) in SI"
    with pytest.raises(ShapeError, match="profile: a scalar is expected"):
        values.scalar("profile")
    for ask in (lambda: values["k3"], lambda: values.replace(k3=1.0)):
        with pytest.raises(UnknownNameError, match='no value "k3"'):
            ask()


@pytest.mark.parametrize("bad", ["5 kg", (5, "kg"), True, math.nan, math.inf, None, [[1.0]], [1.0, math.nan], object()])
def test_values_hold_finite_numbers_only(bad: Any) -> None:
    """No texts, no NaN: a Values is trusted by every model."""
    with pytest.raises(PhysicsTwinError, match=r"^x: "):
        Values({"x": bad})


@settings(deadline=None)
@given(film=st.floats(5, 5000), ambient=st.floats(0, 100), k1=st.floats(1e-7, 1e-2), e=st.floats(0, 1))
def test_in_units_gives_quantities_that_read_back(film: float, ambient: float, k1: float, e: float) -> None:
    """values -> in_units -> values is the identity within rounding."""
    values = SET.values(
        {
            "film_coefficient": (film, "W/m^2/K"),
            "ambient_temperature": (ambient, "degC"),
            "k1": (k1, "1/min"),
            "emissivity": e,
        }
    )
    shown = values.in_units(SET)
    assert shown["ambient_temperature"] == (pytest.approx(ambient, abs=1e-12), "degC")
    assert shown["k1"] == (pytest.approx(k1, rel=1e-15), "1/min")
    again = SET.values(shown)  # type: ignore[arg-type]
    for name in SET:
        assert again[name] == pytest.approx(values[name], rel=1e-15)


def test_in_units_of_an_undeclared_name_is_an_error() -> None:
    """Nothing is printed without its unit."""
    with pytest.raises(UnknownNameError):
        Values({"hold_time": 60.0}).in_units(SET)


def test_tables_show_value_bounds_prior_description_and_source_with_units() -> None:
    """Text and HTML; HTML is escaped."""
    text, page = repr(SET), SET._repr_html_()
    for part in ("500 W/m^2/K", "[5, 5000] W/m^2/K", "Normal(20 degC, 5 K)", "LogNormal(6e-05 1/min, 0.5)",
                 "quench oil", "plant, 2026", "Uniform(0.5, 1)"):  # fmt: skip
        assert part in text and part in page
    assert "<b>" not in ParameterSet([FILM.replace(description="<b>")])._repr_html_()
    assert "bounds" not in repr(ParameterSet([Parameter("x", 1)]))  # empty columns are left out
    assert repr(RATE) == (
        "Parameter('k1', '6e-05 1/min', bounds=[1e-07, 0.01] 1/min, prior=LogNormal(6e-05 1/min, 0.5))"
    )


def test_an_unknown_per_experiment_has_a_name_of_its_own() -> None:
    """One per experiment."""
    assert PerExperiment("ambient_temperature").of("charge_0417") == "ambient_temperature@charge_0417"
    with pytest.raises(ModelError):
        PerExperiment("ambient_temperature").of("charge 17")
