"""Envelopes of process models: durations as settings, phases that end on a level, limits on the course."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Budget

SMALL = Budget(search_share=0.25, n_certification=180, n_points=14)
"""Phases that end on a level are simulated one by one."""


@pytest.fixture(scope="module")
def heater():
    """dT/dt = h (T_gas - T) from 20 degC: T = T_gas - (T_gas - 20 degC) exp(-h t)."""
    m = pt.ProcessBuilder("heater", version="1")
    h = m.parameter("h", "0.02 1/min", bounds=("0.001 1/min", "1 1/min"))
    gas = m.input("gas_temperature", "degC")
    core = m.state("core", "degC", initial="20 degC")
    m.rate(core, h * (gas - core))
    m.output("core", core)
    return m.build()


@pytest.fixture(scope="module")
def posterior(heater):
    draws = 0.02 / 60.0 * np.exp(0.1 * np.random.default_rng(0).standard_normal((250, 1)))
    return pt.Posterior.from_draws([heater.parameters["h"]], draws)


def test_a_batch_time_is_bounded_by_the_known_solution(heater, posterior):
    """Core above 300 degC under gas of 400 degC: t > ln(380/100) / h, for all but the allowed share of the draws."""
    time = pt.Setting("batch_time", "min", bounds=(10, 180))
    recipe = pt.Recipe([pt.Phase("heat", gas_temperature="400 degC", duration=time)])
    limit = pt.Limit("core", lower="300 degC", over=pt.final)
    envelope = pt.find_envelope(heater, posterior, recipe=recipe, settings=[time], limits=[limit], rng=1)
    low, high = envelope.box["batch_time"]
    edges = np.log(380.0 / 100.0) / posterior["h"]
    assert high == pytest.approx(180 * 60.0)
    assert np.mean(low >= edges) >= 0.95
    assert np.abs(edges / low - 1.0).min() < 1e-3  # the edge of one of the draws
    assert envelope.binding["batch_time"] == ("final core >= 300 degC", "setting bound")


def test_after_a_soak_that_ends_on_a_level_the_course_is_limited(heater, posterior):
    """Heat until 300 degC, then hold: the time above 290 degC is the hold and what was left of the heating,
    ln(110/100) / h, whatever h did to the heating before."""
    hold = pt.Setting("hold_time", "min", bounds=(1, 60))
    recipe = pt.Recipe(
        [
            pt.Phase("heat", gas_temperature="400 degC", until=pt.reaches("core", "300 degC"), at_most="6 h"),
            pt.Phase("hold", gas_temperature="300 degC", duration=hold),
        ]
    )
    limit = pt.Limit("core", lower="20 min", over=pt.time_above("290 degC"))
    envelope = pt.find_envelope(heater, posterior, recipe=recipe, settings=[hold], limits=[limit], rng=1, budget=SMALL)
    edges = 20 * 60.0 - np.log(110.0 / 100.0) / posterior["h"]
    low, _ = envelope.box["hold_time"]
    assert np.mean(low >= edges) >= 0.95
    assert np.abs(edges - low).min() < 2.0  # s; the crossing is interpolated between 32 nodes of the heating


def test_a_level_that_is_never_reached_counts_against_the_setting(heater, posterior):
    """Gas below 300 degC never heats the core to it: those runs fail, and the box stays clear of them."""
    gas = pt.Setting("gas", "degC", bounds=(250, 500))
    recipe = pt.Recipe(
        [
            pt.Phase("heat", gas_temperature=gas, until=pt.reaches("core", "300 degC"), at_most="4 h"),
            pt.Phase("hold", gas_temperature="300 degC", duration="5 min"),
        ]
    )
    limit = pt.Limit("core", upper="310 degC")
    envelope = pt.find_envelope(
        heater,
        posterior,
        recipe=recipe,
        settings=[gas],
        limits=[limit],
        rng=1,
        budget=SMALL,
    )
    assert envelope.box["gas"][0] > 300.0 + 273.15
    assert envelope.failures
    assert "has not reached 300 degC" in envelope.failures[0].reason
