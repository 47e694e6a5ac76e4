"""Laws of every shape: volume and area, order of convergence, boundaries that cover the surface once."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.fem import mesh as meshes
from physics_twin.fem.mesh.geometry import scaled_jacobians
from tests.fem.mesh.shapes import SHAPES, cook, le1, le11

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
curved_shapes = pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.is_straight], ids=str)


@every_shape
@pytest.mark.parametrize("order", [1, 2])
def test_no_cell_is_inverted_or_odd(shape, order):
    """Scaled Jacobians are positive at all nodes and check finds nothing to say."""
    mesh = shape.make(order=order)
    assert scaled_jacobians(mesh.points, mesh.cells, mesh.cell, mesh.order).min() > 0.01
    assert meshes.check(mesh) == ()


@every_shape
@pytest.mark.parametrize("order", [1, 2])
def test_boundaries_part_the_surface(shape, order):
    """Every outer facet is in exactly one named boundary, and no other facet is in any."""
    mesh = shape.make(order=order)
    named = np.sort(np.concatenate(list(mesh.boundaries.values())), axis=1)
    outer = np.sort(mesh.outer_facets, axis=1)
    assert len(np.unique(named, axis=0)) == len(named)
    assert {tuple(row) for row in named} == {tuple(row) for row in outer}


@every_shape
def test_volume_and_area_are_exact_or_nearly(shape):
    """Straight shapes to rounding; curved ones of second order to a thousandth on these coarse meshes."""
    mesh = shape.make(order=2)
    tolerance = 1e-12 if shape.is_straight else 2e-3
    assert mesh.volume() == pytest.approx(shape.volume, rel=tolerance)
    assert mesh.area() == pytest.approx(shape.area, rel=tolerance)
    parts = sum(mesh.area(name) for name in mesh.boundaries)
    assert parts == pytest.approx(mesh.area(), rel=1e-12)


@curved_shapes
@pytest.mark.parametrize(("order", "rate"), [(1, 2.0), (2, 4.0)])
def test_volume_converges_with_refine(shape, order, rate):
    """The error of the volume falls with h^2 for straight and h^4 for quadratic edges: points lie on the curve."""
    errors = [abs(shape.make(order=order, refine=n).volume() - shape.volume) for n in (0, 1)]
    assert np.log2(errors[0] / errors[1]) > rate - 0.25


@every_shape
@pytest.mark.parametrize("order", [1, 2])
def test_refine_nests(shape, order):
    """refine=1 splits every cell in two per direction, keeps names, and its vertices contain the coarse ones."""
    coarse, fine = shape.make(order=order), shape.make(order=order, refine=1)
    assert fine.n_cells == coarse.n_cells * 2**coarse.dimension
    assert list(fine.boundaries) == list(coarse.boundaries)
    assert list(fine.regions) == list(coarse.regions)
    for name, facets in coarse.boundaries.items():
        assert len(fine.boundaries[name]) == len(facets) * 2 ** (coarse.dimension - 1)
    vertices = coarse.points[np.unique(coarse.vertices)]
    gaps = [np.abs(fine.points - vertex).max(axis=1).min() for vertex in vertices]
    assert max(gaps) < 1e-12 * np.ptp(coarse.points)


@every_shape
@pytest.mark.parametrize("order", [1, 2])
def test_refined_keeps_the_body(shape, order):
    """mesh.refined() keeps volume, areas, regions and boundaries of the mesh's own geometry, and nothing hangs."""
    mesh = shape.make(order=order)
    fine = mesh.refined()
    assert fine.n_cells == mesh.n_cells * 2**mesh.dimension
    assert fine.volume() == pytest.approx(mesh.volume(), rel=1e-12)
    for name in mesh.regions:
        assert fine.volume(name) == pytest.approx(mesh.volume(name), rel=1e-12)
    # Gauss's rule is not exact for the roots in the area of curved facets.
    tolerance = 1e-12 if shape.is_straight else 1e-4
    for name in mesh.boundaries:
        assert fine.area(name) == pytest.approx(mesh.area(name), rel=tolerance)
    assert len(fine.outer_facets) == len(mesh.outer_facets) * 2 ** (mesh.dimension - 1)
    assert meshes.check(fine) == ()


