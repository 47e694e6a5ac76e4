"""The minimum of a quadratic in a box by an active set (Nocedal and Wright, Numerical Optimization, alg. 16.3)."""

import numpy as np

from physics_twin.arrays import Array


def box_minimum(h: Array, g: Array, low: Array, high: Array) -> Array:
    """The p in [low, high] that minimizes g.p + p.h.p/2, for h (d, d) positive definite and low <= 0 <= high."""
    d = g.size
    p = np.zeros(d)
    # A variable that starts on its bound with the gradient pushing outwards is fixed; all others are free.
    fixed = ((low >= 0.0) & (g > 0.0)) | ((high <= 0.0) & (g < 0.0))
    for _ in range(20 * d + 20):
        free = ~fixed
        if free.any():
            target = p.copy()
            rhs = g[free] + h[np.ix_(free, fixed)] @ p[fixed]
            target[free] = -np.linalg.solve(h[np.ix_(free, free)], rhs)
            direction = target - p
            with np.errstate(divide="ignore", invalid="ignore"):
                room = np.where(direction > 0, (high - p) / direction, (low - p) / direction)
            room[~free | (direction == 0.0)] = np.inf
            blocking = int(np.argmin(room))
            if room[blocking] < 1.0:
                p = np.clip(p + max(float(room[blocking]), 0.0) * direction, low, high)
                p[blocking] = high[blocking] if direction[blocking] > 0 else low[blocking]
                fixed[blocking] = True
                continue
            p = np.clip(target, low, high)
        slope = h @ p + g
        # Multipliers of the fixed variables: at the lower bound the slope must be >= 0, at the upper <= 0.
        wrong = np.where(fixed, np.where(p <= low, -slope, slope), -np.inf)
        wrong[fixed & (low >= high)] = -np.inf
        worst = int(np.argmax(wrong))
        if not wrong[worst] > 1e-12 * (1.0 + abs(float(g[worst]))):
            break
        fixed[worst] = False
    return p
