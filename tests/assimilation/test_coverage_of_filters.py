"""What filters claim to know, against the truth of many simulated records: their intervals hold what they promise."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.keys import Key
from tests.assimilation.decay import decay, of_model

N_RECORDS, N_STEPS = 100, 12
SD = 60.0
"""mol/m^3, of a reading; the concentration falls from 2000 to 600."""
WALK = 4e-4
"""Variance of the concentration's walk over a step, (mol/L)^2."""
METHODS = {
    "extended": pt.ExtendedKalman(),
    "unscented": pt.UnscentedKalman(),
    "ensemble": pt.EnsembleKalman(n_members=60),
    "perturbed": pt.EnsembleKalman(n_members=100, perturbed=True),
    "moving": pt.MovingHorizon(5, pt.RealTimeIteration()),
}


def record(plant, method, seed):
    """Errors (2,) of concentration and rate constant at the end of a record in their stated sd, and NEES."""
    rng = np.random.default_rng([seed, 17])
    recipe, fixed = plant.recipe, plant.fixed
    truth = plant.model.initial_state(0.0, recipe, fixed)
    prior = np.tile(truth, (100, 1))
    truth[0] += 100.0 * rng.standard_normal()
    k = 1e-4 * (1.0 + 0.15 * rng.standard_normal())
    own = 1e-4 * (1.0 + 0.15 * np.random.default_rng(0).standard_normal((100, 1)))
    belief = method.begin(Start(prior, own, np.array([0.01, 0.0])), plant, Key(seed, -1))
    for n in range(N_STEPS):
        step = Step(n, n + 1.0, {}, np.array([WALK, 0.0]), Key(seed, n))
        truth = plant.model.advance(truth, n, n + 1.0, recipe, {**fixed, "k": k})
        truth[0] += 1e3 * np.sqrt(WALK) * rng.standard_normal()
        seen = Observation(np.array([0]), truth[:1] + SD * rng.standard_normal(1), np.array([SD**2]), ("c",))
        belief = method.update(method.predict(belief, plant, step), plant, step, seen)
    z = plant.coordinates.of_members(belief.states, belief.parameters)
    p = np.cov(z.T) if belief.root is None else belief.root @ belief.root.T
    error = z.mean(axis=0) - plant.coordinates.of_members(truth[None], np.array([[k]]))[0]
    return error / np.sqrt(np.diag(p)), float(error @ np.linalg.solve(p, error))


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_ninety_five_percent_intervals(method):
    """Over a hundred records the 95 % intervals hold 95 truths within 3.5 binomial sd, the mean NEES is 2 within 3.5.

    sd of a share of 100 at 0.95: 2.2 %; of a mean of 100 chi-squares of two degrees: 0.2.
    """
    plant = of_model(decay(), ["k"])
    found = [record(plant, METHODS[method], seed) for seed in range(N_RECORDS)]
    share = (np.abs([errors for errors, _ in found]) < 1.96).mean(axis=0)
    assert (np.abs(share - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / N_RECORDS)).all()
    assert np.mean([nees for _, nees in found]) == pytest.approx(2.0, abs=0.7)
