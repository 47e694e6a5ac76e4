"""Solving the window: Gauss-Newton on the collocation equations, to convergence or a fixed number of iterations.

Each iteration linearizes the trajectory, condenses it to bounded least squares and moves all points and nodes at once
(multiple shooting with lifted nodes: Bock 1983, Albersmeyer and Diehl 2010). The real-time iteration (Diehl et al.
2005; Kuehl et al. 2011) does everything that needs no new sample in the prediction; a sample then costs one least
squares. The converged mode adds a line search on the l1 merit function (Nocedal and Wright 2006, section 18.3) and
checks what it returns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import lstsq

from physics_twin.arrays import Array
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.moving_horizon.bounded import Solution, bounded, forward, least_squares
from physics_twin.assimilation.moving_horizon.condensing import (
    Condensed,
    Rows,
    Tangents,
    condensed,
    sample_rows,
    tangents,
)
from physics_twin.assimilation.moving_horizon.flow import Flow
from physics_twin.assimilation.moving_horizon.transcription import Linearized, linearized, with_nodes
from physics_twin.assimilation.moving_horizon.window import Window
from physics_twin.errors import BoundsError, SolveError

_ARMIJO = 1e-4
_SMALLEST_STEP = 2.0**-16
_ROUNDING = 1e-11  # of the merit function
_CLOSED = 1e-8  # of the equations of the window, in scales of the states, when it has converged


@dataclass(frozen=True)
class RealTimeIteration:
    """A fixed number of Gauss-Newton iterations to each set of samples.

    The window lags behind the converged one by an iteration or two; between samples it catches up.
    """

    iterations: int = 1

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise BoundsError(f"RealTimeIteration: iterations = {self.iterations}; at least 1")


@dataclass(frozen=True)
class Converged:
    """Gauss-Newton iterations until a step is below `tolerance` posterior standard deviations.

    More than `most_iterations` are a failure, never a result.
    """

    tolerance: float = 1e-6
    most_iterations: int = 50

    def __post_init__(self) -> None:
        if not 0.0 < self.tolerance < 1.0 or self.most_iterations < 1:
            raise BoundsError(
                f"Converged: tolerance = {self.tolerance:g} and most_iterations = {self.most_iterations}; a tolerance "
                "between 0 and 1 standard deviation and at least one iteration"
            )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A window linearized around its trajectory, before or after its last samples.

    moments: (n_rows,) where `tangent` holds outputs: all with samples, and the last. rows: the samples so far.
    """

    linear: Linearized
    whole: Condensed
    moments: Array
    tangent: Tangents
    rows: Rows

    def arrays(self) -> dict[str, Array]:
        """By name."""
        lin, tan = self.linear, self.tangent
        return {
            "maps": lin.maps,
            "nodes": lin.nodes,
            "residual": lin.residual,
            "node_z": lin.z,
            "whole_moments": self.whole.moments,
            "whole_elements": self.whole.elements,
            "moments": self.moments,
            "values": tan.values,
            "slopes": tan.slopes,
            "moment_z": tan.z,
            "jacobian": self.rows.jacobian,
            "misfit": self.rows.residual,
        }

    @classmethod
    def of(cls, a: Mapping[str, Array]) -> "Prepared":
        """From arrays by name."""
        return cls(
            Linearized(a["maps"], a["nodes"], a["residual"], a["node_z"]),
            Condensed(a["whole_moments"], a["whole_elements"]),
            a["moments"],
            Tangents(a["values"], a["slopes"], a["moment_z"]),
            Rows(a["jacobian"], a["misfit"]),
        )

    def sampled(self, window: Window) -> "Prepared":
        """With the rows of the samples that the window has got since."""
        have = len(self.rows.residual)
        which = np.arange(have, len(window.sample_row))
        at = np.full(len(which), len(self.moments) - 1)
        return replace(self, rows=self.rows.joined(sample_rows(self.whole, window, self.tangent, at, which)))


def prepared(flow: Flow, window: Window, fixed: Array, linear: Linearized | None = None) -> Prepared:
    """Linearize the window where it stands; `linear`, if given, is that of its elements. Raises SolveError."""
    lin = linearized(flow, window.elements, window.points, fixed) if linear is None else linear
    whole = condensed(window, lin)
    last = float(window.n_moments - 1)
    ascending = np.append(window.sample_moment, last)
    fresh = np.append(True, ascending[1:] > ascending[:-1])
    moments, at = ascending[fresh], np.cumsum(fresh) - 1
    tangent = tangents(flow, window, moments, fixed)
    rows = sample_rows(whole, window, tangent, at[:-1], np.arange(len(at) - 1))
    return Prepared(lin, whole, moments, tangent, rows)


