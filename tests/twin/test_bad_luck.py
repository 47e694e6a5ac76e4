"""Everything that goes wrong in a plant, at once: no call raises, no belief is anything but finite, and what the twin
knows in the end does not depend on how its entries came in.
"""

import functools
import math

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.twin.journal import Journal
from physics_twin.twin.timeline import Act, Operation
from tests.twin.plants import WALKS, at, fed, heater_block, heater_samples, heater_twin

BASE = heater_samples(16)
METHODS = {
    "extended": pt.ExtendedKalman(),
    "unscented": pt.UnscentedKalman(),
    "ensemble": pt.EnsembleKalman(n_members=8),
    "perturbed": pt.EnsembleKalman(n_members=8, perturbed=True),
    "moving": pt.MovingHorizon(3, pt.RealTimeIteration()),
}
WINDOW = pt.Window(seconds=1000.0, n=4)
CHANNELS = ("T1", "T2", "q1", "q2", "energy", "nobody", "")
UNITS = ("", "degC", "K", "degF", "W", "mW", "kW", "no such unit", "m/s", "kg")
HUGE = (1e3, -1e6, 1e20, -1e150, 1e300, 1.7e308, -1.7e308, 5e-324)
POWERS = (1e3, -1e3, 1e6, 1e300)  # of an input without bounds
FLAGS = (pt.Flag.GOOD, pt.Flag.GOOD, pt.Flag.SUSPECT, pt.Flag.BAD, pt.Flag.MISSING)


def pick(rng, choices):
    return choices[int(rng.integers(len(choices)))]


def odd_sample(rng):
    channel = pick(rng, CHANNELS)
    huge = pick(rng, POWERS if channel.startswith("q") else HUGE)
    value = pick(rng, (math.nan, 23.0, 30.0, float(rng.normal(25.0, 30.0)), huge))
    time = pick(rng, (float(rng.uniform(0.0, 80.0)), 5.0 * int(rng.integers(16)), float(rng.uniform(-60.0, 160.0))))
    source = pick(rng, ("", "a", "b"))
    return pt.Sample(channel, at(time), value, pick(rng, UNITS), quality=pick(rng, FLAGS), source=source)


def odd_operation(rng):
    channel = pick(rng, ("T1", "T2"))
    act, content = pick(
        rng,
        (
            (Act.MASK, {"channel": channel, "until": pick(rng, (None, at(200.0)))}),
            (Act.UNMASK, {"channel": channel}),
            (Act.MODE, {"mode": pick(rng, ("idle", "running", "maintenance", "out of service"))}),
            (Act.SENSOR_REPLACED, {"channel": channel}),
            (Act.START_BATCH, {"name": "B", "context": {}, "initial": {"T1": [300.0, 2.0]}, "recipe": None}),
        ),
    )
    return Operation(act, at(float(rng.uniform(0.0, 80.0))) + 1, "A. Miller", "for some reason", content)


def bad_luck(rng, n_samples=25, n_operations=4):
    """A good record with odd samples and operations in it, in the order of the timeline."""
    drawn = [odd_sample(rng) for _ in range(n_samples)]
    drawn += [odd_operation(rng) for _ in range(int(rng.integers(n_operations + 1)))]
    first = {entry.key: entry for entry in reversed([*BASE, *drawn])}
    return [first[key] for key in sorted(first)]


def assert_sound(twin):
    for state in (twin.state, *twin.snapshots):
        b = state.belief
        for part in (b.states, b.parameters, b.root, *b.memory.values()):
            assert part is None or not np.isnan(part).any() or math.isnan(float(b.memory["times"][0]))
        assert np.isfinite(b.states[:, :2]).all() and np.isfinite(b.parameters).all()
        assert b.root is None or np.isfinite(b.root).all()
        low, high = twin.setup.coordinates.lower[2:], twin.setup.coordinates.upper[2:]
        z = twin.setup.coordinates.of_members(b.states, b.parameters)[:, 2:]
        assert (z >= low).all() and (z <= high).all()


def in_any_order(twin, entries, rng):
    """The entries shuffled, in calls of any size, some of them empty or twice or without time to finish."""
    arrivals = [entries[k] for k in rng.permutation(len(entries))]
    first = 0
    while first < len(arrivals):
        last = first + int(rng.integers(0, 30))
        again = [arrivals[int(rng.integers(first))]] if first else []
        twin, innovation = pt.assimilate(
            twin, [*arrivals[first:last], *again], budget="0 s" if rng.random() < 0.3 else None
        )
        assert str(innovation)
        assert_sound(twin)
        first = last
    return fed(twin, [])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", METHODS)
