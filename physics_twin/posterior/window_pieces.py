"""Where the mean over a window looks: pieces between jumps, graded behind each jump, with Gauss-Legendre nodes in each.

Behind a jump what is fast happens first. So a piece is cut again at a quarter, a sixteenth and a sixty-fourth of the
time since the jump: between a and 4a an exponential that is fast against a has died away, and one that is slow is
nearly a polynomial. With that the mean of a relaxation behind a jump is exact to 1e-6 of its height for time constants
down to a tenth of the window, and to 1e-3 for any. For outputs that do not relax, pieces are cut
again into equal `parts`.
"""

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array

ORDER = 5
"""Nodes of a piece: exact for polynomials up to degree 9..."""
COARSE = 2
"""...and of a short one, up to degree 3."""
SHORT = 1.0 / 32.0
"""Share of its window up to which a piece is short: two nodes leave 1e-7 of an exponential over one time constant."""
GRADES = 3
"""Cuts behind a jump, each at a quarter of the one before."""
FINEST = 4.0**-GRADES
"""Share of its window below which grading stops."""


def pieces(
    low: Array, high: Array, jumps: Array, parts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Array, Array, NDArray[np.intp]]:
    """Windows (n,) s in pieces: the window of each piece, its beginning and end in s, and its number of nodes.

    jumps: (n_jumps,) s, ascending. parts: (n,) into how many parts each piece of a window is cut again. A
    moment (low = high) has one piece of one node, and so has a piece before time zero, where nothing moves.
    """
    whole = high - low
    owner, begin, end = _cut_at_jumps(low, high, jumps)
    owner, begin, end = _graded(owner, begin, end, jumps, whole)
    length = end - begin
    n_nodes = np.where(length <= SHORT * whole[owner], COARSE, ORDER)
    n_nodes = np.where((whole[owner] == 0.0) | (end <= 0.0), 1, n_nodes)
    times = np.where(n_nodes > 1, parts[owner], 1)
    again, k = np.repeat(np.arange(owner.size), times), within(times)
    step = (length / times)[again]
    last = k == times[again] - 1
    first = begin[again] + k * step
    return owner[again], first, np.where(last, end[again], begin[again] + (k + 1) * step), n_nodes[again]


def _cut_at_jumps(low: Array, high: Array, jumps: Array) -> tuple[NDArray[np.intp], Array, Array]:
    first = np.searchsorted(jumps, low, side="right")
    n_cuts = np.where(low == high, 0, np.maximum(np.searchsorted(jumps, high, side="left") - first, 0))
    owner, k = np.repeat(np.arange(low.size), n_cuts + 1), within(n_cuts + 1)
    cuts = np.append(jumps, np.nan)
    at = np.minimum(first[owner] + k, jumps.size)
    begin = np.where(k == 0, low[owner], cuts[at - 1])
    end = np.where(k == n_cuts[owner], high[owner], cuts[at])
    return owner, begin, end


def _graded(
    owner: NDArray[np.intp], begin: Array, end: Array, jumps: Array, whole: Array
) -> tuple[NDArray[np.intp], Array, Array]:
    """Pieces cut again at a quarter, a sixteenth... of the time since the last jump."""
    last = np.searchsorted(jumps, begin, side="right") - 1
    known = last >= 0
    onset = np.where(known, np.append(jumps, 0.0)[last], begin)
    since = (end - onset)[:, None] * 4.0 ** -np.arange(GRADES, 0.0, -1.0)
    edges = onset[:, None] + since
    useful = (known & (end > begin))[:, None] & (since >= FINEST * whole[owner][:, None]) & (edges > begin[:, None])
    count = useful.sum(axis=1) + 1
    again, k = np.repeat(np.arange(owner.size), count), within(count)
    # The useful edges of a piece are its last ones; the end of the piece follows them.
    edges = np.column_stack([edges, end])
    column = GRADES + 1 - count[again] + k
    left = np.where(k == 0, begin[again], edges[again, column - 1])
    return owner[again], left, edges[again, column]


def within(counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """0, 1, ... counts[0] - 1, 0, 1, ...: the number of each member in its group."""
    return np.asarray(np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))


def _rules() -> tuple[Array, Array]:
    points, weights = np.zeros((ORDER + 1, ORDER)), np.zeros((ORDER + 1, ORDER))
    for order in (1, COARSE, ORDER):
        points[order, :order], weights[order, :order] = np.polynomial.legendre.leggauss(order)
    return points, weights


POINTS, WEIGHTS = _rules()
"""(ORDER + 1, ORDER) Gauss-Legendre on [-1, 1]; row n has n nodes."""
