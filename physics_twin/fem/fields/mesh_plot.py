"""The picture of a model before any run: its mesh with named regions, boundaries and sensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
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
    polygons,
)
from physics_twin.fem.mesh import Mesh
from physics_twin.fem.mesh.cells import IntArray
from physics_twin.fem.quantities import as_list

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

type Mark = Array | str
"""Where a sensor is: its points (n, dimension) m, or the name of its region or boundary."""

REGIONS = ("#DCE9F3", "#FBE6BF", "#D3EDDF", "#F2DCE8", "#E8E8E8", "#FFF4A8", "#F7D5C3")
"""Light, so that lines and names on them are read."""
MANY = 20_000
"""Cells (facets in 3-D) from which the mesh's own lines would cover the picture."""
_LEGEND = 24  # entries beyond which a legend is no help
_SENSOR: dict[str, Any] = {
    "marker": "o",
    "ms": 6.0,
    "mfc": "white",
    "mec": "#1A1A1A",
    "mew": 1.4,
    "ls": "",
    "zorder": 30,
}
_CLOUD = 10  # points from which a sensor is drawn with small marks
_MESH_LINE = "#9A9A9A"


@dataclass(frozen=True)
class _Picture:
    """What is drawn."""

    mesh: Mesh
    scale: LengthScale
    conditions: Mapping[str, str]
    sensors: Mapping[str, Array]
    handles: list[Any]
    """Entries of the legend"""

    def named(self, boundary: str) -> str:
        """A boundary and what acts there."""
        words = self.conditions.get(boundary)
        return f"{_words(boundary)}: {words}" if words else _words(boundary)

    @property
    def points(self) -> Array:
        """(n_points, dimension) in the picture's unit."""
        return self.scale(self.mesh.points)

    def looks(self) -> dict[str, dict[str, Any]]:
        """Boundary -> color and line."""
        looks = plot_style.grayscale_safe(len(self.mesh.boundaries))
        return dict(zip(self.mesh.boundaries, looks, strict=True))

    def region_colors(self) -> list[tuple[str, IntArray, str]]:
        """(name, cells, color) of every region."""
        return [(name, cells, REGIONS[k % len(REGIONS)]) for k, (name, cells) in enumerate(self.mesh.regions.items())]


def plot_mesh(
    mesh: Mesh,
    ax: "Axes | None" = None,
    *,
    conditions: Mapping[str, str] | None = None,
    marks: Mapping[str, Mark] | None = None,
    title: str = "",
) -> "Figure":
    """Draw a mesh: regions filled, boundaries in color with their names, sensors as open circles.

    conditions: boundary -> what acts there, for the legend. marks: sensor -> where it is; those of a whole region or
    boundary are named in the legend. ax: a matplotlib Axes, with projection="3d" for a body in space.
    """
    from matplotlib.lines import Line2D

    marks = marks or {}
    sensors = {name: np.asarray(m, dtype=float) for name, m in marks.items() if not isinstance(m, str)}
    picture = _Picture(mesh, length_scale(mesh), conditions or {}, sensors, [])
    own = ax is None
    with plot_style.style():
        ax = axes_of(mesh.dimension, ax)
        {1: _line, 2: _flat, 3: _solid}[mesh.dimension](ax, picture)
        if sensors:
            picture.handles.append(Line2D([], [], **{**_SENSOR, "label": "sensor"}))
        # Nothing to point at: a line of the legend says where it is.
        wide = [f"{_words(n)}: over {_words(m)}" for n, m in marks.items() if isinstance(m, str)]
        picture.handles.extend(_no_mark(text) for text in wide)
        handles = picture.handles
        if len(handles) > _LEGEND:
            handles = [*handles[: _LEGEND - 1], _no_mark(f"and {len(handles) - _LEGEND + 1} more")]
        if own and mesh.dimension != 2:  # the labels of axes in space reach to the right
            plot_style.figure_of([ax]).legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 3))
        elif own:
            plot_style.figure_of([ax]).legend(handles=handles, loc="outside right center")
        else:
            ax.legend(handles=handles, loc="best")
        ax.set_title(f"{_words(title)}\n{mesh.size}" if title else mesh.size, fontsize=9)
    return plot_style.figure_of([ax])


