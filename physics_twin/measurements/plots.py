"""Pictures of experiments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.errors import ShapeError
from physics_twin.measurements.flags import Flag

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from physics_twin.measurements.experiment import Experiment

__all__ = ["plot_experiment"]

# Colours that stay apart for the colour-blind (Okabe and Ito), and another shape for each flag.
_MARKS: tuple[tuple[Flag, str, str], ...] = (
    (Flag.SUSPECT, "^", "#E69F00"),
    (Flag.BAD, "x", "#D55E00"),
)


def plot_experiment(experiment: "Experiment", ax: "Axes | Sequence[Axes] | None" = None) -> "list[Axes]":
    """Draw each channel in its unit over time, with what is not good or not used marked.

    ax: one Axes for all channels, or one for each; without it, a new figure with one below the other. Returns one Axes
    for each channel. Raises ShapeError for another number of Axes.
    """
    from matplotlib import pyplot as plt

    outputs = list(experiment.series)
    axes: list[Any]
    if ax is None:
        size = (8.0, 1.2 + 2.0 * len(outputs))
        _, grid = plt.subplots(len(outputs), sharex=True, squeeze=False, figsize=size, layout="constrained")
        axes = list(grid[:, 0])
        axes[0].set_title(experiment.name)
    elif isinstance(ax, Sequence | np.ndarray):
        axes = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(axes) != len(outputs):
            raise ShapeError(f"{len(axes)} axes for {len(outputs)} channels")
    else:
        axes = [ax] * len(outputs)
    divisor, time_unit = _time_scale(experiment.duration)
    for one, series in zip(axes, experiment, strict=True):
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
        one.set_ylabel(f"{series.channel.output} [{unit}]" if axes.count(one) == 1 else f"[{unit}]")
        one.legend(fontsize="small", loc="best")
    axes[-1].set_xlabel(f"time [{time_unit}]")
    return axes


def _time_scale(duration: float) -> tuple[float, str]:
    if duration < 600.0:
        return 1.0, "s"
    if duration < 14400.0:
        return 60.0, "min"
    return (3600.0, "h") if duration < 259200.0 else (86400.0, "d")
