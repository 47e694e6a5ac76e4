"""`UnscentedKalman`: mean and covariance through a few chosen runs of the model, in square-root form."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

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
from physics_twin.assimilation.runge_kutta import RungeKutta
from physics_twin.assimilation.sigma_points import (
    Weights,
    moments_of,
    product_of,
    replace_failed,
    root_of_points,
    sigma_points,
)
from physics_twin.errors import BoundsError
from physics_twin.model import Failure

if TYPE_CHECKING:
    from physics_twin.assimilation.fixed_steps import FixedSteps

type Advance = Callable[[Array, Array, float, float, Mapping[str, float]], tuple[Array, Array, tuple[Failure, ...]]]
"""As `Dynamics.advance`."""
_KEPT = 8  # plants for which a method keeps its written functions


@dataclass(frozen=True)
class UnscentedKalman:
    """Scaled sigma points (van der Merwe and Wan, IEEE ICASSP 2001, 3461; their alpha, beta, kappa).

    alpha: how far out the points lie, in units of sqrt(n + kappa) standard deviations. beta: weight of the center in
    the covariance; 2 is right for a Gaussian in one direction. kappa: shifts all weight. With alpha of at least 0.52,
    beta = 2 and kappa = 0 no weight of a covariance is negative: its root then never needs a subtraction, and noise of
    the integrator is not amplified. That rules out the 1e-3 often seen.

    The points run within the bounds; what a point lies beyond them is added again after its run, so that a parameter
    at its bound neither moves nor loses spread by waiting. A point that fails is mirrored from its opposite one and
    reported. Random walks add their variance at the end of each step; the points are then drawn again for the outputs.
    States that are no coordinates follow the run of the center.

    steps: None for the model's own integrator with its error control. `RungeKutta("30 s")` writes the step of all
    points and the update out as native functions, for a smooth model that shows its equations and up to 16 coordinates;
    a step in which a phase ends, something is dosed or an input has a corner is left to the model's own integrator.

    >>> UnscentedKalman().name
    'unscented kalman'
    """

    alpha: float = 0.6
    beta: float = 2.0
    kappa: float = 0.0
    steps: RungeKutta | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha <= 2.0:
            raise BoundsError(f"alpha = {self.alpha}; it lies between 0 and 2, usually between 0.5 and 1")
        if not (math.isfinite(self.beta) and math.isfinite(self.kappa)):
            raise BoundsError(f"beta = {self.beta}, kappa = {self.kappa}; both are finite numbers")

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def name(self) -> str:
        """As files say it."""
        return "unscented kalman"

    def weights(self, n: int) -> Weights:
        """For n coordinates; raises BoundsError where n + kappa is not above zero."""
        spread = self.alpha**2 * (n + self.kappa)
        if not spread > 0.0:
            raise BoundsError(f"kappa = {self.kappa} with {n} coordinates; their sum must be above zero")
        center = 1.0 - n / spread
        return Weights(math.sqrt(spread), center, center + 1.0 - self.alpha**2 + self.beta, 0.5 / spread)

    def begin(self, start: Start, dynamics: Dynamics, key: Key) -> Belief:
        """Mean and covariance of the draws; see `begin_gaussian`."""
        return begin_gaussian(self.name, start, dynamics)

    def predict(self, belief: Belief, dynamics: Dynamics, step: Step) -> Predicted:
        """Carry sigma points to step.t1, then draw new ones there for the outputs; raises SolveError."""
        advance: Advance = dynamics.advance
        if self.steps is not None and step.t1 > step.t0:
            written = self._fixed_steps(dynamics, self.steps)
            stretch = written.stretch(belief, step)
            if stretch is not None:
                found = written.predict(belief, stretch, step)
                if found is not None:
                    return found
                advance = written.advance
        return self._by_arrays(belief, dynamics, step, advance)

    def _by_arrays(self, belief: Belief, dynamics: Dynamics, step: Step, advance: Advance) -> Predicted:
        coordinates, root = dynamics.coordinates, root_of(belief)
        weights = self.weights(coordinates.n)
        failures: tuple[Failure, ...] = ()
        carried = belief
        if step.t1 > step.t0:
            points, states, parameters = sigma_points(belief, root, weights, coordinates)
            ends, _, failures = advance(states, parameters, step.t0, step.t1, step.settings)
            beyond = points - coordinates.of_members(states, parameters)
            z = coordinates.of_members(ends, parameters) + beyond
            center = replace_failed(z, ends, points, failures, step.t1)
            mean, deviations = moments_of(z, weights)
            # Parameters do not move by themselves, not even by the rounding of a sum.
            mean[coordinates.n_states :] = points[0, coordinates.n_states :]
            root = root_of_points(deviations, weights, np.diag(np.sqrt(step.variance)), step.t1)
            mean = within_bounds(mean, root, coordinates, step.t1)
            carried = moved(Belief(belief.method, center[None], belief.parameters, root), mean, root, coordinates)
        elif step.variance.any():
            root = lower_root(np.concatenate([root, np.diag(np.sqrt(step.variance))], axis=1))
            carried = Belief(belief.method, belief.states, belief.parameters, root)
        points, states, parameters = sigma_points(carried, root, weights, coordinates)
        _, outputs, failed = dynamics.advance(states, parameters, step.t1, step.t1, step.settings)
        if failed:
            replace_failed(outputs, states, np.zeros_like(outputs), failed, step.t1)
        mean, deviations = moments_of(outputs, weights)
        covariance = product_of(deviations, deviations, weights)
        linked = {"points": points - points[0], "outputs": deviations}
        return Predicted(carried, mean, covariance, linked, (*failures, *failed))

    def widen(self, predicted: Predicted, dynamics: Dynamics, factor: float) -> Predicted:
        """`factor` times the variance of the states; that of the parameters stays.

        The outputs of the points follow by the slopes that the points show, without new runs.
        """
        weights, linked = self.weights(dynamics.coordinates.n), predicted.linked
        belief, stretch = widened(predicted, dynamics.coordinates, factor)
        points, outputs = linked["points"], linked["outputs"]
        n = dynamics.coordinates.n
        above, below = slice(1, n + 1), slice(n + 1, None)
        slopes = np.linalg.lstsq(points[above] - points[below], outputs[above] - outputs[below], rcond=None)[0]
        outputs = outputs + (points * (stretch - 1.0)) @ slopes
        covariance = product_of(outputs, outputs, weights)
        return replace(
            predicted, belief=belief, covariance=covariance, linked={"points": points * stretch, "outputs": outputs}
        )

    def update(self, predicted: Predicted, dynamics: Dynamics, step: Step, observation: Observation) -> Belief:
        """Learn from samples; the root is that of the points' own residuals, which holds for any gain.

        P = sum w (dz - K dy)(dz - K dy)^T + K R K^T. Raises SolveError.
        """
        belief, coordinates = predicted.belief, dynamics.coordinates
        if not observation.rows.size:
            return belief
        if self.steps is not None:
            found = self._fixed_steps(dynamics, self.steps).update(predicted, observation)
            if found is not None:
                return found
        weights = self.weights(coordinates.n)
        spread, outputs = predicted.linked["points"], predicted.linked["outputs"][:, observation.rows]
        innovation = product_of(outputs, outputs, weights) + np.diag(observation.variance)
        gain = gain_of(product_of(spread, outputs, weights), innovation, coordinates.updated, step.t1)
        residual = observation.values - predicted.outputs[observation.rows]
        z = coordinates.of_members(belief.states, belief.parameters)[0] + gain @ residual
        root = root_of_points(spread - outputs @ gain.T, weights, gain * np.sqrt(observation.variance), step.t1)
        z = within_bounds(z, root_of(belief), coordinates, step.t1)
        return moved(belief, z, root, coordinates)

    def _fixed_steps(self, dynamics: Dynamics, steps: RungeKutta) -> "FixedSteps":
        """The functions for these dynamics; written at the first call and kept, as are those of similar dynamics."""
        for known in self._kept:
            if known.dynamics is dynamics:
                return known
        from physics_twin.assimilation.fixed_steps import FixedSteps  # loads CasADi: only for those who ask for it

        new = FixedSteps(dynamics, self.weights(dynamics.coordinates.n), steps, self._kept)
        self._kept[:] = [*self._kept[-_KEPT + 1 :], new]
        return new

    @functools.cached_property
    def _kept(self) -> "list[FixedSteps]":
        return []
