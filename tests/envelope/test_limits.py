"""Limits: units, names, contradictions."""

import numpy as np
import pytest

from physics_twin.envelope import Fault, Limit, at, final, integral, lethality, mean, path, peak, rate, time_above
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.errors import BoundsError, EnvelopeError, UnitError, UnknownNameError
from physics_twin.signals import Signal

OUTPUTS = (Signal("core_temperature", "degC"), Signal("dimer", "percent"))
INPUTS = (Signal("gas_temperature", "degC", upper="1200 degC"), Signal("flow", "L/min"))


def test_a_limit_is_bound_in_si_and_named_in_declared_units():
    (requirement,) = bind_limits([Limit("core_temperature", lower="860 degC", over=final)], OUTPUTS)
    assert requirement.level == pytest.approx(1133.15)
    assert requirement.name == "final core_temperature >= 860 degC"
    assert requirement.format(5.0) == "5 K"  # a margin is a difference


def test_a_limit_is_shown_in_the_unit_in_which_it_was_given():
    """450 MPa on a stress in Pa stay 450 MPa, each side in its own unit."""
    stress = Signal("stress", "Pa")
    (requirement,) = bind_limits([Limit("stress", upper="450 MPa", over=peak)], (stress,))
    assert requirement.level == 450e6
    assert requirement.name == "peak stress <= 450 MPa"
    assert requirement.format(2.5e6) == "2.5 MPa"
    both = bind_limits([Limit("stress", lower="90 MPa", upper=(0.45, "GPa"))], (stress,))
    assert [r.unit.text for r in both] == ["MPa", "GPa"]
    assert {r.limit for r in both} == {"stress from 90 MPa to 0.45 GPa"}
    (kelvin,) = bind_limits([Limit("core_temperature", upper="900 K")], OUTPUTS)
    assert kelvin.name == "core_temperature <= 900 K"
    with pytest.raises(EnvelopeError, match=r"at least 600 MPa and at most 0\.5 GPa"):
        bind_limits([Limit("stress", lower="600 MPa", upper="0.5 GPa")], (stress,))


def test_two_sides_become_two_requirements():
    found = bind_limits([Limit("dimer", lower="1 percent", upper="5 percent", over=peak, name="dimer band")], OUTPUTS)
    assert [r.name for r in found] == ["dimer band (lower)", "dimer band (upper)"]
    t, y = np.array([[0.0, 1.0]]), np.array([[[300.0, 0.02], [300.0, 0.04]]])
    assert [r.margins(t, y)[0] for r in found] == pytest.approx([0.01, 0.01])


@pytest.mark.parametrize(
    ("limit", "level"),
    [
        (Limit("core_temperature", lower="30 min", over=time_above("860 degC")), 1800.0),
        (Limit("core_temperature", upper="2 K*h", over=integral), 7200.0),
        (Limit("dimer", upper="300 percent*s", over=integral), 3.0),
        (Limit("core_temperature", upper="950 degC", over=at("20 min")), 1223.15),
        (Limit("core_temperature", upper="2 K/min", over=lambda t, y: 0.0, unit="K/min"), 2.0 / 60.0),
        (Limit("core_temperature", upper="6 K/min", over=rate), 0.1),
        (Limit("core_temperature", lower="-6 degC/min", over=rate(over="5 min")), -0.1),
        (Limit("dimer", upper="3 percent/min", over=rate), 0.03 / 60.0),
    ],
)
def test_each_reduction_takes_its_own_unit(limit, level):
    (requirement,) = bind_limits([limit], OUTPUTS)
    assert requirement.level == pytest.approx(level)


@pytest.mark.parametrize("unit", ["degC*min", "degC min", "°C*h", "degF*min", "delta_degC*s"])
def test_the_integral_of_a_temperature_is_not_asked_for_in_degrees_of_a_scale(unit):
    """12000 degC*min would be taken as K*min of the absolute temperature, a quarter of what was meant."""
    for side in ("lower", "upper"):
        with pytest.raises(UnitError, match=rf'^{side} limit on integral of core_temperature: 12000 .*"K\*min"'):
            bind_limits([Limit("core_temperature", **{side: f"12000 {unit}"}, over=integral)], OUTPUTS)
    with pytest.raises(UnitError, match="output for that difference in K"):
        bind_limits(
            [Limit("core_temperature", upper=(12000.0, unit), over=integral)], (Signal("core_temperature", "K"),)
        )


