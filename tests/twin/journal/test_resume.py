"""Saved twins in a journal: resumed to the last bit, pruned without loss, refused with the reason."""

import pytest

import physics_twin as pt
from physics_twin.errors import DataError, FileFormatError
from physics_twin.twin.journal import Journal
from physics_twin.twin.journal.view import ALWAYS
from physics_twin.twin.timeline import Act, Operation
from tests.twin.plants import at, fed, heater_block, heater_samples, heater_twin

SAMPLES = heater_samples(40)
WINDOW = pt.Window(seconds=30.0, n=5, every=60.0, n_sparse=2)
CALLS = [list(SAMPLES[k : k + 8]) for k in range(0, len(SAMPLES), 8)]
LATE = [*CALLS[7][:3], pt.Sample("T1", at(101), 30.0, "degC", source="lab")]
CALLS[7] = CALLS[7][3:]
CALLS.insert(12, LATE)
CALLS[9] = CALLS[9][::-1]
MASK = Operation(Act.MASK, at(90) + 1, "A. Miller", "being cleaned", {"channel": "T2", "until": at(140)})
CALLS.insert(6, [MASK])
CALLS[-1] = [*CALLS[-1], pt.Sample("T2", at(7), 30.0, "degC", source="much too late")]


def begin():
    return heater_twin(method=pt.ExtendedKalman(), window=WINDOW)


class Whole:
    """A journal from which nothing was pruned."""

    complete_since = ALWAYS

    def entries(self, since, until):
        found = {entry.key: entry for call in CALLS for entry in call}
        return [found[key] for key in sorted(found) if since <= found[key].time <= until]


def live(journal, calls=CALLS, save_after=(), twin=None):
    """Append, assimilate and save as a service does."""
    twin = begin() if twin is None else twin
    for k, call in enumerate(calls):
        journal.append("line1", call)
        twin = fed(twin, call, journal=journal.of("line1"))
        if k in save_after:
            journal.save_state("line1", twin, reached=journal.reached("line1"))
    return twin


@pytest.mark.parametrize("saved", [0, 7, 12, len(CALLS) - 1])
def test_the_resumed_twin_is_the_one_that_never_stopped(target, saved):
    """Whichever call the last saved twin was of: before a late sample, after it, at the end."""
    with Journal(target) as journal:
        twin = live(journal, save_after=(saved,))
    with Journal(target) as journal:
        again = journal.resume("line1", heater_block())
    assert again.digest == twin.digest and again.until == twin.until
    assert again.audit == twin.audit and len(twin.audit) == 1
    assert again.counts.too_late == twin.counts.too_late > 0, "what came too late comes too late again"


def test_the_stream_needs_the_journal():
    """The late samples of this file lie behind the window: without a journal the twin is another one."""
    twin = begin()
    for call in CALLS:
        twin = fed(twin, call)
    assert twin.counts.too_late >= 4


def test_nothing_to_resume(target):
    """No saved twin: None, and the entries are there for a new one."""
    with Journal(target) as journal:
        assert journal.resume("line1", heater_block()) is None
        journal.append("line1", CALLS[0])
        assert journal.resume("line1", heater_block()) is None
        assert len(list(journal.entries("line1"))) == len(CALLS[0])


def test_an_older_saved_twin_leads_to_the_same(target):
    """`before` takes an older one, which then has more to fold; before the oldest there is an error that names them."""
    with Journal(target) as journal:
        twin = live(journal, save_after=(3, 8, 12, 14))
        states = journal.states("line1")
        assert (
            len(states) == 3 and states[0].digest and [s.time for s in states] == sorted(s.time for s in states)[::-1]
        )
        for state in states[:-1]:
            assert journal.resume("line1", heater_block(), before=state.time).digest == twin.digest
        with pytest.raises(FileFormatError, match="no saved twin before"):
            journal.resume("line1", heater_block(), before=states[-1].time)


