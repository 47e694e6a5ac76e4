"""The picture of an `Innovation`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.twin.moments import stamp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.twin.innovation import Innovation

_NORMAL_95 = 1.96


def plot_innovation(innovation: "Innovation", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Draw residuals of each channel with its band; what was not used is crossed out.

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
            low, high = _view(residual[used], half[known])
            one.set_ylim(low, high)
            away = ~used & np.isfinite(residual)
            inside = away & (residual > low) & (residual < high)
            cross: dict[str, Any] = {"ls": "", "mec": plot_style.ALARM, "mfc": plot_style.ALARM, "zorder": 5}
            if inside.any():
                one.plot(t[inside], residual[inside], marker="x", ms=5, label="not used", **cross)
            for edge, mark, beyond in ((high, "^", residual >= high), (low, "v", residual <= low)):
                if (away & beyond).any():
                    at = np.full(np.count_nonzero(away & beyond), edge)
                    text = "not used, farther off"
                    one.plot(t[away & beyond], at, marker=mark, ms=6, label=text, clip_on=False, **cross)
            opened = shown["widened"].values[hit] != 1.0
            for k, at in enumerate(t[opened]):
                one.axvline(at, color=plot_style.MUTED, ls="--", lw=1.0, label="gate opened again" if not k else None)
            unit = innovation.channels[name].difference().text
            one.set_ylabel(plot_style.label(name, unit))
        plot_style.label_times(axes, scale)
        if ax is None:
            axes[0].set_title(f"residuals since {stamp(since)}")
            plot_style.one_legend(plot_style.figure_of(axes), axes)
    return plot_style.figure_of(axes)


def _view(used: Array, half: Array) -> tuple[float, float]:
    """The ends of the axis: a reading of another unit would flatten all others to a line."""
    inside = np.concatenate([used, half, -half]) if used.size or half.size else np.array([-1.0, 1.0])
    room = 0.3 * float(np.ptp(inside)) or 1.0
    return float(inside.min()) - room, float(inside.max()) + room
