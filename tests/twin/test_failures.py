"""Filters and models that raise: the twin says so, and whoever looks at it is told."""

import physics_twin as pt
from physics_twin.errors import BoundsError, SolveError
from physics_twin.twin.health import Status
from physics_twin.twin.journal import Journal
from physics_twin.twin.timeline import Act, Operation
from tests.twin.plants import at, fed, heater_block, heater_samples, heater_twin

SAMPLES = heater_samples(40)


class Narrow(pt.UnscentedKalman):
    """A filter whose model is of no use after 50 s."""

    def predict(self, belief, dynamics, step):
        if step.t1 > 50.0:
            raise BoundsError("a table of the model ends here")
        return super().predict(belief, dynamics, step)


class Unwidened(pt.UnscentedKalman):
    """A filter that cannot widen."""

    def widen(self, predicted, dynamics, factor):
        raise SolveError("the members cannot be looked at", time=0.0)


def test_health_of_a_model_that_raises():
    """The page that is looked at then tells what is the matter."""
    twin = fed(heater_twin(method=Narrow()), SAMPLES)
    assert "a table of the model ends here" in twin.state.trouble
    assert twin.health.status is Status.FAILED and str(twin.health)


def test_health_after_a_promotion_of_nothing():
    """A promotion whose draws nobody can read is on the timeline, and health says what it cannot tell."""
    content = {"posterior": "0" * 64, "before": "1" * 64, "coverage": {}, "draws": "none", "parameters": ["UA"]}
    twin = fed(heater_twin(), [*SAMPLES, Operation(Act.PROMOTE, at(100.0) + 1, "A. Miller", "by hand", content)])
    assert "cannot be told" in str(twin.health)


def test_a_jump_that_the_filter_cannot_widen_for_is_no_update():
    """The readings of the moment are left out, in words, and the twin predicts on."""
    jumped = [higher(s, 20.0) if s.channel in ("T1", "T2") and s.time > at(100.0) else s for s in SAMPLES]
    widened = fed(heater_twin(), jumped)
    assert widened.state.n_updates > 21, "the gate opens again"
    twin, innovation = pt.assimilate(heater_twin(method=Unwidened()), jumped, budget=None)
    assert twin.state.n_updates < widened.state.n_updates
    assert any("cannot be looked at" in record.trouble for record in innovation.records)


def higher(sample, more):
    """The sample, so much higher."""
    return pt.Sample(sample.channel, sample.time, sample.value + more, sample.unit)


def test_an_operation_that_acts_before_it_is_given_is_in_the_audit_log(tmp_path):
    """A late sample goes back through a journal that has the operation already: written down once, live and resumed."""
    twin = heater_twin(window=pt.Window(seconds=20.0))
    late, others = SAMPLES[40], [*SAMPLES[:40], *SAMPLES[41:]]
    mask = Operation(Act.MASK, at(60.0), "A. Miller", "stuck", {"channel": "T2", "until": at(90.0)})
    with Journal(tmp_path / "plant.journal") as journal:
        journal.save_state("line1", twin, reached=0)
        for call, given in ((others, others), ([mask], []), ([late], [late]), ([], [mask])):
            journal.append("line1", call)
            twin = fed(twin, given, journal=journal.of("line1"))
            assert len(twin.audit) == (late in given or mask in given)
        again = journal.resume("line1", heater_block())
    assert again.audit == twin.audit and again.digest == twin.digest
