"""gas_oil: closed form and the published optimum."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin_models.gas_oil import experiment, gas_oil

RATES = ("k1", "k2", "k3")


def test_gas_oil_follows_the_second_order_law():
    """y = 1 / (1 + (k1 + k3) t)."""
    hours = np.linspace(0.0, 1.0, 21)
    run = pt.simulate(gas_oil(), (hours, "h"), values={"k1": "11 1/h", "k2": "8 1/h", "k3": "2 1/h"})
    np.testing.assert_allclose(run["gas_oil"].values, 1.0 / (1.0 + 13.0 * hours), rtol=0, atol=1e-7)


def test_without_cracking_of_gasoline_the_yield_is_the_ratio_of_rates():
    """With k2 = 0, gasoline = k1 / (k1 + k3) of what was converted."""
    run = pt.simulate(gas_oil(), ([0.1, 1.0], "h"), values={"k1": "6 1/h", "k2": "0 1/h", "k3": "2 1/h"})
    np.testing.assert_allclose(run["gasoline"].values, 0.75 * (1.0 - run["gas_oil"].values), rtol=0, atol=1e-8)


def test_pinned_optimum():
    """COPS: sum of squares 5.2366e-3 (recomputed 5.2365958339e-3), rates to 4 digits, standard errors to 2 %."""
    fit = pt.calibrate(gas_oil(), experiment(), unknown=RATES, rng=7)
    assert fit.converged
    assert sum(c.sum_of_squares for c in fit.channels) == pytest.approx(5.2365958339e-3, rel=1e-6)
    mode = [fit.mode[name] * 3600.0 for name in RATES]
    np.testing.assert_allclose(mode, [11.84673836, 8.34451948, 1.00143997], rtol=1e-4)
    errors = np.sqrt(np.diag(fit.covariance.values))[:3] * 3600.0
    np.testing.assert_allclose(errors, [0.335, 0.316, 0.359], rtol=0.02)
