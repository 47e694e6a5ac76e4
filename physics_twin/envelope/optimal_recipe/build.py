"""From a solution to an `OptimalRecipe`: simulated, measured, and said in words."""

import importlib.metadata
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.certificate import Certificate, lower_bounds
from physics_twin.envelope.limits.allowed import broken_text, claim, violations
from physics_twin.envelope.limits.reductions import Extreme, Final
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.next_batch.draws import Draws
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.optimal_recipe.draws import Outcomes, outcomes, single
from physics_twin.envelope.optimal_recipe.nominal import KEPT, RecipeStart, Setup
from physics_twin.envelope.optimal_recipe.result import OptimalRecipe, PathLimit
from physics_twin.envelope.optimal_recipe.robust import Trial
from physics_twin.envelope.optimal_recipe.simulated import Decision, recipe_of
from physics_twin.envelope.optimal_recipe.solving import Solution
from physics_twin.envelope.optimal_recipe.task import Task
from physics_twin.envelope.question import Question
from physics_twin.envelope.search import recipe_hash
from physics_twin.envelope.set_point.objectives import valued
from physics_twin.envelope.set_point.set_point import Margin, margins_at
from physics_twin.envelope.validity import trust_warnings
from physics_twin.parameters import Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import bound_initials
from physics_twin.recipes import Recipe
from physics_twin.simulation import Run, simulate
from physics_twin.source import code_hash
from physics_twin.units import format_si

N_TIMES = 401
"""Of the run of the median batch."""


def single_recipe(
    setup: Setup, solution: Solution, starts: Sequence[RecipeStart], gap: float, warnings: Sequence[str]
) -> OptimalRecipe:
    """The recipe of one batch, without a certificate."""
    task, decision = setup.task, solution.decision
    recipe = _recipe(setup, decision)
    found = outcomes(task, recipe, single({**setup.values, **decision.settings}), decision.settings, setup.n_nodes)
    margins = margins_at(found.margins, task.requirements, 1.0) if task.requirements else ()
    kept = bool((found.margins[0] >= -KEPT * setup.scales.margins).all())
    message = "the best recipe for one batch; nothing is said about other batches (no posterior was given)"
    if not kept:
        message = f"{_broken(margins)} by the simulation, although the collocation keeps it; take more elements"
    return _result(setup, solution, recipe, found, margins, None, starts, 1, (), tuple(warnings), message, gap)


def certified_recipe(
    setup: Setup,
    trial: Trial,
    starts: Sequence[RecipeStart],
    draws: Draws,
    posterior: Posterior,
    question: Question,
    seed: str,
    gap: float,
    warnings: Sequence[str],
) -> OptimalRecipe:
    """The recipe of many possible batches, with what the held-out draws say."""
    task, solution = setup.task, trial.solution
    recipe = _recipe(setup, solution.decision)
    held = trial.held
    margins = margins_at(held.margins, task.requirements, question.probability) if task.requirements else ()
    certificate = _certificate(setup, trial, draws, question, seed, recipe)
    doubts = [*warnings, *draws.uncertainty.notes]
    if not trial.settled:
        doubts.append("the limits were still broken in more search draws than allowed when the rounds were spent")
    if held.failures:
        doubts.append(
            f"{len(held.failures)} of {draws.held.n} held-out simulations failed and counted as violations; the first: "
            f"{held.failures[0].reason}"
        )
    wanted = {*task.model.parameters.names, *recipe.settings}
    batches = Batches({n: v for n, v in draws.held.values.items() if n in wanted}, {}, draws.held.n)
    problem = Problem(task.model, recipe, (), task.requirements, question.budget.n_nodes)
    doubts += trust_warnings(problem, posterior, batches, np.zeros((1, 0)))
    includes = (*draws.uncertainty.includes, "the profile is run exactly as it stands: no error in following it")
    message = _message(certificate, margins, trial)
    return _result(
        setup,
        solution,
        recipe,
        held,
        margins,
        certificate,
        starts,
        trial.n_scenarios,
        includes,
        tuple(dict.fromkeys(doubts)),
        message,
        gap,
        draws.independence,
    )


def _certificate(
    setup: Setup, trial: Trial, draws: Draws, question: Question, seed: str, recipe: Recipe
) -> Certificate | None:
    if trial.test is None:
        return None
    model, test = setup.task.model, trial.test
    counts = violations(trial.held.margins[None], test.held.groups)
    return Certificate(
        passed=trial.attempts[-1].passed,
        groups=test.held.groups,
        confidence=question.confidence,
        n_draws=draws.search.n + draws.held.n,
        n_search=draws.search.n,
        n_certification=draws.held.n,
        n_effective=draws.n_effective,
        points=np.array([[trial.solution.decision.settings[s.name] for s in setup.task.chosen]]),
        violations=counts,
        lower_bounds=lower_bounds(counts, draws.n_effective, draws.independence, test.error),
        attempts=trial.attempts,
        n_simulations=trial.n_simulations,
        seed=seed,
        model=f"{model.name} {model.version}",
        fingerprint=model.fingerprint,
        posterior=draws.uncertainty.posterior_hash,
        recipe=recipe_hash(recipe),
        library=importlib.metadata.version("physics-twin"),
        code=code_hash(),
        redrawn=draws.redrawn,
    )


