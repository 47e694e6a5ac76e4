"""Draws with the marginals of the profiles and the dependence of the Laplace draws.

The marginal density of an unknown is that of its deviation over the volume that the others have there,
exp(-rise/2)/sqrt(det H), per declared unit (Tierney and Kadane 1986, eq. 4.1; with estimated noise Student's t instead
of the exponential). It is the posterior's own up to terms of the order n^(-3/2), it is the Laplace one wherever
the profile is a parabola, and it is defined where a profile is flat, which a quantile of the signed root is not.
Profiles end at bounds, so draws do.

Dependence is that of a copula: each unknown keeps the ranks of its Laplace draws, and rank i of n gets the quantile
(i + 1/2)/n. An approximation: a bent ridge between unknowns is only followed as far as their marginals straighten it.
"""

from collections.abc import Mapping

import numpy as np
from scipy.interpolate import PchipInterpolator

from physics_twin.arrays import Array
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.path import End
from physics_twin.estimation.profile_likelihood.profile import Profile, in_si

GRID = 4000
"""Points on which a marginal is summed up."""
TAIL = 1e-7
"""Chance beyond which a tail is cut off."""


def with_marginals(problem: Problem, profiles: Mapping[int, Profile], draws: Array) -> Array:
    """Draws (n, n_parameters) SI with the marginals of the profiles; columns without a profile stay as they are."""
    found = draws.copy()
    for column, profile in profiles.items():
        order = np.argsort(np.argsort(draws[:, column], kind="stable"), kind="stable")
        u = (order + 0.5) / len(draws)
        z, cumulative = marginal(problem, profile)
        x = in_si(problem, column, np.interp(u, cumulative, z))
        found[:, column] = np.clip(x, problem.space.x_low[column], problem.space.x_high[column])
    return found


def marginal(problem: Problem, profile: Profile) -> tuple[Array, Array]:
    """Search coordinates z (n,) and the chance of a smaller value (n,)."""
    grid = np.linspace(*_range(problem, profile), GRID)
    t = profile.scale.deviation(profile.root_between(grid))
    minus_log = profile.scale.minus_log_density(t) + _volume(profile, grid)
    x = in_si(problem, profile.column, grid)
    density = np.exp(minus_log.min() - minus_log)
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(x)
    cumulative = np.append(0.0, np.cumsum(np.abs(steps)))
    if not cumulative[-1] > 0.0:  # bounds that leave no room
        return grid[:2], np.array([0.0, 1.0])
    return grid, cumulative / cumulative[-1]


def _volume(profile: Profile, grid: Array) -> Array:
    """`Profile.volume` on a grid, constant beyond the points."""
    if profile.z.size < 2:
        return np.zeros(grid.size)
    between = PchipInterpolator(profile.z, profile.volume)
    return np.asarray(between(np.clip(grid, profile.z[0], profile.z[-1])))


def _range(problem: Problem, profile: Profile) -> tuple[float, float]:
    """From where to where a marginal is summed up: beyond the last points only where the objective was rising."""
    space, far = problem.space, profile.scale.root(-profile.scale.quantile(TAIL))
    found = []
    for direction, side in zip((-1, 1), profile.sides, strict=True):
        edge = 0 if direction < 0 else -1
        z = float(profile.z[edge])
        if side.end is End.THRESHOLD:
            ahead = abs(float(profile.root_between(np.array([z + direction]))[0] - profile.root[edge]))
            missing = far - abs(float(profile.root[edge]))
            z += direction * max(missing, 0.0) / max(ahead, 1e-12)
        bound = float(space.low[profile.column] if direction < 0 else space.high[profile.column])
        found.append(max(z, bound) if direction < 0 else min(z, bound))
    return found[0], found[1]
