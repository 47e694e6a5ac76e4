"""Shapes with round boundaries: cylinder, hollow cylinder, disk, sphere, plate with a hole.

Full disks and spheres have a core of squares or cubes, so that no cell degenerates at the axis or the center. On the
way from the core to the surface the edges of the core are blown up to the arc of the surface.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ModelError
from physics_twin.fem.mesh.blocks import block, join
from physics_twin.fem.mesh.extrusion import extruded
from physics_twin.fem.mesh.lengths import (
    angle as angle_of,
    breaks,
    counts,
    length,
    lengths as _lengths,
    multiple,
    ratios,
)
from physics_twin.fem.mesh.mesh import Mesh
from physics_twin.units import QuantityLike

CORE = 0.5
"""Half the width of the core over the radius."""

BULGE = 0.35
"""How far the core's sides go from straight (0) to the arc through its corners (1): keeps angles at corners wide."""


def disk(
    radius: QuantityLike,
    cells: Sequence[int],
    *,
    grading: float = 1.0,
    refine: int = 0,
    order: int = 1,
    triangles: bool = False,
) -> Mesh:
    """Return a full circle about (0, 0) in 2-D: region "body", boundary "side".

    cells: (from the core to the side, around); around is a multiple of 4. grading: outermost cell over innermost.
    """
    n_out, n_around = counts(cells, 2, "cells", "outwards, around")
    mesh = _disk(length(radius, "radius"), n_out, n_around, grading, refine, order)
    return mesh.simplices() if triangles else mesh


def cylinder(
    radius: QuantityLike,
    height: QuantityLike,
    cells: Sequence[int],
    *,
    axisymmetric: bool = False,
    grading: float | Sequence[float] = 1.0,
    refine: int = 0,
    order: int = 1,
    simplices: bool = False,
) -> Mesh:
    """Return a full cylinder about the z axis from z = 0: region "body", boundaries side, bottom, top.

    axisymmetric: the rectangle in (r, z) with cells=(radial, axial) and the boundary axis besides. Otherwise 3-D with
    cells=(from the core to the side, around, axial); around is a multiple of 4. grading: outermost over innermost and
    top over bottom cell: (radial, axial).

    >>> cylinder("20 mm", "0.1 m", cells=(8, 20), axisymmetric=True)
    <axisymmetric mesh: 160 quadrilaterals, 189 points, 20 mm x 100 mm; regions: body (160);
    boundaries: axis (20), side (20), bottom (8), top (8)>
    """
    a, h = length(radius, "radius"), length(height, "height")
    out, up = ratios(grading, 2)
    if axisymmetric:
        n_out, n_up = counts(cells, 2, "cells", "radial, axial")
        mesh = _rectangle(0.0, a, h, (n_out, n_up), (out, up), refine, order, {"left": "axis", "right": "side"})
    else:
        n_out, n_around, n_up = counts(cells, 3, "cells", "outwards, around, axial")
        plane = _disk(a, n_out, n_around, out, refine, order)
        mesh = _raised(plane, h, n_up, up, refine)
    return mesh.simplices() if simplices else mesh


