"""A first convex set between infeasible points: iterative regional inflation.

After Deits and Tedrake, "Computing large convex regions of obstacle-free space through semidefinite programming"
(Algorithmic Foundations of Robotics XI, 2015). Sides are laid through the obstacles that are nearest in the metric of
an ellipsoid, tangent to its blown-up copy; the largest ellipsoid inside the sides follows; and again, until it no
longer grows. Obstacles are single points here. Two things differ: the number of slanted sides is bounded (obstacles
left over are cut off by moving the side that has the shortest way), and the largest ellipsoid is found by sequential
quadratic programming in its Cholesky factor, a problem of at most twenty unknowns.
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize

from physics_twin.arrays import Array
from physics_twin.envelope.ranges.convex_set import ConvexSet

N_ROUNDS = 15
GROWN = 0.02
"""Growth of the ellipsoid's volume, as a share, below which the rounds end."""
FIRST_RADIUS = 0.01
GAP = 1e-9
"""A side stops this far before the obstacle that it keeps out."""


def inflated(seed: Array, obstacles: Array, n_sides: int) -> ConvexSet | None:
    """A large convex set around `seed` (d,) of the unit cube without `obstacles` (n, d) inside; None without room.

    n_sides: most slanted sides, beside the ranges of the settings.
    """
    d = seed.size
    factor, middle = FIRST_RADIUS * np.eye(d), seed
    best: ConvexSet | None = None
    size = -np.inf
    for _ in range(N_ROUNDS):
        body = _separated(factor, middle, obstacles, n_sides)
        if body.center is None:
            break
        factor, middle = largest_ellipsoid(body)
        grown = float(np.log(np.abs(np.diag(factor))).sum())
        if best is not None and grown <= size + GROWN:
            break
        best, size = body, grown
    return best


def _separated(factor: Array, middle: Array, obstacles: Array, n_sides: int) -> ConvexSet:
    """Sides that keep the obstacles out, the nearest first in the metric of the ellipsoid {factor z + middle}."""
    d = middle.size
    low, high = np.zeros(d), np.ones(d)
    normals, offsets = np.zeros((0, d)), np.zeros(0)
    inverse = np.linalg.inv(factor)
    order = np.argsort((((obstacles - middle) @ inverse.T) ** 2).sum(axis=1), kind="stable")
    rest = obstacles[order]
    while len(rest):
        point = rest[0]
        normal = inverse.T @ (inverse @ (point - middle))  # tangent to the blown-up ellipsoid at the obstacle
        length = float(np.linalg.norm(normal))
        if length == 0.0:  # the obstacle is the middle itself
            return ConvexSet(middle, middle, normals, offsets)
        normal = normal / length
        if len(normals) < n_sides:
            normals, offsets = np.concatenate([normals, normal[None]]), np.append(offsets, normal @ point - GAP)
        else:
            body = ConvexSet(low, high, normals, offsets)
            # Way of each side to the obstacle as a share of its way to the middle: what is lost by moving it.
            way = body.ends - body.matrix @ middle
            lost = (body.ends - body.matrix @ point) / np.where(way > 0.0, way, np.inf)
            lost = np.where(body.matrix @ (point - middle) > GAP, lost, np.inf)
            side = int(np.argmin(lost))
            if side < d:
                high = np.where(np.arange(d) == side, point - GAP, high)
            elif side < 2 * d:
                low = np.where(np.arange(d) == side - d, point + GAP, low)
            else:
                offsets = np.where(np.arange(len(offsets)) == side - 2 * d, normals @ point - GAP, offsets)
        rest = rest[ConvexSet(low, high, normals, offsets).contains(rest)]
    return ConvexSet(low, high, normals, offsets)


def largest_ellipsoid(body: ConvexSet) -> tuple[Array, Array]:
    """The largest ellipsoid {factor z + middle, |z| <= 1} inside a convex set; the factor (d, d) is lower triangular.

    Maximize log det(factor) with |factor' a| + a . middle <= b for every side (Boyd and Vandenberghe, Convex
    Optimization, section 8.4.2).
    """
    assert body.center is not None
    d, matrix, ends = body.d, body.matrix, body.ends
    rows, columns = np.tril_indices(d)
    diagonal = np.flatnonzero(rows == columns)
    radius = float(body.room(body.center[None])[0])
    x0 = np.concatenate([0.9 * radius * (rows == columns), body.center])

    def factor_of(x: Array) -> Array:
        factor = np.zeros((d, d))
        factor[rows, columns] = x[: len(rows)]
        return factor

    def cost(x: Array) -> tuple[float, Array]:
        gradient = np.zeros(len(x))
        gradient[diagonal] = -1.0 / x[diagonal]
        return -float(np.log(x[diagonal]).sum()), gradient

    def kept(x: Array) -> Array:
        return ends - matrix @ x[len(rows) :] - np.linalg.norm(matrix @ factor_of(x), axis=1)

    def kept_slope(x: Array) -> Array:
        reach = matrix @ factor_of(x)
        unit = reach / np.maximum(np.linalg.norm(reach, axis=1, keepdims=True), 1e-300)
        return np.column_stack([-matrix[:, rows] * unit[:, columns], -matrix])

    constraint: Any = {"type": "ineq", "fun": kept, "jac": kept_slope}  # the stubs know no dicts with slopes
    bounds = [(1e-3 * radius if i in diagonal else None, None) for i in range(len(rows))] + [(None, None)] * d
    found = minimize(
        cost, x0, jac=True, method="SLSQP", bounds=bounds, constraints=constraint, options={"maxiter": 60, "ftol": 1e-6}
    )
    x = found.x if np.isfinite(found.x).all() else x0
    return factor_of(x), x[len(rows) :]
