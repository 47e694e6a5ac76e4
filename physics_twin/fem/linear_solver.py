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
from physics_twin.fem.native import released_with

_SMALL = 3000  # unknowns below which PETSc's own LU is quicker than MUMPS
_DIRECT = {1: 10**7, 2: 60_000, 3: 12_000}  # unknowns up to which a direct solver is taken, by dimension
_BASIS = 24  # earlier solutions kept for the initial guess
_MULTIGRID_AFTER = 150  # iterations with Jacobi after which multigrid is built
_DERIVATIVES = 100.0  # times the tolerance of the run: below it, tangents chase the noise that the run left
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


def direct_by_default(n_global: int, dimension: int) -> bool:
    """Whether a problem of this size is solved by factors where nobody chose."""
    return n_global <= _DIRECT[dimension]


@dataclass
class _Basis:
    """A-orthonormal earlier solutions and their products with A, (_BASIS, n) each; the first n count."""

    vectors: Array
    images: Array
    n: int = 0


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
        mesh: Any = None,
    ) -> None:
        if choice is None:
            choice = Direct() if direct_by_default(n_global, dimension) else Iterative(multigrid=steady)
        self.comm, self.choice, self.symmetric = comm, choice, symmetric
        self.near_nullspace = near_nullspace
        self.n_iterations = 0
        self.n_factors = 0
        self._small = n_global <= _SMALL and comm.size == 1
        self._ksp: Any = None
        self._matrix: Any = None
        self._native = released_with(self, mesh)
        self._multigrid = isinstance(choice, Iterative) and choice.multigrid
        self._bases: dict[int, _Basis] = {}
        self._pair: Any = None

    def keep(self, matrix: Any) -> None:
        """Destroy this matrix with the solver, before the mesh goes."""
        if not any(known is matrix for known in self._native):
            self._native.append(matrix)

    def set_operator(self, matrix: Any) -> None:
        """Take another matrix (its values may be new in the same object)."""
        self._matrix = matrix
        self._bases.clear()
        if self._ksp is None:
            self._ksp = self._created(matrix)
        self._ksp.setOperators(matrix)
        self.n_factors += 1

    def forget(self) -> None:
        """Drop what earlier solutions taught, so that a run depends on its arguments only."""
        self._bases.clear()
        self._multigrid = isinstance(self.choice, Iterative) and self.choice.multigrid
        if isinstance(self.choice, Iterative) and self._ksp is not None:
            self._destroy()
            self._ksp = None

    def _destroy(self) -> None:
        self._native[:] = [n for n in self._native if n is not self._ksp]
        self._ksp.destroy()

    def _created(self, matrix: Any) -> Any:
        ksp: Any = PETSc.KSP().create(self.comm)
        self._native.append(ksp)
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

    def solve(self, b: Array, *, rtol: float | None = None, transpose: bool = False, family: int = 0) -> Array:
        """x (owned entries) with A x = b, or A^T x = b; rtol relaxes the iterative solver's tolerance.

        family: right-hand sides that resemble one another (the steps of a run, one direction of its tangents) share
        what earlier solutions taught.

        Raises SolveError (time 0; callers add theirs) when the solver fails or the recomputed residual is large.
        """
        return self.solve_with_image(b, rtol=rtol, transpose=transpose, family=family)[0]

    def solve_with_image(
        self,
        b: Array,
        *,
        rtol: float | None = None,
        scale: float = 0.0,
        transpose: bool = False,
        family: int = 0,
    ) -> tuple[Array, Array]:
        """x and A x. scale: a norm that the residual may be measured by as well, where b is a small correction."""
        norm = self._norm(b)
        if norm == 0.0:
            return np.zeros_like(b), np.zeros_like(b)
        if not np.isfinite(norm):
            raise SolveError("the equations hold a number that is not finite", time=0.0)
        if isinstance(self.choice, Direct):
            return self._direct(b, norm, transpose)
        relative = self.choice.rtol if rtol is None else rtol
        if family:
            relative = min(_DERIVATIVES * relative, 1e-6)
        return self._iterative(b, norm, relative * max(norm, scale), transpose, family)

    def _direct(self, b: Array, norm: float, transpose: bool) -> tuple[Array, Array]:
        x = np.zeros_like(b)
        self._run(b, x, transpose)
        if self._ksp.getConvergedReason() < 0 or not np.isfinite(self._norm(x)):
            raise SolveError("the equations are singular: a part is not held, or a property is zero", time=0.0)
        image = self.times(x, transpose)
        residual = self._norm(b - image)
        if residual > _RESIDUAL * norm:
            raise SolveError(
                f"the linear solver left a residual of {residual / norm:.1e}: the equations are singular or nearly so",
                time=0.0,
            )
        return x, image

    def _run(self, b: Array, x: Array, transpose: bool) -> None:
        right, left = self._vectors()
        right.placeArray(b)
        left.placeArray(x)
        if transpose and not self.symmetric:
            self._ksp.solveTranspose(right, left)
        else:
            self._ksp.solve(right, left)
        left.resetArray()
        right.resetArray()

    def _vectors(self) -> tuple[Any, Any]:
        """Two PETSc vectors that lend their type to our arrays."""
        if self._pair is None:
            self._pair = tuple(self._matrix.createVecs())
            self._native += self._pair
        right, left = self._pair
        return right, left

    def _iterative(self, b: Array, norm: float, target: float, transpose: bool, family: int) -> tuple[Array, Array]:
        recycle = self.symmetric
        x, image, r, start = np.zeros_like(b), np.zeros_like(b), b, norm
        basis = self._bases.get(family)
        if recycle and basis is not None and basis.n:
            weights = self._sum(basis.vectors[: basis.n] @ b)
            x = weights @ basis.vectors[: basis.n]
            image = weights @ basis.images[: basis.n]
            r = b - image
            start = self._norm(r)
        if start <= target:
            return x, image
        correction = np.zeros_like(b)
        self._ksp.setTolerances(rtol=max(target / start, 1e-14), atol=0.0, max_it=5000)
        self._run(r, correction, transpose)
        reason, n = self._ksp.getConvergedReason(), self._ksp.getIterationNumber()
        self.n_iterations += n
        if reason < 0 and not self._multigrid:
            self._to_multigrid()
            return self._iterative(b, norm, target, transpose, family)
        if reason < 0:
            raise SolveError(f"the linear solver gave up after {n} iterations (PETSc reason {reason})", time=0.0)
        added = self.times(correction, transpose)
        residual = self._norm(r - added)
        if not residual <= max(10.0 * target, 1e-13 * norm):
            if not self._multigrid:
                self._to_multigrid()
                return self._iterative(b, norm, target, transpose, family)
            if not residual <= _RESIDUAL * norm:
                raise SolveError(f"the linear solver left a residual of {residual / norm:.1e}", time=0.0)
        if n > _MULTIGRID_AFTER and not self._multigrid:
            self._to_multigrid()
        if recycle:
            self._learn(correction, added, family)
        return x + correction, image + added

    def _learn(self, x: Array, image: Array, family: int) -> None:
        """Add a solution to the basis: Gram-Schmidt in the A inner product."""
        basis = self._bases.get(family)
        if basis is None:
            basis = self._bases[family] = _Basis(np.empty((_BASIS, x.size)), np.empty((_BASIS, x.size)))
        if basis.n == _BASIS:
            # Start anew, as Fischer's method does: old solutions say little about the next.
            basis.n = 0
        new, new_image = x, image
        if basis.n:
            weights = self._sum(basis.images[: basis.n] @ new)
            new = new - weights @ basis.vectors[: basis.n]
            new_image = new_image - weights @ basis.images[: basis.n]
        left, size = self._sum(np.array([new @ new_image, x @ image]))
        if not left > 1e-12 * size:
            return
        scale = 1.0 / np.sqrt(left)
        basis.vectors[basis.n], basis.images[basis.n] = new * scale, new_image * scale
        basis.n += 1

    def _to_multigrid(self) -> None:
        self._multigrid = True
        self._destroy()
        self._ksp = self._created(self._matrix)
        self._ksp.setOperators(self._matrix)

    def times(self, x: Array, transpose: bool = False) -> Array:
        """A x, or A^T x."""
        y = np.empty_like(x)
        a, b = self._vectors()
        a.placeArray(x)
        b.placeArray(y)
        if transpose and not self.symmetric:
            self._matrix.multTranspose(a, b)
        else:
            self._matrix.mult(a, b)
        b.resetArray()
        a.resetArray()
        return y

    def _norm(self, x: Array) -> float:
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, and is refused as that
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
    vectors: Any = PETSc.Vec
    a, b = (vectors().createWithArray(v, comm=matrix.comm) for v in (x, y))
    (matrix.multTranspose if transpose else matrix.mult)(a, b)
    a.destroy()
    b.destroy()
    return y
