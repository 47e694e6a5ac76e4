"""One side of a profile: an unknown walks away from the mode, and all others follow it.

Steps aim at equal rises of the objective (Raue et al. 2009, supplement), predicted from the profile's own slope and
curvature, which every refit gives with its Jacobian. A refit begins at the tangent of the path (Venzon and Moolgavkar
1988), or at the neighbor. One that fails makes the step shorter; when no step is left the side ends there and says
why, and what was found until then stays.
"""

import enum
from dataclasses import dataclass, field

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import SolveError
from physics_twin.estimation.evaluation import Differences
from physics_twin.estimation.multistart import failed
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.refit import Fit, curvature, refit, volume
from physics_twin.posterior import FailedSimulation

OVERSHOOT = 2.5
"""Rise over one step, as a multiple of what it aimed at, beyond which the step is made shorter."""
TRIALS = 7
"""Attempts at one step: failures divide it by four each time, so the last is below a thousandth of the first."""
FIRST_CAP = 1.0
"""Longest first step, in modest changes; it doubles as long as the objective hardly rises."""
LEAST = 0.02
"""Shortest step that is taken on account of a bound of another unknown."""
SHARE = 0.1
"""Longest step as a share of the bounds, so that a flat profile has points too."""
FAR = 100.0
"""Modest changes after which an unknown without a bound has gone far enough."""
FAR_IN_LOG = 14.0
"""The same for the logarithm of an unknown: a factor of a million."""


FARTHEST = 4.0
"""Rise, as a multiple of the goal, at which a side ends in any case."""


class End(enum.Enum):
    """Why a side of a profile ends."""

    THRESHOLD = "threshold"
    """The objective has risen enough."""
    BOUND = "bound"
    """The unknown has reached its bound."""
    LIMIT = "limit"
    """There is no bound, and the unknown went very far."""
    FAILED = "failed"
    """No refit succeeds any further."""
    STEPS = "steps"
    """The number of steps was used up."""
    LOWER = "lower"
    """The objective fell below that of the mode: the fit had not found the best place."""


@dataclass(frozen=True)
class Side:
    """One side of the profile of one unknown."""

    column: int
    direction: int
    """-1 downward, 1 upward."""
    fits: tuple[Fit, ...]
    """From the mode outward, the mode not among them."""
    end: End
    reason: str
    """Of a failure, in words."""
    n_refits: int
    n_failed: int
    """Refits that could not be simulated or did not come to an end."""
    failures: tuple[FailedSimulation, ...]


@dataclass(frozen=True)
class Walk:
    """How to walk: the same for every side."""

    problem: Problem
    mode: Fit
    degrees: Array
    """(n_groups,) samples that each noise level counts."""
    goals: Array
    """(d, 2) rise of the objective at which a side may end, downward and upward."""
    n_steps: int
    """Steps in which the goal should be reached."""
    most_steps: int
    lower: float
    """Fall of the objective below the mode that ends the walk."""
    how: Differences


@dataclass
class _Count:
    refits: int = 0
    failed: int = 0
    reason: str = ""
    failures: list[FailedSimulation] = field(default_factory=list)


