"""What can be wrong with a mesh, in words for the person who has to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, ShapeError
from physics_twin.fem.mesh.cells import Cell, IntArray, reference
from physics_twin.fem.mesh.geometry import scaled_jacobians
from physics_twin.fem.mesh.topology import find_facets, orientation, pieces

if TYPE_CHECKING:
    from physics_twin.fem.mesh.mesh import Mesh

FLAT = 1e-9
"""Scaled Jacobian below which a cell counts as flat: a needle of 1:1e8 passes, rounding of coordinates does not."""

POOR = 1e-3
"""Scaled Jacobian below which a cell is reported; thin layers cut into tetrahedra stay above it down to 1:30."""


@dataclass(frozen=True)
class Finding:
    """Something wrong or odd with a mesh.

    subject: the region, boundary or "mesh". n: how many cells, facets or points. is_error: no mesh is made with it.
    """

    subject: str
    n: int
    message: str
    is_error: bool

    def __str__(self) -> str:
        """Return the message."""
        return self.message


def normalized(mesh: Mesh) -> dict[str, Any]:
    """Return the fields of a mesh as arrays of the right type and shape, read-only; raises `ShapeError`."""
    if not isinstance(mesh.cell, Cell):
        raise ShapeError(f"cell = {mesh.cell!r} is no fem.mesh.Cell; there are {', '.join(c.name for c in Cell)}")
    if mesh.order not in (1, 2):
        raise ShapeError(f"order = {mesh.order!r}: the geometry of a mesh is of order 1 or 2")
    points = np.array(mesh.points, dtype=np.float64)
    dimension = mesh.cell.dimension
    if points.ndim != 2 or points.shape[1] != dimension:
        raise ShapeError(
            f"points of {mesh.cell.plural} have shape (n_points, {dimension}), not {points.shape}; surfaces and lines "
            "in space are no bodies of this library"
        )
    if not np.isfinite(points).all():
        raise ShapeError(f"{int((~np.isfinite(points)).any(axis=1).sum())} points have coordinates that are not finite")
    if mesh.axisymmetric and dimension != 2:
        raise ShapeError(f"an axisymmetric mesh has coordinates (r, z), not {dimension}")
    element = reference(mesh.cell, mesh.order)
    n_points = len(points)
    cells = _numbers(mesh.cells, "cells", (-1, len(element.lattice)), n_points, "points")
    if len(cells) == 0:
        raise ShapeError("a mesh has at least one cell")
    regions = {}
    for name, numbers in _named(mesh.regions, "region").items():
        regions[name] = np.unique(_numbers(numbers, f'region "{name}"', (-1,), len(cells), "cells"))
    boundaries = {}
    width = element.facets.shape[1]
    for name, numbers in _named(mesh.boundaries, "boundary").items():
        boundaries[name] = _numbers(numbers, f'boundary "{name}"', (-1, width), n_points, "points")
    for array in (points, cells, *regions.values(), *boundaries.values()):
        array.flags.writeable = False
    return {"points": points, "cells": cells, "regions": regions, "boundaries": boundaries}


def _named(parts: Mapping[str, IntArray], kind: str) -> dict[str, IntArray]:
    for name in parts:
        if not str(name).strip() or str(name) != name:
            raise ModelError(f"the name of a {kind} is a text of at least one letter, not {name!r}")
    return dict(parts)


def _numbers(values: object, what: str, shape: tuple[int, ...], n: int, of: str) -> IntArray:
    array = np.array(values)
    wanted = "(" + ", ".join("n" if size < 0 else str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"
    if array.size == 0:
        return np.zeros([max(size, 0) for size in shape], dtype=np.int64)
    if array.ndim != len(shape) or any(size not in (-1, given) for size, given in zip(shape, array.shape, strict=True)):
        raise ShapeError(f"{what}: whole numbers of shape {wanted} are expected, not {array.shape}")
    if not np.issubdtype(array.dtype, np.integer):
        raise ShapeError(f"{what}: whole numbers are expected, not {array.dtype}")
    wrong = int(((array < 0) | (array >= n)).sum())
    if wrong:
        raise ShapeError(f"{what}: {wrong} numbers are outside 0 to {n - 1}, the {of} there are")
    return np.asarray(array, dtype=np.int64)


def findings_of(mesh: Mesh) -> tuple[Finding, ...]:
    """Return all findings of a mesh whose arrays have the right shapes; errors first."""
    found = [*_shapes_of_cells(mesh), *_neighbors(mesh), *_named_cells(mesh), *_named_facets(mesh), *_points(mesh)]
    return tuple(sorted(found, key=lambda finding: not finding.is_error))


def _shapes_of_cells(mesh: Mesh) -> list[Finding]:
    worst = scaled_jacobians(mesh.points, mesh.cells, mesh.cell, mesh.order).min(axis=1)
    found = []
    inverted, flat = worst < -FLAT, np.abs(worst) <= FLAT
    for bad, word, fix in (
        (inverted, "inverted", "a corner lies on the wrong side, or the nodes are numbered left-handed"),
        (flat, "degenerate (flat, or with points that coincide)", "remove them, or move their points apart"),
    ):
        if bad.any():
            n = int(bad.sum())
            message = f"{_n(n, 'cell')} of {mesh.n_cells} {_is(n)} {word}, {_where(mesh, bad)}: {fix}"
            found.append(Finding("mesh", n, message, True))
    poor = (worst > FLAT) & (worst < POOR)
    if poor.any():
        n = int(poor.sum())
        message = f"{_n(n, 'cell')} of {mesh.n_cells} {_is(n)} nearly flat (scaled Jacobian {worst[poor].min():.2g})"
        found.append(Finding("mesh", n, f"{message}, {_where(mesh, poor)}", False))
    return found


def _neighbors(mesh: Mesh) -> list[Finding]:
    facets = mesh.facets
    found = []
    crowded = facets.n_cells > 2
    if crowded.any():
        n = len(np.unique(facets.number[crowded]))
        message = f"{_n(n, 'facet')} {_is(n)} shared by more than two cells: cells are doubled, or points are merged"
        found.append(Finding("mesh", n, message, True))
    sides = np.bincount(facets.number, weights=orientation(facets, mesh.cell))[facets.number]
    overlapping = (facets.n_cells == 2) & (sides != 0.0)
    if overlapping.any():
        n = len(np.unique(facets.cells[overlapping]))
        message = f"{n} cells overlap a neighbor: both lie on one side of the facet that they share"
        found.append(Finding("mesh", n, message, True))
    count, piece = pieces(mesh.vertices, mesh.n_points)
    if count > 1:
        sizes = np.bincount(piece)
        small = piece != int(np.argmax(sizes))
        n = int(small.sum())
        message = (
            f"the mesh falls into {count} pieces that share no point; {_n(n, 'cell')} hang{'s' * (n == 1)} loose, "
            f"{_where(mesh, small)}: merge coincident points (fem.mesh.join, read(..., merge=True)) or make one mesh "
            "for each body"
        )
        found.append(Finding("mesh", n, message, True))
    return found


def _named_cells(mesh: Mesh) -> list[Finding]:
    found = []
    count = np.zeros(mesh.n_cells, dtype=np.int64)
    for name, cells in mesh.regions.items():
        count[cells] += 1
        if len(cells) == 0:
            found.append(Finding(name, 0, f'region "{name}" has no cell', True))
    if np.any(count == 0):
        n = int((count == 0).sum())
        names = ", ".join(mesh.regions) or "none is named"
        message = f"{_n(n, 'cell')} of {mesh.n_cells} {_is(n)} in no region (regions: {names})"
        found.append(Finding("mesh", n, message, True))
    if np.any(count > 1):
        n = int((count > 1).sum())
        several = ", ".join(name for name, cells in mesh.regions.items() if np.any(count[cells] > 1))
        message = f"{_n(n, 'cell')} {_is(n)} in several regions at once ({several}); a cell has one material"
        found.append(Finding("mesh", n, message, True))
    return found


def _named_facets(mesh: Mesh) -> list[Finding]:
    found = []
    for name, vertices in mesh.boundaries.items():
        if len(vertices) == 0:
            found.append(Finding(name, 0, f'boundary "{name}" has no facet', True))
            continue
        rows = find_facets(mesh.facets, vertices)
        lost = int((rows < 0).sum())
        if lost:
            message = f'{lost} of {len(vertices)} facets of boundary "{name}" are no facets of the mesh\'s cells'
            found.append(Finding(name, lost, message, True))
            continue
        numbers = mesh.facets.number[rows]
        doubled = len(numbers) - len(np.unique(numbers))
        if doubled:
            message = f'{_n(doubled, "facet")} of boundary "{name}" {_is(doubled)} listed more than once'
            found.append(Finding(name, doubled, message, True))
        inside = int((~mesh.facets.outer[rows]).sum())
        if inside:
            message = f'{inside} of {len(vertices)} facets of boundary "{name}" lie inside the body, between two cells'
            found.append(Finding(name, inside, message, False))
    return found


def _points(mesh: Mesh) -> list[Finding]:
    found = []
    used = np.zeros(mesh.n_points, dtype=bool)
    used[mesh.cells] = True
    if not used.all():
        n = int((~used).sum())
        found.append(Finding("mesh", n, f"{_n(n, 'point')} {_is(n)} used by no cell", False))
    if mesh.axisymmetric:
        # Half a circle of second order may dip below the axis by rounding; a body that crosses it is counted twice.
        depth = -float(mesh.points[:, 0].min())
        if depth > 1e-9 * float(np.ptp(mesh.points[:, 0])):
            n = int((mesh.points[:, 0] < 0.0).sum())
            message = f"{_n(n, 'point')} of an axisymmetric mesh {_is(n)} at r < 0, down to {-depth:.4g} m"
            found.append(Finding("mesh", n, message, True))
    return found


def _n(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _where(mesh: Mesh, cells: Any) -> str:
    """Return where the first of the cells is, and in which regions they all are."""
    chosen = np.flatnonzero(cells)
    names = [name for name, numbers in mesh.regions.items() if np.isin(chosen, numbers).any()]
    middle: Array = mesh.points[mesh.vertices[chosen[0]]].mean(axis=0)
    place = ", ".join(f"{x:.4g}" for x in middle)
    regions = f'in region "{names[0]}"' if len(names) == 1 else f"in regions {', '.join(names)}" if names else ""
    first = f"near ({place}) m" if len(chosen) == 1 else f"the first near ({place}) m"
    return f"{regions}, {first}" if regions else first
