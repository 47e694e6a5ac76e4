"""What a set point gives away so that it can be certified, in words.

The search draws must break limits less often there than the required probability leaves: the point is certified on
other draws, and one that stood at exactly that probability would fail on half of them.
"""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Allowed
from physics_twin.envelope.set_point.explored import Explored, climb
from physics_twin.units import format_si


def room_text(explored: Explored, point: Array, n_attempts: int) -> str:
    """How much room is kept and what it costs of the first objective, from the surrogate; empty where none is.

    point: (d,) of the unit cube, certified in the last of n_attempts.
    """
    space, allowed = explored.space, explored.allowed
    if space is None or allowed is None:
        return ""
    n, groups, target = space.n_draws, allowed.groups, explored.landscape.targets[0]
    exact = Allowed.share(groups, n)
    if exact.k == allowed.k and n_attempts == 1:
        return ""
    required = " / ".join(f"{group.probability:g}" for group in groups)
    text = (
        f"room for confidence: at most {_counts(allowed)} of {n} search draws may break limits here, where {required} "
        f"alone would leave {_counts(exact)}, so that the draws held out can show it"
    )
    if n_attempts > 1:
        text += f" (attempt {n_attempts}: those before were not certified)"
    there = climb(explored.under(exact), 0)
    now, then = (float(x) for x in explored.landscape.measures(np.stack([point, there]))[:, 0])
    if (gain := target.sign * (then - now)) > 0.0:
        better = format_si(gain, target.unit, 2, difference=True)
        text += f"; without this room {target.name} would be better by about {better}, and more draws need less of it"
    return text


def _counts(allowed: Allowed) -> str:
    return " / ".join(str(k) for k in allowed.k)
