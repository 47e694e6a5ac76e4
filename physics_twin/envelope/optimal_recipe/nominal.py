"""The best profile of one batch, from several starts; or the closest one where no profile keeps the limits."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.optimal_recipe.draws import outcomes, single
from physics_twin.envelope.optimal_recipe.grid import Grid, make_grid
from physics_twin.envelope.optimal_recipe.method import Collocation
from physics_twin.envelope.optimal_recipe.simulated import (
    Decision,
    course_of,
    known_inputs,
    read_profiles,
    recipe_of,
)
from physics_twin.envelope.optimal_recipe.solving import Scenario, Solution, Solver
from physics_twin.envelope.optimal_recipe.task import Task
from physics_twin.envelope.optimal_recipe.transcription import Scales
from physics_twin.errors import EnvelopeError, SolveError

AGREE = 1e-3
"""Difference between collocation and simulation, relative to each state's largest value, above which the elements are
halved."""
KEPT = 1e-6
"""Share of its size by which a limit may be broken where nothing is certified: rounding of the simulation."""
INSET = 1e-7
"""Share of its size by which a limit is always kept, so that rounding of a simulation does not break it."""
ROUNDS = 8
"""How often the limits are tightened between the points of the elements."""
MORE = 1.5
"""By how much more than what was missing a limit is tightened."""


@dataclass(frozen=True)
class RecipeStart:
    """How one start of the optimization ended."""

    name: str
    objective: float
    """SI, of the start's solution; NaN where there is none."""
    solved: bool
    words: str
    iterations: int


@dataclass(frozen=True, eq=False)
class Setup:
    """What stays while recipes are searched."""

    task: Task
    grid: Grid
    scales: Scales
    span: float
    """s: the present duration."""
    method: Collocation
    values: Mapping[str, float]
    """The median batch, SI."""
    least_nodes: int = 0
    """Samples of each phase that were asked for."""

    @property
    def n_nodes(self) -> int:
        """Samples of each phase where limits are checked: several in each element."""
        return max(self.least_nodes, int(min(max(64, 5 * self.grid.n), 800)))

    def scenario(self, decision: Decision, values: Mapping[str, float]) -> Scenario:
        """A batch simulated under a decision, where the collocation starts; raises SolveError."""
        span = self.duration(decision)
        every = {**values, **decision.settings}
        recipe = recipe_of(self.task, decision, every)
        course = course_of(self.task, self.grid, span, recipe, every)
        return Scenario(every, course, known_inputs(self.task, self.grid, span, recipe, every))

    def duration(self, decision: Decision) -> float:
        """s."""
        return self.span if self.task.duration is None else decision.settings[self.task.duration.name]

    def missed(self, decision: Decision, values: Mapping[str, float]) -> Array:
        """(n_requirements,) margins over their sizes, by simulation on many moments; NaN where it fails."""
        every = {**values, **decision.settings}
        recipe = recipe_of(self.task, decision, every)
        found = outcomes(self.task, recipe, single(every), decision.settings, self.n_nodes)
        result: Array = found.margins[0] / self.scales.margins
        return result

    def difference(self, solution: Solution, values: Mapping[str, float]) -> float:
        """Largest difference of the first scenario's states from their simulation, over the state's largest value."""
        course = self.scenario(solution.decision, values).course
        size = np.abs(course.states).max(axis=0)
        gap = np.abs(course.states - solution.states[0]).max(axis=0)
        return float((gap / np.where(size > 0.0, size, 1.0)).max())

    @property
    def inset(self) -> Array:
        """(n_requirements,) the least back-off."""
        return np.full(len(self.task.requirements), INSET)

    def finer(self) -> "Setup":
        """The same with twice the elements."""
        grid = make_grid(self.task.corners(self.values), 2 * self.grid.n, self.method.degree)
        return replace(self, grid=grid)

    def solver(
        self, held: Sequence[Collection[int]] | None = None, n_weighed: int = 1, *, elastic: bool = False
    ) -> Solver:
        """Write the problem down, of itself for one scenario with all limits; see `write`."""
        held = [range(len(self.task.requirements))] if held is None else held
        return Solver(self.task, self.grid, self.scales, self.span, held, n_weighed, self.method, elastic=elastic)


def make_setup(
    task: Task, method: Collocation, values: Mapping[str, float], least_nodes: int
) -> tuple[Setup, Decision]:
    """Simulate the present recipe; raises EnvelopeError where that fails."""
    span = float(task.edges(values)[-1])
    grid = make_grid(task.corners(values), method.elements, method.degree)
    settings = {s.name: float(np.clip(values[s.name], *s.bounds)) for s in task.chosen}
    decision = Decision(read_profiles(task, task.recipe, values, span), settings)
    begun = Setup(task, grid, Scales(np.ones(0), np.ones(0), np.ones(0), 1.0), span, method, values, least_nodes)
    return replace(begun, scales=_scales(begun, decision)), decision


def _scales(setup: Setup, decision: Decision) -> Scales:
    """Sizes from the present recipe; where a number is zero there, one."""
    task = setup.task
    blocks = {block.name: block.scale for block in task.model.state}
    every = {**setup.values, **decision.settings}
    recipe = recipe_of(task, decision, every)
    found = outcomes(task, recipe, single(every), decision.settings, setup.n_nodes)
    if found.failures:
        raise EnvelopeError(
            f"the present recipe cannot be simulated (at {found.failures[0].time:g} s: {found.failures[0].reason}), so "
            "there is nothing to start from; give a recipe that runs to its end"
        )
    levels = np.array([abs(r.level) for r in task.requirements])
    reached = np.array([abs(r.side * r.level - m) for r, m in zip(task.requirements, found.margins[0], strict=True)])
    margins = np.maximum(levels, reached)
    objective = abs(float(found.objective[0]))
    return Scales(
        np.array([blocks[name] for name in task.equations.differential]),
        np.array([blocks[name] for name in task.equations.algebraic]),
        np.where(margins > 0.0, margins, 1.0),
        objective if objective > 0.0 else _size(task, found.quantiles),
    )


