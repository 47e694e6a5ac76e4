"""Quasi-Newton: the mode for hundreds of unknowns from gradients that cost one backward run, and Laplace draws.

First a descent by L-BFGS-B, which needs gradients only. Then the Gauss-Newton Hessian, exact or of low rank
(adjoint_jacobian.py), which the uncertainty needs anyway and which says how far the mode still is in posterior standard
deviations; with it the last steps are Newton steps, on exact gradients, until that distance is small. Where these steps
fail, or where they lead away from the point of the Hessian, descent and Hessian are done again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import CalibrationError, SolveError
from physics_twin.estimation import noise
from physics_twin.estimation.adjoint import Pulled, differenced, pull_back, require_adjoints, with_jacobian
from physics_twin.estimation.adjoint_jacobian import Found, find_jacobian
from physics_twin.estimation.descent import descend
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.gauss_newton import SHAPE_TOLERANCE, with_degrees
from physics_twin.estimation.laplace import laplace
from physics_twin.estimation.likelihood.fitting import estimate_noise, least_squares, start_hypers
from physics_twin.estimation.likelihood.local_model import local_model
from physics_twin.estimation.likelihood.pulled_slope import pulled_slope
from physics_twin.estimation.likelihood.terms import terms
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.multistart import Try, best_of, failed, finish, first_point, message, run_starts
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.starts import start_points
from physics_twin.estimation.trust_region import ACCEPT, NOISE, Linearization, Minimum
from physics_twin.estimation.work import Work
from physics_twin.posterior import FailedSimulation
from physics_twin.posterior.drawing.box_minimum import box_minimum

CLOSE = 1e-2
"""Fall of the misfit over a few iterations at which the Hessian takes over: a tenth of a standard deviation."""
ROUNDS = 5
"""Descents, each with a Hessian of its own."""
NEWTON_STEPS = 60
"""Per Hessian, steps that change noise levels only included."""
SHORTER = 4
"""Times that a Newton step is cut to a quarter before the descent goes on instead."""
MOVED = 0.01
"""Squared distance in standard deviations, from the point of the Hessian, beyond which it is computed again..."""
BENT = 0.02
"""...unless the steps on it did what it said to this share: then the model is linear enough."""
NOISE_MOVED = 0.2
"""Change of the logarithm of a noise level beyond which a Hessian of low rank has looked for the wrong directions."""
NOISE_TOLERANCE = 1e-7

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class QuasiNewton:
    """Maximum a posteriori by L-BFGS-B on gradients from adjoints, with Laplace draws: for hundreds of unknowns.

    A gradient costs one forward and one backward run per experiment, whatever the number of unknowns. The model has to
    offer `Adjoints`; `GaussNewton` serves the others. Gradients are exact for noise of any shape. In the Hessian a
    variance from uncertain times counts as constant, and a search for directions of low rank takes samples of noise
    that remembers as independent.

    starts: how many starting points; the first is the parameters' declared values, the others are spread over priors
        and bounds (Latin hypercube). tolerance: distance from the mode, in posterior standard deviations, at which to
        stop. max_iterations: per start. n_draws: Laplace draws. exact_up_to: columns (with sensitivities) or rows (by
        backward runs) up to which the Hessian of Gauss-Newton is exact; beyond, it is of low rank, and at most of this
        one. The message of the posterior says which it was.
    """

    starts: int = 1
    tolerance: float = 1e-3
    max_iterations: int = 1000
    n_draws: int = 1000
    exact_up_to: int = 200

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.starts < 1 or self.max_iterations < 1 or self.n_draws < 1 or self.exact_up_to < 1:
            raise CalibrationError(f"{self}: starts, max_iterations, n_draws and exact_up_to are at least 1")
        if not self.tolerance > 0.0:
            raise CalibrationError(f"{self}: tolerance is above 0")

    def estimate(self, problem: Problem, rng: np.random.Generator, work: Work) -> Estimate:
        """The mode and the draws. Raises ModelError for a model without adjoints."""
        require_adjoints(problem.model)
        points = start_points(problem.space, problem.columns, self.starts, rng, problem.coupling)
        seeds = rng.integers(2**63, size=self.starts).tolist()
        if self.starts == 1:
            with work.progress.of("iterations", self.max_iterations) as step:
                tries = [one_start(problem, self, 0, points[0], seeds[0], work.memo("starts-0"), step)]
        else:
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
            warnings=(*best.warnings, *drawn.warnings),
            differenced=differenced(problem),
        )


@dataclass(frozen=True)
class Gradient:
    """Misfit and half its slope at a point, for given noise."""

    pulled: Pulled
    misfit: float
    half_slope: Array
    """(d,) J^T W r and the same of the priors."""

    @property
    def z(self) -> Array:
        """Search coordinates."""
        return self.pulled.point.z


@dataclass(frozen=True)
class Assumed:
    """What is assumed of noise and spreads; SI."""

    sd: Array
    """(n_groups,)"""
    hypers: Array
    """(n_hypers,)"""

    @property
    def psi(self) -> Array:
        """(n_psi,)"""
        return np.log(np.concatenate([self.sd, self.hypers]))

    def change(self, before: "Assumed") -> float:
        """Largest change of a logarithm."""
        return float(np.abs(self.psi - before.psi).max()) if self.psi.size else 0.0


def weights_at(problem: Problem, point: Point, assumed: Assumed) -> Array:
    """(n_data,) 1/noise; where noise has a shape the root of a sample's expected information, as if independent."""
    if problem.plain:
        return noise.weights(problem, assumed.sd)
    found = terms(problem.sample_noise, assumed.psi, local_model(problem, point))
    return np.asarray(np.sqrt(found.expected) / found.s)


