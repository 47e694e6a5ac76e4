"""One step with its derivatives: closed forms, differences across everything a step can pass, the chain rule."""

import numpy as np
import pytest
from scipy.linalg import expm

import physics_twin as pt
from physics_twin.model import Linearised, StateKind
from tests.process.plants import TIGHT, ball, decay, sampled
from tests.process.test_algebraic import equilibrium
from tests.process.test_sensitivities import FIRST, LEVEL, STEPS, plant

HOUR = 3600.0
H = 1e-3  # of a difference: steps below it show the noise of steps chosen anew, 1e-10 / H; curvature is H^2


def cascade():
    """x1' = -k1 x1, x2' = k1 x1 - k2 x2, with the integral of x2 and its highest value."""
    m = pt.ProcessBuilder("cascade", version="1.0")
    k1, k2 = m.parameter("k1", "0.3 1/s"), m.parameter("k2", "0.2 1/s")
    a = m.state("a", "mol", initial="2 mol")
    b = m.state("b", "mol", initial="0 mol", scale="1 mol")
    m.rate(a, -k1 * a)
    m.rate(b, k1 * a - k2 * b)
    m.output("b", b)
    m.output("passed", m.accumulator("passed", "mol*s", b))
    m.output("peak", m.maximum("peak", b))
    return m.build(integrator=TIGHT)


def differences(model, state, t0, t1, recipe, values, wrt):
    """Central differences of the end state and outputs by differential states and accumulators, and by `wrt`."""

    def after(at, own):
        end = model.advance(at, t0, t1, recipe, own) if t1 > t0 else at
        return np.concatenate([end, model.observe(end, t1, recipe, own)])

    by_state = np.zeros((state.size + len(model.outputs), state.size))
    for k, block in enumerate(model.state):
        if block.kind in (StateKind.DIFFERENTIAL, StateKind.ACCUMULATOR):
            h = H * block.scale * np.eye(state.size)[k]
            by_state[:, k] = (after(state + h, values) - after(state - h, values)) / (2 * H * block.scale)
    columns = []
    for name in wrt:
        h = H * abs(values[name])
        up, down = (after(state, {**values, name: values[name] + sign * h}) for sign in (1.0, -1.0))
        columns.append((up - down) / (2 * h))
    return by_state, np.array(columns).T.reshape(len(by_state), len(wrt))


def moving(model):
    kinds = (StateKind.DIFFERENTIAL, StateKind.ACCUMULATOR)
    return np.array([block.kind in kinds for block in model.state])


UNTIL = pt.Recipe(
    [
        pt.Phase("p", jacket=FIRST, until=pt.falls_to("a", "1.2 mol"), at_most="20 h"),
        pt.Phase("q", jacket=LEVEL, duration="9 h"),
    ]
)
DOSE = pt.Recipe([pt.Phase("p", jacket=FIRST, duration="9 h", at=[("1 h", [pt.dose("a", "1 mol")])])])
SET = pt.Recipe([pt.Phase("p", jacket=FIRST, duration="9 h", at=[("1 h", [pt.set_state("t", LEVEL)])])])
TABLE = pt.Recipe([pt.Phase("p", jacket=STEPS, duration="9 h")])
U = pt.Setting("u", "1", value=0.5)

PASSED = {
    "nothing": (plant, DOSE, 0.0, 0.5, ["k", "loss", "first"]),
    "dose": (plant, DOSE, 0.7, 1.6, ["k", "first"]),
    "dose_where_it_begins": (plant, DOSE, 1.0, 1.6, ["k"]),
    "dose_where_it_ends": (plant, DOSE, 0.7, 1.0, ["k"]),
    "state_set": (plant, SET, 0.7, 1.6, ["k", "level"]),
    "phase_end_on_a_level": (plant, UNTIL, 0.2, 4.0, ["k", "loss", "first", "level"]),
    "jumps_of_the_input": (plant, TABLE, 0.3, 1.2, ["k", "loss"]),
}


@pytest.mark.parametrize("case", PASSED)
def test_derivatives_are_those_of_differences_whatever_the_step_passes(case):
    """State and outputs, by state, parameters and open settings; differences are good to 1e-6 of a row."""
    build, recipe, t0, t1, wrt = PASSED[case]
    check(build(), recipe, t0 * HOUR, t1 * HOUR, wrt)


def check(model, recipe, t0, t1, wrt):
    values = sampled(model, recipe)
    state = model.initial_state(0.0, recipe, values)
    state = model.advance(state, 0.0, t0, recipe, values) if t0 > 0.0 else state
    found = model.advance_linearised(state, t0, t1, recipe, values, wrt)
    end = model.advance(state, t0, t1, recipe, values) if t1 > t0 else state
    np.testing.assert_allclose(found.state, end, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.outputs, model.observe(end, t1, recipe, values), rtol=1e-8, atol=1e-10)
    by_state, by_values = differences(model, state, t0, t1, recipe, values, wrt)
    n, rows = state.size, moving(model)
    by_state[:n][~rows], by_values[:n][~rows] = 0.0, 0.0
    for expected, got in (
        (by_state, np.vstack([found.state_by_state, found.outputs_by_state])),
        (by_values, np.vstack([found.state_by_values, found.outputs_by_values])),
    ):
        size = np.max(np.abs(expected), axis=1, keepdims=True, initial=0.0) + 1e-12
        assert np.max(np.abs(got - expected) / size, initial=0.0) < 3e-6


