"""Workers: started, watched, started again; an asset that brings its worker down again and again is left out."""

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from twin_service.configuration import AssetConfig, Configuration
from twin_service.logs import Event, Log
from twin_service.reports import Ready, Said, Stopped, ToSave, Update
from twin_service.worker import NOBODY, Pulse, WorkerSpec, main as work

WATCH = 0.25
"""s between two looks at the pulses."""
LONGEST_BACKOFF = 30.0
_SPAWN = multiprocessing.get_context("spawn")


@dataclass
class Crashes:
    """Of one asset, in a row. beyond: the append it has to get past so that the row ends."""

    n: int = 0
    beyond: int = 0


@dataclass(eq=False)
class Slot:
    """The place of one worker, whoever is in it. assets: those that it is to own."""

    number: int
    assets: tuple[tuple[int, AssetConfig], ...]
    process: BaseProcess | None = None
    pipe: Connection | None = None
    pulse: Pulse | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    resumed: bool = False
    stopped: bool = False
    n_restarts: int = 0
    n_in_a_row: int = 0


class Supervisor:
    """All workers of the service.

    on_update, on_save: called in the loop with what workers report. on_failed: with the name of an asset that cannot be
    worked on. limit: s that a worker has to save at the end.
    """

    def __init__(
        self,
        configuration: Configuration,
        log: Log,
        on_update: Callable[[Update], None],
        on_save: Callable[[ToSave], None],
        on_failed: Callable[[str], None],
    ) -> None:
        self._c, self._log = configuration, log
        self._on_update, self._on_save, self._on_failed = on_update, on_save, on_failed
        self._loop = asyncio.get_running_loop()
        self._names = [asset.name for asset in configuration.asset]
        self._crashes = {name: Crashes() for name in self._names}
        self._told: dict[str, int] = {}
        self.reached: dict[str, int] = {}
        self.quarantined: set[str] = set()
        self.troubles: dict[str, str] = {}
        """Asset -> why it cannot be worked on, until it can."""
        self.older: dict[str, str] = {}
        """Asset -> why it goes on from an older state, since the start."""
        self._stopping = False
        places = list(enumerate(configuration.asset))
        n = min(configuration.workers.n, len(places))
        self.slots = [Slot(k, tuple(places[k::n])) for k in range(n)]

    @property
    def names(self) -> list[str]:
        """All assets."""
        return self._names

    @property
    def down(self) -> list[int]:
        """Workers that should run and do not."""
        return [s.number for s in self.slots if self._own(s) and not (s.process is not None and s.process.is_alive())]

    @property
    def unresumed(self) -> list[str]:
        """Assets whose worker has not taken up work since it was started, those in quarantine left out."""
        return [one.name for s in self.slots for _, one in self._own(s) if not s.resumed]

    def lead(self, asset: str) -> int:
        """By how many appends the journal is ahead of the twin; 0 for an asset that nobody works on."""
        if asset in self.quarantined:
            return 0
        return self._told.get(asset, 0) - self.reached.get(asset, 0)

    def _own(self, slot: Slot) -> tuple[tuple[int, AssetConfig], ...]:
        return tuple(pair for pair in slot.assets if pair[1].name not in self.quarantined)

    async def run(self) -> None:
        """Keep every worker running until `stop`."""
        await asyncio.gather(*(self._keep(slot) for slot in self.slots))

    def wake(self, asset: str, number: int) -> None:
        """The journal has appends up to this number."""
        self._told[asset] = number
        for slot in self.slots:
            if slot.pipe is not None and any(one.name == asset for _, one in self._own(slot)):
                self._send(slot, (asset, number))

    def _send(self, slot: Slot, message: tuple[str, int] | None) -> None:
        # Workers read between any two slices, and a message is small: this does not block.
        try:
            if slot.pipe is not None:
                slot.pipe.send(message)
        except OSError:
            return  # it died; the journal keeps what it missed

    async def _keep(self, slot: Slot) -> None:
        wait = self._c.seconds(self._c.workers.backoff)
        while not self._stopping and self._own(slot):
            began = time.monotonic()
            self._start(slot)
            await self._watch(slot)
            if slot.stopped:
                return
            self._account(slot)
            if self._stopping:
                return
            slot.n_restarts += 1
            slot.n_in_a_row = 0 if time.monotonic() - began > LONGEST_BACKOFF else slot.n_in_a_row + 1
            await asyncio.sleep(min(wait * 2.0 ** min(slot.n_in_a_row - 1, 10), LONGEST_BACKOFF))

    def _start(self, slot: Slot) -> None:
        ours, theirs = _SPAWN.Pipe()
        pulse = Pulse(_SPAWN.Value("d", time.monotonic(), lock=False), _SPAWN.Value("i", NOBODY, lock=False))
        c = self._c
        spec = WorkerSpec(
            journal=c.journal_target,
            states=c.path(c.states),
            folder=c.folder,
            assets=self._own(slot),
            save_every=c.seconds(c.save_every),
            report_every=c.seconds(c.report_every),
            generations=c.generations,
            budget=c.seconds(c.workers.budget),
        )
        process = _SPAWN.Process(target=work, args=(spec, theirs, pulse), name=f"worker {slot.number}", daemon=True)
        process.start()
        theirs.close()
        slot.process, slot.pipe, slot.pulse, slot.gone = process, ours, pulse, asyncio.Event()
        slot.resumed = False
        threading.Thread(target=self._listen, args=(slot, ours, slot.gone), daemon=True).start()
        self._log(Event.WORKER_STARTED, f"worker {slot.number}, process {process.pid}, {len(spec.assets)} assets")

    def _listen(self, slot: Slot, pipe: Connection, gone: asyncio.Event) -> None:
        """In a thread of its own: hand on what a worker says, until it says nothing any more."""
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                break
            self._loop.call_soon_threadsafe(self._heard, slot, message)
        self._loop.call_soon_threadsafe(gone.set)

    def _heard(self, slot: Slot, message: object) -> None:
        match message:
            case Update():
                self.reached[message.asset] = message.reached
                crashes = self._crashes[message.asset]
                if crashes.n and message.reached > crashes.beyond:
                    crashes.n = 0
                self._on_update(message)
            case ToSave():
                self._on_save(message)
            case Said():
                self._log(message.event, message.message, asset=message.asset, twin_time=message.twin_time)
                if message.event is Event.TROUBLE:
                    self.troubles[message.asset] = message.message
                    self._on_failed(message.asset)
                elif message.event is Event.OLDER_STATE:
                    self.older[message.asset] = message.message
            case Ready():
                slot.resumed = True
                for _, one in self._own(slot):
                    self.troubles.pop(one.name, None)
            case Stopped():
                slot.stopped = True

    async def _watch(self, slot: Slot) -> None:
        """Return when the worker is gone; make it go when it hangs."""
        limit = self._c.seconds(self._c.workers.hung_after)
        assert slot.process is not None and slot.pulse is not None
        while not slot.gone.is_set():
            try:
                await asyncio.wait_for(slot.gone.wait(), WATCH)
            except TimeoutError:
                silent = time.monotonic() - slot.pulse.beat.value
                if silent > limit and slot.process.is_alive():
                    self._log(Event.WORKER_HUNG, f"worker {slot.number}, silent for {silent:.0f} s{self._where(slot)}")
                    slot.process.kill()
        await asyncio.to_thread(slot.process.join)
        if slot.pipe is not None:
            slot.pipe.close()
            slot.pipe = None

    def _at(self, slot: Slot) -> str:
        place = NOBODY if slot.pulse is None else slot.pulse.asset.value
        return "" if place == NOBODY else self._names[place]

    def _where(self, slot: Slot) -> str:
        asset = self._at(slot)
        return f", while at {asset}" if asset else ""

    def _account(self, slot: Slot) -> None:
        """Say how the worker ended, and remember at which asset."""
        assert slot.process is not None
        code = slot.process.exitcode
        asset = self._at(slot)
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._log(Event.WORKER_DIED, f"worker {slot.number}: {how}{self._where(slot)}", asset=asset)
        if not asset:
            return
        crashes = self._crashes[asset]
        crashes.n += 1
        crashes.beyond = max(self._told.get(asset, 0), self.reached.get(asset, 0))
        if crashes.n >= self._c.workers.crashes:
            self.quarantined.add(asset)
            cause = self.troubles.setdefault(asset, f"its worker ended with {how}")
            self._on_failed(asset)
            self._log(
                Event.QUARANTINE,
                f"{crashes.n} crashes in a row, the last: {cause}; its samples are still kept. Remove the cause and "
                "restart the service",
                asset=asset,
            )

    @property
    def restarts(self) -> Mapping[int, int]:
        """Worker -> how often it was started again."""
        return {slot.number: slot.n_restarts for slot in self.slots}

    async def stop(self, limit: float) -> bool:
        """Have all workers save and end; whether all did within the limit (s). Those that do not are killed."""
        self._stopping = True
        for slot in self.slots:
            self._send(slot, None)
        running = [slot for slot in self.slots if slot.process is not None and slot.process.is_alive()]
        waiting = [asyncio.create_task(slot.gone.wait()) for slot in running]
        if waiting:
            await asyncio.wait(waiting, timeout=limit)
        for slot in running:
            if slot.process is not None and slot.process.is_alive() and not slot.stopped:
                slot.process.kill()
        for task in waiting:
            task.cancel()
        return all(slot.stopped for slot in running)
