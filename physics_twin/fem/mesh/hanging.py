"""Points that hang: vertices inside a facet of another cell, where two parts touch without sharing their points.

Nothing passes through such a place, as through a crack, and no equation says so.
"""

import numpy as np
from scipy.spatial import KDTree

from physics_twin.arrays import Array
from physics_twin.errors import ModelError
from physics_twin.fem.mesh.cells import IntArray
from physics_twin.fem.mesh.checks import Finding
from physics_twin.fem.mesh.mesh import Mesh

NEAR = 1e-6
"""Distance from a facet, over the facet's size, at which a point counts as being on it."""

MOST_PAIRS = 20_000_000
"""Pairs of facet and point beyond which the search is given up: needle-shaped facets have thousands of neighbors."""

_CHUNK = 2_000_000


def hanging_points(mesh: Mesh) -> tuple[Finding, ...]:
    """Return an error for vertices of outer facets that lie inside, or on an edge of, facets they are no part of."""
    if mesh.dimension == 1:
        return ()
    facets = mesh.outer_facets
    numbers = np.unique(facets)
    tree = KDTree(mesh.points[numbers])
    corners = mesh.points[facets]
    middle = corners.mean(axis=1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
    n_near = tree.query_ball_point(middle, radius, return_length=True)
    if int(n_near.sum()) > MOST_PAIRS:
        message = "whether points hang was not looked for: the outer facets are too long and thin"
        return (Finding("mesh", 0, message, False),)
    owners = mesh.facets.cells[mesh.facets.outer]
    hanging: list[IntArray] = []
    carrying: list[IntArray] = []
    for part in np.array_split(np.arange(len(facets)), 1 + int(n_near.sum()) // _CHUNK):
        near = tree.query_ball_point(middle[part], radius[part])
        facet = np.repeat(part, n_near[part])
        point = numbers[np.concatenate(near).astype(np.int64)]
        foreign = (facets[facet] != point[:, None]).all(axis=1)
        facet, point = facet[foreign], point[foreign]
        inside = _on_facet(mesh.points[point], corners[facet], radius[facet])
        hanging.append(point[inside])
        carrying.append(owners[facet[inside]])
    found = np.unique(np.concatenate(hanging))
    if len(found) == 0:
        return ()
    place = ", ".join(f"{x:.4g}" for x in mesh.points[found[0]])
    touching = np.concatenate([np.flatnonzero(np.isin(mesh.vertices, found).any(axis=1)), *carrying])
    names = [name for name, cells in mesh.regions.items() if np.isin(touching, cells).any()]
    n = len(found)
    message = (
        f"{n} point{'s hang' if n > 1 else ' hangs'} on facets of cells that have other corners (regions "
        f"{', '.join(names)}; the first at ({place}) m): give both sides the same cells there"
    )
    return (Finding("mesh", len(found), message, True),)


def refuse_hanging_points(mesh: Mesh) -> None:
    """Raise `ModelError` where points hang."""
    for finding in hanging_points(mesh):
        if finding.is_error:
            raise ModelError(finding.message)


def _on_facet(points: Array, corners: Array, radius: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return (n,) whether points (n, d) lie on facets (n, n_corners, d), away from the facets' corners."""
    away = (np.linalg.norm(corners - points[:, None], axis=2) > NEAR * radius[:, None]).all(axis=1)
    if corners.shape[1] <= 3:
        on = _on_simplex(points, corners, radius)
    else:
        on = _on_simplex(points, corners[:, [0, 1, 3]], radius) | _on_simplex(points, corners[:, [0, 3, 2]], radius)
    return np.asarray(on & away)


def _on_simplex(points: Array, corners: Array, radius: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    sides = corners[:, 1:] - corners[:, :1]
    offset = points - corners[:, 0]
    gram = np.einsum("nid,njd->nij", sides, sides)
    weights = np.linalg.solve(gram, np.einsum("nid,nd->ni", sides, offset)[..., None])[..., 0]
    rest = np.linalg.norm(offset - np.einsum("ni,nid->nd", weights, sides), axis=1)
    inside = (weights >= -NEAR).all(axis=1) & (weights.sum(axis=1) <= 1.0 + NEAR)
    return np.asarray(inside & (rest <= NEAR * radius))
