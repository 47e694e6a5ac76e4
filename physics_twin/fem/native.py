"""PETSc objects that go before the mesh whose communicator they use.

The garbage collector frees the parts of a model in any order; a matrix that is freed after the communicator of its mesh
takes the process with it.
"""

import weakref
from typing import Any


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
