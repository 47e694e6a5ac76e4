"""From the attempts to an Envelope: a box with its claims, or the reason why there is none."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.attempts import Trial
from physics_twin.envelope.certificate.certificate import Certificate, lower_bounds
from physics_twin.envelope.check import ranges_known
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.limits.allowed import Allowed, Group, claim, violations
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.fault_reach import unreached
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.draws import Draws, draw_hashes
from physics_twin.envelope.question import Question
from physics_twin.envelope.ranges.acceptable import (
    AcceptableRange,
    acceptable_ranges,
    leaving_the_range,
    normal_ranges,
)
from physics_twin.envelope.ranges.aim import Aim
from physics_twin.envelope.ranges.box import Box
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.ranges.operating_polytope import OperatingPolytope
from physics_twin.envelope.ranges.polytope_sides import certified_polytope
from physics_twin.envelope.region.idle_settings import idle_settings, idle_text
from physics_twin.envelope.region.narrowness import N_DRAWS, exact_levels, widths_around
from physics_twin.envelope.region.probing import compass, relative_cloud
from physics_twin.envelope.region.region import region_data
from physics_twin.envelope.region.scouts import few_scouts
from physics_twin.envelope.sampling import refined
from physics_twin.envelope.set_point.landscape import Chosen, best_of_set
from physics_twin.envelope.set_point.set_point import (
    SETTING_BOUND,
    best_point,
    binding_sides,
    inner_box,
    inner_set,
    margins_at,
)
from physics_twin.envelope.validity import trust_marks
from physics_twin.envelope.why_empty import why_empty
from physics_twin.posterior import Posterior
from physics_twin.signals import Setting
from physics_twin.source import code_hash
from physics_twin.units import format_si

ROOM = 1e-4
"""Relative width below which a range is no range for an operator."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What was asked for, as far as the outcome has to repeat it."""

    question: Question
    posterior: Posterior
    draws: Draws
    groups: tuple[Group, ...]
    aim: Aim
    seed: str
    recipe_hash: str


def outcome(inputs: Inputs, simulate: Simulator, trial: Trial, cloud: Array) -> Envelope:
    """The envelope of a trial; simulates the recommended point on both halves of the draws."""
    problem, question, box = simulate.problem, inputs.question, trial.box
    settings = problem.settings
    chosen = None if box is None or not question.objectives else _best(inputs, simulate, trial, box)
    if box is None:
        point = _closest(inputs, simulate, trial, cloud)
    else:
        point = _set_point(inputs, problem, trial, box) if chosen is None else chosen.point
    at = _named(settings, problem.si(point))
    draws = inputs.draws
    both = np.concatenate([simulate(draws.search, point[None])[0], simulate(draws.held, point[None])[0]])
    margins = margins_at(both, problem.requirements, question.probability)
    certificate = _certificate(inputs, simulate, trial)
    binding: dict[str, tuple[str, str]] = {}
    polytope = None if trial.polytope is None else certified_polytope(trial, problem)
    if box is None:
        kept = 1.0 - violations(both[None], inputs.groups)[0] / len(both)
        held = [s for s, is_held in zip(settings, inputs.aim.held, strict=True) if is_held]
        words = _settings_text(settings, at), _settings_text(held, at)
        narrow = _widths_text(inputs, simulate, trial, point, both[: draws.search.n])
        message = why_empty(trial, draws, question.confidence, margins, kept, words, cloud, narrow)
        points = point[None]
        probability, lower, average = float(kept[0]), 0.0, float(kept[0])
    else:
        pulled_in = len(trial.attempts) > 1 and trial.polytope is None
        sides = binding_sides(trial.space, box, problem.requirements, trial.allowed, pulled_in=pulled_in)
        binding = {s.name: ends for s, ends in zip(settings, sides, strict=True)}
        message = _summary(inputs, binding, polytope) + ("" if chosen is None else f"; {chosen.words}")
        ends = trial.points[: 2 ** len(settings)] if trial.polytope is None else trial.polytope.vertices
        points = np.concatenate([ends, point[None]])
        probability = 1.0 - int(certificate.violations[:, 0].max()) / draws.held.n
        lower = float(certificate.lower_bounds[:, 0].min())
        inside = trial.space.group_probability(box.at(relative_cloud(len(settings))), inputs.groups)
        average = float(inside[:, 0].mean())
    marks = trust_marks(problem, inputs.posterior, draws.held, problem.si(points))
    ranges = {} if box is None else _ranges(problem, box)
    acceptable, normal, leaving = _single_ranges(inputs, simulate, trial, point)
    return Envelope(
        box=ranges,
        settings=settings,
        set_point={} if box is None else at,
        required=inputs.groups[0].probability,
        probability=probability,
        probability_lower=lower,
        average=average,
        confidence=question.confidence,
        binding=binding,
        margins=margins,
        margins_at=at,
        includes=(*draws.uncertainty.includes, *(() if trial.sampling is None else (str(trial.sampling),))),
        warnings=(
            *(*draws.uncertainty.notes, *_search_warnings(simulate, trial)),
            *_idle(simulate, draws, trial, point),
            *_faults_unreached(inputs, simulate, trial),
            *few_scouts(len(settings), question.budget.n_scouts),
            *(*leaving, *(mark.text for mark in marks)),
        ),
        certificate=certificate,
        region=region_data(problem, trial.space, point, inputs.groups),
        failures=tuple(simulate.failures),
        empty=box is None,
        message=message,
        asked=question,
        design=trial.space,
        polytope=polytope,
        acceptable=acceptable,
        operating=normal,
        objectives={} if chosen is None else {found.name: found for found in chosen.objectives},
        front=None if chosen is None else chosen.front,
        landscape=None if chosen is None else chosen.landscape,
        known_ranges=ranges_known(settings, inputs.posterior.coverage, problem.model.validity),
        marks=marks,
    )


