"""Whether the course of a certified recipe was sampled densely enough for its limits.

As for envelopes, see `sampling`: what happens between two samples is not seen, and a margin that falls with more of
them refuses the certificate. Steps of a profile have a sample on either side in any case.
"""

from concurrent.futures import Executor

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.optimal_recipe.draws import outcomes
from physics_twin.envelope.optimal_recipe.nominal import Setup
from physics_twin.envelope.optimal_recipe.robust import Trial
from physics_twin.envelope.optimal_recipe.simulated import Decision, recipe_of
from physics_twin.envelope.sampling import Sampling, refuse_coarse


class _Certified(Simulator):
    """Simulates one recipe as `find_recipe` does; its points have no settings."""

    def __init__(self, setup: Setup, decision: Decision, n_nodes: int, executor: Executor | None) -> None:
        self.setup, self.decision = setup, decision
        recipe = recipe_of(setup.task, decision, {**setup.values, **decision.settings})
        super().__init__(Problem(setup.task.model, recipe, (), setup.task.requirements, n_nodes), executor)

    def __call__(self, batches: Batches, points: Array) -> Array:
        """Margins (1, n_batches, n_requirements) SI."""
        self.n_simulations += batches.n
        task, settings, problem = self.setup.task, self.decision.settings, self.problem
        return outcomes(task, problem.recipe, batches, settings, problem.n_nodes, self.executor).margins[None]

    def sampled(self, n_nodes: int) -> "_Certified":
        """With `n_nodes` samples in each phase."""
        return _Certified(self.setup, self.decision, n_nodes, self.executor)


def check_course(setup: Setup, trial: Trial, held: Batches, executor: Executor | None) -> Sampling | None:
    """How the samples of a recipe that passed were checked on some of the draws; None where no limit looks at a course.

    held: draws that certified; they may be looked at, since the check can only refuse. Raises EnvelopeError where a
    margin falls with more samples.
    """
    simulate = _Certified(setup, trial.solution.decision, setup.n_nodes, executor)
    simulate.n_simulations = trial.n_simulations
    return refuse_coarse(simulate, held, np.zeros(0), trial.held.margins)
