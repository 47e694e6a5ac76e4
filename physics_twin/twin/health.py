"""`twin.health`: whether a twin can be relied on right now, and if not, why, for whoever has been woken by it.

The status is the worst of what is found. FAILED: the model cannot be carried on, or no member is left. PREDICTION ONLY:
nothing is learned, and the twin predicts on. STALE: it learns, and its last samples are older than its guard allows.
DEGRADED: it follows the plant, and something is wrong with a sensor, the filter or a parameter. OK: none of it.
"""

import enum
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from physics_twin.measurements.quality import duration_text
from physics_twin.posterior.tables import aligned
from physics_twin.twin import consistency
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.fold import carried
from physics_twin.twin.hindsight import Ahead, hindsight
from physics_twin.twin.live_inputs import InputHealth, inputs_of
from physics_twin.twin.moments import SECOND, stamp
from physics_twin.twin.nulls import without_nan
from physics_twin.twin.promotion import hash_in_force
from physics_twin.twin.start import known_beginning
from physics_twin.twin.state import ChannelMonitor, Mode
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin

ENOUGH_HELD = 5
"""Updates in a row that moved no parameter."""
FEW_USED = 0.5
"""Share of a channel's readings below which it is said that most are turned away."""
SHOWN_LEADS = (1, 4, 16, 32)
FAR_OFF, ENOUGH = 2.5, 4
"""Misses of earlier predictions over what was claimed that count as wrong, and how many predictions it takes: those of
one window share errors, and a few alone are beyond twice the claim in one of fifty cases."""


class Status(enum.Enum):
    """How far a twin can be relied on; `Health.reasons` says why it is not OK."""

    OK = "OK"
    DEGRADED = "DEGRADED"
    STALE = "STALE"
    PREDICTION_ONLY = "PREDICTION ONLY"
    FAILED = "FAILED"

    @property
    def rank(self) -> int:
        """0 for OK, higher for worse."""
        return list(Status).index(self)


@dataclass(frozen=True)
class ChannelHealth:
    """One sensor. last, last_good: ns UTC of the last sample, and of the last one that was used; None for never.

    age: s since the last sample that was used, NaN for never. share_used: of its last thousand samples or so. rms: of
    one-step residuals in the window, expected: what the filter claims for them, noise: of the sensor; SI differences,
    NaN where nothing is known. words: what is wrong with it, "" where nothing is.
    """

    name: str
    unit: str
    last: int | None
    last_good: int | None
    age: float
    share_used: float
    rms: float
    expected: float
    noise: float
    words: str


