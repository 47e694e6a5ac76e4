"""Limits: units, names, contradictions."""

import numpy as np
import pytest

from physics_twin.envelope import Limit, at, final, integral, peak, time_above
from physics_twin.envelope.limits import bind_limits
from physics_twin.errors import EnvelopeError, UnitError, UnknownNameError
from physics_twin.signals import Signal

OUTPUTS = (Signal("core_temperature", "degC"), Signal("dimer", "percent"))


def test_a_limit_is_bound_in_si_and_named_in_declared_units():
    (requirement,) = bind_limits([Limit("core_temperature", lower="860 degC", over=final)], OUTPUTS)
    assert requirement.level == pytest.approx(1133.15)
    assert requirement.name == "final core_temperature >= 860 degC"
    assert requirement.format(5.0) == "5 K"  # a margin is a difference


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
    ],
)
def test_each_reduction_takes_its_own_unit(limit, level):
    (requirement,) = bind_limits([limit], OUTPUTS)
    assert requirement.level == pytest.approx(level)


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
