"""What the influence is on: a reduction of an output, or the margin of a limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from physics_twin.arrays import Array
from physics_twin.envelope import Limit
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.limits.reductions import UPPER, Custom, Reduction, final
from physics_twin.errors import BoundsError, unknown_name
from physics_twin.model import Model
from physics_twin.units import Unit


@dataclass(frozen=True)
class Of:
    """A reduction of an output: `Of("core_temperature")` at the end, `Of("core_temperature", pt.peak)`."""

    output: str
    over: Reduction = final


type Wanted = str | Of | Limit
"""An output (its final value), a reduction of it, or the margin of a limit."""


@dataclass(frozen=True)
class Target:
    """A quantity bound to a model."""

    name: str
    unit: Unit
    column: int
    output_unit: Unit
    reduction: Reduction
    side: int
    level: float | None
    """SI level of a limit, None where the number itself is wanted."""

    def numbers(self, times: Array, outputs: Array) -> Array:
        """Numbers (n,) SI from times (n, n_times) and outputs (n, n_times, n_outputs); NaN where there is none."""
        found = self.reduction(times, outputs[:, :, self.column], self.side, self.output_unit)
        return found if self.level is None else self.side * (self.level - found)


def targets_of(wanted: Wanted | Sequence[Wanted], model: Model) -> tuple[Target, ...]:
    """The quantities of a model. Raises UnknownNameError, UnitError, EnvelopeError; BoundsError for none."""
    several = [wanted] if isinstance(wanted, str | Of | Limit) else list(wanted)
    names = [signal.name for signal in model.outputs]
    found: list[Target] = []
    for one in several:
        if isinstance(one, Limit):
            for r in bind_limits([one], model.outputs):
                name = f"margin of {r.name}"
                found.append(Target(name, r.unit, r.column, r.output_unit, r.reduction, r.side, r.level))
            continue
        asked = Of(one) if isinstance(one, str) else one
        if asked.output not in names:
            raise unknown_name("output", asked.output, names)
        if isinstance(asked.over, Custom):
            raise BoundsError("over= is a reduction of the library; a function of your own goes into a pt.Limit")
        column = names.index(asked.output)
        unit = model.outputs[column].unit
        words = asked.over.label(asked.output, unit)
        found.append(Target(words, asked.over.unit(unit), column, unit, asked.over, UPPER, None))
    if not found:
        raise BoundsError('nothing is asked for: of="output", pt.Of(output, pt.peak) or a pt.Limit')
    return tuple(found)
