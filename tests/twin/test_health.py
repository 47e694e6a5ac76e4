"""Health: each status provoked on a real twin, and what the numbers say."""

import json

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.twin.health import FAR_OFF, Status
from physics_twin.twin.hindsight import hindsight
from physics_twin.twin.moments import SECOND
from tests.twin.plants import START, at, fed, heater_block, heater_samples, heater_twin

EKF = pt.ExtendedKalman()


def followed(n=40, change=None, **options):
    """A twin that has taken in n moments, some of the samples changed on their way; None leaves one out."""
    samples = [s if change is None else change(s) for s in heater_samples(n)]
    return heater_twin(method=EKF, **options).assimilate([s for s in samples if s is not None], budget=None)[0]


def test_a_twin_that_follows_its_plant_is_ok():
    """No reasons; residuals as large as claimed; every version named."""
    h = followed().health
    assert h.status is Status.OK, h
    assert h.ok
    assert h.reasons == ()
    assert h.lag == 0.0
    assert h.consistent
    assert {c.name: c.share_used for c in h.channels} == {"T1": 1.0, "T2": 1.0}
    assert h.posterior == followed().health.posterior
    text = str(h)
    for part in ("OK: heater_block", "no drift alarm", "claimed", "extended kalman", "heater_block 1.0"):
        assert part in text


def test_a_twin_before_its_first_sample_only_predicts():
    """And says what it waits for."""
    h = heater_twin(method=EKF).health
    assert h.status is Status.PREDICTION_ONLY
    assert "no sample has been used yet" in h.reasons


def test_a_twin_without_samples_for_long_is_stale():
    """Its last good samples are named with their age."""
    twin = followed()
    h = twin.at(twin.until + 1200 * SECOND).health
    assert h.status is Status.STALE
    assert h.lag == pytest.approx(1200.0)
    assert "no sample has been used for 20 min" in h.reasons
    assert "T1: silent for 20 min" in h.reasons


def test_one_silent_sensor_degrades():
    """The other one keeps the twin from being stale."""
    h = followed(
        change=lambda s: None if s.channel == "T2" and s.time > at(20.0) else s, guard=pt.Guard(gap=60.0)
    ).health
    assert h.status is Status.DEGRADED
    assert [r for r in h.reasons if r.startswith("T2: silent for")]


def test_a_masked_channel_degrades_and_says_who_masked_it():
    """With the reason that was given."""
    h = followed().mask("T1", None, "cable in repair", "A. Miller").health
    assert h.status is Status.DEGRADED
    assert "T1: masked by A. Miller until it is lifted: cable in repair" in h.reasons


def test_a_channel_in_another_unit_degrades():
    """Readings in degF under degC are not used, and the conversion is named."""

    def jumped(s):
        if s.channel != "T2" or s.time < at(100.0):
            return s
        return pt.Sample(s.channel, s.time, s.value * 1.8 + 32.0, "degC")

    h = followed(60, change=jumped).health
    assert h.status is Status.DEGRADED
    assert [r for r in h.reasons if r.startswith("T2: its readings look like another unit")]


def test_maintenance_only_predicts():
    """Nothing is learned in it, on purpose."""
    h = followed().enter("maintenance", who="A. Miller", reason="cleaning").health
    assert h.status is Status.PREDICTION_ONLY
    assert "the plant is in the mode maintenance: nothing is learned" in h.reasons


def test_entries_that_wait_make_a_prediction_only():
    """A budget of nothing leaves all but the first moment undone."""
    twin = heater_twin(method=EKF).assimilate(heater_samples(12), budget=None)[0]
    more = [s for s in heater_samples(30) if s.time > twin.until]
    h = twin.assimilate(more, budget="0 s")[0].health
    assert h.status is Status.PREDICTION_ONLY
    assert h.pending > 0
    assert [r for r in h.reasons if "waiting" in r]


def test_a_model_that_cannot_be_carried_on_has_failed():
    """A phase that waits for a level that is never reached ends the model's run."""
    recipe = pt.Recipe(
        [
            pt.Phase("heat", q1="0.1 W", q2="0 W", until=pt.rises_to("T1", "90 degC"), at_most="60 s"),
            pt.Phase("rest", q1="0 W", q2="0 W", duration="1 h"),
        ]
    )
    twin = heater_twin(method=EKF, recipe=recipe)
    samples = [s for s in heater_samples(30) if s.channel in ("T1", "T2") and s.time <= at(20.0)]
    twin = twin.assimilate(samples, budget=None)[0]
    h = twin.at(at(300.0)).health
    assert h.status is Status.FAILED, h


def test_a_parameter_that_has_left_its_posterior_is_an_alarm():
    """The twin's UA is 0.06 W/K, the posterior in force is sure of 0.05."""
    rng = np.random.default_rng(2)
    sure = np.array([0.05, 0.025]) * np.exp(0.01 * rng.standard_normal((300, 2)))
    posterior = pt.Posterior.from_draws([heater_block().parameters[name] for name in ("UA", "link")], sure)
    channels = [pt.Channel(name, unit="degC", noise="0.1 K") for name in ("T1", "T2")]
    drift = {"UA": pt.RandomWalk("4 %", per="1 min")}
    twin = pt.Twin.start(
        heater_block(), posterior, at=START, channels=channels, drift=drift, method=EKF, initial_sd={"T1": "1 K"}
    )
    h = twin.assimilate(heater_samples(60), budget=None)[0].health
    assert h.status is Status.DEGRADED
    assert [words for words in h.drifts if words.startswith("UA has drifted")]


