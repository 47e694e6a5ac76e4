"""What must hold of a solution whatever the equations say: materials within their range, coefficients above zero.

A run is checked where it starts and after every step; what is broken ends it with a SolveError that names the region.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import UnknownNameError
from physics_twin.expressions import Expression
from physics_twin.fem._dolfinx import MPI
from physics_twin.fem.materials import Solid
from physics_twin.fem.materials.solid import PROPERTIES, components
from physics_twin.fem.materials.temperature_law import MARGIN, TemperatureLaw
from physics_twin.fem.quantities import resolve
from physics_twin.fem.symbols import Symbols, settled
from physics_twin.units import Unit, format_si

_KELVIN, _CELSIUS = Unit("K"), Unit("degC")


class Guard(Protocol):
    """A condition on the field."""

    def broken(self, comm: Any, u: Array, theta: Array) -> str:
        """What is wrong with the field (n,) of owned entries, the same text on every rank; empty where nothing is."""
        ...


@dataclass(frozen=True)
class WithinRange:
    """The temperature of a region stays within the range of its material's tables; 1 K beyond it is tolerated."""

    region: str
    entries: Array
    low: float
    high: float

    def broken(self, comm: Any, u: Array, theta: Array) -> str:
        """Which temperature is outside which range."""
        mine = u[self.entries]
        lowest = _over(comm, float(mine.min(initial=np.inf)), MPI.MIN)
        highest = _over(comm, float(mine.max(initial=-np.inf)), MPI.MAX)
        if lowest >= self.low - MARGIN and highest <= self.high + MARGIN:
            return ""
        shown = format_si(highest if highest > self.high + MARGIN else lowest, _CELSIUS)
        limits = " to ".join(format_si(t, _CELSIUS) if np.isfinite(t) else "any" for t in (self.low, self.high))
        return (
            f'"{self.region}" is at {shown}, where its material is not known ({limits}); give properties that reach '
            "further, or declare that the end values hold: solid.with_outside(fem.Outside.HOLD)"
        )


class AboveZero:
    """A property that is a Parameter, a Signal or a function stays above zero at the nodes of its region."""

    def __init__(
        self, symbols: Symbols, label: str, unit: Unit, value: ca.SX, field: ca.SX, entries: Array, place: Array
    ) -> None:
        self.label, self.unit, self.entries = label, unit, entries
        varies = ca.depends_on(value, ca.vertcat(field, symbols.place))
        self._place = np.ascontiguousarray(place.T) if varies else None
        self._value = ca.Function("property", [field, symbols.place, symbols.theta], [value])
        self._anywhere = np.zeros(symbols.domain.dimension)

    def broken(self, comm: Any, u: Array, theta: Array) -> str:
        """Which property has which value."""
        if self._place is None:
            least = float(self._value(0.0, self._anywhere, theta))
        else:
            values = np.asarray(self._value(u[self.entries][None, :], self._place, theta), dtype=float)
            least = _over(comm, float(values.min(initial=np.inf)), MPI.MIN)
        if least > 0.0:
            return ""
        return f"{self.label} = {format_si(least, self.unit)} must be above zero"


def material_guards(
    symbols: Symbols, solids: Mapping[str, Solid], names: Sequence[str], entries_of: Any, place: Array
) -> list[Guard]:
    """The guards of the materials of regions; names: the properties that the equations use.

    entries_of: region -> owned entries of the field; place: (n, dimension) coordinates of the entries. A property that
    depends on local states is not guarded: nodes have none.
    """
    found: list[Guard] = []
    for region, solid in solids.items():
        entries = entries_of(region)
        known = [name for name in names if getattr(solid, name) is not None]
        low, high = solid.range_of(*known)
        if low > 0.0 or np.isfinite(high):
            found.append(WithinRange(region, entries, low, high))
        for name in known:
            for part in components(getattr(solid, name)):
                if isinstance(part, TemperatureLaw) or not (callable(part) or hasattr(part, "name")):
                    continue  # checked when it was written
                field, unit = ca.SX.sym("T"), PROPERTIES[name]
                scope = {**symbols.points, "T": Expression(field, _KELVIN.dimension)}
                label = f'material of "{region}": {name.replace("_", " ")}'
                try:
                    value = settled(resolve(part, unit.text, scope, label))
                except UnknownNameError:
                    continue
                found.append(AboveZero(symbols, label, unit, value, field, entries, place[entries]))
    return found


def _over(comm: Any, value: float, op: Any) -> float:
    return value if comm.size == 1 else float(comm.allreduce(value, op=op))
