"""Sigma points: drawn around a mean, gathered into moments, replaced where they fail."""

import math
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.gaussian import lower_root
from physics_twin.errors import SolveError
from physics_twin.model import Failure


@dataclass(frozen=True)
class Weights:
    """Of 2 n + 1 sigma points: the center, then n above, then n below.

    reach: distance of the points from the center in columns of the root. mean, covariance: of each point; they differ
    at the center only.
    """

    reach: float
    mean_center: float
    covariance_center: float
    side: float


def sigma_points(belief: Belief, root: Array, weights: Weights, coordinates: Coordinates) -> tuple[Array, Array, Array]:
    """Sigma points (2 n + 1, n) in coordinates, and their states and parameters, SI, clipped into the bounds."""
    z = coordinates.of_members(belief.states, belief.parameters)[0]
    columns = weights.reach * root.T
    points = np.concatenate([z[None], z + columns, z - columns])
    low, high = np.minimum(coordinates.lower, z), np.maximum(coordinates.upper, z)
    clipped = np.minimum(np.maximum(points, low), high)
    states, parameters = coordinates.to_members(clipped, belief.states)
    states[0], parameters[0] = belief.states[0], belief.parameters[0]
    return points, states, parameters


def moments_of(values: Array, weights: Weights) -> tuple[Array, Array]:
    """Weighted mean (m,) of values (2 n + 1, m), and deviations from it; summed from the center, where digits are."""
    mean = values[0] + weights.side * (values[1:] - values[0]).sum(axis=0)
    return mean, values - mean


def product_of(left: Array, right: Array, weights: Weights) -> Array:
    """Weighted sum over the points of left right^T."""
    sides = weights.side * (left[1:].T @ right[1:])
    return np.asarray(sides + weights.covariance_center * (left[0][:, None] * right[0]), dtype=float)


def root_of_points(deviations: Array, weights: Weights, noise: Array, time: float) -> Array:
    """Root of the weighted covariance of deviations (2 n + 1, n) plus noise noise^T; noise (n, m)."""
    factors = [math.sqrt(weights.side) * deviations[1:].T, noise]
    center = math.sqrt(abs(weights.covariance_center)) * deviations[0]
    if weights.covariance_center >= 0.0:
        return lower_root(np.concatenate([center[:, None], *factors], axis=1))
    return _downdated(lower_root(np.concatenate(factors, axis=1)), center, time)


def _downdated(root: Array, vector: Array, time: float) -> Array:
    """Root of L L^T - v v^T = L (I - w w^T) L^T with w = L^-1 v; raises SolveError where that is not positive."""
    try:
        w = np.linalg.solve(root, vector)
        inner = np.linalg.cholesky(np.eye(w.size) - np.outer(w, w))
    except np.linalg.LinAlgError:
        raise SolveError(
            "the covariance of the sigma points lost its positive definiteness; take alpha of 0.6 or more",
            time=time,
        ) from None
    return np.asarray(root @ inner, dtype=float)


def replace_failed(z: Array, ends: Array, points: Array, failures: tuple[Failure, ...], time: float) -> Array:
    """Fill the rows of z that failed, in place; returns the end state that the mean goes on with.

    z: (2 n + 1, m) what was carried; points: (2 n + 1, m) where it came from. A point is mirrored from its opposite;
    where both failed, the pair keeps the distance from the center that it had. Raises SolveError where all failed.
    """
    center: Array = ends[0]
    if not failures:
        return center
    failed = {failure.member for failure in failures}
    n = (len(z) - 1) // 2
    kept = [k for k in range(len(z)) if k not in failed]
    if not kept:
        raise SolveError(f"every sigma point failed; the first: {failures[0].reason}", time=failures[0].time)
    center = ends[kept[0]]
    if 0 in failed:
        whole = [0.5 * (z[k] + z[k + n]) for k in range(1, n + 1) if k not in failed and k + n not in failed]
        z[0] = np.mean(whole, axis=0) if whole else z[kept].mean(axis=0)
    for k in sorted(failed - {0}):
        opposite = k + n if k <= n else k - n
        z[k] = 2.0 * z[0] - z[opposite] if opposite not in failed else z[0] + (points[k] - points[0])
    if not np.isfinite(z).all():
        raise SolveError("a sigma point came back with a number that is not finite", time=time)
    return center
