"""How much noise there is, from what a filter did not expect.

With the right variances the innovations v of a filter are white with the covariance S that it states. The factors on
the variances of random walks, and of sensors, are those for which the innovations are most likely (Mehra, IEEE Trans.
Autom. Control 17, 693, 1972; Shumway and Stoffer, Time Series Analysis, sec. 6.3):

    ln L = -1/2 sum (ln det 2 pi S + v^T S^-1 v)

searched in ln factor by Fisher's scoring, with the expected information of Gupta and Mehra (IEEE Trans. Autom. Control
19, 774, 1974). The derivatives of v and S are central differences of whole passes of the filter.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.stats import norm

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Observation, Step
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.method import Method
from physics_twin.errors import DataError, SolveError, unknown_name

_LOGGER = logging.getLogger(__name__)
_DIFFERENCE = 1e-2  # in ln factor: error 1e-5 of a smooth likelihood, far above what an integrator leaves
_LONGEST = 2.0  # step in ln factor: beyond, the information at the beginning says nothing
_FARTHEST = 20.0  # |ln factor|; a noise that wants to vanish stops here
_GAIN = 1e-6  # of ln L, below which the search has ended: the mode is then known to a thousandth of its error
_MOST = 50  # iterations
_CONVERGED = "converged"

type Record = Sequence[tuple[Step, Observation]]
"""Steps of a filter with the samples at their end; an observation without samples is a step without update."""

type Innovations = Sequence[tuple[Array, Array]]
"""For each moment with samples: v (n_samples,) and S (n_samples, n_samples), SI."""


@dataclass(frozen=True, eq=False)
class NoiseFactors:
    """Factors by which the variances that were given are to be multiplied.

    names: walks, then channels. factors: (n,) on variances; that of a standard deviation is the root. errors: (n,)
    standard errors of ln factor; infinite where the samples say nothing. log_likelihood: at the factors, and with all
    of them 1. converged, message: whether the search ended at a maximum, and in words.
    """

    names: tuple[str, ...]
    factors: Array
    errors: Array
    log_likelihood: float
    log_likelihood_before: float
    n_samples: int
    n_iterations: int
    converged: bool
    message: str

    def interval(self, name: str, probability: float = 0.95) -> tuple[float, float]:
        """Bounds of a factor from its standard error; raises UnknownNameError."""
        if name not in self.names:
            raise unknown_name("walk or channel", name, self.names)
        k = self.names.index(name)
        reach = float(norm.ppf(0.5 + 0.5 * probability)) * self.errors[k]
        with np.errstate(over="ignore"):
            return float(self.factors[k] * np.exp(-reach)), float(self.factors[k] * np.exp(reach))


def estimate_walks(
    method: Method,
    belief: Belief,
    dynamics: Dynamics,
    record: Record,
    *,
    walks: Mapping[str, NDArray[np.bool_]],
    channels: Sequence[str] = (),
) -> NoiseFactors:
    """Factors on the variance of random walks, and of the noise of `channels`, by maximum likelihood.

    belief: at the beginning of the first step, before its walk. walks: name -> (n_coordinates,) which coordinates
    share one factor; their variance in the steps must be above zero. The method must state its covariance from the
    walks alone (no inflation). A pass over the record is made 2 n + 1 times in each of 5 to 15 iterations.

    Raises DataError for a record without samples, UnknownNameError for a channel that has none, SolveError where the
    filter fails at factors of 1; a trial at which it fails is only rejected.
    """
    names = (*walks, *channels)
    n_samples = sum(seen.rows.size for _, seen in record)
    if not n_samples or not names:
        raise DataError(f"{n_samples} samples and {len(names)} factors to estimate; give at least one of each")
    known = sorted({channel for _, seen in record for channel in seen.channels})
    for channel in channels:
        if channel not in known:
            raise unknown_name("channel", channel, known)
    for name, mask in walks.items():
        if not any((step.variance[mask] > 0.0).any() for step, _ in record):
            raise DataError(f'the walk "{name}" has variance 0 in every step; a factor on zero cannot be found')

    def innovations(x: Array) -> Innovations:
        return _pass(method, belief, dynamics, _scaled(record, walks, channels, np.exp(x)))

    before = log_likelihood(innovations(np.zeros(len(names))))
    found = _search(innovations, len(names))
    message = found.message
    vanished = [name for name, at in zip(names, found.x, strict=True) if abs(at) >= _FARTHEST]
    if vanished:
        message += f"; the samples show no finite noise of {', '.join(vanished)}"
    errors = _errors(found.information)
    converged = found.message == _CONVERGED
    return NoiseFactors(
        names, np.exp(found.x), errors, found.value, before, n_samples, found.iterations, converged, message
    )


@dataclass(frozen=True, eq=False)
class _Maximum:
    x: Array
    information: Array
    value: float
    iterations: int
    message: str


def _search(innovations: Callable[[Array], Innovations], n: int) -> _Maximum:
    """Fisher's scoring from factors of 1, each step shortened until the likelihood does not fall."""
    x = np.zeros(n)
    here = innovations(x)
    value = log_likelihood(here)
    for iteration in range(1, _MOST + 1):
        gradient, information = _scores(innovations, x, here)
        step = _scoring_step(gradient, information, x)
        gained = -math.inf
        for fraction in 0.5 ** np.arange(10):
            try:
                trial = innovations(x + fraction * step)
            except SolveError as error:
                _LOGGER.debug("a trial of noise factors failed: %s", error)
                continue
            gained = log_likelihood(trial) - value
            if gained >= 0.0:
                x, here, value = x + fraction * step, trial, value + gained
                break
        if gained == -math.inf:
            return _Maximum(x, information, value, iteration, "not converged: the filter fails at every trial")
        if gained < _GAIN:
            return _Maximum(x, information, value, iteration, _CONVERGED)
    return _Maximum(x, information, value, _MOST, f"not converged after {_MOST} iterations; try a longer record")


