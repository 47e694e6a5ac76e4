"""Intervals of an unknown from its profile.

Without a prior: likelihood ratios, which depend neither on the unit nor on the logarithm in which it is declared. With
a prior: quantiles of the posterior's own density, the same that draws have. There a rise says little by itself: the
highest density of x under a log-normal prior lies at median exp(-sigma^2), and what is as unlikely on both sides of it
is not what holds as much probability on both sides.
"""

from dataclasses import replace

import numpy as np

from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.marginals import by_density
from physics_twin.estimation.profile_likelihood.profile import Interval, Profile, in_si


def interval(problem: Problem, profile: Profile, probability: float) -> Interval:
    """The interval of a probability; `ends` are those of the likelihood ratio in any case.

    So with a prior an end is "bound" where a bound cuts the profile, and the number is the quantile of what is left.
    """
    found = profile.ratio_interval(problem, probability)
    if not _by_quantiles(problem, profile):
        return found
    low, high = in_si(problem, profile.column, np.array(_quantiles(problem, profile, probability)))
    return replace(
        found,
        low=found.low if found.ends[0] == "open" else float(low),
        high=found.high if found.ends[1] == "open" else float(high),
    )


def rises_at_ends(problem: Problem, profile: Profile, probability: float) -> tuple[float, float]:
    """Rises of -2 log posterior at which the two sides end; infinite toward an active bound, without a prior."""
    if _by_quantiles(problem, profile):
        low, high = profile.root_between(np.array(_quantiles(problem, profile, probability))) ** 2 - profile.lift
        return float(low), float(high)
    low, high = (
        profile.scale.root(abs(t)) ** 2 - profile.lift if np.isfinite(t) else np.inf
        for t in profile.thresholds(probability)
    )
    return low, high


def _by_quantiles(problem: Problem, profile: Profile) -> bool:
    return problem.columns[profile.column].parameter.prior is not None


def _quantiles(problem: Problem, profile: Profile, probability: float) -> tuple[float, float]:
    z, cumulative = by_density(problem, profile)
    low, high = np.interp([0.5 - 0.5 * probability, 0.5 + 0.5 * probability], cumulative, z)
    return float(low), float(high)
