"""Approvals and advice: what a person signed, what is refused, and that proposing writes nothing."""

import json
import sys
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from physics_twin.advisor import Advisor, Approval, approve, envelope_hash
from physics_twin.envelope import Budget, Envelope, Limit, find_envelope
from physics_twin.errors import DataError, EnvelopeError, FileFormatError, UnitError, UnknownNameError
from physics_twin.parameters import Parameter, ParameterSet, Values
from physics_twin.posterior import Posterior
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting, Signal
from physics_twin.twin.audit import Audit

HEAT = Setting("temperature", "degC", bounds=(0, 100))
HOLD = Setting("hold", "min", bounds=(0, 60))
AT, NOW, LATER = "2026-11-21T06:00Z", "2026-11-21T07:00Z", "2026-12-21T07:00Z"
PERSON = {"who": "A. Miller", "reason": "trial of week 47", "at": AT}


@dataclass(frozen=True)
class Quality:
    """A model in closed form: heat and time add up to a quality, up to a little noise."""

    parameters: ParameterSet = field(default_factory=lambda: ParameterSet([Parameter("noise", 0.0, unit="1")]))
    name: str = "quality"
    version: str = "1"
    fingerprint: str = "quality-1"
    inputs: tuple[Signal, ...] = ()
    outputs: tuple[Signal, ...] = (Signal("quality", "1"),)
    state: tuple[Signal, ...] = ()
    validity: dict[str, tuple[float, float]] = field(default_factory=dict)

    def trajectories(self, times, recipe, values, states=None):
        sum_ = (values["temperature"] - 273.15) / 100.0 + values["hold"] / 3600.0 + 0.01 * values["noise"]
        t = np.broadcast_to(times, (len(sum_), np.shape(times)[-1]))
        return np.repeat(sum_[:, None, None], t.shape[1], axis=1), np.zeros((len(sum_), 0)), ()


@pytest.fixture(scope="module")
def envelope():
    model = Quality()
    posterior = Posterior.from_draws(model.parameters, np.random.default_rng(0).standard_normal((500, 1)))
    recipe = Recipe([Phase("run", duration="1 h")], initial={"heat": HEAT, "time": HOLD})
    limits = [Limit("quality", lower="0.7 1"), Limit("quality", upper="1.3 1")]
    budget = Budget(n_points=40)
    return find_envelope(model, posterior, recipe=recipe, settings=[HEAT, HOLD], limits=limits, rng=1, budget=budget)


@pytest.fixture(scope="module")
def approval(envelope):
    return approve(envelope, **PERSON, until="2026-12-01T00:00Z")


def corner(approval, share=0.02):
    """A point near the lower corner of the approved ranges."""
    return Values({name: low + share * (high - low) for name, (low, high) in approval.ranges.items()})


def test_an_approval_says_who_what_why_and_until_when(approval, envelope):
    assert approval.ranges == envelope.box
    assert approval.envelope == envelope_hash(envelope)
    text = str(approval)
    for words in ("A. Miller", "trial of week 47", "2026-11-21T06:00:00Z", "until 2026-12-01", "degC", "min"):
        assert words in text


def test_only_what_is_certified_can_be_approved(envelope):
    low, high = envelope.box["temperature"]
    part = {"temperature": ((low + 1.0, "K"), (high - 1.0, "K"))}
    approval = approve(envelope, **PERSON, ranges=part)
    assert approval.ranges["temperature"] == (low + 1.0, high - 1.0)
    assert approval.ranges["hold"] == envelope.box["hold"]
    with pytest.raises(EnvelopeError, match=r"temperature: .* is more than the certified"):
        approve(envelope, **PERSON, ranges={"temperature": ((low, "K"), (high + 1.0, "K"))})
    with pytest.raises(EnvelopeError, match="before it begins"):
        approve(envelope, **PERSON, ranges={"temperature": ((high, "K"), (low, "K"))})
    with pytest.raises(UnknownNameError):
        approve(envelope, **PERSON, ranges={"temprature": ("1 K", "2 K")})
    with pytest.raises(UnitError):
        approve(envelope, **PERSON, ranges={"temperature": ("1 min", "2 min")})
    with pytest.raises(DataError, match="before it begins"):
        approve(envelope, **PERSON, until="2026-11-20T00:00Z")
    with pytest.raises(DataError, match="who"):
        approve(envelope, **{**PERSON, "who": " "})
    with pytest.raises(EnvelopeError, match="nothing to approve"):
        approve(replace(envelope, empty=True), **PERSON)


