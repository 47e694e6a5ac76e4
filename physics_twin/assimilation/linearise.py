"""A step of a model with its derivatives in the coordinates of the filters."""

from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.errors import SolveError
from physics_twin.model import Linearised

_DIFFERENCE = 1e-3  # of a coordinate of order one: well above the noise of an integrator at 1e-6, error 1e-7 of f'''


@dataclass(frozen=True, eq=False)
class LinearStep:
    """From t0 to t1, with derivatives by the coordinates at t0.

    state: (n_state,) SI at t1. outputs: (n_outputs,) SI at t1. transition: (n, n) of the coordinates at t1.
    response: (n_outputs, n) of the outputs at t1, SI per coordinate.
    """

    state: Array
    outputs: Array
    transition: Array
    response: Array


def linear_step(
    dynamics: Dynamics, state: Array, parameters: Array, t0: float, t1: float, settings: dict[str, float]
) -> LinearStep:
    """The step of one state (n_state,) with parameters (n_parameters,), SI; raises SolveError.

    Derivatives are exact where the model is `Linearised`, otherwise central differences (`offers_derivatives`).
    Accumulators and other parts of the state that are no coordinates are taken as fixed.
    """
    if offers_derivatives(dynamics):
        return _exact(dynamics, state, parameters, t0, t1, settings)
    return _by_differences(dynamics, state, parameters, t0, t1, settings)


def offers_derivatives(dynamics: Dynamics) -> bool:
    """Whether the model gives exact derivatives of a step."""
    return isinstance(dynamics.model, Linearised)


def _exact(
    dynamics: Dynamics, state: Array, parameters: Array, t0: float, t1: float, settings: dict[str, float]
) -> LinearStep:
    coordinates = dynamics.coordinates
    assert isinstance(dynamics.model, Linearised)  # narrows the type; `linear_step` has asked
    values = {**dynamics.fixed, **settings}
    own = coordinates.of_plant
    values |= dict(zip(own, parameters.tolist(), strict=False))
    found = dynamics.model.advance_linearised(state, t0, t1, dynamics.recipe, values, own)
    n, positions, end = coordinates.n_states, coordinates.positions, coordinates.n_states + len(own)
    scale = coordinates.scale[:n]
    by_parameter = np.where(coordinates.logarithmic, parameters, coordinates.scale[n:])[: len(own)]
    transition = np.eye(coordinates.n)
    transition[:n, :n] = found.state_by_state[np.ix_(positions, positions)] * (scale / scale[:, None])
    transition[:n, n:end] = found.state_by_values[positions] * (by_parameter / scale[:, None])
    outputs, response = found.outputs, np.zeros((len(found.outputs), coordinates.n))
    response[:, :end] = np.hstack(
        [found.outputs_by_state[:, positions] * scale, found.outputs_by_values * by_parameter]
    )
    if coordinates.biased:
        rows, biases = (list(column) for column in zip(*coordinates.biased, strict=True))
        outputs = np.append(outputs, outputs[rows] + parameters[biases])
        response = np.vstack([response, response[rows]])
        at = n + np.array(biases)
        response[np.arange(len(found.outputs), len(outputs)), at] += coordinates.scale[at]
    if not (np.isfinite(transition).all() and np.isfinite(response).all()):
        raise SolveError("the derivatives of a step are not finite numbers", time=t1)
    return LinearStep(found.state, outputs, transition, response)


def _by_differences(
    dynamics: Dynamics, state: Array, parameters: Array, t0: float, t1: float, settings: dict[str, float]
) -> LinearStep:
    """All perturbed members in one call; a step that would cross a bound is shortened on that side."""
    coordinates = dynamics.coordinates
    n = coordinates.n
    z = coordinates.of_members(state[None], parameters[None])[0]
    step = _DIFFERENCE * np.maximum(np.abs(z), 1.0)
    above = np.minimum(z + step, np.maximum(coordinates.upper, z))
    below = np.maximum(z - step, np.minimum(coordinates.lower, z))
    points = np.tile(z, (2 * n + 1, 1))
    points[1 : n + 1][np.diag_indices(n)] = above
    points[n + 1 :][np.diag_indices(n)] = below
    states, own = coordinates.to_members(points, state[None])
    states[0], own[0] = state, parameters
    ends, outputs, failures = dynamics.advance(states, own, t0, t1, settings)
    if failures:
        first = failures[0]
        raise SolveError(f"the model failed where its derivatives are taken: {first.reason}", time=first.time)
    carried = coordinates.of_members(ends, own)
    width = (above - below)[:, None]
    return LinearStep(
        ends[0],
        outputs[0],
        ((carried[1 : n + 1] - carried[n + 1 :]) / width).T,
        ((outputs[1 : n + 1] - outputs[n + 1 :]) / width).T,
    )
