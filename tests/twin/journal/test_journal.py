"""Journals: every entry once, in order, durable, whole or not at all. Each law for SQLite and PostgreSQL."""

import math
import os
import random
import struct
import threading

import pytest

from physics_twin.errors import DataError, JournalError
from physics_twin.measurements.flags import Flag
from physics_twin.twin.journal import Journal
from physics_twin.twin.journal.view import ALWAYS
from physics_twin.twin.timeline import Act, Entry, Operation, Sample

T0 = 1_795_000_000_000_000_000
SECOND = 1_000_000_000


def sample(second: float, value: float = 20.0, channel: str = "T1", **more: object) -> Sample:
    return Sample(channel, T0 + int(second * SECOND), value, "degC", **more)  # type: ignore[arg-type]


def bits(entry: Entry) -> tuple[object, ...]:
    """All that an entry is, floats as bytes."""
    if isinstance(entry, Sample):
        rest = (entry.unit, entry.quality, entry.reported, entry.source)
        return "sample", entry.time, entry.channel, struct.pack("<d", entry.value), *rest
    return "operation", entry.act, entry.time, entry.who, entry.reason, repr(entry.content)


AWKWARD: list[Entry] = [
    sample(0, 0.1 + 0.2),
    sample(1, 5e-324),
    sample(2, -0.0),
    sample(3, 1.7976931348623157e308),
    sample(4, 3.0),
    sample(5, float(2**53 + 2)),
    sample(6, math.nan),
    sample(7, 20.0, quality=Flag.SUSPECT, reported=T0 + 10**15, source="lab 17/3 Größe"),
    Sample("T2", -5, 1.0, ""),
    Operation(
        Act.MASK, T0, "A. Müller", 'being calibrated: "§4"', {"channel": "T1", "until": None, "x": [1, 1.0, 0.1]}
    ),
    Operation(Act.START_BATCH, T0, "line", "next", {"b": {"z": 1, "a": 2}, "a": "text"}),
]


def test_entries_come_back_to_the_last_bit_in_the_order_of_the_timeline(target: str) -> None:
    """Values, flags, sources and operations, whatever the order of arrival; operations before samples."""
    arrived = AWKWARD.copy()
    random.Random(1).shuffle(arrived)
    with Journal(target) as journal:
        assert journal.append("line1", arrived) == len(arrived)
    with Journal(target) as journal:
        found = list(journal.entries("line1"))
    assert [bits(e) for e in found] == [bits(e) for e in sorted(AWKWARD, key=lambda e: e.key)]
    assert [type(e) for e in found if e.time == T0] == [Operation, Operation, Sample]
    assert [e.key for e in found] == [e.key for e in sorted(found, key=lambda e: e.key)]


def test_what_is_there_has_no_effect_the_second_time(target: str) -> None:
    """Channel, time and source make a sample; the first one stays, within one call and over many."""
    with Journal(target) as journal:
        assert journal.append("line1", [sample(0, 1.0), sample(0, 2.0), sample(1)]) == 2
        assert journal.append("line1", [sample(0, 3.0), sample(1), sample(2)]) == 1
        assert journal.append("line1", AWKWARD[-2:]) == 2
        assert journal.append("line1", AWKWARD[-2:]) == 0
        assert journal.append("line2", [sample(0, 3.0)]) == 1, "another asset is another timeline"
        assert journal.append("line1", [sample(0, 3.0, source="laboratory"), sample(0, 3.0, "T2")]) == 2
        assert journal.append("line1", []) == 0
        values = [e.value for e in journal.entries("line1") if isinstance(e, Sample)]
        assert values == [1.0, 3.0, 3.0, 20.0, 20.0]
        assert journal.reached("line1") == 4, "appends with nothing new are not counted"
        assert journal.assets == ("line1", "line2")


def test_a_part_of_the_timeline_has_both_of_its_ends(target: str) -> None:
    """since <= time <= until; an asset that nobody knows has no entries, and asking makes none."""
    with Journal(target) as journal:
        journal.append("line1", [sample(k) for k in range(10)])
        found = list(journal.of("line1").entries(T0 + 3 * SECOND, T0 + 5 * SECOND))
        assert [e.time - T0 for e in found] == [3 * SECOND, 4 * SECOND, 5 * SECOND]
        assert list(journal.entries("line9")) == []
        assert journal.positions("line9") == {} and journal.states("line9") == ()
        assert journal.assets == ("line1",)


def test_a_timeline_up_to_an_append_does_not_know_the_later_ones(target: str) -> None:
    """A late sample does not show in the view of an earlier append: this is how a fold is repeated."""
    with Journal(target) as journal:
        journal.append("line1", [sample(0), sample(5)])
        before = journal.reached("line1")
        journal.append("line1", [sample(2)])
        assert len(list(journal.of("line1", reached=before).entries())) == 2
        assert len(list(journal.of("line1").entries())) == 3


