"""The surrogate: margins interpolated over the settings, draw by draw.

For each draw and each limit the margin is a smooth function of the settings, even where the probability is steep. So
the margins are simulated at a design of settings and interpolated (quintic radial basis functions with a polynomial
tail: exact at the design, any number of settings, one linear system for all draws), and the probability is counted
afterwards. A run that fails has no margin, and a step is what radial basis functions do worst. So whether a run
survives is interpolated on its own, in straight lines, which cannot ring; the smooth margins are continued into the
failed part by their nearest neighbor.

The region {s: P(all limits | s) >= target} is described by a signed level instead of a probability: the (k+1)-th
smallest joint margin over the draws, k the violations allowed. It is continuous where a counted probability jumps, and
at or above zero exactly where at most k draws violate a limit. Where limits have probabilities of their own, each group
of limits has its own k, and the level is the smallest of the groups'.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Allowed, Group

MIN_DISTANCE = (1e-4, 3e-3, 1e-2)
"""Design points closer than this, for 1, 2 and more settings, tell nothing new and spoil the linear system."""
SURVIVAL = 100.0
"""Margin, in units of the spread, between a run that fails and one that does not."""
VALUES_AT_ONCE = 2_000_000


def by_dimension[T](d: int, table: tuple[T, T, T]) -> T:
    """Entry for 1, 2, and more settings."""
    return table[min(d, 3) - 1]


@dataclass(frozen=True, eq=False)
class DesignSpace:
    """Margins at a design of settings and their interpolation."""

    points: Array
    """(n_points, d) of the unit cube."""
    margins: Array
    """(n_points, n_draws, n_requirements) SI, NaN where a simulation failed."""
    kernel: Literal["quintic", "cubic"] = "quintic"

    def with_(self, points: Array, margins: Array) -> "DesignSpace":
        """A copy that has seen more."""
        both = np.concatenate([self.margins, margins])
        return DesignSpace(np.concatenate([self.points, points]), both, self.kernel)

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return int(self.margins.shape[1])

    @cached_property
    def scale(self) -> Array:
        """(n_requirements,) SI: the size of one margin unit, so that joint margins compare limits fairly.

        The spread over the draws; where the draws agree (a limit without uncertainty), the spread over the design.
        """
        with np.errstate(invalid="ignore"):
            finite = np.where(np.isfinite(self.margins), self.margins, np.nan)
            masked = np.ma.masked_invalid(finite)
            spread = np.ma.median(masked.std(axis=1), axis=0).filled(0.0)
            overall = masked.reshape(-1, finite.shape[2]).std(axis=0).filled(0.0)
        chosen = np.where(spread > 1e-6 * overall, spread, overall)
        return np.where(chosen > 0.0, chosen, 1.0)

    @cached_property
    def _failed(self) -> NDArray[np.bool_]:
        """(n_points, n_draws) which runs failed."""
        failed: NDArray[np.bool_] = ~np.isfinite(self.margins).all(axis=2)
        return failed

    @cached_property
    def _scaled(self) -> Array:
        """Margins in units of `scale`; a failed run takes those of the same draw at the nearest settings that ran."""
        scaled = self.margins / self.scale
        failed = self._failed
        apart = np.abs(self.points[:, None] - self.points[None]).max(axis=2)
        for draw in np.flatnonzero(failed.any(axis=0)):
            lost, ran = np.flatnonzero(failed[:, draw]), np.flatnonzero(~failed[:, draw])
            scaled[lost, draw] = scaled[ran[apart[np.ix_(lost, ran)].argmin(axis=1)], draw] if len(ran) else -SURVIVAL
        return scaled

    @cached_property
    def _interpolant(self) -> "RBFInterpolator[np.float64, tuple[Any, ...]]":
        n, d = self.points.shape
        quadratic = (d + 1) * (d + 2) // 2
        by_limit = self._scaled.transpose(0, 2, 1).reshape(n, -1)
        degree = 2 if n >= 2 * quadratic or self.kernel == "quintic" else 1
        kind: Any = self.kernel  # the stubs want each kernel in an overload of its own
        return RBFInterpolator(self.points, by_limit, kernel=kind, degree=degree)

    @cached_property
    def _survival(self) -> "RBFInterpolator[np.float64, tuple[Any, ...]] | None":
        """+SURVIVAL where a run survives and -SURVIVAL where it fails, for the draws that fail anywhere."""
        mixed = self._failed[:, self._failed.any(axis=0)]
        if mixed.shape[1] == 0:
            return None
        return RBFInterpolator(self.points, np.where(mixed, -SURVIVAL, SURVIVAL), kernel="linear", degree=0)

    @property
    def rival(self) -> "DesignSpace":
        """The same data seen through the other kernel: where both disagree, neither is to be believed."""
        return replace(self, kernel="cubic" if self.kernel == "quintic" else "quintic")

    def predicted(self, points: Array) -> Array:
        """Interpolated margins (n, n_requirements, n_draws) in units of `scale`: draws last, for speed."""
        _, n_draws, n_requirements = self.margins.shape
        values: Array = self._interpolant(points).reshape(len(points), n_requirements, n_draws)
        if self._survival is not None:
            mixed = np.flatnonzero(self._failed.any(axis=0))
            values[:, :, mixed] = np.minimum(values[:, :, mixed], self._survival(points)[:, None, :])
        return values

    def _in_pieces(self, points: Array, function: Callable[[Array], Array]) -> Array:
        step = max(1, VALUES_AT_ONCE // max(1, self.margins[0].size))
        return np.concatenate([function(self.predicted(points[i : i + step])) for i in range(0, len(points), step)])

    def group_levels(self, points: Array, allowed: Allowed) -> Array:
        """(k+1)-th smallest joint margin of each group of limits, (n, n_groups)."""

        def smallest(m: Array) -> Array:
            pairs = zip(allowed.groups, allowed.k, strict=True)
            return np.stack([np.partition(group.joint(m, 1), k, axis=1)[:, k] for group, k in pairs], axis=1)

        return self._in_pieces(points, smallest)

    def level(self, points: Array, allowed: Allowed) -> Array:
        """The least of the groups' levels (n,): >= 0 where none is predicted to be broken more often than allowed."""
        return np.asarray(self.group_levels(points, allowed).min(axis=1))

    def levels(self, points: Array, allowed: Allowed) -> Array:
        """`level`, then that of each limit with what its group allows: (n, 1 + n_requirements)."""
        each = [allowed.of_requirement(j) for j in range(self.margins.shape[2])]

        def smallest(m: Array) -> Array:
            return np.stack([np.partition(m[:, j], k, axis=1)[:, k] for j, k in enumerate(each)], axis=1)

        return np.concatenate([self.level(points, allowed)[:, None], self._in_pieces(points, smallest)], axis=1)

    def joint_probability(self, points: Array) -> Array:
        """Predicted probability (n,) of all limits jointly."""
        return self._in_pieces(points, lambda m: (m.min(axis=1) >= 0.0).mean(axis=1))

    def group_probability(self, points: Array, groups: Sequence[Group]) -> Array:
        """Predicted probability (n, n_groups) of each group of limits."""

        def share(m: Array) -> Array:
            return np.stack([(group.joint(m, 1) >= 0.0).mean(axis=1) for group in groups], axis=1)

        return self._in_pieces(points, share)

    def probability(self, points: Array) -> Array:
        """Predicted probability (n, 1 + n_requirements): all limits jointly, then each."""
        return self._in_pieces(points, lambda m: shares(m.transpose(0, 2, 1)))

    def unseen(self, points: Array) -> Array:
        """Those of `points` (m, d) that are not yet in the design nor close to one another."""
        least = by_dimension(self.points.shape[1], MIN_DISTANCE)
        known, new = self.points, []
        for point in points:
            if np.abs(known - point).max(axis=1).min() >= least:
                new.append(point)
                known = np.concatenate([known, point[None]])
        return np.array(new).reshape(-1, points.shape[1])


def shares(margins: Array) -> Array:
    """Share of draws (n, 1 + n_requirements) that meet all limits, and each; margins (n, n_draws, n_requirements)."""
    met = margins >= 0.0  # NaN, a failed run, is not met
    return np.concatenate([met.all(axis=2).mean(axis=1)[:, None], met.mean(axis=1)], axis=1)


def distances(points: Array, known: Array) -> Array:
    """Largest coordinate distance (n,) of each point to the nearest known one."""
    nearest = np.full(len(points), np.inf)
    for other in known:
        nearest = np.minimum(nearest, np.abs(points - other).max(axis=1))
    return nearest
