"""Plants that are sampled less often than a gap is long are learned from all the same."""

import physics_twin as pt
from tests.twin.plants import at, fed, heater_samples, heater_twin

GUARD = pt.Guard(gap=60.0)


def hourly(n=40, every=90.0):
    """Samples at a distance of one and a half gaps."""
    return heater_samples(n=n, step=every)


def test_regular_samples_that_are_rarer_than_a_gap_move_parameters():
    """But for the first ones, as with a gap that no sample is longer than."""
    start = heater_twin(guard=GUARD)
    rare, usual = fed(start, hourly()), fed(heater_twin(guard=pt.Guard(gap=1e6)), hourly())
    assert rare.parameters["UA"] != start.parameters["UA"]
    # The first update alone counts as one after a gap.
    assert abs(rare.parameters["UA"] - usual.parameters["UA"]) < 0.2 * float(usual.spread["UA"])
    assert float(rare.spread["UA"]) < 0.5 * float(start.spread["UA"])


def test_a_gap_among_rare_samples_is_one_all_the_same():
    """Three times as long as usual and longer: the first sample after it moves no parameter, the next one does."""
    samples = hourly()
    kept = [s for s in samples if s.channel.startswith("q") or not at(900.0) < s.time < at(1350.0)]
    before = fed(heater_twin(guard=GUARD), [s for s in kept if s.time <= at(900.0)])
    first = fed(before, [s for s in kept if at(900.0) < s.time <= at(1350.0)])
    second = fed(first, [s for s in kept if s.time == at(1440.0)])
    assert first.parameters == before.parameters
    assert second.parameters != first.parameters
