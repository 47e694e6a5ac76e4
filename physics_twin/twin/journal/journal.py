"""`Journal`: everything that happened to the twins of a plant, written down before it acts.

The order that makes every sample act exactly once: append to the journal, acknowledge to the source, assimilate. A
source that delivers at least once may deliver again whatever was not acknowledged; what is in the journal already has
no effect. After a kill `resume` takes the last saved twin and folds what the journal holds beyond it.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from physics_twin.errors import DataError, FileFormatError, JournalError
from physics_twin.twin.audit import Audit, AuditRecord
from physics_twin.twin.journal.database import Database, Row
from physics_twin.twin.journal.rows import COLUMNS, LATEST, check_text, entry_of, row_of
from physics_twin.twin.journal.sqlite import SQLite
from physics_twin.twin.journal.view import ALWAYS, Timeline
from physics_twin.twin.moments import moment
from physics_twin.twin.timeline import Entry

if TYPE_CHECKING:
    import os

    from physics_twin.model import Model
    from physics_twin.twin.journal.states import PackedTwin
    from physics_twin.twin.twin import Twin

VERSION = 1
KEEP = 3
"""Saved twins of each asset: the newest, and others to go back to."""
LOCATORS = ("postgresql://", "postgres://")

_INSERT = f"INSERT INTO entries ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_SELECT = f"SELECT {COLUMNS} FROM entries"


@dataclass(frozen=True)
class SavedState:
    """A twin that the journal keeps. time: of the twin, ns UTC; number: the last append that it has taken in."""

    time: int
    number: int
    digest: str
    n_bytes: int


class Journal:
    """Samples, operations, positions of sources, saved twins and audit logs of any number of assets.

    target: the path of a file (SQLite), or "postgresql://user@host/database". One process writes: to a file, or to an
    asset in PostgreSQL; read_only=True reads beside it.

    Every method that writes returns when the disk has it. Raises JournalError where it cannot be written (a full
    disk, another writer, a server that does not answer): then nothing of the call is in it. Raises FileFormatError
    for a file of something else or of a later version.

    One thread at a time works with it; others wait.
    """

    def __init__(self, target: "str | os.PathLike[str]", *, read_only: bool = False) -> None:
        self._turn = threading.RLock()
        self._grouped = self._spoiled = False
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._last: dict[str, int] = {}
        self._database: Database
        if isinstance(target, str) and target.startswith(LOCATORS):
            from physics_twin.twin.journal.postgres import PostgreSQL

            self._database = PostgreSQL(target, read_only=read_only)
        else:
            self._database = SQLite(Path(target), read_only=read_only)
        try:
            self._check_version(read_only)
        except BaseException:
            self.close()
            raise

    def _check_version(self, read_only: bool) -> None:
        import physics_twin

        found = self._database.execute("SELECT version, writer FROM journal")
        if not found and not read_only:
            with self._database.transaction():
                self._database.insert(
                    "INSERT INTO journal (version, writer) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    [(VERSION, f"physics_twin {physics_twin.__version__}")],
                )
        elif found and found[0][0] != VERSION:
            raise FileFormatError(
                f"the journal has version {found[0][0]} and was made by {found[0][1]}; this library reads version "
                f"{VERSION}: use that one or a later one"
            )

    def append(
        self,
        asset: str,
        entries: Iterable[Entry],
        positions: Mapping[str, str | int | float] | None = None,
        *,
        until: Any = None,
    ) -> int:
        """Write down entries and how far their sources are read, in one commit; how many entries are new.

        asset: its name. entries: samples and operations, in any order; one with the same channel, time and source as
        one that is there has no effect. positions: source -> where to read on after a restart. until: the present, for
        who gives it to `assimilate`: then the resumed twin lets later entries wait as the live one did. Raises
        DataError for an entry that cannot be kept, JournalError; in both cases nothing of the call is written.
        """
        with self._writing(asset) as own:
            number, present = self._number(asset, own) + 1, None if until is None else moment(until)
            rows = [row_of(entry, own, number, place, self._id) for place, entry in enumerate(entries)]
            n_new = self._database.insert(_INSERT, rows) if rows else 0
            if n_new:
                oldest = min(row[1] for row in rows)
                self._database.execute("INSERT INTO appends VALUES (?, ?, ?, ?)", (own, number, oldest, present))
                self._last[asset] = number
            if positions:
                self._database.insert(
                    "INSERT INTO positions VALUES (?, ?, ?) "
                    "ON CONFLICT (asset, source) DO UPDATE SET position = excluded.position",
                    [(own, check_text(source), json.dumps(position)) for source, position in positions.items()],
                )
        return n_new

    @contextmanager
    def group(self) -> Iterator[None]:
        """Everything written inside becomes durable in one commit at the end: many assets, one wait for the disk.

        An error inside undoes all of it. Acknowledge after the block, not inside. Reads see what was committed
        before the block.

        >>> import tempfile
        >>> from physics_twin.twin.timeline import Sample
        >>> with tempfile.TemporaryDirectory() as folder, Journal(f"{folder}/plant.journal") as journal:
        ...     with journal.group():
        ...         n = [journal.append(a, [Sample("T1", 0, 20.5, "degC")]) for a in ("line1", "line2")]
        ...     print(n, journal.assets)
        [1, 1] ('line1', 'line2')
        """
        with self._turn:
            if self._grouped:
                raise JournalError("a group of a journal is open already; end it before the next one")
            self._grouped, self._spoiled = True, False
            try:
                with self._database.transaction():
                    yield
                    if self._spoiled:
                        raise JournalError("a call inside a group of a journal failed: nothing of the group is kept")
            except BaseException:
                self._forget()
                raise
            finally:
                self._grouped = False

    @contextmanager
    def _writing(self, asset: str) -> Iterator[int]:
        """A transaction, the group's where one is open, and the number of the asset."""
        with self._turn:
            if self._grouped:
                if self._spoiled:
                    raise JournalError("a call inside this group of a journal failed: leave the group and begin anew")
                try:
                    self._database.claim(asset)
                    yield self._id(asset)
                except BaseException:
                    self._spoiled = True
                    raise
                return
            self._database.claim(asset)
            try:
                with self._database.transaction():
                    yield self._id(asset)
            except BaseException:
                self._forget()
                raise

    def _forget(self) -> None:
        """What was undone must not be remembered."""
        self._ids.clear()
        self._texts.clear()
        self._last.clear()

    def _id(self, text: str) -> int:
        """The number of a name; a new name gets one, inside a transaction."""
        while text not in self._ids:
            check_text(text)
            # Another writer of the same server may take the same number first: then the next one is tried.
            self._database.execute(
                "INSERT INTO names SELECT COALESCE(MAX(id), 0) + 1, CAST(? AS TEXT) FROM names WHERE NOT EXISTS "
                "(SELECT 1 FROM names WHERE text = ?) ON CONFLICT DO NOTHING",
                (text, text),
            )
            found = self._database.execute("SELECT id FROM names WHERE text = ?", (text,))
            if found:
                self._ids[text] = int(found[0][0])
        return self._ids[text]

    def _known(self, asset: str) -> int:
        """The number of a name that may not be there: -1 then. Writes nothing."""
        found = self._database.execute("SELECT id FROM names WHERE text = ?", (asset,))
        return int(found[0][0]) if found else -1

    def _text(self, number: int) -> str:
        if number not in self._texts:
            self._texts.update({int(k): text for k, text in self._database.execute("SELECT id, text FROM names")})
        if number not in self._texts:
            raise JournalError(f"the journal is damaged: nothing has the name number {number}")
        return self._texts[number]

    def _number(self, asset: str, own: int) -> int:
        """The last append of an asset."""
        if asset not in self._last:
            found = self._database.execute(
                "SELECT COALESCE(MAX(number), 0) FROM (SELECT number FROM appends WHERE asset = ? "
                "UNION ALL SELECT number FROM states WHERE asset = ?) AS found",
                (own, own),
            )
            self._last[asset] = int(found[0][0])
        return self._last[asset]

    @property
    def assets(self) -> tuple[str, ...]:
        """Names of all assets with an entry, a saved twin or a position, sorted."""
        with self._turn:
            found = self._database.execute(
                "SELECT asset FROM entries GROUP BY asset UNION SELECT asset FROM states "
                "UNION SELECT asset FROM positions"
            )
            return tuple(sorted(self._text(row[0]) for row in found))

    def positions(self, asset: str) -> dict[str, Any]:
        """Source -> where it is to be read on."""
        with self._turn:
            rows = self._database.execute(
                "SELECT source, position FROM positions WHERE asset = ?", (self._known(asset),)
            )
            return {source: json.loads(position) for source, position in sorted(rows)}

    def reached(self, asset: str) -> int:
        """The number of the last append that brought something new; 0 before the first."""
        with self._turn:
            return self._number(asset, self._known(asset))

    def complete_since(self, asset: str) -> int:
        """The moment (ns UTC) since which no entry is missing: before all times where nothing was ever pruned."""
        with self._turn:
            found = self._database.execute("SELECT before FROM pruned WHERE asset = ?", (self._known(asset),))
            return int(found[0][0]) if found else ALWAYS

    def of(self, asset: str, *, reached: int | None = None) -> Timeline:
        """The entries of one asset, as `assimilate(..., journal=)` takes them; reached: up to that append only."""
        return Timeline(self, asset, LATEST if reached is None else reached)

    def entries(self, asset: str, since: Any = None, until: Any = None, *, reached: int = LATEST) -> Iterator[Entry]:
        """Entries with since <= time <= until, in the order of the timeline, read as they are asked for.

        since, until: as `moment` reads them; without, from the first and to the last. reached: of appends up to this
        one. Entries that were pruned are not among them: see `complete_since`.
        """
        first = ALWAYS if since is None else moment(since)
        last = LATEST if until is None else moment(until)
        with self._turn:
            own = self._known(asset)
        same: list[Entry] = []
        rows = self._database.stream(
            f"{_SELECT} WHERE asset = ? AND time >= ? AND time <= ? AND number <= ? ORDER BY time",
            (own, first, last, reached),
        )
        for row in rows:
            with self._turn:
                entry = entry_of(row, self._text)
            if same and entry.time != same[0].time:
                yield from sorted(same, key=lambda one: one.key)
                same = []
            same.append(entry)
        yield from sorted(same, key=lambda one: one.key)

    def appended(self, asset: str, after: int) -> list[tuple[int, list[Entry]]]:
        """(number, entries) of the appends after one of them, all in the order in which they came."""
        with self._turn:
            own = self._known(asset)
            oldest = self._database.execute(
                "SELECT MIN(oldest) FROM appends WHERE asset = ? AND number > ?", (own, after)
            )[0][0]
            if oldest is None:
                return []
            rows = self._database.execute(
                f"{_SELECT} WHERE asset = ? AND time >= ? AND number > ? ORDER BY number, place", (own, oldest, after)
            )
            found: dict[int, list[Entry]] = {}
            for row in rows:
                found.setdefault(int(row[4]), []).append(entry_of(row, self._text))
        return list(found.items())

    def save_state(self, asset: str, twin: "Twin | PackedTwin", *, reached: int, keep: int = KEEP) -> None:
        """Write down a twin, or one that another process packed, and what its audit log has gained, in one commit.

        reached: the last append that the twin has been given, as `reached` told it right after that append; 0 for a
        twin at its start. What was appended later is folded by `resume`; what is said to be reached never is. keep: so
        many saved twins stay. Raises DataError where the audit log of the twin contradicts the one that is written,
        JournalError.
        """
        from physics_twin.twin.journal.states import PackedTwin, write

        packed = twin if isinstance(twin, PackedTwin) else PackedTwin.of(twin)
        with self._writing(asset) as own:
            number = self._number(asset, own)
            if not 0 <= reached <= number:
                raise DataError(f"{asset}: the journal has {number} appends, the twin cannot have reached {reached}")
            write(self._database, own, packed, reached, keep)
            self._write_audit(asset, own, packed.audit)

    def _write_audit(self, asset: str, own: int, audit: Audit) -> None:
        found = self._database.execute(
            "SELECT number, hash FROM audit WHERE asset = ? ORDER BY number DESC LIMIT 1", (own,)
        )
        n = int(found[0][0]) if found else 0
        if n and (len(audit) < n or audit[n - 1].hash != found[0][1]):
            raise DataError(
                f"the audit log of {asset} in the journal has {n} records and ends with {found[0][1][:12]}; that of "
                "this twin does not continue it: was the twin resumed from this journal?"
            )
        rows: list[Row] = [(own, k, audit[k - 1].hash, audit[k - 1].line) for k in range(n + 1, len(audit) + 1)]
        if rows:
            self._database.insert("INSERT INTO audit VALUES (?, ?, ?, ?)", rows)

    def audit(self, asset: str) -> Audit:
        """The audit log as it was written down, verified; raises DataError that names the first broken record."""
        with self._turn:
            rows = self._database.execute(
                "SELECT record FROM audit WHERE asset = ? ORDER BY number", (self._known(asset),)
            )
        log = Audit(tuple(AuditRecord.from_line(row[0]) for row in rows))
        log.verify()
        return log

    def states(self, asset: str) -> tuple[SavedState, ...]:
        """The saved twins of an asset, newest first."""
        with self._turn:
            rows = self._database.execute(
                "SELECT time, number, digest, LENGTH(content) FROM states WHERE asset = ? ORDER BY number DESC",
                (self._known(asset),),
            )
        return tuple(SavedState(int(time), int(number), digest, int(n)) for time, number, digest, n in rows)

    def resume(self, asset: str, model: "Model", *, before: Any = None) -> "Twin | None":
        """The twin as it would be had it never stopped, to the last bit on the same machine and build.

        The last saved twin, or the last one before the moment `before`, is given every append after it, in the order in
        which they came, as `assimilate(..., until=, journal=journal.of(asset), budget=None)` does, `until` as `append`
        was told it. None where no twin of the asset was saved: start one, save it and give it `entries(asset)`. Raises
        FileFormatError for a saved twin of another model or that is damaged, and says how to try an older one.
        """
        from physics_twin.twin.intake import assimilate

        found = self.saved(asset, model, before=before)
        if found is None:
            return None
        twin, reached = found
        with self._turn:
            rows = self._database.execute(
                "SELECT number, present FROM appends WHERE asset = ? AND number > ?", (self._known(asset), reached)
            )
        presents = {int(number): present for number, present in rows}
        for number, entries in self.appended(asset, reached):
            present = presents.get(number)
            twin, _ = assimilate(twin, entries, until=present, budget=None, journal=self.of(asset, reached=number))
        return twin

    def saved(self, asset: str, model: "Model", *, before: Any = None) -> "tuple[Twin, int] | None":
        """The last saved twin, and the number of the last append that it has taken in; None where none was saved.

        For who goes through the rest step by step: `appended(asset, number)`. Raises as `resume`.
        """
        from physics_twin.twin.journal.states import saved

        with self._turn:
            return saved(self, self._database, asset, self._known(asset), model, before)

    def prune(self, asset: str, before: Any) -> int:
        """Remove entries older than a moment; how many.

        What a saved twin may still fold again stays, and what none has taken in. Positions, saved twins and the audit
        log stay. The file keeps its size: the room is used again.
        """
        moment_before = moment(before)
        with self._writing(asset) as own:
            kept = self._database.execute("SELECT MIN(oldest), MIN(number) FROM states WHERE asset = ?", (own,))
            oldest, number = kept[0]
            if oldest is None:
                return 0
            end = min(moment_before, int(oldest))
            gone = self._database.execute(
                "SELECT COUNT(*) FROM entries WHERE asset = ? AND time < ? AND number <= ?", (own, end, number)
            )[0][0]
            if gone:
                self._database.execute(
                    "DELETE FROM entries WHERE asset = ? AND time < ? AND number <= ?", (own, end, number)
                )
                self._database.insert(
                    "INSERT INTO pruned VALUES (?, ?) ON CONFLICT (asset) DO UPDATE SET before = CASE "
                    "WHEN excluded.before > pruned.before THEN excluded.before ELSE pruned.before END",
                    [(own, end)],
                )
            return int(gone)

    @property
    def n_bytes(self) -> int:
        """Bytes on disk, of all assets."""
        with self._turn:
            return self._database.size

    def close(self) -> None:
        """Let go of the file or the connection, and of the lock."""
        with self._turn:
            self._database.close()

    def __enter__(self) -> Self:
        """Use it, and close it at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
