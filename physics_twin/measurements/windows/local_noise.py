"""The noise of a record without a model: its size, its memory and the steps of its converter.

What stays of the samples about short curves (polynomials) is noise, whatever the process does meanwhile: straight lines
where the process is nearly at rest, cubics elsewhere, since the bend of a start-up about a line looks like noise that
remembers. Detrending hides correlation, so what is found is compared with what AR(1) noise, exp(-|t - t'| / memory),
would leave about the same curves: r = M e, and then E r_i r_i+1 over E r_i^2 is tr(M L M C) / tr(M C) with L half of
both neighbors. White noise has its moments from the same matrices (Durbin and Watson, Biometrika 37, 409, 1950), so
that chance is not taken for memory. Noise that remembers longer than a block of samples is no noise here but a part of
the signal.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.measurements.series import Series

__all__ = ["LocalNoise", "converter_step", "local_noise", "noise_of", "running_sum"]

SHORTEST, LONGEST = 12, 60
"""Samples of a block: fewer say nothing about memory; along more of them a cubic fits no process."""
N_BLOCKS = 400
"""Blocks that are looked at where each has times of its own; 400 of 20 give the correlation to 0.01."""
N_EVEN = 20_000
"""The same where all blocks have their times in common, and cost little."""
N_LEVELS = 200_000
"""Values that are looked at for the steps of a converter."""
GAP = 5.0
"""Usual steps after which a new block begins."""
RESTLESS = 5.0
"""Times the median: blocks that scatter more hold a jump or a bend, and say nothing about noise."""
CHANCE = 1.645
"""Standard deviations above white noise from which memory is believed: one chance in twenty."""


@dataclass(frozen=True)
class LocalNoise:
    """What is left of a series about local curves.

    sd: of a sample, SI, 0.0 where there are too few samples to tell. lag_one: autocorrelation of neighbors, 0.0 unless
    it is beyond chance. memory: s, the noise is correlated as exp(-|t - t'| / memory); 0.0 for white noise. spacing:
    usual time between samples, s.
    """

    sd: float
    lag_one: float
    memory: float
    spacing: float


def local_noise(
    times: Array, values: Array, scale: Array | None = None, *, n_block: int = 20, degree: int = 3
) -> LocalNoise:
    """Return the noise of samples about polynomials of `degree` through `n_block` of them at a time.

    times, values: (n,), finite, in the order of time. scale: (n,) noise of each sample in multiples of what is asked.
    """
    steps = np.diff(times)
    forward = steps[steps > 0.0]
    spacing = float(np.median(forward)) if forward.size else 0.0
    n_block = int(np.clip(n_block, SHORTEST, LONGEST))
    starts = _blocks(steps, spacing, n_block)
    if not starts.size:
        return LocalNoise(0.0, 0.0, 0.0, spacing)
    of_scale = np.ones(times.size) if scale is None else scale
    even = bool(np.ptp(of_scale) == 0.0) and bool(
        np.abs(steps[starts[:, None] + np.arange(n_block - 1)] - spacing).max() <= 0.02 * spacing
    )
    most = N_EVEN if even else N_BLOCKS
    if starts.size > most:
        starts = starts[np.linspace(0, starts.size - 1, most).round().astype(int)]
    rows = starts[:, None] + np.arange(n_block)
    t, s = times[rows], of_scale[rows]
    y = (values[rows] - values[rows].mean(axis=1, keepdims=True)) / s
    if even:  # one matrix for all blocks
        t, s = np.arange(n_block, dtype=float)[None, :] * spacing, s[:1]
    left = _residual_maker(t, s, degree)
    r = (left @ y[:, :, None])[:, :, 0] if not even else y @ left[0]
    squares = (r * r).sum(axis=1)
    middle = float(np.median(squares))
    calm = squares <= RESTLESS * middle if middle > 0.0 else np.ones(squares.size, dtype=bool)
    r, squares = r[calm], squares[calm]
    if not even:
        t, left = t[calm], left[calm]
    n_each = r.shape[0] if even else 1
    total = float(squares.sum())
    if total <= (1e-12 * float(np.abs(values).max())) ** 2 * r.size:  # rounding of the numbers themselves
        return LocalNoise(0.0, 0.0, 0.0, spacing)
    q = float((r[:, 1:] * r[:, :-1]).sum()) / total

    half = 0.5 * (np.eye(n_block, k=1) + np.eye(n_block, k=-1))
    between = left @ half @ left
    nu = n_each * float(np.trace(left, axis1=1, axis2=2).sum())
    first = n_each * float(np.trace(between, axis1=1, axis2=2).sum())
    second = n_each * float((between * between.transpose(0, 2, 1)).sum())
    variance = 2.0 * (nu * second - first**2) / (nu**2 * (nu + 2.0))
    if q - first / nu <= CHANCE * np.sqrt(max(variance, 1e-300)):
        return LocalNoise(float(np.sqrt(total / nu)), 0.0, 0.0, spacing)

    from scipy.optimize import brentq

    apart = np.abs(t[:, :, None] - t[:, None, :])

    def expected(log_memory: float) -> tuple[float, float]:
        """The lag-one product and the square that AR(1) noise of variance 1 would leave."""
        c = np.exp(-apart / np.exp(log_memory))
        return n_each * float((between * c).sum()), n_each * float((left * c).sum())

    def excess(log_memory: float) -> float:
        product, square = expected(log_memory)
        return product / square - q

    low, high = np.log(0.05 * spacing), np.log(3.0 * n_block * spacing)
    if excess(low) >= 0.0:
        found = low
    elif excess(high) <= 0.0:
        found = high
    else:
        found = float(brentq(excess, low, high, xtol=1e-4))
    memory = float(np.exp(found))
    return LocalNoise(float(np.sqrt(total / expected(found)[1])), float(np.exp(-spacing / memory)), memory, spacing)


def _blocks(steps: Array, spacing: float, n_block: int) -> NDArray[np.intp]:
    """First samples of the blocks: of `n_block` samples each, without a gap inside."""
    edges = np.concatenate([[0], np.flatnonzero(steps > GAP * spacing) + 1, [steps.size + 1]])
    found = [np.arange(begin, end - n_block + 1, n_block) for begin, end in itertools.pairwise(edges)]
    return np.concatenate(found).astype(np.intp) if spacing > 0.0 else np.empty(0, dtype=np.intp)


def _residual_maker(t: Array, s: Array, degree: int) -> Array:
    """I - Q Q^T of polynomials over t, whitened by s: both (n_blocks, n), returned (n_blocks, n, n)."""
    centered = t - t.mean(axis=1, keepdims=True)
    x = centered / np.maximum(np.abs(centered).max(axis=1, keepdims=True), 1e-300)
    q, _ = np.linalg.qr(np.stack([x**k / s for k in range(degree + 1)], axis=2))
    return np.asarray(np.eye(t.shape[1]) - q @ q.transpose(0, 2, 1))


def converter_step(values: Array, unit_step: float | None = None) -> float:
    """Return the step in which a series moves, SI; 0.0 where the values do not tell.

    values: (n,) SI, finite. unit_step: declared resolution, SI, which is believed.

    Values that repeat come from a converter or from printed digits; the step is the usual one between neighbors among
    the values that occur.
    """
    if unit_step is not None:
        return unit_step
    if values.size < SHORTEST:
        return 0.0
    values = values[:N_LEVELS]
    levels = np.unique(values)
    if levels.size > 1:
        steps = np.diff(levels)
        fuzz = 1e-9 * max(float(np.abs(levels).max()), 1e-300)  # one level, after conversion by two ways
        steps = steps[steps > fuzz]
        # A tenth of repeats comes by chance from fine digits, and then the step is far below the noise anyway.
        return float(np.median(steps)) if steps.size and steps.size + 1 < 0.7 * values.size else 0.0
    return 0.0


def noise_of(series: Series, n_block: int = 20, *, degree: int = 3) -> LocalNoise:
    """Return the local noise of the samples in use, in the order of time, for a sample of the channel's own noise."""
    used = np.flatnonzero(series.used)
    used = used[np.argsort(series.times[used], kind="stable")]
    scale = None if series.noise_scale is None else series.noise_scale[used]
    return local_noise(series.times[used], series.values[used], scale, n_block=n_block, degree=degree)


def running_sum(decay: Array, u: Array) -> Array:
    """Return f with f_i = decay_i (f_i-1 + u_i-1) and f_0 = 0, for arrays (n,), in a few passes over them.

    A `decay` of 0 begins anew. With decay exp(-(t_i - t_i-1) / memory), sum u^2 + 2 sum u f is u^T C u.
    """
    a = decay.copy()
    a[:1] = 0.0
    f = np.zeros(u.size)
    f[1:] = a[1:] * u[:-1]
    shift = 1
    # Steps of doubled length, as in a parallel prefix sum (Hillis and Steele 1986): no loop over samples.
    while shift < u.size and a.max() > 1e-15:
        f[shift:] = f[shift:] + a[shift:] * f[:-shift]
        a[shift:] = a[shift:] * a[:-shift]
        a[:shift] = 0.0
        shift *= 2
    return f
