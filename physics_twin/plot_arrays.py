"""Pictures of arrays of sensors over their places: profiles along a line, maps of a cloud."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin import plot_style
from physics_twin.arrays import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = ("x", "y", "z")
STRAIGHT = 1e-6
"""Width over length of an array up to which it is drawn as a profile."""


@dataclass(frozen=True)
class Layout:
    """Places of an array, (n, k) in m, as they are drawn: along a line, or in the plane in which they spread most."""

    shown: Array
    """(n,) or (n, 2) in `unit`"""
    labels: tuple[str, ...]
    unit: str

    @property
    def profile(self) -> bool:
        """Whether the array is drawn over one axis."""
        return self.shown.ndim == 1

    @classmethod
    def of(cls, places: Array) -> "Layout":
        """The layout of places (n, k) in m."""
        places = np.asarray(places, dtype=float)
        extent = np.ptp(places, axis=0)
        unit, factor = ("mm", 1e3) if extent.max() < 0.2 else ("cm", 1e2) if extent.max() < 2.0 else ("m", 1.0)
        order = np.argsort(-extent, kind="stable")
        size = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
        if places.shape[1] == 1 or size[1] <= STRAIGHT * max(size[0], 1e-300):
            along = order[0]
            inclined = extent[order[1]] > STRAIGHT * extent.max() if places.shape[1] > 1 else False
            s = np.linalg.norm(places - places[np.argmin(places[:, along])], axis=1) if inclined else places[:, along]
            return cls(s * factor, (f"{'distance' if inclined else AXES[along]} / {unit}",), unit)
        chosen = np.sort(order[:2])
        return cls(places[:, chosen] * factor, tuple(f"{AXES[k]} / {unit}" for k in chosen), unit)


def draw_profile(
    ax: "Axes",
    layout: Layout,
    observed: Array,
    model: Array | None = None,
    band: "tuple[Array, Array] | None" = None,
    outside: "NDArray[np.bool_] | None" = None,
    name: str = "measured",
    band_name: str = "95 % band of a measurement",
) -> None:
    """Draw samples (n,) over a line with the model (n,) and its band ((n,), (n,)) at the same places."""
    order = np.argsort(layout.shown, kind="stable")
    s = layout.shown[order]
    if band is not None:
        low, high = (edge[order] for edge in band)
        plot_style.draw_band(ax, s, low, None if model is None else model[order], high, name=band_name)
    elif model is not None:
        ax.plot(s, model[order], color=plot_style.MODEL, label="model", zorder=3)
    plot_style.draw_samples(
        ax, s, np.asarray(observed)[order], name=name, outside=None if outside is None else outside[order]
    )
    ax.set_xlabel(layout.labels[0])


def draw_map(
    ax: "Axes",
    layout: Layout,
    values: Array,
    title: str,
    label: str,
    *,
    symmetric: bool = False,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw values (n,) as colors over a plane; symmetric: about zero, white where nothing is left.

    limits: of the colors, to compare maps. Without them 99 % of the values have their own color: one bad point must
    not wash out all others.
    """
    x, y = layout.shown.T
    finite = values[np.isfinite(values)]
    if symmetric:
        reach = float(np.quantile(np.abs(finite), 0.99)) if finite.size else 1.0
        limits = (-reach, reach)
    elif limits is None:
        limits = color_limits(values)
    low, high = limits
    style: dict[str, Any] = {"cmap": "PuOr" if symmetric else "cividis", "vmin": low, "vmax": high}  # color-blind safe
    image = ax.scatter(x, y, c=values, s=max(2.0, min(20.0, 6000.0 / max(len(x), 1))), lw=0, **style)
    ax.set_aspect("equal")
    ax.grid(visible=False)
    ax.set_title(title, fontsize=9)
    ax.set_xlabel(layout.labels[0])
    ax.set_ylabel(layout.labels[1])
    beyond = bool((finite < low).any()), bool((finite > high).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[beyond]
    flat = float(np.ptp(x)) > 1.5 * float(np.ptp(y))
    place: dict[str, Any] = {"location": "bottom", "aspect": 40} if flat else {"location": "right"}
    plot_style.figure_of([ax]).colorbar(image, ax=ax, label=label, extend=extend, **place)


def color_limits(*values: Array) -> tuple[float, float]:
    """Limits of colors that hold the middle 99 % of all values."""
    together = np.concatenate([v[np.isfinite(v)] for v in values])
    if not together.size:
        return 0.0, 1.0
    low, high = np.quantile(together, [0.005, 0.995])
    return float(low), float(high) if high > low else float(low) + 1.0


__all__ = ["Layout", "color_limits", "draw_map", "draw_profile"]
