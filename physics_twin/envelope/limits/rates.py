"""Rates of change of an output: how fast it rises or falls, from moment to moment or over a window.

From moment to moment: means of the intervals between samples, corrected to their middles (fourth order on even grids),
and one-sided slopes at ends and double nodes; the highest of them is refined by a parabola. A jump at a double node has
no rate; it counts as if it took the shorter of the intervals beside it, so that a limit never overlooks it.
"""

from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.limits.hermite import refined, slopes_of, values_at
from physics_twin.envelope.limits.reductions import duration_text
from physics_twin.errors import EnvelopeError
from physics_twin.units import QuantityLike, Unit, to_si, unit as as_unit

SAME = 1e-3
"""Nodes closer than this share of the intervals beside them are one: their difference is the integrator's rounding."""


@dataclass(frozen=True)
class Rate:
    """The highest rate of rise for an upper limit, the lowest (steepest fall) for a lower one.

    `pt.rate` looks at every moment; a jump counts as a rise within the sampling interval beside it.
    `pt.rate(over="5 min")` looks at the mean rate over every window of that length, as a recorder shows it; a run
    shorter than the window counts with its own length.
    """

    window: float | None = None
    """s"""
    moments: tuple[float, ...] = ()
    dense: bool = True

    def label(self, output: str, unit: Unit) -> str:
        """In words."""
        over = "" if self.window is None else f" over {duration_text(self.window)}"
        return f"rate of {output}{over}"

    def unit(self, output: Unit) -> Unit:
        """The output's unit as a difference, per minute."""
        return output.difference() / as_unit("min")

    @overload
    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array: ...
    @overload
    def __call__(self, *, over: QuantityLike) -> "Rate": ...
    def __call__(
        self,
        times: Array | None = None,
        values: Array | None = None,
        side: int = 1,
        unit: Unit | None = None,
        *,
        over: QuantityLike | None = None,
    ) -> "Array | Rate":
        """Rates (n,) SI per s; with `over=` alone, the same reduction over windows of that length."""
        if over is not None:
            window = to_si(over, as_unit("s"), name="rate: over")
            if window <= 0.0:
                raise EnvelopeError(f'rate: over = {window:g} s; a window has a length, for example over="5 min"')
            return replace(self, window=window)
        if times is None or values is None:
            raise EnvelopeError('rate: say over=pt.rate, or over=pt.rate(over="5 min") for the mean over a window')
        if values.shape[1] < 2:
            return np.zeros(len(values))
        if self.window is None:
            return side * _steepest(_merged(times), side * values)
        return side * _steepest_mean(times, side * values, self.window)


rate = Rate()
"""The highest rate of rise, with a lower limit the steepest fall; `pt.rate(over="5 min")` for means over a window."""


def _merged(times: Array) -> Array:
    """Times with nodes that stand too close to tell a rate put together, as double nodes."""
    h = np.diff(times, axis=1)
    wide = np.where(h > 0.0, h, np.inf)
    edge = np.full((len(h), 1), np.inf)
    left, right = np.concatenate([edge, wide[:, :-1]], axis=1), np.concatenate([wide[:, 1:], edge], axis=1)
    beside = np.minimum(left, right)
    close = (h > 0.0) & np.isfinite(beside) & (h < SAME * beside)
    together = times.copy()
    together[:, 1:] = np.where(close, times[:, :-1], times[:, 1:])
    return together