@pytest.mark.parametrize(("t0", "t1"), [(0.0, 0.3), (0.2, 0.7), (0.2, 1.5)])
def test_derivatives_across_events_of_the_equations(t0, t1):
    """A ball that bounces within the step, once or more often: its state jumps and so do the derivatives."""
    check(ball(), pt.Recipe.constant(), t0, t1, ["g", "e"])


@pytest.mark.parametrize(("t0", "t1"), [(0.0, 0.0), (0.4, 0.4), (0.4, 1.7)])
def test_an_algebraic_variable_follows_the_state_it_depends_on(t0, t1):
    """dz/dx by the implicit function theorem; its own row and column are zero, it is solved again anyway."""
    model, recipe = equilibrium(), pt.Recipe.constant(u=U)
    check(model, recipe, t0, t1, ["u"])
    values = sampled(model, recipe)
    state = model.initial_state(0.0, recipe, values)
    found = model.advance_linearised(state, 0.0, 0.0, recipe, values, ["u"])
    z = found.outputs[1]
    np.testing.assert_allclose(found.outputs_by_state[1, 0], 1.0 / (3.0 * z**2 + 1.0), rtol=1e-12)
    assert not found.state_by_state[1].any() and not found.state_by_state[:, 1].any()


def test_the_derivative_of_a_linear_system_is_the_exponential_of_its_matrix():
    """Differential states and the accumulator; with respect to the state the derivative does not know the state."""
    model, recipe = cascade(), pt.Recipe.constant()
    values = sampled(model, recipe)
    state = model.initial_state(0.0, recipe, values)
    found = model.advance_linearised(state, 0.0, 2.0, recipe, values, [])
    exact = expm(2.0 * np.array([[-0.3, 0.0, 0.0], [0.3, -0.2, 0.0], [0.0, 1.0, 0.0]]))
    np.testing.assert_allclose(found.state_by_state[:3, :3], exact, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.outputs_by_state[1, :3], exact[2], rtol=0, atol=1e-9)
    assert found.state_by_values.shape == (state.size, 0)


def test_a_running_extreme_moves_with_what_set_it():
    """Before b turns the highest value is b itself; after a long time it is the value that the state began with."""
    model, recipe = cascade(), pt.Recipe.constant()
    values = sampled(model, recipe)
    check(model, recipe, 0.0, 1.0, ["k1", "k2"])
    top = np.log(0.3 / 0.2) / 0.1
    state = model.advance(model.initial_state(0.0, recipe, values), 0.0, top + 1.0, recipe, values)
    after = model.advance_linearised(state, top + 1.0, top + 3.0, recipe, values, [])
    peak = [block.name for block in model.state].index("peak")
    np.testing.assert_allclose(after.state_by_state[peak], np.eye(state.size)[peak], atol=1e-12)


@pytest.mark.parametrize("split", [0.8, 1.0, 1.2])
def test_two_steps_multiply_to_the_derivative_of_one(split):
    """Also where the split lies on a dose, which then acts in the second step only."""
    model, recipe = plant(), SET
    values = sampled(model, recipe)
    begin, middle, end = 0.5 * HOUR, split * HOUR, 1.5 * HOUR
    state = model.advance(model.initial_state(0.0, recipe, values), 0.0, begin, recipe, values)
    wrt = ["k", "first"]
    whole = model.advance_linearised(state, begin, end, recipe, values, wrt)
    one = model.advance_linearised(state, begin, middle, recipe, values, wrt)
    two = model.advance_linearised(one.state, middle, end, recipe, values, wrt)
    np.testing.assert_allclose(two.state_by_state @ one.state_by_state, whole.state_by_state, rtol=1e-6, atol=1e-6)
    chained = two.state_by_state @ one.state_by_values + two.state_by_values
    size = np.max(np.abs(whole.state_by_values), axis=0) + 1e-300
    assert np.max(np.abs(chained - whole.state_by_values) / size) < 1e-7


def test_a_step_of_no_length_changes_nothing():
    """Identity for what moves, zero for the rest, and the outputs where the model stands."""
    model, recipe = plant(), DOSE
    values = sampled(model, recipe)
    state = model.advance(model.initial_state(0.0, recipe, values), 0.0, HOUR, recipe, values)
    found = model.advance_linearised(state, HOUR, HOUR, recipe, values, ["k"])
    np.testing.assert_array_equal(found.state, state)
    np.testing.assert_array_equal(found.state_by_state, np.diag(moving(model).astype(float)))
    assert not found.state_by_values.any()
    np.testing.assert_array_equal(found.outputs, model.observe(state, HOUR, recipe, values))


def test_what_is_asked_wrongly_is_refused():
    """A misspelled name, and time that goes back."""
    model, recipe = decay(), pt.Recipe.constant(u="0 kg/s")
    values = sampled(model, recipe)
    state = model.initial_state(0.0, recipe, values)
    assert isinstance(model, Linearised)
    with pytest.raises(KeyError, match='"kk"'):
        model.advance_linearised(state, 0.0, 1.0, recipe, values, ["kk"])
    with pytest.raises(pt.RecipeError, match="forward"):
        model.advance_linearised(state, 1.0, 0.5, recipe, values, [])
