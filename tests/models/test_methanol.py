"""methanol: the balance of the species, the refusal of the published form, and the optimum with its active bound."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

import physics_twin as pt
from physics_twin_models.methanol import experiment, methanol

THETA = ("theta1", "theta2", "theta3", "theta4", "theta5")


def test_sum_of_species_follows_its_own_balance():
    """d(A + B + C)/dt = (theta1 - 2 theta2) A, whatever the branching between carbenes and olefins."""
    hours = np.linspace(0.0, 1.0, 2001)
    values = {"theta1": "4 1/h", "theta2": 1.5, "theta3": "0.5 1/h", "theta4": "0.7 1/h", "theta5": 0.3}
    run = pt.simulate(methanol(), (hours, "h"), values=values)
    a, b, c = (run[name].values for name in ("oxygenates", "carbenes", "olefins"))
    expected = 1.0 + (4.0 - 2.0 * 1.5) * trapezoid(a, hours)
    # the rule's own error: h^2/12 |A'(1) - A'(0)| < 1e-7 here
    assert (a + b + c)[-1] == pytest.approx(expected, abs=2e-7)


def test_the_published_form_is_refused():
    """COPS adds 2 theta2, a ratio, to rates: without the explicit factor of 1 1/h the builder says no."""
    m = pt.ProcessBuilder("as_published", version="1.0")
    theta2, theta3 = m.parameter("theta2", 1.0), m.parameter("theta3", "1 1/h")
    with pytest.raises(pt.UnitError, match="cannot add"):
        2.0 * theta2 + theta3


def test_pinned_optimum_with_its_active_bound():
    """COPS: sum of squares 9.02229e-3; theta5 is at its lower bound and the verdict says so."""
    fit = pt.calibrate(methanol(), experiment(), unknown=THETA, rng=7)
    assert fit.converged
    assert sum(c.sum_of_squares for c in fit.channels) == pytest.approx(9.0222898577e-3, rel=1e-6)
    np.testing.assert_allclose(
        [fit.mode[name] * (1.0 if name in ("theta2", "theta5") else 3600.0) for name in THETA],
        [1.77518736, 2.16798606, 1.85755549, 1.80244620, 0.0],
        rtol=1e-4,
        atol=1e-8,
    )
    assert "at its lower bound" in str(fit.verdicts["theta5"])
