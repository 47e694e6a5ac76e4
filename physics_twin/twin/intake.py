"""`assimilate`: new samples, and what people did, become part of what a twin knows."""

import heapq
import time as clock
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from physics_twin.assimilation.method import Method
from physics_twin.errors import DataError
from physics_twin.measurements import Experiment
from physics_twin.twin.arrivals import Taken, is_recorded, placed, shifts, taken
from physics_twin.twin.filter_change import changed, handed_over
from physics_twin.twin.fold import Folded, begin, fold
from physics_twin.twin.innovation import Innovation
from physics_twin.twin.moments import moment
from physics_twin.twin.samples import samples_of
from physics_twin.twin.state import FilterState
from physics_twin.twin.timeline import Act, Entry, Operation
from physics_twin.twin.window import after, base_time, kept, state_before
from physics_twin.units import QuantityLike, to_si, unit as as_unit

if TYPE_CHECKING:
    import pandas as pd

    from physics_twin.twin.twin import Twin

type Place = tuple[int, int, str, str]
"""The key of an entry."""
_PRUNED = 256
"""Moments after which a long fold lets go of the states that it does not keep."""


class JournalView(Protocol):
    """The entries of one asset, as a journal holds them."""

    @property
    def complete_since(self) -> int:
        """ns: from here on nothing is missing."""
        ...

    def entries(self, since: int | None = None, until: int | None = None) -> Iterable[Entry]:
        """Entries in the order of the timeline."""
        ...


def assimilate(
    twin: "Twin",
    samples: "Iterable[Entry] | Experiment | pd.DataFrame",
    method: Method | None = None,
    *,
    until: Any = None,
    budget: QuantityLike | None = "1 s",
    journal: JournalView | None = None,
) -> "tuple[Twin, Innovation]":
    """The twin after these samples, and what they changed.

    samples: `Sample` and `Operation`, in any order; an `Experiment` with a time zero (outputs and recorded inputs); or
        a data frame with the columns channel, time, value and, where there are, unit, quality, reported, source.
    method: another filter from here on; what is known is handed over, and what happened before is not filtered again.
        It stands on no timeline, and is gone after a kill: with a journal, `Twin.change_filter` writes it down.
    until: the present, as `moment` reads it: the twin that comes back is predicted to it, and later entries wait.
        Without it everything that is given is past; what has been waiting for a later moment waits on.
    budget: wall clock for this call, None for as long as it takes. What is not done waits in `twin.pending`, and the
        twin says so; the next call goes on, and the result is the same.
    journal: where entries older than the window can be read, for laboratory results that come hours later.

    Never raises for what a plant may send; that is counted, left out or waits, and the innovation says why. Raises
    DataError for samples that are none and for a method beside a journal, UnitError for a budget that is no time.
    """
    started = clock.perf_counter()
    limit = None if budget is None else to_si(budget, as_unit("s"), name="budget")
    if method is not None and method != twin.setup.method:
        if journal is not None:
            raise DataError(
                f"the change to {method.name} would be gone after a kill, as it is in no journal: "
                "twin.change_filter(method, who=, reason=, journal=) writes it down"
            )
        twin = _with_method(twin, method)
    now = None if until is None else moment(until)
    parts: list[Innovation] = []
    waiting: list[Entry] = []
    for entry in samples_of(samples):
        waiting.append(entry)
        if isinstance(entry, Operation) and entry.act is Act.FILTER:
            twin, done = _change_filter(twin, waiting[:-1], entry, now, journal)
            parts, waiting = [*parts, *done], []
    twin, found = _taken_in(twin, waiting, now, limit, journal, started)
    return twin, Innovation.join([*parts, found]) if parts else found


def _change_filter(
    twin: "Twin", before: Sequence[Entry], change: Operation, now: int | None, journal: JournalView | None
) -> "tuple[Twin, list[Innovation]]":
    """What came before a change of the filter is done before it, whatever time that takes."""
    now = None if now is None else max(now, change.time)
    started = clock.perf_counter()
    twin, first = _taken_in(twin, before, now, None, journal, started)
    ready, second = _taken_in(twin, [change], now, None, journal, started)
    known = len(ready.audit) == len(twin.audit)
    return ready if known else changed(ready, change), [first, second]


def _taken_in(
    twin: "Twin",
    given: Iterable[Entry],
    now: int | None,
    limit: float | None,
    journal: JournalView | None,
    started: float,
) -> "tuple[Twin, Innovation]":
    """The twin after entries of one and the same filter. limit: s since `started`, of the clock."""
    before = twin
    if now is not None:
        twin = replace(twin, until=max(twin.until, now))  # what has waited for it is past, and makes others late
    found = taken(twin, given, now, journaled=journal is not None)
    state, snapshots, recent, todo, lost = _back_to(twin, found, journal)
    setup, layout = twin.setup, twin.setup.layout
    present = max([twin.until, *(entry.time for entry in found.entries)]) if now is None else now
    stop = after(todo, present)
    newest = max(state.time, todo[stop - 1].time) if stop else state.time
    states, folded = [*snapshots], []
    fresh = {entry.time for entry in (*found.entries, *twin.pending)}
    reached = state.time
    for one in fold(setup, state, todo[:stop]):
        states.append(one.state)
        reached = one.state.time
        if reached in fresh:
            folded.append(one)
        if len(states) > len(snapshots) + _PRUNED:
            states = [*kept(layout, states, newest)]
        if limit is not None and clock.perf_counter() - started > limit:
            break
    done = after(todo, reached)
    states = [*kept(layout, states, newest)]
    base = base_time(layout, states, newest)
    recent = (*recent, *todo[:done])
    counts = found.counts.plus(too_late=len(lost), samples=-len(lost))
    audit = twin.audit
    # An operation may act before it is given, where the way back of a late sample finds it in the journal.
    own = {entry.key for entry in found.entries}
    for entry in (*(entry for entry in todo if entry.key not in own), *found.entries):
        if isinstance(entry, Operation) and entry.key not in lost and not is_recorded(audit, entry):
            audit = audit.append(entry.time, entry.who, entry.act.value, entry.reason, entry.content)
    behind = stop - done
    result = replace(
        twin,
        state=states[-1],
        snapshots=tuple(states),
        recent=recent[after(recent, base) :],
        pending=tuple(todo[done:]),
        until=max(twin.until, newest, newest if now is None else now),
        audit=audit,
        counts=counts,
        inputs=found.inputs,
    )
    result = replace(result, seconds=clock.perf_counter() - started)
    return result, _innovation(result, before, found, folded, behind)


