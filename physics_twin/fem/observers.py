"""Outputs of a field: their value, their derivative along a direction, and their gradient."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from physics_twin.arrays import Array
from physics_twin.fem._dolfinx import MPI, dolfinx, ufl
from physics_twin.fem.compilation import compile_expression, compile_form
from physics_twin.fem.operators import Operators, constants_in
from physics_twin.fem.pullback import Pullback


class Observer(Protocol):
    """One output of the field; everything is per rank, sums over ranks are taken by `Observers`."""

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """This rank's part of the output at the field and local states last written."""
        ...

    def tangent(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> float:
        """This rank's part of its derivative along a direction."""
        ...

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """d/du (n,), d/dz (n_points, n_z) or None, d/dtheta (n_theta,) of this rank."""
        ...

    @property
    def extreme(self) -> int:
        """0 for a sum over ranks, 1 for a maximum, -1 for a minimum."""
        ...


class ObserverBlock(Protocol):
    """Several outputs that are evaluated together: displacements of a point cloud, stresses at points.

    Everything is per rank and summed over ranks by `Observers`.
    """

    def values(self, ops: Operators, u: Array, theta: Array) -> Array:
        """(n,) this rank's part at the field and local states last written."""
        ...

    def tangents(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> Array:
        """(n,) this rank's part of their derivatives along a direction."""
        ...

    def pulled(self, ops: Operators, u: Array, theta: Array, weights: Array) -> tuple[Array, "Array | None", Array]:
        """The gradient of weights (n,) . outputs: d/du, d/dz or None, d/dtheta of this rank."""
        ...


class BlockRow:
    """One output of a block. weights: what tells it from other rows, for the fingerprint."""

    extreme = 0

    def __init__(self, block: ObserverBlock, row: int, n_rows: int, weights: Array) -> None:
        self.block, self.row, self.n_rows, self.weights = block, row, n_rows, weights

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """This rank's part."""
        return float(self.block.values(ops, u, theta)[self.row])

    def tangent(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> float:
        """This rank's part."""
        return float(self.block.tangents(ops, u, theta, du, dz, dtheta)[self.row])

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """That of the block with the weight one on this row."""
        one = np.zeros(self.n_rows)
        one[self.row] = 1.0
        return self.block.pulled(ops, u, theta, one)


class LinearObserver:
    """c . u + c0: a point, an average over a region or a boundary."""

    extreme = 0

    def __init__(self, entries: Any, weights: Array, constant: float = 0.0) -> None:
        self.entries, self.weights, self.constant = np.asarray(entries, dtype=int), weights, constant

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """This rank's part."""
        return float(self.weights @ u[self.entries]) + (self.constant if ops.comm.rank == 0 else 0.0)

    def tangent(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> float:
        """This rank's part."""
        return float(self.weights @ du[self.entries])

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """The weights."""
        du = np.zeros(ops.n)
        np.add.at(du, self.entries, self.weights)
        return du, None, np.zeros(theta.size)


class ExtremeObserver:
    """The largest (sign 1) or smallest (-1) nodal value over a set of entries; its derivative is that of the node."""

    def __init__(self, entries: Array, sign: int) -> None:
        self.entries, self.extreme = entries.astype(int), sign

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """This rank's extreme."""
        if not self.entries.size:
            return -self.extreme * np.inf
        return float(u[self.entries].max() if self.extreme > 0 else u[self.entries].min())

    def _entry(self, ops: Operators, u: Array) -> int:
        """The entry that holds the extreme, -1 on ranks that do not hold it (the lowest rank keeps a tie)."""
        mine = self.value(ops, u, np.empty(0))
        best = ops.comm.allreduce(mine, op=MPI.MAX if self.extreme > 0 else MPI.MIN)
        rank = ops.comm.allreduce(ops.comm.rank if mine == best else ops.comm.size, op=MPI.MIN)
        if rank != ops.comm.rank:
            return -1
        values = u[self.entries]
        return int(self.entries[int(values.argmax() if self.extreme > 0 else values.argmin())])

    def tangent(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> float:
        """This rank's part."""
        k = self._entry(ops, u)
        return float(du[k]) if k >= 0 else 0.0

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """One at the node."""
        du = np.zeros(ops.n)
        k = self._entry(ops, u)
        if k >= 0:
            du[k] = 1.0
        return du, None, np.zeros(theta.size)


class _Derivatives:
    """The UFL derivatives of a functional or a pointwise expression, made when they are first asked for."""

    def __init__(self, ops: Operators, expression: Any) -> None:
        self.expression = expression
        self.along: Any = None
        self.by_field: Any = None
        self.by_theta: list[tuple[int, Any]] | None = None

    @staticmethod
    def directional(ops: Operators, expression: Any) -> Any:
        """Along (du, dz, drivers, dtheta) as last written."""
        form = ufl.derivative(expression, ops.field, ops.direction_field)
        if ops.law is not None:
            form += ufl.derivative(expression, ops.law.z, ops.law.dz)
        for driver in ops.f.drivers:
            form += ufl.derivative(expression, driver.field, driver.direction)
        for _, variable, direction in _constants(ops, expression):
            form += direction * ufl.diff(expression, variable)
        for distribution in ops.symbols.distributions:
            form += ufl.derivative(expression, distribution.field, distribution.direction)
        return ufl.algorithms.expand_derivatives(form)


def _constants(ops: Operators, expression: Any) -> list[tuple[int, Any, Any]]:
    used = constants_in(expression)
    s = ops.symbols
    return [(k, s.variables[k], s.directions[k]) for k, c in enumerate(s.constants) if c in used]


def entries_in(ops: Operators, expression: Any) -> list[int]:
    """The entries of theta that an expression holds: constants, and the coefficients of distributions."""
    fields = ufl.algorithms.extract_coefficients(expression)
    found = [k for k, _, _ in _constants(ops, expression)]
    return found + [int(k) for d in ops.symbols.distributions if d.field in fields for k in d.entries]


def _write_directions(ops: Operators, du: "Array | None", dz: "Array | None", dtheta: "Array | None") -> None:
    ops._write_direction(du)
    if ops.law is not None:
        ops.law.write_direction(np.zeros((ops.law.n_points, ops.law.n_z)) if dz is None else dz)
    ops.symbols.set_direction(np.zeros(ops.symbols.n_theta) if dtheta is None else dtheta)


class FunctionalObserver:
    """A functional of field, local states and theta, given as a UFL form of rank 0."""

    extreme = 0

    def __init__(self, form: Any) -> None:
        self.form = form
        self._value = compile_form(form)
        self._along: Any = None
        self._gradients: Any = None

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """This rank's part."""
        return float(dolfinx.fem.assemble_scalar(self._value))

    def tangent(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> float:
        """This rank's part."""
        if self._along is None:
            self._along = _compiled(_Derivatives.directional(ops, self.form))
        _write_directions(ops, du, dz, dtheta)
        return 0.0 if self._along is None or self._along is False else float(dolfinx.fem.assemble_scalar(self._along))

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """Assembled."""
        if self._gradients is None:
            test = ufl.TestFunction(ops.space)
            by_u = _compiled(ufl.algorithms.expand_derivatives(ufl.derivative(self.form, ops.field, test)))
            by_z: Any = False
            if ops.law is not None:
                test_z = ufl.TestFunction(ops.law.space)
                by_z = _compiled(ufl.algorithms.expand_derivatives(ufl.derivative(self.form, ops.law.z, test_z)))
            by_theta = [
                (k, _compiled(ufl.algorithms.expand_derivatives(ufl.diff(self.form, v))))
                for k, v, _ in _constants(ops, self.form)
            ]
            by_distribution = []
            for d in ops.symbols.distributions:
                test = ufl.TestFunction(d.field.function_space)
                form = _compiled(ufl.algorithms.expand_derivatives(ufl.derivative(self.form, d.field, test)))
                if form is not False:
                    by_distribution.append((d, form))
            self._gradients = by_u, by_z, by_theta, by_distribution
        by_u, by_z, by_theta, by_distribution = self._gradients
        du = np.zeros(ops.n) if by_u is False else ops._assemble(by_u)
        dz = None
        if by_z is not False and ops.law is not None:
            b = dolfinx.fem.assemble_vector(by_z)
            dz = ops.law.gathered(b.array, ops.law.n_z)
        dtheta = np.zeros(theta.size)
        for k, form in by_theta:
            if form is not False:
                dtheta[k] = float(dolfinx.fem.assemble_scalar(form))
        for d, form in by_distribution:
            row = dolfinx.fem.assemble_vector(form)
            row.scatter_reverse(dolfinx.la.InsertMode.add)
            dtheta[d.entries] += d.basis.T @ row.array[: d.basis.shape[0]]
        return du, dz, dtheta


def _compiled(form: Any) -> Any:
    """The compiled form, or False for one that is zero."""
    return False if form.empty() else compile_form(form)


class PointObserver:
    """A UFL scalar evaluated in one cell: a stress, a local state at a point."""

    extreme = 0

    def __init__(self, ops: Operators, expression: Any, cell: int, reference: Array) -> None:
        self.expression, self.cell = expression, cell
        self.cells = np.array([cell], dtype=np.int32)
        self.reference = np.atleast_2d(reference)
        self._value = compile_expression(expression, self.reference)
        self._along: Any = None
        self._by_field: Any = None
        self._by_theta: list[tuple[int, Any]] = []

    def _eval(self, ops: Operators, compiled: Any) -> Array:
        return np.asarray(compiled.eval(ops.symbols.domain.mesh, self.cells), dtype=float)

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """On the rank that holds the cell."""
        return float(self._eval(ops, self._value).flat[0]) if self.cell >= 0 else 0.0

    def tangent(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> float:
        """On the rank that holds the cell."""
        if self._along is None:
            self._along = compile_expression(_Derivatives.directional(ops, self.expression), self.reference)
        _write_directions(ops, du, dz, dtheta)
        return float(self._eval(ops, self._along).flat[0]) if self.cell >= 0 else 0.0

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """By the expression's derivative with respect to the field's entries in the cell."""
        if self._by_field is None:
            trial = ufl.TrialFunction(ops.space)
            by_field = ufl.algorithms.expand_derivatives(ufl.derivative(self.expression, ops.field, trial))
            self._by_field = compile_expression(by_field, self.reference)
            self._by_theta = [
                (k, compile_expression(ufl.algorithms.expand_derivatives(ufl.diff(self.expression, v)), self.reference))
                for k, v, _ in _constants(ops, self.expression)
            ]
        full, dtheta = dolfinx.fem.create_vector(ops.space), np.zeros(theta.size)
        full.array[:] = 0.0
        if self.cell >= 0:
            dofs, bs = ops.space.dofmap.list[self.cell], ops.space.dofmap.bs
            unrolled = (dofs[:, None] * bs + np.arange(bs)).reshape(-1)
            full.array[unrolled] = self._eval(ops, self._by_field).reshape(-1)
            for k, compiled in self._by_theta:
                dtheta[k] = float(self._eval(ops, compiled).flat[0])
        full.scatter_reverse(dolfinx.la.InsertMode.add)
        return full.array[: ops.n].copy(), None, dtheta


class RowObserver:
    """w . R: the sum of residual rows, which is the reaction (force, heat flow) at prescribed nodes."""

    extreme = 0

    def __init__(self, weights: Array) -> None:
        self.weights = weights
        self._pull: Pullback | None = None

    def value(self, ops: Operators, u: Array, theta: Array) -> float:
        """This rank's part."""
        return float(self.weights @ ops.value(0.0, 1.0, u, theta))

    def tangent(self, ops: Operators, u: Array, theta: Array, du: Array, dz: "Array | None", dtheta: Array) -> float:
        """This rank's part."""
        return float(self.weights @ ops.direction(0.0, 1.0, u, theta, du, dz, dtheta))

    def gradient(self, ops: Operators, u: Array, theta: Array) -> tuple[Array, "Array | None", Array]:
        """By the transposed operator, and row by row for theta."""
        dz: Array | None = None
        if ops.law is None:
            du = ops.transposed(0.0, 1.0, u, theta, self.weights)
        else:
            pull = self._pullback(ops)
            pull.write_weight(self.weights)
            du, dz = pull.by_field(0.0, 1.0, u, theta), pull.by_local(0.0, 1.0)
        dtheta = np.zeros(theta.size)
        for k in range(theta.size):
            e = np.zeros(theta.size)
            e[k] = 1.0
            dtheta[k] = float(self.weights @ ops.direction(0.0, 1.0, u, theta, None, None, e))
        return du, dz, dtheta

    def _pullback(self, ops: Operators) -> Pullback:
        if self._pull is None:
            self._pull = Pullback(ops)
        return self._pull


class Observers:
    """All outputs of a model, evaluated together."""

    def __init__(self, ops: Operators, observers: Sequence[Observer]) -> None:
        self.ops, self.observers = ops, tuple(observers)
        self._written = any(not isinstance(o, LinearObserver | ExtremeObserver) for o in observers)
        self._signs = np.array([o.extreme for o in self.observers], dtype=int)
        self._single = [(k, o) for k, o in enumerate(self.observers) if not isinstance(o, BlockRow)]
        blocks: dict[int, tuple[ObserverBlock, int, list[int], list[int]]] = {}
        for k, o in enumerate(self.observers):
            if isinstance(o, BlockRow):
                _, _, outputs, rows = blocks.setdefault(id(o.block), (o.block, o.n_rows, [], []))
                outputs.append(k)
                rows.append(o.row)
        self._blocks = [(b, n, np.array(outputs), np.array(rows)) for b, n, outputs, rows in blocks.values()]

    def __len__(self) -> int:
        return len(self.observers)

    def write(self, u: Array, z: "Array | None", theta: Array) -> None:
        """Give field, local states and symbols to the forms."""
        if self._written:
            self.ops.symbols.set(theta)
            self.ops.write(u)
            if self.ops.law is not None and z is not None:
                self.ops.law.write(z)

    def values(self, u: Array, z: "Array | None", theta: Array) -> Array:
        """(n_outputs,) the same on every rank."""
        self.write(u, z, theta)
        mine = np.zeros(len(self.observers))
        for k, o in self._single:
            mine[k] = o.value(self.ops, u, theta)
        for block, _, outputs, rows in self._blocks:
            mine[outputs] = block.values(self.ops, u, theta)[rows]
        comm = self.ops.comm
        if comm.size == 1:
            return mine
        out = np.empty_like(mine)
        for sign, op in ((0, MPI.SUM), (1, MPI.MAX), (-1, MPI.MIN)):
            chosen = self._signs == sign
            if chosen.any():
                part = np.ascontiguousarray(mine[chosen])
                result = np.empty_like(part)
                comm.Allreduce(part, result, op=op)
                out[chosen] = result
        return out

    def tangents(
        self, u: Array, z: "Array | None", theta: Array, du: Array, dz: "Array | None", dtheta: Array
    ) -> Array:
        """(n_outputs,) derivatives along one direction; call `write` first."""
        mine = np.zeros(len(self.observers))
        for k, o in self._single:
            mine[k] = o.tangent(self.ops, u, theta, du, dz, dtheta)
        for block, _, outputs, rows in self._blocks:
            mine[outputs] = block.tangents(self.ops, u, theta, du, dz, dtheta)[rows]
        if self.ops.comm.size == 1:
            return mine
        out = np.empty_like(mine)
        self.ops.comm.Allreduce(mine, out, op=MPI.SUM)
        return out

    def _gradients(
        self, u: Array, theta: Array, weights: Array
    ) -> Iterator[tuple[float, tuple[Array, "Array | None", Array]]]:
        """(weight, gradient) of every output or block that counts."""
        for k, observer in self._single:
            if weights[k] != 0.0:
                yield float(weights[k]), observer.gradient(self.ops, u, theta)
        for block, n, outputs, rows in self._blocks:
            if weights[outputs].any():
                yield 1.0, block.pulled(self.ops, u, theta, np.bincount(rows, weights[outputs], n))

    def pulled(self, u: Array, z: "Array | None", theta: Array, weights: Array) -> tuple[Array, "Array | None", Array]:
        """The gradient of weights . outputs: d/du, d/dz, d/dtheta of this rank; call `write` first."""
        du, dtheta = np.zeros(self.ops.n), np.zeros(theta.size)
        dz: Array | None = None
        for weight, (by_u, by_z, by_theta) in self._gradients(u, theta, weights):
            du += weight * by_u
            dtheta += weight * by_theta
            if by_z is not None:
                dz = weight * by_z if dz is None else dz + weight * by_z
        return du, dz, dtheta
