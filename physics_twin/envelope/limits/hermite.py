"""The course of an output between its samples: the cubic Hermite interpolant with three-point slopes.

Exact for parabolas on any grid, error O(h^3) at a peak and O(h^4) in an integral, and continuous in the settings, which
sampling alone is not: a maximum over samples jumps when the highest one changes. Two nodes at the same time mark a
jump or a kink; slopes never reach across it.
"""

import math
from typing import Literal

import numpy as np

from physics_twin.arrays import Array

N_PARTS = 4  # parts into which an interval is cut to find when a level is crossed; linear within a part


def slopes_of(times: Array, values: Array) -> tuple[Array, Array]:
    """Widths (n, n_times - 1) and three-point slopes (n, n_times), one-sided at ends and at double nodes."""
    h = np.diff(times, axis=1)
    open_ = h > 0.0
    secant = np.where(open_, np.diff(values, axis=1) / np.where(open_, h, 1.0), 0.0)
    slopes = np.empty_like(values)
    slopes[:, 0], slopes[:, -1] = secant[:, 0], secant[:, -1]
    if values.shape[1] > 2:
        left, right = h[:, :-1], h[:, 1:]
        width = np.where(left + right > 0.0, left + right, 1.0)
        centered = (right * secant[:, :-1] + left * secant[:, 1:]) / width
        one_sided = np.where(left > 0.0, secant[:, :-1], secant[:, 1:])
        inner = np.where((left > 0.0) & (right > 0.0), centered, one_sided)
        slopes[:, 1:-1] = inner
        # Ends and sides of a double node: the parabola through the next interval (second order too).
        starts = np.concatenate([np.ones((len(h), 1), bool), ~open_[:, :-1]], axis=1) & open_
        stops = np.concatenate([~open_[:, 1:], np.ones((len(h), 1), bool)], axis=1) & open_
        begin = starts[:, :-1] & ~stops[:, :-1]
        slopes[:, :-2] = np.where(begin, 2.0 * secant[:, :-1] - slopes[:, 1:-1], slopes[:, :-2])
        end = stops[:, 1:] & ~starts[:, 1:]
        slopes[:, 2:] = np.where(end, 2.0 * secant[:, 1:] - slopes[:, 1:-1], slopes[:, 2:])
    return h, slopes


def highest(times: Array, values: Array) -> Array:
    """Maximum (n,) of the Hermite interpolant.

    Only intervals whose slopes say "up, then down" are refined: at a corner (a clipped signal) the cubic would
    overshoot and invent a violation.
    """
    top: Array = values.max(axis=1)
    if values.shape[1] < 3:
        return top
    h, slopes = slopes_of(times, values)
    m0, m1, rise = slopes[:, :-1] * h, slopes[:, 1:] * h, np.diff(values, axis=1)
    tops = (m0 > 0.0) & (m1 < 0.0)
    c2, c3 = 3.0 * rise - 2.0 * m0 - m1, m0 + m1 - 2.0 * rise
    # Root of m0 + 2 c2 s + 3 c3 s^2 in (0, 1), in the form that stays accurate as c3 goes to zero.
    root = np.sqrt(np.maximum(c2 * c2 - 3.0 * c3 * m0, 0.0))
    denominator = root - c2
    s = np.where(tops & (denominator > 0.0), m0 / np.where(denominator > 0.0, denominator, 1.0), 0.0)
    s = np.clip(s, 0.0, 1.0)
    crest = values[:, :-1] + s * (m0 + s * (c2 + s * c3))
    top = np.maximum(top, np.where(tops, crest, -math.inf).max(axis=1))
    return top


def integrals(times: Array, values: Array) -> Array:
    """Integral (n,) of the Hermite interpolant: trapezium plus h^2 (y0' - y1') / 12."""
    if values.shape[1] < 2:
        return np.zeros(len(values))
    h, slopes = slopes_of(times, values)
    pieces = 0.5 * h * (values[:, :-1] + values[:, 1:]) + h * h * (slopes[:, :-1] - slopes[:, 1:]) / 12.0
    total: Array = pieces.sum(axis=1)
    return total


def refined(times: Array, values: Array) -> tuple[Array, Array]:
    """Times and values with every interval cut into N_PARTS by the Hermite interpolant."""
    if values.shape[1] < 2:
        return times, values
    h, slopes = slopes_of(times, values)
    m0, m1, rise = slopes[:, :-1] * h, slopes[:, 1:] * h, np.diff(values, axis=1)
    c2, c3 = 3.0 * rise - 2.0 * m0 - m1, m0 + m1 - 2.0 * rise
    s = np.arange(N_PARTS) / N_PARTS
    t = times[:, :-1, None] + h[:, :, None] * s
    y = values[:, :-1, None] + s * (m0[:, :, None] + s * (c2[:, :, None] + s * c3[:, :, None]))
    n = len(times)
    return (
        np.concatenate([t.reshape(n, -1), times[:, -1:]], axis=1),
        np.concatenate([y.reshape(n, -1), values[:, -1:]], axis=1),
    )


def values_at(times: Array, values: Array, at: Array, left: bool) -> Array:
    """The interpolants (n, m) at moments (n, m) of each course; at a jump the value before it (`left`) or after it."""
    h, slopes = slopes_of(times, values)
    side: Literal["left", "right"] = "left" if left else "right"
    place = np.stack([np.searchsorted(t, moments, side=side) - 1 for t, moments in zip(times, at, strict=True)])
    # The interval of a moment before the first or behind the last node is the nearest one that has a length.
    open_ = h > 0.0
    first, last = open_.argmax(axis=1), h.shape[1] - 1 - open_[:, ::-1].argmax(axis=1)
    place = np.clip(place, first[:, None], last[:, None])

    def of(array: Array, shift: int = 0) -> Array:
        return np.take_along_axis(array, place + shift, axis=1)

    width = np.where(of(h) > 0.0, of(h), 1.0)
    s = np.clip((at - of(times)) / width, 0.0, 1.0)
    m0, m1, rise = of(slopes) * width, of(slopes, 1) * width, of(values, 1) - of(values)
    return of(values) + s * (m0 + s * (3.0 * rise - 2.0 * m0 - m1 + s * (m0 + m1 - 2.0 * rise)))
