"""The picture of an envelope: region, box, set point, which limit ends which side, and past batches.

Read in gray: the lighter, the more probable; limits differ by line style, never by color alone. Everything is shown
in declared units.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from physics_twin import plot_style
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.one_setting_plot import GAP, ROW, draw_curve, draw_rows, rows_of
from physics_twin.envelope.plot_marks import (
    Scene,
    draw_history,
    draw_points,
    draw_range,
    draw_side_letters,
    draw_unknown_ranges,
    letter,
    mark_handles,
    scene_of,
    shown,
)
from physics_twin.envelope.region.region import ALL_LIMITS, pair_names
from physics_twin.errors import EnvelopeError
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike

SHADES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
STYLES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)))
INK, EDGE = "#1a1a1a", "#93c47d"
WRAP = 46
LINE = 0.175
"""Inches that a line of the legend takes."""
SHORT = 50
"""Letters of an entry of the legend, of which two stand side by side."""
CURVE = 2.6
"""Height of the panel of a single setting, inches."""
LONGEST = 28
"""Letters of an axis' label beside a panel of a matrix, from which on it takes another line."""


def plot_envelope(
    envelope: Envelope,
    ax: Axes | None = None,
    *,
    history: Any = None,
    present: Mapping[str, QuantityLike] | None = None,
) -> Figure:
    """Curve for one setting, map for two, a matrix of slices through the set point for more.

    ax: where to draw; for one or two settings only. history: experiments, or what `Envelope.against` made of them.
    present: setting -> quantity. Raises EnvelopeError for an `ax` with more.
    """
    if ax is not None and len(envelope.settings) > 2:
        raise EnvelopeError(
            f"an envelope over {len(envelope.settings)} settings needs a figure of its own; call plot() without ax"
        )
    scene = scene_of(envelope, history, present)
    with plot_style.style():
        return _matrix(envelope, scene) if len(envelope.settings) > 2 else _one_panel(envelope, scene, ax)


def _one_panel(envelope: Envelope, scene: Scene, ax: Axes | None) -> Figure:
    if len(envelope.settings) == 1:
        return _one_setting(envelope, scene, ax)
    handles = _legend(envelope, scene)
    if ax is None:
        size = (plot_style.FIGURE_WIDTH, 5.1 + LINE * len(handles))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    first, second = envelope.settings
    filled = _panel(envelope, scene, ax, first, second)
    draw_side_letters(envelope, ax, first, second)
    figure = plot_style.figure_of([ax])
    figure.colorbar(filled, ax=ax, label="probability that every limit is met", ticks=SHADES)
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.11))
    ax.set_title(_title(envelope))
    return figure


