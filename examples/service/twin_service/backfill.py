"""Historian files into the journal: in chunks, oldest first, and never in the way of what is live.

How far a file was read is written in the same commit as its samples: after a restart it goes on there. A file that has
grown is read on; new files of the pattern are found.
"""

import asyncio
import glob
import math
from collections.abc import Callable
from pathlib import Path

import physics_twin as pt
from physics_twin.errors import PhysicsTwinError
from physics_twin.measurements.flags import Flag
from physics_twin.twin.moments import SECOND, moment
from physics_twin.twin.timeline import Sample
from twin_service.configuration import AssetConfig
from twin_service.inbox import Inbox
from twin_service.logs import Event, Log

CHUNK = 100
"""Samples of one delivery, and of one call of assimilate."""
AHEAD = 30
"""Appends by which the journal may be ahead of the twin before the next chunk waits: live samples come after these."""
LOOK_EVERY = 5.0


class Backfill:
    """The files of one asset. lead: asset -> by how many appends its journal is ahead of its twin."""

    def __init__(
        self,
        config: AssetConfig,
        folder: Path,
        inbox: Inbox,
        log: Log,
        lead: Callable[[str], int],
        positions: dict[str, str],
    ) -> None:
        self._config, self._folder, self._inbox, self._log = config, folder, inbox, log
        self._lead = lead
        self._known = positions

    async def run(self) -> None:
        """Read what is there, and look for more from time to time."""
        while True:
            for name in sorted(glob.glob(self._config.historian, root_dir=self._folder)):
                await self._fill(self._folder / name)
            await asyncio.sleep(LOOK_EVERY)

    async def _fill(self, path: Path) -> None:
        source = f"historian:{path.name}"
        size = path.stat().st_size
        known_size, _, done = self._known.get(source, "0:0").partition(":")
        if int(known_size) == size:
            return
        try:
            samples = await asyncio.to_thread(samples_of_file, path, self._config)
        except (PhysicsTwinError, OSError) as error:
            self._inbox.refuse(self._config.name, f"{path.name}: {error}")
            self._known[source] = f"{size}:{done}"  # again when it has changed
            return
        first = int(done)
        for begin in range(first, len(samples), CHUNK):
            part = samples[begin : begin + CHUNK]
            last = begin + len(part) == len(samples)
            position = f"{size if last else 0}:{begin + len(part)}"
            await self._inbox.deliver(self._config.name, part, {source: position}, live=False)
            self._known[source] = position
            while self._lead(self._config.name) > AHEAD:
                await asyncio.sleep(0.05)
        self._known.setdefault(source, f"{size}:{first}")
        if len(samples) > first:
            self._log(Event.FILLED, f"{len(samples) - first} samples of {path.name}", asset=self._config.name)


def samples_of_file(path: Path, config: AssetConfig) -> list[Sample]:
    """All samples of the asset's tags, oldest first. Raises DataError, FileFormatError, OSError."""
    columns = {tag.column or tag.channel: tag for tag in config.tag}
    log = pt.read_log(path, tags=list(columns))
    if log.origin is None:
        raise pt.DataError("the file has elapsed times; a twin needs stamps with a zone or in UTC")
    origin = moment(log.origin)
    found = []
    for column, tag in columns.items():
        read = log[column]
        unit = tag.unit or read.unit
        for t, value, flag in zip(read.times.tolist(), read.values.tolist(), read.flags.tolist(), strict=True):
            if math.isfinite(t):
                stamp = origin + round(t * SECOND)
                found.append(Sample(tag.channel, stamp, value, unit, quality=Flag(flag)))
    return sorted(found, key=lambda sample: sample.key)
