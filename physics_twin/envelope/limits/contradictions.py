"""Limits that can never all be met, seen without a simulation."""

from collections.abc import Sequence

from physics_twin.envelope.limits.rates import Rate
from physics_twin.envelope.limits.reductions import LOWER, UPPER, At, Extreme, Final, Mean, Reduction, TimeAbove
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.envelope.limits.thermal_integrals import EquivalentTime, Lethality
from physics_twin.errors import EnvelopeError
from physics_twin.units import format_si, to_si


def refuse_contradictions(requirements: Sequence[Requirement]) -> None:
    """Raise EnvelopeError for two limits of which one is always broken, and for one that is by itself."""
    for one in requirements:
        never_below_zero = isinstance(one.reduction, TimeAbove | Lethality | EquivalentTime)
        if never_below_zero and one.side == UPPER and one.level < 0.0 and not one.noise:
            raise EnvelopeError(f'"{one.name}" can never be met: it is about a number that is never below zero')
    lows = [r for r in requirements if r.side == LOWER]
    highs = [r for r in requirements if r.side == UPPER]
    for low in lows:
        for high in highs:
            if low.column != high.column or low.fault != high.fault or not _exact(low, high):
                continue
            if low.level > high.level and _never_above(low.reduction, high.reduction):
                raise EnvelopeError(
                    f"the limits on {low.output} contradict one another: at least {format_si(low.level, low.unit)} and "
                    f'at most {format_si(high.level, high.unit)} cannot both be met ("{low.name}", "{high.name}")'
                )
            if _never_there(low, high):
                raise EnvelopeError(
                    f'the limits on {low.output} contradict one another: "{low.name}" needs values above what '
                    f'"{high.name}" allows'
                )


def _exact(low: Requirement, high: Requirement) -> bool:
    # Of two reported values either may be wrong by any amount; the two sides of one reading are wrong by the same.
    return not (low.noise or high.noise) or low.limit == high.limit


def _never_above(low: Reduction, high: Reduction) -> bool:
    """Whether the number of a lower limit is never above that of an upper limit, in any run.

    With a lower limit `peak`, `path` and `rate` are about the lowest value, with an upper limit about the highest.
    """
    values = Final | At | Mean | Extreme
    if low == high:
        return True
    if isinstance(low, Extreme):
        return isinstance(high, values)
    if isinstance(high, Extreme):
        return isinstance(low, values)
    # A mean over a window lies between the lowest and the highest rate.
    return isinstance(low, Rate) and isinstance(high, Rate) and None in (low.window, high.window)


def _never_there(low: Requirement, high: Requirement) -> bool:
    """Whether a time above a level is asked for that the course must never reach."""
    if not (isinstance(low.reduction, TimeAbove) and isinstance(high.reduction, Extreme)) or low.level <= 0.0:
        return False
    return high.level <= to_si(low.reduction.level, low.output_unit, name="time_above: level")