def _single_ranges(
    inputs: Inputs, simulate: Simulator, trial: Trial, point: Array
) -> tuple[dict[str, AcceptableRange], dict[str, tuple[float, float]], list[str]]:
    """Acceptable and normal operating ranges about the set point (d,) of the cube, and warnings about the latter."""
    if trial.box is None:
        return {}, {}, []
    problem, draws = simulate.problem, inputs.draws
    settings, confidence = problem.settings, inputs.question.confidence
    certified = ConvexSet.of_box(trial.box) if trial.polytope is None else trial.polytope
    normal = normal_ranges(settings, _named(settings, problem.si(point)), draws.uncertainty.tolerance)
    acceptable = acceptable_ranges(
        simulate, draws, trial.space, certified, point, inputs.groups, problem.requirements, settings, confidence
    )
    return acceptable, normal, leaving_the_range(settings, normal, certified, point)


def _set_point(inputs: Inputs, problem: Problem, trial: Trial, box: Box) -> Array:
    spread = inputs.draws.uncertainty.tolerance
    tolerance = np.array([spread.get(s.name, 0.0) for s in problem.settings])
    return best_point(trial.space, box, trial.allowed, tolerance / (problem.high - problem.low))


def _best(inputs: Inputs, simulate: Simulator, trial: Trial, box: Box) -> Chosen:
    """The best point of the certified box, or polytope, for the objectives."""
    problem = simulate.problem
    spread = inputs.draws.uncertainty.tolerance
    tolerance = np.array([spread.get(s.name, 0.0) for s in problem.settings]) / (problem.high - problem.low)
    inside = ConvexSet.of_box(inner_box(box, tolerance))
    if trial.polytope is not None:
        inside = inner_set(trial.polytope, tolerance)
    # Where the landscape is sampled steers the search and decides nothing: one seed for all.
    rng, level = np.random.default_rng(0), partial(trial.space.level, allowed=trial.allowed)
    return best_of_set(simulate, inputs.draws, inputs.question.objectives, inside, rng, level)


def _closest(inputs: Inputs, simulate: Simulator, trial: Trial, cloud: Array) -> Array:
    """The settings that come closest to meeting all limits, among those that the box may not leave out."""
    space, aim = trial.space, inputs.aim
    allowed = Allowed.share(inputs.groups, space.n_draws)
    tried = aim.moved(cloud)
    best = tried[int(np.argmax(space.level(tried, allowed)))]
    best = aim.moved(compass(lambda u: space.level(aim.moved(u), allowed), best))
    # The surrogate may see a peak where there is none: what was simulated may be closer.
    free = (space.points == aim.moved(space.points)).all(axis=1)
    points = np.concatenate([best[None], space.points[free]])
    margins = np.concatenate([simulate(inputs.draws.search, best[None]), space.margins[free]])
    return np.asarray(points[int(np.argmax(exact_levels(space, margins, allowed)))])


