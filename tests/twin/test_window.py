"""Late entries, with a filter so cheap that hundreds of timelines can be tried: a level that wanders, exactly."""

import functools
from dataclasses import dataclass, replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import physics_twin as pt
from physics_twin.assimilation.belief import Belief, Predicted
from physics_twin.twin.moments import SECOND
from tests.twin.plants import START, at, fed


@functools.cache
def level():
    """x' = drain, of which the filter below knows nothing."""
    m = pt.ProcessBuilder("level", version="1.0")
    drain = m.parameter("drain", "0 kg/s", bounds=("-1 kg/s", "1 kg/s"))
    x = m.state("x", "kg", initial="1 kg")
    m.rate(x, drain)
    m.output("x", x)
    return m.build()


@dataclass(frozen=True)
class Wandering:
    """The Kalman filter of a level that only wanders: no run of the model at all."""

    name: str = "wandering"

    def begin(self, start, dynamics, key):
        return Belief(self.name, start.states[:1], start.parameters[:1], np.diag([1.0, 1e-9]))

    def predict(self, belief, dynamics, step):
        x, root = belief.states[0, :1], belief.root.copy()
        root[0, 0] = np.sqrt(root[0, 0] ** 2 + step.variance[0])
        return Predicted(replace(belief, root=root), x.copy(), root[:1, :1] ** 2)

    def widen(self, predicted, dynamics, factor):
        return predicted

    def update(self, predicted, dynamics, step, observation):
        states, root = predicted.belief.states.copy(), predicted.belief.root.copy()
        for value, variance in zip(observation.values, observation.variance, strict=True):
            gain = root[0, 0] ** 2 / (root[0, 0] ** 2 + variance)
            states[0, 0] += gain * (value - states[0, 0])
            root[0, 0] *= np.sqrt(1.0 - gain)
        return replace(predicted.belief, states=states, root=root)


def level_twin(window):
    draws = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 1))
    return pt.Twin.start(
        level(),
        pt.Posterior.from_draws([level().parameters["drain"]], draws),
        at=START,
        channels=[pt.Channel("x", unit="kg", noise="0.5 kg")],
        process_noise={"x": pt.RandomWalk("0.3 kg", per="1 s")},
        method=Wandering(),
        window=window,
        guard=pt.Guard(probability=1.0 - 1e-9),
    )


WINDOWS = st.builds(
    pt.Window,
    seconds=st.sampled_from([8.0, 20.0, 33.0]),
    n=st.integers(1, 6),
    every=st.sampled_from([7.0, 15.0]),
    n_sparse=st.integers(0, 3),
)
MOMENTS = st.lists(st.integers(0, 300), min_size=2, max_size=50)  # fifths of a second, some of them the same


