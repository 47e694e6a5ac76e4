"""Fields of a running simulation, gathered from all ranks at the times that were asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, unknown_name
from physics_twin.fem.compilation import compile_expression
from physics_twin.fem.fields.field import FieldSeries, History, Location
from physics_twin.fem.fields.grid import Grid, grid_of
from physics_twin.fem.mesh.cells import IntArray
from physics_twin.fem.mesh.geometry import quadrature
from physics_twin.fem.operators import Operators
from physics_twin.fem.size import bytes_text
from physics_twin.units import Unit

MEMORY = 4e9
"""Bytes of fields beyond which a run is refused."""


@dataclass(frozen=True)
class Derived:
    """A field that follows from the solution: a flux, a stress. parts: region -> UFL scalar or vector, in SI."""

    unit: Unit
    parts: Mapping[str, Any]


type _Evaluate = Callable[[Array, Array], Array]
"""(u, z) -> (n_own, n_components) of this rank, after symbols, field and local states have been written"""


@dataclass(frozen=True)
class _Offer:
    unit: Unit
    place: Location
    n_components: int
    vector: bool
    written: bool
    evaluate: _Evaluate


class Atlas:
    """The fields that a discretization offers. Made once per model and process."""

    def __init__(self, ops: Operators, name: str, unit: Unit, derived: Mapping[str, Derived]) -> None:
        self.ops = ops
        self.domain = ops.symbols.domain
        bs = int(ops.space.dofmap.index_map_bs)
        vector = bool(ops.field.ufl_shape)
        self.offers = {
            name: _Offer(unit, Location.NODES, bs, vector, False, lambda u, z: u.reshape(-1, bs)),
        }
        if ops.law is not None:
            for k, local in enumerate(ops.law.states):
                self.offers[local.name] = _Offer(local.unit, Location.CELLS, 1, False, False, self._local(k))
        for other, one in derived.items():
            if other in self.offers:
                raise ModelError(f'two fields are named "{other}"')
            shape = next(iter(one.parts.values())).ufl_shape
            size = int(np.prod(shape, dtype=int))
            self.offers[other] = _Offer(one.unit, Location.CELLS, size, bool(shape), True, self._derived(one, size))

    @property
    def names(self) -> tuple[str, ...]:
        """The solution first, then local states, then what is derived."""
        return tuple(self.offers)

    # -- places -----------------------------------------------------------------------------------------------------
    @cached_property
    def _own_cells(self) -> IntArray:
        """(n_own,) numbers of this rank's cells in the mesh."""
        original = self.domain.mesh.topology.original_cell_index
        return np.asarray(original[: self.domain.n_cells], dtype=np.int64)

    @cached_property
    def _all_cells(self) -> IntArray:
        """(n_cells,) the same of all ranks, one after the other."""
        return gathered(self.ops.comm, self._own_cells)

    @cached_property
    def _placed(self) -> tuple[Grid, IntArray]:
        space = self.ops.space
        degree = int(space.element.basix_element.degree)
        if degree not in (1, 2):
            raise ModelError(f"fields of elements of degree 1 or 2 can be kept, not of degree {degree}")
        local = np.asarray(space.dofmap.list[: self.domain.n_cells])
        width = local.shape[1]
        everywhere = space.dofmap.index_map.local_to_global(local.reshape(-1).astype(np.int32))
        rows = gathered(self.ops.comm, np.asarray(everywhere, dtype=np.int64).reshape(-1, width))
        shared = np.empty_like(rows)
        shared[self._all_cells] = rows
        return grid_of(self.domain.description, degree, shared)

    @property
    def grid(self) -> Grid:
        """Nodes and cells of the solution, whole on every rank."""
        return self._placed[0]

    def collected(self, place: Location, own: Array) -> Array:
        """(n_nodes or n_cells, n_components) from each rank's own part."""
        rows = gathered(self.ops.comm, np.ascontiguousarray(own))
        if place is Location.NODES:
            return np.asarray(rows[self._placed[1]])
        values = np.empty_like(rows)
        values[self._all_cells] = rows
        return values

    # -- what fields are made of ------------------------------------------------------------------------------------
    def _local(self, k: int) -> _Evaluate:
        law = self.ops.law
        assert law is not None
        weights = np.asarray(law.space.ufl_element().custom_quadrature()[1], dtype=float)
        weights = weights / weights.sum()

        def mean(u: Array, z: Array) -> Array:
            values = np.full((self.domain.n_cells, 1), np.nan)
            values[law.cells, 0] = z[:, k].reshape(-1, law.n_q) @ weights
            return values

        return mean

    def _derived(self, derived: Derived, size: int) -> _Evaluate:
        law = self.ops.law
        if law is not None:
            # Local states are known at these points only.
            points = np.asarray(law.reference_points)
            weights = np.asarray(law.space.ufl_element().custom_quadrature()[1], dtype=float)
        else:
            points, weights = quadrature(self.domain.description.cell, 2)
        weights = weights / weights.sum()
        compiled: dict[str, Any] = {}

        def mean(u: Array, z: Array) -> Array:
            values = np.full((self.domain.n_cells, size), np.nan)
            for region, expression in derived.parts.items():
                if region not in compiled:
                    compiled[region] = compile_expression(expression, points, comm=self.ops.comm)
                cells = self.domain.cells_of(region)
                if cells.size:
                    found = np.asarray(compiled[region].eval(self.domain.mesh, cells), dtype=float)
                    values[cells] = np.einsum("cqk,q->ck", found.reshape(cells.size, weights.size, size), weights)
            return values

        return mean

    # -- recording --------------------------------------------------------------------------------------------------
    def recorder(self, names: Sequence[str], n_times: int) -> "Recorder":
        """Return what keeps these fields over a run of n_times.

        Raises UnknownNameError, and ModelError with the estimate where they would take more than MEMORY.
        """
        for name in names:
            if name not in self.offers:
                raise unknown_name("field of this model", name, self.names)
        return Recorder(self, tuple(names), n_times)


