"""Reading what a person writes for shapes: lengths, angles, numbers of cells, grading."""

import math
from collections.abc import Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ShapeError
from physics_twin.units import QuantityLike, Unit, to_si

_M = Unit("m")
_RAD = Unit("rad")

MOST_CELLS = 100_000_000
"""Beyond this a mesh is a slip of the keyboard: its points alone would need gigabytes."""


def length(value: QuantityLike, name: str, *, signed: bool = False) -> float:
    """Return a length in m; positive and finite unless `signed`. Raises `UnitError`, `BoundsError`."""
    meters = to_si(value, _M, name=name)
    if not math.isfinite(meters) or (meters <= 0.0 and not signed):
        raise BoundsError(f"{name} = {meters:g} m is no length of a body; it has to be positive")
    return meters


def lengths(values: Sequence[QuantityLike], n: int, name: str, *, signed: bool = False) -> Array:
    """Return n lengths in m, (n,). Raises `ShapeError` for another number of them."""
    if not isinstance(values, list | tuple) or len(values) != n:
        raise ShapeError(f'{name}: {n} lengths are expected, such as ("10 mm", "20 mm"), not {values!r}')
    return np.array([length(value, f"{name}[{i}]", signed=signed) for i, value in enumerate(values)])


def angle(value: QuantityLike, name: str) -> float:
    """Return an angle in rad. Raises `UnitError`."""
    return to_si(value, _RAD, name=name)


def counts(values: int | Sequence[int], n: int, name: str = "cells", of: str = "") -> tuple[int, ...]:
    """Return n positive whole numbers. Raises `ShapeError`, `BoundsError`; `of` says what they count."""
    given = tuple(values) if isinstance(values, list | tuple | np.ndarray) else (values,)
    if len(given) != n:
        hint = f" ({of})" if of else ""
        raise ShapeError(f"{name}: {n} whole number{'s' * (n > 1)} expected{hint}, not {values!r}")
    for value in given:
        if not _is_whole(value):
            raise ShapeError(f"{name} = {values!r}: whole numbers are expected")
        if value < 1:
            raise BoundsError(f"{name} = {values!r}: at least one cell per direction")
    if math.prod(int(value) for value in given) > MOST_CELLS:
        raise BoundsError(f"{name} = {values!r} makes {math.prod(given):.3g} cells, more than {MOST_CELLS:.0e}")
    return tuple(int(value) for value in given)


def multiple(n: int, of: int, name: str) -> int:
    """Return n / of. Raises `BoundsError` unless that is a whole number."""
    if n % of:
        lower, upper = n // of * of, (n // of + 1) * of
        near = f"{lower} or {upper}" if lower else f"{upper}"
        raise BoundsError(f"{name} = {n} is no multiple of {of}; try {near}")
    return n // of


def refinement(refine: int) -> int:
    """Return 2**refine. Raises `BoundsError` unless refine is a whole number from 0."""
    if not _is_whole(refine) or not 0 <= refine <= 20:
        raise BoundsError(f"refine = {refine!r}: a whole number from 0 is expected; each splits every cell in two")
    return 1 << int(refine)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def ratios(grading: float | Sequence[float], n: int) -> tuple[float, ...]:
    """Return n ratios, one per direction; one number alone is for all. Raises `BoundsError`, `ShapeError`."""
    given = (float(grading),) * n if isinstance(grading, int | float) else tuple(float(ratio) for ratio in grading)
    if len(given) != n:
        raise ShapeError(f"grading: {n} ratio{'s' * (n > 1)} expected, one per direction, not {grading!r}")
    for ratio in given:
        if not (math.isfinite(ratio) and ratio > 0.0):
            raise BoundsError(f"grading = {grading!r}: the last cell's size over the first's, a positive number")
    return given


def breaks(n: int, ratio: float, refine: int) -> Array:
    """Return (n 2**refine + 1,) places in [0, 1]: n cells in geometric progression, the last `ratio` times the first.

    Refined cells go on with the same progression, so that the points of one refinement are points of the next.
    """
    places = np.linspace(0.0, 1.0, n * refinement(refine) + 1)
    if n == 1 or ratio == 1.0:
        return places
    whole = ratio ** (n / (n - 1))  # size goes with whole**place: n - 1 steps of 1/n make `ratio`
    graded = np.expm1(places * math.log(whole)) / (whole - 1.0)
    graded[-1] = 1.0
    return np.asarray(graded)