def _back_to(
    twin: "Twin", found: Taken, journal: JournalView | None
) -> tuple[FilterState, Sequence[FilterState], tuple[Entry, ...], list[Entry], set[Place]]:
    """The state to go on from, the states kept up to it, the entries before it, those to go through; which are lost.

    Lost are entries for which the journal does not reach far enough back. What it holds it holds as it came first: an
    entry that comes again with another value changes nothing.
    """
    new = sorted(found.entries, key=lambda entry: entry.key)
    pending = list(twin.pending)
    if not new or new[0].time > twin.state.time:
        return twin.state, twin.snapshots, twin.recent, _merged(pending, new), set()
    layout = twin.setup.layout
    base = base_time(layout, twin.snapshots, twin.newest)
    lost: set[Place] = set()
    if new[0].time <= base:
        k = state_before(twin.snapshots, new[0].time)
        state = twin.snapshots[k] if k >= 0 else begin(twin.setup)
        if journal is not None and journal.complete_since <= state.time + 1:
            known = _from_journal(twin, state.time, journal, found.inputs)
            keys = {entry.key for entry in known}
            rest = [entry for entry in new if entry.key not in keys]
            return state, twin.snapshots[: k + 1] or (state,), (), _merged(known, rest), lost
        lost = {entry.key for entry in new if entry.time <= base}
        new = new[len(lost) :]
        if not new or new[0].time > twin.state.time:
            return twin.state, twin.snapshots, twin.recent, _merged(pending, new), lost
    k = state_before(twin.snapshots, new[0].time)
    state = twin.snapshots[k]
    cut = after(twin.recent, state.time)
    todo = _merged([*twin.recent[cut:], *pending], new)
    return state, twin.snapshots[: k + 1], twin.recent[:cut], todo, lost


def _from_journal(twin: "Twin", since: int, journal: JournalView, inputs: Iterable[str]) -> list[Entry]:
    """All entries after a moment that the twin may take in, each at the moment that it shows."""
    setup, layout = twin.setup, twin.setup.layout
    early, late = shifts(setup)
    newest = twin.newest
    oldest = (newest // layout.every - layout.n_sparse) * layout.every
    found = {}
    for entry in journal.entries(since=since + 1 + early, until=newest + late):
        if isinstance(entry, Operation) and entry.act is Act.FILTER:
            continue  # it acts when it is given, and on what comes after
        own = placed(setup, entry, inputs)
        # What lies before the window was turned away when it came, or is in the state already.
        if own is not None and since < own.time <= newest and own.time >= oldest:
            found[own.key] = own
    for entry in (*twin.recent, *twin.pending):
        if entry.time > since:
            found.setdefault(entry.key, entry)
    return sorted(found.values(), key=lambda entry: entry.key)


def _merged(first: Sequence[Entry], second: Sequence[Entry]) -> list[Entry]:
    """Two sorted lists of entries as one."""
    if not first or not second or first[-1].key < second[0].key:
        return [*first, *second]
    return list(heapq.merge(first, second, key=lambda entry: entry.key))


def _with_method(twin: "Twin", method: Method) -> "Twin":
    """The twin with another filter. A method must be told what the one before knew: older samples stay with that."""
    setup = replace(twin.setup, method=method)
    if twin.state.time == setup.beginning.time - 1:
        state = begin(setup)
        return replace(twin, setup=setup, state=state, snapshots=(state,))
    state = handed_over(setup, twin.setup.method, twin.state)
    setup = replace(setup, earliest=state.time + 1)
    return replace(twin, setup=setup, state=state, snapshots=(state,), recent=())


def _innovation(twin: "Twin", before: "Twin", found: Taken, folded: Sequence[Folded], behind: int) -> Innovation:
    return Innovation(
        records=tuple(one.record for one in folded),
        channels={name: facts.unit for name, facts in twin.setup.facts.items()},
        begin=before.until,
        end=twin.until,
        counts={name: n - getattr(before.counts, name) for name, n in vars(twin.counts).items()},
        notes=tuple(dict.fromkeys([*found.words.values(), *(words for one in folded for words in one.words)])),
        pending=len(twin.pending),
        reason=twin.state.trouble if not behind else f"{behind} entries wait: the budget was used up",
        seconds=twin.seconds,
    )
