"""Pictures of experiments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import ShapeError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.tags.certificates import out_of_date
from physics_twin.plot_arrays import Layout, draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.measurements.experiment import Experiment, Series

__all__ = ["plot_experiment"]

_SUSPECT = "#E69F00"
_LEFT_OUT = "#A6A6A6"
_DENSE = 50
"""Samples from which they are drawn as a line."""
_LETTER = 0.6
"""Width of a letter, in sizes of the font."""


def plot_experiment(experiment: "Experiment", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Draw each channel in its unit over time, with what is not good or not used marked; arrays over their places.

    ax: one Axes for all channels, or one for each; without it, a new figure with one below the other. An array counts
    as one channel. Raises ShapeError for another number of Axes.
    """
    arrays = experiment.arrays
    single = [s for s in experiment if s.channel.place is None or s.channel.place.array not in arrays]
    outputs = [s.channel.output for s in single] + list(arrays)
    axes: list[Any]
    scale = plot_style.time_scale(experiment.duration)
    with plot_style.style():
        if ax is None:
            axes = plot_style.panels(len(outputs), height=2.0, shared=not arrays, columns=1)
        elif isinstance(ax, Sequence | np.ndarray):
            axes = list(np.ravel(np.asarray(ax, dtype=object)))
            if len(axes) != len(outputs):
                raise ShapeError(f"{len(axes)} axes for {len(outputs)} channels")
        else:
            axes = [ax] * len(outputs)
        for one, series in zip(axes, single, strict=False):
            _draw_series(one, series, scale)
            _mark_certificate(one, series, experiment, scale)
            for phase in experiment.phases:
                one.axvline(float(phase.start / scale.seconds), color="0.8", lw=0.8, zorder=0)
            alone = axes.count(one) == 1
            unit = series.channel.unit
            one.set_ylabel(plot_style.label(series.channel.output, unit) if alone else plot_style.unit_text(unit))
            if ax is None:  # beside the panel it hides no sample
                one.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
            else:
                one.legend(loc="best")
        n_lines = _name_phases(axes[0], experiment, scale) if single else 0
        if ax is None:
            axes[0].set_title(experiment.name, pad=6.0 + _PHASE_LINE * n_lines)
        if single:
            axes[len(single) - 1].set_xlabel(scale.label)
        for one, (array, own) in zip(axes[len(single) :], arrays.items(), strict=True):
            _draw_array(one, array, own)
    return plot_style.figure_of(axes)


def _draw_series(ax: "Axes", series: "Series", scale: plot_style.TimeScale) -> None:
    """Draw the samples of a channel; the legend says what is in the picture, and how many."""
    unit = series.channel.unit
    t, y = scale(series.times), np.asarray(unit.from_si(series.values))
    placed = np.isfinite(t)
    left_out = (series.left_out > 0) & (series.flags < Flag.BAD) & placed
    good = series.used & (series.flags < Flag.SUSPECT)
    if good.any():
        style = "-" if good.sum() > _DENSE else "o"
        name = series.channel.output
        ax.plot(np.where(good, t, np.nan), np.where(good, y, np.nan), style, ms=4, lw=1.2, color=_MODEL, label=name)
    marks: tuple[tuple[str, NDArray[np.bool_], dict[str, Any]], ...] = (
        ("suspect", (series.flags == Flag.SUSPECT) & ~left_out & placed, {"marker": "^", "color": _SUSPECT, "ms": 5}),
        ("left out", left_out, {"marker": "o", "color": _LEFT_OUT, "ms": 4, "mew": 0.0}),
    )
    for words, hit, look in marks:
        if hit.any():
            ax.plot(t[hit], y[hit], ls="", label=f"{words} ({int(hit.sum())})", **look)
    _mark_limits(ax, series, t, y)
    bad = (series.flags == Flag.BAD) & placed
    known = (series.flags < Flag.BAD) & np.isfinite(y)
    shown = bad & np.isfinite(y)
    if known.any():  # one full-scale reading would press all others flat
        low, high = float(y[known].min()), float(y[known].max())
        room = max(high - low, abs(high), 1e-300) if high == low else high - low
        shown &= (y >= low - room) & (y <= high + room)
    cross: dict[str, Any] = {"ls": "", "marker": "x", "ms": 5, "color": plot_style.ALARM}
    words = f"bad ({int(bad.sum())})"
    if shown.any():
        ax.plot(t[shown], y[shown], label=words, **cross)
    edge = ax.get_xaxis_transform()  # along the lower edge: no value to draw them at, or far off the scale
    lower = bad & ~shown
    if lower.any():
        where: dict[str, Any] = {"transform": edge, "clip_on": False}
        label = f"{words},\n{int(lower.sum())} on the axis" if shown.any() else f"{words},\non the axis"
        if shown.any():
            ax.lines[-1].set_label("_bad")
        ax.plot(t[lower], np.zeros(int(lower.sum())), label=label, **cross, **where)
    missing = (series.flags == Flag.MISSING) & placed
    if missing.any():
        tick: dict[str, Any] = {"ls": "", "marker": "|", "ms": 6, "color": "0.4", "transform": edge}
        ax.plot(t[missing], np.full(int(missing.sum()), 0.03), label=f"missing ({int(missing.sum())})", **tick)


