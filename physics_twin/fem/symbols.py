"""The symbols of a field model: parameters, inputs and time, for the forms and for what is evaluated at points."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import unknown_name
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import dolfinx, ufl
from physics_twin.fem.distribution import Distribution
from physics_twin.fem.domain import Domain
from physics_twin.fem.quantities import Declarations
from physics_twin.parameters import Parameter
from physics_twin.signals import Signal
from physics_twin.units import Unit

_METER, _SECOND = Unit("m").dimension, Unit("s").dimension


@dataclass(frozen=True)
class Distributed:
    """A field parameter: nodal values = basis (n_nodes, k) times the coefficients theta[entries]."""

    field: Any
    direction: Any
    basis: Any
    entries: Array

    def write(self, function: Any, theta: Array) -> None:
        """Give a DOLFINx Function the nodal values of these coefficients."""
        values = self.basis @ theta[self.entries]
        function.x.array[: values.size] = values
        function.x.scatter_forward()


class Symbols:
    """Constants of a form in one fixed order: parameters, inputs, time.

    That order is the vector theta used everywhere below: `theta[: n_p]` parameters, then inputs, and time last. In the
    forms each is a UFL variable over a DOLFINx Constant, so that forms can be differentiated by it; its direction in
    tangents is another Constant.
    """

    def __init__(self, domain: Domain, parameters: Mapping[str, Parameter], inputs: Mapping[str, Signal]) -> None:
        self.domain = domain
        self.parameters: Sequence[Parameter] = tuple(parameters.values())
        self.inputs: Sequence[Signal] = tuple(inputs.values())
        self.names: tuple[str, ...] = (*parameters, *inputs, "t")
        self.n_p, self.n_s = len(self.parameters), len(self.inputs)
        self.constants = [dolfinx.fem.Constant(domain.mesh, 0.0) for _ in self.names]
        self.variables = [ufl.variable(c) for c in self.constants]
        self.directions = [dolfinx.fem.Constant(domain.mesh, 0.0) for _ in self.names]
        # Views of their memory: asking a Constant for its number costs more than writing it.
        self._numbers = [np.asarray(c.value) for c in self.constants]
        self._slopes = [np.asarray(c.value) for c in self.directions]
        units = [*(p.unit for p in self.parameters), *(s.unit for s in self.inputs)]
        self._dimensions = [*(u.dimension for u in units), _SECOND]
        self.distributions: list[Distributed] = []
        self._distributed: dict[str, Expression] = {}

    @classmethod
    def of(cls, domain: Domain, declarations: Declarations) -> "Symbols":
        """The symbols of what a description declares."""
        symbols = cls(domain, declarations.parameters, declarations.inputs)
        for distribution in declarations.distributions.values():
            symbols._distribute(distribution)
        return symbols

    def _distribute(self, given: Distribution) -> None:
        """A field parameter as a continuous piecewise linear function on the mesh."""
        if given.along not in self.domain.axes:
            raise unknown_name(f'coordinate for the distribution "{given.name}"', given.along, self.domain.axes)
        space = dolfinx.fem.functionspace(self.domain.mesh, ("Lagrange", 1))
        n = space.dofmap.index_map.size_local
        x = space.tabulate_dof_coordinates()[:n, self.domain.axes.index(given.along)]
        entries = np.array([self.names.index(name) for name in given.names])
        field, direction = dolfinx.fem.Function(space, name=given.name), dolfinx.fem.Function(space)
        self.distributions.append(Distributed(field, direction, given.basis(x), entries))
        dimension = given.parameters[0].unit.dimension
        self._distributed[given.name] = Expression(field, dimension)

    @property
    def n_theta(self) -> int:
        """Length of theta."""
        return len(self.names)

    # -- over UFL ---------------------------------------------------------------------------------------------------
    @functools.cached_property
    def forms(self) -> dict[str, Expression]:
        """Every symbol and coordinate as an Expression over UFL."""
        scope = {
            name: Expression(variable, dimension)
            for name, variable, dimension in zip(self.names, self.variables, self._dimensions, strict=True)
        }
        x = self.domain.coordinate
        axes = {axis: Expression(x[k], _METER) for k, axis in enumerate(self.domain.axes)}
        return scope | axes | self._distributed

    def set(self, theta: Array) -> None:
        """Give the constants of the forms their numbers."""
        _write(self._numbers, theta)
        for distribution in self.distributions:
            distribution.write(distribution.field, theta)

    def set_direction(self, direction: Array) -> None:
        """Give the constants of the tangent forms their numbers."""
        _write(self._slopes, direction)
        for distribution in self.distributions:
            distribution.write(distribution.direction, direction)

    # -- over CasADi ------------------------------------------------------------------------------------------------
    @functools.cached_property
    def theta(self) -> ca.SX:
        """The vector theta as a CasADi symbol."""
        return ca.SX.sym("theta", self.n_theta)

    @functools.cached_property
    def place(self) -> ca.SX:
        """The coordinates as a CasADi symbol."""
        return ca.SX.sym("x", self.domain.dimension)

    @functools.cached_property
    def points(self) -> dict[str, Expression]:
        """Every symbol and coordinate as an Expression over CasADi."""
        scope = {
            name: Expression(self.theta[k], dimension)
            for k, (name, dimension) in enumerate(zip(self.names, self._dimensions, strict=True))
        }
        return scope | {axis: Expression(self.place[k], _METER) for k, axis in enumerate(self.domain.axes)}


class NodalValue:
    """A quantity at nodes, of their coordinates and theta; with its exact derivative."""

    def __init__(self, symbols: Symbols, expression: Expression, coordinates: Array) -> None:
        magnitude = ca.SX(expression.magnitude)
        self.coordinates = np.ascontiguousarray(coordinates[:, : symbols.domain.dimension], dtype=float)
        self.n = self.coordinates.shape[0]
        self.uniform = not ca.depends_on(settled(expression), symbols.place)
        self.depends = np.array(
            [bool(ca.depends_on(magnitude, symbols.theta[k])) for k in range(symbols.n_theta)], dtype=bool
        )
        jacobian = ca.jacobian(magnitude, symbols.theta)
        # Switches of `where` are taken as they stand at the point.
        switches = {str(k): switch for k, switch in enumerate(expression.switches)}
        if switches:
            magnitude = _settled(magnitude, expression)
            jacobian = _settled(jacobian, expression)
        self._value = ca.Function("value", [symbols.place, symbols.theta], [magnitude])
        self.signature = hashlib.sha256(self._value.serialize().encode()).hexdigest()
        """Of the function with all digits of its numbers, for the fingerprint."""
        self._slope = ca.Function("slope", [symbols.place, symbols.theta], [ca.densify(jacobian)])

    def at(self, theta: Array) -> Array:
        """(n,) values."""
        if not self.n:
            return np.empty(0)
        if self.uniform:
            return np.full(self.n, float(self._value(self.coordinates[0], theta)))
        return np.asarray(self._value(self.coordinates.T, theta), dtype=float).reshape(-1)

    def tangent(self, theta: Array, direction: Array) -> Array:
        """(n,) derivative along a direction of theta."""
        if not self.n or not (direction * self.depends).any():
            return np.zeros(self.n)
        return self.jacobian(theta) @ direction

    def jacobian(self, theta: Array) -> Array:
        """(n, n_theta)."""
        if not self.n:
            return np.empty((0, theta.size))
        if self.uniform:
            return np.broadcast_to(np.asarray(self._slope(self.coordinates[0], theta)), (self.n, theta.size))
        rows = np.asarray(self._slope(self.coordinates.T, theta), dtype=float)
        return rows.reshape(self.n, theta.size)


def _settled(magnitude: ca.SX, expression: Expression) -> ca.SX:
    """The magnitude with every switch decided by its guard."""
    for switch in reversed(expression.switches):
        magnitude = ca.substitute(magnitude, switch.mode, ca.SX(switch.guard) >= 0)
    return magnitude


def settled(expression: Expression) -> Any:
    """The CasADi magnitude of an expression with its switches decided at each point."""
    return _settled(ca.SX(expression.magnitude), expression)


def _write(views: Sequence[Array], values: Array) -> None:
    for view, value in zip(views, values, strict=True):
        view[()] = value
