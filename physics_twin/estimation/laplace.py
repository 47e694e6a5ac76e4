"""Laplace draws: the Gaussian (with estimated noise: the multivariate t) that the posterior looks like at its mode.

Unknowns are drawn in their declared scale and cut off at their bounds; those with a log-normal prior are drawn in their
logarithm, so that a parameter that the data do not see keeps its prior exactly. At an active bound the misfit still
falls beyond the bound; the Gaussian is then centered outside and its tail inside is what is drawn (one-sided).

With estimated noise each draw has its own noise levels, scaled inverse chi-square, and its own covariance; the pair is
drawn and rejected together where bounds cut, so that a linear model gives exactly the (truncated) multivariate t.
Correlated residuals widen the covariance (correlation.py) and lower the degrees of freedom of the noise.

Letters: A = J^T W J + P information in search coordinates y, C C^T = A^{-1}, U = W^{1/2} J C, M = I + excess of
correlation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation import noise
from physics_twin.estimation.correlation import Correlation
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.many_draws import Shared, draw_many
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.residual_series import examine_all
from physics_twin.estimation.truncated_normal import draw_within

WIDEST = 5.0
"""Standard deviation, in widths of the bounds, that an unknown which nothing determines may have: even over them."""
LOOSEST = 100.0
"""The same for unknowns without bounds, in modest changes."""
MANY = 40
"""Unknowns beyond which draws are made as in many_draws.py: a root per draw, and Gibbs sweeps, become too slow."""


@dataclass(frozen=True)
class Laplace:
    """Draws and what they were made of."""

    draws: Array
    """(n_draws, d + n_groups) SI"""
    covariance: Array
    """(d + n_groups, ...) SI, classical"""
    widened: Array
    """(d, d) in search coordinates"""
    correlations: Mapping[str, Correlation]
    at_bound: Mapping[str, str]
    information: Array
    """(d, d) of the data in search coordinates"""
    warnings: tuple[str, ...]


def laplace(problem: Problem, point: Point, levels: noise.Levels, n_draws: int, rng: np.random.Generator) -> Laplace:
    """Draw from the Laplace approximation at `point`."""
    space, d = problem.space, point.z.size
    w = noise.weights(problem, levels.sd)
    j, r = point.jacobian * w[:, None], point.residual * w
    information = j.T @ j
    prior = point.prior_jacobian.T @ point.prior_jacobian
    floor = _floor(space.low - point.z, space.high - point.z)
    root = _inverse_root((information + prior)[None], floor)[0]
    classical = root @ root.T
    correlations = examine_all(problem, r, j @ root)
    m = np.eye(d) + sum((c.excess for c in correlations.values()), np.zeros((d, d)))
    widened = root @ m @ root.T

    n_groups = levels.sd.size
    degrees = np.array([_degrees(problem, g, levels, correlations) for g in range(n_groups)])
    by_group = [j[problem.groups == g].T @ j[problem.groups == g] for g in range(n_groups)]
    slope_by_group = [j[problem.groups == g].T @ r[problem.groups == g] for g in range(n_groups)]
    given = problem.groups < 0
    fixed_information = j[given].T @ j[given] + prior
    at_bound = _at_bound(problem, point)
    fixed_slope = _rest_of_slope(problem, point, j[given].T @ r[given], slope_by_group, at_bound)
    m_root = _root(m)
    # -2 log density of ln x has the Jacobian's -2 ln x, whose half slope is -scale.
    fixed_slope = fixed_slope - np.where(space.log_normal, space.scale, 0.0)
    low, high = _limits(problem, point)

    shared = Shared(fixed_information, fixed_slope, by_group, slope_by_group, levels.sd, degrees)
    if d > MANY:
        sd, y = draw_many(shared, root, m_root, low, high, n_draws, rng)
    else:
        sd, y = _draw_few(shared, m_root, floor, low, high, n_draws, rng)
    with np.errstate(over="ignore"):
        x = np.where(
            space.log_normal & space.log,
            point.x * np.exp(np.where(space.log_normal & space.log, space.scale * y, 0.0)),
            point.x + space.slope(point.x) * y,
        )
    x = np.clip(x, space.x_low, space.x_high)
    full = np.zeros((d + n_groups,) * 2)
    slope = space.slope(point.x)
    full[:d, :d] = classical * np.outer(slope, slope)
    for k in range(n_groups):
        full[d + k, d + k] = levels.sd[k] ** 2 / (2.0 * levels.degrees[k])
    warnings = []
    for k, group in enumerate(problem.noise_groups):
        low_sd, high_sd = group.parameter.bounds
        if not low_sd <= levels.sd[k] <= high_sd:
            warnings.append(
                f"{group.parameter.name} is {group.parameter.format(float(levels.sd[k]))}, far from its starting value "
                f"{group.parameter.format(group.parameter.value)}: check the channel's unit and the model"
            )
    return Laplace(
        draws=np.concatenate([x, sd], axis=1),
        covariance=full,
        widened=widened,
        correlations=correlations,
        at_bound=at_bound,
        information=information,
        warnings=tuple(warnings),
    )


def _draw_few(
    shared: Shared, m_root: Array, floor: Array, low: Array, high: Array, n_draws: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Noise levels (n_draws, n_groups) and y (n_draws, d), each draw with the root of its own information."""
    d, n_groups = shared.fixed_slope.size, shared.sd.size

    def propose(n: int) -> tuple[Array, Array, Array]:
        """Noise levels (n, n_groups), centers (n, d) and roots (n, d, d) of n Gaussians."""
        sd = np.empty((n, n_groups))
        a = np.broadcast_to(shared.fixed_information, (n, d, d)).copy()
        g = np.broadcast_to(shared.fixed_slope, (n, d)).copy()
        for k in range(n_groups):
            ratio = rng.chisquare(shared.degrees[k], size=n) / shared.degrees[k]  # sigma_hat^2 / sigma^2
            sd[:, k] = shared.sd[k] / np.sqrt(ratio)
            a += ratio[:, None, None] * shared.by_group[k]
            g += ratio[:, None] * shared.slope_by_group[k]
        if n_groups == 0:
            c = np.broadcast_to(_inverse_root(a[:1], floor), (n, d, d))
        else:
            c = _inverse_root(a, floor)
        center = -np.einsum("nij,nkj,nk->ni", c, c, g)
        return sd, center, c @ m_root

    return draw_within(propose, low, high, n_draws, rng)


