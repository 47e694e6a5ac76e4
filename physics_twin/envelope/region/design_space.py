"""The search for the largest box: where to simulate next.

New design points go where the answer is decided: the corners of the best box so far, its worst point, its largest
hole, where scouts contradict the surrogate, and where a second interpolation (cubic) disagrees with the first (query
by committee; the disagreement is also the error estimate that ends the search). The surrogate only steers; the model
itself confirms and certifies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Allowed
from physics_twin.envelope.ranges.aim import Aim
from physics_twin.envelope.ranges.box import N_GRID, Box, corners, grid_points, largest_box
from physics_twin.envelope.region.probing import compass, relative_cloud
from physics_twin.envelope.region.surrogate import MIN_DISTANCE, DesignSpace, by_dimension, distances

N_CLOUD = 2**12
"""Points at which more than two settings are searched."""
SETTLED = (1e-6, 1e-3, 5e-3)
"""Movement of a box's sides, relative to the bounds, at which its search ends."""
DOUBT, DOUBTED = 0.05, (0.002, 0.01, 0.03)
"""The surrogate is believed when its two kernels differ by more than DOUBT in probability over no more than these
shares of the cloud, for 1, 2 and more settings. (The edge is steep: a maximum over the cloud would be one point.)"""
N_DOUBTFUL = (2, 3, 3)
"""New points in each round where the kernels differ most."""
N_WRONG = 3
"""New points in each round where scouts contradict the surrogate."""
APART = 0.1
"""Distance beyond which a new point counts as far enough from the known ones."""
PATIENCE = 6
"""Rounds in which no feasible point turns up, before the region is called empty."""

Evaluate = Callable[[Array], Array]
"""(n, d) points of the unit cube -> margins (n, n_draws, n_requirements) SI, NaN where a simulation failed."""


def start_design(d: int, rng: np.random.Generator, aim: Aim) -> Array:
    """First points (n, d) of the unit cube: a grid for one or two settings, corners and Sobol points for more.

    The point that the box must hold is one of them, where it is known in all settings.
    """
    if d == 1:
        points = np.linspace(0.0, 1.0, 7)[:, None]
    elif d == 2:
        line = np.linspace(0.0, 1.0, 5)
        points = np.stack([a.ravel() for a in np.meshgrid(line, line, indexing="ij")], axis=1)
    else:
        ends = corners(d) if d <= 5 else np.zeros((0, d))
        sobol = qmc.Sobol(d, rng=rng).random_base2(int(np.ceil(np.log2((d + 1) * (d + 2)))))
        points = np.concatenate([ends, np.full((1, d), 0.5), sobol])
    if not aim.held.all():
        return points
    apart = np.abs(points - aim.around).max(axis=1) >= by_dimension(d, MIN_DISTANCE)
    return np.concatenate([points[apart], aim.around[None]])


