"""alpha_pinene: mass, matrix exponential, time scaling, and the published optimum of its data."""

import numpy as np
import pytest
from scipy.linalg import expm

import physics_twin as pt
from physics_twin_models.alpha_pinene import alpha_pinene, experiment

SPECIES = ("pinene", "dipentene", "alloocimene", "pyronene", "dimer")
RATES = ("k1", "k2", "k3", "k4", "k5")
TIMES = (np.linspace(0.0, 40_000.0, 21), "min")


def shares(values=None, times=TIMES):
    run = pt.simulate(alpha_pinene(), times, values=values).in_units()
    return np.array([run[name].values for name in SPECIES])


def matrix(k1, k2, k3, k4, k5):
    a = np.zeros((5, 5))
    a[0, 0], a[1, 0], a[2, 0] = -(k1 + k2), k1, k2
    a[2, 2], a[2, 4], a[3, 2] = -(k3 + k4), k5, k3
    a[4, 2], a[4, 4] = k4, -k5
    return a


def test_mass_is_conserved():
    """The five shares sum to 100 percent at all times."""
    np.testing.assert_allclose(shares().sum(axis=0), 100.0, rtol=0, atol=1e-7)


def test_agrees_with_the_matrix_exponential():
    """The system is linear: y(t) = expm(A t) y(0), also from another start and with other rates."""
    k = (2e-5, 7e-5, 4e-5, 1e-4, 9e-5)
    values = {name: f"{number} 1/min" for name, number in zip(RATES, k, strict=True)}
    start = np.array([70.0, 5.0, 10.0, 3.0, 12.0])
    values |= {f"initial.{name}": f"{y} percent" for name, y in zip(SPECIES, start, strict=True)}
    exact = np.array([expm(matrix(*k) * t) @ start for t in TIMES[0]]).T
    np.testing.assert_allclose(shares(values), exact, rtol=0, atol=1e-5)


def test_only_products_of_rate_and_time_matter():
    """Rates ten times as high give the same shares in a tenth of the time, given in another unit."""
    slow = {name: f"{k * 1e-5} 1/min" for k, name in enumerate(RATES, 2)}
    fast = {name: f"{k * 1e-4 / 60} 1/s" for k, name in enumerate(RATES, 2)}
    np.testing.assert_allclose(shares(fast, (TIMES[0] / 10, "min")), shares(slow), rtol=0, atol=1e-5)


def test_experiment_holds_the_published_rows():
    """Eight analyses of five species, from 1230 to 36420 min, none of them at time zero."""
    found = experiment()
    assert {name: series.values.size for name, series in found.series.items()} == dict.fromkeys(SPECIES, 8)
    assert found.times[0] == 1230 * 60
    assert found.times[-1] == 36420 * 60
    assert found["dimer"].values[3] == pytest.approx(0.093, abs=1e-15)
    assert {series.channel.noise_name for series in found.series.values()} == {"noise.analysis"}


def test_pinned_optimum_of_the_full_data_set():
    """COPS: sum of squares 19.87217 percent^2 (1e-6), rate constants to 4 digits, standard errors to 2 %."""
    fit = pt.calibrate(alpha_pinene(), experiment(), unknown=RATES, rng=7)
    assert fit.converged
    assert sum(c.sum_of_squares for c in fit.channels) == pytest.approx(19.87216693, rel=1e-6)
    mode = [fit.mode[name] * 60.0 for name in RATES]
    published = [5.92584877e-5, 2.96340211e-5, 2.04728393e-5, 2.74467939e-4, 3.99795027e-5]
    np.testing.assert_allclose(mode, published, rtol=1e-4)
    errors = np.sqrt(np.diag(fit.covariance.values))[:5] * 60.0
    np.testing.assert_allclose(errors, [5.07e-7, 4.91e-7, 3.10e-6, 2.32e-5, 8.38e-6], rtol=0.02)
