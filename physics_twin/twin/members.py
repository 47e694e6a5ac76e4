"""Members of a belief: what a forecast runs, whichever method carries the belief."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.keys import Key

_LEAST = 200
_PER_COORDINATE = 4


@dataclass(frozen=True, eq=False)
class Members:
    """states: (n, n_state), parameters: (n, n_parameters) in the order of `Coordinates.parameters`; SI."""

    states: Array
    parameters: Array


def members_of(belief: Belief, coordinates: Coordinates, key: Key, n: int | None = None) -> Members:
    """Members of a belief, keyed.

    Of an ensemble its own (n of them drawn where another number is asked for). Of a mean and covariance draws that have
    exactly this mean and this covariance, before those out of bounds are moved to them: no sampling error is added.
    """
    if belief.root is None:
        own = len(belief.states)
        if n is None or n == own:
            return Members(belief.states, belief.parameters)
        rows = np.sort(key.rng("members").choice(own, n, replace=n > own))
        return Members(belief.states[rows], belief.parameters[rows])
    k = coordinates.n
    count = max(_LEAST, _PER_COORDINATE * k) if n is None else n
    u = key.rng("members").standard_normal((count, k))
    if count > k + 1:
        u -= u.mean(axis=0)
        u = solve_triangular(np.linalg.cholesky(u.T @ u / (count - 1)), u.T, lower=True).T
    z = coordinates.of_members(belief.states, belief.parameters) + u @ belief.root.T
    states, parameters = coordinates.to_members(np.clip(z, coordinates.lower, coordinates.upper), belief.states)
    return Members(states, parameters)
