"""Structured blocks: a grid of the unit square or cube through a function, and blocks joined where points coincide."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, ShapeError, unknown_name
from physics_twin.fem.mesh.cells import Cell, IntArray, reference
from physics_twin.fem.mesh.geometry import right_handed
from physics_twin.fem.mesh.hanging import refuse_hanging_points
from physics_twin.fem.mesh.lengths import breaks, counts, ratios
from physics_twin.fem.mesh.mesh import Mesh
from physics_twin.fem.mesh.topology import all_facets, find_facets, row_numbers
from physics_twin.units import Unit, unit as unit_of

SIDES = {
    1: ("left", "right"),
    2: ("left", "right", "bottom", "top"),
    3: ("left", "right", "front", "back", "bottom", "top"),
}
"""Sides of a block by dimension: low and high xi, then eta, then zeta."""

_CELLS = {1: Cell.INTERVAL, 2: Cell.QUADRILATERAL, 3: Cell.HEXAHEDRON}
_M = Unit("m")

type Map = Callable[..., Sequence[Any] | Array]
"""A function of xi, eta[, zeta] in [0, 1], arrays (n,), that returns the coordinates x, y[, z], arrays (n,)."""


def mapped(
    function: Map,
    cells: Sequence[int],
    *,
    region: str = "body",
    sides: Mapping[str, str | None] | None = None,
    grading: float | Sequence[float] = 1.0,
    refine: int = 0,
    order: int = 1,
    simplices: bool = False,
    axisymmetric: bool = False,
    unit: str = "m",
) -> Mesh:
    """Return a block of quadrilaterals (2 numbers in `cells`) or hexahedra (3) through a function of [0, 1]^d.

    function(xi, eta[, zeta]) gets arrays (n,) and returns coordinates x, y[, z] (r, z where axisymmetric) in `unit`;
    `fem.mesh.corners` and `fem.mesh.between` make such functions. Boundaries are left, right (xi = 0, 1), then for
    eta bottom, top in 2-D and front, back in 3-D, then for zeta bottom, top; `sides` renames them, None leaves one
    out, equal names unite. grading: last cell over first cell, per direction. order 2: curved boundaries are exact at
    the nodes. The block may be left-handed: its cells are renumbered.

    >>> import numpy as np
    >>> ring = mapped(
    ...     lambda xi, eta: ((1 + xi) * np.cos(eta), (1 + xi) * np.sin(eta)),
    ...     cells=(4, 8),
    ...     sides={"left": "inner", "right": "outer"},
    ... )
    >>> ring
    <mesh: 32 quadrilaterals, 45 points, 1.46 m x 1.683 m; regions: body (32);
    boundaries: inner (8), outer (8), bottom (4), top (4)>
    """
    dimension = len(cells)
    if dimension not in (2, 3):
        raise ShapeError(f"cells = {cells!r}: two numbers make a plane block, three a solid one")
    numbers = counts(cells, dimension)
    places = [breaks(n, ratio, refine) for n, ratio in zip(numbers, ratios(grading, dimension), strict=True)]
    factor = unit_of(unit)
    if factor.dimension != _M.dimension:
        raise ShapeError(f'unit = "{unit}" is no unit of length')

    def in_meters(*place: Array) -> list[Array]:
        return [factor.to_si(np.broadcast_to(np.asarray(x, dtype=np.float64), len(place[0]))) for x in function(*place)]

    mesh = block(in_meters, places, region=region, sides=sides, order=order, axisymmetric=axisymmetric)
    return mesh.simplices() if simplices else mesh


def block(
    function: Map,
    places: Sequence[Array],
    *,
    region: str = "body",
    sides: Mapping[str, str | None] | None = None,
    order: int = 1,
    axisymmetric: bool = False,
) -> Mesh:
    """Return the grid of vertices at `places` (ascending in [0, 1], per direction) through a function into m."""
    dimension = len(places)
    if order not in (1, 2):
        raise ShapeError(f"order = {order!r}: the geometry of a mesh is of order 1 or 2")
    lattice_places = [_with_middles(place) if order == 2 else np.asarray(place) for place in places]
    shape = [len(place) for place in lattice_places]
    # x runs fastest: points of one row are neighbors in memory.
    grids = np.meshgrid(*reversed(lattice_places), indexing="ij")
    place = [grid.ravel() for grid in reversed(grids)]
    coordinates = list(function(*place))
    if len(coordinates) != dimension or any(np.shape(x) != place[0].shape for x in coordinates):
        given = [np.shape(x) for x in coordinates]
        raise ShapeError(
            f"the function of a block has to return {dimension} coordinates of shape {place[0].shape}, not {given}"
        )
    points = np.stack(coordinates, axis=1).astype(np.float64)
    strides = np.cumprod([1, *shape[:-1]])
    cell = _CELLS[dimension]
    corner = _corners([len(p) - 1 for p in places], strides * order)
    cells = corner[:, None] + reference(cell, order).lattice @ strides
    cells = right_handed(points, cells, cell, order)
    boundaries = _sides(shape, strides, order, dict(sides or {}))
    regions = {region: np.arange(len(cells))}
    return Mesh(points, cells, cell, order, regions, boundaries, axisymmetric)


def _with_middles(place: Array) -> Array:
    """Return places with the middles between them: nodes of second order sit half way, also where cells are graded."""
    both = np.empty(2 * len(place) - 1)
    both[::2] = place
    both[1::2] = 0.5 * (place[1:] + place[:-1])
    return both


def _corners(n_cells: Sequence[int], strides: IntArray) -> IntArray:
    """Return the first point of each cell of a grid, x fastest."""
    corner = np.zeros(1, dtype=np.int64)
    for n, stride in zip(n_cells, strides, strict=True):
        corner = (np.arange(n)[:, None] * stride + corner[None, :]).ravel()
    return corner


def _sides(shape: Sequence[int], strides: IntArray, order: int, names: Mapping[str, str | None]) -> dict[str, IntArray]:
    dimension = len(shape)
    known = SIDES[dimension]
    for name in names:
        if name not in known:
            raise unknown_name("side of a block", name, known)
    found: dict[str, list[IntArray]] = {}
    for axis in range(dimension):
        others = [other for other in range(dimension) if other != axis]
        corner = _corners([(shape[other] - 1) // order for other in others], strides[others] * order)
        vertices = np.zeros(1, dtype=np.int64)
        for other in others:
            vertices = np.concatenate([vertices, vertices + strides[other] * order])
        facets = corner[:, None] + vertices
        for end in (0, 1):
            side = known[2 * axis + end]
            given = names.get(side, side)
            if given is not None:
                found.setdefault(given, []).append(facets + end * (shape[axis] - 1) * strides[axis])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def join(*meshes: Mesh, interfaces: Iterable[str] = ()) -> Mesh:
    """Return one mesh of several whose points coincide where they meet (to a millionth of the shortest edge).

    Regions and boundaries of one name unite. A facet where two meshes meet is no boundary any more, except in the
    boundaries named in `interfaces`; a boundary that loses all its facets is gone. Raises `ModelError` where cells,
    orders or coordinates differ, and where facets meet that do not match.
    """
    if not meshes:
        raise ModelError("nothing to join: give at least one mesh")
    first = meshes[0]
    for other in meshes[1:]:
        for what in ("cell", "order", "axisymmetric"):
            if getattr(other, what) != getattr(first, what):
                ours, theirs = getattr(first, what), getattr(other, what)
                raise ModelError(f"meshes to join differ in {what}: {ours} and {theirs}")
    point_offsets = np.cumsum([0, *[mesh.n_points for mesh in meshes]])
    cell_offsets = np.cumsum([0, *[mesh.n_cells for mesh in meshes]])
    points = np.concatenate([mesh.points for mesh in meshes])
    cells = np.concatenate([mesh.cells + shift for mesh, shift in zip(meshes, point_offsets, strict=False)])
    regions: dict[str, list[IntArray]] = {}
    boundaries: dict[str, list[IntArray]] = {}
    for mesh, point, cell in zip(meshes, point_offsets, cell_offsets, strict=False):
        for name, numbers in mesh.regions.items():
            regions.setdefault(name, []).append(numbers + cell)
        for name, facets in mesh.boundaries.items():
            boundaries.setdefault(name, []).append(facets + point)
    points, new_number = merged_points(points, cells, first.cell)
    joined = _drop_inner(
        points,
        new_number[cells],
        first,
        {name: np.concatenate(parts) for name, parts in regions.items()},
        {name: new_number[np.concatenate(parts)] for name, parts in boundaries.items()},
        frozenset(interfaces),
    )
    refuse_hanging_points(joined)
    if first.cell is Cell.TETRAHEDRON:
        _refuse_crossed_faces(meshes, point_offsets, new_number)
    return joined


def merged_points(points: Array, cells: IntArray, cell: Cell) -> tuple[Array, IntArray]:
    """Return the points without those that coincide with an earlier one, and (n_points,) the new number of each."""
    edges = cells[:, reference(cell, 1).edges]
    shortest = float(np.linalg.norm(points[edges[..., 0]] - points[edges[..., 1]], axis=-1).min())
    # Far above the rounding of two maps that describe one curve, far below anything that is meant.
    tolerance = max(1e-6 * shortest, 1e-13 * float(np.abs(points).max()))
    pairs = KDTree(points).query_pairs(tolerance, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(points),) * 2)
    label = connected_components(graph, directed=False)[1]
    kept = np.unique(label, return_index=True)[1]
    order = np.argsort(kept)  # the kept points stay in their order
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return points[kept[order]], rank[label].astype(np.int64)


def _drop_inner(
    points: Array,
    cells: IntArray,
    like: Mesh,
    regions: Mapping[str, IntArray],
    boundaries: Mapping[str, IntArray],
    interfaces: frozenset[str],
) -> Mesh:
    for name in interfaces:
        if name not in boundaries:
            raise unknown_name("boundary of the meshes to join", name, boundaries)
    all_of_them = all_facets(cells, like.cell)
    kept = {}
    for name, facets in boundaries.items():
        rows = find_facets(all_of_them, facets)
        once = np.zeros(len(facets), dtype=bool)
        once[np.unique(all_of_them.number[rows], return_index=True)[1]] = True
        if name not in interfaces:
            once &= all_of_them.outer[rows]
        if once.any():
            kept[name] = facets[once]
    return Mesh(points, cells, like.cell, like.order, regions, kept, like.axisymmetric)


def _refuse_crossed_faces(meshes: Sequence[Mesh], offsets: IntArray, new_number: IntArray) -> None:
    """Refuse triangles that have all their points on another mesh's surface and are none of its facets."""
    outer = [new_number[mesh.outer_facets + shift] for mesh, shift in zip(meshes, offsets, strict=False)]
    for i, mine in enumerate(outer):
        for j, theirs in enumerate(outer):
            touching = mine[np.isin(mine, theirs).all(axis=1)] if i != j else mine[:0]
            number = row_numbers(np.concatenate([theirs, touching]))
            lost = int((~np.isin(number[len(theirs) :], number[: len(theirs)])).sum())
            if lost:
                raise ModelError(
                    f"meshes {i} and {j} meet in {lost} triangles that do not match; join them as hexahedra and cut "
                    "the result (.simplices())"
                )
