"""The analysis of an ensemble on arrays, against the closed-form Kalman update."""

import numpy as np
import pytest

from physics_twin.assimilation.ensemble_kalman.draws import independent, rotation
from physics_twin.assimilation.ensemble_kalman.inflation import AdaptiveInflation, estimate
from physics_twin.assimilation.ensemble_kalman.localization import Lattice, Localized, lattice_analysis, local_analysis
from physics_twin.assimilation.ensemble_kalman.transform import SHARP, analysis
from physics_twin.errors import BoundsError


def anomalies(rng, n, m):
    a = rng.standard_normal((n, m))
    return a - a.mean(axis=0)


def whitened(a, h, noise):
    """S of anomalies a (n, m) seen through h (p, m) with noise variances (p,)."""
    return a @ h.T / np.sqrt(noise * (len(a) - 1.0))


def kalman(a, h, noise, innovation):
    """Shift of the mean and covariance after, of the sample covariance of a."""
    p = a.T @ a / (len(a) - 1.0)
    gain = p @ h.T @ np.linalg.inv(h @ p @ h.T + np.diag(noise))
    rest = np.eye(len(p)) - gain @ h
    return gain @ innovation, rest @ p @ rest.T + gain @ np.diag(noise) @ gain.T


@pytest.mark.parametrize(("n", "m", "p"), [(40, 6, 3), (12, 6, 20), (5, 30, 8), (5, 30, 3), (40, 6, 40)])
def test_the_root_is_the_kalman_update_of_the_sample_covariance(n, m, p):
    """Mean and covariance to rounding, with more or fewer members than coordinates or observations."""
    rng = np.random.default_rng(n + m + p)
    a, h, noise = anomalies(rng, n, m), rng.standard_normal((p, m)), rng.uniform(0.1, 2.0, p)
    innovation = rng.standard_normal(p)
    shift, after = analysis(a, whitened(a, h, noise), innovation / np.sqrt(noise))
    expected, covariance = kalman(a, h, noise, innovation)
    np.testing.assert_allclose(shift, expected, atol=1e-12)
    np.testing.assert_allclose(after.T @ after / (n - 1.0), covariance, atol=1e-12)
    np.testing.assert_allclose(after.mean(axis=0), 0.0, atol=1e-13)


@pytest.mark.parametrize("p", [2, 30])
def test_sensors_of_very_different_sharpness(p):
    """One sensor a million times sharper than the spread leaves the others their digits; squares would cost them."""
    rng = np.random.default_rng(5)
    a, h = anomalies(rng, 12, 6), rng.standard_normal((p, 6))
    noise = np.r_[1e-12, np.ones(p - 1)]
    s = whitened(a, h, noise)
    assert np.sum(s**2) > SHARP
    _, after = analysis(a, s, np.zeros(p))
    seen = a @ h[0] / np.sqrt(11.0)
    rest = a - np.outer(seen, seen @ a) / (seen @ seen)  # what the exact reading of h[0] leaves, to 1e-12 of a
    _, expected = kalman(rest, h[1:], noise[1:], np.zeros(p - 1))
    np.testing.assert_allclose(after.T @ after / 11.0, expected, atol=1e-9)


def test_the_root_moves_members_least():
    """Of all roots (the symmetric one, rotated) the symmetric one changes the anomalies the least."""
    rng = np.random.default_rng(2)
    a = anomalies(rng, 10, 4)
    _, after = analysis(a, whitened(a, np.eye(4), np.ones(4)), np.zeros(4))
    least = np.linalg.norm(after - a)
    for _ in range(20):
        turned = rotation(rng.standard_normal((9, 9))) @ after
        np.testing.assert_allclose(turned.T @ turned, after.T @ after, atol=1e-12)
        np.testing.assert_allclose(turned.mean(axis=0), 0.0, atol=1e-13)
        assert np.linalg.norm(turned - a) > least


@pytest.mark.parametrize("p", [3, 50])
def test_perturbed_observations_have_the_same_mean_and_at_their_rate_the_same_covariance(p):
    """The mean to rounding; averaged over 4000 draws the covariance, within 5 standard errors."""
    rng = np.random.default_rng(3)
    n, m, k = 12, 4, 4000
    a, h, noise = anomalies(rng, n, m), rng.standard_normal((p, m)), rng.uniform(0.5, 2.0, p)
    innovation = rng.standard_normal(p)
    d = rng.standard_normal((k, n, p))
    d -= d.mean(axis=1, keepdims=True)
    s = np.broadcast_to(whitened(a, h, noise), (k, n, p))
    shift, after = analysis(np.broadcast_to(a, (k, n, m)), s, np.broadcast_to(innovation / np.sqrt(noise), (k, p)), d)
    expected, covariance = kalman(a, h, noise, innovation)
    np.testing.assert_allclose(shift, np.broadcast_to(expected, (k, m)), atol=1e-12)
    found = after.swapaxes(1, 2) @ after / (n - 1.0)
    error = found.std(axis=0) / np.sqrt(k)
    assert (np.abs(found.mean(axis=0) - covariance) < 5.0 * error).all()