def _size(task: Task, courses: Array) -> float:
    """Of an objective that is zero under the present recipe."""
    if task.target.of_setting:
        return 1.0
    largest = float(np.abs(courses[:, :, task.target.column]).max())
    return largest if largest > 0.0 else 1.0


def best_of_starts(
    setup: Setup, present: Decision, rng: np.random.Generator
) -> tuple[Solution | None, list[RecipeStart]]:
    """The best solution for the median batch over all starts, and how each of them went."""
    solver = setup.solver()
    found: list[Solution] = []
    starts: list[RecipeStart] = []
    for number in range(setup.method.starts):
        name = "the present recipe" if number == 0 else f"profiles drawn at random ({number})"
        decision = present if number == 0 else _drawn(setup.task, present, rng)
        try:
            scenario = setup.scenario(decision, setup.values)
        except SolveError as error:
            starts.append(RecipeStart(name, np.nan, False, f"its simulation fails: {error}", 0))
            continue
        solution = solver(decision, [scenario], setup.inset)
        starts.append(_start(name, solution))
        if solution.solved:
            found.append(solution)
    if not found and setup.task.requirements:
        closest = closest_recipe(setup, present)
        name = "the recipe that comes closest to the limits"
        solution = solver(closest.decision, [setup.scenario(closest.decision, setup.values)], setup.inset)
        starts.append(_start(name, solution))
        if solution.solved:
            found.append(solution)
    sign = setup.task.target.sign
    return (max(found, key=lambda s: sign * s.objective) if found else None), starts


def closest_recipe(setup: Setup, present: Decision) -> Solution:
    """The recipe with the smallest sum of what the limits are short by, each over its size."""
    solver = setup.solver(elastic=True)
    return solver(present, [setup.scenario(present, setup.values)], setup.inset)


def refined(setup: Setup, solution: Solution) -> tuple[Setup, Solution, float]:
    """Halve the elements until collocation and simulation agree; the last ones, and their difference."""
    gap = setup.difference(solution, setup.values)
    for _ in range(setup.method.refinements):
        if gap <= AGREE:
            break
        finer = setup.finer()
        scenario = finer.scenario(solution.decision, finer.values)
        again = finer.solver()(solution.decision, [scenario], finer.inset)
        if not again.solved:
            break
        setup, solution = finer, again
        gap = setup.difference(solution, setup.values)
    return setup, solution, gap


def tightened(setup: Setup, solution: Solution) -> Solution:
    """Tighten limits that are broken between the points, until the simulation of the median batch keeps them."""
    backoff = setup.inset
    solver = setup.solver()
    for _ in range(ROUNDS):
        short = np.maximum(-setup.missed(solution.decision, setup.values), 0.0)
        if not short.size or not (short > KEPT).any():
            break
        backoff = backoff + MORE * np.where(short > KEPT, short, 0.0)
        scenario = setup.scenario(solution.decision, setup.values)
        again = solver(solution.decision, [scenario], backoff)
        if not again.solved:
            break
        solution = again
    return solution


def why_none(setup: Setup, present: Decision, starts: Sequence[RecipeStart]) -> EnvelopeError:
    """What to say where no start was solved."""
    ends = "; ".join(f"from {s.name}: {s.words}" for s in starts)
    advice = "try another present recipe, more starts, more elements or other bounds"
    if not setup.task.requirements:
        return EnvelopeError(f"no start of the optimization was solved ({ends}); {advice}")
    closest = closest_recipe(setup, present)
    short = -setup.missed(closest.decision, setup.values) * setup.scales.margins
    broken = [
        f'"{r.name}" is short by {r.format(float(s))}'
        for r, s, size in zip(setup.task.requirements, short, setup.scales.margins, strict=True)
        if s > KEPT * size
    ]
    if not broken:
        return EnvelopeError(
            f"no start of the optimization was solved, though the limits can be kept ({ends}); {advice}"
        )
    return EnvelopeError(
        f"no profile within its bounds keeps all limits: with the one that comes closest, {' and '.join(broken)}. "
        f"Relax that limit, widen the bounds of a profile, or free another input or the duration ({ends})"
    )


def _start(name: str, solution: Solution) -> RecipeStart:
    objective = solution.objective if solution.solved else np.nan
    return RecipeStart(name, objective, solution.solved, solution.words, solution.iterations)


def _drawn(task: Task, present: Decision, rng: np.random.Generator) -> Decision:
    """Halfway between the present profiles and straight lines between two random levels."""
    profiles = []
    for profile, now in zip(task.profiles, present.profiles, strict=True):
        a, b = profile.low + (profile.high - profile.low) * rng.uniform(0.05, 0.95, 2)
        profiles.append(0.5 * (now + np.linspace(a, b, profile.n)))
    settings = {s.name: float(s.bounds[0] + (s.bounds[1] - s.bounds[0]) * rng.uniform(0.05, 0.95)) for s in task.chosen}
    return Decision(tuple(profiles), settings)
