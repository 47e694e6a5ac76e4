"""A progress bar where a person waits; nothing otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Shows how far a calibration is, if `shown`."""

    shown: bool = False

    @contextmanager
    def of(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Yield a function to call when one of `total` is done."""
        if not self.shown:
            yield lambda: None
            return
        from rich.progress import Progress as Bar

        with Bar(transient=True) as bar:
            task = bar.add_task(f"calibrate: {what}", total=total)
            yield lambda: bar.advance(task)
