"""Pictures of forecasts, scenarios and times to a limit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.envelope.limits.limits import Limit, Requirement, bind_limits
from physics_twin.envelope.limits.reductions import Extreme, Final
from physics_twin.errors import unknown_name
from physics_twin.plot_style import ALARM, MEASURED, MODEL, MUTED
from physics_twin.signals import Signal
from physics_twin.twin.moments import SECOND, stamp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.twin.forecast import Forecast
    from physics_twin.twin.scenarios import WhatIf
    from physics_twin.twin.time_to import TimeTo

MOST_PANELS = 8
"""Outputs with panels of their own when none are named."""


@plot_style.style()
def draw_forecast(
    shown: "Forecast", ax: "Axes | Sequence[Axes] | None", outputs: Sequence[str] | None, limits: Sequence[Limit]
) -> "Figure":
    """Recent samples before the present, bands of the true output and of a reading after it."""
    signals = chosen(shown.outputs, outputs)
    requirements = bind_limits(limits, shown.outputs) if limits else ()
    axes = plot_style.panels(len(signals), ax, height=2.6 if len(signals) == 1 else plot_style.PANEL_HEIGHT)
    scale = plot_style.time_scale(float(shown.times[-1]))
    t = scale(shown.times)
    for one, signal in zip(axes, signals, strict=True):
        _samples(one, shown, signal, scale)
        true = np.asarray(signal.unit.from_si(shown[signal.name].values))
        band = f"{100.0 * shown.probability:g} %"
        if signal.name in shown.noise:
            seen = np.asarray(signal.unit.from_si(shown[f"{signal.name}_measured"].values))
            one.plot(t, seen[0], color=MUTED, lw=0.9, ls=":", label=f"{band} of readings")
            one.plot(t, seen[4], color=MUTED, lw=0.9, ls=":")
        plot_style.draw_band(one, t, true[0], None, true[4], name=f"{band} of the true value")
        one.plot(t, true[2], color=MODEL, label="median", zorder=3)
        _outside(one, shown, signal, t)
        _limits(one, requirements, signal)
        one.axvline(0.0, color=MEASURED, lw=0.9, label="now")
        one.set_ylabel(plot_style.label(signal.name, signal.unit))
    for one in axes:
        if any(tick.label1.get_visible() for tick in one.xaxis.get_major_ticks()[:1]):
            one.set_xlabel(f"time from {stamp(shown.time // SECOND * SECOND)} / {scale.unit}")
    return _finished(axes, ax)


def chosen(signals: Sequence[Signal], names: Sequence[str] | None) -> list[Signal]:
    """The outputs to draw; raises UnknownNameError."""
    if names is None:
        return list(signals[:MOST_PANELS])
    known = {s.name: s for s in signals}
    for name in names:
        if name not in known:
            raise unknown_name("output", name, known)
    return [known[name] for name in names]


def _samples(one: "Axes", shown: "Forecast", signal: Signal, scale: plot_style.TimeScale) -> None:
    h = shown.history
    # As much of the past as of the future: a long history would squeeze the forecast into a corner.
    mine = (h["output"].values == signal.name) & (h["time"].values >= -float(shown.times[-1]))
    if mine.any():
        t, y = scale(h["time"].values[mine]), np.asarray(signal.unit.from_si(h["value"].values[mine]))
        used = h["used"].values[mine]
        plot_style.draw_samples(one, t[used], y[used])
        if (~used).any():
            one.plot(t[~used], y[~used], ls="", marker="x", ms=5, color=ALARM, label="measured, not used")


def _outside(one: "Axes", shown: "Forecast", signal: Signal, t: Array) -> None:
    names = {s.name for s in shown.outputs}
    where = np.zeros(t.size, dtype=bool)
    for name, outside in shown.outside.items():
        if name == signal.name or name not in names:
            where |= outside
    if where.any():
        low, high = one.get_ylim()
        style: dict[str, Any] = {"facecolor": "none", "edgecolor": MUTED, "hatch": "///", "lw": 0.0, "alpha": 0.5}
        one.fill_between(t, low, high, where=where, label="outside what is known", zorder=0.5, **style)
        one.set_ylim(low, high)


def _limits(one: "Axes", requirements: Sequence[Requirement], signal: Signal) -> None:
    for requirement in requirements:
        if requirement.output == signal.name and isinstance(requirement.reduction, Extreme | Final):
            level = float(signal.unit.from_si(requirement.level))
            one.axhline(level, color=ALARM, lw=1.2, ls="--", label=f"limit: {_words(requirement)}")


def _words(requirement: Requirement) -> str:
    text = requirement.name.replace("<=", "≤").replace(">=", "≥").replace("_", " ")
    return (
        text.replace(requirement.unit.text, plot_style.unit_text(requirement.unit)) if requirement.unit.text else text
    )


def _finished(axes: "Sequence[Axes]", ax: "Axes | Sequence[Axes] | None") -> "Figure":
    figure = plot_style.figure_of(axes)
    if ax is None:
        plot_style.one_legend(figure, axes)
    return figure


@plot_style.style()
def draw_what_if(shown: "WhatIf", ax: "Axes | Sequence[Axes] | None", outputs: Sequence[str] | None) -> "Figure":
    """Median and band of each scenario; its band is drawn at the end as a bar where several would hide each other."""
    signals = chosen(shown.outputs, outputs)
    axes = plot_style.panels(len(signals), ax, height=2.6 if len(signals) == 1 else plot_style.PANEL_HEIGHT)
    done = [s for s in shown.scenarios if s.forecast is not None]
    looks = plot_style.grayscale_safe(len(done))
    scale = plot_style.time_scale(shown.horizon)
    for one, signal in zip(axes, signals, strict=True):
        for k, (scenario, look) in enumerate(zip(done, looks, strict=True)):
            assert scenario.forecast is not None
            t = scale(scenario.forecast.times)
            band = np.asarray(signal.unit.from_si(scenario.forecast[signal.name].values))
            color, line = look["color"], look["linestyle"]
            one.fill_between(t, band[0], band[4], color=color, alpha=0.13, lw=0)
            one.plot(t, band[2], color=color, ls=line, label=scenario.name)
            # Bars beside one another after the end: shades lie over each other, and are lost in a photocopy.
            place = t[-1] * (1.0 + 0.02 * (k + 1))
            error = [[band[2, -1] - band[0, -1]], [band[4, -1] - band[2, -1]]]
            one.errorbar(
                [place], [band[2, -1]], error, color=color, marker=look["marker"], ms=4, capsize=2.5, lw=1.2, ls=""
            )
        one.set_ylabel(plot_style.label(signal.name, signal.unit))
    for one in axes:
        if any(tick.label1.get_visible() for tick in one.xaxis.get_major_ticks()[:1]):
            bars = f"bars: {100.0 * shown.probability:g} % at the end"
            one.set_xlabel(f"time from {stamp(shown.time // SECOND * SECOND)} / {scale.unit}; {bars}")
    return _finished(axes, ax)


@plot_style.style()
def draw_time_to(shown: "TimeTo", ax: "Axes | None") -> "Figure":
    """The probability that it takes longer, with the median, the interval and what is censored."""
    (one,) = plot_style.panels(1, None if ax is None else [ax], height=2.8)
    scale = plot_style.time_scale(shown.horizon)
    curve = shown.dataset
    t, left = scale(curve["time"].values), 100.0 * curve["survival"].values
    one.step(t, left, where="post", color=MODEL, label="not yet")
    one.fill_between(t, 0.0, left, step="post", color=plot_style.BAND, alpha=0.35, lw=0)
    low, high = shown.interval()
    for level, when, words in ((97.5, low, "2.5 %"), (50.0, shown.median, "median"), (2.5, high, "97.5 %")):
        if np.isfinite(when):
            place = float(scale(np.array([when]))[0])
            one.plot([place, place], [0.0, level], color=MUTED, lw=0.9, ls="--")
            text = f"{words}: {place:.4g} {scale.unit}"
            one.annotate(text, (place, level), (4, 3), textcoords="offset points", fontsize=8)
    if shown.censored > 0.0:
        text = f"{100.0 * shown.censored:.3g} % not before {scale(np.array([shown.horizon]))[0]:.4g} {scale.unit}"
        one.annotate(text, (t[-1], left[-1]), (-4, 5), textcoords="offset points", ha="right", fontsize=8, color=ALARM)
        one.plot([t[-1]], [left[-1]], marker=">", color=ALARM, ms=6, ls="", clip_on=False)
    one.set_ylim(0.0, 105.0)
    one.set_xlim(0.0, t[-1])
    one.set_xlabel(f"time from {stamp(shown.time // SECOND * SECOND)} / {scale.unit}")
    one.set_ylabel("not reached yet / %")
    one.set_title(f"time until {shown.limit}")
    return plot_style.figure_of([one])


__all__ = ["chosen", "draw_forecast", "draw_time_to", "draw_what_if"]