def test_approvals_follow_one_another_in_one_log(envelope, approval):
    second = approve(envelope, **{**PERSON, "at": NOW}, log=approval.log)
    assert len(second.log) == 2
    assert second.record.previous == approval.hash
    second.log.verify()


def test_a_file_gives_the_approval_back_and_shows_every_change(approval, tmp_path):
    path = tmp_path / "approval.json"
    approval.save(path)
    assert Approval.load(path) == approval
    text = path.read_text(encoding="utf8")
    content = json.loads(text)
    for change in (
        lambda r: r.update(who="B. Smith"),
        lambda r: r["content"].update(until=None),
        lambda r: r["content"]["ranges"]["hold"].update(high=1e4),
    ):
        changed = json.loads(text)
        change(changed["log"][-1])
        path.write_text(json.dumps(changed), encoding="utf8")
        with pytest.raises(DataError, match="changed after it was written"):
            Approval.load(path)
    for broken in ("nothing", json.dumps({"format": "else"}), json.dumps({**content, "version": 9})):
        path.write_text(broken, encoding="utf8")
        with pytest.raises(FileFormatError):
            Approval.load(path)
    path.write_text(json.dumps({**content, "log": []}), encoding="utf8")
    with pytest.raises(DataError, match="does not end with the approval"):
        Approval.load(path)


def test_a_record_of_another_act_is_no_approval(tmp_path, approval):
    log = approval.log.append(NOW, "A. Miller", "something else", "because")
    Approval(log[-1], log).save(tmp_path / "a.json")
    with pytest.raises(FileFormatError, match="no approval"):
        Approval.load(tmp_path / "a.json")


def test_the_hash_is_that_of_the_claim(envelope, tmp_path):
    envelope.save(tmp_path / "e.nc")
    assert envelope_hash(Envelope.load(tmp_path / "e.nc")) == envelope_hash(envelope)
    assert envelope_hash(envelope.marked("the model failed its hold-out")) != envelope_hash(envelope)
    low, high = envelope.box["hold"]
    wider = replace(envelope, box={**envelope.box, "hold": (low, np.nextafter(high, np.inf))})
    assert envelope_hash(wider) != envelope_hash(envelope)


def test_moves_stay_inside_the_approved_ranges_and_their_limits(envelope, approval):
    advisor = Advisor(approval, envelope, rate_limits={"temperature": "1 K/h"}, steps={"hold": "1 min"})
    here, n = corner(approval), 0
    while True:
        advice = advisor.propose(here, at=NOW)
        assert not advice.refused
        if not advice.moves:
            break
        assert abs(advice.moves["temperature"]) <= 1.0 + 1e-9
        assert abs(advice.moves["hold"]) <= 60.0 + 1e-7
        for name, (low, high) in approval.ranges.items():
            assert low <= advice.settings[name] <= high
        here, n = Values(advice.settings), n + 1
    assert n > 1
    assert dict(here) == pytest.approx(envelope.set_point)
    assert "this is the set point" in advice.reason


def test_advice_has_units_gain_and_reason(envelope, approval):
    advice = Advisor(approval, envelope, rate_limits={"temperature": "1 K/h"}).propose(corner(approval), at=NOW)
    assert advice.gain > 0.0
    assert advice.in_units()["hold"][1] == "min"
    assert advice.approval == approval.hash
    text = str(advice)
    for words in ("move (step 1 of", "certified at 0.95", "degC (", "approval"):
        assert words in text