def test_draws_are_exact_where_there_is_room():
    """With 40 members, 5 taken and 6 drawn: mean 0, unit covariance, no correlation with what is there, to rounding."""
    rng = np.random.default_rng(4)
    used = anomalies(rng, 40, 5)
    used[:, 4] = used[:, 0] + used[:, 1]  # a lack of rank takes no room away from exactness
    drawn = independent(rng.standard_normal((40, 6)), used)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=1e-14)
    np.testing.assert_allclose(drawn.T @ drawn / 39.0, np.eye(6), atol=1e-13)
    np.testing.assert_allclose(drawn.T @ used, 0.0, atol=1e-12)


def test_draws_give_up_what_there_is_no_room_for():
    """With 8 members: of 6 columns beside 5 the covariance alone is exact, of 20 the mean alone."""
    rng = np.random.default_rng(4)
    used = anomalies(rng, 8, 5)
    drawn = independent(rng.standard_normal((8, 6)), used)
    np.testing.assert_allclose(drawn.T @ drawn / 7.0, np.eye(6), atol=1e-13)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=1e-14)
    assert np.abs(drawn.T @ used).max() > 0.1
    many = independent(rng.standard_normal((8, 20)), used)
    np.testing.assert_allclose(many.mean(axis=0), 0.0, atol=1e-14)


def test_draws_are_spread_like_the_normal_ones():
    """No direction is preferred: over 4000 draws each member's mean square is one, within 5 standard errors."""
    rng = np.random.default_rng(6)
    drawn = np.array([independent(rng.standard_normal((6, 1)), np.zeros((6, 0)))[:, 0] for _ in range(4000)])
    assert (np.abs(drawn.mean(axis=0)) < 5.0 * drawn.std(axis=0) / np.sqrt(4000)).all()
    squares = drawn**2 * 6.0 / 5.0
    assert (np.abs(squares.mean(axis=0) - 1.0) < 5.0 * squares.std(axis=0) / np.sqrt(4000)).all()


@pytest.mark.parametrize("perturbed", [False, True])
@pytest.mark.parametrize("p", [4, 12])
def test_weights_of_one_are_the_global_analysis(p, perturbed):
    """Column by column, also over the borders of blocks and batches."""
    rng = np.random.default_rng(7)
    a, s, d = anomalies(rng, 8, 2500), anomalies(rng, 8, p), rng.standard_normal(p)
    noise = anomalies(rng, 8, p) if perturbed else None
    shift, after = analysis(a, s, d, noise)
    near, spread = local_analysis(a, s, d, np.zeros((2500, 1)), lambda places: np.ones((len(places), p)), noise)
    np.testing.assert_allclose(near, shift, atol=1e-12)
    np.testing.assert_allclose(spread, after, atol=1e-12)


def test_a_weight_is_a_larger_noise():
    """Weights w are noise variances over w, and zero is no sensor; columns do not see one another."""
    rng = np.random.default_rng(8)
    a, s, d = anomalies(rng, 8, 300), anomalies(rng, 8, 6), rng.standard_normal(6)
    w = rng.uniform(0.0, 1.0, (300, 6)) * (rng.uniform(size=(300, 6)) < 0.5)
    shift, after = local_analysis(a, s, d, np.arange(300)[:, None], lambda places: w[places[:, 0]])
    for k in (0, 17, 299):
        root = np.sqrt(w[k])
        one, spread = analysis(a[:, [k]], s * root, d * root)
        np.testing.assert_allclose(shift[k], one[0], atol=1e-12)
        np.testing.assert_allclose(after[:, k], spread[:, 0], atol=1e-12)
    deaf = ~w.any(axis=1)
    w[3] = 0.0
    shift, after = local_analysis(a, s, d, np.arange(300)[:, None], lambda places: w[places[:, 0]])
    assert shift[3] == 0.0
    assert np.array_equal(after[:, 3], a[:, 3])
    assert np.array_equal(after[:, deaf], a[:, deaf])


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_shares_of_a_lattice_interpolate_what_is_linear(dimension):
    """A linear function at the nodes is the same function at the entries, and shares sum to one."""
    rng = np.random.default_rng(12)
    places = np.vstack([rng.uniform(-1.0, 1.0, (200, dimension)), np.zeros((1, dimension)), np.ones((1, dimension))])
    lattice = Lattice.over(places, 0.3)
    slope = rng.standard_normal(dimension)
    found, total = np.zeros(202), np.zeros(202)
    for node, entries, shares in zip(lattice.nodes, lattice.entries, lattice.shares, strict=True):
        found[entries] += shares * (2.0 + node @ slope)
        total[entries] += shares
    np.testing.assert_allclose(total, 1.0, atol=1e-13)
    np.testing.assert_allclose(found, 2.0 + places @ slope, atol=1e-12)


