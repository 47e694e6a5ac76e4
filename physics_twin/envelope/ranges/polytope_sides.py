"""From a certified convex set to an operating polytope: what ends each side, and what it holds of the region."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from physics_twin.envelope.certificate.attempts import Trial
from physics_twin.envelope.limits.allowed import Allowed
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.ranges.operating_polytope import OperatingPolytope, operating_polytope
from physics_twin.envelope.ranges.polytope_polish import fine_positions
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.envelope.set_point.missed import limit_missed
from physics_twin.envelope.set_point.set_point import AT_BOUND, OUTWARD, SETTING_BOUND

LOG2_COUNTED = 12
"""Settings at which the share of the region is counted: this power of two."""


def certified_polytope(trial: Trial, problem: Problem) -> OperatingPolytope:
    """The polytope of a trial in SI, with what ends its sides and its share of the region beside the largest box's."""
    body, space, groups = trial.polytope, trial.space, trial.allowed.groups
    assert body is not None
    points = qmc.Sobol(body.d, scramble=False).random_base2(LOG2_COUNTED)
    region = points[space.level(points, Allowed.share(groups, space.n_draws)) >= 0.0]
    binding = [_ends(side, body, space, problem, trial.allowed) for side in range(len(body.ends))]
    box = trial.largest_box
    held = 0.0 if box is None else _share(box.contains(region))
    return operating_polytope(body, problem.settings, binding, _share(body.contains(region)), held)


def _share(inside: NDArray[np.bool_]) -> float:
    return float(inside.mean()) if len(inside) else 0.0


def _ends(side: int, body: ConvexSet, space: DesignSpace, problem: Problem, allowed: Allowed) -> str:
    """What ends a side: the limit that is missed by most a step beyond it, or a setting's bound."""
    d = body.d
    if side < d and body.high[side] >= 1.0 - AT_BOUND:
        return SETTING_BOUND
    if d <= side < 2 * d and body.low[side - d] <= AT_BOUND:
        return SETTING_BOUND
    on = np.flatnonzero(body.meeting[:, side])
    which = [i for i, met in enumerate(body.meeting.T) if met.sum() >= d]
    points = body.vertices[on] if len(on) else body.vertices
    if side in which:
        points = np.concatenate([points, fine_positions(body)[which.index(side)] @ body.vertices])
    beyond = np.clip(points + OUTWARD * body.matrix[side], 0.0, 1.0)
    near = (side < d and body.high[side] >= 1.0 - OUTWARD) or (d <= side < 2 * d and body.low[side - d] <= OUTWARD)
    if near and float(space.group_levels(beyond, allowed).min()) >= 0.0:
        return SETTING_BOUND  # the polish stopped short of the bound, and no limit did
    return limit_missed(space, beyond, problem.requirements, allowed)
