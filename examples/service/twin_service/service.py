"""The service: sources, inbox, workers and page, started in an order in which nothing is lost, and stopped likewise."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from physics_twin.errors import PhysicsTwinError
from physics_twin.twin.journal import Journal
from physics_twin.twin.moments import SECOND
from twin_service.backfill import Backfill
from twin_service.board import FAILED, Board
from twin_service.configuration import Configuration
from twin_service.inbox import Inbox, NotKeptError
from twin_service.logs import Event, Log
from twin_service.metrics import Metrics
from twin_service.reports import ToSave, Update
from twin_service.supervisor import Supervisor
from twin_service.web import Web

STOP_WITHIN = 20.0
"""s that workers have to save at the end; the journal has everything anyway."""
PRUNE_EVERY = 3600.0


class Service:
    """Everything between the plant and the page."""

    def __init__(self, configuration: Configuration, journal: Journal, log: Log) -> None:
        c = configuration
        self.c, self.journal, self.log = c, journal, log
        self.board, self.metrics = Board(one.name for one in c.asset), Metrics()
        self.supervisor = Supervisor(c, log, self._updated, self._to_save, self._failed)
        self.inbox = Inbox(journal, log, self.supervisor.wake, tolerance=c.seconds(c.tolerance), limit=c.waiting)
        self.web = Web(c, self.board, self._metrics, self.reasons, self.degraded, self.alarms)
        self._saves: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self.failure: BaseException | None = None

    def _updated(self, update: Update) -> None:
        self.board.take(update)
        self.metrics.take(update)

    def _failed(self, asset: str) -> None:
        self.board.fail(asset)
        self.metrics.show(asset, FAILED)

    def _to_save(self, given: ToSave) -> None:
        task = asyncio.create_task(self.inbox.save(given.asset, given.twin, given.reached))
        self._saves.add(task)
        task.add_done_callback(self._saves.discard)

    def _metrics(self) -> bytes:
        return self.metrics.text(self.inbox, self.supervisor)

    def reasons(self) -> list[str]:
        """Why the service is not ready; [] where it is."""
        found = [f"the journal cannot be written: {self.inbox.trouble}"] if self.inbox.trouble else []
        found += [f"worker {number} is not running" for number in self.supervisor.down]
        troubles = self.supervisor.troubles
        found += [
            f"{name} is not resumed yet{f': {troubles[name]}' if name in troubles else ''}"
            for name in self.supervisor.unresumed
        ]
        if len(self.supervisor.quarantined) == len(self.c.asset):
            found.append("no asset is at work")
        return found + (["stopping"] if self._stop.is_set() else [])

    def degraded(self) -> list[str]:
        """Assets that are left out, and why, while others are at work."""
        s = self.supervisor
        return [f"{name} is in quarantine: {s.troubles.get(name, '')}" for name in s.names if name in s.quarantined]

    def alarms(self, asset: str) -> list[str]:
        """What the service has to say of one asset."""
        found = []
        if asset in self.supervisor.quarantined:
            words = f"quarantine after {self.c.workers.crashes} failures in a row; samples are kept"
            found.append(f"{words}. The last: {self.supervisor.troubles.get(asset, '')}")
        elif asset in self.supervisor.troubles:
            found.append(f"no twin at work: {self.supervisor.troubles[asset]}")
        if asset in self.supervisor.older:
            found.append(self.supervisor.older[asset])
        if self.inbox.trouble:
            found.append("the journal cannot be written: samples wait at their sources")
        if n := self.inbox.counts.future[asset]:
            found.append(f"{n} samples stamped in the future were turned away since the start")
        if n := self.inbox.counts.refused[asset]:
            found.append(f"{n} messages were no samples since the start")
        return found

    def _sources(self) -> list[Coroutine[Any, Any, None]]:
        found: list[Coroutine[Any, Any, None]] = []
        c = self.c
        for asset in c.asset:
            if asset.historian:
                positions = {k: str(v) for k, v in self.journal.positions(asset.name).items()}
                lead = self.supervisor.lead
                found.append(Backfill(asset, c.folder, self.inbox, self.log, lead, positions).run())
        if c.mqtt is not None:
            from twin_service.mqtt_source import MqttSource

            found.append(MqttSource(c, self.inbox, self.log).run())
        if c.opcua is not None:
            from twin_service.opcua_source import OpcuaSource

            found.append(OpcuaSource(c, self.inbox, self.log, self.journal).run())
        return found

    async def run(self) -> int:
        """Work until told to stop; the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self.c.path(self.c.states).mkdir(parents=True, exist_ok=True)
        writing = self._task(self.inbox.run())
        working = self._task(self.supervisor.run(), ends=True)
        await self.web.start()
        self.log(Event.STARTED, f"{len(self.c.asset)} assets; listening on {self.c.web.host} port {self.web.port}")
        sources = [self._task(one) for one in self._sources()]
        pruning = self._task(self._prune())
        await self._stop.wait()
        self.log(Event.STOPPING, "sources are let go of, what waits is written, states are saved")
        for task in (*sources, pruning):
            task.cancel()
        await asyncio.gather(*sources, pruning, return_exceptions=True)
        await self.inbox.stop()
        await asyncio.wait([writing])
        self.inbox.abandon()
        saved = await self.supervisor.stop(STOP_WITHIN)
        await asyncio.wait([working])
        if self._saves:
            await asyncio.gather(*self._saves)
        await self.web.stop()
        failed = self.failure is not None or bool(self.inbox.trouble) or not saved
        words = "not everything was saved; the journal has what was acknowledged" if failed else "everything is saved"
        self.log(Event.STOPPED, words)
        return 1 if failed else 0

    def _task(self, work: Coroutine[Any, Any, None], *, ends: bool = False) -> asyncio.Task[None]:
        """A part of the service: when it fails, the service stops in order and says why."""
        task = asyncio.create_task(work)

        def done(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                return
            error = task.exception()
            if error is not None and not isinstance(error, NotKeptError):
                self.failure = error
                self.log(Event.TROUBLE, f"{type(error).__name__}: {error}; the service stops")
                self._stop.set()

        task.add_done_callback(done)
        return task

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            before = self.inbox.now() - round(self.c.seconds(self.c.retention) * SECOND)
            for asset in self.c.asset:
                try:
                    await asyncio.to_thread(self.journal.prune, asset.name, before)
                except PhysicsTwinError as error:
                    self.log(Event.JOURNAL_FAILED, str(error), asset=asset.name)


def run(configuration: Configuration) -> int:
    """Run the service in this process until it is told to stop; the exit code."""
    sys.path.insert(0, str(configuration.folder))  # modules of models and twins beside the configuration

    async def life() -> int:
        with Journal(configuration.journal_target) as journal:
            return await Service(configuration, journal, Log()).run()

    return asyncio.run(life())
