"""Outputs of a field at many points, evaluated together: rows of one sparse matrix, or of one compiled expression."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from physics_twin.arrays import Array
from physics_twin.fem._dolfinx import MPI, dolfinx, ufl
from physics_twin.fem.compilation import compile_expression
from physics_twin.fem.domain import Domain, Entities
from physics_twin.fem.observers import BlockRow, _Derivatives, _write_directions, entries_in
from physics_twin.fem.operators import Operators


class MatrixBlock:
    """P A u with A (n_rows, entries of this rank, ghosts included) and P = 1 - Q Q^T, Q (n_rows, k) orthonormal."""

    def __init__(self, matrix: scipy.sparse.csr_array, basis: "Array | None" = None) -> None:
        self.matrix, self.basis = matrix, basis

    def _projected(self, rows: Array) -> Array:
        return rows if self.basis is None else rows - self.basis @ (self.basis.T @ rows)

    def values(self, ops: Operators, u: Array, theta: Array) -> Array:
        """(n_rows,) this rank's part."""
        return self._projected(self.matrix @ ops.field.x.array)

    def tangents(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> Array:
        """(n_rows,) this rank's part."""
        ops._write_direction(du)
        return self._projected(self.matrix @ ops.direction_field.x.array)

    def pulled(self, ops: Operators, u: Array, theta: Array, weights: Array) -> tuple[Array, "Array | None", Array]:
        """The transposed matrix."""
        full = dolfinx.fem.create_vector(ops.space)
        full.array[:] = self.matrix.T @ self._projected(weights)
        full.scatter_reverse(dolfinx.la.InsertMode.add)
        return full.array[: ops.n].copy(), None, np.zeros(theta.size)

    def row(self, k: int) -> BlockRow:
        """One output."""
        entries = slice(*self.matrix.indptr[k : k + 2])
        identity = [self.matrix.data[entries], self.matrix.indices[entries]]
        # The basis follows from the points; its last bits depend on how the linear algebra runs in a process.
        identity.append(np.empty(0) if self.basis is None else np.array([self.basis.shape[1]]))
        return BlockRow(self, k, self.matrix.shape[0], np.concatenate(identity))


@dataclass(frozen=True)
class Place:
    """Where a row of a `PointBlock` is evaluated: its cell (-1 on other ranks) and the weights of reference points."""

    cell: int
    weights: Array
    component: int


class PointBlock:
    """Components of a UFL vector at points, from one compiled expression.

    reference_points (m, dimension): all points of all rows together, the same on every rank. Each row is a weighted
    sum of them in its cell: one of them for a field, an extrapolation from quadrature points for local states.
    """

    def __init__(self, expression: Any, reference_points: Array, places: Sequence[Place]) -> None:
        self.expression, self.reference_points = expression, np.atleast_2d(reference_points)
        self.places = tuple(places)
        self._shape = (len(self.reference_points), int(expression.ufl_shape[0]))
        mine = [(k, p) for k, p in enumerate(self.places) if p.cell >= 0]
        self._rows = np.array([k for k, _ in mine], dtype=int)
        cells = np.array([p.cell for _, p in mine], dtype=np.int32)
        self._cells, self._at = np.unique(cells, return_inverse=True)
        self._components = np.array([p.component for _, p in mine], dtype=int)
        self._weights = np.array([p.weights for _, p in mine]).reshape(len(mine), self._shape[0])
        self._value = compile_expression(expression, self.reference_points)
        self._along: Any = None
        self._by_field: Any = None

    def _evaluated(self, ops: Operators, compiled: Any) -> Array:
        """(n_rows,) or, for expressions with an argument, (n_mine, n_cell_dofs)."""
        values = np.asarray(compiled.eval(ops.symbols.domain.mesh, self._cells), dtype=float)
        values = values.reshape(self._cells.size, *self._shape, -1)
        chosen = values[self._at, :, self._components]
        return np.asarray(np.einsum("km,kmj->kj", self._weights, chosen))

    def _spread(self, mine: Array) -> Array:
        out = np.zeros(len(self.places))
        out[self._rows] = mine
        return out

    def values(self, ops: Operators, u: Array, theta: Array) -> Array:
        """(n_rows,) this rank's part."""
        if not self._rows.size:
            return np.zeros(len(self.places))
        return self._spread(self._evaluated(ops, self._value)[:, 0])

    def tangents(
        self, ops: Operators, u: Array, theta: Array, du: "Array | None", dz: "Array | None", dtheta: Array
    ) -> Array:
        """(n_rows,) this rank's part."""
        if self._along is None:
            self._along = compile_expression(_Derivatives.directional(ops, self.expression), self.reference_points)
        _write_directions(ops, du, dz, dtheta)
        if not self._rows.size:
            return np.zeros(len(self.places))
        return self._spread(self._evaluated(ops, self._along)[:, 0])

    def pulled(self, ops: Operators, u: Array, theta: Array, weights: Array) -> tuple[Array, "Array | None", Array]:
        """By the expression's derivative with respect to the field's entries in each cell."""
        if self._by_field is None:
            by_field = ufl.derivative(self.expression, ops.field, ufl.TrialFunction(ops.space))
            self._by_field = compile_expression(ufl.algorithms.expand_derivatives(by_field), self.reference_points)
        full, dtheta = dolfinx.fem.create_vector(ops.space), np.zeros(theta.size)
        full.array[:] = 0.0
        if self._rows.size:
            slopes = weights[self._rows, None] * self._evaluated(ops, self._by_field)
            bs = ops.space.dofmap.bs
            dofs = ops.space.dofmap.list[self._cells[self._at]]
            np.add.at(full.array, (dofs[:, :, None] * bs + np.arange(bs)).reshape(len(dofs), -1), slopes)
        full.scatter_reverse(dolfinx.la.InsertMode.add)
        for k in entries_in(ops, self.expression):
            one = np.zeros(theta.size)
            one[k] = 1.0
            dtheta[k] = float(weights @ self.tangents(ops, u, theta, None, None, one))
        return full.array[: ops.n].copy(), self._by_local(ops, theta, weights), dtheta

    def _by_local(self, ops: Operators, theta: Array, weights: Array) -> "Array | None":
        """Where reference points are those of the local law: along one state after the other, at all points at once."""
        law = ops.law
        if law is None or law.z not in ufl.algorithms.extract_coefficients(self.expression):
            return None
        result = np.zeros((law.n_points, law.n_z))
        self.tangents(ops, u=np.empty(0), theta=theta, du=None, dz=None, dtheta=np.zeros(theta.size))
        inside = np.isin(self._cells[self._at], law.cells)
        rows = np.searchsorted(law.cells, self._cells[self._at][inside])[:, None] * law.n_q + np.arange(law.n_q)
        for k in range(law.n_z):
            if not self._rows.size:
                break
            one = np.zeros((law.n_points, law.n_z))
            one[:, k] = 1.0
            law.write_direction(one)
            values = np.asarray(self._along.eval(ops.symbols.domain.mesh, self._cells), dtype=float)
            values = values.reshape(self._cells.size, *self._shape)[self._at, :, self._components]
            shares = weights[self._rows, None] * self._weights * values
            np.add.at(result[:, k], rows, shares[inside])
        law.write_direction(np.zeros((law.n_points, law.n_z)))
        return result

    def row(self, k: int, point: Array) -> BlockRow:
        """One output; point: its coordinates, m."""
        return BlockRow(self, k, len(self.places), np.append(point, float(self.places[k].component)))


class LargestObserver:
    """The largest value of a UFL scalar over cells, at the same reference points (m, dimension) of each.

    Its derivative is that of the point which has it.
    """

    extreme = 1

    def __init__(self, expression: Any, reference_points: Array, cells: Entities) -> None:
        self.expression, self.reference_points = expression, np.atleast_2d(reference_points)
        self.cells = np.asarray(cells, dtype=np.int32)
        self.weights = np.concatenate([self.reference_points.reshape(-1), self.cells])
        """What tells it from others, for the fingerprint"""
        self._value = compile_expression(expression, self.reference_points)
        self._along: Any = None
        self._by_field: Any = None

    def _at_cells(self, ops: Operators, compiled: Any, cells: Entities) -> Array:
        """(n_cells, m, ...)."""
        values = np.asarray(compiled.eval(ops.symbols.domain.mesh, cells), dtype=float)
        return values.reshape(cells.size, len(self.reference_points), -1)

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """This rank's largest."""
        return float(self._at_cells(ops, self._value, self.cells).max()) if self.cells.size else -np.inf

    def _place(self, ops: Operators) -> "tuple[Entities, int] | None":
        """Cell and point of the largest value on the rank that has it (the lowest rank keeps a tie)."""
        values = self._at_cells(ops, self._value, self.cells)[:, :, 0] if self.cells.size else np.full((1, 1), -np.inf)
        k, point = np.unravel_index(int(values.argmax()), values.shape)
        if ops.comm.size > 1:
            mine = float(values[k, point])
            best = ops.comm.allreduce(mine, op=MPI.MAX)
            if ops.comm.allreduce(ops.comm.rank if mine == best else ops.comm.size, op=MPI.MIN) != ops.comm.rank:
                return None
        return self.cells[k : k + 1], int(point)

    def tangent(
        self, ops: Operators, u: Array, theta: Array, du: "Array | None", dz: "Array | None", dtheta: Array
    ) -> float:
        """This rank's part."""
        if self._along is None:
            self._along = compile_expression(_Derivatives.directional(ops, self.expression), self.reference_points)
        place = self._place(ops)
        _write_directions(ops, du, dz, dtheta)
        return 0.0 if place is None else float(self._at_cells(ops, self._along, place[0])[0, place[1], 0])

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """That of the point."""
        if self._by_field is None:
            by_field = ufl.derivative(self.expression, ops.field, ufl.TrialFunction(ops.space))
            self._by_field = compile_expression(ufl.algorithms.expand_derivatives(by_field), self.reference_points)
        full, dtheta = dolfinx.fem.create_vector(ops.space), np.zeros(theta.size)
        full.array[:] = 0.0
        place = self._place(ops)
        if place is not None:
            bs = ops.space.dofmap.bs
            dofs = ops.space.dofmap.list[place[0][0]]
            entries = (dofs[:, None] * bs + np.arange(bs)).reshape(-1)
            full.array[entries] = self._at_cells(ops, self._by_field, place[0])[0, place[1]]
        full.scatter_reverse(dolfinx.la.InsertMode.add)
        for k in entries_in(ops, self.expression):
            one = np.zeros(theta.size)
            one[k] = 1.0
            dtheta[k] = self.tangent(ops, u, theta, None, None, one)
        return full.array[: ops.n].copy(), self._by_local(ops, u, theta, place), dtheta

    def _by_local(self, ops: Operators, u: Array, theta: Array, place: "tuple[Entities, int] | None") -> "Array | None":
        """Where reference points are those of the local law: the local states of the point."""
        law = ops.law
        if law is None or law.z not in ufl.algorithms.extract_coefficients(self.expression):
            return None
        result = np.zeros((law.n_points, law.n_z))
        for k in range(law.n_z):
            one = np.zeros((law.n_points, law.n_z))
            one[:, k] = 1.0
            slope = self.tangent(ops, u, theta, None, one, np.zeros(theta.size))
            if place is not None:
                result[int(np.searchsorted(law.cells, place[0][0])) * law.n_q + place[1], k] = slope
        return result


def shared_points(domain: Domain, cells: Entities, reference: Array) -> tuple[Array, Any]:
    """Distinct reference points (m, d) of located points, the same on every rank, and which of them each point has.

    cells (n,) and reference (n, d) as `Domain.locate_all` gives them: -1 and zeros on ranks that do not hold a point.
    """
    held = np.where((cells >= 0)[:, None], reference, 0.0)
    everywhere = held if domain.comm.size == 1 else domain.comm.allreduce(held, op=MPI.SUM)
    # Corners of cells are found to rounding only.
    rounded: Array = np.round(everywhere, 12) + 0.0
    distinct, number = np.unique(rounded, axis=0, return_inverse=True)
    return distinct, np.asarray(number).reshape(-1)


def evaluation_matrix(
    space: Any, cells: Entities, reference: Array, components: Sequence[int]
) -> scipy.sparse.csr_array:
    """The matrix from a vector field's entries on this rank (ghosts included) to its components at located points.

    Rows: point by point, components within; rows of points that another rank holds are empty.
    """
    dofmap = space.dofmap
    bs, n_comp = dofmap.bs, len(components)
    n_entries = (dofmap.index_map.size_local + dofmap.index_map.num_ghosts) * dofmap.index_map_bs
    mine = np.flatnonzero(cells >= 0)
    shape = (len(cells) * n_comp, n_entries)
    if not mine.size:
        return scipy.sparse.csr_array(shape)
    table = space.element.basix_element.tabulate(0, np.ascontiguousarray(reference[mine]))[0, :, :, 0]
    dofs = dofmap.list[cells[mine]]
    c = np.asarray(components)
    rows = np.broadcast_to((mine[:, None] * n_comp + np.arange(n_comp))[:, :, None], (mine.size, n_comp, dofs.shape[1]))
    columns = dofs[:, None, :] * bs + c[None, :, None]
    data = np.broadcast_to(table[:, None, :], rows.shape)
    matrix = scipy.sparse.csr_array((data.ravel(), (rows.ravel(), columns.ravel())), shape=shape)
    # A value at a node is that of the node: weights that are rounding are no part of the row.
    matrix.data[np.abs(matrix.data) < 1e-14] = 0.0
    matrix.eliminate_zeros()
    return matrix
