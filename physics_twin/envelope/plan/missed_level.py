"""What a point outside the region lacks: which limits, how probable they are there, and how probable they should be.

The region asks for more than the required probability: so many draws fewer may break a limit as a certificate needs to
pass with a good chance. A point that meets the required probability alone is therefore outside, and is told why.
"""

import math

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import EVERY, OTHER
from physics_twin.envelope.region.predict import SearchedRegion


def missed_level(region: SearchedRegion, point: Array) -> str:
    """In words, of a point (d,) of the unit cube that is not in the region."""
    if not region.searched(point[None])[0]:
        return "nothing is known there"
    groups, n = region.allowed.groups, region.space.n_draws
    predicted = region.space.group_probability(point[None], groups)[0]
    asked = 1.0 - np.array(region.allowed.k) / n
    worst = int(np.argmax(asked - predicted))
    group, decimals = groups[worst], max(3, math.ceil(math.log10(n)))
    named = "" if group.name == EVERY else f"{group.name}: " if group.name == OTHER else f'"{group.name}": '
    share = f"{named}predicted {predicted[worst]:.{decimals}f}"
    if predicted[worst] < group.probability:
        return f"{share}, required {group.probability:g}"
    return (
        f"{share}; the region asks for {asked[worst]:.{decimals}f}: the required {group.probability:g} and the slack "
        "that a certificate needs"
    )
