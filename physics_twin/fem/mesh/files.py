"""Meshes from files and to files: gmsh's .msh and XDMF through meshio, .geo and CAD through a gmsh of the user's own.

gmsh is GPL and so never a dependency: it is run as a program where it is found. meshio numbers nodes as VTK does
(vertices around a face, then edges, faces, interior); the tables below bring them into the order of DOLFINx.
"""

import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import FileFormatError, ModelError, ShapeError
from physics_twin.fem.mesh.blocks import merged_points
from physics_twin.fem.mesh.cells import FACET_CELL, Cell, IntArray, positions, reference
from physics_twin.fem.mesh.geometry import right_handed
from physics_twin.fem.mesh.hanging import refuse_hanging_points
from physics_twin.fem.mesh.mesh import Mesh
from physics_twin.fem.mesh.topology import find_facets
from physics_twin.files import atomic_write
from physics_twin.units import Unit, unit as unit_of

_LOGGER = logging.getLogger(__name__)
_M = Unit("m")

# meshio's name -> cell, order and the nodes in VTK's order, in twice the reference coordinates.
_VTK = {
    "line": (Cell.INTERVAL, 1, "0 2"),
    "line3": (Cell.INTERVAL, 2, "0 2 1"),
    "triangle": (Cell.TRIANGLE, 1, "00 20 02"),
    "triangle6": (Cell.TRIANGLE, 2, "00 20 02 10 11 01"),
    "quad": (Cell.QUADRILATERAL, 1, "00 20 22 02"),
    "quad9": (Cell.QUADRILATERAL, 2, "00 20 22 02 10 21 12 01 11"),
    "tetra": (Cell.TETRAHEDRON, 1, "000 200 020 002"),
    "tetra10": (Cell.TETRAHEDRON, 2, "000 200 020 002 100 110 010 001 101 011"),
    "hexahedron": (Cell.HEXAHEDRON, 1, "000 200 220 020 002 202 222 022"),
    "hexahedron27": (
        Cell.HEXAHEDRON,
        2,
        "000 200 220 020 002 202 222 022 100 210 120 010 102 212 122 012 001 201 221 021 011 211 101 121 110 112 111",
    ),
}
_INCOMPLETE = ("quad8", "hexahedron20")
_NAMES = {(cell, order): name for name, (cell, order, _) in _VTK.items()}
_DRAWINGS = (".geo", ".step", ".stp", ".brep", ".iges", ".igs")
_REGION, _BOUNDARY = "region:", "boundary:"
_TAGS = ("gmsh:physical", "cell_tags", "name_to_read", "regions", "region", "f")


def read(
    path: str | os.PathLike[str],
    *,
    unit: str = "m",
    axisymmetric: bool = False,
    merge: bool = False,
    order: int = 1,
    dimension: int = 3,
    size: float | None = None,
) -> Mesh:
    """Return the mesh of a .msh or .xdmf file, or of a drawing (.geo, STEP, BREP, IGES) where gmsh is installed.

    unit: what the file's numbers are in; drawings are mostly in "mm". gmsh's physical groups become regions and
    boundaries, those without a name `region_3` and `boundary_3`; a file without groups is the region "body".
    axisymmetric: x and y of the file are r and z. merge: unite points that coincide, for parts that were meshed
    apart. Only for drawings: order, dimension, and size, the largest cell in the file's unit.

    Raises `FileFormatError` for a file that is no mesh of one sort of cell or whose parts are wrong (what
    `fem.mesh.check` calls errors), `FileNotFoundError`, and `ModelError` where meshio or gmsh is missing.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file}")
    factor = unit_of(unit)
    if factor.dimension != _M.dimension:
        raise ShapeError(f'unit = "{unit}" is no unit of length')
    suffix = file.suffix.lower()
    if suffix in _DRAWINGS:
        raw = _mesh_drawing(file, dimension, order, size)
    elif suffix in (".msh", ".xdmf"):
        raw = _read_with_meshio(file)
    else:
        known = ", ".join((".msh", ".xdmf", *_DRAWINGS))
        raise FileFormatError(f'{file}: "{suffix}" is no mesh file that can be read here; known: {known}')
    try:
        return _from_meshio(raw, factor, axisymmetric, merge)
    except (ModelError, ShapeError) as error:
        raise FileFormatError(f"{file}: {error}") from error


def write(mesh: Mesh, path: str | os.PathLike[str]) -> None:
    """Write a mesh to a .msh file (gmsh 2.2, text; regions and boundaries as physical groups) or .xdmf (ParaView).

    In .xdmf each region is a cell field `region:name` of 0 and 1 and each boundary a cell field `boundary:name` whose
    bits are the cell's facets (bit 0 its first facet in DOLFINx). The file is whole or absent. Coordinates are in m.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in (".msh", ".xdmf"):
        raise FileFormatError(f'{file}: "{suffix}" is no mesh file that can be written here; known: .msh, .xdmf')
    meshio = _meshio()
    with atomic_write(file) as temporary:
        if suffix == ".msh":
            meshio.gmsh.write(str(temporary), _grouped(mesh, meshio), fmt_version="2.2", binary=False)
        else:
            meshio.xdmf.write(str(temporary), _flagged(mesh, meshio), data_format="XML")