def test_the_integral_of_a_difference_may_be_in_degrees():
    """1 degC*min over a reference is 60 K*s; so is the noise of an integral, which is a difference."""
    (found,) = bind_limits([Limit("excess", upper="1 degC*min", over=integral)], (Signal("excess", "delta_degC"),))
    assert found.level == pytest.approx(60.0)
    film = (Signal("film", "W/m^2/degC"),)
    assert bind_limits([Limit("film", upper="90 J/m^2/degC", over=integral)], film)[0].level == pytest.approx(90.0)
    limit = Limit("core_temperature", upper="2 K*h", over=integral, reported="1 degC*min")
    assert bind_limits([limit], OUTPUTS, ())[0].noise == pytest.approx(60.0)


def test_a_gauge_pressure_has_no_integral():
    """Its zero is the pressure of the air, which would be left out without a word."""
    with pytest.raises(UnitError, match="give the model an output in bar, of the absolute pressure or of the excess"):
        bind_limits([Limit("p", upper="5 bar*min", over=integral)], (Signal("p", "barg"),))
    assert bind_limits([Limit("p", upper="5 bar*s", over=integral)], (Signal("p", "bar"),))[0].level == 5e5


def test_an_unknown_output_names_the_nearest():
    with pytest.raises(UnknownNameError, match='did you mean "core_temperature"'):
        bind_limits([Limit("core_temprature", upper="900 degC")], OUTPUTS)


def test_a_wrong_unit_names_both():
    with pytest.raises(UnitError, match="degC"):
        bind_limits([Limit("core_temperature", upper="5 bar")], OUTPUTS)
    with pytest.raises(UnitError, match="degC"):
        bind_limits([Limit("core_temperature", upper=900)], OUTPUTS)


def test_contradictory_limits_are_refused():
    with pytest.raises(EnvelopeError, match="at least 6 percent and at most 5 percent"):
        bind_limits([Limit("dimer", lower="6 percent", upper="5 percent")], OUTPUTS)
    two = [Limit("dimer", lower="6 percent", over=final), Limit("dimer", upper="5 percent", over=final)]
    with pytest.raises(EnvelopeError, match="contradict"):
        bind_limits(two, OUTPUTS)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (Limit("dimer", lower="6 percent", over=final), Limit("dimer", upper="5 percent", over=peak)),
        (Limit("dimer", lower="6 percent", over=at("1 h")), Limit("dimer", upper="5 percent")),
        (Limit("dimer", lower="6 percent", over=mean), Limit("dimer", upper="5 percent", over=path)),
        (Limit("dimer", lower="6 percent", over=path), Limit("dimer", upper="5 percent", over=final)),
        (Limit("dimer", lower="6 percent", over=peak), Limit("dimer", upper="5 percent", over=path)),
        (
            Limit("dimer", lower="2 percent/min", over=rate),
            Limit("dimer", upper="1 percent/min", over=rate(over="1 h")),
        ),
        (
            Limit("core_temperature", lower="30 min", over=time_above("860 degC")),
            Limit("core_temperature", upper="850 degC"),
        ),
    ],
)
def test_what_no_run_can_do_is_refused_across_reductions(low, high):
    with pytest.raises(EnvelopeError, match="contradict"):
        bind_limits([low, high], OUTPUTS)
    with pytest.raises(EnvelopeError, match="contradict"):
        bind_limits([high, low], OUTPUTS)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (Limit("dimer", lower="6 percent", over=final), Limit("dimer", upper="5 percent", over=at("1 h"))),
        (Limit("dimer", lower="6 percent", over=final), Limit("dimer", upper="5 percent", over=mean)),
        (Limit("core_temperature", lower="860 degC"), Limit("dimer", upper="5 percent")),
        (
            Limit("core_temperature", lower="30 min", over=time_above("850 degC")),
            Limit("core_temperature", upper="860 degC"),
        ),
    ],
)
def test_what_some_run_can_do_is_not_refused(low, high):
    assert len(bind_limits([low, high], OUTPUTS)) == 2


