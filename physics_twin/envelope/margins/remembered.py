"""Pieces of simulations, computed here or by workers, each remembered as soon as it is there.

A piece is asked by its numbers: the same values of the same problem are looked up in the journal and not simulated.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from functools import partial

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Arrays, Memo, worker_deaths
from physics_twin.errors import StoppedError
from physics_twin.model import Ensembles, Failure, Model

MEMBERS_AT_ONCE = 2000
"""Bounds memory, and is the piece that one worker takes of a model that simulates many members at once."""
FEW_AT_ONCE = 20
"""The piece of any other model: a kill loses no more than this, and workers share evenly."""

type Values = Mapping[str, Array]
type Piece = tuple[Array, tuple[Failure, ...]]
"""Margins (n_members, n_requirements) and the members that failed."""


def piece_size(model: Model) -> int:
    """Members in a piece."""
    return MEMBERS_AT_ONCE if isinstance(model, Ensembles) else FEW_AT_ONCE


def in_pieces[P](
    compute: Callable[[P, Values], Piece],
    problem: P,
    jobs: Sequence[Values],
    executor: Executor | None,
    memo: Memo,
    about: str,
) -> list[Piece]:
    """compute(problem, job) for each job, in their order; those that the journal knows are read from it.

    compute: of a module, so that it travels to workers. about: names the problem in the journal. Raises StoppedError
    when a worker dies.
    """

    def remembered(job: Values, answer: Callable[[], Piece]) -> Piece:
        return _read(memo.recall(_named(about, job), _numbers(job), lambda: _written(answer())))

    if executor is None:
        return [remembered(job, partial(compute, problem, job)) for job in jobs]
    new = [i for i, job in enumerate(jobs) if not memo.knows(_named(about, job), _numbers(job))]
    futures: dict[Future[Piece], int] = {}
    found: dict[int, Piece] = {}
    try:
        futures |= {executor.submit(compute, problem, jobs[i]): i for i in new}
        for future in as_completed(futures):
            i = futures[future]
            found[i] = remembered(jobs[i], future.result)
    except worker_deaths() as error:
        kept = "what was simulated so far is kept: call again with the same checkpoint="
        raise StoppedError(
            f"a worker process died during the search ({error}); it may have run out of memory: try fewer workers; "
            + (kept if memo.path else "with checkpoint= the simulations done so far would be kept")
        ) from error
    finally:
        for future in futures:
            future.cancel()
    return [found[i] if i in found else remembered(job, partial(compute, problem, job)) for i, job in enumerate(jobs)]


def _named(about: str, job: Values) -> str:
    return f"{about} {' '.join(job)}"


def _numbers(job: Values) -> tuple[Array, ...]:
    return tuple(np.asarray(x, dtype=float) for x in job.values())


def _written(piece: Piece) -> Arrays:
    """A piece as arrays, which are all that a journal holds."""
    margins, failures = piece
    told = json.dumps([[f.member, f.reason, f.time] for f in failures])
    return {"margins": margins, "failures": np.frombuffer(told.encode(), dtype=np.uint8)}


def _read(arrays: Arrays) -> Piece:
    told = json.loads(np.asarray(arrays["failures"], dtype=np.uint8).tobytes())
    return arrays["margins"], tuple(Failure(int(member), str(why), float(time)) for member, why, time in told)
