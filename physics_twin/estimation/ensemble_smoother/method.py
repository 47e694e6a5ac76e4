"""The ensemble smoother as a method of `calibrate`."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError
from physics_twin.estimation import noise
from physics_twin.estimation.ensemble_smoother import es_mda
from physics_twin.estimation.ensemble_smoother.diagnostics import (
    COLLAPSED,
    N_SENTINELS,
    Stage,
    dataset,
    effective_size,
    kept,
    said,
    sentinel_taper,
    settled,
    undecided,
    unsettled,
)
from physics_twin.estimation.ensemble_smoother.forecast import LEAST_LEFT, forecast
from physics_twin.estimation.ensemble_smoother.localization import Localization
from physics_twin.estimation.ensemble_smoother.noise_levels import estimate_levels, residual_at_end, share_of_levels
from physics_twin.estimation.ensemble_smoother.posterior_of_members import Members, center, posterior_of
from physics_twin.estimation.ensemble_smoother.prior_map import PriorMap, variable_names
from physics_twin.estimation.ensemble_smoother.whitening import check_noise, signal_of, whitening
from physics_twin.estimation.evaluation import Point
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.work import Work
from physics_twin.posterior import FailedSimulation

PROPORTIONAL_ROUNDS = 5
"""Rounds of noise that depends on a value that depends on the noise."""


@dataclass(frozen=True)
class EnsembleSmoother:
    """Many unknowns of a model without derivatives: ES-MDA (Emerick and Reynolds 2013, Computers & Geosciences 55, 3).

    n_members members are drawn from the priors, simulated, and moved toward the data by what the ensemble knows of the
    relation between both; this is done n_assimilations times with noise inflated so that all of it together counts the
    data once. The price is n_members * (n_assimilations + 1) simulations, however many unknowns there are. For a linear
    model and normal priors the members become draws of the posterior, up to a sampling error that falls with
    1/sqrt(n_members); for a nonlinear model they approximate it, the better the more assimilations there are.

    n_members: 10 or more; with fewer than the directions that the data determine the spread collapses. n_assimilations:
        4 is the usual number. alphas: inflations in place of it, 1 or more, with sum 1/alpha = 1; see
        `geometric_inflation`. localization: `DistanceLocalization`, `TimeLocalization` or
        `CorrelationLocalization`, for more unknowns than members.

    Members move in coordinates in which each prior is a standard normal, so bounds hold and log-normal priors stay so.
    An unknown without a prior is even between its bounds; one with neither is an error. Where such an unknown is
    searched in its logarithm it is even in that, while the other methods take no prior as even in the value itself:
    this matters only where the data do not decide, and a warning then says so. Correlated priors (`SmoothPrior`) and
    populations are respected.

    Noise is normal: given, proportional (to what the members are expected to predict at the end, on average) and
    remembering ones are whitened.
    A level that is estimated is that of the residuals which the rest of the assimilations is expected to leave; the
    unknowns are updated given that number, and the level itself is drawn as scaled inverse chi-square at the end.

    A member whose simulation fails is masked from then on and never replaced. There is no mode: the point that is
    reported is that of the mean coordinates. Draws are the members that are left; they share the sampling error
    of their updates, so `effective_draws` is as many independent draws as would give a mean with the same error.

    `posterior.diagnostics` holds, over `forecast` (0 is the prior, the last is the posterior): `spread` (parameter),
    `misfit` and `active` (member), `effective_size` of the ensemble, `data_degrees` (directions that all of the data
    would determine there), `kept_variance` and `mean_error` of variables that no data depend on, `noise_level` (noise)
    where levels are estimated; and `alpha` over `assimilation`. `posterior.plot_ensemble()` draws it.

    Raises BoundsError for numbers out of range; in `calibrate` CalibrationError for unknowns without prior and bounds,
    for noise with outliers, an unknown shape or censored samples, and where more than half of the members fail.
    """

    n_members: int = 100
    n_assimilations: int = 4
    alphas: Sequence[float] | None = None
    localization: Localization | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.n_members < LEAST_LEFT:
            raise BoundsError(f"EnsembleSmoother: n_members = {self.n_members} is below {LEAST_LEFT}; 100 is usual")
        if self.n_assimilations < 1:
            raise BoundsError(f"EnsembleSmoother: n_assimilations = {self.n_assimilations} is below 1")
        if self.alphas is not None:
            es_mda.check_inflation(self.alphas)
            object.__setattr__(self, "alphas", tuple(float(a) for a in self.alphas))

    @property
    def inflation(self) -> Array:
        """alpha of each assimilation."""
        if self.alphas is not None:
            return es_mda.check_inflation(self.alphas)
        return es_mda.even_inflation(self.n_assimilations)

    def estimate(self, problem: Problem, rng: np.random.Generator, work: Work) -> Estimate:
        """Members, and what is needed to judge them."""
        check_noise(problem)
        prior = PriorMap.of(problem)
        # A stream for each purpose: what is drawn for one never depends on how much was drawn for another.
        drawn, sentinels, perturbed, last = (np.random.default_rng(s) for s in rng.integers(2**63, size=4).tolist())
        alphas, n = self.inflation, self.n_members
        v = np.concatenate([prior.draw(n, drawn), sentinels.standard_normal((n, N_SENTINELS))], axis=1)
        taper = None
        if self.localization is not None:
            taper = self.localization.taper(problem, variable_names(problem, prior))
            taper = sentinel_taper(taper, prior.n_variables, N_SENTINELS)
        now = _look(problem, prior, v, np.ones(n, dtype=bool), noise.start_levels(problem), 1.0, work, 0)
        seen, brought = [now], np.zeros(now.levels.sd.size)
        for i, alpha in enumerate(alphas):
            z = es_mda.perturbations(perturbed, n, problem.n_data)
            sd, brought = share_of_levels(now.levels.sd, brought, alphas[i:])
            v = _move(problem, now, sd, float(alpha), z, taper)
            left = float(np.sum(1.0 / alphas[i + 1 :]))
            now = _look(problem, prior, v, now.active, now.levels.sd, left, work, i + 1)
            seen.append(now)
            if i == 0 and alphas.size > 1:
                work.preview(self._result(problem, prior, seen, alphas[:1], last))
        return self._result(problem, prior, seen, alphas, last)

    def _result(
        self, problem: Problem, prior: PriorMap, seen: "Sequence[_Look]", alphas: Array, rng: np.random.Generator
    ) -> Estimate:
        """What the members are now."""
        now, stages = seen[-1], [one.stage for one in seen]
        left = float(kept(stages)[-1])
        names, units = variable_names(problem, prior), [c.parameter.unit.si_text for c in problem.columns]
        units += [problem.hypers[k].parameter.unit.si_text for k in prior.spreads]
        levels = [g.parameter.name for g in problem.noise_groups]
        n_left = int(now.active.sum())
        times = f"{alphas.size} assimilation{'s' if alphas.size > 1 else ''}"
        collapsed = 1.0 - left > COLLAPSED
        return posterior_of(
            problem,
            prior,
            Members(now.v[now.active, : prior.n_variables], now.residual[now.active]),
            now.point,
            now.levels,
            copy.deepcopy(rng),
            converged=not collapsed and settled(stages, problem.n_data),
            message=("the ensemble collapsed after " if collapsed else "ensemble smoother, ")
            + f"{times} of {n_left} members"
            + ("" if collapsed else unsettled(stages, problem.n_data)),
            failures=tuple(f for one in seen for f in one.failures),
            warnings=(
                *said(stages, len(names), problem.n_data, self.localization is not None),
                *undecided(prior, now.v[now.active, : prior.n_variables], names),
            ),
            diagnostics=dataset(stages, alphas, names, units, levels),
            effective_draws=min(float(n_left), stages[-1].sentinel_mean ** -2.0),
        )


@dataclass(frozen=True)
class _Look:
    """Members and what they predict."""

    v: Array
    """(N, n_variables + N_SENTINELS)"""
    active: NDArray[np.bool_]
    residual: Array
    """(N, n_data) SI, NaN where masked."""
    signal: Array
    """(n_data,) SI: the model's values on which proportional noise rests."""
    point: Point
    levels: noise.Levels
    stage: Stage
    failures: tuple[FailedSimulation, ...]


