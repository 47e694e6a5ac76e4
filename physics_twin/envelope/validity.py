"""What an envelope rests on beyond its draws: data ranges, the model's domain of validity, priors, known failures.

None of it changes the probability; all of it is said. Ranges are those of the median batch, at the set point and the
corners of the box; under a fault those of its worst moments.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.faults import BoundFault
from physics_twin.envelope.limits.reductions import LOWER, UPPER, path
from physics_twin.envelope.limits.requirements import Requirement, margins_of
from physics_twin.envelope.margins.evaluation import Problem, phase_times, simulate_members
from physics_twin.envelope.margins.fault_runs import Runs, margins_under
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.posterior import Identification, Posterior
from physics_twin.posterior.inputs import input_values
from physics_twin.posterior.members import bound_initials
from physics_twin.signals import Signal
from physics_twin.units import Unit, unit as as_unit
from physics_twin.validity import DATA, MODEL, Course, Mark, extrapolations

N_NODES = 16


def trust_marks(problem: Problem, posterior: Posterior, batches: Batches, points: Array) -> tuple[Mark, ...]:
    """Marks for `points` (n, n_settings) SI: extrapolation, priors that were not moved, doubts of the fit."""
    marks = _range_marks(problem, posterior, batches, points)
    used = set(batches.values) - bound_initials(problem.recipe, problem.model)
    for name, verdict in posterior.verdicts.items():
        if name in used and verdict.identification.failed:
            marks.append(Mark("prior", name, f"{name} rests on its prior: the data do not determine it"))
        elif name in used and verdict.identification is Identification.AT_BOUND:
            marks.append(Mark("bound", name, f"{name} is at its bound, which cuts its uncertainty off"))
    if not posterior.converged:
        marks.append(Mark("fit", "", f"the fit behind the posterior did not converge: {posterior.message}"))
    marks += [Mark("fit", "", f"the fit warns: {warning}") for warning in posterior.warnings]
    return tuple({mark.text: mark for mark in marks}.values())


def trust_warnings(problem: Problem, posterior: Posterior, batches: Batches, points: Array) -> tuple[str, ...]:
    """The sentences of `trust_marks`."""
    return tuple(mark.text for mark in trust_marks(problem, posterior, batches, points))


def _range_marks(problem: Problem, posterior: Posterior, batches: Batches, points: Array) -> list[Mark]:
    reached: dict[str, Course] = {}
    array_of = {c.output: c.array for c in posterior.channels if c.array}  # said once, not for each of its sensors
    covered = dict(posterior.coverage)
    covered |= {array: covered[output] for output, array in array_of.items() if output in covered}
    for output, unit, low, high in _courses(problem, batches, points):
        name = array_of.get(output, output)
        if name == "time" and name in covered:  # a run may be shorter than the data, never longer
            low = max(low, covered[name][0])
        before = reached[name].values if name in reached else (np.inf, -np.inf)
        reached[name] = Course(name, unit, np.array([min(low, before[0]), max(high, before[1])]))
    known = {DATA: covered, MODEL: problem.model.validity}
    _, marks = extrapolations(reached.values(), known)
    wanted = [c for c in problem.model.outputs if any(array_of.get(c.name, c.name) in r for r in known.values())]
    for fault in problem.faults:
        courses = [
            replace(c, name=array_of.get(c.name, c.name)) for c in _under(fault, problem, batches, points, wanted)
        ]
        for mark in extrapolations(courses, known)[1]:
            if not any(_covers(other, mark) for other in marks):
                marks.append(replace(mark, text=f"under {fault}: {mark.text}"))
    return marks


def _covers(one: Mark, other: Mark) -> bool:
    """Whether `one` says all that `other` would."""
    if (one.name, one.source) != (other.name, other.source):
        return False
    ends = (one.low, other.low, other.high, one.high)
    low, least, most, high = (float("nan") if end is None else end for end in ends)
    return low <= least and most <= high


def _under(
    fault: BoundFault, problem: Problem, batches: Batches, points: Array, wanted: Sequence[Signal]
) -> Iterator[Course]:
    """The input that fails, and what `wanted` outputs reach at their worst moments, over the points, in median."""
    yield Course(fault.input, fault.unit, np.array([fault.value]))
    if not wanted:
        return
    values = _median_members(problem, batches, points)
    numbers = {signal.name: column for column, signal in enumerate(problem.model.outputs)}
    # An end of a range is a margin from zero, so the runs of limits under faults find both ends.
    ends = tuple(
        Requirement(s.name, s.name, numbers[s.name], side, 0.0, s.unit, s.unit, path, fault=fault)
        for s in wanted
        for side in (UPPER, LOWER)
    )
    begun = phase_times(problem.model, problem.recipe, values)
    times, outputs, _ = simulate_members(problem.model, problem.recipe, values, N_NODES, begun=begun)
    runs = Runs(problem.model, problem.recipe, values, begun, fault, ends, N_NODES)
    margins, _ = margins_under(runs, margins_of(ends, times, outputs))
    margins = margins[np.isfinite(margins).all(axis=1)]  # a failed run was counted where it matters
    if margins.size:
        for signal, high, low in zip(wanted, margins.min(axis=0)[::2], margins.min(axis=0)[1::2], strict=True):
            yield Course(signal.name, signal.unit, np.array([low, -high]))


def _median_members(problem: Problem, batches: Batches, points: Array) -> dict[str, Array]:
    """The median batch at each of the points: name -> (n, ...) SI."""
    median = {name: np.median(v, axis=0) for name, v in batches.values.items()}
    values = {name: np.repeat(np.asarray(v)[None], len(points), axis=0) for name, v in median.items()}
    return values | {s.name: points[:, j] for j, s in enumerate(problem.settings)}


def _courses(problem: Problem, batches: Batches, points: Array) -> Iterator[tuple[str, Unit, float, float]]:
    """Name, unit and ends (SI) of what settings, inputs, outputs, time and parameters do at the points, in median."""
    model, recipe = problem.model, problem.recipe
    for j, setting in enumerate(problem.settings):
        yield setting.name, setting.unit, float(points[:, j].min()), float(points[:, j].max())
    median = {name: np.median(v, axis=0) for name, v in batches.values.items()}
    for name, value in median.items():
        if name in model.parameters and np.ndim(value) == 0 and name not in bound_initials(recipe, model):
            yield name, model.parameters[name].unit, float(value), float(value)
    values = _median_members(problem, batches, points)
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
