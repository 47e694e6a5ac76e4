"""Student's t with scale one: log density beyond that of the normal's constant, and log distribution function."""

import numpy as np
from scipy.special import betaln, gammaln, hyp2f1, psi, stdtr

from physics_twin.arrays import Array

TAIL = 0.9
"""nu / (nu + a^2) below which the distribution function is taken from its series, which does not underflow."""
STEP = 1e-4
"""Of ln nu, for the slope of the distribution function, which has no closed form."""


def log_constant(nu: Array) -> Array:
    """Log of the density at zero over that of the standard normal, (n,)."""
    return np.asarray(gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu) - 0.5 * np.log(0.5 * nu))


def log_constant_slope(nu: Array) -> Array:
    """Its derivative with respect to nu, (n,)."""
    return np.asarray(0.5 * psi(0.5 * (nu + 1.0)) - 0.5 * psi(0.5 * nu) - 0.5 / nu)


def log_density(nu: Array, a: Array) -> Array:
    """Log density, (n,)."""
    return np.asarray(log_constant(nu) - 0.5 * np.log(2.0 * np.pi) - 0.5 * (nu + 1.0) * np.log1p(a * a / nu))


def log_distribution(nu: Array, a: Array) -> Array:
    """Log of the probability below a, (n,), accurate far out in the lower tail.

    There it is half the incomplete beta function I_x(nu/2, 1/2) with x = nu / (nu + a^2), in its hypergeometric form
    (Abramowitz and Stegun 1964, eq. 26.5.23 and 26.7.1).
    """
    x = nu / (nu + a * a)
    far = (a < 0.0) & (x < TAIL)
    y, h = np.where(far, x, 0.5), 0.5 * nu
    series = h * np.log(y) + 0.5 * np.log1p(-y) - np.log(h) - betaln(h, 0.5) + np.log(hyp2f1(h + 0.5, 1.0, h + 1.0, y))
    near = np.log(stdtr(nu, np.where(far, 0.0, a)))
    return np.where(far, np.log(0.5) + series, near)


def log_distribution_slope(nu: Array, a: Array) -> Array:
    """Its derivative with respect to ln nu, (n,), by differences."""
    up, down = np.exp(STEP), np.exp(-STEP)
    return (log_distribution(nu * up, a) - log_distribution(nu * down, a)) / (2.0 * STEP)
