"""A state is all that is needed to go on: split anywhere, a run comes to the same numbers."""

import itertools

import numpy as np
import pytest

import physics_twin as pt
from tests.process.plants import TIGHT, ball, sampled, tank
from tests.process.test_events import counter, switch, thermostat, vessel
from tests.process.test_extremes import oscillator
from tests.process.test_sensitivities import RECIPES, algebraic, plant

H = 3600.0
ROWS = {
    "doses": (plant(), RECIPES["dose_at_time_setting"], np.array([0.0, 1.3, 2.0, 5.0]) * H),
    "phases": (plant(), RECIPES["duration_then_dose_at_time"], np.array([0.0, 0.3, 1.1, 2.4, 3.7, 5.1]) * H),
    "ramp": (plant(), RECIPES["ramp_over_setting"], np.array([0.0, 0.4, 0.8, 2.0, 4.9]) * H),
    "table": (plant(), RECIPES["held_table_after_moving_start"], np.array([0.0, 1.1, 1.5, 2.0, 2.8, 5.0]) * H),
    "until": (plant(), RECIPES["until_level_then_dose"], np.array([0.0, 0.2, 0.9, 1.9, 4.0]) * H),
    "until_twice": (plant(), RECIPES["until_twice"], np.array([0.0, 0.5, 1.5, 3.0, 5.0]) * H),
    "hold_end": (plant(), RECIPES["hold_end"], np.array([0.0, 1.1, 2.0, 7.0]) * H),
    "algebraic": (algebraic(), RECIPES["held_table_after_moving_start"], np.array([0.0, 1.1, 1.5, 2.0, 5.0]) * H),
    "ball": (ball(), pt.Recipe.constant(), np.array([0.0, np.sqrt(2 / 9.81), 1.0, 2.0, 2.9])),
    "counter": (counter(0.37, 0.1, 0.3, 0.3), pt.Recipe.constant(), np.array([0.0, 0.1 / 0.37, 0.3 / 0.37, 3.0])),
    "thermostat": (thermostat(300, 310), pt.Recipe.constant(), np.array([0.0, 40.5, 40.6, 81.1, 500.0])),
    "extremes": (oscillator(), pt.Recipe.constant(), np.array([0.0, 1.5, 1.6, 9.0, 40.0])),
    "switch": (
        switch(),
        pt.Recipe.from_table([0.0, 10.0, 20.0, 30.0], {"u": ([0.0, 1.0, 0.0, 0.0], "1", pt.HOLD)}),
        np.array([0.0, 10.0, 15.0, 20.0, 30.0]),
    ),
    "vessel": (
        vessel(),
        pt.Recipe(
            [
                pt.Phase("a", valve=0.0, duration="10 s", at={"4 s": [pt.dose("mass", "3 kg")]}),
                pt.Phase("b", valve=1.0, duration="10 s", start=[pt.discharge("mass", "2 kg")]),
                pt.Phase("c", valve=0.0, duration="10 s", start=[pt.dose("mass", "2 kg")]),
            ]
        ),
        np.array([0.0, 4.0, 10.0, 20.0, 30.0]),
    ),
}


def splits(times):
    """The times themselves, a rounding before and after each, and the middles."""
    inner = times[1:-1]
    return np.unique(
        np.concatenate([inner, np.nextafter(inner, 0), np.nextafter(inner, np.inf), (times[1:] + times[:-1]) / 2])
    )


def agree(model, a, b, atol=2e-8):
    """States agree relative to their scales; phase numbers and discrete values exactly."""
    scale = np.concatenate([np.full(block.size, block.scale) for block in model.state])
    np.testing.assert_allclose(a / scale, b / scale, rtol=atol, atol=atol)


@pytest.mark.parametrize("name", ROWS)
def test_advance_in_two_parts_is_advance(name):
    """Split at events, at phase ends, an ulp before and after them, and in between."""
    model, recipe, times = ROWS[name]
    values = sampled(model, recipe)
    start = model.initial_state(0.0, recipe, values)
    end = float(times[-1])
    whole = model.advance(start, 0.0, end, recipe, values)
    for split in splits(times).tolist():
        middle = model.advance(start, 0.0, split, recipe, values)
        agree(model, model.advance(middle, split, end, recipe, values), whole)


@pytest.mark.parametrize("name", ROWS)
def test_a_chain_of_steps_sees_what_one_run_sees(name):
    """observe after advance gives the outputs of the trajectory, left limits at jumps included."""
    model, recipe, times = ROWS[name]
    values = sampled(model, recipe)
    outputs, end = model.trajectory(times, recipe, values)
    scale = np.maximum(np.max(np.abs(outputs), axis=0), 1e-300)
    state = model.initial_state(0.0, recipe, values)
    np.testing.assert_allclose(model.observe(state, 0.0, recipe, values) / scale, outputs[0] / scale, atol=2e-8)
    for k, (a, b) in enumerate(itertools.pairwise(times.tolist()), start=1):
        state = model.advance(state, a, b, recipe, values)
        np.testing.assert_allclose(model.observe(state, b, recipe, values) / scale, outputs[k] / scale, atol=2e-8)
    agree(model, state, end)


