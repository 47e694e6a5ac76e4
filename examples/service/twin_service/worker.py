"""A process that owns some assets: it folds what the journal has for them, and no more than it dies with it."""

import importlib
import math
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import physics_twin as pt
from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.model import Model
from physics_twin.twin.innovation import Innovation
from physics_twin.twin.journal import Journal, PackedTwin
from physics_twin.twin.moments import moment, stamp
from physics_twin.twin.timeline import Entry
from twin_service.configuration import AssetConfig
from twin_service.logs import Event
from twin_service.reports import Point, Ready, Said, Stopped, ToSave, Update

SLICE = 400
"""Entries of one call of assimilate while there is much to catch up with: a sign of life between two calls."""
HEALTH_EVERY = 5.0
"""s between two looks at the health of one twin: it predicts from earlier states, which costs many samples' worth."""
HEALTH_SHARE, REPORT_SHARE = 0.1, 0.25
"""Of a worker's time, over all its assets, that looking at them may take: samples come first."""
POINTS = 2_000
"""Points that wait for the next report at most."""
COURSE = 0.25
"""Points of the courses of parameters are so far apart, in reports."""
FAR = 3600.0
"""s beyond the last sample to which the present is still predicted for the page."""
NOBODY = -1


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker is told once. assets: with their places in the whole list, by which the pulse names them."""

    journal: str
    states: Path
    folder: Path
    assets: tuple[tuple[int, AssetConfig], ...]
    save_every: float
    report_every: float
    generations: int
    budget: float


@dataclass(frozen=True)
class Pulse:
    """Shared memory that outlives the worker: when it was last alive, and at which asset."""

    beat: "Synchronized[float]"
    asset: "Synchronized[int]"

    def at(self, place: int) -> None:
        """Alive, and about to work on this asset."""
        self.asset.value = place
        self.beat.value = time.monotonic()


def named(text: str) -> Callable[..., Any]:
    """The function that "module:function" names. Raises what importing raises, AttributeError."""
    module, _, function = text.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def main(spec: WorkerSpec, pipe: Connection, pulse: Pulse) -> None:
    """Work until told to stop, or until nobody listens any more.

    Whatever goes wrong with an asset ends the process: the supervisor counts it, and starts it again.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process says when to stop
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Journal(spec.journal, read_only=True) as journal:
            assets = [Asset(place, config, spec, journal, pipe.send) for place, config in spec.assets]
            _work(assets, pipe, pulse, spec)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the main process was killed: what is not saved is in the journal


def _work(assets: "list[Asset]", pipe: Connection, pulse: Pulse, spec: WorkerSpec) -> None:
    by_name = {asset.config.name: asset for asset in assets}
    for asset in assets:
        pulse.at(asset.place)
        try:
            asset.resume()
        except (PhysicsTwinError, OSError, ImportError, AttributeError) as error:
            pipe.send(Said(Event.TROUBLE, f"{type(error).__name__}: {error}", asset.config.name))
            raise SystemExit(1) from error
    pipe.send(Ready())
    while True:
        pulse.at(NOBODY)
        busy = any(asset.behind for asset in assets)
        while pipe.poll(0.0 if busy else 0.25 * spec.report_every):
            told = pipe.recv()
            if told is None:
                for asset in assets:
                    pulse.at(asset.place)
                    asset.save()
                pipe.send(Stopped())
                return
            name, number = told
            by_name[name].told = max(by_name[name].told, number)
            busy = True
        for asset in assets:
            pulse.at(asset.place)
            asset.step()
            asset.report_and_save()