def test_refined_twice_is_refine_two_where_edges_are_straight():
    """Both ways of refinement make the same points."""
    once = meshes.box(("3 m", "2 m", "1 m"), (2, 1, 1), order=2).refined(2)
    again = meshes.box(("3 m", "2 m", "1 m"), (2, 1, 1), order=2, refine=2)
    ours, theirs = (np.unique(np.round(mesh.points, 9), axis=0) for mesh in (once, again))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2])
def test_round_boundaries_lie_on_their_circle(order):
    """All nodes of a curved boundary, those in the middle of edges included, have the radius."""
    for mesh, boundary, radius in (
        (meshes.disk("2 m", (2, 8), order=order), "side", 2.0),
        (meshes.sphere("1 m", (2, 16), order=order), "surface", 1.0),
        (meshes.plate_with_hole(("6 m", "4 m"), "1 m", (3, 3), order=order), "hole", 1.0),
        (meshes.hollow_cylinder("1 m", "2 m", cells=(2, 12), order=order), "outer", 2.0),
    ):
        nodes = np.unique(mesh.facet_nodes(mesh.boundaries[boundary]))
        np.testing.assert_allclose(np.linalg.norm(mesh.points[nodes], axis=1), radius, rtol=1e-14)


@pytest.mark.parametrize(
    ("mesh", "places"),
    [
        (meshes.box(("3 m", "2 m", "1 m"), (2, 2, 2)), "left x 0, right x 3, front y 0, back y 2, bottom z 0, top z 1"),
        (meshes.plate(("3 m", "2 m"), (2, 2)), "left x 0, right x 3, bottom y 0, top y 2"),
        (meshes.bar("3 m", 2), "left x 0, right x 3"),
        (meshes.cylinder("1 m", "3 m", (1, 8, 2)), "bottom z 0, top z 3"),
        (
            meshes.cylinder("1 m", "3 m", (2, 2), axisymmetric=True),
            "axis x 0, side x 1, bottom y 0, top y 3",
        ),
        (meshes.sphere("1 m", (2, 16)), "left x 0, front y 0, bottom z 0"),
        (meshes.sphere("1 m", (2, 16), axisymmetric=True), "axis x 0"),
        (
            meshes.step(("4 m", "2 m"), ("3 m", "1 m"), ((1, 3), (1, 2))),
            "left x 0, right x 4, bottom y 0, top y 2, tread y 1, riser x 1",
        ),
        (
            meshes.plate_with_hole(("6 m", "4 m"), "1 m", (2, 2), quarter=False),
            "left x -3, right x 3, bottom y -2, top y 2",
        ),
        (
            meshes.plate_with_hole(("6 m", "4 m"), "1 m", (2, 2), thickness="1 m", thickness_cells=2),
            "left x 0, right x 3, bottom y 0, top y 2, back z 0, front z 1",
        ),
    ],
    ids=["box", "plate", "bar", "cylinder", "cylinder_rz", "octant", "ball_rz", "step", "hole", "hole_solid"],
)
def test_boundaries_lie_where_their_names_say(mesh, places):
    """left is x = 0, top is the highest y (z in 3-D), and so on."""
    for place in places.split(", "):
        name, axis, value = place.split()
        np.testing.assert_allclose(mesh.points[mesh.boundaries[name]][..., "xyz".index(axis)], float(value), atol=1e-13)


def test_sector_has_its_ends():
    """start is the x axis, end the ray at the angle."""
    mesh = meshes.hollow_cylinder("1 m", "2 m", cells=(2, 4), angle="60 deg")
    np.testing.assert_allclose(mesh.points[mesh.boundaries["start"]][..., 1], 0.0, atol=1e-14)
    end = mesh.points[mesh.boundaries["end"]]
    np.testing.assert_allclose(np.arctan2(end[..., 1], end[..., 0]), np.pi / 3, rtol=1e-14)


