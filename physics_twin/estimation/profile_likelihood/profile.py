"""The profile of one unknown: the signed root of its rise, between its points and beyond, and its intervals.

Signed root: r = sign(x - mode) sqrt(Q(x) - Q(mode)), close to standard normal (Barndorff-Nielsen 1986). Every point
of a profile knows its slope, dQ/dz = 2 r dr/dz, so r is a cubic between points (Fritsch and Carlson 1980 keep it
monotone).
Estimated noise: t = sign(r) sqrt(nu (exp(r^2/nu) - 1)) is Student's t of a linear model exactly, see refit.py.
Correlated residuals widen the profile as they widen the Laplace draws: t over the inflation.

A mode on its bound, where the objective still falls beyond it: the profile is continued there by its parabola, whose
minimum lies `lift` below. The root is counted from that minimum, and the interval is one-sided.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from physics_twin.arrays import Array
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.path import End, Side, Walk, along
from physics_twin.estimation.profile_likelihood.refit import Fit, blocked, curvature, volume

FINE = 400
"""Points of the fine grid on each side of the mode, from which intervals are read."""
STEEPEST = 3.0
"""Slope of a monotone cubic over that of its chord (Fritsch and Carlson)."""


@dataclass(frozen=True)
class Scale:
    """How far a rise is, as a deviation of Student's t."""

    degrees: float
    """Of the noise levels, as far as they decide about this unknown; inf where the noise is given."""
    effective: float
    """The same, fewer where residuals are correlated."""
    inflation: float
    """By which correlated residuals widen the unknown."""

    def deviation(self, root: Array) -> Array:
        """Student's t of signed roots."""
        if np.isinf(self.degrees):
            return np.asarray(root / self.inflation)
        squares = self.degrees * np.expm1(np.minimum(root**2 / self.degrees, 600.0))
        return np.asarray(np.sign(root) * np.sqrt(squares) / self.inflation)

    def root(self, deviation: float) -> float:
        """The signed root with this Student's t."""
        t = deviation * self.inflation
        return (
            t if np.isinf(self.degrees) else float(np.sign(t) * np.sqrt(self.degrees * np.log1p(t * t / self.degrees)))
        )

    def probability(self, deviation: float) -> float:
        """Chance of a smaller deviation."""
        return float(self.probabilities(np.array(deviation)))

    def probabilities(self, deviation: Array) -> Array:
        """The same of deviations of any shape."""
        return np.asarray(ndtr(deviation) if np.isinf(self.effective) else stdtr(self.effective, deviation))

    def quantile(self, probability: float) -> float:
        """The deviation that is smaller with this chance."""
        return float(ndtri(probability) if np.isinf(self.effective) else stdtrit(self.effective, probability))

    def minus_log_density(self, deviation: Array) -> Array:
        """-log density of deviations, up to a constant."""
        if np.isinf(self.effective):
            return np.asarray(0.5 * deviation**2)
        return np.asarray(0.5 * (self.effective + 1.0) * np.log1p(deviation**2 / self.effective))


@dataclass(frozen=True)
class Interval:
    """An interval from a profile."""

    probability: float
    low: float
    """SI; -inf where nothing ends it."""
    high: float
    ends: tuple[str, str]
    """For each end "crossing", "bound", "open", or "failed" where the refits ended before anything could be said."""


