"""Gaps, modes, masks, failures of the model, lost channels: what one moment may do and what not."""

import functools
from dataclasses import dataclass, field

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.errors import SolveError
from physics_twin.twin.state import Mode
from tests.twin.plants import HEATER_CHANNELS, START, at, fed, heater_block, heater_samples, heater_twin

WHO = {"who": "A. Miller", "reason": "test"}


def sampled_at(t, t1=30.0, t2=28.0):
    return [pt.Sample("T1", at(t), t1, "degC"), pt.Sample("T2", at(t), t2, "degC")]


def test_accumulators_are_the_models():
    """The energy meter of every member is the integral of the powers that were read, whatever the samples said."""
    samples = heater_samples(40)
    for method in (pt.EnsembleKalman(n_members=6), pt.UnscentedKalman(), pt.ExtendedKalman()):
        twin = fed(heater_twin(method=method), samples)
        read = [s for s in samples if s.channel in ("q1", "q2")]
        energy = sum(5.0 * s.value for s in read if s.time < twin.state.time)
        k = [block.name for block in twin.setup.model.state].index("energy")
        np.testing.assert_allclose(twin.state.belief.states[:, k], energy, rtol=1e-9)


METHODS = [pt.UnscentedKalman(), pt.ExtendedKalman(), pt.EnsembleKalman(n_members=20)]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_gap_updates_no_parameter(method):
    """The first samples after a gap move states and not parameters; those after them do again."""
    twin = fed(heater_twin(drift={"UA": pt.RandomWalk("10 %", per="1 h")}, method=method), heater_samples(20))
    before = twin.parameters

    def near(known, t):
        expected = known.at(at(t)).mean
        return sampled_at(t, expected["T1"] - 273.05, expected["T2"] - 273.2)

    first = fed(twin, near(twin, 800.0))
    assert first.parameters == before
    assert first.spread["UA"] > twin.spread["UA"]
    assert first.state.n_updates == twin.state.n_updates + 1
    second = fed(first, near(first, 805.0))
    assert second.parameters != before
    shorter = fed(twin, near(twin, 600.0))
    assert shorter.parameters != before


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_frozen_twin_keeps_its_parameters(method):
    """Without adaption parameters and their spread stay to the last bit, and states are followed all the same."""
    twin = heater_twin(adaptive=False, method=method)
    later = fed(twin, heater_samples(30))
    np.testing.assert_array_equal(later.state.belief.parameters, twin.state.belief.parameters)
    assert later.state.n_updates == 30
    assert later.spread["T1"] < twin.spread["T1"]


@pytest.mark.parametrize("mode", ["idle", "maintenance"])
def test_modes_without_updates(mode):
    """Idle, the model goes on with live inputs and learns nothing; running again, it learns."""
    samples = heater_samples(40)
    twin = fed(heater_twin(), samples[:80])
    idle = twin.enter(mode, **WHO)
    later, innovation = pt.assimilate(idle, samples[80:120])
    assert later.state.mode is Mode(mode) and later.state.n_updates == twin.state.n_updates
    assert later.state.reached == samples[119].time
    assert later.spread["T1"] > twin.spread["T1"]
    assert mode in innovation.records[0].samples[0].verdict.words
    back = fed(later.enter("running", **WHO), samples[120:])
    assert back.state.n_updates == twin.state.n_updates + 10
    assert [record.act for record in back.audit] == ["mode", "mode"]


def test_out_of_service_nothing_goes_on():
    """Out of service the belief stays where it was, whatever is read, until the next batch begins."""
    samples = heater_samples(40)
    twin = fed(heater_twin(), samples[:80]).enter("out of service", **WHO)
    later = fed(twin, samples[80:])
    assert later.state.belief is twin.state.belief
    assert later.state.reached == twin.state.reached < later.state.time
    assert later.state.settings["q1"] == samples[-2].value
    with pytest.raises(pt.DataError, match="start_batch"):
        later.enter("running", **WHO)
    assert later.start_batch(**WHO).state.mode is Mode.RUNNING


def test_a_batch_keeps_parameters_and_lets_them_wander():
    """States begin anew, with the spread that is stated; variances of parameters grow by the walk over idle time."""
    drift = {"UA": pt.RandomWalk("10 %", per="1 h")}
    twin = fed(heater_twin(drift=drift), heater_samples(30)).enter("out of service", **WHO)
    initial = {"T1": pt.Normal("40 degC", "2 K"), "T2": "35 degC"}
    now = at(30 * 5.0 + 7200.0)
    begun = twin.at(now).start_batch(initial, {"lot": "A"}, at=now, name="B2", **WHO)
    assert begun.state.batch.name == "B2" and begun.state.batch.context == {"lot": "A"}
    assert begun.mean["T1"] == pytest.approx(313.15, abs=1e-9)
    assert begun.mean["energy"] == 0.0
    assert begun.spread["T1"] == pytest.approx(2.0, rel=1e-6)
    assert begun.spread["T2"] == pytest.approx(0.0, abs=1e-3)
    assert begun.parameters["UA"] == pytest.approx(twin.parameters["UA"], rel=1e-9)
    idle = (begun.state.time - twin.state.reached) * 1e-9
    before, after = (variance(t, "UA") for t in (twin, begun))
    assert after - before == pytest.approx((0.1 * 0.05) ** 2 / 3600.0 * idle, rel=1e-6)
    assert fed(begun, sampled_at(30 * 5.0 + 7205.0, 39.5, 34.8)).state.n_updates == begun.state.n_updates + 1


