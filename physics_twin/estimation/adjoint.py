"""Residuals at a point of the search and products with their transposed Jacobian: one forward run per experiment, and
one backward run per experiment and product.

What a model's adjoints do not know is added here: biases are exact, delays are columns by differences (a delay moves
the times at which the outputs are read).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO, Memo
from physics_twin.errors import ModelError, RecipeError, SolveError
from physics_twin.estimation.evaluation import (
    Differences,
    Point,
    channel_residual,
    difference,
    extra_variance,
    grid_at,
    named,
    of_recipe,
    prior_at,
    shown_by,
    values_at,
)
from physics_twin.estimation.problem import Problem, Task
from physics_twin.estimation.unknowns import Kind
from physics_twin.model import Adjoints, Model, Pull
from physics_twin.posterior.observation import Nodes, read

CENTRAL = Differences(1e-3, True)
"""For delays: their steps are shares of a modest change, and there are few of them."""


@dataclass(frozen=True)
class Pulled:
    """Residuals at a point, its Jacobian J known through products with J^T."""

    point: Point
    """Without a Jacobian."""
    transpose: Callable[..., Array]
    """v (n_data,) -> J^T v (d,), with J = d residual / d z; v, u (n_data,) -> J^T v + E^T u, with E = d extra / d z."""


def require_adjoints(model: Model) -> Adjoints:
    """The model as one that runs backward. Raises ModelError for one that does not."""
    if not isinstance(model, Adjoints):
        raise ModelError(
            f'model "{model.name}" has no adjoints (a method `pullback`, see physics_twin.model.Adjoints), which '
            "QuasiNewton needs; use method=GaussNewton(), which takes the sensitivities of a model or differences"
        )
    return model


type Back = Callable[[Array, Array | None], Array]
"""v, u (n,) of one experiment -> J^T v + E^T u (d,) with respect to x."""


def pull_back(problem: Problem, z: Array, memo: Memo = NO_MEMO) -> Pulled:
    """Residuals at z and the products with their transposed Jacobian. Raises ExperimentFailed, from both.

    memo: where both are remembered; a forward run that is remembered is done again only for a product that is not.
    """
    space = problem.space
    x = space.x(z)
    ran: list[tuple[Array, list[tuple[Task, Back]]]] = []

    def forward() -> tuple[Array, list[tuple[Task, Back]]]:
        if not ran:
            ran.append(_forward(problem, z, x))
        return ran[0]

    def transpose(v: Array, u: Array | None = None) -> Array:
        at = (z, v) if u is None else (z, v, u)
        return memo.recall("backward", at, lambda: {"gradient": _backward(forward()[1], z.size, v, u)})[
            "gradient"
        ] * space.slope(x)

    shown = memo.recall("forward", (z,), lambda: {"shown": forward()[0]})["shown"]
    prior, prior_slope = prior_at(problem, x)
    empty = np.zeros((0, z.size))
    extra = shown[1] if problem.uncertain_times else None
    point = Point(z.copy(), x, shown[0], empty, prior, prior_slope * space.slope(x), problem.coupling, extra)
    return Pulled(point, transpose)


def _forward(problem: Problem, z: Array, x: Array) -> tuple[Array, list[tuple[Task, Back]]]:
    """What `shown_by` gives of all experiments (parts, n_data), and their backward runs."""
    model = require_adjoints(problem.model)
    shown = np.empty((2 if problem.uncertain_times else 1, problem.n_data))
    parts: list[tuple[Task, Back]] = []
    for task in problem.tasks:
        try:
            shown[:, task.rows], back = _of_task(problem, model, task, z, x)
        except SolveError as error:
            raise named(error, task.name) from error
        except RecipeError as error:
            raise of_recipe(error, task.name) from error
        parts.append((task, back))
    return shown, parts


def _backward(parts: list[tuple[Task, Back]], d: int, v: Array, u: Array | None) -> Array:
    """J^T v + E^T u (d,) with respect to x, of all experiments."""
    gradient = np.zeros(d)
    for task, back in parts:
        own, varied = v[task.rows], None if u is None else u[task.rows]
        if own.any() or (varied is not None and varied.any()):
            try:
                gradient += back(own, varied)
            except SolveError as error:
                raise named(error, task.name) from error
    return gradient


def _of_task(problem: Problem, model: Adjoints, task: Task, z: Array, x: Array) -> tuple[Array, Back]:
    """What `shown_by` gives (parts, n), and v, u (n,) -> J^T v + E^T u (d,) with respect to x."""
    grid, values = grid_at(task, x), values_at(task, x)
    acting = [(j, name) for j, name in (*task.exact, *task.differenced) if problem.columns[j].kind is Kind.MODEL]
    columns = [j for j, _ in acting]
    pull: Pull | None = None
    if acting:
        outputs, pull = model.pullback(grid.times, task.recipe, values, [name for _, name in acting])
        if not np.isfinite(outputs).all():
            bad = float(grid.times[int(np.flatnonzero(~np.isfinite(outputs).all(axis=1))[0])])
            raise SolveError("the model returned a number that is not finite", time=bad, values=values)
        parts = list(zip(task.channels, grid.rows, strict=True))
        readings = [read(r, outputs) if isinstance(r, Nodes) else None for r in grid.rows]
        shown = [np.concatenate([channel_residual(c, outputs, r, x) for c, r in parts])]
        if problem.uncertain_times:
            shown.append(np.concatenate([extra_variance(c, outputs, r) for c, r in parts]))
        at = np.stack(shown)
        shape = outputs.shape
    else:
        at, shape, readings = shown_by(problem, task, x), (0, 0), []
    begin = task.rows.start
    blocks = [slice(c.rows.start - begin, c.rows.stop - begin) for c in task.channels]
    delays = {
        c.delay_column: difference(problem, task, z, c.delay_column, at, CENTRAL)
        for c in task.channels
        if c.delay_column >= 0
    }
    slope = problem.space.slope(x)

    def back(v: Array, u: Array | None) -> Array:
        gradient = np.zeros(z.size)
        if pull is not None:
            weights = np.zeros(shape)
            for c, rows, reading, block in zip(task.channels, grid.rows, readings, blocks, strict=True):
                if reading is not None:
                    reading.pull(weights, -v[block], None if u is None else u[block])
                elif not isinstance(rows, Nodes):
                    np.add.at(weights[:, c.output_index], rows, -v[block])
            own = np.asarray(pull(weights), dtype=float)
            if own.shape != (len(columns),):
                raise ModelError(
                    f'pullback of model "{problem.model.name}" returned a gradient of shape {own.shape} for '
                    f"{len(columns)} names"
                )
            if not np.isfinite(own).all():
                raise SolveError("the backward run returned a number that is not finite", time=0.0, values=values)
            gradient[columns] += own
        for c, block in zip(task.channels, blocks, strict=True):
            if c.bias_column >= 0:
                gradient[c.bias_column] -= v[block].sum()
        for column, derivative in delays.items():
            gradient[column] += derivative[0] @ v / slope[column]
            if u is not None:
                gradient[column] += derivative[1] @ u / slope[column]
        return gradient

    return at, back


def differenced(problem: Problem) -> tuple[str, ...]:
    """Names whose derivatives are differences although the model runs backward: delays."""
    return tuple(c.name for c in problem.columns if c.kind is Kind.DELAY)


def with_jacobian(pulled: Pulled, jacobian: Array) -> Point:
    """The point with its Jacobian (n_data, d)."""
    return replace(pulled.point, jacobian=jacobian)
