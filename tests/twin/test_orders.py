"""What people do to a running twin: planned ahead, and written into its journal."""

import pytest

import physics_twin as pt
from physics_twin.errors import DataError
from physics_twin.twin.journal import Journal
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
