"""find_envelope(): from a posterior and a list of limits to a certified operating box.

1. Every posterior draw becomes one possible next batch; the draws are split before anything is looked at.
2. The search sees its own draws only: it learns the region from few simulations and finds the largest box whose
   every point keeps the limits with the required probability and the slack that the certificate will need.
3. Corners and the worst points that a directed search finds are simulated on the other draws. A box that fails is
   replaced by a stricter one of the search's making, and the error left is smaller: confidence is spent over attempts.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import numpy as np

from physics_twin.envelope.arguments import refuse_wrong_kinds, refuse_wrong_options
from physics_twin.envelope.certificate.attempts import make_attempts, n_certified
from physics_twin.envelope.certificate.certificate import draws_needed
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.limits.allowed import Group, groups_of
from physics_twin.envelope.limits.limits import Limit, bind_limits
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.fault_reach import refuse_unreachable
from physics_twin.envelope.margins.resume import remembering, replays_said
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.draws import Draws, first_needed, split_draws
from physics_twin.envelope.outcome import Inputs, outcome
from physics_twin.envelope.question import Budget, Question
from physics_twin.envelope.ranges.aim import aim_of
from physics_twin.envelope.ranges.shapes import LargestBox, Shape
from physics_twin.envelope.region.design_space import search_cloud
from physics_twin.envelope.reporting import counted, reporting
from physics_twin.envelope.set_point.objectives import Objective, bind_objectives
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.measurements.records import recipe_record
from physics_twin.model import Model
from physics_twin.parameters import Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import generator
from physics_twin.posterior.redraw import more_draws
from physics_twin.priors import Prior
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike

logger = logging.getLogger(__name__)

MOST_SETTINGS = 8
POINTS_PER_SETTING = (40, 50, 50)
"""Design points for each setting, for 1, 2 and more of them, where the caller does not say."""


def find_envelope(
    model: Model,
    posterior: Posterior,
    *,
    recipe: Recipe,
    settings: Sequence[Setting],
    limits: Sequence[Limit],
    probability: float = 0.95,
    confidence: float = 0.95,
    rng: int | np.random.Generator,
    shape: Shape | None = None,
    objectives: Objective | Sequence[Objective] = (),
    batch_variation: Mapping[str, Prior | QuantityLike] | None = None,
    tolerance: Mapping[str, QuantityLike] | None = None,
    values: Mapping[str, QuantityLike] | Values | None = None,
    budget: Budget | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Envelope:
    """The largest box of settings in which every limit is met, jointly, with a stated probability at every point.

    model: the calibrated model. posterior: draws of its parameters; half or more of them are held back from the
    search and certify what it found; where they are too few, fresh ones do, if the posterior can make them
    (`Posterior.redraw`). recipe: leaves `settings` open. settings: what may vary, each within its bounds.
    limits: what must hold, see `Limit`. probability: required of the next batch, at every point of the box.
    confidence: of that statement. rng: seed or generator (copied); the same inputs give the same bytes.

    shape: `LargestBox()` of the largest volume, with weights or around a point, or `Polytope()`. objectives: what makes
    the set point the best one; without them it is the point with the most margin.

    batch_variation: model parameter -> standard deviation of its batch-to-batch scatter ("2 K"; of a parameter that has
    a unit "3 percent" is a share of its value), or a prior from which a new batch is drawn. tolerance: setting ->
    standard deviation with which the plant hits it. What is left out is not in the probability; `envelope.includes`
    says what is in. values: parameters and open settings of the recipe that are the same in every batch, with their
    units; they come before the draws, the values that the fit held, and the defaults.

    checkpoint: a folder in which simulations are kept: after a stop the same call goes on from there, to the same
    bytes. executor: spreads simulations over its workers. progress: tells a person who waits, on
    standard error; the log has all stages at level INFO.

    An empty region is an answer (`envelope.empty`, `.message`), not an error. Raises EnvelopeError for contradictory
    limits, a fault that no batch reaches, too few draws, and courses with peaks too narrow for the samples that
    `budget` allows; ModelError for the posterior of another model; UnknownNameError and UnitError for wrong names and
    units.
    """
    refuse_wrong_kinds(model=model, posterior=posterior, recipe=recipe, settings=settings, limits=limits, rng=rng)
    refuse_wrong_options(shape=shape, objectives=objectives, batch_variation=batch_variation, tolerance=tolerance)
    refuse_wrong_options(values=values, budget=budget, checkpoint=checkpoint, executor=executor)
    question = Question(
        recipe=recipe,
        settings=checked_settings(settings, recipe),
        limits=tuple(limits),
        probability=probability,
        confidence=confidence,
        seed=rng if isinstance(rng, int) else None,
        shape=LargestBox() if shape is None else shape,
        objectives=(objectives,) if isinstance(objectives, Objective) else tuple(objectives),
        batch_variation=batch_variation or {},
        tolerance=tolerance or {},
        values={} if values is None else values,
        budget=Budget() if budget is None else budget,
    )
    return answer(question, model, posterior, rng, checkpoint, executor, progress)


def answer(
    question: Question,
    model: Model,
    posterior: Posterior,
    rng: int | np.random.Generator,
    checkpoint: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Envelope:
    """The envelope that a question has with this model and posterior; arguments and errors as of `find_envelope`."""
    recipe, settings, budget = question.recipe, question.settings, question.budget
    problem = Problem(
        model, recipe, settings, bind_limits(question.limits, model.outputs, model.inputs), budget.n_nodes
    )
    bind_objectives(question.objectives, model.outputs, settings)  # a wrong name fails now and not after the search
    groups = groups_of(problem.requirements, question.probability)
    aim = aim_of(question.shape, settings)
    own = generator(rng)
    seed = seed_text(rng)
    n_tested = n_certified(len(settings), aim.n_sides)
    draws = split_draws(problem, posterior, question, own, first_needed(groups, question.confidence, n_tested))
    _refuse_too_few(draws, groups, n_tested, question, posterior)
    cloud = search_cloud(len(settings), own)
    n_points = budget.n_points or len(settings) * POINTS_PER_SETTING[min(len(settings), 3) - 1]
    journal = remembering(checkpoint, question, model, draws.uncertainty.posterior_hash, seed)
    with journal as memo, reporting(progress, logger, "find_envelope", "operating envelope") as show:
        simulate = Simulator(problem, executor, memo)
        refuse_unreachable(simulate, draws.uncertainty.batches)
        report = replays_said(counted(show, simulate), memo)
        report(f"first settings and scouts, {draws.search.n} search draws and {draws.held.n} held out")
        how = (n_points, budget.n_scouts, aim, own, report)
        trial = make_attempts(simulate, draws, groups, question.confidence, cloud, *how)
        report("set point and region")
        inputs = Inputs(question, posterior, draws, groups, aim, seed, recipe_hash(recipe))
        return outcome(inputs, simulate, trial, cloud)


def seed_text(rng: int | np.random.Generator) -> str:
    """What a certificate keeps of a seed: the number, or a hash of the generator's state."""
    if isinstance(rng, int):
        return str(rng)
    return hashlib.sha256(repr(generator(rng).bit_generator.state).encode()).hexdigest()[:16]