def _look(
    problem: Problem,
    prior: PriorMap,
    v: Array,
    active: NDArray[np.bool_],
    levels: Array,
    left: float,
    work: Work,
    number: int,
) -> _Look:
    """Simulate the members v, and estimate the noise. left: share of the information that is still to come."""
    own = v[:, : prior.n_variables]
    x, spreads = prior.values(own)
    found = forecast(problem, x, active, work, f"forecast-{number}")
    on = found.active
    residual = found.residual[on]
    point = center(problem, prior, own[on], work.memo(f"center-{number}"))
    at, signal = _noise(problem, residual, signal_of(problem, residual, x[on]).mean(axis=0), point.extra, levels, left)
    white = whitening(problem, at.sd, signal, point.extra)(residual)
    misfit = np.full(on.size, np.nan)
    misfit[on] = (white**2).sum(axis=1)
    subspace = es_mda.Subspace.of(white)
    sentinels = v[on, prior.n_variables :]
    stage = Stage(
        x=np.concatenate([x, spreads], axis=1),
        misfit=misfit,
        active=on,
        effective_size=effective_size(own[on]),
        data_degrees=subspace.determined(left),
        sentinel_variance=float(sentinels.var(axis=0, ddof=1).mean()),
        sentinel_mean=float(np.sqrt(np.mean(sentinels.mean(axis=0) ** 2))),
        levels=at.sd,
    )
    return _Look(v, on, found.residual, signal, point, at, stage, found.failures)


def _noise(
    problem: Problem, residual: Array, signal: Array, extra: Array | None, levels: Array, left: float
) -> tuple[noise.Levels, Array]:
    """Noise levels, and the model's values (n_data,) on which proportional noise rests: expected at the end."""
    at, end = noise.Levels(levels, np.empty(0)), signal
    proportional = problem.sample_noise.proportional
    for _ in range(PROPORTIONAL_ROUNDS if proportional else 1):
        if levels.size:
            at = estimate_levels(
                problem,
                residual,
                at.sd,
                left,
                lambda sd: whitening(problem, sd, end, extra),  # noqa: B023
            )
        if proportional:
            white = whitening(problem, at.sd, end, extra)(residual)
            end = signal + residual.mean(axis=0) - residual_at_end(residual, white, left)
    return at, end


def _move(problem: Problem, now: _Look, sd: Array, alpha: float, z: Array, taper: es_mda.Taper | None) -> Array:
    """The members after one assimilation with noise levels sd (n_groups,); masked ones stay where they are."""
    on = now.active
    white = whitening(problem, sd, now.signal, now.point.extra)(-now.residual[on])
    # Predicted minus observed in place of the predicted: a bias of its own per member is part of the prediction.
    z = z[on] - z[on].mean(axis=0)
    v = now.v.copy()
    v[on] = es_mda.assimilate(now.v[on], white, np.zeros(problem.n_data), np.ones(problem.n_data), alpha, z, taper)
    return v