def variance(twin, name):
    coordinates, root = twin.setup.coordinates, twin.state.belief.root
    k = coordinates.names.index(name)
    return float((root @ root.T)[k, k]) * coordinates.scale[k] ** 2


def test_a_masked_channel():
    """A masked channel is not believed until the mask ends, and its samples say who masked it and why."""
    samples = heater_samples(40)
    twin = fed(heater_twin(), samples[:80]).mask("T1", at(150.0), "being cleaned", "A. Miller")
    masked, innovation = pt.assimilate(twin, samples[80:120])
    said = [s.verdict for r in innovation.records for s in r.samples if s.channel == "T1"]
    assert not any(v.use for v in said) and "being cleaned" in said[0].words
    assert masked.spread["T1"] > masked.spread["T2"]
    _, after = pt.assimilate(masked, samples[120:140])
    assert any(s.verdict.use for r in after.records for s in r.samples if s.channel == "T1")
    lifted = twin.unmask("T1", **WHO)
    assert not lifted.state.masks
    with pytest.raises(pt.DataError, match="not masked"):
        lifted.unmask("T1", **WHO)


def test_all_channels_lost():
    """Without a reading that can be used the twin predicts on and says so; with one, it learns from that."""
    samples = heater_samples(40)
    twin = fed(heater_twin(), samples[:80])
    lost = [pt.Sample(name, at(100.0), float("nan"), "degC") for name in ("T1", "T2")]
    alone, innovation = pt.assimilate(twin, lost)
    assert alone.state.n_updates == twin.state.n_updates and alone.state.reached == at(100.0)
    assert "no reading could be used" in alone.reason and innovation.reason
    half = fed(twin, [lost[0], samples[81]])
    assert half.state.n_updates == twin.state.n_updates + 1 and not half.reason


def test_a_reading_of_another_dimension():
    """A unit that does not fit is plant data: the sample is left out with the reason, the others are used."""
    samples = heater_samples(40)
    wrong = [
        pt.Sample("T1", at(50.0), 3.0, "bar"),
        pt.Sample("q1", at(50.0), 2.0, "K"),
        samples[41],
    ]
    twin, innovation = pt.assimilate(fed(heater_twin(), samples[:40]), wrong)
    said = {s.channel: s.verdict for s in innovation.records[0].samples}
    assert not said["T1"].use and "dimension" in said["T1"].words and said["T2"].use
    assert any("q1" in note for note in innovation.notes)
    assert twin.state.settings["q1"] == samples[38].value


@functools.cache
def runaway():
    """x' = u x^2 - x: with the input on, x is infinite after a while."""
    m = pt.ProcessBuilder("runaway", version="1.0")
    u, k = m.input("u", "1/(kg s)"), m.parameter("k", "0.1 1/s", bounds=("0.01 1/s", "1 1/s"))
    x = m.state("x", "kg", initial="1 kg")
    m.rate(x, u * x * x - k * x)
    m.output("x", x)
    return m.build()


def runaway_twin(method=None):
    draws = 0.1 + 0.01 * np.random.default_rng(0).standard_normal((50, 1))
    return pt.Twin.start(
        runaway(),
        pt.Posterior.from_draws([runaway().parameters["k"]], draws),
        at=START,
        channels=[pt.Channel("x", unit="kg", noise="0.05 kg")],
        initial_sd={"x": "0.1 kg"},
        process_noise={"x": pt.RandomWalk("0.02 kg", per="1 s")},
        method=method,
    )


def runaway_samples(on=5.0):
    found = []
    for k in range(12):
        found.append(pt.Sample("u", at(k), on if k == 5 else 0.0, "1/(kg s)"))
        found.append(pt.Sample("x", at(k), float(np.exp(-0.1 * k)), "kg"))
    return found


@pytest.mark.parametrize("method", [pt.UnscentedKalman(), pt.ExtendedKalman(), pt.EnsembleKalman(n_members=8)])
def test_a_model_that_fails_and_recovers(method):
    """A step that cannot be computed leaves the belief where it was; the next moment tries the longer step."""
    samples = runaway_samples()
    broken, innovation = pt.assimilate(runaway_twin(method), [s for s in samples if s.time <= at(6)])
    assert "could not be carried on" in broken.reason and broken.reason == innovation.reason
    assert broken.state.reached == at(5) and broken.state.time == at(6)
    assert not innovation.records[-1].samples[0].verdict.use and innovation.records[-1].trouble
    assert np.isfinite(broken.mean["x"])
    later = fed(broken, samples)
    assert not later.reason and later.state.reached == at(11)
    assert later.digest == fed(runaway_twin(method), samples).digest
    assert later.mean["x"] == pytest.approx(np.exp(-1.1), abs=0.1)


