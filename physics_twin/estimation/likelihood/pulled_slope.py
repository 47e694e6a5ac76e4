"""The slope of the misfit where the Jacobian is known through products only: one backward run per experiment."""

from collections.abc import Callable

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.likelihood.local_model import search_model
from physics_twin.estimation.likelihood.terms import misfit_of, terms
from physics_twin.estimation.problem import Problem


def pulled_slope(
    problem: Problem, point: Point, psi: Array, transpose: Callable[[Array, Array | None], Array]
) -> tuple[float, Array]:
    """The misfit and half its slope (d,) for given psi (n_psi,).

    transpose: (v, u), both (n_data,), -> J^T v + E^T u, J of the residuals and E of the extra variance; u None for no
    extra variance. What the model shows is observed - bias - residual, so its slope is -J but for the bias.
    """
    noise, local = problem.sample_noise, search_model(problem, point)
    found = terms(noise, psi, local)
    value = misfit_of(noise, psi, local, found).value
    v = found.of_e / found.s
    slope = point.prior_jacobian.T @ point.prior_residual
    if local.signal is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            q = np.where(local.signal == 0.0, 0.0, 2.0 * found.of_log_v * found.signal_share / local.signal)
        v = v - q
        of_x = problem.space.slope(point.x)
        for c in problem.channels:
            if c.bias_column >= 0:
                slope[c.bias_column] -= float(q[c.rows].sum()) * of_x[c.bias_column]
    slope = slope + transpose(v, None if local.extra is None else found.of_log_v / found.s**2)
    for member in local.members:
        spread = float(np.exp(psi[member.spread]))
        slope = slope + member.jacobian.T @ (member.deviation / spread**2)
    return value, slope
