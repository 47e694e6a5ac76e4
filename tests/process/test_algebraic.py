"""Algebraic variables: consistent at every moment, also at the start, at samples on a jump and across jumps."""

import numpy as np
import pytest
from scipy.optimize import brentq

import physics_twin as pt
from tests.process.plants import TIGHT, run, sampled


def equilibrium(integrator=TIGHT):
    """x' = -z, z^3 + z = x + u: z follows x and the input."""
    m = pt.ProcessBuilder("equilibrium", version="1.0")
    u = m.input("u", "1")
    x = m.state("x", "1", initial=2.0)
    z = m.algebraic("z", "1", guess=50.0)
    m.rate(x, -z / m.constant("1 s"))
    m.equation("cubic", z**3 + z, x + u)
    m.output("x", x)
    m.output("z", z)
    return m.build(integrator=integrator)


def root(total):
    return brentq(lambda z: z**3 + z - total, -10, 10, xtol=1e-15)


def test_an_algebraic_variable_satisfies_its_equation_at_every_sample():
    """The residual vanishes everywhere, whatever the guess was."""
    outputs = run(equilibrium(), np.linspace(0.0, 5.0, 41), pt.Recipe.constant(u=0.5))
    residual = outputs[:, 1] ** 3 + outputs[:, 1] - outputs[:, 0] - 0.5
    assert np.max(np.abs(residual)) < 1e-9


def test_an_algebraic_system_agrees_with_the_ode_it_stands_for():
    """z is eliminated: dz/dt = -z / (3 z^2 + 1), whose implicit solution is 3/2 z^2 + ln z = c - t."""
    outputs = run(equilibrium(), [0.0, 1.0, 3.0], pt.Recipe.constant(u=0.0))
    z = outputs[:, 1]
    assert z[0] == pytest.approx(1.0, abs=1e-11)  # 1 + 1 = 2
    invariant = 1.5 * z**2 + np.log(z) + np.array([0.0, 1.0, 3.0])
    np.testing.assert_allclose(invariant, invariant[0], rtol=0, atol=1e-8)


@pytest.mark.parametrize("rule", [pt.HOLD, pt.RAMP])
def test_an_algebraic_variable_jumps_with_its_input_and_samples_are_left_limits(rule):
    """At a row where the input jumps z is the value from before; a moment later it is the one from after."""
    recipe = pt.Recipe.from_table([0.0, 1.0, 2.0], {"u": ([0.0, 3.0, 3.0], "1", rule)})
    outputs = run(equilibrium(), [0.0, 1.0, 1.0 + 1e-9, 2.0], recipe)
    before = 0.0 if rule is pt.HOLD else 3.0
    assert outputs[1, 1] == pytest.approx(root(outputs[1, 0] + before), abs=1e-9)
    assert outputs[2, 1] == pytest.approx(root(outputs[2, 0] + 3.0), abs=1e-7)


def test_a_dose_moves_the_algebraic_variable_at_once():
    """z is solved again after an event; the sample at the event is from before."""
    recipe = pt.Recipe(
        [pt.Phase("a", u=0.0, duration="1 s"), pt.Phase("b", duration="1 s", start=[pt.dose("x", 8.0)])],
    )
    outputs = run(equilibrium(), [1.0, 1.0 + 1e-9], recipe)
    assert outputs[1, 0] - outputs[0, 0] == pytest.approx(8.0, abs=1e-7)
    assert outputs[1, 1] == pytest.approx(root(outputs[1, 0]), abs=1e-7)


def test_stepping_to_a_jump_and_observing_there_gives_the_left_limit():
    """advance to the row, then observe: as the trajectory says, not with the input from after."""
    recipe = pt.Recipe.from_table([0.0, 1.0, 2.0], {"u": ([0.0, 3.0, 3.0], "1", pt.HOLD)})
    model = equilibrium()
    values = sampled(model, recipe)
    state = model.advance(model.initial_state(0.0, recipe, values), 0.0, 1.0, recipe, values)
    np.testing.assert_allclose(model.observe(state, 1.0, recipe, values), run(model, [1.0], recipe)[0], atol=1e-10)


