"""Looking for the least or the most of a function over a box whose size may be anything."""

from collections.abc import Callable

import numpy as np
from scipy.stats import qmc

from physics_twin.arrays import Array


def relative_cloud(d: int) -> Array:
    """Relative positions that cover a box whatever its size: a grid, or Sobol points half of which lie on faces."""
    if d <= 2:
        line = np.linspace(0.0, 1.0, 41)
        return np.stack([a.ravel() for a in np.meshgrid(*[line] * d, indexing="ij")], axis=1)
    points = qmc.Sobol(d, scramble=False).random_base2(9)
    faces = points.copy()
    index = np.arange(len(faces))
    faces[index, index % d] = (index // d) % 2
    return np.concatenate([points, faces])


def compass(worth: Callable[[Array], Array], start: Array, step: float = 0.05, smallest: float = 1e-3) -> Array:
    """Maximize `worth` over the unit cube from `start` by steps along the axes."""
    best, value = start, float(worth(start[None])[0])
    while step >= smallest:
        tries = np.clip(best + step * np.concatenate([np.eye(best.size), -np.eye(best.size)]), 0.0, 1.0)
        values = worth(tries)
        i = int(np.argmax(values))
        if values[i] > value:
            best, value = tries[i], float(values[i])
        else:
            step *= 0.5
    return best
