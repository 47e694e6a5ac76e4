"""Gauss-Newton: the mode by least squares on exact Jacobians, and Laplace draws around it.

The method for models with a handful to some dozens of unknowns whose posterior is close to Gaussian near its mode. Its
draws are as good as that; where it matters, check them with a method that samples.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import CalibrationError, SolveError
from physics_twin.estimation import noise
from physics_twin.estimation.evaluation import Differences, Point, evaluate
from physics_twin.estimation.laplace import laplace
from physics_twin.estimation.likelihood.fitting import estimate_noise, least_squares, start_hypers
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.multistart import Try, best_of, failed, finish, first_point, message, run_starts
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.starts import start_points
from physics_twin.estimation.trust_region import Linearization, Minimum, minimize
from physics_twin.estimation.work import Work
from physics_twin.posterior import FailedSimulation

NOISE_ROUNDS = 60
NOISE_TOLERANCE = 1e-7
SHAPE_TOLERANCE = 1e-5
"""The same for shapes of noise and spreads, whose slopes are differences."""
SWITCH = 1.0
"""Decrement below which differences become central: far out, half the simulations do."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GaussNewton:
    """Maximum a posteriori by Gauss-Newton in a trust region, with Laplace draws.

    starts: how many starting points; the first is the parameters' declared values, the others are spread over priors
        and bounds (Latin hypercube). tolerance: distance from the mode, in posterior standard deviations, at which to
        stop. max_iterations: per start. n_draws: Laplace draws. difference_step: step of finite differences, as a
        share of a parameter's scale, for names whose derivatives the model does not give.
    """

    starts: int = 1
    tolerance: float = 1e-4
    max_iterations: int = 100
    n_draws: int = 1000
    difference_step: float = 1e-3

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.starts < 1 or self.max_iterations < 1 or self.n_draws < 1:
            raise CalibrationError(f"{self}: starts, max_iterations and n_draws are at least 1")
        if not (self.tolerance > 0.0 and 0.0 < self.difference_step <= 0.1):
            raise CalibrationError(f"{self}: tolerance is above 0, difference_step between 0 and 0.1")

    def estimate(self, problem: Problem, rng: np.random.Generator, work: Work) -> Estimate:
        """The mode and the draws."""
        points = start_points(problem.space, problem.columns, self.starts, rng, problem.coupling)
        seeds = rng.integers(2**63, size=self.starts).tolist()
        tries = run_starts(one_start, problem, self, points, seeds, work)
        best = best_of(tries)
        assert best.minimum is not None and best.point is not None and best.levels is not None
        _log.info("mode found: %s after %d iterations", best.minimum.message, best.minimum.n_iterations)
        drawn = laplace(problem, best.point, best.levels, self.n_draws, rng, best.hypers)
        return Estimate(
            point=best.point,
            levels=with_degrees(problem, best.levels, drawn.covariance),
            hypers=best.hypers,
            effective_draws=drawn.effective_draws,
            draws=drawn.draws,
            origin=drawn.origin,
            covariance=drawn.covariance,
            widened=drawn.widened,
            correlations=drawn.correlations,
            at_bound=drawn.at_bound,
            information=drawn.information,
            converged=best.minimum.converged,
            message=message(best, tries),
            failures=tuple(f for t in tries for f in t.failures),
            differenced=problem.differenced,
            warnings=drawn.warnings,
        )


def one_start(problem: Problem, method: GaussNewton, number: int, z: Array, seed: int, memo: Memo) -> Try:
    """Minimize from one starting point; alternates between parameters and noise levels until neither moves."""
    failures: list[FailedSimulation] = []

    def record(at: Array, error: SolveError) -> None:
        failures.append(failed(problem, at, error))

    inexact = bool(problem.differenced)
    central = Differences(method.difference_step, True)
    forward = Differences(method.difference_step, False)
    how = forward if inexact else central
    rng = np.random.default_rng(seed)
    point = first_point(problem, z, lambda at: evaluate(problem, at, how, memo), record, rng)
    if point is None:
        return Try(number, None, None, None, np.inf, tuple(failures))

    sd, hypers = noise.start_levels(problem), start_hypers(problem)
    levels = noise.Levels(sd, np.empty(0))
    points: dict[bytes, Point] = {}
    minimum: Minimum | None = None
    n_iterations, look = 0, True
    for _ in range(NOISE_ROUNDS):

        def whitened(at: Point, sd: Array = sd, hypers: Array = hypers) -> Linearization:
            return least_squares(problem, at, sd, hypers)

        def linearized(at: Array, how: Differences = how) -> Linearization:
            new = evaluate(problem, at, how, memo)
            points.clear()
            points[at.tobytes()] = new
            return whitened(new)

        def measured(at: Array) -> float:
            return whitened(evaluate(problem, at, None, memo)).misfit

        points[point.z.tobytes()] = point
        coarse = inexact and not how.central
        minimum = minimize(
            linearized,
            measured,
            whitened(point),
            problem.space.low,
            problem.space.high,
            tolerance=SWITCH if coarse else method.tolerance,
            max_iterations=max(method.max_iterations - n_iterations, 0),
            rejected=record,
        )
        n_iterations += minimum.n_iterations
        key = minimum.at.x.tobytes()
        point = points[key] if key in points else evaluate(problem, minimum.at.x, how, memo)
        if coarse:
            how = central
            try:
                point = evaluate(problem, point.z, how, memo)
            except SolveError as error:
                record(point.z, error)
                return Try(number, None, None, None, np.inf, tuple(failures))
            if minimum.converged:
                continue
        free = free_columns(problem, whitened(point))
        levels, found = estimate_noise(problem, point, sd, hypers, free, look=look)
        moved = np.concatenate([levels.sd / sd, found / hypers])
        change = float(np.abs(np.log(moved)).max()) if moved.size else 0.0
        sd, hypers, look = levels.sd, found, False
        if not minimum.converged or change <= (NOISE_TOLERANCE if problem.plain else SHAPE_TOLERANCE):
            break
    assert minimum is not None
    done = replace(minimum, n_iterations=n_iterations)
    return finish(problem, number, point, levels, done, failures, hypers=hypers)


def free_columns(problem: Problem, at: Linearization) -> NDArray[np.bool_]:
    """Columns that are not held by a bound: at it, with the misfit falling beyond it."""
    gradient = at.jacobian.T @ at.r
    space = problem.space
    held = ((at.x <= space.low) & (gradient >= 0.0)) | ((at.x >= space.high) & (gradient <= 0.0))
    return np.asarray(~held)


def with_degrees(problem: Problem, levels: noise.Levels, covariance: Array) -> noise.Levels:
    """The levels; where noise has a shape, with the degrees of freedom that their variance would rest on if plain."""
    if problem.plain or levels.sd.size == 0:
        return levels
    d = len(problem.columns)
    variance = np.diag(covariance)[d : d + levels.sd.size]
    return replace(levels, degrees=levels.sd**2 / np.maximum(2.0 * variance, 1e-300 + 1e-12 * levels.sd**2))
