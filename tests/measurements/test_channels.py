"""Channels: noise, bias and delay with their units."""

import dataclasses
import pickle

import pytest

from physics_twin.errors import BoundsError, ModelError, UnitError
from physics_twin.measurements import (
    Channel,
    Column,
    EstimatedNoise,
    Experiment,
    Uncertainty,
    UnknownBias,
    UnknownDelay,
)
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Sensor


def test_a_noise_is_a_difference() -> None:
    """2 degC of noise are 2 K and not 275.15 K."""
    assert Channel("core", unit="degC", noise="2 degC").noise == 2.0
    assert Channel("core", unit="degC", noise="1.8 delta_degF").noise == pytest.approx(1.0, rel=1e-15)
    assert Channel("pressure", unit="barg", noise="0.1 bar").noise == 1e4


def test_an_expanded_uncertainty_is_divided_by_its_coverage_factor() -> None:
    """A certificate's 0.8 K with k = 2 is a standard deviation of 0.4 K."""
    assert Channel("core", unit="degC", noise=Uncertainty("0.8 K", k=2)).noise == 0.4


def test_bias_and_delay_are_read_in_their_units() -> None:
    """Known ones are numbers in SI, absent ones zero."""
    channel = Channel("core", unit="degC", noise="1 K", bias="-0.5 K", delay="2 min")
    assert (channel.bias, channel.delay) == (-0.5, 120.0)
    plain = Channel("core", unit="degC", noise="1 K")
    assert (plain.bias, plain.delay, dict(plain.parameters)) == (0.0, 0.0, {})
    assert plain.column == "core"


def test_what_is_unknown_becomes_a_parameter() -> None:
    """Names, units and priors are those the calibration expects."""
    channel = Channel(
        "core",
        unit="degC",
        noise=EstimatedNoise("2 K"),
        bias=UnknownBias("1 K"),
        delay=UnknownDelay("0 s", "1 min"),
    )
    noise, bias, delay = (channel.parameters[kind] for kind in ("noise", "bias", "delay"))
    assert (noise.name, noise.value, noise.log_scale, noise.difference) == ("noise.core", 2.0, True, True)
    assert (bias.name, bias.value, bias.difference) == ("bias.core", 0.0, True)
    assert bias.prior is not None
    assert bias.prior.sd == 1.0
    assert (delay.name, delay.value, delay.bounds) == ("delay.core", 30.0, (0.0, 60.0))
    assert (channel.noise, channel.bias, channel.delay) == (2.0, 0.0, 30.0)


def test_channels_share_a_noise_by_name() -> None:
    """Two thermocouples of one kind have one level; a pressure cannot share it."""
    pair = [Channel(name, unit="degC", noise=EstimatedNoise("1 K", shared="thermocouples")) for name in ("top", "low")]
    run = Experiment.from_arrays("run", [0.0, 1.0], {"top": [1, 2], "low": [3, 4]}, channels=pair)
    assert list(run.parameters) == ["noise.thermocouples"]
    odd = Channel("p", unit="bar", noise=EstimatedNoise("0.1 bar", shared="thermocouples"))
    with pytest.raises(UnitError, match=r"noise\.thermocouples is shared by channels in K and bar"):
        Experiment.from_arrays("run", [0.0], {"top": [1], "p": [3]}, channels=[pair[0], odd])


@pytest.mark.parametrize(
    ("noise", "match"),
    [("2 bar", "noise of core.*bar.*K|degC"), (2.0, "noise of core.*no unit"), ("0 K", "above 0"), ("-1 K", "above 0")],
)
def test_a_wrong_noise_is_refused(noise: object, match: str) -> None:
    """A wrong dimension, a missing unit, a level that is none."""
    with pytest.raises((UnitError, BoundsError), match=match):
        Channel("core", unit="degC", noise=noise)  # type: ignore[arg-type]


def test_other_nonsense_is_refused() -> None:
    """Delays into the future, empty ranges, names that are none, a rule that is none."""
    with pytest.raises(BoundsError, match="does not show the future"):
        Channel("core", unit="degC", noise="1 K", delay="-1 s")
    with pytest.raises(BoundsError, match="give 0 <= low < high"):
        UnknownDelay("1 min", "10 s")
    with pytest.raises(BoundsError, match="coverage factor"):
        Uncertainty("1 K", k=0.0)
    with pytest.raises(ModelError, match="core temperature"):
        Channel("core temperature", unit="degC", noise="1 K")
    with pytest.raises(ValueError, match=r"pt\.RAMP or pt\.HOLD"):
        Column("TC1", "degC", "ramp")  # type: ignore[arg-type]
    with pytest.raises(UnitError):
        Channel("core", unit="degC", noise="1 K", bias=UnknownBias("1 bar"))


def test_a_channel_is_a_value() -> None:
    """Immutable, equal by content, and it travels to worker processes."""
    channel = Channel("core", column="TC3", unit="degC", noise=EstimatedNoise("2 K"), delay=UnknownDelay("0 s", "9 s"))
    assert pickle.loads(pickle.dumps(channel)) == channel  # noqa: S301
    with pytest.raises(dataclasses.FrozenInstanceError):
        channel.noise = 1.0  # type: ignore[misc]


def test_a_sensor_brings_its_bias_under_its_own_name() -> None:
    """The certificate's 0.8 K with k = 2 is an unknown bias of 0.4 K, called by the serial and not by the output."""
    sensor = Sensor("TC-0417/2", uncertainty=Uncertainty("0.8 K"))
    channel = Channel("core", unit="degC", noise="1 K", sensor=sensor)
    assert channel.bias_name == "bias.TC_0417_2"
    parameter = channel.parameters["bias"]
    assert (parameter.name, parameter.value, parameter.difference) == ("bias.TC_0417_2", 0.0, True)
    assert parameter.prior is not None and parameter.prior.sd == pytest.approx(0.4)
    assert "TC-0417/2" in parameter.description
    assert Channel("core", unit="degC", noise="1 K").bias_name == "bias.core"


def test_what_is_said_of_the_bias_counts_more_than_the_certificate() -> None:
    """A known bias is no unknown; another standard deviation takes the place of the certificate's."""
    sensor = Sensor("TC-0417/2", uncertainty=Uncertainty("0.8 K"))
    known = Channel("core", unit="degC", noise="1 K", sensor=sensor, bias="0 K")
    assert (known.bias, dict(known.parameters)) == (0.0, {})
    wide = Channel("core", unit="degC", noise="1 K", sensor=sensor, bias=UnknownBias("3 K")).parameters["bias"]
    assert wide.prior is not None and (wide.name, wide.prior.sd) == ("bias.TC_0417_2", 3.0)
    assert dict(Channel("core", unit="degC", noise="1 K", sensor=Sensor("TC-1")).parameters) == {}


def test_certificates_and_checks_fit_the_unit() -> None:
    """A thermocouple's certificate in a pressure channel, and a range in bar of a temperature."""
    with pytest.raises(UnitError, match="sensor TC-1"):
        Channel("p", unit="bar", noise="1 bar", sensor=Sensor("TC-1", uncertainty=Uncertainty("1 K")))
    with pytest.raises(UnitError, match="high of core"):
        Channel("core", unit="degC", noise="1 K", checks=Checks(high="5 bar"))
