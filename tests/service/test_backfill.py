"""Historian files: read once, read on when they grow, and a file that cannot be read is said and tried again."""

import asyncio
import contextlib
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin.measurements.flags import Flag
from tests.service.small_plant import asset, configuration, samples, write
from tests.service.test_inbox import events, running
from tests.service.test_mqtt import until


@contextlib.asynccontextmanager
async def filling(folder: Path, inbox, journal, lead=lambda name: 0):
    from twin_service.backfill import Backfill
    from twin_service.configuration import read

    (folder / "service.toml").write_text(configuration(asset("line1", extra='historian = "history/*.csv"')))
    c = read(folder / "service.toml")
    source = Backfill(c.asset[0], folder, inbox, inbox.log, lead, journal.positions("line1"))
    task = asyncio.create_task(source.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for files more often."""
    from twin_service import backfill

    monkeypatch.setattr(backfill, "LOOK_EVERY", 0.05)


def test_a_file_that_grows_and_a_restart(tmp_path: Path):
    """Rows that are added come in; after a restart nothing is read again, and new files are found."""

    async def first(journal):
        async with running(journal, now=_later) as inbox, filling(tmp_path, inbox, journal):
            await until(lambda: inbox.counts.samples == 200, "the file")
            write(tmp_path / "history" / "a.csv", 0, 150)
            await until(lambda: inbox.counts.samples == 300, "what was added")

    async def second(journal):
        async with running(journal, now=_later) as inbox, filling(tmp_path, inbox, journal):
            write(tmp_path / "history" / "b.csv", 150, 160)
            await until(lambda: inbox.counts.samples == 20, "the new file")
            await asyncio.sleep(0.3)
            assert inbox.counts.samples == 20

    write(tmp_path / "history" / "a.csv", 0, 100)
    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(first(journal))
        asyncio.run(second(journal))
        found = list(journal.entries("line1"))
        assert [one.key for one in found] == sorted(one.key for one in samples(0, 160))
        assert all(one.quality is Flag.GOOD for one in found)


def _later() -> int:
    return samples(0, 1)[0].time + 10**15


def test_chunks_wait_for_the_twin(tmp_path: Path):
    """While the twin is far behind its journal no further chunk is given."""
    from twin_service import backfill

    behind = {"n": backfill.AHEAD + 1}

    async def life(journal):
        async with running(journal, now=_later) as inbox, filling(tmp_path, inbox, journal, lambda name: behind["n"]):
            await until(lambda: inbox.counts.samples == backfill.CHUNK, "the first chunk")
            await asyncio.sleep(0.3)
            assert inbox.counts.samples == backfill.CHUNK
            behind["n"] = 0
            await until(lambda: inbox.counts.samples == 600, "the rest")

    write(tmp_path / "history" / "a.csv", 0, 300)
    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))


def test_a_file_of_something_else_is_said(tmp_path: Path):
    """No such column: refused with the file's name, the others are read, and it is read when it has been mended."""

    async def life(journal):
        async with running(journal, now=_later) as inbox, filling(tmp_path, inbox, journal):
            await until(lambda: inbox.counts.samples == 20, "the other file")
            assert inbox.counts.refused["line1"] == 1 and "a.csv" in inbox.out.getvalue()
            write(tmp_path / "history" / "a.csv", 0, 30)
            await until(lambda: inbox.counts.samples == 80, "the mended file")
            assert events(inbox).count("filled") == 2

    write(tmp_path / "history" / "b.csv", 30, 40)
    (tmp_path / "history" / "a.csv").write_text("time,pressure\n2025-11-20T06:00:00Z,1\n2025-11-20T06:00:01Z,2\n")
    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))
