"""The log predictive density of a batch: exact answers, agreement of both ways, and when the draws do not carry it."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from physics_twin.arrays import Array
from physics_twin.estimation.predicted import Sampled
from physics_twin.estimation.predictive_density import batch_density
from physics_twin.posterior.sensor_noise import SensorNoise


def sampled(true: Array, observed: Array, noise: float, seed: int = 0, memory: float = 0.0) -> Sampled:
    m, n = true.shape
    kind = SensorNoise(np.full(m, noise), np.zeros(m), np.full(m, memory), np.full(m, np.inf))
    times, sd = np.arange(n, dtype=float), np.full((m, n), noise)
    u = np.random.default_rng(seed).standard_normal((m, n))
    noisy = true + kind.draw(times, sd, u, np.random.default_rng(seed))
    return Sampled(true, noisy, sd, observed, times, kind, np.zeros(m))


def linear(m: int, n: int, noise: float, seed: int = 0, memory: float = 0.0) -> tuple[Sampled, float]:
    """y = a + b x + noise with normal a, b: draws, and the exact log density of one batch."""
    rng = np.random.default_rng(seed)
    rows = np.column_stack([np.ones(n), np.linspace(-1.0, 1.0, n)])
    true = rng.standard_normal((m, 2)) @ rows.T
    apart = np.abs(np.arange(n)[:, None] - np.arange(n)[None, :])
    of_noise = np.exp(-apart / memory) if memory else np.eye(n)
    covariance = rows @ rows.T + noise**2 * of_noise
    observed = rng.multivariate_normal(np.zeros(n), covariance)
    exact = float(multivariate_normal(np.zeros(n), covariance).logpdf(observed))
    return sampled(true, observed, noise, seed, memory), exact


def test_both_ways_give_the_closed_form_within_the_error_they_state() -> None:
    """A linear model with normal parameters; noise that remembers in the last two."""
    for seed, memory in ((0, 0.0), (1, 0.0), (2, 0.0), (3, 2.0), (4, 5.0)):
        samples, exact = linear(20000, 6, 2.0, seed, memory)
        found = batch_density([samples])
        assert found.trusts_draws
        assert abs(found.from_draws - exact) < 4.0 * found.from_draws_error
        # The mean and covariance of 20000 draws: relative errors of 1/sqrt(20000), squared distances of about 6.
        assert found.normal == pytest.approx(exact, abs=0.1)


def test_the_monte_carlo_error_is_the_scatter_over_repetitions() -> None:
    """Draws made again: the standard deviation of the density is the error that is stated."""
    observed = linear(2, 6, 2.0)[0].observed
    values, errors = [], []
    for seed in range(60):
        made = linear(500, 6, 2.0, seed + 1)[0]
        found = batch_density([sampled(made.true, observed, 2.0)])
        values.append(found.from_draws)
        errors.append(found.from_draws_error)
    # A standard deviation of 60 numbers is known to 9 %.
    assert np.std(values) == pytest.approx(np.mean(errors), rel=0.35)


def test_a_batch_that_few_draws_explain_is_judged_by_the_normal_density() -> None:
    """Precise data of 200 samples and more samples than draws: the mean over draws is off, the normal one is not."""
    samples, exact = linear(150, 200, 0.05)
    found = batch_density([samples])
    assert not found.trusts_draws and found.carried_by < 5.0
    assert abs(found.from_draws - exact) > 5.0
    # The covariance of two coefficients from 150 draws is known to a tenth.
    assert found.value() == found.normal == pytest.approx(exact, abs=1.0)


def test_channels_of_a_batch_are_one_batch_and_the_smaller_matrix_gives_the_same() -> None:
    """Two channels that share the draws; fewer draws than samples or more."""
    samples, _ = linear(300, 40, 0.5)
    parts = [sampled(samples.true[:, k::2], samples.observed[k::2], 0.5) for k in (0, 1)]
    whole, split = batch_density([samples]), batch_density(parts)
    assert split.from_draws == pytest.approx(whole.from_draws, rel=1e-12)
    assert split.normal == pytest.approx(whole.normal, rel=1e-12)
    few = sampled(samples.true[:30], samples.observed, 0.5)
    centered = few.true - few.true.mean(axis=0)
    covariance = centered.T @ centered / 29.0 + 0.25 * np.eye(40)
    exact = multivariate_normal(few.true.mean(axis=0), covariance).logpdf(few.observed)
    assert batch_density([few]).normal == pytest.approx(float(exact), rel=1e-9)


def test_ranks_are_even_and_ties_count_half() -> None:
    """The share of predictions below; of equal numbers half."""
    true = np.array([[1.0], [2.0], [2.0], [3.0]])
    assert sampled(true, np.array([2.0]), 0.0).rank.tolist() == [0.5]
