"""The best fit while one unknown is held: what every point of a profile is.

Objective: Q = -2 log posterior, with the noise levels at their best; the density is the one that the mode maximizes,
see `mode_density`. Levels follow the convention of noise.py: group g counts nu_g = n_g - p_g samples, not n_g, with p_g
what it determines at the mode, so that a linear model with one noise level gives nu ln(SSE), whose rise is
nu ln(1 + t^2/nu) with Student's t of the held unknown exactly, and so that the mode of a Gauss-Newton fit is the
minimum of Q.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize as minimize_scipy

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import SolveError
from physics_twin.estimation import noise
from physics_twin.estimation.evaluation import Differences, Point, evaluate
from physics_twin.estimation.hypers import HyperKind
from physics_twin.estimation.likelihood.fitting import least_squares
from physics_twin.estimation.log_density import mode_density, psi_bounds
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.trust_region import Linearization, minimize

TOLERANCE = 3e-3
"""Distance from the best fit in posterior standard deviations: its square is the error of the objective."""
LOOSE = 0.1
"""Distance up to which a refit that stopped early still counts."""
ITERATIONS = 40
NOISE_ROUNDS = 30
NOISE_TOLERANCE = 1e-5

type Rejected = Callable[[Array, SolveError], None]


@dataclass(frozen=True)
class Fit:
    """A best fit."""

    point: Point
    psi: Array
    """(n_psi,) logarithms of noise levels and hypers at their best."""
    objective: float
    """-2 log posterior up to a constant."""
    of_data: float
    """Its part without the priors of the unknowns."""


def objective(problem: Problem, point: Point, psi: Array, degrees: Array) -> tuple[float, float]:
    """(-2 log posterior, its part without the priors of the unknowns); degrees (n_groups,): see above."""
    unused = _counts(problem, degrees) - degrees
    value = -2.0 * mode_density(problem, point, psi).value - 2.0 * float(unused @ psi[: degrees.size])
    return value, value - float(point.prior_residual @ point.prior_residual)


def _counts(problem: Problem, degrees: Array) -> Array:
    """(n_groups,) samples of each noise group."""
    return np.array([(problem.groups == g).sum() for g in range(degrees.size)], dtype=float)


def weights(problem: Problem, psi: Array) -> Array:
    """1/noise (n_data,) of each residual at psi."""
    return noise.weights(problem, np.exp(psi[: len(problem.noise_groups)]))


def refit(
    problem: Problem,
    start: Array,
    psi: Array,
    degrees: Array,
    held: int | None,
    how: Differences,
    memo: Memo,
    rejected: Rejected,
) -> Fit | None:
    """The best fit from `start` (d,) in search coordinates with the column `held` left where it is; None if it stalls.

    Raises SolveError where the start cannot be simulated; later failures go to `rejected`.
    """
    low, high = problem.space.low.copy(), problem.space.high.copy()
    if held is not None:
        low[held] = high[held] = start[held]
    point = evaluate(problem, start, how, memo)
    known: dict[bytes, Point] = {}
    for _ in range(NOISE_ROUNDS):
        known = {point.z.tobytes(): point}

        def linearized(at: Array, psi: Array = psi, known: dict[bytes, Point] = known) -> Linearization:
            new = evaluate(problem, at, how, memo)
            known[at.tobytes()] = new
            return whitened(problem, new, psi)

        def measured(at: Array, psi: Array = psi) -> float:
            return whitened(problem, evaluate(problem, at, None, memo), psi).misfit

        found = minimize(
            linearized,
            measured,
            whitened(problem, point, psi),
            low,
            high,
            tolerance=TOLERANCE,
            max_iterations=ITERATIONS,
            rejected=rejected,
        )
        point = known[found.at.x.tobytes()]
        if not found.converged and found.decrement > LOOSE**2:
            return None
        before, psi = psi, best_psi(problem, point, psi, degrees)
        if psi.size == 0 or float(np.abs(psi - before).max()) < NOISE_TOLERANCE:
            break
    return Fit(point, psi, *objective(problem, point, psi, degrees))


def whitened(problem: Problem, point: Point, psi: Array) -> Linearization:
    """Whitened residuals and priors with their Jacobian, whatever the shape of the noise."""
    n = len(problem.noise_groups)
    return least_squares(problem, point, np.exp(psi[:n]), np.exp(psi[n:]))


def best_psi(problem: Problem, point: Point, psi: Array, degrees: Array) -> Array:
    """Noise levels and shapes (n_psi,) that minimize the objective at a point; spreads of populations stay.

    A spread has no best value together with its members: the smaller, the higher their density.
    """
    if problem.plain:
        return best_levels(problem, point, degrees)
    free = np.ones(psi.size, dtype=bool)
    free[degrees.size :] = [h.kind is not HyperKind.SPREAD for h in problem.hypers]
    if not free.any():
        return psi
    low, high = psi_bounds(problem)
    excess = np.zeros(psi.size)
    excess[: degrees.size] = 2.0 * (_counts(problem, degrees) - degrees)

    def measure(at: Array) -> tuple[float, Array]:
        moved = psi.copy()
        moved[free] = at
        density = mode_density(problem, point, moved)
        slope = -2.0 * density.slope_psi - excess
        return -2.0 * density.value - float(excess @ moved), slope[free]

    bounds = Bounds(low[free], high[free])
    found = minimize_scipy(measure, np.clip(psi[free], low[free], high[free]), jac=True, bounds=bounds)
    best = psi.copy()
    best[free] = found.x
    return best


def best_levels(problem: Problem, point: Point, degrees: Array) -> Array:
    """Logarithms (n_groups,) of the noise levels that minimize the objective at a point."""
    found = np.empty(degrees.size)
    observed = np.concatenate([c.observed for c in problem.channels])
    for g in range(degrees.size):
        mine = problem.groups == g
        squares = float(((point.residual[mine] / problem.noise_scale[mine]) ** 2).sum())
        found[g] = max(np.sqrt(squares / degrees[g]), noise.SMALLEST * float(np.abs(observed[mine]).max()), 1e-300)
    return np.log(found)


def curvature(problem: Problem, fit: Fit, held: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Q near a fit: half its slope (d,), half its second derivative (d, d), and the unknowns free to follow `held`.

    Free are those that no bound holds.
    """
    space, point = problem.space, fit.point
    j = whitened(problem, point, fit.psi).jacobian
    h = j.T @ j
    g = -mode_density(problem, point, fit.psi).slope
    blocked = ((point.z <= space.low) & (g >= 0.0)) | ((point.z >= space.high) & (g <= 0.0))
    free = ~blocked
    free[held] = False
    return g, h, free


def volume(problem: Problem, psi: Array, fit: Fit, held: int) -> float:
    """Half the log determinant of the information on the unknowns but `held`, at noise levels and hypers `psi`.

    In the coordinates of the density: SI, and ln x of members of a population in ln x. Beside the width of the bounds,
    so that directions that nothing determines have a volume too.
    """
    others = np.arange(fit.point.z.size) != held
    if not others.any():
        return 0.0
    space = problem.space
    h = curvature(problem, Fit(fit.point, psi, 0.0, 0.0), held)[1]
    unknown_before = np.array([c.parameter.prior is None for c in problem.columns])
    h = h + np.diag(np.where(unknown_before, space.reference**-2.0, 0.0))
    logarithm = float(np.linalg.slogdet(h[np.ix_(others, others)])[1])
    slope = np.array(space.slope(fit.point.x))
    for group in problem.column_groups:
        if group.log:
            slope[group.columns] /= fit.point.x[group.columns]
    return 0.5 * logarithm - float(np.log(np.abs(slope[others])).sum())


def blocked(problem: Problem, fit: Fit) -> NDArray[np.bool_]:
    """(d,) which unknowns sit on a bound."""
    return np.asarray((fit.point.z <= problem.space.low) | (fit.point.z >= problem.space.high))
