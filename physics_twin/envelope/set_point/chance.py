"""The best settings at which limits are kept with a probability: chosen on search draws, certified on the others.

The claim is about one point. The error is spent over the attempts as for a box: a point that fails is replaced by one
for which fewer search draws may break a limit.
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.attempts import STRICTER, Test, tests_of
from physics_twin.envelope.certificate.certificate import Attempt, Certificate, lower_bounds
from physics_twin.envelope.limits.allowed import claim, groups_of, violations
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.fault_reach import refuse_unreachable, unreached
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.draws import Draws, first_needed, split_draws
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.question import Question
from physics_twin.envelope.sampling import Sampling, refuse_coarse
from physics_twin.envelope.search import recipe_hash
from physics_twin.envelope.set_point.explored import Explored, explore, improved, multipliers, simulated_front
from physics_twin.envelope.set_point.objectives import Target, valued
from physics_twin.envelope.set_point.optimum import Binding, SetPoint
from physics_twin.envelope.set_point.pareto import knee_of
from physics_twin.envelope.set_point.room import room_text
from physics_twin.envelope.set_point.set_point import Margin, margins_at
from physics_twin.envelope.validity import trust_warnings
from physics_twin.errors import EnvelopeError
from physics_twin.posterior import Posterior
from physics_twin.source import code_hash
from physics_twin.units import format_si

N_SLICE = 41


@dataclass(frozen=True, eq=False)
class Choice:
    """A point, how it was found, and what the held-out draws say."""

    point: Array
    """(d,) of the unit cube."""
    explored: Explored
    front: xr.Dataset | None
    margins: Array
    """(n_held, n_limits) SI."""
    values: Array
    """(n_held, n_targets) SI."""
    attempts: tuple[Attempt, ...]
    error: float
    passed: bool
    sampling: Sampling | None = None
    """How the samples of courses were checked, of a point that passed."""


def best_under_chance(
    simulate: Simulator,
    targets: tuple[Target, ...],
    requirements: tuple[Requirement, ...],
    posterior: Posterior,
    question: Question,
    rng: np.random.Generator,
    seed: str,
    report: Callable[[str], None],
) -> SetPoint:
    """The certified set point; `simulate` is about `requirements`, then the targets that are outputs.

    Raises EnvelopeError for too few draws, and where courses have too few samples to certify anything.
    """
    groups = groups_of(requirements, question.probability) if requirements else ()
    needed = first_needed(groups, question.confidence, 1)
    draws = split_draws(simulate.problem, posterior, question, rng, needed)
    refuse_unreachable(simulate, draws.uncertainty.batches)
    run = _runner(simulate, targets, len(requirements))
    report(f"{draws.search.n} draws look for the best settings")
    if not groups:
        explored = explore(lambda u: run(draws.search, u), targets, None, len(question.settings), rng)
        choice = _chosen(simulate.problem, run, draws, explored, rng, None, 1.0)
    else:
        tests = tests_of(draws, groups, question.confidence, 1)
        if not tests:
            raise EnvelopeError(
                f"too few draws: {draws.n_effective:.0f} independent ones are left to certify, and {needed} without a "
                f"violation are needed to show {max(g.probability for g in groups):g} with confidence "
                f"{question.confidence:g} at a point; a useful set point needs several times that"
            )
        choice = _attempted(simulate.problem, run, draws, targets, tests, rng, report)
        if choice.passed:  # what can only refuse may look at held-out draws
            choice = replace(choice, sampling=refuse_coarse(simulate, draws.held, choice.point, choice.margins))
    return _set_point(simulate, requirements, posterior, question, draws, choice, seed)


type Runner = Callable[[Batches, Array], tuple[Array, Array]]


def _runner(simulate: Simulator, targets: Sequence[Target], n_limits: int) -> Runner:
    def run(batches: Batches, points: Array) -> tuple[Array, Array]:
        """Margins (n_points, n, n_limits) and values (n_points, n, n_targets), SI."""
        problem = simulate.problem
        margins = np.zeros((len(points), batches.n, 0))
        if problem.requirements:
            margins = simulate(batches, points)
        values = np.empty((len(points), batches.n, len(targets)))
        outputs = iter(range(n_limits, margins.shape[2]))
        for j, target in enumerate(targets):
            if target.of_setting:
                error = batches.setting_errors.get(problem.settings[target.column].name, np.zeros(batches.n))
                values[:, :, j] = problem.si(points)[:, target.column, None] + error
            else:
                values[:, :, j] = target.from_margins(margins[:, :, next(outputs)])
        return margins[:, :, :n_limits], values

    return run


def _attempted(
    problem: Problem,
    run: Runner,
    draws: Draws,
    targets: tuple[Target, ...],
    tests: tuple[Test, ...],
    rng: np.random.Generator,
    report: Callable[[str], None],
) -> Choice:
    """Points chosen ever more strictly until one passes."""
    explored = explore(lambda u: run(draws.search, u), targets, tests[0].search, len(problem.settings), rng)
    attempts: list[Attempt] = []
    choice: Choice | None = None
    for number, test in enumerate(tests):
        stricter = 1.0
        if number > 0 and test.search.k == tests[number - 1].search.k:  # no violation is left to give up
            stricter = STRICTER**number
        choice = _chosen(problem, run, draws, explored.under(test.search), rng, test, stricter)
        explored = choice.explored
        attempts += choice.attempts
        broken = [str(max(attempt.violations)) for attempt in choice.attempts]
        report(f"attempt {number + 1}: {' '.join(broken)} violations of {draws.held.n}")
        if choice.passed or not choice.attempts:
            break
    assert choice is not None  # there is at least one test
    return replace(choice, attempts=tuple(attempts))


def _chosen(
    problem: Problem,
    run: Runner,
    draws: Draws,
    explored: Explored,
    rng: np.random.Generator,
    test: Test | None,
    stricter: float,
) -> Choice:
    """The best point on the search draws, and its trial on the held-out ones."""

    def seen(points: Array) -> tuple[Array, Array]:
        return run(draws.search, points)

    optima = []
    for column in range(len(explored.landscape.targets)):
        point, explored = improved(explored, column, seen)
        optima.append(point)
    front, point = None, optima[0]
    if len(optima) > 1:
        front = simulated_front(explored, np.array(optima), seen, problem, draws.independence, rng)
        point = point if front is None else knee_of(problem, front)
    if stricter < 1.0:
        points = explored.landscape.points
        deepest = points[int(np.argmax(explored.level(points)))]
        point = deepest + stricter * (point - deepest)
    margins, values = run(draws.held, point[None])
    if test is None:
        return Choice(point, explored, front, margins[0], values[0], (), 0.0, True)
    broken = violations(margins, test.held.groups)
    bounds = lower_bounds(broken, draws.n_effective, draws.independence, test.error)
    passed = bool((bounds[0] >= np.array([g.probability for g in test.held.groups])).all())
    at = problem.si(point)
    box = {s.name: (float(x), float(x)) for s, x in zip(problem.settings, at, strict=True)}
    attempt = Attempt(passed, box, test.error, test.held.k, tuple(int(n) for n in broken[0]), 1)
    return Choice(point, explored, front, margins[0], values[0], (attempt,), test.error, passed)


def _set_point(
    simulate: Simulator,
    requirements: tuple[Requirement, ...],
    posterior: Posterior,
    question: Question,
    draws: Draws,
    choice: Choice,
    seed: str,
) -> SetPoint:
    problem, targets = simulate.problem, choice.explored.landscape.targets
    certificate = _certificate(simulate, requirements, question, draws, choice, seed) if requirements else None
    warnings = list(draws.uncertainty.notes)
    if simulate.failures:
        warnings.append(
            f"{len(simulate.failures)} of {simulate.n_simulations} simulations failed and counted as violations; the "
            f"first: {simulate.failures[0].reason}"
        )
    warnings += [found.text("at this point") for found in unreached(simulate, draws.held, choice.point[None])]
    warnings += trust_warnings(problem, posterior, draws.held, problem.si(choice.point[None]))
    single = len(targets) == 1
    margins = margins_at(choice.margins, requirements, question.probability) if requirements else ()
    binding = _bindings(problem, requirements, choice, margins) if single else ()
    held = choice.passed and any(found.for_confidence for found in binding)
    return SetPoint(
        settings={s.name: float(x) for s, x in zip(problem.settings, problem.si(choice.point), strict=True)},
        declared=problem.settings,
        objectives=tuple(valued(t, choice.values[:, j], draws.independence) for j, t in enumerate(targets)),
        margins=margins,
        binding=binding,
        met=choice.passed,
        probability=1.0 if certificate is None else 1.0 - int(certificate.violations[0, 0]) / draws.held.n,
        probability_lower=0.0 if certificate is None else float(certificate.lower_bounds[0, 0]),
        certificate=certificate,
        starts=(),
        front=choice.front,
        slices=_slices(problem, choice),
        includes=(*draws.uncertainty.includes, *(() if choice.sampling is None else (str(choice.sampling),))),
        warnings=tuple(warnings),
        failures=tuple(simulate.failures),
        n_simulations=simulate.n_simulations,
        message=_message(requirements, question, draws, choice),
        room=room_text(choice.explored, choice.point, len(choice.attempts)) if held else "",
    )


def _message(requirements: Sequence[Requirement], question: Question, draws: Draws, choice: Choice) -> str:
    targets = choice.explored.landscape.targets
    what = f"{'largest' if targets[0].sign > 0 else 'smallest'} {targets[0].name} ({targets[0].measure})"
    if choice.front is not None:
        what = f"the knee of a front of {len(choice.front['point'])} points"
    if not requirements:
        return f"{what} within the bounds of the settings"
    if choice.passed:
        words = claim(groups_of(requirements, question.probability))
        return f"{what}; {words} there (confidence {question.confidence:g})"
    broken = choice.attempts[-1]
    return (
        f"no settings were certified: the best ones found break limits in {max(broken.violations)} of {draws.held.n} "
        f"held-out draws, where {min(broken.allowed)} were allowed; relax a limit, or give more draws"
    )


def _certificate(
    simulate: Simulator,
    requirements: Sequence[Requirement],
    question: Question,
    draws: Draws,
    choice: Choice,
    seed: str,
) -> Certificate:
    groups = groups_of(requirements, question.probability)
    broken = violations(choice.margins[None], groups)
    model = simulate.problem.model
    return Certificate(
        passed=choice.passed,
        groups=groups,
        confidence=question.confidence,
        n_draws=draws.search.n + draws.held.n,
        n_search=draws.search.n,
        n_certification=draws.held.n,
        n_effective=draws.n_effective,
        points=simulate.problem.si(choice.point[None]),
        violations=broken,
        lower_bounds=lower_bounds(broken, draws.n_effective, draws.independence, choice.error),
        attempts=choice.attempts,
        n_simulations=simulate.n_simulations,
        seed=seed,
        model=f"{model.name} {model.version}",
        fingerprint=model.fingerprint,
        posterior=draws.uncertainty.posterior_hash,
        recipe=recipe_hash(question.recipe),
        library=importlib.metadata.version("physics-twin"),
        code=code_hash(),
        redrawn=draws.redrawn,
        sampling=choice.sampling,
    )


def _bindings(
    problem: Problem, requirements: Sequence[Requirement], choice: Choice, margins: Sequence[Margin]
) -> tuple[Binding, ...]:
    """Limits and bounds with a multiplier, in SI, the limits first; margins: of the limits at the point."""
    limits, bounds = multipliers(choice.explored, choice.point)
    unit = choice.explored.landscape.targets[0].unit
    found = [
        Binding(r.name, float(m), unit / r.unit, kept.assured > 0.0)
        for r, m, kept in zip(requirements, limits, margins, strict=True)
        if m > 0.0
    ]
    widths = problem.high - problem.low
    for setting, m, width in zip(problem.settings, bounds, widths, strict=True):
        if m != 0.0:
            side, edge = ("lower", setting.bounds[0]) if m > 0.0 else ("upper", setting.bounds[1])
            name = f"{side} bound of {setting.name}, {format_si(edge, setting.unit)}"
            found.append(Binding(name, float(abs(m) / width), unit / setting.unit))
    return tuple(found)


def _slices(problem: Problem, choice: Choice) -> xr.Dataset:
    """First objective and level along each setting through the point, from the interpolation."""
    line = np.linspace(0.0, 1.0, N_SLICE)
    landscape = choice.explored.landscape
    variables, coordinates = {}, {}
    for i, setting in enumerate(problem.settings):
        points = np.tile(choice.point, (N_SLICE, 1))
        points[:, i] = line
        level = np.minimum(choice.explored.level(points), 1e300)
        units = {"units": landscape.targets[0].unit.si_text}
        variables[f"objective_{setting.name}"] = (setting.name, landscape.measures(points)[:, 0], units)
        variables[f"margin_{setting.name}"] = (setting.name, level, {"units": "1"})
        coordinates[setting.name] = (setting.name, problem.si(points)[:, i], {"units": setting.unit.si_text})
    return xr.Dataset(variables, coords=coordinates)