@pytest.mark.parametrize("name", ROWS)
def test_a_trajectory_goes_on_from_a_state(name):
    """trajectory(times from t, state at t) is the rest of the trajectory."""
    model, recipe, times = ROWS[name]
    values = sampled(model, recipe)
    outputs, end = model.trajectory(times, recipe, values)
    scale = np.maximum(np.max(np.abs(outputs), axis=0), 1e-300)
    state = model.initial_state(0.0, recipe, values)
    for k in range(1, times.size):
        state = model.advance(state, float(times[k - 1]), float(times[k]), recipe, values)
        rest, last = model.trajectory(times[k:], recipe, values, state)
        np.testing.assert_allclose(rest / scale, outputs[k:] / scale, atol=2e-8)
        agree(model, last, end)


@pytest.mark.parametrize("name", ROWS)
def test_asking_twice_gives_the_same_bits(name):
    """A, B, A: what ran in between leaves no trace."""
    model, recipe, times = ROWS[name]
    values = sampled(model, recipe)
    first, state = model.trajectory(times, recipe, values)
    moved = {key: value * 1.001 for key, value in values.items()}
    model.trajectory(times[:-1], recipe, moved)
    again, state_again = model.trajectory(times, recipe, values)
    assert first.tobytes() == again.tobytes()
    assert state.tobytes() == state_again.tobytes()


def test_a_step_of_no_length_changes_nothing():
    """advance(t, t) is the state, and equal times in a trajectory give equal rows."""
    model, recipe, _ = ROWS["doses"]
    values = sampled(model, recipe)
    state = model.advance(model.initial_state(0.0, recipe, values), 0.0, 1000.0, recipe, values)
    agree(model, model.advance(state, 1000.0, 1000.0, recipe, values), state, atol=1e-12)
    outputs, _ = model.trajectory(np.array([0.0, 0.0, 500.0, 500.0, 500.0, 4680.0, 4680.0]), recipe, values)
    np.testing.assert_array_equal(outputs[3], outputs[2])
    np.testing.assert_array_equal(outputs[6], outputs[5])


def test_advance_does_not_change_its_argument():
    """The state that is passed stays what it was."""
    model, recipe, times = ROWS["phases"]
    values = sampled(model, recipe)
    state = model.initial_state(0.0, recipe, values)
    kept = state.copy()
    model.advance(state, 0.0, float(times[-1]), recipe, values)
    np.testing.assert_array_equal(state, kept)


@pytest.mark.parametrize(
    ("times", "error"),
    [
        ([2.0, 1.0], pt.ShapeError),
        ([-1.0, 1.0], pt.ShapeError),
        ([np.nan], pt.ShapeError),
        ([np.inf], pt.ShapeError),
        ([], pt.ShapeError),
        ([[1.0, 2.0]], pt.ShapeError),
    ],
)
def test_times_are_finite_and_ascend(times, error):
    """Anything else raises before it is integrated."""
    recipe = pt.Recipe.constant(inflow="1 kg/s")
    with pytest.raises(error):
        tank().trajectory(np.array(times), recipe, sampled(tank(), recipe))


def test_a_state_of_the_wrong_length_raises():
    """With both lengths."""
    recipe = pt.Recipe.constant(inflow="1 kg/s")
    with pytest.raises(pt.ShapeError, match=r"\(4,\)|4"):
        tank().advance(np.zeros(2), 0.0, 1.0, recipe, sampled(tank(), recipe))


def test_going_back_in_time_raises():
    """advance goes forward."""
    recipe = pt.Recipe.constant(inflow="1 kg/s")
    values = sampled(tank(), recipe)
    with pytest.raises(pt.RecipeError):
        tank().advance(tank().initial_state(0.0, recipe, values), 2.0, 1.0, recipe, values)


@pytest.mark.parametrize("span", [1e-3, 1.0, 1e5, 1e11])
def test_samples_far_apart_in_scale_are_each_at_their_own_time(span):
    """A sample at 1e-9 of the run is not rounded to another time: x = 1 - exp(-t / tau) with tau near each sample."""
    m = pt.ProcessBuilder("scales", version="1.0")
    taus = [span * 10.0**-k for k in (2, 5, 8)]
    states = [m.state(f"x{k}", "1", initial=1.0) for k in range(3)]
    for k, (state, tau) in enumerate(zip(states, taus, strict=True)):
        m.rate(state, -state / m.constant((tau, "s")))
        m.output(f"x{k}", state)
    model = m.build(integrator=TIGHT)
    recipe = pt.Recipe.constant()
    times = np.array([*taus[::-1], span])
    outputs, _ = model.trajectory(times, recipe, sampled(model, recipe))
    for k in range(3):
        assert outputs[2 - k, k] == pytest.approx(np.exp(-1.0), rel=1e-8)


def test_initial_state_is_at_zero_and_before_the_first_dose():
    """A run starts where its recipe starts; the dose at the start acts when the run moves."""
    recipe = pt.Recipe([pt.Phase("a", inflow="0 kg/s", duration="9 s", start=[pt.dose("level", "3 kg")])])
    values = sampled(tank(), recipe)
    state = tank().initial_state(0.0, recipe, values)
    assert tank().observe(state, 0.0, recipe, values)[0] == 0.0
    assert tank().observe(tank().advance(state, 0.0, 1e-9, recipe, values), 1e-9, recipe, values)[0] == 3.0
    with pytest.raises(pt.RecipeError):
        tank().initial_state(1.0, recipe, values)
