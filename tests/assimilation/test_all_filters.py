"""Every filter, one list: a new one enters with one row and has to pass everything here.

The plant of most tests is linear and Gaussian, so that the answer is known; what a filter of drawn numbers may deviate
by is the Monte Carlo error at the number of members of its row.
"""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Belief, Observation, Start, Step
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.method import Method
from physics_twin.errors import ModelError, SolveError
from tests.assimilation import stirred_reactor, two_tanks
from tests.assimilation.decay import of_model
from tests.twin.plants import fed, heater_block, heater_samples, heater_twin

N_DRAWS = 400


@dataclass(frozen=True)
class Row:
    """A filter, and how far it may lie from the closed form, in exact standard deviations.

    dae: whether it takes stiff models and those with algebraic equations. exact: the filter at its most exact.
    """

    method: Method
    error: float = 1e-8
    dae: bool = True
    exact: Method | None = None


FINE = {"accuracy": 1e-8, "longest_element": "1 s"}
MOVING = pt.MovingHorizon(4, pt.RealTimeIteration())
ROWS = {
    "extended": Row(pt.ExtendedKalman()),
    "unscented": Row(pt.UnscentedKalman()),
    "unscented, fixed steps": Row(pt.UnscentedKalman(steps=pt.RungeKutta("50 ms")), dae=False),
    "ensemble": Row(pt.EnsembleKalman(N_DRAWS)),
    "ensemble, perturbed": Row(pt.EnsembleKalman(N_DRAWS, perturbed=True), 8.0 / math.sqrt(N_DRAWS)),
    "moving horizon": Row(pt.MovingHorizon(4), exact=pt.MovingHorizon(4, **FINE)),
    "moving horizon, real time": Row(MOVING, exact=replace(MOVING, **FINE)),
}
filters = pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
NOTHING = Observation(np.array([], dtype=np.int64), np.array([]), np.array([]), ())


def small(row):
    """The filter with few members: for laws that hold for any number of them."""
    return replace(row.method, n_members=12) if isinstance(row.method, pt.EnsembleKalman) else row.method


def moments(belief, plant):
    """Mean (n,) and covariance (n, n) of the coordinates."""
    z = plant.coordinates.of_members(belief.states, belief.parameters)
    if belief.root is None:
        return z.mean(axis=0), np.cov(z.T)
    return z[0], belief.root @ belief.root.T


def arrays(belief):
    found = {"states": belief.states, "parameters": belief.parameters, **belief.memory}
    return found if belief.root is None else {**found, "root of P": belief.root}


def bits(belief):
    return {name: (array.shape, array.tobytes()) for name, array in arrays(belief).items()}


def run(method, plant, begin, rows):
    """Beliefs after each moment."""
    belief, found = method.begin(begin, plant, Key(0, -1)), []
    for step, seen in rows:
        predicted = method.predict(belief, plant, step)
        belief = method.update(predicted, plant, step, seen) if seen.rows.size else predicted.belief
        found.append(belief)
    return found


def ready(row):
    """The plant, a filter of it that has learned a little, its belief and the next step with samples of all outputs."""
    plant, rows = two_tanks.dynamics(), two_tanks.schedule(8)
    belief = run(small(row), plant, two_tanks.start(), rows[:7])[-1]
    seen = Observation(np.arange(3), np.array([11.0, 14.0, 36.0]), np.full(3, 0.04), ("upper", "lower", "weighted"))
    return plant, small(row), belief, rows[7][0], seen


# -- laws -------------------------------------------------------------------------------------------------------------
@filters
def test_the_kalman_filter_on_a_linear_plant(row):
    """Irregular steps, a live input, moments without samples, two samples of one output, parameters that drift."""
    plant, begin, rows = two_tanks.dynamics(), two_tanks.start(N_DRAWS), two_tanks.schedule(40)
    assert isinstance(row.method, Method)
    means, covariances = two_tanks.kalman(begin, rows)
    outer = np.outer(two_tanks.SCALE, two_tanks.SCALE)
    for belief, mean, covariance in zip(
        run(row.exact or row.method, plant, begin, rows), means, covariances, strict=True
    ):
        z, own = moments(belief, plant)
        sd = np.sqrt(np.diag(covariance))
        assert np.abs((z * two_tanks.SCALE - mean) / sd).max() < row.error
        assert np.abs((own * outer - covariance) / np.outer(sd, sd)).max() < row.error


