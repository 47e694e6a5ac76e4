"""find_set_point(): the best settings under limits, without a box around them.

With a posterior the limits must be kept with the required probability: the search draws choose the point, the held-out
draws certify it, and confidence is spent over attempts as for a box. For one value of the parameters it is a smooth
program with a few unknowns, solved on the model itself to the last digits, from several starts.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from physics_twin.envelope.arguments import refuse_wrong_kinds, refuse_wrong_options
from physics_twin.envelope.limits.limits import Limit, bind_limits
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.resume import remembering, replays_said
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.uncertainty import draws_hash
from physics_twin.envelope.question import Budget, Question
from physics_twin.envelope.reporting import counted, reporting
from physics_twin.envelope.search import checked_settings, seed_text
from physics_twin.envelope.set_point.chance import best_under_chance
from physics_twin.envelope.set_point.nominal_optimum import best_for_one
from physics_twin.envelope.set_point.objectives import Objective, bind_objectives
from physics_twin.envelope.set_point.optimum import SetPoint
from physics_twin.errors import EnvelopeError
from physics_twin.model import Model
from physics_twin.parameters import Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import generator
from physics_twin.priors import Prior
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.simulation import complete_values
from physics_twin.units import QuantityLike

logger = logging.getLogger(__name__)

N_STARTS = 8


def find_set_point(
    model: Model,
    posterior: Posterior | None = None,
    *,
    recipe: Recipe,
    settings: Sequence[Setting],
    objectives: Objective | Sequence[Objective],
    limits: Sequence[Limit] = (),
    probability: float = 0.95,
    confidence: float = 0.95,
    rng: int | np.random.Generator = 0,
    batch_variation: Mapping[str, Prior | QuantityLike] | None = None,
    tolerance: Mapping[str, QuantityLike] | None = None,
    values: Mapping[str, QuantityLike] | Values | None = None,
    n_starts: int = N_STARTS,
    budget: Budget | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> SetPoint:
    """The settings at which an objective is best while every limit is kept.

    model, recipe, settings, limits, batch_variation, tolerance, values, budget, checkpoint, executor, progress: as for
    `find_envelope`; without limits only the bounds of the settings hold. objectives: one, or several, of which the
    front is found and its knee taken (extra "pareto").

    posterior: limits are then kept with `probability`, certified with `confidence` at this one point by draws that the
    search did not see; nothing is said about its surroundings, for that there is `find_envelope`. None: for one value
    of the parameters, `values` and the model's defaults; the answer then has the digits of the simulation, exact slopes
    are used where the model has them, and `n_starts` local searches are compared.

    Limits that cannot be kept are an answer (`met` is False, `message`), not an error. Raises EnvelopeError without an
    objective and for too few draws; UnknownNameError and UnitError for wrong names and units.
    """
    refuse_wrong_kinds(model=model, recipe=recipe, settings=settings, objectives=objectives, limits=limits, rng=rng)
    refuse_wrong_options(posterior=posterior, batch_variation=batch_variation, tolerance=tolerance, values=values)
    refuse_wrong_options(budget=budget, checkpoint=checkpoint, executor=executor)
    given = (objectives,) if isinstance(objectives, Objective) else tuple(objectives)
    if not given:
        raise EnvelopeError('a set point needs an objective: objectives=pt.Maximize("yield")')
    starts: Any = n_starts  # "8" comes too
    if not isinstance(starts, int) or starts < 1:
        raise EnvelopeError(f"n_starts = {n_starts!r}: a whole number, at least 1")
    known = checked_settings(settings, recipe)
    question = Question(
        recipe=recipe,
        settings=known,
        limits=tuple(limits),
        probability=probability,
        confidence=confidence,
        seed=rng if isinstance(rng, int) else None,
        objectives=given,
        batch_variation=batch_variation or {},
        tolerance=tolerance or {},
        values={} if values is None else values,
        budget=Budget() if budget is None else budget,
    )
    if posterior is None and (batch_variation or tolerance):
        raise EnvelopeError("batch_variation and tolerance are part of a probability: give a posterior as well")
    return _answer(question, model, posterior, n_starts, rng, checkpoint, executor, progress)


def _answer(
    question: Question,
    model: Model,
    posterior: Posterior | None,
    n_starts: int,
    rng: int | np.random.Generator,
    checkpoint: str | os.PathLike[str] | None,
    executor: Executor | None,
    progress: bool,
) -> SetPoint:
    recipe, known, own = question.recipe, question.settings, generator(rng)
    targets = bind_objectives(question.objectives, model.outputs, known)
    requirements = bind_limits(question.limits, model.outputs, model.inputs) if question.limits else ()
    simulated = tuple(t.requirement for t in targets if not t.of_setting)
    problem = Problem(model, recipe, known, (*requirements, *simulated), question.budget.n_nodes)
    fixed = _one_batch(question, model) if posterior is None else {}
    drawn = "none" if posterior is None else draws_hash(posterior)
    more = {"starts": str(n_starts)} if posterior is None else {}
    journal = remembering(checkpoint, question, model, drawn, seed_text(rng), "set point", more)
    with journal as memo, reporting(progress, logger, "find_set_point", "set point") as show:
        simulate = Simulator(problem, executor, memo)
        report = replays_said(counted(show, simulate), memo)
        if posterior is None:
            return best_for_one(simulate, targets, requirements, fixed, n_starts, own, report)
        return best_under_chance(simulate, targets, requirements, posterior, question, own, seed_text(rng), report)


def _one_batch(question: Question, model: Model) -> dict[str, Any]:
    """The values of all parameters, and of the settings that are not searched; SI."""
    middle = {s.name: (0.5 * (s.bounds[0] + s.bounds[1]), s.unit.si_text) for s in question.settings}
    full = complete_values(model, question.recipe, _with_middle(question.values, middle))
    return {name: value for name, value in full.items() if name not in middle}


def _with_middle(
    values: Mapping[str, QuantityLike] | Values, middle: Mapping[str, tuple[float, str]]
) -> Mapping[str, QuantityLike] | Values:
    """The given values, with a value for each setting that is searched."""
    for name in values:
        if name in middle:
            raise EnvelopeError(f'values: "{name}" is one of the settings that are searched; it cannot be held as well')
    if isinstance(values, Values):
        return values.merge({name: number for name, (number, _) in middle.items()})
    return {**values, **middle}
