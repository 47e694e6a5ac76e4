"""Records of the service: one JSON object a line on stderr, each with a code of this table. Secrets are in none.

Codes are stable: alarms may be hung on them.
"""

import datetime as dt
import enum
import json
import sys
from typing import TextIO

from physics_twin.twin.moments import stamp


class Event(enum.Enum):
    """code -> what has happened."""

    STARTED = "started", "the service runs"
    STOPPING = "stopping", "the service was told to stop"
    STOPPED = "stopped", "everything is saved, and the service ends"
    WORKER_STARTED = "worker_started", "a process for models runs"
    WORKER_DIED = "worker_died", "a process for models ended by itself; it is started again"
    WORKER_HUNG = "worker_hung", "a process for models gave no sign of life and was killed"
    QUARANTINE = "quarantine", "an asset has brought down its process again and again and is left out; others go on"
    RESUMED = "resumed", "a twin goes on from its last saved state"
    OLDER_STATE = "older_state", "the last saved state cannot be read: a twin goes on from an older one"
    BEGUN = "begun", "a twin was started"
    BEHIND = "behind", "a twin cannot follow: samples wait"
    TROUBLE = "trouble", "a twin cannot be worked on; the message says why"
    NOT_SAVED = "not_saved", "a state could not be written; the journal has all that it would hold"
    JOURNAL_FAILED = "journal_failed", "the journal cannot be written: nothing is acknowledged"
    JOURNAL_BACK = "journal_back", "the journal can be written again"
    FUTURE = "future", "samples stamped in the future were turned away"
    REFUSED = "refused", "what a source sent is no sample"
    CLOCK_JUMP = "clock_jump", "the clock of this host was set"
    SOURCE_UP = "source_up", "a source delivers"
    SOURCE_LOST = "source_lost", "a source is gone; it is tried again"
    GAP = "gap", "samples between two moments cannot be had again"
    FILLED = "filled", "older samples were filled in"

    def __init__(self, code: str, meaning: str) -> None:
        self.code = code
        self.meaning = meaning


SERIOUS = {
    Event.WORKER_DIED,
    Event.WORKER_HUNG,
    Event.QUARANTINE,
    Event.JOURNAL_FAILED,
    Event.TROUBLE,
    Event.NOT_SAVED,
    Event.OLDER_STATE,
}


class Log:
    """Where records go. One for the service; workers send theirs through it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream

    def __call__(self, event: Event, message: str, *, asset: str = "", twin_time: int | None = None) -> None:
        """Write one record."""
        record = {
            "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            "level": "error" if event in SERIOUS else "info",
            "event": event.code,
            "asset": asset or None,
            "twin_time": None if twin_time is None else stamp(twin_time),
            "message": message,
        }
        self._stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._stream.flush()
