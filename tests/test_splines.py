"""Functions as parameters: natural cubic splines, in numbers, in process models and in field models."""

import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

import physics_twin as pt
from physics_twin.expressions import Expression
from physics_twin.units import Unit

KELVIN = Unit("K").dimension


def film(**changes: object) -> pt.Spline:
    given: dict[str, object] = {
        "over": "T",
        "knots": (["20 degC", "100 degC", "250 degC", "400 degC"]),
        "value": ([10.0, 15.0, 25.0, 45.0], "W/m^2/K"),
        "bounds": ("1 W/m^2/K", "200 W/m^2/K"),
    }
    return pt.Spline("film", **{**given, **changes})  # type: ignore[arg-type]


def cooling(spline: pt.Spline) -> pt.ProcessModel:
    """A lump that loses heat through a film coefficient over its temperature."""
    m = pt.ProcessBuilder("cooling_lump", version="1.0")
    temperature = m.state("temperature", "degC", initial="400 degC")
    h = m.function(spline, of=temperature)
    m.rate(temperature, -h * (temperature - "20 degC") * "0.1 m^2" / m.constant("2 kJ/K"))
    m.output("temperature", temperature)
    m.output("film", h, unit="W/m^2/K")
    return m.build()


@pytest.mark.parametrize("n", [2, 3, 4, 7, 12])
def test_a_spline_is_the_natural_cubic_spline_inside_and_straight_outside(n: int) -> None:
    """It equals SciPy's natural spline to 1e-12 between uneven knots, and its second differences vanish beyond."""
    rng = np.random.default_rng(n)
    knots = 300.0 + 1000.0 * np.cumsum(rng.uniform(0.5, 2.0, n)) / n
    spline = pt.Spline("y", over="T", knots=(knots, "K"), value="1 W/m/K")
    values = rng.normal(1.0, 0.5, n)
    x = np.linspace(knots[0], knots[-1], 301)
    assert np.abs(spline.at(x, values)[0] - CubicSpline(knots, values, bc_type="natural")(x)).max() < 1e-12
    for beyond in (knots[-1] + np.array([0.0, 100.0, 200.0]), knots[0] - np.array([0.0, 100.0, 200.0])):
        ends = spline.at(beyond, values)[0]
        assert abs(ends[0] - 2.0 * ends[1] + ends[2]) < 1e-11
    assert np.allclose(spline.basis(knots), np.eye(n), atol=1e-12)


def test_an_expression_has_the_same_numbers_as_the_arrays() -> None:
    """The expression over plain numbers and the array form agree, for the spline and for that of the logarithm."""
    for log in (False, True):
        spline = film(log=log)
        values = [Expression(p.value, p.unit.dimension) for p in spline.parameters]
        for x in (280.0, 293.15, 333.0, 500.0, 673.15, 700.0):
            own = spline.of(Expression(x, KELVIN), values).magnitude
            assert own == pytest.approx(spline.at([x], [p.value for p in spline.parameters])[0, 0], rel=1e-13)


def test_a_spline_of_the_logarithm_stays_above_zero_and_passes_its_values() -> None:
    """Values that swing over two decades give a function above zero that meets them at the knots."""
    spline = film(log=True)
    values = np.array([1.0, 200.0, 1.0, 150.0])
    x = np.linspace(250.0, 700.0, 500)
    assert spline.at(x, values).min() > 0.0
    assert film().at(x, values).min() < 0.0
    assert np.allclose(spline.at(spline.knots, values)[0], values, rtol=1e-12)


def test_units_are_those_of_knots_and_values() -> None:
    """An argument in another unit, a bare number, knots that do not ascend and log without bounds are refused."""
    spline = film()
    assert (spline.unit.text, spline.argument_unit.text, spline.names[0]) == ("W/m^2/K", "degC", "film_1")
    m = pt.ProcessBuilder("model", version="1.0")
    with pytest.raises(pt.UnitError, match=r'"film" has its knots in degC, and its argument is in s'):
        m.function(spline, of=m.time)
    with pytest.raises(pt.UnitError, match="knots of film"):
        film(knots="20 degC")
    with pytest.raises(pt.ModelError, match="two or more that ascend"):
        film(knots=([100.0, 20.0, 250.0, 400.0], "degC"))
    with pytest.raises(pt.ShapeError, match="3 quantities for 4 places"):
        film(value=["1 W/m^2/K"] * 3)
    with pytest.raises(pt.BoundsError, match="lower end above zero"):
        film(log=True, bounds=None)


def test_a_spline_travels_to_workers() -> None:
    """Pickled, it is equal and computes the same."""
    spline = film()
    spline.basis([300.0])
    copy = pickle.loads(pickle.dumps(spline))  # noqa: S301 -- our own object
    assert copy == spline
    assert np.array_equal(copy.basis([300.0, 500.0]), spline.basis([300.0, 500.0]))


def test_sensitivities_of_a_process_model_with_a_spline_hold_the_contract(spawned: ProcessPoolExecutor) -> None:
    """The values at the knots are ordinary parameters: exact derivatives, where the state starts on a knot."""
    recipe, times = pt.Recipe.constant(duration="30 min"), np.array([0.0, 60.0, 600.0])
    pt.check_model(cooling(film()), recipe=recipe, times=times, executor=spawned)


def test_a_function_may_be_asked_at_two_places() -> None:
    """Its values are declared once."""
    m = pt.ProcessBuilder("two_lumps", version="1.0")
    spline = film()
    for name in ("a", "b"):
        state = m.state(name, "degC", initial="300 degC")
        m.rate(state, -m.function(spline, of=state) * (state - "20 degC") * "0.1 m^2" / m.constant("2 kJ/K"))
        m.output(name, state)
    assert m.build().parameters.names == (*spline.names, "initial.a", "initial.b")


def test_a_function_of_time_heats_as_much_as_its_integral() -> None:
    """A lump without losses takes up the integral of the power, which is known for a spline."""
    power = pt.Spline("power", over="t", knots=([0.0, 2.0, 5.0, 10.0], "min"), value=([1.0, 4.0, 2.0, 3.0], "kW"))
    m = pt.ProcessBuilder("kettle", version="1.0")
    temperature = m.state("temperature", "degC", initial="20 degC")
    m.rate(temperature, m.function(power, of=m.time) / m.constant("20 kJ/K"))
    m.output("temperature", temperature)
    run = pt.simulate(m.build(), ([10.0], "min"), pt.Recipe.constant(duration="10 min"))
    by_hand = CubicSpline(power.knots, [p.value for p in power.parameters], bc_type="natural").integrate(0.0, 600.0)
    # The integrator's relative tolerance is 1e-6 of some 370 K.
    assert run.in_units()["temperature"].values[-1] == pytest.approx(20.0 + by_hand / 20e3, abs=2e-3)
