"""Operations that cannot be carried out: what a person is told, and what a timeline makes of them."""

import pytest

import physics_twin as pt
from physics_twin.errors import DataError
from physics_twin.twin import orders
from physics_twin.twin.journal import Journal
from physics_twin.twin.timeline import Act, Operation
from tests.twin.plants import at, fed, heater_block, heater_samples, heater_twin

SAMPLES = heater_samples(40)
WHO = {"who": "A. Miller", "reason": "test"}
BATCH = {"name": "", "context": {}, "initial": {}, "recipe": None}
MALFORMED = [
    (Act.MASK, {"channel": "T1"}),
    (Act.MASK, {"channel": "T1", "until": "tomorrow"}),
    (Act.MASK, {"channel": 1, "until": None}),
    (Act.UNMASK, {}),
    (Act.MODE, {"mode": "paused"}),
    (Act.SENSOR_REPLACED, {"channel": None}),
    (Act.START_BATCH, {}),
    (Act.START_BATCH, {**BATCH, "initial": {"nope": [1.0, 0.0]}}),
    (Act.START_BATCH, {**BATCH, "initial": {"T1": "cold"}}),
    (Act.START_BATCH, {**BATCH, "recipe": {"recipe": {"phases": [{}]}, "tables": []}}),
    (Act.START_BATCH, {**BATCH, "recipe": "the usual one"}),
    (Act.PROMOTE, {"draws": "none"}),
]


@pytest.mark.parametrize(("act", "content"), MALFORMED)
def test_content_that_nobody_can_read_stops_nothing(act, content, tmp_path):
    """The twin says so and follows the plant as without it, before and after a restart."""
    operation = Operation(act, at(50.0) + 1, "A. Miller", "by hand", content)
    twin = heater_twin()
    with Journal(tmp_path / "plant.journal") as journal:
        journal.save_state("line1", twin, reached=0)
        for call in (SAMPLES[:44], [operation], SAMPLES[44:]):
            journal.append("line1", call)
            twin, innovation = pt.assimilate(twin, call, budget=None)
            if call == [operation]:
                assert any("could not be carried out" in words for words in innovation.notes)
        assert journal.resume("line1", heater_block()).digest == twin.digest
    alone = fed(heater_twin(), SAMPLES)
    assert twin.mean == alone.mean and not twin.reason and len(twin.audit) == 1
    assert twin.health.status is alone.health.status


@pytest.mark.parametrize(
    "wrong",
    [{"reason": "two\nlines"}, {"who": " "}, {"reason": "x" * 5000}, {"content": {"until": (1, 2)}}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_no_audit_log_takes_is_no_operation(wrong):
    """Refused before it reaches a timeline: from a journal nobody could take it out again."""
    given = {"who": "A. Miller", "reason": "test", "content": {"channel": "T1"}, **wrong}
    with pytest.raises(DataError):
        Operation(Act.UNMASK, at(3.0), **given)


def test_an_order_too_far_back_is_refused():
    """A person learns that nothing was changed, and what to do; what is lost is in no audit log."""
    twin = fed(heater_twin(window=pt.Window(seconds=20.0)), SAMPLES)
    with pytest.raises(DataError, match=r"too far back.*at=.*journal"):
        twin.mask("T1", None, "stuck", "A. Miller", at=at(10.0))
    lost = fed(twin, [orders.mask(twin, "T1", None, "stuck", "A. Miller", at=at(10.0))])
    assert lost.counts.too_late == 1 and len(lost.audit) == 0
    late = twin.mask("T1", None, "stuck", "A. Miller", at=at(190.0))
    assert late.state.masks and len(late.audit) == 1


class Pruned:
    """A journal of which only the end is left."""

    complete_since = at(100.0)

    def entries(self, since=None, until=None):
        return [sample for sample in SAMPLES if self.complete_since <= sample.time and since <= sample.time <= until]


def test_an_order_that_reaches_into_a_hole_is_in_no_audit_log():
    """A journal that was pruned cannot take it in either."""
    twin = fed(heater_twin(window=pt.Window(seconds=20.0)), SAMPLES)
    mask = orders.mask(twin, "T1", None, "stuck", "A. Miller", at=at(10.0))
    lost = fed(twin, [mask], journal=Pruned())
    assert lost.counts.too_late == 1 and len(lost.audit) == 0 and lost.digest == twin.digest


def test_an_operation_that_comes_again_is_done_once(tmp_path):
    """Also when it lies far behind the window: one record in the audit log, and the same twin."""
    twin = heater_twin(window=pt.Window(seconds=20.0))
    with Journal(tmp_path / "plant.journal") as journal:
        journal.save_state("line1", twin, reached=0)
        mask = orders.mask(twin, "T1", at(80.0), "stuck", "A. Miller", at=at(10.0))
        for call in (SAMPLES, [mask]):
            journal.append("line1", call)
            twin = fed(twin, call, journal=journal.of("line1"))
        assert len(twin.audit) == 1
        again = fed(twin, [mask], journal=journal.of("line1"))
        assert again.audit == twin.audit and again.digest == twin.digest
        assert again.counts.duplicates == twin.counts.duplicates + 1
        assert journal.resume("line1", heater_block()).audit == again.audit
