"""The picture of an `Innovation`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style
from physics_twin.errors import DataError
from physics_twin.twin.moments import stamp

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from physics_twin.twin.innovation import Innovation

_NORMAL_95 = 1.96


def plot_innovation(innovation: "Innovation", ax: "Axes | Sequence[Axes] | None" = None) -> "list[Axes]":
    """Draw residuals of each channel with its band; what was not used is crossed out. Returns the axes.

    Raises DataError without any sample, ShapeError for another number of axes than channels with samples.
    """
    shown = innovation.in_units()
    names = [name for name in innovation.channels if (shown["channel"].values == name).any()]
    if not names:
        raise DataError(f"no sample between {stamp(innovation.begin)} and {stamp(innovation.end)}: nothing to draw")
    since = int(shown["time"].values.min().astype("datetime64[ns]").astype(np.int64))
    seconds = (shown["time"].values.astype("datetime64[ns]").astype(np.int64) - since) * 1e-9
    scale = plot_style.time_scale(float(seconds.max()))
    with plot_style.style():
        axes = plot_style.panels(len(names), ax)
        for one, name in zip(axes, names, strict=True):
            hit = shown["channel"].values == name
            t, residual = scale(seconds[hit]), shown["residual"].values[hit]
            half = _NORMAL_95 * np.hypot(shown["predicted_sd"].values[hit], shown["noise_sd"].values[hit])
            known = np.isfinite(half)
            plot_style.draw_band(one, t[known], -half[known], None, half[known], name="95 % expected")
            one.axhline(0.0, color=plot_style.MODEL, lw=1.0)
            used = shown["used"].values[hit].astype(bool)
            plot_style.draw_samples(one, t[used], residual[used], name="used")
            away = ~used & np.isfinite(residual)
            if away.any():
                one.plot(t[away], residual[away], ls="", marker="x", ms=5, mec=plot_style.ALARM, label="not used")
            opened = shown["widened"].values[hit] != 1.0
            for k, at in enumerate(t[opened]):
                one.axvline(at, color=plot_style.MUTED, ls="--", lw=1.0, label="gate opened again" if not k else None)
            unit = innovation.channels[name].difference().text
            one.set_ylabel(plot_style.label(name, unit))
            if used.any():
                # A reading of another unit would flatten all others to a line.
                low, high = np.min([residual[used], -half[used]]), np.max([residual[used], half[used]])
                one.set_ylim(2.0 * low - 0.5 * high, 2.0 * high - 0.5 * low)
        plot_style.label_times(axes, scale)
        if ax is None:
            axes[0].set_title(f"residuals since {stamp(since)}")
            plot_style.one_legend(plot_style.figure_of(axes), axes)
    return axes
