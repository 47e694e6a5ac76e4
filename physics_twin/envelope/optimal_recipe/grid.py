"""Elements in time, Radau points in them, and the matrices of collocation.

Everything is in shares of the run, so that a free duration only scales it.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import roots_jacobi

from physics_twin.arrays import Array

SAME = 1e-9
"""Shares of the run that differ by less are the same moment."""


@dataclass(frozen=True, eq=False)
class Grid:
    """n elements with K points each; the last point of an element is its end."""

    edges: Array
    """(n + 1,) shares of the run, from 0 to 1."""
    points: Array
    """(K,) of (0, 1]."""
    differences: Array
    """(K, K + 1): slopes at the points from the values at 0 and at the points."""
    weights: Array
    """(K,) of the Radau quadrature, exact to degree 2 K - 2."""

    @property
    def n(self) -> int:
        """Elements."""
        return self.edges.size - 1

    @property
    def widths(self) -> Array:
        """(n,) shares of the run."""
        return np.diff(self.edges)

    @property
    def shares(self) -> Array:
        """(n, K) moments of the points, shares of the run."""
        found: Array = self.edges[:-1, None] + self.widths[:, None] * self.points
        found[:, -1] = self.edges[1:]
        return found

    @property
    def middles(self) -> Array:
        """(n, K): for each point, the middle of its element."""
        return np.repeat(0.5 * (self.edges[:-1] + self.edges[1:])[:, None], self.points.size, axis=1)


def make_grid(corners: Sequence[float], elements: int, degree: int) -> Grid:
    """Elements between all `corners` (shares of the run), about equally wide, at least `elements` of them."""
    found = [0.0]
    for corner in [*sorted(corners), 1.0]:
        if corner > found[-1] + SAME and corner < 1.0 - SAME:
            found.append(float(corner))
    found.append(1.0)
    edges = [0.0]
    for left, right in itertools.pairwise(found):
        parts = max(1, int(np.ceil((right - left) * elements - 1e-6)))
        edges += [left + (right - left) * (k + 1) / parts for k in range(parts - 1)] + [right]
    points, differences, weights = radau(degree)
    return Grid(np.array(edges), points, differences, weights)


def radau(degree: int) -> tuple[Array, Array, Array]:
    """Radau IIA points (K,), differentiation matrix (K, K + 1) and weights (K,) on the unit interval.

    Hairer and Wanner, Solving Ordinary Differential Equations II (1996), section IV.5.
    """
    inner = roots_jacobi(degree - 1, 1.0, 0.0)[0] if degree > 1 else np.zeros(0)
    points = np.append(np.sort(0.5 * (1.0 + inner)), 1.0)
    nodes = np.append(0.0, points)
    differences = np.empty((degree, degree + 1))
    weights = np.empty(degree)
    for j in range(degree + 1):
        others = np.delete(nodes, j)
        lagrange = np.poly1d(others, r=True) / np.prod(nodes[j] - others)
        differences[:, j] = np.polyder(lagrange)(points)
    for j in range(degree):
        others = np.delete(points, j)
        lagrange = np.poly1d(others, r=True) / np.prod(points[j] - others)
        weights[j] = np.polyint(lagrange)(1.0)
    return points, differences, weights
