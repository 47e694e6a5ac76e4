"""Limits: what the plant must keep to, and their signed margins.

A `Limit` is what a person writes. Bound to a model it becomes one or two `Requirement`s, one for each side, in SI.
A margin is positive where the requirement is met: level - value for an upper limit, value - level for a lower one.
Limits act on the true output; sensor noise is part of it only where a limit is on the reported value.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from physics_twin.arrays import Array
from physics_twin.envelope.limits.contradictions import refuse_contradictions
from physics_twin.envelope.limits.faults import BoundFault, Fault, bind_fault
from physics_twin.envelope.limits.given import as_given, check_integral, check_quantity
from physics_twin.envelope.limits.rates import Rate
from physics_twin.envelope.limits.reductions import LOWER, UPPER, Custom, Extreme, Integral, Reduction, path
from physics_twin.envelope.limits.requirements import Requirement, moments
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.signals import Signal
from physics_twin.units import QuantityLike, Unit, format_si, parse, to_si, unit as as_unit


@dataclass(frozen=True)
class Limit:
    """A bound on an output: `Limit("core_temperature", lower="860 degC", over=pt.final)`.

    output: name of a model output. lower, upper: quantities in the unit of what `over` gives (of `integral`: the
    output's unit times a time, of a temperature "K*min" of the absolute one; of `time_above`: a time; of `rate`: "5
    degC/min" are 5 K/min); margins are shown in the unit given here. over: a reduction; every moment of the run when
    left out. A plain function (times (n_times,) s, values (n_times,) SI) -> number in SI
    works too and needs `unit`, the unit of its number. name: how tables and plots call the limit; formed from the rest
    when left out. probability: with which this limit must be kept, by itself; without it, it is kept jointly with all
    others that have none.

    reported: says that the limit is on what is reported and not on what is: the standard deviation of the measurement
    noise, a difference ("2 K"). Every batch then has a measurement of its own: a normal error with mean zero on the
    number that `over` gives, the same at all settings and none of its business with that of other limits. It is the
    error of that number: of `final` and `at` the error of one reading; of `peak`, `path`, `mean` and the like give the
    error of the reported peak or mean. (The highest of many noisy readings lies above the true peak by more the more
    readings there are; that is the recorder's doing and no part of this.) Without it there is no noise in a limit.

    under: a `Fault`; the limit must then hold for runs in which it happens. Without it, for runs that follow the
    recipe; who wants both writes two limits.

    Raises EnvelopeError without a bound, with lower above upper (when bound to a model), for a function without `unit`,
    or for a probability that is none; UnitError for a bound that is no quantity (whether its unit fits the output is
    seen when it is bound to a model).
    """

    output: str
    lower: QuantityLike | None = None
    upper: QuantityLike | None = None
    over: Reduction | Callable[[Array, Array], float] = path
    name: str | None = None
    unit: str | Unit | None = None
    probability: float | None = None
    reported: QuantityLike | None = None
    under: Fault | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without a model."""
        if self.lower is None and self.upper is None:
            raise EnvelopeError(f'the limit on "{self.output}" limits nothing: give lower=, upper= or both')
        given = {"lower limit": self.lower, "upper limit": self.upper, "reported=": self.reported}
        for what, quantity in given.items():
            if quantity is not None:
                check_quantity(quantity, f"the limit on {self.output}: {what}")
        if not isinstance(self.over, Reduction):
            if not callable(self.over):
                raise EnvelopeError(
                    f'the limit on "{self.output}": over={self.over!r} is no reduction; use pt.final, '
                    'pt.peak, pt.mean, pt.integral, pt.rate, pt.at("20 min"), pt.time_above("860 degC"), '
                    "pt.lethality() or a function"
                )
            if self.unit is None:
                raise EnvelopeError(
                    f'the limit on "{self.output}": a function says nothing about its unit; give unit=, for example '
                    'Limit(..., over=my_function, unit="K/min")'
                )
        elif self.unit is not None:
            raise EnvelopeError(f'the limit on "{self.output}": unit= belongs to a function; {self.over} knows its own')
        p: Any = self.probability  # "99 %" comes too
        if p is not None and (not isinstance(p, float | int) or not 0.0 < p < 1.0):
            raise EnvelopeError(
                f'the limit on "{self.output}": probability = {p!r}: it must be a number between 0 and 1'
            )
        if self.under is not None and not isinstance(self.under, Fault):
            raise EnvelopeError(
                f'the limit on "{self.output}": under={self.under!r} is no fault; write '
                'under=pt.Fault("coolant_flow", "0 L/min")'
            )


def bind_limits(
    limits: Sequence[Limit], outputs: Sequence[Signal], inputs: Sequence[Signal] | None = None
) -> tuple[Requirement, ...]:
    """The requirements of `limits` for a model with these outputs and inputs.

    inputs: left out by who looks at true outputs of undisturbed runs only; limits on reported values or under a fault
    are then refused, since they would be taken for something else.

    Raises UnknownNameError for an output or a fault's input the model does not have, UnitError for a wrong unit,
    EnvelopeError for no limit at all, two of one name, or limits that can never all be met.
    """
    if not limits:
        raise EnvelopeError("an envelope needs at least one limit: limits=[pt.Limit(...)]")
    names = [signal.name for signal in outputs]
    found: list[Requirement] = []
    seen: dict[str, int] = {}
    for number, limit in enumerate(limits):
        if not isinstance(limit, Limit):
            raise EnvelopeError(f'{limit!r} is no limit; write pt.Limit("core_temperature", upper="900 degC")')
        if limit.output not in names:
            raise unknown_name("output", limit.output, names)
        column = names.index(limit.output)
        for requirement in _bind(limit, outputs[column], column, inputs):
            for name in (requirement.name, requirement.limit):
                if seen.setdefault(name, number) != number:
                    raise EnvelopeError(f'two limits are called "{name}"; drop one or give them different names')
            found.append(requirement)
    refuse_contradictions(found)
    return tuple(found)


def _bind(limit: Limit, signal: Signal, column: int, inputs: Sequence[Signal] | None) -> list[Requirement]:
    over = limit.over
    if not isinstance(over, Reduction):
        assert limit.unit is not None  # checked at construction
        over = Custom(over, as_unit(limit.unit))
    unit = over.unit(signal.unit)
    words = over.label(signal.name, signal.unit)
    noise, fault = _noise(limit, unit, words, inputs), _fault(limit, words, inputs)
    words = f"reported {words}" if noise else words
    under = "" if fault is None else f" under {fault}"
    sides: list[tuple[int, float, Unit, str, str]] = []
    for side, quantity, sign, word in ((LOWER, limit.lower, ">=", "lower"), (UPPER, limit.upper, "<=", "upper")):
        if quantity is None:
            continue
        if isinstance(over, Integral):
            check_integral(quantity, signal.unit, f"{word} limit on {words}")
        level = to_si(quantity, unit, name=f"{word} limit on {words}")
        if not math.isfinite(level):
            raise EnvelopeError(f"the {word} limit on {words} is {level}; a limit is a finite number")
        shown = _unit_given(quantity, unit)
        sides.append((side, level, shown, f"{words} {sign} {format_si(level, shown)}{under}", word))
    whole = limit.name or sides[0][3]
    if limit.name is None and len(sides) == 2:
        low, high = (format_si(level, shown) for _, level, shown, *_ in sides)
        whole = f"{words} from {low} to {high}{under}"
    bound: list[Requirement] = []
    for side, level, shown, own, word in sides:
        name = own
        if limit.name is not None:
            name = f"{limit.name} ({word})" if len(sides) == 2 else limit.name
        # The highest and the lowest value are two readings; the final value of a band is one.
        reading = f"{whole} ({word})" if len(sides) == 2 and isinstance(over, Extreme | Rate) else whole
        bound.append(
            Requirement(
                name=name,
                output=signal.name,
                column=column,
                side=side,
                level=level,
                unit=shown,
                output_unit=signal.unit,
                reduction=over,
                limit=whole,
                probability=limit.probability,
                noise=noise,
                reading=reading if noise else "",
                fault=fault,
            )
        )
    return bound


def _unit_given(quantity: QuantityLike, unit: Unit) -> Unit:
    """The unit in which a person gave a limit, so that 450 MPa on a stress in Pa stay 450 MPa.

    Where it converts like `unit`, that of the output, the spelling is that one's.
    """
    given = parse(quantity)[1]
    return unit if given == unit else given


def _noise(limit: Limit, unit: Unit, words: str, inputs: Sequence[Signal] | None) -> float:
    """Standard deviation of the measurement noise, SI; 0 without any."""
    if limit.reported is None:
        return 0.0
    if inputs is None:
        raise EnvelopeError(
            f"the limit on {words} is on the reported value (reported=); here limits are on true outputs: leave it out"
        )
    sd = to_si(limit.reported, unit, name=f"measurement noise of {words} (reported=)", difference=True)
    if not (math.isfinite(sd) and sd > 0.0):
        raise EnvelopeError(
            f"measurement noise of {words}: {as_given(limit.reported)}; a standard deviation is above zero; leave "
            "reported= out for a limit on the true value"
        )
    return sd


def _fault(limit: Limit, words: str, inputs: Sequence[Signal] | None) -> BoundFault | None:
    if limit.under is None:
        return None
    if inputs is None:
        raise EnvelopeError(
            f"the limit on {words} is under a fault (under=); here runs follow their recipe: leave it out"
        )
    return bind_fault(limit.under, inputs)


__all__ = ["Limit", "Requirement", "bind_limits", "moments"]
