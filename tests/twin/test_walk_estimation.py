"""Noise of plant and sensors from recorded samples, and the twin that goes on with it."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

import physics_twin as pt
from physics_twin.assimilation.innovation_likelihood import log_likelihood
from physics_twin.twin.walk_estimation import estimate_walks
from tests.twin.plants import HEATER_CHANNELS, WALKS, at, fed, heater_block, heater_samples, heater_twin

TRUE_NOISE = 0.1  # K, of the samples
FAST = pt.UnscentedKalman(steps=pt.RungeKutta("5 s"))


def started(**options):
    """The twin of the heater block, with native steps: an estimate takes dozens of passes."""
    return heater_twin(method=FAST, **options)


def noisy(size):
    return [pt.Channel(name, unit="degC", noise=f"{size} K") for name in ("T1", "T2")]


def pushed(samples, sd, every=5.0):
    """The same samples of a plant whose T1 is also pushed about, by `sd` K a step: it is linear, so what is left of
    all pushes is added.
    """
    rng = np.random.default_rng(5)
    ua, link, c = 0.06, 0.025, 8.0
    onward = expm(np.array([[-ua - link, link], [link, -ua - link]]) * every / c)
    left = [np.zeros(2)]
    for _ in range(60):
        left.append(onward @ left[-1] + [sd * rng.standard_normal(), 0.0])
    found = []
    for s in samples:
        if s.channel in ("T1", "T2"):
            k = round((s.time - at(0)) * 1e-9 / every)
            s = pt.Sample(s.channel, s.time, s.value + left[k][int(s.channel == "T2")], s.unit)
        found.append(s)
    return found


def test_sensor_noise_that_was_declared_three_times_too_large_is_found():
    found = started(channels=noisy(0.3)).estimate_walks(heater_samples(), walks=[])
    for k, name in enumerate(("T1", "T2")):
        low, high = found.factors.interval(name)
        assert math.sqrt(low) < TRUE_NOISE / 0.3 < math.sqrt(high)
        # 60 samples of a channel: ln of a standard deviation is known to 1/sqrt(120) at best.
        assert 0.9 / math.sqrt(120.0) < 0.5 * found.factors.errors[k] < 2.0 / math.sqrt(120.0)
    assert found.factors.converged
    assert found.n_left == 0


def test_the_noise_that_was_found_makes_the_samples_more_likely():
    twin, samples = started(channels=noisy(0.3)), heater_samples()
    found = twin.estimate_walks(samples, walks=[])
    values = []
    for one in (twin, twin.with_walks(found)):
        _, innovation = one.assimilate(samples, budget=None)
        pairs = [
            (
                np.array([r.observed - r.predicted for r in record.samples]),
                np.diag([r.variance + r.predicted_variance for r in record.samples]),
            )
            for record in innovation.records
            if record.samples
        ]
        values.append(log_likelihood(pairs))
    # The filter's own likelihood knows the covariance of both sensors; the diagonal misses it by little.
    gained = found.factors.log_likelihood - found.factors.log_likelihood_before
    assert values[1] - values[0] == pytest.approx(gained, rel=0.1)


def test_a_plant_that_is_pushed_about_has_a_larger_walk_where_it_is_pushed():
    samples = pushed(heater_samples(), 0.2)
    found = started(process_noise=dict.fromkeys(WALKS, pt.RandomWalk("0.2 K", per="1 min"))).estimate_walks(
        samples, channels=[]
    )
    true = 0.2 * math.sqrt(12.0)  # K in a minute of twelve steps
    low, high = (math.sqrt(end) * 0.2 for end in found.factors.interval("T1"))
    assert low < true < high
    assert math.sqrt(found.factors.interval("T2")[0]) * 0.2 < 0.2


def test_replay_goes_through_the_timeline_as_a_twin_that_began_with_that_noise():
    walks = {"T1": pt.RandomWalk("0.3 K", per="1 min")}
    samples = heater_samples()
    again = fed(started(), samples).with_walks(walks).replay(samples)
    assert again.digest == fed(started(process_noise={**WALKS, **walks}), samples).digest


def test_the_factor_on_a_sensor_acts_on_both_parts_of_its_noise():
    channels = [pt.Channel("T1", unit="K", noise=pt.Noise("0.2 K", proportional=0.001)), HEATER_CHANNELS[1]]
    twin = started(channels=channels)
    found = twin.estimate_walks(heater_samples(), walks=[], channels=["T1"])
    before, after = twin.setup.facts["T1"], twin.with_walks(found).setup.facts["T1"]
    assert after.level / before.level == pytest.approx(found.noise["T1"], rel=1e-12)
    assert after.share / before.share == pytest.approx(found.noise["T1"], rel=1e-12)


def test_from_another_noise_on_what_came_before_is_settled():
    samples = heater_samples()
    twin = fed(started(), samples[:120]).with_walks({"T1": pt.RandomWalk("0.3 K", per="1 min")})
    assert twin.mean["T1"] == fed(started(), samples[:120]).mean["T1"]
    late = pt.Sample("T1", at(52.0), 24.0, "degC")
    after, _ = twin.assimilate([late, *samples[120:]], budget=None)
    assert after.counts.too_late == 1
    assert after.digest == fed(twin, samples[120:]).digest


def test_noise_that_was_found_is_saved_with_the_twin(tmp_path):
    samples = heater_samples()
    twin = started(channels=noisy(0.3))
    twin = fed(twin.with_walks(twin.estimate_walks(samples[:120], walks=[])), samples[:120])
    twin.save(tmp_path / "twin.nc")
    again = pt.Twin.load(tmp_path / "twin.nc", heater_block())
    assert again.setup.noise == twin.setup.noise
    assert fed(again, samples[120:]).digest == fed(twin, samples[120:]).digest


def test_the_table_names_what_was_given_and_what_was_found():
    found = started(channels=noisy(0.3)).estimate_walks(heater_samples(), walks=[], channels=["T1"])
    lines = str(found).splitlines()
    assert lines[2].split()[:3] == ["T1", "0.3", "K"]
    assert lines[-1].startswith("60 samples") or lines[-1].startswith("120 samples")


def test_samples_that_a_faulty_sensor_sends_are_no_part_of_it():
    wrong = [
        pt.Sample(s.channel, s.time, s.value + 40.0 * (s.channel == "T1" and s.time == at(150.0)), s.unit)
        for s in heater_samples()
    ]
    twin = started(channels=noisy(0.3))
    found = twin.estimate_walks(wrong, walks=[])
    assert found.n_left == 1
    assert found.noise["T1"] == pytest.approx(twin.estimate_walks(heater_samples(), walks=[]).noise["T1"], rel=0.1)


def test_what_cannot_be_estimated_is_refused():
    twin, samples = started(), heater_samples()
    with pytest.raises(pt.PhysicsTwinError, match=r'random walk "C".*known'):
        twin.estimate_walks(samples, walks=["C"])
    with pytest.raises(pt.PhysicsTwinError, match="energy"):
        twin.estimate_walks(samples, channels=["energy"])
    with pytest.raises(pt.PhysicsTwinError, match="before the twin's present"):
        estimate_walks(fed(twin, samples[:120]), [pt.Sample("T1", at(52.0), 24.0, "degC"), *samples[120:]])
    with pytest.raises(pt.PhysicsTwinError, match="0 samples"):
        twin.estimate_walks([])
    with pytest.raises(pt.PhysicsTwinError, match="T9"):
        twin.with_walks({"T9": pt.RandomWalk("1 K", per="1 min")})
