"""Morris and Sobol: which points of the unit cube to simulate, and what their results say (SALib).

Both work in blocks of points, and a block counts as a whole: one whose simulations did not all succeed is dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError

N_RESAMPLES = 1000
"""Of the bootstrap: the ends of a 95 % interval are then known to a few percent of its width."""
LEAST_BLOCKS = 4
"""Fewer complete blocks say nothing."""


@dataclass(frozen=True)
class Index:
    """One kind of number per factor with its half interval (95 %)."""

    value: Array
    """(n_factors,)"""
    half: Array
    """(n_factors,) NaN where there is no interval."""
    dimensionless: bool
    """Else in the unit of the quantity."""


class Method(Protocol):
    """`Sobol`, `Morris`."""

    @property
    def left_out(self) -> float:
        """Share of draws and priors beyond either end of what is varied; other ranges have ends of their own."""
        ...

    def points(self, n_factors: int, seed: int) -> Array:
        """Points (n_blocks * block_size, n_factors) of the unit cube, block by block."""
        ...

    def block_size(self, n_factors: int) -> int:
        """Points in a block."""
        ...

    def indices(self, points: Array, y: Array, seed: int) -> Mapping[str, Index]:
        """Name of the index -> numbers, from complete blocks; the first one ranks. y (n,) SI."""
        ...


@dataclass(frozen=True)
class Sobol:
    """Shares of the variance: "first" (of a factor alone) and "total" (with all its interactions).

    n: blocks, a power of two; n (n_factors + 2) simulations. Sobol' points, scrambled; estimators of Saltelli et al.
    (2010) for first and Jansen (1999) for total indices, as in SALib; intervals by bootstrap. Assumes that factors are
    independent.
    """

    n: int = 256

    @property
    def left_out(self) -> float:
        """Nothing: points lie within the cube."""
        return 0.0

    def __post_init__(self) -> None:
        """Check the number."""
        if self.n < 8 or self.n & (self.n - 1):
            raise BoundsError(f"Sobol: n = {self.n} is not a power of two of 8 or more")

    def block_size(self, n_factors: int) -> int:
        """A, B, and A with one column of B for each factor."""
        return n_factors + 2

    def points(self, n_factors: int, seed: int) -> Array:
        """See Method."""
        from SALib.sample import sobol

        return np.asarray(sobol.sample(_cube(n_factors), self.n, calc_second_order=False, seed=seed), dtype=float)

    def indices(self, points: Array, y: Array, seed: int) -> Mapping[str, Index]:
        """See Method."""
        from SALib.analyze import sobol

        n_factors = points.shape[1]
        if np.ptp(y) == 0.0:
            nothing = Index(np.zeros(n_factors), np.zeros(n_factors), True)
            return {"total": nothing, "first": nothing}
        # SALib takes a seed of 0 for none.
        found = sobol.analyze(
            _cube(n_factors), y, calc_second_order=False, num_resamples=N_RESAMPLES, conf_level=0.95, seed=seed + 1
        )
        return {
            "total": Index(np.asarray(found["ST"]), np.asarray(found["ST_conf"]), True),
            "first": Index(np.asarray(found["S1"]), np.asarray(found["S1_conf"]), True),
        }


@dataclass(frozen=True)
class Morris:
    """Screening: "mu_star", the mean size of the effect of moving a factor over its range, and "sigma", how much it
    varies with where the others are (interactions, curvature).

    For dozens of factors: n_trajectories (n_factors + 1) simulations. n_levels: of the grid, even. Morris (1991),
    Campolongo et al. (2007), as in SALib. Effects are in the unit of the quantity, over the whole range of a factor: of
    draws and priors from the 2.5 % to the 97.5 % quantile, which a few hundred draws know.
    """

    n_trajectories: int = 20
    n_levels: int = 4

    @property
    def left_out(self) -> float:
        """The outer levels lie on the ends of the cube, where draws have their smallest and largest."""
        return 0.025

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.n_trajectories < LEAST_BLOCKS:
            raise BoundsError(f"Morris: n_trajectories = {self.n_trajectories} is below {LEAST_BLOCKS}")
        if self.n_levels < 4 or self.n_levels % 2:
            raise BoundsError(f"Morris: n_levels = {self.n_levels} is not an even number of 4 or more")

    def block_size(self, n_factors: int) -> int:
        """A trajectory moves one factor after the other."""
        return n_factors + 1

    def points(self, n_factors: int, seed: int) -> Array:
        """See Method."""
        from SALib.sample import morris

        found = morris.sample(_cube(n_factors), self.n_trajectories, num_levels=self.n_levels, seed=seed)
        return np.asarray(found, dtype=float)

    def indices(self, points: Array, y: Array, seed: int) -> Mapping[str, Index]:
        """See Method."""
        from SALib.analyze import morris

        found = morris.analyze(
            _cube(points.shape[1]),
            points,
            y,
            num_resamples=N_RESAMPLES,
            conf_level=0.95,
            num_levels=self.n_levels,
            seed=seed,
        )
        sigma = np.asarray(found["sigma"], dtype=float)
        return {
            "mu_star": Index(np.asarray(found["mu_star"], dtype=float), np.asarray(found["mu_star_conf"]), False),
            "sigma": Index(sigma, np.full(sigma.size, np.nan), False),
        }


def complete_blocks(y: Array, block_size: int) -> NDArray[np.bool_]:
    """(n,) whether a point is in a block whose simulations all succeeded."""
    whole = np.isfinite(y).reshape(-1, block_size).all(axis=1)
    return np.repeat(whole, block_size)


def _cube(n_factors: int) -> dict[str, Any]:
    return {"num_vars": n_factors, "names": [f"x{j}" for j in range(n_factors)], "bounds": [[0.0, 1.0]] * n_factors}
