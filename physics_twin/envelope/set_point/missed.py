"""Which limit is missed by most beyond the edge of a region."""

from collections.abc import Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Allowed
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.envelope.region.surrogate import DesignSpace


def limit_missed(space: DesignSpace, points: Array, requirements: Sequence[Requirement], allowed: Allowed) -> str:
    """Name of the limit that most draws break at the worst of `points` (n, d) of the unit cube.

    Of the group that is worst there; where two limits are broken as often, the one with the smaller median margin.
    """
    levels = space.group_levels(points, allowed)
    row, group = np.unravel_index(int(np.argmin(levels)), levels.shape)
    columns = list(allowed.groups[int(group)].columns)
    predicted = space.predicted(points[[int(row)]])[0, columns]
    broken = (predicted < 0.0).sum(axis=1) - 1e-3 * np.median(predicted, axis=1)
    return requirements[columns[int(np.argmax(broken))]].name
