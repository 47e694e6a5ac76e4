"""Simulations of all members: together where the model can, one by one elsewhere, in chunks that an executor shares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.checkpoints import Arrays, Memo
from physics_twin.errors import CalibrationError, RecipeError, SolveError
from physics_twin.estimation.evaluation import channel_residual, grid_at, named, of_recipe, residuals, values_at
from physics_twin.estimation.multistart import failed
from physics_twin.estimation.problem import Problem, Task
from physics_twin.estimation.work import Work
from physics_twin.model import Ensembles
from physics_twin.posterior import FailedSimulation

TOGETHER = 64
"""Members of a chunk that the model runs at once. Chunks never depend on the number of workers: members that are
integrated together share their steps."""
ONE_BY_ONE = 4
LEAST_LEFT = 10
"""Members below which a covariance says nothing."""
MOST_LOST = 0.5
"""Share of the members that may fail."""


@dataclass(frozen=True)
class Forecast:
    """What the members predict."""

    residual: Array
    """(N, n_data) SI, observed - bias - model; NaN for members that are masked."""
    active: NDArray[np.bool_]
    """(N,)"""
    failures: tuple[FailedSimulation, ...]


def forecast(problem: Problem, x: Array, active: NDArray[np.bool_], work: Work, what: str) -> Forecast:
    """Residuals of the active members, x (N, d) SI.

    Raises CalibrationError where so many members failed that the rest does not make an ensemble.
    """
    rows = np.flatnonzero(active)
    size = TOGETHER if isinstance(problem.model, Ensembles) else ONE_BY_ONE
    chunks = [rows[i : i + size] for i in range(0, rows.size, size)]
    results = work.run(what, _chunk, [(problem, x[chunk]) for chunk in chunks])
    residual = np.full((active.size, problem.n_data), np.nan)
    left = active.copy()
    failures: list[FailedSimulation] = []
    for chunk, (found, errors) in zip(chunks, results, strict=True):
        residual[chunk] = found
        left[chunk[~np.isfinite(found).all(axis=1)]] = False
        failures += [_record(problem, x[chunk[i]], reason, time, where) for i, reason, time, where in errors]
    n, n_left = active.size, int(left.sum())
    if n_left < max(LEAST_LEFT, (1.0 - MOST_LOST) * n):
        reasons = list(dict.fromkeys(f.sentence for f in failures))
        raise CalibrationError(
            f"{n - n_left} of {n} members failed to simulate, and {n_left} are too few to go on with: "
            f"{'; '.join(reasons[:4])}. Narrow the priors or bounds to where the model can run; pt.simulate(model, "
            "...) shows one run"
        )
    residual[~left] = np.nan
    return Forecast(residual, left, tuple(failures))


def _record(problem: Problem, x: Array, reason: str, time: float, where: str) -> FailedSimulation:
    error = named(SolveError(reason, time=time), where)
    return failed(problem, problem.space.z(x), error)


type Errors = list[tuple[int, str, float, str]]
"""Member of the chunk, reason, time in s, experiment."""


def _chunk(problem: Problem, x: Array, memo: Memo) -> tuple[Array, Errors]:
    """Residuals (k, n_data), NaN where a simulation failed."""
    if isinstance(problem.model, Ensembles):
        found = memo.recall("members", (x,), lambda: _together(problem, x))
        errors = zip(found["member"], found["reason"], found["time"], found["experiment"], strict=True)
        return found["residual"], [(int(i), str(reason), float(t), str(name)) for i, reason, t, name in errors]
    residual = np.full((len(x), problem.n_data), np.nan)
    failures: Errors = []
    for i, own in enumerate(x):
        try:
            residual[i] = memo.recall("member", (own,), lambda own=own: _alone(problem, own))["residual"]  # type: ignore[misc]
        except SolveError as error:
            failures.append((i, error.reason, error.time, getattr(error, "experiment", "")))
    return residual, failures


def _alone(problem: Problem, x: Array) -> Arrays:
    found = np.empty(problem.n_data)
    for task in problem.tasks:
        try:
            found[task.rows] = residuals(problem, task, x)
        except SolveError as error:
            raise named(error, task.name) from error
        except RecipeError as error:
            raise of_recipe(error, task.name) from error
    return {"residual": found}


def _together(problem: Problem, x: Array) -> Arrays:
    """Residuals and failures of all members of a chunk, experiment after experiment."""
    residual = np.full((len(x), problem.n_data), np.nan)
    failures: Errors = []
    for task in problem.tasks:
        try:
            residual[:, task.rows], errors = _experiment(problem, task, x)
        except RecipeError as error:
            raise of_recipe(error, task.name) from error
        failures += errors
    columns: list[tuple[object, ...]] = list(zip(*failures, strict=True)) if failures else [(), (), (), ()]
    return {
        "residual": residual,
        "member": np.array(columns[0], dtype=np.intp),
        "reason": np.array(columns[1], dtype=str),
        "time": np.array(columns[2], dtype=float),
        "experiment": np.array(columns[3], dtype=str),
    }


def _experiment(problem: Problem, task: Task, x: Array) -> tuple[Array, Errors]:
    """Residuals (k, n) of one experiment. Delays move the times of each member; grids of unequal size run alone."""
    model = problem.model
    assert isinstance(model, Ensembles)
    grids = [grid_at(task, own) for own in x]
    residual = np.full((len(x), task.rows.stop - task.rows.start), np.nan)
    failures: Errors = []
    if len({grid.times.size for grid in grids}) > 1:
        for i, own in enumerate(x):
            try:
                residual[i] = residuals(problem, task, own)
            except SolveError as error:
                failures.append((i, error.reason, error.time, task.name))
        return residual, failures
    times = grids[0].times if task.grid is not None else np.stack([grid.times for grid in grids])
    told = [values_at(task, own) for own in x]
    values = {name: np.array([one[name] for one in told], dtype=float) for name in told[0]}
    outputs, _, lost = model.trajectories(times, task.recipe, values)
    failures += [(f.member, f.reason, f.time, task.name) for f in lost]
    known = {f.member for f in lost}
    for i in range(len(x)):
        if i in known:
            continue
        if not np.isfinite(outputs[i]).all():
            failures.append((i, "the model returned a number that is not finite", float(np.max(times)), task.name))
            continue
        parts = zip(task.channels, grids[i].rows, strict=True)
        try:
            residual[i] = np.concatenate([channel_residual(c, outputs[i], r, x[i]) for c, r in parts])
        except SolveError as error:  # a mean over nothing
            failures.append((i, error.reason, error.time, task.name))
    return residual, failures
