"""The samples of one channel, and how far each can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError, ShapeError
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.flags import Flag, FlagArray

__all__ = ["RARE", "Series", "count_flags"]


@dataclass(frozen=True, eq=False)
class Series:
    """The samples of one channel.

    channel: what they show. times: (n,) s since time zero, NaN where the clock was unreadable. values: (n,) SI, NaN
    where nothing was measured. flags: (n,) QARTOD codes. left_out: (n,) 0 for samples that take part in the misfit,
    else k with the reason `reasons[k - 1]` (int16 from 128 reasons on). notes: what the checks found, in words. All
    arrays are read-only.

    What few series have is None elsewhere. censored: (n,) -1 where the true value is below `values` ("<0.05"), 1 where
    it is above (a saturated sensor), 0 else. noise_scale: (n,) the noise of each sample as a multiple of the channel's
    (an average has less, a laboratory value its own). reported: (n,) s since time zero when each result was known.
    begins, ends: (n,) s, each sample is the mean of the output over this window; one moment where both are the same.
    time_sd: (n,) s, one standard deviation of the time itself.

    Raises ShapeError for lengths that differ, DataError for windows that end before they begin.
    """

    channel: Channel
    times: Array
    values: Array
    flags: FlagArray
    left_out: NDArray[np.int8]
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    censored: NDArray[np.int8] | None = None
    noise_scale: Array | None = None
    reported: Array | None = None
    begins: Array | None = None
    ends: Array | None = None
    time_sd: Array | None = None

    def __post_init__(self) -> None:
        """Check the shapes and make the arrays read-only copies."""
        for key, kind in _ARRAYS.items():
            if getattr(self, key) is None:
                continue
            # Few records have more than 127 reasons; those that have fewer keep the bytes, and the hash, of one each.
            wide = key == "left_out" and len(self.reasons) > np.iinfo(np.int8).max
            array = np.array(getattr(self, key), dtype=np.int16 if wide else kind)
            if array.shape != (n := np.size(self.times),):
                raise ShapeError(f"{self.channel.output}: {key} has the shape {array.shape}, and there are {n} times")
            array.setflags(write=False)
            object.__setattr__(self, key, array)
        self._check_windows()

    def _check_windows(self) -> None:
        name = self.channel.output
        if (self.begins is None) != (self.ends is None):
            raise DataError(f"{name}: windows have a beginning and an end; give begins and ends, or neither")
        if self.begins is not None and self.ends is not None and (wrong := self.ends < self.begins).any():
            k = int(np.argmax(wrong))
            raise DataError(f"{name}: a window ends at {self.ends[k]:g} s, before it begins at {self.begins[k]:g} s")
        if self.time_sd is not None and not (self.time_sd >= 0.0).all():
            worst = self.time_sd[int(np.argmin(self.time_sd))]
            raise DataError(
                f"{name}: the time of a sample is uncertain by {worst:g} s; a standard deviation is above 0"
            )

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which samples are a measured number, (n,): not censored, not bad, not left out."""
        known = self.informative
        return known if self.censored is None else known & (self.censored == 0)

    @property
    def informative(self) -> NDArray[np.bool_]:
        """Which samples a fit learns from, (n,): those in use, and those that say below or above what the truth is."""
        trusted = (self.flags <= Flag.SUSPECT) & np.isfinite(self.values) & np.isfinite(self.times)
        return np.asarray(trusted & (self.left_out == 0))

    @property
    def noise(self) -> Array:
        """One standard deviation of each sample, (n,) SI; the starting value where the channel's is estimated."""
        scale = np.ones(self.times.size) if self.noise_scale is None else self.noise_scale
        return self.channel.noise * scale

    @property
    def n_censored(self) -> int:
        """How many samples say only that the truth is below or above them."""
        return 0 if self.censored is None else int((self.censored != 0).sum())

    @property
    def counts(self) -> Mapping[Flag, int]:
        """How many samples carry each flag."""
        return count_flags(self.flags)

    def keep(self, mask: NDArray[np.bool_]) -> "Series":
        """Return the series with only the samples of `mask`, (n,)."""
        arrays: dict[str, Any] = {key: getattr(self, key) for key in _ARRAYS}
        kept: dict[str, Any] = {key: None if array is None else array[mask] for key, array in arrays.items()}
        return replace(self, **kept)

    def leave_out(self, hit: NDArray[np.bool_], reason: str) -> "Series":
        """Return the series with the samples of `hit`, (n,), left out of the misfit; each keeps its first reason."""
        new = hit & (self.left_out == 0)
        if not new.any():
            return self
        reasons = (*self.reasons, reason)
        return replace(self, left_out=np.where(new, np.int16(len(reasons)), self.left_out), reasons=reasons)

    def __eq__(self, other: object) -> bool:
        """Whether all is the same, NaN in the same places included."""
        if not isinstance(other, Series):
            return NotImplemented
        same_arrays = all(_same(getattr(self, key), getattr(other, key)) for key in _ARRAYS)
        return same_arrays and (self.channel, self.reasons, self.notes) == (other.channel, other.reasons, other.notes)

    __hash__ = None  # type: ignore[assignment]


_ARRAYS: Mapping[str, Any] = {
    "times": np.float64,
    "values": np.float64,
    "flags": np.int8,
    "left_out": np.int8,
    "censored": np.int8,
    "noise_scale": np.float64,
    "reported": np.float64,
    "begins": np.float64,
    "ends": np.float64,
    "time_sd": np.float64,
}
RARE = ("censored", "noise_scale", "reported", "begins", "ends", "time_sd")
"""Fields that few series have."""


def _same(mine: Any, theirs: Any) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")


def count_flags(flags: FlagArray) -> Mapping[Flag, int]:
    """Return how many samples carry each flag; flags (n,)."""
    return {flag: int((flags == flag).sum()) for flag in Flag}
