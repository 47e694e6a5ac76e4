"""Noise from innovations: closed forms, known truth, and what cannot be found."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.innovation_likelihood import estimate_walks, log_likelihood
from physics_twin.assimilation.keys import Key
from physics_twin.errors import DataError, UnknownNameError
from tests.assimilation import plain_models

NOTHING = np.zeros((1, 0))


def one(n, walk, noise, q, r, seed, start_variance=1.0, transition=1.0):
    """A state x <- a x + w observed with noise: belief, dynamics and record that assume variances q and r."""
    rng = np.random.default_rng(seed)
    plant = plain_models.dynamics_of(plain_models.linear(np.array([[transition]]), np.eye(1)))
    x, record = 0.0, []
    for k in range(n):
        x = transition * x + np.sqrt(walk) * rng.normal()
        y = np.array([x + np.sqrt(noise) * rng.normal()])
        record.append(
            (
                Step(float(k), k + 1.0, {}, np.array([q]), Key(0, k)),
                Observation(np.array([0]), y, np.array([r]), ("y0",)),
            )
        )
    begin = Start(np.zeros((1, 1)), NOTHING, np.array([start_variance]))
    return pt.ExtendedKalman().begin(begin, plant, Key(0, 0)), plant, record


ALL = np.array([True])


def test_a_walk_seen_exactly_has_the_mean_square_of_its_differences():
    """Closed form: factor = mean(diff^2) / q, standard error of its logarithm sqrt(2 / n)."""
    n, q = 400, 1.0
    belief, plant, record = one(n, 5.0, 0.0, q, 1e-12, 1, start_variance=1e-12)
    found = estimate_walks(pt.ExtendedKalman(), belief, plant, record, walks={"x": ALL})
    y = np.array([seen.values[0] for _, seen in record])
    assert found.factors[0] == pytest.approx(np.mean(np.diff(y, prepend=0.0) ** 2) / q, rel=1e-3)
    assert found.errors[0] == pytest.approx(np.sqrt(2.0 / n), rel=1e-3)
    assert found.converged and found.message == "converged"
    assert found.n_samples == n and found.log_likelihood > found.log_likelihood_before
    low, high = found.interval("x")
    assert low < 5.0 < high


def test_the_noise_of_a_known_constant_is_its_mean_square():
    """Closed form of a sensor alone: factor = mean(y^2) / r."""
    belief, plant, record = one(300, 0.0, 4.0, 1e-14, 1.0, 2, start_variance=1e-14)
    found = estimate_walks(pt.ExtendedKalman(), belief, plant, record, walks={}, channels=["y0"])
    y = np.array([seen.values[0] for _, seen in record])
    assert found.factors[0] == pytest.approx(np.mean(y**2), rel=1e-3)
    assert found.errors[0] == pytest.approx(np.sqrt(2.0 / 300), rel=1e-3)


@pytest.mark.parametrize("method", [pt.ExtendedKalman(), pt.UnscentedKalman()], ids=repr)
def test_both_noises_of_a_damped_walk_are_recovered(method):
    """Walk 4 times and sensor a quarter of what was assumed: both within three standard errors, one well determined."""
    belief, plant, record = one(400, 0.4, 0.25, 0.1, 1.0, 3, transition=0.9)
    found = estimate_walks(method, belief, plant, record, walks={"x": ALL}, channels=["y0"])
    off = (np.log(found.factors) - np.log([4.0, 0.25])) / found.errors
    assert np.abs(off).max() < 3.0
    assert (found.errors < 0.35).all()
    # It is a maximum: a walk along either direction lowers the likelihood.
    for k in (0, 1):
        for way in (-0.5, 0.5):
            moved = found.factors.copy()
            moved[k] *= np.exp(way)
            scaled = [
                (
                    Step(s.t0, s.t1, s.settings, s.variance * moved[0], s.key),
                    Observation(o.rows, o.values, o.variance * moved[1], o.channels),
                )
                for s, o in record
            ]
            assert _likelihood(method, belief, plant, scaled) < found.log_likelihood - 0.1


def _likelihood(method, belief, plant, record):
    pairs = []
    for step, seen in record:
        predicted = method.predict(belief, plant, step)
        pairs.append((seen.values - predicted.outputs, predicted.covariance + np.diag(seen.variance)))
        belief = method.update(predicted, plant, step, seen)
    return log_likelihood(pairs)


def test_a_walk_that_is_not_there_is_said_to_vanish():
    """No process noise in the data: the factor goes far below one and the likelihood no longer depends on it."""
    belief, plant, record = one(150, 0.0, 1.0, 1.0, 1.0, 4)
    found = estimate_walks(pt.ExtendedKalman(), belief, plant, record, walks={"x": ALL})
    assert found.factors[0] < 1e-2
    assert found.interval("x")[1] > found.factors[0] * 10.0


def test_what_cannot_be_estimated_is_refused():
    """No samples, an unknown channel, a walk of zero variance, a name that was not asked for."""
    belief, plant, record = one(5, 1.0, 1.0, 1.0, 1.0, 5)
    method = pt.ExtendedKalman()
    with pytest.raises(DataError, match="0 samples"):
        estimate_walks(method, belief, plant, [], walks={"x": ALL})
    with pytest.raises(UnknownNameError, match="y0"):
        estimate_walks(method, belief, plant, record, walks={"x": ALL}, channels=["y1"])
    still = [(Step(s.t0, s.t1, s.settings, 0.0 * s.variance, s.key), o) for s, o in record]
    with pytest.raises(DataError, match="variance 0"):
        estimate_walks(method, belief, plant, still, walks={"x": ALL})
    with pytest.raises(UnknownNameError):
        estimate_walks(method, belief, plant, record, walks={"x": ALL}).interval("z")
