"""`MovingHorizon`: state and parameters from the samples of a sliding window."""

from dataclasses import dataclass, field, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Observation, Predicted, Start, Step
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.gaussian import begin_gaussian, moved, root_of, widened
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.moving_horizon.arrival import carried, posterior_root, taken_in
from physics_twin.assimilation.moving_horizon.condensing import tangents
from physics_twin.assimilation.moving_horizon.flow import Flow, flow_of
from physics_twin.assimilation.moving_horizon.layout import Clock
from physics_twin.assimilation.moving_horizon.solvers import (
    Converged,
    Prepared,
    RealTimeIteration,
    prepared,
    solve,
)
from physics_twin.assimilation.moving_horizon.transcription import (
    Accuracy,
    Linearized,
    linearized,
    no_elements,
    simulated,
)
from physics_twin.assimilation.moving_horizon.window import Window, new_window
from physics_twin.errors import BoundsError, SolveError
from physics_twin.inputs import PhaseInputs
from physics_twin.units import QuantityLike, Unit, to_si

_MOST_MOMENTS = 4  # times the horizon: inputs that change between samples make moments without any


@dataclass(frozen=True)
class MovingHorizon:
    """Moving horizon estimation (Rao, Rawlings and Lee 2001; Kuehl et al. 2011) for models that show their equations.

    horizon: how many moments of samples before the newest are fitted again with it; what came earlier is an arrival
        cost. A longer one is better where the model is far from linear or bounds are active. Moments without samples
        (inputs that change, gaps) do not count, up to three times as many.
    solver: `Converged()`, or `RealTimeIteration()` where a sample may cost little.
    degree: of the Radau collocation, 1 to 3 (order 2 degree - 1). longest_element: a time ("30 s"); without it the
        elements are as long as `accuracy` allows: the largest difference from the model's own integrator at the end of
        a step, in scales of the states or in their values where those are larger. Finer elements are taken until it is
        met, up to `most_elements` a step.

    Bounds of states and parameters hold at every moment of the window, to the last bit at its end. Uncertain
    parameters follow random walks, an increment for each step; one without drift is a constant of the window. Bounds
    are no part of the covariance that goes with the estimate. What an accumulator holds is the model's own integral.

    Raises ModelError for a model with events, switches, discrete values or running extremes, or without equations.

    >>> MovingHorizon(20, RealTimeIteration(), longest_element="30 s").name
    'moving horizon'
    """

    horizon: int = 10
    solver: Converged | RealTimeIteration = field(default_factory=Converged)
    degree: int = 3
    longest_element: QuantityLike | None = None
    accuracy: float = 1e-6
    most_elements: int = 64

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise BoundsError(f"MovingHorizon: horizon = {self.horizon}; at least one step")
        if self.degree not in (1, 2, 3):
            raise BoundsError(f"MovingHorizon: degree = {self.degree}; 1, 2 or 3")
        if not 0.0 < self.accuracy < 1.0 or self.most_elements < 1:
            raise BoundsError(
                f"MovingHorizon: accuracy = {self.accuracy:g} and most_elements = {self.most_elements}; an accuracy "
                "between 0 and 1 and at least one element"
            )
        self._accuracy()

    @property
    def name(self) -> str:
        """As messages say it."""
        return "moving horizon"

    def begin(self, start: Start, dynamics: Dynamics, key: Key) -> Belief:
        """Mean and covariance of the draws; raises ModelError for a model that this method cannot treat."""
        flow = flow_of(dynamics)
        belief = begin_gaussian(self.name, start, dynamics)
        mean = dynamics.coordinates.of_members(belief.states, belief.parameters)[0]
        window = new_window(mean, root_of(belief), no_elements(flow, self.degree))
        return replace(belief, memory=window.memory())

    def predict(self, belief: Belief, dynamics: Dynamics, step: Step) -> Predicted:
        """Carry the estimate over a step and linearize the window, so that samples cost little; raises SolveError.

        Where the equations cannot be evaluated on the trajectory of the window, a new window begins at step.t0.
        """
        flow = flow_of(dynamics)
        fixed = flow.fixed(dynamics)
        window = Window.of(belief.memory)
        clock = Clock(dynamics, step.settings)
        ends, outputs, failures = dynamics.advance(belief.states, belief.parameters, step.t0, step.t1, step.settings)
        if failures:
            raise SolveError(failures[0].reason, time=failures[0].time)
        known, z = _at_moment(flow, clock.inputs(belief.states[0]), belief.states[0], step.t0)
        if not np.isfinite(window.times[0]):
            window = window.begun(step.t0, known, z)
        root = root_of(belief)
        linear: Linearized | None = None
        if step.t1 > step.t0 or step.variance.any():
            onward = _Onward(flow, fixed, clock, belief, ends[0], dynamics, step)
            try:
                window, linear, root = self._longer(window, onward)
            except SolveError:
                if window.n_moments == 1:
                    raise
                # A trajectory on which the equations fail would fail for ever: what is known goes on without it.
                mean = dynamics.coordinates.of_members(belief.states, belief.parameters)[0]
                alone = new_window(mean, root, no_elements(flow, self.degree)).begun(step.t0, known, z)
                window, linear, root = self._longer(alone, onward)
        at = prepared(flow, window, fixed, linear)
        slopes = at.tangent.slopes[-1]
        spread = slopes @ root
        there = Belief(self.name, ends, belief.parameters, root, window.memory())
        return Predicted(there, outputs[0], spread @ spread.T, at.arrays())

    def widen(self, predicted: Predicted, dynamics: Dynamics, factor: float) -> Predicted:
        """A new window that begins here with `factor` times the variance of the states: earlier samples count no more.

        Parameters keep what is known of them.
        """
        c, flow = dynamics.coordinates, flow_of(dynamics)
        belief, _ = widened(predicted, c, factor)
        old, root = Window.of(predicted.belief.memory), root_of(belief)
        mean = c.of_members(belief.states, belief.parameters)[0]
        window = new_window(mean, root, no_elements(flow, self.degree))
        window = replace(window.begun(float(old.times[-1]), old.known[-1], old.z[-1]), length=old.length)
        at = prepared(flow, window, flow.fixed(dynamics))
        spread = at.tangent.slopes[-1] @ root
        wider = replace(belief, memory=window.memory())
        return Predicted(wider, predicted.outputs, spread @ spread.T, at.arrays(), predicted.failures)

    def update(self, predicted: Predicted, dynamics: Dynamics, step: Step, observation: Observation) -> Belief:
        """The estimate over the window with these samples; raises SolveError."""
        c, flow = dynamics.coordinates, flow_of(dynamics)
        _check(observation, step.t1)
        window = Window.of(predicted.belief.memory).sampled(observation)
        first = Prepared.of(predicted.linked).sampled(window)
        found = solve(self.solver, flow, window, first, flow.fixed(dynamics), c)
        before = c.of_members(predicted.belief.states, predicted.belief.parameters)[0]
        end = np.where(c.updated, found.window.points[-1], before)
        root = posterior_root(
            found.at.whole.moments[-1, : c.n, :-1], found.at.rows.jacobian, found.solution.factor, c.updated
        )
        if not np.isfinite(root).all():
            raise SolveError("the covariance of the estimate is not a finite number", time=step.t1)
        belief = _clear_of_rounding(moved(predicted.belief, end, root, c), dynamics, flow)
        return replace(belief, memory=found.window.memory())

    def _too_long(self, window: Window) -> bool:
        """Whether a moment has to leave: moments of samples count, and empty ones up to a multiple of them."""
        n_sampled = len(set(window.sample_moment.tolist()))
        return n_sampled > self.horizon or window.n_moments > _MOST_MOMENTS * self.horizon + 1

    def _accuracy(self) -> Accuracy:
        longest = np.inf
        if self.longest_element is not None:
            longest = to_si(self.longest_element, Unit("s"), name="MovingHorizon: longest_element")
            if not longest > 0.0:
                raise BoundsError(f"MovingHorizon: longest_element = {self.longest_element}; a time above zero")
        return Accuracy(self.degree, float(longest), self.accuracy, self.most_elements)

    def _longer(self, window: Window, onward: "_Onward") -> tuple[Window, Linearized, Array]:
        """The window with one more step and no longer than it may be, linearized, and the root at the new moment."""
        o, c = onward, onward.dynamics.coordinates
        start = c.of_members(o.belief.states, o.belief.parameters)[0]
        point = start.copy()
        point[: c.n_states] = o.end[c.positions] / c.scale[: c.n_states]
        stretches = o.clock.stretches(o.belief.states[0], o.end, o.step.t0, o.step.t1)
        inputs = stretches[-1].inputs if stretches else o.clock.inputs(o.end)
        known, z = _at_moment(o.flow, inputs, o.end, o.step.t1)
        elements, length = no_elements(o.flow, self.degree), float(window.length[0])
        if stretches:
            elements, length = simulated(
                o.flow, stretches, start, point[: c.n_states], z, o.fixed, self._accuracy(), length
            )
        first = len(window.elements.begin)
        window = window.appended(o.step.t1, point, known, z, o.step.variance, elements, length)
        linear = linearized(o.flow, window.elements, window.points, o.fixed)
        _, root = carried(window.points[-2], root_of(o.belief), linear.maps[first:], o.step.variance)
        while self._too_long(window):
            window, linear = _slid(window, linear, o)
        return window, linear, root


