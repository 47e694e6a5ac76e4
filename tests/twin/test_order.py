"""What a twin knows follows from its timeline: not from order of arrival, calls or repetition. Bit for bit."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import physics_twin as pt
from physics_twin.twin.state import Mode
from physics_twin.twin.timeline import Act, Operation
from tests.twin.plants import at, fed, heater_samples, heater_twin

SAMPLES = heater_samples(24)
ACTS = (
    Operation(Act.MASK, at(30) + 1, "A. Miller", "being cleaned", {"channel": "T2", "until": at(50)}),
    Operation(Act.MODE, at(60) + 1, "A. Miller", "lunch", {"mode": "idle"}),
    Operation(Act.MODE, at(72) + 1, "A. Miller", "back", {"mode": "running"}),
    Operation(Act.SENSOR_REPLACED, at(75) + 1, "A. Miller", "new one", {"channel": "T1"}),
    Operation(
        Act.START_BATCH,
        at(90) + 1,
        "A. Miller",
        "next charge",
        {"name": "B2", "context": {}, "initial": {"T1": [300.0, 2.0]}, "recipe": None},
    ),
)
TIMELINE = tuple(sorted([*SAMPLES, *ACTS], key=lambda entry: entry.key))
METHODS = {
    "unscented": pt.UnscentedKalman(),
    "extended": pt.ExtendedKalman(),
    "ensemble": pt.EnsembleKalman(n_members=8),
    "perturbed": pt.EnsembleKalman(n_members=8, perturbed=True),
}
SMALL = pt.Window(seconds=1000.0, n=5)


def whole(method):
    return fed(heater_twin(method=METHODS[method], window=SMALL), TIMELINE)


REFERENCE = {}


def reference(method):
    return REFERENCE.setdefault(method, whole(method))


@pytest.mark.parametrize("method", METHODS)
def test_the_timeline_reaches_its_end(method):
    """The reference of this file is a twin that learned from its samples in both batches."""
    twin = reference(method)
    assert twin.state.mode is Mode.RUNNING and twin.state.batch.name == "B2"
    assert twin.state.n_updates > 15 and not twin.pending and not twin.reason


@pytest.mark.parametrize("method", METHODS)
def test_one_entry_a_call(method):
    """One call for each entry gives the same as one call for all."""
    twin = heater_twin(method=METHODS[method], window=SMALL)
    for entry in TIMELINE:
        twin = fed(twin, [entry])
    assert twin.digest == reference(method).digest


@settings(max_examples=15, deadline=None)
@given(data=st.data(), method=st.sampled_from(sorted(METHODS)))
def test_any_order_and_any_calls(data, method):
    """Entries in any order within the window, split into any calls, some of them twice."""
    order = data.draw(st.permutations(range(len(TIMELINE))))
    n_calls = data.draw(st.integers(1, 6))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), min_size=n_calls - 1, max_size=n_calls - 1)))
    twin = heater_twin(method=METHODS[method], window=SMALL)
    for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
        repeated = data.draw(st.lists(st.integers(0, len(order) - 1), max_size=3)) if begin else []
        known = [k for k in repeated if k in order[:begin]]
        twin = fed(twin, [TIMELINE[k] for k in [*order[begin:end], *known]])
    assert twin.digest == reference(method).digest


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_entries_that_are_a_little_late(data):
    """Each entry up to a minute late, with a window of a minute and rings of a few states: the same as in time."""
    lateness = data.draw(
        st.lists(st.integers(0, 60), min_size=len(TIMELINE), max_size=len(TIMELINE)).filter(lambda x: sum(x) > 0)
    )
    arrivals = sorted(zip(TIMELINE, lateness, strict=True), key=lambda pair: pair[0].time + pair[1] * 10**9)
    window = pt.Window(seconds=60.0, n=3, every=50.0, n_sparse=2)
    twin = heater_twin(window=window)
    for entry, _ in arrivals:
        twin = fed(twin, [entry])
    assert twin.counts.too_late == 0
    assert twin.digest == fed(heater_twin(window=window), TIMELINE).digest


def test_duplicates_change_nothing():
    """A second delivery of everything that is still in the window is counted and has no effect."""
    twin = reference("unscented")
    again, innovation = pt.assimilate(twin, TIMELINE)
    assert again.digest == twin.digest
    assert again.counts.duplicates == len(TIMELINE) and innovation.counts["samples"] == 0
    assert again.state is twin.state


def test_the_seed_is_part_of_it():
    """Perturbed observations with another seed are other numbers: the equalities above are not trivial."""
    other = fed(heater_twin(method=METHODS["perturbed"], window=SMALL, seed=1), TIMELINE)
    assert other.digest != reference("perturbed").digest


def test_a_sample_more_or_less_shows():
    """The digest sees a single sample that is missing, and a value that differs in its last bit."""
    assert fed(heater_twin(window=SMALL), TIMELINE[1:]).digest != reference("unscented").digest
    first = SAMPLES[40]
    nudged = pt.Sample(first.channel, first.time, np.nextafter(first.value, 1e9), first.unit)
    changed = [nudged if entry is first else entry for entry in TIMELINE]
    assert fed(heater_twin(window=SMALL), changed).digest != reference("unscented").digest


def test_replay_is_the_twin_again():
    """A replay of the whole timeline from the start gives the twin; without a channel, that of a plant without it."""
    twin = reference("unscented")
    assert twin.replay(TIMELINE).digest == twin.digest
    without = twin.replay(TIMELINE, without="T2")
    assert "T2" not in without.setup.channels
    assert without.spread["T2"] > twin.spread["T2"]
    with pytest.raises(pt.UnknownNameError, match='"T3"'):
        twin.replay(TIMELINE, without="T3")
