"""Recipes by simulation: where the collocation starts, and what its result is held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.optimal_recipe.grid import Grid
from physics_twin.envelope.optimal_recipe.profile import with_profiles
from physics_twin.envelope.optimal_recipe.task import Task
from physics_twin.model import StateKind
from physics_twin.posterior.inputs import input_values
from physics_twin.recipes import Phase, Recipe

INSIDE = 1e-9
"""Share of an element by which its last point is moved inside when inputs are read there: it ends before a step."""


@dataclass(frozen=True, eq=False)
class Decision:
    """What is chosen: the numbers of each profile, SI, and of each free setting."""

    profiles: tuple[Array, ...]
    settings: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Course:
    """One simulated scenario at the points of a grid."""

    states: Array
    """(n_points, n_x) SI."""
    algebraic: Array
    """(n_points, n_z) SI."""
    start: Array
    """(n_x,) SI."""


def recipe_of(task: Task, decision: Decision, values: Mapping[str, float]) -> Recipe:
    """The present recipe with the decision put in; its settings that are not chosen stay open."""
    units = {s.name: s.unit for s in task.chosen}
    chosen = {n: (float(units[n].from_si(x)), units[n].text) for n, x in decision.settings.items()}
    edges = task.edges({**values, **decision.settings})
    recipe = task.recipe
    if task.duration is not None:
        recipe = _lasting(recipe, chosen[task.duration.name])
    return with_profiles(recipe, task.profiles, decision.profiles, edges, chosen)


def _lasting(recipe: Recipe, duration: tuple[float, str]) -> Recipe:
    (phase,) = recipe.phases
    inputs: dict[str, Any] = dict(phase.inputs)
    return Recipe([Phase(phase.name, duration=duration, **inputs)], initial=recipe.initial)


def known_inputs(task: Task, grid: Grid, span: float, recipe: Recipe, values: Mapping[str, float]) -> Array:
    """Inputs at the points of the grid (n_points, n_inputs) SI."""
    shares = grid.shares.copy()
    shares[:, -1] -= INSIDE * grid.widths
    found = input_values(task.model, recipe, values, shares.reshape(-1) * span)
    return np.asarray(found)


def course_of(task: Task, grid: Grid, span: float, recipe: Recipe, values: Mapping[str, float]) -> Course:
    """Simulate a recipe and keep its states at the points of the grid; raises SolveError."""
    model, eq = task.model, task.equations
    where, first = {}, 0
    for block in model.state:
        if block.kind in (StateKind.DIFFERENTIAL, StateKind.ACCUMULATOR, StateKind.ALGEBRAIC):
            where[block.name] = first
        first += block.size
    x_at, z_at = [where[name] for name in eq.differential], [where[name] for name in eq.algebraic]
    state, now = model.initial_state(0.0, recipe, values), 0.0
    rows, begin = [], state[x_at]
    for t in grid.shares.reshape(-1) * span:
        state, now = model.advance(state, now, float(t), recipe, values), float(t)
        rows.append(state)
    table = np.array(rows)
    return Course(table[:, x_at], table[:, z_at], begin)


def read_profiles(task: Task, recipe: Recipe, values: Mapping[str, float], span: float) -> tuple[Array, ...]:
    """The present courses of the free inputs as numbers of their profiles, within the bounds."""
    found = []
    for profile in task.profiles:
        shares = profile.corners if profile.linear else profile.corners[:-1] + 0.5 / profile.pieces
        column = input_values(task.model, recipe, values, np.minimum(shares, 1.0) * span)[:, profile.column]
        found.append(np.clip(column, profile.low, profile.high))
    return tuple(found)


def parameter_row(task: Task, values: Mapping[str, float]) -> Array:
    """Parameters and initial values in the order of the equations, SI."""
    bound: Mapping[str, float] = {}
    if isinstance(task.schedule.initial, Mapping):
        free = {s.name for s in task.charges}
        bound = {
            f"initial.{name}": 0.0 if amount.setting in free else amount.at(values)
            for name, amount in task.schedule.initial.items()
        }
    return np.array([bound[n] if n in bound else float(values[n]) for n in task.equations.parameters])
