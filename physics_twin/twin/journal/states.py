"""Saved twins inside a journal, and the way from one of them to the present."""

from typing import TYPE_CHECKING, Any

from physics_twin.errors import FileFormatError
from physics_twin.twin.journal.database import Database
from physics_twin.twin.moments import moment, stamp

if TYPE_CHECKING:
    from physics_twin.model import Model
    from physics_twin.twin.journal.journal import Journal
    from physics_twin.twin.twin import Twin


def write(database: Database, asset: int, twin: "Twin", number: int, keep: int) -> None:
    """Put a twin in the place of one with the same number; the oldest beyond `keep` go, inside a transaction."""
    from physics_twin.twin.storage import to_bytes

    oldest = min([twin.state.time, *(snapshot.time for snapshot in twin.snapshots)])
    database.execute("DELETE FROM states WHERE asset = ? AND number = ?", (asset, number))
    database.insert(
        "INSERT INTO states VALUES (?, ?, ?, ?, ?, ?)",
        [(asset, number, twin.until, oldest, twin.digest, to_bytes(twin))],
    )
    stay = database.execute(
        "SELECT number FROM states WHERE asset = ? ORDER BY number DESC LIMIT ?", (asset, max(keep, 1))
    )
    oldest_kept = stay[-1][0]
    database.execute("DELETE FROM states WHERE asset = ? AND number < ?", (asset, oldest_kept))
    # Every kept state knows all appends up to the oldest of them.
    database.execute("DELETE FROM appends WHERE asset = ? AND number <= ?", (asset, oldest_kept))


def resume(journal: "Journal", database: Database, asset: str, own: int, model: "Model", before: Any) -> "Twin | None":
    """The saved twin, and everything after it."""
    from physics_twin.twin import assimilate
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
    for number, entries in journal.appended(asset, state.number):
        twin, _ = assimilate(twin, entries, budget=None, journal=journal.of(asset, reached=number))
    return twin
