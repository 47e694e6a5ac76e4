"""Samples on a coarser regular grid, whose errors stay independent."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.series import Series
from physics_twin.measurements.windows.local_noise import noise_of
from physics_twin.measurements.windows.windows import ON_EDGE, chosen_outputs, positive_seconds, with_selection
from physics_twin.units import QuantityLike

__all__ = ["resample"]


def resample(experiment: Experiment, period: QuantityLike, *, outputs: str | Sequence[str] | None = None) -> Experiment:
    """Return samples every `period` from time zero on.

    outputs: channels to resample; the others stay as they are.

    A sample that lies on the grid is taken as it is; elsewhere the straight line between the two samples in use around
    the grid time gives the value, if they are no further apart than a period. Each sample serves one grid time only,
    so errors that were independent stay so; a grid time whose neighbors are taken, or too far away, is missing.
    `noise_scale` of a value between two samples follows from their weights and from how the noise remembers. Most
    samples are simply not looked at: `average` keeps more of what is known.

    Raises BoundsError for a period that is not above 0, UnknownNameError for an output that is not there, DataError for
    a period finer than the samples, and where no grid time has a value.
    """
    p = positive_seconds(period, "period")
    chosen = chosen_outputs(experiment, outputs)
    series = {name: _resampled(one, p) if name in chosen else one for name, one in experiment.series.items()}
    if not any(one.used.any() for one in series.values()):
        raise DataError(f'experiment "{experiment.name}" has no sample in use near any multiple of {duration_text(p)}')
    words = f"every {duration_text(p)}" + (f": {', '.join(chosen)}" if outputs is not None else "")
    return with_selection(experiment, series, words)


def _resampled(series: Series, period: float) -> Series:
    name = series.channel.output
    used = np.flatnonzero(series.used)
    used = used[np.argsort(series.times[used], kind="stable")]
    t, v = series.times[used], series.values[used]
    forward = np.diff(t)
    forward = forward[forward > 0.0]
    if forward.size and period < (1.0 - 1e-6) * float(np.median(forward)):
        raise DataError(
            f"{name}: a sample every {duration_text(period)} from samples every "
            f"{duration_text(float(np.median(forward)))} would create information; take a longer period, or name the "
            "channels that are sampled more often (outputs=)"
        )
    if not used.size:
        return series
    first, last = np.ceil(t[0] / period - ON_EDGE), np.floor(t[-1] / period + ON_EDGE)
    grid = np.arange(first, last + 1.0) * period + 0.0  # no -0.0
    left, right, share = _neighbors(t, grid, period)
    has = left >= 0
    i, j = np.maximum(left, 0), np.maximum(right, 0)
    values = np.where(has, v[i] + share * (v[j] - v[i]), np.nan)
    s = np.ones(t.size) if series.noise_scale is None else series.noise_scale[used]
    memory = noise_of(series).memory
    alike = np.exp(-(t[j] - t[i]) / memory) if memory > 0.0 else np.zeros(grid.size)
    alike = np.where(i == j, 1.0, alike)
    a, b = (1.0 - share) * s[i], share * s[j]
    scale = np.sqrt(a * a + b * b + 2.0 * alike * a * b)
    flags = np.where(has, np.maximum(series.flags[used][i], series.flags[used][j]), Flag.MISSING).astype(np.int8)
    notes = [*series.notes, f"every {duration_text(period)}: {int(has.sum())} values from {t.size} samples"]
    if not has.all():
        notes.append(f"{int((~has).sum())} grid times have no samples of their own within a period: missing")
    n_out = int((series.left_out > 0).sum())
    if n_out:
        notes.append(f"{n_out} samples that were left out ({'; '.join(series.reasons)}) are not on the grid")
    reported = None
    if series.reported is not None:
        known = series.reported[used]
        reported = np.where(has, np.fmax(known[i], known[j]), np.nan)
    return Series(
        channel=series.channel,
        times=grid,
        values=values,
        flags=flags,
        left_out=np.zeros(grid.size, dtype=np.int8),
        notes=tuple(notes),
        noise_scale=np.where(has, scale, 1.0),
        reported=reported,
        **_taken(series, used, (i, j, share), grid),
    )


def _taken(
    series: Series, used: NDArray[np.intp], neighbors: tuple[NDArray[np.intp], NDArray[np.intp], Array], grid: Array
) -> dict[str, Any]:
    """Windows and uncertain times of values between two samples: between theirs, as far from the time as these."""
    i, j, share = neighbors
    found: dict[str, Any] = {}
    for key in ("begins", "ends", "time_sd"):
        given = getattr(series, key)
        if given is not None:
            own = given[used] - (0.0 if key == "time_sd" else series.times[used])
            found[key] = own[i] + share * (own[j] - own[i]) + (0.0 if key == "time_sd" else grid)
    return found


def _neighbors(t: Array, grid: Array, period: float) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Samples before and after each grid time and the weight of the latter; -1 where there are none.

    t: (n,) ascending; grid: (n_grid,). On a sample, both are that sample. No sample is named for two grid times.
    """
    after = np.searchsorted(t, grid - ON_EDGE * period, side="left")
    after = np.minimum(after, t.size - 1)
    on = np.abs(t[after] - grid) <= ON_EDGE * period
    before = np.where(on, after, np.maximum(after - 1, 0))
    apart = t[after] - t[before]
    fits = on | ((apart > 0.0) & (apart <= period * (1.0 + ON_EDGE)) & (t[before] < grid) & (grid < t[after]))
    # Who is on a sample has it; between the others, the earlier grid time comes first.
    taken = set(after[on].tolist())
    for k in np.flatnonzero(fits & ~on):
        pair = {int(before[k]), int(after[k])}
        if pair & taken:
            fits[k] = False
        else:
            taken |= pair
    share = np.where(on | (apart <= 0.0), 0.0, (grid - t[before]) / np.where(apart > 0.0, apart, 1.0))
    nowhere = np.full(grid.size, -1, dtype=np.intp)
    return np.where(fits, before, nowhere), np.where(fits, after, nowhere), np.asarray(share)
