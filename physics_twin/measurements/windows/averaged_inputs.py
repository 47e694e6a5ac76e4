"""Recorded inputs averaged over windows, for logs that are too long to be integrated row by row."""

from dataclasses import replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.measurements.windows.windows import ON_EDGE
from physics_twin.recipes import Input, Phase, Recipe, Rule, Table

__all__ = ["averaged_recipe"]


def averaged_recipe(recipe: Recipe, period: float) -> Recipe:
    """Return the recipe with each of its tables averaged over windows of `period` s since its phase began.

    What a table holds from row to row becomes the time mean of each window, held: its integral over whole windows is
    exact. Straight lines become straight lines through the means at the middles of the windows, with the first and the
    last row kept. Tables with no more rows than windows stay as they are.
    """
    phases = []
    for phase in recipe.phases:
        inputs: dict[str, Input] = {
            name: _averaged(item, period) if isinstance(item, Table) else item for name, item in phase.inputs.items()
        }
        phases.append(
            Phase(
                phase.name,
                duration=phase.duration,
                until=phase.until,
                at_most=phase.at_most,
                start=phase.start,
                at=phase.at,
                **inputs,
            )
        )
    return Recipe(phases, initial=recipe.initial, hold_end=recipe.hold_end)


def _averaged(table: Table, period: float) -> Table:
    t, v = np.array(table.times), np.array(table.values)
    end = float(t[-1])
    # The end of the table is an edge too: the last window is shorter then.
    edges = np.append(np.arange(0.0, end * (1.0 - ON_EDGE), period), end)
    if t.size <= edges.size or edges.size < 2:
        return table
    means = np.diff(_integral(t, v, edges, table.rule)) / np.diff(edges)
    if table.rule is Rule.HOLD:
        times, values = edges, np.append(means, v[-1])
    else:
        times = np.concatenate([[0.0], 0.5 * (edges[:-1] + edges[1:]), [end]])
        values = np.concatenate([v[:1], means, v[-1:]])
    return replace(table, times=tuple(times.tolist()), values=tuple(values.tolist()))


def _integral(t: Array, v: Array, at: Array, rule: Rule) -> Array:
    """Integral of a table from its first row to each of `at` (n,)."""
    base = v[0]  # integrals of small differences keep their digits
    u = v - base
    steps = np.diff(t) * (u[:-1] if rule is Rule.HOLD else 0.5 * (u[:-1] + u[1:]))
    whole = np.concatenate([[0.0], np.cumsum(steps)])
    row = np.clip(np.searchsorted(t, at, side="right") - 1, 0, t.size - 2)
    late = at - t[row]
    slope = np.zeros(row.size) if rule is Rule.HOLD else (u[row + 1] - u[row]) / (t[row + 1] - t[row])
    return np.asarray(whole[row] + late * (u[row] + 0.5 * slope * late) + base * at)
