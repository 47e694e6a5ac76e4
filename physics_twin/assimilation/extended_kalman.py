"""`ExtendedKalman`: the Kalman filter of the model linearized along its own run."""

import functools
from dataclasses import dataclass, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Observation, Predicted, Start, Step
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.gaussian import (
    begin_gaussian,
    gain_of,
    lower_root,
    moved,
    root_of,
    widened,
    within_bounds,
)
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.linearise import linear_step, offers_derivatives
from physics_twin.errors import BoundsError
from physics_twin.units import QuantityLike, Unit, to_si


@dataclass(frozen=True)
class ExtendedKalman:
    """Mean by the model itself, covariance by its derivatives (Jazwinski 1970, ch. 8).

    inflation: factor on the forecast covariance for each `per` of time, so that it does not depend on how many samples
        there are; 1 for none. For a chaotic model without process noise it stands for what the linearization leaves
        out. iterations: of each update, linearized again at the updated mean (Bell and Cathey, IEEE Trans. Autom.
        Control 38, 294, 1993); 1 is the plain filter, more pays off for sensors that are strongly nonlinear.

    Derivatives are exact where the model gives them; otherwise they are central differences, and the belief remembers
    `differences` = 1. Random walks add their variance at the end of each step. For a handful to a few hundred
    coordinates, and models that are smooth over one standard deviation.

    >>> ExtendedKalman(inflation=1.05, per="1 min").name
    'extended kalman'
    """

    inflation: float = 1.0
    per: QuantityLike = "1 s"
    iterations: int = 1

    def __post_init__(self) -> None:
        if not (1.0 <= self.inflation < float("inf") and 0.0 < self._seconds < float("inf")):
            raise BoundsError(f"inflation = {self.inflation} per {self.per}; it is 1 or more, per a time above zero")
        if self.iterations < 1:
            raise BoundsError(f"iterations = {self.iterations}; an update takes at least 1")

    @functools.cached_property
    def _seconds(self) -> float:
        return to_si(self.per, Unit("s"), name="inflation: per")

    @property
    def name(self) -> str:
        """As files say it."""
        return "extended kalman"

    def begin(self, start: Start, dynamics: Dynamics, key: Key) -> Belief:
        """Mean and covariance of the draws; see `begin_gaussian`."""
        memory = {} if offers_derivatives(dynamics) else {"differences": np.ones(1)}
        return begin_gaussian(self.name, start, dynamics, memory)

    def predict(self, belief: Belief, dynamics: Dynamics, step: Step) -> Predicted:
        """Carry mean and covariance to step.t1, then linearize the outputs there; raises SolveError."""
        settings, coordinates, root = dict(step.settings), dynamics.coordinates, root_of(belief)
        state, parameters = belief.states[0], belief.parameters[0]
        if step.t1 > step.t0:
            run = linear_step(dynamics, state, parameters, step.t0, step.t1, settings)
            state = run.state
            inflated = self.inflation ** (0.5 * (step.t1 - step.t0) / self._seconds)
            root = inflated * (run.transition @ root)
        factors = [root, np.diag(np.sqrt(step.variance))] if step.variance.any() else [root]
        root = lower_root(np.concatenate(factors, axis=1))
        carried = Belief(belief.method, state[None], belief.parameters, root, belief.memory)
        z = coordinates.of_members(carried.states, carried.parameters)[0]
        near = within_bounds(z, root, coordinates, step.t1)
        if near is not z:
            carried = moved(carried, near, root, coordinates)
        here = linear_step(dynamics, carried.states[0], carried.parameters[0], step.t1, step.t1, settings)
        spread = here.response @ root
        return Predicted(carried, here.outputs, spread @ spread.T, {"response": here.response})

    def widen(self, predicted: Predicted, dynamics: Dynamics, factor: float) -> Predicted:
        """`factor` times the variance of the states; that of the parameters stays."""
        belief, _ = widened(predicted, dynamics.coordinates, factor)
        spread = predicted.linked["response"] @ root_of(belief)
        return replace(predicted, belief=belief, covariance=spread @ spread.T)

    def update(self, predicted: Predicted, dynamics: Dynamics, step: Step, observation: Observation) -> Belief:
        """Learn from samples; the covariance in Joseph's form, which holds for any gain. Raises SolveError."""
        belief, coordinates = predicted.belief, dynamics.coordinates
        if not observation.rows.size:
            return belief
        root, rows = root_of(belief), observation.rows
        before = coordinates.of_members(belief.states, belief.parameters)[0]
        z, outputs, response = before, predicted.outputs, predicted.linked["response"]
        for iteration in range(self.iterations):
            if iteration:
                changed = moved(belief, z, root, coordinates)
                here = linear_step(
                    dynamics, changed.states[0], changed.parameters[0], step.t1, step.t1, dict(step.settings)
                )
                outputs, response = here.outputs, here.response
            slope = response[rows]
            spread = slope @ root
            innovation = spread @ spread.T + np.diag(observation.variance)
            gain = gain_of(root @ spread.T, innovation, coordinates.updated, step.t1)
            # Linearized at z, compared at the prediction: the residual is that of the line through (z, outputs).
            residual = observation.values - outputs[rows] - slope @ (before - z)
            z = within_bounds(before + gain @ residual, root, coordinates, step.t1)
        return moved(belief, z, _joseph(root, gain, spread, observation.variance), coordinates)


def _joseph(root: Array, gain: Array, spread: Array, variance: Array) -> Array:
    """Root of (I - K H) P (I - K H)^T + K R K^T; spread is H L."""
    return lower_root(np.concatenate([root - gain @ spread, gain * np.sqrt(variance)], axis=1))
