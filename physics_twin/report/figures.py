"""The pictures of the report that no other part of the library draws."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin import plot_arrays, plot_style
from physics_twin.arrays import Array
from physics_twin.comparison import array_of, by_array, layout_of
from physics_twin.estimation.predicted import PredictedChannel, draw_channel
from physics_twin.posterior import ChannelEvidence, Posterior
from physics_twin.report.numerals import own_unit
from physics_twin.units import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PAIRS = 8
"""Parameters in a pair plot; more are not read."""
MOST_POINTS = 600
LINE = 14
"""Letters below a small panel."""


def fit(channels: Sequence[PredictedChannel]) -> "Figure":
    """Draw data, curve and 95 % band of a measurement, one panel for each channel or array of an experiment."""
    scale = plot_style.time_scale(max(float(c.nodes[-1]) for c in channels))
    groups = by_array(channels)
    with plot_style.style():
        axes = plot_style.panels(len(groups), shared=all(len(own) == 1 for own in groups))
        for one, own in zip(axes, groups, strict=True):
            if len(own) > 1:
                _fit_array(one, own)
            else:
                draw_channel(one, own[0], scale)
        plot_style.label_times([a for a, own in zip(axes, groups, strict=True) if len(own) == 1], scale)
        figure = plot_style.figure_of(axes)
        if any(one.get_legend_handles_labels()[0] for one in axes):
            plot_style.one_legend(figure, axes)
    return figure


def _fit_array(one: "Axes", own: Sequence[PredictedChannel]) -> None:
    unit, layout = own[0].channel.unit, layout_of(own)
    observed, low, middle, high = (
        np.asarray(unit.from_si(np.array([getattr(c, key)[-1] for c in own])))
        for key in ("observed", "low", "middle", "high")
    )
    array = array_of(own[0].channel)
    if not layout.profile:
        plot_arrays.draw_map(
            one, layout, observed - middle, f"{array}: measured minus model", str(unit.difference()), symmetric=True
        )
        return
    plot_arrays.draw_profile(
        one, layout, observed, middle, (low, high), np.array([not bool(c.inside[-1]) for c in own])
    )
    one.set_ylabel(plot_style.label(array, unit))


def residuals(posterior: Posterior, experiment: str) -> "Figure":
    """Draw measured minus model at the mode with twice the noise, a panel for each channel over time or array over its
    places."""
    own: dict[str, list[ChannelEvidence]] = {}
    for c in posterior.channels:
        if c.experiment == experiment:
            own.setdefault(c.array or c.output, []).append(c)
    data = posterior.residuals
    scale = plot_style.time_scale(float(np.nanmax(data["time"].values[data["experiment"].values == experiment])))
    with plot_style.style():
        axes = plot_style.panels(len(own), height=1.7, shared=not any(c[0].array for c in own.values()))
        for one, channels in zip(axes, own.values(), strict=True):
            c = channels[0]
            mine = data["array"].values == c.array if c.array else data["output"].values == c.output
            rows = mine & (data["experiment"].values == experiment) & data["used"].values
            unit = Unit(c.unit)
            r = np.asarray(unit.from_si(data["residual"].values[rows], True))
            noise = max(x.noise for x in channels)
            if c.array:
                names = [n for n in ("place_x", "place_y", "place_z") if n in data]
                places = np.column_stack([data[n].values[rows] for n in names])
                layout = plot_arrays.Layout.of(places[:, np.isfinite(places).all(axis=0)])
                if not layout.profile:
                    words = f"{c.array}: measured minus model"
                    plot_arrays.draw_map(one, layout, r, words, str(c.difference_unit), symmetric=True)
                    continue
                t = layout.shown
                one.set_xlabel(layout.labels[0])
            else:
                t = scale(data["time"].values[rows])
            one.axhspan(-2.0 * noise, 2.0 * noise, color=plot_style.BAND, alpha=0.55, lw=0, label="± 2 × noise")
            one.axhline(0.0, color=plot_style.MODEL, lw=1.0)
            if not c.array:
                one.plot(t, r, color=plot_style.MUTED, lw=0.7)
            plot_style.draw_samples(one, t, r, name="measured − model", outside=np.abs(r) > 2.0 * noise)
            reach = 1.15 * max(2.0 * noise, float(np.abs(r).max()))
            one.set_ylim(-reach, reach)
            one.set_ylabel(plot_style.label(c.array or c.output, c.difference_unit))
            one.margins(x=0.03)
        over_time = [a for a, channels in zip(axes, own.values(), strict=True) if not channels[0].array]
        plot_style.label_times(over_time, scale)
        figure = plot_style.figure_of(axes)
        if any(one.get_legend_handles_labels()[0] for one in axes):
            plot_style.one_legend(figure, axes)
    return figure


def correlation(posterior: Posterior) -> "Figure":
    """Draw the correlation of the draws as a heat map with its numbers; dark is strong, and the sign is written."""
    from matplotlib import pyplot as plt

    names, matrix = list(posterior.names), np.asarray(posterior.correlation.values)
    n = len(names)
    side = min(plot_style.FIGURE_WIDTH - 0.9, 1.3 + 0.5 * n)
    with plot_style.style():
        figure, axes = plt.subplots(figsize=(side + 0.9, side), layout="constrained")
        strength = np.ma.masked_array(np.abs(matrix), mask=np.triu(np.ones((n, n), dtype=bool)))
        image = axes.imshow(strength[1:, :-1], cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
        for i in range(1, n):
            for j in range(i):
                ink = "white" if abs(matrix[i, j]) > 0.6 else plot_style.MEASURED
                text = f"{matrix[i, j]:+.2f}".replace("-", "−")
                axes.text(j, i - 1, text, ha="center", va="center", color=ink, fontsize=8)
        axes.set_xticks(range(n - 1), names[:-1], rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(n - 1), names[1:])
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        figure.colorbar(image, ax=axes, label="strength", shrink=0.8)
    return figure


def pairs(posterior: Posterior) -> "Figure":
    """Draw each pair of parameters as a cloud of draws, histograms on the diagonal, the mode as a cross."""
    from matplotlib import pyplot as plt

    shown = [_Shown.of(posterior, name) for name in list(posterior.names)[:MOST_PAIRS]]
    n, every = len(shown), max(1, posterior.n_draws // MOST_POINTS)
    cloud: dict[str, Any] = {
        "ls": "",
        "marker": ".",
        "ms": 1.6,
        "color": plot_style.MODEL,
        "alpha": 0.4,
        "rasterized": True,
    }
    with plot_style.style():
        size = (plot_style.FIGURE_WIDTH, max(2.4, plot_style.FIGURE_WIDTH * n / (n + 0.6)))
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(n, n)
        bottom: list[Any] = []
        for i, j in ((row, column) for row in reversed(range(n)) for column in range(row + 1)):
            # Only the panels that show something: an empty one costs as much as a full one.
            one = figure.add_subplot(grid[i, j], sharex=bottom[j] if i < n - 1 else None)
            if i == n - 1:
                bottom.append(one)
            else:
                one.tick_params(labelbottom=False)
            x, y = shown[j], shown[i]
            one.grid(visible=False)
            one.tick_params(labelsize=6.5)
            one.locator_params(axis="x", nbins=2)
            if i == j:
                one.hist(x.draws, bins=30, color=plot_style.BAND, ec=plot_style.MODEL, lw=0.3)
                one.axvline(x.mode, color=plot_style.MEASURED, lw=1.0)
                one.set_yticks([])
                one.spines["left"].set_visible(False)
            else:
                one.plot(x.draws[::every], y.draws[::every], **cloud)
                one.plot(x.mode, y.mode, "+", color=plot_style.MEASURED, ms=7, mew=1.3)
                one.locator_params(axis="y", nbins=3)
                one.tick_params(labelleft=j == 0)
            if i == n - 1:
                one.set_xlabel(x.label(" \n"), fontsize=7.5)
            if j == 0 and i:
                one.set_ylabel(y.label(" \n"), fontsize=7.5)
        figure.align_labels()
    return figure


def beside(fits: Mapping[str, Posterior]) -> "Figure":
    """Draw the 95 % intervals of several fits beside one another, one panel for each parameter that all have."""
    from matplotlib import pyplot as plt

    names = [n for n in next(iter(fits.values())).names if all(n in p.parameters for p in fits.values())]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    with plot_style.style():
        figure = plt.figure(layout="constrained")
        figure.set_size_inches(plot_style.FIGURE_WIDTH, 0.3 + rows * (0.7 + 0.24 * len(fits)))
        axes: list[Any] = list(figure.subplots(rows, columns, squeeze=False, sharey=True).ravel())
        for one, name in zip(axes, names, strict=False):
            largest = max(float(np.abs(p[name]).max()) for p in fits.values())
            for k, (look, posterior) in enumerate(
                zip(plot_style.grayscale_safe(len(fits)), fits.values(), strict=True)
            ):
                shown = _Shown.of(posterior, name, largest)
                low, high = np.quantile(shown.draws, (0.025, 0.975))
                one.plot([low, high], [k, k], color=look["color"], lw=2.2, solid_capstyle="butt")
                mark = {"marker": look["marker"], "color": look["color"], "mec": plot_style.MEASURED, "mew": 0.6}
                one.plot(shown.mode, k, ms=6, **mark)
                one.set_xlabel(shown.label())
            one.set_yticks(range(len(fits)), list(fits))
            one.set_ylim(len(fits) - 0.5, -0.5)
            one.grid(visible=False, axis="y")
            one.locator_params(axis="x", nbins=4)
        for spare in axes[len(names) :]:
            spare.set_visible(False)
    return figure


@dataclass(frozen=True)
class _Shown:
    """Draws and mode of a parameter as an axis shows them: in the declared unit, a power of ten taken out."""

    name: str
    unit: str
    exponent: int
    draws: Array
    mode: float

    @classmethod
    def of(cls, posterior: Posterior, name: str, largest: float | None = None) -> "_Shown":
        """largest: SI, decides the power of ten; the largest draw when left out."""
        p = posterior.parameters[name]
        draws = np.asarray(p.unit.from_si(posterior[name], p.difference))
        top = float(np.abs(draws).max()) if largest is None else abs(float(p.unit.from_si(largest, p.difference)))
        exponent = 0 if top == 0.0 or 1e-2 <= top < 1e4 else math.floor(math.log10(top))
        scale = 10.0**exponent
        mode = float(p.unit.from_si(posterior.mode.scalar(name), p.difference))
        return cls(name, own_unit(p).text, exponent, draws / scale, mode / scale)

    def label(self, between: str = " ") -> str:
        """Name, power of ten and unit."""
        unit = plot_style.unit_text(self.unit)
        power = f"$10^{{{self.exponent}}}$" if self.exponent else ""
        words = f"{power} {unit}".strip()
        name = self.name if between == " " else _broken(self.name)
        if not words:
            return name
        return f"{name}{between}/ ({words})" if power or "/" in unit else f"{name}{between}/ {words}"


def _broken(name: str) -> str:
    """Return a long name in lines that fit below a small panel, broken at its underscores and dots."""
    lines = [""]
    for part in re.findall(r"[^_.]+[_.]?|[_.]", name):
        if lines[-1] and len(lines[-1]) + len(part) > LINE:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


__all__ = ["beside", "correlation", "fit", "pairs", "residuals"]
