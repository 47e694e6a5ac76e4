"""Pictures of many experiments: all over each other, readable for five and for five hundred."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.measurements.series import Series
from physics_twin.plot_style import (
    BAND,
    MEASURED,
    MODEL,
    figure_of,
    grayscale_safe,
    label,
    label_times,
    one_legend,
    panels,
    style,
    time_scale,
)
from physics_twin.units import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from physics_twin.measurements.collection import Experiments

__all__ = ["plot_experiments"]

_OWN_COLORS = 7
_POINTS = 400  # of one line: more do not fit into the width of a picture
_GRID = 200
_FEW = 20  # samples of a channel in one experiment up to which they are marks and no line
_LEAST = 5  # experiments that make a median


def plot_experiments(experiments: "Experiments", ax: "Axes | Sequence[Axes] | None" = None) -> "list[Axes]":
    """Draw each channel of all experiments over time since time zero; see `Experiments.plot`."""
    outputs = list(dict.fromkeys(output for run in experiments for output in run.series))
    longest = max((run.duration for run in experiments), default=0.0)
    scale = time_scale(longest)
    few = len(experiments) <= _OWN_COLORS
    looks = grayscale_safe(len(experiments)) if few else []
    with style():
        axes = panels(len(outputs), ax)
        for one, output in zip(axes, outputs, strict=True):
            unit = next(run.series[output].channel.unit for run in experiments if output in run.series)
            lines: list[tuple[Array, Array]] = []
            for k, run in enumerate(experiments):
                if output not in run.series:
                    continue
                t, y = _drawn(run.series[output], unit)
                if few:
                    as_marks = t.size <= _FEW
                    one.plot(
                        scale(t),
                        y,
                        color=looks[k]["color"],
                        ls="" if as_marks else looks[k]["linestyle"],
                        marker=looks[k]["marker"] if as_marks else "",
                        lw=1.0,
                        label=run.name,
                    )
                else:
                    lines.append((scale(t), y))
            if lines:
                _overlay(one, lines)
            one.set_ylabel(label(output, unit))
        label_times(axes, scale)
        axes[0].set_title(f"{len(experiments)} experiments")
        if ax is None and axes[0].get_legend_handles_labels()[0]:
            one_legend(figure_of(axes), axes)
    return axes


def _drawn(series: Series, unit: Unit) -> tuple[Array, Array]:
    """Return times in s and values in the unit, (n,), of the samples in use, thinned out to what a picture shows."""
    used = np.flatnonzero(series.used)
    t = series.times[used]
    y = np.asarray(unit.from_si(series.values[used]), dtype=np.float64)
    if t.size <= _POINTS:
        return t, y
    # The lowest and the highest sample of each stretch: a spike must not vanish in the thinning.
    edges = np.linspace(0, t.size, _POINTS // 2 + 1).astype(int)
    kept = sorted(
        {
            k
            for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
            for k in (a + int(np.argmin(y[a:b])), a + int(np.argmax(y[a:b])))
        }
    )
    return t[kept], y[kept]


def _overlay(ax: "Axes", lines: list[tuple[Array, Array]]) -> None:
    """Draw many experiments as thin lines, with their median and the band of the middle 90 % where they suffice."""
    from matplotlib.collections import LineCollection

    marks = [one for one in lines if one[0].size <= _FEW]
    curves = [one for one in lines if one[0].size > _FEW]
    shade = float(np.clip(8.0 / max(len(lines), 1), 0.04, 0.5))
    if curves:
        ax.add_collection(
            LineCollection([np.column_stack(one) for one in curves], colors=MEASURED, linewidths=0.6, alpha=shade)
        )
        ax.plot([], [], color=MEASURED, lw=0.6, alpha=0.5, label="one experiment")
        grid = np.linspace(0.0, max(float(t[-1]) for t, _ in curves), _GRID)
        values = np.array([np.interp(grid, t, y, left=np.nan, right=np.nan) for t, y in curves])
        enough = np.isfinite(values).sum(axis=0) >= _LEAST
        if enough.any():
            low, middle, high = np.full((3, _GRID), np.nan)
            low[enough], middle[enough], high[enough] = np.nanpercentile(values[:, enough], [5.0, 50.0, 95.0], axis=0)
            ax.fill_between(grid, low, high, color=BAND, alpha=0.5, lw=0, label="middle 90 %")
            ax.plot(grid, middle, color=MODEL, label="median")
    for t, y in marks:
        ax.plot(t, y, ls="", marker="o", ms=2.5, color=MEASURED, alpha=max(shade, 0.15))
    ax.autoscale_view()
