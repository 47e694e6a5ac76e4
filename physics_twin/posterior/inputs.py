"""The inputs of a recipe at given times, for coverage and extrapolation."""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.model import Model, Phased, SIValues
from physics_twin.recipes import Recipe
from physics_twin.schedules import Pieces, bind


def input_values(model: Model, recipe: Recipe, values: SIValues, times: Array) -> Array:
    """Inputs at `times` s, (n_times, n_inputs) SI; NaN where the recipe alone cannot say (or it has ended)."""
    states = {block.name: (block.unit, block.lower, block.upper) for block in model.state}
    schedule = bind(recipe, model.inputs, model.outputs, states)
    if schedule.timed:
        lengths = [0.0 if phase.duration is None else phase.duration.at(values) for phase in schedule.phases]
        edges = np.concatenate([[0.0], np.cumsum(lengths)])
    elif isinstance(model, Phased):
        edges = model.phase_times(recipe, values)
    else:
        return np.full((times.size, len(model.inputs)), np.nan)
    if schedule.hold_end:
        edges = np.append(edges[:-1], np.inf)
    found = np.full((times.size, len(model.inputs)), np.nan)
    last = np.full(len(model.inputs), np.nan)
    for i, phase in enumerate(schedule.phases):
        length = edges[i + 1] - edges[i]
        rows = (times >= edges[i]) & (times <= edges[i + 1]) if i == 0 else (times > edges[i]) & (times <= edges[i + 1])
        for j, pieces in enumerate(phase.inputs):
            if pieces is None:
                found[rows, j] = last[j]
            else:
                found[rows, j] = _at(pieces, times[rows] - edges[i], length, values)
                last[j] = _at(pieces, np.array([length]), length, values)[0] if np.isfinite(length) else np.nan
    return found


def _at(pieces: Pieces, t: Array, length: float, values: SIValues) -> Array:
    """One input at t (n,) s since its phase began."""
    if pieces.level is not None:
        return np.full(t.size, pieces.level.at(values))
    if pieces.ramp is not None:
        start, end, over = (corner.at(values) for corner in pieces.ramp)
        share = np.clip(t / over, 0.0, 1.0) if over > 0 else np.ones(t.size)
        return np.asarray(start + (end - start) * share)
    row = np.clip(np.searchsorted(pieces.times, t, side="right") - 1, 0, None)
    return np.asarray(pieces.starts[row] + pieces.slopes[row] * (t - pieces.times[row]))
