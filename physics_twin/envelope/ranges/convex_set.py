"""A convex polytope in the unit cube of the settings: ranges of single settings, and slanted sides across them.

Vertices come from the half-spaces (Qhull, Barber et al., ACM TOMS 22, 1996), the volume and the areas of the sides
from the hull of the vertices.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from scipy.optimize import linprog, minimize
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

from physics_twin.arrays import Array
from physics_twin.envelope.ranges.box import ROUNDING, Box

SMALLEST = 1e-7
"""Radius of the largest ball inside below which a set has no room, and distance at which vertices are one."""
ON_SIDE = 1e-7
"""Distance from a side within which a vertex lies on it."""


@dataclass(frozen=True, eq=False)
class ConvexSet:
    """Points u with low <= u <= high and normals @ u <= offsets."""

    low: Array
    """(d,)"""
    high: Array
    normals: Array
    """(n_slanted, d) outward, of unit length."""
    offsets: Array
    """(n_slanted,)"""
    inner: Array | None = None
    """A point that is probably inside: saves the search for one."""

    @classmethod
    def of_box(cls, box: Box) -> "ConvexSet":
        """A box as a set without slanted sides."""
        return cls(box.low, box.high, np.zeros((0, box.low.size)), np.zeros(0))

    @property
    def d(self) -> int:
        """Number of settings."""
        return int(self.low.size)

    @property
    def matrix(self) -> Array:
        """(2 d + n_slanted, d) outward normals of all sides: upper ends, lower ends, slanted sides."""
        one = np.eye(self.d)
        return np.concatenate([one, -one, self.normals])

    @property
    def ends(self) -> Array:
        """(2 d + n_slanted,) such that matrix @ u <= ends."""
        return np.concatenate([self.high, -self.low, self.offsets])

    def contains(self, points: Array, slack: float = 0.0) -> NDArray[np.bool_]:
        """(n,) which points lie inside."""
        return self.room(points) >= -slack

    def room(self, points: Array) -> Array:
        """(n,) distance to the nearest side, negative outside."""
        found: Array = (self.ends - points @ self.matrix.T).min(axis=1)
        return found

    def toward(self, point: Array, share: float) -> "ConvexSet":
        """The set shrunk about `point` to `share` of its widths."""
        at = self.normals @ point
        low, high = point + share * (self.low - point), point + share * (self.high - point)
        return ConvexSet(low, high, self.normals, at + share * (self.offsets - at))

    @cached_property
    def center(self) -> Array | None:
        """Middle of the largest ball inside, or the known inner point; None for a set without room."""
        if self.inner is not None and self.room(self.inner[None])[0] > 1e3 * SMALLEST:
            return self.inner
        cost = np.append(np.zeros(self.d), -1.0)
        found = linprog(
            cost,
            A_ub=np.column_stack([self.matrix, np.ones(len(self.ends))]),
            b_ub=self.ends,
            bounds=[(None, None)] * self.d + [(0.0, None)],
        )
        if found.x is None or found.x[-1] < SMALLEST:
            return None
        middle: Array = found.x[:-1]
        return middle

    @cached_property
    def vertices(self) -> Array:
        """(n_vertices, d); none for a set without room."""
        if self.d == 1:
            return np.array([self.low, self.high])
        if self.center is None:
            return np.zeros((0, self.d))
        halfspaces = np.column_stack([self.matrix, -self.ends])
        try:
            found = HalfspaceIntersection(halfspaces, self.center).intersections
        except QhullError:  # flatter than Qhull can tell from a point
            return np.zeros((0, self.d))
        found = found[np.isfinite(found).all(axis=1)]
        _, first = np.unique(np.round(found / SMALLEST), axis=0, return_index=True)
        ordered: Array = found[np.sort(first)]
        return ordered

    @cached_property
    def meeting(self) -> NDArray[np.bool_]:
        """(n_vertices, n_sides) which sides meet in which vertex."""
        met: NDArray[np.bool_] = self.ends - self.vertices @ self.matrix.T < ON_SIDE
        return met

    @cached_property
    def corner_sides(self) -> NDArray[np.int64]:
        """(n_vertices, d) independent sides that make each vertex; -1 where there are none."""
        found = np.full((len(self.vertices), self.d), -1, dtype=np.int64)
        for row, met in zip(found, self.meeting, strict=True):
            which = np.flatnonzero(met)
            if len(which) < self.d:
                continue
            _, r, order = qr(self.matrix[which].T, pivoting=True, mode="economic")
            if abs(r[-1, self.d - 1] if r.shape[1] == self.d else r[self.d - 1, self.d - 1]) > 1e-6:
                row[:] = np.sort(which[order[: self.d]])
        return found

    @cached_property
    def _hull(self) -> ConvexHull | None:
        if self.d < 2 or len(self.vertices) <= self.d:
            return None
        try:
            return ConvexHull(self.vertices)
        except QhullError:
            return None

    @property
    def volume(self) -> float:
        """Share of the unit cube."""
        if self.d == 1:
            return float(self.high[0] - self.low[0])
        return 0.0 if self._hull is None else float(self._hull.volume)

    @cached_property
    def areas(self) -> tuple[Array, Array]:
        """Area (n_sides,) of each side and its centroid (n_sides, d)."""
        area, moment = np.zeros(len(self.ends)), np.zeros((len(self.ends), self.d))
        if self._hull is None:
            return area, moment
        corners = self.vertices[self._hull.simplices]
        edges = corners[:, 1:] - corners[:, :1]
        gram = np.linalg.det(edges @ edges.transpose(0, 2, 1))
        pieces = np.sqrt(np.maximum(gram, 0.0)) / math.factorial(self.d - 1)
        side = (self._hull.equations[:, :-1] @ self.matrix.T).argmax(axis=1)
        np.add.at(area, side, pieces)
        np.add.at(moment, side, pieces[:, None] * corners.mean(axis=1))
        return area, moment / np.where(area > 0.0, area, 1.0)[:, None]

    def chord(self, point: Array, axis: int) -> tuple[float, float]:
        """Lowest and highest coordinate along `axis` inside the set, from `point` (d,), which lies in it."""
        low, high = float(self.low[axis]), float(self.high[axis])
        for normal, offset in zip(self.normals, self.offsets, strict=True):
            slope, room = float(normal[axis]), float(offset - normal @ point)
            if slope > 0.0:
                high = min(high, float(point[axis]) + room / slope)
            elif slope < 0.0:
                low = max(low, float(point[axis]) + room / slope)
        return min(low, float(point[axis])), max(high, float(point[axis]))

    def trimmed(self) -> "ConvexSet":
        """The same set without sides that nothing touches; ranges end where the set does."""
        if len(self.vertices) == 0:
            return self
        meeting = self.meeting[:, 2 * self.d :]
        _, first = np.unique(meeting, axis=1, return_index=True)  # two sides through the same vertices are one
        touched = np.zeros(meeting.shape[1], dtype=bool)
        touched[first] = meeting[:, first].sum(axis=0) >= self.d
        low = np.maximum(self.low, self.vertices.min(axis=0))
        high = np.minimum(self.high, self.vertices.max(axis=0))
        # Bounds of the cube are met exactly, not to the optimizer's last digit.
        low, high = np.where(low < ROUNDING, 0.0, low), np.where(high > 1.0 - ROUNDING, 1.0, high)
        return ConvexSet(low, high, self.normals[touched], self.offsets[touched])


def box_inside(body: ConvexSet) -> Box | None:
    """The largest box inside a convex set, to the optimizer's last digits: a convex problem in its two corners.

    A box keeps to a side where its worst corner does: normal+ . high + normal- . low <= offset.
    """
    if body.center is None:
        return None
    d, matrix, ends = body.d, body.matrix, body.ends
    worst = np.column_stack([np.minimum(matrix, 0.0), np.maximum(matrix, 0.0)])  # of (low, high)
    half = max(body.room(body.center[None])[0], SMALLEST) / math.sqrt(d) * 0.5
    x0 = np.concatenate([body.center - half, body.center + half])

    def log_widths(x: Array) -> tuple[float, Array]:
        widths = np.maximum(x[d:] - x[:d], 1e-12)
        return -float(np.log(widths).sum()), np.concatenate([1.0 / widths, -1.0 / widths])

    kept: Any = {"type": "ineq", "fun": lambda x: ends - worst @ x, "jac": lambda x: -worst}
    cost: Any = log_widths  # the stubs know neither values with slopes nor dicts of functions
    found = minimize(cost, x0, jac=True, method="SLSQP", constraints=kept, options={"maxiter": 200, "ftol": 1e-12})
    x = found.x if np.isfinite(found.x).all() else x0
    low, high = np.clip(x[:d], body.low, body.high), np.clip(x[d:], body.low, body.high)
    low = np.where(low - body.low < ROUNDING, body.low, np.minimum(low, high))
    high = np.where(body.high - high < ROUNDING, body.high, np.maximum(low, high))
    # The last digits of the optimizer may lie outside: the sides that no range ends are pulled in by as much.
    over = max(0.0, float((worst @ np.concatenate([low, high]) - ends).max())) * math.sqrt(d)
    middle = 0.5 * (low + high)
    low = np.where(low > body.low, np.minimum(low + over, middle), low)
    high = np.where(high < body.high, np.maximum(high - over, middle), high)
    return Box(low, high)
