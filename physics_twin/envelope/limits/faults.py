"""Faults: an input that takes a value nobody asked for, in the middle of a run.

A `Fault` is what a person writes. Bound to a model it is a `BoundFault` in SI; `fault_recipes` writes it into a recipe
and `fault_runs` simulates it.
"""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.envelope.limits.given import as_given, check_quantity
from physics_twin.envelope.limits.reductions import duration_text
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.signals import Signal
from physics_twin.units import QuantityLike, Unit, format_si, to_si, unit as as_unit


class Moment(enum.Enum):
    """When a fault begins, where it is no given time."""

    ANY = "any moment"
    """The worst moment of the run, for each batch its own."""


any_moment = Moment.ANY
"""The worst moment of the run: `Fault("coolant_flow", "0 L/min", at=pt.any_moment)`."""


@dataclass(frozen=True)
class Fault:
    """An input that fails: `Limit("temperature", upper="400 K", under=Fault("coolant_flow", "0 L/min"))`.

    The run follows its recipe until the fault; from then on the input has `value`, for as long as it `lasts`, else to
    the end of the run; then it is what the recipe says again. A limit under a fault is on the whole run, what was
    before the fault included. A phase that waits for a level waits under the fault too, until its at_most: there the
    run ends, and the limits are on what happened until then.

    input: of the model. value: with its unit. at: a time since the start of the run (in a run that ends before it
    nothing fails: refused where no batch lasts so long, a warning where some do not), or `any_moment`. lasts: a time;
    None: to the end. moments: how many moments `any_moment` tries before it looks closer, spread over the phases alike
    (two in each at least), the first as a phase begins and denser there. Each batch and each limit then has its own
    worst moment refined by two more simulations, along the parabola through the moments around it (a reactor that loses
    its cooling for 2 min: within 0.1 % of how much the moment matters). A worst moment whose dip is narrower than the
    distance of the moments tried (for one phase and 16 moments up to a tenth of the run) is not seen: then ask for
    more.

    Raises EnvelopeError for fewer than two moments and for times that are none, UnitError for one that has no unit or
    another one, or a value that is no quantity.
    """

    input: str
    value: QuantityLike
    at: QuantityLike | Moment = any_moment
    lasts: QuantityLike | None = None
    moments: int = 16

    def __post_init__(self) -> None:
        """Check what can be checked without a model."""
        what = f"the fault of {self.input}"
        n: Any = self.moments  # "16" comes too
        if not isinstance(n, int | np.integer) or n < 2:
            raise EnvelopeError(f"{what}: moments = {self.moments!r}; a whole number is needed, at least 2")
        check_quantity(self.value, what)
        _start(self)
        _length(self)


@dataclass(frozen=True)
class BoundFault:
    """A fault of a model's input, in SI."""

    input: str
    unit: Unit
    """Of the input."""
    value: float
    at: float | None
    """s since the start of the run; None: the worst moment."""
    lasts: float
    """s; inf: to the end of the run."""
    moments: int

    def __str__(self) -> str:
        when = "from any moment on" if self.at is None else f"from {duration_text(self.at)} on"
        if math.isfinite(self.lasts):
            start = "any moment" if self.at is None else duration_text(self.at)
            when = f"for {duration_text(self.lasts)} from {start} on"
        return f"{self.input} = {format_si(self.value, self.unit)} {when}"


def bind_fault(fault: Fault, inputs: Sequence[Signal]) -> BoundFault:
    """A fault for a model with these inputs.

    Raises UnknownNameError for an input the model does not have, UnitError, BoundsError for a value that the input
    cannot have, EnvelopeError for times that are none.
    """
    names = [signal.name for signal in inputs]
    if fault.input not in names:
        raise unknown_name("input", fault.input, names)
    signal = inputs[names.index(fault.input)]
    value = to_si(fault.value, signal.unit, name=f"the fault of {fault.input}")
    signal.check(value)
    return BoundFault(signal.name, signal.unit, value, _start(fault), _length(fault), fault.moments)


def _start(fault: Fault) -> float | None:
    """When it begins, s since the start of the run; None: at the worst moment."""
    what, at = f"the fault of {fault.input}", fault.at
    if isinstance(at, Moment):
        return None
    if isinstance(at, str) and not any(c.isdigit() for c in at):
        raise EnvelopeError(
            f'{what}: at="{at}" is no time; write at=pt.any_moment for the worst moment of the run (without quotes; it '
            'is what you get without at=), or a time since its start such as at="20 min"'
        )
    found = to_si(at, as_unit("s"), name=f"{what}: at")
    if found < 0.0:
        raise EnvelopeError(f"{what}: at = {as_given(at)} is before the run, which starts at 0 s")
    return found


def _length(fault: Fault) -> float:
    """How long it lasts, s; inf: to the end of the run."""
    what, lasts = f"the fault of {fault.input}", fault.lasts
    if lasts is None:
        return math.inf
    found = to_si(lasts, as_unit("s"), name=f"{what}: lasts")
    if found <= 0.0:
        raise EnvelopeError(
            f'{what}: lasts = {as_given(lasts)}; a fault lasts some time, for example lasts="10 min", or, without '
            "lasts=, to the end of the run"
        )
    return found
