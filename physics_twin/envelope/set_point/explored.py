"""Limits and objectives over the whole searched range, and the best point where the limits hold.

Both are simulated together at a design of settings and interpolated. The search climbs the interpolated objective along
the interpolated edge of the limits, simulates where it ends, and goes on until it ends where it has been. What is
returned was simulated and keeps the limits on the draws of the search.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.confirmation import PULLS
from physics_twin.envelope.limits.allowed import Allowed, violations
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.region.design_space import climbed
from physics_twin.envelope.region.surrogate import MIN_DISTANCE, DesignSpace, by_dimension, distances
from physics_twin.envelope.set_point.landscape import N_STARTS, STEP, Landscape, climbed_within, inner_design
from physics_twin.envelope.set_point.objectives import Target
from physics_twin.envelope.set_point.pareto import front_data, pareto_points

N_ROUNDS = 25
"""Climbs, each followed by a simulation; an edge that is curved needs more of them than an open landscape."""
LOG2_CLOUD = 9
AT_EDGE = 0.1
"""Level, in units of the margins' spread, below which the limits hold the objective back."""
AS_WELL = 1e-3
"""Share of the objective's slope by which limits one by one may hold it worse than their joint level does."""
GIVEN_WAY = 0.05
"""Of a limit, in the same units, to see how much of the level is its."""
CLEAR = 1e-5
"""Level that points of a front keep on the interpolation, in the same units: its error must not break a limit."""

Run = Callable[[Array], tuple[Array, Array]]
"""(n, d) points of the unit cube -> margins (n, n_draws, n_limits) and values (n, n_draws, n_targets), SI."""


@dataclass(frozen=True, eq=False)
class Explored:
    """What is known of limits and objectives."""

    landscape: Landscape
    space: DesignSpace | None
    """None without limits."""
    allowed: Allowed | None

    def with_(self, points: Array, margins: Array, values: Array) -> "Explored":
        """A copy that has seen more."""
        space = None if self.space is None else self.space.with_(points, margins)
        return Explored(self.landscape.with_(points, values), space, self.allowed)

    def under(self, allowed: Allowed) -> "Explored":
        """The same with other numbers of violations allowed."""
        return Explored(self.landscape, self.space, allowed)

    def level(self, points: Array) -> Array:
        """(n,) interpolated level, >= 0 where the limits hold."""
        if self.space is None or self.allowed is None:
            return np.full(len(points), np.inf)
        return self.space.level(points, self.allowed)

    def kept(self) -> NDArray[np.bool_]:
        """(n_points,) at which points of the design the limits hold, as simulated."""
        if self.space is None or self.allowed is None:
            return np.ones(len(self.landscape.points), dtype=bool)
        return keeps(self.space.margins, self.allowed)


def keeps(margins: Array, allowed: Allowed | None) -> NDArray[np.bool_]:
    """(n_points,) whether margins (n_points, n_draws, n_limits) break no limit more often than allowed."""
    if allowed is None:
        return np.ones(len(margins), dtype=bool)
    kept: NDArray[np.bool_] = (violations(margins, allowed.groups) <= np.array(allowed.k)).all(axis=1)
    return kept


def explore(
    run: Run, targets: tuple[Target, ...], allowed: Allowed | None, d: int, rng: np.random.Generator
) -> Explored:
    """A first design over the whole range, simulated."""
    points = inner_design(whole_range(d), rng)
    margins, values = run(points)
    return Explored(Landscape(targets, points, values), DesignSpace(points, margins) if allowed else None, allowed)


def whole_range(d: int) -> ConvexSet:
    """The unit cube."""
    return ConvexSet(np.zeros(d), np.ones(d), np.zeros((0, d)), np.zeros(0))


def improved(explored: Explored, column: int, run: Run) -> tuple[Array, Explored]:
    """The best point (d,) for one objective that keeps the limits as simulated, and what was learned on the way.

    Where no such point is found, the one that comes closest.
    """
    d = explored.landscape.points.shape[1]
    least = by_dimension(d, MIN_DISTANCE)
    point = climb(explored, column)
    for _ in range(N_ROUNDS):
        if distances(point[None], explored.landscape.points)[0] < least:
            break
        explored = explored.with_(point[None], *run(point[None]))
        point = climb(explored, column)
    points, kept = explored.landscape.points, explored.kept()
    worth = explored.landscape.simulated_worth()[:, column]
    deepest = points[int(np.argmax(explored.level(points)))]
    best, best_worth = deepest, -np.inf
    if kept.any():
        row = int(np.argmax(np.where(kept, worth, -np.inf)))
        best, best_worth = points[row], float(worth[row])
    for share in (1.0, *PULLS):
        tried = deepest + share * (point - deepest)
        margins, values = run(tried[None])
        if keeps(margins, explored.allowed)[0]:
            there = Landscape(explored.landscape.targets, tried[None], values).simulated_worth()[0, column]
            return (tried if there >= best_worth else best), explored
    return best, explored


