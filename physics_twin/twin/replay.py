"""Going through a timeline again from the start, and looking at a twin at a later moment."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from physics_twin.errors import DataError, unknown_name
from physics_twin.twin.fold import begin
from physics_twin.twin.intake import JournalView, assimilate
from physics_twin.twin.moments import stamp
from physics_twin.twin.timeline import Act, Entry, Operation

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin


def replay(twin: "Twin", entries: "Iterable[Entry] | JournalView", *, without: str | None = None) -> "Twin":
    """The twin that comes of all these entries, folded from its start with its present method.

    without: a channel that is left out, as if there had been no sensor. Its audit log begins anew, with what people did
    on the timeline, changes of the filter left out.

    Raises UnknownNameError for a channel that the twin does not have, DataError for a journal that does not go back to
    the start.
    """
    setup = replace(twin.setup, earliest=twin.setup.beginning.time)
    if without is not None:
        if without not in setup.channels:
            raise unknown_name("channel", without, setup.channels)
        setup = replace(setup, channels={name: c for name, c in setup.channels.items() if name != without})
    if isinstance(entries, Iterable):
        given: Iterable[Entry] = entries
    else:
        if entries.complete_since > setup.beginning.time:
            raise DataError(
                f"the journal begins at {stamp(entries.complete_since)}, the twin at {stamp(setup.beginning.time)}: "
                "what lies between has been pruned, and a replay needs all of it"
            )
        given = entries.entries()
    state = begin(setup)
    fresh = type(twin)(setup, state, (state,), until=setup.beginning.time)
    kept = [entry for entry in given if getattr(entry, "channel", None) != without or without is None]
    kept = [entry for entry in kept if getattr(entry, "act", None) is not Act.FILTER]
    found, _ = assimilate(fresh, sorted(kept, key=lambda entry: entry.key), budget=None)
    return replace(found, until=max(found.until, twin.until))


def shown_at(twin: "Twin", time: int) -> "Twin":
    """The twin predicted to a moment, ns; what people have planned up to there is carried out on the way."""
    if time < twin.until:
        raise DataError(
            f"the twin is at {stamp(twin.until)} already; {stamp(time)} lies before it: look at its snapshots, or "
            "replay its journal up to there"
        )
    if any(isinstance(entry, Operation) and twin.until < entry.time <= time for entry in twin.pending):
        return assimilate(twin, (), until=time, budget=None)[0]
    return replace(twin, until=time)
