"""`twin.plot()`: what was measured against what the twin knows, its parameters over time, and where it stands now."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.plot_style import ALARM, MEASURED, MODEL, MUTED
from physics_twin.signals import Signal
from physics_twin.twin.drift import estimate
from physics_twin.twin.forecast_plots import chosen
from physics_twin.twin.history import recent_samples
from physics_twin.twin.moments import SECOND, stamp
from physics_twin.twin.promotion import posterior_in_force, promotions_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.parameters import Parameter
    from physics_twin.twin.twin import Twin

WITHIN = 1.959963984540054
MOST_PARAMETERS = 6
FEW_GAPS = 8


@plot_style.style()
def plot(twin: "Twin", ax: "Sequence[Axes] | None" = None, *, outputs: Sequence[str] | None = None) -> "Figure":
    """Panels: each output that is measured (or those named) over the window, then each uncertain parameter over all
    states that are kept. ax: one for each panel.
    """
    setup = twin.setup
    measured = [s.name for s in setup.model.outputs if s.name in setup.channels]
    signals = chosen(setup.model.outputs, outputs if outputs is not None else measured or None)
    parameters = setup.parameters[:MOST_PARAMETERS]
    axes = plot_style.panels(len(signals) + len(parameters), ax, shared=False)
    history = recent_samples(twin)
    begin = float(history["time"].values.min()) if history.sizes["sample"] else 0.0
    scale = plot_style.time_scale(max(1.0, -begin))
    for one, signal in zip(axes[: len(signals)], signals, strict=True):
        _output(one, twin, signal, history, scale)
    longer = plot_style.time_scale(max(1.0, (twin.until - twin.snapshots[0].time) / SECOND))
    for one, parameter in zip(axes[len(signals) :], parameters, strict=True):
        _parameter(one, twin, parameter, longer)
    for one in axes:
        one.axvline(0.0, color=MEASURED, lw=0.9, label="now")
    figure = plot_style.figure_of(axes)
    if ax is None:
        figure.suptitle(_title(twin), x=0.01, ha="left", fontsize=10, fontweight="bold")
        plot_style.one_legend(figure, axes)
    return figure


def _output(one: "Axes", twin: "Twin", signal: Signal, history: "xr.Dataset", scale: plot_style.TimeScale) -> None:
    """Samples of one output, and the twin's own course through them with its band up to the present."""
    setup = twin.setup
    k = [s.name for s in setup.model.outputs].index(signal.name)
    mine, used = history["output"].values == signal.name, history["used"].values
    t = scale(history["time"].values)
    y = np.asarray(signal.unit.from_si(history["value"].values))
    begin = float(t[mine].min()) if mine.any() else -np.inf
    states = [s for s in twin.snapshots if np.isfinite(s.outputs[k]) and np.isfinite(s.covariance[k, k])]
    rows = [((s.time - twin.until) / SECOND, float(s.outputs[k]), float(s.covariance[k, k])) for s in states]
    if twin.until > twin.state.time and np.isfinite(float(twin.mean[signal.name])):
        rows.append((0.0, float(twin.mean[signal.name]), float(twin.spread[signal.name]) ** 2))
    if rows:
        at, middle, variance = (np.array(column) for column in zip(*rows, strict=True))
        keep = scale(at) >= begin - 1e-9 if mine.any() else np.ones(at.size, dtype=bool)
        half = WITHIN * np.sqrt(np.maximum(variance, 0.0))
        low, high, center = (np.asarray(signal.unit.from_si(v)) for v in (middle - half, middle + half, middle))
        # Older states are kept at wide intervals: a line through them would cut across what happened between.
        line, points = keep & _dense(at), keep & ~_dense(at)
        plot_style.draw_band(one, scale(at[line]), low[line], None, high[line], name="95 % band of the twin")
        one.plot(scale(at[line]), center[line], color=MODEL, label="twin", zorder=3)
        if points.any():
            error = [(center - low)[points], (high - center)[points]]
            style: dict[str, Any] = {"color": MODEL, "marker": "D", "ms": 4, "mfc": "white", "ls": "", "capsize": 2}
            one.errorbar(scale(at[points]), center[points], error, zorder=3, label="twin, single states", **style)
    plot_style.draw_samples(one, t[mine & used], y[mine & used])
    if (mine & ~used).any():
        one.plot(t[mine & ~used], y[mine & ~used], ls="", marker="x", ms=5, color=ALARM, label="measured, not used")
    one.set_ylabel(plot_style.label(signal.name, signal.unit))
    one.set_xlabel(f"time from now / {scale.unit}")


def _dense(at: Array) -> NDArray[np.bool_]:
    """(n,) True from where on states follow one another as closely as the newest do, within a factor."""
    gaps = np.diff(at)
    if not gaps.size:
        return np.ones(at.size, dtype=bool)
    wide = np.flatnonzero(gaps > FEW_GAPS * max(float(np.median(gaps[-FEW_GAPS:])), 1e-9))
    first = 0
    for k in wide[::-1]:
        if k + 1 < at.size - 1:  # the last gap, to the present, is bridged by the model
            first = int(k) + 1
            break
    return np.asarray(np.arange(at.size) >= first)


def _parameter(one: "Axes", twin: "Twin", parameter: "Parameter", scale: plot_style.TimeScale) -> None:
    """One parameter as each kept state knew it, beside the posterior in force."""
    setup = twin.setup
    c = setup.coordinates
    j = c.parameters.index(parameter.name)
    unit = parameter.unit.difference() if parameter.difference else parameter.unit

    def shown(z: Array) -> Array:
        numbers = np.exp(z) if c.logarithmic[j] else z * c.scale[c.n_states + j]
        return np.asarray(unit.from_si(numbers, parameter.difference))

    known = [estimate(setup, state) for state in twin.snapshots]
    middle = np.array([float(e.mean[j]) for e in known])
    half = WITHIN * np.sqrt(np.array([float(e.variance[j]) for e in known]))
    t = scale(np.array([(state.time - twin.until) / SECOND for state in twin.snapshots]))
    ends = np.asarray(unit.from_si(np.array(parameter.bounds), parameter.difference))
    low, high = (np.clip(shown(edge), *ends) for edge in (middle - half, middle + half))
    plot_style.draw_band(one, t, low, None, high, name="95 % band of the twin")
    one.plot(t, shown(middle), color=MODEL, label="twin", zorder=3)
    posterior = posterior_in_force(twin)
    if parameter.name in posterior.parameters:
        reference = float(np.asarray(unit.from_si(float(np.median(posterior[parameter.name])), parameter.difference)))
        one.axhline(reference, color=MUTED, lw=1.0, ls=":", label="posterior in force (median)")
    for promotion in promotions_of(twin.audit):
        at = float(scale(np.array([(promotion.time - twin.until) / SECOND]))[0])
        if at >= t[0]:
            one.axvline(at, color=ALARM, lw=1.0, ls="-.", label="promoted or taken back")
    one.set_ylabel(plot_style.label(parameter.name, unit))
    one.set_xlabel(f"time from now / {scale.unit}")


def _title(twin: "Twin") -> str:
    b = twin.state.batch
    said = f"{twin.setup.model.name} at {stamp(twin.until // SECOND * SECOND)}, {twin.state.mode.value}"
    said += f", batch {b.name}" if b.name else ""
    return f"{said}; prediction only: {twin.reason}" if twin.reason else said


__all__ = ["plot"]
