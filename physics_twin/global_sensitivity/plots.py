"""Pictures of influences: bars with intervals for shares of the variance, sizes against spread for a screening."""

from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style
from physics_twin.global_sensitivity.result import Influences, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_table(found: Influences, table: Table, n_shown: int) -> "Figure":
    """One quantity."""
    names = found.ranked(table.name)[:n_shown]
    with plot_style.style():
        return _effects(found, table, names) if "mu_star" in table.indices else _shares(found, table, names)


def _shares(found: Influences, table: Table, names: tuple[str, ...]) -> "Figure":
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(plot_style.FIGURE_WIDTH, 1.3 + 0.36 * len(names)), layout="constrained")
    at = np.arange(len(names))
    looks = (("total", -0.18, plot_style.BAND), ("first", 0.18, plot_style.MODEL))
    for kind, shift, color in looks:
        pairs = np.array([found.index(kind, name, table.name) for name in names])
        label = {"total": "total, with interactions", "first": "alone"}[kind]
        ax.barh(at + shift, pairs[:, 0], height=0.34, color=color, label=label)
        ax.errorbar(pairs[:, 0], at + shift, xerr=pairs[:, 1], ls="", color=plot_style.MEASURED, lw=0.9, capsize=2)
    ax.set_yticks(at, [name.replace("_", " ") for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.set_xlabel("share of the variance")
    ax.set_title(table.name.replace("_", " "))
    ax.legend(loc="lower right")
    return figure


def _effects(found: Influences, table: Table, names: tuple[str, ...]) -> "Figure":
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(plot_style.FIGURE_WIDTH, 4.4), layout="constrained")
    unit = table.unit.difference()
    for name in names:
        (size, half), (spread, _) = (found.index(kind, name, table.name) for kind in ("mu_star", "sigma"))
        x, dx, y = (float(unit.from_si(v, True)) for v in (size, half, spread))
        ax.errorbar([x], [y], xerr=[dx], marker="o", color=plot_style.MODEL, ecolor=plot_style.MUTED, capsize=2)
        ax.annotate(name.replace("_", " "), (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8)
    ax.set_xlabel(plot_style.label("mean size of the effect", unit.text))
    ax.set_ylabel(plot_style.label("spread of the effect", unit.text))
    ax.set_xlim(left=0.0)
    ax.set_ylim(bottom=0.0)
    ax.set_title(table.name.replace("_", " "))
    return figure
