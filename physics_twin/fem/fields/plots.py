"""Pictures of fields: a profile in 1-D, filled contours in 2-D, the outer surface in 3-D."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import ShapeError
from physics_twin.fem.fields.canvas import (
    FLAT,
    LengthScale,
    around_cells,
    axes_of,
    axis_names,
    dress_flat,
    dress_solid,
    eye_of,
    length_scale,
    surface_edges,
)
from physics_twin.fem.fields.field import Field, Location
from physics_twin.fem.fields.grid import Grid
from physics_twin.fem.mesh.cells import FACET_CELL, Cell, IntArray, reference
from physics_twin.units import QuantityLike, Unit, to_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

_KELVIN, _METER = Unit("K").dimension, Unit("m").dimension

N_LEVELS = 12
N_ARROWS = 14
"""Arrows along the longer side of a picture."""
_SHARE = 0.1  # of the body's size: how large the largest displacement is drawn
_ROUND = (1.0, 2.0, 5.0)
_FACES = 6000  # polygons of a surface: enough for smooth colors, few enough for matplotlib
_OUTLINE = "#303030"


@dataclass(frozen=True)
class _Scene:
    """A field as it is drawn."""

    field: Field
    scale: LengthScale
    shown: Array
    """(n_nodes or n_cells,) in the declared unit; the length of a vector"""
    moved: Array
    """(n_nodes, dimension) m"""
    factor: float
    """by which displacements are exaggerated; 0 where the field is none"""
    unit: Unit
    norm: "Normalize"
    levels: Array
    colors: Any


def plot_field(
    field: Field,
    ax: "Axes | None" = None,
    *,
    limits: "tuple[QuantityLike, QuantityLike] | None" = None,
    exaggeration: float | None = None,
    boundaries: bool = True,
) -> "Figure":
    """Draw a field.

    limits: lowest and highest value of the colors with their unit ("20 degC", "850 degC"), so that pictures can be
    compared; by default the field's own. exaggeration: factor of the displacements that are drawn, chosen if not given
    and always written. boundaries: whether their names are written. A vector is drawn by its length, with arrows in
    2-D (a displacement by the deformed body); for one component use `field.component("x").plot()`.
    """
    mesh = field.grid.mesh
    scene = _scene(field, limits, exaggeration)
    with plot_style.style():
        ax = axes_of(mesh.dimension, ax)
        {1: _profile, 2: _contours, 3: _surface}[mesh.dimension](ax, scene, boundaries)
        ax.set_title(_title(scene), pad=16.0 if mesh.dimension == 1 and boundaries else None)
    return plot_style.figure_of([ax])


def _title(scene: _Scene) -> str:
    field = scene.field
    time = plot_style.time_scale(abs(field.time))
    name = field.name.replace("_", " ")
    what = f"length of {name}" if len(field.components) > 1 and not scene.factor else name
    text = f"{what} at {field.time / time.seconds:.4g} {time.unit}"
    if scene.factor:
        text += f"\nshape drawn with {scene.factor:g} times the displacement"
    return text


def _scene(field: Field, limits: "tuple[QuantityLike, QuantityLike] | None", exaggeration: float | None) -> _Scene:
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm
    from matplotlib.ticker import MaxNLocator

    grid = field.grid
    unit = _shown_unit(field)
    shown = np.asarray(unit.from_si(field.magnitude))
    finite = shown[np.isfinite(shown)]
    if not finite.size:
        raise ShapeError(f"{field.name} has no value anywhere")
    low, high = float(finite.min()), float(finite.max())
    if limits is not None:
        low, high = (float(unit.from_si(to_si(v, field.unit, name="limits"))) for v in limits)
        if not low < high:
            raise ShapeError(f"limits = ({limits[0]}, {limits[1]}): the lower one comes first")
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-300):
        pad = max(1e-3 * max(abs(low), abs(high)), 1e-12)  # the same everywhere: one color, and a scale around it
        low, high = low - pad, high + pad
    levels = np.asarray(MaxNLocator(nbins=N_LEVELS, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    name = "inferno" if unit.dimension == _KELVIN else "viridis"
    colors = colormaps[name]
    displaced = field.place is Location.NODES and bool(field.components) and unit.dimension == _METER
    factor, moved = 0.0, grid.nodes
    if displaced:
        largest = float(field.magnitude.max())
        factor = (
            exaggeration if exaggeration is not None else (_round(_SHARE * grid.size / largest) if largest else 1.0)
        )
        moved = grid.nodes + factor * field.values
    return _Scene(
        field, length_scale(grid.mesh), shown, moved, factor, unit, BoundaryNorm(levels, colors.N), levels, colors
    )


def _shown_unit(field: Field) -> Unit:
    """The declared unit; displacements are drawn in mm or um, as small as they are."""
    if field.unit.dimension != _METER:
        return field.unit
    largest = float(np.nanmax(np.abs(field.values), initial=0.0))
    return Unit("um") if largest < 1e-5 else Unit("mm") if largest < 0.1 else Unit("m")


def _round(x: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above x."""
    power = 10.0 ** np.floor(np.log10(x))
    return float(max(r * power for r in _ROUND if r * power <= x * (1.0 + 1e-12)))