def test_layers_have_their_thickness():
    """Each layer of a bar is its region, from left to right."""
    mesh = meshes.bar(["3 mm", "2 cm"], [4, 20], regions=["film", "body"], refine=1)
    assert mesh.volume("film") == pytest.approx(3e-3, rel=1e-14)
    assert mesh.volume("body") == pytest.approx(2e-2, rel=1e-14)
    assert mesh.midpoints[mesh.regions["film"]].max() < 3e-3 < mesh.midpoints[mesh.regions["body"]].min()
    assert list(meshes.bar(["1 m", "2 m"], [1, 1]).regions) == ["layer_1", "layer_2"]


@pytest.mark.parametrize("refine", [0, 2])
@pytest.mark.parametrize("ratio", [0.1, 1.0, 8.0])
def test_grading_is_last_over_first(ratio, refine):
    """Cells are in geometric progression; refined ones go on with it."""
    sizes = np.diff(meshes.bar("1 m", 5, grading=ratio, refine=refine).points[:, 0])
    np.testing.assert_allclose(sizes[1:] / sizes[:-1], ratio ** (1 / 4 / 2**refine), rtol=1e-9)
    coarse = sizes.reshape(5, -1).sum(axis=1)
    assert coarse[-1] / coarse[0] == pytest.approx(ratio, rel=1e-9)


def test_second_order_nodes_are_half_way_in_graded_cells():
    """A graded straight mesh of second order has affine cells."""
    mesh = meshes.bar("1 m", 5, grading=8.0, order=2)
    left, right, middle = mesh.points[mesh.cells][..., 0].T
    np.testing.assert_allclose(middle, 0.5 * (left + right), rtol=1e-14)


def test_le11_has_the_volume_of_its_solid_of_revolution():
    """Three blocks through mapped and join; the volume by Pappus from the sections' exact boundaries."""
    z = np.linspace(0.0, 1.79, 400_001)
    middle = 0.5 * (z[1:] + z[:-1])
    kink = 0.5**0.5
    inner = np.where(middle < kink, np.sqrt(np.maximum(1.0 - middle**2, 0.0)), kink)
    foot = 1.4 * 0.75**0.5
    taper = foot + (1.0 - foot) * (middle - 0.7) / 0.69
    outer = np.where(middle < 0.7, np.sqrt(np.maximum(1.96 - middle**2, 0.0)), np.where(middle < 1.39, taper, 1.0))
    exact = np.pi * np.sum((outer**2 - inner**2) * np.diff(z))
    mesh = le11(order=2, refine=2)
    assert mesh.volume() == pytest.approx(exact, rel=1e-6)
    assert set(mesh.boundaries) == {"inner", "outer", "lower", "upper"}
    assert meshes.check(mesh) == ()


def test_le1_is_the_ellipse():
    """Nodes of the outer boundary satisfy the equation of the ellipse, and (2, 0) is a point."""
    mesh = le1(order=2)
    x, y = mesh.points[np.unique(mesh.facet_nodes(mesh.boundaries["outer"]))].T
    np.testing.assert_allclose((x / 3.25) ** 2 + (y / 2.75) ** 2, 1.0, rtol=1e-14)
    assert np.hypot(*(mesh.points - [2.0, 0.0]).T).min() < 1e-15


def test_corners_of_a_solid_block():
    """Eight corners go around the bottom, then around the top."""
    bottom = [(0, 0, 0), (2, 0, 0), (2, 1, 0), (0, 1, 0)]
    mesh = meshes.mapped(meshes.corners(*bottom, *[(x, y, 3) for x, y, _ in bottom]), (2, 2, 2))
    assert mesh.volume() == pytest.approx(6.0, rel=1e-14)
    np.testing.assert_allclose(mesh.points[mesh.boundaries["right"]][..., 0], 2.0)
    np.testing.assert_allclose(mesh.points[mesh.boundaries["top"]][..., 2], 3.0)


