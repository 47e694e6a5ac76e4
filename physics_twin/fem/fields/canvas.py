"""What all pictures of bodies share: a unit of length, axes with equal scales, an outline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import ShapeError
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.mesh.cells import IntArray, around

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLAT: dict[str, Any] = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.8}
"""Behind a name that stands on a picture."""
SLENDER = 8.0
"""Ratio of extents beyond which equal scales would leave a line."""
VIEW = (24.0, -58.0)
"""Elevation and azimuth of bodies in space, degrees."""
_MARGIN = 0.08


@dataclass(frozen=True)
class LengthScale:
    """The unit in which a picture shows lengths."""

    meters: float
    unit: str

    def __call__(self, lengths: Array) -> Array:
        """Return lengths in m in this unit."""
        return np.asarray(lengths, dtype=float) / self.meters

    def label(self, axis: str) -> str:
        """The label of an axis."""
        return f"{axis} / {self.unit}"


def length_scale(mesh: Mesh) -> LengthScale:
    """Return um, mm or m, by the largest extent of a mesh."""
    extent = float(np.ptp(mesh.points, axis=0).max())
    if extent < 1e-3:
        return LengthScale(1e-6, "µm")
    return LengthScale(1e-3, "mm") if extent < 1.0 else LengthScale(1.0, "m")


def axes_of(dimension: int, ax: "Axes | None") -> Any:
    """Return the given axes, or those of a new figure. Raises ShapeError for flat axes and a body in space."""
    if ax is not None:
        if (dimension == 3) != (getattr(ax, "name", "") == "3d"):
            kind = 'needs axes with projection="3d"' if dimension == 3 else "is flat and needs plain axes"
            raise ShapeError(f"this body {kind}; leave ax out for a figure of its own")
        return ax
    from matplotlib import pyplot as plt

    height = {1: 2.6, 2: 4.6, 3: 4.8}[dimension]
    figure = plt.figure(figsize=(plot_style.FIGURE_WIDTH, height), layout="constrained")
    return figure.add_subplot(projection="3d" if dimension == 3 else None)


def axis_names(mesh: Mesh) -> tuple[str, ...]:
    """Names of the coordinates."""
    return ("r", "z") if mesh.axisymmetric else ("x", "y", "z")[: mesh.dimension]


def dress_flat(ax: "Axes", mesh: Mesh, scale: LengthScale, moved: "Array | None" = None) -> None:
    """Limits, equal scales and labels of a flat body; the axis of revolution where it is one. moved: its points, m."""
    points = scale(mesh.points if moved is None else np.concatenate([mesh.points, moved]))
    low, high = points.min(axis=0), points.max(axis=0)
    extent = high - low
    pad = _MARGIN * extent.max()
    slender = extent.max() > SLENDER * extent.min()
    pads = _MARGIN * extent if slender else np.full(2, pad)
    ax.set_xlim(low[0] - pads[0], high[0] + pads[0])
    ax.set_ylim(low[1] - pads[1], high[1] + pads[1])
    ax.set_aspect("auto" if slender else "equal")
    ax.grid(False)
    names = axis_names(mesh)
    note = "  (the two axes have different scales)" if slender else ""
    ax.set_xlabel(scale.label(names[0]) + note)
    ax.set_ylabel(scale.label(names[1]))
    if mesh.axisymmetric and low[0] <= 1e-9 * extent[0]:
        ax.axvline(0.0, color="#404040", lw=1.0, ls=(0, (8, 2, 1, 2)), zorder=6)
        ax.annotate(
            "axis of revolution",
            (0.0, low[1] - pads[1]),
            (-3, 4),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="bottom",
            fontsize=7,
            color="#404040",
        )


def dress_solid(ax: Any, mesh: Mesh, scale: LengthScale, moved: "Array | None" = None) -> None:
    """Limits, equal scales, labels and the view of a body in space."""
    points = scale(mesh.points if moved is None else np.concatenate([mesh.points, moved]))
    low, high = points.min(axis=0), points.max(axis=0)
    extent = np.maximum(high - low, 1e-3 * float((high - low).max()))
    ax.set_xlim(low[0], low[0] + extent[0])
    ax.set_ylim(low[1], low[1] + extent[1])
    ax.set_zlim(low[2], low[2] + extent[2])
    ax.set_box_aspect(extent / extent.max(), zoom=0.95)
    for one, name, length in zip((ax.xaxis, ax.yaxis, ax.zaxis), axis_names(mesh), extent, strict=True):
        one.set_label_text(scale.label(name))
        one.set_major_locator(_ticks(float(length / extent.max())))
        one.pane.set_visible(False)
        one.labelpad = 2.0 + 8.0 * float(length / extent.max())
    ax.grid(False)
    ax.view_init(*VIEW)
    ax.set_proj_type("ortho")


def _ticks(share: float) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=max(1, round(5 * share)))


def eye_of(ax: Any) -> Array:
    """(3,) the direction from which axes in space are seen."""
    up, around_z = np.radians(ax.elev), np.radians(ax.azim)
    return np.array([np.cos(up) * np.cos(around_z), np.cos(up) * np.sin(around_z), np.sin(up)], dtype=float)


def polygons(facets: IntArray) -> IntArray:
    """Facets (n, 2 to 4) by their vertices, in cyclic order."""
    return around(facets)


def around_cells(mesh: Mesh) -> IntArray:
    """(n_cells, n) points around each flat cell; a curved edge goes through its middle node."""
    if mesh.order == 1:
        return around(mesh.cells)
    triangle, square = [0, 5, 1, 3, 2, 4], [0, 4, 1, 6, 3, 7, 2, 5]
    return mesh.cells[:, triangle if mesh.cell.is_simplex else square]


def surface_edges(mesh: Mesh, angle: float = 30.0) -> tuple[IntArray, Array]:
    """Return the edges (n, 2) at which the surface of a body in space turns, and the mean outward normals there (n, 3).

    angle: degrees between the two facets from which an edge is shown.
    """
    ring = around(mesh.outer_facets)
    corners = mesh.points[ring]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    rows = mesh.facets.outer
    middles = mesh.midpoints[mesh.facets.cells[rows]]
    inward = np.einsum("nd,nd->n", normal, corners.mean(axis=1) - middles) < 0.0
    normal[inward] *= -1.0
    n = ring.shape[1]
    edges = np.sort(np.stack([ring, np.roll(ring, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    owner = np.repeat(np.arange(len(ring)), n)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    edges, owner = edges[order], owner[order]
    pair = np.flatnonzero((edges[1:] == edges[:-1]).all(axis=1))
    a, b = normal[owner[pair]], normal[owner[pair + 1]]
    sharp = np.einsum("nd,nd->n", a, b) < np.cos(np.radians(angle))
    mean = (a + b)[sharp]
    return edges[pair[sharp]], mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
