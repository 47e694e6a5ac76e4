"""Chains give the same bytes whoever computes them, in whatever order, and however often they were killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from physics_twin.posterior import Posterior

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # workers import the models from there, as they would from a module of a person

import two_chains  # noqa: E402

KINDS = tuple(two_chains.MODELS)


@pytest.fixture(scope="module")
def alone() -> dict[str, Posterior]:
    """The runs of this process."""
    return {kind: two_chains.run(kind) for kind in KINDS}


def same(a: Posterior, b: Posterior) -> None:
    """To the last bit."""
    assert a.draws.values.tobytes() == b.draws.values.tobytes()
    assert a.diagnostics.identical(b.diagnostics)
    assert (a.message, a.warnings, a.effective_draws) == (b.message, b.warnings, b.effective_draws)


class Backwards(Executor):
    """Computes the last job first."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future[Any], Any, Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.jobs.append((future, fn, args))
        if len(self.jobs) == two_chains.METHOD.n_chains:
            for later, work, given in reversed(self.jobs):
                later.set_result(work(*given))
        return future


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_progress_do_not_matter(kind: str, alone: dict[str, Posterior]) -> None:
    """The last chain first, with a bar on the screen."""
    same(two_chains.run(kind, executor=Backwards(), progress=True), alone[kind])


@pytest.mark.slow
def test_worker_processes_give_the_same_numbers(alone: dict[str, Posterior], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of fresh processes, for both samplers."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for kind in KINDS:
            same(two_chains.run(kind, executor=pool), alone[kind])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_run_goes_on_to_the_same_bytes(kind: str, alone: dict[str, Posterior], tmp_path: Path) -> None:
    """SIGKILL while the second chain is under way; the same call goes on from there."""
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, str(HERE / "two_chains.py"), kind, str(folder)])
    try:
        for _ in _while_alive(process):
            if (folder / "chains-1.journal").exists() and (folder / "chains-1.journal").stat().st_size > 5000:
                break
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    same(two_chains.run(kind, checkpoint=folder), alone[kind])
    done = {f.name: f.stat().st_size for f in folder.glob("*.journal")}
    same(two_chains.run(kind, checkpoint=folder), alone[kind])
    assert {f.name: f.stat().st_size for f in folder.glob("*.journal")} == done  # nothing was simulated again


def _while_alive(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < 100.0:
        yield
        time.sleep(0.005)
