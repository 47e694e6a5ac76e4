"""Pictures of runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.simulation import Run

N_MARKS = 8
"""Marks on each line, so that lines are told apart without their colors."""


def plot_run(run: "Run", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Draw a run, one panel for each unit with its outputs in it; returns the figure.

    ax: one Axes for each unit, in the order in which the units first appear; without it, a new figure. Raises
    ShapeError for another number of axes.
    """
    shown = run.in_units()
    by_unit: dict[str, list[str]] = {}
    for name, column in shown.data_vars.items():
        by_unit.setdefault(column.attrs["units"], []).append(str(name))
    scale = plot_style.time_scale(float(run.time[-1] - run.time[0]))
    t = scale(run.time)
    outside = np.zeros(run.time.size, dtype=bool)
    for where in run.outside.values():
        outside |= where
    with plot_style.style():
        axes = plot_style.panels(len(by_unit), ax, height=2.4)
        for one, (unit, names) in zip(axes, by_unit.items(), strict=True):
            every = max(1, t.size // N_MARKS)
            for i, (name, look) in enumerate(zip(names, plot_style.grayscale_safe(len(names)), strict=True)):
                marks = {"markevery": (i * every // len(names), every), "ms": 4} if len(names) > 1 else {"marker": ""}
                one.plot(t, shown[name].values, **{**look, **marks}, label=name.replace("_", " "))
            one.set_ylabel(plot_style.label(names[0], unit) if len(names) == 1 else plot_style.unit_text(unit))
            if len(names) > 1:
                one.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
            one.margins(x=0.0)
            if outside.any():
                across = one.get_xaxis_transform()
                one.fill_between(
                    t, 0.0, 1.0, where=outside, transform=across, fc="0.85", ec="0.6", hatch="//", lw=0, zorder=0
                )
        plot_style.label_times(axes, scale)
        if ax is None:
            title = f"{run.dataset.attrs['model'].replace('_', ' ')} {run.dataset.attrs['version']}"
            axes[0].set_title(f"{title}; hatched: outside its domain of validity" if outside.any() else title)
    return plot_style.figure_of(axes)
