"""Samples in units of their noise: of levels, shares of the predicted value, uncertain times, and memory.

The noise is that of the log density (see `likelihood.sample_noise`) at the mean of what the members predict, one for
all members: an update needs one covariance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.estimation.hypers import HyperKind
from physics_twin.estimation.problem import Problem


@dataclass(frozen=True)
class Whitening:
    """What makes the noise of all samples independent and of size one."""

    sd: Array
    """(n_data,) SI"""
    memory: Array
    """(n_data,) correlation with the sample before, 0 for none."""
    before: NDArray[np.intp]
    """(n_data,) that sample, -1 for none."""

    def __call__(self, data: Array) -> Array:
        """Whitened data (..., n_data) of data in SI."""
        e = data / self.sd
        if not self.memory.any():
            return np.asarray(e)
        remembered = np.where(self.before >= 0, self.memory * e[..., self.before], 0.0)
        return np.asarray((e - remembered) / np.sqrt(1.0 - self.memory**2))


def whitening(problem: Problem, levels: Array, signal: Array, extra: Array | None) -> Whitening:
    """At noise levels (n_groups,), the model's values (n_data,) SI and an extra variance (n_data,) SI^2."""
    shape = problem.sample_noise
    psi = np.concatenate([np.log(levels), np.log([max(h.parameter.value, 1e-300) for h in problem.hypers])])
    numbers = shape.at(psi)
    variance = numbers.level**2 + (numbers.share * signal) ** 2
    if extra is not None:
        variance = variance + extra
    remembers = (shape.before >= 0) & (numbers.memory > 0.0)
    memory = np.where(remembers, np.exp(-shape.gap / np.where(remembers, numbers.memory, 1.0)), 0.0)
    return Whitening(np.sqrt(variance), memory, shape.before)


def signal_of(problem: Problem, residual: Array, x: Array) -> Array:
    """The model's values (..., n_data) SI, without biases, of residuals (..., n_data) at unknowns (..., d)."""
    signal = np.empty(residual.shape)
    for c in problem.channels:
        bias = np.float64(c.bias) if c.bias_column < 0 else x[..., c.bias_column, None]
        signal[..., c.rows] = c.observed - bias - residual[..., c.rows]
    return signal


def check_noise(problem: Problem) -> None:
    """Raise CalibrationError for noise that an update of Gaussians cannot take."""
    found = sorted({c.output for c in problem.channels if c.shape.degrees_of_freedom.given < np.inf})
    if found:
        raise CalibrationError(
            f"the noise of {found[0]} follows Student's t, and an ensemble smoother updates with normal noise only; "
            "use GaussNewton or MarkovChain, or leave degrees_of_freedom out"
        )
    if problem.sample_noise.censored.any():
        hidden = sorted({c.output for c in problem.channels if problem.sample_noise.censored[c.rows].any()})
        raise CalibrationError(
            f"{hidden[0]} has censored samples, and an ensemble smoother updates with measured values only; use "
            "GaussNewton or MarkovChain, or leave these samples out"
        )
    shaping = [h for h in problem.hypers if h.kind is not HyperKind.SPREAD]
    if shaping:
        raise CalibrationError(
            f"{shaping[0].parameter.name} is to be estimated, and an ensemble smoother estimates levels of noise, "
            "not its shape; give the number, or use GaussNewton or MarkovChain"
        )
