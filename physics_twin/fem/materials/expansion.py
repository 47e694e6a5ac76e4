"""Thermal expansion as tables give it."""

from collections.abc import Sequence

from physics_twin.fem.materials.tabulated import Tabulated


def mean_from_20_degC(to: Sequence[float], coefficients: Sequence[float], source: str) -> Tabulated:
    """Return mean coefficients in 1e-6/K between 20 degC and each temperature `to` in degC, as a table from 20 degC.

    The first mean counts in all of its interval.
    """
    return Tabulated(
        ([20.0, *to], "degC"), ([1e-6 * x for x in (coefficients[0], *coefficients)], "1/K"), source=source
    )