# -- joining --------------------------------------------------------------------------------------------------------


def test_join_makes_one_body():
    """Points merge, regions and boundaries of one name unite, the interface is no boundary unless it is named."""
    first = meshes.plate(("1 m", "1 m"), (2, 2))
    second = meshes.plate(("2 m", "1 m"), (3, 2)).region_from("other", lambda x, y: x > 0).moved("1 m", "0 m")
    mesh = meshes.join(first, second)
    assert mesh.n_points == 18
    assert {name: len(cells) for name, cells in mesh.regions.items()} == {"body": 4, "other": 6}
    assert {name: len(facets) for name, facets in mesh.boundaries.items()} == dict(left=2, right=2, bottom=5, top=5)
    kept = meshes.join(first, second, interfaces=["right"])
    assert len(kept.boundaries["right"]) == 4
    with pytest.raises(pt.UnknownNameError, match="right"):
        meshes.join(first, second, interfaces=["rihgt"])


@pytest.mark.parametrize("cells", [(2, 4), (2, 3)])
def test_join_refuses_sides_that_do_not_match(cells):
    """Other numbers of cells along the common side leave points that hang."""
    first, second = meshes.plate(("1 m", "1 m"), (2, 2)), meshes.plate(("1 m", "1 m"), cells)
    with pytest.raises(pt.ModelError, match="hang"):
        meshes.join(first, second.moved("1 m", "0 m"))
    solid = meshes.box(("1 m",) * 3, (2, 2, 2)), meshes.box(("1 m",) * 3, (*cells, 2)).moved("1 m", "0 m", "0 m")
    with pytest.raises(pt.ModelError, match="hang"):
        meshes.join(*solid)


def test_join_refuses_tetrahedra_whose_diagonals_cross():
    """Blocks cut one by one may cut their common face in different ways; cut after joining they do not."""
    first = meshes.box(("1 m",) * 3, (2, 2, 2))
    second = meshes.mapped(lambda x, y, z: (1 + x, 1 - y, z), (2, 2, 2))
    with pytest.raises(pt.ModelError, match="simplices"):
        meshes.join(first.simplices(), second.simplices())
    joined = meshes.join(first, second).simplices()
    assert joined.volume() == pytest.approx(2.0, rel=1e-14)
    assert joined.area() == pytest.approx(10.0, rel=1e-14)


def test_join_refuses_what_differs():
    """Cells, order, coordinates and places have to agree."""
    plate = meshes.plate(("1 m", "1 m"), (2, 2))
    with pytest.raises(pt.ModelError, match="differ in order: 1 and 2"):
        meshes.join(plate, meshes.plate(("1 m", "1 m"), (2, 2), order=2))
    with pytest.raises(pt.ModelError, match="2 pieces"):
        meshes.join(plate, plate.moved("3 m", "0 m"))
    with pytest.raises(pt.ModelError, match=r"overlap|more than two"):
        meshes.join(plate, plate)


