"""The analysis of an ensemble Kalman filter, on arrays.

Letters, after Hunt, Kostelich and Szunyogh (2007, Efficient data assimilation for spatiotemporal chaos: a local
ensemble transform Kalman filter, Physica D 230) and Sakov and Oke (2008, Implications of the form of the ensemble
transformation in the ensemble square root filters, Monthly Weather Review 136), with members in rows:

    A (N, m)  anomalies of the coordinates, of zero mean      N   members
    S (N, p)  anomalies of the predicted observations, R^-1/2 Y / sqrt(N - 1)
    d (p,)    innovation of the mean, R^-1/2 (y - mean)       D   (N, p) perturbations of the observations, R^-1/2 eps

    mean   x + A^T S (I + S^T S)^-1 d / sqrt(N - 1)
    A'     (I + S S^T)^-1/2 A                                            symmetric square root
    A'     A + (D - sqrt(N - 1) S) (I + S^T S)^-1 S^T A / sqrt(N - 1)    perturbed observations

The symmetric root leaves the mean of the anomalies zero and moves members as little as possible. Everything is formed
in the smaller of the spaces of members and of observations. Leading axes are analyses of their own.
"""

import numpy as np

from physics_twin.arrays import Array

SHARP = 1e6
"""Signal to noise from which squaring S would cost digits of what the other sensors say (1e-16 times it)."""


def analysis(a: Array, s: Array, d: Array, perturbations: Array | None = None) -> tuple[Array, Array]:
    """Shift of the mean (..., m) and new anomalies (..., N, m), of A (..., N, m), S (..., N, p) and d (..., p).

    perturbations: D (..., N, p); without it the symmetric square root.
    """
    n, p = s.shape[-2:]
    root = np.sqrt(n - 1.0)
    variance, basis = _spectrum(s)
    if p <= n:
        heard = _t(basis) @ (_t(s) @ a)  # (..., p, m)
        weights = _row(d, basis) / (1.0 + variance)
        shift = _row(weights, heard) / root
        if perturbations is None:
            total = np.sqrt(1.0 + variance)
            # ((1 + v)^-1/2 - 1) / v without cancellation, and finite at v = 0
            factor = -1.0 / (total * (1.0 + total))
            return shift, a + (s @ basis) @ (factor[..., None] * heard)
        heard = heard / (1.0 + variance)[..., None]
        return shift, a + ((perturbations - root * s) @ basis) @ heard / root
    heard = _t(basis) @ a  # (..., N, m)
    weights = _row(_row(d, _t(s)), basis) / (1.0 + variance)
    shift = _row(weights, heard) / root
    if perturbations is None:
        return shift, basis @ (heard / np.sqrt(1.0 + variance)[..., None])
    heard = heard / (1.0 + variance)[..., None]
    return shift, a + ((perturbations - root * s) @ (_t(s) @ basis)) @ heard / root


def _spectrum(s: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of S^T S (..., p, p) or S S^T (..., N, N), whichever is smaller."""
    n, p = s.shape[-2:]
    variance, basis = np.linalg.eigh(_t(s) @ s if p <= n else s @ _t(s))
    if variance[..., -1:].max(initial=0.0) > SHARP:
        left, singular, right = np.linalg.svd(s, full_matrices=False)
        return singular**2, _t(right) if p <= n else left
    return np.maximum(variance, 0.0), basis


def _t(matrix: Array) -> Array:
    return matrix.swapaxes(-1, -2)


def _row(vector: Array, matrix: Array) -> Array:
    """vector (..., k) times matrix (..., k, l)."""
    return (vector[..., None, :] @ matrix)[..., 0, :]
