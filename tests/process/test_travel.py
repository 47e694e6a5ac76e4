"""Models in threads, in other processes, and in ensembles: the same numbers everywhere."""

import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import physics_twin as pt
from tests.process.plants import ball, decay, sampled
from tests.process.test_events import thermostat
from tests.process.test_failures import explosion
from tests.process.test_sensitivities import RECIPES, algebraic, plant

TIMES = 3600.0 * np.array([0.0, 0.17, 0.77, 1.53, 2.9, 4.3])


@pytest.mark.parametrize("fresh", [True, False])
def test_eight_threads_on_one_model_get_the_same_bits(fresh):
    """Also when they all meet a model that nobody has used yet."""
    recipe = RECIPES["until_level_then_dose"]
    reference = plant()
    values = sampled(reference, recipe)
    expected = reference.sensitivity(TIMES, recipe, values, ["k", "dose"])[1].tobytes()
    for _ in range(5 if fresh else 1):
        model = plant() if fresh else reference
        barrier = threading.Barrier(8)

        def work(_, model=model, barrier=barrier):
            barrier.wait()
            return {
                model.sensitivity(TIMES, recipe, values, ["k", "dose"])[1].tobytes() for _ in range(2 if fresh else 6)
            }

        with ThreadPoolExecutor(8) as pool:
            found = set().union(*pool.map(work, range(8)))
        assert found == {expected}


def test_different_models_in_threads_do_not_disturb_each_other():
    """Two models, four threads, different recipes."""
    rows = [(plant(), RECIPES["dose_at_time_setting"]), (algebraic(), RECIPES["held"])]
    expected = [m.trajectory(TIMES, r, sampled(m, r))[0].tobytes() for m, r in rows]

    def work(k):
        model, recipe = rows[k % 2]
        return {model.trajectory(TIMES, recipe, sampled(model, recipe))[0].tobytes() for _ in range(10)}

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    for k in range(4):
        assert found[k] == {expected[k % 2]}


@pytest.mark.parametrize("make", [plant, algebraic, lambda: thermostat(300, 310), lambda: ball(0.7)])
def test_a_pickled_model_is_the_same_model(make):
    """Fingerprint, parameters, state and numbers; used or not before."""
    model = make()
    unused = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
    recipe = RECIPES["held"] if model.inputs else pt.Recipe.constant()
    values, times = sampled(model, recipe), np.array([0.1, 1.0, 2.0])
    expected = model.trajectory(times, recipe, values)[0].tobytes()
    for copy in (unused, pickle.loads(pickle.dumps(model))):  # noqa: S301 - our own bytes
        assert copy.fingerprint == model.fingerprint
        assert [block.name for block in copy.state] == [block.name for block in model.state]
        assert copy.trajectory(times, recipe, values)[0].tobytes() == expected


def _there(model, recipe, values):
    return model.fingerprint, model.sensitivity(TIMES, recipe, values, ["k", "time"])


def test_a_spawned_worker_gives_the_same_bits():
    """A model, a recipe and values travel; the worker compiles anew."""
    model, recipe = plant(), RECIPES["until_level_then_dose"]
    values = sampled(model, recipe)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        fingerprint, there = pool.submit(_there, model, recipe, values).result()
    assert fingerprint == model.fingerprint
    for a, b in zip(there, model.sensitivity(TIMES, recipe, values, ["k", "time"]), strict=True):
        assert a.tobytes() == b.tobytes()


ENSEMBLES = {
    "timed": (plant(), "duration_then_dose_at_time", ["k", "hold", "dose", "when"]),
    "held_table": (plant(), "held_table_after_moving_start", ["k", "hold", "first"]),
    "ramp": (plant(), "ramp_over_setting", ["loss", "level", "over"]),
    "until": (plant(), "until_level_then_dose", ["k", "target", "dose"]),
    "algebraic": (algebraic(), "ramp", ["k", "hold", "level"]),
    "initial": (plant(), "initial_binding", ["charge", "first", "k"]),
}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_members_of_an_ensemble_are_single_runs(name):
    """Each row agrees with its own run within the tolerance, whichever way the ensemble is computed."""
    model, recipe_name, moved = ENSEMBLES[name]
    recipe = RECIPES[recipe_name]
    values = sampled(model, recipe)
    rng = np.random.default_rng(2)
    n = 70  # more than one group
    columns = {key: np.full(n, value) for key, value in values.items()}
    for key in moved:
        columns[key] = values[key] * rng.uniform(0.95, 1.05, n)
    outputs, ends, failures = model.trajectories(TIMES, recipe, columns)
    assert failures == ()
    assert outputs.shape == (n, TIMES.size, len(model.outputs))
    scale = np.maximum(np.max(np.abs(outputs), axis=(0, 1)), 1e-300)
    for k in (0, 1, 33, 63, 64, 69):
        alone, end = model.trajectory(TIMES, recipe, {key: float(column[k]) for key, column in columns.items()})
        np.testing.assert_allclose(outputs[k] / scale, alone / scale, rtol=0, atol=1e-8)
        np.testing.assert_allclose(ends[k], end, rtol=1e-7, atol=1e-7)