def _color_bar(ax: "Axes", scene: _Scene) -> None:
    from matplotlib.cm import ScalarMappable

    field = scene.field
    mappable = ScalarMappable(scene.norm, scene.colors)
    unit = scene.unit.difference() if field.components else scene.unit
    options: dict[str, Any] = {"pad": 0.12, "shrink": 0.75} if field.grid.mesh.dimension == 3 else {"pad": 0.03}
    figure = plot_style.figure_of([ax])
    bar = figure.colorbar(mappable, ax=ax, label=plot_style.label(field.name, unit), **options)
    bar.ax.tick_params(length=2)


# -- a bar ------------------------------------------------------------------------------------------------------------
def _profile(ax: "Axes", scene: _Scene, boundaries: bool) -> None:
    field, grid, scale = scene.field, scene.field.grid, scene.scale
    if field.place is Location.NODES:
        x, y = _fine_profile(scene)
        ax.plot(scale(x), y, color=plot_style.MODEL)
        if len(grid.nodes) <= plot_style.DENSE:
            ax.plot(
                scale(grid.nodes[:, 0]), _along(scene), ls="", marker="o", ms=3, color=plot_style.MODEL, label="nodes"
            )
    else:
        values = _along(scene)
        ends = scale(grid.mesh.points[grid.mesh.vertices][:, :, 0])
        for (a, b), v in zip(ends, values, strict=True):
            ax.plot([a, b], [v, v], color=plot_style.MODEL, lw=2.0, solid_capstyle="butt")
    ax.set_xlabel(scale.label(axis_names(grid.mesh)[0]))
    ax.set_ylabel(plot_style.label(field.name, scene.unit))
    ax.margins(x=0.02, y=0.12)
    if boundaries:
        for name, facets in grid.mesh.boundaries.items():
            for at in scale(grid.mesh.points[np.unique(facets), 0]):
                ax.axvline(at, color=plot_style.MUTED, lw=0.8, ls="--", zorder=1)
                ax.annotate(
                    name.replace("_", " "),
                    (at, 1.0),
                    (0, 2),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=8,
                    color=plot_style.MUTED,
                )


def _along(scene: _Scene) -> Array:
    """(n_nodes or n_cells,) values in the shown unit; the one component of a vector keeps its sign."""
    values = np.asarray(scene.unit.from_si(scene.field.values))
    return values[:, 0] if values.ndim == 2 else values


def _fine_profile(scene: _Scene) -> tuple[Array, Array]:
    """Coordinates and values along a bar, through the shape functions of each cell."""
    grid, values = scene.field.grid, _along(scene)
    n = 2 if grid.degree == 1 else 9
    inner = np.linspace(0.0, 1.0, n)[:, None]
    x = grid.geometry.values(inner) @ grid.mesh.points[grid.mesh.cells][:, :, 0].T
    y = grid.element.values(inner) @ values[grid.cells].T
    x, y = x.T, y.T
    order = np.argsort(x[:, 0])
    return x[order].ravel(), y[order].ravel()


# -- a plate or a section ---------------------------------------------------------------------------------------------
def _contours(ax: "Axes", scene: _Scene, boundaries: bool) -> None:
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.tri import Triangulation

    field, grid, scale = scene.field, scene.field.grid, scene.scale
    mesh = grid.mesh
    if field.place is Location.NODES:
        x, y = scale(scene.moved).T
        triangles = Triangulation(x, y, triangles_of(grid))
        values = np.clip(scene.shown, scene.levels[0], scene.levels[-1])
        filled = ax.tricontourf(triangles, values, levels=scene.levels, cmap=scene.colors, norm=scene.norm)
        filled.set_edgecolor("face")
        lines = ax.tricontour(triangles, values, levels=scene.levels, colors="white", linewidths=0.35, alpha=0.7)
        lines.set_rasterized(False)
    else:
        rings = scale(mesh.points)[around_cells(mesh)]
        known = np.isfinite(scene.shown)
        if not known.all():
            ax.add_collection(
                PolyCollection(
                    list(rings[~known]), facecolors="white", edgecolors="#BBBBBB", hatch="////", linewidths=0.0
                ),
                autolim=False,
            )
        ax.add_collection(
            PolyCollection(
                list(rings[known]), array=scene.shown[known], cmap=scene.colors, norm=scene.norm, edgecolors="face"
            ),
            autolim=False,
        )
        if field.components:
            _arrows(ax, scene)
    if scene.factor:
        still = scale(mesh.points)[_outline(grid)]
        ax.add_collection(
            LineCollection(list(still), colors=plot_style.MUTED, linewidths=0.9, linestyles="--"), autolim=False
        )
    # The outline through the moved nodes, for a displacement.
    edges = scale(scene.moved)[_outline_nodes(grid)]
    ax.add_collection(LineCollection(list(edges), colors=_OUTLINE, linewidths=1.1), autolim=False)
    dress_flat(ax, mesh, scale, scene.moved if scene.factor else None)
    if boundaries:
        _name_boundaries(ax, grid, scale)
    _color_bar(ax, scene)


