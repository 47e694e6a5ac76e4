"""The picture of a plan: every setting over time within its certified range, the probability, and the way on the map.

Readable in gray: certified steps are solid with filled marks, predicted ones dashed with open marks, steps outside the
region dotted with crosses.
"""

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.envelope.plots import plot_envelope
from physics_twin.signals import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.envelope.plan.plan import Plan, Step

LONGEST = 20
"""Letters of a label beside a panel, from which on it takes another line."""
LOOKS: dict[str, dict[str, Any]] = {
    "certified over its whole length": {"ls": "-", "marker": "o", "mfc": plot_style.MODEL},
    "predicted, not certified": {"ls": "--", "marker": "o", "mfc": "white"},
    "OUTSIDE the region": {"ls": ":", "marker": "X", "mfc": "white"},
}


def plot_plan(plan: "Plan") -> "Figure":
    """See `Plan.plot`."""
    n = len(plan.settings) + 1
    with plot_style.style():
        if len(plan.settings) == 2:
            figure = plt.figure(figsize=(2.0 * plot_style.FIGURE_WIDTH, 6.4), layout="constrained")
            grid = figure.add_gridspec(n, 2, width_ratios=(1.1, 1.0))
            _map(plan, figure.add_subplot(grid[:, 0]))
            axes = [figure.add_subplot(grid[i, 1]) for i in range(n)]
        else:
            figure, column = plt.subplots(
                n, 1, figsize=(plot_style.FIGURE_WIDTH, 1.8 * n + 0.8), squeeze=False, layout="constrained"
            )
            axes = list(column[:, 0])
        scale = plot_style.time_scale(max(plan.step * len(plan.steps), plan.step))
        for ax, setting in zip(axes[:-1], plan.settings, strict=True):
            _course(plan, ax, setting, scale)
        _probability(plan, axes[-1], scale)
        for ax in axes[:-1]:
            ax.tick_params(labelbottom=False)
        axes[-1].set_xlabel(scale.label)
        axes[-1].legend(handles=_legend(plan), loc="upper center", bbox_to_anchor=(0.5, -0.35), ncols=2)
        axes[0].set_title("Plan: the way to the recommended point" if plan.found else "No plan")
    return figure


def _look(step: "Step") -> str:
    names = list(LOOKS)
    return names[0] if step.certified else names[1] if step.inside else names[2]


def _line(ax: "Axes", x: Array, y: Array, plan: "Plan") -> None:
    """A line through the present point and the ends of the steps, each piece in the look of its step."""
    ax.plot(x[:1], y[:1], "s", ms=6, mfc="white", mec=plot_style.MEASURED, mew=1.5, zorder=6)
    for i, step in enumerate(plan.steps):
        look = LOOKS[_look(step)]
        ax.plot(x[i : i + 2], y[i : i + 2], color=plot_style.MODEL, ls=look["ls"], lw=1.6, zorder=5)
        ax.plot(x[i + 1], y[i + 1], look["marker"], ms=4.5, mfc=look["mfc"], mec=plot_style.MODEL, zorder=6)


def _values(plan: "Plan", setting: Setting) -> Array:
    points = [plan.present, *(step.settings for step in plan.steps)]
    return setting.unit.from_si(np.array([point[setting.name] for point in points]))


def _times(plan: "Plan") -> Array:
    return np.array([0.0, *(step.time for step in plan.steps)])


def _course(plan: "Plan", ax: "Axes", setting: Setting, scale: plot_style.TimeScale) -> None:
    if setting.name in plan.envelope.box:
        low, high = (setting.unit.from_si(x) for x in plan.envelope.box[setting.name])
        ax.axhspan(low, high, color="0.88", zorder=0)
        for edge in (low, high):
            ax.axhline(edge, color="0.55", lw=0.8, zorder=1)
    ax.axhline(setting.unit.from_si(plan.goal[setting.name]), color=plot_style.ALARM, lw=1.0, ls=(0, (8, 3)), zorder=2)
    _line(ax, scale(_times(plan)), _values(plan, setting), plan)
    ax.set_ylabel(plot_style.label(setting.name, setting.unit, LONGEST))


def _probability(plan: "Plan", ax: "Axes", scale: plot_style.TimeScale) -> None:
    chances = np.array([plan.present_probability, *(step.probability for step in plan.steps)])
    _line(ax, scale(_times(plan)), chances, plan)
    ax.axhline(plan.required, color=plot_style.MUTED, lw=0.8)
    lowest = np.nanmin(chances) if np.isfinite(chances).any() else plan.required
    room = max(0.005, 0.06 * (1.0 - min(float(lowest), plan.required)))  # for marks at the ends
    ax.set_ylim(min(float(lowest), plan.required) - room, 1.0 + room)
    ax.set_ylabel("predicted\nprobability")


def _map(plan: "Plan", ax: "Axes") -> None:
    plot_envelope(plan.envelope, ax)
    first, second = plan.settings
    _line(ax, _values(plan, first), _values(plan, second), plan)


def _legend(plan: "Plan") -> list[Any]:
    used = {_look(step) for step in plan.steps}
    handles: list[Any] = [
        Line2D([], [], ls="", marker="s", ms=6, mfc="white", mec=plot_style.MEASURED, mew=1.5, label="present point")
    ]
    handles += [
        Line2D([], [], color=plot_style.MODEL, ms=4.5, mec=plot_style.MODEL, label=name, **look)
        for name, look in LOOKS.items()
        if name in used
    ]
    handles.append(Line2D([], [], color=plot_style.ALARM, lw=1.0, ls=(0, (8, 3)), label="point to reach"))
    if plan.envelope.box:
        handles.append(Patch(fc="0.88", ec="0.55", label="certified range"))
    handles.append(Line2D([], [], color=plot_style.MUTED, lw=0.8, label=f"required: {plan.required:g}"))
    return handles