def test_a_damaged_saved_twin_is_refused_and_the_way_out_is_named(tmp_path):
    """Damaged bytes: the error says what to write to resume from the one before, which leads to the same twin."""
    with Journal(tmp_path / "a.journal") as journal:
        twin = live(journal, save_after=(3, 12))
        newest = journal.states("line1")[0]
        journal._database.execute(
            "UPDATE states SET content = SUBSTR(content, 1, LENGTH(content) - 9) WHERE number = ?", (newest.number,)
        )
        with pytest.raises(FileFormatError, match=r'damaged.*try resume with before="2026-\S*Z"') as caught:
            journal.resume("line1", heater_block())
        before = str(caught.value).rpartition('before="')[2].rstrip('"')
        assert journal.resume("line1", heater_block(), before=before).digest == twin.digest


def test_appends_that_the_saved_twin_has_not_seen_are_folded(target):
    """A service that goes on appending while a twin is saved tells which append the twin has reached."""
    with Journal(target) as journal:
        twin = live(journal, CALLS[:5])
        reached = journal.reached("line1")
        journal.append("line1", CALLS[5])
        journal.save_state("line1", twin, reached=reached)
        assert journal.resume("line1", heater_block()).digest == fed(twin, CALLS[5]).digest
        with pytest.raises(DataError, match="cannot have reached"):
            journal.save_state("line1", twin, reached=reached + 2)
        with pytest.raises(TypeError, match="reached"):  # nobody is to lose entries by not saying it
            journal.save_state("line1", twin)


def test_an_audit_log_that_does_not_continue_is_refused(target):
    """A twin with another history cannot be saved over the written one; nothing of it is."""
    with Journal(target) as journal:
        live(journal, save_after=(len(CALLS) - 1,))
        states = journal.states("line1")
        with pytest.raises(DataError, match="does not continue it"):
            journal.save_state("line1", begin(), reached=journal.reached("line1"))
        assert journal.states("line1") == states
        assert journal.audit("line1").table[0][1:] == ("A. Miller", "mask", "being cleaned")


def test_pruning_keeps_what_a_saved_twin_may_fold_again(target):
    """However much is asked for: the resumed twin is the same, late samples are taken as before, and the journal says
    since when it is complete.
    """
    with Journal(target) as journal:
        twin = live(journal, CALLS[:-1], save_after=(len(CALLS) - 2,))
        n = len(list(journal.entries("line1")))
        gone = journal.prune("line1", at(10_000))
        assert gone > 0 and len(list(journal.entries("line1"))) == n - gone
        since = journal.complete_since("line1")
        assert ALWAYS < since <= min(state.time for state in twin.snapshots) + 1
        assert since <= next(journal.entries("line1")).time
        assert journal.prune("line1", at(0)) == 0 and journal.complete_since("line1") == since
        assert journal.resume("line1", heater_block()).digest == twin.digest
        last = [*CALLS[-1], pt.Sample("T1", at(70), 30.0, "degC", source="lab of the day before")]
        pruned = live(journal, [last], twin=journal.resume("line1", heater_block()))
        assert len(journal.audit("line1")) == 1
        assert pruned.counts.too_late == 1, "the one of 7 s; that of 70 s is filtered again from the journal"
        live_on = fed(twin, last, journal=Whole())
        assert pruned.digest == live_on.digest


def test_a_replay_from_a_pruned_journal_is_refused(target):
    """It needs every entry since the start."""
    with Journal(target) as journal:
        twin = live(journal, save_after=(len(CALLS) - 1,))
        assert twin.replay(journal.of("line1")).digest
        journal.prune("line1", at(10_000))
        with pytest.raises(DataError, match="pruned"):
            twin.replay(journal.of("line1"))


def test_what_waits_for_its_moment_waits_again(target):
    """One stamp of an hour ahead, and a caller who says what now is: the resumed twin is where the live one is."""
    ahead = pt.Sample("T2", at(4000), 23.0, "degC")
    twin = begin()
    with Journal(target) as journal:
        journal.save_state("line1", twin, reached=0)
        for k, call in enumerate([[*CALLS[0], ahead], *CALLS[1:4]]):
            now = at(10 * k + 8)
            journal.append("line1", call, until=now)
            twin = fed(twin, call, until=now, journal=journal.of("line1"))
        again = journal.resume("line1", heater_block())
    assert again.digest == twin.digest and again.until == twin.until and again.pending == twin.pending != ()
