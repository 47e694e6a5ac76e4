"""From all sources into the journal: one writer, many samples a commit, nothing acknowledged before it is durable."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from physics_twin.errors import DataError, JournalError
from physics_twin.twin.journal import Journal, PackedTwin
from physics_twin.twin.sensors.clocks import ahead_of
from physics_twin.twin.timeline import Sample
from twin_service.logs import Event, Log

GROUP = 5_000
"""Samples of one commit at most: it takes well under a second."""
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
"""s between two tries of a journal that cannot be written."""
JUMP = 5.0
"""s by which the clock of this host may leave its steady one before it is said."""


class NotKeptError(Exception):
    """The service stops and the journal does not have these samples: they are not to be acknowledged."""


@dataclass(eq=False)
class Delivery:
    """Samples of one source, and who waits for them to be durable."""

    asset: str
    samples: Sequence[Sample]
    positions: Mapping[str, str | int | float]
    live: bool
    done: asyncio.Future[None]


@dataclass
class Intake:
    """What became of deliveries since the service was started."""

    samples: int = 0
    commits: int = 0
    failed_commits: int = 0
    future: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


class Inbox:
    """The only way into the journal.

    told: called with (asset, number of the last append) after each commit. tolerance: s by which a stamp may lie in the
    future. limit: samples that may wait before sources are made to wait.
    """

    def __init__(
        self,
        journal: Journal,
        log: Log,
        told: Callable[[str, int], None],
        *,
        tolerance: float,
        limit: int,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.journal, self.log, self.now = journal, log, now
        self.counts = Intake()
        self.trouble = ""
        self._told, self._tolerance, self._limit = told, tolerance, limit
        self._live: deque[Delivery] = deque()
        self._history: deque[Delivery] = deque()
        self._wake, self._room, self._stop = asyncio.Event(), asyncio.Condition(), asyncio.Event()
        self._offset = self.now() - time.monotonic_ns()

    @property
    def n_waiting(self) -> int:
        """Samples that are not durable yet."""
        return sum(len(one.samples) for one in (*self._live, *self._history))

    async def deliver(
        self,
        asset: str,
        samples: Sequence[Sample],
        positions: Mapping[str, str | int | float] | None = None,
        *,
        live: bool = True,
    ) -> None:
        """Return when the samples, and how far their source was read, are durable: then acknowledge.

        live: False for what is filled in; it never makes a live sample wait for more than one commit. Raises
        NotKeptError when the service stops before.
        """
        kept = self._of_this_time(asset, samples)
        if not kept and not positions:
            return
        async with self._room:
            await self._room.wait_for(lambda: self._stop.is_set() or self.n_waiting < self._limit)
        if self._stop.is_set():
            raise NotKeptError
        one = Delivery(asset, kept, positions or {}, live, asyncio.get_running_loop().create_future())
        (self._live if live else self._history).append(one)
        self._wake.set()
        await one.done

    def _of_this_time(self, asset: str, samples: Sequence[Sample]) -> list[Sample]:
        """The samples without those of the future, which are counted and said."""
        now = self.now()
        offset = now - time.monotonic_ns()
        if abs(offset - self._offset) > JUMP * 1e9:
            self.log(Event.CLOCK_JUMP, f"by {(offset - self._offset) * 1e-9:+.1f} s; is a time server reached?")
            self._offset = offset
        if not samples:
            return []
        ahead, words = ahead_of(np.array([s.time for s in samples], dtype=np.int64), now, self._tolerance)
        for said in words:
            self.counts.future[asset] += int(ahead.sum())
            self.log(Event.FUTURE, said, asset=asset)
        return [sample for sample, out in zip(samples, ahead, strict=True) if not out]

    def refuse(self, asset: str, why: str) -> None:
        """Count and say what is no sample."""
        self.counts.refused[asset] += 1
        self.log(Event.REFUSED, why, asset=asset)

    async def save(self, asset: str, twin: PackedTwin, reached: int) -> None:
        """Keep a state that a worker has packed; said, not raised, where there is no room for it."""
        try:
            await asyncio.to_thread(self.journal.save_state, asset, twin, reached=reached)
        except (JournalError, DataError) as error:
            self.log(Event.NOT_SAVED, str(error), asset=asset, twin_time=twin.until)

    async def run(self) -> None:
        """Write until `stop`, and then what is waiting."""
        wait = FIRST_WAIT
        while True:
            group = self._next()
            if not group:
                if self._stop.is_set():
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                numbers = await asyncio.to_thread(self._commit, group)
            except JournalError as error:
                self._put_back(group)
                self.counts.failed_commits += 1
                if not self.trouble:
                    self.log(Event.JOURNAL_FAILED, str(error))
                self.trouble = str(error)
                if self._stop.is_set():
                    return
                await asyncio.sleep(wait)
                wait = min(2.0 * wait, LONGEST_WAIT)
                continue
            except DataError as error:
                await self._one_by_one(group, error)
                continue
            wait = FIRST_WAIT
            if self.trouble:
                self.trouble = ""
                self.log(Event.JOURNAL_BACK, "what was waiting is written")
            await self._finish(group, numbers)

    def _next(self) -> list[Delivery]:
        """The next commit: live ones as they came, and one that is filled in."""
        group: list[Delivery] = []
        n = 0
        while self._live and n < GROUP:
            group.append(self._live.popleft())
            n += len(group[-1].samples)
        if self._history:
            group.append(self._history.popleft())
        return group

    def _put_back(self, group: Sequence[Delivery]) -> None:
        for one in reversed(group):
            (self._live if one.live else self._history).appendleft(one)

    def _commit(self, group: Sequence[Delivery]) -> dict[str, int]:
        """One durable commit; asset -> number of its last append."""
        by_asset: dict[str, tuple[list[Sample], dict[str, str | int | float]]] = {}
        for one in group:
            samples, positions = by_asset.setdefault(one.asset, ([], {}))
            samples.extend(one.samples)
            positions.update(one.positions)
        with self.journal.group():
            for asset, (samples, positions) in by_asset.items():
                self.journal.append(asset, samples, positions)
        return {asset: self.journal.reached(asset) for asset in by_asset}

    async def _one_by_one(self, group: Sequence[Delivery], error: DataError) -> None:
        """One of them can never be kept: the others are not to suffer."""
        if len(group) == 1:
            self.refuse(group[0].asset, str(error))
            _settle(group[0])
            return
        for one in group:
            try:
                await self._finish([one], await asyncio.to_thread(self._commit, [one]))
            except DataError as own:
                self.refuse(one.asset, str(own))
                _settle(one)
            except JournalError:
                self._put_back([one])

    async def _finish(self, group: Sequence[Delivery], numbers: Mapping[str, int]) -> None:
        self.counts.commits += 1
        self.counts.samples += sum(len(one.samples) for one in group)
        for one in group:
            _settle(one)
        for asset, number in numbers.items():
            self._told(asset, number)
        async with self._room:
            self._room.notify_all()

    async def stop(self) -> None:
        """Take nothing more, write what waits; what cannot be written is not acknowledged."""
        self._stop.set()
        self._wake.set()
        async with self._room:
            self._room.notify_all()

    def abandon(self) -> None:
        """Say to everybody who still waits that the journal does not have it."""
        for one in (*self._live, *self._history):
            if not one.done.done():
                one.done.set_exception(NotKeptError())


def _settle(one: Delivery) -> None:
    """Whoever waits may acknowledge; nobody does where a connection has broken meanwhile."""
    if not one.done.done():
        one.done.set_result(None)