def test_any_mixture_in_any_order(method, seed):
    """NaN, huge numbers, wrong units, unknown names, flags, operations: sound, and the same in any order of arrival."""
    rng = np.random.default_rng([seed, 1])
    entries = bad_luck(rng)
    twin = fed(heater_twin(method=METHODS[method], window=WINDOW), entries)
    assert_sound(twin)
    other = in_any_order(heater_twin(method=METHODS[method], window=WINDOW), entries, rng)
    assert other.digest == twin.digest
    assert all(np.isfinite(twin.mean[name]) and twin.spread[name] >= 0.0 for name in ("T1", "T2", "UA", "link"))


@pytest.mark.parametrize("method", METHODS)
def test_saved_and_resumed_anywhere(method, tmp_path):
    """Files and a journal at random points of an unlucky stream: the same digest as without any of them."""
    rng = np.random.default_rng(7)
    entries = bad_luck(rng)
    arrivals = [entries[k] for k in rng.permutation(len(entries))]
    whole = fed(heater_twin(method=METHODS[method], window=WINDOW), entries)
    twin = heater_twin(method=METHODS[method], window=WINDOW)
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.save_state("A", twin, reached=0)
        for first in range(0, len(arrivals), 15):
            call = arrivals[first : first + 15]
            journal.append("A", call)
            twin = fed(twin, call)
            if rng.random() < 0.5:
                twin.save(tmp_path / "twin.nc")
                twin = pt.Twin.load(tmp_path / "twin.nc", heater_block())
            if rng.random() < 0.3:
                journal.save_state("A", twin, reached=journal.reached("A"))
        resumed = journal.resume("A", heater_block())
    assert twin.digest == whole.digest
    assert resumed.digest == whole.digest


@pytest.mark.parametrize("method", METHODS)
def test_an_impossible_power_is_survived(method):
    """An input read once as 1e300 W, just after a moment: no prediction until the next reading, then as ever."""
    extra = [
        pt.Sample("q1", at(30.0) + 1, 1e300, "W"),
        pt.Sample("q1", at(35.0) - 1, 2.0, "W", source="again"),
    ]
    twin, innovation = pt.assimilate(heater_twin(method=METHODS[method]), [*BASE, *extra], budget=None)
    quiet = fed(heater_twin(method=METHODS[method]), BASE)
    assert not twin.reason and twin.state.n_updates == quiet.state.n_updates
    assert any("too large" in record.trouble or "carried on" in record.trouble for record in innovation.records)
    for name in ("T1", "T2", "UA"):
        assert abs(twin.mean[name] - quiet.mean[name]) < 3.0 * quiet.spread[name]


def test_a_clock_that_jumps_hours_ahead_and_back():
    """With the caller's present, samples stamped hours ahead wait and turn nothing away; ancient ones are counted."""
    jump = 6 * 3600.0
    wrong = [pt.Sample(s.channel, at(jump) + s.time - at(0.0), s.value, s.unit) for s in BASE[20:28]]
    ancient = [pt.Sample("T1", at(-jump), 20.0, "degC")]
    twin = heater_twin()
    twin, _ = pt.assimilate(twin, BASE[:20], until=at(20.0), budget=None)
    twin, innovation = pt.assimilate(twin, [*wrong, *ancient], until=at(25.0), budget=None)
    assert innovation.counts["too_late"] == 1 and len(twin.pending) == len(wrong)
    twin, _ = pt.assimilate(twin, BASE[20:], until=at(75.0), budget=None)
    quiet = fed(heater_twin(), BASE)
    assert twin.counts.too_late == 1 and twin.state.n_updates == quiet.state.n_updates
    assert twin.state.belief.states.tobytes() == quiet.state.belief.states.tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_blind_for_hours_then_seeing_again(method):
    """Three hours of powers alone: the spread of temperatures grows, and the first readings bring it back."""
    blind = [pt.Sample("q1", at(80.0 + 600.0 * k), 2.0 - k % 2, "W") for k in range(18)]
    dead = [pt.Sample(c, at(5000.0), math.nan, "degC") for c in ("T1", "T2")]
    before = fed(heater_twin(method=METHODS[method]), BASE)
    lost, _ = pt.assimilate(before, [*blind, *dead], budget=None)
    assert_sound(lost)
    assert lost.spread["T1"] > 3.0 * before.spread["T1"] and lost.spread["UA"] == pytest.approx(before.spread["UA"])
    end = 80.0 + 18 * 600.0
    found = [
        pt.Sample(c, at(end + 5.0 * k), lost.mean[c] - 273.15 + 0.4, "degC") for k in range(4) for c in ("T1", "T2")
    ]
    seeing = fed(lost, found)
    assert not seeing.reason and seeing.spread["T1"] < 0.2


