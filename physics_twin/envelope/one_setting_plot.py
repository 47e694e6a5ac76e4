"""The picture of an envelope over one setting: the probability as a curve, and the ranges as bars below it.

Equal steps up are equal factors in the probability that a limit is missed: 0.95, 0.99 and 0.999 stand apart, and what
is required lies about half-way up. The rows below carry their names, so the legend has only lines and marks.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.history.history import Outcome
from physics_twin.envelope.plot_marks import (
    BOX_COLOR,
    HALO,
    MARKS,
    POINT_COLOR,
    RANGE_COLOR,
    Scene,
    draw_letter,
    draw_unknown_ranges,
    shown,
)
from physics_twin.envelope.region.region import ALL_LIMITS
from physics_twin.envelope.set_point.set_point import SETTING_BOUND
from physics_twin.signals import Setting

ROOM = 0.05
"""Share of the probability that may be missed, at which the axis ends: the step from there to 1 has no end."""
ABOVE = 0.35
"""Share of that room which is left above 1, so that a line at 1 is seen."""
TICKS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
APART = 0.06
"""Least distance of two ticks, share of the axis."""
ROW, GAP = 0.085, 0.05
"""Height of a row, and distance of the rows from the panel of the curve, in heights of that panel."""
ROWS = {Outcome.PASS: "past batches: passed", Outcome.FAIL: "failed", Outcome.NOT_JUDGED: "not judged"}


Row = tuple[str, Callable[[Axes, float], Any]]
"""A row's name, and what draws it into a panel at a height."""


def draw_curve(envelope: Envelope, scene: Scene, ax: Axes, styles: Sequence[Any]) -> None:
    """Draws the panel of the probability; styles: line styles of the limits, in their order."""
    (setting,) = envelope.settings
    x = shown(setting, envelope.region[setting.name].values)
    table = envelope.region["probability"]
    every = np.asarray(table.sel(limit=ALL_LIMITS).values)
    if len(envelope.limits) > 1:
        for limit, style in zip(envelope.limits, itertools.cycle(styles)):
            ax.plot(x, table.sel(limit=limit), color=plot_style.MEASURED, lw=1.1, ls=style, zorder=4)
    ax.plot(x, every, color=plot_style.MEASURED, lw=2.2, zorder=5)
    draw_unknown_ranges(envelope, ax, setting, None)
    required = sorted({m.required for m in envelope.margins})
    _scale(ax, required)
    for level in required:
        ax.axhline(level, color=plot_style.ALARM, lw=1.2, ls=(0, (8, 3)), zorder=3)
        ax.annotate(
            f"required: {level:g}",
            (1.0, level),
            xycoords=ax.get_yaxis_transform(),
            xytext=(-3.0, -3.0),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=8,
            path_effects=HALO,
        )
    if not envelope.empty:
        low, high = shown(setting, envelope.box[setting.name])
        ax.axvspan(low, high, color=BOX_COLOR, alpha=0.13, lw=0.0, zorder=0)
        for edge in (low, high):
            ax.axvline(edge, color=BOX_COLOR, lw=1.2, zorder=2)
    _points(envelope, scene, ax, setting, lambda at: float(np.interp(at, x, every)))
    label = plot_style.label(setting.name, setting.unit)
    ax.set(xlim=(x[0], x[-1]), xlabel=label, ylabel="probability that\nthe limits are met")


def _scale(ax: Axes, required: Sequence[float]) -> None:
    """The axis from 0 to 1, wider toward 1, with what is required among its ticks."""
    room = ROOM * (1.0 - max(required))

    def up(p: Array) -> Array:
        return -np.log10(np.maximum(1.0 + room - np.asarray(p, dtype=float), 1e-3 * room))

    def down(y: Array) -> Array:
        return 1.0 + room - 10.0 ** -np.asarray(y, dtype=float)

    ax.set_yscale("function", functions=(up, down))
    top = 1.0 + ABOVE * room
    ax.set_ylim(0.0, top)
    kept = [0.0, 1.0, *required]
    least = APART * float(up(np.array(top)) - up(np.array(0.0)))
    for tick in TICKS:
        if np.abs(up(np.array(kept)) - up(np.array(tick))).min() >= least:
            kept.append(tick)
    ax.set_yticks(sorted(kept), [f"{tick:g}" for tick in sorted(kept)])
    ax.yaxis.set_minor_locator(NullLocator())