@filters
def test_the_same_bits_whatever_was_computed_before(row):
    """A, B, A: another plant in between, and arrays copied as a file gives them back, change no bit."""
    plant, begin, rows = two_tanks.dynamics(), two_tanks.start(), two_tanks.schedule(6)
    method = small(row)
    first = [bits(belief) for belief in run(method, plant, begin, rows)]
    run(method, two_tanks.dynamics(frozen=True), two_tanks.start(seed=5), two_tanks.schedule(5, seed=9))
    assert [bits(belief) for belief in run(method, plant, begin, rows)] == first
    belief = method.begin(begin, plant, Key(0, -1))
    for (step, seen), expected in zip(rows, first, strict=True):
        fresh = {name: np.array(array, order="C", copy=True) for name, array in arrays(belief).items()}
        kept = (fresh.pop("states"), fresh.pop("parameters"), fresh.pop("root of P", None))
        predicted = method.predict(Belief(belief.method, *kept, fresh), plant, step)
        belief = method.update(predicted, plant, step, seen) if seen.rows.size else predicted.belief
        assert bits(belief) == expected


@filters
def test_nothing_that_is_given_is_changed(row):
    """Beliefs, predictions and observations are values: no function writes into them."""
    plant, method, belief, step, seen = ready(row)
    before = bits(belief)
    predicted = method.predict(belief, plant, step)
    kept = bits(predicted.belief), predicted.outputs.tobytes(), predicted.covariance.tobytes()
    linked = {name: array.tobytes() for name, array in predicted.linked.items()}
    method.widen(predicted, plant, 4.0)
    one, other = (bits(method.update(predicted, plant, step, seen)) for _ in range(2))
    assert one == other
    assert bits(belief) == before
    assert (bits(predicted.belief), predicted.outputs.tobytes(), predicted.covariance.tobytes()) == kept
    assert {name: array.tobytes() for name, array in predicted.linked.items()} == linked


@filters
def test_no_time_and_no_samples_change_nothing(row):
    """A step of no length and an empty observation: states and parameters keep their bits, the spread its digits."""
    plant, method, _, step, seen = ready(row)
    belief = method.begin(two_tanks.start(), plant, Key(0, -1))
    still = replace(step, t0=0.0, t1=0.0, variance=np.zeros(4))
    after = method.update(method.predict(belief, plant, still), plant, still, NOTHING)
    assert after.states.tobytes() == belief.states.tobytes()
    assert after.parameters.tobytes() == belief.parameters.tobytes()
    (_, one), (_, other) = moments(belief, plant), moments(after, plant)
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)
    learned = method.update(method.predict(belief, plant, still), plant, still, seen)
    assert learned.states.tobytes() != belief.states.tobytes()


@filters
def test_two_samples_of_one_output_are_one_of_half_the_variance(row):
    """Their mean with half the variance leads to the same belief; for drawn perturbations within their error."""
    plant, method, belief, step, _ = ready(row)
    predicted = method.predict(belief, plant, step)
    at = float(predicted.outputs[0])
    twice = Observation(np.array([0, 0]), np.array([at + 0.1, at + 0.3]), np.full(2, 0.08), ("upper", "upper"))
    once = Observation(np.array([0]), np.array([at + 0.2]), np.array([0.04]), ("upper",))
    (mean, p), (other, q) = (moments(method.update(predicted, plant, step, o), plant) for o in (twice, once))
    sd, drawn = np.sqrt(np.diag(q)), row.error > 1e-8
    assert np.abs((mean - other) / sd).max() < 1e-6
    assert np.abs((p - q) / np.outer(sd, sd)).max() < (0.5 if drawn else 1e-6)


@filters
def test_held_parameters_are_considered(row):
    """A frozen twin: parameters keep every bit and their spread, which counts in what is expected of the outputs."""
    plant, begin, rows = two_tanks.dynamics(frozen=True), two_tanks.start(), two_tanks.schedule(10)
    rows = [(replace(step, variance=np.array([*step.variance[:2], 0.0, 0.0])), seen) for step, seen in rows]
    method = small(row)
    first = method.begin(begin, plant, Key(0, -1))
    _, expected = moments(first, plant)
    for belief in run(method, plant, begin, rows):
        assert belief.parameters.tobytes() == first.parameters.tobytes()
        _, covariance = moments(belief, plant)
        np.testing.assert_allclose(np.diag(covariance)[2:], np.diag(expected)[2:], rtol=1e-9)
    predicted = method.predict(belief, plant, rows[-1][0])
    assert predicted.covariance[1, 1] > 0.9 * expected[3, 3] * two_tanks.SCALE[3] ** 2


@filters
def test_widening_is_of_the_states(row):
    """Nine times the variance of the states; the parameters' spread and their mean stay."""
    plant, method, belief, step, _ = ready(row)
    predicted = method.predict(belief, plant, step)
    wide = method.widen(predicted, plant, 9.0)
    (mean, p), (other, q) = moments(predicted.belief, plant), moments(wide.belief, plant)
    np.testing.assert_allclose(other, mean, rtol=1e-10)
    np.testing.assert_allclose(np.diag(q), np.diag(p) * [9.0, 9.0, 1.0, 1.0], rtol=1e-10)
    np.testing.assert_allclose(wide.outputs, predicted.outputs, rtol=1e-9)
    assert wide.covariance[0, 0] == pytest.approx(9.0 * predicted.covariance[0, 0], rel=1e-9)


