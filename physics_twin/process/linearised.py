"""One step of a process model with its exact derivatives with respect to the state it begins with.

The march carries S = dx/dw for any direction w, through events, jumps and ends of phases. Here the directions are the
entries of the state themselves, seeded with the identity, and then the names asked for.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError, unknown_name
from physics_twin.model import Linearisation, SIValues, n_state
from physics_twin.recipes import Recipe

if TYPE_CHECKING:
    from physics_twin.process.process_model import ProcessModel

_DIRECTION = "d/d "  # before a state's name: with a space in it, it is no parameter's or setting's


def advance_linearised(
    model: "ProcessModel", state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues, wrt: Sequence[str]
) -> Linearisation:
    """See `Linearised.advance_linearised`. Differential states, accumulators and running extremes have derivatives.

    Discrete values change only in events, algebraic variables follow from the rest, and the recipe's entries are
    counts and clock readings: their rows and columns are zero. A phase that ends on a level ends at another time for
    another state; that movement is part of the derivatives of what comes after it.
    """
    if t1 < t0:
        raise RecipeError(f"a step goes forward in time: t0 = {t0:g} s, t1 = {t1:g} s")
    known = [*model.parameters.names, *recipe.settings]
    for name in wrt:
        if name not in known:
            raise unknown_name("parameter or setting", name, known)
    c = model.compiled
    first = c.n_x + c.n_z + c.n_d
    moving = np.r_[0 : c.n_x, first : first + c.n_w]
    blocks = [model.state[k] for k in moving]
    directions = tuple(_DIRECTION + block.name for block in blocks)
    schedule = model._schedule(recipe)
    with c.lock:
        sizes = {direction: block.scale for direction, block in zip(directions, blocks, strict=True)}
        march, at = model._resume(schedule, values, (*directions, *wrt), state, t0, sizes)
        at.s_x[:, : c.n_x] = np.eye(c.n_x)
        at.s_w[:, c.n_x : c.n_x + c.n_w] = np.eye(c.n_w)
        record, at = march.march(at, np.array([t0, t1]))
    n, m = n_state(model), moving.size
    by_state, by_values = np.zeros((n, n)), np.zeros((n, len(wrt)))
    outputs_by_state = np.zeros((c.n_y, n))
    end = np.vstack([at.s_x, at.s_w])
    by_state[np.ix_(moving, moving)], by_values[moving] = end[:, :m], end[:, m:]
    outputs_by_state[:, moving] = record.jacobian[-1, :, :m]
    return Linearisation(
        model._pack(at), record.outputs[-1].copy(), by_state, by_values, outputs_by_state, record.jacobian[-1, :, m:]
    )
