"""A log drained while it is read: rows in long form as they come, so memory does not grow with it."""

import numpy as np
import polars as pl

from physics_twin.measurements.flags import worst
from physics_twin.measurements.logs.gathering import Gathering
from physics_twin.measurements.logs.moments import TagTimes, Times
from physics_twin.measurements.logs.pieces import Pieces, joined, kind_slices, one_array, utc_times
from physics_twin.measurements.logs.stamps import NO_TIME

__all__ = ["KIND", "Draining"]

KIND = "kind of quality"
_TAIL, _HOURS = 20_000, 4 * 3_600_000_000  # local times that are remembered of each tag: rows, and us


class Draining:
    """Takes from a log what was gathered; local times are turned to UTC by the latest ones of their tag."""

    def __init__(self, state: Gathering) -> None:
        self._state = state
        self._before: dict[str, Times] = {}  # latest local times of each tag

    def frame(self) -> pl.DataFrame | None:
        """Return what was taken so far as rows of a log in long form, and let go of it.

        Column `KIND`: of the quality cell, -1 where there is none; what it means is known at the end.
        """
        frames: list[pl.DataFrame] = []
        shared = self._times("", self._state.shared) if self._state.shared is not None else None
        for tag, pieces in self._state.tags.items():
            if not pieces.values:
                continue
            times = shared or self._times(tag, pieces)
            values, flags = joined(pieces.values, np.float64), joined(pieces.flags, np.int8)
            censored = np.zeros(values.size, dtype=np.int8)
            for at, side in pieces.censored:
                censored[at] = side
            said = np.full(values.size, -1, dtype=np.int64)
            for at, codes, quality in pieces.texts:
                said[at] = codes
                flags[at] = quality
            if times.flags is not None:
                flags = worst(flags, times.flags)
            kinds = np.full(values.size, -1, dtype=np.int8)
            for rows, kind in kind_slices(pieces.quality):
                kinds[rows] = kind
            texts = pl.Series([None], dtype=pl.String).new_from_index(0, values.size)
            if pieces.texts:
                which = pl.Series(said).set(pl.Series(said < 0), None)
                texts = pl.Series(self._state.text_list, dtype=pl.String).gather(which)
            if self._state.seconds is None:
                micro = pl.Series(times.times).set(pl.Series(times.times == NO_TIME), None)
                column = micro.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
            else:
                column = pl.Series(times.times)
            pieces.censored, pieces.texts, pieces.quality, pieces.n = [], [], [], 0
            columns = {"time": column, "value": values, "flag": flags, "censored": censored, "text": texts}
            frame = pl.DataFrame({**columns, KIND: kinds})
            frames.append(frame.select(pl.lit(tag).alias("tag"), pl.all(), pl.lit(pieces.unit).alias("unit")))
        return pl.concat(frames) if frames else None

    def _times(self, tag: str, pieces: Pieces) -> TagTimes:
        before, layout, seconds = self._before, self._state.layout, self._state.seconds
        local: Times = one_array(pieces.times) if pieces.times else np.empty(0, dtype=np.int64)
        known = all(k is True for k in pieces.known)
        if seconds is not None or known or layout.zone is None:
            pieces.known = []
            return utc_times(pieces, layout, seconds)
        earlier = before.get(tag)
        n_before = 0
        if earlier is not None and all(k is False for k in pieces.known):
            pieces.times.insert(0, earlier)
            pieces.known.insert(0, False)
            n_before = earlier.size
        elif earlier is not None:  # some stamps with an offset, some without
            del before[tag]
        times = utc_times(pieces, layout, seconds)
        pieces.known = []
        tail = local[-_TAIL:]
        recent = np.flatnonzero(np.abs(tail - tail[-1]) <= _HOURS) if tail.size else np.empty(0, dtype=np.intp)
        before[tag] = tail[recent]
        return TagTimes(times.times[n_before:], None if times.flags is None else times.flags[n_before:], times.notes)
