"""The picture of an influence: bars by source, the one worth narrowing the most on top; readable in gray."""

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from physics_twin import plot_style
from physics_twin.errors import unknown_name

LONGEST = 24
"""Letters of a source's name, from which on it takes another line."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from physics_twin.envelope.influence.influence import Influence


def plot_influence(found: "Influence", place: str, limit: str | None) -> "Figure":
    """See `Influence.plot`."""
    row = found.place(found.places[0].name if place == "set point" else place)
    chosen = found.places[row].limit if limit is None else limit
    if chosen not in found.limits:
        raise unknown_name("limit", chosen, found.limits)
    column = found.limits.index(chosen)
    unit = found.units[column].difference()
    gains = unit.from_si(found.gains[row, column], True)
    order = np.argsort(-gains, kind="stable")
    at = np.arange(len(order))
    with plot_style.style():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(plot_style.FIGURE_WIDTH, 1.7 + 0.36 * len(order)), sharey=True, layout="constrained"
        )
        left.barh(at, 100.0 * found.shares[row, column, order], color=plot_style.BAND, edgecolor=plot_style.MEASURED)
        left.set_xlabel("share of the margin's variance / %")
        errors = unit.from_si(found.gain_errors[row, column], True)[order]
        right.barh(
            at,
            gains[order],
            xerr=np.nan_to_num(errors),
            capsize=2,
            color=plot_style.MODEL,
            edgecolor=plot_style.MEASURED,
        )
        right.set_xlabel(plot_style.label("gain of margin, narrowed (+- 1 sd)", unit.text))
        left.set_yticks(at, [plot_style.wrapped(found.sources[k].name.replace("_", " "), LONGEST) for k in order])
        left.set_ylim(len(order) - 0.5, -0.5)
        for ax in (left, right):
            ax.axvline(0.0, color=plot_style.MEASURED, lw=0.8)
            ax.grid(visible=False, axis="y")
        figure.suptitle(
            f"What narrowing a source to {found.narrowed:g} of its spread buys\n{found.places[row].name}: {chosen}",
            fontsize=10,
            fontweight="bold",
        )
    return figure
