"""The landscape of objectives over the settings, and its best point in a set that is already certified.

As margins are, objectives are simulated at a design of settings and interpolated draw by draw; the measure over the
draws is taken afterwards. The search for the best point alternates: climb the interpolation, simulate where it leads,
interpolate anew, until it leads to where it has been. The draws are those of the search; the value that is reported is
that of the held-out draws, so that it is not the luck of the draws that chose the point.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.interpolate import RBFInterpolator
from scipy.optimize import minimize
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope.next_batch.draws import Draws
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.region.surrogate import MIN_DISTANCE, by_dimension, distances
from physics_twin.envelope.set_point.flat import most_margin
from physics_twin.envelope.set_point.objectives import (
    Objective,
    ObjectiveValue,
    Target,
    bind_objectives,
    measured,
    valued,
)
from physics_twin.errors import EnvelopeError

if TYPE_CHECKING:  # attempts, of which Simulator is a part, chooses set points itself
    from physics_twin.envelope.margins.simulator import Simulator

N_ROUNDS = 12
"""Climbs, each followed by a simulation; a smooth landscape needs three or four."""
N_STARTS = 5
STEP = 1e-6
"""Difference of the interpolation's slopes, relative to the searched range."""
MOST_VERTICES = 64
MOVED = 1e-3
"""Distance, relative to the searched range, from which on the choice among equally good points is worth a word."""
LEAST_WIDTH = 0.02
"""Relative width below which the landscape is sampled beyond the set; the point itself stays inside."""

Worth = Callable[[Array], Array]
"""(n, d) points of the unit cube -> (n,) the more the better."""


@dataclass(frozen=True, eq=False)
class Landscape:
    """Objectives at a design of settings and their interpolation."""

    targets: tuple[Target, ...]
    points: Array
    """(n_points, d) of the unit cube."""
    values: Array
    """(n_points, n_draws, n_targets) SI, NaN where a simulation failed."""

    def with_(self, points: Array, values: Array) -> "Landscape":
        """A copy that has seen more."""
        both = np.concatenate([self.points, points]), np.concatenate([self.values, values])
        return Landscape(self.targets, *both)

    @cached_property
    def _interpolant(self) -> "RBFInterpolator[np.float64, tuple[Any, ...]]":
        filled = self.values.copy()
        apart = np.abs(self.points[:, None] - self.points[None]).max(axis=2)
        failed = ~np.isfinite(filled).all(axis=2)
        # A draw that failed here takes its value from the nearest settings where it ran; limits keep the failed part.
        for draw in np.flatnonzero(failed.any(axis=0)):
            lost, ran = np.flatnonzero(failed[:, draw]), np.flatnonzero(~failed[:, draw])
            if len(ran):
                filled[lost, draw] = filled[ran[apart[np.ix_(lost, ran)].argmin(axis=1)], draw]
        ran_somewhere = np.isfinite(filled).all(axis=(0, 2))
        if not ran_somewhere.any():
            raise EnvelopeError("no simulation reaches its end anywhere in the range, so there is nothing to optimize")
        return RBFInterpolator(self.points, filled[:, ran_somewhere].reshape(len(self.points), -1), kernel="quintic")

    def measures(self, points: Array) -> Array:
        """Interpolated measures (n, n_targets) SI at points (n, d) of the unit cube."""
        signed: Array = self.worth(points) * np.array([t.sign for t in self.targets])
        return signed

    def worth(self, points: Array) -> Array:
        """Interpolated measures (n, n_targets), signed so that more is better, SI."""
        values = self._interpolant(points).reshape(len(points), -1, len(self.targets))
        return self._measured(values)

    def simulated_worth(self) -> Array:
        """The same at the design itself, (n_points, n_targets); NaN where all draws failed."""
        return self._measured(self.values)

    def _measured(self, values: Array) -> Array:
        return np.stack(
            [t.sign * measured(values[:, :, j], t.sign, t.measure) for j, t in enumerate(self.targets)], axis=1
        )


@dataclass(frozen=True, eq=False)
class Chosen:
    """A point chosen by its objectives."""

    point: Array
    """(d,) of the unit cube."""
    objectives: tuple[ObjectiveValue, ...]
    """There, on draws that the choice did not see."""
    front: xr.Dataset | None
    """The Pareto front, where there are several objectives."""
    landscape: Landscape
    """What was learned of the objectives on the way."""
    words: str
    """How it was chosen, for the envelope's message."""


