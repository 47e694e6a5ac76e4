"""An estimate from an ensemble: a point to report, draws, what the data told.

There is no mode to report: the point is that of the mean coordinates of the members, which lies within the bounds, and
is simulated again. Sensitivities are the regression of the predicted data on the unknowns over the members; where the
members are fewer than the unknowns it is the smallest one that fits, which is silent about directions that no member
took.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import CalibrationError, SolveError
from physics_twin.estimation.correlation import Correlation
from physics_twin.estimation.ensemble_smoother.prior_map import PriorMap
from physics_twin.estimation.ensemble_smoother.whitening import signal_of, whitening
from physics_twin.estimation.evaluation import Point, evaluate
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.noise import Levels
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.residual_series import examine_all
from physics_twin.estimation.verdicts import bound_text
from physics_twin.posterior import FailedSimulation, Identification, Verdict

SAME = 1e-8
"""Singular values below this share of the largest are not regressed on."""
NEAREST = 5
"""Members near the mean that are tried where the mean itself cannot be simulated."""


@dataclass(frozen=True)
class Members:
    """What is left of an ensemble."""

    v: Array
    """(N, n_variables)"""
    residual: Array
    """(N, n_data) SI"""


def center(problem: Problem, prior: PriorMap, v: Array, memo: Memo) -> Point:
    """The point at the mean of v (N, n_variables), or at the member nearest to it where that fails.

    Raises CalibrationError where none of these can be simulated.
    """
    mean = v.mean(axis=0)
    order = np.argsort(((v - mean) ** 2).sum(axis=1), kind="stable")
    reason = ""
    for at in (mean, *v[order[:NEAREST]]):
        x = prior.values(at[None])[0][0]
        try:
            return evaluate(problem, problem.space.z(x), None, memo)
        except SolveError as error:
            reason = reason or error.reason
    raise CalibrationError(f"neither the mean of the members nor those next to it can be simulated: {reason}")


def posterior_of(
    problem: Problem,
    prior: PriorMap,
    members: Members,
    point: Point,
    levels: Levels,
    rng: np.random.Generator,
    *,
    converged: bool,
    message: str,
    failures: tuple[FailedSimulation, ...],
    warnings: tuple[str, ...],
    diagnostics: xr.Dataset,
    effective_draws: float,
) -> Estimate:
    """The estimate."""
    n, d = len(members.v), len(problem.columns)
    x, _ = prior.values(members.v)
    whiten = whitening(problem, levels.sd, signal_of(problem, members.residual, x).mean(axis=0), point.extra)
    white = whiten(members.residual)
    anomalies = (white - white.mean(axis=0)) / np.sqrt(n - 1.0)
    correlations = examine_all(problem, whiten(point.residual), anomalies.T)
    wide, wide_spreads = prior.values(widened(members.v, correlations))
    sd = _draw_levels(problem, levels, correlations, n, rng)
    hypers = np.array([h.parameter.value for h in problem.hypers], dtype=float)
    hypers[list(prior.spreads)] = prior.values(members.v.mean(axis=0)[None])[1][0]
    shaping = np.tile(hypers, (n, 1))
    shaping[:, list(prior.spreads)] = wide_spreads
    jacobian = regression(problem.space.z(x), members.residual)
    white_jacobian = whiten(jacobian.T).T
    return Estimate(
        point=replace(point, jacobian=jacobian),
        levels=levels,
        draws=np.concatenate([wide, sd, shaping], axis=1),
        covariance=_covariance(prior, members, levels),
        widened=np.cov(problem.space.z(wide), rowvar=False).reshape(d, d),
        correlations=correlations,
        at_bound={},
        information=white_jacobian.T @ white_jacobian,
        converged=converged,
        message=message,
        failures=failures,
        warnings=warnings,
        hypers=hypers,
        effective_draws=effective_draws,
        diagnostics=diagnostics,
        verdicts=_on_a_bound(problem, x),
    )


def _on_a_bound(problem: Problem, x: Array) -> dict[str, Verdict]:
    """Verdicts on unknowns that all members x (N, d) have at one bound: a spread of zero says nothing else."""
    space, found = problem.space, {}
    for column, own, low, high in zip(problem.columns, x.T, space.x_low, space.x_high, strict=True):
        if own.min() == own.max() and own[0] in (low, high):
            text = bound_text(column.parameter, "lower" if own[0] == low else "upper")
            found[column.name] = Verdict(column.name, Identification.AT_BOUND, text, 0.0, ())
    return found


def widened(v: Array, correlations: Mapping[str, Correlation]) -> Array:
    """Members (N, n_variables) moved apart where residuals are correlated.

    The sandwich of `estimation.correlation` in the space of the members: their anomalies times the root of
    I + excess.
    """
    if not any(c.significant for c in correlations.values()):
        return v
    excess = sum((c.excess for c in correlations.values()), np.zeros((len(v), len(v))))
    values, vectors = np.linalg.eigh(np.eye(len(v)) + excess)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    mean = v.mean(axis=0)
    return np.asarray(mean + root @ (v - mean))


def regression(z: Array, residual: Array) -> Array:
    """d residual / d z (n_data, d) over members z (N, d), residual (N, n_data): least squares, smallest where several.

    In standard deviations of the members, so that the smallest is so for parameters known well and badly alike.
    """
    a, r = z - z.mean(axis=0), residual - residual.mean(axis=0)
    scale = a.std(axis=0)
    scale = np.where(scale > 0.0, scale, 1.0)
    slope = np.linalg.lstsq(a / scale, r, rcond=SAME)[0]
    return np.asarray((slope / scale[:, None]).T)


def _covariance(prior: PriorMap, members: Members, levels: Levels) -> Array:
    """Of the members (n_parameters, n_parameters), SI; noise levels from their degrees of freedom."""
    x, spreads = prior.values(members.v)
    d, k, n_hypers = x.shape[1], levels.sd.size, prior.n_hypers
    found = np.zeros((d + k + n_hypers,) * 2)
    rows = np.array([*range(d), *(d + k + s for s in prior.spreads)], dtype=np.intp)
    found[np.ix_(rows, rows)] = np.cov(np.concatenate([x, spreads], axis=1), rowvar=False)
    for g in range(k):
        found[d + g, d + g] = levels.sd[g] ** 2 / (2.0 * levels.degrees[g])
    return found


def _draw_levels(
    problem: Problem, levels: Levels, correlations: Mapping[str, Correlation], n: int, rng: np.random.Generator
) -> Array:
    """Noise levels (n, n_groups), scaled inverse chi-square, with fewer degrees where residuals are correlated."""
    found = np.empty((n, levels.sd.size))
    for g in range(levels.sd.size):
        series = {c.series for c in problem.channels if c.group == g}
        share = sum(correlations[s].variance_samples for s in series) / sum(correlations[s].n_samples for s in series)
        degrees = max(float(levels.degrees[g]) * share, 1.0)
        found[:, g] = levels.sd[g] * np.sqrt(degrees / rng.chisquare(degrees, size=n))
    return found