# -- plants that bite -------------------------------------------------------------------------------------------------
@functools.cache
def dissolving():
    """dc/dt = -k c^2 with bounds, metered: a state, a parameter and an accumulator. Fails above 4 mol/L."""
    m = pt.ProcessBuilder("dissolving", version="1.0")
    k = m.parameter("k", "0.1 L/mol/s", bounds=("0.09 L/mol/s", "0.12 L/mol/s"))
    c = m.state("c", "mol/L", initial="2 mol/L", scale="1 mol/L", lower="0 mol/L")
    m.rate(c, -k * c * c)
    m.accumulator("gone", "mol/L", k * c * c)
    m.output("c", c)
    m.output("root", pt.sqrt(m.constant("4 mol/L") - c))
    return m.build()


def dissolving_begin(plant, c=2000.0, sd=0.3, n=12):
    rng = np.random.default_rng(0)
    state = plant.model.initial_state(0.0, plant.recipe, plant.fixed)
    states = np.tile(state, (n, 1))
    states[:, plant.coordinates.positions[0]] = c
    own = 1e-4 * (1.0 + 0.05 * rng.standard_normal((n, 1))).clip(0.91, 1.15)
    return Start(states, own, np.array([sd**2, 0.0]))


@filters
def test_bounds_hold_and_accumulators_are_the_model_s(row):
    """Readings below zero and of a rate beyond its bound: all members stay within, and no sample moves the meter."""
    plant = of_model(dissolving(), ["k"])
    method, c = small(row), plant.coordinates
    rest = np.setdiff1d(np.arange(len(plant.model.initial_state(0.0, plant.recipe, plant.fixed))), c.positions)
    belief = method.begin(dissolving_begin(plant), plant, Key(0, -1))
    for k in range(25):
        step = Step(2.0 * k, 2.0 * k + 2.0, {}, np.array([1e-4, 1e-4]), Key(0, k))
        predicted = method.predict(belief, plant, step)
        seen = Observation(np.array([0]), np.array([-200.0 if k % 3 else 50.0]), np.array([900.0]), ("c",))
        belief = method.update(predicted, plant, step, seen)
        assert belief.states[:, rest].tobytes() == predicted.belief.states[:, rest].tobytes()
        z = c.of_members(belief.states, belief.parameters)
        assert np.isfinite(z).all() and (z >= c.lower).all() and (z <= c.upper).all()
        low, high = c.declared["k"].bounds
        assert (belief.parameters >= low).all() and (belief.parameters <= high).all()


@filters
def test_a_model_that_fails_leaves_nothing_half_done(row):
    """Where no run comes back there is a SolveError, what was given is unchanged, and the next step is as ever."""
    plant = of_model(dissolving(), ["k"])
    method = small(row)
    bad = method.begin(dissolving_begin(plant, 9000.0, 1e-3), plant, Key(0, -1))
    kept = bits(bad)
    step = Step(0.0, 1e-9, {}, np.zeros(2), Key(0, 0))
    with pytest.raises(SolveError):
        method.predict(bad, plant, step)
    assert bits(bad) == kept
    good = method.begin(dissolving_begin(plant), plant, Key(0, -1))
    expected = bits(method.predict(good, plant, replace(step, t1=2.0)).belief)
    with pytest.raises(SolveError):
        method.predict(bad, plant, step)
    assert bits(method.predict(good, plant, replace(step, t1=2.0)).belief) == expected


@filters
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_sample_that_is_no_number_is_refused(row, value):
    """SolveError, and the prediction is as it was."""
    plant, method, belief, step, seen = ready(row)
    predicted = method.predict(belief, plant, step)
    kept = bits(predicted.belief)
    with np.errstate(invalid="ignore"), pytest.raises(SolveError):
        method.update(predicted, plant, step, replace(seen, values=np.array([11.0, value, 36.0])))
    assert bits(predicted.belief) == kept


@filters
def test_a_short_step_is_not_the_measure_of_a_long_one(row):
    """A nanosecond between two moments, then 20 s: the same as without it."""
    plant, method, belief, step, _ = ready(row)
    t = step.t0
    quiet = np.zeros(4)
    through = belief
    for begin, end in ((t, t + 1e-9), (t + 1e-9, t + 20.0)):
        through = method.predict(through, plant, replace(step, t0=begin, t1=end, variance=quiet)).belief
    at_once = method.predict(belief, plant, replace(step, t0=t, t1=t + 20.0, variance=quiet)).belief
    (mean, p), (other, q) = moments(through, plant), moments(at_once, plant)
    sd = np.sqrt(np.diag(q))
    assert np.abs((mean - other) / sd).max() < 1e-5
    assert np.abs((p - q) / np.outer(sd, sd)).max() < 1e-5


