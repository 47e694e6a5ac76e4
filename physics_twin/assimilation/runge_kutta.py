"""`RungeKutta`: fixed steps in time, written out together with a filter."""

import functools
from dataclasses import dataclass

from physics_twin.errors import BoundsError
from physics_twin.units import QuantityLike, Unit, to_si


@dataclass(frozen=True)
class RungeKutta:
    """The classical method of fourth order with steps no longer than `step`, a power of two of them between samples.

    For smooth and not stiff equations only: no error is estimated, so compare once with the model's own integrator.
    compiled: translate with the system's C compiler (about a second for each number of steps, once per process; six
    times faster afterwards); without a compiler CasADi's own machine evaluates the same functions.

    >>> RungeKutta("30 s").seconds
    30.0
    """

    step: QuantityLike
    compiled: bool = True

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds < float("inf"):
            raise BoundsError(f"step = {self.step}; a step takes a time above zero")

    @functools.cached_property
    def seconds(self) -> float:
        """The step, s."""
        return to_si(self.step, Unit("s"), name="step")
