"""The normal (with estimated noise: the multivariate t) of a Laplace approximation, ready to be drawn from.

It holds what `calibrate` drew from: informations and slopes at the mode in the coordinates of the draws, the bounds
there, and the way back to declared unknowns. Nothing of the model is in it, so a posterior can be drawn anew without.

Letters: A, C, M as in `physics_twin/estimation/laplace.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.posterior.drawing.inverse_root import inverse_root
from physics_twin.posterior.drawing.many_draws import Shared, draw_many
from physics_twin.posterior.drawing.truncated_normal import draw_within

MANY = 40
"""Unknowns beyond which draws are made as in `many_draws`: a root per draw, and Gibbs sweeps, become too slow."""


@dataclass(frozen=True)
class Declared:
    """The way from coordinates y of the draws to unknowns x, elementwise over d unknowns."""

    mode: Array
    """(d,) SI, where y is zero."""
    in_logarithm: NDArray[np.bool_]
    """(d,) which are drawn in their logarithm."""
    scale: Array
    """(d,) of the logarithm: x = mode exp(scale y)."""
    slope: Array
    """(d,) SI, of the others: x = mode + slope y."""
    low: Array
    """(d,) SI"""
    high: Array

    def x(self, y: Array) -> Array:
        """Unknowns (n, d) SI."""
        with np.errstate(over="ignore"):
            grown = self.mode * np.exp(np.where(self.in_logarithm, self.scale * y, 0.0))
            x = np.where(self.in_logarithm, grown, self.mode + self.slope * y)
        return np.asarray(np.clip(x, self.low, self.high))


@dataclass(frozen=True, eq=False)
class NormalAtMode:
    """Independent draws of unknowns and noise levels from the Laplace approximation at a mode."""

    shared: Shared
    root: Array
    """(d, d) C at the mode."""
    m_root: Array
    """(d, d) root of M: what correlated residuals widen draws by."""
    widest: Array
    """(d,) see `widest_sd`."""
    low: Array
    """(d,) bounds in the coordinates of the draws."""
    high: Array
    declared: Declared

    @property
    def words(self) -> str:
        """What draws come from."""
        return "the posterior's normal approximation"

    def table(self, n: int, rng: np.random.Generator) -> Array:
        """`n` draws (n, d + n_groups) SI: unknowns, then noise levels; advances `rng`."""
        if self.low.size > MANY:
            sd, y = draw_many(self.shared, self.root, self.m_root, self.low, self.high, n, rng)
        else:
            sd, y = self._few(n, rng)
        return np.concatenate([self.declared.x(y), sd], axis=1)

    def _few(self, n_draws: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Noise levels (n_draws, n_groups) and y (n_draws, d), each draw with the root of its own information."""
        shared, (d, n_groups) = self.shared, (self.low.size, self.shared.sd.size)

        def propose(n: int) -> tuple[Array, Array, Array]:
            """Noise levels (n, n_groups), centers (n, d) and roots (n, d, d) of n Gaussians."""
            sd = np.empty((n, n_groups))
            a = np.broadcast_to(shared.fixed_information, (n, d, d)).copy()
            g = np.broadcast_to(shared.fixed_slope, (n, d)).copy()
            for k in range(n_groups):
                ratio = rng.chisquare(shared.degrees[k], size=n) / shared.degrees[k]  # sigma_hat^2 / sigma^2
                sd[:, k] = shared.sd[k] / np.sqrt(ratio)
                a += ratio[:, None, None] * shared.by_group[k]
                g += ratio[:, None] * shared.slope_by_group[k]
            if n_groups == 0:
                c = np.broadcast_to(inverse_root(a[:1], self.widest), (n, d, d))
            else:
                c = inverse_root(a, self.widest)
            center = -np.einsum("nij,nkj,nk->ni", c, c, g)
            return sd, center, c @ self.m_root

        return draw_within(propose, self.low, self.high, n_draws, rng)
