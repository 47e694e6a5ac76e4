"""Sources of uncertainty of the next batch, one by one, and the batches as they would be if one of them were smaller.

A source is a column of numbers, one for each draw: a parameter as the posterior knows it, the scatter of a parameter
from batch to batch, the error with which a setting is hit, the noise of a reading. Narrowing brings the column closer
to its mean. Parameters are correlated in a posterior: where one of them is learned better, the others follow their
regression on it, which is exactly what a further measurement of that parameter would do to a Gaussian posterior.
Parameters that are searched on a logarithmic scale are narrowed on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.next_batch.uncertainty import Batches, next_batches
from physics_twin.envelope.question import Question
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import bound_initials, generator
from physics_twin.priors import Prior
from physics_twin.units import Unit

PARAMETER, SCATTER, TOLERANCE, READING = "parameter", "batch to batch", "tolerance", "reading"


@dataclass(frozen=True, eq=False)
class Source:
    """One thing that is not known about the next batch."""

    name: str
    """As tables call it."""
    kind: str
    """PARAMETER, SCATTER, TOLERANCE or READING."""
    of: str
    """The parameter, setting or reading."""
    column: Array
    """(n_draws,) SI."""
    unit: Unit
    """Unit in which its spread is shown, as a difference."""

    @property
    def sd(self) -> float:
        """SI."""
        return float(self.column.std(ddof=1))


@dataclass(frozen=True, eq=False)
class Known:
    """The draws of the next batches, taken apart by source."""

    batches: Batches
    """As they are."""
    learned: Mapping[str, Array]
    """Parameter -> (n_draws,) SI, what the posterior knows, without scatter from batch to batch."""
    scatter: Mapping[str, Array]
    """Parameter -> (n_draws,) SI, added to it."""
    parameters: Mapping[str, Parameter]
    sources: tuple[Source, ...]

    def narrowed(self, source: Source, share: float) -> Batches:
        """The batches with the spread of one source at `share` of what it is; parameters stay within their bounds."""
        if source.kind == TOLERANCE:
            errors = {**self.batches.setting_errors, source.of: share * source.column}
            return replace(self.batches, setting_errors=errors)
        if source.kind == READING:
            return replace(self.batches, noise={**self.batches.noise, source.of: share * source.column})
        learned, scatter = dict(self.learned), dict(self.scatter)
        if source.kind == SCATTER:
            # A batch that is drawn from a prior has a mean, one that scatters about the draw has none of its own.
            middle = source.column.mean() if source.of not in learned else 0.0
            scatter[source.of] = middle + share * (source.column - middle)
        else:
            learned = self._learned_better(source.of, share)
        values = dict(self.batches.values)
        for name in {*learned, *scatter}:
            value = learned.get(name, 0.0) + scatter.get(name, 0.0)
            values[name] = self._bounded(name, np.asarray(value))
        return replace(self.batches, values=values)

    def _learned_better(self, name: str, share: float) -> dict[str, Array]:
        found = dict(self.learned)
        own = self._search_scale(name, found[name])
        moved = (share - 1.0) * (own - own.mean())
        variance = own.var()
        for other, column in self.learned.items():
            scaled = self._search_scale(other, column)
            slope = 1.0 if other == name else float(np.mean((scaled - scaled.mean()) * (own - own.mean())) / variance)
            found[other] = self._from_search_scale(other, scaled + slope * moved)
        return found

    def _on_log_scale(self, name: str) -> bool:
        return name in self.parameters and self.parameters[name].log_scale and bool((self.learned[name] > 0.0).all())

    def _search_scale(self, name: str, column: Array) -> Array:
        return np.log(column) if self._on_log_scale(name) else column

    def _from_search_scale(self, name: str, column: Array) -> Array:
        return np.exp(column) if self._on_log_scale(name) else column

    def _bounded(self, name: str, column: Array) -> Array:
        return np.clip(column, *self.parameters[name].bounds) if name in self.parameters else column


def known_about(problem: Problem, posterior: Posterior, question: Question, n_draws: int) -> Known:
    """The draws of a question, at most `n_draws` of them, taken apart by source; the same seed as the question's."""
    seed = 0 if question.seed is None else question.seed
    given = {
        "recipe": question.recipe,
        "settings": question.settings,
        "tolerance": question.tolerance,
        "held": question.values,
        "requirements": problem.requirements,
    }
    model = problem.model
    both = [
        next_batches(
            model,
            posterior,
            batch_variation=variation,
            rng=generator(seed),
            **given,  # type: ignore[arg-type]
        ).batches
        for variation in ({}, question.batch_variation)
    ]
    rows = np.arange(both[0].n)
    if len(rows) > n_draws:
        rows = np.sort(np.random.default_rng(seed).choice(both[0].n, n_draws, replace=False))
    plain, full = (batches.take(rows) for batches in both)
    bound = bound_initials(question.recipe, model)
    varied = question.batch_variation
    learned, scatter = {}, {}
    for name, column in plain.values.items():
        if column.ndim != 1 or name in bound:
            continue
        if isinstance(varied.get(name), Prior):
            scatter[name] = full.values[name]
            continue
        if np.ptp(column) > 0.0:
            learned[name] = column
        if name in varied and np.ptp(full.values[name] - column) > 0.0:
            learned[name], scatter[name] = column, full.values[name] - column
    parameters = {name: model.parameters[name] for name in plain.values if name in model.parameters}
    return Known(full, learned, scatter, parameters, _sources(problem, full, learned, scatter, parameters))


def _sources(
    problem: Problem,
    full: Batches,
    learned: Mapping[str, Array],
    scatter: Mapping[str, Array],
    parameters: Mapping[str, Parameter],
) -> tuple[Source, ...]:
    settings = {s.name: s.unit for s in problem.settings}
    units = {**{s.name: s.unit for s in problem.recipe.settings.values()}, **settings}
    units |= {name: p.unit for name, p in parameters.items()}
    found = [Source(name, PARAMETER, name, x, units[name]) for name, x in learned.items() if np.ptp(x) > 0.0]
    found += [Source(f"{name}, batch to batch", SCATTER, name, x, units[name]) for name, x in scatter.items()]
    found += [
        Source(f"tolerance of {name}", TOLERANCE, name, x, units[name])
        for name, x in full.setting_errors.items()
        if np.ptp(x) > 0.0
    ]
    readings = {r.reading: r.unit for r in problem.requirements}
    found += [Source(f"reading of {name}", READING, name, x, readings[name]) for name, x in full.noise.items()]
    return tuple(found)
