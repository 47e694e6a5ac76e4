"""Random numbers that disturb what an ensemble already says as little as its size allows."""

import functools

import numpy as np
from scipy.linalg import lapack

from physics_twin.arrays import Array


def independent(z: Array, used: Array) -> Array:
    """Draws (n_members, m) of zero mean, made of standard normal z (n_members, m).

    Where there are enough members (more than m and the columns of `used` (n_members, k) together) their covariance is
    the unit matrix and they are uncorrelated with `used`, both exactly: noise that is added then gives P + Q and not
    a sample of it (second-order exact sampling, Pham 2001, Monthly Weather Review 129). With fewer members the
    covariance alone is exact, with fewer than m the mean alone.
    """
    n, m = z.shape
    z = z - z.mean(axis=0)
    if n - 1 < m:
        return z
    if n - 1 >= m + used.shape[1]:
        taken = np.linalg.qr(np.column_stack([np.ones(n), used]))[0]
        z = z - taken @ (taken.T @ z)
    q, r = np.linalg.qr(z)
    signs = np.where(np.diag(r) < 0.0, -1.0, 1.0)  # makes q a function of z, and evenly distributed
    return np.asarray(np.sqrt(n - 1.0) * signs * q)


def rotation(z: Array) -> Array:
    """A random rotation (n, n) of members that keeps their mean, made of standard normal z (n - 1, n - 1).

    Sakov and Oke (2008, section 5): Haar-distributed in the space of anomalies, the identity on the mean.
    """
    # as np.linalg.qr, in a third of its time for such small ones
    factors, tau, _, _ = lapack.dgeqrf(z)
    q, _, _ = lapack.dorgqr(factors, tau)
    q = q * np.where(factors.diagonal() < 0.0, -1.0, 1.0)
    basis = _anomalies(len(z) + 1)
    return np.asarray(basis @ q @ basis.T + 1.0 / len(basis))


@functools.lru_cache(maxsize=8)
def _anomalies(n: int) -> Array:
    """An orthonormal basis (n, n - 1) of what has zero mean over n members."""
    # Householder's reflection that maps the first axis to (1, ..., 1)/sqrt(n): its other columns
    v = np.full(n, -1.0 / np.sqrt(n))
    v[0] += 1.0
    basis = (np.eye(n) - 2.0 * np.outer(v, v) / (v @ v))[:, 1:]
    basis.flags.writeable = False
    return np.asarray(basis)
