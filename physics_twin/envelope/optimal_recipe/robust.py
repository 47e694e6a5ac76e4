"""One profile for many possible batches, tried on draws that the optimization never saw.

Draws of the search half at even ranks of the objective make it: their average stands for the expected one. The limits
hold in other scenarios: the profile is simulated on all search draws, and where more of them break limits than the
certificate leaves room for, the draw at the edge of that room becomes a scenario that keeps what it broke, and the
profile is optimized again. Where no profile keeps the limits in all scenarios, the one that is short by least is
looked for, and the scenarios that are among the worst draws under it, as many as may fail, are given up. What passes on
the search draws is put to the test on the held-out draws; a recipe that fails is replaced by a stricter one, and the
error left is smaller, as with the boxes of an envelope.

Scenarios by generating the violated ones: Calafiore and Campi, IEEE Transactions on Automatic Control 51 (2006) 742;
giving some up: Campi and Garatti, Journal of Optimization Theory and Applications 148 (2011) 257.
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
        self.held: dict[int, set[int]] = {}
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
    def counts(self) -> tuple[int, int]:
        """Scenarios, and simulations so far."""
        return len(self.rows), self.n_simulations

    @property
    def rows(self) -> list[int]:
        """Search draws that are scenarios: those of the objective first."""
        return [*self.weighed, *(row for row in self.held if row not in self.weighed)]

    def optimized(self, decision: Decision) -> Solution:
        """The best profile for all scenarios, from a decision; raises SolveError where one cannot be simulated."""
        rows = self.rows
        solver = self.setup.solver([self.held.get(row, ()) for row in rows], self.n_weighed)
        return solver(decision, [self._scenario(decision, row) for row in rows], self.backoff)

    def _scenario(self, decision: Decision, row: int) -> Scenario:
        values = {n: float(v[row]) for n, v in self.draws.search.values.items() if v.ndim == 1}
        return self.setup.scenario(decision, values)

    def learn(self, found: Outcomes, allowed: Allowed) -> bool:
        """Tighten limits of scenarios, and hold more at the edge of what is allowed; False where neither helps."""
        ranked = np.where(np.isfinite(found.margins), found.margins / self.setup.scales.margins, -np.inf)
        # A scenario keeps its limits at the points of the elements; what it is short by happens between them.
        short = np.maximum(-self._held_margins(ranked).min(axis=0, initial=0.0), 0.0)
        self.backoff = self.backoff + MORE * short
        more = False
        for group, k in zip(allowed.groups, allowed.k, strict=True):
            for columns in (group.columns, *((column,) for column in group.columns)):
                level = ranked[:, list(columns)].min(axis=1)
                edge = int(np.argsort(level, kind="stable")[k])
                if np.isfinite(level[edge]):
                    more |= self._hold(edge, {c for c in columns if ranked[edge, c] < 0.0})
        return bool(short.any()) or more

    def _hold(self, row: int, columns: set[int]) -> bool:
        """Hold limits in one draw; whether any of them was not yet held."""
        own = self.held.get(row, set())
        if columns <= own:
            return False
        self.held[row] = own | columns
        return True

    def _held_margins(self, ranked: Array) -> Array:
        """(n_held, n_requirements) margins in the scenarios, zero where a limit is not held or a run failed."""
        own = np.zeros((len(self.held), ranked.shape[1]))
        for i, (row, columns) in enumerate(self.held.items()):
            for column in columns:
                own[i, column] = ranked[row, column] if np.isfinite(ranked[row, column]) else 0.0
        return own

    def relaxed(self, decision: Decision, allowed: Allowed) -> Decision | None:
        """The profile that is short by least in the scenarios; of these, those that may fail are given up.

        None where the scenarios stay what they are.
        """
        rows = list(self.held)
        solver = self.setup.solver([self.held[row] for row in rows], 0, elastic=True)
        closest = solver(decision, [self._scenario(decision, row) for row in rows], self.backoff).decision
        found = self.simulated(closest, self.draws.search)
        ranked = np.where(np.isfinite(found.margins), found.margins / self.setup.scales.margins, -np.inf)
        before = {row: frozenset(columns) for row, columns in self.held.items()}
        for group, k in zip(allowed.groups, allowed.k, strict=True):
            worst = np.argsort(ranked[:, list(group.columns)].min(axis=1), kind="stable")[:k]
            for row in set(worst.tolist()) & set(self.held):
                self.held[row] -= set(group.columns)
        self.held = {row: columns for row, columns in self.held.items() if columns}
        self.learn(found, allowed)
        return None if self.held == before else closest


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
    if not tests:
        solution = _solved(robust, first, None)
        return Trial(solution, None, robust.simulated(solution.decision, draws.held), (), *robust.counts, settled=True)
    last, attempts, trial = first, list[Attempt](), None
    for number, test in enumerate(tests):
        try:
            solution, found, settled = _robust_enough(robust, last, found, test, report)
        except EnvelopeError:
            if trial is None:
                raise
            break
        last = solution.decision
        held = robust.simulated(last, draws.held)
        attempts.append(_judged(held, last, test, draws))
        report(f"attempt {number + 1}: {max(attempts[-1].violations)} violations of {draws.held.n}")
        trial = Trial(solution, test, held, tuple(attempts), *robust.counts, settled)
        if attempts[-1].passed:
            break
    assert trial is not None  # there is a test, and the first attempt raises or ends
    return trial


def _robust_enough(
    robust: Robust, decision: Decision, found: Outcomes, test: Test, report: Callable[[str], None]
) -> tuple[Solution, Outcomes, bool]:
    """A profile that leaves the certificate some room or, where there is none, one that it can only just pass."""
    try:
        return _confirmed(robust, decision, found, test.search, report)
    except EnvelopeError:
        share = robust.draws.search.n / robust.draws.n_effective
        just = Allowed(test.held.groups, tuple(int(k * share) for k in test.held.k))
        if just.k <= test.search.k:
            raise
        report("no profile leaves the certificate room; looking for one that can just pass")
        robust.held = {}
        solution, found, _ = _confirmed(robust, decision, found, just, report)
        return solution, found, False


def _confirmed(
    robust: Robust, decision: Decision, found: Outcomes, allowed: Allowed, report: Callable[[str], None]
) -> tuple[Solution, Outcomes, bool]:
    """Optimize until the search draws break no more limits than allowed; the profile, its runs, and whether they do.

    found: the runs of `decision`, where this begins.
    """
    robust.learn(found, allowed)
    for _ in range(ROUNDS):
        report(f"{len(robust.rows)} scenarios")
        solution = _solved(robust, decision, allowed)
        decision = solution.decision
        found = robust.simulated(decision, robust.draws.search)
        counts = violations(found.margins[None], allowed.groups)
        if allowed.kept(counts):
            return solution, found, True
        report(f"{counts.max()} of {robust.draws.search.n} search draws break a limit")
        if not robust.learn(found, allowed):
            break
    return solution, found, False


def _solved(robust: Robust, decision: Decision, allowed: Allowed | None) -> Solution:
    """The best profile for the scenarios, without those that have to be given up; raises EnvelopeError."""
    for _ in range(ROUNDS):
        try:
            solution = robust.optimized(decision)
        except SolveError as error:
            raise EnvelopeError(f"a scenario cannot be simulated under the recipe found so far: {error}") from error
        if solution.solved:
            return solution
        closest = None if allowed is None or not robust.held else robust.relaxed(decision, allowed)
        if closest is None:
            break
        decision = closest
    raise _no_profile(robust, solution)


def _no_profile(robust: Robust, solution: Solution) -> EnvelopeError:
    setup, rows = robust.setup, list(robust.held) or robust.rows
    found = robust.simulated(solution.decision, robust.draws.search.take(np.array(rows)))
    short = np.where(np.isfinite(found.margins), -found.margins, np.inf).max(axis=0)
    broken = [
        f'"{r.name}" is short by {r.format(float(s))}'
        for r, s in zip(setup.task.requirements, short, strict=True)
        if s > 0.0
    ]
    where = f"; in the worst of them {' and '.join(broken)} with the last profile tried" if broken else ""
    return EnvelopeError(
        "the best recipe of the median batch was found, but none that keeps the limits in "
        f"{len(rows)} other possible batches ({solution.words}){where}. Relax the limit, ask for less "
        "probability, narrow the posterior, free another input, or give more draws (a certificate needs some room)"
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