def _points(envelope: Envelope, scene: Scene, ax: Axes, setting: Setting, chance: Callable[[float], float]) -> None:
    """Set point (or the closest settings) and present settings on the curve; one beyond the picture at its edge."""
    at = float(shown(setting, envelope.margins_at[setting.name]))
    look: dict[str, Any] = {"mfc": "white", "zorder": 8, "clip_on": False}
    mark = "X" if envelope.empty else "D"
    ax.plot([at], [chance(at)], mark, ms=7.5, mec=POINT_COLOR, mew=2.0, **look)
    if scene.present:
        low, high = np.sort(shown(setting, setting.bounds))
        at = float(shown(setting, scene.present[setting.name]))
        mark = "*" if low <= at <= high else "<" if at < low else ">"
        at = float(np.clip(at, low, high))
        ax.plot([at], [chance(at)], mark, ms=13, mec="black", mew=1.2, **look)


def rows_of(envelope: Envelope, scene: Scene) -> list[Row]:
    """A row for each range and for each outcome of past batches."""
    (setting,) = envelope.settings
    found: list[Row] = []
    if not envelope.empty:
        found.append(("operating range", lambda ax, y: _operating(envelope, ax, setting, y)))
    for name, ranges, color in _ranges(envelope, setting):
        ends = shown(setting, ranges)
        look: dict[str, Any] = {"color": color, "lw": 2.4, "marker": "|", "ms": 9, "mew": 2.2, "clip_on": False}
        found.append((name, lambda ax, y, ends=ends, look=look: ax.plot(ends, [y, y], **look)))  # type: ignore[misc]
    for outcome in (o for o in ROWS if any(b.outcome is o for b in scene.placed)):
        found.append((ROWS[outcome], lambda ax, y, o=outcome: _batches(scene, ax, setting, o, y)))  # type: ignore[misc]
    return found


def draw_rows(rows: Sequence[Row], curve: Axes, ax: Axes) -> None:
    """Draws rows into the panel `ax` below that of the curve, which hands its axis over to it."""
    for y, (_, draw) in enumerate(rows):
        draw(ax, float(y))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [name for name, _ in rows])
    ax.tick_params(axis="y", length=0.0)
    ax.set_xlabel(curve.get_xlabel())
    curve.set_xlabel("")
    curve.tick_params(labelbottom=False)


def _ranges(envelope: Envelope, setting: Setting) -> list[tuple[str, tuple[float, float], str]]:
    found = []
    if setting.name in envelope.operating:
        found.append(("normal operating range", envelope.operating[setting.name], POINT_COLOR))
    if setting.name in envelope.acceptable:
        own = envelope.acceptable[setting.name]
        found.append(("acceptable range", (own.low, own.high), RANGE_COLOR))
    return found


def _operating(envelope: Envelope, rows: Axes, setting: Setting, y: float) -> None:
    """The range as a bar, the set point in it, and at each end the letter of the limit that ends it."""
    low, high = (float(end) for end in shown(setting, envelope.box[setting.name]))
    rows.barh([y], [high - low], left=low, height=0.62, fc="white", ec=BOX_COLOR, lw=2.2, zorder=5)
    point = float(shown(setting, envelope.set_point[setting.name]))
    rows.plot([point], [y], "D", ms=5.5, mfc="white", mec=POINT_COLOR, mew=1.8, zorder=8)
    for edge, end, way in zip((low, high), envelope.binding[setting.name], (-1.0, 1.0), strict=True):
        if end != SETTING_BOUND:
            draw_letter(envelope, rows, end, (edge, y), (9.0 * way, 0.0))


def _batches(scene: Scene, rows: Axes, setting: Setting, outcome: Outcome, y: float) -> None:
    low, high = np.sort(shown(setting, setting.bounds))
    for batch in scene.placed:
        if batch.outcome is outcome:
            x = float(shown(setting, batch.settings[setting.name].value))
            mark: Mapping[str, Any] = MARKS[outcome]
            if not low <= x <= high:
                mark = {**mark, "marker": "<" if x < low else ">"}
            rows.plot([np.clip(x, low, high)], [y], ls="", zorder=6, clip_on=False, **mark)
