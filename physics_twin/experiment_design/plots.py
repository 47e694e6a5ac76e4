"""The picture of a design: how much of today's standard deviation each candidate would leave."""

from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style
from physics_twin.experiment_design.result import ExperimentDesign

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_design(design: ExperimentDesign, ax: "Axes | None" = None) -> "Figure":
    """A row for each candidate, a mark for each quantity; the chosen sequence last. Refused ones are crossed out."""
    from matplotlib import pyplot as plt

    rows = [(c.name, c.after if c.allowed else None) for c in design.candidates]
    if len(design.chosen) > 1:
        rows.append((" + ".join(c.name for c in design.chosen), design.chosen[-1].after))
    with plot_style.style():
        if ax is None:
            _, ax = plt.subplots(figsize=(plot_style.FIGURE_WIDTH, 1.4 + 0.32 * len(rows)), layout="constrained")
        styles = plot_style.grayscale_safe(len(design.quantities))
        heights = np.arange(len(rows))
        for k, (quantity, look) in enumerate(zip(design.quantities, styles, strict=True)):
            left = [np.nan if after is None else after[k] / quantity.before for _, after in rows]
            ax.plot(left, heights, ls="", marker=look["marker"], color=look["color"], label=quantity.name, ms=6)
        refused = [i for i, (_, after) in enumerate(rows) if after is None]
        if refused:
            ax.plot([1.0] * len(refused), refused, ls="", marker="x", color=plot_style.ALARM, label="refused")
        ax.axvline(1.0, color=plot_style.MUTED, lw=0.8)
        ax.set_yticks(heights, [name for name, _ in rows])
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.set_xlim(0.0, 1.08)
        ax.set_xlabel("expected standard deviation, as a share of today's")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22 - 0.3 / len(rows)), ncols=4)
        return plot_style.figure_of([ax])
