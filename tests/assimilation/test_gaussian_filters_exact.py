"""On linear-Gaussian problems every Gaussian filter is the Kalman filter."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.method import Method
from physics_twin.errors import BoundsError, SolveError
from tests.assimilation import plain_models, two_tanks

METHODS = [
    pt.ExtendedKalman(),
    pt.ExtendedKalman(iterations=3),
    pt.UnscentedKalman(),
    pt.UnscentedKalman(alpha=1.0, kappa=0.5),
    pt.UnscentedKalman(alpha=0.5),  # a negative weight: the root is downdated
]


def deviation(found, exact):
    """Largest difference of means and covariances in units of the exact standard deviations."""
    (means, covariances), (mean, covariance) = found, exact
    sd = np.sqrt(np.einsum("kii->ki", covariance))
    return max(
        np.abs((means - mean) / sd).max(),
        np.abs((covariances - covariance) / np.einsum("ki,kj->kij", sd, sd)).max(),
    )


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_it_equals_the_kalman_filter_over_a_hundred_irregular_steps(method):
    """States and parameters, live input, missing channels, two samples of one output: to 1e-8 of the spread."""
    begin, rows = two_tanks.start(), two_tanks.schedule(120)
    means, covariances, beliefs = two_tanks.run(method, two_tanks.dynamics(), begin, rows)
    assert isinstance(method, Method)
    assert deviation((means, covariances), two_tanks.kalman(begin, rows)) < 1e-8
    assert all((np.diag(b.root) > 0.0).all() and not np.triu(b.root, 1).any() for b in beliefs)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_considered_parameters_are_those_of_schmidt(method):
    """A frozen twin: parameters keep every bit, their spread counts; the covariance is Schmidt's to 1e-8."""
    begin, rows = two_tanks.start(), two_tanks.schedule(100)
    plant = two_tanks.dynamics(frozen=True)
    means, covariances, beliefs = two_tanks.run(method, plant, begin, rows)
    assert deviation((means, covariances), two_tanks.kalman(begin, rows, n_updated=2)) < 1e-8
    first = method.begin(begin, plant, Key(0, 0))
    assert all(b.parameters.tobytes() == first.parameters.tobytes() for b in beliefs)
    ignored = two_tanks.kalman(
        Start(begin.states, begin.parameters.mean(axis=0) + 0.0 * begin.parameters, begin.variance), rows
    )
    assert covariances[-1, 0, 0] > 1.02 * ignored[1][-1, 0, 0]  # the test would see spread that is left out


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_prediction_without_time_changes_nothing(method):
    """A step of no length is the identity: states, parameters and covariance."""
    plant = two_tanks.dynamics()
    belief = method.begin(two_tanks.start(), plant, Key(0, 0))
    step = Step(0.0, 0.0, {"feed_now": 0.3}, np.zeros(4), Key(0, 0))
    after = method.predict(belief, plant, step).belief
    assert after.states.tobytes() == belief.states.tobytes()
    assert after.parameters.tobytes() == belief.parameters.tobytes()
    np.testing.assert_allclose(after.root, belief.root, rtol=1e-13)


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_a_belief_that_was_written_and_read_goes_on_with_the_same_bits(method):
    """Arrays copied in C order after every step, as a file gives them back: nothing depends on their layout."""
    plant, begin, rows = two_tanks.dynamics(), two_tanks.start(), two_tanks.schedule(12)
    through, copied = two_tanks.run(method, plant, begin, rows)[2], []
    belief = method.begin(begin, plant, Key(0, 0))
    for step, seen in rows:
        predicted = method.predict(belief, plant, step)
        belief = method.update(predicted, plant, step, seen) if seen.rows.size else predicted.belief
        fresh = [np.array(part, order="C", copy=True) for part in (belief.states, belief.parameters, belief.root)]
        belief = type(belief)(belief.method, *fresh, belief.memory)
        copied.append(belief)
    for one, other in zip(through, copied, strict=True):
        assert one.root.flags.c_contiguous and one.states.flags.c_contiguous
        assert one.root.tobytes() == other.root.tobytes()
        assert one.states.tobytes() == other.states.tobytes()
        assert one.parameters.tobytes() == other.parameters.tobytes()


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_the_predicted_outputs_have_the_covariance_of_the_true_outputs(method):
    """H P H^T, without the noise of sensors; widening multiplies the variance of the states and of nothing else."""
    plant = two_tanks.dynamics()
    belief = method.begin(two_tanks.start(), plant, Key(0, 0))
    step = Step(0.0, 0.0, {"feed_now": 0.3}, np.array([1e-4, 0.0, 0.0, 0.0]), Key(0, 0))
    predicted = method.predict(belief, plant, step)
    mean, covariance = two_tanks.moments(two_tanks.start())
    covariance[0, 0] += 1e-2
    outputs = two_tanks.OUTPUTS
    np.testing.assert_allclose(predicted.outputs, outputs @ mean, rtol=1e-12)
    np.testing.assert_allclose(predicted.covariance, outputs @ covariance @ outputs.T, rtol=1e-10)
    wide = method.widen(predicted, plant, 9.0)
    stretch = np.array([3.0, 3.0, 1.0, 1.0])
    covariance *= np.outer(stretch, stretch)
    np.testing.assert_allclose(wide.covariance, outputs @ covariance @ outputs.T, rtol=1e-10)
    assert np.array_equal(wide.belief.root[2:], predicted.belief.root[2:])
    assert not np.triu(wide.belief.root, 1).any()
    seen = Observation(np.array([0]), np.array([11.0]), np.array([0.04]), ("upper",))
    updated = method.update(wide, plant, step, seen)
    gain = covariance[0, 0] / (covariance[0, 0] + 0.04)
    assert updated.states[0, 0] == pytest.approx(mean[0] + gain * (11.0 - mean[0]), rel=1e-12)


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_a_reopened_gate_lets_no_parameter_leap(method):
    """A level a hundred standard deviations off, variance widened by 10^4: no parameter moves by more than its own."""
    plant = two_tanks.dynamics()
    rows = two_tanks.schedule(40)
    belief = two_tanks.run(method, plant, two_tanks.start(), rows)[2][-1]
    step = Step(rows[-1][0].t1, rows[-1][0].t1 + 1.0, {"feed_now": 0.3}, np.zeros(4), Key(0, 0))
    predicted = method.predict(belief, plant, step)
    jump = predicted.outputs[0] + 100.0 * np.sqrt(predicted.covariance[0, 0])
    seen = Observation(np.array([0]), np.array([jump]), np.array([0.04]), ("upper",))
    after = method.update(method.widen(predicted, plant, 1e4), plant, step, seen)
    assert after.states[0, 0] == pytest.approx(jump, abs=0.2)
    own = np.sqrt((predicted.belief.root[2:] ** 2).sum(axis=1)) * two_tanks.SCALE[2:]
    assert (np.abs(after.parameters - belief.parameters)[0] <= own).all()
    assert ((after.root[2:] ** 2).sum(axis=1) <= (belief.root[2:] ** 2).sum(axis=1) * (1.0 + 1e-9)).all()


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_fewer_draws_than_coordinates_give_a_usable_root(method):
    """Three draws in four coordinates: no zero on the diagonal, the variances those of the draws to 1e-7."""
    plant, begin = two_tanks.dynamics(), two_tanks.start(3)
    bare = Start(begin.states, begin.parameters, np.zeros(4))
    belief = method.begin(bare, plant, Key(0, 0))
    assert (np.diag(belief.root) > 0.0).all()
    z = plant.coordinates.of_members(bare.states, bare.parameters)
    np.testing.assert_allclose((belief.root**2).sum(axis=1), z.var(axis=0, ddof=1), rtol=1e-7)
    single = method.begin(Start(begin.states[:1], begin.parameters[:1], np.zeros(4)), plant, Key(0, 0))
    assert (np.diag(single.root) > 0.0).all() and np.abs(single.root).max() < 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_the_covariance_stays_positive_over_ten_thousand_steps_of_tiny_noise(method):
    """A rotation observed at 1e-6 of its first spread, with next to no process noise: no negative variance, no NaN."""
    angle = 0.1
    turn = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    model = plain_models.linear(turn, np.array([[1.0, 0.0, 1.0]]))
    plant = plain_models.dynamics_of(model)
    belief = method.begin(Start(np.zeros((1, 3)), np.zeros((1, 0)), np.full(3, 1e6)), plant, Key(0, 0))
    noise, seen = np.full(3, 1e-24), Observation(np.array([0]), np.zeros(1), np.array([1e-6]), ("y0",))
    for k in range(10_000):
        step = Step(float(k), k + 1.0, {}, noise, Key(0, k))
        belief = method.update(method.predict(belief, plant, step), plant, step, seen)
        assert (np.diag(belief.root) > 0.0).all()
    values = np.linalg.eigvalsh(belief.root @ belief.root.T)
    assert values[0] > 0.0
    # Without noise the information of 10^4 samples adds up: 5000 on each of x and y, 10 000 on the constant.
    np.testing.assert_allclose(np.sort(values), 1e-6 * np.array([1e-4, 2e-4, 2e-4]), rtol=0.02)


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_accumulators_follow_the_mean_and_no_sample_moves_them(method):
    """The dose of the mean's own run, untouched by updates of the level that it integrates."""
    m = pt.ProcessBuilder("dosing", version="1.0")
    level = m.state("level", "kg", initial="1 kg")
    m.rate(level, -m.constant("0.1 1/s") * level)
    m.accumulator("dose", "kg s", level)
    m.output("level", level)
    model = m.build(integrator=pt.Sundials(rtol=1e-10, atol=1e-12))
    recipe = pt.Recipe.constant()
    plant = Dynamics(model, recipe, dict(model.parameters.values()), Coordinates.of(model, []))
    first = model.initial_state(0.0, recipe, plant.fixed)
    belief = method.begin(Start(first[None], np.zeros((1, 0)), np.array([0.04])), plant, Key(0, 0))
    step = Step(0.0, 5.0, {}, np.zeros(1), Key(0, 0))
    predicted = method.predict(belief, plant, step)
    dose = [b.name for b in model.state].index("dose")
    assert predicted.belief.states[0, dose] == pytest.approx(10.0 * (1.0 - np.exp(-0.5)), rel=1e-8)
    after = method.update(
        predicted, plant, step, Observation(np.array([0]), np.array([0.9]), np.array([1e-4]), ("level",))
    )
    assert after.states[0, 0] > predicted.belief.states[0, 0] + 0.1
    assert after.states[0, 1:].tobytes() == predicted.belief.states[0, 1:].tobytes()


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_beliefs_of_ensembles_and_singular_innovations_say_what_is_wrong(method):
    """A belief without a root, and a channel without noise on a state without spread, are refused in words."""
    model = plain_models.linear(np.eye(2), np.array([[1.0, 0.0], [1.0, 0.0]]))
    plant = plain_models.dynamics_of(model)
    start = Start(np.zeros((1, 2)), np.zeros((1, 0)), np.ones(2))
    belief = method.begin(start, plant, Key(0, 0))
    step = Step(0.0, 1.0, {}, np.zeros(2), Key(0, 0))
    twice = Observation(np.array([0, 1]), np.array([1.0, 2.0]), np.zeros(2), ("y0", "y1"))
    with pytest.raises(SolveError, match="noise 0"):
        method.update(method.predict(belief, plant, step), plant, step, twice)
    foreign = type(belief)("ensemble kalman", belief.states, belief.parameters, None)
    with pytest.raises(SolveError, match="ensemble kalman"):
        method.predict(foreign, plant, step)
    nan = Start(np.full((1, 2), np.nan), np.zeros((1, 0)), np.ones(2))
    with pytest.raises(SolveError, match="not finite"):
        method.begin(nan, plant, Key(0, 0))


def test_options_that_make_no_filter_are_refused():
    """Out of range options name themselves."""
    for wrong in (dict(inflation=0.9), dict(inflation=1.1, per="0 s"), dict(iterations=0)):
        with pytest.raises(BoundsError):
            pt.ExtendedKalman(**wrong)
    for wrong in (dict(alpha=0.0), dict(alpha=3.0), dict(beta=float("nan"))):
        with pytest.raises(BoundsError):
            pt.UnscentedKalman(**wrong)
    with pytest.raises(BoundsError, match="kappa"):
        pt.UnscentedKalman(kappa=-4.0).weights(4)
