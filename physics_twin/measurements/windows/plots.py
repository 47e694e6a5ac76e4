"""Pictures of steady windows and of delays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.measurements.relations.delays import Delay
    from physics_twin.measurements.windows.steady import SteadyWindows

__all__ = ["plot_delay", "plot_steady"]


def plot_steady(found: "SteadyWindows", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Draw each channel with its steady windows shaded and the means in them, with twice their standard error."""
    experiment = found.experiment
    scale = plot_style.time_scale(experiment.duration)
    with plot_style.style():
        axes = plot_style.panels(len(found.outputs), ax)
        for one, name in zip(axes, found.outputs, strict=True):
            series = experiment[name]
            unit, used = series.channel.unit, series.used
            t, y = scale(series.times[used]), np.asarray(unit.from_si(series.values[used]))
            plot_style.draw_samples(one, t, y)
            for k, window in enumerate(found):
                ends = scale(np.array([window.start, window.end]))
                one.axvspan(*ends, color=plot_style.BAND, alpha=0.45, lw=0.6, label="steady" if k == 0 else None)
                mean = float(unit.from_si(window.means[name]))
                error = 2.0 * float(unit.from_si(window.standard_errors[name], True))
                # Two lines from edge to edge: the band is often thinner than a mark.
                one.plot(ends, [mean, mean], color=plot_style.MODEL, lw=2.0, zorder=5, label="mean" if k == 0 else None)
                one.fill_between(
                    ends,
                    mean - error,
                    mean + error,
                    color=plot_style.MODEL,
                    alpha=0.35,
                    lw=0,
                    zorder=4,
                    label="± 2 standard errors" if k == 0 else None,
                )
            one.set_ylabel(plot_style.label(name, unit))
            one.margins(x=0.01)
        plot_style.label_times(axes, scale)
        if ax is None:
            axes[0].set_title(f"{experiment.name}: {len(found)} of {len(found.tested)} windows are steady")
            plot_style.one_legend(plot_style.figure_of(axes), axes)
    return plot_style.figure_of(axes)


def plot_delay(found: "Delay", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Draw what the output does beside the delayed source, and how probable each delay is.

    ax: two Axes.
    """
    scale = plot_style.time_scale(float(np.ptp(found.times)))
    with plot_style.style():
        axes = plot_style.panels(2, ax, height=2.3, shared=False)
        upper, lower = axes
        unit = found.unit
        plot_style.draw_samples(upper, scale(found.times), np.asarray(unit.from_si(found.observed)), name=found.output)
        upper.plot(
            scale(found.times),
            np.asarray(unit.from_si(found.fitted)),
            color=plot_style.MODEL,
            zorder=5,
            label=f"{found.source}, {found.value:.4g} s later" + (", with a lag" if found.lag > 0.0 else ""),
        )
        upper.set_ylabel(plot_style.label(found.output, unit))
        upper.set_xlabel(scale.label)
        upper.margins(x=0.01)
        upper.legend(loc="best")
        lower.plot(found.delays, found.relative, color=plot_style.MODEL, label="likelihood over its largest value")
        inside = (found.delays >= found.low) & (found.delays <= found.high)
        lower.fill_between(
            found.delays,
            0.0,
            found.relative,
            where=inside.tolist(),
            color=plot_style.BAND,
            lw=0,
            label=f"{100 * found.probability:g} % interval",
        )
        lower.axvline(found.value, color=plot_style.MEASURED, lw=1.0, ls="--", label=f"{found.value:.4g} s")
        lower.set_ylim(0.0, 1.05)
        room = max(1.5 * (found.high - found.low), float(found.delays[1] - found.delays[0]))
        lower.set_xlim(max(found.low - room, 0.0), min(found.high + room, float(found.delays[-1])))
        lower.set_xlabel("delay / s")
        lower.set_ylabel("relative likelihood")
        lower.legend(loc="best")
        if ax is None:
            upper.set_title(f"{found.experiment}: {found.output} behind {found.source}")
    return plot_style.figure_of(axes)
