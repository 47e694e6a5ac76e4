"""Functions for `mapped`: curves of a parameter in [0, 1], and blocks between curves or corners."""

from collections.abc import Callable, Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError
from physics_twin.fem.mesh.lengths import angle
from physics_twin.units import QuantityLike

type Curve = Callable[[Array], tuple[Array, Array]]
"""A function of (n,) parameters in [0, 1] that returns (n,) x and (n,) y."""


def line(start: Sequence[float], end: Sequence[float]) -> Curve:
    """Return the straight line from `start` to `end`, both (x, y) in the unit of `mapped`."""
    (x0, y0), (x1, y1) = start, end
    return lambda s: (x0 + (x1 - x0) * s, y0 + (y1 - y0) * s)


def arc(
    radius: float | Sequence[float],
    start: QuantityLike,
    end: QuantityLike,
    *,
    center: Sequence[float] = (0.0, 0.0),
) -> Curve:
    """Return an arc about `center`; angles such as "0 deg" run from the x axis towards y.

    radius: one number, or two half-axes (a, b): then the angle is the parameter of x = a cos, y = b sin.
    """
    a, b = (radius, radius) if isinstance(radius, int | float) else radius
    first, last = angle(start, "start"), angle(end, "end")
    x0, y0 = center

    def place(s: Array) -> tuple[Array, Array]:
        phi = first + (last - first) * s
        return x0 + a * np.cos(phi), y0 + b * np.sin(phi)

    return place


def between(inner: Curve, outer: Curve) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Return the block whose xi runs along two curves and whose eta goes straight from `inner` to `outer`.

    In `mapped` the boundary bottom is the inner curve, top the outer one, left and right where the curves begin and
    end.
    """

    def place(xi: Array, eta: Array) -> tuple[Array, Array]:
        (x0, y0), (x1, y1) = inner(xi), outer(xi)
        return (1.0 - eta) * x0 + eta * x1, (1.0 - eta) * y0 + eta * y1

    return place


def corners(*points: Sequence[float]) -> Callable[..., tuple[Array, ...]]:
    """Return the block with straight edges between 4 corners (x, y) or 8 corners (x, y, z).

    The corners go around: xi runs from the first to the second, eta from the first to the last; in 3-D the four of
    the bottom, then the four above them. Numbers are in the unit of `mapped`.
    """
    given = np.array(points, dtype=np.float64)
    if given.shape not in ((4, 2), (8, 3)):
        raise ShapeError(f"4 corners (x, y) or 8 corners (x, y, z) are expected, not an array of shape {given.shape}")
    dimension = given.shape[1]
    low_high = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    if dimension == 3:
        low_high = np.array([[*xy, z] for z in (0, 1) for xy in low_high.tolist()])

    def place(*xi: Array) -> tuple[Array, ...]:
        weights = np.ones((len(xi[0]), len(given)))
        for axis in range(dimension):
            weights *= np.where(low_high[:, axis], xi[axis][:, None], 1.0 - xi[axis][:, None])
        return tuple((weights @ given).T)

    return place
