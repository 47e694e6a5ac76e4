"""IPOPT on the written problem: packing, solving, unpacking, and what to say of its end."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.optimal_recipe.grid import Grid
from physics_twin.envelope.optimal_recipe.method import Collocation
from physics_twin.envelope.optimal_recipe.simulated import Course, Decision, parameter_row
from physics_twin.envelope.optimal_recipe.task import Task
from physics_twin.envelope.optimal_recipe.transcription import Scales, Written, write
from physics_twin.errors import EnvelopeError

SOLVED = "Solve_Succeeded"
"""The only end of IPOPT that counts: at its acceptable level a profile may still be far from optimal."""
EDGE = 1e-3
"""Share of its bounds by which a start is moved inside them."""
WORDS = {
    SOLVED: "solved",
    "Solved_To_Acceptable_Level": "stopped at IPOPT's acceptable level, which does not count",
    "Infeasible_Problem_Detected": "no profile was found that keeps all limits",
    "Maximum_Iterations_Exceeded": "not converged in the iterations allowed",
    "Restoration_Failed": "IPOPT found no way back to the equations",
    "Search_Direction_Becomes_Too_Small": "IPOPT came to a halt",
    "Diverging_Iterates": "the iterates ran away",
    "Invalid_Number_Detected": "an equation has no finite value on the way",
}


@dataclass(frozen=True)
class Scenario:
    """One possible batch in the optimization."""

    values: Mapping[str, float]
    """Parameters and open settings, SI."""
    course: Course
    """A simulation of it: where the collocation starts."""
    inputs: Array
    """(n_points, n_inputs) SI."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What IPOPT came to."""

    decision: Decision
    objective: float
    """In the sense of the objective, SI."""
    status: str
    iterations: int
    states: tuple[Array, ...]
    """For each scenario (n_points, n_x) SI."""

    @property
    def solved(self) -> bool:
        """Whether IPOPT says that it is optimal."""
        return self.status == SOLVED

    @property
    def words(self) -> str:
        """How it ended."""
        return WORDS.get(self.status, self.status.replace("_", " ").lower())


class Solver:
    """A written problem with its IPOPT; for one thread."""

    def __init__(
        self,
        task: Task,
        grid: Grid,
        scales: Scales,
        span: float,
        held: Sequence[Collection[int]],
        n_weighed: int,
        method: Collocation,
        *,
        elastic: bool = False,
    ) -> None:
        """Arguments as of `write`."""
        self.task, self.grid, self.scales, self.span = task, grid, scales, span
        self.written: Written = write(task, grid, scales, span, held, n_weighed, elastic=elastic)
        w = self.written
        problem = {"x": w.variables, "p": w.parameters, "f": w.objective, "g": w.constraints}
        options: dict[str, Any] = {
            "print_time": False,
            "ipopt.print_level": 0,
            "ipopt.sb": "yes",
            "ipopt.linear_solver": "mumps",
            "ipopt.tol": method.tolerance,
            "ipopt.max_iter": method.iterations,
            "ipopt.acceptable_iter": 0,
            "ipopt.mu_strategy": "adaptive",
            "error_on_fail": False,
        }
        try:
            self._solve = ca.nlpsol("recipe", "ipopt", problem, options)
        except RuntimeError as error:
            raise EnvelopeError(f"the optimization of the recipe cannot be written down: {error}") from None

    def __call__(self, decision: Decision, scenarios: Sequence[Scenario], backoff: Array) -> Solution:
        """Solve from a simulated recipe; backoff: (n_requirements,) over the sizes of the margins."""
        w = self.written
        guess = self._guess(decision, scenarios)
        parameters = [np.array([self.span]), backoff]
        for scenario in scenarios:
            parameters += [
                parameter_row(self.task, scenario.values),
                scenario.course.start,
                scenario.inputs.reshape(-1),
            ]
        try:
            found = self._solve(
                x0=guess,
                p=np.concatenate(parameters),
                lbx=w.lower,
                ubx=w.upper,
                lbg=w.constraint_lower,
                ubg=w.constraint_upper,
            )
            stats = self._solve.stats()
            status, iterations = str(stats["return_status"]), int(stats["iter_count"])
            x, f = np.asarray(found["x"]).reshape(-1), float(found["f"])
        except RuntimeError:  # CasADi, where a function has no value at the start
            status, iterations, x, f = "Invalid_Number_Detected", 0, guess, np.nan
        if not np.isfinite(x).all():
            x = guess
        return self._solution(x, f, status, iterations)

    def _guess(self, decision: Decision, scenarios: Sequence[Scenario]) -> Array:
        w, task, grid = self.written, self.task, self.grid
        x = np.zeros(w.lower.size)
        for where, profile, numbers in zip(w.profiles, task.profiles, decision.profiles, strict=True):
            x[where] = (numbers - profile.low) / (profile.high - profile.low)
        low = np.array([s.bounds[0] for s in task.chosen])
        high = np.array([s.bounds[1] for s in task.chosen])
        given = np.array([decision.settings[s.name] for s in task.chosen])
        x[w.settings] = (given - low) / (high - low) if given.size else given
        for where, scenario in zip(w.states, scenarios, strict=True):
            states = (scenario.course.states / self.scales.states).reshape(grid.n, -1)
            algebraic = (scenario.course.algebraic / self.scales.algebraic).reshape(grid.n, -1)
            x[where] = np.concatenate([states, algebraic], axis=1).reshape(-1)
        return x

    def _solution(self, x: Array, f: float, status: str, iterations: int) -> Solution:
        w, task = self.written, self.task
        profiles = tuple(
            profile.low + (profile.high - profile.low) * np.clip(x[where], 0.0, 1.0)
            for where, profile in zip(w.profiles, task.profiles, strict=True)
        )
        shares = np.clip(x[w.settings], 0.0, 1.0)
        settings = {
            s.name: float(s.bounds[0] + (s.bounds[1] - s.bounds[0]) * share)
            for s, share in zip(task.chosen, shares, strict=True)
        }
        n_x = len(task.equations.differential)
        points = self.grid.points.size
        states = tuple(
            (x[where].reshape(self.grid.n, -1)[:, : n_x * points].reshape(-1, n_x)) * self.scales.states
            for where in w.states
        )
        objective = -task.target.sign * f * self.scales.objective
        return Solution(Decision(profiles, settings), objective, status, iterations, states)
