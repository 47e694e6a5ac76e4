"""`design_experiment`: which experiment to do next.

Bayesian linear design, averaged over draws of the posterior (Atkinson, Donev and Tobias 2007, chapter 18, "on the
average" designs): each candidate adds its expected information at each draw to what the draws' covariance says, and the
criterion averages what is left. Several experiments are chosen one after the other, each for what the ones before it
leave open.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO
from physics_twin.envelope import Limit
from physics_twin.errors import BoundsError, CalibrationError
from physics_twin.estimation.work import Work
from physics_twin.experiment_design.confirmation import Confirmation, confirm as confirm_design
from physics_twin.experiment_design.criteria import Bound, Criterion, DOptimal, prediction_unit
from physics_twin.experiment_design.information import attempt, informations, sensors_of
from physics_twin.experiment_design.knowledge import Knowledge, knowledge
from physics_twin.experiment_design.limits import share_kept
from physics_twin.experiment_design.planned import Planned
from physics_twin.experiment_design.result import Candidate, Choice, ExperimentDesign, Quantity
from physics_twin.experiment_design.settings_search import best_point
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import seed_of
from physics_twin.posterior.populations import SPREAD
from physics_twin.progress import Progress

UNINFORMED = 0.99
"""A parameter is informed when some candidate leaves less than this share of its standard deviation."""


@dataclass(frozen=True)
class Told:
    """What one experiment would tell."""

    name: str
    planned: Planned
    settings: Mapping[str, float]
    information: Array | None
    """(n_draws, n_s, n_s); None where it is refused."""
    refused: str
    kept: float


def design_experiment(
    model: Model,
    posterior: Posterior,
    candidates: Planned | Mapping[str, Planned],
    *,
    criterion: Criterion | None = None,
    n: int = 1,
    repeats: bool = True,
    limits: Sequence[Limit] = (),
    probability: float = 0.95,
    n_draws: int = 20,
    confirm: int = 0,
    rng: int | np.random.Generator = 0,
    executor: Executor | None = None,
    progress: bool = False,
) -> ExperimentDesign:
    """Which of the candidates reduces the uncertainty most, by the criterion.

    posterior: what is known today, of this model (`calibrate`, or `Posterior.from_prior` before any data).
    candidates: name -> `Planned`; one that leaves settings or moments open is taken at its best ones. Sensor positions
        are candidates with other channels.
    criterion: `DOptimal(parameters)` (the default, of all), `AOptimal(parameters)`, or `PredictionVariance(output,
        recipe)`. What is not chosen, biases of sensors included, is a nuisance. n: how many experiments, chosen one
        after the other; repeats: whether one may be done twice.
    limits: what an experiment must keep to, with this probability over the draws (failed runs count as broken).
    n_draws: draws at which the model is linearized. confirm: how many data sets of the chosen experiments to
        simulate and fit, as a check. rng: a seed or a generator (of which a copy is used), for what new batches have
        for themselves and for `confirm`. executor: runs the candidates in parallel.

    A parameter that each experiment has for itself, or that is drawn from a population, is a new one in each planned
    experiment and is marginalized there.

    Raises ModelError for the posterior of another model, CalibrationError when every candidate is refused (with the
    reasons), UnknownNameError, UnitError, BoundsError for mistakes in names and quantities.
    """
    plans = {"experiment": candidates} if isinstance(candidates, Planned) else dict(candidates)
    if not plans:
        raise CalibrationError('there is no candidate to choose from: candidates={"name": pt.Planned(...)}')
    if n < 1 or n_draws < 1 or not 0.0 < probability <= 1.0:
        raise BoundsError(f"n = {n} and n_draws = {n_draws} are at least 1, probability = {probability:g} is in (0, 1]")
    if not repeats and n > len(plans):
        raise BoundsError(f"{n} different experiments cannot be chosen from {len(plans)} candidates; allow repeats")
    known = knowledge(model, posterior, sensors_of(list(plans.values())), n_draws, seed_of(rng))
    bound = (criterion or DOptimal()).bind(known)
    search = _Search(known, bound, tuple(limits), probability, Work(executor, Progress(progress)))
    nothing = np.zeros((known.rows.size, len(known.names), len(known.names)))
    first = search.tell(plans, nothing)
    told = first
    total, chosen = nothing, list[Choice]()
    planned: list[Planned] = []
    for step in range(n):
        if step and search.any_open(plans):
            told = search.tell(plans, total)
        allowed = [t for t in told if not t.refused and (repeats or t.name not in {c.name for c in chosen})]
        if not allowed:
            reasons = "; ".join(f'"{t.name}": {t.refused}' for t in told if t.refused)
            raise CalibrationError(f"no candidate can be done: {reasons or 'each may be done once'}")
        scores = [search.score(t, total) for t in allowed]
        best = allowed[int(np.argmin(scores))]
        assert best.information is not None
        total = total + best.information
        chosen.append(Choice(best.name, best.settings, min(scores), search.standard_deviations(total)))
        planned.append(best.planned)
    confirmation: Confirmation | None = None
    if confirm:
        sd = dict(zip(known.names, known.sd(known.after(total)).tolist(), strict=True))
        confirmation = confirm_design(planned, known, sd, confirm)
    return ExperimentDesign(
        candidates=tuple(search.judged(t) for t in first),
        chosen=tuple(chosen),
        quantities=search.quantities(),
        criterion=bound.describe(),
        before=bound.score(known.covariance[None]) if bound.columns else bound.score(known.after(nothing)),
        uninformed=search.uninformed(first),
        n_draws=int(known.rows.size),
        settings=tuple({s.name: s for p in plans.values() for s in p.open_settings(posterior.names)}.values()),
        confirmation=confirmation,
    )


@dataclass(frozen=True)
class _Search:
    known: Knowledge
    bound: Bound
    limits: tuple[Limit, ...]
    probability: float
    work: Work

    def any_open(self, plans: Mapping[str, Planned]) -> bool:
        return any(p.open_settings(self.known.posterior.names) for p in plans.values())

    def tell(self, plans: Mapping[str, Planned], total: Array) -> list[Told]:
        """What each candidate tells, at its best settings after what `total` tells."""
        jobs = [(self, name, planned, total) for name, planned in plans.items()]
        return self.work.run("candidates", _told, jobs)

    def __reduce__(self) -> tuple[object, ...]:
        """An executor does not travel to its own workers."""
        return _Search, (self.known, self.bound, self.limits, self.probability, Work())

    def one(self, name: str, planned: Planned, settings: Mapping[str, float]) -> Told:
        """A candidate with nothing open."""
        kept, broken = self.limits_of(planned)
        if broken:
            return Told(name, planned, settings, None, broken, kept)
        return self.without_limits(name, planned, settings, kept)

    def limits_of(self, planned: Planned) -> tuple[float, str]:
        """Share of the draws that keep every limit, and why that is too little, "" where it is not."""
        if not self.limits:
            return 1.0, ""
        kept, worst = share_kept(planned, self.known, self.limits, self.probability)
        few = kept < self.probability
        return kept, f"{worst} is kept with probability {kept:.3g}, asked for {self.probability:g}" if few else ""

    def without_limits(self, name: str, planned: Planned, settings: Mapping[str, float], kept: float) -> Told:
        """What a candidate tells, whether it keeps the limits or not."""
        layout = attempt(name, planned, self.known)
        if isinstance(layout, str):
            return Told(name, planned, settings, None, layout, kept)
        found, failed, why = informations(layout, NO_MEMO)
        if failed:
            text = f"it cannot be simulated at {failed} of {len(found)} draws: {why}"
            return Told(name, planned, settings, None, text, kept)
        return Told(name, planned, settings, found, "", kept)

    def score(self, told: Told, total: Array) -> float:
        """The criterion after `total` and this one; infinite where it is refused."""
        return np.inf if told.information is None else self.bound.score(self.known.after(total + told.information))

    def standard_deviations(self, total: Array) -> tuple[float, ...]:
        covariances = self.known.after(total)
        found = self.known.sd(covariances)[list(self.bound.columns)].tolist()
        predicted = self.bound.prediction_sd(covariances)
        return (*found, *(() if predicted is None else (predicted,)))

    def quantities(self) -> tuple[Quantity, ...]:
        parameters = [self.known.parameters[self.known.names[j]] for j in self.bound.columns]
        shown = [(p.name, p.unit) for p in parameters]
        predicted = prediction_unit(self.bound)
        shown += [] if predicted is None else [predicted]
        today = self.standard_deviations(np.zeros((self.known.rows.size, *self.known.covariance.shape)))
        return tuple(Quantity(name, unit, sd) for (name, unit), sd in zip(shown, today, strict=True))

    def judged(self, told: Told) -> Candidate:
        if told.information is None:
            empty = (float("nan"),) * len(self.quantities())
            return Candidate(told.name, told.settings, float("nan"), empty, told.refused, told.kept)
        after = self.standard_deviations(told.information)
        return Candidate(told.name, told.settings, self.score(told, 0.0 * told.information), after, "", told.kept)

    def uninformed(self, all_told: Sequence[Told]) -> tuple[str, ...]:
        before = np.sqrt(np.diag(self.known.covariance))
        least = np.ones(before.size)
        safe = np.where(before > 0.0, before, 1.0)
        for told in all_told:
            if told.information is not None:
                variances = np.diagonal(self.known.after(told.information), axis1=1, axis2=2).mean(axis=0)
                least = np.minimum(least, np.sqrt(variances) / safe)
        return tuple(n for n, s in zip(self.known.names, least, strict=True) if s > UNINFORMED and _of_interest(n))


def _of_interest(name: str) -> bool:
    """Not of a sensor, of the scatter between lots, or of an experiment that is over."""
    return "@" not in name and not name.startswith(("bias.", "delay.", SPREAD))


def _told(search: _Search, name: str, planned: Planned, total: Array, memo: object) -> Told:
    """One candidate, in whichever process."""
    settings = planned.open_settings(search.known.posterior.names)
    if not settings:
        return search.one(name, planned, {})
    low, high = np.array([s.bounds for s in settings]).T
    names = [s.name for s in settings]

    def chosen(point: Array) -> dict[str, float]:
        return dict(zip(names, (low + np.clip(point, 0.0, 1.0) * (high - low)).tolist(), strict=True))

    lowest = np.inf

    def score(point: Array) -> float:
        nonlocal lowest
        at = chosen(point)
        plan = planned.at(at)
        found = search.score(search.without_limits(name, plan, at, 1.0), total)
        if found >= lowest:
            return found  # it will not be chosen, and limits take the most simulations
        if search.limits_of(plan)[1]:
            return np.inf
        lowest = found
        return found

    point, value = best_point(score, len(names))
    best = search.one(name, planned.at(chosen(point)), chosen(point))
    if not np.isfinite(value):
        text = f"no setting within the bounds can be done: {best.refused}"
        return Told(name, planned, {}, None, text, best.kept)
    return best
