"""`Mesh`: points, cells and named parts, as plain arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, ShapeError, UnknownNameError, unknown_name
from physics_twin.fem.mesh.cells import Cell as Cell, IntArray as IntArray, reference
from physics_twin.fem.mesh.checks import Finding, findings_of, normalized
from physics_twin.fem.mesh.geometry import cell_measures, facet_measures
from physics_twin.fem.mesh.topology import Facets, all_facets, find_facets
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_M = Unit("m")


@dataclass(frozen=True, eq=False, repr=False)
class Mesh:
    """A mesh with named regions (sets of cells) and boundaries (sets of facets).

    points: (n_points, dimension) m, dimension 1, 2 or 3. cells: (n_cells, n_nodes) point numbers in the node order of
    DOLFINx (basix Lagrange), right-handed. order: degree of the geometry, 1 or 2. regions: name -> cell numbers; every
    cell is in exactly one. boundaries: name -> (n_facets, n_facet_vertices) point numbers of the vertices, also where
    the order is 2; they may overlap. axisymmetric: the coordinates are (r, z).

    Checked when made: raises `ModelError` with all that `fem.mesh.check` calls an error, `ShapeError` for arrays that
    are no mesh. The arrays are read-only; changes make a new mesh.
    """

    points: Array
    cells: IntArray
    cell: Cell
    order: int = 1
    regions: Mapping[str, IntArray] = field(default_factory=dict)
    boundaries: Mapping[str, IntArray] = field(default_factory=dict)
    axisymmetric: bool = False

    def __post_init__(self) -> None:
        """Bring the arrays into form and refuse what no solver can use."""
        for name, value in normalized(self).items():
            object.__setattr__(self, name, value)
        errors = [finding for finding in findings_of(self) if finding.is_error]
        if errors:
            raise ModelError("this mesh cannot be used: " + "; ".join(finding.message for finding in errors))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the fields only: facets are found again where they are needed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def dimension(self) -> int:
        """1, 2 or 3."""
        return int(self.points.shape[1])

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.cells)

    @property
    def n_points(self) -> int:
        """Number of points, the nodes of second order included."""
        return len(self.points)

    @property
    def size(self) -> str:
        """Say in words how large the mesh is: cells, points and the box around it."""
        extents = [float(extent) for extent in np.ptp(self.points, axis=0)]
        box = " x ".join(format_si(extent, _length_unit(extent)) for extent in extents)
        order = " of second order" if self.order == 2 else ""
        return f"{self.n_cells} {self.cell.plural}{order}, {self.n_points} points, {box}"

    def __repr__(self) -> str:
        """Show size and named parts."""
        regions = ", ".join(f"{name} ({len(cells)})" for name, cells in self.regions.items())
        boundaries = ", ".join(f"{name} ({len(facets)})" for name, facets in self.boundaries.items()) or "none"
        kind = "axisymmetric mesh" if self.axisymmetric else "mesh"
        return f"<{kind}: {self.size}; regions: {regions}; boundaries: {boundaries}>"

    @property
    def vertices(self) -> IntArray:
        """(n_cells, n_vertices) point numbers of the vertices of each cell."""
        return self.cells[:, : reference(self.cell, self.order).n_vertices]

    @cached_property
    def facets(self) -> Facets:
        """All facets of all cells."""
        return all_facets(self.cells, self.cell)

    @cached_property
    def outer_facets(self) -> IntArray:
        """(n_facets, n_facet_vertices) point numbers of the facets that belong to one cell only."""
        return self.facets.vertices[self.facets.outer]

    @property
    def midpoints(self) -> Array:
        """(n_cells, dimension) m, means of the vertices."""
        return np.asarray(self.points[self.vertices].mean(axis=1))

    def volume(self, region: str | None = None) -> float:
        """Return the length, area or volume of a region, or of all: m, m^2 or m^3 (axisymmetric: full revolution)."""
        cells = self.cells if region is None else self.cells[self._region(region)]
        return float(cell_measures(self.points, cells, self.cell, self.order, self.axisymmetric).sum())

    def area(self, boundary: str | None = None) -> float:
        """Return the length or area of a boundary, or of the whole outer boundary: m or m^2; 1-D: number of points."""
        vertices = self.outer_facets if boundary is None else self._boundary(boundary)
        nodes = self.facet_nodes(vertices)
        if self.dimension == 1:
            return float(len(nodes))
        facet = {2: Cell.INTERVAL, 3: Cell.TRIANGLE if self.cell.is_simplex else Cell.QUADRILATERAL}[self.dimension]
        return float(facet_measures(self.points, nodes, facet, self.order, self.axisymmetric).sum())

    def facet_nodes(self, facets: IntArray) -> IntArray:
        """Return (n_facets, n_facet_nodes) all nodes of facets that are given by their vertices."""
        rows = find_facets(self.facets, facets)
        local = reference(self.cell, self.order).facet_nodes[self.facets.local[rows]]
        return np.take_along_axis(self.cells[self.facets.cells[rows]], local, axis=1)

    def region_from(self, name: str, function: Callable[..., Any]) -> "Mesh":
        """Return a mesh whose cells with midpoints where `function(x, y, z)` is true form the region `name`.

        `function` gets one array per coordinate in m, (r, z) where axisymmetric, and returns (n_cells,) truth values.
        The cells leave the region they were in; a region that loses all its cells is gone. Raises `ModelError` where
        no cell is chosen.

        >>> from physics_twin.fem.mesh import bar
        >>> bar("1 m", 10).region_from("hot", lambda x: x > 0.5)
        <mesh: 10 intervals, 11 points, 1 m; regions: bar (5), hot (5);
        boundaries: left (1), right (1)>
        """
        chosen = _chosen(function, self.midpoints, f'region "{name}"', "cell")
        regions = {}
        for other, cells in self.regions.items():
            kept = cells[~chosen[cells]]
            if len(kept) and other != name:
                regions[other] = kept
        earlier = self.regions.get(name, np.zeros(0, dtype=np.int64))
        regions[name] = np.union1d(earlier, np.flatnonzero(chosen))
        return replace(self, regions=regions)

    def boundary_from(self, name: str, function: Callable[..., Any], *, interior: bool = False) -> "Mesh":
        """Return a mesh whose outer facets with midpoints where `function(x, y, z)` is true form the boundary `name`.

        `function` as in `region_from`. The other boundaries stay as they are, so boundaries may overlap; one of this
        name is replaced. `interior` chooses among the facets between cells instead, for a heater or a weld inside.
        """
        if interior:
            two = np.flatnonzero(~self.facets.outer)
            candidates = self.facets.vertices[two[np.unique(self.facets.number[two], return_index=True)[1]]]
        else:
            candidates = self.outer_facets
        middles = self.points[candidates].mean(axis=1)
        kind = "interior facet" if interior else "outer facet"
        chosen = _chosen(function, middles, f'boundary "{name}"', kind)
        return replace(self, boundaries={**self.boundaries, name: candidates[chosen]})

    def refined(self, n: int = 1) -> "Mesh":
        """Return the mesh with each cell split in 2**n per direction, regions and boundaries kept.

        New points lie on the mesh's own geometry: straight edges stay straight. Shapes that know their curves have
        `refine=` for that.
        """
        from physics_twin.fem.mesh.refinement import split_in_two

        mesh = self
        for _ in range(n):
            mesh = split_in_two(mesh)
        return mesh

    def simplices(self) -> "Mesh":
        """Return the mesh with quadrilaterals cut in 2 triangles, hexahedra in 6 tetrahedra; boundaries alike."""
        from physics_twin.fem.mesh.simplices import cut

        return self if self.cell.is_simplex else cut(self)

    def moved(self, *offset: Any) -> "Mesh":
        """Return the mesh shifted by one length per coordinate: `mesh.moved("10 mm", "0 mm")`."""
        from physics_twin.fem.mesh.lengths import lengths

        shift = lengths(offset, self.dimension, "offset", signed=True)
        return replace(self, points=self.points + shift)

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the cells with regions and boundaries by name; a model's `plot` also shows loads and sensors."""
        from physics_twin.fem.fields.mesh_plot import plot_mesh

        return plot_mesh(self, ax)

    def _region(self, name: str) -> IntArray:
        if name not in self.regions:
            raise unknown_name("region of the mesh", name, self.regions)
        return self.regions[name]

    def _boundary(self, name: str) -> IntArray:
        if name not in self.boundaries:
            raise unknown_name("boundary of the mesh", name, self.boundaries)
        return self.boundaries[name]


