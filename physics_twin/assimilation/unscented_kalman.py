"""`UnscentedKalman`: mean and covariance through a few chosen runs of the model, in square-root form."""

import math
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Observation, Predicted, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
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
from physics_twin.errors import BoundsError, SolveError
from physics_twin.model import Failure


@dataclass(frozen=True)
class Weights:
    """Of 2 n + 1 sigma points: the center, then n above, then n below.

    reach: distance of the points from the center in columns of the root. mean, covariance: of each point; they differ
    at the center only.
    """

    reach: float
    mean_center: float
    covariance_center: float
    side: float


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

    >>> UnscentedKalman().name
    'unscented kalman'
    """

    alpha: float = 0.6
    beta: float = 2.0
    kappa: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha <= 2.0:
            raise BoundsError(f"alpha = {self.alpha}; it lies between 0 and 2, usually between 0.5 and 1")
        if not (math.isfinite(self.beta) and math.isfinite(self.kappa)):
            raise BoundsError(f"beta = {self.beta}, kappa = {self.kappa}; both are finite numbers")

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
        coordinates, root = dynamics.coordinates, root_of(belief)
        weights = self.weights(coordinates.n)
        failures: tuple[Failure, ...] = ()
        moving = step.t1 > step.t0
        carried = belief
        if moving:
            points, states, parameters = _points(belief, root, weights, coordinates)
            ends, _, failures = dynamics.advance(states, parameters, step.t0, step.t1, step.settings)
            beyond = points - coordinates.of_members(states, parameters)
            z = coordinates.of_members(ends, parameters) + beyond
            center = _replace_failed(z, ends, points, failures, step.t1)
            mean, deviations = _moments(z, weights)
            # Parameters do not move by themselves, not even by the rounding of a sum.
            mean[coordinates.n_states :] = points[0, coordinates.n_states :]
            root = _root(deviations, weights, np.diag(np.sqrt(step.variance)), step.t1)
            mean = within_bounds(mean, root, coordinates, step.t1)
            carried = moved(Belief(belief.method, center[None], belief.parameters, root), mean, root, coordinates)
        elif step.variance.any():
            root = lower_root(np.hstack([root, np.diag(np.sqrt(step.variance))]))
            carried = Belief(belief.method, belief.states, belief.parameters, root)
        return self._observed(carried, dynamics, step, weights, failures)

    def _observed(
        self, carried: Belief, dynamics: Dynamics, step: Step, weights: Weights, failures: tuple[Failure, ...]
    ) -> Predicted:
        """Outputs of fresh points at step.t1."""
        root = root_of(carried)
        points, states, parameters = _points(carried, root, weights, dynamics.coordinates)
        _, outputs, failed = dynamics.advance(states, parameters, step.t1, step.t1, step.settings)
        if failed:
            _replace_failed(outputs, states, np.zeros_like(outputs), failed, step.t1)
        mean, deviations = _moments(outputs, weights)
        spread = np.array(points - points[0])
        covariance = _product(deviations, deviations, weights)
        return Predicted(carried, mean, covariance, {"points": spread, "outputs": deviations}, (*failures, *failed))

    def widen(self, predicted: Predicted, dynamics: Dynamics, factor: float) -> Predicted:
        """`factor` times the variance of every coordinate; outputs spread in proportion, without new runs."""
        stretched = {name: deviations * math.sqrt(factor) for name, deviations in predicted.linked.items()}
        return widened(predicted, factor, stretched)

    def update(self, predicted: Predicted, dynamics: Dynamics, step: Step, observation: Observation) -> Belief:
        """Learn from samples; the root is that of the points' own residuals, which holds for any gain.

        P = sum w (dz - K dy)(dz - K dy)^T + K R K^T. Raises SolveError.
        """
        belief, coordinates = predicted.belief, dynamics.coordinates
        weights = self.weights(coordinates.n)
        spread, outputs = predicted.linked["points"], predicted.linked["outputs"][:, observation.rows]
        innovation = _product(outputs, outputs, weights) + np.diag(observation.variance)
        gain = gain_of(_product(spread, outputs, weights), innovation, coordinates.updated, step.t1)
        residual = observation.values - predicted.outputs[observation.rows]
        z = coordinates.of_members(belief.states, belief.parameters)[0] + gain @ residual
        root = _root(spread - outputs @ gain.T, weights, gain * np.sqrt(observation.variance), step.t1)
        z = within_bounds(z, root_of(belief), coordinates, step.t1)
        return moved(belief, z, root, coordinates)


def _points(belief: Belief, root: Array, weights: Weights, coordinates: Coordinates) -> tuple[Array, Array, Array]:
    """Sigma points (2 n + 1, n) in coordinates, and their states and parameters, SI, clipped into the bounds."""
    z = coordinates.of_members(belief.states, belief.parameters)[0]
    columns = weights.reach * root.T
    points = np.concatenate([z[None], z + columns, z - columns])
    clipped = np.clip(points, np.minimum(coordinates.lower, z), np.maximum(coordinates.upper, z))
    states, parameters = coordinates.to_members(clipped, belief.states)
    states[0], parameters[0] = belief.states[0], belief.parameters[0]
    return points, states, parameters


def _moments(values: Array, weights: Weights) -> tuple[Array, Array]:
    """Weighted mean (m,) of values (2 n + 1, m), and deviations from it; summed from the center, where digits are."""
    mean = values[0] + weights.side * (values[1:] - values[0]).sum(axis=0)
    return mean, values - mean


def _product(left: Array, right: Array, weights: Weights) -> Array:
    """Weighted sum over the points of left right^T."""
    sides = weights.side * (left[1:].T @ right[1:])
    return np.asarray(sides + weights.covariance_center * np.outer(left[0], right[0]), dtype=float)


def _root(deviations: Array, weights: Weights, noise: Array, time: float) -> Array:
    """Root of the weighted covariance of deviations (2 n + 1, n) plus noise noise^T; noise (n, m)."""
    factors = [math.sqrt(weights.side) * deviations[1:].T, noise]
    center = math.sqrt(abs(weights.covariance_center)) * deviations[0]
    if weights.covariance_center >= 0.0:
        return lower_root(np.hstack([center[:, None], *factors]))
    return _downdated(lower_root(np.hstack(factors)), center, time)


def _downdated(root: Array, vector: Array, time: float) -> Array:
    """Root of L L^T - v v^T = L (I - w w^T) L^T with w = L^-1 v; raises SolveError where that is not positive."""
    try:
        w = np.linalg.solve(root, vector)
        inner = np.linalg.cholesky(np.eye(w.size) - np.outer(w, w))
    except np.linalg.LinAlgError:
        raise SolveError(
            "the covariance of the sigma points lost its positive definiteness; take alpha of 0.6 or more",
            time=time,
        ) from None
    return np.asarray(root @ inner, dtype=float)


def _replace_failed(z: Array, ends: Array, points: Array, failures: tuple[Failure, ...], time: float) -> Array:
    """Fill the rows of z that failed, in place; returns the end state that the mean goes on with.

    z: (2 n + 1, m) what was carried; points: (2 n + 1, m) where it came from. A point is mirrored from its opposite;
    where both failed, the pair keeps the distance from the center that it had. Raises SolveError where all failed.
    """
    center: Array = ends[0]
    if not failures:
        return center
    failed = {failure.member for failure in failures}
    n = (len(z) - 1) // 2
    kept = [k for k in range(len(z)) if k not in failed]
    if not kept:
        raise SolveError(f"every sigma point failed; the first: {failures[0].reason}", time=failures[0].time)
    center = ends[kept[0]]
    if 0 in failed:
        whole = [0.5 * (z[k] + z[k + n]) for k in range(1, n + 1) if k not in failed and k + n not in failed]
        z[0] = np.mean(whole, axis=0) if whole else z[kept].mean(axis=0)
    for k in sorted(failed - {0}):
        opposite = k + n if k <= n else k - n
        z[k] = 2.0 * z[0] - z[opposite] if opposite not in failed else z[0] + (points[k] - points[0])
    if not np.isfinite(z).all():
        raise SolveError("a sigma point came back with a number that is not finite", time=time)
    return center