def best_of_set(
    simulate: "Simulator",
    draws: Draws,
    objectives: Sequence[Objective],
    inside: ConvexSet,
    rng: np.random.Generator,
    level: Worth,
) -> Chosen:
    """The best point of a certified set for one objective, or the knee of the front of several.

    draws: the search draws choose, the held-out draws tell the value. inside: the part of the set that a set point may
    take, in the unit cube. level: joint margin, by which points that are equally good are told apart. Simulations are
    counted in `simulate`.
    """
    problem = simulate.problem
    targets = bind_objectives(objectives, problem.model.outputs, problem.settings)

    def run(points: Array, batches: Batches = draws.search) -> Array:
        return simulated_values(simulate, targets, batches, points)

    design = inner_design(_with_room(inside), rng)
    landscape = Landscape(targets, design, run(design))
    optima = []
    for j in range(len(targets)):
        best, landscape = best_by(landscape, j, inside, run)
        optima.append(best)
    front: xr.Dataset | None = None
    if len(targets) == 1:
        worth = landscape.worth
        scale = float(np.nanmax(landscape.simulated_worth()[:, 0]) - np.nanmin(landscape.simulated_worth()[:, 0]))
        point = most_margin(optima[0], lambda u: worth(u)[:, 0], scale, level, inside)
        words = f"the set point is the best one for {targets[0].name}"
        if np.abs(point - optima[0]).max() > MOVED:
            words += ", and of those as good the one with the most margin"
    else:
        from physics_twin.envelope.set_point.pareto import front_data, knee_of, pareto_points

        candidates = pareto_points(landscape.worth, inside, np.array(optima), rng)
        values = run(candidates)
        front = front_data(problem, targets, candidates, values, draws.independence)
        point = knee_of(problem, front)
        words = f"the set point is the knee of the front of {len(front['point'])} points"
    there = run(point[None], draws.held)[0]
    found = tuple(valued(t, there[:, j], draws.independence) for j, t in enumerate(targets))
    return Chosen(point, found, front, landscape, words)


def best_by(
    landscape: Landscape, column: int, inside: ConvexSet, run: Callable[[Array], Array]
) -> tuple[Array, Landscape]:
    """The best point (d,) for one objective, and the landscape that learned on the way there."""

    def climb() -> Array:
        known = landscape.simulated_worth()[:, column]
        allowed = inside.contains(landscape.points, STEP) & np.isfinite(known)
        order = np.argsort(np.where(allowed, -known, np.inf), kind="stable")[: min(N_STARTS, int(allowed.sum()))]
        worth = landscape.worth
        starts = [middle_of(inside), *landscape.points[order]]
        tried = [climbed_within(lambda u: worth(u)[:, column], start, inside) for start in starts]
        return tried[int(np.argmax(worth(np.array(tried))[:, column]))]

    point = climb()
    least = by_dimension(point.size, MIN_DISTANCE)
    for _ in range(N_ROUNDS):
        if distances(point[None], landscape.points)[0] < least:
            break
        landscape = landscape.with_(point[None], run(point[None]))
        point = climb()
    return point, landscape


def climbed_within(
    worth: Worth, start: Array, inside: ConvexSet, level: Callable[[Array], Array] | None = None
) -> Array:
    """A local maximum (d,) of `worth` in a convex set, where `level` >= 0; the start where nothing better is found."""
    d = start.size
    near = start + 0.05 * np.concatenate([np.eye(d), -np.eye(d), np.zeros((1, d))])
    values = worth(np.clip(near, 0.0, 1.0))
    scale = float(np.ptp(values)) or float(np.abs(values).max()) or 1.0
    level_scale = float(np.abs(level(near)).max()) or 1.0 if level is not None else 1.0

    def slope(function: Worth, u: Array, unit: float) -> Array:
        found: Array = np.array(function(u + STEP * np.concatenate([np.eye(d), -np.eye(d)])))
        return (found[:d] - found[d:]) / (2.0 * STEP * unit)

    constraints: list[Any] = [
        {"type": "ineq", "fun": lambda u: inside.ends - inside.matrix @ u, "jac": lambda u: -inside.matrix}
    ]
    if level is not None:
        constraints.append(
            {
                "type": "ineq",
                "fun": lambda u: level(u[None]) / level_scale,
                "jac": lambda u: slope(level, u, level_scale)[None],
            }
        )
    solver: Any = minimize  # the stubs know no functions on arrays
    found = solver(
        lambda u: -float(worth(u[None])[0]) / scale,
        start,
        jac=lambda u: -slope(worth, u, scale),
        method="SLSQP",
        constraints=constraints,
        options={"maxiter": 60, "ftol": 1e-10},
    )
    if not np.isfinite(found.x).all():
        return start
    end = _pulled_inside(found.x, inside, start)
    kept = level is None or float(level(end[None])[0]) >= -1e-6 * level_scale
    better = float(worth(end[None])[0]) >= float(worth(start[None])[0])
    return end if kept and (better or (level is not None and float(level(start[None])[0]) < 0.0)) else start


