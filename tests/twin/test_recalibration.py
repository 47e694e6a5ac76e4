"""Recalibration under change control, on a measured record of two heaters."""

import functools
import json

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import datasets
from physics_twin.errors import CalibrationError, DataError, FileFormatError
from physics_twin.twin.moments import SECOND
from physics_twin.twin.promotion import hash_in_force, posterior_hash, posterior_in_force
from physics_twin_models.heated_block import experiment, heated_block
from tests.data_marks import needs_data

pytestmark = needs_data("tclab")
UNKNOWN = ("heater_1_gain", "heater_2_gain")


@functools.cache
def record(end):
    """The first seconds of the record."""
    return experiment(datasets.load("tclab").path("mimo_1s_600.csv")).between(0.0, end)


@functools.cache
def first_posterior():
    """A fit to the first two minutes, in which heater 2 has hardly been on."""
    return pt.calibrate(heated_block(), record(120.0), unknown=UNKNOWN, rng=7)


def twin(**options):
    """A twin that knows its inputs and one reading."""
    channels = [pt.Channel(f"temperature_{k}", unit="degC", noise="0.5 K") for k in (1, 2)]
    options = {"at": "2026-11-20T06:00Z", "channels": channels, "method": pt.ExtendedKalman(), **options}
    begun = pt.Twin.start(
        heated_block(), first_posterior(), initial_sd={"sensor_1": "1 K", "sensor_2": "1 K"}, **options
    )
    off = [pt.Sample(f"heater_{k}", begun.until, 0.0, "percent") for k in (1, 2)]
    return begun.assimilate([*off, pt.Sample("temperature_1", begun.until + SECOND, 23.0, "degC")])[0]


@functools.cache
def candidate():
    """From three minutes, the last 30 % of them held out."""
    return twin().recalibrate(record(180.0), rng=3)


def test_a_candidate_brings_its_evidence():
    """It is judged on samples that it has not seen, beside the posterior in force on the same samples."""
    found = candidate()
    e = found.evidence
    n = record(180.0).times.size
    assert e.candidate.n_samples == e.current.n_samples == 2 * (n - round(0.7 * n))
    assert {c.parameter for c in e.changes} == set(UNKNOWN)
    assert found.in_force == posterior_hash(first_posterior())
    assert e.converged
    assert dict(e.candidate.rms)["temperature_2"] < dict(e.current.rms)["temperature_2"]
    assert e.better == (e.candidate.score > e.current.score)
    assert ("it may be promoted" in e.sentence) == e.may_be_promoted
    assert "held-out samples" in str(found)


def test_recalibrating_changes_nothing_and_gives_the_same_candidate_again():
    """The twin is a value; the same data and seed give the same hash."""
    before = twin()
    again = before.recalibrate(record(180.0), rng=3)
    assert again.hash == candidate().hash
    assert before.digest == twin().digest


def promoted(**options):
    """The candidate in force, whatever its evidence says."""
    return twin(**options).promote(candidate(), who="A. Miller", reason="new heaters", against_evidence=True)


def test_a_promotion_puts_the_parameters_in_force_and_keeps_the_states():
    """Mean and spread are the candidate's, to what 400 of its draws tell; the audit log says who and why."""
    before, after = twin(), promoted()
    for name in UNKNOWN:
        ln = np.log(candidate().posterior[name])  # the filter's own coordinate: bounds are above zero
        assert np.log(after.parameters[name]) == pytest.approx(ln.mean(), abs=4.0 * ln.std() / np.sqrt(400))
        own = np.log(after.members(400).parameters[:, UNKNOWN.index(name)])
        # A sample's standard deviation errs by 1/sqrt(2 n), by more where tails are long: these are to be within it.
        assert own.std() == pytest.approx(ln.std(), rel=8.0 / np.sqrt(2 * 400))
    for name in ("sensor_1", "heater_1_temperature"):
        assert after.mean[name] == pytest.approx(before.mean[name], abs=1e-6)
        assert after.spread[name] == pytest.approx(before.spread[name], rel=1e-3, abs=1e-6)
    (one,) = after.promotions
    assert (one.who, one.reason, one.reverts) == ("A. Miller", "new heaters", False)
    assert one.posterior == candidate().hash == hash_in_force(after) == after.health.posterior
    assert one.before == posterior_hash(first_posterior())
    after.audit.verify()
    assert after.audit[-1].act == "promote"
    assert after.audit[-1].content["evidence"] == candidate().evidence.sentence


def test_a_reversal_restores_the_earlier_posterior():
    """The same draws again, so the same parameters to the last bits; both acts stay in the log."""
    before, after = twin(), promoted()
    back = after.revert(who="B. Stone", reason="worse at night")
    for name in UNKNOWN:
        start = before.setup.beginning.start.parameters[:, UNKNOWN.index(name)]
        assert back.parameters[name] == pytest.approx(np.exp(np.log(start).mean()), rel=1e-9)
    assert hash_in_force(back) == posterior_hash(first_posterior())
    assert posterior_in_force(back) is first_posterior()
    assert [p.reverts for p in back.promotions] == [False, True]
    with pytest.raises(DataError, match="nothing to take back"):
        back.revert(who="B. Stone", reason="again")


