"""Residuals and their Jacobian at a point of the search: one simulation per experiment.

Residuals are kept in SI (observed - bias - model) and whitened by whoever knows the noise, since estimated noise
changes between iterations and simulations are what costs. Derivatives are exact where the model gives them; for other
names they are differences whose step is far above integrator noise: two simulations with rtol 1e-6 differ by 1e-6 for
no reason but their steps in time, and over SciPy's default step of 1e-8 that is a slope of 100.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.checkpoints import NO_MEMO, Memo
from physics_twin.errors import ExperimentFailed, RecipeError, SolveError
from physics_twin.estimation.problem import ChannelData, Problem, Task, TimeGrid, time_grid
from physics_twin.model import Sensitivities
from physics_twin.posterior.delayed_nodes import Rates, by_delay, rates
from physics_twin.posterior.observation import Nodes, Reading, read
from physics_twin.posterior.prediction import simulate_outputs
from physics_twin.priors import Prior


@dataclass(frozen=True)
class Point:
    """Residuals in SI and their derivative with respect to the search coordinates."""

    z: Array
    x: Array
    residual: Array
    """(n_data,) observed - bias - model."""
    jacobian: Array
    """(n_data, d) d residual / d z; empty (0, d) when not asked for."""
    prior: Array
    """(d,) residuals of the priors, each on its own."""
    prior_slope: Array
    """(d,) their derivative with respect to z."""
    coupling: Array | None = None
    """(d, d) that makes residuals of correlated priors independent; None where all are."""
    extra: Array | None = None
    """(n_data,) SI^2: variance of each sample beyond its noise, from uncertain sampling times; None for none."""
    extra_jacobian: Array | None = None
    """(n_data, d) its derivative with respect to z; None where it is none or not asked for."""

    @property
    def prior_residual(self) -> Array:
        """(d,) independent residuals of the priors: -2 log prior is their sum of squares."""
        return self.prior if self.coupling is None else self.coupling @ self.prior

    @property
    def prior_jacobian(self) -> Array:
        """(d, d) derivative of `prior_residual` with respect to z."""
        return np.diag(self.prior_slope) if self.coupling is None else self.coupling * self.prior_slope


@dataclass(frozen=True)
class Differences:
    """How derivatives are approximated where the model gives none."""

    step: float
    """Share of the scale of a parameter."""
    central: bool


def evaluate(problem: Problem, z: Array, differences: Differences | None, memo: Memo = NO_MEMO) -> Point:
    """Residuals at z; with `differences` their Jacobian too. Raises ExperimentFailed.

    memo: where the simulations are remembered.
    """
    found = memo.recall(f"evaluate {differences}", (z,), lambda: _simulated(problem, z, differences))
    x = problem.space.x(z)
    prior, prior_slope = prior_at(problem, x)
    slope = prior_slope * problem.space.slope(x)
    extra, extra_jacobian = found.get("extra"), found.get("extra_jacobian")
    if differences is None:
        extra_jacobian = None
    return Point(
        z.copy(), x, found["residual"], found["jacobian"], prior, slope, problem.coupling, extra, extra_jacobian
    )


def _simulated(problem: Problem, z: Array, differences: Differences | None) -> dict[str, Array]:
    """ "residual" (n_data,) and "jacobian" (n_data, d) with respect to z, or (0, d) without `differences`.

    Where times are uncertain, "extra" and "extra_jacobian" likewise.
    """
    space = problem.space
    x = space.x(z)
    n_data, parts = problem.n_data, 2 if problem.uncertain_times else 1
    shown = np.empty((parts, n_data))
    jacobian = np.zeros((parts, n_data if differences else 0, z.size))
    slope = space.slope(x)
    for task in problem.tasks:
        try:
            if differences is None:
                shown[:, task.rows] = shown_by(problem, task, x)
            else:
                own, j = _linearized(problem, task, x)
                shown[:, task.rows] = own
                jacobian[:, task.rows] = j * slope
                for column, _ in task.differenced:
                    jacobian[:, task.rows, column] = difference(problem, task, z, column, own, differences)
        except SolveError as error:
            raise named(error, task.name) from error
        except RecipeError as error:
            raise of_recipe(error, task.name) from error
    found = {"residual": shown[0], "jacobian": jacobian[0]}
    return found if parts == 1 else {**found, "extra": shown[1], "extra_jacobian": jacobian[1]}


def prior_at(problem: Problem, x: Array) -> tuple[Array, Array]:
    """Residuals (d,) of the priors at x, and their derivatives with respect to x; zero where there is none."""
    pairs = [
        (0.0, 0.0) if c.parameter.prior is None else _prior(c.parameter.prior, float(x[j]))
        for j, c in enumerate(problem.columns)
    ]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


def _prior(prior: Prior, x: float) -> tuple[float, float]:
    return prior.residual(x), prior.residual_slope(x)


def named(error: SolveError, experiment: str) -> ExperimentFailed:
    """The error of a simulation with the name of its experiment."""
    failed = ExperimentFailed(error.reason, time=error.time, values=error.values, state=error.state)
    failed.experiment = experiment
    return failed


def of_recipe(error: RecipeError, experiment: str) -> RecipeError:
    """What is wrong with a recipe, with the name of its experiment."""
    return RecipeError(f'experiment "{experiment}": {error}')


def values_at(task: Task, x: Array) -> dict[str, float]:
    """What the model of one experiment is told at x."""
    values = dict(task.fixed)
    for column, name in (*task.exact, *task.differenced):
        if name in values:
            values[name] = float(x[column])
    return values


def grid_at(task: Task, x: Array) -> TimeGrid:
    """When the model of one experiment is asked at x."""
    if task.grid is not None:
        return task.grid
    delays = [c.delay if c.delay_column < 0 else float(x[c.delay_column]) for c in task.channels]
    return time_grid(task.channels, delays, task.course)


def residuals(problem: Problem, task: Task, x: Array) -> Array:
    """Residuals (n,) of one experiment from one simulation."""
    return np.asarray(shown_by(problem, task, x)[0])


def shown_by(problem: Problem, task: Task, x: Array) -> Array:
    """Residuals of one experiment from one simulation, (1, n); with uncertain times (2, n), extra variances below."""
    grid = grid_at(task, x)
    outputs = simulate_outputs(problem.model, task.recipe, grid.times, values_at(task, x))
    return _shown(problem, task, outputs, grid, x)


def _shown(problem: Problem, task: Task, outputs: Array, grid: TimeGrid, x: Array) -> Array:
    parts = list(zip(task.channels, grid.rows, strict=True))
    residual = np.concatenate([channel_residual(c, outputs, r, x) for c, r in parts])
    if not problem.uncertain_times:
        return residual[None]
    return np.stack([residual, np.concatenate([extra_variance(c, outputs, r) for c, r in parts])])


def channel_residual(c: ChannelData, outputs: Array, rows: "NDArray[np.intp] | Nodes", x: Array) -> Array:
    """Residuals (n,) of one channel: observed - bias - model."""
    bias = c.bias if c.bias_column < 0 else float(x[c.bias_column])
    shown = read(rows, outputs).value if isinstance(rows, Nodes) else outputs[rows, c.output_index]
    return np.asarray(c.observed - bias - shown)


def extra_variance(c: ChannelData, outputs: Array, rows: "NDArray[np.intp] | Nodes") -> Array:
    """Variance (n,) SI^2 of each sample of a channel from its uncertain time; zero where that is certain."""
    extra = read(rows, outputs).extra if isinstance(rows, Nodes) else None
    return np.zeros(c.observed.size) if extra is None else extra


def _linearized(problem: Problem, task: Task, x: Array) -> tuple[Array, Array]:
    """What `shown_by` gives (parts, n) and its exact derivatives (parts, n, d) with respect to x.

    Zero in the columns that are differenced.
    """
    d = x.size
    n = task.rows.stop - task.rows.start
    jacobian = np.zeros((2 if problem.uncertain_times else 1, n, d))
    first = jacobian[0]
    delayed = problem.exact_time and any(c.delay_column >= 0 for c in task.channels)
    if task.exact or delayed:
        model = problem.model
        assert isinstance(model, Sensitivities)
        wrt = [name for _, name in task.exact] + (["time"] if delayed else [])
        grid = grid_at(task, x)
        rows, values = grid.rows, values_at(task, x)
        outputs, slopes, _ = model.sensitivity(grid.times, task.recipe, values, wrt)
        if not (np.isfinite(outputs).all() and np.isfinite(slopes).all()):
            raise SolveError(
                "the model returned a number that is not finite", time=float(grid.times[-1]), values=values
            )
        shown = _shown(problem, task, outputs, grid, x)
        columns = [column for column, _ in task.exact]
        begin = 0
        for c, r in zip(task.channels, rows, strict=True):
            block = slice(begin, begin + c.observed.size)
            begin = block.stop
            if isinstance(r, Nodes):
                reading = read(r, outputs)
                jacobian[:, block] = _over_windows(reading, slopes, columns, jacobian[:, block])
                if delayed and c.delay_column >= 0 and c.windows is not None:
                    rate = rates(c.windows, r, float(x[c.delay_column]), task.course)
                    moved = _moved(reading, outputs, slopes[..., -1], rate)
                    jacobian[:, block, c.delay_column] = moved[: len(jacobian)]
                continue
            first[block, columns] = -slopes[r, c.output_index, : len(columns)]
            if delayed and c.delay_column >= 0:
                # d/d delay of y(t - delay) is -dy/dt; nothing changes while the sensor still shows the beginning
                moving = c.times > float(x[c.delay_column])
                first[block, c.delay_column] = np.where(moving, slopes[r, c.output_index, -1], 0.0)
    else:
        shown = shown_by(problem, task, x)
    begin = 0
    for c in task.channels:
        block = slice(begin, begin + c.observed.size)
        if c.bias_column >= 0:
            first[block, c.bias_column] = -1.0
        begin += c.observed.size
    return shown, jacobian


def _over_windows(reading: Reading, slopes: Array, columns: list[int], jacobian: Array) -> Array:
    """The derivatives (parts, n, d) of a channel that looks over windows, its delay left out."""
    found = jacobian.copy()
    for part, sign in enumerate((-1.0, 1.0)[: len(found)]):
        if part == 1 and reading.extra is None:
            continue
        found[part][:, columns] = sign * reading.derivative(slopes[..., : len(columns)], part == 1)
    return found


def _moved(reading: Reading, outputs: Array, in_time: Array, rate: Rates) -> Array:
    """Derivatives (2, n) of residual and extra variance with respect to the delay."""
    value, extra = by_delay(reading, outputs, in_time, rate)
    return np.stack([-value, extra])


def difference(problem: Problem, task: Task, z: Array, column: int, at: Array, how: Differences) -> Array:
    """One column of the derivatives by differences: forward or central, away from a bound.

    at: what `shown_by` gives at z. Where a simulation fails, the difference is taken on the other side.
    """
    low, high = problem.space.low[column], problem.space.high[column]
    step = how.step
    sides: list[tuple[float, Array]] = []
    failure: SolveError | None = None
    toward = 1.0 if high - z[column] >= step or high - z[column] >= z[column] - low else -1.0
    for sign in (toward, -toward):
        moved = z.copy()
        moved[column] = min(max(z[column] + sign * step, low), high)
        if moved[column] == z[column]:
            continue
        try:
            sides.append((moved[column] - z[column], shown_by(problem, task, problem.space.x(moved))))
        except SolveError as error:
            failure = error
            continue
        if not how.central:
            break
    if not sides:
        raise failure or SolveError("a parameter whose bounds leave it no room cannot be differenced", time=0.0)
    if len(sides) == 1:
        return (sides[0][1] - at) / sides[0][0]
    (ha, a), (hb, b) = sides
    # Both slopes weighted so that the curvature cancels, also for unequal steps.
    return np.asarray(((a - at) / ha * -hb + (b - at) / hb * ha) / (ha - hb))
