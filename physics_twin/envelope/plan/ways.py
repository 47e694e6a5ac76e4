"""Ways through a region that need not be convex: from one point of the unit cube to another without leaving it.

A straight line is tried first. Where it leaves the region, a graph of points inside is searched (Dijkstra's algorithm):
a lattice for up to three settings, else a sampled roadmap (Kavraki et al., IEEE Transactions on Robotics and Automation
12 (1996) 566). Only the edges of the way that was found are checked, and broken ones are taken out before the next
search (Bohlin and Kavraki, IEEE International Conference on Robotics and Automation, 2000). The way is then
straightened: corners that a straight line can skip are skipped.

A region is where `level` is not negative. Every piece is looked at in steps of SPACING, so that a gap narrower than
that is not seen.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree
from scipy.stats import qmc

from physics_twin.arrays import Array

Level = Callable[[Array], Array]
"""(n, d) points of the unit cube -> (n,) levels."""

SPACING = 0.005
"""Largest distance, along any axis of the cube, between points at which a piece of a way is looked at."""
N_LINES = (401, 61, 21)
"""Lines of the lattice along each axis, for 1, 2 and 3 settings."""
N_LINES_AXIS = (401, 61, 21, 11, 7)
"""The same where one setting moves at a time, for up to 5 settings."""
N_SAMPLES_LOG2, N_NEAREST = 11, 16
"""The roadmap: 2**11 Sobol points, each joined to its nearest ones."""
N_TRIES = 200
"""Ways that are looked at before the search gives up."""
DENSE, N_ROUNDS = 0.02, 3
"""Spacing of the corners that straightening may use, and how often it starts anew."""
LENGTH = 1e-3
"""Weight of the plain length beside the time: of two ways that take the same time the shorter one is better."""
N_ORDERS = 24
"""Orders of settings that are tried for moves of one setting at a time."""


@dataclass(frozen=True)
class Pace:
    """What a move costs: `seconds[j]` for a move of setting j across its range; settings move at the same time."""

    seconds: Array

    def cost(self, moves: Array) -> Array:
        """(n,) of moves (n, d)."""
        size = np.abs(moves)
        slowest = (size * self.seconds).max(axis=1)
        length = np.sqrt((size**2).sum(axis=1))
        scale = float(self.seconds.max())
        return slowest + (LENGTH * scale if scale > 0.0 else 1.0) * length


@dataclass(frozen=True, eq=False)
class Way:
    """Corners (n, d) of a way, both ends included; None where there is none."""

    corners: Array | None
    parts: bool = False
    """No way, because the ends lie in separate parts of the region."""


def straight(start: Array, end: Array) -> Array:
    """Points (n, d) on the line between two points, both included, no farther apart than SPACING."""
    n = max(1, int(np.ceil(np.abs(end - start).max() / SPACING)))
    return start + np.linspace(0.0, 1.0, n + 1)[:, None] * (end - start)


def is_open(level: Level, corners: Sequence[Array] | Array) -> bool:
    """Whether the whole way through these corners stays inside."""
    points = np.concatenate([straight(a, b) for a, b in itertools.pairwise(corners)])
    return bool((level(points) >= 0.0).all())


def shortest_way(level: Level, start: Array, goal: Array, pace: Pace, one_at_a_time: bool = False) -> Way:
    """A way from `start` (d,) to `goal` (d,), both inside; the fastest that the graph holds, then straightened."""
    if np.array_equal(start, goal):
        return Way(start[None])
    direct = _direct(level, start, goal, one_at_a_time)
    if direct is not None:
        return Way(direct)
    graph = _graph(level, [start, goal], pace, one_at_a_time)
    if graph is None:
        return Way(None)
    found = _search(level, graph)
    if found is None:
        parts = connected_components(graph.edges, directed=False)[1]
        return Way(None, parts=bool(parts[graph.ends[0]] != parts[graph.ends[1]]))
    return Way(_straightened(level, found, one_at_a_time))


def way_in(level: Level, start: Array, goal: Array, pace: Pace) -> Array | None:
    """The cheapest point (d,) at which a straight line from `start`, outside, enters the part that holds `goal`.

    None where no point of that part was found.
    """
    graph = _graph(level, [goal], pace, False)
    if graph is None:
        return None
    parts = connected_components(graph.edges, directed=False)[1]
    inside = graph.points[parts == parts[graph.ends[0]]]
    entry: Array = inside[int(np.argmin(pace.cost(inside - start)))]
    outside, good = 0.0, 1.0
    for _ in range(40):  # the edge itself: everything behind it is way in the region
        middle = 0.5 * (outside + good)
        here = start + middle * (entry - start)
        outside, good = (outside, middle) if level(here[None])[0] >= 0.0 else (middle, good)
    edge: Array = start + good * (entry - start)
    return edge


def _direct(level: Level, start: Array, goal: Array, one_at_a_time: bool) -> Array | None:
    """The straight line, or moves along the axes in one of the possible orders, where one of them stays inside."""
    if not one_at_a_time:
        return np.array([start, goal]) if is_open(level, [start, goal]) else None
    moving = np.flatnonzero(start != goal)
    for order in itertools.islice(itertools.permutations(moving.tolist()), N_ORDERS):
        corners = [start]
        for axis in order:
            corners.append(np.where(np.arange(start.size) == axis, goal, corners[-1]))
        if is_open(level, corners):
            return np.array(corners)
    return None


@dataclass(frozen=True, eq=False)
class _Graph:
    points: Array
    edges: Any
    """A sparse array of the costs between points that may be joined; each pair once."""
    ends: tuple[int, ...]
    """Rows of the points that were given."""


def _graph(level: Level, ends: Sequence[Array], pace: Pace, one_at_a_time: bool) -> _Graph | None:
    d = ends[0].size
    table = N_LINES_AXIS if one_at_a_time else N_LINES
    if d <= len(table):
        points, pairs = _lattice(ends, table[d - 1], one_at_a_time)
        inside = level(points) >= 0.0
    elif one_at_a_time:
        return None
    else:
        points = np.concatenate([np.array(ends), qmc.Sobol(d, scramble=False).random_base2(N_SAMPLES_LOG2)])
        points = points[level(points) >= 0.0]
        inside = np.ones(len(points), dtype=bool)
        if len(points) < 2:
            return None
        n = min(N_NEAREST + 1, len(points))
        near = np.asarray(cKDTree(points).query(points, k=n)[1])
        rows = np.repeat(np.arange(len(points)), n)
        pairs = np.unique(np.sort(np.stack([rows, near.ravel()], axis=1), axis=1), axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    pairs = pairs[inside[pairs].all(axis=1)]
    rows_of = [np.flatnonzero((points == end).all(axis=1)) for end in ends]
    if any(len(rows) == 0 for rows in rows_of):
        return None
    costs = pace.cost(points[pairs[:, 1]] - points[pairs[:, 0]])
    edges: Any = csr_array((costs, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    # Points outside would be parts of their own; no edge reaches them, and none of them is asked for.
    return _Graph(points, edges, tuple(int(rows[0]) for rows in rows_of))


def _lattice(ends: Sequence[Array], n: int, along_axes: bool) -> tuple[Array, NDArray[np.int64]]:
    """Points of a lattice whose lines run through the ends as well, and the pairs of neighbors."""
    d = ends[0].size
    lines = [np.unique(np.concatenate([np.linspace(0.0, 1.0, n), [e[j] for e in ends]])) for j in range(d)]
    points = np.stack([a.ravel() for a in np.meshgrid(*lines, indexing="ij")], axis=1)
    numbers = np.arange(len(points)).reshape([len(line) for line in lines])
    found = []
    for offset in itertools.product((-1, 0, 1), repeat=d):
        if offset <= (0,) * d or (along_axes and sum(map(abs, offset)) > 1):
            continue  # each pair once
        here = tuple(slice(max(0, -o), None if o <= 0 else -o) for o in offset)
        there = tuple(slice(max(0, o), None if o >= 0 else o) for o in offset)
        found.append(np.stack([numbers[here].ravel(), numbers[there].ravel()], axis=1))
    return points, np.concatenate(found)


def _search(level: Level, graph: _Graph) -> Array | None:
    """Corners (n, d) of the cheapest way whose pieces all stay inside."""
    start, goal = graph.ends
    # Costs both ways, in one sorted structure, so that a broken edge is made infinite where it stands.
    both = graph.edges + graph.edges.T
    for _ in range(N_TRIES):
        cost, before = dijkstra(both, indices=start, return_predecessors=True)
        if not np.isfinite(cost[goal]):
            return None
        path = [goal]
        while path[-1] != start:
            path.append(int(before[path[-1]]))
        pieces = [straight(graph.points[a], graph.points[b]) for a, b in itertools.pairwise(path)]
        good = level(np.concatenate(pieces)) >= 0.0
        ends = np.cumsum([len(piece) for piece in pieces])
        broken = [i for i, part in enumerate(np.split(good, ends[:-1])) if not part.all()]
        if not broken:
            return graph.points[path[::-1]]
        for i in broken:
            both[path[i], path[i + 1]] = both[path[i + 1], path[i]] = np.inf
        _prune(level, graph.points, both, np.unique([path[i + side] for i in broken for side in (0, 1)]))
    return None


def _prune(level: Level, points: Array, both: Any, near: NDArray[np.int64]) -> None:
    """Break the other edges at these points whose middle lies outside: a gap breaks many, not only the one met."""
    rows = np.repeat(near, np.diff(both.indptr)[near])
    columns = np.concatenate([both.indices[both.indptr[i] : both.indptr[i + 1]] for i in near])
    outside = level(0.5 * (points[rows] + points[columns])) < 0.0
    both[rows[outside], columns[outside]] = np.inf
    both[columns[outside], rows[outside]] = np.inf


def _straightened(level: Level, corners: Array, one_at_a_time: bool) -> Array:
    """The way without the corners that it can do without."""
    for _ in range(N_ROUNDS):
        dense = np.concatenate([*(_split(a, b) for a, b in itertools.pairwise(corners)), corners[-1:]])
        found = _skipped(level, dense, one_at_a_time)
        if len(found) >= len(corners):
            return found if _length(found) < _length(corners) else corners
        corners = found
    return corners


def _split(a: Array, b: Array) -> Array:
    n = max(1, int(np.ceil(np.abs(b - a).max() / DENSE)))
    piece: Array = a + np.linspace(0.0, 1.0, n, endpoint=False)[:, None] * (b - a)
    return piece


def _length(corners: Array) -> float:
    return float(np.sqrt((np.diff(corners, axis=0) ** 2).sum(axis=1)).sum())


def _skipped(level: Level, corners: Array, one_at_a_time: bool) -> Array:
    """From each corner on to the farthest one that can be reached at once, found by bisection."""
    kept, here = [corners[0]], 0
    while here < len(corners) - 1:
        reach, jump = here + 1, corners[here : here + 2]
        low, high = here + 1, len(corners) - 1
        while low <= high:
            tried = high if high == len(corners) - 1 and low == here + 1 else (low + high) // 2
            found = _direct(level, corners[here], corners[tried], one_at_a_time)
            if found is None:
                high = tried - 1
            else:
                reach, jump, low = tried, found, tried + 1
        kept += list(jump[1:])
        here = reach
    return np.array(kept)
