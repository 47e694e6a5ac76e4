"""`Field` and `FieldSeries`: fields of a run as plain arrays that know their names, units, times and places."""

import enum
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError, unknown_name
from physics_twin.fem.fields.grid import Grid
from physics_twin.units import Unit, format_si, seconds, to_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SAME_TIME = 1e-9  # relative: times that are written alike but rounded differently

_METER = Unit("m")


class Location(enum.Enum):
    """Where a field has its values."""

    NODES = "nodes"
    """Continuous between them."""
    CELLS = "cells"
    """The mean of each cell over its quadrature points."""


@dataclass(frozen=True, eq=False, repr=False)
class Field:
    """A field at one time.

    unit: the one that people see. time: s. values: SI, (n_nodes,) or (n_cells,), for a vector (..., n_components); NaN
    where the field does not exist (a local state outside of the material that has it).
    """

    name: str
    unit: Unit
    time: float
    place: Location
    grid: Grid
    values: Array

    @property
    def coordinates(self) -> Array:
        """(n_nodes, dimension) or (n_cells, dimension) m: where the values are."""
        return self.grid.nodes if self.place is Location.NODES else self.grid.mesh.midpoints

    @property
    def components(self) -> tuple[str, ...]:
        """Names of a vector's components, along the coordinates; empty for a scalar."""
        return self.grid.axes if self.values.ndim == 2 else ()

    @property
    def magnitude(self) -> Array:
        """The values of a scalar, the lengths of a vector; SI."""
        return np.asarray(np.linalg.norm(self.values, axis=1)) if self.values.ndim == 2 else self.values

    def in_units(self) -> Array:
        """The values in `unit`."""
        return np.asarray(self.unit.from_si(self.values))

    def component(self, axis: str) -> "Field":
        """One component of a vector as a scalar field."""
        if axis not in self.components:
            raise unknown_name(f"component of {self.name}", axis, self.components)
        values = self.values[:, self.components.index(axis)]
        return Field(f"{self.name}_{axis}", self.unit, self.time, self.place, self.grid, values)

    def at(self, points: Any) -> Array:
        """Return the values at points: SI, (n_points,) or (n_points, n_components).

        points: (n_points, dimension) m, or one point as a sequence of lengths ("50 mm", "0.1 m"), for which the result
        has no first axis. Between nodes by the shape functions of the elements; a field of cells has its cell's value.
        Raises BoundsError for a point outside the body.
        """
        one, x = _points(points, self.grid)
        cells, places = self.grid.locate(x)
        if self.place is Location.CELLS:
            found = self.values[cells]
        else:
            weights = self.grid.element.values(places)
            found = np.einsum("pn,pn...->p...", weights, self.values[self.grid.cells[cells]])
        return np.asarray(found[0] if one else found)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """Draw the field; see `physics_twin.fem.fields.plots.plot_field` for the options."""
        from physics_twin.fem.fields.plots import plot_field

        return plot_field(self, ax, **options)

    def __repr__(self) -> str:
        finite = self.magnitude[np.isfinite(self.magnitude)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
        what = f", vector in {' '.join(self.components)}" if self.components else ""
        spread = f"{format_si(low, self.unit)} to {format_si(high, self.unit)}"
        return f"<{self.name} at {self.time:g} s on {len(self.values)} {self.place.value}{what}: {spread}>"


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """One field over the times of a run; values: (n_times, n_nodes or n_cells [, n_components]) SI."""

    name: str
    unit: Unit
    place: Location
    grid: Grid
    values: Array


@dataclass(frozen=True, eq=False, repr=False)
class FieldSeries:
    """The fields of a run at its times (n_times,) s. `model`: what made them, for files."""

    times: Array
    histories: Mapping[str, History]
    model: str

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that were asked for."""
        return tuple(self.histories)

    def field(self, name: str, time: Any = None) -> Field:
        """Return a field at one of the times: bare seconds or "10 min"; the last one without.

        Raises UnknownNameError for a field, ShapeError for a time that was not asked for.
        """
        if name not in self.histories:
            raise unknown_name("field in this run", name, self.names)
        h = self.histories[name]
        k = self.times.size - 1 if time is None else self._number(time)
        return Field(h.name, h.unit, float(self.times[k]), h.place, h.grid, h.values[k])

    def _number(self, time: Any) -> int:
        t = float(seconds(time)[0])
        k = int(np.abs(self.times - t).argmin())
        if abs(self.times[k] - t) > _SAME_TIME * max(abs(t), float(np.abs(self.times).max())):
            raise ShapeError(
                f"the run has no field at {t:g} s; the nearest of its {self.times.size} times is {self.times[k]:g} s. "
                "Fields are kept at the times that simulate was asked for"
            )
        return k

    def save(self, path: "str | os.PathLike[str]", names: Sequence[str] | None = None) -> None:
        """Write a file for ParaView; see `Run.save_fields`."""
        from physics_twin.fem.fields.vtkhdf import save_fields

        for name in names or ():
            if name not in self.histories:
                raise unknown_name("field in this run", name, self.names)
        save_fields(self, path, tuple(names or self.names))

    def __repr__(self) -> str:
        return f"<{', '.join(self.names)} at {self.times.size} times>"


def _points(given: Any, grid: Grid) -> tuple[bool, Array]:
    """(whether it is one point, (n, dimension) m)"""
    dimension = grid.mesh.dimension
    if isinstance(given, str):
        given = (given,)
    if isinstance(given, list | tuple) and len(given) == dimension and all(np.ndim(_first(c)) == 0 for c in given):
        # One point, written as a sensor's is; bare numbers are meters here as in arrays.
        row = [
            float(c) if isinstance(c, int | float | np.number) else to_si(c, _METER, name=axis)
            for axis, c in zip(grid.axes, given, strict=True)
        ]
        return True, np.array([row])
    array = np.asarray(given, dtype=float)
    if array.ndim == 1 and array.size == dimension:
        return True, array.reshape(1, dimension)
    return False, array.reshape(-1, 1) if array.ndim == 1 and dimension == 1 else array


def _first(c: Any) -> Any:
    """A coordinate, or the number of a pair (number, unit)."""
    return c[0] if isinstance(c, tuple) and len(c) == 2 and isinstance(c[1], str) else c
