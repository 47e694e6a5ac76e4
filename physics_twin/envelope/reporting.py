"""How a search tells what it is doing: to the log always, and to the person who waits for it.

A terminal shows what is being done; a file or a batch system gets a line now and then (see `progress`).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from physics_twin.progress import Progress


class Counting(Protocol):
    """What simulates and counts."""

    n_simulations: int


@contextmanager
def reporting(progress: bool, logger: logging.Logger, verb: str, shown: str) -> Iterator[Callable[[str], None]]:
    """A function that takes what is being done, in words.

    progress: whether the person who waits is told, after `shown`. verb: name in the log of what was called; the log has
    every stage at level INFO.
    """
    with Progress(progress).stages(shown) as show:

        def report(text: str) -> None:
            logger.info("%s: %s", verb, text)
            show(text)

        yield report


def counted(report: Callable[[str], None], simulate: Counting) -> Callable[[str], None]:
    """`report`, which also says how many simulations are done."""
    return lambda text: report(f"{text}; {simulate.n_simulations} simulations so far")
