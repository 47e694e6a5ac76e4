"""Margins at points of the unit cube, counted: what a search, a certificate and a set point simulate with."""

from concurrent.futures import Executor
from dataclasses import replace

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO, Memo
from physics_twin.envelope.margins.evaluation import FailedRun, Problem, evaluate
from physics_twin.envelope.next_batch.uncertainty import Batches


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
        return self.at(batches, self.problem.si(points))

    def at(self, batches: Batches, settings: Array) -> Array:
        """The same at settings (n_points, d) SI."""
        found = evaluate(self.problem, batches, settings, self.executor, self.memo)
        self.n_simulations += found.n_simulations
        self.failures += found.failures
        return found.margins

    def sampled(self, n_nodes: int) -> "Simulator":
        """One that takes `n_nodes` samples in each phase and counts for itself."""
        return Simulator(replace(self.problem, n_nodes=n_nodes), self.executor, self.memo)