@dataclass(frozen=True, eq=False)
class Moved:
    """Where an iteration wants to go: noises, points (M, n + q) and nodes (E, d, n); `free` without bounds."""

    xi: Array
    points: Array
    x: Array
    free: Solution


def iterated(window: Window, at: Prepared, coordinates: Coordinates) -> Moved:
    """The bounded least squares of a linearized window; raises SolveError."""
    free = least_squares(at.rows.jacobian, at.rows.residual)
    moments, size = at.whole.moments, coordinates.n
    low, high = coordinates.lower, coordinates.upper
    limited = np.flatnonzero(np.isfinite(low) | np.isfinite(high))
    xi = free.xi
    if not np.isfinite(xi).all():
        raise SolveError("the estimate is not a finite number", time=float(window.times[-1]))
    if limited.size:
        slopes, m = moments[:, limited], len(moments)
        slopes = slopes.reshape(-1, slopes.shape[2])
        try:
            xi = bounded(free, slopes[:, :-1], slopes[:, -1], np.tile(low[limited], m), np.tile(high[limited], m))
        except SolveError as error:
            raise SolveError(error.reason, time=float(window.times[-1])) from None
    one = np.append(xi, 1.0)
    points = np.minimum(np.maximum(moments[:, :size] @ one, low), high)
    nodes = (at.linear.nodes @ (at.whole.elements @ one)[:, :, None])[:, :, 0]
    if not (np.isfinite(points).all() and np.isfinite(nodes).all()):
        raise SolveError("the estimate is not a finite number", time=float(window.times[-1]))
    return Moved(xi, points, nodes.reshape(window.elements.x.shape), free)


@dataclass(frozen=True, eq=False)
class Solved:
    """The window at its estimate, the least squares that gave it and its linearization."""

    window: Window
    at: Prepared
    solution: Solution


def solve(
    how: "RealTimeIteration | Converged", flow: Flow, window: Window, first: Prepared, fixed: Array, c: Coordinates
) -> Solved:
    """The estimate over the window whose linearization is `first`; raises SolveError."""
    if isinstance(how, Converged):
        return _converged(how, flow, window, first, fixed, c)
    at = first
    for k in range(how.iterations):
        at = at if k == 0 else prepared(flow, window, fixed)
        moved = iterated(window, at, c)
        window = _placed(window, at, moved.points, moved.x)
    return Solved(window, at, moved.free)


def _placed(window: Window, at: Prepared, points: Array, x: Array) -> Window:
    """The window on another trajectory, with the algebraic variables of the last linearization as guesses."""
    z = window.z.copy()
    z[at.moments.astype(np.int64)] = at.tangent.z
    return replace(window, points=points, z=z, elements=with_nodes(window.elements, x, at.linear.z))


@dataclass(frozen=True, eq=False)
class _Standing:
    """A trajectory with its noises (n_xi,), and how good it is.

    misfit: (n_samples,) whitened, of the trajectory itself; slopes: (n_samples, n + q) by its points. cost: half of
    what is minimized. miss: what is left of the equations, summed.
    """

    window: Window
    at: Prepared
    xi: Array
    misfit: Array
    slopes: Array
    cost: float
    miss: float


def _standing(window: Window, at: Prepared, xi: Array) -> _Standing:
    where = np.searchsorted(at.moments, window.sample_moment)
    row = window.sample_row.astype(np.int64)
    sd = np.sqrt(window.sample_variance)
    misfit = (window.sample_value - at.tangent.values[where, row]) / sd
    return _Standing(
        window,
        at,
        xi,
        misfit,
        at.tangent.slopes[where, row] / sd[:, None],
        0.5 * float(xi @ xi + misfit @ misfit),
        float(np.abs(_misses(window, at.linear, xi)).sum()),
    )


