"""Fields for ParaView: VTKHDF, an HDF5 file of a mesh and the fields on it over time.

Layout: the VTK file formats' page on VTKHDF, version 2.2, unstructured grid with static mesh and transient data;
readable by ParaView from 5.12. DOLFINx's own writer (`dolfinx.io.vtkhdf`) names every array alike and knows vertices
only; VTX writes a folder, which cannot be replaced as a whole. The file is written by the first rank.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import FileFormatError, ModelError
from physics_twin.fem._dolfinx import MPI
from physics_twin.fem.fields.field import FieldSeries, History, Location
from physics_twin.fem.fields.grid import Grid
from physics_twin.fem.mesh.cells import Cell, IntArray
from physics_twin.fem.mesh.files import to_vtk
from physics_twin.files import atomic_write
from physics_twin.units import Unit

SUFFIXES = (".vtkhdf", ".hdf")
VERSION = (2, 2)

_TYPES = {
    (Cell.INTERVAL, 1): 3,
    (Cell.INTERVAL, 2): 21,
    (Cell.TRIANGLE, 1): 5,
    (Cell.TRIANGLE, 2): 22,
    (Cell.QUADRILATERAL, 1): 9,
    (Cell.QUADRILATERAL, 2): 28,
    (Cell.TETRAHEDRON, 1): 10,
    (Cell.TETRAHEDRON, 2): 24,
    (Cell.HEXAHEDRON, 1): 12,
    (Cell.HEXAHEDRON, 2): 29,
}
"""VTK's numbers of cell types (vtkCellType.h)."""

_METER = Unit("m")


def save_fields(series: FieldSeries, path: "str | os.PathLike[str]", names: tuple[str, ...]) -> None:
    """Write fields of a run: whole, or not at all. To be called on all ranks.

    Fields of degree 1 beside others of degree 2 are written at the nodes of degree 2. Raises FileFormatError for
    another suffix than .vtkhdf, ModelError for fields on two meshes, OSError.
    """
    file = Path(path)
    if file.suffix not in SUFFIXES:
        raise FileFormatError(
            f"fields are written as .vtkhdf, which ParaView reads, not as {file.suffix or 'a folder'}"
        )
    chosen = [series.histories[name] for name in names]
    grid = max((h.grid for h in chosen), key=lambda g: g.degree)
    chosen = [_carried(h, grid) for h in chosen]
    comm = MPI.COMM_WORLD
    error: Exception | None = None
    if comm.rank == 0:
        try:
            with atomic_write(file) as temporary:
                _write(temporary, series, chosen)
        except Exception as failure:  # noqa: BLE001 -- a rank that raised alone would leave the others waiting
            error = failure
    error = comm.bcast(error, root=0)
    if error is not None:
        raise error


def _carried(history: History, grid: Grid) -> History:
    """The same field on the nodes of a finer element; a thermal and a mechanical model may differ in degree."""
    own = history.grid
    if own is grid:
        return history
    same = own.mesh.cells.shape == grid.mesh.cells.shape and np.array_equal(own.mesh.cells, grid.mesh.cells)
    if not same or not np.array_equal(own.mesh.points, grid.mesh.points):
        raise ModelError(f"{history.name} is on another mesh than the others; save them one by one with names=")
    if history.place is Location.CELLS or own.degree == grid.degree:
        return replace(history, grid=grid)
    weights = own.element.values(grid.element.nodes)
    values = np.empty((len(history.values), len(grid.nodes), *history.values.shape[2:]))
    values[:, grid.cells] = np.einsum("kn,tcn...->tck...", weights, history.values[:, own.cells])
    return replace(history, grid=grid, values=values)


def array_name(name: str, unit: Unit) -> str:
    """Return the name of an array in the file; HDF5 takes a slash for a folder.

    >>> array_name("heat_flux", Unit("W/m^2")), array_name("cure", Unit("1"))
    ('heat_flux (W per m^2)', 'cure')
    """
    return name if unit.text == "1" else f"{name} ({unit.text.replace('/', ' per ')})"


