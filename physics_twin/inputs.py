"""The inputs of one phase as straight lines in time, with their derivatives."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import RecipeError
from physics_twin.schedules import BoundPhase, Pieces

_ZERO, _NO_SLOPE = np.zeros(1), np.zeros((1, 0))


@dataclass(frozen=True)
class Line:
    """One input over a phase: u(r) = a[j] + b[j] (r - r[j]) for r[j] <= r < r[j + 1], r in s since the phase began."""

    r: Array
    """(n,)"""
    a: Array
    """(n,)"""
    b: Array
    """(n,)"""
    da: Array
    """(n, n_wrt)"""
    db: Array
    """(n, n_wrt)"""
    jumps: bool
    """Whether the value jumps at a corner (a held table)."""

    def pieces(self, t: Array, start: "float | Array", left: bool) -> Any:
        """The piece in force from each t on, or with `left` the one before it.

        Corners are compared as the same sums start + r that the march stops at, so that a moment is never on the
        wrong side of its own corner. Members that begin at different times have no jumps.
        """
        side: Literal["left", "right"] = "left" if left else "right"
        if isinstance(start, np.ndarray):
            return np.maximum(np.searchsorted(self.r, t - start, side=side) - 1, 0)
        return np.maximum(np.searchsorted(start + self.r, t, side=side) - 1, 0)


def lines_of(phase: BoundPhase, values: Mapping[str, Any], wrt: Sequence[str]) -> tuple[Line, ...]:
    """The inputs of a phase; raises RecipeError for a ramp of no length."""
    if phase.fixed_inputs:
        return _fixed_lines(phase, len(wrt))
    return tuple(_line(pieces, phase.name, values, wrt) for pieces in phase.inputs)


@functools.lru_cache(maxsize=1024)
def _fixed_lines(phase: BoundPhase, n_wrt: int) -> tuple[Line, ...]:
    """Inputs without settings are the same in every run."""
    return tuple(_line(pieces, phase.name, {}, ("",) * n_wrt) for pieces in phase.inputs)


def _line(pieces: Pieces, phase: str, values: Mapping[str, Any], wrt: Sequence[str]) -> Line:
    n = len(wrt)
    if pieces.level is not None:
        a = np.array([pieces.level.at(values)])
        moved = pieces.level.slope(wrt)[None, :] if n else _NO_SLOPE
        return Line(_ZERO, a, _ZERO, moved, np.zeros((1, n)) if n else _NO_SLOPE, False)
    if pieces.ramp is not None:
        first, last, length = pieces.ramp
        start, end, over = first.at(values), last.at(values), length.at(values)
        if not 0.0 < over < np.inf:
            raise RecipeError(f'phase "{phase}": a ramp takes {over:g} s; it needs a time above zero')
        slope = (end - start) / over
        d_start, d_end, d_over = first.slope(wrt), last.slope(wrt), length.slope(wrt)
        d_slope = (d_end - d_start - slope * d_over) / over
        return Line(
            np.array([0.0, over]),
            np.array([start, end]),
            np.array([slope, 0.0]),
            np.stack([d_start, d_end]),
            np.stack([d_slope, np.zeros(n)]),
            False,
        )
    m = pieces.times.size
    return Line(pieces.times, pieces.starts, pieces.slopes, np.zeros((m, n)), np.zeros((m, n)), pieces.jumps)


@dataclass(frozen=True)
class PhaseInputs:
    """All inputs of a phase that began at `start`; `d_start` is how its beginning moves, (n_wrt,)."""

    lines: tuple[Line, ...]
    start: float | Array
    """s; (n_members, 1) where members with the same lines begin at different times."""
    d_start: Array

    @functools.cached_property
    def straight(self) -> tuple[Array, Array] | None:
        """a, b (n_u,) where every input is one line for the whole phase."""
        if not self.lines or any(line.r.size > 1 for line in self.lines):
            return None
        return np.array([line.a.item(0) for line in self.lines]), np.array([line.b.item(0) for line in self.lines])

    @functools.cached_property
    def straight_slopes(self) -> tuple[Array, Array]:
        """da, db (n_u, n_wrt) where every input is one line for the whole phase."""
        return np.array([line.da[0] for line in self.lines]), np.array([line.db[0] for line in self.lines])

    @property
    def moving(self) -> bool:
        """Whether a corner of an input depends on a name of `wrt`."""
        return any(line.r.size > 1 and (line.da.any() or line.db.any()) for line in self.lines)

    def at(self, t: float, *, left: bool = False) -> tuple[Array, Array]:
        """Values and slopes (n_u,) at t; `left`: the limit from before."""
        if self.straight is not None and not isinstance(self.start, np.ndarray):
            a, b = self.straight
            return a + b * (t - self.start), b
        value, slope = self.along(np.array([t]), left=left)
        return value[:, 0], slope[:, 0]

    def along(self, t: Array, *, left: bool = True) -> tuple[Array, Array]:
        """Values and slopes (n_u, n) at times (n,); or (n_u, n_members, n) at (n_members, n)."""
        r = t - self.start
        if self.straight is not None:
            a, b = (v.reshape(-1, *(1,) * t.ndim) for v in self.straight)
            return a + b * r, np.broadcast_to(b, (b.shape[0], *t.shape))
        value, slope = np.empty((len(self.lines), *t.shape)), np.empty((len(self.lines), *t.shape))
        for i, line in enumerate(self.lines):
            j = line.pieces(t, self.start, left)
            slope[i] = line.b[j]
            value[i] = line.a[j] + slope[i] * (r - line.r[j])
        return value, slope

    def tangent(self, t: float, *, left: bool = False) -> Array:
        """du/dw at fixed t, (n_u, n_wrt)."""
        return self.tangents(np.array([t]), left=left)[:, 0]

    def tangents(self, t: Array, *, left: bool = True) -> Array:
        """du/dw at fixed times (n,): (n_u, n, n_wrt)."""
        r = t - self.start
        if self.straight is not None:
            b, (da, db) = self.straight[1], self.straight_slopes
            moving = da[:, None] + db[:, None] * r[:, None]
            return moving - (b[:, None] * self.d_start)[:, None] if self.d_start.any() else moving
        result = np.empty((len(self.lines), t.size, self.d_start.size))
        for i, line in enumerate(self.lines):
            j = line.pieces(t, self.start, left)
            result[i] = line.da[j] + line.db[j] * (r - line.r[j])[:, None] - line.b[j][:, None] * self.d_start
        return result

    def corners(self, t0: float, t1: float) -> list[float]:
        """Times strictly inside (t0, t1) at which an input changes its line."""
        if self.straight is not None:
            return []
        found: set[float] = set()
        for line in self.lines:
            if line.r.size > 1:
                times = self.start + line.r[1:]
                found.update(times[(times > t0) & (times < t1)].tolist())
        return sorted(found)

    def jump_corners(self, t0: float, t1: float) -> list[float]:
        """Times strictly inside (t0, t1) at which a held table jumps."""
        if self.straight is not None:
            return []
        found: set[float] = set()
        for line in self.lines:
            if line.jumps:
                times = self.start + line.r[1:]
                found.update(times[(times > t0) & (times < t1)].tolist())
        return sorted(found)

    def on_grid(self, begin: float | Array, nodes: Array, n_wrt: int, *, chained: bool = False) -> Array:
        """Coefficients for the integrator, (2 n_u, n_nodes (1 + n_wrt)): u = a + b (t - begin) up to each node.

        Each node's block holds the values and then one column for each direction. chained: every interval counts its
        time from its own beginning. For members, begin is (n_members, 1), nodes (n_members, n_nodes), n_wrt 0.
        """
        n_u = len(self.lines)
        if self.straight is not None and not isinstance(begin, np.ndarray) and not chained:
            # One piece: the coefficients of the first interval serve all.
            a, b = self.straight
            r = begin - self.start
            if not n_wrt:
                return np.concatenate([a + b * r, b])[:, None]
            da, db = self.straight_slopes
            first = np.column_stack([a + b * r, da + db * r - b[:, None] * self.d_start])
            return np.vstack([first, np.column_stack([b, db])])
        blocks = np.zeros((2 * n_u, *nodes.shape, 1 + n_wrt))
        if not n_u:
            return blocks.reshape(0, nodes.size * (1 + n_wrt))
        left = np.concatenate([np.broadcast_to(begin, (*nodes.shape[:-1], 1)), nodes[..., :-1]], axis=-1)
        # A piece is looked up in the middle of its interval, where rounding of a corner's time cannot matter.
        middle = 0.5 * (left + nodes) - self.start
        for i, line in enumerate(self.lines):
            j = np.maximum(np.searchsorted(line.r, middle, side="right") - 1, 0)
            r = (left if chained else begin) - self.start - line.r[j]
            a = line.a[j] + line.b[j] * r
            # One value per piece, so that equal pieces compare equal and the integrator does not restart.
            blocks[i, ..., 0], blocks[n_u + i, ..., 0] = a, line.b[j]
            if n_wrt:
                blocks[i, :, 1:] = line.da[j] + line.db[j] * r[:, None] - line.b[j][:, None] * self.d_start
                blocks[n_u + i, :, 1:] = line.db[j]
        return blocks.reshape(2 * n_u, nodes.size * (1 + n_wrt))
