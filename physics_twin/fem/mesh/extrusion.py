"""Plane meshes pulled into solids."""

import numpy as np

from physics_twin.errors import ModelError
from physics_twin.fem.mesh.cells import Cell, IntArray, reference
from physics_twin.fem.mesh.geometry import right_handed
from physics_twin.fem.mesh.lengths import breaks, counts, length
from physics_twin.fem.mesh.mesh import Mesh
from physics_twin.units import QuantityLike


def extruded(
    mesh: Mesh,
    thickness: QuantityLike,
    cells: int,
    *,
    grading: float = 1.0,
    refine: int = 0,
    low: str = "back",
    high: str = "front",
) -> Mesh:
    """Return the solid that a plane mesh of quadrilaterals makes from z = 0 to `thickness`.

    `refine` splits the layers only, each in 2**refine. Regions and boundaries are pulled along; z = 0 becomes the
    boundary `low` and z = thickness `high` (a plate seen in the plane of the page has its front towards the reader).
    Raises `ModelError` for other meshes and for names that are taken.
    """
    if mesh.cell is not Cell.QUADRILATERAL or mesh.axisymmetric:
        raise ModelError(f"only plane meshes of quadrilaterals can be extruded, not {mesh!r}")
    for name in (low, high):
        if name in mesh.boundaries:
            raise ModelError(f'the boundary "{name}" is taken by the plane mesh; name the new one by low= or high=')
    (coarse,) = counts(cells, 1)
    order, n_plane = mesh.order, mesh.n_points
    vertices = length(thickness, "thickness") * breaks(coarse, grading, refine)
    n = len(vertices) - 1
    z = np.empty(order * n + 1)
    z[::order] = vertices
    if order == 2:
        z[1::2] = 0.5 * (vertices[1:] + vertices[:-1])
    points = np.concatenate(
        [np.tile(mesh.points, (len(z), 1)), np.repeat(z, n_plane)[:, None]],
        axis=1,
    )
    solid, plane = reference(Cell.HEXAHEDRON, order), reference(Cell.QUADRILATERAL, order)
    below = np.array([_row(plane.lattice, node[:2]) for node in solid.lattice])
    one = mesh.cells[:, below] + solid.lattice[:, 2] * n_plane
    layers = np.arange(n) * order * n_plane
    hexahedra: IntArray = (layers[:, None, None] + one).reshape(-1, one.shape[1])
    regions = {name: (np.arange(n)[:, None] * mesh.n_cells + numbers).ravel() for name, numbers in mesh.regions.items()}
    boundaries: dict[str, IntArray] = {
        name: (layers[:, None, None] + np.concatenate([edges, edges + order * n_plane], axis=1)).reshape(-1, 4)
        for name, edges in mesh.boundaries.items()
    }
    boundaries[low] = mesh.vertices
    boundaries[high] = mesh.vertices + (len(z) - 1) * n_plane
    hexahedra = right_handed(points, hexahedra, Cell.HEXAHEDRON, order)
    return Mesh(points, hexahedra, Cell.HEXAHEDRON, order, regions, boundaries)


def _row(lattice: IntArray, wanted: IntArray) -> int:
    return int(np.flatnonzero(np.all(lattice == wanted, axis=1))[0])
