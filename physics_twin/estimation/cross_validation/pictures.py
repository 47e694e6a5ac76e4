"""Coverage beside what is claimed; for each output measured over predicted, and bias by fold."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style
from physics_twin.estimation.cross_validation.result import LEVELS, ChannelBelief, CrossValidation
from physics_twin.units import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_OUTPUTS = 6
"""With panels of their own; coverage is shown for all."""


def plot(validation: CrossValidation, ax: "Sequence[Axes] | None" = None) -> "Figure":
    """One panel for coverage, and two for each output."""
    shown = validation.channels[:MOST_OUTPUTS]
    with plot_style.style():
        n = 1 + 2 * len(shown)
        axes = plot_style.panels(n, ax, shared=False, columns=1 if n == 1 else 3 if n == 3 else 2, height=2.6)
        _coverage(axes[0], validation)
        for k, belief in enumerate(shown):
            _measured(axes[1 + 2 * k], validation, belief)
            _bias(axes[2 + 2 * k], validation, belief)
        return plot_style.figure_of(axes)


def _coverage(one: "Axes", validation: CrossValidation) -> None:
    claimed = 100.0 * np.array(LEVELS)
    one.plot([40.0, 100.0], [40.0, 100.0], color=plot_style.MUTED, lw=0.8, ls="--", label="as claimed")
    looks = plot_style.grayscale_safe(len(validation.channels))
    for k, (belief, look) in enumerate(zip(validation.channels, looks, strict=True)):
        shift = 0.8 * (k - 0.5 * (len(looks) - 1))
        found = 100.0 * np.array(belief.coverage)
        error = 100.0 * np.nan_to_num(np.array(belief.coverage_error))
        style = {**look, "linestyle": "none"}
        one.errorbar(claimed + shift, found, error, capsize=2, ms=5, lw=1.0, label=belief.output, **style)
    one.set_xticks(claimed)
    one.set_xlabel("claimed, %")
    one.set_ylabel("left-out samples inside, %")
    one.legend(fontsize=7, frameon=False, loc="upper left")


def _measured(one: "Axes", validation: CrossValidation, belief: ChannelBelief) -> None:
    looks = plot_style.grayscale_safe(len(validation.done))
    ends: list[float] = []
    # Batches may declare other units: all are drawn in that of the first.
    unit = next(Unit(c.unit) for fold in validation.done for c in fold.channels if c.output == belief.output)
    for fold, look in zip(validation.done, looks, strict=True):
        for c in fold.channels:
            if c.output != belief.output:
                continue
            x, y, low, high = (np.asarray(unit.from_si(v)) for v in (c.middle, c.observed, c.low, c.high))
            one.errorbar(x, y, xerr=[x - low, high - x], fmt="none", ecolor=plot_style.BAND, lw=1.0, zorder=1)
            one.plot(x, y, ls="", ms=3.0, color=look["color"], marker=look["marker"], zorder=2)
            ends += [float(x.min()), float(x.max())]
    one.plot([min(ends), max(ends)], [min(ends), max(ends)], color=plot_style.MUTED, lw=0.8, ls="--", zorder=3)
    one.set_xlabel(plot_style.label(f"{belief.output} predicted", unit))
    one.set_ylabel("measured")


def _bias(one: "Axes", validation: CrossValidation, belief: ChannelBelief) -> None:
    names, means, errors = [], [], []
    for fold in validation.done:
        own = [c for c in fold.channels if c.output == belief.output]
        if own:
            deviation = np.concatenate([c.observed - c.middle for c in own])
            names.append(fold.name)
            means.append(float(belief.unit.from_si(deviation.mean(), True)))
            errors.append(float(belief.unit.from_si(deviation.std(), True)))
    at = np.arange(len(names))
    one.axhline(0.0, color=plot_style.MUTED, lw=0.8, ls="--")
    if np.isfinite(belief.bias_error):
        middle, error = (float(belief.unit.from_si(v, True)) for v in (belief.bias, belief.bias_error))
        one.axhspan(middle - 2.0 * error, middle + 2.0 * error, color=plot_style.BAND, alpha=0.4, lw=0, label="mean")
    one.errorbar(at, means, errors, fmt="o", ms=4, color=plot_style.MEASURED, capsize=2, lw=1.0)
    one.set_xticks(at, names, rotation=90 if len(names) > 4 else 0, fontsize=7)
    one.set_ylabel(plot_style.label("measured - predicted", belief.unit))
