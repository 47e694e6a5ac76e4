"""Settings that no limit depends on: certified over all their bounds, which says nothing about the process."""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.ranges.box import Box
from physics_twin.envelope.region.surrogate import SURVIVAL, DesignSpace

SUSPECT, IDLE = 0.1, 1e-3
"""Changes of a margin over the whole range of a setting, in units of its spread over the draws: below the first, by the
surrogate, the model is asked; below the second, by the model, no limit depends on the setting. (An integrator's step
control moves margins by 1e-5 or so.)"""
N_LINE, N_DRAWS = 5, 4


def idle_settings(simulate: Simulator, search: Batches, space: DesignSpace, box: Box, point: Array) -> list[str]:
    """Names of the settings that change no margin anywhere on lines over their bounds, by the model.

    point: (d,) of the unit cube. The lines go through it and through two opposite corners of the box. Simulates where
    the surrogate suspects a setting, and nowhere else.
    """
    few = search.take(np.arange(min(N_DRAWS, search.n)))
    found = []
    for j, setting in enumerate(simulate.problem.settings):
        predicted = space.predicted(_lines(point[None], j))
        if np.ptp(predicted, axis=0).max() > SUSPECT:
            continue
        bases = np.stack([point, box.low, box.high])
        margins = np.nan_to_num(simulate(few, _lines(bases, j)) / space.scale, nan=-SURVIVAL)
        if np.ptp(margins.reshape(len(bases), N_LINE, *margins.shape[1:]), axis=1).max() <= IDLE:
            found.append(setting.name)
    return found


def _lines(bases: Array, j: int) -> Array:
    """Points (n_bases N_LINE, d) with setting j at values over all its range, base by base."""
    points = np.repeat(bases, N_LINE, axis=0)
    points[:, j] = np.tile(np.linspace(0.0, 1.0, N_LINE), len(bases))
    return points


def idle_text(name: str) -> str:
    """The warning for people."""
    return (
        f"no limit depends on {name}: its range comes from its bounds alone and says nothing about what the process "
        "allows; add the limit that it matters for, or leave it out of the settings"
    )