def _arrows(ax: "Axes", scene: _Scene) -> None:
    """Directions of a vector on a lattice of points, all arrows of one length: the colors say how large."""
    field, scale = scene.field, scene.scale
    grid = field.grid
    low, extent = grid.mesh.points.min(axis=0), np.ptp(grid.mesh.points, axis=0)
    counts = np.maximum(np.rint(N_ARROWS * extent / extent.max()).astype(int), 2)
    lattice = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in counts], indexing="ij"), axis=-1).reshape(-1, 2)
    places = low + lattice * extent
    cells, _ = grid.find(places)
    places, cells = places[cells >= 0], cells[cells >= 0]
    vectors, length = field.values[cells], field.magnitude[cells]
    top = float(np.nanmax(field.magnitude))
    shown = np.isfinite(length) & (length > 1e-3 * top)
    direction = vectors[shown] / length[shown, None] * 0.75 * float(scale(extent / counts).min())
    x = scale(places[shown])
    # White with a dark rim: seen on every color.
    ax.quiver(
        *x.T,
        *direction.T,
        pivot="mid",
        angles="xy",
        scale_units="xy",
        scale=1.0,
        color="white",
        edgecolor=_OUTLINE,
        linewidth=0.5,
        width=0.0045,
        zorder=8,
    )


def _outline(grid: Grid) -> IntArray:
    """(n_facets, 2 or 3) points of the mesh along its outer edges."""
    nodes = grid.mesh.facet_nodes(grid.mesh.outer_facets)
    return nodes[:, [0, 2, 1]] if nodes.shape[1] == 3 else nodes


def _outline_nodes(grid: Grid) -> IntArray:
    """(n_facets, 2 or 3) nodes of the field along the outer edges."""
    facets = grid.mesh.facets
    rows = np.flatnonzero(facets.outer)
    local = grid.element.facet_nodes[facets.local[rows]]
    nodes = np.take_along_axis(grid.cells[facets.cells[rows]], local, axis=1)
    return nodes[:, [0, 2, 1]] if nodes.shape[1] == 3 else nodes


def _name_boundaries(ax: "Axes", grid: Grid, scale: LengthScale) -> None:
    from physics_twin.fem.fields.mesh_plot import name_boundary

    mesh = grid.mesh
    center = scale(mesh.points).mean(axis=0)
    for name, facets in mesh.boundaries.items():
        middles = scale(mesh.points)[facets].mean(axis=1)
        name_boundary(ax, name.replace("_", " "), middles, center, plot_style.MUTED)


def triangles_of(grid: Grid) -> IntArray:
    """(n, 3) node numbers of the triangles that a grid's flat cells are drawn as."""
    n = grid.degree
    number = {tuple(row): k for k, row in enumerate(grid.element.lattice.tolist())}
    local = []
    simplex = grid.mesh.cell is Cell.TRIANGLE
    for i in range(n):
        for j in range(n - i if simplex else n):
            a, b, c, d = (i, j), (i + 1, j), (i, j + 1), (i + 1, j + 1)
            local.append([number[a], number[b], number[c]])
            if not simplex or i + j < n - 1:
                local.append([number[b], number[d], number[c]])
    return grid.cells[:, np.array(local)].reshape(-1, 3)


