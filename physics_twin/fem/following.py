"""A mechanical model that follows a thermal run: it is given the temperature at every sample and every accepted step.

Without plasticity the displacement is a function of the temperature and is solved for at samples only. With plasticity
it is advanced by implicit Euler over the accepted steps of the thermal run; between their ends it is interpolated.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from physics_twin.arrays import Array
from physics_twin.errors import ModelError
from physics_twin.fem.newton import Stage, jacobian_at
from physics_twin.fem.sensors import basis_at

if TYPE_CHECKING:
    from physics_twin.fem.field_model import FieldModel


@dataclass(frozen=True)
class Followed:
    """One step of the mechanical model: where it began, and its solution at the step's end."""

    u: Array
    z: Array
    end: Stage


@dataclass(frozen=True)
class FollowedTangents:
    """Tangents at the ends of a step: of the displacement (n, m) and of the local states (n_points, n_z, m)."""

    du0: Array
    dz0: Array
    du1: Array
    dz1: Array


class Link:
    """What carries the temperature of one model to the driver of the other; made once for a pair."""

    def __init__(self, thermal: "FieldModel", mechanical: "FieldModel") -> None:
        if len(mechanical.operators.f.drivers) != 1:
            raise ModelError(
                f'the mechanical model "{mechanical.name}" is not driven; build it with temperature=fem.Driven()'
            )
        self.thermal, self.mechanical = thermal, mechanical
        self.ops = mechanical.operators
        self.driver = self.ops.f.drivers[0]
        self.transfer = self._transfer()
        a, b = thermal.operators.symbols, self.ops.symbols
        if set(a.names) != set(b.names):
            raise ModelError("the two models do not declare the same parameters and inputs")
        self.order = np.array([a.names.index(name) for name in b.names])
        """theta of the mechanical model = theta of the thermal one in this order"""
        self.observed: tuple[Array, Array] = (np.empty(0), np.empty((0, 0)))
        """Displacement and local states of the outputs last asked for"""

    def _transfer(self) -> sparse.csr_matrix:
        """Values at the driver's nodes from the entries of the temperature, (n_driver, n_thermal)."""
        space, source = self.driver.field.function_space, self.thermal.operators.space
        n = space.dofmap.index_map.size_local
        x = space.tabulate_dof_coordinates()[:n]
        domain = self.thermal.operators.symbols.domain
        comm = domain.comm
        if comm.size > 1:
            # Both meshes are distributed alike only if they are the same.
            same = source.tabulate_dof_coordinates()[: self.thermal.operators.n]
            alike = same.shape == x.shape and bool(np.allclose(same, x))
            if not comm.allreduce(int(alike)) == comm.size:
                raise ModelError("on several ranks, the thermal and the mechanical model need the same mesh and degree")
            return sparse.identity(n, format="csr")
        cells, reference = domain.locate_all(
            x[:, : domain.dimension], lambda k: f"node {k} of the mechanical mesh, where the temperature is asked for,"
        )
        rows, columns, values = [], [], []
        for k, (cell, place) in enumerate(zip(cells, reference, strict=True)):
            dofs = source.dofmap.list[cell]
            rows.append(np.full(dofs.size, k))
            columns.append(dofs)
            values.append(basis_at(source, place))
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        return sparse.csr_matrix(entries, shape=(n, self.thermal.operators.n))

    @property
    def stepped(self) -> bool:
        """Whether the mechanical model has a memory."""
        return self.ops.law is not None

    def give(self, temperature: Array) -> None:
        """Give the driver a temperature of the thermal model."""
        self._put(self.driver.field, temperature)
        self.ops.driven()

    def give_direction(self, direction: "Array | None") -> None:
        """Give the driver's direction in tangents."""
        if direction is None:
            self.driver.direction.x.array[:] = 0.0
        else:
            self._put(self.driver.direction, direction)

    def _put(self, function: Any, values: Array) -> None:
        function.x.array[: self.transfer.shape[0]] = self.transfer @ values
        function.x.scatter_forward()

    # -- values -----------------------------------------------------------------------------------------------------
    def begin(self) -> None:
        """A run begins."""
        self.mechanical._stages.begin()

    def solve(self, temperature: Array, u: Array, z: Array, theta: Array) -> Stage:
        """The mechanical solution at a temperature, from the local states z; theta in the thermal order."""
        self.give(temperature)
        return self.mechanical._stages.solve(0.0, 1.0, np.zeros(self.ops.n), z, theta[self.order], u, z)

    def initial(self, theta: Array) -> tuple[Array, Array]:
        """Displacement zero and local states at the start."""
        law = self.ops.law
        z = np.zeros((0, 0)) if law is None else law.initial(theta[self.order])
        return np.zeros(self.ops.n), z

    def outputs(self, temperature: Array, u: Array, z: Array, theta: Array) -> Array:
        """Outputs of the mechanical sensors (n_mechanical_outputs,)."""
        self.give(temperature)
        self.observed = u, z
        return self.mechanical.observers.values(u, z if self.stepped else None, theta[self.order])

    # -- tangents ---------------------------------------------------------------------------------------------------
    def solve_tangents(
        self,
        temperature: Array,
        d_temperature: Array,
        base: Array,
        d_base: Array,
        stage: Stage,
        theta: Array,
        d_theta: Array,
    ) -> tuple[Array, Array]:
        """Tangents of displacement and local states along those of temperature, old local states and theta."""
        ops, law, theta, d_theta = self.ops, self.ops.law, theta[self.order], d_theta[self.order]
        n_dir = d_theta.shape[1]
        self.give(temperature)
        self._matrix = jacobian_at(ops, 0.0, 1.0, stage, base, theta, getattr(self, "_matrix", None))
        solver = self.mechanical._stages.solver
        solver.set_operator(self._matrix)
        self.mechanical._stages._weights = None
        slopes = None if law is None else law.slopes(stage.z, stage.e, base, 1.0, theta)
        alone = np.zeros((*stage.z.shape, n_dir))
        if slopes is not None:
            alone = np.einsum("nij,njk->nik", slopes.base, d_base) + np.einsum("nij,jk->nik", slopes.theta, d_theta)
        du, dz = np.empty((ops.n, n_dir)), np.empty_like(alone)
        for k in range(n_dir):
            self.give_direction(d_temperature[:, k])
            held = np.zeros(ops.n)
            if ops.held.size:
                held[ops.held] = ops.essential_tangent(theta, d_theta[:, k])
            local = alone[..., k]
            ops.symbols.set(theta)
            ops.write(stage.u)
            if slopes is not None and law is not None:
                local = local + np.einsum("nij,nj->ni", slopes.e, ops.given_direction(held))
                law.write(stage.z)
            right = ops.direction(0.0, 1.0, stage.u, theta, held, local, d_theta[:, k])
            right[ops.held] = 0.0
            du[:, k] = held - solver.solve(right)
            if slopes is not None:
                dz[..., k] = alone[..., k] + np.einsum("nij,nj->ni", slopes.e, ops.given_direction(du[:, k]))
        self.give_direction(None)
        return du, dz

    def output_tangents(
        self,
        temperature: Array,
        d_temperature: Array,
        u: Array,
        z: Array,
        du: Array,
        dz: Array,
        theta: Array,
        d_theta: Array,
    ) -> Array:
        """(n_mechanical_outputs, m)."""
        theta, d_theta = theta[self.order], d_theta[self.order]
        self.give(temperature)
        observers = self.mechanical.observers
        observers.write(u, z if self.stepped else None, theta)
        rows = np.empty((len(observers), d_theta.shape[1]))
        for k in range(d_theta.shape[1]):
            self.give_direction(d_temperature[:, k])
            local = dz[..., k] if self.stepped else None
            rows[:, k] = observers.tangents(u, z if self.stepped else None, theta, du[:, k], local, d_theta[:, k])
        self.give_direction(None)
        return rows
