"""The discrete equations of a field model: vectors, Jacobians and directional derivatives of dQ/dt + R = 0.

Q (storage) and R (fluxes minus sources) are UFL forms of the field u, the local states z and the symbols theta. They
are compiled together as F = q Q + r R with two weights, so that one kernel serves both and their sum. Where F is
linear in u the matrices are kept and no form is assembled during a run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ufl.corealg.traversal import unique_pre_traversal

from physics_twin.arrays import Array
from physics_twin.fem._dolfinx import MPI, PETSc, dolfinx, ufl
from physics_twin.fem.compilation import compile_expression, compile_form
from physics_twin.fem.guards import Guard
from physics_twin.fem.linear_solver import multiply
from physics_twin.fem.local_law import LocalLaw
from physics_twin.fem.native import released_with
from physics_twin.fem.symbols import NodalValue, Symbols

_MOST_MATRICES = 16  # parameters of a linear problem whose derivatives are kept as matrices

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int32]]


@dataclass(frozen=True)
class Essential:
    """Prescribed values of the field: owned degrees of freedom and what they are held at."""

    dofs: IntArray
    value: NodalValue
    name: str


@dataclass(frozen=True)
class Driver:
    """A field that another model gives (a temperature for mechanics), with its direction in tangents."""

    field: Any
    direction: Any


@dataclass(frozen=True)
class Formulation:
    """A field problem in the form that is solved: dQ/dt + R = 0 with Q and R linear in the test function."""

    symbols: Symbols
    field: Any
    """The unknown DOLFINx Function."""
    storage: Any
    """Q as a UFL form, or None for a problem without inertia."""
    residual: Any
    """R as a UFL form."""
    essential: Sequence[Essential] = ()
    local: LocalLaw | None = None
    given: Any = None
    """What the local law is given, as a UFL vector of the field and the drivers."""
    drivers: Sequence[Driver] = ()
    symmetric: bool = True
    guards: Sequence[Guard] = ()
    """What a solution must satisfy to be one."""
    advice: str = ""
    """What a step that cannot be solved may mean, for the error."""
    typical: float = 0.0
    """A size of the field that forces in balance may come from while the field is zero (residual stress)."""


def constants_in(form: Any) -> list[Any]:
    """The DOLFINx constants of a UFL form or expression."""
    return list(ufl.algorithms.analysis.extract_constants(form))


def decides(form: Any) -> set[Any]:
    """The coefficients and constants that switches within a form compare.

    Derivatives do not see them: a source that is on below 300 K has the slope zero, and is not constant.
    """
    found: set[Any] = set()
    for integral in form.integrals():
        for node in unique_pre_traversal(integral.integrand()):
            if isinstance(node, ufl.classes.Condition):
                found |= {*ufl.algorithms.extract_coefficients(node), *constants_in(node)}
    return found


class Operators:
    """Assembles what time stepping needs, at the values last written into field, local states and symbols."""

    def __init__(self, f: Formulation) -> None:
        self.f = f
        self.symbols, self.field, self.law = f.symbols, f.field, f.local
        self.space = f.field.function_space
        self.comm = f.symbols.domain.comm
        mesh = f.symbols.domain.mesh
        index_map, bs = self.space.dofmap.index_map, self.space.dofmap.index_map_bs
        self.n = int(index_map.size_local * bs)
        self.n_global = int(index_map.size_global * bs)
        self.offset = int(index_map.local_range[0] * bs)
        self._native = released_with(self, mesh)
        self.q = dolfinx.fem.Constant(mesh, 0.0)
        self.r = dolfinx.fem.Constant(mesh, 0.0)
        self.form = self.r * f.residual if f.storage is None else self.q * f.storage + self.r * f.residual
        self.direction_field = dolfinx.fem.Function(self.space)
        self._trial = ufl.TrialFunction(self.space)
        self.jacobian_form = self._derivative_by_field(self._trial)
        used = self.jacobian_form.coefficients() if not self.jacobian_form.empty() else ()
        in_matrix = [k for d in self.symbols.distributions if d.field in used for k in d.entries]
        self._decides = decides(self.form)
        # What Q has at u = 0 is left out of linear problems, which is right only while it stays the same.
        in_storage = [] if f.storage is None else constants_in(f.storage)
        moving = any(c in in_storage for c in self.symbols.constants[self.symbols.n_p :])
        self.linear = not moving and (
            f.local is None
            and self.field not in used
            and self.field not in self._decides
            and not any(d.field in used for d in f.drivers)
        )
        found = [k for k, c in enumerate(self.symbols.constants) if c in constants_in(self.jacobian_form)]
        self._matrix_needs = np.array(sorted({*found, *in_matrix}), dtype=int)
        appearing = constants_in(self.form)
        self.used = np.array([c in appearing for c in self.symbols.constants], dtype=bool)
        for d in self.symbols.distributions:
            self.used[d.entries] = d.field in self.form.coefficients()
        self._vector = compile_form(self.form)
        self._jacobian = compile_form(self.jacobian_form)
        self._b = dolfinx.fem.create_vector(self.space)
        self.held = (
            np.concatenate([e.dofs for e in f.essential]) if f.essential else np.empty(0, dtype=np.int32)
        ).astype(np.int32)
        self.free = np.ones(self.n, dtype=bool)
        self.free[self.held] = False
        self.any_held = bool(self.comm.allreduce(int(self.held.size)))
        if f.local is not None:
            self._given = compile_expression(f.given, f.local.reference_points)
        self._direction: Any = None
        self._given_direction: Any = None
        # Linear problems: matrices and loads of this run.
        self._storage_matrix: Any = None
        self._stiffness: Any = None
        self._matrix_key: bytes | None = None
        self._load: Array | None = None
        self._load_key: bytes | None = None
        self._loads_key: bytes | None = None
        self._bilinear: tuple[Any, Any] | None = None
        self._parameter_matrices: dict[int, tuple[bytes, Any, Any]] = {}
        self._parameter_loads: dict[int, tuple[bytes, dict[int, Array]]] = {}
        self._loads: dict[int, Array] = {}
        self.n_assemblies = 0

    def _derivative_by_field(self, direction: Any) -> Any:
        """dF along a direction of u, local states following as the implicit function theorem says."""
        form = ufl.derivative(self.form, self.field, direction)
        if self.law is not None:
            de = ufl.derivative(self.f.given, self.field, direction)
            form += ufl.derivative(self.form, self.law.z, ufl.dot(self.law.slope_matrix(), de))
        return ufl.algorithms.expand_derivatives(form)

    # -- writing ----------------------------------------------------------------------------------------------------
    def write(self, u: Array) -> None:
        """Give the forms the field, (n,) owned entries."""
        self.field.x.array[: self.n] = u
        self.field.x.scatter_forward()

    def given(self) -> Array:
        """What the local law is given at its points, (n_points, n_e), for the field last written."""
        assert self.law is not None
        values = self._given.eval(self.symbols.domain.mesh, self.law.cells)
        return np.asarray(values, dtype=float).reshape(self.law.n_points, self.law.n_e)

    def given_direction(self, du: "Array | None") -> Array:
        """The same along a direction of the field (and of the drivers, as last written)."""
        assert self.law is not None
        if self._given_direction is None:
            e = ufl.derivative(self.f.given, self.field, self.direction_field)
            for driver in self.f.drivers:
                e = e + ufl.derivative(self.f.given, driver.field, driver.direction)
            self._given_direction = compile_expression(ufl.algorithms.expand_derivatives(e), self.law.reference_points)
        self._write_direction(du)
        values = self._given_direction.eval(self.symbols.domain.mesh, self.law.cells)
        return np.asarray(values, dtype=float).reshape(self.law.n_points, self.law.n_e)

    def _write_direction(self, du: "Array | None") -> None:
        self.direction_field.x.array[: self.n] = 0.0 if du is None else du
        self.direction_field.x.scatter_forward()

    def essential_values(self, theta: Array) -> Array:
        """Prescribed values (n_held,)."""
        parts = [e.value.at(theta) for e in self.f.essential]
        return np.concatenate(parts) if parts else np.empty(0)

    def essential_tangent(self, theta: Array, direction: Array) -> Array:
        """Their derivative along a direction of theta, (n_held,)."""
        parts = [e.value.tangent(theta, direction) for e in self.f.essential]
        return np.concatenate(parts) if parts else np.empty(0)

    # -- assembling -------------------------------------------------------------------------------------------------
    def begin(self, theta: Array) -> None:
        """A run with these symbols begins. What is kept from earlier runs are functions of the symbols alone."""
        if self.f.drivers:  # ... and of what another model has given since
            self._matrix_key = self._load_key = self._loads_key = None
        self.symbols.set(theta)

    def value(self, q: float, r: float, u: Array, theta: Array) -> Array:
        """q Q + r R at u (and the local states last written), (n,) owned entries, prescribed rows included."""
        if self.linear:
            self._refresh(theta)
            result = r * self._load_at(theta)
            if q != 0.0 and self._storage_matrix is not None:
                result = result + q * multiply(self._storage_matrix, u)
            if r != 0.0:
                result = result + r * multiply(self._stiffness, u)
            return result
        self.symbols.set(theta)
        self.write(u)
        return self.assembled(q, r)

    def assembled(self, q: float, r: float) -> Array:
        """q Q + r R of what was last written."""
        self.q.value, self.r.value = q, r
        return self._assemble(self._vector)

    def _assemble(self, form: Any) -> Array:
        self.n_assemblies += 1
        b = self._b
        b.array[:] = 0.0
        dolfinx.fem.assemble_vector(b.array, form)
        b.scatter_reverse(dolfinx.la.InsertMode.add)
        return np.array(b.array[: self.n])

    def jacobian(self, q: float, r: float, theta: Array, matrix: Any = None) -> Any:
        """q dQ/du + r dR/du with prescribed rows and columns replaced by the identity; into `matrix` if given."""
        if self.linear:
            self._refresh(theta)
            matrix = self._stiffness.duplicate() if matrix is None else matrix
            self._stiffness.copy(matrix, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
            matrix.scale(r)
            if q != 0.0 and self._storage_matrix is not None:
                matrix.axpy(q, self._storage_matrix, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        else:
            matrix = self._created() if matrix is None else matrix
            self.symbols.set(theta)
            self._fill(matrix, q, r)
        if self.any_held:
            matrix.zeroRowsColumns(self.held + self.offset, 1.0)
        return matrix

    def _created(self) -> Any:
        matrix = dolfinx.fem.petsc.create_matrix(self._jacobian)
        matrix.setOption(PETSc.Mat.Option.KEEP_NONZERO_PATTERN, True)
        matrix.setOption(PETSc.Mat.Option.NEW_NONZERO_ALLOCATION_ERR, True)
        return matrix

    def _fill(self, matrix: Any, q: float, r: float) -> None:
        self.n_assemblies += 1
        self.q.value, self.r.value = q, r
        matrix.zeroEntries()
        dolfinx.fem.petsc.assemble_matrix(matrix, self._jacobian)
        # Entries on the diagonal exist for prescribed rows even where a form leaves them out.
        matrix.assemble()

    # -- linear problems --------------------------------------------------------------------------------------------
    def matrix_key(self, theta: Array) -> bytes:
        """What the matrices of a linear problem depend on."""
        return bytes(theta[self._matrix_needs].tobytes())

    def load(self, theta: Array) -> Array:
        """R at u = 0 of a linear problem, (n,)."""
        self._refresh(theta)
        return self._load_at(theta)

    def driven(self) -> None:
        """A driver has other values: what is kept of loads is of the old ones."""
        self._load_key = None

    def _refresh(self, theta: Array) -> None:
        key = self.matrix_key(theta)
        if key == self._matrix_key:
            return
        self.symbols.set(theta)
        if self._stiffness is None:
            self._stiffness = self._created()
            self._native.append(self._stiffness)
        self._fill(self._stiffness, 0.0, 1.0)
        if self.f.storage is not None:
            if self._storage_matrix is None:
                self._storage_matrix = self._created()
                self._native.append(self._storage_matrix)
            self._fill(self._storage_matrix, 1.0, 0.0)
        self._matrix_key = key

    def _load_at(self, theta: Array) -> Array:
        """R at u = 0: kept where theta is the same, a sum of kept vectors where it is affine in inputs and time."""
        key = theta.tobytes()
        if key == self._load_key and self._load is not None:
            return self._load
        n_p = self.symbols.n_p
        if not self.affine:
            self._load = self._assembled_load(theta)
        else:
            parameters = theta[:n_p].tobytes()
            if parameters != self._loads_key:
                self._loads.clear()
                self._loads_key = parameters
            origin = np.concatenate([theta[:n_p], np.zeros(theta.size - n_p)])
            if -1 not in self._loads:
                self._loads[-1] = self._assembled_load(origin)
            load = self._loads[-1].copy()
            for k in np.flatnonzero(theta[n_p:]) + n_p:
                slope = self._load_slope(int(k), origin)
                if slope is not None:
                    load += theta[k] * slope
            self._load = load
        self._load_key = key
        return self._load

    def _assembled_load(self, theta: Array) -> Array:
        self.symbols.set(theta)
        self.write(np.zeros(self.n))
        return self.assembled(0.0, 1.0)

    def _load_slope(self, k: int, theta: Array) -> "Array | None":
        """dR/dtheta_k at u = 0 of a load that is affine in it; None where it is zero."""
        if not self.used[k]:
            return None
        if k not in self._loads:
            direction = np.zeros(theta.size)
            direction[k] = 1.0
            self.symbols.set(theta)
            self.write(np.zeros(self.n))
            self._loads[k] = self._assembled_direction(0.0, 1.0, None, direction)
        return self._loads[k]

    @property
    def affine(self) -> bool:
        """Whether the load is affine in inputs and time, with a matrix that does not depend on them."""
        if not hasattr(self, "_affine"):
            moving = range(self.symbols.n_p, self.symbols.n_theta)
            self._affine = self.linear and not self.f.drivers and not any(k in moving for k in self._matrix_needs)
            if self._affine:
                constants = [self.symbols.constants[k] for k in moving]
                self._affine = not any(c in self._decides for c in constants)
                for k in moving:
                    slope = ufl.algorithms.expand_derivatives(ufl.diff(self.form, self.symbols.variables[k]))
                    if slope.empty():
                        continue
                    used = constants_in(slope)
                    if any(c in used for c in constants):
                        self._affine = False
        return self._affine

    # -- directional derivatives ------------------------------------------------------------------------------------
    def _direction_form(self) -> Any:
        """dF along directions of u, z, drivers and theta at once, as a compiled vector form."""
        if self._direction is None:
            form = ufl.derivative(self.form, self.field, self.direction_field)
            if self.law is not None:
                form += ufl.derivative(self.form, self.law.z, self.law.dz)
            for driver in self.f.drivers:
                form += ufl.derivative(self.form, driver.field, driver.direction)
            form += self._theta_direction()
            self._direction = compile_form(ufl.algorithms.expand_derivatives(form))
        return self._direction

    def _theta_direction(self) -> Any:
        """dF along a direction of theta, as a UFL form."""
        form = ufl.Form([])
        used = constants_in(self.form)
        for c, v, d in zip(self.symbols.constants, self.symbols.variables, self.symbols.directions, strict=True):
            if c in used:
                form += d * ufl.diff(self.form, v)
        for distribution in self.symbols.distributions:
            form += ufl.derivative(self.form, distribution.field, distribution.direction)
        return form

    def _assembled_direction(self, q: float, r: float, du: "Array | None", dtheta: "Array | None") -> Array:
        form = self._direction_form()
        self._write_direction(du)
        self.symbols.set_direction(np.zeros(self.symbols.n_theta) if dtheta is None else dtheta)
        self.q.value, self.r.value = q, r
        return self._assemble(form)

    def direction(
        self, q: float, r: float, u: Array, theta: Array, du: "Array | None", dz: "Array | None", dtheta: "Array | None"
    ) -> Array:
        """q dQ + r dR along (du, dz, dtheta) at u and the local states last written, (n,)."""
        if self.linear:
            return self._linear_direction(q, r, u, theta, du, dtheta)
        self.symbols.set(theta)
        self.write(u)
        if self.law is not None:
            self.law.write_direction(np.zeros((self.law.n_points, self.law.n_z)) if dz is None else dz)
        return self._assembled_direction(q, r, du, dtheta)

    def _linear_direction(
        self, q: float, r: float, u: Array, theta: Array, du: "Array | None", dtheta: "Array | None"
    ) -> Array:
        self._refresh(theta)
        result = np.zeros(self.n)
        if du is not None:
            if r != 0.0:
                result += r * multiply(self._stiffness, du)
            if q != 0.0 and self._storage_matrix is not None:
                result += q * multiply(self._storage_matrix, du)
        if (dtheta is None or not dtheta.any()) and not self.f.drivers:
            return result
        moving = np.zeros(self.symbols.n_theta) if dtheta is None else dtheta.copy()
        for k in np.flatnonzero(moving):
            if k < self.symbols.n_p and self._keeps_matrices:
                result += moving[k] * self._parameter_direction(int(k), q, r, u, theta)
                moving[k] = 0.0
            elif k >= self.symbols.n_p and self.affine:
                # The load's slope is kept; the matrices do not depend on inputs.
                self._load_at(theta)  # the kept slopes are of these parameters
                slope = self._load_slope(int(k), theta)
                if r != 0.0 and slope is not None:
                    result += (r * moving[k]) * slope
                moving[k] = 0.0
        if moving.any() or self.f.drivers:
            self.symbols.set(theta)
            self.write(u)
            result += self._assembled_direction(q, r, None, moving)
        return result

    @property
    def _keeps_matrices(self) -> bool:
        """Whether derivatives by parameters are products with kept matrices: linear, and few enough parameters."""
        return self.linear and not self.f.drivers and int(self.used[: self.symbols.n_p].sum()) <= _MOST_MATRICES

    def _parameter_direction(self, k: int, q: float, r: float, u: Array, theta: Array) -> Array:
        """(q dQ + r dR)/dtheta_k of a linear problem.

        What Q has at u = 0 is left out, as it is in `value`: only differences of Q count.
        """
        result = np.zeros(self.n)
        if not self.used[k]:
            return result
        storage, stiffness, load = self._matrices_of(k, theta)
        if q != 0.0 and storage is not None:
            result += q * multiply(storage, u)
        if r != 0.0:
            result += r * load
            if stiffness is not None:
                result += r * multiply(stiffness, u)
        return result

    def _matrices_of(self, k: int, theta: Array) -> tuple[Any, Any, Array]:
        """dM/dtheta_k, dK/dtheta_k (None where zero) and the load's slope; kept while they are the same."""
        if self._bilinear is None:
            direction = self._theta_direction()
            form = ufl.algorithms.expand_derivatives(ufl.derivative(direction, self.field, self._trial))
            there = constants_in(form)
            found = np.array([i for i, c in enumerate(self.symbols.constants) if c in there], dtype=int)
            self._bilinear = (None if form.empty() else compile_form(form), found)
        compiled, needs = self._bilinear
        key = theta[needs].tobytes()
        unit = np.zeros(theta.size)
        unit[k] = 1.0
        kept = self._parameter_matrices.get(k)
        if kept is None or kept[0] != key:
            if kept is not None:
                for old in kept[1:]:
                    if old is not None:
                        self._native[:] = [n for n in self._native if n is not old]
                        old.destroy()
            self.symbols.set(theta)
            self.symbols.set_direction(unit)
            kept = (key, *(self._filled(compiled, *weights) for weights in ((1.0, 0.0), (0.0, 1.0))))
            self._parameter_matrices[k] = kept
        return kept[1], kept[2], self._parameter_load(k, theta)

    def _parameter_load(self, k: int, theta: Array) -> Array:
        """dR/dtheta_k at u = 0; where loads are affine in inputs and time it is a sum of kept vectors."""
        n_p = self.symbols.n_p
        moving = theta[n_p:] if self.affine else np.zeros(0)
        key = theta[:n_p].tobytes() if self.affine else theta.tobytes()
        kept = self._parameter_loads.get(k)
        if kept is None or kept[0] != key:
            origin = np.concatenate([theta[:n_p], np.zeros(theta.size - n_p)]) if self.affine else theta
            kept = (key, {-1: self._assembled_slope(k, origin)})
            self._parameter_loads[k] = kept
        loads = kept[1]
        result = loads[-1]
        for s in np.flatnonzero(moving):
            if not self.used[n_p + s]:
                continue
            if int(s) not in loads:
                unit = np.concatenate([theta[:n_p], np.zeros(theta.size - n_p)])
                unit[n_p + s] = 1.0
                loads[int(s)] = self._assembled_slope(k, unit) - loads[-1]
            result = result + moving[s] * loads[int(s)]
        return result

    def _assembled_slope(self, k: int, theta: Array) -> Array:
        direction = np.zeros(theta.size)
        direction[k] = 1.0
        self.symbols.set(theta)
        self.write(np.zeros(self.n))
        return self._assembled_direction(0.0, 1.0, None, direction)

    def _filled(self, compiled: Any, q: float, r: float) -> Any:
        """A compiled bilinear form with these weights as a matrix, None where it is zero."""
        if compiled is None:
            return None
        self.q.value, self.r.value = q, r
        matrix = dolfinx.fem.petsc.create_matrix(compiled)
        dolfinx.fem.petsc.assemble_matrix(matrix, compiled)
        matrix.assemble()
        if matrix.norm() == 0.0:
            matrix.destroy()
            return None
        self._native.append(matrix)
        return matrix

    def theta_gradient(self, q: float, r: float, u: Array, theta: Array, w: Array, wanted: Array) -> "Array | None":
        """w . (q dQ + r dR)/dtheta of this rank for a linear problem with kept matrices; None for others."""
        if not self._keeps_matrices or self.symbols.distributions:
            return None
        result = np.zeros(theta.size)
        for k in np.flatnonzero(wanted & self.used):
            if k < self.symbols.n_p:
                result[k] = float(w @ self._parameter_direction(int(k), q, r, u, theta))
            else:
                unit = np.zeros(theta.size)
                unit[k] = 1.0
                result[k] = float(w @ self._linear_direction(q, r, u, theta, None, unit))
        return result

    def transposed(self, q: float, r: float, u: Array, theta: Array, w: Array) -> Array:
        """(q dQ/du + r dR/du)^T w without the local states' part, (n,)."""
        matrix = self._stiffness
        if self.linear:
            self._refresh(theta)
            result = r * multiply(matrix, w, transpose=True)
            if q != 0.0 and self._storage_matrix is not None:
                result += q * multiply(self._storage_matrix, w, transpose=True)
            return result
        self.symbols.set(theta)
        self.write(u)
        scratch = self._scratch()
        self._fill(scratch, q, r)
        return multiply(scratch, w, transpose=True)

    def _scratch(self) -> Any:
        if not hasattr(self, "_scratch_matrix"):
            self._scratch_matrix = self._created()
            self._native.append(self._scratch_matrix)
        return self._scratch_matrix

    # -- sums over ranks --------------------------------------------------------------------------------------------
    def sum(self, x: Array) -> float:
        """Sum of owned entries over all ranks."""
        s = float(x.sum())
        return s if self.comm.size == 1 else float(self.comm.allreduce(s, op=MPI.SUM))

    def norm(self, x: Array) -> float:
        """Euclidean norm over all ranks."""
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not finite, and is refused as that
            s = float(x @ x)
        return float(np.sqrt(s if self.comm.size == 1 else self.comm.allreduce(s, op=MPI.SUM)))
