"""Plants that are sampled less often than a gap is long are learned from all the same."""

import physics_twin as pt
from physics_twin.twin.moments import SECOND
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


def test_each_channel_has_a_gap_of_its_own():
    """The second channel comes 0.1 s behind the first: its first reading after the gap moves no parameter either."""
    late = {"T2": SECOND // 10}
    given = heater_samples(n=60, step=5.0)
    samples = [pt.Sample(s.channel, s.time + late.get(s.channel, 0), s.value, s.unit) for s in given]
    before = fed(heater_twin(guard=GUARD), [s for s in samples if s.time < at(100.0)])
    after = [s for s in samples if s.time >= (at(100.0) if s.channel.startswith("q") else at(200.0))]
    first = fed(before, [s for s in after if s.time < at(202.0)])
    assert first.state.n_updates == before.state.n_updates + 2 and first.state.n_held == 2
    assert first.parameters == before.parameters
    assert fed(first, [s for s in after if s.time >= at(202.0)][:8]).parameters != before.parameters


def test_parameters_that_are_held_again_and_again_are_a_reason_of_health():
    """Readings that are three times as far apart each time: nothing is learned, and health says why."""
    times = {100 * 4**k for k in range(6)}
    samples = [pt.Sample(name, at(0.0), 0.0, "W") for name in ("q1", "q2")]
    twin = fed(heater_twin(guard=GUARD), samples + [pt.Sample("T1", at(t), 23.0, "degC") for t in sorted(times)])
    assert twin.state.n_held == twin.state.n_updates == 6
    assert any("moved no parameter" in words for words in twin.health.reasons)
    assert twin.parameters == heater_twin(guard=GUARD).parameters