def _widths_text(inputs: Inputs, simulate: Simulator, trial: Trial, point: Array, margins: Array) -> str:
    """How wide the region is around a point (d,) of the cube; empty where that is not why no box was tried.

    margins: (n_search, n_requirements) SI there. With the slack that a certificate needs the point must be in the
    region; if it is not, more draws would help, and otherwise they would not.
    """
    if trial.attempts or exact_levels(trial.space, margins[None], trial.allowed)[0] < 0.0:
        return ""
    problem, search = simulate.problem, inputs.draws.search
    few = search.take(np.arange(min(N_DRAWS, search.n)))
    widths = widths_around(lambda u: simulate(few, u), point, inputs.groups) * (problem.high - problem.low)
    pairs = zip(problem.settings, widths, strict=True)
    return " and ".join(f"{format_si(w, s.unit, 2, difference=True)} in {s.name}" for s, w in pairs)


def _faults_unreached(inputs: Inputs, simulate: Simulator, trial: Trial) -> list[str]:
    """Warnings of faults at a moment that some batches in the box do not reach."""
    if trial.box is None:
        return []
    points = trial.box.at(relative_cloud(trial.box.low.size))
    return [found.text("in the box") for found in unreached(simulate, inputs.draws.held, points)]


def _idle(simulate: Simulator, draws: Draws, trial: Trial, point: Array) -> list[str]:
    if trial.box is None:
        return []
    return [idle_text(name) for name in idle_settings(simulate, draws.search, trial.space, trial.box, point)]


def _search_warnings(simulate: Simulator, trial: Trial) -> list[str]:
    found = []
    if trial.box is not None:
        found += [
            f"{setting.name} has no room: its range is {width:.1g} of what was searched"
            for setting, width in zip(simulate.problem.settings, trial.box.widths, strict=True)
            if width < ROOM
        ]
    if not trial.settled:
        found.append("the box was still moving when the budget of simulations was spent: it may not be the largest")
    if trial.sampling is not None and trial.sampling.doubt:
        found.append(refined(trial.sampling.doubt, trial.sampling.n_nodes))
    if len(simulate.failures) > 0:
        share = len(simulate.failures) / simulate.n_simulations
        found.append(
            f"{len(simulate.failures)} of {simulate.n_simulations} simulations failed ({share:.2%}) and counted as "
            f"violations; the first: {simulate.failures[0].reason}"
        )
    return found


def _ranges(problem: Problem, box: Box) -> dict[str, tuple[float, float]]:
    low, high = problem.si(box.low), problem.si(box.high)
    return {s.name: (float(a), float(b)) for s, a, b in zip(problem.settings, low, high, strict=True)}


def _named(settings: Sequence[Setting], values: Array) -> dict[str, float]:
    return {s.name: float(x) for s, x in zip(settings, values, strict=True)}


def _settings_text(settings: Sequence[Setting], values: dict[str, float]) -> str:
    return ", ".join(f"{s.name} = {format_si(values[s.name], s.unit)}" for s in settings)


def _certificate(inputs: Inputs, simulate: Simulator, trial: Trial) -> Certificate:
    draws, model = inputs.draws, simulate.problem.model
    broken = violations(trial.margins, inputs.groups)
    return Certificate(
        passed=trial.box is not None,
        groups=inputs.groups,
        confidence=inputs.question.confidence,
        n_draws=draws.search.n + draws.held.n,
        n_search=draws.search.n,
        n_certification=draws.held.n,
        n_effective=draws.n_effective,
        points=simulate.problem.si(trial.points),
        violations=broken,
        lower_bounds=lower_bounds(broken, draws.n_effective, draws.independence, trial.error),
        attempts=trial.attempts,
        n_simulations=simulate.n_simulations,
        seed=inputs.seed,
        model=f"{model.name} {model.version}",
        fingerprint=model.fingerprint,
        posterior=draws.uncertainty.posterior_hash,
        recipe=inputs.recipe_hash,
        library=importlib.metadata.version("physics-twin"),
        code=code_hash(),
        redrawn=draws.redrawn,
        sampling=trial.sampling,
        draws=draw_hashes(inputs.posterior),
    )


def _summary(inputs: Inputs, binding: dict[str, tuple[str, str]], polytope: OperatingPolytope | None) -> str:
    kind = "box" if polytope is None else "polytope"
    ends = [end for sides in binding.values() for end in sides] if polytope is None else list(polytope.binding)
    stated = f"{claim(inputs.groups)} at every point of the {kind}"
    if all(end == SETTING_BOUND for end in ends):
        return f"{stated}; no limit binds: the bounds of the settings end every side of the {kind}"
    limits = list(dict.fromkeys(end for end in ends if end != SETTING_BOUND))
    more = " and by bounds of the settings" if SETTING_BOUND in ends else ""
    return f"{stated}; the {kind} is ended by " + " and ".join(limits) + more
