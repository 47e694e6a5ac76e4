"""What the likelihood needs to know of a point of the search: residuals, model values and priors with their slopes.

Moved along y it is the linear model in the place of the model: no simulation. y are the coordinates in which draws are
made: of the search at the point itself, and further on linear in an unknown, or in its logarithm where that is normal
before the data.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.hypers import ColumnGroup
from physics_twin.estimation.likelihood.cut import Cut
from physics_twin.estimation.problem import Problem


@dataclass(frozen=True)
class Members:
    """A population at a point: deviations of its members from its mean, over their weights."""

    deviation: Array
    """(k,)"""
    jacobian: Array
    """(k, d)"""
    weights: Array
    """(k,)"""
    log: bool
    spread: int
    """Number in psi."""


@dataclass(frozen=True)
class LocalModel:
    """Everything at y, slopes with respect to y; Jacobians are empty where the point has none."""

    residual: Array
    """(n_data,) SI"""
    jacobian: Array
    """(n_data, d)"""
    signal: Array | None
    """(n_data,) SI: the model's value, where noise depends on it."""
    signal_jacobian: Array | None
    extra: Array | None
    """(n_data,) SI^2, see `Point.extra`."""
    extra_jacobian: Array | None
    prior: Array
    """(p,)"""
    prior_jacobian: Array
    """(p, d)"""
    members: tuple[Members, ...]
    drift: float
    """-2 log density has twice this besides: what densities of x differ by from those of ln x."""
    drift_slope: Array
    """(d,)"""
    cuts: tuple[Cut, ...] = ()
    """Of populations within bounds. Densities have them; searches and draws go without, see `search_model`."""

    @property
    def has_slopes(self) -> bool:
        """Whether the Jacobian of the residuals is known."""
        return bool(self.jacobian.shape[0] == self.residual.size)

    def moved(self, y: Array) -> "LocalModel":
        """The same model at y (d,) from here."""
        signal = self.signal
        if signal is not None and self.signal_jacobian is not None:
            signal = signal + self.signal_jacobian @ y
        extra = self.extra
        if extra is not None and self.extra_jacobian is not None:
            extra = np.maximum(extra + self.extra_jacobian @ y, 0.0)
        return replace(
            self,
            residual=self.residual + self.jacobian @ y,
            signal=signal,
            extra=extra,
            prior=self.prior + self.prior_jacobian @ y,
            members=tuple(replace(m, deviation=m.deviation + m.jacobian @ y) for m in self.members),
            drift=self.drift + float(self.drift_slope @ y),
            cuts=tuple(c.moved(y) for c in self.cuts),
        )


def local_model(problem: Problem, point: Point) -> LocalModel:
    """The local model at a point, with densities in declared units."""
    signal = signal_jacobian = None
    known = point.jacobian.shape[0] == problem.n_data
    if problem.sample_noise.proportional:
        signal, signal_jacobian = np.empty(problem.n_data), -point.jacobian if known else None
        slope = problem.space.slope(point.x)
        for c in problem.channels:
            bias = c.bias if c.bias_column < 0 else float(point.x[c.bias_column])
            signal[c.rows] = c.observed - bias - point.residual[c.rows]
            if signal_jacobian is not None and c.bias_column >= 0:
                signal_jacobian[c.rows, c.bias_column] -= slope[c.bias_column]
    members, drift, drift_slope = _populations(problem, point)
    return LocalModel(
        residual=point.residual,
        jacobian=point.jacobian,
        signal=signal,
        signal_jacobian=signal_jacobian,
        extra=point.extra,
        extra_jacobian=point.extra_jacobian,
        prior=point.prior_residual,
        prior_jacobian=point.prior_jacobian,
        members=members,
        drift=drift,
        drift_slope=drift_slope,
        cuts=population_cuts(problem, point),
    )


def search_model(problem: Problem, point: Point) -> LocalModel:
    """The local model with the density that a mode maximizes: of ln x for the members of a population in ln x.

    In x each of n members would add 1/x, and n of them together drag what they have in common, such as a thermometer's
    error, far from where the draws lie. Nor is a population cut at the bounds of its members: members without data say
    nothing about it, and only once they are integrated out do the cuts cancel (`members_within.py`).
    """
    return replace(local_model(problem, point), drift=0.0, drift_slope=np.zeros(point.z.size), cuts=())


def _populations(problem: Problem, point: Point) -> tuple[tuple[Members, ...], float, Array]:
    d = point.z.size
    slope = problem.space.slope(point.x)
    drift, drift_slope = 0.0, np.zeros(d)
    found = []
    for group in problem.column_groups:
        t = np.log(point.x[group.columns]) if group.log else point.x[group.columns]
        # An unknown outside the group may be zero.
        t_slope = np.divide(slope, point.x, out=np.zeros(d), where=point.x != 0.0) if group.log else slope
        mean = 0.0
        jacobian = np.zeros((t.size, d))
        jacobian[np.arange(t.size), group.columns] = t_slope[group.columns]
        if group.mean_column >= 0:
            own = float(point.x[group.mean_column])
            mean = float(np.log(own)) if group.log else own
            jacobian[:, group.mean_column] -= t_slope[group.mean_column]
        if group.log:
            drift += float(t.sum())
            drift_slope[group.columns] += t_slope[group.columns]
        found.append(
            Members(
                (t - mean) / group.weights,
                jacobian / group.weights[:, None],
                group.weights,
                group.log,
                len(problem.noise_groups) + group.spread,
            )
        )
    return tuple(found), drift, drift_slope


def population_cuts(problem: Problem, point: Point) -> tuple[Cut, ...]:
    """The bounds of the members of each population that has any."""
    space, found = problem.space, []
    for group in problem.column_groups:
        low, high = space.x_low[group.columns], space.x_high[group.columns]
        if group.log:
            with np.errstate(divide="ignore"):
                low, high = np.log(np.maximum(low, 0.0)), np.log(high)
        if not (np.isfinite(low).any() or np.isfinite(high).any()):
            continue
        mean, mean_slope = _mean(problem, point, group)
        spread = len(problem.noise_groups) + group.spread
        ends = ((low - mean) / group.weights, (high - mean) / group.weights)
        found.append(Cut(group.columns, *ends, group.weights, mean_slope, spread))
    return tuple(found)


def _mean(problem: Problem, point: Point, group: ColumnGroup) -> tuple[float, Array]:
    """The mean of a population and its slope (d,) with respect to y."""
    mean, slope, m = 0.0, np.zeros(point.z.size), group.mean_column
    if m >= 0:
        mean = float(np.log(point.x[m])) if group.log else float(point.x[m])
        slope[m] = float(problem.space.slope(point.x)[m]) / (float(point.x[m]) if group.log else 1.0)
    return mean, slope


def drawn_in_logarithm(problem: Problem) -> NDArray[np.bool_]:
    """(d,) unknowns that are drawn in their logarithm: normal in it before the data."""
    found = problem.space.log_normal.copy()
    for group in problem.column_groups:
        if group.log:
            found[group.columns] = True
            if group.mean_column >= 0:
                found[group.mean_column] = True
    return np.asarray(found & problem.space.log)


def in_draw_coordinates(problem: Problem, local: LocalModel) -> LocalModel:
    """The local model with densities of what is drawn: of ln x where that is normal before the data; without cuts."""
    slope = np.where(drawn_in_logarithm(problem), problem.space.scale, 0.0)
    return replace(local, drift_slope=local.drift_slope - slope, cuts=())
