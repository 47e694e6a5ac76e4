"""The density as one chain sees it: value and gradient in whitened coordinates, failures recorded, all remembered."""

from dataclasses import dataclass, field

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import SolveError
from physics_twin.estimation.evaluation import Differences, evaluate
from physics_twin.estimation.log_density import log_density
from physics_twin.estimation.markov_chain.coordinates import Coordinates, RejectedPoint
from physics_twin.estimation.markov_chain.whitening import Whitening
from physics_twin.estimation.multistart import failed
from physics_twin.estimation.problem import Problem
from physics_twin.posterior import FailedSimulation

EXACT = Differences(1e-3, True)
"""Asks for derivatives; none of them is a difference where chains use them."""


class UnsimulatedPoint(RejectedPoint):
    """A simulation failed there."""


@dataclass
class Visits:
    """What one chain asks for; `at` may be called from the thread of a sampler library, by one thread at a time."""

    problem: Problem
    whitened: Whitening
    gradients: bool
    memo: Memo
    failures: list[FailedSimulation] = field(default_factory=list)
    n_evaluations: int = 0

    def __post_init__(self) -> None:
        self._coordinates = Coordinates(self.problem)

    def at(self, u: Array) -> tuple[float, Array]:
        """Log density of u (n,) and its gradient (n,), which is empty without `gradients`; raises RejectedPoint."""
        coordinates = self._coordinates
        a = self.whitened.a(np.asarray(u, dtype=float))
        place = coordinates.place(a)
        self.n_evaluations += 1
        try:
            found = self.memo.recall("density", (place.z, place.psi), lambda: self._density(place.z, place.psi))
        except SolveError as error:
            self.failures.append(failed(self.problem, place.z, error))
            raise UnsimulatedPoint(error.reason) from error
        value = float(found["value"]) + place.log_volume
        if not np.isfinite(value):
            raise RejectedPoint("the density is not finite")
        if not self.gradients:
            return value, np.empty(0)
        gradient = coordinates.pull_back(a, place, found["slope"], found["slope_psi"])
        return value, self.whitened.root.T @ gradient

    def _density(self, z: Array, psi: Array) -> dict[str, Array]:
        """Small enough to be remembered for each of some ten thousand points, which residuals would not be."""
        point = evaluate(self.problem, z, EXACT if self.gradients else None)
        density = log_density(self.problem, point, psi)
        return {"value": np.array(density.value), "slope": density.slope, "slope_psi": density.slope_psi}
