"""Boxes proposed by the search draws and tried on the held-out draws, until one passes or the error is spent."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO, Memo
from physics_twin.envelope.aim import Aim
from physics_twin.envelope.allowed import Allowed, Group, violations
from physics_twin.envelope.box import Box, corners
from physics_twin.envelope.certificate import (
    Attempt,
    attempt_error,
    lower_bounds,
    search_violations,
    violations_allowed,
)
from physics_twin.envelope.design_space import explore, start_design, worst_points
from physics_twin.envelope.draws import Draws
from physics_twin.envelope.evaluation import FailedRun, Problem, evaluate
from physics_twin.envelope.scouts import N_DRAWS, send_scouts
from physics_twin.envelope.set_point import AT_BOUND, best_point
from physics_twin.envelope.surrogate import DesignSpace
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
    """Simulates margins and keeps count: of simulations and of those that failed; memo: remembers what it simulated."""

    def __init__(self, problem: Problem, executor: Executor | None, memo: Memo = NO_MEMO) -> None:
        self.problem = problem
        self.executor = executor
        self.memo = memo
        self.n_simulations = 0
        self.failures: list[FailedRun] = []

    def __call__(self, batches: Batches, points: Array) -> Array:
        """Margins (n_points, n_batches, n_requirements) SI at points of the unit cube, NaN for failed runs."""
        found = evaluate(self.problem, batches, self.problem.si(points), self.executor, self.memo)
        self.n_simulations += found.n_simulations
        self.failures += found.failures
        return found.margins


@dataclass(frozen=True, eq=False)
class Trial:
    """How the attempts went."""

    space: DesignSpace
    box: Box | None
    """The box that passed."""
    allowed: Allowed
    """Violations of the search draws allowed at each point of the last box."""
    points: Array
    """(n_points, d) of the unit cube: where the last box was tried."""
    margins: Array
    """(n_points, n_held, n_requirements) SI on the held-out draws."""
    attempts: tuple[Attempt, ...]
    error: float
    """Error spent at each point and group of the last attempt."""
    settled: bool


@dataclass(frozen=True)
class Test:
    """What an attempt has to show: so many violations at most, of the draws on either side."""

    error: float
    """Spent at each point and group."""
    held: Allowed
    """Of the effective draws that certify."""
    search: Allowed
    """Of the search draws: with the slack that makes passing likely."""


def tests_of(draws: Draws, groups: tuple[Group, ...], confidence: float, n_points: int) -> tuple[Test, ...]:
    """The tests of the attempts, fixed by the numbers of draws before any of them is looked at."""
    found: list[Test] = []
    before = [draws.search.n] * len(groups)
    for number, chance in enumerate(CHANCES):
        error = attempt_error(confidence, number, n_points * len(groups))
        held = tuple(violations_allowed(draws.n_effective, group.probability, error) for group in groups)
        if min(held) < 0:
            break
        n_search = draws.independence * draws.search.n
        wanted = [search_violations(n_search, draws.n_effective, allowed, chance) for allowed in held]
        k = [min(int(w / draws.independence), max(b - 1, 0)) for w, b in zip(wanted, before, strict=True)]
        found.append(Test(error, Allowed(groups, held), Allowed(groups, tuple(k))))
        before = k
    return tuple(found)


def n_certified(d: int) -> int:
    """Points at which a box of `d` settings is certified: its corners and the worst points found."""
    return int(2**d) + N_WORST[min(d, 3) - 1]


def make_attempts(
    simulate: Simulator,
    draws: Draws,
    groups: tuple[Group, ...],
    confidence: float,
    cloud: Array,
    n_points: int,
    aim: Aim,
    rng: np.random.Generator,
    report: Callable[[str], None],
) -> Trial:
    """Propose, confirm and certify boxes.

    groups: limits that are kept together, with the probability of each. cloud: where the surrogate is searched.
    n_points: budget of design points for the first attempt; each further one has a third of it more. aim: which box is
    the best one.
    """
    d, search = cloud.shape[1], draws.search
    tests = tests_of(draws, groups, confidence, n_certified(d))
    first = start_design(d, rng, aim)
    space = DesignSpace(first, simulate(search, first))
    few = search.take(np.arange(min(N_DRAWS, search.n)))
    scouts = send_scouts(lambda u: simulate(few, u), d, rng)
    attempts: list[Attempt] = []
    settled, points = True, np.zeros((0, d))
    margins = np.zeros((0, draws.held.n, len(simulate.problem.requirements)))
    test = tests[0]
    for number, test in enumerate(tests):
        report(f"attempt {number + 1}: at most {_counts(test.search)} of {search.n} search draws may violate a limit")
        budget = n_points if number == 0 else len(space.points) + n_points // 3
        found = explore(
            lambda u: simulate(search, u),
            space,
            cloud,
            test.search,
            budget,
            lambda s: scouts.points[scouts.surprises(s)],
            aim,
            report,
        )
        space, settled, box = found.space, found.settled, found.box
        if box is None:
            break
        if number > 0 and test.search.k == tests[number - 1].search.k:  # no violation is left to give up
            box = box.toward(aim.moved(best_point(space, box, test.search, room=0.0)), STRICTER**number)
        space, confirmed, points = _confirmed(simulate, search, space, box, cloud, test.search, aim)
        if confirmed is None:
            break
        margins = simulate(draws.held, points)
        attempt = _judged(simulate.problem, confirmed, points, margins, test, draws)
        attempts.append(attempt)
        report(f"attempt {number + 1}: {max(attempt.violations)} violations of {draws.held.n} at the worst point")
        if attempt.passed:
            return Trial(space, confirmed, test.search, points, margins, tuple(attempts), test.error, settled)
    return Trial(space, None, test.search, points, margins, tuple(attempts), test.error, settled)


def _counts(allowed: Allowed) -> str:
    return " / ".join(str(k) for k in allowed.k)


def _judged(problem: Problem, box: Box, points: Array, margins: Array, test: Test, draws: Draws) -> Attempt:
    """What the held-out draws say about a box; margins (n_points, n_held, n_requirements) SI at `points`."""
    broken = violations(margins, test.held.groups)
    bounds = lower_bounds(broken, draws.n_effective, draws.independence, test.error)
    required = np.array([group.probability for group in test.held.groups])
    low, high = problem.si(box.low), problem.si(box.high)
    names = [s.name for s in problem.settings]
    return Attempt(
        bool((bounds >= required).all()),
        {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)},
        test.error,
        test.held.k,
        tuple(int(n) for n in broken.max(axis=0)),
        len(points),
    )


def _confirmed(
    simulate: Simulator, search: Batches, space: DesignSpace, box: Box, cloud: Array, allowed: Allowed, aim: Aim
) -> tuple[DesignSpace, Box | None, Array]:
    """The box, pulled in until the model itself confirms corners and worst points on the search draws."""
    d = box.low.size
    anchor = aim.moved(best_point(space, box, allowed, room=0.0))
    for share in PULLS:
        tried = box.toward(anchor, share)
        if share > 0.9:  # a side that a setting's bound ends stays there unless nothing else helps
            tried = Box(
                np.where(box.low <= AT_BOUND, 0.0, tried.low), np.where(box.high >= 1.0 - AT_BOUND, 1.0, tried.high)
            )
        worst = worst_points(space, tried, cloud, allowed, N_WORST[min(d, 3) - 1])
        points = np.concatenate([tried.at(corners(d)), worst])
        margins = simulate(search, points)
        if allowed.kept(violations(margins, allowed.groups)):
            return space, tried, points
        new = space.unseen(points)
        keep = [int(np.abs(points - p).max(axis=1).argmin()) for p in new]
        if keep:
            space = space.with_(new, margins[keep])
    return space, None, points
