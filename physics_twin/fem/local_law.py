"""Local states: what happens at every quadrature point (reaction, plasticity), solved point by point.

A law is one residual per point, L(z; e, z0, g, x, theta) = 0, for the new local states z from what the fields give
there (e: temperature, strain), the base z0, the weight g = h a_ii of the step, the place x and the symbols theta. It is
solved by Newton's method at all points at once; its derivatives follow from the implicit function theorem.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.fem._dolfinx import basix_ufl, dolfinx, ufl
from physics_twin.fem.point_functions import PointFunction
from physics_twin.fem.symbols import Symbols
from physics_twin.units import Unit

_MOST_ITERATIONS = 50
_HALVINGS = 12  # of a point's step whose residual grows
_SETTLED = 1e-10  # of the scale: below it residuals and steps may be rounding


@dataclass(frozen=True)
class LocalState:
    """A local state of the state vector: its name, unit, typical size and start."""

    name: str
    unit: Unit
    scale: float = 1.0


@dataclass(frozen=True)
class LocalSlopes:
    """What the implicit function theorem needs at a solution; arrays lead with the points."""

    inverse: Array
    """(n, n_z, n_z) of dL/dz"""
    e: Array
    """(n, n_z, n_e) dz/de"""
    base: Array
    """(n, n_z, n_z) dz/dz0"""
    weight: Array
    """(n, n_z) dz/dg"""
    theta: Array
    """(n, n_z, n_theta) dz/dtheta"""


class LocalLaw:
    """Local states on the quadrature points of some cells.

    residual: CasADi Function (z, e, z0, g, x, theta) -> L. rate: (z, e, x, theta) -> dz/dt for laws that are ODEs in
    time, else None (plasticity: rate-independent, advanced by implicit Euler). given: the UFL vector e. initial:
    (x, theta) -> z at the start.
    """

    def __init__(
        self,
        symbols: Symbols,
        states: Sequence[LocalState],
        residual: ca.Function,
        rate: ca.Function | None,
        initial: ca.Function,
        n_e: int,
        degree: int,
        cells: Array | None = None,
    ) -> None:
        self.symbols, self.states, self.n_e, self.degree = symbols, tuple(states), n_e, degree
        self.n_z = len(states)
        domain = symbols.domain
        cell = domain.description.cell.value
        self.space = dolfinx.fem.functionspace(
            domain.mesh, basix_ufl.quadrature_element(cell, value_shape=(self.n_z,), degree=degree)
        )
        slope = basix_ufl.quadrature_element(cell, value_shape=(self.n_z * n_e,), degree=degree)
        self.z = dolfinx.fem.Function(self.space)
        self.dz = dolfinx.fem.Function(self.space)
        self.slope = dolfinx.fem.Function(dolfinx.fem.functionspace(domain.mesh, slope))
        self.reference_points = self.space.element.interpolation_points
        self.n_q = int(self.reference_points.shape[0])
        self.cells = np.arange(domain.n_cells, dtype=np.int32) if cells is None else np.sort(cells).astype(np.int32)
        self.n_points = self.cells.size * self.n_q
        self._rows = (self.cells[:, None] * self.n_q + np.arange(self.n_q)).reshape(-1)
        x = self.space.tabulate_dof_coordinates()[self._rows, : domain.dimension]
        self.coordinates = np.ascontiguousarray(x, dtype=float)
        self._scale = np.array([s.scale for s in states])
        self._functions(residual, rate, initial)

    def _functions(self, residual: ca.Function, rate: ca.Function | None, initial: ca.Function) -> None:
        nz, ne, nt, nx = self.n_z, self.n_e, self.symbols.n_theta, self.symbols.domain.dimension
        z, e, z0, g, x, theta = (
            ca.SX.sym(name, n) for name, n in (("z", nz), ("e", ne), ("z0", nz), ("g", 1), ("x", nx), ("theta", nt))
        )
        value = residual(z, e, z0, g, x, theta)
        law = ca.Function("L", [z, e, z0, g, x, theta], [ca.densify(value), ca.densify(ca.jacobian(value, z))])
        self._residual = PointFunction(law)
        slopes = [ca.densify(ca.jacobian(value, w)) for w in (e, z0, g, theta)]
        self._slopes = PointFunction(ca.Function("dL", [z, e, z0, g, x, theta], slopes))
        self.signature = hashlib.sha256(str(value).encode()).hexdigest()
        initial_value = initial(x, theta)
        self._initial = PointFunction(ca.Function("z0", [x, theta], [ca.densify(initial_value)]))
        initial_slope = ca.densify(ca.jacobian(initial_value, theta))
        self._initial_slope = PointFunction(ca.Function("dz0", [x, theta], [initial_slope]))
        by_theta = [law.jac_sparsity(0, 5), initial.jac_sparsity(0, 1)]
        self.depends = np.any([np.asarray(ca.DM(sp, 1.0)).any(axis=0) for sp in by_theta], axis=0)
        self.timed = rate is not None
        if rate is not None:
            r = rate(z, e, x, theta)
            self._rate = PointFunction(ca.Function("r", [z, e, x, theta], [ca.densify(r)]))
            rate_slopes = [ca.densify(ca.jacobian(r, w)) for w in (z, e, theta)]
            self._rate_slopes = PointFunction(ca.Function("dr", [z, e, x, theta], rate_slopes))

    # -- values -----------------------------------------------------------------------------------------------------
    def initial(self, theta: Array) -> Array:
        """(n_points, n_z) at the start."""
        return self._initial(self.n_points, self.coordinates, theta)[0][:, :, 0]

    def initial_slope(self, theta: Array) -> Array:
        """(n_points, n_z, n_theta)."""
        return self._initial_slope(self.n_points, self.coordinates, theta)[0]

    def rate(self, z: Array, e: Array, theta: Array) -> Array:
        """(n_points, n_z) per second."""
        return self._rate(self.n_points, z, e, self.coordinates, theta)[0][:, :, 0]

    def rate_slopes(self, z: Array, e: Array, theta: Array) -> tuple[Array, Array, Array]:
        """dr/dz (n, n_z, n_z), dr/de (n, n_z, n_e), dr/dtheta (n, n_z, n_theta)."""
        by_z, by_e, by_theta = self._rate_slopes(self.n_points, z, e, self.coordinates, theta)
        return by_z, by_e, by_theta

    def solve(self, e: Array, base: Array, weight: float, theta: Array, guess: Array) -> tuple[Array, Array]:
        """z (n_points, n_z) and the inverse of dL/dz; raises SolveError when Newton's method fails somewhere."""
        if not self.n_points:
            return guess.copy(), np.empty((0, self.n_z, self.n_z))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused where it counts
            return self._solved(e, base, weight, theta, guess)

    def _solved(self, e: Array, base: Array, weight: float, theta: Array, guess: Array) -> tuple[Array, Array]:
        z = guess.copy()
        residual, matrix = self._evaluated(z, e, base, weight, theta, self.coordinates)
        if not (np.isfinite(residual).all() and np.isfinite(matrix).all()):
            raise SolveError("a local state or its rate is not a finite number", time=0.0)
        last = np.inf
        for _ in range(_MOST_ITERATIONS):
            inverse = _inverse(matrix)
            step = np.einsum("nij,nj->ni", inverse, residual)
            trial = z - step
            change = float((np.abs(step) / (self._scale + np.abs(trial))).max())
            if change <= 1e-13 or 0.5 * last < change <= _SETTLED:
                return trial, inverse  # to the last bit, or as far as rounding lets it come
            last = change
            z, residual, matrix = self._damped(z, step, residual, e, base, weight, theta)
        worst = int(np.argmax((np.abs(step) / self._scale).max(axis=1)))
        raise SolveError(
            f"the local states did not settle at x = {np.array2string(self.coordinates[worst], precision=4)} m",
            time=0.0,
        )

    def _evaluated(self, z: Array, e: Array, base: Array, weight: float, theta: Array, x: Array) -> tuple[Array, Array]:
        """L (n, n_z) and dL/dz (n, n_z, n_z) at points x (n, dimension)."""
        value, slope = self._residual(len(x), z, e, base, weight, x, theta)
        return value[:, :, 0], slope

    def _damped(
        self, z: Array, step: Array, residual: Array, e: Array, base: Array, weight: float, theta: Array
    ) -> tuple[Array, Array, Array]:
        """z - step with its residual and matrix; where a residual grows, that point's step is halved.

        Rows of L have the units of their states, so that the largest row in units of the scale measures a residual.
        """
        size = (np.abs(residual) / self._scale).max(axis=1)
        trial = z - step
        new, matrix = self._evaluated(trial, e, base, weight, theta, self.coordinates)
        part = 1.0
        for _ in range(_HALVINGS):
            with np.errstate(invalid="ignore"):
                reached = (np.abs(new) / self._scale).max(axis=1)
                rounding = _SETTLED * (1.0 + (np.abs(trial) / self._scale).max(axis=1))
                fine = (reached <= np.maximum(size, rounding)) & np.isfinite(matrix).all(axis=(1, 2))
            grows = np.flatnonzero(~fine)
            if not grows.size:
                return trial, new, matrix
            part *= 0.5
            trial[grows] = z[grows] - part * step[grows]
            x = self.coordinates[grows]
            new[grows], matrix[grows] = self._evaluated(trial[grows], e[grows], base[grows], weight, theta, x)
        if not np.isfinite(new).all():
            raise SolveError("a local state or its rate is not a finite number", time=0.0)
        return trial, new, matrix

    def slopes(self, z: Array, e: Array, base: Array, weight: float, theta: Array) -> LocalSlopes:
        """Derivatives of the solution with respect to everything that it depends on."""
        arguments = (z, e, base, weight, self.coordinates, theta)
        with np.errstate(over="ignore", invalid="ignore"):
            return self._slopes_at(arguments)

    def _slopes_at(self, arguments: tuple[Any, ...]) -> LocalSlopes:
        inverse = _inverse(self._residual(self.n_points, *arguments)[1])
        e_, base_, weight_, theta_ = self._slopes(self.n_points, *arguments)
        return LocalSlopes(
            inverse=inverse,
            e=-inverse @ e_,
            base=-inverse @ base_,
            weight=-np.einsum("nij,njk->ni", inverse, weight_),
            theta=-inverse @ theta_,
        )

    # -- towards the forms ------------------------------------------------------------------------------------------
    def write(self, z: Array) -> None:
        """Give the forms the local states."""
        self._put(self.z, z)

    def read(self) -> Array:
        """The local states last written, (n_points, n_z)."""
        return np.asarray(self.z.x.array.reshape(-1, self.n_z)[self._rows])

    def gathered(self, vector: Array, width: int) -> Array:
        """Rows (n_points, width) of a vector over all quadrature points."""
        return np.asarray(vector.reshape(-1, width)[self._rows])

    def _put(self, function: Any, rows: Array) -> None:
        if self.n_points:
            width = rows.size // self.n_points
            function.x.array.reshape(-1, width)[self._rows] = rows.reshape(self.n_points, width)

    def write_direction(self, dz: Array) -> None:
        """Give the tangent forms a direction of the local states."""
        self._put(self.dz, dz)

    def write_slope(self, slope: Array) -> None:
        """Give the Jacobian dz/de (n_points, n_z, n_e)."""
        self._put(self.slope, slope)

    def slope_matrix(self) -> Any:
        """dz/de as a UFL matrix."""
        return ufl.as_matrix([[self.slope[i * self.n_e + j] for j in range(self.n_e)] for i in range(self.n_z)])


def _inverse(matrix: Array) -> Array:
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        raise SolveError("the equations of a local state are singular", time=0.0) from None
