"""The draws of an envelope, split before anything is looked at: some for the search, the others for the certificate."""

from dataclasses import dataclass

import numpy as np

from physics_twin.envelope.evaluation import Problem
from physics_twin.envelope.question import Question
from physics_twin.envelope.uncertainty import Batches, Uncertainty, next_batches
from physics_twin.posterior import Posterior


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

    @property
    def n_effective(self) -> float:
        """Independent draws that certify."""
        return self.independence * self.held.n


def split_draws(problem: Problem, posterior: Posterior, question: Question, rng: np.random.Generator) -> Draws:
    """One possible next batch for each draw of the posterior, split at random; advances `rng`."""
    budget = question.budget
    uncertainty = next_batches(
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
    batches = uncertainty.batches
    # A posterior may know that its draws are correlated (MCMC); independent draws count in full.
    independence = min(1.0, posterior.effective_draws / posterior.n_draws)
    rows = rng.permutation(batches.n)
    n_search = min(max(1, round(budget.search_share * batches.n)), budget.n_search)
    search = batches.take(np.sort(rows[:n_search]))
    held = batches.take(np.sort(rows[n_search : n_search + budget.n_certification]))
    return Draws(uncertainty, search, held, independence)