def test_predictions_of_earlier_states_are_as_good_as_they_claim():
    """Misses of one to thirty-two moments ahead, pooled, are within the claimed spread; longer leads claim more."""
    found = hindsight(followed(60, window=pt.Window(seconds=300.0)))
    assert {a.steps for a in found} == {1, 2, 4, 8, 16, 32}
    n = sum(a.n for a in found)
    ratio = np.sqrt(sum(a.n * (a.rms / a.expected) ** 2 for a in found) / n)
    # Leads of one start share their error: some forty independent misses at least.
    assert 1.0 - 3.0 / np.sqrt(40) < ratio < 1.0 + 3.0 / np.sqrt(40)
    for name in ("T1", "T2"):
        claimed = [a.expected for a in found if a.channel == name]
        assert claimed == sorted(claimed)
    assert all(a.seconds == pytest.approx(5.0 * a.steps) for a in found)


def test_hindsight_counts_a_wrong_model_as_wrong():
    """A twin whose readings are 2 K off since a minute, and are used, has misses larger than claimed."""
    late = [pt.Sample(s.channel, s.time, s.value + 2.0, s.unit) for s in heater_samples(60) if s.time > at(200.0)]
    twin = followed(41, guard=pt.Guard(probability=1.0 - 1e-12), window=pt.Window(seconds=300.0))
    own = [pt.Sample(s.channel, s.time, s.value - 2.0, s.unit) if s.channel in ("q1", "q2") else s for s in late]
    after = twin.assimilate(own, budget=None)[0]
    worst = max(a.rms / a.expected for a in hindsight(after) if a.steps >= 8)
    assert worst > 3.0
    h = after.health
    assert h.status is Status.DEGRADED
    assert [r for r in h.reasons if "ahead were off by" in r]


def test_health_as_json_names_units_and_knows_no_nan():
    """A strict reader takes it; temperatures differ in K."""

    def refuse(text):
        raise AssertionError(text)

    content = json.loads(heater_twin(method=EKF).health.to_json(), parse_constant=refuse)
    assert content["status"] == "PREDICTION ONLY"
    assert content["channels"][0]["residual_rms"] is None
    content = json.loads(followed().health.to_json(), parse_constant=refuse)
    assert content["channels"][0]["units"] == "K"
    assert content["channels"][0]["noise"] == pytest.approx(0.1)
    assert content["prediction"][0]["ahead_s"] == pytest.approx(5.0)
    assert content["versions"]["model_version"] == "1.0"
    assert content["counts"]["samples"] == 160


def test_readings_that_no_sensor_can_show_say_nothing_about_predictions():
    """One reading below absolute zero leaves what is said of earlier predictions as it was."""
    samples = heater_samples(30)
    odd = [s if k != 80 else pt.Sample(s.channel, s.time, -300.0, "degC") for k, s in enumerate(samples)]
    assert samples[80].channel == "T1"
    ahead = fed(heater_twin(), odd).health.ahead
    assert ahead and all(one.rms < 5.0 for one in ahead)


def test_a_live_input_that_nobody_reads_any_more():
    """Bad readings and silence: the value that is held is old, health and forecast say so; a constant is none."""
    last = 20
    samples = [s for s in heater_samples(200) if s.channel != "q2" or s.time <= at(5.0 * last)]
    dead = pt.Flag.BAD
    samples = [
        pt.Sample("q1", s.time, s.value, "W", quality=dead) if s.channel == "q1" and s.time > at(5.0 * last) else s
        for s in samples
    ]
    twin = heater_twin(method=EKF).assimilate(samples, budget=None)[0]
    h = twin.health
    found = {one.name: one for one in h.inputs}
    assert h.status is Status.DEGRADED
    assert found["q1"].n_left_out == 199 - last and found["q1"].last_good == at(5.0 * last)
    assert found["q2"].words.startswith("an input that has been silent: the value of 14")
    assert found["q1"].words.startswith("the last 179 readings")
    assert sum("is held" in reason for reason in h.reasons) == 2
    assert sum("is held" in note for note in twin.forecast(until="1 min").notes) == 2
    assert json.loads(h.to_json())["inputs"][0]["n_left_out"] == 179
    once = [s for s in heater_samples(200) if s.channel != "q2" or s.time == at(0.0)]
    quiet = heater_twin(method=EKF).assimilate(once, budget=None)[0].health
    assert not any(one.words for one in quiet.inputs)


def test_a_spike_that_was_turned_away_judges_no_prediction():
    """One reading 100 K too high is left out by the gate: the twin stays OK, its misses as small as before."""
    samples = heater_samples(40)
    odd = [
        pt.Sample(s.channel, s.time, 150.0, "degC") if (s.channel, s.time) == ("T1", at(185.0)) else s for s in samples
    ]
    twin = fed(heater_twin(method=EKF), odd)
    h = twin.health
    assert h.status is Status.OK, h
    assert h.ahead and all(one.rms < FAR_OFF * one.expected for one in h.ahead)
    # The spike is one miss fewer for each lead that met it, and no more.
    clean = {(a.channel, a.steps): a.n for a in followed().health.ahead}
    assert all(clean[a.channel, a.steps] - a.n <= 1 for a in h.ahead)
