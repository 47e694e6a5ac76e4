"""Samples that a twin still remembers, for pictures."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from physics_twin.errors import UnitError
from physics_twin.measurements.flags import Flag
from physics_twin.twin.moments import SECOND
from physics_twin.twin.timeline import Sample

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin

HISTORY = ("output", "time", "value", "used")
"""Variables of a history."""


def recent_samples(twin: "Twin") -> xr.Dataset:
    """Readings of outputs in the window of the twin, corrected for their known bias: output, time in s from now, value
    in SI, and whether nothing spoke against the use of them: a good flag, and no mask.
    """
    facts, state = twin.setup.facts, twin.state
    biases = dict(zip(twin.setup.coordinates.parameters, twin.belief.parameters.mean(axis=0).tolist(), strict=True))
    rows: list[tuple[str, float, float, bool]] = []
    for entry in twin.recent:
        if not isinstance(entry, Sample) or entry.channel not in facts or np.isnan(entry.value):
            continue
        own = facts[entry.channel]
        try:
            number = own.si(entry) - biases.get(own.parameter, own.bias)
        except UnitError:
            continue  # its channel is marked already; there is no place for it on the axis
        used = entry.quality < Flag.BAD and not any(m.covers(entry.channel, entry.time) for m in state.masks)
        rows.append((entry.channel, (entry.time - twin.until) / SECOND, number, used))
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return xr.Dataset(
        {
            "output": ("sample", np.array(columns[0], dtype=np.str_)),
            "time": ("sample", np.array(columns[1], dtype=float), {"units": "s"}),
            "value": ("sample", np.array(columns[2], dtype=float), {"units": "SI"}),
            "used": ("sample", np.array(columns[3], dtype=bool)),
        }
    )


__all__ = ["HISTORY", "recent_samples"]