@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_the_plant(method):
    """Fifteen kelvin within a moment (cold water): turned away at first, believed soon, and parameters do not leap."""
    samples, rate = heater_samples(40), 0.06 / 8.0  # of both bodies towards the room, 1/s
    cooled = [
        pt.Sample(s.channel, s.time, s.value - 15.0 * math.exp(-rate * (s.time - at(100.0)) / 1e9), s.unit)
        if s.channel[0] == "T" and s.time >= at(100.0)
        else s
        for s in samples
    ]
    before = fed(heater_twin(method=METHODS[method]), [s for s in samples if s.time < at(100.0)])
    after = fed(before, [s for s in cooled if at(100.0) <= s.time < at(140.0)])
    truth = [s.value for s in cooled if s.channel == "T1" and s.time < at(140.0)][-1]
    assert after.mean["T1"] - 273.15 == pytest.approx(truth, abs=0.6)
    for name in ("UA", "link"):
        assert abs(after.mean[name] - before.mean[name]) < 3.0 * before.spread[name]


@functools.cache
def brittle():
    """A level whose outlet equation has no root below 0.5 m, which is its bound: some runs of a wide belief fail."""
    m = pt.ProcessBuilder("brittle", version="1.0")
    k = m.parameter("k", "0.02 m/s", bounds=("0.001 m/s", "0.1 m/s"))
    x = m.state("x", "m", initial="1 m", lower="0.5 m")
    size = m.constant("1 m")
    m.rate(x, m.input("feed", "m/s") - k * pt.sqrt((x - 0.5 * size) / size))
    m.output("x", x)
    return m.build()


def test_a_failure_does_not_say_when_it_was_computed():
    """What a twin remembers of a failure is the same at every replay: the integrator's own stamps are left out."""
    fixed = {"k": 0.02, "initial.x": 1.0}
    recipe = pt.Recipe.constant(feed="0 m/s")
    state = brittle().initial_state(0.0, recipe, fixed)
    state[0] = 0.4
    with pytest.raises(pt.SolveError) as error:
        brittle().advance(state, 0.0, 1.0, recipe, fixed)
    assert "not finite" in error.value.reason and "20" not in error.value.reason


@pytest.mark.parametrize("method", [name for name in METHODS if name != "extended"])  # no slope at the very bound
def test_a_model_that_fails_on_part_of_its_domain(method):
    """Some members, or the mean itself, leave the domain: said, never half done, and over when the plant is back."""
    posterior = pt.Posterior.from_draws(
        [brittle().parameters["k"]], 0.02 * np.exp(0.1 * np.random.default_rng(0).standard_normal((60, 1)))
    )
    twin = pt.Twin.start(
        brittle(),
        posterior,
        at=at(0.0),
        channels=[pt.Channel("x", unit="m", noise="0.05 m")],
        initial_sd={"x": "0.2 m"},
        process_noise={"x": pt.RandomWalk("0.03 m", per="1 s")},
        method=METHODS[method],
    )
    rng, level = np.random.default_rng(4), 1.0
    for k in range(40):
        feed = 0.0 if 10 <= k < 20 else 0.02
        level = 0.52 if 12 <= k < 22 else 1.0
        entries = [
            pt.Sample("feed", at(float(k)), feed, "m/s"),
            pt.Sample("x", at(float(k)), level + 0.05 * float(rng.standard_normal()), "m"),
        ]
        twin, _ = pt.assimilate(twin, entries, budget=None)
        b = twin.state.belief
        assert np.isfinite(b.states).all() and np.isfinite(b.parameters).all()
    assert not twin.reason
    assert twin.mean["x"] == pytest.approx(1.0, abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["extended", "unscented", "ensemble", "moving"])
def test_thousands_of_steps_of_a_parameter_at_its_bound_and_one_that_drifts(method):
    """Data of a plant whose UA lies below its bound, a link that may double within a minute: sound to the end."""
    n = 400 if method == "moving" else 2000
    rng = np.random.default_rng(0)
    twin = heater_twin(
        method=METHODS[method],
        process_noise={name: pt.RandomWalk("1e-6 K", per="1 min") for name in WALKS},
        drift={"link": pt.RandomWalk("100 %", per="1 min")},
        guard=pt.Guard(probability=1.0 - 1e-12),
    )
    t = np.arange(n)
    samples = []
    for k in t:
        hot = 23.0 + 300.0 * (1.0 - math.exp(-k / 400.0)) + 1e-3 * rng.standard_normal(2)
        samples += [pt.Sample(c, at(5.0 * k), float(v), "degC") for c, v in zip(("T1", "T2"), hot, strict=True)]
        samples += [pt.Sample(c, at(5.0 * k), 1.0, "W") for c in ("q1", "q2")]
    for first in range(0, len(samples), 400):
        twin = fed(twin, samples[first : first + 400])
        assert_sound(twin)
        covariance = twin.covariance.values
        assert np.isfinite(covariance).all() and (np.diag(covariance) >= 0.0).all()
