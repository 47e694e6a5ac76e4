"""A recipe simulated on draws: margins, the objective and the courses; each piece of it remembered once it is there."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Arrays, Memo
from physics_twin.envelope.files.records import identity
from physics_twin.envelope.limits.requirements import Requirement, margins_of, moments
from physics_twin.envelope.margins.members import simulate_members
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.optimal_recipe.task import Task
from physics_twin.envelope.set_point.objectives import Target
from physics_twin.model import Failure, Model
from physics_twin.recipes import Recipe

MEMBERS_AT_ONCE = 200
"""The piece that one worker takes, and that a kill loses: it returns whole courses, which costs memory."""
AFTER = 1e-7
"""Share of its moment by which a sample stands behind a step: outputs at the step are those before it."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What every draw makes of one recipe."""

    margins: Array
    """(n_draws, n_requirements) SI; NaN where the simulation failed."""
    objective: Array
    """(n_draws,) SI."""
    times: Array
    """(n_times,) s."""
    quantiles: Array
    """(3, n_times, n_outputs) SI: 0.025, 0.5 and 0.975."""
    failures: tuple[Failure, ...]


type _Result = tuple[Array, Array, Array, Array, tuple[Failure, ...]]
"""Margins, objective, times and outputs of a piece, and the members that failed."""


@dataclass(frozen=True)
class _Job:
    model: Model
    recipe: Recipe
    requirements: tuple[Requirement, ...]
    target: Target
    n_nodes: int
    corners: tuple[float, ...]
    """s: where a free input steps or bends; a sample stands on either side."""


def outcomes(
    task: Task,
    recipe: Recipe,
    batches: Batches,
    settings: Mapping[str, float],
    n_nodes: int,
    executor: Executor | None = None,
) -> Outcomes:
    """Simulate a recipe on all batches, or read from the task's memo; settings: those that were chosen, SI."""
    wanted = {*task.model.parameters.names, *recipe.settings}
    values = {name: column for name, column in batches.values.items() if name in wanted}
    for name in (n for n in recipe.settings if n in settings):
        values[name] = np.full(batches.n, settings[name])
    job = _Job(task.model, recipe, task.requirements, task.target, n_nodes, _corners(task, recipe))
    starts = range(0, batches.n, MEMBERS_AT_ONCE)
    pieces = [{name: v[i : i + MEMBERS_AT_ONCE] for name, v in values.items()} for i in starts]
    results = _results(job, pieces, executor, task.memo)
    failures: list[Failure] = []
    for first, result in zip(starts, results, strict=True):
        failures += [Failure(first + f.member, f.reason, f.time) for f in result[4]]
    outputs = np.concatenate([result[3] for result in results])
    good = np.isfinite(outputs).all(axis=(1, 2))
    levels = np.full((3, *outputs.shape[1:]), np.nan)
    if good.any():
        levels = np.quantile(outputs[good], (0.025, 0.5, 0.975), axis=0)
    objective = np.concatenate([result[1] for result in results])
    if task.target.of_setting:
        objective = np.full(batches.n, settings[task.target.output])
    margins = np.concatenate([result[0] for result in results])
    return Outcomes(margins, objective, results[0][2], levels, tuple(failures))


def _results(job: _Job, pieces: Sequence[Mapping[str, Array]], executor: Executor | None, memo: Memo) -> list[_Result]:
    """What each piece gives; those that the journal knows are read from it."""
    run = map if executor is None else executor.map
    if memo.path is None:
        return list(run(_piece, [job] * len(pieces), pieces))
    about = f"courses {identity(replace(job, model=job.model.fingerprint))}"  # type: ignore[arg-type]
    asked = [(f"{about} {' '.join(p)}", tuple(np.asarray(v, dtype=float) for v in p.values())) for p in pieces]
    new = [i for i, (name, numbers) in enumerate(asked) if not memo.knows(name, numbers)]
    for i, result in zip(new, run(_piece, [job] * len(new), [pieces[i] for i in new]), strict=True):
        memo.recall(*asked[i], partial(_written, result))
    known = [memo.recall(*one, partial(_computed, job, piece)) for one, piece in zip(asked, pieces, strict=True)]
    return [_read(arrays) for arrays in known]


def _computed(job: _Job, piece: Mapping[str, Array]) -> Arrays:
    return _written(_piece(job, piece))


def _written(result: _Result) -> Arrays:
    told = json.dumps([[f.member, f.reason, f.time] for f in result[4]])
    arrays = dict(zip(("margins", "objective", "times", "outputs"), result[:4], strict=True))
    return {**arrays, "failures": np.frombuffer(told.encode(), dtype=np.uint8)}


def _read(arrays: Arrays) -> _Result:
    told = json.loads(np.asarray(arrays["failures"], dtype=np.uint8).tobytes())
    failures = tuple(Failure(int(member), str(why), float(time)) for member, why, time in told)
    return arrays["margins"], arrays["objective"], arrays["times"], arrays["outputs"], failures


def _corners(task: Task, recipe: Recipe) -> tuple[float, ...]:
    """Inner corners of all profiles, s."""
    if recipe.duration is None:
        return ()
    every = np.unique(np.concatenate([profile.corners for profile in task.profiles]))
    return tuple((every[1:-1] * recipe.duration).tolist())


def _piece(job: _Job, values: Mapping[str, Array]) -> _Result:
    target = job.target
    after = {corner * (1.0 + AFTER): corner for corner in job.corners}
    at = sorted({*moments(job.requirements), *target.reduction.moments, *after, *after.values()})
    times, outputs, failures = simulate_members(job.model, job.recipe, values, job.n_nodes, at)
    for late, corner in after.items():
        times[times == late] = corner  # two samples of one moment mark a step, which no reduction smooths
    margins = margins_of(job.requirements, times, outputs) if job.requirements else np.zeros((len(outputs), 0))
    margins[~np.isfinite(outputs).all(axis=(1, 2))] = np.nan
    objective = np.zeros(len(outputs))
    if not target.of_setting:
        course = outputs[:, :, target.column]
        objective = target.reduction(times, course, target.side, target.output_unit)
    good = np.flatnonzero(np.isfinite(outputs).all(axis=(1, 2)))
    shown = times[good[0]] if good.size else times[0]
    return margins, objective, shown, outputs, failures


def single(values: Mapping[str, float]) -> Batches:
    """One batch of these values."""
    return Batches({name: np.asarray([value], dtype=float) for name, value in values.items()}, {}, 1)
