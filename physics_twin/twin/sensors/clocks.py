"""Clocks that run ahead: samples stamped later than the one who receives them can know.

A twin knows no wall clock: what it is given lies in the future only where its caller says what now is. So whoever
receives samples (a service) asks this before they reach the journal; a single stamp of 2038 would otherwise carry the
twin there, and everything after it would come too late.
"""

import numpy as np
from numpy.typing import NDArray

from physics_twin.measurements.quality import duration_text


def ahead_of(times: NDArray[np.int64], now: int, tolerance: float = 2.0) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which samples are stamped more than `tolerance` (s) after `now` (ns UTC), and what to say of them.

    times: (n,) ns UTC. Two seconds are more than clocks differ that a time server keeps, and less than a shift.

    >>> ahead_of(np.array([0, 5_000_000_000]), now=0)[0].tolist()
    [False, True]
    """
    stamps = np.asarray(times, dtype=np.int64)
    ahead = stamps > now + round(tolerance * 1e9)
    if not ahead.any():
        return ahead, ()
    n = int(ahead.sum())
    most = duration_text(float(stamps[ahead].max() - now) * 1e-9)
    return ahead, (
        f"{n} sample{'s' if n > 1 else ''} stamped up to {most} in the future: not taken; compare the clock of the "
        "source with UTC",
    )
