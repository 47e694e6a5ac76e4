"""Picture of an ensemble smoother: how the spread of each parameter and the misfit of each member came down."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.posterior.result import Posterior

NAMED = 7
"""Parameters up to which each has a line of its own; more are shown as a band from the least spread to the most."""


@plot_style.style()
def ensemble(posterior: "Posterior", ax: "Sequence[Axes] | None" = None) -> "Figure":
    """See `Posterior.plot_ensemble`."""
    found = posterior.diagnostics
    if not {"spread", "misfit", "kept_variance"} <= set(found.data_vars):
        method = posterior.provenance.get("method", "unknown")
        raise CalibrationError(
            f"this posterior was not made by an ensemble smoother (method: {method}); plot_fit() and plot_parameters() "
            "draw any"
        )
    axes = plot_style.panels(2, ax, height=2.4, columns=2, shared=False)
    spread = np.asarray(found["spread"].values)
    with np.errstate(invalid="ignore"):
        share = spread / spread[0]
    forecasts = np.arange(float(len(share)))
    _draw_spread(axes[0], forecasts, share, [str(name) for name in found.coords["parameter"].values])
    by_chance = np.sqrt(np.asarray(found["kept_variance"].values))
    axes[0].plot(forecasts, by_chance, color=plot_style.ALARM, ls="--", label="no data depend on it")
    axes[0].set_ylim(0.0, max(1.05, float(np.nanmax(share)) * 1.05))
    axes[0].set_ylabel("spread, of that of the prior")
    axes[0].legend(fontsize="small", loc="best")

    misfit = np.asarray(found["misfit"].values) / len(_used(posterior))
    axes[1].plot(forecasts, misfit, color=plot_style.BAND, lw=0.6, alpha=0.6)
    axes[1].plot(forecasts, np.nanmedian(misfit, axis=1), color=plot_style.MODEL, marker="o", label="median member")
    axes[1].axhline(1.0, color=plot_style.MUTED, ls=":", label="noise alone")
    axes[1].set_yscale("log")
    axes[1].set_ylabel("misfit per sample")
    axes[1].legend(fontsize="small", loc="best")
    for one in axes:
        one.set_xlabel("assimilations done")
        one.set_xticks(forecasts, [f"{k:.0f}" for k in forecasts])
    return plot_style.figure_of(axes)


def _draw_spread(one: "Axes", forecasts: Array, share: Array, names: Sequence[str]) -> None:
    """Spread over that of the prior (n_forecasts, n_parameters): lines, or a band."""
    if len(names) <= NAMED:
        for k, (name, line) in enumerate(zip(names, plot_style.grayscale_safe(len(names)), strict=True)):
            one.plot(forecasts, share[:, k], label=name, ms=4, **line)
        return
    low, middle, high = np.nanquantile(share, [0.0, 0.5, 1.0], axis=1)
    plot_style.draw_band(one, forecasts, low, None, high, name=f"{len(names)} parameters")
    one.plot(forecasts, middle, color=plot_style.MODEL, marker="o", ms=4, label="median parameter")


def _used(posterior: "Posterior") -> Array:
    whitened = np.asarray(posterior.residuals["whitened"].values)
    return whitened[np.isfinite(whitened)]
