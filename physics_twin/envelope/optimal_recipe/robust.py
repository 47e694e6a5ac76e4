"""One profile for many possible batches, tried on draws that the optimization never saw.

Draws of the search half at even ranks of the objective make it: their average stands for the expected one. The limits
hold in other scenarios: the profile is simulated on all search draws, and where more of them break a limit than the
certificate leaves room for, the draw at the edge of that room becomes a scenario with limits, and the profile is
optimized again. What passes on
the search draws is put to the test on the held-out draws; a recipe that fails is replaced by a stricter one, and the
error left is smaller, as with the boxes of an envelope.

Scenarios by generating the violated ones: Calafiore and Campi, IEEE Transactions on Automatic Control 51 (2006) 742.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.attempts import Test, tests_of
from physics_twin.envelope.certificate.certificate import Attempt, lower_bounds
from physics_twin.envelope.limits.allowed import Allowed, Group, violations
from physics_twin.envelope.next_batch.draws import Draws
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.optimal_recipe.draws import Outcomes, outcomes
from physics_twin.envelope.optimal_recipe.nominal import MORE, Setup
from physics_twin.envelope.optimal_recipe.simulated import Decision, recipe_of
from physics_twin.envelope.optimal_recipe.solving import Scenario, Solution
from physics_twin.errors import EnvelopeError, SolveError

ROUNDS = 10
"""Optimizations for one attempt, at most."""


@dataclass(frozen=True, eq=False)
class Trial:
    """How the attempts went."""

    solution: Solution
    test: Test | None
    """Of the last attempt; None without limits."""
    held: Outcomes
    """The last recipe on the held-out draws."""
    attempts: tuple[Attempt, ...]
    n_scenarios: int
    n_simulations: int
    settled: bool
    """Whether every recipe that was tried passed on the search draws."""


class Robust:
    """The scenarios of one search, and the optimizations over them."""

    def __init__(self, setup: Setup, draws: Draws, n_scenarios: int, executor: Executor | None) -> None:
        self.setup, self.draws, self.executor = setup, draws, executor
        self.n_weighed = min(n_scenarios, draws.search.n)
        self.weighed: list[int] = []
        self.limited: list[int] = []
        self.backoff: Array = setup.inset
        self.n_simulations = 0

    def simulated(self, decision: Decision, batches: Batches) -> Outcomes:
        """A decision on all batches."""
        self.n_simulations += batches.n
        recipe = recipe_of(self.setup.task, decision, {**self.setup.values, **decision.settings})
        return outcomes(self.setup.task, recipe, batches, decision.settings, self.setup.n_nodes, self.executor)

    def begin(self, found: Outcomes) -> None:
        """Choose the scenarios that make the objective, at even ranks of the objective."""
        good = np.flatnonzero(np.isfinite(found.objective))
        if not good.size:
            raise EnvelopeError(f"no draw could be simulated: {found.failures[0].reason}")
        ranked = good[np.argsort(found.objective[good], kind="stable")]
        n = self.n_weighed = min(self.n_weighed, good.size)
        places = ((np.arange(n) + 0.5) / n * good.size).astype(int)
        self.weighed = [int(row) for row in ranked[places]]

    @property
    def rows(self) -> list[int]:
        """Search draws that are scenarios: those of the objective first."""
        return [*self.weighed, *(row for row in self.limited if row not in self.weighed)]

    def optimized(self, decision: Decision) -> Solution:
        """The best profile for all scenarios, from a decision; raises SolveError where one cannot be simulated."""
        rows = self.rows
        solver = self.setup.solver([row in self.limited for row in rows], self.n_weighed)
        return solver(decision, [self._scenario(decision, row) for row in rows], self.backoff)

    def _scenario(self, decision: Decision, row: int) -> Scenario:
        values = {n: float(v[row]) for n, v in self.draws.search.values.items() if v.ndim == 1}
        return self.setup.scenario(decision, values)

    def learn(self, found: Outcomes, allowed: Allowed) -> bool:
        """Tighten limits of scenarios, and add the draws at the edge of what is allowed; False where neither helps."""
        ranked = np.where(np.isfinite(found.margins), found.margins / self.setup.scales.margins, -np.inf)
        # A scenario keeps its limits at the points of the elements; what it is short by happens between them.
        own = ranked[self.limited]
        short = np.maximum(-np.where(np.isfinite(own), own, 0.0).min(axis=0, initial=0.0), 0.0)
        self.backoff = self.backoff + MORE * short
        before = len(self.limited)
        for group, k in zip(allowed.groups, allowed.k, strict=True):
            own = ranked[:, list(group.columns)]
            for level in (own.min(axis=1), *own.T):
                row = int(np.argsort(level, kind="stable")[k])
                if level[row] < 0.0 and np.isfinite(level[row]) and row not in self.limited:
                    self.limited.append(row)
        return bool(short.any()) or len(self.limited) > before


def make_trial(
    robust: Robust,
    first: Decision,
    groups: tuple[Group, ...],
    confidence: float,
    report: Callable[[str], None],
) -> Trial:
    """Optimize for many batches, from the best recipe of the median one, and put it to the test.

    Raises EnvelopeError where no profile keeps the limits in all scenarios.
    """
    draws = robust.draws
    found = robust.simulated(first, draws.search)
    robust.begin(found)
    tests = tests_of(draws, groups, confidence, 1) if groups else ()
    if tests:
        robust.learn(found, tests[0].search)
    report(f"{len(robust.rows)} scenarios")
    solution = _solved(robust, first)
    attempts: list[Attempt] = []
    settled, held, test = True, None, None
    for number, test in enumerate(tests):
        solution, settled = _confirmed(robust, solution, test.search, report)
        held = robust.simulated(solution.decision, draws.held)
        attempt = _judged(held, solution.decision, test, draws)
        attempts.append(attempt)
        report(f"attempt {number + 1}: {max(attempt.violations)} violations of {draws.held.n}")
        if attempt.passed:
            break
    if held is None:
        held = robust.simulated(solution.decision, draws.held)
    return Trial(solution, test, held, tuple(attempts), len(robust.rows), robust.n_simulations, settled)


def _confirmed(
    robust: Robust, solution: Solution, allowed: Allowed, report: Callable[[str], None]
) -> tuple[Solution, bool]:
    """Optimize again until the search draws break no more limits than allowed; whether they do."""
    for _ in range(ROUNDS):
        found = robust.simulated(solution.decision, robust.draws.search)
        counts = violations(found.margins[None], allowed.groups)
        if allowed.kept(counts):
            return solution, True
        report(f"{counts.max()} of {robust.draws.search.n} search draws break a limit; {len(robust.rows)} scenarios")
        if not robust.learn(found, allowed):
            return solution, False
        solution = _solved(robust, solution.decision)
    found = robust.simulated(solution.decision, robust.draws.search)
    return solution, allowed.kept(violations(found.margins[None], allowed.groups))


def _solved(robust: Robust, decision: Decision) -> Solution:
    try:
        solution = robust.optimized(decision)
    except SolveError as error:
        raise EnvelopeError(f"a scenario cannot be simulated under the recipe found so far: {error}") from error
    if solution.solved:
        return solution
    setup = robust.setup
    found = robust.simulated(solution.decision, robust.draws.search.take(np.array(robust.limited or robust.rows)))
    short = np.where(np.isfinite(found.margins), -found.margins, np.inf).max(axis=0)
    broken = [
        f'"{r.name}" is short by {r.format(float(s))}'
        for r, s in zip(setup.task.requirements, short, strict=True)
        if s > 0.0
    ]
    where = f"; in the worst of them {' and '.join(broken)} with the last profile tried" if broken else ""
    raise EnvelopeError(
        "the best recipe of the median batch was found, but none that keeps the limits in all of "
        f"{len(robust.limited)} possible batches ({solution.words}){where}. Relax the limit, ask for less probability, "
        "narrow the posterior, or free another input"
    )


def _judged(held: Outcomes, decision: Decision, test: Test, draws: Draws) -> Attempt:
    """What the held-out draws say about a recipe."""
    counts = violations(held.margins[None], test.held.groups)
    bounds = lower_bounds(counts, draws.n_effective, draws.independence, test.error)
    required = np.array([group.probability for group in test.held.groups])
    return Attempt(
        bool((bounds >= required).all()),
        {name: (x, x) for name, x in decision.settings.items()},
        test.error,
        test.held.k,
        tuple(int(n) for n in counts[0]),
        1,
    )
