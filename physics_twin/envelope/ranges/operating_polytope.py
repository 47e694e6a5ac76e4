"""An operating polytope for people and control systems: sides and vertices in SI, in words in the settings' units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.digits import inward
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.errors import ShapeError
from physics_twin.signals import Setting
from physics_twin.units import Unit

N_DIGITS = 5
"""Digits of a coefficient in the words of a side."""


@dataclass(frozen=True, eq=False)
class OperatingPolytope:
    """A convex range of settings: every point s (SI) with sides @ s <= levels.

    Unlike in a box, what one setting may do depends on the others.
    """

    settings: tuple[Setting, ...]
    sides: Array
    """(n_sides, n_settings) SI: upper ends of the settings' ranges, lower ends, then the slanted sides."""
    levels: Array
    """(n_sides,) SI"""
    binding: tuple[str, ...]
    """What ends each side: a limit's name, or "setting bound"."""
    vertices: Array
    """(n_vertices, n_settings) SI; each of them was certified."""
    volume: float
    """Share of the settings' bounds that it holds."""
    coverage: float
    """Share of the region (in which the limits are met with the required probability) that it holds, as predicted."""
    box_coverage: float
    """The same of the largest box, for comparison."""

    def contains(self, points: Array) -> NDArray[np.bool_]:
        """Which of `points` (n, n_settings) SI lie inside."""
        points = np.asarray(points, dtype=float)
        if points.ndim != 2 or points.shape[1] != len(self.settings):
            names = ", ".join(s.name for s in self.settings)
            raise ShapeError(f"points of shape {points.shape}: expected (n, {len(self.settings)}) for {names}")
        # Rounding of a side is judged by the size of its terms: 1200 K and 3600 s have no digits to spare.
        terms = np.abs(points) @ np.abs(self.sides).T + np.abs(self.levels)
        inside: NDArray[np.bool_] = (points @ self.sides.T - self.levels <= 1e-12 * terms).all(axis=1)
        return inside

    @property
    def lines(self) -> tuple[str, ...]:
        """Each side in words, in the settings' declared units, rounded to the safe side."""
        d = len(self.settings)
        found = []
        for i, setting in enumerate(self.settings):
            low, high = inward(-float(self.levels[d + i]), float(self.levels[i]), setting.unit)
            ends = f"(ended by {self.binding[d + i]} and {self.binding[i]})"
            found.append(f"{low} <= {setting.name} <= {high} {ends}")
        for row, level, end in zip(self.sides[2 * d :], self.levels[2 * d :], self.binding[2 * d :], strict=True):
            found.append(f"{self._side_text(row, float(level))} (ended by {end})")
        return tuple(found)

    def _side_text(self, row: Array, level: float) -> str:
        units = [s.unit for s in self.settings]
        slopes, shifts = np.array([_line(u) for u in units]).T
        exact, end = row * slopes, level - float(row @ shifts)
        size = np.abs(exact).max()
        exact, end = exact / size, end / size
        shown = np.array([float(f"{c:.{N_DIGITS}g}") for c in exact])
        # What rounding changes anywhere inside is taken off the end, and the end is rounded down.
        corners = np.array([[u.from_si(float(x)) for u, x in zip(units, v, strict=True)] for v in self.vertices])
        end -= float(((exact - shown) * corners).sum(axis=1).max())
        step = 10.0 ** (np.floor(np.log10(max(abs(end), 1e-300))) - N_DIGITS)
        end = float(np.floor(end / step) * step)
        terms = [
            f"{'-' if c < 0 else '+'} {abs(c):g} x {s.name}{'' if s.unit.is_one else '/' + s.unit.text}"
            for c, s in zip(shown, self.settings, strict=True)
            if c != 0.0
        ]
        left = " ".join(terms).removeprefix("+ ")
        return f"{left} <= {end:.{N_DIGITS + 1}g}"

    def __str__(self) -> str:
        """Sides, and what the polytope is worth beside the largest box."""
        shares = (
            f"{100 * self.coverage:.3g} % of the region, where the largest box holds {100 * self.box_coverage:.3g} %; "
            f"{len(self.vertices)} vertices"
        )
        return "\n".join(["operating polytope:", *(f"  {line}" for line in self.lines), f"  holds {shares}"])


def operating_polytope(
    body: ConvexSet, settings: Sequence[Setting], binding: Sequence[str], coverage: float, box_coverage: float
) -> OperatingPolytope:
    """The polytope in SI of a set in the unit cube. binding: (n_sides,) what ends each of its sides."""
    low, high = (np.array([s.bounds[i] for s in settings]) for i in (0, 1))
    widths = high - low
    sides = body.matrix / widths
    levels = body.ends + sides @ low
    d = len(settings)
    # Ends of single ranges are written as such: a coefficient of one, and the end itself.
    one = np.eye(d)
    sides[: 2 * d] = np.concatenate([one, -one])
    levels[: 2 * d] = np.concatenate([low + body.high * widths, -(low + body.low * widths)])
    return OperatingPolytope(
        tuple(settings),
        sides,
        levels,
        tuple(binding),
        low + body.vertices * widths,
        body.volume,
        coverage,
        box_coverage,
    )


def _line(unit: Unit) -> tuple[float, float]:
    """Slope and shift: SI = slope * number + shift."""
    return float(unit.to_si(1.0, difference=True)), float(unit.to_si(0.0))
