"""The picture of an envelope: region, box, set point, and which limit ends which side.

Read in gray: the lighter, the more probable; limits differ by line style, never by color alone. Everything is shown
in declared units.
"""

import itertools
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.region import ALL_LIMITS, pair_names
from physics_twin.envelope.set_point import SETTING_BOUND
from physics_twin.errors import EnvelopeError
from physics_twin.signals import Setting

SHADES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
STYLES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)))
INK, EDGE = "#1a1a1a", "#93c47d"
BOX_COLOR, POINT_COLOR = "#0b5394", "#b45f06"
WRAP = 46


def plot_envelope(envelope: Envelope, ax: Axes | None = None) -> Figure:
    """Curve for one setting, map for two, a matrix of slices through the set point for more.

    ax: where to draw; for one or two settings only. Raises EnvelopeError for an `ax` with more.
    """
    if ax is not None and len(envelope.settings) > 2:
        raise EnvelopeError(
            f"an envelope over {len(envelope.settings)} settings needs a figure of its own; call plot() without ax"
        )
    with plot_style.style():
        return _matrix(envelope) if len(envelope.settings) > 2 else _one_panel(envelope, ax)


def _one_panel(envelope: Envelope, ax: Axes | None) -> Figure:
    d = len(envelope.settings)
    if ax is None:
        _, ax = plt.subplots(figsize=(plot_style.FIGURE_WIDTH, 5.0 if d == 1 else 6.2), layout="constrained")
    if d == 1:
        _curve(envelope, ax)
    else:
        first, second = envelope.settings
        filled = _map(envelope, ax, first, second)
        _box(envelope, ax, first, second)
        _side_tags(envelope, ax, first, second)
        ax.figure.colorbar(filled, ax=ax, label="probability that every limit is met", ticks=SHADES)
        ax.legend(handles=_legend(envelope), loc="upper center", bbox_to_anchor=(0.5, -0.11))
    ax.set_title(_title(envelope))
    figure = ax.get_figure(root=True)
    assert figure is not None  # an Axes is always in one
    return figure


def _title(envelope: Envelope) -> str:
    if envelope.empty:
        return f"No settings can be shown to meet every limit\nwith probability {envelope.required:g}"
    return (
        f"Operating box: every limit is met with probability {envelope.required:g} or more\n"
        f"at every point (worst point at least {envelope.probability_lower:.3f}, confidence {envelope.confidence:g})"
    )


def _shown(setting: Setting, values: Any) -> Array:
    return setting.unit.from_si(np.asarray(values, dtype=float))


def _curve(envelope: Envelope, ax: Axes) -> None:
    (setting,) = envelope.settings
    x = _shown(setting, envelope.region[setting.name].values)
    table = envelope.region["probability"]
    ax.plot(x, table.sel(limit=ALL_LIMITS), color=INK, lw=2.0, label="every limit")
    if len(envelope.limits) > 1:
        for limit, style in zip(envelope.limits, itertools.cycle(STYLES)):
            ax.plot(x, table.sel(limit=limit), color=INK, lw=1.0, ls=style, label=limit)
    ax.axhline(envelope.required, color="0.5", lw=0.8)
    ax.text(x[0], envelope.required, f" required: {envelope.required:g}", va="bottom", fontsize=8, color="0.35")
    if not envelope.empty:
        low, high = _shown(setting, envelope.box[setting.name])
        point = float(_shown(setting, envelope.set_point[setting.name]))
        ax.axvspan(low, high, color=BOX_COLOR, alpha=0.15, label="operating range")
        for edge, end, inside in zip((low, high), envelope.binding[setting.name], ("left", "right"), strict=True):
            ax.axvline(edge, color=BOX_COLOR, lw=1.5)
            ax.text(edge, 0.03, f" {_wrapped(end)} ", rotation=90, ha=inside, va="bottom", fontsize=8, color=BOX_COLOR)
        share = float(np.interp(point, x, table.sel(limit=ALL_LIMITS).values))
        ax.plot([point], [share], "o", ms=9, mfc="white", mec=POINT_COLOR, mew=2.0, label="set point")
    ax.set(
        xlabel=plot_style.label(setting.name, setting.unit),
        ylabel="probability that the limits are met",
        xlim=(x[0], x[-1]),
        ylim=(0.0, 1.03),
    )
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)


def _map(envelope: Envelope, ax: Axes, a: Setting, b: Setting) -> Any:
    """Probability of all limits over two settings, shaded; the edge of the region and that of each limit as lines."""
    chance, margin = (envelope.region[name].transpose("limit", b.name, a.name) for name in pair_names(a.name, b.name))
    x, y = _shown(a, envelope.region[a.name].values), _shown(b, envelope.region[b.name].values)
    joint = chance.sel(limit=ALL_LIMITS).values
    filled = ax.contourf(x, y, np.clip(joint, 0.0, 1.0), levels=SHADES, cmap="Greys_r", vmin=-1.1, vmax=1.0)
    for limit, style in ((ALL_LIMITS, "-"), *zip(envelope.limits, itertools.cycle(STYLES))):
        values = margin.sel(limit=limit).values
        if values.min() < 0.0 < values.max():
            color, width = (EDGE, 4.0) if limit == ALL_LIMITS else (INK, 1.2)
            ax.contour(x, y, values, levels=[0.0], colors=color, linewidths=width, linestyles=[style])
    tried = envelope.region["tried"]
    names = [s.name for s in envelope.settings]
    if len(names) == 2:
        points = tried.values
        ax.plot(_shown(a, points[:, 0]), _shown(b, points[:, 1]), ".", ms=2.5, color="0.45", zorder=2)
    ax.grid(visible=False)
    ax.set(
        xlabel=plot_style.label(a.name, a.unit),
        ylabel=plot_style.label(b.name, b.unit),
        xlim=(x[0], x[-1]),
        ylim=(y[0], y[-1]),
    )
    return filled


