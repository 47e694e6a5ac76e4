"""The audit log: a chain that shows every change."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from physics_twin.errors import DataError, FileFormatError
from physics_twin.twin.audit import GENESIS, LONGEST_REASON, Audit, AuditRecord

AWKWARD = {
    "value": 0.1 + 0.2,
    "tiny": 5e-324,
    "minus": -0.0,
    "words": "Größe \u2028 \ud800",
    "list": [1, 2.0, None, True],
}


def log(n: int = 5) -> Audit:
    found = Audit()
    for k in range(n):
        found = found.append(10**18 + k, f"person {k}", "mask", f"reason {k}", {"until": k / 3})
    return found


def test_each_record_holds_the_hash_of_the_one_before() -> None:
    """The first one holds 64 zeros, every other one its predecessor's hash; a whole chain verifies."""
    records = log().records
    assert [r.previous for r in records] == [GENESIS, *(r.hash for r in records[:-1])]
    log().verify()
    assert Audit().tip == GENESIS
    Audit().verify()


def test_appending_changes_no_older_log() -> None:
    """A log is a value: the shorter one stays, and the same acts give the same hashes."""
    short = log(2)
    longer = short.append("2026-11-20T06:00Z", "A", "revert", "worse than before")
    assert len(short) == 2
    assert longer.records[:2] == short.records
    assert log().tip == log().tip != longer.tip


@pytest.mark.parametrize(
    "change", [{"who": "somebody"}, {"time": 1}, {"act": "unmask"}, {"reason": "none"}, {"content": {"until": 0.5}}]
)
@pytest.mark.parametrize("position", [0, 2, 4])
def test_a_changed_record_is_named(position: int, change: dict[str, Any]) -> None:
    """Whatever is changed in a record, `verify` names this record, and no other."""
    records = list(log().records)
    records[position] = dataclasses.replace(records[position], **change)
    with pytest.raises(DataError, match=rf"record {position + 1} of 5 .*changed after it was written"):
        Audit(tuple(records)).verify()


def test_a_record_written_anew_breaks_the_chain_behind_it() -> None:
    """A forger who also takes the hash again is found at the next record."""
    records = list(log().records)
    forged = dataclasses.replace(records[1], reason="all well")
    records[1] = dataclasses.replace(forged, hash=forged.fingerprint)
    with pytest.raises(DataError, match=r"record 3 of 5 .*does not follow"):
        Audit(tuple(records)).verify()


def test_a_removed_or_moved_record_is_found() -> None:
    """Without the second record the third does not follow the first; nor do records in another order."""
    records = log().records
    with pytest.raises(DataError, match="record 2 of 4"):
        Audit(records[:1] + records[2:]).verify()
    with pytest.raises(DataError, match="record 1 of 5"):
        Audit(records[::-1]).verify()


def test_json_lines_give_back_the_same_log(tmp_path: Path) -> None:
    """Every float to the last bit, every letter, every hash; and the same file when it is written again."""
    path = tmp_path / "audit.jsonl"
    before = log().append(0, "Müller", "promote", "better \u2028 fit", AWKWARD)
    before.to_json_lines(path)
    after = Audit.from_json_lines(path)
    assert after == before
    assert repr(after[5].content) == repr(before[5].content) == repr(dict(sorted(AWKWARD.items())))
    assert len(path.read_text().split("\n")) == 7
    first = path.read_bytes()
    after.to_json_lines(path)
    assert path.read_bytes() == first


def test_an_edited_file_is_refused(tmp_path: Path) -> None:
    """One letter changed in the file, and reading names the record."""
    path = tmp_path / "audit.jsonl"
    log().to_json_lines(path)
    path.write_text(path.read_text().replace("reason 3", "reason 8"))
    with pytest.raises(DataError, match="record 4 of 5"):
        Audit.from_json_lines(path)


@pytest.mark.parametrize("text", ["time,who\n1,2\n", "[1]\n", '{"time":1}\n', "\u00ff\n", '{"a":'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    """What holds no records raises FileFormatError."""
    path = tmp_path / "other.jsonl"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(FileFormatError):
        Audit.from_json_lines(path)


def test_a_record_of_other_types_is_refused() -> None:
    """A time that is a text or a fraction is no record."""
    for wrong in ('"1"', "1.5", "true"):
        line = log(1)[0].line.replace('"time":1000000000000000000', f'"time":{wrong}')
        with pytest.raises(FileFormatError, match="time"):
            AuditRecord.from_line(line)


@pytest.mark.parametrize(
    ("who", "reason", "content", "words"),
    [
        ("", "why", {}, "needs who"),
        ("me", "  ", {}, "needs reason"),
        ("me", "x" * (LONGEST_REASON + 1), {}, "at most"),
        ("me", "two\nlines", {}, "line break"),
        ("me", "why", {"a": (1, 2)}, "lists"),
        ("me", "why", {"a": float("nan")}, "finite"),
        ("me", "why", {"a": {1: 2}}, "keys of text"),
        ("me", "why", {"a": object()}, "plain JSON"),
        ("me", "why", {"a": "x" * 1_000_001}, "characters"),
    ],
)
def test_what_cannot_be_kept_is_refused(who: str, reason: str, content: dict[str, Any], words: str) -> None:
    """No anonymous act, no act without a reason, no text without an end, nothing that comes back changed."""
    with pytest.raises(DataError, match=words):
        Audit().append(0, who, "mask", reason, content)


def test_the_table_reads_in_words() -> None:
    """Time in UTC, who, act and reason, one line each."""
    text = str(log(2))
    assert "2001-09-09T01:46:40.000000001Z  person 1  mask  reason 1" in text
    assert text.splitlines()[-1].startswith("2 records, hash ")
