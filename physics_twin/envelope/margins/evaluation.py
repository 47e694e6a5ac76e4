"""Margins by simulation: every possible next batch at every setting asked for.

Limits without a fault share one run of each member; those under the same fault share the runs in which it happens.
A simulation that fails leaves NaN margins and a record; whoever counts takes NaN for a violation, since a run that
cannot be computed cannot be claimed to keep its limits.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO, Memo
from physics_twin.envelope.files.records import identity
from physics_twin.envelope.limits.faults import BoundFault
from physics_twin.envelope.limits.requirements import Requirement, margins_of, moments
from physics_twin.envelope.margins.fault_runs import Runs, margins_under, n_runs
from physics_twin.envelope.margins.kept_model import packed, unpacked
from physics_twin.envelope.margins.members import AFTER_JUMP, Begun, phase_times, simulate_members
from physics_twin.envelope.margins.remembered import MEMBERS_AT_ONCE, in_pieces, piece_size
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.errors import EnvelopeError
from physics_twin.model import Failure, Model
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting

NODES_AT_ONCE = 2000 * 128
"""Bounds memory where a phase has many samples."""


@dataclass(frozen=True)
class Problem:
    """What does not change while an envelope is searched."""

    model: Model
    recipe: Recipe
    settings: tuple[Setting, ...]
    requirements: tuple[Requirement, ...]
    n_nodes: int
    """Samples for each phase, where a limit looks at the whole course."""

    @property
    def faults(self) -> tuple[BoundFault, ...]:
        """The different faults that requirements are under."""
        return tuple(dict.fromkeys(r.fault for r in self.requirements if r.fault is not None))

    @property
    def n_runs(self) -> int:
        """Simulations of each member: one that follows the recipe where a limit needs it, and those under faults."""
        n_phases = len(self.recipe.phases)
        own = int(any(r.fault is None or r.fault.at is None for r in self.requirements))
        return own + sum(n_runs(f, sum(r.fault == f for r in self.requirements), n_phases) for f in self.faults)

    @property
    def low(self) -> Array:
        """(n_settings,) lower bounds, SI."""
        return np.array([s.bounds[0] for s in self.settings])

    @property
    def high(self) -> Array:
        """(n_settings,) upper bounds, SI."""
        return np.array([s.bounds[1] for s in self.settings])

    def si(self, points: Array) -> Array:
        """Settings in SI (n, d) from points of the unit cube."""
        return self.low + points * (self.high - self.low)

    def cube(self, settings: Array) -> Array:
        """Points of the unit cube from settings in SI."""
        return (settings - self.low) / (self.high - self.low)

    def __reduce__(self) -> tuple[object, ...]:
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "model"}
        return _arrived, (packed(self.model), rest)


def _arrived(model: bytes, rest: Mapping[str, Any]) -> Problem:
    """A problem in the process to which it was sent, which may have had its model before."""
    return Problem(model=unpacked(model), **rest)


@dataclass(frozen=True)
class FailedRun:
    """A simulation that failed while the envelope was searched; it counted as a violation."""

    settings: Mapping[str, float]
    """As set, SI."""
    values: Mapping[str, float]
    """Parameters of the batch, SI."""
    reason: str
    time: float
    """s"""


@dataclass(frozen=True)
class Evaluation:
    """Margins of all batches at some points."""

    margins: Array
    """(n_points, n_batches, n_requirements) SI; NaN where the simulation failed."""
    failures: tuple[FailedRun, ...]
    n_simulations: int


def evaluate(
    problem: Problem, batches: Batches, points: Array, executor: Executor | None = None, memo: Memo = NO_MEMO
) -> Evaluation:
    """Margins at `points` (n_points, n_settings) SI for every batch; memo: remembers what was simulated before."""
    n_points, n = len(points), batches.n
    values = members_at(problem, batches, points)
    total = n_points * n
    size = max(1, min(piece_size(problem.model), NODES_AT_ONCE // problem.n_nodes))
    pieces = [slice(i, min(i + size, total)) for i in range(0, total, size)]
    jobs = [{name: v[piece] for name, v in values.items()} for piece in pieces]
    about = identity(replace(problem, model=problem.model.fingerprint)) if memo.path else ""  # type: ignore[arg-type]
    results = in_pieces(member_margins, problem, jobs, executor, memo, about)
    margins = np.concatenate([r[0] for r in results]).reshape(n_points, n, len(problem.requirements))
    for j, requirement in enumerate(problem.requirements):
        if requirement.noise:
            margins[:, :, j] -= requirement.side * _error_of(requirement, batches)
    failures: list[FailedRun] = []
    for piece, (_, failed) in zip(pieces, results, strict=True):
        for failure in failed:
            point, draw = divmod(piece.start + failure.member, n)
            failures.append(
                FailedRun(
                    {s.name: float(x) for s, x in zip(problem.settings, points[point], strict=True)},
                    {name: float(v[draw]) for name, v in batches.values.items() if v.ndim == 1},
                    failure.reason,
                    failure.time,
                )
            )
    return Evaluation(margins, tuple(failures), total * problem.n_runs)


def members_at(problem: Problem, batches: Batches, points: Array) -> dict[str, Array]:
    """Values of every batch at every point (n_points, n_settings) SI: name -> (n_points * n_batches,), points first."""
    n_points, n = len(points), batches.n
    values = {name: np.tile(v, (n_points, *[1] * (v.ndim - 1))) for name, v in batches.values.items()}
    for j, setting in enumerate(problem.settings):
        column = np.repeat(points[:, j], n)
        if setting.name in batches.setting_errors:
            column = column + np.tile(batches.setting_errors[setting.name], n_points)
        values[setting.name] = column
    return values


def _error_of(requirement: Requirement, batches: Batches) -> Array:
    if requirement.reading not in batches.noise:
        raise EnvelopeError(
            f'"{requirement.name}" is on a reported value, and these batches were drawn without its measurement noise'
        )
    return batches.noise[requirement.reading]


def member_margins(problem: Problem, values: Mapping[str, Array]) -> tuple[Array, tuple[Failure, ...]]:
    """Margins (n_members, n_requirements) of true values and the failures of one piece of work; runs in a worker."""
    requirements = problem.requirements
    begun = phase_times(problem.model, problem.recipe, values)
    margins, told = _undisturbed(problem, values, begun)
    failures = {failure.member: failure for failure in told}
    for fault in problem.faults:
        columns = [j for j, r in enumerate(requirements) if r.fault == fault]
        some = tuple(requirements[j] for j in columns)
        runs = Runs(problem.model, problem.recipe, values, begun, fault, some, problem.n_nodes)
        margins[:, columns], more = margins_under(runs, margins[:, columns])
        failures = {failure.member: failure for failure in more} | failures
    failed = ~np.isfinite(margins).all(axis=1)
    for i in np.flatnonzero(failed):
        if int(i) not in failures:
            failures[int(i)] = Failure(int(i), unfinished(problem.requirements, margins[i]), float(begun[0][i, -1]))
    margins[failed] = np.nan
    return margins, tuple(failures.values())


def _undisturbed(problem: Problem, values: Mapping[str, Array], begun: Begun) -> tuple[Array, tuple[Failure, ...]]:
    """Margins of all requirements in runs that follow the recipe; zeros where each has a fault in every run."""
    requirements, ends = problem.requirements, begun[0][:, -1]
    faults = [r.fault for r in requirements]
    if not any(f is None or f.at is None or bool((ends <= f.at).any()) for f in faults):
        return np.zeros((len(ends), len(requirements))), tuple(begun[1])
    n_nodes = problem.n_nodes if any(r.reduction.dense for r in requirements) else 0
    times, outputs, failures = simulate_members(
        problem.model, problem.recipe, values, n_nodes, moments(requirements), begun
    )
    return margins_of(requirements, times, outputs), failures


def unfinished(requirements: Sequence[Requirement], margins: Array) -> str:
    """Why a run that came to its end has not all margins (n_requirements,)."""
    which = [r.name for r, m in zip(requirements, margins, strict=True) if not np.isfinite(m)]
    return f'"{which[0]}" has no value: the run ends before the moment it is about, or the output is not finite'


__all__ = [
    "AFTER_JUMP",
    "MEMBERS_AT_ONCE",
    "Evaluation",
    "FailedRun",
    "Problem",
    "evaluate",
    "member_margins",
    "phase_times",
    "simulate_members",
    "unfinished",
]
