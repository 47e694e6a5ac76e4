"""The ensemble Kalman filter: exact where theory says so, at its Monte Carlo rate elsewhere; what it leaves alone."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.method import Method
from physics_twin.errors import BoundsError, ModelError, SolveError, UnitError, UnknownNameError
from physics_twin.model import StateBlock, StateKind
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.recipes import Recipe
from physics_twin.units import Unit

from .plain_models import Plain, dynamics_of, linear

TRANSITION = np.array([[0.9, 0.2, 0.0], [-0.1, 0.8, 0.1], [0.0, 0.1, 0.95]])
OUTPUT = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, -1.0]])
WALK = np.array([0.1, 0.0, 0.3])
NOISE = np.array([0.5, 0.2])


def start_of(rng, n, m, parameters=None):
    own = np.zeros((n, 0)) if parameters is None else parameters
    return Start(rng.standard_normal((n, m)), own, np.zeros(m + own.shape[1]))


def step_at(k, variance, t0=None):
    return Step(k if t0 is None else t0, k + 1.0, {}, np.asarray(variance), Key(3, k))


def observed(values, noise=NOISE, rows=None, channels=None):
    rows = np.arange(len(values)) if rows is None else np.asarray(rows)
    names = tuple(f"y{k}" for k in rows) if channels is None else tuple(channels)
    return Observation(rows, np.asarray(values, dtype=float), np.asarray(noise, dtype=float), names)


def moments(belief):
    x = np.column_stack([belief.states, belief.parameters])
    return x.mean(axis=0), np.cov(x.T)


def kalman(mean, p, walk, y, transition=TRANSITION, output=OUTPUT, noise=NOISE):
    mean, p = transition @ mean, transition @ p @ transition.T + np.diag(walk)
    s = output @ p @ output.T + np.diag(noise)
    gain = p @ output.T @ np.linalg.inv(s)
    return mean + gain @ (y - output @ mean), p - gain @ s @ gain.T, output @ mean, s - np.diag(noise)


def run(method, dynamics, start, readings, walk=WALK, seed=3):
    belief = method.begin(start, dynamics, Key(seed, -1))
    for k, y in enumerate(readings):
        step = replace(step_at(k, walk), key=Key(seed, k))
        predicted = method.predict(belief, dynamics, step)
        belief = method.update(predicted, dynamics, step, observed(y))
    return belief


def test_it_is_a_method():
    """What twins ask for."""
    assert isinstance(pt.EnsembleKalman(), Method)
    assert pt.EnsembleKalman().name == "ensemble kalman"


def test_a_linear_filter_is_the_kalman_filter():
    """Thirty steps with process noise, from the sample moments of the members: means and covariances to 1e-10.

    The noise of the walk is drawn, yet exact: 12 members are more than twice the three coordinates.
    """
    dynamics, method = dynamics_of(linear(TRANSITION, OUTPUT)), pt.EnsembleKalman(12)
    rng = np.random.default_rng(1)
    belief = method.begin(start_of(rng, 30, 3), dynamics, Key(3, -1))
    mean, p = moments(belief)
    for k in range(30):
        y = rng.standard_normal(2)
        step = step_at(k, WALK)
        predicted = method.predict(belief, dynamics, step)
        mean, p, outputs, covariance = kalman(mean, p, WALK, y)
        np.testing.assert_allclose(predicted.outputs, outputs, atol=1e-10)
        np.testing.assert_allclose(predicted.covariance, covariance, atol=1e-10)
        belief = method.update(predicted, dynamics, step, observed(y))
        found, spread = moments(belief)
        np.testing.assert_allclose(found, mean, atol=1e-10)
        np.testing.assert_allclose(spread, p, atol=1e-10)


@pytest.mark.parametrize("perturbed", [False, True])
def test_the_error_falls_with_the_root_of_the_members(perturbed):
    """Full runs from drawn members against the closed form: 16 times the members, a quarter of the error.

    The exponent of 24 runs each scatters by 0.07; 1/2 within three of that.
    """
    dynamics = dynamics_of(linear(TRANSITION, OUTPUT))
    rng = np.random.default_rng(2)
    readings = rng.standard_normal((6, 2))
    draws = start_of(rng, 20000, 3)
    mean, p = draws.states.mean(axis=0), np.cov(draws.states.T)
    for y in readings:
        mean, p, _, _ = kalman(mean, p, WALK, y)
    errors = []
    for n in (30, 480):
        method = pt.EnsembleKalman(n, perturbed=perturbed)
        off = []
        for seed in range(24):
            found, spread = moments(run(method, dynamics, draws, readings, seed=seed))
            off += [*(found - mean), *(spread - p).ravel()]
        errors.append(np.sqrt(np.mean(np.square(off))))
    rate = np.log(errors[0] / errors[1]) / np.log(480 / 30)
    assert rate == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("method", [pt.EnsembleKalman(9), pt.EnsembleKalman(9, perturbed=True, rotate=True)])
def test_the_order_of_samples_leaves_no_trace(method):
    """The same bits, also for several samples of one output; and again from the same arguments."""
    dynamics = dynamics_of(linear(TRANSITION, OUTPUT))
    belief = method.begin(start_of(np.random.default_rng(3), 30, 3), dynamics, Key(3, -1))
    step = step_at(0, WALK)
    predicted = method.predict(belief, dynamics, step)
    y, noise, rows = np.array([0.3, -0.2, 0.4, 0.3]), np.array([0.5, 0.2, 0.5, 0.1]), np.array([0, 1, 0, 0])
    results = []
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        after = method.update(predicted, dynamics, step, observed(y[order], noise[order], rows[order]))
        results.append(after.states)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
    assert np.array_equal(method.predict(belief, dynamics, step).belief.states, predicted.belief.states)


def test_members_may_be_shuffled():
    """The root treats members alike: another order in, the same order out."""
    dynamics, method = dynamics_of(linear(TRANSITION, OUTPUT)), pt.EnsembleKalman(9)
    belief = method.begin(start_of(np.random.default_rng(3), 30, 3), dynamics, Key(3, -1))
    order = np.random.default_rng(0).permutation(9)
    shuffled = replace(belief, states=belief.states[order], parameters=belief.parameters[order])
    step = step_at(0, np.zeros(3))
    after = [
        method.update(method.predict(b, dynamics, step), dynamics, step, observed([1.0, 2.0])).states
        for b in (belief, shuffled)
    ]
    np.testing.assert_allclose(after[0][order], after[1], atol=1e-13)


def test_two_samples_of_one_output_are_one_of_half_the_variance():
    """Grouping is irrelevant: to rounding the same members."""
    dynamics, method = dynamics_of(linear(TRANSITION, OUTPUT)), pt.EnsembleKalman(9)
    belief = method.begin(start_of(np.random.default_rng(3), 30, 3), dynamics, Key(3, -1))
    step = step_at(0, np.zeros(3))
    predicted = method.predict(belief, dynamics, step)
    twice = method.update(predicted, dynamics, step, observed([1.0, 2.0], [0.4, 0.4], [0, 0]))
    once = method.update(predicted, dynamics, step, observed([1.5], [0.2], [0]))
    np.testing.assert_allclose(twice.states, once.states, atol=1e-12)


def test_no_samples_change_nothing():
    """An empty moment is a prediction."""
    dynamics, method = dynamics_of(linear(TRANSITION, OUTPUT)), pt.EnsembleKalman(9, inflation=1.5)
    belief = method.begin(start_of(np.random.default_rng(3), 30, 3), dynamics, Key(3, -1))
    step = step_at(0, WALK)
    predicted = method.predict(belief, dynamics, step)
    assert method.update(predicted, dynamics, step, observed([], [])) is predicted.belief


def test_members_are_draws_and_each_is_taken_once():
    """Where there are enough; where there are not, as evenly as can be. The uncertainty of the start is added."""
    dynamics = dynamics_of(linear(TRANSITION, OUTPUT))
    start = start_of(np.random.default_rng(3), 10, 3)
    states = pt.EnsembleKalman(10).begin(start, dynamics, Key(0, 0)).states
    assert np.array_equal(np.sort(states, axis=0), np.sort(start.states, axis=0))
    many = pt.EnsembleKalman(25).begin(start, dynamics, Key(0, 0)).states
    counts = np.unique(many, axis=0, return_counts=True)[1]
    assert sorted(counts) == [2] * 5 + [3] * 5
    wide = replace(start, variance=np.array([0.0, 4.0, 0.0]))
    spread = pt.EnsembleKalman(10).begin(wide, dynamics, Key(0, 0)).states
    assert np.array_equal(spread[:, [0, 2]], states[:, [0, 2]])
    expected = np.cov(states.T) + np.diag([0.0, 4.0, 0.0])
    np.testing.assert_allclose(np.cov(spread.T), expected, atol=1e-12)


# -- coordinates that are held --
GAIN = Parameter("gain", 1.0, unit="1", bounds=(-50, 50))
RATE = Parameter("rate", 1.0, unit="1", bounds=(0.01, 100))


def biased():
    """One state that stays; the output is the state plus a parameter."""
    return Plain(
        n_x=1,
        n_y=1,
        flow=lambda x, _values, _t0, _t1: x,
        output=lambda x, values, _t: x + values["gain"],
        parameters=ParameterSet([GAIN]),
    )


def test_a_held_parameter_counts_and_is_not_moved():
    """Schmidt and Kalman, in closed form: forty readings do not average the spread of a held bias away.

    x and bias have variance one. The covariance of the two is that of the gain which moves x alone, and the filter is
    exact to 1e-10: 12 members have room for what is drawn.
    """
    dynamics, method = dynamics_of(biased(), [GAIN], frozen=True), pt.EnsembleKalman(12)
    rng = np.random.default_rng(4)
    belief = method.begin(start_of(rng, 12, 1, rng.standard_normal((12, 1))), dynamics, Key(3, -1))
    held = belief.parameters
    mean, p = moments(belief)
    h, noise = np.ones((1, 2)), 4.0
    for k in range(40):
        y, step = rng.standard_normal(1), step_at(k, np.zeros(2))
        belief = method.update(method.predict(belief, dynamics, step), dynamics, step, observed(y, [noise]))
        gain = p @ h.T / (h @ p @ h.T + noise) * np.array([[1.0], [0.0]])
        rest = np.eye(2) - gain @ h
        mean, p = mean + gain[:, 0] * (y - h @ mean), rest @ p @ rest.T + noise * gain @ gain.T
        found, spread = moments(belief)
        np.testing.assert_allclose(found, mean, atol=1e-10)
        np.testing.assert_allclose(spread, p, atol=1e-10)
    assert np.array_equal(belief.parameters, held)
    assert p[0, 0] > 0.4


def test_inflation_and_widening_leave_held_parameters_alone():
    """Bit for bit; the state they do widen."""
    dynamics = dynamics_of(biased(), [GAIN], frozen=True)
    method = pt.EnsembleKalman(12, inflation=1.5)
    rng = np.random.default_rng(4)
    belief = method.begin(start_of(rng, 12, 1, rng.standard_normal((12, 1))), dynamics, Key(3, -1))
    step = step_at(0, np.zeros(2))
    after = method.update(method.predict(belief, dynamics, step), dynamics, step, observed([0.3], [4.0]))
    held_variance = after.parameters.var(ddof=1)
    predicted = method.predict(after, dynamics, step_at(1, np.zeros(2)))
    wide = method.widen(predicted, dynamics, 9.0)
    assert np.array_equal(wide.belief.parameters, belief.parameters)
    np.testing.assert_allclose(predicted.belief.states.std(), 1.5 * after.states.std(), rtol=1e-12)
    np.testing.assert_allclose(wide.belief.states.std(), 3.0 * predicted.belief.states.std(), rtol=1e-12)
    seen = wide.belief.states + wide.belief.parameters
    np.testing.assert_allclose(wide.covariance, np.cov(seen.T), rtol=1e-12)
    np.testing.assert_allclose(wide.outputs, predicted.outputs, rtol=1e-12)
    noisy = method.predict(after, dynamics, step_at(1, [0.0, 0.7 / dynamics.coordinates.scale[1] ** 2]))
    spread = noisy.belief.parameters.var(ddof=1) - held_variance
    np.testing.assert_allclose(spread, 0.7, rtol=1e-10)


def test_widening_is_of_the_state_alone():
    """A step of the plant throws nothing away of what is known of parameters, held or not; settings are kept."""
    model = replace(biased(), output=lambda x, values, t: x + values["gain"] * values["load"] + t)
    dynamics, method = dynamics_of(model, [GAIN]), pt.EnsembleKalman(12)
    rng = np.random.default_rng(4)
    belief = method.begin(start_of(rng, 12, 1, rng.standard_normal((12, 1))), dynamics, Key(3, -1))
    step = Step(0.0, 7.0, {"load": 5.0}, np.zeros(2), Key(3, 1_763_683_200_123_456_789))
    predicted = method.predict(belief, dynamics, step)
    wide = method.widen(predicted, dynamics, 1e4)
    assert np.array_equal(wide.belief.parameters, belief.parameters)
    np.testing.assert_allclose(wide.belief.states.std(), 100.0 * belief.states.std(), rtol=1e-12)
    seen = wide.belief.states + 5.0 * wide.belief.parameters + 7.0
    np.testing.assert_allclose(wide.linked["outputs"], seen, rtol=1e-12)
    again = method.widen(wide, dynamics, 4.0)
    assert again.linked["key"].tolist() == predicted.linked["key"].tolist()
    assert int(wide.linked["key"][1]) * 2**32 + int(wide.linked["key"][2]) == step.key.time


def test_an_adaptive_parameter_is_learned():
    """The same model with the parameter updated: state and bias move together, as the closed form says."""
    dynamics, method = dynamics_of(biased(), [GAIN]), pt.EnsembleKalman(12)
    rng = np.random.default_rng(4)
    belief = method.begin(start_of(rng, 12, 1, rng.standard_normal((12, 1))), dynamics, Key(3, -1))
    mean, p = moments(belief)
    step = step_at(0, np.zeros(2))
    belief = method.update(method.predict(belief, dynamics, step), dynamics, step, observed([2.0], [0.5]))
    expected, covariance, _, _ = kalman(mean, p, np.zeros(2), [2.0], np.eye(2), np.ones((1, 2)), np.array([0.5]))
    found, spread = moments(belief)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(spread, covariance, atol=1e-10)


# -- bounds --
def test_members_stay_within_bounds_and_are_counted():
    """State and parameter end on their bounds, not beyond by the last digit, also where the scale is logarithmic."""
    model = Plain(
        n_x=1,
        n_y=1,
        flow=lambda x, _values, _t0, _t1: x,
        output=lambda x, values, _t: x + values["rate"],
        parameters=ParameterSet([RATE]),
        lower=0.0,
        upper=2.0,
    )
    dynamics, method = dynamics_of(model, [RATE]), pt.EnsembleKalman(12)
    rng = np.random.default_rng(5)
    start = Start(rng.uniform(0.0, 3.0, (12, 1)), np.exp(rng.standard_normal((12, 1))), np.array([0.0, 0.1]))
    belief = method.begin(start, dynamics, Key(0, 0))
    assert belief.states.max() == 2.0
    assert belief.memory["clipped"][0] == np.count_nonzero(start.states > 2.0)
    step = step_at(0, [0.01, 0.01])
    for y in (1e3, -1e3):
        after = method.update(method.predict(belief, dynamics, step), dynamics, step, observed([y], [1e-4]))
        assert ((after.states >= 0.0) & (after.states <= 2.0)).all()
        assert ((after.parameters >= 0.01) & (after.parameters <= 100.0)).all()
        assert after.memory["clipped"][0] > 0.0
        np.testing.assert_allclose(after.parameters, 100.0 if y > 0.0 else 0.01, rtol=1e-15)


# -- failures --
def test_failed_members_are_replaced_from_the_others():
    """Listed, finite, different from one another, within the spread of the survivors; the same at every call."""
    model = replace(linear(TRANSITION, OUTPUT), fails=lambda x: x[:, 0] > 1.0)
    dynamics, method = dynamics_of(model), pt.EnsembleKalman(40)
    belief = method.begin(start_of(np.random.default_rng(6), 40, 3), dynamics, Key(0, 0))
    dead = np.flatnonzero(belief.states[:, 0] > 1.0)
    assert 2 <= dead.size < 20
    predicted = method.predict(belief, dynamics, step_at(0, np.zeros(3)))
    assert [failure.member for failure in predicted.failures] == dead.tolist()
    states = predicted.belief.states
    alive = np.setdiff1d(np.arange(40), dead)
    assert np.array_equal(states[alive], belief.states[alive] @ TRANSITION.T)
    assert np.isfinite(states).all()
    assert len(np.unique(states, axis=0)) == 40
    off = (states[dead] - states[alive].mean(axis=0)) / states[alive].std(axis=0)
    assert np.abs(off).max() < 4.0
    np.testing.assert_allclose(predicted.linked["outputs"], states @ OUTPUT.T, atol=1e-12)
    again = method.predict(belief, dynamics, step_at(0, np.zeros(3)))
    assert np.array_equal(again.belief.states, states)


def test_members_that_turn_out_not_finite_are_failures():
    """A model that says nothing and returns NaN or infinity does not get them into the ensemble."""

    def flow(x, _values, _t0, _t1):
        moved = x @ TRANSITION.T
        moved[3] = np.inf
        moved[5, 1] = np.nan
        return moved

    model = replace(linear(TRANSITION, OUTPUT), flow=flow, output=lambda x, _values, _t: x[:, :2])
    dynamics, method = dynamics_of(model), pt.EnsembleKalman(12)
    belief = method.begin(start_of(np.random.default_rng(6), 12, 3), dynamics, Key(0, 0))
    predicted = method.predict(belief, dynamics, step_at(0, WALK))
    assert [failure.member for failure in predicted.failures] == [3, 5]
    assert "not finite" in predicted.failures[0].reason
    assert np.isfinite(predicted.belief.states).all()
    assert np.isfinite(predicted.covariance).all()


def test_replacements_keep_the_moments_of_the_survivors():
    """On average over 400 moments: mean and covariance of what replaces, within five standard errors."""
    model = replace(linear(np.eye(2), np.eye(2)), fails=lambda x: np.arange(len(x)) < len(x) // 2)
    dynamics, method = dynamics_of(model), pt.EnsembleKalman(40)
    belief = method.begin(start_of(np.random.default_rng(6), 40, 2), dynamics, Key(0, 0))
    alive = belief.states[20:]
    filled = np.array(
        [method.predict(belief, dynamics, step_at(k, np.zeros(2))).belief.states[:20] for k in range(400)]
    )
    means = filled.mean(axis=1) - alive.mean(axis=0)
    assert (np.abs(means.mean(axis=0)) < 5.0 * means.std(axis=0) / 20.0).all()
    off = filled - alive.mean(axis=0)
    squares = np.einsum("kni,knj->kij", off, off) / 20.0 - np.cov(alive.T, bias=True)
    share = 0.1 * (np.cov(alive.T) - np.cov(alive.T, bias=True))  # of the draws, which are scaled without bias
    assert (np.abs(squares.mean(axis=0) - share) < 5.0 * squares.std(axis=0) / 20.0).all()


def test_too_few_survivors_end_the_step():
    """One member has no spread: the error says how many failed and why."""
    model = replace(linear(TRANSITION, OUTPUT), fails=lambda x: np.arange(len(x)) > 0)
    dynamics, method = dynamics_of(model), pt.EnsembleKalman(12)
    belief = method.begin(start_of(np.random.default_rng(6), 12, 3), dynamics, Key(0, 0))
    with pytest.raises(SolveError, match="11 of 12 members failed, the first: it fails"):
        method.predict(belief, dynamics, step_at(0, WALK))


def test_an_update_that_is_not_finite_ends_the_step():
    """A reading that is no number does not get into the members."""
    dynamics, method = dynamics_of(linear(TRANSITION, OUTPUT)), pt.EnsembleKalman(12)
    belief = method.begin(start_of(np.random.default_rng(6), 12, 3), dynamics, Key(0, 0))
    predicted = method.predict(belief, dynamics, step_at(0, WALK))
    with pytest.raises(SolveError, match="not finite"):
        method.update(predicted, dynamics, step_at(0, WALK), observed([np.nan, 1.0]))


# -- entries that no filter moves --
@dataclass(frozen=True)
class Dosed(Plain):
    """A state and what it has summed up to."""

    @property
    def state(self):
        return StateBlock("x", Unit("1")), StateBlock("sum", Unit("1"), kind=StateKind.ACCUMULATOR)


def test_accumulators_belong_to_their_member():
    """No update, noise or inflation touches them, bit for bit: they sum up what their own member has been through."""
    model = Dosed(
        n_x=2,
        n_y=1,
        flow=lambda x, _values, t0, t1: np.column_stack([x[:, 0], x[:, 1] + (t1 - t0) * x[:, 0]]),
        output=lambda x, _values, _t: x[:, :1] + 0.1 * x[:, 1:],
    )
    dynamics = dynamics_of(model)
    method = pt.EnsembleKalman(12, inflation=1.2, rotate=True)
    rng = np.random.default_rng(7)
    start = Start(rng.standard_normal((30, 2)), np.zeros((30, 0)), np.zeros(1))
    belief = method.begin(start, dynamics, Key(0, 0))
    for k in range(3):
        step = step_at(k, [0.1])
        x = belief.states[:, 0]
        begun = x if k == 0 else x.mean() + 1.2 * (x - x.mean())
        expected = belief.states[:, 1] + begun
        belief = method.update(method.predict(belief, dynamics, step), dynamics, step, observed([1.0], [0.5]))
        np.testing.assert_allclose(belief.states[:, 1], expected, rtol=1e-13)
        predicted = method.predict(belief, dynamics, step_at(k + 1, [0.1]))
        after = method.update(predicted, dynamics, step_at(k + 1, [0.1]), observed([1.0], [0.5]))
        assert np.array_equal(after.states[:, 1], predicted.belief.states[:, 1])


# -- inflation --
def test_inflation_acts_once_an_update():
    """Predictions without samples between do not pile it up."""
    dynamics, method = dynamics_of(linear(np.eye(3), OUTPUT)), pt.EnsembleKalman(12, inflation=1.5)
    belief = method.begin(start_of(np.random.default_rng(8), 30, 3), dynamics, Key(0, 0))
    spread = [belief.states.std(axis=0)]
    for k in range(6):
        step = step_at(k, np.zeros(3))
        predicted = method.predict(belief, dynamics, step)
        belief = predicted.belief
        spread.append(belief.states.std(axis=0))
        if k == 2:
            belief = method.update(predicted, dynamics, step, observed([0.0, 0.0]))
            after = belief.states.std(axis=0)
    np.testing.assert_allclose(spread[:4], [spread[0]] * 4, rtol=1e-12)
    np.testing.assert_allclose(spread[4:], [1.5 * after] * 3, rtol=1e-12)


def test_a_prediction_of_no_length_shows_the_analysis():
    """Its members to the last bit; the inflation is still to come, and the model carries what it adds."""
    dynamics, method = dynamics_of(linear(TRANSITION, OUTPUT)), pt.EnsembleKalman(12, inflation=1.5)
    belief = method.begin(start_of(np.random.default_rng(8), 30, 3), dynamics, Key(0, 0))
    step = step_at(0, np.zeros(3))
    belief = method.update(method.predict(belief, dynamics, step), dynamics, step, observed([0.0, 0.0]))
    shown = method.predict(belief, dynamics, step_at(0, np.zeros(3), t0=1.0))
    assert np.array_equal(shown.belief.states, belief.states)
    after = method.predict(shown.belief, dynamics, step_at(1, np.zeros(3)))
    expected = 1.5**2 * TRANSITION @ np.cov(belief.states.T) @ TRANSITION.T
    np.testing.assert_allclose(np.cov(after.belief.states.T), expected, atol=1e-12)
    np.testing.assert_allclose(after.covariance, OUTPUT @ expected @ OUTPUT.T, atol=1e-12)


def test_adaptive_inflation_recovers_from_a_spread_that_is_too_small():
    """A walk that the filter is told to be 25 times slower than it is: with a given factor of one the error is several
    times what the filter believes, with the estimate it comes near.
    """
    dynamics = dynamics_of(linear(np.eye(3), np.eye(3)))
    rng = np.random.default_rng(9)
    x = np.cumsum(0.5 * rng.standard_normal((600, 3)), axis=0)
    y = x + rng.standard_normal(x.shape)
    ratios = []
    for inflation in (1.0, pt.AdaptiveInflation()):
        method = pt.EnsembleKalman(20, inflation=inflation)
        belief = method.begin(start_of(np.random.default_rng(8), 30, 3), dynamics, Key(0, 0))
        error, believed = [], []
        for k in range(600):
            step = step_at(k, np.full(3, 0.01))
            predicted = method.predict(belief, dynamics, step)
            belief = method.update(predicted, dynamics, step, observed(y[k], np.ones(3)))
            mean, p = moments(belief)
            error.append(np.sum((mean - x[k]) ** 2))
            believed.append(np.trace(p))
        ratios.append(np.mean(error[300:]) / np.mean(believed[300:]))
    assert ratios[0] > 5.0
    assert 0.6 < ratios[1] < 1.6
    assert belief.memory["inflation"][0] > 1.1


# -- localization --
@dataclass(frozen=True)
class Rod(Plain):
    """A field on a line of `n_x` points 10 mm apart; sensors at every tenth; a parameter that adds to all outputs."""

    placed: bool = True

    @property
    def state(self):
        return (StateBlock("T", Unit("1"), self.n_x, coordinates=0.01 * np.arange(self.n_x)[:, None]),)

    @property
    def output_places(self):
        return {f"y{k}": np.array([0.1 * k]) for k in range(self.n_y)} if self.placed else {}


def rod(placed=True):
    return Rod(
        n_x=100,
        n_y=10,
        flow=lambda x, _values, _t0, _t1: x,
        output=lambda x, values, _t: x[:, ::10] + values["gain"],
        parameters=ParameterSet([GAIN]),
        placed=placed,
    )


def rod_update(localization, places=True, rows=(3,), **options):
    dynamics = dynamics_of(rod(places), [GAIN])
    method = pt.EnsembleKalman(12, localization=localization, **options)
    rng = np.random.default_rng(10)
    belief = method.begin(start_of(rng, 12, 100, rng.standard_normal((12, 1))), dynamics, Key(0, 0))
    step = step_at(0, np.zeros(101))
    predicted = method.predict(belief, dynamics, step)
    after = method.update(predicted, dynamics, step, observed(np.full(len(rows), 2.0), np.full(len(rows), 0.1), rows))
    return predicted.belief, after


def test_what_is_far_from_all_sensors_is_left_alone():
    """From twice the radius on bit for bit; nearer everything moves, and the parameter, which has no place, does."""
    before, after = rod_update(pt.Localized("50 mm"))
    same = (after.states == before.states).all(axis=0)
    away = np.abs(0.01 * np.arange(100) - 0.3)
    assert same[away > 0.1001].all()
    assert not same[away < 0.0999].any()
    assert not (after.parameters == before.parameters).any()


def test_the_place_of_a_sensor_can_be_said():
    """For a model that does not know it, and instead of what the model says."""
    _, known = rod_update(pt.Localized("50 mm"))
    _, said = rod_update(pt.Localized("50 mm", {"y3": pt.Place("rod", "30 cm")}), places=False)
    np.testing.assert_allclose(said.states, known.states, atol=1e-14)
    before, moved = rod_update(pt.Localized("50 mm", {"y3": pt.Place("rod", "80 cm")}))
    assert np.array_equal(moved.states[:, :60], before.states[:, :60])


@pytest.mark.parametrize("options", [{}, {"perturbed": True}, {"rotate": True}])
def test_an_infinite_radius_is_the_global_update(options):
    """The same members, to rounding, with fewer and with more sensors than members."""
    for rows in ((3,), tuple(range(10)) * 2):
        _, near = rod_update(pt.Localized("1e12 m"), rows=rows, **options)
        _, everywhere = rod_update(None, rows=rows, **options)
        np.testing.assert_allclose(near.states, everywhere.states, atol=1e-11)
        np.testing.assert_allclose(near.parameters, everywhere.parameters, atol=1e-11)


def test_sensors_without_a_place_move_everything():
    """A mean or an inlet temperature says something about all of the field."""
    where = {f"y{k}": pt.Place("rod", "0 m") for k in range(3)}
    before, after = rod_update(pt.Localized("50 mm", where), places=False)
    assert not (after.states == before.states).any()


def test_localization_helps_where_members_are_few():
    """A field of 100 independent entries, 12 members: the localized analysis is nearer to the truth."""
    rng = np.random.default_rng(11)
    errors = []
    for localization in (None, pt.Localized("20 mm")):
        dynamics = dynamics_of(rod())
        dynamics = replace(dynamics, fixed={"gain": 0.0})
        method = pt.EnsembleKalman(12, localization=localization)
        off = []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            truth = rng.standard_normal(100)
            belief = method.begin(start_of(rng, 200, 100), dynamics, Key(seed, 0))
            step = step_at(0, np.zeros(100))
            predicted = method.predict(belief, dynamics, step)
            after = method.update(predicted, dynamics, step, observed(truth[::10], np.full(10, 0.1)))
            off.append(np.mean((after.states.mean(axis=0) - truth) ** 2))
        errors.append(np.mean(off))
    assert errors[1] < 0.7 * errors[0]


def test_wrong_localization_is_refused_at_the_start():
    """A model without a field or places, a place of another dimension, an unknown output, no length."""
    draws = start_of(np.random.default_rng(0), 12, 3)
    with pytest.raises(ModelError, match='"plain" has no field'):
        pt.EnsembleKalman(localization=pt.Localized("1 m")).begin(
            draws, dynamics_of(linear(TRANSITION, OUTPUT)), Key(0, 0)
        )
    with pytest.raises(ModelError, match="no output"):
        rod_update(pt.Localized("1 m"), places=False)
    with pytest.raises(ModelError, match='"y3" has 2 coordinates, the mesh of "plain" has 1'):
        rod_update(pt.Localized("1 m", {"y3": pt.Place("rod", "1 m", "2 m")}))
    with pytest.raises(UnknownNameError, match="y33"):
        rod_update(pt.Localized("1 m", {"y33": pt.Place("rod", "1 m")}))
    with pytest.raises(UnitError):
        pt.Localized("1 K")
    with pytest.raises(BoundsError, match="0 mm"):
        pt.Localized("0 mm")


def test_options_are_checked():
    """Numbers with which there is no filter."""
    with pytest.raises(BoundsError, match="n_members = 2"):
        pt.EnsembleKalman(2)
    with pytest.raises(BoundsError, match="inflation = 0"):
        pt.EnsembleKalman(inflation=0.0)


def test_dynamics_without_ensembles_give_the_same():
    """A model that runs one member at a time."""

    class Alone:
        def __init__(self, model):
            self.model = model

        def __getattr__(self, name):
            if name in ("trajectories", "model"):
                raise AttributeError(name)
            return getattr(self.model, name)

    model = linear(TRANSITION, OUTPUT)
    start = start_of(np.random.default_rng(3), 30, 3)
    one = Dynamics(Alone(model), Recipe.constant(), {}, Coordinates.of(model, []))
    readings = np.ones((3, 2))
    both = [run(pt.EnsembleKalman(9), d, start, readings).states for d in (dynamics_of(model), one)]
    np.testing.assert_allclose(*both, atol=1e-12)
