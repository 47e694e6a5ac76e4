"""ES-MDA on arrays: the closed-form posterior of linear Gaussian problems, and what localization does to a field."""

import numpy as np
import pytest

from physics_twin.errors import BoundsError, ShapeError
from physics_twin.estimation.ensemble_smoother import es_mda
from physics_twin.estimation.ensemble_smoother.diagnostics import effective_size
from physics_twin.estimation.ensemble_smoother.localization import CorrelationLocalization
from physics_twin.tapers import gaspari_cohn


class Linear:
    """d = G m + noise, m standard normal: the posterior is known."""

    def __init__(self, n_parameters: int = 6, n_data: int = 15, seed: int = 4) -> None:
        rng = np.random.default_rng(seed)
        self.g = rng.standard_normal((n_data, n_parameters))
        self.sd = rng.uniform(0.5, 2.0, n_data)
        self.d = self.g @ rng.standard_normal(n_parameters) + self.sd * rng.standard_normal(n_data)
        scaled = self.g / self.sd[:, None]
        self.covariance = np.linalg.inv(np.eye(n_parameters) + scaled.T @ scaled)
        self.mean = self.covariance @ scaled.T @ (self.d / self.sd)

    def smooth(self, n_members: int, alphas: np.ndarray, seed: int, root: np.ndarray | None = None) -> np.ndarray:
        rng = np.random.default_rng(seed)
        m = rng.standard_normal((n_members, self.mean.size))
        for alpha in alphas:
            z = es_mda.perturbations(rng, n_members, self.d.size)
            m = es_mda.assimilate(m, m @ self.g.T, self.d, self.sd if root is None else root, float(alpha), z)
        return m


def errors(problem: Linear, n_members: int, alphas: np.ndarray, repeats: int) -> tuple[float, float]:
    """Root mean square errors of mean and covariance, in posterior standard deviations."""
    sd = np.sqrt(np.diag(problem.covariance))
    of_mean, of_covariance = [], []
    for seed in range(repeats):
        m = problem.smooth(n_members, alphas, seed)
        of_mean.append(np.mean(((m.mean(axis=0) - problem.mean) / sd) ** 2))
        difference = (np.cov(m, rowvar=False) - problem.covariance) / np.outer(sd, sd)
        of_covariance.append(np.mean(difference**2))
    return float(np.sqrt(np.mean(of_mean))), float(np.sqrt(np.mean(of_covariance)))


@pytest.mark.parametrize("n_assimilations", [1, 4])
def test_the_closed_form_posterior_is_reached_at_the_rate_of_monte_carlo(n_assimilations: int) -> None:
    """Errors of mean and covariance fall with 1/sqrt(N), N = 50 to 3200: a slope of -1/2 in logarithms.

    With 24 repeats of 6 parameters an error is known to 8 %, so over a factor of 64 the slope is known to 0.03; small
    ensembles add terms of 1/N, which make it steeper.
    """
    problem, sizes = Linear(), np.array([50, 200, 800, 3200])
    found = np.array([errors(problem, n, es_mda.even_inflation(n_assimilations), 24) for n in sizes])
    for kind in range(2):
        slope = np.polyfit(np.log(sizes), np.log(found[:, kind]), 1)[0]
        assert -0.65 < slope < -0.43
    assert found[-1].max() < 0.1


def test_the_posterior_does_not_depend_on_how_the_data_are_divided() -> None:
    """One, two, four even, four geometric and eight assimilations: the same mean and covariance within their errors."""
    problem = Linear()
    sd = np.sqrt(np.diag(problem.covariance))
    schedules = [*map(es_mda.even_inflation, (1, 2, 4, 8)), es_mda.geometric_inflation(4, 0.5)]
    for alphas in schedules:
        m = problem.smooth(20_000, alphas, 1)
        # The mean of 2e4 draws is known to 0.007 sd; shared gains at most double that.
        np.testing.assert_allclose((m.mean(axis=0) - problem.mean) / sd, 0.0, atol=0.06)
        np.testing.assert_allclose(m.std(axis=0, ddof=1) / sd, 1.0, atol=0.03)