@dataclass(frozen=True, repr=False)
class Health:
    """A twin at one moment; print it, or `.to_json()` for a monitor.

    time: the present, ns UTC. reasons: why the status is not OK, the worst first. lag: s since the last sample that was
    used. inputs: the live inputs of the running recipe. ahead: how well earlier states predicted later samples.
    consistent, consistency: whether the filter's own uncertainty is right, in words. drifts: alarms, in words. seconds:
    wall clock of the last `assimilate`, NaN where it is not known. n_failed_members: since the start. beginning: what
    the batch of the start began with that is too good to be true, "" for nothing. pending: entries
    that wait. counts: what became of all samples. posterior: hash of the one in force.
    """

    status: Status
    reasons: tuple[str, ...]
    time: int
    asset: str
    mode: str
    batch: str
    adaptive: bool
    lag: float
    channels: tuple[ChannelHealth, ...]
    ahead: tuple[Ahead, ...]
    inputs: tuple[InputHealth, ...]
    consistent: bool
    consistency: str
    drifts: tuple[str, ...]
    seconds: float
    n_members: int
    n_failed_members: int
    pending: int
    counts: Mapping[str, int]
    method: str
    model: str
    model_version: str
    fingerprint: str
    library: str
    posterior: str
    beginning: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.status is Status.OK

    def to_json(self) -> str:
        """Everything as JSON: times as UTC texts, durations in s under names that say so, numbers in the units named
        beside them; what is not known is null.
        """
        content = {
            "status": self.status.value,
            "reasons": list(self.reasons),
            "time": stamp(self.time),
            "asset": self.asset,
            "mode": self.mode,
            "batch": self.batch,
            "adaptive": self.adaptive,
            "lag_s": self.lag,
            "channels": [_channel_record(c) for c in self.channels],
            "inputs": [one.record for one in self.inputs],
            "prediction": [_ahead_record(a, self._unit(a.channel)) for a in self.ahead],
            "beginning": self.beginning,
            "consistent": self.consistent,
            "consistency": self.consistency,
            "drift_alarms": list(self.drifts),
            "assimilate_s": self.seconds,
            "n_members": self.n_members,
            "n_failed_members": self.n_failed_members,
            "n_pending": self.pending,
            "counts": dict(self.counts),
            "versions": {
                "library": self.library,
                "model": self.model,
                "model_version": self.model_version,
                "fingerprint": self.fingerprint,
                "posterior": self.posterior,
                "method": self.method,
            },
        }
        return json.dumps(without_nan(content), ensure_ascii=False, indent=1)

    def _unit(self, channel: str) -> Unit:
        return next(Unit(c.unit) for c in self.channels if c.name == channel)

    def __str__(self) -> str:
        batch = f", batch {self.batch}" if self.batch else ""
        lines = [f"{self.status.value}: {self.asset} at {stamp(self.time)}, {self.mode}{batch}"]
        lines += [f"  ! {reason}" for reason in self.reasons]
        rows = [["channel", "last used", "used", "off by (one step)", "claimed", "noise", ""]]
        for c in self.channels:
            unit = Unit(c.unit)
            age = "never" if c.last_good is None else f"{duration_text(c.age)} ago"
            used = "" if np.isnan(c.share_used) else f"{100.0 * c.share_used:.0f} %"
            numbers = [
                "" if np.isnan(x) else format_si(x, unit, 3, difference=True) for x in (c.rms, c.expected, c.noise)
            ]
            rows.append([c.name, age, used, *numbers, c.words])
        lines += ["", aligned(rows)]
        if self.ahead:
            lines += ["", aligned(self._ahead_rows())]
        if self.beginning:
            lines += ["", f"beginning   {self.beginning}"]
        members = f"{self.n_members}, {self.n_failed_members} failed so far and were replaced"
        if not self.n_members:
            members = "none: a mean and a covariance"
        work = "not known" if np.isnan(self.seconds) else f"{self.seconds:.3g} s"
        lines += [
            "",
            f"filter      {self.consistency}",
            f"drift       {'; '.join(self.drifts) if self.drifts else 'no drift alarm'}"
            + ("" if self.adaptive else " (frozen: parameters are never updated)"),
            f"members     {members}",
            f"work        last assimilate {work}; {self.pending} entries wait; "
            + ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in self.counts.items()),
            f"versions    {self.model} {self.model_version} ({self.fingerprint[:12]}), physics_twin {self.library}, "
            f"posterior {self.posterior[:12]}, {self.method}",
        ]
        return "\n".join(lines)

    __repr__ = __str__

    def _ahead_rows(self) -> list[list[str]]:
        rows = [["predicted", "ahead", "off by", "claimed", "in 95 % band"]]
        for a in self.ahead:
            if a.steps in SHOWN_LEADS:
                unit = self._unit(a.channel)
                numbers = [format_si(x, unit, 3, difference=True) for x in (a.rms, a.expected)]
                rows.append([a.channel, duration_text(a.seconds), *numbers, f"{a.n_inside} of {a.n}"])
        return rows