@dataclass(frozen=True)
class Stubborn:
    """An unscented filter that cannot learn at one moment."""

    moment: int
    inner: pt.UnscentedKalman = field(default_factory=pt.UnscentedKalman)
    name: str = "stubborn"

    def begin(self, start, dynamics, key):
        return self.inner.begin(start, dynamics, key)

    def predict(self, belief, dynamics, step):
        return self.inner.predict(belief, dynamics, step)

    def widen(self, predicted, dynamics, factor):
        return self.inner.widen(predicted, dynamics, factor)

    def update(self, predicted, dynamics, step, observation):
        if step.key.time == self.moment:
            raise SolveError("no finite belief comes out", time=step.t1)
        return self.inner.update(predicted, dynamics, step, observation)


def test_an_update_that_fails():
    """Where no belief comes out of the update the prediction stands, with the reason; the next moment is normal."""
    samples = heater_samples(12)
    twin = heater_twin(method=Stubborn(at(50.0)))
    broken, innovation = pt.assimilate(twin, [s for s in samples if s.time <= at(50.0)])
    assert broken.reason == "no update: no finite belief comes out"
    assert broken.state.reached == at(50.0) and broken.state.n_updates == 10
    assert innovation.records[-1].trouble
    assert not fed(broken, samples).reason


def test_nobody_has_read_the_inputs_yet():
    """A live input that has not been read stops nothing: the first reading of it holds from the start on."""
    samples = heater_samples(4)
    temperatures = [s for s in samples if s.channel.startswith("T") and s.time == at(0.0)]
    waiting = fed(heater_twin(), temperatures)
    assert '"q1" has not been read yet' in waiting.reason
    powers = [pt.Sample("q1", at(5.0), 2.0, "W"), pt.Sample("q2", at(5.0), 1.0, "W")]
    twin = fed(waiting, [*powers, *sampled_at(5.0, 24.2, 23.6)])
    assert not twin.reason and twin.state.n_updates == 1
    assert twin.mean["energy"] == pytest.approx(15.0)


def test_inputs_out_of_range_are_held():
    """A reading of a live input that is bad, missing or impossible leaves the last one in force."""
    twin = fed(heater_twin(), heater_samples(10))
    bad = pt.Sample("q1", at(60.0), 99.0, "W", quality=pt.Flag.BAD)
    later, innovation = pt.assimilate(twin, [bad])
    assert later.state.settings == twin.state.settings
    assert any("is bad" in note for note in innovation.notes)


def test_a_batch_that_says_nothing_of_a_state_begins_as_uncertain_as_the_twin_did():
    """`initial_sd` of the start holds for every charge; what is said of it replaces that."""
    twin = fed(heater_twin(initial_sd={"T1": "5 K", "T2": "3 K"}), heater_samples(10)).start_batch(**WHO)
    assert twin.spread["T1"] == pytest.approx(5.0, rel=1e-6) and twin.spread["T2"] == pytest.approx(3.0, rel=1e-6)
    known = fed(heater_twin(initial_sd={"T1": "5 K"}), heater_samples(10)).start_batch(
        {"T1": pt.Normal("23 degC", "2 K")}, **WHO
    )
    assert known.spread["T1"] == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("method", [pt.UnscentedKalman(), pt.EnsembleKalman(60)])
def test_outputs_of_a_frozen_twin_after_an_update(method):
    """They are those of the updated belief: what its parameters are unsure of stays in the outputs."""
    twin = fed(heater_twin(adaptive=False, method=method), heater_samples(60))
    assert twin.until == twin.state.reached
    np.testing.assert_allclose(twin.state.outputs, twin.present.outputs, rtol=1e-12)
    np.testing.assert_allclose(twin.state.covariance, twin.present.covariance, rtol=1e-9, atol=1e-15)


def test_the_mean_of_a_parameter_on_a_logarithmic_scale_is_its_median():
    """Members and a mean with covariance of one belief show the same number, and not one e^(s^2 / 2) away."""
    wide = pt.Posterior.from_draws(
        [heater_block().parameters["UA"].replace(bounds=("1e-4 W/K", "10 W/K"))],
        0.05 * np.exp(0.5 * np.random.default_rng(0).standard_normal((400, 1))),
    )
    shown = [
        pt.Twin.start(heater_block(), wide, at="2026-11-20T06:00Z", channels=HEATER_CHANNELS, method=method).parameters
        for method in (pt.UnscentedKalman(), pt.EnsembleKalman(400))
    ]
    assert shown[0]["UA"] == pytest.approx(float(np.exp(np.log(wide["UA"]).mean())), rel=1e-9)
    assert shown[1]["UA"] == pytest.approx(shown[0]["UA"], rel=1e-9)