@dataclass(frozen=True)
class Profile:
    """What is known of one unknown; points ascend, the mode among them."""

    column: int
    name: str
    scale: Scale
    mode: int
    """Number of the mode among the points."""
    z: Array
    """(n,) search coordinate."""
    x: Array
    """(n, d) all unknowns along the path, SI."""
    rise: Array
    """(n,) of -2 log posterior."""
    rise_of_data: Array
    """(n,) of the part without priors."""
    slope: Array
    """(n,) dQ/dz"""
    bend: float
    """Second derivative of Q at the mode."""
    lift: float
    """See above; 0 for a mode that no bound holds."""
    on_bound: NDArray[np.bool_]
    """(n, d) which unknowns sit on a bound."""
    volume: Array
    """(n,) minus log of the volume that the others have, SI, up to a constant."""
    sides: tuple[Side, Side]
    """Downward and upward."""

    @property
    def root(self) -> Array:
        """(n,) signed roots at the points."""
        size = np.sqrt(np.maximum(self.rise + self.lift, 0.0))
        if self.lift > 0.0:
            return size if self.mode == 0 else -size
        return np.asarray(np.where(np.arange(size.size) < self.mode, -size, size))

    def root_between(self, z: Array) -> Array:
        """Signed roots at z, straight on beyond the last points."""
        root = self.root
        if root.size == 1:
            return np.asarray(root[0] + np.sqrt(0.5 * self.bend) * (z - self.z[0]))
        with np.errstate(divide="ignore", invalid="ignore"):
            m = np.where(np.abs(root) > 1e-3, self.slope / (2.0 * root), np.nan)
        m[self.mode] = np.sqrt(0.5 * self.bend) if self.lift == 0.0 else m[self.mode]
        width = np.diff(self.z)
        chord = np.diff(root) / width
        before, after = np.append(chord[0], chord), np.append(chord, chord[-1])
        m = np.where(np.isnan(m), 0.5 * (before + after), m)
        m = np.clip(m, 0.0, STEEPEST * np.maximum(np.minimum(before, after), 0.0))
        k = np.clip(np.searchsorted(self.z, z, side="right") - 1, 0, width.size - 1)
        h = width[k]
        s = np.clip((z - self.z[k]) / h, 0.0, 1.0)
        inner = (
            root[k] * (1 + 2 * s) * (1 - s) ** 2
            + root[k + 1] * s * s * (3 - 2 * s)
            + h * (m[k] * s * (1 - s) ** 2 - m[k + 1] * s * s * (1 - s))
        )
        beyond = np.where(z < self.z[0], (z - self.z[0]) * m[0], np.maximum(z - self.z[-1], 0.0) * m[-1])
        return np.asarray(inner + beyond)

    def fine(self) -> Array:
        """A fine grid of z over all points, the mode on it."""
        z0, z1, z2 = self.z[0], self.z[self.mode], self.z[-1]
        return np.unique(np.concatenate([np.linspace(z0, z1, FINE + 1), np.linspace(z1, z2, FINE + 1), self.z]))

    def ratio_interval(self, problem: Problem, probability: float) -> Interval:
        """The likelihood-ratio interval: where the deviation is below its threshold, farthest out where it is twice."""
        grid = self.fine()
        t = self.scale.deviation(self.root_between(grid))
        down, up = self.thresholds(probability)
        found: list[float] = []
        ends: list[str] = []
        for direction, limit in ((-1, down), (1, up)):
            side = self.sides[(direction + 1) // 2]
            inside = np.flatnonzero(direction * t <= abs(limit)) if np.isfinite(limit) else np.arange(grid.size)
            last = int(inside[-1] if direction > 0 else inside[0])
            beyond = last + direction
            if 0 <= beyond < grid.size and np.isfinite(limit):
                share = (limit - t[last]) / (t[beyond] - t[last])
                found.append(self._si(problem, float(grid[last] + share * (grid[beyond] - grid[last]))))
                ends.append("crossing")
            elif side.end is End.LIMIT:
                found.append(direction * np.inf)
                ends.append("open")
            else:
                found.append(self._si(problem, float(grid[last])))
                ends.append("bound" if side.end is End.BOUND or np.isinf(limit) else "failed")
        return Interval(probability, found[0], found[1], (ends[0], ends[1]))

    def thresholds(self, probability: float) -> tuple[float, float]:
        """The deviations between which the unknown lies with a probability; infinite toward an active bound."""
        if self.lift == 0.0:
            q = self.scale.quantile(0.5 + 0.5 * probability)
            return -q, q
        begin = self.scale.probability(-abs(float(self.scale.deviation(np.sqrt(np.array(self.lift))))))
        q = -self.scale.quantile((1.0 - probability) * begin)
        return (-np.inf, q) if self.mode == 0 else (-q, np.inf)

    def _si(self, problem: Problem, z: float) -> float:
        return float(in_si(problem, self.column, np.array([z]))[0])


def in_si(problem: Problem, column: int, z: Array) -> Array:
    """Values (n,) SI of one unknown at search coordinates z (n,)."""
    everything = np.zeros((z.size, len(problem.columns)))
    everything[:, column] = z
    return np.asarray(problem.space.x(everything)[:, column])


def lift_at(problem: Problem, mode: Fit, column: int) -> float:
    """By how much the profile would fall beyond the bound that the mode of an unknown sits on."""
    space, z = problem.space, float(mode.point.z[column])
    slope, bend, _ = along(problem, mode, column)
    low, high = float(space.low[column]), float(space.high[column])
    outward = (z <= low and slope > 0.0) or (z >= high and slope < 0.0)
    return slope * slope / (2.0 * bend) if outward and bend > 0.0 and low < high else 0.0


def joined(walk: Walk, column: int, scale: Scale, down: Side, up: Side) -> Profile:
    """The profile of an unknown from its two sides."""
    problem, mode = walk.problem, walk.mode
    fits = [*reversed(down.fits), mode, *up.fits]
    return Profile(
        column=column,
        name=problem.names[column],
        scale=scale,
        mode=len(down.fits),
        z=np.array([f.point.z[column] for f in fits]),
        x=np.array([f.point.x for f in fits]),
        rise=np.array([f.objective - mode.objective for f in fits]),
        rise_of_data=np.array([f.of_data - mode.of_data for f in fits]),
        slope=np.array([2.0 * float(curvature(problem, f, column)[0][column]) for f in fits]),
        bend=along(problem, mode, column)[1],
        lift=lift_at(problem, mode, column),
        on_bound=np.array([blocked(problem, f) for f in fits]),
        volume=np.array([volume(problem, mode.psi, f, column) for f in fits]),
        sides=(down, up),
    )
