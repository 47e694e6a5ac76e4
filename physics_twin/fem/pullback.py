"""Transposed derivatives of the discrete equations: gradients of w . (q Q + r R)."""

from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.fem._dolfinx import basix_ufl, dolfinx, ufl
from physics_twin.fem.compilation import compile_form
from physics_twin.fem.operators import Operators, constants_in


class Pullback:
    """Gradients of w . F with respect to the field, the local states and theta; forms are made on first use."""

    def __init__(self, ops: Operators) -> None:
        self.ops = ops
        self.weight = dolfinx.fem.Function(ops.space)
        scalar = ufl.replace(ops.form, {ops.form.arguments()[0]: self.weight})
        expanded = ufl.algorithms.expand_derivatives
        self._by_u = compile_form(expanded(ufl.derivative(scalar, ops.field, ufl.TestFunction(ops.space))))
        self._by_z: Any = None
        if ops.law is not None:
            form = expanded(ufl.derivative(scalar, ops.law.z, ufl.TestFunction(ops.law.space)))
            self._by_z = None if form.empty() else compile_form(form)
            self._transposed_given()
        used = constants_in(ops.form)
        symbols = ops.symbols
        self._by_theta: dict[int, Any] = {}
        for k, (constant, variable) in enumerate(zip(symbols.constants, symbols.variables, strict=True)):
            if constant in used:
                form = expanded(ufl.diff(scalar, variable))
                if not form.empty():
                    self._by_theta[k] = form
        self._compiled: dict[int, Any] = {}
        self._by_distribution = []
        for d in symbols.distributions:
            form = expanded(ufl.derivative(scalar, d.field, ufl.TestFunction(d.field.function_space)))
            if not form.empty():
                self._by_distribution.append((d, compile_form(form)))

    def _transposed_given(self) -> None:
        """What carries gradients at the law's points back to the field: the transpose of evaluating it there."""
        ops, law = self.ops, self.ops.law
        assert law is not None
        mesh, cell = ops.symbols.domain.mesh, ops.symbols.domain.description.cell.value
        dx = ufl.Measure("dx", domain=mesh, metadata={"quadrature_degree": law.degree})
        element = basix_ufl.quadrature_element(cell, value_shape=(law.n_e,), degree=law.degree)
        space = dolfinx.fem.functionspace(mesh, element)
        self._e = dolfinx.fem.Function(space)
        ones = ufl.as_vector([1.0] * law.n_e)
        volumes = dolfinx.fem.assemble_vector(compile_form(ufl.inner(ones, ufl.TestFunction(space)) * dx)).array
        self._volumes = law.gathered(volumes, law.n_e)
        along = ufl.algorithms.expand_derivatives(ufl.derivative(ops.f.given, ops.field, ufl.TestFunction(ops.space)))
        self._given = compile_form(ufl.inner(self._e, along) * dx)

    def given(self, e: Array) -> Array:
        """E^T e for gradients e (n_points, n_e) at the law's points, (n,); the field is what was last written."""
        law = self.ops.law
        assert law is not None
        self._e.x.array[:] = 0.0
        law._put(self._e, e / self._volumes)
        return self.ops._assemble(self._given)

    def write_weight(self, w: Array) -> None:
        """Give the forms the weights of the residual rows."""
        self.weight.x.array[: self.ops.n] = w
        self.weight.x.scatter_forward()

    def by_field(self, q: float, r: float, u: Array, theta: Array) -> Array:
        """(q Q_u + r R_u)^T w without the local states' part."""
        if self.ops.linear:
            return self.ops.transposed(q, r, u, theta, np.array(self.weight.x.array[: self.ops.n]))
        self.ops.q.value, self.ops.r.value = q, r
        return self.ops._assemble(self._by_u)

    def by_local(self, q: float, r: float) -> "Array | None":
        """(q Q_z + r R_z)^T w, (n_points, n_z)."""
        if self._by_z is None or self.ops.law is None:
            return None
        self.ops.q.value, self.ops.r.value = q, r
        b = dolfinx.fem.assemble_vector(self._by_z)
        return self.ops.law.gathered(b.array, self.ops.law.n_z)

    def by_theta(self, q: float, r: float, wanted: Array, u: Array, theta: Array) -> Array:
        """(q Q_theta + r R_theta)^T w of this rank for the entries that are wanted, (n_theta,)."""
        w = np.array(self.weight.x.array[: self.ops.n])
        found = self.ops.theta_gradient(q, r, u, theta, w, wanted)
        if found is not None:
            return found
        self.ops.q.value, self.ops.r.value = q, r
        result = np.zeros(self.ops.symbols.n_theta)
        for k, form in self._by_theta.items():
            if wanted[k]:
                if k not in self._compiled:
                    self._compiled[k] = compile_form(form)
                result[k] = float(dolfinx.fem.assemble_scalar(self._compiled[k]))
        for d, form in self._by_distribution:
            if wanted[d.entries].any():
                b = dolfinx.fem.assemble_vector(form)
                b.scatter_reverse(dolfinx.la.InsertMode.add)
                result[d.entries] += d.basis.T @ b.array[: d.basis.shape[0]]
        return result
