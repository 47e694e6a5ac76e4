"""What a discrepancy is a function of: time, an input, or an output, with exact derivatives."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, RecipeError, UnknownNameError, unknown_name
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.model import Model, SIValues
from physics_twin.recipes import Recipe
from physics_twin.schedules import bind, length_of
from physics_twin.units import Unit

TIME = "time"


class Over(enum.Enum):
    """Kinds of arguments."""

    TIME = "time"
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True)
class Argument:
    """The argument of one discrepancy."""

    name: str
    unit: Unit
    kind: Over
    index: int
    """Among the inputs or the outputs; -1 for time."""


def find_argument(model: Model, name: str, what: str) -> Argument:
    """The argument called `name`; raises UnknownNameError, ModelError where an input and an output have that name."""
    inputs, outputs = ([s.name for s in signals] for signals in (model.inputs, model.outputs))
    if name == TIME:
        return Argument(TIME, Unit("s"), Over.TIME, -1)
    if name in inputs and name in outputs:
        raise ModelError(f'{what}: "{name}" is an input and an output of "{model.name}"; rename one of them')
    if name in inputs:
        return Argument(name, model.inputs[inputs.index(name)].unit, Over.INPUT, inputs.index(name))
    if name in outputs:
        return Argument(name, model.outputs[outputs.index(name)].unit, Over.OUTPUT, outputs.index(name))
    error: UnknownNameError = unknown_name("input or output", name, [TIME, *inputs, *outputs])
    raise type(error)(f"{what}, over=: {error}")


def inputs_along(
    model: Model, recipe: Recipe, values: SIValues, times: Array, wrt: Sequence[str] = ()
) -> tuple[Array, Array, Array]:
    """Inputs (n_inputs, n_times) at times (s), left limits; their slopes in time, and (n_inputs, n_times, n_wrt).

    wrt: settings of the recipe; other names have no effect. Raises RecipeError where a phase ends on a level: only a
    run knows when.
    """
    states = {block.name: (block.unit, block.lower, block.upper) for block in model.state}
    schedule = bind(recipe, model.inputs, model.outputs, states)
    if not schedule.timed:
        raise RecipeError(
            "a discrepancy over an input needs phases that end by the clock; this recipe has one that ends on a level. "
            "Make the input an output of the model, and name that in over="
        )
    n_u, m = len(model.inputs), len(wrt)
    value, slope = np.full((n_u, times.size), np.nan), np.zeros((n_u, times.size))
    moving = np.zeros((n_u, times.size, m))
    start, d_start = 0.0, np.zeros(m)
    for number, phase in enumerate(schedule.phases):
        assert phase.duration is not None
        end = start + length_of(phase, values)
        last = number == len(schedule.phases) - 1
        mine = (times > start if number else times >= start) & ((times <= end) | last)
        if mine.any():
            inputs = PhaseInputs(lines_of(phase, values, wrt), start, d_start)
            value[:, mine], slope[:, mine] = inputs.along(times[mine])
            if m:
                moving[:, mine] = inputs.tangents(times[mine])
        start, d_start = end, d_start + phase.duration.slope(wrt)
    return value, slope, moving


def member_inputs(model: Model, recipe: Recipe, values: Mapping[str, Array], times: Array) -> Array:
    """Inputs (n_members, n_times, n_inputs) of an ensemble; times (n_times,) or (n_members, n_times) s."""
    n = max((np.shape(v)[0] for v in values.values() if np.ndim(v)), default=1)
    wide = np.broadcast_to(times, (n, np.shape(times)[-1]))
    if not recipe.settings and np.ndim(times) == 1:
        one = inputs_along(model, recipe, {}, np.asarray(times))[0].T
        return np.broadcast_to(one, (n, *one.shape))
    settings = {name: np.broadcast_to(np.asarray(values[name]), n) for name in recipe.settings}
    rows = [
        inputs_along(model, recipe, {name: float(v[k]) for name, v in settings.items()}, wide[k])[0].T for k in range(n)
    ]
    return np.stack(rows)
