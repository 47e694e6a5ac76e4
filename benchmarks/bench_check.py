"""The check of settings against an envelope: what a control system asks every second, and a map many times at once."""

from typing import Any

import numpy as np
import pytest

import physics_twin as pt

pytestmark = pytest.mark.benchmark(group="check of settings against an envelope")
GAS = pt.Setting("gas_temperature", "degC", bounds=(20, 200))
HOLD = pt.Setting("hold_time", "min", bounds=(5, 60))


@pytest.fixture(scope="module")
def envelope() -> pt.Envelope:
    """A part that warms up in a gas and must be warm, but not too warm, at the end."""
    m = pt.ProcessBuilder("part", version="1.0")
    temperature, gas = m.state("temperature", "degC", initial="20 degC"), m.input("gas", "degC")
    m.rate(temperature, (gas - temperature) / m.parameter("lag", "20 min"))
    m.output("temperature", temperature)
    model = m.build()
    lags = 1200.0 * np.exp(0.05 * np.random.default_rng(0).standard_normal((400, 1)))
    recipe = pt.Recipe([pt.Phase("heat", gas=GAS, duration=HOLD)])
    limits = [
        pt.Limit("temperature", lower="60 degC", over=pt.final),
        pt.Limit("temperature", upper="120 degC", over=pt.final),
    ]
    posterior = pt.Posterior.from_draws(pt.ParameterSet([model.parameters["lag"]]), lags)
    return pt.find_envelope(model, posterior, recipe=recipe, settings=[GAS, HOLD], limits=limits, rng=1)


def _inside(envelope: pt.Envelope) -> dict[str, tuple[float, str]]:
    return envelope.in_units()["set_point"]


def test_texts(benchmark: Any, envelope: pt.Envelope) -> None:
    given = {name: f"{number:.4f} {unit}" for name, (number, unit) in _inside(envelope).items()}
    assert benchmark(lambda: envelope.check(given))


def test_pairs(benchmark: Any, envelope: pt.Envelope) -> None:
    given = _inside(envelope)
    assert benchmark(lambda: envelope.check(given))


def test_values(benchmark: Any, envelope: pt.Envelope) -> None:
    given = pt.Values(envelope.set_point)
    assert benchmark(lambda: envelope.check(given))


def test_numbers_in_si(benchmark: Any, envelope: pt.Envelope) -> None:
    row = list(envelope.set_point.values())
    assert benchmark(lambda: envelope.checker.si(row))


def test_outside_with_its_reason(benchmark: Any, envelope: pt.Envelope) -> None:
    given = {"gas_temperature": "199 degC", "hold_time": "59 min"}
    assert not benchmark(lambda: envelope.check(given))


def test_a_hundred_thousand_points(benchmark: Any, envelope: pt.Envelope) -> None:
    points = np.random.default_rng(0).uniform([293.15, 300.0], [473.15, 3600.0], (100_000, 2))
    assert benchmark(lambda: envelope.checker.many(points)).inside.any()


def test_a_prediction_from_the_search(benchmark: Any, envelope: pt.Envelope) -> None:
    given = pt.Values(envelope.set_point)
    assert benchmark(lambda: envelope.predict(given)).certified
