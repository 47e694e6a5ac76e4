"""The draws of an envelope, split before anything is looked at: some for the search, the others for the certificate.

Where what the search leaves over cannot certify, and the posterior says how its draws come about, fresh ones are made
for the certificate. They have the law of the first and no search has seen them, so the claim is the same one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.envelope.certificate.certificate import attempt_error, draws_needed
from physics_twin.envelope.limits.allowed import Group
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.next_batch.uncertainty import Batches, Uncertainty, next_batches
from physics_twin.envelope.question import Question
from physics_twin.posterior import Posterior

SLACK = 10
"""Fresh draws for each that is needed without a violation: a box on which some draws may break a limit is much larger
than one on which none may."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Possible next batches on both sides of the split."""

    uncertainty: Uncertainty
    search: Batches
    """What the search sees."""
    held: Batches
    """What certifies."""
    independence: float
    """Independent draws that each of them is worth."""
    redrawn: str = ""
    """From what `held` was made anew; empty where it is the posterior's own draws."""

    @property
    def n_effective(self) -> float:
        """Independent draws that certify."""
        return self.independence * self.held.n


def first_needed(groups: Sequence[Group], confidence: float, n_points: int) -> int:
    """Independent draws without a violation that a first attempt at `n_points` points needs; 0 without limits."""
    error = attempt_error(confidence, 0, max(n_points * len(groups), 1))
    return max((draws_needed(group.probability, error) for group in groups), default=0)


def split_draws(
    problem: Problem,
    posterior: Posterior,
    question: Question,
    rng: np.random.Generator,
    needed: int = 0,
    n_fresh: int = 0,
) -> Draws:
    """One possible next batch for each draw of the posterior, split at random; advances `rng`.

    needed: independent draws that certify at the least; where the posterior has too few and can be drawn anew, all of
    its own serve the search. n_fresh: so many fresh ones certify in any case, to repeat a certificate.
    """
    budget, kinds = question.budget, _kinds(posterior)
    uncertainty = _drawn(problem, posterior, question, kinds, rng)
    rows = _shuffled(kinds, rng)
    n_search = min(max(1, round(budget.search_share * rows.size)), budget.n_search)
    draws = _split(uncertainty, posterior, kinds, rows, n_search, budget.n_certification)
    n_fresh = n_fresh or fresh_for(draws, posterior, question, needed)
    if n_fresh == 0:
        return draws
    own = replace(draws, search=uncertainty.batches.take(np.sort(rows[: budget.n_search])))
    return certified_anew(own, problem, posterior, question, rng, n_fresh)


def unseen_draws(
    problem: Problem, posterior: Posterior, question: Question, rng: np.random.Generator, n_scouts: int
) -> Draws:
    """Next batches of a posterior that no search has seen: `n_scouts` to look around, the others to certify."""
    kinds = _kinds(posterior)
    uncertainty = _drawn(problem, posterior, question, kinds, rng)
    rows = _shuffled(kinds, rng)
    return _split(uncertainty, posterior, kinds, rows, min(n_scouts, rows.size), question.budget.n_certification)


def _drawn(
    problem: Problem, posterior: Posterior, question: Question, kinds: NDArray[np.int64], rng: np.random.Generator
) -> Uncertainty:
    """One possible next batch for each draw, with a note where draws are copies of one another."""
    uncertainty = _next_batches(problem, posterior, question, rng)
    n_kinds = int(kinds.max()) + 1
    if n_kinds == kinds.size:
        return uncertainty
    worth = kinds.size * _independence(posterior, kinds, kinds)
    said = f"the {kinds.size} draws hold {n_kinds} different ones and count as {worth:.0f}: copies tell nothing new"
    return replace(uncertainty, notes=(*uncertainty.notes, said))


def _split(
    uncertainty: Uncertainty,
    posterior: Posterior,
    kinds: NDArray[np.int64],
    rows: NDArray[np.int64],
    n_search: int,
    n_held: int,
) -> Draws:
    """The first `n_search` of the shuffled rows for the search, the next to certify."""
    # All copies of a draw are on one side, or the search has seen what certifies.
    n_search = int(np.flatnonzero(kinds[rows] == kinds[rows[n_search - 1]])[-1]) + 1
    search, held = rows[:n_search], rows[n_search : n_search + n_held]
    batches, independence = uncertainty.batches, _independence(posterior, kinds, kinds[held])
    return Draws(uncertainty, batches.take(np.sort(search)), batches.take(np.sort(held)), independence)


def _independence(posterior: Posterior, kinds: NDArray[np.int64], held: NDArray[np.int64]) -> float:
    """Independent draws that each is worth.

    A posterior may know that its draws are correlated (MCMC); independent draws count in full, copies once: n draws of
    which n_i are alike are worth n^2 / sum n_i^2 (Kish, Survey Sampling, 1965, section 11.7), of all and of those that
    certify.
    """
    shares = [min(posterior.effective_draws, float(kinds.size)) / kinds.size]
    shares += [float(some.size) / float((np.bincount(some) ** 2).sum()) for some in (kinds, held) if some.size]
    return min(shares)


def draw_hashes(posterior: Posterior) -> NDArray[np.uint64]:
    """A hash of each draw (n_draws,): the same numbers of the same parameters have the same one."""
    names = sorted(posterior.names)
    about = "\n".join(names).encode()
    columns = np.ascontiguousarray(np.stack([np.asarray(posterior[name], dtype=float) for name in names], axis=1))
    digests = [hashlib.sha256(about + row.tobytes()).digest()[:8] for row in columns]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _kinds(posterior: Posterior) -> NDArray[np.int64]:
    """Which draws (n_draws,) are copies of one another, numbered as they first come.

    Resampling makes copies. Where all draws are the same nothing is uncertain, and what varies from batch to batch is
    drawn for each: none counts as a copy then.
    """
    _, first, which = np.unique(posterior.draws.values, axis=0, return_index=True, return_inverse=True)
    if len(first) == 1:
        return np.arange(posterior.n_draws)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return np.asarray(number[which.ravel()])


def _shuffled(kinds: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows in random order, copies beside one another."""
    order = rng.permutation(int(kinds.max()) + 1)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return np.asarray(np.argsort(place[kinds], kind="stable"))


def fresh_for(draws: Draws, posterior: Posterior, question: Question, needed: int) -> int:
    """Fresh draws that should certify; 0 where there are enough, none can be made, or the budget forbids enough."""
    most = question.budget.n_certification
    if draws.n_effective >= needed or posterior.origin is None or most < needed:
        return 0
    return min(SLACK * needed, most)


def certified_anew(
    draws: Draws, problem: Problem, posterior: Posterior, question: Question, rng: np.random.Generator, n: int
) -> Draws:
    """The draws with `n` fresh ones of a posterior that has an origin to certify."""
    fresh = posterior.redraw(n, int(rng.integers(2**63)))
    held = _next_batches(problem, fresh, question, rng).batches
    whence = "" if posterior.origin is None else posterior.origin.words
    said = f"certified on {n} draws made anew from {whence}"
    uncertainty = replace(draws.uncertainty, includes=(*draws.uncertainty.includes, said))
    return Draws(uncertainty, draws.search, held, 1.0, whence)


def _next_batches(problem: Problem, posterior: Posterior, question: Question, rng: np.random.Generator) -> Uncertainty:
    return next_batches(
        problem.model,
        posterior,
        question.recipe,
        question.settings,
        question.batch_variation,
        question.tolerance,
        rng,
        question.values,
        requirements=problem.requirements,
    )
