"""Cutting quadrilaterals and hexahedra into simplices.

Every cell, and every face of it, is cut from its vertex of the lowest point number: two hexahedra agree on the
diagonal of the face that they share without knowing each other (the pulling triangulation; Dompierre et al., How to
subdivide pyramids, prisms and hexahedra into tetrahedra, 8th Int. Meshing Roundtable, 1999). A hexahedron makes the
six cones over the two halves of each of the three faces that do not touch its lowest vertex; each has a sixth of the
volume of a parallelepiped.
"""

from dataclasses import replace

import numpy as np

from physics_twin.fem.mesh.cells import Cell, IntArray, reference
from physics_twin.fem.mesh.geometry import right_handed
from physics_twin.fem.mesh.mesh import Mesh


def cut(mesh: Mesh) -> Mesh:
    """Return the mesh of triangles or tetrahedra that quadrilaterals or hexahedra make."""
    element = reference(mesh.cell, mesh.order)
    corners = element.lattice[: element.n_vertices]
    lowest = np.argmin(mesh.vertices, axis=1)
    if mesh.cell is Cell.QUADRILATERAL:
        cell, n = Cell.TRIANGLE, 2
        local = _halves(np.broadcast_to(np.arange(4), (mesh.n_cells, 4)), mesh.vertices)
    else:
        cell, n = Cell.TETRAHEDRON, 6
        # (8, 3, 4): the faces without each vertex
        far = np.array([[face for face in element.facets if vertex not in face] for vertex in range(8)])
        faces = far[lowest].reshape(-1, 4)
        numbers = np.take_along_axis(np.repeat(mesh.vertices, 3, axis=0), faces, axis=1)
        triangles = _halves(faces, numbers)
        local = np.concatenate([np.repeat(lowest, 6)[:, None], triangles], axis=1)
    parent = np.repeat(np.arange(mesh.n_cells), n)
    # Nodes of second order sit half way between two vertices, where the parent has a node too.
    simplex = reference(cell, mesh.order)
    weights = reference(cell, 1).values(simplex.nodes)
    wanted = np.rint(np.einsum("nv,cvd->cnd", weights, corners[local])).astype(np.int64)
    base = (mesh.order + 1) ** np.arange(mesh.dimension)
    node_at = np.empty((mesh.order + 1) ** mesh.dimension, dtype=np.int64)
    node_at[element.lattice @ base] = np.arange(len(element.lattice))
    cells = np.take_along_axis(mesh.cells[parent], node_at[wanted @ base], axis=1)
    regions = {name: (numbers[:, None] * n + np.arange(n)).ravel() for name, numbers in mesh.regions.items()}
    boundaries = dict(mesh.boundaries)
    if mesh.dimension == 3:
        boundaries = {
            name: np.take_along_axis(
                np.repeat(facets, 2, axis=0),
                _halves(np.broadcast_to(np.arange(4), (len(facets), 4)), facets),
                axis=1,
            )
            for name, facets in mesh.boundaries.items()
        }
    cells = right_handed(mesh.points, cells, cell, mesh.order)
    return replace(mesh, cells=cells, cell=cell, regions=regions, boundaries=boundaries)


def _halves(corners: IntArray, numbers: IntArray) -> IntArray:
    """Return (2 n, 3) the triangles of quadrilaterals (n, 4) in rows, cut from the vertex of the lowest number."""
    on_main = np.isin(np.argmin(numbers, axis=1), [0, 3])[:, None, None]  # the diagonal of vertices 0 and 3
    choice = np.where(on_main, np.array([[0, 1, 3], [0, 3, 2]]), np.array([[1, 3, 2], [1, 2, 0]]))
    return np.take_along_axis(np.repeat(corners, 2, axis=0), choice.reshape(-1, 3), axis=1)
