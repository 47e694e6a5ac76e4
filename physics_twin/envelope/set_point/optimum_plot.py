"""The picture of a set point: the objective along each setting, and where limits are broken; readable in gray."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from physics_twin import plot_style
from physics_twin.envelope.set_point.front_plot import plot_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.envelope.set_point.optimum import SetPoint
    from physics_twin.signals import Setting

N_FINE = 501
COLUMNS = 3
WIDTH, HEIGHT = 3.1, 2.7
"""Of a panel, inches."""
LONGEST = 30
"""Letters of a label beside a panel, from which on it takes another line."""


def plot_set_point(found: "SetPoint", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """A panel for each setting, the others held; of several objectives the front.

    ax: one Axes for each setting, or for each pair of objectives. Raises ShapeError for another number.
    """
    if found.front is not None:
        return plot_front(found.front, ax)
    n = len(found.declared)
    with plot_style.style():
        if ax is None:
            columns = min(n, COLUMNS)
            rows = -(-n // columns)
            size = (max(plot_style.FIGURE_WIDTH, WIDTH * columns), 0.8 + HEIGHT * rows)
            figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", sharey=True)
            places = list(grid.ravel())[:n]
            for spare in grid.ravel()[n:]:
                spare.set_axis_off()
        else:
            places = plot_style.panels(n, ax)
            figure, columns = plot_style.figure_of(places), n
        for k, (place, setting) in enumerate(zip(places, found.declared, strict=True)):
            _along(found, place, setting)
            if k % columns == 0:
                objective = found.objectives[0]
                place.set_ylabel(plot_style.label(objective.name, objective.unit, LONGEST))
        if ax is None:
            figure.suptitle("The set point, one setting moved at a time", fontsize=10, fontweight="bold")
            plot_style.one_legend(figure, places)
        else:
            places[0].legend(loc="best")
    return figure


def _along(found: "SetPoint", place: "Axes", setting: "Setting") -> None:
    objective = found.objectives[0]
    x = np.asarray(setting.unit.from_si(found.slices[setting.name].values), dtype=float)
    y = np.asarray(objective.unit.from_si(found.slices[f"objective_{setting.name}"].values), dtype=float)
    fine = np.linspace(x[0], x[-1], N_FINE)  # the edge lies between nodes
    broken = np.interp(fine, x, found.slices[f"margin_{setting.name}"].values) < -1e-6
    at = float(setting.unit.from_si(found.settings[setting.name]))
    place.plot(x, y, color=plot_style.MODEL, label=objective.name.replace("_", " "))
    if broken.any():
        across = place.get_xaxis_transform()
        words = "a limit is broken"
        place.fill_between(
            fine, 0.0, 1.0, where=broken.tolist(), transform=across, fc="0.88", ec="0.6", hatch="//", lw=0, label=words
        )
    value = float(objective.unit.from_si(objective.value))
    place.plot(
        [at],
        [value],
        "D",
        ms=6.5,
        mfc="white",
        mec=plot_style.MEASURED,
        mew=1.8,
        label="set point",
        zorder=5,
        clip_on=False,
    )
    place.set_xlabel(plot_style.label(setting.name, setting.unit, LONGEST))
    place.set_xlim(x[0], x[-1])
