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
    firsts = np.searchsorted(window.elements.interval, np.arange(count)).tolist()
    step, row = np.nonzero(window.variance)
    n_xi = size + len(step)
    moments = np.zeros((count, size + 1, n_xi + 1))
    elements = np.empty((len(linear.maps), size + 1, n_xi + 1))
    moments[0, :size, :size] = window.root
    moments[0, :size, -1] = window.mean
    moments[0, size, -1] = 1.0
    # Noises first, where they come in; what is carried from the moment before is added on the way.
    moments[step + 1, row, np.arange(size, n_xi)] = np.sqrt(window.variance[step, row])
    for k in range(count - 1):
        at = moments[k]
        for e in range(firsts[k], firsts[k + 1]):
            elements[e] = at
            at = linear.maps[e] @ at
        moments[k + 1] += at
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
    found = flow.output(Points(window.times[k], window.points[k], window.z[k], window.known[k]), fixed)
    return Tangents(found.value, found.slope, found.z)


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
