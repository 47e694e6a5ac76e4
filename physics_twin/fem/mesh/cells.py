"""The five shapes of cells and their reference elements, in the numbering of basix (DOLFINx).

Vertices, nodes and facets of a cell are numbered as in basix 0.11 for equispaced Lagrange elements of degree 1 and 2,
so that `Mesh.cells` goes to DOLFINx as it is. A quadrilateral's vertices run (0,0) (1,0) (0,1) (1,1): not around it.
"""

import enum
from dataclasses import dataclass
from functools import cache

import numpy as np

from physics_twin.arrays import Array

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class Cell(enum.Enum):
    """The shape of all cells of a mesh."""

    INTERVAL = "interval"
    TRIANGLE = "triangle"
    QUADRILATERAL = "quadrilateral"
    TETRAHEDRON = "tetrahedron"
    HEXAHEDRON = "hexahedron"

    @property
    def dimension(self) -> int:
        """1, 2 or 3."""
        return {"interval": 1, "triangle": 2, "quadrilateral": 2}.get(self.value, 3)

    @property
    def is_simplex(self) -> bool:
        """Whether it is an interval, a triangle or a tetrahedron."""
        return self in (Cell.INTERVAL, Cell.TRIANGLE, Cell.TETRAHEDRON)

    @property
    def plural(self) -> str:
        """What several of them are called."""
        plurals = {"tetrahedron": "tetrahedra", "hexahedron": "hexahedra"}
        return plurals.get(self.value, self.value + "s")


def n_nodes(cell: Cell, order: int) -> int:
    """Return the number of nodes of a cell whose geometry has this order, 1 or 2."""
    return len(reference(cell, order).lattice)


# Nodes of degree 2 in twice the reference coordinates; the vertices come first and are those of degree 1.
_LATTICE_2 = {
    Cell.INTERVAL: "0 2 1",
    Cell.TRIANGLE: "00 20 02 11 01 10",
    Cell.QUADRILATERAL: "00 20 02 22 10 01 21 12 11",
    Cell.TETRAHEDRON: "000 200 020 002 011 101 110 001 010 100",
    Cell.HEXAHEDRON: (
        "000 200 020 220 002 202 022 222 100 010 001 210 201 120 021 221 102 012 212 122 110 101 011 211 121 112 111"
    ),
}
_FACETS = {
    Cell.INTERVAL: "0 1",
    Cell.TRIANGLE: "12 02 01",
    Cell.QUADRILATERAL: "01 02 13 23",
    Cell.TETRAHEDRON: "123 023 013 012",
    Cell.HEXAHEDRON: "0123 0145 0246 1357 2367 4567",
}
_EDGES = {
    Cell.INTERVAL: "01",
    Cell.TRIANGLE: "12 02 01",
    Cell.QUADRILATERAL: "01 02 13 23",
    Cell.TETRAHEDRON: "23 13 12 03 02 01",
    Cell.HEXAHEDRON: "01 02 04 13 15 23 26 37 45 46 57 67",
}
FACET_CELL = {
    Cell.TRIANGLE: Cell.INTERVAL,
    Cell.QUADRILATERAL: Cell.INTERVAL,
    Cell.TETRAHEDRON: Cell.TRIANGLE,
    Cell.HEXAHEDRON: Cell.QUADRILATERAL,
}
"""The cell that a facet is; a facet of an interval is a point."""


