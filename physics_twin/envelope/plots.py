"""The picture of an envelope: region, box, set point, which limit ends which side, and past batches.

Read in gray: the lighter, the more probable; limits differ by line style, never by color alone. Everything is shown
in declared units.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from physics_twin import plot_style
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.plot_marks import (
    BOX_COLOR,
    POINT_COLOR,
    STRIP,
    Scene,
    draw_history,
    draw_points,
    draw_range,
    draw_side_letters,
    draw_strip,
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
    d = len(envelope.settings)
    handles = mark_handles(envelope, scene) if d == 1 else _legend(envelope, scene)
    if ax is None:
        height = 4.2 + LINE * (len(handles) + len(envelope.limits)) if d == 1 else 5.1 + LINE * len(handles)
        _, ax = plt.subplots(figsize=(plot_style.FIGURE_WIDTH, height), layout="constrained")
    if d == 1:
        _curve(envelope, scene, ax)
    else:
        first, second = envelope.settings
        filled = _panel(envelope, scene, ax, first, second)
        draw_side_letters(envelope, ax, first, second)
        ax.figure.colorbar(filled, ax=ax, label="probability that every limit is met", ticks=SHADES)
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.11))
    ax.set_title(_title(envelope))
    figure = ax.get_figure(root=True)
    assert figure is not None  # an Axes is always in one
    return figure


def _title(envelope: Envelope) -> str:
    if envelope.empty:
        return f"No settings can be shown to meet every limit\nwith probability {envelope.required:g}"
    kind = "box" if envelope.polytope is None and len(envelope.settings) > 1 else "range"
    if any(margin.required != envelope.required for margin in envelope.margins):
        return (
            f"Operating {kind}: every limit is met with the probability required of it\n"
            f"at every point (confidence {envelope.confidence:g})"
        )
    return (
        f"Operating {kind}: every limit is met with probability {envelope.required:g} or more\n"
        f"at every point (worst point at least {envelope.probability_lower:.3f}, confidence {envelope.confidence:g})"
    )


def _curve(envelope: Envelope, scene: Scene, ax: Axes) -> None:
    (setting,) = envelope.settings
    x = shown(setting, envelope.region[setting.name].values)
    table = envelope.region["probability"]
    ax.plot(x, table.sel(limit=ALL_LIMITS), color=INK, lw=2.0, label="every limit")
    if len(envelope.limits) > 1:
        for limit, style in zip(envelope.limits, itertools.cycle(STYLES)):
            ax.plot(x, table.sel(limit=limit), color=INK, lw=1.0, ls=style, label=limit)
    for required in sorted({m.required for m in envelope.margins}):
        ax.axhline(required, color="0.5", lw=0.8)
        ax.text(x[0], required, f" required: {required:g}", va="top", fontsize=8, color="0.35")
    draw_unknown_ranges(envelope, ax, setting, None)
    if not envelope.empty:
        _draw_range_of_one(envelope, ax, setting, x, table.sel(limit=ALL_LIMITS).values)
    if scene.present:
        at = float(shown(setting, scene.present[setting.name]))
        share = float(np.interp(at, x, table.sel(limit=ALL_LIMITS).values))
        ax.plot([at], [share], "*", ms=13, mfc="white", mec="black", mew=1.2, zorder=8)
    draw_strip(scene, ax, setting)
    ax.set(
        xlabel=plot_style.label(setting.name, setting.unit),
        ylabel="probability that the limits are met",
        xlim=(x[0], x[-1]),
        ylim=(0.0, max(STRIP.values()) + 0.05 if scene.placed else 1.03),
        yticks=np.linspace(0.0, 1.0, 6),
    )
    own = [h for h in mark_handles(envelope, scene) if not str(h.get_label()).startswith("operating box")]
    drawn, _ = ax.get_legend_handles_labels()
    ax.legend(handles=[*drawn, *own], loc="upper center", bbox_to_anchor=(0.5, -0.12))


def _draw_range_of_one(envelope: Envelope, ax: Axes, setting: Setting, x: Any, chance: Any) -> None:
    low, high = shown(setting, envelope.box[setting.name])
    point = float(shown(setting, envelope.set_point[setting.name]))
    ax.axvspan(low, high, ymax=1.0, color=BOX_COLOR, alpha=0.15, label="operating range")
    for edge, end, inside in zip((low, high), envelope.binding[setting.name], ("left", "right"), strict=True):
        ax.axvline(edge, color=BOX_COLOR, lw=1.5)
        ax.text(edge, 0.03, f" {_wrapped(end)} ", rotation=90, ha=inside, va="bottom", fontsize=8, color=BOX_COLOR)
    share = float(np.interp(point, x, chance))
    if setting.name in envelope.operating:
        ends = shown(setting, envelope.operating[setting.name])
        ax.plot(ends, [share, share], color=POINT_COLOR, lw=1.6, marker="|", ms=8, mew=1.6, zorder=7)
    if setting.name in envelope.acceptable:
        found = envelope.acceptable[setting.name]
        ends = shown(setting, (found.low, found.high))
        ax.plot(ends, [0.012, 0.012], color="#351c75", lw=2.6, marker="|", ms=9, mew=2.0, zorder=6)
    ax.plot([point], [share], "D", ms=7.5, mfc="white", mec=POINT_COLOR, mew=2.2, zorder=8)


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
    handles: list[Any] = [Line2D([], [], color=EDGE, lw=4.0, label=f"edge of the region: every limit with {every}")]
    for margin, style in zip(envelope.margins, itertools.cycle(STYLES)):
        label = f"{letter(envelope, margin.limit)}: {_wrapped(margin.limit)}, with probability {margin.required:g}"
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
        if row < n - 1:
            ax.set_xlabel("")
        if column > 0:
            ax.set_ylabel("")
    if filled is not None:
        figure.colorbar(filled, ax=axes, label="probability that every limit is met", ticks=SHADES, shrink=0.7)
    where = "set point" if not envelope.empty else "closest settings"
    figure.suptitle(f"{_title(envelope)}\n(slices through the {where})", fontsize=10, fontweight="bold")
    figure.legend(handles=handles, loc="outside lower center")
    return figure


def _wrapped(text: str) -> str:
    return text if len(text) <= WRAP else text[: WRAP - 1] + "…"
