"""What an envelope rests on beyond its draws: data ranges, the model's domain of validity, priors, known failures.

None of it changes the probability; all of it is said. Ranges are those of the median batch, at the set point and the
corners of the box.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.evaluation import Problem, simulate_members
from physics_twin.envelope.uncertainty import Batches
from physics_twin.posterior import Identification, Posterior
from physics_twin.posterior.inputs import input_values
from physics_twin.posterior.members import bound_initials
from physics_twin.units import Unit, format_si, unit as as_unit

N_NODES = 16
SLACK = 0.01
"""Share of a range by which it may be left before it counts as extrapolation: a hundredth is not another regime."""

Course = tuple[str, Unit, float, float]
"""Name, unit, lowest and highest value (SI)."""


def trust_warnings(problem: Problem, posterior: Posterior, batches: Batches, points: Array) -> tuple[str, ...]:
    """Warnings for `points` (n, n_settings) SI: extrapolation, priors that were not moved, doubts of the fit."""
    found = list(_range_warnings(problem, posterior, batches, points))
    used = set(batches.values) - bound_initials(problem.recipe, problem.model)
    for name, verdict in posterior.verdicts.items():
        if name in used and verdict.identification.failed:
            found.append(f"{name} rests on its prior: the data do not determine it")
        elif name in used and verdict.identification is Identification.AT_BOUND:
            found.append(f"{name} is at its bound, which cuts its uncertainty off")
    if not posterior.converged:
        found.append(f"the fit behind the posterior did not converge: {posterior.message}")
    found += [f"the fit warns: {warning}" for warning in posterior.warnings]
    return tuple(dict.fromkeys(found))


def _range_warnings(problem: Problem, posterior: Posterior, batches: Batches, points: Array) -> Iterator[str]:
    reached: dict[str, Course] = {}
    array_of = {c.output: c.array for c in posterior.channels if c.array}  # said once, not for each of its sensors
    covered = dict(posterior.coverage)
    covered |= {array: covered[output] for output, array in array_of.items() if output in covered}
    for output, unit, low, high in _courses(problem, batches, points):
        name = array_of.get(output, output)
        before = reached.get(name, (name, unit, np.inf, -np.inf))
        reached[name] = (name, unit, min(low, before[2]), max(high, before[3]))
    for what, ranges in (("data", covered), ("model's domain of validity", problem.model.validity)):
        for name, unit, low, high in reached.values():
            yield from _outside(name, unit, low, high, what, ranges)


def _outside(
    name: str, unit: Unit, low: float, high: float, what: str, ranges: Mapping[str, tuple[float, float]]
) -> Iterator[str]:
    if name not in ranges:
        return
    known_low, known_high = ranges[name]
    if name == "time":  # a run may be shorter than the data, never longer
        low = max(low, known_low)
    slack = SLACK * max(known_high - known_low, 1e-9 * abs(known_high)) if np.isfinite(known_high - known_low) else 0.0
    if low < known_low - slack or high > known_high + slack:
        verb = "covers" if what.startswith("model") else "cover"
        yield (
            f"extrapolation: {name} reaches {format_si(low, unit)} to {format_si(high, unit)}, the {what} {verb} "
            f"{format_si(known_low, unit)} to {format_si(known_high, unit)}"
        )


def _courses(problem: Problem, batches: Batches, points: Array) -> Iterator[Course]:
    """Ranges of settings, inputs, outputs, time and parameters for the median batch at each point."""
    model, recipe = problem.model, problem.recipe
    for j, setting in enumerate(problem.settings):
        yield setting.name, setting.unit, float(points[:, j].min()), float(points[:, j].max())
    median = {name: np.median(v, axis=0) for name, v in batches.values.items()}
    for name, value in median.items():
        if name in model.parameters and np.ndim(value) == 0 and name not in bound_initials(recipe, model):
            yield name, model.parameters[name].unit, float(value), float(value)
    values = {name: np.repeat(np.asarray(v)[None], len(points), axis=0) for name, v in median.items()}
    values |= {s.name: points[:, j] for j, s in enumerate(problem.settings)}
    times, outputs, _ = simulate_members(model, recipe, values, N_NODES)
    for i in range(len(points)):
        if not np.isfinite(outputs[i]).all():
            continue  # a failed run was counted where it matters
        yield "time", as_unit("s"), 0.0, float(times[i, -1])
        for column, signal in enumerate(model.outputs):
            yield signal.name, signal.unit, float(outputs[i, :, column].min()), float(outputs[i, :, column].max())
        if model.inputs:
            course = input_values(model, recipe, {name: float(v[i]) for name, v in values.items()}, times[i])
            for column, signal in enumerate(model.inputs):
                given = course[:, column][np.isfinite(course[:, column])]
                if given.size:
                    yield signal.name, signal.unit, float(given.min()), float(given.max())
