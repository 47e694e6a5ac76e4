"""What is wrong with a mesh is said by name and number; named parts are made and asked for."""

import pickle

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.fem import mesh as meshes
from physics_twin.fem.mesh import Cell, Mesh, topology
from physics_twin.fem.mesh.geometry import determinant

PLATE = meshes.plate(("2 m", "1 m"), (4, 2))


def changed(**fields) -> Mesh:
    """The plate with other fields."""
    given = dict(points=PLATE.points, cells=PLATE.cells, cell=PLATE.cell, regions=PLATE.regions)
    return Mesh(**{**given, **fields})


def moved_point(number: int, place: tuple[float, float]) -> np.ndarray:
    points = PLATE.points.copy()
    points[number] = place
    return points


# -- errors when a mesh is made -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        (dict(points=PLATE.points[:, :1]), pt.ShapeError, r"\(n_points, 2\)"),
        (dict(points=np.where(PLATE.points > 1.9, np.nan, PLATE.points)), pt.ShapeError, "3 points.*not finite"),
        (dict(cells=PLATE.cells[:, :3]), pt.ShapeError, "cells: whole numbers of shape"),
        (dict(cells=PLATE.cells + 0.5), pt.ShapeError, "float64"),
        (dict(cells=PLATE.cells + 1), pt.ShapeError, "outside 0 to 14"),
        (dict(cells=PLATE.cells[:0]), pt.ShapeError, "at least one cell"),
        (dict(cell="quadrilateral"), pt.ShapeError, "fem.mesh.Cell"),
        (dict(order=2), pt.ShapeError, r"\(n, 9\)"),
        (dict(order=3), pt.ShapeError, "order 1 or 2"),
        (dict(regions={}), pt.ModelError, "8 cells of 8 are in no region"),
        (dict(regions={"left": [0, 1, 4]}), pt.ModelError, r"5 cells of 8 are in no region \(regions: left\)"),
        (dict(regions={"body": np.arange(8), "rest": []}), pt.ModelError, 'region "rest" has no cell'),
        (dict(regions={"body": np.arange(8), "rest": [3]}), pt.ModelError, r"1 cell is in several.*body, rest"),
        (dict(regions={"body": np.arange(9)}), pt.ShapeError, 'region "body": 1 numbers are outside 0 to 7'),
        (dict(regions={"": np.arange(8)}), pt.ModelError, "name of a region"),
        (dict(boundaries={"gap": np.zeros((0, 2))}), pt.ModelError, 'boundary "gap" has no facet'),
        (dict(boundaries={"gap": [[0, 1], [0, 6], [0, 12]]}), pt.ModelError, '2 of 3 facets of boundary "gap"'),
        (dict(boundaries={"gap": [[0, 1], [1, 0]]}), pt.ModelError, "1 facet.*more than once"),
        (dict(boundaries={"gap": [[0, 1, 2]]}), pt.ShapeError, 'boundary "gap"'),
        (dict(points=moved_point(6, (1.3, 0.9))), pt.ModelError, "inverted.*near"),
        (dict(points=moved_point(0, (0.5, 0.0))), pt.ModelError, "1 cell of 8 is degenerate.*region"),
        (dict(cells=PLATE.cells[:, [1, 0, 3, 2]]), pt.ModelError, "8 cells of 8 are inverted"),
        (dict(cells=np.concatenate([PLATE.cells, PLATE.cells[:1]]), regions={"body": np.arange(9)}),
         pt.ModelError, "overlap|more than two"),
        (dict(points=PLATE.points - [0.5, 0.0], axisymmetric=True), pt.ModelError, "3 points.*r < 0, down to -0.5 m"),
    ],
)  # fmt: skip
def test_errors_of_a_mesh(fields, error, said):
    """A mesh that no solver can use is refused, and the message says which part and how many."""
    with pytest.raises(error, match=said):
        changed(**fields)