def _converged(how: Converged, flow: Flow, window: Window, first: Prepared, fixed: Array, c: Coordinates) -> Solved:
    here, penalty, size = _standing(window, first, _noises(window)), 1.0, np.inf
    for _ in range(how.most_iterations):
        moved = iterated(here.window, here.at, c)
        before, size = size, float(np.linalg.norm(moved.free.factor.T @ (moved.xi - here.xi)))
        # Gauss-Newton steps shrink by a constant ratio, and what is still missing is a fraction of the last one.
        missing = size * min(1.0, size / before) if np.isfinite(before) else size
        if missing <= how.tolerance and _closed(flow, here, moved, fixed):
            return Solved(_between(here.window, here.at, moved, 1.0), here.at, moved.free)
        slope, curvature = _slope(here, moved)
        if here.miss > 0.0:
            penalty = max(penalty, 2.0 * (slope + 0.5 * curvature) / here.miss)
        here = _line_search(flow, here, moved, penalty, slope - penalty * here.miss, fixed)
    raise SolveError(
        f"the estimate over the window has not converged in {how.most_iterations} iterations; its last step was "
        f"{size:.2g} posterior standard deviations. Try a shorter horizon, a tighter prior, or RealTimeIteration",
        time=float(window.times[-1]),
    )


def _line_search(flow: Flow, here: _Standing, moved: Moved, penalty: float, descent: float, fixed: Array) -> _Standing:
    """Where the largest share of the step leads that is an advance; raises SolveError where none is."""
    now = here.cost + penalty * here.miss
    length = 1.0
    while length >= _SMALLEST_STEP:
        xi = here.xi + length * (moved.xi - here.xi)
        window = _between(here.window, here.at, moved, length)
        try:
            there = _standing(window, prepared(flow, window, fixed), xi)
        except SolveError:
            there = None
        if there is not None:
            value = there.cost + penalty * there.miss
            if value <= now + _ARMIJO * length * descent + _ROUNDING * (1.0 + abs(now)):
                return there
        length *= 0.5
    raise SolveError(
        "the estimate over the window found no way down; the model may not be smooth there, or the prior is far from "
        "the samples",
        time=float(here.window.times[-1]),
    )


def _between(window: Window, at: Prepared, moved: Moved, length: float) -> Window:
    if length == 1.0:  # not a rounding away from its bounds
        return _placed(window, at, moved.points, moved.x)
    points = window.points + length * (moved.points - window.points)
    x = window.elements.x + length * (moved.x - window.elements.x)
    return _placed(window, at, points, x)


def _gaps(window: Window) -> Array:
    """(M - 1, n + q): by how much each point misses the end of the step before it."""
    n = window.elements.x.shape[2]
    ends = window.points[:-1].copy()
    step = window.elements.interval.astype(np.int64)
    last = np.flatnonzero(np.append(step[1:] != step[:-1], True)) if len(step) else np.zeros(0, dtype=np.int64)
    ends[step[last], :n] = window.elements.x[last, -1]
    return np.asarray(window.points[1:] - ends)


def _noises(window: Window) -> Array:
    """The noises (n_xi,) that the trajectory of the window stands for."""
    away = window.points[0] - window.mean
    first = forward(window.root, away) if np.diagonal(window.root).all() else lstsq(window.root, away)[0]
    noisy = window.variance > 0.0
    return np.concatenate([first, _gaps(window)[noisy] / np.sqrt(window.variance[noisy])])


def _misses(window: Window, linear: Linearized, xi: Array) -> Array:
    """What the trajectory leaves of its equations: of the nodes, of the steps and of the first moment; one row."""
    size = window.mean.size
    gaps = _gaps(window)
    noisy = window.variance > 0.0
    gaps[noisy] -= np.sqrt(window.variance[noisy]) * xi[size:]
    first = window.points[0] - window.mean - window.root @ xi[:size]
    return np.concatenate([linear.residual.reshape(-1), gaps.reshape(-1), first])


def _closed(flow: Flow, here: _Standing, moved: Moved, fixed: Array) -> bool:
    """Whether the whole step satisfies the equations of the window themselves, not only their linearization."""
    window = _between(here.window, here.at, moved, 1.0)
    try:
        linear = linearized(flow, window.elements, window.points, fixed)
    except SolveError:
        return False
    return bool(np.abs(_misses(window, linear, moved.xi)).max() <= _CLOSED)


def _slope(here: _Standing, moved: Moved) -> tuple[float, float]:
    """First and Gauss-Newton second derivative of the cost along the step."""
    moment = here.window.sample_moment.astype(np.int64)
    change = (here.slopes * (moved.points - here.window.points)[moment]).sum(axis=1)
    step = moved.xi - here.xi
    return float(here.xi @ step - here.misfit @ change), float(step @ step + change @ change)
