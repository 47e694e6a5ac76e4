"""The best settings of a planned experiment within their bounds: spread points, then a simplex from the best ones."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from physics_twin.arrays import Array

SPREAD = 12
"""Points per setting that are tried first."""
FROM = 2
"""How many of them a search starts from."""
TOLERANCE = 5e-4
"""Of a setting, as a share of its range."""


def best_point(score: Callable[[Array], float], n_settings: int) -> tuple[Array, float]:
    """The point of the unit cube (n_settings,) with the lowest score, and the score; infinite scores are forbidden.

    Derivative-free, since limits and failed runs cut the landscape; the same bytes every time.
    """
    spread = qmc.Halton(n_settings, scramble=False).random(SPREAD * n_settings + 1)[1:]
    corners = np.vstack([spread, np.zeros(n_settings), np.ones(n_settings), np.full(n_settings, 0.5)])
    scores = np.array([score(point) for point in corners])
    best = int(np.argmin(scores))
    found, lowest = corners[best], float(scores[best])
    for start in np.argsort(scores, kind="stable")[:FROM]:
        if not np.isfinite(scores[start]):
            continue
        result = minimize(
            score,
            corners[start],
            method="Nelder-Mead",
            bounds=[(0.0, 1.0)] * n_settings,
            options={
                "xatol": TOLERANCE,
                "fatol": np.inf,  # the settings decide, not the flat top of a criterion
                "maxfev": 200 * n_settings,
                "initial_simplex": _simplex(corners[start]),
            },
        )
        if result.fun < lowest:
            found, lowest = np.asarray(result.x), float(result.fun)
    return found, lowest


def _simplex(point: Array) -> Array:
    """Corners around a point, inside the cube."""
    step = np.where(point > 0.5, -0.1, 0.1)
    return np.asarray(np.vstack([point, point + np.diag(step)]))
