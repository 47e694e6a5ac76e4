"""Uniform refinement: every cell in two per direction, by the geometry the mesh has."""

from dataclasses import replace
from functools import cache

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError
from physics_twin.fem.mesh.cells import FACET_CELL, Cell, IntArray, reference
from physics_twin.fem.mesh.geometry import right_handed
from physics_twin.fem.mesh.mesh import Mesh

# Vertices of the children in twice the reference coordinates. A tetrahedron leaves an octahedron in its middle, cut
# along the diagonal from the middle of edge 0-2 to that of edge 1-3 (Bey, Tetrahedral grid refinement, 1995).
_SIMPLEX_CHILDREN = {
    Cell.INTERVAL: [["0", "1"], ["1", "2"]],
    Cell.TRIANGLE: [["00", "10", "01"], ["10", "20", "11"], ["01", "11", "02"], ["11", "01", "10"]],
    Cell.TETRAHEDRON: [
        ["000", "100", "010", "001"],
        ["100", "200", "110", "101"],
        ["010", "110", "020", "011"],
        ["001", "101", "011", "002"],
        ["100", "010", "001", "101"],
        ["100", "010", "110", "101"],
        ["010", "001", "101", "011"],
        ["010", "110", "101", "011"],
    ],
}


@cache
def children(cell: Cell) -> IntArray:
    """Return (n_children, n_vertices, dimension) vertices of the children, in twice the reference coordinates."""
    if cell.is_simplex:
        return np.array([[[int(digit) for digit in word] for word in child] for child in _SIMPLEX_CHILDREN[cell]])
    vertices = reference(cell, 1).lattice
    return np.array([vertices + corner for corner in vertices])


def split_in_two(mesh: Mesh) -> Mesh:
    """Return the mesh with every cell split in two per direction; regions and boundaries go along."""
    element, order, dimension = reference(mesh.cell, mesh.order), mesh.order, mesh.dimension
    parts = children(mesh.cell)
    # The children's nodes in 2 * order times the parent's reference coordinates.
    shape = reference(mesh.cell, 1).values(element.nodes)
    fine = np.rint(np.einsum("nv,kvd->knd", shape, parts) * order).astype(np.int64)
    lattice, node_of = np.unique(fine.reshape(-1, dimension), axis=0, return_inverse=True)
    at = lattice / (2.0 * order)
    keys = _keys(mesh.vertices, mesh.cell, at, order, mesh.n_points)
    places = np.einsum("qn,cnd->cqd", element.values(at), mesh.points[mesh.cells], optimize=True)
    unique, first, number = np.unique(keys.ravel(), return_index=True, return_inverse=True)
    flat = places.reshape(-1, dimension)
    points = flat[first]
    number = number.reshape(keys.shape)
    # Keys are hashes: two points of one key have to be one point.
    gap = np.abs(flat - points[number.ravel()]).max()
    if gap > 1e-9 * np.ptp(mesh.points, axis=0).max():
        raise ModelError(
            f"refinement met points that should coincide and are {gap:.3g} m apart; is the mesh conforming?"
        )
    cells: IntArray = number[:, node_of.reshape(len(parts), -1)].reshape(-1, len(element.lattice))
    n = len(parts)
    regions = {name: (cells_of[:, None] * n + np.arange(n)).ravel() for name, cells_of in mesh.regions.items()}
    boundaries = {
        name: _split_facets(facets, mesh.cell, unique, order, mesh.n_points) for name, facets in mesh.boundaries.items()
    }
    cells = right_handed(points, cells, mesh.cell, order)
    return replace(mesh, points=points, cells=cells, regions=regions, boundaries=boundaries)


def _split_facets(facets: IntArray, cell: Cell, known: IntArray, order: int, n_points: int) -> IntArray:
    """Return the children's vertices of facets, numbered by the keys that the cells' new points have."""
    if cell is Cell.INTERVAL:
        keys = _keys(facets, None, np.zeros((1, 0)), order, n_points)
        return np.searchsorted(known, keys)
    facet = FACET_CELL[cell]
    parts = children(facet)
    places, vertex_of = np.unique(parts.reshape(-1, parts.shape[2]), axis=0, return_inverse=True)
    keys = _keys(facets, facet, places / 2.0, order, n_points, power=cell.dimension)
    numbers = np.searchsorted(known, keys)
    return np.asarray(numbers[:, vertex_of.reshape(len(parts), -1)].reshape(-1, facets.shape[1]))


def _keys(
    vertices: IntArray, cell: Cell | None, at: Array, order: int, n_points: int, power: int | None = None
) -> IntArray:
    """Return (n_cells, n_at) keys of places in cells: sums of random 64-bit numbers of the vertices, weighted.

    The weights are the vertices' shape functions as whole numbers over one denominator for cells and facets, so that
    a place has one key whichever cell or facet it is seen from.
    """
    random = np.random.default_rng(20_250_101).integers(0, 2**63, size=n_points, dtype=np.uint64)
    dimension = power if power is not None else (cell.dimension if cell is not None else 1)
    denominator = (2 * order) ** dimension
    weights = np.ones((1, 1)) if cell is None else reference(cell, 1).values(at)
    whole = np.rint(weights * denominator).astype(np.uint64)
    keys = np.zeros((len(vertices), len(whole)), dtype=np.uint64)
    for vertex in range(vertices.shape[1]):
        keys += random[vertices[:, vertex]][:, None] * whole[None, :, vertex]  # modulo 2**64, as is meant
    return keys.view(np.int64)