def in_words(given: Any, otherwise: str) -> str:
    """What acts on a boundary: the kinds of its conditions, one or a list of them."""
    return " + ".join(type(condition).__name__.lower() for condition in as_list(given)) or otherwise


def name_boundary(ax: "Axes", name: str, middles: Array, center: Array, color: str) -> None:
    """Write a name beside the middle of a flat boundary, on the side away from the body's center.

    middles: (n_facets, 2) of its edges. center: (2,) of the body.
    """
    middle = middles[np.linalg.norm(middles - middles.mean(axis=0), axis=1).argmin()]
    away = middle - center
    extent = np.ptp(np.array([ax.get_xlim(), ax.get_ylim()]), axis=1)
    axis = int(np.argmax(np.abs(away) / extent))
    side = 1.0 if away[axis] >= 0.0 else -1.0
    offset = (7.0 * side, 0.0) if axis == 0 else (0.0, 6.0 * side)
    across = ("left" if side > 0 else "right") if axis == 0 else "center"
    along = "center" if axis == 0 else ("bottom" if side > 0 else "top")
    ax.annotate(
        name,
        (float(middle[0]), float(middle[1])),
        offset,
        textcoords="offset points",
        fontsize=8,
        color=color,
        fontweight="bold",
        ha=across,
        va=along,
        zorder=20,
        rotation=90 if axis == 0 and len(name) > 5 else 0,
        bbox=FLAT,
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _sensor(n_points: int) -> dict[str, Any]:
    """The look of a sensor: a cloud of points has small ones."""
    return _SENSOR if n_points < _CLOUD else {**_SENSOR, "ms": 2.0, "mew": 0.6}


def _no_mark(text: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], ls="", marker="", label=text)