def hollow_cylinder(
    inner_radius: QuantityLike,
    outer_radius: QuantityLike,
    height: QuantityLike | None = None,
    *,
    cells: Sequence[int],
    angle: QuantityLike = "360 deg",
    axisymmetric: bool = False,
    grading: float | Sequence[float] = 1.0,
    refine: int = 0,
    order: int = 1,
    simplices: bool = False,
) -> Mesh:
    """Return a tube about the z axis, or a section of it: region "body", boundaries inner, outer.

    axisymmetric: the rectangle in (r, z), cells=(radial, axial), boundaries bottom and top. Without height the 2-D
    section, cells=(radial, around). With height the solid, cells=(radial, around, axial), boundaries bottom and top.
    An `angle` below 360 deg makes a sector from the x axis towards y with the boundaries start and end. grading:
    outer over inner and top over bottom cell: (radial, axial).

    >>> hollow_cylinder("0.1 m", "0.2 m", cells=(4, 6), angle="90 deg", order=2)
    <mesh: 24 quadrilaterals of second order, 117 points, 200 mm x 200 mm; regions: body (24);
    boundaries: inner (6), outer (6), start (4), end (4)>
    """
    a, b = length(inner_radius, "inner_radius"), length(outer_radius, "outer_radius")
    if a >= b:
        raise BoundsError(f"inner_radius = {a:g} m is not below outer_radius = {b:g} m")
    out, up = ratios(grading, 2)
    if axisymmetric:
        if height is None:
            raise ModelError("an axisymmetric tube needs a height")
        n_out, n_up = counts(cells, 2, "cells", "radial, axial")
        h = length(height, "height")
        mesh = _rectangle(a, b, h, (n_out, n_up), (out, up), refine, order, {"left": "inner", "right": "outer"})
        return mesh.simplices() if simplices else mesh
    n = (
        counts(cells, 2, "cells", "radial, around")
        if height is None
        else counts(cells, 3, "cells", "radial, around, axial")
    )
    turn = angle_of(angle, "angle")
    full = math.isclose(turn, 2.0 * math.pi, rel_tol=1e-12)
    if not (0.0 < turn < 2.0 * math.pi or full):
        raise BoundsError(f"angle = {math.degrees(turn):g} deg is outside 0 to 360 deg")
    if full and n[1] < 3:
        raise BoundsError(f"cells = {cells!r}: a full ring has at least 3 cells around")
    names = {"left": "inner", "right": "outer", "bottom": "start", "top": "end"}

    def place(xi: Array, eta: Array) -> tuple[Array, Array]:
        r, phi = a + (b - a) * xi, turn * eta
        return r * np.cos(phi), r * np.sin(phi)

    mesh = block(place, [breaks(n[0], out, refine), breaks(n[1], 1.0, refine)], sides=names, order=order)
    if full:
        mesh = join(mesh)
    if height is not None:
        mesh = _raised(mesh, length(height, "height"), n[2], up, refine)
    return mesh.simplices() if simplices else mesh


def sphere(
    radius: QuantityLike,
    cells: Sequence[int],
    *,
    axisymmetric: bool = False,
    grading: float = 1.0,
    refine: int = 0,
    order: int = 1,
    simplices: bool = False,
) -> Mesh:
    """Return an octant of a ball about the origin: region "body", boundaries surface and the planes of symmetry.

    These are left (x = 0), front (y = 0) and bottom (z = 0). axisymmetric: the half disk r >= 0 in (r, z), boundaries
    surface and axis. cells: (from the core to the surface, around a full circle); around is a multiple of 8.
    grading: outermost cell over innermost.
    """
    a = length(radius, "radius")
    n_out, n_around = counts(cells, 2, "cells", "outwards, around")
    n = multiple(n_around, 8, "cells around")
    out, along = breaks(n_out, grading, refine), breaks(n, 1.0, refine)
    mesh = _half_disk(a, out, along, order) if axisymmetric else _octant(a, out, along, order)
    return mesh.simplices() if simplices else mesh


def plate_with_hole(
    lengths: Sequence[QuantityLike],
    radius: QuantityLike,
    cells: Sequence[int],
    *,
    quarter: bool = True,
    thickness: QuantityLike | None = None,
    thickness_cells: int | None = None,
    grading: float = 1.0,
    refine: int = 0,
    order: int = 1,
    simplices: bool = False,
) -> Mesh:
    """Return a rectangle `lengths` (x, y) about (0, 0) with a round hole in its middle: region "body".

    quarter: the part x >= 0, y >= 0 of it, with the planes of symmetry left (x = 0) and bottom (y = 0); else the full
    plate. Boundaries hole, left, right, bottom, top. cells: (from the hole outwards, along each half side of the
    plate). grading: outermost cell over the one at the hole. With `thickness` and `thickness_cells` a solid from
    z = 0: boundaries back (z = 0) and front.

    >>> plate_with_hole(("100 mm", "100 mm"), radius="10 mm", cells=(6, 4))
    <mesh: 48 quadrilaterals, 63 points, 50 mm x 50 mm; regions: body (48);
    boundaries: hole (8), right (4), bottom (6), top (4), left (6)>
    """
    width, height = 0.5 * _lengths(lengths, 2, "lengths")
    a = length(radius, "radius")
    if a >= min(width, height):
        raise BoundsError(f"radius = {a:g} m: the hole reaches the edge of the plate, {min(width, height):g} m away")
    n_out, n_along = counts(cells, 2, "cells", "outwards, along each half side")
    places = [breaks(n_out, grading, refine), breaks(n_along, 1.0, refine)]
    diagonal = math.atan2(height, width)

    def sector(first: float, last: float, start: tuple[float, float], end: tuple[float, float]) -> _Plane:
        def place(xi: Array, eta: Array) -> tuple[Array, Array]:
            phi = first + (last - first) * eta
            x = (1.0 - xi) * a * np.cos(phi) + xi * (start[0] + (end[0] - start[0]) * eta)
            y = (1.0 - xi) * a * np.sin(phi) + xi * (start[1] + (end[1] - start[1]) * eta)
            return x, y

        return place

    right = sector(0.0, diagonal, (width, 0.0), (width, height))
    top = sector(diagonal, 0.5 * math.pi, (width, height), (0.0, height))
    parts = []
    for sign_x, sign_y in ((1, 1),) if quarter else ((1, 1), (-1, 1), (-1, -1), (1, -1)):
        side = "right" if sign_x > 0 else "left"
        end = "top" if sign_y > 0 else "bottom"
        for place, names in (
            (right, {"left": "hole", "right": side, "bottom": "bottom" if quarter else None, "top": None}),
            (top, {"left": "hole", "right": end, "bottom": None, "top": "left" if quarter else None}),
        ):
            parts.append(block(_reflected(place, sign_x, sign_y), places, sides=names, order=order))
    mesh = join(*parts)
    if (thickness is None) != (thickness_cells is None):
        raise ModelError("a solid plate needs both thickness and thickness_cells")
    if thickness is not None and thickness_cells is not None:
        mesh = extruded(mesh, thickness, thickness_cells, refine=refine)
    return mesh.simplices() if simplices else mesh