def search_cloud(d: int, rng: np.random.Generator) -> Array:
    """Points at which the surrogate is searched."""
    if d <= 2:
        return grid_points(d)
    cloud = qmc.Sobol(d, rng=rng).random_base2(int(np.log2(N_CLOUD)))
    # Half of the cloud is drawn onto faces of the cube, where a box that the bounds end has its sides.
    faces = cloud[: N_CLOUD // 2].copy()
    which = rng.integers(0, d, len(faces))
    faces[np.arange(len(faces)), which] = rng.integers(0, 2, len(faces))
    return np.concatenate([cloud[N_CLOUD // 2 :], faces, corners(d)])


@dataclass(frozen=True)
class Found:
    """Outcome of a search for one target."""

    space: DesignSpace
    box: Box | None
    settled: bool
    """Whether the box stopped moving within the budget of points."""


def explore(
    evaluate: Evaluate,
    space: DesignSpace,
    cloud: Array,
    allowed: Allowed,
    n_points: int,
    points_in_doubt: Callable[[DesignSpace], Array],
    aim: Aim,
    report: Callable[[str], None] = lambda text: None,
) -> Found:
    """Refine `space` until the largest box with no more violations than allowed at every point no longer moves.

    n_points: budget of design points in all. points_in_doubt: points (n, d) at which the surrogate is known to be
    wrong. aim: which box is looked for. The box returned is that of the surrogate, which is exact at the design.
    """
    d = cloud.shape[1]
    # The full grid is there for the exact rectangle; doubt is seen on every other line of it.
    sparse = cloud.reshape(N_GRID, N_GRID, 2)[::2, ::2].reshape(-1, 2) if d == 2 else cloud
    before: Box | None = None
    stuck = 0
    while True:
        levels = space.level(cloud, allowed)
        region = partial(space.level, allowed=allowed)
        box = largest_box(region, cloud, levels, space.points, aim)
        moved = np.inf
        if box is not None and before is not None:
            moved = max(np.abs(box.low - before.low).max(), np.abs(box.high - before.high).max())
        doubt = np.abs(space.joint_probability(sparse) - space.rival.joint_probability(sparse))
        doubted = float((doubt > DOUBT).mean())
        volume = "no box yet" if box is None else f"volume {np.exp(box.log_volume):.3g}"
        report(f"{len(space.points)} points, {volume}, {doubted:.1%} of the map in doubt")
        wrong = space.unseen(points_in_doubt(space))
        trusted = box is None or not box.contains(wrong).any()
        settled = trusted and moved <= by_dimension(d, SETTLED)
        if settled and doubted <= by_dimension(d, DOUBTED):
            return Found(space, box, True)
        if box is not None and len(wrong):  # contradictions inside the box first, then the nearest outside
            outside = np.maximum(np.maximum(box.low - wrong, wrong - box.high), 0.0).max(axis=1)
            wrong = wrong[np.argsort(outside, kind="stable")[:N_WRONG]]
        wanted = np.concatenate([wrong[:N_WRONG], _next_points(space, box, cloud, levels, sparse, doubt, allowed)])
        new = space.unseen(wanted)[: max(0, n_points - len(space.points))]
        stuck = stuck + 1 if box is None else 0
        if len(new) == 0 or stuck > PATIENCE:
            return Found(space, box, box is None or settled)
        space = space.with_(new, evaluate(new))
        before = box


def _next_points(
    space: DesignSpace, box: Box | None, cloud: Array, levels: Array, sparse: Array, doubt: Array, allowed: Allowed
) -> Array:
    """Where the next simulations are worth most, best first."""
    d = cloud.shape[1]
    distance = distances(cloud, space.points)
    if box is None:  # look for any feasible point: the best predicted ones, and those far from all that is known
        best = cloud[np.argsort(-levels, kind="stable")[:1]]
        spread = np.std(levels) or 1.0
        hopeful = cloud[np.argsort(-(levels + 2.0 * spread * distance), kind="stable")[:2]]
        return np.concatenate([climbed(space, best[0], allowed)[None], best, hopeful])
    ends = box.at(corners(d))
    if len(ends) > 16:
        ends = ends[np.argsort(space.level(ends, allowed), kind="stable")[:16]]
    chosen = [ends, worst_points(space, box, cloud, allowed, 2)]
    inside = box.contains(cloud)
    if inside.any():  # the largest hole: what the surrogate has to be believed about
        chosen.append(cloud[inside][[int(np.argmax(distance[inside]))]])
    chosen.append(_doubtful_points(doubt, sparse, space.points, int(by_dimension(d, N_DOUBTFUL))))
    return np.concatenate(chosen)


def _doubtful_points(doubt: Array, cloud: Array, known: Array, n: int) -> Array:
    """Points of most doubt, apart from what is known and from one another."""
    chosen: list[Array] = []
    distance = distances(cloud, known)
    for _ in range(n):
        worth = doubt * np.minimum(distance, APART)
        chosen.append(cloud[int(np.argmax(worth))])
        distance = np.minimum(distance, np.abs(cloud - chosen[-1]).max(axis=1))
    return np.array(chosen)


def worst_points(space: DesignSpace, box: Box, cloud: Array, allowed: Allowed, n: int) -> Array:
    """Up to `n` points of the box where the surrogate sees the least level, away from its corners and one another."""
    d = cloud.shape[1]
    inside = np.concatenate([cloud[box.contains(cloud)], box.at(relative_cloud(d))])
    order = np.argsort(space.level(inside, allowed), kind="stable")
    positions, kept = box.position(inside), []
    taken = corners(d)
    for i in order:
        if np.abs(taken - positions[i]).max(axis=1).min() > 0.15:
            kept.append(_descended(space, box, positions[i], allowed))
            taken = np.concatenate([taken, positions[i][None], kept[-1][None]])
        if len(kept) == n:
            break
    return box.at(np.array(kept).reshape(-1, d))


def _descended(space: DesignSpace, box: Box, position: Array, allowed: Allowed) -> Array:
    """Compass search for a lower level, in relative positions of the box."""
    return compass(lambda t: -space.level(box.at(t), allowed), position)


def climbed(space: DesignSpace, point: Array, allowed: Allowed) -> Array:
    """Compass search for a higher level in the cube."""
    return compass(lambda u: space.level(u, allowed), point)
