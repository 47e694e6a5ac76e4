"""Pictures of experiments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError
from physics_twin.measurements.certificates import out_of_date
from physics_twin.measurements.flags import Flag
from physics_twin.plot_arrays import Layout, draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from physics_twin.measurements.experiment import Experiment, Series

__all__ = ["plot_experiment"]

# Colours that stay apart for the colour-blind (Okabe and Ito), and another shape for each flag.
_MARKS: tuple[tuple[Flag, str, str], ...] = (
    (Flag.SUSPECT, "^", "#E69F00"),
    (Flag.BAD, "x", "#D55E00"),
)


def plot_experiment(experiment: "Experiment", ax: "Axes | Sequence[Axes] | None" = None) -> "list[Axes]":
    """Draw each channel in its unit over time, with what is not good or not used marked; arrays over their places.

    ax: one Axes for all channels, or one for each; without it, a new figure with one below the other. An array counts
    as one channel. Returns one Axes for each channel and array. Raises ShapeError for another number of Axes.
    """
    from matplotlib import pyplot as plt

    arrays = experiment.arrays
    single = [s for s in experiment if s.channel.place is None or s.channel.place.array not in arrays]
    outputs = [s.channel.output for s in single] + list(arrays)
    axes: list[Any]
    if ax is None:
        size = (8.0, 1.2 + 2.0 * len(outputs))
        _, grid = plt.subplots(len(outputs), sharex=not arrays, squeeze=False, figsize=size, layout="constrained")
        axes = list(grid[:, 0])
        axes[0].set_title(experiment.name, pad=16.0 if experiment.phases else None)
    elif isinstance(ax, Sequence | np.ndarray):
        axes = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(axes) != len(outputs):
            raise ShapeError(f"{len(axes)} axes for {len(outputs)} channels")
    else:
        axes = [ax] * len(outputs)
    divisor, time_unit = _time_scale(experiment.duration)
    for one, series in zip(axes, single, strict=False):
        unit = series.channel.unit
        t, y = series.times / divisor, unit.from_si(series.values)
        shown = series.used & (series.flags < Flag.SUSPECT)
        style = "-" if shown.sum() > 50 else "o"
        (line,) = one.plot(np.where(shown, t, np.nan), np.where(shown, y, np.nan), style, ms=4, lw=1.2)
        line.set_label(series.channel.output)
        for flag, marker, color in _MARKS:
            hit = series.flags == flag
            if hit.any():
                one.plot(t[hit], y[hit], marker, color=color, ms=5, label=f"{flag.words} ({int(hit.sum())})")
        _mark_limits(one, series, t, y)
        _mark_certificate(one, series, experiment, divisor)
        hit = (series.left_out > 0) & (series.flags < Flag.BAD)
        if hit.any():
            one.plot(t[hit], y[hit], "o", color="0.6", ms=3, mfc="none", label=f"left out ({int(hit.sum())})")
        missing = (series.flags == Flag.MISSING) & np.isfinite(t)
        if missing.any():
            place = one.get_xaxis_transform()  # along the lower edge: there is no value to draw them at
            one.plot(
                t[missing],
                np.full(int(missing.sum()), 0.02),
                "|",
                color="0.4",
                ms=6,
                transform=place,
                label=f"missing ({int(missing.sum())})",
            )
        for phase in experiment.phases:
            one.axvline(phase.start / divisor, color="0.8", lw=0.8, zorder=0)
            if one is axes[0]:
                where = {"transform": one.get_xaxis_transform(), "va": "bottom", "fontsize": "x-small", "color": "0.4"}
                one.text(phase.start / divisor, 1.0, phase.name, clip_on=False, **where)
        one.set_ylabel(f"{series.channel.output} [{unit}]" if axes.count(one) == 1 else f"[{unit}]")
        one.legend(fontsize="small", loc="best")
    if single:
        axes[len(single) - 1].set_xlabel(f"time [{time_unit}]")
    for one, (array, own) in zip(axes[len(single) :], arrays.items(), strict=True):
        _draw_array(one, array, own)
    return axes


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
            ax.plot(t[hit], y[hit], ls="", marker=marker, color="#0072B2", ms=9, label=label)


def _mark_certificate(ax: "Axes", series: "Series", experiment: "Experiment", divisor: float) -> None:
    """Draw a line where the certificate of the sensor ended, if the record goes on."""
    late = out_of_date(series, experiment.t0_utc)
    if late.any():
        label = "certificate of the sensor ended"
        ax.axvline(float(series.times[late].min()) / divisor, color="#CC79A7", lw=1.0, ls=":", label=label)


def _draw_array(ax: "Axes", array: str, own: "Sequence[Series]") -> None:
    """The samples of an array over its places: those in use, the last moment in a map."""
    unit = own[0].channel.unit
    layout = Layout.of(np.array([s.channel.place.coordinates for s in own if s.channel.place is not None]))
    used = np.array([bool(s.used.any()) for s in own])
    if not layout.profile:
        values = np.array([unit.from_si(s.values[s.used][-1]) if s.used.any() else np.nan for s in own])
        draw_map(ax, layout, values, array, f"[{unit}]")
        return
    for x, series in zip(layout.shown, own, strict=True):
        y = unit.from_si(series.values)
        ax.plot(np.full(y.size, x), np.where(series.used, y, np.nan), "o", ms=4, color="C0")
        ax.plot(np.full(y.size, x), np.where(series.used, np.nan, y), "x", ms=5, color="0.6")
    ax.set_xlabel(layout.labels[0])
    ax.set_ylabel(f"{array} [{unit}]")
    if not used.all():
        ax.set_title(f"{int((~used).sum())} of {len(own)} not used", fontsize="small", loc="right")


def _time_scale(duration: float) -> tuple[float, str]:
    if duration < 600.0:
        return 1.0, "s"
    if duration < 14400.0:
        return 60.0, "min"
    return (3600.0, "h") if duration < 259200.0 else (86400.0, "d")