def _box(envelope: Envelope, ax: Axes, a: Setting, b: Setting) -> None:
    if envelope.empty:
        px, py = (float(_shown(s, envelope.margins_at[s.name])) for s in (a, b))
        ax.plot([px], [py], "X", ms=9, mfc="white", mec=POINT_COLOR, mew=1.6, zorder=5, clip_on=False)
        return
    (x0, x1), (y0, y1) = (_shown(s, envelope.box[s.name]) for s in (a, b))
    ax.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=BOX_COLOR, lw=2.6, zorder=4, clip_on=False))
    px, py = (float(_shown(s, envelope.set_point[s.name])) for s in (a, b))
    ax.plot([px], [py], "o", ms=9, mfc="white", mec=POINT_COLOR, mew=2.2, zorder=5, clip_on=False)


def _side_tags(envelope: Envelope, ax: Axes, a: Setting, b: Setting) -> None:
    """Writes at each side of the box the letter of the limit that ends it; the legend spells the letters out."""
    if envelope.empty:
        return
    (x0, x1), (y0, y1) = (_shown(s, envelope.box[s.name]) for s in (a, b))
    xm, ym = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
    places = (
        (envelope.binding[a.name][0], (x0, ym), (-9, 0)),
        (envelope.binding[a.name][1], (x1, ym), (9, 0)),
        (envelope.binding[b.name][0], (xm, y0), (0, -9)),
        (envelope.binding[b.name][1], (xm, y1), (0, 9)),
    )
    for end, xy, shift in places:
        if end != SETTING_BOUND:
            ax.annotate(
                _letter(envelope, end),
                xy,
                xytext=shift,
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=8,
                fontweight="bold",
                color="white",
                bbox={"boxstyle": "circle,pad=0.18", "fc": BOX_COLOR, "ec": "white", "lw": 0.8},
                zorder=6,
            )


def _letter(envelope: Envelope, limit: str) -> str:
    i = envelope.limits.index(limit)
    return chr(ord("A") + i) if i < 26 else str(i + 1)


def _legend(envelope: Envelope) -> list[Any]:
    p = f"probability {envelope.required:g}"
    handles: list[Any] = [Line2D([], [], color=EDGE, lw=4.0, label=f"edge of the region: every limit with {p}")]
    for limit, style in zip(envelope.limits, itertools.cycle(STYLES)):
        label = f"{_letter(envelope, limit)}: {_wrapped(limit)}, with {p}"
        handles.append(Line2D([], [], color=INK, lw=1.2, ls=style, label=label))
    if envelope.empty:
        handles.append(_marker("X", "closest settings"))
    else:
        ends = "; a letter names the limit that ends a side" if len(envelope.settings) == 2 else ""
        handles.append(Patch(fill=False, ec=BOX_COLOR, lw=2.6, label=f"operating box{ends}"))
        handles.append(_marker("o", "recommended set point"))
    if len(envelope.settings) == 2:
        handles.append(Line2D([], [], ls="", marker=".", ms=4, color="0.45", label="simulated settings"))
    return handles


def _marker(shape: str, label: str) -> Line2D:
    return Line2D([], [], ls="", marker=shape, ms=8, mfc="white", mec=POINT_COLOR, mew=2.0, label=label)


def _matrix(envelope: Envelope) -> Figure:
    """Slices for each pair of settings; the other settings are at the set point."""
    settings = envelope.settings
    n = len(settings) - 1
    figure, axes = plt.subplots(n, n, figsize=(2.9 * n + 1.5, 2.6 * n + 1.4), squeeze=False, layout="constrained")
    filled = None
    for row, column in itertools.product(range(n), range(n)):
        ax = axes[row, column]
        if column > row:
            ax.set_axis_off()
            continue
        a, b = settings[column], settings[row + 1]
        filled = _map(envelope, ax, a, b)
        _box(envelope, ax, a, b)
        if row < n - 1:
            ax.set_xlabel("")
        if column > 0:
            ax.set_ylabel("")
    if filled is not None:
        figure.colorbar(filled, ax=axes, label="probability that every limit is met", ticks=SHADES, shrink=0.7)
    where = "set point" if not envelope.empty else "closest settings"
    figure.suptitle(f"{_title(envelope)}\n(slices through the {where})", fontsize=10, fontweight="bold")
    figure.legend(handles=_legend(envelope), loc="upper right", bbox_to_anchor=(0.98, 0.9))
    return figure


def _wrapped(text: str) -> str:
    return text if len(text) <= WRAP else text[: WRAP - 1] + "…"
