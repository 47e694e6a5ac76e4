"""What correlated residuals cost: samples of a smooth process, one second apart, are not independent.

Per output (all its experiments together): is there positive autocorrelation that chance does not explain, and if so,
what covariance C do the whitened residuals have? C = white * I + slow * exp(-|t - t'| / memory), measurement noise and
a slow misfit, since the lag-one correlation alone misses a slow misfit under noise. The Laplace covariance A^-1 then
becomes the sandwich A^-1 (J^T C J + P) A^-1.

Fitting hides correlation: residuals are r = (I - U U^T) e with U = J A^{-1/2}, which takes slow components out of e.
Every expectation below includes that, as Durbin and Watson (1950, 1951) did for lag one; without it, ten parameters on
a hundred samples pass for white when they are not. The variance components are fitted to the lagged products.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.signal import lfilter
from scipy.special import ndtr

from physics_twin.arrays import Array

LEVEL = 0.05
"""Chance that white residuals of an output are called correlated."""
LEVEL_MODELED = 0.001
"""The same where the noise model has a correlation time: its innovations are white by construction, but for a model
that is badly wrong, and to widen by chance what is wide already helps nobody."""
WINDOWS = (1, 5, 25)
"""Lags that a test adds up: one for short memory, more for a slow misfit under noise."""
N_MEMORIES = 12
LONGEST = 6.0
"""Share of the record that the memory may last: residuals cannot tell a longer one from what was fitted. Tried on
AR(1), on a slow misfit under noise and on smooth curves: with 6, estimated standard deviations are within a few percent
of the true ones; larger values overstate smooth misfits, smaller ones understate slow ones."""
N_SIMULATED = 999
LARGE = 300
"""Residuals beyond which the normal approximation is good and a simulation slow."""
RANDOM_SEED = 1951


@dataclass(frozen=True)
class Segment:
    """Whitened residuals of one output in one experiment, in the order of time."""

    times: Array
    """(n,) s"""
    r: Array
    """(n,) whitened"""
    u: Array
    """(n, d) rows of J A^{-1/2}"""


@dataclass(frozen=True)
class Correlation:
    """Finding for one output over time, or for one array of sensors over its places."""

    n_samples: int
    effective_samples: float
    """Independent samples that carry the same information on a slow quantity; n_samples when white."""
    lag_one: float
    """Autocorrelation of neighboring residuals."""
    p_value: float
    memory: float
    """s, or m along an array of sensors; 0 when white."""
    excess: Array
    """U^T (C - I) U, positive semidefinite (d, d): zero when white."""
    variance_samples: float
    """Samples that count for the level of the noise; n_samples when white."""
    along: str = "s"
    """Unit of the memory."""

    @property
    def significant(self) -> bool:
        """Whether the residuals are correlated beyond chance."""
        return self.memory > 0.0


def examine(segments: Sequence[Segment], level: float = LEVEL) -> Correlation:
    """Test one output's residuals for positive autocorrelation and estimate their covariance.

    level: chance that white residuals are called correlated.
    Correlation only ever widens: where it would narrow, the classical covariance stays.
    """
    segments = [s for s in segments if s.r.size]
    d = segments[0].u.shape[1]
    n = sum(s.r.size for s in segments)
    longest = max(s.r.size for s in segments)
    r, u = _padded(segments, max(longest // 2, 1))
    gram = u.T @ u
    total = float(r @ r)
    lag_one = float(r[1:] @ r[:-1]) / total if total > 0 else 0.0
    windows = [k for k in WINDOWS if k == 1 or 4 * k <= longest]
    usable = longest >= 4 and n - float(np.trace(gram)) >= 2.0 and total > 0
    p = _p_value(r, u, n, windows) if usable else 1.0
    white = Correlation(n, float(n), lag_one, p, 0.0, np.zeros((d, d)), float(n))
    if p > level:
        return white
    found = _components(segments, r, u, n)
    if found is None:
        return white
    noise, slow, memory = found
    wu = np.concatenate([_apply(s.times, memory, s.u) for s in segments])
    u_all = np.concatenate([s.u for s in segments])
    excess = (noise - 1.0) * gram + slow * (u_all.T @ wu)
    # Per direction that the data see, never narrower than white: eigenvalues against the gram matrix.
    values, vectors = np.linalg.eigh(0.5 * (excess + excess.T))
    excess = (vectors * np.maximum(values, 0.0)) @ vectors.T
    share = slow / (noise + slow)
    ones = [np.ones((s.r.size, 1)) for s in segments]
    run = sum(float(_apply(s.times, memory, o).sum()) for s, o in zip(segments, ones, strict=True)) / n
    run_square = sum(float(_apply(s.times, 0.5 * memory, o).sum()) for s, o in zip(segments, ones, strict=True)) / n
    return Correlation(
        n_samples=n,
        effective_samples=n / max(1.0 + share * (run - 1.0), 1.0),
        lag_one=lag_one,
        p_value=p,
        memory=memory,
        excess=excess,
        variance_samples=n / max(1.0 + share**2 * (run_square - 1.0), 1.0),
    )


def _padded(segments: Sequence[Segment], gap: int) -> tuple[Array, Array]:
    """Residuals and rows one after another with zeros between, so that lagged products never cross experiments."""
    d = segments[0].u.shape[1]
    rs: list[Array] = []
    us: list[Array] = []
    for s in segments:
        rs += [s.r, np.zeros(gap)]
        us += [s.u, np.zeros((gap, d))]
    return np.concatenate(rs), np.concatenate(us)


def _p_value(r: Array, u: Array, n: int, windows: Sequence[int]) -> float:
    """One-sided p of the largest weighted sum of autocorrelations over `windows`, against white noise before the fit.

    The normal approximation (moments of a ratio of quadratic forms, Durbin and Watson 1951) decides clear cases;
    the others are simulated, since the statistics are skew and correlated: fixed seed, so that the same residuals give
    the same answer.
    """
    moments = [_moments(u, n, k, r != 0.0) for k in windows]
    z = _largest(r[None, :], windows, moments)[0]
    rough = float(ndtr(-z))
    if rough * len(windows) < 1e-4 or rough > 0.3 or n > LARGE:
        return min(rough * len(windows), 1.0)
    rng = np.random.default_rng(RANDOM_SEED)
    values, vectors = np.linalg.eigh(np.eye(u.shape[1]) - u.T @ u)
    rest = u @ (vectors * np.sqrt(np.maximum(values, 0.0)))  # through the fit from the other outputs and the priors
    e = rng.standard_normal((N_SIMULATED, r.size)) * (r != 0.0)
    simulated = e - (e @ u) @ u.T + rng.standard_normal((N_SIMULATED, u.shape[1])) @ rest.T
    return float((1 + (_largest(simulated, windows, moments) >= z).sum()) / (1 + N_SIMULATED))


def _weights(window: int) -> Array:
    k = np.arange(1, window + 1)
    return np.asarray(0.5 * (1.0 - k / (window + 1.0)) if window > 1 else np.array([0.5]))


def _largest(r: Array, windows: Sequence[int], moments: Sequence[tuple[float, float]]) -> Array:
    """Largest standardized statistic of each row of r (n_rows, n_padded)."""
    total = (r * r).sum(axis=1)
    products = np.stack([2.0 * (r[:, k:] * r[:, :-k]).sum(axis=1) / total for k in range(1, max(windows) + 1)])
    z = [
        (_weights(window) @ products[:window] - mean) / sd for window, (mean, sd) in zip(windows, moments, strict=True)
    ]
    return np.asarray(np.max(z, axis=0))


def _moments(u: Array, n: int, window: int, present: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean and standard deviation of q = r.L r / r.r for white noise, L banded with the weights of the window.

    r = M e, M = I - U U^T, nu = tr M: E q = tr(LM)/nu, var q = 2 (nu tr(LMLM) - tr(LM)^2) / (nu^2 (nu + 2)).
    """
    lu = np.zeros_like(u)
    pairs = 0.0
    for k, weight in enumerate(_weights(window), start=1):
        lu[k:] += weight * u[:-k]
        lu[:-k] += weight * u[k:]
        pairs += 2.0 * weight**2 * float((present[k:] & present[:-k]).sum())
    ulu = u.T @ lu
    nu = n - float((u * u).sum())
    first = -float(np.trace(ulu))
    second = pairs - 2.0 * float((lu * lu).sum()) + float((ulu * ulu.T).sum())
    variance = 2.0 * (nu * second - first**2) / (nu**2 * (nu + 2.0))
    return first / nu, float(np.sqrt(max(variance, 1e-300)))


