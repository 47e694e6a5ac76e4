"""Every shape once, with what is known about it: one row, every law."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physics_twin.fem import mesh as meshes
from physics_twin.fem.mesh import Mesh


@dataclass(frozen=True)
class Shape:
    """make(refine=, order=) -> Mesh; exact volume (m, m^2, m^3), exact area of the whole boundary."""

    name: str
    make: Callable[..., Mesh]
    volume: float
    area: float
    is_straight: bool = False
    has_unnamed_boundary: bool = False

    def __str__(self) -> str:
        return self.name


def le1(**options) -> Mesh:
    """NAFEMS LE1: a quarter of an elliptic membrane; the map is left-handed."""
    inner, outer = meshes.arc((2.0, 1.0), "0 deg", "90 deg"), meshes.arc((3.25, 2.75), "0 deg", "90 deg")
    sides = {"left": "bottom", "right": "left", "bottom": "inner", "top": "outer"}
    return meshes.mapped(meshes.between(inner, outer), (4, 4), sides=sides, **options)


def le11(**options) -> Mesh:
    """NAFEMS LE11: sphere, taper and cylinder in (r, z), three blocks."""
    arc, line = meshes.arc, meshes.line
    kink = (0.5**0.5, 0.5**0.5)
    common = dict(axisymmetric=True, **options)
    return meshes.join(
        meshes.mapped(
            meshes.between(arc(1.0, "0 deg", "30 deg"), arc(1.4, "0 deg", "30 deg")),
            (3, 3),
            sides={"left": "lower", "right": None, "bottom": "inner", "top": "outer"},
            **common,
        ),
        meshes.mapped(
            meshes.between(arc(1.0, "30 deg", "45 deg"), line((1.4 * 0.75**0.5, 0.7), (1.0, 1.39))),
            (2, 3),
            sides={"left": None, "right": None, "bottom": "inner", "top": "outer"},
            **common,
        ),
        meshes.mapped(
            meshes.between(line(kink, (kink[0], 1.79)), line((1.0, 1.39), (1.0, 1.79))),
            (3, 3),
            sides={"left": None, "right": "upper", "bottom": "inner", "top": "outer"},
            **common,
        ),
    )


def cook(**options) -> Mesh:
    """Cook's membrane, in mm."""
    return meshes.mapped(meshes.corners((0, 0), (48, 44), (48, 60), (0, 44)), (4, 4), unit="mm", **options)


def fv32(**options) -> Mesh:
    """NAFEMS FV32: a tapered membrane."""
    return meshes.mapped(meshes.corners((0, 0), (10, 2), (10, 3), (0, 5)), (8, 4), **options)


def ellipse_perimeter(a: float, b: float) -> float:
    phi = (np.arange(4000) + 0.5) / 4000 * 2.0 * np.pi
    return float(np.hypot(a * np.sin(phi), b * np.cos(phi)).mean() * 2.0 * np.pi)


PI = np.pi
LE1_AREA = PI / 4 * (3.25 * 2.75 - 2.0 * 1.0)
LE1_EDGE = ellipse_perimeter(2.0, 1.0) / 4 + ellipse_perimeter(3.25, 2.75) / 4 + 1.25 + 1.75