def _steepest(times: Array, values: Array) -> Array:
    """Highest rate (n,) of rise; times may hold double nodes."""
    h, slopes = slopes_of(times, values)
    rise = np.diff(values, axis=1)
    inside = h > 0.0
    secant = rise / np.where(inside, h, 1.0)
    # The derivative in the middle of an interval: on an even grid the errors of secant and cubic cancel.
    middle = (3.5 * secant - 0.25 * (slopes[:, :-1] + slopes[:, 1:])) / 3.0
    shut = np.ones((len(h), 1), dtype=bool)
    begins = np.concatenate([shut, ~inside[:, :-1]], axis=1) & inside
    ends = np.concatenate([~inside[:, 1:], shut], axis=1) & inside
    found = [
        np.where(inside, middle, -np.inf),
        np.where(begins, slopes[:, :-1], -np.inf),
        np.where(ends, slopes[:, 1:], -np.inf),
        _jumps(h, slopes, rise),
        _crests(0.5 * (times[:, :-1] + times[:, 1:]), middle, inside),
    ]
    top: Array = np.concatenate(found, axis=1).max(axis=1)
    return np.where(np.isfinite(values).all(axis=1), np.where(np.isfinite(top), top, 0.0), np.nan)


def _crests(x: Array, y: Array, inside: NDArray[np.bool_]) -> Array:
    """Tops (n, m - 2) of the parabolas through three neighbors of which the middle one is highest, -inf elsewhere.

    A parabola stands higher than its middle point by as much as the neighboring ones are bent alike: beside a corner
    they are not, and it would invent a rate.
    """
    if y.shape[1] < 3:
        return np.full((len(y), 1), -np.inf)
    step = np.diff(x, axis=1)
    d = np.diff(y, axis=1) / np.where(step > 0.0, step, 1.0)
    three = inside[:, :-2] & inside[:, 1:-1] & inside[:, 2:]
    crest = three & (d[:, :-1] > 0.0) & (d[:, 1:] < 0.0)
    width = np.where(three, x[:, 2:] - x[:, :-2], 1.0)
    bend = (d[:, 1:] - d[:, :-1]) / width
    own = np.where(crest, bend, -1.0)
    before = np.concatenate([own[:, :1], np.where(three, bend, own)[:, :-1]], axis=1)
    after = np.concatenate([np.where(three, bend, own)[:, 1:], own[:, -1:]], axis=1)
    alike = np.clip(np.maximum(before, after) / own, 0.0, 1.0)
    slope = d[:, :-1] + own * (x[:, 1:-1] - x[:, :-2])
    return np.where(crest, y[:, 1:-1] - alike * slope**2 / (4.0 * own), -np.inf)


def _jumps(h: Array, slopes: Array, rise: Array) -> Array:
    """Rates (n, m) that jumps stand for; -inf where there is none.

    The slope beside it is added: a course that goes on smoothly through a double node then has its own slope there,
    whatever rounding is between its two values.
    """
    shut = h <= 0.0
    wide = np.where(shut, np.inf, h)
    edge = np.full((len(h), 1), np.inf)
    beside = np.minimum(np.concatenate([edge, wide[:, :-1]], axis=1), np.concatenate([wide[:, 1:], edge], axis=1))
    known = shut & np.isfinite(beside)
    over = np.where(known, beside, 1.0)
    return np.where(known, np.maximum(slopes[:, :-1], slopes[:, 1:]) + rise / over, -np.inf)


def _steepest_mean(times: Array, values: Array, window: float) -> Array:
    """Highest mean rate (n,) over windows of that length inside the run.

    Windows begin and end at every node and at places between the nodes, four to an interval: what lies between these is
    missed by no more than the second difference of what is found there.
    """
    out = np.full(len(values), np.nan)
    length = times[:, -1] - times[:, 0]
    out[length <= 0.0] = 0.0
    good = np.flatnonzero(np.isfinite(values).all(axis=1) & (length > 0.0))
    if good.size:
        t, y, width = times[good], values[good], np.minimum(window, length[good])[:, None]
        fine, _ = refined(t, y)
        starts = np.clip(np.concatenate([fine, fine - width], axis=1), t[:, :1], t[:, -1:] - width)
        # A window whose end is a node ends there exactly, so that a jump is either in it or not.
        ends = np.concatenate([np.minimum(fine + width, t[:, -1:]), np.maximum(fine, t[:, :1] + width)], axis=1)
        rises = [values_at(t, y, ends, left) - values_at(t, y, starts, left) for left in (True, False)]
        out[good] = np.maximum(*rises).max(axis=1) / width[:, 0]
    return out
