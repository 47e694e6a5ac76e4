"""`Mesh`: points, cells and named parts, as plain arrays."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh with named regions (sets of cells) and boundaries (sets of facets).

    points: (n_points, dimension) m, dimension 1, 2 or 3. cells: (n_cells, n_nodes) point numbers in the node order of
    DOLFINx (basix Lagrange). order: degree of the geometry, 1 or 2. regions: name -> cell numbers. boundaries: name ->
    (n_facets, n_facet_vertices) point numbers of the vertices. axisymmetric: the coordinates are (r, z).
    """

    points: Array
    cells: IntArray
    cell: Cell
    order: int = 1
    regions: Mapping[str, IntArray] = field(default_factory=dict)
    boundaries: Mapping[str, IntArray] = field(default_factory=dict)
    axisymmetric: bool = False

    @property
    def dimension(self) -> int:
        """1, 2 or 3."""
        return int(self.points.shape[1])
