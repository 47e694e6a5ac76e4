"""The profiles of an optimal recipe as rows of a table, for whoever types them into a controller."""

import numpy as np
import xarray as xr

from physics_twin.arrays import Array
from physics_twin.envelope.digits import decimals
from physics_twin.units import Unit, format_si, unit as as_unit

MOST_ROWS = 30
"""Longer profiles are printed up to here; all of them is in the recipe."""


def profile_lines(profiles: xr.Dataset) -> list[str]:
    """Each profile in words and piece by piece, in declared units, times in a unit in which a piece is one or more.

    profiles: as of an `OptimalRecipe`, inputs at both sides of every corner, SI.
    """
    times = profiles["time"].values
    piece = float((times[1::2] - times[0::2]).min()) * (1.0 + 1e-9)
    clock = as_unit("h" if piece >= 3600.0 else "min" if piece >= 60.0 else "s")
    lines = []
    for name, column in profiles.data_vars.items():
        unit, linear = Unit(column.attrs["declared_units"]), column.attrs["shape"] == "linear"
        low, high = (format_si(float(x), unit) for x in (column.values.min(), column.values.max()))
        lines.append(f"{name}: {column.attrs['shape']} pieces between {low} and {high}")
        rows = _corners(times, column.values) if linear else _steps(times, column.values)
        lines += _table(rows, clock, unit)
    return lines


def _steps(times: Array, values: Array) -> Array:
    """(n, 3) rows: begin and end (s) of each step and its value; neighbors that are alike are one step."""
    begins, ends, levels = times[0::2], times[1::2], values[0::2]
    first = np.flatnonzero(np.append(True, levels[1:] != levels[:-1]))
    last = np.append(first[1:] - 1, len(levels) - 1)
    return np.stack([begins[first], ends[last], levels[first]], axis=1)


def _corners(times: Array, values: Array) -> Array:
    """(n, 2) rows: time (s) of each corner and the value there."""
    return np.stack([np.append(times[:1], times[1::2]), np.append(values[:1], values[1::2])], axis=1)


def _table(rows: Array, clock: Unit, unit: Unit) -> list[str]:
    """Lines of a table whose last column is the input and whose others are times."""
    moments = [_texts(np.asarray(clock.from_si(column)), clock) for column in rows[:, :-1].T]
    levels = _texts(np.asarray(unit.from_si(rows[:, -1])), unit)
    join = " to " if len(moments) == 2 else ""
    shown = [f"  {join.join(when)}: {level}" for *when, level in zip(*moments, levels, strict=True)]
    more = len(shown) - MOST_ROWS
    return shown if more <= 0 else [*shown[:MOST_ROWS], f"  and {more} more, see .profiles"]


def _texts(numbers: Array, unit: Unit) -> list[str]:
    """Numbers of one column, with as many decimals as show a thousandth of their range, and right under one another."""
    n = decimals(float(numbers.min()), float(numbers.max()))
    texts = [f"{x:.{n}f}" for x in numbers]
    name = "" if unit.text == "1" else f" {unit.text}"
    return [f"{text.rjust(max(map(len, texts)))}{name}" for text in texts]
