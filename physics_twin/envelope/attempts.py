"""Boxes proposed by the search draws and tried on the held-out draws, until one passes or the error is spent."""

import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.box import Box, corners
from physics_twin.envelope.certificate import (
    SPENDING,
    Attempt,
    attempt_error,
    lower_bound,
    search_violations,
    violations_allowed,
)
from physics_twin.envelope.design_space import explore, start_design, worst_points
from physics_twin.envelope.evaluation import FailedRun, Problem, evaluate
from physics_twin.envelope.scouts import N_DRAWS, send_scouts
from physics_twin.envelope.set_point import AT_BOUND, best_point
from physics_twin.envelope.surrogate import DesignSpace, violations
from physics_twin.envelope.uncertainty import Batches

CHANCES = (0.95, 0.985, 0.995, 0.999)
"""Chance of passing, at each tight point, that an attempt is aimed at: a higher first one wastes operating range, a
lower one attempts."""
STRICTER = 0.85
"""Share of its widths that a box keeps from one attempt to the next where no violation is left to give up."""
PULLS = (1.0 - 1e-7, 1.0 - 1e-5, 1.0 - 1e-4, 1.0 - 1e-3, 0.99, 0.97, 0.93, 0.85, 0.7, 0.5)
"""Shares of a box that are tried until the model itself confirms it on the search draws. The first only makes up for
rounding: a corner that stands exactly on the edge has as good a chance to lie outside."""
N_WORST = (2, 4, 8)
"""Points of the directed search that are certified beside the corners, for 1, 2 and more settings."""


class Simulator:
    """Simulates margins and keeps count: of simulations and of those that failed."""

    def __init__(
        self, problem: Problem, executor: Executor | None, checkpoint: str | os.PathLike[str] | None = None
    ) -> None:
        self.problem = problem
        self.executor = executor
        self.checkpoint = checkpoint
        self.n_simulations = 0
        self.failures: list[FailedRun] = []

    def __call__(self, batches: Batches, points: Array) -> Array:
        """Margins (n_points, n_batches, n_requirements) SI at points of the unit cube, NaN for failed runs."""
        found = evaluate(self.problem, batches, self.problem.si(points), self.executor)
        self.n_simulations += len(points) * batches.n
        self.failures += found.failures
        return found.margins


@dataclass(frozen=True, eq=False)
class Trial:
    """How the attempts went."""

    space: DesignSpace
    box: Box | None
    """The box that passed."""
    k: int
    """Violations of the search draws allowed at each point of the last box."""
    points: Array
    """(n_points, d) of the unit cube: where the last box was tried."""
    margins: Array
    """(n_points, n_held, n_requirements) SI on the held-out draws."""
    attempts: tuple[Attempt, ...]
    error: float
    """Error spent at each point of the last attempt."""
    settled: bool


def make_attempts(
    simulate: Simulator,
    search: Batches,
    held: Batches,
    independence: float,
    probability: float,
    confidence: float,
    cloud: Array,
    n_points: int,
    rng: np.random.Generator,
    report: Callable[[str], None],
) -> Trial:
    """Propose, confirm and certify boxes.

    search, held: the batches that propose and those that decide. independence: effective draws for each draw.
    cloud: where the surrogate is searched. n_points: budget of design points for each attempt.
    """
    problem = simulate.problem
    d = cloud.shape[1]
    n_certified = 2**d + N_WORST[min(d, 3) - 1]
    first = start_design(d, rng)
    space = DesignSpace(first, simulate(search, first))
    few = search.take(np.arange(min(N_DRAWS, search.n)))
    scouts = send_scouts(lambda u: simulate(few, u), d, rng)
    attempts: list[Attempt] = []
    k, error, settled = search.n, 0.0, True
    points, margins = np.zeros((0, d)), np.zeros((0, held.n, len(problem.requirements)))
    for number in range(len(SPENDING)):
        error = attempt_error(confidence, number, n_certified)
        n_effective = independence * held.n
        allowed = violations_allowed(n_effective, probability, error)
        if allowed < 0:
            break
        wanted = search_violations(independence * search.n, n_effective, allowed, CHANCES[number])
        before, k = k, min(int(wanted / independence), max(k - 1, 0))
        report(f"attempt {number + 1}: at most {k} of {search.n} search draws may violate a limit")
        budget = n_points if number == 0 else len(space.points) + n_points // 3
        found = explore(
            lambda u: simulate(search, u),
            space,
            cloud,
            k,
            budget,
            lambda s: scouts.points[scouts.surprises(s)],
            report,
        )
        space, settled = found.space, found.settled
        if found.box is None:
            break
        box = found.box
        if before == k == 0:
            box = box.toward(best_point(space, box, k, room=0.0), STRICTER**number)
        space, confirmed, points = _confirmed(simulate, search, space, box, cloud, k)
        if confirmed is None:
            break
        margins = simulate(held, points)
        broken = violations(margins)
        bounds = [lower_bound(independence * v, n_effective, error) for v in broken]
        passed = min(bounds) >= probability
        low, high = problem.si(confirmed.low), problem.si(confirmed.high)
        names = [s.name for s in problem.settings]
        attempts.append(
            Attempt(
                passed,
                {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)},
                error,
                allowed,
                int(broken.max()),
                len(points),
            )
        )
        report(f"attempt {number + 1}: {broken.max()} violations of {held.n} at the worst of {len(points)} points")
        if passed:
            return Trial(space, confirmed, k, points, margins, tuple(attempts), error, settled)
    return Trial(space, None, k, points, margins, tuple(attempts), error, settled)


def _confirmed(
    simulate: Simulator, search: Batches, space: DesignSpace, box: Box, cloud: Array, k: int
) -> tuple[DesignSpace, Box | None, Array]:
    """The box, pulled in until the model itself confirms corners and worst points on the search draws."""
    d = box.low.size
    anchor = best_point(space, box, k, room=0.0)
    for share in PULLS:
        tried = box.toward(anchor, share)
        if share > 0.9:  # a side that a setting's bound ends stays there unless nothing else helps
            tried = Box(
                np.where(box.low <= AT_BOUND, 0.0, tried.low), np.where(box.high >= 1.0 - AT_BOUND, 1.0, tried.high)
            )
        worst = worst_points(space, tried, cloud, k, N_WORST[min(d, 3) - 1])
        points = np.concatenate([tried.at(corners(d)), worst])
        margins = simulate(search, points)
        if violations(margins).max() <= k:
            return space, tried, points
        new = space.unseen(points)
        keep = [int(np.abs(points - p).max(axis=1).argmin()) for p in new]
        if keep:
            space = space.with_(new, margins[keep])
    return space, None, points