def test_one_assimilation_is_the_formula_of_the_paper() -> None:
    """m + C_MD (C_DD + alpha C_D)^-1 (d_uc - d), with the covariances written out, data correlated too."""
    rng = np.random.default_rng(0)
    m, d = rng.standard_normal((30, 7)), rng.standard_normal((30, 12))
    observed, alpha = rng.standard_normal(12), 3.0
    root = np.linalg.cholesky(np.eye(12) + 0.5)
    z = es_mda.perturbations(rng, 30, 12)
    c_md = (m - m.mean(axis=0)).T @ (d - d.mean(axis=0)) / 29.0
    gain = c_md @ np.linalg.inv(np.cov(d, rowvar=False) + alpha * root @ root.T)
    expected = m + (observed + np.sqrt(alpha) * z @ root.T - d) @ gain.T
    np.testing.assert_allclose(es_mda.assimilate(m, d, observed, root, alpha, z), expected, rtol=1e-9, atol=1e-10)
    even = es_mda.assimilate(m, d, observed, root, alpha, z, lambda block, a, y: np.ones((a.shape[1], 12)))
    np.testing.assert_allclose(even, expected, rtol=1e-9, atol=1e-10)


def test_units_of_the_data_do_not_matter() -> None:
    """Scaling a sample and its noise by 1e6 changes nothing but rounding."""
    rng = np.random.default_rng(2)
    m, d, z = rng.standard_normal((20, 3)), rng.standard_normal((20, 5)), rng.standard_normal((20, 5))
    scale = np.array([1.0, 1e6, 1e-6, 1.0, 1e3])
    plain = es_mda.assimilate(m, d, np.ones(5), np.full(5, 0.3), 2.0, z)
    scaled = es_mda.assimilate(m, d * scale, scale, 0.3 * scale, 2.0, z)
    np.testing.assert_allclose(scaled, plain, rtol=1e-10)


def test_perturbations_do_not_move_the_mean() -> None:
    """Their mean over the members is zero, their covariance the identity: an even gain leaves the mean alone."""
    z = es_mda.perturbations(np.random.default_rng(0), 4000, 3)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-14)
    np.testing.assert_allclose(np.cov(z, rowvar=False), np.eye(3), atol=0.1)  # 4 standard errors of 1/sqrt(4000)


def test_inflations_count_the_data_once() -> None:
    """sum 1/alpha = 1 for all schedules; one that would count them 1.33 times is refused, with what to do."""
    for alphas in (
        es_mda.even_inflation(5),
        es_mda.geometric_inflation(5, 0.6),
        es_mda.check_inflation([2.0, 4.0, 4.0]),
    ):
        assert np.sum(1.0 / alphas) == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(es_mda.geometric_inflation(5, 0.6)) < 0.0).all()
    with pytest.raises(BoundsError, match=r"count 1\.33 times; multiply all by 1\.33"):
        es_mda.check_inflation([3.0] * 4)
    with pytest.raises(BoundsError, match="1 or more"):
        es_mda.check_inflation([0.5])
    with pytest.raises(BoundsError, match="outside"):
        es_mda.geometric_inflation(3, 1.5)


def test_shapes_that_do_not_fit_are_named() -> None:
    """Both sides are in the message."""
    with pytest.raises(ShapeError, match=r"\(10, 4\)"):
        es_mda.assimilate(np.zeros((10, 2)), np.zeros((10, 5)), np.zeros(4), np.ones(4), 1.0, np.zeros((10, 5)))


# Localization ------------------------------------------------------------------------------------------------------


def test_the_taper_of_gaspari_and_cohn() -> None:
    """One at zero, 5/24 at one length, zero from two on, smooth between."""
    r = np.linspace(0.0, 3.0, 3001)
    c = gaspari_cohn(r)
    assert c[0] == 1.0 and gaspari_cohn(np.ones(1)) == pytest.approx(5.0 / 24.0)
    assert (c[r >= 2.0] == 0.0).all() and (np.diff(c) <= 1e-15).all()
    assert np.abs(np.diff(c, 2)).max() < 5.0 * 1e-6  # second derivative of at most 10/3
    points = np.random.default_rng(0).uniform(0.0, 5.0, (60, 3))
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    assert np.linalg.eigvalsh(gaspari_cohn(distance)).min() > -1e-12


