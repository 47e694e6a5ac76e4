"""The unscented filter written out with fixed steps equals the array version with the same integrator."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.runge_kutta import RungeKutta
from physics_twin.assimilation.unscented_kalman import UnscentedKalman
from physics_twin.errors import BoundsError, ModelError
from physics_twin.simulation import complete_values
from tests.assimilation import two_tanks

SD = np.array([20.0, 20.0, 0.1])  # mol/m^3, mol/m^3, K


def reactor():
    """A -> B, heated: two concentrations, a temperature, a dose; rate constant (logarithmic), heat, a live feed."""
    m = pt.ProcessBuilder("reactor", version="1.0")
    k = m.parameter("k", "0.01 1/s", bounds=("1e-4 1/s", "1 1/s"))
    heat = m.parameter("heat", "20 K L/mol", bounds=("0 K L/mol", "100 K L/mol"))
    feed = m.input("feed", "mol/L/s")
    a = m.state("a", "mol/L", initial="1 mol/L", lower="0 mol/L", upper="10 mol/L")
    b = m.state("b", "mol/L", initial="0 mol/L", lower="0 mol/L", upper="10 mol/L")
    t = m.state("t", "K", initial="320 K")
    rate = k * a * pt.exp((t - m.constant("320 K")) / m.constant("30 K"))
    m.rate(a, feed - rate)
    m.rate(b, rate)
    m.rate(t, heat * rate - m.constant("0.01 1/s") * (t - m.constant("310 K")))
    m.accumulator("made", "mol/L", rate)
    m.output("a", a)
    m.output("product", b**2 / (a + b))
    m.output("t", t)
    return m.build(integrator=pt.Sundials(rtol=1e-10, atol=1e-12))


def plant_of(model, recipe, names=("k", "heat"), frozen=False):
    fixed = dict(complete_values(model, recipe, {name: (0.0, s.unit.text) for name, s in recipe.settings.items()}))
    for name in recipe.settings:
        fixed.pop(name)
    return Dynamics(model, recipe, fixed, Coordinates.of(model, [model.parameters[n] for n in names], frozen=frozen))


LIVE = pt.Recipe.constant(feed=pt.Setting("feed_now", "mol/L/s"))


def start_of(model, plant, a=1000.0):
    state = model.initial_state(0.0, plant.recipe, {**plant.fixed, "feed_now": 0.0})
    state[0] = a
    state = model.advance(state, 0.0, 0.5, plant.recipe, {**plant.fixed, "feed_now": 0.0})  # into the first phase
    p = np.array([[plant.fixed[name] for name in plant.coordinates.parameters]])
    variance = np.array([0.01, 0.01, 1e-4, 0.04, 0.01])[: plant.coordinates.n]
    return Start(state[None], p, variance)


def observations(n, seed=0):
    """Steps of 0.5 to 9 s with all kinds of missing and doubled channels."""
    rng, t, rows = np.random.default_rng(seed), 0.5, []
    sets = [[], [0], [2, 1], [0, 1, 2], [2, 0, 2]]
    for k in range(n):
        dt, seen = float(rng.choice([0.5, 2.0, 3.3, 9.0])), np.array(sets[rng.integers(5)], dtype=np.int64)
        values = np.array([800.0, 100.0, 321.0])[seen] + SD[seen] * rng.normal(size=seen.size)
        feed = float(rng.uniform(0.0, 5.0))
        step = Step(t, t + dt, {"feed_now": feed}, np.array([1e-5, 1e-5, 1e-7, 1e-5, 0.0]) * dt, Key(0, k))
        rows.append((step, Observation(seen, values, SD[seen] ** 2, ("c",) * seen.size)))
        t += dt
    return rows


def by_arrays(method, plant, belief, step, seen):
    """The array version with the fixed steps as its integrator."""
    fixed = method._fixed_steps(plant, method.steps)
    predicted = method._by_arrays(belief, plant, step, fixed.advance)
    return predicted, UnscentedKalman(method.alpha, method.beta, method.kappa).update(predicted, plant, step, seen)


def close(a, b, tolerance=1e-11):
    for left, right in ((a.states, b.states), (a.parameters, b.parameters), (a.root, b.root)):
        np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance * np.abs(right).max())


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_written_filter_equals_the_array_version_to_rounding(compiled, frozen):
    """Sixty steps, each from the same belief: state, dose, parameters, root, outputs and their covariance."""
    model = reactor()
    plant = plant_of(model, LIVE, frozen=frozen)
    method = pt.UnscentedKalman(steps=RungeKutta("2 s", compiled=compiled))
    belief = method.begin(start_of(model, plant), plant, Key(0, 0))
    for step, seen in observations(60):
        predicted = method.predict(belief, plant, step)
        expected, after = by_arrays(method, plant, belief, step, seen) if seen.rows.size else (None, None)
        updated = method.update(predicted, plant, step, seen) if seen.rows.size else predicted.belief
        if expected is not None:
            close(predicted.belief, expected.belief)
            close(updated, after)
            np.testing.assert_allclose(predicted.outputs, expected.outputs, rtol=1e-11)
            np.testing.assert_allclose(
                predicted.covariance, expected.covariance, rtol=1e-9, atol=1e-13 * predicted.covariance.max()
            )
        if frozen:
            assert updated.parameters.tobytes() == belief.parameters.tobytes()
        assert updated.root.flags.c_contiguous and (np.diag(updated.root) > 0.0).all()
        assert updated.states[0, 3] == predicted.belief.states[0, 3] > belief.states[0, 3]
        belief = updated


def test_short_steps_give_the_filter_of_the_model_s_own_integrator():
    """Steps of 1 s on time constants of 100 s: the same filter to the fourth order, 1e-7."""
    model = reactor()
    plant = plant_of(model, LIVE)
    ends = []
    for method in (pt.UnscentedKalman(), pt.UnscentedKalman(steps=RungeKutta("1 s", compiled=False))):
        belief = method.begin(start_of(model, plant), plant, Key(0, 0))
        for step, seen in observations(30):
            predicted = method.predict(belief, plant, step)
            belief = method.update(predicted, plant, step, seen) if seen.rows.size else predicted.belief
        ends.append(belief)
    close(*ends, tolerance=1e-7)


def test_it_is_the_kalman_filter_of_a_linear_plant():
    """Two tanks against the closed form, through fixed steps: 1e-8 of the spread."""
    begin, rows = two_tanks.start(), two_tanks.schedule(60)
    plant = two_tanks.dynamics()
    states = begin.states.copy()
    phase = [b.name for b in plant.model.state].index("recipe.phase")
    states[:, phase] = 0.0
    method = pt.UnscentedKalman(steps=RungeKutta("0.2 s", compiled=False))
    means, covariances, _ = two_tanks.run(method, plant, Start(states, begin.parameters, begin.variance), rows)
    mean, covariance = two_tanks.kalman(begin, rows)
    sd = np.sqrt(np.einsum("kii->ki", covariance))
    assert np.abs((means - mean) / sd).max() < 1e-8
    assert np.abs((covariances - covariance) / np.einsum("ki,kj->kij", sd, sd)).max() < 1e-8


def test_bounds_hold_as_in_the_array_version():
    """Concentrations near zero, samples below it: the fast functions hand over, the result is the array version's."""
    model = reactor()
    plant = plant_of(model, LIVE)
    method = pt.UnscentedKalman(steps=RungeKutta("2 s", compiled=False))
    belief = method.begin(start_of(model, plant, a=20.0), plant, Key(0, 0))
    for k in range(20):
        step = Step(0.5 + k, 1.5 + k, {"feed_now": 0.0}, np.full(5, 1e-4), Key(0, k))
        seen = Observation(np.array([0]), np.array([-300.0]), np.array([400.0]), ("a",))
        expected, after = by_arrays(method, plant, belief, step, seen)
        predicted = method.predict(belief, plant, step)
        updated = method.update(predicted, plant, step, seen)
        close(predicted.belief, expected.belief, 1e-9)
        close(updated, after, 1e-9)
        assert (updated.states[0, :2] >= 0.0).all()
        belief = updated
    assert belief.states[0, 0] < 1.0