def _one_setting(envelope: Envelope, scene: Scene, ax: Axes | None) -> Figure:
    handles, rows = _legend(envelope, scene), rows_of(envelope, scene)
    if ax is None:
        heights, columns = (CURVE, ROW * CURVE * len(rows)), _columns(handles)
        size = (plot_style.FIGURE_WIDTH, 1.2 + sum(heights) - LINE * (-len(handles) // columns))
        figure, panels = plt.subplots(
            2 if rows else 1,
            1,
            figsize=size,
            sharex=True,
            squeeze=False,
            layout="constrained",
            height_ratios=heights if rows else None,
        )
        curve = panels[0, 0]
        draw_curve(envelope, scene, curve, STYLES)
        if rows:
            draw_rows(rows, curve, panels[1, 0])
        figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    else:
        curve, end = ax, -GAP - ROW * len(rows)
        draw_curve(envelope, scene, curve, STYLES)
        if rows:
            draw_rows(rows, curve, curve.inset_axes((0.0, end, 1.0, ROW * len(rows)), sharex=curve))
        curve.legend(handles=handles, loc="best", frameon=True, framealpha=0.85, fontsize=7)
    curve.set_title(_title(envelope))
    return plot_style.figure_of([curve])


def _columns(handles: Sequence[Any]) -> int:
    """Two columns for short entries."""
    return 2 if max(len(str(h.get_label())) for h in handles) <= SHORT else 1


def _title(envelope: Envelope) -> str:
    own = any(margin.required != envelope.required for margin in envelope.margins)
    if envelope.empty:
        stated = "the probability required of it" if own else f"probability {envelope.required:g}"
        return f"No settings can be shown to meet every limit\nwith {stated}"
    kind = "box" if envelope.polytope is None and len(envelope.settings) > 1 else "range"
    if own:
        return (
            f"Operating {kind}: every limit is met with the probability required of it\n"
            f"at every point (confidence {envelope.confidence:g})"
        )
    return (
        f"Operating {kind}: every limit is met with probability {envelope.required:g} or more\n"
        f"at every point (worst point at least {envelope.probability_lower:.3f}, confidence {envelope.confidence:g})"
    )


def _panel(envelope: Envelope, scene: Scene, ax: Axes, a: Setting, b: Setting) -> Any:
    filled = _map(envelope, ax, a, b)
    draw_unknown_ranges(envelope, ax, a, b)
    draw_range(envelope, ax, a, b)
    draw_history(scene, ax, envelope, a, b)
    draw_points(envelope, scene, ax, a, b)
    return filled


def _map(envelope: Envelope, ax: Axes, a: Setting, b: Setting) -> Any:
    """Probability of all limits over two settings, shaded; the edge of the region and that of each limit as lines."""
    chance, margin = (envelope.region[name].transpose("limit", b.name, a.name) for name in pair_names(a.name, b.name))
    x, y = shown(a, envelope.region[a.name].values), shown(b, envelope.region[b.name].values)
    joint = chance.sel(limit=ALL_LIMITS).values
    filled = ax.contourf(x, y, np.clip(joint, 0.0, 1.0), levels=SHADES, cmap="Greys_r", vmin=-1.1, vmax=1.0)
    for limit, style in ((ALL_LIMITS, "-"), *zip(envelope.limits, itertools.cycle(STYLES))):
        values = margin.sel(limit=limit).values
        if values.min() < 0.0 < values.max():
            color, width = (EDGE, 4.0) if limit == ALL_LIMITS else (INK, 1.2)
            ax.contour(x, y, values, levels=[0.0], colors=color, linewidths=width, linestyles=[style])
    if len(envelope.settings) == 2:
        points = envelope.region["tried"].values
        ax.plot(shown(a, points[:, 0]), shown(b, points[:, 1]), ".", ms=2.5, color="0.45", zorder=2)
    ax.grid(visible=False)
    ax.set(
        xlabel=plot_style.label(a.name, a.unit),
        ylabel=plot_style.label(b.name, b.unit),
        xlim=(x[0], x[-1]),
        ylim=(y[0], y[-1]),
    )
    return filled


def _legend(envelope: Envelope, scene: Scene) -> list[Any]:
    stated = {m.required for m in envelope.margins}
    every = f"probability {envelope.required:g}" if len(stated) == 1 else "the probability required of it"
    one, few = (len(envelope.settings) <= n for n in (1, 2))
    edge = Line2D([], [], color=EDGE, lw=4.0, label=f"edge of the region: every limit with {every}")
    handles: list[Any] = [Line2D([], [], color=INK, lw=2.2, label="every limit") if one else edge]
    for margin, style in zip(envelope.margins, itertools.cycle(STYLES)):
        label = f"{letter(envelope, margin.limit)}: " if few else ""
        label += _wrapped(margin.limit)
        if not one or len(stated) > 1:
            label += f", with probability {margin.required:g}"
        handles.append(Line2D([], [], color=INK, lw=1.2, ls=style, label=label))
    handles += mark_handles(envelope, scene)
    if len(envelope.settings) == 2:
        handles.append(Line2D([], [], ls="", marker=".", ms=4, color="0.45", label="simulated settings"))
    return handles


def _matrix(envelope: Envelope, scene: Scene) -> Figure:
    """Slices for each pair of settings; the other settings are at the set point."""
    settings = envelope.settings
    n = len(settings) - 1
    handles = _legend(envelope, scene)
    side = 2.6 if n > 2 else 3.1
    size = (side * n + 1.9, 0.9 * side * n + 1.2 + LINE * (len(handles) + 1))
    figure, axes = plt.subplots(n, n, figsize=size, squeeze=False, layout="constrained")
    filled = None
    for row, column in itertools.product(range(n), range(n)):
        ax = axes[row, column]
        if column > row:
            ax.set_axis_off()
            continue
        a, b = settings[column], settings[row + 1]
        filled = _panel(envelope, scene, ax, a, b)
        last, first = row == n - 1, column == 0
        ax.set_xlabel(plot_style.label(a.name, a.unit, LONGEST) if last else "")
        ax.set_ylabel(plot_style.label(b.name, b.unit, LONGEST) if first else "")
    if filled is not None:
        figure.colorbar(filled, ax=axes, label="probability that every limit is met", ticks=SHADES, shrink=0.7)
    where = "set point" if not envelope.empty else "closest settings"
    figure.suptitle(f"{_title(envelope)}\n(slices through the {where})", fontsize=10, fontweight="bold")
    figure.legend(handles=handles, loc="outside lower center")
    return figure


def _wrapped(text: str) -> str:
    return text if len(text) <= WRAP else text[: WRAP - 1] + "…"
