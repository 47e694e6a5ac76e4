"""Draws of Markov chains by chain, and pictures that show whether the chains agree."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError, unknown_name
from physics_twin.plot_style import BAND, MUTED, grayscale_safe, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.posterior.result import Posterior

RANK_BINS = 20
MOST_ROWS = 8
"""Parameters drawn where none are named; those with the highest R-hat come first."""
ROW_HEIGHT = 1.9


def has_chains(posterior: "Posterior") -> bool:
    """Whether the draws come from several chains."""
    return "chain_number" in posterior.diagnostics and "r_hat" in posterior.diagnostics


def by_chain(posterior: "Posterior") -> Array:
    """Draws (n_chains, n_draws / n_chains, n_parameters) SI; one chain where there is none."""
    table = np.asarray(posterior.draws.values, dtype=float)
    if not has_chains(posterior):
        return table[None]
    numbers = np.asarray(posterior.diagnostics["chain_number"].values)
    return np.stack([table[numbers == k] for k in np.unique(numbers)])


def r_hat(posterior: "Posterior", name: str) -> tuple[float, float]:
    """R-hat and effective draws (the lesser of bulk and tail) of one parameter."""
    found = posterior.diagnostics.sel(parameter=name)
    return float(found["r_hat"]), float(min(found["ess_bulk"], found["ess_tail"]))


def ranks(draws: Array) -> Array:
    """Counts (n_chains, RANK_BINS) of the ranks of draws (n_chains, n) among the draws of all chains."""
    n_chains, n = draws.shape
    order = np.empty(n_chains * n, dtype=np.intp)
    order[np.argsort(draws.ravel(), kind="stable")] = np.arange(n_chains * n)
    bins = order.reshape(n_chains, n) * RANK_BINS // (n_chains * n)
    return np.array([np.bincount(own, minlength=RANK_BINS) for own in bins], dtype=float)


@plot_style.style()
def plot(posterior: "Posterior", names: Sequence[str] | None = None) -> "Figure":
    """Trace and ranks of each parameter, a row each; raises CalibrationError without chains.

    Chains that agree cross one another all the time in the trace, and each has as many draws in every twentieth of the
    common order; the band is where 95 % of the counts lie for as many effective draws.
    """
    from matplotlib import pyplot as plt

    if not has_chains(posterior):
        raise CalibrationError(
            "these draws do not come from chains, so there are none to compare; calibrate with "
            "method=pt.MarkovChain(), or look at plot_parameters()"
        )
    chosen = _chosen(posterior, names)
    draws = by_chain(posterior)
    figure, grid = plt.subplots(
        len(chosen),
        2,
        squeeze=False,
        figsize=(plot_style.FIGURE_WIDTH, 0.7 + ROW_HEIGHT * len(chosen)),
        layout="constrained",
        width_ratios=(2.0, 1.0),
    )
    for (left, right), name in zip(grid, chosen, strict=True):
        p = posterior.parameters[name]
        own = p.unit.from_si(draws[:, :, posterior.names.index(name)], p.difference)
        high, effective = r_hat(posterior, name)
        _trace(left, own)
        left.set_ylabel(label(name, p.unit.difference() if p.difference else p.unit))
        left.set_title(f"R-hat {high:.3f}, {effective:.0f} effective draws")
        _ranks(right, own, effective)
    grid[0, 1].set_title("ranks")
    grid[-1, 0].set_xlabel("draw of the chain")
    grid[-1, 1].set_xlabel("rank among all draws")
    plot_style.one_legend(figure, [grid[0, 0]])
    return figure


def _chosen(posterior: "Posterior", names: Sequence[str] | None) -> list[str]:
    if names is None:
        worst = sorted(posterior.names, key=lambda n: -r_hat(posterior, n)[0])[:MOST_ROWS]
        return [n for n in posterior.names if n in worst]
    for name in names:
        if name not in posterior.parameters:
            raise unknown_name("parameter", name, posterior.parameters)
    return list(names)


def _trace(axis: "Axes", own: Array) -> None:
    for k, (line, how) in enumerate(zip(own, grayscale_safe(len(own)), strict=True)):
        axis.plot(line, lw=0.6, alpha=0.8, color=how["color"], label=f"chain {k + 1}")
    axis.margins(x=0.01)


def _ranks(axis: "Axes", own: Array, effective: float) -> None:
    counts = ranks(own)
    expected = own.shape[1] / RANK_BINS
    share = 1.0 / RANK_BINS
    sd = own.shape[1] * np.sqrt(share * (1.0 - share) / max(effective / len(own), 1.0))
    axis.axhspan(max(expected - 1.96 * sd, 0.0), expected + 1.96 * sd, color=BAND, alpha=0.35, lw=0)
    axis.axhline(expected, color=MUTED, lw=0.8)
    edges = np.linspace(0.0, own.size, RANK_BINS + 1)
    for one, how in zip(counts, grayscale_safe(len(own)), strict=True):
        axis.stairs(one, edges, baseline=None, color=how["color"], linestyle=how["linestyle"], lw=1.2)
    axis.set_ylim(bottom=0.0)
    axis.set_yticks([])
    axis.set_xticks([0.0, own.size])
