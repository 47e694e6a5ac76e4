"""Pictures of posteriors and predictions; every axis carries its unit."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.parameters import Parameter
from physics_twin.plot_arrays import Layout, color_limits, draw_map
from physics_twin.plot_style import MEASURED, MODEL, label
from physics_twin.units import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.posterior.prediction import Prediction
    from physics_twin.posterior.result import Posterior

BLUE, ORANGE, GRAY = "#1f5fa8", "#c8561b", "#8a8a8a"
"""Two colors that stay apart in grayscale and for the color-blind."""
_CLOCKS = ((3.0 * 86400.0, "d", 86400.0), (7200.0, "h", 3600.0), (300.0, "min", 60.0), (0.0, "s", 1.0))


FEW = 40  # samples up to which a line between them would be taken for the model
MOST_PANELS = 36
"""Up to here each experiment has panels of its own; beyond, all of them are drawn over each other."""


def panels(
    n: int,
    ax: "Axes | Sequence[Axes] | None",
    width: float = 4.2,
    height: float = 2.9,
    columns: int | None = None,
) -> "tuple[Figure, Any]":
    """`n` axes: those given, or a new figure of up to three columns."""
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if ax is not None:
        given = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
        if len(given) < n:
            raise ValueError(f"{n} axes are needed and {len(given)} given")
        figure = given[0].get_figure(root=True)
        assert figure is not None
        return figure, given[:n]
    from matplotlib import pyplot as plt

    columns = min(n, 3) if columns is None else columns
    rows = -(-n // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained"
    )
    axes = grid.ravel().tolist()
    for spare in axes[n:]:
        spare.set_visible(False)
    assert isinstance(figure, Figure)
    return figure, axes[:n]


def clock(longest: float) -> tuple[str, float]:
    """Unit of a time axis and its seconds."""
    return next((text, factor) for limit, text, factor in _CLOCKS if longest >= limit)


def _declared(parameter: Parameter, x: Any) -> Any:
    return parameter.unit.from_si(np.asarray(x, dtype=float), parameter.difference)


def _own_unit(parameter: Parameter) -> Unit:
    return parameter.unit.difference() if parameter.difference else parameter.unit


@plot_style.style()
def parameters(posterior: "Posterior", ax: "Sequence[Axes] | None" = None) -> "Figure":
    """Histogram, prior, mode and 95 % interval of each parameter."""
    figure, axes = panels(len(posterior.names), ax)
    for axis, (name, p) in zip(axes, posterior.parameters.items(), strict=True):
        x = _declared(p, posterior[name])
        axis.hist(x, bins="auto" if np.ptp(x) > 0 else 1, density=True, color=BLUE, alpha=0.55, label="posterior")
        low, high = (float(_declared(p, end)) for end in posterior.interval(name))
        axis.axvspan(low, high, color=BLUE, alpha=0.12, lw=0, label="95 %")
        axis.axvline(float(_declared(p, posterior.mode[name])), color=BLUE, lw=1.5, label="mode")
        if p.prior is not None:
            left, right = axis.get_xlim()
            grid = np.linspace(left, right, 200)
            inside = np.asarray(p.unit.to_si(grid, p.difference))
            density = np.exp(np.asarray(p.prior.logpdf(inside))) * abs(_own_unit(p).factor)
            axis.plot(grid, density, color=ORANGE, lw=1.5, label="prior")
        axis.set_xlabel(label(name, _own_unit(p)))
        axis.set_yticks([])
        verdict = posterior.verdicts.get(name)
        if verdict is not None and not verdict.identified:
            axis.set_title(verdict.identification.value, fontsize=9, color=ORANGE)
    axes[0].legend(fontsize=8, frameon=False)
    return figure


@plot_style.style()
def pairs(posterior: "Posterior", names: Sequence[str] | None = None) -> "Figure":
    """Scatter of each pair, histograms on the diagonal."""
    from matplotlib import pyplot as plt

    chosen = list(posterior.names if names is None else names)
    columns = [_declared(posterior.parameters[n], posterior[n]) for n in chosen]
    n = len(chosen)
    figure, grid = plt.subplots(
        n, n, figsize=(1.1 + 1.7 * n, 1.1 + 1.7 * n), squeeze=False, layout="constrained", sharex="col"
    )
    for i in range(n):
        for j in range(n):
            axis = grid[i, j]
            if j > i:
                axis.set_visible(False)
            elif i == j:
                axis.hist(columns[i], bins=30, color=BLUE, alpha=0.6)
                axis.set_yticks([])
            else:
                axis.plot(columns[j], columns[i], ".", ms=2, color=BLUE, alpha=0.35, rasterized=True)
                with np.errstate(invalid="ignore", divide="ignore"):
                    r = np.corrcoef(columns[j], columns[i])[0, 1]
                axis.annotate(f"r = {r:.2f}", (0.04, 0.9), xycoords="axes fraction", fontsize=8)
            axis.tick_params(labelsize=7)
            if i == n - 1:
                axis.set_xlabel(label(chosen[j], _own_unit(posterior.parameters[chosen[j]])), fontsize=8)
            if j == 0 and i > 0:
                axis.set_ylabel(label(chosen[i], _own_unit(posterior.parameters[chosen[i]])), fontsize=8)
    return figure


def _by_output(posterior: "Posterior") -> dict[str, list[tuple[str, Any]]]:
    """Output or array of sensors -> (experiment, its samples)."""
    data = posterior.residuals
    outputs, experiments = data["output"].values, data["experiment"].values
    series = outputs
    if "array" in data:
        series = np.where(data["array"].values != "", data["array"].values, outputs)
    found: dict[str, list[tuple[str, Any]]] = {}
    for key, experiment in dict.fromkeys((c.array or c.output, c.experiment) for c in posterior.channels):
        rows = np.flatnonzero((series == key) & (experiments == experiment))
        found.setdefault(key, []).append((experiment, data.isel(sample=rows)))
    return found


def _unit_of(posterior: "Posterior", series: str) -> Unit:
    return Unit(next(c.unit for c in posterior.channels if series in (c.array, c.output)))


def _layout(d: Any) -> Layout | None:
    """Where the samples of an array sit; None for those of an output over time."""
    if "array" not in d or not (d["array"].values != "").all():
        return None
    places = np.column_stack([d[name].values for name in ("place_x", "place_y", "place_z") if name in d])
    return Layout.of(places[:, np.isfinite(places).all(axis=0)])


@plot_style.style()
def fit(posterior: "Posterior", ax: "Sequence[Axes] | None" = None) -> "Figure":
    """Data and model at the mode over time or, for an array, over its places; unused samples are crosses.

    Several experiments have panels of their own, a row each where they show the same two or three outputs; on axes that
    are given, one an output, they lie over each other. An array that spreads over a plane has two panels for each
    experiment: measured and model.
    """
    series_runs = _by_output(posterior)
    over_time = all(_layout(runs[0][1]) is None for runs in series_runs.values())
    counts = [len(runs) for runs in series_runs.values()]
    if ax is None and over_time and max(counts) > 1 and sum(counts) <= MOST_PANELS:
        return _fit_apart(posterior, series_runs)
    draws: list[Any] = []
    for series, runs in series_runs.items():
        unit, layout = _unit_of(posterior, series), _layout(runs[0][1])
        if layout is None:
            draws.append(partial(_fit_over_time, series=series, runs=runs, unit=unit))
        elif layout.profile:
            draws.append(partial(_fit_profile, series=series, runs=runs, unit=unit))
        else:
            for name, d in runs:
                suffix = f" ({name})" if len(runs) > 1 else ""
                used = d["used"].values
                limits = color_limits(np.asarray(unit.from_si(d["observed"].values[used])))
                for what, key in (("measured", "observed"), ("model", "predicted")):
                    title = f"{series}: {what}{suffix}"
                    draws.append(partial(_map, d=d, key=key, title=title, unit=unit, limits=limits))
    figure, axes = panels(len(draws), ax)
    for axis, draw in zip(axes, draws, strict=True):
        draw(axis)
    if axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(fontsize=7, frameon=False)
    return figure


def _fit_apart(posterior: "Posterior", series_runs: dict[str, list[tuple[str, Any]]]) -> "Figure":
    """Draw a panel for each experiment and output, with one scale an output."""
    names = list(dict.fromkeys(name for runs in series_runs.values() for name, _ in runs))
    complete = all(len(runs) == len(names) for runs in series_runs.values())
    columns = len(series_runs) if complete and 1 < len(series_runs) <= 3 else None
    cells = [(name, series) for name in names for series, runs in series_runs.items() if name in dict(runs)]
    figure, axes = panels(len(cells), None, height=2.3, columns=columns)
    own: dict[str, list[Any]] = {}
    for axis, (name, series) in zip(axes, cells, strict=True):
        found = [(name, dict(series_runs[series])[name])]
        _fit_over_time(axis, series=series, runs=found, unit=_unit_of(posterior, series))
        axis.set_title(name)
        own.setdefault(series, []).append(axis)
    for alike in own.values():
        low, high = min(one.get_ylim()[0] for one in alike), max(one.get_ylim()[1] for one in alike)
        for one in alike:
            one.set_ylim(low, high)
    plot_style.one_legend(figure, axes)
    return figure


def _map(axis: "Axes", d: Any, key: str, title: str, unit: Unit, limits: tuple[float, float] | None = None) -> None:
    layout, used = _layout(d), d["used"].values
    assert layout is not None
    residual = key == "residual"
    values = np.asarray(unit.from_si(d[key].values[used], residual))
    text = unit.difference().text if residual else unit.text
    shown = Layout(layout.shown[used], layout.labels, layout.unit)
    draw_map(axis, shown, values, title, plot_style.unit_text(text), symmetric=residual, limits=limits)


def _fit_profile(axis: "Axes", series: str, runs: Sequence[tuple[str, Any]], unit: Unit) -> None:
    for k, (name, d) in enumerate(runs):
        color = f"C{k}" if len(runs) > 1 else None
        suffix = f" ({name})" if len(runs) > 1 else ""
        layout, used = _layout(d), d["used"].values
        assert layout is not None
        y, model = (np.asarray(unit.from_si(d[key].values)) for key in ("observed", "predicted"))
        for time in np.unique(d["time"].values):
            now = d["time"].values == time
            order = np.flatnonzero(now & used)[np.argsort(layout.shown[now & used], kind="stable")]
            axis.plot(layout.shown[order], model[order], "-", lw=1.3, color=color or MODEL, label=f"model{suffix}")
            axis.plot(layout.shown[order], y[order], "o", ms=4, mfc="white", mec=color or MEASURED, ls="")
            axis.plot(layout.shown[now & ~used], y[now & ~used], "x", ms=4, color=GRAY)
        axis.lines[-2].set_label(f"measured{suffix}")
        axis.set_xlabel(layout.labels[0])
    axis.set_ylabel(label(series, unit))


def _fit_over_time(axis: "Axes", series: str, runs: Sequence[tuple[str, Any]], unit: Unit) -> None:
    text, factor = clock(max(float(np.nanmax(d["time"].values)) for _, d in runs))
    for k, (name, d) in enumerate(runs):
        color = f"C{k}" if len(runs) > 1 else MEASURED
        suffix = f" ({name})" if len(runs) > 1 else ""
        t, used = d["time"].values / factor, d["used"].values
        y = np.asarray(unit.from_si(d["observed"].values))
        sides = np.where(used, d["side"].values, 0) if "side" in d else np.zeros(t.size)
        exact = used & (sides == 0)
        axis.plot(t[exact], y[exact], "o", ms=4, mfc="white", mec=color, label=f"measured{suffix}")
        for side, mark, words in ((-1, "v", "below a limit"), (1, "^", "above a limit")):
            if (sides == side).any():
                axis.plot(t[sides == side], y[sides == side], mark, ms=5, mfc="white", mec=color, ls="", label=words)
        if (~used).any():
            axis.plot(t[~used], y[~used], "x", ms=4, color=GRAY, label="not used")
        model = np.asarray(unit.from_si(d["predicted"].values))[used]
        if used.sum() > FEW:
            axis.plot(t[used], model, "-", lw=1.3, color=color if len(runs) > 1 else MODEL, label=f"model{suffix}")
        else:  # a line through few samples would claim what lies between them
            axis.plot(t[used], model, "_", ms=9, mew=1.8, color=MODEL, label=f"model{suffix}")
            axis.vlines(t[exact], y[exact], model[exact[used]], color=GRAY, lw=0.8)
    axis.set_xlabel(f"time / {text}")
    axis.set_ylabel(label(series, unit))


@plot_style.style()
def residuals(posterior: "Posterior", ax: "Sequence[Axes] | None" = None) -> "Figure":
    """Observed minus model with twice the noise, one panel per output over time or array over its places."""
    draws: list[Any] = []
    for series, runs in _by_output(posterior).items():
        own = [c for c in posterior.channels if series in (c.array, c.output)]
        layout = _layout(runs[0][1])
        if layout is None or layout.profile:
            band = 2.0 * max(c.noise for c in own)
            draws.append(partial(_residual_lines, series=series, runs=runs, unit=own[0].difference_unit, band=band))
        else:
            for name, d in runs:
                suffix = f" ({name})" if len(runs) > 1 else ""
                title = f"{series}: measured minus model{suffix}"
                draws.append(partial(_map, d=d, key="residual", title=title, unit=own[0].difference_unit))
    figure, axes = panels(len(draws), ax)
    for axis, draw in zip(axes, draws, strict=True):
        draw(axis)
    if ax is None and axes[0].get_legend_handles_labels()[0]:
        plot_style.one_legend(figure, axes)
    elif axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(fontsize=7, frameon=False)
    return figure


def _residual_lines(axis: "Axes", series: str, runs: Sequence[tuple[str, Any]], unit: Unit, band: float) -> None:
    text, factor = clock(max(float(np.nanmax(d["time"].values)) for _, d in runs))
    words = f"time / {text}"
    for k, (name, d) in enumerate(runs):
        used, layout = d["used"].values, _layout(d)
        where = d["time"].values / factor
        if layout is not None:
            where, words = layout.shown, layout.labels[0]
        y = np.asarray(unit.from_si(d["residual"].values[used], True))
        color = f"C{k}" if len(runs) > 1 else BLUE
        line = {"ls": "-", "lw": 0.6} if used.sum() > FEW and layout is None else {"ls": ""}
        axis.plot(where[used], y, marker="o", ms=3.5, color=color, label=name, **line)
    axis.axhline(0.0, color="black", lw=0.8)
    axis.axhspan(-band, band, color=GRAY, alpha=0.15, lw=0, label="2 noise")
    axis.set_xlabel(words)
    axis.set_ylabel(f"residual of {label(series, unit)}")


@plot_style.style()
def prediction(predicted: "Prediction", ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
    """Bands of each output over time; what lies outside what is known is shaded."""
    bands = predicted.in_units()
    figure, axes = panels(len(predicted.outputs), ax)
    times: Array = predicted.times
    text, factor = clock(float(times.max()) if times.size else 0.0)
    t = times / factor
    names = {signal.name for signal in predicted.outputs}
    for axis, signal in zip(axes, predicted.outputs, strict=True):
        outside = np.zeros(times.size, dtype=bool)
        for name, where in predicted.extrapolated.items():
            if name == signal.name or name not in names:
                outside |= where
        true, seen = bands[signal.name].values, bands[f"{signal.name}_measured"].values
        if not np.array_equal(true, seen):
            axis.fill_between(t, seen[0], seen[4], color=GRAY, alpha=0.18, lw=0, label="95 % of measurements")
        axis.fill_between(t, true[0], true[4], color=BLUE, alpha=0.22, lw=0, label="95 %")
        axis.fill_between(t, true[1], true[3], color=BLUE, alpha=0.35, lw=0, label="50 %")
        axis.plot(t, true[2], color=BLUE, lw=1.4, label="median")
        if outside.any():
            low, high = axis.get_ylim()
            axis.fill_between(
                t, low, high, where=outside, color=ORANGE, alpha=0.10, lw=0, label="outside what is known"
            )
            axis.set_ylim(low, high)
        axis.set_xlabel(f"time / {text}")
        axis.set_ylabel(label(signal.name, signal.unit))
    axes[0].legend(fontsize=7, frameon=False)
    return figure
