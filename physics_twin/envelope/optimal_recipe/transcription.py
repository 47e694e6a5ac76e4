"""The optimization problem: equations at the Radau points, limits of every scenario, one profile for all.

Unknowns are in units of their own: states and algebraic variables over the scale of their block, profiles and settings
as shares of their bounds. What differs between scenarios and rounds (parameters, initial values, held inputs,
back-off) are parameters of the problem, so that it is written down and differentiated once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.reductions import At, Extreme, Final, Integral, Mean, Reduction
from physics_twin.envelope.optimal_recipe.grid import Grid
from physics_twin.envelope.optimal_recipe.task import Task
from physics_twin.envelope.set_point.objectives import CVaR, WorstCase

_INF = float("inf")


@dataclass(frozen=True)
class Scales:
    """SI size of what the optimization works with."""

    states: Array
    algebraic: Array
    margins: Array
    """(n_requirements,)"""
    objective: float


@dataclass(frozen=True, eq=False)
class Written:
    """The problem as symbols, and where everything is."""

    variables: Any
    parameters: Any
    objective: Any
    constraints: Any
    lower: Array
    upper: Array
    constraint_lower: Array
    constraint_upper: Array
    profiles: tuple[slice, ...]
    """Of the variables, one for each profile."""
    settings: slice
    """Of the variables: duration, then charges."""
    states: tuple[slice, ...]
    """Of the variables, one for each scenario: for each element, states of its points, then algebraic variables."""
    extra: slice
    """Of the variables: those above the losses of the objective."""


@dataclass(frozen=True)
class _Frame:
    """What every part of the problem looks at."""

    task: Task
    grid: Grid
    scales: Scales
    span: float
    """s, of the run that the moments of `at` belong to."""
    duration: Any
    """s, a symbol."""
    numbers: tuple[Any, ...]
    """For each profile, SI."""
    chosen: dict[str, Any]
    """Setting -> SI."""


class _Problem:
    """Collects variables and constraints."""

    def __init__(self) -> None:
        self.variables: list[Any] = []
        self.lower: list[Array] = []
        self.upper: list[Array] = []
        self.rows: list[Any] = []
        self.row_lower: list[Array] = []
        self.row_upper: list[Array] = []
        self.size = 0

    def variable(self, name: str, lower: Array, upper: Array) -> tuple[Any, slice]:
        symbol = ca.SX.sym(name, lower.size)
        self.variables.append(symbol)
        self.lower.append(lower)
        self.upper.append(upper)
        self.size += lower.size
        return symbol, slice(self.size - lower.size, self.size)

    def hold(self, rows: Any, lower: float, upper: float) -> None:
        n = int(rows.numel())
        self.rows.append(ca.vec(rows))
        self.row_lower.append(np.full(n, lower))
        self.row_upper.append(np.full(n, upper))


def write(
    task: Task,
    grid: Grid,
    scales: Scales,
    span: float,
    held: Sequence[Collection[int]],
    n_weighed: int,
    *,
    elastic: bool = False,
) -> Written:
    """The problem for scenarios of which the first `n_weighed` make the objective.

    span: s, the present duration. held: for each scenario, which requirements hold in it. elastic: the objective is
    the sum of what the limits are short by, each over its size.
    """
    problem = _Problem()
    numbers, slices = [], []
    for profile in task.profiles:
        own, where = problem.variable(profile.signal.name, np.zeros(profile.n), np.ones(profile.n))
        numbers.append(profile.low + (profile.high - profile.low) * own)
        slices.append(where)
    shares, settings_at = problem.variable("settings", np.zeros(len(task.chosen)), np.ones(len(task.chosen)))
    chosen = {s.name: s.bounds[0] + (s.bounds[1] - s.bounds[0]) * shares[i] for i, s in enumerate(task.chosen)}
    fixed_duration = ca.SX.sym("duration")
    duration = fixed_duration if task.duration is None else chosen[task.duration.name]
    backoff = ca.SX.sym("backoff", len(task.requirements))
    parameters = [fixed_duration, backoff]
    frame = _Frame(task, grid, scales, span, duration, tuple(numbers), chosen)
    _rates(problem, frame)
    element = _element(frame)
    courses, states = [], []
    for k in range(len(held)):
        outputs, where, symbols = _scenario(problem, frame, element, k)
        courses.append(outputs)
        states.append(where)
        parameters += symbols
    short = _limits(problem, frame, courses, held, backoff, elastic)
    begin = problem.size
    objective = ca.sum1(short) if elastic else _objective(problem, frame, courses[:n_weighed])
    return Written(
        ca.vertcat(*problem.variables),
        ca.vertcat(*parameters),
        objective,
        ca.vertcat(*problem.rows),
        np.concatenate(problem.lower),
        np.concatenate(problem.upper),
        np.concatenate(problem.row_lower),
        np.concatenate(problem.row_upper),
        tuple(slices),
        settings_at,
        tuple(states),
        slice(begin, problem.size),
    )


def _rates(problem: _Problem, frame: _Frame) -> None:
    """How fast the free inputs may change."""
    for profile, u in zip(frame.task.profiles, frame.numbers, strict=True):
        if np.isfinite(profile.rate) and profile.n > 1:
            size = profile.high - profile.low
            allowed = profile.rate * frame.duration / (profile.pieces * size)
            change = (u[1:] - u[:-1]) / size
            problem.hold(change - allowed, -_INF, 0.0)
            problem.hold(change + allowed, 0.0, _INF)


def wanted_outputs(task: Task) -> tuple[int, ...]:
    """Outputs that limits and objective look at."""
    columns = {r.column for r in task.requirements} | (set() if task.target.of_setting else {task.target.column})
    return tuple(sorted(columns))


def _element(frame: _Frame) -> ca.Function:
    """One element: (start, states, algebraic, inputs, times, width, p) -> (rows, outputs at the points)."""
    task, grid, scales = frame.task, frame.grid, frame.scales
    eq, points = task.equations, grid.points.size
    n_x, n_z, n_u = len(eq.differential), len(eq.algebraic), len(eq.inputs)
    start = ca.SX.sym("start", n_x)
    x, z, u = ca.SX.sym("x", n_x, points), ca.SX.sym("z", n_z, points), ca.SX.sym("u", n_u, points)
    t, width, p = ca.SX.sym("t", points), ca.SX.sym("width"), ca.SX.sym("p", len(eq.parameters))
    nodes = ca.horzcat(start, x)
    rows, columns = [], []
    for k in range(points):
        here = (t[k], x[:, k] * scales.states, z[:, k] * scales.algebraic, u[:, k], p, ca.SX(0, 1))
        slope = ca.mtimes(nodes, ca.DM(grid.differences[k]))
        rows.append(slope - width * eq.rate(*here) / scales.states)
        if n_z:
            rows.append(eq.residual(*here))
        outputs = eq.output(*here)
        columns.append(ca.vertcat(*(outputs[j] for j in wanted_outputs(task))))
    return ca.Function("element", [start, x, z, u, t, width, p], [ca.vertcat(*rows), ca.horzcat(*columns)])


def _scenario(problem: _Problem, frame: _Frame, element: ca.Function, k: int) -> tuple[Any, slice, list[Any]]:
    """Outputs (n_wanted, n_points) of one scenario, its variables and its parameters."""
    task, grid, scales = frame.task, frame.grid, frame.scales
    eq, points = task.equations, grid.points.size
    n_x, n_z, n_u = len(eq.differential), len(eq.algebraic), len(eq.inputs)
    p = ca.SX.sym(f"p{k}", len(eq.parameters))
    x0 = ca.SX.sym(f"x0_{k}", n_x)
    held = ca.SX.sym(f"u{k}", n_u, grid.n * points)
    inputs = ca.SX(held)
    every, inside = grid.shares.reshape(-1), grid.middles.reshape(-1)
    for profile, own in zip(task.profiles, frame.numbers, strict=True):
        inputs[profile.column, :] = ca.mtimes(ca.DM(ca.sparsify(ca.DM(profile.weights(every, inside)))), own).T
    own_p, start = ca.SX(p), x0 / scales.states
    if task.charges:
        for state, level in task.recipe.initial.items():  # type: ignore[union-attr]  # a steady start was refused
            name = getattr(level, "name", "")
            if name in frame.chosen:
                own_p[eq.parameters.index(f"initial.{state}")] = frame.chosen[name]
        start = eq.initial(own_p)[0] / scales.states
    blocks = {block.name: block for block in task.model.state}
    low = np.array([blocks[name].lower for name in eq.differential]) / scales.states
    high = np.array([blocks[name].upper for name in eq.differential]) / scales.states
    open_z = np.full(n_z * points, _INF)
    lower = np.tile(np.concatenate([np.tile(low, points), -open_z]), grid.n)
    upper = np.tile(np.concatenate([np.tile(high, points), open_z]), grid.n)
    symbol, where = problem.variable(f"states{k}", lower, upper)
    width_of_one, columns = (n_x + n_z) * points, []
    for i in range(grid.n):
        own = symbol[i * width_of_one : (i + 1) * width_of_one]
        x = ca.reshape(own[: n_x * points], n_x, points)
        z = ca.reshape(own[n_x * points :], n_z, points)
        u = inputs[:, i * points : (i + 1) * points]
        times = ca.DM(grid.shares[i]) * frame.duration
        rows, outputs = element(start, x, z, u, times, float(grid.widths[i]) * frame.duration, own_p)
        problem.hold(rows, 0.0, 0.0)
        columns.append(outputs)
        start = x[:, points - 1]
    return ca.horzcat(*columns), where, [p, x0, ca.vec(held)]


def _reduced(course: Any, reduction: Reduction, frame: _Frame) -> Any:
    """What a reduction makes of a course (1, n_points): one number, or all points for an extreme."""
    grid = frame.grid
    if isinstance(reduction, Final):
        return course[-1]
    if isinstance(reduction, Extreme):
        return course.T
    if isinstance(reduction, At):
        element = int(np.argmin(np.abs(grid.edges[1:] - reduction.time / frame.span)))
        return course[(element + 1) * grid.points.size - 1]
    weights = ca.DM((grid.widths[:, None] * grid.weights).reshape(1, -1))
    average = ca.mtimes(weights, course.T)
    if isinstance(reduction, Mean):
        return average
    assert isinstance(reduction, Integral)  # all others were refused
    return average * frame.duration


def _limits(
    problem: _Problem,
    frame: _Frame,
    courses: Sequence[Any],
    held: Sequence[Collection[int]],
    backoff: Any,
    elastic: bool,
) -> Any:
    """Hold limits in the scenarios; what they are short by, for each requirement, where that is allowed."""
    requirements, short = frame.task.requirements, ca.SX(0, 1)
    if elastic:
        n = len(requirements)
        short, _ = problem.variable("short", np.zeros(n), np.full(n, _INF))
    for outputs, columns in zip(courses, held, strict=True):
        for j in sorted(columns):
            requirement = requirements[j]
            course = outputs[wanted_outputs(frame.task).index(requirement.column), :]
            value = _reduced(course, requirement.reduction, frame)
            margin = requirement.side * (requirement.level - value) / float(frame.scales.margins[j]) - backoff[j]
            problem.hold(margin + short[j] if elastic else margin, 0.0, _INF)
    return short


def _objective(problem: _Problem, frame: _Frame, courses: Sequence[Any]) -> Any:
    """To be minimized, over its size."""
    target, size = frame.task.target, frame.scales.objective
    if target.of_setting:
        return -target.sign * frame.chosen[target.output] / size
    losses = []
    for outputs in courses:
        course = outputs[wanted_outputs(frame.task).index(target.column), :]
        loss = -target.sign * _reduced(course, target.reduction, frame) / size
        if isinstance(target.reduction, Extreme):
            # The highest point of the loss, as a variable above all of them.
            top, _ = problem.variable("top", np.array([-_INF]), np.array([_INF]))
            problem.hold(top - loss, 0.0, _INF)
            loss = top
        losses.append(loss)
    every, measure = ca.vertcat(*losses), target.measure
    if isinstance(measure, WorstCase) and len(losses) > 1:
        worst, _ = problem.variable("worst", np.array([-_INF]), np.array([_INF]))
        problem.hold(worst - every, 0.0, _INF)
        return worst
    if isinstance(measure, CVaR) and len(losses) > 1:
        quantile, _ = problem.variable("quantile", np.array([-_INF]), np.array([_INF]))
        above, _ = problem.variable("above", np.zeros(len(losses)), np.full(len(losses), _INF))
        problem.hold(above - every + quantile, 0.0, _INF)
        return quantile + ca.sum1(above) / (measure.share * len(losses))
    return ca.sum1(every) / len(losses)
