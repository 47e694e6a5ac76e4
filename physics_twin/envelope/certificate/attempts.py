"""Ranges proposed by the search draws and tried on the held-out draws, until one passes or the error is spent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.certificate import (
    Attempt,
    attempt_error,
    lower_bounds,
    search_violations,
    violations_allowed,
)
from physics_twin.envelope.certificate.confirmation import N_WORST
from physics_twin.envelope.certificate.proposals import Proposer
from physics_twin.envelope.limits.allowed import Allowed, Group, violations
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.draws import Draws
from physics_twin.envelope.ranges.aim import Aim
from physics_twin.envelope.ranges.box import Box
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.ranges.polytope_attempts import points_certified
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.envelope.sampling import Sampling

CHANCES = (0.95, 0.985, 0.995, 0.999)
"""Chance of passing, at each tight point, that an attempt is aimed at: a higher first one wastes operating range, a
lower one attempts."""
STRICTER = 0.85
"""Share of its widths that a box keeps from one attempt to the next where no violation is left to give up."""


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
    polytope: ConvexSet | None = None
    """The polytope that passed, where one was asked for; `box` is then the largest box inside it."""
    largest_box: Box | None = None
    """The largest box that the search saw, to compare a polytope with."""
    sampling: Sampling | None = None
    """How the samples of courses were checked, where a limit looks at them."""


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


def n_certified(d: int, n_sides: int = 0) -> int:
    """Points at which a box (or polytope) of `d` settings is certified: its vertices and the worst points found."""
    n_worst = N_WORST[min(d, 3) - 1]
    return points_certified(d, n_sides, n_worst) if n_sides else int(2**d) + n_worst


def make_attempts(
    simulate: Simulator,
    draws: Draws,
    groups: tuple[Group, ...],
    confidence: float,
    cloud: Array,
    n_points: int,
    n_scouts: int | None,
    aim: Aim,
    rng: np.random.Generator,
    report: Callable[[str], None],
) -> Trial:
    """Propose, confirm and certify ranges.

    groups: limits that are kept together, with the probability of each. cloud: where the surrogate is searched.
    n_points: budget of design points for the first attempt; each further one has a third of it more. n_scouts: as for
    `Proposer`. aim: which box is the best one. Raises as `Proposer.propose`.
    """
    d = cloud.shape[1]
    tests = tests_of(draws, groups, confidence, n_certified(d, aim.n_sides))
    proposer = Proposer(simulate, draws.search, cloud, n_points, n_scouts, aim, rng, report)
    attempts: list[Attempt] = []
    points, margins = np.zeros((0, d)), np.zeros((0, draws.held.n, len(simulate.problem.requirements)))
    test, passed = tests[0], None
    for number, test in enumerate(tests):
        allowed = _counts(test.search)
        report(f"attempt {number + 1}: at most {allowed} of {draws.search.n} search draws may violate a limit")
        proposal = proposer.propose(test.search, _share(tests, number))
        if proposal is None:
            break
        points = proposal.points
        test = _paid(test, draws, confidence, number, len(points))
        margins = simulate(draws.held, points)
        attempts.append(_judged(simulate.problem, proposal.box, points, margins, test, draws))
        report(f"attempt {number + 1}: {max(attempts[-1].violations)} violations of {draws.held.n} at the worst point")
        if attempts[-1].passed:
            passed = proposal
            break
    space, settled, sampling = proposer.space, proposer.settled, proposer.sampling
    trial = Trial(space, None, test.search, points, margins, tuple(attempts), test.error, settled, sampling=sampling)
    if passed is None:
        return trial
    return replace(trial, box=passed.box, polytope=passed.polytope, largest_box=passed.largest_box)


def _share(tests: Sequence[Test], number: int) -> float:
    """Of its widths that a range keeps: where no violation is left to give up, room is."""
    return STRICTER**number if number > 0 and tests[number].search.k == tests[number - 1].search.k else 1.0


def _paid(test: Test, draws: Draws, confidence: float, number: int, n_points: int) -> Test:
    """The test for so many points: a polytope may have more vertices than were foreseen, never for less error each."""
    groups = test.held.groups
    error = min(test.error, attempt_error(confidence, number, n_points * len(groups)))
    if error == test.error:
        return test
    allowed = tuple(violations_allowed(draws.n_effective, group.probability, error) for group in groups)
    return Test(error, Allowed(groups, allowed), test.search)


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
