"""What an ensemble says about itself: spread, misfit, who is left, how much of the spread was lost by accident.

Sentinels measure the accident: standard normal variables that no simulation depends on, updated like the parameters and
with their localization. All the spread that they lose, parameters lose as well without having learned anything. Without
localization they keep, on average, 1 - p/(N - 1) of their variance in an assimilation whose data determine p directions
of the ensemble: an ensemble that has about as many directions as the data determine collapses. Their means, which no
data should move, measure the sampling error of the means of parameters, and so how many independent draws the members
are worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation.ensemble_smoother.es_mda import Taper
from physics_twin.estimation.ensemble_smoother.prior_map import PriorMap

N_SENTINELS = 100
LOST_SOME, COLLAPSED = 0.1, 0.5
"""Share of the variance lost by accident that is said, and from which the ensemble counts as collapsed."""
MANY = 1.5
"""Parameters per member from which localization is recommended."""
GROWTH = 2.0
"""Factor by which the misfit may grow in an assimilation: where noise is estimated it changes with it."""
UNDECIDED = 0.5
"""Standard deviation of the members, in that of the prior, from which the data have not decided about an unknown."""
UNSETTLED, CLOSE_ENOUGH = 0.5, 2.0
"""A misfit that more than halves in the last assimilation, from more than this many times its expectation, would have
gone on falling."""


@dataclass(frozen=True)
class Stage:
    """An ensemble at one forecast."""

    x: Array
    """(N, d) SI"""
    misfit: Array
    """(N,) whitened sums of squares, NaN for masked members"""
    active: NDArray[np.bool_]
    """(N,)"""
    effective_size: float
    data_degrees: float
    sentinel_variance: float
    sentinel_mean: float
    """Root mean square of the means of the sentinels, in their standard deviations before the data."""
    levels: Array
    """(n_groups,) SI"""


def effective_size(v: Array) -> float:
    """Directions that the anomalies of members v (N, n) spread over: (sum of eigenvalues)^2 / sum of their squares.

    N - 1 at most; of N draws of a standard normal in n dimensions about n (N - 1) / (n + N - 1).
    """
    a = v - v.mean(axis=0)
    gram = a @ a.T if a.shape[0] <= a.shape[1] else a.T @ a
    square = float(np.sum(gram**2))
    return float(np.trace(gram)) ** 2 / square if square > 0.0 else 0.0


def sentinel_taper(taper: Taper, n_parameters: int, n_sentinels: int) -> Taper:
    """Weights of parameters, then of sentinels, each with the place of a parameter, evenly over all of them."""
    stand_for = np.linspace(0, n_parameters - 1, n_sentinels).astype(np.intp)

    def weights(block: slice, a: Array, data: Array) -> Array:
        rows = np.arange(block.start, block.stop)
        own = np.where(rows < n_parameters, rows, stand_for[np.maximum(rows - n_parameters, 0)])
        if (rows == own).all():
            return taper(block, a, data)
        return np.concatenate([taper(slice(int(j), int(j) + 1), a[:, [k]], data) for k, j in enumerate(own)], axis=0)

    return weights


def dataset(
    stages: Sequence[Stage], alphas: Array, names: Sequence[str], units: Sequence[str], noise: Sequence[str]
) -> xr.Dataset:
    """The stages, the prior first, as `EnsembleSmoother` lists them."""
    spread = np.array([s.x[s.active].std(axis=0, ddof=1) for s in stages])
    found: dict[str, tuple[object, ...]] = {
        "spread": (("forecast", "parameter"), spread, {"description": "standard deviation of the members, SI"}),
        "misfit": (
            ("forecast", "member"),
            np.array([s.misfit for s in stages]),
            {"units": "1", "description": "whitened sum of squares"},
        ),
        "active": (("forecast", "member"), np.array([s.active for s in stages])),
        "alpha": (("assimilation",), alphas, {"units": "1"}),
        "effective_size": (("forecast",), np.array([s.effective_size for s in stages]), {"units": "1"}),
        "data_degrees": (("forecast",), np.array([s.data_degrees for s in stages]), {"units": "1"}),
        "kept_variance": (("forecast",), kept(stages), {"units": "1", "description": "of what no data depend on"}),
    }
    found["mean_error"] = (
        ("forecast",),
        np.array([s.sentinel_mean for s in stages]),
        {"units": "1", "description": "sampling error of a mean, in standard deviations of the prior"},
    )
    if noise:
        found["noise_level"] = (("forecast", "noise"), np.array([s.levels for s in stages]))
    coords: dict[str, object] = {"parameter": list(names), "units": ("parameter", list(units))}
    if noise:
        coords["noise"] = list(noise)
    return xr.Dataset(found, coords=coords)


def kept(stages: Sequence[Stage]) -> Array:
    """(n_forecasts,) share of the variance of the sentinels that is left."""
    variance = np.array([s.sentinel_variance for s in stages])
    return np.asarray(variance / variance[0])


def settled(stages: Sequence[Stage], n_data: int) -> bool:
    """Whether the misfit had stopped falling."""
    before, after = (float(np.nanmedian(s.misfit)) for s in stages[-2:])
    falls = after < UNSETTLED * before and before > CLOSE_ENOUGH * n_data
    return not falls and not diverged(stages)


def diverged(stages: Sequence[Stage]) -> bool:
    """Whether an assimilation took the members away from the data, as a localization does that is too short."""
    course = [float(np.nanmedian(s.misfit)) for s in stages]
    return any(after > GROWTH * before for before, after in pairwise(course))


def unsettled(stages: Sequence[Stage], n_data: int) -> str:
    """Why the ensemble has not converged, as the end of a message; "" where it has."""
    if diverged(stages):
        return "; an assimilation took the members away from the data"
    before, after = (float(np.nanmedian(s.misfit)) for s in stages[-2:])
    return "" if settled(stages, n_data) else f"; the misfit was still falling, from {before:.3g} to {after:.3g}"


def said(stages: Sequence[Stage], n_parameters: int, n_data: int, localized: bool) -> list[str]:
    """Warnings, in words."""
    found: list[str] = []
    n_left = int(stages[-1].active.sum())
    lost = 1.0 - float(kept(stages)[-1])
    more = "raise n_members" if localized else "raise n_members, or give a localization"
    if lost > COLLAPSED:
        found.append(
            f"the ensemble has collapsed: variables that no data depend on lost {100 * lost:.0f} % of their variance, "
            f"so all intervals are too narrow; {n_left} members cannot tell what {n_data} samples say of "
            f"{n_parameters} parameters: {more}"
        )
    elif lost > LOST_SOME:
        found.append(
            f"sampling error took {100 * lost:.0f} % of the variance of variables that no data depend on, so intervals "
            f"are about {100 * (1 - np.sqrt(1 - lost)):.0f} % too narrow; {more}"
        )
    if not localized and n_parameters > MANY * n_left:
        found.append(
            f"{n_parameters} parameters are moved within the span of {n_left} members; a localization "
            "(DistanceLocalization, TimeLocalization, CorrelationLocalization) frees them of it"
        )
    gone = int((~stages[-1].active).sum())
    if gone:
        found.append(
            f"{gone} of {gone + n_left} members failed to simulate and are left out: their region of the prior is "
            "missing"
        )
    if diverged(stages):
        cause = (
            "the localization keeps data from parameters that act on them, make it longer"
            if localized
            else "the model is too nonlinear for steps of this size, raise n_assimilations"
        )
        found.append(f"an assimilation took the members away from the data: {cause}")
    elif not settled(stages, n_data):
        before, after = (float(np.nanmedian(s.misfit)) for s in stages[-2:])
        found.append(
            f"the misfit of the members fell from {before:.3g} to {after:.3g} in the last assimilation: the model is "
            "too nonlinear for so few of them; raise n_assimilations, or take geometric inflation"
        )
    return found


def undecided(prior: PriorMap, v: Array, names: Sequence[str]) -> list[str]:
    """Warnings of unknowns that keep what they were given for want of a prior: even in the logarithm.

    v (N, n_variables): coordinates of the members that are left.
    """
    wide = v.std(axis=0, ddof=1) > UNDECIDED
    kept_even = [
        name
        for name, one, loose in zip(names, prior.marginals, wide, strict=True)
        if loose and one is not None and one.log and np.isinf(one.sd) and one.other is None
    ]
    if not kept_even:
        return []
    those = "these" if len(kept_even) > 1 else "it"
    return [
        f"the data do not decide about {', '.join(kept_even)}: without a prior the members began evenly in the "
        f"logarithm of {those}, while other methods take no prior as even in the value itself; give {those} a prior"
    ]
