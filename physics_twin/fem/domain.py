"""`Domain`: a `Mesh` as a DOLFINx mesh, with its measures by the names of regions and boundaries."""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, unknown_name
from physics_twin.fem._dolfinx import MPI, basix_ufl, dolfinx, ufl
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.mesh.topology import find_facets
from physics_twin.fem.native import check_communicators

Entities = np.ndarray[tuple[int, ...], np.dtype[np.int32]]


class Domain:
    """A mesh distributed over the ranks of a communicator; regions and boundaries may overlap.

    Forms are integrated with `dx(region)` and `ds(boundary)`; for an axisymmetric mesh `weight` is 2 pi r, so that an
    integral is over the whole body of revolution.
    """

    def __init__(self, description: Mesh, comm: Any = None) -> None:
        self.description = description
        self.comm = MPI.COMM_WORLD if comm is None else comm
        check_communicators(self.comm)
        element = basix_ufl.element(
            "Lagrange", description.cell.value, description.order, shape=(description.dimension,)
        )
        # Every rank holds the description; the cells and points enter once and are distributed.
        first = self.comm.rank == 0
        cells = description.cells if first else description.cells[:0]
        points = description.points if first else description.points[:0]
        self.mesh = dolfinx.mesh.create_mesh(
            self.comm, np.ascontiguousarray(cells, dtype=np.int64), element, np.ascontiguousarray(points, dtype=float)
        )
        tdim = self.mesh.topology.dim
        self.mesh.topology.create_entities(tdim - 1)
        self.mesh.topology.create_connectivity(tdim - 1, tdim)
        self.mesh.topology.create_connectivity(tdim, tdim - 1)
        self.mesh.topology.create_connectivity(tdim - 1, 0)
        self.n_cells = int(self.mesh.topology.index_map(tdim).size_local)
        self.region_ids = {name: k + 1 for k, name in enumerate(description.regions)}
        self.boundary_ids = {name: k + 1 for k, name in enumerate(description.boundaries)}

    @property
    def dimension(self) -> int:
        """Of the coordinates: 1, 2 or 3."""
        return self.description.dimension

    # -- parts ------------------------------------------------------------------------------------------------------
    def cells_of(self, region: str) -> Entities:
        """Cells (owned by this rank) of a region."""
        self.check_region(region)
        return self._region_cells[region]

    @functools.cached_property
    def _region_cells(self) -> Mapping[str, Entities]:
        original = np.asarray(self.mesh.topology.original_cell_index)[: self.n_cells]
        found = {}
        for name, cells in self.description.regions.items():
            inside = np.zeros(self.description.cells.shape[0], dtype=bool)
            inside[np.asarray(cells)] = True
            found[name] = np.flatnonzero(inside[original]).astype(np.int32)
        return found

    def facets_of(self, boundary: str) -> Entities:
        """Facets (of this rank, ghosts included) of a boundary."""
        self.check_boundary(boundary)
        return self._boundary_facets[boundary]

    @functools.cached_property
    def _boundary_facets(self) -> Mapping[str, Entities]:
        tdim = self.mesh.topology.dim
        index_map = self.mesh.topology.index_map(tdim - 1)
        every = np.arange(index_map.size_local + index_map.num_ghosts, dtype=np.int32)
        if every.size:
            # Boundaries are named by their corners, which come first; a curved facet has nodes between them as well.
            n_corners = int(self.mesh.topology.connectivity(tdim - 1, 0).links(0).size)
            nodes = dolfinx.mesh.entities_to_geometry(self.mesh, tdim - 1, every)[:, :n_corners]
            original = np.sort(np.asarray(self.mesh.geometry.input_global_indices)[nodes], axis=1)
        else:
            original = np.empty((0, 1), dtype=np.int64)
        known = {tuple(row): number for number, row in enumerate(original.tolist())}
        found = {}
        for name, rows in self.description.boundaries.items():
            wanted = np.sort(np.atleast_2d(np.asarray(rows)), axis=1).tolist()
            numbers = [known[key] for row in wanted if (key := tuple(row)) in known]
            if not self.comm.allreduce(len(numbers)):
                raise ModelError(f'the boundary "{name}" has no facet of the mesh')
            found[name] = np.unique(np.array(numbers, dtype=np.int32))
        return found

    def check_region(self, name: str) -> None:
        """Raise UnknownNameError for a region that the mesh does not have."""
        if name not in self.region_ids:
            raise unknown_name("region of the mesh", name, self.region_ids)

    def check_boundary(self, name: str) -> None:
        """Raise UnknownNameError for a boundary that the mesh does not have."""
        if name not in self.boundary_ids:
            raise unknown_name("boundary of the mesh", name, self.boundary_ids)

    # -- measures ---------------------------------------------------------------------------------------------------
    @functools.cached_property
    def _dx(self) -> Any:
        data = [(self.region_ids[name], self._region_cells[name]) for name in self.region_ids]
        return ufl.Measure("dx", domain=self.mesh, subdomain_data=data)

    @functools.cached_property
    def _ds(self) -> Any:
        kind = dolfinx.fem.IntegralType.exterior_facet
        data = []
        for name, facets in self._boundary_facets.items():
            outer = np.intersect1d(facets, dolfinx.mesh.exterior_facet_indices(self.mesh.topology)).astype(np.int32)
            pairs = dolfinx.fem.compute_integration_domains(kind, self.mesh.topology, outer)
            data.append((self.boundary_ids[name], np.asarray(pairs, dtype=np.int32).flatten()))
        return ufl.Measure("ds", domain=self.mesh, subdomain_data=data)

    def dx(self, region: str, degree: int | None = None) -> Any:
        """Volume measure of a region; degree: of the quadrature rule, by default what the integrand needs."""
        self.check_region(region)
        return self._dx(self.region_ids[region], metadata=None if degree is None else {"quadrature_degree": degree})

    def ds(self, boundary: str, degree: int | None = None) -> Any:
        """Surface measure of an outer boundary; raises ModelError for one that lies inside, where nothing would act."""
        self.check_boundary(boundary)
        self._check_outer(boundary)
        return self._ds(self.boundary_ids[boundary], metadata=None if degree is None else {"quadrature_degree": degree})

    def _check_outer(self, boundary: str) -> None:
        mesh = self.description
        rows = find_facets(mesh.facets, np.asarray(mesh.boundaries[boundary]))
        inside = int((~mesh.facets.outer[rows]).sum())
        if inside:
            raise ModelError(
                f'{inside} facets of the boundary "{boundary}" lie inside the body; loads, flows and means are '
                "those of outer boundaries (a displacement or a temperature can be prescribed inside)"
            )

    @functools.cached_property
    def coordinate(self) -> Any:
        """The UFL coordinate vector."""
        return ufl.SpatialCoordinate(self.mesh)

    @functools.cached_property
    def weight(self) -> Any:
        """2 pi r for an axisymmetric mesh, else 1."""
        return 2.0 * np.pi * self.coordinate[0] if self.description.axisymmetric else 1.0

    @functools.cached_property
    def axes(self) -> tuple[str, ...]:
        """Names of the coordinates: x y z, or r z."""
        return ("r", "z") if self.description.axisymmetric else ("x", "y", "z")[: self.dimension]

    @functools.cached_property
    def facet_normal(self) -> Any:
        """The UFL outward normal."""
        return ufl.FacetNormal(self.mesh)

    # -- points -----------------------------------------------------------------------------------------------------
    def locate(self, point: Array, what: str) -> tuple[int, Array]:
        """(cell, reference coordinates) of a point on the rank that holds it, (-1, zeros) on all others.

        Raises ModelError on every rank for a point outside the body, saying by how much.
        """
        cells, reference = self.locate_all(np.atleast_2d(point), lambda _: what)
        return int(cells[0]), reference[0]

    def locate_all(self, points: Array, name: Any) -> tuple[Entities, Array]:
        """`locate` for (n, dimension) points at once; name: point number -> text for the error."""
        x = np.zeros((points.shape[0], 3))
        x[:, : self.dimension] = points
        tdim = self.mesh.topology.dim
        size = float(np.ptp(self.description.points, axis=0).max())
        tree = dolfinx.geometry.bb_tree(self.mesh, tdim, padding=1e-9 * size)
        candidates = dolfinx.geometry.compute_collisions_points(tree, x)
        hits = dolfinx.geometry.compute_colliding_cells(self.mesh, candidates, x)
        cells = np.full(x.shape[0], -1, dtype=np.int32)
        for k in range(x.shape[0]):
            owned = [c for c in hits.links(k) if c < self.n_cells]
            if owned:
                cells[k] = min(owned)
        # The lowest rank that holds a point keeps it.
        holder = np.where(cells >= 0, self.comm.rank, self.comm.size)
        first: Any = holder
        if self.comm.size > 1:
            first = np.empty_like(holder)
            self.comm.Allreduce(holder, first, op=MPI.MIN)
        lost = np.flatnonzero(first == self.comm.size)
        if lost.size:
            raise self._outside(x[lost[0]], name(int(lost[0])))
        cells[first != self.comm.rank] = -1
        reference = np.zeros((x.shape[0], tdim))
        geometry = self.mesh.geometry
        for k in np.flatnonzero(cells >= 0).tolist():
            nodes = geometry.x[geometry.dofmaps[0][cells[k]]][:, : self.dimension]
            reference[k] = geometry.cmaps[0].pull_back(x[k : k + 1, : self.dimension], nodes)[0]
        return cells, reference

    def _outside(self, x: Array, what: str) -> ModelError:
        tdim = self.mesh.topology.dim
        distance = np.inf
        if self.n_cells:
            every = np.arange(self.n_cells, dtype=np.int32)
            tree = dolfinx.geometry.bb_tree(self.mesh, tdim)
            middle = dolfinx.geometry.create_midpoint_tree(self.mesh, tdim, every)
            near = dolfinx.geometry.compute_closest_entity(tree, middle, self.mesh, x.reshape(1, 3))
            distance = float(np.sqrt(dolfinx.geometry.squared_distance(self.mesh, tdim, near, x.reshape(1, 3))[0]))
        distance = self.comm.allreduce(distance, op=MPI.MIN)
        shown = ", ".join(f"{axis} = {value:g} m" for axis, value in zip(self.axes, x, strict=False))
        low, high = self.description.points.min(axis=0), self.description.points.max(axis=0)
        extent = ", ".join(f"{axis} from {a:g} to {b:g} m" for axis, a, b in zip(self.axes, low, high, strict=True))
        return ModelError(f"{what} at {shown} lies {distance:.3g} m outside the body ({extent})")

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of points, cells and names."""
        digest = hashlib.sha256()
        d = self.description
        digest.update(f"{d.cell.value} {d.order} {d.axisymmetric}".encode())
        digest.update(np.ascontiguousarray(d.points, dtype=float).tobytes())
        digest.update(np.ascontiguousarray(d.cells, dtype=np.int64).tobytes())
        for name in sorted(d.regions):
            digest.update(name.encode() + np.ascontiguousarray(d.regions[name], dtype=np.int64).tobytes())
        for name in sorted(d.boundaries):
            digest.update(name.encode() + np.ascontiguousarray(d.boundaries[name], dtype=np.int64).tobytes())
        return digest.hexdigest()[:16]
