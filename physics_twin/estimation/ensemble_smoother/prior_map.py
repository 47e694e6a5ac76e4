"""Coordinates of the ensemble in which every prior is a standard normal, one variable for each unknown.

The update is linear, so it knows neither bounds nor skewness: in these coordinates it needs to know neither. A normal
prior is shifted and scaled, a log-normal one in its logarithm; what is cut by bounds goes through its quantiles, as
does an unknown without a prior, which is even between its bounds (in its logarithm where it is searched in that). A
member of a population is its distance from the mean of the population in spreads (the non-centered form of
Papaspiliopoulos, Roberts and Skoeld 2007, A general framework for the parametrization of hierarchical models,
Statistical Science 22), and the spread is a variable of its own.

Values of a smooth function have coordinates that are correlated as the function is. Where they have bounds as well,
each value's own prior is cut and the correlation is that of their coordinates, which is not quite the smooth prior
within the bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.estimation.hypers import ColumnGroup, HyperKind
from physics_twin.estimation.problem import Problem
from physics_twin.parameters import Parameter
from physics_twin.posterior.drawing.truncated_normal import standard_normal_between
from physics_twin.priors import HalfNormal, LogNormal, Normal, Prior, Truncated, Uniform


def cut_normal(v: Array, low: Array, high: Array) -> Array:
    """A standard normal v as the standard normal within [low, high] of the same quantile, elementwise, by broadcasting.

    Each half is taken from its own tail, so that members far out keep their digits.
    """
    v, low, high = np.broadcast_arrays(v, low, high)
    found = np.array(v, dtype=float)
    cut = np.isfinite(low) | np.isfinite(high)
    if not cut.any():
        return found
    left, right = cut & (v <= 0.0), cut & (v > 0.0)
    found[left] = standard_normal_between(low[left], high[left], ndtr(v[left]))
    found[right] = -standard_normal_between(-high[right], -low[right], ndtr(-v[right]))
    return found


@dataclass(frozen=True)
class Marginal:
    """The prior of one variable: t = ln x or x is normal, cut to [low, high], or even over it."""

    log: bool
    low: float
    """Of t."""
    high: float
    mean: float = 0.0
    sd: float = np.inf
    """Infinite where t is even."""
    other: Prior | None = None
    """A prior of a caller's own, known by its quantiles alone."""

    def x(self, v: Array) -> Array:
        """SI values (n,) of coordinates v (n,)."""
        if self.other is not None:
            return np.asarray(np.clip(self.other.quantile(ndtr(v)), self.low, self.high))
        if np.isinf(self.sd):
            width = self.high - self.low
            t = np.where(v <= 0.0, self.low + width * ndtr(v), self.high - width * ndtr(-v))
        else:
            low, high = (np.array((end - self.mean) / self.sd) for end in (self.low, self.high))
            t = self.mean + self.sd * cut_normal(v, low, high)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(t) if self.log else t)


def marginal(parameter: Parameter) -> Marginal:
    """The prior of a parameter within its bounds; raises CalibrationError where it has neither."""
    prior = parameter.prior
    base = prior.prior if isinstance(prior, Truncated) else prior
    low, high = parameter.bounds
    if prior is not None:
        low, high = max(low, prior.support[0]), min(high, prior.support[1])
    if isinstance(base, Normal):
        return Marginal(False, low, high, base.mean, base.sd)
    if isinstance(base, HalfNormal):
        return Marginal(False, low, high, 0.0, base.scale)
    if isinstance(base, LogNormal):
        return Marginal(True, *_logs(low, high), float(np.log(base.median)), base.sigma)
    if base is not None and not isinstance(base, Uniform):
        return Marginal(False, low, high, other=prior)
    if not np.isfinite([low, high]).all():
        raise CalibrationError(
            f'"{parameter.name}" has neither a prior nor two bounds, so members of an ensemble cannot be drawn; '
            "give it one of them"
        )
    log = base is None and parameter.log_scale
    return Marginal(log, *(_logs(low, high) if log else (low, high)))


