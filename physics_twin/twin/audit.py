"""The audit log of a twin: who did what, when and why, in a chain of hashes that shows every later change.

Each record holds the hash of the one before it, and its own hash is taken over everything else in it. Whoever alters,
drops, adds or reorders a record in the middle breaks the chain there; `verify` names the first broken record. Dropping
the newest records leaves a whole, shorter chain: whoever must be able to prove the end of a log writes down `Audit.tip`
somewhere else.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physics_twin.errors import DataError, FileFormatError
from physics_twin.files import atomic_write
from physics_twin.twin.moments import moment, stamp

GENESIS = "0" * 64
"""What stands for the hash before the first record."""
LONGEST_NAME = 200
LONGEST_REASON = 2000
LONGEST_CONTENT = 1_000_000
"""Characters: a log that is kept for years must not be filled by one slip."""
SHOWN = 60

_KEYS = {"time", "who", "act", "reason", "content", "previous", "hash"}


@dataclass(frozen=True)
class AuditRecord:
    """One act. time: ns UTC; content: plain JSON, numbers in SI; previous, hash: SHA-256 in hexadecimal."""

    time: int
    who: str
    act: str
    reason: str
    content: Mapping[str, Any]
    previous: str
    hash: str

    @property
    def fingerprint(self) -> str:
        """What its hash must be."""
        return _fingerprint(self.time, self.who, self.act, self.reason, self.content, self.previous)

    @property
    def line(self) -> str:
        """The record as one line of JSON, in one way only: equal records have equal lines."""
        record = {key: getattr(self, key) for key in ("time", "who", "act", "reason", "content", "previous", "hash")}
        return _canonical(record)

    @classmethod
    def from_line(cls, line: str) -> "AuditRecord":
        """The record of a line; raises FileFormatError. Whether it belongs to a chain is for `Audit.verify`."""
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or set(record) != _KEYS:
                raise ValueError(f"a record holds {sorted(_KEYS)}")
            texts = {key: record[key] for key in _KEYS - {"time", "content"}}
            if not all(isinstance(text, str) for text in texts.values()):
                raise ValueError("who, act, reason and hashes are texts")
            if isinstance(record["time"], bool) or not isinstance(record["time"], int):
                raise ValueError("time is a whole number of ns")
            if not isinstance(record["content"], dict):
                raise ValueError("content is an object")
        except ValueError as error:
            raise FileFormatError(f"this is no record of an audit log ({error}): {line[:SHOWN]!r}") from None
        return cls(time=record["time"], content=record["content"], **texts)


@dataclass(frozen=True)
class Audit:
    """Records in the order in which they were written; immutable, `append` returns the longer one.

    >>> log = Audit().append("2026-11-20T06:00Z", "A. Miller", "mask", "sensor in repair", {"channel": "T1"})
    >>> log.verify()
    >>> len(log), log[0].previous == GENESIS
    (1, True)
    """

    records: tuple[AuditRecord, ...] = field(default=())

    def append(self, time: Any, who: str, act: str, reason: str, content: Mapping[str, Any] | None = None) -> "Audit":
        """Return the log with one more record.

        time: when it was done, as `moment` reads it. who: the person. act: what was done. reason: why, in words.
        content: plain JSON. Raises DataError as `recordable`.
        """
        kept = json.loads(recordable(who, act, reason, content or {}))
        at, previous = moment(time), self.tip
        own = AuditRecord(at, who, act, reason, kept, previous, _fingerprint(at, who, act, reason, kept, previous))
        return Audit((*self.records, own))

    def verify(self) -> None:
        """Raise DataError that names the first broken record; return where the chain is whole."""
        previous = GENESIS
        for number, record in enumerate(self.records, start=1):
            name = (
                f"record {number} of {len(self)} of the audit log ({record.act} by {record.who}, {stamp(record.time)})"
            )
            if record.previous != previous:
                raise DataError(
                    f"{name} does not follow the one before it: it names {record.previous[:12]}, that is "
                    f"{previous[:12]}; a record before it was changed, removed or added"
                )
            if record.hash != record.fingerprint:
                raise DataError(f"{name} was changed after it was written: its hash does not fit its content")
            previous = record.hash

    @property
    def tip(self) -> str:
        """The hash of the newest record: it stands for the whole log."""
        return self.records[-1].hash if self.records else GENESIS

    def to_json_lines(self, path: "str | os.PathLike[str]") -> None:
        """Write one line of JSON per record, whole or not at all."""
        with atomic_write(path) as temporary:
            temporary.write_text("".join(f"{record.line}\n" for record in self.records), encoding="utf8")

    @classmethod
    def from_json_lines(cls, path: "str | os.PathLike[str]") -> "Audit":
        """Read what `to_json_lines` wrote; raises FileFormatError for another file and DataError for a broken chain."""
        try:
            text = Path(path).read_text(encoding="utf8")
        except UnicodeDecodeError as error:
            raise FileFormatError(f"{Path(path).name} is no audit log: it is not text ({error})") from None
        # Not splitlines: it also splits at separators that may stand inside a reason.
        found = cls(tuple(AuditRecord.from_line(line) for line in text.split("\n") if line))
        found.verify()
        return found

    @property
    def table(self) -> list[tuple[str, str, str, str]]:
        """(time, who, act, reason) of every record, as texts."""
        return [(stamp(r.time), r.who, r.act, r.reason) for r in self.records]

    def __len__(self) -> int:
        """How many records."""
        return len(self.records)

    def __getitem__(self, position: int) -> AuditRecord:
        """One record."""
        return self.records[position]

    def __iter__(self) -> Iterator[AuditRecord]:
        """The records, oldest first."""
        return iter(self.records)

    def __str__(self) -> str:
        rows = [("time", "who", "act", "reason"), *self.table]
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]) for row in rows]
        return "\n".join([*lines, f"{len(self)} record{'' if len(self) == 1 else 's'}, hash {self.tip[:12]}"])


def recordable(who: str, act: str, reason: str, content: Mapping[str, Any]) -> str:
    """The content as the log keeps it.

    Raises DataError for an empty name, act or reason, a text that is too long and content that is no plain JSON.
    """
    for what, text, longest in (
        ("who", who, LONGEST_NAME),
        ("act", act, LONGEST_NAME),
        ("reason", reason, LONGEST_REASON),
    ):
        _check_text(what, text, longest)
    found = _canonical(plain_json(content, f"what is written down about {act}"))
    if len(found) > LONGEST_CONTENT:
        raise DataError(
            f"the record of {act} has {len(found)} characters, at most {LONGEST_CONTENT} are kept; write down "
            "a file name and its hash in place of the file"
        )
    return found


def plain_json(content: Mapping[str, Any], what: str) -> dict[str, Any]:
    """A copy of `content` that JSON gives back unchanged; raises DataError for what it would change or refuse.

    Floats are written by repr and read back to the same bits. Tuples come back as lists, and keys as texts: they are
    refused, since what is read again must equal what was written.
    """
    try:
        again = json.loads(json.dumps(dict(content), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} is no plain JSON ({error}); use texts, finite numbers, lists and mappings") from None
    if not _same(again, dict(content)):
        raise DataError(f"{what} is no plain JSON: {content!r} comes back as {again!r}; use lists and keys of text")
    return dict(again)


def _same(left: Any, right: Any) -> bool:
    """Equality with types: 1, 1.0 and True are three things."""
    if isinstance(left, dict) and isinstance(right, Mapping):
        return list(left) == list(right) and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    return type(left) is type(right) and repr(left) == repr(right)


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _fingerprint(time: int, who: str, act: str, reason: str, content: Mapping[str, Any], previous: str) -> str:
    return hashlib.sha256(_canonical([time, who, act, reason, content, previous]).encode()).hexdigest()


def _check_text(what: str, text: Any, longest: int) -> None:
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"an audit log needs {what}, got {text!r}")
    if len(text) > longest:
        raise DataError(f"{what} has {len(text)} characters, at most {longest} are kept: {text[:SHOWN]}...")
    if any(ord(letter) < 32 for letter in text):
        raise DataError(f"{what} holds a line break or another control character: {text[:SHOWN]!r}")
