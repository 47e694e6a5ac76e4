"""What every filter offers: one file per method, one small frozen object of options."""

from typing import Protocol, runtime_checkable

from physics_twin.assimilation.belief import Belief, Observation, Predicted, Start, Step
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key


@runtime_checkable
class Method(Protocol):
    """A filter. All three functions return new values and depend on their arguments only, to the last bit."""

    @property
    def name(self) -> str:
        """As files and messages say it: "ensemble kalman"."""
        ...

    def begin(self, start: Start, dynamics: Dynamics, key: Key) -> Belief:
        """The first belief, from draws."""
        ...

    def predict(self, belief: Belief, dynamics: Dynamics, step: Step) -> Predicted:
        """Carry a belief of this method from step.t0 to step.t1; raises SolveError when that is not possible."""
        ...

    def widen(self, predicted: Predicted, dynamics: Dynamics, factor: float) -> Predicted:
        """The same prediction with `factor` times the variance of the states: a jump of the plant, or a gap.

        What is known of the parameters stays as it is: a step of the plant says nothing about them.
        """
        ...

    def update(self, predicted: Predicted, dynamics: Dynamics, step: Step, observation: Observation) -> Belief:
        """Learn from samples at step.t1; raises SolveError when no finite belief within bounds comes out."""
        ...