_MODEL = plot_style.COLORS[0]
_PHASE_FONT = 7.5
_PHASE_LINE = 9.0
"""Points from one line of names of phases to the next."""


def _name_phases(ax: "Axes", experiment: "Experiment", scale: plot_style.TimeScale) -> int:
    """Write the names of phases above a panel, each where its phase begins; as many lines as they need, returned."""
    width = ax.get_position().width * plot_style.figure_of([ax]).get_figwidth() * 72.0  # points
    width *= 0.85  # the legend takes its place when the picture is laid out
    low, high = ax.get_xlim()
    ends: list[float] = []
    where: dict[str, Any] = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "va": "bottom"}
    for phase in sorted(experiment.phases, key=lambda one: one.start):
        at = (phase.start / scale.seconds - low) / (high - low) * width
        line = next((k for k, end in enumerate(ends) if end < at), len(ends))
        ends[line : line + 1] = [at + (len(phase.name) + 1) * _LETTER * _PHASE_FONT]
        ax.annotate(
            phase.name,
            (phase.start / scale.seconds, 1.0),
            xytext=(0.0, 1.0 + _PHASE_LINE * line),
            fontsize=_PHASE_FONT,
            color="0.35",
            annotation_clip=False,
            **where,
        )
    return len(ends)


# The truth lies that way: arrows at the limit.
_ARROWS = ((-1, r"$\downarrow$", "below"), (1, r"$\uparrow$", "above"))


def _mark_limits(ax: "Axes", series: "Series", t: Array, y: Array) -> None:
    """Draw an arrow at each sample that only says on which side of it the truth lies; t, y (n,) as drawn."""
    if series.censored is None:
        return
    for side, marker, words in _ARROWS:
        hit = (series.censored == side) & (series.flags < Flag.BAD)
        if hit.any():
            label = f"{words} the limit ({int(hit.sum())})"
            ax.plot(t[hit], y[hit], ls="", marker=marker, color=_MODEL, ms=9, label=label)


def _mark_certificate(ax: "Axes", series: "Series", experiment: "Experiment", scale: plot_style.TimeScale) -> None:
    """Draw a line where the certificate of the sensor ended, if the record goes on."""
    late = out_of_date(series, experiment.t0_utc)
    if late.any():
        label = "certificate of\nthe sensor ended"
        ax.axvline(float(series.times[late].min()) / scale.seconds, color="#CC79A7", lw=1.0, ls=":", label=label)


def _draw_array(ax: "Axes", array: str, own: "Sequence[Series]") -> None:
    """The samples of an array over its places: those in use, the last moment in a map."""
    unit = own[0].channel.unit
    layout = Layout.of(np.array([s.channel.place.coordinates for s in own if s.channel.place is not None]))
    used = np.array([bool(s.used.any()) for s in own])
    if not layout.profile:
        values = np.array([unit.from_si(s.values[s.used][-1]) if s.used.any() else np.nan for s in own])
        draw_map(ax, layout, values, array, plot_style.unit_text(unit))
        return
    for x, series in zip(layout.shown, own, strict=True):
        y = unit.from_si(series.values)
        ax.plot(np.full(y.size, x), np.where(series.used, y, np.nan), "o", ms=4, color="C0")
        ax.plot(np.full(y.size, x), np.where(series.used, np.nan, y), "x", ms=5, color="0.6")
    ax.set_xlabel(layout.labels[0])
    ax.set_ylabel(plot_style.label(array, unit))
    if not used.all():
        ax.set_title(f"{int((~used).sum())} of {len(own)} not used", fontsize="small", loc="right")