def _meshio() -> Any:
    try:
        import meshio
    except ImportError as error:
        raise ModelError(
            f"mesh files need meshio: pip install meshio, or pip install 'physics-twin[fem]' ({error})"
        ) from error
    return meshio


# Reading -------------------------------------------------------------------------------------------------------------


def _read_with_meshio(file: Path) -> Any:
    meshio = _meshio()
    reader = meshio.gmsh.read if file.suffix.lower() == ".msh" else meshio.xdmf.read
    try:
        return reader(str(file))
    except Exception as error:
        raise FileFormatError(f"{file} cannot be read as a mesh: {str(error) or type(error).__name__}") from error


def _mesh_drawing(file: Path, dimension: int, order: int, size: float | None) -> Any:
    program = shutil.which("gmsh")
    if program is None:
        raise ModelError(
            f"{file}: a drawing needs the program gmsh, which is not on the PATH. Install it (https://gmsh.info; it is "
            "GPL and so no part of this library), or mesh the drawing elsewhere and read the .msh file"
        )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "mesh.msh"
        command = [program, str(file), f"-{dimension}", "-order", str(order), "-format", "msh41", "-o", str(target)]
        if size is not None:
            command += ["-clmax", repr(float(size))]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0 or not target.exists():
            lines = (run.stderr or run.stdout).strip().splitlines()
            raise FileFormatError(f"{file}: gmsh made no mesh of it: {'; '.join(lines[-3:])}")
        return _read_with_meshio(target)


def _from_meshio(raw: Any, factor: Unit, axisymmetric: bool, merge: bool) -> Mesh:
    kinds = [block.type for block in raw.cells]
    cell, order = _sort_of_cells(kinds)
    main = [i for i, kind in enumerate(kinds) if kind == _NAMES[cell, order]]
    cells = np.concatenate([np.asarray(raw.cells[i].data, dtype=np.int64) for i in main])
    cells = cells[:, _from_vtk(cell, order)]
    points = _flat(np.asarray(raw.points, dtype=np.float64), cell)
    points = np.asarray(factor.to_si(points))
    regions = _flagged_regions(raw, main) or _groups(raw, main, cell.dimension, "region")
    sides = [i for i, kind in enumerate(kinds) if _dimension(kind) == cell.dimension - 1]
    facets = [_facet_vertices(raw.cells[i].data, cell) for i in sides]
    groups = _groups(raw, sides, cell.dimension - 1, "boundary")
    stacked = np.concatenate(facets) if facets else np.zeros((0, 1), dtype=np.int64)
    boundaries = {name: _once(stacked[rows]) for name, rows in groups.items()}
    boundaries |= _flagged_boundaries(raw, main, cells, cell)
    lower = [name for name, (_, dimension) in raw.field_data.items() if dimension < cell.dimension - 1]
    if lower:
        _LOGGER.warning("groups of points or curves are left out: %s", ", ".join(lower))
    if merge:
        points, number = merged_points(points, cells, cell)
        cells = number[cells]
        boundaries = {name: _once(number[rows]) for name, rows in boundaries.items()}
    used, numbers = np.unique(cells, return_inverse=True)
    renumbered = np.full(len(points), -1, dtype=np.int64)
    renumbered[used] = np.arange(len(used))
    for name, rows in boundaries.items():
        lost = int((renumbered[rows] < 0).any(axis=1).sum())
        if lost:
            raise ModelError(f'{lost} of {len(rows)} facets of boundary "{name}" are no facets of the mesh\'s cells')
    cells = right_handed(points[used], numbers.reshape(cells.shape), cell, order)
    boundaries = {name: renumbered[rows] for name, rows in boundaries.items()}
    if not regions:
        regions = {"body": np.arange(len(cells))}
    mesh = Mesh(points[used], cells, cell, order, regions, boundaries, axisymmetric)
    refuse_hanging_points(mesh)
    return mesh