def test_the_guess_in_a_state_does_not_change_what_follows():
    """Algebraic entries of a state are guesses that are solved again."""
    model, recipe = equilibrium(), pt.Recipe.constant(u=0.5)
    values = sampled(model, recipe)
    state = model.advance(model.initial_state(0.0, recipe, values), 0.0, 1.0, recipe, values)
    other = state.copy()
    other[1] += 0.3
    a = model.advance(state, 1.0, 3.0, recipe, values)
    b = model.advance(other, 1.0, 3.0, recipe, values)
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("left", "said"),
    [(lambda z, x: z**2 + 1.0 + x**2, "z"), (lambda z, x: 0.0 * z + x, "singular|index")],
)
def test_equations_without_a_solution_are_a_failure_in_plain_words(left, said, capfd):
    """No real root, and an equation that does not determine its variable."""
    m = pt.ProcessBuilder("unsolvable", version="1.0")
    x, z = m.state("x", "1", initial=2.0), m.algebraic("z", "1", guess=1.0)
    m.rate(x, -z / m.constant("1 s"))
    m.equation("impossible", left(z, x), 0.0)
    m.output("x", x)
    model = m.build()
    with pytest.raises(pt.SolveError, match=said) as caught:
        run(model, [1.0])
    assert caught.value.time == 0.0
    assert capfd.readouterr().err == ""


def test_a_fold_on_the_way_is_a_failure_at_its_time():
    """z^2 = 1 - t has no solution after 1 s."""
    m = pt.ProcessBuilder("fold", version="1.0")
    x, z = m.state("x", "1", initial=0.0), m.algebraic("z", "1", guess=1.0)
    m.rate(x, z / m.constant("1 s"))
    m.equation("circle", z**2, 1.0 - m.time / m.constant("1 s"))
    m.output("z", z)
    model = m.build()
    assert run(model, [0.75])[0, 0] == pytest.approx(0.5, abs=1e-7)
    with pytest.raises(pt.SolveError) as caught:
        run(model, [2.0])
    assert caught.value.time == pytest.approx(1.0, abs=1e-3)


def test_two_coupled_equations_and_a_switch_on_an_algebraic_variable():
    """A pressure network: flows through two valves meet at a node; a relief valve opens above a pressure."""
    m = pt.ProcessBuilder("network", version="1.0")
    supply = m.input("supply", "bar")
    mass = m.state("mass", "kg", initial="0 kg")
    relieved = m.state("relieved", "kg", initial="0 kg")
    node = m.algebraic("node", "bar", guess="2 bar", scale="1 bar")
    flow = m.algebraic("flow", "kg/s", guess="0.1 kg/s")
    valve = m.constant("1 kg/s/bar")
    m.rate(mass, flow)
    m.rate(relieved, pt.where(node >= "3 bar", 0.5 * valve * (node - "3 bar"), 0.0 * flow))
    m.equation("inlet", flow, valve * (supply - node))
    m.equation("outlet", flow, valve * (node - m.constant("1 bar")))
    m.output("node", node)
    m.output("relieved", relieved)
    recipe = pt.Recipe([pt.Phase("up", supply=pt.ramp("1 bar", "9 bar"), duration="8 s")])
    outputs = run(m.build(integrator=TIGHT), [2.0, 4.0, 8.0], recipe)
    # node = (supply + 1) / 2 = 1 + t / 2: above 3 bar from 4 s on; relief 0.5 (t - 4) / 2, integral (t - 4)^2 / 8.
    np.testing.assert_allclose(outputs[:, 0] / 1e5, [2.0, 3.0, 5.0], rtol=1e-9)
    np.testing.assert_allclose(outputs[:, 1], [0.0, 0.0, 2.0], atol=1e-7)
