"""What the Gaussian filters share: a mean, a triangular root of its covariance, and bounds.

Letters: z (n_coordinates,) the mean in coordinates; L lower triangular, the covariance is L L^T; K the gain; S the
covariance of the innovation, sensor noise included.

Roots come from an orthogonal triangularization of factors side by side, never from a difference of covariances: they
stay symmetric and positive semidefinite to the last bit (Bierman, Factorization Methods, 1977, ch. V).
"""

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import lsq_linear

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Predicted, Start
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.errors import SolveError

_DEFICIENT = 1e-12  # share of a variance below which a coordinate counts as fixed by the others
_FLOOR = 1e-4  # of each coordinate's own standard deviation, where there are fewer draws than coordinates
_SMALLEST = 1e-9  # standard deviation in coordinates of order one: small against any sensor, large against rounding


def lower_root(factors: Array) -> Array:
    """L (n, n) lower triangular, diagonal not negative, with L L^T = factors factors^T; factors (n, m)."""
    n, m = factors.shape
    if m < n:
        factors = np.concatenate([factors, np.zeros((n, n - m))], axis=1)
    # "raw" is the transposed array of LAPACK, R above the diagonal and reflections below: the root's own order.
    raw = np.linalg.qr(factors.T, mode="raw")[0][:, :n]
    return np.asarray(np.where(_triangle(n), raw, 0.0) * np.where(raw.diagonal() < 0.0, -1.0, 1.0), dtype=float)


@functools.lru_cache(maxsize=64)
def _triangle(n: int) -> NDArray[np.bool_]:
    """True on the diagonal and below."""
    return np.tri(n, dtype=bool)


def begin_gaussian(method: str, start: Start, dynamics: Dynamics, memory: Mapping[str, Array] | None = None) -> Belief:
    """Mean and covariance of the draws in coordinates, with the variance that they do not hold.

    Fewer draws than coordinates leave directions without any spread. Then every coordinate gets a ten-thousandth of
    its own standard deviation on top, independently: enough for a root, too little to make up for missing draws. What
    is no coordinate (phases, accumulators) comes from the draw that is nearest to the mean.

    Raises SolveError where the draws are not finite.
    """
    coordinates = dynamics.coordinates
    z = coordinates.of_members(start.states, start.parameters)
    if not np.isfinite(z).all():
        bad = coordinates.names[int(np.flatnonzero(~np.isfinite(z).all(axis=0))[0])]
        raise SolveError(f'the draws of "{bad}" that the filter starts from are not finite', time=0.0)
    mean = z.mean(axis=0)
    deviations = (z - mean).T / np.sqrt(max(len(z) - 1, 1))
    root = lower_root(np.hstack([deviations, np.diag(np.sqrt(start.variance))]))
    variance = np.einsum("ij,ij->i", root, root)
    if (np.diag(root) ** 2 <= _DEFICIENT * variance).any():
        floor = np.maximum(_FLOOR * np.sqrt(variance), _SMALLEST)
        root = lower_root(np.hstack([root, np.diag(floor)]))
    spread = np.where(variance > 0.0, np.sqrt(variance), 1.0)
    nearest = int(np.argmin((((z - mean) / spread) ** 2).sum(axis=1)))
    mean = within_bounds(mean, root, coordinates, 0.0)
    states, parameters = coordinates.to_members(mean[None], start.states[nearest : nearest + 1])
    return Belief(method, states, parameters, root, dict(memory or {}))


def root_of(belief: Belief) -> Array:
    """The root of the covariance; raises SolveError for a belief of an ensemble, which has none."""
    if belief.root is None:
        raise SolveError(
            f'a belief of the method "{belief.method}" carries no covariance; go on with the method that made it',
            time=0.0,
        )
    return belief.root


def gain_of(cross: Array, innovation: Array, updated: NDArray[np.bool_], time: float) -> Array:
    """K = C S^-1 (n, n_samples), zero in the rows of considered coordinates (Schmidt 1966).

    cross C: (n, n_samples) covariance of coordinates and samples; innovation S: (n_samples, n_samples). Raises
    SolveError where S is not positive definite.
    """
    root, failed = lapack.dpotrf(innovation, lower=0, clean=0)  # SciPy's wrapper costs ten times the work of this size
    if failed or not (np.isfinite(innovation).all() and np.isfinite(cross).all()):
        raise SolveError(
            "the covariance of the innovations is not positive definite, or not finite; does a channel have noise 0?",
            time=time,
        )
    gain = lapack.dpotrs(root, cross.T, lower=0)[0].T
    return np.asarray(np.where(updated[:, None], gain, 0.0), dtype=float)


def within_bounds(z: Array, root: Array, coordinates: Coordinates, time: float) -> Array:
    """The point within the bounds that is nearest to z in the metric of the covariance; z itself if it is within.

    A coordinate that is held at its bound moves those that are correlated with it, as if the bound had been observed
    (Simon, IET Control Theory Appl. 4, 1303, 2010, sec. 2.4); clipping would leave them where they are. Considered
    coordinates stay. The covariance is left as it is. Raises SolveError where z is not finite.
    """
    if not np.isfinite(z).all():
        bad = coordinates.names[int(np.flatnonzero(~np.isfinite(z))[0])]
        raise SolveError(f'"{bad}" is not finite any more in the mean of the filter', time=time)
    free = coordinates.updated
    low, high = coordinates.lower, coordinates.upper
    if not ((z < low) | (z > high))[free].any():
        return z
    # A metric needs a full root; what has no spread of its own is as good as fixed.
    sd = np.maximum(np.sqrt(np.einsum("ij,ij->i", root, root)), _SMALLEST)
    full = lower_root(np.hstack([root / sd[:, None], np.diag(np.full(sd.size, _FLOOR * 1e-2))]))
    metric = np.linalg.inv(full)[:, free]
    found = lsq_linear(
        metric, np.zeros(sd.size), bounds=((low - z)[free] / sd[free], (high - z)[free] / sd[free]), method="bvls"
    )
    near = z.copy()
    near[free] = np.clip(z[free] + found.x * sd[free], low[free], high[free])
    return near


def moved(belief: Belief, z: Array, root: Array, coordinates: Coordinates) -> Belief:
    """The belief with another mean and root; what has the same coordinate as before keeps its SI value bit for bit."""
    before = coordinates.of_members(belief.states, belief.parameters)[0]
    states, parameters = coordinates.to_members(z[None], belief.states)
    same = z == before
    n = coordinates.n_states
    positions = coordinates.positions[same[:n]]
    states[:, positions] = belief.states[:, positions]
    parameters = np.where(same[n:], belief.parameters, parameters)
    return replace(belief, states=states, parameters=parameters, root=root)


def widened(predicted: Predicted, coordinates: Coordinates, factor: float) -> tuple[Belief, Array]:
    """The belief with `factor` times the variance of its states, and by how much each coordinate is stretched (n,).

    Parameters keep what is known of them: a step of the plant says nothing about them. Correlations stay.
    """
    stretch = np.where(np.arange(coordinates.n) < coordinates.n_states, np.sqrt(factor), 1.0)
    root = root_of(predicted.belief) * stretch[:, None]
    return replace(predicted.belief, root=root), stretch