def _dimension(kind: str) -> int:
    if kind == "vertex":
        return 0
    if kind in _VTK:
        return _VTK[kind][0].dimension
    return {"quad8": 2}.get(kind, 3)  # what else meshio has in a mesh of bodies: wedges, pyramids, polyhedra


def _sort_of_cells(kinds: list[str]) -> tuple[Cell, int]:
    top = max((_dimension(kind) for kind in kinds), default=0)
    if top == 0:
        raise ModelError("the file holds no cells (save the mesh, not only the geometry)")
    sorts = sorted({kind for kind in kinds if _dimension(kind) == top})
    if len(sorts) > 1:
        raise ModelError(f"the file mixes {' and '.join(sorts)}; a mesh has cells of one sort: recombine all or none")
    if sorts[0] in _INCOMPLETE:
        raise ModelError(f"{sorts[0]} lacks the middle nodes: mesh with Mesh.SecondOrderIncomplete = 0")
    if sorts[0] not in _VTK:
        raise ModelError(f"cells of the sort {sorts[0]} are not supported; known: {', '.join(_VTK)}")
    return _VTK[sorts[0]][:2]


def _from_vtk(cell: Cell, order: int) -> IntArray:
    """Return which node of VTK's each node of DOLFINx's is."""
    text = _VTK[_NAMES[cell, order]][2]
    vtk = np.array([[int(digit) for digit in word] for word in text.split()]) * order // 2
    return positions(vtk, reference(cell, order).lattice)


def _flat(points: Array, cell: Cell) -> Array:
    dimension = cell.dimension
    if points.shape[1] < dimension:
        raise ModelError(f"{cell.plural} need {dimension} coordinates, the file has {points.shape[1]}")
    extent = float(np.ptp(points, axis=0).max())
    for axis in range(dimension, points.shape[1]):
        height = float(np.ptp(points[:, axis]))
        if height > 1e-9 * extent:
            raise ModelError(
                f"its {cell.plural} do not lie in {'the x-y plane' if dimension == 2 else 'x'}: "
                f"{'xyz'[axis]} varies by {height:.4g}; surfaces in space are no bodies of this library"
            )
    return points[:, :dimension]


def _facet_vertices(data: Any, cell: Cell) -> IntArray:
    if cell is Cell.INTERVAL:
        return np.asarray(data, dtype=np.int64).reshape(-1, 1)
    facet = FACET_CELL[cell]
    return np.asarray(data, dtype=np.int64)[:, : reference(facet, 1).n_vertices][:, _from_vtk(facet, 1)]


def _once(facets: IntArray) -> IntArray:
    kept = np.sort(np.unique(np.sort(facets, axis=1), axis=0, return_index=True)[1])
    return facets[kept]


def _groups(raw: Any, blocks: list[int], dimension: int, kind: str) -> dict[str, IntArray]:
    """Return name -> rows among the stacked cells of `blocks`, by gmsh's physical groups or another field of tags."""
    lengths = [len(raw.cells[i].data) for i in blocks]
    starts = np.cumsum([0, *lengths])
    found: dict[str, IntArray] = {}
    names = {int(tag): name for name, (tag, of) in raw.field_data.items() if int(of) == dimension}
    # msh 4.1: meshio's sets know every group of a cell, its field of tags only the first.
    for name in names.values():
        sets = raw.cell_sets.get(name)
        if sets is not None:
            rows = [start + np.asarray(sets[i], dtype=np.int64) for i, start in zip(blocks, starts, strict=False)]
            found[name] = np.concatenate([*rows, np.zeros(0, dtype=np.int64)])
    if found:
        return found
    for field in _TAGS:
        per_block = raw.cell_data.get(field)
        if per_block is not None and len(per_block) == len(raw.cells):
            tags = np.concatenate([*(np.asarray(per_block[i]).ravel() for i in blocks), np.zeros(0)]).astype(np.int64)
            named: dict[int, str] = {
                tag: names.get(tag, f"{kind}_{tag}") for tag in np.unique(tags).tolist() if tag != 0
            }
            for tag, name in named.items():
                found[name] = np.flatnonzero(tags == tag)
            # A name without cells or facets is a slip that the check reports.
            for name in names.values():
                found.setdefault(name, np.zeros(0, dtype=np.int64))
            return found
    return {}


