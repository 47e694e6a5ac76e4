"""How the work of a method is done: by whom, watched by whom, and remembered where."""

import secrets
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any

from physics_twin.checkpoints import NO_MEMO, Checkpoint, Memo, worker_deaths
from physics_twin.errors import StoppedError
from physics_twin.progress import Progress


@dataclass(frozen=True)
class Work:
    """What `calibrate` was given besides the problem.

    executor: runs jobs elsewhere; None runs them here. checkpoint: where evaluations are remembered. preview: called
    with an `Estimate` as soon as there is a rough one, by methods that refine it for long.
    """

    executor: Executor | None = None
    progress: Progress = field(default_factory=Progress)
    checkpoint: Checkpoint | None = None
    preview: Callable[[Any], None] = lambda rough: None

    def memo(self, name: str) -> Memo:
        """The journal of a job that runs in this process."""
        return NO_MEMO if self.checkpoint is None else self.checkpoint.memo(name)

    def run[R](self, what: str, function: Callable[..., R], jobs: Sequence[tuple[Any, ...]]) -> list[R]:
        """function(*job, memo) for each job, in their order, whoever computes them and whenever they finish.

        what: names the jobs in the progress bar and, with their number, their journals. function: of a module, so that
        it travels to worker processes. Raises StoppedError when a worker process dies.
        """
        return list(self.each(what, function, jobs))

    def each[R](self, what: str, function: Callable[..., R], jobs: Sequence[tuple[Any, ...]]) -> Iterator[R]:
        """As `run`, one result at a time, for a caller that keeps little of each; to be read to its end."""
        memos = [self.memo(f"{what}-{i}") for i in range(len(jobs))]
        with self.progress.of(what, len(jobs)) as step:
            if self.executor is None or len(jobs) == 1:
                for job, memo in zip(jobs, memos, strict=True):
                    result = remembered(function, job, memo)
                    step()
                    yield result
                    del result  # or it stays until the next one is there
                return
            futures: deque[Future[R]] = deque()
            # Dask takes equal calls for one: without this, calling again would repeat the error of a dead worker.
            attempt = secrets.token_hex(8)
            try:
                for job, memo in zip(jobs, memos, strict=True):
                    futures.append(self.executor.submit(remembered, function, job, memo, attempt))
                    futures[-1].add_done_callback(lambda _: step())
                while futures:
                    result = futures[0].result()
                    futures.popleft()  # a future keeps its result
                    yield result
                    del result
            except worker_deaths() as error:
                hint = (
                    "what was simulated so far is kept: call calibrate again with the same checkpoint="
                    if self.checkpoint
                    else "with checkpoint= the simulations done so far would be kept"
                )
                raise StoppedError(
                    f"a worker process died during the fit ({error}); it may have run out of memory: try fewer "
                    f"workers; {hint}"
                ) from error
            finally:
                for future in futures:
                    future.cancel()
                if isinstance(sys.exception(), Exception):
                    # Jobs that run still hold their journals; a call right after this one would find them locked.
                    wait([future for future in futures if not future.cancelled()])


def remembered[R](function: Callable[..., R], job: tuple[Any, ...], memo: Memo, attempt: str = "") -> R:
    """One job, in whichever process; lets go of its journal at the end. attempt: makes the call unlike others."""
    with memo:
        return function(*job, memo)
