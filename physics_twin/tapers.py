"""Tapers: weights that fall from one to zero over a distance, for what is too far off to tell anything."""

import numpy as np

from physics_twin.arrays import Array


def gaspari_cohn(distance: Array) -> Array:
    """The compactly supported fifth-order function of Gaspari and Cohn (1999, eq. 4.10), zero from 2 on.

    Construction of correlation functions in two and three dimensions, Q. J. R. Meteorol. Soc. 125, 723-757.
    distance: in lengths, any shape.
    """
    distance = np.abs(distance)
    weight = np.where(np.isnan(distance), np.nan, 0.0)
    for inner, outer in ((0.0, 1.0), (1.0, 2.0)):  # most of a large field is farther off, and costs nothing
        here = (distance >= inner) & (distance < outer)
        r = distance[here]
        if outer == 1.0:
            weight[here] = 1.0 + r**2 * (-5.0 / 3.0 + r * (5.0 / 8.0 + r * (0.5 - 0.25 * r)))
        else:
            near = r * (-5.0 + r * (5.0 / 3.0 + r * (5.0 / 8.0 + r * (-0.5 + r / 12.0))))
            weight[here] = np.maximum(4.0 + near - 2.0 / (3.0 * r), 0.0)
    return weight