@dataclass(frozen=True, eq=False)
class _Onward:
    """A step to be taken: from a belief to the state `end` (n_state,) of the model's own integrator."""

    flow: Flow
    fixed: Array
    clock: Clock
    belief: Belief
    end: Array
    dynamics: Dynamics
    step: Step


def _slid(window: Window, linear: Linearized, onward: _Onward) -> tuple[Window, Linearized]:
    """The window without its first moment, whose samples go into the arrival cost."""
    which = np.flatnonzero(window.sample_moment == 0.0)
    mean, root = window.mean, window.root
    if len(which):
        tangent = tangents(onward.flow, window, np.zeros(1), onward.fixed)
        row = window.sample_row[which].astype(np.int64)
        sd = np.sqrt(window.sample_variance[which])
        slopes = tangent.slopes[0, row]
        values = tangent.values[0, row] + slopes @ (mean - window.points[0])
        misses = (window.sample_value[which] - values) / sd
        mean, root = taken_in(mean, root, slopes / sd[:, None], misses, onward.dynamics.coordinates.updated)
    count = int((window.elements.interval == 0.0).sum())
    mean, root = carried(mean, root, linear.maps[:count], window.variance[0])
    rest = Linearized(*(part[count:] for part in (linear.maps, linear.nodes, linear.residual, linear.z)))
    return window.without_first(mean, root), rest