def shown_unit(history: History) -> Unit:
    """Return the unit of an array: the declared one, but meters for a displacement: ParaView warps by it."""
    is_length = history.unit.dimension == _METER.dimension and history.values.ndim == 3
    return _METER if is_length else history.unit


def _write(path: Path, series: FieldSeries, chosen: list[History]) -> None:
    grid, n_times = chosen[0].grid, series.times.size
    n_cells, width = grid.cells.shape
    with h5py.File(path, "w") as file:
        root = file.create_group("VTKHDF", track_order=True)
        root.attrs["Version"] = np.array(VERSION, dtype=np.int64)
        # A text of fixed length: VTK does not read others here.
        kind = b"UnstructuredGrid"
        root.attrs.create("Type", kind, dtype=h5py.string_dtype("ascii", len(kind)))
        root.attrs["model"] = series.model
        root["NumberOfPoints"] = np.array([len(grid.nodes)], dtype=np.int64)
        root["NumberOfCells"] = np.array([n_cells], dtype=np.int64)
        root["NumberOfConnectivityIds"] = np.array([grid.cells.size], dtype=np.int64)
        root["Points"] = _three(grid.nodes)
        root["Connectivity"] = grid.cells[:, to_vtk(grid.mesh.cell, grid.degree)].reshape(-1).astype(np.int64)
        root["Offsets"] = np.arange(n_cells + 1, dtype=np.int64) * width
        root["Types"] = np.full(n_cells, _TYPES[grid.mesh.cell, grid.degree], dtype=np.uint8)
        steps = root.create_group("Steps")
        steps.attrs["NSteps"] = np.int64(n_times)
        steps["Values"] = series.times
        none = np.zeros(n_times, dtype=np.int64)
        for name in ("PartOffsets", "PointOffsets"):
            steps[name] = none
        steps["NumberOfParts"] = none + 1
        for name in ("CellOffsets", "ConnectivityIdOffsets"):
            steps[name] = none[:, None]
        for kind_of_data in ("Point", "Cell"):
            root.create_group(f"{kind_of_data}Data", track_order=True)
            steps.create_group(f"{kind_of_data}DataOffsets")
        for history in chosen:
            kind_of_data = "Point" if history.place is Location.NODES else "Cell"
            _write_history(root, steps, kind_of_data, history)
        # Which material a cell is of; static, so every time reads the same rows.
        root["CellData"]["region"] = _region_numbers(chosen[0])
        root["CellData"]["region"].attrs["names"] = ", ".join(
            f"{k} {name}" for k, name in enumerate(grid.mesh.regions, 1)
        )
        steps["CellDataOffsets"]["region"] = none


def _write_history(root: Any, steps: Any, kind: str, history: History) -> None:
    unit = shown_unit(history)
    values = np.asarray(unit.from_si(history.values))
    if values.ndim == 3:
        values = _three(values) if values.shape[2] <= 3 else values
    n_times, n = values.shape[:2]
    name = array_name(history.name, unit)
    data = root[f"{kind}Data"].create_dataset(name, data=values.reshape(n_times * n, *values.shape[2:]))
    data.attrs["units"] = unit.text
    steps[f"{kind}DataOffsets"][name] = np.arange(n_times, dtype=np.int64) * n


def _region_numbers(history: History) -> IntArray:
    numbers = np.zeros(history.grid.mesh.n_cells, dtype=np.int64)
    for k, cells in enumerate(history.grid.mesh.regions.values(), 1):
        numbers[cells] = k
    return numbers


def _three(rows: Array) -> Array:
    """Rows (..., 1 to 3) with zeros for the coordinates that a flat body does not have."""
    missing = 3 - rows.shape[-1]
    return np.concatenate([rows, np.zeros((*rows.shape[:-1], missing))], axis=-1) if missing else rows
