"""The picture of an optimal recipe: the profiles, and what the batch does under them."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physics_twin import plot_style
from physics_twin.envelope.optimal_recipe.result import OptimalRecipe
from physics_twin.units import Unit

LONGEST = 22
"""Letters of a label beside a panel, from which on it takes another line."""


def plot_recipe(found: OptimalRecipe) -> Figure:
    """One panel for each free input and each output, over time; limits as hatched edges."""
    inputs, outputs = list(found.profiles.data_vars), list(found.bands.data_vars)
    size, unit = next((s, u) for s, u in ((3600.0, "h"), (60.0, "min"), (1.0, "s")) if found.duration >= s or u == "s")
    with plot_style.style():
        n = len(inputs) + len(outputs)
        figure, axes = plt.subplots(
            n,
            1,
            figsize=(plot_style.FIGURE_WIDTH, 0.8 + plot_style.PANEL_HEIGHT * n),
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        for name, ax in zip(inputs, axes[: len(inputs), 0], strict=True):
            _profile(found, str(name), ax, size)
        for name, ax in zip(outputs, axes[len(inputs) :, 0], strict=True):
            _output(found, str(name), ax, size)
        axes[-1, 0].set_xlabel(f"time / {unit}")
        axes[0, 0].set_title(_title(found))
    return figure


def _title(found: OptimalRecipe) -> str:
    if found.certificate is None:
        return f"{found.objective.goal} {found.objective.name}"
    word = "certified" if found.passed else "NOT certified"
    return f"{found.objective.goal} {found.objective.name}: {word} at {found.certificate.probability:g}"


def _profile(found: OptimalRecipe, name: str, ax: Axes, size: float) -> None:
    column = found.profiles[name]
    unit = Unit(column.attrs["declared_units"])
    ax.plot(found.profiles["time"].values / size, unit.from_si(column.values), color=plot_style.MEASURED)
    ax.set_ylabel(plot_style.label(name, unit, LONGEST))


def _output(found: OptimalRecipe, name: str, ax: Axes, size: float) -> None:
    column = found.bands[name]
    unit, times = Unit(column.attrs["declared_units"]), found.bands["time"].values / size
    low, middle, high = np.asarray(unit.from_si(column.values))
    if np.isfinite(middle).all():
        if found.draws.size > 1:
            ax.fill_between(times, low, high, color=plot_style.BAND, linewidth=0, label="95 % of the batches")
        ax.plot(times, middle, color=plot_style.MODEL, label="median" if found.draws.size > 1 else None)
    for limit in found.limits:
        if limit.output != name or not limit.kind:
            continue
        level = float(unit.from_si(limit.level))
        style: dict[str, Any] = {"color": plot_style.ALARM, "linewidth": 1.2}
        if limit.kind == "path":
            ax.axhline(level, linestyle="--", label="limit", **style)
        else:
            mark = "v" if limit.side > 0 else "^"
            ax.plot([times[-1]], [level], marker=mark, linestyle="none", label="limit at the end", **style)
    ax.set_ylabel(plot_style.label(name, unit, LONGEST))
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="best")
