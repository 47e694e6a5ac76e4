"""Guesses of units: what the export states comes first, then the name, then the letters of the tag with the range."""

import numpy as np
import pytest

from physics_twin.measurements.inspection.likely_units import likely_units
from physics_twin.units import unit


def spread(low: float, high: float) -> np.ndarray:
    """Values between two limits."""
    return np.linspace(low, high, 200)


@pytest.mark.parametrize(
    ("tag", "low", "high", "wanted"),
    [
        ("31TI004.PV", 18.0, 60.0, ("degC",)),
        ("TT-101", 290.0, 360.0, ("K", "degC", "degF")),
        ("TIC101.SP", 70.0, 212.0, ("degC", "degF")),
        ("PI_202", 1.0, 6.0, ("bar", "barg", "MPa")),
        ("PT7", 9.9e4, 1.1e5, ("Pa",)),
        ("PDI-3", 990.0, 1020.0, ("mbar", "hPa")),
        ("LIC12.PV", 3.0, 97.0, ("percent",)),
        ("LI12", 0.02, 0.9, ("1", "m")),
        ("FIC101.OP", 0.0, 100.0, ("percent",)),
        ("SI100", 0.0, 1450.0, ("rpm",)),
        ("WI-4", 800.0, 1200.0, ("kg", "t")),
        ("core temperature", 20.0, 900.0, ("degC",)),
        ("Füllstand B2", 4.0, 88.0, ("percent",)),
    ],
)
def test_the_letters_of_a_tag_and_its_range_say_a_unit(
    tag: str, low: float, high: float, wanted: tuple[str, ...]
) -> None:
    """Likeliest first, each a unit of this library, and the reason quotes the name and the range."""
    found = likely_units(tag, "", spread(low, high))
    assert tuple(one.unit for one in found) == wanted
    assert not any(one.stated for one in found)
    assert all(str(unit(one.unit)) for one in found)
    assert "98 % of the values" in found[0].reason


@pytest.mark.parametrize(
    "tag", ["FI101", "AI3", "BATCH", "STIRRER", "TOTAL", "Pump 3", "PHASE.ID", "31YS001", "valve_in"]
)
def test_nothing_is_guessed_where_nothing_speaks_for_it(tag: str) -> None:
    """Flows and analyses cannot be told from numbers; words that begin like a tag are none."""
    assert likely_units(tag, "", spread(0.0, 50.0)) == ()


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        ("T1 [degC]", "degC"),
        ("Druck (bar)", "bar"),
        ("Leistung kW", "kW"),
        ("flow_m3/h", "m3/h"),
        ("F in L/min", "L/min"),
    ],
)
def test_a_unit_in_the_name_counts_as_stated(tag: str, wanted: str) -> None:
    """In brackets any unit, as the last word only what can be nothing else."""
    (found,) = likely_units(tag, "", spread(0.0, 1.0))
    assert found.unit == wanted and found.stated


@pytest.mark.parametrize("tag", ["T (1)", "valve_in", "time_s", "sensor C", "T [left]"])
def test_short_words_at_the_end_of_a_name_are_no_units(tag: str) -> None:
    """An inlet is no inch, the first sensor no number."""
    assert not any(one.stated for one in likely_units(tag, "", spread(0.0, 1.0)))


def test_what_the_export_states_is_kept_and_doubted_when_it_is_no_unit() -> None:
    """Stated wins over the letters; a text that is no unit is named as such."""
    (found,) = likely_units("TI1", "°C", spread(300.0, 310.0))
    assert (found.unit, found.stated, found.reason) == ("°C", True, "the export says so")
    (found,) = likely_units("TI1", "Celsisus", spread(300.0, 310.0))
    assert "no unit here" in found.reason
    (found,) = likely_units("TI1", "Grad", spread(300.0, 310.0))  # of an angle
    assert "no unit of temperature" in found.reason


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [("DEG C", "DEG C"), ("DEGC", "degC"), ("deg C", "deg C"), ("GPM", "GPM"), ("PSIG", "psig"), ("M3/H", "m^3/h")],
)
def test_a_printed_spelling_becomes_a_unit_that_can_be_declared(stated: str, wanted: str) -> None:
    """What inspect writes in the tag table is read by `Unit`, and means what the export says."""
    (found,) = likely_units("XX1", stated, spread(1.0, 5.0))
    assert (found.unit, found.stated) == (wanted, True)
    assert unit(found.unit).dimension != unit("C").dimension


@pytest.mark.parametrize(("stated", "wanted"), [("C", "degC"), ("F", "degF"), ("U/min", "rpm"), ("U/MIN", "rpm")])
def test_what_can_be_read_in_two_ways_is_only_suggested(stated: str, wanted: str) -> None:
    """In a row of units and in the name; the reason says what else it is."""
    for tag, text in (("XX1", stated), (f"XX1 ({stated})", "")):
        (found,) = likely_units(tag, text, spread(1.0, 5.0))
        assert (found.unit, found.stated) == (wanted, False)
        assert f'the export says "{stated}"' in found.reason


def test_a_column_without_numbers_has_no_likely_unit() -> None:
    """No values, no guess."""
    assert likely_units("TI1", "", np.array([np.nan])) == ()
