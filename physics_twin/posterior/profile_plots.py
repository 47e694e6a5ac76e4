"""Pictures of profiles: how much the fit gets worse when one unknown is held at another value."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.parameters import Parameter
from physics_twin.plot_style import ALARM, BAND, MEASURED, MODEL, MUTED, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.posterior.result import Posterior

HEADROOM = 1.45
"""Height of a panel over the highest threshold."""
SPACE = 0.06
"""Room beside the last point of a profile, as a share of its width."""
DECADES = 30.0
"""Last value over the first from which an axis is logarithmic."""
WRAPPED = 46
"""Letters in a line of a title."""
LINES = 5
"""Lines of a title: the whole sentence stands in `posterior.verdicts`."""
PANEL_HEIGHT = 3.0


@plot_style.style()
def profiles(
    posterior: "Posterior", names: Sequence[str] | None = None, ax: "Axes | Sequence[Axes] | None" = None
) -> "Figure":
    """One panel per parameter: rise of -2 log posterior against its value in the declared unit.

    names: which parameters; all that have a profile by default. Thresholds are lines with their probability, the
    parabola of the Laplace approximation is dashed, values beyond a bound are hatched, the verdict is the title.

    Raises CalibrationError for a posterior, or a parameter, without a profile.
    """
    data = posterior.diagnostics
    if "rise_of_data" not in data or "profile" not in data.dims:
        raise CalibrationError(
            "this posterior holds no profiles; calibrate with method=pt.ProfileLikelihood() to have them"
        )
    known = [str(name) for name in data["profile"].values]
    chosen = known if names is None else [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in known:
            raise CalibrationError(f'there is no profile of "{name}"; there are profiles of {", ".join(known)}')
    axes = plot_style.panels(len(chosen), ax, height=PANEL_HEIGHT, shared=False, columns=min(len(chosen), 2))
    for axis, name in zip(axes, chosen, strict=True):
        _panel(axis, posterior, data.sel(profile=name))
    figure = plot_style.figure_of(axes)
    if ax is None:
        plot_style.one_legend(figure, axes)
    return figure


def _panel(axis: "Axes", posterior: "Posterior", data: xr.Dataset) -> None:
    name = str(data["profile"].item())
    parameter = posterior.parameters[name]
    n = int(data["n_points"])
    x = _declared(parameter, data["value"].values[:n])
    rise = np.maximum(data["rise"].values[:n], 0.0)
    finite = data["threshold"].values[np.isfinite(data["threshold"].values)]
    top = HEADROOM * float(finite.max())
    logarithmic = bool(x[0] > 0.0 and x[-1] > DECADES * x[0])
    low, high = _limits(x, logarithmic)
    if logarithmic:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        axis.set_xscale("log")
        # 1, 2, 5, 10 as plain numbers: the default writes 3 x 10^-1 at every step, one over the other.
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=7))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    at = float(_declared(parameter, np.array(float(posterior.mode[name]))))
    for probability, ends in zip(data["probability"].values, data["threshold"].values, strict=True):
        level = float(ends[np.isfinite(ends)].max())
        left, right = np.where(np.isfinite(ends), ends, level)
        axis.hlines([left, right], [low, at], [at, high], color=MUTED, lw=0.8, ls=":", zorder=1)
        axis.annotate(
            f"{100.0 * probability:g} %",
            (0.995, right),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color=MEASURED,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            zorder=6,
        )
    grid = np.geomspace(low, high, 300) if logarithmic else np.linspace(low, high, 300)
    axis.plot(
        grid, _parabola(posterior, parameter, data, grid), color=MUTED, lw=1.0, ls="--", label="parabola (Laplace)"
    )
    interval = [_declared(parameter, np.array(end)) for end in data["interval"].values[-1]]
    widest = float(data["probability"].values[-1])
    axis.axvspan(max(float(interval[0]), low), min(float(interval[1]), high), color=BAND, alpha=0.35, lw=0, zorder=0,
                 label=f"{100.0 * widest:g} % interval")  # fmt: skip
    mode = int(np.argmin(np.abs(data["value"].values[:n] - float(posterior.mode[name]))))
    axis.plot(*_smooth(x, rise, mode, float(data["lift"]), logarithmic), color=MODEL, label="profile", zorder=3)
    axis.plot(x, rise, color=MODEL, ls="", marker="o", ms=3.0, zorder=3)
    axis.plot([at], [float(rise[mode])], ls="", marker="D", ms=5.5, mfc="white", mec=MEASURED, label="mode", zorder=4)
    for side, edge in ((0, 0), (1, -1)):
        if str(data["end"].values[side]) == "failed":
            axis.plot([x[edge]], [min(rise[edge], 0.97 * top)], ls="", marker="X", ms=7, color=ALARM,
                      label="no fit beyond", zorder=5)  # fmt: skip
    _hatch(axis, parameter, low, high)
    axis.set_xlim(low, high)
    axis.set_ylim(-0.03 * top, top)
    axis.set_xlabel(label(name, parameter.unit.difference() if parameter.difference else parameter.unit))
    axis.set_ylabel("rise of −2 ln(posterior)")
    verdict = posterior.verdicts.get(name)
    axis.set_title(_title(name, "" if verdict is None else str(verdict)), fontsize=8.0, fontweight="normal")


def _smooth(x: Array, rise: Array, mode: int, lift: float, logarithmic: bool) -> tuple[Array, Array]:
    """The profile between its points: its signed root is nearly straight where the profile is nearly a parabola."""
    if x.size < 3:
        return x, rise
    from scipy.interpolate import PchipInterpolator

    at = np.log(x) if logarithmic else x
    root = np.where(np.arange(x.size) < mode, -1.0, 1.0) * np.sqrt(rise + lift)
    grid = np.unique(np.concatenate([np.linspace(at[0], at[-1], 400), at]))
    curve = PchipInterpolator(at, root)(grid) ** 2 - lift
    return (np.exp(grid) if logarithmic else grid), np.asarray(curve)


def _title(name: str, verdict: str) -> str:
    lines = textwrap.wrap(f"{name}: {verdict}" if verdict else name, WRAPPED)
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], lines[LINES - 1] + " ..."])


def _declared(parameter: Parameter, x: Array) -> Array:
    return np.asarray(parameter.unit.from_si(np.asarray(x, dtype=float), parameter.difference))


def _limits(x: Array, logarithmic: bool) -> tuple[float, float]:
    """A little more than the points."""
    if logarithmic:
        room = SPACE * float(np.log(x[-1] / x[0]))
        return float(x[0] * np.exp(-room)), float(x[-1] * np.exp(room))
    room = SPACE * float(x[-1] - x[0]) or 0.5 * abs(float(x[0])) or 1.0
    return float(x[0]) - room, float(x[-1]) + room


def _parabola(posterior: "Posterior", parameter: Parameter, data: xr.Dataset, grid: Array) -> Array:
    """The rise that the Laplace approximation expects, from its center, which lies beyond an active bound."""
    name = str(data["profile"].item())
    sd = posterior.standard_errors[name]  # correlated residuals raise the thresholds, not the rise
    away = (np.asarray(parameter.unit.to_si(grid, parameter.difference)) - float(posterior.mode[name])) / sd
    lift = float(data["lift"])
    outward = 1.0 if float(posterior.mode[name]) <= np.nanmin(data["value"].values) else -1.0
    inside = (away * outward + np.sqrt(lift)) ** 2 - lift if lift > 0.0 else away**2
    return np.asarray(inside)


def _hatch(axis: "Axes", parameter: Parameter, low: float, high: float) -> None:
    """Mark what lies beyond the bounds and the support of the prior."""
    support = (-np.inf, np.inf) if parameter.prior is None else parameter.prior.support
    lower = float(_declared(parameter, np.array(max(parameter.bounds[0], support[0]))))
    upper = float(_declared(parameter, np.array(min(parameter.bounds[1], support[1]))))
    hatched: dict[str, Any] = {"facecolor": "white", "edgecolor": MUTED, "hatch": "////", "lw": 0.0, "zorder": 2.5}
    if low < lower:
        axis.axvspan(low, lower, label="beyond its bound", **hatched)
        axis.axvline(lower, color=MEASURED, lw=1.0, zorder=2.6)
    if high > upper:
        axis.axvspan(upper, high, label="beyond its bound", **hatched)
        axis.axvline(upper, color=MEASURED, lw=1.0, zorder=2.6)