type _Plane = Callable[[Array, Array], tuple[Array, Array]]


def _reflected(place: _Plane, sign_x: int, sign_y: int) -> _Plane:
    def reflected(xi: Array, eta: Array) -> tuple[Array, Array]:
        x, y = place(xi, eta)
        return sign_x * x, sign_y * y

    return reflected


def _rectangle(
    r0: float,
    r1: float,
    height: float,
    cells: tuple[int, int],
    grading: tuple[float, ...],
    refine: int,
    order: int,
    sides: dict[str, str | None],
) -> Mesh:
    places = [breaks(n, ratio, refine) for n, ratio in zip(cells, grading, strict=True)]
    return block(
        lambda xi, eta: (r0 + (r1 - r0) * xi, height * eta), places, sides=sides, order=order, axisymmetric=True
    )


def _raised(plane: Mesh, height: float, cells: int, grading: float, refine: int) -> Mesh:
    return extruded(plane, (height, "m"), cells, grading=grading, refine=refine, low="bottom", high="top")


def _core_side(s: Array) -> tuple[Array, Array]:
    """Return the right-hand side of a full core of half width 1, upwards: straight and arc mixed; s in [-1, 1]."""
    phi = 0.25 * np.pi * s
    straight, bulged = np.stack([np.ones_like(s), s]), math.sqrt(2.0) * np.stack([np.cos(phi), np.sin(phi)])
    x, y = (1.0 - BULGE) * straight + BULGE * bulged
    return x, y


def _core(xi: Array, eta: Array) -> tuple[Array, Array]:
    """Return places in a full core of half width 1 with bulged sides (Coons' patch); xi, eta in [-1, 1]."""
    x_side, y_side = _core_side(eta)
    y_end, x_end = _core_side(xi)
    # x: sides at xi = -1, 1 are -x_side, x_side; ends at eta = -1, 1 are x_end. Bilinear part: xi.
    return xi * x_side + x_end - xi, eta * y_end + y_side - eta


def _shell(side: Array, out: Array, radius: float) -> tuple[Array, Array]:
    """Return places right of a full core: `side` in [-1, 1] upwards, `out` in [0, 1] from the core to the arc."""
    x, y = _core_side(side)
    phi = 0.25 * np.pi * side
    core = CORE * radius
    return (
        (1.0 - out) * core * x + out * radius * np.cos(phi),
        (1.0 - out) * core * y + out * radius * np.sin(phi),
    )