def test_appends_are_given_again_in_the_order_in_which_they_came(target: str) -> None:
    """Call by call, late ones where they came and not where they belong."""
    with Journal(target) as journal:
        for seconds in ([0, 1], [5], [2], [6, 3]):
            journal.append("line1", [sample(s) for s in seconds])
        journal.append("line2", [sample(0)])
        found = [(n, [(e.time - T0) // SECOND for e in entries]) for n, entries in journal.appended("line1", 1)]
    assert found == [(2, [5]), (3, [2]), (4, [6, 3])]


def test_positions_are_written_with_the_entries(target: str) -> None:
    """Numbers and texts, the newest; and nothing of them where the entries are refused."""
    with Journal(target) as journal:
        journal.append("line1", [sample(0)], {"opc": 17, "file.csv": "row 4"})
        journal.append("line1", [], {"opc": 18})
        with pytest.raises(DataError):
            journal.append("line1", [sample(1), sample(2, channel="T\x00")], {"opc": 99})
        assert journal.positions("line1") == {"file.csv": "row 4", "opc": 18}
        assert len(list(journal.entries("line1"))) == 1


def test_a_group_is_one_commit(target: str) -> None:
    """Inside, nobody sees anything; after the block, everything is there."""
    with Journal(target) as journal, Journal(target, read_only=True) as reader:
        with journal.group():
            for k in range(5):
                journal.append(f"line{k}", [sample(0)], {"opc": k})
            assert reader.assets == ()
        assert len(reader.assets) == 5
        assert reader.positions("line3") == {"opc": 3}


def test_a_group_that_fails_leaves_nothing(target: str) -> None:
    """An error ends the group without a trace, also one that somebody caught inside; then the journal works on."""
    with Journal(target) as journal:
        journal.append("line1", [sample(0)])
        with pytest.raises(ZeroDivisionError), journal.group():
            journal.append("line1", [sample(1)])
            journal.append("line2", [sample(1)])
            raise ZeroDivisionError
        assert journal.assets == ("line1",)
        with pytest.raises(JournalError, match="nothing of the group"), journal.group():
            journal.append("line2", [sample(1)])
            with pytest.raises(DataError):
                journal.append("line2", [sample(1, channel="@mask")])
            with pytest.raises(JournalError, match="begin anew"):
                journal.append("line3", [sample(1)])
        assert journal.assets == ("line1",)
        assert journal.append("line2", [sample(1, channel="T3")]) == 1
        assert [e.channel for e in journal.entries("line2") if isinstance(e, Sample)] == ["T3"]
        with pytest.raises(JournalError, match="open already"), journal.group(), journal.group():
            pass


def test_threads_take_turns(target: str) -> None:
    """Four threads that append at once lose nothing and write nothing twice."""
    with Journal(target) as journal:

        def work(k: int) -> None:
            for j in range(10):
                if j % 2:
                    with journal.group():
                        journal.append(f"line{k % 2}", [sample(j, channel=f"T{k}"), sample(j, channel="T")])
                else:
                    journal.append(f"line{k % 2}", [sample(j, channel=f"T{k}"), sample(j, channel="T")])

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for k in range(2):
            assert len(list(journal.entries(f"line{k}"))) == 30


def test_the_second_writer_is_told_who_the_first_is(target: str) -> None:
    """One writer: the error names the process; readers are welcome; a closed journal is free again."""
    with Journal(target) as first:
        first.append("line1", [sample(0)])
        told = pytest.raises(JournalError, match=rf"being written by .*process {os.getpid()} on ")
        with told, Journal(target) as second:
            second.append("line1", [sample(1)])
        with Journal(target, read_only=True) as reader:
            assert len(list(reader.entries("line1"))) == 1
            with pytest.raises(JournalError, match="opened to read"):
                reader.append("line1", [sample(1)])
    with Journal(target) as second:
        assert second.append("line1", [sample(1)]) == 1


def test_what_cannot_come_back_is_refused(target: str) -> None:
    """Letters that no database takes, and the names of operations."""
    wrong: list[Entry] = [sample(0, source="\ud800"), sample(0, channel="@mask")]
    with Journal(target) as journal:
        for entry in wrong:
            with pytest.raises(DataError):
                journal.append("line1", [sample(1), entry])
        assert journal.assets == ()


def test_nothing_is_pruned_that_no_saved_twin_has(target: str) -> None:
    """Without a saved twin the entries are all there is."""
    with Journal(target) as journal:
        journal.append("line1", [sample(0)])
        assert journal.prune("line1", T0 + SECOND) == 0
        assert journal.complete_since("line1") == ALWAYS
        assert journal.n_bytes > 0
