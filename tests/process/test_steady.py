"""initial=STEADY: where the plant would settle for the inputs at the start; a failure where it would not."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin_models.jacketed_reactor import jacketed_reactor
from tests.process.plants import TIGHT, run

FEED = {"feed_temperature": "350 K", "feed_concentration": "1 mol/L", "feed_flow": "100 L/min"}


def coolant(text, **initial):
    """A recipe at that coolant temperature that begins in the steady state."""
    return pt.Recipe.constant(coolant_temperature=text, duration="2 h", **FEED).replace(initial=pt.STEADY)


@pytest.mark.parametrize(
    ("text", "expected"), [("290 K", 312.65620889), ("300 K", 324.47544343), ("310 K", 383.88759299)]
)
def test_a_steady_start_stands_still(text, expected):
    """The known steady state, and no drift for two hours."""
    outputs = run(jacketed_reactor(), [0.0, 10.0, 7200.0], coolant(text))
    np.testing.assert_allclose(outputs[:, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("start", ["320 K", "343.52047297 K", "373.64701170 K"])
def test_of_several_steady_states_it_is_the_one_where_the_plant_settles(start):
    """At 302 K of coolant there are three, of which one attracts; also a start on one of the others ends there."""
    initial = {"initial.temperature": start, "initial.concentration": "0.6 mol/L"}
    outputs = run(jacketed_reactor(), [0.0], coolant("302 K"), initial)
    assert outputs[0, 0] == pytest.approx(328.70192983, rel=1e-8)


def test_a_limit_cycle_has_no_steady_start():
    """At 305 K the only steady state is unstable: starting there would be a state that no plant is in."""
    with pytest.raises(pt.SolveError, match="steady"):
        run(jacketed_reactor(), [0.0], coolant("305 K"))


def integrating(inflow):
    """A tank with a fixed outflow: no steady level, or any."""
    m = pt.ProcessBuilder("tank", version="1.0")
    u = m.input("u", "kg/s")
    level = m.state("level", "kg", initial="1 kg")
    m.rate(level, u - m.constant("1 kg/s"))
    m.output("level", level)
    return run(m.build(), [0.0], pt.Recipe.constant(u=inflow, duration="1 s").replace(initial=pt.STEADY))


@pytest.mark.parametrize("inflow", ["2 kg/s", "1 kg/s"])
def test_an_integrating_tank_has_no_steady_state_or_many(inflow):
    """It is said, instead of returning a level of 1e9 kg or an arbitrary one."""
    with pytest.raises(pt.SolveError):
        integrating(inflow)


def test_accumulators_keep_their_start_and_integrate_from_it():
    """The energy used before the run is not counted, and steady losses accumulate after it."""
    m = pt.ProcessBuilder("oven", version="1.0")
    power = m.input("power", "W")
    t = m.state("t", "K", initial="300 K", scale="10 K")
    m.rate(t, (power - m.constant("2 W/K") * (t - m.constant("300 K"))) / m.constant("500 J/K"))
    energy = m.accumulator("energy", "J", power, initial="7 J")
    m.output("t", t)
    m.output("energy", energy)
    m.output("top", m.maximum("top", t))
    recipe = pt.Recipe([pt.Phase("a", power="100 W", duration="1 h")], initial=pt.STEADY)
    outputs = run(m.build(integrator=TIGHT), [0.0, 60.0], recipe)
    np.testing.assert_allclose(outputs, [[350.0, 7.0, 350.0], [350.0, 6007.0, 350.0]], rtol=1e-9)


def test_a_steady_dae():
    """States and algebraic variables settle together."""
    m = pt.ProcessBuilder("wall", version="1.0")
    jacket = m.input("jacket", "K")
    t = m.state("t", "K", initial="300 K", scale="10 K")
    wall = m.algebraic("wall", "K", guess="300 K", scale="10 K")
    k = m.constant("0.1 1/s")
    m.rate(t, k * (wall - t) - 0.5 * k * (t - m.constant("280 K")))
    m.equation("wall", 2 * (jacket - wall), wall - t)
    m.output("t", t)
    m.output("wall", wall)
    recipe = pt.Recipe([pt.Phase("a", jacket="400 K", duration="1 h")], initial=pt.STEADY)
    # wall = (2 jacket + t) / 3 and wall - t = (t - 280) / 2: t = 280 + 4/7 120, wall = t + 2/7 120.
    np.testing.assert_allclose(
        run(m.build(integrator=TIGHT), [0.0, 3600.0], recipe), [[280 + 480 / 7, 280 + 720 / 7]] * 2, rtol=1e-9
    )


def test_a_steady_start_with_a_switch_is_on_the_right_side_of_it():
    """The branch belongs to the steady state, not to the initial values from which it is sought."""
    m = pt.ProcessBuilder("switch", version="1.0")
    u = m.input("u", "1/s")
    x = m.state("x", "1", initial=0.0)
    rate = m.constant("1 1/s")
    m.rate(x, u - pt.where(x >= 2.0, 0.25, 1.0) * rate * x)
    m.output("x", x)
    recipe = pt.Recipe.constant(u="3 1/s", duration="1 h").replace(initial=pt.STEADY)
    np.testing.assert_allclose(run(m.build(integrator=TIGHT), [0.0, 100.0], recipe)[:, 0], 12.0, rtol=1e-9)
