"""How many digits of a number leave the library: what is printed and what a control system reads are the same.

Ends of a range are rounded into the range, so that nothing that leaves is wider than what was shown. Floats in the
fields of an envelope stay as they are, to the last bit.
"""

import math

from physics_twin.units import Unit, format_si

CLEAN = 12
"""Significant digits of a number on its own: all that a conversion of units leaves, without the dust behind them."""
ROUND = 1e-6
"""Share of a step within which a number counts as round: it must not lose a step to the rounding of its last bit."""


def decimals(low: float, high: float) -> int:
    """Decimals in which a range is given: its ends move by a thousandth of its width at most."""
    width = abs(high - low)
    size = width if width > 0.0 else abs(low) or 1.0
    return max(0, 3 - math.floor(math.log10(size)))


def rounded_inward(low: float, high: float, unit: Unit) -> tuple[float, float]:
    """Both ends of a range (SI) in `unit`, the lower one first, rounded into the range; without room, `clean`.

    >>> rounded_inward(300.0044, 310.0056, Unit("K"))
    (300.01, 310.0)
    """
    first, last = sorted((float(unit.from_si(low)), float(unit.from_si(high))))
    n = decimals(first, last)
    scale = 10.0**n
    ends = math.ceil(first * scale - ROUND), math.floor(last * scale + ROUND)
    if ends[0] > ends[1]:
        return clean(first), clean(last)
    return round(ends[0] / scale, n), round(ends[1] / scale, n)


def inward(low: float, high: float, unit: Unit) -> tuple[str, str]:
    """Both ends of a range (SI) in `unit`, rounded into the range: what is printed is never more than was shown.

    >>> inward(300.0044, 310.0056, Unit("K"))
    ('300.01 K', '310.00 K')
    >>> inward(0.25, 0.75, Unit("1"))
    ('0.2500', '0.7500')
    """
    first, last = (float(unit.from_si(x)) for x in (low, high))
    n = decimals(first, last)
    ends = rounded_inward(low, high, unit)
    if any(x != round(x, n) for x in ends):  # no room: a setting that is as good as held
        return format_si(low, unit, 6), format_si(high, unit, 6)
    name = "" if unit.text == "1" else f" {unit.text}"
    return f"{ends[0]:.{n}f}{name}", f"{ends[1]:.{n}f}{name}"


def clean(x: float) -> float:
    """A number without what a conversion left behind its 12th digit.

    >>> clean(163.12500000000003), clean(-1e-17), clean(1 / 3)
    (163.125, -1e-17, 0.333333333333)
    """
    return float(f"{x:.{CLEAN}g}")


def share_text(share: float) -> str:
    """A probability with its three or four decimals, never rounded up: 1.000 is no count of one.

    >>> share_text(1.0), share_text(0.98667), share_text(0.99999), share_text(2e-5)
    ('1.000', '0.9866', '0.9999', '2e-05')
    """
    if 0.0 < share < 1e-3:
        return f"{share:.2g}"
    text = f"{math.floor(share * 1e4 + ROUND) / 1e4:.4f}"
    return text.removesuffix("0")
