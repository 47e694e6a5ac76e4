"""How large a field model will be, estimated from its mesh before anything is built, and refused where it cannot fit.

The numbers of unknowns and matrix entries follow from the elements. What factors take is George's law for nested
dissection (SIAM J. Numer. Anal. 10, 1973): n log n entries for a plane body, n^(4/3) for one in space; its constants,
and what meshes and runs take, were measured with DOLFINx 0.11 and the MUMPS of PETSc 3.25. It is an estimate: within a
factor of two.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from physics_twin.errors import ModelError
from physics_twin.fem._dolfinx import MPI
from physics_twin.fem.linear_solver import Direct, Iterative, direct_by_default
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.mesh.cells import Cell, reference

_ENTRIES = {
    (Cell.INTERVAL, 1): 3,
    (Cell.INTERVAL, 2): 4,
    (Cell.TRIANGLE, 1): 7,
    (Cell.TRIANGLE, 2): 11.5,
    (Cell.QUADRILATERAL, 1): 9,
    (Cell.QUADRILATERAL, 2): 16,
    (Cell.TETRAHEDRON, 1): 15,
    (Cell.TETRAHEDRON, 2): 28,
    (Cell.HEXAHEDRON, 1): 27,
    (Cell.HEXAHEDRON, 2): 64,
}
"""Nodes that a node shares a cell with, itself included, on average inside a large mesh."""

_BYTES = 12.0  # of an entry of a sparse matrix: its value and its column
_MATRICES = 3.0  # storage, stiffness and their sum
_MULTIGRID = 2.5  # coarse levels and smoothers, in matrices
_VECTORS = 60.0  # kept per unknown: stages, and 48 of the iterative solver's earlier solutions and their images
_CELL = {
    Cell.INTERVAL: 700.0,
    Cell.TRIANGLE: 900.0,
    Cell.QUADRILATERAL: 1200.0,
    Cell.TETRAHEDRON: 1450.0,
    Cell.HEXAHEDRON: 2200.0,
}
"""Bytes per cell at the peak of building with elements of degree 1; 400 to 900 of them stay."""
_DESCRIPTION = 0.4  # of these bytes: the mesh as plain arrays, which every rank holds
_FACTORS = {1: 8.0, 2: 7.0, 3: 21.0}
"""Factor entries: c n, c n log2 n, c n^(4/3). Measured with MUMPS: 6.5 to 6.9 on 10,000 to 160,000 unknowns of
quadrilaterals and triangles, 17 to 24 on 5,000 to 36,000 of hexahedra and tetrahedra."""
_WORKSPACE = 1.25  # MUMPS's memory over that of its factors
_LOCAL = 12.0  # copies of the local states: stages, slopes, bases
_USABLE = 0.9  # of the memory that is free


@dataclass(frozen=True)
class Size:
    """An estimate; bytes over all ranks."""

    n_unknowns: int
    mesh: float
    matrices: float
    solver: float
    vectors: float

    @property
    def total(self) -> float:
        """Bytes."""
        return self.mesh + self.matrices + self.solver + self.vectors

    def __str__(self) -> str:
        parts = {"mesh": self.mesh, "matrices": self.matrices, "solver": self.solver, "vectors": self.vectors}
        listed = ", ".join(f"{name} {bytes_text(b)}" for name, b in parts.items() if b > 0.0)
        return f"{self.n_unknowns:,} unknowns, about {bytes_text(self.total)} ({listed})"


def bytes_text(n: float) -> str:
    """Return bytes for people.

    >>> bytes_text(2.5e9), bytes_text(3.2e7)
    ('2.5 GB', '32 MB')
    """
    return f"{n / 1e9:.3g} GB" if n >= 1e9 else f"{max(n / 1e6, 1.0):.0f} MB"


def n_nodes(mesh: Mesh, degree: int) -> int:
    """Return the number of nodes of Lagrange elements, exact for degree 1 and for the mesh's own order.

    Else from the corners: on an even mesh there are 2**dimension nodes of degree 2 to each.
    """
    if degree == mesh.order:
        return mesh.n_points
    corners = mesh.n_points if mesh.order == 1 else int(np.unique(mesh.vertices).size)
    return corners if degree == 1 else corners * 2**mesh.dimension


def estimate_size(
    mesh: Mesh,
    degree: int,
    *,
    components: int = 1,
    local_states: int = 0,
    solver: "Direct | Iterative | None" = None,
    steady: bool = False,
) -> Size:
    """Return the estimate for a field of so many components on elements of a degree.

    local_states: values at each quadrature point. solver: the one asked for; None is the library's choice.
    """
    n = n_nodes(mesh, degree) * components
    matrix = _BYTES * _ENTRIES[mesh.cell, degree] * components * n
    if isinstance(solver, Direct) or (solver is None and direct_by_default(n, mesh.dimension)):
        growth = {1: 1.0, 2: float(np.log2(max(n, 2))), 3: n ** (1.0 / 3.0)}[mesh.dimension]
        needed = 8.0 * _FACTORS[mesh.dimension] * n * growth * _WORKSPACE
    else:
        multigrid = steady or (solver is not None and solver.multigrid)
        needed = _MULTIGRID * matrix if multigrid else 0.0
    n_points = mesh.n_cells * (degree + 1) ** mesh.dimension if local_states else 0
    larger = len(reference(mesh.cell, degree).lattice) / len(reference(mesh.cell, 1).lattice)
    return Size(
        n_unknowns=n,
        mesh=_CELL[mesh.cell] * mesh.n_cells * larger**0.2,
        matrices=_MATRICES * matrix,
        solver=needed,
        vectors=8.0 * (_VECTORS * n + _LOCAL * local_states * n_points),
    )


def check_size(mesh: Mesh, degree: int, **options: Any) -> Size:
    """Return the estimate; raise ModelError with it where it exceeds the memory that is free. Options: `estimate_size`.

    To be called on all ranks, which agree: those of one machine share its memory.
    """
    size = estimate_size(mesh, degree, **options)
    comm, ranks_here = MPI.COMM_WORLD, _ranks_here()
    here = size.total * ranks_here / comm.size + _DESCRIPTION * size.mesh * (ranks_here - 1)
    free = available_memory()
    if comm.allreduce(here > _USABLE * free, op=MPI.LOR):
        hints = ["a coarser mesh"]
        if degree == 2:
            hints.append("degree=1")
        if isinstance(options.get("solver"), Direct):
            hints.append("solver=fem.Iterative()")
        raise ModelError(
            f"this model would have {size}, and {bytes_text(free)} of memory are free; take {' or '.join(hints)}, or a "
            "larger machine"
        )
    return size


@cache
def _ranks_here() -> int:
    """How many ranks run on this machine."""
    if MPI.COMM_WORLD.size == 1:
        return 1
    comm = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
    n = int(comm.size)
    comm.Free()
    return n


def available_memory() -> float:
    """Return the bytes that new data may take: what the machine has free, within the limit of a container."""
    free = float(os.sysconf("SC_PAGE_SIZE")) * float(os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = 1024.0 * float(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    with suppress(OSError, ValueError):  # "max" where there is no limit
        limit = float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = float(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        free = min(free, max(limit - used, 0.0))
    return free
