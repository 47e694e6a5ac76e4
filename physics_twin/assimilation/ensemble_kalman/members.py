"""Members: what is written back to them, and who takes the place of one that failed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.keys import Key
from physics_twin.errors import SolveError
from physics_twin.model import Failure

JITTER = 0.1
"""Share of the variance that a replacement draws anew: enough to part it from the member it is copied from."""


@dataclass(frozen=True, eq=False)
class Members:
    """States (n_members, n_state), parameters (n_members, n_parameters), outputs (n_members, n_outputs), SI."""

    states: Array
    parameters: Array
    outputs: Array

    def coordinates(self, coordinates: Coordinates) -> Array:
        """(n_members, n_coordinates)."""
        return coordinates.of_members(self.states, self.parameters)


def moved(members: Members, z: Array, columns: NDArray[np.int64], coordinates: Coordinates) -> tuple[Members, int]:
    """Members with `columns` of their coordinates set to z (n_members, n_columns), and how many were set to a bound.

    Nothing else changes, not by a rounding error: other parameters and all other entries of the state are copied.
    """
    lower, upper = coordinates.lower[columns], coordinates.upper[columns]
    within = np.clip(z, lower, upper)
    n_clipped = int(np.count_nonzero(within != z))
    of_state = columns < coordinates.n_states
    states, parameters = members.states, members.parameters
    if of_state.any():
        own = columns[of_state]
        states = states.copy()
        states[:, coordinates.positions[own]] = within[:, of_state] * coordinates.scale[own]
    if not of_state.all():
        parameters = parameters.copy()
        for k in np.flatnonzero(~of_state):
            at = int(columns[k]) - coordinates.n_states
            value = (
                np.exp(within[:, k]) if coordinates.logarithmic[at] else within[:, k] * coordinates.scale[columns[k]]
            )
            # a bound taken to the logarithm and back may be missed by its last digit, and models refuse that
            parameters[:, at] = np.clip(value, *coordinates.declared[coordinates.parameters[at]].bounds)
    return Members(states, parameters, members.outputs), n_clipped


def replaced(
    members: Members, failures: Sequence[Failure], coordinates: Coordinates, key: Key, *purpose: str
) -> Members:
    """Survivors' copies in the places of the members that failed, jittered within the spread of the survivors.

    A copy is a whole member, with its phase and its accumulators; its coordinates z become
    mean + sqrt(1 - h) (z - mean) + sqrt(h) draw, h = `JITTER`, which keeps mean and covariance (Liu and West 2001,
    Combined parameter and state estimation in simulation-based filtering). Coordinates that are held are copied.
    Raises SolveError where fewer than two survive: one member has no spread to go on with.
    """
    if not failures:
        return members
    n = len(members.states)
    dead = np.array(sorted({failure.member for failure in failures}), dtype=np.int64)
    alive = np.setdiff1d(np.arange(n), dead)
    if alive.size < 2:
        first = failures[0]
        raise SolveError(f"{dead.size} of {n} members failed, the first: {first.reason}", time=first.time)
    rng = key.rng("replaced", *purpose)
    source = alive[rng.integers(alive.size, size=dead.size)]
    weights = rng.standard_normal((dead.size, alive.size)) * np.sqrt(JITTER / (alive.size - 1.0))

    def mixed(values: Array) -> Array:
        mean = values[alive].mean(axis=0)
        return np.asarray(mean + np.sqrt(1.0 - JITTER) * (values[source] - mean) + weights @ (values[alive] - mean))

    filled = Members(*(rows.copy() for rows in (members.states, members.parameters, members.outputs)))
    for rows in (filled.states, filled.parameters):
        rows[dead] = rows[source]
    filled.outputs[dead] = mixed(members.outputs)
    columns = np.flatnonzero(coordinates.updated)
    z = filled.coordinates(coordinates)[:, columns]
    copies = Members(filled.states[dead], filled.parameters[dead], filled.outputs[dead])
    copies, _ = moved(copies, mixed(z), columns, coordinates)
    filled.states[dead], filled.parameters[dead] = copies.states, copies.parameters
    return filled
