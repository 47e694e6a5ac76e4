"""Draws with the marginals of the profiles and the dependence of the Laplace draws.

An unknown without a prior has the quantiles of its signed root (Barndorff-Nielsen 1986), so that an interval of draws
is the interval of the profile, covers as it does, and does not depend on the unit or the logarithm it is declared in.

An unknown with a prior has the posterior's own density, exp(-rise/2)/sqrt(det H) per declared unit, H the information
on the others there (Tierney and Kadane 1986, eq. 4.1; with estimated noise Student's t instead of the exponential): it
is right up to terms of the order n^(-3/2), and where the data say nothing, draws follow the prior. So has one that is
structurally not identified: a flat profile has no quantiles, and an even density over the bounds is what was declared.

Both are the Laplace ones where the profile is a parabola. Profiles end at bounds, so draws do.

Dependence is that of a copula: each unknown keeps the ranks of its Laplace draws, and rank i of n gets the quantile
(i + 1/2)/n. Where the Laplace approximation is much wider than a marginal, because the data do not see some direction,
ranks are those of a Gaussian with the information of the data and, along that direction, the widths of the marginals.
An approximation: a bent ridge between unknowns is only followed as far as their marginals straighten it.
"""

from collections.abc import Collection, Mapping

import numpy as np
from scipy.interpolate import PchipInterpolator

from physics_twin.arrays import Array
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.path import End
from physics_twin.estimation.profile_likelihood.profile import Profile, in_si
from physics_twin.estimation.profile_likelihood.refit import Fit, curvature

GRID = 4000
"""Points on which a marginal is summed up."""
WIDER = 4.0
"""Variance of the Laplace approximation over that of a marginal from which its ranks are not used."""
FIRST_RIDGE = 1e-6
"""Precision, in units of a marginal's own, that an unseen direction has to begin with."""
SWEEPS = 100
TAIL = 1e-7
"""Chance beyond which a tail is cut off."""
SKEW = 1.5
"""So much farther a density is summed up: under a log-normal prior the signed root is not normal."""


def with_marginals(
    problem: Problem,
    mode: Fit,
    profiles: Mapping[int, Profile],
    flat: Collection[int],
    draws: Array,
    rng: np.random.Generator,
) -> Array:
    """Draws (n, n_parameters) SI with the marginals of the profiles; columns without a profile stay as they are.

    flat: columns that are structurally not identified.
    """
    found = draws.copy()
    even = (np.arange(len(draws)) + 0.5) / len(draws)
    quantiles = {}
    for column, profile in profiles.items():
        known_before = problem.columns[column].parameter.prior is not None
        z, cumulative = (by_density if known_before or column in flat else by_root)(problem, profile)
        quantiles[column] = np.interp(even, cumulative, z)
    ranked = _ranked(problem, mode, quantiles, draws, rng)
    for column, sorted_z in quantiles.items():
        order = np.argsort(np.argsort(ranked[:, column], kind="stable"), kind="stable")
        x = in_si(problem, column, sorted_z[order])
        found[:, column] = np.clip(x, problem.space.x_low[column], problem.space.x_high[column])
    return found


def _ranked(
    problem: Problem, mode: Fit, quantiles: Mapping[int, Array], draws: Array, rng: np.random.Generator
) -> Array:
    """(n, >= d) whose columns have the ranks that the draws shall have: Laplace draws, or see the module's text."""
    d = mode.point.z.size
    h = curvature(problem, mode, 0)[1]
    width = np.array([np.std(quantiles[j]) if j in quantiles else np.inf for j in range(d)])
    known = np.isfinite(width) & (width > 0.0)
    scale = np.where(known, width, 1.0 / np.sqrt(np.maximum(np.diag(h), 1e-300)))
    h = h * np.outer(scale, scale)  # in standard deviations of the marginals
    ridge = np.where(known, FIRST_RIDGE, 0.0)
    wider = np.diag(np.linalg.inv(h + np.diag(ridge + FIRST_RIDGE)))
    if not (wider[known] > WIDER).any():
        return draws
    for _ in range(SWEEPS):
        covariance = np.linalg.inv(h + np.diag(ridge + FIRST_RIDGE))
        ridge = np.where(known, np.maximum(ridge * np.diag(covariance), FIRST_RIDGE), 0.0)
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(rng.standard_normal((len(draws), d)) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T)


def by_root(problem: Problem, profile: Profile) -> tuple[Array, Array]:
    """Search coordinates z (n,) and the chance of a smaller value (n,), from the signed root."""
    grid = np.linspace(*_range(problem, profile), GRID)
    t = profile.scale.deviation(profile.root_between(grid))
    lower = t[0] < 0.0  # from the nearer tail, which keeps its digits
    own = profile.scale.probabilities(t if lower else -t)
    cumulative = np.maximum.accumulate(own - own[0] if lower else own[0] - own)
    return _whole(grid, cumulative)


def by_density(problem: Problem, profile: Profile) -> tuple[Array, Array]:
    """The same, from the posterior's own density."""
    grid = np.linspace(*_range(problem, profile, SKEW), GRID)
    t = profile.scale.deviation(profile.root_between(grid))
    minus_log = profile.scale.minus_log_density(t) + _volume(profile, grid)
    x = in_si(problem, profile.column, grid)
    density = np.exp(minus_log.min() - minus_log)
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(x)
    cumulative = np.append(0.0, np.cumsum(np.abs(steps)))
    return _whole(grid, cumulative)


def _whole(grid: Array, cumulative: Array) -> tuple[Array, Array]:
    if not cumulative[-1] > 0.0:  # bounds that leave no room
        return grid[[0, -1]], np.array([0.0, 1.0])
    return grid, cumulative / cumulative[-1]


def _volume(profile: Profile, grid: Array) -> Array:
    """`Profile.volume` on a grid, constant beyond the points."""
    if profile.z.size < 2:
        return np.zeros(grid.size)
    between = PchipInterpolator(profile.z, profile.volume)
    return np.asarray(between(np.clip(grid, profile.z[0], profile.z[-1])))


def _range(problem: Problem, profile: Profile, farther: float = 1.0) -> tuple[float, float]:
    """From where to where a marginal is summed up: beyond the last points only where the objective was rising."""
    space, far = problem.space, farther * profile.scale.root(-profile.scale.quantile(TAIL))
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
