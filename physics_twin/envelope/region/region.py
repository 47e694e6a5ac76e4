"""The region as data for plots: probability over the settings, from the surrogate and the search draws."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import EVERY, Allowed, Group
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.region.surrogate import DesignSpace, shares

N_CURVE, N_MAP, N_SLICE = 401, 81, 41
"""Nodes of a curve (one setting), of a map (two) and of each slice (more)."""
ALL_LIMITS = EVERY


def pair_names(a: str, b: str) -> tuple[str, str]:
    """Variables that hold the probability and the assured margin over two settings."""
    return f"probability_{a}_{b}", f"assured_{a}_{b}"


def region_data(problem: Problem, space: DesignSpace, through: Array, groups: Sequence[Group]) -> xr.Dataset:
    """Probability of all limits and of each: a curve, a map, or slices for each pair through the point `through` (d,).

    `assured` is the margin kept with the required probability (of all limits: the least of the groups'), in units of
    the margin's spread over the draws: its zero line is the edge of the region, and a smooth one (a counted probability
    makes stairs where it is steep).
    Coordinates are settings in SI with their units. `tried` holds the simulated settings, `tried_probability` the
    share of search draws that met all limits there.
    """
    names = [s.name for s in problem.settings]
    d = len(names)
    limits = [ALL_LIMITS, *(r.name for r in problem.requirements)]
    n = N_CURVE if d == 1 else N_MAP if d == 2 else N_SLICE
    line = np.linspace(0.0, 1.0, n)
    axes = {
        s.name: (s.name, low + line * (high - low), {"units": s.unit.si_text, "shown_units": s.unit.text})
        for s, low, high in zip(problem.settings, problem.low, problem.high, strict=True)
    }
    share = {"units": "1", "long_name": "probability that the limits are met"}
    kept = {"units": "1", "long_name": "margin kept with the required probability, in units of its spread"}
    allowed = Allowed.share(tuple(groups), space.n_draws)
    variables: Mapping[str, Any]
    if d == 1:
        variables = {
            "probability": (("limit", names[0]), space.probability(line[:, None]).T, share),
            "assured": (("limit", names[0]), space.levels(line[:, None], allowed).T, kept),
        }
    else:
        variables = {}
        for i, j in itertools.combinations(range(d), 2):
            points = np.tile(through, (n * n, 1))
            points[:, i], points[:, j] = np.repeat(line, n), np.tile(line, n)
            chance, margin = pair_names(names[i], names[j])
            over = ("limit", names[i], names[j])
            variables[chance] = (over, space.probability(points).T.reshape(len(limits), n, n), share)
            variables[margin] = (over, space.levels(points, allowed).T.reshape(len(limits), n, n), kept)
    tried = {
        "tried": (("point", "setting"), problem.si(space.points), {"units": "SI, see the coordinate unit"}),
        "tried_probability": ("point", shares(space.margins)[:, 0], share),
    }
    coordinates: dict[str, Any] = {
        **axes,
        "limit": limits,
        "setting": names,
        "unit": ("setting", [s.unit.si_text for s in problem.settings]),
    }
    return xr.Dataset({**variables, **tried}, coords=coordinates)
