"""The numerical parts on their own: boxes, trust regions, truncated Gaussians, autocorrelation."""

import numpy as np
import pytest
from scipy import optimize, stats

from physics_twin.errors import SolveError
from physics_twin.estimation.correlation import Segment, examine
from physics_twin.estimation.trust_region import Linearization, Minimum, minimize
from physics_twin.posterior.drawing.box_minimum import box_minimum
from physics_twin.posterior.drawing.truncated_normal import draw_within, gibbs, standard_normal_between


@pytest.mark.parametrize("seed", range(20))
def test_box_minimum_agrees_with_an_independent_solver(seed: int) -> None:
    """The active set finds the minimum of a convex quadratic in a box (SciPy's BVLS as the witness)."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 9))
    j = rng.standard_normal((d + 3, d)) * 10.0 ** rng.uniform(-2, 2, d)
    r = rng.standard_normal(d + 3)
    low, high = -rng.uniform(0, 1, d) * (rng.random(d) < 0.8), rng.uniform(0, 1, d)
    low[rng.random(d) < 0.3] = -np.inf
    p = box_minimum(j.T @ j, j.T @ r, low, high)
    witness = optimize.lsq_linear(j, -r, (low - 1e-300, high), method="bvls", tol=1e-14)
    assert (p >= low).all() and (p <= high).all()
    mine = float(((j @ p + r) ** 2).sum())
    assert mine <= 2.0 * witness.cost * (1 + 1e-9) + 1e-12


def rosenbrock(x: np.ndarray) -> Linearization:
    r = np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])
    return Linearization(x, r, np.array([[-20.0 * x[0], 10.0], [-1.0, 0.0]]))


def run(evaluate, start, low=-np.inf, high=np.inf, tolerance=1e-8, rejected=lambda x, e: None) -> Minimum:
    x = np.array(start, dtype=float)
    low, high = np.broadcast_to(low, x.shape), np.broadcast_to(high, x.shape)
    return minimize(
        evaluate,
        lambda z: evaluate(z).misfit,
        evaluate(x),
        low,
        high,
        tolerance=tolerance,
        max_iterations=200,
        rejected=rejected,
    )


def test_rosenbrock_from_the_classical_start() -> None:
    """The curved valley is followed to its end."""
    found = run(rosenbrock, [-1.2, 1.0])
    assert found.converged
    np.testing.assert_allclose(found.at.x, [1.0, 1.0], atol=1e-7)


def test_an_active_bound_holds_exactly() -> None:
    """With x0 <= 0.5 the minimum lies on the bound, to the last bit."""
    found = run(rosenbrock, [-1.2, 1.0], high=np.array([0.5, np.inf]))
    assert found.converged
    assert found.at.x[0] == 0.5
    assert found.at.x[1] == pytest.approx(0.25, abs=1e-7)


def test_a_region_that_cannot_be_simulated_is_walked_around() -> None:
    """Failing trials shrink the step, are reported, and never become residuals."""

    def fails_beyond(x: np.ndarray) -> Linearization:
        if x[1] < -0.2:
            raise SolveError("no", time=0.0)
        return rosenbrock(x)

    refused: list[np.ndarray] = []
    found = run(fails_beyond, [-1.2, 1.0], rejected=lambda x, e: refused.append(x))
    assert found.converged
    np.testing.assert_allclose(found.at.x, [1.0, 1.0], atol=1e-6)
    assert refused


def test_noise_of_an_integrator_does_not_stall_the_search() -> None:
    """With 1e-3 of deterministic noise in the misfit the search still says that it converged, and is close."""

    def noisy(x: np.ndarray) -> Linearization:
        t = np.linspace(0, 3, 200)
        model = x[0] * np.exp(-x[1] * t)
        wiggle = 4e-6 * np.sin(1e9 * (x[0] + 3.7 * x[1]) + np.arange(200))
        r = (2.0 * np.exp(-1.0 * t) + 0.05 * np.sin(7 * np.arange(200)) - model + wiggle) / 0.05
        return Linearization(x, r, np.stack([-np.exp(-x[1] * t), x[0] * t * np.exp(-x[1] * t)], axis=1) / 0.05)

    found = run(noisy, [0.5, 3.0], tolerance=1e-9)
    assert found.converged
    exact = optimize.least_squares(
        lambda x: (
            (2.0 * np.exp(-np.linspace(0, 3, 200)) + 0.05 * np.sin(7 * np.arange(200)))
            - x[0] * np.exp(-x[1] * np.linspace(0, 3, 200))
        ),
        [0.5, 3.0],
        xtol=1e-14,
        ftol=1e-14,
        gtol=1e-14,
    ).x
    sd = np.sqrt(np.diag(np.linalg.inv(found.at.jacobian.T @ found.at.jacobian)))
    assert (np.abs(found.at.x - exact) < 1e-2 * sd).all()


def test_quantiles_of_a_cut_normal_far_out() -> None:
    """Accurate to rounding in both tails, ten and more standard deviations from the center."""
    u = np.linspace(0.01, 0.99, 50)
    for low, high in [(-1.0, 2.0), (9.0, 11.0), (-31.0, -30.0), (5.0, np.inf), (-np.inf, -12.0)]:
        x = standard_normal_between(np.full(50, low), np.full(50, high), u)
        assert ((x >= low) & (x <= high)).all()
        np.testing.assert_allclose(x, stats.truncnorm.ppf(u, low, high), rtol=1e-9, atol=1e-12)


def test_gibbs_agrees_with_rejection() -> None:
    """Both samplers draw from one truncated Gaussian: three strongly correlated unknowns, two of them cut."""
    rng = np.random.default_rng(2)
    n = 4000
    root = np.array([[1.0, 0, 0], [0.9, 0.3, 0], [-0.5, 0.6, 0.4]])
    mean = np.array([0.2, -0.3, 0.1])
    low, high = np.array([0.0, -0.5, -np.inf]), np.array([np.inf, 0.6, np.inf])
    roots = np.broadcast_to(root, (n, 3, 3))
    means = np.broadcast_to(mean, (n, 3))
    a = gibbs(means, roots, low, high, rng)
    _, b = draw_within(lambda k: (np.empty((k, 0)), means[:k], roots[:k]), low, high, n, rng)
    for j in range(3):
        assert stats.ks_2samp(a[:, j], b[:, j]).pvalue > 1e-3
        assert ((a[:, j] >= low[j]) & (a[:, j] <= high[j])).all()
    np.testing.assert_allclose(np.corrcoef(a.T), np.corrcoef(b.T), atol=0.08)


def test_the_tail_six_standard_deviations_out() -> None:
    """Where no proposal is ever inside, the tail is drawn all the same; a correlated unknown follows."""
    rng = np.random.default_rng(3)
    n, rho = 2000, 0.8
    root = np.broadcast_to(np.array([[1.0, 0.0], [rho, np.sqrt(1 - rho**2)]]), (n, 2, 2))
    mean = np.zeros((n, 2))
    _, x = draw_within(
        lambda k: (np.empty((k, 0)), mean[:k], root[:k]), np.array([6.0, -np.inf]), np.full(2, np.inf), n, rng
    )
    assert stats.kstest(x[:, 0], stats.truncnorm(6.0, np.inf).cdf).pvalue > 1e-3
    assert stats.kstest((x[:, 1] - rho * x[:, 0]) / np.sqrt(1 - rho**2), stats.norm.cdf).pvalue > 1e-3


def ar1(n: int, rho: float, rng: np.random.Generator) -> np.ndarray:
    e = rng.standard_normal(n)
    for i in range(1, n):
        e[i] = rho * e[i - 1] + np.sqrt(1 - rho**2) * e[i]
    return e


def fitted(n: int, noise: np.ndarray) -> tuple[np.ndarray, Segment, np.ndarray]:
    """Least squares of three smooth curves to noise alone: true coefficients are zero."""
    t = np.arange(float(n))
    design = np.stack([np.ones(n), np.exp(-3 * t / n), t / n * np.exp(-5 * t / n)], axis=1)
    a = design.T @ design
    beta = np.linalg.solve(a, design.T @ noise)
    r = noise - design @ beta
    sd = np.sqrt(r @ r / (n - 3))
    root = np.linalg.inv(np.linalg.cholesky(a)).T
    return beta, Segment(t, r / sd, design @ root), root * sd


@pytest.mark.parametrize("n", [12, 40, 150, 500])
def test_white_residuals_are_left_alone(n: int) -> None:
    """In about 95 of 100 cases the factor is exactly 1; expected 190 of 200, four sigma is 13."""
    rng = np.random.default_rng(n)
    white = sum(not examine([fitted(n, rng.standard_normal(n))[1]]).significant for _ in range(200))
    assert 177 <= white <= 200
    quiet = examine([fitted(n, np.random.default_rng(0).standard_normal(n))[1]])
    if not quiet.significant:
        assert not quiet.excess.any() and quiet.effective_samples == n


@pytest.mark.parametrize(("n", "rho", "least"), [(100, 0.5, 0.91), (200, 0.8, 0.89), (400, 0.9, 0.89)])
def test_intervals_cover_with_widening_and_fail_without(n: int, rho: float, least: float) -> None:
    """95 % intervals of three coefficients under AR(1) noise, 120 data sets.

    Without widening they cover in three quarters (rho 0.5) to a half (0.8) of all cases. With it they come within a
    few percent of 95: the memory has to be estimated from the same residuals (least: four sigma of 360 correlated
    checks below the rates found with 3000 data sets).
    """
    rng = np.random.default_rng(7)
    inside, plain = [], []
    for _ in range(120):
        beta, segment, root = fitted(n, ar1(n, rho, rng))
        excess = examine([segment]).excess
        inside.append(np.abs(beta) < 1.96 * np.sqrt(np.diag(root @ (np.eye(3) + excess) @ root.T)))
        plain.append(np.abs(beta) < 1.96 * np.sqrt(np.diag(root @ root.T)))
    assert np.mean(inside) > least
    assert np.mean(plain) < 0.80


def test_a_slow_misfit_under_white_noise_is_found() -> None:
    """The lag-one correlation is only 0.3, but 600 samples are worth a few dozen."""
    rng = np.random.default_rng(1)
    noise = np.sqrt(0.3) * ar1(600, 0.98, rng) + np.sqrt(0.7) * rng.standard_normal(600)
    found = examine([fitted(600, noise)[1]])
    assert found.significant
    assert found.lag_one < 0.45
    assert found.effective_samples < 100


def test_residuals_that_alternate_do_not_narrow() -> None:
    """Negative correlation leaves the classical covariance: widening only."""
    noise = np.random.default_rng(4).standard_normal(300)
    noise[1:] -= 0.8 * noise[:-1]
    assert not examine([fitted(300, noise)[1]]).excess.any()


def test_no_direction_is_ever_narrowed() -> None:
    """Positive correlation makes an alternating curve better known; its classical covariance stays all the same."""
    n = 300
    t = np.arange(float(n))
    design = np.stack([np.ones(n), np.where(t % 2 == 0, 1.0, -1.0)], axis=1)
    noise = ar1(n, 0.9, np.random.default_rng(2))
    root = np.diag(1.0 / np.sqrt(np.diag(design.T @ design)))
    r = noise - design @ np.linalg.lstsq(design, noise, rcond=None)[0]
    found = examine([Segment(t, r / r.std(), design @ root)])
    assert found.significant
    assert found.excess[0, 0] > 5.0, "the mean is much less certain"
    assert np.linalg.eigvalsh(found.excess).min() > -1e-9


def test_lags_do_not_cross_experiments() -> None:
    """Two experiments with opposite offsets: neighbors across the border tell nothing, those within do."""
    u = np.zeros((20, 1))
    t = np.arange(20.0)
    one = examine([Segment(t, np.ones(20), u), Segment(t, -np.ones(20), u)])
    assert one.lag_one == pytest.approx(38 / 40)
    assert one.significant


def test_an_experiment_shorter_than_a_lag_counts_as_itself() -> None:
    """Lags reach beyond a run of four samples that stands beside one of forty: there it has no pairs, and no say."""
    rng = np.random.default_rng(3)
    t = np.arange(40.0)
    long = Segment(t, ar1(40, 0.9, rng), np.full((40, 1), 1.0 / np.sqrt(44.0)))
    short = Segment(t[:4], np.full(4, 0.1), np.full((4, 1), 1.0 / np.sqrt(44.0)))
    found = examine([long, short])
    assert found.significant and found.excess[0, 0] > 0.5
    assert found.effective_samples < 44
