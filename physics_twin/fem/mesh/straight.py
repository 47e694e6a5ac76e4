"""Shapes with straight edges: bar, plate, box, step."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from physics_twin.errors import BoundsError, ModelError, ShapeError
from physics_twin.fem.mesh.blocks import block, join
from physics_twin.fem.mesh.cells import IntArray
from physics_twin.fem.mesh.extrusion import extruded
from physics_twin.fem.mesh.lengths import breaks, counts, lengths as _lengths, ratios
from physics_twin.fem.mesh.mesh import Mesh
from physics_twin.units import QuantityLike


def bar(
    length: QuantityLike | Sequence[QuantityLike],
    cells: int | Sequence[int],
    *,
    regions: Sequence[str] | None = None,
    grading: float | Sequence[float] = 1.0,
    refine: int = 0,
    order: int = 1,
) -> Mesh:
    """Return a 1-D mesh from x = 0: region "bar", boundaries left and right.

    Several lengths are layers, each with its number of cells and its region (`regions`, by default layer_1,
    layer_2 ...). grading: last cell over first cell, one ratio for all layers or one for each; refine: every cell in
    2**refine.

    >>> bar(["3 mm", "2 cm"], cells=[4, 20], regions=["film", "body"])
    <mesh: 24 intervals, 25 points, 23 mm; regions: film (4), body (20);
    boundaries: left (1), right (1)>
    """
    given: Sequence[QuantityLike]
    if isinstance(length, list) or (isinstance(length, tuple) and not _is_one_quantity(length)):
        given = length
    else:
        given = [length]  # type: ignore[list-item]
    n = len(given)
    if n == 0:
        raise ShapeError("length: at least one layer is expected")
    thicknesses = _lengths(given, n, "length")
    numbers = counts(cells, n, "cells", "one per layer")
    names = _layer_names(regions, n)
    start = np.concatenate([[0.0], np.cumsum(thicknesses)])
    places = [np.zeros(1)]
    parts: dict[str, list[IntArray]] = {}
    first = 0
    for i, ratio in enumerate(ratios(grading, n)):
        place = start[i] + thicknesses[i] * breaks(numbers[i], ratio, refine)
        place[-1] = start[i + 1]
        places.append(place[1:])
        parts.setdefault(names[i], []).append(np.arange(first, first + len(place) - 1))
        first += len(place) - 1
    mesh = block(lambda x: (x,), [np.concatenate(places)], order=order)
    return replace(mesh, regions={name: np.concatenate(cells) for name, cells in parts.items()})


def plate(
    lengths: Sequence[QuantityLike],
    cells: Sequence[int],
    *,
    grading: float | Sequence[float] = 1.0,
    refine: int = 0,
    order: int = 1,
    triangles: bool = False,
) -> Mesh:
    """Return a rectangle from (0, 0): region "body", boundaries left, right (x), bottom, top (y).

    lengths and cells: two each, x and y. grading: last cell over first cell, per direction.

    >>> plate(("0.6 m", "1 m"), cells=(6, 10))
    <mesh: 60 quadrilaterals, 77 points, 600 mm x 1 m; regions: body (60);
    boundaries: left (10), right (10), bottom (6), top (6)>
    """
    mesh = _straight_block(lengths, cells, 2, grading, refine, order)
    return mesh.simplices() if triangles else mesh


def box(
    lengths: Sequence[QuantityLike],
    cells: Sequence[int],
    *,
    grading: float | Sequence[float] = 1.0,
    refine: int = 0,
    order: int = 1,
    tetrahedra: bool = False,
) -> Mesh:
    """Return a box from (0, 0, 0): region "body", boundaries left, right (x), front, back (y), bottom, top (z).

    lengths and cells: three each. grading: last cell over first cell, per direction.

    >>> box(("100 mm", "50 mm", "20 mm"), cells=(4, 2, 1))
    <mesh: 8 hexahedra, 30 points, 100 mm x 50 mm x 20 mm; regions: body (8);
    boundaries: left (2), right (2), front (4), back (4), bottom (8), top (8)>
    """
    mesh = _straight_block(lengths, cells, 3, grading, refine, order)
    return mesh.simplices() if tetrahedra else mesh


def step(
    lengths: Sequence[QuantityLike],
    notch: Sequence[QuantityLike],
    cells: Sequence[Sequence[int]],
    *,
    depth: QuantityLike | None = None,
    depth_cells: int | None = None,
    refine: int = 0,
    order: int = 1,
    simplices: bool = False,
) -> Mesh:
    """Return a rectangle `lengths` (x, y) without a rectangle `notch` at its upper right: an L, or a step down.

    cells: ((left of the notch, below it in x), (below it in y, beside it)). Region "body"; boundaries left, bottom,
    top (above the full height), right (below the notch), tread (the notch's floor) and riser (its wall). With `depth`
    and `depth_cells` a solid of that depth in z: boundaries back (z = 0) and front.

    >>> step(("40 mm", "20 mm"), notch=("30 mm", "10 mm"), cells=((2, 6), (2, 2)))
    <mesh: 20 quadrilaterals, 33 points, 40 mm x 20 mm; regions: body (20);
    boundaries: left (4), right (2), bottom (8), top (2), riser (2), tread (6)>
    """
    whole = _lengths(lengths, 2, "lengths")
    cut = _lengths(notch, 2, "notch")
    if np.any(cut >= whole):
        raise BoundsError(f"notch = {notch!r} is not smaller than lengths = {lengths!r}")
    if len(cells) != 2:
        raise ShapeError(f"cells = {cells!r}: two pairs are expected, for x and y")
    (n_left, n_under), (n_low, n_high) = counts(cells[0], 2, "cells[0]"), counts(cells[1], 2, "cells[1]")
    (x, y), (width, height) = whole - cut, whole

    def part(x0: float, x1: float, y0: float, y1: float, n: tuple[int, int], **sides: str) -> Mesh:
        places = [breaks(k, 1.0, refine) for k in n]
        return block(lambda xi, eta: (x0 + (x1 - x0) * xi, y0 + (y1 - y0) * eta), places, sides=sides, order=order)

    mesh = join(
        part(0.0, x, 0.0, y, (n_left, n_low)),
        part(0.0, x, y, height, (n_left, n_high), right="riser"),
        part(x, width, 0.0, y, (n_under, n_low), top="tread"),
    )
    if (depth is None) != (depth_cells is None):
        raise ModelError("a solid step needs both depth and depth_cells")
    if depth is not None and depth_cells is not None:
        mesh = extruded(mesh, depth, depth_cells, refine=refine)
    return mesh.simplices() if simplices else mesh


def _straight_block(
    given: Sequence[QuantityLike],
    cells: Sequence[int],
    dimension: int,
    grading: float | Sequence[float],
    refine: int,
    order: int,
) -> Mesh:
    extent = _lengths(given, dimension, "lengths")
    numbers = counts(cells, dimension)
    places = [breaks(n, ratio, refine) for n, ratio in zip(numbers, ratios(grading, dimension), strict=True)]
    return block(lambda *place: [a * x for a, x in zip(extent, place, strict=True)], places, order=order)


def _is_one_quantity(value: tuple[object, ...]) -> bool:
    return len(value) == 2 and not isinstance(value[0], str | tuple | list)


def _layer_names(regions: Sequence[str] | None, n: int) -> Sequence[str]:
    if regions is None:
        return ["bar"] if n == 1 else [f"layer_{i + 1}" for i in range(n)]
    if isinstance(regions, str) or len(regions) != n:
        raise ShapeError(f"regions = {regions!r}: one name for each of the {n} layers is expected")
    return regions
