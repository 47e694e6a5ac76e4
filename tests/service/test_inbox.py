"""The way into the journal: nothing acknowledged before it is durable, nothing twice, nothing of the future."""

import asyncio
import contextlib
import io
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin.twin.moments import SECOND
from tests.service.small_plant import samples

NOW = samples(0, 1)[0].time + 3600 * SECOND


@contextlib.asynccontextmanager
async def running(journal, told=lambda asset, number: None, now=lambda: NOW, **options):
    """An inbox at work and its log."""
    from twin_service.inbox import Inbox
    from twin_service.logs import Log

    out = io.StringIO()
    inbox = Inbox(journal, Log(out), told, now=now, **{"tolerance": 2.0, "limit": 10_000, **options})
    inbox.out = out
    writing = asyncio.create_task(inbox.run())
    try:
        yield inbox
    finally:
        await inbox.stop()
        await asyncio.wait_for(writing, 30)
        inbox.abandon()


def events(inbox) -> list[str]:
    return [json.loads(line)["event"] for line in inbox.out.getvalue().splitlines()]


def test_many_deliveries_become_few_commits(tmp_path: Path):
    """A hundred deliveries at once for ten assets: all durable, in far fewer commits, each told once a commit."""
    told = []

    async def life(journal):
        async with running(journal, lambda asset, number: told.append((asset, number))) as inbox:
            work = [inbox.deliver(f"a{k % 10}", samples(k, k + 1), {"source": k}) for k in range(100)]
            await asyncio.gather(*work)
            assert inbox.counts.samples == 200 and inbox.counts.commits < 20
            assert inbox.n_waiting == 0

    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))
        assert len(list(journal.entries("a3"))) == 20
        assert journal.positions("a3") == {"source": 93}
        assert dict(told)["a3"] == journal.reached("a3")


def test_stamps_of_the_future_are_turned_away(tmp_path: Path):
    """A clock that jumps ahead costs the samples stamped so, counted and said; the others and the later ones stay."""

    async def life(journal):
        async with running(journal) as inbox:
            late = [pt.Sample("T", NOW + 3600 * SECOND, 20.0), pt.Sample("T", NOW + SECOND, 20.0)]
            await inbox.deliver("line1", late)
            await inbox.deliver("line1", [pt.Sample("T", NOW - SECOND, 20.0)])
            assert inbox.counts.future == {"line1": 1}
            assert events(inbox).count("future") == 1

    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))
        assert [s.time - NOW for s in journal.entries("line1")] == [-SECOND, SECOND]


def test_a_jump_of_the_own_clock_is_said(tmp_path: Path):
    """When the clock of this host is set, a record says by how much."""
    clock = {"offset": 0}

    async def life(journal):
        async with running(journal, now=lambda: time.monotonic_ns() + clock["offset"]) as inbox:
            await inbox.deliver("a", [pt.Sample("T", 0, 1.0)])
            clock["offset"] = -3600 * SECOND
            await inbox.deliver("a", [pt.Sample("T", -4000 * SECOND, 1.0)])
            assert events(inbox) == ["clock_jump"]
            assert "-3600.0 s" in inbox.out.getvalue()

    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))


def test_what_is_live_is_not_kept_waiting(tmp_path: Path):
    """With a hundred deliveries of older samples in the queue, a live one is in the next commit but one."""

    async def life(journal):
        async with running(journal) as inbox:
            old = [asyncio.create_task(inbox.deliver("a", samples(k, k + 1), live=False)) for k in range(100)]
            await asyncio.sleep(0)
            await inbox.deliver("a", samples(200, 201))
            assert sum(one.done() for one in old) <= 3
            await asyncio.gather(*old)

    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))
        assert len(list(journal.entries("a"))) == 202


def test_one_that_cannot_be_kept_does_not_hold_up_others(tmp_path: Path):
    """A sample with a name that no database takes is refused and counted; those of the same commit are written."""

    async def life(journal):
        async with running(journal) as inbox:
            bad = [pt.Sample("T\0", NOW - SECOND, 1.0)]
            await asyncio.gather(
                inbox.deliver("a", samples(0, 1)), inbox.deliver("b", bad), inbox.deliver("a", samples(1, 2))
            )
            assert inbox.counts.refused == {"b": 1}

    with pt.Journal(tmp_path / "j") as journal:
        asyncio.run(life(journal))
        assert len(list(journal.entries("a"))) == 4


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of one megabyte; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount here")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(small_disk: Path):
    """Nothing is acknowledged while there is no room, and the service is not ready; with room it goes on by itself."""

    async def life(journal):
        async with running(journal) as inbox:
            await inbox.deliver("a", samples(0, 10))
            ballast = small_disk / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb") as file:
                while True:
                    file.write(b"\0" * 4096)
                    file.flush()
            waiting = asyncio.create_task(inbox.deliver("a", samples(10, 2000)))
            for _ in range(600):
                if inbox.trouble:
                    break
                await asyncio.sleep(0.05)
            assert inbox.trouble and not waiting.done()
            ballast.unlink()
            await asyncio.wait_for(waiting, 60)
            assert not inbox.trouble
            assert [e for e in events(inbox) if e.startswith("journal")] == ["journal_failed", "journal_back"]

    with pt.Journal(small_disk / "j") as journal:
        asyncio.run(life(journal))
        assert len(list(journal.entries("a"))) == 4000


def test_a_stop_while_the_journal_fails_acknowledges_nothing(small_disk: Path):
    """The service ends although the disk is full, and whoever waits is told that nothing was kept."""
    from twin_service.inbox import NotKeptError

    async def life(journal):
        async with running(journal) as inbox:
            with contextlib.suppress(OSError), (small_disk / "ballast").open("wb") as file:
                while True:
                    file.write(b"\0" * 4096)
                    file.flush()
            waiting = asyncio.create_task(inbox.deliver("a", samples(0, 2000)))
            while not inbox.trouble:
                await asyncio.sleep(0.02)
        with pytest.raises(NotKeptError):
            await waiting
        (small_disk / "ballast").unlink()

    with pt.Journal(small_disk / "j") as journal:
        asyncio.run(life(journal))
        assert list(journal.entries("a")) == []
