"""recertify(): the certificate of an envelope computed anew, anywhere, by whoever has the model and the posterior.

With the posterior of the envelope the split of the draws is repeated from the seed, so that what the search saw does
not certify the second time either, and the numbers come out bit for bit. With another model, some of the search draws
look for its worst points first. All draws of another posterior are unseen; a few of them look for the worst points of
the range under the new posterior, the others certify. That is one test, decided on before any draw is looked at, so it
may use all of the error.
"""

import importlib.metadata
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope.arguments import refuse_wrong_kinds, refuse_wrong_options
from physics_twin.envelope.certificate.certificate import (
    Attempt,
    Certificate,
    attempt_error,
    draws_needed,
    lower_bounds,
    violations_allowed,
)
from physics_twin.envelope.certificate.confirmation import N_WORST
from physics_twin.envelope.envelope import Envelope
from physics_twin.envelope.files.named_function import NamedFunction
from physics_twin.envelope.files.records import identity
from physics_twin.envelope.limits.allowed import Group, groups_of, violations
from physics_twin.envelope.limits.limits import Limit, bind_limits
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.resume import remembering, replays_said
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.draws import (
    Draws,
    certified_anew,
    draw_hashes,
    fresh_for,
    split_draws,
    unseen_draws,
)
from physics_twin.envelope.next_batch.uncertainty import Batches, draws_hash
from physics_twin.envelope.question import Question
from physics_twin.envelope.reporting import counted, reporting
from physics_twin.envelope.sampling import MOST, Sampling, check_sampling
from physics_twin.envelope.search import recipe_hash, seed_text
from physics_twin.errors import EnvelopeError
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import generator
from physics_twin.source import code_hash
from physics_twin.units import format_si

logger = logging.getLogger(__name__)

N_SCOUTS = 16
"""Draws that look for the worst points; they do not certify."""
LOG2_LOOKED_AT = 7
"""Settings at which they look: this power of two, spread over the range."""


@dataclass(frozen=True, eq=False)
class Recertification:
    """A certificate computed anew, and what is different from the first one."""

    certificate: Certificate
    changes: tuple[str, ...]
    """What differs from what the envelope was certified with, in words; none for the same inputs."""
    reproduced: bool
    """Whether counts and bounds are those of the envelope, bit for bit."""
    worst: str
    """The worst point and what was found there, in words."""

    @property
    def passed(self) -> bool:
        """Whether the range keeps its claim."""
        return self.certificate.passed

    def __bool__(self) -> bool:
        """Whether the range keeps its claim."""
        return self.passed

    def __str__(self) -> str:
        """Verdict, worst point and changes."""
        c = self.certificate
        verdict = "the claim holds" if self.passed else "the claim is NOT shown"
        lines = [
            f"recertification: {verdict} with confidence {c.confidence:g} "
            f"({c.n_certification} draws at {len(c.points)} points)",
            f"  worst point: {self.worst}",
        ]
        if self.reproduced:
            lines.append("  every count and bound is that of the envelope")
        lines += [f"  changed: {change}" for change in self.changes]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class _Trial:
    """What is tried: on which draws, where, and at which error."""

    draws: Draws
    points: Array
    """(n_points, d) SI."""
    error: float
    """At each point and group."""
    before: tuple[Attempt, ...]
    """Attempts whose error was spent before."""
    sampling: Sampling | None
    n_nodes: int