def recipe_hash(recipe: Recipe) -> str:
    """Hash of everything that the recipe holds."""
    record, tables = recipe_record(recipe)
    digest = hashlib.sha256(json.dumps(record, sort_keys=True, default=float).encode())
    for table in tables:
        for column in (table.times, table.values):
            numbers = np.asarray(column, dtype=float)
            digest.update(f"\n{numbers.size}:".encode() + numbers.tobytes())
    return digest.hexdigest()[:16]


def checked_settings(settings: Sequence[Setting], recipe: Recipe) -> tuple[Setting, ...]:
    """Settings that may be searched; raises EnvelopeError, or UnknownNameError for one the recipe does not have."""
    if not settings:
        raise EnvelopeError("an envelope needs at least one setting: settings=[pt.Setting(...)]")
    if len(settings) > MOST_SETTINGS:
        raise EnvelopeError(
            f"{len(settings)} settings: an envelope is certified at all corners of its box, which is done for at most "
            f"{MOST_SETTINGS}; hold those that matter least (values=), pt.rank_influences tells which"
        )
    seen: set[str] = set()
    for setting in settings:
        if not isinstance(setting, Setting):
            raise EnvelopeError(f"settings holds {setting!r}; give a list of settings: settings=[pt.Setting(...)]")
        if setting.name in seen:
            raise EnvelopeError(f'the setting "{setting.name}" is given twice')
        seen.add(setting.name)
        if setting.name not in recipe.settings:
            raise unknown_name("setting in the recipe", setting.name, recipe.settings)
        own = recipe.settings[setting.name]
        if not _bounded(setting):
            raise EnvelopeError(f'the setting "{setting.name}" {_bounds_missing(setting, own)}')
        if own != setting:
            raise EnvelopeError(
                f'the setting "{setting.name}" differs from the one of that name in the recipe; declare it once and '
                "use it in both"
            )
    return tuple(settings)


def _bounded(setting: Setting) -> bool:
    return bool(np.isfinite(setting.bounds).all())


def _bounds_missing(setting: Setting, own: Setting) -> str:
    """Which bounds a setting lacks, and where some may be found; own: that of the recipe."""
    pairs = zip(("lower", "upper"), setting.bounds, strict=True)
    what = "has no " + " and no ".join(end for end, bound in pairs if not np.isfinite(bound)) + " bound"
    if _bounded(own):
        ends = f"{own.format(own.bounds[0])} to {own.format(own.bounds[1])}"
        return f'{what}; the recipe\'s setting of that name has {ends}: give that one, recipe.settings["{own.name}"]'
    example = f'pt.Setting("{setting.name}", "{setting.unit.text}", bounds=(..., ...))'
    return f"{what}, and an envelope is searched between two: declare it as {example}, in the recipe as well"


def _refuse_too_few(
    draws: Draws, groups: Sequence[Group], n_points: int, question: Question, posterior: Posterior
) -> None:
    confidence, budget, n = question.confidence, question.budget, draws.uncertainty.batches.n
    strictest = max(groups, key=lambda group: group.probability)
    needed = first_needed(groups, confidence, n_points)
    if draws.n_effective >= needed:
        return
    held = math.ceil(needed / draws.independence)
    total = held + min(budget.n_search, math.ceil(held * budget.search_share / (1.0 - budget.search_share)))
    enough = n >= total or posterior.origin is not None  # which would have been drawn anew
    what = [] if enough else [f"at least {total} draws (there are {n}; {more_draws(posterior, total)})"]
    what += [f"budget=pt.Budget(n_certification={held})"] if budget.n_certification < held else []
    at = f"{n_points} points of a box" + (f" and for {len(groups)} groups of limits" if len(groups) > 1 else "")
    raise EnvelopeError(
        f"too few draws: {math.floor(draws.n_effective)} independent ones are left to certify, and {needed} without a "
        f"violation are needed to show {strictest.probability:g} with confidence {confidence:g} at {at} "
        f"({draws_needed(strictest.probability, 1.0 - confidence)} at a single point). Give {' and '.join(what)}; a "
        "useful box needs several times that"
    )
