"""Linear systems: direct below a size, conjugate gradients or GMRES above, every answer checked.

A time step asks for a system much like the last one. The iterative solver therefore keeps an A-orthonormal basis of
earlier solutions and starts from the projection of the right-hand side (Fischer, Projection techniques for iterative
solution of Ax = b with successive right-hand sides, CMAME 163, 1998, method 1); A x of a solution is known from its
residual, so that the basis costs no product with the matrix.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.fem._dolfinx import MPI, PETSc

_SMALL = 3000  # unknowns below which PETSc's own LU is quicker than MUMPS
_DIRECT = {1: 10**7, 2: 60_000, 3: 12_000}  # unknowns up to which a direct solver is taken, by dimension
_BASIS = 24  # earlier solutions kept for the initial guess
_MULTIGRID_AFTER = 150  # iterations with Jacobi after which multigrid is built
_RESIDUAL = 1e-6  # relative residual above which an answer is refused


@dataclass(frozen=True)
class Direct:
    """LU or Cholesky factors; exact to rounding, memory grows quickly in 3-D."""


@dataclass(frozen=True)
class Iterative:
    """Conjugate gradients (GMRES where the operator is not symmetric).

    multigrid: algebraic multigrid from the start; otherwise Jacobi, and multigrid when that needs many iterations.
    rtol: of the residual.
    """

    multigrid: bool = False
    rtol: float = 1e-10


class LinearSolver:
    """Solves A x = b for one operator after the other of the same sparsity."""

    def __init__(
        self,
        comm: Any,
        n_global: int,
        dimension: int,
        *,
        symmetric: bool,
        choice: "Direct | Iterative | None" = None,
        near_nullspace: Any = None,
        steady: bool = False,
    ) -> None:
        if choice is None:
            direct = n_global <= _DIRECT[dimension]
            choice = Direct() if direct else Iterative(multigrid=steady)
        self.comm, self.choice, self.symmetric = comm, choice, symmetric
        self.near_nullspace = near_nullspace
        self.n_iterations = 0
        self.n_factors = 0
        self._small = n_global <= _SMALL and comm.size == 1
        self._ksp: Any = None
        self._matrix: Any = None
        self._multigrid = isinstance(choice, Iterative) and choice.multigrid
        self._basis: Array | None = None
        self._images: Array | None = None
        self._n_basis = 0

    def set_operator(self, matrix: Any) -> None:
        """Take another matrix (its values may be new in the same object)."""
        self._matrix = matrix
        self._n_basis = 0
        if self._ksp is None:
            self._ksp = self._created(matrix)
        self._ksp.setOperators(matrix)
        self.n_factors += 1

    def forget(self) -> None:
        """Drop what earlier solutions taught, so that a run depends on its arguments only."""
        self._n_basis = 0
        self._multigrid = isinstance(self.choice, Iterative) and self.choice.multigrid
        if isinstance(self.choice, Iterative) and self._ksp is not None:
            self._ksp.destroy()
            self._ksp = None

    def _created(self, matrix: Any) -> Any:
        ksp = PETSc.KSP().create(self.comm)
        pc = ksp.getPC()
        if isinstance(self.choice, Direct):
            ksp.setType("preonly")
            pc.setType("lu")
            if not self._small:
                pc.setFactorSolverType("mumps")
        else:
            ksp.setType("cg" if self.symmetric else "gmres")
            if self._multigrid:
                pc.setType("gamg")
                if self.near_nullspace is not None:
                    matrix.setNearNullSpace(self.near_nullspace)
            else:
                pc.setType("jacobi")
            ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED if self.symmetric else PETSc.KSP.NormType.DEFAULT)
            if not self.symmetric:
                ksp.setPCSide(PETSc.PC.Side.RIGHT)
                ksp.setGMRESRestart(100)
        ksp.setErrorIfNotConverged(False)
        return ksp

    def solve(self, b: Array, *, rtol: float | None = None, transpose: bool = False) -> Array:
        """x (owned entries) with A x = b, or A^T x = b; rtol relaxes the iterative solver's tolerance.

        Raises SolveError (time 0; callers add theirs) when the solver fails or the recomputed residual is large.
        """
        norm = self._norm(b)
        if norm == 0.0:
            return np.zeros_like(b)
        if not np.isfinite(norm):
            raise SolveError("the equations hold a number that is not finite", time=0.0)
        if isinstance(self.choice, Direct):
            return self._direct(b, norm, transpose)
        return self._iterative(b, norm, self.choice.rtol if rtol is None else rtol, transpose)

    def _direct(self, b: Array, norm: float, transpose: bool) -> Array:
        x = np.zeros_like(b)
        right, left = self._wrapped(b), self._wrapped(x)
        if transpose and not self.symmetric:
            self._ksp.solveTranspose(right, left)
        else:
            self._ksp.solve(right, left)
        reason = self._ksp.getConvergedReason()
        left.destroy()
        right.destroy()
        if reason < 0 or not np.isfinite(x).all():
            raise SolveError("the equations are singular: a part is not held, or a property is zero", time=0.0)
        residual = self._norm(b - self._times(x, transpose))
        if residual > _RESIDUAL * norm:
            raise SolveError(
                f"the linear solver left a residual of {residual / norm:.1e}: the equations are singular or nearly so",
                time=0.0,
            )
        return x

    def _iterative(self, b: Array, norm: float, rtol: float, transpose: bool) -> Array:
        recycle = self.symmetric
        x = np.zeros_like(b)
        r = b
        if recycle and self._n_basis and self._basis is not None and self._images is not None:
            k = self._n_basis
            weights = self._sum(self._basis[:k] @ b)
            x = weights @ self._basis[:k]
            r = b - weights @ self._images[:k]
        start = self._norm(r) if self._n_basis else norm
        target = rtol * norm
        if start > target:
            correction = np.zeros_like(b)
            right, left = self._wrapped(r), self._wrapped(correction)
            self._ksp.setTolerances(rtol=max(target / start, 1e-14), atol=0.0, max_it=5000)
            if transpose and not self.symmetric:
                self._ksp.solveTranspose(right, left)
            else:
                self._ksp.solve(right, left)
            reason, n = self._ksp.getConvergedReason(), self._ksp.getIterationNumber()
            left.destroy()
            right.destroy()
            self.n_iterations += n
            if (reason < 0 or n > _MULTIGRID_AFTER) and not self._multigrid:
                self._to_multigrid()
                if reason < 0:
                    return self._iterative(b, norm, rtol, transpose)
            elif reason < 0:
                raise SolveError(f"the linear solver gave up after {n} iterations (PETSc reason {reason})", time=0.0)
            x = x + correction
        image = self._times(x, transpose)
        residual = self._norm(b - image)
        if not residual <= max(10.0 * target, 1e-13 * norm):
            if not self._multigrid:
                self._to_multigrid()
                return self._iterative(b, norm, rtol, transpose)
            if not residual <= _RESIDUAL * norm:
                raise SolveError(f"the linear solver left a residual of {residual / norm:.1e}", time=0.0)
        if recycle:
            self._learn(x, image)
        return x

    def _learn(self, x: Array, image: Array) -> None:
        """Add a solution to the basis: Gram-Schmidt in the A inner product, twice is enough."""
        if self._basis is None:
            self._basis, self._images = np.empty((_BASIS, x.size)), np.empty((_BASIS, x.size))
        assert self._images is not None
        if self._n_basis == _BASIS:
            # Start anew from the latest solution, as Fischer's method does.
            self._n_basis = 0
        k = self._n_basis
        new, new_image = x.copy(), image.copy()
        size = float(self._sum(np.array([new @ new_image]))[0])
        for _ in range(2):
            if k:
                weights = self._sum(self._images[:k] @ new)
                new -= weights @ self._basis[:k]
                new_image -= weights @ self._images[:k]
        left = float(self._sum(np.array([new @ new_image]))[0])
        if left <= 1e-20 * size or left <= 0.0:
            return
        scale = 1.0 / np.sqrt(left)
        self._basis[k], self._images[k] = new * scale, new_image * scale
        self._n_basis = k + 1

    def _to_multigrid(self) -> None:
        self._multigrid = True
        self._ksp.destroy()
        self._ksp = self._created(self._matrix)
        self._ksp.setOperators(self._matrix)

    def _times(self, x: Array, transpose: bool = False) -> Array:
        return multiply(self._matrix, x, transpose=transpose and not self.symmetric)

    def _wrapped(self, x: Array) -> Any:
        return PETSc.Vec().createWithArray(x, comm=self.comm)

    def _norm(self, x: Array) -> float:
        return float(np.sqrt(self._sum(np.array([x @ x]))[0]))

    def _sum(self, x: Array) -> Array:
        if self.comm.size == 1:
            return x
        out = np.empty_like(x)
        self.comm.Allreduce(x, out, op=MPI.SUM)
        return out


def multiply(matrix: Any, x: Array, *, transpose: bool = False) -> Array:
    """A x or A^T x for owned entries."""
    y = np.empty_like(x)
    a, b = (PETSc.Vec().createWithArray(v, comm=matrix.comm) for v in (x, y))
    (matrix.multTranspose if transpose else matrix.mult)(a, b)
    a.destroy()
    b.destroy()
    return y
