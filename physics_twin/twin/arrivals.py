"""What comes in: known or new, in the window or too late, and at which moment it stands on the timeline."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from physics_twin.errors import unknown_name
from physics_twin.twin.audit import Audit
from physics_twin.twin.counts import Counts
from physics_twin.twin.moments import stamp
from physics_twin.twin.operations import settings_named
from physics_twin.twin.setup import Setup
from physics_twin.twin.timeline import Entry, Operation, Sample
from physics_twin.twin.window import reaches

if TYPE_CHECKING:
    from physics_twin.twin.twin import Twin


@dataclass(frozen=True)
class Taken:
    """entries: those that are new and in the window, in the order in which they came. words: name -> why it was not
    taken, of channels that the twin does not have and of entries that came too late. inputs: as `Twin.inputs`, with the
    recipes that have come.
    """

    entries: tuple[Entry, ...]
    counts: Counts
    words: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()


def taken(twin: "Twin", given: Iterable[Entry], now: int | None, *, journaled: bool) -> Taken:
    """Sort out what a call was given. now: ns; what lies after it is kept for later, and makes nothing late.

    Each entry is judged by what came before it, in whichever call: a live input is known from the arrival of the first
    recipe that has it, and stays known. The fold leaves out what the recipe in force does not ask for.
    """
    setup, layout = twin.setup, twin.setup.layout
    newest, settled = twin.newest, twin.state.time
    found: dict[tuple[int, int, str, str], Entry] = {}
    words: dict[str, str] = {}
    n = dict.fromkeys(("samples", "late", "duplicates", "too_late", "unknown"), 0)
    inputs = {*setup.beginning.batch.recipe.settings, *twin.inputs}
    for raw in given:
        entry = placed(setup, raw, inputs)
        if entry is None:
            n["unknown"] += 1
            if isinstance(raw, Sample) and raw.channel not in words:
                known = sorted({*setup.facts, *setup.input_names, *inputs})
                words[raw.channel] = str(unknown_name("channel or live input", raw.channel, known))
            continue
        key, time = entry.key, entry.time
        if key in found or _holds(twin.recent, key) or _holds(twin.pending, key) or is_recorded(twin.audit, entry):
            n["duplicates"] += 1
        elif time < setup.earliest or not reaches(layout, newest, time, journaled=journaled):
            n["too_late"] += 1
            words[_name(entry)] = f"the entry of {stamp(time)} came too late: others of {stamp(newest)} are in already"
        else:
            found[key] = entry
            if isinstance(entry, Operation):
                inputs |= settings_named(entry)
            n["samples"] += 1
            n["late"] += time <= settled
            if now is None or time <= now:
                newest = max(newest, time)
    return Taken(tuple(found.values()), twin.counts.plus(**n), words, tuple(sorted(inputs)))


def placed(setup: Setup, entry: Entry, settings: Iterable[str] = ()) -> Entry | None:
    """An entry at the moment that it shows, not the one at which it was stamped; None for a name nobody knows."""
    if isinstance(entry, Operation):
        return entry
    facts = setup.facts.get(entry.channel)
    if facts is None:
        return entry if entry.channel in setup.input_names or entry.channel in settings else None
    return entry if entry.shift == facts.shift else entry.shifted(facts.shift)


def shifts(setup: Setup) -> tuple[int, int]:
    """ns by which stamps of channels lie earliest and latest against what they show, at most and at least 0."""
    found = [facts.shift for facts in setup.facts.values()]
    return min([0, *found]), max([0, *found])


def _holds(entries: Sequence[Entry], key: tuple[int, int, str, str]) -> bool:
    if not entries or key > entries[-1].key:
        return False
    k = bisect.bisect_left(entries, key, key=lambda entry: entry.key)
    return k < len(entries) and entries[k].key == key


def is_recorded(audit: Audit, entry: Entry) -> bool:
    """Whether an operation is in the audit log: it is remembered there when the window has long gone on."""
    return isinstance(entry, Operation) and any(
        record.time == entry.time and record.act == entry.act.value and record.content == entry.content
        for record in audit
    )


def _name(entry: Entry) -> str:
    return entry.channel if isinstance(entry, Sample) else entry.act.value
