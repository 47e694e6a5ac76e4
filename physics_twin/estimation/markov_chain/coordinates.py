"""Coordinates without bounds in which chains move, and the volume that the way back takes.

Between two bounds the coordinate is a logit, beside one bound a logarithm of the distance. Values of a population are
moved as deviations from its mean in spreads (non-centered): their distribution is then the same whatever the spread is,
where the values themselves would crowd together as it goes to zero (Papaspiliopoulos, Roberts and Skoeld 2007, A
general framework for the parametrization of hierarchical models).

Letters: a (n,) the coordinates, y (n,) = (z, psi) what the density knows, n = d + n_psi; t of a population in SI or its
logarithm, t_j = m + s_j a_j.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from physics_twin.arrays import Array
from physics_twin.estimation.hypers import ColumnGroup
from physics_twin.estimation.log_density import n_psi, psi_bounds
from physics_twin.estimation.problem import Problem

INSIDE = 1e-9
"""Share of the distance between bounds that a point on a bound is moved inside: on it the coordinate is infinite."""


class RejectedPoint(Exception):
    """The density at a point is zero, or cannot be known because a simulation failed; a chain does not go there."""

    is_recoverable = True
    """What nutpie asks an exception: the trajectory ends there, the chain goes on."""


@dataclass(frozen=True)
class Place:
    """A point of a chain, as the density knows it."""

    z: Array
    """(d,)"""
    psi: Array
    """(n_psi,)"""
    x: Array
    """(d,) SI"""
    log_volume: float
    """Log of the absolute determinant of d(x, psi)/da, up to a constant."""
    slope: Array
    """(n,) dy/da of coordinates on their own"""
    bend: Array
    """(n,) derivative of ln dy/da with respect to a"""


@dataclass(frozen=True)
class Coordinates:
    """The transform for one problem."""

    problem: Problem

    @property
    def n(self) -> int:
        """How many coordinates."""
        return len(self.problem.columns) + n_psi(self.problem)

    @cached_property
    def bounds(self) -> tuple[Array, Array]:
        """Bounds (n,) of y; members of a population have none here."""
        space, (low, high) = self.problem.space, psi_bounds(self.problem)
        low, high = np.concatenate([space.low, low]), np.concatenate([space.high, high])
        for group in self.problem.column_groups:
            low[group.columns], high[group.columns] = -np.inf, np.inf
        return low, high

    def place(self, a: Array) -> Place:
        """Where `a` (n,) is; raises RejectedPoint outside the bounds of a member."""
        space, d = self.problem.space, len(self.problem.columns)
        y, log_slope, bend = interval(a, *self.bounds)
        z, psi = y[:d].copy(), y[d:]
        x = space.x(z)
        members = self._members
        log_volume = float(log_slope.sum()) + float(np.log(x[space.log & ~members]).sum())
        for group in self.problem.column_groups:
            j, s = group.columns, self._spreads(group, psi)
            t = self._mean(group, x) + s * a[j]
            with np.errstate(over="ignore"):
                x[j] = np.exp(t) if group.log else t
            if not ((x[j] >= space.x_low[j]) & (x[j] <= space.x_high[j]) & np.isfinite(x[j])).all():
                raise RejectedPoint
            z[j] = space.z(x)[j]
            log_volume += float(np.log(s).sum()) + (float(t.sum()) if group.log else 0.0)
        return Place(z, psi, x, log_volume, np.exp(log_slope), bend)

    def pull_back(self, a: Array, place: Place, slope: Array, slope_psi: Array) -> Array:
        """Gradient (n,) in `a` of a density plus the log volume; slope (d,) in z and slope_psi (n_psi,) the density's.

        The chain rule for the members of a population: da_j moves t_j by s_j, the mean moves all of them, and the
        logarithm of the spread moves each by s_j a_j.
        """
        space, d = self.problem.space, len(self.problem.columns)
        in_z, in_psi = slope.copy(), slope_psi.copy()
        members = self._members
        in_z += np.where(space.log & ~members, space.scale, 0.0)  # of ln x
        found = np.zeros(self.n)
        dx_dz = space.slope(place.x)
        for group in self.problem.column_groups:
            j, s = group.columns, self._spreads(group, place.psi)
            dx_dt = place.x[j] if group.log else np.ones(j.size)
            in_t = in_z[j] * dx_dt / dx_dz[j] + (1.0 if group.log else 0.0)
            found[j] = in_t * s
            in_psi[self._spread(group)] += float((in_t * s * a[j]).sum()) + j.size
            if group.mean_column >= 0:
                m = group.mean_column
                in_z[m] += float(in_t.sum()) * dx_dz[m] / (place.x[m] if group.log else 1.0)
        own = np.concatenate([in_z, in_psi]) * place.slope + place.bend
        alone = np.concatenate([~members, np.ones(self.n - d, dtype=bool)])
        return np.asarray(np.where(alone, own, found))

    def of(self, z: Array, psi: Array) -> Array:
        """Coordinates (n,) of a point; one on a bound is taken a little inside."""
        space, d = self.problem.space, z.size
        y = np.concatenate([z, psi])
        a = outside(y, *self.bounds)
        x = space.x(z)
        for group in self.problem.column_groups:
            j = group.columns
            t = np.log(x[j]) if group.log else x[j]
            a[j] = (t - self._mean(group, x)) / self._spreads(group, y[d:])
        return a

    @cached_property
    def _members(self) -> NDArray[np.bool_]:
        """(d,) which columns belong to a population."""
        found = np.zeros(len(self.problem.columns), dtype=bool)
        for group in self.problem.column_groups:
            found[group.columns] = True
        return found

    def _spread(self, group: ColumnGroup) -> int:
        return len(self.problem.noise_groups) + group.spread

    def _spreads(self, group: ColumnGroup, psi: Array) -> Array:
        return np.asarray(np.exp(psi[self._spread(group)]) * group.weights)

    def _mean(self, group: ColumnGroup, x: Array) -> float:
        if group.mean_column < 0:
            return 0.0
        return float(np.log(x[group.mean_column]) if group.log else x[group.mean_column])


def interval(a: Array, low: Array, high: Array) -> tuple[Array, Array, Array]:
    """y (n,) between bounds for any a (n,), rising with it, ln dy/da, and the derivative of that with respect to a."""
    both, above, below = _kinds(low, high)
    share = expit(a)
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.where(both, high - low, 1.0)
        rising = np.where(above, a, np.where(below, -a, 0.0))
        grown = np.exp(rising)
        y = np.where(both, np.where(both, low, 0.0) + width * share, a)
        y = np.where(above, low + grown, np.where(below, high - grown, y))
    log_slope = np.where(both, np.log(width) - np.logaddexp(0.0, a) - np.logaddexp(0.0, -a), 0.0)
    log_slope = np.where(above | below, rising, log_slope)
    bend = np.where(both, 1.0 - 2.0 * share, above * 1.0 - below * 1.0)
    return y, log_slope, bend


def outside(y: Array, low: Array, high: Array) -> Array:
    """The inverse of `interval`: a (n,) of y (n,), which is taken inside where it is on a bound."""
    both, above, below = _kinds(low, high)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.clip((y - low) / np.where(both, high - low, 1.0), INSIDE, 1.0 - INSIDE)
        gap = np.maximum(np.where(above, y - low, np.where(below, high - y, 1.0)), INSIDE)
    alone = np.where(above, np.log(gap), np.where(below, -np.log(gap), y))
    return np.asarray(np.where(both, logit(np.where(both, share, 0.5)), alone))


def _kinds(low: Array, high: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which have two bounds, only a lower one, only an upper one."""
    lower, upper = np.isfinite(low), np.isfinite(high)
    return lower & upper, lower & ~upper, upper & ~lower
