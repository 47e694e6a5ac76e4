"""Degrees of freedom of each unknown where noise levels are estimated, and how correlated residuals widen it.

Satterthwaite (1946): the variance of an unknown is a sum of parts, each proportional to the variance of a noise group;
nu = 1 / sum(share_g^2 / nu_g) makes Student's t of it. One group and no prior give nu_g itself, exactly.
"""

import numpy as np

from physics_twin.estimation import noise
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.profile import Scale

RIDGE = 1e-12
"""Share of the largest information that keeps an inverse finite."""


def scales(problem: Problem, estimate: Estimate) -> list[Scale]:
    """The scale of the deviations of each column."""
    point, levels = estimate.point, estimate.levels
    j = point.jacobian * noise.weights(problem, levels.sd)[:, None]
    total = j.T @ j + point.prior_jacobian.T @ point.prior_jacobian
    spread = np.sqrt(np.maximum(np.diag(total), 1e-300))
    c = np.linalg.pinv(total / np.outer(spread, spread), rcond=RIDGE, hermitian=True) / np.outer(spread, spread)
    variance = np.maximum(np.diag(c), 1e-300)
    squares = np.zeros(variance.size)
    fewer = np.zeros(variance.size)
    for g, degrees in enumerate(levels.degrees):
        own = j[problem.groups == g]
        share = np.diag(c @ (own.T @ own) @ c) / variance
        squares += share**2 / degrees
        fewer += share**2 / max(degrees * _independent(problem, estimate, g), 1.0)
    with np.errstate(divide="ignore"):
        of_levels, effective = 1.0 / squares, 1.0 / fewer
    d = point.z.size
    classical = np.sqrt(np.diag(estimate.covariance)[:d])
    widened = np.sqrt(np.diag(estimate.widened)) * problem.space.slope(point.x)
    significant = any(found.significant for found in estimate.correlations.values())
    wider = np.maximum(widened / classical, 1.0) if significant else np.ones(d)
    return [Scale(float(a), float(b), float(k)) for a, b, k in zip(of_levels, effective, wider, strict=True)]


def _independent(problem: Problem, estimate: Estimate, group: int) -> float:
    """Share of the samples of a noise group that tell independently how large it is."""
    series = {c.series for c in problem.channels if c.group == group}
    found = [estimate.correlations[s] for s in series if s in estimate.correlations]
    total = sum(f.n_samples for f in found)
    return sum(f.variance_samples for f in found) / total if total else 1.0
