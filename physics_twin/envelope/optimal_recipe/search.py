"""find_recipe(): the courses of the inputs that are best for an objective, within limits, certified.

1. The present recipe is simulated; the collocation starts from there, and from recipes with other profiles.
2. The best solution for the median batch is refined until collocation and simulation agree.
3. With a posterior it is optimized again for many possible batches at once, and tried on draws held out from that.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np

from physics_twin.envelope.arguments import refuse_wrong_kinds, refuse_wrong_options
from physics_twin.envelope.files.records import identity
from physics_twin.envelope.limits.allowed import Group, groups_of
from physics_twin.envelope.limits.limits import Limit
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.resume import remembering, replays_said
from physics_twin.envelope.next_batch.draws import Draws, first_needed, split_draws
from physics_twin.envelope.next_batch.uncertainty import draws_hash
from physics_twin.envelope.optimal_recipe.build import certified_recipe, single_recipe
from physics_twin.envelope.optimal_recipe.method import Collocation
from physics_twin.envelope.optimal_recipe.nominal import (
    AGREE,
    best_of_starts,
    make_setup,
    refined,
    tightened,
    why_none,
)
from physics_twin.envelope.optimal_recipe.profile import Profile
from physics_twin.envelope.optimal_recipe.result import OptimalRecipe
from physics_twin.envelope.optimal_recipe.robust import Robust, make_trial
from physics_twin.envelope.optimal_recipe.sampled import check_course
from physics_twin.envelope.optimal_recipe.task import Task, make_task
from physics_twin.envelope.question import Budget, Question
from physics_twin.envelope.reporting import reporting
from physics_twin.envelope.search import seed_text
from physics_twin.envelope.set_point.objectives import Objective
from physics_twin.errors import EnvelopeError
from physics_twin.model import Model
from physics_twin.parameters import Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import generator
from physics_twin.priors import Prior
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.simulation import complete_values
from physics_twin.units import QuantityLike, to_si

logger = logging.getLogger(__name__)


def find_recipe(
    model: Model,
    posterior: Posterior | None = None,
    *,
    recipe: Recipe,
    profiles: Mapping[str, Profile],
    objective: Objective,
    limits: Sequence[Limit] = (),
    duration: Setting | None = None,
    charges: Sequence[Setting] = (),
    probability: float = 0.95,
    confidence: float = 0.95,
    n_scenarios: int = 8,
    method: Collocation | None = None,
    batch_variation: Mapping[str, Prior | QuantityLike] | None = None,
    values: Mapping[str, QuantityLike] | Values | None = None,
    budget: Budget | None = None,
    rng: int | np.random.Generator,
    checkpoint: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> OptimalRecipe:
    """The recipe whose free inputs are best for an objective and keep the limits with a stated probability.

    model: shows its equations (`ProcessBuilder`). posterior: draws of its parameters; more than half of them are held
    back from the optimization and certify its result. None: one batch with the values given, and no certificate.
    recipe: how the batch is run now; it must run to its end, for it is where the search starts. profiles: input -> what
    may be done with it; all other inputs stay as they are. objective: `pt.Maximize` or `pt.Minimize` of an output, a
    free setting or the duration, over the end, the mean, the integral, a moment, or the worst moment. limits: as of an
    envelope; on every moment, the end, a moment, a mean or an integral.

    duration: a setting with bounds makes the final time free (one phase). charges: settings of the recipe's `initial`
    that are free too. probability, confidence: of all limits that have none of their own, jointly. n_scenarios:
    possible batches whose average (or worst case, as the objective's measure says) is optimized. method: see
    `Collocation`. batch_variation, values, budget: as of `find_envelope`. rng: seed or generator (copied); the same
    inputs give the same bytes. checkpoint: a folder in which the simulations of draws are kept, which take most of the
    time: after a stop the same call goes on from there, to the same bytes; the optimizations between them are done
    again. executor: spreads the simulations of draws over its workers.

    Raises ModelError for a model without equations or with switches and events, EnvelopeError for a recipe or a limit
    that cannot be written out in time, where no profile keeps the limits, for too few draws, and where courses have too
    few samples to certify them; UnknownNameError, UnitError.
    """
    refuse_wrong_kinds(model=model, recipe=recipe, profiles=profiles, objective=objective, limits=limits)
    refuse_wrong_kinds(charges=charges, rng=rng)
    refuse_wrong_options(duration=duration, posterior=posterior, batch_variation=batch_variation, values=values)
    refuse_wrong_options(budget=budget, checkpoint=checkpoint, executor=executor, method=method)
    method = Collocation() if method is None else method
    task = make_task(model, recipe, profiles, objective, limits, duration, charges)
    given = _start_values(task, values)
    if n_scenarios < 1:
        raise EnvelopeError(f"n_scenarios = {n_scenarios}: at least 1")
    question = Question(
        recipe=recipe,
        settings=tuple(s for s in task.chosen if s.name in recipe.settings),
        limits=tuple(limits),
        probability=probability,
        confidence=confidence,
        seed=rng if isinstance(rng, int) else None,
        objectives=(objective,),
        batch_variation=batch_variation or {},
        values={k: v for k, v in given.items() if k not in {s.name for s in task.chosen}},
        budget=Budget() if budget is None else budget,
    )
    drawn = "none" if posterior is None else draws_hash(posterior)
    asked = (dict(profiles), duration, list(charges), method, n_scenarios, given)
    journal = remembering(checkpoint, question, model, drawn, seed_text(rng), "recipe", {"task": identity(asked)})
    with journal as memo, reporting(progress, logger, "find_recipe", "optimal recipe") as show:
        task, report = replace(task, memo=memo), replays_said(show, memo)
        return _answer(task, question, posterior, given, n_scenarios, method, rng, executor, report)


def _answer(
    task: Task,
    question: Question,
    posterior: Posterior | None,
    given: Mapping[str, QuantityLike],
    n_scenarios: int,
    method: Collocation,
    rng: int | np.random.Generator,
    executor: Executor | None,
    report: Callable[[str], None],
) -> OptimalRecipe:
    draws: Draws | None = None
    own, seed = generator(rng), seed_text(rng)
    groups = groups_of(task.requirements, question.probability)
    known = {n: x for n, x in given.items() if n in task.recipe.settings or n not in {s.name for s in task.chosen}}
    if posterior is None:
        if question.batch_variation:
            raise EnvelopeError("batch_variation needs a posterior: without one there is a single batch")
        middle: dict[str, Any] = dict(complete_values(task.model, task.recipe, known))
    else:
        problem = Problem(task.model, task.recipe, question.settings, task.requirements, question.budget.n_nodes)
        draws = split_draws(problem, posterior, question, own, first_needed(groups, question.confidence, 1))
        _refuse_too_few(draws, groups, question)
        middle = {name: float(np.median(v)) for name, v in draws.search.values.items() if v.ndim == 1}
    middle |= {s.name: to_si(given[s.name], s.unit, name=s.name) for s in task.chosen}
    setup, present = make_setup(task, method, middle, question.budget.n_nodes)
    report("the present recipe and other starts")
    best, starts = best_of_starts(setup, present, own)
    if best is None:
        raise why_none(setup, present, starts)
    setup, best, gap = refined(setup, best)
    warnings = []
    if gap > AGREE:
        warnings.append(
            f"collocation and simulation differ by {gap:.1g} of a state's largest value with {setup.grid.n} elements; "
            "the objective and the margins are those of the simulation; more elements would come closer to the best"
        )
    if draws is None or posterior is None:
        best = tightened(setup, best)
        return single_recipe(setup, best, starts, gap, warnings)
    robust = Robust(setup, draws, n_scenarios, executor)
    trial = make_trial(robust, best.decision, groups, question.confidence, report)
    found = certified_recipe(setup, trial, starts, draws, posterior, question, seed, gap, warnings)
    if found.certificate is None or not found.certificate.passed:
        return found
    report("samples of the course")
    sampling = check_course(setup, trial, draws.held, executor)
    if sampling is None:
        return found
    certificate = replace(found.certificate, sampling=sampling)
    return replace(found, certificate=certificate, includes=(*found.includes, str(sampling)))


def _start_values(task: Task, values: Mapping[str, QuantityLike] | Values | None) -> dict[str, Any]:
    """What the caller gives, with a present value for every setting that is free: its own, or the recipe's duration."""
    given: dict[str, Any] = dict(values or {})
    if isinstance(values, Values):
        units = {n: p.unit for n, p in task.model.parameters.items()} | {
            n: s.unit for n, s in task.recipe.settings.items()
        }
        given = {n: (x, units[n].si_text) if n in units else x for n, x in given.items()}
    for setting in task.chosen:
        if setting.name in given:
            continue
        if setting.value is not None:
            given[setting.name] = (setting.value, setting.unit.si_text)
        elif setting is task.duration and task.recipe.duration is not None:
            given[setting.name] = (float(np.clip(task.recipe.duration, *setting.bounds)), "s")
        else:
            raise EnvelopeError(
                f'the search starts from the present recipe: give "{setting.name}" its present value, '
                f'pt.Setting(..., value=...) or values={{"{setting.name}": "... {setting.unit}"}}'
            )
    return given


def _refuse_too_few(draws: Draws, groups: Sequence[Group], question: Question) -> None:
    if not groups:
        return
    strictest = max(group.probability for group in groups)
    needed = first_needed(groups, question.confidence, 1)
    if draws.n_effective < needed:
        share = draws.held.n / draws.uncertainty.batches.n
        raise EnvelopeError(
            f"too few draws: {draws.n_effective:.0f} independent ones are left to certify, and {needed} without a "
            f"violation are needed to show {strictest:g} with confidence {question.confidence:g}. Give at least "
            f"{int(np.ceil(needed / (share * draws.independence)))} draws, or posterior=None for a recipe without a "
            "certificate"
        )
