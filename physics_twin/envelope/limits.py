"""Limits: what the plant must keep to, and their signed margins.

A `Limit` is what a person writes. Bound to a model it becomes one or two `Requirement`s, one for each side, in SI.
A margin is positive where the requirement is met: level - value for an upper limit, value - level for a lower one.
Limits act on the true output; sensor noise is no part of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from physics_twin.arrays import Array
from physics_twin.envelope.reductions import LOWER, UPPER, At, Custom, Reduction, path
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.signals import Signal
from physics_twin.units import QuantityLike, Unit, format_si, to_si, unit as as_unit


@dataclass(frozen=True)
class Limit:
    """A bound on an output: `Limit("core_temperature", lower="860 degC", over=pt.final)`.

    output: name of a model output. lower, upper: quantities in the unit of what `over` gives (of `integral`: the
    output's unit times a time; of `time_above`: a time). over: a reduction; every moment of the run when left out. A
    plain function (times (n_times,) s, values (n_times,) SI) -> number in SI works too and needs `unit`, the unit of
    its number. name: how tables and plots call the limit; formed from the rest when left out. probability: with which
    this limit must be kept, by itself; without it, it is kept jointly with all others that have none.

    Raises EnvelopeError without a bound, with lower above upper (when bound to a model), for a function without `unit`,
    or for a probability that is none.
    """

    output: str
    lower: QuantityLike | None = None
    upper: QuantityLike | None = None
    over: Reduction | Callable[[Array, Array], float] = path
    name: str | None = None
    unit: str | Unit | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a model."""
        if self.lower is None and self.upper is None:
            raise EnvelopeError(f'the limit on "{self.output}" limits nothing: give lower=, upper= or both')
        if not isinstance(self.over, Reduction):
            if not callable(self.over):
                raise EnvelopeError(
                    f'the limit on "{self.output}": over={self.over!r} is no reduction; use pt.final, '
                    'pt.peak, pt.mean, pt.integral, pt.at("20 min"), pt.time_above("860 degC") or a function'
                )
            if self.unit is None:
                raise EnvelopeError(
                    f'the limit on "{self.output}": a function says nothing about its unit; give unit=, for example '
                    'Limit(..., over=my_function, unit="K/min")'
                )
        elif self.unit is not None:
            raise EnvelopeError(f'the limit on "{self.output}": unit= belongs to a function; {self.over} knows its own')
        if self.probability is not None and not 0.0 < self.probability < 1.0:
            raise EnvelopeError(
                f'the limit on "{self.output}": probability = {self.probability:g}: it must lie between 0 and 1'
            )


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

    def margins(self, times: Array, outputs: Array) -> Array:
        """Signed margins (n_members,) in SI; NaN where the course or its reduction failed.

        times: (n_members, n_times) s. outputs: (n_members, n_times, n_outputs) SI.
        """
        reduced = self.reduction(times, outputs[:, :, self.column], self.side, self.output_unit)
        return self.side * (self.level - reduced)

    def format(self, margin: float) -> str:
        """A margin with its unit: a difference, so 5 K of margin on a limit in degC is 5 K and not 278 K."""
        return format_si(margin, self.unit, difference=True)


def bind_limits(limits: Sequence[Limit], outputs: Sequence[Signal]) -> tuple[Requirement, ...]:
    """The requirements of `limits` for a model with these outputs.

    Raises UnknownNameError for an output the model does not have, UnitError for a wrong unit, EnvelopeError for no
    limit at all, two of one name, or limits that contradict one another.
    """
    if not limits:
        raise EnvelopeError("an envelope needs at least one limit: limits=[pt.Limit(...)]")
    names = [signal.name for signal in outputs]
    found: list[Requirement] = []
    for limit in limits:
        if limit.output not in names:
            raise unknown_name("output", limit.output, names)
        column = names.index(limit.output)
        found += _bind(limit, outputs[column], column)
    _refuse_contradictions(found)
    seen: set[str] = set()
    for requirement in found:
        if requirement.name in seen:
            raise EnvelopeError(f'two limits are called "{requirement.name}"; drop one or give them different names')
        seen.add(requirement.name)
    return tuple(found)


def _bind(limit: Limit, signal: Signal, column: int) -> list[Requirement]:
    over = limit.over
    if not isinstance(over, Reduction):
        assert limit.unit is not None  # checked at construction
        over = Custom(over, as_unit(limit.unit))
    unit = over.unit(signal.unit)
    words = over.label(signal.name, signal.unit)
    bound: list[Requirement] = []
    for side, quantity, sign, word in ((LOWER, limit.lower, ">=", "lower"), (UPPER, limit.upper, "<=", "upper")):
        if quantity is None:
            continue
        level = to_si(quantity, unit, name=f"{word} limit on {words}")
        if not math.isfinite(level):
            raise EnvelopeError(f"the {word} limit on {words} is {level}; a limit is a finite number")
        name = f"{words} {sign} {format_si(level, unit)}"
        if limit.name is not None:
            both = limit.lower is not None and limit.upper is not None
            name = f"{limit.name} ({word})" if both else limit.name
        bound.append(
            Requirement(
                name, signal.name, column, side, level, unit, signal.unit, over, limit.name or name, limit.probability
            )
        )
    return bound


def _refuse_contradictions(requirements: Sequence[Requirement]) -> None:
    for low in requirements:
        for high in requirements:
            same = low.column == high.column and _same(low.reduction, high.reduction)
            if same and low.side == LOWER and high.side == UPPER and low.level > high.level:
                raise EnvelopeError(
                    f"the limits on {low.output} contradict one another: at least {format_si(low.level, low.unit)} and "
                    f"at most {format_si(high.level, high.unit)} cannot both be met"
                )


def _same(a: Reduction, b: Reduction) -> bool:
    # `peak` and `path` with two sides are about two different numbers (highest, lowest), yet the lowest value is never
    # above the highest: lower > upper is contradictory for them too. `time_above` levels compare as written.
    return a == b


def moments(requirements: Sequence[Requirement]) -> tuple[float, ...]:
    """Times in s at which a sample must stand."""
    return tuple(sorted({t for r in requirements for t in r.reduction.moments}))


__all__ = ["At", "Limit", "Requirement", "bind_limits", "moments"]
