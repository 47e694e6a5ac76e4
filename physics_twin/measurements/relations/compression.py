"""What a historian has done to a signal: thinned it out, and perhaps drawn straight lines through what is left.

Exception reporting archives a value when it has left a band around the last one; swinging door (Bristol, "Swinging
door trending: adaptive trend recording?", ISA National Conference Proceedings, 1990, 749) when no straight line from
the last archived point passes within the deviation of everything since. An export at regular times then interpolates
between archived points. Such rows are not samples: they have no noise of their own, and a fit that takes them for
independent is too sure of itself.

How each is told from raw samples, whose small changes are as frequent as their size says:

- **exception**: no change between successive values is small; their distribution has an edge, the deadband. Raw
  steps of a converter have an edge too, but lie on its steps.
- **interpolated**: at regular times, sloped pieces that are straight to within the last printed digit, joined by kinks
  that are not. A smooth curve bends everywhere, and noise leaves more than rounding does. A set point that follows a
  program of ramps cannot be told from it, and neither can noise of less than a third of a digit. Where the deviation
  of the historian is less than some ten last digits, rounding hides the pieces.
- **swinging door**: irregular times, from one scan to many, and hardly a point that lies on the line between its
  neighbors, since such points are what it throws away. Noise that was thinned out at random by more than half looks
  the same; nothing in the numbers tells the two apart.
"""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import ShapeError
from physics_twin.measurements.quality import duration_text

__all__ = ["Compression", "CompressionKind", "compression"]

# Fewer samples or changes than this say nothing.
_FEWEST, _FEWEST_CHANGES = 40, 20
# More rows in a row say nothing new, and a log may hold millions.
_ENOUGH = 100_000
# The 5 % quantile of the changes over their median: 0.09 for Gaussian changes, above 0.6 behind a deadband.
_EDGE = 0.45
# Behind a deadband changes vary less than the time between them does: standard deviations of the logarithms.
_CALLED = 0.7
# Share of rows that are the value before a change, from which on they are taken for such.
_BEFORE = 0.3
# A decimal log is judged up to this many digits behind the point.
_DIGITS = 9
_SINGLE = 2.0 * float(np.finfo(np.float32).eps)
# Times are regular where so many steps are the usual one, within this share of it.
_REGULAR, _JITTER = 0.95, 0.1
# Spread of the steps of swinging door: 90 % quantile over 10 % quantile, and mean over the scan interval.
_SPREAD, _THINNED = 3.0, 1.8
# A usual step of fewer last digits of the stamps than this: they are whole scans (of 1 s, of 0.1 s).
_SCANS = 300.0
# So many of its points may lie on the line between their neighbors.
_ON_LINE = 0.15
# Interpolation: share of the rows that are not flat in sloped straight pieces, and how many pieces there are.
_STRAIGHT, _PIECES = 0.6, 5
# Share of all rows in sloped pieces, and what is left of them beside their lines, in units of the rounding.
_SLOPED, _RESIDUAL = 0.3, 0.4
_STRIDES = (1, 2, 4, 8, 16, 32)
# Median deviation of an archived point from the line between its neighbors, over the deviation of swinging door. From
# simulations it is 0.3 (slow drifts under noise of a quarter of it) to 4 (smooth curves, in theory).
_MEDIAN_OVER_DEVIATION = 0.8


class CompressionKind(Enum):
    """What was done to the samples."""

    NONE = "none"
    EXCEPTION = "exception"
    SWINGING_DOOR = "swinging door"
    INTERPOLATED = "interpolated"


@dataclass(frozen=True)
class Compression:
    """What was found out about a series of samples.

    kind: what a historian seems to have done. deadband: a difference in the unit of the values; None where nothing was
    compressed. Of exception reporting it is right within some percent, of the others within a factor of four.
    n_samples: how many true samples there seem to be; fewer than rows where they are interpolated, and then right
    within a factor of three, rather too few than too many. words: the finding for people.
    """

    kind: CompressionKind
    deadband: float | None
    n_samples: int
    words: str

    @property
    def compressed(self) -> bool:
        """Whether a historian has thinned the samples out."""
        return self.kind is not CompressionKind.NONE


