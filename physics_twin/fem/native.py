"""PETSc objects that go before the mesh whose communicator they use, and communicators that are left for a new mesh.

The garbage collector frees the parts of a model in any order; here what PETSc holds on the communicator of a mesh goes
first, so that the communicator goes at once. MPI has about 2000 of them for a process (MPICH), a model takes about ten;
MUMPS does not notice when there are none left, and writes where it should not.
"""

import gc
import weakref
from typing import Any

from physics_twin.errors import ModelError
from physics_twin.fem._dolfinx import MPI

_FOR_A_MODEL = 32  # communicators: of mesh, matrices, factors; with as much to spare


def released_with(owner: object, mesh: Any) -> list[Any]:
    """A list for PETSc objects: when `owner` goes they are destroyed, and only then the mesh may go."""
    held: list[Any] = []
    # Not at exit: PETSc has been finalized by then.
    weakref.finalize(owner, _release, held, mesh).atexit = False
    return held


def _release(held: list[Any], mesh: Any) -> None:
    for native in held:
        native.destroy()
    held.clear()
    del mesh


def check_communicators(comm: Any) -> None:
    """Raise ModelError where MPI has no communicators left for another model; unreachable models are freed first."""
    if _left(comm):
        return
    gc.collect()
    if not _left(comm):
        raise ModelError(
            "too many field models are alive in this process: MPI has no communicators left for another one. Keep the "
            "results and not the models, or build one model and run it with different values"
        )


def _left(comm: Any) -> bool:
    held: list[Any] = []
    try:
        for _ in range(_FOR_A_MODEL):
            held.append(comm.Dup())
    except MPI.Exception:
        return False
    finally:
        for one in held:
            one.Free()
    return True
