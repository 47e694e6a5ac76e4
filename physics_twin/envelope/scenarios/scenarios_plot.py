"""The picture of scenarios: certified ranges as bars, a panel for each setting, readable in gray."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from physics_twin import plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.envelope.scenarios.scenarios import Scenarios
    from physics_twin.signals import Setting

HEIGHT = 0.5
LONGEST = 28
"""Letters of a name, from which on it takes another line."""


def plot_scenarios(scenarios: "Scenarios") -> "Figure":
    """See `Scenarios.plot`."""
    settings = scenarios.settings
    n_rows, n_panels = len(scenarios.rows), max(1, len(settings))
    with plot_style.style():
        width = plot_style.FIGURE_WIDTH if n_panels < 3 else 2.9 * n_panels
        figure, axes = plt.subplots(
            1, n_panels, figsize=(width, 1.5 + 0.45 * n_rows), squeeze=False, sharey=True, layout="constrained"
        )
        for ax, setting in zip(axes[0], settings, strict=False):
            _panel(scenarios, ax, setting)
        first: Axes = axes[0, 0]
        first.set_yticks(np.arange(n_rows), [plot_style.wrapped(row.name, LONGEST) for row in scenarios.rows])
        first.set_ylim(n_rows - 0.5, -0.5)
        figure.suptitle("What if: certified ranges (bars) and set points (dots)", fontsize=10, fontweight="bold")
    return figure


def _panel(scenarios: "Scenarios", ax: "Axes", setting: "Setting") -> None:
    unit = setting.unit
    ends = [unit.from_si(x) for x in setting.bounds]
    for i, row in enumerate(scenarios.rows):
        envelope = row.envelope
        if envelope is None or setting.name not in envelope.box:
            why = "failed" if envelope is None else "empty" if envelope.empty else "not a setting here"
            ax.text(ends[0], i, f"  {why}", va="center", fontsize=8, color=plot_style.ALARM)
            continue
        low, high = (unit.from_si(x) for x in envelope.box[setting.name])
        dark = plot_style.MODEL if i == 0 else plot_style.BAND
        ax.barh(i, high - low, left=low, height=HEIGHT, color=dark, edgecolor=plot_style.MEASURED, lw=0.8)
        point = unit.from_si(envelope.set_point[setting.name])
        ax.plot([point], [i], "o", ms=7, mfc="white", mec=plot_style.ALARM, mew=1.8, zorder=4)
    for edge in ends:
        ax.axvline(edge, color=plot_style.MUTED, lw=0.8, ls=":")
    room = 0.03 * (ends[1] - ends[0])
    ax.set_xlim(ends[0] - room, ends[1] + room)
    ax.set_xlabel(plot_style.label(setting.name, unit, LONGEST))