def _message(certificate: Certificate | None, margins: Sequence[Margin], trial: Trial) -> str:
    if certificate is None:
        return "the best recipe over the draws; there are no limits to certify"
    if certificate.passed:
        return f"{claim(certificate.groups)} with this recipe, with confidence {certificate.confidence:g}"
    last = trial.attempts[-1]
    worst = max(range(len(certificate.groups)), key=lambda i: last.violations[i] - last.allowed[i])
    tried = "this recipe" if len(trial.attempts) == 1 else f"the last of {len(trial.attempts)} recipes"
    return (
        f"NOT CERTIFIED: {tried} broke {broken_text(certificate.groups[worst])} in {last.violations[worst]} of "
        f"{certificate.n_certification} held-out draws, where {last.allowed[worst]} were allowed; {_broken(margins)}. "
        "Give more draws, relax the limit, or ask for less probability"
    )


def _broken(margins: Sequence[Margin]) -> str:
    worst = min(margins, key=lambda m: (m.probability - m.required, m.assured))
    short = format_si(max(-worst.assured, 0.0), worst.unit, 3, difference=True)
    return f'"{worst.limit}" is short by {short}'


def _recipe(setup: Setup, decision: Decision) -> Recipe:
    return recipe_of(setup.task, decision, {**setup.values, **decision.settings})


def _result(
    setup: Setup,
    solution: Solution,
    recipe: Recipe,
    found: Outcomes,
    margins: Sequence[Margin],
    certificate: Certificate | None,
    starts: Sequence[RecipeStart],
    n_scenarios: int,
    includes: tuple[str, ...],
    warnings: tuple[str, ...],
    message: str,
    gap: float,
    independence: float = 1.0,
) -> OptimalRecipe:
    task, decision = setup.task, solution.decision
    duration = setup.duration(decision)
    return OptimalRecipe(
        recipe=recipe,
        objective=valued(task.target, found.objective, independence),
        draws=found.objective,
        duration=duration,
        settings=dict(decision.settings),
        chosen=task.chosen,
        profiles=_profiles(task, decision, duration),
        margins=tuple(margins),
        limits=tuple(_shown_limits(task)),
        certificate=certificate,
        starts=tuple(starts),
        n_scenarios=n_scenarios,
        planned=solution.objective,
        difference=gap,
        run=_run(setup, decision, recipe, duration),
        bands=_bands(task, found.times, found.quantiles),
        includes=includes,
        warnings=warnings,
        message=message,
    )


def _run(setup: Setup, decision: Decision, recipe: Recipe, duration: float) -> Run:
    model = setup.task.model
    bound = bound_initials(recipe, model)
    wanted = {*model.parameters.names, *recipe.settings} - bound
    numbers: Mapping[str, float] = {**setup.values, **decision.settings}
    values = Values({name: x for name, x in numbers.items() if name in wanted})
    return simulate(model, np.linspace(0.0, duration, N_TIMES), recipe, values)


def _profiles(task: Task, decision: Decision, duration: float) -> xr.Dataset:
    """Every free input at all corners, both sides of a step."""
    corners = np.unique(np.concatenate([profile.corners for profile in task.profiles]))
    sides = np.repeat(corners, 2)[1:-1]  # every corner from the left and from the right
    inside = 0.5 * (sides[0::2] + sides[1::2])
    columns = {}
    for profile, numbers in zip(task.profiles, decision.profiles, strict=True):
        value = profile.weights(sides, np.repeat(inside, 2)) @ numbers
        unit = profile.signal.unit
        attrs = {
            "units": unit.si_text,
            "declared_units": unit.text,
            "shape": "linear" if profile.linear else "constant",
        }
        columns[profile.signal.name] = ("time", value, attrs)
    return xr.Dataset(columns, {"time": ("time", sides * duration, {"units": "s"})})


def _bands(task: Task, times: Array, quantiles: Array) -> xr.Dataset:
    columns = {
        s.name: (("quantile", "time"), quantiles[:, :, j], {"units": s.unit.si_text, "declared_units": s.unit.text})
        for j, s in enumerate(task.model.outputs)
    }
    return xr.Dataset(columns, {"quantile": [0.025, 0.5, 0.975], "time": ("time", times, {"units": "s"})})


def _shown_limits(task: Task) -> list[PathLimit]:
    kinds = {Extreme: "path", Final: "final"}
    return [PathLimit(r.output, r.level, r.side, kinds.get(type(r.reduction), "")) for r in task.requirements]
