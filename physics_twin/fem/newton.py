"""One implicit stage: q Q(u) + g R(u) + known = 0 with the local states solved along; Newton's method."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.fem._dolfinx import MPI
from physics_twin.fem.linear_solver import LinearSolver
from physics_twin.fem.operators import Operators

_MOST_ITERATIONS = 20
_RELATIVE = 1e-9  # of the first residual of a stage
_ROUNDING = 2e-14  # of the sums that cancel in a residual
_ASSEMBLY = 0.1  # of the diagonal times the field, as what cancels within the assembly (a body that conducts well)
_SLOW = 0.1  # contraction above which the Jacobian is made anew
_HALVINGS_BY_WORK = 6  # a step that plasticity cuts further goes beyond collapse
_HALVINGS = 20  # of a step; latent heat makes the storage a thousand times steeper within a node's step


@dataclass(frozen=True)
class Stage:
    """A solved stage: field, local states, and what the local law was given."""

    u: Array
    z: Array
    e: Array
    image: "Array | None" = None
    """q M u + g K u of a linear problem, where it came with the solution."""


class StageSolver:
    """Solves one stage after the other; keeps the factors while the weight is the same and Newton contracts well."""

    def __init__(self, operators: Operators, solver: LinearSolver) -> None:
        self.ops, self.solver = operators, solver
        self._matrix: Any = None
        self._weights: tuple[float, float] | None = None
        self._theta = b""
        self._diagonal: Array | None = None
        self._last_residual = np.empty(0)
        self.n_newton = 0

    def begin(self) -> None:
        """A run begins: forget factors and earlier solutions."""
        self._weights = self._diagonal = None
        self.solver.forget()

    def solve(self, q: float, g: float, known: Array, base: Array, theta: Array, guess: Array, z_guess: Array) -> Stage:
        """The stage with u given by q Q + g R + known = 0 on free rows, prescribed values on the others.

        base: (n_points, n_z) of the local law, whose weight is g. Raises SolveError.
        """
        if self.ops.linear:
            return self._linear(q, g, known, theta, guess, z_guess)
        ops = self.ops
        u = self._predicted(q, g, known, base, theta, guess, z_guess)
        stage, residual, size = self._residual(u, q, g, known, base, theta, z_guess)
        norm = first = ops.norm(residual)
        floor = _ROUNDING * size
        target = max(_RELATIVE * first, floor)
        for iteration in range(_MOST_ITERATIONS):
            if norm <= target and (iteration or norm <= floor):
                return stage
            if self._weights != (q, g):
                self._factor(q, g, stage, base, theta)
                fresh = True
            else:
                fresh = False
            self.n_newton += 1
            step = self.solver.solve(residual, rtol=1e-4 if first > 0.0 else None)
            self._last_residual = residual
            trial, new_residual, size, new_norm = self._damped(stage, step, q, g, known, base, theta, norm, fresh)
            if trial is None:
                if fresh:
                    raise SolveError("Newton's method does not converge", time=0.0)
                self._weights = None
                continue
            if new_norm > _SLOW * norm:
                self._weights = None
            small = float(np.abs(step).max(initial=0.0)) <= 1e-12 * float(np.abs(trial.u).max(initial=0.0))
            small = bool(ops.comm.allreduce(int(small)) == ops.comm.size) if ops.comm.size > 1 else small
            stage, residual, norm = trial, new_residual, new_norm
            floor = _ROUNDING * size
            target = max(_RELATIVE * first, floor)
            if small:
                return stage
        raise SolveError("Newton's method does not converge", time=0.0)

    def _predicted(
        self, q: float, g: float, known: Array, base: Array, theta: Array, guess: Array, z_guess: Array
    ) -> Array:
        """The guess with prescribed values imposed.

        For a law without time the body follows them by its tangent: moved nodes beside resting ones would strain the
        cells between them far beyond what the step asks for, and plastic points do not come back from there.
        """
        ops = self.ops
        u = guess.copy()
        values = ops.essential_values(theta)
        if ops.law is None or ops.law.timed or not ops.any_held:
            u[ops.held] = values
            return u
        moved = np.zeros(ops.n)
        moved[ops.held] = values - u[ops.held]
        if ops.norm(moved) == 0.0:
            return u
        stage, residual, _ = self._residual(u, q, g, known, base, theta, z_guess)
        self._factor(q, g, stage, base, theta)
        slopes = ops.law.slopes(stage.z, stage.e, base, g, theta)
        local = np.einsum("nij,nj->ni", slopes.e, ops.given_direction(moved))
        right = residual + ops.direction(q, g, u, theta, moved, local, None)
        right[ops.held] = 0.0
        u = u + moved - self.solver.solve(right, rtol=1e-4)
        u[ops.held] = values
        return u

    def _linear(self, q: float, g: float, known: Array, theta: Array, guess: Array, z: Array) -> Stage:
        """The guess and one correction. Products with the matrix are carried along where nothing is prescribed."""
        ops = self.ops
        key = ops.matrix_key(theta)
        if self._weights != (q, g) or key != self._theta:
            self._matrix = ops.jacobian(q, g, theta, self._matrix)
            self.solver.keep(self._matrix)
            self.solver.set_operator(self._matrix)
            self._weights, self._theta = (q, g), key
            self._last = None
        if ops.any_held:
            u = guess.copy()
            u[ops.held] = ops.essential_values(theta)
            residual = ops.value(q, g, u, theta) + known
            residual[ops.held] = 0.0
            # Rows of prescribed values are large and say nothing of the others.
            step, _ = self.solver.solve_with_image(residual, scale=ops.norm(known * ops.free))
            return Stage(u - step, z, z)
        if self._last is not None and self._last.u is guess:
            image = self._last.image
        else:
            image = self.solver.times(guess)
        assert image is not None
        right = known + g * ops.load(theta)
        step, step_image = self.solver.solve_with_image(image + right, scale=ops.norm(right))
        self._last = Stage(guess - step, z, z, image - step_image)
        return self._last

    def _residual(
        self, u: Array, q: float, g: float, known: Array, base: Array, theta: Array, z_guess: Array
    ) -> tuple[Stage, Array, float]:
        """The stage at u, its residual (prescribed rows zero), and the size of the sums that cancel in it."""
        ops = self.ops
        ops.symbols.set(theta)
        ops.write(u)
        z, e = base, np.empty((0, 0))
        if ops.law is not None:
            e = ops.given()
            z = self._local(e, base, g, theta, z_guess)
            ops.law.write(z)
        value = ops.assembled(q, g)
        residual = value + known
        residual[ops.held] = 0.0
        value[ops.held] = 0.0
        size = ops.norm(value) + ops.norm(known * ops.free)
        if self._diagonal is not None:
            size += _ASSEMBLY * ops.norm(self._diagonal * u) + _ASSEMBLY * ops.norm(self._diagonal) * ops.f.typical
        if not np.isfinite(size):
            raise SolveError("the equations hold a number that is not finite", time=0.0)
        return Stage(u, z, e), residual, size

    def _local(self, e: Array, base: Array, g: float, theta: Array, z_guess: Array) -> Array:
        """The local states; where they fail on one rank they fail on all."""
        law, comm = self.ops.law, self.ops.comm
        assert law is not None
        failure: SolveError | None = None
        z = z_guess
        try:
            # Return mapping begins at the old state: its first step is then exact for straight paths of stress.
            z, _ = law.solve(e, base, g, theta, z_guess if law.timed else base)
        except SolveError as error:
            failure = error
        if comm.size > 1:
            first = comm.allreduce(comm.rank if failure is not None else comm.size, op=MPI.MIN)
            if first < comm.size:
                failure = comm.bcast(failure, root=first)
        if failure is not None:
            raise failure
        return z

    def _damped(
        self,
        stage: Stage,
        step: Array,
        q: float,
        g: float,
        known: Array,
        base: Array,
        theta: Array,
        norm: float,
        fresh: bool,
    ) -> tuple[Stage | None, Array, float, float]:
        """The step, halved until the residual falls; None where it does not.

        Where plastic points take their part of a load over, the residual may grow while the energy falls: for a law
        without time a fresh step counts by its work on the residual, which a step that does not overshoot makes less
        (Crisfield, Non-linear Finite Element Analysis of Solids and Structures 1, 1991, section 9.2).
        """
        part = 1.0
        by_work = fresh and self.ops.law is not None and not self.ops.law.timed
        first = abs(self.ops.sum(step * self._last_residual)) if by_work else 0.0
        for _ in range((_HALVINGS_BY_WORK if by_work else _HALVINGS) if fresh else 1):
            try:
                trial, residual, size = self._residual(stage.u - part * step, q, g, known, base, theta, stage.z)
                new = self.ops.norm(residual)
                falls = new < norm * (1.0 - 0.1 * part) or new <= _ROUNDING * size * 10.0
                if falls or (by_work and abs(self.ops.sum(step * residual)) <= first):
                    return trial, residual, size, new
            except SolveError:
                pass
            part *= 0.5
        return None, step, 0.0, norm

    def _factor(self, q: float, g: float, stage: Stage, base: Array, theta: Array) -> None:
        self._matrix = jacobian_at(self.ops, q, g, stage, base, theta, self._matrix)
        self.solver.keep(self._matrix)
        self.solver.set_operator(self._matrix)
        self._diagonal = self._matrix.getDiagonal().array * self.ops.free
        self._weights = (q, g)


def jacobian_at(ops: Operators, q: float, g: float, stage: Stage, base: Array, theta: Array, matrix: object) -> object:
    """The Jacobian of a stage with the local states following, at a solution."""
    ops.symbols.set(theta)
    ops.write(stage.u)
    if ops.law is not None:
        ops.law.write(stage.z)
        ops.law.write_slope(ops.law.slopes(stage.z, stage.e, base, g, theta).e)
    return ops.jacobian(q, g, theta, matrix)
