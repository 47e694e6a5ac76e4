"""Signals and settings: declared units, bounds in them, SI inside."""
# ruff: noqa: S301 -- our own objects, pickled as they are between worker processes

import dataclasses
import math
import pickle
from typing import Any

import pytest

from physics_twin.errors import BoundsError, PhysicsTwinError, UnitError, UnknownNameError
from physics_twin.signals import Setting, Signal
from physics_twin.units import Unit

SOAK = Setting("soak_temperature", "degC", bounds=(880, 960), description="set point")
HOLD = Setting("hold_time", "min", bounds=(20, "2 h"), value=30)


def test_a_setting_takes_bare_numbers_in_its_declared_unit() -> None:
    """And quantities; afterwards it holds SI."""
    assert SOAK.bounds == (1153.15, 1233.15) and SOAK.value is None and SOAK.unit == Unit("degC")
    assert HOLD.bounds == (1200.0, 7200.0) and HOLD.value == 1800.0
    assert SOAK.to_si(900) == SOAK.to_si("900 degC") == SOAK.to_si("1173.15 K") == 1173.15
    assert SOAK.format(1173.15) == "900 degC"
    assert Setting("x", "1").bounds == (-math.inf, math.inf)


def test_a_signal_has_a_unit_and_a_range() -> None:
    """Open ends are infinite."""
    s = Signal("gas_temperature", "degC", lower="250 K", upper=1200)
    assert s.bounds == (s.lower, s.upper) == (250.0, 1473.15)
    assert Signal("flow", "kg/h").bounds == (-math.inf, math.inf)
    assert s.to_si("20 degC") == 293.15 and s.format(293.15) == "20 degC"


@pytest.mark.parametrize("declared", [SOAK, HOLD, Signal("gas_temperature", "degC", upper=1200)])
def test_declarations_are_values(declared: Any) -> None:
    """Immutable, comparable, hashable, picklable; dataclasses.replace, which would convert twice, fails."""
    assert pickle.loads(pickle.dumps(declared)) == declared and hash(declared) == hash(declared)
    with pytest.raises(dataclasses.FrozenInstanceError):
        declared.name = "x"
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(declared, description="x")


def test_a_setting_is_copied_by_change() -> None:
    """Bounds and value keep their SI numbers."""
    assert HOLD.replace() == HOLD and HOLD.replace(unit="h").bounds == HOLD.bounds
    fixed = SOAK.replace(value=900)
    assert fixed.value == 1173.15 and fixed.bounds == SOAK.bounds
    with pytest.raises(UnknownNameError, match='did you mean "bounds"'):
        HOLD.replace(bound=(1, 2))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Setting("hold time", "min"), "letters"),
        (lambda: Setting("initial.x", "min"), "letters"),
        (lambda: Setting("x", "mn"), "x: unknown unit|x: .*unit"),
        (lambda: Setting("x", 5), "x: a unit is a text"),  # type: ignore[arg-type]
        (lambda: Setting("x", "min", bounds=(5, 4)), "not below"),
        (lambda: Setting("x", "min", bounds=("5 kg", None)), "x: lower bound: .*is in kg"),
        (lambda: Setting("x", "min", bounds=(1, 2), value=3), r"x = 3 min is outside \[1, 2\] min"),
        (lambda: Signal("class", "min"), "keyword"),
        (lambda: Signal("x", "degC", lower=5, upper="5 degC"), "not below"),
        (lambda: SOAK.to_si("900 K"), r"soak_temperature = 626.85 degC is outside \[880, 960\] degC"),
        (lambda: SOAK.to_si(1000), "outside"),
        (lambda: SOAK.to_si("5 bar"), "soak_temperature: .*is in bar"),
    ],
)
def test_wrong_declarations_are_errors_where_they_are_written(make: Any, reason: str) -> None:
    """Name, unit, bounds, value."""
    with pytest.raises(PhysicsTwinError, match=reason):
        make()


def test_the_kind_of_error_says_the_kind_of_mistake() -> None:
    """Unit against bounds."""
    with pytest.raises(UnitError):
        SOAK.to_si("5 bar")
    with pytest.raises(BoundsError):
        SOAK.check(300.0)


def test_reprs_show_units() -> None:
    """What a person declared."""
    assert repr(SOAK) == "Setting('soak_temperature', 'degC', bounds=[880, 960] degC)"
    assert repr(HOLD) == "Setting('hold_time', 'min', bounds=[20, 120] min, value='30 min')"
    assert repr(Signal("p", "barg", lower=0)) == "Signal('p', 'barg', [0, inf] barg)"