def test_a_journal_alone_makes_the_promotion_again():
    """Its operation holds the draws: a replay of the same entries gives the same digest."""
    after = promoted()
    off = [pt.Sample(f"heater_{k}", after.setup.beginning.time, 0.0, "percent") for k in (1, 2)]
    reading = pt.Sample("temperature_1", after.setup.beginning.time + SECOND, 23.0, "degC")
    operation = after.promotions[-1].operation
    again = twin().replay([*off, reading, operation])
    assert again.state.belief.parameters.tolist() == after.state.belief.parameters.tolist()
    assert again.promotions == after.promotions


def test_a_promoted_twin_survives_its_file(tmp_path):
    """Promotions, the posterior in force and every bit of the state come back."""
    after = promoted()
    after.save(tmp_path / "twin.nc")
    again = pt.Twin.load(tmp_path / "twin.nc", heated_block())
    assert again.digest == after.digest
    assert again.promotions == after.promotions
    assert hash_in_force(again) == candidate().hash
    assert not [a for a in again.drift_alarms() if not a.channel]  # compared with the candidate, not with the first


def test_a_late_sample_from_before_a_promotion_is_folded_before_it():
    """It moves states as it would have in time, and leaves the promoted parameters as they are."""
    late = pt.Sample("temperature_2", twin().until - SECOND // 2, 23.5, "degC")
    after = promoted().assimilate([late])[0]
    in_time = (
        twin().assimilate([late])[0].promote(candidate(), who="A. Miller", reason="new heaters", against_evidence=True)
    )
    assert after.state.belief.parameters.tolist() == in_time.state.belief.parameters.tolist()
    assert after.mean["sensor_2"] == in_time.mean["sensor_2"] != promoted().mean["sensor_2"]


def test_ensembles_take_the_draws_member_by_member():
    """Each member gets a draw of the candidate; states stay with their members."""
    ensemble = pt.EnsembleKalman(n_members=40)
    before, after = twin(method=ensemble), promoted(method=ensemble)
    draws = candidate().posterior
    assert np.isin(after.state.belief.parameters[:, 0], draws["heater_1_gain"]).all()
    sensor = 2  # its state has a spread of its own
    own = before.at(after.until).belief.states[:, sensor]
    assert own.std() > 0.1
    np.testing.assert_allclose(np.sort(after.state.belief.states[:, sensor]), np.sort(own), atol=1e-6)


def test_until_a_promotion_the_plant_was_run_by_the_parameters_before_it():
    """A minute of full power before it: the states at its moment are those of the twin without it."""
    before = twin()
    on = pt.Sample("heater_1", before.until + SECOND, 100.0, "percent")
    before = before.assimilate([on])[0]
    later = before.until + 60 * SECOND
    warm = before.at(later)
    after = warm.promote(candidate(), who="A. Miller", reason="new heaters", against_evidence=True)
    assert warm.mean["heater_1_temperature"] > before.mean["heater_1_temperature"] + 5.0
    for name in ("heater_1_temperature", "sensor_1"):
        assert after.mean[name] == pytest.approx(warm.mean[name], abs=1e-6)


def test_frozen_twins_refuse():
    """To be recalibrated, and to have a candidate promoted."""
    frozen = twin(adaptive=False)
    with pytest.raises(CalibrationError, match="frozen"):
        frozen.recalibrate(record(180.0))
    with pytest.raises(CalibrationError, match="frozen"):
        frozen.promote(candidate(), who="A. Miller", reason="new heaters")


def test_a_candidate_that_predicts_worse_may_not_be_promoted():
    """One fitted to the first 20 s, in which nothing happens, against the posterior of two minutes."""
    poor = twin().recalibrate(record(60.0), rng=3, hold_out=0.65)
    assert not poor.evidence.may_be_promoted
    with pytest.raises(CalibrationError, match="may not be promoted"):
        twin().promote(poor, who="A. Miller", reason="hope")


def test_a_promotion_needs_a_person_a_reason_and_evidence_of_now():
    """Each of them is asked for."""
    with pytest.raises(DataError, match="person"):
        twin().promote(candidate(), who=" ", reason="new heaters", against_evidence=True)
    with pytest.raises(DataError, match="reason"):
        twin().promote(candidate(), who="A. Miller", reason="", against_evidence=True)
    with pytest.raises(CalibrationError, match="has been put in force"):
        promoted().promote(candidate(), who="A. Miller", reason="twice", against_evidence=True)
    with pytest.raises(DataError, match="nothing has been promoted"):
        twin().revert(who="A. Miller", reason="none")


def test_a_candidate_survives_its_files(tmp_path):
    """Evidence as plain JSON, the posterior beside it; a posterior that was exchanged is found out."""
    candidate().save(tmp_path / "c.json")
    again = pt.Candidate.load(tmp_path / "c.json")
    assert again.hash == candidate().hash
    assert again.evidence == candidate().evidence
    assert str(again) == str(candidate())
    json.loads((tmp_path / "c.json").read_text(), parse_constant=lambda text: pytest.fail(text))
    first_posterior().save(tmp_path / "c.nc")
    with pytest.raises(FileFormatError, match="one of the two was replaced"):
        pt.Candidate.load(tmp_path / "c.json")


@pytest.mark.parametrize("hold_out", [1.5, ["tuesday"], "mimo_1s_600", ["mimo_1s_600"]])
def test_what_is_held_out_must_leave_both_parts(hold_out):
    """A wrong share, a wrong name, a text, or everything."""
    with pytest.raises(DataError):
        twin().recalibrate(record(180.0), hold_out=hold_out)
