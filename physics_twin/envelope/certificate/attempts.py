"""Boxes proposed by the search draws and tried on the held-out draws, until one passes or the error is spent."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO, Memo
from physics_twin.envelope.certificate.certificate import (
    Attempt,
    attempt_error,
    lower_bounds,
    search_violations,
    violations_allowed,
)
from physics_twin.envelope.certificate.confirmation import N_WORST, PULLS, confirmed
from physics_twin.envelope.limits.allowed import Allowed, Group, violations
from physics_twin.envelope.margins.evaluation import FailedRun, Problem, evaluate
from physics_twin.envelope.next_batch.draws import Draws
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.ranges.aim import Aim
from physics_twin.envelope.ranges.box import Box
from physics_twin.envelope.ranges.convex_set import ConvexSet, box_inside
from physics_twin.envelope.ranges.polytope_attempts import confirmed_polytope, explore_polytope, points_certified
from physics_twin.envelope.region.design_space import Found, explore, start_design
from physics_twin.envelope.region.scouts import N_DRAWS, Scouts, send_into, send_scouts
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.envelope.sampling import MOST, Sampling, check_sampling
from physics_twin.envelope.set_point.set_point import best_point

CHANCES = (0.95, 0.985, 0.995, 0.999)
"""Chance of passing, at each tight point, that an attempt is aimed at: a higher first one wastes operating range, a
lower one attempts."""
STRICTER = 0.85
"""Share of its widths that a box keeps from one attempt to the next where no violation is left to give up."""
N_HIDDEN, N_SENT = 8, 5
"""Points that scouts find broken inside a proposal and that all search draws are put to; and how often scouts are sent
into the proposals of an attempt. What the last ones find is certified with the rest, and so refuses the range."""
POLYTOPE_POINTS = 30
"""Design points for each setting that a polytope may need beyond those of the box."""


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

    def sampled(self, n_nodes: int) -> "Simulator":
        """One that takes `n_nodes` samples in each phase and counts for itself."""
        return Simulator(replace(self.problem, n_nodes=n_nodes), self.executor, self.memo)


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
    tests = tests_of(draws, groups, confidence, n_certified(d, aim.n_sides))
    first = start_design(d, rng, aim)
    space = DesignSpace(first, simulate(search, first))
    few = search.take(np.arange(min(N_DRAWS, search.n)))
    scouts = send_scouts(lambda u: simulate(few, u), d, rng)

    def in_doubt(seen: DesignSpace) -> Array:
        return scouts.points[scouts.surprises(seen)]

    attempts: list[Attempt] = []
    settled, points = True, np.zeros((0, d))
    margins = np.zeros((0, draws.held.n, len(simulate.problem.requirements)))
    sampling, most = None, MOST * simulate.problem.n_nodes
    test, number, budget, n_sent = tests[0], 0, n_points, 0
    while number < len(tests):
        test = tests[number]
        report(f"attempt {number + 1}: at most {_counts(test.search)} of {search.n} search draws may violate a limit")
        found = explore(partial(simulate, search), space, cloud, test.search, budget, in_doubt, aim, report)
        space, settled = found.space, found.settled
        if found.box is None:
            break
        # Where no violation is left to give up, room is.
        share = STRICTER**number if number > 0 and test.search.k == tests[number - 1].search.k else 1.0
        proposal = _proposed(simulate, search, found, found.box, cloud, test.search, aim, share, in_doubt, report)
        space, settled = proposal.space, proposal.settled
        if proposal.box is None:
            break
        budget = len(space.points) + n_points // 3
        sampling = _checked(simulate, search, space, proposal.points, most, sampling)
        if sampling is not None and sampling.n_nodes > simulate.problem.n_nodes:
            report(f"{sampling.n_nodes} samples in each phase instead of {simulate.problem.n_nodes}: searching anew")
            simulate.problem = replace(simulate.problem, n_nodes=sampling.n_nodes)
            space = DesignSpace(space.points, simulate(search, space.points))
            scouts = Scouts(scouts.points, simulate(few, scouts.points))
            continue  # no held-out draw was looked at: it is the same attempt
        more = _scouted(lambda u: simulate(few, u), proposal, proposal.box, rng)
        hidden, found_there = _hidden(partial(simulate, search), more, space, test.search)
        scouts, n_sent = scouts.joined(more), n_sent + 1
        if len(hidden) and n_sent < N_SENT:
            report(f"limits are broken inside the proposal at {len(hidden)} points: searching on")
            new = space.unseen(hidden)
            rows = [int(np.abs(hidden - u).max(axis=1).argmin()) for u in new]
            space = space.with_(new, found_there[rows])
            budget = len(space.points) + n_points // 3
            continue
        n_sent = 0
        points = np.concatenate([proposal.points, hidden])
        test = _paid(test, draws, confidence, number, len(points))
        margins = simulate(draws.held, points)
        attempt = _judged(simulate.problem, proposal.box, points, margins, test, draws)
        attempts.append(attempt)
        report(f"attempt {number + 1}: {max(attempt.violations)} violations of {draws.held.n} at the worst point")
        if attempt.passed:
            passed = Trial(space, proposal.box, test.search, points, margins, tuple(attempts), test.error, settled)
            return replace(passed, polytope=proposal.polytope, largest_box=found.box, sampling=sampling)
        number += 1
    failed = Trial(space, None, test.search, points, margins, tuple(attempts), test.error, settled)
    return replace(failed, sampling=sampling)


def _scouted(evaluate: Callable[[Array], Array], proposal: "Proposal", box: Box, rng: np.random.Generator) -> Scouts:
    """Scouts sent into the box, or the polytope, that is to be certified."""
    body = ConvexSet.of_box(box) if proposal.polytope is None else proposal.polytope
    return send_into(body.low, body.high, body.contains, evaluate, rng)


def _hidden(
    evaluate: Callable[[Array], Array], scouts: Scouts, space: DesignSpace, allowed: Allowed
) -> tuple[Array, Array]:
    """Points (n, d) where scouts contradict the surrogate and all search draws confirm it; and their margins."""
    surprised = np.flatnonzero(scouts.surprises(space))
    depths = np.nan_to_num(scouts.margins[surprised] / space.scale, nan=-np.inf).min(axis=(1, 2))
    points = scouts.points[surprised[np.argsort(depths, kind="stable")[:N_HIDDEN]]]
    if len(points) == 0:
        return points, np.zeros((0, space.n_draws, space.margins.shape[2]))
    margins = evaluate(points)
    broken = (violations(margins, allowed.groups) > np.array(allowed.k)).any(axis=1)
    return points[broken], margins[broken]


def _checked(
    simulate: Simulator, search: Batches, space: DesignSpace, points: Array, most: int, before: Sampling | None
) -> Sampling | None:
    """The samples that the courses at these points need; what made an earlier check ask for more is not forgotten."""
    predicted = space.predicted(points).transpose(0, 2, 1) * space.scale
    found = check_sampling(simulate, search, points, predicted, most)
    if found is None or before is None or not before.doubt:
        return found
    return replace(found, doubt=before.doubt)


@dataclass(frozen=True, eq=False)
class Proposal:
    """A range that the model has confirmed on the search draws; its box is None where there is none."""

    space: DesignSpace
    box: Box | None
    points: Array
    """(n_points, d) of the unit cube: where it was confirmed, vertices first."""
    settled: bool
    polytope: ConvexSet | None = None


def _proposed(
    simulate: Simulator,
    search: Batches,
    found: Found,
    box: Box,
    cloud: Array,
    allowed: Allowed,
    aim: Aim,
    share: float,
    in_doubt: Callable[[DesignSpace], Array],
    report: Callable[[str], None],
) -> Proposal:
    """The box that was found, or the polytope grown from it, at `share` of its widths and confirmed by the model."""
    space = found.space
    if aim.n_sides == 0:
        if share < 1.0:
            box = box.toward(aim.moved(best_point(space, box, allowed, room=0.0)), share)
        space, tried, points = confirmed(partial(simulate, search), space, box, cloud, allowed, aim)
        return Proposal(space, tried, points, found.settled)
    evaluate = partial(simulate, search)
    n_points = len(space.points) + cloud.shape[1] * POLYTOPE_POINTS
    grown = explore_polytope(evaluate, space, box, cloud, allowed, n_points, aim.n_sides, in_doubt, report)
    settled = found.settled and grown.settled
    inside = None if grown.body is None else box_inside(grown.body)
    if grown.body is None or inside is None:
        return Proposal(grown.space, None, np.zeros((0, cloud.shape[1])), settled)
    body = grown.body
    if share < 1.0:
        body = body.toward(best_point(grown.space, inside, allowed, room=0.0), share)
    n_worst = N_WORST[min(cloud.shape[1], 3) - 1]
    space, passed, points = confirmed_polytope(evaluate, grown.space, body, cloud, allowed, PULLS, n_worst)
    return Proposal(space, None if passed is None else box_inside(passed), points, settled, passed)


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