def test_steps_across_phases_doses_and_corners_are_those_of_the_model():
    """Where a phase ends, something is dosed or a table bends, the model's own integrator takes the step."""
    model = reactor()
    recipe = pt.Recipe(
        [
            pt.Phase("fill", feed="0.01 mol/L/s", duration="10 s"),
            pt.Phase("wait", feed=pt.ramp("0.01 mol/L/s", "0 mol/L/s", over="5 s"), duration="60 s",
                     at=[("20 s", [pt.dose("a", "0.5 mol/L")])]),
        ]
    )  # fmt: skip
    plant = plant_of(model, recipe)
    fixed, own = pt.UnscentedKalman(steps=RungeKutta("0.5 s", compiled=False)), pt.UnscentedKalman()
    beliefs = [m.begin(start_of(model, plant), plant, Key(0, 0)) for m in (fixed, own)]
    times = [0.5, 4.0, 9.0, 12.0, 14.0, 17.0, 25.0, 28.0, 32.0, 40.0]
    taken = []
    for t0, t1 in itertools.pairwise(times):
        step = Step(t0, t1, {}, np.zeros(5), Key(0, 0))
        taken.append(fixed._fixed_steps(plant, fixed.steps).stretch(beliefs[0], step) is not None)
        beliefs = [m.predict(b, plant, step).belief for m, b in zip((fixed, own), beliefs, strict=True)]
        close(*beliefs, tolerance=1e-7)
    #                 fill  fill  end    ramp  bend   held  dose   after held
    assert taken == [True, True, False, True, False, True, True, False, True]


