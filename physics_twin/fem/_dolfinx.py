"""The only door to DOLFINx, PETSc, SLEPc and MPI.

Everything else in the library writes `from physics_twin.fem._dolfinx import dolfinx, ufl, PETSc, MPI`, so that one file
says what to install where they are missing and how forms are compiled.
"""

from physics_twin.errors import ModelError

try:
    try:
        import dolfinx_solver  # the wheel: it sets up PETSc and DOLFINx when it is imported
    except ModuleNotFoundError:
        pass  # conda-forge's, Debian's and the container's fenics-dolfinx need no set-up
    import basix.ufl as basix_ufl
    import dolfinx
    import dolfinx.fem.petsc
    import dolfinx.geometry
    import dolfinx.io
    import dolfinx.mesh
    import ufl
    from mpi4py import MPI
    from petsc4py import PETSc
except ImportError as error:
    raise ModelError(
        "field models need DOLFINx 0.11: pip install 'physics-twin[fem]' on Linux x86-64, or fenics-dolfinx from "
        f"conda-forge or Debian elsewhere ({error})"
    ) from error

__all__ = ["MPI", "PETSc", "basix_ufl", "dolfinx", "ufl"]
