"""Functions in a posterior: the band of a `Spline` over its argument, before and after the data."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.special import ndtr

from physics_twin import plot_style
from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.parameters import Parameter
from physics_twin.splines import Spline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.posterior.result import Posterior

POINTS = 200
PRIOR_DRAWS = 20000
"""Enough for the ends of a 95 % band to a hundredth of its width."""
PRIOR_SEED = 0
LEVELS = (0.025, 0.5, 0.975)


class Correlated(Protocol):
    """A prior of all values of a function together, such as `SmoothPrior`."""

    @property
    def correlation(self) -> Array:
        """(n_knots, n_knots)"""
        ...


def values_of(posterior: "Posterior", spline: Spline, experiment: str | None = None) -> Array:
    """Draws (n_draws, n_knots) SI of the values at the knots; what was not unknown is as the fit held it.

    Raises CalibrationError where none of them is in the posterior.
    """
    names = [n if experiment is None else f"{n}@{experiment}" for n in spline.names]
    if not any(name in posterior.parameters for name in names):
        of = "" if experiment is None else f' of experiment "{experiment}"'
        raise CalibrationError(f'none of {names[0]} ... {names[-1]} is in the posterior: "{spline.name}"{of} was fixed')
    columns = [
        posterior[name]
        if name in posterior.parameters
        else np.full(posterior.n_draws, float(posterior.fixed.get(parameter.name, parameter.value)))
        for name, parameter in zip(names, spline.parameters, strict=True)
    ]
    return np.stack(columns, axis=1)


@plot_style.style()
def plot(
    posterior: "Posterior",
    spline: Spline,
    *,
    experiment: str | None = None,
    prior: Correlated | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """See `Posterior.plot_function`."""
    axes = plot_style.panels(1, ax)
    one = axes[0]
    x = np.linspace(spline.knots[0], spline.knots[-1], POINTS)
    shown = np.asarray(spline.argument_unit.from_si(x))
    values = values_of(posterior, spline, experiment)
    names = [n if experiment is None else f"{n}@{experiment}" for n in spline.names]
    declared = [
        posterior.parameters.get(name, parameter) for name, parameter in zip(names, spline.parameters, strict=True)
    ]

    def quantiles(table: Array) -> Array:
        return np.asarray(spline.unit.from_si(np.quantile(spline.at(x, table), LEVELS, axis=0)))

    before = _prior_values(declared, [name in posterior.parameters for name in names], values, prior)
    if before is not None:
        low, _, high = quantiles(before)
        style: dict[str, Any] = {"color": plot_style.MUTED, "ls": "--", "lw": 1.0}
        one.plot(shown, low, label="95 % before the data", **style)
        one.plot(shown, high, **style)
    low, middle, high = quantiles(values)
    plot_style.draw_band(one, shown, low, None, high)
    one.plot(shown, middle, color=plot_style.MODEL, label="median")
    knots = np.asarray(spline.argument_unit.from_si(np.array(spline.knots)))
    at_knots = np.asarray(spline.unit.from_si(np.median(values, axis=0)))
    one.plot(knots, at_knots, "o", color=plot_style.MODEL, ms=4.0, label="knots", zorder=4)
    one.set_xlabel(plot_style.label(spline.over, spline.argument_unit))
    one.set_ylabel(plot_style.label(spline.name, spline.unit))
    one.margins(x=0.02)
    one.legend()
    return plot_style.figure_of(axes)


def _prior_values(
    declared: list[Parameter], unknown: list[bool], values: Array, prior: Correlated | None
) -> Array | None:
    """Draws (n, n_knots) SI from the prior, None where it is not one: neither a prior nor two bounds."""
    own = np.random.default_rng(PRIOR_SEED)
    z = own.standard_normal((PRIOR_DRAWS, len(declared)))
    if prior is not None:
        correlation = prior.correlation
        if len(correlation) != len(declared):
            raise CalibrationError(f"the prior is about {len(correlation)} values, the function has {len(declared)}")
        vectors, spread, _ = np.linalg.svd(correlation, hermitian=True)
        z = z @ (vectors * np.sqrt(spread)).T
    table = np.empty_like(z)
    for k, parameter in enumerate(declared):
        low, high = parameter.bounds
        if not unknown[k]:
            table[:, k] = values[0, k]
        elif parameter.prior is not None:
            table[:, k] = np.clip(parameter.prior.quantile(ndtr(z[:, k])), low, high)
        elif np.isfinite(low + high):
            u = ndtr(z[:, k])
            table[:, k] = low * (high / low) ** u if parameter.log_scale else low + (high - low) * u
        else:
            return None
    return table
