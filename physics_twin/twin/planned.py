"""What people have ordered for a moment that has not come yet."""

from typing import TYPE_CHECKING

from physics_twin.twin.moments import stamp
from physics_twin.twin.timeline import Operation

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin


def planned_until(twin: "Twin", until: int | None) -> list[str]:
    """What waits for its moment, in words, earliest first: later than the present, up to `until` (ns; None: all)."""
    waiting = [entry for entry in twin.pending if isinstance(entry, Operation) and entry.time > twin.until]
    return [_words(entry) for entry in waiting if until is None or entry.time <= until]


def _words(operation: Operation) -> str:
    about = next((str(operation.content[key]) for key in ("name", "mode", "channel") if operation.content.get(key)), "")
    words = (operation.act.value.replace("_", " "), about, "at", stamp(operation.time))
    return " ".join(word for word in words if word)