def health(twin: "Twin") -> Health:
    """See `Twin.health`."""
    setup, state = twin.setup, twin.state
    ahead = hindsight(twin)
    channels = tuple(_channel(twin, name, ahead) for name in setup.facts)
    judged = consistency.verdict(state.consistency, state.monitors, gate=setup.guard.probability)
    drifts = _drifts(twin)
    inputs = inputs_of(twin)
    lag = (twin.until - state.last_update) / SECOND
    status, reasons = _status(twin, channels, inputs, ahead, judged, drifts, lag)
    belief = state.belief
    return Health(
        status=status,
        reasons=reasons,
        time=twin.until,
        asset=setup.model.name,
        mode=state.mode.value,
        batch=state.batch.name,
        adaptive=setup.adaptive,
        lag=lag,
        channels=channels,
        ahead=ahead,
        inputs=inputs,
        consistent=judged.consistent,
        consistency=judged.words,
        drifts=drifts,
        seconds=twin.seconds,
        n_members=len(belief.states) if belief.root is None else 0,
        n_failed_members=state.n_failed_members,
        pending=len(twin.pending),
        counts=dict(asdict(twin.counts)),
        method=setup.method.name,
        model=setup.model.name,
        model_version=setup.model.version,
        fingerprint=setup.model.fingerprint,
        library=importlib.metadata.version("physics-twin"),
        posterior=hash_in_force(twin),
        beginning=known_beginning(setup) if state.batch.origin == setup.beginning.batch.origin else "",
    )


def _drifts(twin: "Twin") -> tuple[str, ...]:
    """Alarms in words. What is asked of a sick twin must not raise: it says what it cannot tell."""
    try:
        return tuple(alarm.words for alarm in twin.drift_alarms())
    except FAILURES as error:
        return (f"whether parameters have drifted cannot be told: {error}",)


def _channel(twin: "Twin", name: str, ahead: tuple[Ahead, ...]) -> ChannelHealth:
    facts, monitor = twin.setup.facts[name], twin.state.monitors.get(name, ChannelMonitor())
    step = next((a for a in ahead if a.channel == name and a.steps == 1), None)
    good = monitor.last_good
    return ChannelHealth(
        name=name,
        unit=facts.unit.text,
        last=monitor.last_time,
        last_good=good,
        age=float("nan") if good is None else (twin.until - good) / SECOND,
        share_used=monitor.share_used if monitor.n_judged else float("nan"),
        rms=float("nan") if step is None else step.rms,
        expected=float("nan") if step is None else step.expected,
        noise=facts.level,
        words=_channel_words(twin, name, monitor),
    )


def _channel_words(twin: "Twin", name: str, monitor: ChannelMonitor) -> str:
    """What is wrong with a sensor, in words."""
    state, guard = twin.state, twin.setup.guard
    found = []
    for mask in state.masks:
        if mask.covers(name, max(state.time, twin.until)):
            until = "it is lifted" if mask.until is None else stamp(mask.until)
            found.append(f"masked by {mask.who} until {until}: {mask.reason}")
    if monitor.unit_jump:
        found.append(f"its readings look like another unit ({monitor.unit_jump})")
    if monitor.stuck:
        since = "" if monitor.held_since is None else f" since {stamp(monitor.held_since)}"
        found.append(f"stuck{since}")
    if monitor.rejected:
        n = len(monitor.rejected)
        found.append(f"the last {f'{n} readings do' if n > 1 else 'reading does'} not fit the model")
    if monitor.last_time is None and state.n_updates:
        found.append("no sample yet")
    elif monitor.last_time is not None and twin.until - monitor.last_time > guard.gap * SECOND:
        found.append(f"silent for {duration_text((twin.until - monitor.last_time) / SECOND)}")
    return "; ".join(found)


