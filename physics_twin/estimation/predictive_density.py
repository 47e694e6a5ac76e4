"""How probable a held-back batch was under a prediction: the log predictive density, in two ways.

From draws: the log of the mean over draws of the product of the noise densities of all samples of the batch,
log p(y) = log (1/M) sum_m p(y | theta_m) (Vehtari, Gelman and Gabry, Statistics and Computing 27 (2017) 1413). It
assumes nothing about the shape of the prediction, but a batch that says much about the parameters is probable under
few draws only, and the mean is then that of these few: its Monte Carlo error and the number of draws that carry it
are computed, and below `ENOUGH` of them it is not used.

Normal: the density of a normal distribution with mean and covariance of the draws, plus that of the noise (with its
memory; of Student's t the variance). Exact for a model that is linear in normal parameters, smooth in the number of
draws, and approximate elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import logsumexp

from physics_twin.arrays import Array
from physics_twin.estimation.predicted import Sampled

ENOUGH = 50.0
"""Draws that must carry the mean: its relative error is then about 1/7, that of the log 0.14."""

LEAST_TAILS = 2.5
"""Degrees of freedom of Student's t: below two it has no variance, and the normal density no answer."""


@dataclass(frozen=True)
class BatchDensity:
    """Log predictive density of one batch, of quantities in SI."""

    from_draws: float
    from_draws_error: float
    """Monte Carlo standard error."""
    carried_by: float
    """Draws that carry the mean, (sum w)^2 / sum w^2."""
    normal: float
    normal_error: float
    """Half the difference of the two halves of the draws."""

    @property
    def trusts_draws(self) -> bool:
        """Whether enough draws carry the mean."""
        return self.carried_by >= ENOUGH

    def value(self, *, normal: bool | None = None) -> float:
        """The density: from draws where they carry it, else the normal one; or as asked."""
        return self.normal if (not self.trusts_draws if normal is None else normal) else self.from_draws

    def error(self, *, normal: bool | None = None) -> float:
        """Its Monte Carlo error."""
        return self.normal_error if (not self.trusts_draws if normal is None else normal) else self.from_draws_error


def batch_density(samples: Sequence[Sampled], independent: float = 1.0) -> BatchDensity:
    """The density of all samples of one batch; independent: draws that count, as a share (below one from a chain)."""
    log = np.sum([s.log_likelihood for s in samples], axis=0)
    m = log.size
    weights = np.exp(log - log.max())
    share = weights / weights.sum()
    carried = float(1.0 / (share @ share))
    # Delta method: the relative standard error of the mean.
    error = float(weights.std(ddof=1) / weights.mean() / np.sqrt(m * independent)) if m > 1 else np.inf
    halves = [_normal(samples, slice(k, None, 2)) for k in (0, 1)] if m > 3 else [0.0, np.inf]
    return BatchDensity(
        from_draws=float(logsumexp(log) - np.log(m)),
        from_draws_error=error,
        carried_by=carried * independent,
        normal=_normal(samples, slice(None)),
        normal_error=0.5 * abs(halves[0] - halves[1]),
    )


def _normal(samples: Sequence[Sampled], rows: slice) -> float:
    """Log density of N(mean, covariance of the draws + noise), times the mean probability of limits."""
    parts = [_whitened(s, rows) for s in samples]
    e, spread = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts], axis=1)
    limits = np.sum([s.log_limits[rows] for s in samples], axis=0)
    m, n = spread.shape
    square, log_root = 0.0, 0.0
    if n:
        if n <= m:
            factor = cho_factor(np.eye(n) + spread.T @ spread)
            square = float(e @ cho_solve(factor, e))
        else:  # the same by the smaller of the two matrices (Woodbury)
            factor = cho_factor(np.eye(m) + spread @ spread.T)
            along = spread @ e
            square = float(e @ e - along @ cho_solve(factor, along))
        log_root = float(np.sum(np.log(np.diag(factor[0]))))
    log_scale = sum(p[2] for p in parts)
    of_limits = float(logsumexp(limits) - np.log(m))
    return float(-0.5 * square - log_root - log_scale - 0.5 * n * np.log(2.0 * np.pi) + of_limits)


def _whitened(sample: Sampled, rows: slice) -> tuple[Array, Array, float]:
    """Deviations (n,) from the mean and the draws' own (n_draws, n), both in units of independent noise; log det."""
    true, noise = sample.true[rows], sample.noise
    tails = np.maximum(noise.tails[rows], LEAST_TAILS)[:, None]
    heavy = np.where(np.isfinite(tails), 1.0 + 2.0 / (np.where(np.isfinite(tails), tails, 3.0) - 2.0), 1.0)
    sd = np.sqrt(np.mean(sample.sd[rows] ** 2 * heavy, axis=0))
    e = (sample.observed - true.mean(axis=0)) / sd
    spread = (true - true.mean(axis=0)) / sd / np.sqrt(max(len(true) - 1, 1))
    log_scale = float(np.sum(np.log(sd)))
    memory = float(np.median(noise.memory[rows]))
    if memory > 0.0 and e.size > 1:
        steps = np.diff(sample.times)
        apart = steps[steps > 0.0]
        gaps = np.where(steps > 0.0, steps, apart.min() if apart.size else np.inf)
        phi, root = np.exp(-gaps / memory), np.sqrt(-np.expm1(-2.0 * gaps / memory))
        e = np.append(e[:1], (e[1:] - phi * e[:-1]) / root)
        spread = np.concatenate([spread[:, :1], (spread[:, 1:] - phi * spread[:, :-1]) / root], axis=1)
        log_scale += float(np.sum(np.log(root)))
    return e, spread, log_scale