def weighted(problem: Problem, pulled: Pulled, assumed: Assumed) -> Gradient:
    """One backward run per experiment. Raises SolveError."""
    point = pulled.point
    if not problem.plain:
        return Gradient(pulled, *pulled_slope(problem, point, assumed.psi, pulled.transpose))
    w = noise.weights(problem, assumed.sd)
    slope = pulled.transpose(w * w * point.residual) + point.prior_jacobian.T @ point.prior_residual
    return Gradient(pulled, noise.whiten(point, w).misfit, slope)


def descent_basis(problem: Problem) -> Array:
    """B (d, d) of the coordinates v of the descent, z = B v: those in which correlated priors are independent.

    A smooth function is a short step along few of these and a long way along its values. Where one of the values has a
    bound, the bounds would not be bounds of v, and its function stays in z.
    """
    basis, coupling = np.eye(len(problem.columns)), problem.coupling
    if coupling is None:
        return basis
    root = np.linalg.inv(coupling)
    free = np.isinf(problem.space.low) & np.isinf(problem.space.high)
    # Columns that are coupled to one that is bounded, directly: blocks are full, so directly is all.
    linked = (coupling != 0.0) | (coupling.T != 0.0)
    free = np.array([bool(free[row].all()) for row in linked]) & (linked.sum(axis=1) > 1)
    scaled = problem.space.reference[:, None] * root
    basis[np.ix_(free, free)] = scaled[np.ix_(free, free)]
    return basis


@dataclass(frozen=True)
class Newton:
    """Where the Newton steps on one Hessian ended."""

    at: Gradient
    levels: noise.Levels
    assumed: Assumed
    minimum: Minimum
    moved: bool
    """Whether the point is so far from that of the Hessian that it deserves one of its own."""


def one_start(
    problem: Problem,
    method: QuasiNewton,
    number: int,
    z: Array,
    seed: int,
    memo: Memo,
    step: Callable[[], None] = lambda: None,
) -> Try:
    """Minimize from one starting point: descent, Hessian, Newton steps."""
    failures: list[FailedSimulation] = []
    n_gradients = 0

    def record(at: Array, error: SolveError) -> None:
        failures.append(failed(problem, at, error))

    def evaluate(at: Array, assumed: Assumed) -> Gradient:
        nonlocal n_gradients
        n_gradients += 1
        return weighted(problem, pull_back(problem, at, memo), assumed)

    rng = np.random.default_rng(seed)
    assumed = Assumed(noise.start_levels(problem), start_hypers(problem))
    now = first_point(problem, z, lambda at: evaluate(at, assumed), record, rng)
    if now is None:
        return Try(number, None, None, None, np.inf, tuple(failures))
    basis = descent_basis(problem)
    own = (basis == np.eye(z.size)).all(axis=1)
    left, least, descending = method.max_iterations, CLOSE, True
    for _ in range(ROUNDS):
        if descending:
            went = descend(
                lambda v: evaluate(basis @ v, assumed),  # noqa: B023
                lambda g: (g.misfit, 2.0 * basis.T @ g.half_slope),
                now,
                np.linalg.solve(basis, now.z),
                np.where(own, problem.space.low, -np.inf),
                np.where(own, problem.space.high, np.inf),
                least=max(least, NOISE[1] * now.misfit),
                max_iterations=left,
                rejected=lambda v, error: record(basis @ v, error),
                step=step,
            )
            now, left = went.at, left - went.n_iterations
        try:
            w = weights_at(problem, now.pulled.point, assumed)
            found = find_jacobian(
                problem, now.pulled, w, exact_up_to=method.exact_up_to, rng=rng, record=record, memo=memo
            )
            end = newton(problem, method, now, assumed, found, left, evaluate, record)
        except SolveError as error:
            record(now.z, error)
            return Try(number, None, None, None, np.inf, tuple(failures))
        left -= end.minimum.n_iterations
        now, assumed = end.at, end.assumed
        if left <= 0 or (end.minimum.converged and not end.moved):
            break
        descending, least = not end.minimum.converged, 0.1 * least
    done = replace(end.minimum, n_iterations=method.max_iterations - left)
    point = with_jacobian(now.pulled, found.jacobian)
    remarks = (f"{n_gradients} gradients", found.text)
    return finish(problem, number, point, end.levels, done, failures, remarks, found.warnings, assumed.hypers)


