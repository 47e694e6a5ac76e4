"""Files: what is written is what is read, gmsh's own numbering, and files that are no meshes."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.fem import mesh as meshes
from physics_twin.fem.mesh import Cell
from tests.fem.mesh.shapes import SHAPES

meshio = pytest.importorskip("meshio")

# Node coordinates in twice the reference coordinates in gmsh's order, from gmsh's manual, "Node ordering".
GMSH = {
    "triangle": (2, "00 20 02"),
    "triangle6": (9, "00 20 02 10 11 01"),
    "quad": (3, "00 20 22 02"),
    "quad9": (10, "00 20 22 02 10 21 12 01 11"),
    "tetra": (4, "000 200 020 002"),
    "tetra10": (11, "000 200 020 002 100 110 010 001 011 101"),
    "hexahedron": (5, "000 200 220 020 002 202 222 022"),
    "hexahedron27": (
        12,
        "000 200 220 020 002 202 222 022 100 010 001 210 201 120 221 021 102 012 212 122 110 101 011 211 121 112 111",
    ),
}
TAGGED = """$MeshFormat
2.2 0 8
$EndMeshFormat
$PhysicalNames
{n_names}
{names}
$EndPhysicalNames
$Nodes
{n_nodes}
{nodes}
$EndNodes
$Elements
{n_elements}
{elements}
$EndElements
"""


def gmsh_file(folder, points, elements, names=()):
    """Write a .msh 2.2 by hand: points (n, 3), elements (type, tag, nodes from 1), names (dimension, tag, name)."""
    text = TAGGED.format(
        n_names=len(names),
        names="\n".join(f'{dimension} {tag} "{name}"' for dimension, tag, name in names),
        n_nodes=len(points),
        nodes="\n".join(f"{i} {x} {y} {z}" for i, (x, y, z) in enumerate(points, 1)),
        n_elements=len(elements),
        elements="\n".join(
            f"{i} {kind} 2 {tag} {tag} {' '.join(str(node) for node in nodes)}"
            for i, (kind, tag, nodes) in enumerate(elements, 1)
        ),
    )
    path = folder / "part.msh"
    path.write_text(text)
    return path


@pytest.mark.parametrize("suffix", [".msh", ".xdmf"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if not shape.name.endswith("rz")], ids=str)
def test_round_trip(shape, order, suffix, tmp_path):
    """Points to the last bit, cells, regions and boundaries come back as they were."""
    mesh = shape.make(order=order)
    path = tmp_path / f"part{suffix}"
    meshes.write(mesh, path)
    again = meshes.read(path)
    np.testing.assert_array_equal(again.points, mesh.points)
    np.testing.assert_array_equal(again.cells, mesh.cells)
    assert (again.cell, again.order) == (mesh.cell, mesh.order)
    assert list(again.regions) == list(mesh.regions)
    for name, cells in mesh.regions.items():
        np.testing.assert_array_equal(again.regions[name], cells)
    assert list(again.boundaries) == list(mesh.boundaries)
    for name, facets in mesh.boundaries.items():
        ours, theirs = ({tuple(sorted(row)) for row in rows.tolist()} for rows in (facets, again.boundaries[name]))
        assert ours == theirs
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", GMSH)
def test_gmsh_numbering(kind, tmp_path):
    """One cell in gmsh's numbering, bent so that no two nodes can be taken for one another, has its nodes in place."""
    number, text = GMSH[kind]
    lattice = np.array([[int(digit) for digit in word] for word in text.split()])
    bent = np.zeros((len(lattice), 3))
    bent[:, : lattice.shape[1]] = lattice + 0.02 * lattice[:, ::-1] ** 2
    path = gmsh_file(tmp_path, bent, [(number, 1, range(1, len(bent) + 1))])
    mesh = meshes.read(path)
    assert mesh.order == (2 if kind[-1].isdigit() else 1)
    assert list(mesh.regions) == ["region_1"]
    from physics_twin.fem.mesh.cells import reference

    nodes = reference(mesh.cell, mesh.order).nodes * 2
    np.testing.assert_allclose(mesh.points[mesh.cells[0]], nodes + 0.02 * nodes[:, ::-1] ** 2, atol=1e-14)