class Asset:
    """One twin of a worker."""

    def __init__(
        self, place: int, config: AssetConfig, spec: WorkerSpec, journal: Journal, send: Callable[[object], None]
    ) -> None:
        self.place, self.config, self.told = place, config, 0
        self._spec, self._journal, self._send = spec, journal, send
        self._model: Model | None = None
        self._twin: pt.Twin | None = None
        self._reached, self._saved = 0, NOBODY
        self._todo: deque[tuple[int, list[Entry]]] = deque()
        self._points: deque[Point] = deque(maxlen=POINTS)
        self._seconds: list[float] = []
        self._courses: dict[str, list[tuple[int, float, float]]] = {}
        self._nis = math.nan
        self._changed = self._unjudged = True
        now = time.monotonic()
        self._next_save = now + spec.save_every
        self._next_report = self._next_health = self._next_course = now
        self._envelope: pt.Envelope | None = None

    def resume(self) -> None:
        """The last saved twin; what the journal has after it follows step by step."""
        self._model = named(self.config.model)()
        if self.config.envelope:
            self._envelope = pt.Envelope.load(self._spec.folder / self.config.envelope)
        found = self._last_saved(self._model)
        self.told = self._journal.reached(self.config.name)
        if found is not None:
            self._twin, self._reached = found
            self._saved = self._reached
            for said in self._twin.warnings:
                self._say(Event.RESUMED, said)
            self._say(Event.RESUMED, f"from append {self._reached} of {self.told}")

    def _last_saved(self, model: Model) -> tuple[pt.Twin, int] | None:
        """The newest saved twin that can be read, and the append it has reached; None where none was ever saved.

        Raises FileFormatError with the reason of the newest where none can be read.
        """
        name, target = self.config.name, self._spec.journal
        target = "" if "://" in target else f" {target}"  # an address may hold a password
        before: int | None = None
        reason = ""
        times = [state.time for state in self._journal.states(name)]
        while True:
            try:
                found = self._journal.saved(name, model, before=before)
                break
            except FileFormatError as error:
                reason = reason or str(error).partition("; try resume")[0]
                tried = next((time for time in times if before is None or time < before), None)
                if tried is None or not any(time < tried for time in times):
                    which = (
                        f"none of its {len(times)} saved states" if len(times) > 1 else "not even its only saved state"
                    )
                    raise FileFormatError(
                        f"{which} in the journal{target} can be read: {reason}. Its samples are all kept. Restart the "
                        "service with the model and the physics_twin that wrote it, or give the asset another name, "
                        "which begins a new twin"
                    ) from error
                before = tried
        if found is not None and reason:
            words = f"the last state in the journal{target} cannot be read: {reason}"
            self._say(Event.OLDER_STATE, f"{words}; the twin goes on from its state of {stamp(found[0].until)}")
        return found

    @property
    def behind(self) -> bool:
        """Whether the journal has more than the twin knows."""
        return self.told > self._reached or self._waiting > 0

    @property
    def _waiting(self) -> int:
        return 0 if self._twin is None else len(self._twin.pending)

    def _begin(self) -> pt.Twin | None:
        """The twin at the beginning of its timeline: where it was told, or at the first entry."""
        first = next(iter(self._journal.entries(self.config.name)), None)
        if first is None:
            return None
        at = moment(self.config.begin) if self.config.begin else first.time
        twin = named(self.config.start)(self.config.name, at)
        self._twin = twin
        self._say(Event.BEGUN, f"a twin of {twin.setup.model.name}")
        self.save()
        return twin  # type: ignore[no-any-return]

    def step(self) -> None:
        """Take in one slice of what the journal has, for as long as the budget lasts."""
        if not self.behind:
            return
        twin = self._twin if self._twin is not None else self._begin()
        if twin is None:
            return
        if not self._todo:
            self._todo.extend(self._journal.appended(self.config.name, self._reached))
        entries: list[Entry] = []
        reached = self._reached
        while self._todo and len(entries) < SLICE and not twin.pending:
            reached, more = self._todo.popleft()
            entries += more
        view = self._journal.of(self.config.name, reached=reached)
        began = time.perf_counter()
        twin, innovation = twin.assimilate(entries, budget=(self._spec.budget, "s"), journal=view)
        self._seconds.append(time.perf_counter() - began)
        self._twin, self._reached, self._changed = twin, reached, True
        self._unjudged = True
        if not self._todo and not entries and not twin.pending:
            self._reached = max(reached, self.told)  # the last appends brought nothing new
        self._remember(innovation)
        if time.monotonic() >= self._next_course and not twin.pending:
            self._next_course = time.monotonic() + COURSE * self._spec.report_every
            for name, (mean, sd, _) in self._numbers(twin, parameters=True).items():
                self._courses.setdefault(name, []).append((twin.until, mean, sd))

    def _remember(self, innovation: Innovation) -> None:
        if innovation.n_used:
            self._nis = innovation.nis
        for record in innovation.records:
            for s in record.samples:
                unit = innovation.channels[s.channel]
                sd = math.sqrt(s.predicted_variance + s.variance)
                self._points.append(
                    Point(
                        s.channel,
                        record.time,
                        float(unit.from_si(s.observed)),
                        float(unit.from_si(s.predicted)),
                        float(unit.from_si(sd, True)),
                        s.verdict.use,
                        s.verdict.words,
                    )
                )

    def report_and_save(self) -> None:
        """Tell how it is, and hand over a state, when it is time."""
        now = time.monotonic()
        if self._twin is None:
            return
        judge = self._unjudged and now >= self._next_health
        if now >= self._next_report and (self._changed or judge or self.config.live):
            self._report(self._twin, now)
            cost = (time.monotonic() - now) * len(self._spec.assets)
            self._next_report = now + max(self._spec.report_every, cost / REPORT_SHARE)
        if now >= self._next_save:
            self._next_save = now + self._spec.save_every
            if self._reached > self._saved:
                self.save()

    def save(self) -> None:
        """Hand the twin over to be kept in the journal, and write its file."""
        twin = self._twin
        if twin is None or self._reached == self._saved:
            return
        self._send(ToSave(self.config.name, self._reached, PackedTwin.of(twin)))
        self._saved = self._reached
        try:
            twin.save(self._spec.states / f"{self.config.name}.nc", keep=self._spec.generations)
        except OSError as error:
            self._say(Event.NOT_SAVED, f"{self.config.name}.nc: {error.strerror}; the journal has the state")

    def _report(self, twin: pt.Twin, now: float) -> None:
        shown = self._at_present(twin)
        health: pt.Health | None = None
        if now >= self._next_health:
            began = time.monotonic()
            health, self._unjudged = shown.health, False
            cost = (time.monotonic() - began) * len(self._spec.assets)
            self._next_health = began + max(HEALTH_EVERY, cost / HEALTH_SHARE)
        self._send(
            Update(
                asset=self.config.name,
                time=shown.until,
                reached=self._reached,
                status="" if health is None else health.status.value,
                reason=shown.reason,
                values=self._numbers(shown, parameters=False),
                parameters=self._numbers(shown, parameters=True),
                points=tuple(self._points),
                seconds=tuple(self._seconds),
                health="" if health is None else health.to_json(),
                nis=self._nis,
                lag=(shown.until - twin.state.last_update) * 1e-9 if twin.state.n_updates else math.nan,
                pending=len(twin.pending) + max(self.told - self._reached, 0),
                counts=dict(vars(twin.counts)),
                courses={name: tuple(rows) for name, rows in self._courses.items()},
                envelope=self._in_envelope(twin),
            )
        )
        self._courses.clear()
        self._points.clear()
        self._seconds.clear()
        self._changed = False

    def _at_present(self, twin: pt.Twin) -> pt.Twin:
        """The twin as it stands now by the clock; a record stands where it ends."""
        now = time.time_ns()
        if not self.config.live or now <= twin.until:
            return twin
        return twin.at(min(now, twin.until + round(FAR * 1e9)))

    def _in_envelope(self, twin: pt.Twin) -> dict[str, tuple[float, float, float, str]]:
        if self._envelope is None:
            return {}
        found = {}
        for setting in self._envelope.settings:
            if setting.name in self._envelope.box and setting.name in twin.state.held:
                low, high, unit = self._envelope.in_units()["box"][setting.name]
                present = float(setting.unit.from_si(twin.state.held[setting.name]))
                found[setting.name] = (low, high, present, unit)
        return found

    @staticmethod
    def _numbers(twin: pt.Twin, *, parameters: bool) -> dict[str, tuple[float, float, str]]:
        """Name -> (mean, standard deviation, unit) of parameters, or of outputs."""
        known = set(twin.setup.coordinates.parameters)
        return {
            str(name): (float(value), float(value.attrs["sd"]), str(value.attrs["units"]))
            for name, value in twin.in_units().data_vars.items()
            if value.ndim == 0 and (name in known) == parameters
        }

    def _say(self, event: Event, message: str) -> None:
        until = None if self._twin is None else self._twin.until
        self._send(Said(event, message, self.config.name, until))