def climb(explored: Explored, column: int) -> Array:
    """Where the interpolation has its best point that keeps the limits, or comes closest to keeping them."""
    points, kept = explored.landscape.points, explored.kept()
    d = points.shape[1]
    known = explored.landscape.simulated_worth()[:, column]
    cloud = qmc.Sobol(d, scramble=False).random_base2(LOG2_CLOUD)
    levels = explored.level(cloud)
    order = np.argsort(np.where(kept & np.isfinite(known), -known, np.inf), kind="stable")
    starts = points[order[: min(N_STARTS, int(kept.sum()))]]
    inner = cloud[levels >= 0.0]
    if len(inner):
        best = np.argsort(-explored.landscape.worth(inner)[:, column], kind="stable")[:N_STARTS]
        starts = np.concatenate([starts, inner[best]])
    if len(starts) == 0:
        assert explored.space is not None and explored.allowed is not None  # without limits every point is kept
        return climbed(explored.space, cloud[int(np.argmax(levels))], explored.allowed)
    level = None if explored.space is None else explored.level

    def worth(u: Array) -> Array:
        return explored.landscape.worth(u)[:, column]

    ends = np.array([climbed_within(worth, start, whole_range(d), level) for start in starts])
    numbers = worth(ends)
    chosen: Array = ends[int(np.argmax(numbers))]
    return chosen


def simulated_front(
    explored: Explored, optima: Array, run: Run, problem: Problem, independence: float, rng: np.random.Generator
) -> xr.Dataset | None:
    """The front where the limits hold, its points simulated; None where none of them keeps the limits."""
    targets = explored.landscape.targets

    def level(points: Array) -> Array:
        return explored.level(points) - CLEAR

    points = pareto_points(
        explored.landscape.worth,
        whole_range(optima.shape[1]),
        optima,
        rng,
        None if explored.space is None else level,
    )
    margins, values = run(points)
    kept = keeps(margins, explored.allowed) & np.isfinite(values).any(axis=1).all(axis=1)
    if not kept.any():
        return None
    return front_data(problem, targets, points[kept], values[kept], independence)


def multipliers(explored: Explored, point: Array) -> tuple[Array, Array]:
    """Gain of the first objective for each unit that a limit (n_limits,) or a bound (d,) gives way, from the surrogate.

    Gains of limits are per SI unit; of bounds per unit of the cube, negative at an upper one. A limit's share in the
    level of its group is seen by letting it give way a little and counting anew; where several are at their edge by
    themselves, the level may have a kink there, and each of them holds with a slope of its own.
    """
    d = point.size
    both = point + STEP * np.concatenate([np.eye(d), -np.eye(d)])
    slope = _slopes(explored.landscape.worth(both)[:, :1])[0]
    low, high = point <= 1e-6, point >= 1.0 - 1e-6
    at_bounds = np.concatenate([np.eye(d)[low], -np.eye(d)[high]])
    n_limits = 0 if explored.space is None else explored.space.margins.shape[2]
    limits = np.zeros(n_limits)
    held = explored.space is not None and float(explored.level(point[None])[0]) < AT_EDGE
    rows = np.concatenate([at_bounds, _slopes(explored.level(both)[:, None])]) if held else at_bounds
    weights, residual = _nonnegative(rows, -slope)
    if held and explored.space is not None and explored.allowed is not None:
        space, allowed = explored.space, explored.allowed
        here = space.predicted(point[None])
        own = _own_levels(space.predicted(np.concatenate([point[None], both])), allowed)
        edge = np.flatnonzero(own[0] < AT_EDGE)
        each, left = _nonnegative(np.concatenate([at_bounds, _slopes(own[1:, edge])]), -slope)
        if len(edge) > 1 and left <= residual + AS_WELL * float(np.linalg.norm(slope)):
            weights, limits[edge] = each, each[len(at_bounds) :] / space.scale[edge]
        else:
            start = _level_of(here, allowed)
            for j in range(n_limits):
                relaxed = here.copy()
                relaxed[:, j] += GIVEN_WAY
                limits[j] = weights[-1] * (_level_of(relaxed, allowed) - start) / GIVEN_WAY / space.scale[j]
    bounds, n_low = np.zeros(d), int(low.sum())
    bounds[low], bounds[high] = weights[:n_low], -weights[n_low : len(at_bounds)]
    return limits, bounds


def _slopes(ends: Array) -> Array:
    """(n, d) central differences of numbers (2 d, n): those a STEP above along each setting, then those below."""
    d = len(ends) // 2
    slopes: Array = ((ends[:d] - ends[d:]) / (2.0 * STEP)).T
    return slopes


def _nonnegative(rows: Array, wanted: Array) -> tuple[Array, float]:
    """Weights >= 0 of rows (n, d) that come closest to `wanted`, and by how much they miss it."""
    if not len(rows):
        return np.zeros(0), float(np.linalg.norm(wanted))
    weights, residual = nnls(rows.T, wanted)
    return weights, float(residual)


def _own_levels(predicted: Array, allowed: Allowed) -> Array:
    """(n, n_limits) the level of each limit by itself, from margins (n, n_limits, n_draws)."""
    ks = [allowed.of_requirement(j) for j in range(predicted.shape[1])]
    return np.stack([np.partition(predicted[:, j], k, axis=1)[:, k] for j, k in enumerate(ks)], axis=1)


def _level_of(predicted: Array, allowed: Allowed) -> float:
    pairs = zip(allowed.groups, allowed.k, strict=True)
    return min(float(np.partition(group.joint(predicted, 1), k, axis=1)[0, k]) for group, k in pairs)