def newton(
    problem: Problem,
    method: QuasiNewton,
    start: Gradient,
    assumed: Assumed,
    found: Found,
    most: int,
    evaluate: Callable[[Array, Assumed], Gradient],
    record: Callable[[Array, SolveError], None],
) -> Newton:
    """Newton steps in the box with one Hessian and exact gradients, and noise levels along with them.

    Raises SolveError where a backward run fails at a point whose forward run did not.
    """
    space, first = problem.space, assumed
    now, levels = start, noise.Levels(assumed.sd, np.empty(0))
    n_steps, decrement, bent, ending, look = 0, np.inf, 0.0, "", True
    for _ in range(NEWTON_STEPS):
        change = 0.0
        if assumed.psi.size:
            free, point = ~_held(problem, now), with_jacobian(now.pulled, found.jacobian)
            levels, hypers = estimate_noise(problem, point, assumed.sd, assumed.hypers, free, look=look)
            before, look = assumed, False
            assumed = Assumed(levels.sd, hypers)
            change = assumed.change(before)
            now = weighted(problem, now.pulled, assumed)
        h = _hessian(problem, now, found, assumed)
        p, decrement = _newton_step(problem, h, now)
        if decrement <= method.tolerance**2:
            if change <= (NOISE_TOLERANCE if problem.plain else SHAPE_TOLERANCE):
                ending = "converged"
                break
            continue
        if n_steps >= most:
            break
        n_steps += 1
        slack = max(NOISE[0], NOISE[1] * now.misfit)
        new: Gradient | None = None
        for cut in 0.25 ** np.arange(SHORTER + 1):
            trial = np.clip(now.z + cut * p, space.low, space.high)
            predicted = decrement * cut * (2.0 - cut)
            try:
                new = evaluate(trial, assumed)
            except SolveError as error:
                record(trial, error)
                continue
            fell = now.misfit - new.misfit
            rest = _newton_step(problem, h, new)[1]
            if decrement > MOVED:
                bent = max(bent, np.sqrt(rest / decrement))
            if fell > ACCEPT * predicted:
                break
            if predicted <= slack and fell > -slack:
                # The misfit cannot tell the two points apart, the gradient still can.
                if rest > 0.5 * decrement:
                    ending = "converged to within the noise of the integrator"
                    new = now
                break
            new = None
        if new is None:
            break
        now = new
        if ending:
            break
    away = now.z - start.z
    distance = float(away @ _hessian(problem, now, found, assumed) @ away)
    noisier = assumed.change(first)
    text = ending or f"stopped {np.sqrt(decrement):.2g} standard deviations from the minimum"
    at = Linearization(now.z, np.empty(0), np.empty((0, now.z.size)))
    minimum = Minimum(at, decrement, n_steps, bool(ending), text)
    moved = (distance > MOVED and bent > BENT) or (noisier > NOISE_MOVED and found.neglected > 0.0)
    return Newton(now, levels, assumed, minimum, moved)


def _hessian(problem: Problem, at: Gradient, found: Found, assumed: Assumed) -> Array:
    """J^T W J + P (d, d); what has no prior has the weak one that a Hessian of low rank could not tell from nothing."""
    if problem.plain:
        w = noise.weights(problem, assumed.sd)
        j, p = found.jacobian * w[:, None], at.pulled.point.prior_jacobian
        h = j.T @ j + p.T @ p
    else:
        rows = least_squares(problem, with_jacobian(at.pulled, found.jacobian), assumed.sd, assumed.hypers).jacobian
        h = rows.T @ rows
    open_ended = np.where(at.pulled.point.prior_slope == 0.0, found.neglected / problem.space.reference**2, 0.0)
    ridge = 1e-13 * max(float(np.trace(h)), 1e-300)
    return np.asarray(h + np.diag(open_ended + ridge))


def _newton_step(problem: Problem, h: Array, at: Gradient) -> tuple[Array, float]:
    """The step (d,) within the bounds, and the fall of the misfit that it promises."""
    p = box_minimum(h, at.half_slope, problem.space.low - at.z, problem.space.high - at.z)
    return p, max(-float(2.0 * at.half_slope @ p + p @ h @ p), 0.0)


def _held(problem: Problem, at: Gradient) -> NDArray[np.bool_]:
    """Columns that a bound holds: at it, with the misfit falling beyond it."""
    g, space = at.half_slope, problem.space
    return np.asarray(((at.z <= space.low) & (g >= 0.0)) | ((at.z >= space.high) & (g <= 0.0)))