def _status(
    twin: "Twin",
    channels: tuple[ChannelHealth, ...],
    inputs: tuple[InputHealth, ...],
    ahead: tuple[Ahead, ...],
    judged: consistency.ConsistencyVerdict,
    drifts: tuple[str, ...],
    lag: float,
) -> tuple[Status, tuple[str, ...]]:
    setup, state, guard = twin.setup, twin.state, twin.setup.guard
    found: list[tuple[Status, str]] = []
    if not np.isfinite(state.belief.states).all():
        found.append((Status.FAILED, "the state holds numbers that are not finite"))
    if twin.reason:
        found.append((Status.PREDICTION_ONLY if _can_predict(twin) else Status.FAILED, twin.reason))
    if state.mode is not Mode.RUNNING:
        found.append((Status.PREDICTION_ONLY, f"the plant is in the mode {state.mode.value}: nothing is learned"))
    elif not state.n_updates:
        found.append((Status.PREDICTION_ONLY, "no sample has been used yet"))
    elif channels and all((c.words and np.isnan(c.age)) or c.age > guard.gap for c in channels):
        found.append((Status.STALE, f"no sample has been used for {duration_text(lag)}"))
    found += [(Status.DEGRADED, f"{c.name}: {c.words}") for c in channels if c.words]
    found += [(Status.DEGRADED, f"{one.name}: {one.words}") for one in inputs if one.words]
    found += [
        (Status.DEGRADED, f"{c.name}: {100.0 * (1.0 - c.share_used):.0f} % of its readings were not used")
        for c in channels
        if c.share_used < FEW_USED and not c.words
    ]
    for c in channels:
        far = [a for a in ahead if a.channel == c.name and a.n >= ENOUGH and a.rms > FAR_OFF * a.expected]
        if far and not c.words:
            a, unit = far[-1], Unit(c.unit)
            off, claimed = (format_si(x, unit, 3, difference=True) for x in (a.rms, a.expected))
            words = f"{c.name}: predictions {duration_text(a.seconds)} ahead were off by {off}, and claimed {claimed}"
            found.append((Status.DEGRADED, words))
    if setup.adaptive and state.n_held >= ENOUGH_HELD:
        words = f"the last {state.n_held} updates came after a gap of a channel each and moved no parameter"
        found.append((Status.DEGRADED, f"{words}: readings are too irregular to learn from, or Guard.gap is too short"))
    if not judged.consistent:
        found.append((Status.DEGRADED, f"the filter's own uncertainty is not right: {judged.words}"))
    found += [(Status.DEGRADED, words) for words in drifts]
    found.sort(key=lambda pair: -pair[0].rank)
    worst = found[0][0] if found else Status.OK
    return worst, tuple(dict.fromkeys(words for _, words in found))


def _can_predict(twin: "Twin") -> bool:
    """Whether the model can be carried to the present; of a plant out of service nobody asks."""
    if twin.state.mode is Mode.OUT_OF_SERVICE or not twin.state.n_updates:
        return True
    try:
        carried(twin.setup, twin.state, max(twin.until, twin.state.reached))
    except FAILURES:
        return False
    return True


def _channel_record(c: ChannelHealth) -> dict[str, Any]:
    unit = Unit(c.unit)
    shown = unit.difference().text
    return {
        "name": c.name,
        "last_sample": None if c.last is None else stamp(c.last),
        "last_good_sample": None if c.last_good is None else stamp(c.last_good),
        "age_s": c.age,
        "share_used": c.share_used,
        "residual_rms": float(unit.from_si(c.rms, True)),
        "residual_claimed": float(unit.from_si(c.expected, True)),
        "noise": float(unit.from_si(c.noise, True)),
        "units": shown,
        "words": c.words,
    }


def _ahead_record(a: Ahead, unit: Unit) -> dict[str, Any]:
    return {
        "channel": a.channel,
        "ahead_s": a.seconds,
        "n": a.n,
        "rms": float(unit.from_si(a.rms, True)),
        "claimed": float(unit.from_si(a.expected, True)),
        "share_in_95": a.n_inside / a.n,
        "units": unit.difference().text,
    }


__all__ = ["ChannelHealth", "Health", "InputHealth", "Status", "health"]
