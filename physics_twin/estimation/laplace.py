"""Laplace draws: the Gaussian (with estimated noise: the multivariate t) that the posterior looks like at its mode.

Unknowns are drawn in their declared scale and cut off at their bounds; those with a log-normal prior are drawn in their
logarithm, so that a parameter that the data do not see keeps its prior exactly. At an active bound the misfit still
falls beyond the bound; the Gaussian is then centered outside and its tail inside is what is drawn (one-sided).

With estimated noise each draw has its own noise levels, scaled inverse chi-square, and its own covariance; the pair is
drawn and rejected together where bounds cut, so that a linear model gives exactly the (truncated) multivariate t.
Correlated residuals widen the covariance (correlation.py) and lower the degrees of freedom of the noise.

Where noise is not plain (it grows with the value, remembers, has outliers), samples are censored or the spread of a
population is estimated, psi is drawn from its marginal first: likelihood/shaped_draws.py. Limits weigh the draws:
likelihood/limited_draws.py.

Letters: A = J^T W J + P information in search coordinates y, C C^T = A^{-1}, U = W^{1/2} J C, M = I + excess of
correlation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation import noise
from physics_twin.estimation.correlation import Correlation
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.likelihood.local_model import drawn_in_logarithm
from physics_twin.estimation.likelihood.marginal import limits, marginal
from physics_twin.estimation.likelihood.quadratic import data_rows
from physics_twin.estimation.likelihood.shape_warnings import shape_warnings
from physics_twin.estimation.likelihood.shaped_draws import draw_shaped
from physics_twin.estimation.likelihood.terms import terms
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.residual_series import examine_all
from physics_twin.posterior.drawing.inverse_root import inverse_root, symmetric_root, widest_sd
from physics_twin.posterior.drawing.many_draws import Shared
from physics_twin.posterior.drawing.normal_at_mode import Declared, NormalAtMode


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
    effective_draws: float | None = None
    """Independent draws that tell as much; None where all do."""
    origin: NormalAtMode | None = None
    """What more draws can be made from; None where they came from a pool of weighted tries."""


def laplace(
    problem: Problem,
    point: Point,
    levels: noise.Levels,
    n_draws: int,
    rng: np.random.Generator,
    hypers: Array | None = None,
) -> Laplace:
    """Draw from the Laplace approximation at `point`. hypers (n_hypers,) SI: at the mode, where there are any."""
    if not problem.plain:
        return _shaped(problem, point, levels.sd, np.empty(0) if hypers is None else hypers, n_draws, rng)
    space, d = problem.space, point.z.size
    w = noise.weights(problem, levels.sd)
    j, r = point.jacobian * w[:, None], point.residual * w
    information = j.T @ j
    prior = point.prior_jacobian.T @ point.prior_jacobian
    floor = widest_sd(space.low - point.z, space.high - point.z)
    root = inverse_root((information + prior)[None], floor)[0]
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
    m_root = symmetric_root(m)
    # -2 log density of ln x has the Jacobian's -2 ln x, whose half slope is -scale.
    fixed_slope = fixed_slope - np.where(space.log_normal, space.scale, 0.0)
    low, high = limits(problem, point)

    origin = NormalAtMode(
        shared=Shared(fixed_information, fixed_slope, by_group, slope_by_group, levels.sd, degrees),
        root=root,
        m_root=m_root,
        widest=floor,
        low=low,
        high=high,
        declared=_declared(problem, point),
    )
    draws = origin.table(n_draws, rng)
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
        draws=draws,
        covariance=full,
        widened=widened,
        correlations=correlations,
        at_bound=at_bound,
        information=information,
        warnings=tuple(warnings),
        origin=origin,
    )


def _shaped(
    problem: Problem, point: Point, sd: Array, hypers: Array, n_draws: int, rng: np.random.Generator
) -> Laplace:
    """The same where noise or priors have a shape."""
    d, of_noise = point.z.size, problem.sample_noise
    psi = np.log(np.concatenate([sd, hypers]))
    around = marginal(problem, point)
    r, j = data_rows(of_noise, terms(of_noise, psi, around.local), around.local)
    root = around.given(psi).root
    correlations = examine_all(problem, r, j @ root)
    excess = sum((c.excess for c in correlations.values()), np.zeros((d, d)))
    drawn = draw_shaped(around, psi, symmetric_root(np.eye(d) + excess), n_draws, rng)
    full = np.zeros((d + psi.size,) * 2)
    slope = problem.space.slope(point.x)
    full[:d, :d] = drawn.covariance * np.outer(slope, slope)
    numbers = np.exp(psi)
    if psi.size:
        full[d:, d:] = drawn.pool.covariance * np.outer(numbers, numbers)
    return Laplace(
        draws=np.concatenate([_declared(problem, point).x(drawn.y), np.exp(drawn.psi)], axis=1),
        covariance=full,
        widened=drawn.covariance + root @ excess @ root.T,
        correlations=correlations,
        at_bound=_at_bound(problem, point),
        information=j.T @ j,
        warnings=shape_warnings(problem, psi, drawn.pool, drawn.effective / n_draws if drawn.limited else None),
        effective_draws=min(drawn.effective, float(n_draws)) if psi.size or drawn.limited else None,
    )


def _declared(problem: Problem, point: Point) -> Declared:
    """The way from coordinates of the draws to unknowns."""
    space = problem.space
    in_log = drawn_in_logarithm(problem)
    return Declared(point.x, in_log, space.scale, space.slope(point.x), space.x_low, space.x_high)


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
