"""The only door to DOLFINx, PETSc, SLEPc and MPI.

Everything else in the library writes `from physics_twin.fem._dolfinx import dolfinx, ufl, PETSc, MPI`, so that one file
says what to install where they are missing. What is missing is said where it is first needed: DOLFINx when this module
is imported, SLEPc when `slepc` is called, a C compiler at the first compilation (`physics_twin.fem.compilation`).
"""

import functools
import sys
import time
from contextlib import suppress
from typing import Any

from physics_twin.errors import MissingDependencyError

if sys.platform == "win32":  # no fcntl; a compiled module that is loaded cannot be renamed
    raise MissingDependencyError("field models run on Linux and macOS; on Windows use WSL")

try:
    # The wheel sets up PETSc and DOLFINx when it is imported; conda-forge's, Debian's and the container's
    # fenics-dolfinx need no set-up.
    with suppress(ModuleNotFoundError):
        import dolfinx_solver  # noqa: F401
    import basix.ufl as basix_ufl
    import dolfinx
    import dolfinx.fem.petsc
    import dolfinx.geometry
    import dolfinx.io
    import dolfinx.jit
    import dolfinx.mesh
    import ffcx
    import ffcx.codegeneration
    import ffcx.naming
    import ffcx.options
    import ufl
    from mpi4py import MPI
    from petsc4py import PETSc
except ImportError as error:
    raise MissingDependencyError(
        "field models need DOLFINx 0.11: pip install 'physics-twin[fem]' on Linux x86-64, or fenics-dolfinx from "
        f"conda-forge or Debian elsewhere ({error})"
    ) from error


def _without_method_caches() -> None:
    """UFL's dispatchers without the cache of Python 3.13.0 and 3.13.1 that never lets go of an object.

    There `functools.singledispatchmethod` keeps a method that refers to its object in a dictionary that is weak in the
    object only (cpython issue 127750, taken back in 3.13.2): every model that was ever built stays, with its
    communicators, until MPI has none left and MUMPS ends the process.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != "ufl":
            continue
        for kind in vars(module).values():
            if isinstance(kind, type):
                for method in vars(kind).values():
                    if isinstance(method, functools.singledispatchmethod) and hasattr(method, "_method_cache"):
                        method._method_cache = None


_without_method_caches()

# PETSc's handler answers SIGTERM with a page of advice and MPI_Abort; a service that is stopped wants its own answer.
PETSc.Sys.popSignalHandler()


_LAST_WORDS = 2.0  # s that an error waits for those of the other ranks


def _abort_all_ranks() -> None:
    """An error that one rank does not catch ends all of them with its message; the others would wait for ever."""
    shown = sys.excepthook

    def excepthook(kind: Any, error: Any, traceback: Any) -> None:
        shown(kind, error, traceback)
        sys.stderr.flush()
        # Where all ranks fail, each has its say first; a rank that waits elsewhere does not come.
        everyone, until = MPI.COMM_WORLD.Ibarrier(), time.monotonic() + _LAST_WORDS
        while not everyone.Test() and time.monotonic() < until:
            time.sleep(0.01)
        MPI.COMM_WORLD.Abort(1)

    sys.excepthook = excepthook


if MPI.COMM_WORLD.size > 1:
    _abort_all_ranks()

__all__ = ["MPI", "PETSc", "basix_ufl", "dolfinx", "ffcx", "slepc", "ufl"]


def slepc() -> Any:
    """Return the module `slepc4py.SLEPc`; the wheel has it, other packages of DOLFINx leave it out.

    Raises MissingDependencyError that says what to install.
    """
    try:
        from slepc4py import SLEPc
    except ImportError as error:
        raise MissingDependencyError(
            "natural frequencies need SLEPc: install slepc4py from where DOLFINx came from (conda-forge: slepc4py, "
            f"Debian: python3-slepc4py; the extra physics-twin[fem] has it) ({error})"
        ) from error
    return SLEPc
