"""The rod in closed form (Smith 2013, equations 3.22 and 3.23), and its least-squares fit: the witness of the models.

T(x) = c1 exp(-gamma x) + c2 exp(gamma x) + ambient solves T'' = gamma^2 (T - ambient), gamma^2 = 4 h / (side k).
With q the flux into the rod, -k T'(0) = q and -k T'(L) = h (T(L) - ambient) give

    c1 = q / (k gamma) * e^{gamma L} (k gamma + h) / (e^{gamma L} (k gamma + h) + e^{-gamma L} (h - k gamma))
    c2 = c1 - q / (k gamma)

Numbers here are in cm, W and K, as in the book.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from physics_twin.arrays import Array


@dataclass(frozen=True)
class Fin:
    """A rod: flux into it (W/cm^2), film coefficient (W/cm^2/K), conductivity (W/cm/K), ambient (degC), sizes (cm)."""

    flux: float
    film_coefficient: float
    conductivity: float
    ambient: float
    length: float = 70.0
    side: float = 0.95

    def temperature(self, x: "Sequence[float] | Array") -> Array:
        """degC at x (n,) in cm."""
        k, h = self.conductivity, self.film_coefficient
        gamma = np.sqrt(4.0 * h / (self.side * k))
        up, down = np.exp(gamma * self.length), np.exp(-gamma * self.length)
        rise = self.flux / (k * gamma)
        c1 = rise * up * (k * gamma + h) / (up * (k * gamma + h) + down * (h - k * gamma))
        s = gamma * np.asarray(x, dtype=float)
        return np.asarray(c1 * np.exp(-s) + (c1 - rise) * np.exp(s) + self.ambient)


@dataclass(frozen=True)
class FinFit:
    """A least-squares fit: estimates, standard errors (J^T J)^-1 and noise s = sqrt(SSE/(n - 2)), in cm, W, K."""

    flux: float
    film_coefficient: float
    noise: float
    flux_error: float
    film_coefficient_error: float


def fit_fin(x: "Sequence[float] | Array", temperature: "Sequence[float] | Array", k: float, ambient: float) -> FinFit:
    """Fit flux and film coefficient to temperatures (n,) in degC at x (n,) in cm, with derivatives by differences."""
    y = np.asarray(temperature, dtype=float)

    def residual(p: Array) -> Array:
        return np.asarray(Fin(float(p[0]), 1e-3 * float(p[1]), k, ambient).temperature(x) - y)

    found = least_squares(residual, [10.0, 1.0], jac="3-point", xtol=1e-14, ftol=1e-14, gtol=1e-14)
    r, jacobian = np.asarray(found.fun), np.asarray(found.jac)
    s = float(np.sqrt(r @ r / (y.size - 2)))
    errors = s * np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    return FinFit(float(found.x[0]), float(1e-3 * found.x[1]), s, float(errors[0]), float(1e-3 * errors[1]))