def _flagged_regions(raw: Any, main: list[int]) -> dict[str, IntArray]:
    found: dict[str, IntArray] = {}
    for field, per_block in raw.cell_data.items():
        if field.startswith(_REGION):
            flags = np.concatenate([np.asarray(per_block[i]).ravel() for i in main])
            found[field.removeprefix(_REGION)] = np.flatnonzero(flags)
    return found


def _flagged_boundaries(raw: Any, main: list[int], cells: IntArray, cell: Cell) -> dict[str, IntArray]:
    found = {}
    for field, per_block in raw.cell_data.items():
        if field.startswith(_BOUNDARY):
            bits = np.concatenate([np.asarray(per_block[i]).ravel() for i in main]).astype(np.int64)
            local = reference(cell, 1).facets
            chosen, facet = np.nonzero(bits[:, None] >> np.arange(len(local)) & 1)
            found[field.removeprefix(_BOUNDARY)] = cells[chosen[:, None], local[facet]]
    return found


# Writing -------------------------------------------------------------------------------------------------------------


def to_vtk(cell: Cell, order: int) -> IntArray:
    """Return which node of DOLFINx's each node of VTK's is."""
    return np.argsort(_from_vtk(cell, order))


def _padded(points: Array, columns: int) -> Array:
    return np.concatenate([points, np.zeros((len(points), columns - points.shape[1]))], axis=1)


def _grouped(mesh: Mesh, meshio: Any) -> Any:
    tags: list[IntArray] = []
    blocks: list[tuple[str, IntArray]] = []
    groups: dict[str, IntArray] = {}
    both = sorted(set(mesh.regions) & set(mesh.boundaries))
    if both:
        raise FileFormatError(f"a .msh file cannot hold a region and a boundary of one name: {', '.join(both)}")
    for tag, (name, numbers) in enumerate(mesh.regions.items(), 1):
        blocks.append((_NAMES[mesh.cell, mesh.order], mesh.cells[numbers][:, to_vtk(mesh.cell, mesh.order)]))
        tags.append(np.full(len(numbers), tag))
        groups[_quotable(name)] = np.array([tag, mesh.dimension])
    for tag, (name, facets) in enumerate(mesh.boundaries.items(), 1):
        nodes = mesh.facet_nodes(facets)
        if mesh.cell is Cell.INTERVAL:
            blocks.append(("vertex", nodes))
        else:
            facet = FACET_CELL[mesh.cell]
            blocks.append((_NAMES[facet, mesh.order], nodes[:, to_vtk(facet, mesh.order)]))
        tags.append(np.full(len(nodes), tag))
        groups[_quotable(name)] = np.array([tag, mesh.dimension - 1])
    return meshio.Mesh(
        _padded(mesh.points, 3),
        blocks,
        cell_data={"gmsh:physical": tags, "gmsh:geometrical": tags},
        field_data=groups,
    )


def _quotable(name: str) -> str:
    if '"' in name or "\n" in name:
        raise FileFormatError(f"a .msh file cannot hold the name {name!r}")
    return name


def _flagged(mesh: Mesh, meshio: Any) -> Any:
    fields: dict[str, list[IntArray]] = {}
    for name, numbers in mesh.regions.items():
        flags = np.zeros(mesh.n_cells, dtype=np.int64)
        flags[numbers] = 1
        fields[_REGION + name] = [flags]
    for name, facets in mesh.boundaries.items():
        rows = find_facets(mesh.facets, facets)
        bits = np.zeros(mesh.n_cells, dtype=np.int64)
        np.bitwise_or.at(bits, mesh.facets.cells[rows], np.left_shift(1, mesh.facets.local[rows]))
        fields[_BOUNDARY + name] = [bits]
    blocks = [(_NAMES[mesh.cell, mesh.order], mesh.cells[:, to_vtk(mesh.cell, mesh.order)])]
    return meshio.Mesh(_padded(mesh.points, max(2, mesh.dimension)), blocks, cell_data=fields)
