"""Several starts of a local method: run in any order, judged alike, reported in one sentence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError, ExperimentFailed, SolveError
from physics_twin.estimation import noise
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.likelihood.fitting import least_squares, objective
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.starts import nearby
from physics_twin.estimation.trust_region import Linearization, Minimum
from physics_twin.estimation.work import Work
from physics_twin.posterior import FailedSimulation

NEARBY = 12
"""Points tried around a start that cannot be simulated."""
SAME_MINIMUM = 1e-2
"""Difference in misfit below which two starts have found the same minimum."""


@dataclass(frozen=True)
class Try:
    """One start."""

    number: int
    minimum: Minimum | None
    point: Point | None
    levels: noise.Levels | None
    objective: float
    """-2 log posterior up to a constant: comparable between starts."""
    failures: tuple[FailedSimulation, ...]
    remarks: tuple[str, ...] = ()
    """What the method has to say about this start beyond the minimum's own message."""
    warnings: tuple[str, ...] = ()
    hypers: Array = field(default_factory=lambda: np.empty(0))
    """(n_hypers,) SI"""


type Start = Callable[..., Try]
"""(problem, method, number, z, seed, memo) -> Try; a function of a module, so that it travels to worker processes."""


def run_starts(
    start: Start,
    problem: Problem,
    method: Any,
    points: Sequence[Array],
    seeds: Sequence[int],
    work: Work,
) -> list[Try]:
    """All starts, in their order, whoever computes them and whenever they finish.

    Only the best one keeps its residuals and derivatives: those of hundreds of starts would fill the memory.
    """
    jobs = [(problem, method, i, z, seed) for i, (z, seed) in enumerate(zip(points, seeds, strict=True))]
    found: list[Try] = []
    best: Try | None = None
    for one in work.each("starts", start, jobs):
        if best is None or (best.minimum is None, best.objective) > (one.minimum is None, one.objective):
            if best is not None:
                found[best.number] = without_arrays(best)
            best = one
            found.append(one)
        else:
            found.append(without_arrays(one))
        del one
    return found


def without_arrays(one: Try) -> Try:
    """What is told of a start that is not the best."""
    if one.minimum is None:
        return one
    nothing = Linearization(np.empty(0), np.empty(0), np.empty((0, 0)), one.minimum.at.misfit)
    return replace(one, point=None, levels=None, minimum=replace(one.minimum, at=nothing))


def best_of(tries: Sequence[Try]) -> Try:
    """The lowest minimum, the first of equal ones. Raises CalibrationError where no start could be simulated."""
    found = [t for t in tries if t.minimum is not None]
    if not found:
        reasons = list(dict.fromkeys(f.sentence for t in tries for f in t.failures))
        shown = "; ".join(reasons[:4]) + (f"; and {len(reasons) - 4} more" if len(reasons) > 4 else "")
        raise CalibrationError(
            f"no simulation succeeded at {'any start' if len(tries) > 1 else 'the start'} or near it: {shown}. "
            "Check the starting values, their units and bounds; pt.simulate(model, ...) shows one run"
        )
    return min(found, key=lambda t: (t.objective, t.number))


def first_point[P](
    problem: Problem,
    z: Array,
    evaluate: Callable[[Array], P],
    record: Callable[[Array, SolveError], None],
    rng: np.random.Generator,
) -> P | None:
    """What `evaluate` gives at z, or at a point near it where z cannot be simulated; None where nothing can."""
    for attempt in range(NEARBY + 1):
        at = z if attempt == 0 else nearby(problem.space, z, attempt / NEARBY, rng)
        try:
            return evaluate(at)
        except SolveError as error:
            record(at, error)
    return None


def failed(problem: Problem, at: Array, error: SolveError) -> FailedSimulation:
    """The record of a simulation that failed at z."""
    values = dict(zip(problem.names, problem.space.x(at).tolist(), strict=True))
    where = error.experiment if isinstance(error, ExperimentFailed) else ""
    return FailedSimulation(values, error.reason, error.time, where)


def finish(
    problem: Problem,
    number: int,
    point: Point,
    levels: noise.Levels,
    minimum: Minimum,
    failures: Sequence[FailedSimulation],
    remarks: Sequence[str] = (),
    warnings: Sequence[str] = (),
    hypers: Array | None = None,
) -> Try:
    """A start that ended at `point`, with its objective."""
    own = np.empty(0) if hypers is None else hypers
    at = least_squares(problem, point, levels.sd, own)
    done = Minimum(at, minimum.decrement, minimum.n_iterations, minimum.converged, minimum.message)
    value = objective(problem, point, levels.sd, own, at.misfit)
    return Try(number, done, point, levels, value, tuple(failures), tuple(remarks), tuple(warnings), own)


def message(best: Try, tries: Sequence[Try]) -> str:
    """How the fit ended, and where the other starts did."""
    assert best.minimum is not None
    starts = len(tries)
    text = f"{best.minimum.message} after {best.minimum.n_iterations} iterations"
    if starts > 1:
        same = sum(t.minimum is not None and t.objective - best.objective < SAME_MINIMUM for t in tries)
        lost = sum(t.minimum is None for t in tries)
        text += f"; {same} of {starts} starts reached this minimum"
        others = starts - same - lost
        if others:
            text += f", {others} a worse one"
        if lost:
            text += f", {lost} could not be simulated"
    return "; ".join([text, *best.remarks])
