"""Lethality and equivalent times against closed forms."""

import numpy as np
import pytest
from scipy.special import expi

from physics_twin.envelope import Limit, equivalent_time, lethality
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.limits.reductions import UPPER
from physics_twin.errors import EnvelopeError, UnitError
from physics_twin.signals import Signal
from physics_twin.units import unit

DEGC = unit("degC")
R = 8.31446261815324


def course(function, n=33, end=1800.0):
    t = end * (np.arange(n) / (n - 1)) ** 1.5
    return t[None], function(t)[None]


@pytest.mark.parametrize(("celsius", "minutes"), [(121.1, 30.0), (111.1, 3.0), (131.1, 300.0)])
def test_ten_kelvin_are_a_factor_of_ten_of_f0(celsius, minutes):
    t, y = course(lambda t: 273.15 + celsius + 0.0 * t)
    assert lethality()(t, y, UPPER, DEGC)[0] / 60.0 == pytest.approx(minutes, rel=1e-10)


@pytest.mark.parametrize("rise", [1.0, 40.0, 400.0])
def test_the_lethality_of_a_ramp_is_the_integral_of_an_exponential(rise):
    """int 10^((a + b t - T_ref)/z) dt = z / (b ln 10) (10^(end) - 10^(begin)); 400 K are 40 decades, most of them
    within the last interval."""
    low, end = 273.15 + 100.0, 1800.0
    t, y = course(lambda t: low + rise * t / end)
    begin, last = ((x - 394.25) / 10.0 for x in (low, low + rise))
    exact = 10.0 / (rise / end * np.log(10.0)) * (10.0**last - 10.0**begin)
    assert lethality()(t, y, UPPER, DEGC)[0] == pytest.approx(exact, rel=1e-9)


def test_the_sum_over_phases_is_that_of_its_parts_and_a_jump_adds_nothing():
    t = np.array([[0.0, 300.0, 600.0, 600.0, 900.0, 1200.0]])
    y = np.array([[111.1, 111.1, 111.1, 121.1, 121.1, 121.1]]) + 273.15
    assert lethality()(t, y, UPPER, DEGC)[0] == pytest.approx(60.0 + 600.0, rel=1e-10)


def test_a_smooth_course_converges_with_fourth_order():
    """A hump of 30 K: the temperature between samples is a cubic of error h^4, h^3 beside the ends of the run."""

    def found(n):
        t = np.linspace(0.0, 1800.0, n)
        return lethality()(t[None], (273.15 + 91.1 + 30.0 * np.sin(np.pi * t / 1800.0))[None], UPPER, DEGC)[0]

    exact = found(4097)
    errors = np.array([abs(found(n) / exact - 1.0) for n in (17, 33, 65)])
    assert np.log2(errors[:-1] / errors[1:]).min() > 2.7
    assert errors[1] < 1e-3


def test_the_equivalent_time_at_a_constant_temperature_is_arrhenius():
    t, y = course(lambda t: 453.15 + 0.0 * t)
    factor = np.exp(-80e3 / R * (1.0 / 453.15 - 1.0 / 433.15))
    over = equivalent_time(activation_energy="80 kJ/mol", reference="160 degC")
    assert over(t, y, UPPER, DEGC)[0] == pytest.approx(1800.0 * factor, rel=1e-10)


@pytest.mark.parametrize("energy", [80e3, 400e3])
def test_the_equivalent_time_of_a_ramp_is_an_exponential_integral(energy):
    """int exp(-E/(R T)) dT = T exp(-E/(R T)) + E/R Ei(-E/(R T))."""
    low, high, end, reference = 293.15, 493.15, 1800.0, 433.15
    t, y = course(lambda t: low + (high - low) * t / end)
    e = energy / R

    def primitive(x):
        return x * np.exp(-e / x) + e * expi(-e / x)

    exact = end / (high - low) * np.exp(e / reference) * (primitive(high) - primitive(low))
    over = equivalent_time(activation_energy=(energy, "J/mol"), reference=(reference, "K"))
    assert over(t, y, UPPER, DEGC)[0] == pytest.approx(exact, rel=1e-8)


def test_without_activation_energy_the_equivalent_time_is_the_time():
    t, y = course(lambda t: 300.0 + 0.1 * t)
    over = equivalent_time(activation_energy="0 J/mol", reference="20 degC")
    assert over(t, y, UPPER, DEGC)[0] == pytest.approx(1800.0, rel=1e-12)


def test_a_course_without_numbers_has_none():
    t, y = course(lambda t: 300.0 + 0.0 * t)
    assert np.isnan(lethality()(t, np.full_like(y, np.nan), UPPER, DEGC)[0])
    assert np.isnan(lethality()(t, y - 400.0, UPPER, DEGC)[0])


@pytest.mark.parametrize("over", [lethality(), equivalent_time(activation_energy="80 kJ/mol", reference="180 degC")])
def test_what_is_no_temperature_is_refused_where_the_limit_meets_the_model(over):
    outputs = (Signal("pressure", "bar"), Signal("core", "degC"), Signal("spread", "delta_degC"))
    (requirement,) = bind_limits([Limit("core", lower="12 min", over=over)], outputs)
    assert requirement.level == pytest.approx(720.0)
    for wrong in ("pressure", "spread"):
        with pytest.raises(UnitError, match="temperature"):
            bind_limits([Limit(wrong, lower="12 min", over=over)], outputs)
    with pytest.raises(UnitError, match="min"):
        bind_limits([Limit("core", lower="12 K", over=over)], outputs)


def test_f0_is_named_with_its_reference_and_z():
    (requirement,) = bind_limits([Limit("core", lower="12 min", over=lethality())], (Signal("core", "degC"),))
    assert requirement.name == "lethality of core (at 121.1 degC, z = 10 K) >= 12 min"


def test_wrong_arguments_are_named():
    with pytest.raises(UnitError, match="lethality: z"):
        lethality(z="10 min")
    with pytest.raises(EnvelopeError, match="z = -10 K"):
        lethality(z="-10 K")
    with pytest.raises(UnitError, match="activation_energy"):
        equivalent_time(activation_energy="80 kJ", reference="180 degC")
    with pytest.raises(EnvelopeError, match="below zero"):
        equivalent_time(activation_energy="-1 kJ/mol", reference="180 degC")
