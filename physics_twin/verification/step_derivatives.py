"""Are the derivatives that `advance_linearised` returns those of the step? Differences say so, with their own error."""

from collections.abc import Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.model import Linearisation, Linearised, Model, Sensitivities, SIValues, StateKind
from physics_twin.recipes import Recipe

_STEP = 2.0**-7  # of a state's scale
_KINK = 0.2  # of a derivative: how far those of the two sides may differ by curvature
_ROUNDING = 1e-14  # of an output's size
_MOST = 8  # directions of the state that are tried; each costs four runs
_MOVING = (StateKind.DIFFERENTIAL, StateKind.ACCUMULATOR)


def wrong_step_derivatives(
    model: Model,
    state: Array,
    t0: float,
    t1: float,
    recipe: Recipe,
    values: SIValues,
    wrt: Sequence[str],
    accuracy: float,
) -> str:
    """What is wrong with the linearised step from t0 to t1 > t0, in words; "" where nothing is.

    Derivatives by the state are held against central differences D(h), D(2h): right is what is within their own
    difference and the noise of the runs, `accuracy` of each quantity's size over h. Those by `wrt` are held against
    `sensitivity`.
    """
    assert isinstance(model, Linearised)  # the caller has asked
    found = model.advance_linearised(state, t0, t1, recipe, values, wrt)
    end = _after(model, state, t0, t1, recipe, values)
    n = state.size
    size = np.concatenate([np.maximum(_scales(model), np.abs(end[:n])), np.abs(end[n:]) + 1e-300])
    moving = _moving(model)
    apart = np.abs(np.concatenate([found.state, found.outputs]) - end) > 10.0 * accuracy * size
    if apart[np.concatenate([moving, np.ones(end.size - n, dtype=bool)])].any():
        return "its end is not that of advance and observe"
    still = model.advance_linearised(state, t0, t0, recipe, values, wrt)
    if not np.array_equal(still.state_by_state, np.diag(moving.astype(float))) or still.state_by_values.any():
        return "a step of no length has another derivative than one"
    for rows in (found.state_by_state[~moving], found.state_by_values[~moving], found.state_by_state[:, ~moving]):
        if rows.any():
            return "entries that are neither differential states nor accumulators have derivatives"
    if isinstance(model, Sensitivities) and wrt:
        _, jacobian, _ = model.sensitivity(np.array([t0, t1]), recipe, values, wrt, state)
        expected = jacobian[-1]
        most = np.max(np.abs(expected), axis=0, keepdims=True)
        # Below this a change of the parameter by all of itself moves the output by no more than rounding.
        least = _ROUNDING * size[n:, None] / np.array([abs(values[name]) or 1.0 for name in wrt])
        if (np.abs(found.outputs_by_values - expected) > 100.0 * accuracy * most + least).any():
            return "the derivatives of its outputs by parameters are not those of sensitivity"
    return _against_differences(model, found, state, end, t0, t1, recipe, values, accuracy, size)


def _against_differences(
    model: Model,
    found: Linearisation,
    state: Array,
    end: Array,
    t0: float,
    t1: float,
    recipe: Recipe,
    values: SIValues,
    accuracy: float,
    size: Array,
) -> str:
    n, moving, scales = state.size, _moving(model), _scales(model)
    names = [block.name for block in model.state for _ in range(block.size)]
    bounds = np.array([(block.lower, block.upper) for block in model.state for _ in range(block.size)])
    judged = np.concatenate([moving, np.ones(len(model.outputs), dtype=bool)])
    directions = np.flatnonzero(moving)
    for k in directions[:: max(1, directions.size // _MOST)]:
        h = _STEP * scales[k]
        if not bounds[k, 0] <= state[k] - 2.0 * h <= state[k] + 2.0 * h <= bounds[k, 1]:
            continue
        try:
            (near, rise, fall), (far, _, _) = (
                _differences(model, state, end, int(k), m * h, t0, t1, recipe, values) for m in (1.0, 2.0)
            )
        except SolveError:  # so far from its state the model has no answer
            continue
        got = np.concatenate([found.state_by_state[:, k], found.outputs_by_state[:, k]])
        allowed = 2.0 * np.abs(far - near) + 4.0 * accuracy * size / h
        # A running extreme that is just reached has another derivative on each side: it has none to be held against.
        kink = np.abs(rise - fall) > _KINK * np.maximum(np.abs(rise), np.abs(fall))
        wrong = judged & ~kink & ~(np.abs(got - near) <= allowed)
        if wrong.any():
            j = int(np.flatnonzero(wrong)[0])
            what = names[j] if j < n else model.outputs[j - n].name
            return f"d {what} / d {names[k]} is {got[j]:.6g}, differences say {near[j]:.6g}"
    return ""


def _differences(
    model: Model, state: Array, end: Array, k: int, h: float, t0: float, t1: float, recipe: Recipe, values: SIValues
) -> tuple[Array, Array, Array]:
    """Central, forward and backward differences of the end by entry k of the state."""
    up, down = state.copy(), state.copy()
    up[k] += h
    down[k] -= h
    above, below = (_after(model, at, t0, t1, recipe, values) for at in (up, down))
    return (above - below) / (2.0 * h), (above - end) / h, (end - below) / h


def _after(model: Model, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
    """End state, then outputs."""
    end = model.advance(state, t0, t1, recipe, values)
    return np.concatenate([end, model.observe(end, t1, recipe, values)])


def _moving(model: Model) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.array([block.kind in _MOVING for block in model.state for _ in range(block.size)])


def _scales(model: Model) -> Array:
    return np.array([block.scale for block in model.state for _ in range(block.size)])
