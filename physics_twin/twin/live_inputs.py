"""Live inputs: when each was last read, and what is said of one that nobody reads any more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from physics_twin.measurements.quality import duration_text
from physics_twin.twin.moments import SECOND, stamp
from physics_twin.twin.state import GAPS, InputMonitor

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin


@dataclass(frozen=True)
class InputHealth:
    """One live input. last_good: ns UTC of the last reading that was taken, None for never. age: s since then, NaN for
    never. n_left_out: readings since then that were not. words: what is wrong with it, "" where nothing is.
    """

    name: str
    last_good: int | None
    age: float
    n_left_out: int
    words: str

    @property
    def record(self) -> dict[str, str | float | int | None]:
        """For a monitor: times as UTC texts, durations in s."""
        return {
            "name": self.name,
            "last_good_reading": None if self.last_good is None else stamp(self.last_good),
            "age_s": self.age,
            "n_left_out": self.n_left_out,
            "words": self.words,
        }


def remember(
    monitors: Mapping[str, InputMonitor], time: int, given: Iterable[str], taken: Iterable[str]
) -> Mapping[str, InputMonitor]:
    """The monitors after the readings of one moment. given: inputs with a reading; taken: those whose reading is good.

    time: ns.
    """
    found, good = dict(monitors), set(taken)
    for name in given:
        before = found.get(name, InputMonitor())
        if name not in good:
            found[name] = replace(before, n_left_out=before.n_left_out + 1)
            continue
        since = 0 if before.last_good is None else time - before.last_good
        found[name] = InputMonitor(time, max(before.longest, since), before.n_good + 1, 0)
    return found


def inputs_of(twin: "Twin") -> tuple[InputHealth, ...]:
    """The live inputs of the running recipe.

    One that is recorded when it changes is silent in between: three times as long as ever is too long. One that was
    read once is a constant.
    """
    found = []
    for name in twin.state.batch.recipe.settings:
        own = twin.state.live.get(name, InputMonitor())
        age = float("nan") if own.last_good is None else (twin.until - own.last_good) / SECOND
        held = "" if own.last_good is None else f": the value of {duration_text(age)} ago is held"
        words, n = "", own.n_left_out
        if n:
            last = f"{n} readings of this input are" if n > 1 else "reading of this input is"
            words = f"the last {last} not good{held}"
        elif own.n_good > 1 and age > max(twin.setup.guard.gap, GAPS * own.longest / SECOND):
            words = f"an input that has been silent{held}"
        found.append(InputHealth(name, own.last_good, age, n, words))
    return tuple(found)