# -- simplices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
def test_simplices_conform_for_any_numbering(order):
    """Cutting a solid with shuffled point numbers leaves no inner surface: neighbors agree on diagonals."""
    mesh = meshes.sphere("1 m", (2, 16), order=order)
    shuffled = np.random.default_rng(3).permutation(mesh.n_points)
    points = np.empty_like(mesh.points)
    points[shuffled] = mesh.points
    boundaries = {name: shuffled[facets] for name, facets in mesh.boundaries.items()}
    other = meshes.Mesh(points, shuffled[mesh.cells], mesh.cell, order, mesh.regions, boundaries)
    cut = other.simplices()
    assert cut.n_cells == 6 * mesh.n_cells
    assert len(cut.outer_facets) == 2 * len(mesh.outer_facets)
    assert cut.volume() == pytest.approx(mesh.volume(), rel=0.05 if order == 1 else 2e-3)


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: meshes.bar("70", 7), pt.UnitError, "no unit"),
        (lambda: meshes.bar("70 kg", 7), pt.UnitError, "length"),
        (lambda: meshes.bar("-1 m", 7), pt.BoundsError, "positive"),
        (lambda: meshes.bar("1 m", 0), pt.BoundsError, "at least one cell"),
        (lambda: meshes.bar("1 m", 2.5), pt.ShapeError, "whole number"),
        (lambda: meshes.bar(["1 m", "2 m"], 4), pt.ShapeError, "one per layer"),
        (lambda: meshes.bar(["1 m", "2 m"], [1, 2], regions=["film"]), pt.ShapeError, "2 layers"),
        (lambda: meshes.bar("1 m", 4, refine=-1), pt.BoundsError, "refine"),
        (lambda: meshes.bar("1 m", 4, order=3), pt.ShapeError, "order"),
        (lambda: meshes.bar("1 m", 4, grading=0.0), pt.BoundsError, "grading"),
        (lambda: meshes.box(("1 m", "1 m"), (1, 1, 1)), pt.ShapeError, "3 lengths"),
        (lambda: meshes.box(("1 m",) * 3, (1, 1)), pt.ShapeError, "3 whole numbers"),
        (lambda: meshes.box(("1 m",) * 3, (10**4,) * 3), pt.BoundsError, "more than"),
        (lambda: meshes.plate("1 m", (1, 1)), pt.ShapeError, "2 lengths"),
        (lambda: meshes.disk("1 m", (2, 10)), pt.BoundsError, "8 or 12"),
        (lambda: meshes.sphere("1 m", (2, 4)), pt.BoundsError, "try 8"),
        (lambda: meshes.hollow_cylinder("2 m", "1 m", cells=(1, 8)), pt.BoundsError, "inner_radius"),
        (lambda: meshes.hollow_cylinder("1 m", "2 m", cells=(1, 2)), pt.BoundsError, "3 cells around"),
        (lambda: meshes.hollow_cylinder("1 m", "2 m", cells=(1, 8), angle="400 deg"), pt.BoundsError, "360"),
        (lambda: meshes.hollow_cylinder("1 m", "2 m", cells=(1, 8), axisymmetric=True), pt.ModelError, "height"),
        (lambda: meshes.plate_with_hole(("2 m", "4 m"), "1 m", (1, 1)), pt.BoundsError, "edge of the plate"),
        (lambda: meshes.step(("2 m", "2 m"), ("3 m", "1 m"), ((1, 1), (1, 1))), pt.BoundsError, "notch"),
        (lambda: meshes.mapped(lambda x, y: (x, y), (1, 1), sides={"lft": "a"}), pt.UnknownNameError, "left"),
        (lambda: meshes.mapped(lambda x, y: (x,), (1, 1)), pt.ShapeError, "2 coordinates"),
        (lambda: meshes.mapped(lambda x, y: (x, y), (1,)), pt.ShapeError, "two numbers"),
        (lambda: meshes.mapped(lambda x, y: (x, 0 * y), (2, 2)), pt.ModelError, "4 cells of 4 are degenerate"),
        (lambda: meshes.mapped(lambda x, y: (x * (0.5 - x), y), (2, 2)), pt.ModelError, r"degenerate|overlap"),
        (lambda: meshes.mapped(lambda x, y: (x, y), (1, 1), unit="kg"), pt.ShapeError, "unit of length"),
        (lambda: meshes.corners((0, 0), (1, 0), (1, 1)), pt.ShapeError, "4 corners"),
        (lambda: meshes.extruded(meshes.bar("1 m", 1), "1 m", 1), pt.ModelError, "quadrilaterals"),
        (lambda: meshes.extruded(meshes.plate(("1 m", "1 m"), (1, 1)), "1 m", 1, low="top"), pt.ModelError, "taken"),
    ],
)  # fmt: skip
def test_bad_shapes_are_refused(make, error, said):
    """The message says what is wrong."""
    with pytest.raises(error, match=said):
        make()


def test_cook_reads_millimeters():
    """The unit of mapped's numbers."""
    assert cook().points.max() == pytest.approx(0.06)