def compression(times: Array, values: Array, resolution: float | None = None) -> Compression:
    """Tell raw samples from what exception reporting, swinging door and interpolation have made of them.

    times: (n,) s. values: (n,) in any unit. NaN in either, and rows whose time goes back or repeats, take no part.
    resolution: of the converter, in the unit of the values; without it, the last printed digit is found. Raises
    ShapeError for arrays of unequal length.
    """
    t, v = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if t.shape != v.shape or t.ndim != 1:
        raise ShapeError(f"times have the shape {t.shape}, values {v.shape}")
    t, v = _ascending(t, v)
    if t.size < _FEWEST:
        return _raw(t.size, f"too few samples ({t.size}) to tell compression")
    if t.size > _ENOUGH:
        middle = slice((t.size - _ENOUGH) // 2, (t.size + _ENOUGH) // 2)
        found = _judged(t[middle], v[middle], resolution)
        n_samples = round(found.n_samples * t.size / _ENOUGH)
        return replace(found, n_samples=n_samples, words=f"{found.words} (by the {_ENOUGH} rows in the middle)")
    return _judged(t, v, resolution)


def _judged(t: Array, v: Array, resolution: float | None) -> Compression:
    steps = np.diff(t)
    usual = float(np.median(steps))
    rounding = max(_last_digit(v), _converter_step(v), resolution or 0.0)
    regular = float(np.mean(np.abs(steps - usual) <= _JITTER * usual)) >= _REGULAR
    if regular:
        return _interpolated(t, v, rounding) or _held(t, v, rounding) or _raw(t.size, "samples at regular times, raw")
    called = _exception(t, v) or _swinging_door(t, v, rounding)
    return called or _raw(t.size, "samples at irregular times, not compressed as far as they show")


def _raw(n: int, words: str) -> Compression:
    return Compression(CompressionKind.NONE, None, n, words)


def _ascending(t: Array, v: Array) -> tuple[Array, Array]:
    there = np.isfinite(t) & np.isfinite(v)
    t, v = t[there], v[there]
    if t.size:
        before = np.concatenate([[-np.inf], np.maximum.accumulate(t)[:-1]])
        t, v = t[t > before], v[t > before]
    return t, v


def _last_digit(v: Array) -> float:
    """Return the unit of the last decimal digit that is used, (0.01 for 20.5, 20.53); for binary numbers, their own."""
    scale = float(np.abs(v).max())
    fuzz = 4.0 * np.finfo(np.float64).eps * max(scale, 1e-300)
    some = v[:: max(1, v.size // 2000)]
    for digits in range(-3, _DIGITS + 1):
        unit = 10.0**-digits
        if unit > fuzz and (np.abs(some - np.round(some / unit) * unit) <= fuzz).all():
            return unit
    return _SINGLE * scale  # historians keep single precision, and some exports print all its digits


# Regular times -------------------------------------------------------------------------------------------------------


def _interpolated(t: Array, v: Array, rounding: float) -> Compression | None:
    # Where the last digit is coarse, the kinks of long pieces show only against rows further apart.
    for stride in _STRIDES:
        if v.size < _FEWEST * stride:
            break
        pieces = _straight_pieces(v[::stride], rounding)
        if pieces is None:
            continue
        knots, n_straight, n_flat = pieces
        at = np.minimum(knots * stride, v.size - 1)
        n_pieces, n_rows = at.size // 2, min(v.size, n_straight * stride)
        # Rows beside the pieces belong to pieces too short to be seen: as many by row, at least.
        n_samples = min(v.size, 1 + round(n_pieces * (v.size / stride - n_flat) / n_straight))
        # Where one piece ends and the next begins lies the archived point, or between both.
        inner = (at[1:-1:2] + at[2::2]) // 2
        archived = np.unique(np.concatenate([at[:1], inner, at[-1:]]))
        deviations = _deviations(t[archived], v[archived])
        words = (
            f"interpolated at regular times: {n_rows} of {v.size} rows lie on {n_pieces} straight pieces: about "
            f"{n_samples} true samples, or a program of ramps"
        )
        deadband = float(np.median(deviations)) / _MEDIAN_OVER_DEVIATION
        return Compression(CompressionKind.INTERPOLATED, deadband, n_samples, words)
    return None


def _straight_pieces(v: Array, rounding: float) -> tuple[NDArray[np.intp], int, int] | None:
    """Return begin and end of each sloped straight piece, the rows in them and in flat ones; else None."""
    bends = np.abs(np.diff(v, 2))
    # Four roundings of half a unit each enter a second difference, two of them in one value.
    begins, ends = _runs(bends <= 2.0 * rounding * (1.0 + 1e-6))
    long = ends - begins >= 2
    n_straight = n_flat = n_free = 0
    squares = 0.0
    knots: list[int] = []
    for begin, end in zip(begins[long].tolist(), ends[long].tolist(), strict=True):
        piece = v[begin : end + 2]  # bend k is that of the samples k, k + 1, k + 2
        if abs(piece[-1] - piece[0]) <= 4.0 * rounding:
            n_flat += piece.size  # a flat converter is straight by right
            continue
        if np.abs(piece - np.linspace(piece[0], piece[-1], piece.size)).max() > rounding * (1.0 + 1e-6):
            continue  # a smooth curve
        x = np.arange(piece.size) - 0.5 * (piece.size - 1)
        rest = piece - piece.mean() - x * (x @ piece) / (x @ x)
        squares, n_free = squares + float(rest @ rest), n_free + piece.size - 2
        n_straight += piece.size
        knots += [begin, end + 1]
    if len(knots) < 2 * _PIECES or n_straight < max(_STRAIGHT * (v.size - n_flat), _SLOPED * v.size):
        return None
    # What rounding leaves of a line is 1/sqrt(12) = 0.29 of the last digit; quiet noise below the digit leaves more.
    if squares > (_RESIDUAL * rounding) ** 2 * n_free:
        return None
    return np.array(knots), n_straight, n_flat


def _held(t: Array, v: Array, rounding: float) -> Compression | None:
    """Exception reporting written at regular times: the last value is repeated until the next exception."""
    changed = np.concatenate([[True], np.abs(np.diff(v)) > 1e-12 * float(np.abs(v).max())])
    at = np.flatnonzero(changed)
    if at.size - 1 < _FEWEST_CHANGES or v.size < 3 * at.size:
        return None
    changes = np.abs(np.diff(v[at]))
    edge = _edge(changes)
    if edge is None or edge < 3.0 * rounding:
        return None
    return Compression(
        CompressionKind.EXCEPTION,
        edge,
        int(at.size),
        f"exception reporting with a deadband of about {edge:.2g}, repeated at regular times: {at.size} true samples "
        f"in {v.size} rows",
    )


def _edge(changes: Array) -> float | None:
    """Return the smallest change if changes have an edge and not a tail towards zero."""
    if changes.size < _FEWEST_CHANGES:
        return None
    low, middle = np.quantile(changes, [0.05, 0.5])
    return float(low) if low > _EDGE * middle else None


def _converter_step(v: Array) -> float:
    """Return the step of the converter, if all values lie on steps; else 0.0."""
    changes = np.abs(np.diff(v))
    changes = changes[changes > 1e-12 * float(np.abs(v).max())]
    if changes.size < _FEWEST_CHANGES:
        return 0.0
    least = float(np.quantile(changes, 0.01))
    return least if _on_steps(v, least) else 0.0


def _on_steps(v: Array, step: float) -> bool:
    """Whether values lie on the steps of a converter of about this size, which raw samples do as well."""
    changes = np.abs(np.diff(v))
    near = changes[(changes > 0.5 * step) & (changes < 1.5 * step)]
    if not near.size:
        return False
    size = float(np.median(near))
    numbers = np.round((v - v[0]) / size)
    if np.ptp(numbers) > 0.0:  # the size from all of them together, since each is rounded in print
        size = float(np.polyfit(numbers, v, 1)[0])
    away = (v - np.mean(v - numbers * size)) / size
    return bool(np.mean(np.abs(away - np.round(away)) < 0.1) > 0.9)


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


# Irregular times -----------------------------------------------------------------------------------------------------


def _exception(t: Array, v: Array) -> Compression | None:
    edge = _exception_edge(t, v)
    words = ""
    # Some historians archive the value just before the change, too, one scan before it.
    steps = np.diff(t)
    scan = float(np.quantile(steps, 0.02))
    before = np.zeros(t.size, dtype=bool)
    before[1:-1] = (steps[1:] < 1.5 * scan) & (steps[:-1] > 1.5 * scan)
    if np.mean(before) > _BEFORE:
        wider = _exception_edge(t[~before], v[~before])
        if wider is not None and (edge is None or wider > 1.5 * edge):
            edge, words = wider, ", each with the value before the change"
    if edge is None:
        return None
    return Compression(
        CompressionKind.EXCEPTION, edge, int(t.size), f"exception reporting with a deadband of about {edge:.2g}{words}"
    )


def _exception_edge(t: Array, v: Array) -> float | None:
    """Return the edge of the changes, if it is the value that has called for the samples and not the clock."""
    steps, changes = np.diff(t), np.abs(np.diff(v))
    free = ~_at_longest(steps)
    edge = _edge(changes[free])
    if edge is None:
        return None
    called = free & (changes > 0.0)
    # On a steady ramp read at odd times changes have an edge as well, but they vary as the steps of time do.
    return edge if np.std(np.log(changes[called])) < _CALLED * np.std(np.log(steps[called])) else None


def _at_longest(steps: Array) -> NDArray[np.bool_]:
    """Which steps are the longest one that a historian allows, after which it archives in any case."""
    longest = float(steps.max())
    at = steps > 0.98 * longest
    return at if np.count_nonzero(at) >= 3 and longest > 2.0 * float(np.median(steps)) else np.zeros(steps.size, bool)


def _swinging_door(t: Array, v: Array, rounding: float) -> Compression | None:
    steps = np.diff(t)
    low, scan, high = np.quantile(steps, [0.1, 0.02, 0.9])
    if high < _SPREAD * low or float(np.mean(steps)) < _THINNED * scan or float(np.median(steps)) < 1.5 * scan:
        return None
    if not _whole_scans(steps, float(scan)):
        return None
    forced = _at_longest(steps)
    deviations = _deviations(t, v)[~(forced[1:] | forced[:-1])]
    if deviations.size < _FEWEST_CHANGES or np.mean(deviations <= rounding) > _ON_LINE:
        return None
    deadband = float(np.median(deviations)) / _MEDIAN_OVER_DEVIATION
    words = (
        f"swinging door, or thinned out in another way: steps of {duration_text(float(low))} to "
        f"{duration_text(float(high))}, deviation of the order of {deadband:.2g}"
    )
    return Compression(CompressionKind.SWINGING_DOOR, deadband, int(t.size), words)


def _whole_scans(steps: Array, shortest: float) -> bool:
    """Whether steps are whole scans, by their digits or as far as short ones show it.

    Somebody who reads a gauge now and then has no scan.
    """
    if float(np.median(steps)) < _SCANS * _last_digit(steps):
        return True
    scan = float(np.median(steps[steps <= 1.5 * shortest]))
    n_scans = steps[steps <= 8.5 * scan] / scan
    return n_scans.size < _FEWEST_CHANGES or float(np.mean(np.abs(n_scans - np.round(n_scans)) < 0.2)) > 0.8


def _deviations(t: Array, v: Array) -> Array:
    """Return how far each inner point lies from the line between its neighbors, (n - 2,)."""
    share = (t[1:-1] - t[:-2]) / (t[2:] - t[:-2])
    return np.abs(v[1:-1] - v[:-2] - share * (v[2:] - v[:-2]))