def test_a_cell_turned_over_its_neighbor_is_found():
    """A triangle whose tip was moved across its base is right-handed again, but lies on its neighbor."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.2, 0.3]])
    cells = np.array([[0, 1, 2], [1, 2, 3]])
    with pytest.raises(pt.ModelError, match="2 cells overlap a neighbor"):
        Mesh(points, cells, Cell.TRIANGLE, regions={"body": [0, 1]})


def test_pieces_that_hang_loose_are_named():
    """Two plates side by side whose points are not merged are two pieces; the smaller one is named."""
    fin = meshes.plate(("1 m", "1 m"), (1, 1)).moved("2 m", "0 m")
    points = np.concatenate([PLATE.points, fin.points])
    cells = np.concatenate([PLATE.cells, fin.cells + PLATE.n_points])
    with pytest.raises(pt.ModelError, match=r"2 pieces.*1 cell hangs loose, in region fin|region \"fin\""):
        Mesh(points, cells, PLATE.cell, regions={"body": np.arange(8), "fin": [8]})


def test_unused_points_and_inner_boundaries_are_no_errors():
    """They are findings all the same."""
    mesh = changed(
        points=np.concatenate([PLATE.points, [[9.0, 9.0]]]), boundaries={"seam": [[1, 6]], "bottom": [[0, 1]]}
    )
    findings = meshes.check(mesh)
    assert [(finding.subject, finding.n, finding.is_error) for finding in findings] == [
        ("seam", 1, False),
        ("mesh", 1, False),
    ]
    assert "inside the body" in str(findings[0])
    assert "used by no cell" in str(findings[1])


def test_points_that_hang_are_found():
    """A fine row on a coarse row that shares only its ends: check says where points hang; nothing flows there."""
    coarse = meshes.plate(("1 m", "1 m"), (1, 1))
    fine = meshes.plate(("1 m", "1 m"), (2, 1))
    points = np.concatenate([coarse.points, fine.moved("0 m", "1 m").points])
    cells = np.concatenate([coarse.cells, fine.cells + 4])
    same = {4: 2, 6: 3}
    cells = np.vectorize(lambda number: same.get(number, number))(cells)
    mesh = Mesh(points, cells, Cell.QUADRILATERAL, regions={"low": [0], "high": [1, 2]})
    hanging = meshes.check(mesh)[0]
    assert hanging.is_error
    assert hanging.n == 1
    assert "low, high" in hanging.message
    assert "(0.5, 1) m" in hanging.message


# -- named parts ----------------------------------------------------------------------------------------------------


def test_region_from_moves_cells():
    """Regions stay a partition; a region that loses all its cells is gone; a name in use grows."""
    mesh = PLATE.region_from("hot", lambda x, y: x > 1.0)
    assert {name: len(cells) for name, cells in mesh.regions.items()} == {"body": 4, "hot": 4}
    assert mesh.volume("hot") == pytest.approx(1.0)
    assert list(PLATE.region_from("all", lambda x, y: x > 0.0).regions) == ["all"]
    grown = mesh.region_from("hot", lambda x, y: y > 0.5)
    assert {name: len(cells) for name, cells in grown.regions.items()} == {"body": 2, "hot": 6}
    assert list(PLATE.regions) == ["body"]


def test_boundary_from_takes_outer_facets():
    """Only the surface is asked; others keep their facets; `interior` asks between the cells."""
    mesh = PLATE.boundary_from("heater", lambda x, y: (y > 0.9) & (x < 1.0))
    assert mesh.area("heater") == pytest.approx(1.0)
    assert mesh.area("top") == pytest.approx(2.0)
    seam = PLATE.boundary_from("seam", lambda x, y: abs(y - 0.5) < 1e-9, interior=True)
    assert seam.area("seam") == pytest.approx(2.0)
    assert PLATE.boundary_from("all", lambda x, y: True).area("all") == pytest.approx(6.0)


@pytest.mark.parametrize("part", [PLATE.region_from, PLATE.boundary_from])
def test_a_predicate_that_chooses_nothing_is_refused(part):
    """The message gives the range of midpoints, so that millimeters are found out."""
    with pytest.raises(pt.ModelError, match=r"true for no .*0.* to .* m"):
        part("hot", lambda x, y: x > 1500.0)
    with pytest.raises(pt.ShapeError, match="truth values"):
        part("hot", lambda x, y: x)


def test_require_names_the_nearest():
    """Missing tags are named with the nearest one there is."""
    meshes.require(PLATE, regions=["body"], boundaries=["left", "top"])
    with pytest.raises(pt.UnknownNameError, match=r"boundary.*\"botom\".*\"bottom\""):
        meshes.require(PLATE, boundaries=["left", "botom"])
    with pytest.raises(pt.UnknownNameError, match=r"region.*\"bodi\".*\"body\""):
        meshes.require(PLATE, regions=["bodi"])
    with pytest.raises(pt.UnknownNameError, match="body"):
        PLATE.volume("bdy")
    with pytest.raises(pt.UnknownNameError, match="left"):
        PLATE.area("lft")


def test_a_mesh_is_a_value():
    """Arrays are read-only copies, and a mesh pickles."""
    points = PLATE.points.copy()
    mesh = changed(points=points)
    points[0] = 7.0
    assert mesh.points[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        mesh.points[0] = 1.0
    again = pickle.loads(pickle.dumps(mesh))  # noqa: S301
    np.testing.assert_array_equal(again.cells, mesh.cells)
    assert repr(again) == repr(mesh)
    assert mesh.facets.outer.any()
    assert len(pickle.dumps(mesh)) == len(pickle.dumps(again))


def test_moved_shifts_by_quantities():
    """One length per coordinate."""
    np.testing.assert_allclose(PLATE.moved("-10 mm", "1 m").points[0], [-0.01, 1.0])
    with pytest.raises(pt.ShapeError, match="2 lengths"):
        PLATE.moved("1 m")


# -- kernels --------------------------------------------------------------------------------------------------------


def test_row_numbers_tell_rows_apart(monkeypatch):
    """Equal numbers for rows of the same members in any order, also where sums of mixed members clash."""
    rows = np.random.default_rng(0).integers(0, 12, (3000, 3))
    exact = np.unique(np.sort(rows, axis=1), axis=0, return_inverse=True)[1].ravel()
    for mixed in (topology._mixed, lambda column: column.astype(np.uint64)):  # plain sums clash all the time
        monkeypatch.setattr(topology, "_mixed", mixed)
        numbers = topology.row_numbers(rows)
        assert len(set(zip(numbers.tolist(), exact.tolist(), strict=True))) == exact.max() + 1 == numbers.max() + 1
    assert len(topology.row_numbers(rows[:0])) == 0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_determinants(n):
    """As by factorization."""
    matrices = np.random.default_rng(n).random((5, 4, n, n))
    np.testing.assert_allclose(determinant(matrices), np.linalg.det(matrices), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("cell", [Cell.TRIANGLE, Cell.QUADRILATERAL, Cell.TETRAHEDRON, Cell.HEXAHEDRON])
def test_neighbors_lie_on_two_sides_whatever_their_numbers(cell):
    """Orientation by point numbers alone: opposite for the two cells of a facet under any renumbering of points."""
    simplices = cell.is_simplex
    mesh = meshes.disk("1 m", (2, 8)) if cell.dimension == 2 else meshes.cylinder("1 m", "1 m", (2, 8, 2))
    mesh = mesh.simplices() if simplices else mesh
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(mesh.n_points)
        facets = topology.all_facets(shuffled[mesh.cells], cell)
        sides = np.bincount(facets.number, weights=topology.orientation(facets, cell))
        assert not sides[np.bincount(facets.number) == 2].any()
