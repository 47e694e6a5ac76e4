"""Fixed steps of the unscented filter for one plant: which steps they serve, and the functions that take them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Observation, Predicted, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.gaussian import root_of
from physics_twin.assimilation.runge_kutta import RungeKutta
from physics_twin.assimilation.sigma_points import Weights
from physics_twin.assimilation.smooth_stretch import Line, Stretches, equations_of
from physics_twin.assimilation.written_unscented import WrittenUnscented
from physics_twin.model import Failure

_MOST = 128  # steps between two samples; a longer gap is left to the model's own integrator


class FixedSteps:
    """A model under a recipe, with the functions that are written out for it."""

    written: WrittenUnscented

    def __init__(
        self, dynamics: Dynamics, weights: Weights, steps: RungeKutta, others: Sequence["FixedSteps"] = ()
    ) -> None:
        self.dynamics, self._seconds = dynamics, steps.seconds
        self.updated = dynamics.coordinates.updated.astype(float)
        self.likeness = (dynamics.model.fingerprint, *_likeness(dynamics.coordinates))
        alike = [other.written for other in others if other.likeness == self.likeness]
        equations = equations_of(dynamics.model)
        self.stretches = Stretches(dynamics, equations)
        self.written = alike[0] if alike else WrittenUnscented(equations, dynamics.coordinates, weights, steps.compiled)

    def stretch(self, belief: Belief, step: Step) -> Line | None:
        """The inputs over a step that fixed steps can take, None where they cannot."""
        if step.t1 - step.t0 > _MOST * self._seconds:
            return None
        return self.stretches.line(belief.states[0], step.t0, step.t1, step.settings)

    def predict(self, belief: Belief, line: Line, step: Step) -> Predicted | None:
        """See `WrittenUnscented.predict`."""
        span = self._span(step.t0, step.t1)
        return self.written.predict(belief, root_of(belief), self.stretches.p, line, span, step.variance)

    def update(self, predicted: Predicted, observation: Observation) -> Belief | None:
        """See `WrittenUnscented.update`."""
        return self.written.update(predicted, observation, self.updated)

    def advance(
        self, states: Array, parameters: Array, t0: float, t1: float, settings: Mapping[str, float]
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        """As `Dynamics.advance`, with the same steps; for points that cross their bounds or fail."""
        line = self.stretches.line(states[0], t0, t1, settings)
        if line is None:
            return self.dynamics.advance(states, parameters, t0, t1, settings)
        ends, outputs = self.written.advance(states, parameters, self.stretches.p, line, self._span(t0, t1))
        failed = np.flatnonzero(~(np.isfinite(ends).all(axis=1) & np.isfinite(outputs).all(axis=1)))
        ends[failed], outputs[failed] = np.nan, np.nan
        words = "fixed steps led to a number that is not finite; take shorter ones"
        return ends, outputs, tuple(Failure(int(k), words, t1) for k in failed)

    def _span(self, t0: float, t1: float) -> tuple[float, float, int]:
        """t0, the length of a step and how many: the least power of two with steps no longer than asked for."""
        least = (t1 - t0) / self._seconds * (1.0 - 1e-9)  # a sample at 30 s is one step of 30 s, rounding or not
        n = 2 ** math.ceil(math.log2(least)) if least > 1.0 else 1
        return t0, (t1 - t0) / n, n


def _likeness(coordinates: Coordinates) -> tuple[object, ...]:
    """What the written functions depend on."""
    c = coordinates
    arrays = (c.positions, c.scale, c.lower, c.upper, c.logarithmic)
    return c.names, c.parameters, c.biased, *(array.tobytes() for array in arrays)