def _at_moment(flow: Flow, inputs: PhaseInputs, state: Array, time: float) -> tuple[Array, Array]:
    """What is known at a moment, (n_inputs + n_accumulators,) SI, and guesses of the algebraic variables."""
    given = inputs.at(time, left=True)[0]
    return np.concatenate([given, state[flow.accumulators]]), state[flow.algebraic] / flow.algebraic_scale


def _clear_of_rounding(belief: Belief, dynamics: Dynamics, flow: Flow) -> Belief:
    """The belief with its SI values within the declared bounds: the way back from coordinates may round across one."""
    c, states, parameters = dynamics.coordinates, belief.states.copy(), belief.parameters.copy()
    n, at = c.n_states, c.positions
    states[0, at] = np.minimum(np.maximum(states[0, at], flow.lower), flow.upper)
    for k, name in enumerate(c.parameters):
        if c.updated[n + k]:
            first, last = c.declared[name].bounds
            parameters[0, k] = min(max(parameters[0, k], first), last)
    return replace(belief, states=states, parameters=parameters)


def _check(observation: Observation, time: float) -> None:
    good = np.isfinite(observation.values) & np.isfinite(observation.variance) & (observation.variance > 0.0)
    if not good.all():
        k = int(np.flatnonzero(~good)[0])
        raise SolveError(
            f'the sample of "{observation.channels[k]}" has the value {observation.values[k]:g} and the variance '
            f"{observation.variance[k]:g} (SI); both must be finite and the variance above zero",
            time=time,
        )
