"""Proposals: ranges that the search draws have seen from all sides, ready to be put before held-out draws.

Nothing here sees a held-out draw. A range is looked for on the surrogate and confirmed by the model at its corners and
worst points; its courses are checked for sampling; then scouts are sent into it. Whatever one of these finds goes back
into the search, until they find nothing more.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.confirmation import N_WORST, PULLS, confirmed
from physics_twin.envelope.limits.allowed import Allowed, violations
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.ranges.aim import Aim
from physics_twin.envelope.ranges.box import Box
from physics_twin.envelope.ranges.convex_set import ConvexSet, box_inside
from physics_twin.envelope.ranges.polytope_attempts import confirmed_polytope, explore_polytope
from physics_twin.envelope.region.design_space import explore, start_design
from physics_twin.envelope.region.scouts import N_DRAWS, Scouts, send_into, send_scouts
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.envelope.sampling import MOST, Sampling, check_sampling
from physics_twin.envelope.set_point.set_point import best_point

N_HIDDEN, N_SENT = 8, 5
"""Points that scouts find broken inside a proposal and that all search draws are put to; and how often scouts are sent
into the proposals of an attempt. What the last ones find is certified with the rest, and so refuses the range."""
POLYTOPE_POINTS = 30
"""Design points for each setting that a polytope may need beyond those of the box."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """A range that the model has confirmed on the search draws."""

    box: Box
    points: Array
    """(n_points, d) of the unit cube: where it is to be certified, vertices first."""
    polytope: ConvexSet | None
    """The polytope around the box, where one was asked for."""
    largest_box: Box
    """The largest box that the search saw, to compare a polytope with."""


class Proposer:
    """What the search has learned so far, and how it makes a proposal of it.

    cloud: points (n, d) of the unit cube where the surrogate is searched. n_points: budget of design points for the
    first proposal; each further search has a third of it more. n_scouts: settings that scouts are to look at, over the
    whole range and in every proposal; None: as many as are usual.
    """

    def __init__(
        self,
        simulate: Simulator,
        search: Batches,
        cloud: Array,
        n_points: int,
        n_scouts: int | None,
        aim: Aim,
        rng: np.random.Generator,
        report: Callable[[str], None],
    ) -> None:
        self.simulate, self.search, self.cloud, self.aim, self.rng = simulate, search, cloud, aim, rng
        self.report, self.n_scouts = report, n_scouts
        self.few = search.take(np.arange(min(N_DRAWS, search.n)))
        first = start_design(cloud.shape[1], rng, aim)
        self.space = DesignSpace(first, self.margins(first))
        self.scouts = send_scouts(self._scouted, cloud.shape[1], rng, n_scouts)
        self.sampling: Sampling | None = None
        self.settled = True
        self._budget, self._n_more = n_points, n_points // 3
        self._most_nodes = MOST * simulate.problem.n_nodes

    def margins(self, points: Array) -> Array:
        """Margins (n, n_search, n_requirements) SI of the search draws at points of the unit cube."""
        return self.simulate(self.search, points)

    def propose(self, allowed: Allowed, share: float) -> Proposal | None:
        """A range with no more violations than allowed, at `share` of its widths; None where the model confirms none.

        Raises EnvelopeError where courses need more samples than may be taken.
        """
        n_sent = 0
        while True:
            found = explore(
                self.margins, self.space, self.cloud, allowed, self._budget, self._in_doubt, self.aim, self.report
            )
            self.space, self.settled = found.space, found.settled
            if found.box is None:
                return None
            grown = self._polytope if self.aim.n_sides else self._box
            proposal = grown(found.box, allowed, share)
            if proposal is None:
                return None
            self._budget = len(self.space.points) + self._n_more
            if self._sampled_anew(proposal.points):
                continue
            more = self._sent_into(proposal)
            hidden, margins = self._hidden(more, allowed)
            self.scouts, n_sent = self.scouts.joined(more), n_sent + 1
            if len(hidden) == 0 or n_sent == N_SENT:
                return replace(proposal, points=np.concatenate([proposal.points, hidden]))
            self.report(f"limits are broken inside the proposal at {len(hidden)} points: searching on")
            new = self.space.unseen(hidden)
            rows = [int(np.abs(hidden - u).max(axis=1).argmin()) for u in new]
            self.space = self.space.with_(new, margins[rows])
            self._budget = len(self.space.points) + self._n_more

    def _scouted(self, points: Array) -> Array:
        return self.simulate(self.few, points)

    def _in_doubt(self, seen: DesignSpace) -> Array:
        return self.scouts.points[self.scouts.surprises(seen)]

    def _box(self, largest: Box, allowed: Allowed, share: float) -> Proposal | None:
        """The box that was found, at `share` of its widths and confirmed by the model."""
        box = largest
        if share < 1.0:
            box = box.toward(self.aim.moved(best_point(self.space, box, allowed, room=0.0)), share)
        self.space, tried, points = confirmed(self.margins, self.space, box, self.cloud, allowed, self.aim)
        return None if tried is None else Proposal(tried, points, None, largest)

    def _polytope(self, largest: Box, allowed: Allowed, share: float) -> Proposal | None:
        """The polytope grown from the box that was found, at `share` of its widths and confirmed by the model."""
        d = self.cloud.shape[1]
        n_points = len(self.space.points) + d * POLYTOPE_POINTS
        sides = self.aim.n_sides
        grown = explore_polytope(
            self.margins, self.space, largest, self.cloud, allowed, n_points, sides, self._in_doubt, self.report
        )
        self.space, self.settled = grown.space, self.settled and grown.settled
        inside = None if grown.body is None else box_inside(grown.body)
        if grown.body is None or inside is None:
            return None
        body = grown.body
        if share < 1.0:
            body = body.toward(best_point(self.space, inside, allowed, room=0.0), share)
        n_worst = N_WORST[min(d, 3) - 1]
        self.space, passed, points = confirmed_polytope(
            self.margins, self.space, body, self.cloud, allowed, PULLS, n_worst
        )
        within = None if passed is None else box_inside(passed)
        return None if within is None else Proposal(within, points, passed, largest)

    def _sampled_anew(self, points: Array) -> bool:
        """Whether the courses at these points need more samples, with which all is then simulated again."""
        problem = self.simulate.problem
        predicted = self.space.predicted(points).transpose(0, 2, 1) * self.space.scale
        found = check_sampling(self.simulate, self.search, points, predicted, self._most_nodes)
        before = self.sampling
        # What made an earlier check ask for more is not forgotten.
        self.sampling = replace(found, doubt=before.doubt) if found and before and before.doubt else found
        if found is None or found.n_nodes == problem.n_nodes:
            return False
        self.report(f"{found.n_nodes} samples in each phase instead of {problem.n_nodes}: searching anew")
        self.simulate.problem = replace(problem, n_nodes=found.n_nodes)
        self.space = DesignSpace(self.space.points, self.margins(self.space.points))
        self.scouts = Scouts(self.scouts.points, self._scouted(self.scouts.points))
        return True

    def _sent_into(self, proposal: Proposal) -> Scouts:
        """Scouts sent into the box, or the polytope, that is to be certified."""
        body = ConvexSet.of_box(proposal.box) if proposal.polytope is None else proposal.polytope
        return send_into(body.low, body.high, body.contains, self._scouted, self.rng, self.n_scouts)

    def _hidden(self, scouts: Scouts, allowed: Allowed) -> tuple[Array, Array]:
        """Points (n, d) where scouts contradict the surrogate and all search draws confirm it; and their margins."""
        surprised = np.flatnonzero(scouts.surprises(self.space))
        depths = np.nan_to_num(scouts.margins[surprised] / self.space.scale, nan=-np.inf).min(axis=(1, 2))
        points = scouts.points[surprised[np.argsort(depths, kind="stable")[:N_HIDDEN]]]
        if len(points) == 0:
            return points, np.zeros((0, self.space.n_draws, self.space.margins.shape[2]))
        margins = self.margins(points)
        broken = (violations(margins, allowed.groups) > np.array(allowed.k)).any(axis=1)
        return points[broken], margins[broken]
