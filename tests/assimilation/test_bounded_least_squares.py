"""The active set method under moving horizon estimation: optimality conditions on random problems, and no way out."""

import numpy as np
import pytest
from scipy.optimize import nnls

from physics_twin.assimilation.moving_horizon.bounded import bounded, least_squares
from physics_twin.errors import SolveError


def problem(seed, n=6, n_rows=14, width=0.3):
    """Samples that pull far outside of narrow bounds on combinations of the unknowns; some rows come twice."""
    rng = np.random.default_rng(seed)
    jacobian, residual = rng.normal(size=(9, n)) * 3.0, rng.normal(size=9) * 5.0
    slopes = rng.normal(size=(n_rows, n))
    slopes[-2:] = slopes[:2]
    inside = slopes @ (0.3 * rng.normal(size=n))
    lower, upper = inside - width * rng.uniform(0.1, 1.0, n_rows), inside + width * rng.uniform(0.1, 1.0, n_rows)
    lower[rng.integers(n_rows)] = -np.inf
    upper[rng.integers(n_rows)] = np.inf
    return jacobian, residual, slopes, lower, upper


@pytest.mark.parametrize("seed", range(40))
def test_the_minimum_satisfies_its_optimality_conditions(seed):
    """Within the bounds, and the gradient is a sum of active normals with weights above zero."""
    jacobian, residual, slopes, lower, upper = problem(seed)
    offsets = np.linspace(-1.0, 1.0, len(lower))
    free = least_squares(jacobian, residual)
    xi = bounded(free, slopes, offsets, lower + offsets, upper + offsets)
    value = slopes @ xi
    assert (value >= lower - 1e-8).all() and (value <= upper + 1e-8).all()
    gradient = xi + jacobian.T @ (jacobian @ xi - residual)
    at = np.vstack([slopes[value <= lower + 1e-7], -slopes[value >= upper - 1e-7]])
    assert len(at) >= 1
    assert nnls(at.T, gradient)[1] < 1e-6 * (1.0 + np.abs(gradient).max())


def test_no_bound_is_touched_where_none_is_active():
    """The minimum without bounds comes back with its bits."""
    jacobian, residual, slopes, _, _ = problem(0)
    free = least_squares(jacobian, residual)
    wide = np.full(len(slopes), 1e3)
    assert bounded(free, slopes, np.zeros(len(slopes)), -wide, wide) is free.xi


@pytest.mark.parametrize("seed", range(5))
def test_bounds_that_exclude_one_another_are_an_error(seed):
    """Two rows that ask for opposite sides of the same plane: nothing is returned."""
    jacobian, residual, slopes, lower, upper = problem(seed)
    lower[-1], upper[0], lower[0] = 2.0, 1.0, -3.0
    upper[-1] = 3.0
    slopes[-1] = slopes[0]
    with pytest.raises(SolveError, match="meets all bounds"):
        bounded(least_squares(jacobian, residual), slopes, np.zeros(len(lower)), lower, upper)
