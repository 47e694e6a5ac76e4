"""What the samples before the window said, and roots of covariances.

When a moment leaves the window, its samples are taken in by one Kalman update and carried over its step, both
linearized at the trajectory of the window: the square-root arrival cost of Kuehl et al. (2011, Computers and Chemical
Engineering 35), the filtered one of Rao, Rawlings and Lee (2001, Automatica 37). It is exact for a linear model and
counts no sample twice. Bounds have no part in it: a Gaussian has none.

Coordinates that are considered and not updated (a frozen twin's parameters) keep mean and variance, while their
covariance with the others follows the samples: the filter of Schmidt (1966).
"""

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.gaussian import lower_root
from physics_twin.assimilation.moving_horizon.bounded import factorized, forward, least_squares


def posterior_root(slopes: Array, jacobian: Array, factor: Array, updated: NDArray[np.bool_]) -> Array:
    """Root of the covariance of slopes xi after samples; slopes (n, n_xi), jacobian (n_samples, n_xi).

    factor: of I + J^T J. Considered rows keep their prior variance slopes slopes^T.
    """
    root = forward(factor, slopes.T).T
    if updated.all() or not len(jacobian):
        return lower_root(root)
    # I - (I + J^T J)^-1 = J^T (I + J J^T)^-1 J is what the samples took away; considered rows get it back.
    taken = forward(factorized(jacobian.T), jacobian)
    back = np.where(updated[:, None], 0.0, slopes @ taken.T)
    return lower_root(np.hstack([root, back]))


def taken_in(mean: Array, root: Array, slopes: Array, misses: Array, updated: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Mean and root after the samples of one moment: the arrays' form of a Kalman update.

    slopes: (n_samples, n) of the whitened outputs by the coordinates; misses: (n_samples,) at the mean, whitened.
    """
    if not len(misses):
        return mean, root
    jacobian = slopes @ root
    solution = least_squares(jacobian, misses)
    moved = np.where(updated, mean + root @ solution.xi, mean)
    return moved, posterior_root(root, jacobian, solution.factor, updated)


def carried(mean: Array, root: Array, maps: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and root at the end of a step; maps (n_elements, n + 1, n + 1) affine, one after the other."""
    size = mean.size
    whole = np.eye(size + 1)
    for one in maps:
        whole = one @ whole
    noisy = np.flatnonzero(variance)
    noise = np.zeros((size, len(noisy)))
    noise[noisy, np.arange(len(noisy))] = np.sqrt(variance[noisy])
    end = whole[:size, :size] @ mean + whole[:size, size]
    return end, lower_root(np.hstack([whole[:size, :size] @ root, noise]))