def require(mesh: Mesh, *, regions: Any = (), boundaries: Any = ()) -> None:
    """Raise `UnknownNameError` with the nearest name unless the mesh has these regions and boundaries."""
    for names, kind, known in (
        (regions, "region of the mesh", mesh.regions),
        (boundaries, "boundary of the mesh", mesh.boundaries),
    ):
        for name in names:
            if name not in known:
                error: UnknownNameError = unknown_name(kind, str(name), known)
                raise error


def check(mesh: Mesh) -> tuple[Finding, ...]:
    """Return all that is wrong or odd with a mesh, errors first.

    Errors that a mesh refuses when it is made cannot be there; points that hang between cells can.
    """
    from physics_twin.fem.mesh.hanging import hanging_points

    return (*hanging_points(mesh), *findings_of(mesh))


def _chosen(
    function: Callable[..., Any], middles: Array, what: str, kind: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    answer = np.asarray(function(*middles.T))
    if answer.dtype != np.bool_ or answer.shape not in ((), (len(middles),)):
        raise ShapeError(
            f"{what}: the function has to return {len(middles)} truth values, one per {kind}, not "
            f"{answer.dtype} of shape {answer.shape}; combine conditions with & and |"
        )
    chosen = np.broadcast_to(answer, (len(middles),))
    if not chosen.any():
        low, high = middles.min(axis=0, initial=np.inf), middles.max(axis=0, initial=-np.inf)
        spans = ", ".join(f"{a:.4g} to {b:.4g} m" for a, b in zip(low, high, strict=True))
        raise ModelError(f"{what}: the function is true for no {kind}; their midpoints lie in {spans}")
    return chosen


def _length_unit(length: float) -> Unit:
    if 0.0 < length < 1e-3:
        return Unit("um")
    return Unit("mm") if length < 1.0 else _M
