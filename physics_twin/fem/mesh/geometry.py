"""Lengths, areas, volumes and Jacobians of the cells of a mesh, by the shape functions of its own geometry."""

from collections.abc import Iterator

import numpy as np

from physics_twin.arrays import Array
from physics_twin.fem.mesh.cells import Cell, IntArray, Reference, reference

CHUNK = 20_000
"""Cells at a time: 27 Jacobians of 20,000 hexahedra are 39 MB."""


def jacobians(points: Array, cells: IntArray, element: Reference, at: Array) -> Iterator[tuple[slice, Array]]:
    """Yield (slice of cells, (n_cells, n_at, dimension, dimension) dx_i/dX_j in m), chunk by chunk."""
    gradients = element.gradients(at)
    for start in range(0, len(cells), CHUNK):
        part = slice(start, min(start + CHUNK, len(cells)))
        yield part, np.einsum("cni,qnj->cqij", points[cells[part]], gradients, optimize=True)


def determinant(matrices: Array) -> Array:
    """Return the determinants of (..., n, n) matrices, n up to 3: five times as fast as a factorization of each."""
    a = np.moveaxis(matrices, (-2, -1), (0, 1))
    if len(a) == 1:
        return np.asarray(a[0, 0])
    if len(a) == 2:
        return np.asarray(a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0])
    return np.asarray(
        a[0, 0] * (a[1, 1] * a[2, 2] - a[1, 2] * a[2, 1])
        - a[0, 1] * (a[1, 0] * a[2, 2] - a[1, 2] * a[2, 0])
        + a[0, 2] * (a[1, 0] * a[2, 1] - a[1, 1] * a[2, 0])
    )


def scaled_jacobians(points: Array, cells: IntArray, cell: Cell, order: int) -> Array:
    """Return (n_cells, n_nodes) determinants over the lengths of their columns, in [-1, 1], at the nodes.

    1 is a right angle whatever the aspect ratio, 0 a cell that is flat there, negative one that is left-handed there.
    """
    element = reference(cell, order)
    result = np.empty((len(cells), len(element.lattice)))
    for part, jacobian in jacobians(points, cells, element, element.nodes):
        lengths = np.prod(np.linalg.norm(jacobian, axis=2), axis=-1)
        volume = determinant(jacobian)
        result[part] = np.divide(volume, lengths, out=np.zeros_like(volume), where=lengths > 0.0)
    return result


def right_handed(points: Array, cells: IntArray, cell: Cell, order: int) -> IntArray:
    """Return the cells with those that are left-handed renumbered; they stay where they are."""
    # One corner decides: a cell that is left-handed in some corners only is no cell either way.
    element = reference(cell, order)
    left = np.empty(len(cells), dtype=bool)
    for part, jacobian in jacobians(points, cells, element, element.nodes[:1]):
        left[part] = determinant(jacobian)[:, 0] < 0.0
    if not left.any():
        return cells
    turned = cells.copy()
    turned[left] = cells[left][:, element.mirrored()]
    return turned


def cell_measures(points: Array, cells: IntArray, cell: Cell, order: int, axisymmetric: bool = False) -> Array:
    """Return (n_cells,) m, m^2 or m^3; axisymmetric: m^3 of the full body of revolution, coordinates (r, z)."""
    element = reference(cell, order)
    at, weights = quadrature(cell, order + 1 + int(axisymmetric))
    values = element.values(at)
    measures = np.empty(len(cells))
    for part, jacobian in jacobians(points, cells, element, at):
        density = np.abs(determinant(jacobian))
        if axisymmetric:
            density = density * 2.0 * np.pi * (points[cells[part], 0] @ values.T)
        measures[part] = density @ weights
    return measures


def facet_measures(points: Array, facets: IntArray, cell: Cell, order: int, axisymmetric: bool = False) -> Array:
    """Return (n_facets,) m or m^2 of facets given by all nodes; `cell` is the facet's shape.

    axisymmetric: m^2 of the full surface of revolution. Points (facets of a bar) count 1 each.
    """
    if facets.shape[1] == 1:
        return np.ones(len(facets))
    element = reference(cell, order)
    at, weights = quadrature(cell, order + 2)
    jacobian = np.einsum("cni,qnj->cqij", points[facets], element.gradients(at), optimize=True)
    gram = np.einsum("cqij,cqik->cqjk", jacobian, jacobian)
    density = np.sqrt(determinant(gram))
    if axisymmetric:
        density = density * 2.0 * np.pi * (points[facets, 0] @ element.values(at).T)
    return np.asarray(density @ weights)


def quadrature(cell: Cell, n: int) -> tuple[Array, Array]:
    """Return points (n**dimension, dimension) and weights of Gauss's rule, on a simplex by Duffy's collapse.

    n points per direction are exact to degree 2 n - 1 on cubes and to 2 n - dimension on simplices.
    """
    abscissae, weights = np.polynomial.legendre.leggauss(n)
    abscissae, weights = 0.5 * (abscissae + 1.0), 0.5 * weights
    dimension = cell.dimension
    grid = np.stack(np.meshgrid(*[abscissae] * dimension, indexing="ij"), axis=-1).reshape(-1, dimension)
    weight = np.ones(1)
    for _ in range(dimension):
        weight = np.multiply.outer(weight, weights).ravel()
    if cell.is_simplex:
        rest = np.ones(len(grid))
        points = np.empty_like(grid)
        for axis in range(dimension):
            points[:, axis] = rest * grid[:, axis]
            weight = weight * rest if axis else weight
            rest = rest * (1.0 - grid[:, axis])
        return points, weight
    return grid, weight
