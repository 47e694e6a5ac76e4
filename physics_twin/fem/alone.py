"""One run of a field model at a time in a process: DOLFINx, PETSc and the fields that a model writes to are shared.

Threads wait for one another; parallel work goes through processes or MPI.
"""

import functools
import threading
from collections.abc import Callable
from typing import Concatenate

_LOCK = threading.RLock()


def alone[S, **P, R](method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A method that runs alone among all that are marked so."""

    @functools.wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with _LOCK:
            return method(self, *args, **kwargs)

    return run
