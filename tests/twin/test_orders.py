"""What people do to a running twin: planned ahead, and written into its journal."""

import pytest

import physics_twin as pt
from physics_twin.errors import DataError
from physics_twin.twin.journal import Journal
from physics_twin.twin.timeline import Act, Operation
from tests.twin.plants import at, fed, heater_block, heater_samples, heater_twin

SAMPLES = heater_samples(40)
HALF = 80
WHO = {"who": "A. Miller", "reason": "test"}


def test_a_planned_operation_waits_for_its_time():
    """Nothing moves until then; samples that come in between are in time, and nothing differs from being told late."""
    half = fed(heater_twin(), SAMPLES[:HALF])
    planned = half.mask("T2", None, "being cleaned", "A. Miller", at=at(150.0))
    assert planned.until == half.until and planned.state is half.state
    assert len(planned.pending) == 1 and not planned.state.masks and not planned.reason
    between = fed(planned, SAMPLES[HALF : HALF + 4])
    assert len(between.pending) == 1 and not between.state.masks
    twin = fed(between, SAMPLES[HALF + 4 :])
    assert twin.state.masks and not twin.pending and twin.counts.too_late == 0
    assert twin.digest == fed(heater_twin(), [*SAMPLES, *planned.pending]).digest


def test_a_plan_is_shown_and_carried_out_on_the_way():
    """It is printed, a forecast says what it leaves out, and a twin that is shown at a later moment has done it."""
    half = fed(heater_twin(), SAMPLES[:HALF])
    planned = half.start_batch({"T1": "20 degC"}, at=at(150.0), name="B2", **WHO)
    (words,) = planned.planned
    assert words.startswith("start batch B2 at ") and f"planned: {words}" in repr(planned)
    assert f"not in this forecast: {words}" in planned.forecast(until="2 min").notes
    assert not planned.forecast(until="10 s").notes
    later = planned.at(at(160.0))
    assert later.state.batch.name == "B2" and not later.pending and not later.reason
    assert planned.at(at(149.0)).state.batch.name == ""


def test_what_is_done_now_is_done_at_once():
    """Also one after another, and beside a plan."""
    twin = fed(heater_twin(), SAMPLES).enter("idle", at=at(500.0), **WHO).mask("T1", None, "cold", "A. Miller")
    twin = twin.sensor_replaced("T2", **WHO).unmask("T1", **WHO)
    assert twin.state.mode is not twin.enter("idle", **WHO).state.mode
    assert twin.until == SAMPLES[-1].time + 3 and len(twin.pending) == 1 and len(twin.audit) == 4


@pytest.mark.parametrize("end", [HALF, len(SAMPLES)])
def test_operations_with_a_journal_outlive_a_kill(end, tmp_path):
    """Written down before the twin that has them is handed back, however far back they lie."""
    twin = heater_twin(window=pt.Window(seconds=20.0))
    with Journal(tmp_path / "plant.journal") as journal:
        asset = journal.of("line1")
        journal.save_state("line1", twin, reached=0)
        journal.append("line1", SAMPLES[:end])
        twin = fed(twin, SAMPLES[:end], journal=asset)
        twin = twin.mask("T2", None, "being cleaned", "A. Miller", at=at(30.0), journal=asset)
        twin = twin.enter("maintenance", **WHO, journal=asset).enter("running", **WHO, journal=asset)
        twin = twin.unmask("T2", **WHO, journal=asset).sensor_replaced("T2", **WHO, journal=asset)
        twin = twin.start_batch({"T1": "30 degC"}, name="B2", **WHO, journal=asset)
        again = journal.resume("line1", heater_block())
        assert again.digest == twin.digest and again.audit == twin.audit and len(twin.audit) == 6


def test_what_is_refused_is_in_no_journal(tmp_path):
    """An order that could not be carried out is not there after a restart either."""
    twin = fed(heater_twin(window=pt.Window(seconds=20.0, every=30.0, n_sparse=2)), SAMPLES)
    with Journal(tmp_path / "plant.journal") as journal:
        with pytest.raises(DataError, match="too far back"):
            twin.mask("T1", None, "stuck", "A. Miller", at=at(10.0), journal=journal.of("line1"))
        assert not list(journal.entries("line1"))


def test_another_filter_outlives_a_kill(tmp_path):
    """Filter and noise are on the timeline: killed before the next save, resumed, and the same to the last bit."""
    twin = heater_twin()
    walks = {"T1": pt.RandomWalk((0.2, "K"), per="1 min")}
    with Journal(tmp_path / "plant.journal") as journal:
        asset = journal.of("line1")
        journal.save_state("line1", twin, reached=0)
        for first in range(0, 160, 40):
            journal.append("line1", SAMPLES[first : first + 40])
            twin = fed(twin, SAMPLES[first : first + 40], journal=asset)
            if first == 40:
                change = {"method": pt.EnsembleKalman(n_members=20), **WHO, "journal": asset}
                twin = twin.change_filter(**change).change_filter(walks=walks, **WHO, journal=asset)
        assert twin.setup.method == pt.EnsembleKalman(n_members=20) and twin.setup.walks["T1"] == walks["T1"]
        again = journal.resume("line1", heater_block())
        assert again.digest == twin.digest and again.audit == twin.audit
        with pytest.raises(DataError, match="change_filter"):
            pt.assimilate(twin, [], pt.ExtendedKalman(), journal=asset)
        operations = [entry for entry in journal.entries("line1") if hasattr(entry, "act")]
    assert fed(again, operations).digest == twin.digest, "delivered again, it is not done again"
    assert twin.replay(SAMPLES).digest == twin.replay([*SAMPLES, *operations]).digest
    once = fed(heater_twin(), [*SAMPLES[:80], *operations, *SAMPLES[80:]])
    assert once.digest == twin.digest, "in one call as in many"


@pytest.mark.parametrize(
    "content", [{}, {"text": {}, "arrays": {}}, {"text": "x", "arrays": {"numbers": "", "bytes": ""}}]
)
def test_a_change_of_the_filter_that_nobody_can_read_changes_nothing(content):
    """It says so, and the twin goes on as it was."""
    twin = fed(heater_twin(), SAMPLES[:HALF])
    found, innovation = pt.assimilate(twin, [Operation(Act.FILTER, twin.until + 1, "A.", "by hand", content)])
    assert any("could not be carried out" in words for words in innovation.notes)
    assert found.setup is twin.setup and fed(found, SAMPLES[HALF:]).mean == fed(twin, SAMPLES[HALF:]).mean


def test_a_twin_that_has_not_begun_has_its_filter_from_its_start():
    """A barrier before the first sample would make that too late."""
    with pytest.raises(DataError, match=r"Twin\.start"):
        heater_twin().change_filter(pt.ExtendedKalman(), **WHO)
