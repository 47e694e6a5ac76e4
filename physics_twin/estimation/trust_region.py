"""Gauss-Newton steps in a box and a trust region, for least squares whose residuals come from an integrator.

Why not `scipy.optimize.least_squares`: one call of a model gives residuals and Jacobian together, where SciPy asks for
them apart; a trial that cannot be simulated has to shrink the step, where SciPy wants a number; a bound that is active
has to hold exactly, where SciPy's trf stays inside; and its stopping rules mistake integrator noise for a stall.

The step minimizes |r + J p|^2 over the box and |p| <= radius (More 1978; with bounds by an active set, Nocedal and
Wright, Numerical Optimization, algorithm 16.3). Coordinates are expected to be scaled so that 1 is a modest change.
The stopping rule is statistical: with whitened residuals the Gauss-Newton decrement is the squared distance to the
minimum in posterior standard deviations.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.posterior.drawing.box_minimum import box_minimum

FIRST_RADIUS = 2.0
"""Coordinates are scaled, so the first step changes a rate by at most a factor of about seven."""
ACCEPT = 1e-4
"""Least ratio of actual to predicted reduction (More 1978)."""
NOISE = 1e-3, 1e-6
"""Differences of the misfit that an integrator at rtol 1e-6 makes up: absolute (whitened), relative."""
SMALLEST_RADIUS = 1e-9


@dataclass(frozen=True)
class Linearization:
    """Whitened residuals r (n,) and their Jacobian J (n, d) at x (d,): J^T r is half the slope of the misfit."""

    x: Array
    r: Array
    jacobian: Array
    value: float | None = None
    """The misfit, where it is not the sum of squares of r."""

    @property
    def misfit(self) -> float:
        """What is minimized."""
        return float(self.r @ self.r) if self.value is None else self.value


@dataclass(frozen=True)
class Minimum:
    """Where the iteration ended."""

    at: Linearization
    decrement: float
    """Predicted further reduction of the misfit: squared distance to the minimum in standard deviations."""
    n_iterations: int
    converged: bool
    message: str


Evaluate = Callable[[Array], Linearization]
Measure = Callable[[Array], float]


def _reduction(h: Array, g: Array, p: Array) -> float:
    return -float(2.0 * g @ p + p @ h @ p)


def _step(h: Array, g: Array, low: Array, high: Array, radius: float) -> Array:
    """Minimum of the quadratic in the box and in the ball |p| <= radius (to 10 percent)."""
    d = g.size
    eye = np.eye(d)
    mu = 0.0
    p = box_minimum(h, g, low, high)
    if np.linalg.norm(p) <= radius:
        return p
    below, above = 0.0, np.inf
    mu = max(float(np.linalg.norm(g)) / radius, 1e-300)  # |p(mu)| <= |g| / mu
    for _ in range(40):
        p = box_minimum(h + mu * eye, g, low, high)
        size = float(np.linalg.norm(p))
        if size > radius:
            below = mu
        else:
            above = mu
            if size >= 0.9 * radius or above <= below * 1.01:
                break
        mu = np.sqrt(max(below, 1e-4 * above) * above) if np.isfinite(above) else 10.0 * mu
    return p if np.linalg.norm(p) <= radius * 1.0001 else p * (radius / float(np.linalg.norm(p)))


def minimize(
    evaluate: Evaluate,
    measure: Measure,
    start: Linearization,
    low: Array,
    high: Array,
    *,
    tolerance: float,
    max_iterations: int,
    rejected: Callable[[Array, SolveError], None],
) -> Minimum:
    """Minimize the misfit from `start` within low <= x <= high.

    evaluate: residuals and Jacobian at x; measure: the misfit at x alone, used after a step was turned down. Both
    raise SolveError where the model cannot be simulated: the step is rejected and reported to `rejected`.
    tolerance: distance to the minimum, in posterior standard deviations, at which to stop.
    """
    at, radius = start, FIRST_RADIUS
    decrement, cautious = np.inf, False
    h, g = _normal_equations(at)
    for iteration in range(max_iterations + 1):
        down, up = low - at.x, high - at.x
        newton = box_minimum(h, g, down, up)
        decrement = max(_reduction(h, g, newton), 0.0)
        if decrement <= tolerance**2:
            return Minimum(at, decrement, iteration, True, "converged")
        noise = max(NOISE[0], NOISE[1] * at.misfit)
        if iteration == max_iterations:
            break
        while True:
            p = newton if np.linalg.norm(newton) <= radius else _step(h, g, down, up, radius)
            predicted = _reduction(h, g, p)
            trial = np.clip(at.x + p, low, high)
            within_noise = predicted <= noise
            new: Linearization | None = None
            try:
                if cautious:
                    reduction = at.misfit - measure(trial)
                else:
                    new = evaluate(trial)
                    reduction = at.misfit - new.misfit
                accepted = reduction > ACCEPT * predicted or (within_noise and reduction > 0.0)
                if accepted and new is None:
                    new = evaluate(trial)
            except SolveError as error:
                rejected(trial, error)
                accepted, reduction, within_noise = False, -np.inf, False
            if accepted and new is not None:
                break
            if within_noise and reduction > -noise:
                # The misfit cannot tell the two points apart: this is as close as the integrator allows. The gradient
                # still can: of the two, the one that is nearer by its own Jacobian.
                if new is not None:
                    h, g = _normal_equations(new)
                    there = max(_reduction(h, g, box_minimum(h, g, low - new.x, high - new.x)), 0.0)
                    at, decrement = (new, there) if there < decrement else (at, decrement)
                return Minimum(at, decrement, iteration, True, "converged to within the noise of the integrator")
            radius, cautious = 0.25 * min(float(np.linalg.norm(p)), radius), True
            if radius < SMALLEST_RADIUS:
                text = "stopped: no step in any direction that the Jacobian suggests reduces the misfit"
                return Minimum(at, decrement, iteration, False, text)
        ratio = reduction / predicted
        size = float(np.linalg.norm(p))
        if ratio > 0.75 and size > 0.5 * radius:
            radius = 3.0 * radius
        elif ratio < 0.25:
            radius = 0.5 * size
        cautious = ratio < 0.25
        at = new
        h, g = _normal_equations(at)
    text = f"stopped after {max_iterations} iterations, {np.sqrt(decrement):.2g} standard deviations from the minimum"
    return Minimum(at, decrement, max_iterations, False, text)


def _normal_equations(at: Linearization) -> tuple[Array, Array]:
    """J^T J with a ridge at rounding level, and J^T r.

    Forming J^T J squares the condition number, which costs digits of the step and none of the minimum: the gradient
    J^T r is exact, and the next iteration takes the rest.
    """
    h = at.jacobian.T @ at.jacobian
    h += np.eye(h.shape[0]) * (1e-13 * max(float(np.trace(h)), 1e-300))
    return h, at.jacobian.T @ at.r
