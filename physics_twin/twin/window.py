"""Which states a twin keeps to go back to, and how far back an entry may lie.

Three kinds are kept: those of the last moments, one by one; the last of each small cell of time over the window; and
the last of each hour or so, for laboratory results. Cells are counted from 1970, so that what is kept follows from the
timeline alone: an entry that comes late leaves the same states behind as one that came in time.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass

import numpy as np

from physics_twin.twin.moments import SECOND
from physics_twin.twin.setup import Window
from physics_twin.twin.state import FilterState
from physics_twin.twin.timeline import Entry

_CELLS = 8
"""Of the window: going back costs at most an eighth of it more than what has to be filtered again."""
_FEWEST = 4
_ENDS = 4
"""States that are kept beside those counted in a layout: of either kind of cell the one before, and the one begun."""


@dataclass(frozen=True)
class Layout:
    """A window in ns, with as many states as the memory allows.

    n: single moments. seconds: how far back entries are taken. cell: width of the small cells. every: width of the
    large ones, n_sparse: how many of them.
    """

    n: int
    seconds: int
    cell: int
    every: int
    n_sparse: int


def layout_of(w: Window, n_numbers: int) -> Layout:
    """The layout for a twin whose states hold so many numbers: large ones are kept at fewer moments."""
    slots = max(_FEWEST, int(w.megabytes * 1e6 / max(8 * n_numbers, 1)) - _ENDS)
    cells = max(1, min(_CELLS, slots // 4))
    return Layout(
        n=max(1, min(w.n, slots // 2)),
        seconds=round(w.seconds * SECOND),
        cell=max(1, round(w.seconds * SECOND / cells)),
        every=max(1, round(w.every * SECOND)),
        n_sparse=max(0, min(w.n_sparse, slots // 4)),
    )


def kept(layout: Layout, states: Sequence[FilterState], newest: int) -> tuple[FilterState, ...]:
    """Those of the states, in order of time, that are to be kept; the last always is.

    newest: ns of the newest entry that has come, which may be ahead of the last state.
    """
    times = [state.time for state in states]
    n, horizon = len(states), newest - layout.seconds
    keep = {k for k in range(max(0, n - layout.n), n) if times[k] >= horizon} | {n - 1}
    # The cell of the base lies wholly before the window: what is still to come late cannot fall behind it.
    keep |= _lasts(times, layout.cell, horizon // layout.cell)
    keep |= _lasts(times, layout.every, newest // layout.every - layout.n_sparse) if layout.n_sparse else set()
    return tuple(states[k] for k in sorted(keep))


def _lasts(times: Sequence[int], width: int, first: int) -> set[int]:
    """The last of each cell from cell `first` on, and the newest one before them, or else the very first."""
    n = len(times)
    ends = [k for k in range(n) if k == n - 1 or times[k + 1] // width > times[k] // width]
    later = [k for k in ends if times[k] // width >= first]
    before = [k for k in ends if times[k] // width < first]
    return {*later, before[-1] if before else 0}


def base_time(layout: Layout, snapshots: Sequence[FilterState], newest: int) -> int:
    """ns: the twin keeps all entries after this moment."""
    first = (newest - layout.seconds) // layout.cell
    before = [s.time for s in snapshots if s.time // layout.cell < first]
    return before[-1] if before else snapshots[0].time


def state_before(snapshots: Sequence[FilterState], time: int) -> int:
    """Position of the newest state strictly before a moment, -1 where there is none."""
    return bisect.bisect_left(snapshots, time, key=lambda state: state.time) - 1


def reaches(layout: Layout, newest: int, time: int, *, journaled: bool) -> bool:
    """Whether an entry at `time` is still taken in when the newest one before it came for `newest`.

    A function of the entries in the order in which they came in, not of calls: whoever goes through a journal again
    decides alike.
    """
    if time >= newest - layout.seconds:
        return True
    return journaled and time // layout.every >= newest // layout.every - layout.n_sparse


def after(entries: Sequence[Entry], time: int) -> int:
    """Position of the first entry later than a moment; entries are in order."""
    return bisect.bisect_right(entries, time, key=lambda entry: entry.time)


def size_of(value: object, seen: set[int] | None = None) -> int:
    """Bytes of the arrays that a value holds, each counted once."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(size_of(item, seen) for item in value.values())
    if isinstance(value, tuple | list):
        return sum(size_of(item, seen) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return sum(size_of(getattr(value, f.name), seen) for f in fields(value))
    return 0
