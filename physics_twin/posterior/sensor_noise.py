"""The noise of a sensor as predictions draw it: its size at each sample, its memory, its tails, and its density.

What the likelihood of a fit assumes of a sample is what a prediction of it draws: a variance level^2 + (share *
value)^2 + that of an uncertain time, deviations that remember those before (an AR(1) process in continuous time) or
follow Student's t. Each number is given, or has a value for each draw of the posterior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, log_ndtr, stdtr

from physics_twin.arrays import Array

TINY = 1e-300


@dataclass(frozen=True)
class SensorNoise:
    """What is known of the noise of one channel, (n_draws,) each."""

    level: Array
    """SI, one standard deviation of a sample of scale one."""
    share: Array
    """Of the true value; 0 for none."""
    memory: Array
    """s; 0 for none."""
    tails: Array
    """Degrees of freedom of Student's t; infinite for normal deviations."""

    def of(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "SensorNoise":
        """The noise of some of the draws."""
        return SensorNoise(self.level[rows], self.share[rows], self.memory[rows], self.tails[rows])

    def sd(self, true: Array, scale: Array | float = 1.0, extra: Array | None = None) -> Array:
        """Scale of the noise (n_draws, n) SI; its standard deviation where tails are normal.

        true: (n_draws, n) without noise and bias. scale: (n,) of samples. extra: (n_draws, n) SI^2, a variance besides.
        """
        level = self.level[:, None] * scale
        if not self.share.any() and extra is None:
            return np.broadcast_to(level, true.shape)
        variance = level**2 + (self.share[:, None] * true) ** 2
        return np.sqrt(variance if extra is None else variance + extra)

    def draw(self, times: Array, sd: Array, u: Array, rng: np.random.Generator) -> Array:
        """Deviations (n_draws, n) SI; times: (n,) s, of the samples, ascending; sd: see `sd`; u: standard normal."""
        u = u.copy()
        if self.memory.any() and times.size > 1:
            phi, root = self._memory(times)
            for k in range(1, times.size):
                u[:, k] = phi[:, k - 1] * u[:, k - 1] + root[:, k - 1] * u[:, k]
        heavy = np.isfinite(self.tails)
        if heavy.any():
            nu = self.tails[heavy, None]
            u[heavy] *= np.sqrt(nu / rng.chisquare(np.broadcast_to(nu, u[heavy].shape)))
        return np.asarray(sd * u)

    def log_density(self, deviations: Array, times: Array, sd: Array) -> Array:
        """Log density (n_draws,) of deviations (n_draws, n) SI at times (n,) s, ascending, in 1/SI."""
        e = deviations / sd
        u, log_det = e, -np.sum(np.log(sd), axis=1)
        if self.memory.any() and times.size > 1:
            phi, root = self._memory(times)
            u = np.concatenate([e[:, :1], (e[:, 1:] - phi * e[:, :-1]) / root], axis=1)
            log_det = log_det - np.sum(np.log(root), axis=1)
        nu = np.where(np.isfinite(self.tails), self.tails, 1.0)[:, None]
        constant = gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * nu)
        student = constant - 0.5 * (nu + 1.0) * np.log1p(u**2 / nu)
        normal = -0.5 * u**2 - 0.5 * np.log(2.0 * np.pi)
        each = np.where(np.isfinite(self.tails)[:, None], student, normal)
        return np.asarray(np.sum(each, axis=1) + log_det)

    def log_limits(self, deviations: Array, sides: NDArray[np.int8], sd: Array) -> Array:
        """Log probability (n_draws,) that the sensor stays beyond limits: deviations (n_draws, n) of the limits."""
        a = -sides * deviations / sd
        nu = np.where(np.isfinite(self.tails), self.tails, 1.0)[:, None]
        student = np.log(np.maximum(stdtr(np.broadcast_to(nu, a.shape), a), TINY))
        return np.asarray(np.sum(np.where(np.isfinite(self.tails)[:, None], student, log_ndtr(a)), axis=1))

    def _memory(self, times: Array) -> tuple[Array, Array]:
        """Correlation (n_draws, n - 1) of neighbors, and the root of what it leaves over."""
        steps = np.diff(times)
        apart = steps[steps > 0.0]
        # Samples at one time would have to agree exactly: they are as far apart as the closest that differ in time.
        gaps = np.where(steps > 0.0, steps, apart.min() if apart.size else np.inf)
        remembers = self.memory > 0.0
        share = gaps / np.where(remembers, self.memory, 1.0)[:, None]
        phi = np.where(remembers[:, None], np.exp(-share), 0.0)
        return phi, np.where(remembers[:, None], np.sqrt(np.maximum(-np.expm1(-2.0 * share), TINY)), 1.0)