def _pulled_inside(point: Array, inside: ConvexSet, anchor: Array) -> Array:
    """The optimizer's last digits may lie outside: back toward a point inside by as much."""
    clipped = np.clip(point, inside.low, inside.high)
    over = inside.normals @ clipped - inside.offsets
    if not (over > 0.0).any():
        return clipped
    way = inside.normals @ (clipped - anchor)
    share = np.min(np.where(over > 0.0, 1.0 - over / np.where(way > 0.0, way, np.inf), 1.0))
    pulled: Array = anchor + max(0.0, float(share)) * (clipped - anchor)
    return pulled


def inner_design(inside: ConvexSet, rng: np.random.Generator) -> Array:
    """First points (n, d) in a convex set: its vertices and Sobol points, twice as many as a parabola has terms."""
    d = inside.d
    needed = (d + 1) * (d + 2)
    widths = inside.high - inside.low
    chosen = inside.vertices if d <= 5 else np.zeros((0, d))
    chosen = chosen[:MOST_VERTICES]
    sobol = qmc.Sobol(d, rng=rng)
    inner = np.zeros((0, d))
    for _ in range(8):  # of a thin polytope few points of its box lie inside
        points = inside.low + sobol.random_base2(int(np.ceil(np.log2(2 * needed)))) * widths
        inner = np.concatenate([inner, points[inside.contains(points)]])
        if len(inner) >= needed:
            break
    return _apart(np.concatenate([middle_of(inside)[None], chosen, inner[:needed]]))


def middle_of(inside: ConvexSet) -> Array:
    """A point (d,) well inside a set; of a set without room in some direction, the middle of its ranges."""
    middle: Array = 0.5 * (inside.low + inside.high) if inside.center is None else inside.center
    return middle


def _with_room(inside: ConvexSet) -> ConvexSet:
    """The set itself, or a box around one that is thinner than LEAST_WIDTH: slopes need some room to be seen in."""
    if (inside.high - inside.low).min() >= LEAST_WIDTH and inside.center is not None:
        return inside
    half = 0.5 * np.maximum(inside.high - inside.low, LEAST_WIDTH)
    middle = np.clip(0.5 * (inside.low + inside.high), half, 1.0 - half)
    return ConvexSet(middle - half, middle + half, np.zeros((0, inside.d)), np.zeros(0))


def _apart(points: Array) -> Array:
    """Points no closer than the interpolation can bear, the first of each two."""
    kept = points[:1]
    for point in points[1:]:
        if np.abs(kept - point).max(axis=1).min() > 1e-6:
            kept = np.concatenate([kept, point[None]])
    return kept


def simulated_values(simulate: "Simulator", targets: Sequence[Target], batches: Batches, points: Array) -> Array:
    """Numbers (n_points, n_batches, n_targets) SI of the targets at points of the unit cube, NaN for failed runs."""
    problem = simulate.problem
    found = np.empty((len(points), batches.n, len(targets)))
    requirements = tuple(t.requirement for t in targets if not t.of_setting)
    margins = np.zeros((len(points), batches.n, 0))
    if requirements:
        second = copy.copy(simulate)  # the same workers and the same journal, counts of its own
        second.problem, second.n_simulations, second.failures = replace(problem, requirements=requirements), 0, []
        margins = second(batches, points)
        simulate.n_simulations += second.n_simulations
        simulate.failures += second.failures
    outputs = iter(range(margins.shape[2]))
    for j, target in enumerate(targets):
        if target.of_setting:
            error = batches.setting_errors.get(problem.settings[target.column].name, np.zeros(batches.n))
            found[:, :, j] = problem.si(points)[:, target.column, None] + error
        else:
            found[:, :, j] = target.from_margins(margins[:, :, next(outputs)])
    return found