SQUARE = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0), (2, 1, 0), (9, 9, 0)]
TWO = [(3, 1, (1, 2, 3, 4)), (3, 2, (2, 5, 6, 3)), (1, 3, (4, 1)), (1, 4, (5, 6))]
NAMES = [(2, 1, "steel"), (2, 2, "hot zone"), (1, 3, "left"), (1, 4, "right")]


def test_physical_names_become_parts(tmp_path):
    """Names with spaces too; millimeters are read as such; points that no cell uses are dropped."""
    mesh = meshes.read(gmsh_file(tmp_path, SQUARE, TWO, NAMES), unit="mm", axisymmetric=True)
    assert mesh.axisymmetric
    assert mesh.n_points == 6
    assert list(mesh.regions) == ["steel", "hot zone"]
    np.testing.assert_allclose(mesh.points[mesh.boundaries["left"]][..., 0], 0.0)
    np.testing.assert_allclose(mesh.points[mesh.boundaries["right"]][..., 0], 2e-3)
    assert meshes.check(mesh) == ()


def test_left_handed_cells_are_renumbered(tmp_path):
    """gmsh numbers a surface whose normal points down clockwise."""
    turned = [(3, 1, (4, 3, 2, 1)), *TWO[1:]]
    assert meshes.read(gmsh_file(tmp_path, SQUARE, turned, NAMES)).volume() == pytest.approx(2.0)


def test_parts_meshed_apart_are_merged_when_asked(tmp_path):
    """Doubled points leave two pieces, which is an error that names the cure."""
    doubled = [*SQUARE[:6], (1, 0, 0), (1, 1, 0)]
    elements = [TWO[0], (3, 2, (7, 5, 6, 8)), *TWO[2:]]
    path = gmsh_file(tmp_path, doubled, elements, NAMES)
    with pytest.raises(pt.FileFormatError, match=r"2 pieces.*merge=True"):
        meshes.read(path)
    assert meshes.read(path, merge=True).n_points == 6


@pytest.mark.parametrize(
    ("elements", "names", "said"),
    [
        ([*TWO, (2, 1, (2, 5, 6))], NAMES, "mixes quad and triangle"),
        (TWO[2:], NAMES, "do not lie in x"),
        ([(15, 1, (1,))], [], "no cells"),
        ([(16, 1, (1, 2, 3, 4, 5, 6, 1, 2))], [], "SecondOrderIncomplete"),
        (TWO, [*NAMES, (2, 5, "ghost")], 'region "ghost" has no cell'),
        (TWO, [*NAMES, (1, 5, "gap")], 'boundary "gap" has no facet'),
        (TWO[:2], NAMES, 'boundary "left" has no facet'),
        ([*TWO, (1, 4, (5, 4))], NAMES, '1 of 2 facets of boundary "right" are no facets'),
        ([*TWO, (1, 4, (5, 7))], NAMES, '1 of 2 facets of boundary "right" are no facets'),
        ([(3, 1, (1, 2, 4, 3)), *TWO[1:]], NAMES, "inverted"),
        ([TWO[0], (3, 0, (2, 5, 6, 3)), *TWO[2:]], NAMES, "region"),
    ],
)  # fmt: skip
def test_files_that_are_no_meshes_are_refused(elements, names, said, tmp_path):
    """Every message begins with the file and says what to mend."""
    path = gmsh_file(tmp_path, SQUARE, elements, names)
    with pytest.raises(pt.FileFormatError, match=said) as caught:
        meshes.read(path)
    assert str(caught.value).startswith(str(path))


