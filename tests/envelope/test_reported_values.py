"""Limits on reported values: where one fixed batch stands for many, and where draws carry the noise of readings."""

import numpy as np
import pytest
from scipy.stats import norm

import physics_twin as pt
from physics_twin.envelope import Budget
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.set_point.nominal import Nominal
from physics_twin.errors import EnvelopeError


@pytest.fixture(scope="module")
def heater():
    """dT/dt = h (gas - T) from 20 degC."""
    m = pt.ProcessBuilder("heater", version="1")
    h = m.parameter("h", "0.02 1/min", bounds=("0.001 1/min", "1 1/min"))
    gas = m.input("gas", "degC")
    core = m.state("core", "degC", initial="20 degC")
    m.rate(core, h * (gas - core))
    m.output("core", core)
    return m.build()


def cost_under(analytic, **more):
    """The least (s0 - 0.7)^2 with s0 + a <= 0.5: the limit binds at 0.5."""
    model = analytic.closed_form({"cost": lambda t, v: (v["s0"] - 0.7) ** 2, "y": lambda t, v: v["s0"] + v["a"]}, ["a"])
    settings = analytic.knobs(1)
    return pt.find_set_point(
        model,
        recipe=analytic.one_hour(settings),
        settings=settings,
        objectives=pt.Minimize("cost"),
        limits=[pt.Limit("y", upper=0.5, over=pt.final, **more)],
    )


def test_the_set_point_of_one_batch_is_read_without_error(analytic):
    """The median reading is the true value, so the answer is that of the limit on the true value."""
    plain, reported = cost_under(analytic), cost_under(analytic, reported=0.1)
    assert reported.settings == pytest.approx(plain.settings, abs=1e-12)
    assert reported.settings["s0"] == pytest.approx(0.5, abs=1e-9)
    assert reported.met


def test_margins_and_slopes_of_one_batch_agree_on_a_reported_value(heater):
    """With exact slopes and with simulations alone: 400 degC for an hour, core = gas - (gas - 20) exp(-1.2)."""
    top = pt.Setting("top", "degC", bounds=(100, 500))
    given = pt.Recipe([pt.Phase("heat", gas=top, duration="1 h")])
    limits = bind_limits([pt.Limit("core", upper="300 degC", over=pt.final, reported="5 K")], heater.outputs, ())
    simulate = Simulator(Problem(heater, given, (top,), limits, 8), None)
    nominal = Nominal(simulate, (), heater.parameters.values())
    assert nominal.exact
    numbers, slopes = nominal.at(np.array([0.75]))
    expected = 300.0 - (400.0 - 380.0 * np.exp(-1.2))
    assert numbers == pytest.approx([expected], abs=1e-3)
    assert nominal.values_at(np.array([0.75])) == pytest.approx(numbers, abs=1e-3)
    assert slopes[0, 0] == pytest.approx(-400.0 * (1.0 - np.exp(-1.2)), rel=1e-5)


def test_an_optimal_recipe_on_a_reported_value_is_refused_with_the_way_out(heater):
    with pytest.raises(EnvelopeError, match=r"final core is on the reported value.*on true outputs: leave it out"):
        pt.find_recipe(
            heater,
            recipe=pt.Recipe.constant(duration="1 h", gas="390 degC"),
            profiles={"gas": pt.Profile(("20 degC", "400 degC"), pieces=1)},
            objective=pt.Minimize("core", over=pt.final),
            limits=[pt.Limit("core", lower="200 degC", over=pt.final, reported="10 K")],
            rng=3,
        )


def test_a_reading_is_a_source_of_influence(analytic):
    """y = s0 + 0.04 a, read with 0.03: halving the noise gives z (0.05 - sqrt(0.04^2 + 0.015^2))."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.04 * v["a"]}, ["a"])
    posterior = analytic.gaussian_draws(model, 3000, 0)
    settings = analytic.knobs(1)
    envelope = pt.find_envelope(
        model,
        posterior,
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[pt.Limit("y", upper=0.6, over=pt.final, reported=0.03)],
        budget=Budget(n_points=16),
        rng=2,
    )
    found = envelope.influence(model, posterior, n_draws=3000)
    (name,) = [source.name for source in found.sources if source.kind == "reading"]
    gain = norm.ppf(0.95) * (0.05 - np.hypot(0.04, 0.015))
    # The error of an empirical 5 % quantile of n draws is 2.1 sd / sqrt(n).
    assert found.gains[0, 0, found.source(name)] == pytest.approx(gain, abs=4.0 * 2.1 * 0.05 / np.sqrt(3000.0))
