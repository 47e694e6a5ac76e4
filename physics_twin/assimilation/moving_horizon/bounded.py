"""Bounded least squares by the dual active set method of Goldfarb and Idnani (1983), for few active bounds.

It begins at the minimum without bounds and takes in one violated bound after the other. Most windows of a plant have
none or one or two, so most solutions cost one triangular solve.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs

from physics_twin.arrays import Array
from physics_twin.errors import SolveError

_TIGHT = 1e-9  # a bound is violated by more than this share of its coordinate's posterior sd ...
_ROUNDING = 1e-13  # ... and of the coordinate
_DEPENDENT = 1e-8  # share of a normal that is left after projection: below it, it depends on the active ones


@dataclass(frozen=True, eq=False)
class Solution:
    """xi: (n_xi,); factor: (n_xi, n_xi) lower triangular, of I + J^T J."""

    xi: Array
    factor: Array


def factorized(jacobian: Array) -> Array:
    """Lower triangular Cholesky factor of I + J^T J."""
    hessian = jacobian.T @ jacobian
    hessian.flat[:: len(hessian) + 1] += 1.0
    factor, info = dpotrf(hessian, lower=1, clean=1)
    if info != 0:
        raise SolveError("the information of the samples is no finite number", time=np.nan)
    return np.asarray(factor)


def forward(factor: Array, right: Array, *, transposed: bool = False) -> Array:
    """C^-1 right, or C^-T right; factor C (n, n) lower triangular, right (n,) or (n, m)."""
    # LAPACK itself: the checks of scipy's wrapper cost more than these small systems.
    return np.asarray(dtrtrs(factor, right, lower=1, trans=int(transposed))[0])


def least_squares(jacobian: Array, residual: Array) -> Solution:
    """Minimum of |xi|^2 + |residual - J xi|^2; jacobian (n_samples, n_xi), residual (n_samples,)."""
    factor = factorized(jacobian)
    xi, _ = dpotrs(factor, jacobian.T @ residual, lower=1)
    return Solution(np.asarray(xi), factor)


def bounded(free: Solution, slopes: Array, offsets: Array, lower: Array, upper: Array) -> Array:
    """The minimum (n_xi,) with lower <= offsets + slopes xi <= upper.

    slopes: (n_rows, n_xi), offsets, lower, upper: (n_rows,), infinite where open. Raises SolveError where no xi meets
    all bounds.
    """
    value = offsets + slopes @ free.xi
    if ((value >= lower) & (value <= upper)).all():
        return free.xi
    # One-sided rows a xi >= b; in eta = C^T xi the Hessian is the identity and |C^-1 a| a posterior sd.
    below, above = np.isfinite(lower), np.isfinite(upper)
    a = np.vstack([slopes[below], -slopes[above]])
    b = np.concatenate([(lower - offsets)[below], (offsets - upper)[above]])
    size = np.abs(np.concatenate([lower[below], upper[above]])) + np.abs(
        np.concatenate([offsets[below], offsets[above]])
    )
    normals = forward(free.factor, a.T).T
    eta = _active_set(free.factor.T @ free.xi, normals, b, _ROUNDING * (1.0 + size))
    return forward(free.factor, eta, transposed=True)


def _active_set(start: Array, normals: Array, b: Array, slack: Array) -> Array:
    """Minimum of |eta - start|^2 with normals eta >= b; rows that hold within `slack` hold."""
    lengths = np.sqrt((normals**2).sum(axis=1))
    slack = slack + _TIGHT * lengths
    eta = start.copy()
    active: list[int] = []
    weights = np.zeros(0)
    for _ in range(50 * (len(b) + 1)):
        missing = b - normals @ eta - slack
        missing[active] = -np.inf
        p = int(np.argmax(missing / np.maximum(lengths, 1e-300)))
        if missing[p] <= 0.0:
            return eta
        gained = 0.0
        while True:
            basis = normals[active]
            share = np.linalg.lstsq(basis.T, normals[p], rcond=None)[0] if active else np.zeros(0)
            direction = normals[p] - share @ basis
            gain = float(direction @ direction)
            free = gain > (_DEPENDENT * lengths[p]) ** 2
            full = float(b[p] - normals[p] @ eta) / gain if free else np.inf
            leaving = np.flatnonzero(share > 1e-14)
            limits = weights[leaving] / share[leaving]
            first = float(limits.min()) if leaving.size else np.inf
            length = min(full, first)
            if not np.isfinite(length):
                raise SolveError("no trajectory of the window meets all bounds", time=np.nan)
            if free:
                eta = eta + length * direction
            weights = weights - length * share
            gained += length
            if full <= first:
                active.append(p)
                weights = np.append(weights, gained)
                break
            drop = int(leaving[np.argmin(limits)])
            del active[drop]
            weights = np.delete(weights, drop)
    raise SolveError("the bounds of the window were not resolved", time=np.nan)
