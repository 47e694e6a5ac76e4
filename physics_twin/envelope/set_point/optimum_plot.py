"""The picture of a set point: the objective along each setting, and where limits are broken."""

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from physics_twin.envelope.set_point.pareto import plot_front

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from physics_twin.envelope.set_point.optimum import SetPoint

N_FINE = 501


def plot_set_point(found: "SetPoint", ax: Any = None) -> "Figure":
    """A panel for each setting, the others held; `ax` for one setting or a front of two objectives."""
    if found.front is not None:
        return plot_front(found.front, ax)
    n = len(found.declared)
    if ax is None:
        figure, axes = plt.subplots(1, n, figsize=(4.2 * n, 3.4), squeeze=False, layout="constrained", sharey=True)
        places = list(axes[0])
    else:
        figure, places = ax.figure, [ax]
    objective = found.objectives[0]
    for place, setting in zip(places, found.declared, strict=False):
        x = np.asarray(setting.unit.from_si(found.slices[setting.name].values), dtype=float)
        y = np.asarray(objective.unit.from_si(found.slices[f"objective_{setting.name}"].values), dtype=float)
        fine = np.linspace(x[0], x[-1], N_FINE)  # the edge lies between nodes
        broken = np.interp(fine, x, found.slices[f"margin_{setting.name}"].values) < -1e-6
        at = float(setting.unit.from_si(found.settings[setting.name]))
        place.plot(x, y, color="0.1", linewidth=1.4, label=objective.name)
        if broken.any():
            place.fill_between(
                fine,
                0.0,
                1.0,
                where=broken,
                transform=place.get_xaxis_transform(),
                color="0.85",
                label="a limit is broken",
            )
        place.plot([at], [objective.unit.from_si(objective.value)], "D", color="0.1", label="set point")
        place.set_xlabel(f"{setting.name} in {setting.unit.text}")
    places[0].set_ylabel(f"{objective.name} in {objective.unit.text}")
    places[0].legend(frameon=False)
    return figure
