"""Sensors: what a certificate says, applied to readings, and until when."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, strategies as st

from physics_twin.errors import BoundsError, DataError, UnitError
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.uncertainty import Uncertainty
from physics_twin.units import unit

DEGC = unit("degC")
TABLE = (("0 degC", "0.5 K"), ("500 degC", "-0.5 K"), ("1000 degC", "-2.5 K"))


def test_readings_are_corrected_between_the_points_of_the_certificate() -> None:
    """Straight lines between, the last correction held beyond, NaN stays NaN."""
    readings = np.array([-50.0, 0.0, 250.0, 750.0, 1000.0, 1100.0, np.nan]) + 273.15
    added = Sensor("TC-0417", TABLE).correct(readings) - readings
    np.testing.assert_allclose(added, [0.5, 0.5, 0.0, -1.5, -2.5, -2.5, np.nan], atol=1e-12)


def test_a_correction_is_a_difference_in_any_unit() -> None:
    """In degF, 1.8 of correction is 1 K, never 256 K."""
    sensor = Sensor("x1", (("32 degF", "1.8 degF"), ("212 degF", "0 degF")))
    assert sensor.correct(np.array([273.15]))[0] == pytest.approx(274.15)
    gauge = Sensor("p1", (("0 barg", "0.1 bar"), ("10 barg", "0.1 barg")))
    assert gauge.correct(np.array([5e5]))[0] == pytest.approx(5.1e5)


def test_without_a_certificate_readings_stay_as_they_are() -> None:
    """Bit for bit."""
    readings = np.array([300.1, np.nan])
    np.testing.assert_array_equal(Sensor("a1").correct(readings), readings)


def test_readings_beyond_the_certificate_are_counted() -> None:
    """Constant beyond its ends, and said."""
    sensor = Sensor("TC-0417", TABLE)
    readings = np.array([-50.0, 0.0, 1000.0, 1100.0, np.nan]) + 273.15
    assert sensor.beyond(readings, DEGC) == (
        "2 readings beyond the certificate of TC-0417 (0 degC to 1000 degC): corrected like its last point",
    )
    assert sensor.beyond(np.array([300.0]), DEGC) == ()
    with pytest.raises(UnitError, match=r"TC-0417.*used for bar"):
        sensor.beyond(readings, unit("bar"))


@given(st.lists(st.floats(-100.0, 1500.0), min_size=1, max_size=20))
def test_correction_never_leaves_what_the_certificate_states(celsius: list[float]) -> None:
    """Interpolation stays between the smallest and the largest correction."""
    readings = np.array(celsius) + 273.15
    added = Sensor("TC-0417", TABLE).correct(readings) - readings
    assert ((added >= -2.5 - 1e-9) & (added <= 0.5 + 1e-9)).all()


@pytest.mark.parametrize(
    ("serial", "name"),
    [("TC-0417", "TC_0417"), ("TC-0417/2", "TC_0417_2"), ("0417", "s0417"), ("class", "sclass"), ("P 1.2", "P_1_2")],
)
def test_a_serial_becomes_a_name(serial: str, name: str) -> None:
    """As it stands in `bias.TC_0417`."""
    assert Sensor(serial).name == name


def test_the_uncertainty_is_one_standard_deviation_in_si() -> None:
    """A certificate states k = 2; 1.8 degF are 1 K."""
    assert Sensor("a1", uncertainty=Uncertainty("3.6 degF", k=2)).standard_uncertainty == pytest.approx(1.0)
    assert Sensor("a1").standard_uncertainty is None


def test_a_tolerance_class_is_a_rectangular_distribution() -> None:
    """Its limit over the root of three; the temperature decides, in whatever unit."""
    hot = Sensor.thermocouple("TC-0417", "K", 1, at="850 degC")
    assert hot.standard_uncertainty == pytest.approx(3.4 / np.sqrt(3.0))
    assert Sensor.thermocouple("TC-0417", "K", 1, at="1273.15 K").standard_uncertainty == pytest.approx(4 / np.sqrt(3))
    assert hot.description == "type K, class 1 (IEC 60584-1): 3.4 K at 850 degC"
    assert Sensor.pt100("PT-1", "A", at="100 degC").standard_uncertainty == pytest.approx(0.35 / np.sqrt(3.0))
    with pytest.raises(BoundsError, match="outside"):
        Sensor.pt100("PT-1", "A", at="500 degC")
    with pytest.raises(UnitError, match="temperature of sensor PT-1"):
        Sensor.pt100("PT-1", "A", at="5 bar")


def test_a_certificate_holds_to_the_end_of_its_last_day() -> None:
    """The day is that of UTC where the stamp has a zone."""
    sensor = Sensor("a1", valid_until=dt.date(2026, 11, 20))
    assert not sensor.expired(dt.date(2026, 11, 20))
    assert sensor.expired(dt.date(2026, 11, 21))
    assert not sensor.expired(dt.datetime(2026, 11, 20, 23, 59))
    west = dt.timezone(dt.timedelta(hours=-5))
    assert sensor.expired(dt.datetime(2026, 11, 20, 23, 59, tzinfo=west))
    assert not Sensor("a1").expired(dt.date(2099, 1, 1))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Sensor("--"), DataError, "no serial"),
        (lambda: Sensor("a", (("0 degC", "1 K"), ("0 degC", "2 K"))), DataError, "do not ascend: 0 degC, then 0 degC"),
        (lambda: Sensor("a", (("0 degC", "1 bar"),)), UnitError, "correction 1 of sensor a"),
        (lambda: Sensor("a", (("0 degC", "1 K"), ("1 bar", "1 K"))), UnitError, "reading 2 of sensor a"),
        (lambda: Sensor("a", (("0 degC", "1 K"),), Uncertainty("1 bar")), UnitError, "sensor a"),
        (lambda: Sensor("a", uncertainty=Uncertainty("0 K")), BoundsError, "above 0"),
        (lambda: Sensor("a", valid_until="2026-11-20"), DataError, "is a day"),  # type: ignore[arg-type]
        (lambda: Installation("t", "a", dt.datetime(2026, 3, 1)), DataError, "no zone"),
    ],
)
def test_a_certificate_that_makes_no_sense_is_refused(make: object, error: type[Exception], words: str) -> None:
    """By serial number."""
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]
