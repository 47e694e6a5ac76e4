"""Saved twins inside a journal, and the way from one of them to the present."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from physics_twin.errors import FileFormatError
from physics_twin.twin.audit import Audit
from physics_twin.twin.journal.database import Database
from physics_twin.twin.moments import moment, stamp

if TYPE_CHECKING:
    from physics_twin.model import Model
    from physics_twin.twin.journal.journal import Journal
    from physics_twin.twin.twin import Twin


@dataclass(frozen=True)
class PackedTwin:
    """A twin on its way to the journal from another process: the one that writes needs no model.

    content: as files of twins. until, oldest: ns UTC, its present and the first moment that it may filter again.
    """

    content: bytes
    until: int
    oldest: int
    digest: str
    audit: Audit

    @classmethod
    def of(cls, twin: "Twin") -> "PackedTwin":
        """Raises DataError for what no file can hold."""
        from physics_twin.twin.storage import to_bytes

        oldest = min([twin.state.time, *(snapshot.time for snapshot in twin.snapshots)])
        return cls(to_bytes(twin), twin.until, oldest, twin.digest, twin.audit)


def write(database: Database, asset: int, twin: PackedTwin, number: int, keep: int) -> None:
    """Put a twin in the place of one with the same number; the oldest beyond `keep` go, inside a transaction."""
    database.execute("DELETE FROM states WHERE asset = ? AND number = ?", (asset, number))
    database.insert(
        "INSERT INTO states VALUES (?, ?, ?, ?, ?, ?)",
        [(asset, number, twin.until, twin.oldest, twin.digest, twin.content)],
    )
    stay = database.execute(
        "SELECT number FROM states WHERE asset = ? ORDER BY number DESC LIMIT ?", (asset, max(keep, 1))
    )
    oldest_kept = stay[-1][0]
    database.execute("DELETE FROM states WHERE asset = ? AND number < ?", (asset, oldest_kept))
    # Every kept state knows all appends up to the oldest of them.
    database.execute("DELETE FROM appends WHERE asset = ? AND number <= ?", (asset, oldest_kept))


def saved(
    journal: "Journal", database: Database, asset: str, own: int, model: "Model", before: Any
) -> "tuple[Twin, int] | None":
    """The saved twin, and the number of the last append that it has taken in."""
    from physics_twin.twin.storage import from_bytes

    states = journal.states(asset)
    chosen = [state for state in states if before is None or state.time < moment(before)]
    if not chosen:
        if states:
            times = ", ".join(stamp(state.time) for state in states)
            raise FileFormatError(f"{asset} has no saved twin before {stamp(moment(before))}; there are {times}")
        return None
    state = chosen[0]
    row = database.execute("SELECT content FROM states WHERE asset = ? AND number = ?", (own, state.number))
    try:
        twin = from_bytes(bytes(row[0][0]), model, name=f"the twin of {asset} saved at {stamp(state.time)}")
    except FileFormatError as error:
        older = any(one.time < state.time for one in chosen[1:])
        hint = f'; try resume with before="{stamp(state.time)}"' if older else ""
        raise FileFormatError(f"{error}{hint}") from error
    return twin, state.number