def test_what_cannot_be_written_out_is_refused_in_words():
    """Events, a Python model, too many coordinates, negative weights, a step of no length."""
    with pytest.raises(BoundsError):
        RungeKutta("0 s")
    m = pt.ProcessBuilder("bouncing", version="1.0")
    x, v = m.state("x", "m", initial="1 m"), m.state("v", "m/s", initial="0 m/s")
    m.rate(x, v)
    m.rate(v, -m.constant("9.81 m/s^2"))
    m.event("bounce", when=x <= "0 m", then={v: -v})
    m.output("x", x)
    model, method = m.build(), pt.UnscentedKalman(steps=RungeKutta("1 s"))
    plant = plant_of(model, pt.Recipe.constant(), ())
    state = model.initial_state(0.0, plant.recipe, plant.fixed)[None]
    belief = method.begin(Start(state, np.zeros((1, 0)), np.ones(2)), plant, Key(0, 0))
    with pytest.raises(ModelError, match="1 events"):
        method.predict(belief, plant, Step(0.0, 1.0, {}, np.zeros(2), Key(0, 0)))
    python = two_tanks.in_python()
    state = np.array([[10.0, 10.0, 0.0, 0.0]])
    belief = method.begin(Start(state, np.zeros((1, 2)), np.ones(4)), python, Key(0, 0))
    with pytest.raises(ModelError, match="does not show its equations"):
        method.predict(belief, python, Step(0.0, 1.0, {"feed_now": 0.1}, np.zeros(4), Key(0, 0)))
    reactor_plant = plant_of(reactor(), LIVE)
    negative = pt.UnscentedKalman(alpha=0.4, steps=RungeKutta("1 s"))
    belief = negative.begin(start_of(reactor_plant.model, reactor_plant), reactor_plant, Key(0, 0))
    with pytest.raises(ModelError, match="alpha"):
        negative.predict(belief, reactor_plant, Step(0.5, 1.0, {"feed_now": 0.0}, np.zeros(5), Key(0, 0)))


def test_a_method_with_its_functions_travels_as_its_options():
    """Copies and pickles hold the options; functions are written again where they are needed."""
    model = reactor()
    plant = plant_of(model, LIVE)
    method = pt.UnscentedKalman(steps=RungeKutta("2 s", compiled=False))
    belief = method.begin(start_of(model, plant), plant, Key(0, 0))
    step = Step(0.5, 2.0, {"feed_now": 0.0}, np.zeros(5), Key(0, 0))
    first = method.predict(belief, plant, step)
    for other in (copy.deepcopy(method), pickle.loads(pickle.dumps(method))):  # noqa: S301
        assert other == method
        again = other.predict(belief, plant, step)
        assert again.belief.root.tobytes() == first.belief.root.tobytes()
        assert again.outputs.tobytes() == first.outputs.tobytes()