CELLS, MEMORY, NOISE = 200, 8.0, 0.1
SEEN = np.arange(5, CELLS, 10)


def field(
    n_members: int, seed: int, taper: es_mda.Taper | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Members before and after, the exact posterior mean and standard deviation, of a field seen at 20 of 200 cells."""
    rng = np.random.default_rng(seed)
    a = np.sqrt(3.0) * np.abs(np.arange(CELLS)[:, None] - np.arange(CELLS)) / MEMORY
    prior = (1.0 + a) * np.exp(-a) + 1e-10 * np.eye(CELLS)
    root = np.linalg.cholesky(prior)
    d = (root @ rng.standard_normal(CELLS))[SEEN] + NOISE * rng.standard_normal(SEEN.size)
    gain = np.linalg.solve(prior[np.ix_(SEEN, SEEN)] + NOISE**2 * np.eye(SEEN.size), prior[SEEN]).T
    sd = np.sqrt(np.diag(prior - gain @ prior[SEEN]))
    first = m = rng.standard_normal((n_members, CELLS)) @ root.T
    for alpha in es_mda.even_inflation(4):
        z = es_mda.perturbations(rng, n_members, SEEN.size)
        m = es_mda.assimilate(m, m[:, SEEN], d, np.full(SEEN.size, NOISE), alpha, z, taper)
    return first, m, gain @ d, sd


def near(block: slice, a: np.ndarray, data: np.ndarray) -> np.ndarray:
    return gaspari_cohn((np.arange(CELLS)[block, None] - SEEN) / 12.0)


def test_localization_saves_a_field_from_a_small_ensemble() -> None:
    """20 members, 200 unknowns: without, the error is that of no data and the spread a quarter of the right one.

    With weights of Gaspari and Cohn at 12 cells, 1.5 memories of the field, the error of the mean falls to less than
    half and the spread is right to a fifth. (Measured: 0.66 to 0.20 prior standard deviations, 0.27 to 0.98.)
    """
    table = []
    for taper in (None, near):
        rows = []
        for seed in range(10):
            _, m, mean, sd = field(20, seed, taper)
            rows.append((np.sqrt(np.mean((m.mean(axis=0) - mean) ** 2)), np.mean(m.std(axis=0, ddof=1)) / np.mean(sd)))
        table.append(np.mean(rows, axis=0))
    (error, spread), (localized, kept) = table
    assert localized < 0.5 * error and spread < 0.4 and abs(kept - 1.0) < 0.2


def test_localization_leaves_far_parameters_alone_to_the_last_bit() -> None:
    """A field of which only the left end is seen: cells beyond two lengths keep every member."""

    def left(block: slice, a: np.ndarray, data: np.ndarray) -> np.ndarray:
        return near(block, a, data) * (SEEN < 50)

    before, after, _, _ = field(20, 0, left)
    far = np.arange(CELLS) >= 45 + 24
    np.testing.assert_array_equal(after[:, far], before[:, far])
    assert (after[:, :45] != before[:, :45]).all()


def test_correlations_within_sampling_error_do_not_move_anything() -> None:
    """Of parameters that no data depend on all but a few keep every member; one that the data depend on does not."""
    rng = np.random.default_rng(0)
    m = rng.standard_normal((100, 2001))
    d = m[:, :1] + 0.1 * rng.standard_normal((100, 5))
    z = es_mda.perturbations(rng, 100, 5)
    taper = CorrelationLocalization().weights
    moved = es_mda.assimilate(m, d, np.full(5, 2.0), np.full(5, 0.1), 1.0, z, taper)
    untouched = (moved == m).all(axis=0)
    assert not untouched[0] and untouched[1:].mean() > 0.98  # three standard errors: 0.3 % for each of five data


def test_the_effective_size_of_an_ensemble() -> None:
    """Directions: N - 1 where all are alike, one where all members lie on a line, n (N - 1)/(n + N - 1) for draws."""
    assert effective_size(np.eye(12)) == pytest.approx(11.0)
    assert effective_size(np.outer(np.arange(5.0), np.ones(40))) == pytest.approx(1.0)
    draws = np.random.default_rng(0).standard_normal((60, 400))
    assert effective_size(draws) == pytest.approx(400 * 59 / (400 + 59), rel=0.02)