def test_an_advisor_says_what_it_may_do_and_on_whose_authority(envelope, approval):
    advisor = Advisor(
        approval, envelope, rate_limits={"temperature": "2 K/h"}, steps={"temperature": "5 K"}, step="30 min"
    )
    text = str(advisor)
    point = envelope.setting("temperature").format(envelope.set_point["temperature"])
    for words in (
        "inside approved ranges; it writes nothing anywhere",
        f"temperature: to {point}, by at most 1 K a step",
        "a step takes 30 min; all settings may move in a step",
        str(approval),
    ):
        assert words in text
    assert "hold: to" in text and "by at most" not in text.split("hold: to")[1].splitlines()[0]
    assert "Advisor(" not in repr(advisor)
    assert "one setting in each step" in str(Advisor(approval, envelope, one_at_a_time=True))


def test_margins_of_an_advice_are_in_plant_words(envelope, approval):
    """The least margin in its limit's unit first; what rounds to zero is no gain and not -8e-05 sd."""
    far = Advisor(approval, envelope).propose(corner(approval), at=NOW).reason
    assert "the margin of all limits together grows by" in far and " sd" not in far
    nudged = dict(envelope.set_point)
    nudged["temperature"] += 1e-5
    near = Advisor(approval, envelope).propose(Values(nudged), at=NOW)
    assert abs(near.gain) < 0.005 and "no gain in the margin of all limits together" in near.reason


def test_outside_of_a_part_the_nearest_approved_point_is_the_goal(envelope):
    low, _ = envelope.box["temperature"]
    top = 0.5 * (low + envelope.set_point["temperature"])
    approval = approve(envelope, **PERSON, ranges={"temperature": ((low, "K"), (top, "K"))})
    advice = Advisor(approval, envelope).propose(corner(approval), at=NOW)
    assert advice.settings["temperature"] == pytest.approx(top)
    assert "nearest to the set point" in advice.reason


def test_no_advice_without_a_valid_approval(envelope, approval):
    advisor = Advisor(approval, envelope)
    for at, words in ((LATER, "expired at 2026-12-01"), ("2026-11-20T06:00Z", "begins at")):
        advice = advisor.propose(corner(approval), at=at)
        assert advice.refused
        assert not advice.moves
        assert words in advice.reason
    outside = advisor.propose({"temperature": "99 degC", "hold": "1 min"}, at=NOW)
    assert outside.refused
    assert "outside the approved" in outside.reason
    assert "no advice" in str(outside)


def test_an_envelope_that_was_not_approved_is_refused(envelope, approval):
    with pytest.raises(EnvelopeError, match="have it approved anew"):
        Advisor(approval, envelope.marked("something new is known"))
    forged = replace(approval, record=replace(approval.record, who="B. Smith"))
    with pytest.raises(EnvelopeError, match="own log"):
        Advisor(forged, envelope)
    with pytest.raises(DataError, match="changed"):
        Advisor(Approval(forged.record, Audit((forged.record,))), envelope)


def test_proposing_writes_nothing_and_calls_nobody(envelope, approval):
    """Python's own audit events of files opened for writing, of sockets and of processes."""
    advisor = Advisor(approval, envelope, rate_limits={"temperature": "1 K/h"})
    here = corner(approval)
    advisor.propose(here, at=NOW)  # imports are done
    seen, listening = [], True

    def hook(event, args):
        if not listening:
            return
        writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
        if writes or event.startswith(("socket.", "subprocess.", "os.", "shutil.")):
            seen.append((event, args))

    sys.addaudithook(hook)
    first, again = advisor.propose(here, at=NOW), advisor.propose(here, at=NOW)
    listening = False
    assert seen == []
    assert first.settings == again.settings