def recertify(
    envelope: Envelope,
    model: Model,
    posterior: Posterior,
    *,
    limits: Sequence[Limit] | None = None,
    rng: int | np.random.Generator | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Recertification:
    """The certificate of `envelope` computed anew with this model and posterior.

    limits: those of the envelope once more; needed where one is a function of your own and the envelope comes from a
    file, which holds no functions. rng: the one of the envelope where it was a generator; left out, its seed is used.
    checkpoint, executor, progress: as of `find_envelope`.

    Raises EnvelopeError for an empty envelope, other limits, another seed with the same posterior, a posterior that
    holds some draws of the first one beside others, or too few draws; ModelError for a posterior of another model;
    UnknownNameError for a model without an output or setting.
    """
    refuse_wrong_kinds(model=model, posterior=posterior)
    refuse_wrong_options(limits=limits, rng=rng, checkpoint=checkpoint, executor=executor)
    question, old = _question(envelope, limits), envelope.certificate
    bound = bind_limits(question.limits, model.outputs, model.inputs)
    n_nodes = old.n_nodes(question.budget.n_nodes)
    simulate = Simulator(Problem(model, question.recipe, question.settings, bound, n_nodes), executor)
    _refuse_other_limits(envelope, simulate.problem)
    posterior_hash = draws_hash(posterior)
    seed = _seed(envelope, question, rng, posterior_hash == old.posterior)
    more = {"points": identity(old.points), "attempts": identity(old.attempts)}
    journal = remembering(checkpoint, question, model, posterior_hash, seed_text(seed), "recertification", more)
    with journal as memo, reporting(progress, logger, "recertify", "certificate") as show:
        simulate.memo, report = memo, replays_said(counted(show, simulate), memo)
        tried = _tried(envelope, question, simulate, posterior, seed, report)
        simulate.problem = replace(simulate.problem, n_nodes=tried.n_nodes)
        report(f"{tried.draws.held.n} draws at {len(tried.points)} points")
        certificate = _certificate(envelope, question, simulate, tried, seed_text(seed))
    reproduced = np.array_equal(certificate.violations, old.violations) and np.array_equal(
        certificate.lower_bounds, old.lower_bounds
    )
    changes = _changes(envelope, question, certificate, posterior_hash == old.posterior and not reproduced)
    return Recertification(certificate, changes, reproduced, _worst_text(envelope, certificate))


def _tried(
    envelope: Envelope,
    question: Question,
    simulate: Simulator,
    posterior: Posterior,
    seed: int | np.random.Generator,
    report: Callable[[str], None],
) -> _Trial:
    """What has to be tried: the same again, or more where the model or the draws are others."""
    problem, old = simulate.problem, envelope.certificate
    groups = groups_of(problem.requirements, question.probability)
    number: int | None = None
    before: tuple[Attempt, ...] = ()
    if draws_hash(posterior) == old.posterior:
        anew = old.redrawn != ""
        if anew:
            _refuse_without_origin(old, posterior)
        own = generator(seed)
        draws = split_draws(problem, posterior, question, own, n_fresh=old.n_certification if anew else 0)
        number, before = len(old.attempts) - 1, old.attempts[:-1]
        # What the attempt had spent; never more than its share, whatever a file says.
        error = min(old.attempts[-1].error, attempt_error(question.confidence, number, old.violations.size))
        if _same_margins(envelope, question, problem.model):
            _refuse_too_few(draws, groups, error, len(old.points))
            return _Trial(draws, old.points, error, before, old.sampling, problem.n_nodes)
        scouts = draws.search.take(np.arange(min(N_SCOUTS, draws.search.n)))
    else:
        own = _stream_of(seed, posterior)
        draws = unseen_draws(problem, posterior, question, own, N_SCOUTS)
        if _seen(old, posterior):
            draws = replace(draws, held=draws.held.take(np.zeros(0, dtype=np.int64)))
        scouts = draws.search
    report(f"{scouts.n} draws look for worst points")
    points = _with_worst(envelope, simulate, scouts, groups)
    error = (1.0 - question.confidence) / (len(points) * len(groups))
    if number is not None:
        error = attempt_error(question.confidence, number, len(points) * len(groups))
    if n_fresh := fresh_for(draws, posterior, question, _needed(groups, error)):
        draws = certified_anew(draws, problem, posterior, question, own, n_fresh)
    _refuse_too_few(draws, groups, error, len(points))
    sampling = _sampling(simulate, scouts, points)
    return _Trial(draws, points, error, before, sampling, sampling.n_nodes if sampling else problem.n_nodes)


def _certificate(envelope: Envelope, question: Question, simulate: Simulator, tried: _Trial, seed: str) -> Certificate:
    draws, points, error, model = tried.draws, tried.points, tried.error, simulate.problem.model
    groups = groups_of(simulate.problem.requirements, question.probability)
    broken = violations(simulate.at(draws.held, points), groups)
    bounds = lower_bounds(broken, draws.n_effective, draws.independence, error)
    passed = bool((bounds >= np.array([group.probability for group in groups])).all())
    attempt = Attempt(
        passed,
        envelope.box,
        error,
        tuple(violations_allowed(draws.n_effective, group.probability, error) for group in groups),
        tuple(int(n) for n in broken.max(axis=0)),
        len(points),
    )
    return Certificate(
        passed=passed,
        groups=groups,
        confidence=question.confidence,
        n_draws=draws.search.n + draws.held.n,
        n_search=draws.search.n,
        n_certification=draws.held.n,
        n_effective=draws.n_effective,
        points=points,
        violations=broken,
        lower_bounds=bounds,
        attempts=(*tried.before, attempt),
        n_simulations=simulate.n_simulations,
        seed=seed,
        model=f"{model.name} {model.version}",
        fingerprint=model.fingerprint,
        posterior=draws.uncertainty.posterior_hash,
        recipe=recipe_hash(question.recipe),
        library=importlib.metadata.version("physics-twin"),
        code=code_hash(),
        sampling=tried.sampling,
        redrawn=draws.redrawn,
        draws=envelope.certificate.draws,
    )


def _same_margins(envelope: Envelope, question: Question, model: Model) -> bool:
    """Whether margins are computed as they were: by the same model, with the same functions in limits."""
    old = envelope.certificate
    return (model.fingerprint, f"{model.name} {model.version}") == (
        old.fingerprint,
        old.model,
    ) and not _other_functions(envelope, question)


def _other_functions(envelope: Envelope, question: Question) -> list[str]:
    """Changes of functions in limits, in words."""
    return [
        f'the function "{before.over.name}" of the limit on "{now.output}": its source is another one'
        for before, now in zip(envelope.question.limits, question.limits, strict=False)
        if isinstance(before.over, NamedFunction) and not before.over.stands_for(now.over)
    ]


def _stream_of(seed: int | np.random.Generator, posterior: Posterior) -> np.random.Generator:
    """A stream of random numbers that belongs to this posterior.

    With the seed alone new draws would get the batch-to-batch variation that the search saw on the old ones.
    """
    return np.random.default_rng([int(generator(seed).integers(2**63)), int(draws_hash(posterior), 16)])


def _question(envelope: Envelope, limits: Sequence[Limit] | None) -> Question:
    """The question with limits that can be computed."""
    if envelope.empty:
        raise EnvelopeError(f"an empty envelope has nothing to certify: {envelope.message}")
    question = envelope.question
    if limits is not None:
        return replace(question, limits=tuple(limits))
    for limit in question.limits:
        if isinstance(limit.over, NamedFunction):
            raise EnvelopeError(
                f'the limit on "{limit.output}" is about the function "{limit.over.name}", and a file holds no '
                "functions: give the limits once more, recertify(..., limits=[...])"
            )
    return question


def _refuse_other_limits(envelope: Envelope, problem: Problem) -> None:
    given = {r.name: (r.output, r.level) for r in problem.requirements}
    stated = {m.limit: (m.output, m.level) for m in envelope.margins}
    for name, (output, level) in stated.items():
        if name not in given:
            raise EnvelopeError(f'the envelope keeps the limit "{name}", which is not among those given: find it anew')
        if given[name][0] != output or not np.isclose(given[name][1], level, rtol=1e-12, atol=0.0):
            raise EnvelopeError(f'the limit "{name}" is another one than that of the envelope; find it anew')
    more = [name for name in given if name not in stated]
    if more:
        raise EnvelopeError(f'the envelope knows no limit "{more[0]}"; for other limits find it anew')


def _seed(
    envelope: Envelope, question: Question, rng: int | np.random.Generator | None, same_draws: bool
) -> int | np.random.Generator:
    """The seed or generator of the draws, which must be the first one where the posterior is the same."""
    chosen = question.seed if rng is None else rng
    if not same_draws:
        return 0 if chosen is None else chosen
    if chosen is None:
        raise EnvelopeError(
            "the envelope was found with a generator, and which draws its search saw follows from the state that it "
            "had: give the same one, recertify(..., rng=...), or a posterior with new draws"
        )
    if seed_text(chosen) != envelope.certificate.seed:
        raise EnvelopeError(
            f"the posterior is that of the envelope and rng is not (its seed is {envelope.certificate.seed}): with "
            "another split of the draws, some that the search saw would certify. Leave rng out, or sample the "
            "posterior anew"
        )
    return chosen


def _sampling(simulate: Simulator, scouts: Batches, points: Array) -> Sampling | None:
    """The samples that the courses of the scouts need at `points` (n, d) SI; raises as `check_sampling`."""
    problem = simulate.problem
    if not any(r.reduction.dense for r in problem.requirements):
        return None
    margins = simulate.at(scouts, points)
    return check_sampling(simulate, scouts, problem.cube(points), margins, MOST * problem.n_nodes)


def _with_worst(envelope: Envelope, simulate: Simulator, scouts: Batches, groups: Sequence[Group]) -> Array:
    """The certified points (n, d) SI, and the worst ones that the scouts find elsewhere in the range."""
    names = [s.name for s in envelope.settings]
    inside = envelope.polytope
    points = envelope.certificate.points
    if inside is None:
        low, high = (np.array([envelope.box[name][i] for name in names]) for i in (0, 1))
    else:
        low, high = inside.vertices.min(axis=0), inside.vertices.max(axis=0)
    spread = low + qmc.Sobol(len(names), scramble=False).random_base2(LOG2_LOOKED_AT) * (high - low)
    if inside is not None:
        spread = spread[inside.contains(spread)]
    if len(spread) == 0:
        return points
    margins = simulate.at(scouts, spread)
    broken = (violations(margins, groups) / scouts.n).max(axis=1)
    # Where no scout breaks a limit, the least margin in units of its spread says where one comes closest.
    size = np.nanstd(margins.reshape(-1, margins.shape[2]), axis=0) if np.isfinite(margins).any() else 1.0
    least = np.nan_to_num(margins / np.where(size > 0.0, size, 1.0), nan=-np.inf).min(axis=(1, 2))
    worst = np.lexsort((least, -broken))[: N_WORST[min(len(names), 3) - 1]]
    return np.concatenate([points, spread[worst]])


def _refuse_too_few(draws: Draws, groups: Sequence[Group], error: float, n_points: int) -> None:
    needed = _needed(groups, error)
    if draws.n_effective < needed:
        strictest = max(group.probability for group in groups)
        raise EnvelopeError(
            f"too few draws: {draws.n_effective:.0f} independent ones certify, and {needed} without a violation are "
            f"needed to show {strictest:g} at {n_points} points; give more draws"
        )


def _needed(groups: Sequence[Group], error: float) -> int:
    """Independent draws without a violation that show what is required of every group."""
    return max(draws_needed(group.probability, error) for group in groups)


def _refuse_without_origin(old: Certificate, posterior: Posterior) -> None:
    if posterior.origin is None:
        raise EnvelopeError(
            f"the envelope was certified on draws made anew from {old.redrawn}, and this posterior, which has the same "
            "draws, does not say how more of them are made: give the posterior as it was fitted or saved"
        )


def _seen(old: Certificate, posterior: Posterior) -> bool:
    """Whether some draws were looked at before, so that only fresh ones may certify; raises where none can be made."""
    hashes = draw_hashes(posterior)
    if old.draws is None or len(np.unique(hashes)) == 1:  # nothing uncertain: what varies is drawn for each batch
        return False
    again = int(np.isin(hashes, old.draws).sum())
    if again and posterior.origin is None:
        raise EnvelopeError(
            f"{again} of the {len(hashes)} draws of this posterior are among those that the envelope was made with, so "
            "they cannot certify it as new ones: give the posterior of the envelope as it was, or draws of which none "
            "is an old one (another seed, or only what a chain added)"
        )
    return again > 0


def _changes(envelope: Envelope, question: Question, new: Certificate, unexplained: bool) -> tuple[str, ...]:
    old = envelope.certificate
    found = []
    if new.fingerprint != old.fingerprint or new.model != old.model:
        found.append(
            f"the model: {new.model} (fingerprint {new.fingerprint[:12]}), was {old.model} ({old.fingerprint[:12]})"
        )
    if new.posterior != old.posterior:
        found.append(
            f"the posterior: {new.posterior}, was {old.posterior}; {new.n_certification} draws that no search has seen "
            f"certify, {new.n_search} others looked for worst points"
        )
    if new.recipe != old.recipe:
        found.append(f"the recipe: {new.recipe}, was {old.recipe}")
    if new.library != old.library:
        found.append(f"the library: physics_twin {new.library}, was {old.library}")
    if old.code not in ("", new.code):
        found.append(f"the library's code: {new.code}, was {old.code}")
    found += _other_functions(envelope, question)
    if new.sampling is not None and new.sampling.doubt and new.sampling != old.sampling:
        found.append(f"courses have {new.sampling.n_nodes} samples in each phase now: {new.sampling.doubt}")
    if unexplained and not found:
        found.append("counts or bounds, with the same inputs: the file was changed, or the model is not repeatable")
    return tuple(found)


def _worst_text(envelope: Envelope, certificate: Certificate) -> str:
    """The point whose bound lies lowest against what is required, and what was found there."""
    row = certificate.worst
    required = np.array([group.probability for group in certificate.groups])
    group = int(np.argmin(certificate.lower_bounds[row] - required))
    at = ", ".join(
        f"{s.name} = {format_si(float(x), s.unit)}"
        for s, x in zip(envelope.settings, certificate.points[row], strict=True)
    )
    n = certificate.n_certification
    broken = int(certificate.violations[row, group])
    return (
        f"{at}: {certificate.groups[group].name} kept in {n - broken} of {n} draws, at least "
        f"{certificate.lower_bounds[row, group]:.4g} where {required[group]:g} is required"
    )