def _digits(text: str) -> IntArray:
    return np.array([[int(digit) for digit in word] for word in text.split()], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Reference:
    """A reference element: unit simplex or unit cube with equispaced Lagrange nodes.

    lattice: (n_nodes, dimension) node coordinates times `order`. n_vertices. facets: (n_facets, n_facet_vertices)
    local vertex numbers. outward: (n_facets,) +1 where the facet's own numbering (for 2-D along the edge, for 3-D
    around the face by the right hand) has the cell behind it, -1 where it has the cell in front.
    """

    cell: Cell
    order: int
    lattice: IntArray
    n_vertices: int
    facets: IntArray
    facet_nodes: IntArray
    edges: IntArray
    outward: IntArray
    exponents: IntArray
    coefficients: Array

    @property
    def nodes(self) -> Array:
        """(n_nodes, dimension) reference coordinates of the nodes."""
        return np.asarray(self.lattice / self.order, dtype=np.float64)

    def values(self, points: Array) -> Array:
        """Return (n_points, n_nodes) shape functions at (n_points, dimension) reference points."""
        return np.asarray(_monomials(points, self.exponents) @ self.coefficients)

    def gradients(self, points: Array) -> Array:
        """Return (n_points, n_nodes, dimension) gradients of the shape functions at reference points."""
        parts = []
        for axis in range(self.cell.dimension):
            factor = self.exponents[:, axis]
            lowered = self.exponents.copy()
            lowered[:, axis] = np.maximum(factor - 1, 0)
            parts.append((_monomials(points, lowered) * factor) @ self.coefficients)
        return np.stack(parts, axis=-1)

    def mirrored(self) -> IntArray:
        """Return the renumbering of nodes that turns a left-handed cell into a right-handed one at the same place."""
        image = self.lattice.copy()
        if self.cell in (Cell.TRIANGLE, Cell.TETRAHEDRON):
            image[:, [0, 1]] = image[:, [1, 0]]
        else:
            image[:, 0] = self.order - image[:, 0]
        return positions(self.lattice, image)


def positions(lattice: IntArray, wanted: IntArray) -> IntArray:
    """Return the row number in `lattice` of each row of `wanted`."""
    numbers = {tuple(row): number for number, row in enumerate(lattice.tolist())}
    return np.array([numbers[tuple(row)] for row in wanted.tolist()], dtype=np.int64)


def _monomials(points: Array, exponents: IntArray) -> Array:
    return np.asarray(np.prod(points[:, None, :] ** exponents[None, :, :], axis=2))


@cache
def reference(cell: Cell, order: int) -> Reference:
    """Return the reference element of a cell and a degree of geometry, 1 or 2."""
    dimension = cell.dimension
    lattice = _digits(_LATTICE_2[cell])
    n_vertices = int(np.sum(np.all(lattice != 1, axis=1)))
    if order == 1:
        lattice = lattice[:n_vertices] // 2
    vertices = lattice[:n_vertices]
    facets = _digits(_FACETS[cell])
    grid = np.stack(np.meshgrid(*[np.arange(order + 1)] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    exponents = grid[grid.sum(axis=1) <= order] if cell.is_simplex else grid
    coefficients = np.linalg.inv(_monomials(lattice / order, exponents))
    return Reference(
        cell=cell,
        order=order,
        lattice=lattice,
        n_vertices=n_vertices,
        facets=facets,
        facet_nodes=_facet_nodes(cell, order, lattice, vertices, facets),
        edges=_digits(_EDGES[cell]),
        outward=_outward(vertices / order, facets),
        exponents=exponents,
        coefficients=coefficients,
    )


def _facet_nodes(cell: Cell, order: int, lattice: IntArray, vertices: IntArray, facets: IntArray) -> IntArray:
    """Return (n_facets, n_facet_nodes) local nodes of each facet, in the numbering of the facet's own cell."""
    if cell is Cell.INTERVAL:
        return facets
    own = reference(FACET_CELL[cell], order)
    weights = reference(FACET_CELL[cell], 1).values(own.nodes)  # a facet of a reference cell is flat
    wanted = np.rint(np.einsum("nv,fvd->fnd", weights, vertices[facets])).astype(np.int64)
    return np.stack([positions(lattice, rows) for rows in wanted])


def around(facets: IntArray) -> IntArray:
    """Return facets (n, 2 | 3 | 4) with their vertices in cyclic order: quadrilaterals are numbered in rows."""
    return facets[:, [0, 1, 3, 2]] if facets.shape[1] == 4 else facets


def _outward(vertices: Array, facets: IntArray) -> IntArray:
    center = vertices.mean(axis=0)
    corners = vertices[facets]
    away = corners.mean(axis=1) - center
    dimension = vertices.shape[1]
    if dimension == 1:
        normal = np.ones((len(facets), 1))
    elif dimension == 2:
        along = corners[:, 1] - corners[:, 0]
        normal = np.stack([along[:, 1], -along[:, 0]], axis=1)  # the cell lies left of its edges
    else:
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.asarray(np.sign(np.einsum("fd,fd->f", normal, away)), dtype=np.int64)