def _patch(color: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(fc=color, ec=_MESH_LINE, lw=0.6, label=label)


# -- a bar ------------------------------------------------------------------------------------------------------------
def _line(ax: "Axes", picture: _Picture) -> None:
    mesh, scale, x = picture.mesh, picture.scale, picture.points[:, 0]
    for name, cells, color in picture.region_colors():
        for a, b in _runs(x[mesh.vertices[cells]]):
            ax.fill_between([a, b], -0.5, 0.5, color=color, lw=0.0)
        picture.handles.append(_patch(color, f"region {_words(name)}"))
    corners = np.unique(x[mesh.vertices])
    if corners.size <= MANY:
        ax.vlines(corners, -0.5, 0.5, color=_MESH_LINE, lw=0.5, zorder=2)
    for name, look in picture.looks().items():
        at = x[np.unique(mesh.boundaries[name])]
        line = ax.vlines(
            at, -0.6, 0.6, color=look["color"], ls=look["linestyle"], lw=3, label=picture.named(name), zorder=5
        )
        picture.handles.append(line)
    for k, (name, places) in enumerate(sorted(picture.sensors.items(), key=lambda item: float(item[1][0, 0]))):
        at_sensor = float(scale(places)[0, 0])
        ax.plot(scale(places)[:, 0], np.zeros(len(places)), **_sensor(len(places)))
        height = 0.7 + 0.28 * (k % 3)  # neighbors' names do not meet
        ax.annotate(
            _words(name),
            (at_sensor, 0.0),
            (at_sensor, height),
            ha="center",
            va="bottom",
            fontsize=8,
            zorder=31,
            arrowprops={"arrowstyle": "-", "lw": 0.6, "color": "#1A1A1A"},
        )
    ax.set_ylim(-0.7, 1.6 if picture.sensors else 0.7)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.grid(False)
    ax.set_xlabel(scale.label(axis_names(mesh)[0]))
    ax.margins(x=0.03)


def _runs(ends: Array) -> list[tuple[float, float]]:
    """Intervals (n, 2) joined where one begins where another ends."""
    joined: list[tuple[float, float]] = []
    for a, b in sorted((float(min(e)), float(max(e))) for e in ends):
        if joined and abs(joined[-1][1] - a) <= 1e-9 * max(abs(a), 1e-12):
            joined[-1] = (joined[-1][0], b)
        else:
            joined.append((a, b))
    return joined


# -- a plate or a section ---------------------------------------------------------------------------------------------
def _flat(ax: "Axes", picture: _Picture) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    mesh, points = picture.mesh, picture.points
    dress_flat(ax, mesh, picture.scale)
    rings = points[around_cells(mesh)]
    for name, cells, color in picture.region_colors():
        edge = _MESH_LINE if mesh.n_cells <= MANY else color
        ax.add_collection(
            PolyCollection(list(rings[cells]), facecolors=color, edgecolors=edge, linewidths=0.4), autolim=False
        )
        picture.handles.append(_patch(color, f"region {_words(name)}"))
    center = points.mean(axis=0)
    for name, look in picture.looks().items():
        lines = points[_polylines(mesh, mesh.boundaries[name])]
        shown = LineCollection(
            list(lines),
            colors=look["color"],
            linestyles=look["linestyle"],
            linewidths=3,
            label=picture.named(name),
            zorder=5,
        )
        ax.add_collection(shown, autolim=False)
        picture.handles.append(shown)
        name_boundary(ax, _words(name), lines.mean(axis=1), center, look["color"])
    for name, places in picture.sensors.items():
        shown_places = picture.scale(places)
        ax.plot(*shown_places.T, **_sensor(len(places)))
        ax.annotate(
            _words(name),
            (float(shown_places[0, 0]), float(shown_places[0, 1])),
            (7, 6),
            textcoords="offset points",
            fontsize=8,
            zorder=31,
            bbox=FLAT,
        )


def _polylines(mesh: Mesh, facets: IntArray) -> IntArray:
    """(n_facets, 2 or 3) points along each edge: a curved one goes through its middle node."""
    nodes = mesh.facet_nodes(facets)
    return nodes[:, [0, 2, 1]] if nodes.shape[1] == 3 else nodes


# -- a body in space --------------------------------------------------------------------------------------------------
def _solid(ax: Any, picture: _Picture) -> None:
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

    mesh, points, looks = picture.mesh, picture.points, picture.looks()
    outer = mesh.outer_facets
    rows = {tuple(sorted(row)): k for k, row in enumerate(outer.tolist())}
    colors = np.full(len(outer), "#DDDDDD", dtype=object)
    for name, facets in mesh.boundaries.items():
        own = [k for row in facets.tolist() if (k := rows.get(tuple(sorted(row)))) is not None]
        colors[own] = looks[name]["color"]
    edge = "#404040" if len(outer) <= MANY else "none"
    see_through = 0.35 if picture.sensors else 0.75
    ax.add_collection3d(
        Poly3DCollection(
            points[polygons(outer)], facecolors=list(colors), edgecolors=edge, linewidths=0.3, alpha=see_through
        ),
        autolim=False,
    )
    dress_solid(ax, mesh, picture.scale)
    center, eye = points.mean(axis=0), eye_of(ax)
    for name, look in looks.items():
        middles = points[mesh.boundaries[name]].mean(axis=1)
        middle = middles[np.linalg.norm(middles - middles.mean(axis=0), axis=1).argmin()]
        # A name on the far side would stand on another face: the legend says where it is.
        near = float((middle - center) @ eye) > 0.0
        picture.handles.append(_patch(look["color"], picture.named(name) + ("" if near else " (far side)")))
        if near:
            ax.text(
                *(middle + 0.06 * (middle - center)),
                _words(name),
                fontsize=8,
                fontweight="bold",
                color=look["color"],
                ha="center",
                va="center",
                zorder=20,
                bbox=FLAT,
            )
    if len(mesh.regions) > 1:
        picture.handles.extend(_patch("white", f"region {_words(name)}") for name in mesh.regions)
    for name, places in picture.sensors.items():
        shown_places = picture.scale(places)
        ax.plot(*shown_places.T, **_sensor(len(places)))
        ax.text(*shown_places[0], f"   {_words(name)}", fontsize=8, zorder=31, bbox=FLAT)
