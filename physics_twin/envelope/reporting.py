"""How a search tells what it is doing: to the log always, to the terminal where a person waits for it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def reporting(progress: bool, logger: logging.Logger, verb: str, shown: str) -> Iterator[Callable[[str], None]]:
    """A function that takes what is being done, in words.

    progress: whether a line on the terminal shows it, after `shown`. verb: name in the log of what was called.
    """
    if not progress:
        yield lambda text: logger.info("%s: %s", verb, text)
        return
    from rich.console import Console

    with Console(stderr=True).status(shown) as status:

        def report(text: str) -> None:
            logger.info("%s: %s", verb, text)
            status.update(f"{shown}: {text}")

        yield report
