"""ES-MDA on arrays: the ensemble smoother with multiple data assimilation.

Emerick and Reynolds (2013, Ensemble smoother with multiple data assimilation, Computers & Geosciences 55, 3-15). Each
assimilation i moves every member j by (their eq. 13, members as rows here)

    m_j^a = m_j^f + C_MD (C_DD + alpha_i C_D)^-1 (d_uc,j - d_j^f),    d_uc,j = d_obs + sqrt(alpha_i) C_D^(1/2) z_j,

with sum_i 1/alpha_i = 1: for a linear model and Gaussian priors the result is a sample of the posterior however the
data are divided. In whitened data, C_D = I, and with the singular value decomposition U S V^T of the anomalies of the
predicted data over sqrt(N - 1), the gain acts in the space of the members:

    C_MD (C_DD + alpha C_D)^-1 = A^T U S (S^2 + alpha)^-1 V^T,    A the anomalies of the parameters over sqrt(N - 1).

So nothing of the size of the data squared is formed, and without localization the whole update is one product of an
(N, N) matrix with the members. The singular values that are kept are all that are more than rounding. The paper cuts at
99 % of their sum, which it needs where C_D itself is approximated in the ensemble; in whitened data the factor
S/(S^2 + alpha) is at most 1/(2 sqrt(alpha)), so there is nothing to stabilize, and a cut would throw away what only a
few precise samples tell.

Names and letters: parameters m (N, n_parameters), predicted d^f (N, n_data), observed d_obs (n_data,), alpha, gain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular, svd

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ShapeError

ROUNDING = 1e-13
"""Singular values below this share of the largest are rounding."""
BLOCK = 2**21
"""Numbers of a gain that are worked on together where it is tapered: 16 MB, which stay near the processor."""
SUMS_TO_ONE = 1e-6

type Taper = Callable[[slice, Array, Array], Array]
"""(parameters, their anomalies (N, k), those of the whitened predicted data (N, n_data)) -> weights (k, n_data)."""


def even_inflation(n_assimilations: int) -> Array:
    """alpha (n_assimilations,) all alike."""
    return np.full(n_assimilations, float(n_assimilations))


def geometric_inflation(n_assimilations: int, ratio: float) -> Array:
    """alpha (n_assimilations,), each `ratio` (below 1) times the one before: careful steps first.

    As Rafiee and Reynolds (2017, Theoretical and efficient practical procedures for the generation of inflation factors
    for ES-MDA, Inverse Problems 33, 115003) take them, with a ratio that is given.
    """
    if not 0.0 < ratio <= 1.0:
        raise BoundsError(
            f"ratio = {ratio:g} of geometric inflation is outside (0, 1]: early steps are the careful ones"
        )
    shape = ratio ** np.arange(n_assimilations)
    return np.asarray(shape * float(np.sum(1.0 / shape)))


def check_inflation(alphas: Sequence[float]) -> Array:
    """alpha (n_assimilations,) as given; raises BoundsError unless all are 1 or more and sum 1/alpha is 1."""
    alpha = np.asarray(alphas, dtype=float)
    if alpha.ndim != 1 or alpha.size == 0 or not (alpha >= 1.0 - SUMS_TO_ONE).all():
        raise BoundsError(f"alphas = {list(alphas)}: give numbers of 1 or more, one for each assimilation")
    total = float(np.sum(1.0 / alpha))
    if abs(total - 1.0) > SUMS_TO_ONE:
        raise BoundsError(
            f"alphas = {list(alphas)}: the sum of 1/alpha is {total:.6g}, so the data would count {total:.3g} times; "
            f"multiply all by {total:.6g}"
        )
    return alpha * total


def perturbations(rng: np.random.Generator, n_members: int, n_data: int) -> Array:
    """z (n_members, n_data), standard normal, with the mean of the members taken off: it would only add its error."""
    z = rng.standard_normal((n_members, n_data))
    z -= z.mean(axis=0)
    return z


def whitened(data: Array, noise: Array) -> Array:
    """Data (..., n_data) in units of their noise: standard deviations (n_data,), or L (n_data, n_data), C_D = L L^T."""
    if noise.ndim == 1:
        return np.asarray(data / noise)
    return np.asarray(solve_triangular(noise, data.T, lower=True).T)


@dataclass(frozen=True)
class Subspace:
    """The singular value decomposition of the anomalies of whitened predicted data over sqrt(N - 1)."""

    u: Array
    """(N, k)"""
    s: Array
    """(k,)"""
    vt: Array
    """(k, n_data)"""

    @classmethod
    def of(cls, predicted: Array) -> "Subspace":
        """Of whitened predicted data (N, n_data)."""
        n_members = predicted.shape[0]
        if n_members < 2:
            raise ShapeError(f"an ensemble of {n_members} member has no anomalies; give two or more")
        anomalies = (predicted - predicted.mean(axis=0)) / np.sqrt(n_members - 1.0)
        u, s, vt = svd(anomalies, full_matrices=False, check_finite=False)
        kept = s > ROUNDING * s[0] if s.size and s[0] > 0.0 else np.zeros(s.size, dtype=bool)
        return cls(u[:, kept], s[kept], vt[kept])

    @property
    def anomalies(self) -> Array:
        """(N, n_data), over sqrt(N - 1)."""
        return np.asarray((self.u * self.s) @ self.vt)

    def determined(self, left: float) -> float:
        """Directions of the ensemble that all of the data determine, when the share `left` is still to be assimilated.

        Of a prior, left = 1, the trace of gain times sensitivity at alpha = 1; a posterior, left = 0, has S^2 left.
        """
        return float(np.sum(np.minimum(self.s**2 / (1.0 + left * self.s**2), 1.0)))

    def determined_by(self, left: float) -> Array:
        """(n_data,) what each of the data has of `determined`: the diagonal of the hat matrix."""
        return np.asarray(np.minimum(self.s**2 / (1.0 + left * self.s**2), 1.0) @ self.vt**2)


def innovations(predicted: Array, observed: Array, z: Array, alpha: float) -> Array:
    """d_uc - d^f (N, n_data), whitened. predicted (N, n_data), observed (n_data,) whitened; z: see perturbations."""
    return np.asarray(observed + np.sqrt(alpha) * z - predicted)


def move(parameters: Array, subspace: Subspace, innovation: Array, alpha: float) -> Array:
    """The update (N, n_parameters).

    W A = (R V S/(S^2 + alpha)) (U^T A), R the innovations: with many members and few directions from right to left,
    otherwise as one product of an (N, N) matrix with the parameters, the taking off of their mean included.
    """
    n, s = parameters.shape[0], subspace.s
    left = (innovation @ subspace.vt.T) * (s / (s**2 + alpha)) / np.sqrt(n - 1.0)
    right = subspace.u.T - subspace.u.mean(axis=0)[:, None]
    if 2 * s.size < n:
        return np.asarray(parameters + left @ (right @ parameters))
    return np.asarray((np.eye(n) + left @ right) @ parameters)


def move_tapered(parameters: Array, subspace: Subspace, innovation: Array, alpha: float, taper: Taper) -> Array:
    """The update (N, n_parameters) with each element of the gain times a weight.

    A gain that is tapered element by element (Chen and Oliver 2017, Localization and regularization for iterative
    ensemble smoothers, Computational Geosciences 21, 13-30) needs no covariance of all data, and a parameter whose
    weights are all zero stays as it is, to the last bit.
    """
    n, n_parameters = parameters.shape
    s = subspace.s
    basis = (subspace.u * (s / (s**2 + alpha))) @ subspace.vt
    data = subspace.anomalies
    moved = parameters.copy()
    size = max(BLOCK // max(innovation.shape[1], 1), 1)
    for begin in range(0, n_parameters, size):
        block = slice(begin, min(begin + size, n_parameters))
        a = (parameters[:, block] - parameters[:, block].mean(axis=0)) / np.sqrt(n - 1.0)
        weight = taper(block, a, data)
        if not weight.any():
            continue
        gain = a.T @ basis
        gain *= weight
        moved[:, block] += innovation @ gain.T
    return moved


def assimilate(
    parameters: Array,
    predicted: Array,
    observed: Array,
    noise: Array,
    alpha: float,
    z: Array,
    taper: Taper | None = None,
) -> Array:
    """One assimilation: the updated members (N, n_parameters).

    parameters: (N, n_parameters). predicted: (N, n_data). observed: (n_data,). noise: standard deviations (n_data,), or
    a root (n_data, n_data) of the covariance, lower triangular. alpha: of this assimilation. z: (N, n_data), see
    `perturbations`. taper: weights of the gain; None for all one.

    Raises ShapeError where the shapes do not fit.
    """
    if predicted.shape != (parameters.shape[0], observed.size) or z.shape != predicted.shape:
        raise ShapeError(
            f"{parameters.shape[0]} members and {observed.size} observations; predicted data are {predicted.shape} and "
            f"perturbations {z.shape}, expected {(parameters.shape[0], observed.size)}"
        )
    white = whitened(predicted, noise)
    subspace = Subspace.of(white)
    innovation = innovations(white, whitened(observed, noise), z, alpha)
    if taper is None:
        return move(parameters, subspace, innovation, alpha)
    return move_tapered(parameters, subspace, innovation, alpha, taper)
