"""The linearized window as least squares in whitened noises: everything else is eliminated.

Letters: z_k coordinates at moment k; z_0 = m + L xi_0 and z_{k+1} = F_k z_k + Q_k^(1/2) xi_k, xi standard normal. Then
every z_k = W_k (xi, 1), and the estimate minimizes |xi|^2 + |r - J xi|^2 with lower <= z_k <= upper. A variance of
zero gives no unknown at all, so equalities hold exactly, and the Hessian I + J^T J is never singular.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.moving_horizon.flow import Flow, Points
from physics_twin.assimilation.moving_horizon.transcription import Linearized
from physics_twin.assimilation.moving_horizon.window import Window

Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Condensed:
    """moments: (M, n + q + 1, n_xi + 1) W_k; elements: (E, n + q + 1, n_xi + 1) the same at their beginnings."""

    moments: Array
    elements: Array

    @property
    def n_unknowns(self) -> int:
        """How many noises."""
        return int(self.moments.shape[2]) - 1


def condensed(window: Window, linear: Linearized) -> Condensed:
    """All moments and elements as affine functions of the noises."""
    count, size = window.points.shape
    counts = np.bincount(window.elements.interval.astype(np.int64), minlength=count - 1)
    noisy = [np.flatnonzero(row) for row in window.variance]
    n_xi = size + sum(len(row) for row in noisy)
    moments = np.zeros((count, size + 1, n_xi + 1))
    elements = np.zeros((len(linear.maps), size + 1, n_xi + 1))
    moments[0, :size, :size] = window.root
    moments[0, :size, -1] = window.mean
    moments[0, size, -1] = 1.0
    e, column = 0, size
    for k in range(count - 1):
        at = moments[k]
        for _ in range(counts[k]):
            elements[e] = at
            at = linear.maps[e] @ at
            e += 1
        moments[k + 1] = at
        rows = noisy[k]
        if len(rows):
            columns = np.arange(column, column + len(rows))
            moments[k + 1, rows, columns] = np.sqrt(window.variance[k, rows])
            column += len(rows)
    return Condensed(moments, elements)


@dataclass(frozen=True, eq=False)
class Rows:
    """Samples linearized: (n_samples, n_xi) J and (n_samples,) r, whitened by the noise of the samples."""

    jacobian: Array
    residual: Array

    def joined(self, other: "Rows") -> "Rows":
        """These samples and then the others."""
        return Rows(np.vstack([self.jacobian, other.jacobian]), np.append(self.residual, other.residual))


@dataclass(frozen=True, eq=False)
class Tangents:
    """Outputs at moments of a window: values (n_moments, n_y) SI, slopes (n_moments, n_y, n + q), z solved there."""

    values: Array
    slopes: Array
    z: Array


def tangents(flow: Flow, window: Window, moments: Array, fixed: Array) -> Tangents:
    """Outputs and their derivatives at some moments of the trajectory; raises SolveError."""
    k = moments.astype(np.int64)
    points = window.points[k]
    at = Points(window.times[k], points[:, : flow.n], points[:, flow.n :], window.z[k], window.known[k])
    found = flow.output(at, fixed)
    return Tangents(found.value, np.concatenate([found.by_x, found.by_theta], axis=2), found.z)


def sample_rows(whole: Condensed, window: Window, tangent: Tangents, at: Positions, which: Positions) -> Rows:
    """The samples `which` (positions), whose moments are the rows `at` of the tangents."""
    moment = window.sample_moment[which].astype(np.int64)
    row = window.sample_row[which].astype(np.int64)
    slope = tangent.slopes[at, row]
    offset = tangent.values[at, row] - (slope * window.points[moment]).sum(axis=1)
    size = slope.shape[1]
    predicted = (slope[:, None, :] @ whole.moments[moment, :size])[:, 0]
    sd = np.sqrt(window.sample_variance[which])
    residual = (window.sample_value[which] - offset - predicted[:, -1]) / sd
    return Rows(predicted[:, :-1] / sd[:, None], residual)
