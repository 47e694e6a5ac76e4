"""A first-order lag with its input recorded once a second for an hour: what recorded inputs cost."""

from typing import Any

import numpy as np
import pytest

import physics_twin as pt

pytestmark = pytest.mark.benchmark(group="an hour with an input of 3600 rows")
T = np.arange(3601.0)


def _model() -> pt.ProcessModel:
    m = pt.ProcessBuilder("lag", version="1.0")
    temperature, gas = m.state("temperature", "degC", initial="20 degC"), m.input("gas", "degC")
    m.rate(temperature, (gas - temperature) / m.parameter("lag", "20 s"))
    m.output("temperature", temperature)
    return m.build()


SHAPES = {
    "physics_twin_constant": None,
    "ramped_rows_to_0.1_degC": (np.round(30.0 + 20.0 * np.sin(T / 600.0), 1), pt.RAMP),
    "held_changes_every_ten_minutes": (30.0 + 20.0 * ((T // 600) % 2), pt.HOLD),
    "held_changes_every_second": (30.0 + np.random.default_rng(0).normal(size=T.size), pt.HOLD),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_rows(benchmark: Any, shape: str) -> None:
    model, column = _model(), SHAPES[shape]
    recipe = (
        pt.Recipe.constant(gas="30 degC", duration="1 h")
        if column is None
        else pt.Recipe.from_table(T, {"gas": (column[0], "degC", column[1])})
    )
    values = model.parameters.values()
    outputs, _ = benchmark(lambda: model.trajectory(T, recipe, values))
    assert np.isfinite(outputs).all()
