"""Tolerance classes against the numbers that the standards and the makers' tables print."""

import pytest

from physics_twin.errors import BoundsError, DataError, UnknownNameError
from physics_twin.measurements.tags.tolerances import pt100_tolerance, thermocouple_tolerance


@pytest.mark.parametrize(
    ("type", "tolerance_class", "celsius", "limit"),
    [
        ("K", 1, 100, 1.5),  # below 375 degC the constant is the greater one
        ("K", 1, 375, 1.5),
        ("K", 1, 1000, 4.0),
        ("K", 2, 333, 2.5),
        ("K", 2, 1200, 9.0),
        ("K", 3, -200, 3.0),
        ("N", 2, 1000, 7.5),
        ("J", 1, 750, 3.0),
        ("T", 1, 350, 1.4),
        ("T", 3, -200, 3.0),
        ("E", 2, 900, 6.75),
        ("S", 1, 1100, 1.0),
        ("R", 1, 1600, 2.5),  # 1 + 0.003 (1600 - 1100)
        ("S", 2, 600, 1.5),
        ("R", 2, 1600, 4.0),
        ("B", 2, 1700, 4.25),
        ("B", 3, 600, 4.0),
        ("B", 3, 1700, 8.5),
    ],
)
def test_thermocouples_have_the_limits_of_iec_60584(
    type: str, tolerance_class: int, celsius: float, limit: float
) -> None:
    """Constants, shares of the temperature, and where one takes over from the other."""
    assert thermocouple_tolerance(type, tolerance_class).limit(celsius) == pytest.approx(limit, rel=1e-12)


@pytest.mark.parametrize(
    ("tolerance_class", "celsius", "limit"),
    [
        # Printed in tables of IEC 60751 for classes A and B:
        ("A", -100, 0.35), ("A", 0, 0.15), ("A", 400, 0.95),
        ("B", -100, 0.8), ("B", 0, 0.3), ("B", 100, 0.8), ("B", 600, 3.3),
        ("AA", 250, 0.525), ("C", 600, 6.6),
    ],
)  # fmt: skip
def test_platinum_thermometers_have_the_limits_of_iec_60751(tolerance_class: str, celsius: float, limit: float) -> None:
    """A sum, not the greater of two; below zero it grows again."""
    assert pt100_tolerance(tolerance_class).limit(celsius) == pytest.approx(limit, rel=1e-12)


def test_outside_its_range_a_class_promises_nothing() -> None:
    """Film resistors have narrower ranges than wound ones."""
    with pytest.raises(BoundsError, match="1050 degC is outside -40 to 1000 degC, where type K, class 1"):
        thermocouple_tolerance("K", 1).limit(1050.0)
    assert pt100_tolerance("A").limit(440.0) > 0.0
    with pytest.raises(BoundsError, match="-30 to 300 degC, where Pt100, class A, film"):
        pt100_tolerance("A", film=True).limit(440.0)


def test_what_the_standards_do_not_have_is_refused() -> None:
    """With what there is instead."""
    with pytest.raises(DataError, match="no class 1 for type B, only 2 and 3"):
        thermocouple_tolerance("B", 1)
    with pytest.raises(UnknownNameError, match="thermocouple type"):
        thermocouple_tolerance("X", 1)
    with pytest.raises(UnknownNameError, match='"AAA"'):
        pt100_tolerance("AAA")
