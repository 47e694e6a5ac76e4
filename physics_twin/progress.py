"""How far a calibration or a search is and how long it will take, where a person waits; nothing otherwise.

A bar in a terminal; a line now and then where the output goes to a file or a batch system.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

EVERY = 30.0
"""Seconds between two lines."""


@dataclass(frozen=True)
class Progress:
    """Shows how far something is, if `shown`; on standard error, where it mixes with no result.

    console: where to show it. clock: seconds; nothing but what is shown depends on it.
    """

    shown: bool = False
    console: "Console | None" = None
    clock: Callable[[], float] = field(default=time.monotonic)

    @contextmanager
    def of(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Yield a function to call when one of `total` is done."""
        if not self.shown:
            yield lambda: None
            return
        from rich.console import Console

        console = self.console or Console(stderr=True)
        if not console.is_terminal:
            yield _Lines(console, self.clock, f"calibrate: {what}", total).step
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeRemainingColumn

        left = TimeRemainingColumn(elapsed_when_finished=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), left, TextColumn("left"))
        with Bar(*columns, console=console, transient=True) as bar:
            task = bar.add_task(f"calibrate: {what}", total=total)
            yield lambda: bar.advance(task)

    @contextmanager
    def stages(self, what: str) -> Iterator[Callable[[str], None]]:
        """Yield a function to call with words at each stage of work whose end nobody knows beforehand.

        A terminal shows the last words; elsewhere the first ones are written at once, others when `EVERY` seconds have
        passed since the last line, with the time that has passed since the beginning.
        """
        if not self.shown:
            yield lambda text: None
            return
        from rich.console import Console

        console = self.console or Console(stderr=True)
        if console.is_terminal:
            with console.status(what) as status:
                yield lambda text: status.update(f"{what}: {text}")
            return
        begin, last = self.clock(), -math.inf

        def line(text: str) -> None:
            nonlocal last
            now = self.clock()
            if now - last >= EVERY:
                last = now
                told = f"{what}, {_duration(now - begin)}: {text}"
                console.print(told, markup=False, highlight=False, soft_wrap=True)

        yield line
        if (passed := self.clock() - begin) >= EVERY:
            console.print(f"{what}: done in {_duration(passed)}", markup=False, highlight=False)


class _Lines:
    """Lines of text, at most one every `EVERY` seconds, and one at the end of what took longer than that."""

    def __init__(self, console: "Console", clock: Callable[[], float], title: str, total: int) -> None:
        self._console, self._clock, self._title, self._total = console, clock, title, total
        self._begin = self._last = clock()
        self._done = 0

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = self._clock()
        over = self._done == self._total and now - self._begin >= EVERY
        if now - self._last < EVERY and not over:
            return
        self._last = now
        left = (now - self._begin) / self._done * (self._total - self._done)
        text = f"done in {_duration(now - self._begin)}" if left == 0.0 else f"about {_duration(left)} left"
        self._console.print(f"{self._title}: {self._done} of {self._total}, {text}", markup=False, highlight=False)


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever shows two digits."""
    for size, unit in ((5400.0, "h"), (90.0, "min")):
        if seconds >= size:
            return f"{seconds / (3600.0 if unit == 'h' else 60.0):.1f} {unit}"
    return f"{seconds:.0f} s"
