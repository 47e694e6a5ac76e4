"""find_set_point(): the best settings under limits, without a box around them.

With a posterior the limits must be kept with the required probability: the search draws choose the point, the held-out
draws certify it, and confidence is spent over attempts as for a box. For one value of the parameters it is a smooth
program with a few unknowns, solved on the model itself to the last digits, from several starts.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import numpy as np

from physics_twin.envelope.limits.limits import Limit, bind_limits
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.question import Budget, Question
from physics_twin.envelope.search import checked_settings
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
    executor: Executor | None = None,
) -> SetPoint:
    """The settings at which an objective is best while every limit is kept.

    model, recipe, settings, limits, batch_variation, tolerance, values, budget, executor: as for `find_envelope`;
    without limits only the bounds of the settings hold. objectives: one, or several, of which the front is found and
    its knee taken (extra "pareto").

    posterior: limits are then kept with `probability`, certified with `confidence` at this one point by draws that the
    search did not see; nothing is said about its surroundings, for that there is `find_envelope`. None: for one value
    of the parameters, `values` and the model's defaults; the answer then has the digits of the simulation, exact slopes
    are used where the model has them, and `n_starts` local searches are compared.

    Limits that cannot be kept are an answer (`met` is False, `message`), not an error. Raises EnvelopeError without an
    objective and for too few draws; UnknownNameError and UnitError for wrong names and units.
    """
    given = (objectives,) if isinstance(objectives, Objective) else tuple(objectives)
    if not given:
        raise EnvelopeError('a set point needs an objective: objectives=pt.Maximize("yield")')
    if n_starts < 1:
        raise EnvelopeError(f"n_starts = {n_starts}: at least 1")
    budget = Budget() if budget is None else budget
    known = checked_settings(settings, recipe)
    targets = bind_objectives(given, model.outputs, known)
    requirements = bind_limits(limits, model.outputs, model.inputs) if limits else ()
    simulated = tuple(t.requirement for t in targets if not t.of_setting)
    problem = Problem(model, recipe, known, (*requirements, *simulated), budget.n_nodes)
    simulate = Simulator(problem, executor)
    own = generator(rng)
    if posterior is None:
        if batch_variation or tolerance:
            raise EnvelopeError("batch_variation and tolerance are part of a probability: give a posterior as well")
        middle = {s.name: (0.5 * (s.bounds[0] + s.bounds[1]), s.unit.si_text) for s in known}
        full = complete_values(model, recipe, _with_middle(values, middle))
        fixed = {name: value for name, value in full.items() if name not in middle}
        return best_for_one(simulate, targets, requirements, fixed, n_starts, own)
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
        budget=budget,
    )
    seed = str(rng) if isinstance(rng, int) else hashlib.sha256(repr(own.bit_generator.state).encode()).hexdigest()[:16]
    return best_under_chance(simulate, targets, requirements, posterior, question, own, seed)


def _with_middle(
    values: Mapping[str, QuantityLike] | Values | None, middle: Mapping[str, tuple[float, str]]
) -> Mapping[str, QuantityLike] | Values:
    """The given values, with a value for each setting that is searched."""
    for name in values or {}:
        if name in middle:
            raise EnvelopeError(f'values: "{name}" is one of the settings that are searched; it cannot be held as well')
    if isinstance(values, Values):
        return values.merge({name: number for name, (number, _) in middle.items()})
    return {**(values or {}), **middle}
