"""`Grid`: the nodes at which a field has values, the cells between them, and where a point lies among them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ShapeError
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.mesh.cells import IntArray, Reference, reference

_INSIDE = 1e-7  # of a cell: a point this far outside lies on its edge, whose coordinates were rounded
_NEAREST = 12  # cells tried first, by the distance of their middles
_CHUNK = 32  # points compared with the boxes of all cells at once
_ITERATIONS = 25


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """A mesh with the nodes of Lagrange elements of a degree on it.

    nodes: (n_nodes, dimension) m. cells: (n_cells, n_cell_nodes) node numbers in the order of DOLFINx; cell k is cell k
    of the mesh. Where the degree is the mesh's own order the nodes are the mesh's points, with their numbers.
    """

    mesh: Mesh
    degree: int
    nodes: Array
    cells: IntArray

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the coordinates: x y z, or r z."""
        return ("r", "z") if self.mesh.axisymmetric else ("x", "y", "z")[: self.mesh.dimension]

    @property
    def size(self) -> float:
        """The largest extent of the body, m."""
        return float(np.ptp(self.mesh.points, axis=0).max())

    @property
    def geometry(self) -> Reference:
        """Shape functions of the coordinates."""
        return reference(self.mesh.cell, self.mesh.order)

    @property
    def element(self) -> Reference:
        """Shape functions of the field."""
        return reference(self.mesh.cell, self.degree)

    def locate(self, points: Array) -> tuple[IntArray, Array]:
        """Return (n,) cells and (n, dimension) reference coordinates of points (n, dimension) m.

        Raises BoundsError for a point outside the body, saying by how much.
        """
        points = np.asarray(points, dtype=float)
        if points.ndim != 2 or points.shape[1] != self.mesh.dimension:
            raise ShapeError(f"points of this body have {', '.join(self.axes)}; got an array of shape {points.shape}")
        if not np.isfinite(points).all():
            raise ShapeError("a coordinate is not a finite number")
        cells, places = self.find(points)
        outside = np.flatnonzero(cells < 0)
        if outside.size:
            raise self._outside(points[outside[0]])
        return cells, places

    def find(self, points: Array) -> tuple[IntArray, Array]:
        """`locate` with cell -1 for points outside."""
        cells = np.full(len(points), -1, dtype=np.int64)
        places = np.zeros_like(points)
        tree, n = self._tree, min(_NEAREST, self.mesh.n_cells)
        _, near = tree.query(points, k=n)
        for candidates in np.asarray(near).reshape(len(points), n).T:
            open_ = np.flatnonzero(cells < 0)
            if open_.size:
                self._try(points, open_, candidates[open_], cells, places)
        lost = np.flatnonzero(cells < 0)
        for start in range(0, lost.size, _CHUNK):
            self._try_boxes(points, lost[start : start + _CHUNK], cells, places)
        return cells, places

    def coordinates(self, cells: IntArray, places: Array) -> Array:
        """Return (n, dimension) m of reference coordinates (n, dimension) in cells (n,)."""
        return np.asarray(np.einsum("pn,pnd->pd", self.geometry.values(places), self._corners[cells]))

    @cached_property
    def _corners(self) -> Array:
        return np.asarray(self.mesh.points[self.mesh.cells])

    @cached_property
    def _tree(self) -> "cKDTree":
        return cKDTree(self.mesh.midpoints)

    @cached_property
    def _boxes(self) -> tuple[Array, Array]:
        slack = 1e-9 * self.size + 0.1 * np.ptp(self._corners, axis=1) * (self.mesh.order > 1)
        return self._corners.min(axis=1) - slack, self._corners.max(axis=1) + slack

    def _try(self, points: Array, rows: IntArray, candidates: IntArray, cells: IntArray, places: Array) -> None:
        """Keep for `rows` of the points those of the candidates that hold them."""
        found, settled = self._pulled_back(points[rows], candidates)
        clamped = self._clamped(found)
        held = settled & (np.abs(clamped - found).max(axis=1) <= _INSIDE)
        cells[rows[held]], places[rows[held]] = candidates[held], clamped[held]

    def _try_boxes(self, points: Array, rows: IntArray, cells: IntArray, places: Array) -> None:
        low, high = self._boxes
        x = points[rows][:, None, :]
        row, cell = np.nonzero(((x >= low) & (x <= high)).all(axis=2))
        for k in range(int(np.bincount(row, minlength=1).max(initial=0))):
            # The k-th candidate of each point that has one.
            first = np.searchsorted(row, np.arange(rows.size)) + k
            has = first < row.size
            has[has] &= row[first[has]] == np.flatnonzero(has)
            chosen = np.flatnonzero(has & (cells[rows] < 0))
            if chosen.size:
                self._try(points, rows[chosen], cell[first[chosen]], cells, places)

    def _pulled_back(
        self, points: Array, cells: IntArray
    ) -> tuple[Array, "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"]:
        """Reference coordinates by Newton's method, and whether it settled."""
        corners = self._corners[cells]
        shape = self.geometry
        dimension = points.shape[1]
        x = np.full(points.shape, 1.0 / (dimension + 1) if self.mesh.cell.is_simplex else 0.5)
        affine = self.mesh.cell.is_simplex and self.mesh.order == 1
        step = np.full(len(points), np.inf)
        for _ in range(2 if affine else _ITERATIONS):
            defect = points - np.einsum("pn,pnd->pd", shape.values(x), corners)
            jacobian = np.einsum("pni,pnd->pdi", shape.gradients(x), corners)
            regular = np.abs(np.linalg.det(jacobian)) > 0.0
            jacobian[~regular] = np.eye(dimension)
            dx = np.linalg.solve(jacobian, defect[:, :, None])[:, :, 0]
            dx[~regular] = np.inf
            # Far outside a curved cell the iteration may wander off; it is then not the point's cell.
            x = np.clip(x + np.where(np.isfinite(dx), dx, 0.0), -3.0, 4.0)
            step = np.abs(dx).max(axis=1)
            if (step < 1e-11).all():
                break
        return x, step < 1e-8

    def _clamped(self, x: Array) -> Array:
        """The nearest reference coordinates inside the cell (nearly, on a simplex)."""
        inside = np.clip(x, 0.0, 1.0)
        if self.mesh.cell.is_simplex:
            excess = np.maximum(inside.sum(axis=1) - 1.0, 0.0)
            n_active = np.maximum((inside > 0.0).sum(axis=1), 1)
            inside = np.maximum(inside - (inside > 0.0) * (excess / n_active)[:, None], 0.0)
        return np.asarray(inside)

    def _outside(self, point: Array) -> BoundsError:
        n = min(4 * _NEAREST, self.mesh.n_cells)
        _, near = self._tree.query(point, k=n)
        near = np.atleast_1d(near)
        found, _ = self._pulled_back(np.broadcast_to(point, (n, point.size)).copy(), near)
        gap = float(np.linalg.norm(self.coordinates(near, self._clamped(found)) - point, axis=1).min())
        shown = ", ".join(f"{axis} = {value:g} m" for axis, value in zip(self.axes, point, strict=True))
        low, high = self.mesh.points.min(axis=0), self.mesh.points.max(axis=0)
        extent = ", ".join(f"{axis} from {a:g} to {b:g} m" for axis, a, b in zip(self.axes, low, high, strict=True))
        return BoundsError(f"{shown} lies {gap:.3g} m outside the body ({extent})")


def grid_of(mesh: Mesh, degree: int, shared: IntArray) -> tuple[Grid, IntArray]:
    """Return the grid of a space, and the number in the space of each of its nodes.

    shared: (n_cells, n_cell_nodes) the space's own numbers of the nodes of each cell, cells as in the mesh. The grid
    numbers them by the mesh alone, so that it is the same however the mesh was distributed.
    """
    if degree == mesh.order:
        numbers = np.full(mesh.n_points, -1, dtype=np.int64)
        numbers[mesh.cells] = shared
        return Grid(mesh, degree, mesh.points, mesh.cells), numbers
    unique, first, inverse = np.unique(shared, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    cells = rank[inverse].reshape(shared.shape)
    element = reference(mesh.cell, degree)
    weights = reference(mesh.cell, mesh.order).values(element.nodes)
    nodes = np.empty((unique.size, mesh.dimension))
    nodes[cells] = np.einsum("kn,cnd->ckd", weights, mesh.points[mesh.cells])
    return Grid(mesh, degree, nodes, cells), unique[order]