def test_limits_under_different_circumstances_do_not_contradict():
    low = Limit("dimer", lower="6 percent", over=final)
    high = Limit("dimer", upper="5 percent", over=peak, under=Fault("flow", "0 L/min"))
    assert len(bind_limits([low, high], OUTPUTS, INPUTS)) == 2
    with pytest.raises(EnvelopeError, match="contradict"):
        bind_limits([Limit("dimer", lower="6 percent", over=final, under=high.under), high], OUTPUTS, INPUTS)


def test_a_time_is_never_below_zero():
    for over in (time_above("860 degC"), lethality()):
        with pytest.raises(EnvelopeError, match="never below zero"):
            bind_limits([Limit("core_temperature", upper="-1 min", over=over)], OUTPUTS)


def test_a_limit_without_a_bound_or_unit_or_reduction_is_refused():
    with pytest.raises(EnvelopeError, match="limits nothing"):
        Limit("dimer")
    with pytest.raises(EnvelopeError, match="unit="):
        Limit("dimer", upper="1 percent", over=lambda t, y: 0.0)
    with pytest.raises(EnvelopeError, match="no reduction"):
        Limit("dimer", upper="1 percent", over="final")
    with pytest.raises(EnvelopeError, match="at least one limit"):
        bind_limits([], OUTPUTS)


def test_two_limits_of_one_name_are_refused():
    with pytest.raises(EnvelopeError, match="two limits are called"):
        bind_limits([Limit("dimer", upper="5 percent"), Limit("dimer", upper="5 percent")], OUTPUTS)


def test_a_name_is_that_of_one_limit_alone():
    """Also where one of the two has both sides, and so names of its own for them."""
    both = Limit("dimer", lower="1 percent", upper="5 percent", name="dimer")
    with pytest.raises(EnvelopeError, match='two limits are called "dimer"'):
        bind_limits([both, Limit("core_temperature", upper="900 degC", name="dimer")], OUTPUTS)


def test_the_two_sides_of_a_limit_have_one_name_together():
    """A limit with a probability of its own is one group, whether somebody named it or not."""
    found = bind_limits([Limit("dimer", lower="1 percent", upper="5 percent", probability=0.99)], OUTPUTS)
    assert {r.limit for r in found} == {"dimer from 1 percent to 5 percent"}


def test_what_is_no_limit_is_refused():
    with pytest.raises(EnvelopeError, match="is no limit"):
        bind_limits(["core_temperature < 900 degC"], OUTPUTS)


def test_the_noise_of_a_reported_value_is_a_difference_in_the_unit_of_its_number():
    (found,) = bind_limits([Limit("core_temperature", upper="900 degC", over=final, reported="2 degC")], OUTPUTS, ())
    assert found.noise == pytest.approx(2.0)
    assert found.name == "reported final core_temperature <= 900 degC"
    (found,) = bind_limits([Limit("core_temperature", upper="2 K*h", over=integral, reported="60 K*s")], OUTPUTS, ())
    assert found.noise == pytest.approx(60.0)
    with pytest.raises(UnitError, match="measurement noise"):
        bind_limits([Limit("core_temperature", upper="900 degC", reported="2 bar")], OUTPUTS, ())
    for wrong in ("0 degC", "-2 degC"):
        with pytest.raises(EnvelopeError, match=f"core_temperature: {wrong}; a standard deviation"):
            bind_limits([Limit("core_temperature", upper="900 degC", reported=wrong)], OUTPUTS, ())


def test_the_sides_of_a_band_share_a_reading_and_extremes_have_two():
    band = {"lower": "1 percent", "upper": "5 percent", "reported": "0.1 percent"}
    assert len({r.reading for r in bind_limits([Limit("dimer", over=final, **band)], OUTPUTS, ())}) == 1
    assert len({r.reading for r in bind_limits([Limit("dimer", over=peak, **band)], OUTPUTS, ())}) == 2


