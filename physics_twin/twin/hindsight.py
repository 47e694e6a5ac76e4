"""How well a twin would have predicted the samples of its window: one step ahead, two, four, eight and so on.

Earlier states of the twin are carried on with what the inputs were, and without any sample of an output. Nothing has to
be kept for it besides the states and entries that late samples need anyway, so that it is the same after a restart.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import UnitError
from physics_twin.measurements.flags import Flag
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.fold import carried, through
from physics_twin.twin.moments import SECOND
from physics_twin.twin.sensors.quality import out_of_the_question, unreadable
from physics_twin.twin.state import FilterState, Mode
from physics_twin.twin.timeline import Entry, Sample

if TYPE_CHECKING:
    from physics_twin.twin.setup import Setup
    from physics_twin.twin.twin import Twin

STARTS = 12
"""Earlier states that predict."""
LEADS = (1, 2, 4, 8, 16, 32)
"""Moments with samples by which they look ahead."""
type Place = tuple[str, int]
"""A channel and a moment, ns UTC."""
WITHIN = 1.959963984540054


@dataclass(frozen=True)
class Ahead:
    """Predictions of one channel so many moments ahead.

    steps: moments with samples. seconds: how long that was, on average. n: samples. rms: of measured less predicted;
    expected: what the twin itself claims for it, sensor noise included; SI differences. n_inside: in the 95 % band.
    """

    channel: str
    steps: int
    seconds: float
    n: int
    rms: float
    expected: float
    n_inside: int


@dataclass(frozen=True)
class _Miss:
    channel: str
    steps: int
    seconds: float
    residual: float
    variance: float


def hindsight(twin: "Twin") -> tuple[Ahead, ...]:
    """Predictions from earlier states of the window, by channel and how far ahead; none where it is empty."""
    base = min((entry.time for entry in twin.recent), default=None)
    if base is None:
        return ()
    starts = [state for state in twin.snapshots if state.time >= base - 1 and state.mode is Mode.RUNNING]
    chosen = [starts[int(k)] for k in np.unique(np.linspace(0, len(starts) - 1, STARTS).round())] if starts else []
    used = _used(twin)
    misses = [m for state in chosen for m in _from(twin.setup, state, twin.recent, twin.state.time, used)]
    found: list[Ahead] = []
    for channel in twin.setup.facts:
        monitor = twin.state.monitors.get(channel)
        if monitor is not None and (monitor.stuck or monitor.unit_jump):
            continue  # what it shows says nothing about predictions
        for steps in LEADS:
            own = [m for m in misses if m.channel == channel and m.steps == steps]
            if own:
                residual, variance = (np.array([getattr(m, name) for m in own]) for name in ("residual", "variance"))
                found.append(
                    Ahead(
                        channel=channel,
                        steps=steps,
                        seconds=float(np.mean([m.seconds for m in own])),
                        n=len(own),
                        rms=float(np.sqrt(np.mean(residual**2))),
                        expected=float(np.sqrt(np.mean(variance))),
                        n_inside=int(np.count_nonzero(np.abs(residual) <= WITHIN * np.sqrt(variance))),
                    )
                )
    return tuple(found)


def _used(twin: "Twin") -> Set[Place]:
    """Channel and moment of the readings that are known to have been used: what was turned away judges no prediction.

    States that are kept count the readings that were used. Where the count between two of them says that one was not,
    and not which, none of that channel in between judges.
    """
    found: set[Place] = set()
    for before, after in pairwise(twin.snapshots):
        between = [
            e for e in twin.recent if before.time < e.time <= after.time and isinstance(e, Sample) and _readable(e)
        ]
        for channel in {e.channel for e in between} & set(twin.setup.facts):
            own = [e.time for e in between if e.channel == channel]
            n = _n_good(after, channel) - _n_good(before, channel)
            if n == len(own):
                found |= {(channel, time) for time in own}
    return found


def _readable(sample: Sample) -> bool:
    return sample.quality < Flag.BAD


def _n_good(state: FilterState, channel: str) -> int:
    return state.monitors[channel].n_good if channel in state.monitors else 0


def _from(setup: "Setup", state: FilterState, entries: Sequence[Entry], until: int, used: Set[Place]) -> list[_Miss]:
    """Misses of predictions from one state; they end where the model cannot be carried on or a batch changes."""
    origin = state
    later = [entry for entry in entries if state.time < entry.time <= until]
    moments = sorted({e.time for e in later if isinstance(e, Sample) and e.channel in setup.facts})
    misses: list[_Miss] = []
    at = 0
    for steps, moment in enumerate(moments[: LEADS[-1]], start=1):
        while at < len(later) and later[at].time < moment:
            time = later[at].time
            group = [e for e in later if e.time == time]
            at += len(group)
            blind = [e for e in group if not (isinstance(e, Sample) and e.channel in setup.facts)]
            if blind:
                state = through(setup, state, time, blind).state
        if state.mode is not Mode.RUNNING or state.batch is not origin.batch:
            return misses
        if steps not in LEADS:
            continue
        try:
            predicted, _ = carried(setup, state, moment)
        except FAILURES:
            return misses
        state = replace(state, time=moment - 1, belief=predicted.belief, reached=moment)
        for entry in later:
            if entry.time == moment and isinstance(entry, Sample) and (entry.channel, moment) in used:
                misses += _miss(setup, state, entry, predicted.outputs, predicted.covariance, steps, origin)
    return misses


def _miss(
    setup: "Setup",
    state: FilterState,
    sample: Sample,
    outputs: Array,
    covariance: Array,
    steps: int,
    origin: FilterState,
) -> list[_Miss]:
    facts = setup.facts[sample.channel]
    if sample.quality >= Flag.BAD or any(m.covers(sample.channel, sample.time) for m in state.masks):
        return []
    expected, spread = float(outputs[facts.row]), float(covariance[facts.row, facts.row])
    try:
        reading = facts.reading(sample, expected, spread, moved=float("nan"), replaced=False)
    except UnitError:
        return []
    if unreadable(reading) or out_of_the_question(reading):
        return []  # it says nothing about predictions
    ahead = (sample.time - origin.time) / SECOND
    return [_Miss(sample.channel, steps, ahead, reading.value - expected, spread + reading.variance)]


__all__ = ["Ahead", "hindsight"]
