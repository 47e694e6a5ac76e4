"""The values of a prediction: initial values that the recipe binds are the recipe's, and bounds are kept."""

from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.errors import BoundsError, RecipeError, UnknownNameError
from physics_twin.posterior.members import bound_initials, member_values
from physics_twin.process import ProcessModel

TIMES = np.linspace(0.0, 20.0, 21)


def tank() -> ProcessModel:
    """dx/dt = u - k x, x(0) = 1."""
    b = pt.ProcessBuilder("tank", version="1")
    k = b.parameter("k", "0.1 1/s", bounds=("1e-3 1/s", "10 1/s"))
    u = b.input("u", "kg/s")
    x = b.state("x", "kg", initial="1 kg")
    b.rate(x, u - k * x)
    b.output("x", x)
    return b.build()


MODEL = tank()
FLOW = pt.Setting("flow", "kg/s", bounds=(0, 10), value="0 kg/s")


def recipe(**changes: Any) -> pt.Recipe:
    return pt.Recipe([pt.Phase("feed", duration="20 s", u=FLOW)], **changes)


@pytest.fixture(scope="module", params=["initial.x", pt.PerExperiment("initial.x")])
def fitted(request: pytest.FixtureRequest) -> pt.Posterior:
    """A fit of k and of the initial value, 5 kg."""
    x = pt.simulate(MODEL, TIMES, recipe(), {"k": "0.3 1/s", "initial.x": "5 kg"})["x"].values
    x = x + 0.02 * np.random.default_rng(0).standard_normal(TIMES.size)
    channel = pt.Channel("x", unit="kg", noise="0.02 kg")
    run = pt.Experiment.from_arrays("run", TIMES, {"x": x}, channels=[channel], recipe=recipe())
    return pt.calibrate(MODEL, run, unknown=["k", request.param], method=pt.GaussNewton(n_draws=200), rng=1)


def test_drawn_initial_values_that_the_recipe_binds_are_noted_and_not_used(fitted: pt.Posterior) -> None:
    """The recipe's 2 kg are the beginning, and nobody is told that the fitted 5 kg are."""
    note = "initial.x: the recipe's value, not the fitted one"
    for experiment in (None, "run" if "initial.x@run" in fitted.names else None):
        bound = fitted.predict(MODEL, recipe(initial={"x": "2 kg"}), [0.0], experiment=experiment)
        assert bound.notes.count(note) == 1
        assert not any("drawn at random" in text for text in bound.notes)
        np.testing.assert_array_equal(bound.draws, 2.0)
    free = fitted.predict(MODEL, recipe(), [0.0])
    assert note not in free.notes
    assert float(free.draws.mean()) == pytest.approx(5.0, rel=0.02)
    rows = np.arange(10)
    members, _ = member_values(
        fitted, MODEL, recipe(initial={"x": "2 kg"}), rows, np.random.default_rng(0), experiment=None, values=None
    )
    assert np.ptp(members["initial.x"]) == 0.0 < np.ptp(members["k"])


@pytest.mark.parametrize("initial", [{"x": "2 kg"}, pt.STEADY])
def test_a_value_for_an_initial_value_that_the_recipe_binds_is_refused(fitted: pt.Posterior, initial: Any) -> None:
    """As `simulate` refuses it."""
    with pytest.raises(RecipeError, match=r'"initial\.x" is bound by the recipe'):
        fitted.predict(MODEL, recipe(initial=initial), [0.0], values={"initial.x": "3 kg"})
    assert float(fitted.predict(MODEL, recipe(), [0.0], values={"initial.x": "3 kg"}).draws.mean()) == 3.0


def test_the_initial_values_that_a_recipe_binds() -> None:
    """Those it names; of a steady start all that the model has."""
    assert bound_initials(recipe()) == set()
    assert bound_initials(recipe(initial={"x": "2 kg"})) == {"initial.x"}
    assert bound_initials(recipe(initial=pt.STEADY), MODEL) == {"initial.x"}


@pytest.mark.parametrize(("name", "value"), [("k", "20 1/s"), ("k", "-1 1/s"), ("flow", "11 kg/s")])
def test_values_outside_their_bounds_are_refused(fitted: pt.Posterior, name: str, value: str) -> None:
    """Of parameters and of settings, as `simulate` refuses them."""
    with pytest.raises(BoundsError, match=f"{name} = "):
        fitted.predict(MODEL, recipe(), [0.0], values={name: value})
    with pytest.raises(UnknownNameError):
        fitted.predict(MODEL, recipe(), [0.0], values={f"{name}s": value})
