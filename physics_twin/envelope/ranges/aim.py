"""Which box of a region is the best one: weights of its widths, and a point that it must hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.ranges.shapes import LargestBox, Polytope, Shape
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.signals import Setting
from physics_twin.units import format_si, to_si

MOST_SETTINGS = 5
"""Settings over which a polytope is looked for."""


@dataclass(frozen=True, eq=False)
class Aim:
    """In the unit cube of the settings."""

    weights: Array
    """(d,) the sum of weights times log widths is made as large as possible; all one for the largest volume."""
    around: Array
    """(d,) a point that the box must hold; NaN along axes where it need not hold any value."""
    n_sides: int = 0
    """Most slanted sides of a polytope; none for a box."""

    @classmethod
    def volume(cls, d: int) -> "Aim":
        """The largest volume, anywhere."""
        return cls(np.ones(d), np.full(d, np.nan))

    @property
    def held(self) -> NDArray[np.bool_]:
        """(d,) axes along which the box must hold a value."""
        return ~np.isnan(self.around)

    def worth(self, widths: Array) -> float:
        """What is made as large as possible; -inf for a box without volume."""
        with np.errstate(divide="ignore"):
            return float(self.weights @ np.log(np.maximum(widths, 0.0)))

    def moved(self, points: Array) -> Array:
        """The points (..., d) with the values that must be held, along the axes where there are any."""
        return np.where(self.held, self.around, points)


def aim_of(shape: Shape, settings: Sequence[Setting]) -> Aim:
    """The aim in the unit cube; raises UnknownNameError, UnitError, and EnvelopeError for a value out of bounds."""
    d = len(settings)
    if isinstance(shape, Polytope):
        if d > MOST_SETTINGS:
            raise EnvelopeError(
                f"a polytope over {d} settings: its vertices are too many to certify; at most {MOST_SETTINGS} "
                "settings, or a box (shape=LargestBox())"
            )
        # The only convex set of one setting is its range.
        return replace(Aim.volume(d), n_sides=shape.n_sides if d > 1 else 0)
    if not isinstance(shape, LargestBox):
        raise EnvelopeError(f"shape = {shape!r} is no shape; write shape=pt.LargestBox() or shape=pt.Polytope()")
    names = [s.name for s in settings]
    for given in (shape.weights, shape.around):
        _refuse_unknown(given, names)
    weights = np.array([float(shape.weights.get(name, 1.0)) for name in names])
    around = np.full(d, np.nan)
    for i, setting in enumerate(settings):
        if setting.name not in shape.around:
            continue
        low, high = setting.bounds
        value = to_si(shape.around[setting.name], setting.unit, name=f"around, {setting.name}")
        if not low <= value <= high:
            raise EnvelopeError(
                f"around: {setting.name} = {format_si(value, setting.unit)} lies outside of what is searched, "
                f"{format_si(low, setting.unit)} to {format_si(high, setting.unit)}, so no box can hold it; give "
                "another value or wider bounds"
            )
        around[i] = (value - low) / (high - low)
    return Aim(weights * d / weights.sum(), around)


def _refuse_unknown(given: Mapping[str, object], names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            raise unknown_name("setting", name, names)