# -- a body in space --------------------------------------------------------------------------------------------------
def _surface(ax: Any, scene: _Scene, boundaries: bool) -> None:
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

    grid, scale = scene.field.grid, scene.scale
    mesh = grid.mesh
    rings, values = _faces(scene)
    rings = scale(rings)
    colors = scene.colors(scene.norm(np.nan_to_num(values, nan=scene.levels[0])))
    colors[~np.isfinite(values)] = (0.85, 0.85, 0.85, 1.0)
    edges, away = surface_edges(mesh)
    # Edges are thin polygons among the others, a little outside: what is in front hides them, from every side.
    ends = scene.moved[_corner_nodes(grid)[edges]] if scene.factor else mesh.points[edges]
    lifted = scale(_split(ends + 0.004 * grid.size * away[:, None, :], 0.015 * grid.size))
    every = [*rings, *(np.array([a, b, b]) for a, b in lifted)]
    faces = np.concatenate([colors, np.zeros((len(lifted), 4))])
    lines = np.concatenate([colors, np.tile([0.15, 0.15, 0.15, 1.0], (len(lifted), 1))])
    widths = np.concatenate([np.full(len(colors), 0.3), np.full(len(lifted), 0.9)])
    solid = Poly3DCollection(every, facecolors=faces, edgecolors=lines, linewidths=widths, zsort="average")
    # The limits are set by hand: matplotlib's own would read the unused places of polygons of fewer corners.
    ax.add_collection3d(solid, autolim=False)
    dress_solid(ax, mesh, scale, scene.moved if scene.factor else None)
    if boundaries:
        center = scale(mesh.points).mean(axis=0)
        eye = eye_of(ax)
        for name, facets in mesh.boundaries.items():
            middles = scale(mesh.points)[facets].mean(axis=1)
            middle = middles[np.linalg.norm(middles - middles.mean(axis=0), axis=1).argmin()]
            if float((middle - center) @ eye) > 0.0:  # those behind would stand on another face
                ax.text(
                    *(middle + 0.02 * (middle - center)),
                    name.replace("_", " "),
                    fontsize=8,
                    ha="center",
                    va="center",
                    zorder=50,
                    bbox=FLAT,
                )
    _color_bar(ax, scene)


def _corner_nodes(grid: Grid) -> IntArray:
    """(n_points,) the node at each vertex of the mesh; -1 at points that are no vertices."""
    found = np.full(grid.mesh.n_points, -1, dtype=np.int64)
    found[grid.mesh.vertices] = grid.cells[:, : grid.element.n_vertices]
    return found


def _split(ends: Array, length: float) -> Array:
    """Segments (m, 2, 3) cut to a length, so that their depth is that of what lies beside them."""
    longest = float(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).max(initial=0.0))
    t = np.linspace(0.0, 1.0, int(np.ceil(longest / length)) + 1)
    points = ends[:, :1] + t[None, :, None] * (ends[:, 1:] - ends[:, :1])
    return np.stack([points[:, :-1], points[:, 1:]], axis=2).reshape(-1, 2, 3)


def _faces(scene: _Scene) -> tuple[Array, Array]:
    """Polygons of the outer surface (m, 3 or 4, 3) in m and the value on each; facets are split for smooth colors."""
    field, grid = scene.field, scene.field.grid
    mesh = grid.mesh
    facets = mesh.facets
    rows = np.flatnonzero(facets.outer)
    cell = FACET_CELL[mesh.cell]
    n = 1 if field.place is Location.CELLS else int(np.clip(np.sqrt(_FACES / max(len(rows), 1)), 1, 6))
    lattice, polygons = _split_facet(cell, n)
    element = reference(cell, grid.degree)
    local = grid.element.facet_nodes[facets.local[rows]]
    nodes = np.take_along_axis(grid.cells[facets.cells[rows]], local, axis=1)
    if scene.factor or grid.degree >= mesh.order:
        corners = scene.moved[nodes]
        shape = element
    else:
        own = reference(mesh.cell, mesh.order).facet_nodes[facets.local[rows]]
        corners = mesh.points[np.take_along_axis(mesh.cells[facets.cells[rows]], own, axis=1)]
        shape = reference(cell, mesh.order)
    x = np.einsum("kn,fnd->fkd", shape.values(lattice), corners)
    rings = x[:, polygons].reshape(-1, polygons.shape[1], 3)
    if field.place is Location.CELLS:
        return rings, np.repeat(scene.shown[facets.cells[rows]], len(polygons))
    middles = lattice[polygons].mean(axis=1)
    return rings, (scene.shown[nodes] @ element.values(middles).T).reshape(-1)


def _split_facet(cell: Cell, n: int) -> tuple[Array, IntArray]:
    """Points of a facet cut n times in each direction, in its reference coordinates, and polygons of them."""
    simplex = cell is Cell.TRIANGLE
    points = [(i, j) for i in range(n + 1) for j in range(n + 1 - i if simplex else n + 1)]
    number = {p: k for k, p in enumerate(points)}
    rings = []
    for i in range(n):
        for j in range(n - i if simplex else n):
            a, b, c, d = (i, j), (i + 1, j), (i, j + 1), (i + 1, j + 1)
            if simplex:
                rings.append([number[a], number[b], number[c]])
                if i + j < n - 1:
                    rings.append([number[b], number[d], number[c]])
            else:
                rings.append([number[a], number[b], number[d], number[c]])
    return np.array(points, dtype=float) / n, np.array(rings, dtype=np.int64)
