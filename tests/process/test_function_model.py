"""Plain Python right-hand sides: the same numbers and the same manners as a ProcessModel."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.model import Sensitivities
from physics_twin.verification import check_model
from tests.process.plants import decay, run, sampled


def _rate(t, state, inputs, values):
    return {"x": inputs["u"] - values["k"] * state["x"]}


def _square(t, state, inputs, values):
    return state["x"] ** 2


def _raises(t, state, inputs, values):
    raise ZeroDivisionError("the pump stopped")


def _nan(t, state, inputs, values):
    return {"x": np.nan}


def _misses(t, state, inputs, values):
    return {"y": 0.0}


def _explodes(t, state, inputs, values):
    return {"x": state["x"] ** 2}


def plain(rate=_rate, **changed):
    """The model of plants.decay as a function."""
    given = {
        "version": "1.0",
        "rate": rate,
        "states": {"x": ("kg", "2 kg")},
        "parameters": [pt.Parameter("k", "0.1 1/s")],
        "inputs": {"u": "kg/s"},
        "outputs": {"x": "kg", "square": ("kg^2", _square)},
        "rtol": 1e-10,
        "atol": 1e-12,
    }
    return pt.FunctionModel("plain", **{**given, **changed})


RECIPE = pt.Recipe(
    [
        pt.Phase("a", u="1 kg/s", duration="10 s", at={"4 s": [pt.dose("x", "3 kg")]}),
        pt.Phase("b", u=pt.ramp("2 kg/s", "0 kg/s"), duration=pt.Setting("hold", "s", bounds=(1, 50), value="20 s")),
        pt.Phase("c", u=pt.table([0.0, 3.0, 3.1, 9.0], [0.0, 50.0, 0.0, 0.0], "kg/s", pt.HOLD), duration="9 s"),
    ],
    initial={"x": "1 kg"},
)


def test_it_agrees_with_the_same_model_as_equations():
    """Doses, ramps, a held pulse of 0.1 s, a setting, an initial value."""
    times = np.array([0.0, 3.9, 4.0, 4.1, 10.0, 22.0, 30.0, 33.05, 33.2, 39.0])
    np.testing.assert_allclose(run(plain(), times, RECIPE)[:, 0], run(decay(), times, RECIPE)[:, 0], rtol=1e-7)


def test_it_keeps_the_contract(spawned):
    """Every clause that it declares; derivatives it does not declare."""
    report = check_model(plain(), recipe=RECIPE, executor=spawned)
    assert report.passed
    assert not isinstance(plain(), Sensitivities)
    assert "none declared" in str(report)


@pytest.mark.parametrize("rate", [_raises, _nan, _explodes])
def test_a_function_that_fails_is_a_solve_error(rate, capfd):
    """An exception, NaN and an explosion: reason, time and values, and silence on stderr."""
    model = plain(rate)
    recipe = pt.Recipe.constant(u="1 kg/s")
    with pytest.raises(pt.SolveError) as caught:
        model.trajectory(np.array([5.0]), recipe, sampled(model, recipe))
    assert caught.value.reason
    assert 0.0 <= caught.value.time <= 5.0
    assert caught.value.values["k"] == pytest.approx(0.1)
    if rate is _raises:
        assert "the pump stopped" in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_function_that_misses_a_state_says_which():
    """The result names every state."""
    model, recipe = plain(_misses), pt.Recipe.constant(u="1 kg/s")
    with pytest.raises((pt.ModelError, pt.UnknownNameError), match="x"):
        model.trajectory(np.array([5.0]), recipe, sampled(model, recipe))


def test_what_it_cannot_do_is_said():
    """Phases that end on a level, and steady starts."""
    until = pt.Recipe([pt.Phase("a", u="1 kg/s", until=pt.reaches("x", "5 kg"), at_most="1 h")])
    with pytest.raises(pt.RecipeError):
        plain().trajectory(np.array([5.0]), until, sampled(plain(), until))
    steady = pt.Recipe.constant(u="1 kg/s").replace(initial=pt.STEADY)
    with pytest.raises(pt.RecipeError, match="steady"):
        plain().trajectory(np.array([5.0]), steady, sampled(plain(), steady))


def test_past_the_end_and_before_the_start():
    """The same errors as of a ProcessModel."""
    recipe = pt.Recipe.constant(u="1 kg/s", duration="10 s")
    values = sampled(plain(), recipe)
    with pytest.raises(pt.RecipeError):
        plain().trajectory(np.array([11.0]), recipe, values)
    with pytest.raises(pt.ShapeError):
        plain().trajectory(np.array([-1.0]), recipe, values)
    with pytest.raises(pt.ShapeError):
        plain().trajectory(np.array([2.0, 1.0]), recipe, values)


def test_declarations_are_checked():
    """Names, units, outputs."""
    with pytest.raises(pt.ModelError):
        plain(outputs={"y": "kg"})
    with pytest.raises(pt.UnitError):
        plain(states={"x": ("kg", "2 m")})
    with pytest.raises(pt.ModelError):
        plain(inputs={"a b": "kg"})
    with pytest.raises(pt.UnitError):
        plain(outputs={"x": "K"})
    with pytest.raises(pt.ModelError):
        plain(inputs={"k": "kg/s"})


def test_its_fingerprint_follows_its_version():
    """Code is not hashed, so the version is."""
    assert plain().fingerprint == plain().fingerprint
    assert plain(version="1.1").fingerprint != plain().fingerprint


def test_after_the_end_of_a_recipe_inputs_are_held_and_nothing_happens_again():
    """The last row of a table, not its first; no second dose; also for a run that goes on from there."""
    table = pt.table(([0.0, 2.0], "s"), [1.0, 3.0], "kg/s", pt.HOLD, hold_after=True)
    recipe = pt.Recipe([pt.Phase("p", u=table, duration="4 s", start=[pt.dose("x", "1 kg")])], hold_end=True)
    times = np.array([0.0, 3.0, 4.0, 6.0, 9.0])
    np.testing.assert_allclose(run(plain(), times, recipe)[:, :1], run(decay(), times, recipe), rtol=1e-7)
    model = plain()
    values = sampled(model, recipe)
    state = model.advance(model.initial_state(0.0, recipe, values), 0.0, 6.0, recipe, values)
    expected = run(decay(), times, recipe)[-1, 0]
    assert model.advance(state, 6.0, 9.0, recipe, values)[0] == pytest.approx(expected, rel=1e-7)
