"""The picture of a Pareto front: pairs of objectives in their units, the knee marked; readable in gray."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.units import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
WIDTH, HEIGHT = 3.3, 3.0
"""Of a panel, inches."""
LONGEST = 30
"""Letters of a label beside a panel, from which on it takes another line."""


def plot_front(front: xr.Dataset, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """A panel for each pair of objectives; `ax`: one Axes for each. Raises ShapeError for another number."""
    names = [str(name) for name in front["objective"].values]
    pairs = list(itertools.combinations(range(len(names)), 2))
    with plot_style.style():
        if ax is None:
            columns = min(len(pairs), COLUMNS)
            rows = -(-len(pairs) // columns)
            size = (max(5.6, WIDTH * columns), 0.9 + HEIGHT * rows)
            figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
            places = list(grid.ravel())[: len(pairs)]
            for spare in grid.ravel()[len(pairs) :]:
                spare.set_axis_off()
        else:
            places = plot_style.panels(len(pairs), ax)
            figure = plot_style.figure_of(places)
        for place, (i, j) in zip(places, pairs, strict=True):
            _pair(front, place, i, j)
        if ax is None:
            n = front.sizes["point"]
            what = "Pareto front" if len(names) == 2 else "Pareto front, each two of its objectives"
            only = "its single point is the best one for all of them" if n == 1 else f"{n} points"
            figure.suptitle(f"{what}: {only}", fontsize=10, fontweight="bold")
            plot_style.one_legend(figure, places)
        else:
            places[0].legend(loc="best")
    return figure


def _pair(front: xr.Dataset, place: "Axes", i: int, j: int) -> None:
    x, y = (_axis(front, place, k, side) for k, side in ((i, "x"), (j, "y")))
    at_knee = front["knee"].values.astype(bool)
    if front.sizes["objective"] == 2:
        place.plot(x, y, color=plot_style.MUTED, lw=0.8, zorder=1)
    circle: dict[str, Any] = {"s": 18, "facecolor": "white", "edgecolor": plot_style.MEASURED, "zorder": 2}
    place.scatter(x[~at_knee], y[~at_knee], label="best compromises, simulated", **circle)
    look: dict[str, Any] = {"s": 60, "marker": "D", "color": plot_style.MEASURED, "zorder": 3}
    place.scatter(x[at_knee], y[at_knee], label="knee: the set point", **look)


def _axis(front: xr.Dataset, place: "Axes", k: int, side: str) -> Array:
    """Names an axis and returns its values (n_points,) in the objective's unit."""
    unit = Unit(str(front["objective_shown_unit"].values[k]))
    words = plot_style.label(str(front["objective"].values[k]), unit)
    goal = f"({front['goal'].values[k]})"
    text = plot_style.wrapped(f"{words} {goal}", LONGEST)
    (place.set_xlabel if side == "x" else place.set_ylabel)(text)
    return np.asarray(unit.from_si(front["value"].values[:, k]), dtype=float)