def _components(segments: Sequence[Segment], r: Array, u: Array, n: int) -> tuple[float, float, float] | None:
    """Variances (white, slow) and memory (s) that explain the lagged products best; None when no slow part does."""
    longest = max(s.r.size for s in segments)
    lags = np.unique(np.round(np.geomspace(1, max(longest // 3, 2), 14)).astype(int))
    lags = np.concatenate([[0], lags[lags < longest]])
    # Up to the first lag without correlation: what follows is noise, or the swing that the fit itself causes.
    products = [_lagged(r, r, int(k)) for k in lags]
    lags = lags[: max(next((i for i, a in enumerate(products) if a <= 0.0), lags.size), 3)]
    weight = np.array([1.0 / np.sqrt(sum(max(s.r.size - int(k), 1) for s in segments)) for k in lags])
    observed = np.array(products[: lags.size])
    gram = u.T @ u
    rest = np.eye(u.shape[1]) - gram  # what the other outputs and the priors contribute through the fit
    constant = np.array([_lagged(u @ rest, u, int(k)) for k in lags])
    white = np.array([n if k == 0 else 0 for k in lags]) + np.array(
        [-2.0 * _lagged(u, u, int(k)) + _lagged(u @ gram, u, int(k)) for k in lags]
    )
    spacing = float(np.median(np.concatenate([np.diff(s.times) for s in segments if s.r.size > 1])))
    span = max(float(s.times[-1] - s.times[0]) for s in segments)
    gap = max(longest // 2, 1)
    best: tuple[float, float, float, float] | None = None
    for memory in np.geomspace(0.4 * spacing, max(span / LONGEST, spacing), N_MEMORIES):
        w = _padded([Segment(s.times, s.r, _apply(s.times, memory, s.u)) for s in segments], gap)[1]
        inner = u.T @ w
        slow = np.empty(lags.size)
        for i, k in enumerate(lags):
            own = sum(_pair_sum(s.times, memory, int(k)) for s in segments)
            cross = _lagged(u, w, int(k)) + _lagged(w, u, int(k))
            slow[i] = own - cross + _lagged(u @ inner, u, int(k))
        basis = np.stack([white, slow], axis=1) * weight[:, None]
        solution, misfit = nnls(basis, (observed - constant) * weight)
        if solution[1] > 0.0 and (best is None or misfit < best[0]):
            best = (float(misfit), float(solution[0]), float(solution[1]), float(memory))
    return None if best is None else best[1:]


def _lagged(a: Array, b: Array, k: int) -> float:
    """Sum over i of a_i . b_{i+k}."""
    return float((a[: a.shape[0] - k] * b[k:]).sum())


def _pair_sum(times: Array, memory: float, k: int) -> float:
    """Sum of exp(-dt / memory) over pairs that are k samples apart; a run shorter than the lag has none."""
    return float(np.exp(-(times[k:] - times[: max(times.size - k, 0)]) / memory).sum())


def _apply(times: Array, memory: float, x: Array) -> Array:
    """exp(-|t_i - t_j| / memory) @ x for x (n, d), in O(n): forward and backward recursion."""
    n = times.size
    if n < 2:
        return x.copy()
    steps = np.diff(times)
    decay = np.exp(-steps / memory)
    if n > 64 and np.ptp(steps) <= 1e-6 * steps.mean():
        a = [1.0, -float(decay[0])]
        forward = lfilter([1.0], a, x, axis=0)
        backward = lfilter([1.0], a, x[::-1], axis=0)[::-1]
        return np.asarray(forward + backward - x)
    if n <= 1500:
        return np.asarray(np.exp(-np.abs(times[:, None] - times[None, :]) / memory) @ x)
    forward, backward = x.copy(), x.copy()
    for i in range(1, n):
        forward[i] += decay[i - 1] * forward[i - 1]
        backward[n - 1 - i] += decay[n - 1 - i] * backward[n - i]
    return forward + backward - x
