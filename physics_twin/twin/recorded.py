"""The inputs of a recipe at one moment, as numbers."""

from collections.abc import Mapping

import numpy as np

from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.model import Model, StateKind
from physics_twin.recipes import Recipe
from physics_twin.schedules import bind
from physics_twin.simulation import phase_times


def input_values(model: Model, recipe: Recipe, values: Mapping[str, float], t: float) -> dict[str, float]:
    """Input -> its value at t, SI, s on the recipe's clock; after the end, where the last phase was heading.

    values: every parameter and open setting, SI.
    """
    states = {b.name: (b.unit, b.lower, b.upper) for b in model.state if b.kind is StateKind.DIFFERENTIAL}
    schedule = bind(recipe, model.inputs, model.outputs, states)
    begins = phase_times(model, recipe, values)
    k = int(np.clip(np.searchsorted(begins, t, side="right") - 1, 0, len(schedule.phases) - 1))
    inputs = PhaseInputs(lines_of(schedule.phases[k], values, ()), float(begins[k]), np.zeros(0))
    at = min(t, float(begins[k + 1]))
    found, _ = inputs.at(at)
    return {signal.name: float(v) for signal, v in zip(model.inputs, found, strict=True)}
