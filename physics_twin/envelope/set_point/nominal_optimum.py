"""The best settings for one value of the parameters: local searches from several starts, on the model itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import qmc

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import EVERY, Allowed, Group
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.envelope.margins.evaluation import Problem
from physics_twin.envelope.margins.fault_reach import refuse_unreachable, unreached
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.set_point.explored import explore, improved, simulated_front
from physics_twin.envelope.set_point.local_optimum import STATIONARY, LocalOptimum, Point, local_optimum
from physics_twin.envelope.set_point.nominal import Nominal
from physics_twin.envelope.set_point.objectives import Target, valued
from physics_twin.envelope.set_point.optimum import Binding, SetPoint, Start, of_starts
from physics_twin.envelope.set_point.pareto import knee_of
from physics_twin.envelope.set_point.set_point import margins_at
from physics_twin.errors import EnvelopeError
from physics_twin.units import format_si

SAME = 1e-4
"""Distance, relative to the searched range, within which two starts ended at the same point."""
N_SLICE = 21


@dataclass(frozen=True)
class Task:
    """What does not change during the searches."""

    nominal: Nominal
    requirements: tuple[Requirement, ...]
    targets: tuple[Target, ...]
    scale: Array
    """(n_limits + n_targets,) SI: the size of a number, so that no unit weighs more than another."""

    @property
    def problem(self) -> Problem:
        """Model, recipe and settings."""
        return self.nominal.simulate.problem

    def program(self, u: Array) -> Point | None:
        """The scaled program of the first objective at a point of the unit cube."""
        found = self.nominal.at(u)
        if found is None:
            return None
        n = len(self.requirements)
        numbers, slopes = found[0] / self.scale, found[1] / self.scale[:, None]
        sign = self.targets[0].sign
        return Point(sign * float(numbers[n]), numbers[:n], sign * slopes[n], slopes[:n])


def best_for_one(
    simulate: Simulator,
    targets: tuple[Target, ...],
    requirements: tuple[Requirement, ...],
    values: Mapping[str, Any],
    n_starts: int,
    rng: np.random.Generator,
    report: Callable[[str], None],
) -> SetPoint:
    """The set point for these values of the parameters; `simulate` is about `requirements`, then output targets.

    A limit on a reported value is taken as one on the true value, which is what is reported in the middle. Raises
    EnvelopeError where no start can be simulated.
    """
    nominal = Nominal(simulate, targets, values)
    refuse_unreachable(simulate, nominal.batch)
    d = len(simulate.problem.settings)
    sobol = qmc.Sobol(d, rng=rng).random_base2(int(np.ceil(np.log2(max(n_starts, 2)))))
    begins = np.concatenate([np.full((1, d), 0.5), sobol])[:n_starts]
    task = Task(nominal, requirements, targets, _scales(nominal, begins))
    if len(targets) > 1:
        report("the front")
        return _knee(task, rng)
    ends: list[LocalOptimum | None] = []
    for number, u in enumerate(begins, start=1):
        report(f"start {number} of {len(begins)}")
        ends.append(local_optimum(task.program, u))
    best = _best(ends)
    starts = tuple(_start(task, u, end, best) for u, end in zip(begins, ends, strict=True))
    if best.feasible:
        words = f"{_goal(task)}, {'all limits met; ' if requirements else ''}{of_starts(starts)}"
    else:
        words = _unmet(task, best)
    found = _set_point(task, best.point, best, starts, words, None)
    return found


def _scales(nominal: Nominal, begins: Array) -> Array:
    found = [f[0] for f in map(nominal.at, begins) if f is not None]
    if not found:
        reasons = nominal.simulate.failures
        why = f": {reasons[0].reason}" if reasons else ""
        raise EnvelopeError(f"none of {len(begins)} starts can be simulated, so nothing can be optimized{why}")
    numbers = np.array(found)
    spread, size = np.ptp(numbers, axis=0), np.abs(numbers).max(axis=0)
    scale: Array = np.where(spread > 1e-6 * size, spread, np.where(size > 0.0, size, 1.0))
    return scale


def _best(ends: Sequence[LocalOptimum | None]) -> LocalOptimum:
    """The best feasible end, or the least infeasible one."""
    reached = [end for end in ends if end is not None]
    return max(reached, key=lambda end: (end.feasible, end.worth if end.feasible else -end.violation))


def _goal(task: Task) -> str:
    target = task.targets[0]
    return f"{'largest' if target.sign > 0 else 'smallest'} {target.name}"


def _start(task: Task, begin: Array, end: LocalOptimum | None, best: LocalOptimum) -> Start:
    problem = task.problem

    def named(u: Array) -> dict[str, float]:
        return {s.name: float(x) for s, x in zip(problem.settings, problem.si(u), strict=True)}

    if end is None:
        return Start(named(begin), named(begin), np.nan, False, False, False)
    there = task.nominal.at(end.point)
    value = np.nan if there is None else float(there[0][len(task.requirements)])
    same = end.feasible == best.feasible and float(np.abs(end.point - best.point).max()) <= SAME
    return Start(named(begin), named(end.point), value, end.feasible, end.converged, same)


def _unmet(task: Task, best: LocalOptimum) -> str:
    found = task.nominal.at(best.point)
    assert found is not None  # it was simulated to get here
    n = len(task.requirements)
    worst = int(np.argmin(found[0][:n] / task.scale[:n]))
    requirement = task.requirements[worst]
    return (
        "no settings within their bounds were found that meet the limits; the closest are short of "
        f'"{requirement.name}" by {requirement.format(-float(found[0][worst]))}'
    )


def _set_point(
    task: Task,
    point: Array,
    optimum: LocalOptimum | None,
    starts: tuple[Start, ...],
    words: str,
    front: xr.Dataset | None,
) -> SetPoint:
    problem, simulate = task.problem, task.nominal.simulate
    found = task.nominal.at(point)
    assert found is not None  # it was simulated to get here
    n = len(task.requirements)
    met = bool((found[0][:n] >= -1e-6 * task.scale[:n]).all())
    warnings = []
    if optimum is not None and optimum.feasible and not optimum.converged:
        warnings.append(
            f"the slope left over at the set point is {optimum.residual:.1g} of the objective's range, where "
            f"{STATIONARY:g} would be an optimum: a kink (a peak that changes its place), or noise of the simulation"
        )
    warnings += [f.text("at this point") for f in unreached(simulate, task.nominal.batch, point[None])]
    if simulate.failures:
        warnings.append(f"{len(simulate.failures)} simulations failed; the first: {simulate.failures[0].reason}")
    # Within rounding of the solver a limit that binds is met.
    shown = np.where(np.abs(found[0][:n]) <= 1e-9 * task.scale[:n], 0.0, found[0][:n])
    return SetPoint(
        settings={s.name: float(x) for s, x in zip(problem.settings, problem.si(point), strict=True)},
        declared=problem.settings,
        objectives=tuple(valued(t, found[0][n + j : n + j + 1]) for j, t in enumerate(task.targets)),
        margins=margins_at(shown[None], task.requirements, 0.5) if n else (),
        binding=() if optimum is None else bindings(task, optimum),
        met=met,
        probability=1.0 if met else 0.0,
        probability_lower=0.0,
        certificate=None,
        starts=starts,
        front=front,
        slices=slices(task, point),
        includes=("one value of the parameters: nothing is said about how likely the limits are met",),
        warnings=tuple(warnings),
        failures=tuple(simulate.failures),
        n_simulations=simulate.n_simulations,
        message=words,
    )


def bindings(task: Task, optimum: LocalOptimum) -> tuple[Binding, ...]:
    """Limits and bounds with a multiplier, in SI, the limits first."""
    target, n = task.targets[0], len(task.requirements)
    gain = task.scale[n]
    found = [
        Binding(r.name, float(m * gain / task.scale[j]), target.unit / r.unit)
        for j, (r, m) in enumerate(zip(task.requirements, optimum.multipliers, strict=True))
        if m > 0.0
    ]
    widths = task.problem.high - task.problem.low
    for setting, m, width in zip(task.problem.settings, optimum.bound_multipliers, widths, strict=True):
        if m != 0.0:
            side, edge = ("lower", setting.bounds[0]) if m > 0.0 else ("upper", setting.bounds[1])
            name = f"{side} bound of {setting.name}, {format_si(edge, setting.unit)}"
            found.append(Binding(name, float(abs(m) * gain / width), target.unit / setting.unit))
    return tuple(found)


def slices(task: Task, point: Array) -> xr.Dataset:
    """First objective and tightest margin along each setting through a point, simulated."""
    n = len(task.requirements)
    nominal, problem = task.nominal, task.problem
    line = np.linspace(0.0, 1.0, N_SLICE)
    variables, coordinates = {}, {}
    for i, setting in enumerate(problem.settings):
        points = np.tile(point, (N_SLICE, 1))
        points[:, i] = line
        numbers = np.array([_numbers(nominal, u, n + 1) for u in points])
        worst = (numbers[:, :n] / task.scale[:n]).min(axis=1) if n else np.zeros(N_SLICE)
        variables[f"objective_{setting.name}"] = (setting.name, numbers[:, n], {"units": task.targets[0].unit.si_text})
        variables[f"margin_{setting.name}"] = (setting.name, worst, {"units": "1"})
        coordinates[setting.name] = (setting.name, problem.si(points)[:, i], {"units": setting.unit.si_text})
    return xr.Dataset(variables, coords=coordinates)


def _numbers(nominal: Nominal, u: Array, n: int) -> Array:
    found = nominal.values_at(u)
    return np.full(n, np.nan) if found is None else found[:n]


def _knee(task: Task, rng: np.random.Generator) -> SetPoint:
    """Several objectives: the front on an interpolation of this one batch, its points simulated; the knee of it."""
    n, problem = len(task.requirements), task.problem
    signs = np.array([t.sign for t in task.targets])

    def run(points: Array) -> tuple[Array, Array]:
        numbers = np.array([_numbers(task.nominal, u, n + signs.size) for u in points])
        return numbers[:, None, :n], numbers[:, None, n:]

    allowed = Allowed((Group(tuple(range(n)), 0.5, EVERY),), (0,)) if n else None
    explored = explore(run, task.targets, allowed, len(problem.settings), rng)
    optima = []
    for column in range(signs.size):
        point, explored = improved(explored, column, run)
        optima.append(point)
    front = simulated_front(explored, np.array(optima), run, problem, 1.0, rng)
    if front is None:
        return _set_point(task, optima[0], None, (), "no settings were found that meet the limits", None)
    words = f"the knee of a front of {len(front['point'])} points"
    return _set_point(task, knee_of(problem, front), None, (), words, front)