@st.composite
def arrivals(draw):
    """A window and samples in the order in which they come, none later than the window, in calls."""
    window = draw(WINDOWS)
    moments = draw(MOMENTS)
    n = len(moments)
    delays = draw(st.lists(st.floats(0.0, 0.999 * window.seconds), min_size=n, max_size=n))
    values = draw(st.lists(st.floats(0.0, 2.0), min_size=n, max_size=n))
    rows = [(t / 5 + d, at(t / 5), v) for t, v, d in zip(moments, values, delays, strict=True)]
    rows.sort(key=lambda row: row[0])
    samples = [pt.Sample("x", time, value, "kg", source=str(k)) for k, (_, time, value) in enumerate(rows)]
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=n)))
    calls = [samples[a:b] for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    return window, calls


@settings(max_examples=80, deadline=None)
@given(arrivals())
def test_late_is_as_good_as_in_time(drawn):
    """States, snapshots and entries that are kept: bit for bit those of one call with everything in order."""
    window, calls = drawn
    twin = level_twin(window)
    for call in calls:
        twin = fed(twin, call)
    everything = sorted((s for call in calls for s in call), key=lambda s: s.key)
    whole = fed(level_twin(window), everything)
    assert twin.counts.too_late == 0
    assert twin.digest == whole.digest


@settings(max_examples=50, deadline=None)
@given(arrivals(), st.integers(0, 3))
def test_a_budget_in_between(drawn, n_unlimited):
    """The same with a budget that is always used up: every call does one moment, and the rest comes later."""
    window, calls = drawn
    twin = level_twin(window)
    for k, call in enumerate(calls):
        twin, _ = pt.assimilate(twin, call, budget=None if k < n_unlimited else "0 s")
    while twin.pending:
        twin, _ = pt.assimilate(twin, [], budget="0 s")
    everything = sorted((s for call in calls for s in call), key=lambda s: s.key)
    assert twin.counts.too_late == 0
    assert twin.digest == fed(level_twin(window), everything).digest


@settings(max_examples=40, deadline=None)
@given(arrivals(), st.randoms(use_true_random=False))
def test_what_is_too_late_is_decided_by_the_order_of_arrival(drawn, random):
    """Any order of arrival, far beyond the window: calls of any length turn the same entries away."""
    window, calls = drawn
    samples = [s for call in calls for s in call]
    random.shuffle(samples)
    single = level_twin(window)
    for sample in samples:
        single = fed(single, [sample])
    at_once = fed(level_twin(window), samples)
    hurried = level_twin(window)
    for sample in samples:
        hurried, _ = pt.assimilate(hurried, [sample], budget="0 s")
    for other in (at_once, fed(hurried, [])):
        assert single.counts.too_late == other.counts.too_late
        assert single.digest == other.digest


class Shelf:
    """A journal in memory: what was written, from the beginning on."""

    def __init__(self):
        self.written = {}
        self.complete_since = -(2**62)

    def append(self, entries):
        for entry in entries:
            self.written.setdefault(entry.key, entry)

    def entries(self, since=None, until=None):
        chosen = [e for e in self.written.values() if since <= e.time <= until]
        return iter(sorted(chosen, key=lambda e: e.key))


@settings(max_examples=50, deadline=None)
@given(arrivals(), st.randoms(use_true_random=False))
def test_a_journal_reaches_further(drawn, random):
    """With a journal entries of any order within the large cells: what is turned away follows from arrival alone,
    and what is taken in gives the state of in-order arrival.
    """
    window, calls = drawn
    samples = [s for call in calls for s in call]
    random.shuffle(samples)
    twin, shelf = level_twin(window), Shelf()
    taken = []
    for sample in samples:
        shelf.append([sample])
        before = twin.counts.too_late
        twin = fed(twin, [sample], journal=shelf)
        taken += [sample] if twin.counts.too_late == before else []
    order = sorted(taken, key=lambda s: s.key)
    assert twin.digest == fed(level_twin(window), order).digest
    if window.n_sparse == 3 and window.every == 15.0:
        oldest = max(s.time for s in samples) // (15 * SECOND) - 3
        assert {s.key for s in samples if s.time // (15 * SECOND) >= oldest} <= {s.key for s in taken}


def test_a_journal_with_a_hole():
    """A late entry is turned away where the journal no longer holds what came after it."""
    window = pt.Window(seconds=5.0, n=2, every=10.0, n_sparse=10)
    twin, shelf = level_twin(window), Shelf()
    shelf.append(samples := [pt.Sample("x", at(t), 1.0, "kg") for t in range(60)])
    twin = fed(twin, samples, journal=shelf)
    late = pt.Sample("x", at(22.5), 2.0, "kg")
    shelf.append([late])
    shelf.complete_since = at(25.0)
    assert fed(twin, [late], journal=shelf).counts.too_late == 1
    assert fed(twin, [late], journal=shelf).digest == twin.digest
    shelf.complete_since = at(0.0)
    assert fed(twin, [late], journal=shelf).counts.late == 1


def test_snapshots_stay_few():
    """However long the twin runs: single moments, eight small cells and a base, large cells and a base."""
    window = pt.Window(seconds=16.0, n=5, every=30.0, n_sparse=4)
    twin = fed(level_twin(window), [pt.Sample("x", at(t), 1.0, "kg") for t in range(600)])
    assert len(twin.snapshots) <= 5 + 8 + 2 + 4 + 2
    assert all(entry.time > twin.state.time - 19 * SECOND for entry in twin.recent)
    assert twin.snapshots[-1] is twin.state
    assert twin.state.time - twin.snapshots[0].time < 6 * 30 * SECOND
    assert twin.mean["x"] == pytest.approx(1.0, abs=1e-6)
