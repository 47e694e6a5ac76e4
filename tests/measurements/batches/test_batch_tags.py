"""Batches that a tag of the log shows."""

import datetime as dt

import numpy as np
import pytest

from physics_twin.errors import DataError, UnknownNameError
from physics_twin.measurements.batches.batch_tags import ByTag, batches_by_tag
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Log, TagSamples


def text_tag(name: str, cells: list[str], times: list[float] | None = None) -> TagSamples:
    """A tag of texts; "" is an empty cell, "?" one that cannot be read."""
    states = tuple(dict.fromkeys(cell for cell in cells if cell not in ("", "?")))
    values = np.array([float(states.index(cell)) if cell in states else np.nan for cell in cells])
    flags = np.array([Flag.MISSING if c == "" else Flag.BAD if c == "?" else Flag.GOOD for c in cells], dtype=np.int8)
    at = np.array([10.0 * k for k in range(len(cells))] if times is None else times)
    return TagSamples(name, at, values, flags, states=states)


def log_of(*tags: TagSamples, origin: dt.datetime | None = None) -> Log:
    """A log of these tags."""
    return Log({tag.tag: tag for tag in tags}, Layout(), origin, "plant.csv", "", 0)


def test_constant_stretches_are_batches_from_their_first_sample_to_the_next_value() -> None:
    """A value holds until the next one; what is idle is no batch."""
    log = log_of(text_tag("ID", ["IDLE", "A", "A", "B", "idle"]))
    a, b = batches_by_tag(log, ByTag("ID"))
    assert [(a.name, a.start, a.end), (b.name, b.start, b.end)] == [("A", 10.0, 30.0), ("B", 30.0, 40.0)]
    assert a.notes == b.notes == ()


def test_a_tag_of_numbers_names_batches_by_whole_numbers() -> None:
    """Batch numbers of a historian are floats, and 0 is idle."""
    tag = TagSamples("ID", np.arange(4.0), np.array([0.0, 417.0, 417.0, 0.0]), np.full(4, Flag.GOOD, np.int8))
    (batch,) = batches_by_tag(log_of(tag), ByTag("ID"))
    assert (batch.name, batch.start, batch.end) == ("417", 1.0, 3.0)


def test_a_pause_is_one_batch_with_a_note() -> None:
    """The same name after an idle time goes on with the batch."""
    (batch,) = batches_by_tag(log_of(text_tag("ID", ["IDLE", "A", "", "A", "IDLE"])), ByTag("ID"))
    assert (batch.start, batch.end) == (10.0, 40.0)
    assert batch.notes == ("it pauses 1 time, 10 s in all",)


def test_a_name_that_comes_back_after_another_batch_is_numbered() -> None:
    """A counter that was reset, or a mistyped name, does not merge two batches."""
    found = batches_by_tag(log_of(text_tag("ID", ["IDLE", "A", "B", "A", "IDLE"])), ByTag("ID"))
    assert [batch.name for batch in found] == ["A", "B", "A-2"]
    assert "comes back" in found[2].notes[0]
    assert dict(found[2].context) == {"ID": "A"}


def test_unreadable_cells_change_nothing() -> None:
    """ "I/O Timeout" of the batch tag is not the end of the batch."""
    (batch,) = batches_by_tag(log_of(text_tag("ID", ["IDLE", "A", "?", "A", "IDLE"])), ByTag("ID"))
    assert (batch.start, batch.end, batch.notes) == (10.0, 40.0, ())


def test_a_log_that_begins_or_ends_within_a_batch_says_so() -> None:
    """Its time zero is then not its start; it ends with the log, whichever tag is the last."""
    other = TagSamples("T", np.array([0.0, 95.0]), np.zeros(2), np.full(2, Flag.GOOD, np.int8))
    (batch,) = batches_by_tag(log_of(text_tag("ID", ["A", "A"]), other), ByTag("ID"))
    assert batch.end == 95.0
    assert [note.split(":")[0] for note in batch.notes] == [
        "the log begins while it runs",
        "the log ends while it runs",
    ]


def test_phases_are_cut_at_the_ends_of_the_batch() -> None:
    """A phase tag that lags behind the batch tag does not run out of the batch."""
    ids = text_tag("ID", ["IDLE", "A", "A", "A", "IDLE"])
    phases = text_tag("PH", ["heat", "cool", "IDLE"], [5.0, 25.0, 45.0])
    (batch,) = batches_by_tag(log_of(ids, phases), ByTag("ID", phase="PH"))
    assert batch.phases == (("heat", 10.0, 25.0), ("cool", 25.0, 40.0))


def test_rows_out_of_order_are_sorted_and_stamps_are_utc() -> None:
    """A store-and-forward buffer delivers late; the batches follow the clock."""
    origin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    log = log_of(text_tag("ID", ["IDLE", "A", "IDLE", "A"], [0.0, 10.0, 40.0, 30.0]), origin=origin)
    (batch,) = batches_by_tag(log, ByTag("ID"))
    assert (batch.start, batch.end) == (origin + dt.timedelta(seconds=10), origin + dt.timedelta(seconds=40))


def test_a_tag_that_shows_no_batch_or_is_not_there_is_an_error() -> None:
    """An export of the idle weekend, or a misspelt tag."""
    log = log_of(text_tag("BATCH_ID", ["IDLE", "", "IDLE"]))
    with pytest.raises(DataError, match="shows no batch"):
        batches_by_tag(log, ByTag("BATCH_ID"))
    with pytest.raises(UnknownNameError, match='did you mean "BATCH_ID"'):
        batches_by_tag(log, ByTag("BATCHID"))