def log_likelihood(innovations: Innovations) -> float:
    """Of innovations (n_samples,) with their covariances (n_samples, n_samples), one pair for each moment."""
    total = 0.0
    for v, s in innovations:
        root = np.linalg.cholesky(s)
        w = solve_triangular(root, v, lower=True)
        total -= 0.5 * (v.size * math.log(2.0 * math.pi) + float(w @ w)) + float(np.log(np.diag(root)).sum())
    return total


def _pass(method: Method, belief: Belief, dynamics: Dynamics, record: Record) -> Innovations:
    """Innovations and their covariances, sensor noise included, of a whole record."""
    found = []
    for step, seen in record:
        predicted = method.predict(belief, dynamics, step)
        belief = predicted.belief
        if not seen.rows.size:
            continue
        covariance = predicted.covariance[np.ix_(seen.rows, seen.rows)] + np.diag(seen.variance)
        found.append((seen.values - predicted.outputs[seen.rows], covariance))
        belief = method.update(predicted, dynamics, step, seen)
    return found


def _scaled(
    record: Record, walks: Mapping[str, NDArray[np.bool_]], channels: Sequence[str], factors: Array
) -> list[tuple[Step, Observation]]:
    on_noise = dict(zip(channels, factors[len(walks) :], strict=True))
    scaled = []
    for step, seen in record:
        variance = step.variance.copy()
        for mask, factor in zip(walks.values(), factors, strict=False):
            variance[mask] *= factor
        noise = seen.variance * [on_noise.get(channel, 1.0) for channel in seen.channels]
        scaled.append((replace(step, variance=variance), replace(seen, variance=noise)))
    return scaled


def _scores(innovations: Callable[[Array], Innovations], x: Array, here: Innovations) -> tuple[Array, Array]:
    """Gradient (n,) and expected information (n, n) of ln L by ln factor."""
    n = x.size
    sides = []
    for k in range(n):
        shift = np.zeros(n)
        shift[k] = _DIFFERENCE
        sides.append((innovations(x + shift), innovations(x - shift)))
    gradient, information = np.zeros(n), np.zeros((n, n))
    for moment, (v, s) in enumerate(here):
        root = np.linalg.cholesky(s)
        w = solve_triangular(root, v, lower=True)
        by_s, by_v = [], []
        for above, below in sides:
            dv = (above[moment][0] - below[moment][0]) / (2.0 * _DIFFERENCE)
            ds = (above[moment][1] - below[moment][1]) / (2.0 * _DIFFERENCE)
            half = solve_triangular(root, ds, lower=True)
            by_s.append(solve_triangular(root, half.T, lower=True))
            by_v.append(solve_triangular(root, dv, lower=True))
        for i in range(n):
            gradient[i] += 0.5 * (w @ by_s[i] @ w - np.trace(by_s[i])) - by_v[i] @ w
            for j in range(n):
                information[i, j] += 0.5 * np.sum(by_s[i] * by_s[j]) + by_v[i] @ by_v[j]
    return gradient, information


def _scoring_step(gradient: Array, information: Array, x: Array) -> Array:
    """Information^-1 gradient, no longer than is trusted, within the range that is searched."""
    floor = 1e-8 * max(float(np.trace(information)), 1e-12)
    step = np.linalg.solve(information + floor * np.eye(x.size), gradient)
    longest = float(np.abs(step).max())
    if longest > _LONGEST:
        step *= _LONGEST / longest
    return np.asarray(np.clip(x + step, -_FARTHEST, _FARTHEST) - x, dtype=float)


def _errors(information: Array) -> Array:
    """Standard errors; infinite in directions without information."""
    values, vectors = np.linalg.eigh(information)
    with np.errstate(divide="ignore"):
        variances = np.where(values > 1e-8, 1.0 / np.maximum(values, 1e-300), np.inf)
    shares = vectors**2
    weighted = np.where(shares > 1e-12, shares, 0.0)
    with np.errstate(invalid="ignore"):
        terms = np.where(weighted > 0.0, weighted * variances, 0.0)
    return np.asarray(np.sqrt(terms.sum(axis=1)), dtype=float)
