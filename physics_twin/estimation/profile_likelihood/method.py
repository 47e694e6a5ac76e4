"""Profile likelihood: how much the fit gets worse when an unknown is held at another value and all others may follow.

Raue et al. (2009, Bioinformatics 25:1923) for the profiles and what they say about identifiability, Venzon and
Moolgavkar (1988, Applied Statistics 37:87) for intervals from them, Kreutz et al. (2013, FEBS Journal 280:2564) for
their use.
What is profiled is the posterior, priors included: what a person declared counts.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from physics_twin.checkpoints import Memo
from physics_twin.errors import CalibrationError, unknown_name
from physics_twin.estimation.evaluation import Differences
from physics_twin.estimation.gauss_newton import GaussNewton
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.degrees import scales
from physics_twin.estimation.profile_likelihood.judgment import Evidence, judged
from physics_twin.estimation.profile_likelihood.marginals import with_marginals
from physics_twin.estimation.profile_likelihood.path import End, Side, Walk, side
from physics_twin.estimation.profile_likelihood.profile import Scale, joined, lift_at
from physics_twin.estimation.profile_likelihood.record import recorded
from physics_twin.estimation.profile_likelihood.refit import Fit, objective, refit
from physics_twin.estimation.trust_region import NOISE
from physics_twin.estimation.work import Work
from physics_twin.posterior import Identification

MARGIN = 1.7
"""A profile goes on to this multiple of the rise that the largest probability asks for: 0.99 for 0.95."""
LOWER = 0.02
"""Fall below the mode's objective, beyond the noise of an integrator, from which the fit begins anew there."""
ROUNDS = 3
"""Times that the fit may begin anew."""
STILL_LOWER = (
    "the profiles still find a better fit than the one reported; allow more starts, fit=GaussNewton(starts=20)"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProfileLikelihood:
    """Intervals that respect bounds and curvature, and a verdict for each unknown, from profiles of the posterior.

    fit: finds the mode first. parameters: names to profile; all but noise levels by default. probabilities: of the
        intervals in `diagnostics`, each above 0 and below 1. steps: about how many points a side has until the largest
        probability is left behind. most_steps: at most how many, where steps have to be short.

    Draws have the ranks of the Laplace draws and marginals from the profiles. Without a prior, quantiles are those of
    the signed root of the rise, so intervals of draws are those of likelihood ratios: they do not depend on the unit
    or the logarithm in which an unknown is declared. With a prior, or where nothing is identified, the marginal is
    the posterior's own density in declared units, by the approximation of Tierney and Kadane (1986). Intervals in
    `diagnostics` and in verdicts are read from the same: likelihood ratios without a prior, quantiles with one. All of
    this approximates in dependence; where all profiles are parabolas they are Laplace draws. Means and members of a
    population are profiled with its spread at its mode; with a population all draws are the Laplace draws, which know
    how uncertain the spread is. An unknown that trades with another is profiled together with it, or its draws leave
    those of the other behind: name both in `parameters`.

    `posterior.diagnostics`, in SI: `value`, `rise` (of -2 log posterior) and `rise_of_data` (its part without priors)
    over (profile, point), NaN behind the last point; `others` (profile, point, unknown): all unknowns on the path;
    `interval` and `interval_end` (profile, probability, side): where it ends, and whether by "crossing" the
    `threshold` (with a prior: the rise at the quantile), at a "bound" (with a prior: one that cuts the density), not at
    all ("open"), or because refits "failed"; `end` (profile, side): why the profile
    ends: "threshold", "bound", "limit", "failed" with its `end_reason`, "steps"; `n_refits`, `n_failed`; `n_points`;
    `lift`: by how much the objective would fall beyond the bound of a mode that sits on one.

    Raises CalibrationError for numbers out of range, UnknownNameError for a name that is not among the unknowns.
    """

    fit: GaussNewton = field(default_factory=GaussNewton)
    parameters: Sequence[str] | None = None
    probabilities: Sequence[float] = (0.5, 0.8, 0.95)
    steps: int = 8
    most_steps: int = 60

    def __post_init__(self) -> None:
        """Check the numbers."""
        if isinstance(self.parameters, str):
            object.__setattr__(self, "parameters", (self.parameters,))
        elif self.parameters is not None:
            object.__setattr__(self, "parameters", tuple(self.parameters))
        object.__setattr__(self, "probabilities", tuple(sorted(self.probabilities)))
        if not self.probabilities or not all(0.0 < p < 1.0 for p in self.probabilities):
            raise CalibrationError(
                f"probabilities are above 0 and below 1, such as (0.5, 0.95), not {self.probabilities}"
            )
        if not 3 <= self.steps <= self.most_steps:
            raise CalibrationError(
                f"steps is at least 3 and at most most_steps, not {self.steps} and {self.most_steps}"
            )
        if self.parameters is not None and not self.parameters:
            raise CalibrationError("parameters names nothing to profile; leave it out to profile all unknowns")

    def estimate(self, problem: Problem, rng: np.random.Generator, work: Work) -> Estimate:
        """The mode, the profiles, draws and verdicts."""
        columns = self._columns(problem)
        estimate = self.fit.estimate(problem, rng, work)
        work.preview(estimate)
        anew = 0
        while True:
            walk = self._walk(problem, estimate, work.memo("mode"))
            jobs = [(walk, column, direction) for column in columns for direction in (-1, 1)]
            sides = work.run("profiles" if not anew else f"profiles-again-{anew}", side, jobs)
            lowest = min((f for s in sides for f in s.fits), key=lambda f: f.objective, default=walk.mode)
            if walk.mode.objective - lowest.objective <= walk.lower or anew == ROUNDS:
                break
            anew += 1
            _log.info("a profile found a better fit; beginning anew there")
            estimate = replace(self.fit, starts=1).estimate(_begun_at(problem, lowest), rng, work)
        scale = scales(problem, estimate)
        profiles = {
            column: joined(walk, column, scale[column], sides[2 * i], sides[2 * i + 1])
            for i, column in enumerate(columns)
        }
        evidence = Evidence(problem, estimate, walk.mode, profiles, self.probabilities[-1], work.memo("advice"))
        found = judged(evidence)
        open_ones = {j for j, p in profiles.items() if found[p.name].identification is Identification.STRUCTURALLY_NOT}
        # Members of a population cannot be moved to their profiles, so nothing is: where an unknown and the members are
        # known by their ratio alone, moving it without them leaves the data behind.
        draws = estimate.draws
        if not problem.column_groups:
            draws = with_marginals(problem, walk.mode, profiles, open_ones, draws, rng)
        lower = any(s.end is End.LOWER for s in sides)
        return replace(
            estimate,
            converged=estimate.converged and not lower,
            draws=draws,
            origin=None,
            verdicts=found,
            diagnostics=recorded(problem, list(profiles.values()), self.probabilities),
            failures=(*estimate.failures, *(f for s in sides for f in s.failures)),
            message="; ".join([*([STILL_LOWER] if lower else []), estimate.message, _said(sides), *_anew(anew)]),
            warnings=(*estimate.warnings, *_warnings(problem, sides)),
        )

    def _columns(self, problem: Problem) -> list[int]:
        if self.parameters is None:
            return list(range(len(problem.columns)))
        for name in self.parameters:
            if name in problem.parameters and name not in problem.names:
                raise CalibrationError(
                    f'"{name}" belongs to the noise or to a population and has no profile; it is at its best on every '
                    "profile of the others"
                )
            if name not in problem.names:
                raise unknown_name("unknown", name, problem.names)
        return [j for j, name in enumerate(problem.names) if name in self.parameters]

    def _walk(self, problem: Problem, estimate: Estimate, memo: Memo) -> Walk:
        """What all sides need to know."""
        how = Differences(self.fit.difference_step, True)
        samples = np.array([(problem.groups == g).sum() for g in range(estimate.levels.degrees.size)])
        degrees = np.minimum(estimate.levels.degrees, samples)
        psi = np.log(np.concatenate([estimate.levels.sd, estimate.hypers]))
        mode = Fit(estimate.point, psi, *objective(problem, estimate.point, psi, degrees))
        if not problem.plain:
            mode = refit(problem, estimate.point.z, psi, degrees, None, how, memo, lambda at, error: None) or mode
        scale = scales(problem, estimate)
        goals = np.array([_goals(problem, mode, j, s, self.probabilities[-1]) for j, s in enumerate(scale)])
        lower = LOWER + 10.0 * NOISE[1] * problem.n_data
        return Walk(problem, mode, degrees, goals, self.steps, self.most_steps, lower, how)


def _goals(problem: Problem, mode: Fit, column: int, scale: Scale, probability: float) -> tuple[float, float]:
    """Rises at which the two sides of a profile may end."""
    lift = lift_at(problem, mode, column)
    beyond = scale.probability(-abs(float(scale.deviation(np.sqrt(np.array(lift))))))
    needed = scale.root(scale.quantile((1.0 - probability) * (beyond if lift > 0.0 else 0.5)))
    goal = MARGIN * (needed**2 - lift)
    return goal, goal


def _begun_at(problem: Problem, fit: Fit) -> Problem:
    """The same problem, whose first start is another."""
    columns = tuple(
        replace(c, parameter=c.parameter.replace(value=(float(x), c.parameter.unit.si_text)))
        for c, x in zip(problem.columns, fit.point.x, strict=True)
    )
    return replace(problem, unknowns=replace(problem.unknowns, columns=columns))


def _said(sides: Sequence[Side]) -> str:
    refits, lost = sum(s.n_refits for s in sides), sum(s.n_failed for s in sides)
    text = f"{len(sides) // 2} profiles from {refits} refits"
    return text + (f", {lost} of which failed" if lost else "")


def _anew(n: int) -> list[str]:
    if not n:
        return []
    times = "once" if n == 1 else f"{n} times"
    return [f"the profiles found a better fit {times}, and all began anew there"]


def _warnings(problem: Problem, sides: Sequence[Side]) -> list[str]:
    """Profiles that ended before their time."""
    found = []
    for s in sides:
        name, word = problem.names[s.column], "lower" if s.direction < 0 else "upper"
        if s.end is End.FAILED:
            found.append(f"the profile of {name} ends early on its {word} side: {s.reason}")
        elif s.end is End.STEPS:
            found.append(f"the profile of {name} used up its steps on its {word} side; allow more with most_steps=")
        elif s.end is End.LOWER:
            found.append(f"the profile of {name} still finds a better fit on its {word} side; allow more starts")
    return found