@functools.cache
def stiff():
    """Robertson's three reactions with the mass balance as third state; rates nine orders of magnitude apart."""
    m = pt.ProcessBuilder("robertson", version="1.0")
    k1 = m.parameter("k1", "0.04 1/s", bounds=("0.01 1/s", "0.1 1/s"))
    a = m.state("a", "1", initial=1.0)
    b = m.state("b", "1", initial=3.6e-5, scale=1e-4)
    k2, k3 = m.constant("3e7 1/s"), m.constant("1e4 1/s")
    m.rate(a, -k1 * a + k3 * b * (1.0 - a - b))
    m.rate(b, k1 * a - k2 * b * b - k3 * b * (1.0 - a - b))
    m.output("a", a)
    return m.build(integrator=pt.Sundials(rtol=1e-8, atol=1e-12))


@filters
def test_a_stiff_plant(row):
    """Robertson's reactions, one of three species read: the rate constant is found; fixed steps say what is wrong."""
    plant, n = of_model(stiff(), ["k1"]), 60
    truth, values = plant.model.initial_state(0.0, plant.recipe, plant.fixed), {**plant.fixed, "k1": 0.044}
    rng = np.random.default_rng(2)
    own = 0.04 * np.exp(0.1 * rng.standard_normal((n, 1)))
    begin = Start(np.tile(truth, (n, 1)), own, np.zeros(3))
    method = row.method
    method = replace(method, n_members=n) if isinstance(method, pt.EnsembleKalman) else method
    belief = method.begin(begin, plant, Key(0, -1))
    t = 0.0
    for k in range(15):
        step = Step(t, t + 2.0, {}, np.array([1e-8, 1e-8, 0.0]), Key(0, k))
        truth = plant.model.advance(truth, step.t0, step.t1, plant.recipe, values)
        seen = Observation(np.array([0]), truth[:1] + 1e-3 * rng.standard_normal(1), np.array([1e-6]), ("a",))
        if not row.dae and k:  # explicit steps of 50 ms on a time constant of 0.5 ms, once the phase has begun
            with pytest.raises(SolveError), np.errstate(over="ignore", invalid="ignore"):
                method.predict(belief, plant, step)
            return
        belief = method.update(method.predict(belief, plant, step), plant, step, seen)
        t += 2.0
    _, covariance = moments(belief, plant)
    assert abs(belief.parameters.mean() - 0.044) < 4.0 * math.sqrt(covariance[2, 2]) * plant.coordinates.scale[2]
    assert covariance[2, 2] < 0.2 * moments(method.begin(begin, plant, Key(0, -1)), plant)[1][2, 2]


@filters
def test_a_plant_with_algebraic_equations(row):
    """The jacket without mass: followed within four of the stated sd, or refused with what stands against it."""
    of = stirred_reactor.dynamics(stirred_reactor.model(jacket_algebraic=True))
    rows, states = stirred_reactor.experiment(of, 25)
    method = replace(row.method, n_members=40) if isinstance(row.method, pt.EnsembleKalman) else row.method
    if not row.dae:
        with pytest.raises(ModelError, match="algebraic"):
            run(method, of, stirred_reactor.start(of), rows)
        return
    beliefs = run(method, of, stirred_reactor.start(of), rows)
    c = of.coordinates
    for belief, state in zip(beliefs[5:], states[5:], strict=True):
        mean, covariance = moments(belief, of)
        error = mean[: c.n_states] - state[c.positions] / c.scale[: c.n_states]
        assert (np.abs(error) < 4.5 * np.sqrt(np.diag(covariance))[: c.n_states]).all()


# -- in a twin --------------------------------------------------------------------------------------------------------
@filters
def test_through_the_file_of_a_twin(row, tmp_path):
    """Options and memory come back: the loaded twin has the same method and goes on with the same bits."""
    samples, method = heater_samples(8), small(row)
    half = fed(heater_twin(method=method), samples[:16])
    half.save(tmp_path / "twin.nc")
    loaded = pt.Twin.load(tmp_path / "twin.nc", heater_block())
    assert loaded.setup.method == method and loaded.digest == half.digest
    for twin in (half, loaded):
        assert all(a.flags.c_contiguous for a in arrays(twin.state.belief).values())
    assert fed(loaded, samples[16:]).digest == fed(half, samples[16:]).digest
