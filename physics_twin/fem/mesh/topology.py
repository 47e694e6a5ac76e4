"""Which cells share which facets: numbering of facets, outer facets, parts that hang together."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from physics_twin.fem.mesh.cells import Cell, IntArray, around, reference


def row_numbers(rows: IntArray) -> IntArray:
    """Return (n_rows,) a number for each row, equal where the rows hold the same numbers in whatever order.

    Rows of whole numbers are told apart by the sum of a 64-bit mix of each, so that one column is sorted and not all;
    rows of one sum are compared, and should two that differ meet (once in 1e7 meshes), columns are sorted after all.
    """
    rows = np.sort(rows, axis=1)
    key = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        key += _mixed(column)
    order = np.argsort(key)
    sorted_key = key[order]
    same = sorted_key[1:] == sorted_key[:-1]
    if not np.array_equal(rows[order[1:][same]], rows[order[:-1][same]]):
        order = np.lexsort(rows.T)
        same = (rows[order[1:]] == rows[order[:-1]]).all(axis=1)
    number = np.empty(len(rows), dtype=np.int64)
    number[order] = np.cumsum(np.concatenate([[False], ~same]))[: len(rows)]
    return number


def _mixed(numbers: IntArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    """Return numbers spread over 64 bits (Steele, Lea and Flood, SplitMix, OOPSLA 2014); arithmetic modulo 2**64."""
    z = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


@dataclass(frozen=True, eq=False)
class Facets:
    """All facets of all cells, each as often as it has cells.

    vertices: (n, n_facet_vertices) point numbers. cells, local: (n,) the cell and which facet of it. number: (n,)
    equal for the same facet. n_cells: (n,) how many cells have it. outer: (n,) whether only one has.
    """

    vertices: IntArray
    cells: IntArray
    local: IntArray
    number: IntArray
    n_cells: IntArray

    @property
    def outer(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Return (n,) whether the facet belongs to one cell only."""
        return np.asarray(self.n_cells == 1)


def all_facets(cells: IntArray, cell: Cell) -> Facets:
    """Return the facets of cells (n_cells, n_nodes); nodes beyond the vertices are left aside."""
    local = reference(cell, 1).facets
    vertices = cells[:, local].reshape(-1, local.shape[1])
    number = row_numbers(vertices)
    return Facets(
        vertices=vertices,
        cells=np.repeat(np.arange(len(cells), dtype=np.int64), len(local)),
        local=np.tile(np.arange(len(local), dtype=np.int64), len(cells)),
        number=number,
        n_cells=np.bincount(number)[number],
    )


def find_facets(facets: Facets, wanted: IntArray) -> IntArray:
    """Return for each of `wanted` (m, n_facet_vertices) a row of `facets` that is the same facet; -1 if none is."""
    if len(wanted) == 0:
        return np.zeros(0, dtype=np.int64)
    # Sorting is what takes time: only facets whose vertices all occur are candidates.
    occurs = np.zeros(max(int(facets.vertices.max()), int(wanted.max())) + 1, dtype=bool)
    occurs[wanted] = True
    candidates = np.flatnonzero(occurs[facets.vertices].all(axis=1))
    n = len(candidates)
    number = row_numbers(np.concatenate([facets.vertices[candidates], wanted]))
    row_of = np.full(int(number.max()) + 1, -1, dtype=np.int64)
    row_of[number[:n]] = candidates
    return np.asarray(row_of[number[n:]])


def orientation(facets: Facets, cell: Cell) -> IntArray:
    """Return (n,) +1 or -1: the side of the facet, told by point numbers alone, on which a right-handed cell lies.

    Two cells that share a facet and lie on its two sides have opposite signs; equal signs mean that they overlap.
    """
    sign = reference(cell, 1).outward[facets.local]
    ring = around(facets.vertices)
    n = ring.shape[1]
    if n == 1:
        return np.asarray(sign)
    if n == 2:
        return np.asarray(np.where(ring[:, 0] < ring[:, 1], sign, -sign))
    first = np.argmin(ring, axis=1)
    row = np.arange(len(ring))
    rising = ring[row, (first + 1) % n] < ring[row, (first - 1) % n]
    return np.asarray(np.where(rising, sign, -sign))


def pieces(cells: IntArray, n_points: int) -> tuple[int, IntArray]:
    """Return how many pieces the cells fall into that share no point, and (n_cells,) the piece of each."""
    first = np.repeat(cells[:, 0], cells.shape[1] - 1)
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, cells[:, 1:].ravel())), shape=(n_points, n_points))
    labels = connected_components(graph, directed=False)[1]
    found, piece = np.unique(labels[cells[:, 0]], return_inverse=True)
    return len(found), piece.reshape(-1).astype(np.int64)