def test_members_whose_phases_begin_at_other_times_are_simulated_together():
    """Samples at the same shares of a phase are the same grid, also a millionth of the phase after its beginning, where
    subtracting the times leaves ten digits."""
    from physics_twin.process import ensemble

    b = pt.ProcessBuilder("tank", version="1.0")
    k = b.parameter("k", "0.1 1/s", bounds=("1e-3 1/s", "10 1/s"))
    x = b.state("x", "kg", initial="1 kg")
    b.rate(x, -k * x)
    b.output("x", x)
    model = b.build()
    first = pt.Setting("first", "s")
    recipe = pt.Recipe([pt.Phase("one", duration=first), pt.Phase("two", duration="600 s")])
    columns = {"k": np.full(8, 0.01), "initial.x": np.full(8, 1.0), "first": np.linspace(700.0, 900.0, 8) / 1.7}
    times = columns["first"][:, None] + 600.0 * np.array([1e-6, 0.0055, 0.3, 1.0])
    members = ensemble._members(times, columns, None)
    done = ensemble._together(model, model._schedule(recipe), members, np.arange(8))
    assert done is not None
    np.testing.assert_allclose(done[0][:, :, 0], np.exp(-0.01 * times), rtol=0, atol=1e-6)


def test_a_member_that_fails_is_listed_and_the_others_are_not_touched():
    """NaN only in its own row; reason and time are given."""
    model, recipe = explosion(), pt.Recipe.constant()
    k = np.linspace(0.1, 3.0, 9)
    times = np.array([0.0, 0.25, 0.5])
    outputs, ends, failures = model.trajectories(times, recipe, {"k": k, "initial.x": np.ones(9)})
    failed = [failure.member for failure in failures]
    assert failed == [j for j in range(9) if 1.0 / k[j] <= 0.5]
    for j in range(9):
        if j in failed:
            assert np.isnan(outputs[j]).all() and np.isnan(ends[j]).all()
        else:
            # Close to the pole an error of the tolerance grows with the square of the solution.
            np.testing.assert_allclose(outputs[j, :, 0], 1.0 / (1.0 - k[j] * times), rtol=1e-4)
    for failure in failures:
        assert failure.reason
        assert failure.time == pytest.approx(1.0 / k[failure.member], rel=0.05)


def test_a_member_that_is_not_a_number_is_a_failure():
    """NaN in a column: that member alone."""
    recipe = pt.Recipe.constant(u="1 kg/s")
    columns = {key: np.full(3, value) for key, value in sampled(decay(), recipe).items()}
    columns["k"] = np.array([0.1, np.nan, 0.2])
    outputs, _, failures = decay().trajectories(np.array([1.0, 5.0]), recipe, columns)
    assert [failure.member for failure in failures] == [1]
    assert np.isfinite(outputs[[0, 2]]).all()


def test_ensembles_with_times_and_states_of_their_own():
    """times (n_members, n_times) and states (n_members, n_state): each member goes on from its own."""
    model, recipe = plant(), RECIPES["duration_then_dose_at_time"]
    values = sampled(model, recipe)
    columns = {key: np.full(3, value) for key, value in values.items()}
    columns["k"] = values["k"] * np.array([0.9, 1.0, 1.1])
    begins = np.array([1000.0, 3960.0, 9000.0])
    states = np.array(
        [
            model.advance(
                model.initial_state(0.0, recipe, values), 0.0, t, recipe, {**values, "k": float(columns["k"][j])}
            )
            for j, t in enumerate(begins)
        ]
    )
    times = begins[:, None] + np.array([0.0, 500.0, 6000.0])
    outputs, _, failures = model.trajectories(times, recipe, columns, states)
    assert failures == ()
    for j in range(3):
        alone, _ = model.trajectory(times[j], recipe, {**values, "k": float(columns["k"][j])}, states[j])
        np.testing.assert_allclose(outputs[j], alone, rtol=1e-8, atol=1e-8)


def test_an_ensemble_of_unequal_columns_raises():
    """Three members of one value and four of another."""
    recipe = pt.Recipe.constant(u="1 kg/s")
    with pytest.raises(pt.ShapeError):
        decay().trajectories(np.array([1.0]), recipe, {"k": np.ones(3), "initial.x": np.ones(4)})


def test_a_recipe_error_in_a_member_is_told():
    """A duration that is negative in one member: it fails, or the ensemble says why; nothing is made up."""
    model, recipe = plant(), RECIPES["duration_setting"]
    columns = {key: np.full(3, value) for key, value in sampled(model, recipe).items()}
    columns["hold"] = np.array([3600.0, -5.0, 3600.0])
    try:
        outputs, _, failures = model.trajectories(TIMES, recipe, columns)
    except pt.RecipeError as error:
        assert "-5" in str(error)
    else:
        assert [failure.member for failure in failures] == [1]
        assert np.isnan(outputs[1]).all() and np.isfinite(outputs[[0, 2]]).all()