def _disk(radius: float, n_out: int, n_around: int, grading: float, refine: int, order: int) -> Mesh:
    n = multiple(n_around, 4, "cells around")
    along, out = breaks(n, 1.0, refine), breaks(n_out, grading, refine)
    names = {"right": "side", "left": None, "bottom": None, "top": None}
    nowhere: dict[str, str | None] = dict.fromkeys(("left", "right", "bottom", "top"))

    def core(xi: Array, eta: Array) -> list[Array]:
        return [CORE * radius * x for x in _core(2.0 * xi - 1.0, 2.0 * eta - 1.0)]

    def shell(turn: int) -> _Plane:
        def place(xi: Array, eta: Array) -> tuple[Array, Array]:
            x, y = _shell(2.0 * eta - 1.0, xi, radius)
            for _ in range(turn):
                x, y = -y, x
            return x, y

        return place

    parts = [block(core, [along, along], sides=nowhere, order=order)]
    parts += [block(shell(turn), [out, along], sides=names, order=order) for turn in range(4)]
    return join(*parts)


def _half_disk(radius: float, out: Array, along: Array, order: int) -> Mesh:
    """Return the half disk r >= 0: right half of the core (one by two), and shells right, above and below."""
    both = np.concatenate([0.5 * along, 0.5 + 0.5 * along[1:]])
    nowhere: dict[str, str | None] = dict.fromkeys(("left", "right", "bottom", "top"))

    def core(xi: Array, eta: Array) -> list[Array]:
        return [CORE * radius * x for x in _core(xi, 2.0 * eta - 1.0)]

    def right(xi: Array, eta: Array) -> tuple[Array, Array]:
        return _shell(2.0 * eta - 1.0, xi, radius)

    def above(sign: int) -> _Plane:
        def place(xi: Array, eta: Array) -> tuple[Array, Array]:
            y, x = _shell(eta, xi, radius)
            return x, sign * y

        return place

    outer = {**nowhere, "right": "surface"}
    return join(
        block(core, [along, both], sides={**nowhere, "left": "axis"}, order=order, axisymmetric=True),
        block(right, [out, both], sides=outer, order=order, axisymmetric=True),
        *(
            block(above(sign), [out, along], sides={**outer, "bottom": "axis"}, order=order, axisymmetric=True)
            for sign in (1, -1)
        ),
    )


def _octant(radius: float, out: Array, along: Array, order: int) -> Mesh:
    """Return the octant x, y, z >= 0: an eighth of a bulged core, and a shell on each of its three outer faces."""
    width = CORE * radius

    def face(s: Array, t: Array) -> Array:
        """(3, n) the core's face towards x, half width 1; s along y, t along z in [0, 1]."""
        flat = np.stack([np.ones_like(s), s, t])
        return (1.0 - BULGE) * flat + BULGE * math.sqrt(3.0) * _direction(s, t)

    def core(xi: Array, eta: Array, zeta: Array) -> Array:
        # Each face pushes its bulge inwards in proportion to the distance from the center.
        place = np.stack([xi, eta, zeta])
        largest = np.max(place, axis=0)
        scale = np.where(largest > 0.0, largest, 1.0)
        unit = place / scale
        flat_share = 1.0 - BULGE * largest
        angle = np.tan(0.25 * np.pi * unit)
        norm = np.linalg.norm(angle, axis=0)
        ball = math.sqrt(3.0) * angle / np.where(norm > 0.0, norm, 1.0)
        return width * (flat_share * place + BULGE * largest * largest * ball)

    def shell(axis: int) -> Callable[[Array, Array, Array], Array]:
        def place(xi: Array, eta: Array, zeta: Array) -> Array:
            inner, outer = width * face(eta, zeta), radius * _direction(eta, zeta)
            return np.roll((1.0 - xi) * inner + xi * outer, axis, axis=0)

        return place

    nowhere: dict[str, str | None] = dict.fromkeys(("left", "right", "front", "back", "bottom", "top"))
    planes = ("left", "front", "bottom")
    parts = [block(core, [along] * 3, sides={**nowhere, **{name: name for name in planes}}, order=order)]
    for axis in range(3):
        # The block's eta = 0 and zeta = 0 are the planes after the axis that xi follows.
        names = {"right": "surface", "front": planes[(axis + 1) % 3], "bottom": planes[(axis + 2) % 3]}
        parts.append(block(shell(axis), [out, along, along], sides={**nowhere, **names}, order=order))
    return join(*parts)


def _direction(s: Array, t: Array) -> Array:
    """Return (3, n) unit vectors of the face of a cube towards x at (1, s, t), with even angles (gnomonic)."""
    vector = np.stack([np.ones_like(s), np.tan(0.25 * np.pi * s), np.tan(0.25 * np.pi * t)])
    return np.asarray(vector / np.linalg.norm(vector, axis=0))
