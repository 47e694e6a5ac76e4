"""Roots of covariances from informations, finite also where nothing is known."""

import numpy as np

from physics_twin.arrays import Array

WIDEST = 5.0
"""Standard deviation, in widths of the bounds, that an unknown which nothing determines may have: even over them."""
LOOSEST = 100.0
"""The same for unknowns without bounds, in modest changes."""


def widest_sd(down: Array, up: Array) -> Array:
    """(d,) widest standard deviation of each unknown: the even distribution over bounds, or something finite."""
    width = up - down
    return np.where(np.isfinite(width), WIDEST * width, LOOSEST)


def inverse_root(a: Array, widest: Array) -> Array:
    """C with C C^T = A^{-1} for each a (n, d, d), with no standard deviation beyond `widest`.

    Directions that carry information are unchanged to rounding: only eigenvalues below one, in units of the widest,
    are lifted.
    """
    scaled = a * np.outer(widest, widest)
    # Equilibrated, so that a rate of 1e-5 beside a temperature of 1e3 does not cost digits.
    diagonal = np.sqrt(np.maximum(np.einsum("nii->ni", scaled), 1.0))
    values, vectors = np.linalg.eigh(scaled / (diagonal[:, :, None] * diagonal[:, None, :]))
    if (values[:, 0] < 1e-9).any():
        # Nearly singular somewhere: lift there, in the plain scale.
        values, vectors = np.linalg.eigh(scaled)
        values = np.maximum(values, 1.0)
        inverse = np.einsum("nij,nj,nkj->nik", vectors, 1.0 / values, vectors) * np.outer(widest, widest)
    else:
        inner = np.einsum("nij,nj,nkj->nik", vectors, 1.0 / values, vectors)
        inverse = inner / (diagonal[:, :, None] * diagonal[:, None, :]) * np.outer(widest, widest)
    # A root that changes smoothly from draw to draw, so that the correction for correlation fits all of them.
    scale = np.sqrt(np.einsum("nii->ni", inverse))
    unit = inverse / (scale[:, :, None] * scale[:, None, :])
    values, vectors = np.linalg.eigh(unit)
    half = np.einsum("nij,nj,nkj->nik", vectors, np.sqrt(np.maximum(values, 0.0)), vectors)
    return np.asarray(scale[:, :, None] * half)


def symmetric_root(m: Array) -> Array:
    """The symmetric root of a positive semidefinite matrix (d, d)."""
    values, vectors = np.linalg.eigh(m)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
