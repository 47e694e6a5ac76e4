"""Entries of a timeline as rows of a journal, and back, to the last bit."""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

from physics_twin.errors import DataError, JournalError
from physics_twin.measurements.flags import Flag
from physics_twin.twin.journal.database import Row
from physics_twin.twin.timeline import Act, Entry, Operation, Sample

COLUMNS = "asset, time, channel, source, number, place, value, unit, quality, reported, operation"
OF_OPERATIONS = "@"
"""Begins the name of an act: no channel begins so."""
LATEST = 2**63 - 1


def row_of(entry: Entry, asset: int, number: int, place: int, name: Callable[[str], int]) -> Row:
    """The columns of an entry; `name` gives the number of a name. Raises DataError for what cannot be kept."""
    if isinstance(entry, Operation):
        text = json.dumps({"who": entry.who, "reason": entry.reason, "content": dict(entry.content)})
        source = hashlib.sha256(entry.key[3].encode("utf8", "surrogatepass")).hexdigest()
        channel = name(OF_OPERATIONS + entry.act.value)
        return asset, entry.time, channel, source, number, place, None, None, None, None, text
    if entry.channel.startswith(OF_OPERATIONS):
        raise DataError(f'a channel cannot be named "{entry.channel}"')
    value = None if math.isnan(entry.value) else entry.value
    source, unit = check_text(entry.source), name(entry.unit)
    channel, quality = name(entry.channel), int(entry.quality)
    stamp = entry.time + entry.shift
    return asset, stamp, channel, source, number, place, value, unit, quality, entry.reported, None


def entry_of(row: Row, name: Callable[[int], str]) -> Entry:
    """The entry of a row; raises JournalError for one that no journal wrote."""
    _, time, channel, source, _, _, value, unit, quality, reported, operation = row
    try:
        if operation is not None:
            record = json.loads(operation)
            act = Act(name(channel).removeprefix(OF_OPERATIONS))
            return Operation(act, time, record["who"], record["reason"], record["content"])
        number = math.nan if value is None else value
        return Sample(name(channel), time, number, name(unit), quality=Flag(quality), reported=reported, source=source)
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"the journal holds an entry at {time} that cannot be read: {error}") from error


def check_text(text: Any) -> str:
    """Text that both databases take; raises DataError."""
    if not isinstance(text, str):
        raise DataError(f"a journal needs a text as a name, not {text!r}")
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise DataError(f"{text!r} holds a letter that no database takes")
    return text