def side(walk: Walk, column: int, direction: int, memo: Memo) -> Side:
    """Walk one side of the profile of a column."""
    mode, space = walk.mode, walk.problem.space
    goal = float(walk.goals[column, (direction + 1) // 2])
    bound = float((space.high if direction > 0 else space.low)[column])
    begin = float(mode.point.z[column])
    far = FAR_IN_LOG / float(space.scale[column]) if space.log[column] else FAR
    end_z, at_end = (bound, End.BOUND) if np.isfinite(bound) else (begin + direction * far, End.LIMIT)
    target, cap = 1.001 * goal / walk.n_steps, FIRST_CAP  # so that rounding costs no step
    longest = SHARE * float(space.high[column] - space.low[column])
    cap = min(cap, longest)
    count = _Count()
    fits: list[Fit] = []
    here, ended = mode, End.STEPS
    for _ in range(walk.most_steps):
        room = abs(end_z - float(here.point.z[column]))
        if room <= 0.0:
            ended = at_end
            break
        new = _advance(walk, here, column, direction, end_z, target, cap, count, memo)
        if new is None:
            ended = End.FAILED
            break
        rise = new.objective - here.objective
        here = new
        fits.append(here)
        if _enough(walk, here, column, goal):
            ended = End.THRESHOLD
            break
        if here.objective - mode.objective < -walk.lower:
            ended = End.LOWER
            break
        cap = min(2.0 * cap, longest) if rise < 0.5 * target else cap
    reason = count.reason if ended is End.FAILED else ""
    return Side(column, direction, tuple(fits), ended, reason, count.refits, count.failed, tuple(count.failures))


def _enough(walk: Walk, here: Fit, column: int, goal: float) -> bool:
    """Whether the objective has risen enough; with a prior also -2 log of the marginal density that draws will have.

    Log-normal priors, its own or those of who trades with it, put quantiles where the objective alone has risen more.
    """
    problem, mode = walk.problem, walk.mode
    rise = here.objective - mode.objective
    if rise < goal or problem.columns[column].parameter.prior is None or rise >= FARTHEST * goal:
        return rise >= goal
    in_density = [2.0 * volume(problem, mode.psi, fit, column) for fit in (here, mode)]
    if problem.space.log_normal[column] and problem.space.log[column]:  # as a density of ln x
        in_density[0] -= 2.0 * float(np.log(here.point.x[column] / mode.point.x[column]))
    return rise + in_density[0] - in_density[1] >= goal


def _advance(
    walk: Walk,
    here: Fit,
    column: int,
    direction: int,
    end_z: float,
    target: float,
    cap: float,
    count: _Count,
    memo: Memo,
) -> Fit | None:
    """The next fit, or None where no step works."""
    slope, bend, tangent = along(walk.problem, here, column)
    z = float(here.point.z[column])
    room = abs(end_z - z)
    step = min(_predicted(direction * slope, bend, target), cap, room)
    step = min(step, max(_until_bound(walk.problem, here, column, direction * tangent), LEAST))
    if room - step < 0.1 * step:
        step = room
    best: Fit | None = None
    for _ in range(TRIALS):
        there = end_z if step >= room else z + direction * step
        new = _refitted(walk, here, column, there, tangent, count, memo)
        if new is None:
            step *= 0.25
            continue
        best = new
        rise = new.objective - here.objective
        if rise <= OVERSHOOT * target:
            break
        step *= min(max(np.sqrt(target / rise), 0.1), 0.7)
    return best


def _predicted(slope: float, bend: float, target: float) -> float:
    """The step after which a parabola with this slope and second derivative has risen by `target`."""
    if bend <= 0.0:
        return target / slope if slope > 0.0 else np.inf
    return float((-slope + np.sqrt(slope * slope + 2.0 * bend * target)) / bend)


def _until_bound(problem: Problem, here: Fit, column: int, tangent: Array) -> float:
    """The step after which, on the tangent, another unknown comes to its bound: there the profile has a kink."""
    space, z = problem.space, here.point.z
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(tangent > 0.0, (space.high - z) / tangent, (space.low - z) / tangent)
    room[(tangent == 0.0) | (np.arange(z.size) == column) | (room <= 0.0)] = np.inf
    return float(room.min())


def along(problem: Problem, fit: Fit, column: int) -> tuple[float, float, Array]:
    """Slope and second derivative of the profile with respect to z of its unknown, and how the others follow, (d,)."""
    g, h, free = curvature(problem, fit, column)
    tangent = np.zeros(g.size)
    tangent[column] = 1.0
    bend = float(h[column, column])
    if free.any():
        inner = h[np.ix_(free, free)]
        inner = inner + np.eye(len(inner)) * (1e-13 * max(float(np.trace(inner)), 1e-300))
        follow = -np.linalg.solve(inner, h[free, column])
        tangent[free] = follow
        bend = max(bend + float(h[column, free] @ follow), 0.0)
    return 2.0 * float(g[column]), 2.0 * bend, tangent


def _refitted(
    walk: Walk, here: Fit, column: int, there: float, tangent: Array, count: _Count, memo: Memo
) -> Fit | None:
    """The best fit with the unknown at `there`: begun on the tangent, then at the neighbor."""
    space = walk.problem.space

    def record(at: Array, error: SolveError) -> None:
        count.failures.append(failed(walk.problem, at, error))

    change = there - float(here.point.z[column])
    neighbor = here.point.z.copy()
    neighbor[column] = there
    predicted = np.clip(here.point.z + change * tangent, space.low, space.high)
    predicted[column] = there
    for start in (predicted, neighbor):
        count.refits += 1
        try:
            found = refit(walk.problem, start, here.psi, walk.degrees, column, walk.how, memo, record)
        except SolveError as error:
            record(start, error)
            count.reason = error.reason
            found = None
        else:
            if found is None:
                count.reason = "the other unknowns found no best place"
        if found is not None:
            return found
        count.failed += 1
    return None
