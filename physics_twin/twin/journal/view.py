"""One asset of a journal, as a fold reads it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from physics_twin.twin.journal.rows import LATEST
from physics_twin.twin.moments import stamp
from physics_twin.twin.timeline import Entry

if TYPE_CHECKING:
    from physics_twin.twin.journal.journal import Journal

ALWAYS = -LATEST
"""Before all times."""


@dataclass(frozen=True)
class Timeline:
    """The entries of one asset in a journal, up to one append."""

    journal: "Journal"
    asset: str
    reached: int = LATEST

    def append(
        self, entries: Iterable[Entry], positions: Mapping[str, str | int | float] | None = None, *, until: Any = None
    ) -> int:
        """See `Journal.append`."""
        return self.journal.append(self.asset, entries, positions, until=until)

    def entries(self, since: Any = None, until: Any = None) -> Iterator[Entry]:
        """Entries with since <= time <= until, in the order of the timeline."""
        return self.journal.entries(self.asset, since, until, reached=self.reached)

    @property
    def complete_since(self) -> int:
        """The moment (ns UTC) since which no entry is missing: before all times where nothing was ever pruned."""
        return self.journal.complete_since(self.asset)

    def __str__(self) -> str:
        since = self.complete_since
        return f"timeline of {self.asset}, " + ("complete" if since == ALWAYS else f"complete since {stamp(since)}")
