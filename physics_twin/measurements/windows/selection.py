"""Parts of an experiment: its phases, and one part to fit and one to test."""

from collections.abc import Sequence

import numpy as np

from physics_twin.errors import BoundsError, DataError, unknown_name
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.quality import duration_text
from physics_twin.measurements.windows.local_noise import noise_of
from physics_twin.measurements.windows.windows import as_seconds, with_selection
from physics_twin.units import QuantityLike

__all__ = ["select", "split"]

FORGOTTEN = 3.0
"""Memories after which the noise has forgotten: a correlation of 5 % is left."""


def select(
    experiment: Experiment,
    phase: str | Sequence[str] | None = None,
    *,
    start: QuantityLike | None = None,
    end: QuantityLike | None = None,
) -> Experiment:
    """Return the samples of one phase or several, from `start` to `end`; time zero and recipe stay as they are.

    phase: names among `experiment.phases`; of a phase that ran more than once, all runs. A phase owns its start, and
    its end too unless another begins there. start, end: times since time zero, both inclusive; bare numbers are s.

    Raises UnknownNameError for a phase that did not run, DataError when nothing is asked for or no sample in use is
    left.
    """
    names = () if phase is None else (phase,) if isinstance(phase, str) else tuple(phase)
    if not names and start is None and end is None:
        raise DataError("select: name a phase, or say start= or end=")
    known = list(dict.fromkeys(window.name for window in experiment.phases))
    for name in names:
        if name not in known:
            raise unknown_name(f'phase of experiment "{experiment.name}"', name, known)
    low = -np.inf if start is None else as_seconds(start, "start")
    high = np.inf if end is None else as_seconds(end, "end")
    if low > high:
        raise DataError(f"select: start = {low:g} s lies after end = {high:g} s")
    begins = {window.start for window in experiment.phases}
    windows = [window for window in experiment.phases if window.name in names]
    series = {}
    for output, one in experiment.series.items():
        t = one.times
        kept = (t >= low) & (t <= high)  # an unreadable time is nowhere
        if windows:
            kept &= np.any(
                [(t >= w.start) & ((t <= w.end) if w.end not in begins else (t < w.end)) for w in windows], axis=0
            )
        series[output] = one.keep(kept)
    words = " and ".join([f'phase "{name}"' for name in names])
    if start is not None or end is not None:
        ends = (
            "" if start is None else f"from {duration_text(low)}",
            "" if end is None else f"to {duration_text(high)}",
        )
        words = ", ".join(part for part in (words, " ".join(e for e in ends if e)) if part)
    if not any(one.informative.any() for one in series.values()):
        raise DataError(f'experiment "{experiment.name}" has no sample in use in {words}')
    return with_selection(experiment, series, words)


def split(
    experiment: Experiment, train: float = 0.7, *, gap: QuantityLike | None = None
) -> tuple[Experiment, Experiment]:
    """Return the first share `train` of the sample times, to fit, and the rest, to test.

    train: above 0 and below 1. gap: time that is left out at the beginning of the test, so that its noise knows nothing
    of the noise before; "0 s" for none. Without it, three times the longest memory of the noise about local
    curves of any channel, and nothing where no noise remembers beyond chance. `provenance.selections` of both parts say
    what was done. Time zero and recipe stay as they are, so that the test continues the run.

    Raises BoundsError for a `train` or `gap` out of range, DataError when a part would have no sample in use.
    """
    if not 0.0 < train < 1.0:
        raise BoundsError(f"train = {train:g} is not between 0 and 1: it is the share of the sample times to fit")
    times = experiment.times
    n = round(train * times.size)
    if not 0 < n < times.size:
        raise DataError(
            f'experiment "{experiment.name}" has {times.size} sample times in use; {train:.0%} of them for the fit '
            "leaves one part empty"
        )
    last = float(times[n - 1])
    if gap is not None:
        pause = as_seconds(gap, "gap")
        if not 0.0 <= pause < float("inf"):
            raise BoundsError(f"gap = {pause:g} s: a time of 0 s or more")
        why = "" if pause == 0.0 else f", {duration_text(pause)} left out between both"
    else:
        memories = {output: noise_of(one).memory for output, one in experiment.series.items()}
        longest = max(memories, key=lambda output: memories[output])
        pause = FORGOTTEN * memories[longest]
        why = ", no gap: the noise remembers nothing beyond chance"
        if pause > 0.0:
            why = (
                f", {duration_text(pause)} left out between both, since the noise of {longest} remembers "
                f"{duration_text(memories[longest])}"
            )
    # A sample right after the cut is the test's first when nothing is left out.
    begin = max(last + pause, float(np.nextafter(last, np.inf)))
    parts = []
    for words, low, high in (
        (f"the first {train:.0%} of the sample times, to {duration_text(last)}, to fit{why}", -np.inf, last),
        (f"what follows the first {train:.0%} of the sample times, to test{why}", begin, np.inf),
    ):
        kept = {o: one.keep((one.times >= low) & (one.times <= high)) for o, one in experiment.series.items()}
        if not any(one.informative.any() for one in kept.values()):
            raise DataError(
                f'experiment "{experiment.name}": nothing is left to test after {duration_text(last)}{why}; give a '
                "shorter gap="
            )
        parts.append(with_selection(experiment, kept, words))
    return parts[0], parts[1]