class Recorder:
    """Keeps the fields of one run; called at each time with what the run knows there. On all ranks alike."""

    def __init__(self, atlas: Atlas, names: tuple[str, ...], n_times: int) -> None:
        self.atlas, self.names = atlas, names
        grid = atlas.grid
        shapes = {}
        for name in names:
            offer = atlas.offers[name]
            n = len(grid.nodes) if offer.place is Location.NODES else grid.mesh.n_cells
            shapes[name] = (n_times, n, offer.n_components)
        size = 8.0 * sum(float(np.prod(shape)) for shape in shapes.values())
        if size > MEMORY:
            raise ModelError(
                f"{' and '.join(names)} at {n_times} times would take {bytes_text(size)}, more than "
                f"{bytes_text(MEMORY)}; ask for fewer times or fewer fields"
            )
        self._values = {name: np.full(shape, np.nan) for name, shape in shapes.items()}
        self._written = any(atlas.offers[name].written for name in names)

    def __call__(self, i: int, u: Array, z: Array, theta: Array) -> None:
        """Keep the fields of time number i; u, z, theta: solution, local states and symbols there."""
        atlas, ops = self.atlas, self.atlas.ops
        if self._written:
            ops.symbols.set(theta)
            ops.write(u)
            if ops.law is not None:
                ops.law.write(z)
        for name in self.names:
            offer = atlas.offers[name]
            self._values[name][i] = atlas.collected(offer.place, offer.evaluate(u, z))

    def series(self, times: Array, model: str) -> FieldSeries:
        """Return what was kept."""
        found = {}
        for name in self.names:
            offer, values = self.atlas.offers[name], self._values[name]
            shown = values if offer.vector else values[:, :, 0]
            found[name] = History(name, offer.unit, offer.place, self.atlas.grid, shown)
        return FieldSeries(times, found, model)


def gathered[T: np.generic](
    comm: Any, own: "np.ndarray[tuple[int, ...], np.dtype[T]]"
) -> "np.ndarray[tuple[int, ...], np.dtype[T]]":
    """Return the rows of all ranks, one after the other, on every rank."""
    if comm.size == 1:
        return own
    return np.concatenate(comm.allgather(own))