def _floor(down: Array, up: Array) -> Array:
    """(d,) widest standard deviation of each unknown: the even distribution over bounds, or something finite."""
    width = up - down
    return np.where(np.isfinite(width), WIDEST * width, LOOSEST)


def _inverse_root(a: Array, widest: Array) -> Array:
    """C with C C^T = A^{-1} for each a (n, d, d), with no standard deviation beyond `widest`.

    Directions that carry information are unchanged to rounding: only eigenvalues below one, in units of the widest,
    are lifted.
    """
    scaled = a * np.outer(widest, widest)
    # Equilibrated, so that a rate of 1e-5 beside a temperature of 1e3 does not cost digits.
    diagonal = np.sqrt(np.maximum(np.einsum("nii->ni", scaled), 1.0))
    values, vectors = np.linalg.eigh(scaled / (diagonal[:, :, None] * diagonal[:, None, :]))
    if (values[:, 0] < 1e-9).any():
        # Nearly singular somewhere: lift there, in the plain scale.
        values, vectors = np.linalg.eigh(scaled)
        values = np.maximum(values, 1.0)
        inverse = np.einsum("nij,nj,nkj->nik", vectors, 1.0 / values, vectors) * np.outer(widest, widest)
    else:
        inner = np.einsum("nij,nj,nkj->nik", vectors, 1.0 / values, vectors)
        inverse = inner / (diagonal[:, :, None] * diagonal[:, None, :]) * np.outer(widest, widest)
    # A root that changes smoothly from draw to draw, so that the correction for correlation fits all of them.
    scale = np.sqrt(np.einsum("nii->ni", inverse))
    unit = inverse / (scale[:, :, None] * scale[:, None, :])
    values, vectors = np.linalg.eigh(unit)
    half = np.einsum("nij,nj,nkj->nik", vectors, np.sqrt(np.maximum(values, 0.0)), vectors)
    return np.asarray(scale[:, :, None] * half)


def _root(m: Array) -> Array:
    values, vectors = np.linalg.eigh(m)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _degrees(problem: Problem, group: int, levels: noise.Levels, correlations: Mapping[str, Correlation]) -> float:
    """Degrees of freedom of a noise level: fewer where its residuals are correlated."""
    series = {c.series for c in problem.channels if c.group == group}
    share = sum(correlations[s].variance_samples for s in series) / sum(correlations[s].n_samples for s in series)
    return max(float(levels.degrees[group]) * share, 1.0)


def _at_bound(problem: Problem, point: Point) -> dict[str, str]:
    found = {}
    for name, z, low, high in zip(problem.names, point.z, problem.space.low, problem.space.high, strict=True):
        if z <= low:
            found[name] = "lower"
        elif z >= high:
            found[name] = "upper"
    return found


def _rest_of_slope(
    problem: Problem, point: Point, given: Array, by_group: list[Array], at_bound: Mapping[str, str]
) -> Array:
    """Half slope of -2 log posterior apart from the noise groups; what is left over at free unknowns is zero.

    It is zero at a minimum; dropping the remainder keeps the center of the draws on the mode.
    """
    rest = given + point.prior_jacobian.T @ point.prior_residual
    total = rest + sum(by_group, np.zeros(point.z.size))
    free = np.array([name not in at_bound for name in problem.names])
    return np.where(free, rest - total, rest)


def _limits(problem: Problem, point: Point) -> tuple[Array, Array]:
    """Bounds in the coordinates of the draws."""
    space = problem.space
    slope = space.slope(point.x)
    in_log: NDArray[np.bool_] = space.log_normal & space.log
    low = np.where(in_log, space.low - point.z, (space.x_low - point.x) / slope)
    high = np.where(in_log, space.high - point.z, (space.x_high - point.x) / slope)
    return np.minimum(low, 0.0), np.maximum(high, 0.0)
