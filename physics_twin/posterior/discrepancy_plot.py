"""Pictures of model discrepancies over what they are functions of."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import ModelError, unknown_name
from physics_twin.units import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.posterior.result import Posterior

NODES = 301
EDGES = (0.025, 0.5, 0.975)


class Curve(Protocol):
    """One discrepancy; numbers in SI."""

    @property
    def output(self) -> str:
        """Whose it is."""
        ...

    @property
    def unit(self) -> Unit:
        """Of the output."""
        ...

    @property
    def sd(self) -> float:
        """Before the data."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Of its coefficients."""
        ...

    @property
    def over(self) -> tuple[str, Unit, float, float]:
        """Name and unit of the argument, and its range."""
        ...


@runtime_checkable
class Discrepant(Protocol):
    """A model with discrepancies."""

    @property
    def curves(self) -> Sequence[Curve]:
        """One for each output that has one."""
        ...

    def discrepancy_of(self, output: str, at: Array, values: Mapping[str, Array]) -> Array:
        """(n_draws, n) SI at arguments (n,) SI; values: coefficient -> (n_draws,)."""
        ...


@plot_style.style()
def discrepancy(
    posterior: "Posterior", model: object, experiment: str | None = None, ax: "Axes | Sequence[Axes] | None" = None
) -> "Figure":
    """See `Posterior.plot_discrepancy`."""
    if not isinstance(model, Discrepant):
        raise ModelError(f'"{getattr(model, "name", model)}" has no discrepancy; make one with pt.with_discrepancy')
    axes = plot_style.panels(len(model.curves), ax, shared=False)
    for one, curve in zip(axes, model.curves, strict=True):
        name, unit, low, high = curve.over
        at = np.linspace(low, high, NODES)
        shown = plot_style.time_scale(high) if name == "time" else None
        x = np.asarray(unit.from_si(at)) if shown is None else shown(at)
        of_y = curve.unit.difference()
        band = np.quantile(model.discrepancy_of(curve.output, at, _draws(posterior, curve, experiment)), EDGES, axis=0)
        lower, middle, upper = (np.asarray(of_y.from_si(row, True)) for row in band)
        plot_style.draw_band(one, x, lower, None, upper)
        one.plot(x, middle, color=plot_style.MODEL, label="median", zorder=3)
        for side in (-2.0, 2.0):
            before = float(of_y.from_si(side * curve.sd, True))
            label = "95 % before the data" if side > 0 else None
            one.axhline(before, color=plot_style.MUTED, lw=0.8, ls="--", label=label)
        if name in posterior.coverage and name != "time":
            seen = np.clip(posterior.coverage[name], low, high)
            first, last = (float(unit.from_si(end)) for end in seen)
            one.axvspan(first, last, color=plot_style.MUTED, alpha=0.12, lw=0, label="range of the data")
        elif name == "time":
            assert shown is not None
            end = float(shown(np.array([min(posterior.coverage.get("time", (0.0, high))[1], high)]))[0])
            one.axvspan(x[0], end, color=plot_style.MUTED, alpha=0.12, lw=0, label="range of the data")
        one.set_ylabel(plot_style.label(f"discrepancy of {curve.output}", of_y))
        one.set_xlabel(f"time / {shown.unit}" if shown is not None else plot_style.label(name, unit))
        one.margins(x=0.0)
    figure = plot_style.figure_of(axes)
    if ax is None:
        plot_style.one_legend(figure, axes)
    return figure


def _draws(posterior: "Posterior", curve: Curve, experiment: str | None) -> dict[str, Array]:
    """Coefficient -> draws: those of all experiments, or those of one."""
    first = curve.names[0]
    owners = [n.partition("@")[2] for n in posterior.names if n.partition("@")[0] == first]
    if not owners:
        raise ModelError(
            f"the posterior holds no discrepancy of {curve.output}: say unknown=[..., *model.discrepancy_unknowns()]"
        )
    owner = owners[0] if experiment is None else experiment
    if owner not in owners and owners != [""]:
        raise unknown_name("experiment with its own discrepancy", owner, owners)
    own = f"@{owner}" if owners != [""] else ""
    return {name: posterior[name + own] for name in curve.names}
