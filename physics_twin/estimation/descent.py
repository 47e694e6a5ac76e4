"""Descent by L-BFGS-B (SciPy) for misfits that come from an integrator: steps that cannot be simulated are turned down,
and a misfit that no longer falls by more than noise ends it.

A step that fails must come back shorter, and SciPy's line search only understands numbers. It is told the parabola
along the step that has the value and the slope of the last iterate and its minimum at a quarter of the step: the search
interpolates cubically, so that is where it looks next. The parabola lies above the last iterate at the point that
failed, which therefore can never be accepted, and its number never leaves this file.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, OptimizeResult, minimize

from physics_twin.arrays import Array
from physics_twin.errors import SolveError

MEMORY = 20
"""Pairs that L-BFGS-B keeps: runs of a model cost more than vectors."""
WINDOW = 8
"""Iterations over which the misfit has to fall by more than `least`, or the descent ends."""
LINE_SEARCH = 30
"""Trials along one direction; each failure takes three quarters off a step."""


@dataclass(frozen=True)
class Descent[P]:
    """Where a descent ended."""

    at: P
    """What `evaluate` gave there."""
    n_iterations: int
    exhausted: bool
    """Whether it ended because the iterations did."""


def descend[P](
    evaluate: Callable[[Array], P],
    measure: Callable[[P], tuple[float, Array]],
    start: P,
    at: Array,
    low: Array,
    high: Array,
    *,
    least: float,
    max_iterations: int,
    rejected: Callable[[Array, SolveError], None],
    step: Callable[[], None],
) -> Descent[P]:
    """Lower a misfit from `at` within the bounds.

    evaluate: the model at x; raises SolveError where it cannot be simulated. measure: (misfit, gradient (d,)) of what
    `evaluate` gave. start: what it gives at `at`. least: a fall of the misfit over WINDOW iterations that is not worth
    going on. rejected: is told of points that failed. step: is called once an iteration.
    """
    best = (start, *measure(start))
    # With bounds on every side the first step of L-BFGS-B is the gradient itself: scaled, it is a modest change.
    scale = max(float(np.linalg.norm(best[2])), 1.0)
    accepted = (at, *best[1:])
    cache: dict[bytes, tuple[P, float, Array]] = {at.tobytes(): best}
    history = [best[1]]

    def objective(x: Array) -> tuple[float, Array]:
        nonlocal best
        key = x.tobytes()
        if key not in cache:
            try:
                new = evaluate(x)
                cache[key] = (new, *measure(new))
            except SolveError as error:
                rejected(x.copy(), error)
                value, slope = _parabola(x, *accepted)
                return value / scale, slope / scale
        found = cache[key]
        if found[1] < best[1]:
            best = found
        return found[1] / scale, found[2] / scale

    def iterated(intermediate_result: OptimizeResult) -> None:
        nonlocal accepted, cache
        x = np.asarray(intermediate_result.x, dtype=float)
        own = cache[x.tobytes()]
        accepted = (x.copy(), own[1], own[2])
        cache = {x.tobytes(): own}  # forward runs are kept in memory by what they gave; one is enough
        history.append(own[1])
        step()
        if len(history) > WINDOW and history[-1 - WINDOW] - history[-1] < least:
            raise StopIteration

    if max_iterations < 1:
        return Descent(start, 0, True)
    result = minimize(
        objective,
        at,
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(low, high),
        callback=iterated,
        options={
            "maxcor": MEMORY,
            "maxiter": max_iterations,
            "maxfun": 20 * max_iterations + 100,
            "ftol": 0.0,
            "gtol": 0.0,
            "maxls": LINE_SEARCH,
        },
    )
    return Descent(best[0], int(result.nit), int(result.nit) >= max_iterations)


def _parabola(x: Array, at: Array, misfit: float, gradient: Array) -> tuple[float, Array]:
    """See above: f(0) = misfit, f'(0) = s, f'(1/4) = 0 along the step, so f(1) = misfit - s and f'(1) = -3 s."""
    direction = x - at
    slope = min(float(gradient @ direction), -1e-300)
    return misfit - slope, -3.0 * slope * direction / max(float(direction @ direction), 1e-300)
