"""How much smaller a certified range is than the first one that was tried, and why."""

import math
from collections.abc import Mapping

import numpy as np

from physics_twin.envelope.certificate.certificate import Attempt, Certificate
from physics_twin.envelope.limits.allowed import broken_text


def pulled_in_text(certificate: Certificate, range_name: str = "box") -> str:
    """What the first attempt was short by and what passing cost, in words; empty where the first one passed.

    range_name: what the volumes are of.
    """
    attempts = certificate.attempts
    if not certificate.passed or len(attempts) < 2:
        return ""
    first, last, n = attempts[0], attempts[-1], certificate.n_certification
    # Violations are of all draws, what is allowed is of the independent ones that they are worth.
    allowed = [math.floor(k * n / certificate.n_effective) for k in first.allowed]
    group = int(np.argmax(np.array(first.violations) - np.array(allowed)))
    lost = 1.0 - _kept(first.box, last.box)
    size = "width" if len(first.box) == 1 else "volume"
    less = f"has {100.0 * lost:.2g} % less {size}" if lost > 0.0 else f"has no less {size}"
    which = broken_text(certificate.groups[group])
    return (
        f"the first {range_name} broke {which} in {first.violations[group]} of {n} held-out draws at its worst point, "
        f"where {allowed[group]} are allowed; the one that passed{_which(attempts)} {less}: more held-out draws leave "
        "more room"
    )


def _kept(first: Mapping[str, tuple[float, float]], last: Mapping[str, tuple[float, float]]) -> float:
    """The volume of the last box over that of the first; a side without any width says nothing."""
    widths = [(first[name][1] - first[name][0], high - low) for name, (low, high) in last.items()]
    return math.prod(now / before for before, now in widths if before > 0.0)


def _which(attempts: tuple[Attempt, ...]) -> str:
    return "" if len(attempts) == 2 else f", attempt {len(attempts)},"