def _logs(low: float, high: float) -> tuple[float, float]:
    return (float(np.log(low)) if low > 0.0 else -np.inf), float(np.log(high))


@dataclass(frozen=True)
class PriorMap:
    """From coordinates v (N, n_variables) to unknowns: the columns first, then the spreads of populations."""

    marginals: tuple[Marginal | None, ...]
    """Of each variable; None for members of populations."""
    groups: tuple[ColumnGroup, ...]
    spreads: tuple[int, ...]
    """Numbers among the hypers of the variables after the columns."""
    n_columns: int
    n_hypers: int
    x_low: Array
    """(n_columns,) SI"""
    x_high: Array
    coupling: Array | None

    @classmethod
    def of(cls, problem: Problem) -> "PriorMap":
        """Of a problem; raises CalibrationError for an unknown with neither prior nor bounds."""
        grouped = {int(j) for group in problem.column_groups for j in group.columns}
        spreads = tuple(k for k, h in enumerate(problem.hypers) if h.kind is HyperKind.SPREAD)
        own: list[Marginal | None] = [
            None if j in grouped else marginal(c.parameter) for j, c in enumerate(problem.columns)
        ]
        own += [marginal(problem.hypers[k].parameter) for k in spreads]
        space = problem.space
        return cls(
            tuple(own),
            problem.column_groups,
            spreads,
            len(problem.columns),
            len(problem.hypers),
            space.x_low,
            space.x_high,
            problem.coupling,
        )

    @property
    def n_variables(self) -> int:
        """Columns and spreads."""
        return len(self.marginals)

    def draw(self, n_members: int, rng: np.random.Generator) -> Array:
        """Coordinates (n_members, n_variables) of the prior."""
        v = rng.standard_normal((n_members, self.n_variables))
        if self.coupling is not None:
            v[:, : self.n_columns] = np.linalg.solve(self.coupling, v[:, : self.n_columns].T).T
        return v

    def values(self, v: Array) -> tuple[Array, Array]:
        """Unknowns (N, n_columns) and spreads (N, n_spreads), SI, of coordinates v (N, n_variables)."""
        x = np.empty(v.shape)
        for columns, one in self._alike:
            x[:, columns] = one.x(v[:, columns])
        spreads = x[:, self.n_columns :]
        for group in self.groups:
            self._fill(group, v, x)
        return np.clip(x[:, : self.n_columns], self.x_low, self.x_high), spreads

    @cached_property
    def _alike(self) -> tuple[tuple[NDArray[np.intp], Marginal], ...]:
        """Variables of one prior, which are mapped together: a field has thousands."""
        found: dict[Marginal, list[int]] = {}
        for j, one in enumerate(self.marginals):
            if one is not None:
                found.setdefault(one, []).append(j)
        return tuple((np.array(columns, dtype=np.intp), one) for one, columns in found.items())

    def _fill(self, group: ColumnGroup, v: Array, x: Array) -> None:
        """The members of one population, given its mean and spread."""
        columns = group.columns
        sd = x[:, [self.n_columns + self.spreads.index(group.spread)]] * group.weights
        mean = np.zeros((len(v), 1)) if group.mean_column < 0 else x[:, [group.mean_column]]
        low, high = self.x_low[columns], self.x_high[columns]
        if group.log:
            mean = np.log(mean)
            with np.errstate(divide="ignore"):
                low, high = np.log(np.maximum(low, 0.0)), np.log(high)
        t = mean + sd * cut_normal(v[:, columns], (low - mean) / sd, (high - mean) / sd)
        x[:, columns] = np.exp(t) if group.log else t


def variable_names(problem: Problem, prior: PriorMap) -> tuple[str, ...]:
    """Names of the variables, in their order."""
    hypers: Sequence[str] = [problem.hypers[k].parameter.name for k in prior.spreads]
    return (*problem.names, *hypers)