SHAPES = [
    Shape("bar", lambda **o: meshes.bar("70 cm", 7, **o), 0.7, 2.0, True),
    Shape("layers", lambda **o: meshes.bar(["3 mm", "2 cm"], [2, 4], grading=[1, 5], **o), 0.023, 2.0, True),
    Shape("plate", lambda **o: meshes.plate(("0.6 m", "1 m"), (3, 4), grading=(3.0, 0.5), **o), 0.6, 3.2, True),
    Shape("plate_triangles", lambda **o: meshes.plate(("0.6 m", "1 m"), (3, 4), triangles=True, **o), 0.6, 3.2, True),
    Shape("box", lambda **o: meshes.box(("3 m", "2 m", "1 m"), (3, 2, 2), grading=2.0, **o), 6.0, 22.0, True),
    Shape("box_tets", lambda **o: meshes.box(("3 m", "2 m", "1 m"), (3, 2, 2), tetrahedra=True, **o), 6.0, 22.0, True),
    Shape("step", lambda **o: meshes.step(("4 m", "2 m"), ("3 m", "1 m"), ((1, 3), (1, 2)), **o), 5.0, 12.0, True),
    Shape(
        "step_solid",
        lambda **o: meshes.step(
            ("4 m", "2 m"), ("3 m", "1 m"), ((1, 3), (1, 2)), depth="0.5 m", depth_cells=2, simplices=True, **o
        ),
        2.5,
        16.0,
        True,
    ),
    Shape("cook", cook, 1.44e-3, 0.044 + 0.016 + 0.001 * (np.hypot(48, 44) + np.hypot(48, 16)), True),
    Shape("fv32", fv32, 30.0, 6.0 + 2.0 * np.hypot(10.0, 2.0), True),
    Shape("le1", le1, LE1_AREA, LE1_EDGE),
    Shape("le1_triangles", lambda **o: le1(simplices=True, **o), LE1_AREA, LE1_EDGE),
    Shape(
        "le10",
        lambda **o: meshes.extruded(le1(**o), "0.6 m", 2, refine=o.get("refine", 0)),
        0.6 * LE1_AREA,
        2.0 * LE1_AREA + 0.6 * LE1_EDGE,
    ),
    Shape("disk", lambda **o: meshes.disk("2 m", (2, 8), **o), 4 * PI, 4 * PI),
    Shape("disk_triangles", lambda **o: meshes.disk("2 m", (2, 8), triangles=True, **o), 4 * PI, 4 * PI),
    Shape("cylinder", lambda **o: meshes.cylinder("1 m", "3 m", (2, 8, 2), **o), 3 * PI, 8 * PI),
    Shape("cylinder_tets", lambda **o: meshes.cylinder("1 m", "3 m", (1, 8, 2), simplices=True, **o), 3 * PI, 8 * PI),
    Shape(
        "cylinder_rz",
        lambda **o: meshes.cylinder("1 m", "3 m", (2, 3), axisymmetric=True, grading=(0.5, 1.0), **o),
        3 * PI,
        8 * PI,
        True,
    ),
    Shape("ring", lambda **o: meshes.hollow_cylinder("1 m", "2 m", cells=(2, 12), **o), 3 * PI, 6 * PI),
    Shape(
        "sector",
        lambda **o: meshes.hollow_cylinder("1 m", "2 m", "3 m", cells=(2, 4, 2), angle="60 deg", **o),
        1.5 * PI,
        PI + 3 * PI + 6.0,
    ),
    Shape("tube", lambda **o: meshes.hollow_cylinder("1 m", "2 m", "3 m", cells=(2, 8, 2), **o), 9 * PI, 24 * PI),
    Shape(
        "tube_rz",
        lambda **o: meshes.hollow_cylinder("1 m", "2 m", "3 m", cells=(2, 2), axisymmetric=True, **o),
        9 * PI,
        24 * PI,
        True,
    ),
    Shape("octant", lambda **o: meshes.sphere("1 m", (2, 16), **o), PI / 6, 5 * PI / 4),
    Shape("octant_tets", lambda **o: meshes.sphere("1 m", (2, 16), simplices=True, **o), PI / 6, 5 * PI / 4),
    Shape("ball_rz", lambda **o: meshes.sphere("1 m", (2, 16), axisymmetric=True, **o), 4 * PI / 3, 4 * PI),
    Shape(
        "hole_quarter",
        lambda **o: meshes.plate_with_hole(("6 m", "4 m"), "1 m", (3, 3), grading=2.0, **o),
        6 - PI / 4,
        5 - 2 + PI / 2 + 5,
    ),
    Shape(
        "hole_full",
        lambda **o: meshes.plate_with_hole(("6 m", "4 m"), "1 m", (3, 3), quarter=False, **o),
        24 - PI,
        20 + 2 * PI,
    ),
    Shape(
        "hole_solid",
        lambda **o: meshes.plate_with_hole(("6 m", "4 m"), "1 m", (3, 3), thickness="0.5 m", thickness_cells=2, **o),
        0.5 * (6 - PI / 4),
        2 * (6 - PI / 4) + 0.5 * (8 + PI / 2),
    ),
]
