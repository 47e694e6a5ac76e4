"""From the attempts to an Envelope: a box with its claims, or the reason why there is none."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.attempts import Simulator, Trial
from physics_twin.envelope.certificate import Certificate, lower_bound
from physics_twin.envelope.check import ranges_known
from physics_twin.envelope.design_space import climbed, relative_cloud
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.question import Question
from physics_twin.envelope.region import region_data
from physics_twin.envelope.set_point import SETTING_BOUND, Margin, best_point, binding_sides, margins_at
from physics_twin.envelope.surrogate import shares, violations
from physics_twin.envelope.uncertainty import Batches, Uncertainty
from physics_twin.envelope.validity import trust_warnings
from physics_twin.posterior import Posterior
from physics_twin.signals import Setting
from physics_twin.units import format_si

ROOM = 1e-4
"""Relative width below which a range is no range for an operator."""


@dataclass(frozen=True)
class Inputs:
    """What was asked for, as far as the outcome has to repeat it."""

    question: Question
    posterior: Posterior
    uncertainty: Uncertainty
    search: Batches
    held: Batches
    independence: float
    """Effective draws for each draw."""
    seed: str
    recipe_hash: str

    @property
    def probability(self) -> float:
        """Required of all limits that have no probability of their own."""
        return self.question.probability

    @property
    def confidence(self) -> float:
        """With which the certificate is stated."""
        return self.question.confidence


def outcome(inputs: Inputs, simulate: Simulator, trial: Trial, cloud: Array) -> Envelope:
    """The envelope of a trial; simulates the recommended point on both halves of the draws."""
    problem, space, box = simulate.problem, trial.space, trial.box
    names = [s.name for s in problem.settings]
    tolerance = np.array([inputs.uncertainty.tolerance.get(name, 0.0) for name in names])
    k = min(trial.k, inputs.search.n - 1)
    warnings: list[str] = []
    if box is None:
        k = int((1.0 - inputs.probability) * inputs.search.n)
        point = climbed(space, cloud[int(np.argmax(space.level(cloud, k)))], k)
    else:
        point = best_point(space, box, k, tolerance / (problem.high - problem.low))
    both = np.concatenate([simulate(inputs.search, point[None])[0], simulate(inputs.held, point[None])[0]])
    margins = margins_at(both, problem.requirements, inputs.probability)
    certificate = _certificate(inputs, simulate, trial)
    at = _named(names, problem.si(point))
    if box is None:
        best = float(shares(both[None])[0, 0])
        message = _why_empty(
            inputs, trial, space.probability(cloud), margins, best, _settings_text(problem.settings, at)
        )
        points = problem.si(point[None])
        probability, lower, average = best, 0.0, best
        ranges, set_point, binding = {}, {}, {}
    else:
        at_points = shares(trial.margins)[:, 0]
        probability, lower = float(at_points.min()), float(certificate.lower_bounds.min())
        average = float(space.probability(box.at(relative_cloud(len(names))))[:, 0].mean())
        low, high = problem.si(box.low), problem.si(box.high)
        ranges = {n: (float(a), float(b)) for n, a, b in zip(names, low, high, strict=True)}
        set_point = at
        sides = binding_sides(space, box, problem.requirements, k)
        binding = dict(zip(names, sides, strict=True))
        message = _summary(inputs, binding)
        points = np.concatenate([trial.points[: 2 ** len(names)], point[None]])
        points = problem.si(points)
        warnings += [
            f"{name} has no room: its range is {width:.1g} of what was searched"
            for name, width in zip(names, box.widths, strict=True)
            if width < ROOM
        ]
    if not trial.settled:
        warnings.append("the box was still moving when the budget of simulations was spent: it may not be the largest")
    if len(simulate.failures) > 0:
        share = len(simulate.failures) / simulate.n_simulations
        warnings.append(
            f"{len(simulate.failures)} of {simulate.n_simulations} simulations failed ({share:.2%}) and counted as "
            f"violations; the first: {simulate.failures[0].reason}"
        )
    warnings += trust_warnings(problem, inputs.posterior, inputs.held, points)
    return Envelope(
        box=ranges,
        settings=problem.settings,
        set_point=set_point,
        required=inputs.probability,
        probability=probability,
        probability_lower=lower,
        average=average,
        confidence=inputs.confidence,
        binding=binding,
        margins=margins,
        margins_at=at,
        includes=inputs.uncertainty.includes,
        warnings=(*inputs.uncertainty.notes, *warnings),
        certificate=certificate,
        region=region_data(problem, space, point, inputs.probability),
        failures=tuple(simulate.failures),
        empty=box is None,
        message=message,
        question=inputs.question,
        space=space,
        known_ranges=ranges_known(problem.settings, inputs.posterior.coverage, problem.model.validity),
    )


def _named(names: Sequence[str], values: Array) -> dict[str, float]:
    return {name: float(x) for name, x in zip(names, values, strict=True)}


def _settings_text(settings: Sequence[Setting], values: dict[str, float]) -> str:
    return ", ".join(f"{s.name} = {format_si(values[s.name], s.unit)}" for s in settings)


def _certificate(inputs: Inputs, simulate: Simulator, trial: Trial) -> Certificate:
    n_effective = inputs.independence * inputs.held.n
    broken = violations(trial.margins)
    bounds = [lower_bound(inputs.independence * v, n_effective, trial.error) for v in broken]
    model = simulate.problem.model
    return Certificate(
        passed=trial.box is not None,
        probability=inputs.probability,
        confidence=inputs.confidence,
        n_draws=inputs.search.n + inputs.held.n,
        n_search=inputs.search.n,
        n_certification=inputs.held.n,
        n_effective=n_effective,
        points=simulate.problem.si(trial.points),
        violations=broken,
        lower_bounds=np.array(bounds),
        attempts=trial.attempts,
        n_simulations=simulate.n_simulations,
        seed=inputs.seed,
        model=f"{model.name} {model.version}",
        fingerprint=model.fingerprint,
        posterior=inputs.uncertainty.posterior_hash,
        recipe=inputs.recipe_hash,
        library=importlib.metadata.version("physics-twin"),
    )


def _summary(inputs: Inputs, binding: dict[str, tuple[str, str]]) -> str:
    ends = [end for sides in binding.values() for end in sides]
    claim = f"all limits are met with a probability of at least {inputs.probability:g} at every point of the box"
    if all(end == SETTING_BOUND for end in ends):
        return f"{claim}; no limit binds: the bounds of the settings end every side of the box"
    limits = list(dict.fromkeys(end for end in ends if end != SETTING_BOUND))
    more = " and by bounds of the settings" if SETTING_BOUND in ends else ""
    return f"{claim}; the box is ended by " + " and ".join(limits) + more


def _why_empty(inputs: Inputs, trial: Trial, map_: Array, margins: Sequence[Margin], best: float, where: str) -> str:
    """map_: predicted probability (n, 1 + n_requirements) over the settings."""
    p = inputs.probability
    if best >= p:
        if trial.attempts:
            last = trial.attempts[-1]
            tried = "the box" if len(trial.attempts) == 1 else f"the last of {len(trial.attempts)} boxes"
            why = (
                f"{tried} that was tried broke limits in {last.violations} of {inputs.held.n} held-out draws at its "
                f"worst point, where {last.allowed} were allowed"
            )
        else:
            why = "the search finds no box with the slack that a certificate from so many draws needs"
        n = inputs.search.n + inputs.held.n
        return (
            f"no box can be certified at {p:g} with confidence {inputs.confidence:g}, although {where} meets all "
            f"limits in {best:.3f} of {n} draws: {why}; give more draws, or relax a limit"
        )
    worst_margin = min(margins, key=lambda m: (m.probability, m.assured))
    j = [m.limit for m in margins].index(worst_margin.limit)
    alone = float(map_[:, 1 + j].max())
    text = (
        f"no settings within their bounds meet the limits with probability {p:g}; the closest, {where}, reach "
        f"{best:.3f}. "
    )
    if np.isfinite(worst_margin.assured):
        short = format_si(max(-worst_margin.assured, 0.0), worst_margin.unit, difference=True)
        shortfall = f'"{worst_margin.limit}" is short by {short} there'
    else:
        shortfall = f'"{worst_margin.limit}" is met in {worst_margin.probability:.3f} of the draws, the rest failed'
    if alone < p:
        return f"{text}{shortfall}: it cannot be met anywhere, even alone (at best with probability {alone:.3f})"
    others = [m.limit for m in margins if m is not worst_margin and m.probability < 1.0]
    against = " and ".join(f'"{name}"' for name in others) if others else "the other limits"
    return f"{text}{shortfall}: it can be met alone, but not together with {against}"
