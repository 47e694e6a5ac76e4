"""Pictures of many experiments: all over each other, readable for five and for five hundred."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import DataError
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
    from matplotlib.figure import Figure

    from physics_twin.measurements.batches.collection import Experiments

__all__ = ["plot_experiments"]

_OWN_COLORS = 7
# Points of one line: more do not fit into the width of a picture, and of a cloud of lines nobody sees them.
_POINTS, _CLOUD, _FEWEST_POINTS = 400, 40_000, 80
_GRID = 200
_FEW = 20  # samples of a channel in one experiment up to which they are marks and no line
_LEAST = 5  # experiments that make a median


def plot_experiments(experiments: "Experiments", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Draw each channel of all experiments over time since time zero; see `Experiments.plot`."""
    if not experiments:
        raise DataError("there is no experiment to draw")
    outputs = list(dict.fromkeys(output for run in experiments for output in run.series))
    longest = max((run.duration for run in experiments), default=0.0)
    scale = time_scale(longest)
    few = len(experiments) <= _OWN_COLORS
    n_points = int(np.clip(_CLOUD // max(len(experiments), 1), _FEWEST_POINTS, _POINTS))
    looks = grayscale_safe(len(experiments)) if few else []
    drawn: list[set[str]] = [set() for _ in experiments]  # as what, "line" or "marks"
    with style():
        axes = panels(len(outputs), ax)
        for one, output in zip(axes, outputs, strict=True):
            unit = next(run.series[output].channel.unit for run in experiments if output in run.series)
            curves: list[_Curve] = []
            for k, run in enumerate(experiments):
                if output not in run.series:
                    continue
                whole = _used(run.series[output], unit)
                t, y = _thinned(*whole, n_points)
                if few:
                    as_marks = t.size <= _FEW
                    one.plot(
                        scale(t),
                        y,
                        color=looks[k]["color"],
                        ls="" if as_marks else looks[k]["linestyle"],
                        marker=looks[k]["marker"] if as_marks else "",
                        lw=1.0,
                    )
                    drawn[k].add("marks" if as_marks else "line")
                else:
                    curves.append(_Curve(scale(t), y, scale(whole[0]), whole[1]))
            if curves:
                _overlay(one, curves)
            one.set_ylabel(label(output, unit))
        for run, look, how in zip(experiments, looks, drawn, strict=False):  # one key to its lines and its marks
            line = look["linestyle"] if "line" in how else ""
            marker = look["marker"] if "marks" in how else ""
            axes[0].plot([], [], color=look["color"], ls=line, marker=marker, lw=1.0, label=run.name)
        label_times(axes, scale)
        axes[0].set_title(f"{len(experiments)} experiments")
        if ax is None and axes[0].get_legend_handles_labels()[0]:
            one_legend(figure_of(axes), axes)
    return figure_of(axes)


@dataclass(frozen=True, eq=False)
class _Curve:
    """The samples in use of a channel in one experiment: t, y (n,) thinned out for drawing, and all of them."""

    t: Array
    y: Array
    all_t: Array
    all_y: Array


def _used(series: Series, unit: Unit) -> tuple[Array, Array]:
    """Return times in s and values in the unit, (n,), of the samples in use."""
    used = np.flatnonzero(series.used)
    return series.times[used], np.asarray(unit.from_si(series.values[used]), dtype=np.float64)


def _thinned(t: Array, y: Array, n_points: int) -> tuple[Array, Array]:
    """Return about `n_points` of the samples, or all if there are fewer."""
    if t.size <= n_points:
        return t, y
    # The lowest and the highest sample of each stretch: a spike must not vanish in the thinning.
    length = -(-t.size // (n_points // 2))
    padded = np.append(y, np.full(-t.size % length, y[-1])).reshape(-1, length)
    begins = np.arange(padded.shape[0]) * length
    kept = np.unique(np.concatenate([begins + padded.argmin(axis=1), begins + padded.argmax(axis=1)]))
    kept = kept[kept < t.size]
    return t[kept], y[kept]


def _overlay(ax: "Axes", curves: Sequence[_Curve]) -> None:
    """Draw many experiments as thin lines, with their median and the band of the middle 90 % where they suffice."""
    from matplotlib.collections import LineCollection

    shade = float(np.clip(8.0 / len(curves), 0.04, 0.5))
    lines = [one for one in curves if one.all_t.size > _FEW]
    if lines:
        points = [np.column_stack((one.t, one.y)) for one in lines]
        ax.add_collection(LineCollection(points, colors=MEASURED, linewidths=0.6, alpha=shade))
        ax.plot([], [], color=MEASURED, lw=0.6, alpha=0.5, label="one experiment")
        grid = np.linspace(0.0, max(float(one.t[-1]) for one in lines), _GRID)
        # Of all samples: those that are drawn are the extremes of their stretch.
        values = np.array([np.interp(grid, one.all_t, one.all_y, left=np.nan, right=np.nan) for one in lines])
        enough = np.isfinite(values).sum(axis=0) >= _LEAST
        if enough.any():
            low, middle, high = np.full((3, _GRID), np.nan)
            low[enough], middle[enough], high[enough] = np.nanpercentile(values[:, enough], [5.0, 50.0, 95.0], axis=0)
            ax.fill_between(grid, low, high, color=BAND, alpha=0.5, lw=0, label="middle 90 %")
            ax.plot(grid, middle, color=MODEL, label="median")
    for k, one in enumerate(one for one in curves if one.all_t.size <= _FEW):
        name = "" if k else "samples"
        ax.plot(one.t, one.y, ls="", marker="o", ms=2.5, color=MEASURED, alpha=max(shade, 0.15), label=name or None)
    ax.autoscale_view()