@pytest.mark.parametrize("perturbed", [False, True])
def test_a_lattice_with_weights_of_one_is_the_global_analysis(perturbed):
    """To rounding: interpolation of a constant."""
    rng = np.random.default_rng(13)
    a, s, d = anomalies(rng, 8, 500), anomalies(rng, 8, 12), rng.standard_normal(12)
    noise = anomalies(rng, 8, 12) if perturbed else None
    lattice = Lattice.over(rng.uniform(size=(500, 2)), 0.2)
    shift, after = analysis(a, s, d, noise)
    near, spread = lattice_analysis(a, s, d, lattice, lambda places: np.ones((len(places), 12)), noise)
    np.testing.assert_allclose(near, shift, atol=1e-12)
    np.testing.assert_allclose(spread, after, atol=1e-12)


def test_a_dense_field_gets_the_analyses_of_a_lattice():
    """3000 entries within ten radii: a tenth of the analyses, and within 2 % of the change that one for each makes."""
    rng = np.random.default_rng(14)
    entries, sensors = np.linspace(0.0, 1.0, 3000)[:, None], rng.uniform(size=(30, 1))
    a = anomalies(rng, 20, 40) @ np.cos(np.pi * np.arange(40)[:, None] * entries[:, 0])
    a = a / a.std()
    s = a[:, np.searchsorted(entries[:, 0], sensors[:, 0])] / np.sqrt(19.0)
    d = rng.standard_normal(30)
    localized = Localized("10 cm")
    assert len(Lattice.over(entries, 0.1 / 3.0).nodes) == 31
    shift, after = localized.analysis(a, s, d, entries, sensors)
    parts = [localized.analysis(a[:, k::200], s, d, entries[k::200], sensors) for k in range(200)]  # too few to pay
    exact, spread = np.empty(3000), np.empty_like(a)
    for k, (up, own) in enumerate(parts):
        exact[k::200], spread[:, k::200] = up, own
    assert np.linalg.norm(shift - exact) < 0.02 * np.linalg.norm(exact)
    assert np.linalg.norm(after - spread) < 0.02 * np.linalg.norm(spread - a)
    assert np.abs(shift - exact).max() > 1e-9


def test_a_radius_far_below_the_spacing_of_entries():
    """A picometer in a cube of ten meters: only the entry at the sensor moves."""
    rng = np.random.default_rng(15)
    entries = 10.0 * rng.uniform(size=(50, 3))
    a, d = anomalies(rng, 8, 50), np.ones(1)
    shift, after = Localized("1 pm").analysis(a, a[:, [7]], d, entries, entries[[7]])
    assert np.flatnonzero(shift).tolist() == [7]
    assert np.flatnonzero((after != a).any(axis=0)).tolist() == [7]


def test_inflation_stays_where_the_innovations_are_as_expected():
    """d^T d = p + trace is what a right spread gives on average: the factor in force is the answer."""
    rng = np.random.default_rng(9)
    s = anomalies(rng, 10, 5)
    d = np.zeros(5)
    d[0] = np.sqrt(5.0 + np.sum(s**2))
    for factor in (1.0, 1.7):
        assert estimate(factor, s, d, 0.1) == pytest.approx(factor, rel=1e-12)
    assert estimate(1.3, np.zeros((10, 5)), d, 0.1) == 1.3


def test_inflation_finds_the_factor_that_is_missing():
    """Innovations of a spread with 2.5 times the variance: 2.5 is found.

    One innovation says 2.5 with a variance of v = 3, the walk weighs it with k = 0.1^2 / v: a memory of 300 updates.
    The mean over 3600 of them scatters by sqrt(2 v / 3600) = 0.04, and samples of 20 members bias it by -0.04.
    """
    rng = np.random.default_rng(10)
    true, adaptive = 2.5, AdaptiveInflation(sd=0.1)
    factor, found = adaptive.initial, []
    for _ in range(5000):
        a = rng.standard_normal((20, 8))
        a = a - a.mean(axis=0)
        d = np.sqrt(1.0 + true) * rng.standard_normal(8)
        factor = adaptive.updated(factor, np.sqrt(factor) * a / np.sqrt(19.0), d)
        found.append(factor)
    assert np.mean(found[1400:]) == pytest.approx(true, abs=0.2)


def test_numbers_of_inflation_are_checked():
    """A range without the start, or a walk that stands still, is refused."""
    with pytest.raises(BoundsError, match=r"initial = 0\.5"):
        AdaptiveInflation(0.5)
    with pytest.raises(BoundsError, match="sd = 0"):
        AdaptiveInflation(sd=0.0)
