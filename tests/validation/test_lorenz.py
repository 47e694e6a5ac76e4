"""The chaotic systems of the filter cases, and the studies on them, short."""

import numpy as np
import pytest

from physics_twin.model import Ensembles, Linearised, Located, Model
from physics_twin.recipes import Recipe
from physics_twin_validation.lorenz.case import METHODS, error, problem_63, problem_96
from physics_twin_validation.lorenz.models import Lorenz, lorenz_63, lorenz_96
from physics_twin_validation.reference import reference

MODELS = [lorenz_63(), lorenz_96()]
RECIPE = Recipe.constant()


def on_attractor(model: Lorenz) -> np.ndarray:
    return model.advance(1.0 + np.arange(model.n) % 3, 0.0, 10.0, RECIPE, {})


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_they_are_models(model: Lorenz) -> None:
    """With everything that filters ask for; members together are members alone."""
    assert isinstance(model, Model) and isinstance(model, Ensembles) and isinstance(model, Linearised)
    assert isinstance(model, Located)
    x = on_attractor(model) + np.arange(3)[:, None]
    outputs, ends, failures = model.trajectories(np.array([0.0, 0.1, 0.3]), RECIPE, {}, x)
    alone = np.array([model.advance(one, 0.0, 0.3, RECIPE, {}) for one in x])
    np.testing.assert_allclose(ends, alone, rtol=1e-10)
    assert outputs.shape == (3, 3, model.n) and not failures
    assert np.array_equal(outputs[:, 0], x) and np.array_equal(outputs[:, -1], ends)


def test_right_hand_sides() -> None:
    """As printed in the papers."""
    x, y, z = -3.0, 5.0, 11.0
    rate = lorenz_63().rate(np.array([[x, y, z]]))[0]
    np.testing.assert_allclose(rate, [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z], rtol=1e-14)
    around = np.random.default_rng(0).standard_normal(40)
    expected = [(around[(k + 1) % 40] - around[k - 2]) * around[k - 1] - around[k] + 8.0 for k in range(40)]
    np.testing.assert_allclose(lorenz_96().rate(around[None])[0], expected, rtol=1e-13)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_derivatives_of_the_steps(model: Lorenz) -> None:
    """Against central differences over five steps: 1e-7 of the largest, from a step of 1e-6."""
    x, span = on_attractor(model), 5 * model.dt
    found = model.advance_linearised(x, 0.0, span, RECIPE, {}, [])
    np.testing.assert_allclose(found.state, model.advance(x, 0.0, span, RECIPE, {}), rtol=1e-12)
    near = 1e-6 * np.eye(model.n)
    ends = [model.trajectories(np.array([0.0, span]), RECIPE, {}, x + sign * near)[1] for sign in (1.0, -1.0)]
    differences = (ends[0] - ends[1]).T / 2e-6
    assert np.abs(found.state_by_state - differences).max() < 1e-7 * np.abs(differences).max()


def test_neighbors_on_the_ring() -> None:
    """Entries are a meter apart along the circle, the last one beside the first."""
    places = lorenz_96().places
    assert places is not None
    apart = np.linalg.norm(places - np.roll(places, 1, axis=0), axis=1)
    np.testing.assert_allclose(apart, 1.0, atol=2e-3)


@pytest.mark.parametrize("name", ["lorenz_63_root_10", "lorenz_63_perturbed_100"])
def test_studies_short(name: str) -> None:
    """The median of five runs of 300 cycles: one run in six has an excursion, a lost filter an error of 5 or more."""
    which, method = METHODS[name]
    found = [error(method, which, seed=seed, n_cycles=300) for seed in range(1, 6)]
    assert np.median(found) == pytest.approx(reference("lorenz", name)[0], abs=0.15)


def test_problems_observe_everything_in_whole_steps() -> None:
    """Times between samples are multiples of the step."""
    for problem in (problem_63(), problem_96()):
        steps = problem.between / problem.model.dt
        assert steps == pytest.approx(round(steps), rel=1e-12)
