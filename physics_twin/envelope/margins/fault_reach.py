"""Whether runs last until a fault at a given moment: in one that ends before, nothing fails and nothing is shown.

Where phases end by the clock the ends of runs are known without a simulation. Where they end on levels a few runs say.
"""

from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.faults import BoundFault
from physics_twin.envelope.limits.reductions import duration_text
from physics_twin.envelope.margins.evaluation import Problem, members_at
from physics_twin.envelope.margins.fault_runs import never_in
from physics_twin.envelope.margins.members import phase_times
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.ranges.box import corners
from physics_twin.errors import EnvelopeError

MOST = (500, 64)
"""Batches and points that are looked at; at each of these points all of these batches."""
FEW = (8, 9)
"""The same where runs must be simulated to see when phases end that wait for a level."""


@dataclass(frozen=True)
class Unreached:
    """How often a fault does not happen."""

    fault: BoundFault
    share: float
    """Of the runs, those that end before it."""
    longest: float
    """s, the longest run."""

    def text(self, where: str) -> str:
        """A warning; `where` the runs are, for example "in the box"."""
        share = "all" if self.share == 1.0 else f"{100.0 * self.share:.2g} %"
        moment = duration_text(self.fault.at or 0.0)
        return (
            f"{self.fault}: {share} of the batches {where} end before {moment}, so in them nothing fails and a limit "
            "under this fault asks for nothing more than without it; at=pt.any_moment asks for the worst moment of "
            "every run"
        )


def refuse_unreachable(simulate: Simulator, batches: Batches) -> None:
    """Raise EnvelopeError for a fault at a moment that no batch reaches, at the corners and in the middle of the range.

    Where phases end by the clock the longest run is at a corner.
    """
    d = len(simulate.problem.settings)
    for found in unreached(simulate, batches, np.concatenate([corners(d), np.full((1, d), 0.5)])):
        if found.share == 1.0:
            longest, moment = duration_text(found.longest), duration_text(found.fault.at or 0.0)
            raise EnvelopeError(
                f"the fault {found.fault} never happens: no run lasts until {moment}, the longest one ends after "
                f"{longest}; give a moment before that (at=), or at=pt.any_moment for the worst one of each run"
            )


def unreached(simulate: Simulator, batches: Batches, points: Array) -> list[Unreached]:
    """Faults that do not happen in some of the batches at points (n, d) of the unit cube."""
    problem = simulate.problem
    faults = [fault for fault in problem.faults if fault.at is not None]
    if not faults:
        return []
    waits = any(phase.duration is None for phase in problem.recipe.phases)
    n, n_points = FEW if waits else MOST
    batches = batches.take(np.arange(min(n, batches.n)))
    points = points[np.unique(np.linspace(0, len(points) - 1, n_points).astype(int))]
    simulate.n_simulations += batches.n * len(points) if waits else 0
    ends = _ends(problem, batches, problem.si(points))
    shares = [float(never_in(ends, fault.at or 0.0).mean()) if ends.size else 0.0 for fault in faults]
    return [Unreached(f, share, float(ends.max())) for f, share in zip(faults, shares, strict=True) if share > 0.0]


def _ends(problem: Problem, batches: Batches, points: Array) -> Array:
    """Ends of the runs that can be simulated, s."""
    values = members_at(problem, batches, points)
    begins, failures = phase_times(problem.model, problem.recipe, values)
    failed = [failure.member for failure in failures]
    return np.delete(begins[:, -1], failed)