def test_a_surface_in_space_is_refused(tmp_path):
    """Plane cells need plane points."""
    bent = [*SQUARE[:5], (2, 1, 0.5)]
    with pytest.raises(pt.FileFormatError, match=r"x-y plane: z varies by 0\.5"):
        meshes.read(gmsh_file(tmp_path, bent, TWO, NAMES))


def test_msh_4_1_knows_all_groups_of_a_facet(tmp_path):
    """In format 4.1 an entity may be in two groups: both become boundaries."""
    path = tmp_path / "part.msh"
    path.write_text(
        '$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$PhysicalNames\n3\n1 1 "left"\n1 2 "clamped"\n2 3 "body"\n'
        "$EndPhysicalNames\n$Entities\n0 1 1 0\n1 0 0 0 0 1 0 2 1 2 0\n1 0 0 0 1 1 0 1 3 1 1\n$EndEntities\n"
        "$Nodes\n1 4 1 4\n2 1 0 4\n1\n2\n3\n4\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n$EndNodes\n"
        "$Elements\n2 2 1 2\n1 1 1 1\n1 4 1\n2 1 3 1\n2 1 2 3 4\n$EndElements\n"
    )
    mesh = meshes.read(path)
    assert mesh.cell is Cell.QUADRILATERAL
    assert set(mesh.boundaries) == {"left", "clamped"}
    assert list(mesh.regions) == ["body"]


def test_other_files_are_refused(tmp_path):
    """No file, another suffix, rubbish inside."""
    with pytest.raises(FileNotFoundError, match=r"none\.msh"):
        meshes.read(tmp_path / "none.msh")
    (tmp_path / "part.stl").write_text("solid")
    with pytest.raises(pt.FileFormatError, match=r"\.stl.*known: \.msh"):
        meshes.read(tmp_path / "part.stl")
    for name in ("part.msh", "part.xdmf"):
        (tmp_path / name).write_text("rubbish")
        with pytest.raises(pt.FileFormatError, match="cannot be read"):
            meshes.read(tmp_path / name)
    with pytest.raises(pt.FileFormatError, match="written"):
        meshes.write(meshes.bar("1 m", 1), tmp_path / "bar.stl")


def test_drawings_need_gmsh(tmp_path, monkeypatch):
    """Without gmsh on the PATH the message says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "part.geo").write_text("Point(1) = {0, 0, 0};")
    with pytest.raises(pt.ModelError, match=r"needs the program gmsh.*gmsh\.info"):
        meshes.read(tmp_path / "part.geo")


def test_drawings_are_meshed_by_gmsh(tmp_path, monkeypatch):
    """gmsh is run with dimension, order and size, and what it writes is read; its errors are passed on."""
    mesh = meshes.plate(("1 m", "1 m"), (2, 2))
    meshes.write(mesh, tmp_path / "ready.msh")
    program = tmp_path / "gmsh"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" > {tmp_path}/arguments\n'
        'for last in "$@"; do previous=$target; target=$last; [ "$previous" = -o ] && out=$last; done\n'
        f'case "$1" in *bad*) echo "Error: syntax" >&2; exit 1;; esac\n/bin/cp {tmp_path}/ready.msh "$out"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("part.geo", "bad.geo"):
        (tmp_path / name).write_text("")
    assert meshes.read(tmp_path / "part.geo", dimension=2, order=2, size=0.5, unit="mm").n_cells == 4
    arguments = (tmp_path / "arguments").read_text()
    assert "-2 -order 2 -format msh41" in arguments
    assert "-clmax 0.5" in arguments
    with pytest.raises(pt.FileFormatError, match="syntax"):
        meshes.read(tmp_path / "bad.geo")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """A region and a boundary of one name do not fit in a .msh file; what was there stays."""
    path = tmp_path / "part.msh"
    path.write_text("old")
    mesh = meshes.plate(("1 m", "1 m"), (2, 2)).boundary_from("body", lambda x, y: x > 0.9)
    with pytest.raises(pt.FileFormatError, match="body"):
        meshes.write(mesh, path)
    assert path.read_text() == "old"