def test_who_cannot_honor_noise_or_a_fault_does_not_ignore_it():
    with pytest.raises(EnvelopeError, match="reported"):
        bind_limits([Limit("dimer", upper="5 percent", reported="1 percent")], OUTPUTS)
    with pytest.raises(EnvelopeError, match="under"):
        bind_limits([Limit("dimer", upper="5 percent", under=Fault("flow", "0 L/min"))], OUTPUTS)


def test_a_fault_is_named_with_its_limit():
    fault = Fault("flow", "0 L/min", lasts="10 min")
    (found,) = bind_limits([Limit("dimer", upper="5 percent", under=fault)], OUTPUTS, INPUTS)
    assert found.name == "dimer <= 5 percent under flow = 0 L/min for 10 min from any moment on"
    fault = Fault("gas_temperature", "20 degC", at="20 min")
    (found,) = bind_limits([Limit("dimer", upper="5 percent", under=fault)], OUTPUTS, INPUTS)
    assert found.name == "dimer <= 5 percent under gas_temperature = 20 degC from 20 min on"


@pytest.mark.parametrize(
    ("fault", "error", "match"),
    [
        (Fault("flwo", "0 L/min"), UnknownNameError, 'did you mean "flow"'),
        (Fault("flow", "0 K"), UnitError, "the fault of flow"),
        (Fault("gas_temperature", "1300 degC"), BoundsError, "gas_temperature"),
    ],
)
def test_a_fault_that_this_model_cannot_have(fault, error, match):
    with pytest.raises(error, match=match):
        bind_limits([Limit("dimer", upper="5 percent", under=fault)], OUTPUTS, INPUTS)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"at": "any"}, EnvelopeError, r'at="any" is no time; write at=pt\.any_moment'),
        ({"at": "any moment"}, EnvelopeError, r"write at=pt\.any_moment"),
        ({"at": "20 K"}, UnitError, r'the fault of flow: at: "20 K" is in K'),
        ({"at": 20}, UnitError, 'for example "20 s"'),
        ({"at": "-1 min"}, EnvelopeError, r"at = -1 min is before the run"),
        ({"lasts": "-5 min"}, EnvelopeError, r'lasts = -5 min; .* for example lasts="10 min"'),
        ({"lasts": (0.0, "min")}, EnvelopeError, "lasts = 0 min"),
        ({"lasts": "5 degC"}, UnitError, r'the fault of flow: lasts: "5 degC" is in degC'),
        ({"value": "off"}, UnitError, 'the fault of flow: "off" does not begin with a number'),
        ({"moments": 1}, EnvelopeError, "moments = 1"),
        ({"moments": "16"}, EnvelopeError, "a whole number"),
    ],
)
def test_a_fault_that_no_model_can_have_is_refused_where_it_is_written(given, error, match):
    with pytest.raises(error, match=match):
        Fault("flow", **{"value": "0 L/min", **given})


def test_a_bound_that_is_no_quantity_is_refused_where_it_is_written():
    with pytest.raises(UnitError, match=r'core_temperature: upper limit: unknown unit "degc"; did you mean "degC"'):
        Limit("core_temperature", upper="90 degc")
    with pytest.raises(UnitError, match=r'core_temperature: lower limit: "hot" does not begin with a number'):
        Limit("core_temperature", lower="hot")
    with pytest.raises(UnitError, match="reported="):
        Limit("core_temperature", upper="90 degC", reported="small")


@pytest.mark.parametrize("written", ["90 °C", "90 ℃", "90°C", "90 deg C", (90, "degC")])
def test_degrees_are_read_as_people_write_them(written):
    (found,) = bind_limits([Limit("core_temperature", upper=written)], OUTPUTS)
    assert found.level == pytest.approx(363.15)
    assert found.name == "core_temperature <= 90 degC"


def test_a_limit_under_something_else_than_a_fault():
    with pytest.raises(EnvelopeError, match="is no fault"):
        Limit("dimer", upper="5 percent", under="flow")
