"""The verdict on a reading: quality, stuck, unit, gate, in this order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from physics_twin.measurements.flags import Flag
from physics_twin.measurements.quality import duration_text
from physics_twin.twin.sensors import gate, quality, stuck, unit_jump
from physics_twin.twin.sensors.excess import summed
from physics_twin.twin.sensors.reading import Reading, Verdict
from physics_twin.twin.state import ChannelMonitor, Excess
from physics_twin.units import format_si

if TYPE_CHECKING:
    from physics_twin.twin.setup import Guard

# Over how many readings a channel's mean square is taken.
_MEMORY = 200
_COUNTED = 1000
_INTERVALS = 5
"""So many tell how often a channel is usually read."""
# A gate that is always open lets residuals of any size pass; their squares stay numbers.
_LARGEST = 1e6


def judge(
    monitor: ChannelMonitor, guard: "Guard", reading: Reading, *, run: int | None = None
) -> tuple[ChannelMonitor, Verdict]:
    """What becomes of one reading, and what its channel remembers of it.

    run: how many readings in a row must have been turned away, and agree with each other, to open the gate again;
    `guard.reset_after` by default. Never raises, whatever the numbers are.
    """
    monitor, verdict = _examine(monitor, guard, reading)
    if verdict is None:
        monitor, verdict = _turn_away(monitor, guard, reading, guard.reset_after if run is None else run)
    return _counted(monitor, verdict), verdict


def judge_moment(
    monitors: Mapping[str, ChannelMonitor], guard: "Guard", readings: Sequence[tuple[str, Reading]]
) -> tuple[dict[str, ChannelMonitor], list[Verdict]]:
    """What becomes of all readings of one moment, (channel, reading) each, in their order.

    As `judge`, and the channels know of each other. All of two or more turned away at once: the plant has changed, and
    half of `guard.reset_after` readings open the gate again. One turned away while two or more agree with the model:
    the sensor, and it takes `gate.LONE` times as many.
    """
    after = dict(monitors)
    verdicts: list[Verdict | None] = []
    for channel, reading in readings:
        after[channel], verdict = _examine(after.get(channel, ChannelMonitor()), guard, reading)
        verdicts.append(verdict)
    off = {channel for (channel, _), verdict in zip(readings, verdicts, strict=True) if verdict is None}
    fine = {channel for (channel, _), verdict in zip(readings, verdicts, strict=True) if verdict and verdict.use} - off
    run = guard.reset_after
    if len(off) >= 2 and not fine:
        run = min(run, max(2, -(-run // 2)))
    elif len(off) == 1 and len(fine) >= 2:
        run *= gate.LONE
    found: list[Verdict] = []
    for (channel, reading), verdict in zip(readings, verdicts, strict=True):
        if verdict is None:
            after[channel], verdict = _turn_away(after[channel], guard, reading, run)
        after[channel] = _counted(after[channel], verdict)
        found.append(verdict)
    return after, found


def _examine(monitor: ChannelMonitor, guard: "Guard", reading: Reading) -> tuple[ChannelMonitor, Verdict | None]:
    """The verdict, or None for a reading that the gate turns away: what that means depends on the others."""
    why = quality.unreadable(reading)
    if why:
        return monitor, Verdict(reading.flag if reading.flag >= Flag.BAD else Flag.BAD, False, words=why)
    if not quality.comparable(reading):
        return monitor, Verdict(Flag.NOT_EVALUATED, False, words="left out: the model says nothing to compare it with")
    residual = reading.value - reading.predicted
    wrong = quality.out_of_the_question(reading)
    if not wrong:
        monitor = stuck.follow(monitor, guard, reading)
        if monitor.stuck:
            return monitor, Verdict(Flag.BAD, False, words=_stuck_words(monitor, reading), surprise=_surprise(reading))
    factor, words = _trust(monitor, guard, reading)
    variance = reading.predicted_variance + reading.variance * factor
    if monitor.unit_jump:
        monitor = unit_jump.watch(monitor, guard, reading, variance)
        if monitor.unit_jump:
            return monitor, _unit_verdict(monitor, reading)
    if wrong:
        monitor = unit_jump.consider(monitor, guard, reading, variance)
        return monitor, _unit_verdict(monitor, reading) if monitor.unit_jump else Verdict(Flag.BAD, False, words=wrong)
    if gate.outside(residual, variance, guard.probability):
        return monitor, None
    flag = Flag.SUSPECT if words else reading.flag
    surprise = residual / math.sqrt(variance)
    return _used(monitor, reading, residual, variance), Verdict(flag, True, factor, words=words, surprise=surprise)


def _counted(monitor: ChannelMonitor, verdict: Verdict) -> ChannelMonitor:
    """The monitor that knows whether one more reading was used; where nothing was expected that says nothing."""
    if verdict.flag is Flag.NOT_EVALUATED:
        return monitor
    n, share = min(monitor.n_judged + 1, _COUNTED), monitor.share_used
    return replace(monitor, n_judged=n, share_used=share + (verdict.use - share) / n)


def _trust(monitor: ChannelMonitor, guard: "Guard", reading: Reading) -> tuple[float, str]:
    """By what the variance of the noise is multiplied, and why; 1 and "" for a reading without a blemish."""
    if reading.flag is Flag.SUSPECT:
        return max(guard.suspect_factor, 1.0), "suspect, as its source says"
    if stuck.flat(monitor, reading):
        words = f"the same number {monitor.n_same} times in a row, which this sensor hardly ever shows twice: suspect"
        return max(guard.suspect_factor, 1.0), words
    return 1.0, ""


def _used(monitor: ChannelMonitor, reading: Reading, residual: float, variance: float) -> ChannelMonitor:
    """The monitor after a reading that agrees with the model."""
    z = max(min(residual / math.sqrt(variance), _LARGEST), -_LARGEST)
    n = monitor.n_good + 1
    high, low = summed(monitor, reading.time, residual, variance)
    return replace(
        monitor,
        last_good=reading.time,
        intervals=_intervals(monitor, reading),
        rejected=(),
        unit_candidate="",
        n_candidate=0,
        n_good=n,
        innovation=z,
        innovation_before=monitor.innovation,
        power=monitor.power + (z * z - monitor.power) / min(n + 1, _MEMORY),
        high=high,
        low=low,
    )


def _intervals(monitor: ChannelMonitor, reading: Reading) -> tuple[int, ...]:
    """The last intervals between readings that were used, up to this one."""
    if monitor.last_good is None:
        return ()
    return (*monitor.intervals[-_INTERVALS:], reading.time - monitor.last_good)


def _turn_away(monitor: ChannelMonitor, guard: "Guard", reading: Reading, run: int) -> tuple[ChannelMonitor, Verdict]:
    """A reading outside the gate: turned away, another unit, or the one that opens the gate again."""
    residual = reading.value - reading.predicted
    factor, _ = _trust(monitor, guard, reading)
    variance = reading.predicted_variance + reading.variance * factor
    surprise = residual / math.sqrt(variance)
    monitor = gate.remember(monitor, reading, guard.reset_after)
    monitor = unit_jump.consider(monitor, guard, reading, variance)
    if monitor.unit_jump:
        return monitor, _unit_verdict(monitor, reading)
    n = len(monitor.rejected)
    off = f"{_text(abs(residual), reading)} {'above' if residual > 0.0 else 'below'} what the model expects"
    if not unit_jump.undecided(monitor) and gate.insist(monitor, reading, run, guard.reset_after, guard.stuck_after):
        # What came before was another plant: sums and squares of residuals begin anew.
        fresh = replace(
            monitor,
            rejected=(),
            last_good=reading.time,
            intervals=_intervals(monitor, reading),
            n_good=monitor.n_good + 1,
            innovation=math.nan,
            innovation_before=math.nan,
            high=Excess(),
            low=Excess(),
        )
        alone = ", and only here: look at the sensor" if run > guard.reset_after else ""
        words = f"{n} in a row agree with each other, {off}{alone}: the plant has changed, the gate is open again"
        widen = gate.widening(residual, reading)
        return fresh, Verdict(reading.flag, True, factor, reopen=True, widen=widen, words=words, surprise=surprise)
    chance = f"{abs(surprise):.3g} standard deviations" + (f", {n} in a row" if n > 1 else "")
    return monitor, Verdict(Flag.BAD, False, words=f"turned away: {off} ({chance})", surprise=surprise)


def _unit_verdict(monitor: ChannelMonitor, reading: Reading) -> Verdict:
    words = f"looks like {monitor.unit_jump}: left out until it is in {reading.unit} again"
    return Verdict(Flag.BAD, False, words=words, surprise=_surprise(reading))


def _stuck_words(monitor: ChannelMonitor, reading: Reading) -> str:
    since = reading.time if monitor.held_since is None else monitor.held_since
    held = duration_text((reading.time - since) * 1e-9)
    moved = max(monitor.held_high - monitor.held_low, abs(monitor.held_moved))
    return (
        f"stuck at {format_si(monitor.held_value, reading.unit)} for {held} although the model has moved by "
        f"{_text(moved, reading)}: left out until it moves again"
    )


def _surprise(reading: Reading) -> float:
    return (reading.value - reading.predicted) / math.sqrt(reading.predicted_variance + reading.variance)


def _text(size: float, reading: Reading) -> str:
    return format_si(size, reading.unit, 3, difference=True)
