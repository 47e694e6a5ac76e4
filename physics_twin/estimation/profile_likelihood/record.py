"""Profiles as a Dataset: what is saved, plotted and read back."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.intervals import interval, rises_at_ends
from physics_twin.estimation.profile_likelihood.profile import Profile

SIDES = ("lower", "upper")


def recorded(problem: Problem, profiles: Sequence[Profile], probabilities: Sequence[float]) -> xr.Dataset:
    """See the docstring of ProfileLikelihood."""
    n = max(p.z.size for p in profiles)
    intervals = [[interval(problem, p, q) for q in probabilities] for p in profiles]
    along, each = ("profile", "point"), ("profile", "side")
    ends = ("profile", "probability", "side")
    found = xr.Dataset(
        {
            "value": (along, np.stack([_padded(p.x[:, p.column], n) for p in profiles])),
            "rise": (along, np.stack([_padded(p.rise, n) for p in profiles])),
            "rise_of_data": (along, np.stack([_padded(p.rise_of_data, n) for p in profiles])),
            "others": ((*along, "unknown"), np.stack([_padded(p.x, n) for p in profiles])),
            "interval": (ends, np.array([[(i.low, i.high) for i in row] for row in intervals])),
            "interval_end": (ends, np.array([[i.ends for i in row] for row in intervals])),
            "threshold": (ends, np.array([[rises_at_ends(problem, p, q) for q in probabilities] for p in profiles])),
            "lift": ("profile", np.array([p.lift for p in profiles])),
            "end": (each, np.array([[s.end.value for s in p.sides] for p in profiles])),
            "end_reason": (each, np.array([[s.reason for s in p.sides] for p in profiles])),
            "n_refits": (each, np.array([[s.n_refits for s in p.sides] for p in profiles])),
            "n_failed": (each, np.array([[s.n_failed for s in p.sides] for p in profiles])),
            "n_points": ("profile", np.array([p.z.size for p in profiles])),
        },
        coords={
            "profile": [p.name for p in profiles],
            "unknown": list(problem.names),
            "side": list(SIDES),
            "probability": list(probabilities),
            "units": ("unknown", [c.parameter.unit.si_text for c in problem.columns]),
        },
    )
    found["value"].attrs["units"] = "SI, see the coordinate units"
    return found


def _padded(x: Array, n: int) -> Array:
    """The rows of x and then NaN, n in all."""
    return np.concatenate([x, np.full((n - len(x), *x.shape[1:]), np.nan)])
