"""Requirements: limits bound to a model, in SI, and their signed margins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.faults import BoundFault
from physics_twin.envelope.limits.reductions import Reduction
from physics_twin.units import Unit, format_si


@dataclass(frozen=True)
class Requirement:
    """One side of a limit, bound to a model, in SI."""

    name: str
    output: str
    column: int
    """Which output of the model."""
    side: int
    """UPPER or LOWER."""
    level: float
    """SI, in the dimension of `unit`."""
    unit: Unit
    """Unit in which level and margins are shown."""
    output_unit: Unit
    reduction: Reduction
    limit: str = ""
    """Name of the limit that this is a side of."""
    probability: float | None = None
    """Of the limit by itself; None: kept jointly with the others."""
    noise: float = 0.0
    """Standard deviation of the measurement noise on the reduced number, SI; 0: the limit is on the true value."""
    reading: str = ""
    """Requirements of one reading have one noise; empty without noise."""
    fault: BoundFault | None = None
    """What happens in the runs that the limit is about."""

    def margins(self, times: Array, outputs: Array) -> Array:
        """Signed margins (n_members,) of the true value in SI; NaN where the course or its reduction failed.

        times: (n_members, n_times) s. outputs: (n_members, n_times, n_outputs) SI.
        """
        reduced = self.reduction(times, outputs[:, :, self.column], self.side, self.output_unit)
        return self.side * (self.level - reduced)

    def format(self, margin: float) -> str:
        """A margin with its unit: a difference, so 5 K of margin on a limit in degC is 5 K and not 278 K."""
        return format_si(margin, self.unit, difference=True)


def moments(requirements: Sequence[Requirement]) -> tuple[float, ...]:
    """Times in s at which a sample must stand."""
    return tuple(sorted({t for r in requirements for t in r.reduction.moments}))


def margins_of(requirements: Sequence[Requirement], times: Array, outputs: Array) -> Array:
    """Margins (n_members, n_requirements) in SI; see `Requirement.margins`."""
    return np.stack([r.margins(times, outputs) for r in requirements], axis=1)
